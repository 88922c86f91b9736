//! What is published: notices, results and articles of the knowledge base that are for the public and in force today.
//!
//! An article is written at a desk and reviewed by a second person before anybody sees it; what is for the public says so
//! itself. The page reads rows that are made of it, and no ticket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::App;
use super::file::broken;
use super::guard::{self, From};
use super::shell::{self, Shell, Tongue};
use crate::desk::{body, size};
use crate::files::{Entry, FileRequest};
use crate::hex::unhex;
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, FailureKind, Request};

/// Rows of the list.
const ROWS: usize = 50;

/// The longest question, in characters.
const MAX_QUESTION: usize = 60;

/// The largest file that goes out here, and how much of it at once: whoever does not take that much within [`PATIENCE`] is cut
/// off, for few files go out at a time.
const MAX_FILE: u64 = 16 << 20;
const PART: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// Name, address and size of what it carries; without an address what is too large for this page.
    files: Vec<(String, String, String)>,
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
            let id = text(&row, "id");
            let file = |f: &Value| {
                let at = match fits(f) {
                    true => format!("/articles/{id}/files/{}", text(f, "content")),
                    false => String::new(),
                };
                (text(f, "name"), at, size(f["size"].as_u64().unwrap_or_default()))
            };
            let files = row["files"].as_array().into_iter().flatten().map(file).collect();
            let s = Shell::new(&app, t, &line.title, "/articles");
            shell::page(
                StatusCode::OK,
                &Article { s, body: text(&row, "body"), until: text(&row, "valid_to"), line, files },
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

/// Whether a file goes out here.
fn fits(file: &Value) -> bool {
    file["size"].as_u64().is_some_and(|size| size <= MAX_FILE)
}

/// A file of an article that is for the public and in force today. It is read whole before the first byte goes out, so that nobody
/// who reads slowly holds the node up.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Extension(From(client)): Extension<From>,
    uri: Uri,
    Path((id, content)): Path<(String, String)>,
) -> Response {
    let t = guard::tongue(&uri);
    let absent = || {
        let text = t.say(
            "没有这个附件，或文章已不再有效。",
            "There is no such file, or its article is in force no more.",
        );
        shell::message(&app, t, StatusCode::NOT_FOUND, text)
    };
    let row = match app.node.ask(Request::Knowledge(KnowledgeRequest::Told { id: id.clone() })).await {
        Ok(row) => row,
        Err(Failure { kind: FailureKind::Absent, .. }) => return absent(),
        Err(failure) => return broken(&app, t, &failure),
    };
    let Some(file) = row["files"].as_array().into_iter().flatten().find(|f| f["content"] == content.as_str())
    else {
        return absent();
    };
    if !fits(file) {
        let text = t.say(
            "附件过大，请拨打 12328 索取。",
            "The file is too large for this page. Please ask for it: call 12328.",
        );
        return shell::message(&app, t, StatusCode::PAYLOAD_TOO_LARGE, text);
    }
    let Ok(turn) = app.downloads.clone().try_acquire_owned() else { return guard::busy(&app, t) };
    if let Err(wait) = app.pace.fetches(client, Instant::now()) {
        return guard::too_fast(&app, t, wait);
    }
    // Whoever hangs up drops this request and not the reading, which would keep its place at the node until it is cleared away.
    let reading = tokio::spawn({
        let app = app.clone();
        async move { (turn, whole(&app, id, content).await) }
    });
    let (turn, bytes) = match reading.await {
        Ok((turn, Ok(bytes))) => (turn, bytes),
        Ok((_, Err(failure))) => return broken(&app, t, &failure),
        Err(e) => {
            let failure = Failure::new(FailureKind::Failed, "a file was not read").because(e);
            return broken(&app, t, &failure);
        }
    };
    let name = Entry::file_name(&text(file, "name"));
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", name.replace('+', "%20"))),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
    ];
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let _turn = turn;
        for at in (0..bytes.len()).step_by(PART) {
            let part = bytes.slice(at..bytes.len().min(at + PART));
            if !matches!(tokio::time::timeout(PATIENCE, send.send(Ok(part))).await, Ok(Ok(()))) {
                return;
            }
        }
    });
    (headers, body(receive)).into_response()
}

/// A file's bytes. What was begun is read to its end, whatever comes: only then its place at the node is free.
async fn whole(app: &App, id: String, content: String) -> Result<Bytes, Failure> {
    let ask = |file| app.node.ask(Request::Knowledge(KnowledgeRequest::File { file }));
    let begun = ask(FileRequest::Fetch { id, name: content, reveal: None, user: None }).await?;
    let download = begun["download"].as_u64().unwrap_or_default();
    let (mut bytes, mut at) = (Vec::new(), 0);
    loop {
        let part = ask(FileRequest::FetchPart { download, at }).await?;
        at = part["at"].as_u64().unwrap_or_default();
        if at <= MAX_FILE {
            bytes.extend(part["hex"].as_str().and_then(unhex).unwrap_or_default());
        }
        match part["end"] == true {
            false => {}
            true if at <= MAX_FILE => return Ok(Bytes::from(bytes)),
            true => {
                return Err(Failure::new(FailureKind::Integrity, "a file is larger than its article says"));
            }
        }
    }
}
