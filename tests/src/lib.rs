//! The simulated world: many replicas, one thread, one seed, virtual time.
