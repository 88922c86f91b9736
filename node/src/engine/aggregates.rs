//! Telling aggregates: each night, of yesterday and of every earlier day of which something else holds since.
//!
//! The ministry tells nothing, for nobody is above it. The replicas of a site tell one after the other, an hour apart: who comes later
//! finds what was told, and adds nothing unless it knows of more. A replica that was cut off, or a node that was put back, may tell of
//! fewer tickets than there are; of two alike the one with more holds, and the next night sets right what is still wrong. A new
//! node begins with its first night. While the date is in doubt nothing is told.

use std::collections::{BTreeSet, HashMap};

use automerge::transaction::Transactable;
use automerge::{ScalarValue, hydrate};
use certs::{Site, Standing};
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::Value;
use sync::id::DocId;
use sync::replica::Beginning;
use sync::store::Store;

use super::create::write_failure;
use super::{Engine, shown_time};
use crate::aggregate::{Edition, creation, telling};
use crate::china;
use crate::figures::Period;
use crate::projection::aggregate::{self, Told};
use crate::request::{Failure, FailureKind};
use crate::ticket::{EntryId, TicketMatter};

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
}

impl Engine {
    /// The day on which something is to be told now; `None` when nothing is.
    pub(super) fn tells(&mut self) -> Result<Option<Date>, Failure> {
        let me = self.me();
        if me.site() == Site::MINISTRY || self.clock.doubt().is_some() {
            return Ok(None);
        }
        let Some(now) = china::moment(self.now).map(china::zoned) else { return Ok(None) };
        if self.telling.told == Some(now.date()) {
            return Ok(None);
        }
        let before =
            self.replica.trust().directory().nodes_of(me.site()).filter(|node| *node < me).count() as i64;
        let minutes = i64::from(now.hour()) * 60 + i64::from(now.minute());
        if minutes < AFTER + APART * before {
            return Ok(None);
        }
        // A clock that was ahead must not keep this site silent until then.
        self.telling.told = self.told_to()?.filter(|told| *told <= now.date());
        Ok((self.telling.told != Some(now.date()) && !self.counts_anew()?).then(|| now.date()))
    }

    fn told_to(&mut self) -> Result<Option<Date>, Failure> {
        Ok(self.store.meta(TOLD)?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
    }

    /// All was told before this day.
    fn all_told(&mut self, today: Date) -> Result<(), Failure> {
        self.telling.told = Some(today);
        Ok(self.store.put_meta(TOLD, today.to_string().as_bytes())?)
    }

    /// Tells one day; whether there may be more. What cannot be told is said to the operator and waits for the next night: no ticket
    /// waits for a number.
    pub(super) fn tell(&mut self) -> Result<bool, Failure> {
        let Some(today) = self.tells()? else { return Ok(false) };
        if self.told_to()?.is_none() {
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
        let Some(day) = aggregate::stale(self.store.connection(), me, from, today)? else {
            self.all_told(today)?;
            return Ok(false);
        };
        match self.tell_day(day) {
            Ok(()) => aggregate::unmark(self.store.connection(), &day.to_string())?,
            Err(failure) if failure.kind == FailureKind::TryAgain => return Err(failure),
            Err(failure) => {
                tracing::warn!(%day, %failure, causes = ?failure.causes, "the aggregate of a day cannot be told");
                self.note_text(0, format!("the aggregate of {day} cannot be told: {failure}"));
                self.all_told(today)?;
                return Ok(false);
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
            let bytes = entry.to_string().into_bytes();
            let write = |document: &sync::document::Document,
                         tx: &mut automerge::transaction::Transaction<'_>| {
                let trail = document.part("trail").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&trail, EntryId::of(&bytes).to_string(), bytes.clone())
            };
            self.replica
                .write(Some(doc), &mut self.store, &mut self.desk, write)
                .map(drop)
                .map_err(write_failure)?;
        }
        // The next step of the same transaction finds its row.
        Ok(self.replica.flush(self.now, &mut self.store, &mut self.desk)?)
    }

    /// The document of a month, which is begun when there is none.
    fn aggregate(&mut self, month: Period) -> Result<DocId, Failure> {
        let me = self.me();
        if let Some(doc) = self.known_aggregate(month)? {
            return Ok(doc);
        }
        let bytes = creation(me, month).to_string().into_bytes();
        let id = EntryId::of(&bytes).to_string();
        let trail = HashMap::from([(id.as_str(), hydrate::Value::from(ScalarValue::Bytes(bytes)))]);
        let parts = hydrate::Map::from(HashMap::from([("trail", hydrate::Value::from(trail))]));
        let beginning = Beginning::compose(me, self.replica.incarnation(), TicketMatter::new, |tx| {
            tx.init_root_from_hydrate(&parts)
        });
        let beginning = beginning.map_err(write_failure)?;
        let admitted = self.replica.admit_beginning(beginning, Vec::new(), &mut self.store, &mut self.desk);
        admitted.map(drop).map_err(write_failure)?;
        self.replica.flush(self.now, &mut self.store, &mut self.desk)?; // its row is what it is found by
        self.known_aggregate(month)?
            .ok_or_else(|| super::failed("a month of aggregates was begun and is not here", "no row"))
    }

    /// The document of a month; one that has outgrown what is loaded takes nothing more.
    fn known_aggregate(&mut self, month: Period) -> Result<Option<DocId>, Failure> {
        let site = self.me().site();
        for doc in aggregate::documents(self.store.connection(), site, &month.month_name())? {
            if self.store.document(&doc)?.is_some_and(|row| !row.frozen) {
                return Ok(Some(doc));
            }
        }
        Ok(None)
    }

    /// The sites below a unit that have not told of this day yet, of those that have a node.
    pub(super) fn untold(&self, told: &[Told], unit: Site, day: Date) -> Vec<Site> {
        let directory = self.replica.trust().directory();
        let members = directory.nodes().filter(|node| directory.standing(*node) == Standing::Member);
        let below = members.map(|node| node.site()).filter(|site| *site == unit || unit.is_above(*site));
        let expected: BTreeSet<Site> = below.collect();
        let has_told = |site: &Site| told.iter().any(|told| told.site == *site && told.last >= day);
        expected.into_iter().filter(|site| !has_told(site)).collect()
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
