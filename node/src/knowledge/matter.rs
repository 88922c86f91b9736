//! An article as the matter of a document: the gate's rules for it, what its changes add up to.
//!
//! The first change makes the parts of [`PARTS`] and carries the create; every later one carries at most one entry, whose
//! parents are the trail's heads as its writer saw them. Who must hold it is read by the rules of all kinds ([`Other`]).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use automerge::ScalarValue;
use certs::Site;
use sync::document::{Document, Refusal, Witnessed, Write};
use sync::id::ItemHash;
use sync::item::Class;

use super::entry::{Entry, Word};
use super::fold::{Folded, MAX_ENTRIES, fold};
use super::table::{PARTS, may_write};
use crate::ticket::EntryId;
use crate::ticket::other::Other;

#[derive(Clone, Debug)]
struct Carried {
    entry: Entry,
    change: ItemHash,
    counted: bool,
}

/// What a change says in the words of articles.
#[derive(Debug)]
pub struct Saying {
    entry: Option<Entry>,
    /// The parts that it writes to beside `trail` and `notes`.
    changed: BTreeSet<String>,
    /// What it puts under `trail` and `notes`, for the rules of all kinds.
    words: Vec<Write>,
}

fn rule(why: impl Into<String>) -> Refusal {
    Refusal::Rule(why.into())
}

impl Saying {
    /// Reads a change that passes the rules of all kinds.
    pub fn read(change: &Witnessed, writes: &[Write]) -> Result<Saying, Refusal> {
        let words: Vec<Write> =
            writes.iter().filter(|w| matches!(w.part(), "trail" | "notes")).cloned().collect();
        let mut entry = None;
        for write in words.iter().filter(|w| w.part() == "trail") {
            if let Write::Put { value: ScalarValue::Bytes(bytes), .. } = write {
                entry = Some(Entry::read(bytes, change.author).map_err(|e| rule(e.to_string()))?);
            }
        }
        let changed = writes.iter().filter(|w| !matches!(w, Write::Make { .. })).map(Write::part);
        let changed = changed.filter(|part| !matches!(*part, "trail" | "notes")).map(str::to_owned).collect();
        Ok(Saying { entry, changed, words })
    }

    /// Reads the first change of an article.
    pub fn begin(change: &Witnessed, writes: &[Write]) -> Result<Saying, Refusal> {
        let saying = Saying::read(change, writes)?;
        let made: BTreeMap<&str, bool> = writes
            .iter()
            .filter_map(|w| match w {
                Write::Make { part, text } => Some((part.as_str(), *text)),
                _ => None,
            })
            .collect();
        if !made.into_iter().eq(PARTS.iter().map(|(part, text, _)| (*part, *text))) {
            return Err(rule("an article begins with its five parts and no others"));
        }
        match saying.entry.as_ref().map(|e| &e.word) {
            Some(Word::Create(create)) if create.version.number == 1 => Ok(saying),
            _ => Err(rule("an article begins with its first version")),
        }
    }
}

/// What the changes of an article add up to.
#[derive(Clone, Debug)]
pub struct Article {
    owner: Site,
    other: Other,
    carried: Vec<Carried>,
    folded: OnceCell<Option<Folded>>,
    class: Class,
}

impl Article {
    /// Begins with a first change that stands.
    pub fn begin(change: &Witnessed, saying: Saying, other: Other) -> Article {
        let mut article = Article {
            owner: change.author.site(),
            other,
            carried: Vec::new(),
            folded: OnceCell::new(),
            class: Class::Ordinary,
        };
        article.carry(change, saying.entry);
        article
    }

    /// What the rules of all kinds make of it: who must hold it.
    pub fn other(&self) -> &Other {
        &self.other
    }

    /// How urgently it travels.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How it stands; `None` when its beginning does not count, or when it has outgrown what is read.
    pub fn folded(&self) -> Option<&Folded> {
        let made = || match self.carried.len() {
            ..=MAX_ENTRIES => fold(self.carried.iter().filter(|c| c.counted).map(|c| &c.entry)),
            _ => None,
        };
        self.folded.get_or_init(made).as_ref()
    }

    /// Its entries, in the order of arrival, and whether each counts.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, bool)> {
        self.carried.iter().map(|c| (&c.entry, c.counted))
    }

    /// The change that carries an entry.
    pub fn change_of(&self, entry: EntryId) -> Option<ItemHash> {
        self.carried.iter().find(|c| c.entry.id == entry).map(|c| c.change)
    }

    /// The trail's heads, whether counted or not: the parents of the next entry.
    pub fn heads(&self, ancestry: Option<&BTreeSet<ItemHash>>) -> Vec<EntryId> {
        let within = || self.carried.iter().filter(|c| ancestry.is_none_or(|a| a.contains(&c.change)));
        let mut heads: BTreeSet<EntryId> = within().map(|c| c.entry.id).collect();
        within().flat_map(|c| &c.entry.parents).for_each(|p| {
            heads.remove(p);
        });
        heads.into_iter().collect()
    }

    /// Whether a later change may stand.
    pub fn judge(&self, document: &Document, change: &Witnessed, saying: &Saying) -> Result<(), Refusal> {
        self.other.judge(change, &saying.words)?;
        if let Some(entry) = &saying.entry
            && entry.parents != self.heads(document.ancestry(&change.deps).as_ref())
        {
            return Err(rule("an entry's parents are the trail's heads as its writer saw them"));
        }
        let with_version = saying.entry.as_ref().is_some_and(|e| e.word.version().is_some());
        let mut parts = saying.changed.iter();
        parts
            .try_for_each(|part| may_write(part, change.author.site(), self.owner, with_version))
            .map_err(rule)
    }

    /// Takes in a later change that stands.
    pub fn take(&mut self, change: &Witnessed, saying: Saying) {
        self.other.take(change, &saying.words);
        self.carry(change, saying.entry);
    }

    fn carry(&mut self, change: &Witnessed, entry: Option<Entry>) {
        self.class = Class::Ordinary;
        let Some(entry) = entry else { return };
        if matches!(entry.word, Word::Withdraw) {
            self.class = Class::Urgent; // somebody may be reading it to a caller
        }
        self.carried.push(Carried { entry, change: change.hash, counted: change.counted });
        self.folded = OnceCell::new();
    }
}
