//! Deadlines as a person reads them, and computed anew when rules or calendar changed.

use serde_json::{Map, Value, json};
use sync::store::Store;

use super::{Desk, Engine};
use crate::china;
use crate::deadline::Timing;
use crate::projection;
use crate::request::{Failure, Language};

/// The tables that the stored deadlines follow.
pub(super) const RULES: &str = "rules of deadlines";

/// Rows looked at in one go.
const PAGE: usize = 256;

/// Overdue tickets are counted up to so many.
const COUNTED: usize = 10_000;

impl Engine {
    /// Computes the deadlines of open tickets anew when the tables are others than those that they were computed with: little by
    /// little where somebody catches up, else at once. Until all are, it is written down that they follow no tables: so those that
    /// were dated by tables that are gone again are dated again too, also after a crash.
    pub(super) fn rules_changed(&mut self) -> Result<(), Failure> {
        let stored = self.store.meta(RULES)?.unwrap_or_default();
        if self.redating.is_none() && stored == self.reference.rules {
            return Ok(());
        }
        if !stored.is_empty() {
            self.store.put_meta(RULES, &[])?;
        }
        self.redating = Some(0);
        while !self.idles && self.date_some()? {}
        Ok(())
    }

    /// Dates a page of open tickets anew; whether there was anything to do.
    pub(super) fn date_some(&mut self) -> Result<bool, Failure> {
        let Some(after) = self.redating else { return Ok(false) };
        let page = projection::date_again(self.store.connection(), &self.reference, after, PAGE)?;
        let Some((last, unread)) = page else {
            self.redating = None;
            self.figures_changed(true)?;
            self.store.put_meta(RULES, &self.reference.rules)?;
            return Ok(true);
        };
        self.redating = Some(last);
        for doc in unread {
            if let Some((document, matter)) = self.replica.open_document(doc, &mut self.store, &self.desk)? {
                let row = <Desk as sync::matter::Domain<_>>::row(document, matter);
                sync::matter::Domain::project(&mut self.desk, &mut self.store, &doc, row)?;
            }
        }
        Ok(true)
    }

    /// How many open tickets are overdue here, counted up to ten thousand.
    pub(super) fn overdue(&mut self) -> Result<u64, Failure> {
        let now = china::shown(self.reading().moment());
        Ok(projection::overdue(self.store.connection(), &now, COUNTED)?)
    }

    /// A ticket's deadline as `ticket show` prints it; null when its rules set none.
    pub(super) fn deadline_of(&self, clock: &Value, facts: &Map<String, Value>, stage: &str) -> Value {
        let timing = Timing::of(clock, facts, projection::is_done(stage));
        let deadline = timing.deadline(&self.reference);
        deadline.map_or(Value::Null, |deadline| deadline.shown(&timing, self.reading().moment()))
    }

    /// The line that closes a ticket's story.
    pub(super) fn deadline_line(deadline: &Value, language: Language) -> Option<Value> {
        let text = match language {
            Language::Zh => format!("办理时限：{}。", deadline["text"]["zh"].as_str()?),
            Language::En => format!("deadline: {}", deadline["text"]["en"].as_str()?),
        };
        Some(json!({ "entry": null, "at": null, "text": text, "mark": "in force" }))
    }
}
