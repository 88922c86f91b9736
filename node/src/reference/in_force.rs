//! The tables that are in force at a node, shared by everybody who reads them: when others come into force all see them.

use std::sync::{Arc, PoisonError, RwLock};

use super::Reference;

/// A node's tables as they are in force. Whoever answers takes them once, so that an answer is of one set of tables.
#[derive(Clone, Debug)]
pub struct InForce(Arc<RwLock<Arc<Reference>>>);

impl InForce {
    /// These, until others come into force.
    pub fn new(reference: Arc<Reference>) -> InForce {
        InForce(Arc::new(RwLock::new(reference)))
    }

    /// Those of this moment.
    pub fn now(&self) -> Arc<Reference> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Others from now on.
    pub fn put(&self, reference: Arc<Reference>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reference;
    }
}
