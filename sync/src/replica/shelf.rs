//! The documents that are open at the moment, a bounded number of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, Refusal, Witnessed, Write};
use crate::id::{DocId, ItemHash};
use crate::item::{Audience, Kind, State};
use crate::matter::{Domain, Matter};
use crate::store::{Result, Store};

/// How a document takes a change in: at once, or when it settles.
type Apply = fn(&mut Document, &Witnessed, &[Write]) -> std::result::Result<(), Refusal>;

/// A document and what it means.
#[derive(Clone, Debug)]
pub(super) struct Open<M> {
    pub(super) document: Document,
    pub(super) matter: M,
    /// Twins that do not stand, and what rests on them; gathered when first asked for.
    pub(super) fallen: Option<BTreeSet<ItemHash>>,
    used: u64,
}

impl<M: Matter> Open<M> {
    /// A document of which nothing is here yet.
    pub(super) fn empty(doc: DocId, matter: M) -> Open<M> {
        Open { document: Document::empty(doc), matter, fallen: None, used: 0 }
    }

    /// Judges a change whose dependencies are here and whose place is free, and takes it in.
    pub(super) fn take(&mut self, change: &Witnessed) -> std::result::Result<(), Refusal> {
        self.judge(change, Document::apply)
    }

    /// Judges a change whose dependencies are here and whose place is free, and takes it in all but for automerge, which
    /// gets it at [`Document::settle`]. On a refusal nothing has changed.
    pub(super) fn stage(&mut self, change: &Witnessed) -> std::result::Result<(), Refusal> {
        self.judge(change, Document::stage)
    }

    fn judge(&mut self, change: &Witnessed, apply: Apply) -> std::result::Result<(), Refusal> {
        let writes = self.document.writes(change)?;
        let reading = self.matter.read(change, &writes)?;
        self.matter.judge(&self.document, change, &reading)?;
        apply(&mut self.document, change, &writes)?;
        self.matter.take(change, reading);
        Ok(())
    }

    /// Stages all changes that stand without a doubt: their dependencies are here, their place is free, and the rules
    /// allow them. Returns which they are, parents first.
    pub(super) fn stage_together(&mut self, changes: &[(usize, Witnessed)]) -> Vec<usize> {
        let mut staged = vec![false; changes.len()];
        let mut together = Vec::new();
        let mut before = usize::MAX;
        while together.len() < changes.len() && together.len() != before {
            before = together.len();
            for (at, (_, change)) in changes.iter().enumerate() {
                let document = &self.document;
                if !staged[at]
                    && change.deps.iter().all(|d| document.has(d))
                    && document.at_place(change.place()).is_none()
                    && self.stage(change).is_ok()
                {
                    staged[at] = true;
                    together.push(at);
                }
            }
        }
        together
    }

    /// Whether the rules allow a change whose dependencies are here.
    pub(super) fn allows(&self, change: &Witnessed) -> bool {
        let reading = self.document.read(change).and_then(|writes| self.matter.read(change, &writes));
        reading.is_ok_and(|reading| self.matter.judge(&self.document, change, &reading).is_ok())
    }

    /// Whom the document would name if these changes stood as well, parents first; `None` when one of them cannot be read.
    pub(super) fn audience_with<'a>(
        &self,
        changes: impl IntoIterator<Item = &'a Witnessed>,
    ) -> Option<Audience> {
        let mut matter = self.matter.clone();
        for change in changes {
            let writes = self.document.read(change).ok()?;
            let reading = matter.read(change, &writes).ok()?;
            matter.take(change, reading);
        }
        Some(matter.standing().audience)
    }
}

pub(super) struct Shelf<M> {
    /// In boxes, for each is some kilobytes large by itself and the map moves what it holds.
    open: BTreeMap<DocId, Box<Open<M>>>,
    changed: BTreeSet<DocId>,
    /// What peers have begun in this transaction.
    passing: Vec<DocId>,
    uses: u64,
    room: usize,
}

/// More new documents than this in one transaction are a stream, and nobody is about to look at them.
const STREAM: usize = 64;

impl<M: Matter> Shelf<M> {
    pub(super) fn new(room: usize) -> Self {
        Shelf {
            open: BTreeMap::new(),
            changed: BTreeSet::new(),
            passing: Vec::new(),
            uses: 0,
            room: room.max(1),
        }
    }

    pub(super) fn get(&self, doc: &DocId) -> Option<&Open<M>> {
        self.open.get(doc).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, doc: &DocId) -> Option<&mut Open<M>> {
        self.open.get_mut(doc).map(Box::as_mut)
    }

    /// Loads the document unless it is open or frozen. What is stored passed the gate when it came; a change that does not
    /// pass again is left out, and the digest of the next repair tells.
    pub(super) fn open<S: Store, D: Domain<S, Matter = M>>(
        &mut self,
        doc: DocId,
        store: &mut S,
        domain: &D,
    ) -> Result<()> {
        self.uses += 1;
        if let Some(open) = self.open.get_mut(&doc) {
            open.used = self.uses;
            return Ok(());
        }
        if store.document(&doc)?.is_some_and(|row| row.frozen) {
            return Ok(());
        }
        let stored: Vec<Witnessed> = store
            .items_of(&doc)?
            .into_iter()
            .filter(|item| item.kind == Kind::CHANGE && item.state != State::Refused)
            .filter_map(|i| Witnessed::check(&i.bytes, i.author, i.state == State::Counted).ok())
            .collect();
        let grown = |apply: Apply| {
            let mut open = Open::empty(doc, domain.begin(doc));
            for change in &stored {
                let Ok(writes) = open.document.writes(change) else { continue };
                let Ok(reading) = open.matter.read(change, &writes) else { continue };
                if apply(&mut open.document, change, &writes).is_ok() {
                    open.matter.take(change, reading);
                }
            }
            open.document.settle().map(|()| open)
        };
        // All at once; one by one when automerge does not take one of them any more.
        let open = grown(Document::stage).or_else(|_| grown(Document::apply));
        self.put(doc, Box::new(open.expect("nothing is staged after one by one")));
        Ok(())
    }

    /// Puts an open document in the place of what was there.
    pub(super) fn put(&mut self, doc: DocId, mut open: Box<Open<M>>) {
        self.uses += 1;
        open.used = self.uses;
        self.make_room();
        self.open.insert(doc, open);
    }

    /// Puts a document that a peer begins. In a stream one goes for it, unless it is to be projected yet: so a first sync takes
    /// as much memory as so many documents, and not as all that its transactions hold.
    pub(super) fn put_for_peer(&mut self, doc: DocId, open: Box<Open<M>>) {
        self.put(doc, open);
        self.passing.push(doc);
        if let Some(at) = self.passing.len().checked_sub(STREAM + 1) {
            let earlier = self.passing[at];
            if !self.changed.contains(&earlier) {
                self.forget(&earlier);
            }
        }
    }

    /// The transaction has ended. New documents that came in a stream make room for those that somebody works on.
    pub(super) fn end(&mut self) {
        let passing = std::mem::take(&mut self.passing);
        if passing.len() > STREAM {
            passing.iter().for_each(|doc| self.forget(doc));
        }
    }

    /// Puts a document aside; it is loaded again when needed.
    pub(super) fn forget(&mut self, doc: &DocId) {
        self.open.remove(doc);
    }

    /// What is derived from the document must be brought up to date before the commit.
    pub(super) fn touch(&mut self, doc: DocId) {
        self.changed.insert(doc);
    }

    /// Projects every document that has changed since the last call.
    pub(super) fn project<S: Store, D: Domain<S, Matter = M>>(
        &mut self,
        store: &mut S,
        domain: &mut D,
    ) -> Result<()> {
        for doc in std::mem::take(&mut self.changed) {
            self.open(doc, store, domain)?;
            if let Some(open) = self.open.get(&doc) {
                domain.project(store, &doc, D::row(&open.document, &open.matter))?;
            }
        }
        Ok(())
    }

    /// Makes room for one more, the least recently used going first. A quarter goes at once, so that the search for
    /// the oldest is not made for each.
    fn make_room(&mut self) {
        if self.open.len() < self.room {
            return;
        }
        let mut uses: Vec<u64> = self.open.values().map(|o| o.used).collect();
        uses.sort_unstable();
        let oldest_kept = uses[(self.room / 4).min(uses.len() - 1)];
        self.open.retain(|_, o| o.used > oldest_kept);
    }
}
