//! What every request passes: who may speak to this socket, how fast, how many at once, and what browsers need to guard a
//! page.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::shell::{self, Tongue};
use super::{App, from};
use crate::desk::{Client, Fields};

/// How long a page may take, with the form that it reads.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the body of a form may take. It is read before there is room for it: whoever sends slowly holds nobody up.
const READING: Duration = Duration::from_secs(10);

/// The largest form: three thousand Chinese characters are twenty-seven thousand bytes on their way.
pub(super) const MAX_FORM: usize = 64 << 10;

/// Nothing but this page's own style; no script at all, no frame, no form to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Whose request it is, as it is counted.
#[derive(Clone, Copy)]
pub(super) struct From(pub(super) IpAddr);

/// The language that an address asks for.
pub(super) fn tongue(uri: &axum::http::Uri) -> Tongue {
    let asked = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let lang = asked.take(16).find(|(name, _)| name == "lang").map(|(_, lang)| lang.into_owned());
    Tongue::of(lang.as_deref().unwrap_or_default())
}

/// Looks at a request before any page does.
pub(super) async fn surround(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let t = tongue(request.uri());
    let peer = request.extensions().get::<Client>().map_or(Ipv4Addr::UNSPECIFIED.into(), |client| client.0);
    let client = from::client(peer, request.headers(), &app.proxies);
    request.extensions_mut().insert(From(client));
    let mut response = admitted(&app, t, peer, client, request, next).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if app.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

async fn admitted(
    app: &Arc<App>,
    t: Tongue,
    peer: IpAddr,
    client: IpAddr,
    request: Request,
    next: Next,
) -> Response {
    // Without HTTPS only this machine and the proxies speak here: nobody else's words should cross a network in clear.
    if !app.secure && !peer.is_loopback() && !app.proxies.contains(&peer) {
        let text =
            t.say("请通过本热线公布的网址访问。", "Please use the address that this hotline has published.");
        return shell::message(app, t, StatusCode::FORBIDDEN, text);
    }
    if let Err(wait) = app.pace.asks(client, Instant::now()) {
        return too_fast(app, t, wait);
    }
    next.run(request).await
}

/// Reads a body before a page works on it, and lets so many work at once.
pub(super) async fn whole(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (app, t) = (&*app, tongue(request.uri()));
    let (parts, body) = request.into_parts();
    let bytes = match tokio::time::timeout(READING, axum::body::to_bytes(body, MAX_FORM)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = t.say("提交的内容过大。", "What was sent is too large.");
            return shell::message(app, t, StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        Err(_) => {
            let text = t.say("提交超时，请重试。", "It took too long to send; please try again.");
            return shell::message(app, t, StatusCode::REQUEST_TIMEOUT, text);
        }
    };
    let request = Request::from_parts(parts, Body::from(bytes));
    let Ok(_held) = app.room.try_acquire() else { return busy(app, t) };
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => busy(app, t),
    }
}

/// The page for a time at which others fill the room.
pub(super) fn busy(app: &App, t: Tongue) -> Response {
    let text = t.say(
        "当前访问人数较多，请稍后再试，或拨打 12328。",
        "Many people are here just now. Please try again soon, or call 12328.",
    );
    shell::after(shell::message(app, t, StatusCode::SERVICE_UNAVAILABLE, text), Duration::from_secs(5))
}

/// The page for an address that asks too fast.
pub(super) fn too_fast(app: &App, t: Tongue, wait: Duration) -> Response {
    let wait_words = shell::wait_in_words(t, wait);
    let text = match t.is_english() {
        true => format!("Too many requests from your network. Please wait {wait_words}, or call 12328."),
        false => format!("您所在网络的请求过于频繁，请 {wait_words}后再试，或拨打 12328。"),
    };
    shell::after(shell::message(app, t, StatusCode::TOO_MANY_REQUESTS, &text), wait)
}

/// Reads a form's body, or gives the page that says why not.
pub(super) async fn read_form(app: &App, headers: &HeaderMap, body: Body) -> Result<Fields, Response> {
    let t = Tongue(crate::request::Language::Zh);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        let text = "这不是表单。 This is not a form.";
        return Err(shell::message(app, t, StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let bytes = axum::body::to_bytes(body, MAX_FORM).await.unwrap_or_default();
    Fields::read(&bytes).ok_or_else(|| {
        let text = "提交的内容过多。 What was sent has too many fields.";
        shell::message(app, t, StatusCode::PAYLOAD_TOO_LARGE, text)
    })
}
