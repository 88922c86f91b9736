//! The index of words: what search finds tickets by.
//!
//! Indexing a ticket costs more than all its other rows together, so when many come at once (an import, a first sync)
//! their texts are put aside, in the same transaction, and indexed when nothing else is to be done: the newest first.
//! Search then lags by some seconds, and queues, numbers and states do not.

use rusqlite::{Connection, params};
use sync::store::Result;

use crate::search::{TABLE_OPTIONS, index_tokens, pinyin_tokens};

/// Makes the tables where they are not.
pub(super) fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(&format!(
        "CREATE VIRTUAL TABLE IF NOT EXISTS ticket_text USING fts5(body, pinyin, {TABLE_OPTIONS});
         CREATE TABLE IF NOT EXISTS ticket_due(row INTEGER PRIMARY KEY, known INTEGER NOT NULL, body TEXT NOT NULL, names TEXT NOT NULL);"
    ))?)
}

/// Forgets every row, before a rebuild.
pub(super) fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM ticket_text; DELETE FROM ticket_due;")?)
}

/// Puts a ticket's words into the index; `known` when earlier ones of it are there. `names` are found by their pinyin too.
pub(super) fn index(db: &Connection, row: i64, known: bool, body: &str, names: &str) -> Result<()> {
    if known {
        db.prepare_cached("DELETE FROM ticket_text WHERE rowid = ?1")?.execute([row])?;
    }
    db.prepare_cached("INSERT INTO ticket_text(rowid, body, pinyin) VALUES(?1, ?2, ?3)")?
        .execute(params![row, index_tokens(body), pinyin_tokens(names)])?;
    Ok(())
}

/// Puts a ticket's words aside. Later words replace earlier ones.
pub(super) fn put_aside(db: &Connection, row: i64, known: bool, body: &str, names: &str) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO ticket_due(row, known, body, names) VALUES(?1, ?2, ?3, ?4)
         ON CONFLICT(row) DO UPDATE SET body = excluded.body, names = excluded.names",
    )?
    .execute(params![row, known, body, names])?;
    Ok(())
}

/// Forgets what was put aside of a ticket; whether there was anything.
pub(super) fn forget(db: &Connection, row: i64) -> Result<Option<bool>> {
    let mut delete = db.prepare_cached("DELETE FROM ticket_due WHERE row = ?1 RETURNING known")?;
    let mut rows = delete.query([row])?;
    let known = rows.next()?.map(|r| r.get(0)).transpose()?;
    while rows.next()?.is_some() {}
    Ok(known)
}

/// Indexes the newest of the tickets whose words were put aside, at most `limit`; how many were left and are done now.
pub fn catch_up(db: &Connection, limit: usize) -> Result<usize> {
    let mut query =
        db.prepare_cached("SELECT row, known, body, names FROM ticket_due ORDER BY row DESC LIMIT ?1")?;
    let due: Vec<(i64, bool, String, String)> = query
        .query_map([limit as i64], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (row, known, body, names) in &due {
        index(db, *row, *known, body, names)?;
        db.prepare_cached("DELETE FROM ticket_due WHERE row = ?1")?.execute([row])?;
    }
    Ok(due.len())
}

/// Of how many tickets the words are put aside; past `limit` nobody counts.
pub fn waiting(db: &Connection, limit: usize) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT COUNT(*) FROM (SELECT 1 FROM ticket_due LIMIT ?1)")?;
    Ok(query.query_row([limit as i64], |r| r.get::<_, i64>(0))?.unsigned_abs())
}

/// Whether words of any ticket are put aside.
pub fn is_behind(db: &Connection) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS(SELECT 1 FROM ticket_due)")?;
    Ok(query.query_row([], |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(db: &Connection, word: &str) -> Vec<i64> {
        let expression = crate::search::query(word).unwrap();
        let mut query =
            db.prepare("SELECT rowid FROM ticket_text WHERE ticket_text MATCH ?1 ORDER BY rowid").unwrap();
        query.query_map([expression.as_str()], |r| r.get(0)).unwrap().map(|r| r.unwrap()).collect()
    }

    #[test]
    fn what_is_put_aside_is_found_later_the_newest_first() {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        index(&db, 1, false, "出租车绕路", "").unwrap();
        for row in 2..5 {
            put_aside(&db, row, false, "出租车拒载", "").unwrap();
        }
        put_aside(&db, 1, true, "公交车", "").unwrap();
        put_aside(&db, 1, true, "地铁", "").unwrap();
        assert_eq!(found(&db, "出租车"), [1], "what was known stays until it is replaced");
        assert_eq!((waiting(&db, 99).unwrap(), waiting(&db, 2).unwrap()), (4, 2));
        assert_eq!(catch_up(&db, 1).unwrap(), 1);
        assert_eq!(found(&db, "出租车"), [1, 4]);
        assert_eq!(catch_up(&db, 9).unwrap(), 3);
        assert_eq!(found(&db, "出租车"), [2, 3, 4]);
        assert_eq!((found(&db, "公交").len(), found(&db, "地铁")), (0, vec![1]));
        assert!(!is_behind(&db).unwrap());
    }
}
