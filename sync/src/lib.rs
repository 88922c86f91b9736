//! Documents, signed changes, links, repair and bundles.
//!
//! `sync` decides and never acts: it holds no clock, no entropy, no socket and no global. It knows nothing of
//! tickets; what a document means comes in through a trait.

pub mod chunk;
pub mod digest;
pub mod document;
pub mod file;
pub mod id;
pub mod item;
pub mod matter;
pub mod merkle;
pub mod parcel;
pub mod quic;
pub mod replica;
pub mod seal;
pub mod sketch;
pub mod store;
pub mod trust;
pub mod wire;
