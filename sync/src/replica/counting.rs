//! Whose items count after a revocation.
//!
//! A revocation names the last seals of a node that count; what their chains hold was written before the key was in
//! wrong hands. Who holds the chain decides by it. Others hold pieces of it, so a superior, or another node of the same
//! site, *vouches*: an item under the document names the hashes that stand, under the voucher's own seal. With the same
//! item a superior takes in what came later and is found to be honest.
//!
//! ```text
//! vouch   postcard (who vouches, [item hash])    of the same document; by a node whose site is above the revoked
//!                                                author's, or by another of the same site; it names itself, so that
//!                                                no two nodes write one item
//! ```

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use certs::NodeName;

use super::Replica;
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Item, Kind, Sealed, State};
use crate::matter::{Domain, Matter};
use crate::store::{self, Store};
use crate::trust::{Membership, Trust};

/// Most hashes in one vouch.
const MOST: usize = 4096;

/// Whether one node may vouch for what another wrote: its site is above the other's, or it is another node of the same
/// site, in whose name it could write the same.
fn may_vouch(voucher: NodeName, author: NodeName) -> bool {
    let (above, below) = (voucher.site(), author.site());
    above.is_above(below) || above == below && voucher != author
}

fn vouched(vouch: &Item) -> Vec<ItemHash> {
    match postcard::from_bytes::<(NodeName, Vec<ItemHash>)>(&vouch.bytes) {
        Ok((node, hashes)) if node == vouch.author && hashes.len() <= MOST => hashes,
        _ => Vec::new(),
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Whether an item is counted: a member's always, a revoked node's when its seal is in a chain that counts or a
    /// superior vouches for it. What no seal covers yet is this node's own.
    pub(super) fn counts<S: Store>(
        &mut self,
        doc: DocId,
        item: ItemHash,
        author: NodeName,
        sealed: Option<Sealed>,
        store: &mut S,
    ) -> store::Result<bool> {
        let Membership::Revoked { counts, .. } = self.trust.membership(author) else { return Ok(true) };
        if let Some(sealed) = sealed
            && self.chain_of(author, counts, store)?.contains(&sealed.seal)
        {
            return Ok(true);
        }
        let items = store.items_of(&doc)?;
        let mut vouches = items.iter().filter(|i| i.kind == Kind::VOUCH && i.state == State::Counted);
        Ok(vouches.any(|v| may_vouch(v.author, author) && vouched(v).contains(&item)))
    }

    /// The seals of a revoked node that count: from the named ones back, as far as they are here.
    fn chain_of<S: Store>(
        &mut self,
        author: NodeName,
        ends: Vec<SealHash>,
        store: &mut S,
    ) -> store::Result<&BTreeSet<SealHash>> {
        let known = match self.chains.entry(author) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let (mut queue, mut chain) = (ends, BTreeSet::new());
                while let Some(hash) = queue.pop() {
                    if !chain.contains(&hash)
                        && let Some(stored) = store.seal(&hash)?
                    {
                        queue.extend(stored.seal.words().previous);
                        chain.insert(hash);
                    }
                }
                unknown.insert(chain)
            }
        };
        Ok(known)
    }

    /// A seal has come that may close a gap in a revoked node's chain.
    pub(super) fn note_seal_of(&mut self, author: NodeName) {
        if matches!(self.trust.membership(author), Membership::Revoked { .. }) {
            self.chains.remove(&author);
            self.recount_due.insert(author);
        }
    }

    /// Judges again what the seals that came late decide.
    pub(super) fn recount_late<S, D>(&mut self, store: &mut S, domain: &mut D) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let due: Vec<NodeName> = std::mem::take(&mut self.recount_due).into_iter().collect();
        self.recount(&due, store, domain)
    }

    /// Judges again which items of these nodes are counted, and what hangs on their vouches, after a revocation.
    pub(super) fn recount<S, D>(
        &mut self,
        nodes: &[NodeName],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut docs = BTreeSet::new();
        for node in nodes {
            self.chains.remove(node);
            docs.extend(store.documents_by(*node)?);
        }
        for doc in &docs {
            self.recount_document(*doc, store, domain)?;
        }
        for node in nodes {
            if self.answers_for_the_past_of(*node) {
                for doc in store.documents_by(*node)? {
                    self.vouch_for_past(doc, *node, store)?;
                }
            }
        }
        Ok(())
    }

    /// Judges again which items of a document are counted.
    pub(super) fn recount_document<S, D>(
        &mut self,
        doc: DocId,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut changed = false;
        // Vouches first: what they say of the others hangs on whether they are counted themselves.
        for vouches in [true, false] {
            for item in store.items_of(&doc)? {
                if (item.kind == Kind::VOUCH) != vouches
                    || matches!(item.state, State::Refused | State::Emptied)
                {
                    continue;
                }
                let counted = self.counts(doc, item.hash, item.author, item.sealed, store)?;
                let state = if counted { State::Counted } else { State::NotCounted };
                if state != item.state {
                    store.set_state(&item.hash, state)?;
                    changed = true;
                }
            }
        }
        if changed {
            self.shelf.forget(&doc);
            self.shelf.open(doc, store, domain)?;
            self.shelf.touch(doc);
            self.enforce_erased(doc, store, domain)?;
        }
        Ok(())
    }

    /// Whether this node says by itself what of a revoked node's words counts: one of the site right above, or another of
    /// the same site, which holds documents that its superior has no part in.
    fn answers_for_the_past_of(&self, revoked: NodeName) -> bool {
        let (site, mine) = (revoked.site(), self.me.site());
        (site.superior() == Some(mine) || site == mine) && may_vouch(self.me, revoked)
    }

    /// Vouches for what a revoked node wrote inside the chain that counts. Others may not have the chain, or have an item
    /// under a seal outside of it: copies of one disk seal what was under no seal yet once each, and only one of these seals
    /// travels with the item.
    fn vouch_for_past<S: Store>(&mut self, doc: DocId, author: NodeName, store: &mut S) -> store::Result<()> {
        self.vouch(doc, |item| item.author == author && item.state == State::Counted, store).map(drop)
    }

    /// A document that comes to concern more sites comes to some that lack the chains of revoked nodes in it. Called once
    /// before every commit.
    pub(super) fn vouch_for_grown<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        for doc in std::mem::take(&mut self.grown) {
            let authors: BTreeSet<NodeName> = store.items_of(&doc)?.iter().map(|i| i.author).collect();
            for author in authors {
                let revoked = matches!(self.trust.membership(author), Membership::Revoked { .. });
                if revoked && self.answers_for_the_past_of(author) {
                    self.vouch_for_past(doc, author, store)?;
                }
            }
        }
        Ok(())
    }

    /// Vouches for the items of a document that `which` picks and nobody has vouched for yet. Returns for how many.
    fn vouch<S: Store>(
        &mut self,
        doc: DocId,
        which: impl Fn(&Item) -> bool,
        store: &mut S,
    ) -> store::Result<usize> {
        let items = store.items_of(&doc)?;
        let standing: BTreeSet<ItemHash> = items
            .iter()
            .filter(|i| i.kind == Kind::VOUCH && i.state == State::Counted)
            .flat_map(vouched)
            .collect();
        let hashes: Vec<ItemHash> = items
            .iter()
            .filter(|i| may_vouch(self.me, i.author) && which(i) && !standing.contains(&i.hash))
            .map(|i| i.hash)
            .collect();
        for part in hashes.chunks(MOST) {
            let bytes = postcard::to_stdvec(&(self.me, part)).expect("a name and hashes have a byte form");
            self.keep_own(doc, Kind::VOUCH, bytes, store)?;
        }
        Ok(hashes.len())
    }

    /// Takes in what is not counted of a document: a person of a superior has looked at it. Returns how many items.
    pub fn take_in<S, D>(&mut self, doc: DocId, store: &mut S, domain: &mut D) -> store::Result<usize>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let taken = self.vouch(doc, |item| item.state == State::NotCounted, store)?;
        if taken > 0 {
            self.recount_document(doc, store, domain)?;
        }
        Ok(taken)
    }
}
