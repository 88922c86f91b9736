//! Queues and search: lists of tickets, the newest first, those of deadlines with the first to end first; a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::App;
use super::super::frame::{self, Frame, minute};
use super::super::guard::{Signed, sentence};
use super::super::words::Words;
use super::choice::{Choice, choices, domains, kinds, topics, urgencies};
use crate::daemon::now_ms;
use crate::projection::is_recent;
use crate::request::{FailureKind, Request, Sift, Sort};
use crate::users::rights;

/// Rows of a page.
const ROWS: usize = 50;

/// The longest question that is asked.
const MAX_QUESTION: usize = 200;

/// A row of a list.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) subject: String,
    pub(super) stage: &'static str,
    /// The stage's name for the style sheet.
    pub(super) class: String,
    pub(super) custodian: String,
    pub(super) offered_to: String,
    pub(super) urgency: String,
    pub(super) age: String,
    pub(super) at: String,
    /// The last moment, empty where none is set; and whether it is over.
    pub(super) due: String,
    pub(super) late: bool,
    /// Who has it here, and the department that works on it.
    pub(super) agent: String,
    pub(super) department: String,
}

/// Rows as a list shows them.
pub(super) fn rows(app: &App, w: &Words, list: &Value, now: u64) -> Vec<Row> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let done = |row: &Value| row["stage"].as_str().is_some_and(crate::projection::is_done);
    let row = |row: &Value| {
        let due = row["due"].as_str().filter(|_| !done(row)).unwrap_or_default();
        let end = due.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
        let subject = text(row, "subject");
        Row {
            href: format!("/ticket/{}", text(row, "id")),
            number: text(row, "number"),
            subject: if subject.is_empty() { w.no_subject.to_owned() } else { subject },
            stage: w.stage(&text(row, "stage")),
            class: text(row, "stage").replace('_', "-"),
            custodian: app.site_name(&text(row, "custodian")),
            offered_to: row["offered_to"].as_str().map(|to| app.site_name(to)).unwrap_or_default(),
            urgency: row["urgency"].as_str().map(|u| w.urgency(u).to_owned()).unwrap_or_default(),
            age: w.ago(&text(row, "at"), now),
            at: minute(&text(row, "at")),
            due: minute(due),
            late: end.is_some_and(|end| end < now as i64),
            agent: text(row, "agent"),
            department: text(row, "department"),
        }
    };
    list.as_array().into_iter().flatten().map(row).collect()
}

struct Tab {
    href: &'static str,
    label: &'static str,
    /// The key that opens it; those after the tenth have none.
    key: Option<char>,
    current: bool,
}

/// Fields that narrow a queue, as they stand.
struct Narrow {
    open: bool,
    business: Vec<Choice>,
    domain: Vec<Choice>,
    topic: Vec<Choice>,
    urgency: Vec<Choice>,
    sort: Vec<Choice>,
    channel: String,
    first: String,
    last: String,
    /// Only the newest tickets are looked through.
    recent: bool,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    f: Frame,
    tabs: Vec<Tab>,
    queue: String,
    question: String,
    problem: String,
    narrow: Option<Narrow>,
    rows: Vec<Row>,
    /// Where older ones are; empty when these are all.
    older: String,
    newest: String,
}

/// What an address asks for. An empty field asks for nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Asked {
    before: Option<i64>,
    q: String,
    business: String,
    domain: String,
    topic: String,
    urgency: String,
    channel: String,
    first: String,
    last: String,
    sort: String,
}

/// The longest value of a field that narrows.
const MAX_NARROW: usize = 40;

impl Asked {
    fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("business", &self.business),
            ("domain", &self.domain),
            ("topic", &self.topic),
            ("urgency", &self.urgency),
            ("channel", &self.channel),
            ("first", &self.first),
            ("last", &self.last),
            ("sort", &self.sort),
        ]
    }

    fn sift(&self) -> Sift {
        let given = |value: &str| {
            let value: String = value.trim().chars().take(MAX_NARROW).collect();
            Some(value).filter(|value| !value.is_empty())
        };
        Sift {
            business: given(&self.business),
            domain: given(&self.domain),
            topic: given(&self.topic),
            urgency: given(&self.urgency),
            channel: given(&self.channel),
            first: given(&self.first),
            last: given(&self.last),
            sort: SORTS
                .into_iter()
                .find(|(name, _)| *name == self.sort)
                .map_or(Sort::Newest, |(_, sort)| sort),
            ..Sift::default()
        }
    }

    /// The address of a page of a queue that is narrowed like this one.
    fn address(&self, queue: &str, before: Option<i64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.fields().into_iter().filter(|(_, value)| !value.is_empty()));
        if let Some(row) = before {
            query.append_pair("before", &row.to_string());
        }
        let query = query.finish();
        format!("/queue/{queue}{}{query}", if query.is_empty() { "" } else { "?" })
    }

    fn narrow(&self, app: &App, w: &Words, queue: &str, sift: &Sift) -> Narrow {
        let options = |now: &str, all: Vec<(String, String)>| -> Vec<Choice> {
            choices(std::iter::once((String::new(), w.sift_any.to_owned())).chain(all), now)
        };
        let sorts = SORTS.into_iter().zip([w.sort_newest, w.sort_oldest, w.sort_due]);
        Narrow {
            open: self.fields().iter().any(|(_, value)| !value.is_empty()),
            business: options(&self.business, kinds(w).into()),
            domain: options(&self.domain, domains(app)),
            topic: options(&self.topic, topics(app, &self.domain)),
            urgency: options(&self.urgency, urgencies(w).into()),
            sort: sorts
                .map(|((value, sort), label)| Choice {
                    value: value.to_owned(),
                    label: label.to_owned(),
                    chosen: sort == sift.sort,
                })
                .collect(),
            channel: self.channel.clone(),
            first: self.first.clone(),
            last: self.last.clone(),
            recent: is_recent(queue, sift),
        }
    }
}

/// The orders by their names in addresses.
const SORTS: [(&str, Sort); 3] = [("newest", Sort::Newest), ("oldest", Sort::Oldest), ("due", Sort::Due)];

fn tabs(w: &Words, now: &str) -> Vec<Tab> {
    let all = [
        ("mine", "/queue/mine", w.queue_mine),
        ("team", "/queue/team", w.queue_team),
        ("held", "/queue/held", w.queue_held),
        ("to-accept", "/queue/to-accept", w.queue_to_accept),
        ("offered", "/queue/offered", w.queue_offered),
        ("returned", "/queue/returned", w.queue_returned),
        ("urged", "/queue/urged", w.queue_urged),
        ("overdue", "/queue/overdue", w.queue_overdue),
        ("due-soon", "/queue/due-soon", w.queue_due_soon),
        ("follow-up", "/queue/follow-up", w.queue_follow_up),
        ("open", "/queue/open", w.queue_open),
        ("closed", "/queue/closed", w.queue_closed),
        ("confidential", "/queue/confidential", w.queue_confidential),
        ("conflicts", "/queue/conflicts", w.queue_conflicts),
        ("all", "/queue/all", w.queue_all),
    ];
    let keys = "1234567890".chars().map(Some).chain(std::iter::repeat(None));
    all.into_iter()
        .zip(keys)
        .map(|((name, href, label), key)| Tab { href, label, key, current: name == now })
        .collect()
}

/// Whether somebody typed a telephone number.
fn is_phone(question: &str) -> bool {
    let digits = question.chars().filter(char::is_ascii_digit).count();
    (7..=16).contains(&digits) && question.chars().all(|c| c.is_ascii_digit() || " +-()".contains(c))
}

/// The tickets of a caller, for whoever may look callers up; a confidential report is none of them. Numbers stand sealed and not
/// among a ticket's words.
async fn of_caller(app: &App, who: &Signed, phone: &str) -> Vec<Value> {
    let (phone, name) = (Some(phone.to_owned()), None);
    let lookup = Request::Lookup { phone, name, desk: false, reveal: None, user: None, limit: ROWS };
    if rights::may(&who.session.account, &lookup).is_err() {
        return Vec::new();
    }
    match app.ask(who, lookup).await {
        Ok(Value::Array(found)) => found,
        Ok(_) => Vec::new(),
        Err(failure) => {
            tracing::warn!(%failure, "a caller could not be looked up");
            Vec::new()
        }
    }
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Path(queue): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let question: String = asked.q.trim().chars().take(MAX_QUESTION).collect();
    let sift = asked.sift();
    let request = match question.is_empty() {
        true => {
            Request::List { queue: queue.clone(), sift: sift.clone(), limit: ROWS + 1, before: asked.before }
        }
        false => Request::Search { text: question.clone(), limit: ROWS },
    };
    let narrows = sift.narrows();
    let (list, mut problem) = match app.ask(&who, request).await {
        Ok(list) => (list, String::new()),
        // What was typed is no question: the page says why and keeps it.
        Err(failure) if failure.kind == FailureKind::Usage && (narrows || !question.is_empty()) => {
            (Value::Array(Vec::new()), sentence(&failure).to_owned())
        }
        Err(failure) => return frame::failure(&who, &failure),
    };
    if queue == "team" && question.is_empty() && who.session.account.department.is_empty() {
        problem = w.team_none.to_owned();
    }
    let mut list = list;
    if let Some(rows) = list.as_array_mut().filter(|_| is_phone(&question)) {
        let found = of_caller(&app, &who, &question).await;
        rows.retain(|row| !found.iter().any(|one| one["id"] == row["id"]));
        rows.splice(0..0, found);
    }
    let tabs = tabs(w, if question.is_empty() { &queue } else { "" });
    let title = match tabs.iter().find(|tab| tab.current) {
        Some(tab) => tab.label.to_owned(),
        None => format!("{}: {question}", w.results_for),
    };
    let last = list.as_array().filter(|all| all.len() > ROWS).and_then(|all| all[ROWS - 1]["row"].as_i64());
    let mut rows = rows(&app, w, &list, now_ms());
    rows.truncate(ROWS);
    let older = match (question.is_empty(), last) {
        (true, Some(row)) => asked.address(&queue, Some(row)),
        _ => String::new(),
    };
    let newest = asked.before.map(|_| asked.address(&queue, None)).unwrap_or_default();
    let here = if question.is_empty() { asked.address(&queue, None) } else { "/queue/all".to_owned() };
    let template = Queue {
        f: Frame::new(&app, &who, title, &here).live("/events"),
        tabs,
        narrow: question.is_empty().then(|| asked.narrow(&app, w, &queue, &sift)),
        queue,
        question,
        problem,
        rows,
        older,
        newest,
    };
    frame::page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_is_told_from_other_numbers() {
        for phone in ["13800000001", "138 0000 0001", "+86 138-0000-0001", "(0531) 12345678"] {
            assert!(is_phone(phone), "{phone}");
        }
        for other in ["12345", "JT370100202611290W0000C", "鲁A12345", "12345678901234567", ""] {
            assert!(!is_phone(other), "{other}");
        }
    }
}
