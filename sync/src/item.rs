//! Items: everything that replicates.
//!
//! An item is a kind, a hash and bytes. Kinds 1 to 127 belong to a document, share its audience and come under a
//! seal of their author; kinds 128 to 255 belong to the directory, are held by every node and carry their own
//! signature. A kind that this version does not know is kept and passed on.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use certs::{NameError, NodeName, Site};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{DocId, ItemHash, SealHash};

/// The largest item in bytes, of any kind.
pub const MAX_ITEM: usize = 256 * 1024;

/// How many bytes are left of an item that was emptied.
pub const STUB: usize = 32;

/// What is left of the bytes of an item that is emptied. The item's hash follows from it and the kind, so whoever is
/// given a stub knows that it stands for an item of this kind and of no other, and learns nothing of the bytes.
pub fn stub(bytes: &[u8]) -> [u8; STUB] {
    *blake3::hash(bytes).as_bytes()
}

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind(u8);

impl Kind {
    /// One automerge change of a document.
    pub const CHANGE: Kind = Kind(1);
    /// A document's key, sealed to one node or desk.
    pub const GRANT: Kind = Kind(2);
    /// The mark that a document's personal data is erased; it beats every later grant.
    pub const ERASED: Kind = Kind(3);
    /// A superior's word that items of a revoked node stand.
    pub const VOUCH: Kind = Kind(4);
    /// A node's receipt: what the document's erased mark names is gone there.
    pub const RECEIPT: Kind = Kind(6);
    /// A file's manifest: what its content is made of (see [`crate::file`]).
    pub const FILE: Kind = Kind(5);
    /// A node record: which keys a node signs and opens with.
    pub const RECORD: Kind = Kind(128);
    /// An authority's revocation list.
    pub const REVOCATION: Kind = Kind(129);

    /// The kind with this number.
    pub const fn new(number: u8) -> Kind {
        Kind(number)
    }

    /// Its number on the wire and in the store.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether items of this kind belong to a document and come under a seal.
    pub const fn is_sealed(self) -> bool {
        self.0 > 0 && self.0 < 128
    }

    /// The hash of an item of this kind. For a change it is the SHA-256 that automerge knows the change by (over
    /// the chunk without its magic and checksum), for every other kind BLAKE3 over kind and [`stub`].
    pub fn hash(self, bytes: &[u8]) -> ItemHash {
        if self == Kind::CHANGE {
            let body = bytes.get(8..).unwrap_or_default();
            return ItemHash::from_bytes(Sha256::digest(body).into());
        }
        self.hash_of_stub(&stub(bytes))
    }

    /// The hash of an item of this kind (not a change) of whose bytes only the stub is left.
    pub fn hash_of_stub(self, stub: &[u8; STUB]) -> ItemHash {
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 item");
        hasher.update(&[self.0]).update(stub);
        ItemHash::from_bytes(*hasher.finalize().as_bytes())
    }

    /// Whether an erased mark of the document empties items of this kind.
    pub fn is_erasable(self) -> bool {
        self == Kind::GRANT
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::CHANGE => f.write_str("change"),
            Kind::GRANT => f.write_str("grant"),
            Kind::ERASED => f.write_str("erased mark"),
            Kind::VOUCH => f.write_str("vouch"),
            Kind::RECEIPT => f.write_str("receipt of an erasure"),
            Kind::FILE => f.write_str("file"),
            Kind::RECORD => f.write_str("node record"),
            Kind::REVOCATION => f.write_str("revocation list"),
            Kind(n) => write!(f, "item of kind {n}"),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What became of an item here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It stands.
    Counted,
    /// Past its author's revocation: kept, applied and replicated, but outside the fold.
    NotCounted,
    /// It broke a rule that every node applies alike; its hash stays in the set.
    Refused,
    /// An erased mark of its document took its bytes; its hash stays in the set, and its bytes are the [`stub`].
    Emptied,
}

/// The sites that must hold a document: those that are named, and those at or below some that are named for all of
/// their region. Whether a site lies below another is a function of their names, so it holds for a node that is enrolled
/// years later too.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Audience {
    sites: BTreeSet<Site>,
    regions: BTreeSet<Site>,
}

impl Audience {
    /// Whether every replica of `site` must hold the document.
    pub fn has(&self, site: Site) -> bool {
        self.sites.contains(&site) || self.regions.iter().any(|top| top.covers(site))
    }

    /// Adds what `other` has; an audience only grows.
    pub fn grow(&mut self, other: &Audience) -> bool {
        let before = self.sites.len() + self.regions.len();
        self.sites.extend(other.sites.iter().copied());
        self.regions.extend(other.regions.iter().copied());
        self.sites.len() + self.regions.len() > before
    }

    /// With these sites and everything below them.
    pub fn with_regions(mut self, tops: impl IntoIterator<Item = Site>) -> Audience {
        self.regions.extend(tops);
        self
    }

    /// The sites that are named one by one, in order.
    pub fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        self.sites.iter().copied()
    }

    /// The sites that stand for all of their region, in order.
    pub fn regions(&self) -> impl Iterator<Item = Site> + '_ {
        self.regions.iter().copied()
    }

    /// Whether nobody but these sites can be in it. A region may always get one more.
    pub fn is_within(&self, sites: &[Site]) -> bool {
        self.regions.is_empty() && self.sites.iter().all(|site| sites.contains(site))
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.regions.is_empty()
    }
}

impl FromIterator<Site> for Audience {
    fn from_iter<I: IntoIterator<Item = Site>>(sites: I) -> Self {
        Audience { sites: sites.into_iter().collect(), regions: BTreeSet::new() }
    }
}

/// What stands behind the name of a region's top.
const REGION: char = '/';

impl fmt::Display for Audience {
    /// Names with spaces between them, regions last: `370100 370000/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for site in &self.sites {
            write!(f, "{gap}{site}")?;
            gap = " ";
        }
        for top in &self.regions {
            write!(f, "{gap}{top}{REGION}")?;
            gap = " ";
        }
        Ok(())
    }
}

impl FromStr for Audience {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut audience = Audience::default();
        for word in text.split_whitespace() {
            match word.strip_suffix(REGION) {
                Some(top) => audience.regions.insert(top.parse()?),
                None => audience.sites.insert(word.parse()?),
            };
        }
        Ok(audience)
    }
}

/// How urgently a document's changes travel; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Records and revocations: whatever follows needs them.
    Directory,
    /// Custody moves, and urgent matters.
    Urgent,
    /// Everything else, the newest first.
    Ordinary,
    /// History for somebody who joined later.
    Backfill,
}

impl Class {
    /// The class stored as this number; anything unknown is backfill.
    pub fn from_number(n: u8) -> Class {
        match n {
            0 => Class::Directory,
            1 => Class::Urgent,
            2 => Class::Ordinary,
            _ => Class::Backfill,
        }
    }
}

/// Where an item stands under its author's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The seal.
    pub seal: SealHash,
    /// The item's place among the seal's leaves.
    pub leaf: u32,
}

/// An item as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its hash.
    pub hash: ItemHash,
    /// Its kind.
    pub kind: Kind,
    /// The document it belongs to; `None` for the directory's kinds.
    pub doc: Option<DocId>,
    /// The node that wrote it.
    pub author: NodeName,
    /// What became of it here.
    pub state: State,
    /// The seal that covers it; `None` while the author has not let it out, and for the directory's kinds.
    pub sealed: Option<Sealed>,
    /// Its bytes; a change is one uncompressed automerge change chunk, what was emptied is a [`stub`].
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::transaction::Transactable;

    #[test]
    fn a_change_is_known_by_automerges_own_hash() {
        let mut doc = automerge::Automerge::new();
        let mut tx = doc.transaction();
        tx.put(automerge::ROOT, "k", 1).unwrap();
        let hash = tx.commit().0.unwrap();
        let change = doc.get_changes(&[]).pop().unwrap();
        assert_eq!(Kind::CHANGE.hash(change.raw_bytes()).as_bytes(), &hash.0);
    }

    #[test]
    fn kinds_hash_apart() {
        assert_ne!(Kind::GRANT.hash(b"x"), Kind::ERASED.hash(b"x"));
    }

    #[test]
    fn what_is_left_of_an_emptied_item_gives_its_hash_and_no_other_kinds() {
        let left = stub(b"a grant");
        assert_eq!(Kind::GRANT.hash_of_stub(&left), Kind::GRANT.hash(b"a grant"));
        assert_ne!(Kind::RECEIPT.hash_of_stub(&left), Kind::GRANT.hash(b"a grant"));
    }

    #[test]
    fn an_audience_only_grows() {
        let site = |s: &str| s.parse::<Site>().unwrap();
        let mut a: Audience = [site("370100"), site("370000")].into_iter().collect();
        assert!(!a.clone().grow(&[site("370000")].into_iter().collect()));
        assert!(a.grow(&[site("370200")].into_iter().collect()));
        assert_eq!(a.to_string(), "370000 370100 370200");
    }
    #[test]
    fn a_region_holds_who_lies_below_its_top_and_nobody_else() {
        let site = |s: &str| s.parse::<Site>().unwrap();
        let check = |top: &str, inside: &[&str], outside: &[&str]| {
            let audience = Audience::default().with_regions([site(top)]);
            inside.iter().for_each(|s| assert!(audience.has(site(s)), "{s} lies below {top}"));
            outside.iter().for_each(|s| assert!(!audience.has(site(s)), "{s} does not lie below {top}"));
        };
        check("000000", &["000000", "370000", "110000", "130682", "370100", "370100-07"], &[]);
        check(
            "370000",
            &["370000", "370100", "379999", "370100-01"],
            &["000000", "510000", "510100", "360000"],
        );
        check("370100", &["370100", "370100-01"], &["370000", "370200", "370200-01", "370101"]);
        check("110000", &["110000", "110000-01", "110101"], &["000000", "120000"]);
        let mut grown: Audience = [site("370100")].into_iter().collect();
        assert!(grown.is_within(&[site("370100")]));
        let region = Audience::default().with_regions([site("370100")]);
        assert!(grown.grow(&region) && !grown.grow(&region), "a region counts as more than its top");
        assert!(!grown.is_within(&[site("370100")]), "somebody may be enrolled below");
    }

    proptest::proptest! {
        #[test]
        fn an_audience_reads_as_it_is_written(
            sites in proptest::collection::btree_set(site(), 0..5),
            tops in proptest::collection::btree_set(site(), 0..3),
            asked in site(),
        ) {
            let audience = sites.iter().copied().collect::<Audience>().with_regions(tops.iter().copied());
            proptest::prop_assert_eq!(audience.to_string().parse::<Audience>().unwrap(), audience.clone());
            let named = sites.contains(&asked);
            let below = std::iter::once(asked).chain(asked.superiors()).any(|s| tops.contains(&s));
            proptest::prop_assert_eq!(audience.has(asked), named || below);
        }
    }

    fn site() -> impl proptest::strategy::Strategy<Value = Site> {
        let known =
            ["000000", "370000", "510000", "370100", "370200", "510100", "370100-01", "110000", "110000-02"];
        proptest::sample::select(known.map(|s| s.parse::<Site>().unwrap()).to_vec())
    }
}
