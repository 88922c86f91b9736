//! A file's bytes sealed, piece by piece.
//!
//! ChaCha20-Poly1305 with the place and a mark of the last piece in the nonce (the STREAM construction of Hoang,
//! Reyhanitabar, Rogaway and Vizár): pieces cannot be moved, left out or cut off. The document's id is bound to each.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use sync::file::PIECE;
use sync::id::DocId;
use zeroize::Zeroizing;

use crate::vault::VaultError;

const TAG: usize = 16;

/// Plain bytes in one piece.
pub const PLAIN: usize = PIECE - TAG;

/// What a file becomes when it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedSize {
    /// In how many pieces.
    pub pieces: u32,
    /// In how many bytes.
    pub bytes: u64,
}

/// What so many plain bytes become.
pub fn sealed_size(plain: u64) -> SealedSize {
    let pieces = plain.div_ceil(PLAIN as u64).max(1);
    SealedSize {
        pieces: pieces.try_into().unwrap_or(u32::MAX),
        bytes: plain.saturating_add(pieces * TAG as u64),
    }
}

/// How many plain bytes are in content of this size.
pub fn plain_size(sealed: u64) -> u64 {
    sealed.saturating_sub(sealed.div_ceil(PIECE as u64) * TAG as u64)
}

/// The key of one file.
pub struct FileKey {
    key: Zeroizing<[u8; 32]>,
    doc: DocId,
}

impl FileKey {
    /// A key that [`TicketKey::file_key`](crate::vault::TicketKey::file_key) made.
    pub(crate) fn new(key: Zeroizing<[u8; 32]>, doc: DocId) -> FileKey {
        FileKey { key, doc }
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(Key::from_slice(self.key.as_slice()))
    }

    fn nonce(place: u32, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&place.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }

    /// Seals one piece of at most [`PLAIN`] bytes.
    pub fn seal(&self, place: u32, last: bool, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let payload = Payload { msg: plain, aad: self.doc.as_bytes() };
        let nonce = FileKey::nonce(place, last);
        self.cipher().encrypt(Nonce::from_slice(&nonce), payload).map_err(|_| VaultError::TooLong)
    }

    /// Opens one piece.
    pub fn open(&self, place: u32, last: bool, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let payload = Payload { msg: sealed, aad: self.doc.as_bytes() };
        let nonce = FileKey::nonce(place, last);
        let plain = self.cipher().decrypt(Nonce::from_slice(&nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| VaultError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::TicketKey;

    #[test]
    fn a_piece_opens_at_its_place_in_its_ticket_and_nowhere_else() {
        let doc = DocId::from_bytes([1; 32]);
        let ticket = TicketKey::draw().unwrap();
        let salt = ticket.file_salt(&[5; 32]);
        let key = ticket.file_key(&salt, doc);
        let sealed = key.seal(3, false, b"plain").unwrap();
        assert_eq!(key.open(3, false, &sealed).unwrap().as_slice(), b"plain");
        assert!(key.open(4, false, &sealed).is_err(), "moved");
        assert!(key.open(3, true, &sealed).is_err(), "cut off behind it");
        let elsewhere = ticket.file_key(&salt, DocId::from_bytes([2; 32]));
        assert!(elsewhere.open(3, false, &sealed).is_err(), "another ticket");
        let other = ticket.file_key(&ticket.file_salt(&[6; 32]), doc);
        assert!(other.open(3, false, &sealed).is_err(), "another file");
        let mut bad = sealed.clone();
        bad[0] ^= 1;
        assert!(key.open(3, false, &bad).is_err(), "damaged");
    }

    #[test]
    fn the_same_file_in_the_same_ticket_is_sealed_alike() {
        let doc = DocId::from_bytes([1; 32]);
        let (a, b) = (TicketKey::draw().unwrap(), TicketKey::draw().unwrap());
        assert_eq!(a.file_salt(&[5; 32]), a.file_salt(&[5; 32]));
        assert_ne!(a.file_salt(&[5; 32]), b.file_salt(&[5; 32]), "and in another ticket otherwise");
        let salt = a.file_salt(&[5; 32]);
        let seal = |key: FileKey| key.seal(0, true, b"x").unwrap();
        assert_eq!(seal(a.file_key(&salt, doc)), seal(a.file_key(&salt, doc)));
    }

    #[test]
    fn sizes_there_and_back() {
        let piece = PLAIN as u64;
        for plain in [0, 1, piece - 1, piece, piece + 1, 5 * piece, 5 * piece + 7, 256 << 20] {
            let sealed = sealed_size(plain);
            assert_eq!(plain_size(sealed.bytes), plain);
            assert_eq!(sealed.bytes.div_ceil(PIECE as u64), u64::from(sealed.pieces), "{plain}");
        }
    }
}
