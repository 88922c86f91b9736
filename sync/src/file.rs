//! Files: content that travels behind its manifest.
//!
//! A file is an item like any other: its *manifest*, of kind [`Kind::FILE`](crate::item::Kind::FILE), stands under
//! its document and a seal, in digest, outbox and repair. So a digest proves that both ends know the file. Its
//! content is cut into *pieces*, which are no items: whoever holds the manifest asks any holder for those that it
//! lacks, and checks each by itself.
//!
//! ```text
//! manifest   1 | size, 8 bytes | hash of piece 0 | hash of piece 1 | ...   at most 256 KiB, like every item
//!                                       |                 |
//! content                      [---- 64 KiB ----][---- 64 KiB ----][-- rest --]
//! ```
//!
//! The manifest's hash is the content's address. A manifest is judged by a rule that reads only itself: as many
//! hashes as the size asks for. One of a newer form is kept and passed on, and its content is not asked for.
//!
//! `sync` moves bytes and does not know what is in them: whoever attaches a file has sealed it before.

use std::fmt;

use crate::id::ItemHash;
use crate::item::{Kind, MAX_ITEM};

/// The length of every piece but the last, in bytes.
pub const PIECE: usize = 64 * 1024;

/// Most pieces of one file: as many as a manifest has room for.
pub const MAX_PIECES: usize = (MAX_ITEM - HEAD) / 32;

/// The largest content in bytes: one piece less than 512 MiB.
pub const MAX_CONTENT: u64 = MAX_PIECES as u64 * PIECE as u64;

/// Most files of one document whose content is fetched; further manifests are kept and their content is not.
pub const MAX_FILES: usize = 256;

const FORM: u8 = 1;
const HEAD: usize = 9;

/// The hash of one piece.
pub fn piece_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key("hotline 2026 piece").update(bytes).finalize().as_bytes()
}

/// What a file's content is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    size: u64,
    pieces: Vec<[u8; 32]>,
}

/// Why bytes are no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// Shorter than its head, or not a whole number of hashes.
    Torn,
    /// A size that no file has.
    Size(u64),
    /// Not as many pieces as the size asks for.
    Pieces {
        /// How many hashes there are.
        found: usize,
        /// How many the size asks for.
        wanted: u64,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::Torn => f.write_str("a file's manifest that is torn"),
            ManifestError::Size(size) => {
                write!(f, "a file's manifest that speaks of {size} bytes; 1 to {MAX_CONTENT} are allowed")
            }
            ManifestError::Pieces { found, wanted } => {
                write!(f, "a file's manifest of {found} pieces whose size asks for {wanted}")
            }
        }
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Of content with these pieces, all but the last of [`PIECE`] bytes, `size` bytes together.
    pub fn new(size: u64, pieces: Vec<[u8; 32]>) -> Result<Manifest, ManifestError> {
        if size == 0 || size > MAX_CONTENT {
            return Err(ManifestError::Size(size));
        }
        let wanted = size.div_ceil(PIECE as u64);
        if pieces.len() as u64 != wanted {
            return Err(ManifestError::Pieces { found: pieces.len(), wanted });
        }
        Ok(Manifest { size, pieces })
    }

    /// Reads a manifest; `None` when it is of a form that this version does not know.
    pub fn read(bytes: &[u8]) -> Result<Option<Manifest>, ManifestError> {
        match bytes.split_first() {
            None => return Err(ManifestError::Torn),
            Some((&FORM, _)) => {}
            Some(_) => return Ok(None),
        }
        let (head, hashes) = bytes.split_at_checked(HEAD).ok_or(ManifestError::Torn)?;
        let (hashes, rest) = hashes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(ManifestError::Torn);
        }
        let size = head[1..].try_into().map(u64::from_be_bytes).map_err(|_| ManifestError::Torn)?;
        Manifest::new(size, hashes.to_vec()).map(Some)
    }

    /// Its bytes: those of the item.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 32 * self.pieces.len());
        bytes.push(FORM);
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.pieces.as_flattened());
        bytes
    }

    /// The content's address: the hash of the item.
    pub fn address(&self) -> ItemHash {
        Kind::FILE.hash(&self.to_bytes())
    }

    /// The content's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many pieces it has.
    pub fn count(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// Whether these bytes are that piece.
    pub fn is_piece(&self, place: u32, bytes: &[u8]) -> bool {
        bytes.len() == piece_length(self.size, place)
            && self.pieces.get(place as usize).is_some_and(|hash| *hash == piece_hash(bytes))
    }
}

/// The length of one piece of content of this size; 0 past its end.
pub fn piece_length(size: u64, place: u32) -> usize {
    let before = u64::from(place) * PIECE as u64;
    size.saturating_sub(before).min(PIECE as u64) as usize
}

/// Some of a file's pieces: a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    bits: Vec<u8>,
    count: u32,
    held: u32,
}

impl Pieces {
    /// None of `count`.
    pub fn none(count: u32) -> Pieces {
        Pieces { bits: vec![0; count.div_ceil(8) as usize], count, held: 0 }
    }

    /// Reads what [`Pieces::bits`] gave; `None` when it is not of `count` pieces.
    pub fn from_bits(count: u32, bits: Vec<u8>) -> Option<Pieces> {
        let held = bits.iter().map(|b| b.count_ones()).sum();
        let beyond = (count..bits.len() as u32 * 8).any(|at| bits[at as usize / 8] & (1 << (at % 8)) != 0);
        (bits.len() == count.div_ceil(8) as usize && !beyond).then_some(Pieces { bits, count, held })
    }

    /// A bit each, the first in the lowest bit of the first byte.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Whether this one is among them.
    pub fn has(&self, place: u32) -> bool {
        place < self.count && self.bits[place as usize / 8] & (1 << (place % 8)) != 0
    }

    /// Adds one; a place past the end is left alone.
    pub fn add(&mut self, place: u32) {
        if place < self.count && !self.has(place) {
            self.bits[place as usize / 8] |= 1 << (place % 8);
            self.held += 1;
        }
    }

    /// Takes one away.
    pub fn remove(&mut self, place: u32) {
        if self.has(place) {
            self.bits[place as usize / 8] &= !(1 << (place % 8));
            self.held -= 1;
        }
    }

    /// How many there are.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Of how many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether all are there.
    pub fn is_whole(&self) -> bool {
        self.held == self.count
    }

    /// Those that are not there, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.count).filter(|place| !self.has(*place))
    }

    /// How many bytes of content of this size they are.
    pub fn bytes(&self, size: u64) -> u64 {
        let last = self.count.saturating_sub(1);
        let short = if self.has(last) { PIECE - piece_length(size, last) } else { 0 };
        (u64::from(self.held) * PIECE as u64).saturating_sub(short as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(content: &[u8]) -> Manifest {
        Manifest::new(content.len() as u64, content.chunks(PIECE).map(piece_hash).collect()).unwrap()
    }

    #[test]
    fn a_manifest_is_read_as_it_is_written_and_knows_its_pieces() {
        let content: Vec<u8> = (0..PIECE * 2 + 7).map(|i| (i / 3) as u8).collect();
        let m = manifest(&content);
        assert_eq!(Manifest::read(&m.to_bytes()), Ok(Some(m.clone())));
        for (place, piece) in (0..).zip(content.chunks(PIECE)) {
            assert!(m.is_piece(place, piece));
            assert!(!m.is_piece(place + 1, piece));
            assert!(!m.is_piece(place, &piece[1..]));
            assert_eq!(piece_length(m.size(), place), piece.len());
        }
        assert_eq!(piece_length(m.size(), 3), 0);
        assert_eq!(piece_length(m.size(), u32::MAX), 0);
    }

    #[test]
    fn a_manifest_that_lies_is_refused_by_itself() {
        let bytes = manifest(&[1; 100]).to_bytes();
        let with_size = |size: u64| [&[FORM][..], &size.to_be_bytes(), &bytes[HEAD..]].concat();
        assert_eq!(Manifest::read(&with_size(0)), Err(ManifestError::Size(0)));
        assert_eq!(Manifest::read(&with_size(u64::MAX)), Err(ManifestError::Size(u64::MAX)));
        let two = PIECE as u64 + 1;
        assert_eq!(Manifest::read(&with_size(two)), Err(ManifestError::Pieces { found: 1, wanted: 2 }));
        assert_eq!(Manifest::read(&bytes[..bytes.len() - 1]), Err(ManifestError::Torn));
        assert_eq!(Manifest::read(&[]), Err(ManifestError::Torn));
        assert_eq!(Manifest::read(&[9, 9, 9]), Ok(None), "a newer form is kept");
        let none = Manifest::new(MAX_CONTENT + 1, Vec::new());
        assert_eq!(none, Err(ManifestError::Size(MAX_CONTENT + 1)));
    }

    #[test]
    fn the_largest_manifest_is_an_item() {
        let largest = Manifest::new(MAX_CONTENT, vec![[7; 32]; MAX_PIECES]).unwrap();
        assert!(largest.to_bytes().len() <= MAX_ITEM);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_manifest_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(m)) = Manifest::read(&bytes) {
                prop_assert_eq!(m.to_bytes(), bytes);
            }
        }

        #[test]
        fn pieces_are_a_set(count in 1u32..70, acts in proptest::collection::vec((any::<bool>(), 0u32..80), 0..60)) {
            let mut pieces = Pieces::none(count);
            let mut set = std::collections::BTreeSet::new();
            for (add, place) in acts {
                if add {
                    pieces.add(place);
                    if place < count { set.insert(place); }
                } else {
                    pieces.remove(place);
                    set.remove(&place);
                }
            }
            prop_assert_eq!(pieces.held() as usize, set.len());
            prop_assert_eq!(pieces.missing().collect::<Vec<_>>(), (0..count).filter(|p| !set.contains(p)).collect::<Vec<_>>());
            prop_assert_eq!(Pieces::from_bits(count, pieces.bits().to_vec()), Some(pieces.clone()));
            let size = u64::from(count - 1) * PIECE as u64 + 5;
            prop_assert_eq!(pieces.bytes(size), set.iter().map(|p| piece_length(size, *p) as u64).sum::<u64>());
            let mut beyond = pieces.bits().to_vec();
            if !count.is_multiple_of(8) {
                *beyond.last_mut().unwrap() |= 128;
                prop_assert_eq!(Pieces::from_bits(count, beyond), None);
            }
        }
    }
}
