//! Proof as a type.

use std::ops::Deref;

/// A value whose signatures were checked. Three doors lead in, all inside this crate: verification of bytes from
/// outside, own creation, and reloading bytes that this node had verified before it stored them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Only for code that has just checked or made the value, or reads it back from trusted storage.
    pub(crate) fn vouch(value: T) -> Verified<T> {
        Verified(value)
    }

    /// The value without its proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
