//! What is derived from the documents: queues, numbers and search, in tables beside the store's own.
//!
//! Every row is a function of one document, so `hotline replica rebuild` reproduces the tables exactly. They live in
//! the same transactions as the items they come from.

use certs::Site;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::{Result, StoreError};

use crate::content::Content;
use crate::search::{TABLE_OPTIONS, index_tokens, pinyin_tokens, query};
use crate::ticket::Folded;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS ticket(
  row INTEGER PRIMARY KEY, doc BLOB NOT NULL UNIQUE, number TEXT NOT NULL, custodian TEXT NOT NULL,
  taken_by TEXT NOT NULL, offered_to TEXT, stage TEXT NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL,
  returns INTEGER NOT NULL, superseded INTEGER NOT NULL, alarms INTEGER NOT NULL, state BLOB NOT NULL,
  clock TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS ticket_number ON ticket(number);
CREATE INDEX IF NOT EXISTS ticket_custodian ON ticket(custodian, stage);
CREATE INDEX IF NOT EXISTS ticket_offered ON ticket(offered_to) WHERE offered_to IS NOT NULL;
CREATE INDEX IF NOT EXISTS ticket_conflict ON ticket(row) WHERE superseded > 0 OR alarms > 0;
";

/// What stands for the subject of a confidential report.
const CONFIDENTIAL: &str = "(举报人保密)";

/// Makes the tables where they are not.
pub fn prepare(db: &Connection) -> Result<()> {
    let text =
        format!("CREATE VIRTUAL TABLE IF NOT EXISTS ticket_text USING fts5(body, pinyin, {TABLE_OPTIONS});");
    Ok(db.execute_batch(&format!("{TABLES}{text}"))?)
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM ticket; DELETE FROM ticket_text;")?)
}

/// A fingerprint of all rows, for comparing before and after a rebuild.
pub fn fingerprint(db: &Connection) -> Result<[u8; 32]> {
    let mut query = db.prepare(
        "SELECT doc, number, custodian, taken_by, coalesce(offered_to, ''), stage, subject, at, returns, superseded, alarms, state, clock
         FROM ticket ORDER BY doc",
    )?;
    let mut rows = query.query([])?;
    let mut hasher = blake3::Hasher::new();
    while let Some(row) = rows.next()? {
        for column in 0..13 {
            let value = row.get_ref(column)?;
            let bytes = match value {
                rusqlite::types::ValueRef::Integer(n) => n.to_be_bytes().to_vec(),
                rusqlite::types::ValueRef::Text(b) | rusqlite::types::ValueRef::Blob(b) => b.to_vec(),
                _ => Vec::new(),
            };
            hasher.update(&(bytes.len() as u64).to_be_bytes()).update(&bytes);
        }
    }
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

/// Brings a ticket's rows up to date, from its state, its content and the facts of its clock.
pub fn put(db: &Connection, doc: &DocId, folded: &Folded, content: &Content, clock: &Value) -> Result<()> {
    let at = clock["began"][0]["at"].as_str().unwrap_or_default();
    let row: Option<i64> = db
        .prepare_cached("SELECT row FROM ticket WHERE doc = ?1")?
        .query_row([doc.as_bytes()], |r| r.get(0))
        .optional()?;
    let subject = match content.facts.get("subject").and_then(Value::as_str) {
        Some(subject) => subject,
        None if folded.created.confidential => CONFIDENTIAL,
        None => "",
    };
    let values = params![
        row,
        doc.as_bytes(),
        folded.created.number,
        folded.stand.custodian.to_string(),
        folded.stand.taken_by.to_string(),
        folded.open_offer().map(|o| o.to.to_string()),
        folded.stage.name(),
        subject,
        at,
        folded.returns as i64,
        (folded.superseded.len() + folded.proposals.len()) as i64,
        folded.alarms.len() as i64,
        state_hash(folded, content),
        clock.to_string()
    ];
    db.prepare_cached(
        "INSERT INTO ticket(row, doc, number, custodian, taken_by, offered_to, stage, subject, at, returns, superseded, alarms, state, clock)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT(row) DO UPDATE SET custodian = excluded.custodian, offered_to = excluded.offered_to, stage = excluded.stage,
           subject = excluded.subject, returns = excluded.returns, superseded = excluded.superseded, alarms = excluded.alarms,
           state = excluded.state, number = excluded.number, clock = excluded.clock",
    )?
    .execute(values)?;
    let key = row.unwrap_or_else(|| db.last_insert_rowid());
    if row.is_some() {
        db.prepare_cached("DELETE FROM ticket_text WHERE rowid = ?1")?.execute([key])?;
    }
    let place = content.facts.get("place").and_then(Value::as_str).unwrap_or_default();
    db.prepare_cached("INSERT INTO ticket_text(rowid, body, pinyin) VALUES(?1, ?2, ?3)")?.execute(
        params![
            key,
            index_tokens(&searchable(folded, content)),
            pinyin_tokens(&format!("{subject}\n{place}"))
        ],
    )?;
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

/// One of the queues of `ticket list`.
pub fn list(
    db: &Connection,
    me: Site,
    queue: &str,
    limit: usize,
    before: Option<i64>,
) -> Result<Option<Vec<Value>>> {
    let me = me.to_string();
    let which = match queue {
        "all" => "1",
        "held" => "custodian = ?1 AND stage NOT IN ('closed', 'answered', 'rejected', 'redirected')",
        "to-accept" => "offered_to = ?1",
        "offered" => "custodian = ?1 AND offered_to IS NOT NULL",
        "returned" => "custodian = ?1 AND returns > 0 AND stage != 'closed'",
        "open" => "stage NOT IN ('closed', 'answered', 'rejected', 'redirected')",
        "closed" => "stage IN ('closed', 'answered', 'rejected', 'redirected')",
        "conflicts" => "(superseded > 0 OR alarms > 0)",
        _ => return Ok(None),
    };
    let sql = format!(
        "SELECT row, doc, number, subject, custodian, stage, at, offered_to FROM ticket
         WHERE {which} AND row < ?2 AND ?1 = ?1 ORDER BY row DESC LIMIT ?3"
    );
    rows(db, &sql, params![me, before.unwrap_or(i64::MAX), limit as i64]).map(Some)
}

/// Tickets that match what was typed, the newest first. `Err` holds why it is no question.
pub fn search(db: &Connection, typed: &str, limit: usize) -> Result<std::result::Result<Vec<Value>, String>> {
    let expression = match query(typed) {
        Ok(expression) => expression,
        Err(e) => return Ok(Err(e.to_string())),
    };
    let sql = "SELECT row, doc, number, subject, custodian, stage, at, offered_to FROM ticket
               WHERE row IN (SELECT rowid FROM ticket_text WHERE ticket_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2)
               ORDER BY row DESC";
    rows(db, sql, params![expression.as_str(), limit as i64]).map(Ok)
}

/// One ticket in the shape of a listing.
pub fn one(db: &Connection, doc: &DocId) -> Result<Option<Value>> {
    let sql = "SELECT row, doc, number, subject, custodian, stage, at, offered_to FROM ticket WHERE doc = ?1";
    Ok(rows(db, sql, [doc.as_bytes()])?.pop())
}

fn rows(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Value>> {
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(values, |r| {
        let doc: Vec<u8> = r.get(1)?;
        Ok(json!({
            "row": r.get::<_, i64>(0)?,
            "id": doc.iter().map(|b| format!("{b:02x}")).collect::<String>(),
            "number": r.get::<_, String>(2)?,
            "subject": r.get::<_, String>(3)?,
            "custodian": r.get::<_, String>(4)?,
            "stage": r.get::<_, String>(5)?,
            "at": r.get::<_, String>(6)?,
            "offered_to": r.get::<_, Option<String>>(7)?,
        }))
    })?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}

/// The documents that bear this number: more than one is an alarm.
pub fn numbered(db: &Connection, number: &str) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached("SELECT doc FROM ticket WHERE number = ?1 ORDER BY doc")?;
    let rows = query.query_map([number], |r| r.get::<_, Vec<u8>>(0))?;
    rows.map(|row| {
        DocId::try_from(row?.as_slice()).map_err(|_| StoreError::Damaged("a ticket's id".to_owned()))
    })
    .collect()
}

/// How many tickets stand in each stage.
pub fn by_stage(db: &Connection) -> Result<Vec<(String, u64)>> {
    let mut query = db.prepare_cached("SELECT stage, count(*) FROM ticket GROUP BY stage ORDER BY stage")?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
    rows.map(|row| row.map_err(StoreError::from)).collect()
}
