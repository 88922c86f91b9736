//! `/api/v1`: what programs ask, with tokens in place of sessions, and through the same door as the pages.
//!
//! ```text
//! program ─TLS─> listen ─> route (one row of `routes::ROUTES`) ─> token ─> pace ─> head, body ─> key ─> call ─> guard ─> node
//!                                                                                               └ asked before: that answer
//! ```
//!
//! The table of routes makes both the router and, with the shapes of answers, the description at `/api/v1/openapi.json`. *Never*: a call reaches the node
//! but through the guard; a caller's data is kept with an answer; a cookie counts here.

mod acts;
mod bearer;
mod call;
mod cti;
mod file;
mod once;
mod openapi;
mod pace;
mod problem;
mod recording;
mod route;
mod routes;
mod shapes;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use serde_json::Value;

use super::App;
use super::forms::MAX_FORM;
use crate::users::Scope;
pub(super) use pace::Pace;
use problem::Problem;
pub(super) use recording::{attach_due, sweep};
use routes::{Op, ROUTES, Route, Takes, Verb};
pub(super) use stream::Streams;

/// Where it is served.
pub(super) const ROOT: &str = "/api/v1";

/// What a program has asked, read and within every cap.
struct Asked {
    /// Of the path.
    path: Vec<(String, String)>,
    /// Of the query, each known to the route.
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
}

impl Asked {
    fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered when all went well.
#[derive(Default)]
struct Done {
    status: StatusCode,
    body: Value,
    etag: Option<String>,
    location: Option<String>,
}

impl Done {
    fn ok(body: Value) -> Done {
        Done { body, ..Done::default() }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let text = self.body.to_string();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value: Option<String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        };
        set(header::ETAG, self.etag.map(|state| format!("\"{state}\"")));
        set(header::LOCATION, self.location);
        if self.status != StatusCode::NOT_MODIFIED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *response.body_mut() = Body::from(text);
        }
        response
    }
}

/// Its part of the desk's router.
pub(super) fn router() -> Router<Arc<App>> {
    let mut router = Router::new();
    for route in ROUTES {
        let filter = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
        };
        let serve = move |State(app): State<Arc<App>>, path: RawPathParams, request: HttpRequest| async move {
            let path = path.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            served(app, route, path, request).await.unwrap_or_else(IntoResponse::into_response)
        };
        router = router.route(route.path, on(filter, serve));
    }
    let absent = || async { Problem::absent("nothing is served here").hint("see /api/v1/openapi.json") };
    let method = || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not with this method") };
    Router::new().nest(ROOT, router.fallback(absent).method_not_allowed_fallback(method))
}

async fn served(
    app: Arc<App>,
    route: &'static Route,
    path: Vec<(String, String)>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if route.op == Op::Document {
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(([json], openapi::document()).into_response());
    }
    let in_address = (route.op == Op::CallEventAt)
        .then(|| path.iter().find(|(key, _)| key == "token").map_or("", |(_, value)| value.as_str()));
    let (token, who) = bearer::enter(&app, &parts, in_address).await?;
    app.pace.take(token.id, std::time::Instant::now()).map_err(Problem::too_fast)?;
    if in_address.is_some() {
        cti::fits_an_address(&token)?;
    }
    if let Some(scope @ (Scope::CtiRead | Scope::CtiWrite)) = route.scope {
        cti::may(&app, &who, scope).await?;
    }
    let kind = if route.op == Op::Stream { "text/event-stream" } else { "application/json" };
    if route.op != Op::Fetch && !takes(&parts.headers, kind) {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            format!("answers are {kind}"),
        ));
    }
    let query = read_query(route, parts.uri.query().unwrap_or_default())?;
    let mut asked = Asked { path, query, headers: parts.headers, body: Value::Null };
    match (route.op, route.takes) {
        (Op::CallEvent | Op::CallEventAt, _) => {
            return Ok(cti::event(&app, &who, &asked, body).await?.into_response());
        }
        (Op::CallRecording, _) => {
            return Ok(recording::put(&app, &token, &who, &asked, body).await?.into_response());
        }
        (Op::Attach, _) => return Ok(file::attach(&app, &who, &asked, body).await?.into_response()),
        (Op::Fetch, _) => return file::fetch(app, who, &asked).await,
        (Op::Stream, _) => return stream::stream(app, &token, who, &asked).await,
        (_, Takes::Nothing | Takes::Bytes | Takes::Event(_)) => {}
        (_, Takes::Json(fields)) => {
            let bytes = read_json_bytes(&asked.headers, body).await?;
            let key = once::key(&asked.headers)?;
            asked.body = serde_json::from_slice(&bytes).map_err(|e| {
                Problem::new(StatusCode::BAD_REQUEST, "not-json", format!("the body is no JSON: {e}"))
            })?;
            let Some(given) = asked.body.as_object() else {
                return Err(Problem::invalid("the body is to be an object"));
            };
            // What an action takes is in its own row; engine and import look closer at everything.
            for (name, kind, required) in fields {
                acts::filled_in(given, name, *kind, *required)?;
            }
            if let (Some(key), true) = (key, route.op != Op::Reveal) {
                let seen = once::fingerprint(route, &asked, &bytes);
                return once::once(app, who, token.id, key, seen, route, asked).await;
            }
        }
    }
    Ok(call::call(&app, &who, route.op, &asked).await?.into_response())
}

/// The query, if the route knows every name in it, each once.
fn read_query(route: &Route, text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut query: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let shown: String = name.chars().take(40).collect();
        if !route.query.iter().any(|known| known.name == name) {
            return Err(Problem::bad(format!("`{shown}` is no parameter here")));
        }
        if query.iter().any(|(before, _)| *before == name) {
            return Err(Problem::bad(format!("`{shown}` is given twice")));
        }
        query.push((name.into_owned(), value.into_owned()));
    }
    if let Some(missing) = route.query.iter().find(|p| p.required && !query.iter().any(|(n, _)| n == p.name))
    {
        return Err(Problem::bad(format!("the parameter `{}` is missing", missing.name)));
    }
    Ok(query)
}

/// Whether whoever asks takes this kind of answer; one that says nothing does. A problem is JSON whatever was asked for.
fn takes(headers: &HeaderMap, offered: &str) -> bool {
    let mut lines = headers.get_all(header::ACCEPT).iter().peekable();
    if lines.peek().is_none() {
        return true;
    }
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|one| {
        let kind = one.split(';').next().unwrap_or_default().trim();
        let group = kind.strip_suffix("/*").is_some_and(|group| offered.split('/').next() == Some(group));
        kind == "*/*" || kind == offered || group || kind == "application/problem+json"
    })
}

async fn read_json_bytes(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "send application/json"));
    }
    let bytes = axum::body::to_bytes(body, MAX_FORM).await.map_err(|_| Problem::too_large(MAX_FORM))?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_to_whoever_takes_its_kind() {
        let json = "application/json";
        let check = |accept: &str, taken: bool| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(takes(&headers, json), taken, "{accept}");
        };
        let events = HeaderMap::from_iter([(header::ACCEPT, "text/event-stream".parse().unwrap())]);
        assert!(takes(&events, "text/event-stream") && !takes(&events, json));
        check("*/*", true);
        check("text/html, application/json;q=0.5", true);
        check("application/*", true);
        check("text/html", false);
        check("application/xml", false);
        assert!(takes(&HeaderMap::new(), json));
    }

    #[test]
    fn a_query_is_known_to_its_route() {
        let list = ROUTES.iter().find(|r| r.op == Op::List).unwrap();
        assert_eq!(read_query(list, "queue=all&limit=3").ok().map(|q| q.len()), Some(2));
        for wrong in ["que=all", "queue=all&queue=held"] {
            assert!(read_query(list, wrong).is_err(), "{wrong}");
        }
        let attach = ROUTES.iter().find(|r| r.op == Op::Attach).unwrap();
        assert!(read_query(attach, "").is_err(), "the name is missing");
    }
}
