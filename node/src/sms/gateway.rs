//! The gateway: one message is handed over by HTTP, and what comes back says whether it was taken.
//!
//! Kannel's `sendsms` is asked by POST with headers of its own (`X-Kannel-To` and so on) and the text as body: neither a
//! phone nor a word stands in a URL, and so in no log of an HTTP server. It counts as taken when it answers 2xx.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};

use crate::hooks::Receiver;
use crate::request::{Failure, FailureKind};
use crate::secret;

/// How long handing over may take.
const PATIENCE: Duration = Duration::from_secs(10);

const MAX_PASSWORD: usize = 256;

/// Reports of everything: delivered, failed, buffered, taken by the centre, refused there.
const ALL_REPORTS: &str = "31";

/// Why Kannel takes nothing, in its own words.
const KANNELS: [&str; 5] =
    ["Authorization failed", "Invalid content-type", "Temporal failure", "Not routable", "Queue full"];

/// Why a message was not taken. The words name no URL, no phone and no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// The line broke when it was on its way: the gateway may have it.
    pub(super) unsure: bool,
}

fn surely(why: impl Into<String>) -> NotTaken {
    NotTaken { why: why.into(), unsure: false }
}

fn perhaps(why: impl Into<String>) -> NotTaken {
    NotTaken { why: why.into(), unsure: true }
}

/// The gateway.
pub(super) struct Gateway {
    receiver: Receiver,
    user: String,
    password: PathBuf,
    from: String,
}

impl Gateway {
    pub(super) fn new(url: &str, user: &str, password: PathBuf, from: &str) -> Result<Gateway, Failure> {
        let gateway = Gateway {
            receiver: Receiver::new(url, None)?,
            user: user.to_owned(),
            password,
            from: from.to_owned(),
        };
        gateway.password()?; // a file that is not there is told at the start
        Ok(gateway)
    }

    /// Read for every message: whoever changes it need not start the node anew.
    fn password(&self) -> Result<HeaderValue, Failure> {
        let path = self.password.display();
        let wrong = |what: String| {
            Failure::new(FailureKind::Configuration, what)
                .hint("sms.password is a file of one line, which the node's user can read")
        };
        let text = secret::read(&self.password, MAX_PASSWORD)
            .map_err(|e| wrong(format!("the gateway's password cannot be read from {path}")).because(e))?;
        let password = text.trim_end_matches(['\n', '\r']);
        match HeaderValue::from_str(password) {
            Ok(mut value) if !password.is_empty() => {
                value.set_sensitive(true);
                Ok(value)
            }
            _ => Err(wrong(format!("{path} holds no password"))),
        }
    }

    /// Hands a message over; reports of it come to that URL.
    pub(super) async fn send(&self, phone: &str, text: &str, reports: &str) -> Result<(), NotTaken> {
        let request = self.request(phone, text, reports)?;
        let seconds = PATIENCE.as_secs();
        let line = tokio::time::timeout(PATIENCE, self.receiver.reach())
            .await
            .map_err(|_| surely(format!("the gateway was not reached within {seconds} seconds")))?
            .map_err(|why| surely(format!("the gateway was not reached: {why}")))?;
        let (head, body) = tokio::time::timeout(PATIENCE, line.ask(request))
            .await
            .map_err(|_| perhaps(format!("the gateway did not answer within {seconds} seconds")))?
            .map_err(|e| perhaps(format!("the connection to the gateway broke: {e}")))?;
        if head.status.is_success() {
            return Ok(());
        }
        // Kannel says why in a few words of its own; anything else is not repeated, for it may hold what was sent.
        let said = String::from_utf8_lossy(&body);
        let why = KANNELS.iter().find(|words| said.contains(**words)).map(|words| format!(" ({words})"));
        Err(surely(format!("the gateway answered {}{}", head.status.as_u16(), why.unwrap_or_default())))
    }

    fn request(&self, phone: &str, text: &str, reports: &str) -> Result<Request<Body>, NotTaken> {
        let password = self.password().map_err(|failure| surely(failure.message))?;
        let mut request = Request::post(&self.receiver.path)
            .header(header::HOST, &self.receiver.authority)
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "text/plain; charset=UTF-8")
            .header("x-kannel-username", &self.user)
            .header("x-kannel-password", password)
            .header("x-kannel-to", phone)
            .header("x-kannel-coding", "2")
            .header("x-kannel-dlr-mask", ALL_REPORTS)
            .header("x-kannel-dlr-url", reports);
        if !self.from.is_empty() {
            request = request.header("x-kannel-from", &self.from);
        }
        request.body(Body::from(text.to_owned())).map_err(|_| surely("the message makes no request"))
    }
}
