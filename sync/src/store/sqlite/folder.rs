//! Contents in a folder beside the database: a file for each content, and a bit for each piece in a row.
//!
//! ```text
//! DIR/node.db       row: address, document, size, a bit for each piece that is durable
//! DIR/files/ab/cd…  the content under its address; pieces at their places, holes between them
//! DIR/files/new/    what is being attached: first under a random name, then under its address; what is being removed
//! ```
//!
//! The order that it rests on: pieces are written, then *before the database commits* the files and the directories
//! that are new are synchronised. So a bit never speaks of a piece that a power cut can take. A piece without its
//! bit is asked for again and written over.
//!
//! An attached content waits under `new/` until the commit that makes it known, and moves then. What is found there
//! at start is moved if the database knows it and is removed if not: that is the whole of the collection, and it
//! costs nothing but what a crash left. A content that is removed goes the same way back: it moves there before the
//! commit that forgets it and is gone after it, so a crash anywhere leaves all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::{Sqlite, damaged, read_id};
use crate::file::{MAX_PIECES, Manifest, PIECE, Pieces, piece_hash, piece_length};
use crate::id::{DocId, ItemHash};
use crate::store::contents::{Contents, FileTotals, Held};
use crate::store::{Position, Result, StoreError};

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS file(
  id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, doc BLOB NOT NULL, size INTEGER NOT NULL,
  count INTEGER NOT NULL, held INTEGER NOT NULL, pieces BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS file_doc ON file(doc);
CREATE INDEX IF NOT EXISTS file_missing ON file(id, size, held) WHERE held < count;
";

/// Contents that grow by more than this between two commits are synchronised on the way.
const SYNC_EVERY: u64 = 8 << 20;

impl From<io::Error> for StoreError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(e.to_string()),
            _ => StoreError::Failed(e.to_string()),
        }
    }
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Bytes of the disk that contents leave free.
    reserve: u64,
    /// Written to since the last commit.
    dirty: BTreeMap<ItemHash, File>,
    /// Directories that have new entries.
    grown: BTreeSet<PathBuf>,
    /// Known since the last commit and still under `new/`.
    attached: BTreeSet<ItemHash>,
    /// Forgotten since the last commit.
    leaving: BTreeSet<ItemHash>,
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Folder {
        Folder {
            root,
            reserve: 0,
            dirty: BTreeMap::new(),
            grown: BTreeSet::new(),
            attached: BTreeSet::new(),
            leaving: BTreeSet::new(),
        }
    }

    fn waiting(&self) -> PathBuf {
        self.root.join("new")
    }

    fn place_of(&self, file: &ItemHash) -> PathBuf {
        let name = file.to_string();
        self.root.join(&name[..2]).join(&name[2..])
    }

    /// Makes a directory and its way there, and notes who has a new entry.
    fn make(&mut self, directory: &Path) -> io::Result<()> {
        match fs::create_dir(directory) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let above = directory.parent().ok_or(e)?.to_owned();
                self.make(&above)?;
                fs::create_dir(directory)?;
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        }
        self.grown.extend(directory.parent().map(Path::to_owned));
        Ok(())
    }

    fn write(&mut self, file: &ItemHash, place: u32, bytes: &[u8]) -> io::Result<()> {
        if !self.dirty.contains_key(file) {
            let path = self.place_of(file);
            let mut options = OpenOptions::new();
            options.write(true).mode(0o600);
            let open = match options.open(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    let directory = path.parent().ok_or(e)?.to_owned();
                    self.make(&directory)?;
                    self.grown.insert(directory);
                    options.create(true).open(&path)?
                }
                other => other?,
            };
            self.dirty.insert(*file, open);
        }
        self.dirty[file].write_all_at(bytes, u64::from(place) * PIECE as u64)
    }

    fn open(&self, file: &ItemHash) -> io::Result<Option<File>> {
        for path in [self.place_of(file), self.waiting().join(file.to_string())] {
            match File::open(path) {
                Ok(open) => return Ok(Some(open)),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Before the database commits: everything written is on the disk when this returns, and what is forgotten stands
    /// ready to be removed.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for file in self.leaving.clone() {
            self.move_out(&file)?;
        }
        for file in std::mem::take(&mut self.dirty).into_values() {
            file.sync_data()?;
        }
        for directory in std::mem::take(&mut self.grown) {
            sync_directory(&directory)?;
        }
        Ok(())
    }

    /// After the database committed: what it now knows gets its place. A failure costs nothing; the next start does
    /// it.
    pub(super) fn settle(&mut self) {
        for file in std::mem::take(&mut self.attached) {
            let _ = self.move_in(&file);
        }
        for file in std::mem::take(&mut self.leaving) {
            let _ = fs::remove_file(self.waiting().join(file.to_string()));
        }
    }

    /// Puts a content where the next start removes it, unless the database still knows it then.
    fn move_out(&mut self, file: &ItemHash) -> io::Result<()> {
        let (from, waiting) = (self.place_of(file), self.waiting());
        if !from.exists() {
            return Ok(()); // nothing of it ever came
        }
        self.make(&waiting)?;
        fs::rename(&from, waiting.join(file.to_string()))?;
        self.grown.extend(from.parent().map(Path::to_owned));
        self.grown.insert(waiting);
        Ok(())
    }

    fn move_in(&mut self, file: &ItemHash) -> io::Result<()> {
        let (from, to) = (self.waiting().join(file.to_string()), self.place_of(file));
        let directory = to.parent().map(Path::to_owned).unwrap_or_default();
        self.make(&directory)?;
        fs::rename(from, &to)?;
        sync_directory(&directory)?;
        sync_directory(&self.root)
    }

    /// The database rolled back.
    pub(super) fn forget(&mut self) {
        self.dirty.clear();
        self.attached.clear();
        for file in std::mem::take(&mut self.leaving) {
            let _ = self.move_in(&file); // where it did not come to that, there is nothing to move
        }
    }
}

/// Content on its way in from this machine: sealed bytes in order, under a name that nobody knows yet.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: File,
    size: u64,
    unsynced: u64,
    /// The piece that is not full yet.
    open: Vec<u8>,
    pieces: Vec<[u8; 32]>,
}

impl Staged {
    /// Adds bytes at the end.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == PIECE {
                self.end_piece()?;
            }
        }
        Ok(())
    }

    fn end_piece(&mut self) -> Result<()> {
        if self.pieces.len() == MAX_PIECES {
            return Err(StoreError::Full(format!("a file has at most {MAX_PIECES} pieces")));
        }
        self.file.write_all(&self.open)?;
        self.unsynced += self.open.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        self.pieces.push(piece_hash(&self.open));
        self.open.clear();
        Ok(())
    }

    /// Ends it: the content is durable and lies ready under its address, and its manifest says what it is. Nobody
    /// knows it before [`Contents::know_file`].
    pub fn finish(mut self) -> Result<Manifest> {
        if !self.open.is_empty() {
            self.end_piece()?;
        }
        self.file.sync_all()?;
        let manifest = Manifest::new(self.size, std::mem::take(&mut self.pieces))
            .map_err(|e| StoreError::Failed(e.to_string()))?;
        let ready = self.path.with_file_name(manifest.address().to_string());
        fs::rename(&self.path, &ready)?;
        if let Some(directory) = ready.parent() {
            sync_directory(directory)?;
        }
        Ok(manifest)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Given up half-way: after `finish` there is no such file any more.
        let _ = fs::remove_file(&self.path);
    }
}

impl Sqlite {
    /// How many bytes of the disk contents leave free.
    pub fn set_reserve(&mut self, bytes: u64) {
        self.folder.reserve = bytes;
    }

    /// Begins to take in content from this machine. `name` is drawn for it.
    pub fn stage(&mut self, name: u64) -> Result<Staged> {
        let waiting = self.folder.waiting();
        self.folder.make(&waiting)?;
        let path = waiting.join(format!("{name:016x}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Staged { path, file, size: 0, unsynced: 0, open: Vec::new(), pieces: Vec::new() })
    }

    /// Clears up what an earlier life left half-way: content that the database knows gets its place, content that
    /// it does not know is removed. Returns how many contents were removed. Called once at start.
    pub fn collect(&mut self) -> Result<u64> {
        let entries = match fs::read_dir(self.folder.waiting()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let known = match entry.file_name().to_str().and_then(|n| n.parse::<ItemHash>().ok()) {
                Some(file) if self.file(&file)?.is_some() => Some(file),
                _ => None,
            };
            match known {
                Some(file) => self.folder.move_in(&file)?,
                None => {
                    fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn set_pieces(&mut self, file: &ItemHash, pieces: &Pieces) -> Result<()> {
        let mut update =
            self.connection.prepare_cached("UPDATE file SET pieces = ?2, held = ?3 WHERE hash = ?1")?;
        update.execute(params![file.as_bytes(), pieces.bits(), pieces.held()])?;
        Ok(())
    }

    /// What lies ready of a file that becomes known: put there by this machine, or left by a database that was put
    /// back from a backup.
    fn lies_ready(&mut self, file: &ItemHash, manifest: &Manifest) -> Result<Pieces> {
        let mut pieces = Pieces::none(manifest.count());
        let Some(mut open) = self.folder.open(file)? else { return Ok(pieces) };
        if self.folder.waiting().join(file.to_string()).exists() {
            self.folder.attached.insert(*file);
        }
        let mut bytes = vec![0; PIECE];
        for place in 0..manifest.count() {
            let piece = &mut bytes[..piece_length(manifest.size(), place)];
            if open.read_exact(piece).is_err() {
                break; // it ends here
            }
            if manifest.is_piece(place, piece) {
                pieces.add(place);
            }
        }
        Ok(pieces)
    }
}

impl Contents for Sqlite {
    fn know_file(&mut self, doc: &DocId, manifest: &Manifest) -> Result<()> {
        let file = manifest.address();
        if self.file(&file)?.is_some() {
            return Ok(());
        }
        self.folder.leaving.remove(&file);
        let pieces = self.lies_ready(&file, manifest)?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO file(hash, doc, size, count, held, pieces) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        insert.execute(params![
            file.as_bytes(),
            doc.as_bytes(),
            manifest.size() as i64,
            manifest.count(),
            pieces.held(),
            pieces.bits()
        ])?;
        Ok(())
    }

    fn file(&mut self, file: &ItemHash) -> Result<Option<Held>> {
        let mut query =
            self.connection.prepare_cached("SELECT doc, size, count, pieces FROM file WHERE hash = ?1")?;
        let row = query
            .query_row([file.as_bytes()], |r| {
                Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, i64>(1)?, r.get::<_, u32>(2)?, r.get(3)?))
            })
            .optional()?;
        let Some((doc, size, count, bits)) = row else { return Ok(None) };
        Ok(Some(Held {
            doc: read_id(doc, DocId::from_bytes)?,
            size: size as u64,
            pieces: Pieces::from_bits(count, bits).ok_or_else(|| damaged("a file's pieces"))?,
        }))
    }

    fn files_of(&mut self, doc: &DocId) -> Result<u64> {
        let mut query = self.connection.prepare_cached("SELECT count(*) FROM file WHERE doc = ?1")?;
        Ok(query.query_row([doc.as_bytes()], |r| r.get::<_, i64>(0))? as u64)
    }

    fn incomplete(&mut self, before: Option<Position>, limit: usize) -> Result<Vec<(Position, ItemHash)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, hash FROM file WHERE held < count AND id < ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let before = before.map_or(i64::MAX, |p| p.0 as i64);
        let rows = query.query_map(params![before, limit as i64], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?))
        })?;
        rows.map(|row| {
            let (at, hash) = row?;
            Ok((Position(at as u64), read_id(hash, ItemHash::from_bytes)?))
        })
        .collect()
    }

    fn put_piece(&mut self, file: &ItemHash, place: u32, bytes: &[u8]) -> Result<()> {
        let Some(mut held) = self.file(file)? else { return Err(damaged("a file whose piece came")) };
        self.folder.write(file, place, bytes)?;
        held.pieces.add(place);
        self.set_pieces(file, &held.pieces)
    }

    fn piece(&mut self, file: &ItemHash, place: u32) -> Result<Option<Vec<u8>>> {
        let Some(held) = self.file(file)?.filter(|h| h.pieces.has(place)) else { return Ok(None) };
        let mut bytes = vec![0; piece_length(held.size, place)];
        let Some(open) = self.folder.open(file)? else { return Ok(Some(Vec::new())) };
        match open.read_exact_at(&mut bytes, u64::from(place) * PIECE as u64) {
            Ok(()) => Ok(Some(bytes)),
            // Cut short, or the medium does not give it back: the caller sees that it is not the piece.
            Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof) || e.raw_os_error() == Some(5) => {
                Ok(Some(Vec::new()))
            }
            Err(e) => Err(e.into()),
        }
    }

    fn lose_piece(&mut self, file: &ItemHash, place: u32) -> Result<()> {
        let Some(mut held) = self.file(file)? else { return Ok(()) };
        held.pieces.remove(place);
        self.set_pieces(file, &held.pieces)
    }

    fn forget_file(&mut self, file: &ItemHash) -> Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM file WHERE hash = ?1")?;
        delete.execute([file.as_bytes()])?;
        self.folder.dirty.remove(file);
        self.folder.attached.remove(file);
        self.folder.leaving.insert(*file);
        Ok(())
    }

    fn room(&mut self) -> Result<u64> {
        let there = self.folder.root.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
        let disk = rustix::fs::statvfs(there).map_err(io::Error::from)?;
        Ok((disk.f_bavail * disk.f_frsize).saturating_sub(self.folder.reserve))
    }

    fn file_totals(&mut self) -> Result<FileTotals> {
        let files = self.connection.query_row("SELECT count(*) FROM file", [], |r| r.get::<_, i64>(0))?;
        let (missing, bytes) = self.connection.query_row(
            "SELECT count(*), coalesce(sum(max(size - held * ?1, 0)), 0) FROM file WHERE held < count",
            [PIECE as i64],
            |r| Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?)),
        )?;
        Ok(FileTotals { files: files as u64, missing: missing as u64, missing_bytes: bytes as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Durable;

    fn doc() -> DocId {
        DocId::from_bytes([1; 32])
    }

    fn open(dir: &Path) -> Sqlite {
        Sqlite::open(&dir.join("node.db")).unwrap()
    }

    fn content(n: usize) -> Vec<u8> {
        (0..n).map(|i| (i / 7) as u8).collect()
    }

    fn stage(store: &mut Sqlite, bytes: &[u8]) -> Manifest {
        let mut staged = store.stage(7).unwrap();
        bytes.chunks(50_000).for_each(|part| staged.push(part).unwrap());
        staged.finish().unwrap()
    }

    fn left(dir: &Path) -> usize {
        fs::read_dir(dir.join("files/new")).map_or(0, Iterator::count)
    }

    #[test]
    fn a_crash_between_content_and_commit_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let bytes = content(PIECE + 9);
        let manifest = stage(&mut store, &bytes);
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        assert!(store.file(&manifest.address()).unwrap().unwrap().pieces.is_whole());
        drop(store); // before the commit

        let mut store = open(dir.path());
        assert_eq!(left(dir.path()), 1);
        assert_eq!(store.collect().unwrap(), 1);
        assert_eq!(left(dir.path()), 0);
        assert_eq!(store.file(&manifest.address()).unwrap(), None);
    }

    #[test]
    fn a_crash_after_the_commit_and_before_the_move_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let bytes = content(2 * PIECE);
        let manifest = stage(&mut store, &bytes);
        let address = manifest.address();
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        store.folder.sync().unwrap();
        store.connection.execute_batch("COMMIT").unwrap(); // and there the power goes
        drop(store);

        let mut store = open(dir.path());
        assert_eq!(store.piece(&address, 1).unwrap().unwrap(), bytes[PIECE..], "readable where it waits");
        assert_eq!(store.collect().unwrap(), 0);
        assert_eq!(left(dir.path()), 0);
        assert_eq!(store.piece(&address, 0).unwrap().unwrap(), bytes[..PIECE]);
    }

    #[test]
    fn what_is_given_up_half_way_is_gone_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let mut staged = store.stage(1).unwrap();
        staged.push(&content(3 * PIECE)).unwrap();
        assert_eq!(left(dir.path()), 1);
        drop(staged);
        assert_eq!(left(dir.path()), 0);
    }

    #[test]
    fn a_database_from_a_backup_takes_back_what_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = content(3 * PIECE + 1);
        let mut store = open(dir.path());
        let manifest = stage(&mut store, &bytes);
        let address = manifest.address();
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        store.commit().unwrap();
        let path = store.folder.place_of(&address);
        drop(store);
        for file in ["node.db", "node.db-wal"] {
            let _ = fs::remove_file(dir.path().join(file)); // the backup is from before the file
        }
        let damaged = OpenOptions::new().write(true).open(path).unwrap();
        damaged.write_all_at(b"!", PIECE as u64 + 5).unwrap();

        let mut store = open(dir.path());
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        store.commit().unwrap();
        let held = store.file(&address).unwrap().unwrap();
        assert_eq!(held.pieces.missing().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_piece_counts_only_once_it_is_committed() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = content(2 * PIECE);
        let pieces = bytes.chunks(PIECE).map(piece_hash).collect();
        let manifest = Manifest::new(bytes.len() as u64, pieces).unwrap();
        let address = manifest.address();
        let mut store = open(dir.path());
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        store.put_piece(&address, 0, &bytes[..PIECE]).unwrap();
        store.commit().unwrap();
        store.begin().unwrap();
        store.put_piece(&address, 1, &bytes[PIECE..]).unwrap();
        drop(store); // killed
        let mut store = open(dir.path());
        let held = store.file(&address).unwrap().unwrap();
        assert_eq!(held.pieces.missing().collect::<Vec<_>>(), [1], "resumed where it was durable");
    }

    /// A store that knows a file of three pieces and holds them all.
    fn holding(dir: &Path) -> (Sqlite, ItemHash) {
        let mut store = open(dir);
        let manifest = stage(&mut store, &content(3 * PIECE));
        store.begin().unwrap();
        store.know_file(&doc(), &manifest).unwrap();
        store.commit().unwrap();
        (store, manifest.address())
    }

    /// How many contents lie anywhere below.
    fn contents(dir: &Path) -> usize {
        let below = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
            true => contents(&entry.path()),
            false => 1,
        };
        fs::read_dir(dir).map_or(0, |entries| entries.map(|e| below(e.unwrap())).sum())
    }

    #[test]
    fn what_is_forgotten_is_gone_with_the_commit_and_comes_back_with_a_rollback() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, file) = holding(dir.path());
        let files = dir.path().join("files");
        for synced in [false, true] {
            store.begin().unwrap();
            store.forget_file(&file).unwrap();
            assert_eq!(store.file(&file).unwrap(), None);
            if synced {
                store.folder.sync().unwrap(); // and the commit fails
            }
            store.rollback().unwrap();
            assert!(store.file(&file).unwrap().unwrap().pieces.is_whole());
            assert_eq!(store.piece(&file, 2).unwrap().unwrap(), content(3 * PIECE)[2 * PIECE..]);
            assert_eq!((contents(&files), left(dir.path())), (1, 0));
        }
        store.begin().unwrap();
        store.forget_file(&file).unwrap();
        store.commit().unwrap();
        assert_eq!((store.piece(&file, 0).unwrap(), contents(&files)), (None, 0));
    }

    #[test]
    fn a_crash_while_a_file_is_forgotten_leaves_all_of_it_or_nothing() {
        for committed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let (mut store, file) = holding(dir.path());
            store.begin().unwrap();
            store.forget_file(&file).unwrap();
            store.folder.sync().unwrap();
            if committed {
                store.connection.execute_batch("COMMIT").unwrap();
            }
            drop(store); // and there the power goes
            let mut store = open(dir.path());
            assert_eq!(store.collect().unwrap(), u64::from(committed));
            assert_eq!(contents(&dir.path().join("files")), usize::from(!committed));
            assert_eq!(store.piece(&file, 1).unwrap().is_some(), !committed);
        }
    }

    #[test]
    fn the_reserve_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        assert!(store.room().unwrap() > 0);
        store.set_reserve(u64::MAX);
        assert_eq!(store.room().unwrap(), 0);
    }
}
