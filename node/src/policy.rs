//! Rules as data (规则): tables that a site sets for itself and everybody below it, from a day on.
//!
//! ```text
//! hotline policy set ──> document of kind `policy`, one for a site and table: create, edition, edition, withdraw ...
//!      │ sealed and replicated to everything below the site, and to those above it
//! editions that are here (`rows`, a projection)
//!      │ which are in force on a day: compiled in -> ministry -> province -> city -> office -> the operator's own file
//! tables of the node (`crate::reference`), made anew when an edition comes or its day does
//! ```
//!
//! An edition is told whole. What came late takes effect from its own day on, since no clock of ours is asked when it arrived: the
//! deadline of a ticket follows the limits in force on the day on which its clock began (`crate::deadline`). Who may set what, and
//! how tiers combine, is data itself ([`crate::reference::Policies`]).
//!
//! *Never*: a rule of custody reads any of this; what does not parse with this version takes the place of what does.

mod book;
mod edition;
pub mod request;
pub mod rows;
mod table;

pub use book::{Book, Built, IN_ORDER, TIME_LIMITS, Unread, chain, check};
pub use edition::{Edition, Name, Set, Withdrawn, creation, telling, withdrawal};
pub use table::{Differences, differences, last_year};

/// The kind of document that a site's editions of a table are.
pub const KIND: &str = "policy";

/// The largest table, in bytes.
pub const MAX_TABLE: usize = 1 << 20;

/// The most lines of a table: whoever holds it parses it whenever the tables are made.
pub const MAX_LINES: usize = 10_000;

/// The longest reason or document number on which an edition rests, and the longest note, in bytes.
pub const MAX_BASIS: usize = 500;
/// See [`MAX_BASIS`].
pub const MAX_NOTE: usize = 1_000;
