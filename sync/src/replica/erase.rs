//! Erasing: what an erased mark does to a document's grants and files, and items whose bytes were lost.
//!
//! A mark that stands empties every grant of its document, those that are here and those that come later, from
//! whomever they come. An emptied item stays in set, digest and seals by its hash; to a peer that lacks it goes the
//! stub that its hash is made of, and it is taken only where a mark counts: so nobody can pass a grant over by
//! calling it erased, and a repair that asks for an emptied item ends. Where a mark counts no more, after a revocation,
//! what it emptied is given up as lost, and comes back from whoever heard of the revocation first.
//!
//! Contents of files go too: each belongs to the one document that its manifest came under. The manifests stay; they
//! are hashes of sealed bytes.

use std::collections::BTreeSet;

use certs::NodeName;

use super::Replica;
use super::admit::{Incoming, Taken, Verdict};
use crate::document::Witnessed;
use crate::id::{DocId, ItemHash};
use crate::item::{Item, Kind, State, stub};
use crate::matter::{Domain, Matter, Ruling};
use crate::merkle::Twig;
use crate::seal;
use crate::store::{self, Store};
use crate::trust::Trust;

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Takes in an item that is not a change.
    pub(super) fn admit_other<S, D>(
        &mut self,
        doc: DocId,
        item: &Incoming,
        from: Option<NodeName>,
        taken: &mut Taken,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Verdict>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        if let Err(refusal) = Self::judge_manifest(item) {
            return self.refuse(doc, item, refusal, taken, store);
        }
        let counted = self.counts(doc, item.hash, item.author, item.sealed, store)?;
        let mut state = if counted { State::Counted } else { State::NotCounted };
        let mut item = item.clone();
        if item.kind == Kind::ERASED {
            // A document that is not loaded any more cannot be asked; there the caller's protection goes before.
            match self.judge_erased(doc, &item, store)? {
                None | Some(Ruling::Stands) => {}
                Some(Ruling::Refused(refusal)) => return self.refuse(doc, &item, refusal, taken, store),
                Some(Ruling::Waits) => return Ok(Verdict::Waiting),
            }
        } else if item.kind.is_erasable() {
            match Self::is_erased(doc, store)? {
                // The mark comes, or the sender hears that it counts no more.
                false if item.emptied => return Ok(Verdict::Waiting),
                false => {}
                true => {
                    state = State::Emptied;
                    item.bytes = if item.emptied { item.bytes } else { stub(&item.bytes).to_vec() };
                }
            }
        }
        self.keep_item(doc, &item, state, taken, store)?;
        let Incoming { hash, kind, author, sealed, bytes, .. } = item;
        if kind == Kind::FILE && !Self::is_erased(doc, store)? {
            self.know_file(doc, &bytes, from, store)?;
        }
        domain.keep(store, &Item { hash, kind, doc: Some(doc), author, state, sealed, bytes })?;
        match kind {
            Kind::ERASED => self.enforce_erased(doc, store, domain)?,
            Kind::VOUCH => self.recount_document(doc, store, domain)?,
            _ => {}
        }
        Ok(Verdict::Durable)
    }

    /// The matter's word on a mark; `None` when the document is not loaded. What the mark rests on may have fallen.
    fn judge_erased<S: Store>(
        &self,
        doc: DocId,
        mark: &Incoming,
        store: &mut S,
    ) -> store::Result<Option<Ruling>> {
        let Some(open) = self.shelf.get(&doc) else { return Ok(None) };
        let ruling = open.matter.judge_erased(mark.author, &mark.bytes, Vec::new());
        if ruling != Ruling::Waits {
            return Ok(Some(ruling));
        }
        let refused =
            store.items_of_kind(&doc, Kind::CHANGE)?.into_iter().filter(|i| i.state == State::Refused);
        let fallen: Vec<M::Reading> = refused
            .filter_map(|item| Witnessed::check(&item.bytes, item.author, true).ok())
            .filter_map(|change| open.matter.read(&change, &open.document.read(&change).ok()?).ok())
            .collect();
        Ok(Some(open.matter.judge_erased(mark.author, &mark.bytes, fallen)))
    }

    /// Whether a mark of this document stands and counts.
    fn is_erased<S: Store>(doc: DocId, store: &mut S) -> store::Result<bool> {
        let marks = store.items_of_kind(&doc, Kind::ERASED)?;
        Ok(marks.iter().any(|mark| mark.state == State::Counted))
    }

    /// Empties and removes what a standing mark of this document wants gone; without one wants it back.
    pub(super) fn enforce_erased<S, D>(
        &mut self,
        doc: DocId,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        if !Self::is_erased(doc, store)? {
            // A mark that counted before a revocation has taken contents that others hold still: they belong here again.
            for manifest in store.items_of_kind(&doc, Kind::FILE)? {
                if manifest.state != State::Refused && store.file(&manifest.hash)?.is_none() {
                    self.know_file(doc, &manifest.bytes, None, store)?;
                }
            }
            let grants = store.items_of_kind(&doc, Kind::GRANT)?.into_iter();
            let emptied: Vec<ItemHash> =
                grants.filter(|g| g.state == State::Emptied).map(|g| g.hash).collect();
            self.lose(&emptied, store)?;
            return Ok(());
        }
        for manifest in store.items_of_kind(&doc, Kind::FILE)? {
            self.forget_file(manifest.hash, store)?;
        }
        for mut item in store.items_of_kind(&doc, Kind::GRANT)? {
            if matches!(item.state, State::Counted | State::NotCounted) {
                store.empty_item(&item.hash)?;
                item.bytes = stub(&item.bytes).to_vec();
                item.state = State::Emptied;
                domain.keep(store, &item)?;
            }
        }
        Ok(())
    }

    /// Forgets items whose bytes were lost, so that the digests tell and a repair brings them back from whoever has
    /// them. Their leaves are kept as hashes: what else is under their seals can still be proved. Returns of which
    /// documents they were.
    pub fn lose<S: Store>(&mut self, lost: &[ItemHash], store: &mut S) -> store::Result<BTreeSet<DocId>> {
        let mut docs = BTreeSet::new();
        for hash in lost {
            let Some(item) = store.item(hash)? else { continue };
            docs.extend(item.doc);
            let mut recent = None;
            let peers: BTreeSet<_> = self.pairs.keys().copied().collect();
            for peer in peers {
                if self.both_must_hold(peer, item.doc, &mut recent, store)?
                    && let Some(pair) = self.pairs.get_mut(&peer)
                {
                    pair.digest.remove(hash);
                    self.dirty.insert(peer);
                }
                recent = None;
            }
            store.drop_item(hash)?;
            if let (Some(doc), Some(sealed)) = (item.doc, item.sealed) {
                let leaf = Twig { low: sealed.leaf, high: sealed.leaf + 1, hash: seal::leaf(&doc, hash) };
                self.keep_twigs(sealed.seal, vec![leaf], store)?;
            }
        }
        Ok(docs)
    }
}
