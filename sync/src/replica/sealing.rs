//! Sealing: what this node wrote is signed before it leaves, and what it relays is proved.

use std::collections::BTreeMap;

use super::{CHAIN, Chain, Replica};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Sealed};
use crate::matter::Matter;
use crate::merkle::Tree;
use crate::seal::{self, MAX_LEAVES, SUITE, Seal, Words};
use crate::store::{self, Store, StoredSeal};
use crate::trust::Trust;
use crate::wire::{SealPart, runs};

/// Most leaves under one seal of a backlog: about what goes into one batch, so that a seal and its leaves travel
/// together and nobody needs a proof. A signature for so many weighs nothing.
const BACKLOG: usize = 1024;

/// Trees of large seals that are kept for the next batch.
const TREES: usize = 4;

impl<T: Trust, M: Matter> Replica<T, M> {
    pub(super) fn keep_chain<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        let bytes = postcard::to_stdvec(&(self.chain.number, self.chain.last))
            .expect("two plain values have a byte form");
        store.put_meta(CHAIN, &bytes)
    }

    /// Puts everything that no seal covers under seals: one for each audience, or for each thousand items of one.
    pub fn seal_backlog<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        loop {
            let backlog = store.unsealed(MAX_LEAVES as usize)?;
            if backlog.is_empty() {
                self.unsealed = false;
                return Ok(());
            }
            let mut groups: BTreeMap<Audience, Vec<(DocId, ItemHash)>> = BTreeMap::new();
            let mut recent: Option<(DocId, Audience)> = None;
            for (item, doc) in backlog {
                if recent.as_ref().is_none_or(|(known, _)| *known != doc) {
                    let audience = store.document(&doc)?.unwrap_or_default().audience;
                    recent = Some((doc, audience));
                }
                let audience = recent.as_ref().map(|(_, a)| a.clone()).unwrap_or_default();
                groups.entry(audience).or_default().push((doc, item));
            }
            for leaves in groups.into_values() {
                for leaves in leaves.chunks(BACKLOG) {
                    self.seal(leaves.to_vec(), store)?;
                }
            }
        }
    }

    fn seal<S: Store>(&mut self, mut leaves: Vec<(DocId, ItemHash)>, store: &mut S) -> store::Result<()> {
        leaves.sort_unstable();
        let count = u32::try_from(leaves.len()).expect("a backlog is at most MAX_LEAVES long");
        let mut tree = Tree::new(count);
        for (place, (doc, item)) in (0..).zip(&leaves) {
            tree.know(place, seal::leaf(doc, item));
        }
        let root = tree.root().expect("all leaves are known");
        let Chain { number, last } = self.chain;
        let words = Words {
            suite: SUITE,
            node: self.me,
            incarnation: self.incarnation,
            number: number + 1,
            previous: last,
            count,
            root,
        };
        let seal = Seal::make(words, |w| self.trust.sign(w));
        let hash = seal.hash();
        store.put_seal(&hash, &StoredSeal { seal, twigs: Vec::new() })?;
        for (leaf, (_, item)) in (0..).zip(&leaves) {
            store.seal_item(item, Sealed { seal: hash, leaf })?;
        }
        self.chain = Chain { number: number + 1, last: Some(hash) };
        self.keep_chain(store)
    }

    /// A seal and what its receiver needs to check these leaves of it; `None` when too little of the seal is here to
    /// prove them, which only damage or a lost disk brings about.
    pub(super) fn seal_part<S: Store>(
        &mut self,
        hash: SealHash,
        leaves: &[u32],
        store: &mut S,
    ) -> store::Result<Option<SealPart>> {
        let Some(stored) = store.seal(&hash)? else { return Ok(None) };
        let count = stored.seal.words().count;
        if leaves.len() == count as usize {
            return Ok(Some(SealPart { seal: stored.seal, places: Vec::new(), twigs: Vec::new() }));
        }
        if !self.trees.iter().any(|(known, _)| *known == hash) {
            let mut tree = Tree::new(count);
            for (place, item, doc) in store.leaves(&hash)? {
                tree.know(place, seal::leaf(&doc, &item));
            }
            stored.twigs.iter().for_each(|t| tree.know_twig(*t));
            self.trees.truncate(TREES - 1);
            self.trees.push_front((hash, tree));
        }
        let tree = self.trees.iter().find(|(known, _)| *known == hash).map(|(_, t)| t);
        let Some(twigs) = tree.and_then(|t| t.twigs_for(leaves)) else { return Ok(None) };
        Ok(Some(SealPart {
            seal: stored.seal,
            places: runs(leaves),
            twigs: twigs.iter().map(|t| t.hash).collect(),
        }))
    }
}
