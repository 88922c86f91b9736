//! What thinks behind a driver: a real engine on its directory, or a replica of letters in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ScalarValue};
use certs::{CertificateClock, Identity, NodeName, Site, Trust, UnixTime};
use node::engine::{Engine, Options};
use node::request::{Reply, Request};
use node::roll::Roll;
use sync::document::{Document, Refusal, Witnessed, Write};
use sync::id::{DocId, Incarnation, ItemHash};
use sync::item::{Class, Item, Kind};
use sync::matter::{Domain, Matter, Standing};
use sync::replica::{Effect, Input, Replica};
use sync::store::memory::Memory;
use sync::store::{self, Durable, Store};
use tempfile::TempDir;

/// What a virtual town needs of a mind. The order of calls is the engine's: begin, work, commit.
pub trait Mind: Sized {
    /// What outlives its process.
    type Disk: 'static;

    /// A new disk for this identity.
    fn found(identity: &mut Identity) -> Self::Disk;
    /// A process over a disk; `life` tells it apart from earlier ones.
    fn open(identity: &Arc<Identity>, disk: Self::Disk, life: u8, peers: &[NodeName]) -> Self;
    /// The process dies at once; what it had committed stays.
    fn die(self) -> Self::Disk;
    /// A copy of the disk as it is now.
    fn copy(&mut self) -> Self::Disk;

    /// Begins a transaction at this time of the own clock.
    fn begin(&mut self, now_ms: u64);
    /// Says what happened on a link.
    fn link(&mut self, input: Input);
    /// Takes what a handshake showed of a peer's dates.
    fn met(&mut self, peer: NodeName, dates_fine: bool);
    /// Commits; what is to be done now.
    fn commit(&mut self) -> Vec<Effect>;

    /// This life.
    fn incarnation(&self) -> Incarnation;
    /// What links are checked against.
    fn trust(&self) -> Trust;
    /// How often that has changed.
    fn trust_changes(&self) -> u64;
    /// Certificates are never judged by an earlier time.
    fn clock_floor(&self) -> UnixTime;
    /// Whether the pair is linked, proved equal and nothing is owed.
    fn proved(&mut self, peer: NodeName) -> bool;
    /// Admits a revocation list from a file.
    fn admit_revocation(&mut self, list: &[u8]);
}

/// A real engine.
pub struct EngineMind {
    engine: Engine,
    dir: TempDir,
}

impl EngineMind {
    /// Asks the engine.
    pub fn ask(&mut self, request: &Request) -> Reply {
        self.engine.ask(request)
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

impl Mind for EngineMind {
    type Disk = TempDir;

    fn found(identity: &mut Identity) -> TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        Engine::init(&dir.path().join("data"), identity).expect("a data directory");
        dir
    }

    fn open(_: &Arc<Identity>, dir: TempDir, life: u8, peers: &[NodeName]) -> EngineMind {
        let mut engine =
            Engine::open(&dir.path().join("data"), &Options { seed: [life; 32] }).expect("it opens");
        engine.begin(super::START * 1_000).expect("a transaction");
        peers.iter().for_each(|peer| engine.add_peer(*peer).expect("a peer"));
        engine.commit().expect("it is durable");
        EngineMind { engine, dir }
    }

    fn die(self) -> TempDir {
        drop(self.engine);
        self.dir
    }

    fn copy(&mut self) -> TempDir {
        self.engine.checkpoint().expect("a checkpoint");
        let copy = tempfile::tempdir().expect("a directory");
        copy_all(self.dir.path(), copy.path());
        copy
    }

    fn begin(&mut self, now_ms: u64) {
        self.engine.begin(now_ms).expect("a transaction");
    }

    fn link(&mut self, input: Input) {
        self.engine.link(input).expect("it is taken");
    }

    fn met(&mut self, peer: NodeName, dates_fine: bool) {
        self.engine.met(peer, dates_fine);
    }

    fn commit(&mut self) -> Vec<Effect> {
        self.engine.commit().expect("it is durable")
    }

    fn incarnation(&self) -> Incarnation {
        self.engine.replica().incarnation()
    }

    fn trust(&self) -> Trust {
        self.engine.trust()
    }

    fn trust_changes(&self) -> u64 {
        self.engine.trust_changes()
    }

    fn clock_floor(&self) -> UnixTime {
        self.engine.clock_floor()
    }

    fn proved(&mut self, peer: NodeName) -> bool {
        let status = self.engine.ask(&Request::Status).expect("a status");
        let peers = status["peers"].as_array().expect("peers");
        peers.iter().any(|p| {
            p["node"] == serde_json::json!(peer)
                && p["connected"] == true
                && p["digest_equal"] == true
                && p["outbox"] == 0
        })
    }

    fn admit_revocation(&mut self, list: &[u8]) {
        let hex = list.iter().map(|b| format!("{b:02x}")).collect();
        self.engine.ask(&Request::Admit { kind: "revocation".to_owned(), hex }).expect("it is admitted");
    }
}

/// A letter: everybody from its writer up may read it.
#[derive(Clone, Default)]
pub(super) struct Letter(BTreeSet<Site>);

impl Matter for Letter {
    type Reading = Vec<Write>;

    fn read(&self, _: &Witnessed, writes: &[Write]) -> Result<Vec<Write>, Refusal> {
        Ok(writes.to_vec())
    }

    fn judge(&self, _: &Document, _: &Witnessed, _: &Vec<Write>) -> Result<(), Refusal> {
        Ok(())
    }

    fn take(&mut self, change: &Witnessed, writes: Vec<Write>) {
        let author = change.author.site();
        self.0.extend(std::iter::once(author).chain(author.superiors()));
        for write in writes {
            if let Write::Put { value: ScalarValue::Str(text), .. } = write
                && let Ok(site) = text.parse::<Site>()
            {
                self.0.extend(std::iter::once(site).chain(site.superiors()));
            }
        }
    }

    fn standing(&self) -> Standing {
        Standing { audience: self.0.iter().copied().collect(), class: Class::Ordinary }
    }
}

struct Office;

impl Domain<Memory> for Office {
    type Matter = Letter;
    type Row = ();

    fn begin(&self, _: DocId) -> Letter {
        Letter::default()
    }

    fn row(_: &Document, _: &Letter) {}

    fn project(&mut self, _: &mut Memory, _: &DocId, (): ()) -> store::Result<()> {
        Ok(())
    }

    fn keep(&mut self, _: &mut Memory, _: &Item) -> store::Result<()> {
        Ok(())
    }
}

/// A replica of letters in memory: nothing in it is drawn from the system, so a run repeats.
pub struct Letters {
    replica: Replica<Roll, Letter>,
    store: Memory,
    clock: CertificateClock,
    doubts: u64,
    now: u64,
}

impl Letters {
    /// Writes a letter to a site, of so many bytes; its document.
    pub fn write(&mut self, to: &str, text: &str, bytes: usize) -> DocId {
        let filler = "x".repeat(bytes);
        let written = self.replica.write(None, &mut self.store, &mut Office, |_, tx| {
            let facts = tx.put_object(ROOT, "facts", ObjType::Map)?;
            tx.put(&facts, "to", to)?;
            tx.put(&facts, "text", text)?;
            tx.put(&facts, "filler", filler.as_str())
        });
        match written {
            Ok(doc) => doc,
            Err(e) => panic!("a letter is not written: {e:?}"),
        }
    }

    /// The hashes of all that is held.
    pub fn items(&self) -> BTreeSet<ItemHash> {
        self.store.items().map(|i| i.hash).collect()
    }

    /// Whether a letter is here.
    pub fn holds(&mut self, doc: &DocId) -> bool {
        self.store.document(doc).expect("memory does not fail").is_some()
    }
}

impl Mind for Letters {
    type Disk = Memory;

    fn found(_: &mut Identity) -> Memory {
        Memory::new()
    }

    fn open(identity: &Arc<Identity>, mut store: Memory, life: u8, peers: &[NodeName]) -> Letters {
        let roll = Roll::new(identity.clone());
        store.begin().expect("memory does not fail");
        let mut replica = Replica::open(identity.node(), roll, [life; 32], 1_000, &mut store)
            .expect("memory does not fail");
        let record = identity.record().bytes().clone();
        replica.put_directory(Kind::RECORD, &record, &mut store, &mut Office).expect("memory does not fail");
        peers.iter().for_each(|peer| replica.know_peer(*peer, &mut store).expect("memory does not fail"));
        replica.flush(0, &mut store, &mut Office).expect("memory does not fail");
        store.commit().expect("memory does not fail");
        replica.effects();
        Letters { replica, store, clock: CertificateClock::new(), doubts: 0, now: 0 }
    }

    fn die(mut self) -> Memory {
        self.store.rollback().expect("memory does not fail");
        self.store
    }

    fn copy(&mut self) -> Memory {
        self.store.clone()
    }

    fn begin(&mut self, now_ms: u64) {
        self.now = now_ms;
        self.store.begin().expect("memory does not fail");
        let before = self.clock.doubt().is_some();
        self.clock.signed(self.replica.trust().newest_signed(), UnixTime::from_secs(now_ms / 1_000));
        self.doubts += u64::from(before != self.clock.doubt().is_some());
    }

    fn link(&mut self, input: Input) {
        self.replica.step(self.now, input, &mut self.store, &mut Office).expect("memory does not fail");
    }

    fn met(&mut self, peer: NodeName, dates_fine: bool) {
        let before = self.clock.doubt().is_some();
        self.clock.met(peer, dates_fine);
        self.doubts += u64::from(before != self.clock.doubt().is_some());
    }

    fn commit(&mut self) -> Vec<Effect> {
        self.replica.flush(self.now, &mut self.store, &mut Office).expect("memory does not fail");
        self.store.commit().expect("memory does not fail");
        self.replica.effects()
    }

    fn incarnation(&self) -> Incarnation {
        self.replica.incarnation()
    }

    fn trust(&self) -> Trust {
        self.replica.trust().directory().trust(self.clock.doubt().is_some())
    }

    fn trust_changes(&self) -> u64 {
        self.replica.trust().changes() + self.doubts
    }

    fn clock_floor(&self) -> UnixTime {
        self.clock.floor()
    }

    fn proved(&mut self, peer: NodeName) -> bool {
        let link = self.replica.link(peer);
        link.connected && link.digest_equal && self.store.owed_count(peer).expect("memory does not fail") == 0
    }

    fn admit_revocation(&mut self, list: &[u8]) {
        self.replica
            .put_directory(Kind::REVOCATION, list, &mut self.store, &mut Office)
            .expect("memory does not fail");
    }
}

/// For stories that name peers and their addresses.
pub fn peers(of: &[(&str, &str)]) -> BTreeMap<NodeName, Vec<std::net::SocketAddr>> {
    let mut peers: BTreeMap<NodeName, Vec<std::net::SocketAddr>> = BTreeMap::new();
    for (peer, at) in of {
        let addresses = peers.entry(super::name(peer)).or_default();
        addresses.extend((!at.is_empty()).then(|| super::address(at)));
    }
    peers
}
