//! The editions that are here: a row for each, beside the projections and like them a function of the documents.

use certs::Site;
use rusqlite::{Connection, OptionalExtension, params};
use sync::id::DocId;
use sync::store::{Result, StoreError};

use super::{Edition, Set};

/// Makes the tables where they are not.
pub fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE IF NOT EXISTS policy(doc BLOB PRIMARY KEY, site TEXT NOT NULL, tab TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS policy_edition(doc BLOB NOT NULL, n INTEGER NOT NULL, edition TEXT NOT NULL, PRIMARY KEY(doc, n));",
    )?)
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM policy; DELETE FROM policy_edition;")?)
}

/// Takes in what a document says, or nothing of it any more.
pub fn put(db: &Connection, doc: &DocId, set: Option<&Set>) -> Result<()> {
    db.prepare_cached("DELETE FROM policy WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    db.prepare_cached("DELETE FROM policy_edition WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    let Some(set) = set else { return Ok(()) };
    db.prepare_cached("INSERT INTO policy(doc, site, tab) VALUES(?1, ?2, ?3)")?.execute(params![
        doc.as_bytes(),
        set.site.to_string(),
        set.table
    ])?;
    let mut put = db.prepare_cached("INSERT INTO policy_edition(doc, n, edition) VALUES(?1, ?2, ?3)")?;
    for (n, edition) in set.editions.iter().enumerate() {
        put.execute(params![doc.as_bytes(), n as i64, written(edition)?])?;
    }
    Ok(())
}

/// The editions of these sites, and everybody's of one table; those of one document after each other.
pub fn editions(db: &Connection, sites: &[Site], everybodys: &str) -> Result<Vec<Edition>> {
    let mut documents = db.prepare_cached("SELECT doc, site, tab FROM policy ORDER BY doc")?;
    let mut query = db.prepare_cached("SELECT edition FROM policy_edition WHERE doc = ?1 ORDER BY n")?;
    let mut rows = documents.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (doc, site, table): ([u8; 32], String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if table != everybodys && !site.parse().is_ok_and(|site| sites.contains(&site)) {
            continue;
        }
        for edition in query.query_map([doc], |r| r.get::<_, String>(0))? {
            found.push(
                serde_json::from_str(&edition?)
                    .map_err(|e| StoreError::Damaged(format!("an edition does not read: {e}")))?,
            );
        }
    }
    Ok(found)
}

/// The document that tells this edition.
pub fn document_of(db: &Connection, edition: &Edition) -> Result<Option<DocId>> {
    let text = written(edition)?;
    let mut query =
        db.prepare_cached("SELECT doc FROM policy_edition WHERE edition = ?1 ORDER BY doc LIMIT 1")?;
    Ok(query.query_row([text], |r| r.get::<_, [u8; 32]>(0)).optional()?.map(DocId::from_bytes))
}

fn written(edition: &Edition) -> Result<String> {
    serde_json::to_string(edition).map_err(|e| StoreError::Failed(e.to_string()))
}

/// The documents of a site's table: one, or more when replicas began one at once.
pub fn documents(db: &Connection, site: Site, table: &str) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached("SELECT doc FROM policy WHERE site = ?1 AND tab = ?2 ORDER BY doc")?;
    let docs = query.query_map(params![site.to_string(), table], |r| r.get::<_, [u8; 32]>(0))?;
    Ok(docs.map(|doc| doc.map(DocId::from_bytes)).collect::<rusqlite::Result<_>>()?)
}

/// A fingerprint of all rows.
pub fn fingerprint(db: &Connection) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut query = db.prepare("SELECT doc, edition FROM policy_edition ORDER BY doc, n")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        hasher.update(&row.get::<_, [u8; 32]>(0)?);
        hasher.update(row.get::<_, String>(1)?.as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}
