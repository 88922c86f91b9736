//! Persons, as a simulated node looks after them: whose the grants are, who lacks one, what an erased mark takes.
//!
//! The rules are the product's own (`readers`, `place`, `Erasure`, `receipt`); when a node acts on them is told here once
//! more, as its engine does it. A grant is left unsealed, since sealing draws entropy and a run is a function of its
//! seed: that nobody else opens a grant is proved where it is real (`node::vault`, and tests/households.rs).

use std::collections::{BTreeMap, BTreeSet};

use certs::{NodeName, Site};
use node::ticket::erasure::receipt;
use node::ticket::readers::{Readers, place, readers};
use serde::{Deserialize, Serialize};
use sync::id::{DocId, ItemHash};
use sync::item::{Item, Kind, State};
use sync::store::Store;
use sync::store::memory::Memory;

use super::chance::Chance;
use super::machine::SimReplica;
use super::sabotage::Sabotage;
use super::sheet::Desk;

/// How long a holder waits for the one that ranks before it, in milliseconds.
pub const PATIENCE_MS: u64 = 86_400_000;

/// How often lacks are looked at again, in milliseconds.
const SWEEP_MS: u64 = 3_600_000;

/// The key of a ticket.
pub type Key = [u8; 16];

/// Who a ticket's caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: nothing of the ticket is sealed.
    Unnamed,
    /// Somebody.
    Named,
    /// A confidential reporter.
    Confidential,
    /// A confidential reporter, whose report is about the site that takes the call.
    Against,
}

/// A ticket's key for one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who can open it.
    pub to: NodeName,
    /// Whether only its confidential desk can.
    pub desk: bool,
    key: Key,
    /// Two grants of one key to one node are two items, as sealing makes them.
    salt: u64,
}

/// What a machine knows of grants: derived from items, and read from them at every start.
pub struct Vault {
    held: BTreeMap<DocId, BTreeMap<ItemHash, Grant>>,
    lack: BTreeMap<DocId, u64>,
    swept: u64,
    met: usize,
    chance: Chance,
    sabotage: Sabotage,
    /// Documents under which a grant, a mark or a receipt has come in this transaction.
    pub kept: BTreeSet<DocId>,
    /// Rare states met in this transaction.
    pub rare: Vec<&'static str>,
}

impl Vault {
    /// Of a machine that holds nothing yet.
    pub fn new(seed: u64, sabotage: Sabotage) -> Vault {
        Vault {
            held: BTreeMap::new(),
            lack: BTreeMap::new(),
            swept: 0,
            met: 0,
            chance: Chance::new(seed),
            sabotage,
            kept: BTreeSet::new(),
            rare: Vec::new(),
        }
    }

    /// Reads what a disk holds.
    pub fn read(&mut self, disk: &Memory) {
        for item in disk.items() {
            self.keep(item);
        }
        self.rare.clear();
    }

    /// An item has come under a document, or was emptied there.
    pub fn keep(&mut self, item: &Item) {
        let Some(doc) = item.doc else { return };
        match (item.kind, item.state) {
            (Kind::GRANT, State::Emptied) => {
                self.kept.insert(doc);
                let gone = self.sabotage != Sabotage::KeptKeys
                    && self.held.get_mut(&doc).is_some_and(|held| held.remove(&item.hash).is_some());
                if !gone {
                    self.rare.push("a grant that came after its mark");
                }
            }
            (Kind::GRANT, _) => {
                self.kept.insert(doc);
                if let Ok(grant) = postcard::from_bytes(&item.bytes) {
                    self.held.entry(doc).or_default().insert(item.hash, grant);
                }
            }
            (Kind::ERASED | Kind::RECEIPT, _) => drop(self.kept.insert(doc)),
            _ => {}
        }
    }

    /// These grants' bytes are gone from the disk.
    pub fn lose(&mut self, lost: &[ItemHash]) {
        self.held.values_mut().for_each(|held| held.retain(|hash, _| !lost.contains(hash)));
    }

    /// Whether a node opens a ticket's caller here.
    pub fn opens(&self, doc: &DocId, node: NodeName) -> bool {
        self.held.get(doc).is_some_and(|held| held.values().any(|g| g.to == node))
    }

    /// Whether a node has the key here, as its desk or as itself.
    pub fn has_key(&self, doc: &DocId, node: NodeName, desk: bool) -> bool {
        self.key(doc, node, desk).is_some()
    }

    fn key(&self, doc: &DocId, node: NodeName, desk: bool) -> Option<Key> {
        self.held.get(doc)?.values().find(|g| g.to == node && g.desk == desk).map(|g| g.key)
    }
}

/// Whether a mark of this document stands on a disk.
pub fn erased(store: &mut Memory, doc: &DocId) -> bool {
    let marks = store.items_of_kind(doc, Kind::ERASED).expect("memory reads");
    marks.iter().any(|m| m.state == State::Counted)
}

fn members_of(replica: &SimReplica, sites: &BTreeSet<Site>) -> Vec<NodeName> {
    replica.trust().members().filter(|node| sites.contains(&node.site())).collect()
}

/// Grants a key to nodes, or to their desks.
fn grant_nodes(
    doc: DocId,
    key: Key,
    nodes: &[NodeName],
    with_desk: bool,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) {
    for to in nodes {
        let grant = Grant { to: *to, desk: with_desk, key, salt: desk.vault.chance.word() };
        let bytes = postcard::to_stdvec(&grant).expect("plain values have a byte form");
        replica.put(doc, Kind::GRANT, bytes, store, desk).expect("memory writes");
    }
}

fn readers_of(
    doc: DocId,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &Desk,
) -> Option<(node::ticket::Folded, Readers)> {
    let (_, sheet) = replica.open_document(doc, store, desk).expect("memory reads")?;
    let folded = sheet.ticket().folded()?;
    Some((folded.clone(), readers(folded, sheet.ticket().entries())))
}

/// Grants the key of a ticket that was just made to whoever is to see its caller.
pub fn grant_first(doc: DocId, key: Key, replica: &mut SimReplica, store: &mut Memory, desk: &mut Desk) {
    if let Some((_, readers)) = readers_of(doc, replica, store, desk) {
        let nodes = members_of(replica, &readers.sites);
        grant_nodes(doc, key, &nodes, readers.desk, replica, store, desk);
    }
}

/// A desk grants the key to a site that asked for it; whether it had one to grant.
pub fn grant_asked(
    doc: DocId,
    to: Site,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) -> bool {
    let Some((folded, readers)) = readers_of(doc, replica, store, desk) else { return false };
    let holds = store.document(&doc).expect("memory reads").unwrap_or_default().audience.has(to);
    let about_it = readers.desk && folded.created.against == Some(to);
    let Some(key) = desk.vault.key(&doc, replica.me(), readers.desk) else { return false };
    if !holds || about_it || erased(store, &doc) {
        return false;
    }
    let nodes = members_of(replica, &BTreeSet::from([to]));
    grant_nodes(doc, key, &nodes, readers.desk, replica, store, desk);
    true
}

/// Looks after the persons of documents that changed, that have lacked a grant for long, or that a new node may be
/// entitled to. Whether it wrote anything.
pub fn tend(now: u64, replica: &mut SimReplica, store: &mut Memory, desk: &mut Desk) -> bool {
    let mut wrote = false;
    let mut docs: BTreeMap<DocId, usize> = BTreeMap::new();
    if desk.vault.met != replica.trust().changes() {
        desk.vault.met = replica.trust().changes();
        docs.extend(desk.vault.held.keys().map(|doc| (*doc, 0)));
    }
    docs.extend(desk.touched.keys().chain(&desk.vault.kept).map(|doc| (*doc, 0)));
    if now.abs_diff(desk.vault.swept) >= SWEEP_MS {
        desk.vault.swept = now;
        for (doc, since) in &mut desk.vault.lack {
            *since = (*since).min(now); // noted by a clock that was ahead
            let days = now.saturating_sub(*since) / PATIENCE_MS;
            if days > 0 {
                docs.insert(*doc, days as usize);
            }
        }
    }
    for (doc, rank) in docs {
        if erased(store, &doc) {
            let bytes = receipt(&doc, replica.me());
            if store.state(&Kind::RECEIPT.hash(&bytes)).expect("memory reads").is_none() {
                replica.put(doc, Kind::RECEIPT, bytes, store, desk).expect("memory writes");
                wrote = true;
            }
            continue;
        }
        wrote |= supply(now, doc, rank, replica, store, desk);
    }
    wrote
}

/// Sees to it that whoever is entitled has a grant; `rank` holders that stand before this one are not waited for.
fn supply(
    now: u64,
    doc: DocId,
    rank: usize,
    replica: &mut SimReplica,
    store: &mut Memory,
    desk: &mut Desk,
) -> bool {
    let me = replica.me();
    if !desk.vault.opens(&doc, me) || desk.vault.sabotage == Sabotage::Miser {
        return false;
    }
    let Some((_, mut readers)) = readers_of(doc, replica, store, desk) else { return false };
    if desk.vault.sabotage == Sabotage::OpenHanded {
        let row = store.document(&doc).expect("memory reads").unwrap_or_default();
        readers.sites.extend(row.audience.sites());
    }
    let members: BTreeSet<NodeName> = replica.trust().members().collect();
    let grants = desk.vault.held.get(&doc).into_iter().flat_map(BTreeMap::values);
    let held: BTreeSet<NodeName> =
        grants.filter(|g| g.desk == readers.desk && members.contains(&g.to)).map(|g| g.to).collect();
    let held: Vec<NodeName> = held.into_iter().collect();
    let mut lacking = members_of(replica, &readers.sites);
    lacking.retain(|node| !held.contains(node));
    let key = desk.vault.key(&doc, me, readers.desk);
    let (false, Some(key)) = (lacking.is_empty(), key) else {
        desk.vault.lack.remove(&doc);
        return false;
    };
    let mut mine = lacking.clone();
    mine.retain(|node| place(me, *node, &held, &readers) <= rank);
    if mine.len() < lacking.len() {
        desk.vault.lack.entry(doc).or_insert(now);
    } else {
        desk.vault.lack.remove(&doc);
    }
    if mine.is_empty() {
        return false;
    }
    desk.vault.rare.push(if rank == 0 {
        "a grant by a holder"
    } else {
        "a grant by a holder that had waited"
    });
    grant_nodes(doc, key, &mine, readers.desk, replica, store, desk);
    true
}
