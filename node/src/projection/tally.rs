//! The tally: of each day and each value of a dimension, how many tickets have which facts.
//!
//! A ticket's row and the tally move in one transaction, so the sums over any dimension are the same, and a month costs the
//! same to read at a thousand tickets and at a million. Nothing is rounded and nothing estimated: the tickets behind a sum are
//! found by the same facts in their rows ([`behind`]). That a ticket is overdue changes with the moment and is in no row; those
//! few are found by the index of deadlines ([`overdue_cells`]).

use rusqlite::{Connection, Row, Statement, params, params_from_iter, types};
use serde_json::Value;
use sync::id::DocId;
use sync::store::Result;

use super::{COLUMNS, Timing, due, id, rows};
use crate::figures::{Dimension, Fact, Facts, Part, Period};
use crate::reference::{Definition, Reference};

/// `day` is empty for tickets of which nobody says when they were taken.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS {table}(
  dimension INTEGER NOT NULL, day TEXT NOT NULL, value TEXT NOT NULL, facts INTEGER NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY(dimension, day, value, facts)) WITHOUT ROWID;
";

/// The dimensions that are tallied, in the order of [`Counted::values`], with their columns. Days are in every one of them.
const TALLIED: [(Dimension, &str); 6] = [
    (Dimension::Business, "business"),
    (Dimension::Domain, "domain"),
    (Dimension::Topic, "topic"),
    (Dimension::Channel, "channel"),
    (Dimension::Region, "taken_by"),
    (Dimension::Handler, "custodian"),
];

/// Tallied since a later version than the others.
const HANDLER: usize = 5;

/// Of what there is a tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tally {
    /// The tickets that are here.
    Here,
    /// What sites told of theirs.
    Told,
}

impl Tally {
    fn table(self) -> &'static str {
        match self {
            Tally::Here => "ticket_tally",
            Tally::Told => "aggregate_tally",
        }
    }
}

/// Tickets by value of a dimension, day and facts.
pub type Cells = Vec<(String, String, Facts, i64)>;

/// Where a dimension's tally stands, and its column: of a day that of any, of units that of the sites in them.
pub(super) fn place(dimension: Option<Dimension>) -> (usize, &'static str) {
    let dimension = dimension.map(|of| if of == Dimension::Unit { Dimension::Region } else { of });
    let known = TALLIED.iter().position(|(tallied, _)| Some(*tallied) == dimension).unwrap_or(0);
    (known, TALLIED[known].1)
}

/// How a ticket is tallied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) day: String,
    pub(super) facts: Facts,
    pub(super) values: [String; 6],
}

impl Counted {
    /// From the columns `day, facts, business, domain, topic, channel, taken_by, custodian`, the first of which is `at`.
    pub(super) fn of(r: &Row<'_>, at: usize) -> rusqlite::Result<Option<Counted>> {
        let Some(day) = r.get(at)? else { return Ok(None) };
        let facts = Facts::from_bits(r.get(at + 1)?);
        let mut values: [String; 6] = Default::default();
        for (value, place) in values.iter_mut().zip(at + 2..) {
            *value = r.get(place)?;
        }
        Ok(Some(Counted { day, facts, values }))
    }
}

pub(super) fn prepare(db: &Connection) -> Result<()> {
    for tally in [Tally::Here, Tally::Told] {
        db.execute_batch(&TABLE.replace("{table}", tally.table()))?;
    }
    // What a version tallied that knew no handlers is put right from the rows.
    let known = "SELECT EXISTS(SELECT 1 FROM ticket_tally WHERE dimension = ?1)";
    // Asked for by itself: within the insertion, SQLite would walk over all tickets before it finds that none is wanted.
    if !db.query_row(known, [HANDLER as i64], |r| r.get(0))? {
        db.execute(
            "INSERT INTO ticket_tally SELECT ?1, day, custodian, facts, count(*) FROM ticket
             WHERE day IS NOT NULL GROUP BY 2, 3, 4",
            [HANDLER as i64],
        )?;
    }
    Ok(())
}

pub(super) fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM ticket_tally; DELETE FROM aggregate_tally;")?)
}

/// Adds every sum to a fingerprint.
pub(super) fn fingerprint(db: &Connection, hasher: &mut blake3::Hasher) -> Result<()> {
    for tally in [Tally::Here, Tally::Told] {
        let mut query = db.prepare(&format!(
            "SELECT dimension || ' ' || day || ' ' || facts || ' ' || n || ' ' || value FROM {}
             ORDER BY dimension, day, value, facts",
            tally.table()
        ))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
        }
    }
    Ok(())
}

/// Tallies a ticket that has come, or of which something else holds now.
pub(super) fn count(db: &Connection, from: Option<&Counted>, to: &Counted) -> Result<()> {
    for place in 0..TALLIED.len() {
        let key = |c: &Counted| (c.day.clone(), c.values[place].clone(), c.facts);
        let (old, new) = (from.map(key), key(to));
        if old.as_ref() == Some(&new) {
            continue;
        }
        if let Some((day, value, facts)) = old {
            add(db, Tally::Here, place, (&day, &value, facts), -1)?;
        }
        let (day, value, facts) = new;
        add(db, Tally::Here, place, (&day, &value, facts), 1)?;
    }
    Ok(())
}

/// Adds tickets to a sum, or takes some away. By plain statements: one that returns rows is a savepoint to SQLite, at which FTS5
/// writes out what it has.
pub(super) fn add(
    db: &Connection,
    tally: Tally,
    place: usize,
    (day, value, facts): (&str, &str, Facts),
    n: i64,
) -> Result<()> {
    let (table, place, facts) = (tally.table(), place as i64, facts.bits());
    let known = "dimension = ?1 AND day = ?2 AND value = ?3 AND facts = ?4";
    let sum = format!("UPDATE {table} SET n = n + ?5 WHERE {known}");
    if db.prepare_cached(&sum)?.execute(params![place, day, value, facts, n])? == 0 {
        let first = format!("INSERT INTO {table} VALUES(?1, ?2, ?3, ?4, ?5)");
        db.prepare_cached(&first)?.execute(params![place, day, value, facts, n])?;
    }
    if n < 0 {
        let empty = format!("DELETE FROM {table} WHERE {known} AND n = 0");
        db.prepare_cached(&empty)?.execute(params![place, day, value, facts])?;
    }
    Ok(())
}

/// Judges anew what depends on the tables of deadlines, of the tickets after row `after`, at most `limit`. Returns the last row
/// looked at, and the documents whose rows have to be made anew: a version wrote them that tallied nothing, or read other facts
/// (`read_anew`).
pub fn count_again(
    db: &Connection,
    reference: &Reference,
    after: i64,
    limit: usize,
    read_anew: bool,
) -> Result<Option<(i64, Vec<DocId>)>> {
    let mut query = db.prepare_cached(
        "SELECT row, doc, clock, day, facts, business, domain, topic, channel, taken_by, custodian FROM ticket
         WHERE row > ?1 ORDER BY row LIMIT ?2",
    )?;
    let page: Vec<(i64, Vec<u8>, String, Option<Counted>)> = query
        .query_map(params![after, limit as i64], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, Counted::of(r, 3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let Some(last) = page.last().map(|(row, ..)| *row) else { return Ok(None) };
    let mut write = db.prepare_cached(
        "UPDATE ticket SET due = ?2, facts = ?3 WHERE row = ?1 AND (due IS NOT ?2 OR facts != ?3)",
    )?;
    let mut unread = Vec::new();
    for (row, doc, clock, counted) in page {
        match (serde_json::from_str::<Timing>(&clock), counted) {
            (Ok(timing), Some(counted)) if !read_anew => {
                let [.., taken_by, _] = &counted.values;
                let timing = timing.taken_by(taken_by);
                let facts = counted.facts.judged(timing.in_time(reference));
                write.execute(params![row, due(&timing, reference), facts.bits()])?;
                let now = Counted { facts, ..counted.clone() };
                count(db, Some(&counted), &now)?;
            }
            _ => unread.push(id(&doc)?),
        }
    }
    Ok(Some((last, unread)))
}

/// How many rows, at most, come after this one.
pub fn rows_after(db: &Connection, row: i64) -> Result<i64> {
    let mut query = db.prepare_cached("SELECT max(0, coalesce(max(row), 0) - ?1) FROM ticket")?;
    Ok(query.query_row([row], |r| r.get(0))?)
}

/// How many of the tickets that are here, of a period, have which facts.
pub fn cells(db: &Connection, dimension: Option<Dimension>, period: Period) -> Result<Cells> {
    cells_of(db, Tally::Here, dimension, period)
}

/// How many tickets of a period have which facts.
pub(super) fn cells_of(
    db: &Connection,
    tally: Tally,
    dimension: Option<Dimension>,
    period: Period,
) -> Result<Cells> {
    let mut query = db.prepare_cached(&format!(
        "SELECT value, day, facts, n FROM {} WHERE dimension = ?1 AND day >= ?2 AND day < ?3",
        tally.table()
    ))?;
    let (place, _) = place(dimension);
    let rows = query
        .query_map(params![place as i64, period.from().to_string(), period.end().to_string()], |r| {
            Ok((r.get(0)?, r.get(1)?, Facts::from_bits(r.get(2)?), r.get(3)?))
        })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What the tickets of a period that are overdue at `now` ([`crate::china::shown`]) change in its [`cells`].
pub fn overdue_cells(
    db: &Connection,
    dimension: Option<Dimension>,
    period: Period,
    now: &str,
) -> Result<Cells> {
    let (_, column) = place(dimension);
    let mut query = db.prepare_cached(&format!(
        "SELECT {column}, day, facts, count(*) FROM ticket INDEXED BY ticket_deadline
         WHERE due IS NOT NULL AND done = 0 AND due < ?1 AND day >= ?2 AND day < ?3 GROUP BY 1, 2, 3"
    ))?;
    overdue(&mut query, period, now)
}

/// What the tickets found by such a question change.
pub(super) fn overdue(query: &mut Statement<'_>, period: Period, now: &str) -> Result<Cells> {
    let rows = query.query_map(params![now, period.from().to_string(), period.end().to_string()], |r| {
        Ok((r.get(0)?, r.get(1)?, Facts::from_bits(r.get(2)?), r.get(3)?))
    })?;
    let mut changes = Vec::new();
    for row in rows {
        let (value, day, facts, n): (String, String, Facts, i64) = row?;
        if facts.may_be_overdue() {
            changes.push((value.clone(), day.clone(), facts, -n));
            changes.push((value, day, facts.with(Fact::Overdue, true), n));
        }
    }
    Ok(changes)
}

/// Which tickets are asked for behind a figure.
#[derive(Clone, Copy, Debug)]
pub struct Behind<'a> {
    /// The figure.
    pub definition: &'a Definition,
    /// Those that count, or the rest.
    pub part: Part,
    /// Of this period,
    pub period: Period,
    /// and of this value of a dimension; of a unit a pattern that its sites' names fit.
    pub of: Option<(Dimension, &'a str)>,
    /// This moment, as [`crate::china::shown`] writes it.
    pub now: &'a str,
}

impl Behind<'_> {
    fn sql(&self) -> String {
        let bits = match self.definition.names_overdue() {
            false => "facts".to_owned(),
            true => format!(
                "facts | CASE WHEN due < ?3 AND done = 0 AND facts & {} = 0 THEN {} ELSE 0 END",
                Facts::default().with(Fact::Joined, true).bits(),
                Facts::default().with(Fact::Overdue, true).bits()
            ),
        };
        let value = match self.of {
            None | Some((Dimension::Day, _)) => "?4 IS ?4",
            Some((Dimension::Unit, _)) => "taken_by GLOB ?4",
            Some((dimension, _)) => &format!("{} = ?4", place(Some(dimension)).1),
        };
        format!(
            "SELECT {COLUMNS} FROM ticket INDEXED BY ticket_day WHERE day >= ?1 AND day < ?2 AND ?3 IS ?3 AND {} AND {value}
             AND (?5 IS NULL OR (day, row) < (SELECT day, row FROM ticket WHERE row = ?5)) ORDER BY day DESC, row DESC LIMIT ?6",
            self.definition.sql(&bits, self.part == Part::Rest)
        )
    }
}

/// The tickets behind a figure, those of the last day first; after the row `before` of an earlier page.
pub fn behind(db: &Connection, asked: Behind<'_>, limit: usize, before: Option<i64>) -> Result<Vec<Value>> {
    let (from, end) = (asked.period.from().to_string(), asked.period.end().to_string());
    let value = asked.of.map(|(_, value)| value.to_owned());
    let values: [types::Value; 6] = [
        from.into(),
        end.into(),
        asked.now.to_owned().into(),
        value.map_or(types::Value::Null, types::Value::from),
        before.map_or(types::Value::Null, types::Value::from),
        (limit as i64).into(),
    ];
    rows(db, &asked.sql(), params_from_iter(values))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::Date;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::hands::Hands;
    use super::super::{Indexing, Row, clear, fingerprint, prepare, put};
    use super::*;
    use crate::figures::{DIMENSIONS, report};

    pub(in crate::projection) const NOW: &str = "2026-03-20T12:00:00+08:00";

    /// What a generated ticket says: its day, facts, values, whether it is past its deadline, and by whom it was taken.
    pub(in crate::projection) type Said = (u8, u32, [u8; 4], bool, u8);

    fn day(n: u8) -> String {
        let first: Date = "2026-01-01".parse().unwrap();
        match n {
            0 => String::new(),
            n => first.checked_add(jiff::Span::new().days(i64::from(n))).unwrap().to_string(),
        }
    }

    pub(in crate::projection) fn site(n: u8) -> certs::Site {
        ["370000", "370100", "370200", "370100-01", "510100"][usize::from(n) % 5].parse().unwrap()
    }

    pub(in crate::projection) fn row(n: usize, (on, bits, values, late, taken_by): Said) -> Row {
        let facts = Facts::from_bits(bits.into())
            .with(Fact::Overdue, false)
            .with(Fact::InTime, false)
            .with(Fact::Late, false)
            .with(Fact::Elsewhere, false);
        let stage = if facts.has(Fact::Ended) { "closed" } else { "in_hand" };
        let begun = if late { "2026-03-01T08:00:00Z" } else { "2026-03-19T08:00:00Z" };
        let timing = json!({
            "rule": "built-in 1", "business": "投诉举报", "domain": "", "topic": "", "urgency": "", "begun": begun,
            "done": facts.has(Fact::Ended), "ended": facts.has(Fact::Ended).then_some("2026-03-19T09:00:00Z"),
        });
        let mut row = Row {
            number: format!("JT{n}"),
            stands: (site(values[1]).to_string(), stage.to_owned()),
            taken_by: site(taken_by),
            offered_to: None,
            subject: String::new(),
            at: String::new(),
            returns: 0,
            superseded: 0,
            alarms: 0,
            state: [0; 32],
            timing: serde_json::from_value(timing).unwrap(),
            urgency: String::new(),
            day: day(on),
            facts,
            said: values.map(|v| if v % 4 == 0 { String::new() } else { format!("v{}", v % 4) }),
            hands: Hands::default(),
            confidential: false,
            centre: String::new(),
            text: String::new(),
            searched: [0; 32],
            names: String::new(),
            outside: String::new(),
            readers: String::new(),
            offered: false,
        };
        row.at.clone_from(&row.day);
        row
    }

    pub(in crate::projection) fn doc(n: usize) -> DocId {
        DocId::from_bytes([n as u8; 32])
    }

    /// The facts of a ticket as the site `me` counts it now, from what it says alone.
    fn plain(row: &Row, me: certs::Site) -> Facts {
        let reference = Reference::built_in();
        let facts = row.facts.seen_from(me, row.taken_by).judged(row.timing.in_time(reference));
        let over = due(&row.timing, reference).is_some_and(|due| due.as_str() < NOW);
        facts.with(Fact::Overdue, over && facts.may_be_overdue())
    }

    fn told(db: &Connection, by: Option<Dimension>, period: Period) -> Value {
        let read = |period| -> Result<_> {
            let mut all = cells(db, by, period)?;
            all.extend(overdue_cells(db, by, period, NOW)?);
            Ok(all)
        };
        report(&Reference::built_in().definitions, period, by, read, str::to_owned).unwrap()
    }

    fn figures(of: &Value) -> BTreeMap<String, (u64, u64)> {
        let of = of["figures"].as_array().unwrap().iter();
        of.map(|f| {
            (
                f["id"].as_str().unwrap().to_owned(),
                (f["count"].as_u64().unwrap(), f["of"].as_u64().unwrap_or(0)),
            )
        })
        .collect()
    }

    fn plus(sum: &mut BTreeMap<String, (u64, u64)>, other: &BTreeMap<String, (u64, u64)>) {
        for (id, (count, of)) in other {
            let sum = sum.entry(id.clone()).or_default();
            *sum = (sum.0 + count, sum.1 + of);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever came and changed in whatever order: what is tallied is what a plain count over the tickets finds, the values
        /// of every dimension add up to the whole, months add up to the quarter, and each figure opens to just its tickets.
        #[test]
        fn figures_are_a_plain_count_and_add_up(
            puts in prop::collection::vec((0usize..25, (0u8..90, any::<u32>(), any::<[u8; 4]>(), any::<bool>(), any::<u8>())), 1..60)
        ) {
            let db = Connection::open_in_memory().unwrap();
            prepare(&db).unwrap();
            let (me, reference) = (site(0), Reference::built_in());
            let mut tickets: BTreeMap<usize, Row> = BTreeMap::new();
            for (n, said) in puts {
                // Most are no test tickets, so that there is something to count.
                let bits = if said.1 % 5 == 0 { said.1 } else { said.1 & !1 };
                let said = (said.0, bits, said.2, said.3, said.4);
                let row = row(n, said);
                put(&db, &doc(n), &row, Indexing::Later, me, reference).unwrap();
                tickets.insert(n, row);
            }
            let quarter = Period::days("2026-01-01".parse().unwrap(), "2026-03-31".parse().unwrap()).unwrap();
            let whole = figures(&told(&db, None, quarter));
            for definition in reference.definitions.iter() {
                let within = |row: &&Row| !row.day.is_empty() && row.day.as_str() < "2026-04-01";
                let counted: Vec<&Row> = tickets.values().filter(within).filter(|row| definition.counts(plain(row, me))).collect();
                let of = tickets.values().filter(within).filter(|row| definition.is_of(plain(row, me))).count() as u64;
                prop_assert_eq!(whole[definition.id()], (counted.len() as u64, of), "{}", definition.id());
                let mut asked = Behind { definition, part: Part::Counted, period: quarter, of: None, now: NOW };
                let mut expected: Vec<(&str, &str)> = counted.iter().map(|row| (row.day.as_str(), row.number.as_str())).collect();
                let mut rest: Vec<Value> = behind(&db, asked, 9, None).unwrap();
                while let Some(last) = rest.last().filter(|_| rest.len().is_multiple_of(9)) {
                    let page = behind(&db, asked, 9, last["row"].as_i64()).unwrap();
                    if page.is_empty() {
                        break;
                    }
                    rest.extend(page);
                }
                let days: Vec<&str> = rest.iter().map(|row| row["at"].as_str().unwrap()).collect();
                prop_assert!(days.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", days);
                let mut listed: Vec<(&str, &str)> = rest.iter().map(|row| (row["at"].as_str().unwrap(), row["number"].as_str().unwrap())).collect();
                listed.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(listed, expected, "{}", definition.id());
                asked.part = Part::Rest;
                let missed = behind(&db, asked, 99, None).unwrap().len() as u64;
                prop_assert_eq!(missed, of.saturating_sub(if definition.is_rate() { counted.len() as u64 } else { 0 }));
            }
            for (by, name) in DIMENSIONS {
                let (told, mut sum) = (told(&db, Some(by), quarter), BTreeMap::new());
                for value in told["values"].as_array().unwrap() {
                    let of = figures(value);
                    let asked = Behind {
                        definition: reference.definitions.get("overdue").unwrap(), part: Part::Counted, period: quarter,
                        of: Some((by, value["value"].as_str().unwrap())), now: NOW,
                    };
                    if by != Dimension::Day {
                        prop_assert_eq!(behind(&db, asked, 99, None).unwrap().len() as u64, of["overdue"].0, "{} {}", name, value);
                    }
                    plus(&mut sum, &of);
                }
                prop_assert!(sum == whole || whole.values().all(|n| *n == (0, 0)), "{}: {:?} {:?}", name, sum, whole);
            }
            let mut months = BTreeMap::new();
            ["2026-01", "2026-02", "2026-03"].iter().for_each(|m| plus(&mut months, &figures(&told(&db, None, Period::month(m).unwrap()))));
            prop_assert_eq!(&months, &whole);

            // What was tallied ticket by ticket is what a rebuild makes.
            let before = fingerprint(&db).unwrap();
            clear(&db).unwrap();
            for (n, row) in &tickets {
                put(&db, &doc(*n), row, Indexing::Later, me, reference).unwrap();
            }
            prop_assert_eq!(fingerprint(&db).unwrap(), before);
            // A version that knew no handlers left its rows without their tally.
            db.execute("DELETE FROM ticket_tally WHERE dimension = ?1", [HANDLER as i64]).unwrap();
            prepare(&db).unwrap();
            prop_assert_eq!(fingerprint(&db).unwrap(), before);
        }
    }

    #[test]
    fn tables_of_deadlines_that_change_move_what_has_ended_too() {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        let ended = (1u32 << Fact::Ended as u8) | (1 << Fact::Complaint as u8);
        let (me, reference) = (site(0), Reference::built_in());
        put(&db, &doc(1), &row(1, (59, ended, [1; 4], true, 1)), Indexing::Later, me, reference).unwrap();
        let march = Period::month("2026-03").unwrap();
        let late = |db: &Connection| figures(&told(db, None, march))["complaint_in_time"];
        assert_eq!(late(&db), (0, 1), "eighteen days are more than ten working days");
        let dir = tempfile::tempdir().unwrap();
        let limits =
            "version,business,domain,topic,urgency,amount,unit,basis\nbuilt-in 1,,,,,60,calendar days,here\n";
        std::fs::write(dir.path().join("time_limits.csv"), limits).unwrap();
        let other = Reference::load(Some(dir.path())).unwrap();
        assert_eq!(count_again(&db, &other, 0, 9, false).unwrap(), Some((1, Vec::new())));
        assert_eq!(count_again(&db, &other, 1, 9, false).unwrap(), None);
        assert_eq!(late(&db), (1, 1));
        assert_eq!(count_again(&db, &other, 0, 9, true).unwrap(), Some((1, vec![doc(1)])));
    }

    #[test]
    fn rows_of_a_version_that_tallied_nothing_are_read_and_counted_once() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE ticket(row INTEGER PRIMARY KEY, doc BLOB NOT NULL, number TEXT NOT NULL, custodian TEXT NOT NULL,
               taken_by TEXT NOT NULL, offered_to TEXT, stage TEXT NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL,
               returns INTEGER NOT NULL, superseded INTEGER NOT NULL, alarms INTEGER NOT NULL, state BLOB NOT NULL,
               clock TEXT NOT NULL, searched BLOB NOT NULL, due TEXT, urgency TEXT NOT NULL DEFAULT '');",
        )
        .unwrap();
        let older = "INSERT INTO ticket VALUES(7, ?1, 'JT1', '370100', '370100', NULL, 'in_hand', '', '', 0, 0, 0, x'', '{}', x'', NULL, '')";
        db.execute(older, [doc(1).as_bytes()]).unwrap();
        prepare(&db).unwrap();
        let march = Period::month("2026-03").unwrap();
        assert_eq!(figures(&told(&db, None, march))["taken"], (0, 0));
        assert_eq!(rows_after(&db, 0).unwrap(), 7);
        let (me, reference) = (site(0), Reference::built_in());
        assert_eq!(count_again(&db, reference, 0, 9, false).unwrap(), Some((7, vec![doc(1)])));
        for _ in 0..2 {
            let mut row = row(1, (60, 0, [1; 4], false, 1));
            row.outside = "A-1".to_owned();
            row.searched = [0; 32];
            db.execute("UPDATE ticket SET searched = ?1", [row.searched]).unwrap(); // its words are as they were
            put(&db, &doc(1), &row, Indexing::Later, me, reference).unwrap();
            assert_eq!(figures(&told(&db, None, march))["taken"], (1, 0));
            assert_eq!(
                super::super::outside(&db, "A-1", 9).unwrap().len(),
                1,
                "found by others' number as well"
            );
        }
    }

    #[test]
    fn a_period_is_a_walk_along_one_index() {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        let plan = |sql: &str, values: usize| -> Vec<String> {
            let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = query.query_map(params_from_iter(vec!["x"; values]), |r| r.get(3)).unwrap();
            rows.map(|row| row.unwrap()).collect()
        };
        for id in ["taken", "overdue", "complaint_in_time"] {
            let definition = Reference::built_in().definitions.get(id).unwrap();
            let of = Some((Dimension::Domain, "D04"));
            let asked = Behind {
                definition,
                part: Part::Counted,
                period: Period::month("2026-03").unwrap(),
                of,
                now: NOW,
            };
            let plan = plan(&asked.sql(), 6);
            assert!(plan[0].contains("SEARCH ticket USING INDEX ticket_day (day>? AND day<?)"), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
