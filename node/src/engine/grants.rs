//! Grants: whoever is entitled to a ticket's key gets it from somebody who has it.
//!
//! Whoever entitles a site adds its grant at once, if it can. Where that did not happen (it could not, the record of the
//! node was not here yet, a new replica of the site came later), every holder sees the lack, and all of them rank
//! themselves alike: a replica of the same site first, then the custodian's nodes, the superiors of who lacks it, the
//! site that took the call, the rest by name. The first acts at once, the second after a day, the third after two: so
//! not everybody acts, and a holder that is down does not matter. Two grants of one key to one node do no harm.

use std::collections::BTreeSet;

use certs::{BoxKey, NodeName, Site};
use serde_json::json;
use sync::id::DocId;
use sync::item::Kind;
use sync::store::Store;

use super::{Engine, failed};
use crate::projection;
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::readers::{Readers, place, readers};
use crate::vault::holders::{self, Holder};
use crate::vault::{KeyId, TicketKey};

/// How long a holder waits for the one that ranks before it, in milliseconds.
const PATIENCE: u64 = 86_400_000;

/// How often lacks are looked at again, in milliseconds.
const SWEEP: u64 = 3_600_000;

/// Lacks looked at in one transaction.
const LOOK: usize = 64;

/// Documents that a round looks at in one transaction, and how many of them it supplies.
const ROUND: usize = 256;

/// The keys of a ticket that grants speak of; one that none of them names when none says which it is.
fn keys_of(held: &[Holder]) -> BTreeSet<Option<KeyId>> {
    let named: BTreeSet<_> = held.iter().map(|h| h.which).filter(Option::is_some).collect();
    if named.is_empty() { BTreeSet::from([None]) } else { named }
}

/// Who lacks a grant of a ticket's key.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lacks {
    /// Those whom this node is to grant it to, each with the key.
    mine: Vec<(Option<KeyId>, NodeName)>,
    /// Others are to see to somebody.
    others: bool,
}

impl Engine {
    /// Grants a ticket's key to one node, or to its confidential desk; false when its record is not here.
    pub(super) fn grant_node(
        &mut self,
        doc: &DocId,
        key: &TicketKey,
        node: NodeName,
        desk: bool,
    ) -> Result<bool, Failure> {
        let Some(to) = self.box_of(node, desk) else { return Ok(false) };
        let bytes =
            key.grant(doc, node, desk, &to).map_err(|e| failed("a ticket's key could not be granted", e))?;
        self.replica.put(*doc, Kind::GRANT, bytes, &mut self.store, &mut self.desk)?;
        Ok(true)
    }

    /// What a node, or its confidential desk, is granted keys under; `None` when its record is not here.
    pub(super) fn box_of(&self, node: NodeName, desk: bool) -> Option<BoxKey> {
        let directory = self.replica.trust().directory();
        if desk { directory.desk_key(node) } else { directory.box_key(node) }
    }

    /// Grants a ticket's key to every node of these sites.
    pub(super) fn grant_sites(
        &mut self,
        doc: &DocId,
        key: &TicketKey,
        readers: &Readers,
    ) -> Result<(), Failure> {
        for node in self.members_of(&readers.sites) {
            self.grant_node(doc, key, node, readers.desk)?;
        }
        Ok(())
    }

    /// The nodes of these sites that are members, as far as their records are here.
    pub(super) fn members_of(&self, sites: &BTreeSet<Site>) -> Vec<NodeName> {
        let directory = self.replica.trust().directory();
        let all = sites.iter().flat_map(|site| directory.nodes_of(*site));
        all.filter(|node| directory.box_key(*node).is_some()).collect()
    }

    pub(super) fn readers(&mut self, doc: DocId) -> Result<Option<Readers>, Failure> {
        self.with_document(doc, |_, matter| Some(readers(matter.folded()?, matter.entries())))
    }

    /// Sees to it that whoever is entitled to the ticket's key has a grant. `rank`: how many holders that stand before
    /// this node are not waited for any more. Whether it wrote one.
    fn supply(&mut self, doc: DocId, rank: usize) -> Result<bool, Failure> {
        let me = self.me();
        let held = holders::of(self.store.apart(), &doc)?;
        if !held.iter().any(|h| h.node == me) {
            holders::supplied(self.store.apart(), &doc)?; // not by this node, until it gets a grant
            return Ok(false);
        }
        // Where by the ticket's row nobody lacks one it need not be loaded, as when grants come later than their tickets.
        if let Some(readers) = projection::readers(self.store.connection(), &doc)?
            && self.lacks(doc, rank, &held, &readers)? == Lacks::default()
        {
            holders::supplied(self.store.apart(), &doc)?;
            return Ok(false);
        }
        let Some(readers) = self.readers(doc)? else { return Ok(false) };
        let Lacks { mine, others } = self.lacks(doc, rank, &held, &readers)?;
        match others {
            true => holders::lacking(self.store.apart(), &doc, self.now)?,
            false => holders::supplied(self.store.apart(), &doc)?,
        }
        if mine.is_empty() {
            return Ok(false);
        }
        let mut wrote = false;
        for key in self.keys(doc, readers.desk)? {
            let lack = |(which, _): &&(Option<KeyId>, _)| which.is_none_or(|which| which == key.id());
            for (_, node) in mine.iter().filter(lack) {
                wrote |= self.grant_node(&doc, &key, *node, readers.desk)?;
            }
        }
        Ok(wrote)
    }

    /// Which of the readers' nodes lack a grant, when these have one.
    fn lacks(
        &mut self,
        doc: DocId,
        rank: usize,
        held: &[Holder],
        readers: &Readers,
    ) -> Result<Lacks, Failure> {
        let me = self.me();
        let held: Vec<Holder> =
            held.iter().copied().filter(|h| h.desk == readers.desk && self.is_member(h.node)).collect();
        let entitled = self.members_of(&readers.sites);
        let mut keys = keys_of(&held);
        // A grant of this node that does not say which key it is of is opened where others say so.
        let own = match keys.contains(&None) || held.iter().all(|h| h.node != me || h.which.is_some()) {
            true => None,
            false => Some(self.keys(doc, readers.desk)?.iter().map(|key| Some(key.id())).collect()),
        };
        keys.extend(own.iter().flatten());
        let mut lacks = Lacks::default();
        for which in keys {
            let mut have: BTreeSet<NodeName> = held.iter().filter(|h| h.has(which)).map(|h| h.node).collect();
            if own.as_ref().is_some_and(|own: &BTreeSet<Option<KeyId>>| !own.contains(&which)) {
                have.remove(&me);
            }
            if !have.contains(&me) {
                continue;
            }
            let have: Vec<NodeName> = have.into_iter().collect();
            for node in entitled.iter().filter(|node| !have.contains(node)) {
                match place(me, *node, &have, readers) <= rank {
                    true => lacks.mine.push((which, *node)),
                    false => lacks.others = true,
                }
            }
        }
        Ok(lacks)
    }

    fn is_member(&self, node: NodeName) -> bool {
        self.replica.trust().directory().box_key(node).is_some()
    }

    /// Looks after the grants of documents that changed, that have lacked one for long, and that a new node is entitled
    /// to. Whether it wrote any.
    pub(super) fn supply_due(&mut self, docs: &BTreeSet<DocId>) -> Result<bool, Failure> {
        let mut wrote = false;
        for doc in docs {
            wrote |= self.supply(*doc, 0)?;
        }
        if self.now.abs_diff(self.swept) >= SWEEP {
            self.swept = self.now;
            holders::set_back(self.store.apart(), self.now)?;
            let before = self.now.saturating_sub(PATIENCE);
            for (doc, since) in holders::lacking_since(self.store.apart(), before, LOOK)? {
                let days = self.now.saturating_sub(since) / PATIENCE;
                wrote |= self.supply(doc, usize::try_from(days).unwrap_or(usize::MAX))?;
            }
        }
        Ok(wrote | self.make_round()?)
    }

    /// Goes on with the round for new nodes: the documents that their sites must hold, a page at a time.
    fn make_round(&mut self) -> Result<bool, Failure> {
        let changes = self.replica.trust().changes();
        if self.met != Some(changes) {
            holders::meet(self.store.apart(), self.replica.trust().directory().nodes())?;
            self.met = Some(changes);
            self.rounds = true;
        }
        if !self.rounds {
            return Ok(false);
        }
        let Some((nodes, after)) = holders::round(self.store.apart())? else {
            self.rounds = false;
            return Ok(false);
        };
        let page = self.store.documents(after, ROUND)?;
        let mut wrote = false;
        for (doc, row) in &page {
            if nodes.iter().any(|node| row.audience.has(node.site())) {
                wrote |= self.supply(*doc, 0)?;
            }
        }
        holders::round_at(self.store.apart(), page.last().map(|(doc, _)| doc))?;
        Ok(wrote)
    }

    /// Grants a ticket's key on request, which is logged.
    pub(super) fn grant(&mut self, id: &str, to: &str, reason: &str, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let to: NodeName = to.parse().map_err(|e| Failure::new(FailureKind::Usage, e))?;
        let me = self.me().to_string();
        let (user, reason) = Engine::asker(Some(user.unwrap_or(&me)), reason)?;
        let known = self.with_document(doc, |_, matter| {
            let folded = matter.folded()?;
            Some((folded.created.against, readers(folded, matter.entries())))
        })?;
        let (against, readers) = known
            .ok_or_else(|| Failure::new(FailureKind::NeedsPerson, "the ticket's beginning does not count"))?;
        if self.erased(doc)?.is_some() {
            return Err(Failure::new(FailureKind::Failed, "the caller's data of this ticket was erased"));
        }
        let site = to.site();
        if !self.store.document(&doc)?.unwrap_or_default().audience.has(site) {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{} does not hold this ticket", self.named(site)),
            )
            .hint("offer the ticket to it: then it gets the key too"));
        }
        if readers.desk && against == Some(site) {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("the report is about {}: it never sees who made it", self.named(site)),
            ));
        }
        let keys = self.keys(doc, readers.desk)?;
        if keys.is_empty() {
            return Err(Failure::new(FailureKind::Failed, "this node has no key to grant")
                .hint("a site that took the call, its province, or one that held the ticket can grant it"));
        }
        // Also to a node that has a grant: it asks because that one does not open.
        let mut granted = BTreeSet::new();
        for node in self.members_of(&BTreeSet::from([site])) {
            for key in &keys {
                if self.grant_node(&doc, key, node, readers.desk)? {
                    granted.insert(node);
                }
            }
        }
        if granted.is_empty() {
            return Err(Failure::new(FailureKind::TryAgain, format!("no record of {to} is here yet"))
                .hint("it comes with the next link to its province; then try again"));
        }
        self.log_reveal("grant", Some(&doc), user, &format!("{to}: {reason}"))?;
        Ok(json!({ "id": doc.to_string(), "to": granted, "desk": readers.desk }))
    }
}
