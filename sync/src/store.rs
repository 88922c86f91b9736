//! What a replica needs of its storage.
//!
//! The core reads and writes through [`Store`] inside a transaction that its caller opened; it never commits.
//! The caller commits (which means: fsync has returned) and only then performs the effects the core asked for.
//! That order is the whole of "store before answering".
//!
//! Assumptions on the medium: what `commit` reported is still there after a power cut; a transaction that was
//! not committed leaves no trace; bytes read are the bytes written, or an error. Damage that slips through all
//! the same shows in the pair digests and is healed by repair.
//!
//! Positions are the order in which items arrived here. They grow, are never used again within one database, and
//! mean nothing elsewhere.

use std::collections::BTreeSet;
use std::fmt;

use certs::{NodeName, Site};
use serde::{Deserialize, Serialize};

use crate::digest::SetDigest;
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Class, Item, Kind, Sealed, State};
use crate::merkle::Twig;
use crate::seal::Seal;

pub mod bundles;
pub mod conformance;
pub mod contents;
pub mod memory;
pub mod sqlite;

/// The place of an item in the order of arrival; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// After everything.
    pub const END: Position = Position(i64::MAX as u64);
}

/// What a store knows of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The sites that must hold it, as known here.
    pub audience: Audience,
    /// Set when the document outgrew what is loaded and waits for a person.
    pub frozen: bool,
}

/// A row of an outbox: what a peer must still get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Debt {
    /// How urgent the document is.
    pub class: Class,
    /// Newest first within a class: the arrival of what made the row.
    pub rank: Position,
    /// The document; `None` for a directory item.
    pub doc: Option<DocId>,
    /// The item; `None` for the whole document.
    pub item: Option<ItemHash>,
}

/// What a store remembers of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The digest of all items that both must hold, as known here.
    pub digest: SetDigest,
    /// Everything must be sent: how far the scan has come, and up to where it goes. What arrived after that has rows in
    /// the outbox.
    pub everything: Option<(Position, Position)>,
    /// When the pair was last proved equal, in milliseconds since 1970 by this node's clock.
    pub proved_at: Option<u64>,
    /// When the peer was last heard of, in milliseconds since 1970 by this node's clock.
    pub last_seen: Option<u64>,
}

impl Peer {
    /// A peer that must still get everything.
    pub fn new() -> Peer {
        let everything = Some((Position(0), Position::END));
        Peer { digest: SetDigest::new(), everything, proved_at: None, last_seen: None }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Peer::new()
    }
}

/// A seal as a store keeps it: the signed words, and the hashes of those subtrees whose leaves are not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSeal {
    /// The seal.
    pub seal: Seal,
    /// The subtrees that this node knows only by hash.
    pub twigs: Vec<Twig>,
}

/// Who refused an item, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The item.
    pub item: ItemHash,
    /// The node that refused it: this one, or a peer that it was sent to.
    pub by: NodeName,
    /// For people.
    pub reason: String,
}

/// Counts for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Documents held.
    pub documents: u64,
    /// Items held.
    pub items: u64,
    /// Items refused.
    pub refused: u64,
    /// Items not counted.
    pub not_counted: u64,
    /// Own items that no seal covers yet.
    pub unsealed: u64,
}

/// Storage failed.
#[derive(Debug)]
pub enum StoreError {
    /// The disk is full: nothing was written, reading goes on.
    Full(String),
    /// What is stored does not read as what was written.
    Damaged(String),
    /// Any other failure; the node must stop.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full(why) => {
                write!(f, "the disk is full, nothing was saved ({why}); free some space and try again")
            }
            StoreError::Damaged(why) => {
                write!(f, "stored data is damaged ({why})")
            }
            StoreError::Failed(why) => write!(
                f,
                "storage failed ({why}); the node stops rather than go on with a disk it cannot trust"
            ),
        }
    }
}

impl std::error::Error for StoreError {}

/// The answer of a store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Reading and writing inside the caller's transaction.
pub trait Store: bundles::Bundles + contents::Contents {
    /// The document, if anything of it is held.
    fn document(&mut self, doc: &DocId) -> Result<Option<Document>>;
    /// Makes or replaces the document's row.
    fn put_document(&mut self, doc: &DocId, document: &Document) -> Result<()>;
    /// Documents after `after` in an order that does not change, at most `limit`.
    fn documents(&mut self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Document)>>;
    /// The documents of which `node` has written items.
    fn documents_by(&mut self, node: NodeName) -> Result<Vec<DocId>>;
    /// The documents that are frozen, at most `limit`.
    fn frozen(&mut self, limit: usize) -> Result<Vec<DocId>>;
    /// Those documents whose id begins with `prefix`; at most two are looked for.
    fn documents_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<DocId>>;

    /// The item with this hash.
    fn item(&mut self, hash: &ItemHash) -> Result<Option<Item>>;
    /// What became of the item with this hash, without its bytes.
    fn state(&mut self, hash: &ItemHash) -> Result<Option<State>>;
    /// Those items whose hash begins with `prefix`; at most two are looked for.
    fn items_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<ItemHash>>;
    /// All items of a document in the order of arrival.
    fn items_of(&mut self, doc: &DocId) -> Result<Vec<Item>>;
    /// The items of a document that are of this kind, in the order of arrival.
    fn items_of_kind(&mut self, doc: &DocId, kind: Kind) -> Result<Vec<Item>>;
    /// All directory items in the order of arrival.
    fn directory(&mut self) -> Result<Vec<Item>>;
    /// Adds an item; its document's row is there already. The caller has checked that it is new.
    fn put_item(&mut self, item: &Item) -> Result<Position>;
    /// Puts an item under a seal.
    fn seal_item(&mut self, hash: &ItemHash, sealed: Sealed) -> Result<()>;
    /// Changes what became of an item.
    fn set_state(&mut self, hash: &ItemHash, state: State) -> Result<()>;
    /// Notes who refused an item and why; a later reason replaces an earlier one.
    fn put_refusal(&mut self, refused: &Refused) -> Result<()>;
    /// What one node refused, in the order of the items' hashes, after `after` and at most `limit`.
    fn refusals(&mut self, by: NodeName, after: Option<ItemHash>, limit: usize) -> Result<Vec<Refused>>;
    /// Empties an item that was erased: of its bytes the stub stays. The bytes are gone from the medium when the commit
    /// has returned.
    fn empty_item(&mut self, hash: &ItemHash) -> Result<()>;
    /// Forgets an item whose bytes were lost, so that it can be taken in again.
    fn drop_item(&mut self, hash: &ItemHash) -> Result<()>;
    /// Items after `after` in the order of arrival, at most `limit`, without their bytes.
    fn scan(&mut self, after: Position, limit: usize) -> Result<Vec<(Position, ItemHash, Option<DocId>)>>;
    /// Calls `visit` with every item that both sites must hold: those of documents with both in their audience, and
    /// the directory's. The order is the store's own.
    fn each_shared(
        &mut self,
        sites: [Site; 2],
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()>;
    /// Calls `visit` with those of [`Store::each_shared`] whose hashes begin with any of these bytes, without looking at the others.
    fn shared_beginning(
        &mut self,
        sites: [Site; 2],
        firsts: &BTreeSet<[u8; 2]>,
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()>;
    /// Items of document kinds that no seal covers, in the order of arrival, at most `limit`.
    fn unsealed(&mut self, limit: usize) -> Result<Vec<(ItemHash, DocId)>>;
    /// Counts for the operator.
    fn totals(&mut self) -> Result<Totals>;

    /// The seal with this hash.
    fn seal(&mut self, hash: &SealHash) -> Result<Option<StoredSeal>>;
    /// Adds a seal or replaces its twigs.
    fn put_seal(&mut self, hash: &SealHash, seal: &StoredSeal) -> Result<()>;
    /// All seals of `node` with this number: more than one is a fork.
    fn seals_numbered(&mut self, node: NodeName, number: u64) -> Result<Vec<SealHash>>;
    /// Where chains fork: nodes and numbers that more than one seal bears, at most `limit`.
    fn forks(&mut self, limit: usize) -> Result<Vec<(NodeName, u64)>>;
    /// The seal of `node` with the highest number; of a fork the smaller hash.
    fn highest_seal(&mut self, node: NodeName) -> Result<Option<(u64, SealHash)>>;
    /// The seal that an item is under, and the position of the first item that is held under it.
    fn seal_of(&mut self, item: &ItemHash) -> Result<Option<(SealHash, Position)>>;
    /// The items held under a seal in the order of arrival.
    fn under(&mut self, seal: &SealHash) -> Result<Vec<(Position, ItemHash, DocId)>>;
    /// The leaves held of a seal: place, item and document, in the order of place.
    fn leaves(&mut self, seal: &SealHash) -> Result<Vec<(u32, ItemHash, DocId)>>;

    /// Adds rows to a peer's outbox; a row that is there already stays as it is.
    fn owe(&mut self, peer: NodeName, debts: &[Debt]) -> Result<()>;
    /// A peer's rows, the most urgent first, at most `limit`.
    fn owed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<Debt>>;
    /// The rows of this document in a peer's outbox: the one for the whole of it, then those of single items, the oldest
    /// rank first; at most `limit`.
    fn owed_of(&mut self, peer: NodeName, doc: &DocId, limit: usize) -> Result<Vec<Debt>>;
    /// How many rows a peer's outbox has.
    fn owed_count(&mut self, peer: NodeName) -> Result<u64>;
    /// Removes the rows of these items from a peer's outbox.
    fn settle(&mut self, peer: NodeName, items: &[(Option<DocId>, ItemHash)]) -> Result<()>;
    /// Removes a row that stood for a whole document.
    fn settle_document(&mut self, peer: NodeName, doc: &DocId) -> Result<()>;

    /// What is remembered of a peer.
    fn peer(&mut self, peer: NodeName) -> Result<Option<Peer>>;
    /// Remembers a peer.
    fn put_peer(&mut self, peer: NodeName, row: &Peer) -> Result<()>;
    /// All peers ever known.
    fn peers(&mut self) -> Result<Vec<NodeName>>;

    /// A value kept under a name.
    fn meta(&mut self, key: &str) -> Result<Option<Vec<u8>>>;
    /// Keeps a value under a name.
    fn put_meta(&mut self, key: &str, value: &[u8]) -> Result<()>;
}

/// The smallest and the largest hash that begin with these bytes.
fn ends(first: [u8; 2]) -> (ItemHash, ItemHash) {
    let filled = |with| {
        let mut bytes = [with; 32];
        bytes[..2].copy_from_slice(&first);
        ItemHash::from_bytes(bytes)
    };
    (filled(0), filled(u8::MAX))
}

/// A store whose caller decides when a transaction begins and ends.
pub trait Durable: Store {
    /// Opens a transaction.
    fn begin(&mut self) -> Result<()>;
    /// Ends it; when this returns, everything in it survives a power cut.
    fn commit(&mut self) -> Result<()>;
    /// Ends it without a trace.
    fn rollback(&mut self) -> Result<()>;
}
