//! A stream that only a recovery key opens.
//!
//! ```text
//! magic (8) "HLSEAL1\n"
//! recipients (1), 1 to 16; for each the length (2) and bytes of the box that holds the stream's key
//! chunks: length (4), ciphertext; each 64 KiB of plain text but the last
//! ```
//!
//! Every chunk is ChaCha20-Poly1305 under the stream's key with its number and whether it is the last in the nonce
//! (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): chunks that were moved, left out or cut
//! off do not open. Numbers are big-endian.

use std::io::{self, Read, Write};

use certs::{BoxKey, RecoveryKey, seal_box};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"HLSEAL1\n";
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
const INFO: &[u8] = b"hotline backup v1";

/// The most recovery keys that one stream is sealed to.
pub(super) const MOST: usize = 16;

/// The key of one stream.
pub(super) type StreamKey = Zeroizing<[u8; 32]>;

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce.into()
}

/// Seals what is written.
pub(super) struct Sealing<W> {
    to: W,
    cipher: ChaCha20Poly1305,
    plain: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealing<W> {
    /// Begins a stream for these recipients, 1 to [`MOST`], and returns its key.
    pub(super) fn begin(mut to: W, recipients: &[BoxKey]) -> io::Result<(Sealing<W>, StreamKey)> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|e| io::Error::other(e.to_string()))?;
        to.write_all(MAGIC)?;
        to.write_all(&[u8::try_from(recipients.len()).map_err(io::Error::other)?])?;
        for recipient in recipients {
            let sealed = seal_box::seal(recipient, INFO, b"", &*key).map_err(io::Error::other)?;
            to.write_all(&(sealed.len() as u16).to_be_bytes())?;
            to.write_all(&sealed)?;
        }
        let cipher = ChaCha20Poly1305::new(Key::from_slice(&*key));
        Ok((Sealing { to, cipher, plain: Vec::with_capacity(CHUNK), number: 0 }, key))
    }

    fn chunk(&mut self, last: bool) -> io::Result<()> {
        let sealed = self
            .cipher
            .encrypt(&nonce(self.number, last), self.plain.as_slice())
            .map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        self.number += 1;
        self.plain.clear();
        self.to.write_all(&(sealed.len() as u32).to_be_bytes())?;
        self.to.write_all(&sealed)
    }

    /// Writes the last chunk. Without it the stream does not open to its end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.chunk(true)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.plain.len() == CHUNK {
            self.chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.plain.len());
        self.plain.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Who opens a stream.
pub(super) enum Opener<'a> {
    /// The one who has just written it.
    Writer(&'a StreamKey),
    /// Whoever holds a recovery key.
    Recovery(&'a RecoveryKey),
}

/// Opens what is read.
pub(super) struct Opening<R> {
    from: R,
    cipher: ChaCha20Poly1305,
    plain: Vec<u8>,
    at: usize,
    number: u64,
    ended: bool,
}

impl<R: Read> Opening<R> {
    pub(super) fn begin(mut from: R, opener: &Opener<'_>) -> io::Result<Opening<R>> {
        let mut head = [0; 9];
        from.read_exact(&mut head)?;
        if head[..8] != MAGIC[..] || !(1..=MOST).contains(&usize::from(head[8])) {
            return Err(invalid("it is not a sealed backup, or one of a newer version"));
        }
        let mut found: Option<StreamKey> = None;
        for _ in 0..head[8] {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            let mut sealed = vec![0; usize::from(u16::from_be_bytes(length)).min(seal_box::OVERHEAD + 64)];
            from.read_exact(&mut sealed)?;
            if let Opener::Recovery(key) = opener
                && let Ok(opened) = key.open(INFO, b"", &sealed)
                && let Ok(opened) = <[u8; 32]>::try_from(opened.as_slice())
            {
                found = Some(Zeroizing::new(opened));
            }
        }
        let key = match opener {
            Opener::Writer(key) => (*key).clone(),
            Opener::Recovery(_) => found.ok_or_else(|| invalid("it is sealed to other recovery keys"))?,
        };
        let cipher = ChaCha20Poly1305::new(Key::from_slice(&*key));
        Ok(Opening { from, cipher, plain: Vec::new(), at: 0, number: 0, ended: false })
    }

    fn chunk(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(|_| invalid("it is cut off"))?;
        let length = u32::from_be_bytes(length) as usize;
        if !(TAG..=CHUNK + TAG).contains(&length) {
            return Err(invalid("a chunk has a length that is never written"));
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(|_| invalid("it is cut off"))?;
        let open = |last| self.cipher.decrypt(&nonce(self.number, last), sealed.as_slice()).ok();
        self.plain = match open(false) {
            Some(plain) => plain,
            None => {
                self.ended = true;
                open(true).ok_or_else(|| invalid("a chunk is damaged or not in its place"))?
            }
        };
        self.number += 1;
        self.at = 0;
        Ok(())
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() && !self.ended {
            self.chunk()?;
        }
        let given = buffer.len().min(self.plain.len() - self.at);
        buffer[..given].copy_from_slice(&self.plain[self.at..self.at + given]);
        self.at += given;
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8], to: &[BoxKey]) -> Vec<u8> {
        let (mut sealing, _) = Sealing::begin(Vec::new(), to).unwrap();
        sealing.write_all(plain).unwrap();
        sealing.finish().unwrap()
    }

    fn opened(stream: &[u8], key: &RecoveryKey) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opening::begin(stream, &Opener::Recovery(key))?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_recipient_opens_a_stream_of_any_length_and_nobody_else() {
        let keys = [RecoveryKey::generate(), RecoveryKey::generate()];
        let public = [keys[0].public(), keys[1].public()];
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let stream = sealed(&plain, &public);
            for key in &keys {
                assert_eq!(opened(&stream, key).unwrap(), plain, "{length}");
            }
            assert!(opened(&stream, &RecoveryKey::generate()).is_err());
        }
    }

    #[test]
    fn a_stream_that_was_touched_anywhere_does_not_open_to_its_end() {
        let key = RecoveryKey::generate();
        let stream = sealed(&[7; 2 * CHUNK + 5], &[key.public()]);
        let head = 9 + 2 + seal_box::OVERHEAD + 32;
        for at in (0..stream.len()).step_by(stream.len() / 97) {
            let mut touched = stream.clone();
            touched[at] ^= 1;
            assert!(opened(&touched, &key).is_err(), "byte {at}");
            assert!(opened(&stream[..at], &key).is_err(), "cut off at {at}");
        }
        // Two chunks that changed places.
        let chunk = 4 + CHUNK + TAG;
        let mut swapped = stream.clone();
        swapped[head..head + 2 * chunk].rotate_left(chunk);
        assert!(opened(&swapped, &key).is_err());
    }
}
