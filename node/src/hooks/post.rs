//! One attempt: an event goes to its receiver, and what comes back says whether it was taken.
//!
//! Only 2xx counts. Redirects are not followed: the receiver that an administrator named is the one that is told. Of an
//! answer's body a little is read, so that a receiver that is still writing is not cut off, and thrown away.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};

use super::event::Event;
use super::receiver::Receiver;
use crate::daemon::now_ms;
use crate::users::Hook;

/// How long an attempt may take, from the name's look-up to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait that a receiver may ask for.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// Why an event was not taken. The words name no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: String,
    /// The receiver wants nothing any more.
    pub(super) gone: bool,
    /// It asks not to be told before.
    pub(super) after: Option<Duration>,
}

impl Refused {
    pub(super) fn because(why: impl Into<String>) -> Refused {
        Refused { why: why.into(), gone: false, after: None }
    }
}

/// Tells a receiver once.
pub(super) async fn post(receiver: &Receiver, event: &Event, hook: &Hook) -> Result<(), Refused> {
    let told = tokio::time::timeout(PATIENCE, attempt(receiver, event, hook)).await;
    told.unwrap_or_else(|_| Err(Refused::because(format!("no answer within {} seconds", PATIENCE.as_secs()))))
}

async fn attempt(receiver: &Receiver, event: &Event, hook: &Hook) -> Result<(), Refused> {
    let line = receiver.reach().await.map_err(Refused::because)?;
    let asked = line.ask(request(receiver, event, hook)?).await;
    let (head, _) = asked.map_err(|e| Refused::because(format!("the connection broke: {e}")))?;
    match head.status {
        status if status.is_success() => Ok(()),
        status => Err(Refused {
            why: format!("answered {}", status.as_u16()),
            gone: status == StatusCode::GONE,
            after: retry_after(&head.headers, now_ms()),
        }),
    }
}

fn request(receiver: &Receiver, event: &Event, hook: &Hook) -> Result<Request<Body>, Refused> {
    let now = now_ms();
    let at = now / 1_000;
    Request::post(&receiver.path)
        .header(header::HOST, &receiver.authority)
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("hotline/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &event.id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", event.signatures(&hook.secrets(now), at))
        .body(Body::from(event.body.clone()))
        .map_err(|e| Refused::because(format!("no request: {e}")))
}

/// `Retry-After` in seconds or as a date, within the cap.
fn retry_after(headers: &HeaderMap, now: u64) -> Option<Duration> {
    let said = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match said.parse::<u64>() {
        Ok(secs) => Duration::from_secs(secs),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(said).ok()?.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(at).ok()?.saturating_sub(now))
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_a_wait_up_to_an_hour() {
        let now = 1_795_824_000_000; // Sat, 28 Nov 2026 00:00:00 GMT
        let check = |said: &str, wait: Option<u64>| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, said.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{said}");
        };
        check("7", Some(7));
        check("86400", Some(3_600));
        check("Sat, 28 Nov 2026 00:01:00 GMT", Some(60));
        check("Fri, 27 Nov 2026 00:01:00 GMT", Some(0));
        check("soon", None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
