//! Taking items into documents: the second half of the gate, and what follows when something stands.

use std::collections::BTreeMap;

use automerge::Automerge;
use certs::NodeName;

use super::shelf::Open;
use super::{Event, Replica, WriteError};
use crate::document::{Refusal, Witnessed};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Class, Item, Kind, Sealed, State};
use crate::matter::{Domain, Matter};
use crate::merkle::Twig;
use crate::seal;
use crate::store::{self, Position, Refused, Store};
use crate::trust::Trust;

/// A document's item whose seal holds, on its way in.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) hash: ItemHash,
    pub(super) kind: Kind,
    pub(super) author: NodeName,
    pub(super) sealed: Option<Sealed>,
    /// Only the stub of it came.
    pub(super) emptied: bool,
    pub(super) bytes: Vec<u8>,
}

/// The gate's word on one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is stored now.
    Durable,
    /// It was stored before.
    Known,
    /// It breaks a rule. Its hash is stored.
    Refused(Refusal),
    /// Something it needs is not here; nothing was stored.
    Waiting,
}

/// New items of a document, with what they did to its audience.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) items: Vec<(Position, ItemHash, NodeName)>,
    /// They are all there is of the document.
    pub(super) begins: bool,
    /// Whom twins name that fell.
    pub(super) named: Audience,
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Takes in a change that this node just made of a document that is open, with what it was composed in: it passes the
    /// gate as everybody's do, and automerge does not get it a second time.
    pub(super) fn admit_own<S: Store, E>(
        &mut self,
        doc: DocId,
        change: Witnessed,
        (bytes, composed): (Vec<u8>, Automerge),
        store: &mut S,
    ) -> Result<(), WriteError<E>> {
        let old = store.document(&doc)?.unwrap_or_default();
        let incoming = Incoming {
            hash: change.hash,
            kind: Kind::CHANGE,
            author: self.me,
            sealed: None,
            emptied: false,
            bytes,
        };
        let mut taken = Taken::default();
        let open = self.shelf.get_mut(&doc).ok_or(WriteError::Refused(Refusal::TooLarge))?;
        open.stage(&change).map_err(WriteError::Refused)?;
        if let Err(refusal) = open.document.settle_in(composed) {
            self.shelf.forget(&doc);
            return Err(WriteError::Refused(refusal));
        }
        self.shelf.touch(doc);
        self.keep_item(doc, &incoming, State::Counted, &mut taken, store)?;
        self.unsealed = true;
        self.settle_document(doc, old.audience, taken, None, store)?;
        Ok(())
    }

    /// Takes in items of one document whose seals hold. The verdicts are in the order of the items. What is not here
    /// afterwards as a leaf of the seal that it came under goes into `unheld`, as the hash that it is there.
    pub(super) fn admit<S, D>(
        &mut self,
        doc: DocId,
        incoming: &[Incoming],
        from: NodeName,
        unheld: &mut BTreeMap<SealHash, Vec<Twig>>,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Vec<Verdict>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut not_here = |item: &Incoming| {
            if let Some(Sealed { seal, leaf }) = item.sealed {
                let hash = seal::leaf(&doc, &item.hash);
                unheld.entry(seal).or_default().push(Twig { low: leaf, high: leaf + 1, hash });
            }
        };
        let held = store.document(&doc)?;
        let begins = incoming.iter().any(|i| i.hash == ItemHash::from(doc));
        if held.is_none() && !begins {
            incoming.iter().for_each(not_here);
            return Ok(vec![Verdict::Waiting; incoming.len()]);
        }
        if held.is_none() {
            store.put_document(&doc, &store::Document::default())?;
            self.shelf.put_for_peer(doc, Box::new(Open::empty(doc, domain.begin(doc))));
        } else {
            self.shelf.open(doc, store, domain)?;
        }

        let mut verdicts: Vec<Option<Verdict>> = vec![None; incoming.len()];
        let mut taken = Taken::default();
        let mut changes: Vec<(usize, Witnessed)> = Vec::new();
        // Vouches first: whether a change counts is asked of what is here.
        let (vouches, others): (Vec<_>, Vec<_>) =
            incoming.iter().enumerate().partition(|(_, item)| item.kind == Kind::VOUCH);
        for (i, item) in vouches.into_iter().chain(others) {
            if let Some(state) = store.state(&item.hash)? {
                // Two batches may bring the same; a refused one stays refused. Under two seals it keeps the first.
                if store.item(&item.hash)?.is_some_and(|here| here.sealed != item.sealed) {
                    not_here(item);
                }
                verdicts[i] = Some(match state {
                    State::Refused => {
                        Verdict::Refused(Refusal::Rule("it was refused here before".to_owned()))
                    }
                    State::Counted | State::NotCounted | State::Emptied => Verdict::Known,
                });
                continue;
            }
            if item.kind == Kind::CHANGE {
                let counted = self.counts(doc, item.hash, item.author, item.sealed, store)?;
                match Witnessed::check(&item.bytes, item.author, counted) {
                    Ok(change) => changes.push((i, change)),
                    Err(refusal) => verdicts[i] = Some(self.refuse(doc, item, refusal, &mut taken, store)?),
                }
            } else if item.kind != Kind::ERASED && !item.kind.is_erasable() {
                verdicts[i] = Some(self.admit_other(doc, item, Some(from), &mut taken, store, domain)?);
            }
        }
        for (i, state) in self.stage_together(doc, &mut changes, store, domain)? {
            self.keep_item(doc, &incoming[i], state, &mut taken, store)?;
            verdicts[i] = Some(Verdict::Durable);
        }
        // What is left is looked at one by one. Parents first: as long as a round takes something in, another may find its
        // parents.
        let mut before = usize::MAX;
        while !changes.is_empty() && changes.len() < before {
            before = changes.len();
            for (i, change) in std::mem::take(&mut changes) {
                match self.admit_change(doc, &incoming[i], &change, &mut taken, store, domain)? {
                    Some(verdict) => verdicts[i] = Some(verdict),
                    None => changes.push((i, change)),
                }
            }
        }
        // Then marks, which rest on entries; then what they may empty.
        for marks in [true, false] {
            for (i, item) in incoming.iter().enumerate() {
                let due = if marks { item.kind == Kind::ERASED } else { item.kind.is_erasable() };
                if due && verdicts[i].is_none() && store.state(&item.hash)?.is_none() {
                    verdicts[i] = Some(self.admit_other(doc, item, Some(from), &mut taken, store, domain)?);
                }
            }
        }
        taken.begins = held.is_none();
        self.settle_document(doc, held.unwrap_or_default().audience, taken, Some(from), store)?;
        let mut all = Vec::with_capacity(incoming.len());
        for (item, verdict) in incoming.iter().zip(verdicts) {
            let verdict = verdict.unwrap_or(Verdict::Waiting);
            if verdict == Verdict::Waiting {
                not_here(item);
            }
            all.push(verdict);
        }
        Ok(all)
    }

    /// Takes all changes into the open document together that stand without a doubt, and takes them off the list. Returns
    /// which they are, parents first, and as what they are to be stored. Everything else stays on the list: what waits,
    /// what is refused, twins, and all of them when automerge balks at one.
    fn stage_together<S, D>(
        &mut self,
        doc: DocId,
        changes: &mut Vec<(usize, Witnessed)>,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Vec<(usize, State)>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let Some(open) = self.shelf.get_mut(&doc) else { return Ok(Vec::new()) };
        let together = open.stage_together(changes);
        if together.is_empty() {
            return Ok(Vec::new());
        }
        if open.document.settle().is_err() {
            self.shelf.forget(&doc);
            self.shelf.open(doc, store, domain)?;
            return Ok(Vec::new());
        }
        self.shelf.touch(doc);
        let mut staged = vec![false; changes.len()];
        together.iter().for_each(|at| staged[*at] = true);
        let stored = together.into_iter().map(|at| (changes[at].0, counted_state(&changes[at].1))).collect();
        let mut staged = staged.into_iter();
        changes.retain(|_| staged.next() == Some(false));
        Ok(stored)
    }

    /// `None`: a dependency is not here yet.
    fn admit_change<S, D>(
        &mut self,
        doc: DocId,
        item: &Incoming,
        change: &Witnessed,
        taken: &mut Taken,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Option<Verdict>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        for dep in &change.deps {
            match store.state(dep)? {
                Some(State::Refused) if self.fell(doc, *dep, store)? => {
                    return self.judge_twins(doc, item, change, taken, store, domain).map(Some);
                }
                Some(State::Refused) => {
                    return self.refuse(doc, item, Refusal::RestsOn(*dep), taken, store).map(Some);
                }
                Some(_) => match self.shelf.get(&doc) {
                    Some(open) if open.document.has(dep) => {}
                    None if store.item(dep)?.is_some_and(|i| i.doc == Some(doc)) => {}
                    _ => return Ok(None),
                },
                None => return Ok(None),
            }
        }
        if self.shelf.get(&doc).is_some_and(|o| o.document.at_place(change.place()).is_some()) {
            return self.judge_twins(doc, item, change, taken, store, domain).map(Some);
        }
        let verdict = match self.shelf.get_mut(&doc) {
            Some(open) => open.take(change),
            None => Err(Refusal::TooLarge),
        };
        match verdict {
            Ok(()) => {
                self.shelf.touch(doc);
                self.keep_item(doc, item, counted_state(change), taken, store)?;
                Ok(Some(Verdict::Durable))
            }
            Err(Refusal::TooLarge) => {
                self.freeze(doc, store)?;
                self.keep_item(doc, item, counted_state(change), taken, store)?;
                Ok(Some(Verdict::Durable))
            }
            Err(refusal) => self.refuse(doc, item, refusal, taken, store).map(Some),
        }
    }

    /// A document that has outgrown what is loaded is replicated as it comes, unread, until a person looks at it.
    pub(super) fn freeze<S: Store>(&mut self, doc: DocId, store: &mut S) -> store::Result<()> {
        self.shelf.forget(&doc);
        match store.document(&doc)? {
            Some(row) if !row.frozen => {
                self.tell(Event::Frozen { doc });
                store.put_document(&doc, &store::Document { frozen: true, ..row })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn keep_item<S: Store>(
        &mut self,
        doc: DocId,
        item: &Incoming,
        state: State,
        taken: &mut Taken,
        store: &mut S,
    ) -> store::Result<()> {
        let Incoming { hash, kind, author, sealed, ref bytes, .. } = *item;
        let at = store.put_item(&Item {
            hash,
            kind,
            doc: Some(doc),
            author,
            state,
            sealed,
            bytes: bytes.clone(),
        })?;
        taken.items.push((at, hash, author));
        Ok(())
    }

    pub(super) fn refuse<S: Store>(
        &mut self,
        doc: DocId,
        item: &Incoming,
        refusal: Refusal,
        taken: &mut Taken,
        store: &mut S,
    ) -> store::Result<Verdict> {
        self.keep_item(doc, item, State::Refused, taken, store)?;
        self.tell_refused(item.hash, item.author, &refusal, store)?;
        Ok(Verdict::Refused(refusal))
    }

    pub(super) fn tell_refused<S: Store>(
        &mut self,
        item: ItemHash,
        author: NodeName,
        refusal: &Refusal,
        store: &mut S,
    ) -> store::Result<()> {
        let reason = refusal.to_string();
        store.put_refusal(&Refused { item, by: self.me, reason: reason.clone() })?;
        self.tell(Event::Refused { item, author, reason });
        Ok(())
    }

    /// The document's audience may have grown: notes it, and notes the new items in pairs and outboxes.
    pub(super) fn settle_document<S: Store>(
        &mut self,
        doc: DocId,
        old: Audience,
        taken: Taken,
        from: Option<NodeName>,
        store: &mut S,
    ) -> store::Result<()> {
        if taken.items.is_empty() {
            return Ok(());
        }
        let mut audience = old.clone();
        let mut class = Class::Ordinary;
        if let Some(open) = self.shelf.get(&doc)
            && !open.document.is_empty()
        {
            let standing = open.matter.standing();
            class = standing.class;
            if audience.grow(&standing.audience) | audience.grow(&taken.named) {
                store.put_document(&doc, &store::Document { audience: audience.clone(), frozen: false })?;
                self.grown.insert(doc);
            }
        }
        self.account(doc, &old, &audience, class, &taken, from, store)
    }
}

/// As what a change that stands is stored.
pub(super) fn counted_state(change: &Witnessed) -> State {
    if change.counted { State::Counted } else { State::NotCounted }
}
