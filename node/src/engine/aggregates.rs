//! Telling aggregates: each night, of yesterday and of every earlier day of which something else holds since.
//!
//! The ministry tells nothing, for nobody is above it. The replicas of a site tell one after the other, an hour apart: who comes later
//! finds what was told, and adds nothing unless it knows of more. A replica that was cut off, or a node that was put back, may tell of
//! fewer tickets than there are; of two alike the one with more holds, and the next night sets right what is still wrong. A new
//! node tells no day before its first night but those of which it holds tickets. While the date is in doubt nothing is told.

use std::collections::BTreeSet;

use certs::{Site, Standing};
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::Value;
use sync::id::DocId;
use sync::store::Store;

use super::{Engine, shown_time};
use crate::aggregate::{Edition, creation, telling};
use crate::china;
use crate::figures::Period;
use crate::projection::aggregate::{self, Told};
use crate::request::{Failure, FailureKind};

/// The last day on which everything was told.
const TOLD: &str = "aggregates told";

/// How long after midnight the first replica of a site begins, and how long after it the next one, in minutes.
const AFTER: i64 = 10;
const APART: i64 = 60;

/// Days older than this are told anew once a week and when a month begins, or their documents would grow with every ticket that
/// moves.
const FRESH: i32 = 7;

/// Days that nobody told of, because the node was down, are told up to so many back.
const GAP: i32 = 31;

/// How far the telling has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Telling {
    /// The last day on which everything was told, as far as it was read.
    told: Option<Date>,
    /// The day in whose night it was seen to that no day before it is passed over.
    gaps: Option<Date>,
    /// A day that could not be told tonight: those before it, and it, have had their turn.
    passed: Option<Date>,
    /// The day in whose night all was told that was said of articles, and the last day that had its turn tonight.
    pub(super) uses: Option<Date>,
    pub(super) uses_of: Option<Date>,
}

impl Engine {
    /// The day on which something is to be told now; `None` when nothing is.
    pub(super) fn tells(&mut self) -> Result<Option<Date>, Failure> {
        if self.me().site() == Site::MINISTRY {
            return Ok(None);
        }
        let Some(today) = self.turn(self.telling.told) else { return Ok(None) };
        // A clock that was ahead must not keep this site silent until then.
        let told = self.store.meta(TOLD)?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        self.telling.told = told.filter(|told| *told <= today);
        Ok((self.telling.told != Some(today)).then_some(today))
    }

    /// Today, once this node's turn of the night has come and when it was not `done` today; `None` while the date is in doubt.
    pub(super) fn turn(&self, done: Option<Date>) -> Option<Date> {
        let me = self.me();
        let now = china::moment(self.now).map(china::zoned).filter(|_| self.clock.doubt().is_none())?;
        if done == Some(now.date()) {
            return None;
        }
        let before =
            self.replica.trust().directory().nodes_of(me.site()).filter(|node| *node < me).count() as i64;
        let minutes = i64::from(now.hour()) * 60 + i64::from(now.minute());
        (minutes >= AFTER + APART * before).then(|| now.date())
    }

    /// All was told before this day.
    fn all_told(&mut self, today: Date) -> Result<(), Failure> {
        (self.telling.told, self.telling.passed) = (Some(today), None);
        Ok(self.store.put_meta(TOLD, today.to_string().as_bytes())?)
    }

    /// Tells one day, once rows are counted; whether there may be more. What cannot be told is said to the operator and waits for the
    /// next night: no ticket waits for a number, and no day for another.
    pub(super) fn tell(&mut self) -> Result<bool, Failure> {
        let Some(today) = self.tells()? else { return Ok(false) };
        if self.telling.told.is_none() {
            self.all_told(today)?;
            return Ok(false);
        }
        if self.telling.gaps != Some(today) {
            self.telling.gaps = Some(today);
            self.fill_gaps(today)?;
        }
        let all = today.weekday() == Weekday::Monday || today.day() <= 3;
        let from = if all { Date::MIN } else { today.saturating_sub(FRESH.days()) };
        let me = self.me().site();
        let Some(day) = aggregate::stale(self.store.connection(), me, from, today, self.telling.passed)?
        else {
            self.all_told(today)?;
            return Ok(false);
        };
        match self.tell_day(day) {
            Ok(()) => aggregate::unmark(self.store.connection(), &day.to_string())?,
            Err(failure) if failure.kind == FailureKind::TryAgain => return Err(failure),
            Err(failure) => {
                tracing::warn!(%day, %failure, causes = ?failure.causes, "the aggregate of a day cannot be told");
                self.note_text(0, format!("the aggregate of {day} cannot be told: {failure}"));
                self.telling.passed = Some(day);
            }
        }
        Ok(true)
    }

    /// Notes the days since the last that was told, also those on which nobody called: so the ministry knows a day without calls from
    /// one that it has not heard of.
    fn fill_gaps(&mut self, today: Date) -> Result<(), Failure> {
        let me = self.me().site();
        let db = self.store.connection();
        let last =
            aggregate::sites(db, today)?.into_iter().find(|told| told.site == me).map(|told| told.last);
        let mut day = today.saturating_sub(1.day());
        for _ in 0..GAP {
            if last.is_some_and(|last| day <= last) {
                break;
            }
            aggregate::mark_stale(db, &day.to_string())?;
            if last.is_none() {
                break; // it never told: from yesterday on
            }
            day = day.saturating_sub(1.day());
        }
        Ok(())
    }

    fn tell_day(&mut self, day: Date) -> Result<(), Failure> {
        let me = self.me();
        // What was done in this transaction is in no row yet, and the day would not be noted again for it.
        self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        let cells = aggregate::cells_of_day(self.store.connection(), me.site(), day)?;
        let before = aggregate::edition_of(self.store.connection(), me.site(), day)?;
        let number = before.as_ref().map_or(0, |before| before.edition).saturating_add(1);
        let edition = Edition { edition: number, node: me, at: shown_time(self.now), cells };
        // Who holds fewer tickets of a day than were told has not heard of all, and tells nothing until it has.
        let told = |before: &Edition| before.cells == edition.cells || before.tickets() > edition.tickets();
        if before.as_ref().is_some_and(told) {
            return Ok(());
        }
        let Ok(month) = Period::month_of(day) else { return Ok(()) };
        let Some(entries) = telling(day, &edition) else {
            return Err(Failure::new(
                FailureKind::Failed,
                "the day has more kinds of tickets than are taken",
            ));
        };
        let doc = self.aggregate(month)?;
        for entry in entries {
            self.enter(doc, entry.to_string().as_bytes())?;
        }
        // The next step of the same transaction finds its row.
        Ok(self.replica.flush(self.now, &mut self.store, &mut self.desk)?)
    }

    /// The document of a month, which is begun when there is none, or when all that there are have outgrown what is loaded.
    pub(super) fn aggregate(&mut self, month: Period) -> Result<DocId, Failure> {
        let me = self.me();
        let known = aggregate::documents(self.store.connection(), me.site(), &month.month_name())?;
        for doc in &known {
            if self.store.document(doc)?.is_some_and(|row| !row.frozen) {
                return Ok(*doc);
            }
        }
        self.begin_trail(creation(me, month, known.len() + 1).to_string().into_bytes())
    }

    /// The sites below this one that have not told of this day yet, of those that have a node.
    pub(super) fn untold(&mut self, day: Date, today: Date) -> Result<BTreeSet<Site>, Failure> {
        let me = self.me().site();
        let told = aggregate::sites(self.store.connection(), today)?;
        let told: BTreeSet<Site> = told.into_iter().filter(|t| t.last >= day).map(|t| t.site).collect();
        let directory = self.replica.trust().directory();
        let below = directory.nodes().filter(|node| me.is_above(node.site()) && !told.contains(&node.site()));
        Ok(below
            .filter(|node| directory.standing(*node) == Standing::Member)
            .map(|node| node.site())
            .collect())
    }
}

/// How far those told that did within the last weeks, for whoever reads figures that are made of it: `null` where they are not.
pub(super) fn shown(db: &rusqlite::Connection, me: Site, today: Date) -> Result<Value, Failure> {
    if me != Site::MINISTRY {
        return Ok(Value::Null);
    }
    let since = today.saturating_sub(GAP.days());
    let sites: Vec<Told> =
        aggregate::sites(db, today)?.into_iter().filter(|told| told.last >= since).collect();
    let last = sites.iter().map(|told| told.last).min();
    Ok(serde_json::json!({ "sites": sites.len(), "last": last }))
}
