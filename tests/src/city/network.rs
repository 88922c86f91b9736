//! Nodes as processes, linked through relays that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use certs::clock::DAY;
use certs::{Authority, Identity, NodeKeys, NodeName, SecretKey, Site, UnixTime};
use node::daemon::now_ms;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Daemon, Env, Harm, Hostile, Program, Said, free, until};
use crate::relay::{Impairment, Relay};

/// Some nodes, each with an identity and a directory that the program itself made, and what runs of them.
///
/// A link is a pair of relays, one for each end that may dial, so that a test can cut it while both ends run.
pub struct Network {
    program: Program,
    dir: TempDir,
    runtime: Runtime,
    addresses: BTreeMap<NodeName, SocketAddr>,
    daemons: BTreeMap<NodeName, Daemon>,
    /// By who dials, then who is dialled.
    relays: BTreeMap<(NodeName, NodeName), Relay>,
    cut: BTreeSet<(NodeName, NodeName)>,
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a node's name")
}

fn provinces(nodes: &[&str]) -> BTreeSet<Site> {
    nodes.iter().filter_map(|n| name(n).site().province()).collect()
}

fn days_ago(days: u64) -> UnixTime {
    UnixTime::from_secs(now_ms() / 1000).minus(days * DAY)
}

impl Network {
    /// Ministry, provinces, identities and data directories of these nodes. Nothing runs and nothing is linked.
    pub fn new(program: &Program, nodes: &[&str]) -> Network {
        let network = Network::empty(program);
        network.cert(&["root", "--out", &network.text("ca-000000")]);
        for province in provinces(nodes) {
            let code = province.to_string();
            let (ca, out) = (network.text("ca-000000"), network.text(&format!("ca-{code}")));
            network.cert(&["province", &code, "--ca", &ca, "--out", &out]);
        }
        network.found(nodes)
    }

    /// The same with authorities that began so many days ago.
    pub fn aged(program: &Program, nodes: &[&str], days: u64) -> Network {
        let network = Network::empty(program);
        let then = days_ago(days);
        let mut root = Authority::root(SecretKey::generate(), then).expect("a root");
        for site in provinces(nodes) {
            let mut province = root.issue_province(site, SecretKey::generate(), then).expect("a province");
            province.save(&network.at(&format!("ca-{site}"))).expect("it is saved");
        }
        root.save(&network.at("ca-000000")).expect("it is saved");
        network.found(nodes)
    }

    /// A node whose certificate was made so many days ago for 90 days.
    ///
    /// # Panics
    /// When its province cannot be that old.
    pub fn add_expired(&mut self, node: &str, days: u64) {
        let mut province = Authority::load(&self.authority(node)).expect("its authority");
        let keys = NodeKeys::generate();
        let made = Identity::create(&mut province, name(node), keys, days_ago(days), 90);
        let out = self.at(&format!("id-{node}"));
        made.expect("an identity").save(&out).expect("it is saved");
        self.program.ask(&self.at(node), &["init", "--identity", out.to_str().expect("a plain path")]);
        let [address] = free();
        self.addresses.insert(name(node), address);
    }

    fn empty(program: &Program) -> Network {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Network {
            program: program.clone(),
            dir: tempfile::tempdir().expect("a directory"),
            runtime: runtime.expect("a runtime"),
            addresses: BTreeMap::new(),
            daemons: BTreeMap::new(),
            relays: BTreeMap::new(),
            cut: BTreeSet::new(),
        }
    }

    fn found(mut self, nodes: &[&str]) -> Network {
        for (node, address) in nodes.iter().zip(free::<16>()) {
            let identity = self.enrol(node, &self.authority(node), 90);
            let identity = identity.to_str().expect("a plain path");
            self.program.ask(&self.at(node), &["init", "--identity", identity]);
            self.addresses.insert(name(node), address);
        }
        self
    }

    fn cert(&self, words: &[&str]) {
        let said = Said::from(self.program.command().arg("cert").args(words).output().expect("it starts"));
        assert_eq!(said.code, Some(0), "cert {words:?}: {said}");
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().expect("a plain path").to_owned()
    }

    /// A node's data directory.
    pub fn at(&self, node: &str) -> PathBuf {
        self.dir.path().join(node)
    }

    /// The directory of the authority that enrols this node.
    pub fn authority(&self, node: &str) -> PathBuf {
        let province = name(node).site().province().unwrap_or(Site::MINISTRY);
        self.dir.path().join(format!("ca-{province}"))
    }

    /// An identity for this node from any authority that gives one.
    ///
    /// # Panics
    /// When it does not.
    pub fn enrol(&self, node: &str, ca: &Path, days: u64) -> PathBuf {
        let taken = std::fs::read_dir(self.dir.path()).expect("a directory").count();
        let out = format!("id-{node}-{taken}");
        let ca = ca.to_str().expect("a plain path");
        self.cert(&["node", node, "--days", &days.to_string(), "--ca", ca, "--out", &self.text(&out)]);
        self.at(&out)
    }

    /// A list by which the node's authority revokes it.
    pub fn revoke(&self, node: &str) -> PathBuf {
        let (ca, list) = (self.authority(node), format!("revoked-{node}.crl"));
        let ca = ca.to_str().expect("a plain path");
        self.cert(&["revoke", node, "--ca", ca, "--out", &self.text(&list)]);
        self.at(&list)
    }

    /// Where a node listens.
    pub fn address(&self, node: &str) -> SocketAddr {
        self.addresses[&name(node)]
    }

    /// Lays a link; nodes that start from now on know of it.
    pub fn link(&mut self, a: &str, b: &str) {
        for (from, to) in [(name(a), name(b)), (name(b), name(a))] {
            let upstream = self.addresses[&to];
            let relay = self.runtime.block_on(Relay::start(upstream, Impairment::NONE, Impairment::NONE, 1));
            self.relays.insert((from, to), relay.expect("a relay"));
        }
    }

    /// Lays the links of the tree: everybody with its superior, and replicas of one site with each other.
    pub fn link_tree(&mut self) {
        let nodes: Vec<NodeName> = self.addresses.keys().copied().collect();
        for a in &nodes {
            for b in &nodes {
                if a.site().superior() == Some(b.site()) || (a.site() == b.site() && a < b) {
                    self.link(&a.to_string(), &b.to_string());
                }
            }
        }
    }

    /// Cuts a link, in both directions, while both ends run.
    pub fn cut(&mut self, a: &str, b: &str) {
        for pair in [(name(a), name(b)), (name(b), name(a))] {
            self.relays[&pair].cut_both();
            self.cut.insert(pair);
        }
    }

    /// Heals it.
    pub fn heal(&mut self, a: &str, b: &str) {
        for pair in [(name(a), name(b)), (name(b), name(a))] {
            self.relays[&pair].heal();
            self.cut.remove(&pair);
        }
    }

    /// Cuts every link.
    pub fn cut_all(&mut self) {
        let all: Vec<_> = self.relays.keys().copied().collect();
        all.iter().for_each(|(a, b)| self.cut(&a.to_string(), &b.to_string()));
    }

    /// Heals every link.
    pub fn heal_all(&mut self) {
        let all: Vec<_> = self.relays.keys().copied().collect();
        all.iter().for_each(|(a, b)| self.heal(&a.to_string(), &b.to_string()));
    }

    /// Starts a node and waits until it answers.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn start(&mut self, node: &str) {
        let started = self.start_copy(node, &self.at(node), self.address(node));
        self.daemons.insert(name(node), started);
    }

    /// The same with something before it, such as a wrong clock.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn start_with(&mut self, node: &str, env: &Env) {
        let started = self.start_in(node, &self.at(node), self.address(node), env);
        self.daemons.insert(name(node), started);
    }

    /// The peers that links were laid to, and where their relays are.
    fn peers(&self, node: &str) -> Vec<(String, SocketAddr)> {
        let me = name(node);
        let laid = self.relays.iter().filter(|((from, _), _)| *from == me);
        laid.map(|((_, to), relay)| (to.to_string(), relay.addr())).collect()
    }

    /// Starts a hostile node on a node's directory and address, in the place of a process.
    pub fn start_hostile(&self, node: &str, harm: Harm) -> Hostile {
        Hostile::start(&self.at(node), self.address(node), &self.peers(node), harm)
    }

    /// Starts a node's name on some directory and address: a clone, if the name runs already.
    ///
    /// # Panics
    /// When it ends at once.
    pub fn start_copy(&self, node: &str, dir: &Path, listen: SocketAddr) -> Daemon {
        self.start_in(node, dir, listen, &[])
    }

    fn start_in(&self, node: &str, dir: &Path, listen: SocketAddr, env: &Env) -> Daemon {
        let peers = self.peers(node);
        let log = dir.with_extension("log");
        let mut daemon = Daemon::start(&self.program, dir, listen, &peers, &log, env);
        assert!(daemon.ready(), "{node} does not run: {}", daemon.log());
        daemon
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) {
        let idle: Vec<NodeName> =
            self.addresses.keys().copied().filter(|n| !self.daemons.contains_key(n)).collect();
        idle.iter().for_each(|n| self.start(&n.to_string()));
    }

    /// kill -9.
    pub fn kill(&mut self, node: &str) {
        if let Some(mut daemon) = self.daemons.remove(&name(node)) {
            daemon.kill();
        }
    }

    /// SIGTERM.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(&mut self, node: &str) {
        let mut daemon = self.daemons.remove(&name(node)).expect("it runs");
        let status = daemon.stop();
        assert!(status.success(), "{node}: {status}: {}", daemon.log());
    }

    /// The process id of a running node.
    pub fn id(&self, node: &str) -> u32 {
        self.daemons[&name(node)].id()
    }

    /// What a running node logged.
    pub fn log(&self, node: &str) -> String {
        self.daemons[&name(node)].log()
    }

    /// Runs a command on a node, through its socket when it runs.
    pub fn run(&self, node: &str, words: &[&str]) -> Said {
        self.program.run(&self.at(node), words)
    }

    /// The same; it must succeed.
    pub fn ask(&self, node: &str, words: &[&str]) -> Value {
        self.program.ask(&self.at(node), words)
    }

    /// A new ticket; its id.
    pub fn call(&self, node: &str, text: &str) -> String {
        let made = self.ask(node, &["ticket", "new", "--text", text, "--phone", "13800000001"]);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// A ticket as a node shows it, once it has it.
    pub fn show(&self, node: &str, id: &str) -> Value {
        until(&format!("{node} has the ticket"), || {
            let said = self.run(node, &["ticket", "show", id]);
            said.json().ok_or_else(|| said.to_string())
        })
    }

    /// Whether the node holds the ticket now.
    pub fn holds(&self, node: &str, id: &str) -> bool {
        self.run(node, &["ticket", "show", id]).code == Some(0)
    }

    /// What a running node told its operator.
    pub fn events(&self, node: &str) -> Vec<String> {
        let told = self.ask(node, &["replica", "events"]);
        let told = told.as_array().into_iter().flatten();
        told.filter_map(|e| e["text"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until a node's operator has been told something with these words in it; the whole line.
    pub fn told(&self, node: &str, words: &str) -> String {
        until(&format!("{node} says `{words}`"), || {
            let events = self.events(node);
            events.iter().find(|e| e.contains(words)).cloned().ok_or_else(|| events.join("\n"))
        })
    }

    /// All tickets of a node, by id.
    pub fn tickets(&self, node: &str) -> BTreeMap<String, Value> {
        let said = self.run(node, &["ticket", "export"]);
        let lines = said.lines().unwrap_or_else(|| panic!("{node}: {said}"));
        lines.into_iter().map(|t| (t["id"].as_str().expect("an id").to_owned(), t)).collect()
    }

    /// Waits until every link that is not cut is up and proved equal at both ends, and nothing is owed on it.
    pub fn settle(&self) {
        until("every link is proved equal", || {
            let open: Vec<String> =
                self.daemons.keys().flat_map(|node| self.unproved(&node.to_string())).collect();
            if open.is_empty() { Ok(()) } else { Err(open.join("; ")) }
        });
    }

    /// The links of a node that are not cut and not proved equal at this end, or on which something is owed.
    pub fn unproved(&self, node: &str) -> Vec<String> {
        let (status, node) = (self.ask(node, &["replica", "status"]), name(node));
        let up = |peer: &NodeName| {
            self.daemons.contains_key(peer)
                && self.relays.contains_key(&(node, *peer))
                && !self.cut.contains(&(node, *peer))
        };
        let peers = status["peers"].as_array().into_iter().flatten();
        peers
            .filter(|p| p["node"].as_str().is_some_and(|n| up(&name(n))))
            .filter(|p| p["connected"] != true || p["digest_equal"] != true || p["outbox"] != 0)
            .map(|p| {
                format!(
                    "{node} - {}: connected {}, equal {}, outbox {}",
                    p["node"], p["connected"], p["digest_equal"], p["outbox"]
                )
            })
            .collect()
    }

    /// Settles, and then: linked pairs show the same digest, every ticket is shown alike wherever it is, and it is
    /// exactly where its audience says.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_converged(&self) {
        self.settle();
        for (a, b) in self.relays.keys().filter(|pair| !self.cut.contains(*pair)) {
            if !self.daemons.contains_key(a) || !self.daemons.contains_key(b) {
                continue;
            }
            let digest = |at: &NodeName, of: &NodeName| {
                let said = self.ask(&at.to_string(), &["replica", "digest", "--peer", &of.to_string()]);
                (said["count"].clone(), said["digest"].clone())
            };
            assert_eq!(digest(a, b), digest(b, a), "{a} {b}");
        }
        let mut shown: BTreeMap<String, (Value, Value)> = BTreeMap::new();
        let mut held: BTreeMap<String, BTreeSet<NodeName>> = BTreeMap::new();
        for node in self.daemons.keys() {
            for (id, ticket) in self.tickets(&node.to_string()) {
                let state = (ticket["state_hash"].clone(), ticket["audience"].clone());
                let first = shown.entry(id.clone()).or_insert_with(|| state.clone());
                assert_eq!(*first, state, "{node} shows {id} otherwise");
                held.entry(id).or_default().insert(*node);
            }
        }
        for (id, (_, audience)) in shown {
            let sites: BTreeSet<Site> = serde_json::from_value(audience).expect("sites");
            let wanted: BTreeSet<NodeName> =
                self.daemons.keys().copied().filter(|n| sites.contains(&n.site())).collect();
            assert_eq!(held[&id], wanted, "who holds {id}");
        }
    }
}
