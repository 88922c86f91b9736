//! What an operator reads of the replica, and what makes it whole again.

use certs::NodeName;
use serde_json::{Value, json};
use sync::item::{Kind, STUB, State};
use sync::replica::Whereabouts;
use sync::seal;
use sync::store::{Position, Store};
use sync::trust::Trust;

use super::{Engine, hex, shown_time, text};
use crate::projection;
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::times::times;
use crate::vault::{self, Grant};

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
                "digest_equal": link.digest_equal,
                "repairing": link.repairing,
                "parked": link.parked,
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
        let held = projection::held(self.store.connection(), self.me().site())?;
        let expiring: Vec<Value> = self
            .replica
            .trust()
            .directory()
            .expiring(self.certificate_time(self.now), 30)
            .into_iter()
            .map(|e| json!({ "node": e.node, "days": e.days }))
            .collect();
        let (number, last) = self.replica.chain();
        let mut status = json!({
            "node": self.me(),
            "site": self.me().site(),
            "incarnation": text(self.replica.incarnation()),
            "documents": totals.documents,
            "items": totals.items,
            "refused": totals.refused,
            "waiting": self.replica.peers().map(|(name, _)| self.replica.link(name).parked).sum::<u64>(),
            "not_counted": totals.not_counted,
            "unsealed": totals.unsealed,
            "unmarked_persons": vault::index::unread_count(self.store.apart())?,
            "custody": held,
            "stages": stages,
            "last_seal": { "number": number, "hash": last.map(|h| h.to_string()) },
            "clock_doubt": self.clock.doubt().is_some(),
            "clock_doubt_why": self.clock.doubt().map(text),
            "expiring": expiring,
            "revoked": self.replica.trust().directory().revoked_nodes(),
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
        let link = self.replica.link(peer);
        let total = self.store.owed_count(peer)?;
        let mut rows = Vec::new();
        for debt in self.store.owed(peer, limit.clamp(1, 10_000))? {
            let Some(hash) = debt.item else {
                rows.push(json!({ "document": debt.doc.map(|d| d.to_string()), "kind": "whole document", "why": "in the outbox" }));
                continue;
            };
            let item = self.store.item(&hash)?;
            let state = item.as_ref().map(|i| i.state);
            let why = match (self.replica.whereabouts(peer, debt.doc, hash), link.connected) {
                (Whereabouts::WaitsThere, _) => {
                    "sent: the peer lacks something that it needs, and it is sent again"
                }
                (Whereabouts::OnItsWay, _) => "on its way",
                (Whereabouts::Outbox, true) => "in the outbox",
                (Whereabouts::Outbox, false) => "in the outbox: no link is up",
            };
            rows.push(json!({
                "id": hash.to_string(), "document": debt.doc.map(|d| d.to_string()),
                "kind": item.map_or_else(|| "item".to_owned(), |i| i.kind.to_string()), "why": why,
                "counted": match state {
                    Some(State::NotCounted) => "not counted: past its author's revocation",
                    Some(State::Refused) => "refused here: passed on for the peer to refuse",
                    _ => "yes",
                },
            }));
        }
        let more = total.saturating_sub(rows.len() as u64);
        let there: Vec<Value> = self
            .store
            .refusals(peer, None, limit.clamp(1, 10_000))?
            .into_iter()
            .map(|r| json!({ "id": r.item.to_string(), "reason": r.reason }))
            .collect();
        let totals = self.store.totals()?;
        let everything = self.replica.peers().any(|(name, row)| name == peer && row.everything.is_some());
        let standing = match (link.digest_equal, everything, link.repairing) {
            (true, ..) => "proved equal: the peer lacks nothing",
            (_, true, _) => "a scan that sends everything is under way",
            (.., true) => "digests differ and a repair is finding out in what",
            _ => "unknown until the next comparison",
        };
        Ok(json!({
            "peer": peer, "rows": rows, "more": more, "standing": standing, "refused_there": there,
            "refused": totals.refused, "not_counted": totals.not_counted, "waiting": link.parked,
        }))
    }

    pub(super) fn verify(&mut self) -> Reply {
        let mut damaged: Vec<Value> = Vec::new();
        let mut pieces = 0;
        let (mut items, mut seals) = (0u64, std::collections::BTreeMap::new());
        let mut at = Position(0);
        loop {
            let page = self.store.scan(at, 1_000)?;
            let Some((last, ..)) = page.last() else { break };
            at = *last;
            for (_, hash, doc) in page {
                items += 1;
                let Some(item) = self.store.item(&hash)? else { continue };
                let right = match <&[u8; STUB]>::try_from(item.bytes.as_slice()) {
                    Ok(stub) if item.state == State::Emptied => item.kind.hash_of_stub(stub),
                    _ => item.kind.hash(&item.bytes),
                };
                if right != hash {
                    damaged.push(json!({ "item": hash.to_string(), "document": doc.map(|d| d.to_string()), "what": "its bytes are not those that were stored" }));
                }
                if item.kind == Kind::FILE {
                    pieces += self.verify_content(&hash, &item.bytes, &mut damaged)?;
                }
                if let Some(sealed) = item.sealed {
                    *seals.entry(sealed.seal).or_insert(0u64) += 1;
                } else if item.kind.is_sealed() && item.author != self.me() && item.state != State::Refused {
                    damaged
                        .push(json!({ "item": hash.to_string(), "what": "no seal of its author covers it" }));
                }
            }
        }
        let context = self.replica.trust().context();
        for hash in seals.keys() {
            let Some(stored) = self.store.seal(hash)? else {
                damaged.push(json!({ "seal": hash.to_string(), "what": "it is gone" }));
                continue;
            };
            let words = stored.seal.words();
            let keys = self.replica.trust().keys(words.node);
            let mut tree = sync::merkle::Tree::new(words.count);
            for (place, item, doc) in self.store.leaves(hash)? {
                tree.know(place, seal::leaf(&doc, &item));
            }
            stored.twigs.iter().for_each(|t| tree.know_twig(*t));
            if let Err(e) = stored.seal.verify(&context, keys) {
                damaged.push(json!({ "seal": hash.to_string(), "what": e.to_string() }));
            } else if tree.root() != Some(words.root) {
                damaged.push(json!({ "seal": hash.to_string(), "what": "its items do not make its root" }));
            }
        }
        let documents = self.store.totals()?.documents;
        let report = json!({ "items": items, "documents": documents, "seals": seals.len(), "pieces": pieces, "damaged": damaged });
        if damaged.is_empty() {
            return Ok(report);
        }
        Err(Failure::new(
            FailureKind::Integrity,
            format!("{} of {items} items or seals are not what was stored", damaged.len()),
        )
        .because(report)
        .hint("leave the node running: what its peers hold comes back by repair; then look at the disk"))
    }

    pub(super) fn rebuild(&mut self) -> Reply {
        let before = projection::fingerprint(self.store.connection())?;
        projection::clear(self.store.connection())?;
        vault::holders::clear(self.store.apart())?;
        let mut at = None;
        let mut documents = 0u64;
        loop {
            let page = self.store.documents(at, 500)?;
            let Some((last, _)) = page.last() else { break };
            at = Some(*last);
            for (doc, _) in page {
                for grant in self.store.items_of_kind(&doc, Kind::GRANT)? {
                    if let Some(read) = Grant::read(&grant.bytes).filter(|_| grant.state != State::Emptied) {
                        vault::holders::note(self.store.apart(), &doc, &grant.hash, &read)?;
                    }
                }
                let row = self.with_document(doc, |document, matter| {
                    let folded = matter.folded()?.clone();
                    let clock = times(&folded, matter.entries());
                    Some((folded, crate::content::Content::read(document), clock))
                })?;
                if let Some((folded, content, clock)) = row {
                    projection::put(self.store.connection(), &doc, &folded, &content, &clock)?;
                    documents += 1;
                }
            }
        }
        let after = projection::fingerprint(self.store.connection())?;
        vault::index::all_due(self.store.apart(), self.me())?;
        self.mark_persons(usize::MAX)?;
        Ok(json!({ "documents": documents, "changed": before != after }))
    }
}
