//! What leaves: packing what was drafted, and the answers that settle it.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::draft::{Draft, ITEM};
use super::link::InFlight;
use super::{Event, Replica};
use crate::chunk::{ChangeChunk, pack, pack_as_it_is};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Class, Item, Kind, State};
use crate::matter::Matter;
use crate::store::{self, Debt, Position, Refused, Store};
use crate::trust::Trust;
use crate::wire::{Answer, DocPart, DocRef, EMPTIED, Exception, Frame, ItemPart, Lane, Load, MAX_FRAME};

/// How many bytes of items may be on their way to a peer that has not answered.
const WINDOW: usize = 4 << 20;

/// Items in the form of a batch.
pub(super) struct Packed {
    pub(super) load: Load,
    /// Those that were left out: their seals cannot be proved from what is here.
    pub(super) stuck: BTreeSet<ItemHash>,
    /// These seals.
    pub(super) unproved: Vec<SealHash>,
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Sends the peer what it must still get, as far as the window allows; then, if all is said, the digest.
    pub(super) fn pump<S: Store>(&mut self, now: u64, peer: NodeName, store: &mut S) -> store::Result<()> {
        let before = self.effects.len();
        let all = self.send_batches(now, peer, store)?;
        self.say_hello(now, peer, !all, before, store)?;
        if !all {
            return Ok(());
        }
        self.compare(now, peer);
        self.say_cells(peer, store)?;
        self.say_digest(peer);
        Ok(())
    }

    /// Sends batches until there is nothing more to send now, or the window is full: then `false`.
    fn send_batches<S: Store>(&mut self, now: u64, peer: NodeName, store: &mut S) -> store::Result<bool> {
        loop {
            let Some(link) = self.links.get(&peer) else { return Ok(false) };
            let waiting: usize = link.in_flight.values().map(|b| b.bytes).sum();
            if waiting >= WINDOW || link.pauses(now) || link.awaits_hello() {
                return Ok(false);
            }
            let mut draft = self.draft_from_outbox(peer, store)?;
            let mut scanned = None;
            if draft.is_empty() {
                scanned = self.draft_from_scan(peer, &mut draft, store)?;
            }
            if draft.is_empty() && scanned.is_none() {
                return Ok(true);
            }
            self.send_batch(now, peer, draft, scanned, store)?;
        }
    }

    /// Sends a draft as one batch, or as several when it does not fit into a frame.
    fn send_batch<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        draft: Draft,
        scanned: Option<(Position, Position)>,
        store: &mut S,
    ) -> store::Result<()> {
        let lane = if draft.urgent { Lane::Urgent } else { Lane::Bulk };
        let items: Vec<Item> =
            draft.directory.into_iter().chain(draft.docs.into_iter().flat_map(|(_, items)| items)).collect();
        let mut whole = draft.whole;
        let mut pieces = vec![items];
        while let Some(mut piece) = pieces.pop() {
            let in_full = self.links.get(&peer).is_some_and(|l| l.in_full);
            let Packed { load, stuck, unproved } = self.load_of(peer, &piece, in_full, store)?;
            for seal in unproved {
                self.ask_for_proof(seal, store)?;
            }
            if let Some(link) = self.links.get_mut(&peer) {
                link.parked
                    .extend(piece.iter().filter(|i| stuck.contains(&i.hash)).map(|i| ((i.doc, i.hash), now)));
            }
            let packed = load.pack();
            if packed.len() > MAX_FRAME - 16 && piece.len() > 1 {
                // The row of a whole document is settled by one answer: what takes several has a row an item.
                let rest = piece.split_off(piece.len() / 2);
                pieces.extend([rest, piece]);
                self.itemise(peer, &std::mem::take(&mut whole), store)?;
                continue;
            }
            if load.is_empty() {
                self.itemise(peer, &std::mem::take(&mut whole), store)?;
                continue;
            }
            let sent = piece.iter().filter(|i| !stuck.contains(&i.hash));
            let flight = InFlight {
                items: sent.map(|i| (i.doc, i.hash)).collect(),
                whole: whole.clone(),
                scanned,
                bytes: piece.iter().map(|i| i.bytes.len() + ITEM).sum(),
                turn: self.links.get(&peer).map_or(0, |l| l.sent),
                since: now,
            };
            let id = u64::from_be_bytes(self.chance.draw());
            let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
            link.sent += flight.items.len() as u64;
            link.changed();
            link.in_flight.insert(id, flight);
            self.send(peer, lane, &Frame::Batch { id, load: packed });
        }
        self.note_scan(peer);
        Ok(())
    }

    /// Turns rows of whole documents into rows of their items.
    pub(super) fn itemise<S: Store>(
        &mut self,
        peer: NodeName,
        docs: &[DocId],
        store: &mut S,
    ) -> store::Result<()> {
        for doc in docs {
            let items = store.items_of(doc)?;
            let rows: Vec<Debt> = (1..)
                .zip(&items)
                .map(|(at, i)| Debt {
                    class: Class::Ordinary,
                    rank: Position(at),
                    doc: Some(*doc),
                    item: Some(i.hash),
                })
                .collect();
            store.owe(peer, &rows)?;
            store.settle_document(peer, doc)?;
        }
        Ok(())
    }

    /// Packs items, which come document by document, parents first. Those whose seal cannot be proved from what is
    /// here are left out and returned; they wait for the repair that brings the rest of their seal back.
    pub(super) fn load_of<S: Store>(
        &mut self,
        peer: NodeName,
        items: &[Item],
        in_full: bool,
        store: &mut S,
    ) -> store::Result<Packed> {
        let mut leaves: BTreeMap<SealHash, Vec<u32>> = BTreeMap::new();
        for sealed in items.iter().filter_map(|i| i.sealed) {
            leaves.entry(sealed.seal).or_default().push(sealed.leaf);
        }
        let (mut load, mut unproved) = (Load::default(), Vec::new());
        let mut places: BTreeMap<SealHash, u32> = BTreeMap::new();
        for (hash, mut leaves) in leaves {
            leaves.sort_unstable();
            if let Some(part) = self.seal_part(hash, &leaves, store)? {
                places.insert(hash, u32::try_from(load.seals.len()).expect("a batch is small"));
                load.seals.push(part);
            } else {
                unproved.push(hash);
            }
        }
        let mut stuck = BTreeSet::new();
        let mut recent: Vec<ItemHash> = Vec::new();
        let mut last = None;
        for item in items {
            let Some(doc) = item.doc else {
                load.directory.push((item.kind.number(), item.bytes.clone()));
                continue;
            };
            let Some(seal) = item.sealed.and_then(|s| places.get(&s.seal)).copied() else {
                stuck.insert(item.hash);
                continue;
            };
            let bytes = if item.kind == Kind::CHANGE {
                let packed = match ChangeChunk::parse(&item.bytes) {
                    Ok(chunk) => pack(&chunk, &recent, |_| in_full),
                    Err(_) => pack_as_it_is(&item.bytes),
                };
                recent.push(item.hash);
                packed
            } else {
                item.bytes.clone()
            };
            if last != Some(doc) {
                last = Some(doc);
                load.docs.push(DocPart { doc: reference(doc, item, in_full), items: Vec::new() });
            }
            if let Some(part) = load.docs.last_mut() {
                let emptied = if item.state == State::Emptied { EMPTIED } else { 0 };
                part.items.push(ItemPart { kind: item.kind.number() | emptied, seal, bytes });
            }
        }
        let rows: Vec<Debt> =
            items.iter().filter(|i| stuck.contains(&i.hash)).map(|i| row(i.doc, i.hash)).collect();
        store.owe(peer, &rows)?;
        Ok(Packed { load, stuck, unproved })
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
        let Some(batch) = link.answered(now, answer.batch) else { return Ok(()) }; // from before a restore: it means nothing
        let waiting = self.settle_batch(peer, &batch.items, &batch.whole, answer.exceptions, store)?;
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        if !waiting.is_empty() {
            link.in_full = true;
        }
        // What waited for these may go again at once.
        let done = batch.items.iter().filter(|i| !waiting.contains(i));
        let moved: BTreeSet<Option<DocId>> = done.map(|(doc, _)| *doc).collect();
        link.parked.retain(|(doc, _), _| !moved.contains(doc));
        link.parked.extend(waiting.iter().map(|i| (*i, now)));
        if batch.scanned.is_some() {
            self.note_scan(peer);
        }
        Ok(())
    }

    /// A peer's word on these items: what is durable there, or refused, is no longer owed. Returns what must wait there.
    pub(super) fn settle_batch<S: Store>(
        &mut self,
        peer: NodeName,
        items: &[(Option<DocId>, ItemHash)],
        whole: &[DocId],
        exceptions: Vec<(u32, Exception)>,
        store: &mut S,
    ) -> store::Result<BTreeSet<(Option<DocId>, ItemHash)>> {
        let mut waiting = BTreeSet::new();
        let mut refused = Vec::new();
        for (place, exception) in exceptions {
            let Some(item) = items.get(place as usize) else { continue };
            match exception {
                Exception::Waiting => {
                    waiting.insert(*item);
                }
                Exception::Refused(reason) => refused.push((item.1, reason.chars().take(300).collect())),
            }
        }
        let done: Vec<_> = items.iter().filter(|i| !waiting.contains(i)).copied().collect();
        store.settle(peer, &done)?;
        // What came from a scan or a whole document and waits gets a row of its own, so that it is not forgotten.
        let rows: Vec<Debt> = waiting.iter().map(|(doc, hash)| row(*doc, *hash)).collect();
        store.owe(peer, &rows)?;
        for doc in whole {
            store.settle_document(peer, doc)?;
        }
        for (item, reason) in refused {
            self.refused_by(peer, item, reason, store)?;
        }
        Ok(waiting)
    }

    /// Keeps and tells a peer's refusal, unless this node refuses the item too: then it was only passed on.
    fn refused_by<S: Store>(
        &mut self,
        peer: NodeName,
        item: ItemHash,
        reason: String,
        store: &mut S,
    ) -> store::Result<()> {
        if store.state(&item)? != Some(State::Refused) {
            store.put_refusal(&Refused { item, by: peer, reason: reason.clone() })?;
            self.tell(Event::RefusedByPeer { peer, item, reason });
        }
        Ok(())
    }
}

/// What waits has no rank among the new, and goes before them.
pub(super) fn row(doc: Option<DocId>, item: ItemHash) -> Debt {
    Debt { class: Class::Ordinary, rank: Position(0), doc, item: Some(item) }
}

/// How a document is named to a peer that may or may not have it.
fn reference(doc: DocId, first: &Item, in_full: bool) -> DocRef {
    match (first.hash == ItemHash::from(doc), in_full) {
        (true, _) => DocRef::New,
        (false, true) => DocRef::Whole(doc),
        (false, false) => {
            let mut short = [0; 8];
            short.copy_from_slice(&doc.as_bytes()[..8]);
            DocRef::Short(short)
        }
    }
}
