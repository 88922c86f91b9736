//! What is derived from the documents: queues, numbers and search, in tables beside the store's own.
//!
//! Every row is a function of one document, so `hotline replica rebuild` reproduces the tables exactly. They live in
//! the same transactions as the items they come from.

pub mod aggregate;
mod hands;
pub mod lake;
mod list;
mod outside;
mod similar;
mod tally;
mod text;

use certs::Site;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync::document::Document;
use sync::id::DocId;
use sync::store::{Result, StoreError};

use crate::china;
use crate::content::Content;
use crate::deadline::Timing;
use crate::figures::Facts;
use crate::import::Urgency;
use crate::reference::Reference;
use crate::search::query;
use crate::ticket::confirm::ends_an_offer;
use crate::ticket::number::TicketNumber;
use crate::ticket::readers::{Readers, readers as readers_of};
use crate::ticket::times::times;
use crate::ticket::{Folded, TicketMatter};
use hands::Hands;
use tally::Counted;

pub use list::{QUEUES, RECENT, due_between, is_recent, list, overdue};
pub use outside::outside;
pub use similar::{Typed, similar};
pub use tally::{Behind, Cells, behind, cells, count_again, overdue_cells, rows_after};
pub use text::{catch_up, is_behind, waiting};

/// How many characters of a number name the site, the day and the block.
const DAY_AND_BLOCK: usize = 18;

/// Stages of tickets that nobody has to work on; such a ticket's row is `done`.
const DONE: [&str; 4] = ["closed", "answered", "rejected", "redirected"];

/// Each queue has an index that holds its own rows only, so that a page of it costs the same at a million tickets.
/// No condition of an index looks into a list (`stage IN (...)`): at each write of a row SQLite builds a table of it, for each index
/// before and after. Tickets are counted as they come and move: counting a million takes as long as reading them. (Triggers would do it
/// too; but a statement with a trigger is a savepoint to SQLite, and at every savepoint FTS5 writes out what it has.)
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS ticket(
  row INTEGER PRIMARY KEY, doc BLOB NOT NULL, number TEXT NOT NULL, custodian TEXT NOT NULL,
  taken_by TEXT NOT NULL, offered_to TEXT, stage TEXT NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL,
  returns INTEGER NOT NULL, superseded INTEGER NOT NULL, alarms INTEGER NOT NULL, state BLOB NOT NULL,
  clock TEXT NOT NULL, searched BLOB NOT NULL, due TEXT, urgency TEXT NOT NULL DEFAULT '',
  day TEXT, facts INTEGER NOT NULL DEFAULT 0, business TEXT NOT NULL DEFAULT '', domain TEXT NOT NULL DEFAULT '',
  topic TEXT NOT NULL DEFAULT '', channel TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL DEFAULT '',
  department TEXT NOT NULL DEFAULT '', urged INTEGER NOT NULL DEFAULT 0, follow_up INTEGER NOT NULL DEFAULT 0,
  confidential INTEGER NOT NULL DEFAULT 0, centre TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0,
  readers TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX IF NOT EXISTS ticket_doc ON ticket(doc);
CREATE INDEX IF NOT EXISTS ticket_number ON ticket(number);
CREATE INDEX IF NOT EXISTS ticket_held ON ticket(custodian) WHERE done = 0;
CREATE INDEX IF NOT EXISTS ticket_open ON ticket(row) WHERE done = 0;
CREATE INDEX IF NOT EXISTS ticket_closed ON ticket(row) WHERE done = 1;
CREATE INDEX IF NOT EXISTS ticket_returned ON ticket(custodian) WHERE returns > 0;
CREATE INDEX IF NOT EXISTS ticket_offered ON ticket(offered_to) WHERE offered_to IS NOT NULL;
CREATE INDEX IF NOT EXISTS ticket_offering ON ticket(custodian) WHERE offered_to IS NOT NULL;
CREATE INDEX IF NOT EXISTS ticket_conflict ON ticket(row) WHERE superseded > 0 OR alarms > 0;
CREATE INDEX IF NOT EXISTS ticket_deadline ON ticket(due) WHERE due IS NOT NULL AND done = 0;
CREATE INDEX IF NOT EXISTS ticket_mine ON ticket(agent) WHERE agent != '' AND done = 0;
CREATE INDEX IF NOT EXISTS ticket_team ON ticket(department) WHERE department != '';
CREATE INDEX IF NOT EXISTS ticket_urged ON ticket(row) WHERE urged > 0;
CREATE INDEX IF NOT EXISTS ticket_follow_up ON ticket(row) WHERE follow_up > 0;
CREATE INDEX IF NOT EXISTS ticket_confidential ON ticket(row) WHERE confidential > 0 AND done = 0;
CREATE INDEX IF NOT EXISTS ticket_day ON ticket(day, row, facts);
CREATE INDEX IF NOT EXISTS ticket_quarter ON ticket({NUMBERED}, {QUARTER});
CREATE TABLE IF NOT EXISTS ticket_count(
  custodian TEXT NOT NULL, stage TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(custodian, stage)) WITHOUT ROWID;
";

/// What of a number names the site and the day.
const NUMBERED: &str = "substr(number, 1, 16)";

/// The quarter of an hour, China's time, in which a ticket began.
const QUARTER: &str = "CAST(substr(at, 12, 2) AS INTEGER) * 4 + CAST(substr(at, 15, 2) AS INTEGER) / 15";

/// What a listing shows of a ticket.
const COLUMNS: &str =
    "row, doc, number, subject, custodian, stage, at, offered_to, due, urgency, agent, department, centre";

/// What stands for the subject of a confidential report.
const CONFIDENTIAL: &str = "(举报人保密)";

/// So many characters of what a ticket says of itself tell figures apart.
const SAID: usize = 40;

/// Makes the tables where they are not.
pub fn prepare(db: &Connection) -> Result<()> {
    add_columns(db)?;
    let tables = TABLES.replace("{NUMBERED}", NUMBERED).replace("{QUARTER}", QUARTER);
    db.execute_batch(&tables)?;
    db.execute_batch(outside::TABLE)?;
    tally::prepare(db)?;
    aggregate::prepare(db)?;
    text::prepare(db)
}

/// Adds what a table of an earlier version lacks; [`date_again`] and [`count_again`] say whose rows have to be made anew for it.
fn add_columns(db: &Connection) -> Result<()> {
    let mut query = db.prepare("SELECT name FROM pragma_table_info('ticket')")?;
    let known: Vec<String> = query.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    let (text, number) = ("TEXT NOT NULL DEFAULT ''", "INTEGER NOT NULL DEFAULT 0");
    for (column, what) in [
        ("due", "TEXT"),
        ("urgency", text),
        ("day", "TEXT"),
        ("facts", number),
        ("business", text),
        ("domain", text),
        ("topic", text),
        ("channel", text),
        ("agent", text),
        ("department", text),
        ("urged", number),
        ("follow_up", number),
        ("confidential", number),
        ("centre", text),
        ("done", number),
        ("readers", text),
    ] {
        if !known.is_empty() && !known.iter().any(|name| name == column) {
            db.execute_batch(&format!("ALTER TABLE ticket ADD COLUMN {column} {what}"))?;
            if column == "done" {
                mark_done(db)?;
            }
        }
    }
    Ok(())
}

/// Says of the rows of an earlier version which are done. Its indexes, which looked into a list of stages, are made anew.
fn mark_done(db: &Connection) -> Result<()> {
    for index in ["held", "open", "closed", "deadline", "mine", "confidential"] {
        db.execute_batch(&format!("DROP INDEX IF EXISTS ticket_{index}"))?;
    }
    for stage in DONE {
        db.execute("UPDATE ticket SET done = 1 WHERE stage = ?1", [stage])?;
    }
    Ok(())
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    db.execute_batch("DELETE FROM ticket; DELETE FROM ticket_count; DELETE FROM ticket_outside;")?;
    tally::clear(db)?;
    aggregate::clear(db)?;
    text::clear(db)
}

/// A fingerprint of all rows, for comparing before and after a rebuild.
pub fn fingerprint(db: &Connection) -> Result<[u8; 32]> {
    let mut query = db.prepare(
        "SELECT doc, number, custodian, taken_by, coalesce(offered_to, ''), stage, subject, at, returns, superseded, alarms, state, clock,
           coalesce(due, ''), urgency, coalesce(day, '-'), facts, business, domain, topic, channel, agent, department, urged,
           follow_up, confidential, centre, readers, done
         FROM ticket ORDER BY doc",
    )?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    let mut hasher = blake3::Hasher::new();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            let value = row.get_ref(column)?;
            let bytes = match value {
                rusqlite::types::ValueRef::Integer(n) => n.to_be_bytes().to_vec(),
                rusqlite::types::ValueRef::Text(b) | rusqlite::types::ValueRef::Blob(b) => b.to_vec(),
                _ => Vec::new(),
            };
            hasher.update(&(bytes.len() as u64).to_be_bytes()).update(&bytes);
        }
    }
    for (stage, n) in by_stage(db)? {
        hasher.update(stage.as_bytes()).update(&n.to_be_bytes());
    }
    outside::fingerprint(db, &mut hasher)?;
    tally::fingerprint(db, &mut hasher)?;
    aggregate::fingerprint(db, &mut hasher)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Equal on two nodes exactly when folded state and content are.
pub fn state_hash(folded: &Folded, content: &Content) -> [u8; 32] {
    let shown = json!([content.facts, content.body, content.notes, content.files, content.conflicts]);
    let bytes = serde_json::to_vec(&shown).expect("plain values are always written to memory");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&folded.state_hash()).update(&bytes);
    for sealed in [&content.person, &content.sealed_body].into_iter().flatten() {
        hasher.update(sealed);
    }
    *hasher.finalize().as_bytes()
}

/// When a ticket's words go into the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// With the other rows.
    Now,
    /// At one of the next [`catch_up`]s.
    Later,
}

/// What a ticket's rows say.
#[derive(Clone, Debug)]
pub struct Row {
    number: String,
    stands: Stands,
    taken_by: Site,
    offered_to: Option<String>,
    subject: String,
    at: String,
    returns: i64,
    superseded: i64,
    alarms: i64,
    state: [u8; 32],
    timing: Timing,
    /// Empty for the ordinary one.
    urgency: String,
    /// The day of China's time on which the call was taken; empty when nobody says.
    day: String,
    facts: Facts,
    /// What figures are told apart by: business, domain, topic, channel.
    said: [String; 4],
    /// Who has to do with it.
    hands: Hands,
    confidential: bool,
    /// The centre that the call was taken for, if it is another one's.
    centre: String,
    text: String,
    searched: [u8; 32],
    names: String,
    /// Numbers that others gave to the matter, with blanks between.
    outside: String,
    /// The sites that are entitled to its key, with blanks between.
    readers: String,
    /// An offer of it has ended.
    offered: bool,
}

impl Row {
    /// Reads a ticket: its state, its content and the facts of its clock. `None` when its beginning is not counted.
    pub fn of(document: &Document, matter: &TicketMatter) -> Option<Row> {
        let folded = matter.folded()?;
        let (content, clock) = (Content::read(document), times(folded, matter.entries()));
        // A confidential report is known by it, whatever its facts say.
        let subject = match content.facts.get("subject").and_then(Value::as_str) {
            _ if folded.created.confidential => CONFIDENTIAL,
            Some(subject) => subject,
            None => "",
        };
        let stage = folded.stage.name();
        let in_force = matter.in_force();
        let place = content.facts.get("place").and_then(Value::as_str).unwrap_or_default();
        let urgency = content.facts.get("urgency").and_then(Value::as_str);
        let urgency = urgency.filter(|u| *u != Urgency::Ordinary.word()).unwrap_or_default();
        let text = searchable(folded, &content);
        let outside = content.facts.get("external_numbers").and_then(Value::as_str).unwrap_or_default();
        let at = clock["began"][0]["at"].as_str().unwrap_or_default();
        let number = &folded.created.number;
        let said = ["business", "domain", "topic", "channel"].map(|name| {
            let said = content.facts.get(name).and_then(Value::as_str).unwrap_or_default();
            said.trim().chars().take(SAID).collect()
        });
        let readers = readers_of(folded, matter.entries());
        Some(Row {
            readers: readers.sites.iter().map(Site::to_string).collect::<Vec<_>>().join(" "),
            offered: matter.entries().any(ends_an_offer),
            number: number.clone(),
            stands: (folded.stand.custodian.to_string(), stage.to_owned()),
            taken_by: folded.stand.taken_by,
            offered_to: folded.open_offer().map(|o| o.to.to_string()),
            day: taken_on(at, number).map(|day| day.to_string()).unwrap_or_default(),
            at: at.to_owned(),
            facts: Facts::of(&in_force, folded, &content.facts, is_done(stage)),
            hands: Hands::of(&in_force),
            confidential: folded.created.confidential,
            centre: content.facts.get("centre").and_then(Value::as_str).unwrap_or_default().to_owned(),
            said,
            returns: folded.returns as i64,
            superseded: (folded.superseded.len() + folded.proposals.len()) as i64,
            alarms: (folded.alarms.len() + content.conflicts.len()) as i64,
            state: state_hash(folded, &content),
            timing: Timing::of(&clock, &content.facts, is_done(stage)),
            searched: *blake3::hash(text.as_bytes()).as_bytes(),
            text,
            urgency: urgency.to_owned(),
            names: format!("{subject}\n{place}"),
            subject: subject.to_owned(),
            outside: outside.to_owned(),
        })
    }

    /// Whether an offer of it was accepted, declined or withdrawn.
    pub fn was_offered(&self) -> bool {
        self.offered
    }

    /// How many bytes its words have: what indexing costs goes by them.
    pub fn words(&self) -> usize {
        self.text.len() + self.names.len()
    }
}

/// The day on which a call was taken: that of the moment that its entry claims, else that of its number.
fn taken_on(at: &str, number: &str) -> Option<Date> {
    let at = at.parse().ok().map(china::day);
    at.or_else(|| number.parse::<TicketNumber>().ok()?.day().to_string().parse().ok())
}

/// Whether nobody has to work on a ticket of this stage any more.
pub fn is_done(stage: &str) -> bool {
    DONE.contains(&stage)
}

/// Brings a ticket's rows up to date, as the site `me` counts it. Whether it is new, or others hold it or are entitled to its key now.
pub fn put(
    db: &Connection,
    doc: &DocId,
    row: &Row,
    indexing: Indexing,
    me: Site,
    reference: &Reference,
) -> Result<bool> {
    let known: Option<Known> = db
        .prepare_cached(
            "SELECT row, searched, custodian, stage, day, facts, business, domain, topic, channel, taken_by, custodian, readers
             FROM ticket WHERE doc = ?1",
        )?
        .query_row([doc.as_bytes()], |r| {
            Ok(Known {
                row: r.get(0)?,
                searched: r.get(1)?,
                stands: (r.get(2)?, r.get(3)?),
                counted: Counted::of(r, 4)?,
                readers: r.get(12)?,
            })
        })
        .optional()?;
    let taken_by = row.taken_by.to_string();
    let facts = row.facts.seen_from(me, row.taken_by).judged(row.timing.in_time(reference));
    // What this site's people have to do with it.
    let (holds, took, done) = (row.stands.0 == me.to_string(), row.taken_by == me, is_done(&row.stands.1));
    let agent = if holds { row.hands.agent_at(me) } else { "" };
    let department = if holds { row.hands.department.as_str() } else { "" };
    let values = params![
        known.as_ref().map(|k| k.row),
        doc.as_bytes(),
        row.number,
        row.stands.0,
        taken_by,
        row.offered_to,
        row.stands.1,
        row.subject,
        row.at,
        row.returns,
        row.superseded,
        row.alarms,
        row.state,
        serde_json::to_string(&row.timing).expect("times and texts are always written to memory"),
        row.searched,
        due(&row.timing, reference),
        row.urgency,
        row.day,
        facts.bits(),
        row.said[0],
        row.said[1],
        row.said[2],
        row.said[3],
        agent,
        department,
        holds && !done && row.hands.urged,
        took && row.stands.1 == "closed" && facts.wants_follow_up(),
        row.confidential,
        if took { row.centre.as_str() } else { "" },
        done,
        row.readers,
    ];
    db.prepare_cached(match known {
        None => {
            "INSERT INTO ticket(row, doc, number, custodian, taken_by, offered_to, stage, subject, at, returns, superseded, alarms, state, clock, searched, due, urgency,
               day, facts, business, domain, topic, channel, agent, department, urged, follow_up, confidential, centre, done, readers)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
               ?26, ?27, ?28, ?29, ?30, ?31)"
        }
        Some(_) => {
            "UPDATE ticket SET doc = ?2, number = ?3, custodian = ?4, taken_by = ?5, offered_to = ?6, stage = ?7, subject = ?8,
               at = ?9, returns = ?10, superseded = ?11, alarms = ?12, state = ?13, clock = ?14, searched = ?15, due = ?16, urgency = ?17,
               day = ?18, facts = ?19, business = ?20, domain = ?21, topic = ?22, channel = ?23, agent = ?24, department = ?25, urged = ?26, follow_up = ?27,
               confidential = ?28, centre = ?29, done = ?30, readers = ?31
             WHERE row = ?1"
        }
    })?
    .execute(values)?;
    let key = known.as_ref().map_or_else(|| db.last_insert_rowid(), |k| k.row);
    recount(db, known.as_ref().map(|k| &k.stands), &row.stands)?;
    let [business, domain, topic, channel] = row.said.clone();
    let values = [business, domain, topic, channel, taken_by, row.stands.0.clone()];
    let counted = Counted { day: row.day.clone(), facts, values };
    tally::count(db, known.as_ref().and_then(|k| k.counted.as_ref()), &counted)?;
    if took && me != Site::MINISTRY {
        let before = known.as_ref().and_then(|k| k.counted.as_ref()).map(|counted| &counted.day);
        for day in before.filter(|before| **before != row.day).into_iter().chain([&row.day]) {
            aggregate::mark_stale(db, day)?;
        }
    }
    let moved = known.as_ref().is_none_or(|k| k.stands.0 != row.stands.0 || k.readers != row.readers);
    let same = known.as_ref().is_some_and(|k| k.searched == row.searched);
    if !same || known.as_ref().is_some_and(|k| k.counted.is_none()) {
        outside::put(db, key, known.is_some(), &row.outside)?; // a version that tallied nothing had no table for them
    }
    if same {
        return Ok(moved); // most edits change no words
    }
    let (Row { text, names, .. }, known) = (row, known.is_some());
    match indexing {
        Indexing::Later => text::put_aside(db, key, known, text, names)?,
        Indexing::Now => {
            let known = if known { text::forget(db, key)?.unwrap_or(true) } else { false };
            text::index(db, key, known, text, names)?;
        }
    }
    Ok(moved)
}

/// Who is entitled to a ticket's key, as it was when it last changed; `None` when no row says it.
pub fn readers(db: &Connection, doc: &DocId) -> Result<Option<Readers>> {
    let mut query =
        db.prepare_cached("SELECT readers, confidential, custodian, taken_by FROM ticket WHERE doc = ?1")?;
    let row: Option<(String, bool, String, String)> =
        query.query_row([doc.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).optional()?;
    Ok(row.and_then(|(sites, desk, custodian, taken_by)| {
        let sites = sites.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        let readers =
            Readers { sites, desk, custodian: custodian.parse().ok()?, taken_by: taken_by.parse().ok()? };
        (!readers.sites.is_empty()).then_some(readers)
    }))
}

/// The last moment of a ticket as it is stored and compared.
fn due(timing: &Timing, reference: &Reference) -> Option<String> {
    timing.deadline(reference)?.due.map(china::shown)
}

/// Computes the deadlines of open tickets anew, of those after row `after`, at most `limit`. Returns the last row looked
/// at, and the documents whose row was written by a version that knew no deadlines: they have to be projected again.
pub fn date_again(
    db: &Connection,
    reference: &Reference,
    after: i64,
    limit: usize,
) -> Result<Option<(i64, Vec<DocId>)>> {
    let mut query = db.prepare_cached(
        "SELECT row, doc, clock, taken_by FROM ticket INDEXED BY ticket_open WHERE done = 0 AND row > ?1 ORDER BY row LIMIT ?2",
    )?;
    let page: Vec<(i64, Vec<u8>, String, String)> = query
        .query_map(params![after, limit as i64], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let Some(last) = page.last().map(|(row, ..)| *row) else { return Ok(None) };
    let mut write = db.prepare_cached("UPDATE ticket SET due = ?2 WHERE row = ?1 AND due IS NOT ?2")?;
    let mut unread = Vec::new();
    for (row, doc, clock, taken_by) in page {
        match serde_json::from_str::<Timing>(&clock) {
            Ok(timing) => {
                write.execute(params![row, due(&timing.taken_by(&taken_by), reference)])?;
            }
            Err(_) => unread.push(id(&doc)?),
        }
    }
    Ok(Some((last, unread)))
}

fn id(bytes: &[u8]) -> Result<DocId> {
    DocId::try_from(bytes).map_err(|_| StoreError::Damaged("a ticket's id".to_owned()))
}

/// What a row says of a ticket before it is brought up to date.
struct Known {
    row: i64,
    searched: Vec<u8>,
    stands: Stands,
    /// How it was tallied; `None` when a version wrote it that did not.
    counted: Option<Counted>,
    readers: String,
}

/// A ticket's custodian and stage.
type Stands = (String, String);

/// Counts a ticket that has come, or that stands elsewhere now.
fn recount(db: &Connection, from: Option<&Stands>, to: &Stands) -> Result<()> {
    if from == Some(to) {
        return Ok(());
    }
    let sql = "UPDATE ticket_count SET n = n + ?3 WHERE custodian = ?1 AND stage = ?2";
    if let Some((custodian, stage)) = from {
        db.prepare_cached(sql)?.execute(params![custodian, stage, -1])?;
    }
    let (custodian, stage) = to;
    if db.prepare_cached(sql)?.execute(params![custodian, stage, 1])? == 0 {
        db.prepare_cached("INSERT INTO ticket_count VALUES(?1, ?2, 1)")?.execute([custodian, stage])?;
    }
    Ok(())
}

fn searchable(folded: &Folded, content: &Content) -> String {
    let mut text = String::new();
    text.push_str(&folded.created.number);
    for value in content.facts.values().filter_map(Value::as_str) {
        text.push('\n');
        text.push_str(value);
    }
    text.push('\n');
    text.push_str(&content.body);
    for note in content.notes.values().filter_map(|n| n.get("text")).filter_map(Value::as_str) {
        text.push('\n');
        text.push_str(note);
    }
    text
}

/// The rows after `after` of tickets that have ended, at most `limit`. Those that this site
/// holds and that were made before `before` (RFC 3339) come with their documents.
pub fn ended(
    db: &Connection,
    site: Site,
    after: i64,
    before: &str,
    limit: usize,
) -> Result<Vec<(i64, Option<DocId>)>> {
    let mut query = db.prepare_cached(
        "SELECT row, CASE WHEN custodian = ?2 AND at < ?3 THEN doc END FROM ticket INDEXED BY ticket_closed
         WHERE done = 1 AND row > ?1 ORDER BY row LIMIT ?4",
    )?;
    let rows = query.query_map(params![after, site.to_string(), before, limit as i64], |r| {
        Ok((r.get::<_, i64>(0)?, r.get::<_, Option<Vec<u8>>>(1)?))
    })?;
    rows.map(|row| {
        let (row, doc) = row?;
        Ok((row, doc.map(|doc| id(&doc)).transpose()?))
    })
    .collect()
}

/// With fewer hits than this the best come first; ranking more would take longer than anybody waits.
const RANKED: i64 = 10_000;

/// Tickets that match what was typed: the best first, the newest first when there are too many to compare. `Err`
/// holds why it is no question.
pub fn search(db: &Connection, typed: &str, limit: usize) -> Result<std::result::Result<Vec<Value>, String>> {
    let expression = match query(typed) {
        Ok(expression) => expression,
        Err(e) => return Ok(Err(e.to_string())),
    };
    let hits: i64 = db
        .prepare_cached(
            "SELECT count(*) FROM (SELECT rowid FROM ticket_text WHERE ticket_text MATCH ?1 LIMIT ?2)",
        )?
        .query_row(params![expression.as_str(), RANKED], |r| r.get(0))?;
    let sql = if hits < RANKED {
        format!(
            "SELECT {COLUMNS}
         FROM (SELECT rowid AS hit, rank AS place FROM ticket_text WHERE ticket_text MATCH ?1
               ORDER BY rank, rowid DESC LIMIT ?2)
         JOIN ticket ON row = hit ORDER BY place, row DESC"
        )
    } else {
        format!(
            "SELECT {COLUMNS} FROM ticket
         WHERE row IN (SELECT rowid FROM ticket_text WHERE ticket_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2)
         ORDER BY row DESC"
        )
    };
    rows(db, &sql, params![expression.as_str(), limit as i64]).map(Ok)
}

/// One ticket in the shape of a listing.
pub fn one(db: &Connection, doc: &DocId) -> Result<Option<Value>> {
    let sql = format!("SELECT {COLUMNS} FROM ticket WHERE doc = ?1");
    Ok(rows(db, &sql, [doc.as_bytes()])?.pop())
}

fn rows(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Value>> {
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(values, |r| {
        let doc: Vec<u8> = r.get(1)?;
        let mut row = json!({
            "row": r.get::<_, i64>(0)?,
            "id": doc.iter().map(|b| format!("{b:02x}")).collect::<String>(),
            "number": r.get::<_, String>(2)?,
            "subject": r.get::<_, String>(3)?,
            "custodian": r.get::<_, String>(4)?,
            "stage": r.get::<_, String>(5)?,
            "at": r.get::<_, String>(6)?,
            "offered_to": r.get::<_, Option<String>>(7)?,
            "due": r.get::<_, Option<String>>(8)?,
        });
        let urgency: String = r.get(9)?;
        if !urgency.is_empty() {
            row["urgency"] = urgency.into();
        }
        for (place, name) in [(10, "agent"), (11, "department"), (12, "centre")] {
            let said: String = r.get(place)?;
            if !said.is_empty() {
                row[name] = said.into();
            }
        }
        Ok(row)
    })?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}

/// The documents that bear this number: more than one is an alarm.
pub fn numbered(db: &Connection, number: &str) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached("SELECT doc FROM ticket WHERE number = ?1 ORDER BY doc")?;
    let rows = query.query_map([number], |r| r.get::<_, Vec<u8>>(0))?;
    rows.map(|row| id(&row?)).collect()
}

/// The highest number of each day and block among those that begin with `prefix`, found by one look each: from the
/// end, always on to what lies before the day and block just found.
pub fn highest_numbers(db: &Connection, prefix: &str) -> Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT max(number) FROM ticket WHERE number > ?1 AND number < ?2")?;
    let mut highest: Vec<String> = Vec::new();
    let mut before = format!("{prefix}~");
    while let Some(number) = query.query_row([prefix, &before], |r| r.get::<_, Option<String>>(0))? {
        before = number.chars().take(DAY_AND_BLOCK).collect();
        highest.push(number);
    }
    Ok(highest)
}

/// How many tickets bear a number that begins so: a site's and a day's.
pub fn count_numbered(db: &Connection, prefix: &str) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT count(*) FROM ticket WHERE number > ?1 AND number < ?2")?;
    Ok(query.query_row([prefix, &format!("{prefix}~")], |r| r.get::<_, i64>(0))? as u64)
}

/// How many tickets whose numbers begin so (`JT`, the site and the day) began in each quarter of an hour, China's time.
pub fn by_quarter(db: &Connection, numbered: &str) -> Result<[u64; 96]> {
    let mut query = db.prepare_cached(&by_quarter_sql())?;
    let mut quarters = [0; 96];
    let mut rows = query.query([numbered])?;
    while let Some(row) = rows.next()? {
        let (quarter, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        if let Some(slot) = usize::try_from(quarter).ok().and_then(|quarter| quarters.get_mut(quarter)) {
            *slot = count as u64;
        }
    }
    Ok(quarters)
}

/// A count for each quarter: of groups over expressions SQLite would look at every ticket, though the index knows them.
fn by_quarter_sql() -> String {
    format!(
        "WITH RECURSIVE quarter(q) AS (SELECT 0 UNION ALL SELECT q + 1 FROM quarter WHERE q < 95)
         SELECT q, (SELECT count(*) FROM ticket INDEXED BY ticket_quarter WHERE {NUMBERED} = ?1 AND {QUARTER} = q) FROM quarter"
    )
}

/// How many tickets stand in each stage.
pub fn by_stage(db: &Connection) -> Result<Vec<(String, u64)>> {
    let mut query = db.prepare_cached(
        "SELECT stage, sum(n) FROM ticket_count GROUP BY stage HAVING sum(n) > 0 ORDER BY stage",
    )?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}

/// How many tickets a site has to work on.
pub fn held(db: &Connection, site: Site) -> Result<u64> {
    let done = DONE.map(|stage| format!("'{stage}'")).join(", ");
    let sql = format!(
        "SELECT coalesce(sum(n), 0) FROM ticket_count WHERE custodian = ?1 AND stage NOT IN ({done})"
    );
    Ok(db.prepare_cached(&sql)?.query_row([site.to_string()], |r| r.get::<_, i64>(0))? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with tickets: number, custodian, stage.
    pub(super) fn with_tickets(rows: &[(&str, &str, &str)]) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        for (number, custodian, stage) in rows {
            db.execute(
                "INSERT INTO ticket(doc, number, custodian, taken_by, stage, subject, at, returns, superseded, alarms, state, clock, searched, done)
                 VALUES(CAST(?1 AS BLOB), ?1, ?2, '370100', ?3, '', '', 0, 0, 0, x'', '', x'', ?4)",
                params![number, custodian, stage, is_done(stage)],
            )
            .unwrap();
        }
        db
    }

    #[test]
    fn the_highest_number_of_each_day_and_block_is_found() {
        let db = with_tickets(&[
            ("JT37010020270101AB0001X", "370100", "closed"),
            ("JT37010020270101AB0007X", "370100", "closed"),
            ("JT37010020270101AC0003X", "370100", "closed"),
            ("JT37010020270215AB0002X", "370100", "closed"),
            ("JT37020020270215AB0009X", "370200", "closed"),
        ]);
        let found = highest_numbers(&db, "JT370100").unwrap();
        assert_eq!(found, ["JT37010020270215AB0002X", "JT37010020270101AC0003X", "JT37010020270101AB0007X"]);
        assert!(highest_numbers(&db, "JT370300").unwrap().is_empty());
    }

    #[test]
    fn quarters_of_a_day_are_counted_in_their_own_index() {
        let db = with_tickets(&[
            ("JT37010020270101AB0001X", "370100", "closed"),
            ("JT37010020270101AB0007X", "370100", "closed"),
            ("JT37010020270101AC0003X", "370100", "closed"),
            ("JT37010020270104AB0002X", "370100", "closed"),
            ("JT37020020270101AB0009X", "370200", "closed"),
        ]);
        db.execute("UPDATE ticket SET at = '2027-01-01T09:29:59+08:00' WHERE number LIKE '%AB%'", [])
            .unwrap();
        let found = by_quarter(&db, "JT37010020270101").unwrap();
        assert_eq!((found[37], found[0], found.iter().sum::<u64>()), (2, 1, 3));
        assert_eq!(by_quarter(&db, "JT37010020270102").unwrap(), [0; 96]);
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {}", by_quarter_sql())).unwrap();
        let steps: Vec<String> =
            plan.query_map([""], |r| r.get(3)).unwrap().map(|step| step.unwrap()).collect();
        let index = "SEARCH ticket USING COVERING INDEX ticket_quarter (<expr>=? AND <expr>=?)";
        assert!(steps.iter().any(|step| step == index), "{steps:?}");
    }

    #[test]
    fn tickets_are_counted_as_they_come_and_move() {
        let (ours, theirs) = ("370100".parse().unwrap(), "370200".parse().unwrap());
        let db = with_tickets(&[]);
        let stands = |custodian: Site, stage: &str| (custodian.to_string(), stage.to_owned());
        let (held_here, closed_here) = (stands(ours, "in_hand"), stands(ours, "closed"));
        recount(&db, None, &held_here).unwrap();
        recount(&db, None, &held_here).unwrap();
        recount(&db, None, &stands(theirs, "in_hand")).unwrap();
        assert_eq!(by_stage(&db).unwrap(), [("in_hand".to_owned(), 3)]);
        recount(&db, Some(&held_here), &held_here).unwrap();
        assert_eq!((held(&db, ours).unwrap(), held(&db, theirs).unwrap()), (2, 1));
        recount(&db, Some(&held_here), &closed_here).unwrap();
        recount(&db, Some(&held_here), &stands(theirs, "in_hand")).unwrap();
        assert_eq!((held(&db, ours).unwrap(), held(&db, theirs).unwrap()), (0, 2));
        assert_eq!(by_stage(&db).unwrap(), [("closed".to_owned(), 1), ("in_hand".to_owned(), 2)]);
    }
}
