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
use crate::daemon::now_ms;
use crate::request::{FailureKind, Request};

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
        }
    };
    list.as_array().into_iter().flatten().map(row).collect()
}

struct Tab {
    href: &'static str,
    label: &'static str,
    key: char,
    current: bool,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    f: Frame,
    tabs: Vec<Tab>,
    question: String,
    problem: String,
    rows: Vec<Row>,
    /// Where older ones are; empty when these are all.
    older: String,
    newest: String,
}

#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    before: Option<i64>,
    #[serde(default)]
    q: String,
}

fn tabs(w: &Words, now: &str) -> Vec<Tab> {
    let all = [
        ("held", "/queue/held", w.queue_held),
        ("to-accept", "/queue/to-accept", w.queue_to_accept),
        ("offered", "/queue/offered", w.queue_offered),
        ("returned", "/queue/returned", w.queue_returned),
        ("overdue", "/queue/overdue", w.queue_overdue),
        ("due-soon", "/queue/due-soon", w.queue_due_soon),
        ("open", "/queue/open", w.queue_open),
        ("closed", "/queue/closed", w.queue_closed),
        ("conflicts", "/queue/conflicts", w.queue_conflicts),
        ("all", "/queue/all", w.queue_all),
    ];
    all.into_iter()
        .zip("1234567890".chars())
        .map(|((name, href, label), key)| Tab { href, label, key, current: name == now })
        .collect()
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Path(queue): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let question: String = asked.q.trim().chars().take(MAX_QUESTION).collect();
    let request = match question.is_empty() {
        true => Request::List { queue: queue.clone(), limit: ROWS + 1, before: asked.before },
        false => Request::Search { text: question.clone(), limit: ROWS },
    };
    let (list, problem) = match app.ask(&who, request).await {
        Ok(list) => (list, String::new()),
        // What was typed is no question: the page says why and keeps it.
        Err(failure) if failure.kind == FailureKind::Usage && !question.is_empty() => {
            (Value::Array(Vec::new()), sentence(&failure).to_owned())
        }
        Err(failure) => return frame::failure(&who, &failure),
    };
    let tabs = tabs(w, if question.is_empty() { &queue } else { "" });
    let title = match tabs.iter().find(|tab| tab.current) {
        Some(tab) => tab.label.to_owned(),
        None => format!("{}: {question}", w.results_for),
    };
    let last = list.as_array().filter(|all| all.len() > ROWS).and_then(|all| all[ROWS - 1]["row"].as_i64());
    let mut rows = rows(&app, w, &list, now_ms());
    rows.truncate(ROWS);
    let older = match (question.is_empty(), last) {
        (true, Some(row)) => format!("/queue/{queue}?before={row}"),
        _ => String::new(),
    };
    let newest = asked.before.map(|_| format!("/queue/{queue}")).unwrap_or_default();
    let here = format!("/queue/{}", if question.is_empty() { queue.as_str() } else { "all" });
    let template = Queue {
        f: Frame::new(&app, &who, title, &here).live("/events"),
        tabs,
        question,
        problem,
        rows,
        older,
        newest,
    };
    frame::page(StatusCode::OK, &template)
}
