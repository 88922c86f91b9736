//! Retention: the caller's data and recordings of tickets that ended long ago are erased, and the tickets stay.
//!
//! Once a day every node goes through the tickets that its site holds and that have ended, a few at a time while nobody
//! asks for anything. A ticket's time begins with the newest word of its trail, by the clock of whoever wrote it. What is
//! kept (保全) is passed over, and looked at again the next day. The erasing is the same as a person's: a mark that
//! every node follows, with a receipt of each, and a line in the log of reveals.

use sync::id::DocId;
use sync::store::Store;

use super::{Engine, shown_time};
use crate::projection;
use crate::request::Failure;

/// How many rows are looked at in one step, and how many tickets are opened at most.
const LOOKED_AT: usize = 256;
const OPENED: usize = 4;

const DAY: u64 = 86_400_000;

/// Who erases, in marks and in the log.
const USER: &str = "retention";

/// What is erased when its time is over, and how far today's round has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retention {
    days: Option<u32>,
    /// The day whose round is under way or done, since 1970.
    day: u64,
    /// The last row that was looked at; `None` when the day's round is done.
    at: Option<i64>,
}

impl Retention {
    /// Whether a round is due or under way.
    fn is_due(&self, now: u64) -> bool {
        self.at.is_some() || now / DAY > self.day
    }
}

impl Engine {
    /// Erases what ended so many days ago, from now on, whatever the rules say; `None` leaves it to the rules.
    pub fn set_retention(&mut self, days: Option<u32>) {
        self.retention = Retention { days, ..Retention::default() };
    }

    /// After how many days data is erased, if a step of today's round is due. None is while the date is in doubt: what is erased by a
    /// clock that runs ahead is gone.
    pub(super) fn retires(&self) -> Option<u32> {
        let days = self.retention.days.or(self.reference.retention.caller());
        days.filter(|_| self.retention.is_due(self.now) && self.clock.doubt().is_none())
    }

    /// A step of today's round; whether there is more.
    pub(super) fn retire(&mut self) -> Result<bool, Failure> {
        let Some(days) = self.retires() else { return Ok(false) };
        if self.retention.at.is_none() {
            self.retention.day = self.now / DAY;
        }
        let over = shown_time(self.now.saturating_sub(u64::from(days) * DAY));
        let mut at = self.retention.at.unwrap_or(0);
        let site = self.me().site();
        let rows = projection::ended(self.store.connection(), site, at, &over, LOOKED_AT)?;
        let more = rows.len() == LOOKED_AT;
        let mut opened = 0;
        for (row, doc) in rows {
            at = row;
            if let Some(doc) = doc
                && self.retire_ticket(doc, days, &over)?
            {
                opened += 1;
                if opened == OPENED {
                    self.retention.at = Some(at);
                    return Ok(true);
                }
            }
        }
        self.retention.at = more.then_some(at);
        Ok(more)
    }

    /// Erases a ticket's data if its last word is older than `over` and nothing keeps it. Whether it was opened for that.
    fn retire_ticket(&mut self, doc: DocId, days: u32, over: &str) -> Result<bool, Failure> {
        if self.erased(doc)?.is_some() || self.store.document(&doc)?.is_none_or(|d| d.frozen) {
            return Ok(false);
        }
        let due = self.with_document(doc, |_, matter| {
            let newest = matter.entries().filter_map(|e| e.entry.at.as_deref()).max();
            let kept = matter.folded().is_none_or(|folded| !folded.kept.is_empty());
            !kept && newest.is_some_and(|at| at < over)
        })?;
        if due {
            let reason = format!("保存期满（{days} 天） kept for {days} days");
            self.erase(&doc.to_string(), &reason, Some(USER))?;
        }
        Ok(true)
    }
}
