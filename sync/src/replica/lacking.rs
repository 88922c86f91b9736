//! What a peer still lacks, and why: for the operator. Nothing is decided here.
//!
//! A peer says of an item only that it waits. What it waits for this node finds itself: what the item rests on, less
//! what the peer has acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::Replica;
use crate::chunk::ChangeChunk;
use crate::id::{DocId, ItemHash};
use crate::item::{Item, Kind, State};
use crate::matter::Matter;
use crate::store::{self, Debt, Store};
use crate::trust::Trust;

/// How many rows of an outbox are looked at for what a peer has not acknowledged.
const LOOK: usize = 4096;

/// How many items are named as what another waits for.
const NAMED: usize = 8;

/// A row of a peer's outbox, and why it is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The row.
    pub debt: Debt,
    /// Why.
    pub why: Why,
}

/// Why a peer still lacks what it is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No link is up.
    NoLink,
    /// Its turn has not come.
    InTheOutbox,
    /// It was sent and is not answered yet.
    OnItsWay,
    /// Too little of its seal is here to prove it: it goes when a repair has brought the rest.
    Unproved,
    /// It was sent, and the peer lacks what it rests on; it is sent again.
    Waits(Rests),
}

/// What an item that waits at a peer rests on, as far as the peer has not acknowledged it. Nothing at all means that
/// the peer has lost something it once acknowledged: the next repair tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rests {
    /// Items of the same document, the first few.
    pub items: Vec<ItemHash>,
    /// The node whose record is needed to check the item's seal.
    pub record_of: Option<NodeName>,
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// What `peer` is known to lack, the most urgent first, at most `limit` rows.
    pub fn lacking<S: Store>(
        &mut self,
        peer: NodeName,
        limit: usize,
        store: &mut S,
    ) -> store::Result<Vec<Lacking>> {
        let mut unknown_authors = None;
        let mut owed_of: BTreeMap<DocId, BTreeSet<ItemHash>> = BTreeMap::new();
        let mut rows = Vec::new();
        for debt in store.owed(peer, limit)? {
            let why = match (debt.doc, debt.item) {
                (doc, Some(hash)) if self.is_parked(peer, doc, hash) => {
                    let item = store.item(&hash)?;
                    match item {
                        Some(item) if self.is_unproved(&item, store)? => Why::Unproved,
                        Some(item) => {
                            let authors = match &mut unknown_authors {
                                Some(authors) => authors,
                                none => none.insert(unacknowledged_authors(peer, store)?),
                            };
                            let record_of = authors.contains(&item.author).then_some(item.author);
                            let items = self.unacknowledged(peer, &item, &mut owed_of, store)?;
                            Why::Waits(Rests { items, record_of })
                        }
                        None => Why::InTheOutbox,
                    }
                }
                _ => self.on_the_link(peer, &debt),
            };
            rows.push(Lacking { debt, why });
        }
        Ok(rows)
    }

    fn is_parked(&self, peer: NodeName, doc: Option<DocId>, item: ItemHash) -> bool {
        self.links.get(&peer).is_some_and(|link| link.parked.contains_key(&(doc, item)))
    }

    fn on_the_link(&self, peer: NodeName, debt: &Debt) -> Why {
        let Some(link) = self.links.get(&peer) else { return Why::NoLink };
        let sent = link.in_flight.values().any(|batch| match (debt.doc, debt.item) {
            (doc, Some(item)) => batch.items.contains(&(doc, item)),
            (Some(doc), None) => batch.whole.contains(&doc),
            (None, None) => false,
        });
        match (sent, link.view().connected) {
            (true, _) => Why::OnItsWay,
            (false, true) => Why::InTheOutbox,
            (false, false) => Why::NoLink,
        }
    }

    fn is_unproved<S: Store>(&mut self, item: &Item, store: &mut S) -> store::Result<bool> {
        let Some(sealed) = item.sealed else { return Ok(false) };
        Ok(self.seal_part(sealed.seal, &[sealed.leaf], store)?.is_none())
    }

    /// What `item` rests on and `peer` has not acknowledged.
    fn unacknowledged<S: Store>(
        &self,
        peer: NodeName,
        item: &Item,
        owed_of: &mut BTreeMap<DocId, BTreeSet<ItemHash>>,
        store: &mut S,
    ) -> store::Result<Vec<ItemHash>> {
        let Some(doc) = item.doc else { return Ok(Vec::new()) };
        let owed = match owed_of.get(&doc) {
            Some(owed) => owed,
            None => {
                let rows = store.owed_of(peer, &doc, LOOK)?;
                owed_of.entry(doc).or_insert(rows.into_iter().filter_map(|d| d.item).collect())
            }
        };
        // A scan of everything has no rows: what it has not come to is not acknowledged either.
        let scans = self.pairs.get(&peer).is_some_and(|pair| pair.everything.is_some());
        let mut rests = BTreeSet::from([ItemHash::from(doc)]);
        match item.kind {
            Kind::CHANGE => {
                if let Ok(chunk) = ChangeChunk::parse(&item.bytes) {
                    rests.extend(chunk.deps());
                }
            }
            // A mark names entries, which came with changes; an emptied grant needs a mark.
            Kind::ERASED => rests.extend(hashes(store.items_of_kind(&doc, Kind::CHANGE)?)),
            _ if item.state == State::Emptied => {
                rests.extend(hashes(store.items_of_kind(&doc, Kind::ERASED)?));
            }
            _ => {}
        }
        rests.remove(&item.hash);
        Ok(rests.into_iter().filter(|hash| scans || owed.contains(hash)).take(NAMED).collect())
    }
}

fn hashes(items: Vec<Item>) -> impl Iterator<Item = ItemHash> {
    items.into_iter().map(|item| item.hash)
}

/// The nodes whose records `peer` is owed.
fn unacknowledged_authors<S: Store>(peer: NodeName, store: &mut S) -> store::Result<BTreeSet<NodeName>> {
    let mut authors = BTreeSet::new();
    // Rows of the directory go before all others.
    for debt in store.owed(peer, LOOK)?.into_iter().take_while(|debt| debt.doc.is_none()) {
        let Some(hash) = debt.item else { continue };
        if let Some(item) = store.item(&hash)?.filter(|item| item.kind == Kind::RECORD) {
            authors.insert(item.author);
        }
    }
    Ok(authors)
}
