//! The chain of custodies: who held the ticket, who decided so, and who lost.
//!
//! ```text
//! create ──custody 0──▶ one way out ──custody 1──▶ … ──▶ no way out: this is the custody of now
//!
//! ways out of a custody, the first that has something decides:
//!   1  its custodian's superiors, the highest first:
//!        what their confirm or assign on a later custody holds       (they have seen how this one ended)
//!        else their own assign, or accept, that names this custody
//!   2  the accept whose offer is causally first
//!   3  the custodian's own assign
//! a tie is between replicas or forks of one site, so: what a later word of that site holds,
//! else the target with the smaller H(document, number of the custody, target's name)
//! ```
//!
//! Decisions where the rules leave room:
//! - Ways of one decider to one and the same target are one custody with several names. H reads the target only and
//!   could not choose between them; an entry's id must not; and the custodian is the same.
//! - An accept is *too late* when a superior's confirm on this custody holds a decline or withdraw of its offer,
//!   unless the accepting site stands above that superior, or a superior of no lower rank has confirmed the accept.
//! - A tie at step 2 or 3 is the custodian's own, so it is the custodian's later confirm or assign that counts.

use std::collections::BTreeSet;
use std::rc::Rc;

use certs::Site;
use serde::Serialize;
use sync::id::DocId;

use super::entitle::{Join, OpenOffer, Stand};
use super::entry::{DECLINES, Op};
use super::trail::{Bits, Order, Trail};

/// What decided how a custody ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Nothing did: this is the first custody.
    Created,
    /// The word of this superior of the custodian.
    Superior(Site),
    /// The accept whose offer was first.
    Accepted,
    /// The custodian's own assign.
    Assigned,
}

/// One custody of the chain; entries by their index in the order.
#[derive(Clone, Debug)]
pub(super) struct Custody {
    /// The entries that name it: offers or assigns, or the create.
    pub(super) names: Vec<usize>,
    pub(super) custodian: Site,
    /// The create, or the accepts and assigns that begin it.
    pub(super) begun_by: Vec<usize>,
    pub(super) only_to: Option<Site>,
    pub(super) how: How,
    /// The entries that decided: `begun_by`, or the later words that hold it.
    pub(super) decided_by: Vec<usize>,
    /// The names of the ways that lost a tie against this one.
    pub(super) tied: Vec<usize>,
}

impl Custody {
    fn after_a_tie_with(mut self, lost: &[Way]) -> Custody {
        self.tied.extend(lost.iter().map(|w| w.name));
        self.tied.sort_unstable();
        self
    }
}

/// What one set of entries folds to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) chain: Vec<Custody>,
    /// Accepts that came too late, each with the confirms that say so.
    pub(super) late: Vec<(usize, Vec<usize>)>,
    pub(super) stand: Stand,
}

/// A way out of a custody.
#[derive(Clone)]
struct Way {
    name: usize,
    to: Site,
    begun_by: Vec<usize>,
    only_to: Option<Site>,
    decided_by: Vec<usize>,
    /// Confirms that show the offer as ended.
    late: Vec<usize>,
}

/// The entitled entries so far, by what they are and what they name.
pub(super) struct Register<'a> {
    pub(super) order: &'a Order<'a>,
    document: DocId,
    taken_by: Site,
    reported: bool,
    most_declines: u32,
    /// For each entry, the entitled entries that name it.
    naming: Vec<Vec<usize>>,
    /// Entitled assigns and confirms: words about the custodies before theirs.
    words: Vec<usize>,
    /// Entitled merges and unmerges.
    joins: Vec<usize>,
    /// Entitled escalates with the superior they ask.
    asks: Vec<(usize, Site)>,
    /// Entitled requests for an extension.
    requests: Vec<usize>,
    /// Entitled custody ops of newer versions.
    newer: Vec<usize>,
    /// The state before each entry, folded from its ancestry; none where that is not of this ticket.
    pub(super) before: Vec<Option<Rc<State>>>,
}

impl<'a> Register<'a> {
    pub(super) fn new(order: &'a Order<'a>, trail: &Trail) -> Self {
        Register {
            order,
            document: trail.document(),
            taken_by: trail.create().site,
            reported: trail.create().reported,
            most_declines: trail.create().declines.unwrap_or(DECLINES),
            naming: vec![Vec::new(); order.len()],
            words: Vec::new(),
            joins: Vec::new(),
            asks: Vec::new(),
            requests: Vec::new(),
            newer: Vec::new(),
            before: Vec::with_capacity(order.len()),
        }
    }

    /// Whether an entitled entry with this op can change what the ones after it are entitled to.
    pub(super) fn matters(op: &Op) -> bool {
        let plain = matches!(
            op,
            Op::Answer
                | Op::Redirect
                | Op::Reject
                | Op::Dispatch { .. }
                | Op::Feedback
                | Op::Progress
                | Op::Pause
                | Op::Reply { .. }
                | Op::Extend { of: Some(_), .. }
                | Op::FollowUp { .. }
                | Op::Urge
                | Op::Supervise
                | Op::Keep
                | Op::Release { .. }
                | Op::Correct { .. }
        );
        !plain && (!matches!(op, Op::Unknown(_)) || op.is_unknown_custody())
    }

    /// Takes an entitled entry in; `find` gives an id's index.
    pub(super) fn add(&mut self, i: usize, asked: Option<Site>, named: Option<usize>) {
        let op = &self.order.entries[i].entry.op;
        match op {
            Op::Assign { .. } | Op::Confirm { .. } => self.words.push(i),
            Op::Merge { .. } | Op::Unmerge => self.joins.push(i),
            Op::Extend { of: None, .. } => self.requests.push(i),
            Op::Escalate => self.asks.extend(asked.map(|s| (i, s))),
            op if op.is_unknown_custody() => self.newer.push(i),
            _ => {}
        }
        if let Some(named) = named {
            self.naming[named].push(i);
        }
    }

    fn op(&self, i: usize) -> &Op {
        &self.order.entries[i].entry.op
    }

    fn site(&self, i: usize) -> Site {
        self.order.entries[i].site
    }

    /// The entitled entries in `set` that name one of `names`.
    fn about<'s>(&'s self, names: &'s [usize], set: &'s Bits) -> impl Iterator<Item = usize> + 's {
        names.iter().flat_map(|n| &self.naming[*n]).copied().filter(|i| set.has(*i))
    }

    /// Whether an entry speaks of the custody with these names: it, or the offer or close that it speaks of, names one of
    /// them. A confirm holds what it has seen, and words that name no custody speak of the one that they found.
    pub(super) fn names(&self, i: usize, names: &[usize]) -> bool {
        let about = |i: &usize| names.iter().any(|n| self.naming[*n].contains(i));
        match self.op(i) {
            Op::Offer { .. } | Op::Assign { .. } | Op::Close { .. } => about(&i),
            Op::Accept { .. } | Op::Decline { .. } | Op::Withdraw { .. } | Op::Reopen { .. } => {
                names.iter().flat_map(|n| &self.naming[*n]).any(|of| self.naming[*of].contains(&i))
            }
            _ => true,
        }
    }

    /// The entitled offers of the custody with these names.
    pub(super) fn offers<'s>(
        &'s self,
        names: &'s [usize],
        set: &'s Bits,
    ) -> impl Iterator<Item = usize> + 's {
        self.about(names, set).filter(|i| matches!(self.op(*i), Op::Offer { .. }))
    }

    /// The entitled closes of the custody with these names.
    pub(super) fn closes<'s>(
        &'s self,
        names: &'s [usize],
        set: &'s Bits,
    ) -> impl Iterator<Item = usize> + 's {
        self.about(names, set).filter(|i| matches!(self.op(*i), Op::Close { .. }))
    }

    /// What a close of the custody with these names must know: its entitled offers and reopens.
    pub(super) fn must_know(&self, names: &[usize], set: &Bits) -> Vec<usize> {
        let reopen = |i: &usize| set.has(*i) && matches!(self.op(*i), Op::Reopen { .. });
        let reopens = self.closes(names, set).flat_map(|c| &self.naming[c]).copied().filter(reopen);
        self.offers(names, set).chain(reopens).collect()
    }

    /// The fold of a causally closed set that holds the root.
    pub(super) fn state(&self, set: &Bits) -> State {
        let root = Custody {
            names: vec![self.order.root],
            custodian: self.taken_by,
            begun_by: vec![self.order.root],
            only_to: None,
            how: How::Created,
            decided_by: vec![self.order.root],
            tied: Vec::new(),
        };
        let mut chain = vec![root];
        let mut late = Vec::new();
        while let Some(next) = self.next(&chain, set, &mut late) {
            chain.push(next);
        }
        let stand = self.stand(&chain, set);
        State { chain, late, stand }
    }

    /// The way out of the last custody of the chain, if it has ended; accepts that came too late go to `late`.
    fn next(&self, chain: &[Custody], set: &Bits, late: &mut Vec<(usize, Vec<usize>)>) -> Option<Custody> {
        let now = chain.last()?;
        let (mut accepted, mut assigned) = (Vec::new(), Vec::new());
        for i in self.about(&now.names, set) {
            match *self.op(i) {
                Op::Offer { to, .. } => {
                    let accepts = self.accepts(i, set);
                    if !accepts.is_empty() {
                        let (late, decided_by) = (self.show_as_ended(i, to, now, set), accepts.clone());
                        accepted.push(Way {
                            name: i,
                            to,
                            begun_by: accepts,
                            only_to: None,
                            decided_by,
                            late,
                        });
                    }
                }
                Op::Assign { to, .. } => {
                    let by = self.site(i);
                    let only_to = by.is_above(to).then_some(by).filter(|by| by.is_above(now.custodian));
                    let (begun_by, decided_by) = (vec![i], vec![i]);
                    assigned.push(Way { name: i, to, begun_by, only_to, decided_by, late: Vec::new() });
                }
                _ => {}
            }
        }
        if accepted.is_empty() && assigned.is_empty() {
            return None;
        }
        let next = self.decide(chain, set, &accepted, &assigned);
        for way in accepted.iter().filter(|w| !w.late.is_empty()) {
            if next.as_ref().is_none_or(|n| !n.names.contains(&way.name)) {
                late.extend(way.begun_by.iter().map(|a| (*a, way.late.clone())));
            }
        }
        next
    }

    /// Which of the ways out of the last custody is taken: the drawing above, from top to bottom.
    fn decide(&self, chain: &[Custody], set: &Bits, accepted: &[Way], assigned: &[Way]) -> Option<Custody> {
        let (number, now) = (chain.len() - 1, chain.last()?);
        let above: Vec<Site> = now.custodian.superiors().collect();
        for superior in above.into_iter().rev() {
            let how = How::Superior(superior);
            let mut held = self.held(superior, chain, set);
            held.retain(|h| {
                let shown = accepted.iter().find(|w| w.name == h.name).map_or(&[][..], |w| &w.late);
                !shown.iter().any(|confirm| self.site(*confirm).is_above(superior))
            });
            let in_time = accepted.iter().filter(|w| w.late.is_empty() && w.to == superior);
            let mut own: Vec<Way> =
                assigned.iter().filter(|w| self.site(w.name) == superior).chain(in_time).cloned().collect();
            if !held.is_empty() {
                // A word of its own beside the held one is a replica's or a fork's: to the same target it is another name,
                // to another it has lost.
                own.retain(|w| !held.iter().any(|h| h.name == w.name));
                let (same, lost): (Vec<Way>, Vec<Way>) =
                    own.into_iter().partition(|w| held.iter().any(|h| h.to == w.to));
                held.extend(same.into_iter().map(|w| Way { decided_by: Vec::new(), ..w }));
                return Some(self.choose(held, number, how).after_a_tie_with(&lost));
            }
            if !own.is_empty() {
                return Some(self.choose(own, number, how));
            }
        }
        let in_time: Vec<&Way> = accepted.iter().filter(|w| w.late.is_empty()).collect();
        if !in_time.is_empty() {
            let first = |w: &&Way| !in_time.iter().any(|o| self.order.before(o.name, w.name));
            let firsts: Vec<Way> = in_time.iter().copied().filter(first).cloned().collect();
            return Some(self.settle(firsts, chain, set, How::Accepted));
        }
        let own: Vec<Way> = assigned.iter().filter(|w| self.site(w.name) == now.custodian).cloned().collect();
        (!own.is_empty()).then(|| self.settle(own, chain, set, How::Assigned))
    }

    /// The entitled accepts of this offer.
    fn accepts(&self, offer: usize, set: &Bits) -> Vec<usize> {
        let accepts = self.naming[offer].iter().copied();
        accepts.filter(|a| set.has(*a) && matches!(self.op(*a), Op::Accept { .. })).collect()
    }

    /// The confirms of superiors after which nobody at or below its rank can accept this offer.
    fn show_as_ended(&self, offer: usize, to: Site, now: &Custody, set: &Bits) -> Vec<usize> {
        let ends = |confirm: usize| {
            self.naming[offer].iter().any(|e| {
                matches!(self.op(*e), Op::Decline { .. } | Op::Withdraw { .. })
                    && self.order.before(*e, confirm)
            })
        };
        let shows = |f: &usize| {
            let by = self.site(*f);
            matches!(self.op(*f), Op::Confirm { .. })
                && by.is_above(now.custodian)
                && !to.is_above(by)
                && ends(*f)
        };
        self.about(&now.names, set).filter(shows).collect()
    }

    /// The ways out of the last custody that later words of this site hold.
    fn held(&self, site: Site, chain: &[Custody], set: &Bits) -> Vec<Way> {
        let (number, now) = (chain.len() - 1, &chain[chain.len() - 1]);
        let mut ways: Vec<Way> = Vec::new();
        for &word in self.words.iter().filter(|w| set.has(**w) && self.site(**w) == site) {
            let Some(seen) = &self.before[word] else { continue };
            let (Some(same), Some(next)) = (seen.chain.get(number), seen.chain.get(number + 1)) else {
                continue;
            };
            if !same.names.iter().any(|n| now.names.contains(n)) {
                continue;
            }
            for &name in &next.names {
                if let Some(way) = ways.iter_mut().find(|w| w.name == name) {
                    way.decided_by.push(word);
                    continue;
                }
                // All accepts of the offer begin the custody, those too that the word has not seen.
                let begun_by = match self.op(name) {
                    Op::Offer { .. } => self.accepts(name, set),
                    _ => vec![name],
                };
                let (to, only_to, decided_by) = (next.custodian, next.only_to, vec![word]);
                ways.push(Way { name, to, begun_by, only_to, decided_by, late: Vec::new() });
            }
        }
        ways
    }

    /// Among ways that the custodian itself opened, those that a later word of its holds, if any does.
    fn settle(&self, ways: Vec<Way>, chain: &[Custody], set: &Bits, how: How) -> Custody {
        let number = chain.len() - 1;
        if ways.iter().all(|w| w.to == ways[0].to) {
            return self.choose(ways, number, how);
        }
        let site = chain[number].custodian;
        let held = self.held(site, chain, set);
        let kept: BTreeSet<Site> =
            ways.iter().filter(|w| held.iter().any(|h| h.name == w.name)).map(|w| w.to).collect();
        let (kept, lost): (Vec<Way>, Vec<Way>) = ways.iter().cloned().partition(|w| kept.contains(&w.to));
        if kept.is_empty() {
            return self.choose(ways, number, how);
        }
        self.choose(kept, number, how).after_a_tie_with(&lost)
    }

    /// One custody out of ways of equal rank: the target with the smallest H; its ways are one custody.
    fn choose(&self, ways: Vec<Way>, number: usize, how: How) -> Custody {
        let target =
            ways.iter().map(|w| w.to).min_by_key(|to| self.lot(number, *to)).unwrap_or(self.taken_by);
        let (won, lost): (Vec<Way>, Vec<Way>) = ways.into_iter().partition(|w| w.to == target);
        let all = |part: fn(&Way) -> &[usize]| -> Vec<usize> {
            let set: BTreeSet<usize> = won.iter().flat_map(part).copied().collect();
            set.into_iter().collect()
        };
        let mut tied: Vec<usize> = lost.iter().map(|w| w.name).collect();
        tied.sort_unstable();
        Custody {
            names: won.iter().map(|w| w.name).collect::<BTreeSet<_>>().into_iter().collect(),
            custodian: target,
            begun_by: all(|w| &w.begun_by),
            only_to: won.iter().find_map(|w| w.only_to),
            how,
            decided_by: all(|w| &w.decided_by),
            tied,
        }
    }

    /// H(document id, number of the custody in the chain, target's name): nobody can choose an entry to win by it.
    fn lot(&self, number: usize, target: Site) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2027 custody tie");
        hasher.update(self.document.as_bytes());
        hasher.update(&(number as u64).to_le_bytes());
        hasher.update(target.to_string().as_bytes());
        *hasher.finalize().as_bytes()
    }

    fn stand(&self, chain: &[Custody], set: &Bits) -> Stand {
        let now = &chain[chain.len() - 1];
        let id = |i: &usize| self.order.entries[*i].id;
        let mut stand = Stand {
            document: self.document,
            taken_by: self.taken_by,
            reported: self.reported,
            custody: now.names.iter().map(id).collect(),
            custodian: now.custodian,
            only_to: now.only_to,
            custodians: chain.iter().map(|c| c.custodian).collect(),
            open_offers: Vec::new(),
            declines: 0,
            most_declines: self.most_declines,
            closed_by: Vec::new(),
            joined: Vec::new(),
            requests: Vec::new(),
            asked: BTreeSet::new(),
            newer: self.newer.iter().any(|i| set.has(*i)),
        };
        for i in self.offers(&now.names, set) {
            let ended = |by: fn(&Op) -> bool| self.naming[i].iter().any(|e| set.has(*e) && by(self.op(*e)));
            let declined = ended(|op| matches!(op, Op::Decline { .. }));
            stand.declines += usize::from(declined);
            if let Op::Offer { to, .. } = *self.op(i)
                && !declined
                && !ended(|op| matches!(op, Op::Withdraw { .. }))
            {
                stand.open_offers.push(OpenOffer { offer: id(&i), to });
            }
        }
        let must_know = self.must_know(&now.names, set);
        let counts = |close: &usize| must_know.iter().all(|k| self.order.before(*k, *close));
        stand.closed_by = self.closes(&now.names, set).filter(counts).map(|i| id(&i)).collect();
        let undone = |merge: usize| {
            self.joins
                .iter()
                .any(|u| set.has(*u) && matches!(self.op(*u), Op::Unmerge) && self.order.before(merge, *u))
        };
        for &i in self.joins.iter().filter(|i| set.has(**i)) {
            if let Op::Merge { into } = *self.op(i)
                && !undone(i)
            {
                stand.joined.push(Join { merge: id(&i), into });
            }
        }
        let here = |i: usize| {
            let seen = self.before[i]
                .as_ref()
                .and_then(|s| s.chain.get(chain.len() - 1).filter(|_| s.chain.len() == chain.len()));
            set.has(i) && seen.is_some_and(|c| c.names.iter().any(|n| now.names.contains(n)))
        };
        stand.requests = self.requests.iter().filter(|i| here(**i)).map(id).collect();
        stand.asked = self.asks.iter().filter(|(i, _)| here(*i)).map(|(_, s)| *s).collect();
        // By target: the one that is shown alone is not chosen by an id.
        stand.open_offers.sort_unstable_by_key(|o| (o.to, o.offer));
        for list in [&mut stand.custody, &mut stand.closed_by, &mut stand.requests] {
            list.sort_unstable();
        }
        stand.joined.sort_unstable_by_key(|j| (j.into, j.merge));
        stand
    }
}
