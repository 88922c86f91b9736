//! A frozen month: the entries of its document, and what they add up to.
//!
//! ```text
//! {"op":"create","parents":[],"node":"370000","kind":"scorecard","schema":1,"site":"370000","below":true,"reported":true,
//!  "month":"2026-11","table":{...},"user":"...","at":"..."}
//! {"op":"amend","parents":["3f…"],"node":"370000-b","table":{...},"reason":"...","user":"...","at":"..."}
//! ```
//!
//! An amendment counts when a node of the site that froze the month wrote it, and its author was not revoked before. Of two that
//! knew nothing of each other the one with the larger id comes last; both are shown. An entry in another form has no effect.

use std::collections::BTreeSet;

use certs::{NodeName, Site};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{KIND, Table};
use crate::ticket::EntryId;
use crate::ticket::trail::parents_first;

/// The schema that this version writes.
const SCHEMA: u32 = 1;

/// Most amendments of one month: what comes after them has no effect.
pub const MOST_AMENDED: usize = 100;

/// What was put right later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AmendedScorecard)]
pub struct Amended {
    /// The node that wrote it.
    #[schema(value_type = String)]
    pub node: NodeName,
    /// Whoever did it.
    #[schema(required)]
    pub user: Option<String>,
    /// When, by that node's clock.
    #[schema(required, format = DateTime)]
    pub at: Option<String>,
    /// Why.
    pub reason: String,
    /// The table as it is since.
    pub table: Table,
}

/// A frozen month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FrozenScorecard)]
pub struct Record {
    /// Whose units it ranks.
    #[schema(value_type = String)]
    pub site: Site,
    /// The node that froze it.
    #[schema(value_type = String)]
    pub node: NodeName,
    /// Whoever did it.
    #[schema(required)]
    pub user: Option<String>,
    /// When, by that node's clock.
    #[schema(required, format = DateTime)]
    pub at: Option<String>,
    /// The table as it was frozen.
    pub table: Table,
    /// What was put right later, in order.
    pub amended: Vec<Amended>,
}

/// The entry that freezes a month.
pub fn creation(node: NodeName, table: &Table, user: Option<&str>, at: &str) -> Value {
    json!({
        "op": "create", "parents": [], "node": node, "kind": KIND, "schema": SCHEMA, "site": node.site(),
        "below": true, "reported": true, "month": table.month, "table": table, "user": user, "at": at,
    })
}

/// The entry that puts one right.
pub fn amendment(
    node: NodeName,
    heads: &[EntryId],
    table: &Table,
    reason: &str,
    user: Option<&str>,
    at: &str,
) -> Value {
    json!({ "op": "amend", "parents": heads, "node": node, "table": table, "reason": reason, "user": user, "at": at })
}

/// The entries that count and that no other one names as a parent: what a new amendment rests on.
pub fn heads<'a>(entries: impl IntoIterator<Item = (&'a [u8], bool)>) -> Vec<EntryId> {
    let entries = counted(entries);
    let parents: BTreeSet<EntryId> =
        entries.iter().flat_map(|(_, entry)| entry.parents.iter().copied()).collect();
    entries.into_iter().map(|(id, _)| id).filter(|id| !parents.contains(id)).collect()
}

/// What counts and reads, each once, by id.
fn counted<'a>(entries: impl IntoIterator<Item = (&'a [u8], bool)>) -> Vec<(EntryId, Entry)> {
    let counted = entries.into_iter().filter(|(_, counted)| *counted);
    let read =
        counted.filter_map(|(bytes, _)| Some((EntryId::of(bytes), serde_json::from_slice(bytes).ok()?)));
    let mut entries: Vec<(EntryId, Entry)> = read.collect();
    entries.sort_by_key(|(id, _)| *id);
    entries.dedup_by_key(|(id, _)| *id);
    entries
}

#[derive(Deserialize)]
struct Entry {
    op: String,
    parents: Vec<EntryId>,
    node: NodeName,
    site: Option<Site>,
    month: Option<String>,
    table: Option<Table>,
    reason: Option<String>,
    user: Option<String>,
    at: Option<String>,
}

impl Record {
    /// What the entries of a document say: their bytes, and whether each is counted. `None` when they freeze no month.
    pub fn of<'a>(entries: impl IntoIterator<Item = (&'a [u8], bool)>) -> Option<Record> {
        let entries = counted(entries);
        let mut children = vec![Vec::new(); entries.len()];
        let known = |p: &EntryId| entries.binary_search_by_key(p, |(id, _)| *id).ok();
        for (i, (_, entry)) in entries.iter().enumerate() {
            entry.parents.iter().filter_map(known).for_each(|p| children[p].push(i));
        }
        // A document's changes come in order, so a parent that is not here does not count, and nobody waits for it.
        let order = parents_first(&children, |i| entries[i].1.parents.iter().filter_map(known).count());
        let (_, create) = entries.iter().find(|(_, entry)| entry.op == "create")?;
        let table = create.table.clone()?;
        let site = create.node.site();
        if create.site != Some(site) || create.month.as_ref() != Some(&table.month) {
            return None;
        }
        let amends = |entry: &&Entry| entry.op == "amend" && entry.node.site() == site;
        let amended = order.into_iter().map(|i| &entries[i].1).filter(amends).filter_map(|entry| {
            let table = entry.table.clone().filter(|amended| amended.month == table.month)?;
            let reason = entry.reason.clone().unwrap_or_default();
            Some(Amended { node: entry.node, user: entry.user.clone(), at: entry.at.clone(), reason, table })
        });
        let amended = amended.take(MOST_AMENDED).collect();
        let (node, user, at) = (create.node, create.user.clone(), create.at.clone());
        Some(Record { site, node, user, at, table, amended })
    }

    /// The table that holds: the last amendment's, or the one that was frozen.
    pub fn holds(&self) -> &Table {
        self.amended.last().map_or(&self.table, |amended| &amended.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(score: f64) -> Table {
        let unit = super::super::Unit {
            site: "370100".parse().unwrap(),
            taken: 1,
            test: 0,
            counted: vec![[1, 1]],
            proved_at: None,
            complete: true,
            untold: Vec::new(),
            score: Some(score),
            rank: Some(1),
        };
        Table {
            month: "2026-11".into(),
            weights_from: "2021-01-01".into(),
            rates: vec![("rectified".into(), 1.0)],
            units: vec![unit],
        }
    }

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    #[test]
    fn a_month_is_put_right_so_often_and_no_more() {
        let mut entries =
            vec![serde_json::to_vec(&creation(node("370000"), &table(1.0), None, "t")).unwrap()];
        for i in 0..MOST_AMENDED + 3 {
            let head = [EntryId::of(entries.last().unwrap())];
            let entry = amendment(node("370000"), &head, &table(i as f64), "x", None, "t");
            entries.push(serde_json::to_vec(&entry).unwrap());
        }
        let record = Record::of(entries.iter().map(|b| (b.as_slice(), true))).unwrap();
        assert_eq!((record.amended.len(), record.holds().units[0].score), (MOST_AMENDED, Some(99.0)));
    }

    #[test]
    fn amendments_of_the_site_count_in_order_and_those_of_others_not() {
        let bytes = |entry: Value| serde_json::to_vec(&entry).unwrap();
        let create = bytes(creation(node("370000"), &table(90.0), Some("zhao"), "t0"));
        let head = [EntryId::of(&create)];
        let first = bytes(amendment(node("370000-b"), &head, &table(91.0), "漏计", None, "t1"));
        let head = [EntryId::of(&first)];
        let second = bytes(amendment(node("370000"), &head, &table(92.0), "复核", None, "t2"));
        let forged = bytes(amendment(node("370100"), &head, &table(100.0), "x", None, "t3"));
        let all = [&second, &second, &forged, &create, &first].map(|b| (b.as_slice(), true));
        let record = Record::of(all).unwrap();
        assert_eq!((record.site, record.table.units[0].score), ("370000".parse().unwrap(), Some(90.0)));
        let reasons: Vec<&str> = record.amended.iter().map(|a| a.reason.as_str()).collect();
        assert_eq!((reasons, record.holds().units[0].score), (vec!["漏计", "复核"], Some(92.0)));
        let mut last = [EntryId::of(&second), EntryId::of(&forged)];
        last.sort_unstable();
        assert_eq!(heads(all), last);
        // What a revoked author wrote is past counting; what was put right with it in view stands, and so does what comes after.
        let foreign = bytes(json!({ "op": "x", "node": "370100" }));
        let after =
            bytes(amendment(node("370000"), &[EntryId::of(&foreign)], &table(93.0), "更正", None, "t4"));
        let all = [(&create, true), (&first, false), (&second, true), (&foreign, true), (&after, true)];
        let all = all.map(|(b, counted)| (b.as_slice(), counted));
        let record = Record::of(all).unwrap();
        let mut scores: Vec<_> = record.amended.iter().map(|a| a.table.units[0].score.unwrap()).collect();
        scores.sort_by(f64::total_cmp);
        assert_eq!(scores, [92.0, 93.0]);
        let mut last = [&create, &second, &after].map(|b| EntryId::of(b));
        last.sort_unstable();
        assert_eq!(heads(all), last, "neither what does not count nor what does not read is rested on");
        assert_eq!(Record::of([(first.as_slice(), true)]), None);
        assert_eq!(Record::of([(&b"{}"[..], true)]), None);
    }
}
