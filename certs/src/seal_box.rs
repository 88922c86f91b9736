//! A short secret, sealed to one X25519 key (HPKE, RFC 9180, base mode).
//!
//! Promises: only the holder of the recipient's secret key opens it, and only with the same `info` and `aad`; what
//! was moved to another place does not open. It says nothing about who sealed it: that is for a signature around it.
//!
//! ```text
//! suite (1)   1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305
//! encapsulated key (32)
//! ciphertext (secret + 16)
//! ```

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::rand_core;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use crate::keys::{BoxKey, SecretKey, X25519};

/// The suite that is written; the only one that is read so far.
const SUITE: u8 = 1;

/// The longest secret, in bytes: keys and names fit, documents belong under a key of their own.
pub const MAX_SECRET: usize = 4096;

/// Bytes that sealing adds to a secret.
pub const OVERHEAD: usize = 1 + 32 + 16;

/// Why a secret was not sealed or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxError {
    /// The secret is longer than [`MAX_SECRET`].
    TooLong,
    /// The recipient's key is not usable.
    BadKey,
    /// The box names a suite that this version does not know.
    UnknownSuite(u8),
    /// Another key, other circumstances (`info`, `aad`), or damaged.
    NotOpened,
}

impl fmt::Display for BoxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoxError::TooLong => {
                write!(f, "the secret is longer than {MAX_SECRET} bytes; seal a key instead")
            }
            BoxError::BadKey => f.write_str("the recipient's key is unusable; ask for a new node record"),
            BoxError::UnknownSuite(s) => {
                write!(f, "sealed with cipher suite {s}, which needs a newer version")
            }
            BoxError::NotOpened => f.write_str("sealed to another key or for another place, or damaged"),
        }
    }
}

impl std::error::Error for BoxError {}

/// The bytes that encapsulation draws, from entropy that the caller gives.
struct Drawn(blake3::OutputReader);

impl rand_core::TryRng for Drawn {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut b = [0; 4];
        self.0.fill(&mut b);
        Ok(u32::from_le_bytes(b))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut b = [0; 8];
        self.0.fill(&mut b);
        Ok(u64::from_le_bytes(b))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(dst);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Drawn {}

/// Seals `secret` to `to`, with the operating system's entropy. `info` names the purpose, `aad` the place.
pub fn seal(to: &BoxKey, info: &[u8], aad: &[u8], secret: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut entropy = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *entropy).expect("the operating system gives entropy once it is up");
    seal_with(&entropy, to, info, aad, secret)
}

/// Like [`seal`], with 32 random bytes from the caller. Bytes used twice for one recipient give away that two
/// secrets differ, and by how: they must be fresh each time.
pub fn seal_with(
    entropy: &[u8; 32],
    to: &BoxKey,
    info: &[u8],
    aad: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, BoxError> {
    if secret.len() > MAX_SECRET {
        return Err(BoxError::TooLong);
    }
    let key = <X25519 as Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| BoxError::BadKey)?;
    let mut rng = Drawn(blake3::Hasher::new_keyed(entropy).finalize_xof());
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519>(
        &OpModeS::Base,
        &key,
        info,
        secret,
        aad,
        &mut rng,
    )
    .map_err(|_| BoxError::BadKey)?;
    Ok([&[SUITE][..], &encapsulated.to_bytes(), &ciphertext].concat())
}

/// Opens what was sealed to `key`'s public half under the same `info` and `aad`.
pub fn open(key: &SecretKey, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BoxError> {
    let (suite, rest) = sealed.split_first().ok_or(BoxError::NotOpened)?;
    if *suite != SUITE {
        return Err(BoxError::UnknownSuite(*suite));
    }
    if sealed.len() < OVERHEAD || sealed.len() > MAX_SECRET + OVERHEAD {
        return Err(BoxError::NotOpened);
    }
    let (encapsulated, ciphertext) = rest.split_at(32);
    let encapsulated =
        <X25519 as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| BoxError::NotOpened)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519>(
        &OpModeR::Base,
        &key.x25519(),
        &encapsulated,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| BoxError::NotOpened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_purpose_and_place_open() {
        let key = SecretKey::from_seed(&[1; 32], "box");
        let other = SecretKey::from_seed(&[2; 32], "box");
        let sealed = seal(&key.x25519_public(), b"grant", b"ticket 1", b"the key").unwrap();
        assert_eq!(sealed.len(), 7 + OVERHEAD);
        assert_eq!(open(&key, b"grant", b"ticket 1", &sealed).unwrap().as_slice(), b"the key");
        assert_eq!(open(&other, b"grant", b"ticket 1", &sealed), Err(BoxError::NotOpened));
        assert_eq!(open(&key, b"bundle", b"ticket 1", &sealed), Err(BoxError::NotOpened));
        assert_eq!(open(&key, b"grant", b"ticket 2", &sealed), Err(BoxError::NotOpened));
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert!(open(&key, b"grant", b"ticket 1", &bad).is_err(), "byte {i}");
            assert!(open(&key, b"grant", b"ticket 1", &sealed[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn a_seed_repeats_and_a_bad_key_or_size_is_refused() {
        let to = SecretKey::from_seed(&[1; 32], "box").x25519_public();
        assert_eq!(seal_with(&[9; 32], &to, b"", b"", b"x"), seal_with(&[9; 32], &to, b"", b"", b"x"));
        assert_ne!(seal_with(&[9; 32], &to, b"", b"", b"x"), seal_with(&[8; 32], &to, b"", b"", b"x"));
        assert_eq!(seal(&BoxKey::from_bytes([0; 32]), b"", b"", b"x"), Err(BoxError::BadKey));
        assert_eq!(seal(&to, b"", b"", &[0; MAX_SECRET + 1]), Err(BoxError::TooLong));
    }
}
