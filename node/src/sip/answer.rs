//! Answers to requests: what of a request has to stand in them, and where they go.
//!
//! An answer goes to the address that the request came from (RFC 3261, 18.2.2) and to the port that its topmost `Via`
//! names, or the request's own where it asks for that (RFC 3581). So nobody can have an answer sent to a third.

use std::fmt::Write;
use std::net::SocketAddr;

use super::message::{Message, Via, parameter, split};

/// The requests that are understood.
pub(super) const ALLOWED: &str = "INVITE, ACK, CANCEL, OPTIONS";

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16, pub(super) &'static str);

pub(super) const TRYING: Status = Status(100, "Trying");
pub(super) const RINGING: Status = Status(180, "Ringing");
pub(super) const OK: Status = Status(200, "OK");
pub(super) const BAD_REQUEST: Status = Status(400, "Bad Request");
pub(super) const NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
pub(super) const BAD_SCHEME: Status = Status(416, "Unsupported URI Scheme");
pub(super) const BAD_EXTENSION: Status = Status(420, "Bad Extension");
pub(super) const UNAVAILABLE: Status = Status(480, "Temporarily Unavailable");
pub(super) const NO_SUCH_CALL: Status = Status(481, "Call/Transaction Does Not Exist");
pub(super) const TERMINATED: Status = Status(487, "Request Terminated");
pub(super) const BUSY: Status = Status(503, "Service Unavailable");

/// How one request is answered.
#[derive(Clone)]
pub(super) struct Answers {
    /// Where to.
    pub(super) to: SocketAddr,
    vias: Vec<String>,
    routes: Vec<String>,
    from: String,
    addressee: String,
    call_id: String,
    sequence: u32,
    timestamp: Option<String>,
}

impl Answers {
    /// What a request from there is answered with; `None` when it lacks what has to stand in an answer.
    pub(super) fn of(message: &Message, via: &Via<'_>, from: SocketAddr, tag: &str) -> Option<Answers> {
        let port = if via.rport { from.port() } else { via.port };
        let taken = |part: &&str| {
            let name = part.split('=').next().unwrap_or_default().trim();
            !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport")
        };
        let mut top = split(via.text, ';').into_iter().filter(taken).collect::<Vec<_>>().join(";");
        let _ = write!(top, ";received={}", from.ip());
        if via.rport {
            let _ = write!(top, ";rport={}", from.port());
        }
        let first = message.first("via").map(|value| split(value, ',')).unwrap_or_default();
        let others = first.into_iter().skip(1).chain(message.all("via").skip(1)).map(str::to_owned);
        let to = message.first("to")?;
        let addressee = match parameter(to, "tag") {
            Some(_) => to.to_owned(),
            None => format!("{to};tag={tag}"),
        };
        Some(Answers {
            to: SocketAddr::new(from.ip(), port),
            vias: std::iter::once(top).chain(others).collect(),
            routes: message.all("record-route").map(str::to_owned).collect(),
            from: message.first("from")?.to_owned(),
            addressee,
            call_id: message.first("call-id")?.to_owned(),
            sequence: message.sequence()?.0,
            timestamp: message.first("timestamp").map(str::to_owned),
        })
    }

    /// The answer to a request of this method, with further headers.
    pub(super) fn say(&self, status: Status, method: &str, further: &[(&str, &str)]) -> Vec<u8> {
        let Status(code, reason) = status;
        let mut out = format!("SIP/2.0 {code} {reason}\r\n");
        let mut line = |name: &str, value: &str| {
            let _ = write!(out, "{name}: {value}\r\n");
        };
        self.vias.iter().for_each(|via| line("Via", via));
        if status == RINGING {
            self.routes.iter().for_each(|route| line("Record-Route", route));
        }
        line("From", &self.from);
        line("To", &self.addressee);
        line("Call-ID", &self.call_id);
        line("CSeq", &format!("{} {method}", self.sequence));
        if let (TRYING, Some(timestamp)) = (status, &self.timestamp) {
            line("Timestamp", timestamp);
        }
        further.iter().for_each(|(name, value)| line(name, value));
        line("Content-Length", "0");
        out.push_str("\r\n");
        out.into_bytes()
    }
}
