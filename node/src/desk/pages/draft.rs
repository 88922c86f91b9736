//! Drafts: what is being typed, kept here as well as in the browser.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::super::App;
use super::super::frame;
use super::super::guard::Posted;
use crate::daemon::now_ms;

/// The forms that have drafts.
pub(super) const CALL: &str = "call";

pub(in super::super) async fn save(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    if fields.text("of") != CALL {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let (account, text) = (who.session.account.clone(), fields.secret("text").to_owned());
    match app.on_users(move |users| users.save_draft(&account, CALL, &text, now_ms())).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => frame::status_of(&failure).into_response(),
    }
}
