//! Nodes on hosts of their own: a network namespace for each, and a cable of the kernel's for each link.
//!
//! ```text
//! hl4711-0 (000000)                     hl4711-1 (370000)
//!   cable0a 10.12.0.1/24  ──── veth ────  cable0b 10.12.0.2/24
//! ```
//!
//! A cable is pulled at one end: that end has no route any more and is told so, the other's packets vanish. Needs root and
//! `ip`; traffic stays in the namespaces, and they go when this is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use serde_json::Value;

use super::{Daemon, Network, Program, until};

/// The port that every node listens on.
const PORT: u16 = 12328;

/// A pair of nodes, in the order of their names.
type Pair = (String, String);

fn pair(a: &str, b: &str) -> Pair {
    if a < b { (a.to_owned(), b.to_owned()) } else { (b.to_owned(), a.to_owned()) }
}

/// A cable: its number and both ends' addresses.
struct Cable {
    number: u8,
    addresses: [Ipv4Addr; 2],
}

/// Some nodes, each on a host of its own.
pub struct Hosts {
    program: Program,
    network: Network,
    daemons: BTreeMap<String, Daemon>,
    spaces: BTreeMap<String, String>,
    cables: BTreeMap<Pair, Cable>,
    pulled: BTreeSet<Pair>,
}

fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).output().map_err(|e| format!("ip: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

impl Hosts {
    /// Hosts for these nodes, with identities and directories made by the program; nothing runs and no cable lies.
    ///
    /// # Errors
    /// Why this machine makes no network namespaces.
    pub fn new(program: &Program, nodes: &[&str]) -> Result<Hosts, String> {
        let mut spaces = BTreeMap::new();
        for (n, node) in nodes.iter().enumerate() {
            let space = format!("hl{}-{n}", std::process::id());
            if let Err(e) = ip(&["netns", "add", &space]) {
                assert_eq!(n, 0, "{e}");
                return Err(e);
            }
            spaces.insert((*node).to_owned(), space);
        }
        let hosts = Hosts {
            program: program.clone(),
            network: Network::new(program, nodes),
            daemons: BTreeMap::new(),
            spaces,
            cables: BTreeMap::new(),
            pulled: BTreeSet::new(),
        };
        for node in nodes {
            hosts.at(node, &["link", "set", "lo", "up"]);
        }
        Ok(hosts)
    }

    /// The nodes' directories and commands.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// `ip` on a node's host.
    ///
    /// # Panics
    /// When it fails.
    fn at(&self, node: &str, words: &[&str]) {
        ip(&[&["-n", &self.spaces[node]], words].concat()).expect("the kernel does it");
    }

    /// Lays a cable between two hosts; nodes that start from now on know of it.
    ///
    /// # Panics
    /// When the kernel does not.
    pub fn lay(&mut self, a: &str, b: &str) {
        let pair = pair(a, b);
        let number = u8::try_from(self.cables.len()).expect("not that many cables");
        let (one, other) = (format!("cable{number}a"), format!("cable{number}b"));
        let (at, there) = (&self.spaces[&pair.0], &self.spaces[&pair.1]);
        ip(&["link", "add", &one, "netns", at, "type", "veth", "peer", "name", &other, "netns", there])
            .expect("the kernel lays a cable");
        let addresses = [1, 2].map(|end| Ipv4Addr::new(10, 12, number, end));
        for (node, interface, address) in [(&pair.0, &one, addresses[0]), (&pair.1, &other, addresses[1])] {
            self.at(node, &["addr", "add", &format!("{address}/24"), "dev", interface]);
            self.at(node, &["link", "set", interface, "up"]);
        }
        self.cables.insert(pair, Cable { number, addresses });
    }

    fn end(pair: &Pair, node: &str) -> usize {
        usize::from(pair.1 == node)
    }

    fn interface(&self, pair: &Pair, node: &str) -> String {
        format!("cable{}{}", self.cables[pair].number, ["a", "b"][Hosts::end(pair, node)])
    }

    /// Pulls a cable out of `there`.
    pub fn pull(&mut self, here: &str, there: &str) {
        let pair = pair(here, there);
        self.at(there, &["link", "set", &self.interface(&pair, there), "down"]);
        self.pulled.insert(pair);
    }

    /// Plugs it in again.
    pub fn plug(&mut self, here: &str, there: &str) {
        let pair = pair(here, there);
        for node in [here, there] {
            self.at(node, &["link", "set", &self.interface(&pair, node), "up"]);
        }
        self.pulled.remove(&pair);
    }

    /// Pulls every cable, now at one end and now at the other.
    pub fn pull_all(&mut self) {
        for (n, (a, b)) in self.cables.keys().cloned().collect::<Vec<_>>().into_iter().enumerate() {
            if n % 2 == 0 { self.pull(&a, &b) } else { self.pull(&b, &a) }
        }
    }

    /// Plugs every cable in again.
    pub fn plug_all(&mut self) {
        for (a, b) in std::mem::take(&mut self.pulled) {
            self.plug(&a, &b);
        }
    }

    /// Takes the address of a node's end of a cable away and gives it another; what is under way must go on from it.
    pub fn move_to(&mut self, node: &str, peer: &str, last: u8) -> Ipv4Addr {
        let pair = pair(node, peer);
        let interface = self.interface(&pair, node);
        let cable = self.cables.get_mut(&pair).expect("a cable");
        let old = &mut cable.addresses[Hosts::end(&pair, node)];
        let new = Ipv4Addr::new(10, 12, cable.number, last);
        let gone = std::mem::replace(old, new);
        // In this order: a second address of a subnet goes with the first.
        self.at(node, &["addr", "del", &format!("{gone}/24"), "dev", &interface]);
        self.at(node, &["addr", "add", &format!("{new}/24"), "dev", &interface]);
        new
    }

    /// Starts a node. It knows everybody's address but those of nodes below it, which dial.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn start(&mut self, node: &str) {
        let mut peers = Vec::new();
        for (pair, cable) in &self.cables {
            let other = match pair {
                (a, b) if a == node => b,
                (a, b) if b == node => a,
                _ => continue,
            };
            let address = cable.addresses[Hosts::end(pair, other)];
            let site = |name: &str| name.parse::<certs::NodeName>().expect("a name").site();
            let below = site(other).superiors().any(|s| s == site(node));
            peers.push((other.clone(), (!below).then(|| SocketAddr::new(IpAddr::V4(address), PORT))));
        }
        let dir = self.network.at(node);
        let program = self.program.within(&["ip", "netns", "exec", &self.spaces[node]]);
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);
        let mut daemon =
            Daemon::start_toward(&program, &dir, listen, &peers, &dir.with_extension("log"), &[]);
        assert!(daemon.ready(), "{node} does not run: {}", daemon.log());
        self.daemons.insert(node.to_owned(), daemon);
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) {
        let idle: Vec<String> =
            self.spaces.keys().filter(|n| !self.daemons.contains_key(*n)).cloned().collect();
        idle.iter().for_each(|node| self.start(node));
    }

    /// kill -9.
    pub fn kill(&mut self, node: &str) {
        self.daemons.remove(node);
    }

    /// What a node knows of its link with a peer.
    pub fn peer(&self, node: &str, peer: &str) -> Value {
        let status = self.network.ask(node, &["replica", "status"]);
        let mut peers = status["peers"].as_array().into_iter().flatten();
        peers.find(|p| p["node"] == peer).cloned().unwrap_or_default()
    }

    /// Waits until both ends of every cable that is plugged in between running nodes are proved equal.
    pub fn settle(&self) {
        let plugged = self.cables.keys().filter(|pair| !self.pulled.contains(*pair));
        let links: Vec<(&str, &str)> = plugged
            .flat_map(|(a, b)| [(a.as_str(), b.as_str()), (b.as_str(), a.as_str())])
            .filter(|(a, b)| self.daemons.contains_key(*a) && self.daemons.contains_key(*b))
            .collect();
        until("every cable is proved equal", || {
            let open: Vec<String> = links
                .iter()
                .map(|(a, b)| (a, b, self.peer(a, b)))
                .filter(|(.., p)| p["connected"] != true || p["digest_equal"] != true || p["outbox"] != 0)
                .map(|(a, b, p)| {
                    format!(
                        "{a} - {b}: connected {}, equal {}, outbox {}",
                        p["connected"], p["digest_equal"], p["outbox"]
                    )
                })
                .collect();
            if open.is_empty() { Ok(()) } else { Err(open.join("; ")) }
        });
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.daemons.clear();
        for space in self.spaces.values() {
            let _ = ip(&["netns", "del", space]); // its cables go with it
        }
    }
}
