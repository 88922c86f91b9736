//! What an INVITE says of its caller, whom it is for, and why a CANCEL came.

use super::message::{Message, parameter, split, uri_of};
use crate::desk::calls;

/// Most values of a header that are looked at.
const MAX_VALUES: usize = 8;

/// The longest name that is shown or looked up, in characters.
const MAX_USER: usize = 64;

/// The part of a URI that says who: of `sip:8001@10.0.0.5` it is 8001, of `tel:+86-531-1` it is +86-531-1.
pub(super) fn user_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let user = match scheme.to_ascii_lowercase().as_str() {
        "sip" | "sips" => rest.split_once('@')?.0.split(':').next()?,
        "tel" => rest,
        _ => return None,
    };
    let user = unescaped(user.split(';').next()?)?;
    let fine = !user.is_empty() && user.chars().count() <= MAX_USER && !user.chars().any(char::is_control);
    fine.then_some(user)
}

/// Text without its `%2B`.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// The number in a URI: a name like `anonymous` or `gateway-7` is none.
fn number_of(uri: &str) -> Option<String> {
    let user = user_of(uri)?;
    let digits = user.chars().all(|c| c.is_ascii_digit() || "+-.() ".contains(c));
    digits.then(|| calls::number(&user)).flatten()
}

/// The caller as it is named: what the telephone system vouches for before what the caller's own device says.
fn named(message: &Message) -> impl Iterator<Item = &str> {
    let vouched = message.all("p-asserted-identity").flat_map(|value| split(value, ','));
    vouched.take(MAX_VALUES).chain(message.first("from")).map(uri_of)
}

/// Who calls, by the user part: an extension perhaps, which may be no number.
pub(super) fn user(message: &Message) -> Option<String> {
    named(message).find_map(user_of)
}

/// All numbers of the caller that a message tells, also one that is not to be shown.
pub(super) fn numbers(message: &Message) -> impl Iterator<Item = String> {
    named(message).filter_map(number_of)
}

/// The caller's number. `None` for a caller who asked that it is not shown.
pub(super) fn number(message: &Message) -> Option<String> {
    let mut hidden =
        message.all("privacy").flat_map(|value| value.split(';')).map(str::trim).take(MAX_VALUES);
    match hidden.any(|what| ["id", "user"].iter().any(|p| what.eq_ignore_ascii_case(p))) {
        true => None,
        false => numbers(message).next(),
    }
}

/// The number that was called.
pub(super) fn called(message: &Message) -> String {
    message.first("to").and_then(|to| user_of(uri_of(to))).unwrap_or_default()
}

/// Whether a CANCEL says that somebody else has answered: `SIP;cause=200` (RFC 3326), `Q.850;cause=26`, or the words.
pub(super) fn answered_elsewhere(message: &Message) -> bool {
    message.all("reason").flat_map(|value| split(value, ',')).take(MAX_VALUES).any(|reason| {
        let protocol = split(reason, ';').first().copied().unwrap_or_default();
        let cause = parameter(reason, "cause").unwrap_or_default();
        let text = parameter(reason, "text").unwrap_or_default();
        match protocol.to_ascii_uppercase().as_str() {
            "SIP" if cause == "200" => true,
            "Q.850" if cause == "26" => true,
            _ => text.eq_ignore_ascii_case("call completed elsewhere"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &str) -> Message {
        Message::read(format!("INVITE sip:1@x SIP/2.0\r\n{headers}\r\n\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn numbers_are_found_in_what_telephone_systems_write() {
        for (headers, wanted) in [
            ("From: <sip:13800000001@10.0.0.2>;tag=1", Some("13800000001")),
            ("From: \"x\" <sip:%2B8613800000001;npdi@10.0.0.2:5060;user=phone>", Some("8613800000001")),
            ("f: tel:+86-138-0000-0001;phone-context=x;tag=2", Some("8613800000001")),
            ("From: <sip:0531.8888(8888):secret@x>", Some("053188888888")),
            ("From: <sip:anonymous@anonymous.invalid>;tag=1", None),
            ("From: <sip:gateway-13800@x>", None),
            ("From: <sip:10.0.0.2>", None),
            ("From: <mailto:13800000001@x>", None),
            ("From: <sip:%zz@x>", None),
            ("Subject: none", None),
            // What is vouched for comes first, and the first number of it.
            (
                "From: <sip:anonymous@x>\r\nP-Asserted-Identity: \"A, B\" <sip:li@x>, <tel:+8613800000002>",
                Some("8613800000002"),
            ),
            ("P-Asserted-Identity: <sip:li@x>\r\nFrom: <sip:13800000001@x>", Some("13800000001")),
            // Whoever asked that it is not shown, is not shown.
            (
                "From: <sip:anonymous@x>\r\nPrivacy: id;critical\r\nP-Asserted-Identity: <tel:+8613800000002>",
                None,
            ),
            ("From: <sip:13800000001@x>\r\nPrivacy: none", Some("13800000001")),
        ] {
            assert_eq!(number(&with(headers)).as_deref(), wanted, "{headers}");
        }
        assert_eq!(called(&with("To: <sip:12328@x>;tag=1")), "12328");
        let vouched = with("From: <sip:8001@x>\r\nP-Asserted-Identity: <sip:agent7@x>");
        assert_eq!(user(&vouched).as_deref(), Some("agent7"));
        assert_eq!(user(&with("From: <sip:agent8@x>;tag=1")).as_deref(), Some("agent8"));
        assert_eq!(user_of("sip:8001@10.0.0.5:5062;ob").as_deref(), Some("8001"));
        assert_eq!((user_of("sip:10.0.0.5"), user_of("x")), (None, None));
    }

    #[test]
    fn a_reason_says_who_has_the_call() {
        for (reason, wanted) in [
            ("SIP;cause=200;text=\"Call completed elsewhere\"", true),
            ("SIP ; cause=200", true),
            ("Q.850;cause=16, SIP;cause=200", true),
            ("Q.850;cause=26", true),
            ("x;text=\"call completed elsewhere\"", true),
            ("SIP;cause=487;text=\"cause=200\"", false),
            ("Q.850;cause=200", false),
            ("SIP;cause=603", false),
            ("", false),
        ] {
            assert_eq!(answered_elsewhere(&with(&format!("Reason: {reason}"))), wanted, "{reason}");
        }
        assert!(!answered_elsewhere(&with("From: x")));
    }
}
