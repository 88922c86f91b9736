//! What an operator reads of the replica, and what makes it whole again.

use certs::NodeName;
use serde_json::{Value, json};
use sync::id::ItemHash;
use sync::item::{Kind, State};
use sync::matter::Domain;
use sync::replica::{Lacking, Why};
use sync::store::Store;
use sync::store::bundles::Bundles;

use super::{Derived, Engine, hex, shown_time, text};
use crate::bundles::log;
use crate::knowledge::catalogue;
use crate::others;
use crate::policy::rows;
use crate::projection::{self, Indexing, Row};
use crate::request::{Failure, FailureKind, Reply};
use crate::scorecard::months;
use crate::vault::{self, Grant};

/// How many kinds of documents that this version does not know are told.
const OTHER_KINDS: usize = 32;

/// Batches that bundles took along and nobody has answered are counted up to here.
const HANDED_OUT: usize = 10_000;

/// How many of the last sticks the status tells.
const LAST_TRIPS: usize = 5;

/// Tickets whose words search does not find yet are counted up to here.
const UNINDEXED: usize = 10_000;

impl Engine {
    fn peer(&self, given: &str) -> Result<NodeName, Failure> {
        let peer: NodeName = given.parse().map_err(|e| Failure::new(FailureKind::Usage, e))?;
        if self.replica.peers().any(|(name, _)| name == peer) {
            return Ok(peer);
        }
        let known: Vec<String> = self.replica.peers().map(|(name, _)| name.to_string()).collect();
        Err(Failure::new(FailureKind::Failed, format!("this node keeps no pair with {peer}")).hint(format!(
            "its peers: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )))
    }

    pub(super) fn status(&mut self) -> Reply {
        let totals = self.store.totals()?;
        let peers: Vec<(NodeName, Option<u64>, Option<u64>, u64)> = self
            .replica
            .peers()
            .map(|(name, row)| (name, row.proved_at, row.last_seen, row.digest.count()))
            .collect();
        let mut shown = Vec::new();
        for (name, proved_at, last_seen, count) in peers {
            let link = self.replica.link(name);
            let seal = self.store.highest_seal(name)?;
            shown.push(json!({
                "node": name,
                "connected": link.connected,
                "outbox": self.store.owed_count(name)?,
                "handed_out": self.store.all_handed(name, HANDED_OUT)?.len(),
                "digest_equal": link.digest_equal,
                "repairing": link.repairing,
                "parked": link.parked,
                "protocol": link.speaks.as_ref().map(|(version, _)| *version),
                "program": link.speaks.as_ref().and_then(|(_, program)| program.said()),
                "items": count,
                "last_seal": seal.map(|(_, hash)| hash.to_string()),
                "proved_at": proved_at.map(shown_time),
                "last_seen": last_seen.map(shown_time),
                "rtt_ms": null,
                "bytes_sent": null,
                "bytes_received": null,
            }));
        }
        let stages: serde_json::Map<String, Value> = projection::by_stage(self.store.connection())?
            .into_iter()
            .map(|(stage, n)| (stage, Value::from(n)))
            .collect();
        let overdue = self.overdue()?;
        let held = projection::held(self.store.connection(), self.me().site())?;
        let expiring: Vec<Value> = self
            .replica
            .trust()
            .directory()
            .expiring(self.certificate_time(self.now), 30)
            .into_iter()
            .map(|e| json!({ "node": e.node, "days": e.days }))
            .collect();
        let other_kinds: serde_json::Map<String, Value> =
            others::kinds(self.store.connection(), OTHER_KINDS)?
                .into_iter()
                .map(|(kind, n)| (kind, Value::from(n)))
                .collect();
        let knowledge = self.knowledge_counts()?;
        let (number, last) = self.replica.chain();
        // Who was met by a stick, and when last.
        let trips = self.last_trips(log::KEPT)?;
        for peer in &mut shown {
            let met = trips.iter().find(|trip| {
                let with = trip["with"].as_array();
                trip["way"] == "in" && with.is_some_and(|with| with.contains(&peer["node"]))
            });
            peer["stick_at"] = met.map_or(Value::Null, |trip| trip["at"].clone());
        }
        let mut status = json!({
            "node": self.me(),
            "site": self.me().site(),
            "incarnation": text(self.replica.incarnation()),
            "program": env!("CARGO_PKG_VERSION"),
            "protocol": sync::wire::VERSION,
            "documents": totals.documents,
            "items": totals.items,
            "refused": totals.refused,
            "waiting": self.replica.peers().map(|(name, _)| self.replica.link(name).parked).sum::<u64>(),
            "not_counted": totals.not_counted,
            "unsealed": totals.unsealed,
            "unindexed": projection::waiting(self.store.connection(), UNINDEXED)?,
            "unmarked_persons": vault::index::unread_count(self.store.apart())?,
            "custody": held,
            "overdue": overdue,
            "policy": self.policy_status(),
            "holidays_until": self.reference.calendar.last_year(),
            "stages": stages,
            "last_seal": { "number": number, "hash": last.map(|h| h.to_string()) },
            "clock_doubt": self.clock.doubt().is_some(),
            "clock_doubt_why": self.clock.doubt().map(text),
            "expiring": expiring,
            "other_kinds": other_kinds,
            "knowledge": knowledge,
            "revoked": self.replica.trust().directory().revoked_nodes(),
            "backup": self.last_backup(),
            "restored": self.last_restored()?,
            "carried_parcels": self.replica.parcels(&mut self.store)?.iter().filter(|p| p.from != self.me()).count(),
            "bundle_log": trips.into_iter().take(LAST_TRIPS).collect::<Vec<_>>(),
            "peers": shown,
        });
        self.file_status(&mut status)?;
        Ok(status)
    }

    pub(super) fn digest(&mut self, peer: &str) -> Reply {
        let peer = self.peer(peer)?;
        let digest = self
            .replica
            .peers()
            .find(|(name, _)| *name == peer)
            .map(|(_, row)| (row.digest.count(), row.digest.fingerprint()));
        let (count, fingerprint) = digest.unwrap_or_default();
        Ok(json!({ "peer": peer, "count": count, "digest": hex(&fingerprint) }))
    }

    pub(super) fn diff(&mut self, peer: &str, limit: usize) -> Reply {
        let peer = self.peer(peer)?;
        let limit = limit.clamp(1, 10_000);
        let link = self.replica.link(peer);
        let total = self.store.owed_count(peer)?;
        let mut rows = Vec::new();
        for lacking in self.replica.lacking(peer, limit, &mut self.store)? {
            rows.push(self.lacking_row(&lacking)?);
        }
        let more = total.saturating_sub(rows.len() as u64);
        let mut there: Vec<Value> = Vec::new();
        for refused in self.store.refusals(peer, None, limit)? {
            let item = self.store.item(&refused.item)?;
            there.push(json!({
                "id": refused.item.to_string(), "reason": refused.reason,
                "document": item.as_ref().and_then(|i| i.doc).map(|d| d.to_string()),
                "kind": item.map_or_else(|| "item".to_owned(), |i| i.kind.to_string()),
            }));
        }
        let totals = self.store.totals()?;
        let row = self.replica.peers().find(|(name, _)| *name == peer).map(|(_, row)| row.clone());
        let everything = row.as_ref().is_some_and(|row| row.everything.is_some());
        let proved_at = row.and_then(|row| row.proved_at).map(shown_time);
        let standing = match (link.connected, link.digest_equal, everything, link.repairing) {
            (true, true, ..) => "proved equal: the peer lacks nothing".to_owned(),
            (true, _, true, _) => "a scan that sends everything is under way".to_owned(),
            (true, .., true) => "digests differ and a repair is finding out in what".to_owned(),
            (true, ..) => "whether it lacks more is unknown until the next comparison".to_owned(),
            (false, _, true, _) => {
                "no link is up, and a scan that sends everything goes on when one is".to_owned()
            }
            (false, ..) => match &proved_at {
                Some(at) => format!(
                    "no link is up; proved equal last at {at}, whether it lost anything since is unknown until the next comparison"
                ),
                None => "no link is up, and it was never proved equal".to_owned(),
            },
        };
        Ok(json!({
            "peer": peer, "connected": link.connected, "rows": rows, "more": more, "standing": standing,
            "proved_at": proved_at, "refused_there": there,
            "refused": totals.refused, "not_counted": totals.not_counted, "waiting": link.parked,
        }))
    }

    /// A row of what a peer lacks: what it is, and why the peer still lacks it.
    fn lacking_row(&mut self, lacking: &Lacking) -> Result<Value, Failure> {
        let item = match lacking.debt.item {
            Some(hash) => self.store.item(&hash)?,
            None => None,
        };
        let kind = match (&item, lacking.debt.item) {
            (Some(item), _) => item.kind.to_string(),
            (None, Some(_)) => "item".to_owned(),
            (None, None) => "whole document".to_owned(),
        };
        let mut row = json!({
            "id": lacking.debt.item.map(|i| i.to_string()), "document": lacking.debt.doc.map(|d| d.to_string()),
            "kind": kind, "why": why_in_words(&lacking.why),
            "counted": match item.map(|i| i.state) {
                Some(State::NotCounted) => "not counted: past its author's revocation",
                Some(State::Refused) => "refused here: passed on for the peer to refuse",
                _ => "yes",
            },
        });
        if let Why::Waits(rests) = &lacking.why {
            row["waits_for"] = json!({
                "items": rests.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "record_of": rests.record_of,
            });
        }
        Ok(row)
    }

    pub(super) fn rebuild(&mut self) -> Reply {
        let fingerprint = |db: &rusqlite::Connection| -> Result<_, Failure> {
            let beside = (months::fingerprint(db)?, rows::fingerprint(db)?);
            Ok((projection::fingerprint(db)?, catalogue::fingerprint(db)?, beside))
        };
        let before = fingerprint(self.store.connection())?;
        projection::clear(self.store.connection())?;
        catalogue::clear(self.store.connection())?;
        others::clear(self.store.connection())?;
        months::clear(self.store.connection())?;
        rows::clear(self.store.connection())?;
        vault::holders::clear(self.store.apart())?;
        let mut at = None;
        let mut documents = 0u64;
        loop {
            let page = self.store.documents(at, 500)?;
            let Some((last, _)) = page.last() else { break };
            at = Some(*last);
            for (doc, row) in page {
                for grant in self.store.items_of_kind(&doc, Kind::GRANT)? {
                    if let Some(read) = Grant::read(&grant.bytes).filter(|_| grant.state != State::Emptied) {
                        vault::holders::note(self.store.apart(), &doc, &grant.hash, &read)?;
                    }
                }
                if row.frozen {
                    continue; // it is not loaded any more, and no row is made of it
                }
                if let Some(row) = self.with_document(doc, |document, matter| {
                    matter.article().map(|article| catalogue::Row::of(document, article))
                })? {
                    if let Some(row) = row {
                        catalogue::put(self.store.connection(), &doc, &row)?;
                        documents += 1;
                    }
                    continue;
                }
                if let Some(row) =
                    self.with_document(doc, |_, matter| matter.other().map(Derived::of_other))?
                {
                    documents += u64::from(!matches!(row, Derived::Other(_)));
                    self.desk.project(&mut self.store, &doc, row)?;
                    continue;
                }
                if let Some(row) = self.with_document(doc, Row::of)? {
                    let me = self.me().site();
                    projection::put(self.store.connection(), &doc, &row, Indexing::Now, me, &self.reference)?;
                    documents += 1;
                }
            }
        }
        let after = fingerprint(self.store.connection())?;
        vault::index::all_due(self.store.apart(), self.me())?;
        self.mark_persons(usize::MAX)?;
        Ok(json!({ "documents": documents, "changed": before != after }))
    }
}

/// Why a peer still lacks something, in a line.
fn why_in_words(why: &Why) -> String {
    let rests = match why {
        Why::NoLink => return "in the outbox: no link is up".to_owned(),
        Why::InTheOutbox => return "in the outbox".to_owned(),
        Why::OnItsWay => return "on its way".to_owned(),
        Why::Unproved => {
            return "kept back: too little of its seal is here to prove it, until a repair brings the rest"
                .to_owned();
        }
        Why::Waits(rests) => rests,
    };
    let record = rests.record_of.map(|node| format!("the record of {node}"));
    let items = rests.items.iter().map(ItemHash::short);
    let lacks: Vec<String> = record.into_iter().chain(items).collect();
    if lacks.is_empty() {
        "sent, and waits there: the peer lacks something that it once acknowledged, unknown until the repair"
            .to_owned()
    } else {
        format!("sent, and waits there for {}", lacks.join(", "))
    }
}
