//! The knowledge base at the desk: its lists and its search. One article and the form for writing are rooms of their own.

pub(super) mod article;
pub(super) mod form;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::App;
use super::super::frame::{self, Frame, minute};
use super::super::guard::{Signed, sentence};
use super::super::words::Words;
use crate::knowledge::request::KnowledgeRequest;
use crate::knowledge::uses::UNHELPFUL;
use crate::request::FailureKind;
use crate::users::rights::{self, Right};

/// Rows of a list.
const ROWS: usize = 200;

/// The longest question that is asked.
const MAX_QUESTION: usize = 200;

/// An article in a list.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) href: String,
    pub(super) code: String,
    pub(super) title: String,
    pub(super) owner: String,
    pub(super) standing: &'static str,
    /// The class that colours the standing.
    pub(super) class: &'static str,
    /// The version that is in force; 0 for none.
    pub(super) version: u64,
    /// The draft's; 0 for none.
    pub(super) draft: u64,
    pub(super) valid_to: String,
    pub(super) holds: bool,
    /// Of a supplement: whether its original has changed since.
    pub(super) changed: bool,
    /// On the list of what did not help: how often the version in force did not.
    pub(super) unhelpful: u64,
    pub(super) at: String,
}

/// Articles as a list shows them.
pub(super) fn rows(app: &App, w: &Words, list: &Value) -> Vec<Row> {
    list.as_array().into_iter().flatten().map(|row| self::row(app, w, row)).collect()
}

/// One of them.
pub(super) fn row(app: &App, w: &Words, row: &Value) -> Row {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let standing = row["standing"].as_str().unwrap_or_default();
    Row {
        href: format!("/knowledge/{}", text("id")),
        id: text("id"),
        code: text("code"),
        title: text("title"),
        owner: app.site_name(&text("owner")),
        standing: w.standing(standing),
        class: colour(standing),
        version: row["version"].as_u64().unwrap_or_default(),
        draft: row["draft"].as_u64().unwrap_or_default(),
        valid_to: text("valid_to"),
        holds: row["holds"] == true,
        changed: row["changed"] == true,
        unhelpful: row["unhelpful"].as_u64().unwrap_or_default(),
        at: minute(&text("at")),
    }
}

/// The class of a standing: what is in force looks like what is done, a draft like what waits.
pub(super) fn colour(standing: &str) -> &'static str {
    match standing {
        "published" => "stage-closed",
        "reviewed" => "stage-in-hand",
        "draft" => "stage-offered",
        _ => "",
    }
}

struct Tab {
    href: String,
    label: &'static str,
    key: char,
    current: bool,
}

#[derive(Template)]
#[template(path = "knowledge.html")]
struct Knowledge {
    f: Frame,
    tabs: Vec<Tab>,
    question: String,
    problem: String,
    rows: Vec<Row>,
    may_write: bool,
}

#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    list: String,
    #[serde(default)]
    q: String,
}

fn tabs(w: &Words, now: &str) -> Vec<Tab> {
    let all = [
        ("published", w.articles_published),
        ("drafts", w.articles_drafts),
        ("unreviewed", w.articles_unreviewed),
        ("to-publish", w.articles_to_publish),
        ("expiring", w.articles_expiring),
        ("expired", w.articles_expired),
        ("proposed", w.articles_proposed),
        ("changed", w.articles_changed),
        ("withdrawn", w.articles_withdrawn),
        (UNHELPFUL, w.articles_unhelpful),
    ];
    let tab = |((name, label), key): ((&str, &'static str), char)| Tab {
        href: format!("/knowledge?list={name}"),
        label,
        key,
        current: name == now,
    };
    all.into_iter().zip("1234567890".chars()).map(tab).collect()
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let question: String = asked.q.trim().chars().take(MAX_QUESTION).collect();
    let queue = if asked.list.is_empty() { "published" } else { asked.list.as_str() };
    let request = match question.is_empty() {
        // Nobody's drafts but the own site's are worked on here; what is in force is everybody's, and what did not help here may
        // want a supplement.
        true => KnowledgeRequest::List {
            queue: queue.to_owned(),
            mine: !matches!(queue, "published" | "proposed" | "withdrawn" | UNHELPFUL),
            limit: ROWS,
        },
        false => KnowledgeRequest::Search { text: question.clone(), limit: ROWS },
    };
    let (list, problem) = match app.know(&who, request).await {
        Ok(list) => (list, String::new()),
        // What was typed is no question: the page says why and keeps it.
        Err(failure) if failure.kind == FailureKind::Usage && !question.is_empty() => {
            (Value::Array(Vec::new()), sentence(&failure).to_owned())
        }
        Err(failure) => return frame::failure(&who, &failure),
    };
    let title = match question.is_empty() {
        true => w.knowledge.to_owned(),
        false => format!("{}: {question}", w.results_for),
    };
    let template = Knowledge {
        f: Frame::new(&app, &who, title, "/knowledge").live("/events"),
        tabs: tabs(w, if question.is_empty() { queue } else { "" }),
        rows: rows(&app, w, &list),
        question,
        problem,
        may_write: rights::may_use(&who.session.account, Right::Write).is_ok(),
    };
    frame::page(StatusCode::OK, &template)
}
