//! Reading a bundle: pages pass the same gate as what a link brings.

use certs::NodeName;

use super::super::{Event, Replica};
use super::{ARRIVALS, Arrived, SOUGHT};
use crate::id::ItemHash;
use crate::matter::{Domain, Matter};
use crate::sketch::{Cells, Decoder, Key, Symbol};
use crate::store::bundles::{Handed, Reply, Scanned};
use crate::store::{self, Store, StoreError};
use crate::trust::{Membership, Trust};
use crate::wire::{Answer, Closing, Exception, Frame, Load, Opening, SeekBody, SketchBody, Want, WantBody};

/// Most answers that are kept for one peer; past them the oldest are forgotten, and what they answer comes again.
const REPLIES: usize = 16_384;

/// Most runs of pieces that are asked for of one file.
pub(super) const RUNS: usize = 1024;

/// What became of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Items that are new here and durable with this transaction.
    pub taken: u64,
    /// Items that were here already.
    pub known: u64,
    /// Items that wait for something that is not here; the sender is told, and sends them again.
    pub waiting: u64,
    /// Items that break a rule, and which.
    pub refused: Vec<String>,
    /// Batches, each of which is answered. A page without any is not: else two nodes would answer answers for ever.
    pub batches: u64,
    /// Answers to batches that this node had handed out.
    pub answers: u64,
    /// Items of those batches that the peer made durable, and that are no longer owed.
    pub settled: u64,
    /// New pieces of files.
    pub pieces: u64,
    /// The comparison of both sets, when this page made it possible.
    pub equal: Option<bool>,
    /// Frames of a newer version.
    pub unknown: u64,
    /// What was wrong with the page; whatever stood before it was taken.
    pub wrong: Option<String>,
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Takes in a page of a bundle that `from` made as its export of this number. The caller has verified that it did. A
    /// page of which something waits may be taken in again when more has come: its answer is then the later one.
    pub fn take_letter<S, D>(
        &mut self,
        now: u64,
        from: NodeName,
        number: u64,
        page: &[u8],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Taken>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let mut taken = Taken::default();
        if from == self.me {
            taken.wrong = Some("it was made by this node itself".to_owned());
            return Ok(taken);
        }
        self.know_peer(from, store)?;
        let (mut rest, mut answered, mut heavy) = (page, false, 0);
        let mut sought = Vec::new();
        while !rest.is_empty() {
            if let Membership::Revoked { reason, .. } = self.trust.membership(from) {
                taken.wrong = Some(format!("{from} was revoked: {reason}"));
                break;
            }
            let Some((frame, after)) = split(rest) else {
                taken.wrong = Some("a page that cannot be read".to_owned());
                break;
            };
            rest = after;
            let frame = match Frame::from_bytes(frame) {
                Ok(frame) => frame,
                Err(e) => {
                    taken.wrong = Some(e.to_string());
                    break;
                }
            };
            // What is written has one in a page; each costs far more than it weighs.
            heavy += u32::from(matches!(frame, Frame::Batch { .. } | Frame::Sketch(_)));
            if heavy > 1 {
                taken.wrong = Some("a page with more in it than any version writes".to_owned());
                break;
            }
            match frame {
                Frame::Opening(opening) => self.take_opening(from, opening, store)?,
                Frame::Answer(answer) => {
                    answered = true;
                    self.take_answer(from, answer, &mut taken, store)?;
                }
                Frame::Batch { id, load } => {
                    self.take_batch(from, number, id, &load, &mut taken, store, domain)?;
                }
                Frame::Piece { file, place, bytes } => {
                    taken.pieces += u64::from(self.take_piece(from, file, place, &bytes, store)?);
                }
                Frame::Seek(seek) => sought.push(seek),
                Frame::Sketch(sketch) => self.take_sketch(from, &sketch, &mut taken, store)?,
                Frame::Want(want) => self.take_want(from, want, store)?,
                Frame::Closing(closing) => {
                    self.arrived(from, number).closing = Some(closing);
                }
                Frame::Unknown(_) => taken.unknown += 1,
                // Links alone say these.
                _ => taken.wrong = Some("a frame that belongs on a link".to_owned()),
            }
            if taken.wrong.is_some() {
                break;
            }
        }
        self.note_sought(from, sought, store)?;
        if answered {
            self.note_scanned(from, store)?;
        }
        if let Some(pair) = self.pairs.get_mut(&from) {
            pair.last_seen = Some(now);
            self.dirty.insert(from);
        }
        if let Some(reason) = taken.wrong.clone() {
            self.tell(Event::Misbehaved { peer: from, reason });
        }
        taken.equal = self.compare_sets(now, from, number, store)?;
        Ok(taken)
    }

    fn arrived(&mut self, from: NodeName, number: u64) -> &mut Arrived {
        let all = &mut self.bundles.arrived;
        if all.len() >= ARRIVALS && !all.contains_key(&(from, number)) {
            all.pop_first();
        }
        all.entry((from, number)).or_default()
    }

    fn take_opening<S: Store>(
        &mut self,
        from: NodeName,
        opening: Opening,
        store: &mut S,
    ) -> store::Result<()> {
        self.hear_highest(from, opening.highest, store)?;
        // The sender has the answers to all others of these exports.
        for Reply { number, answer } in store.replies(from)? {
            if number <= opening.number && !opening.open.contains(&answer.batch) {
                store.drop_reply(from, answer.batch)?;
            }
        }
        Ok(())
    }

    fn take_answer<S: Store>(
        &mut self,
        from: NodeName,
        answer: Answer,
        taken: &mut Taken,
        store: &mut S,
    ) -> store::Result<()> {
        let batch = answer.batch;
        let Some(handed) = store.handed(from, batch)? else { return Ok(()) };
        if handed.scanned.is_some_and(|s| s.done) {
            return Ok(());
        }
        let count = handed.items.len() as u64;
        let waiting = self.settle_batch(from, &handed.items, &handed.whole, answer.exceptions, store)?;
        taken.answers += 1;
        taken.settled += count - waiting.len() as u64;
        if let Some(link) = self.links.get_mut(&from) {
            link.changed();
        }
        match handed.scanned {
            None => store.drop_handed(from, batch),
            Some(scanned) => {
                let scanned = Some(Scanned { done: true, ..scanned });
                let done = Handed { items: Vec::new(), whole: Vec::new(), scanned, ..handed };
                store.hand(from, batch, &done)
            }
        }
    }

    /// Moves the scan of everything on, past stretches all batches of which are answered.
    pub(super) fn note_scanned<S: Store>(&mut self, peer: NodeName, store: &mut S) -> store::Result<()> {
        let since = self.exchanged(peer, store)?.since;
        let stretches: Vec<(u64, u64, Scanned)> = store.scanned(peer)?;
        let everything = self.pairs.get(&peer).and_then(|p| p.everything);
        let mut now_at = everything;
        while let Some((at, until)) = now_at {
            let open = |number: u64, from, to| {
                stretches.iter().any(|(_, n, s)| *n == number && (s.from, s.to) == (from, to) && !s.done)
            };
            let next = stretches.iter().find(|(_, number, s)| {
                *number > since && s.from <= at && at < s.to && !open(*number, s.from, s.to)
            });
            let Some((.., next)) = next else { break };
            now_at = (next.to < until).then_some((next.to, until));
        }
        if now_at != everything
            && let Some(pair) = self.pairs.get_mut(&peer)
        {
            pair.everything = now_at;
            self.dirty.insert(peer);
        }
        for (batch, number, scanned) in stretches {
            let past = now_at.is_none_or(|(at, _)| scanned.to <= at) || number <= since;
            if scanned.done && past {
                store.drop_handed(peer, batch)?;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one fact each, and no two of them belong together")]
    fn take_batch<S, D>(
        &mut self,
        from: NodeName,
        number: u64,
        batch: u64,
        load: &[u8],
        taken: &mut Taken,
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
                taken.wrong = Some(e.to_string());
                return Ok(());
            }
        };
        let count = load.len() as u64;
        let (exceptions, known) = match self.take_load(from, load, store, domain)? {
            Ok(outcome) => outcome,
            Err(reason) => {
                taken.wrong = Some(reason);
                return Ok(());
            }
        };
        if let Membership::Revoked { reason, .. } = self.trust.membership(from) {
            taken.wrong = Some(format!("{from} was revoked, as this very bundle says: {reason}"));
            return Ok(());
        }
        let waiting = exceptions.iter().filter(|(_, e)| *e == Exception::Waiting).count() as u64;
        taken.waiting += waiting;
        taken.known += known;
        taken.taken += count.saturating_sub(known + exceptions.len() as u64);
        taken.refused.extend(exceptions.iter().filter_map(|(_, e)| match e {
            Exception::Refused(reason) => Some(reason.clone()),
            Exception::Waiting => None,
        }));
        let arrived = self.arrived(from, number);
        arrived.batches.insert(batch);
        match waiting {
            0 => arrived.waiting.remove(&batch),
            _ => arrived.waiting.insert(batch),
        };
        taken.batches += 1;
        store.put_reply(from, &Reply { number, answer: Answer { batch, exceptions } })?;
        let replies = store.replies_count(from)?;
        if replies > REPLIES as u64
            && let Some(oldest) = store.replies(from)?.first()
        {
            store.drop_reply(from, oldest.answer.batch)?;
        }
        Ok(())
    }

    /// Keeps a piece that is missing here and is what its manifest names.
    fn take_piece<S: Store>(
        &mut self,
        from: NodeName,
        file: ItemHash,
        place: u32,
        bytes: &[u8],
        store: &mut S,
    ) -> store::Result<bool> {
        let Some(held) = store.file(&file)? else { return Ok(false) };
        let lacks = place < held.pieces.count() && !held.pieces.has(place);
        if !lacks || !self.may_have(from, &held, store)? || store.room()? < bytes.len() as u64 {
            return Ok(false);
        }
        if !self.manifest(&file, store)?.is_some_and(|m| m.is_piece(place, bytes)) {
            return Ok(false);
        }
        match store.put_piece(&file, place, bytes) {
            Ok(()) => {}
            Err(StoreError::Full(_)) => return Ok(false),
            Err(e) => return Err(e),
        }
        self.look_for_files();
        Ok(true)
    }

    /// Remembers for the next bundle which pieces the peer asks for.
    fn note_sought<S: Store>(
        &mut self,
        from: NodeName,
        sought: Vec<SeekBody>,
        store: &mut S,
    ) -> store::Result<()> {
        if sought.is_empty() {
            return Ok(());
        }
        let mut exchanged = self.exchanged(from, store)?;
        for seek in sought.into_iter().filter(|seek| seek.places.len() <= RUNS) {
            exchanged.sought.retain(|s| s.file != seek.file);
            if exchanged.sought.len() < SOUGHT {
                exchanged.sought.push(seek);
            }
        }
        self.keep_exchanged(from, &exchanged, store)
    }

    fn take_sketch<S: Store>(
        &mut self,
        from: NodeName,
        body: &SketchBody,
        taken: &mut Taken,
        store: &mut S,
    ) -> store::Result<()> {
        let Ok(theirs) = Cells::from_bytes(&body.cells) else {
            taken.wrong = Some("cells of a sketch that cannot be read".to_owned());
            return Ok(());
        };
        let mut exchanged = self.exchanged(from, store)?;
        if exchanged.heard == Some(body.key) {
            return Ok(()); // the same stick again
        }
        let key = Key::from_bytes(body.key);
        let half = theirs.half();
        let ours = self.cells(from, &key, half, theirs.range(), store)?;
        let outcome = match Decoder::new(&key, half).extend(&theirs, &ours) {
            Ok(Some(found)) => {
                let queued = self.queue_symbols(from, &key, &found.only_ours, store)?;
                Want::These(found.only_theirs.iter().map(|s| s.to_bytes()).collect(), queued)
            }
            Ok(None) | Err(_) => {
                self.send_everything(from);
                Want::Everything
            }
        };
        let want = WantBody { key: body.key, bits: half.bits(), prefix: half.prefix(), outcome };
        exchanged.heard = Some(body.key);
        exchanged.outcome = Frame::Want(want).to_bytes();
        self.keep_exchanged(from, &exchanged, store)
    }

    fn take_want<S: Store>(&mut self, from: NodeName, body: WantBody, store: &mut S) -> store::Result<()> {
        let mut exchanged = self.exchanged(from, store)?;
        let asked = exchanged.asked == Some(body.key);
        match body.outcome {
            // Also unasked, when sketches have not helped; and once, whatever is played back.
            Want::Everything if exchanged.heard != Some(body.key) => self.send_everything(from),
            Want::These(symbols, wanted) if asked => {
                let symbols: Vec<Symbol> = symbols.into_iter().map(Symbol::from).collect();
                let key = Key::from_bytes(body.key);
                let sent = u64::from(self.queue_symbols(from, &key, &symbols, store)?);
                self.tell(Event::Repaired { peer: from, sent, wanted: u64::from(wanted) });
            }
            _ => return Ok(()),
        }
        exchanged.heard = Some(body.key);
        if asked {
            (exchanged.asked, exchanged.apart) = (None, 0);
        }
        self.keep_exchanged(from, &exchanged, store)
    }

    /// Compares both sets when everything of an export has arrived: `None` when it has not, or cannot be told.
    fn compare_sets<S: Store>(
        &mut self,
        now: u64,
        from: NodeName,
        number: u64,
        store: &mut S,
    ) -> store::Result<Option<bool>> {
        let Some(arrived) = self.bundles.arrived.get(&(from, number)) else { return Ok(None) };
        let Some(closing) = arrived.closing else { return Ok(None) };
        let complete = arrived.batches.len() as u64 >= closing.batches && arrived.waiting.is_empty();
        let settled = complete && !closing.more;
        let Some(equal) = self.is_equal_but_for_debts(from, &closing, store)? else { return Ok(None) };
        if !equal && !complete {
            return Ok(None);
        }
        self.bundles.arrived.remove(&(from, number));
        let mut exchanged = self.exchanged(from, store)?;
        if equal {
            (exchanged.apart, exchanged.asked) = (0, None);
            exchanged.outcome.clear();
            if let Some(pair) = self.pairs.get_mut(&from) {
                pair.proved_at = Some(now);
                self.dirty.insert(from);
            }
            self.tell(Event::Proved { peer: from, items: closing.count });
        } else if settled {
            exchanged.apart = exchanged.apart.saturating_add(1);
        }
        self.keep_exchanged(from, &exchanged, store)?;
        Ok((equal || settled).then_some(equal))
    }

    /// Whether the sender's set is this node's without what this node owes it; `None` while everything is owed.
    fn is_equal_but_for_debts<S: Store>(
        &mut self,
        from: NodeName,
        closing: &Closing,
        store: &mut S,
    ) -> store::Result<Option<bool>> {
        let Some(pair) = self.pairs.get(&from).filter(|p| p.everything.is_none()) else { return Ok(None) };
        let mut digest = pair.digest.clone();
        if digest.count() < closing.count {
            return Ok(Some(false));
        }
        let mut owed = std::collections::BTreeSet::new();
        let mut after = None;
        loop {
            let page = store.owed_after(from, after, 4096)?;
            let Some((last, _)) = page.last().copied() else { break };
            after = Some(last);
            for (_, debt) in page {
                match (debt.item, debt.doc) {
                    (Some(item), _) if store.state(&item)?.is_some() => drop(owed.insert(item)),
                    (None, Some(doc)) => owed.extend(store.items_of(&doc)?.into_iter().map(|i| i.hash)),
                    _ => {}
                }
            }
        }
        owed.iter().for_each(|item| digest.remove(item));
        Ok(Some(digest.count() == closing.count && digest.fingerprint() == closing.fingerprint))
    }
}

/// The first frame of a page, and the rest.
fn split(page: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = page.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    Some((rest.get(..length)?, rest.get(length..)?))
}
