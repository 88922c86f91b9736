//! One machine: a disk, a wrong clock, and (when it is up) a replica driven in transactions.
//!
//! ```text
//! begin -> work -> [step] -> flush, confirms, flush -> [commit] -> commit -> [effects] -> effects, [half] of them
//! ```
//!
//! The names in brackets are the places where the power can fail. A node is a name; a cloned node is two machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::transaction::Transactable;
use certs::{NodeName, Site};
use node::ticket::entry::{Entry, EntryId, Op};
use node::ticket::{TicketMatter, confirm};
use sync::document::{Document, Witnessed};
use sync::id::{DocId, Incarnation, ItemHash};
use sync::item::{Audience, Item, Kind, State};
use sync::matter::Matter;
use sync::replica::{Effect, Replica, WriteError};
use sync::store::memory::Memory;
use sync::store::{Durable, Position, Store};

use super::book::{Book, record};
use super::person;
use super::sabotage::Sabotage;
use super::sheet::{Desk, Sheet, Shown};

/// The replica of a simulated node.
pub type SimReplica = Replica<Book, Sheet>;

/// Where in a transaction the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// After the replica was told, before it sealed.
    Step,
    /// Sealed and filled, not written.
    Commit,
    /// Written, nothing said.
    Effects,
    /// Half of what there was to say is said.
    Half,
}

impl CrashPoint {
    /// All of them.
    pub const ALL: [CrashPoint; 4] =
        [CrashPoint::Step, CrashPoint::Commit, CrashPoint::Effects, CrashPoint::Half];

    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        match self {
            CrashPoint::Step => "crash before sealing",
            CrashPoint::Commit => "crash before the commit",
            CrashPoint::Effects => "crash after the commit, before the effects",
            CrashPoint::Half => "crash amid the effects",
        }
    }
}

/// What became of a transaction.
pub struct Done<R> {
    /// The work's result, if whoever asked for it was answered.
    pub result: Option<R>,
    /// Effects that were performed.
    pub effects: Vec<Effect>,
    /// Items this machine wrote in it, for whoever was answered.
    pub written: Vec<ItemHash>,
    /// Where the power failed, if it did.
    pub crashed: Option<CrashPoint>,
}

/// A machine that is up.
pub struct Running {
    /// Its replica.
    pub replica: SimReplica,
    /// What it keeps beside the documents.
    pub desk: Desk,
}

/// See the module.
pub struct Machine {
    /// The node it runs.
    pub node: NodeName,
    /// Its disk: what was committed, but inside a transaction.
    pub disk: Memory,
    /// What runs on it.
    pub up: Option<Running>,
    /// How far its clock is off, in milliseconds.
    pub clock: i64,
    /// Copies of its disk.
    pub backups: Vec<Memory>,
    /// How its tickets stood at the last commit.
    pub shown: BTreeMap<DocId, Shown>,
    /// Tickets that changed since the invariants looked.
    pub fresh: BTreeSet<DocId>,
    /// Whom each ticket named after any commit: the fold's word, not the replica's. See [`Machine::has_named`].
    pub named: BTreeMap<DocId, Audience>,
    /// What it last knew of each ticket's audience.
    pub audiences: BTreeMap<DocId, Audience>,
    /// How far the invariants have looked at its items.
    pub checked: Position,
    /// Tickets under which grants, marks or receipts came since the invariants looked.
    pub kept: BTreeSet<DocId>,
    /// How many pieces of each file the invariants have seen here.
    pub contents: BTreeMap<ItemHash, u32>,
    /// Rare states met since the invariants looked.
    pub rare: Vec<&'static str>,
    /// Something was committed since the invariants looked.
    pub dirty: bool,
    /// Taken out of service: a clone that was found, a disk that was replaced.
    pub retired: bool,
    /// The power fails in the transaction after so many more.
    pub armed: Option<(u32, CrashPoint)>,
    /// Grants whose bytes are found missing at the next start.
    pub lost: Vec<ItemHash>,
    synced: Option<Memory>,
    lazy: u8,
    seen: Position,
    lives: u64,
    own_lives: BTreeSet<Incarnation>,
    birth: u64,
    sabotage: Sabotage,
    sites: Arc<BTreeSet<Site>>,
}

impl Machine {
    /// Whether the ticket ever named the site as far as this machine heard; `None` when it heard of no such ticket.
    /// Words that fell count: where the twin that they fell by was not heard yet, they stood and let somebody in.
    pub fn has_named(&mut self, doc: DocId, site: Site) -> Option<bool> {
        let named = self.named.get(&doc)?;
        Some(named.has(site) || self.named_by_all(doc).has(site))
    }

    /// Whom all the words of a ticket name together, those that fell as well.
    fn named_by_all(&mut self, doc: DocId) -> Audience {
        let (mut document, mut matter) = (Document::empty(doc), TicketMatter::new(doc));
        let items = self.disk.items_of(&doc).expect("memory reads");
        let (fallen, standing): (Vec<Item>, Vec<Item>) =
            items.into_iter().filter(|i| i.kind == Kind::CHANGE).partition(|i| i.state == State::Refused);
        for (item, stands) in standing.iter().map(|i| (i, true)).chain(fallen.iter().map(|i| (i, false))) {
            let Ok(change) = Witnessed::check(&item.bytes, item.author, true) else { continue };
            let Ok(writes) = document.read(&change) else { continue };
            let Ok(reading) = matter.read(&change, &writes) else { continue };
            if !stands || document.apply(&change, &writes).is_ok() {
                matter.take(&change, reading);
            }
        }
        matter.standing().audience
    }

    /// A machine with this disk, switched off. `birth` decides all its seeds.
    pub fn new(
        node: NodeName,
        disk: Memory,
        birth: u64,
        sabotage: Sabotage,
        sites: Arc<BTreeSet<Site>>,
    ) -> Machine {
        Machine {
            node,
            disk,
            up: None,
            clock: 0,
            backups: Vec::new(),
            shown: BTreeMap::new(),
            fresh: BTreeSet::new(),
            named: BTreeMap::new(),
            audiences: BTreeMap::new(),
            checked: Position(0),
            kept: BTreeSet::new(),
            contents: BTreeMap::new(),
            rare: Vec::new(),
            dirty: true,
            retired: false,
            armed: None,
            lost: Vec::new(),
            synced: None,
            lazy: 0,
            seen: Position(0),
            lives: 0,
            own_lives: BTreeSet::new(),
            birth,
            sabotage,
            sites,
        }
    }

    /// The machine that a copy of this one's disk and memory is. It must be up.
    pub fn twin(&self) -> Machine {
        let Machine { node, disk, birth, sabotage, sites, .. } = self;
        let mut twin = Machine::new(*node, disk.clone(), *birth, *sabotage, sites.clone());
        // Its next start draws what this one's last start drew.
        twin.lives = self.lives - 1;
        twin.named = self.named.clone();
        twin
    }

    /// Switches it on. False when the power failed at once.
    pub fn start(&mut self, now: u64) -> bool {
        self.lives += 1;
        let life = if self.sabotage == Sabotage::FixedActor { 1 } else { self.lives };
        let seed = blake3::hash(format!("{} {} {life}", self.node, self.birth).as_bytes());
        let book = Book::new(self.node, self.sabotage == Sabotage::BlindSeals);
        self.disk.begin().expect("memory begins");
        let replica = Replica::open(self.node, book, *seed.as_bytes(), 64, &mut self.disk)
            .expect("what was committed can be opened");
        self.disk.commit().expect("memory commits");
        let [a, b, c, d, e, f, g, h, ..] = *seed.as_bytes();
        let vault = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let mut desk = Desk::new(vault, self.node.site(), self.sabotage, self.sites.clone());
        desk.vault.read(&self.disk);
        self.up = Some(Running { replica, desk });
        self.seen = Position(0);
        self.checked = Position(0);
        self.shown.clear();
        self.contents.clear();
        self.dirty = true;
        let own = record(self.node);
        let lost = std::mem::take(&mut self.lost);
        let done = self.transact(now, |r, store, desk| {
            r.lose(&lost, store).expect("memory writes");
            desk.vault.lose(&lost);
            r.put_directory(Kind::RECORD, &own, store, desk).expect("memory writes");
            r.seal_backlog(store).expect("memory writes");
            // A restart shows what was shown: read from the items alone.
            let docs = store.documents(None, usize::MAX).expect("memory reads");
            for (doc, _) in docs {
                if let Some((_, sheet)) = r.open_document(doc, store, desk).expect("memory reads") {
                    let shown = Shown::of(sheet);
                    desk.touched.insert(doc, shown);
                }
            }
        });
        done.crashed.is_none()
    }

    /// The power fails now.
    pub fn stop(&mut self) {
        self.up = None;
        self.armed = None;
        if let Some(synced) = self.synced.take() {
            self.disk = synced;
        }
    }

    /// The disk was replaced: what it held is not expected of the new one.
    pub fn forget_audiences(&mut self) {
        self.audiences.clear();
        self.checked = Position(0);
    }

    /// The incarnations that this machine has written with.
    pub fn own_lives(&self) -> &BTreeSet<Incarnation> {
        &self.own_lives
    }

    /// Does `work` in one transaction.
    ///
    /// # Panics
    /// When it is not up, or the replica reports damage: no fault of this world damages what was committed.
    pub fn transact<R>(
        &mut self,
        now: u64,
        work: impl FnOnce(&mut SimReplica, &mut Memory, &mut Desk) -> R,
    ) -> Done<R> {
        let crash = match &mut self.armed {
            Some((0, point)) => Some(*point),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        let mut running = self.up.take().expect("the machine is up");
        let Running { replica, desk } = &mut running;
        self.disk.begin().expect("memory begins");
        let result = work(replica, &mut self.disk, desk);
        let nothing = Done { result: None, effects: Vec::new(), written: Vec::new(), crashed: crash };
        if crash == Some(CrashPoint::Step) {
            self.disk.rollback().expect("memory takes back");
            self.stop();
            return nothing;
        }
        super::stick::open_carried(self.node, now, replica, &mut self.disk, desk);
        replica.flush(now, &mut self.disk, desk).expect("a flush");
        let wrote = confirms(self.node, now, replica, &mut self.disk, desk);
        if person::tend(now, replica, &mut self.disk, desk) || wrote {
            replica.flush(now, &mut self.disk, desk).expect("a flush");
        }
        if self.sabotage == Sabotage::Forgetful {
            desk.touched.keys().for_each(|doc| forget(self.node, &self.audiences, doc, &mut self.disk));
        }
        self.own_lives.insert(replica.incarnation());
        let touched = std::mem::take(&mut desk.touched);
        let (written, seen) = self.own_since(self.seen);
        if crash == Some(CrashPoint::Commit) {
            self.disk.rollback().expect("memory takes back");
            let effects = running.replica.effects();
            self.stop();
            if self.sabotage == Sabotage::AnswerFirst {
                return Done { result: Some(result), effects, written, crashed: crash };
            }
            return nothing;
        }
        self.commit();
        self.seen = seen;
        self.dirty = true;
        self.fresh.extend(touched.keys().copied());
        for (doc, shown) in &touched {
            self.named.entry(*doc).or_default().grow(&shown.audience);
        }
        self.shown.extend(touched);
        self.kept.append(&mut running.desk.vault.kept);
        self.rare.append(&mut running.desk.vault.rare);
        let mut effects = running.replica.effects();
        match crash {
            Some(CrashPoint::Half) => effects.truncate(effects.len() / 2),
            Some(_) => effects.clear(),
            None => {}
        }
        if crash.is_some() {
            self.stop();
            return Done { effects, written, ..nothing };
        }
        self.up = Some(running);
        Done { result: Some(result), effects, written, crashed: None }
    }

    fn commit(&mut self) {
        if self.sabotage == Sabotage::LazyDisk {
            if self.lazy == 0 {
                self.synced = Some(self.disk.clone());
            }
            self.lazy = (self.lazy + 1) % 4;
        }
        self.disk.commit().expect("memory commits");
    }

    /// Items this machine wrote after `after`: they bear its name, and either no seal yet or one of its own lives.
    fn own_since(&mut self, after: Position) -> (Vec<ItemHash>, Position) {
        let mut at = after;
        let mut own = Vec::new();
        for (position, hash, doc) in self.disk.scan(after, usize::MAX).expect("memory reads") {
            at = position;
            let Some(item) = self.disk.item(&hash).expect("memory reads") else { continue };
            if item.state == State::Refused {
                continue; // whoever asked was told
            }
            let by_me = match item.sealed {
                None => true,
                Some(sealed) => self
                    .disk
                    .seal(&sealed.seal)
                    .expect("memory reads")
                    .is_some_and(|s| self.own_lives.contains(&s.seal.words().incarnation)),
            };
            if doc.is_some() && item.author == self.node && by_me {
                own.push(hash);
            }
        }
        (own, at)
    }
}

/// Takes those out of an audience that it had before and that are neither peers nor superiors.
fn forget(me: NodeName, audiences: &BTreeMap<DocId, Audience>, doc: &DocId, disk: &mut Memory) {
    let Some(before) = audiences.get(doc) else { return };
    let peers: BTreeSet<Site> = disk.peers().expect("memory reads").into_iter().map(NodeName::site).collect();
    let ours = |site: Site| site == me.site() || site.is_above(me.site()) || peers.contains(&site);
    if let Some(mut row) = disk.document(doc).expect("memory reads") {
        row.audience = row.audience.sites().filter(|site| ours(*site) || !before.has(*site)).collect();
        disk.put_document(doc, &row).expect("memory writes");
    }
}

/// Writes the confirms that are due in what this transaction touched, as a node's engine does.
fn confirms(me: NodeName, now: u64, replica: &mut SimReplica, store: &mut Memory, desk: &mut Desk) -> bool {
    let docs: Vec<DocId> = desk.touched.keys().copied().collect();
    let mut wrote = false;
    for doc in docs {
        let due = match replica.open_document(doc, store, desk).expect("memory reads") {
            Some((_, sheet)) => confirm::due(sheet.ticket(), me.site()),
            None => None,
        };
        if let Some(op) = due {
            write_entry(doc, Entry::new(op, [], me), now, replica, store, desk)
                .expect("a confirm is written");
            wrote = true;
        }
    }
    wrote
}

/// Writes an entry on the trail's heads.
pub fn write_entry(
    doc: DocId,
    mut entry: Entry,
    now: u64,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) -> Result<EntryId, WriteError<automerge::AutomergeError>> {
    let Some((_, sheet)) = replica.open_document(doc, store, desk)? else { return Err(WriteError::Nothing) };
    entry.parents = sheet.ticket().trail_heads();
    entry.parents.sort_unstable();
    if desk.sabotage() == Sabotage::StaleParents {
        entry.parents.pop();
    }
    entry.at = Some(now.to_string());
    if matches!(entry.op, Op::Decline { .. } | Op::Reopen { .. } | Op::Reject) && entry.reason.is_none() {
        entry.reason = Some("不属本地".to_owned());
    }
    let bytes = entry.to_bytes();
    let id = EntryId::of(&bytes);
    replica.write(Some(doc), store, desk, |document, tx| {
        let trail = document.part("trail").ok_or(automerge::AutomergeError::Fail)?;
        tx.put(&trail, id.to_string(), bytes)
    })?;
    Ok(id)
}
