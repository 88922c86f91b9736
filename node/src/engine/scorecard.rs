//! The scorecard of a month: computed at any time, and frozen once it is over.

use certs::Site;
use serde_json::{Map, Value, json};
use sync::id::DocId;

use super::{Engine, shown_time};
use crate::china;
use crate::figures::{Dimension, Period};
use crate::request::{Failure, FailureKind, Reply};
use crate::scorecard::{Heard, MOST_AMENDED, Record, Table, amendment, creation, heads, months, unit_below};
use crate::ticket::entry::MAX_ENTRY;

/// Most frozen months of one answer.
const MAX_MONTHS: usize = 600;

/// The longest reason, in bytes.
const MAX_REASON: usize = 1_000;

fn month_of(text: &str) -> Result<Period, Failure> {
    Period::month(text).map_err(|why| Failure::new(FailureKind::Usage, why))
}

impl Engine {
    pub(super) fn scorecard(&mut self, month: &str, site: Option<&str>) -> Reply {
        let period = month_of(month)?;
        self.count_all()?;
        let me = self.me().site();
        let site = self.site_named(site)?;
        let table = if site == me { Some(self.table(period)?) } else { None };
        let frozen = self.frozen(site, month)?.map(|(_, record)| record);
        let tables =
            table.iter().chain(frozen.iter().map(Record::holds)).chain(frozen.iter().map(|r| &r.table));
        let units = tables.flat_map(|table| &table.units);
        let units = units.flat_map(|unit| std::iter::once(unit.site).chain(unit.untold.iter().copied()));
        let names: Map<String, Value> = units
            .chain([site])
            .map(|unit| (unit.to_string(), self.reference.centres.name(unit).into()))
            .collect();
        let waiting = self.reading().waiting()?;
        Ok(json!({
            "site": site, "at": shown_time(self.now), "names": names, "waiting": waiting, "table": table, "frozen": frozen,
        }))
    }

    pub(super) fn months(&mut self, site: Option<&str>, limit: usize) -> Reply {
        let site = self.site_named(site)?;
        let all = months::of(self.store.connection(), &site.to_string(), None, limit.min(MAX_MONTHS))?;
        let shown = |(doc, record): (DocId, Record)| {
            json!({
                "id": doc.to_string(), "site": record.site, "month": record.table.month, "at": record.at,
                "user": record.user, "units": record.table.units.len(), "amended": record.amended.len(),
            })
        };
        Ok(all.into_iter().map(shown).collect())
    }

    pub(super) fn freeze(&mut self, month: &str, reason: Option<&str>, user: Option<&str>) -> Reply {
        let period = month_of(month)?;
        let over = china::end_of(period.last()).and_then(|end| u64::try_from(end.as_millisecond()).ok());
        let failed = |why: String, hint: &str| Err(Failure::new(FailureKind::Failed, why).hint(hint));
        if over.is_none_or(|over| self.now <= over) {
            return failed(
                format!("{month} is not over yet"),
                "a month is frozen when its last day has ended",
            );
        }
        if self.clock.doubt().is_some() {
            return Err(Failure::new(FailureKind::NeedsPerson, "this machine's date is in doubt")
                .hint("look at the date, then: `hotline replica confirm-clock`"));
        }
        if reason.is_some_and(|reason| reason.trim().is_empty() || reason.len() > MAX_REASON) {
            return Err(Failure::new(FailureKind::Usage, format!("a reason has 1 to {MAX_REASON} bytes")));
        }
        self.count_all()?;
        if self.counts_anew()? {
            return Err(Failure::new(
                FailureKind::TryAgain,
                "after an update tickets are still being counted",
            )
            .hint(
                "freeze the month when `hotline scorecard` says no more that tickets are not counted yet",
            ));
        }
        let table = self.table(period)?;
        if table.units.is_empty() {
            return failed(
                format!("{} has no units below it", self.me().site()),
                "a scorecard ranks the units below a site",
            );
        }
        let frozen = self.frozen(self.me().site(), month)?;
        match (frozen, reason) {
            (None, None) => self.begin_month(&table, user)?,
            (None, Some(_)) => {
                return failed(
                    format!("{month} is not frozen yet"),
                    "freeze it without a reason; a reason puts right what is frozen",
                );
            }
            (Some(_), None) => {
                return failed(
                    format!("{month} is frozen already"),
                    "what is to be put right needs a reason: --reason WHY",
                );
            }
            (Some((_, record)), Some(_)) if *record.holds() == table => {
                return failed(format!("{month} would be as it is frozen"), "there is nothing to put right");
            }
            (Some((_, record)), Some(_)) if record.amended.len() >= MOST_AMENDED => {
                return failed(
                    format!("{month} was put right {MOST_AMENDED} times"),
                    "what holds now goes into the report of a later month",
                );
            }
            (Some((doc, _)), Some(reason)) => self.amend_month(doc, &table, reason, user)?,
        }
        // The row is made now: whoever froze it is shown what everybody will see.
        self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        let record = self.frozen(self.me().site(), month)?.map(|(_, record)| record);
        Ok(json!({ "month": month, "frozen": record }))
    }

    /// This site, or the one that is named.
    fn site_named(&self, site: Option<&str>) -> Result<Site, Failure> {
        match site {
            None => Ok(self.me().site()),
            Some(name) => name.parse().map_err(|e| Failure::new(FailureKind::Usage, e)),
        }
    }

    fn frozen(&mut self, site: Site, month: &str) -> Result<Option<(DocId, Record)>, Failure> {
        Ok(months::of(self.store.connection(), &site.to_string(), Some(month), 1)?.pop())
    }

    /// The table of a month as it is now.
    fn table(&mut self, month: Period) -> Result<Table, Failure> {
        let me = self.me().site();
        let today = china::moment(self.now).map(china::day).unwrap_or(month.end());
        let mut heard = Heard::new();
        for (peer, row) in self.replica.peers() {
            if let Some(unit) = unit_below(me, peer.site()) {
                let last = &mut heard.entry(unit).or_default().proved;
                // What lies below a unit comes through it: only the unit's own nodes prove that all of it is here. A link that
                // is up and found equal is compared when something changes, so it is equal now.
                if peer.site() == unit {
                    let link = self.replica.link(peer);
                    let now = (link.connected && link.digest_equal).then_some(self.now);
                    *last = (*last).max(row.proved_at).max(now);
                }
            }
        }
        if me == Site::MINISTRY {
            let last = today.yesterday().map_or(month.last(), |yesterday| yesterday.min(month.last()));
            for site in self.untold(last, today)? {
                if let Some(unit) = unit_below(me, site) {
                    heard.entry(unit).or_default().untold.push(site);
                }
            }
        }
        let now = china::shown_time(self.now);
        let cells = self.reading().cells(Some(Dimension::Region), month, &now)?;
        let cells = cells.into_iter().filter_map(|(site, _, facts, n)| Some((site.parse().ok()?, facts, n)));
        let weights = self.reference.weights.on(month.from()).ok_or_else(|| {
            Failure::new(FailureKind::Configuration, format!("no weights count in {}", month.from()))
                .hint("the first column of scorecard.csv says from which day on weights count")
        })?;
        Ok(Table::of(me, month, weights, &self.reference.definitions, cells, &heard, today))
    }

    fn bytes_of(entry: &Value) -> Result<Vec<u8>, Failure> {
        let bytes = entry.to_string().into_bytes();
        match bytes.len() {
            ..=MAX_ENTRY => Ok(bytes),
            n => Err(Failure::new(
                FailureKind::Failed,
                format!("the table has {n} bytes, and a record may have {MAX_ENTRY}"),
            )),
        }
    }

    fn begin_month(&mut self, table: &Table, user: Option<&str>) -> Result<(), Failure> {
        let bytes = Engine::bytes_of(&creation(self.me(), table, user, &shown_time(self.now)))?;
        self.begin_trail(bytes).map(drop)
    }

    fn amend_month(
        &mut self,
        doc: DocId,
        table: &Table,
        reason: &str,
        user: Option<&str>,
    ) -> Result<(), Failure> {
        let heads = self.with_document(doc, |_, matter| {
            heads(matter.other().into_iter().flat_map(|other| other.entries()))
        })?;
        let bytes =
            Engine::bytes_of(&amendment(self.me(), &heads, table, reason, user, &shown_time(self.now)))?;
        self.enter(doc, &bytes)
    }
}
