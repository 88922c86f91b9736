//! Telling aggregates: each night, of yesterday and of every earlier day of which something else holds since.
//!
//! The ministry tells nothing, for nobody is above it. The replicas of a site tell one after the other, an hour apart, and who comes
//! later finds that all was told and has nothing to add; so a replica that is down is missed by nobody. A new node begins with its
//! first night. While the date is in doubt nothing is told.

use std::collections::HashMap;

use automerge::transaction::Transactable;
use automerge::{ScalarValue, hydrate};
use certs::Site;
use jiff::civil::Date;
use serde_json::Value;
use sync::id::DocId;
use sync::replica::Beginning;
use sync::store::Store;

use super::create::write_failure;
use super::{Engine, shown_time};
use crate::aggregate::{Edition, creation, telling};
use crate::china;
use crate::figures::Period;
use crate::projection::aggregate;
use crate::request::Failure;
use crate::ticket::{EntryId, TicketMatter};

/// The last day on which everything was told.
const TOLD: &str = "aggregates told";

/// How long after midnight the first replica of a site begins, and how long after it the next one, in minutes.
const AFTER: i64 = 10;
const APART: i64 = 60;

impl Engine {
    /// The day on which something is to be told now; `None` when nothing is.
    pub(super) fn tells(&mut self) -> Result<Option<Date>, Failure> {
        let me = self.me();
        if me.site() == Site::MINISTRY || self.clock.doubt().is_some() {
            return Ok(None);
        }
        let Some(now) = china::moment(self.now).map(china::zoned) else { return Ok(None) };
        if self.told == Some(now.date()) {
            return Ok(None);
        }
        let before =
            self.replica.trust().directory().nodes_of(me.site()).filter(|node| *node < me).count() as i64;
        let minutes = i64::from(now.hour()) * 60 + i64::from(now.minute());
        if minutes < AFTER + APART * before {
            return Ok(None);
        }
        // A clock that was ahead must not keep this site silent until then.
        self.told = self.told_to()?.filter(|told| *told <= now.date());
        Ok((self.told != Some(now.date()) && !self.counts_anew()?).then(|| now.date()))
    }

    fn told_to(&mut self) -> Result<Option<Date>, Failure> {
        Ok(self.store.meta(TOLD)?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
    }

    /// All was told before this day.
    fn all_told(&mut self, today: Date) -> Result<(), Failure> {
        self.told = Some(today);
        Ok(self.store.put_meta(TOLD, today.to_string().as_bytes())?)
    }

    /// Tells one day; whether there may be more.
    pub(super) fn tell(&mut self) -> Result<bool, Failure> {
        let Some(today) = self.tells()? else { return Ok(false) };
        let Ok(yesterday) = today.yesterday() else { return Ok(false) };
        if self.told_to()?.is_none() {
            self.all_told(today)?;
            return Ok(false);
        }
        let me = self.me().site();
        // Also when nobody called: so the ministry knows of a day without calls from one that it has not heard of.
        if aggregate::edition_of(self.store.connection(), me, yesterday)?.is_none() {
            aggregate::mark_stale(self.store.connection(), &yesterday.to_string())?;
        }
        let Some(day) = aggregate::stale(self.store.connection(), today)? else {
            self.all_told(today)?;
            return Ok(false);
        };
        self.tell_day(day)?;
        aggregate::unmark(self.store.connection(), &day.to_string())?;
        Ok(true)
    }

    fn tell_day(&mut self, day: Date) -> Result<(), Failure> {
        let me = self.me();
        let cells = aggregate::cells_of_day(self.store.connection(), me.site(), day)?;
        let before = aggregate::edition_of(self.store.connection(), me.site(), day)?;
        if before.as_ref().is_some_and(|before| before.cells == cells) {
            return Ok(());
        }
        let Ok(month) = Period::month_of(day) else { return Ok(()) };
        let edition = before.map_or(0, |before| before.edition).saturating_add(1);
        let edition = Edition { edition, node: me, at: shown_time(self.now), cells };
        let doc = self.aggregate(month)?;
        for entry in telling(day, &edition) {
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
        let known = |engine: &mut Engine| {
            aggregate::document(engine.store.connection(), me.site(), &month.month_name())
        };
        if let Some(doc) = known(self)? {
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
        known(self)?.ok_or_else(|| super::failed("a month of aggregates was begun and is not here", "no row"))
    }

    /// The sites below a unit that have not told of this day yet, of those that are known to have a node or told once.
    pub(super) fn untold(&mut self, unit: Site, day: Date) -> Result<Vec<Site>, Failure> {
        let told = aggregate::sites(self.store.connection())?;
        let nodes = self.replica.trust().directory().nodes().map(|node| node.site());
        let below = |site: &Site| *site == unit || unit.is_above(*site);
        let mut expected: Vec<Site> = nodes.chain(told.iter().map(|t| t.site)).filter(below).collect();
        expected.sort_unstable();
        expected.dedup();
        expected.retain(|site| !told.iter().any(|told| told.site == *site && told.last >= day));
        Ok(expected)
    }
}

/// How far everybody told, for whoever reads figures that are made of it: `null` where they are not.
pub(super) fn shown(db: &rusqlite::Connection, me: Site) -> Result<Value, Failure> {
    if me != Site::MINISTRY {
        return Ok(Value::Null);
    }
    let sites = aggregate::sites(db)?;
    let last = sites.iter().map(|told| told.last).min();
    Ok(serde_json::json!({ "sites": sites.len(), "last": last }))
}
