//! Where one machine is outgrown: the same tickets for engines that read more than a node should be asked.
//!
//! ```text
//! projection ──row──> rows of the read model ──upserts, with the cursor, in one transaction──> PostgreSQL (`postgres`)
//!     │                                      ──a file for each month, renamed when whole────> Parquet (`partitions`)
//! log of changes ──cursor──> which of them to read again
//! ```
//!
//! The node stays what it is: it is asked over its socket, page by page, by readers that write nothing, and never waits for
//! whoever takes the pages. What a row says is defined once ([`row::COLUMNS`]) and is the same for both: where a ticket stands,
//! what it is about by codes, when, and what figures know of it.
//!
//! *Never*: a caller, a telephone number, a place, a subject, a word or a file of a ticket, or who worked on it; a ticket whose personal data
//! was erased.

pub mod parquet;
pub mod partitions;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod row;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::{Failure, FailureKind};

/// Most rows of a page.
pub const PAGE: usize = 1_000;

/// What is asked of a node for the read model. Every reply with rows is of one moment, and `change` is the number of the last change that it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lake", rename_all = "kebab-case")]
pub enum LakeRequest {
    /// Where to begin: `{"node","cursor","tables"}`. `tables` is a fingerprint of what rows depend on beside their tickets, and null
    /// while rows are made anew after an update.
    Begin,
    /// All tickets in the order of their ids: `{"rows","next","change"}`; `next` is null on the last page. Gone when the cursor
    /// does not fit any more.
    All {
        /// The cursor that was there at the beginning.
        cursor: String,
        /// After this id; from the first on when it is empty.
        after: String,
        /// At most so many.
        limit: usize,
    },
    /// The tickets that were touched after a cursor, each once: `{"rows","gone":[id],"next":cursor,"change","tables"}`. Gone when the
    /// cursor does not fit.
    Changed {
        /// The cursor.
        cursor: String,
        /// At most so many changes.
        limit: usize,
    },
    /// The months of which there are tickets, or of those that were touched after a cursor: `{"months":[...],"next":cursor|null}`, the empty
    /// one for tickets of which nobody says when they were taken; `next` is null when there are no more.
    Months {
        /// The cursor, for those that were touched.
        cursor: Option<String>,
        /// At most so many changes.
        limit: usize,
    },
    /// The tickets of a month: `{"rows","next":row|null}`.
    Month {
        /// The month, as in `2026-11`, or empty.
        month: String,
        /// After this one of an earlier page.
        after: Option<(String, i64)>,
        /// At most so many.
        limit: usize,
    },
}

/// What a reply says under this key.
fn understood<T: DeserializeOwned>(reply: &mut Value, key: &str) -> Result<T, Failure> {
    serde_json::from_value(reply[key].take()).map_err(|e| {
        Failure::new(FailureKind::Failed, format!("the node's answer has no `{key}` that is understood"))
            .because(e)
            .hint("are both of one version? hotline --version")
    })
}
