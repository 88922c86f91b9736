//! What sites told of their days (see [`crate::aggregate`]): a row for each day of a document, a tally of what holds, and which
//! of the own days are to be told anew.
//!
//! The tally has the form of the tickets' own, so a month of the nation is read as a month of a city is. It is kept where it is
//! counted with, at the ministry; elsewhere the site's own days are, for it to know what it told. Of two documents of one site and month, which two replicas began
//! at once, the day holds that would hold within one.

use std::collections::BTreeMap;

use certs::Site;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use sync::id::DocId;
use sync::store::{Result, StoreError};

use super::tally::{self, Cells, Tally};
use crate::aggregate::{Cell, Edition, Month};
use crate::figures::{Dimension, Fact, Facts, Period};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS aggregate(doc BLOB PRIMARY KEY, site TEXT NOT NULL, month TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS aggregate_of ON aggregate(site, month);
CREATE TABLE IF NOT EXISTS aggregate_day(
  site TEXT NOT NULL, day TEXT NOT NULL, doc BLOB NOT NULL, edition INTEGER NOT NULL, tickets INTEGER NOT NULL,
  node TEXT NOT NULL, at TEXT NOT NULL, cells TEXT NOT NULL, PRIMARY KEY(site, day, doc)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS aggregate_day_of ON aggregate_day(doc);
CREATE TABLE IF NOT EXISTS aggregate_open(
  day TEXT NOT NULL, site TEXT NOT NULL, due TEXT NOT NULL, business TEXT NOT NULL, domain TEXT NOT NULL, topic TEXT NOT NULL,
  channel TEXT NOT NULL, facts INTEGER NOT NULL, n INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS aggregate_open_of ON aggregate_open(site, day);
CREATE INDEX IF NOT EXISTS aggregate_open_due ON aggregate_open(due);
CREATE TABLE IF NOT EXISTS ticket_stale(day TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// How far a site has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose.
    pub site: Site,
    /// The last day of which it told.
    pub last: Date,
}

pub(super) fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(TABLES)?)
}

/// Forgets what was told, before a rebuild; what is to be told anew stays noted.
pub(super) fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM aggregate; DELETE FROM aggregate_day; DELETE FROM aggregate_open;")?)
}

pub(super) fn fingerprint(db: &Connection, hasher: &mut blake3::Hasher) -> Result<()> {
    for sql in [
        "SELECT hex(doc) || ' ' || day || ' ' || edition || ' ' || node || ' ' || at || ' ' || cells FROM aggregate_day
         ORDER BY doc, day",
        "SELECT day || ' ' || site || ' ' || due || ' ' || facts || ' ' || n || ' ' || business || ' ' || domain || ' ' || topic || ' '
           || channel FROM aggregate_open ORDER BY 1",
    ] {
        let mut query = db.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
        }
    }
    Ok(())
}

fn read(cells: &str) -> Result<Vec<Cell>> {
    serde_json::from_str(cells).map_err(|e| StoreError::Damaged(format!("a told day does not read: {e}")))
}

/// What holds of a site's day.
pub fn edition_of(db: &Connection, site: Site, day: Date) -> Result<Option<Edition>> {
    let mut query = db.prepare_cached(
        "SELECT edition, node, at, cells FROM aggregate_day WHERE site = ?1 AND day = ?2
         ORDER BY edition DESC, tickets DESC, node DESC, at DESC, doc DESC LIMIT 1",
    )?;
    let row: Option<(u32, String, String, String)> = query
        .query_row(params![site.to_string(), day.to_string()], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        })
        .optional()?;
    let Some((edition, node, at, cells)) = row else { return Ok(None) };
    let node = node.parse().map_err(|_| StoreError::Damaged("a told day of no node".to_owned()))?;
    Ok(Some(Edition { edition, node, at, cells: read(&cells)? }))
}

/// Takes in what a document says, or nothing of it any more, at the site `me`.
pub fn put(db: &Connection, doc: &DocId, month: Option<&Month>, me: Site) -> Result<()> {
    let month = month.filter(|month| me == Site::MINISTRY || month.site == me);
    let mut before: BTreeMap<(Site, Date), (u32, String, String)> = BTreeMap::new();
    let mut query =
        db.prepare_cached("SELECT site, day, edition, node, at FROM aggregate_day WHERE doc = ?1")?;
    let rows = query.query_map([doc.as_bytes()], |r| {
        let told = (r.get(2)?, r.get(3)?, r.get(4)?);
        Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, told))
    })?;
    for row in rows {
        let (site, day, told) = row?;
        if let (Ok(site), Ok(day)) = (site.parse(), day.parse()) {
            before.insert((site, day), told);
        }
    }
    match month {
        Some(month) => db
            .prepare_cached("INSERT OR REPLACE INTO aggregate(doc, site, month) VALUES(?1, ?2, ?3)")?
            .execute(params![doc.as_bytes(), month.site.to_string(), month.month])?,
        None => db.prepare_cached("DELETE FROM aggregate WHERE doc = ?1")?.execute([doc.as_bytes()])?,
    };
    let days = month.into_iter().flat_map(|month| month.days.iter().map(|(day, e)| (month.site, *day, e)));
    for (site, day, edition) in days {
        let known = before.remove(&(site, day));
        if known == Some((edition.edition, edition.node.to_string(), edition.at.clone())) {
            continue;
        }
        let cells = serde_json::to_string(&edition.cells).map_err(|e| StoreError::Failed(e.to_string()))?;
        let put = |db: &Connection| -> Result<()> {
            let sql =
                "INSERT OR REPLACE INTO aggregate_day(site, day, doc, edition, tickets, node, at, cells)
                       VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            db.prepare_cached(sql)?.execute(params![
                site.to_string(),
                day.to_string(),
                doc.as_bytes(),
                edition.edition,
                edition.tickets(),
                edition.node.to_string(),
                edition.at,
                cells
            ])?;
            Ok(())
        };
        replace(db, site, day, me, put)?;
    }
    for (site, day) in before.into_keys() {
        replace(db, site, day, me, |db| {
            let sql = "DELETE FROM aggregate_day WHERE site = ?1 AND day = ?2 AND doc = ?3";
            db.prepare_cached(sql)?.execute(params![site.to_string(), day.to_string(), doc.as_bytes()])?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Changes a day's rows, and tallies what holds of it since.
fn replace(
    db: &Connection,
    site: Site,
    day: Date,
    me: Site,
    change: impl FnOnce(&Connection) -> Result<()>,
) -> Result<()> {
    if me != Site::MINISTRY {
        return change(db);
    }
    let cells = |db| Ok::<_, StoreError>(edition_of(db, site, day)?.map(|e| e.cells).unwrap_or_default());
    let before = cells(db)?;
    change(db)?;
    let after = cells(db)?;
    if before == after {
        return Ok(());
    }
    let (site, day) = (site.to_string(), day.to_string());
    for (cells, sign) in [(before, -1), (after.clone(), 1)] {
        for cell in cells {
            let facts = below(cell.facts);
            for (place, value) in cell.values.iter().chain([&site]).enumerate() {
                tally::add(db, Tally::Told, place, (&day, value, facts), sign * cell.n)?;
            }
        }
    }
    db.prepare_cached("DELETE FROM aggregate_open WHERE site = ?1 AND day = ?2")?.execute([&site, &day])?;
    let mut open =
        db.prepare_cached("INSERT INTO aggregate_open VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for cell in after {
        let Some(due) = cell.due else { continue };
        let [business, domain, topic, channel] = cell.values;
        open.execute(params![
            day,
            site,
            due,
            business,
            domain,
            topic,
            channel,
            below(cell.facts).bits(),
            cell.n
        ])?;
    }
    Ok(())
}

/// The facts of a cell, as who is above sees them. That something is overdue is a matter of this moment.
fn below(bits: i64) -> Facts {
    Facts::from_bits(bits).with(Fact::Below, true).with(Fact::Elsewhere, false).with(Fact::Overdue, false)
}

/// How many tickets of a period have which facts, by what was told.
pub fn cells(db: &Connection, dimension: Option<Dimension>, period: Period) -> Result<Cells> {
    tally::cells_of(db, Tally::Told, dimension, period)
}

/// What the tickets that are overdue at `now` ([`crate::china::shown`]), by what was told, change in [`cells`].
pub fn overdue_cells(
    db: &Connection,
    dimension: Option<Dimension>,
    period: Period,
    now: &str,
) -> Result<Cells> {
    let column = match tally::place(dimension).1 {
        "taken_by" => "site",
        column => column,
    };
    let mut query = db.prepare_cached(&format!(
        "SELECT {column}, day, facts, sum(n) FROM aggregate_open INDEXED BY aggregate_open_due
         WHERE due < ?1 AND day >= ?2 AND day < ?3 GROUP BY 1, 2, 3"
    ))?;
    tally::overdue(&mut query, period, now)
}

/// What the tickets of a day that this site took come to.
pub fn cells_of_day(db: &Connection, me: Site, day: Date) -> Result<Vec<Cell>> {
    let closed = Facts::default().with(Fact::Ended, true).with(Fact::Joined, true).bits();
    let mut query = db.prepare_cached(&format!(
        "SELECT business, domain, topic, channel, facts, CASE WHEN done = 0 AND facts & {closed} = 0 THEN due END,
           count(*) FROM ticket INDEXED BY ticket_day WHERE day = ?1 AND taken_by = ?2 GROUP BY 1, 2, 3, 4, 5, 6"
    ))?;
    let rows = query.query_map(params![day.to_string(), me.to_string()], |r| {
        let values = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?];
        Ok(Cell { values, facts: r.get(4)?, due: r.get(5)?, n: r.get(6)? })
    })?;
    let mut cells: Vec<Cell> = rows.collect::<rusqlite::Result<_>>()?;
    cells.sort();
    Ok(cells)
}

/// The documents of a site's month: one, or more when replicas began one at once.
pub fn documents(db: &Connection, site: Site, month: &str) -> Result<Vec<DocId>> {
    let mut query =
        db.prepare_cached("SELECT doc FROM aggregate WHERE site = ?1 AND month = ?2 ORDER BY doc")?;
    let docs = query.query_map(params![site.to_string(), month], |r| r.get::<_, [u8; 32]>(0))?;
    Ok(docs.map(|doc| doc.map(DocId::from_bytes)).collect::<rusqlite::Result<_>>()?)
}

/// How far every site has told that ever did; a day from `before` on, which a clock that is ahead told, is none.
pub fn sites(db: &Connection, before: Date) -> Result<Vec<Told>> {
    let mut query = db.prepare_cached(
        "SELECT site, (SELECT max(day) FROM aggregate_day d WHERE d.site = s.site AND d.day < ?1)
         FROM (SELECT DISTINCT site FROM aggregate) s",
    )?;
    let rows = query
        .query_map([before.to_string()], |r| Ok((r.get::<_, String>(0)?, r.get::<_, Option<String>>(1)?)))?;
    let mut all = Vec::new();
    for row in rows {
        let (site, last) = row?;
        if let (Ok(site), Some(Ok(last))) = (site.parse(), last.map(|last| last.parse())) {
            all.push(Told { site, last });
        }
    }
    Ok(all)
}

/// Notes that something else may hold of a day than was told.
pub fn mark_stale(db: &Connection, day: &str) -> Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO ticket_stale(day) SELECT ?1 WHERE ?1 != ''")?.execute([day])?;
    Ok(())
}

/// Notes every day of which this site has tickets.
pub fn mark_all_stale(db: &Connection, me: Site) -> Result<()> {
    let (place, _) = tally::place(Some(Dimension::Region));
    let mut mark = db.prepare_cached(
        "INSERT OR IGNORE INTO ticket_stale(day)
         SELECT DISTINCT day FROM ticket_tally WHERE dimension = ?1 AND value = ?2 AND day != ''",
    )?;
    mark.execute(params![place as i64, me.to_string()])?;
    Ok(())
}

/// The first day after `after` and before `before` that is noted; of those before `from` only one of which this site never told.
pub fn stale(
    db: &Connection,
    me: Site,
    from: Date,
    before: Date,
    after: Option<Date>,
) -> Result<Option<Date>> {
    let mut query = db.prepare_cached(
        "SELECT day FROM ticket_stale s WHERE day < ?1 AND day > ?4 AND (day >= ?2
           OR NOT EXISTS (SELECT 1 FROM aggregate_day d WHERE d.site = ?3 AND d.day = s.day)) ORDER BY day LIMIT 1",
    )?;
    let after = after.unwrap_or(Date::MIN).to_string();
    let day: Option<String> = query
        .query_row([before.to_string(), from.to_string(), me.to_string(), after], |r| r.get(0))
        .optional()?;
    let read = |day: String| {
        day.parse()
            .map_err(|_| StoreError::Damaged("a noted day does not read as what was written".to_owned()))
    };
    day.map(read).transpose()
}

/// A day was told.
pub fn unmark(db: &Connection, day: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM ticket_stale WHERE day = ?1")?.execute([day])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tally::tests::{NOW, Said, doc, row, site};
    use super::super::{Indexing, cells as cells_here, clear, fingerprint, overdue_cells as overdue_here};
    use super::super::{prepare, put as put_row};
    use super::*;
    use crate::figures::DIMENSIONS;
    use crate::reference::Reference;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        db
    }

    fn sums(cells: Cells) -> BTreeMap<(String, String, Facts), i64> {
        let mut sums = BTreeMap::new();
        for (value, day, facts, n) in cells {
            *sums.entry((value, day, facts)).or_default() += n;
        }
        sums.retain(|_, n| *n != 0);
        sums
    }

    /// What a site has to tell of its months, as the next edition.
    fn months(db: &Connection, site: Site, edition: u32) -> Vec<Month> {
        let node = site.to_string().parse().unwrap();
        let mut months: BTreeMap<String, Month> = BTreeMap::new();
        while let Some(day) = stale(db, site, Date::MIN, "2027-01-01".parse().unwrap(), None).unwrap() {
            let cells = cells_of_day(db, site, day).unwrap();
            let month = Period::month_of(day).unwrap().month_name();
            let of = months.entry(month.clone()).or_insert_with(|| Month {
                site,
                month,
                days: BTreeMap::new(),
                articles: BTreeMap::new(),
            });
            of.days.insert(day, Edition { edition, node, at: String::new(), cells });
            unmark(db, &day.to_string()).unwrap();
        }
        months.into_values().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever sites took and whatever changed, and in however many nights it was told: the sum of what they tell is what
        /// somebody counts who holds all tickets, by every dimension, overdue ones too.
        #[test]
        fn the_sum_of_the_parts_is_the_whole(
            nights in prop::collection::vec(prop::collection::vec((0usize..25, any::<Said>()), 0..20), 1..4)
        ) {
            let reference = Reference::built_in();
            let (all, ministry) = (database(), database());
            let sites: BTreeMap<Site, Connection> = (0..5).map(|n| (site(n), database())).collect();
            let mut told: BTreeMap<(Site, String), Month> = BTreeMap::new();
            for (night, puts) in nights.into_iter().enumerate() {
                for (n, (day, bits, values, late, _)) in puts {
                    // A ticket was taken by one site, and on a day.
                    let said = (day % 89 + 1, bits, values, late, n as u8);
                    let row = row(n, said);
                    put_row(&all, &doc(n), &row, Indexing::Later, Site::MINISTRY, reference).unwrap();
                    let db = &sites[&row.taken_by];
                    put_row(db, &doc(n), &row, Indexing::Later, row.taken_by, reference).unwrap();
                }
                for (at, (site, db)) in sites.iter().enumerate() {
                    for mut month in months(db, *site, night as u32 + 1) {
                        let before = told.get(&(*site, month.month.clone())).cloned();
                        for (day, edition) in before.into_iter().flat_map(|before| before.days) {
                            month.days.entry(day).or_insert(edition);
                        }
                        let number = 16 * at + usize::from(month.month.as_bytes()[6] - b'0');
                        put(&ministry, &doc(number), Some(&month), Site::MINISTRY).unwrap();
                        told.insert((*site, month.month.clone()), month);
                    }
                }
                let period = Period::days("2026-01-01".parse().unwrap(), "2026-12-31".parse().unwrap()).unwrap();
                for by in DIMENSIONS.map(|(by, _)| by).into_iter().filter(|by| by.is_told()).map(Some).chain([None]) {
                    let whole = cells_here(&all, by, period).unwrap();
                    prop_assert_eq!(sums(cells(&ministry, by, period).unwrap()), sums(whole), "{:?}", by);
                    let late = sums(overdue_here(&all, by, period, NOW).unwrap());
                    prop_assert_eq!(sums(overdue_cells(&ministry, by, period, NOW).unwrap()), late, "{:?}", by);
                }
            }

            // A rebuild finds the same; and what is taken back leaves nothing behind.
            let before = fingerprint(&ministry).unwrap();
            clear(&ministry).unwrap();
            for ((of, name), month) in &told {
                let at = sites.keys().position(|site| site == of).unwrap();
                put(&ministry, &doc(16 * at + usize::from(name.as_bytes()[6] - b'0')), Some(month), Site::MINISTRY).unwrap();
            }
            prop_assert_eq!(fingerprint(&ministry).unwrap(), before);
            for n in 0..100 {
                put(&ministry, &doc(n), None, Site::MINISTRY).unwrap();
            }
            prop_assert_eq!(fingerprint(&ministry).unwrap(), fingerprint(&database()).unwrap());
        }
    }

    #[test]
    fn of_two_documents_of_a_month_the_higher_edition_counts_once() {
        let db = database();
        let day: Date = "2026-03-02".parse().unwrap();
        let month = |edition, n| {
            let cells = vec![Cell { values: Default::default(), facts: 0, due: None, n }];
            let node = "370100".parse().unwrap();
            let edition = Edition { edition, node, at: String::new(), cells };
            Month {
                site: site(1),
                month: "2026-03".into(),
                days: BTreeMap::from([(day, edition)]),
                articles: BTreeMap::new(),
            }
        };
        let taken = |db: &Connection| -> i64 {
            cells(db, None, Period::month("2026-03").unwrap()).unwrap().iter().map(|cell| cell.3).sum()
        };
        put(&db, &doc(1), Some(&month(2, 5)), Site::MINISTRY).unwrap();
        put(&db, &doc(2), Some(&month(1, 3)), Site::MINISTRY).unwrap();
        assert_eq!((taken(&db), documents(&db, site(1), "2026-03").unwrap()), (5, vec![doc(1), doc(2)]));
        put(&db, &doc(2), Some(&month(2, 4)), Site::MINISTRY).unwrap();
        assert_eq!(taken(&db), 5, "who told of fewer had not heard of all");
        put(&db, &doc(2), Some(&month(3, 4)), Site::MINISTRY).unwrap();
        assert_eq!(taken(&db), 4);
        put(&db, &doc(2), None, Site::MINISTRY).unwrap();
        assert_eq!(taken(&db), 5, "what comes after it does not count any more");
    }
}
