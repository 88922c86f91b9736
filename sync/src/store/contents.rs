//! Where the contents of files lie: pieces by file and place, inside the same transactions as everything else.
//!
//! What [`Contents::put_piece`] was given is durable when the store's commit returns, and only then is it said to be
//! here. A piece that was written and not committed is asked for again.

use super::{Position, Result};
use crate::file::{Manifest, Pieces};
use crate::id::{DocId, ItemHash};

/// What is here of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The document it belongs to.
    pub doc: DocId,
    /// The size of its content in bytes.
    pub size: u64,
    /// The pieces that are here.
    pub pieces: Pieces,
}

/// Counts of files, for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTotals {
    /// Files whose manifests are here.
    pub files: u64,
    /// Those of which pieces are missing here.
    pub missing: u64,
    /// How many bytes that is.
    pub missing_bytes: u64,
}

/// Reading and writing contents inside the caller's transaction.
pub trait Contents {
    /// Begins to know a file: its content belongs here from now on. What lies ready of it, and is what the manifest
    /// says, is taken; a file that is known already stays as it is.
    fn know_file(&mut self, doc: &DocId, manifest: &Manifest) -> Result<()>;
    /// What is here of a file; `None` when it is not known.
    fn file(&mut self, file: &ItemHash) -> Result<Option<Held>>;
    /// How many files of a document are known.
    fn files_of(&mut self, doc: &DocId) -> Result<u64>;
    /// Files that were known before `before` and lack pieces, the newest first, at most `limit`.
    fn incomplete(&mut self, before: Option<Position>, limit: usize) -> Result<Vec<(Position, ItemHash)>>;
    /// Keeps a piece. The caller has checked that it is the manifest's.
    fn put_piece(&mut self, file: &ItemHash, place: u32, bytes: &[u8]) -> Result<()>;
    /// A piece as it lies there, unchecked; `None` when it is not here.
    fn piece(&mut self, file: &ItemHash, place: u32) -> Result<Option<Vec<u8>>>;
    /// A piece is not what was stored: it counts as missing.
    fn lose_piece(&mut self, file: &ItemHash, place: u32) -> Result<()>;
    /// Forgets a file and removes its content: it is gone from the medium when the commit has returned. What was never
    /// known is not missed.
    fn forget_file(&mut self, file: &ItemHash) -> Result<()>;
    /// How many bytes of contents may still be written before the disk's reserve is touched.
    fn room(&mut self) -> Result<u64>;
    /// Counts for the operator.
    fn file_totals(&mut self) -> Result<FileTotals>;
}
