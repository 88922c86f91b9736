//! Confirms that are due are written in the transaction that shows them due.

use super::Engine;
use crate::request::Failure;
use crate::ticket::confirm::due;

impl Engine {
    /// Writes the confirms that are due in tickets that changed; whether it wrote any. Only those are opened of which an offer has
    /// ended: a first sync puts documents aside early, and would load ten thousand again to find that nothing is due.
    pub(super) fn confirm(&mut self) -> Result<bool, Failure> {
        let me = self.me().site();
        let mut wrote = false;
        for doc in std::mem::take(&mut self.desk.handed) {
            let due = self.with_document(doc, |_, matter| due(matter, me))?;
            if let Some(op) = due {
                self.write_entry(doc, op, None, None, None)?;
                wrote = true;
            }
        }
        Ok(wrote)
    }
}
