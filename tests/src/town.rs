//! Real nodes on real directories, on one thread, with the frames between them carried by hand.
//!
//! Every node is a [`node::engine::Engine`] over its own SQLite database, with its own identity and certificate
//! chain made on the spot. Only the network is missing: links are queues, time is a number. A story written here
//! runs the code that a city runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use certs::{Authority, Identity, NodeKeys, NodeName, SecretKey, Site, Tier, UnixTime};
use node::engine::{Engine, Options, Reader};
use node::request::{Act, Reply, Request};
use serde_json::{Value, json};
use sync::replica::{Effect, Event, Input};
use tempfile::TempDir;

/// Some day in 2027.
pub const START_MS: u64 = 1_800_000_000_000;

/// Nodes and the frames between them.
pub struct Town {
    dir: TempDir,
    root: Authority,
    provinces: BTreeMap<Site, Authority>,
    engines: BTreeMap<NodeName, Engine>,
    wire: VecDeque<(NodeName, NodeName, Vec<u8>)>,
    links: BTreeSet<(NodeName, NodeName)>,
    lives: u8,
    seeds: BTreeMap<NodeName, [u8; 32]>,
    /// The town's clock, in milliseconds since 1970.
    pub now: u64,
    /// What every node told its operator.
    pub told: Vec<(NodeName, Event)>,
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a node's name")
}

impl Town {
    /// A town of these nodes, none of them linked.
    pub fn new(nodes: &[&str]) -> Town {
        Town::built(nodes, tempfile::tempdir().expect("a directory"))
    }

    /// The same where fsync costs nothing, if this machine has such a place: for tests of thousands of commits.
    pub fn in_memory(nodes: &[&str]) -> Town {
        let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Town::built(nodes, memory.expect("a directory"))
    }

    /// Where its directories are.
    pub fn place(&self) -> &std::path::Path {
        self.dir.path()
    }

    fn built(nodes: &[&str], dir: TempDir) -> Town {
        let now = UnixTime::from_secs(START_MS / 1000);
        let root = Authority::root(SecretKey::from_seed(&[1; 32], "root"), now).expect("a root");
        let mut town = Town {
            dir,
            root,
            provinces: BTreeMap::new(),
            engines: BTreeMap::new(),
            wire: VecDeque::new(),
            links: BTreeSet::new(),
            lives: 0,
            seeds: BTreeMap::new(),
            now: START_MS,
            told: Vec::new(),
        };
        nodes.iter().for_each(|n| town.found(name(n)));
        town
    }

    fn found(&mut self, node: NodeName) {
        let now = UnixTime::from_secs(START_MS / 1000);
        let seed = *blake3::hash(node.to_string().as_bytes()).as_bytes();
        let authority = match node.site().province() {
            None => &mut self.root,
            Some(province) => self.provinces.entry(province).or_insert_with(|| {
                let key = SecretKey::from_seed(
                    blake3::hash(province.to_string().as_bytes()).as_bytes(),
                    "province",
                );
                self.root.issue_province(province, key, now).expect("a province's authority")
            }),
        };
        let keys = NodeKeys::from_seed(&seed);
        let mut identity = Identity::create(authority, node, keys, now, 90).expect("an identity");
        Engine::init(&self.path(node), &mut identity).expect("a data directory");
        self.open(node);
    }

    /// Where a node keeps its data.
    pub fn path(&self, node: NodeName) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    fn open(&mut self, node: NodeName) {
        self.lives += 1;
        let seed = [self.lives; 32];
        self.seeds.insert(node, seed);
        let engine = Engine::open(&self.path(node), &Options { seed }).expect("it opens");
        self.engines.insert(node, engine);
    }

    /// Stops a node at once, as a power cut does, and starts it again; its links are gone.
    pub fn restart(&mut self, node: &str) {
        let node = name(node);
        self.unplug(node);
        self.engines.remove(&node);
        self.open(node);
    }

    /// Stops a node, lets `work` at its directory, and starts it again.
    pub fn with_disk(&mut self, node: &str, work: impl FnOnce(&std::path::Path)) {
        let node = name(node);
        self.unplug(node);
        self.engines.remove(&node);
        work(&self.path(node));
        self.open(node);
    }

    /// A node that is founded later, linked with nobody.
    pub fn join(&mut self, node: &str) {
        self.found(name(node));
    }

    fn unplug(&mut self, node: NodeName) {
        let peers: Vec<NodeName> = self.links.iter().filter(|(a, _)| *a == node).map(|(_, b)| *b).collect();
        peers.into_iter().for_each(|peer| self.cut(&node.to_string(), &peer.to_string()));
    }

    /// A copy of a node's disk as it is now.
    pub fn backup(&mut self, node: &str) -> TempDir {
        let node = name(node);
        self.engines.get_mut(&node).expect("a node").checkpoint().expect("a checkpoint");
        let copy = tempfile::tempdir().expect("a directory");
        let database = self.path(node).join("node.db");
        for file in ["node.db", "node.db-wal", "vault.db", "vault.db-wal"] {
            let from = database.with_file_name(file);
            if from.exists() {
                std::fs::copy(&from, copy.path().join(file)).expect("a copy");
            }
        }
        copy
    }

    /// A copy of a node as it runs, memory and disk, as a virtual machine is copied. Its directory lives as long as the
    /// town.
    pub fn copy_running(&mut self, node: &str) -> Engine {
        let disk = self.backup(node);
        let node = name(node);
        self.lives += 1;
        let dir = self.dir.path().join(format!("copy {} of {node}", self.lives));
        std::fs::create_dir(&dir).expect("a directory");
        let identity = self.path(node).join("identity");
        std::fs::create_dir(dir.join("identity")).expect("a directory");
        for file in std::fs::read_dir(&identity).expect("an identity") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), dir.join("identity").join(file.file_name())).expect("a copy");
        }
        for file in std::fs::read_dir(disk.path()).expect("a disk") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), dir.join(file.file_name())).expect("a copy");
        }
        Engine::open(&dir, &Options { seed: self.seeds[&node] }).expect("it opens")
    }

    /// Puts another engine in the place of a node's; its links are gone. Returns the one that was there.
    pub fn swap(&mut self, node: &str, engine: Engine) -> Engine {
        let node = name(node);
        self.unplug(node);
        self.engines.insert(node, engine).expect("a node of the town")
    }

    /// The hash of a node's last seal.
    pub fn last_seal(&self, node: &str) -> [u8; 32] {
        let (_, last) = self.engines[&name(node)].replica().chain();
        *last.expect("it has sealed something").as_bytes()
    }

    /// The node's province revokes it; `counts` are the hashes of the last seals that count. The list is admitted by
    /// `at`.
    pub fn revoke(&mut self, node: &str, counts: &[[u8; 32]], at: &str) {
        let node = name(node);
        let now = UnixTime::from_secs(self.now / 1000);
        let province = node.site().province().expect("a node of a province");
        let authority = self.provinces.get_mut(&province).expect("its authority");
        let list = authority
            .revoke(certs::Subject::Node(node), counts, certs::Reason::KeyCompromise, now)
            .expect("a revocation list");
        let hex = list.bytes().iter().map(|b| format!("{b:02x}")).collect();
        self.ask(at, Request::Admit { kind: "revocation".to_owned(), hex }).expect("it is admitted");
    }

    /// Puts an earlier disk back and starts the node from it.
    pub fn restore(&mut self, node: &str, backup: &TempDir) {
        let node = name(node);
        self.unplug(node);
        self.engines.remove(&node);
        for file in ["node.db", "node.db-wal", "node.db-shm", "vault.db", "vault.db-wal", "vault.db-shm"] {
            let to = self.path(node).join(file);
            let _ = std::fs::remove_file(&to);
            let from = backup.path().join(file);
            if from.exists() {
                std::fs::copy(from, to).expect("a copy");
            }
        }
        self.open(node);
    }

    fn at<R>(&mut self, node: NodeName, work: impl FnOnce(&mut Engine) -> R) -> R {
        let engine = self.engines.get_mut(&node).expect("a node of the town");
        engine.begin(self.now).expect("a transaction");
        let result = work(engine);
        for effect in engine.commit().expect("it is durable") {
            match effect {
                Effect::Send { peer, bytes, .. } => self.wire.push_back((node, peer, bytes)),
                Effect::Close { peer, .. } => {
                    self.links.remove(&(node, peer));
                    self.links.remove(&(peer, node));
                }
                Effect::Tell(event) => self.told.push((node, event)),
            }
        }
        result
    }

    /// Links two nodes.
    pub fn link(&mut self, a: &str, b: &str) {
        for (x, y) in [(name(a), name(b)), (name(b), name(a))] {
            if self.links.insert((x, y)) {
                self.at(x, |e| e.link(Input::Connected(y))).expect("linked");
            }
        }
    }

    /// Links every node with its superior's, and replicas of one site with each other.
    pub fn link_tree(&mut self) {
        let nodes: Vec<NodeName> = self.engines.keys().copied().collect();
        for a in &nodes {
            for b in &nodes {
                let superior = a.site().superior() == Some(b.site());
                let replicas = a.site() == b.site() && a < b;
                if superior || replicas {
                    self.link(&a.to_string(), &b.to_string());
                }
            }
        }
    }

    /// Cuts a link; what was on its way is lost.
    pub fn cut(&mut self, a: &str, b: &str) {
        let (a, b) = (name(a), name(b));
        self.wire.retain(|(x, y, _)| !((*x == a && *y == b) || (*x == b && *y == a)));
        for (x, y) in [(a, b), (b, a)] {
            if self.links.remove(&(x, y)) {
                self.at(x, |e| e.link(Input::Disconnected(y))).expect("unlinked");
            }
        }
    }

    /// Cuts every link.
    pub fn cut_all(&mut self) {
        let links: Vec<_> = self.links.iter().copied().collect();
        links.iter().for_each(|(a, b)| self.cut(&a.to_string(), &b.to_string()));
    }

    /// Does something with a node's engine, in a transaction of its own.
    pub fn with<R>(&mut self, node: &str, work: impl FnOnce(&mut Engine) -> R) -> R {
        self.at(name(node), work)
    }

    /// A node is killed after it did this and before it committed.
    pub fn dies_after(&mut self, node: &str, request: &Request) {
        let node = name(node);
        let engine = self.engines.get_mut(&node).expect("a node of the town");
        engine.begin(self.now).expect("a transaction");
        engine.ask(request).expect("it is granted");
        self.restart(&node.to_string());
    }

    /// Carries so many frames; the rest stays on its way.
    pub fn carry(&mut self, frames: usize) {
        for _ in 0..frames {
            let Some((from, to, bytes)) = self.wire.pop_front() else { return };
            if self.links.contains(&(to, from)) {
                self.at(to, |e| e.link(Input::Frame { peer: from, bytes })).expect("a frame is taken");
            }
        }
    }

    /// Carries frames until nobody has anything to say.
    ///
    /// # Panics
    /// When they never stop.
    pub fn settle(&mut self) {
        for round in 0..60 {
            let mut carried = 0;
            while let Some((from, to, bytes)) = self.wire.pop_front() {
                carried += 1;
                assert!(carried < 50_000, "they never stop");
                if self.links.contains(&(to, from)) {
                    self.at(to, |e| e.link(Input::Frame { peer: from, bytes })).expect("a frame is taken");
                }
            }
            self.now += 6_000;
            let nodes: Vec<NodeName> = self.engines.keys().copied().collect();
            nodes.into_iter().for_each(|n| self.at(n, |e| e.link(Input::Tick)).expect("time passes"));
            if self.wire.is_empty() && round > 1 {
                return;
            }
        }
        panic!("they never settle");
    }

    /// Everybody has nothing to do for a while, and then hears of what became of it.
    pub fn quiet(&mut self) {
        let nodes: Vec<NodeName> = self.engines.keys().copied().collect();
        for node in nodes {
            while self.at(node, |engine| engine.catch_up().expect("it catches up")) {}
        }
        self.settle();
    }

    /// A day later, when everybody has had the quiet of a night.
    pub fn night(&mut self) {
        self.now += 86_400_000;
        self.quiet();
    }

    /// Asks a node.
    pub fn ask(&mut self, node: &str, request: Request) -> Reply {
        self.now += 1_000;
        self.at(name(node), |e| e.ask(&request))
    }

    /// What reads beside a node's engine.
    pub fn reader(&self, node: &str) -> Reader {
        self.engines[&name(node)].reader().expect("a reader")
    }

    /// Asks a node, and a reader while nothing of it is committed yet.
    pub fn ask_beside(
        &mut self,
        node: &str,
        request: &Request,
        reader: &Reader,
        read: &Request,
    ) -> (Reply, Reply) {
        self.now += 1_000;
        let now = self.now;
        self.at(name(node), |e| (e.ask(request), reader.ask(now, read).expect("it is read")))
    }

    /// A new ticket; its id.
    pub fn call(&mut self, node: &str, text: &str) -> String {
        let ticket =
            json!({ "text": text, "type": "投诉举报", "caller_phone": "13800000001", "channel": "电话" });
        let reply = self.ask(node, Request::New { tickets: vec![ticket], user: None }).expect("a ticket");
        reply[0]["id"].as_str().expect("an id").to_owned()
    }

    /// Does something to a ticket.
    pub fn act(&mut self, node: &str, id: &str, act: Act) -> Reply {
        self.ask(node, Request::Act { id: id.to_owned(), act, user: None })
    }

    /// A ticket as a node shows it; `None` when it has none.
    pub fn show(&mut self, node: &str, id: &str) -> Option<Value> {
        self.ask(node, Request::Show { id: id.to_owned(), reveal: None, user: None }).ok()
    }

    /// Every pair of linked nodes is proved equal, nothing is owed, and every node shows every ticket it holds alike;
    /// whoever holds a ticket is in its audience, and everybody in the audience that is here holds it.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_converged(&mut self) {
        for (a, b) in self.links.clone() {
            let status = self.ask(&a.to_string(), Request::Status).expect("a status");
            let peers = status["peers"].as_array().expect("peers").clone();
            let peer = peers.into_iter().find(|p| p["node"] == json!(b)).expect("the peer");
            if peer["outbox"] != 0 {
                let lacks = self.ask(&a.to_string(), Request::Diff { peer: b.to_string(), limit: 100 });
                panic!("{a} owes {b}: {:#}", lacks.unwrap_or_default());
            }
            assert_eq!(peer["digest_equal"], true, "{a} has no proof of {b}");
            let digest = |town: &mut Town, at: NodeName, of: NodeName| {
                let reply =
                    town.ask(&at.to_string(), Request::Digest { peer: of.to_string() }).expect("a digest");
                (reply["count"].clone(), reply["digest"].clone())
            };
            assert_eq!(digest(self, a, b), digest(self, b, a), "{a} {b}");
        }
        let mut states: BTreeMap<String, (Value, Value)> = BTreeMap::new();
        let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let nodes: Vec<NodeName> = self.engines.keys().copied().collect();
        for node in &nodes {
            let page = self
                .ask(&node.to_string(), Request::Export { after: None, limit: 1_000 })
                .expect("an export");
            for ticket in page["tickets"].as_array().expect("tickets") {
                let id = ticket["id"].as_str().expect("an id").to_owned();
                let state = (ticket["state_hash"].clone(), ticket["audience"].clone());
                let first = states.entry(id.clone()).or_insert_with(|| state.clone());
                assert_eq!(*first, state, "{node} shows {id} otherwise");
                held.entry(id).or_default().insert(node.to_string());
            }
        }
        for (id, (_, audience)) in states {
            let sites: BTreeSet<Site> = serde_json::from_value(audience).expect("sites");
            let wanted: BTreeSet<String> =
                nodes.iter().filter(|n| sites.contains(&n.site())).map(ToString::to_string).collect();
            assert_eq!(held[&id], wanted, "who holds {id}");
        }
    }

    /// How many tiers the town has, for a story's opening.
    pub fn tiers(&self) -> BTreeSet<Tier> {
        self.engines.keys().map(|n| n.site().tier()).collect()
    }
}
