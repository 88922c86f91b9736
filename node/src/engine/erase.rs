//! Erasing a ticket's personal data: the mark, every node's receipt, and who has not given one.

use std::collections::BTreeSet;

use certs::{NodeName, Site};
use serde_json::{Value, json};
use sync::id::DocId;
use sync::item::{Kind, State};
use sync::store::Store;

use super::{Engine, shown_time};
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::erasure::{Erasure, MAX_REASON, may_erase, receipt};

impl Engine {
    /// Erases: writes the mark, which empties every grant that is here and that ever comes, at every node.
    pub(super) fn erase(&mut self, id: &str, reason: &str, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let name = self.me().to_string();
        let (user, reason) = Engine::asker(Some(user.unwrap_or(&name)), reason)?;
        if reason.len() > MAX_REASON {
            return Err(Failure::new(FailureKind::Usage, format!("a reason has at most {MAX_REASON} bytes")));
        }
        let folded = self.folded(doc)?;
        let me = self.me();
        if let Some(keep) = folded.kept.first() {
            return Err(Failure::new(FailureKind::Failed, "the caller's data of this ticket is kept (保全)")
                .because(format!("entry {} says so, and nobody has released it", keep.short()))
                .hint("`hotline ticket history ID` tells why; `hotline ticket release ID --reason TEXT` ends it"));
        }
        if !may_erase(&folded, me.site()) {
            let mut who = BTreeSet::from([folded.stand.custodian, folded.stand.taken_by]);
            who.extend(folded.stand.custodian.superiors());
            who.extend(folded.stand.taken_by.superiors());
            let who: Vec<String> = who.into_iter().map(|s| self.named(s)).collect();
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{} may not erase the caller's data of this ticket", self.named(me.site())),
            )
            .hint(format!("this may: {}", who.join(", "))));
        }
        if self.erased(doc)?.is_none() {
            let parents = self.trail_heads(doc)?;
            let mark = Erasure {
                document: doc.to_string(),
                node: me,
                parents,
                reason: reason.to_owned(),
                user: Some(user.to_owned()),
                at: Some(shown_time(self.now)),
            };
            self.replica.put(doc, Kind::ERASED, mark.to_bytes(), &mut self.store, &mut self.desk)?;
            self.log_reveal("erase", Some(&doc), user, reason)?;
        }
        self.confirm_erased(doc)?;
        Ok(json!({ "id": doc.to_string(), "number": folded.created.number, "erased": self.erased(doc)? }))
    }

    /// Writes this node's receipt for a document that is erased, unless it has; whether the document is.
    pub(super) fn confirm_erased(&mut self, doc: DocId) -> Result<(bool, bool), Failure> {
        let marks = self.store.items_of_kind(&doc, Kind::ERASED)?;
        if !marks.iter().any(|m| m.state == State::Counted) {
            return Ok((false, false));
        }
        let bytes = receipt(&doc, self.me());
        if self.store.state(&Kind::RECEIPT.hash(&bytes))?.is_some() {
            return Ok((true, false));
        }
        self.replica.put(doc, Kind::RECEIPT, bytes, &mut self.store, &mut self.desk)?;
        Ok((true, true))
    }

    /// When, by whom and why a ticket's personal data was erased, which nodes have said that it is gone there, and which
    /// have not: every node of a site that holds the ticket is asked, and a site without a known node stands for itself.
    pub(super) fn erased(&mut self, doc: DocId) -> Result<Option<Value>, Failure> {
        let marks = self.store.items_of_kind(&doc, Kind::ERASED)?;
        let Some(mark) = marks
            .iter()
            .filter(|m| m.state == State::Counted)
            .min_by_key(|m| m.hash)
            .and_then(|m| Erasure::read(&m.bytes, &doc, m.author).ok())
        else {
            return Ok(None);
        };
        let receipts = self.store.items_of_kind(&doc, Kind::RECEIPT)?;
        let confirmed: BTreeSet<NodeName> = receipts
            .iter()
            .filter(|r| r.state == State::Counted && r.bytes == receipt(&doc, r.author))
            .map(|r| r.author)
            .collect();
        let sites: BTreeSet<Site> = self.store.document(&doc)?.unwrap_or_default().audience.sites().collect();
        let mut missing: Vec<NodeName> = Vec::new();
        for site in sites {
            let nodes = self.members_of(&BTreeSet::from([site]));
            if nodes.is_empty() {
                missing.push(NodeName::from(site));
            }
            missing.extend(nodes);
        }
        missing.retain(|node| !confirmed.contains(node));
        Ok(Some(json!({
            "at": mark.at, "reason": mark.reason, "user": mark.user, "node": mark.node, "site": mark.node.site(),
            "confirmed": confirmed, "missing": missing,
        })))
    }
}
