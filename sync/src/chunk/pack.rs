//! A change as it travels: without what the receiver can rebuild.
//!
//! Magic, checksum and length follow from the body. A dependency is a hash of 32 bytes that do not compress and that
//! the receiver mostly holds, so it is sent as its first eight bytes, or, when it is one of the changes just sent in
//! the same batch, as how many changes ago that was.
//!
//! ```text
//! packed   n, n x dependency, rest of the body after the dependencies, as it is
//! dependency   0, hash 32       whole: the receiver did not find the prefix, or found two
//!              1, prefix 8      the receiver holds it
//!              2 + k            the k-th last change of this batch, 0 being the one before this
//!
//! packed   2^32 - 1, kind, length, body      a change that the gate refuses, passed on as it came
//! ```
//! What comes out is what went in or has another hash; a seal or the digest tells. Magic and checksum never
//! travel, so one hash never stands for two strings of bytes.

use std::fmt;

use sha2::{Digest, Sha256};

use super::read::{Reader, write_uleb};
use super::{ChangeChunk, ChunkError, MAGIC, MAX_CHUNK, columns, frame};
use crate::id::ItemHash;

/// How many changes of a batch a dependency can reach back.
pub const RECENT: usize = 254;

const WHOLE: u8 = 0;
const PREFIX: u8 = 1;
const BACK: u8 = 2;

/// In the place of the number of dependencies: no change has so many.
const AS_IT_IS: u64 = u32::MAX as u64;

/// Packs a change. `recent` holds the hashes of the changes packed before it in the same batch, in order (only the
/// last [`RECENT`] count); `whole` says of which other dependencies all 32 bytes are sent.
pub fn pack(
    chunk: &ChangeChunk<'_>,
    recent: &[ItemHash],
    mut whole: impl FnMut(&ItemHash) -> bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(chunk.body.len());
    write_uleb(&mut out, chunk.deps.len() as u64);
    for dep in &chunk.deps {
        if let Some(k) = recent.iter().rev().take(RECENT).position(|h| h == dep) {
            out.push(BACK + u8::try_from(k).expect("less than RECENT"));
        } else if whole(dep) {
            out.push(WHOLE);
            out.extend(dep.as_bytes());
        } else {
            out.push(PREFIX);
            out.extend(&dep.as_bytes()[..8]);
        }
    }
    out.extend(&chunk.body[chunk.after_deps..]);
    out
}

/// Packs a change that cannot be read as one: it was refused, and its bytes are passed on for others to refuse.
pub fn pack_as_it_is(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    write_uleb(&mut out, AS_IT_IS);
    out.extend(bytes.get(8..).unwrap_or_default());
    out
}

/// Rebuilds the chunk that was packed. `recent` holds the hashes of the changes unpacked before it in the same batch,
/// `None` where one could not be rebuilt; `resolve` finds the only hash known with this prefix (`None` when there are
/// two: the sender then sends it whole).
/// The chunk is framed and not yet checked: [`ChangeChunk::parse`] does that.
pub fn unpack(
    packed: &[u8],
    recent: &[Option<ItemHash>],
    mut resolve: impl FnMut(&[u8; 8]) -> Option<ItemHash>,
) -> Result<Vec<u8>, UnpackError> {
    let mut r = Reader::new(packed, "dependencies");
    let n = r.uleb()?;
    if n == AS_IT_IS {
        let rest = r.rest();
        if rest.len() > MAX_CHUNK - 8 {
            return Err(UnpackError::TooLong);
        }
        let hash = Sha256::digest(rest);
        return Ok([&MAGIC[..], &hash[..4], rest].concat());
    }
    let most = MAX_CHUNK.min(32 * packed.len()) as u64 / 32;
    if n > most || packed.len() > MAX_CHUNK {
        return Err(UnpackError::TooLong);
    }
    let mut body = Vec::new();
    write_uleb(&mut body, n);
    for _ in 0..n {
        let dep = match r.byte()? {
            WHOLE => ItemHash::from_bytes(r.array()?),
            PREFIX => {
                let prefix = r.array()?;
                resolve(&prefix).ok_or(UnpackError::Missing(prefix))?
            }
            k => {
                let k = usize::from(k - BACK);
                let at = recent.len().checked_sub(k + 1).ok_or(UnpackError::NoSuchRecent { back: k })?;
                recent[at].ok_or(UnpackError::MissingRecent { back: k })?
            }
        };
        body.extend(dep.as_bytes());
    }
    body.extend(r.rest());
    let chunk = frame(&body);
    if chunk.len() > MAX_CHUNK { Err(UnpackError::TooLong) } else { Ok(chunk) }
}

/// Where the values of a packed change lie in it that are not nothing: place and length, ascending. An error for what
/// is not the packed form of a change that passes [`ChangeChunk::parse`].
pub(crate) fn values(packed: &[u8]) -> Result<Vec<(usize, usize)>, ChunkError> {
    let mut r = Reader::new(packed, "packed change");
    let deps = r.uleb()?;
    if deps == AS_IT_IS {
        return Ok(Vec::new());
    }
    for _ in 0..deps {
        let skip = match r.byte()? {
            WHOLE => 32,
            PREFIX => 8,
            _ => 0,
        };
        r.take(skip)?;
    }
    r.prefixed()?; // actor
    for _ in 0..2 {
        r.uleb()?; // sequence number, start operation
    }
    r.sleb()?; // time
    r.prefixed()?; // message
    r.counted(1, Reader::prefixed)?; // other actors
    columns::values(&mut r, packed.len())
}

/// Why a packed change could not be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// No single change with this prefix is known here. The change waits; whole it may be sent again.
    Missing([u8; 8]),
    /// The change of the same batch that it rests on could not be rebuilt. Like [`UnpackError::Missing`], it waits.
    MissingRecent {
        /// How many changes back, 0 being the one before.
        back: usize,
    },
    /// It points back before the beginning of its batch.
    NoSuchRecent {
        /// How many changes back, 0 being the one before.
        back: usize,
    },
    /// Rebuilt it would be longer than [`MAX_CHUNK`].
    TooLong,
    /// The list of dependencies cannot be read.
    Malformed(ChunkError),
}

impl From<ChunkError> for UnpackError {
    fn from(e: ChunkError) -> Self {
        Self::Malformed(e)
    }
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(prefix) => {
                f.write_str("a dependency is not here (")?;
                prefix.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str("..): the change waits for it")
            }
            Self::MissingRecent { back } => {
                write!(f, "the change {back} changes back is not whole here: the change waits for it")
            }
            Self::NoSuchRecent { back } => {
                write!(
                    f,
                    "the change points {back} changes back, past the start of its batch: the sender is broken"
                )
            }
            Self::TooLong => {
                write!(f, "rebuilt, the change is longer than {MAX_CHUNK} bytes: write it in smaller commits")
            }
            Self::Malformed(e) => write!(f, "the packed change cannot be read: {e}"),
        }
    }
}

impl std::error::Error for UnpackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(e) => Some(e),
            _ => None,
        }
    }
}
