//! Asking again does nothing twice: the answer under an `Idempotency-Key` is given again.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::App;
use super::super::guard::Signed;
use super::call::call;
use super::problem::Problem;
use super::routes::Route;
use super::{Asked, Done};
use crate::daemon::now_ms;
use crate::users::{Answer, Begun, MAX_KEY};

const KEY: &str = "idempotency-key";

/// Tells that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key that came with a request.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let fine = !text.is_empty() && text.len() <= MAX_KEY && text.bytes().all(|b| b.is_ascii_graphic());
    match fine {
        true => Ok(Some(text.to_owned())),
        false => {
            Err(Problem::bad(format!("an Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters")))
        }
    }
}

/// What makes two requests the same: where they go and what they bring.
pub(super) fn fingerprint(route: &Route, asked: &Asked, body: &[u8]) -> [u8; 32] {
    let state = asked.headers.get("if-match").map(HeaderValue::as_bytes).unwrap_or_default();
    let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 api request");
    let path: Vec<&str> = asked.path.iter().map(|(_, value)| value.as_str()).collect();
    for part in [route.path.as_bytes(), path.join("/").as_bytes(), state, body] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Calls, unless this was asked before under this key. It goes on when whoever asked has gone.
pub(super) async fn once(
    app: Arc<App>,
    who: Signed,
    token: i64,
    key: String,
    seen: [u8; 32],
    route: &'static Route,
    asked: Asked,
) -> Result<Response, Problem> {
    let broken =
        || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the request ended in the middle");
    tokio::spawn(async move { guarded(app, who, token, key, seen, route, asked).await })
        .await
        .map_err(|_| broken())?
}

async fn guarded(
    app: Arc<App>,
    who: Signed,
    token: i64,
    key: String,
    seen: [u8; 32],
    route: &'static Route,
    asked: Asked,
) -> Result<Response, Problem> {
    let begun = {
        let key = key.clone();
        app.on_users(move |users| users.begin_answer(token, &key, &seen, now_ms())).await?
    };
    match begun {
        Begun::Fresh => {}
        Begun::Kept(answer) => return Ok(again(answer)),
        Begun::Open => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "open",
                "this request has begun, and has no answer yet",
            )
            .hint("ask again in a moment; if the node was stopped meanwhile, look whether it was done, and use another key"));
        }
        Begun::Other => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-used",
                "this Idempotency-Key was used for another request",
            )
            .hint("use a new key for every request, and the same one only to repeat it"));
        }
        Begun::Full => return Err(Problem::too_fast(std::time::Duration::from_secs(3_600))),
    }
    match call(&app, &who, route.op, &asked).await {
        Ok(done) => {
            let answer = Answer {
                status: done.status.as_u16(),
                location: done.location.clone(),
                body: done.body.to_string().into_bytes(),
            };
            if let Err(failure) = app.on_users(move |users| users.answered(token, &key, &answer)).await {
                // It is done and must not say that it failed; asking again finds the key open.
                tracing::error!(%failure, "an answer could not be kept under its key");
            }
            Ok(done.into_response())
        }
        Err(problem) => {
            if problem.did_nothing()
                && let Err(failure) = app.on_users(move |users| users.given_up(token, &key)).await
            {
                tracing::error!(%failure, "a key could not be freed");
            }
            Err(problem)
        }
    }
}

fn again(answer: Answer) -> Response {
    let done = Done {
        status: StatusCode::from_u16(answer.status).unwrap_or_default(),
        body: serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
        location: answer.location,
        etag: None,
    };
    let mut response = done.into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
