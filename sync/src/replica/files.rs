//! Who asks whom for which pieces of a file.
//!
//! ```text
//! lacks pieces                                   holds some
//!   | -- seek: file, places             ----->     |  audience checked; remembered until the link ends
//!   | <-- piece: file, place, bytes     ------     |  as soon as it is here and the budget allows
//!   |     checked against the manifest, stored     |
//!   | -- seek: the next places          ----->     |
//!   | <-- lack: file                    ------     |  or: none of them is here; interest is remembered
//!   | <-- have: file                    ------     |  now some are: ask again
//! ```
//!
//! The one that lacks paces: at most [`WINDOW`] pieces are asked of a peer and not here yet, so nobody need queue
//! more. A peer that lacks what it was asked for says so, and another linked peer of the audience is asked. When all
//! lack it, the file waits and holds nothing up: until one of them has some, a link comes up, or a while has passed.
//! What a peer began to send it goes on with as it comes in: a file flows through a province while it still arrives
//! there. A peer from which nothing comes is passed over as well. The one that holds spends a budget in bytes a second over all links, by turns, a piece each.
//!
//! What is missing is read from the store, never remembered here: a restart or a cut at any piece goes on where it
//! was. Nothing here is in the digest; manifests are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use certs::NodeName;

use super::admit::Incoming;
use super::{Event, Replica};
use crate::document::Refusal;
use crate::file::{MAX_FILES, MAX_PIECES, Manifest, PIECE};
use crate::id::{DocId, ItemHash};
use crate::item::Kind;
use crate::matter::Matter;
use crate::store::contents::Held;
use crate::store::{self, Position, Store, StoreError};
use crate::trust::Trust;
use crate::wire::{Frame, Lane, SeekBody, places, runs};

/// Pieces that may be asked of one peer and not be here yet: 2 MiB, which fills 27 Mbit/s at a round trip of 600 ms.
const WINDOW: usize = 32;

/// Files that may be asked of one peer at once.
const AT_ONCE: usize = 16;

/// A file of which nothing comes for this long is asked of another peer, in milliseconds; doubled every time.
const PATIENCE_MS: u64 = 15_000;
const MAX_PATIENCE_MS: u64 = 600_000;

/// How often what waits is looked at again, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// Files that lack pieces are looked at so many at a time.
const LOOK: usize = 64;

/// Most pieces that one transaction sends: they lie in memory until it is committed.
const TURN: usize = 128;

/// Files that a peer lacks and is told of when they come, and files that wait because all lack them: what is past
/// these is asked for again a little later.
const INTERESTS: usize = 256;
const WAITING: usize = 4_096;

/// Manifests kept for the next piece.
const MANIFESTS: usize = 16;

/// A file that a peer was asked for.
#[derive(Debug)]
struct Fetch {
    peer: NodeName,
    /// Asked for and not here yet.
    asked: BTreeSet<u32>,
    /// When a piece came last, or since when it is asked for.
    heard: u64,
    patience: u64,
    /// Peers that said they lack what is missing here.
    lacking: BTreeSet<NodeName>,
}

/// Why a file is not asked for, and how it goes on.
#[derive(Clone, Debug)]
struct Wait {
    /// All linked peers lack it: nobody is asked before this time.
    until: u64,
    patience: u64,
    /// These lack it; the others had no window free.
    lacking: BTreeSet<NodeName>,
}

/// What a peer asked for of one file.
#[derive(Debug, Default)]
struct Sought {
    places: BTreeSet<u32>,
    /// It was sent some: the rest follows as it comes in.
    begun: bool,
}

/// Bytes that may be sent, refilled as time passes: at most a second's worth is saved up.
#[derive(Debug, Default)]
struct Budget {
    rate: Option<u64>,
    saved: u64,
    at: u64,
}

impl Budget {
    fn refill(&mut self, now: u64) {
        let Some(rate) = self.rate else { return };
        let passed = now.saturating_sub(self.at).min(1_000);
        // A rate below a piece a second saves up for a whole one, or nothing would ever be sent.
        self.saved = (self.saved + rate * passed / 1_000).min(rate.max(PIECE as u64));
        self.at = now;
    }

    fn spend(&mut self, bytes: usize) -> bool {
        if self.rate.is_none() {
            return true;
        }
        let enough = self.saved >= bytes as u64;
        if enough {
            self.saved -= bytes as u64;
        }
        enough
    }
}

/// What the operator sees of files on links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesView {
    /// How many files are asked of each peer at the moment.
    pub fetching: BTreeMap<NodeName, u64>,
    /// Pieces that each peer asked for and has not been sent.
    pub sending: BTreeMap<NodeName, u64>,
    /// The disk's reserve is reached: nothing is asked for until there is room.
    pub paused: bool,
}

/// All that is under way, on all links.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    fetches: BTreeMap<ItemHash, Fetch>,
    /// What each peer asked for and has not been sent.
    sought: BTreeMap<NodeName, BTreeMap<ItemHash, Sought>>,
    /// Files that a peer was told are not here.
    interested: BTreeMap<NodeName, BTreeSet<ItemHash>>,
    /// Files that nobody can be asked for now.
    waiting: BTreeMap<ItemHash, Wait>,
    /// Who sent a manifest: the first to be asked for its content.
    sources: BTreeMap<ItemHash, NodeName>,
    /// Peers whose windows have moved: more can be asked of them.
    stirred: BTreeSet<NodeName>,
    /// Peers to whom something can perhaps be sent now.
    awake: BTreeSet<NodeName>,
    /// Whose turn comes first.
    turn: Option<NodeName>,
    budget: Budget,
    manifests: VecDeque<(ItemHash, Arc<Manifest>)>,
    /// How far the look at files that lack pieces has come; `None` before its start.
    looked: Option<Position>,
    /// Something may have changed for files that nobody is asked for.
    look: bool,
    checked_at: u64,
    paused: bool,
    /// Peers that asked for what they may not have, and were reported.
    reported: BTreeSet<NodeName>,
}

/// What is pushed out of these maps costs one more question.
fn bounded<V>(map: &mut BTreeMap<ItemHash, V>, file: ItemHash, value: V) {
    if map.len() == WAITING && !map.contains_key(&file) {
        map.pop_first();
    }
    map.insert(file, value);
}

impl Exchange {
    /// A connection ended, or another took its place.
    pub(super) fn unlink(&mut self, peer: NodeName) {
        self.fetches.retain(|_, fetch| fetch.peer != peer);
        self.sought.remove(&peer);
        self.interested.remove(&peer);
        self.stirred.remove(&peer);
        self.awake.remove(&peer);
        self.reported.remove(&peer);
        self.look = true;
    }

    fn asked_of(&self, peer: NodeName) -> (usize, usize) {
        let of = self.fetches.values().filter(|f| f.peer == peer);
        of.fold((0, 0), |(files, pieces), f| (files + 1, pieces + f.asked.len()))
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// What files may cost, in bytes a second over all links; `None`: whatever the links give.
    pub fn set_file_budget(&mut self, rate: Option<u64>) {
        self.files.budget = Budget { rate, ..Budget::default() };
    }

    /// What the operator sees of files on links.
    pub fn files(&self) -> FilesView {
        let mut view = FilesView { paused: self.files.paused, ..FilesView::default() };
        for fetch in self.files.fetches.values() {
            *view.fetching.entry(fetch.peer).or_default() += 1;
        }
        for (peer, sought) in &self.files.sought {
            view.sending.insert(*peer, sought.values().map(|s| s.places.len() as u64).sum());
        }
        view
    }

    /// A link is up: it may help files that nobody could give until now.
    pub(super) fn look_for_files(&mut self) {
        self.files.look = true;
        self.files.waiting.clear();
    }

    /// Which peer is asked for a file at the moment.
    pub fn asked_for(&self, file: &ItemHash) -> Option<NodeName> {
        self.files.fetches.get(file).map(|fetch| fetch.peer)
    }

    /// Whether an item may stand as a file's manifest: a rule that reads only itself.
    pub(super) fn judge_manifest(item: &Incoming) -> Result<(), Refusal> {
        if item.kind != Kind::FILE {
            return Ok(());
        }
        Manifest::read(&item.bytes).map(drop).map_err(|e| Refusal::Rule(e.to_string()))
    }

    /// A manifest has come under a document: its content belongs here from now on.
    pub(super) fn know_file<S: Store>(
        &mut self,
        doc: DocId,
        bytes: &[u8],
        from: Option<NodeName>,
        store: &mut S,
    ) -> store::Result<()> {
        let Ok(Some(manifest)) = Manifest::read(bytes) else { return Ok(()) };
        if store.files_of(&doc)? >= MAX_FILES as u64 {
            self.tell(Event::TooManyFiles { doc });
            return Ok(());
        }
        store.know_file(&doc, &manifest)?;
        if let Some(from) = from {
            bounded(&mut self.files.sources, manifest.address(), from);
        }
        self.files.look = true;
        Ok(())
    }

    /// The file's document was erased: its content is removed, nobody is asked for it any more, and whoever asked for
    /// it is told that it is not here.
    pub(super) fn forget_file<S: Store>(&mut self, file: ItemHash, store: &mut S) -> store::Result<()> {
        if store.file(&file)?.is_none() {
            return Ok(());
        }
        store.forget_file(&file)?;
        if let Some(Fetch { peer, .. }) = self.files.fetches.remove(&file) {
            self.files.stirred.insert(peer);
            self.send(peer, Lane::Control, &Frame::Seek(SeekBody { file, places: Vec::new() }));
        }
        self.files.waiting.remove(&file);
        self.files.sources.remove(&file);
        self.files.manifests.retain(|(known, _)| *known != file);
        self.files.interested.values_mut().for_each(|files| _ = files.remove(&file));
        let sought = self.files.sought.iter_mut();
        let sought: Vec<NodeName> =
            sought.filter_map(|(peer, files)| files.remove(&file).map(|_| *peer)).collect();
        sought.into_iter().for_each(|peer| self.send(peer, Lane::Control, &Frame::Lack(file)));
        self.files.sought.retain(|_, files| !files.is_empty());
        Ok(())
    }

    /// A peer asks for pieces.
    pub(super) fn seek<S: Store>(
        &mut self,
        peer: NodeName,
        seek: SeekBody,
        store: &mut S,
    ) -> store::Result<()> {
        let Some(wanted) = places(&seek.places, MAX_PIECES as u32, 2 * WINDOW) else {
            self.blame(peer, "asks for more of a file at once than any version does".to_owned());
            return Ok(());
        };
        let sought = self.files.sought.entry(peer).or_default();
        if wanted.is_empty() {
            sought.remove(&seek.file);
            return Ok(());
        }
        sought.entry(seek.file).or_default().places.extend(wanted);
        let pieces: usize = sought.values().map(|s| s.places.len()).sum();
        if pieces > 2 * WINDOW || sought.len() > 2 * AT_ONCE {
            self.blame(peer, "asks for more of files at once than any version does".to_owned());
            return Ok(());
        }
        if let Some(held) = store.file(&seek.file)?
            && !self.may_have(peer, &held, store)?
            && self.files.reported.insert(peer)
        {
            self.tell(Event::ForeignFile { peer, doc: held.doc });
        }
        self.files.awake.insert(peer);
        Ok(())
    }

    /// A peer lacks what it was asked for: another is asked; when all lack it, the file waits.
    pub(super) fn lack<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        file: ItemHash,
        store: &mut S,
    ) -> store::Result<()> {
        let Some(fetch) = self.files.fetches.get_mut(&file).filter(|f| f.peer == peer) else { return Ok(()) };
        fetch.lacking.insert(peer);
        let (lacking, patience) = (fetch.lacking.clone(), fetch.patience);
        let Some(held) = store.file(&file)? else { return Ok(()) };
        let mut others = self.holders(&held, store)?;
        others.retain(|holder| !lacking.contains(holder));
        if let Some(next) = others.iter().copied().find(|h| self.takes_more(*h)) {
            self.turn_to(now, file, next);
            self.ask_for(now, file, &held);
            return Ok(());
        }
        self.files.fetches.remove(&file);
        self.files.stirred.insert(peer);
        self.files.look = true;
        let wait = if others.is_empty() {
            let next = (patience * 2).min(MAX_PATIENCE_MS);
            Wait { until: now + patience, patience: next, lacking: BTreeSet::new() }
        } else {
            Wait { until: 0, patience, lacking }
        };
        bounded(&mut self.files.waiting, file, wait);
        Ok(())
    }

    /// A peer has now what it lacked before.
    pub(super) fn have<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        file: ItemHash,
        store: &mut S,
    ) -> store::Result<()> {
        self.files.waiting.remove(&file);
        if let Some(fetch) = self.files.fetches.get_mut(&file) {
            fetch.lacking.remove(&peer); // its turn comes when the one that is asked lacks it
        } else if let Some(held) = store.file(&file)?.filter(|h| !h.pieces.is_whole())
            && self.holders(&held, store)?.contains(&peer)
            && self.takes_more(peer)
            && self.has_room(store)?
        {
            self.begin(now, file, peer, PATIENCE_MS, BTreeSet::new());
            self.ask_for(now, file, &held);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        now: u64,
        file: ItemHash,
        peer: NodeName,
        patience: u64,
        lacking: BTreeSet<NodeName>,
    ) {
        let fetch = Fetch { peer, asked: BTreeSet::new(), heard: now, patience, lacking };
        self.files.fetches.insert(file, fetch);
    }

    /// Asks another peer for a file from now on.
    fn turn_to(&mut self, now: u64, file: ItemHash, next: NodeName) {
        let Some(fetch) = self.files.fetches.get_mut(&file) else { return };
        let last = std::mem::replace(&mut fetch.peer, next);
        fetch.asked.clear();
        fetch.heard = now;
        self.send(last, Lane::Control, &Frame::Seek(SeekBody { file, places: Vec::new() }));
    }

    /// A piece came.
    pub(super) fn piece<S: Store>(
        &mut self,
        now: u64,
        peer: NodeName,
        file: ItemHash,
        place: u32,
        bytes: &[u8],
        store: &mut S,
    ) -> store::Result<()> {
        let asked = |f: &&mut Fetch| f.peer == peer && f.asked.contains(&place);
        if self.files.fetches.get_mut(&file).as_ref().is_none_or(|f| !asked(f)) {
            return Ok(()); // another peer is asked for it by now
        }
        let Some(manifest) = self.manifest(&file, store)? else { return Ok(()) };
        if !manifest.is_piece(place, bytes) {
            self.blame(peer, format!("a piece of file {} that is not what its manifest names", file.short()));
            return Ok(());
        }
        match store.put_piece(&file, place, bytes) {
            Ok(()) => {}
            Err(StoreError::Full(_)) => {
                self.pause(0);
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        if let Some(fetch) = self.files.fetches.get_mut(&file) {
            fetch.asked.remove(&place);
            fetch.heard = now;
            fetch.patience = PATIENCE_MS;
        }
        self.files.stirred.insert(peer);
        let asking = self.files.sought.iter().filter(|(_, sought)| sought.contains_key(&file));
        let asking: Vec<NodeName> = asking.map(|(peer, _)| *peer).collect();
        self.files.awake.extend(asking);
        let interested = self.files.interested.iter_mut();
        let interested: Vec<NodeName> =
            interested.filter_map(|(peer, files)| files.remove(&file).then_some(*peer)).collect();
        interested.into_iter().for_each(|peer| self.send(peer, Lane::Control, &Frame::Have(file)));
        Ok(())
    }

    /// Asks for what is missing and sends what was asked for, as far as windows and budget allow. Called once before
    /// every commit.
    pub(super) fn exchange_files<S: Store>(&mut self, now: u64, store: &mut S) -> store::Result<()> {
        let gone: BTreeSet<NodeName> = self
            .files
            .fetches
            .values()
            .map(|f| f.peer)
            .chain(self.files.sought.keys().copied())
            .chain(self.files.interested.keys().copied())
            .filter(|peer| !self.links.contains_key(peer))
            .collect();
        gone.into_iter().for_each(|peer| self.files.unlink(peer));
        if now.abs_diff(self.files.checked_at) >= LOOK_MS {
            self.files.checked_at = now;
            self.files.look = true;
            let waiting: Vec<NodeName> = self.files.sought.keys().copied().collect();
            self.files.awake.extend(waiting);
            self.lose_patience(now, store)?;
            let asked: Vec<NodeName> = self.files.fetches.values().map(|f| f.peer).collect();
            self.files.stirred.extend(asked);
        }
        self.ask_on(now, store)?;
        if self.files.look {
            self.ask_for_more_files(now, store)?;
        }
        self.send_pieces(now, store)
    }

    /// Whether a peer must hold a file's document as well as this node.
    pub(super) fn may_have<S: Store>(
        &self,
        peer: NodeName,
        held: &Held,
        store: &mut S,
    ) -> store::Result<bool> {
        Ok(store.document(&held.doc)?.is_some_and(|d| self.shared(&d.audience, peer)))
    }

    /// Linked peers that must hold the file too.
    fn holders<S: Store>(&self, held: &Held, store: &mut S) -> store::Result<Vec<NodeName>> {
        let Some(document) = store.document(&held.doc)? else { return Ok(Vec::new()) };
        let linked = self.links.iter().filter(|(_, link)| link.view().connected).map(|(peer, _)| *peer);
        Ok(linked.filter(|peer| self.shared(&document.audience, *peer)).collect())
    }

    pub(super) fn manifest<S: Store>(
        &mut self,
        file: &ItemHash,
        store: &mut S,
    ) -> store::Result<Option<Arc<Manifest>>> {
        if let Some((_, manifest)) = self.files.manifests.iter().find(|(known, _)| known == file) {
            return Ok(Some(manifest.clone()));
        }
        let Some(item) = store.item(file)? else { return Ok(None) };
        let Ok(Some(manifest)) = Manifest::read(&item.bytes) else { return Ok(None) };
        let manifest = Arc::new(manifest);
        self.files.manifests.truncate(MANIFESTS - 1);
        self.files.manifests.push_front((*file, manifest.clone()));
        Ok(Some(manifest))
    }

    fn pause(&mut self, room: u64) {
        if !std::mem::replace(&mut self.files.paused, true) {
            self.tell(Event::FilesPaused { room });
        }
    }

    /// Whether the disk has room for what may come; says so when that changes.
    fn has_room<S: Store>(&mut self, store: &mut S) -> store::Result<bool> {
        let room = store.room()?;
        let coming: usize = self.files.fetches.values().map(|f| f.asked.len()).sum();
        if room < ((coming + WINDOW) * PIECE) as u64 {
            self.pause(room);
            return Ok(false);
        }
        self.files.paused = false;
        Ok(true)
    }

    /// A file of which nothing came for too long is asked of the next peer that must hold it. When there is no other
    /// the same is asked again: it may have lost what it was asked before.
    fn lose_patience<S: Store>(&mut self, now: u64, store: &mut S) -> store::Result<()> {
        let late: Vec<(ItemHash, NodeName)> = self
            .files
            .fetches
            .iter()
            .filter(|(_, f)| now.saturating_sub(f.heard) >= f.patience)
            .map(|(file, f)| (*file, f.peer))
            .collect();
        for (file, peer) in late {
            let Some(held) = store.file(&file)? else { continue };
            let holders = self.holders(&held, store)?;
            let next = holders.iter().find(|h| **h > peer).or(holders.first()).copied();
            let next = next.filter(|next| self.takes_more(*next)).unwrap_or(peer);
            let Some(fetch) = self.files.fetches.get_mut(&file) else { continue };
            fetch.patience = (fetch.patience * 2).min(MAX_PATIENCE_MS);
            fetch.lacking.clear();
            if next == peer {
                fetch.heard = now;
                let nothing = SeekBody { file, places: Vec::new() };
                let places = runs(&fetch.asked.iter().copied().collect::<Vec<_>>());
                self.send(peer, Lane::Control, &Frame::Seek(nothing));
                self.send(peer, Lane::Control, &Frame::Seek(SeekBody { file, places }));
            } else {
                self.turn_to(now, file, next);
            }
        }
        Ok(())
    }

    /// Goes on with the files that somebody is asked for.
    fn ask_on<S: Store>(&mut self, now: u64, store: &mut S) -> store::Result<()> {
        let stirred = std::mem::take(&mut self.files.stirred);
        let short = |f: &Fetch| stirred.contains(&f.peer) && f.asked.len() <= WINDOW / 2;
        let files = self.files.fetches.iter().filter(|(_, f)| short(f));
        let files: Vec<ItemHash> = files.map(|(file, _)| *file).collect();
        let room = files.is_empty() || self.has_room(store)?;
        for file in files {
            let Some(held) = store.file(&file)? else { continue };
            if held.pieces.is_whole() {
                self.files.fetches.remove(&file);
                self.files.sources.remove(&file);
                self.files.look = true;
            } else if room {
                self.ask_for(now, file, &held);
            }
        }
        Ok(())
    }

    /// Whether another file may be asked of this peer.
    fn takes_more(&self, peer: NodeName) -> bool {
        let (files, pieces) = self.files.asked_of(peer);
        files < AT_ONCE && pieces < WINDOW
    }

    /// Asks for as many pieces of a file as the peer's window takes.
    fn ask_for(&mut self, now: u64, file: ItemHash, held: &Held) {
        let Some(peer) = self.files.fetches.get(&file).map(|f| f.peer) else { return };
        let free = WINDOW.saturating_sub(self.files.asked_of(peer).1);
        let Some(fetch) = self.files.fetches.get_mut(&file) else { return };
        let next: Vec<u32> =
            held.pieces.missing().filter(|place| !fetch.asked.contains(place)).take(free).collect();
        if next.is_empty() {
            return;
        }
        if fetch.asked.is_empty() {
            fetch.heard = now;
        }
        fetch.asked.extend(&next);
        self.send(peer, Lane::Control, &Frame::Seek(SeekBody { file, places: runs(&next) }));
    }

    /// Looks at files that nobody is asked for, the newest first, a few at a time.
    fn ask_for_more_files<S: Store>(&mut self, now: u64, store: &mut S) -> store::Result<()> {
        if self.links.is_empty() {
            return Ok(());
        }
        let page = store.incomplete(self.files.looked, LOOK)?;
        if page.len() < LOOK {
            self.files.look = false;
            self.files.looked = None;
        }
        if page.is_empty() || !self.has_room(store)? {
            return Ok(());
        }
        for (at, file) in page {
            if self.files.look {
                self.files.looked = Some(at);
            }
            let wait = self.files.waiting.get(&file).cloned();
            let patience = wait.as_ref().map_or(PATIENCE_MS, |w| w.patience);
            if wait.as_ref().is_some_and(|w| w.until > now) || self.files.fetches.contains_key(&file) {
                continue;
            }
            let Some(held) = store.file(&file)? else { continue };
            let mut holders = self.holders(&held, store)?;
            holders.retain(|p| wait.as_ref().is_none_or(|w| !w.lacking.contains(p)) && self.takes_more(*p));
            let source = self.files.sources.get(&file);
            let best = holders.into_iter().min_by_key(|p| (source != Some(p), self.files.asked_of(*p), *p));
            let Some(peer) = best else { continue };
            self.files.waiting.remove(&file);
            let lacking = wait.map(|w| w.lacking).unwrap_or_default();
            self.begin(now, file, peer, patience, lacking);
            self.ask_for(now, file, &held);
        }
        Ok(())
    }

    /// Sends what was asked for and is here: a piece to each in turn, while the budget lasts.
    fn send_pieces<S: Store>(&mut self, now: u64, store: &mut S) -> store::Result<()> {
        self.files.budget.refill(now);
        let mut queues: VecDeque<(NodeName, VecDeque<(ItemHash, u32)>)> = VecDeque::new();
        for peer in std::mem::take(&mut self.files.awake) {
            let ready = self.ready_for(peer, store)?;
            if !ready.is_empty() {
                queues.push_back((peer, ready));
            }
        }
        let first = self.files.turn.and_then(|turn| queues.iter().position(|(peer, _)| *peer > turn));
        queues.rotate_left(first.unwrap_or(0));
        let mut sent = 0;
        while let Some((peer, mut queue)) = queues.pop_front() {
            let Some((file, place)) = queue.pop_front() else { continue };
            if sent == TURN || !self.files.budget.spend(PIECE) {
                self.files.awake.insert(peer);
                self.files.awake.extend(queues.iter().map(|(peer, _)| *peer));
                return Ok(());
            }
            if self.send_piece(peer, file, place, store)? {
                sent += 1;
                self.files.turn = Some(peer);
            }
            queues.push_back((peer, queue));
        }
        Ok(())
    }

    /// What a peer asked for, may have, and is here. A file of which nothing can be sent is answered so.
    fn ready_for<S: Store>(
        &mut self,
        peer: NodeName,
        store: &mut S,
    ) -> store::Result<VecDeque<(ItemHash, u32)>> {
        let mut ready = VecDeque::new();
        let mut lacking = Vec::new();
        for (file, wanted) in self.files.sought.get(&peer).into_iter().flatten() {
            let before = ready.len();
            if let Some(held) = store.file(file)?
                && self.may_have(peer, &held, store)?
            {
                ready.extend(wanted.places.iter().filter(|p| held.pieces.has(**p)).map(|p| (*file, *p)));
            }
            if ready.len() == before && !wanted.begun {
                lacking.push(*file);
            }
        }
        for file in lacking {
            if let Some(sought) = self.files.sought.get_mut(&peer) {
                sought.remove(&file);
            }
            let interested = self.files.interested.entry(peer).or_default();
            if interested.len() < INTERESTS {
                interested.insert(file);
            }
            self.send(peer, Lane::Control, &Frame::Lack(file));
        }
        if self.files.sought.get(&peer).is_some_and(BTreeMap::is_empty) {
            self.files.sought.remove(&peer);
        }
        Ok(ready)
    }

    /// Sends one piece, unless it is no longer what was stored.
    fn send_piece<S: Store>(
        &mut self,
        peer: NodeName,
        file: ItemHash,
        place: u32,
        store: &mut S,
    ) -> store::Result<bool> {
        let (Some(bytes), Some(manifest)) = (store.piece(&file, place)?, self.manifest(&file, store)?) else {
            return Ok(false);
        };
        if !manifest.is_piece(place, &bytes) {
            store.lose_piece(&file, place)?;
            self.files.look = true;
            self.tell(Event::PieceDamaged { file, place });
            return Ok(false);
        }
        if let Some(sought) = self.files.sought.get_mut(&peer)
            && let Some(wanted) = sought.get_mut(&file)
        {
            wanted.begun = true;
            wanted.places.remove(&place);
            if wanted.places.is_empty() {
                sought.remove(&file);
            }
            if sought.is_empty() {
                self.files.sought.remove(&peer);
            }
        }
        self.send(peer, Lane::Files, &Frame::Piece { file, place, bytes });
        Ok(true)
    }
}
