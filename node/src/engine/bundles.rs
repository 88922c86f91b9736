//! Bundles: parcels sealed and opened, between the replica's pages and whoever holds the files.
//!
//! ```text
//! replica: pages of frames  <->  here: heads, keys, signatures  <->  cli: files on a stick
//! ```
//!
//! A parcel is believed when its head is signed by the key of the record that it brings, the record holds under the
//! root, and neither it nor its node is revoked. Dates are not asked: a stick may be a month on its way, and it guards no
//! link. A parcel for somebody else is carried on unread.

mod export;
mod import;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use certs::NodeName;
use serde_json::{Value, json};
use sync::parcel::{BodyKey, Head, Label, ParcelError, Sealer};
use sync::replica::Letter;
use sync::store::bundles::Bundles as _;

use super::{Engine, failed, shown_time};
use crate::bundles::{BundleRequest, log};
use crate::request::{Failure, FailureKind, Reply};

use export::Outgoing;

/// Exports at once; one that rests for this long makes room.
const AT_ONCE: usize = 4;
const IDLE_MS: u64 = 60 * 60_000;

/// Heads that were verified and are kept for their further pages.
const HEADS: usize = 16;

/// What is under way.
#[derive(Default)]
pub(super) struct Traffic {
    next: u64,
    exports: BTreeMap<u64, (u64, Outgoing)>,
    heads: VecDeque<Known>,
    /// Senders of parcels that came over links: their answers are sealed when no more come.
    due: BTreeSet<NodeName>,
}

/// A head whose sender is a member.
struct Known {
    head: Head,
    /// For parcels that this node can read.
    key: Option<BodyKey>,
    changes: u64,
}

fn refused(e: &ParcelError) -> Failure {
    let kind = match e {
        ParcelError::Newer(_) => FailureKind::NeedsPerson,
        _ => FailureKind::Failed,
    };
    Failure::new(kind, e)
}

impl Engine {
    pub(super) fn bundle(&mut self, request: &BundleRequest) -> Reply {
        match request {
            BundleRequest::Export { to, basis, max_size } => self.begin_bundle(to, *basis, *max_size),
            BundleRequest::Next { export } => self.next_of_bundle(*export),
            BundleRequest::Ended { export, lost } => self.end_bundle(*export, lost),
            BundleRequest::Take { head, page } => self.take_page(head, page),
            BundleRequest::Taken => self.bundles_taken(),
            BundleRequest::Keep { trip } => {
                log::keep(self.store.connection(), self.now, (**trip).clone())?;
                Ok(json!({}))
            }
            BundleRequest::Log { limit } => Ok(json!(self.last_trips(*limit)?)),
            BundleRequest::Inspect { head, page } => self.inspect_page(head, page.as_deref()),
        }
    }

    /// The last sticks, the newest first.
    pub(super) fn last_trips(&self, limit: usize) -> Result<Vec<Value>, Failure> {
        let trips = log::last(self.store.connection(), limit)?.into_iter().map(|(at, mut trip)| {
            trip["at"] = shown_time(at).into();
            trip
        });
        Ok(trips.collect())
    }

    /// Bytes that nobody else draws, not even a copy of this node.
    fn entropy() -> Result<[u8; 32], Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| failed("the system gives no random numbers", e))?;
        Ok(bytes)
    }

    /// Begins a parcel that these nodes can read.
    fn sealer(
        &self,
        to: &[NodeName],
        id: [u8; 16],
        number: u64,
        part: u32,
    ) -> Result<(Label, Sealer), Failure> {
        let identity = self.identity().clone();
        let directory = self.replica.trust().directory();
        let key_of = |to: &NodeName| directory.box_key(*to).ok_or_else(|| unknown(*to));
        let keys = to.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        let label = Label { from: identity.node(), to: to.to_vec(), id, number, part, made: self.now };
        let record = identity.record();
        let who = (record.signing_key, &record.bytes()[..]);
        let sign = |context: &str, bytes: &[u8]| identity.sign(context, bytes);
        let sealer = Sealer::begin(label.clone(), &keys, who, &Self::entropy()?, sign);
        Ok((label, sealer.map_err(|e| failed("the bundle cannot be sealed", e))?))
    }

    fn sealed(&self, sealer: &mut Sealer, letter: &Letter, last: bool) -> Result<Vec<u8>, Failure> {
        let identity = self.identity();
        let sign = |context: &str, bytes: &[u8]| identity.sign(context, bytes);
        sealer.page(&letter.bytes, last, sign).map_err(|e| failed("a page cannot be sealed", e))
    }

    /// Puts answers that wait for a node without a link to it into a parcel that anybody may carry. One parcel with all of
    /// them takes the place of the last.
    fn parcel_answers(&mut self, peer: NodeName) -> Result<usize, Failure> {
        let Some(letter) = self.replica.answers_for(peer, &mut self.store)? else { return Ok(0) };
        let count = self.store.replies_count(peer)? as usize;
        if self.replica.trust().directory().box_key(peer).is_none() {
            return Ok(count);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&Self::entropy()?[..16]);
        let (_, mut sealer) = self.sealer(&[peer], id, 0, 1)?;
        let page = self.sealed(&mut sealer, &letter, true)?;
        let me = self.me();
        for old in self.replica.parcels(&mut self.store)? {
            if (old.from, old.to) == (me, peer) {
                self.replica.drop_parcel(&old.id, &mut self.store)?;
            }
        }
        let bytes = [sealer.head(), &page].concat();
        self.replica.carry(me, peer, &bytes, &mut self.store)?;
        Ok(count)
    }

    fn bundles_taken(&mut self) -> Reply {
        let mut waiting = Vec::new();
        for peer in self.store.answered_peers()? {
            let count = self.parcel_answers(peer)?;
            waiting.push(json!({ "to": peer, "count": count }));
        }
        Ok(json!({ "answers": waiting }))
    }
}

fn unknown(node: NodeName) -> Failure {
    Failure::new(
        FailureKind::Failed,
        format!("nothing can be sealed to {node}: no record of it is here, or it was revoked"),
    )
    .hint("take in its record first: a bundle from it, a link, or `hotline cert admit FILE`")
}
