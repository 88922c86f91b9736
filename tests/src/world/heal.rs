//! Act two: everything is healed, and the world must come to rest within a bound, all pairs equal.

use std::collections::{BTreeMap, BTreeSet};

use certs::Site;
use node::ticket::readers::readers;
use sync::id::{DocId, ItemHash};
use sync::item::{Audience, State};
use sync::store::Store;

use super::check::{AUDIENCE, DIGEST, ENTITLED, FOLDS_EQUAL, NOT_LOST, SETTLES, WHOLE, is_whole};
use super::machine::Machine;
use super::net::Pair;
use super::person::{self, PATIENCE_MS};
use super::{Checked, Violation, World};

/// A healed world of one machine a node rests within this, in milliseconds of its own time.
pub const BOUND_MS: u64 = 180_000;

/// Within so many days, each holder having waited for all that rank before it, everybody has his grants.
const DAYS: usize = 10;

/// How much time passes between two looks.
const LOOK_MS: u64 = 5_000;

/// The machines that can be reached from one over these links, through machines of this list only.
fn reach(from: usize, within: &[usize], pairs: &[Pair]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([from]);
    let mut queue = vec![from];
    while let Some(at) = queue.pop() {
        let next = pairs.iter().filter(|(a, b)| *a == at || *b == at).map(|(a, b)| a + b - at);
        queue.extend(next.filter(|m| within.contains(m) && reached.insert(*m)));
    }
    reached
}

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
        self.supply()?;
        self.assert_converged()
    }

    /// Lets days pass until whoever may see a caller got the key: each holder waits a day for the one before it.
    fn supply(&mut self) -> Checked {
        for _ in 0..DAYS {
            if self.unsupplied().is_none() {
                return Ok(());
            }
            self.pass(PATIENCE_MS + 3_600_000)?;
            self.check()?;
            self.settle()?;
        }
        self.unsupplied().map_or(Ok(()), |who| broken(ENTITLED, who))
    }

    /// A node that may see a caller and has no grant, though one who has is linked with it through holders.
    fn unsupplied(&mut self) -> Option<String> {
        let mut pairs = self.live_pairs();
        pairs.extend(self.live_without_line());
        let docs: Vec<DocId> = self.oracle.callers.keys().copied().collect();
        for doc in docs {
            let holds: Vec<usize> = (0..self.machines.len())
                .filter(|m| self.is_up(*m) && self.machines[*m].shown.contains_key(&doc))
                .collect();
            for m in holds.iter().copied() {
                let node = self.machines[m].node;
                if person::erased(&mut self.machines[m].disk, &doc) || self.oracle.revoked.contains(&node) {
                    continue;
                }
                let readers = self.read(m, doc, |t| Some(readers(t.folded()?, t.entries()))).flatten();
                let Some(readers) = readers.filter(|r| r.sites.contains(&node.site())) else { continue };
                let opens = |m: usize| {
                    let machine = &self.machines[m];
                    let vault = machine.up.as_ref().map(|up| &up.desk.vault);
                    vault.is_some_and(|v| v.has_key(&doc, machine.node, readers.desk))
                };
                let reached = reach(m, &holds, &pairs);
                if let Some(holder) = reached.into_iter().find(|h| opens(*h))
                    && !opens(m)
                {
                    let holder = self.machines[holder].node;
                    return Some(format!(
                        "{node} may see the caller of {doc} and was granted nothing by {holder}"
                    ));
                }
            }
        }
        None
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
    /// nobody but its site, nodes that are revoked and those behind them has no such way, and stays on that disk.
    fn retire(&mut self, m: usize) {
        let node = self.machines[m].node;
        let apart = self.oracle.revoked.contains(&node);
        let mut pairs = self.live_pairs();
        pairs.extend(self.live_without_line());
        let up: Vec<usize> = (0..self.machines.len()).filter(|m| self.is_up(*m)).collect();
        self.power_cut(m);
        self.machines[m].retired = true;
        let kept: BTreeSet<ItemHash> = self
            .machines
            .iter()
            .filter(|o| !o.retired)
            .flat_map(|o| o.disk.items())
            .map(|i| i.hash)
            .collect();
        let named = |doc: &DocId| {
            let Some(shown) = self.machines[m].shown.get(doc) else { return false };
            let concerned = |o: &usize| shown.audience.has(self.machines[*o].node.site());
            let within: Vec<usize> = up.iter().copied().filter(concerned).collect();
            reach(m, &within, &pairs).into_iter().any(|o| self.machines[o].node != node)
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

    /// Lets time pass until nobody has anything to say; then carries sticks to the sites without a line.
    ///
    /// # Errors
    /// When that takes longer than the bound, or an invariant does not hold on the way.
    pub fn settle(&mut self) -> Checked {
        self.rest()?;
        self.settle_by_sticks()
    }

    /// Lets time pass until nobody has anything to say on a link.
    pub(super) fn rest(&mut self) -> Checked {
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
        let pairs = self.live_pairs();
        self.unfetched(&pairs)
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
        let mut pairs = self.live_pairs();
        pairs.extend(self.live_without_line());
        for p in pairs.iter().copied() {
            let (x, y) = (self.machines[p.0].node, self.machines[p.1].node);
            let (a, b) = (self.shared(p.0, y.site()), self.shared(p.1, x.site()));
            if a != b {
                let detail =
                    format!("{x} and {y} are proved equal and hold {} and {} items", a.len(), b.len());
                return broken(DIGEST, detail);
            }
        }
        for m in 0..self.machines.len() {
            self.assert_whole(m)?;
        }
        let whole = self.oracle.revoked.is_empty();
        let docs: BTreeSet<DocId> = self.machines.iter().flat_map(|m| m.shown.keys().copied()).collect();
        for doc in docs {
            let mut audience = Audience::default();
            let holds: Vec<usize> = (0..self.machines.len())
                .filter(|m| self.is_up(*m) && self.machines[*m].shown.contains_key(&doc))
                .collect();
            for m in holds.iter().copied() {
                let shown = self.machines[m].shown[&doc].clone();
                audience.grow(&shown.audience);
                // Nobody converges with whom it does not talk to: a revoked node, or what lies behind it.
                let others = if whole { BTreeSet::from([holds[0]]) } else { reach(m, &holds, &pairs) };
                if !whole && !self.vouched_for(doc, &others) {
                    self.count("a ticket of a revoked node that nobody can vouch for");
                    continue;
                }
                for other in others.into_iter().map(|o| &self.machines[o]) {
                    let theirs = &other.shown[&doc];
                    if theirs.state != shown.state || theirs.entries != shown.entries {
                        let detail = format!(
                            "{doc} at {} ({} entries) and {} ({})",
                            self.machines[m].node,
                            shown.entries.len(),
                            other.node,
                            theirs.entries.len()
                        );
                        return broken(FOLDS_EQUAL, detail);
                    }
                }
            }
            for m in 0..self.machines.len() {
                let machine = &mut self.machines[m];
                if machine.retired || machine.up.is_none() {
                    continue;
                }
                let (node, site) = (machine.node, machine.node.site());
                let here = machine.disk.document(&doc).is_ok_and(|d| d.is_some());
                let named = audience.has(site);
                if here && !holds.iter().any(|m| self.machines[*m].has_named(doc, site) == Some(true)) {
                    return broken(AUDIENCE, format!("{node} holds {doc}"));
                }
                if whole && named && !here {
                    return broken(NOT_LOST, format!("{node} has no {doc} and has a part in it"));
                }
            }
        }
        self.assert_acknowledged()
    }

    /// Whether a change of a node with twins was refused in a document. What others wrote on it falls with it, and is
    /// said again by engines (tests/households.rs), which machines of this world have not.
    fn has_twins(&mut self, m: usize, doc: DocId) -> bool {
        let items = self.machines[m].disk.items_of(&doc).expect("memory reads");
        items.iter().any(|i| i.state == State::Refused && self.oracle.forgers.contains(&i.author))
    }

    /// Whether for every revoked node that wrote in a ticket one of these machines may vouch: one of the same site or of
    /// its superior. Without one, whoever holds the node's chain counts what the others cannot.
    fn vouched_for(&mut self, doc: DocId, machines: &BTreeSet<usize>) -> bool {
        let sites: BTreeSet<Site> = machines.iter().map(|m| self.machines[*m].node.site()).collect();
        let Some(first) = machines.first() else { return true };
        let items = self.machines[*first].disk.items_of(&doc).expect("memory reads");
        items.iter().filter(|i| self.oracle.revoked.contains(&i.author)).all(|i| {
            let site = i.author.site();
            sites.contains(&site) || site.superior().is_some_and(|s| sites.contains(&s))
        })
    }

    /// Everything a machine holds reads as what was written.
    fn assert_whole(&mut self, m: usize) -> Checked {
        let odd = self.machines[m].disk.items().find(|item| !is_whole(item)).map(|item| item.hash);
        if let Some(hash) = odd {
            return broken(WHOLE, format!("{} holds other bytes as {hash}", self.machines[m].node));
        }
        self.machines[m].contents.clear();
        self.check_contents(m)
    }

    /// What was acknowledged is not refused anywhere, and not only on a disk that nobody links to any more.
    fn assert_acknowledged(&mut self) -> Checked {
        let acked: Vec<_> = self.oracle.acked.iter().map(|(h, a)| (*h, *a)).collect();
        for (hash, acked) in acked {
            let mut held = 0;
            for m in 0..self.machines.len() {
                let state = self.machines[m].disk.state(&hash).expect("memory reads");
                let Machine { node, retired, .. } = self.machines[m];
                if retired || state.is_none() {
                    continue;
                }
                let apart = self.oracle.revoked.contains(&node);
                held += usize::from(!apart);
                if state == Some(State::Refused)
                    && !self.oracle.forgers.contains(&acked.by)
                    && !self.has_twins(m, acked.doc)
                {
                    let detail = format!("{hash} by {} is refused at {node}", acked.by);
                    return broken(NOT_LOST, detail);
                }
            }
            if held > 0 {
                continue;
            }
            let apart = self.oracle.revoked.contains(&acked.by) || self.oracle.replaced.contains(&acked.by);
            if apart && !self.oracle.revoked.is_empty() {
                self.count("a word that only a revoked node holds");
            } else {
                return broken(NOT_LOST, format!("{hash} by {} is on no disk in service", acked.by));
            }
        }
        Ok(())
    }
}
