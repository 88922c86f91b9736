//! What several recipients must all still get, written once, for parts that each of them can read.
//!
//! A batch settles the outbox of one pair. Here it has one id, and is remembered for each recipient under the one number
//! that their exports share: each takes it in, counts it and answers it as if it were its own. So it holds only what is
//! owed to all of them, and nobody reads what is not meant for it. Openings, answers, repair and closings are of a pair:
//! they go in parts of their own, and so does whatever is owed to some of the recipients only.

use std::collections::{BTreeSet, VecDeque};

use super::super::draft::Draft;
use super::super::{Chance, Replica};
use super::export::{Export, LOOK, Letter};
use crate::id::{DocId, ItemHash};
use crate::matter::Matter;
use crate::store::bundles::{Scanned, Turn};
use crate::store::{self, Debt, Position, Store};
use crate::trust::Trust;
use crate::wire::Frame;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Rows,
    Scan,
    Files,
    Done,
}

/// The pages for all recipients of some exports, under way.
pub struct Common {
    chance: Chance,
    stage: Stage,
    queue: VecDeque<Letter>,
    after: Option<Turn>,
    drafted: bool,
    files: VecDeque<ItemHash>,
    pieces: VecDeque<(ItemHash, u32)>,
}

impl Common {
    /// `entropy` is used for nothing else: see [`Replica::begin_exports`].
    pub fn begin(entropy: [u8; 32]) -> Common {
        Common {
            chance: Chance { seed: entropy, drawn: 0 },
            stage: Stage::Rows,
            queue: VecDeque::new(),
            after: None,
            drafted: false,
            files: VecDeque::new(),
            pieces: VecDeque::new(),
        }
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// The next page for all recipients of `exports`, which were begun together; `None` when what is left is of single
    /// ones. As with [`Replica::next_letter`], the page may leave when this transaction is durable.
    pub fn next_common_letter<S: Store>(
        &mut self,
        common: &mut Common,
        exports: &mut [Export],
        store: &mut S,
    ) -> store::Result<Option<Letter>> {
        if exports.len() < 2 {
            return Ok(None);
        }
        loop {
            if let Some(letter) = common.queue.pop_front() {
                return Ok(Some(letter));
            }
            if self.unsealed {
                self.seal_backlog(store)?;
            }
            match common.stage {
                Stage::Rows => self.common_rows(common, exports, store)?,
                Stage::Scan => self.common_scan(common, exports, store)?,
                Stage::Files => self.common_pieces(common, exports, store)?,
                Stage::Done => return Ok(None),
            }
        }
    }

    fn hand_out_common<S: Store>(
        &mut self,
        common: &mut Common,
        exports: &mut [Export],
        draft: Draft,
        scanned: &[Option<Scanned>],
        store: &mut S,
    ) -> store::Result<()> {
        let (letters, files) = self.hand_out(exports, &mut common.chance, draft, scanned, store)?;
        common.queue.extend(letters);
        common.files.extend(files);
        Ok(())
    }

    /// Walks the first one's outbox, leaving out what the others are not owed.
    fn common_rows<S: Store>(
        &mut self,
        common: &mut Common,
        exports: &mut [Export],
        store: &mut S,
    ) -> store::Result<()> {
        let Some((first, others)) = exports.split_first() else { return Ok(()) };
        let peer = first.peer;
        let window = store.owed_after(peer, common.after, LOOK)?;
        let Some((last, _)) = window.last().copied() else {
            common.after = None;
            if !std::mem::take(&mut common.drafted) {
                common.stage = Stage::Scan;
            }
            return Ok(());
        };
        let rows: Vec<Debt> = window.into_iter().map(|(_, debt)| debt).collect();
        let (mut left, mut busy) = (BTreeSet::new(), BTreeSet::new());
        let mut seen = BTreeSet::new();
        for Debt { doc, item, .. } in &rows {
            match (doc, item) {
                // A row of the directory is cheap, and each recipient's own part brings it.
                (None, Some(item)) => drop(left.insert((None, *item))),
                (Some(doc), _) if seen.insert(*doc) => {
                    let of_first = store.owed_of(peer, doc, LOOK)?;
                    let mut owed = Owed::of(first, doc, &of_first);
                    for other in others {
                        let theirs = Owed::of(other, doc, &store.owed_of(other.peer, doc, LOOK)?);
                        owed.whole &= theirs.whole;
                        owed.items.retain(|item| theirs.items.contains(item));
                    }
                    if !owed.whole {
                        busy.insert(*doc);
                    }
                    let all = of_first.into_iter().filter_map(|debt| debt.item);
                    left.extend(all.filter(|item| !owed.items.contains(item)).map(|item| (Some(*doc), item)));
                }
                _ => {}
            }
        }
        let mut draft = Draft::default();
        self.draft_rows(peer, rows, (&left, &busy), &mut draft, store)?;
        if draft.is_empty() {
            common.after = Some(last);
            return Ok(());
        }
        common.drafted = true;
        let scanned = vec![None; exports.len()];
        self.hand_out_common(common, exports, draft, &scanned, store)
    }

    /// Scans of everything that stand at one place go on together, as long as they find the same.
    fn common_scan<S: Store>(
        &mut self,
        common: &mut Common,
        exports: &mut [Export],
        store: &mut S,
    ) -> store::Result<()> {
        common.stage = Stage::Files;
        let Some(scans) = exports.iter().map(|export| export.scan).collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let (Some((from, _)), Some(until)) =
            (scans.first().copied(), scans.iter().map(|(_, until)| *until).min())
        else {
            return Ok(());
        };
        if scans.iter().any(|scan| scan.0 != from) || from >= until {
            return Ok(());
        }
        let mut found: Option<(Draft, Position, bool)> = None;
        for export in exports.iter() {
            let mut draft = Draft::default();
            let (at, more) = self.draft_scanned(export.peer, (from, until), &mut draft, store)?;
            match &found {
                None => found = Some((draft, at, more)),
                Some((first, place, further))
                    if (*place, *further) == (at, more) && first.is_like(&draft) => {}
                Some(_) => return Ok(()),
            }
        }
        let Some((draft, at, more)) = found.filter(|(draft, ..)| !draft.is_empty()) else { return Ok(()) };
        let to = if more { at } else { until };
        let mut scanned = Vec::new();
        for (export, (_, until)) in exports.iter_mut().zip(scans) {
            export.scan = (to < until).then_some((to, until));
            // What is sent beside what is owed settles nothing.
            let owed = self.pairs.get(&export.peer).is_some_and(|pair| pair.everything.is_some());
            scanned.push(owed.then_some(Scanned { from, to, done: false }));
        }
        common.stage = Stage::Scan;
        self.hand_out_common(common, exports, draft, &scanned, store)
    }

    /// Pieces of the files whose manifests went along.
    fn common_pieces<S: Store>(
        &mut self,
        common: &mut Common,
        exports: &[Export],
        store: &mut S,
    ) -> store::Result<()> {
        if let Some((file, place)) = common.pieces.pop_front() {
            if let Some(bytes) = store.piece(&file, place)? {
                common.queue.push_back(Letter::of(&Frame::Piece { file, place, bytes }));
            }
            return Ok(());
        }
        let Some(file) = common.files.pop_front() else {
            common.stage = Stage::Done;
            return Ok(());
        };
        let Some(held) = store.file(&file)? else { return Ok(()) };
        for export in exports {
            if !self.may_have(export.peer, &held, store)? {
                return Ok(());
            }
        }
        let here = (0..held.pieces.count()).filter(|place| held.pieces.has(*place));
        common.pieces = here.map(|place| (file, place)).collect();
        Ok(())
    }
}

/// What one recipient is owed of a document and was not handed yet.
struct Owed {
    whole: bool,
    items: BTreeSet<ItemHash>,
}

impl Owed {
    fn of(export: &Export, doc: &DocId, rows: &[Debt]) -> Owed {
        let mut owed = Owed { whole: false, items: BTreeSet::new() };
        for Debt { item, .. } in rows {
            match item {
                None => owed.whole = !export.whole.contains(doc),
                Some(item) if export.out.contains(&(Some(*doc), *item)) => {}
                Some(item) => drop(owed.items.insert(*item)),
            }
        }
        owed
    }
}
