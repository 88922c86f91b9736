//! The fold: from the set of a ticket's entries to how it stands. The heart of the product.
//!
//! Pure and total: every trail folds, equal sets fold byte-equal in any order of arrival, and no time, no depth and no
//! entry's own hash decides anything. An entry is judged once, in the state folded from its own ancestry, and stays
//! as judged whatever arrives later. Every complete entry is in exactly one of three places:
//!
//! ```text
//! unentitled   its author might not do this, as the ticket stood for it       kept and shown, no effect
//! superseded   entitled, and something of more weight decided otherwise       kept and shown with what beat it
//! in force     all others: the chain and the work done under it
//! ```
//!
//! Decisions where the rules leave room:
//! - What a custodian did is superseded when its custody ended without the ending entry knowing of it. What belongs to
//!   the ticket rather than to a custody is never superseded: `follow_up`, `urge`, `supervise`, `escalate`, `merge`,
//!   `unmerge`, ops of newer versions; nor is a `confirm` of a custody of the chain.
//! - The stage is that of the causally last work in the custody of now; of concurrent work (one site's replicas) the
//!   furthest: reply, answer, reject, redirect, feedback, dispatch.
//! - A pause ends with the custodian's next other work, or with its custody.
//! - From [`FROZEN_AT`] entries on nothing is entitled. Past [`FOLDED_AT_MOST`] (only a flood comes there) just the
//!   first entry is folded, and the ticket is shown as flooded: the fold costs bounded time on any set.

use std::collections::BTreeSet;
use std::rc::Rc;

use certs::Site;
use serde::Serialize;
use utoipa::ToSchema;

pub use super::custody::How;
use super::custody::{Register, State};
use super::entitle::{FROZEN_AT, Refusal, Stand};
use super::entry::{Create, EntryId, Op};
use super::trail::{Bits, Order, Trail};

/// A set of more complete entries than this is not folded but for its first entry.
pub const FOLDED_AT_MOST: usize = 4096;

/// What a trail folds to. Equal sets of entries give equal values and equal serialised bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Folded {
    /// How the ticket stands: custodian, custody, open offers, closes.
    pub stand: Stand,
    /// What stands in the first entry.
    #[serde(flatten)]
    pub created: Created,
    /// Every custody so far, the one of now last.
    pub custodies: Vec<CustodyRecord>,
    /// What is being done about the matter.
    pub stage: Stage,
    /// What deadlines are computed from.
    pub clock: Clock,
    /// Entitled entries that something of more weight decided against.
    pub superseded: Vec<Superseded>,
    /// Entries whose author might not do what they say.
    pub unentitled: Vec<Unentitled>,
    /// Closes that did not know of an offer or reopen, to be made again.
    pub proposals: Vec<EntryId>,
    /// Superseded replies that the custodian of now may confirm by a reply that names them.
    pub replies_to_confirm: Vec<EntryId>,
    /// What a person should look at.
    pub alarms: Vec<Alarm>,
    /// 保全: keeps that nobody has released; while there is one, nothing is erased.
    pub kept: Vec<EntryId>,
    /// How often an offer of this ticket was declined.
    pub returns: usize,
    /// The sites that wrote an entitled entry or are named in one.
    pub parties: BTreeSet<Site>,
    /// The trail's heads: the parents of the next entry.
    pub heads: Vec<EntryId>,
    /// How many entries are complete.
    pub entries: usize,
}

/// The part of the first entry that never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Created {
    /// The kind of document.
    pub kind: String,
    /// The schema that it was made under.
    pub schema: u32,
    /// The ticket's number.
    pub number: String,
    /// Whether the reporter's identity is kept secret.
    pub confidential: bool,
    /// The unit of ours that the matter is about.
    pub against: Option<Site>,
    /// The rule version that its deadlines follow.
    pub rule: String,
}

/// One custody of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustodyRecord {
    /// Its names: the create, offer or assign that it is named by.
    pub names: Vec<EntryId>,
    /// Who was responsible.
    pub custodian: Site,
    /// The create, accepts or assigns that began it, and so ended the one before.
    pub begun_by: Vec<EntryId>,
    /// What decided that it began.
    pub how: How,
    /// The words that decided it; `begun_by`, or later ones of a superior.
    pub decided_by: Vec<EntryId>,
}

/// What is being done about the matter. The entries are several only after work of one site's replicas at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", content = "by", rename_all = "snake_case")]
pub enum Stage {
    /// Taken, accepted or assigned, and nothing done yet.
    InHand,
    /// With a department of the custodian.
    Dispatched(Vec<EntryId>),
    /// The department has answered.
    FedBack(Vec<EntryId>),
    /// Offered to another site; the custodian stays responsible.
    Offered(Vec<EntryId>),
    /// The caller was told whose matter it is.
    Redirected(Vec<EntryId>),
    /// Not taken up.
    Rejected(Vec<EntryId>),
    /// Answered at once.
    Answered(Vec<EntryId>),
    /// The caller has a reply.
    Replied(Vec<EntryId>),
    /// Joined to other tickets by these merges.
    Joined(Vec<EntryId>),
    /// Closed.
    Closed(Vec<EntryId>),
}

impl Stage {
    /// Every name there is.
    pub const NAMES: [&str; 10] = [
        "in_hand",
        "dispatched",
        "fed_back",
        "offered",
        "redirected",
        "rejected",
        "answered",
        "replied",
        "joined",
        "closed",
    ];

    /// The stage's name in the command line's contract.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::InHand => "in_hand",
            Stage::Dispatched(_) => "dispatched",
            Stage::FedBack(_) => "fed_back",
            Stage::Offered(_) => "offered",
            Stage::Redirected(_) => "redirected",
            Stage::Rejected(_) => "rejected",
            Stage::Answered(_) => "answered",
            Stage::Replied(_) => "replied",
            Stage::Joined(_) => "joined",
            Stage::Closed(_) => "closed",
        }
    }
}

/// The facts of the clock, as entries in causal order. Deadlines are computed elsewhere, from these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// The first entry.
    pub created: Vec<EntryId>,
    /// What began the custody of now.
    pub accepted: Vec<EntryId>,
    /// Dispatches in force.
    pub dispatched: Vec<EntryId>,
    /// Replies and answers in force.
    pub replied: Vec<EntryId>,
    /// Closes that count.
    pub closed: Vec<EntryId>,
    /// Reopens in force.
    pub reopened: Vec<EntryId>,
    /// Pauses in force.
    pub pauses: Vec<Pause>,
    /// Requests for an extension in force, with their grants.
    pub extensions: Vec<Extension>,
}

/// The clock stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// The pause entry.
    pub from: EntryId,
    /// The first work or custody after it; empty: it lasts.
    pub until: Vec<EntryId>,
}

/// An extension was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// The custodian's request.
    pub request: EntryId,
    /// The superiors' grants.
    pub granted: Vec<EntryId>,
}

/// An entry that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Superseded {
    /// The entry.
    pub entry: EntryId,
    /// The entries that beat it.
    pub beaten_by: Vec<EntryId>,
    /// Why they did.
    pub reason: Beaten,
}

/// Why an entitled entry has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beaten {
    /// A superior of the custodian decided otherwise.
    Superior(Site),
    /// Another accept had gone before: its offer was first, or an accept goes before the custodian's own assign.
    Accepted,
    /// The custodian had already assigned the ticket.
    Assigned,
    /// Two of equal rank; the lot, or a later word of that site, fell on the other.
    Tie,
    /// A superior had confirmed that the offer was declined or withdrawn.
    TooLate,
    /// The close did not know of these offers or reopens.
    Unaware,
}

/// An entry whose author might not do what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unentitled {
    /// The entry.
    pub entry: EntryId,
    /// Why not, as the ticket stood for it.
    pub refusal: Refusal,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "alarm", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants' sentences name their fields")]
pub enum Alarm {
    /// Custody `number` began by a tie between replicas or forks of one site: `won` stands, `lost` does not.
    Tie { number: usize, won: Vec<EntryId>, lost: Vec<EntryId> },
    /// Several entries begin custody `number`: replicas of one site chose the same custodian at once.
    Twice { number: usize, names: Vec<EntryId> },
    /// Several offers are open at once.
    OffersAtOnce { offers: Vec<EntryId> },
    /// The ticket is joined to several at once.
    JoinedAtOnce { merges: Vec<EntryId> },
    /// A custody op of a newer version: this node writes nothing but notes.
    Newer,
    /// The trail is frozen for a person.
    Frozen { entries: usize },
    /// The trail has more entries than are folded.
    Flooded { entries: usize },
}

impl Folded {
    /// The first of the open offers; more than one is open only after a fork.
    pub fn open_offer(&self) -> Option<super::entitle::OpenOffer> {
        self.stand.open_offers.first().copied()
    }

    /// The site that is responsible.
    pub fn custodian(&self) -> Site {
        self.stand.custodian
    }

    /// A name of the custody of now, to be named by the next offer, assign, close or confirm.
    pub fn custody(&self) -> EntryId {
        self.stand.custody[0]
    }

    /// BLAKE3 over the serialised fold: equal on two nodes exactly when their folded states are.
    pub fn state_hash(&self) -> [u8; 32] {
        let bytes = serde_json::to_vec(self).expect("ids, names and numbers are always written to memory");
        *blake3::hash(&bytes).as_bytes()
    }
}

/// Folds a trail.
pub fn fold(trail: &Trail) -> Folded {
    let order = Order::new(trail);
    if order.len() > FOLDED_AT_MOST {
        let mut first = trail.clone();
        first.keep_root();
        let mut folded = fold(&first);
        let frozen = Alarm::Frozen { entries: order.len() };
        folded.alarms = vec![frozen, Alarm::Flooded { entries: order.len() }];
        folded.entries = order.len();
        folded.heads = order.heads.iter().map(|h| order.entries[*h].id).collect();
        folded.heads.sort_unstable();
        return folded;
    }
    Folding::run(trail, &order)
}

/// The entries judged, each in the state of its own ancestry.
struct Folding<'a> {
    order: &'a Order<'a>,
    register: Register<'a>,
    verdicts: Vec<Result<(), Refusal>>,
    /// After each entry: the state of its ancestry and itself, and the parties.
    after: Vec<Option<After>>,
}

#[derive(Clone)]
struct After {
    state: Rc<State>,
    parties: Rc<BTreeSet<Site>>,
}

impl<'a> Folding<'a> {
    fn run(trail: &'a Trail, order: &'a Order<'a>) -> Folded {
        let register = Register::new(order, trail);
        let mut folding = Folding {
            order,
            register,
            verdicts: Vec::with_capacity(order.len()),
            after: Vec::with_capacity(order.len()),
        };
        // All names in an entitled entry are ancestors of it, so a table of ids is enough to find them.
        let mut ids: Vec<(EntryId, usize)> =
            order.entries.iter().enumerate().map(|(i, a)| (a.id, i)).collect();
        ids.sort_unstable();
        let find = |id: EntryId| ids.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| ids[at].1);
        for i in 0..order.len() {
            folding.judge(i, &find);
        }
        let mut all = Bits::none(order.len());
        (0..order.len()).for_each(|i| all.add(i));
        let end =
            folding.joint(&order.heads, &all).expect("the root is complete, and so is everything up to it");
        folding.told(trail, &all, &end)
    }

    /// The state and parties of the set that has these heads; none without the root.
    fn joint(&self, heads: &[usize], set: &Bits) -> Option<After> {
        if !set.has(self.order.root) {
            return None;
        }
        if let [head] = heads {
            return self.after[*head].clone();
        }
        let mut parties = BTreeSet::new();
        heads
            .iter()
            .filter_map(|h| self.after[*h].as_ref())
            .for_each(|a| parties.extend(a.parties.iter().copied()));
        Some(After { state: Rc::new(self.register.state(set)), parties: Rc::new(parties) })
    }

    fn judge(&mut self, i: usize, find: &dyn Fn(EntryId) -> Option<usize>) {
        let entry = self.order.entries[i];
        let op = &entry.entry.op;
        if i == self.order.root {
            self.register.before.push(None);
            self.verdicts.push(Ok(()));
            let mut set = Bits::none(self.order.len());
            set.add(i);
            let state = Rc::new(self.register.state(&set));
            self.after.push(Some(After { state, parties: Rc::new(BTreeSet::from([entry.site])) }));
            return;
        }
        let ancestors = &self.order.ancestors[i];
        let Some(before) = self.joint(&self.order.parents[i], ancestors) else {
            self.register.before.push(None);
            self.verdicts.push(Err(Refusal::NotOfThisTicket));
            self.after.push(None);
            return;
        };
        let stand = &before.state.stand;
        let verdict = stand.entitle(&before.parties, ancestors.count(), entry.site, op);
        let asked = stand.next_asked().filter(|_| *op == Op::Escalate);
        self.register.before.push(Some(before.state.clone()));
        let mut after = before;
        if verdict.is_ok() {
            self.register.add(i, asked, op.of().and_then(find));
            let named = [Some(entry.site), op.to(), asked];
            if named.iter().flatten().any(|s| !after.parties.contains(s)) {
                Rc::make_mut(&mut after.parties).extend(named.into_iter().flatten());
            }
            if Register::matters(op) {
                let mut set = ancestors.clone();
                set.add(i);
                after.state = Rc::new(self.register.state(&set));
            }
        }
        self.verdicts.push(verdict);
        self.after.push(Some(after));
    }

    fn ids(&self, list: &[usize]) -> Vec<EntryId> {
        list.iter().map(|i| self.order.entries[*i].id).collect()
    }

    fn id(&self, i: usize) -> EntryId {
        self.order.entries[i].id
    }

    fn op(&self, i: usize) -> &'a Op {
        &self.order.entries[i].entry.op
    }

    /// What is told about the whole set.
    fn told(&self, trail: &Trail, all: &Bits, end: &After) -> Folded {
        let Create { kind, schema, number, confidential, against, rule, .. } = trail.create().clone();
        let state = &*end.state;
        let (mut superseded, mut unentitled, mut in_force) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..self.order.len() {
            match (&self.verdicts[i], self.beaten(i, state, all)) {
                (Err(refusal), _) => {
                    unentitled.push(Unentitled { entry: self.id(i), refusal: refusal.clone() })
                }
                (Ok(()), Some((by, reason))) => {
                    superseded.push(Superseded { entry: self.id(i), beaten_by: self.ids(&by), reason });
                }
                (Ok(()), None) => in_force.push(i),
            }
        }
        let work = Work { folding: self, state, in_force: &in_force };
        let mut heads = self.ids(&self.order.heads);
        heads.sort_unstable();
        let returns = in_force.iter().filter(|i| matches!(self.op(**i), Op::Decline { .. })).count();
        Folded {
            stand: state.stand.clone(),
            created: Created { kind, schema, number, confidential, against, rule },
            custodies: self.records(state),
            stage: work.stage(),
            clock: work.clock(),
            proposals: self.proposals(state, all),
            replies_to_confirm: self.replies_to_confirm(state, &superseded, &in_force),
            superseded,
            unentitled,
            alarms: self.alarms(state),
            kept: self.kept(&in_force),
            returns,
            parties: (*end.parties).clone(),
            heads,
            entries: self.order.len(),
        }
    }

    /// The keeps in force that no release in force names. What a release does not know of it cannot name, so a keep made
    /// at the same time stays.
    fn kept(&self, in_force: &[usize]) -> Vec<EntryId> {
        let released: BTreeSet<EntryId> = in_force
            .iter()
            .filter_map(|i| match self.op(*i) {
                Op::Release { of } => Some(*of),
                _ => None,
            })
            .collect();
        let keeps = in_force.iter().filter(|i| matches!(self.op(**i), Op::Keep)).map(|i| self.id(*i));
        keeps.filter(|keep| !released.contains(keep)).collect()
    }

    fn records(&self, state: &State) -> Vec<CustodyRecord> {
        let record = |c: &super::custody::Custody| CustodyRecord {
            names: self.ids(&c.names),
            custodian: c.custodian,
            begun_by: self.ids(&c.begun_by),
            how: c.how,
            decided_by: self.ids(&c.decided_by),
        };
        state.chain.iter().map(record).collect()
    }

    /// What beat an entitled entry, if something did.
    fn beaten(&self, i: usize, end: &State, all: &Bits) -> Option<(Vec<usize>, Beaten)> {
        let op = self.op(i);
        let of_the_ticket = matches!(
            op,
            Op::FollowUp { .. }
                | Op::Urge
                | Op::Supervise
                | Op::Escalate
                | Op::Merge { .. }
                | Op::Unmerge
                | Op::Keep
                | Op::Release { .. }
                | Op::Correct { .. }
                | Op::Unknown(_)
        );
        let before = self.register.before[i].as_ref()?;
        if of_the_ticket {
            return None;
        }
        if let Some((_, confirms)) = end.late.iter().find(|(accept, _)| *accept == i) {
            return Some((confirms.clone(), Beaten::TooLate));
        }
        let reason = |next: &super::custody::Custody, way: &[usize]| match next.how {
            _ if way.iter().any(|w| next.tied.contains(w)) => Beaten::Tie,
            How::Superior(superior) => Beaten::Superior(superior),
            How::Assigned => Beaten::Assigned,
            How::Accepted | How::Created => Beaten::Accepted,
        };
        let same = |k: usize| before.chain[k].names.iter().any(|n| end.chain[k].names.contains(n));
        let shared = (0..before.chain.len().min(end.chain.len())).take_while(|k| same(*k)).count();
        let last = before.chain.len() - 1;
        // A custody that both know by one name may have had another here that counts no more: what goes on from that one does
        // not go on.
        let ours = &end.chain[shared - 1];
        let goes_on = match before.chain.get(shared) {
            Some(other) => other.names.iter().any(|n| self.register.names(*n, &ours.names)),
            None => self.register.names(i, &ours.names),
        };
        if !goes_on {
            let given_up = &before.chain[shared - 1].names;
            return Some((ours.decided_by.clone(), reason(ours, given_up)));
        }
        // Where this entry's line goes another way than the chain: what it took for the next custody's names.
        let other_way: Vec<usize> = match before.chain.get(shared) {
            Some(other) => other.names.clone(),
            None => match op {
                Op::Accept { of } => self
                    .register
                    .offers(&before.chain[last].names, all)
                    .filter(|o| self.id(*o) == *of)
                    .collect(),
                _ => vec![i],
            },
        };
        let Some(next) = end.chain.get(shared) else {
            if shared <= last {
                // The chain ends where this line went on: the accept that it rests on came too late.
                let late = end.late.iter().filter(|(a, _)| before.chain[shared].begun_by.contains(a));
                let confirms: BTreeSet<usize> = late.flat_map(|(_, confirms)| confirms).copied().collect();
                return Some((confirms.into_iter().collect(), Beaten::TooLate));
            }
            return self.unaware(i, end, last, all);
        };
        if shared > last {
            // A way out that was not taken has lost, whether the one that was taken knew of it or not.
            let is_way = matches!(op, Op::Accept { .. } | Op::Assign { .. });
            let known = next.begun_by.iter().any(|b| *b == i || (!is_way && self.order.before(i, *b)));
            if matches!(op, Op::Confirm { .. }) || known {
                return self.unaware(i, end, last, all);
            }
        }
        Some((next.decided_by.clone(), reason(next, &other_way)))
    }

    /// What a close of custody `number` did not know, though it was there beside it.
    fn unaware(&self, i: usize, end: &State, number: usize, all: &Bits) -> Option<(Vec<usize>, Beaten)> {
        if !matches!(self.op(i), Op::Close { .. }) {
            return None;
        }
        let must = self.register.must_know(&end.chain[number].names, all);
        let missed: Vec<usize> =
            must.into_iter().filter(|k| !self.order.before(*k, i) && !self.order.before(i, *k)).collect();
        (!missed.is_empty()).then_some((missed, Beaten::Unaware))
    }

    /// Closes of the custody of now that do not count and wait to be made again.
    fn proposals(&self, end: &State, all: &Bits) -> Vec<EntryId> {
        let number = end.chain.len() - 1;
        let names = &end.chain[number].names;
        let closes: Vec<usize> = self.register.closes(names, all).collect();
        let must = self.register.must_know(names, all);
        let reopened =
            |c: usize| must.iter().any(|r| matches!(self.op(*r), Op::Reopen { of } if *of == self.id(c)));
        let settled = |c: usize| {
            let counts = |other: &usize| must.iter().all(|k| self.order.before(*k, *other));
            closes.iter().any(|o| counts(o) && self.order.before(c, *o))
        };
        let waits = closes
            .iter()
            .filter(|c| self.unaware(**c, end, number, all).is_some() && !reopened(**c) && !settled(**c));
        let mut ids: Vec<EntryId> = waits.map(|c| self.id(*c)).collect();
        ids.sort_unstable();
        ids
    }

    fn replies_to_confirm(&self, end: &State, superseded: &[Superseded], in_force: &[usize]) -> Vec<EntryId> {
        let confirmed: Vec<EntryId> = in_force
            .iter()
            .filter_map(|i| match self.op(*i) {
                Op::Reply { of } => *of,
                _ => None,
            })
            .collect();
        if end.stand.is_closed() {
            return Vec::new();
        }
        let replies =
            self.order.entries.iter().filter(|a| matches!(a.entry.op, Op::Reply { .. } | Op::Answer));
        let lost = replies.map(|a| a.id).filter(|id| superseded.iter().any(|s| s.entry == *id));
        lost.filter(|id| !confirmed.contains(id)).collect()
    }

    fn alarms(&self, end: &State) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for (number, c) in end.chain.iter().enumerate() {
            if !c.tied.is_empty() {
                alarms.push(Alarm::Tie { number, won: self.ids(&c.names), lost: self.ids(&c.tied) });
            }
            if c.names.len() > 1 {
                alarms.push(Alarm::Twice { number, names: self.ids(&c.names) });
            }
        }
        if end.stand.open_offers.len() > 1 {
            alarms.push(Alarm::OffersAtOnce {
                offers: end.stand.open_offers.iter().map(|o| o.offer).collect(),
            });
        }
        if end.stand.joined.len() > 1 {
            alarms.push(Alarm::JoinedAtOnce { merges: end.stand.joined.iter().map(|j| j.merge).collect() });
        }
        if end.stand.newer {
            alarms.push(Alarm::Newer);
        }
        if self.order.len() >= FROZEN_AT {
            alarms.push(Alarm::Frozen { entries: self.order.len() });
        }
        alarms
    }
}

/// The work in force, for stage and clock.
struct Work<'f, 'a> {
    folding: &'f Folding<'a>,
    state: &'f State,
    in_force: &'f [usize],
}

impl Work<'_, '_> {
    /// The work done in the custody of now.
    fn now(&self) -> impl Iterator<Item = usize> + '_ {
        let number = self.state.chain.len() - 1;
        let names = &self.state.chain[number].names;
        self.in_force.iter().copied().filter(move |i| {
            let seen = self.folding.register.before[*i].as_ref();
            let here = seen.filter(|s| s.chain.len() == number + 1).map(|s| &s.chain[number]);
            here.is_some_and(|c| c.names.iter().any(|n| names.contains(n)))
        })
    }

    fn stage(&self) -> Stage {
        let stand = &self.state.stand;
        if !stand.closed_by.is_empty() {
            return Stage::Closed(stand.closed_by.clone());
        }
        if !stand.joined.is_empty() {
            return Stage::Joined(stand.joined.iter().map(|j| j.merge).collect());
        }
        if !stand.open_offers.is_empty() {
            return Stage::Offered(stand.open_offers.iter().map(|o| o.offer).collect());
        }
        let rank = |op: &Op| match op {
            Op::Reopen { .. } => Some(0),
            Op::Dispatch { .. } => Some(1),
            Op::Feedback => Some(2),
            Op::Redirect => Some(3),
            Op::Reject => Some(4),
            Op::Answer => Some(5),
            Op::Reply { .. } => Some(6),
            _ => None,
        };
        let steps: Vec<(u8, usize)> =
            self.now().filter_map(|i| rank(self.folding.op(i)).map(|r| (r, i))).collect();
        let last = |i: usize| !steps.iter().any(|(_, later)| self.folding.order.before(i, *later));
        let lasts: Vec<(u8, usize)> = steps.iter().copied().filter(|(_, i)| last(*i)).collect();
        let Some(furthest) = lasts.iter().map(|(r, _)| *r).max() else { return Stage::InHand };
        let by: Vec<usize> = lasts.iter().filter(|(r, _)| *r == furthest).map(|(_, i)| *i).collect();
        let by = self.folding.ids(&by);
        match furthest {
            1 => Stage::Dispatched(by),
            2 => Stage::FedBack(by),
            3 => Stage::Redirected(by),
            4 => Stage::Rejected(by),
            5 => Stage::Answered(by),
            6 => Stage::Replied(by),
            _ => Stage::InHand,
        }
    }

    fn clock(&self) -> Clock {
        let f = self.folding;
        let mut clock = Clock {
            created: vec![f.id(f.order.root)],
            accepted: f.ids(&self.state.chain[self.state.chain.len() - 1].begun_by),
            closed: self.state.stand.closed_by.clone(),
            ..Clock::default()
        };
        for &i in self.in_force {
            let id = f.id(i);
            match f.op(i) {
                Op::Dispatch { .. } => clock.dispatched.push(id),
                Op::Reply { .. } | Op::Answer => clock.replied.push(id),
                Op::Reopen { .. } => clock.reopened.push(id),
                Op::Pause => clock.pauses.push(Pause { from: id, until: self.resumed(i) }),
                Op::Extend { of: None, .. } => {
                    let grants = self.in_force.iter().copied();
                    let grants =
                        grants.filter(|g| matches!(f.op(*g), Op::Extend { of: Some(of), .. } if *of == id));
                    let granted = f.ids(&grants.collect::<Vec<_>>());
                    clock.extensions.push(Extension { request: id, granted });
                }
                _ => {}
            }
        }
        clock
    }

    /// The first entries after a pause that end it: the custodian's other work, or a custody's begin.
    fn resumed(&self, pause: usize) -> Vec<EntryId> {
        let f = self.folding;
        let ends = |i: &usize| {
            let begins = self.state.chain.iter().any(|c| c.begun_by.contains(i));
            let works = matches!(
                f.op(*i),
                Op::Answer
                    | Op::Redirect
                    | Op::Reject
                    | Op::Dispatch { .. }
                    | Op::Feedback
                    | Op::Progress
                    | Op::Reply { .. }
                    | Op::Close { .. }
            );
            (begins || works) && f.order.before(pause, *i)
        };
        let after: Vec<usize> = self.in_force.iter().copied().filter(ends).collect();
        let first: Vec<usize> =
            after.iter().copied().filter(|i| !after.iter().any(|o| f.order.before(*o, *i))).collect();
        f.ids(&first)
    }
}
