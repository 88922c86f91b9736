//! Confirms that are due are written in the transaction that shows them due.

use std::collections::BTreeMap;

use sync::id::DocId;

use super::Engine;
use super::owing::Owing;
use crate::request::Failure;
use crate::ticket::confirm::due;

impl Engine {
    /// Writes the confirms that are due in these documents; whether it wrote any.
    pub(super) fn confirm(&mut self, touched: &BTreeMap<DocId, Owing>) -> Result<bool, Failure> {
        let me = self.me().site();
        let mut wrote = false;
        for (doc, _) in touched.iter().filter(|(_, owing)| owing.confirm) {
            let due = self.with_document(*doc, |_, matter| due(matter, me))?;
            if let Some(op) = due {
                self.write_entry(*doc, op, None, None, None)?;
                wrote = true;
            }
        }
        Ok(wrote)
    }
}
