//! The logs, for the auditor: what was done at the desk, and who was shown whom.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::App;
use super::super::frame::{self, Frame};
use super::super::guard::Signed;
use crate::china::shown_time;
use crate::request::Request;
use crate::users::rights::{self, Right};

/// Lines of a page.
const LINES: usize = 100;

/// How many of the newest lines a page hashes anew; `hotline audit --verify` hashes all.
const VERIFIED: u32 = 10_000;

struct Row {
    at: String,
    user: String,
    address: String,
    what: String,
    ticket: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Log {
    f: Frame,
    whole: String,
    broken: String,
    head: String,
    rows: Vec<Row>,
    older: String,
    /// Whether the log of reveals was asked for.
    asked_for: bool,
    reveals: Vec<Row>,
    reveals_broken: String,
}

#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    before: Option<i64>,
    #[serde(default)]
    reveals: bool,
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    if let Err(denied) = rights::may_use(&who.session.account, Right::Audit) {
        app.note(&who, "refused", None, &format!("audit: {denied}")).await.ok();
        return frame::refused(StatusCode::FORBIDDEN, &who, w.may_not);
    }
    let read = async {
        let page = app.on_users(move |users| users.audit(asked.before, LINES + 1)).await?;
        let verified = app.on_users(|users| users.verify_audit(Some(VERIFIED))).await?;
        // The engine reads the whole of its log for this: only for whoever asks for it.
        let reveals = match asked.reveals {
            true => Some(app.ask(&who, Request::Reveals { id: None }).await?),
            false => None,
        };
        Ok((page, verified, reveals))
    };
    let (page, verified, reveals) = match read.await {
        Ok(all) => all,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let older = match page.lines.get(LINES - 1) {
        Some((row, _)) if page.lines.len() > LINES => format!("/audit?before={row}"),
        _ => String::new(),
    };
    let second = |at: &str| at.chars().take(19).collect::<String>().replace('T', " ");
    let rows = page.lines.into_iter().take(LINES).map(|(_, line)| Row {
        at: second(&shown_time(line.at)),
        user: line.user.unwrap_or_default(),
        address: line.address,
        what: line.what,
        ticket: line.ticket.unwrap_or_default(),
        detail: line.detail,
    });
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let asked_for = reveals.is_some();
    let reveals = reveals.unwrap_or_default();
    let lines = reveals["lines"].as_array().into_iter().flatten().rev().take(LINES);
    let reveal_rows = lines.map(|line| Row {
        at: second(&text(&line["at"])),
        user: text(&line["user"]),
        address: String::new(),
        what: text(&line["what"]),
        ticket: text(&line["id"]).chars().take(8).collect(),
        detail: text(&line["reason"]),
    });
    let whole = match &verified.wrong {
        None => format!("{} {}", w.audit_whole, verified.lines),
        Some(_) => String::new(),
    };
    let template = Log {
        f: Frame::new(&app, &who, w.audit, "/audit"),
        whole,
        broken: verified.wrong.unwrap_or_default(),
        head: verified.head,
        rows: rows.collect(),
        older,
        asked_for,
        reveals: reveal_rows.collect(),
        reveals_broken: text(&reveals["wrong"]),
    };
    frame::page(StatusCode::OK, &template)
}
