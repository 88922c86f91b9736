//! The numbers that others gave to a ticket's matter, to be found by.

use rusqlite::Connection;
use serde_json::{Value, json};
use sync::store::Result;

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS ticket_outside(number TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY(number, row)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ticket_outside_row ON ticket_outside(row);
";

/// Brings a row's numbers up to date. `said` holds them with blanks between; one with blanks in it is found as a whole.
pub(super) fn put(db: &Connection, row: i64, known: bool, said: &str) -> Result<()> {
    if known {
        db.prepare_cached("DELETE FROM ticket_outside WHERE row = ?1")?.execute([row])?;
    }
    let whole = Some(said).filter(|s| s.contains(' '));
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO ticket_outside(number, row) VALUES(?1, ?2)")?;
    for number in said.split(' ').chain(whole).filter(|number| !number.is_empty()) {
        insert.execute((number, row))?;
    }
    Ok(())
}

/// The tickets that bear exactly this number, the oldest row first, at most `limit`: their ids and our numbers.
pub fn outside(db: &Connection, number: &str, limit: usize) -> Result<Vec<Value>> {
    let mut query = db.prepare_cached(
        "SELECT lower(hex(doc)), ticket.number FROM ticket_outside JOIN ticket USING(row) WHERE ticket_outside.number = ?1
         ORDER BY row LIMIT ?2",
    )?;
    let rows = query.query_map((number, limit as i64), |r| {
        Ok(json!({ "id": r.get::<_, String>(0)?, "number": r.get::<_, String>(1)? }))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds every number to a fingerprint.
pub(super) fn fingerprint(db: &Connection, hasher: &mut blake3::Hasher) -> Result<()> {
    let mut query = db.prepare(
        "SELECT o.number || char(10) || hex(t.doc) FROM ticket_outside o JOIN ticket t USING(row) ORDER BY o.number, t.doc",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        hasher.update(&(text.len() as u64).to_be_bytes()).update(text.as_bytes());
    }
    Ok(())
}
