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

use std::cell::OnceCell;
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
use super::fold::{FOLDED_AT_MOST, Folded, fold};
use super::other::Other;
use super::rules::{PARTS, may_put, may_write};
use super::trail::Trail;
use crate::knowledge::matter::{Article, Saying};

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

/// What a change says to this version.
#[derive(Debug)]
pub enum Reading {
    /// A ticket's words.
    Ticket(Box<Words>),
    /// The beginning of a document of a kind that this version does not know.
    Begins(Other),
    /// A later change of such a document.
    Other(Vec<Write>),
    /// The beginning of an article of the knowledge base.
    BeginsArticle(Box<(Saying, Other)>),
    /// A later change of one.
    Article(Box<Saying>),
}

/// What a change says in the words of tickets.
#[derive(Debug)]
pub struct Words {
    /// The entry it carries, if any.
    entry: Option<Authored>,
    /// The parts it makes, and whether they are texts.
    made: BTreeMap<String, bool>,
    /// The parts it writes to beside `trail` and `notes`.
    changed: BTreeSet<String>,
}

impl Words {
    fn read(change: &Witnessed, writes: &[Write]) -> Result<Words, Refusal> {
        let mut words =
            Words { entry: entry_of(change, writes)?, made: BTreeMap::new(), changed: BTreeSet::new() };
        for write in writes {
            match write {
                Write::Make { part, text } => drop(words.made.insert(part.clone(), *text)),
                _ if matches!(write.part(), "trail" | "notes") => {}
                _ if words.changed.contains(write.part()) => {}
                _ => drop(words.changed.insert(write.part().to_owned())),
            }
        }
        Ok(words)
    }
}

/// What the changes of a ticket add up to, or those of a document of another kind: this is the matter of all of a
/// node's documents.
///
/// The fold of them all is made when it is asked for: changes come in runs.
#[derive(Clone, Debug)]
pub struct TicketMatter {
    doc: DocId,
    carried: Vec<Carried>,
    folded: OnceCell<Option<Folded>>,
    audience: OnceCell<BTreeSet<Site>>,
    class: Class,
    /// Set when the document is of a kind that this version does not know.
    other: Option<Other>,
    /// Set when it is an article of the knowledge base.
    article: Option<Box<Article>>,
}

impl TicketMatter {
    /// Of a document of which nothing is here yet.
    pub fn new(doc: DocId) -> TicketMatter {
        TicketMatter {
            doc,
            carried: Vec::new(),
            folded: OnceCell::new(),
            audience: OnceCell::new(),
            class: Class::Ordinary,
            other: None,
            article: None,
        }
    }

    /// The article that the document is, if it is one.
    pub fn article(&self) -> Option<&Article> {
        self.article.as_deref()
    }

    /// What the document is, if it is no ticket.
    pub fn kind(&self) -> &str {
        match (&self.article, &self.other) {
            (Some(_), _) => crate::knowledge::KIND,
            (None, Some(other)) => other.kind(),
            (None, None) => KIND,
        }
    }

    /// What the document is if it is no ticket and no article: of a kind for which the rules of all kinds are enough.
    pub fn other(&self) -> Option<&Other> {
        self.other.as_ref()
    }

    /// What the counted entries fold to; `None` until the first change is here, or when its author was revoked
    /// before it.
    pub fn folded(&self) -> Option<&Folded> {
        self.folded.get_or_init(|| self.trail().as_ref().map(fold)).as_ref()
    }

    /// The counted entries.
    pub fn trail(&self) -> Option<Trail> {
        trail(self.doc, self.carried.iter().filter(|c| c.counted).map(|c| &c.entry))
    }

    /// Entries that are past their author's revocation.
    pub fn not_counted(&self) -> impl Iterator<Item = &Authored> {
        self.carried.iter().filter(|c| !c.counted).map(|c| &c.entry)
    }

    /// The entries that have effect, the earlier before the later; of a trail that is too long to be folded its first.
    pub fn in_force(&self) -> Vec<&Authored> {
        let Some(folded) = self.folded() else { return Vec::new() };
        // The entries of most tickets stand in one line, in which they came too; putting them in order costs more than all else.
        let mut entries: Vec<&Authored> = self.entries().collect();
        let one_line = self.not_counted().next().is_none()
            && entries.windows(2).all(|pair| pair[1].entry.parents == [pair[0].id]);
        if !one_line {
            let place: BTreeMap<EntryId, usize> = self
                .trail()
                .map(|trail| trail.in_order().iter().enumerate().map(|(i, a)| (a.id, i)).collect())
                .unwrap_or_default();
            entries.retain(|a| place.contains_key(&a.id));
            entries.sort_by_key(|a| place[&a.id]);
        }
        let lost: BTreeSet<EntryId> = folded
            .superseded
            .iter()
            .map(|s| s.entry)
            .chain(folded.unentitled.iter().map(|u| u.entry))
            .collect();
        entries.retain(|a| !lost.contains(&a.id));
        if folded.entries > FOLDED_AT_MOST {
            entries.truncate(1);
        }
        entries
    }

    /// Every entry there is, in the order of arrival.
    pub fn entries(&self) -> impl Iterator<Item = &Authored> {
        self.carried.iter().map(|c| &c.entry)
    }

    /// The sites that must hold the ticket. It reads every entry, counted or not: it only grows, whoever is revoked.
    pub fn audience(&self) -> &BTreeSet<Site> {
        self.audience.get_or_init(|| match self.all_counted() {
            true => self.folded().map(audience).unwrap_or_default(),
            false => trail(self.doc, self.entries()).map(|t| audience(&fold(&t))).unwrap_or_default(),
        })
    }

    /// The sites that must hold it together with everything below them; a ticket has none.
    pub fn regions(&self) -> impl Iterator<Item = Site> + '_ {
        let other = self.other.as_ref().or_else(|| self.article.as_ref().map(|article| article.other()));
        other.into_iter().flat_map(|other| other.regions().iter().copied())
    }

    fn all_counted(&self) -> bool {
        self.carried.iter().all(|c| c.counted)
    }

    /// The trail's heads, whether counted or not: the parents of the next entry.
    pub fn trail_heads(&self) -> Vec<EntryId> {
        self.heads(None)
    }

    /// The fold of what a change saw, whether counted or not: the gate decides alike everywhere.
    fn seen(&self, ancestry: Option<&BTreeSet<ItemHash>>) -> Option<Folded> {
        if ancestry.is_none() && self.all_counted() {
            return self.folded().cloned();
        }
        let within = |c: &&Carried| ancestry.is_none_or(|a| a.contains(&c.change));
        trail(self.doc, self.carried.iter().filter(within).map(|c| &c.entry)).as_ref().map(fold)
    }

    fn heads(&self, ancestry: Option<&BTreeSet<ItemHash>>) -> Vec<EntryId> {
        let within = || self.carried.iter().filter(|c| ancestry.is_none_or(|a| a.contains(&c.change)));
        let mut heads: BTreeSet<EntryId> = within().map(|c| c.entry.id).collect();
        within().flat_map(|c| &c.entry.entry.parents).for_each(|p| {
            heads.remove(p);
        });
        heads.into_iter().collect()
    }

    fn judge_first(change: &Witnessed, words: &Words) -> Result<(), Refusal> {
        let made = words.made.iter().map(|(part, text)| (part.as_str(), *text));
        let mut wanted = PARTS.map(|(part, _)| (part, part == "body"));
        wanted.sort_unstable();
        if !made.eq(wanted) {
            return Err(rule("a ticket begins with its six parts and no others"));
        }
        let Some(Authored { entry, .. }) = &words.entry else {
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

fn trail<'a>(doc: DocId, entries: impl Iterator<Item = &'a Authored>) -> Option<Trail> {
    let mut trail: Option<Trail> = None;
    for entry in entries {
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
    may_put(part, key, bytes, change.author).map_err(|e| Refusal::Rule(e.to_string()))
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
    type Reading = Reading;

    fn read(&self, change: &Witnessed, writes: &[Write]) -> Result<Reading, Refusal> {
        if self.other.is_some() {
            return Ok(Reading::Other(writes.to_vec()));
        }
        if self.article.is_some() {
            return Saying::read(change, writes).map(|said| Reading::Article(Box::new(said)));
        }
        let words = Words::read(change, writes);
        if !self.carried.is_empty() {
            return words.map(|w| Reading::Ticket(Box::new(w)));
        }
        let first = words.and_then(|words| TicketMatter::judge_first(change, &words).map(|()| words));
        first.map(|w| Reading::Ticket(Box::new(w))).or_else(|refusal| match Other::begin(change, writes)? {
            Some(other) if other.kind() == crate::knowledge::KIND => {
                Saying::begin(change, writes).map(|said| Reading::BeginsArticle(Box::new((said, other))))
            }
            Some(other) => Ok(Reading::Begins(other)),
            None => Err(refusal),
        })
    }

    fn judge(&self, document: &Document, change: &Witnessed, reading: &Reading) -> Result<(), Refusal> {
        let words = match (reading, &self.other) {
            (Reading::Ticket(words), _) => words,
            (Reading::Other(writes), Some(other)) => return other.judge(change, writes),
            (Reading::Article(said), _) => {
                return self.article.as_ref().map_or(Ok(()), |article| article.judge(document, change, said));
            }
            (Reading::Begins(_) | Reading::BeginsArticle(_) | Reading::Other(_), _) => return Ok(()),
        };
        if document.is_empty() {
            return Ok(()); // a first change is judged by what it says alone
        }
        let ancestry = document.ancestry(&change.deps);
        if let Some(entry) = &words.entry {
            if matches!(entry.entry.op, Op::Create(_)) {
                return Err(rule("a ticket is created once"));
            }
            if entry.entry.parents != self.heads(ancestry.as_ref()) {
                return Err(rule("an entry's parents are the trail's heads as its writer saw them"));
            }
        }
        if words.changed.is_empty() {
            return Ok(());
        }
        let folded = self.seen(ancestry.as_ref()).ok_or_else(|| rule("the ticket has no beginning"))?;
        let mut parts = words.changed.iter();
        parts
            .try_for_each(|part| may_write(part, change.author.site(), &folded))
            .map_err(|e| Refusal::Rule(e.to_string()))
    }

    fn take(&mut self, change: &Witnessed, reading: Reading) {
        let words = match reading {
            Reading::Ticket(words) => words,
            Reading::Begins(other) => {
                self.audience = OnceCell::from(other.audience());
                self.other = Some(other);
                return;
            }
            Reading::BeginsArticle(begins) => {
                let (said, other) = *begins;
                self.audience = OnceCell::from(other.audience());
                self.article = Some(Box::new(Article::begin(change, said, other)));
                return;
            }
            Reading::Article(said) => {
                if let Some(article) = &mut self.article {
                    article.take(change, *said);
                    self.class = article.class();
                    self.audience = OnceCell::from(article.other().audience());
                }
                return;
            }
            Reading::Other(writes) => {
                if let Some(other) = &mut self.other {
                    other.take(change, &writes);
                    self.audience = OnceCell::from(other.audience());
                }
                return;
            }
        };
        self.class = Class::Ordinary;
        let Some(entry) = words.entry else { return };
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
                | Op::Keep
        ) {
            self.class = Class::Urgent;
        }
        self.carried.push(Carried { entry, change: change.hash, counted: change.counted });
        self.folded = OnceCell::new();
        self.audience = OnceCell::new();
    }

    fn judge_erased(&self, author: NodeName, mark: &[u8], fallen: Vec<Reading>) -> Ruling {
        if self.other.is_some() {
            return Ruling::Waits; // a version that knows the kind says whose mark it is
        }
        if self.article.is_some() {
            return Ruling::Refused(rule("an article has nothing to erase"));
        }
        let mark = match Erasure::read(mark, &self.doc, author) {
            Ok(mark) => mark,
            Err(why) => return Ruling::Refused(Refusal::Rule(why)),
        };
        let fallen = fallen.iter().filter_map(|reading| match reading {
            Reading::Ticket(words) => {
                words.entry.as_ref().filter(|entry| !matches!(entry.entry.op, Op::Create(_)))
            }
            _ => None,
        });
        let all: Vec<&Authored> = self.entries().chain(fallen).collect();
        let by_id: BTreeMap<EntryId, &Authored> = all.iter().map(|entry| (entry.id, *entry)).collect();
        let mut within = BTreeSet::new();
        let mut queue = mark.parents;
        while let Some(id) = queue.pop() {
            let Some(authored) = by_id.get(&id) else { return Ruling::Waits };
            if within.insert(id) {
                queue.extend(&authored.entry.parents);
            }
        }
        let seen = all.into_iter().filter(|entry| within.contains(&entry.id));
        match trail(self.doc, seen).as_ref().map(fold) {
            Some(folded) if may_erase(&folded, author.site()) => Ruling::Stands,
            Some(_) => Ruling::Refused(rule(
                "only the custodian, the site that took the call and their superiors may erase the caller's data",
            )),
            None => Ruling::Refused(rule("the erased mark rests on entries without a beginning")),
        }
    }

    fn standing(&self) -> Standing {
        let audience = self.audience().iter().copied().collect::<Audience>();
        Standing { audience: audience.with_regions(self.regions()), class: self.class }
    }
}
