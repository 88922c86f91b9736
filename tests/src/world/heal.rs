//! Act two: everything is healed, and the world must come to rest within a bound, all pairs equal.

use std::collections::{BTreeMap, BTreeSet};

use certs::Site;
use sync::id::{DocId, ItemHash};
use sync::item::State;
use sync::store::Store;

use super::check::{AUDIENCE, DIGEST, FOLDS_EQUAL, NOT_LOST, SETTLES};
use super::net::Pair;
use super::{Checked, Violation, World};

/// A healed world of one machine a node rests within this, in milliseconds of its own time.
pub const BOUND_MS: u64 = 180_000;

/// How much time passes between two looks.
const LOOK_MS: u64 = 5_000;

fn broken(invariant: &'static str, detail: String) -> Checked {
    Err(Violation { invariant, detail })
}

impl World {
    /// Ends all faults, waits for the world to settle, and compares everything.
    ///
    /// # Errors
    /// The invariant that does not hold.
    pub fn finish(&mut self) -> Checked {
        self.heal();
        // Clones are let in one after the other in place of the first, as an operator does who empties a disk into
        // the peers before it is taken out of service.
        let clones = self.clones();
        for machines in clones.values() {
            machines[1..].iter().for_each(|m| self.power_cut(*m));
        }
        for machines in clones.values() {
            for m in &machines[1..] {
                self.power_cut(machines[0]);
                self.start(*m);
                self.settle().map_err(|mut v| {
                    v.detail = format!("{} (machine {m} in the place of {})", v.detail, machines[0]);
                    v
                })?;
                self.retire(*m);
                self.start(machines[0]);
            }
        }
        self.settle()?;
        self.assert_converged()
    }

    /// Mends every link, calms the weather, starts every machine, ends every lie.
    pub fn heal(&mut self) {
        self.relays.clear();
        self.cut.clear();
        self.blamed.clear();
        self.net.clear();
        for m in &mut self.machines {
            m.armed = None;
        }
        // What a relay or a middlebox did to a connection ends with it.
        for p in self.net.pairs() {
            self.over(p);
        }
        for m in 0..self.machines.len() {
            self.start(m);
        }
    }

    /// Takes a clone out of service. Clones do not meet: their words go home through peers. A ticket that concerns
    /// nobody but its site and nodes that are revoked has no such way, and stays on that disk.
    fn retire(&mut self, m: usize) {
        self.power_cut(m);
        self.machines[m].retired = true;
        let node = self.machines[m].node;
        let apart = self.oracle.revoked.contains(&node);
        let others: BTreeSet<Site> = self
            .machines
            .iter()
            .filter(|o| o.node != node && !self.oracle.revoked.contains(&o.node))
            .map(|o| o.node.site())
            .collect();
        let kept: BTreeSet<ItemHash> = self
            .machines
            .iter()
            .filter(|o| !o.retired)
            .flat_map(|o| o.disk.items())
            .map(|i| i.hash)
            .collect();
        let named = |doc: &DocId| {
            let shown = self.machines[m].shown.get(doc);
            shown.is_some_and(|s| s.audience.iter().any(|site| others.contains(site)))
        };
        let acked = self.oracle.acked.iter();
        let alone: Vec<ItemHash> = acked
            .filter(|(hash, acked)| !kept.contains(hash) && (apart || !named(&acked.doc)))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in alone {
            self.oracle.acked.remove(&hash);
            self.count("a word that only a retired clone held");
        }
    }

    /// Nodes that run on more than one machine.
    fn clones(&self) -> BTreeMap<certs::NodeName, Vec<usize>> {
        let mut of: BTreeMap<certs::NodeName, Vec<usize>> = BTreeMap::new();
        for (m, machine) in self.machines.iter().enumerate().filter(|(_, m)| !m.retired) {
            of.entry(machine.node).or_default().push(m);
        }
        of.retain(|_, machines| machines.len() > 1);
        of
    }

    /// Lets time pass until nobody has anything to say.
    ///
    /// # Errors
    /// When that takes longer than the bound, or an invariant does not hold on the way.
    pub fn settle(&mut self) -> Checked {
        let begun = self.now;
        while self.now < begun + BOUND_MS {
            self.pass(LOOK_MS)?;
            self.check()?;
            if self.unrest().is_none() {
                let took = self.now - begun;
                let longest = self.seen.entry("longest settling in ms").or_default();
                *longest = (*longest).max(took);
                return Ok(());
            }
        }
        broken(SETTLES, self.unrest().unwrap_or_default())
    }

    /// Why the world is not at rest; `None` when it is.
    fn unrest(&mut self) -> Option<String> {
        if self.net.flying() > 0 {
            return Some(format!("{} frames are on their way", self.net.flying()));
        }
        for p in self.live_pairs() {
            let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
            if !self.net.is_up(p) {
                return Some(format!("{x} and {y} are not linked"));
            }
            for (m, peer) in [(p.0, y), (p.1, x)] {
                let node = self.machines[m].node;
                let view = self.machines[m].up.as_ref().map(|up| up.replica.link(peer)).unwrap_or_default();
                if !view.digest_equal {
                    let (a, b) = (self.shared(p.0, y.site()), self.shared(p.1, x.site()));
                    let only = (a.difference(&b).count(), b.difference(&a).count());
                    let owed = self.machines[m].disk.owed_count(peer).unwrap_or_default();
                    return Some(format!(
                        "{node} has no proof of {peer}: {view:?}, it owes {owed}, {} items only at {x}, {} only at {y}",
                        only.0, only.1
                    ));
                }
                let owed = self.machines[m].disk.owed_count(peer).unwrap_or_default();
                if owed > 0 {
                    return Some(format!("{node} owes {peer} {owed} items"));
                }
            }
        }
        None
    }

    /// The pairs that should be linked: both up, and neither revoked as either knows it.
    fn live_pairs(&self) -> Vec<Pair> {
        let live = |m: usize| self.is_up(m) && !self.machines[m].retired;
        let pairs = self.wanted.iter().copied().filter(|p| live(p.0) && live(p.1));
        pairs
            .filter(|p| {
                let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
                x != y && !self.revoked_for(p.0, y) && !self.revoked_for(p.1, x)
            })
            .collect()
    }

    /// All pairs hold the same, whoever holds a ticket shows it alike, the audience and nobody else holds it, and what
    /// was acknowledged stands.
    ///
    /// # Errors
    /// The invariant that does not hold.
    pub fn assert_converged(&mut self) -> Checked {
        for p in self.live_pairs() {
            let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
            let (a, b) = (self.shared(p.0, y.site()), self.shared(p.1, x.site()));
            if a != b {
                let detail =
                    format!("{x} and {y} are proved equal and hold {} and {} items", a.len(), b.len());
                return broken(DIGEST, detail);
            }
        }
        let whole = self.oracle.revoked.is_empty();
        let docs: BTreeSet<DocId> = self.machines.iter().flat_map(|m| m.shown.keys().copied()).collect();
        for doc in docs {
            let mut audience = BTreeSet::new();
            let mut first: Option<(usize, [u8; 32], BTreeSet<_>)> = None;
            for (m, machine) in self.machines.iter().enumerate() {
                let Some(shown) = machine.shown.get(&doc).filter(|_| machine.up.is_some()) else { continue };
                audience.extend(shown.audience.iter().copied());
                let (who, state, entries) =
                    first.get_or_insert_with(|| (m, shown.state, shown.entries.clone()));
                if whole && (*state != shown.state || *entries != shown.entries) {
                    let other = self.machines[*who].node;
                    return broken(FOLDS_EQUAL, format!("{doc} at {} and {other}", machine.node));
                }
            }
            for machine in &mut self.machines {
                if machine.retired || machine.up.is_none() {
                    continue;
                }
                let holds = machine.disk.document(&doc).is_ok_and(|d| d.is_some());
                let named = audience.contains(&machine.node.site());
                if holds && !named {
                    return broken(AUDIENCE, format!("{} holds {doc}", machine.node));
                }
                if whole && named && !holds {
                    return broken(NOT_LOST, format!("{} has no {doc} and has a part in it", machine.node));
                }
            }
        }
        self.assert_acknowledged()
    }

    /// What was acknowledged is not refused anywhere, and not only on a disk that nobody links to any more.
    fn assert_acknowledged(&mut self) -> Checked {
        let acked: Vec<_> = self.oracle.acked.iter().map(|(h, a)| (*h, *a)).collect();
        for (hash, acked) in acked {
            let mut held = 0;
            for m in 0..self.machines.len() {
                let state = self.machines[m].disk.state(&hash).expect("memory reads");
                let machine = &self.machines[m];
                if machine.retired || state.is_none() {
                    continue;
                }
                let apart = self.oracle.revoked.contains(&machine.node);
                held += usize::from(!apart);
                if state == Some(State::Refused) && !self.oracle.forgers.contains(&acked.by) {
                    let detail = format!("{hash} by {} is refused at {}", acked.by, machine.node);
                    return broken(NOT_LOST, detail);
                }
            }
            if held > 0 {
                continue;
            }
            if self.oracle.revoked.contains(&acked.by) {
                self.count("a word that only a revoked node holds");
            } else if self.oracle.revoked.is_empty() {
                return broken(NOT_LOST, format!("{hash} by {} is on no disk in service", acked.by));
            }
        }
        Ok(())
    }
}
