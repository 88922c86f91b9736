//! The digest of a set of items: equal sets have equal fingerprints, in whatever order they came to be.
//!
//! LtHash with 1,024 lanes of 16 bits (Lewi, Kim, Maykov, Weis: *Securing Update Propagation with Homomorphic
//! Hashing*, 2019, IACR ePrint 2019/227). Each item is expanded to 2,048 bytes and added lane by lane; taking it out
//! subtracts it. Two sets with one digest cannot be made on purpose (more than 200 bits, a short-vector problem),
//! which is what an XOF-wide XOR or a plain sum of hashes does not give.
//!
//! ```text
//! expand(item)   BLAKE3 keyed with ITEM_TAG, read as 1,024 little-endian u16
//! lanes          sum of expand(item), each lane modulo 65,536
//! bytes          lanes 2,048 | count 8, little-endian
//! fingerprint    BLAKE3 keyed with STATE_TAG, of the bytes
//! ```
//! It is a digest of a multiset that cannot tell 65,536 copies of one item from none but by the count, and it takes
//! out what was never put in. That each item is in once is the caller's business: the store knows what it holds.

use std::fmt;

use crate::id::ItemHash;

const LANES: usize = 1024;

/// How long [`SetDigest::to_bytes`] is.
pub const DIGEST_BYTES: usize = 2 * LANES + 8;

const ITEM_TAG: &[u8; 32] = b"hotline set digest: item, v1    ";
const STATE_TAG: &[u8; 32] = b"hotline set digest: state, v1   ";

/// The digest of a set of items, kept up to date item by item. The order of all operations is free.
#[derive(Clone, PartialEq, Eq)]
pub struct SetDigest {
    lanes: [u16; LANES],
    count: u64,
}

/// An item made ready to be added to several digests: the expansion is the costly part.
#[derive(Clone)]
pub struct Expanded([u16; LANES]);

impl Expanded {
    /// Expands an item's hash.
    pub fn new(item: &ItemHash) -> Self {
        let mut bytes = [0; 2 * LANES];
        blake3::Hasher::new_keyed(ITEM_TAG).update(item.as_bytes()).finalize_xof().fill(&mut bytes);
        Self(lanes_of(&bytes))
    }
}

impl SetDigest {
    /// The digest of no item.
    pub const fn new() -> Self {
        Self { lanes: [0; LANES], count: 0 }
    }

    /// Puts an item in.
    pub fn add(&mut self, item: &ItemHash) {
        self.add_expanded(&Expanded::new(item));
    }

    /// Takes an item out.
    pub fn remove(&mut self, item: &ItemHash) {
        self.remove_expanded(&Expanded::new(item));
    }

    /// Puts an expanded item in.
    pub fn add_expanded(&mut self, item: &Expanded) {
        self.each_lane(&item.0, u16::wrapping_add);
        self.count = self.count.wrapping_add(1);
    }

    /// Takes an expanded item out.
    pub fn remove_expanded(&mut self, item: &Expanded) {
        self.each_lane(&item.0, u16::wrapping_sub);
        self.count = self.count.wrapping_sub(1);
    }

    /// Puts in all that another digest holds: the digest of a union of sets that share nothing.
    pub fn combine(&mut self, other: &Self) {
        self.each_lane(&other.lanes, u16::wrapping_add);
        self.count = self.count.wrapping_add(other.count);
    }

    /// How many items are in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What two peers compare: 32 bytes that are equal exactly when lanes and count are.
    pub fn fingerprint(&self) -> [u8; 32] {
        *blake3::keyed_hash(STATE_TAG, &self.to_bytes()).as_bytes()
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> [u8; DIGEST_BYTES] {
        let mut bytes = [0; DIGEST_BYTES];
        let (lanes, count) = bytes.split_at_mut(2 * LANES);
        for (out, lane) in lanes.chunks_exact_mut(2).zip(&self.lanes) {
            out.copy_from_slice(&lane.to_le_bytes());
        }
        count.copy_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// As it was stored; any [`DIGEST_BYTES`] bytes are a digest of something.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DigestLength> {
        let wrong = DigestLength { found: bytes.len() };
        let (lanes, count) = bytes.split_first_chunk::<{ 2 * LANES }>().ok_or(wrong)?;
        let count = count.try_into().map_err(|_| wrong)?;
        Ok(Self { lanes: lanes_of(lanes), count: u64::from_le_bytes(count) })
    }

    /// One loop over two arrays of known length: it becomes vector instructions.
    fn each_lane(&mut self, other: &[u16; LANES], f: impl Fn(u16, u16) -> u16) {
        for (a, b) in self.lanes.iter_mut().zip(other) {
            *a = f(*a, *b);
        }
    }
}

fn lanes_of(bytes: &[u8; 2 * LANES]) -> [u16; LANES] {
    let mut lanes = [0; LANES];
    for (lane, two) in lanes.iter_mut().zip(bytes.chunks_exact(2)) {
        *lane = u16::from_le_bytes([two[0], two[1]]);
    }
    lanes
}

impl Default for SetDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint();
        write!(f, "SetDigest({} items, ", self.count)?;
        fingerprint[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str(")")
    }
}

/// A stored digest has another length than [`DIGEST_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestLength {
    /// How many bytes there are.
    pub found: usize,
}

impl fmt::Display for DigestLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a stored digest has {} bytes instead of {DIGEST_BYTES}: rebuild it from the items",
            self.found
        )
    }
}

impl std::error::Error for DigestLength {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    fn item(n: u32) -> ItemHash {
        ItemHash::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn digest(items: impl IntoIterator<Item = u32>) -> SetDigest {
        let mut d = SetDigest::new();
        items.into_iter().for_each(|n| d.add(&item(n)));
        d
    }

    #[test]
    fn an_item_is_expanded_as_the_page_says() {
        let mut one = SetDigest::new();
        one.add(&item(7));
        let mut bytes = vec![0; DIGEST_BYTES];
        let mut xof = blake3::Hasher::new_keyed(ITEM_TAG).update(item(7).as_bytes()).finalize_xof();
        xof.fill(&mut bytes[..2048]);
        bytes[2048] = 1;
        assert_eq!(one.to_bytes()[..], bytes);
        one.add(&item(7));
        let low = u16::from_le_bytes([bytes[0], bytes[1]]).wrapping_mul(2);
        assert_eq!(one.to_bytes()[..2], low.to_le_bytes());
    }

    #[test]
    fn copies_and_counts_show() {
        assert_ne!(digest([1]).fingerprint(), digest([1, 1]).fingerprint());
        assert_ne!(digest([1, 1]).fingerprint(), digest([1, 2]).fingerprint());
        // with XOR these two would be one
        assert_ne!(digest([1, 2, 1, 3]).fingerprint(), digest([2, 3]).fingerprint());
        let mut zeros = SetDigest::new();
        let one = Expanded::new(&item(1));
        (0..65_536).for_each(|_| zeros.add_expanded(&one));
        assert_eq!(zeros.lanes, SetDigest::new().lanes);
        assert_ne!(zeros.fingerprint(), SetDigest::new().fingerprint());
    }

    #[test]
    fn the_stored_form_is_checked() {
        for found in [0, 8, 2048, DIGEST_BYTES - 1, DIGEST_BYTES + 1] {
            assert_eq!(SetDigest::from_bytes(&vec![1; found]), Err(DigestLength { found }));
        }
    }

    #[test]
    fn the_form_stays() {
        let hex: String = digest([1, 2, 3]).fingerprint().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "1443f9844c7c4753e06bebc3dfab16225c575872500db5adc5263999a80e27e5");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn order_is_free(mut items in vec(any::<u32>(), 0..20), seed: prop::sample::Index) {
            let d = digest(items.iter().copied());
            prop_assert_eq!(SetDigest::from_bytes(&d.to_bytes()), Ok(d.clone()));
            items.reverse();
            let at = seed.index(items.len().max(1));
            items.rotate_left(at);
            prop_assert_eq!(&digest(items.iter().copied()), &d);
            prop_assert_eq!(d.count(), items.len() as u64);
            let (a, b) = items.split_at(at);
            let mut halves = digest(a.iter().copied());
            halves.combine(&digest(b.iter().copied()));
            prop_assert_eq!(halves.fingerprint(), d.fingerprint());
        }

        #[test]
        fn what_comes_and_goes_leaves_no_trace(items in vec(any::<u32>(), 0..10), guests in vec(any::<u32>(), 1..10)) {
            let before = digest(items);
            let mut d = before.clone();
            // out before in is as good
            d.remove(&item(guests[0]));
            guests.iter().for_each(|g| d.add(&item(*g)));
            prop_assert_eq!(d == before, guests.len() == 1);
            guests[1..].iter().rev().for_each(|g| d.remove(&item(*g)));
            prop_assert_eq!(d, before);
        }

        #[test]
        fn other_sets_have_other_fingerprints(a in btree_set(0u32..12, 0..12), b in btree_set(0u32..12, 0..12)) {
            let (da, db) = (digest(a.iter().copied()), digest(b.iter().copied()));
            prop_assert_eq!(da.fingerprint() == db.fingerprint(), a == b);
        }
    }
}
