//! What a person reads of tickets: one, many, and the story of one.

use serde_json::{Value, json};
use sync::id::DocId;

use super::handover::Handover;
use super::{Engine, hex};
use crate::content::Content;
use crate::projection;
use crate::request::{Failure, FailureKind, Language, Reply};
use crate::ticket::story::{self, story};
use crate::ticket::times::times;
use crate::ticket::{Folded, TicketMatter};

impl Engine {
    pub(super) fn show(&mut self, id: &str, reveal: Option<&str>, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let (shown, handover) =
            self.with_document(doc, |document, matter| (begun(document, matter), Handover::of(matter)))?;
        let mut shown = shown.ok_or_else(|| {
            let why = format!("no ticket {} is here: what came under this id was refused", doc.short());
            Failure::new(FailureKind::Failed, why).hint("`hotline replica events` tells by whom and why")
        })?;
        if let (Some(facts), Some(stage)) = (shown["facts"].as_object(), shown["stage"].as_str()) {
            let against = shown["against"].as_str().and_then(|site| site.parse().ok());
            let (deadline, suggested) =
                (self.deadline_of(&shown["clock"], facts, stage), self.suggested(facts, stage, against));
            shown["deadline"] = deadline;
            if let Some(suggested) = suggested {
                shown["suggested"] = suggested;
            }
        }
        shown["handover"] = self.handover_shown(handover.as_ref());
        if let Some(reason) = reveal {
            self.reveal(doc, reason, user, &mut shown)?;
        }
        if let Some(erased) = self.erased(doc)? {
            shown["erased"] = erased;
        }
        Ok(shown)
    }

    /// A ticket with its caller. A confidential report's only for the confidential desk.
    pub(super) fn show_person(&mut self, id: &str, reason: &str, desk: bool, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        if !desk && self.folded(doc)?.created.confidential {
            return Err(Failure::new(
                FailureKind::Failed,
                "this is a confidential report: who made it is shown at the confidential desk only",
            )
            .hint("ask the shift leader, who may look for a reason"));
        }
        self.show(&doc.to_string(), Some(reason), user)
    }

    pub(super) fn history(&mut self, id: &str, language: Language) -> Reply {
        let doc = self.find(id)?;
        let reference = self.reference.clone();
        let names = |site: certs::Site| reference.centres.name(site).into_owned();
        let in_words = match language {
            Language::Zh => story::Language::Chinese,
            Language::En => story::Language::English,
        };
        let (mut story, facts, clock, stage, handover) = self.with_document(doc, |document, matter| {
            let (Some(folded), Some(trail)) = (matter.folded(), matter.trail()) else {
                return Err(Failure::new(
                    FailureKind::NeedsPerson,
                    "the ticket's beginning does not count: its author was revoked",
                ));
            };
            let lines: Vec<Value> =
                story(folded, &trail, &names, &reference.fields, in_words).iter().map(told).collect();
            let story = json!({ "id": doc.to_string(), "number": folded.created.number, "lines": lines });
            let clock = times(folded, matter.entries());
            let facts = Content::read(document).facts;
            Ok((story, facts, clock, folded.stage.name(), Handover::of(matter)))
        })??;
        let deadline = self.deadline_of(&clock, &facts, stage);
        if let Some(lines) = story["lines"].as_array_mut() {
            lines.extend(Engine::deadline_line(&deadline, language));
            lines.extend(self.handover_lines(handover.as_ref(), language));
        }
        Ok(story)
    }

    /// A single command has no idle time later in which words that were put aside would be indexed.
    pub(super) fn index_all(&mut self) -> Result<(), Failure> {
        while !self.idles && projection::catch_up(self.store.connection(), 1_000)? > 0 {}
        Ok(())
    }

    pub(super) fn export(&mut self, after: Option<&str>, limit: usize) -> Reply {
        use sync::store::Store;
        let after: Option<DocId> =
            after.map(str::parse).transpose().map_err(|e| Failure::new(FailureKind::Usage, e))?;
        let page = self.store.documents(after, limit.clamp(1, 1_000))?;
        let next = page.last().map(|(doc, _)| doc.to_string());
        let mut tickets = Vec::with_capacity(page.len());
        for (doc, _) in page.into_iter().filter(|(_, row)| !row.frozen) {
            tickets.extend(self.with_document(doc, begun)?);
        }
        Ok(json!({ "tickets": tickets, "next": next }))
    }
}

/// A line of a story: its author's clock, the words, and whether what it tells has effect.
fn told(line: &story::Line) -> Value {
    json!({ "entry": line.entry, "at": line.at, "text": line.text, "mark": line.standing.mark() })
}

/// A ticket, unless only refused items have come of the document: then it is none.
fn begun(document: &sync::document::Document, matter: &TicketMatter) -> Option<Value> {
    matter.entries().next().is_some().then(|| ticket(document, matter))
}

/// A ticket in the shape of `ticket show --json`, without the caller's person.
fn ticket(document: &sync::document::Document, matter: &TicketMatter) -> Value {
    let content = Content::read(document);
    let Some(folded) = matter.folded() else {
        return json!({ "id": document.id().to_string(), "not_counted": true });
    };
    json!({
        "id": document.id().to_string(),
        "number": folded.created.number,
        "custodian": folded.stand.custodian,
        "taken_by": folded.stand.taken_by,
        "open_offer": folded.open_offer(),
        "stage": folded.stage.name(),
        "joined": folded.stand.joined,
        "confidential": folded.created.confidential,
        "against": folded.created.against,
        "facts": content.facts,
        "conflicts": content.conflicts,
        "body": content.body,
        "notes": content.notes,
        "files": content.files,
        "trail": trail(matter),
        "clock": times(folded, matter.entries()),
        "superseded": folded.superseded,
        "unentitled": folded.unentitled,
        "proposals": folded.proposals,
        "alarms": folded.alarms,
        "kept": folded.kept,
        "audience": matter.audience(),
        "heads": document.heads().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "state_hash": state(folded, &content),
    })
}

fn state(folded: &Folded, content: &Content) -> String {
    hex(&projection::state_hash(folded, content))
}

fn trail(matter: &TicketMatter) -> Vec<Value> {
    let Some(trail) = matter.trail() else { return Vec::new() };
    let counted = trail.in_order().into_iter().map(|a| (a, true));
    let rest = matter.not_counted().map(|a| (a, false));
    counted
        .chain(rest)
        .map(|(a, counted)| {
            let mut shown = json!({
                "id": a.id, "op": a.entry.op.name(), "parents": a.entry.parents, "site": a.site, "node": a.node,
                "at": a.entry.at, "user": a.entry.user,
            });
            let optional = [
                ("to", json!(a.entry.op.to())),
                ("of", json!(a.entry.op.of())),
                ("reason", json!(a.entry.reason)),
                ("text", json!(a.entry.text)),
            ];
            optional.into_iter().filter(|(_, v)| !v.is_null()).for_each(|(k, v)| shown[k] = v);
            if let crate::ticket::Op::Close { result, .. } = &a.entry.op {
                shown["result"] = json!(result);
            }
            if let crate::ticket::Op::FollowUp { satisfied: Some(satisfied) } = &a.entry.op {
                shown["satisfied"] = json!(satisfied);
            }
            if let crate::ticket::Op::Dispatch { department } = &a.entry.op {
                shown["department"] = json!(department);
            }
            if !a.entry.extra.is_empty() {
                shown["extra"] = json!(a.entry.extra); // what a newer version says, as it came
            }
            if !counted {
                shown["not_counted"] = json!(true);
            }
            shown
        })
        .collect()
}
