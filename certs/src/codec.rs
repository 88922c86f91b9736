//! Bytes that others sign, keep and hash: one value, one encoding.
//!
//! ```text
//! body (postcard) | Ed25519 signature over hotline/<context>/v1\0 body (64)
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{BadSignature, SecretKey, SigningKey};

/// The cipher suite that is written: Ed25519, X25519, BLAKE3. Every envelope begins with it.
pub(crate) const SUITE: u8 = 1;

/// Encodes what this crate made itself.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("our shapes have known lengths and memory is there")
}

/// Decodes at most `most` bytes; `None` unless they are exactly what [`encode`] writes for the value.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], most: usize) -> Option<T> {
    if bytes.len() > most {
        return None;
    }
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).ok()?;
    (rest.is_empty() && encode(&value) == bytes).then_some(value)
}

/// A body with its signature behind it.
pub(crate) fn signed(key: &SecretKey, context: &str, body: &impl Serialize) -> Vec<u8> {
    let mut bytes = encode(body);
    let signature = key.sign(context, &bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

/// A body and the signature behind it, unchecked.
pub(crate) struct Unchecked<'a> {
    pub(crate) body: &'a [u8],
    signature: &'a [u8; 64],
}

impl<'a> Unchecked<'a> {
    pub(crate) fn split(bytes: &'a [u8]) -> Option<Unchecked<'a>> {
        let (body, signature) = bytes.split_last_chunk::<64>()?;
        Some(Unchecked { body, signature })
    }

    pub(crate) fn check(&self, key: &SigningKey, context: &str) -> Result<(), BadSignature> {
        key.verify(context, self.body, self.signature)
    }
}
