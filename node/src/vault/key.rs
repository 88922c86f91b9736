//! Persons and confidential reports: sealed under a key of their ticket, and the key granted to those who may open it.
//!
//! ```text
//! part     1 | nonce 12 | ChaCha20-Poly1305( length 4 | JSON | zeros up to a multiple of 256 )
//! grant    postcard { suite, to: node, desk, sealed: HPKE(key) to the node's X25519 key, which of the ticket's keys }
//! ```
//!
//! A grant names its document by where it stands; the sealed key is bound to document, node and desk. Nothing here
//! is ever logged. Whoever relays a grant cannot open it.

use certs::{BoxKey, Identity, NodeName};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use serde::{Deserialize, Serialize};
use sync::id::DocId;
use zeroize::Zeroizing;

use crate::files::FileKey;

/// X25519, HKDF-SHA256, ChaCha20-Poly1305; SM2 with SM4 will be another number one day.
const SUITE: u8 = 1;
const INFO: &[u8] = b"hotline ticket key v1";
const STEP: usize = 256;

/// The longest part that is sealed, as JSON in bytes.
pub const MAX_SEALED: usize = 128 * 1024;

/// What of a ticket is sealed; it is bound to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The caller.
    Person,
    /// The words of a confidential report.
    Body,
    /// The true name of a file of a confidential report; it stands in the file's entry.
    FileName,
}

impl Part {
    /// The word that it is bound to; a caller and a body stand under it in the document's `person`.
    pub fn key(self) -> &'static str {
        match self {
            Part::Person => "sealed",
            Part::Body => "body",
            Part::FileName => "file name",
        }
    }
}

/// The key of one ticket.
pub struct TicketKey(Zeroizing<[u8; 32]>);

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// Longer than [`MAX_SEALED`].
    TooLong,
    /// No entropy could be drawn.
    Entropy,
    /// Sealed by something else, damaged, or for somebody else.
    Closed,
}

impl std::fmt::Display for VaultError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VaultError::TooLong => write!(f, "the caller's data is longer than {MAX_SEALED} bytes"),
            VaultError::Entropy => f.write_str("the system gives no random numbers"),
            VaultError::Closed => f.write_str("this node has no key for the caller's data of this ticket"),
        }
    }
}

impl std::error::Error for VaultError {}

/// What tells one key of a ticket from another. It is made of the key and says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

/// A ticket's key, sealed to one node or its confidential desk: the bytes of a grant item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    suite: u8,
    /// Who can open it.
    pub to: NodeName,
    /// Whether only the node's confidential desk can.
    pub desk: bool,
    sealed: Vec<u8>,
    /// Which of the ticket's keys it is; grants of before this was told do not say so.
    pub which: Option<KeyId>,
}

fn bound_to(doc: &DocId, to: NodeName, desk: bool) -> Vec<u8> {
    format!("{doc}|{to}|{desk}").into_bytes()
}

impl Grant {
    /// Reads a grant; `None` when it is not one that this version knows.
    pub fn read(bytes: &[u8]) -> Option<Grant> {
        let read = postcard::from_bytes(bytes);
        let of_before = || postcard::from_bytes(&[bytes, &[0]].concat()); // 0: it does not say which key
        read.or_else(|_| of_before()).ok().filter(|g: &Grant| g.suite == SUITE)
    }

    /// The key, if the grant is this node's.
    pub fn open(&self, doc: &DocId, identity: &Identity) -> Result<TicketKey, VaultError> {
        let aad = bound_to(doc, self.to, self.desk);
        let opened = match self.desk {
            _ if self.to != identity.node() => return Err(VaultError::Closed),
            true => identity.open_for_desk(INFO, &aad, &self.sealed),
            false => identity.open(INFO, &aad, &self.sealed),
        };
        let bytes = opened.map_err(|_| VaultError::Closed)?;
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| VaultError::Closed)?;
        let key = TicketKey(Zeroizing::new(key));
        match self.which.is_none_or(|which| which == key.id()) {
            true => Ok(key),
            false => Err(VaultError::Closed), // it says that it is another
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::Entropy)?;
    Ok(bytes)
}

impl TicketKey {
    /// A new key.
    pub fn draw() -> Result<TicketKey, VaultError> {
        Ok(TicketKey(Zeroizing::new(random()?)))
    }

    /// The key of a document that is open to whoever has it, an article: made of its id, and no secret. It only keeps the contents of
    /// one file in two documents apart, as drawn keys do, for contents are found by their hash.
    pub fn of_open_document(doc: DocId) -> TicketKey {
        TicketKey(Zeroizing::new(blake3::derive_key("hotline 2026 open document key", doc.as_bytes())))
    }

    /// What tells it from the ticket's other keys, when two sites drew one at once.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] =
            blake3::derive_key("hotline 2026 ticket key id", self.0.as_slice());
        KeyId([a, b, c, d, e, f, g, h])
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }

    /// Seals a part (JSON), padded so that its length says little.
    pub fn seal(&self, part: Part, said: &[u8]) -> Result<Vec<u8>, VaultError> {
        if said.len() > MAX_SEALED {
            return Err(VaultError::TooLong);
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(said.len() + STEP));
        plain.extend((said.len() as u32).to_be_bytes());
        plain.extend(said);
        let padded = plain.len().next_multiple_of(STEP);
        plain.resize(padded, 0);
        let nonce = random::<12>()?;
        let sealed = self
            .cipher()
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: &plain, aad: part.key().as_bytes() })
            .map_err(|_| VaultError::TooLong)?;
        Ok([&[SUITE][..], &nonce, &sealed].concat())
    }

    /// Opens what [`TicketKey::seal`] sealed.
    pub fn open(&self, part: Part, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (Some(&[SUITE]), Some(nonce), Some(body)) =
            (sealed.get(..1), sealed.get(1..13), sealed.get(13..))
        else {
            return Err(VaultError::Closed);
        };
        let payload = Payload { msg: body, aad: part.key().as_bytes() };
        let plain =
            self.cipher().decrypt(Nonce::from_slice(nonce), payload).map_err(|_| VaultError::Closed)?;
        let plain = Zeroizing::new(plain);
        let (length, rest) = plain.split_first_chunk::<4>().ok_or(VaultError::Closed)?;
        let said = rest.get(..u32::from_be_bytes(*length) as usize).ok_or(VaultError::Closed)?;
        Ok(Zeroizing::new(said.to_vec()))
    }

    /// What the key of a file with these plain bytes (their BLAKE3) is made with. It says nothing of them to whoever
    /// has no key of the ticket.
    pub fn file_salt(&self, digest: &[u8; 32]) -> [u8; 32] {
        let key = Zeroizing::new(blake3::derive_key("hotline 2026 file salt", self.0.as_slice()));
        *blake3::keyed_hash(&key, digest).as_bytes()
    }

    /// The key of the file with this salt. A key seals the bytes that its salt was made of and no others.
    pub fn file_key(&self, salt: &[u8; 32], doc: DocId) -> FileKey {
        let key = Zeroizing::new(blake3::derive_key("hotline 2026 file key", self.0.as_slice()));
        FileKey::new(Zeroizing::new(*blake3::keyed_hash(&key, salt).as_bytes()), doc)
    }

    /// A grant of this key to a node or to its confidential desk.
    pub fn grant(&self, doc: &DocId, to: NodeName, desk: bool, key: &BoxKey) -> Result<Vec<u8>, VaultError> {
        let sealed = certs::seal_box::seal(key, INFO, &bound_to(doc, to, desk), self.0.as_slice())
            .map_err(|_| VaultError::Entropy)?;
        let grant = Grant { suite: SUITE, to, desk, sealed, which: Some(self.id()) };
        Ok(postcard::to_stdvec(&grant).expect("a struct of plain values has a byte form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certs::{Authority, NodeKeys, SecretKey, UnixTime};

    fn identity(name: &str, seed: u8) -> Identity {
        let now = UnixTime::from_secs(1_800_000_000);
        let mut root = Authority::root(SecretKey::from_seed(&[1; 32], "root"), now).unwrap();
        Identity::create(&mut root, name.parse().unwrap(), NodeKeys::from_seed(&[seed; 32]), now, 90).unwrap()
    }

    #[test]
    fn only_whom_it_is_granted_to_opens_a_person() {
        let (us, them) = (identity("000000", 1), identity("000000-b", 2));
        let doc = DocId::from_bytes([5; 32]);
        let key = TicketKey::draw().unwrap();
        let sealed = key.seal(Part::Person, "张三".as_bytes()).unwrap();
        assert_eq!(sealed.len(), 1 + 12 + 256 + 16);
        let bytes = key.grant(&doc, us.node(), false, &us.record().node_box).unwrap();
        let grant = Grant::read(&bytes).unwrap();
        assert_eq!(
            grant.open(&doc, &us).unwrap().open(Part::Person, &sealed).unwrap().as_slice(),
            "张三".as_bytes()
        );
        assert!(grant.open(&doc, &them).is_err());
        assert!(grant.open(&DocId::from_bytes([6; 32]), &us).is_err(), "moved to another ticket");
        let other = Grant { which: Some(TicketKey::draw().unwrap().id()), ..grant.clone() };
        assert!(other.open(&doc, &us).is_err(), "it says that it is another key");
        let of_before = &bytes[..bytes.len() - 9]; // a tag and the id
        let of_before = Grant::read(of_before).unwrap();
        assert_eq!((of_before.which, of_before.open(&doc, &us).unwrap().id()), (None, key.id()));
        let desk = key.grant(&doc, us.node(), true, &us.record().desk).unwrap();
        assert!(Grant::read(&desk).unwrap().open(&doc, &us).is_ok());
        assert!(TicketKey::draw().unwrap().open(Part::Person, &sealed).is_err());
        assert_eq!(key.seal(Part::Person, &[0; MAX_SEALED + 1]), Err(VaultError::TooLong));
    }

    #[test]
    fn damage_opens_nothing() {
        let key = TicketKey::draw().unwrap();
        let sealed = key.seal(Part::Person, b"x").unwrap();
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert!(key.open(Part::Person, &bad).is_err(), "{i}");
        }
        assert!(key.open(Part::Person, &[]).is_err());
        assert!(key.open(Part::Body, &sealed).is_err(), "moved to another place");
    }
}
