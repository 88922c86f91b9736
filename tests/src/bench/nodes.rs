//! Identities, directories and running nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use certs::{Authority, Identity, NodeKeys, NodeName, SecretKey, Site, UnixTime};
use node::daemon::{Node, RunOptions, now_ms};
use node::engine::{Engine, Options};
use node::request::{Act, Request};
use serde_json::{Value, json};
use sync::replica::Input;

use super::tickets::{Dice, edits, ticket};

/// The city, which dials.
pub const CITY: &str = "370100";

/// Its province, which is dialled.
pub const PROVINCE: &str = "370000";

/// How many tickets go into one transaction when many are made.
const AT_ONCE: usize = 500;

/// A node's name.
pub fn name(text: &str) -> NodeName {
    text.parse().expect("a node's name")
}

/// Makes identities of one ministry.
pub struct Registry {
    root: Authority,
    provinces: BTreeMap<Site, Authority>,
    now: UnixTime,
}

impl Default for Registry {
    fn default() -> Self {
        let now = UnixTime::from_secs(now_ms() / 1000 - 60);
        let root = Authority::root(SecretKey::from_seed(&[1; 32], "root"), now).expect("a root");
        Registry { root, provinces: BTreeMap::new(), now }
    }
}

impl Registry {
    /// An identity for this node; the same one each time.
    pub fn identity(&mut self, node: &str) -> Identity {
        let node = name(node);
        let authority = match node.site().province() {
            None => &mut self.root,
            Some(province) => self.provinces.entry(province).or_insert_with(|| {
                let seed = *blake3::hash(province.to_string().as_bytes()).as_bytes();
                let key = SecretKey::from_seed(&seed, "province");
                self.root.issue_province(province, key, self.now).expect("an authority")
            }),
        };
        let keys = NodeKeys::from_seed(blake3::hash(node.to_string().as_bytes()).as_bytes());
        Identity::create(authority, node, keys, self.now, 90).expect("an identity")
    }

    /// A data directory for this node that knows `others`.
    pub fn found(&mut self, dir: &Path, node: &str, others: &[&str]) {
        Engine::init(dir, &mut self.identity(node)).expect("a data directory");
        let mut engine = open(dir);
        for other in others {
            // Saved once, so that it has a record.
            let beside = dir.with_extension(other);
            let mut identity = self.identity(other);
            identity.save(&beside).expect("an identity");
            let hex: String = identity.record().bytes().iter().map(|b| format!("{b:02x}")).collect();
            std::fs::remove_dir_all(beside).expect("it was just made");
            let admit = Request::Admit { kind: "record".to_owned(), hex };
            asked(&mut engine, &admit);
        }
    }
}

/// Opens a directory.
pub fn open(dir: &Path) -> Engine {
    Engine::open(dir, &Options::drawn().expect("a seed")).expect("a data directory")
}

/// Asks in a transaction of its own.
pub fn asked(engine: &mut Engine, request: &Request) -> Value {
    engine.begin(now_ms()).expect("a transaction");
    let reply = engine.ask(request).expect("it is granted");
    engine.commit().expect("it is durable");
    reply
}

/// When seals are made while tickets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seals {
    /// None yet: the next start seals the backlog, a thousand items under each seal.
    Later,
    /// One for each transaction of so many tickets' edits, as with a link that is up.
    Each(usize),
}

/// Makes tickets and their five edits through the engine, edit by edit as a day goes: all are created, then all get
/// their first edit. Returns their ids.
pub fn make_tickets(dir: &Path, count: usize, person: bool, seals: Seals, seed: u64) -> Vec<String> {
    let mut engine = open(dir);
    let mut dice = Dice::new(seed);
    let group = match seals {
        Seals::Later => AT_ONCE,
        Seals::Each(changes) => {
            // A link that is up makes every commit seal; this one never says a word.
            engine.begin(now_ms()).expect("a transaction");
            engine.link(Input::Connected(name(PROVINCE))).expect("a link");
            engine.commit().expect("it is durable");
            changes
        }
    };
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        let tickets = (0..group.min(count - ids.len())).map(|_| ticket(&mut dice, person)).collect();
        let made = asked(&mut engine, &Request::New { tickets, user: None });
        let made = made.as_array().expect("an array");
        ids.extend(made.iter().map(|t| t["id"].as_str().expect("an id").to_owned()));
        // A bounded shelf: what was just made is edited while it is open.
        for round in 0..5 {
            engine.begin(now_ms()).expect("a transaction");
            for id in &ids[ids.len() - made.len()..] {
                let act = edits(&mut dice)[round].clone();
                engine.ask(&Request::Act { id: id.clone(), act, user: None }).expect("it is granted");
            }
            engine.commit().expect("it is durable");
        }
        if ids.len() % 1_000 < group {
            engine.checkpoint().expect("a checkpoint");
        }
    }
    while engine.is_behind().expect("an answer") {
        engine.begin(now_ms()).expect("a transaction");
        engine.catch_up().expect("words are indexed");
        engine.commit().expect("it is durable");
    }
    engine.checkpoint().expect("a checkpoint");
    ids
}

/// An edit that any ticket in hand takes.
pub fn progress(id: &str, text: String) -> Request {
    Request::Act { id: id.to_owned(), act: Act::Progress { text }, user: None }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free() -> SocketAddr {
    let [address] = crate::city::free();
    address
}

/// Starts a node. Without a `peer` address it is dialled.
pub async fn start(dir: &Path, listen: SocketAddr, peer: Option<(&str, SocketAddr)>) -> Node {
    let options = RunOptions {
        dir: PathBuf::from(dir),
        listen,
        peers: peer.into_iter().map(|(n, a)| (name(n), vec![a])).collect(),
        http: None,
        congestion: sync::quic::Congestion::Bbr,
        files: Default::default(),
        desk: node::desk::DeskOptions::default(),
        public: node::public::PublicOptions::default(),
        sms: node::sms::SmsOptions::default(),
        sip: node::sip::SipOptions::default(),
        retention: None,
    };
    Node::start(options).await.expect("the node runs")
}

/// What a node thinks of its pair with `peer`.
pub async fn pair(node: &Node, peer: &str) -> Value {
    let status = node.ask(Request::Status).await.expect("a status");
    let mut peers = status["peers"].as_array().into_iter().flatten();
    peers.find(|p| p["node"] == json!(peer)).cloned().unwrap_or_default()
}

/// Count and digest of what a node shares with `peer`.
pub async fn digest(node: &Node, peer: &str) -> (u64, String) {
    match node.ask(Request::Digest { peer: peer.to_owned() }).await {
        Ok(said) => (
            said["count"].as_u64().unwrap_or_default(),
            said["digest"].as_str().unwrap_or_default().to_owned(),
        ),
        Err(_) => (0, String::new()), // it does not know the peer yet
    }
}

/// Waits until both nodes hold the same, at least `count` items, and returns how long it took; looks every `pause`.
///
/// # Panics
/// After `patience`.
pub async fn until_equal(
    a: (&Node, &str),
    b: (&Node, &str),
    count: u64,
    pause: Duration,
    patience: Duration,
) -> Duration {
    let began = Instant::now();
    loop {
        let (ours, theirs) = (digest(a.0, b.1).await, digest(b.0, a.1).await);
        if ours == theirs && ours.0 >= count {
            return began.elapsed();
        }
        assert!(began.elapsed() < patience, "{ours:?} and {theirs:?} do not become equal with {count}");
        tokio::time::sleep(pause).await;
    }
}
