//! What is asked about rules.

use serde::{Deserialize, Serialize};

/// A request about the tables that sites set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum PolicyRequest {
    /// The tables, and the editions of each that are in force or coming at this site: `{"day","site","tables":[{"table","may","how",
    /// "tiers","basis","own","editions":[{"name","site","edition","from","node","at","user","basis","note","standing","why"}]}]}`.
    /// `standing` is `in force`, `coming`, `past`, `withdrawn` or `not read`; `own` says that a file of the operator's goes before
    /// all of them.
    List {
        /// Only this table.
        #[serde(default)]
        table: Option<String>,
        /// Those of the past too.
        #[serde(default)]
        all: bool,
    },
    /// A table as it is in force on a day: `{"table","on","made_of":[name],"rows"}`. For time limits `rows` are those of all tiers,
    /// each with the edition that it is of.
    Show {
        /// Of what a lower tier adds or tightens only its own rows, to be edited and set.
        #[serde(default)]
        to_edit: bool,
        /// The table.
        table: String,
        /// The day, as in `2027-01-01`; without it today.
        #[serde(default)]
        on: Option<String>,
        /// One edition alone, by its number, of this site's.
        #[serde(default)]
        edition: Option<u32>,
    },
    /// Sets a table from a day on, as this site: `{"edition":{...},"gone","come"}`.
    Set {
        /// The table.
        table: String,
        /// The whole of it as CSV; of holidays the years that it names.
        rows: String,
        /// From which day on.
        from: String,
        /// On what it rests: a document number, or a reason.
        basis: String,
        /// What else is to be said.
        #[serde(default)]
        note: String,
        /// Nothing is set: only whether it could be, and what it would change.
        #[serde(default)]
        try_only: bool,
        /// Who sets it.
        user: Option<String>,
    },
    /// Takes back an edition of this site's that is not in force yet: `{"edition":{...}}`.
    Withdraw {
        /// The table.
        table: String,
        /// The edition's number.
        edition: u32,
        /// Who takes it back.
        user: Option<String>,
    },
    /// What has changed between two editions of this site's, or between what is in force and a text:
    /// `{"table","before","after","gone":[line],"come":[line]}`.
    Diff {
        /// The table.
        table: String,
        /// The earlier edition; without it what is in force today.
        #[serde(default)]
        from: Option<u32>,
        /// The later one.
        #[serde(default)]
        to: Option<u32>,
        /// Or a text.
        #[serde(default)]
        rows: Option<String>,
    },
    /// The texts of the tables that are in force here and came by editions: `{"tables":[{"table","file","rows"}]}`.
    InForce {},
}
