//! The simulated world: many replicas, one thread, one seed, virtual time.

pub mod city;
pub mod relay;
pub mod shim;
pub mod town;
