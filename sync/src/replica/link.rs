//! One connection's state, its first flight, its digests and its end.
//!
//! ```text
//! connected ──hello──> talking ──digests differ──> repairing ──> talking
//!     |                   |                            |
//!     └───────────────────┴──── bye / disconnected ────┘
//! ```
//!
//! The first flight is the hello and the first batches of the outbox, sent before anything of the peer was heard. That
//! is safe, because nothing in the peer's hello decides what it must get: the outbox says that, from before. What a
//! hello can tell is that the peer lacks more than the outbox knows (it was put back from a backup) or holds some of it
//! (from another path). Then items of the first flight wait there for their parents and are sent again, or come twice
//! and are answered; and the digests differ, which is what begins a repair. A batch's id is remembered here before it
//! leaves, so its answer finds it whichever comes first. A hello's digest counts the batches that go with it as sent:
//! it is compared once they have arrived, and never begins a repair of what is merely on its way. Until the peer has
//! been heard it is spoken to in the lowest version that is still spoken.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::repair::Repair;
use super::{Effect, Event, LinkView, Replica};
use crate::id::{DocId, ItemHash, SealHash};
use crate::matter::{Domain, Matter};
use crate::store::{self, Position, Store};
use crate::trust::Trust;
use crate::wire::{Bye, DigestBody, Frame, Hello, Lane, Program, VERSION};

/// A batch on its way, and what it carries.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) items: Vec<(Option<DocId>, ItemHash)>,
    /// Rows that stood for whole documents.
    pub(super) whole: Vec<DocId>,
    /// From where to where the scan of everything came with this batch.
    pub(super) scanned: Option<(Position, Position)>,
    pub(super) bytes: usize,
    /// Its place among the batches of this connection.
    pub(super) turn: u64,
    /// Since when its answer is due: it was sent then, or one before it was answered.
    pub(super) since: u64,
}

/// How long an item that waits at the peer is left alone, in milliseconds.
const PARKED_MS: u64 = 5_000;

/// How long a batch may go without an answer, in milliseconds, from when it was sent or one before it was answered. The
/// largest takes that long at ten kilobits a second.
pub(super) const ANSWER_MS: u64 = 10 * 60_000;

/// A pair that is never quiet pauses after this long to compare, in milliseconds.
const COMPARE_MS: u64 = 10 * 60_000;

/// Whether less than `span` has passed since `then`. A clock that was set back ends every wait, so that none lasts for
/// years.
fn within(now: u64, then: u64, span: u64) -> bool {
    now.checked_sub(then).is_some_and(|passed| passed < span)
}

#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    /// Items the peer must wait for something with, and since when.
    pub(super) parked: BTreeMap<(Option<DocId>, ItemHash), u64>,
    /// Seals of which the peer was asked for subtrees since the last repair.
    pub(super) asked: BTreeSet<SealHash>,
    /// The peer did not find what short references meant: everything is said in full from now on.
    pub(super) in_full: bool,
    /// How far the scan of everything has been sent, and up to where it goes.
    pub(super) scan: Option<(Position, Position)>,
    pub(super) sent: u64,
    pub(super) received: u64,
    greeted: bool,
    heard: bool,
    /// The version of frames and the program that the peer's hello names.
    speaks: Option<(u16, Program)>,
    /// The set or the outbox has changed since the last digest went out.
    dirty: bool,
    theirs: Option<DigestBody>,
    /// How many batches had come, and since when, while the peer counts more as sent.
    missing: Option<(u64, u64)>,
    pub(super) equal: bool,
    compared_at: u64,
    pub(super) repair: Option<Repair>,
    /// Repairs in a row after which the pair was not equal: then everything is sent, and ever less often.
    pub(super) fruitless: u32,
    /// When the last repair began, and how long none begins after it.
    pub(super) repaired: (u64, u64),
}

impl Link {
    /// The set that both must hold, or what the peer must still get, has changed.
    pub(super) fn changed(&mut self) {
        self.dirty = true;
        self.equal = false;
    }

    /// Whether the peer has said that it speaks this version or a newer one.
    pub(super) fn speaks_at_least(&self, version: u16) -> bool {
        self.speaks.as_ref().is_some_and(|(spoken, _)| *spoken >= version)
    }

    pub(super) fn view(&self) -> LinkView {
        LinkView {
            connected: self.heard,
            digest_equal: self.equal,
            parked: self.parked.len() as u64,
            repairing: self.repair.is_some(),
            speaks: self.speaks.clone(),
        }
    }

    /// A repair has ended: what waited may have what it needs now.
    pub(super) fn try_again(&mut self) {
        self.parked.clear();
        self.asked.clear();
    }

    /// Takes a batch that is answered out of those on their way. Those after it were held up by it.
    pub(super) fn answered(&mut self, now: u64, batch: u64) -> Option<InFlight> {
        let batch = self.in_flight.remove(&batch)?;
        self.in_flight.values_mut().filter(|b| b.turn > batch.turn).for_each(|b| b.since = now);
        Some(batch)
    }

    /// Whether a batch goes without an answer for too long. A clock that was set back begins the wait anew.
    fn is_unanswered(&mut self, now: u64) -> bool {
        self.in_flight.values_mut().for_each(|b| b.since = b.since.min(now));
        self.in_flight.values().any(|b| now - b.since >= ANSWER_MS)
    }

    /// Whether batches that the peer counts as sent do not come, and no other has come for as long.
    fn is_kept_waiting(&mut self, now: u64) -> bool {
        let behind = self.theirs.is_some_and(|theirs| theirs.sent > self.received);
        let since = match self.missing {
            Some((received, since)) if received == self.received => since.min(now),
            _ => now,
        };
        self.missing = behind.then_some((self.received, since));
        behind && now - since >= ANSWER_MS
    }

    /// Whether the first flight is out and the peer has not been heard yet: whether it wants the link is not known.
    pub(super) fn awaits_hello(&self) -> bool {
        self.greeted && !self.heard
    }

    /// Whether the link waits for the other side to catch up, so that both can compare.
    pub(super) fn pauses(&self, now: u64) -> bool {
        !self.equal && !within(now, self.compared_at, COMPARE_MS) && !self.in_flight.is_empty()
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    pub(super) fn connected<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        store: &mut S,
    ) -> store::Result<()> {
        self.know_peer(peer, store)?;
        self.files.unlink(peer);
        let scan = self.pairs.get(&peer).and_then(|p| p.everything);
        self.links.insert(peer, Link { scan, dirty: false, compared_at: now, ..Link::default() });
        Ok(())
    }

    /// Says hello, once, and before the batches that stand behind `place` in what is to be done and that it counts.
    pub(super) fn say_hello<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        more: bool,
        place: usize,
        store: &mut S,
    ) -> store::Result<()> {
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        if std::mem::replace(&mut link.greeted, true) {
            return Ok(());
        }
        let digest = self.digest(peer);
        let hello = Hello {
            version: VERSION,
            incarnation: self.incarnation,
            highest: store.highest_seal(peer)?,
            digest,
            clock: now,
            more,
            program: self.program.clone(),
        };
        let bytes = Frame::Hello(hello).to_bytes();
        self.effects.insert(place, Effect::Send { peer, lane: Lane::Control, bytes });
        Ok(())
    }

    /// This node's view of the pair, bound to what has been sent and received on the connection.
    fn digest(&self, peer: NodeName) -> DigestBody {
        let (sent, received) = self.links.get(&peer).map_or((0, 0), |l| (l.sent, l.received));
        let (count, fingerprint) =
            self.pairs.get(&peer).map_or((0, [0; 32]), |p| (p.digest.count(), p.digest.fingerprint()));
        DigestBody { sent, received, count, fingerprint }
    }

    pub(super) fn send(&mut self, peer: NodeName, lane: Lane, frame: &Frame) {
        self.effects.push(Effect::Send { peer, lane, bytes: frame.to_bytes() });
    }

    pub(super) fn close(&mut self, peer: NodeName, reason: String, blame: bool) {
        self.send(peer, Lane::Control, &Frame::Bye(Bye { reason: reason.clone() }));
        self.links.remove(&peer);
        self.effects.push(Effect::Close { peer, reason, blame });
    }

    /// The peer said something that no version says.
    pub(super) fn blame(&mut self, peer: NodeName, reason: String) {
        self.tell(Event::Misbehaved { peer, reason: reason.clone() });
        self.close(peer, reason, true);
    }

    pub(super) fn frame<S, D>(
        &mut self,
        now: u64,
        peer: NodeName,
        bytes: &[u8],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        if !self.links.contains_key(&peer) {
            return Ok(()); // it was closed while this was on its way
        }
        let frame = match Frame::from_bytes(bytes) {
            Ok(frame) => frame,
            Err(e) => {
                self.blame(peer, e.to_string());
                return Ok(());
            }
        };
        if let Some(pair) = self.pairs.get_mut(&peer) {
            pair.last_seen = Some(now);
        }
        match frame {
            Frame::Hello(hello) => self.hello(peer, hello, store),
            Frame::Batch { id, load } => self.batch(peer, id, &load, store, domain),
            Frame::Answer(answer) => self.answer(now, peer, answer, store),
            Frame::Digest(digest) => {
                self.hear_digest(peer, digest);
                Ok(())
            }
            Frame::Sketch(sketch) => self.sketch(peer, sketch, store),
            Frame::Want(want) => self.want(peer, want, store),
            Frame::Seek(seek) => self.seek(peer, seek, store),
            Frame::Lack(file) => self.lack(now, peer, file, store),
            Frame::Have(file) => self.have(now, peer, file, store),
            Frame::Prove(prove) => self.prove(peer, prove, store),
            Frame::Proof(proof) => self.proof(peer, proof, store),
            Frame::Piece { file, place, bytes } => self.piece(now, peer, file, place, &bytes, store),
            Frame::Bye(bye) => {
                let reason: String = bye.reason.chars().take(300).collect();
                self.tell(Event::Ended { peer, reason: reason.clone() });
                self.links.remove(&peer);
                self.effects.push(Effect::Close { peer, reason, blame: false });
                Ok(())
            }
            Frame::Carry(parcel) => self.take_parcel(peer, parcel, store),
            Frame::Carried(hash) => self.parcel_taken(peer, &hash, store),
            Frame::Opening(_) | Frame::Closing(_) => Ok(()), // these stand in parcels
            Frame::Unknown(_) => Ok(()),
        }
    }

    fn hello<S: Store>(&mut self, peer: NodeName, hello: Hello, store: &mut S) -> store::Result<()> {
        if hello.version == 0 {
            self.blame(peer, "a hello without a version".to_owned());
            return Ok(());
        }
        if let Some(link) = self.links.get_mut(&peer) {
            link.heard = true;
            link.speaks = Some((hello.version, hello.program));
        }
        self.look_for_files();
        self.look_at_parcels();
        self.hear_highest(peer, hello.highest, store)?;
        self.dirty.insert(peer);
        if !hello.more {
            self.hear_digest(peer, hello.digest);
        }
        Ok(())
    }

    /// A peer names the highest of this node's seals that it holds.
    pub(super) fn hear_highest<S: Store>(
        &mut self,
        peer: NodeName,
        highest: Option<(u64, SealHash)>,
        store: &mut S,
    ) -> store::Result<()> {
        let Some((number, hash)) = highest else { return Ok(()) };
        let own = self.chain.number;
        if number > own {
            // A claim and no proof, so nothing rests on it: the seals themselves come with what repair brings.
            self.tell(Event::Restored { peer, own, theirs: number });
        } else if !store.seals_numbered(self.me, number)?.contains(&hash) {
            self.tell(Event::Forked { node: self.me, number });
        }
        Ok(())
    }

    /// Keeps the peer's digest until it is compared: at the end of a transaction, when what this node owes is on its
    /// way and counted.
    fn hear_digest(&mut self, peer: NodeName, theirs: DigestBody) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.theirs = Some(theirs);
        }
    }

    /// Compares the peer's digest with this node's, if both are of one moment.
    pub(super) fn compare(&mut self, now: u64, peer: NodeName) {
        let Some(link) = self.links.get(&peer) else { return };
        let Some(theirs) = link.theirs else { return };
        if theirs.sent != link.received || theirs.received != link.sent {
            return; // something is still on its way
        }
        let ours = self.digest(peer);
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.theirs = None;
        link.compared_at = now;
        if theirs.count == ours.count && theirs.fingerprint == ours.fingerprint {
            link.fruitless = 0;
            link.repair = None;
            let first = !link.equal;
            link.equal = true;
            if let Some(pair) = self.pairs.get_mut(&peer) {
                pair.proved_at = Some(now);
            }
            self.dirty.insert(peer);
            self.bundles.proved.insert(peer);
            if first {
                self.tell(Event::Proved { peer, items: ours.count });
            }
            return;
        }
        link.equal = false;
        if self.me > peer {
            link.dirty = true; // the other side begins, and must hear what is here
            return;
        }
        let quiet = link.heard && link.in_flight.is_empty() && link.scan.is_none();
        if !quiet || within(now, link.repaired.0, link.repaired.1) {
            link.theirs = Some(theirs); // the next answer, or the next tick, looks again
        } else {
            self.begin_repair(now, peer, theirs.count.abs_diff(ours.count));
        }
    }

    /// Says the digest when there is nothing else left to say and it is news. It does not wait for answers: it goes after
    /// the batches, and counts them as sent, so the peer that has taken them all in knows at once whether it has all.
    pub(super) fn say_digest(&mut self, peer: NodeName) {
        let says = |l: &Link| l.heard && l.scan.is_none() && l.dirty && l.repair.is_none();
        if !self.links.get(&peer).is_some_and(says) {
            return;
        }
        let digest = self.digest(peer);
        if let Some(link) = self.links.get_mut(&peer) {
            link.dirty = false;
        }
        self.send(peer, Lane::Control, &Frame::Digest(digest));
    }

    pub(super) fn tick(&mut self, now: u64) {
        let minutes = ANSWER_MS / 60_000;
        let mut silent = Vec::new();
        for (peer, link) in &mut self.links {
            link.parked.retain(|_, since| within(now, *since, PARKED_MS));
            if link.is_unanswered(now) {
                let reason = format!("you have not answered a batch for {minutes} minutes");
                silent.push((Event::Unanswered { peer: *peer }, *peer, reason));
            } else if link.is_kept_waiting(now) {
                let reason = format!("batches that you count as sent have not come for {minutes} minutes");
                silent.push((Event::Undelivered { peer: *peer }, *peer, reason));
            }
        }
        for (event, peer, reason) in silent {
            self.tell(event);
            self.close(peer, reason, false);
        }
    }

    /// The items of a peer's outbox that are not to be sent now.
    pub(super) fn held_back(&self, peer: NodeName) -> BTreeSet<(Option<DocId>, ItemHash)> {
        let Some(link) = self.links.get(&peer) else { return BTreeSet::new() };
        link.in_flight
            .values()
            .flat_map(|b| b.items.iter().copied())
            .chain(link.parked.keys().copied())
            .collect()
    }
}
