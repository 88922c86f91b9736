//! Figures of a node: for a period and by a dimension, and the tickets behind each; and rows that are to be counted anew.

use std::collections::BTreeMap;

use certs::{Site, Tier};
use jiff::civil::Date;
use serde_json::{Value, json};
use sync::store::Store;
use sync::store::sqlite::Sqlite;

use super::reading::Reading;
use super::{Engine, aggregates};
use crate::china;
use crate::figures::{self, Dimension, Fact, Numbers, Part, Period};
use crate::projection::{self, Behind, Cells, Indexing, Row, aggregate};
use crate::request::{Failure, FailureKind, Reply};
use crate::scorecard::unit_below;

/// The version of the facts that the rows hold.
const FACTS: &str = "facts of figures";

/// After which row tickets are to be counted anew, and whether they are to be read for that; absent when none is.
const ANEW: &str = "figures to count anew";

/// Rows of one step: those that are read, and those whose row says enough.
const READ: usize = 16;
const JUDGED: usize = 256;

/// Most tickets of one page.
const MAX_ROWS: usize = 10_000;

/// The figure that forms are of.
const FORMED: &str = "taken";

/// The most days that are told apart.
const MOST_DAYS: i32 = 366;

/// A period as it is asked for: both days are in it.
pub(super) fn period(from: &str, to: &str) -> Result<Period, Failure> {
    let day = |text: &str| -> Result<Date, Failure> {
        let shown: String = text.chars().take(20).collect();
        text.parse()
            .map_err(|e| Failure::usage(format!("`{shown}` is no day")).because(e).hint("as in 2026-11-02"))
    };
    Period::days(day(from)?, day(to)?).map_err(Failure::usage)
}

fn dimension(me: Site, by: Option<&str>) -> Result<Option<Dimension>, Failure> {
    let by: Option<Dimension> = by.map(|by| by.parse().map_err(Failure::usage)).transpose()?;
    match by {
        Some(by) if me == Site::MINISTRY && !by.is_told() => Err(Failure::usage(format!(
            "the ministry does not tell figures apart by {by}: what sites tell of their days does not say it"
        ))
        .hint("ask a province, which holds the tickets; here, `unit` and `region` tell who took the calls")),
        by => Ok(by),
    }
}

/// The unit whose ticket it is that a site took: see [`Dimension::Unit`].
fn unit_of(me: Site, taken_by: &str) -> Option<Site> {
    unit_below(me, taken_by.parse().ok()?)
}

/// What the names of a unit's sites fit, and no others.
fn sites_of(me: Site, unit: &str) -> Result<String, Failure> {
    let site: Site = unit.parse().map_err(Failure::usage)?;
    Ok(match unit_of(me, unit) {
        Some(unit) if unit == site && site.tier() == Tier::Province => {
            format!("{:02}*", site.province_prefix())
        }
        Some(unit) if unit == site => format!("{site}*"),
        _ => site.to_string(),
    })
}

impl Engine {
    /// The facts of rows that a new data directory holds: none, by this version.
    pub(super) fn begin_figures(store: &mut impl Store) -> Result<(), Failure> {
        Ok(store.put_meta(FACTS, &figures::VERSION.to_be_bytes())?)
    }

    /// Notes that rows are to be counted anew when another version of the facts wrote them, or (`tables`) when the tables of
    /// deadlines are others. Within the first transaction after opening.
    pub(super) fn figures_changed(&mut self, tables: bool) -> Result<(), Failure> {
        let version = figures::VERSION.to_be_bytes();
        let older = self.store.meta(FACTS)?.is_none_or(|stored| stored != version);
        if older || tables {
            let read = older || self.rows_anew()?.is_some_and(|(_, read)| read);
            self.put_anew(Some((0, read)))?;
            self.store.put_meta(FACTS, &version)?;
        }
        Ok(())
    }

    fn rows_anew(&self) -> Result<Option<(i64, bool)>, Failure> {
        self.reading().rows_anew()
    }

    fn put_anew(&mut self, anew: Option<(i64, bool)>) -> Result<(), Failure> {
        let bytes = anew.map(|anew| postcard::to_stdvec(&anew).expect("plain values have a byte form"));
        Ok(self.store.put_meta(ANEW, &bytes.unwrap_or_default())?)
    }

    /// Whether rows are to be counted anew.
    pub(super) fn counts_anew(&self) -> Result<bool, Failure> {
        Ok(self.rows_anew()?.is_some())
    }

    /// Counts a few rows anew; whether there were any.
    pub(super) fn count_some(&mut self) -> Result<bool, Failure> {
        let Some((after, read)) = self.rows_anew()? else { return Ok(false) };
        let limit = if read { READ } else { JUDGED };
        let page = projection::count_again(self.store.connection(), &self.reference, after, limit, read)?;
        let Some((last, unread)) = page else {
            self.put_anew(None)?;
            if self.me().site() != Site::MINISTRY {
                aggregate::mark_all_stale(self.store.connection(), self.me().site())?;
            }
            return Ok(false);
        };
        for doc in unread {
            let open = self.replica.open_document(doc, &mut self.store, &self.desk)?;
            if let Some(row) = open.and_then(|(document, matter)| Row::of(document, matter)) {
                let me = self.me().site();
                projection::put(self.store.connection(), &doc, &row, Indexing::Later, me, &self.reference)?;
            }
        }
        self.put_anew(Some((last, read)))?;
        Ok(true)
    }

    /// A single command has no idle time in which rows are counted anew: it counts them first.
    pub(super) fn count_all(&mut self) -> Result<(), Failure> {
        while !self.idles && self.count_some()? {}
        Ok(())
    }
}

impl Reading<'_> {
    fn rows_anew(&self) -> Result<Option<(i64, bool)>, Failure> {
        let stored = Sqlite::meta_of(self.db, ANEW)?.filter(|bytes| !bytes.is_empty());
        // A note that cannot be read is one that says: all of them.
        Ok(stored.map(|bytes| postcard::from_bytes(&bytes).unwrap_or((0, true))))
    }

    /// How many rows, at most, are still to be counted anew.
    pub(super) fn waiting(&self) -> Result<i64, Failure> {
        match self.rows_anew()? {
            None => Ok(0),
            Some((after, _)) => Ok(projection::rows_after(self.db, after)?),
        }
    }

    /// All figures of a period.
    pub(super) fn figures(&self, from: &str, to: &str, by: Option<&str>) -> Reply {
        let (period, by) = (period(from, to)?, dimension(self.me.site(), by)?);
        if by == Some(Dimension::Day) && period.count() > MOST_DAYS {
            return Err(Failure::usage(format!("figures by day are of {MOST_DAYS} days at most"))
                .hint("ask for a shorter period, or not by day"));
        }
        let now = china::shown(self.moment());
        let reference = self.reference;
        let read = |period| self.cells(by, period, &now);
        let me = self.me.site();
        let elsewhere = |value: &str| value.parse::<Site>().is_ok_and(|site| !me.covers(site));
        let name = |value: &str| match by == Some(Dimension::Unit) && elsewhere(value) {
            true => format!("{}（转自外地）", figures::named(reference, by, value)),
            false => figures::named(reference, by, value),
        };
        let mut report = figures::report(&reference.definitions, period, by, read, name)?;
        report["site"] = self.me.site().to_string().into();
        report["at"] = now.into();
        report["waiting"] = json!(self.waiting()?);
        report["told"] = aggregates::shown(self.db, self.me.site(), china::day(self.moment()))?;
        Ok(report)
    }

    /// The quarterly forms.
    pub(super) fn form(&self, named: &str) -> Reply {
        let period = Period::named(named).map_err(Failure::usage)?;
        let taken = self.reference.definitions.get(FORMED).ok_or_else(|| {
            Failure::new(
                FailureKind::Configuration,
                format!("the table of figures has no `{FORMED}`, which forms count"),
            )
            .hint("add it to reference/figures.csv")
        })?;
        let now = china::shown(self.moment());
        let periods = [Some(period), period.before(), period.year_before()];
        let mut counted = figures::Counted::new();
        for by in self.reference.forms.iter().flat_map(|form| &form.groups).map(|(by, _)| *by) {
            if counted.contains_key(&by) {
                continue;
            }
            let mut values: BTreeMap<String, BTreeMap<usize, Numbers>> = BTreeMap::new();
            for (i, period) in periods.iter().enumerate() {
                let Some(period) = period else { continue };
                for (value, _, facts, n) in self.cells(Some(by), *period, &now)? {
                    values.entry(value).or_default().entry(i).or_default().add(facts, n);
                }
            }
            let count = |numbers: Option<&Numbers>| numbers.map_or(0, |numbers| numbers.figure(taken).count);
            let three = |of: &BTreeMap<usize, Numbers>| std::array::from_fn(|i| count(of.get(&i)));
            counted.insert(by, values.iter().map(|(value, of)| (value.clone(), three(of))).collect());
        }
        let site = self.me.site();
        Ok(json!({
            "site": site, "name": self.reference.centres.name(site), "period": named,
            "from": period.from().to_string(), "to": period.last().to_string(), "at": now, "waiting": self.waiting()?,
            "told": aggregates::shown(self.db, site, china::day(self.moment()))?,
            "forms": figures::forms(self.reference, &counted),
        }))
    }

    /// How many tickets of a period have which facts at `now` ([`china::shown`]), each ticket once: those that are here, and at the
    /// ministry in place of those that were taken below it what their sites told.
    pub(super) fn cells(&self, by: Option<Dimension>, period: Period, now: &str) -> Result<Cells, Failure> {
        let mut cells = projection::cells(self.db, by, period)?;
        cells.extend(projection::overdue_cells(self.db, by, period, now)?);
        if self.me.site() == Site::MINISTRY {
            cells.retain(|(_, _, facts, _)| !facts.has(Fact::Below));
            cells.extend(aggregate::cells(self.db, by, period)?);
            cells.extend(aggregate::overdue_cells(self.db, by, period, now)?);
        }
        if by == Some(Dimension::Unit) {
            for (site, ..) in &mut cells {
                if let Some(unit) = unit_of(self.me.site(), site) {
                    *site = unit.to_string();
                }
            }
        }
        Ok(cells)
    }

    /// The tickets behind one figure.
    #[expect(clippy::too_many_arguments, reason = "they are the fields of the request")]
    pub(super) fn figured(
        &self,
        id: &str,
        part: Part,
        (from, to): (&str, &str),
        by: Option<&str>,
        value: Option<&str>,
        limit: usize,
        before: Option<i64>,
    ) -> Reply {
        let mut period = period(from, to)?;
        let definition = self.reference.definitions.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.reference.definitions.iter().map(|d| d.id()).collect();
            let shown: String = id.chars().take(40).collect();
            Failure::usage(format!("there is no figure `{shown}`"))
                .hint(format!("figures: {}", known.join(", ")))
        })?;
        let sites;
        let of = match (dimension(self.me.site(), by)?, value) {
            (Some(Dimension::Day), Some(day)) => {
                let day = self::period(day, day)?;
                if day.from() < period.from() || day.end() > period.end() {
                    return Err(Failure::usage("this day is not in the period"));
                }
                period = day;
                None
            }
            (Some(Dimension::Unit), Some(unit)) => {
                sites = sites_of(self.me.site(), unit)?;
                Some((Dimension::Unit, sites.as_str()))
            }
            (Some(dimension), Some(value)) => Some((dimension, value)),
            (None, None) => None,
            _ => return Err(Failure::usage("a value is of a dimension: name both or neither")),
        };
        let now = china::shown(self.moment());
        let asked = Behind { definition, part, period, of, now: &now };
        let rows = projection::behind(self.db, asked, limit.min(MAX_ROWS), before)?;
        Ok(Value::from(rows))
    }
}
