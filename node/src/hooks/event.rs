//! What a receiver is told, and how it knows that it comes from here: Standard Webhooks.
//!
//! ```text
//! webhook-id:        msg_ and 32 digits, the same at every attempt and over restarts
//! webhook-timestamp: seconds since 1970, of the attempt
//! webhook-signature: v1,base64(HMAC-SHA256(secret, "ID.TIMESTAMP.BODY"))     and another one while two secrets count
//! body:              {"type", "timestamp", "data"}
//! ```
//!
//! A body says which ticket changed and what its state is; never a word of it, and never a person.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certs::NodeName;
use ring::hmac;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::china::shown_time;
use crate::hex::hex;
use crate::users::Secret;

/// What a secret begins with when it is shown.
const MARK: &str = "whsec_";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// One for each thing that happened, however often it is told.
    pub(super) id: String,
    pub(super) body: String,
}

impl Event {
    /// A ticket has changed, as a row of the log says.
    pub(super) fn changed(me: NodeName, change: &Value) -> Event {
        Event::new(
            me,
            change["cursor"].as_str().unwrap_or_default(),
            json!({ "type": "ticket.changed", "timestamp": change["at"], "data": {
                "id": change["id"],
                "number": change["number"],
                "stage": change["stage"],
                "state_hash": change["state_hash"],
                "at": change["at"],
                "cursor": change["cursor"],
            } }),
        )
    }

    /// What lies between these cursors is not known: an older database was put back, or changes were dropped.
    pub(super) fn gap(me: NodeName, refused: &str, cursor: &str, now: u64) -> Event {
        let at = shown_time(now);
        Event::new(
            me,
            &format!("gap {refused} {cursor}"),
            json!({ "type": "changes.gap", "timestamp": at, "data": { "refused": refused, "cursor": cursor, "at": at } }),
        )
    }

    /// Somebody wants to know whether it arrives.
    pub(super) fn test(me: NodeName, name: &str, now: u64) -> Event {
        let at = shown_time(now);
        Event::new(
            me,
            &format!("test {name} {now}"),
            json!({ "type": "hook.test", "timestamp": at, "data": { "at": at } }),
        )
    }

    fn new(me: NodeName, what: &str, body: Value) -> Event {
        let hash = blake3::derive_key("hotline 2026 hook event", format!("{me} {what}").as_bytes());
        Event { id: format!("msg_{}", hex(&hash[..16])), body: body.to_string() }
    }

    /// The signatures of an attempt at this second, one for each secret with a blank between them.
    pub(super) fn signatures(&self, secrets: &[&Secret], at: u64) -> String {
        secrets.iter().map(|secret| self.signature(secret, at)).collect::<Vec<_>>().join(" ")
    }

    fn signature(&self, secret: &Secret, at: u64) -> String {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()));
        signing.update(format!("{}.{at}.", self.id).as_bytes());
        signing.update(self.body.as_bytes());
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

/// A secret, as receivers' libraries take it.
pub fn shown_secret(secret: &Secret) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(secret.bytes()));
    Zeroizing::new(format!("{MARK}{}", *text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_id_and_says_nothing_of_anybody() {
        let me: NodeName = "370100".parse().unwrap();
        let change = json!({ "cursor": "4-aa", "id": "12ab", "number": "JT", "stage": "closed", "state_hash": "ff",
            "at": "2026-11-30T00:00:00+08:00", "text": "a caller's words" });
        let event = Event::changed(me, &change);
        assert_eq!(event, Event::changed(me, &change));
        assert_ne!(event.id, Event::changed("370200".parse().unwrap(), &change).id);
        assert!(event.id.starts_with("msg_") && event.id.len() == 36 && !event.id.contains('.'));
        assert!(!event.body.contains("words"), "{}", event.body);
        let gap = Event::gap(me, "4-aa", "9-bb", 5);
        assert_ne!(gap.id, Event::gap(me, "4-aa", "10-cc", 5).id, "another gap is another event");
    }
}
