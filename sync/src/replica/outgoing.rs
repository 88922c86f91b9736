//! What leaves: sealing, choosing, packing, and the answers that settle it.

use std::collections::BTreeMap;

use certs::NodeName;

use super::link::InFlight;
use super::{CHAIN, Chain, Event, Replica};
use crate::chunk::{ChangeChunk, pack};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Class, Item, Kind, Sealed, State};
use crate::matter::Matter;
use crate::merkle::Tree;
use crate::seal::{self, MAX_LEAVES, SUITE, Seal, Words};
use crate::store::{self, Debt, Position, Store, StoreError, StoredSeal};
use crate::trust::Trust;
use crate::wire::{
    Answer, DocPart, DocRef, Exception, Frame, ItemPart, Lane, Load, MAX_BATCH_ITEMS, SealPart, runs,
};

/// How many bytes of items may be on their way to a peer that has not answered.
const WINDOW: usize = 4 << 20;

/// How many bytes of items go into one batch, before compression.
const BATCH: usize = 512 << 10;

/// How many rows of an outbox are looked at for one batch.
const LOOK: usize = 4096;

/// Trees of large seals that are kept for the next batch.
const TREES: usize = 4;

/// A batch being made.
#[derive(Default)]
struct Draft {
    directory: Vec<Item>,
    docs: BTreeMap<DocId, Vec<(Position, Item)>>,
    order: Vec<DocId>,
    bytes: usize,
    count: usize,
    whole: Vec<DocId>,
    urgent: bool,
}

impl Draft {
    fn is_full(&self) -> bool {
        self.bytes >= BATCH || self.count >= MAX_BATCH_ITEMS / 2
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, at: Position, item: Item) {
        self.bytes += item.bytes.len() + 64;
        self.count += 1;
        match item.doc {
            None => self.directory.push(item),
            Some(doc) => {
                let items = self.docs.entry(doc).or_default();
                if items.is_empty() {
                    self.order.push(doc);
                }
                if !items.iter().any(|(_, have)| have.hash == item.hash) {
                    items.push((at, item));
                }
            }
        }
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    pub(super) fn keep_chain<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        let bytes = postcard::to_stdvec(&(self.chain.number, self.chain.last))
            .expect("two plain values have a byte form");
        store.put_meta(CHAIN, &bytes)
    }

    /// Puts everything that no seal covers under seals, one for each audience.
    pub fn seal_backlog<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        loop {
            let backlog = store.unsealed(MAX_LEAVES as usize)?;
            if backlog.is_empty() {
                self.unsealed = false;
                return Ok(());
            }
            let mut groups: BTreeMap<Audience, Vec<(DocId, ItemHash)>> = BTreeMap::new();
            let mut recent: Option<(DocId, Audience)> = None;
            for (item, doc) in backlog {
                if recent.as_ref().is_none_or(|(known, _)| *known != doc) {
                    let audience = store.document(&doc)?.unwrap_or_default().audience;
                    recent = Some((doc, audience));
                }
                let audience = recent.as_ref().map(|(_, a)| a.clone()).unwrap_or_default();
                groups.entry(audience).or_default().push((doc, item));
            }
            for leaves in groups.into_values() {
                self.seal(leaves, store)?;
            }
        }
    }

    fn seal<S: Store>(&mut self, mut leaves: Vec<(DocId, ItemHash)>, store: &mut S) -> store::Result<()> {
        leaves.sort_unstable();
        let count = u32::try_from(leaves.len()).expect("a backlog is at most MAX_LEAVES long");
        let mut tree = Tree::new(count);
        for (place, (doc, item)) in (0..).zip(&leaves) {
            tree.know(place, seal::leaf(doc, item));
        }
        let root = tree.root().expect("all leaves are known");
        let Chain { number, last } = self.chain;
        let words = Words {
            suite: SUITE,
            node: self.me,
            incarnation: self.incarnation,
            number: number + 1,
            previous: last,
            count,
            root,
        };
        let seal = Seal::make(words, |w| self.trust.sign(w));
        let hash = seal.hash();
        store.put_seal(&hash, &StoredSeal { seal, twigs: Vec::new() })?;
        for (leaf, (_, item)) in (0..).zip(&leaves) {
            store.seal_item(item, Sealed { seal: hash, leaf })?;
        }
        self.chain = Chain { number: number + 1, last: Some(hash) };
        self.keep_chain(store)
    }

    /// Sends the peer what it must still get, as far as the window allows; then, if all is said, the digest.
    pub(super) fn pump<S: Store>(&mut self, now: u64, peer: NodeName, store: &mut S) -> store::Result<()> {
        loop {
            let Some(link) = self.links.get(&peer) else { return Ok(()) };
            let waiting: usize = link.in_flight.values().map(|b| b.bytes).sum();
            if !link.view().connected || waiting >= WINDOW || link.pauses(now) {
                return Ok(());
            }
            let mut draft = self.draft_from_outbox(peer, store)?;
            let mut scanned = None;
            if draft.is_empty() {
                scanned = self.draft_from_scan(peer, &mut draft, store)?;
            }
            if draft.is_empty() && scanned.is_none() {
                break;
            }
            self.send_batch(peer, draft, scanned, store)?;
        }
        self.compare_again(now, peer);
        self.say_cells(peer, store)?;
        self.say_digest(peer);
        Ok(())
    }

    fn draft_from_outbox<S: Store>(&mut self, peer: NodeName, store: &mut S) -> store::Result<Draft> {
        let mut draft = Draft::default();
        let held_back = self.held_back(peer);
        let busy: Vec<DocId> = self
            .links
            .get(&peer)
            .into_iter()
            .flat_map(|l| l.in_flight.values())
            .flat_map(|b| b.whole.iter().copied())
            .collect();
        let rows = store.owed(peer, LOOK + held_back.len() + busy.len())?;
        let mut gone = Vec::new();
        for Debt { class, doc, item, rank } in rows {
            if draft.is_full() {
                break;
            }
            draft.urgent |= class <= Class::Urgent;
            match (doc, item) {
                (_, Some(hash)) => {
                    if held_back.contains(&(doc, hash)) {
                        continue;
                    }
                    match store.item(&hash)? {
                        Some(found) if may_leave(&found) => draft.add(rank, found),
                        _ => gone.push((doc, hash)),
                    }
                }
                (Some(doc), None) if !busy.contains(&doc) => {
                    let all = store.items_of(&doc)?.into_iter().filter(may_leave);
                    for (at, found) in (0..).zip(all) {
                        draft.add(Position(at), found);
                    }
                    draft.whole.push(doc);
                }
                _ => {}
            }
        }
        store.settle(peer, &gone)?;
        Ok(draft)
    }

    /// Fills the draft from the scan of everything. Returns how far the scan has come, or `None` when none is due.
    fn draft_from_scan<S: Store>(
        &mut self,
        peer: NodeName,
        draft: &mut Draft,
        store: &mut S,
    ) -> store::Result<Option<Position>> {
        let Some(mut at) = self.links.get(&peer).and_then(|l| l.scan) else { return Ok(None) };
        let mut recent = None;
        let mut ended = false;
        while !draft.is_full() && !ended {
            let page = store.scan(at, 1024)?;
            ended = page.is_empty();
            for (position, hash, doc) in page {
                at = position;
                if self.both_must_hold(peer, doc, &mut recent, store)?
                    && let Some(item) = store.item(&hash)?.filter(may_leave)
                {
                    draft.add(position, item);
                }
                if draft.is_full() {
                    break;
                }
            }
        }
        if let Some(link) = self.links.get_mut(&peer) {
            link.scan = if ended { None } else { Some(at) };
            link.changed();
        }
        if ended && draft.is_empty() {
            self.everything_sent(peer, None);
            return Ok(None);
        }
        Ok(Some(at))
    }

    fn everything_sent(&mut self, peer: NodeName, upto: Option<Position>) {
        if let Some(pair) = self.pairs.get_mut(&peer)
            && pair.everything.is_some()
        {
            pair.everything = upto;
            self.dirty.insert(peer);
        }
    }

    fn send_batch<S: Store>(
        &mut self,
        peer: NodeName,
        draft: Draft,
        scanned: Option<Position>,
        store: &mut S,
    ) -> store::Result<()> {
        let id = u64::from_be_bytes(self.chance.draw());
        let in_full = self.links.get(&peer).is_some_and(|l| l.in_full);
        let mut load = Load::default();
        let mut flight = Vec::with_capacity(draft.count);
        for item in &draft.directory {
            load.directory.push((item.kind.number(), item.bytes.clone()));
            flight.push((None, item.hash));
        }
        let mut seals: BTreeMap<SealHash, (u32, Vec<u32>)> = BTreeMap::new();
        let mut recent: Vec<ItemHash> = Vec::new();
        let mut docs = draft.docs;
        for doc in &draft.order {
            let mut items = docs.remove(doc).unwrap_or_default();
            items.sort_by_key(|(at, _)| *at);
            let begins = items.first().is_some_and(|(_, i)| i.hash == ItemHash::from(*doc));
            let mut parts = Vec::with_capacity(items.len());
            for (_, item) in items {
                let Some(sealed) = item.sealed else { continue };
                let next = u32::try_from(seals.len()).expect("a batch is small");
                let (place, leaves) = seals.entry(sealed.seal).or_insert((next, Vec::new()));
                leaves.push(sealed.leaf);
                let bytes = if item.kind == Kind::CHANGE {
                    let chunk = ChangeChunk::parse(&item.bytes)
                        .map_err(|e| StoreError::Damaged(format!("change {}: {e}", item.hash)))?;
                    let packed = pack(&chunk, &recent, |_| in_full);
                    recent.push(item.hash);
                    packed
                } else {
                    item.bytes
                };
                parts.push(ItemPart { kind: item.kind.number(), seal: *place, bytes });
                flight.push((Some(*doc), item.hash));
            }
            let reference = match (begins, in_full) {
                (true, _) => DocRef::New,
                (false, true) => DocRef::Whole(*doc),
                (false, false) => {
                    let mut short = [0; 8];
                    short.copy_from_slice(&doc.as_bytes()[..8]);
                    DocRef::Short(short)
                }
            };
            load.docs.push(DocPart { doc: reference, items: parts });
        }
        let mut by_place: Vec<_> = seals.into_iter().collect();
        by_place.sort_by_key(|(_, (place, _))| *place);
        for (hash, (_, mut leaves)) in by_place {
            leaves.sort_unstable();
            load.seals.push(self.seal_part(hash, &leaves, store)?);
        }
        let lane = if draft.urgent { Lane::Urgent } else { Lane::Bulk };
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        link.sent += flight.len() as u64;
        link.changed();
        link.in_flight
            .insert(id, InFlight { items: flight, whole: draft.whole, scanned, bytes: draft.bytes });
        self.send(peer, lane, &Frame::Batch { id, load: load.pack() });
        Ok(())
    }

    /// A seal and what its receiver needs to check these leaves of it.
    fn seal_part<S: Store>(
        &mut self,
        hash: SealHash,
        leaves: &[u32],
        store: &mut S,
    ) -> store::Result<SealPart> {
        let missing =
            || StoreError::Damaged(format!("seal {hash} is not there, or not all of what proves it"));
        let stored = store.seal(&hash)?.ok_or_else(missing)?;
        let count = stored.seal.words().count;
        if leaves.len() == count as usize {
            return Ok(SealPart { seal: stored.seal, places: Vec::new(), twigs: Vec::new() });
        }
        if !self.trees.iter().any(|(known, _)| *known == hash) {
            let mut tree = Tree::new(count);
            for (place, item, doc) in store.leaves(&hash)? {
                tree.know(place, seal::leaf(&doc, &item));
            }
            stored.twigs.iter().for_each(|t| tree.know_twig(*t));
            self.trees.truncate(TREES - 1);
            self.trees.push_front((hash, tree));
        }
        let tree = self.trees.iter().find(|(known, _)| *known == hash).map(|(_, t)| t).ok_or_else(missing)?;
        let twigs = tree.twigs_for(leaves).ok_or_else(missing)?;
        Ok(SealPart {
            seal: stored.seal,
            places: runs(leaves),
            twigs: twigs.iter().map(|t| t.hash).collect(),
        })
    }

    /// The peer's word on a batch: what is durable there is no longer owed.
    pub(super) fn answer<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        answer: Answer,
        store: &mut S,
    ) -> store::Result<()> {
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        let Some(batch) = link.in_flight.remove(&answer.batch) else { return Ok(()) }; // from before a restore: it means nothing
        link.changed();
        let mut waiting = Vec::new();
        let mut refused = Vec::new();
        for (place, exception) in answer.exceptions {
            let Some(item) = batch.items.get(place as usize) else { continue };
            match exception {
                Exception::Waiting => waiting.push(*item),
                Exception::Refused(reason) => refused.push((item.1, reason.chars().take(300).collect())),
            }
        }
        if !waiting.is_empty() {
            link.in_full = true;
            link.parked.extend(waiting.iter().map(|i| (*i, now)));
        }
        let done: Vec<_> = batch.items.iter().filter(|i| !waiting.contains(i)).copied().collect();
        store.settle(peer, &done)?;
        // What came from a scan or a whole document and waits gets a row of its own, so that it is not forgotten.
        let rows: Vec<Debt> = waiting
            .iter()
            .map(|(doc, hash)| Debt {
                class: Class::Ordinary,
                rank: Position(0),
                doc: *doc,
                item: Some(*hash),
            })
            .collect();
        store.owe(peer, &rows)?;
        for doc in &batch.whole {
            store.settle_document(peer, doc)?;
        }
        for (item, reason) in refused {
            self.tell(Event::RefusedByPeer { peer, item, reason });
        }
        if batch.scanned.is_some() {
            let link = self.links.get(&peer);
            let open = link.and_then(|l| l.in_flight.values().filter_map(|b| b.scanned).min());
            let scanning = link.and_then(|l| l.scan);
            let upto = match (open, scanning) {
                // Batches may be answered in any order: only what lies before all open ones is done.
                (Some(_), _) => self.pairs.get(&peer).and_then(|p| p.everything),
                (None, at) => at,
            };
            self.everything_sent(peer, upto);
        }
        Ok(())
    }
}

/// Whether an item may be sent: nothing unsealed leaves, nothing refused is passed on, and what was erased has no
/// bytes to send.
fn may_leave(item: &Item) -> bool {
    item.state != State::Refused
        && (item.sealed.is_some() || !item.kind.is_sealed())
        && !item.bytes.is_empty()
}
