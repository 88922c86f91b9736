//! Aggregates (每日汇总): what a site tells of the tickets that it took, day by day, so that whoever does not hold them can count
//! them.
//!
//! ```text
//! a day's own tickets ──group──> cells {values, facts, due, n}
//!      │ each night: yesterday, and every earlier day of which something else holds since
//! document of kind `aggregate`, one for a site and month: create {month}, day {day, edition, cells} ...
//!      │ sealed and replicated to the site's superiors and the ministry, like everything
//! tally of what was told (projection) ──> figures and scorecard of the ministry
//! ```
//!
//! The ministry holds few of the nation's tickets. It counts those that it took itself by their rows, and everything below it by
//! aggregates, and no ticket by both. A province holds the tickets of its cities and counts them by their rows.
//!
//! An edition of a day is told whole and takes the place of the one before, so nothing that is told twice counts twice. A cell
//! holds no word of a ticket, no number and no caller.
//!
//! What agents said of articles travels in the same documents ([`uses`]): it, too, is counted at every site and added up above.

mod month;
pub mod uses;

pub use month::{Cell, Edition, Month, creation, telling};

/// The kind of document that a month of a site's aggregates is.
pub const KIND: &str = "aggregate";
