//! What arrives: unpacking a batch, checking its seals, and answering.
//!
//! A batch is judged seal by seal: either the seal, its leaves and its twigs make the signed root, or nothing under
//! it is taken. A change whose dependency is named by a prefix that is not known here cannot be rebuilt, so
//! everything under its seal waits, and the sender says it in full the next time.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::admit::{Incoming, Verdict};
use super::arrival::Arrival;
use super::{Event, Replica};
use crate::chunk::{UnpackError, unpack};
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Kind, MAX_ITEM, STUB, Sealed};
use crate::matter::{Domain, Matter};
use crate::merkle::{Tree, Twig, twig_bounds};
use crate::seal::{self, SealError};
use crate::store::{self, Store, StoredSeal};
use crate::trust::{Admission, Membership, Trust};
use crate::wire::{
    Answer, DocRef, EMPTIED, Exception, Frame, Lane, Load, MAX_BATCH, MAX_BATCH_ITEMS, SealPart, places,
};

/// What the changes of a batch may be rebuilt to in bytes: a dependency of one byte becomes one of 32, so what was
/// unpacked bounds nothing.
const MAX_REBUILT: usize = 2 * MAX_BATCH;

/// An item of a batch, as far as it could be rebuilt.
struct Unpacked {
    doc: Option<DocId>,
    kind: Kind,
    emptied: bool,
    seal: usize,
    /// `None`: a dependency is not known here.
    built: Option<(ItemHash, Vec<u8>)>,
}

/// What a seal of a batch is worth.
enum Standing {
    /// It holds; these are the places of its items.
    Holds { hash: SealHash, author: NodeName, places: BTreeMap<(DocId, ItemHash), u32> },
    /// Something that it needs is not here.
    Waits,
}

/// Items that are not durable, by place, and how many were here already.
pub(super) type Outcome = (Vec<(u32, Exception)>, u64);

/// The batch is not what any honest node sends.
struct Dishonest(String);

impl<T: Trust, M: Matter> Replica<T, M> {
    pub(super) fn batch<S, D>(
        &mut self,
        peer: NodeName,
        id: u64,
        load: &[u8],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let load = match Load::unpack(load) {
            Ok(load) => load,
            Err(e) => {
                self.blame(peer, e.to_string());
                return Ok(());
            }
        };
        let count = load.len() as u64;
        let exceptions = match self.take_load(peer, load, store, domain)? {
            Ok((exceptions, _)) => exceptions,
            Err(reason) => {
                self.blame(peer, reason);
                return Ok(());
            }
        };
        if let Some(link) = self.links.get_mut(&peer) {
            link.received += count;
            link.changed();
            self.send(peer, Lane::Control, &Frame::Answer(Answer { batch: id, exceptions }));
        }
        Ok(())
    }

    /// Judges and stores what a batch holds. Returns which of its items are not durable, and how many were here already;
    /// or why no honest node sends it.
    pub(super) fn take_load<S, D>(
        &mut self,
        peer: NodeName,
        load: Load,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Result<Outcome, String>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut exceptions: Vec<(u32, Exception)> = Vec::new();
        let mut settled: Vec<(Option<DocId>, ItemHash)> = Vec::new();
        let mut place = 0u32;
        for (kind, bytes) in &load.directory {
            let kind = Kind::new(*kind);
            if bytes.len() > MAX_ITEM || kind.is_sealed() {
                return Ok(Err("a directory item that is none".to_owned()));
            }
            match self.admit_directory(kind, bytes, Some(peer), store, domain)? {
                Admission::Refused(reason) => {
                    self.tell(Event::Misbehaved {
                        peer,
                        reason: format!("a {kind} that does not verify: {reason}"),
                    });
                    exceptions.push((place, Exception::Refused(reason)));
                }
                _ => settled.push((None, kind.hash(bytes))),
            }
            place += 1;
        }
        if matches!(self.trust.membership(peer), Membership::Revoked { .. }) {
            return Ok(Ok((exceptions, 0))); // what it brought revoked it
        }

        let items = match self.unpack_items(&load, store)? {
            Ok(items) => items,
            Err(Dishonest(reason)) => return Ok(Err(reason)),
        };
        let mut under: Vec<Vec<&Unpacked>> = vec![Vec::new(); load.seals.len()];
        items.iter().for_each(|item| under[item.seal].push(item));
        let signatures = self.check_signatures(&load.seals, store, domain)?;
        let mut standings = Vec::with_capacity(load.seals.len());
        for ((part, under), signature) in load.seals.iter().zip(&under).zip(signatures) {
            match self.stand(part, under, signature, store)? {
                Ok(standing) => standings.push(standing),
                Err(Dishonest(reason)) => return Ok(Err(reason)),
            }
        }

        let mut arrivals: Vec<Arrival> = Vec::new();
        for item in items {
            let here = place;
            place += 1;
            let standing = &standings[item.seal];
            let (Some(doc), Some((hash, bytes)), Standing::Holds { hash: seal, author, places }) =
                (item.doc, item.built, standing)
            else {
                exceptions.push((here, Exception::Waiting));
                continue;
            };
            let leaf = places
                .get(&(doc, hash))
                .copied()
                .expect("a seal that holds has a place for each of its items");
            let sealed = Some(Sealed { seal: *seal, leaf });
            let incoming =
                Incoming { hash, kind: item.kind, author: *author, sealed, emptied: item.emptied, bytes };
            if arrivals.last().is_none_or(|last| last.doc != doc) {
                arrivals.push(Arrival { doc, at: Vec::new(), items: Vec::new() });
            }
            let arrival = arrivals.last_mut().expect("one was just added");
            arrival.at.push(here);
            arrival.items.push(incoming);
        }
        let mut unheld: BTreeMap<SealHash, Vec<Twig>> = BTreeMap::new();
        for (arrival, verdicts) in self.admit_all(arrivals, peer, &mut unheld, store, domain)? {
            for ((at, item), verdict) in arrival.at.into_iter().zip(&arrival.items).zip(verdicts) {
                match verdict {
                    Verdict::Durable => {} // it was never owed to the peer that sent it
                    Verdict::Known => settled.push((Some(arrival.doc), item.hash)),
                    Verdict::Refused(refusal) => {
                        exceptions.push((at, Exception::Refused(refusal.to_string())))
                    }
                    Verdict::Waiting => exceptions.push((at, Exception::Waiting)),
                }
            }
        }
        for (seal, twigs) in unheld {
            self.keep_twigs(seal, twigs, store)?;
        }
        self.recount_late(store, domain)?;
        // Its own sending shows that the peer holds them.
        store.settle(peer, &settled)?;
        exceptions.sort_by_key(|(at, _)| *at);
        Ok(Ok((exceptions, settled.len() as u64)))
    }

    /// Rebuilds the items of a batch as far as what is known here allows.
    fn unpack_items<S: Store>(
        &mut self,
        load: &Load,
        store: &mut S,
    ) -> store::Result<Result<Vec<Unpacked>, Dishonest>> {
        let mut items = Vec::new();
        let mut recent: Vec<Option<ItemHash>> = Vec::new();
        let mut rebuilt = 0;
        for part in &load.docs {
            let mut doc = match part.doc {
                DocRef::New => None,
                DocRef::Whole(doc) => Some(doc),
                DocRef::Short(prefix) => match store.documents_with_prefix(&prefix)?.as_slice() {
                    [doc] => Some(*doc),
                    _ => None,
                },
            };
            for (i, item) in part.items.iter().enumerate() {
                let kind = Kind::new(item.kind & !EMPTIED);
                let emptied = item.kind & EMPTIED != 0;
                let seal = item.seal as usize;
                if !kind.is_sealed() || item.bytes.len() > MAX_ITEM || seal >= load.seals.len() {
                    return Ok(Err(Dishonest("an item that is none".to_owned())));
                }
                let built = if emptied {
                    match <&[u8; STUB]>::try_from(item.bytes.as_slice()) {
                        Ok(stub) if kind.is_erasable() => Some((kind.hash_of_stub(stub), item.bytes.clone())),
                        _ => return Ok(Err(Dishonest("an emptied item that is none".to_owned()))),
                    }
                } else if kind == Kind::CHANGE {
                    if rebuilt > MAX_REBUILT {
                        return Ok(Err(Dishonest(
                            "a batch whose changes grow beyond any honest one".to_owned(),
                        )));
                    }
                    let mut failed = None;
                    let bytes =
                        unpack(&item.bytes, &recent, |prefix| match store.items_with_prefix(prefix) {
                            Ok(found) if found.len() == 1 => Some(found[0]),
                            Ok(_) => None,
                            Err(e) => {
                                failed = Some(e);
                                None
                            }
                        });
                    if let Some(e) = failed {
                        return Err(e);
                    }
                    match bytes {
                        Ok(bytes) => {
                            rebuilt += bytes.len();
                            Some((kind.hash(&bytes), bytes))
                        }
                        Err(UnpackError::Missing(_) | UnpackError::MissingRecent { .. }) => None,
                        Err(e) => return Ok(Err(Dishonest(format!("a change that cannot be rebuilt: {e}")))),
                    }
                } else {
                    Some((kind.hash(&item.bytes), item.bytes.clone()))
                };
                if kind == Kind::CHANGE {
                    // One that could not be rebuilt keeps its place, so that later ones count back right.
                    recent.push(built.as_ref().map(|(hash, _)| *hash));
                }
                if part.doc == DocRef::New && i == 0 {
                    doc = built.as_ref().map(|(hash, _)| DocId::from(*hash));
                }
                items.push(Unpacked { doc, kind, emptied, seal, built });
            }
        }
        Ok(Ok(items))
    }

    /// Checks the signatures of a batch's seals, wherever the domain finds threads. One that is stored here was checked
    /// before.
    fn check_signatures<S, D>(
        &self,
        seals: &[SealPart],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Vec<Result<(), SealError>>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let context = self.trust.context();
        let mut keys: BTreeMap<NodeName, Vec<[u8; 32]>> = BTreeMap::new();
        let mut unchecked = Vec::with_capacity(seals.len());
        for part in seals {
            let author = part.seal.words().node;
            keys.entry(author).or_insert_with(|| self.trust.keys(author));
            unchecked.push(store.seal(&part.seal.hash())?.is_none().then_some(part));
        }
        let check = |part: Option<&SealPart>| {
            part.map_or(Ok(()), |SealPart { seal, .. }| {
                seal.verify(&context, keys.get(&seal.words().node).into_iter().flatten().copied())
            })
        };
        let mut checked = Vec::with_capacity(seals.len());
        domain.each(unchecked, check, |_, signature| {
            checked.push(signature);
            Ok(())
        })?;
        Ok(checked)
    }

    /// Checks one seal of a batch, with what its signature is worth, against the items that came under it.
    fn stand<S: Store>(
        &mut self,
        part: &SealPart,
        under: &[&Unpacked],
        signature: Result<(), SealError>,
        store: &mut S,
    ) -> store::Result<Result<Standing, Dishonest>> {
        let words = part.seal.words();
        let author = words.node;
        if self.trust.membership(author) == Membership::Unknown {
            return Ok(Ok(Standing::Waits));
        }
        match signature {
            Ok(()) => {}
            Err(SealError::Suite(_)) => return Ok(Ok(Standing::Waits)),
            Err(e) => return Ok(Err(Dishonest(e.to_string()))),
        }
        let hash = part.seal.hash();
        let held = store.seal(&hash)?;
        let mut leaves = Vec::with_capacity(under.len());
        for item in under {
            let (Some(doc), Some((hash, _))) = (item.doc, &item.built) else {
                return Ok(Ok(Standing::Waits));
            };
            leaves.push((doc, *hash));
        }
        leaves.sort_unstable();
        let mut at: Vec<u32> = if part.places.is_empty() {
            (0..words.count).take(leaves.len() + 1).collect()
        } else {
            places(&part.places, words.count, MAX_BATCH_ITEMS).unwrap_or_default()
        };
        if at.len() != leaves.len() {
            return Ok(Err(Dishonest("items and places of a seal that do not match".to_owned())));
        }
        at.sort_unstable();
        let bounds = twig_bounds(words.count, &at, part.twigs.len() + 1);
        if bounds.len() != part.twigs.len() {
            return Ok(Err(Dishonest("a proof of the wrong length".to_owned())));
        }
        let twigs: Vec<Twig> = bounds
            .iter()
            .zip(&part.twigs)
            .map(|((low, high), hash)| Twig { low: *low, high: *high, hash: *hash })
            .collect();
        let mut tree = Tree::new(words.count);
        leaves.iter().zip(&at).for_each(|((doc, item), place)| tree.know(*place, seal::leaf(doc, item)));
        twigs.iter().for_each(|t| tree.know_twig(*t));
        if tree.root() != Some(words.root) {
            return Ok(Err(Dishonest(SealError::Root.to_string())));
        }
        self.keep_seal(hash, part, held, twigs, store)?;
        let places = leaves.into_iter().zip(at).collect();
        Ok(Ok(Standing::Holds { hash, author, places }))
    }

    fn keep_seal<S: Store>(
        &mut self,
        hash: SealHash,
        part: &SealPart,
        held: Option<StoredSeal>,
        twigs: Vec<Twig>,
        store: &mut S,
    ) -> store::Result<()> {
        let words = part.seal.words();
        let Some(held) = held else {
            self.note_seal_of(words.node);
            if !store.seals_numbered(words.node, words.number)?.is_empty() {
                self.tell(Event::Forked { node: words.node, number: words.number });
            }
            if words.node == self.me && words.incarnation == self.incarnation {
                self.incarnation = crate::id::Incarnation::from_bytes(self.chance.draw());
                let incarnation = self.incarnation;
                self.tell(Event::Cloned { incarnation });
            }
            if words.node == self.me && words.number > self.chain.number {
                self.chain.number = words.number;
                self.keep_chain(store)?;
            }
            return store.put_seal(&hash, &StoredSeal { seal: part.seal.clone(), twigs });
        };
        if held.twigs.is_empty() {
            return Ok(()); // all its leaves are here
        }
        self.keep_twigs(hash, twigs, store)
    }

    /// Keeps the hashes of leaves and subtrees of a seal that are not here: without them, what is here could not be
    /// proved to the next.
    pub(super) fn keep_twigs<S: Store>(
        &mut self,
        hash: SealHash,
        twigs: Vec<Twig>,
        store: &mut S,
    ) -> store::Result<()> {
        // A tree made earlier knows less than what has just come.
        self.trees.retain(|(known, _)| *known != hash);
        let Some(mut held) = store.seal(&hash)? else { return Ok(()) };
        let known: BTreeSet<(u32, u32)> = held.twigs.iter().map(|t| (t.low, t.high)).collect();
        let before = held.twigs.len();
        held.twigs.extend(twigs.into_iter().filter(|t| !known.contains(&(t.low, t.high))));
        if held.twigs.len() > before { store.put_seal(&hash, &held) } else { Ok(()) }
    }
}
