//! The simulated world: many replicas, one thread, one seed, virtual time.

pub mod city;
pub mod relay;
pub mod shim;
pub mod town;
pub mod virtual_net;
pub mod virtual_town;
