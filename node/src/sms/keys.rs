//! Keys of this node for short messages, all made of the secret of its query codes: nothing more is to be kept or put back.

use ring::hmac;

use crate::hex::hex;
use crate::ticket::code::QuerySecret;

/// How many bytes of a tag stand in a URL.
const SHOWN: usize = 16;

/// The keys.
pub(super) struct Keys {
    who: hmac::Key,
    once: hmac::Key,
    door: String,
    report: hmac::Key,
}

fn tag(key: &hmac::Key, bytes: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(key, bytes).as_ref());
    tag
}

/// Hashes of blake3 are compared in constant time.
fn equal(a: &str, b: &[u8]) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b)
}

impl Keys {
    pub(super) fn of(secret: &QuerySecret) -> Keys {
        let door = tag(&secret.derived("hotline 2026 sms door"), b"in");
        Keys {
            who: secret.derived("hotline 2026 sms sender"),
            once: secret.derived("hotline 2026 sms once"),
            door: hex(&door[..SHOWN]),
            report: secret.derived("hotline 2026 sms report"),
        }
    }

    /// What stands for a sender.
    pub(super) fn who(&self, phone: &str) -> [u8; 32] {
        // +86 138..., 86138... and 138... are one.
        let digits = phone.trim_start_matches('+');
        let own = digits.strip_prefix("86").filter(|rest| rest.len() == 11).unwrap_or(digits);
        tag(&self.who, own.as_bytes())
    }

    /// What stands for a message and its repetitions.
    pub(super) fn once(&self, same: &[u8]) -> [u8; 32] {
        tag(&self.once, same)
    }

    /// What the gateway shows when it brings a message.
    pub(super) fn door(&self) -> &str {
        &self.door
    }

    /// Whether this was shown.
    pub(super) fn opens(&self, shown: &[u8]) -> bool {
        equal(&self.door, shown)
    }

    /// What the gateway shows when it reports of a message.
    pub(super) fn report(&self, id: i64) -> String {
        hex(&tag(&self.report, &id.to_le_bytes())[..SHOWN])
    }

    /// Whether this was shown for a message.
    pub(super) fn reports(&self, id: i64, shown: &[u8]) -> bool {
        equal(&self.report(id), shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_opens_one_thing() {
        let keys = Keys::of(&QuerySecret::new([7; 32]));
        assert!(
            keys.opens(keys.door().as_bytes()) && !keys.opens(b"") && !keys.opens(keys.report(1).as_bytes())
        );
        assert!(keys.reports(1, keys.report(1).as_bytes()) && !keys.reports(2, keys.report(1).as_bytes()));
        assert_eq!(keys.who("+8613800000001"), keys.who("13800000001"));
        assert_ne!(keys.who("13800000002"), keys.who("13800000001"));
        assert_ne!(Keys::of(&QuerySecret::new([8; 32])).door(), keys.door());
    }
}
