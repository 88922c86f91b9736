//! Twins: two changes with one actor and sequence number. A process that was cloned while it ran leaves them behind,
//! and automerge takes only one of them into a document.
//!
//! Which one stands must not depend on which came first. So a document with twins is judged anew from all its changes
//! in one order that is a function of the set: parents before children, and of those whose parents have been judged
//! the smallest hash first. A change stands when its parents stand, its place is free, and the rules allow it. A later
//! arrival has no children yet, so it never changes the order of those before it.

use std::collections::{BTreeMap, BTreeSet};

use super::admit::{Incoming, Taken, Verdict, counted_state};
use super::shelf::Open;
use super::{Event, Replica};
use crate::document::{Refusal, Witnessed, actor};
use crate::id::{DocId, Incarnation, ItemHash};
use crate::item::{Audience, Kind, State};
use crate::matter::{Domain, Matter};
use crate::store::{self, Store};
use crate::trust::Trust;

/// A change, and what became of it before.
struct Known {
    change: Witnessed,
    before: Option<State>,
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Whether a refused change is a twin or rests on one: elsewhere it may have stood. What breaks a rule stood nowhere,
    /// and what rests on that is not looked at more closely, however much of it a peer sends.
    pub(super) fn fell<S: Store>(
        &mut self,
        doc: DocId,
        change: ItemHash,
        store: &mut S,
    ) -> store::Result<bool> {
        let Some(open) = self.shelf.get_mut(&doc) else { return Ok(false) };
        if open.fallen.is_none() {
            let items = store.items_of_kind(&doc, Kind::CHANGE)?.into_iter();
            let refused: Vec<Witnessed> = items
                .filter(|item| item.state == State::Refused)
                .filter_map(|item| Witnessed::check(&item.bytes, item.author, true).ok())
                .collect();
            let (mut fallen, mut before) = (BTreeSet::new(), usize::MAX);
            while fallen.len() != before {
                before = fallen.len();
                let falls = |change: &&Witnessed| {
                    open.document.at_place(change.place()).is_some()
                        || change.deps.iter().any(|dep| fallen.contains(dep))
                };
                let more: Vec<ItemHash> = refused.iter().filter(falls).map(|change| change.hash).collect();
                fallen.extend(more);
            }
            open.fallen = Some(fallen);
        }
        Ok(open.fallen.as_ref().is_some_and(|fallen| fallen.contains(&change)))
    }

    /// Takes in a change whose place in the document is taken, or that rests on what fell, and judges all the others again.
    pub(super) fn judge_twins<S, D>(
        &mut self,
        doc: DocId,
        item: &Incoming,
        change: &Witnessed,
        taken: &mut Taken,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Verdict>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut known = BTreeMap::from([(item.hash, Known { change: change.clone(), before: None })]);
        for held in store.items_of(&doc)?.into_iter().filter(|i| i.kind == Kind::CHANGE) {
            let counted = match held.state {
                State::Refused => self.counts(doc, held.hash, held.author, held.sealed, store)?,
                state => state == State::Counted,
            };
            // What cannot even be read as a change was refused for that, and stays so.
            if let Ok(change) = Witnessed::check(&held.bytes, held.author, counted) {
                known.insert(held.hash, Known { change, before: Some(held.state) });
            }
        }
        let (open, mut refusals, order) =
            judge_all(Open::empty(doc, domain.begin(doc)), &known, &mut taken.named);
        self.shelf.put(doc, Box::new(open));
        self.shelf.touch(doc);
        let verdict = match refusals.remove(&item.hash) {
            Some(refusal) => self.refuse(doc, item, refusal, taken, store)?,
            None => {
                self.keep_item(doc, item, counted_state(change), taken, store)?;
                Verdict::Durable
            }
        };
        let mut fallen = Vec::new();
        for (hash, Known { change, before }) in &known {
            match (before, refusals.remove(hash)) {
                (None, _) | (Some(State::Refused), Some(_)) => {}
                (Some(State::Refused), None) => store.set_state(hash, counted_state(change))?,
                (Some(_), Some(refusal)) => {
                    fallen.push(*hash);
                    store.set_state(hash, State::Refused)?;
                    self.tell_refused(*hash, change.author, &refusal, store)?;
                }
                (Some(_), None) => {}
            }
        }
        let mut fallen: BTreeSet<ItemHash> = fallen.into_iter().collect();
        if verdict != Verdict::Durable {
            fallen.insert(item.hash);
        }
        let own: Vec<ItemHash> = order
            .into_iter()
            .filter(|hash| fallen.contains(hash) && known[hash].change.author == self.me)
            .collect();
        // Twins of this very life mean that a copy of this process runs. Then, and when words of this life fall, the
        // node goes on under a new actor, whose numbers nobody has seen.
        let of_this_life = |change: &Witnessed| change.place().0 == actor(self.me, self.incarnation);
        let copied = of_this_life(change);
        if copied || own.iter().any(|hash| of_this_life(&known[hash].change)) {
            self.incarnation = Incarnation::from_bytes(self.chance.draw());
        }
        if copied {
            let incarnation = self.incarnation;
            self.tell(Event::Cloned { incarnation });
        }
        self.taken_back.extend(own.into_iter().map(|hash| (doc, hash)));
        Ok(verdict)
    }
}

/// Judges all changes in the order that their set alone decides. Returns the document of those that stand, why the
/// others do not, and the order. Whom a twin names that falls, and what rests on it, goes into `named`: where they were
/// here before the other twin, they have let somebody in, and the audience only grows.
fn judge_all<M: Matter>(
    mut open: Open<M>,
    known: &BTreeMap<ItemHash, Known>,
    named: &mut Audience,
) -> (Open<M>, BTreeMap<ItemHash, Refusal>, Vec<ItemHash>) {
    let mut order = Vec::with_capacity(known.len());
    let mut refusals = BTreeMap::new();
    // What may have stood elsewhere, and the fallen that it stood on, itself last.
    let mut fallen: BTreeMap<ItemHash, Vec<ItemHash>> = BTreeMap::new();
    let mut left: BTreeSet<ItemHash> = known.keys().copied().collect();
    let ready = |left: &BTreeSet<ItemHash>| {
        left.iter().find(|h| known[*h].change.deps.iter().all(|d| !left.contains(d))).copied()
    };
    while let Some(hash) = ready(&left) {
        left.remove(&hash);
        order.push(hash);
        let change = &known[&hash].change;
        let missing: Vec<&ItemHash> = change.deps.iter().filter(|d| !open.document.has(d)).collect();
        let twin = open.document.at_place(change.place());
        let refusal = match (missing.first(), twin) {
            (Some(dep), _) => Refusal::RestsOn(**dep),
            (None, Some(twin)) => Refusal::Twin(twin),
            (None, None) => {
                if let Err(refusal) = open.take(change) {
                    refusals.insert(hash, refusal);
                }
                continue;
            }
        };
        refusals.insert(hash, refusal);
        if !missing.iter().all(|dep| fallen.contains_key(dep)) || missing.is_empty() && !open.allows(change) {
            continue; // it stands nowhere
        }
        let mut line: Vec<ItemHash> = Vec::new();
        for under in missing.iter().flat_map(|dep| &fallen[*dep]).chain([&hash]) {
            if !line.contains(under) {
                line.push(*under);
            }
        }
        if let Some(audience) = open.audience_with(line.iter().map(|h| &known[h].change)) {
            named.grow(&audience);
            fallen.insert(hash, line);
        }
    }
    (open, refusals, order)
}
