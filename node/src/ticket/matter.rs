//! A ticket as the matter of a document: the seam to `sync`.
//!
//! ```text
//! facts   map   registers            body   text
//! person  map   sealed, body -> bytes files  map   name hash -> entry
//! trail   map   entry hash -> entry  notes  map   note hash -> note
//! ```
//!
//! The first change makes all six parts and carries exactly one entry, the create; every later change carries at
//! most one. `parents` of an entry are exactly the trail's heads in the state the change was made on.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ScalarValue;
use certs::{NodeName, Site};
use sync::document::{Document, Refusal, Witnessed, Write};
use sync::id::{DocId, ItemHash};
use sync::item::{Audience, Class};
use sync::matter::{Matter, Ruling, Standing};

use super::audience::audience;
use super::entry::{Authored, Create, EntryId, Op};
use super::erasure::{Erasure, may_erase};
use super::fold::{Folded, fold};
use super::other::Other;
use super::rules::{PARTS, may_put, may_write};
use super::trail::Trail;

/// The kind of document that this is the matter of.
pub const KIND: &str = "ticket";

/// The schema that this version writes.
pub const SCHEMA: u32 = 1;

#[derive(Clone, Debug)]
struct Carried {
    entry: Authored,
    change: ItemHash,
    counted: bool,
}

/// What the changes of a ticket add up to.
#[derive(Clone, Debug)]
pub struct TicketMatter {
    doc: DocId,
    carried: Vec<Carried>,
    folded: Option<Folded>,
    audience: BTreeSet<Site>,
    class: Class,
    /// Set when the document is of a kind that this version does not know.
    other: Option<Other>,
}

impl TicketMatter {
    /// Of a document of which nothing is here yet.
    pub fn new(doc: DocId) -> TicketMatter {
        TicketMatter {
            doc,
            carried: Vec::new(),
            folded: None,
            audience: BTreeSet::new(),
            class: Class::Ordinary,
            other: None,
        }
    }

    /// What the document is if it is no ticket: of a kind that this version carries and does not read.
    pub fn other(&self) -> Option<&Other> {
        self.other.as_ref()
    }

    /// What the counted entries fold to; `None` until the first change is here, or when its author was revoked
    /// before it.
    pub fn folded(&self) -> Option<&Folded> {
        self.folded.as_ref()
    }

    /// The counted entries.
    pub fn trail(&self) -> Option<Trail> {
        trail(self.doc, self.carried.iter().filter(|c| c.counted))
    }

    /// Entries that are past their author's revocation.
    pub fn not_counted(&self) -> impl Iterator<Item = &Authored> {
        self.carried.iter().filter(|c| !c.counted).map(|c| &c.entry)
    }

    /// Every entry there is, in the order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = &Authored> {
        self.carried.iter().map(|c| &c.entry)
    }

    /// The sites that must hold the ticket.
    pub fn audience(&self) -> &BTreeSet<Site> {
        &self.audience
    }

    /// The trail's heads, whether counted or not: the parents of the next entry.
    pub fn trail_heads(&self) -> Vec<EntryId> {
        self.heads(None)
    }

    /// The fold of what a change saw, whether counted or not: the gate decides alike everywhere.
    fn seen(&self, ancestry: Option<&BTreeSet<ItemHash>>) -> Option<Folded> {
        let all_counted = self.carried.iter().all(|c| c.counted);
        if ancestry.is_none() && all_counted {
            return self.folded.clone();
        }
        let within = |c: &&Carried| ancestry.is_none_or(|a| a.contains(&c.change));
        trail(self.doc, self.carried.iter().filter(within)).as_ref().map(fold)
    }

    fn heads(&self, ancestry: Option<&BTreeSet<ItemHash>>) -> Vec<EntryId> {
        let within = || self.carried.iter().filter(|c| ancestry.is_none_or(|a| a.contains(&c.change)));
        let mut heads: BTreeSet<EntryId> = within().map(|c| c.entry.id).collect();
        within().flat_map(|c| &c.entry.entry.parents).for_each(|p| {
            heads.remove(p);
        });
        heads.into_iter().collect()
    }

    fn judge_first(change: &Witnessed, writes: &[Write], entry: Option<&Authored>) -> Result<(), Refusal> {
        let made: BTreeMap<&str, bool> = writes
            .iter()
            .filter_map(|w| match w {
                Write::Make { part, text } => Some((part.as_str(), *text)),
                _ => None,
            })
            .collect();
        let wanted: BTreeMap<&str, bool> = PARTS.iter().map(|(part, _)| (*part, *part == "body")).collect();
        if made != wanted {
            return Err(rule("a ticket begins with its six parts and no others"));
        }
        let Some(Authored { entry, .. }) = entry else {
            return Err(rule("a ticket begins with a create entry"));
        };
        match &entry.op {
            Op::Create(create)
                if is_ticket(create) && create.site == change.author.site() && entry.parents.is_empty() =>
            {
                Ok(())
            }
            Op::Create(_) => {
                Err(rule("the create entry is not a ticket's, or names another site than its author's"))
            }
            _ => Err(rule("a ticket begins with a create entry")),
        }
    }
}

fn is_ticket(create: &Create) -> bool {
    create.kind == KIND
}

fn rule(why: &str) -> Refusal {
    Refusal::Rule(why.to_owned())
}

fn trail<'a>(doc: DocId, carried: impl Iterator<Item = &'a Carried>) -> Option<Trail> {
    let mut trail: Option<Trail> = None;
    for Carried { entry, .. } in carried {
        match &mut trail {
            None => trail = Some(Trail::new(doc, entry.clone()).ok()?),
            Some(trail) => {
                trail.insert(entry.clone());
            }
        }
    }
    trail
}

/// The bytes under a key of `trail` or `notes`, checked; the entry, if it is one.
fn put(part: &str, key: &str, value: &ScalarValue, change: &Witnessed) -> Result<Option<Authored>, Refusal> {
    let ScalarValue::Bytes(bytes) = value else { return Err(rule("trail and notes hold byte strings")) };
    may_put(part, key, bytes, change.author).map_err(|e| Refusal::Rule(e.to_string()))?;
    match part {
        "trail" => Authored::read(bytes, change.author).map(Some).map_err(|e| Refusal::Rule(e.to_string())),
        _ => Ok(None),
    }
}

/// The one entry that a change carries, if any; every put under `trail` and `notes` is checked on the way.
fn entry_of(change: &Witnessed, writes: &[Write]) -> Result<Option<Authored>, Refusal> {
    let mut found = None;
    for write in writes {
        match write {
            Write::Put { part, key, value, replaces } if part == "trail" || part == "notes" => {
                if *replaces {
                    return Err(rule("what stands under trail and notes stays"));
                }
                if let Some(entry) = put(part, key, value, change)?
                    && found.replace(entry).is_some()
                {
                    return Err(rule("a change carries at most one entry"));
                }
            }
            Write::Delete { part, .. } if part == "trail" || part == "notes" => {
                return Err(rule("what stands under trail and notes stays"));
            }
            _ => {}
        }
    }
    Ok(found)
}

impl Matter for TicketMatter {
    fn judge(&self, document: &Document, change: &Witnessed, writes: &[Write]) -> Result<(), Refusal> {
        if let Some(other) = &self.other {
            return other.judge(change, writes);
        }
        let entry = entry_of(change, writes);
        if document.is_empty() {
            let first = entry.and_then(|e| TicketMatter::judge_first(change, writes, e.as_ref()));
            return first.or_else(|refusal| match Other::begin(change, writes)? {
                Some(_) => Ok(()),
                None => Err(refusal),
            });
        }
        let entry = entry?;
        let ancestry = document.ancestry(&change.deps);
        if let Some(entry) = &entry {
            if matches!(entry.entry.op, Op::Create(_)) {
                return Err(rule("a ticket is created once"));
            }
            if entry.entry.parents != self.heads(ancestry.as_ref()) {
                return Err(rule("an entry's parents are the trail's heads as its writer saw them"));
            }
        }
        let parts: BTreeSet<&str> =
            writes.iter().map(Write::part).filter(|p| *p != "trail" && *p != "notes").collect();
        if parts.is_empty() {
            return Ok(());
        }
        let folded = self.seen(ancestry.as_ref()).ok_or_else(|| rule("the ticket has no beginning"))?;
        parts
            .into_iter()
            .try_for_each(|part| may_write(part, change.author.site(), &folded))
            .map_err(|e| Refusal::Rule(e.to_string()))
    }

    fn take(&mut self, _: &Document, change: &Witnessed, writes: &[Write]) {
        let entry = entry_of(change, writes);
        if let Some(other) = &mut self.other {
            other.take(change, writes);
            self.audience = other.audience();
            return;
        }
        let is_ticket = |e: &Authored| matches!(&e.entry.op, Op::Create(create) if is_ticket(create));
        if self.carried.is_empty()
            && !matches!(&entry, Ok(Some(e)) if is_ticket(e))
            && let Ok(Some(other)) = Other::begin(change, writes)
        {
            self.audience = other.audience();
            self.other = Some(other);
            return;
        }
        let Ok(entry) = entry else { return };
        self.class = Class::Ordinary;
        let Some(entry) = entry else { return };
        if matches!(
            entry.entry.op,
            Op::Offer { .. }
                | Op::Accept { .. }
                | Op::Decline { .. }
                | Op::Withdraw { .. }
                | Op::Assign { .. }
                | Op::Confirm { .. }
                | Op::Urge
                | Op::Supervise
                | Op::Escalate
        ) {
            self.class = Class::Urgent;
        }
        self.carried.push(Carried { entry, change: change.hash, counted: change.counted });
        self.folded = self.trail().as_ref().map(fold);
        // The audience reads every entry, counted or not: it only grows, whoever is revoked.
        let whole = if self.carried.iter().all(|c| c.counted) {
            None
        } else {
            trail(self.doc, self.carried.iter()).as_ref().map(fold)
        };
        if let Some(folded) = whole.as_ref().or(self.folded.as_ref()) {
            self.audience.extend(audience(folded));
        }
    }

    fn judge_erased(&self, author: NodeName, mark: &[u8]) -> Ruling {
        if self.other.is_some() {
            return Ruling::Waits; // a version that knows the kind says whose mark it is
        }
        let mark = match Erasure::read(mark, &self.doc, author) {
            Ok(mark) => mark,
            Err(why) => return Ruling::Refused(Refusal::Rule(why)),
        };
        let all: BTreeMap<EntryId, &Carried> = self.carried.iter().map(|c| (c.entry.id, c)).collect();
        let mut within = BTreeSet::new();
        let mut queue = mark.parents;
        while let Some(id) = queue.pop() {
            let Some(carried) = all.get(&id) else { return Ruling::Waits };
            if within.insert(id) {
                queue.extend(&carried.entry.entry.parents);
            }
        }
        let seen = self.carried.iter().filter(|c| within.contains(&c.entry.id));
        match trail(self.doc, seen).as_ref().map(fold) {
            Some(folded) if may_erase(&folded, author.site()) => Ruling::Stands,
            Some(_) => Ruling::Refused(rule(
                "only the custodian, the site that took the call and their superiors may erase the caller's data",
            )),
            None => Ruling::Refused(rule("the erased mark rests on entries without a beginning")),
        }
    }

    fn standing(&self) -> Standing {
        Standing { audience: self.audience.iter().copied().collect::<Audience>(), class: self.class }
    }
}
