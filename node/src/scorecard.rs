//! The monthly scorecard (综合考评): every unit below a site by the rates of the scoring rule, weighed, ranked, and frozen.
//!
//! ```text
//! tally of figures ──month, by unit──> counted / of ──weights in force──> score, rank       (table)
//!                                                                           │ freeze
//! document of kind `scorecard`: create {table}, amend {table, reason} ... ──┴──> record of the month
//! ```
//!
//! A table can be computed at any time and moves with its tickets: a caller of November is asked in December. What a month *was*
//! is the frozen record: a document whose entries are sealed by the node that froze it, held by the site, its superiors and
//! everybody below, and never changed: what is put right later is an amendment with its date and reason beside it.
//!
//! A unit whose changes of the month may be missing here is shown so and has no rank: its silence is no zero.

mod lines;
pub mod months;
mod record;
mod table;

pub use lines::{paper, rates, share, sheet};
pub use record::{Amended, MOST_AMENDED, Record, amendment, creation, heads};
pub use table::{Heard, Hearing, Table, Unit, unit_below};

/// The kind of document that a frozen month is.
pub const KIND: &str = "scorecard";
