//! The log of reveals: who was shown whom, when and why. Each line holds the hash of the one before, so that a line
//! that is changed, taken out or put in shows; the database beside keeps the hash of the last, so that a cut end or a
//! vault from a backup shows too.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sync::id::DocId;
use sync::store::Result;

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS reveal(row INTEGER PRIMARY KEY, line BLOB NOT NULL, doc BLOB, hash BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS reveal_doc ON reveal(doc);
";

/// The hash of a line.
pub type LineHash = [u8; 32];

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What was done: `reveal`, `lookup`, `grant`, `erase`.
    pub what: String,
    /// The document; none for a lookup that found nothing.
    pub doc: Option<[u8; 32]>,
    /// The person at the desk.
    pub user: String,
    /// Why.
    pub reason: String,
    /// When, as RFC 3339 text by the node's clock.
    pub at: String,
    /// The hash of the line before; zeros for the first.
    pub previous: LineHash,
}

fn hash(line: &[u8]) -> LineHash {
    let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 log of reveals");
    hasher.update(line);
    *hasher.finalize().as_bytes()
}

/// The hash of the last line.
pub fn last(db: &Connection) -> Result<Option<LineHash>> {
    let mut query = db.prepare_cached("SELECT hash FROM reveal ORDER BY row DESC LIMIT 1")?;
    Ok(query.query_row([], |r| r.get(0)).optional()?)
}

/// Adds a line; returns its hash, which the database keeps.
pub fn append(
    db: &Connection,
    what: &str,
    doc: Option<&DocId>,
    user: &str,
    reason: &str,
    at: &str,
) -> Result<LineHash> {
    let line = Line {
        what: what.to_owned(),
        doc: doc.map(|d| *d.as_bytes()),
        user: user.to_owned(),
        reason: reason.to_owned(),
        at: at.to_owned(),
        previous: last(db)?.unwrap_or_default(),
    };
    let bytes = postcard::to_stdvec(&line).expect("a struct of plain values has a byte form");
    let hash = hash(&bytes);
    db.prepare_cached("INSERT INTO reveal(line, doc, hash) VALUES(?1, ?2, ?3)")?
        .execute(params![bytes, line.doc, hash])?;
    Ok(hash)
}

/// Reads the whole log; the second is what is wrong with it. `kept` is the hash of the last line as the database beside
/// knows it.
pub fn read(db: &Connection, kept: Option<LineHash>) -> Result<(Vec<Line>, Option<String>)> {
    let mut query = db.prepare("SELECT row, line, hash FROM reveal ORDER BY row")?;
    let rows = query
        .query_map([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, LineHash>(2)?)))?;
    let (mut lines, mut wrong, mut previous, mut met) =
        (Vec::new(), None, LineHash::default(), kept.is_none());
    for row in rows {
        let (row, bytes, stored) = row?;
        let Ok(line) = postcard::from_bytes::<Line>(&bytes) else {
            wrong.get_or_insert_with(|| format!("line {row} does not read"));
            continue;
        };
        if hash(&bytes) != stored || line.previous != previous {
            wrong.get_or_insert_with(|| {
                format!("line {row} is not the one that was written after line {}", row - 1)
            });
        }
        previous = stored;
        met |= Some(stored) == kept;
        lines.push(line);
    }
    if !met {
        wrong.get_or_insert_with(|| {
            "the end is missing: the vault was put back from a backup, or lines were cut off".to_owned()
        });
    }
    Ok((lines, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (Connection, LineHash) {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(TABLES).unwrap();
        let mut last = LineHash::default();
        for reason in ["回访", "核实", "回访"] {
            last = append(&db, "reveal", Some(&DocId::from_bytes([3; 32])), "王芳", reason, "now").unwrap();
        }
        (db, last)
    }

    #[test]
    fn a_chain_as_it_was_written_is_whole() {
        let (db, last) = written();
        let (lines, wrong) = read(&db, Some(last)).unwrap();
        assert_eq!((lines.len(), wrong), (3, None));
        assert_eq!(read(&db, None).unwrap().1, None, "the database beside is older");
    }

    #[test]
    fn a_line_that_is_changed_taken_out_or_cut_off_shows() {
        for (what, sql) in [
            ("changed", "UPDATE reveal SET line = (SELECT line FROM reveal WHERE row = 1) WHERE row = 2"),
            ("taken out", "DELETE FROM reveal WHERE row = 2"),
            ("the first", "DELETE FROM reveal WHERE row = 1"),
            ("cut off", "DELETE FROM reveal WHERE row = 3"),
            ("all", "DELETE FROM reveal"),
        ] {
            let (db, last) = written();
            db.execute_batch(sql).unwrap();
            assert!(read(&db, Some(last)).unwrap().1.is_some(), "{what}");
        }
    }
}
