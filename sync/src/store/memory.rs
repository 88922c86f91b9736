//! A store in ordered maps, with an undo log for its transactions.
//!
//! For tests and the simulated world. Its "disk" is what [`Memory::commit`] made: a crash is a `rollback`.

use std::collections::{BTreeMap, BTreeSet};

use certs::{NodeName, Site};

use super::bundles::{Bundles, Carried, Handed, Reply, Scanned, Turn, parcel_id};
use super::contents::{Contents, FileTotals, Held};
use super::{
    Debt, Document, Durable, Peer, Position, Refused, Result, Store, StoreError, StoredSeal, Totals, ends,
};
use crate::file::{Manifest, Pieces, piece_length};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Class, Item, Kind, Sealed, State, stub};

/// A map that can take back what was done since a mark.
#[derive(Clone, Debug)]
struct Table<K, V> {
    rows: BTreeMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    fn new() -> Self {
        Table { rows: BTreeMap::new(), undo: Vec::new() }
    }

    fn put(&mut self, key: K, value: V) {
        let old = self.rows.insert(key.clone(), value);
        self.undo.push((key, old));
    }

    fn remove(&mut self, key: &K) {
        if let Some(old) = self.rows.remove(key) {
            self.undo.push((key.clone(), Some(old)));
        }
    }

    fn keep(&mut self) {
        self.undo.clear();
    }

    fn take_back(&mut self) {
        for (key, old) in std::mem::take(&mut self.undo).into_iter().rev() {
            match old {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

/// A row of an outbox: whose, of which document, which item.
type Owed = (NodeName, Option<DocId>, Option<ItemHash>);

/// The store.
#[derive(Clone, Debug)]
pub struct Memory {
    documents: Table<DocId, Document>,
    items: Table<ItemHash, (Position, Item)>,
    arrivals: Table<Position, ItemHash>,
    of_doc: Table<(Option<DocId>, Position), ItemHash>,
    unsealed: Table<Position, ItemHash>,
    seals: Table<SealHash, StoredSeal>,
    numbers: Table<(NodeName, u64, SealHash), ()>,
    leaves: Table<(SealHash, u32), (ItemHash, DocId)>,
    outbox: Table<Owed, (Class, Position)>,
    refusals: Table<(NodeName, ItemHash), String>,
    peers: Table<NodeName, Peer>,
    meta: Table<String, Vec<u8>>,
    files: Table<ItemHash, (Position, Held)>,
    pieces: Table<(ItemHash, u32), Vec<u8>>,
    handed: Table<(NodeName, u64), (u64, Handed)>,
    replies: Table<(NodeName, u64), (u64, Reply)>,
    carried: Table<[u8; 32], (u64, Carried, Vec<u8>)>,
    drawn: u64,
    last: Position,
    room: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory {
            documents: Table::new(),
            items: Table::new(),
            arrivals: Table::new(),
            of_doc: Table::new(),
            unsealed: Table::new(),
            seals: Table::new(),
            numbers: Table::new(),
            leaves: Table::new(),
            outbox: Table::new(),
            refusals: Table::new(),
            peers: Table::new(),
            meta: Table::new(),
            files: Table::new(),
            pieces: Table::new(),
            handed: Table::new(),
            replies: Table::new(),
            carried: Table::new(),
            drawn: 0,
            last: Position(0),
            room: u64::MAX,
        }
    }

    /// How many bytes of contents the "disk" has room for.
    pub fn set_room(&mut self, bytes: u64) {
        self.room = bytes;
    }

    /// How many pieces of a file lie here, known or not: for tests of what is removed.
    pub fn pieces_of(&self, file: &ItemHash) -> usize {
        self.pieces.rows.range((*file, 0)..=(*file, u32::MAX)).count()
    }

    /// Damages a stored piece: for tests of what is done about it.
    pub fn spoil(&mut self, file: &ItemHash, place: u32) {
        if let Some(byte) = self.pieces.rows.get_mut(&(*file, place)).and_then(|p| p.first_mut()) {
            *byte ^= 1;
        }
    }

    /// Every item held, in the order of their hashes: for the invariants of the simulated world.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.rows.values().map(|(_, item)| item)
    }

    /// The place of the last item that arrived, whether it stayed or not.
    pub fn last(&self) -> Position {
        self.last
    }

    fn change_item(&mut self, hash: &ItemHash, change: impl FnOnce(&mut Item)) -> Result<()> {
        let Some((position, item)) = self.items.rows.get(hash) else {
            return Err(StoreError::Damaged(format!("item {hash} is not there")));
        };
        let (position, mut item) = (*position, item.clone());
        change(&mut item);
        self.items.put(*hash, (position, item));
        Ok(())
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn debts(&self, peer: NodeName) -> impl Iterator<Item = Debt> {
        let rows = self.outbox.rows.range((peer, None, None)..).take_while(move |((p, ..), _)| *p == peer);
        rows.map(|((_, doc, item), (class, rank))| Debt {
            class: *class,
            rank: *rank,
            doc: *doc,
            item: *item,
        })
    }
}

impl Memory {
    /// Whether both sites must hold an item of this document; the directory's everybody must.
    fn is_shared(&self, doc: Option<DocId>, sites: [Site; 2]) -> bool {
        let held = doc.map(|doc| self.documents.rows.get(&doc));
        held.is_none_or(|d| d.is_some_and(|d| sites.iter().all(|s| d.audience.has(*s))))
    }
}

impl Store for Memory {
    fn document(&mut self, doc: &DocId) -> Result<Option<Document>> {
        Ok(self.documents.rows.get(doc).cloned())
    }

    fn put_document(&mut self, doc: &DocId, document: &Document) -> Result<()> {
        self.documents.put(*doc, document.clone());
        Ok(())
    }

    fn documents(&mut self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Document)>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        Ok(self.documents.rows.range((from, Unbounded)).take(limit).map(|(k, v)| (*k, v.clone())).collect())
    }

    fn documents_by(&mut self, node: NodeName) -> Result<Vec<DocId>> {
        let own = self.items.rows.values().filter(|(_, i)| i.author == node).filter_map(|(_, i)| i.doc);
        Ok(own.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    fn frozen(&mut self, limit: usize) -> Result<Vec<DocId>> {
        let frozen = self.documents.rows.iter().filter(|(_, row)| row.frozen);
        Ok(frozen.map(|(doc, _)| *doc).take(limit).collect())
    }

    fn documents_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<DocId>> {
        Ok(self.documents.rows.keys().filter(|d| d.as_bytes().starts_with(prefix)).take(2).copied().collect())
    }

    fn item(&mut self, hash: &ItemHash) -> Result<Option<Item>> {
        Ok(self.items.rows.get(hash).map(|(_, item)| item.clone()))
    }

    fn state(&mut self, hash: &ItemHash) -> Result<Option<State>> {
        Ok(self.items.rows.get(hash).map(|(_, item)| item.state))
    }

    fn items_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<ItemHash>> {
        let mut low = [0; 32];
        let n = prefix.len().min(32);
        low[..n].copy_from_slice(&prefix[..n]);
        let from = ItemHash::from_bytes(low);
        Ok(self
            .items
            .rows
            .range(from..)
            .map(|(h, _)| *h)
            .take_while(|h| h.as_bytes().starts_with(prefix))
            .take(2)
            .collect())
    }

    fn items_of(&mut self, doc: &DocId) -> Result<Vec<Item>> {
        let all = self.of_doc.rows.range((Some(*doc), Position(0))..=(Some(*doc), Position(u64::MAX)));
        Ok(all.map(|(_, hash)| self.items.rows[hash].1.clone()).collect())
    }

    fn items_of_kind(&mut self, doc: &DocId, kind: Kind) -> Result<Vec<Item>> {
        Ok(self.items_of(doc)?.into_iter().filter(|i| i.kind == kind).collect())
    }

    fn directory(&mut self) -> Result<Vec<Item>> {
        let all = self.of_doc.rows.range((None, Position(0))..=(None, Position(u64::MAX)));
        Ok(all.map(|(_, hash)| self.items.rows[hash].1.clone()).collect())
    }

    fn put_item(&mut self, item: &Item) -> Result<Position> {
        // Positions are never used again, so the counter is not part of the undo log.
        self.last.0 += 1;
        let at = self.last;
        self.items.put(item.hash, (at, item.clone()));
        self.arrivals.put(at, item.hash);
        self.of_doc.put((item.doc, at), item.hash);
        match (item.sealed, item.doc) {
            (Some(sealed), Some(doc)) => self.leaves.put((sealed.seal, sealed.leaf), (item.hash, doc)),
            (None, Some(_)) => self.unsealed.put(at, item.hash),
            (_, None) => {}
        }
        Ok(at)
    }

    fn seal_item(&mut self, hash: &ItemHash, sealed: Sealed) -> Result<()> {
        self.change_item(hash, |item| item.sealed = Some(sealed))?;
        let (at, doc) = (self.items.rows[hash].0, self.items.rows[hash].1.doc);
        self.unsealed.remove(&at);
        if let Some(doc) = doc {
            self.leaves.put((sealed.seal, sealed.leaf), (*hash, doc));
        }
        Ok(())
    }

    fn set_state(&mut self, hash: &ItemHash, state: State) -> Result<()> {
        self.change_item(hash, |item| item.state = state)
    }

    fn put_refusal(&mut self, refused: &Refused) -> Result<()> {
        self.refusals.put((refused.by, refused.item), refused.reason.clone());
        Ok(())
    }

    fn refusals(&mut self, by: NodeName, after: Option<ItemHash>, limit: usize) -> Result<Vec<Refused>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = after.map_or(Included((by, ItemHash::from_bytes([0; 32]))), |item| Excluded((by, item)));
        let rows = self.refusals.rows.range((from, Unbounded)).take_while(|((node, _), _)| *node == by);
        Ok(rows
            .take(limit)
            .map(|((by, item), reason)| Refused { item: *item, by: *by, reason: reason.clone() })
            .collect())
    }

    fn empty_item(&mut self, hash: &ItemHash) -> Result<()> {
        self.change_item(hash, |item| {
            item.bytes = stub(&item.bytes).to_vec();
            item.state = State::Emptied;
        })
    }

    fn drop_item(&mut self, hash: &ItemHash) -> Result<()> {
        let found = self.items.rows.get(hash).cloned();
        let (at, item) = found.ok_or_else(|| StoreError::Damaged(format!("item {hash} is not there")))?;
        self.items.remove(hash);
        self.arrivals.remove(&at);
        self.unsealed.remove(&at);
        self.of_doc.remove(&(item.doc, at));
        if let Some(sealed) = item.sealed {
            self.leaves.remove(&(sealed.seal, sealed.leaf));
        }
        Ok(())
    }

    fn scan(&mut self, after: Position, limit: usize) -> Result<Vec<(Position, ItemHash, Option<DocId>)>> {
        let from = Position(after.0 + 1);
        Ok(self
            .arrivals
            .rows
            .range(from..)
            .take(limit)
            .map(|(at, h)| (*at, *h, self.items.rows[h].1.doc))
            .collect())
    }

    fn each_shared(
        &mut self,
        sites: [Site; 2],
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()> {
        for ((doc, position), hash) in &self.of_doc.rows {
            if self.is_shared(*doc, sites) {
                visit(hash, *doc, *position);
            }
        }
        Ok(())
    }

    fn shared_beginning(
        &mut self,
        sites: [Site; 2],
        firsts: &BTreeSet<[u8; 2]>,
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()> {
        let rows =
            firsts.iter().map(|first| ends(*first)).flat_map(|(from, to)| self.items.rows.range(from..=to));
        for (hash, (position, item)) in rows {
            if self.is_shared(item.doc, sites) {
                visit(hash, item.doc, *position);
            }
        }
        Ok(())
    }

    fn unsealed(&mut self, limit: usize) -> Result<Vec<(ItemHash, DocId)>> {
        let rows = self.unsealed.rows.values().take(limit);
        Ok(rows.filter_map(|h| self.items.rows[h].1.doc.map(|d| (*h, d))).collect())
    }

    fn totals(&mut self) -> Result<Totals> {
        let count = |s: State| self.items.rows.values().filter(|(_, i)| i.state == s).count() as u64;
        Ok(Totals {
            documents: self.documents.rows.len() as u64,
            items: self.items.rows.len() as u64,
            refused: count(State::Refused),
            not_counted: count(State::NotCounted),
            unsealed: self.unsealed.rows.len() as u64,
        })
    }

    fn seal(&mut self, hash: &SealHash) -> Result<Option<StoredSeal>> {
        Ok(self.seals.rows.get(hash).cloned())
    }

    fn put_seal(&mut self, hash: &SealHash, seal: &StoredSeal) -> Result<()> {
        let words = seal.seal.words();
        self.numbers.put((words.node, words.number, *hash), ());
        self.seals.put(*hash, seal.clone());
        Ok(())
    }

    fn seals_numbered(&mut self, node: NodeName, number: u64) -> Result<Vec<SealHash>> {
        let (low, high) = (SealHash::from_bytes([0; 32]), SealHash::from_bytes([255; 32]));
        Ok(self
            .numbers
            .rows
            .range((node, number, low)..=(node, number, high))
            .map(|((_, _, h), ())| *h)
            .collect())
    }

    fn forks(&mut self, limit: usize) -> Result<Vec<(NodeName, u64)>> {
        let mut places: BTreeMap<(NodeName, u64), usize> = BTreeMap::new();
        self.numbers
            .rows
            .keys()
            .for_each(|(node, number, _)| *places.entry((*node, *number)).or_default() += 1);
        Ok(places.into_iter().filter(|(_, seals)| *seals > 1).map(|(place, _)| place).take(limit).collect())
    }

    fn highest_seal(&mut self, node: NodeName) -> Result<Option<(u64, SealHash)>> {
        let (low, high) = (SealHash::from_bytes([0; 32]), SealHash::from_bytes([255; 32]));
        let last = self.numbers.rows.range((node, 0, low)..=(node, u64::MAX, high)).next_back();
        let Some(((_, number, _), ())) = last else { return Ok(None) };
        let number = *number;
        Ok(self.seals_numbered(node, number)?.first().map(|h| (number, *h)))
    }

    fn seal_of(&mut self, item: &ItemHash) -> Result<Option<(SealHash, Position)>> {
        let sealed = self.items.rows.get(item).and_then(|(_, item)| item.sealed);
        let Some(Sealed { seal, .. }) = sealed else { return Ok(None) };
        Ok(self.under(&seal)?.first().map(|(at, ..)| (seal, *at)))
    }

    fn under(&mut self, seal: &SealHash) -> Result<Vec<(Position, ItemHash, DocId)>> {
        let rows = self.leaves.rows.range((*seal, 0)..=(*seal, u32::MAX));
        let mut items: Vec<_> = rows.map(|(_, (hash, doc))| (self.items.rows[hash].0, *hash, *doc)).collect();
        items.sort_unstable();
        Ok(items)
    }

    fn leaves(&mut self, seal: &SealHash) -> Result<Vec<(u32, ItemHash, DocId)>> {
        let rows = self.leaves.rows.range((*seal, 0)..=(*seal, u32::MAX));
        Ok(rows.map(|((_, leaf), (hash, doc))| (*leaf, *hash, *doc)).collect())
    }

    fn owe(&mut self, peer: NodeName, debts: &[Debt]) -> Result<()> {
        for debt in debts {
            let key = (peer, debt.doc, debt.item);
            if !self.outbox.rows.contains_key(&key) {
                self.outbox.put(key, (debt.class, debt.rank));
            }
        }
        Ok(())
    }

    fn owed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<Debt>> {
        let mut all: Vec<Debt> = self.debts(peer).collect();
        all.sort_by_key(|d| (d.class, std::cmp::Reverse(d.rank), d.doc, d.item));
        all.truncate(limit);
        Ok(all)
    }

    fn owed_of(&mut self, peer: NodeName, doc: &DocId, limit: usize) -> Result<Vec<Debt>> {
        let mut rows: Vec<Debt> = self.debts(peer).filter(|d| d.doc == Some(*doc)).collect();
        rows.sort_by_key(|d| (d.item.is_some(), d.rank, d.item));
        rows.truncate(limit);
        Ok(rows)
    }

    fn owed_count(&mut self, peer: NodeName) -> Result<u64> {
        Ok(self.debts(peer).count() as u64)
    }

    fn settle(&mut self, peer: NodeName, items: &[(Option<DocId>, ItemHash)]) -> Result<()> {
        items.iter().for_each(|(doc, item)| self.outbox.remove(&(peer, *doc, Some(*item))));
        Ok(())
    }

    fn settle_document(&mut self, peer: NodeName, doc: &DocId) -> Result<()> {
        self.outbox.remove(&(peer, Some(*doc), None));
        Ok(())
    }

    fn peer(&mut self, peer: NodeName) -> Result<Option<Peer>> {
        Ok(self.peers.rows.get(&peer).cloned())
    }

    fn put_peer(&mut self, peer: NodeName, row: &Peer) -> Result<()> {
        self.peers.put(peer, row.clone());
        Ok(())
    }

    fn peers(&mut self) -> Result<Vec<NodeName>> {
        Ok(self.peers.rows.keys().copied().collect())
    }

    fn meta(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.meta.rows.get(key).cloned())
    }

    fn put_meta(&mut self, key: &str, value: &[u8]) -> Result<()> {
        self.meta.put(key.to_owned(), value.to_vec());
        Ok(())
    }
}

impl Bundles for Memory {
    fn owed_after(&mut self, peer: NodeName, after: Option<Turn>, limit: usize) -> Result<Vec<(Turn, Debt)>> {
        let turn = |d: &Debt| {
            let item = d.item.map_or([0; 32], |item| *item.as_bytes());
            let doc = d.doc.map_or([0; 32], |doc| *doc.as_bytes());
            let [a, b, c, d_, e, f, g, h, ..] = *blake3::hash(&[doc, item].concat()).as_bytes();
            let id = u64::from_be_bytes([a, b, c, d_, e, f, g, h]);
            Turn { class: d.class, rank: std::cmp::Reverse(d.rank), id }
        };
        let mut all: Vec<(Turn, Debt)> = self.debts(peer).map(|d| (turn(&d), d)).collect();
        all.retain(|(turn, _)| after.is_none_or(|after| *turn > after));
        all.sort();
        all.truncate(limit);
        Ok(all)
    }

    fn hand(&mut self, peer: NodeName, batch: u64, handed: &Handed) -> Result<()> {
        let at = self.handed.rows.get(&(peer, batch)).map(|(at, _)| *at);
        let at = at.unwrap_or_else(|| self.draw());
        self.handed.put((peer, batch), (at, handed.clone()));
        Ok(())
    }

    fn handed(&mut self, peer: NodeName, batch: u64) -> Result<Option<Handed>> {
        Ok(self.handed.rows.get(&(peer, batch)).map(|(_, handed)| handed.clone()))
    }

    fn all_handed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<(u64, u64)>> {
        let mine = self.handed.rows.range((peer, 0)..=(peer, u64::MAX));
        let mut all: Vec<(u64, u64, u64)> =
            mine.map(|((_, batch), (at, handed))| (*at, *batch, handed.number)).collect();
        all.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        all.truncate(limit);
        Ok(all.into_iter().map(|(_, batch, number)| (batch, number)).collect())
    }

    fn scanned(&mut self, peer: NodeName) -> Result<Vec<(u64, u64, Scanned)>> {
        let mine = self.handed.rows.range((peer, 0)..=(peer, u64::MAX));
        let row = |batch: u64, h: &Handed| h.scanned.map(|scanned| (batch, h.number, scanned));
        Ok(mine.filter_map(|((_, batch), (_, handed))| row(*batch, handed)).collect())
    }

    fn drop_handed(&mut self, peer: NodeName, batch: u64) -> Result<()> {
        self.handed.remove(&(peer, batch));
        Ok(())
    }

    fn put_reply(&mut self, peer: NodeName, reply: &Reply) -> Result<()> {
        let key = (peer, reply.answer.batch);
        let at = self.replies.rows.get(&key).map(|(at, _)| *at);
        let at = at.unwrap_or_else(|| self.draw());
        self.replies.put(key, (at, reply.clone()));
        Ok(())
    }

    fn replies(&mut self, peer: NodeName) -> Result<Vec<Reply>> {
        let mine = self.replies.rows.range((peer, 0)..=(peer, u64::MAX));
        let mut all: Vec<(u64, Reply)> = mine.map(|(_, row)| row.clone()).collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, reply)| reply).collect())
    }

    fn replies_count(&mut self, peer: NodeName) -> Result<u64> {
        Ok(self.replies.rows.range((peer, 0)..=(peer, u64::MAX)).count() as u64)
    }

    fn answered_peers(&mut self) -> Result<Vec<NodeName>> {
        let mut peers: Vec<NodeName> = self.replies.rows.keys().map(|(peer, _)| *peer).collect();
        peers.dedup();
        Ok(peers)
    }

    fn drop_reply(&mut self, peer: NodeName, batch: u64) -> Result<()> {
        self.replies.remove(&(peer, batch));
        Ok(())
    }

    fn carry(&mut self, from: NodeName, to: NodeName, bytes: &[u8]) -> Result<bool> {
        let id = parcel_id(to, bytes);
        if self.carried.rows.contains_key(&id) {
            return Ok(false);
        }
        let at = self.draw();
        let row = Carried { id, from, to, size: bytes.len() as u64, taken: 0 };
        self.carried.put(id, (at, row, bytes.to_vec()));
        Ok(true)
    }

    fn carried(&mut self) -> Result<Vec<Carried>> {
        let mut all: Vec<_> = self.carried.rows.values().map(|(at, row, _)| (*at, row.clone())).collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, row)| row).collect())
    }

    fn carried_bytes(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        Ok(self.carried.rows.get(id).map(|(.., bytes)| bytes.clone()))
    }

    fn note_taken(&mut self, id: &[u8; 32]) -> Result<()> {
        if let Some((at, mut row, bytes)) = self.carried.rows.get(id).cloned() {
            row.taken += 1;
            self.carried.put(*id, (at, row, bytes));
        }
        Ok(())
    }

    fn drop_carried(&mut self, id: &[u8; 32]) -> Result<()> {
        self.carried.remove(id);
        Ok(())
    }
}

impl Contents for Memory {
    fn know_file(&mut self, doc: &DocId, manifest: &Manifest) -> Result<()> {
        let file = manifest.address();
        if self.files.rows.contains_key(&file) {
            return Ok(());
        }
        let mut pieces = Pieces::none(manifest.count());
        for place in 0..manifest.count() {
            if self.pieces.rows.get(&(file, place)).is_some_and(|p| manifest.is_piece(place, p)) {
                pieces.add(place);
            }
        }
        self.last.0 += 1;
        self.files.put(file, (self.last, Held { doc: *doc, size: manifest.size(), pieces }));
        Ok(())
    }

    fn file(&mut self, file: &ItemHash) -> Result<Option<Held>> {
        Ok(self.files.rows.get(file).map(|(_, held)| held.clone()))
    }

    fn files_of(&mut self, doc: &DocId) -> Result<u64> {
        Ok(self.files.rows.values().filter(|(_, held)| held.doc == *doc).count() as u64)
    }

    fn incomplete(&mut self, before: Option<Position>, limit: usize) -> Result<Vec<(Position, ItemHash)>> {
        let rows =
            self.files.rows.iter().filter(|(_, (at, held))| {
                !held.pieces.is_whole() && before.is_none_or(|before| *at < before)
            });
        let mut found: Vec<_> = rows.map(|(file, (at, _))| (*at, *file)).collect();
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        found.truncate(limit);
        Ok(found)
    }

    fn put_piece(&mut self, file: &ItemHash, place: u32, bytes: &[u8]) -> Result<()> {
        let Some((at, mut held)) = self.files.rows.get(file).cloned() else {
            return Err(StoreError::Damaged(format!("file {file} is not known")));
        };
        held.pieces.add(place);
        self.files.put(*file, (at, held));
        self.pieces.put((*file, place), bytes.to_vec());
        Ok(())
    }

    fn piece(&mut self, file: &ItemHash, place: u32) -> Result<Option<Vec<u8>>> {
        let held = self.files.rows.get(file).is_some_and(|(_, held)| held.pieces.has(place));
        Ok(self.pieces.rows.get(&(*file, place)).filter(|_| held).cloned())
    }

    fn lose_piece(&mut self, file: &ItemHash, place: u32) -> Result<()> {
        if let Some((at, mut held)) = self.files.rows.get(file).cloned() {
            held.pieces.remove(place);
            self.files.put(*file, (at, held));
        }
        Ok(())
    }

    fn forget_file(&mut self, file: &ItemHash) -> Result<()> {
        self.files.remove(file);
        let pieces: Vec<_> =
            self.pieces.rows.range((*file, 0)..=(*file, u32::MAX)).map(|(at, _)| *at).collect();
        pieces.iter().for_each(|at| self.pieces.remove(at));
        Ok(())
    }

    fn room(&mut self) -> Result<u64> {
        Ok(self.room)
    }

    fn file_totals(&mut self) -> Result<FileTotals> {
        let mut totals = FileTotals::default();
        for (_, held) in self.files.rows.values() {
            totals.files += 1;
            if !held.pieces.is_whole() {
                totals.missing += 1;
                let missing = held.pieces.missing().map(|place| piece_length(held.size, place) as u64);
                totals.missing_bytes += missing.sum::<u64>();
            }
        }
        Ok(totals)
    }
}

/// Does the same to every table.
macro_rules! each_table {
    ($self:ident . $method:ident ()) => {{
        $self.documents.$method();
        $self.items.$method();
        $self.arrivals.$method();
        $self.of_doc.$method();
        $self.unsealed.$method();
        $self.seals.$method();
        $self.numbers.$method();
        $self.leaves.$method();
        $self.outbox.$method();
        $self.refusals.$method();
        $self.peers.$method();
        $self.meta.$method();
        $self.files.$method();
        $self.pieces.$method();
        $self.handed.$method();
        $self.replies.$method();
        $self.carried.$method();
    }};
}

impl Durable for Memory {
    fn begin(&mut self) -> Result<()> {
        each_table!(self.keep());
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        each_table!(self.keep());
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        each_table!(self.take_back());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_conforms() {
        super::super::conformance::check(super::Memory::new);
    }
}
