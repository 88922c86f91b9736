//! The frozen months that are here: a row for each document, beside the projections and like them a function of the documents.

use rusqlite::{Connection, params};
use sync::id::DocId;
use sync::store::{Result, StoreError};

use super::Record;

/// Makes the table where it is not.
pub fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE IF NOT EXISTS month(doc BLOB PRIMARY KEY, site TEXT NOT NULL, month TEXT NOT NULL, record TEXT NOT NULL)
           WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS month_of ON month(site, month);",
    )?)
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM month;")?)
}

/// Notes a month, or what it is now.
pub fn put(db: &Connection, doc: &DocId, record: &Record) -> Result<()> {
    let text = serde_json::to_string(record).map_err(|e| StoreError::Failed(e.to_string()))?;
    let mut put =
        db.prepare_cached("INSERT OR REPLACE INTO month(doc, site, month, record) VALUES(?1, ?2, ?3, ?4)")?;
    put.execute(params![doc.as_bytes(), record.site.to_string(), record.table.month, text])?;
    Ok(())
}

/// Forgets a document whose beginning does not count any more.
pub fn forget(db: &Connection, doc: &DocId) -> Result<()> {
    db.prepare_cached("DELETE FROM month WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    Ok(())
}

/// The frozen months of a site, the newest first; of one month, if one is named. Two replicas that froze one month at once made
/// two of it: the one with the smaller id comes first, and holds.
pub fn of(db: &Connection, site: &str, month: Option<&str>, limit: usize) -> Result<Vec<(DocId, Record)>> {
    let mut query = db.prepare_cached(
        "SELECT doc, record FROM month WHERE site = ?1 AND (?2 IS NULL OR month = ?2) ORDER BY month DESC, doc LIMIT ?3",
    )?;
    let rows = query.query_map(params![site, month, limit as i64], |r| {
        Ok((DocId::from_bytes(r.get(0)?), r.get::<_, String>(1)?))
    })?;
    let read = |row: rusqlite::Result<(DocId, String)>| {
        let (doc, text) = row?;
        let record = serde_json::from_str(&text).map_err(|e| StoreError::Failed(e.to_string()))?;
        Ok((doc, record))
    };
    rows.map(read).collect()
}

/// A fingerprint of all rows.
pub fn fingerprint(db: &Connection) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut query = db.prepare("SELECT doc, record FROM month ORDER BY doc")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        hasher.update(&row.get::<_, [u8; 32]>(0)?);
        hasher.update(row.get::<_, String>(1)?.as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}
