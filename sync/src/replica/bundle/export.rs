//! Writing a bundle: what a peer must still get, page by page.

use std::collections::{BTreeSet, VecDeque};

use certs::NodeName;
use serde::{Deserialize, Serialize};

use super::super::draft::Draft;
use super::super::outgoing::{Packed, row};
use super::super::{Chance, Event, Replica};
use super::import::RUNS;
use super::{APART, Exchanged, FAR_APART};
use crate::id::{DocId, ItemHash};
use crate::item::{Item, Kind};
use crate::matter::Matter;
use crate::parcel::MAX_PAGE;
use crate::sketch::{Encoder, Half, Key};
use crate::store::bundles::{Handed, Scanned, Turn};
use crate::store::{self, Debt, Position, Store};
use crate::trust::Trust;
use crate::wire::{
    Closing, Frame, MAX_BATCH_ITEMS, Opening, SeekBody, SketchBody, VERSION, Want, WantBody, places, runs,
};

/// How many rows of an outbox are looked at for one batch.
pub(super) const LOOK: usize = 4096;

/// Cells of a sketch in a bundle: enough for some 3,000 differences. A second journey costs days, not milliseconds.
const CELLS: u32 = 4096;

/// Files that are asked for in one bundle.
const SOUGHT: usize = 256;

/// Answers in one page, and the bytes after which a page takes no more of them.
const ANSWERS: usize = 256 << 10;

/// What an export leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// What the peer has acknowledged.
    #[default]
    Acknowledged,
    /// That, and what earlier bundles carry.
    HandedOut,
    /// Nothing.
    Everything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Answers,
    Rows,
    Scan,
    Files,
    Repair,
    Closing,
    Done,
}

/// A page of a bundle, before it is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// Its frames.
    pub bytes: Vec<u8>,
    /// The batch in it, if there is one.
    pub batch: Option<u64>,
    /// How many items the batch holds.
    pub items: usize,
}

impl Letter {
    /// A page with this frame.
    pub fn of(frame: &Frame) -> Letter {
        let mut letter = Letter::default();
        letter.add(frame);
        letter
    }

    fn add(&mut self, frame: &Frame) {
        let frame = frame.to_bytes();
        let length = u32::try_from(frame.len()).expect("frames are small");
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(frame);
    }
}

/// An export under way.
pub struct Export {
    pub(super) peer: NodeName,
    number: u64,
    chance: Chance,
    stage: Stage,
    queue: VecDeque<Letter>,
    pub(super) out: BTreeSet<(Option<DocId>, ItemHash)>,
    pub(super) whole: BTreeSet<DocId>,
    after: Option<Turn>,
    drafted: bool,
    pub(super) scan: Option<(Position, Position)>,
    batches: u64,
    short: bool,
    files: VecDeque<(ItemHash, Option<BTreeSet<u32>>)>,
    pieces: VecDeque<(ItemHash, u32)>,
}

impl Export {
    /// For whom.
    pub fn peer(&self) -> NodeName {
        self.peer
    }

    /// The count of exports to this peer.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Begins a bundle for each of `peers`, all under one number. `entropy` is used for nothing else: a copy of this node
    /// must draw other batch ids.
    pub fn begin_exports<S: Store>(
        &mut self,
        peers: &[NodeName],
        basis: Basis,
        entropy: [u8; 32],
        store: &mut S,
    ) -> store::Result<Vec<Export>> {
        let mut number = 0;
        for peer in peers {
            self.know_peer(*peer, store)?;
            number = number.max(self.exchanged(*peer, store)?.number + 1);
        }
        let mut chance = Chance { seed: entropy, drawn: 0 };
        let mut begin = |peer: &NodeName| self.begin_export(*peer, number, basis, chance.draw(), store);
        peers.iter().map(&mut begin).collect()
    }

    fn begin_export<S: Store>(
        &mut self,
        peer: NodeName,
        number: u64,
        basis: Basis,
        seed: [u8; 32],
        store: &mut S,
    ) -> store::Result<Export> {
        let mut exchanged = self.exchanged(peer, store)?;
        exchanged.number = number;
        self.keep_exchanged(peer, &exchanged, store)?;
        let mut export = Export {
            peer,
            number,
            chance: Chance { seed, drawn: 0 },
            stage: Stage::Answers,
            queue: VecDeque::new(),
            out: BTreeSet::new(),
            whole: BTreeSet::new(),
            after: None,
            drafted: false,
            scan: self.pairs.get(&peer).and_then(|p| p.everything),
            batches: 0,
            short: false,
            files: VecDeque::new(),
            pieces: VecDeque::new(),
        };
        match basis {
            Basis::Acknowledged => {}
            Basis::Everything => export.scan = Some((Position(0), Position::END)),
            Basis::HandedOut => self.leave_out(&mut export, &exchanged, store)?,
        }
        Ok(export)
    }

    /// Leaves out what earlier bundles carry.
    fn leave_out<S: Store>(
        &self,
        export: &mut Export,
        exchanged: &Exchanged,
        store: &mut S,
    ) -> store::Result<()> {
        let mut stretches = Vec::new();
        for (batch, number) in store.all_handed(export.peer, usize::MAX >> 1)? {
            let Some(handed) = store.handed(export.peer, batch)? else { continue };
            export.short = true;
            export.out.extend(handed.items);
            export.whole.extend(handed.whole);
            stretches.extend(handed.scanned.filter(|_| number > exchanged.since));
        }
        stretches.sort_by_key(|s| s.from);
        if let Some((from, until)) = export.scan {
            let at = stretches.iter().fold(from, |at, s| if s.from <= at { at.max(s.to) } else { at });
            export.scan = (at < until).then_some((at, until));
        }
        Ok(())
    }

    /// What every part of an export begins with.
    pub fn opening<S: Store>(&mut self, now: u64, export: &Export, store: &mut S) -> store::Result<Letter> {
        let open = store.all_handed(export.peer, MAX_BATCH_ITEMS)?;
        let opening = Opening {
            version: VERSION,
            incarnation: self.incarnation,
            highest: store.highest_seal(export.peer)?,
            clock: now,
            number: export.number,
            open: open.into_iter().map(|(batch, _)| batch).collect(),
        };
        Ok(Letter::of(&Frame::Opening(opening)))
    }

    /// The next page; `None` when the export is complete. What it hands out is remembered in this transaction: the page
    /// may leave when that is durable.
    pub fn next_letter<S: Store>(
        &mut self,
        export: &mut Export,
        store: &mut S,
    ) -> store::Result<Option<Letter>> {
        loop {
            if let Some(letter) = export.queue.pop_front() {
                return Ok(Some(letter));
            }
            if self.unsealed {
                self.seal_backlog(store)?;
            }
            match export.stage {
                Stage::Answers => self.letter_answers(export, store)?,
                Stage::Rows => self.letter_rows(export, store)?,
                Stage::Scan => self.letter_scan(export, store)?,
                Stage::Files => self.letter_pieces(export, store)?,
                Stage::Repair => self.letter_repair(export, store)?,
                Stage::Closing => {
                    // What was written meanwhile goes along, so that the digest is of what was handed out.
                    if !self.has_more_rows(export, store)? {
                        self.letter_closing(export);
                    }
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    fn letter_answers<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<()> {
        let mut letter = Letter::default();
        for reply in store.replies(export.peer)? {
            letter.add(&Frame::Answer(reply.answer));
            if letter.bytes.len() > ANSWERS {
                export.queue.push_back(std::mem::take(&mut letter));
            }
        }
        if !letter.bytes.is_empty() {
            export.queue.push_back(letter);
        }
        export.stage = Stage::Rows;
        Ok(())
    }

    /// Answers for a peer in one page, to be sent by other ways than a bundle for it.
    pub fn answers_for<S: Store>(&mut self, peer: NodeName, store: &mut S) -> store::Result<Option<Letter>> {
        let mut letter = Letter::default();
        for reply in store.replies(peer)? {
            letter.add(&Frame::Answer(reply.answer));
            if letter.bytes.len() > ANSWERS {
                break; // the rest goes with the next batch's answer, or with the next bundle
            }
        }
        Ok((!letter.bytes.is_empty()).then_some(letter))
    }

    fn letter_rows<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<()> {
        let window = store.owed_after(export.peer, export.after, LOOK)?;
        let Some((last, _)) = window.last().copied() else {
            // Rows that came, or were split, behind the place where the walk was.
            export.after = None;
            if !std::mem::take(&mut export.drafted) {
                export.stage = Stage::Scan;
            }
            return Ok(());
        };
        let mut draft = Draft::default();
        let rows = window.into_iter().map(|(_, debt)| debt).collect();
        self.draft_rows(export.peer, rows, (&export.out, &export.whole), &mut draft, store)?;
        if draft.is_empty() {
            export.after = Some(last);
            return Ok(());
        }
        export.drafted = true;
        self.hand_out_one(export, draft, None, store)
    }

    fn has_more_rows<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<bool> {
        let before = export.batches;
        export.stage = Stage::Rows;
        while export.stage == Stage::Rows {
            self.letter_rows(export, store)?;
        }
        export.stage = Stage::Closing;
        Ok(export.batches > before)
    }

    fn letter_scan<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<()> {
        let Some((from, until)) = export.scan else {
            export.stage = Stage::Files;
            return Ok(());
        };
        let mut draft = Draft::default();
        let (at, more) = self.draft_scanned(export.peer, (from, until), &mut draft, store)?;
        export.scan = more.then_some((at, until));
        // What is sent beside what is owed settles nothing.
        let owed = self.pairs.get(&export.peer).is_some_and(|p| p.everything.is_some());
        let to = if more { at } else { until };
        let scanned = Scanned { from, to, done: false };
        if draft.is_empty() && owed {
            // Nothing of this stretch is shared: it is as good as answered.
            let id = u64::from_be_bytes(export.chance.draw());
            let scanned = Some(Scanned { done: true, ..scanned });
            let handed = Handed { number: export.number, items: Vec::new(), whole: Vec::new(), scanned };
            store.hand(export.peer, id, &handed)?;
            return self.note_scanned(export.peer, store);
        }
        if draft.is_empty() {
            return Ok(());
        }
        self.hand_out_one(export, draft, owed.then_some(scanned), store)
    }

    fn hand_out_one<S: Store>(
        &mut self,
        export: &mut Export,
        draft: Draft,
        scanned: Option<Scanned>,
        store: &mut S,
    ) -> store::Result<()> {
        let mut chance = export.chance.clone();
        let exports = std::slice::from_mut(export);
        let (letters, files) = self.hand_out(exports, &mut chance, draft, &[scanned], store)?;
        export.chance = chance;
        export.queue.extend(letters);
        export.files.extend(files.into_iter().map(|file| (file, None)));
        Ok(())
    }

    /// Turns a draft for these exports into pages, and remembers for each what they hand out; `scanned` is of each. Returns
    /// the pages, and the files whose manifests are in them.
    pub(super) fn hand_out<S: Store>(
        &mut self,
        exports: &mut [Export],
        chance: &mut Chance,
        draft: Draft,
        scanned: &[Option<Scanned>],
        store: &mut S,
    ) -> store::Result<(Vec<Letter>, Vec<ItemHash>)> {
        let (mut letters, mut files) = (Vec::new(), Vec::new());
        let Some(first) = exports.first().map(|export| export.peer) else { return Ok((letters, files)) };
        let items: Vec<Item> =
            draft.directory.into_iter().chain(draft.docs.into_iter().flat_map(|(_, items)| items)).collect();
        let mut whole = draft.whole;
        let mut pieces = vec![items];
        while let Some(mut piece) = pieces.pop() {
            // What a receiver does not know by a short name would cost another journey.
            let Packed { load, stuck, .. } = self.load_of(first, &piece, true, store)?;
            let packed = load.pack();
            let too_large = packed.len() > MAX_PAGE - 64 && piece.len() > 1;
            if too_large || load.is_empty() {
                let whole = std::mem::take(&mut whole);
                exports.iter().try_for_each(|export| self.itemise(export.peer, &whole, store))?;
            }
            if too_large {
                let rest = piece.split_off(piece.len() / 2);
                pieces.extend([rest, piece]);
                continue;
            }
            let left: Vec<Debt> =
                piece.iter().filter(|i| stuck.contains(&i.hash)).map(|i| row(i.doc, i.hash)).collect();
            for export in exports.iter_mut() {
                export.short |= !stuck.is_empty();
                export.out.extend(piece.iter().map(|i| (i.doc, i.hash)));
                export.whole.extend(&whole);
                store.owe(export.peer, &left)?;
            }
            if load.is_empty() {
                continue;
            }
            let id = u64::from_be_bytes(chance.draw());
            let sent: Vec<&Item> = piece.iter().filter(|i| !stuck.contains(&i.hash)).collect();
            files.extend(sent.iter().filter(|i| i.kind == Kind::FILE).map(|i| i.hash));
            let items: Vec<_> = sent.iter().map(|i| (i.doc, i.hash)).collect();
            for (export, scanned) in exports.iter_mut().zip(scanned) {
                let (number, items, whole) = (export.number, items.clone(), whole.clone());
                store.hand(export.peer, id, &Handed { number, items, whole, scanned: *scanned })?;
                export.batches += 1;
            }
            let mut letter = Letter::of(&Frame::Batch { id, load: packed });
            (letter.batch, letter.items) = (Some(id), sent.len());
            letters.push(letter);
        }
        Ok((letters, files))
    }

    /// Pieces of the files whose manifests went along, and of those that the peer asked for.
    fn letter_pieces<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<()> {
        if let Some((file, place)) = export.pieces.pop_front() {
            if let Some(bytes) = store.piece(&file, place)? {
                export.queue.push_back(Letter::of(&Frame::Piece { file, place, bytes }));
            }
            return Ok(());
        }
        if let Some((file, wanted)) = export.files.pop_front() {
            let Some(held) = store.file(&file)? else { return Ok(()) };
            if self.may_have(export.peer, &held, store)? {
                let here = (0..held.pieces.count()).filter(|place| held.pieces.has(*place));
                let wanted = here.filter(|place| wanted.as_ref().is_none_or(|w| w.contains(place)));
                export.pieces = wanted.map(|place| (file, place)).collect();
            }
            return Ok(());
        }
        let mut exchanged = self.exchanged(export.peer, store)?;
        if exchanged.sought.is_empty() {
            export.stage = Stage::Repair;
            return Ok(());
        }
        for SeekBody { file, places: wanted } in std::mem::take(&mut exchanged.sought) {
            let most = crate::file::MAX_PIECES;
            let wanted = places(&wanted, most as u32, most).unwrap_or_default();
            export.files.push_back((file, Some(wanted.into_iter().collect())));
        }
        self.keep_exchanged(export.peer, &exchanged, store)
    }

    /// What repair has to say, and which files lack pieces here.
    fn letter_repair<S: Store>(&mut self, export: &mut Export, store: &mut S) -> store::Result<()> {
        let peer = export.peer;
        export.stage = Stage::Closing;
        let mut exchanged = self.exchanged(peer, store)?;
        let mut letter = Letter::default();
        if !exchanged.outcome.is_empty()
            && let Ok(frame) = Frame::from_bytes(&exchanged.outcome)
        {
            letter.add(&frame);
        }
        if exchanged.apart >= APART {
            let drawn = export.chance.draw::<16>();
            if exchanged.apart >= FAR_APART {
                let outcome = Want::Everything;
                letter.add(&Frame::Want(WantBody { key: drawn, bits: 0, prefix: 0, outcome }));
                self.send_everything(peer);
                exchanged.apart = 0;
            } else {
                let key = Key::from_bytes(drawn);
                let mut encoder = Encoder::new(&key, Half::WHOLE, 0..CELLS)
                    .expect("the cells asked for are within the sketch's caps");
                let sites = [self.me.site(), peer.site()];
                store.each_shared(sites, &mut |hash, _, _| encoder.add(hash))?;
                let cells = encoder.finish().to_bytes();
                letter.add(&Frame::Sketch(SketchBody { key: drawn, cells }));
                self.tell(Event::Repairing { peer });
            }
            exchanged.asked = Some(drawn);
            self.keep_exchanged(peer, &exchanged, store)?;
        }
        let (mut before, mut asked) = (None, 0);
        while asked < SOUGHT {
            let page = store.incomplete(before, SOUGHT)?;
            let Some((last, _)) = page.last().copied() else { break };
            before = Some(last);
            for (_, file) in page {
                let Some(held) = store.file(&file)? else { continue };
                if asked < SOUGHT && self.may_have(peer, &held, store)? {
                    let missing: Vec<u32> = held.pieces.missing().collect();
                    let mut places = runs(&missing);
                    places.truncate(RUNS);
                    letter.add(&Frame::Seek(SeekBody { file, places }));
                    asked += 1;
                }
            }
        }
        if !letter.bytes.is_empty() {
            export.queue.push_back(letter);
        }
        Ok(())
    }

    fn letter_closing(&mut self, export: &mut Export) {
        let pair = self.pairs.get(&export.peer);
        let (count, fingerprint) = pair.map_or((0, [0; 32]), |p| (p.digest.count(), p.digest.fingerprint()));
        let closing = Closing {
            number: export.number,
            batches: export.batches,
            count,
            fingerprint,
            more: export.short,
        };
        export.queue.push_back(Letter::of(&Frame::Closing(closing)));
        export.stage = Stage::Done;
    }

    /// Forgets batches that never left, such as those of a part that found no room.
    pub fn take_back<S: Store>(
        &mut self,
        peer: NodeName,
        batches: &[u64],
        store: &mut S,
    ) -> store::Result<()> {
        batches.iter().try_for_each(|batch| store.drop_handed(peer, *batch))
    }
}
