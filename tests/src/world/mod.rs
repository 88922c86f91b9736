//! The simulated world: many nodes, one thread, one seed, virtual time.
//!
//! Every machine runs the real replica with the real ticket matter over a store that forgets what was not
//! committed; keys, links, clocks and disks are the world's. Nothing in it reads a clock or draws entropy, so a seed
//! (or a list of events) is a run.
//!
//! ```text
//! chance    the seed's numbers            event      what happens, as values
//! book      who is who                    plan       draws events from a seed
//! person    grants and erased marks       content    attached files
//! sheet     a ticket as invariants see it oracle     what was acknowledged and who wrote what
//! machine   disk, clock, crash points     check      the named invariants
//! net       connections and weather       campaign   many seeds, shrinking, the duty to have seen everything
//! lie       hostile frames                tamper     bad relays
//! stick     bundles carried by hand          story     the world as a scenario tells it
//! sabotage  the defects that must be caught
//! ```
//!
//! *Act one* applies events, and checks every invariant after each. *Act two* heals everything; then the world must
//! settle within a bound, and all pairs must be equal.

pub mod act;
pub mod article;
pub mod book;
pub mod campaign;
pub mod chance;
pub mod check;
pub mod content;
pub mod event;
pub mod heal;
pub mod lie;
pub mod machine;
pub mod net;
pub mod oracle;
pub mod person;
pub mod plan;
pub mod sabotage;
pub mod sheet;
pub mod stick;
pub mod story;
pub mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use certs::{NodeName, Site};
use sync::replica::{Effect, Event as Told, Input};
use sync::store::memory::Memory;
use sync::wire::Frame;

use chance::Chance;
use machine::{Machine, SimReplica};
use net::{Arrival, Net, Pair, pair};
use oracle::Oracle;
use sabotage::Sabotage;
use sheet::Desk;
use tamper::Tamper;

/// Some day in 2027, in milliseconds since 1970.
pub const START_MS: u64 = 1_800_000_000_000;

/// How often time is told while something goes on.
const TICK_MS: u64 = 2_000;

/// Something goes on for this long after the last frame: longer than an item stays parked.
const BUSY_MS: u64 = 14_000;

/// How long nobody dials a peer that misbehaved.
const BLAME_MS: u64 = 600_000;

/// More frames than this within a minute are a conversation that never ends.
const MAX_FRAMES: u32 = 30_000;

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}. {}", self.invariant, self.detail)
    }
}

/// The answer of everything that checks.
pub type Checked = Result<(), Violation>;

/// See the module.
pub struct World {
    /// Milliseconds since 1970, by the world's own clock.
    pub now: u64,
    machines: Vec<Machine>,
    net: Net,
    chance: Chance,
    sites: Arc<BTreeSet<Site>>,
    wanted: BTreeSet<Pair>,
    cut: BTreeSet<Pair>,
    blamed: BTreeMap<Pair, u64>,
    relays: BTreeMap<(usize, usize), Tamper>,
    sticks: Vec<stick::Stick>,
    without_line: BTreeSet<Pair>,
    busy_until: u64,
    next_tick: u64,
    oracle: Oracle,
    sabotage: Sabotage,
    seed: u64,
    /// How often each fault and each rare state was met.
    pub seen: BTreeMap<&'static str, u64>,
    /// What every machine told its operator.
    pub told: Vec<(usize, Told)>,
    violation: Option<Violation>,
}

impl World {
    /// A world of these nodes, all switched on, every one linked to its superiors and its site's other replicas.
    pub fn new(seed: u64, nodes: &[NodeName], sabotage: Sabotage) -> World {
        let sites: Arc<BTreeSet<Site>> = Arc::new(nodes.iter().map(|n| n.site()).collect());
        let mut world = World {
            now: START_MS,
            machines: Vec::new(),
            net: Net::default(),
            chance: Chance::new(seed),
            sites: sites.clone(),
            wanted: BTreeSet::new(),
            cut: BTreeSet::new(),
            blamed: BTreeMap::new(),
            relays: BTreeMap::new(),
            sticks: Vec::new(),
            without_line: BTreeSet::new(),
            busy_until: START_MS,
            next_tick: START_MS,
            oracle: Oracle::default(),
            sabotage,
            seed,
            seen: BTreeMap::new(),
            told: Vec::new(),
            violation: None,
        };
        for node in nodes {
            let birth = seed ^ world.machines.len() as u64;
            world.machines.push(Machine::new(*node, Memory::new(), birth, sabotage, sites.clone()));
        }
        for a in 0..nodes.len() {
            for b in a + 1..nodes.len() {
                let (x, y) = (nodes[a].site(), nodes[b].site());
                if x.superior() == Some(y) || y.superior() == Some(x) || x == y {
                    world.wanted.insert((a, b));
                }
            }
        }
        (0..nodes.len()).for_each(|m| world.start(m));
        world
    }

    /// A link that is not in the tree.
    pub fn want(&mut self, p: Pair) {
        self.wanted.insert(p);
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn fail(&mut self, invariant: &'static str, detail: String) {
        self.violation.get_or_insert(Violation { invariant, detail });
    }

    /// The time that a machine takes it to be.
    fn clock(&self, m: usize) -> u64 {
        self.now.saturating_add_signed(self.machines[m].clock)
    }

    fn is_up(&self, m: usize) -> bool {
        self.machines[m].up.is_some()
    }

    /// One transaction on a machine that is up; `None` when the power failed before it was answered.
    fn at<R>(
        &mut self,
        m: usize,
        work: impl FnOnce(&mut SimReplica, &mut Memory, &mut Desk) -> R,
    ) -> Option<R> {
        if !self.is_up(m) {
            return None;
        }
        let now = self.clock(m);
        let node = self.machines[m].node;
        let done = self.machines[m].transact(now, work);
        let answered = done.result.is_some();
        self.oracle.note(node, m, &done.written, answered, &mut self.machines[m].disk);
        self.perform(m, done.effects);
        if let Some(point) = done.crashed {
            self.count(point.name());
            self.went_down(m);
        }
        done.result
    }

    fn start(&mut self, m: usize) {
        if self.is_up(m) || self.machines[m].retired {
            return;
        }
        let now = self.clock(m);
        let crashed = !self.machines[m].start(now);
        if crashed {
            self.count("crash while starting");
        }
        // What it wrote in an earlier life and did not yet tell is as durable as everything.
        let node = self.machines[m].node;
        self.oracle.note_all(node, m, &mut self.machines[m].disk);
        self.busy();
    }

    fn went_down(&mut self, m: usize) {
        for other in self.net.of(m) {
            self.net.leave(m, other, true, self.now);
        }
        self.busy();
    }

    fn power_cut(&mut self, m: usize) {
        if self.is_up(m) {
            self.machines[m].stop();
            self.went_down(m);
        }
    }

    fn busy(&mut self) {
        self.busy_until = self.now + BUSY_MS;
        self.next_tick = self.next_tick.clamp(self.now, self.now + TICK_MS);
    }

    /// The machine that `m` is connected to under this name.
    fn peer(&self, m: usize, node: NodeName) -> Option<usize> {
        self.net.of(m).into_iter().find(|o| self.machines[*o].node == node)
    }

    fn perform(&mut self, m: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { peer, lane, bytes } => {
                    let Some(to) = self.peer(m, peer) else { continue };
                    let tamper = self.relays.get(&(m, to)).copied();
                    let frames = match tamper {
                        None => vec![bytes],
                        Some(tamper) => {
                            let (frames, did) = tamper.apply(bytes, &mut self.chance);
                            if did {
                                self.count(tamper.name());
                            }
                            frames
                        }
                    };
                    for bytes in frames {
                        self.net.send(m, to, lane, bytes, self.now, &mut self.chance);
                    }
                    self.busy();
                }
                Effect::Close { peer, blame, .. } => {
                    let Some(to) = self.peer(m, peer) else { continue };
                    if blame {
                        self.blamed.insert(pair(m, to), self.now + BLAME_MS);
                    }
                    self.net.leave(m, to, false, self.now);
                }
                Effect::Tell(event) => {
                    self.count(check::rare_event(&event));
                    self.told.push((m, event));
                }
            }
        }
    }

    /// Connects two machines, if both want it and nothing is in the way.
    fn dial(&mut self, p: Pair) {
        let (a, b) = p;
        let ready = |w: &World, m: usize| w.is_up(m) && !w.machines[m].retired;
        let (x, y) = (self.machines[a].node, self.machines[b].node);
        if self.net.is_up(p)
            || x == y
            || !ready(self, a)
            || !ready(self, b)
            || self.cut.contains(&p)
            || !self.net.is_open(p)
            || self.blamed.get(&p).is_some_and(|until| self.now < *until)
        {
            return;
        }
        if self.revoked_for(a, y) || self.revoked_for(b, x) {
            self.count("a link with a revoked node refused");
            return;
        }
        let twin = |w: &World, m: usize, node: NodeName, than: usize| {
            w.net.of(m).into_iter().any(|o| o != than && w.machines[o].node == node)
        };
        if twin(self, a, y, b) || twin(self, b, x, a) {
            self.count("a second connection of one node refused");
            return;
        }
        self.over(p);
        self.net.connect(p);
        for (m, peer) in [(a, y), (b, x)] {
            let now = self.clock(m);
            self.at(m, |r, s, d| r.step(now, Input::Connected(peer), s, d).expect("a step"));
        }
        self.busy();
    }

    fn revoked_for(&self, m: usize, node: NodeName) -> bool {
        self.machines[m].up.as_ref().is_some_and(|up| up.replica.trust().is_revoked(node))
    }

    /// Ends a connection for whoever believes in it.
    fn over(&mut self, p: Pair) {
        let ends = self.net.cut(p);
        self.told_over(p, &ends);
    }

    fn told_over(&mut self, p: Pair, ends: &[usize]) {
        for m in ends.iter().copied() {
            let peer = self.machines[if m == p.0 { p.1 } else { p.0 }].node;
            let now = self.clock(m);
            self.at(m, |r, s, d| r.step(now, Input::Disconnected(peer), s, d).expect("a step"));
        }
        self.busy();
    }

    /// Lets time pass: frames arrive, connections die, nodes dial, everybody is told the time.
    fn pass(&mut self, ms: u64) -> Checked {
        let end = self.now + ms;
        let (mut frames, mut minute) = (0, self.now / 60_000);
        loop {
            let wake = self.blamed.values().copied().filter(|t| *t > self.now).min();
            let tick = if self.busy_until >= self.next_tick { Some(self.next_tick) } else { None };
            let tick = tick.into_iter().chain(wake).min().unwrap_or(u64::MAX);
            let next = self.net.next().unwrap_or(u64::MAX);
            if next.min(tick) > end {
                break;
            }
            if next <= tick {
                self.now = self.now.max(next);
                match self.net.arrive(self.now) {
                    Some(Arrival::Frame { from, to, bytes }) => {
                        frames += 1;
                        self.deliver(from, to, bytes);
                    }
                    Some(Arrival::Over(p, ends)) => self.told_over(p, &ends),
                    None => {}
                }
            } else {
                self.now = self.now.max(tick);
                self.tick();
            }
            if minute != self.now / 60_000 {
                (frames, minute) = (0, self.now / 60_000);
            }
            if frames > MAX_FRAMES {
                self.fail(check::SETTLES, format!("{frames} frames within a minute"));
            }
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
        }
        self.now = end;
        self.tick();
        self.violation.take().map_or(Ok(()), Err)
    }

    fn tick(&mut self) {
        self.next_tick = self.now + TICK_MS;
        self.blamed.retain(|_, until| *until > self.now);
        for p in self.wanted.clone() {
            if !self.net.is_up(p) {
                self.dial(p);
            }
        }
        for m in 0..self.machines.len() {
            let now = self.clock(m);
            self.at(m, |r, s, d| r.step(now, Input::Tick, s, d).expect("a step"));
        }
    }

    fn deliver(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        if !self.is_up(to) {
            return;
        }
        let peer = self.machines[from].node;
        let one_sided = self.sabotage == Sabotage::OneSide && peer < self.machines[to].node;
        if (one_sided || self.relays.get(&(to, from)) == Some(&Tamper::FalseAnswers))
            && let Ok(Frame::Batch { id, .. }) = Frame::from_bytes(&bytes)
        {
            if !one_sided {
                self.count(Tamper::FalseAnswers.name());
            }
            let answer = tamper::all_durable(id);
            self.net.send(to, from, sync::wire::Lane::Control, answer, self.now, &mut self.chance);
            self.busy();
            return;
        }
        let now = self.clock(to);
        let before = self.machines[to].disk.last();
        self.at(to, |r, s, d| r.step(now, Input::Frame { peer, bytes }, s, d).expect("a step"));
        self.check_named(from, to, before);
        self.busy();
    }
}
