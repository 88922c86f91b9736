//! What leaves: packing what was drafted, and the answers that settle it.

use std::collections::BTreeMap;

use certs::NodeName;

use super::draft::Draft;
use super::link::InFlight;
use super::{Event, Replica};
use crate::chunk::{ChangeChunk, pack};
use crate::id::{ItemHash, SealHash};
use crate::item::{Class, Kind};
use crate::matter::Matter;
use crate::store::{self, Debt, Position, Store, StoreError};
use crate::trust::Trust;
use crate::wire::{Answer, DocPart, DocRef, Exception, Frame, ItemPart, Lane, Load};

/// How many bytes of items may be on their way to a peer that has not answered.
const WINDOW: usize = 4 << 20;

impl<T: Trust, M: Matter> Replica<T, M> {
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

    pub(super) fn everything_sent(&mut self, peer: NodeName, upto: Option<Position>) {
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
