//! Answers that are kept under the key of whoever asked, so that asking again does nothing twice.
//!
//! ```text
//! begin ──> kept: the answer that was given          (the same request)
//!       ├─> other: this key was used for another one
//!       ├─> open: it began, and what came of it is not known (it is under way, or the node was stopped in the middle)
//!       └─> fresh: the key is taken; `answered` keeps the answer, `given_up` frees the key when nothing was done
//! ```
//!
//! The key is taken durably before anything is done. The tickets lie in another database, so a crash between their commit
//! and `answered` leaves the key open: nothing is done twice, and a person or program looks which it was.

use rusqlite::{Connection, OptionalExtension, params};

use super::Users;
use crate::request::Failure;

pub(super) const TABLES: &str = "
CREATE TABLE answer(
  token INTEGER NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, at INTEGER NOT NULL,
  status INTEGER, location TEXT, body BLOB, PRIMARY KEY(token, key));
CREATE INDEX answer_at ON answer(at);
";

/// How long an answer is kept.
const KEPT_MS: u64 = 48 * 60 * 60_000;

/// Most answers that are kept of one token: past it, further keys are refused until the oldest have ended.
const MAX_ANSWERS: i64 = 100_000;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 128;

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where what was made is found.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing yet: it is taken now.
    Fresh,
    /// This answer was given.
    Kept(Answer),
    /// The same request began, and has no answer.
    Open,
    /// It was used for another request.
    Other,
    /// So many keys of this token are kept that no further one is.
    Full,
}

impl Users {
    /// Takes a key for a request, given as its hash.
    pub fn begin_answer(
        &self,
        token: i64,
        key: &str,
        request: &[u8; 32],
        now: u64,
    ) -> Result<Begun, Failure> {
        type Found = ([u8; 32], Option<u16>, Option<String>, Option<Vec<u8>>);
        self.change(|db| {
            db.execute("DELETE FROM answer WHERE at < ?1", [now.saturating_sub(KEPT_MS) as i64])?;
            let found: Option<Found> = db
                .prepare_cached(
                    "SELECT request, status, location, body FROM answer WHERE token = ?1 AND key = ?2",
                )?
                .query_row(params![token, key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
                .optional()?;
            Ok(match found {
                Some((before, ..)) if before != *request => Begun::Other,
                Some((_, Some(status), location, body)) => {
                    Begun::Kept(Answer { status, location, body: body.unwrap_or_default() })
                }
                Some(_) => Begun::Open,
                None if count(db, token)? >= MAX_ANSWERS => Begun::Full,
                None => {
                    db.execute(
                        "INSERT INTO answer(token, key, request, at) VALUES(?1, ?2, ?3, ?4)",
                        params![token, key, request, now as i64],
                    )?;
                    Begun::Fresh
                }
            })
        })
    }

    /// Whether something is kept under a key, or it is taken.
    pub fn has_answer(&self, token: i64, key: &str) -> Result<bool, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached("SELECT 1 FROM answer WHERE token = ?1 AND key = ?2")?;
        Ok(query.exists(params![token, key])?)
    }

    /// How many keys were taken since a time and not given up, and when the first of them was.
    pub fn answers_since(&self, token: i64, since: u64) -> Result<(u64, Option<u64>), Failure> {
        let db = self.db();
        let mut query =
            db.prepare_cached("SELECT count(*), min(at) FROM answer WHERE at > ?2 AND token = ?1")?;
        let counted = query.query_row(params![token, since as i64], |r| {
            Ok((r.get::<_, i64>(0)? as u64, r.get::<_, Option<i64>>(1)?.map(|at| at as u64)))
        })?;
        Ok(counted)
    }

    /// Keeps what was answered.
    pub fn answered(&self, token: i64, key: &str, answer: &Answer) -> Result<(), Failure> {
        self.change(|db| {
            db.execute(
                "UPDATE answer SET status = ?3, location = ?4, body = ?5 WHERE token = ?1 AND key = ?2",
                params![token, key, answer.status, answer.location, answer.body],
            )?;
            Ok(())
        })
    }

    /// Frees a key whose request has done nothing.
    pub fn given_up(&self, token: i64, key: &str) -> Result<(), Failure> {
        self.change(|db| {
            db.execute(
                "DELETE FROM answer WHERE token = ?1 AND key = ?2 AND status IS NULL",
                params![token, key],
            )?;
            Ok(())
        })
    }
}

fn count(db: &Connection, token: i64) -> Result<i64, Failure> {
    Ok(db.prepare_cached("SELECT count(*) FROM answer WHERE token = ?1")?.query_row([token], |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_one_request_and_one_answer() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let (one, two) = ([1; 32], [2; 32]);
        let begin =
            |users: &Users, request: &[u8; 32], now| users.begin_answer(1, "k", request, now).unwrap();
        assert_eq!(begin(&users, &one, 10), Begun::Fresh);
        assert_eq!(begin(&users, &one, 11), Begun::Open);
        drop(users);
        let users = Users::open(dir.path()).unwrap();
        assert_eq!(begin(&users, &one, 12), Begun::Open, "also after a crash");
        assert_eq!(begin(&users, &two, 12), Begun::Other);
        assert_eq!(users.begin_answer(2, "k", &two, 12).unwrap(), Begun::Fresh, "keys are of one token");
        users.given_up(1, "k").unwrap();
        assert_eq!(begin(&users, &two, 13), Begun::Fresh);
        let answer = Answer { status: 201, location: Some("/x".into()), body: b"{}".to_vec() };
        users.answered(1, "k", &answer).unwrap();
        users.given_up(1, "k").unwrap();
        assert_eq!(begin(&users, &two, 14), Begun::Kept(answer), "what was answered is not given up");
        assert_eq!(begin(&users, &one, 14), Begun::Other);
        assert_eq!(begin(&users, &one, 14 + KEPT_MS), Begun::Fresh, "its time is over");
    }
}
