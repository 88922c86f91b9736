//! Drafts: which of the things that a peer must still get go into the next batch.

use std::collections::BTreeMap;

use certs::NodeName;

use super::Replica;
use crate::id::DocId;
use crate::item::{Class, Item, State};
use crate::matter::Matter;
use crate::store::{self, Debt, Position, Store};
use crate::trust::Trust;
use crate::wire::MAX_BATCH_ITEMS;

/// How many bytes of items go into one batch, before compression.
const BATCH: usize = 512 << 10;

/// How many rows of an outbox are looked at for one batch.
const LOOK: usize = 4096;

/// A batch being made.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) directory: Vec<Item>,
    pub(super) docs: BTreeMap<DocId, Vec<(Position, Item)>>,
    pub(super) order: Vec<DocId>,
    pub(super) bytes: usize,
    pub(super) count: usize,
    pub(super) whole: Vec<DocId>,
    pub(super) urgent: bool,
}

impl Draft {
    fn is_full(&self) -> bool {
        self.bytes >= BATCH || self.count >= MAX_BATCH_ITEMS / 2
    }

    pub(super) fn is_empty(&self) -> bool {
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
    pub(super) fn draft_from_outbox<S: Store>(
        &mut self,
        peer: NodeName,
        store: &mut S,
    ) -> store::Result<Draft> {
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
    pub(super) fn draft_from_scan<S: Store>(
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
}

/// Whether an item may be sent: nothing unsealed leaves, nothing refused is passed on, and what was erased has no
/// bytes to send.
fn may_leave(item: &Item) -> bool {
    item.state != State::Refused
        && (item.sealed.is_some() || !item.kind.is_sealed())
        && !item.bytes.is_empty()
}
