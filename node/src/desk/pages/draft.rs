//! Drafts: what is being typed, kept here as well as in the browser.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::super::App;
use super::super::frame;
use super::super::guard::Posted;
use crate::daemon::now_ms;
use crate::hex::hex;

/// What the draft of the form of a call is named; each call of the telephone system has its own, so that none that opens
/// replaces what was being typed.
pub(super) fn of(call: &str) -> String {
    match call {
        "" => "call".to_owned(),
        call => format!("call {}", hex(&blake3::hash(call.as_bytes()).as_bytes()[..12])),
    }
}

/// Whether something is such a name.
fn is_one(of: &str) -> bool {
    let hash = |hash: &str| hash.len() == 24 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    of == "call" || of.strip_prefix("call ").is_some_and(hash)
}

pub(in super::super) async fn save(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    let of = fields.text("of").to_owned();
    if !is_one(&of) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let (account, text) = (who.session.account.clone(), fields.secret("text").to_owned());
    match app.on_users(move |users| users.save_draft(&account, &of, &text, now_ms())).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => frame::status_of(&failure).into_response(),
    }
}
