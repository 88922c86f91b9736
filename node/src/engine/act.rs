//! Actions on a ticket: entries of its trail, and notes.

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::Transactable;
use certs::Site;
use serde_json::json;
use sync::id::DocId;

use super::create::write_failure;
use super::{Engine, failed, shown_time};
use crate::request::{Act, Failure, FailureKind, Reply};
use crate::ticket::may::{may, who_may};
use crate::ticket::readers::readers;
use crate::ticket::{Entry, EntryId, Folded, Op};
use crate::vault::holders;

/// The longest note in bytes.
const MAX_NOTE: usize = 8 * 1024;

impl Engine {
    pub(super) fn act(&mut self, id: &str, act: &Act, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        if let Some(words) = act.unsaid() {
            return Err(Failure::usage(format!("`{words}` is empty"))
                .hint("whoever reads the ticket later has nothing else: say it in a few words"));
        }
        let folded = self.folded(doc)?;
        let into = match act {
            Act::Merge { into } => Some(self.find(into)?),
            _ => None,
        };
        let (mut op, reason, text) = entry_of(act, &folded, self.me().site(), into)?;
        let site = self.me().site();
        if let Err(refusal) = may(&folded, site, &op) {
            let who: Vec<String> = who_may(&folded, &op).into_iter().map(|s| self.named(s)).collect();
            let hint = if who.is_empty() {
                "nobody may as the ticket stands: `hotline ticket history ID` tells why".to_owned()
            } else {
                format!("this may: {}", who.join(", "))
            };
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{} may not {} this ticket now", self.named(site), op.name().replace('_', " ")),
            )
            .because(refusal)
            .hint(hint));
        }
        if let Some(to) = op.to() {
            self.must_be_a_site(to)?;
        }
        if let (Act::Correct { facts: wanted, .. }, Op::Correct { facts }) = (act, &mut op) {
            *facts = self.corrected(doc, &folded, wanted)?;
        }
        let entry = self.write_entry(doc, op, reason, text, user)?;
        if let Some(to) = entry.op.to() {
            self.pass_key(doc, to)?;
        }
        let folded = self.folded(doc)?;
        Ok(json!({
            "id": doc.to_string(),
            "number": folded.created.number,
            "entry": EntryId::of(&entry.to_bytes()),
            "op": entry.op.name(),
            "custodian": folded.stand.custodian,
            "stage": folded.stage.name(),
        }))
    }

    /// A site that a ticket may be handed to, or be about, is in the list of centres or has a node.
    pub(super) fn must_be_a_site(&self, to: Site) -> Result<(), Failure> {
        let enrolled = self.replica.trust().directory().nodes_of(to).next().is_some();
        if enrolled || self.reference.centres.get(to).is_some() {
            return Ok(());
        }
        let all = "`hotline policy show centres` has all of them";
        let place = format!("{:06}", to.code()).parse().ok();
        let hint = match place.and_then(|place| self.reference.centre_for(place)) {
            Some(near) => format!("{} answers for that place; {all}", self.named(near)),
            None => all.to_owned(),
        };
        let failure = Failure::usage(format!("there is no centre {to}"));
        Err(failure.because("it is in no list of centres, and no node of it is known here").hint(hint))
    }

    /// A site's name for people: its code and what it is called.
    pub(super) fn named(&self, site: Site) -> String {
        format!("{site} {}", self.reference.centres.name(site))
    }

    pub(super) fn folded(&mut self, doc: DocId) -> Result<Folded, Failure> {
        self.with_document(doc, |_, matter| matter.folded().cloned())?.ok_or_else(|| {
            Failure::new(
                FailureKind::NeedsPerson,
                "the ticket's beginning does not count: its author was revoked",
            )
        })
    }

    /// The entries that the next one has as parents.
    pub(super) fn trail_heads(&mut self, doc: DocId) -> Result<Vec<EntryId>, Failure> {
        self.with_document(doc, |_, matter| matter.trail_heads())
    }

    /// Writes one entry on the trail's heads, with the facts that it sets.
    pub(super) fn write_entry(
        &mut self,
        doc: DocId,
        op: Op,
        reason: Option<String>,
        text: Option<String>,
        user: Option<&str>,
    ) -> Result<Entry, Failure> {
        let heads = self.trail_heads(doc)?;
        let entry = Entry {
            reason,
            text,
            user: user.map(str::to_owned),
            at: Some(shown_time(self.now)),
            ..Entry::new(op, heads, self.me())
        };
        let bytes = entry.to_bytes();
        if let Err(e) = Entry::parse(&bytes) {
            return Err(Failure::new(FailureKind::Usage, e));
        }
        self.replica
            .write(Some(doc), &mut self.store, &mut self.desk, |document, tx| {
                let trail = document.part("trail").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&trail, EntryId::of(&bytes).to_string(), bytes.clone())?;
                let Op::Correct { facts } = &entry.op else { return Ok(()) };
                let part = document.part("facts").ok_or(automerge::AutomergeError::Fail)?;
                facts.iter().try_for_each(|(name, corrected)| match corrected.to.as_str() {
                    "" => tx.delete(&part, name.as_str()),
                    to => tx.put(&part, name.as_str(), to),
                })
            })
            .map_err(write_failure)?;
        Ok(entry)
    }

    pub(super) fn note(&mut self, id: &str, text: &str, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        if text.trim().is_empty() || text.len() > MAX_NOTE {
            return Err(Failure::new(FailureKind::Usage, format!("a note has 1 to {MAX_NOTE} bytes")));
        }
        let note = json!({ "text": text, "user": user, "node": self.me(), "at": shown_time(self.now) });
        let bytes = serde_json::to_vec(&note).map_err(|e| failed("the note could not be written", e))?;
        let hash = EntryId::of(&bytes).to_string();
        self.replica
            .write(Some(doc), &mut self.store, &mut self.desk, |document, tx| {
                let notes = document.part("notes").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&notes, hash.as_str(), bytes.clone())
            })
            .map_err(write_failure)?;
        Ok(json!({ "id": doc.to_string(), "note": hash }))
    }

    /// Whoever entitles a site adds the grant if it can; a confidential reporter's stays with the desks that have it.
    fn pass_key(&mut self, doc: DocId, to: Site) -> Result<(), Failure> {
        let entitled = self.with_document(doc, |_, matter| {
            matter.folded().map(|folded| readers(folded, matter.entries()))
        })?;
        match entitled {
            Some(r) if !r.desk && r.sites.contains(&to) => {}
            _ => return Ok(()),
        }
        let held = holders::of(self.store.apart(), &doc)?;
        for key in self.keys(doc, false)? {
            let has = |node| held.iter().any(|h| h.node == node && !h.desk && h.has(Some(key.id())));
            for node in self.members_of(&BTreeSet::from([to])).into_iter().filter(|node| !has(*node)) {
                self.grant_node(&doc, &key, node, false)?;
            }
        }
        Ok(())
    }
}

pub(super) type Said = Option<String>;

pub(super) fn entry_of(
    act: &Act,
    folded: &Folded,
    me: Site,
    into: Option<DocId>,
) -> Result<(Op, Said, Said), Failure> {
    let custody = folded.custody();
    let site = |given: &str| {
        let node: certs::NodeName = given.parse().map_err(|e| Failure::new(FailureKind::Usage, e))?;
        Ok::<Site, Failure>(node.site())
    };
    let entry_id = |given: &str| given.parse::<EntryId>().map_err(|e| Failure::new(FailureKind::Usage, e));
    let none = |what: &str| {
        Failure::new(FailureKind::Failed, what.to_owned())
            .hint("`hotline ticket history ID` tells how it stands")
    };
    let offer =
        || folded.open_offer().map(|o| o.offer).ok_or_else(|| none("no offer is open on this ticket"));
    let text = |t: &String| Some(t.clone());
    Ok(match act {
        Act::Answer { text: t } => (Op::Answer, None, text(t)),
        Act::Redirect { to, text: t } => (Op::Redirect, None, Some(format!("{to} {t}").trim().to_owned())),
        Act::Reject { reason } => (Op::Reject, text(reason), None),
        Act::Dispatch { department, text: t } => {
            (Op::Dispatch { department: department.clone() }, None, t.clone())
        }
        Act::Feedback { text: t } => (Op::Feedback, None, text(t)),
        Act::Progress { text: t } => (Op::Progress, None, text(t)),
        Act::Pause { reason } => (Op::Pause, text(reason), None),
        Act::Extend { days, reason, grant } => {
            let of = grant.as_deref().map(entry_id).transpose()?;
            (Op::Extend { of, days: *days }, text(reason), None)
        }
        Act::Reply { text: t, confirm } => {
            (Op::Reply { of: confirm.as_deref().map(entry_id).transpose()? }, None, text(t))
        }
        Act::FollowUp { text: t, satisfied } => (Op::FollowUp { satisfied: *satisfied }, None, text(t)),
        Act::Urge { text: t } => (Op::Urge, None, text(t)),
        Act::Supervise { text: t } => (Op::Supervise, None, text(t)),
        Act::Escalate { reason } => (Op::Escalate, text(reason), None),
        Act::Merge { .. } => {
            (Op::Merge { into: into.ok_or_else(|| none("no ticket to join was named"))? }, None, None)
        }
        Act::Unmerge { reason } => (Op::Unmerge, text(reason), None),
        Act::Keep { reason } => (Op::Keep, text(reason), None),
        Act::Release { reason } => {
            let of = folded.kept.first().copied().ok_or_else(|| none("nothing is kept on this ticket"))?;
            (Op::Release { of }, text(reason), None)
        }
        Act::Offer { to, reason } => (Op::Offer { to: site(to)?, of: custody }, text(reason), None),
        Act::Accept {} => (Op::Accept { of: offer()? }, None, None),
        Act::Decline { reason } => (Op::Decline { of: offer()? }, text(reason), None),
        Act::Withdraw {} => (Op::Withdraw { of: offer()? }, None, None),
        Act::Assign { to, reason } => (Op::Assign { to: site(to)?, of: custody }, text(reason), None),
        Act::Recall { reason } => (Op::Assign { to: me, of: custody }, text(reason), None),
        Act::Close { result } => (Op::Close { of: custody, result: result.clone() }, None, None),
        Act::Reopen { reason } => {
            let close =
                folded.stand.closed_by.first().copied().ok_or_else(|| none("the ticket is not closed"))?;
            (Op::Reopen { of: close }, text(reason), None)
        }
        // Which facts, `corrected` says, who has the ticket before it.
        Act::Correct { reason, .. } => (Op::Correct { facts: BTreeMap::new() }, reason.clone(), None),
    })
}
