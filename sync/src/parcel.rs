//! Parcels: the one envelope for what travels without a link.
//!
//! Promises: only a recipient reads the body; everything is signed by the sender, so whoever carries a parcel sees
//! whether it is whole and cannot alter it; each page stands alone, so of a torn or damaged parcel everything but the
//! damaged pages is usable, and nothing wrong is ever opened. What the pages say is for others (see
//! [`crate::replica::Export`]); whether the sender is a member, too: the record that proves it rides in the head.
//!
//! ```text
//! parcel  head | page | page | ... | the head again
//! head    "hlparcel" | format (2) | length (4) | body (postcard) | signature over all before it (64)
//! body    sender, its signing key and record | recipients, each with the body key sealed to it (see certs::seal_box)
//!         | id | number of the export | part | when made, by the sender's clock | commitment to the body key
//! page    mark (8) | index (4, highest bit: the last) | length (4) | ciphertext | signature (64)
//!         mark: of the id; ciphertext: ChaCha20-Poly1305 with the index as nonce and the head's hash beside it;
//!         signed: head's hash, index, hash of the ciphertext
//! ```
//!
//! A reader that meets damage goes on at the next mark. The head stands at the end again, since a parcel without one
//! is lost. There is no forward secrecy: whoever gets hold of a recipient's key later reads the sticks of before.

use std::fmt;

use certs::{BoxKey, NodeName, SigningKey};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::wire::MAX_FRAME;

/// What every parcel begins with.
pub const MAGIC: &[u8; 8] = b"hlparcel";

/// The format that is written, and the newest that is read.
pub const FORMAT: u16 = 1;

/// The longest head in bytes.
pub const MAX_HEAD: usize = 48 << 10;

/// The longest page in bytes before it is sealed: with its head it fits into a frame.
pub const MAX_PAGE: usize = MAX_FRAME - (64 << 10);

/// Most recipients of one parcel.
pub const MAX_RECIPIENTS: usize = 32;

/// What a page takes beside its contents.
pub const PAGE_OVERHEAD: usize = PAGE_HEAD + TAG + SIGNATURE;

const BEFORE: usize = 8 + 2 + 4;
const SIGNATURE: usize = 64;
const PAGE_HEAD: usize = 8 + 4 + 4;
const TAG: usize = 16;
const LAST: u32 = 1 << 31;

/// The contexts that a sender signs in.
const HEAD_CONTEXT: &str = "parcel";
const PAGE_CONTEXT: &str = "parcel-page";
const BOX_INFO: &[u8] = b"hotline/parcel/v1";

/// What is written on the outside: readable without a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Who sends.
    pub from: NodeName,
    /// Who can read.
    pub to: Vec<NodeName>,
    /// Drawn by the sender, the same for all parts of one export.
    pub id: [u8; 16],
    /// The sender's count of exports to this recipient.
    pub number: u64,
    /// Which part of the export; the first is 1.
    pub part: u32,
    /// When, in milliseconds since 1970 by the sender's clock; shown, never used.
    pub made: u64,
}

impl Label {
    /// The first eight hexadecimal digits of the id, for people and file names.
    pub fn short(&self) -> String {
        self.id[..4].iter().map(|b| format!("{b:02x}")).collect()
    }

    /// A name for the parcel's file that every file system takes: small letters, digits, hyphens, under 64 characters.
    pub fn file_name(&self) -> String {
        let to = match self.to.as_slice() {
            [] => "nobody".to_owned(),
            [one] => one.to_string(),
            [one, rest @ ..] => format!("{one}-and-{}", rest.len()),
        };
        format!("{}-to-{to}-{}-{:04}.hlb", self.from, self.short(), self.part)
    }
}

/// Why bytes are not a parcel, or not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParcelError {
    /// It does not begin as parcels do.
    NoParcel,
    /// The format of a newer version.
    Newer(u16),
    /// The head is not what was signed.
    Head,
    /// Another node is meant.
    NotForUs,
    /// It is for this node, and none of its keys opens it.
    NotOpened,
    /// The page is not what was signed, or not of this parcel.
    Page(u32),
    /// What is to be sealed is larger than anybody reads, or goes to nobody.
    Size,
    /// A recipient's key cannot be sealed to.
    BadKey(NodeName),
}

impl fmt::Display for ParcelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParcelError::NoParcel => f.write_str("this is no part of a bundle"),
            ParcelError::Newer(format) => {
                write!(
                    f,
                    "it has format {format}, and this version reads up to {FORMAT}; update this program"
                )
            }
            ParcelError::Head => f.write_str("its head is damaged, at the beginning and at the end"),
            ParcelError::NotForUs => f.write_str("it is for another node"),
            ParcelError::NotOpened => {
                f.write_str("it is for this node and none of its keys opens it; ask for a new bundle")
            }
            ParcelError::Page(index) => write!(f, "page {index} is damaged"),
            ParcelError::Size => f.write_str("too large for a parcel"),
            ParcelError::BadKey(node) => {
                write!(f, "the key of {node} cannot be sealed to; ask for a new node record")
            }
        }
    }
}

impl std::error::Error for ParcelError {}

#[derive(Serialize, Deserialize)]
struct Body {
    label: Label,
    key: SigningKey,
    record: Vec<u8>,
    boxes: Vec<Vec<u8>>,
    commitment: [u8; 32],
}

/// The key of a parcel's body.
pub struct BodyKey(Zeroizing<[u8; 32]>);

impl BodyKey {
    fn commitment(&self) -> [u8; 32] {
        *blake3::Hasher::new_keyed(&self.0).update(b"hotline parcel key").finalize().as_bytes()
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(Key::from_slice(&*self.0))
    }
}

impl fmt::Debug for BodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyKey(..)")
    }
}

/// A parcel's head, signed by the key that it names. Whose key that is its record must prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is written on the outside.
    pub label: Label,
    /// The key that the sender signed with.
    pub key: SigningKey,
    /// The sender's node record, unchecked.
    pub record: Vec<u8>,
    boxes: Vec<Vec<u8>>,
    commitment: [u8; 32],
    hash: [u8; 32],
    length: usize,
}

impl Head {
    /// Reads the head that `bytes` begin with; what follows it is left alone. Bytes that end before it does are damage.
    pub fn read(bytes: &[u8]) -> Result<Head, ParcelError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ParcelError::NoParcel)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or(ParcelError::Head)?;
        let format = u16::from_be_bytes(*format);
        if format > FORMAT {
            return Err(ParcelError::Newer(format));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(ParcelError::Head)?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_HEAD - BEFORE - SIGNATURE || rest.len() < length + SIGNATURE {
            return Err(ParcelError::Head);
        }
        let (signed, signature) = bytes[..BEFORE + length + SIGNATURE].split_at(BEFORE + length);
        let signature: &[u8; 64] = signature.try_into().map_err(|_| ParcelError::Head)?;
        let (body, _) =
            postcard::take_from_bytes::<Body>(&signed[BEFORE..]).map_err(|_| ParcelError::Head)?;
        let to = &body.label.to;
        if to.is_empty() || to.len() > MAX_RECIPIENTS || to.len() != body.boxes.len() {
            return Err(ParcelError::Head);
        }
        body.key.verify(HEAD_CONTEXT, signed, signature).map_err(|_| ParcelError::Head)?;
        let Body { label, key, record, boxes, commitment } = body;
        let hash = *blake3::hash(signed).as_bytes();
        Ok(Head { label, key, record, boxes, commitment, hash, length: signed.len() + SIGNATURE })
    }

    /// How many bytes it takes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Its fingerprint: one parcel has one.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The key of the body, for one of the recipients. `open` opens what was sealed to this node, by purpose and place.
    pub fn open(
        &self,
        me: NodeName,
        open: impl Fn(&[u8], &[u8], &[u8]) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<BodyKey, ParcelError> {
        let mine = self.label.to.iter().zip(&self.boxes).filter(|(node, _)| **node == me);
        let mut error = ParcelError::NotForUs;
        for (node, sealed) in mine {
            error = ParcelError::NotOpened;
            let Some(secret) = open(BOX_INFO, &place(&self.label.id, *node), sealed) else { continue };
            let Ok(secret) = <[u8; 32]>::try_from(secret.as_slice()) else { continue };
            let key = BodyKey(Zeroizing::new(secret));
            if key.commitment() == self.commitment {
                return Ok(key);
            }
        }
        Err(error)
    }

    /// Finds the next page in `bytes`. `end` says that nothing follows them.
    pub fn find(&self, bytes: &[u8], end: bool) -> Found {
        let mark = mark(&self.label.id);
        if bytes.starts_with(&mark) {
            match self.page(bytes) {
                Some(page) => {
                    return Found::Page { length: page.length(), index: page.index, last: page.last };
                }
                None if !end && bytes.len() < MAX_PAGE + PAGE_OVERHEAD => return Found::More,
                None => {} // damaged, or torn
            }
        }
        let from = usize::from(bytes.starts_with(&mark));
        match bytes.get(from..).and_then(|rest| rest.windows(8).position(|w| w == mark)) {
            Some(at) => Found::Other(at + from),
            None if end => Found::Other(bytes.len()),
            None if bytes.len() > 7 => Found::Other(bytes.len() - 7),
            None => Found::More,
        }
    }

    /// The page that `bytes` begin with, if it is what the sender signed.
    pub fn page<'a>(&self, bytes: &'a [u8]) -> Option<Page<'a>> {
        let rest = bytes.strip_prefix(&mark(&self.label.id))?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (index, length) = (u32::from_be_bytes(*index), u32::from_be_bytes(*length) as usize);
        if length > MAX_PAGE + TAG {
            return None;
        }
        let sealed = rest.get(..length)?;
        let signature: &[u8; 64] = rest.get(length..length + SIGNATURE)?.try_into().ok()?;
        self.key.verify(PAGE_CONTEXT, &page_words(&self.hash, index, sealed), signature).ok()?;
        Some(Page { index: index & !LAST, last: index & LAST != 0, sealed })
    }

    /// Opens a page.
    pub fn open_page(&self, key: &BodyKey, page: &Page<'_>) -> Result<Vec<u8>, ParcelError> {
        let index = if page.last { page.index | LAST } else { page.index };
        let payload = Payload { msg: page.sealed, aad: &self.hash };
        key.cipher().decrypt(&nonce(index), payload).map_err(|_| ParcelError::Page(page.index))
    }
}

/// A page as its sender signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Its place; the first is 0.
    pub index: u32,
    /// No further one follows in this parcel.
    pub last: bool,
    sealed: &'a [u8],
}

impl Page<'_> {
    /// How many bytes it takes.
    pub fn length(&self) -> usize {
        PAGE_HEAD + self.sealed.len() + SIGNATURE
    }
}

/// What a search for the next page finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A page of so many bytes stands at the beginning.
    Page {
        /// Its bytes.
        length: usize,
        /// Its place.
        index: u32,
        /// Whether it is the last.
        last: bool,
    },
    /// So many bytes are no page: the head's copy, or damage.
    Other(usize),
    /// More bytes are needed to tell.
    More,
}

/// A parcel being written.
pub struct Sealer {
    head: Vec<u8>,
    hash: [u8; 32],
    mark: [u8; 8],
    key: BodyKey,
    next: u32,
}

impl Sealer {
    /// Begins a parcel. `entropy` is used for no other parcel; `sign` signs in a context as the sender.
    pub fn begin(
        label: Label,
        to: &[BoxKey],
        (key, record): (SigningKey, &[u8]),
        entropy: &[u8; 32],
        sign: impl Fn(&str, &[u8]) -> [u8; 64],
    ) -> Result<Sealer, ParcelError> {
        if to.is_empty() || to.len() > MAX_RECIPIENTS || to.len() != label.to.len() {
            return Err(ParcelError::Size);
        }
        let draw = |what: &str| {
            let mut hasher = blake3::Hasher::new_keyed(entropy);
            hasher.update(what.as_bytes()).update(&label.part.to_be_bytes());
            *hasher.finalize().as_bytes()
        };
        let body_key = BodyKey(Zeroizing::new(draw("body key")));
        let mut boxes = Vec::new();
        for (node, to) in label.to.iter().zip(to) {
            let own = Zeroizing::new(draw(&format!("box of {node}")));
            let place = place(&label.id, *node);
            let sealed = certs::seal_box::seal_with(&own, to, BOX_INFO, &place, &*body_key.0);
            boxes.push(sealed.map_err(|_| ParcelError::BadKey(*node))?);
        }
        let mark = mark(&label.id);
        let body = Body { label, key, record: record.to_vec(), boxes, commitment: body_key.commitment() };
        let body = postcard::to_stdvec(&body).expect("a struct of plain values has a byte form");
        if BEFORE + body.len() + SIGNATURE > MAX_HEAD {
            return Err(ParcelError::Size);
        }
        let mut head = MAGIC.to_vec();
        head.extend(FORMAT.to_be_bytes());
        head.extend((body.len() as u32).to_be_bytes());
        head.extend(body);
        let hash = *blake3::hash(&head).as_bytes();
        let signature = sign(HEAD_CONTEXT, &head);
        head.extend(signature);
        Ok(Sealer { head, hash, mark, key: body_key, next: 0 })
    }

    /// The head: what the parcel begins and ends with.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Seals the next page.
    pub fn page(
        &mut self,
        plain: &[u8],
        last: bool,
        sign: impl Fn(&str, &[u8]) -> [u8; 64],
    ) -> Result<Vec<u8>, ParcelError> {
        if plain.len() > MAX_PAGE || self.next >= LAST {
            return Err(ParcelError::Size);
        }
        let index = if last { self.next | LAST } else { self.next };
        self.next = if last { LAST } else { self.next + 1 };
        let payload = Payload { msg: plain, aad: &self.hash };
        let sealed = self.key.cipher().encrypt(&nonce(index), payload).map_err(|_| ParcelError::Size)?;
        let mut page = Vec::with_capacity(sealed.len() + PAGE_OVERHEAD);
        page.extend(self.mark);
        page.extend(index.to_be_bytes());
        page.extend((sealed.len() as u32).to_be_bytes());
        page.extend(&sealed);
        page.extend(sign(PAGE_CONTEXT, &page_words(&self.hash, index, &sealed)));
        Ok(page)
    }
}

fn mark(id: &[u8; 16]) -> [u8; 8] {
    let hash = *blake3::Hasher::new_derive_key("hotline 2026 parcel page").update(id).finalize().as_bytes();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

fn nonce(index: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&index.to_be_bytes());
    nonce.into()
}

fn place(id: &[u8; 16], node: NodeName) -> Vec<u8> {
    [&id[..], node.to_string().as_bytes()].concat()
}

fn page_words(head: &[u8; 32], index: u32, sealed: &[u8]) -> Vec<u8> {
    [&head[..], &index.to_be_bytes(), blake3::hash(sealed).as_bytes()].concat()
}

#[cfg(test)]
mod tests;
