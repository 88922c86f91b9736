//! Short messages: what came in and what is to go out, each once.
//!
//! ```text
//! in    came (text, phone) ──> done: an outcome, perhaps a number; text and phone are gone
//! out   waiting (text, phone) ──> trying ──> sent ──> delivered, failed        text and phone are gone from `sent` on
//!          └──<── not taken ──────┘ └────> given up, after three days
//! ```
//!
//! What a message leads to is written down in the transaction that ends it, and every thing that is told has a name that is
//! taken once: so nothing is lost between two steps, and nothing is told twice. Senders are known by a keyed hash.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::{DATABASE, PATIENCE, Users, drawn};
use crate::hex::hex;
use crate::request::Failure;

pub(super) const TABLES: &str = "
CREATE TABLE sms_in(
  id INTEGER PRIMARY KEY AUTOINCREMENT, once BLOB NOT NULL UNIQUE, slip TEXT NOT NULL, who BLOB NOT NULL, at INTEGER NOT NULL,
  phone TEXT, text TEXT, outcome TEXT, number TEXT);
CREATE INDEX sms_in_who ON sms_in(who, at);
CREATE INDEX sms_in_at ON sms_in(at);
CREATE INDEX sms_in_number ON sms_in(number, at);
CREATE INDEX sms_in_waiting ON sms_in(id) WHERE outcome IS NULL;
CREATE TABLE sms_out(
  id INTEGER PRIMARY KEY AUTOINCREMENT, thing TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, number TEXT, at INTEGER NOT NULL,
  phone TEXT, text TEXT, state TEXT NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, failure TEXT,
  sent_at INTEGER, buffered INTEGER NOT NULL DEFAULT 0);
CREATE INDEX sms_out_due ON sms_out(due, id) WHERE state = 'waiting';
CREATE INDEX sms_out_at ON sms_out(at);
CREATE TABLE sms_ticket(number TEXT PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE sms_mark(name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// What a copy for a backup does without: phones and texts. What was still to be sent is not sent by whoever restores it.
pub(super) const BARE: &str = "
UPDATE sms_in SET outcome = 'restored' WHERE outcome IS NULL;
UPDATE sms_in SET phone = NULL, text = NULL;
UPDATE sms_out SET state = 'given up', failure = 'a backup holds no message' WHERE state IN ('waiting', 'trying');
UPDATE sms_out SET phone = NULL, text = NULL;
";

/// How long what came in is remembered, so that it counts once.
const KEPT_IN_MS: u64 = 30 * 24 * 60 * 60_000;

/// How long a ticket's caller is told of it, and what was told is remembered.
const KEPT_OUT_MS: u64 = 400 * 24 * 60 * 60_000;

/// Most messages that wait to be looked at: past it the gateway is told to keep them.
const MAX_WAITING: i64 = 10_000;

/// The name of the mark that stands in the log of changes.
const CURSOR: &str = "cursor";

/// Since when nothing has been taken by the gateway, and why.
const FAILURE: &str = "failure";

/// A message as it came in.
pub struct Arrived<'a> {
    /// The same for every repetition of it.
    pub once: [u8; 32],
    /// Whose it is: a hash under a key of this node.
    pub who: [u8; 32],
    /// The sender.
    pub phone: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// What became of a message at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    Fresh,
    /// It was there before.
    Again,
    /// There is no room for more.
    Full,
}

/// A message that waits to be looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Its row.
    pub id: i64,
    /// Drawn when it came: names what is made of it.
    pub slip: String,
    /// Whose it is.
    pub who: [u8; 32],
    /// When it came, in milliseconds since 1970.
    pub at: u64,
    /// The sender.
    pub phone: String,
    /// What it says.
    pub text: String,
}

/// Something to be told.
#[derive(Clone)]
pub struct ToTell {
    /// Names it for ever: told once.
    pub thing: String,
    /// What sort.
    pub kind: &'static str,
    /// The ticket that it is about.
    pub number: Option<String>,
    /// To whom.
    pub phone: String,
    /// What.
    pub text: String,
}

/// What a message has led to.
#[derive(Clone, Default)]
pub struct Led {
    /// In a word.
    pub outcome: &'static str,
    /// The ticket that it is about.
    pub number: Option<String>,
    /// Whether that ticket's caller is told of it from now on.
    pub follows: bool,
    /// What its sender is told.
    pub tells: Vec<ToTell>,
}

/// A message that is to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its row.
    pub id: i64,
    /// When it was made.
    pub at: u64,
    /// To whom.
    pub phone: String,
    /// What.
    pub text: String,
    /// How often it was tried.
    pub tries: u32,
}

/// What a delivery report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The telephone has it.
    Delivered,
    /// It will not get there.
    Failed,
    /// It waits for the telephone.
    Buffered,
    /// The short message centre has it.
    Accepted,
    /// The short message centre refuses it.
    Refused,
}

/// How all messages stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsCounts {
    /// What came in, by outcome; `waiting` for what was not looked at.
    pub incoming: BTreeMap<String, u64>,
    /// What goes out, by state.
    pub outgoing: BTreeMap<String, u64>,
    /// Of what was sent, how many wait for a telephone.
    pub buffered: u64,
    /// When the oldest that still waits was made.
    pub oldest: Option<u64>,
    /// Since when the gateway takes nothing,
    pub failing_since: Option<u64>,
    /// and why, in words without a URL, a phone or a text.
    pub failure: Option<String>,
}

/// A line of the log of messages. Neither a phone nor a text is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsLine {
    /// When.
    pub at: u64,
    /// `in` or `out`.
    pub way: String,
    /// What sort: of what goes out.
    pub kind: Option<String>,
    /// Outcome or state.
    pub state: String,
    /// The ticket that it is about.
    pub number: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// The last failure.
    pub failure: Option<String>,
}

fn put(db: &Connection, tell: &ToTell, now: u64) -> Result<bool, Failure> {
    let put = db
        .prepare_cached(
            "INSERT INTO sms_out(thing, kind, number, at, phone, text, state, due) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 'waiting', ?4)
             ON CONFLICT(thing) DO NOTHING",
        )?
        .execute(params![tell.thing, tell.kind, tell.number, now as i64, tell.phone, tell.text])?;
    Ok(put > 0)
}

fn set(db: &Connection, name: &str, value: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO sms_mark(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute([name, value])?;
    Ok(())
}

fn mark(db: &Connection, name: &str) -> Result<Option<String>, Failure> {
    let mut query = db.prepare_cached("SELECT value FROM sms_mark WHERE name = ?1")?;
    Ok(query.query_row([name], |r| r.get(0)).optional()?)
}

fn counted(db: &Connection, sql: &str) -> Result<BTreeMap<String, u64>, Failure> {
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)? as u64)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn counts(db: &Connection) -> Result<SmsCounts, Failure> {
    let oldest: Option<i64> =
        db.query_row("SELECT min(at) FROM sms_out WHERE state IN ('waiting', 'trying')", [], |r| r.get(0))?;
    let buffered: i64 =
        db.query_row("SELECT count(*) FROM sms_out WHERE state = 'sent' AND buffered", [], |r| r.get(0))?;
    let failing = mark(db, FAILURE)?;
    let failing = failing.as_deref().and_then(|failing| failing.split_once(' '));
    Ok(SmsCounts {
        incoming: counted(db, "SELECT coalesce(outcome, 'waiting'), count(*) FROM sms_in GROUP BY 1")?,
        outgoing: counted(db, "SELECT state, count(*) FROM sms_out GROUP BY 1")?,
        buffered: buffered as u64,
        oldest: oldest.map(|at| at as u64),
        failing_since: failing.and_then(|(since, _)| since.parse().ok()),
        failure: failing.map(|(_, why)| why.to_owned()),
    })
}

fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    Ok(Outgoing {
        id: row.get(0)?,
        at: row.get::<_, i64>(1)? as u64,
        phone: row.get(2)?,
        text: row.get(3)?,
        tries: row.get(4)?,
    })
}

impl Users {
    /// Keeps a message that came in, once. When it returns, it is on the disk.
    pub fn sms_take(&self, message: &Arrived<'_>, now: u64) -> Result<Taken, Failure> {
        let slip = hex(&drawn::<16>()?);
        self.change(|db| {
            let known = db.prepare_cached("SELECT 1 FROM sms_in WHERE once = ?1")?.exists([message.once])?;
            if known {
                return Ok(Taken::Again);
            }
            let waiting: i64 =
                db.query_row("SELECT count(*) FROM sms_in WHERE outcome IS NULL", [], |r| r.get(0))?;
            if waiting >= MAX_WAITING {
                return Ok(Taken::Full);
            }
            let old = now.saturating_sub(KEPT_IN_MS) as i64;
            db.execute("DELETE FROM sms_in WHERE at < ?1 AND outcome IS NOT NULL", [old])?;
            db.execute(
                "INSERT INTO sms_in(once, slip, who, at, phone, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                params![message.once, slip, message.who, now as i64, message.phone, message.text],
            )?;
            Ok(Taken::Fresh)
        })
    }

    /// The next message behind this row that was not looked at.
    pub fn sms_next(&self, after: i64) -> Result<Option<Incoming>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(
            "SELECT id, slip, who, at, phone, text FROM sms_in WHERE outcome IS NULL AND id > ?1 ORDER BY id LIMIT 1",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Incoming {
                id: row.get(0)?,
                slip: row.get(1)?,
                who: row.get(2)?,
                at: row.get::<_, i64>(3)? as u64,
                phone: row.get(4)?,
                text: row.get(5)?,
            })
        };
        Ok(query.query_row([after], read).optional()?)
    }

    /// How many messages of somebody, or of everybody, had one of these outcomes since a time.
    pub fn sms_count(&self, who: Option<&[u8; 32]>, outcomes: &[&str], since: u64) -> Result<u64, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(
            "SELECT count(*) FROM sms_in WHERE at > ?1 AND (?2 IS NULL OR who = ?2) AND outcome IN (SELECT value FROM json_each(?3))",
        )?;
        let outcomes = serde_json::json!(outcomes).to_string();
        let count: i64 = query.query_row(params![since as i64, who, outcomes], |r| r.get(0))?;
        Ok(count as u64)
    }

    /// How many wrong codes were shown for a number since a time.
    pub fn sms_guesses(&self, number: &str, since: u64) -> Result<u64, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(
            "SELECT count(*) FROM sms_in WHERE number = ?1 AND at > ?2 AND outcome = 'wrong code'",
        )?;
        Ok(query.query_row(params![number, since as i64], |r| r.get::<_, i64>(0))? as u64)
    }

    /// The tickets that somebody's messages have made since a time; at most two.
    pub fn sms_tickets_of(&self, who: &[u8; 32], since: u64) -> Result<Vec<String>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(
            "SELECT number FROM sms_in WHERE who = ?1 AND at > ?2 AND outcome = 'ticket' AND number IS NOT NULL LIMIT 2",
        )?;
        let rows = query.query_map(params![who, since as i64], |r| r.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// A message was looked at. What it says and who sent it are forgotten, and what is to be told of it is written down.
    pub fn sms_done(&self, id: i64, led: &Led, now: u64) -> Result<(), Failure> {
        self.change(|db| {
            let done = db.execute(
                "UPDATE sms_in SET outcome = ?2, number = ?3, phone = NULL, text = NULL WHERE id = ?1 AND outcome IS NULL",
                params![id, led.outcome, led.number],
            )?;
            if done == 0 {
                return Ok(());
            }
            if let (true, Some(number)) = (led.follows, &led.number) {
                let old = now.saturating_sub(KEPT_OUT_MS) as i64;
                db.execute("DELETE FROM sms_ticket WHERE at < ?1", [old])?;
                db.execute("DELETE FROM sms_out WHERE at < ?1 AND state NOT IN ('waiting', 'trying')", [old])?;
                db.execute(
                    "INSERT INTO sms_ticket(number, at) VALUES(?1, ?2) ON CONFLICT(number) DO NOTHING",
                    params![number, now as i64],
                )?;
            }
            led.tells.iter().try_for_each(|tell| put(db, tell, now).map(drop))
        })
    }

    /// Whether a ticket's caller is told of it by short message.
    pub fn sms_follows(&self, number: &str) -> Result<bool, Failure> {
        Ok(self.db().prepare_cached("SELECT 1 FROM sms_ticket WHERE number = ?1")?.exists([number])?)
    }

    /// The tickets whose callers are told of them, behind this one.
    pub fn sms_followed(&self, after: &str, limit: u32) -> Result<Vec<String>, Failure> {
        let db = self.db();
        let mut query =
            db.prepare_cached("SELECT number FROM sms_ticket WHERE number > ?1 ORDER BY number LIMIT ?2")?;
        let rows = query.query_map(params![after, limit], |r| r.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether a thing was told, or is going to be.
    pub fn sms_has(&self, thing: &str) -> Result<bool, Failure> {
        Ok(self.db().prepare_cached("SELECT 1 FROM sms_out WHERE thing = ?1")?.exists([thing])?)
    }

    /// Something is to be told, once.
    pub fn sms_tell(&self, tell: &ToTell, now: u64) -> Result<bool, Failure> {
        self.change(|db| put(db, tell, now))
    }

    /// How far the log of changes was followed.
    pub fn sms_cursor(&self) -> Result<Option<String>, Failure> {
        mark(&self.db(), CURSOR)
    }

    /// It was followed so far.
    pub fn sms_followed_to(&self, cursor: &str) -> Result<(), Failure> {
        self.change(|db| set(db, CURSOR, cursor))
    }

    /// The next message that is to be sent now.
    pub fn sms_due(&self, now: u64) -> Result<Option<Outgoing>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(
            "SELECT id, at, phone, text, tries FROM sms_out WHERE state = 'waiting' AND due <= ?1 ORDER BY due, id LIMIT 1",
        )?;
        Ok(query.query_row([now as i64], outgoing).optional()?)
    }

    /// When the next message is to be sent.
    pub fn sms_next_due(&self) -> Result<Option<u64>, Failure> {
        let sql = "SELECT min(due) FROM sms_out WHERE state = 'waiting'";
        let due: Option<i64> = self.db().prepare_cached(sql)?.query_row([], |r| r.get(0))?;
        Ok(due.map(|due| due as u64))
    }

    /// A message is going to be handed over: from now on it may be with the gateway.
    pub fn sms_trying(&self, id: i64) -> Result<bool, Failure> {
        self.change(|db| {
            let sql =
                "UPDATE sms_out SET state = 'trying', tries = tries + 1 WHERE id = ?1 AND state = 'waiting'";
            Ok(db.execute(sql, [id])? > 0)
        })
    }

    /// What was being handed over when the node stopped is tried again from this time on, unless a report comes before.
    pub fn sms_resume(&self, due: u64) -> Result<(), Failure> {
        self.change(|db| {
            let sql = "UPDATE sms_out SET state = 'waiting', due = ?1 WHERE state = 'trying'";
            db.execute(sql, [due as i64])?;
            Ok(())
        })
    }

    /// The gateway has taken a message.
    pub fn sms_sent(&self, id: i64, now: u64) -> Result<(), Failure> {
        self.change(|db| {
            db.execute("DELETE FROM sms_mark WHERE name = ?1", [FAILURE])?;
            // A report may have come before the gateway's answer was read.
            db.execute(
                "UPDATE sms_out SET state = CASE WHEN state IN ('waiting', 'trying') THEN 'sent' ELSE state END,
                   sent_at = coalesce(sent_at, ?2), failure = CASE WHEN state = 'failed' THEN failure END, phone = NULL, text = NULL
                 WHERE id = ?1",
                params![id, now as i64],
            )?;
            Ok(())
        })
    }

    /// The gateway has not taken a message: it is tried again at that time, or never.
    pub fn sms_not_sent(&self, id: i64, why: &str, again: Option<u64>, now: u64) -> Result<(), Failure> {
        self.change(|db| {
            let since = mark(db, FAILURE)?;
            let since = since.as_deref().and_then(|mark| mark.split_once(' ')).map_or(now, |(since, _)| {
                since.parse().unwrap_or(now)
            });
            set(db, FAILURE, &format!("{since} {why}"))?;
            match again {
                Some(due) => db.execute(
                    "UPDATE sms_out SET state = 'waiting', due = ?2, failure = ?3 WHERE id = ?1 AND state = 'trying'",
                    params![id, due as i64, why],
                )?,
                None => db.execute(
                    "UPDATE sms_out SET state = 'given up', failure = ?2, phone = NULL, text = NULL
                     WHERE id = ?1 AND state = 'trying'",
                    params![id, why],
                )?,
            };
            Ok(())
        })
    }

    /// A delivery report came. Every one proves that the gateway has the message. `false` when there is no such message.
    pub fn sms_report(&self, id: i64, report: Report, now: u64) -> Result<bool, Failure> {
        self.change(|db| {
            let state: Option<String> = db
                .prepare_cached("SELECT state FROM sms_out WHERE id = ?1")?
                .query_row([id], |r| r.get(0))
                .optional()?;
            let Some(state) = state else { return Ok(false) };
            let (to, failure) = match report {
                Report::Delivered => ("delivered", None),
                _ if matches!(state.as_str(), "delivered" | "failed") => return Ok(true),
                Report::Failed => ("failed", Some("it did not get to the telephone")),
                Report::Refused => ("failed", Some("the short message centre refused it")),
                Report::Buffered | Report::Accepted => ("sent", None),
            };
            db.execute(
                "UPDATE sms_out SET state = ?2, failure = ?3, buffered = buffered OR ?4, sent_at = coalesce(sent_at, ?5),
                   phone = NULL, text = NULL WHERE id = ?1",
                params![id, to, failure, report == Report::Buffered, now as i64],
            )?;
            Ok(true)
        })
    }

    /// How all messages stand.
    pub fn sms_counts(&self) -> Result<SmsCounts, Failure> {
        counts(&self.db())
    }

    /// How the messages of a directory that somebody else works on stand; `None` when there never was one.
    pub fn look_at_sms(dir: &Path) -> Result<Option<SmsCounts>, Failure> {
        let path = dir.join(DATABASE);
        if !path.exists() {
            return Ok(None);
        }
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(PATIENCE)?;
        let version: i64 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if version < 6 || mark(&db, CURSOR)?.is_none() {
            return Ok(None);
        }
        counts(&db).map(Some)
    }

    /// The last messages of both ways, the newest first.
    pub fn sms_log(&self, limit: u32) -> Result<Vec<SmsLine>, Failure> {
        let db = self.db();
        let mut query = db.prepare(
            "SELECT at, 'in', NULL, coalesce(outcome, 'waiting'), number, 0, NULL, id FROM sms_in
             UNION ALL SELECT at, 'out', kind, state, number, tries, failure, id FROM sms_out
             ORDER BY at DESC, 2 DESC, 8 DESC LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |r| {
            Ok(SmsLine {
                at: r.get::<_, i64>(0)? as u64,
                way: r.get(1)?,
                kind: r.get(2)?,
                state: r.get(3)?,
                number: r.get(4)?,
                tries: r.get(5)?,
                failure: r.get(6)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "13800000001";

    fn arrived(once: u8) -> Arrived<'static> {
        Arrived { once: [once; 32], who: [9; 32], phone: PHONE, text: "拒载" }
    }

    fn tell(thing: &str) -> ToTell {
        ToTell {
            thing: thing.to_owned(),
            kind: "accepted",
            number: Some("JT1".to_owned()),
            phone: PHONE.to_owned(),
            text: "已受理".to_owned(),
        }
    }

    fn state(users: &Users) -> String {
        users.sms_log(1).unwrap()[0].state.clone()
    }

    fn holds_no_person(users: &Users) -> bool {
        let sql = "SELECT (SELECT count(*) FROM sms_in WHERE phone IS NOT NULL OR text IS NOT NULL)
                        + (SELECT count(*) FROM sms_out WHERE phone IS NOT NULL OR text IS NOT NULL)";
        users.db().query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap() == 0
    }

    #[test]
    fn a_message_comes_in_once_and_is_forgotten_with_what_it_led_to() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        assert_eq!(users.sms_take(&arrived(1), 10).unwrap(), Taken::Fresh);
        assert_eq!(users.sms_take(&arrived(1), 11).unwrap(), Taken::Again);
        let first = users.sms_next(0).unwrap().unwrap();
        assert_eq!((first.phone.as_str(), first.text.as_str(), first.at), (PHONE, "拒载", 10));
        assert!(users.sms_next(first.id).unwrap().is_none());
        let led = Led {
            outcome: "ticket",
            number: Some("JT1".to_owned()),
            follows: true,
            tells: vec![tell("accepted JT1")],
        };
        for _ in 0..2 {
            users.sms_done(first.id, &led, 20).unwrap();
        }
        assert!(users.sms_next(0).unwrap().is_none() && users.sms_follows("JT1").unwrap());
        assert_eq!(users.sms_tickets_of(&[9; 32], 5).unwrap(), ["JT1"]);
        assert_eq!(users.sms_count(Some(&[9; 32]), &["ticket", "note"], 5).unwrap(), 1);
        assert_eq!(users.sms_count(Some(&[8; 32]), &["ticket"], 5).unwrap(), 0);
        assert_eq!(users.sms_count(None, &["ticket"], 10).unwrap(), 0, "it is too old");
        assert_eq!(users.sms_take(&arrived(1), 30).unwrap(), Taken::Again, "also when it was looked at");
        let out = users.sms_due(30).unwrap().unwrap();
        assert!(users.sms_trying(out.id).unwrap());
        users.sms_sent(out.id, 31).unwrap();
        assert!(holds_no_person(&users));
    }

    #[test]
    fn a_thing_is_told_once_and_kept_until_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        assert!(users.sms_tell(&tell("answer JT1 a"), 10).unwrap());
        assert!(!users.sms_tell(&tell("answer JT1 a"), 10).unwrap());
        assert!(users.sms_has("answer JT1 a").unwrap() && !users.sms_has("answer JT1 b").unwrap());
        let out = users.sms_due(10).unwrap().unwrap();
        assert!(users.sms_trying(out.id).unwrap() && !users.sms_trying(out.id).unwrap());
        assert!(users.sms_due(99).unwrap().is_none(), "nobody else tries it");
        users.sms_not_sent(out.id, "no connection", Some(50), 11).unwrap();
        assert!(users.sms_due(49).unwrap().is_none());
        assert_eq!(users.sms_next_due().unwrap(), Some(50));
        let counts = users.sms_counts().unwrap();
        assert_eq!((counts.failing_since, counts.failure.as_deref()), (Some(11), Some("no connection")));
        users.sms_trying(out.id).unwrap();
        drop(users);
        let users = Users::open(dir.path()).unwrap();
        users.sms_resume(70).unwrap();
        assert_eq!(users.sms_due(70).unwrap().unwrap().tries, 2, "a stop in the middle loses nothing");
        users.sms_trying(out.id).unwrap();
        users.sms_not_sent(out.id, "answered 403", None, 80).unwrap();
        assert_eq!(state(&users), "given up");
        assert!(holds_no_person(&users));
        assert_eq!(users.sms_counts().unwrap().failing_since, Some(11));
    }

    #[test]
    fn a_report_ends_the_doubt_and_a_later_one_mends_nothing_that_was_delivered() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        users.sms_tell(&tell("a"), 10).unwrap();
        let out = users.sms_due(10).unwrap().unwrap();
        users.sms_trying(out.id).unwrap();
        users.sms_resume(20).unwrap(); // the node was killed while it handed the message over
        assert!(users.sms_report(out.id, Report::Accepted, 15).unwrap());
        assert!(users.sms_due(99).unwrap().is_none(), "the gateway has it: it is not sent again");
        assert!(holds_no_person(&users));
        users.sms_report(out.id, Report::Buffered, 16).unwrap();
        assert_eq!(users.sms_counts().unwrap().buffered, 1);
        users.sms_report(out.id, Report::Delivered, 17).unwrap();
        users.sms_report(out.id, Report::Failed, 18).unwrap();
        users.sms_sent(out.id, 19).unwrap();
        assert_eq!(state(&users), "delivered");
        assert!(!users.sms_report(out.id + 1, Report::Delivered, 18).unwrap());
    }

    #[test]
    fn a_backup_holds_no_phone_and_no_text_and_its_restore_sends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        users.sms_take(&arrived(1), 10).unwrap();
        users.sms_tell(&tell("a"), 10).unwrap();
        let restored = tempfile::tempdir().unwrap();
        users.copy_to(&restored.path().join(DATABASE)).unwrap();
        let users = Users::open(restored.path()).unwrap();
        assert!(holds_no_person(&users));
        assert!(users.sms_next(0).unwrap().is_none() && users.sms_due(99).unwrap().is_none());
        assert_eq!(users.sms_take(&arrived(1), 11).unwrap(), Taken::Again);
    }
}
