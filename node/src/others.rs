//! Which documents here are of kinds that this version does not know: a row for each, beside the projections and like
//! them a function of the documents. Once a version knows the kind, its documents are projected at the next start.

use rusqlite::{Connection, params};
use sync::id::DocId;
use sync::store::{Result, StoreError};

/// Makes the table where it is not.
pub fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE IF NOT EXISTS other(doc BLOB PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS other_kind ON other(kind);",
    )?)
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM other;")?)
}

/// Notes a document of a kind that is not known here.
pub fn put(db: &Connection, doc: &DocId, kind: &str) -> Result<()> {
    let mut put = db.prepare_cached("INSERT OR IGNORE INTO other(doc, kind) VALUES(?1, ?2)")?;
    put.execute(params![doc.as_bytes(), kind])?;
    Ok(())
}

/// Forgets a document, which is read after all.
pub fn forget(db: &Connection, doc: &DocId) -> Result<()> {
    db.prepare_cached("DELETE FROM other WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    Ok(())
}

/// The kinds that are not known here, each with how many documents of it there are; at most `limit` kinds.
pub fn kinds(db: &Connection, limit: usize) -> Result<Vec<(String, u64)>> {
    let mut query =
        db.prepare_cached("SELECT kind, count(*) FROM other GROUP BY kind ORDER BY kind LIMIT ?1")?;
    let rows = query.query_map([limit as i64], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// Takes the documents noted as of this kind, which is known by now, out of the table.
pub fn take(db: &Connection, kind: &str) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached("DELETE FROM other WHERE kind = ?1 RETURNING doc")?;
    let rows = query.query_map([kind], |r| r.get::<_, [u8; 32]>(0))?;
    let docs: std::result::Result<Vec<_>, _> = rows.map(|row| row.map(DocId::from_bytes)).collect();
    docs.map_err(StoreError::from)
}
