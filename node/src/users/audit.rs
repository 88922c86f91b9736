//! The audit log: who did what at the desk, from where and when.
//!
//! ```text
//! line n:  postcard{at, user, address, what, ticket, detail, previous = hash of line n-1}     hash = BLAKE3(line)
//! ```
//!
//! It only grows: triggers refuse to change or remove a line, and the chain shows it when somebody goes round them. The
//! newest hash also lies in `audit.head` beside the database, so a cut end shows too. Whoever can write the data directory
//! can make all of it anew; against that, note the hash that `hotline audit --verify` prints somewhere else.
//!
//! A line is written before what it speaks of is done; what came of it follows in another when it failed.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::Users;
use crate::hex::hex;
use crate::request::Failure;

pub(super) const TABLES: &str = "
CREATE TABLE audit(row INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_grows BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
";

/// The file beside the database.
pub const HEAD: &str = "audit.head";

/// The longest detail in characters; a longer one is cut.
const MAX_DETAIL: usize = 500;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in milliseconds since 1970 by the node's clock.
    pub at: u64,
    /// The account; none before somebody has signed in.
    pub user: Option<String>,
    /// The address it came from; `command line` for the program.
    pub address: String,
    /// What: `sign-in`, `refused`, `act offer`, `reveal`, `user add`, ...
    pub what: String,
    /// The ticket, as it was named.
    pub ticket: Option<String>,
    /// More words.
    pub detail: String,
    previous: [u8; 32],
}

/// A part of the log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Lines with their rows, the newest first.
    pub lines: Vec<(i64, Line)>,
}

/// What verifying the whole log has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many lines there are.
    pub lines: u64,
    /// The hash of the newest, in hexadecimal; noted elsewhere it proves that none of these was changed.
    pub head: String,
    /// What is wrong; nothing when the log is whole.
    pub wrong: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    row: i64,
    hash: String,
}

fn hash(line: &[u8]) -> [u8; 32] {
    blake3::derive_key("hotline 2026 desk audit", line)
}

fn last(db: &Connection) -> Result<(i64, [u8; 32]), Failure> {
    let found = db
        .prepare_cached("SELECT row, hash FROM audit ORDER BY row DESC LIMIT 1")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Notes the newest line beside the database: of what this process writes the newest, one after the other, so that no half of
/// one is ever noted. It may be older than the log, and is when two processes write at once.
fn note(noted: &Mutex<i64>, dir: &Path, row: i64, hash: &[u8; 32]) {
    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
    if row <= *noted {
        return; // whoever wrote a later line was faster
    }
    *noted = row;
    let beside = dir.join(format!("{HEAD}.{}~", std::process::id()));
    let head = Head { row, hash: hex(hash) };
    let written = std::fs::write(&beside, serde_json::to_vec(&head).unwrap_or_default())
        .and_then(|()| std::fs::rename(&beside, dir.join(HEAD)));
    if let Err(e) = written {
        tracing::warn!(error = %e, "the newest line of the audit log could not be noted beside it");
    }
}

impl Users {
    /// Adds a line; it is durable when this returns.
    pub fn append(
        &self,
        now: u64,
        user: Option<&str>,
        address: &str,
        what: &str,
        ticket: Option<&str>,
        detail: &str,
    ) -> Result<(), Failure> {
        let (row, hash) = self.change(|db| {
            let line = Line {
                at: now,
                user: user.map(str::to_owned),
                address: address.to_owned(),
                what: what.to_owned(),
                ticket: ticket.map(|t| t.chars().take(64).collect()),
                detail: detail.chars().take(MAX_DETAIL).collect(),
                previous: last(db)?.1,
            };
            let bytes = postcard::to_stdvec(&line).expect("a struct of plain values has a byte form");
            let hash = hash(&bytes);
            db.prepare_cached("INSERT INTO audit(line, hash) VALUES(?1, ?2)")?
                .execute(params![bytes, hash])?;
            Ok((db.last_insert_rowid(), hash))
        })?;
        note(&self.noted, &self.dir, row, &hash);
        Ok(())
    }

    /// Lines before this row, the newest first. What does not read is left out; verifying tells of it.
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Audit, Failure> {
        let db = self.db();
        let mut query =
            db.prepare_cached("SELECT row, line FROM audit WHERE row < ?1 ORDER BY row DESC LIMIT ?2")?;
        let rows = query.query_map(params![before.unwrap_or(i64::MAX), limit as i64], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?))
        })?;
        let mut lines = Vec::new();
        for row in rows {
            let (row, bytes) = row?;
            lines.extend(postcard::from_bytes(&bytes).ok().map(|line| (row, line)));
        }
        Ok(Audit { lines })
    }

    /// Hashes every line anew, or the newest ones. It reads on a connection of its own: the log of years takes a while, and
    /// nobody waits for that.
    pub fn verify_audit(&self, newest: Option<u32>) -> Result<Verified, Failure> {
        let noted: Option<Head> =
            std::fs::read(self.dir.join(HEAD)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let db = Connection::open(self.dir.join(super::DATABASE))?;
        db.busy_timeout(super::PATIENCE)?;
        let after: i64 = match newest {
            Some(newest) => {
                db.query_row("SELECT coalesce(max(row), 0) - ?1 FROM audit", [newest], |r| r.get(0))?
            }
            None => i64::MIN,
        };
        let mut query = db.prepare("SELECT row, line, hash FROM audit WHERE row > ?1 ORDER BY row")?;
        let mut rows = query.query([after])?;
        // What the line before the first of these was, only the whole log tells.
        let mut previous = if after > 0 { None } else { Some([0; 32]) };
        let (mut lines, mut wrong) = (0, None);
        let mut met = noted.as_ref().is_none_or(|noted| noted.row <= after);
        while let Some(row) = rows.next()? {
            let (at, bytes, stored): (i64, Vec<u8>, [u8; 32]) = (row.get(0)?, row.get(1)?, row.get(2)?);
            lines += 1;
            let read = postcard::from_bytes::<Line>(&bytes);
            let follows = read.is_ok_and(|line| previous.is_none_or(|previous| line.previous == previous));
            if hash(&bytes) != stored || !follows {
                wrong.get_or_insert_with(|| {
                    format!("line {at} is not the one that was written after the one before it")
                });
            }
            previous = Some(stored);
            met |= noted.as_ref().is_some_and(|n| n.row == at && n.hash == hex(&stored));
        }
        if !met {
            wrong.get_or_insert_with(|| {
                "the end is missing: lines were cut off, or an older database was put back".to_owned()
            });
        }
        Ok(Verified { lines, head: hex(&previous.unwrap_or_default()), wrong })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (tempfile::TempDir, Users) {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        for (at, what) in [(1, "sign-in"), (2, "act offer"), (3, "sign-out")] {
            users.append(at, Some("li"), "127.0.0.1", what, Some("JT1"), "").unwrap();
        }
        (dir, users)
    }

    #[test]
    fn a_log_as_it_was_written_is_whole() {
        let (_dir, users) = written();
        let verified = users.verify_audit(None).unwrap();
        assert_eq!((verified.lines, verified.wrong), (3, None));
        let newest = users.verify_audit(Some(2)).unwrap();
        assert_eq!((newest.lines, newest.wrong, newest.head), (2, None, verified.head));
        assert_eq!(users.verify_audit(Some(9)).unwrap().lines, 3);
        let page = users.audit(None, 2).unwrap().lines;
        assert_eq!(page.iter().map(|(_, l)| l.what.as_str()).collect::<Vec<_>>(), ["sign-out", "act offer"]);
        assert_eq!(users.audit(Some(page[1].0), 9).unwrap().lines[0].1.what, "sign-in");
    }

    #[test]
    fn of_many_who_write_at_once_the_last_is_noted() {
        let (dir, users) = written();
        std::thread::scope(|scope| {
            for hand in 0..8 {
                let users = &users;
                scope.spawn(move || {
                    for at in 0..40 {
                        users.append(at, Some("li"), "127.0.0.1", &format!("act {hand}"), None, "").unwrap();
                        // Whoever looks meanwhile finds a whole one.
                        let head = std::fs::read(users.dir.join(HEAD)).unwrap();
                        let head: Head = serde_json::from_slice(&head).unwrap();
                        assert!(head.row <= 3 + 8 * 40);
                    }
                });
            }
        });
        let noted: Head = serde_json::from_slice(&std::fs::read(dir.path().join(HEAD)).unwrap()).unwrap();
        let verified = users.verify_audit(None).unwrap();
        assert_eq!((noted.row, noted.hash, verified.wrong), (3 + 8 * 40, verified.head, None));
        let beside = std::fs::read_dir(dir.path()).unwrap().flatten();
        assert!(beside.into_iter().all(|file| !file.file_name().to_string_lossy().ends_with('~')));
    }

    #[test]
    fn the_database_itself_refuses_to_change_a_line() {
        let (_dir, users) = written();
        for sql in ["UPDATE audit SET hash = line", "DELETE FROM audit WHERE row = 1"] {
            assert!(users.db().execute_batch(sql).unwrap_err().to_string().contains("only grows"));
        }
    }

    #[test]
    fn a_line_that_is_changed_taken_out_or_cut_off_shows() {
        for (what, sql) in [
            ("changed", "UPDATE audit SET line = (SELECT line FROM audit WHERE row = 1) WHERE row = 2"),
            ("taken out", "DELETE FROM audit WHERE row = 2"),
            ("the first", "DELETE FROM audit WHERE row = 1"),
            ("cut off", "DELETE FROM audit WHERE row = 3"),
            ("all", "DELETE FROM audit"),
        ] {
            let (_dir, users) = written();
            users.db().execute_batch("DROP TRIGGER audit_stays; DROP TRIGGER audit_grows;").unwrap();
            users.db().execute_batch(sql).unwrap();
            assert!(users.verify_audit(None).unwrap().wrong.is_some(), "{what}");
        }
    }
}
