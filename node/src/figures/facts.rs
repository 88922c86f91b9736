//! What figures know of one ticket: a set of facts, and conditions over them.
//!
//! The facts are read from the fold and from the entries in force, in causal order; no two nodes differ about them. Three of
//! them need more than the ticket: `elsewhere` the site that asks, `in_time` and `late` the tables of deadlines, `overdue`
//! this moment, so that one is never stored.

use std::collections::BTreeSet;

use certs::Site;
use serde_json::{Map, Value};

use crate::ticket::facts::TEST;
use crate::ticket::{Authored, Folded, Op};

/// What may hold of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fact {
    /// 抽检工单: made to test the service; its fact `x.test` says so.
    Test,
    /// Taken by a site that is neither this one nor below it, and handed to it.
    Elsewhere,
    /// 信息咨询.
    Consultation,
    /// 投诉举报.
    Complaint,
    /// 意见建议.
    Suggestion,
    /// 即时答复: answered by the site that took it, before it was handed to anybody.
    Answered,
    /// 转办: dispatched, offered or assigned.
    HandedOver,
    /// Nobody has to work on it any more.
    Ended,
    /// 不予受理.
    Rejected,
    /// 告知: the caller was told whose matter it is.
    Redirected,
    /// 并单: joined to another ticket, which is handled in its place.
    Joined,
    /// Ended before its deadline was over.
    InTime,
    /// Ended after that.
    Late,
    /// Its deadline is over, and it has not ended.
    Overdue,
    /// 退回: an offer of it was declined.
    Returned,
    /// 重办: a close of it was not the end.
    Reopened,
    /// 回访: the caller said what they think, or was not reached twice.
    FollowedUp,
    /// The caller said whether they are satisfied.
    Rated,
    /// They are, by their last word.
    Satisfied,
    /// 差评: they were not, once.
    Dissatisfied,
    /// 整改: they were not, and are by their last word.
    Rectified,
    /// 复核: after a close somebody else than who closed it looked at it: followed up, supervised or reopened.
    Rechecked,
    /// At the ministry: taken by a site below it, whose aggregates count it.
    Below,
}

/// Every fact with its word in definitions.
pub const FACTS: [(Fact, &str); 23] = [
    (Fact::Test, "test"),
    (Fact::Elsewhere, "elsewhere"),
    (Fact::Consultation, "consultation"),
    (Fact::Complaint, "complaint"),
    (Fact::Suggestion, "suggestion"),
    (Fact::Answered, "answered"),
    (Fact::HandedOver, "handed_over"),
    (Fact::Ended, "ended"),
    (Fact::Rejected, "rejected"),
    (Fact::Redirected, "redirected"),
    (Fact::Joined, "joined"),
    (Fact::InTime, "in_time"),
    (Fact::Late, "late"),
    (Fact::Overdue, "overdue"),
    (Fact::Returned, "returned"),
    (Fact::Reopened, "reopened"),
    (Fact::FollowedUp, "followed_up"),
    (Fact::Rated, "rated"),
    (Fact::Satisfied, "satisfied"),
    (Fact::Dissatisfied, "dissatisfied"),
    (Fact::Rectified, "rectified"),
    (Fact::Rechecked, "rechecked"),
    (Fact::Below, "below"),
];

/// Raised whenever the same ticket has other facts than before, or its row says more: rows are made anew then. 3: the ministry knows
/// what lies below it, and a ticket that was handed on is with no department of before.
pub(crate) const VERSION: u32 = 3;

/// The facts of one ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Facts(u32);

impl Facts {
    /// As they are stored.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From what was stored; bits of another version are passed over.
    pub fn from_bits(bits: i64) -> Facts {
        Facts((bits & ((1 << FACTS.len()) - 1)) as u32)
    }

    /// Whether this holds.
    pub fn has(self, fact: Fact) -> bool {
        self.0 & (1 << fact as u8) != 0
    }

    /// With this fact, or without it.
    #[must_use]
    pub fn with(self, fact: Fact, holds: bool) -> Facts {
        let bit = 1 << fact as u8;
        Facts(if holds { self.0 | bit } else { self.0 & !bit })
    }

    /// With `in_time` or `late`, if either can be said of a ticket that was to be handled.
    #[must_use]
    pub fn judged(self, in_time: Option<bool>) -> Facts {
        let handled = self.has(Fact::Ended) && !self.has(Fact::Rejected) && !self.has(Fact::Joined);
        let in_time = in_time.filter(|_| handled);
        self.with(Fact::InTime, in_time == Some(true)).with(Fact::Late, in_time == Some(false))
    }

    /// With `elsewhere` and `below`, as the site `me` sees a ticket that `taken_by` took.
    #[must_use]
    pub fn seen_from(self, me: Site, taken_by: Site) -> Facts {
        let elsewhere = !me.covers(taken_by);
        self.with(Fact::Elsewhere, elsewhere)
            .with(Fact::Below, me == Site::MINISTRY && taken_by != Site::MINISTRY)
    }

    /// Whether the clock can run out on it while it is open.
    pub(crate) fn may_be_overdue(self) -> bool {
        !self.has(Fact::Ended) && !self.has(Fact::Joined)
    }

    /// Whether the caller of a ticket that has ended should be called back: others worked on it, and nobody has asked since.
    pub(crate) fn wants_follow_up(self) -> bool {
        let not = [Fact::FollowedUp, Fact::Rejected, Fact::Joined, Fact::Test];
        self.has(Fact::HandedOver) && !not.into_iter().any(|fact| self.has(fact))
    }

    /// Reads a ticket, but for what needs more than it. `in_force` are the entries that have effect, the earlier before the later.
    pub fn of(in_force: &[&Authored], folded: &Folded, said: &Map<String, Value>, ended: bool) -> Facts {
        let mut facts = Facts::default().with(Fact::Ended, ended);
        let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("business") {
            "信息咨询" => facts = facts.with(Fact::Consultation, true),
            "投诉举报" => facts = facts.with(Fact::Complaint, true),
            "意见建议" => facts = facts.with(Fact::Suggestion, true),
            _ => {}
        }
        facts = facts.with(Fact::Test, matches!(text(TEST), "true" | "是" | "1"));
        facts = facts.with(Fact::Joined, !folded.stand.joined.is_empty());
        facts = facts.with(Fact::Returned, folded.returns > 0);
        facts = facts.with(Fact::Reopened, !folded.clock.reopened.is_empty());
        facts.story(folded, in_force)
    }

    /// What the entries tell.
    fn story(mut self, folded: &Folded, in_force: &[&Authored]) -> Facts {
        let (mut calls, mut last, mut closers) = (0, None, BTreeSet::new());
        for a in in_force {
            let who = (a.site, a.entry.user.as_deref());
            match &a.entry.op {
                Op::Answer if a.site == folded.stand.taken_by && !self.has(Fact::HandedOver) => {
                    self = self.with(Fact::Answered, true);
                }
                Op::Dispatch { .. } | Op::Offer { .. } | Op::Assign { .. } => {
                    self = self.with(Fact::HandedOver, true);
                }
                Op::Reject => self = self.with(Fact::Rejected, true),
                Op::Redirect => self = self.with(Fact::Redirected, true),
                Op::Close { .. } => drop(closers.insert(who)),
                Op::FollowUp { satisfied } => {
                    calls += 1;
                    last = satisfied.or(last);
                    self = self
                        .with(Fact::Dissatisfied, self.has(Fact::Dissatisfied) || *satisfied == Some(false));
                }
                _ => {}
            }
            let looks = matches!(a.entry.op, Op::FollowUp { .. } | Op::Supervise | Op::Reopen { .. });
            if looks && !closers.is_empty() && !closers.contains(&who) {
                self = self.with(Fact::Rechecked, true);
            }
        }
        let satisfied = last == Some(true);
        self.with(Fact::FollowedUp, last.is_some() || calls > 1)
            .with(Fact::Rated, last.is_some())
            .with(Fact::Satisfied, satisfied)
            .with(Fact::Rectified, satisfied && self.has(Fact::Dissatisfied))
    }
}

/// A condition over facts: alternatives, of each of which every word holds. `complaint in_time | complaint late`; `all` holds
/// always, `!` denies. Test tickets, and those that were taken elsewhere, fit only what names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternatives(Vec<(Facts, Facts)>);

impl Alternatives {
    /// Reads a condition; `Err` says what is wrong with it, as a half-sentence.
    pub fn read(text: &str) -> Result<Alternatives, String> {
        let one = |part: &str| {
            let (mut must, mut must_not) = (Facts::default(), Facts::default());
            let mut words = part.split_whitespace().peekable();
            if words.peek().is_none() {
                return Err("has an empty alternative; write `all` for what holds always".to_owned());
            }
            for word in words.filter(|word| *word != "all") {
                let (denied, name) = word.strip_prefix('!').map_or((false, word), |name| (true, name));
                let Some((fact, _)) = FACTS.iter().find(|(_, known)| *known == name) else {
                    let known: Vec<&str> = FACTS.iter().map(|(_, name)| *name).collect();
                    return Err(format!("names a fact that there is not; facts are {}", known.join(" ")));
                };
                match denied {
                    true => must_not = must_not.with(*fact, true),
                    false => must = must.with(*fact, true),
                }
            }
            for apart in [Fact::Test, Fact::Elsewhere] {
                must_not = must_not.with(apart, must_not.has(apart) || !must.has(apart));
            }
            Ok((must, must_not))
        };
        text.split('|').map(one).collect::<Result<_, _>>().map(Alternatives)
    }

    /// Whether it holds of a ticket with these facts.
    pub fn hold(&self, facts: Facts) -> bool {
        self.0.iter().any(|(must, must_not)| facts.0 & must.0 == must.0 && facts.0 & must_not.0 == 0)
    }

    /// Whether it speaks of this fact.
    pub fn names(&self, fact: Fact) -> bool {
        self.0.iter().any(|(must, must_not)| must.has(fact) || must_not.has(fact))
    }

    /// The same in SQL, over an expression that gives the stored bits. It holds numbers and that expression only.
    pub(crate) fn sql(&self, bits: &str) -> String {
        let one = |(must, must_not): &(Facts, Facts)| {
            format!("(({bits}) & {} = {} AND ({bits}) & {} = 0)", must.0, must.0, must_not.0)
        };
        format!("({})", self.0.iter().map(one).collect::<Vec<_>>().join(" OR "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(words: &str) -> Facts {
        let known = |word: &str| FACTS.iter().find(|(_, name)| *name == word).unwrap().0;
        words.split_whitespace().fold(Facts::default(), |facts, word| facts.with(known(word), true))
    }

    #[test]
    fn every_fact_has_a_bit_and_a_word_of_its_own() {
        for (place, (fact, word)) in FACTS.iter().enumerate() {
            assert_eq!(*fact as usize, place, "{word}");
            assert_eq!(Facts::from_bits(facts(word).bits()), facts(word));
        }
        assert_eq!(Facts::from_bits(-1).bits(), (1 << FACTS.len()) - 1);
    }

    #[test]
    fn conditions_hold_of_what_they_say() {
        let check = |condition: &str, of: &str, holds: bool| {
            assert_eq!(Alternatives::read(condition).unwrap().hold(facts(of)), holds, "{condition} of {of}");
        };
        check("all", "", true);
        check("all", "complaint late", true);
        check("all", "test", false);
        check("all", "elsewhere complaint", false);
        check("test", "test complaint", true);
        check("complaint late | complaint overdue", "complaint overdue", true);
        check("complaint late | complaint overdue", "overdue", false);
        check("!complaint !answered", "consultation", true);
        check("!complaint !answered", "consultation answered", false);
        assert!(Alternatives::read("late |").unwrap_err().contains("empty alternative"));
        assert!(Alternatives::read("!tardy").unwrap_err().contains("facts are test elsewhere"));
    }

    #[test]
    fn only_what_was_to_be_handled_is_in_time_or_late() {
        assert_eq!(facts("ended").judged(Some(true)), facts("ended in_time"));
        assert_eq!(facts("ended in_time").judged(Some(false)), facts("ended late"));
        assert_eq!(facts("ended late").judged(None), facts("ended"));
        for not in ["", "ended rejected", "ended joined"] {
            assert_eq!(facts(not).judged(Some(false)), facts(not));
        }
    }

    #[test]
    fn a_ticket_counts_where_it_was_taken_and_above() {
        let site = |code: &str| code.parse::<Site>().unwrap();
        let check = |me: &str, taken: &str, elsewhere: bool| {
            assert_eq!(
                facts("").seen_from(site(me), site(taken)).has(Fact::Elsewhere),
                elsewhere,
                "{me} {taken}"
            );
        };
        check("370100", "370100", false);
        check("370100", "370100-01", false);
        check("370100", "370200", true);
        check("370100", "370000", true);
        check("370000", "370200", false);
        check("370000", "510100", true);
        check("000000", "510100-02", false);
    }
}
