//! Who has a grant of which document, who lacks one, and which nodes are new.

use std::collections::BTreeSet;

use certs::NodeName;
use rusqlite::{Connection, OptionalExtension, params};
use sync::id::{DocId, ItemHash};
use sync::store::{Result, StoreError};

use super::{Grant, KeyId};

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS holder(
  grant_id INTEGER PRIMARY KEY REFERENCES apart(id) ON DELETE CASCADE,
  doc BLOB NOT NULL, node TEXT NOT NULL, desk INTEGER NOT NULL, which BLOB);
CREATE INDEX IF NOT EXISTS holder_doc ON holder(doc);
CREATE TABLE IF NOT EXISTS lack(doc BLOB PRIMARY KEY, since INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS lack_since ON lack(since);
CREATE TABLE IF NOT EXISTS known(node TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS fresh(node TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS round(one INTEGER PRIMARY KEY, after BLOB);
";

/// A node that has a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node.
    pub node: NodeName,
    /// Its confidential desk.
    pub desk: bool,
    /// The key, as whoever granted it says, which nobody but the node itself can check; `None` where the grant does not say it.
    pub which: Option<KeyId>,
}

impl Holder {
    /// Whether this key is one that it may have. Who has a grant of before that was told counts as one that has it.
    pub fn has(&self, which: Option<KeyId>) -> bool {
        self.which.is_none() || which.is_none() || self.which == which
    }
}

/// Adds what tables of before lack.
pub(super) fn upgrade(db: &Connection) -> Result<()> {
    let told: bool =
        db.query_row("SELECT count(*) FROM pragma_table_info('holder') WHERE name = 'which'", [], |r| {
            r.get(0)
        })?;
    match told {
        true => Ok(()),
        false => Ok(db.execute_batch("ALTER TABLE holder ADD COLUMN which BLOB")?),
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("the vault's {what} does not read as what was written"))
}

/// Notes whose a grant is. The store has its bytes already.
pub fn note(db: &Connection, doc: &DocId, hash: &ItemHash, grant: &Grant) -> Result<()> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO holder(grant_id, doc, node, desk, which)
         SELECT id, ?2, ?3, ?4, ?5 FROM apart WHERE hash = ?1",
    )?
    .execute(params![
        hash.as_bytes(),
        doc.as_bytes(),
        grant.to.to_string(),
        grant.desk,
        grant.which.map(|which| which.0)
    ])?;
    Ok(())
}

/// Forgets whose the grants are, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM holder")?)
}

/// Who has a grant of which key of this document, as far as this node holds the grants.
pub fn of(db: &Connection, doc: &DocId) -> Result<Vec<Holder>> {
    // Each once: for DISTINCT SQLite would make a table.
    let mut query =
        db.prepare_cached("SELECT node, desk, which FROM holder WHERE doc = ?1 ORDER BY node, desk, which")?;
    let rows = query.query_map([doc.as_bytes()], |r| Ok((r.get::<_, String>(0)?, r.get(1)?, r.get(2)?)))?;
    let held: Result<Vec<Holder>> = rows
        .map(|row| {
            let (node, desk, which): (_, _, Option<[u8; 8]>) = row?;
            let node = node.parse().map_err(|_| damaged("holder"))?;
            Ok(Holder { node, desk, which: which.map(KeyId) })
        })
        .collect();
    held.map(|mut held| {
        held.dedup();
        held
    })
}

/// A grant of this document that this node has.
pub fn grant_of(db: &Connection, doc: &DocId, node: NodeName) -> Result<Option<ItemHash>> {
    let mut query = db.prepare_cached(
        "SELECT a.hash FROM holder h JOIN apart a ON a.id = h.grant_id WHERE h.doc = ?1 AND h.node = ?2 LIMIT 1",
    )?;
    let hash: Option<[u8; 32]> =
        query.query_row(params![doc.as_bytes(), node.to_string()], |r| r.get(0)).optional()?;
    Ok(hash.map(ItemHash::from_bytes))
}

/// Remembers since when somebody entitled lacks a grant of this document.
pub fn lacking(db: &Connection, doc: &DocId, now: u64) -> Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO lack(doc, since) VALUES(?1, ?2)")?
        .execute(params![doc.as_bytes(), now as i64])?;
    Ok(())
}

/// The document whose grant this is, as far as it was noted.
pub fn document_of(db: &Connection, grant: &ItemHash) -> Result<Option<DocId>> {
    let mut query =
        db.prepare_cached("SELECT h.doc FROM apart a JOIN holder h ON h.grant_id = a.id WHERE a.hash = ?1")?;
    let doc: Option<[u8; 32]> = query.query_row([grant.as_bytes()], |r| r.get(0)).optional()?;
    Ok(doc.map(DocId::from_bytes))
}

/// Somebody may lack a grant of these documents, since nobody knows when: the next [`set_back`] dates it. Documents that
/// this node has no grant of itself are passed over; it looks at them when it gets one.
pub fn doubt(db: &Connection, docs: &BTreeSet<DocId>, me: NodeName) -> Result<()> {
    for doc in docs {
        if grant_of(db, doc, me)?.is_some() {
            lacking(db, doc, i64::MAX as u64)?;
        }
    }
    Ok(())
}

/// Nobody lacks one any more.
pub fn supplied(db: &Connection, doc: &DocId) -> Result<()> {
    db.prepare_cached("DELETE FROM lack WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    Ok(())
}

/// The clock was set back: what it noted as later than now is as old as now, or its wait would last for years.
pub fn set_back(db: &Connection, now: u64) -> Result<()> {
    db.prepare_cached("UPDATE lack SET since = ?1 WHERE since > ?1")?.execute([now as i64])?;
    Ok(())
}

/// Documents of which somebody has lacked a grant since `before` or longer, and since when.
pub fn lacking_since(db: &Connection, before: u64, limit: usize) -> Result<Vec<(DocId, u64)>> {
    let mut query =
        db.prepare_cached("SELECT doc, since FROM lack WHERE since <= ?1 ORDER BY since LIMIT ?2")?;
    let rows = query.query_map(params![before as i64, limit as i64], |r| {
        Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, i64>(1)?))
    })?;
    rows.map(|row| {
        let (doc, since) = row?;
        let doc = DocId::try_from(doc.as_slice()).map_err(|_| damaged("document"))?;
        Ok((doc, since.max(0) as u64))
    })
    .collect()
}

/// Notes those of these nodes that were never seen before: a round over all documents is due for them.
pub fn meet(db: &Connection, nodes: impl Iterator<Item = NodeName>) -> Result<()> {
    let mut known = db.prepare_cached("INSERT OR IGNORE INTO known(node) VALUES(?1)")?;
    let mut fresh = db.prepare_cached("INSERT OR IGNORE INTO fresh(node) VALUES(?1)")?;
    let mut met = false;
    for node in nodes {
        let name = node.to_string();
        if known.execute([&name])? == 1 {
            fresh.execute([&name])?;
            met = true;
        }
    }
    if met {
        db.execute("DELETE FROM round", [])?;
    }
    Ok(())
}

/// The round that is due: for which nodes, and after which document it goes on.
pub fn round(db: &Connection) -> Result<Option<(Vec<NodeName>, Option<DocId>)>> {
    let mut query = db.prepare_cached("SELECT node FROM fresh ORDER BY node")?;
    let rows = query.query_map([], |r| r.get::<_, String>(0))?;
    let nodes: Vec<NodeName> =
        rows.map(|row| row?.parse().map_err(|_| damaged("node"))).collect::<Result<_>>()?;
    if nodes.is_empty() {
        return Ok(None);
    }
    let mut query = db.prepare_cached("SELECT after FROM round")?;
    let after = query.query_map([], |r| r.get::<_, Vec<u8>>(0))?.next().transpose()?;
    let after =
        after.map(|doc| DocId::try_from(doc.as_slice()).map_err(|_| damaged("document"))).transpose()?;
    Ok(Some((nodes, after)))
}

/// The round has come to this document; `None`: to the end.
pub fn round_at(db: &Connection, after: Option<&DocId>) -> Result<()> {
    match after {
        Some(doc) => {
            db.prepare_cached("INSERT OR REPLACE INTO round(one, after) VALUES(1, ?1)")?
                .execute([doc.as_bytes()])?;
        }
        None => db.execute_batch("DELETE FROM fresh; DELETE FROM round;")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_before_keep_what_they_hold() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE apart(id INTEGER PRIMARY KEY, hash BLOB); INSERT INTO apart VALUES(1, NULL);
             CREATE TABLE holder(grant_id INTEGER PRIMARY KEY REFERENCES apart(id) ON DELETE CASCADE,
               doc BLOB NOT NULL, node TEXT NOT NULL, desk INTEGER NOT NULL);",
        )
        .unwrap();
        let doc = DocId::from_bytes([7; 32]);
        db.execute("INSERT INTO holder VALUES(1, ?1, '370100', 0)", [doc.as_bytes()]).unwrap();
        for _ in 0..2 {
            super::super::prepare(&db).unwrap();
        }
        let held = of(&db, &doc).unwrap();
        assert_eq!(held, [Holder { node: "370100".parse().unwrap(), desk: false, which: None }]);
        assert!(held[0].has(Some(KeyId([1; 8]))), "it counts as one of any key");
    }
}
