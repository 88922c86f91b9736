//! What happens to calls, whoever tells of it: a telephone system's event (`api::cti`) or the SIP agent (`sip`).
//!
//! ```text
//! newCall ──> rings: every page of those who take calls is told       (an event of server-sent events without data)
//! answer  ──> the extension's holder: that account's pages alone are told to open the form
//! hangup  ──> over
//! ```
//!
//! A caller's number goes into `desk.db` and the form, and nowhere else: no answer, log or address has it, and a call id
//! that holds it does not either.

use super::live::Rang;
use super::{App, Desk};
use crate::daemon::now_ms;
use crate::import::mask_phones;
use crate::request::Failure;
use crate::users::{CallEvent, MAX_CALL, Taken, Told};

/// The id under which a call is known: as the telephone system has it, or the hash of one that holds a telephone number.
/// `None` when it is none: 1 to [`MAX_CALL`] printable ASCII characters are.
pub(crate) fn call_id(said: &str) -> Option<String> {
    let said = said.trim();
    if said.is_empty() || said.len() > MAX_CALL || !said.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    Some(if *mask_phones(said) == *said { said.to_owned() } else { hashed(said) })
}

/// What stands for an id that would tell the caller's number.
pub(crate) fn hashed(said: &str) -> String {
    let hash = blake3::derive_key("hotline 2026 call id", said.as_bytes());
    format!("h{}", crate::hex::hex(&hash[..12]))
}

/// Whether an id holds this number in some other way.
pub(crate) fn holds(call: &str, number: Option<&str>) -> bool {
    number.is_some_and(|number| number.len() > 4 && call.contains(number))
}

/// The digits of a number; nothing of one that is withheld.
pub(crate) fn number(said: &str) -> Option<String> {
    let digits: String = said.chars().filter(char::is_ascii_digit).take(20).collect();
    (3..20).contains(&digits.len()).then_some(digits)
}

impl CallEvent {
    /// As telephone systems say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            CallEvent::New => "newCall",
            CallEvent::Answer => "answer",
            CallEvent::Hangup => "hangup",
        }
    }
}

impl App {
    /// Takes in what was told, and tells the pages.
    pub(super) async fn hear(&self, told: Told) -> Result<Taken, Failure> {
        let taken = self.on_users(move |users| users.hear(&told, now_ms())).await?;
        if taken.fresh {
            let _ = self.calls.send(Rang::Changed); // nobody may be listening
        }
        if let (true, Some(account)) = (taken.given, taken.call.account) {
            let _ = self.calls.send(Rang::Answered(account));
        }
        Ok(taken)
    }
}

impl Desk {
    /// Writes down what another part of the node heard of a call, as everything is that comes from outside, before it is
    /// taken in. `from` is where it came from.
    pub(crate) async fn note(&self, channel: &str, from: &str, told: &Told) -> Result<(), Failure> {
        let (what, call, from) =
            (format!("{channel} {}", told.event.name()), told.call.clone(), from.to_owned());
        self.app.on_users(move |users| users.append(now_ms(), None, &from, &what, None, &call)).await
    }

    /// Takes in what was noted, and tells the pages.
    pub(crate) async fn hear(&self, told: Told) -> Result<Taken, Failure> {
        self.app.hear(told).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_holds_a_number_is_hashed_and_others_stay() {
        for fine in ["1764400000.123", "1764400000123", "f4ebd2be-7b9a-4d58-94b1-0c9d8e7f6a5b", "a@10.0.0.1"]
        {
            assert_eq!(call_id(fine).unwrap(), fine);
        }
        for holds in ["13800000001-1", "0531-88888888", "x-+8613800000001"] {
            let id = call_id(holds).unwrap();
            assert!(id.starts_with('h') && id.len() == 25 && id == call_id(holds).unwrap(), "{holds}");
        }
        for wrong in ["", " ", "a b", "通话", &"x".repeat(MAX_CALL + 1)] {
            assert!(call_id(wrong).is_none(), "{wrong}");
        }
        assert!(
            holds("ab12345678", Some("12345678")) && !holds("ab1234", Some("1234")) && !holds("ab", None)
        );
    }

    #[test]
    fn numbers_are_digits_and_withheld_ones_are_none() {
        assert_eq!(number("+86 138-0000-0001").as_deref(), Some("8613800000001"));
        for none in ["anonymous", "", "12", &"1".repeat(30)] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
