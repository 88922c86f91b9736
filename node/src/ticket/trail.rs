//! The set of a ticket's entries, and who is whose ancestor.
//!
//! A [`Trail`] only grows and has no order of its own. [`Order`] is computed from it: the *complete* entries (all of
//! whose ancestors are here) in a causal order in which ids settle what causality leaves open. That order is for
//! showing; nothing is decided by it. An entry whose ancestors are not all here is left out until they are.
//!
//! The trail is made from its first entry, because the document's id is the hash of the change that carries it:
//! whoever writes a second `create` writes it into a ticket that has one already.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use sync::id::DocId;

use super::entry::{Authored, Create, EntryId, Op};
use super::fold::FOLDED_AT_MOST;

/// The grow-only set of the entries of one ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    document: DocId,
    root: EntryId,
    entries: BTreeMap<EntryId, Authored>,
}

/// Why an entry cannot be a ticket's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootError {
    /// It is not a `create`.
    NotACreate,
    /// It has parents.
    HasParents,
    /// It says that the call was taken by a site that its author does not write for.
    NotTheTakingSite,
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RootError::NotACreate => "the first entry of a ticket is a `create`",
            RootError::HasParents => "the first entry of a ticket has no parents",
            RootError::NotTheTakingSite => {
                "the first entry of a ticket is written by the site that took the call"
            }
        })
    }
}

impl std::error::Error for RootError {}

impl Trail {
    /// The trail of this document, with the entry that its first change carries.
    pub fn new(document: DocId, create: Authored) -> Result<Self, RootError> {
        let Op::Create(c) = &create.entry.op else { return Err(RootError::NotACreate) };
        if c.site != create.site {
            return Err(RootError::NotTheTakingSite);
        }
        if !create.entry.parents.is_empty() {
            return Err(RootError::HasParents);
        }
        Ok(Trail { document, root: create.id, entries: BTreeMap::from([(create.id, create)]) })
    }

    /// Adds an entry; false when it was there already.
    pub fn insert(&mut self, entry: Authored) -> bool {
        self.entries.insert(entry.id, entry).is_none()
    }

    /// The document whose trail this is.
    pub fn document(&self) -> DocId {
        self.document
    }

    /// The id of the first entry.
    pub fn root(&self) -> EntryId {
        self.root
    }

    /// What the first entry says.
    pub fn create(&self) -> &Create {
        match &self.entries[&self.root].entry.op {
            Op::Create(c) => c,
            _ => unreachable!("`new` takes nothing but a create as the root"),
        }
    }

    /// The entry with this id.
    pub fn get(&self, id: EntryId) -> Option<&Authored> {
        self.entries.get(&id)
    }

    /// All entries, complete or not, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Authored> {
        self.entries.values()
    }

    /// How many entries there are, complete or not; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a trail has its create")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets everything but the first entry.
    pub(super) fn keep_root(&mut self) {
        let root = self.root;
        self.entries.retain(|id, _| *id == root);
    }

    /// The complete entries, parents before children.
    pub fn in_order(&self) -> Vec<&Authored> {
        Order::new(self).entries
    }
}

/// A set of entry indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn none(size: usize) -> Self {
        Bits(vec![0; size.div_ceil(64)])
    }

    pub(crate) fn has(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    pub(crate) fn add(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    pub(crate) fn join(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }
}

/// The indices of those whose parents are all there, parents before children, the smallest ready one first: the same for
/// equal sets, when indices ascend with the entries' ids. Each counts its parents, those too that are not there.
pub(crate) fn parents_first(children: &[Vec<usize>], parents: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut waits: Vec<usize> = (0..children.len()).map(parents).collect();
    let mut ready: BinaryHeap<Reverse<usize>> =
        waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(i, _)| Reverse(i)).collect();
    let mut sequence = Vec::with_capacity(children.len());
    while let Some(Reverse(i)) = ready.pop() {
        sequence.push(i);
        for &c in &children[i] {
            waits[c] -= 1;
            if waits[c] == 0 {
                ready.push(Reverse(c));
            }
        }
    }
    sequence
}

/// The complete entries of a trail by index, parents before children, with their ancestry.
pub(super) struct Order<'a> {
    pub(super) entries: Vec<&'a Authored>,
    pub(super) parents: Vec<Vec<usize>>,
    /// Strict ancestors.
    pub(super) ancestors: Vec<Bits>,
    /// The index of the first entry of the ticket. (An entry without parents that is not it may come before.)
    pub(super) root: usize,
    /// Indices of the entries without children.
    pub(super) heads: Vec<usize>,
}

impl<'a> Order<'a> {
    /// Orders a trail. Linear in entries and edges but for the ancestries, which take n²/64 words.
    pub(super) fn new(trail: &'a Trail) -> Self {
        let all: Vec<&Authored> = trail.entries.values().collect();
        let find = |id: &EntryId| all.binary_search_by_key(id, |a| a.id).ok();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
        for (i, a) in all.iter().enumerate() {
            a.entry.parents.iter().filter_map(find).for_each(|p| children[p].push(i));
        }
        let sequence = parents_first(&children, |i| all[i].entry.parents.len());
        let mut place = vec![usize::MAX; all.len()];
        sequence.iter().enumerate().for_each(|(at, i)| place[*i] = at);
        let size = sequence.len();
        let mut order = Order {
            entries: Vec::with_capacity(size),
            parents: Vec::new(),
            ancestors: Vec::new(),
            root: 0,
            heads: Vec::new(),
        };
        for &i in &sequence {
            let entry = all[i];
            if entry.id == trail.root {
                order.root = order.entries.len();
            }
            let parents: Vec<usize> = entry.entry.parents.iter().filter_map(find).map(|p| place[p]).collect();
            // A flood is not folded: its n²/64 words of ancestry are not spent.
            let mut ancestors = Bits::none(if size > FOLDED_AT_MOST { 0 } else { size });
            for &p in parents.iter().filter(|_| size <= FOLDED_AT_MOST) {
                ancestors.join(&order.ancestors[p]);
                ancestors.add(p);
            }
            if children[i].iter().all(|&c| place[c] == usize::MAX) {
                order.heads.push(order.entries.len());
            }
            order.entries.push(entry);
            order.parents.push(parents);
            order.ancestors.push(ancestors);
        }
        order
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether `a` is a strict ancestor of `b`.
    pub(super) fn before(&self, a: usize, b: usize) -> bool {
        self.ancestors[b].has(a)
    }
}
