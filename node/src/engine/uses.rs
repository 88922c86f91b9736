//! What agents say of articles: counted where they sit, told of each night.
//!
//! A count is on the disk when it is answered, and stands in a document when the night after it is over (see [`crate::knowledge::uses`]).
//! Every node tells its own, the ministry's too: its replicas hear of each other in no other way.

use jiff::civil::Date;
use serde_json::json;

use super::knowledge::numbered;
use super::{Engine, shown_time};
use crate::aggregate::uses::{Of, telling};
use crate::figures::Period;
use crate::knowledge::uses;
use crate::request::{Failure, FailureKind, Reply};

impl Engine {
    /// Counts that a version helped, or that it did not; without a number the one in force.
    pub(super) fn count_use(&mut self, id: &str, version: Option<u32>, helped: bool) -> Reply {
        let opened = self.article_named(id)?;
        let version = match version {
            Some(number) => numbered(&opened.folded, number)?.number,
            None => opened.folded.in_force().map(|version| version.number).ok_or_else(|| {
                Failure::new(FailureKind::Failed, "nothing of this article is in force")
                    .hint("say which version was read: --version N")
            })?,
        };
        let (article, today) = (opened.doc, self.reading().today()?);
        let of = Of { node: self.me(), day: today, article, version, life: self.replica.incarnation() };
        let db = self.store.connection();
        uses::count(db, &of, helped)?;
        let sums = uses::sums(db, self.me(), &article, today)?;
        Ok(json!({ "id": article.to_string(), "version": version, "use": sums }))
    }

    /// The day in whose night something may have to be told of articles now; `None` when nothing has.
    pub(super) fn tells_uses(&self) -> Option<Date> {
        self.turn(self.telling.uses)
    }

    /// Tells what was said of articles on one day that is over; whether there may be more. What cannot be told is said to the
    /// operator and waits for the next night.
    pub(super) fn tell_uses(&mut self) -> Result<bool, Failure> {
        let Some(today) = self.tells_uses() else { return Ok(false) };
        let (me, after) = (self.me(), self.telling.uses_of);
        let Some(day) = uses::untold(self.store.connection(), me, after, today)? else {
            uses::prune(self.store.connection(), me, today)?;
            (self.telling.uses, self.telling.uses_of) = (Some(today), None);
            return Ok(false);
        };
        match self.tell_uses_of(day) {
            Ok(()) => {}
            Err(failure) if failure.kind == FailureKind::TryAgain => return Err(failure),
            Err(failure) => {
                tracing::warn!(%day, %failure, causes = ?failure.causes, "what was said of articles cannot be told");
                self.note_text(0, format!("what was said of articles on {day} cannot be told: {failure}"));
            }
        }
        self.telling.uses_of = Some(day);
        Ok(true)
    }

    fn tell_uses_of(&mut self, day: Date) -> Result<(), Failure> {
        let me = self.me();
        let counts = uses::untold_of(self.store.connection(), me, day)?;
        let Ok(month) = Period::month_of(day) else { return Ok(()) };
        let doc = self.aggregate(month)?;
        for entry in telling(me, day, &counts, &shown_time(self.now)) {
            self.enter(doc, entry.to_string().as_bytes())?;
        }
        Ok(self.replica.flush(self.now, &mut self.store, &mut self.desk)?)
    }
}
