//! Editions of a table: the entries of their document, and what they add up to.
//!
//! ```text
//! {"op":"create","parents":[],"node":"000000","kind":"policy","schema":1,"site":"000000","reported":true,"below":true,
//!  "table":"time_limits","volume":1}
//! {"op":"edition","node":"000000","table":"time_limits","edition":2,"from":"2027-01-01","part":0,"parts":1,"at":"...",
//!  "user":"li","basis":"交办运〔2026〕9号","note":"","rows":"business,domain,...\n..."}
//! {"op":"withdraw","node":"000000","edition":2,"of":"000000","from":"2027-01-01","at":"...","user":"li"}
//! ```
//!
//! An edition counts when all its parts are here and a node of the document's site wrote them. A withdrawal counts when its writer
//! claims to have made it before the edition's day: one that is in force is replaced by a later one. An entry in another form has no
//! effect. All of it is a function of the set of entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use certs::{NodeName, Site};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{KIND, MAX_BASIS, MAX_LINES, MAX_NOTE, MAX_TABLE};
use crate::china;
use crate::ticket::entry::{MAX_ENTRY, MAX_NAME};

/// The schema that this version writes.
const SCHEMA: u32 = 1;

/// How much of an entry its rows may take, in bytes as they are written; the rest is for what stands around them.
const ROWS: usize = MAX_ENTRY - 5_000;

/// Most parts of an edition.
const MAX_PARTS: u32 = 256;

/// Most editions of a document that are read.
const MAX_EDITIONS: usize = 1_000;

/// How an edition is told from all others of its site and table. They are in the order in which they go before each other: of all
/// whose day has come the last is in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// From which day on it holds.
    pub from: Date,
    /// The first is 1.
    pub edition: u32,
    /// Who set it.
    pub node: NodeName,
    /// When, by that node's clock.
    pub at: String,
}

impl fmt::Display for Name {
    /// As in `000000 2027-01-01 #1`; of a second node of a site with the node's letter, as in `#1b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, node) = (self.node.site().to_string(), self.node.to_string());
        let letter = node.strip_prefix(&site).unwrap_or_default().trim_start_matches('-');
        write!(f, "{site} {} #{}{letter}", self.from, self.edition)
    }
}

/// Who took an edition back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Withdrawn {
    /// When, by the node's clock.
    pub at: String,
    /// The node.
    pub node: NodeName,
    /// Who sat at it.
    pub user: Option<String>,
}

/// One edition of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// Which.
    pub name: Name,
    /// Of which table.
    pub table: String,
    /// Who sat at the node.
    pub user: Option<String>,
    /// On what it rests.
    pub basis: String,
    /// What else is to be said.
    pub note: String,
    /// Set when it was taken back in time.
    pub withdrawn: Option<Withdrawn>,
    /// The table as it is to be.
    pub rows: String,
}

impl Edition {
    /// Whose it is.
    pub fn site(&self) -> Site {
        self.name.node.site()
    }
}

/// What a site has set of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Whose it is.
    pub site: Site,
    /// Of which table.
    pub table: String,
    /// The editions, in order.
    pub editions: Vec<Edition>,
}

/// The entry that begins the editions of a table; the second document of one has the volume 2.
pub fn creation(node: NodeName, table: &str, volume: usize) -> Value {
    json!({
        "op": "create", "parents": [], "node": node, "kind": KIND, "schema": SCHEMA, "site": node.site(), "reported": true,
        "below": true, "table": table, "volume": volume,
    })
}

/// The entries that tell an edition; `None` when a line, or the table, is longer than readers take.
pub fn telling(edition: &Edition) -> Option<Vec<Value>> {
    let mut parts = vec![String::new()];
    let mut filled = 0;
    for line in edition.rows.split_inclusive('\n') {
        let length = json!(line).to_string().len();
        if length > ROWS {
            return None;
        }
        if filled + length > ROWS {
            parts.push(String::new());
            filled = 0;
        }
        filled += length;
        parts.last_mut()?.push_str(line);
    }
    let count = parts.len();
    let Name { from, edition: number, node, at } = &edition.name;
    let entry = |(part, rows): (usize, String)| {
        let mut entry = json!({
            "op": "edition", "node": node, "table": edition.table, "edition": number, "from": from, "part": part, "parts": count,
            "at": at, "basis": edition.basis, "note": edition.note, "rows": rows,
        });
        if let Some(user) = &edition.user {
            entry["user"] = json!(user);
        }
        entry
    };
    let fits = count <= MAX_PARTS as usize && edition.rows.len() <= MAX_TABLE;
    fits.then(|| parts.into_iter().enumerate().map(entry).collect())
}

/// The entry that takes an edition back.
pub fn withdrawal(of: &Name, by: &Withdrawn) -> Value {
    let mut entry = json!({
        "op": "withdraw", "node": by.node, "edition": of.edition, "of": of.node, "from": of.from, "at": by.at,
    });
    if let Some(user) = &by.user {
        entry["user"] = json!(user);
    }
    entry
}

#[derive(Deserialize)]
struct Create {
    op: String,
    node: NodeName,
    kind: String,
    site: Site,
    table: String,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Part {
    op: String,
    node: NodeName,
    edition: u32,
    from: Date,
    part: u32,
    parts: u32,
    at: String,
    #[serde(default)]
    user: Option<String>,
    basis: String,
    #[serde(default)]
    note: String,
    rows: String,
}

#[derive(Deserialize)]
struct Withdraw {
    op: String,
    node: NodeName,
    edition: u32,
    of: NodeName,
    from: Date,
    at: String,
    #[serde(default)]
    user: Option<String>,
}

impl Part {
    fn is_sound(&self) -> bool {
        let user = self.user.as_ref().map_or(0, String::len);
        let short = self.basis.len() <= MAX_BASIS && self.note.len() <= MAX_NOTE && user <= MAX_NAME;
        self.op == "edition" && self.parts <= MAX_PARTS && self.part < self.parts && short
    }
}

impl Set {
    /// What the entries of a document say: their bytes, and whether each is counted. `None` when they begin no editions.
    pub fn of<'a>(entries: impl IntoIterator<Item = (&'a [u8], bool)>) -> Option<Set> {
        let mut begun: BTreeSet<(Site, String)> = BTreeSet::new();
        // Of two parts that claim one place the last by its bytes stands: everywhere the same.
        let mut told: BTreeMap<(Name, u32), BTreeMap<u32, Part>> = BTreeMap::new();
        let mut taken_back: BTreeMap<(NodeName, u32, Date), Withdrawn> = BTreeMap::new();
        for (bytes, _) in entries.into_iter().filter(|(_, counted)| *counted) {
            if let Ok(part) = serde_json::from_slice::<Part>(bytes) {
                if part.is_sound() {
                    let (from, edition, node, at) = (part.from, part.edition, part.node, part.at.clone());
                    let parts = told.entry((Name { from, edition, node, at }, part.parts)).or_default();
                    let stands = parts.entry(part.part).or_insert_with(|| part.clone());
                    if *stands < part {
                        *stands = part;
                    }
                }
            } else if let Ok(entry) = serde_json::from_slice::<Withdraw>(bytes) {
                let claimed = entry.at.parse().ok().map(china::day);
                if entry.op == "withdraw" && claimed.is_some_and(|day| day < entry.from) {
                    let by = Withdrawn { at: entry.at, node: entry.node, user: entry.user };
                    let first = taken_back.entry((entry.of, entry.edition, entry.from));
                    let first = first.or_insert_with(|| by.clone());
                    if by < *first {
                        *first = by;
                    }
                }
            } else if let Ok(create) = serde_json::from_slice::<Create>(bytes)
                && create.op == "create"
                && create.kind == KIND
                && create.node.site() == create.site
                && create.table.len() <= MAX_NAME
            {
                begun.insert((create.site, create.table));
            }
        }
        let (site, table) = begun.pop_first()?;
        let whole = told.into_iter().filter(|((_, parts), told)| told.len() == *parts as usize);
        let edition = |((name, _), mut parts): ((Name, u32), BTreeMap<u32, Part>)| {
            let rows: String = parts.values().map(|part| part.rows.as_str()).collect();
            let first = parts.remove(&0)?;
            let withdrawn = taken_back.get(&(name.node, name.edition, name.from)).cloned();
            let (user, basis, note) = (first.user, first.basis, first.note);
            let sound =
                name.node.site() == site && rows.len() <= MAX_TABLE && rows.lines().count() <= MAX_LINES;
            sound.then(|| Edition { name, table: table.clone(), user, basis, note, withdrawn, rows })
        };
        let mut editions: Vec<Edition> = whole.filter_map(edition).collect();
        // One name told in two lengths is one edition: the one in more parts. Of too many the last are read.
        editions.reverse();
        editions.dedup_by(|a, b| a.name == b.name);
        editions.truncate(MAX_EDITIONS);
        editions.reverse();
        Some(Set { site, table, editions })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edition(number: u32, from: &str, by: &str, rows: &str) -> Edition {
        let at = format!("2026-12-0{}T09:00:00+08:00", number.clamp(1, 9));
        Edition {
            name: Name { from: from.parse().unwrap(), edition: number, node: by.parse().unwrap(), at },
            table: "time_limits".to_owned(),
            user: Some("li".to_owned()),
            basis: "交办运〔2026〕9号".to_owned(),
            note: String::new(),
            withdrawn: None,
            rows: rows.to_owned(),
        }
    }

    fn bytes(entries: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
        entries.into_iter().map(|entry| entry.to_string().into_bytes()).collect()
    }

    fn read(entries: &[Vec<u8>]) -> Option<Set> {
        Set::of(entries.iter().map(|entry| (entry.as_slice(), true)))
    }

    fn begun() -> Vec<Vec<u8>> {
        bytes([creation("000000".parse().unwrap(), "time_limits", 1)])
    }

    fn back(of: &Edition, at: &str) -> Value {
        let by = Withdrawn { at: at.to_owned(), node: of.name.node, user: None };
        withdrawal(&of.name, &by)
    }

    #[test]
    fn names_are_short_and_tell_nodes_apart() {
        let name = |by| edition(3, "2027-01-01", by, "").name.to_string();
        assert_eq!(name("000000"), "000000 2027-01-01 #3");
        assert_eq!(name("370000-b"), "370000 2027-01-01 #3b");
    }

    #[test]
    fn of_too_many_editions_the_last_are_read() {
        let rows = "number\n";
        let all = (1..=MAX_EDITIONS as u32 + 2).flat_map(|n| {
            let mut one = edition(n, "2027-01-01", "000000", rows);
            one.name.at = "2026-12-01T09:00:00+08:00".to_owned();
            bytes(telling(&one).unwrap())
        });
        let read = read(&begun().into_iter().chain(all).collect::<Vec<_>>()).unwrap().editions;
        let numbers: Vec<u32> = read.iter().map(|e| e.name.edition).collect();
        assert_eq!(
            (numbers.len(), numbers[0], numbers[MAX_EDITIONS - 1]),
            (MAX_EDITIONS, 3, MAX_EDITIONS as u32 + 2)
        );
    }

    #[test]
    fn a_long_table_comes_in_parts_and_counts_when_all_are_here() {
        let rows: String = (0..4_000).map(|n| format!("{n:06},某地某区\n")).collect();
        let whole = edition(1, "2027-01-01", "000000", &rows);
        let parts = bytes(telling(&whole).unwrap());
        assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= MAX_ENTRY), "{}", parts.len());
        let of = |parts: &[Vec<u8>]| read(&[&begun()[..], parts].concat()).unwrap().editions;
        assert_eq!(of(&parts), [whole]);
        assert!(of(&parts[1..]).is_empty());
        assert_eq!(telling(&edition(1, "2027-01-01", "000000", &"x".repeat(ROWS))), None);
        assert_eq!(telling(&edition(1, "2027-01-01", "000000", &"x\n".repeat(MAX_TABLE / 2 + 1))), None);
    }

    #[test]
    fn an_edition_is_taken_back_before_its_day_and_not_after() {
        let one = edition(1, "2027-01-01", "000000", "a\n");
        let told = |at| {
            let all = [begun(), bytes(telling(&one).unwrap()), bytes([back(&one, at)])].concat();
            read(&all).unwrap().editions[0].withdrawn.is_some()
        };
        assert!(told("2026-12-31T23:59:59+08:00"));
        assert!(!told("2026-12-31T16:00:00Z"), "that is midnight in China");
        assert!(!told("2027-01-05T00:00:00+08:00"));
        assert!(!told("yesterday"));
    }

    #[test]
    fn what_another_site_says_or_what_is_of_another_form_has_no_effect() {
        let foreign = bytes(telling(&edition(1, "2027-01-01", "370000", "a\n")).unwrap());
        let mut long = telling(&edition(2, "2027-01-01", "000000", "a\n")).unwrap();
        long[0]["basis"] = json!("x".repeat(MAX_BASIS + 1));
        let mut later = telling(&edition(3, "2027-01-01", "000000", "a\n")).unwrap();
        later[0]["further"] = json!("of a later version");
        let odd = bytes([json!({ "op": "edition" }), json!([1])]);
        let all = [begun(), foreign, bytes(long), bytes(later), odd, vec![b"\xff".to_vec()]].concat();
        let set = read(&all).unwrap();
        assert_eq!(set.editions.iter().map(|e| e.name.edition).collect::<Vec<_>>(), [3]);
        assert_eq!(read(&all[1..]), None, "nothing is begun");
        let past = Set::of(all.iter().map(|entry| (entry.as_slice(), entry == &all[0])));
        assert!(past.unwrap().editions.is_empty(), "what is not counted has no effect");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        /// Entries in any order, some of them twice, give the same editions; also when two lives of a node, or two nodes, claim one
        /// number.
        #[test]
        fn any_order_and_repetition_gives_the_same_editions(
            set in proptest::collection::vec((1u32..4, 0usize..2, 0usize..3, 1usize..1_500, any::<bool>()), 1..8),
            places in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut entries = begun();
            for (number, by, day, lines, withdrawn) in set {
                let from = ["2026-12-20", "2027-01-01", "2027-02-01"][day];
                let one = edition(number, from, ["000000", "000000-b"][by], &format!("{lines}\n").repeat(lines * 3));
                entries.extend(bytes(telling(&one).unwrap()));
                if withdrawn {
                    entries.extend(bytes([back(&one, "2026-12-10T08:00:00+08:00")]));
                }
            }
            let expected = read(&entries);
            prop_assert!(expected.is_some());
            for place in places {
                let (from, again) = (place.index(entries.len()), entries[place.index(entries.len())].clone());
                entries.swap(0, from);
                entries.insert(from, again);
            }
            prop_assert_eq!(read(&entries), expected);
        }
    }
}
