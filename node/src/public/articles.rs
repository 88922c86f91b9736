//! What is published: notices, results and articles of the knowledge base that are for the public and in force today.
//!
//! An article is written at a desk and reviewed by a second person before anybody sees it; what is for the public says so
//! itself. The page reads rows that are made of it, and no ticket.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::App;
use super::file::broken;
use super::guard;
use super::shell::{self, Shell, Tongue};
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, FailureKind, Request};

/// Rows of the list.
const ROWS: usize = 50;

/// The longest question, in characters.
const MAX_QUESTION: usize = 60;

struct Line {
    href: String,
    title: String,
    owner: String,
    /// The day on which this version was written.
    at: String,
}

#[derive(Template)]
#[template(path = "public/articles.html")]
struct Articles {
    s: Shell,
    question: String,
    problem: String,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "public/article.html")]
struct Article {
    s: Shell,
    line: Line,
    body: String,
    until: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

fn line(app: &App, t: Tongue, row: &Value) -> Line {
    let owner = row["owner"].as_str().and_then(|owner| owner.parse().ok());
    let lang = if t.is_english() { "?lang=en" } else { "" };
    Line {
        href: format!("/articles/{}{lang}", text(row, "id")),
        title: text(row, "title"),
        owner: owner.map(|site| app.reference().centres.name(site).into_owned()).unwrap_or_default(),
        at: text(row, "at").get(..10).unwrap_or_default().to_owned(),
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri, Query(asked): Query<Asked>) -> Response {
    let t = guard::tongue(&uri);
    let question: String = asked.q.trim().chars().take(MAX_QUESTION).collect();
    let request =
        KnowledgeRequest::Public { text: Some(question.clone()).filter(|q| !q.is_empty()), limit: ROWS };
    let (rows, problem) = match app.node.ask(Request::Knowledge(request)).await {
        Ok(rows) => (rows, String::new()),
        Err(failure) if failure.kind == FailureKind::Usage => {
            let text = t.say("请输入要查找的词语。", "Please type words to look for.");
            (Value::Array(Vec::new()), text.to_owned())
        }
        Err(failure) => return broken(&app, t, &failure),
    };
    let s = Shell::new(&app, t, t.say("通知公告和办事指南", "Notices and guides"), "/articles");
    let lines = rows.as_array().into_iter().flatten().map(|row| line(&app, t, row)).collect();
    shell::page(StatusCode::OK, &Articles { s, question, problem, lines })
}

pub(super) async fn one(State(app): State<Arc<App>>, uri: Uri, Path(id): Path<String>) -> Response {
    let t = guard::tongue(&uri);
    match app.node.ask(Request::Knowledge(KnowledgeRequest::Told { id })).await {
        Ok(row) => {
            let line = line(&app, t, &row);
            let s = Shell::new(&app, t, &line.title, "/articles");
            shell::page(
                StatusCode::OK,
                &Article { s, body: text(&row, "body"), until: text(&row, "valid_to"), line },
            )
        }
        Err(Failure { kind: FailureKind::Absent, .. }) => {
            let text =
                t.say("没有这篇文章，或已不再有效。", "There is no such article, or it is in force no more.");
            shell::message(&app, t, StatusCode::NOT_FOUND, text)
        }
        Err(failure) => broken(&app, t, &failure),
    }
}
