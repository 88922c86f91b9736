//! Bundles: what a link would carry, in pages that any medium carries, in any order, late, twice or never.
//!
//! ```text
//! sender                                             receiver
//!   | export: pages of frames; every batch is            |
//!   |   remembered with its rows (`Handed`)               |
//!   | == stick =======================================>  | import: the same gate; after fsync an answer is kept
//!   |                                                     |   (`Reply`) until the sender is known to have it
//!   | <== any later bundle, link or carrier ===========   | export, or a parcel of answers
//!   | rows settled, batch forgotten                       |
//! ```
//!
//! A page is a list of frames, each after its length (four bytes, big-endian). Every part of an export begins with an
//! opening; answers come next, then what the outbox holds, the most urgent first, then pieces of files, what repair
//! has to say, and last the closing with the digest. Pages of one export are independent: what one of them needs that
//! is not here waits, is answered so, and comes with the next bundle.
//!
//! *Equal.* A closing is compared when all batches of its export have arrived. Of this node's own set what it still owes
//! the sender is left out, so two sites that never stop writing can be found equal all the same: then nothing of the
//! sender's is missing here, and the sender lacks nothing but what the outbox names. Found different twice in a row with
//! nothing waiting, the pair is repaired: the next bundle carries a sketch, the one after it the answer, and past the
//! sketch's reach everything is sent.
//!
//! An answer to an unknown batch means nothing, whatever stick it comes from: batches of before a restore, of a clone, and
//! those of links. Batch ids come from entropy of the export's own, so a copy of this node never draws the same.

mod carry;
mod common;
mod export;
mod import;

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;
use serde::{Deserialize, Serialize};

use super::Replica;
use crate::matter::Matter;
use crate::store::{self, Store, StoreError};
use crate::trust::Trust;
use crate::wire::{Closing, SeekBody};

pub use carry::{MAX_CARRIED, MAX_CARRIED_BYTES, distance};
pub use common::Common;
pub use export::{Basis, Export, Letter};
pub use import::Taken;

/// How many times in a row a pair was found different before it is repaired, and before everything is sent.
const APART: u32 = 2;
const FAR_APART: u32 = 6;

/// Most files of a peer's questions that are remembered for the next bundle.
const SOUGHT: usize = 256;

/// Batches that a link has overtaken are forgotten so many at a time.
const OVERTAKEN: usize = 4096;

/// Exports whose pages are counted at once.
const ARRIVALS: usize = 16;

/// What is remembered of the bundles exchanged with one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Exchanged {
    /// How many exports were made for it.
    number: u64,
    /// Scans of exports up to this one say nothing of the scan that is due now.
    since: u64,
    /// How often in a row the pair was found different.
    apart: u32,
    /// The key of the sketch that this node sent.
    asked: Option<[u8; 16]>,
    /// The key of the last word of the peer on a repair: it is taken once.
    heard: Option<[u8; 16]>,
    /// The outcome of the peer's sketch, a frame, for the next bundle.
    outcome: Vec<u8>,
    /// Pieces of files that the peer asked for.
    sought: Vec<SeekBody>,
}

/// What has come of one export.
#[derive(Debug, Default)]
struct Arrived {
    batches: BTreeSet<u64>,
    /// Those of which something waits: they may be taken in again.
    waiting: BTreeSet<u64>,
    closing: Option<Closing>,
}

/// What is remembered of bundles in memory.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    arrived: BTreeMap<(NodeName, u64), Arrived>,
    /// Peers to whom everything is sent anew.
    pub(super) anew: BTreeSet<NodeName>,
    /// Peers whose links have proved both equal.
    pub(super) proved: BTreeSet<NodeName>,
    carry: carry::Carrying,
}

fn key(peer: NodeName) -> String {
    format!("bundles {peer}")
}

impl<T: Trust, M: Matter> Replica<T, M> {
    fn exchanged<S: Store>(&self, peer: NodeName, store: &mut S) -> store::Result<Exchanged> {
        match store.meta(&key(peer))? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|_| StoreError::Damaged(format!("what is remembered of bundles with {peer}"))),
            None => Ok(Exchanged::default()),
        }
    }

    fn keep_exchanged<S: Store>(
        &self,
        peer: NodeName,
        exchanged: &Exchanged,
        store: &mut S,
    ) -> store::Result<()> {
        let bytes = postcard::to_stdvec(exchanged).expect("a struct of plain values has a byte form");
        store.put_meta(&key(peer), &bytes)
    }

    /// Forgets what bundles remember and a link has overtaken. Called once before every commit.
    pub(super) fn tidy_bundles<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        // Scans of earlier bundles say nothing of one that begins anew.
        for peer in std::mem::take(&mut self.bundles.anew) {
            let mut exchanged = self.exchanged(peer, store)?;
            exchanged.since = exchanged.number;
            self.keep_exchanged(peer, &exchanged, store)?;
        }
        for peer in std::mem::take(&mut self.bundles.proved) {
            for (batch, _) in store.all_handed(peer, OVERTAKEN)? {
                store.drop_handed(peer, batch)?;
            }
            for reply in store.replies(peer)? {
                store.drop_reply(peer, reply.answer.batch)?;
            }
        }
        Ok(())
    }
}
