//! Drafts: which of the things that a peer must still get go into the next batch.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::Replica;
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Class, Item};
use crate::matter::Matter;
use crate::store::{self, Debt, Position, Store};
use crate::trust::Trust;
use crate::wire::MAX_BATCH_ITEMS;

/// How many bytes of items go into one batch, before compression.
const BATCH: usize = 384 << 10;

/// How many a batch may grow to so that the seals it has begun are complete.
const MOST: usize = 640 << 10;

/// How many rows of an outbox are looked at for one batch.
const LOOK: usize = 2048;

/// How many rows past a full batch are searched for what completes its seals, and as how many a row counts that has a whole
/// document read.
const SEARCH: usize = 1024;
const WHOLE: usize = 64;

/// What a seal weighs in a batch, and what an item weighs beside its bytes.
const SEAL: usize = 200;
pub(super) const ITEM: usize = 64;

/// A batch being made.
///
/// Items whose seal is in the batch with all its leaves need no proof, so a batch that is full still takes what
/// completes a seal. Within a document parents go first.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) directory: Vec<Item>,
    pub(super) docs: Vec<(DocId, Vec<Item>)>,
    /// Rows that stood for whole documents.
    pub(super) whole: Vec<DocId>,
    pub(super) urgent: bool,
    places: BTreeMap<DocId, usize>,
    items: BTreeSet<ItemHash>,
    seals: BTreeSet<SealHash>,
    bytes: usize,
    count: usize,
    /// Something had no room in it.
    turned_away: bool,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether both hold the same items, in one order.
    pub(super) fn is_like(&self, other: &Draft) -> bool {
        let hashes = |draft: &Draft| -> Vec<ItemHash> {
            let of_docs = draft.docs.iter().flat_map(|(_, items)| items);
            draft.directory.iter().chain(of_docs).map(|item| item.hash).collect()
        };
        self.whole == other.whole && hashes(self) == hashes(other)
    }

    fn is_full(&self) -> bool {
        self.turned_away || self.bytes >= BATCH || self.count >= MAX_BATCH_ITEMS / 2
    }

    fn takes(&mut self, item: &Item) -> bool {
        self.takes_all(std::slice::from_ref(item), item.bytes.len())
    }

    /// Whether there is room for all of these, which weigh so much together.
    fn takes_all(&mut self, items: &[Item], weight: usize) -> bool {
        let begun = items.iter().any(|i| i.sealed.is_some_and(|s| self.seals.contains(&s.seal)));
        let (bytes, count) = if begun { (MOST, MAX_BATCH_ITEMS) } else { (BATCH, MAX_BATCH_ITEMS / 2) };
        let room = self.bytes + weight <= bytes && self.count + items.len() <= count;
        self.turned_away |= !room && !self.is_empty();
        room || self.is_empty()
    }

    fn add(&mut self, item: Item) {
        if !self.items.insert(item.hash) {
            return; // by a row of its own and by one for the whole document
        }
        self.bytes += item.bytes.len() + ITEM;
        self.count += 1;
        if let Some(sealed) = item.sealed
            && self.seals.insert(sealed.seal)
        {
            self.bytes += SEAL;
        }
        match item.doc {
            None => self.directory.push(item),
            Some(doc) => match self.places.get(&doc) {
                Some(place) => self.docs[*place].1.push(item),
                None => {
                    self.places.insert(doc, self.docs.len());
                    self.docs.push((doc, vec![item]));
                }
            },
        }
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Drafts from the outbox: the most urgent documents first, each with all of it that waits.
    pub(super) fn draft_from_outbox<S: Store>(
        &mut self,
        peer: NodeName,
        store: &mut S,
    ) -> store::Result<Draft> {
        let mut draft = Draft::default();
        let held_back = self.held_back(peer);
        let busy = self.busy(peer);
        let rows = store.owed(peer, LOOK + held_back.len() + busy.len())?;
        self.draft_rows(peer, rows, (&held_back, &busy), &mut draft, store)?;
        Ok(draft)
    }

    /// Drafts from these rows of the outbox, which come in its order, as far as there is room.
    pub(super) fn draft_rows<S: Store>(
        &mut self,
        peer: NodeName,
        rows: Vec<Debt>,
        (held_back, busy): (&BTreeSet<(Option<DocId>, ItemHash)>, &BTreeSet<DocId>),
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<()> {
        let mut seen = BTreeSet::new();
        let mut search = SEARCH;
        for Debt { class, doc, item, .. } in rows {
            if item.is_none() && doc.is_some_and(|doc| busy.contains(&doc)) {
                continue; // what came after it left has rows of its own
            }
            if draft.is_full() {
                search = search.saturating_sub(if item.is_none() { WHOLE } else { 1 });
                if search == 0 {
                    break;
                }
            }
            match (doc, item) {
                (None, Some(hash)) if !held_back.contains(&(None, hash)) => match store.item(&hash)? {
                    Some(item) if draft.takes(&item) => draft.add(item),
                    Some(_) => {}
                    None => store.settle(peer, &[(None, hash)])?,
                },
                (Some(doc), _) if seen.insert(doc) => {
                    self.draft_document(peer, doc, (held_back, busy), draft, store)?;
                }
                _ => continue,
            }
            draft.urgent |= class <= Class::Urgent && !draft.is_empty();
        }
        Ok(())
    }

    /// The documents whose rows for the whole of them are on their way.
    fn busy(&self, peer: NodeName) -> BTreeSet<DocId> {
        let flights = self.links.get(&peer).into_iter().flat_map(|l| l.in_flight.values());
        flights.flat_map(|b| b.whole.iter().copied()).collect()
    }

    /// What waits of one document, parents first, as far as there is room: all of it when that is owed, which takes the
    /// rows of its items along.
    fn draft_document<S: Store>(
        &mut self,
        peer: NodeName,
        doc: DocId,
        (held_back, busy): (&BTreeSet<(Option<DocId>, ItemHash)>, &BTreeSet<DocId>),
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<()> {
        let most = LOOK + held_back.len();
        let mut rows = store.owed_of(peer, &doc, most)?;
        if let Some(Debt { class, item: None, .. }) = rows.first()
            && !busy.contains(&doc)
        {
            if self.draft_whole(peer, doc, *class, draft, store)? {
                return Ok(());
            }
            rows = store.owed_of(peer, &doc, most)?;
        }
        for Debt { item, .. } in rows {
            let Some(hash) = item else { continue };
            if held_back.contains(&(Some(doc), hash)) {
                continue;
            }
            match store.item(&hash)? {
                Some(item) if !may_leave(&item) => {}
                Some(item) if draft.takes(&item) => draft.add(item),
                Some(_) => break,
                None => store.settle(peer, &[(Some(doc), hash)])?,
            }
        }
        Ok(())
    }

    /// A whole document, when there is room; `false` for one that is larger than a batch: it has become rows of its items,
    /// which go one batch after another.
    fn draft_whole<S: Store>(
        &mut self,
        peer: NodeName,
        doc: DocId,
        class: Class,
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<bool> {
        let items: Vec<Item> = store.items_of(&doc)?.into_iter().filter(may_leave).collect();
        let bytes: usize = items.iter().map(|i| i.bytes.len() + SEAL).sum();
        if bytes > BATCH || items.len() > MAX_BATCH_ITEMS / 2 {
            let rows: Vec<Debt> = (1..)
                .zip(&items)
                .map(|(at, i)| Debt { class, rank: Position(at), doc: Some(doc), item: Some(i.hash) })
                .collect();
            store.owe(peer, &rows)?;
            store.settle_document(peer, &doc)?;
            return Ok(false);
        }
        if draft.takes_all(&items, bytes) {
            items.into_iter().for_each(|item| draft.add(item));
            draft.whole.push(doc);
        }
        Ok(true)
    }

    /// Everything under a seal that the peer must hold and that arrived up to `until`: so nobody needs a proof, and a document's changes travel together
    /// when they were sealed together. `false` when there is no room for it; what would be too much for any batch is put
    /// into the outbox.
    fn draft_seal<S: Store>(
        &mut self,
        peer: NodeName,
        seal: &SealHash,
        until: Position,
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<bool> {
        if draft.is_full() {
            return Ok(false);
        }
        let (mut items, mut owed, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut recent = None;
        for (rank, hash, doc) in store.under(seal)? {
            if rank > until || !self.both_must_hold(peer, Some(doc), &mut recent, store)? {
                continue;
            }
            if bytes > MOST || items.len() >= MAX_BATCH_ITEMS {
                owed.push(Debt { class: Class::Backfill, rank, doc: Some(doc), item: Some(hash) });
                continue;
            }
            if let Some(item) = store.item(&hash)?.filter(may_leave) {
                bytes += item.bytes.len() + ITEM;
                items.push(item);
            }
        }
        if !draft.is_empty() && (draft.bytes + bytes > MOST || draft.count + items.len() > MAX_BATCH_ITEMS) {
            return Ok(false);
        }
        items.into_iter().for_each(|item| draft.add(item));
        store.owe(peer, &owed)?;
        Ok(true)
    }

    /// Fills the draft from the scan of everything, seal by seal. Returns from where to where the scan has come, or `None` when
    /// none is due.
    pub(super) fn draft_from_scan<S: Store>(
        &mut self,
        peer: NodeName,
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<Option<(Position, Position)>> {
        let Some(scan) = self.links.get(&peer).and_then(|l| l.scan) else { return Ok(None) };
        let (at, more) = self.draft_scanned(peer, scan, draft, store)?;
        if let Some(link) = self.links.get_mut(&peer) {
            link.scan = more.then_some((at, scan.1));
            link.changed();
        }
        if draft.is_empty() {
            self.note_scan(peer);
            return Ok(None);
        }
        Ok(Some((scan.0, at)))
    }

    /// Fills the draft from what arrived after the first place and up to the second. Returns how far it has come, and
    /// whether there is more.
    pub(super) fn draft_scanned<S: Store>(
        &mut self,
        peer: NodeName,
        (from, until): (Position, Position),
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<(Position, bool)> {
        let (mut at, mut recent, mut more) = (from, None, true);
        'pages: while more {
            let page = store.scan(at, 1024)?;
            more = !page.is_empty();
            for (position, hash, doc) in page {
                if position > until {
                    more = false;
                    break 'pages;
                }
                let fits = match store.seal_of(&hash)? {
                    Some((seal, first)) if first == position => {
                        self.draft_seal(peer, &seal, until, draft, store)?
                    }
                    Some(_) => true, // it goes with the first under its seal
                    None if self.both_must_hold(peer, doc, &mut recent, store)? => {
                        match store.item(&hash)?.filter(may_leave) {
                            Some(item) if draft.takes(&item) => {
                                draft.add(item);
                                true
                            }
                            left => left.is_none(),
                        }
                    }
                    None => true,
                };
                if !fits {
                    break 'pages;
                }
                at = position;
            }
        }
        Ok((at, more))
    }

    /// Remembers how far the scan of everything has come: to the first batch of it that is not answered yet.
    pub(super) fn note_scan(&mut self, peer: NodeName) {
        let Some(link) = self.links.get(&peer) else { return };
        let open = link.in_flight.values().filter_map(|b| b.scanned).map(|(from, _)| from).min();
        let upto = open.or(link.scan.map(|(at, _)| at));
        if let Some(pair) = self.pairs.get_mut(&peer)
            && let Some((at, until)) = pair.everything
            && Some(at) != upto
        {
            pair.everything = upto.map(|at| (at, until));
            self.dirty.insert(peer);
        }
    }
}

/// Whether an item may be sent: nothing unsealed leaves, and nothing whose bytes are lost. What was refused is passed
/// on, so that everybody refuses it and the digests agree; what was emptied goes as the stub that is left of it.
fn may_leave(item: &Item) -> bool {
    (item.sealed.is_some() || !item.kind.is_sealed()) && !item.bytes.is_empty()
}
