//! What a person reads of tickets: one, many, and the story of one.

use jiff::civil::Date;
use serde_json::{Value, json};
use sync::id::DocId;

use super::{Engine, hex, shown_time};
use crate::changes;
use crate::content::Content;
use crate::projection::{self, Typed};
use crate::request::{Failure, FailureKind, Language, Reply};
use crate::search::MAX_TYPED;
use crate::ticket::story::{self, story};
use crate::ticket::times::times;
use crate::ticket::{Folded, TicketMatter};

/// Most rows of one listing.
const MAX_ROWS: usize = 10_000;

/// Most rows of what may be the same.
const MAX_SIMILAR: usize = 50;

/// For how long a ticket that has ended may still be the same as a call that comes: 30 days in milliseconds.
const YOUNG: u64 = 30 * 86_400_000;

impl Engine {
    pub(super) fn show(&mut self, id: &str, reveal: Option<&str>, user: Option<&str>) -> Reply {
        let doc = self.find(id)?;
        let mut shown = self.with_document(doc, begun)?.ok_or_else(|| {
            let why = format!("no ticket {} is here: what came under this id was refused", doc.short());
            Failure::new(FailureKind::Failed, why).hint("`hotline replica events` tells by whom and why")
        })?;
        if let (Some(facts), Some(stage)) = (shown["facts"].as_object(), shown["stage"].as_str()) {
            shown["deadline"] = self.deadline_of(&shown["clock"], facts, stage);
        }
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

    /// How the numbers of a day begin, of this site and its offices. Days are China's, as those of the numbers.
    fn numbers_of(&self, day: Date) -> String {
        format!("JT{:06}{}", self.me().site().code(), day.strftime("%Y%m%d"))
    }

    /// What was numbered here, by day, and today's by hour.
    pub(super) fn volume(&mut self, days: usize) -> Reply {
        let mut day = self.today()?;
        let quarters = projection::by_quarter(self.store.connection(), &self.numbers_of(day))?;
        let hours: Vec<u64> = quarters.chunks(4).map(|hour| hour.iter().sum()).collect();
        let mut shown = Vec::new();
        for _ in 0..days.min(31) {
            let count = projection::count_numbered(self.store.connection(), &self.numbers_of(day))?;
            shown.push(json!({ "day": day.to_string(), "count": count }));
            match day.yesterday() {
                Ok(before) => day = before,
                Err(_) => break,
            }
        }
        Ok(json!({ "days": shown, "hours": hours }))
    }

    /// What was numbered here on a day, by quarters of an hour.
    pub(super) fn calls(&mut self, day: &str) -> Reply {
        let day: Date = day.parse().map_err(|e| {
            Failure::new(FailureKind::Usage, format!("`{day}` is no day")).because(e).hint("as in 2026-11-02")
        })?;
        let quarters = projection::by_quarter(self.store.connection(), &self.numbers_of(day))?;
        Ok(json!({ "day": day.to_string(), "quarters": quarters.to_vec() }))
    }

    pub(super) fn history(&mut self, id: &str, language: Language) -> Reply {
        let doc = self.find(id)?;
        let reference = self.reference.clone();
        let names = |site: certs::Site| reference.centres.name(site).into_owned();
        let in_words = match language {
            Language::Zh => story::Language::Chinese,
            Language::En => story::Language::English,
        };
        let (mut story, facts, clock, stage) = self.with_document(doc, |document, matter| {
            let (Some(folded), Some(trail)) = (matter.folded(), matter.trail()) else {
                return Err(Failure::new(
                    FailureKind::NeedsPerson,
                    "the ticket's beginning does not count: its author was revoked",
                ));
            };
            let lines: Vec<Value> = story(folded, &trail, &names, in_words).iter().map(told).collect();
            let story = json!({ "id": doc.to_string(), "number": folded.created.number, "lines": lines });
            let clock = times(folded, matter.entries());
            Ok((story, Content::read(document).facts, clock, folded.stage.name()))
        })??;
        let deadline = self.deadline_of(&clock, &facts, stage);
        if let (Some(line), Some(lines)) =
            (Engine::deadline_line(&deadline, language), story["lines"].as_array_mut())
        {
            lines.push(line);
        }
        Ok(story)
    }

    pub(super) fn list(&mut self, queue: &str, limit: usize, before: Option<i64>) -> Reply {
        if let "overdue" | "due-soon" = queue {
            return self.list_due(queue == "overdue", limit.min(MAX_ROWS), before).map(Value::from);
        }
        let me = self.me().site();
        let rows = projection::list(self.store.connection(), me, queue, limit.min(MAX_ROWS), before)?;
        rows.map(Value::from).ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("there is no queue `{queue}`"))
                .hint(format!("queues: {}", projection::QUEUES.join(", ")))
        })
    }

    pub(super) fn search(&mut self, text: &str, limit: usize) -> Reply {
        self.index_all()?;
        match projection::search(self.store.connection(), text, limit.min(MAX_ROWS))? {
            Ok(rows) => Ok(Value::from(rows)),
            Err(why) => Err(Failure::new(FailureKind::Usage, why)),
        }
    }

    pub(super) fn similar(
        &mut self,
        text: &str,
        plate: Option<&str>,
        place: Option<&str>,
        limit: usize,
    ) -> Reply {
        let typed = Typed { text, plate: plate.unwrap_or_default(), place: place.unwrap_or_default() };
        if [typed.text, typed.plate, typed.place].iter().any(|part| part.len() > MAX_TYPED) {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("what is typed of a call has more than {MAX_TYPED} bytes"),
            )
            .hint("give its end: of a long text only that counts"));
        }
        self.index_all()?;
        let since = shown_time(self.now.saturating_sub(YOUNG));
        Ok(Value::from(projection::similar(self.store.connection(), typed, &since, limit.min(MAX_SIMILAR))?))
    }

    /// A single command has no idle time later in which words that were put aside would be indexed.
    fn index_all(&mut self) -> Result<(), Failure> {
        while !self.idles && projection::catch_up(self.store.connection(), 1_000)? > 0 {}
        Ok(())
    }

    pub(super) fn changes(&mut self, after: Option<&str>, limit: usize) -> Reply {
        changes::after(self.store.connection(), after, limit)?.ok_or_else(|| {
            Failure::new(FailureKind::Gone, "this cursor does not fit what is here").hint(
                "an older database was put back, or what came after it was dropped: read the tickets anew, and go on from a \
                 cursor that is given without one",
            )
        })
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
    let mark = match line.standing {
        story::Standing::InForce => "in force",
        story::Standing::Superseded => "superseded",
        story::Standing::Unentitled => "unentitled",
    };
    json!({ "entry": line.entry, "at": line.at, "text": line.text, "mark": mark })
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
