//! What became of every stick: kept on the node, so that whoever comes to its desk later reads it, too. The hot-plug service
//! has no terminal.
//!
//! Rows lie in the database and end with it. They are no items: nothing of them travels, and nothing is decided by them.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync::store::Result;
use utoipa::ToSchema;

/// Trips that are kept; older ones make room.
pub(crate) const KEPT: usize = 500;

/// The longest text of a trip in characters, and most nodes that are named. Whoever asks may be anybody on this machine.
const LONGEST: usize = 2_000;
const NAMED: usize = 64;

/// Which way a stick went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It was read.
    #[default]
    In,
    /// It was written.
    Out,
}

/// One reading or writing of a medium.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trip {
    /// Which way.
    pub way: Direction,
    /// The place: directory or files.
    pub medium: String,
    /// The device that is mounted there, as the system names it.
    pub device: Option<String>,
    /// Who made what was read, or for whom was written.
    pub with: Vec<String>,
    /// Files read or written.
    pub files: u64,
    /// Items that were new here, or that were written.
    pub items: u64,
    /// Answers to bundles that came, or went along.
    pub answers: u64,
    /// Items that are no longer owed because of them.
    pub settled: u64,
    /// Files of others that are carried on.
    pub carried: u64,
    /// Items that wait for something.
    pub waiting: u64,
    /// Items that were refused.
    pub refused: u64,
    /// Files that were not taken, or not written, as a whole.
    pub odd: u64,
    /// What the operator was told.
    pub words: String,
    /// What to do.
    pub next: Option<String>,
}

impl Trip {
    /// With every text cut to what is kept.
    fn cut(mut self) -> Trip {
        let cut = |text: &mut String| {
            if let Some((at, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(at);
            }
        };
        self.with.truncate(NAMED);
        [&mut self.medium, &mut self.words].into_iter().for_each(cut);
        self.device.iter_mut().chain(&mut self.next).chain(&mut self.with).for_each(cut);
        self
    }
}

/// Makes the table where it is not.
pub(crate) fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE IF NOT EXISTS trip(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, value TEXT NOT NULL);",
    )?)
}

/// Keeps what became of a stick at this moment.
pub(crate) fn keep(db: &Connection, at: u64, trip: Trip) -> Result<()> {
    let value = serde_json::to_string(&trip.cut()).expect("plain values have a JSON form");
    db.execute("INSERT INTO trip(at, value) VALUES(?1, ?2)", params![at as i64, value])?;
    db.execute(
        "DELETE FROM trip WHERE id <= (SELECT id FROM trip ORDER BY id DESC LIMIT 1 OFFSET ?1)",
        [KEPT as i64],
    )?;
    Ok(())
}

/// The last trips, the newest first, each with `at` in milliseconds since 1970.
pub(crate) fn last(db: &Connection, limit: usize) -> Result<Vec<(u64, Value)>> {
    let mut query = db.prepare_cached("SELECT at, value FROM trip ORDER BY id DESC LIMIT ?1")?;
    let rows = query
        .query_map([limit.min(KEPT) as i64], |r| Ok((r.get::<_, i64>(0)? as u64, r.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (at, value) = row?;
        Ok((at, serde_json::from_str(&value).unwrap_or_default()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trips_are_kept_the_newest_first_and_short() {
        let db = Connection::open_in_memory().unwrap();
        prepare(&db).unwrap();
        for n in 0..KEPT as u64 + 20 {
            let words = "长".repeat(LONGEST * 2);
            keep(&db, n, Trip { files: n, words, with: vec!["370100".to_owned(); 99], ..Trip::default() })
                .unwrap();
        }
        let all = last(&db, usize::MAX).unwrap();
        assert_eq!(all.len(), KEPT);
        assert_eq!((all[0].0, all[KEPT - 1].0), (KEPT as u64 + 19, 20));
        assert_eq!(all[0].1["files"], KEPT as u64 + 19);
        assert_eq!(all[0].1["words"].as_str().unwrap().chars().count(), LONGEST);
        assert_eq!(all[0].1["with"].as_array().unwrap().len(), NAMED);
        assert_eq!(last(&db, 3).unwrap().len(), 3);
    }
}
