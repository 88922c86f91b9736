//! The slip that a form carries: it says that the form is ours and how old it is, and names the request for ever, so that
//! a double click or a reload files nothing twice. It needs no cookie and no memory.
//!
//! ```text
//! TIME-NAME-TAG    milliseconds (12 hex digits), 16 random bytes, HMAC-SHA256 over both under a key of the node
//! ```
//!
//! Another site can fetch a slip, but not send it from a citizen's browser: browsers say where a form comes from, and that
//! is looked at too. A door without sessions has nothing else to lose by it.

use ring::hmac;

use crate::hex::{hex, unhex};
use crate::request::{Failure, FailureKind};
use crate::ticket::code::QuerySecret;

/// How long a form may lie open. Answers are kept for twice as long, so a slip that counts is never forgotten.
const AGE_MS: u64 = 24 * 60 * 60_000;

/// How far the clock may have been set back meanwhile.
const AHEAD_MS: u64 = 10 * 60_000;

/// Makes slips and knows them again.
pub(super) struct Slips(hmac::Key);

impl Slips {
    pub(super) fn new(secret: &QuerySecret) -> Slips {
        Slips(secret.derived("hotline 2026 public form"))
    }

    /// A slip for a form that is shown now.
    pub(super) fn issue(&self, now: u64) -> Result<String, Failure> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|e| {
            Failure::new(FailureKind::Failed, "the system gives no random numbers").because(e)
        })?;
        let said = format!("{now:012x}-{}", hex(&name));
        let tag = hmac::sign(&self.0, said.as_bytes());
        Ok(format!("{said}-{}", hex(tag.as_ref())))
    }

    /// The name on a slip of ours that still counts.
    pub(super) fn name<'a>(&self, slip: &'a str, now: u64) -> Option<&'a str> {
        let (said, tag) = slip.rsplit_once('-')?;
        hmac::verify(&self.0, said.as_bytes(), &unhex(tag)?).ok()?;
        let (at, name) = said.split_once('-')?;
        let at = u64::from_str_radix(at, 16).ok()?;
        let fresh = at <= now.saturating_add(AHEAD_MS) && now <= at.saturating_add(AGE_MS);
        fresh.then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_ours_for_a_day() {
        let secret = QuerySecret::new([7; 32]);
        let (slips, now) = (Slips::new(&secret), 1_790_000_000_000);
        let slip = slips.issue(now).unwrap();
        let name = slips.name(&slip, now).unwrap();
        assert_eq!(name.len(), 32);
        assert_eq!(Slips::new(&secret).name(&slip, now + AGE_MS), Some(name), "a restart forgets none");
        assert_eq!(slips.name(&slip, now + AGE_MS + 1), None);
        assert_eq!(slips.name(&slip, now - AHEAD_MS - 1), None);
        assert_ne!(slips.name(&slips.issue(now).unwrap(), now), Some(name));
        assert_eq!(Slips::new(&QuerySecret::new([8; 32])).name(&slip, now), None);
        let younger = slip.replacen(&format!("{now:012x}"), &format!("{:012x}", now + 1), 1);
        for forged in [younger.as_str(), "", "-", "--", &slip[1..], &slip[..slip.len() - 2]] {
            assert_eq!(slips.name(forged, now), None, "{forged}");
        }
    }
}
