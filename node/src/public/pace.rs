//! How fast somebody may ask: a bucket for each address, and one for the guesses at each number, which fill steadily.
//!
//! ```text
//! any page      120 at once, then 2 a second          of an address
//! a new ticket   10 at once, then one in 2 minutes    of an address: many telephones share one
//! an addition   12 at once, then one a minute         of an address
//! a query        20 at once, then one in 30 seconds   of an address
//! a file         30 at once, then one in 10 seconds   of an address, of articles: each is read whole first
//! a list          5 at once, then one in 10 seconds   of an address, by Open311: each opens many tickets
//! a wrong key    10 at once, then one a minute        of an address, by Open311
//! a wrong code   10 at once, then one in 6 minutes    of a number, from wherever
//! ```
//!
//! They live in memory and are bounded; a restart forgets them. That costs nothing: a code has 31⁸ possibilities.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::buckets::Buckets;
use crate::ticket::number::TicketNumber;

/// Whoever has an IPv6 address has 2⁶⁴ of them: the network counts.
fn subject(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

/// All that is counted.
pub(super) struct Pace {
    asked: Buckets<u128>,
    filed: Buckets<u128>,
    added: Buckets<u128>,
    queried: Buckets<u128>,
    guessed: Buckets<TicketNumber>,
    fetched: Buckets<u128>,
    listed: Buckets<u128>,
    keyed: Buckets<u128>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            asked: Buckets::new(120.0, 0.5),
            filed: Buckets::new(10.0, 120.0),
            added: Buckets::new(12.0, 60.0),
            queried: Buckets::new(20.0, 30.0),
            guessed: Buckets::new(10.0, 360.0),
            fetched: Buckets::new(30.0, 10.0),
            listed: Buckets::new(5.0, 10.0),
            keyed: Buckets::new(10.0, 60.0),
        }
    }
}

impl Pace {
    /// Any request of an address.
    pub(super) fn asks(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.asked.take(subject(address), now)
    }

    /// A new ticket of an address.
    pub(super) fn files(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.filed.take(subject(address), now)
    }

    /// Words or files of an address for a ticket that is filed.
    pub(super) fn adds(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.added.take(subject(address), now)
    }

    /// A query of an address about a number. Counted as a guess until [`Pace::knew`] says that the code was right: so many
    /// guesses at the same time are no more than so many one after the other.
    pub(super) fn queries(
        &self,
        address: IpAddr,
        number: TicketNumber,
        now: Instant,
    ) -> Result<(), Duration> {
        self.queried.take(subject(address), now)?;
        self.guessed.take(number, now)
    }

    /// A file of an article, of an address.
    pub(super) fn fetches(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.fetched.take(subject(address), now)
    }

    /// A list of an address.
    pub(super) fn lists(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.listed.take(subject(address), now)
    }

    /// A key that does not count, of an address.
    pub(super) fn wrong_key(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        self.keyed.take(subject(address), now)
    }

    /// The code was right.
    pub(super) fn knew(&self, number: TicketNumber) {
        self.guessed.give_back(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn guesses_at_a_number_are_counted_from_everywhere_and_right_codes_are_not() {
        let (pace, began) = (Pace::default(), Instant::now());
        let number: TicketNumber = "JT370100202611290W0000C".parse().unwrap();
        for guess in 0..10u8 {
            assert_eq!(pace.queries(ip(&format!("10.0.0.{guess}")), number, began), Ok(()));
        }
        let wait = pace.queries(ip("10.0.1.1"), number, began).unwrap_err();
        assert_eq!(wait.as_secs(), 360);
        assert!(pace.queries(ip("10.0.1.1"), number, began + wait).is_ok());
        let pace = Pace::default();
        for caller in 0..100u8 {
            assert_eq!(pace.queries(ip(&format!("10.0.0.{caller}")), number, began), Ok(()));
            pace.knew(number);
        }
    }

    #[test]
    fn an_address_waits_for_its_own_doing_only() {
        let (pace, began) = (Pace::default(), Instant::now());
        let filed = |address: &str, at| (0..20).filter(|_| pace.files(ip(address), at).is_ok()).count();
        assert_eq!(filed("10.0.0.1", began), 10);
        assert_eq!(filed("10.0.0.1", began + Duration::from_secs(240)), 2);
        assert_eq!(filed("10.0.0.2", began), 10);
        assert_eq!(filed("2001:db8::1", began), 10);
        assert_eq!(filed("2001:db8::ffff:2", began), 0, "one network");
        assert_eq!(filed("2001:db8:0:1::1", began), 10);
    }
}
