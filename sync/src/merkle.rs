//! Merkle trees that are known in part.
//!
//! The shape is that of RFC 6962, section 2.1: the largest power of two smaller than the width divides a subtree,
//! and nothing is ever duplicated, so two different lists of leaves never share a root. Leaves and inner nodes are
//! hashed apart (a leading 0 or 1).
//!
//! A holder of some leaves keeps [`Twig`]s for the rest: the hashes of the largest subtrees of which it has no leaf.
//! Leaves and twigs together prove the root, and whoever holds a part can prove a smaller part of it to the next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The hash of a leaf.
pub fn leaf(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[0]).update(bytes);
    *hasher.finalize().as_bytes()
}

/// The hash of an inner node.
pub fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[1]).update(left).update(right);
    *hasher.finalize().as_bytes()
}

/// A subtree known by its hash alone: the leaves from `low` up to, not including, `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twig {
    /// Its first leaf.
    pub low: u32,
    /// The leaf after its last.
    pub high: u32,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A tree, known in part: some leaves, and twigs for others.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    count: u32,
    leaves: BTreeMap<u32, [u8; 32]>,
    twigs: BTreeMap<(u32, u32), [u8; 32]>,
}

impl Tree {
    /// A tree of `count` leaves of which nothing is known.
    pub fn new(count: u32) -> Tree {
        Tree { count, ..Tree::default() }
    }

    /// Adds a leaf.
    pub fn know(&mut self, place: u32, leaf: [u8; 32]) {
        self.leaves.insert(place, leaf);
    }

    /// Adds a twig.
    pub fn know_twig(&mut self, twig: Twig) {
        self.twigs.insert((twig.low, twig.high), twig.hash);
    }

    /// The root, if enough is known.
    pub fn root(&self) -> Option<[u8; 32]> {
        self.hash(0, self.count)
    }

    fn hash(&self, low: u32, high: u32) -> Option<[u8; 32]> {
        if let Some(hash) = self.twigs.get(&(low, high)) {
            return Some(*hash);
        }
        if high - low <= 1 {
            return self.leaves.get(&low).copied();
        }
        let middle = split(low, high);
        Some(parent(&self.hash(low, middle)?, &self.hash(middle, high)?))
    }

    /// The largest subtrees of which nothing is known, from left to right, at most `limit`: with their hashes the root
    /// is known.
    pub fn gaps(&self, limit: usize) -> Vec<(u32, u32)> {
        let mut gaps = Vec::new();
        if self.count > 0 {
            self.look_for_gaps(0, self.count, limit, &mut gaps);
        }
        gaps
    }

    fn look_for_gaps(&self, low: u32, high: u32, limit: usize, into: &mut Vec<(u32, u32)>) {
        if into.len() >= limit || self.twigs.contains_key(&(low, high)) {
            return;
        }
        if self.leaves.range(low..high).next().is_none() && !self.has_twig_within(low, high) {
            return into.push((low, high));
        }
        if high - low > 1 {
            let middle = split(low, high);
            self.look_for_gaps(low, middle, limit, into);
            self.look_for_gaps(middle, high, limit, into);
        }
    }

    fn has_twig_within(&self, low: u32, high: u32) -> bool {
        self.twigs.range((low, 0)..(high, 0)).any(|((_, end), _)| *end <= high)
    }

    /// A subtree by its hash, if it is known.
    pub fn twig(&self, low: u32, high: u32) -> Option<Twig> {
        let within = low < high && high <= self.count;
        within.then(|| self.hash(low, high)).flatten().map(|hash| Twig { low, high, hash })
    }

    /// The twigs that somebody needs who gets the leaves at `places` (sorted) and nothing else: the largest
    /// subtrees without any of them, from left to right. `None` when this tree does not know enough.
    pub fn twigs_for(&self, places: &[u32]) -> Option<Vec<Twig>> {
        let mut twigs = Vec::new();
        self.collect(0, self.count, places, &mut twigs)?;
        Some(twigs)
    }

    fn collect(&self, low: u32, high: u32, places: &[u32], into: &mut Vec<Twig>) -> Option<()> {
        if places.len() == (high - low) as usize {
            return Some(());
        }
        if places.is_empty() {
            into.push(Twig { low, high, hash: self.hash(low, high)? });
            return Some(());
        }
        let middle = split(low, high);
        let cut = places.partition_point(|p| *p < middle);
        self.collect(low, middle, &places[..cut], into)?;
        self.collect(middle, high, &places[cut..], into)
    }
}

/// The bounds of the twigs for `places` (sorted, below `count`), from left to right: what a receiver rebuilds so
/// that only hashes travel. Stops after `limit` bounds.
pub fn twig_bounds(count: u32, places: &[u32], limit: usize) -> Vec<(u32, u32)> {
    fn walk(low: u32, high: u32, places: &[u32], limit: usize, into: &mut Vec<(u32, u32)>) {
        if places.len() == (high - low) as usize || into.len() >= limit {
            return;
        }
        if places.is_empty() {
            return into.push((low, high));
        }
        let middle = split(low, high);
        let cut = places.partition_point(|p| *p < middle);
        walk(low, middle, &places[..cut], limit, into);
        walk(middle, high, &places[cut..], limit, into);
    }
    let mut bounds = Vec::new();
    if count > 0 {
        walk(0, count, places, limit, &mut bounds);
    }
    bounds
}

/// The largest power of two smaller than the width divides a subtree (RFC 6962, section 2.1).
fn split(low: u32, high: u32) -> u32 {
    let width = high - low;
    low + (1 << (31 - (width - 1).leading_zeros()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(count: u32) -> Tree {
        let mut tree = Tree::new(count);
        (0..count).for_each(|i| tree.know(i, leaf(&i.to_be_bytes())));
        tree
    }

    proptest! {
        #[test]
        fn any_part_of_the_leaves_proves_the_root(count in 1u32..200, seed in any::<u64>()) {
            let full = tree(count);
            let places: Vec<u32> = (0..count).filter(|i| (seed >> (i % 61)) & 1 == 1).collect();
            let twigs = full.twigs_for(&places).unwrap();
            let bounds: Vec<_> = twigs.iter().map(|t| (t.low, t.high)).collect();
            prop_assert_eq!(&bounds, &twig_bounds(count, &places, usize::MAX));

            let mut part = Tree::new(count);
            places.iter().for_each(|p| part.know(*p, full.leaves[p]));
            twigs.iter().for_each(|t| part.know_twig(*t));
            prop_assert_eq!(part.root(), full.root());

            // Whoever holds a part can prove a smaller part of it to the next.
            let fewer: Vec<u32> = places.iter().copied().step_by(2).collect();
            let mut next = Tree::new(count);
            fewer.iter().for_each(|p| next.know(*p, part.leaves[p]));
            part.twigs_for(&fewer).unwrap().iter().for_each(|t| next.know_twig(*t));
            prop_assert_eq!(next.root(), full.root());

            // Two that lost different leaves fill each other's gaps.
            let mut torn = part.clone();
            let lost: Vec<u32> = places.iter().copied().skip(1).step_by(3).collect();
            lost.iter().for_each(|p| _ = torn.leaves.remove(p));
            let gaps = torn.gaps(usize::MAX);
            prop_assert_eq!(gaps.is_empty(), lost.is_empty());
            for (low, high) in gaps {
                torn.know_twig(full.twig(low, high).unwrap());
            }
            prop_assert_eq!(torn.root(), full.root());

            if let Some(p) = places.first() {
                let mut forged = part.clone();
                forged.know(*p, [0; 32]);
                prop_assert_ne!(forged.root(), full.root());
            }
        }
    }

    #[test]
    fn a_run_of_leaves_needs_few_twigs() {
        let full = tree(1000);
        let twigs = full.twigs_for(&(300..400).collect::<Vec<_>>()).unwrap();
        assert!(twigs.len() <= 20, "{}", twigs.len());
        assert!(full.twigs_for(&(0..1000).collect::<Vec<_>>()).unwrap().is_empty());
    }

    #[test]
    fn the_tree_has_the_shape_of_rfc_6962() {
        let l = |i: u32| leaf(&i.to_be_bytes());
        let left = parent(&parent(&l(0), &l(1)), &parent(&l(2), &l(3)));
        assert_eq!(tree(5).root(), Some(parent(&left, &l(4))));
    }

    #[test]
    fn a_huge_claim_costs_nothing() {
        let mut hostile = Tree::new(u32::MAX);
        hostile.know(5, [1; 32]);
        assert_eq!(hostile.root(), None);
        assert_eq!((hostile.gaps(4).len(), hostile.twig(7, 7), hostile.twig(0, u32::MAX)), (4, None, None));
        assert_eq!(twig_bounds(1 << 20, &[77], 4).len(), 4);
    }
}
