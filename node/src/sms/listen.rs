//! The gateway's door: what came in, and delivery reports.
//!
//! ```text
//! /sms/in?key=KEY&from=%p&to=%P&id=%I&time=%t&coding=%c&charset=%C&text=%b      200 when it is on the disk
//! /sms/report?row=ROW&key=KEY&type=%d                                           200 when it is
//! ```
//!
//! Only the gateway's addresses are heard, and only with the key. An answer has no body: a gateway would send it on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::get;

use super::App;
use super::message::{Message, parameters};
use crate::daemon::now_ms;
use crate::desk::Client;
use crate::users::{Arrived, Report, SmsTaken as Taken};

/// The path on which messages come in, and that of reports.
pub(super) const IN: &str = "/sms/in";
pub(super) const REPORT: &str = "/sms/report";

/// The largest body, and how long it may take.
const MAX_BODY: usize = 32 << 10;
const READING: Duration = Duration::from_secs(10);

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new().route(IN, get(take).post(take)).route(REPORT, get(report).post(report)).with_state(app)
}

/// The parameters of a request of the gateway's; `None` for anybody else's.
fn heard(app: &App, request: &Request) -> Option<std::collections::BTreeMap<String, Vec<u8>>> {
    let peer =
        request.extensions().get::<Client>().map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |client| client.0);
    if !app.options.gateways.contains(&peer) {
        tracing::warn!(%peer, "short messages are heard from the addresses of sms.gateways alone");
        return None;
    }
    parameters(request.uri().query().unwrap_or_default())
}

async fn take(State(app): State<Arc<App>>, request: Request<Body>) -> StatusCode {
    let Some(parameters) = heard(&app, &request) else { return StatusCode::FORBIDDEN };
    if !app.keys.opens(parameters.get("key").map(Vec::as_slice).unwrap_or_default()) {
        tracing::warn!("a short message came with a wrong key: the URL is what `hotline sms url` prints");
        return StatusCode::FORBIDDEN;
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY);
    let body = match tokio::time::timeout(READING, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE,
        Err(_) => return StatusCode::REQUEST_TIMEOUT,
    };
    let Some(message) = Message::read(&parameters, &body) else {
        tracing::warn!("a short message came without its sender: see docs/sms.md for the gateway's get-url");
        return StatusCode::BAD_REQUEST;
    };
    let Some(phone) = message.phone().map(str::to_owned) else {
        // Services answer by themselves: two machines would go on for ever.
        tracing::info!("a short message of a service or a name was passed over");
        app.passed_over.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        return StatusCode::OK;
    };
    let (once, who) = (app.keys.once(&message.same), app.keys.who(&phone));
    let taken = app.on_users(move |users| {
        users.sms_take(&Arrived { once, who, phone: &phone, text: &message.text }, now_ms())
    });
    match taken.await {
        Ok(Taken::Fresh) => {
            app.came.notify_one();
            StatusCode::OK
        }
        Ok(Taken::Again) => StatusCode::OK,
        Ok(Taken::Full) => StatusCode::SERVICE_UNAVAILABLE,
        Err(failure) => {
            tracing::error!(%failure, causes = ?failure.causes, "a short message could not be kept: the gateway has to bring it again");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn kind(code: &[u8]) -> Option<Report> {
    Some(match code {
        b"1" => Report::Delivered,
        b"2" => Report::Failed,
        b"4" => Report::Buffered,
        b"8" => Report::Accepted,
        b"16" => Report::Refused,
        _ => return None,
    })
}

async fn report(State(app): State<Arc<App>>, request: Request<Body>) -> StatusCode {
    let Some(parameters) = heard(&app, &request) else { return StatusCode::FORBIDDEN };
    let given = |name: &str| parameters.get(name).map(Vec::as_slice).unwrap_or_default();
    let row = std::str::from_utf8(given("row")).ok().and_then(|row| row.parse::<i64>().ok());
    let Some(row) = row.filter(|row| app.keys.reports(*row, given("key"))) else {
        tracing::warn!("a delivery report came with a wrong key");
        return StatusCode::FORBIDDEN;
    };
    // Kinds that a later gateway knows say nothing here.
    let Some(kind) = kind(given("type")) else { return StatusCode::OK };
    match app.on_users(move |users| users.sms_report(row, kind, now_ms())).await {
        Ok(_) => StatusCode::OK,
        Err(failure) => {
            tracing::error!(%failure, causes = ?failure.causes, "a delivery report could not be kept");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
