//! A month of a site's aggregates: the entries of its document, and what they add up to.
//!
//! ```text
//! {"op":"create","parents":[],"node":"370100","kind":"aggregate","schema":1,"site":"370100","reported":true,"month":"2026-11",
//!  "volume":1}
//! {"op":"day","node":"370100","day":"2026-11-29","edition":2,"part":0,"parts":1,"at":"...",
//!  "cells":[[["投诉举报","D04","D0401","电话"],1104,"2026-12-11T18:00:00+08:00",3], ...]}
//! ```
//!
//! An edition counts when all its parts are here and a node of the site wrote them. Of several the highest holds. Two may be numbered
//! alike: two replicas told without having heard of each other, or one node told in two lives of which the later had lost the
//! earlier. Then the one with more tickets holds, for tickets are added to a day and never taken away; of equal ones the one of the
//! node that comes last by name, and of its two the later. An entry in another form has no effect.

use std::collections::BTreeMap;

use certs::{NodeName, Site};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::KIND;
use super::uses::{self, Uses};
use crate::figures::Period;
use crate::ticket::entry::MAX_ENTRY;

/// The schema that this version writes.
const SCHEMA: u32 = 1;

/// How much of an entry its cells may take, in bytes; the rest is for what stands around them.
pub(super) const CELLS: usize = MAX_ENTRY - 512;

/// Most parts of an edition: a day of several hundred thousand tickets has fewer.
const MAX_PARTS: u32 = 256;

/// So many tickets of which the same holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub struct Cell {
    /// Business, domain, topic and channel, as [`crate::figures::DIMENSIONS`] has them; empty where nothing was said.
    pub values: [String; 4],
    /// [`crate::figures::Facts::bits`].
    pub facts: i64,
    /// When their deadline is over, as [`crate::china::shown`] writes it; of tickets that can still be overdue.
    pub due: Option<String>,
    /// How many.
    pub n: i64,
}

type Told = ([String; 4], i64, Option<String>, i64);

impl From<Told> for Cell {
    fn from((values, facts, due, n): Told) -> Cell {
        Cell { values, facts, due, n }
    }
}

impl From<Cell> for Told {
    fn from(cell: Cell) -> Told {
        (cell.values, cell.facts, cell.due, cell.n)
    }
}

/// What was told of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The first is 1.
    pub edition: u32,
    /// Who told it.
    pub node: NodeName,
    /// When, by that node's clock.
    pub at: String,
    /// What.
    pub cells: Vec<Cell>,
}

impl Edition {
    /// How many tickets it tells of.
    pub fn tickets(&self) -> i64 {
        self.cells.iter().map(|cell| cell.n).sum()
    }
}

/// A month of a site's aggregates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// Whose tickets are told of.
    pub site: Site,
    /// As in `2026-11`.
    pub month: String,
    /// The edition that holds of each day.
    pub days: BTreeMap<Date, Edition>,
    /// What was said of articles on its days.
    pub articles: Uses,
}

/// The entry that begins a month, in a document that is so many for this node.
pub fn creation(node: NodeName, month: Period, volume: usize) -> Value {
    json!({
        "op": "create", "parents": [], "node": node, "kind": KIND, "schema": SCHEMA, "site": node.site(), "reported": true,
        "month": month.month_name(), "volume": volume,
    })
}

/// The entries that tell a day; `None` when it has more kinds of tickets than readers take.
pub fn telling(day: Date, edition: &Edition) -> Option<Vec<Value>> {
    let mut parts: Vec<Vec<Value>> = vec![Vec::new()];
    let mut filled = 0;
    for cell in &edition.cells {
        let cell = json!(cell);
        let length = cell.to_string().len() + 1;
        if filled + length > CELLS {
            parts.push(Vec::new());
            filled = 0;
        }
        filled += length;
        parts.last_mut().expect("there is one").push(cell);
    }
    let count = parts.len();
    let entry = |(part, cells)| {
        json!({
            "op": "day", "node": edition.node, "day": day, "edition": edition.edition, "part": part, "parts": count,
            "at": edition.at, "cells": Value::Array(cells),
        })
    };
    (count <= MAX_PARTS as usize).then(|| parts.into_iter().enumerate().map(entry).collect())
}

#[derive(Deserialize)]
struct Create {
    op: String,
    node: NodeName,
    kind: String,
    site: Site,
    month: String,
}

#[derive(Deserialize)]
struct Day {
    op: String,
    node: NodeName,
    day: Date,
    edition: u32,
    part: u32,
    parts: u32,
    at: String,
    cells: Vec<Cell>,
}

impl Month {
    /// What the entries of a document say: their bytes, and whether each is counted. `None` when they begin no month.
    pub fn of<'a>(entries: impl IntoIterator<Item = (&'a [u8], bool)>) -> Option<Month> {
        let mut begun: Option<Create> = None;
        let mut told: BTreeMap<(Date, u32, NodeName, String), BTreeMap<u32, Day>> = BTreeMap::new();
        let mut articles = Uses::new();
        for (bytes, _) in entries.into_iter().filter(|(_, counted)| *counted) {
            if let Ok(day) = serde_json::from_slice::<Day>(bytes) {
                if day.op == "day" && day.parts <= MAX_PARTS && day.part < day.parts {
                    let key = (day.day, day.edition, day.node, day.at.clone());
                    told.entry(key).or_default().insert(day.part, day);
                }
            } else if let Ok(create) = serde_json::from_slice::<Create>(bytes) {
                begun = begun.or(Some(create).filter(|create| create.op == "create" && create.kind == KIND));
            } else {
                uses::hear(&mut articles, bytes);
            }
        }
        let begun = begun.filter(|create| create.node.site() == create.site)?;
        let period = Period::month(&begun.month).ok()?;
        let believed = |node: NodeName, day: Date| {
            node.site() == begun.site && (period.from()..period.end()).contains(&day)
        };
        articles.retain(|of, _| believed(of.node, of.day));
        let mut days: BTreeMap<Date, Edition> = BTreeMap::new();
        for ((day, edition, node, at), parts) in told {
            let whole = parts.values().next().is_some_and(|first| parts.len() == first.parts as usize);
            if !whole || !believed(node, day) {
                continue;
            }
            let mut cells: Vec<Cell> = parts.into_values().flat_map(|part| part.cells).collect();
            let sound = |cell: &Cell| cell.values.iter().all(|value| value.len() <= LONGEST);
            cells.retain(|cell| (1..=MOST).contains(&cell.n) && sound(cell));
            let edition = Edition { edition, node, at, cells };
            // They come in order: the later holds, unless it is numbered alike and tells of fewer tickets.
            let holds =
                |before: &Edition| before.edition == edition.edition && before.tickets() > edition.tickets();
            if !days.get(&day).is_some_and(holds) {
                days.insert(day, edition);
            }
        }
        Some(Month { site: begun.site, month: begun.month, days, articles })
    }
}

/// Most tickets of one cell, and the longest value in bytes: past them a site is not believed.
const MOST: i64 = 1_000_000_000;
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use sync::id::{DocId, Incarnation};

    use super::super::uses::{Of, Said};
    use super::*;

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn month() -> Period {
        Period::month("2026-11").unwrap()
    }

    fn day(n: i8) -> Date {
        Date::new(2026, 11, n).unwrap()
    }

    fn cell(topic: &str, n: i64) -> Cell {
        Cell {
            values: ["投诉举报".into(), "D04".into(), topic.into(), "电话".into()],
            facts: 8,
            due: None,
            n,
        }
    }

    fn edition(edition: u32, by: &str, cells: Vec<Cell>) -> Edition {
        Edition { edition, node: node(by), at: "2026-11-30T00:10:00+08:00".into(), cells }
    }

    fn bytes(entries: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
        entries.into_iter().map(|entry| entry.to_string().into_bytes()).collect()
    }

    fn read(entries: &[Vec<u8>]) -> Option<Month> {
        Month::of(entries.iter().map(|entry| (entry.as_slice(), true)))
    }

    #[test]
    fn the_highest_edition_of_a_day_holds_in_whatever_order_it_came() {
        let mut all = bytes([creation(node("370100"), month(), 1)]);
        let first = edition(1, "370100", vec![cell("D0401", 3)]);
        let second = edition(2, "370100", vec![cell("D0402", 1), cell("D0401", 8)]);
        let fewer = edition(2, "370100-c", vec![cell("D0401", 8)]);
        let beside = edition(2, "370100-b", vec![cell("D0401", 9)]);
        for edition in [&beside, &second, &fewer, &first] {
            all.extend(bytes(telling(day(29), edition).unwrap()));
        }
        all.extend(bytes(telling(day(28), &edition(1, "370100", Vec::new())).unwrap()));
        for _ in 0..all.len() {
            all.rotate_left(1);
            let read = read(&all).unwrap();
            assert_eq!((read.site, read.month.as_str()), ("370100".parse().unwrap(), "2026-11"));
            assert_eq!(read.days[&day(29)], beside, "of two alike the last by name");
            assert_eq!(read.days[&day(28)].cells, [], "nobody called, which is told");
        }
        all.retain(|entry| !entry.windows(10).any(|w| w == b"\"370100-b\""));
        assert_eq!(read(&all).unwrap().days[&day(29)], second);
    }

    #[test]
    fn a_long_day_comes_in_parts_and_counts_when_all_are_here() {
        let cells: Vec<Cell> = (0..2_000).map(|n| cell(&format!("D{n:04}"), n + 1)).collect();
        let parts = bytes(telling(day(1), &edition(1, "370100", cells.clone())).unwrap());
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= MAX_ENTRY), "{}", parts.len());
        let begun = bytes([creation(node("370100"), month(), 1)]);
        let told = |parts: &[Vec<u8>]| read(&[&begun[..], parts].concat()).unwrap().days;
        assert_eq!(told(&parts)[&day(1)].cells, cells);
        assert!(told(&parts[1..]).is_empty());
        let kinds = (0..200_000).map(|n| cell(&format!("D{n:06}"), 1)).collect();
        assert_eq!(telling(day(1), &edition(1, "370100", kinds)), None);
    }

    #[test]
    fn two_lives_of_a_node_that_tell_one_edition_are_not_mixed() {
        let cells = |n| (0..1_000).map(|topic| cell(&format!("D{topic:04}"), n)).collect::<Vec<_>>();
        let before = edition(1, "370100", cells(1));
        let since = Edition { at: "2026-11-30T09:00:00+08:00".into(), ..edition(1, "370100", cells(2)) };
        let begun = bytes([creation(node("370100"), month(), 1)]);
        let parts = |edition: &Edition| bytes(telling(day(1), edition).unwrap());
        let torn = parts(&since).split_off(1);
        let told = |parts: &[Vec<Vec<u8>>]| read(&[&begun[..], &parts.concat()].concat()).unwrap().days;
        assert_eq!(told(&[parts(&since), parts(&before)])[&day(1)], since);
        assert_eq!(told(&[parts(&before), torn])[&day(1)], before);
    }

    #[test]
    fn what_is_of_another_site_month_or_form_has_no_effect() {
        let begun = creation(node("370100"), month(), 1);
        let told = |by: &str, on: Date| telling(on, &edition(1, by, vec![cell("D0401", 3)])).unwrap();
        let mut all = bytes([begun.clone()]);
        all.extend(bytes(told("370200", day(2))));
        all.extend(bytes(told("370100", Date::new(2026, 12, 1).unwrap())));
        all.extend(bytes([json!({ "op": "day", "node": "370100" }), json!([1]), json!({ "op": "x" })]));
        let long = cell(&"x".repeat(LONGEST), 1);
        let odd =
            vec![cell("D0401", 0), cell("D0402", -4), Cell { values: long.values.map(|v| v + "x"), ..long }];
        let mut odd = telling(day(3), &edition(1, "370100", odd)).unwrap();
        odd[0]["further"] = json!("of a later version");
        all.extend(bytes(odd));
        let said = |by: &str, on: Date| {
            let (article, life) = (DocId::from_bytes([1; 32]), Incarnation::from_bytes([1; 8]));
            let of = Of { node: node(by), day: on, article, version: 1, life };
            uses::telling(of.node, on, &[(of, Said { used: 1, unhelpful: 0 })], "")
        };
        all.extend(bytes(said("370200", day(2))));
        all.extend(bytes(said("370100", Date::new(2026, 12, 1).unwrap())));
        all.extend(bytes(said("370100-b", day(2))));
        let read_all = read(&all).unwrap();
        let heard: Vec<NodeName> = read_all.articles.keys().map(|of| of.node).collect();
        assert_eq!(heard, [node("370100-b")]);
        assert_eq!(read_all.days.len(), 1);
        assert_eq!(read_all.days[&day(3)].cells, [], "no fewer tickets than none, and nothing endless");
        let mut foreign = begun;
        foreign["site"] = json!("370200");
        assert_eq!(read(&bytes([foreign])), None);
        assert_eq!(read(&bytes(told("370100", day(2)))), None);
        assert_eq!(Month::of([(b"{}".as_slice(), true), (b"\xff", true)]), None);
    }
}
