//! Figures (统计分析): how many, how many of how many, and when; for any period, at every tier, from the tickets themselves.
//!
//! ```text
//! ticket ──fold──> facts of one ticket ──projection──> its row, and the tally of its day
//!                                                            │ period, and the two that it is compared with
//! definitions (reference table) ── conditions over facts ────┴──> figures, by a dimension, each open to its tickets
//! ```
//!
//! A period is of days of China's time, and a ticket belongs to the day on which its call was taken, for ever: so days add up
//! to months, months to quarters, and every figure can name its tickets. A ticket is counted at the site that took the call and
//! at every site above it, so a province's figures are those of its cities and its own. What a figure *means* is no code: see
//! [`crate::reference::Definitions`]. Nothing here names a caller or shows a word of a ticket.

mod facts;
mod form;
mod lines;
mod period;
mod report;
mod tiles;

pub(crate) use facts::VERSION;
pub use facts::{Alternatives, FACTS, Fact, Facts};
pub use form::{Counted, Foot, NAMED, Printed, Three, forms, last_quarter, printed, sheets};
pub use lines::{meanings, moved, sheet, shown};
pub use period::Period;
pub use report::{Figure, MOST_VALUES, Numbers, change, report};
pub use tiles::{Tile, drawn, tiles};

use std::fmt;
use std::str::FromStr;

use crate::reference::{CategoryCode, Reference};

/// By what figures are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// 业务类型.
    Business,
    /// 领域.
    Domain,
    /// 事项.
    Topic,
    /// 来源渠道.
    Channel,
    /// 下级单位: what lies directly below this site and took the call, or has below it who did.
    Unit,
    /// 受理单位: the site that took the call.
    Region,
    /// 承办单位: the site that holds it, or held it when it ended.
    Handler,
    /// 日期: the day on which it did.
    Day,
}

/// All dimensions with their names.
pub const DIMENSIONS: [(Dimension, &str); 8] = [
    (Dimension::Business, "business"),
    (Dimension::Domain, "domain"),
    (Dimension::Topic, "topic"),
    (Dimension::Channel, "channel"),
    (Dimension::Unit, "unit"),
    (Dimension::Region, "region"),
    (Dimension::Handler, "handler"),
    (Dimension::Day, "day"),
];

impl Dimension {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        DIMENSIONS.iter().find(|(dimension, _)| *dimension == self).map_or("", |(_, name)| name)
    }

    /// Whether aggregates tell by it, and so the ministry does. Who handles a ticket is known where the ticket is.
    pub fn is_told(self) -> bool {
        self != Dimension::Handler
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(s: &str) -> Result<Dimension, String> {
        DIMENSIONS.into_iter().find(|(_, name)| *name == s).map(|(dimension, _)| dimension).ok_or_else(|| {
            let names: Vec<&str> = DIMENSIONS.iter().map(|(_, name)| *name).collect();
            format!(
                "figures are not told apart by `{}`, but by {}",
                s.chars().take(40).collect::<String>(),
                names.join(", ")
            )
        })
    }
}

/// What a value of a dimension is called: a category or a site by its name, anything else by itself; empty for what was not said.
pub fn named(reference: &Reference, dimension: Option<Dimension>, value: &str) -> String {
    let category = || value.parse::<CategoryCode>().ok().and_then(|code| reference.categories.get(&code));
    match dimension {
        Some(Dimension::Domain | Dimension::Topic) => category().map_or(value, |c| c.name()).to_owned(),
        Some(Dimension::Unit | Dimension::Region | Dimension::Handler) => match value.parse() {
            Ok(site) => reference.centres.name(site).into_owned(),
            Err(_) => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// What of the tickets behind a figure is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Those that count.
    #[default]
    Counted,
    /// Of a rate: those that could have counted and do not.
    Rest,
}
