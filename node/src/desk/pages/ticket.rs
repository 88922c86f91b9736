//! A ticket: what it is, where it stands, how it came there, and what whoever looks may do now.

mod view;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::acts;
use super::super::forms::Fields;
use super::super::frame;
use super::super::guard::{Posted, Signed, is_denied, sentence};
use super::super::{App, frame::Frame};
use super::call::Problem;
use crate::files::FileRequest;
use crate::request::{Failure, FailureKind, Request};
use crate::users::rights::Right;
use view::{Given, Ticket};

/// Longest reason and note, by what the engine takes.
const MAX_REASON: usize = 500;

/// What was done just before this page.
#[derive(Deserialize)]
pub(in super::super) struct Said {
    #[serde(default)]
    said: String,
    #[serde(default)]
    done: String,
}

/// A form that did not lead to what it asked for.
#[derive(Default)]
struct Tried<'a> {
    act: &'a str,
    fields: Option<&'a Fields>,
    problems: Vec<Problem>,
}

/// Asks for all of a ticket that this account may see.
async fn given(
    app: &App,
    who: &Signed,
    id: &str,
    shown: Option<serde_json::Value>,
) -> Result<Given, Failure> {
    let revealed = shown.is_some();
    let shown = match shown {
        Some(shown) => shown,
        None => app.ask(who, Request::Show { id: id.to_owned(), reveal: None, user: None }).await?,
    };
    let id = shown["id"].as_str().unwrap_or_default().to_owned();
    if shown["not_counted"] == true {
        return Ok(Given { shown, revealed, ..Given::default() });
    }
    let language = who.language();
    let history = app.ask(who, Request::History { id: id.clone(), language }).await?;
    let choices = app.ask(who, Request::Choices { id: id.clone(), language }).await?;
    let list = FileRequest::List { id, reveal: None, user: None };
    let files = app.ask(who, Request::File(list)).await?;
    let code = match shown["number"].as_str().and_then(|number| number.parse().ok()) {
        Some(number) => app.on_users(move |users| Ok(users.query_secret()?.code(number).to_string())).await?,
        None => String::new(),
    };
    Ok(Given { shown, history, choices, files, revealed, code })
}

async fn page(
    app: &App,
    who: &Signed,
    id: &str,
    shown: Option<serde_json::Value>,
    notice: String,
    tried: Tried<'_>,
    status: StatusCode,
) -> Response {
    let given = match given(app, who, id, shown).await {
        Ok(given) => given,
        Err(failure) => return frame::failure(who, &failure),
    };
    let id = given.shown["id"].as_str().unwrap_or(id).to_owned();
    let number = given.shown["number"].as_str().unwrap_or_default();
    let title = format!("{} {number}", who.words().ticket);
    let frame = Frame::new(app, who, title, &format!("/ticket/{id}"))
        .notice(notice)
        .live(format!("/events?ticket={id}"))
        .beside(&app.presence.others(&id, who.name()));
    frame::page(status, &Ticket::of(app, who, frame, &given, &tried))
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Response {
    let w = who.words();
    let notice = match (said.said.as_str(), w.act(&said.done)) {
        ("new", _) => w.done_new.to_owned(),
        ("note", _) => w.done_note.to_owned(),
        ("file", _) => w.done_file.to_owned(),
        (_, "") => String::new(),
        (_, act) => format!("{} {act}", w.done_act),
    };
    page(&app, &who, &id, None, notice, Tried::default(), StatusCode::OK).await
}

pub(in super::super) async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { who, fields } = posted;
    let name = fields.text("do");
    match acts::read(name, &fields, who.words()) {
        Ok(act) => match app.ask(&who, Request::Act { id: id.clone(), act, user: None }).await {
            Ok(_) => Redirect::to(&format!("/ticket/{id}?done={name}")).into_response(),
            Err(failure) => match no_centre(&app, &who, name, &fields, &failure) {
                Some(problem) => {
                    let tried = Tried { act: name, fields: Some(&fields), problems: vec![problem] };
                    page(&app, &who, &id, None, String::new(), tried, frame::status_of(&failure)).await
                }
                None => after_failure(&app, &who, &id, name, &fields, &failure).await,
            },
        },
        Err(wrong) if wrong.is_empty() => {
            frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, who.words().not_found)
        }
        Err(wrong) => {
            let problem = |w: acts::Wrong| Problem { href: format!("#{name}-{}", w.field), text: w.why };
            let problems = wrong.into_iter().map(problem).collect();
            let tried = Tried { act: name, fields: Some(&fields), problems };
            page(&app, &who, &id, None, String::new(), tried, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// What is wrong with where a ticket was to go, if that is what the node refused.
fn no_centre(app: &App, who: &Signed, act: &str, fields: &Fields, failure: &Failure) -> Option<Problem> {
    if failure.kind != FailureKind::Usage || !["offer", "assign"].contains(&act) {
        return None;
    }
    let (w, reference, to) = (who.words(), app.reference(), fields.text("to"));
    let code = to.split_whitespace().next().unwrap_or_default();
    if code.parse().is_ok_and(|site| reference.centres.get(site).is_some()) {
        return None; // it was something else, such as a reason that is too long
    }
    let place = to.get(..6).and_then(|code| code.parse().ok());
    let near = match place.and_then(|place| reference.centre_for(place)) {
        Some(site) => format!(" {} {site} {}", w.near_centre, reference.centres.name(site)),
        None => String::new(),
    };
    Some(Problem { href: format!("#{act}-to"), text: format!("{}: {}{near}", w.field("to"), w.no_centre) })
}

/// Whoever asks for a form's address anew gets the ticket.
pub(in super::super) async fn back(_: Signed, Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/ticket/{id}"))
}

/// The ticket's page after an action that was not granted, with what was typed.
pub(super) async fn after_failure(
    app: &App,
    who: &Signed,
    id: &str,
    act: &str,
    fields: &Fields,
    failure: &Failure,
) -> Response {
    // Somebody without the right learns that, and no more of the ticket than before.
    if is_denied(failure) {
        return frame::failure(who, failure);
    }
    let w = who.words();
    let more = failure.causes.iter().chain(&failure.hint).map(String::as_str);
    let said: Vec<&str> = [sentence(failure)].into_iter().chain(more).collect();
    let text = format!("{} ({}): {}", w.failed, w.act(act), said.join(" — "));
    let problems = vec![Problem { href: format!("#act-{act}"), text }];
    let tried = Tried { act, fields: Some(fields), problems };
    page(app, who, id, None, String::new(), tried, frame::status_of(failure)).await
}

pub(in super::super) async fn note(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { who, fields } = posted;
    let request = Request::Note { id: id.clone(), text: fields.text("note").to_owned(), user: None };
    match app.ask(&who, request).await {
        Ok(_) => Redirect::to(&format!("/ticket/{id}?said=note")).into_response(),
        Err(failure) if is_denied(&failure) => frame::failure(&who, &failure),
        Err(failure) => {
            let text = format!("{}: {}", who.words().note_text, sentence(&failure));
            let problems = vec![Problem { href: "#note".to_owned(), text }];
            let tried = Tried { act: "note", fields: Some(&fields), problems };
            page(&app, &who, &id, None, String::new(), tried, frame::status_of(&failure)).await
        }
    }
}

/// Shows the caller, once: this page is not kept, and the log has the reason.
pub(in super::super) async fn reveal(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { who, fields } = posted;
    let w = who.words();
    let reason: String = fields.text("reveal").chars().take(MAX_REASON).collect();
    if reason.is_empty() {
        let problem =
            Problem { href: "#reveal".to_owned(), text: format!("{}: {}", w.reveal_reason, w.fill_in) };
        let tried = Tried { problems: vec![problem], ..Tried::default() };
        return page(&app, &who, &id, None, String::new(), tried, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    // Whoever sits at the confidential desk asks there; the engine says no to everybody else.
    let desk = who.session.account.role.has(Right::Confidential);
    match app.ask(&who, Request::Reveal { id: id.clone(), reason, desk, user: None }).await {
        Ok(shown) => {
            page(&app, &who, &id, Some(shown), w.reveal_shown.to_owned(), Tried::default(), StatusCode::OK)
                .await
        }
        Err(failure) => frame::failure(&who, &failure),
    }
}
