//! Who is who: sites and nodes and their names, the three-tier PKI, node identities, enrolment and revocation.
//!
//! This crate proves identity. It never opens a socket, never reads a clock (callers pass the time they
//! believe in) and knows nothing of documents or tickets.

pub mod name;

pub use name::{NameError, NodeName, Site, Tier};
