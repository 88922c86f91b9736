//! Nodes behind the real driver, over quinn, in virtual time.
//!
//! Each member is a mind (a real [`Engine`](node::engine::Engine) on its directory, or a replica in memory) and a real
//! [`Driver`] on a socket of the [virtual network](crate::virtual_net). The town does for each what the daemon's writer
//! does; a story says what happens and lets time pass.
//!
//! ```text
//! let mut town = VirtualTown::new(seed, path, &["370000", "370100"]).await;
//! town.cut("370000", "370100");  town.pass(days(2)).await;  town.heal(..);  town.settle(secs(120)).await;
//! ```

mod mind;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use certs::{Identity, NodeName, UnixTime};
use rustls::time_provider::TimeProvider;
use sync::quic::{Config, Congestion, Driver, LinkEvent};
use sync::replica::{Effect, Event, Input};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

pub use self::mind::{EngineMind, Letters, Mind, peers};
pub use self::registry::Registry;
use crate::relay::Impairment;
use crate::virtual_net::Net;

/// When the town begins: some day in 2027, in seconds.
pub const START: u64 = 1_800_000_000;

/// How often a node's time is said to pass while nothing else happens.
const TICK: Duration = Duration::from_secs(30);

/// A node's own clock: right but for its skew, and never before what an authority has signed.
#[derive(Debug)]
struct Clock {
    began: Instant,
    skew: AtomicI64,
    floor: AtomicU64,
}

impl Clock {
    fn own_ms(&self) -> u64 {
        let right = START as i64 * 1_000 + self.began.elapsed().as_millis() as i64;
        right.saturating_add(self.skew.load(Ordering::Relaxed).saturating_mul(1_000)).max(0) as u64
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let secs = (self.own_ms() / 1_000).max(self.floor.load(Ordering::Relaxed));
        Some(UnixTime::from_secs(secs).into())
    }
}

/// A process: a mind and its driver.
struct Member<M> {
    mind: M,
    driver: Driver,
    events: mpsc::Receiver<LinkEvent>,
    identity: Arc<Identity>,
    clock: Arc<Clock>,
    links: BTreeMap<NodeName, u64>,
    trust: u64,
    peers: BTreeMap<NodeName, Vec<SocketAddr>>,
}

/// What operators would have read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A link came up.
    Up(NodeName),
    /// A link went down, with the reason.
    Down(NodeName, String),
    /// A link did not come about, with the reason.
    Refused(Option<NodeName>, String),
    /// Something the replica said.
    Said(Event),
}

/// Which process: a node's name, and which of its copies.
pub type Who = (NodeName, u8);

/// The town.
pub struct VirtualTown<M: Mind> {
    /// The network.
    pub net: Net,
    /// Who is who.
    pub registry: Registry,
    seed: u64,
    began: Instant,
    lives: u8,
    members: BTreeMap<Who, Member<M>>,
    /// Disks of processes that were killed.
    disks: BTreeMap<Who, (M::Disk, Arc<Identity>)>,
    congestion: Congestion,
    /// What every process told its operator, and when since the beginning.
    pub told: Vec<(Duration, Who, Told)>,
}

/// A node's name.
pub fn name(text: &str) -> NodeName {
    text.parse().expect("a node's name")
}

/// The address of a node's first process.
pub fn address(node: &str) -> SocketAddr {
    place((name(node), 0))
}

/// Every process has an address of its own.
fn place((node, copy): Who) -> SocketAddr {
    let hash = blake3::hash(node.to_string().as_bytes());
    let [a, b, ..] = *hash.as_bytes();
    SocketAddr::from(([10, a, b, copy + 1], 12_328))
}

impl<M: Mind> VirtualTown<M> {
    /// An empty town on a network whose paths are as `usual` says.
    pub fn empty(seed: u64, usual: Impairment) -> VirtualTown<M> {
        VirtualTown {
            net: Net::new(seed, usual),
            registry: Registry::new(),
            seed,
            began: Instant::now(),
            lives: 0,
            members: BTreeMap::new(),
            disks: BTreeMap::new(),
            congestion: Congestion::Bbr,
            told: Vec::new(),
        }
    }

    /// A town of these nodes; every node and its superior's dial each other.
    pub fn new(seed: u64, usual: Impairment, nodes: &[&str]) -> VirtualTown<M> {
        let mut town = VirtualTown::empty(seed, usual);
        let tree = |a: NodeName, b: NodeName| {
            a.site().superior() == Some(b.site()) || b.site().superior() == Some(a.site())
        };
        for node in nodes {
            let others = nodes.iter().filter(|o| tree(name(node), name(o)));
            let peers = others.map(|o| (name(o), vec![address(o)])).collect();
            town.start(node, peers);
        }
        town
    }

    /// Links that start from now on spend bandwidth like this.
    pub fn congestion(&mut self, congestion: Congestion) {
        self.congestion = congestion;
    }

    /// Starts a node that dials these peers.
    pub fn start(&mut self, node: &str, peers: BTreeMap<NodeName, Vec<SocketAddr>>) {
        let identity = self.registry.issue(name(node), UnixTime::from_secs(START), 90);
        self.start_as(identity, peers, 0);
    }

    /// Starts a node with an identity of the story's making, and a clock that is off by `skew` seconds.
    pub fn start_as(
        &mut self,
        mut identity: Identity,
        peers: BTreeMap<NodeName, Vec<SocketAddr>>,
        skew: i64,
    ) {
        let disk = M::found(&mut identity);
        self.run((identity.node(), 0), disk, Arc::new(identity), peers, skew);
    }

    /// Starts a second process with the disk and the identity that the first has now.
    pub fn clone_disk(&mut self, node: &str) {
        let original = self.members.get_mut(&(name(node), 0)).expect("a node of the town");
        let (disk, peers, identity) =
            (original.mind.copy(), original.peers.clone(), original.identity.clone());
        self.run((name(node), 1), disk, identity, peers, 0);
    }

    fn run(
        &mut self,
        who: Who,
        disk: M::Disk,
        identity: Arc<Identity>,
        peers: BTreeMap<NodeName, Vec<SocketAddr>>,
        skew: i64,
    ) {
        self.lives += 1;
        let known: Vec<NodeName> = peers.keys().copied().collect();
        let mind = M::open(&identity, disk, self.lives, &known);
        let floor = AtomicU64::new(mind.clock_floor().secs());
        let clock = Arc::new(Clock { began: self.began, skew: AtomicI64::new(skew), floor });
        let seed = *blake3::hash(format!("{} {} {}", self.seed, who.0, self.lives).as_bytes()).as_bytes();
        let config = Config {
            identity: identity.clone(),
            incarnation: mind.incarnation(),
            trust: mind.trust(),
            listen: place(who),
            peers: peers.clone(),
            time: clock.clone(),
            congestion: self.congestion,
            seed: u64::from_be_bytes(*seed.first_chunk().expect("32 bytes hold 8")),
        };
        let (driver, events) =
            Driver::over(config, self.net.bind(place(who)), Some(seed)).expect("a driver over memory");
        let trust = mind.trust_changes();
        let links = BTreeMap::new();
        let member = Member { mind, driver, events, identity, clock, links, trust, peers };
        self.members.insert(who, member);
    }

    /// Ends a process at once, as a power cut does: it says nothing to anybody.
    pub fn kill(&mut self, node: &str) {
        let who = (name(node), 0);
        let member = self.members.remove(&who).expect("a node of the town");
        self.net.unplug(place(who)); // whatever the dead still say is lost
        let Member { mind, driver, events, identity, .. } = member;
        drop(events);
        tokio::spawn(async move { driver.shutdown().await });
        self.disks.insert(who, (mind.die(), identity));
    }

    /// Starts a killed node again, from what its disk holds.
    pub fn restart(&mut self, node: &str, peers: BTreeMap<NodeName, Vec<SocketAddr>>) {
        let who = (name(node), 0);
        let (disk, identity) = self.disks.remove(&who).expect("a node that was killed");
        self.run(who, disk, identity, peers, 0);
    }

    /// Nothing passes between two nodes any more.
    pub fn cut(&self, a: &str, b: &str) {
        self.net.cut(address(a), address(b));
    }

    /// It passes again.
    pub fn heal(&self, a: &str, b: &str) {
        self.net.heal(address(a), address(b));
    }

    /// A node's mind, within a transaction.
    pub fn at<R>(&mut self, node: &str, work: impl FnOnce(&mut M) -> R) -> R {
        self.at_copy((name(node), 0), work)
    }

    /// The same for one of its copies.
    pub fn at_copy<R>(&mut self, who: Who, work: impl FnOnce(&mut M) -> R) -> R {
        let elapsed = self.began.elapsed();
        let member = self.members.get_mut(&who).expect("a process of the town");
        let told = &mut self.told;
        member.transact(|mind| work(mind), |told_now| told.push((elapsed, who, told_now)))
    }

    /// Sets a node's own clock to be off by so many seconds.
    pub fn skew(&mut self, node: &str, secs: i64) {
        self.members[&(name(node), 0)].clock.skew.store(secs, Ordering::Relaxed);
    }

    /// A node's driver.
    pub fn driver(&self, node: &str) -> &Driver {
        &self.members[&(name(node), 0)].driver
    }

    /// Lets time pass.
    pub async fn pass(&mut self, span: Duration) {
        let end = Instant::now() + span;
        let mut tick = Instant::now() + TICK;
        loop {
            match timeout_at(end.min(tick), next(&mut self.members)).await {
                Ok((who, event)) => self.hear(who, event),
                Err(_) if Instant::now() >= end => return,
                Err(_) => {
                    tick = Instant::now() + TICK;
                    let all: Vec<Who> = self.members.keys().copied().collect();
                    all.into_iter().for_each(|who| self.at_copy(who, |mind| mind.link(Input::Tick)));
                }
            }
        }
    }

    /// Lets time pass until `done`; how long it took.
    ///
    /// # Panics
    /// When it is not so within `limit`.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut VirtualTown<M>) -> bool,
    ) -> Duration {
        let began = Instant::now();
        while !done(self) {
            assert!(began.elapsed() < limit, "not within {limit:?}: {what}\n{}", self.story());
            self.pass(Duration::from_millis(250)).await;
        }
        began.elapsed()
    }

    /// Lets time pass until every pair that should be linked is, and is proved equal; how long it took.
    ///
    /// # Panics
    /// When it is not so within `limit`.
    pub async fn settle(&mut self, limit: Duration) -> Duration {
        self.until("all pairs linked and proved equal", limit, |town| town.settled()).await
    }

    fn settled(&mut self) -> bool {
        let all: Vec<Who> = self.members.keys().copied().collect();
        all.into_iter().all(|who| {
            let peers: Vec<NodeName> = self.members[&who].peers.keys().copied().collect();
            let there: BTreeSet<NodeName> = self.members.keys().map(|(node, _)| *node).collect();
            let peers: Vec<NodeName> = peers.into_iter().filter(|p| there.contains(p)).collect();
            let member = self.members.get_mut(&who).expect("a process of the town");
            peers.into_iter().all(|peer| member.links.contains_key(&peer) && member.mind.proved(peer))
        })
    }

    /// Whether a link is up, as this node's engine knows.
    pub fn linked(&self, node: &str, peer: &str) -> bool {
        self.linked_copy((name(node), 0), peer)
    }

    /// The same for one of its copies.
    pub fn linked_copy(&self, who: Who, peer: &str) -> bool {
        self.members.get(&who).is_some_and(|m| m.links.contains_key(&name(peer)))
    }

    /// What a node told about links with `peer` that did not come about or ended: the reasons.
    pub fn reasons(&self, node: &str, peer: &str) -> Vec<String> {
        self.reasons_copy((name(node), 0), peer)
    }

    /// The same for one of its copies.
    pub fn reasons_copy(&self, who: Who, peer: &str) -> Vec<String> {
        let of = self.told.iter().filter(|(_, at, _)| *at == who);
        of.filter_map(|(.., told)| match told {
            Told::Down(p, reason) if *p == name(peer) => Some(reason.clone()),
            Told::Refused(p, reason) if p.is_none_or(|p| p == name(peer)) => Some(reason.clone()),
            _ => None,
        })
        .collect()
    }

    /// How often a node's link with `peer` came up.
    pub fn ups(&self, node: &str, peer: &str) -> usize {
        let up = Told::Up(name(peer));
        self.told.iter().filter(|(_, who, told)| *who == (name(node), 0) && *told == up).count()
    }

    /// The last things that were told, for a failure's text.
    pub fn story(&self) -> String {
        let from = self.told.len().saturating_sub(40);
        let lines = self.told[from..].iter().map(|(at, (node, copy), told)| {
            format!("{:>10.1} s  {node} ({copy}): {told:?}\n", at.as_secs_f64())
        });
        format!("seed {}, {:?}\n{}", self.seed, self.net.counts(), lines.collect::<String>())
    }

    fn hear(&mut self, who: Who, event: LinkEvent) {
        let elapsed = self.began.elapsed();
        let told = match &event {
            LinkEvent::Connected { peer, .. } => Some(Told::Up(*peer)),
            LinkEvent::Disconnected { peer, reason, .. } => {
                reason.as_ref().map(|reason| Told::Down(*peer, reason.clone()))
            }
            LinkEvent::Refused { peer, reason } => Some(Told::Refused(*peer, reason.clone())),
            LinkEvent::Opened { .. } | LinkEvent::Frame { .. } => None,
        };
        self.told.extend(told.map(|told| (elapsed, who, told)));
        let Some(member) = self.members.get_mut(&who) else { return };
        let input = match event {
            LinkEvent::Opened { peer, link } => {
                member.links.insert(peer, link);
                Some(Input::Connected(peer))
            }
            LinkEvent::Frame { peer, link, bytes, .. } if member.links.get(&peer) == Some(&link) => {
                Some(Input::Frame { peer, bytes })
            }
            LinkEvent::Disconnected { peer, link, .. } if member.links.get(&peer) == Some(&link) => {
                member.links.remove(&peer);
                Some(Input::Disconnected(peer))
            }
            _ => None,
        };
        let told = &mut self.told;
        member.transact(
            |mind| input.into_iter().for_each(|input| mind.link(input)),
            |told_now| told.push((elapsed, who, told_now)),
        );
    }
}

impl<M: Mind> Member<M> {
    /// What the daemon's writer does around each piece of work.
    fn transact<R>(&mut self, work: impl FnOnce(&mut M) -> R, mut tell: impl FnMut(Told)) -> R {
        self.mind.begin(self.clock.own_ms());
        for (peer, fine) in self.driver.meetings() {
            self.mind.met(peer, fine);
        }
        let result = work(&mut self.mind);
        for effect in self.mind.commit() {
            match effect {
                Effect::Send { peer, lane, bytes } => {
                    if let Some(link) = self.links.get(&peer) {
                        self.driver.send(peer, *link, lane, bytes);
                    }
                }
                Effect::Close { peer, reason, blame } => {
                    self.links.remove(&peer);
                    self.driver.close(peer, &reason, blame);
                }
                Effect::Tell(event) => tell(Told::Said(event)),
            }
        }
        self.clock.floor.store(self.mind.clock_floor().secs(), Ordering::Relaxed);
        if self.mind.trust_changes() != self.trust {
            self.trust = self.mind.trust_changes();
            self.driver.set_trust(self.mind.trust()).expect("good certificates make a configuration");
        }
        result
    }
}

/// The next event of any process, in the order of their names.
async fn next<M: Mind>(members: &mut BTreeMap<Who, Member<M>>) -> (Who, LinkEvent) {
    std::future::poll_fn(|cx| {
        for (who, member) in members.iter_mut() {
            if let Poll::Ready(Some(event)) = Pin::new(&mut member.events).poll_recv(cx) {
                return Poll::Ready((*who, event));
            }
        }
        Poll::Pending
    })
    .await
}
