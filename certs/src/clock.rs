//! Time as certificates see it, and clock doubt.
//!
//! Promises: nothing here reads a clock. Callers tell the time of their own clock; certificate time is the later
//! of that and the newest time that an authority has signed. Dates guard enrolment and links, never history.
//!
//! ```text
//!             own clock 48 h or more before a signed or confirmed time, or
//!             more of the peers met look out of date than fine
//!   Trusted ------------------------------------------------------------> Doubt {why}
//!      ^                                                                    |
//!      +---------------- a person confirms the date ------------------------+
//! ```
//!
//! In doubt a node links to members that are not revoked whatever their dates, enrols nobody, and says so. After a
//! confirmation the own clock alone counts: a signed time that lies ahead of it is then somebody else's mistake.
//! Only an own clock that falls behind what was confirmed brings the doubt back.
//!
//! Left to others: asking the person, showing the doubt, keeping this state over a restart (it is `Serialize`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NodeName;

/// A day in seconds.
pub const DAY: u64 = 86_400;

/// How far a clock may be off before anybody minds, in seconds: certificates are dated back by as much.
pub const SLACK: u64 = 2 * DAY;

/// Peers whose dates are remembered, at most. Evidence needs no more.
const PEERS: usize = 256;

/// An instant: whole seconds since 1970-01-01T00:00:00Z, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The instant that lies this many seconds after 1970 began.
    pub const fn from_secs(secs: u64) -> UnixTime {
        UnixTime(secs)
    }

    /// Seconds since 1970 began.
    pub const fn secs(self) -> u64 {
        self.0
    }

    /// This many seconds later; stops at the end of what the type can say.
    pub const fn plus(self, secs: u64) -> UnixTime {
        UnixTime(self.0.saturating_add(secs))
    }

    /// This many seconds earlier; stops at 1970.
    pub const fn minus(self, secs: u64) -> UnixTime {
        UnixTime(self.0.saturating_sub(secs))
    }

    /// Whole days from this instant to `later`; negative when `later` has passed. Rounded down.
    pub fn days_until(self, later: UnixTime) -> i64 {
        let days = (i128::from(later.0) - i128::from(self.0)).div_euclid(i128::from(DAY));
        i64::try_from(days).expect("u64 seconds hold fewer days than i64")
    }
}

impl From<UnixTime> for rustls::pki_types::UnixTime {
    fn from(t: UnixTime) -> Self {
        Self::since_unix_epoch(std::time::Duration::from_secs(t.0))
    }
}

impl From<rustls::pki_types::UnixTime> for UnixTime {
    fn from(t: rustls::pki_types::UnixTime) -> Self {
        UnixTime(t.as_secs())
    }
}

/// Why a node does not know the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The own clock is behind a time that was signed or confirmed, by at least so many seconds.
    Behind {
        /// Seconds.
        by_at_least: u64,
    },
    /// Peers whose certificates are good but for their dates, more of them than peers whose dates look fine.
    Peers {
        /// Those that look out of date, by name.
        out_of_date: Vec<NodeName>,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Behind { by_at_least } => write!(
                f,
                "this clock is behind by at least {} days; set it, or confirm the date",
                by_at_least / DAY
            ),
            Doubt::Peers { out_of_date } => {
                let names: Vec<String> = out_of_date.iter().map(NodeName::to_string).collect();
                write!(
                    f,
                    "the certificates of {} look out of date by this clock; confirm the date, or set the clock",
                    names.join(", ")
                )
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    #[default]
    Trusted,
    Confirmed(UnixTime),
    Doubt(Doubt),
}

/// What a node knows about the time. Call [`tick`](Self::tick) with the own clock at start and every minute or so,
/// [`signed`](Self::signed) for every time an authority signed, [`met`](Self::met) after every handshake; ask
/// [`time`](Self::time) and [`doubt`](Self::doubt) whenever needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateClock {
    newest_signed: UnixTime,
    state: State,
    /// The last verdict about each peer: whether its dates looked fine.
    peers: BTreeMap<NodeName, bool>,
}

impl CertificateClock {
    /// A clock that has seen nothing.
    pub fn new() -> CertificateClock {
        CertificateClock::default()
    }

    /// The time to judge certificates by when the own clock says `own`.
    pub fn time(&self, own: UnixTime) -> UnixTime {
        own.max(self.floor())
    }

    /// The time that certificates are never judged by an earlier one than.
    pub fn floor(&self) -> UnixTime {
        match self.state {
            State::Confirmed(at) => at,
            _ => self.newest_signed,
        }
    }

    /// Why the time is not known; `None` when it is.
    pub fn doubt(&self) -> Option<&Doubt> {
        match &self.state {
            State::Doubt(d) => Some(d),
            _ => None,
        }
    }

    /// Whether this node may enrol others now.
    pub fn may_enrol(&self) -> bool {
        self.doubt().is_none()
    }

    /// Takes the own clock's reading.
    pub fn tick(&mut self, own: UnixTime) {
        let known = match self.state {
            State::Doubt(_) => return,
            State::Confirmed(at) => at,
            State::Trusted => self.newest_signed,
        };
        if own.plus(SLACK) <= known {
            self.state = State::Doubt(Doubt::Behind { by_at_least: known.secs() - own.secs() });
        }
    }

    /// Takes a time that an authority signed: a certificate's start or a revocation list's date, of a verified
    /// chain. Times signed by mere members do not belong here: one of them could age everybody's certificates.
    pub fn signed(&mut self, t: UnixTime, own: UnixTime) {
        self.newest_signed = self.newest_signed.max(t);
        self.tick(own);
    }

    /// Takes the outcome of a handshake with a peer that is good but perhaps for its dates.
    pub fn met(&mut self, peer: NodeName, dates_fine: bool) {
        if self.peers.len() < PEERS || self.peers.contains_key(&peer) {
            self.peers.insert(peer, dates_fine);
        }
        if self.state == State::Trusted {
            let fine = self.peers.values().filter(|fine| **fine).count();
            if self.peers.len() - fine > fine {
                let out_of_date = self.peers.iter().filter(|(_, fine)| !**fine).map(|(n, _)| *n).collect();
                self.state = State::Doubt(Doubt::Peers { out_of_date });
            }
        }
    }

    /// A person says that the own clock, which reads `own`, is right. Ends any doubt.
    pub fn confirm(&mut self, own: UnixTime) {
        self.state = State::Confirmed(own);
        self.peers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixTime = UnixTime::from_secs(1_800_000_000);
    const YEAR: u64 = 365 * DAY;

    fn node(s: &str) -> NodeName {
        s.parse().unwrap()
    }

    #[test]
    fn certificate_time_is_the_later_of_own_and_signed() {
        let mut c = CertificateClock::new();
        assert_eq!(c.time(T), T);
        c.signed(T.plus(DAY), T);
        assert_eq!(c.time(T), T.plus(DAY));
        assert_eq!(c.time(T.plus(2 * DAY)), T.plus(2 * DAY));
        assert_eq!(c.doubt(), None, "a day is within the slack");
    }

    #[test]
    fn a_clock_that_starts_in_1970_is_in_doubt_until_confirmed() {
        let mut c = CertificateClock::new();
        c.signed(T, T);
        c.tick(UnixTime::from_secs(60));
        assert_eq!(c.doubt(), Some(&Doubt::Behind { by_at_least: T.secs() - 60 }));
        assert!(!c.may_enrol());
        c.tick(T);
        assert!(c.doubt().is_some(), "only a person ends it");
        c.confirm(T);
        assert!(c.may_enrol());
        c.tick(T.plus(60));
        assert_eq!(c.doubt(), None);
        c.tick(T.minus(YEAR));
        assert!(c.doubt().is_some(), "the clock fell behind what was confirmed");
    }

    #[test]
    fn peers_cast_doubt_when_most_of_them_look_out_of_date() {
        let mut c = CertificateClock::new();
        c.met(node("370100"), true);
        c.met(node("370200"), false);
        assert_eq!(c.doubt(), None, "one against one is that peer's affair");
        c.met(node("370100"), false);
        assert_eq!(c.doubt(), Some(&Doubt::Peers { out_of_date: vec![node("370100"), node("370200")] }));
        c.confirm(T);
        c.met(node("370100"), false);
        assert_eq!(c.doubt(), None, "the date was confirmed, so the peers are out of date");
        let mut alone = CertificateClock::new();
        alone.met(node("370000"), false);
        assert!(alone.doubt().is_some(), "a city with one peer must not be cut off by its own wrong clock");
    }

    #[test]
    fn an_authority_that_signs_the_future_is_overruled_by_a_person() {
        let mut c = CertificateClock::new();
        c.signed(T.plus(10 * YEAR), T);
        assert!(c.doubt().is_some());
        c.confirm(T);
        assert_eq!(c.time(T.plus(5)), T.plus(5));
        c.signed(T.plus(11 * YEAR), T);
        assert_eq!((c.time(T), c.doubt()), (T, None));
    }

    #[test]
    fn days_are_rounded_down_and_go_negative() {
        assert_eq!(T.days_until(T.plus(DAY - 1)), 0);
        assert_eq!(T.days_until(T.plus(3 * DAY)), 3);
        assert_eq!(T.days_until(T.minus(1)), -1);
    }
}
