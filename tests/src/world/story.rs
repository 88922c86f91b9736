//! The world as a scenario tells it: nodes by name, one line for one thing that happens.
//!
//! Every method checks every invariant, and panics with the one that does not hold.

use certs::{NodeName, Site};
use node::ticket::fold::Superseded;
use node::ticket::{Folded, Stage};
use sync::item::State;
use sync::replica::Event as Told;
use sync::store::Store;

use super::event::{Deed, Event};
use super::lie::Lie;
use super::machine::CrashPoint;
use super::net::{Pair, Weather, pair};
use super::person::Caller;
use super::sabotage::Sabotage;
use super::tamper::Tamper;
use super::{Checked, World};

/// A ticket in a story: the number of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

fn site(text: &str) -> Site {
    text.parse::<NodeName>().expect("a node's name").site()
}

impl World {
    /// A world of these nodes, linked as a tree, at rest.
    pub fn of(names: &[&str]) -> World {
        World::broken(names, Sabotage::Nothing)
    }

    /// The same with a defect.
    pub fn broken(names: &[&str], sabotage: Sabotage) -> World {
        let nodes: Vec<NodeName> = names.iter().map(|n| n.parse().expect("a node's name")).collect();
        let mut world = World::new(1, &nodes, sabotage);
        world.rests();
        world
    }

    /// The first machine of a node.
    pub fn machine(&self, name: &str) -> usize {
        let node: NodeName = name.parse().expect("a node's name");
        self.machines.iter().position(|m| m.node == node && !m.retired).expect("a node of this world")
    }

    fn pair_of(&self, a: &str, b: &str) -> Pair {
        pair(self.machine(a), self.machine(b))
    }

    /// Something happens.
    ///
    /// # Panics
    /// When an invariant does not hold after it.
    pub fn happens(&mut self, event: Event) {
        let result = self.apply(&event);
        must(result);
    }

    /// A caller is heard at this node.
    pub fn call(&mut self, at: &str) -> Ticket {
        self.call_on(self.machine(at))
    }

    /// A caller is heard at this node, whose ticket is not reported to the ministry.
    pub fn call_unreported(&mut self, at: &str) -> Ticket {
        let ticket = 3 * (self.oracle.tickets.len() as u32 + 1) + 1;
        self.happens(Event::Call { at: self.machine(at), ticket, caller: Caller::Named });
        Ticket(ticket)
    }

    /// A caller is heard at this machine.
    pub fn call_on(&mut self, at: usize) -> Ticket {
        // Every third is reported to the ministry; a story's all are.
        let ticket = 3 * (self.oracle.tickets.len() as u32 + 1);
        self.happens(Event::Call { at, ticket, caller: Caller::Named });
        Ticket(ticket)
    }

    /// A desk does something to a ticket, as it may.
    ///
    /// # Panics
    /// When it may not.
    pub fn act(&mut self, at: &str, ticket: Ticket, deed: Deed) {
        let before = self.entries(at, ticket);
        self.happens(Event::Act { at: self.machine(at), ticket: ticket.0, deed, force: false });
        assert!(self.entries(at, ticket) > before, "{at} may not {deed:?}");
    }

    /// Whether a desk may do something; it is done if so.
    pub fn tries(&mut self, at: &str, ticket: Ticket, deed: Deed) -> bool {
        let before = self.entries(at, ticket);
        self.happens(Event::Act { at: self.machine(at), ticket: ticket.0, deed, force: false });
        self.entries(at, ticket) > before
    }

    /// The custodian offers a ticket.
    pub fn offer(&mut self, at: &str, ticket: Ticket, to: &str) {
        self.act(at, ticket, Deed::Offer(site(to)));
    }

    /// A superior assigns a ticket.
    pub fn assign(&mut self, at: &str, ticket: Ticket, to: &str) {
        self.act(at, ticket, Deed::Assign(site(to)));
    }

    /// A note of so many bytes.
    pub fn note(&mut self, at: &str, ticket: Ticket, bytes: u32) {
        self.happens(Event::Note { at: self.machine(at), ticket: ticket.0, bytes });
    }

    /// So much time passes.
    pub fn pass_ms(&mut self, ms: u64) {
        self.happens(Event::Pass(ms));
    }

    /// A link is cut in both directions.
    pub fn partition(&mut self, a: &str, b: &str) {
        self.happens(Event::Cut(self.pair_of(a, b)));
    }

    /// Nothing gets from one node to another any more.
    pub fn one_way(&mut self, from: &str, to: &str) {
        self.happens(Event::OneWay(self.machine(from), self.machine(to)));
    }

    /// A link is mended.
    pub fn mend(&mut self, a: &str, b: &str) {
        self.happens(Event::Mend(self.pair_of(a, b)));
    }

    /// Every link is cut.
    pub fn cut_all(&mut self) {
        for p in self.wanted.clone() {
            self.happens(Event::Cut(p));
        }
    }

    /// The weather on a link.
    pub fn weather_on(&mut self, a: &str, b: &str, weather: Weather) {
        self.happens(Event::Weather(self.pair_of(a, b), weather));
    }

    /// The power fails at a node in its next transaction but `after`.
    pub fn crash(&mut self, at: &str, after: u32, point: CrashPoint) {
        self.happens(Event::Crash { at: self.machine(at), after, point });
    }

    /// The power fails now.
    pub fn stop(&mut self, at: &str) {
        self.happens(Event::PowerCut(self.machine(at)));
    }

    /// A node starts.
    pub fn starts(&mut self, at: &str) {
        self.happens(Event::Start(self.machine(at)));
    }

    /// A node's clock is off by so many days.
    pub fn clock_off(&mut self, at: &str, days: i64) {
        self.happens(Event::Clock { at: self.machine(at), off: days * 86_400_000 });
    }

    /// A node's disk is copied.
    pub fn backup(&mut self, at: &str) {
        self.happens(Event::Backup(self.machine(at)));
    }

    /// The copy is put in the disk's place.
    pub fn restore(&mut self, at: &str, which: usize) {
        self.happens(Event::Restore { at: self.machine(at), which });
    }

    /// A copy of a node's disk starts on a second machine; its number.
    pub fn cloned(&mut self, at: &str) -> usize {
        self.happens(Event::Clone(self.machine(at)));
        self.machines.len() - 1
    }

    /// A copy of a running node, memory and disk, runs beside it; its number.
    pub fn copied(&mut self, at: &str) -> usize {
        self.happens(Event::Copy(self.machine(at)));
        self.machines.len() - 1
    }

    /// A node is revoked.
    pub fn revokes(&mut self, by: &str, node: &str) {
        let node = node.parse().expect("a node's name");
        self.happens(Event::Revoke { node, at: self.machine(by) });
    }

    /// A node says what no honest one says.
    pub fn lies(&mut self, from: &str, to: &str, lie: Lie) {
        self.happens(Event::Lie { from: self.machine(from), to: self.machine(to), lie, salt: 7 });
    }

    /// What leaves one node for another is tampered with from now on.
    pub fn relay(&mut self, from: &str, to: &str, tamper: Tamper) {
        self.happens(Event::Relay { from: self.machine(from), to: self.machine(to), tamper });
    }

    /// Faults end.
    pub fn heals(&mut self) {
        self.heal();
    }

    /// The world comes to rest within its bound.
    pub fn rests(&mut self) {
        let result = self.settle();
        must(result);
    }

    /// Faults end, the world comes to rest, everybody holds and shows what he must.
    pub fn converges(&mut self) {
        let result = self.finish();
        must(result);
    }

    /// How a ticket stands at a node that holds it.
    pub fn folded(&mut self, at: &str, ticket: Ticket) -> Option<Folded> {
        let doc = *self.oracle.tickets.get(&ticket.0)?;
        let at = self.machine(at);
        self.read(at, doc, |t| t.folded().cloned())?
    }

    /// Whether a node holds a ticket.
    pub fn holds(&mut self, at: &str, ticket: Ticket) -> bool {
        self.folded(at, ticket).is_some()
    }

    /// Who holds a ticket, as a node shows it.
    ///
    /// # Panics
    /// When the node does not hold it.
    pub fn custodian(&mut self, at: &str, ticket: Ticket) -> String {
        self.folded(at, ticket).expect("it holds the ticket").custodian().to_string()
    }

    /// The stage of a ticket, as a node shows it.
    ///
    /// # Panics
    /// When the node does not hold it.
    pub fn stage(&mut self, at: &str, ticket: Ticket) -> Stage {
        self.folded(at, ticket).expect("it holds the ticket").stage
    }

    /// What was beaten in a ticket, as a node shows it.
    ///
    /// # Panics
    /// When the node does not hold it.
    pub fn superseded(&mut self, at: &str, ticket: Ticket) -> Vec<Superseded> {
        self.folded(at, ticket).expect("it holds the ticket").superseded
    }

    fn entries(&mut self, at: &str, ticket: Ticket) -> usize {
        self.folded(at, ticket).map_or(0, |f| f.entries)
    }

    /// How many items of this state a node holds.
    pub fn items(&mut self, at: &str, state: State) -> usize {
        let m = self.machine(at);
        self.machines[m].disk.items().filter(|i| i.state == state && i.doc.is_some()).count()
    }

    /// How many rows a node's outbox has for a peer.
    pub fn owed(&mut self, at: &str, peer: &str) -> u64 {
        let m = self.machine(at);
        self.machines[m].disk.owed_count(peer.parse().expect("a node's name")).expect("memory reads")
    }

    /// Whether a node told its operator something like this.
    pub fn was_told(&self, at: &str, like: impl Fn(&Told) -> bool) -> bool {
        let m = self.machine(at);
        self.told.iter().any(|(who, event)| *who == m && like(event))
    }
}

fn must(result: Checked) {
    if let Err(violation) = result {
        panic!("{violation}");
    }
}
