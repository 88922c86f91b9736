//! What has changed, one after the other: a log of the tickets that each commit touched, in the same transaction.
//!
//! ```text
//! change n:  {doc, at, number, stage, state}     link(n) = BLAKE3(link(n-1), doc, at, state), eight bytes
//! cursor:    n-link(n)
//! ```
//!
//! Whoever reads keeps the cursor of the last change, and goes on from it over restarts of either side. A number without
//! a gap is given to each, so nothing is passed over. When the database is an older one that was put back, or changes were
//! dropped because they are old, a cursor does not fit any more and is refused, rather than followed by other changes.
//! The log is this node's: another node's changes come in another order.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::Result;

use crate::china::shown_time;
use crate::hex::{hex, unhex};

/// How many changes are kept.
const KEPT: i64 = 1_000_000;

/// A page has at most so many.
pub const MAX_PAGE: usize = 1_000;

/// Makes the table where it is not.
pub fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE IF NOT EXISTS change(
           n INTEGER PRIMARY KEY, doc BLOB NOT NULL, at INTEGER NOT NULL, number TEXT NOT NULL, stage TEXT NOT NULL,
           state BLOB NOT NULL, link BLOB NOT NULL);",
    )?)
}

/// Notes that a commit at this time touches these documents; what is no ticket is passed over.
pub fn note<'a>(db: &Connection, docs: impl IntoIterator<Item = &'a DocId>, at: u64) -> Result<()> {
    let mut docs = docs.into_iter().peekable();
    if docs.peek().is_none() {
        return Ok(());
    }
    let (mut n, mut link) = last(db)?;
    let mut ticket = db.prepare_cached("SELECT number, stage, state FROM ticket WHERE doc = ?1")?;
    let mut put = db.prepare_cached(
        "INSERT INTO change(n, doc, at, number, stage, state, link) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for doc in docs {
        let row: Option<(String, String, Vec<u8>)> =
            ticket.query_row([doc.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?;
        let Some((number, stage, state)) = row else { continue };
        n += 1;
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 change");
        hasher.update(&link).update(doc.as_bytes()).update(&at.to_le_bytes()).update(&state);
        link.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        put.execute(params![n, doc.as_bytes(), at as i64, number, stage, state, link])?;
    }
    db.prepare_cached("DELETE FROM change WHERE n <= ?1")?.execute([n - KEPT])?;
    Ok(())
}

fn last(db: &Connection) -> Result<(i64, [u8; 8])> {
    let found = db
        .prepare_cached("SELECT n, link FROM change ORDER BY n DESC LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn cursor(n: i64, link: &[u8; 8]) -> String {
    format!("{n}-{}", hex(link))
}

/// The changes after a cursor, the oldest first; without one none, and the cursor to begin with. `None` when the cursor
/// does not fit.
pub fn after(db: &Connection, given: Option<&str>, limit: usize) -> Result<Option<Value>> {
    let Some(given) = given else {
        let (n, link) = last(db)?;
        return Ok(Some(json!({ "changes": [], "next": cursor(n, &link) })));
    };
    let read = given
        .split_once('-')
        .and_then(|(n, link)| Some((n.parse::<i64>().ok()?, <[u8; 8]>::try_from(unhex(link)?).ok()?)));
    let Some((from, shown)) = read else { return Ok(None) };
    let stored: Option<[u8; 8]> = match from {
        // Before the first of all: whether it is still here shows below.
        0 => Some([0; 8]),
        n => db
            .prepare_cached("SELECT link FROM change WHERE n = ?1")?
            .query_row([n], |r| r.get(0))
            .optional()?,
    };
    if stored != Some(shown) {
        return Ok(None);
    }
    let mut query = db.prepare_cached(
        "SELECT n, doc, at, number, stage, state, link FROM change WHERE n > ?1 ORDER BY n LIMIT ?2",
    )?;
    let mut rows = query.query(params![from, limit.clamp(1, MAX_PAGE) as i64])?;
    let (mut changes, mut next) = (Vec::new(), given.to_owned());
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        if changes.is_empty() && n != from + 1 {
            return Ok(None);
        }
        next = cursor(n, &row.get(6)?);
        changes.push(json!({
            "cursor": next,
            "id": hex(&row.get::<_, [u8; 32]>(1)?),
            "number": row.get::<_, String>(3)?,
            "stage": row.get::<_, String>(4)?,
            "state_hash": hex(&row.get::<_, Vec<u8>>(5)?),
            "at": shown_time(row.get::<_, i64>(2)? as u64),
        }));
    }
    Ok(Some(json!({ "changes": changes, "next": next })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        db.execute_batch("CREATE TABLE ticket(doc BLOB, number TEXT, stage TEXT, state BLOB);").unwrap();
        for i in 1..=3u8 {
            db.execute("INSERT INTO ticket VALUES(?1, 'JT', 'in_hand', ?2)", params![[i; 32], [i; 32]])
                .unwrap();
        }
        db
    }

    fn doc(i: u8) -> DocId {
        DocId::from_bytes([i; 32])
    }

    fn page(db: &Connection, after_: &str, limit: usize) -> Option<(Vec<String>, String)> {
        let page = after(db, Some(after_), limit).unwrap()?;
        let ids = page["changes"].as_array().unwrap().iter();
        let ids = ids.map(|c| c["id"].as_str().unwrap()[..2].to_owned()).collect();
        Some((ids, page["next"].as_str().unwrap().to_owned()))
    }

    #[test]
    fn changes_come_in_order_and_each_once() {
        let db = database();
        let begin = after(&db, None, 9).unwrap().unwrap()["next"].as_str().unwrap().to_owned();
        assert_eq!(begin, "0-0000000000000000");
        note(&db, &[doc(1), doc(9), doc(2)], 5).unwrap(); // 9 is no ticket
        note(&db, &[], 6).unwrap();
        note(&db, &[doc(1)], 7).unwrap();
        let (first, next) = page(&db, &begin, 2).unwrap();
        assert_eq!(first, ["01", "02"]);
        let (second, end) = page(&db, &next, 2).unwrap();
        assert_eq!(second, ["01"]);
        assert_eq!(page(&db, &end, 2), Some((vec![], end.clone())));
        assert_eq!(after(&db, None, 9).unwrap().unwrap()["next"], end.as_str());
    }

    #[test]
    fn a_cursor_of_another_past_or_of_what_was_dropped_does_not_fit() {
        let db = database();
        note(&db, &[doc(1), doc(2)], 5).unwrap();
        let (_, end) = page(&db, "0-0000000000000000", 9).unwrap();
        // An older database was put back, and other changes came since.
        let other = database();
        note(&other, &[doc(1)], 5).unwrap();
        assert_eq!(page(&other, &end, 9), None, "it is ahead");
        note(&other, &[doc(3)], 6).unwrap();
        assert_eq!(page(&other, &end, 9), None, "it is of another past");
        let (_, both) = page(&db, "0-0000000000000000", 1).unwrap();
        assert_eq!(page(&other, &both, 9).unwrap().0, ["03"], "what both have is a past of both");
        db.execute("DELETE FROM change WHERE n <= 1", []).unwrap();
        assert_eq!(page(&db, "0-0000000000000000", 9), None, "the first was dropped");
        for wrong in ["", "x", "1", "1-", "-1-00", "9223372036854775807-0000000000000000"] {
            assert_eq!(page(&db, wrong, 9), None, "{wrong}");
        }
    }
}
