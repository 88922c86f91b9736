//! The oracle: what was acknowledged, and who wrote what. It stands outside every node and forgets nothing.

use std::collections::{BTreeMap, BTreeSet};

use certs::{NodeName, Site};
use node::ticket::entry::EntryId;
use sync::digest::Expanded;
use sync::id::{DocId, ItemHash};
use sync::store::Store;
use sync::store::memory::Memory;

use super::content::Attached;

/// Something a node said is saved.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// The ticket.
    pub doc: DocId,
    /// Who said so.
    pub by: NodeName,
    /// A machine that held it when last looked for.
    pub home: usize,
}

/// A ticket with a caller, and who may be shown whom: told by the one who watches all desks, not by the fold.
#[derive(Clone, Debug)]
pub struct Called {
    /// The site that took the call.
    pub taken_by: Site,
    /// Only desks see who it was.
    pub confidential: bool,
    /// The site that the report is about.
    pub against: Option<Site>,
    /// The sites that an entitled offer, accept or assign named.
    pub named: BTreeSet<Site>,
    /// The sites that were granted the key on request.
    pub asked: BTreeSet<Site>,
}

impl Called {
    /// Whether a site may ever be shown the caller.
    pub fn may_see(&self, site: Site) -> bool {
        let ours = [Some(self.taken_by), self.taken_by.province()].contains(&Some(site));
        if !self.confidential {
            return ours || self.named.contains(&site) || self.asked.contains(&site);
        }
        let about_us = [Some(self.taken_by), self.taken_by.province()].contains(&self.against);
        let alone = self.taken_by.province().is_none_or(|p| p == self.taken_by);
        let upwards = site == Site::MINISTRY && (about_us || alone);
        Some(site) != self.against && (ours || upwards || self.asked.contains(&site))
    }
}

/// See the module.
#[derive(Default)]
pub struct Oracle {
    /// The tickets of the calls that were acknowledged.
    pub tickets: BTreeMap<u32, DocId>,
    /// The articles that were acknowledged.
    pub articles: BTreeMap<u32, DocId>,
    /// Everything acknowledged and not excused.
    pub acked: BTreeMap<ItemHash, Acked>,
    /// Who wrote each item that was ever durable or said. Two replicas may vouch with the same bytes.
    pub written: BTreeMap<ItemHash, BTreeSet<NodeName>>,
    /// Which change of a document took each actor and sequence number.
    pub places: BTreeMap<(DocId, Vec<u8>, u64), ItemHash>,
    /// What each set of entries of a ticket folds to, and who showed it first.
    pub states: BTreeMap<(DocId, BTreeSet<EntryId>), ([u8; 32], NodeName)>,
    /// The digests' form of every item.
    pub expanded: BTreeMap<ItemHash, Expanded>,
    /// Nodes that somebody has revoked.
    pub revoked: BTreeSet<NodeName>,
    /// How many revocations were signed.
    pub revocations: u32,
    /// The callers of tickets that have one.
    pub callers: BTreeMap<DocId, Called>,
    /// Every file that was ever attached.
    pub files: BTreeMap<ItemHash, Attached>,
    /// Nodes a disk of which was replaced or copied.
    pub replaced: BTreeSet<NodeName>,
    /// Nodes whose keys sealed what no replica wrote: of those, places may be taken twice.
    pub forgers: BTreeSet<NodeName>,
}

impl Oracle {
    /// Notes what a node wrote in a transaction; `answered` when whoever asked was told that it is saved.
    pub fn note(&mut self, node: NodeName, m: usize, items: &[ItemHash], answered: bool, disk: &mut Memory) {
        for hash in items {
            self.written.entry(*hash).or_default().insert(node);
            // An item that was undone after the answer is no longer on the disk, and was acknowledged all the same.
            let doc = disk.item(hash).expect("memory reads").and_then(|i| i.doc);
            if answered {
                let doc = doc.unwrap_or(DocId::from(*hash));
                self.acked.entry(*hash).or_insert(Acked { doc, by: node, home: m });
            }
        }
    }

    /// Notes what stands unsealed on a disk that was just started: its writer's earlier life made it durable.
    pub fn note_all(&mut self, node: NodeName, m: usize, disk: &mut Memory) {
        let unsealed: Vec<ItemHash> =
            disk.unsealed(usize::MAX).expect("memory reads").into_iter().map(|(h, _)| h).collect();
        self.note(node, m, &unsealed, false, disk);
    }

    /// The digest's form of an item, computed once.
    pub fn expanded(&mut self, hash: &ItemHash) -> &Expanded {
        self.expanded.entry(*hash).or_insert_with(|| Expanded::new(hash))
    }
}
