//! Tickets that may be about the same matter as a call that is being typed: found by what they share with it.
//!
//! Looked at are the newest tickets; shown are those that are open or young. The same plate counts most, then the same
//! place, then rare words ([`telling`]) by how few of these tickets have them. One word is chance: without plate, place or
//! a long number it takes three.
//!
//! Confidential reports are none of them, though their places and plates are indexed.
//!
//! Every statement ends at a limit, so the work is bounded by the constants here and not by how many tickets there are.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde_json::Value;
use sync::store::Result;

use super::{COLUMNS, CONFIDENTIAL, rows};
use crate::search::{last_words, telling, whole};

/// How many of the newest tickets are looked at: a month of a big city.
const NEWEST: i64 = 100_000;

/// A word, plate or place that more of them have than this says nothing about any.
const COMMON: i64 = 1_000;

/// How many of the best are asked whether they are open or young.
const ASKED: usize = 400;

/// How many characters of a plate and of a place are compared.
const PLATE: usize = 16;
const PLACE: usize = 24;

/// So many words are no chance.
const WORDS: usize = 3;

/// From so many characters on, a number in a text (a plate, an order's) is no chance.
const NUMBER: usize = 5;

/// Rows whose words hold a phrase. (The other column holds pinyin.)
const HITS: &str =
    "SELECT rowid FROM ticket_text WHERE ticket_text MATCH 'body : ' || ?1 AND rowid > ?2 LIMIT ?3";

/// What is typed about a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typed<'a> {
    /// What the caller says; its end counts.
    pub text: &'a str,
    /// The plate of the vehicle.
    pub plate: &'a str,
    /// Where it happened.
    pub place: &'a str,
}

/// What a ticket shares with the call.
#[derive(Clone, Debug, Default)]
struct Shared {
    plate: bool,
    place: bool,
    words: BTreeSet<String>,
    weight: f64,
}

impl Shared {
    fn is_chance(&self) -> bool {
        let number = |word: &String| word.len() >= NUMBER && word.bytes().any(|b| b.is_ascii_digit());
        !self.plate && !self.place && self.words.len() < WORDS && !self.words.iter().any(number)
    }
}

/// Open tickets, and those that began at `since` ([`crate::china::shown`]) or later, that may be about the same; the
/// likeliest first. Rows are those of a list, with `why`: what is shared.
pub fn similar(db: &Connection, typed: Typed<'_>, since: &str, limit: usize) -> Result<Vec<Value>> {
    let newest: i64 =
        db.prepare_cached("SELECT coalesce(max(row), 0) FROM ticket")?.query_row([], |r| r.get(0))?;
    let after = newest - NEWEST;
    let mut found: BTreeMap<i64, Shared> = BTreeMap::new();
    for (text, most, is_plate) in [(typed.plate, PLATE, true), (typed.place, PLACE, false)] {
        let hits = whole(text, most).map_or(Ok(Vec::new()), |phrase| hits(db, &phrase, after))?;
        if hits.len() as i64 == COMMON {
            continue;
        }
        for row in hits {
            let shared = found.entry(row).or_default();
            if is_plate { shared.plate = true } else { shared.place = true }
        }
    }
    let words = last_words(typed.text);
    let count = |word: &str| hits(db, &format!("\"{word}\""), after).map(|hits| hits.len() as i64);
    for (word, weight) in telling(&words, newest.min(NEWEST), COMMON, count)? {
        for row in hits(db, &format!("\"{word}\""), after)? {
            let shared = found.entry(row).or_default();
            shared.words.insert(word.clone());
            shared.weight += weight;
        }
    }
    let mut best: Vec<(i64, Shared)> = found.into_iter().filter(|(_, shared)| !shared.is_chance()).collect();
    best.sort_by(|(a, x), (b, y)| {
        let marks = (y.plate, y.place).cmp(&(x.plate, x.place));
        marks.then_with(|| y.weight.total_cmp(&x.weight)).then_with(|| b.cmp(a))
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM ticket WHERE row = ?1 AND subject != ?2 AND (done = 0 OR at >= ?3) LIMIT 1"
    );
    let mut shown = Vec::new();
    for (row, shared) in best.into_iter().take(ASKED) {
        if shown.len() == limit {
            break;
        }
        if let Some(mut ticket) = rows(db, &sql, params![row, CONFIDENTIAL, since])?.pop() {
            ticket["why"] = why(&words, &shared, typed).into();
            shown.push(ticket);
        }
    }
    Ok(shown)
}

/// The rows after `after` whose words hold this phrase, at most [`COMMON`].
fn hits(db: &Connection, phrase: &str, after: i64) -> Result<Vec<i64>> {
    let mut select = db.prepare_cached(HITS)?;
    let rows = select.query_map(params![phrase, after, COMMON], |r| r.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What is shared, as a person reads it: the plate, the place, and words as they were typed, pairs put together.
fn why(words: &[String], shared: &Shared, typed: Typed<'_>) -> Vec<String> {
    let mut why = Vec::new();
    for (is, text) in [(shared.plate, typed.plate), (shared.place, typed.place)] {
        if is {
            why.push(text.trim().to_owned());
        }
    }
    let mut goes_on = false;
    for word in words {
        let is_shared = shared.words.contains(word);
        match why.last_mut().filter(|last| goes_on && is_shared && last.chars().last() == word.chars().next())
        {
            Some(last) => last.extend(word.chars().skip(1)),
            None if is_shared => why.push(word.clone()),
            None => {}
        }
        goes_on = is_shared && !word.is_ascii();
    }
    let mut known = BTreeSet::new();
    why.retain(|word| known.insert(word.clone()));
    why
}

#[cfg(test)]
mod tests {
    use super::super::{prepare, text};
    use super::*;

    const SINCE: &str = "2026-10-30T00:00:00+08:00";

    /// Tickets: stage, when they began, subject, words.
    fn base(tickets: &[(&str, &str, &str, &str)]) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        for (row, (stage, at, subject, body)) in (1i64..).zip(tickets) {
            db.execute(
                "INSERT INTO ticket(row, doc, number, custodian, taken_by, stage, subject, at, returns, superseded, alarms, state, clock, searched, done)
                 VALUES(?1, CAST(?1 AS BLOB), ?1, '370100', '370100', ?2, ?4, ?3, 0, 0, 0, x'', '', x'', ?5)",
                params![row, stage, at, subject, super::super::is_done(stage)],
            )
            .unwrap();
            text::index(&db, row, false, body, subject).unwrap();
        }
        db
    }

    fn here() -> Connection {
        let (old, young) = ("2026-01-01T00:00:00+08:00", "2026-11-20T00:00:00+08:00");
        base(&[
            ("in_hand", old, "", "泉城广场公交站电梯坏了"), // 1: old, but open
            ("closed", young, "", "泉城广场地铁口电梯停运"), // 2: ended, but young
            ("closed", old, "", "泉城广场地铁口电梯停运"),  // 3: neither
            ("in_hand", young, CONFIDENTIAL, "泉城广场\n鲁A12345"), // 4
            ("in_hand", young, "", "出租车绕路\n鲁A·12345\n经十路"), // 5
            ("in_hand", young, "", "出租车拒载\n鲁B12345"), // 6
            ("in_hand", young, "", "公交车晚点"),           // 7
            ("in_hand", young, "", "高速公路收费标准"),     // 8
            ("in_hand", young, "", "网约车司机态度\n在经十路口"), // 9
            ("in_hand", young, "", "国道有坑"),             // 10
        ])
    }

    fn found(db: &Connection, typed: Typed<'_>) -> Vec<(i64, String)> {
        let rows = similar(db, typed, SINCE, 9).unwrap();
        let why = |row: &Value| -> Vec<String> { serde_json::from_value(row["why"].clone()).unwrap() };
        rows.iter().map(|row| (row["row"].as_i64().unwrap(), why(row).join(" "))).collect()
    }

    #[test]
    fn open_and_young_tickets_that_share_rare_words_are_found_and_no_confidential_one() {
        let db = here();
        let check = |text: &str, expected: &[(i64, &str)]| {
            let found = found(&db, Typed { text, ..Typed::default() });
            let found: Vec<(i64, &str)> = found.iter().map(|(row, why)| (*row, why.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("您好，泉城广场的电梯不动了", &[(2, "泉城广场 电梯"), (1, "泉城广场 电梯")]);
        check("公交车", &[]); // two pairs of one word
        check("你好", &[]);
        check("", &[]);
        check("车牌是鲁A 12345", &[(5, "a12345")]); // a long number is no chance; one that only ends so is another
    }

    #[test]
    fn a_plate_counts_most_then_a_place() {
        let db = here();
        let typed = Typed { text: "出租车拒载", plate: "鲁a-12345", place: "经十路" };
        assert_eq!(
            found(&db, typed),
            [
                (5, "鲁a-12345 经十路 出租车".to_owned()),
                (9, "经十路".to_owned()),
                (6, "出租车拒载".to_owned())
            ]
        );
        assert_eq!(found(&db, Typed { plate: "A1234", ..Typed::default() }), []);
        assert_eq!(found(&db, Typed { plate: "\" OR \"鲁", ..Typed::default() }), []);
    }

    #[test]
    fn what_many_tickets_have_says_nothing_and_old_rows_are_not_looked_at() {
        let db = here();
        let plate = Typed { plate: "鲁A12345", ..Typed::default() };
        assert_eq!(found(&db, plate).len(), 1);
        for row in 11..11 + COMMON {
            text::index(&db, row, false, "鲁A12345", "").unwrap();
        }
        assert_eq!(found(&db, plate), []);
        db.execute("UPDATE ticket SET row = ?1 WHERE row = 10", [NEWEST + 6]).unwrap();
        let place = Typed { place: "经十路", ..Typed::default() };
        assert_eq!(found(&db, place), [(9, "经十路".to_owned())], "the other is too far behind the newest");
    }

    #[test]
    fn words_are_found_by_their_index_from_a_row_on() {
        let plan: String = here()
            .query_row(&format!("EXPLAIN QUERY PLAN {HITS}"), params!["\"泉城\"", 1, 9], |r| r.get(3))
            .unwrap();
        assert!(plan.contains("VIRTUAL TABLE INDEX") && plan.contains('>'), "{plan}");
    }
}
