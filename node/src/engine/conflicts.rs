//! What a person should look at: words that lost, copies of nodes, what was refused or is not counted.

use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::{Refused, Store};

use super::Engine;
use crate::content::Content;
use crate::others;
use crate::projection;
use crate::request::{Failure, FailureKind, Reply, Sift};
use crate::ticket::EntryId;

/// Most rows of one kind.
const MAX_ROWS: usize = 1_000;

impl Engine {
    /// Everything of that kind; see [`crate::request::Request::Conflicts`].
    pub(super) fn conflicts(&mut self) -> Reply {
        let mut found = self.superseded()?;
        for (node, number) in self.store.forks(MAX_ROWS)? {
            found.push(json!({ "what": "fork", "node": node, "number": number,
                "reason": "two seals bear one number: the node was restored from a backup, or a copy of its disk ran" }));
        }
        for Refused { item, reason, .. } in self.store.refusals(self.me(), None, MAX_ROWS)? {
            // A twin that stands again has its old reason still on file.
            let Some(kept) = self.store.item(&item)?.filter(|i| i.state == sync::item::State::Refused) else {
                continue;
            };
            found.push(
                json!({ "id": kept.doc.map(|d| d.to_string()), "what": "refused", "item": item.to_string(),
                "node": kept.author, "reason": reason }),
            );
        }
        for doc in self.store.frozen(MAX_ROWS)? {
            found.push(json!({ "id": doc.to_string(), "what": "frozen",
                "reason": "it has outgrown what is loaded; it is passed on unread" }));
        }
        for (kind, documents) in others::kinds(self.store.connection(), MAX_ROWS)? {
            found.push(json!({ "what": "unknown kind", "kind": kind, "documents": documents,
                "reason": format!("{documents} documents of the kind `{kind}`, which this version does not know: \
                                   kept and passed on; update this program") }));
        }
        Ok(Value::from(found))
    }

    fn superseded(&mut self) -> Result<Vec<Value>, Failure> {
        let me = self.me().site();
        let rows =
            projection::list(self.store.connection(), me, "conflicts", &Sift::default(), MAX_ROWS, None)?
                .unwrap_or_default();
        let mut found = Vec::new();
        for row in rows {
            let Some(doc) = row["id"].as_str().and_then(|id| id.parse::<DocId>().ok()) else { continue };
            let folded = self.folded(doc)?;
            let both = self.with_document(doc, |document, _| Content::read(document).conflicts)?;
            let number = &folded.created.number;
            let mut add = |what: &str, entry: Option<EntryId>, beaten_by: &[EntryId], reason: Value| {
                found.push(json!({ "id": doc.to_string(), "number": number, "what": what, "entry": entry, "beaten_by": beaten_by, "reason": reason }));
            };
            folded
                .superseded
                .iter()
                .for_each(|s| add("superseded", Some(s.entry), &s.beaten_by, json!(s.reason)));
            folded.proposals.iter().for_each(|p| add("close proposal", Some(*p), &[], json!("unaware")));
            folded.alarms.iter().for_each(|a| add("alarm", None, &[], json!(a)));
            both.iter().for_each(|(fact, values)| {
                add("both", None, &[], json!({ "both": { "fact": fact, "values": values } }));
            });
        }
        Ok(found)
    }

    /// Takes in what is past its author's revocation, after a person of a superior has looked at it.
    pub(super) fn take_in(&mut self, id: &str) -> Reply {
        let doc = self.document_named(id)?;
        let taken = self.replica.take_in(doc, &mut self.store, &mut self.desk)?;
        if taken == 0 {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("there is nothing in ticket {} that this node may take in", doc.short()),
            )
            .hint("only a superior of a revoked author may, and only what is not counted"));
        }
        Ok(json!({ "id": doc.to_string(), "taken_in": taken }))
    }
}
