//! The hotline node: tickets, custody, projections, the daemon and the `hotline` program.

pub mod import;
pub mod reference;
pub mod request;
pub mod search;
pub mod ticket;
