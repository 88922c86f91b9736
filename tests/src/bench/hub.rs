//! A database of a million tickets, written row by row: the engine would take longer than all other benchmarks.
//!
//! The engine makes one ticket. Every further one is that ticket with another number, subject and text of the same
//! length, put into the bytes of its changes; hashes, entry ids, parents and checksums are made anew, so every document
//! passes the gate when it is opened. Rows go through the store's own functions, a thousand items under each seal,
//! signed with the node's key; the projection's rows are what [`node::projection`] writes. Indexes are made at the
//! end, and nothing is synchronised on the way.
//!
//! ```text
//! template change 0   .. number .. entry 0 .. key = id(entry 0) .. subject .. text ..
//! template change 1   .. dep = hash(change 0) .. entry 1, parent = id(entry 0) .. key = id(entry 1) ..
//! ```
//!
//! [`check`] rebuilds the projections of a small one and compares them, so the generator cannot drift from the engine
//! unseen.

use std::path::Path;

use certs::{Identity, NodeName, Site};
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{ToSpan, Zoned};
use node::china;
use node::deadline::Timing;
use node::engine::Engine;
use node::reference::Reference;
use node::request::{Act, Request};
use node::search::{index_tokens, pinyin_tokens};
use node::ticket::number::{Block, Day, TicketNumber};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sync::digest::SetDigest;
use sync::id::{DocId, Incarnation, ItemHash, SealHash};
use sync::item::{Item, Kind, Sealed, State};
use sync::merkle::Tree;
use sync::seal::{self, SUITE, Seal, Words};
use sync::store::sqlite::Sqlite;
use sync::store::{Document, Durable, Peer, Store, StoredSeal};

use super::nodes::{CITY, PROVINCE, asked, name, open};
use super::tickets::{Dice, ticket};

/// Characters of a text: shorter than a real one, since searching it is what costs most to make.
const TEXT: usize = 60;

/// Items under one seal, as a node makes them of its backlog.
const LEAVES: usize = 1024;

/// Items of one transaction of the generator.
const TRANSACTION: usize = 64 * LEAVES;

/// Days of a past, and how many of them are young enough for a ticket to be open.
const DAYS: usize = 365;
const OPEN_DAYS: usize = 30;

/// How many of a hundred tickets are not answered on the call.
const HANDED_ON: u64 = 7;

/// When the tickets came, and what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// All just now, and all dispatched.
    None,
    /// Over a year, a day's number on each day; answered on the call but for seven of a hundred of the last thirty days,
    /// which are dispatched. When they came only the rows and the numbers say, not the documents.
    Year,
}

/// One of the template's changes.
struct Change {
    bytes: Vec<u8>,
    /// Where its entry stands.
    entry: std::ops::Range<usize>,
    id: String,
    hash: ItemHash,
    /// Where number, subject and text stand.
    words: [Vec<usize>; 3],
    /// Where the ids of the entries stand, the own one last.
    ids: Vec<Vec<usize>>,
    /// Where the hashes of the changes before stand.
    deps: Vec<Vec<usize>>,
}

struct Template {
    changes: Vec<Change>,
    document: Document,
    taken: Value,
    counted: Counted,
}

/// What the engine's row says for figures: its day, its facts, and business, domain, topic, channel; and for queues of people:
/// agent, department, urged, follow_up, confidential, centre.
struct Counted {
    day: String,
    facts: i64,
    said: [String; 4],
    hands: [rusqlite::types::Value; 6],
}

fn places(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    bytes.windows(what.len()).enumerate().filter(|(_, w)| *w == what).map(|(at, _)| at).collect()
}

impl Template {
    /// Makes the one ticket in `dir`, a directory of its own, and does this with it.
    fn make(dir: &Path, act: impl Fn(&mut Dice) -> Act) -> Template {
        let mut dice = Dice::new(77);
        let (subject, text) = (dice.text(40), dice.text(TEXT));
        let mut sample = ticket(&mut dice, false);
        sample["subject"] = json!(subject);
        sample["text"] = json!(text);
        let mut engine = open(dir);
        let made = asked(&mut engine, &Request::New { tickets: vec![sample], user: None });
        let id = made[0]["id"].as_str().expect("an id").to_owned();
        let act = act(&mut dice);
        asked(&mut engine, &Request::Act { id: id.clone(), act, user: None });
        let taken = asked(&mut engine, &Request::Show { id: id.clone(), reveal: None, user: None });
        drop(engine);
        let doc: DocId = id.parse().expect("an id");
        let mut store = Sqlite::open(&dir.join("node.db")).expect("a database");
        let document = store.document(&doc).expect("a database").expect("the document");
        let trail = taken["trail"].as_array().expect("a trail").clone();
        let items = store.items_of(&doc).expect("a database");
        let number = made[0]["number"].as_str().expect("a number");
        let mut changes: Vec<Change> = Vec::new();
        for (item, entry) in items.into_iter().zip(trail) {
            let bytes = item.bytes;
            let id = entry["id"].as_str().expect("an entry's id").to_owned();
            let begin = places(&bytes, b"{\"op\":")[0];
            let mut json = serde_json::Deserializer::from_slice(&bytes[begin..]).into_iter::<Value>();
            json.next().expect("an entry").expect("an entry");
            let entry = begin..begin + json.byte_offset();
            let words = [number, &subject, &text].map(|word| places(&bytes, word.as_bytes()));
            let known = changes.iter().map(|c| c.id.as_str()).chain([id.as_str()]);
            let ids = known.map(|id| places(&bytes, id.as_bytes())).collect();
            let deps = changes.iter().map(|c| places(&bytes, c.hash.as_bytes())).collect();
            changes.push(Change { bytes, entry, id, hash: item.hash, words, ids, deps });
        }
        let counted = "SELECT day, facts, business, domain, topic, channel, agent, department, urged, follow_up, confidential, centre
                       FROM ticket WHERE doc = ?1";
        let counted = store.connection().query_row(counted, [doc.as_bytes()], |r| {
            Ok(Counted {
                day: r.get(0)?,
                facts: r.get(1)?,
                said: [r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?],
                hands: [r.get(6)?, r.get(7)?, r.get(8)?, r.get(9)?, r.get(10)?, r.get(11)?],
            })
        });
        Template { changes, document, taken, counted: counted.expect("the engine's row") }
    }

    /// The changes of another ticket.
    fn cast(&self, number: &str, subject: &str, text: &str) -> Vec<(ItemHash, Vec<u8>)> {
        let mut ids: Vec<String> = Vec::new();
        let mut cast: Vec<(ItemHash, Vec<u8>)> = Vec::new();
        for change in &self.changes {
            let mut bytes = change.bytes.clone();
            for (places, word) in change.words.iter().zip([number, subject, text]) {
                put(&mut bytes, places, word.as_bytes());
            }
            for (places, id) in change.ids.iter().zip(&ids) {
                put(&mut bytes, places, id.as_bytes());
            }
            for (places, (hash, _)) in change.deps.iter().zip(&cast) {
                put(&mut bytes, places, hash.as_bytes());
            }
            let id = node::ticket::EntryId::of(&bytes[change.entry.clone()]).to_string();
            put(&mut bytes, &change.ids[ids.len()], id.as_bytes());
            let hash = Kind::CHANGE.hash(&bytes);
            bytes[4..8].copy_from_slice(&hash.as_bytes()[..4]);
            ids.push(id);
            cast.push((hash, bytes));
        }
        cast
    }
}

/// Other words of the same length at these places.
fn put(bytes: &mut [u8], places: &[usize], words: &[u8]) {
    places.iter().for_each(|at| bytes[*at..at + words.len()].copy_from_slice(words));
}

/// Fills the city's data directory with so many tickets, and the province's with the same. Both were just founded;
/// `spare` is a third one, which the template is made in. Returns how many items each holds.
pub fn fill(city: &Path, province: &Path, spare: &Path, identity: &Identity, count: usize) -> u64 {
    let items = write(city, identity, &[dispatched(spare)], count, Past::None);
    let (from, to) = (city.join("node.db"), province.join("node.db"));
    std::fs::copy(from, &to).expect("a copy");
    let mut store = Sqlite::open(&to).expect("a database");
    store.begin().expect("a transaction");
    let pair = store.peer(name(PROVINCE)).expect("a database").expect("the pair");
    store.connection().execute_batch("DELETE FROM peer; DELETE FROM meta WHERE key = 'chain'").expect("rows");
    store.put_peer(name(CITY), &pair).expect("a row");
    store.commit().expect("it is durable");
    items
}

/// Fills the city's data directory alone, with a past of a year; `spare` is another one, just founded.
pub fn fill_with_a_year(city: &Path, spare: &Path, identity: &Identity, count: usize) -> u64 {
    let answered = Template::make(spare, |dice| Act::Answer { text: dice.text(12) });
    write(city, identity, &[dispatched(spare), answered], count, Past::Year)
}

fn dispatched(spare: &Path) -> Template {
    Template::make(spare, |dice| Act::Dispatch { department: dice.text(4), text: None })
}

fn write(dir: &Path, identity: &Identity, templates: &[Template], count: usize, past: Past) -> u64 {
    let mut store = Sqlite::open(&dir.join("node.db")).expect("a database");
    let fast = "PRAGMA synchronous=OFF; PRAGMA cache_size=-800000; PRAGMA wal_autocheckpoint=10000;";
    store.connection().execute_batch(fast).expect("pragmas");
    let indexes = indexes(store.connection());
    for (index, _) in &indexes {
        store.connection().execute_batch(&format!("DROP INDEX {index}")).expect("an index");
    }
    let mut dice = Dice::new(5);
    let (mut chain, mut group, mut hashes) = (None, Vec::with_capacity(LEAVES), Vec::new());
    store.begin().expect("a transaction");
    let today = Zoned::now().with_time_zone(TimeZone::fixed(Offset::constant(8))).date();
    for at in 0..count {
        // How many days ago; the newest come last.
        let ago = if past == Past::Year { (count - 1 - at) * DAYS / count } else { 0 };
        let open = past == Past::None || ago < OPEN_DAYS && dice.below(100) < HANDED_ON;
        let template = &templates[usize::from(!open)];
        let number = match past {
            Past::None => number(at),
            Past::Year => number_of(before(today, ago), at),
        };
        let (subject, text) = (dice.text(40), dice.text(TEXT));
        let changes = template.cast(&number, &subject, &text);
        let doc = DocId::from(changes[0].0);
        hashes.extend(changes.iter().map(|(hash, _)| *hash));
        store.put_document(&doc, &template.document).expect("a row");
        project(store.connection(), template, &doc, &number, &subject, &text, ago);
        group.extend(changes.into_iter().map(|(hash, bytes)| (doc, hash, bytes)));
        if group.len() >= LEAVES || at + 1 == count {
            chain = Some(seal_group(&mut store, identity, chain, &mut group));
        }
        if hashes.len() % TRANSACTION < template.changes.len() {
            store.commit().expect("it is written");
            store.begin().expect("a transaction");
        }
    }
    hashes.extend(store.directory().expect("a database").into_iter().map(|i| i.hash));
    let digest = digest(&hashes);
    store.put_peer(name(PROVINCE), &Peer { digest, everything: None, ..Peer::new() }).expect("a row");
    let end = chain.map(|(number, hash)| (number, Some(hash)));
    store.put_meta("chain", &postcard::to_stdvec(&end.unwrap_or_default()).expect("bytes")).expect("a row");
    store.commit().expect("it is written");
    let counted = "DELETE FROM ticket_count;
         INSERT INTO ticket_count SELECT custodian, stage, count(*) FROM ticket GROUP BY custodian, stage";
    store.connection().execute_batch(counted).expect("rows");
    tally(store.connection());
    for (_, sql) in &indexes {
        store.connection().execute_batch(sql).expect("an index");
    }
    store.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    hashes.len() as u64
}

/// Tallies all rows at once, as the engine does it ticket by ticket.
pub fn tally(db: &Connection) {
    db.execute_batch("DELETE FROM ticket_tally").expect("rows");
    for (dimension, column) in (0..).zip(["business", "domain", "topic", "channel", "taken_by", "custodian"])
    {
        let all = format!(
            "INSERT INTO ticket_tally SELECT ?1, day, {column}, facts, count(*) FROM ticket GROUP BY day, {column}, facts"
        );
        db.execute(&all, [dimension as i64]).expect("rows");
    }
}

/// Indexes with random keys, which are faster made of what is there than kept on the way.
fn indexes(db: &Connection) -> Vec<(String, String)> {
    let mut query = db
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('item', 'ticket', 'seal')")
        .expect("the schema");
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("the schema");
    rows.collect::<Result<_, _>>().expect("the schema")
}

/// The at-th ticket's number: so many a day that no block runs out.
fn number(at: usize) -> String {
    let site: Site = CITY.parse().expect("a site");
    let day = Day::new(2026, 1 + (at / 500_000) as u32 % 12, 5).expect("a day");
    let serial = (at % 500_000) as u32 + 1;
    TicketNumber::new(site, day, Block::new(3, 4), serial).expect("a number").to_string()
}

/// A ticket's number of a day of the past.
fn number_of(day: Date, at: usize) -> String {
    let site: Site = CITY.parse().expect("a site");
    let day = Day::new(day.year() as u32, day.month() as u32, day.day() as u32).expect("a day");
    let serial = (at % 500_000) as u32 + 1;
    TicketNumber::new(site, day, Block::new(3, 4), serial).expect("a number").to_string()
}

fn before(day: Date, ago: usize) -> Date {
    day.checked_sub((ago as i64).days()).expect("a day")
}

/// The same time so many days before, of a text that begins with a day.
fn earlier(at: &str, ago: usize) -> String {
    let (day, rest) = at.split_at(10);
    format!("{}{rest}", before(day.parse().expect("a day"), ago))
}

fn seal_group(
    store: &mut Sqlite,
    identity: &Identity,
    chain: Option<(u64, SealHash)>,
    group: &mut Vec<(DocId, ItemHash, Vec<u8>)>,
) -> (u64, SealHash) {
    let me: NodeName = name(CITY);
    let mut leaves: Vec<(DocId, ItemHash)> = group.iter().map(|(doc, hash, _)| (*doc, *hash)).collect();
    leaves.sort_unstable();
    let count = leaves.len() as u32;
    let mut tree = Tree::new(count);
    (0..).zip(&leaves).for_each(|(place, (doc, item))| tree.know(place, seal::leaf(doc, item)));
    let number = chain.map_or(1, |(number, _)| number + 1);
    let words = Words {
        suite: SUITE,
        node: me,
        incarnation: Incarnation::from_bytes([7; 8]),
        number,
        previous: chain.map(|(_, hash)| hash),
        count,
        root: tree.root().expect("all leaves are known"),
    };
    let seal = Seal::make(words, |words| identity.sign("seal", words));
    let hash = seal.hash();
    store.put_seal(&hash, &StoredSeal { seal, twigs: Vec::new() }).expect("a row");
    for (doc, item, bytes) in group.drain(..) {
        let leaf = leaves.binary_search(&(doc, item)).expect("it was put there") as u32;
        let sealed = Some(Sealed { seal: hash, leaf });
        let item = Item {
            hash: item,
            kind: Kind::CHANGE,
            doc: Some(doc),
            author: me,
            state: State::Counted,
            sealed,
            bytes,
        };
        store.put_item(&item).expect("a row");
    }
    (number, hash)
}

/// The rows that the engine derives; the state's fingerprint is left empty.
fn project(
    db: &Connection,
    template: &Template,
    doc: &DocId,
    number: &str,
    subject: &str,
    text: &str,
    ago: usize,
) {
    let Template { taken, counted, .. } = template;
    let [business, domain, topic, channel] = &counted.said;
    let said = |field: &str| taken[field].as_str().expect("a text");
    let at = earlier(taken["trail"][0]["at"].as_str().expect("a time"), ago);
    let mut facts = taken["facts"].as_object().expect("facts").clone();
    facts.insert("subject".to_owned(), json!(subject));
    let timing = Timing::of(&taken["clock"], &facts, node::projection::is_done(said("stage")));
    let due = timing.deadline(Reference::built_in()).and_then(|d| d.due).map(china::shown);
    let due = due.map(|due| earlier(&due, ago));
    let shown: Vec<&str> = facts.values().filter_map(Value::as_str).collect();
    let searched = format!("{number}\n{}\n{text}", shown.join("\n"));
    db.prepare_cached(
        "INSERT INTO ticket(doc, number, custodian, taken_by, stage, subject, at, returns, superseded, alarms, state, clock, searched, due,
           day, facts, business, domain, topic, channel, agent, department, urged, follow_up, confidential, centre, done)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, 0, x'', ?8, x'', ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )
    .and_then(|mut q| {
        q.execute(params![
            doc.as_bytes(),
            number,
            said("custodian"),
            said("taken_by"),
            said("stage"),
            subject,
            at,
            serde_json::to_string(&timing).expect("plain values are always written to memory"),
            due,
            earlier(&counted.day, ago),
            counted.facts,
            business,
            domain,
            topic,
            channel,
            counted.hands[0],
            counted.hands[1],
            counted.hands[2],
            counted.hands[3],
            counted.hands[4],
            counted.hands[5],
            node::projection::is_done(said("stage"))
        ])
    })
    .expect("a row");
    let place = facts["place"].as_str().expect("a place");
    db.prepare_cached("INSERT INTO ticket_text(rowid, body, pinyin) VALUES(last_insert_rowid(), ?1, ?2)")
        .and_then(|mut q| {
            q.execute(params![index_tokens(&searched), pinyin_tokens(&format!("{subject}\n{place}"))])
        })
        .expect("a row");
}

/// On both cores: expanding a hash is what costs.
fn digest(hashes: &[ItemHash]) -> SetDigest {
    let of = |half: &[ItemHash]| {
        let mut digest = SetDigest::new();
        half.iter().for_each(|hash| digest.add(hash));
        digest
    };
    let (a, b) = hashes.split_at(hashes.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| of(a));
        let mut digest = of(b);
        digest.combine(&other.join().expect("it does not panic"));
        digest
    })
}

/// Opens a small hub, verifies every hash and seal, rebuilds the projections, and compares them with what was
/// written.
///
/// # Panics
/// When they differ.
pub fn check(dir: &Path) {
    let read = |sql: &str| -> Vec<String> {
        let db = Connection::open(dir.join("node.db")).expect("a database");
        let mut query = db.prepare(sql).expect("a query");
        let rows = query.query_map([], |r| r.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("rows")
    };
    let rows = || {
        let tickets = "SELECT hex(doc) || number || custodian || taken_by || coalesce(offered_to, '') || stage || subject || at
                         || day || facts || business || domain || topic || channel FROM ticket ORDER BY doc";
        let sums = "SELECT dimension || day || value || facts || n FROM ticket_tally ORDER BY dimension, day, value, facts";
        (read(tickets), read(sums))
    };
    let written = rows();
    let mut engine: Engine = open(dir);
    let report = asked(&mut engine, &Request::Verify);
    assert_eq!(report["damaged"], json!([]));
    let rebuilt = asked(&mut engine, &Request::Rebuild);
    assert_eq!(rebuilt["documents"], json!(written.0.len()));
    drop(engine);
    assert_eq!(rows(), written, "the generator writes other rows than the engine");
}
