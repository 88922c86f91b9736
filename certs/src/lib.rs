//! Who is who: sites and nodes and their names, the three-tier PKI, node identities, enrolment and revocation.
//!
//! This crate proves identity. It never opens a socket, never reads a clock (callers pass the time they
//! believe in) and knows nothing of documents or tickets. It draws entropy only to make keys and to seal boxes.

pub mod clock;
pub mod keys;
pub mod name;
pub mod seal_box;
mod verified;

pub use clock::{CertificateClock, Doubt, UnixTime};
pub use keys::{BadSignature, BoxKey, NodeKeys, SecretKey, SigningKey};
pub use name::{NameError, NodeName, Site, Tier};
pub use verified::Verified;
