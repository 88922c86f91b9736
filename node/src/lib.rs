//! The hotline node: tickets, custody, projections, the daemon and the `hotline` program.

pub mod aggregate;
pub mod backup;
pub mod buckets;
pub mod bundles;
pub mod cell;
pub mod changes;
pub mod china;
pub mod cli;
pub mod config;
pub mod content;
pub mod daemon;
pub mod deadline;
pub mod demo;
pub mod desk;
pub mod doctor;
pub mod engine;
pub mod figures;
pub mod files;
pub mod hex;
pub mod hooks;
pub mod import;
pub mod knowledge;
pub mod lake;
pub mod log;
pub mod others;
pub mod pdf;
pub mod plan;
pub mod policy;
pub mod projection;
pub mod public;
pub mod reference;
pub mod request;
pub mod roll;
pub mod scorecard;
pub mod search;
mod secret;
pub mod sip;
pub mod sms;
pub mod ticket;
pub mod users;
pub mod vault;

/// Documents are many small pieces: with glibc's allocator a fifth of the time of a first sync went into it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
