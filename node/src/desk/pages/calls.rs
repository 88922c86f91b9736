//! Calls that the telephone system told of: those that nobody has taken, the own ones without a ticket, those that were
//! missed. What is happening now stands in a part of its own, which other pages show as well.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::super::App;
use super::super::frame::{self, Frame};
use super::super::guard::{Posted, Signed};
use super::super::live::Rang;
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::import::mask_phones;
use crate::users::rights::{self, Right};
use crate::users::{Call, Stage};

/// How long a call that is over still counts as the present one: its form may not be open yet.
const RECENT_MS: u64 = 10 * 60_000;

struct Row {
    id: String,
    href: String,
    /// The caller's number, masked.
    number: String,
    called: String,
    queue: String,
    at: String,
    stage: &'static str,
}

#[derive(Template)]
#[template(path = "calls.html")]
struct Calls {
    f: Frame,
    open: Vec<Row>,
    now: Vec<Row>,
    mine: Vec<Row>,
    missed: Vec<Row>,
}

/// The address of a call's form. A call's id says nothing of its caller.
pub(super) fn form_of(id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/new?call={id}")
}

/// Whether somebody may take calls; the page that says no otherwise.
pub(super) fn may(who: &Signed) -> Result<(), Box<Response>> {
    match rights::may_use(&who.session.account, Right::Take) {
        Ok(()) => Ok(()),
        Err(_) => Err(Box::new(frame::refused(StatusCode::FORBIDDEN, who, who.words().may_not))),
    }
}

pub(in super::super) async fn show(State(app): State<Arc<App>>, who: Signed) -> Response {
    if let Err(no) = may(&who) {
        return *no;
    }
    let (w, account, now) = (who.words(), who.session.account.clone(), now_ms());
    let calls = match app.on_users(move |users| users.calls(&account, now)).await {
        Ok(calls) => calls,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let row = |call: &Call| Row {
        href: form_of(&call.id),
        number: call.number.as_deref().map_or_else(|| w.number_unknown.to_owned(), |n| mask_phones(n).into()),
        called: call.called.clone(),
        queue: call.queue.clone(),
        at: frame::minute(&shown_time(call.at)),
        stage: match call.stage {
            Stage::Ringing => w.call_ringing,
            Stage::Answered => w.call_answered,
            Stage::Ended => w.call_ended,
        },
        id: call.id.clone(),
    };
    let rows = |calls: &[Call]| calls.iter().map(row).collect::<Vec<_>>();
    let present = |call: &&Call| call.stage != Stage::Ended || now.abs_diff(call.changed_at) < RECENT_MS;
    let template = Calls {
        f: Frame::new(&app, &who, w.calls, "/calls"),
        open: rows(&calls.open),
        now: calls.mine.iter().filter(present).map(row).collect(),
        mine: rows(&calls.mine),
        missed: rows(&calls.missed),
    };
    frame::page(StatusCode::OK, &template)
}

/// Takes a call that is nobody's yet, and opens its form.
pub(in super::super) async fn take(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    if let Err(no) = may(&who) {
        return *no;
    }
    let (id, account) = (fields.text("call").to_owned(), who.session.account.clone());
    let own = account.id;
    if let Err(failure) = app.note(&who, "call take", None, &id).await {
        return frame::failure(&who, &failure);
    }
    match app.on_users(move |users| users.take_call(&id, &account)).await {
        Ok(call) if call.account == Some(own) => {
            let _ = app.calls.send(Rang::Changed); // nobody may be listening
            Redirect::to(&form_of(&call.id)).into_response()
        }
        Ok(_) => frame::refused(StatusCode::CONFLICT, &who, who.words().call_of_another),
        Err(failure) => frame::failure(&who, &failure),
    }
}
