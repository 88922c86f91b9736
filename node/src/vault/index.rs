//! Looking a caller up by phone or name, over the persons that this node can open.
//!
//! The index holds *marks*: BLAKE3 of the number or name as it is compared, under a key of this vault. They are never
//! replicated, and without the node's keys nobody can make one to compare with.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};
use sync::id::{DocId, ItemHash};
use sync::store::{Result, StoreError};
use zeroize::Zeroizing;

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS person(
  id INTEGER PRIMARY KEY, grant_id INTEGER NOT NULL REFERENCES apart(id) ON DELETE CASCADE,
  mark BLOB NOT NULL, UNIQUE(grant_id, mark));
CREATE INDEX IF NOT EXISTS person_mark ON person(mark);
CREATE TABLE IF NOT EXISTS unread(grant_id INTEGER PRIMARY KEY REFERENCES apart(id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS vault_value(key TEXT PRIMARY KEY, value BLOB NOT NULL);
";

/// What a caller is looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The telephone number.
    Phone,
    /// The name.
    Name,
}

/// The key that marks are made under.
pub struct IndexKey(Zeroizing<[u8; 32]>);

/// A number or name as the index knows it.
pub type Mark = [u8; 16];

impl IndexKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> IndexKey {
        IndexKey(Zeroizing::new(bytes))
    }

    /// The mark of what was typed or said; `None` when nothing is left of it to compare.
    pub fn mark(&self, by: By, said: &str) -> Option<Mark> {
        let (sort, said) = match by {
            By::Phone => (b'p', phone(said)),
            By::Name => (b'n', name(said)),
        };
        if said.is_empty() {
            return None;
        }
        let mut mark = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[sort]).update(said.as_bytes()).finalize_xof().fill(&mut mark);
        Some(mark)
    }

    /// The marks of a person.
    pub fn marks(&self, person: &Map<String, Value>) -> Vec<Mark> {
        let said = |field: &str| person.get(field).and_then(Value::as_str).unwrap_or_default();
        [self.mark(By::Phone, said("phone")), self.mark(By::Name, said("name"))]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A number as it is compared: its digits, without the country's code.
fn phone(said: &str) -> String {
    let digits: String =
        said.chars().filter_map(|c| c.to_digit(10)).map(|d| char::from(b'0' + d as u8)).collect();
    let bare = digits.strip_prefix("0086").unwrap_or(&digits);
    let bare = if bare.len() > 11 { bare.strip_prefix("86").unwrap_or(bare) } else { bare };
    bare.to_owned()
}

/// A name as it is compared: without spaces and dots, small letters.
fn name(said: &str) -> String {
    let kept = said.chars().filter(|c| !c.is_whitespace() && !matches!(c, '·' | '.' | '•'));
    kept.flat_map(char::to_lowercase).collect()
}

/// A value that the vault keeps for itself.
pub fn value(db: &Connection, key: &str) -> Result<Option<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT value FROM vault_value WHERE key = ?1")?;
    Ok(query.query_row([key], |r| r.get(0)).optional()?)
}

/// Keeps a value.
pub fn put_value(db: &Connection, key: &str, value: &[u8]) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO vault_value(key, value) VALUES(?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

/// A grant of this node has come: its person is to be marked.
pub fn due(db: &Connection, grant: &ItemHash) -> Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO unread(grant_id) SELECT id FROM apart WHERE hash = ?1")?
        .execute([grant.as_bytes()])?;
    Ok(())
}

/// Every grant of this node is due again: after a rebuild, or under a new key.
pub fn all_due(db: &Connection, me: certs::NodeName) -> Result<()> {
    db.execute("DELETE FROM person", [])?;
    db.execute(
        "INSERT OR IGNORE INTO unread(grant_id) SELECT grant_id FROM holder WHERE node = ?1",
        [me.to_string()],
    )?;
    Ok(())
}

/// Documents whose person is to be marked, with the grant and whether only the desk opens it; the newest first, since
/// a caller who calls again does so soon.
pub fn unread(db: &Connection, limit: usize) -> Result<Vec<(ItemHash, DocId, bool)>> {
    let mut query = db.prepare_cached(
        "SELECT a.hash, h.doc, h.desk FROM unread u JOIN apart a ON a.id = u.grant_id
         JOIN holder h ON h.grant_id = u.grant_id ORDER BY u.grant_id DESC LIMIT ?1",
    )?;
    let rows = query.query_map([limit as i64], |r| {
        Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, bool>(2)?))
    })?;
    rows.map(|row| {
        let (hash, doc, desk) = row?;
        let odd = || StoreError::Damaged("a grant of the vault".to_owned());
        let hash: [u8; 32] = hash.try_into().map_err(|_| odd())?;
        let doc = DocId::try_from(doc.as_slice()).map_err(|_| odd())?;
        Ok((ItemHash::from_bytes(hash), doc, desk))
    })
    .collect()
}

/// How many persons are still to be marked.
pub fn unread_count(db: &Connection) -> Result<u64> {
    Ok(db.query_row("SELECT count(*) FROM unread", [], |r| r.get::<_, i64>(0))? as u64)
}

/// Marks the person that a grant opens.
pub fn put(db: &Connection, grant: &ItemHash, marks: &[Mark]) -> Result<()> {
    for mark in marks {
        db.prepare_cached(
            "INSERT OR IGNORE INTO person(grant_id, mark) SELECT id, ?2 FROM apart WHERE hash = ?1",
        )?
        .execute(params![grant.as_bytes(), mark])?;
    }
    db.prepare_cached("DELETE FROM unread WHERE grant_id = (SELECT id FROM apart WHERE hash = ?1)")?
        .execute([grant.as_bytes()])?;
    Ok(())
}

/// The documents whose person bears this mark, the newest first. Those that only the desk opens are among them only
/// when the desk asks.
pub fn find(db: &Connection, mark: &Mark, desk: bool, limit: usize) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached(
        "SELECT h.doc FROM person p JOIN holder h ON h.grant_id = p.grant_id
         WHERE p.mark = ?1 AND (h.desk = 0 OR ?2) GROUP BY h.doc ORDER BY max(p.id) DESC LIMIT ?3",
    )?;
    let rows = query.query_map(params![mark, desk, limit as i64], |r| r.get::<_, Vec<u8>>(0))?;
    rows.map(|row| {
        DocId::try_from(row?.as_slice())
            .map_err(|_| StoreError::Damaged("a document of the vault".to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_mark_however_it_is_written() {
        let key = IndexKey::from_bytes([7; 32]);
        let mark = key.mark(By::Phone, "13800000001").unwrap();
        for same in ["138 0000 0001", "+86 138-0000-0001", "008613800000001", "8613800000001"] {
            assert_eq!(key.mark(By::Phone, same), Some(mark), "{same}");
        }
        for other in ["13800000002", "3800000001", "86138000000"] {
            assert_ne!(key.mark(By::Phone, other), Some(mark), "{other}");
        }
        assert_eq!(key.mark(By::Phone, "没有"), None);
        assert_ne!(IndexKey::from_bytes([8; 32]).mark(By::Phone, "13800000001"), Some(mark));
        assert_eq!(key.mark(By::Name, "买买提 · 艾力"), key.mark(By::Name, "买买提·艾力"));
        assert_ne!(key.mark(By::Name, "13800000001"), Some(mark), "a name is no number");
    }
}
