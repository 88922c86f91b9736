//! A part of a bundle in a file, read page by page, whatever became of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sync::parcel::{Found, Head, MAGIC, MAX_HEAD, MAX_PAGE, PAGE_OVERHEAD, ParcelError};

/// How much is read ahead.
const CHUNK: usize = 1 << 20;

/// A page as it lies in the file.
pub struct PageAt {
    /// Where it begins.
    pub at: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its place in the parcel.
    pub index: u32,
    /// No further one follows.
    pub last: bool,
}

/// A file with a head that can be read.
pub struct Part {
    file: File,
    /// The head.
    pub head: Head,
    /// The head's bytes.
    pub head_bytes: Vec<u8>,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    at: u64,
    end: bool,
    /// Bytes that are neither pages nor heads.
    pub damaged: u64,
    /// The head at the beginning could not be read.
    pub head_damaged: bool,
}

/// Why a file is not read to its end.
pub enum Unreadable {
    /// It is no parcel, or without a head.
    Parcel(ParcelError),
    /// The medium failed.
    Io(std::io::Error),
}

impl From<std::io::Error> for Unreadable {
    fn from(e: std::io::Error) -> Self {
        Unreadable::Io(e)
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unreadable::Parcel(e) => e.fmt(f),
            Unreadable::Io(e) => write!(f, "the medium gave an error: {e}"),
        }
    }
}

impl Part {
    /// Finds the head: at the beginning, or wherever else it stands.
    pub fn open(mut file: File) -> Result<Part, Unreadable> {
        let mut first = Vec::new();
        (&mut file).take(MAX_HEAD as u64).read_to_end(&mut first)?;
        let (head_bytes, head_damaged) = match Head::read(&first) {
            Ok(head) => (first[..head.length()].to_vec(), false),
            Err(e) => match other_head(&mut file)? {
                Some(bytes) => (bytes, true),
                None => return Err(Unreadable::Parcel(e)),
            },
        };
        let head = Head::read(&head_bytes).map_err(Unreadable::Parcel)?;
        file.seek(SeekFrom::Start(0))?;
        let buffer = Vec::new();
        Ok(Part { file, head, head_bytes, buffer, at: 0, end: false, damaged: 0, head_damaged })
    }

    /// The next page that is whole.
    pub fn next_page(&mut self) -> Result<Option<PageAt>, Unreadable> {
        loop {
            if !self.end && self.buffer.len() < MAX_PAGE + PAGE_OVERHEAD {
                let mut more = Vec::with_capacity(CHUNK);
                (&mut self.file).take(CHUNK as u64).read_to_end(&mut more)?;
                self.end = more.is_empty();
                self.buffer.extend(more);
                continue;
            }
            if self.buffer.is_empty() {
                return Ok(None);
            }
            if self.buffer.starts_with(&self.head_bytes) {
                self.skip(self.head_bytes.len());
                continue;
            }
            match self.head.find(&self.buffer, self.end) {
                Found::Page { length, index, last } => {
                    let at = self.at;
                    let bytes = self.buffer[..length].to_vec();
                    self.skip(length);
                    return Ok(Some(PageAt { at, bytes, index, last }));
                }
                Found::Other(n) => {
                    // The head again is no damage.
                    let head = self.buffer[..n].windows(MAGIC.len()).position(|w| w == MAGIC);
                    let n = head.filter(|at| *at > 0).unwrap_or(n);
                    self.damaged += n as u64;
                    self.skip(n);
                }
                // The buffer holds the longest page, so it is not too short for this one.
                Found::More => {
                    self.damaged += self.buffer.len() as u64;
                    self.skip(self.buffer.len());
                }
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer.drain(..bytes);
        self.at += bytes as u64;
    }
}

/// A head somewhere in the file.
fn other_head(file: &mut File) -> Result<Option<Vec<u8>>, Unreadable> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer: Vec<u8> = Vec::new();
    loop {
        let mut more = Vec::with_capacity(CHUNK);
        Read::by_ref(file).take(CHUNK as u64).read_to_end(&mut more)?;
        let end = more.is_empty();
        buffer.extend(more);
        for at in 0..buffer.len().saturating_sub(MAGIC.len()) {
            if buffer[at..].starts_with(MAGIC)
                && let Ok(head) = Head::read(&buffer[at..])
            {
                return Ok(Some(buffer[at..at + head.length()].to_vec()));
            }
        }
        if end {
            return Ok(None);
        }
        // A head that begins in what was read may end in what follows.
        let keep = buffer.len().min(MAX_HEAD);
        buffer.drain(..buffer.len() - keep);
    }
}

/// A page that was read before, read again.
pub(super) fn read_again(path: &Path, at: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
