//! Sealing: what this node wrote is signed before it leaves, and what it relays is proved.
//!
//! A node keeps what it needs to prove each item it holds: the other leaves, or the hashes of the subtrees that it
//! lacks. A medium that loses items loses that, too. Then the node asks the peer that is to get the rest of the seal
//! for the hashes of what is missing:
//!
//! ```text
//! holds 1 2 3 . 5                                holds . 2 3 4 5, lacks 1
//!   | -- prove: seal, gap (3, 4)          ----->   |
//!   | <-- proof: its hash                 ------   |
//!     the root comes out right: kept; 1 can be proved
//! ```

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::{CHAIN, Chain, Replica};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Audience, Sealed};
use crate::matter::Matter;
use crate::merkle::Tree;
use crate::seal::{self, MAX_LEAVES, SUITE, Seal, Words};
use crate::store::{self, Store, StoredSeal};
use crate::trust::Trust;
use crate::wire::{Frame, Lane, ProofBody, ProveBody, SealPart, runs};

/// Most leaves under one seal of a backlog: about what goes into one batch, so that a seal and its leaves travel
/// together and nobody needs a proof. A signature for so many weighs nothing.
const BACKLOG: usize = 1024;

/// Subtrees of one seal that are asked for at once, and seals of which a link asks for some between two repairs.
const GAPS: usize = 1024;
const ASKED: usize = 256;

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
            // Document by document in the order in which they were begun or touched again: what belongs together is under
            // one seal, travels together, and costs its receiver one look at the document.
            let mut docs: Vec<(DocId, Vec<ItemHash>)> = Vec::new();
            let mut places: BTreeMap<DocId, usize> = BTreeMap::new();
            for (item, doc) in backlog {
                let place = *places.entry(doc).or_insert_with(|| {
                    docs.push((doc, Vec::new()));
                    docs.len() - 1
                });
                docs[place].1.push(item);
            }
            let mut groups: BTreeMap<Audience, Vec<(DocId, ItemHash)>> = BTreeMap::new();
            for (doc, items) in docs {
                let audience = store.document(&doc)?.unwrap_or_default().audience;
                let group = groups.entry(audience).or_default();
                if !group.is_empty() && group.len() + items.len() > BACKLOG {
                    self.seal_group(&std::mem::take(group), store)?;
                }
                group.extend(items.into_iter().map(|item| (doc, item)));
            }
            for group in groups.into_values() {
                self.seal_group(&group, store)?;
            }
        }
    }

    fn seal_group<S: Store>(&mut self, group: &[(DocId, ItemHash)], store: &mut S) -> store::Result<()> {
        group.chunks(BACKLOG).try_for_each(|leaves| self.seal(leaves.to_vec(), store))
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
        let Some(twigs) = self.tree(hash, &stored, store)?.twigs_for(leaves) else { return Ok(None) };
        Ok(Some(SealPart {
            seal: stored.seal,
            places: runs(leaves),
            twigs: twigs.iter().map(|t| t.hash).collect(),
        }))
    }

    /// A seal's tree, as far as it is known here.
    fn tree<S: Store>(&mut self, hash: SealHash, stored: &StoredSeal, store: &mut S) -> store::Result<&Tree> {
        let place = match self.trees.iter().position(|(known, _)| *known == hash) {
            Some(place) => place,
            None => {
                let mut tree = Tree::new(stored.seal.words().count);
                for (place, item, doc) in store.leaves(&hash)? {
                    tree.know(place, seal::leaf(&doc, &item));
                }
                stored.twigs.iter().for_each(|t| tree.know_twig(*t));
                self.trees.truncate(TREES - 1);
                self.trees.push_front((hash, tree));
                0
            }
        };
        Ok(&self.trees[place].1)
    }

    /// Asks everybody who is linked for what is missing here to prove items under this seal, each once, until a repair with
    /// it has ended. Whom the items are for may know as little as this node; a third may know all of it.
    pub(super) fn ask_for_proof<S: Store>(&mut self, seal: SealHash, store: &mut S) -> store::Result<()> {
        let Some(stored) = store.seal(&seal)? else { return Ok(()) };
        let mut asked = Vec::new();
        for (peer, link) in &mut self.links {
            if link.view().connected && link.asked.len() < ASKED && link.asked.insert(seal) {
                asked.push(*peer);
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let gaps = self.tree(seal, &stored, store)?.gaps(GAPS);
        for peer in asked {
            self.send(peer, Lane::Control, &Frame::Prove(ProveBody { seal, gaps: gaps.clone() }));
        }
        Ok(())
    }

    /// A peer asks for subtrees of a seal.
    pub(super) fn prove<S: Store>(
        &mut self,
        peer: NodeName,
        body: ProveBody,
        store: &mut S,
    ) -> store::Result<()> {
        let apart = body.gaps.windows(2).all(|w| w[0].1 <= w[1].0) && body.gaps.iter().all(|g| g.0 < g.1);
        if !apart || body.gaps.len() > GAPS {
            self.blame(peer, "asks for subtrees of a seal that no version asks for".to_owned());
            return Ok(());
        }
        let Some(stored) = store.seal(&body.seal)? else { return Ok(()) };
        let tree = self.tree(body.seal, &stored, store)?;
        let twigs: Vec<_> = body.gaps.iter().filter_map(|(low, high)| tree.twig(*low, *high)).collect();
        if !twigs.is_empty() {
            self.send(peer, Lane::Control, &Frame::Proof(ProofBody { seal: body.seal, twigs }));
        }
        Ok(())
    }

    /// A peer knows subtrees of a seal that this node asked for. They are kept if they make the signed root.
    pub(super) fn proof<S: Store>(
        &mut self,
        peer: NodeName,
        body: ProofBody,
        store: &mut S,
    ) -> store::Result<()> {
        let Some(stored) = store.seal(&body.seal)? else { return Ok(()) };
        if !self.links.get(&peer).is_some_and(|link| link.asked.contains(&body.seal)) {
            return Ok(());
        }
        let mut tree = self.tree(body.seal, &stored, store)?.clone();
        let gaps: BTreeSet<(u32, u32)> = tree.gaps(GAPS).into_iter().collect();
        // The root is made of every gap's hash, so what makes it come out right is right.
        let twigs: Vec<_> = body.twigs.into_iter().filter(|t| gaps.contains(&(t.low, t.high))).collect();
        twigs.iter().for_each(|twig| tree.know_twig(*twig));
        if twigs.is_empty() || tree.root() != Some(stored.seal.words().root) {
            return Ok(());
        }
        self.keep_twigs(body.seal, twigs, store)?;
        for link in self.links.values_mut().filter(|link| !link.parked.is_empty()) {
            link.parked.clear();
            link.changed();
        }
        Ok(())
    }
}
