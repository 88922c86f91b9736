//! The pages: one room each, and what surrounds all of them.

mod accounts;
mod audit;
mod call;
mod calls;
mod choice;
mod draft;
mod figures;
pub(super) mod file;
mod form;
mod knowledge;
mod own;
mod password;
mod plan;
mod queue;
mod rules;
mod scorecard;
mod sign_in;
mod ticket;
mod wall;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::forms::MAX_FORM;
use super::guard::{Newcomer, NewcomerPosted};
use super::upload::{MAX_BESIDE, MAX_UPLOAD};
use super::words::Words;
use super::{App, api, assets, frame, live};
use crate::request::Language;

/// How long a page may take, with the form that it reads.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing but this page's own files; no script or style within a page, no frame, no form to elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/password", get(password::show).post(password::change))
        .route("/language", post(language))
        .route("/queue/{queue}", get(queue::show))
        .route("/new", get(call::show).post(call::take))
        .route("/calls", get(calls::show))
        .route("/calls/take", post(calls::take))
        .route("/draft", post(draft::save))
        .route("/ticket/{id}", get(ticket::show))
        .route("/ticket/{id}/act", post(ticket::act).get(ticket::back))
        .route("/ticket/{id}/note", post(ticket::note).get(ticket::back))
        .route("/ticket/{id}/reveal", post(ticket::reveal).get(ticket::back))
        .route(
            "/ticket/{id}/file",
            post(file::attach).get(ticket::back).layer(DefaultBodyLimit::max(MAX_UPLOAD + MAX_BESIDE)),
        )
        .route("/ticket/{id}/file/{content}", get(file::fetch))
        .route("/knowledge", get(knowledge::show))
        .route("/knowledge/new", get(knowledge::form::blank).post(knowledge::form::make))
        .route("/knowledge/{id}", get(knowledge::article::show))
        .route("/knowledge/{id}/edit", get(knowledge::form::next).post(knowledge::form::revise))
        .route("/knowledge/{id}/act", post(knowledge::article::act).get(knowledge::article::back))
        .route(
            "/knowledge/{id}/file",
            post(file::attach_to_article)
                .get(knowledge::article::back)
                .layer(DefaultBodyLimit::max(MAX_UPLOAD + MAX_BESIDE)),
        )
        .route("/knowledge/{id}/file/{content}", get(file::fetch_of_article))
        .route("/figures", get(figures::show))
        .route("/figures/{end}", get(figures::file))
        .route("/figures/tickets", get(figures::tickets))
        .route("/figures/form", get(form::show))
        .route("/figures/form/xlsx", get(form::file))
        .route("/scorecard", get(scorecard::show).post(scorecard::freeze))
        .route("/scorecard/{end}", get(scorecard::file))
        .route(
            "/plan",
            get(plan::show).post(plan::read).layer(DefaultBodyLimit::max(MAX_UPLOAD + MAX_BESIDE)),
        )
        .route("/plan/{end}", get(plan::file))
        .route("/rules", get(rules::list))
        .route(
            "/rules/{table}",
            get(rules::show).post(rules::change).layer(DefaultBodyLimit::max(rules::MAX_RULE)),
        )
        .route("/rules/{table}/csv", get(rules::file))
        .route("/wall", get(wall::show))
        .route("/accounts", get(accounts::show).post(accounts::change))
        .route("/audit", get(audit::show))
        .route("/events", get(live::events))
        .route("/assets/{name}", get(assets::asset))
        .merge(api::router())
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn_with_state(app.clone(), surround))
        .with_state(app)
}

/// Bounds a page in time, and sends what browsers need to guard it.
async fn surround(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => frame::plain(StatusCode::SERVICE_UNAVAILABLE, Words::of(Language::Zh).too_slow),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.jar.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// The first page that this account may see.
async fn home(State(app): State<Arc<App>>, Newcomer(who): Newcomer) -> Response {
    if who.session.account.must_change {
        return Redirect::to("/password").into_response();
    }
    let first = frame::Frame::new(&app, &who, "", "/").nav.first().map_or("/wall", |link| link.href);
    Redirect::to(first).into_response()
}

/// The other language from now on; back to the page it was asked on.
async fn language(State(app): State<Arc<App>>, posted: NewcomerPosted) -> Response {
    let NewcomerPosted { who, fields } = posted;
    let language = match who.language() {
        Language::Zh => Language::En,
        Language::En => Language::Zh,
    };
    let session = who.session.clone();
    if let Err(failure) = app.on_users(move |users| users.speak(&session, language)).await {
        return frame::failure(&who, &failure);
    }
    Redirect::to(within(fields.text("here"))).into_response()
}

/// A path of this desk, or its first page: never another site's.
fn within(path: &str) -> &str {
    let fine = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\n', '\r']);
    if fine { path } else { "/" }
}

async fn nothing() -> Response {
    frame::plain(StatusCode::NOT_FOUND, Words::of(Language::Zh).not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_never_leaves_the_desk() {
        assert_eq!(within("/queue/held?before=3"), "/queue/held?before=3");
        for out in ["//evil", "https://evil", "/\\evil", "", "javascript:1", "/a\r\nb"] {
            assert_eq!(within(out), "/", "{out}");
        }
    }
}
