//! The simulated world: many replicas, one thread, one seed, virtual time.
//!
//! Beside it, what real processes are tormented with: a relay that impairs UDP, and a shim that makes storage fail.

pub mod relay;
pub mod shim;
