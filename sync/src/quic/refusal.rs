//! Why a link did not come about or ended, in words for operators, and how often they are said.

use std::collections::BTreeMap;
use std::time::Duration;

use certs::NodeName;
use certs::tls::Refusal;
use quinn::{ConnectionError, VarInt};
use tokio::time::Instant;

/// Bytes of a reason that travel in a close, and of one that is shown.
const MAX_REASON: usize = 300;

/// The same complaint is said once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Complaints that are remembered so that they are not said again.
const REMEMBERED: usize = 256;

/// Why this node ends a connection: the code in QUIC's close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The process stops.
    Stopping,
    /// Because of who the peer is, or because an operator or the engine wants it.
    Refused,
    /// Because of what the peer did.
    Misbehaved,
    /// The peer gave no sign of life on it and has dialled anew.
    Silent,
    /// Both dialled, and the other connection stays.
    Crossing,
}

impl End {
    pub(super) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            End::Stopping => 0,
            End::Refused => 1,
            End::Misbehaved => 2,
            End::Silent => 3,
            End::Crossing => 4,
        })
    }

    fn of(code: VarInt) -> Option<End> {
        [End::Stopping, End::Refused, End::Misbehaved, End::Silent, End::Crossing]
            .into_iter()
            .find(|end| end.code() == code)
    }
}

/// Cut to what a close frame and a log line hold, without control characters.
pub(super) fn short(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

/// What the end of a connection, or of an attempt at one, says about the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The network or the peer does not answer, or the peer stops: worth another attempt soon.
    Unreachable,
    /// One side does not want the other.
    Refused,
    /// Another connection with this peer stays.
    Crossed,
}

/// Reads the end of a connection: what it says about the next attempt, and what an operator should hear of it.
pub(super) fn read(error: &ConnectionError) -> (Verdict, Option<String>) {
    match error {
        ConnectionError::TransportError(e) => {
            // Ours: what the certificates lacked was noted by whoever judged them.
            (Verdict::Refused, Some(format!("the link's handshake failed: {}", short(&e.to_string()))))
        }
        ConnectionError::ConnectionClosed(close) => {
            let code = u64::from(close.error_code);
            match u8::try_from(code.wrapping_sub(0x100)) {
                Ok(alert) => (Verdict::Refused, Some(Refusal::from_alert(alert).to_string())),
                Err(_) => (Verdict::Unreachable, Some(short(&close.to_string()))),
            }
        }
        ConnectionError::ApplicationClosed(close) => {
            let reason = short(&String::from_utf8_lossy(&close.reason));
            match End::of(close.error_code) {
                Some(End::Crossing) => (Verdict::Crossed, None),
                Some(End::Stopping | End::Silent) => {
                    (Verdict::Unreachable, (!reason.is_empty()).then_some(reason))
                }
                Some(End::Refused | End::Misbehaved) | None => (Verdict::Refused, Some(reason)),
            }
        }
        ConnectionError::TimedOut | ConnectionError::Reset | ConnectionError::LocallyClosed => {
            (Verdict::Unreachable, None)
        }
        ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
            (Verdict::Refused, Some(error.to_string()))
        }
    }
}

/// Keeps the same complaint from filling the log: it is said once a minute, with how often it was held back.
#[derive(Debug, Default)]
pub(super) struct Complaints(BTreeMap<(Option<NodeName>, String), (Instant, u64)>);

impl Complaints {
    /// What to say now about this; `None` when it was said a moment ago.
    pub(super) fn hear(&mut self, now: Instant, peer: Option<NodeName>, reason: &str) -> Option<String> {
        let key = (peer, short(reason));
        if let Some((until, held_back)) = self.0.get_mut(&key)
            && now < *until
        {
            *held_back += 1;
            return None;
        }
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (until, _)| now < *until);
            if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
                return None; // so many kinds at once are one: somebody makes them up
            }
        }
        let text = key.1.clone();
        let before = self.0.insert(key, (now + QUIET, 0));
        Some(match before {
            Some((_, held_back @ 1..)) => format!("{text} (and {held_back} times more before)"),
            _ => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_complaint_is_said_once_a_minute() {
        let mut complaints = Complaints::default();
        let peer = "370100".parse().ok();
        assert_eq!(complaints.hear(Instant::now(), peer, "revoked").as_deref(), Some("revoked"));
        for _ in 0..1_000 {
            assert_eq!(complaints.hear(Instant::now(), peer, "revoked"), None);
        }
        assert!(complaints.hear(Instant::now(), None, "revoked").is_some(), "another peer's is another");
        tokio::time::advance(QUIET).await;
        let again = complaints.hear(Instant::now(), peer, "revoked");
        assert_eq!(again.as_deref(), Some("revoked (and 1000 times more before)"));
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_complaints_cost_bounded_memory() {
        let mut complaints = Complaints::default();
        let said = (0..100_000)
            .filter(|n| complaints.hear(Instant::now(), None, &format!("reason {n}")).is_some())
            .count();
        assert_eq!((said, complaints.0.len()), (REMEMBERED, REMEMBERED));
        tokio::time::advance(QUIET).await;
        assert!(complaints.hear(Instant::now(), None, "later").is_some());
    }

    #[test]
    fn a_reason_from_outside_is_cut_and_cleaned() {
        assert_eq!(short("a\nb\u{1b}[31m"), "ab[31m");
        assert_eq!(short(&"长".repeat(1_000)).chars().count(), MAX_REASON);
    }
}
