//! What a store keeps for bundles: what was handed out and is not answered, answers that have not arrived for sure, and
//! parcels of others on their way.

use certs::NodeName;
use serde::{Deserialize, Serialize};

use super::{Debt, Position, Result};
use crate::id::{DocId, ItemHash};
use crate::item::Class;
use crate::wire::Answer;

/// A batch that a bundle took along: what its answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The export that it went with.
    pub number: u64,
    /// Its items, in the order in which the answer counts them.
    pub items: Vec<(Option<DocId>, ItemHash)>,
    /// Rows of the outbox that stood for whole documents.
    pub whole: Vec<DocId>,
    /// How far the scan of everything came with it.
    pub scanned: Option<Scanned>,
}

/// A stretch of the scan of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// After this place,
    pub from: Position,
    /// up to this one.
    pub to: Position,
    /// It is answered; it is kept until everything before it is answered as well.
    pub done: bool,
}

/// An answer that is to travel back with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The sender's export that the batch came with.
    pub number: u64,
    /// The word on the batch.
    pub answer: Answer,
}

/// A parcel on its way to somebody else, or from here: a head and one page. One for several nodes is kept once for each
/// that must still get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its name here: see [`parcel_id`].
    pub id: [u8; 32],
    /// Who sends it, by its label.
    pub from: NodeName,
    /// Whom it is for, by its label.
    pub to: NodeName,
    /// How many bytes it has.
    pub size: u64,
    /// How many bundles have taken it along.
    pub taken: u32,
}

/// What a parcel for `to` is called where it is kept.
pub fn parcel_id(to: NodeName, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 parcel kept for a node");
    hasher.update(to.to_string().as_bytes()).update(&[0]).update(bytes);
    *hasher.finalize().as_bytes()
}

/// A place in the order of an outbox. It means nothing in another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// How urgent the row is.
    pub class: Class,
    /// The row's rank; higher ones go first.
    pub rank: std::cmp::Reverse<Position>,
    /// Tells rows of one rank apart.
    pub id: u64,
}

/// Reading and writing inside the caller's transaction.
pub trait Bundles {
    /// A peer's rows that come after `after`, the most urgent first, at most `limit`.
    fn owed_after(&mut self, peer: NodeName, after: Option<Turn>, limit: usize) -> Result<Vec<(Turn, Debt)>>;

    /// Keeps, or replaces, what a batch handed to a peer held.
    fn hand(&mut self, peer: NodeName, batch: u64, handed: &Handed) -> Result<()>;
    /// A batch that was handed to a peer and is not answered.
    fn handed(&mut self, peer: NodeName, batch: u64) -> Result<Option<Handed>>;
    /// The batches handed to a peer with their exports, the last one first, at most `limit`.
    fn all_handed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<(u64, u64)>>;
    /// The stretches of the scan of everything that came with batches handed to a peer: batch, export, stretch.
    fn scanned(&mut self, peer: NodeName) -> Result<Vec<(u64, u64, Scanned)>>;
    /// Forgets a batch.
    fn drop_handed(&mut self, peer: NodeName, batch: u64) -> Result<()>;

    /// Keeps an answer for a peer; one to the same batch replaces it.
    fn put_reply(&mut self, peer: NodeName, reply: &Reply) -> Result<()>;
    /// The answers for a peer, the oldest first.
    fn replies(&mut self, peer: NodeName) -> Result<Vec<Reply>>;
    /// How many answers are kept for a peer.
    fn replies_count(&mut self, peer: NodeName) -> Result<u64>;
    /// The peers that answers wait for.
    fn answered_peers(&mut self) -> Result<Vec<NodeName>>;
    /// Forgets an answer.
    fn drop_reply(&mut self, peer: NodeName, batch: u64) -> Result<()>;

    /// Keeps a parcel that is on its way to `to`; one that is here stays. `false` when it was here.
    fn carry(&mut self, from: NodeName, to: NodeName, bytes: &[u8]) -> Result<bool>;
    /// All parcels on their way, the oldest first.
    fn carried(&mut self) -> Result<Vec<Carried>>;
    /// The bytes of one.
    fn carried_bytes(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>>;
    /// Notes that another bundle took it along.
    fn note_taken(&mut self, id: &[u8; 32]) -> Result<()>;
    /// Forgets one.
    fn drop_carried(&mut self, id: &[u8; 32]) -> Result<()>;
}
