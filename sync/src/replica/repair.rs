//! Repair: when digests differ, find out in which items, for the price of the difference.
//!
//! ```text
//! begins (smaller name)                    answers
//!     | -- sketch: key, first cells  ----->  | subtracts its own cells, peels
//!     | <-- want: more, from cell n  ------  | not enough yet
//!     | <-- want: split              ------  | the budget is spent: each half on its own
//!     | <-- want: these symbols      ------  | decoded; it queues what the other side lacks
//!     | queues what is wanted                |
//!     | -- sketch: the next half ... ----->  |
//! ```
//!
//! The key is drawn for each repair, so nobody can choose items that collide under it. Repair only queues; the
//! items travel as everything else does. When sketches do not help, everything is sent, so a repair always ends.

use std::collections::{BTreeMap, BTreeSet};

use certs::NodeName;

use super::{Event, Replica};
use crate::id::{DocId, ItemHash};
use crate::item::Class;
use crate::matter::Matter;
use crate::sketch::{Cells, Decoder, Encoder, Half, Key, Symbol, symbol};
use crate::store::{self, Debt, Position, Store};
use crate::trust::Trust;
use crate::wire::{Frame, LOCATES, Lane, SketchBody, Want, WantBody};

/// Cells in the first burst: enough for some 200 differences in one round trip.
const BURST: u32 = 400;

/// Cells for one part of the hash space; past them it is split.
const BUDGET: u32 = 8_192;

/// Sets whose sizes differ by more are not sketched: the larger one is sent.
const FAR_APART: u64 = 20_000;

/// A repair under way.
#[derive(Debug)]
pub(super) enum Repair {
    /// This node began it; these parts are still to come, the last one is under way.
    Asking { key: Key, parts: Vec<Half>, cells: u32, sent: u64, wanted: u64 },
    /// The peer began it.
    Answering { key: Key, half: Half, decoder: Box<Decoder> },
}

impl<T: Trust, M: Matter> Replica<T, M> {
    pub(super) fn begin_repair(&mut self, now: u64, peer: NodeName, apart: u64) {
        let ours = self.pairs.get(&peer).map_or(0, |p| p.digest.count());
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.repair.is_some() {
            return;
        }
        // What repair cannot mend, such as an item that nobody can prove any more, must not keep both ends busy.
        let pause = if link.fruitless == 0 { 0 } else { 1_000 << link.fruitless.min(8) };
        link.repaired = (now, pause);
        link.fruitless += 1;
        let key = self.chance.draw::<16>();
        self.tell(Event::Repairing { peer });
        let fruitless = self.links.get(&peer).map_or(0, |l| l.fruitless);
        if apart > FAR_APART || fruitless > 3 {
            // Whoever holds more sends it; what the other has beside it is found by the next comparison.
            let want = WantBody { key, bits: 0, prefix: 0, outcome: Want::Everything };
            self.send(peer, Lane::Control, &Frame::Want(want));
            if fruitless > 3 || ours > 0 {
                self.send_everything(peer);
            }
            return;
        }
        let key = self.repair_key(peer, key);
        if let Some(link) = self.links.get_mut(&peer) {
            link.repair =
                Some(Repair::Asking { key, parts: vec![Half::WHOLE], cells: 0, sent: 0, wanted: 0 });
            link.changed();
        }
    }

    /// The key with these bytes, in the form that both ends of the link know.
    fn repair_key(&self, peer: NodeName, bytes: [u8; 16]) -> Key {
        let key = Key::from_bytes(bytes);
        match self.links.get(&peer).is_some_and(|link| link.speaks_at_least(LOCATES)) {
            true => key.locating(),
            false => key,
        }
    }

    /// Sends the next cells of the part under way, if a repair of this node's is due one. Called when the outbox is
    /// filled, since it reads the whole set.
    pub(super) fn say_cells<S: Store>(&mut self, peer: NodeName, store: &mut S) -> store::Result<()> {
        let Some(link) = self.links.get(&peer) else { return Ok(()) };
        let Some(Repair::Asking { key, parts, cells: 0, .. }) = &link.repair else { return Ok(()) };
        let Some(half) = parts.last().copied() else { return Ok(()) };
        let key = key.clone();
        self.send_cells(peer, key, half, 0..BURST, store)
    }

    fn send_cells<S: Store>(
        &mut self,
        peer: NodeName,
        key: Key,
        half: Half,
        range: std::ops::Range<u32>,
        store: &mut S,
    ) -> store::Result<()> {
        let end = range.end;
        let cells = self.cells(peer, &key, half, range, store)?;
        let body = SketchBody { key: *key.as_bytes(), cells: cells.to_bytes() };
        self.send(peer, Lane::Control, &Frame::Sketch(body));
        if let Some(Repair::Asking { cells, .. }) = self.links.get_mut(&peer).and_then(|l| l.repair.as_mut())
        {
            *cells = end;
        }
        Ok(())
    }

    pub(super) fn cells<S: Store>(
        &mut self,
        peer: NodeName,
        key: &Key,
        half: Half,
        range: std::ops::Range<u32>,
        store: &mut S,
    ) -> store::Result<Cells> {
        let mut encoder =
            Encoder::new(key, half, range).expect("the ranges asked for are within the sketch's caps");
        store.each_shared([self.me.site(), peer.site()], &mut |hash, _, _| encoder.add(hash))?;
        Ok(encoder.finish())
    }

    pub(super) fn sketch<S: Store>(
        &mut self,
        peer: NodeName,
        body: SketchBody,
        store: &mut S,
    ) -> store::Result<()> {
        let Ok(theirs) = Cells::from_bytes(&body.cells) else {
            self.blame(peer, "cells of a sketch that cannot be read".to_owned());
            return Ok(());
        };
        let key = self.repair_key(peer, body.key);
        let half = theirs.half();
        let ours = self.cells(peer, &key, half, theirs.range(), store)?;
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        let mut decoder = match link.repair.take() {
            Some(Repair::Answering { key: k, half: h, decoder }) if k == key && h == half => decoder,
            _ => Box::new(Decoder::new(&key, half)),
        };
        let outcome = match decoder.extend(&theirs, &ours) {
            Ok(Some(found)) => {
                let queued = self.queue_symbols(peer, &key, &found.only_ours, store)?;
                Want::These(found.only_theirs.iter().map(|s| s.to_bytes()).collect(), queued)
            }
            Ok(None) if decoder.cells() < BUDGET => Want::More(decoder.cells()),
            Ok(None) | Err(_) => match half.split() {
                Some(_) => Want::Split,
                None => Want::Everything,
            },
        };
        if let Some(link) = self.links.get_mut(&peer) {
            if matches!(outcome, Want::These(..)) {
                link.try_again();
            }
            if matches!(outcome, Want::More(_)) {
                link.repair = Some(Repair::Answering { key, half, decoder });
            }
            link.changed();
        }
        if outcome == Want::Everything {
            self.send_everything(peer);
        }
        let want = WantBody { key: body.key, bits: half.bits(), prefix: half.prefix(), outcome };
        self.send(peer, Lane::Control, &Frame::Want(want));
        Ok(())
    }

    pub(super) fn want<S: Store>(
        &mut self,
        peer: NodeName,
        body: WantBody,
        store: &mut S,
    ) -> store::Result<()> {
        if body.outcome == Want::Everything {
            self.send_everything(peer);
            return Ok(());
        }
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        let Some(Repair::Asking { key, mut parts, cells, mut sent, mut wanted }) = link.repair.take() else {
            return Ok(());
        };
        let Some(half) = parts.last().copied() else { return Ok(()) };
        if *key.as_bytes() != body.key || (half.bits(), half.prefix()) != (body.bits, body.prefix) {
            link.repair = Some(Repair::Asking { key, parts, cells, sent, wanted });
            return Ok(()); // an answer to an earlier question
        }
        match body.outcome {
            Want::These(symbols, theirs) => {
                parts.pop();
                let symbols: Vec<Symbol> = symbols.into_iter().map(Symbol::from).collect();
                sent += u64::from(self.queue_symbols(peer, &key, &symbols, store)?);
                wanted += u64::from(theirs);
            }
            Want::More(from) => {
                let end = from.saturating_mul(2).min(BUDGET + BURST);
                if from != cells || end <= from {
                    self.blame(peer, "a repair asks for cells it cannot need".to_owned());
                    return Ok(());
                }
                self.ask(peer, Repair::Asking { key: key.clone(), parts, cells, sent, wanted });
                return self.send_cells(peer, key, half, from..end, store);
            }
            Want::Split => {
                parts.pop();
                parts.extend(half.split().into_iter().flatten());
            }
            Want::Everything => {}
        }
        if parts.is_empty() {
            if let Some(link) = self.links.get_mut(&peer) {
                link.try_again();
                link.changed();
            }
            self.tell(Event::Repaired { peer, sent, wanted });
            return Ok(());
        }
        self.ask(peer, Repair::Asking { key, parts, cells: 0, sent, wanted });
        Ok(())
    }

    fn ask(&mut self, peer: NodeName, repair: Repair) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.repair = Some(repair);
        }
    }

    /// Owes `peer` the items with these symbols; returns how many there were.
    pub(super) fn queue_symbols<S: Store>(
        &mut self,
        peer: NodeName,
        key: &Key,
        symbols: &[Symbol],
        store: &mut S,
    ) -> store::Result<u32> {
        if symbols.is_empty() {
            return Ok(0);
        }
        let mut wanted: BTreeMap<Symbol, Option<Debt>> = symbols.iter().map(|s| (*s, None)).collect();
        let sites = [self.me.site(), peer.site()];
        let located: Option<BTreeSet<[u8; 2]>> = symbols.iter().map(|s| key.locate(*s)).collect();
        let visit = &mut |hash: &ItemHash, doc: Option<DocId>, rank: Position| {
            if let Some(found) = wanted.get_mut(&symbol(key, hash)) {
                let class = if doc.is_none() { Class::Directory } else { Class::Ordinary };
                *found = Some(Debt { class, rank, doc, item: Some(*hash) });
            }
        };
        match located {
            Some(places) if places.len() <= BUDGET as usize => {
                store.shared_beginning(sites, &places, visit)?
            }
            _ => store.each_shared(sites, visit)?,
        }
        let debts: Vec<Debt> = wanted.into_values().flatten().collect();
        store.owe(peer, &debts)?;
        Ok(debts.len() as u32)
    }

    /// Begins the scan that sends the peer everything that both must hold.
    pub(super) fn send_everything(&mut self, peer: NodeName) {
        if let Some(pair) = self.pairs.get_mut(&peer) {
            pair.everything = Some((Position(0), Position::END));
            self.dirty.insert(peer);
            self.bundles.anew.insert(peer);
        }
        if let Some(link) = self.links.get_mut(&peer) {
            link.repair = None;
            link.scan = Some((Position(0), Position::END));
            link.changed();
        }
    }
}
