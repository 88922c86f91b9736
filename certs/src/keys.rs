//! Keys: 32 secret bytes, what they sign and open, and how they lie in a file.
//!
//! Promises: a secret key is never printed, is wiped when dropped, and every signature is bound to its purpose by a
//! prefix, `hotline/<context>/v1\0`, so that bytes signed for one purpose prove nothing for another.
//!
//! In files keys are PKCS#8 (RFC 8410) in PEM, as other tools write and read them:
//!
//! ```text
//! 30 2e 02 01 00 30 05 06 03 2b 65 TT 04 22 04 20 <32 bytes>      TT: 70 Ed25519, 6e X25519
//! ```

use std::fmt;

use hpke::{Deserializable, Kem, Serializable};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The KEM whose secret keys [`SecretKey::x25519_public`] belongs to.
pub(crate) type X25519 = hpke::kem::X25519HkdfSha256;

/// The tag of a private key's PEM block.
const PEM_TAG: &str = "PRIVATE KEY";

/// A public Ed25519 key: seals verify by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SigningKey([u8; 32]);

/// A public X25519 key: short secrets are sealed to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BoxKey([u8; 32]);

macro_rules! public_key {
    ($name:ident) => {
        impl $name {
            /// The key with these 32 bytes. Any bytes are taken; a bad key verifies and opens nothing.
            pub const fn from_bytes(bytes: [u8; 32]) -> $name {
                $name(bytes)
            }

            /// The key's 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}..)"), &blake3::Hash::from(self.0).to_hex()[..8])
            }
        }
    };
}

public_key!(SigningKey);
public_key!(BoxKey);

/// A signature does not belong to these bytes, this key and this context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not belong to these bytes; fetch them again from another place")
    }
}

impl std::error::Error for BadSignature {}

fn in_context(context: &str, bytes: &[u8]) -> Vec<u8> {
    assert!(
        !context.is_empty() && context.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
        "a signing context is a word of the code, in small letters"
    );
    [b"hotline/", context.as_bytes(), b"/v1\0", bytes].concat()
}

impl SigningKey {
    /// Whether `signature` is by this key over `bytes` in `context`. A context is a word in small letters, part
    /// of the code (anything else panics).
    pub fn verify(&self, context: &str, bytes: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.verify_raw(&in_context(context, bytes), signature)
    }

    /// Without a context: what X.509 signs.
    pub(crate) fn verify_raw(&self, bytes: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, signature).map_err(|_| BadSignature)
    }
}

/// 32 secret bytes, an Ed25519 seed or an X25519 scalar as its place says. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// The algorithm a secret key's file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Ed25519,
    X25519,
}

impl Algorithm {
    fn prefix(self) -> [u8; 16] {
        let tag = match self {
            Algorithm::Ed25519 => 0x70,
            Algorithm::X25519 => 0x6e,
        };
        [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, tag, 4, 0x22, 4, 0x20]
    }
}

impl SecretKey {
    /// A new key from the operating system's entropy.
    pub fn generate() -> SecretKey {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).expect("the operating system gives entropy once it is up");
        SecretKey(bytes)
    }

    /// The key that a seed and a purpose give: for simulated worlds and demonstrations, where everything repeats.
    pub fn from_seed(seed: &[u8; 32], purpose: &str) -> SecretKey {
        let mut hasher = blake3::Hasher::new_derive_key("hotline certs 2026 key from a seed");
        hasher.update(seed).update(purpose.as_bytes());
        let key = SecretKey(Zeroizing::new(*hasher.finalize().as_bytes()));
        hasher.reset();
        key
    }

    fn ed25519(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&*self.0).expect("every 32 bytes are an Ed25519 seed")
    }

    /// The key in a PEM file of one Ed25519 key (PKCS#8); `None` when it is anything else.
    pub fn from_pem(text: &str) -> Option<SecretKey> {
        from_pem(Algorithm::Ed25519, text, 1).and_then(|mut keys| keys.pop())
    }

    /// The public half, as an Ed25519 key.
    pub fn ed25519_public(&self) -> SigningKey {
        SigningKey(self.ed25519().public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes"))
    }

    /// The public half, as an X25519 key.
    pub fn x25519_public(&self) -> BoxKey {
        BoxKey(X25519::sk_to_pk(&self.x25519()).to_bytes().into())
    }

    pub(crate) fn x25519(&self) -> <X25519 as Kem>::PrivateKey {
        Deserializable::from_bytes(&*self.0).expect("every 32 bytes are an X25519 scalar")
    }

    /// Signs `bytes` for one purpose. A context is a word in small letters, part of the code (anything else
    /// panics).
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        let signature = self.ed25519().sign(&in_context(context, bytes));
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    /// PKCS#8.
    pub(crate) fn pkcs8(&self, algorithm: Algorithm) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&algorithm.prefix()[..], &self.0[..]].concat())
    }

    /// For rcgen, which signs certificates and requests.
    pub(crate) fn rcgen(&self) -> rcgen::KeyPair {
        let der = self.pkcs8(Algorithm::Ed25519);
        rcgen::KeyPair::try_from(der.as_slice()).expect("PKCS#8 made here is an Ed25519 key")
    }
}

/// Several keys of one algorithm as PEM, in this order.
pub(crate) fn to_pem(algorithm: Algorithm, keys: &[SecretKey]) -> Zeroizing<String> {
    let mut all = Zeroizing::new(String::with_capacity(keys.len() * 160));
    for key in keys {
        let block = pem::Pem::new(PEM_TAG, key.pkcs8(algorithm).to_vec());
        all.push_str(&Zeroizing::new(pem::encode_config(&block, pem_form())));
        block.into_contents().zeroize();
    }
    all
}

/// The keys of one algorithm in a PEM file, at least one and at most `most`; `None` when it is anything else.
pub(crate) fn from_pem(algorithm: Algorithm, text: &str, most: usize) -> Option<Vec<SecretKey>> {
    let blocks = pem::parse_many(text).ok()?;
    let key = |block: &pem::Pem| {
        let secret = block.contents().strip_prefix(&algorithm.prefix()[..])?;
        (block.tag() == PEM_TAG).then_some(())?;
        Some(SecretKey(Zeroizing::new(secret.try_into().ok()?)))
    };
    let keys: Option<Vec<SecretKey>> = blocks.iter().map(key).collect();
    blocks.into_iter().for_each(|b| b.into_contents().zeroize());
    keys.filter(|k| (1..=most).contains(&k.len()))
}

/// How PEM is written: lines end as they do here.
pub(crate) fn pem_form() -> pem::EncodeConfig {
    pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)
}

/// The four keys of one node.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    /// TLS and the node record's signature; the certificate is about this one (Ed25519).
    pub tls: SecretKey,
    /// Seals (Ed25519).
    pub sign: SecretKey,
    /// What is sealed to the node (X25519).
    pub node_box: SecretKey,
    /// What is sealed to the node's confidential desk (X25519).
    pub desk: SecretKey,
}

impl NodeKeys {
    /// New keys from the operating system's entropy.
    pub fn generate() -> NodeKeys {
        let key = SecretKey::generate;
        NodeKeys { tls: key(), sign: key(), node_box: key(), desk: key() }
    }

    /// The keys that this seed gives, for simulated worlds.
    pub fn from_seed(seed: &[u8; 32]) -> NodeKeys {
        let key = |purpose| SecretKey::from_seed(seed, purpose);
        NodeKeys { tls: key("tls"), sign: key("sign"), node_box: key("box"), desk: key("desk") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_context_only() {
        let key = SecretKey::from_seed(&[1; 32], "test");
        let public = key.ed25519_public();
        let signature = key.sign("seal", b"words");
        assert_eq!(public.verify("seal", b"words", &signature), Ok(()));
        assert_eq!(public.verify("bundle", b"words", &signature), Err(BadSignature));
        assert_eq!(public.verify("seal", b"word", &signature), Err(BadSignature));
        let other = SecretKey::from_seed(&[2; 32], "test").ed25519_public();
        assert_eq!(other.verify("seal", b"words", &signature), Err(BadSignature));
    }

    #[test]
    fn keys_survive_their_file_and_nothing_else_does() {
        let keys = [SecretKey::generate(), SecretKey::generate()];
        let text = to_pem(Algorithm::X25519, &keys);
        let back = from_pem(Algorithm::X25519, &text, 2).unwrap();
        assert_eq!(back[1].x25519_public(), keys[1].x25519_public());
        assert!(from_pem(Algorithm::Ed25519, &text, 2).is_none(), "another algorithm");
        assert!(from_pem(Algorithm::X25519, &text, 1).is_none(), "too many");
        assert!(from_pem(Algorithm::X25519, "", 2).is_none());
        assert!(from_pem(Algorithm::X25519, &text.replace("PRIVATE", "PUBLIC"), 2).is_none());
    }

    #[test]
    fn keys_from_a_seed_repeat_and_differ_by_purpose() {
        let (a, b) = (NodeKeys::from_seed(&[7; 32]), NodeKeys::from_seed(&[7; 32]));
        assert_eq!(a.tls.ed25519_public(), b.tls.ed25519_public());
        assert_ne!(a.tls.ed25519_public(), a.sign.ed25519_public());
        assert_ne!(a.node_box.x25519_public(), a.desk.x25519_public());
    }

    #[test]
    fn rcgen_and_we_agree_on_the_public_key() {
        let key = SecretKey::generate();
        assert_eq!(key.rcgen().public_key_raw(), key.ed25519_public().as_bytes());
    }
}
