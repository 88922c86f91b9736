//! Recordings that came before their call's ticket: what is known of each. The sound lies beside the database, in a file that
//! is sealed under a key which stands here alone: once the row is gone, nobody opens the file, wherever its blocks may lie.
//!
//! They wait for a week, and are in no backup.

use rusqlite::{OptionalExtension, Row, params};

use super::{Users, drawn};
use crate::hex::hex;
use crate::request::{Failure, FailureKind};

pub(super) const TABLES: &str = "
CREATE TABLE recording(
  file TEXT PRIMARY KEY, call TEXT NOT NULL, token INTEGER NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL,
  size INTEGER NOT NULL, hash BLOB NOT NULL, key BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE(call, hash));
";

/// How long a recording waits.
const KEPT_MS: u64 = 7 * 24 * 60 * 60_000;

/// Most recordings that wait, and their bytes together.
const MAX_WAITING: i64 = 1_000;
const MAX_BYTES: u64 = 2 << 30;

/// A recording that waits. It has no `Debug`: it holds a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// Its file's name: drawn, and without a word of the call.
    pub file: String,
    /// Its call.
    pub call: String,
    /// Whose token brought it.
    pub token: i64,
    /// Its name under the ticket.
    pub name: String,
    /// Its media type.
    pub media: String,
    /// Its size in bytes.
    pub size: u64,
    /// The hash of its bytes.
    pub hash: [u8; 32],
    /// What its file is sealed under.
    pub key: [u8; 32],
}

fn read(row: &Row<'_>) -> rusqlite::Result<Recording> {
    Ok(Recording {
        file: row.get(0)?,
        call: row.get(1)?,
        token: row.get(2)?,
        name: row.get(3)?,
        media: row.get(4)?,
        size: row.get::<_, i64>(5)? as u64,
        hash: row.get(6)?,
        key: row.get(7)?,
    })
}

const COLUMNS: &str = "file, call, token, name, media, size, hash, key";

impl Users {
    /// A recording that is to wait, with a file's name and a key of its own: nothing is stored yet. `None` when the same one
    /// waits already.
    ///
    /// # Errors
    /// Of kind `TryAgain` when so many wait that no further one may.
    pub fn new_recording(
        &self,
        (call, token): (&str, i64),
        (name, media): (&str, &str),
        bytes: &[u8],
    ) -> Result<Option<Recording>, Failure> {
        let hash = *blake3::hash(bytes).as_bytes();
        let db = self.db();
        let (count, held): (i64, i64) =
            db.query_row("SELECT count(*), coalesce(sum(size), 0) FROM recording", [], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })?;
        let known: Option<i64> = db
            .query_row("SELECT 1 FROM recording WHERE call = ?1 AND hash = ?2", params![call, hash], |r| {
                r.get(0)
            })
            .optional()?;
        drop(db);
        if known.is_some() {
            return Ok(None);
        }
        if count >= MAX_WAITING || (held as u64).saturating_add(bytes.len() as u64) > MAX_BYTES {
            return Err(Failure::new(
                FailureKind::TryAgain,
                format!("so many recordings wait for their tickets that no further one may: {count}"),
            )
            .hint("make tickets of the calls; what has waited for a week is dropped"));
        }
        Ok(Some(Recording {
            file: hex(&drawn::<16>()?),
            call: call.to_owned(),
            token,
            name: name.to_owned(),
            media: media.to_owned(),
            size: bytes.len() as u64,
            hash,
            key: drawn::<32>()?,
        }))
    }

    /// Enters a recording whose file is written.
    pub fn keep_recording(&self, one: &Recording, now: u64) -> Result<(), Failure> {
        self.change(|db| {
            db.execute(
                "INSERT INTO recording(file, call, token, name, media, size, hash, key, at)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
                params![
                    one.file,
                    one.call,
                    one.token,
                    one.name,
                    one.media,
                    one.size as i64,
                    one.hash,
                    one.key,
                    now as i64
                ],
            )?;
            Ok(())
        })
    }

    /// Recordings that wait for a ticket that is there: each with the ticket.
    pub fn recordings_due(&self) -> Result<Vec<(Recording, String)>, Failure> {
        let db = self.db();
        let columns = COLUMNS.replace(", ", ", r.");
        let mut query = db.prepare_cached(&format!(
            "SELECT r.{columns}, c.ticket FROM recording r JOIN call c ON c.id = r.call WHERE c.ticket IS NOT NULL LIMIT 100"
        ))?;
        let rows = query.query_map([], |r| Ok((read(r)?, r.get(8)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets a recording and its key.
    pub fn drop_recording(&self, file: &str) -> Result<(), Failure> {
        self.change(|db| Ok(db.execute("DELETE FROM recording WHERE file = ?1", [file]).map(drop)?))
    }

    /// Forgets those that have waited too long; the files of all that still wait.
    pub fn recordings_waiting(&self, now: u64) -> Result<Vec<String>, Failure> {
        self.change(|db| {
            db.execute("DELETE FROM recording WHERE at < ?1", [now.saturating_sub(KEPT_MS) as i64])?;
            let mut query = db.prepare_cached("SELECT file FROM recording")?;
            let rows = query.query_map([], |r| r.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CallEvent, Told};
    use super::*;

    #[test]
    fn a_recording_waits_for_its_ticket_once_and_a_week_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let new = |call: &str| users.new_recording((call, 1), ("a.wav", "audio/wav"), b"RIFF").unwrap();
        let one = new("c").unwrap();
        users.keep_recording(&one, 10).unwrap();
        assert!(new("c").is_none() && new("d").is_some(), "the same again waits once");
        assert!(users.recordings_due().unwrap().is_empty());
        let told = Told {
            call: "c".into(),
            event: CallEvent::New,
            number: None,
            called: String::new(),
            queue: String::new(),
            by: Vec::new(),
        };
        users.hear(&told, 10).unwrap();
        users.call_became("c", "t").unwrap();
        let due = users.recordings_due().unwrap();
        assert!(due.len() == 1 && due[0] == (one.clone(), "t".to_owned()));
        assert_eq!(users.recordings_waiting(10 + KEPT_MS).unwrap(), [one.file]);
        assert!(users.recordings_waiting(11 + KEPT_MS).unwrap().is_empty());
        let copy = dir.path().join("copy");
        users.keep_recording(&new("c").unwrap(), 10).unwrap();
        users.copy_to(&copy).unwrap();
        let count =
            rusqlite::Connection::open(&copy)
                .unwrap()
                .query_row("SELECT count(*) FROM recording", [], |r| r.get::<_, i64>(0));
        assert_eq!(count, Ok(0), "no key is in a backup");
    }
}
