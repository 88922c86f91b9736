//! Seals: one signature of a node over items that it lets out together.
//!
//! ```text
//! seal = suite, node, incarnation, number, previous, count, root, signature
//!                                  |         |       |      |
//!                                  |         |       |      Merkle root over the leaves
//!                                  |         |       leaves
//!                                  |         hash of the node's last seal, of whatever incarnation
//!                                  one more than that seal's
//! leaf = H(document, item), leaves in the order of (document, item)
//! ```
//!
//! A node's seals form one chain. Two seals with one `previous` are a fork, and a fork is what a restored backup
//! or a cloned disk looks like. A seal covers items of documents of one audience. Its leaves are sorted, so a
//! receiver that got all of them rebuilds every place by itself, and only a later joiner needs twigs
//! (see [`crate::merkle`]).

use std::fmt;

use certs::NodeName;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::id::{DocId, Incarnation, ItemHash, SealHash};
use crate::merkle;

/// Most leaves under one seal.
pub const MAX_LEAVES: u32 = 1 << 20;

/// The highest number of a seal: nobody lives to see it, and no sum overflows on the way there.
pub const MAX_NUMBER: u64 = 1 << 62;

/// Ed25519 with BLAKE3; SM2 with SM3 will be another number one day.
pub const SUITE: u8 = 1;

/// What a node signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The cipher suite; see [`SUITE`].
    pub suite: u8,
    /// Who seals.
    pub node: NodeName,
    /// In which life.
    pub incarnation: Incarnation,
    /// The place in the node's chain; the first is 1.
    pub number: u64,
    /// The node's last seal before this one.
    pub previous: Option<SealHash>,
    /// How many leaves.
    pub count: u32,
    /// Their Merkle root.
    pub root: [u8; 32],
}

impl Words {
    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a struct of plain values has a byte form")
    }
}

/// A seal whose signature nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    words: Words,
    signature: (Half, Half),
}

type Half = [u8; 32];

/// Why a seal does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealError {
    /// A cipher suite of a newer version.
    Suite(u8),
    /// No leaf, or more than [`MAX_LEAVES`].
    Count(u32),
    /// The number 0, or one above [`MAX_NUMBER`].
    Number(u64),
    /// None of the node's keys made this signature.
    Signature(NodeName),
    /// The leaves and the twigs do not make the signed root.
    Root,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::Suite(n) => {
                write!(f, "a seal uses cipher suite {n}, which this version does not know")
            }
            SealError::Count(n) => write!(f, "a seal claims {n} leaves; 1 to {MAX_LEAVES} are allowed"),
            SealError::Number(n) => write!(f, "a seal bears the number {n}; 1 to {MAX_NUMBER} are allowed"),
            SealError::Signature(node) => {
                write!(f, "a seal in the name of {node} was not made with any key that {node} has")
            }
            SealError::Root => f.write_str("the items do not match the seal they came under"),
        }
    }
}

impl std::error::Error for SealError {}

impl Seal {
    /// Seals these words; `sign` makes an Ed25519 signature in the context of seals.
    pub fn make(words: Words, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Seal {
        let signature = sign(&words.to_bytes());
        let (mut a, mut b) = ([0; 32], [0; 32]);
        a.copy_from_slice(&signature[..32]);
        b.copy_from_slice(&signature[32..]);
        Seal { words, signature: (a, b) }
    }

    /// What the seal says.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// The seal's own hash, over words and signature.
    pub fn hash(&self) -> SealHash {
        let bytes = postcard::to_stdvec(self).expect("a struct of plain values has a byte form");
        SealHash::from_bytes(blake3::derive_key("hotline 2026 seal", &bytes))
    }

    /// Checks suite, count, number and signature against the keys that the node is known to have had. `context` is what
    /// stands before the words when a node signs.
    pub fn verify(&self, context: &[u8], keys: impl IntoIterator<Item = [u8; 32]>) -> Result<(), SealError> {
        let Words { suite, node, number, count, .. } = self.words;
        if suite != SUITE {
            return Err(SealError::Suite(suite));
        }
        if count == 0 || count > MAX_LEAVES {
            return Err(SealError::Count(count));
        }
        if number == 0 || number > MAX_NUMBER {
            return Err(SealError::Number(number));
        }
        let message = [context, &self.words.to_bytes()].concat();
        let signature = [self.signature.0, self.signature.1].concat();
        let holds =
            |key: [u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok();
        if keys.into_iter().any(holds) { Ok(()) } else { Err(SealError::Signature(node)) }
    }
}

/// The leaf of one item of one document.
pub fn leaf(doc: &DocId, item: &ItemHash) -> [u8; 32] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(doc.as_bytes());
    bytes[32..].copy_from_slice(item.as_bytes());
    merkle::leaf(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(number: u64) -> Words {
        Words {
            suite: SUITE,
            node: "370100".parse().unwrap(),
            incarnation: Incarnation::from_bytes([7; 8]),
            number,
            previous: None,
            count: 3,
            root: [9; 32],
        }
    }

    #[test]
    fn only_the_signers_key_verifies() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let sign = |b: &[u8]| <[u8; 64]>::try_from(pair.sign(&[b"ctx\0", b].concat()).as_ref()).unwrap();
        let seal = Seal::make(words(1), sign);
        assert_eq!(seal.verify(b"ctx\0", [[0; 32], public]), Ok(()));
        assert_eq!(seal.verify(b"other\0", [public]), Err(SealError::Signature("370100".parse().unwrap())));
        assert_eq!(seal.verify(b"ctx\0", []), Err(SealError::Signature("370100".parse().unwrap())));
        let mut forged = seal.clone();
        forged.words.number = 2;
        assert!(forged.verify(b"ctx\0", [public]).is_err());
        let mut newer = seal.clone();
        newer.words.suite = 9;
        assert_eq!(newer.verify(b"ctx\0", [public]), Err(SealError::Suite(9)));
        assert_ne!(forged.hash(), seal.hash());
        for number in [0, MAX_NUMBER + 1, u64::MAX] {
            let odd = Seal::make(words(number), sign);
            assert_eq!(odd.verify(b"ctx\0", [public]), Err(SealError::Number(number)));
        }
    }
}
