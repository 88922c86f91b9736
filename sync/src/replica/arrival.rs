//! Arrivals: what a batch brings of one document. Documents that begin in a batch are judged away from the store.
//!
//! What begins reads nothing that is stored, so a batch of new documents is judged side by side, wherever the domain
//! finds threads ([`Domain::each`]), while those before are stored:
//!
//! ```text
//! gather:  nothing of it is here, nothing of it is doubtful      the store, in order
//!             |
//! judge:   the gate, all changes at once; how it stands; row     no store, any thread
//!             |
//! store:   row, items, outboxes                                  the store, in order
//! ```
//!
//! Judging takes all changes or none. At any doubt (a change is refused, or waits for another that did not come with it;
//! twins; automerge balks) what was judged is thrown away, and the document goes the way of everything else
//! ([`Replica::admit`]): so the verdicts are those of one by one.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::Replica;
use super::admit::{Incoming, Taken, Verdict};
use super::shelf::Open;
use crate::document::{Document, Witnessed};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Kind, State};
use crate::matter::{Domain, Matter, Standing};
use crate::merkle::Twig;
use crate::store::{self, Store};
use crate::trust::{Membership, Trust};

/// What a batch brings of one document, its seals checked.
pub(super) struct Arrival {
    pub(super) doc: DocId,
    /// The items' places in the batch.
    pub(super) at: Vec<u32>,
    pub(super) items: Vec<Incoming>,
}

/// A document of which all has come that the batch has, and all of it stands.
struct Judged<M, R> {
    open: Box<Open<M>>,
    /// Which items are changes, parents first.
    changes: Vec<usize>,
    standing: Standing,
    row: R,
}

impl Arrival {
    /// Judges a document that begins, all of whose changes would count. `None`: somebody must look at it more closely.
    fn judge<M: Matter, R>(&self, matter: M, row: impl Fn(&Document, &M) -> R) -> Option<Judged<M, R>> {
        let all = self.items.iter().enumerate().filter(|(_, item)| item.kind == Kind::CHANGE);
        let all: Vec<(usize, Witnessed)> = all
            .map(|(i, item)| Witnessed::check(&item.bytes, item.author, true).map(|change| (i, change)))
            .collect::<Result<_, _>>()
            .ok()?;
        let mut open = Box::new(Open::empty(self.doc, matter));
        let together = open.stage_together(&all);
        if together.len() < all.len() {
            return None;
        }
        open.document.settle().ok()?;
        let standing = open.matter.standing();
        let row = row(&open.document, &open.matter);
        Some(Judged { open, changes: together.into_iter().map(|at| all[at].0).collect(), standing, row })
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Takes in what a batch brings, like [`Replica::admit`]. Returns it with the verdicts on its items.
    pub(super) fn admit_all<S, D>(
        &mut self,
        arrivals: Vec<Arrival>,
        from: NodeName,
        unheld: &mut BTreeMap<SealHash, Vec<Twig>>,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Vec<(Arrival, Vec<Verdict>)>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let (mut beginning, mut others) = (Vec::new(), Vec::new());
        let (mut docs, mut items) = (BTreeSet::new(), BTreeSet::new());
        for arrival in arrivals {
            // A batch may say anything twice: then the second is looked at when the first is stored.
            let mut fresh = docs.insert(arrival.doc);
            arrival.items.iter().for_each(|item| fresh &= items.insert(item.hash));
            match fresh && self.begins_plainly(&arrival, store)? {
                true => beginning.push((domain.begin(arrival.doc), arrival)),
                false => others.push(arrival),
            }
        }
        let mut admitted = Vec::with_capacity(beginning.len() + others.len());
        let judge = |(matter, arrival): (M, Arrival)| (arrival.judge(matter, D::row), arrival);
        domain.each(beginning, judge, |domain, (judged, arrival)| {
            let verdicts = match judged {
                Some(judged) => self.admit_judged(&arrival, judged, from, store, domain)?,
                None => self.admit(arrival.doc, &arrival.items, from, unheld, store, domain)?,
            };
            admitted.push((arrival, verdicts));
            Ok(())
        })?;
        for arrival in others {
            let verdicts = self.admit(arrival.doc, &arrival.items, from, unheld, store, domain)?;
            admitted.push((arrival, verdicts));
        }
        Ok(admitted)
    }

    /// Whether a document begins here, and nothing that is stored or known of nodes says anything about its items.
    fn begins_plainly<S: Store>(&self, arrival: &Arrival, store: &mut S) -> store::Result<bool> {
        let plain = |item: &Incoming| {
            // Vouches and marks decide about the items beside them; so does a revocation.
            !matches!(item.kind, Kind::VOUCH | Kind::ERASED)
                && !item.emptied
                && !matches!(self.trust.membership(item.author), Membership::Revoked { .. })
        };
        let first = ItemHash::from(arrival.doc);
        if !arrival.items.iter().any(|item| item.hash == first)
            || !arrival.items.iter().all(plain)
            || store.document(&arrival.doc)?.is_some()
        {
            return Ok(false);
        }
        for item in &arrival.items {
            if store.state(&item.hash)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stores a document that was judged, in the order of [`Replica::admit`].
    fn admit_judged<S, D>(
        &mut self,
        arrival: &Arrival,
        judged: Judged<M, D::Row>,
        from: NodeName,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Vec<Verdict>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let Judged { open, changes, standing: Standing { audience, class }, row } = judged;
        let Arrival { doc, ref items, .. } = *arrival;
        store.put_document(&doc, &store::Document { audience: audience.clone(), frozen: false })?;
        domain.project(store, &doc, row)?;
        self.shelf.put_for_peer(doc, open);
        let mut taken = Taken { begins: true, ..Taken::default() };
        let mut verdicts = vec![Verdict::Durable; items.len()];
        for erasable in [false, true] {
            if erasable {
                for i in &changes {
                    self.keep_item(doc, &items[*i], State::Counted, &mut taken, store)?;
                }
            }
            for (item, verdict) in items.iter().zip(&mut verdicts) {
                if item.kind != Kind::CHANGE && item.kind.is_erasable() == erasable {
                    *verdict = self.admit_other(doc, item, Some(from), &mut taken, store, domain)?;
                }
            }
        }
        self.account(doc, &Audience::default(), &audience, class, &taken, Some(from), store)?;
        Ok(verdicts)
    }
}
