//! Who is who: sites and nodes and their names, the three-tier PKI, node identities, enrolment and revocation.
//!
//! This crate proves identity. It never opens a socket, never reads a clock (callers pass the time they
//! believe in) and knows nothing of documents or tickets. It draws entropy only to make keys and to seal boxes.
//!
//! ```text
//! name        sites, nodes, tiers                         clock       certificate time, clock doubt
//! keys        secret and public keys, signatures          seal_box    a short secret to one key (HPKE)
//! chain       what a certificate chain proves             authority   root and provinces: enrol, revoke
//! root        the pinned roots, fingerprints              template    what authorities write into certificates
//! request     enrolment by files                          identity    one node's keys, chain and record
//! record      a node's keys, signed by itself             revocation  an authority's revocation list
//! directory   all records and lists, standing, trust      tls         configurations for links
//! ```

pub mod authority;
pub mod chain;
pub mod clock;
mod codec;
pub mod directory;
mod files;
pub mod identity;
pub mod keys;
pub mod name;
pub mod record;
pub mod recovery;
pub mod request;
pub mod revocation;
mod root;
pub mod seal_box;
mod template;
pub mod tls;
mod verified;

pub use authority::{Authority, AuthorityError};
pub use chain::{ChainError, Dates, IssuerId, Jurisdiction, Leaf, Serial};
pub use clock::{CertificateClock, Doubt, UnixTime};
pub use directory::{Admitted, Directory, Expiring, Revocation, Standing, Trust};
pub use files::FileError;
pub use identity::{Enrolment, Identity, IdentityError};
pub use keys::{BadSignature, BoxKey, NodeKeys, SecretKey, SigningKey};
pub use name::{NameError, NodeName, Site, Tier};
pub use record::{NodeRecord, RecordError};
pub use recovery::RecoveryKey;
pub use request::{Request, RequestError, Response};
pub use revocation::{Reason, RevocationError, RevocationList, Subject};
pub use root::{Fingerprint, Root};
pub use verified::Verified;
