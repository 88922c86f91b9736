//! Sticks: bundles carried by hand. What is on one is what the replica wrote, in pages with a hash for an envelope: keys
//! and signatures have tests of their own, and a page that is damaged is a page that is not there.

use std::collections::BTreeSet;

use certs::NodeName;
use serde::{Deserialize, Serialize};
use sync::item::Kind;
use sync::replica::{Basis, Common, Taken};
use sync::store::Store;
use sync::store::bundles::{Bundles as _, Reply};
use sync::store::memory::Memory;
use sync::trust::{Membership, Trust};
use sync::wire::{Answer, Frame};

use super::book::record;
use super::check::{NOT_INVENTED, SETTLES};
use super::machine::SimReplica;
use super::net::{Pair, pair};
use super::sabotage::Sabotage;
use super::sheet::Desk;
use super::{Checked, Violation, World};

/// Journeys within which two sites that only ever see sticks must hold the same.
const JOURNEYS: usize = 16;

/// How long a journey takes, in milliseconds.
const JOURNEY_MS: u64 = 3 * 3_600_000;

/// Most sticks that lie about.
const STICKS: usize = 64;

/// What is done to a stick before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// So many pages of a hundred are there; the rest was torn off.
    Torn(u8),
    /// This page of a hundred's share is damaged.
    Hole(u8),
    /// The pages come in the opposite order.
    Turned,
    /// All pages come twice.
    Twice,
}

impl Harm {
    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        match self {
            Harm::None => "a stick read",
            Harm::Torn(_) => "a torn stick read",
            Harm::Hole(_) => "a damaged stick read",
            Harm::Turned => "a stick read in the opposite order",
            Harm::Twice => "a stick read twice",
        }
    }
}

/// A parcel: an export's number and a page, and a hash of both in the place of the sender's signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parcel {
    number: u64,
    page: Vec<u8>,
    envelope: [u8; 32],
}

impl Parcel {
    fn to_bytes(from: NodeName, number: u64, page: Vec<u8>) -> Vec<u8> {
        let envelope = Parcel::envelope(from, number, &page);
        postcard::to_stdvec(&Parcel { number, page, envelope }).expect("plain values have a byte form")
    }

    /// A relay may have altered it on its way.
    fn from_bytes(from: NodeName, bytes: &[u8]) -> Option<Parcel> {
        let parcel: Parcel = postcard::from_bytes(bytes).ok()?;
        (parcel.envelope == Parcel::envelope(from, parcel.number, &parcel.page)).then_some(parcel)
    }

    fn envelope(from: NodeName, number: u64, page: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(from.to_string().as_bytes()).update(&number.to_be_bytes()).update(page);
        *hasher.finalize().as_bytes()
    }
}

/// A stick: parcels with what is written on their outside, who sends them and who can read them.
#[derive(Clone, Debug)]
pub struct Stick {
    /// The machine that wrote it.
    pub by: usize,
    parcels: Vec<(NodeName, Vec<NodeName>, Vec<u8>)>,
}

impl Stick {
    /// Whom the first parcel on it is for.
    pub fn meant_for(&self) -> Option<NodeName> {
        self.parcels.first().and_then(|(_, to, _)| to.first().copied())
    }
}

/// Opens a parcel that is for this node; one that was altered on its way is not there.
pub(super) fn open(
    now: u64,
    from: NodeName,
    bytes: &[u8],
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) -> Option<Taken> {
    let Parcel { number, page, .. } = Parcel::from_bytes(from, bytes)?;
    if matches!(replica.trust().membership(from), Membership::Revoked { .. }) {
        return None;
    }
    replica.put_directory(Kind::RECORD, &record(from), store, desk).expect("memory writes");
    if desk.sabotage() == Sabotage::LostSticks
        && let Ok(Frame::Batch { id: batch, .. }) = Frame::from_bytes(page.get(4..).unwrap_or_default())
    {
        let reply = Reply { number, answer: Answer { batch, exceptions: Vec::new() } };
        store.put_reply(from, &reply).expect("memory writes");
        return Some(Taken::default());
    }
    Some(replica.take_letter(now, from, number, &page, store, desk).expect("memory writes"))
}

/// Opens what came over links.
pub(super) fn open_carried(
    me: NodeName,
    now: u64,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) {
    for parcel in replica.parcels(store).expect("memory reads").into_iter().filter(|p| p.to == me) {
        let bytes = store.carried_bytes(&parcel.id).expect("memory reads").unwrap_or_default();
        replica.drop_parcel(&parcel.id, store).expect("memory writes");
        let Some(taken) = open(now, parcel.from, &bytes, replica, store, desk) else { continue };
        if taken.answers > 0 {
            desk.vault.rare.push("an answer to a bundle over a link");
        }
        if taken.batches > 0 {
            parcel_answers(me, replica, store);
        }
    }
}

/// Puts answers for nodes without a link into parcels, one each.
fn parcel_answers(me: NodeName, replica: &mut SimReplica, store: &mut Memory) {
    for peer in store.answered_peers().expect("memory reads") {
        let Some(letter) = replica.answers_for(peer, store).expect("memory reads") else { continue };
        for old in replica.parcels(store).expect("memory reads") {
            if (old.from, old.to) == (me, peer) {
                replica.drop_parcel(&old.id, store).expect("memory writes");
            }
        }
        let bytes = Parcel::to_bytes(me, 0, letter.bytes);
        replica.carry(me, peer, &bytes, store).expect("memory writes");
    }
}

impl World {
    /// A machine writes a stick for another's node, a transaction a page; `None` when the power failed before all was
    /// written, or there is nobody to write.
    pub(super) fn write_stick(&mut self, from: usize, to: usize, basis: Basis) -> Option<Stick> {
        let (me, peer) = (self.machines[from].node, self.machines[to].node);
        if me == peer || self.revoked_for(from, peer) {
            return None;
        }
        let entropy = <[u8; 32]>::try_from(self.chance.bytes(32)).expect("32 bytes");
        let mut recipients = vec![peer];
        recipients.extend(self.second_recipient(from, peer));
        let mut exports =
            self.at(from, |r, s, _| r.begin_exports(&recipients, basis, entropy, s).expect("memory writes"))?;
        let now = self.clock(from);
        let number = exports.first().map_or(0, |export| export.number());
        let mut stick = Stick { by: from, parcels: Vec::new() };
        let mut add = |to: &[NodeName], page: Vec<u8>| {
            stick.parcels.push((me, to.to_vec(), Parcel::to_bytes(me, number, page)));
        };
        let mut common = Common::begin(<[u8; 32]>::try_from(self.chance.bytes(32)).expect("32 bytes"));
        let mut shared = false;
        while let Some(letter) = self
            .at(from, |r, s, _| r.next_common_letter(&mut common, &mut exports, s).expect("memory writes"))?
        {
            add(&recipients, letter.bytes);
            shared = true;
        }
        for mut export in exports {
            let to = [export.peer()];
            add(&to, self.at(from, |r, s, _| r.opening(now, &export, s).expect("memory reads"))?.bytes);
            while let Some(letter) =
                self.at(from, |r, s, _| r.next_letter(&mut export, s).expect("memory writes"))?
            {
                add(&to, letter.bytes);
            }
        }
        if shared {
            self.count("a part of a stick for two nodes");
        }
        let carried = self.at(from, |r, s, _| {
            let mut along = Vec::new();
            for parcel in r.parcels(s).expect("memory reads") {
                if parcel.from != peer && parcel.to != me && r.is_on_the_way(peer, parcel.to) {
                    let bytes = s.carried_bytes(&parcel.id).expect("memory reads").unwrap_or_default();
                    if r.taken_along(&parcel.id, s).expect("memory writes") >= 3 {
                        r.drop_parcel(&parcel.id, s).expect("memory writes");
                    }
                    along.push((parcel.from, vec![parcel.to], bytes));
                }
            }
            along
        })?;
        if !carried.is_empty() {
            self.count("a parcel carried on by a stick");
        }
        stick.parcels.extend(carried);
        Some(stick)
    }

    /// Most sticks are also for the node above the one that it is carried to.
    fn second_recipient(&mut self, from: usize, peer: NodeName) -> Option<NodeName> {
        let above = peer.site().superior()?;
        let (me, dice) = (self.machines[from].node, self.chance.below(3));
        let mut machines = self.machines.iter().map(|machine| machine.node);
        let other = machines.find(|node| node.site() == above && *node != me)?;
        (dice > 0 && !self.revoked_for(from, other)).then_some(other)
    }

    /// A machine reads a stick.
    pub(super) fn read_stick(&mut self, at: usize, stick: &Stick, harm: Harm) {
        let me = self.machines[at].node;
        let mut parcels = stick.parcels.clone();
        let share = |n: u8| parcels.len() * usize::from(n.min(100)) / 100;
        match harm {
            Harm::None => {}
            Harm::Torn(n) => parcels.truncate(share(n)),
            Harm::Hole(n) => drop(parcels.remove(share(n).min(parcels.len() - 1))),
            Harm::Turned => parcels.reverse(),
            Harm::Twice => parcels.extend(stick.parcels.iter().cloned()),
        }
        self.count(harm.name());
        let mut due = parcels;
        loop {
            let before = due.len();
            let mut waiting = Vec::new();
            for (from, to, bytes) in due {
                let now = self.clock(at);
                let last = self.machines[at].disk.last();
                if from != me {
                    for other in to.iter().filter(|to| **to != me) {
                        self.count("a parcel of others on a stick");
                        let carried = self.at(at, |r, s, _| r.carry(from, *other, &bytes, s));
                        if carried.map(|kept| kept.expect("memory writes")).is_none() {
                            return;
                        }
                    }
                }
                if to.contains(&me) {
                    let taken = self.at(at, |r, s, d| open(now, from, &bytes, r, s, d));
                    let Some(taken) = taken else { return }; // the power failed: the stick is read again, or not
                    self.check_named(stick.by, at, last);
                    let Some(taken) = taken else { continue };
                    if let Some(wrong) = &taken.wrong
                        && from != me
                        && !wrong.contains("revoked")
                    {
                        self.fail(NOT_INVENTED, format!("{me} finds fault with a bundle of {from}: {wrong}"));
                    }
                    let met = [
                        (taken.taken > 0, "a bundle that brought something"),
                        (taken.answers > 0, "an answer to a bundle"),
                        (taken.waiting > 0, "an item of a bundle that waits"),
                        (taken.pieces > 0, "a piece of a file in a bundle"),
                        (taken.equal == Some(true), "proved equal by a bundle"),
                        (taken.equal == Some(false), "found different by a bundle"),
                    ];
                    met.into_iter().filter(|(is, _)| *is).for_each(|(_, what)| self.count(what));
                    if taken.waiting > 0 {
                        waiting.push((from, to, bytes));
                    }
                }
            }
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
            due = waiting;
        }
        self.at(at, |r, s, _| parcel_answers(me, r, s));
    }

    /// An event: a stick is written and put with the others.
    pub(super) fn export(&mut self, from: usize, to: usize, basis: Basis) {
        if !self.is_up(from) || self.sticks.len() >= STICKS {
            return;
        }
        match self.write_stick(from, to, basis) {
            Some(stick) => {
                self.count("a stick written");
                self.sticks.push(stick);
            }
            None => self.count("a stick that was not written to its end"),
        }
    }

    /// An event: one of the sticks is read somewhere.
    pub(super) fn import(&mut self, at: usize, stick: usize, harm: Harm) {
        let Some(stick) = self.sticks.get(stick).cloned() else { return };
        if self.is_up(at) {
            self.read_stick(at, &stick, harm);
        }
    }

    /// The pairs that see each other by sticks alone, and could.
    pub(super) fn live_without_line(&self) -> Vec<Pair> {
        let live = |m: usize| self.is_up(m) && !self.machines[m].retired;
        let pairs = self.without_line.iter().copied().filter(|p| live(p.0) && live(p.1));
        pairs
            .filter(|p| {
                let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
                x != y && !self.revoked_for(p.0, y) && !self.revoked_for(p.1, x)
            })
            .collect()
    }

    /// Carries sticks there and back until the sites without a line hold what they must, and it was proved.
    pub(super) fn settle_by_sticks(&mut self) -> Checked {
        let pairs = self.live_without_line();
        if pairs.is_empty() {
            return Ok(());
        }
        let mut why = String::new();
        for journey in 0..JOURNEYS {
            for p in pairs.iter().copied() {
                for (from, to) in [p, (p.1, p.0)] {
                    if let Some(stick) = self.write_stick(from, to, Basis::Acknowledged) {
                        self.read_stick(to, &stick, Harm::None);
                    }
                    self.check()?;
                    self.pass(JOURNEY_MS)?;
                }
            }
            self.rest()?;
            match self.unrest_without_line() {
                None => {
                    let longest = self.seen.entry("longest healing by sticks in journeys").or_default();
                    *longest = (*longest).max(journey as u64 + 1);
                    return Ok(());
                }
                Some(reason) => why = reason,
            }
        }
        Err(Violation { invariant: SETTLES, detail: format!("by sticks alone: {why}") })
    }

    fn unrest_without_line(&mut self) -> Option<String> {
        let pairs = self.live_without_line();
        for p in pairs.iter().copied() {
            let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
            let (a, b) = (self.shared(p.0, y.site()), self.shared(p.1, x.site()));
            if a != b {
                let only = (a.difference(&b).count(), b.difference(&a).count());
                return Some(format!("{} items only at {x}, {} only at {y}", only.0, only.1));
            }
            for (m, peer) in [(p.0, y), (p.1, x)] {
                let owed = self.machines[m].disk.owed_count(peer).unwrap_or_default();
                if owed > 0 {
                    return Some(format!("{} owes {peer} {owed} rows", self.machines[m].node));
                }
                let row = self.machines[m].disk.peer(peer).expect("memory reads");
                if row.is_none_or(|row| row.proved_at.is_none() || row.everything.is_some()) {
                    return Some(format!("{} has no proof of {peer}", self.machines[m].node));
                }
            }
        }
        self.unfetched(&pairs)
    }

    /// Takes the line away from the office of a world that has one; the city and it see sticks only.
    pub fn take_line(&mut self, office: usize) {
        let site = self.machines[office].node.site();
        let above: BTreeSet<Pair> = (0..self.machines.len())
            .filter(|m| site.superior() == Some(self.machines[*m].node.site()))
            .map(|m| pair(m, office))
            .collect();
        self.wanted.retain(|p| p.0 != office && p.1 != office);
        self.without_line.extend(above);
        for other in self.net.of(office) {
            self.over(pair(office, other));
        }
    }
}
