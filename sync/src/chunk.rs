//! One automerge change as bytes, read without automerge: the first half of the gate.
//!
//! automerge 0.12 panics on hostile chunks and has no limits (143 bytes can cost 20 seconds), so bytes from outside
//! come here first. What passes is framed as automerge frames it, is at most 256 KiB, holds at most 20,000
//! operations, points only at actors and operations that can exist, and is written in the one way in which automerge
//! itself would write it. Every check is linear in the bytes and never in a number that the bytes claim.
//!
//! Left to others: whether the values make sense (automerge decodes them, contained), who signed, what the change
//! may do.
//!
//! ```text
//! chunk    85 6f 4a 83 | checksum 4 | kind 1 | length | body          checksum = the first 4 bytes of the hash
//! hash     SHA-256(kind | length | body)                              the change's name in automerge and here
//! body     n, n x hash 32        dependencies, ascending
//!          length, actor         the writer
//!          sequence number       of this actor, from 1
//!          start operation       counter of the first operation, from 1
//!          time                  signed; a claim
//!          length, message
//!          n, n x (length, actor)  other actors, ascending; columns name actors by place, the writer is 0
//!          n, n x (spec, length)   which columns follow, ascending
//!          column data           see `columns`
//!          footer                nothing, or 1, length, author
//! ```
//! Numbers are LEB128, in their shortest form.

mod columns;
mod pack;
mod read;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::id::ItemHash;

pub use columns::{MAX_EXPANDED, MAX_OPERATIONS};
pub(crate) use pack::values;
pub use pack::{RECENT, UnpackError, pack, pack_as_it_is, unpack};
pub(crate) use read::{Reader, write_uleb};

/// The longest chunk that is read, in bytes.
pub const MAX_CHUNK: usize = 256 << 10;

/// The longest actor id that is read, in bytes. Ours have 16.
pub const MAX_ACTOR: usize = 64;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE: u8 = 1;
const AUTHOR: u64 = 1;

/// A change chunk that may be handed to automerge: framed, checked and bounded. It borrows the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeChunk<'a> {
    body: &'a [u8],
    hash: ItemHash,
    deps: Vec<ItemHash>,
    after_deps: usize,
    actor: &'a [u8],
    seq: u64,
    start_op: u64,
    time: i64,
    message: &'a str,
    other_actors: Vec<&'a [u8]>,
    operations: u32,
    author: Option<&'a [u8]>,
}

impl<'a> ChangeChunk<'a> {
    /// Reads exactly one change chunk; anything else, anything longer than [`MAX_CHUNK`] or with more than
    /// [`MAX_OPERATIONS`] operations, and anything that automerge would have written otherwise is refused.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        if bytes.len() > MAX_CHUNK {
            return Err(ChunkError::TooLong { bytes: bytes.len() });
        }
        let mut r = Reader::new(bytes, "frame");
        if r.array::<4>()? != MAGIC {
            return Err(ChunkError::NotAChunk);
        }
        let checksum = r.array::<4>()?;
        let kind = r.byte()?;
        if kind != CHANGE {
            return Err(ChunkError::NotAChange(ChunkKind::from_byte(kind)));
        }
        let declared = r.uleb()?;
        let body = r.rest();
        if declared != body.len() as u64 {
            return Err(ChunkError::Length { declared, present: body.len() });
        }
        let hash = hash(body);
        if hash[..4] != checksum {
            return Err(ChunkError::Checksum);
        }
        Self::parse_body(body, ItemHash::from_bytes(hash))
    }

    fn parse_body(body: &'a [u8], hash: ItemHash) -> Result<Self, ChunkError> {
        let mut r = Reader::new(body, "dependencies");
        let deps = r.counted(32, |r| Ok(ItemHash::from_bytes(r.array::<32>()?)))?;
        ascending(&deps, "dependencies")?;
        let after_deps = body.len() - r.rest().len();

        r.part("actor");
        let actor = read_actor(&mut r)?;
        let seq = r.part("sequence number").uleb()?;
        let start_op = r.part("start operation").uleb()?;
        if seq == 0 || start_op == 0 {
            return Err(ChunkError::Impossible(if seq == 0 { "sequence number" } else { "start operation" }));
        }
        let time = r.part("time").sleb()?;
        let message = r.part("message").prefixed()?;
        let message = std::str::from_utf8(message).map_err(|_| ChunkError::Impossible("message"))?;
        let other_actors = r.part("other actors").counted(1, read_actor)?;
        ascending(&other_actors, "other actors")?;
        if other_actors.contains(&actor) {
            return Err(ChunkError::NotAscending("other actors"));
        }

        let actors = 1 + other_actors.len() as u64;
        let operations = columns::check(&mut r, actors, start_op)?;
        let author = read_footer(r.rest())?;
        if author.is_some() && seq != 1 {
            return Err(ChunkError::Footer); // automerge panics on it
        }
        Ok(Self {
            body,
            hash,
            deps,
            after_deps,
            actor,
            seq,
            start_op,
            time,
            message,
            other_actors,
            operations,
            author,
        })
    }

    /// The change's own hash, as automerge defines it.
    pub fn hash(&self) -> ItemHash {
        self.hash
    }

    /// The changes it was made on, ascending; none for the first change of a document.
    pub fn deps(&self) -> &[ItemHash] {
        &self.deps
    }

    /// The writer's actor id, 1 to [`MAX_ACTOR`] bytes. A claim until a seal vouches for it.
    pub fn actor(&self) -> &'a [u8] {
        self.actor
    }

    /// The place of this change among its actor's, from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The counter of its first operation, from 1.
    pub fn start_op(&self) -> u64 {
        self.start_op
    }

    /// The counter of its last operation; `start_op - 1` when it has none. It fits 32 bits.
    pub fn last_op(&self) -> u64 {
        self.start_op + u64::from(self.operations) - 1
    }

    /// The time that the writer claims, in the unit that the writer chose (automerge says seconds since 1970).
    pub fn time(&self) -> i64 {
        self.time
    }

    /// The commit message, often empty.
    pub fn message(&self) -> &'a str {
        self.message
    }

    /// The other actors whose operations this change names, ascending, without the writer.
    pub fn other_actors(&self) -> &[&'a [u8]] {
        &self.other_actors
    }

    /// How many operations automerge will decode: at most [`MAX_OPERATIONS`].
    pub fn operations(&self) -> u32 {
        self.operations
    }

    /// The author field; it stands in an actor's first change (number 1) or nowhere. A claim.
    pub fn author(&self) -> Option<&'a [u8]> {
        self.author
    }
}

/// SHA-256 over kind, length and body.
fn hash(body: &[u8]) -> [u8; 32] {
    let mut head = vec![CHANGE];
    read::write_uleb(&mut head, body.len() as u64);
    Sha256::new().chain_update(&head).chain_update(body).finalize().into()
}

/// The whole chunk around a body.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 16);
    out.extend(MAGIC);
    out.extend(&hash(body)[..4]);
    out.push(CHANGE);
    read::write_uleb(&mut out, body.len() as u64);
    out.extend(body);
    out
}

fn read_actor<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], ChunkError> {
    let actor = r.prefixed()?;
    if actor.is_empty() || actor.len() > MAX_ACTOR {
        return Err(ChunkError::Actor { bytes: actor.len() });
    }
    Ok(actor)
}

fn read_footer(bytes: &[u8]) -> Result<Option<&[u8]>, ChunkError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut r = Reader::new(bytes, "footer");
    let kind = r.uleb()?;
    let author = r.prefixed()?;
    if kind != AUTHOR || !r.is_empty() {
        return Err(ChunkError::Footer);
    }
    Ok(Some(author))
}

fn ascending<T: Ord>(list: &[T], part: &'static str) -> Result<(), ChunkError> {
    if list.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(ChunkError::NotAscending(part)) }
}

/// What a chunk is that is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// A whole document (kind 0).
    Document,
    /// A change that automerge would inflate without a limit (kind 2).
    Compressed,
    /// Several changes in one (kind 3).
    Bundle,
    /// A kind that automerge 0.12 does not know.
    Unknown(u8),
}

impl ChunkKind {
    fn from_byte(kind: u8) -> Self {
        match kind {
            0 => Self::Document,
            2 => Self::Compressed,
            3 => Self::Bundle,
            other => Self::Unknown(other),
        }
    }
}

/// Why bytes are not a change that may be handed to automerge. All but `TooManyOperations` and `TooLarge` mean that
/// no honest writer made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// Longer than [`MAX_CHUNK`].
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It does not begin with automerge's four bytes.
    NotAChunk,
    /// A chunk of another kind.
    NotAChange(ChunkKind),
    /// The length in the frame is not the length of what follows.
    Length {
        /// What the frame says.
        declared: u64,
        /// What is there.
        present: usize,
    },
    /// The bytes are not those that the checksum was made of.
    Checksum,
    /// The bytes end within this part.
    Cut(&'static str),
    /// A number in this part is longer than it need be or than 64 bits.
    Number(&'static str),
    /// A list that has one order is in another, or names one thing twice.
    NotAscending(&'static str),
    /// A value in this part that cannot be.
    Impossible(&'static str),
    /// An actor id that is empty or longer than [`MAX_ACTOR`].
    Actor {
        /// How long it is.
        bytes: usize,
    },
    /// A column that automerge 0.12 does not write in a change, or an empty one.
    UnknownColumn {
        /// Its specification.
        spec: u64,
    },
    /// A column that automerge would inflate without a limit.
    Deflated {
        /// Its specification.
        spec: u64,
    },
    /// A column is run-length encoded in a way that automerge does not write.
    Encoding(&'static str),
    /// More than [`MAX_OPERATIONS`] rows in this column.
    TooManyOperations(&'static str),
    /// Keys and names take more than [`MAX_EXPANDED`] bytes once their runs are expanded.
    TooLarge,
    /// A column has another number of rows than its change has operations (or its list predecessors).
    Rows {
        /// The column.
        column: &'static str,
        /// How many rows the others call for.
        expected: u64,
        /// How many it has.
        found: u64,
    },
    /// An actor or an operation is named that cannot exist yet.
    Dangling(&'static str),
    /// Something behind the columns that is no author field, or one that is not in its actor's first change.
    Footer,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "the change has {bytes} bytes, {MAX_CHUNK} are allowed: write it in smaller commits"
                )
            }
            Self::NotAChunk => f.write_str("these bytes are no automerge chunk: the sender is broken"),
            Self::NotAChange(ChunkKind::Unknown(kind)) => {
                write!(f, "chunk kind {kind} is unknown: only single changes are taken")
            }
            Self::NotAChange(kind) => {
                let name = match kind {
                    ChunkKind::Document => "document",
                    ChunkKind::Compressed => "compressed",
                    _ => "bundle",
                };
                write!(f, "this is a {name} chunk: only single uncompressed changes are taken")
            }
            Self::Length { declared, present } => {
                write!(f, "the frame says {declared} bytes and {present} follow: ask for the change again")
            }
            Self::Checksum => f.write_str("the change does not match its checksum: ask for it again"),
            Self::Cut(part) => write!(f, "the change ends within its {part}: its writer is broken"),
            Self::Number(part) => {
                write!(f, "a number in the {part} is malformed: the change's writer is broken")
            }
            Self::NotAscending(part) => {
                write!(f, "the {part} are out of order: the change's writer is broken")
            }
            Self::Impossible(part) => write!(f, "the {part} cannot be: the change's writer is broken"),
            Self::Actor { bytes } => write!(f, "an actor id has {bytes} bytes, 1 to {MAX_ACTOR} are allowed"),
            Self::UnknownColumn { spec } => {
                write!(
                    f,
                    "column {spec} is unknown: the change's writer may be newer than this node, update it"
                )
            }
            Self::Deflated { spec } => {
                write!(f, "column {spec} is compressed: write the change uncompressed")
            }
            Self::Encoding(column) => {
                write!(
                    f,
                    "column {column} is not encoded as automerge does it: the change's writer is broken"
                )
            }
            Self::TooManyOperations(column) => {
                write!(f, "column {column} has more than {MAX_OPERATIONS} rows: write it in smaller commits")
            }
            Self::TooLarge => {
                write!(f, "keys and names expand past {MAX_EXPANDED} bytes: write it in smaller commits")
            }
            Self::Rows { column, expected, found } => {
                write!(
                    f,
                    "column {column} has {found} rows instead of {expected}: the change's writer is broken"
                )
            }
            Self::Dangling(column) => {
                write!(f, "column {column} names what cannot exist: the change's writer is broken")
            }
            Self::Footer => {
                f.write_str("something unknown follows the columns: the writer may be newer, update")
            }
        }
    }
}

impl std::error::Error for ChunkError {}

#[cfg(test)]
mod tests;
