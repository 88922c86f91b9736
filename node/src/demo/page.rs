//! The demo's page: a map of the nodes and their links, on which a link is cut or healed by a click, calls come in, and
//! every node's desk is a click away.
//!
//! It is served on loopback, to this machine alone. Whatever changes something must carry a header that no other site's
//! page can send, under a host name that no other site has.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, Request as HttpRequest, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Demo, NODES, failed};
use crate::reference::Reference;
use crate::request::{Failure, FailureKind, Request};

const PAGE: &str = include_str!("../../assets/demo.html");
const SCRIPT: &str = include_str!("../../assets/demo.js");
const STYLE: &str = include_str!("../../assets/demo.css");

/// What a page of ours sends, and another site's cannot without being allowed to.
const OURS: &str = "x-demo";

/// Everything comes from here, and nothing is framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The account that every desk of the demo has, and its password: both are on the page.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Its name.
    pub name: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// The one of the demo.
pub const ACCOUNT: Account = Account { name: "demo", password: "lamp-river-cedar" };

struct Page {
    demo: Demo,
    address: SocketAddr,
    /// The port of the first node's desk.
    desks: u16,
}

/// Serves the page until the process ends.
pub(super) async fn serve(demo: Demo, address: SocketAddr, desks: u16) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|e| failed(&format!("the page cannot be served on {address} (TCP)"), e))?;
    let page = Arc::new(Page { demo, address, desks });
    let router = Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route("/demo.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/demo.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/state", get(state))
        .route("/cut", post(cut))
        .route("/heal", post(heal))
        .route("/call", post(call))
        .layer(from_fn_with_state(page.clone(), guard))
        .with_state(page);
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!(error = %e, "the demo's page is no longer served");
        }
    });
    Ok(())
}

fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], content)
}

/// Turns away what a page of another site may have sent.
async fn guard(State(page): State<Arc<Page>>, request: HttpRequest, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let port = page.address.port();
    let known = [page.address.to_string(), format!("localhost:{port}")].iter().any(|name| name == host);
    if !known || (request.method() != "GET" && !request.headers().contains_key(OURS)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn reply(done: Result<Value, Failure>) -> Response {
    match done {
        Ok(value) => Json(value).into_response(),
        Err(failure) => {
            let status = match failure.kind {
                FailureKind::Usage => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::CONFLICT,
            };
            (status, Json(json!({ "error": failure.message, "hint": failure.hint }))).into_response()
        }
    }
}

/// `{"nodes":[{"node","name","desk","documents","custody"}],"links":[{"a","b","state","outbox"}],"account"}`; a link is
/// `equal`, `talking`, `down`, `stick-equal`, `stick-apart` or `stick-home`; `outbox` is what each end must still get.
async fn state(State(page): State<Arc<Page>>) -> Response {
    let all = match page.demo.status().await {
        Ok(all) => all,
        Err(failure) => return reply(Err(failure)),
    };
    let names = &Reference::built_in().centres;
    let nodes = all.iter().filter_map(|status| {
        let node = status["node"].as_str()?;
        let place = NODES.iter().position(|known| *known == node)? as u16;
        Some(json!({
            "node": node,
            "name": node.parse().map(|site| names.name(site).into_owned()).unwrap_or_default(),
            "desk": format!("http://127.0.0.1:{}/", page.desks + place),
            "documents": status["documents"],
            "custody": status["custody"],
        }))
    });
    let mut links = Vec::new();
    for status in &all {
        let a = status["node"].as_str().unwrap_or_default();
        for peer in status["peers"].as_array().into_iter().flatten() {
            let b = peer["node"].as_str().unwrap_or_default();
            let back = all.iter().find(|s| s["node"] == b).and_then(|s| s["peers"].as_array());
            let back = back.into_iter().flatten().find(|p| p["node"] == a).unwrap_or(&Value::Null);
            if a < b && !back.is_null() {
                links.push(json!({
                    "a": a, "b": b, "state": link(peer, back), "outbox": [peer["outbox"], back["outbox"]],
                }));
            }
        }
    }
    let account = json!({ "name": ACCOUNT.name, "password": ACCOUNT.password });
    reply(Ok(json!({ "nodes": nodes.collect::<Vec<_>>(), "links": links, "account": account })))
}

fn link(one: &Value, other: &Value) -> &'static str {
    match one["by_stick"].as_str() {
        Some("equal") => return "stick-equal",
        Some("at home") => return "stick-home",
        Some(_) => return "stick-apart",
        None => {}
    }
    let both = |key: &str| one[key] == true && other[key] == true;
    match (both("connected"), both("digest_equal")) {
        (true, true) => "equal",
        (true, false) => "talking",
        (false, _) => "down",
    }
}

#[derive(Deserialize)]
struct Ends {
    a: String,
    b: String,
}

async fn cut(State(page): State<Arc<Page>>, Query(ends): Query<Ends>) -> Response {
    reply(page.demo.hold(&ends.a, &ends.b, true).await.map(|()| json!({})))
}

async fn heal(State(page): State<Arc<Page>>, Query(ends): Query<Ends>) -> Response {
    reply(page.demo.hold(&ends.a, &ends.b, false).await.map(|()| json!({})))
}

#[derive(Deserialize)]
struct Caller {
    node: String,
}

/// A sample call comes in at a node: `{"id","number"}`.
async fn call(State(page): State<Arc<Page>>, Query(caller): Query<Caller>) -> Response {
    let samples: Vec<&str> = include_str!("../../../fixtures/samples.jsonl").lines().collect();
    let mut drawn = [0; 2];
    if let Err(e) = getrandom::fill(&mut drawn) {
        return reply(Err(failed("the system gives no random numbers", e)));
    }
    let line = samples[usize::from(u16::from_be_bytes(drawn)) % samples.len()];
    let mut sample: Value = match serde_json::from_str(line) {
        Ok(sample) => sample,
        Err(e) => return reply(Err(failed("a sample call cannot be read", e))),
    };
    sample["region_code"] = json!(caller.node.get(..6).unwrap_or_default());
    let made = page.demo.ask(&caller.node, Request::New { tickets: vec![sample], user: None }).await;
    reply(made.map(|made| json!({ "id": made[0]["id"], "number": made[0]["number"] })))
}
