//! The directory: every node's records and every authority's newest revocation list, as one node knows them.
//!
//! Promises: what is in it was verified. The newest record of a node and the standing of a node are functions of the
//! set of items held, whatever the order of their arrival. Of an issuer's lists only the one with the highest number
//! is held, and never an older one instead. Clocks play no part.
//!
//! ```text
//! record      -> New | Known | Older | Conflict | refused      all records of a node are kept: its old seals need them
//! revocation  -> New | Known | Older | Conflict | refused      one per issuer is kept
//! ```
//!
//! `Older` of a list and every `Conflict` are for an operator to see: somebody's backup was restored, or somebody
//! plays an old list back.
//!
//! Left to others: storing items (the caller rebuilds this view from them), sending them, the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::chain::{self, ChainError, Dates, IssuerId, Leaf};
use crate::record::{NodeRecord, RecordError, record_hash};
use crate::revocation::{Entry, Reason, RevocationError, RevocationList, Subject, revocation_hash};
use crate::root::Root;
use crate::{BoxKey, NodeName, SigningKey, Site, UnixTime, Verified};

/// Records of one node, at most: a monthly rotation for twenty years.
pub const MAX_RECORDS: usize = 256;

/// What became of an item that was good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is the newest of its kind now.
    New,
    /// It was here already.
    Known,
    /// There is a newer one. An older record is kept, an older revocation list is not and raises an alarm.
    Older,
    /// Another one bears the same number. Both records are kept; of two lists the one with more entries, then the
    /// smaller hash. Raises an alarm.
    Conflict {
        /// The other one's hash.
        with: [u8; 32],
    },
}

/// How a node stands with its authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its newest record's certificate was not revoked.
    Member,
    /// It was.
    Revoked(Revocation),
    /// Nothing is known about it.
    Unknown,
}

/// How a certificate came to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose list says so.
    pub issuer: IssuerId,
    /// The list's number.
    pub number: u64,
    /// Whose certificate the list names: the node's, or its whole authority's.
    pub subject: Subject,
    /// The last seals that count.
    pub counts: Vec<[u8; 32]>,
    /// Why.
    pub reason: Reason,
    /// When, by the authority's clock.
    pub at: UnixTime,
}

/// A node whose certificate ends soon, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// Which.
    pub node: NodeName,
    /// Whole days left; negative when it has ended.
    pub days: i64,
}

#[derive(Clone, Debug)]
struct Held {
    list: Verified<RevocationList>,
    parsed: Arc<CertRevocationList<'static>>,
}

/// The records of one node, by number, then by hash.
type Records = BTreeMap<(u64, [u8; 32]), Verified<NodeRecord>>;

/// The directory of one node.
#[derive(Clone, Debug)]
pub struct Directory {
    root: Root,
    records: BTreeMap<NodeName, Records>,
    lists: BTreeMap<IssuerId, Held>,
}

impl Directory {
    /// An empty directory under this root.
    pub fn new(root: Root) -> Directory {
        Directory { root, records: BTreeMap::new(), lists: BTreeMap::new() }
    }

    /// The pinned root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Verifies a record from outside and takes it in.
    pub fn admit_record(&mut self, bytes: &[u8]) -> Result<Admitted, RecordError> {
        let hash = record_hash(bytes);
        if self.all_records().any(|r| *r.hash() == hash) {
            return Ok(Admitted::Known);
        }
        let record = NodeRecord::verify(bytes, &self.root)?;
        self.insert_record(record)
    }

    /// Takes in a record that was verified or made here.
    pub fn insert_record(&mut self, record: Verified<NodeRecord>) -> Result<Admitted, RecordError> {
        let (node, number, hash) = (record.node, record.number, *record.hash());
        let of_node = self.records.entry(node).or_default();
        if of_node.contains_key(&(number, hash)) {
            return Ok(Admitted::Known);
        }
        if of_node.len() >= MAX_RECORDS {
            return Err(RecordError::TooMany(node));
        }
        // A node that lost everything and was enrolled anew begins at 1 again: that is no conflict.
        let twin = of_node.values().find(|r| r.number == number && r.leaf.links == record.leaf.links);
        let twin = twin.map(|r| *r.hash());
        of_node.insert((number, hash), record);
        Ok(match twin {
            Some(with) => Admitted::Conflict { with },
            None if self.record(node).is_some_and(|r| *r.hash() == hash) => Admitted::New,
            None => Admitted::Older,
        })
    }

    /// Reads back a record that this node had verified before it stored it.
    pub fn reload_record(&mut self, bytes: &[u8]) -> Result<Admitted, RecordError> {
        let record = NodeRecord::reload(bytes, &self.root)?;
        self.insert_record(record)
    }

    /// Verifies a revocation list, from outside or from storage, and takes it in unless a newer one is here.
    pub fn admit_revocation(&mut self, bytes: &[u8]) -> Result<Admitted, RevocationError> {
        let hash = revocation_hash(bytes);
        if self.lists.values().any(|h| *h.list.hash() == hash) {
            return Ok(Admitted::Known);
        }
        let list = RevocationList::verify(bytes, &self.root)?;
        let parsed = OwnedCertRevocationList::from_der(&list.crl).map_err(|_| RevocationError::Malformed)?;
        let outcome = match self.lists.get(&list.issuer).map(|h| &h.list) {
            Some(held) if held.number > list.number => return Ok(Admitted::Older),
            Some(held) if held.number == list.number => {
                let outcome = Admitted::Conflict { with: *held.hash() };
                let rank = |l: &RevocationList| (std::cmp::Reverse(l.entries.len()), *l.hash());
                if rank(held) < rank(&list) {
                    return Ok(outcome);
                }
                outcome
            }
            _ => Admitted::New,
        };
        self.lists.insert(list.issuer, Held { list, parsed: Arc::new(parsed.into()) });
        Ok(outcome)
    }

    fn all_records(&self) -> impl Iterator<Item = &Verified<NodeRecord>> {
        self.records.values().flat_map(BTreeMap::values)
    }

    /// The newest record of a node: not revoked before revoked, then the later certificate, the higher number, the
    /// smaller hash. A thief with an old key counts its numbers up in vain.
    pub fn record(&self, node: NodeName) -> Option<&Verified<NodeRecord>> {
        let rank = |r: &Verified<NodeRecord>| {
            (self.revocation(&r.leaf).is_none(), r.leaf.from, r.number, std::cmp::Reverse(*r.hash()))
        };
        self.records.get(&node)?.values().max_by_key(|r| rank(r))
    }

    /// All records of a node, by number.
    pub fn records(&self, node: NodeName) -> impl Iterator<Item = &Verified<NodeRecord>> {
        self.records.get(&node).into_iter().flat_map(BTreeMap::values)
    }

    /// The records of a node that name this signing key: a seal under it verifies by it, and counts as they stand.
    pub fn records_of_key(
        &self,
        node: NodeName,
        key: SigningKey,
    ) -> impl Iterator<Item = &Verified<NodeRecord>> {
        self.records(node).filter(move |r| r.signing_key == key)
    }

    /// The signing keys that a node has ever used, the newest first: seals by any of them verify.
    pub fn signing_keys(&self, node: NodeName) -> Vec<SigningKey> {
        let mut keys: Vec<SigningKey> = self.record(node).map(|r| r.signing_key).into_iter().collect();
        for record in self.records(node).collect::<Vec<_>>().into_iter().rev() {
            if !keys.contains(&record.signing_key) {
                keys.push(record.signing_key);
            }
        }
        keys
    }

    /// The key to seal to for a member; `None` for anybody else.
    pub fn box_key(&self, node: NodeName) -> Option<BoxKey> {
        self.member(node).map(|r| r.node_box)
    }

    /// The key to seal to for a member's confidential desk; `None` for anybody else.
    pub fn desk_key(&self, node: NodeName) -> Option<BoxKey> {
        self.member(node).map(|r| r.desk)
    }

    fn member(&self, node: NodeName) -> Option<&Verified<NodeRecord>> {
        self.record(node).filter(|r| self.revocation(&r.leaf).is_none())
    }

    /// All nodes with a record, by name.
    pub fn nodes(&self) -> impl Iterator<Item = NodeName> {
        self.records.keys().copied()
    }

    /// The nodes that write for a site, by name, revoked ones among them.
    pub fn nodes_of(&self, site: Site) -> impl Iterator<Item = NodeName> {
        self.records.range(NodeName::from(site)..).map(|(n, _)| *n).take_while(move |n| n.site() == site)
    }

    /// How a node stands: its newest record decides, and without one what the lists say about its name.
    pub fn standing(&self, node: NodeName) -> Standing {
        let revocation = match self.record(node) {
            Some(record) => match self.revocation(&record.leaf) {
                None => return Standing::Member,
                found => found,
            },
            None => self.revocations_of(node).next(),
        };
        revocation.map_or(Standing::Unknown, Standing::Revoked)
    }

    /// What revokes this certificate: its own entry before its authority's.
    pub fn revocation(&self, leaf: &Leaf) -> Option<Revocation> {
        leaf.links.iter().find_map(|(issuer, serial)| {
            let held = self.lists.get(issuer)?;
            held.list.entry(serial).map(|entry| revocation(&held.list, entry))
        })
    }

    /// Every revocation that names this node, whatever certificates it has had since.
    pub fn revocations_of(&self, node: NodeName) -> impl Iterator<Item = Revocation> {
        let all = self.lists.values().flat_map(|h| h.list.entries.iter().map(|e| (&h.list, e)));
        all.filter(move |(_, e)| e.subject == Subject::Node(node)).map(|(list, e)| revocation(list, e))
    }

    /// The nodes that are revoked now, by name.
    pub fn revoked_nodes(&self) -> Vec<NodeName> {
        let listed = self.lists.values().flat_map(|h| &h.list.entries).filter_map(|e| match e.subject {
            Subject::Node(node) => Some(node),
            Subject::Authority(_) => None,
        });
        let mut nodes: Vec<NodeName> = self.nodes().chain(listed).collect();
        nodes.sort();
        nodes.dedup();
        nodes.retain(|n| matches!(self.standing(*n), Standing::Revoked(_)));
        nodes
    }

    /// The revocation lists held, by issuer.
    pub fn lists(&self) -> impl Iterator<Item = &Verified<RevocationList>> {
        self.lists.values().map(|h| &h.list)
    }

    /// Members whose certificate, or their authority's, ends within so many days or has ended, soonest first.
    pub fn expiring(&self, now: UnixTime, within_days: i64) -> Vec<Expiring> {
        let mut soon: Vec<Expiring> = self
            .nodes()
            .filter_map(|node| Some(Expiring { node, days: now.days_until(self.member(node)?.leaf.until) }))
            .filter(|e| e.days <= within_days)
            .collect();
        soon.sort_by_key(|e| (e.days, e.node));
        soon
    }

    /// Everything held, as it travels: hash and bytes, lists before records.
    pub fn items(&self) -> impl Iterator<Item = ([u8; 32], &Arc<[u8]>)> {
        let lists = self.lists().map(|l| (*l.hash(), l.bytes()));
        lists.chain(self.all_records().map(|r| (*r.hash(), r.bytes())))
    }

    /// What links believe now. Take a new one whenever a revocation was admitted or clock doubt begins or ends, and
    /// check live connections against it.
    pub fn trust(&self, clock_doubt: bool) -> Trust {
        Trust {
            root: self.root.clone(),
            lists: self.lists.values().map(|h| h.parsed.clone()).collect(),
            clock_doubt,
        }
    }
}

fn revocation(list: &RevocationList, entry: &Entry) -> Revocation {
    Revocation {
        issuer: list.issuer,
        number: list.number,
        subject: entry.subject,
        counts: entry.counts.clone(),
        reason: entry.reason,
        at: entry.at,
    }
}

/// A snapshot of root and revocations by which peers are judged.
#[derive(Clone, Debug)]
pub struct Trust {
    root: Root,
    lists: Vec<Arc<CertRevocationList<'static>>>,
    clock_doubt: bool,
}

impl Trust {
    /// Judges a peer's chain, leaf first, at certificate time `now`. In clock doubt the dates are not asked, and
    /// everything else is.
    pub fn check(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Leaf, ChainError> {
        let dates = if self.clock_doubt { Dates::OwnStart } else { Dates::At(now) };
        self.check_at(chain, dates)
    }

    /// Judges a chain by root and revocations, with or without its dates.
    pub fn check_at(&self, chain: &[CertificateDer<'_>], dates: Dates) -> Result<Leaf, ChainError> {
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().map(Arc::as_ref).collect();
        chain::check(chain, &self.root, &lists, dates)
    }

    /// Whether dates are not asked.
    pub fn clock_doubt(&self) -> bool {
        self.clock_doubt
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }
}
