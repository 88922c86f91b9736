//! Calls that a telephone system tells of, and whose extension is whose.
//!
//! ```text
//! heard:  newCall 1 | answer 2 | hangup 4     a set, so what came twice changes nothing and the order is of no account
//! stage:  ended if hangup was heard, else answered if answer was, else ringing
//! ```
//!
//! A caller's number stands here in clear, as in a draft. It is forgotten when a ticket is made of the call, and a day after
//! the call began otherwise; it is in no backup. The row without it stays for a month: a recording may come late.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Account, Users};
use crate::request::{Failure, FailureKind};

pub(super) const TABLES: &str = "
CREATE TABLE extension(number TEXT PRIMARY KEY, account INTEGER NOT NULL UNIQUE REFERENCES account(id));
CREATE TABLE call(
  id TEXT PRIMARY KEY, at INTEGER NOT NULL, changed_at INTEGER NOT NULL, heard INTEGER NOT NULL, number TEXT,
  called TEXT NOT NULL, queue TEXT NOT NULL, account INTEGER REFERENCES account(id), ticket TEXT);
CREATE INDEX call_at ON call(at);
CREATE INDEX call_account ON call(account, at);
";

/// How long a number is kept of which no ticket was made.
const NUMBER_MS: u64 = 24 * 60 * 60_000;

/// How long a call is known.
const KEPT_MS: u64 = 30 * NUMBER_MS;

/// A call of which nothing was heard for so long is over: its hangup was lost.
const LOST_MS: u64 = 4 * 60 * 60_000;

/// No telephone rings for longer, and most that do at once.
const RINGS_MS: u64 = 10 * 60_000;
const RINGING: i64 = 2_000;

/// Most calls that are known; past it the oldest are forgotten.
const MAX_CALLS: i64 = 100_000;

/// Most rows of a list.
const LISTED: i64 = 20;

/// The longest call id, in bytes, as the interface has it.
pub const MAX_CALL: usize = 250;

/// What a telephone system tells of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// It rings.
    New,
    /// Somebody has answered.
    Answer,
    /// It is over.
    Hangup,
}

impl CallEvent {
    fn bit(self) -> i64 {
        match self {
            CallEvent::New => 1,
            CallEvent::Answer => 2,
            CallEvent::Hangup => 4,
        }
    }
}

/// An event with what came along. Shows no number.
#[derive(Clone)]
pub struct Told {
    /// The call.
    pub call: String,
    /// What happened.
    pub event: CallEvent,
    /// The caller's number, if it is known.
    pub number: Option<String>,
    /// The number that was called.
    pub called: String,
    /// The queue.
    pub queue: String,
    /// Who answered: extensions or accounts, the likeliest first.
    pub by: Vec<String>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = CallStage)]
pub enum Stage {
    /// Nobody has answered yet.
    Ringing,
    /// Somebody speaks.
    Answered,
    /// It is over.
    Ended,
}

/// A call as it is known. It has no `Debug`: the number would turn up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// When it was first heard of, in milliseconds since 1970.
    pub at: u64,
    /// When something was last heard of it.
    pub changed_at: u64,
    /// How far it is.
    pub stage: Stage,
    /// Whether anybody answered.
    pub answered: bool,
    /// The caller's number, until it is forgotten.
    pub number: Option<String>,
    /// The number that was called.
    pub called: String,
    /// The queue.
    pub queue: String,
    /// Whose call it is.
    pub account: Option<i64>,
    /// The ticket that was made of it.
    pub ticket: Option<String>,
}

/// What became of an event.
pub struct Taken {
    /// The call after it.
    pub call: Call,
    /// Whether the call was known before.
    pub known: bool,
    /// Whether this event was new; the same again changes nothing.
    pub fresh: bool,
    /// Whether it became somebody's call by this event.
    pub given: bool,
}

/// The calls that one account is shown.
#[derive(Default)]
pub struct Calls {
    /// Nobody's yet, and not over.
    pub open: Vec<Call>,
    /// This account's, of which no ticket was made.
    pub mine: Vec<Call>,
    /// Over, and nobody answered.
    pub missed: Vec<Call>,
}

const COLUMNS: &str = "id, at, changed_at, heard, number, called, queue, account, ticket";

fn read(row: &Row<'_>) -> rusqlite::Result<Call> {
    let heard: i64 = row.get(3)?;
    let stage = match (heard & CallEvent::Hangup.bit(), heard & CallEvent::Answer.bit()) {
        (0, 0) => Stage::Ringing,
        (0, _) => Stage::Answered,
        _ => Stage::Ended,
    };
    Ok(Call {
        id: row.get(0)?,
        at: row.get::<_, i64>(1)? as u64,
        changed_at: row.get::<_, i64>(2)? as u64,
        stage,
        answered: heard & CallEvent::Answer.bit() != 0,
        number: row.get(4)?,
        called: row.get(5)?,
        queue: row.get(6)?,
        account: row.get(7)?,
        ticket: row.get(8)?,
    })
}

fn of_id(db: &Connection, id: &str) -> Result<Option<(Call, i64)>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM call WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], |r| Ok((read(r)?, r.get(3)?))).optional()?)
}

fn unknown() -> Failure {
    Failure::new(FailureKind::Absent, "no such call is known here")
        .hint("an event names it first: newCall, answer or hangup; after a month it is forgotten")
}

fn forget(db: &Connection, now: u64) -> Result<(), Failure> {
    // A clock that was ahead must not keep a number for years.
    db.prepare_cached("UPDATE call SET number = NULL WHERE number IS NOT NULL AND (at < ?1 OR at > ?2)")?
        .execute([now.saturating_sub(NUMBER_MS) as i64, (now + NUMBER_MS) as i64])?;
    db.prepare_cached("DELETE FROM call WHERE at < ?1")?.execute([now.saturating_sub(KEPT_MS) as i64])?;
    Ok(())
}

/// Whose extension this is, or whose name.
fn holder(db: &Connection, by: &[String]) -> Result<Option<i64>, Failure> {
    for said in by {
        let found: Option<i64> = db
            .prepare_cached(
                "SELECT a.id FROM account a LEFT JOIN extension e ON e.account = a.id
                 WHERE a.removed = 0 AND a.locked = 0 AND (e.number = ?1 OR a.name = ?2)
                 ORDER BY e.number = ?1 DESC LIMIT 1",
            )?
            .query_row(params![said.trim(), super::account::normal(said)], |r| r.get(0))
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl Users {
    /// Gives an account an extension, or takes it away.
    pub fn set_extension(&self, name: &str, number: Option<&str>) -> Result<Account, Failure> {
        let account = self.named(name)?;
        if let Some(number) = number {
            let fine = (1..=32).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_alphanumeric());
            if !fine {
                return Err(Failure::new(FailureKind::Usage, "an extension has 1 to 32 digits or letters"));
            }
        }
        self.change(|db| {
            db.execute("DELETE FROM extension WHERE account = ?1", [account.id])?;
            if let Some(number) = number {
                let made = db.execute(
                    "INSERT INTO extension VALUES(?1, ?2) ON CONFLICT(number) DO NOTHING",
                    params![number, account.id],
                )?;
                if made == 0 {
                    return Err(Failure::new(
                        FailureKind::Failed,
                        format!("the extension {number} is somebody else's"),
                    )
                    .hint("whose: `hotline user list`; take it away first: `hotline user extension NAME`"));
                }
            }
            Ok(())
        })?;
        Ok(account)
    }

    /// All extensions, with the accounts' rows.
    pub fn extensions(&self) -> Result<Vec<(i64, String)>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached("SELECT account, number FROM extension")?;
        let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes in what a telephone system tells. The first answer says whose call it is.
    pub fn hear(&self, told: &Told, now: u64) -> Result<Taken, Failure> {
        self.change(|db| {
            forget(db, now)?;
            let found = of_id(db, &told.call)?;
            let (known, heard) = (found.is_some(), found.as_ref().map_or(0, |(_, heard)| *heard));
            if let Some((call, _)) = &found
                && heard & told.event.bit() != 0
            {
                return Ok(Taken { call: call.clone(), known, fresh: false, given: false });
            }
            let before = found.and_then(|(call, _)| call.account);
            let account = match (before, told.event) {
                (None, CallEvent::Answer) => holder(db, &told.by)?,
                (before, _) => before,
            };
            db.prepare_cached(
                "INSERT INTO call VALUES(?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, NULL) ON CONFLICT(id) DO UPDATE SET
                   changed_at = ?2, heard = heard | ?3, account = ?7,
                   number = iif(ticket IS NULL, coalesce(number, ?4), NULL),
                   called = iif(called = '', ?5, called), queue = iif(queue = '', ?6, queue)",
            )?
            .execute(params![
                told.call,
                now as i64,
                told.event.bit(),
                told.number,
                told.called,
                told.queue,
                account
            ])?;
            if !known {
                db.prepare_cached(
                    "DELETE FROM call WHERE id IN (SELECT id FROM call ORDER BY at LIMIT max(0, (SELECT count(*) FROM call) - ?1))",
                )?
                .execute([MAX_CALLS])?;
            }
            let (call, _) = of_id(db, &told.call)?.ok_or_else(unknown)?;
            Ok(Taken { given: before.is_none() && account.is_some(), call, known, fresh: true })
        })
    }

    /// The calls that an account is shown, the newest first.
    pub fn calls(&self, account: &Account, now: u64) -> Result<Calls, Failure> {
        let db = self.db();
        let list = |which: &str, since: u64| -> Result<Vec<Call>, Failure> {
            let sql = format!(
                "SELECT {COLUMNS} FROM call WHERE ticket IS NULL AND changed_at > ?2 AND at > ?3 AND {which}
                 ORDER BY at DESC LIMIT {LISTED}"
            );
            let day = now.saturating_sub(NUMBER_MS) as i64;
            let mut query = db.prepare_cached(&sql)?;
            let rows = query.query_map(params![account.id, since as i64, day], read)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        Ok(Calls {
            open: list("account IS NULL AND heard & 4 = 0", now.saturating_sub(LOST_MS))?,
            mine: list("account = ?1", 0)?,
            missed: list("account IS NULL AND heard & 6 = 4", 0)?,
        })
    }

    /// A call that is known.
    pub fn call(&self, id: &str) -> Result<Option<Call>, Failure> {
        Ok(of_id(&self.db(), id)?.map(|(call, _)| call))
    }

    /// Calls that began a while ago at most and that nobody has answered or given up.
    pub fn ringing(&self, now: u64) -> Result<Vec<String>, Failure> {
        let db = self.db();
        let sql = "SELECT id FROM call WHERE at > ?1 AND heard & 6 = 0 ORDER BY at DESC LIMIT ?2";
        let mut query = db.prepare_cached(sql)?;
        let rows = query.query_map([now.saturating_sub(RINGS_MS) as i64, RINGING], |r| r.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes a call this account's, if it is nobody's yet; whose it is after that.
    pub fn take_call(&self, id: &str, account: &Account) -> Result<Call, Failure> {
        self.change(|db| {
            db.execute(
                "UPDATE call SET account = ?2 WHERE id = ?1 AND account IS NULL AND ticket IS NULL",
                params![id, account.id],
            )?;
            Ok(of_id(db, id)?.ok_or_else(unknown)?.0)
        })
    }

    /// A ticket was made of a call: its number is forgotten here.
    pub fn call_became(&self, id: &str, ticket: &str) -> Result<(), Failure> {
        self.change(|db| {
            db.execute(
                "UPDATE call SET ticket = ?2, number = NULL WHERE id = ?1 AND ticket IS NULL",
                params![id, ticket],
            )?;
            Ok(())
        })
    }

    /// Forgets what is old, also when nothing rings.
    pub fn forget_calls(&self, now: u64) -> Result<(), Failure> {
        self.change(|db| forget(db, now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    fn told(call: &str, event: CallEvent) -> Told {
        let number = (event != CallEvent::Hangup).then(|| "13800000001".to_owned());
        let by = if event == CallEvent::Answer { vec!["8001".to_owned()] } else { Vec::new() };
        Told { call: call.into(), event, number, called: "12328".into(), queue: String::new(), by }
    }

    #[test]
    fn events_in_any_order_and_again_come_to_the_same() {
        use CallEvent::{Answer, Hangup, New};
        for order in [
            [New, Answer, Hangup],
            [New, Hangup, Answer],
            [Answer, New, Hangup],
            [Answer, Hangup, New],
            [Hangup, New, Answer],
            [Hangup, Answer, New],
        ] {
            let dir = tempfile::tempdir().unwrap();
            let users = Users::open(dir.path()).unwrap();
            let (li, _) = users.add("li", Role::Agent, 1).unwrap();
            users.set_extension("li", Some("8001")).unwrap();
            let mut given = 0;
            for event in order {
                given += usize::from(users.hear(&told("c", event), 10).unwrap().given);
                let again = users.hear(&told("c", event), 11).unwrap();
                assert!(!again.fresh && !again.given && again.known);
            }
            let call = users.call("c").unwrap().unwrap();
            assert_eq!((call.stage, call.account, given), (Stage::Ended, Some(li.id), 1), "{order:?}");
            assert_eq!(call.number.as_deref(), Some("13800000001"));
        }
    }

    #[test]
    fn a_number_is_forgotten_with_the_ticket_and_after_a_day_and_is_in_no_backup() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        for call in ["a", "b", "c"] {
            users.hear(&told(call, CallEvent::New), 10).unwrap();
        }
        users.call_became("a", "t").unwrap();
        users.hear(&told("a", CallEvent::Answer), 11).unwrap();
        let number = |call: &str| users.call(call).unwrap().unwrap().number;
        assert_eq!((number("a"), number("b").is_some()), (None, true));
        let copy = dir.path().join("copy");
        users.copy_to(&copy).unwrap();
        assert!(!std::fs::read(&copy).unwrap().windows(11).any(|w| w == b"13800000001"));
        users.forget_calls(11 + NUMBER_MS).unwrap();
        assert_eq!(number("b"), None);
        users.hear(&told("d", CallEvent::New), 11 + KEPT_MS).unwrap();
        assert!(users.call("b").unwrap().is_none() && users.call("d").unwrap().is_some());
    }

    #[test]
    fn a_call_is_one_persons_and_an_extension_too() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let (li, _) = users.add("li", Role::Agent, 1).unwrap();
        let (wang, _) = users.add("wang", Role::Agent, 1).unwrap();
        users.set_extension("li", Some("8001")).unwrap();
        assert!(users.set_extension("wang", Some("8001")).is_err());
        assert!(users.set_extension("wang", Some("80 01")).is_err());
        users.hear(&told("c", CallEvent::New), 10).unwrap();
        assert_eq!(users.calls(&wang, 11).unwrap().open.len(), 1);
        assert!(users.calls(&wang, 11 + LOST_MS).unwrap().open.is_empty(), "its hangup was lost");
        assert_eq!(users.ringing(11).unwrap(), ["c"]);
        assert!(users.ringing(11 + RINGS_MS).unwrap().is_empty());
        assert_eq!(users.take_call("c", &wang).unwrap().account, Some(wang.id));
        assert_eq!(users.take_call("c", &li).unwrap().account, Some(wang.id), "it stays whose it was");
        assert!(!users.hear(&told("c", CallEvent::Answer), 12).unwrap().given);
        assert!(users.ringing(12).unwrap().is_empty(), "it was answered");
        assert_eq!(users.calls(&wang, 12).unwrap().mine.len(), 1);
        assert!(users.calls(&li, 12).unwrap().mine.is_empty());
        users.hear(&told("m", CallEvent::New), 10).unwrap();
        users.hear(&told("m", CallEvent::Hangup), 11).unwrap();
        assert_eq!(users.calls(&li, 12).unwrap().missed.len(), 1);
        users.remove("li").unwrap();
        users.set_extension("wang", Some("8001")).unwrap();
        assert!(users.take_call("nothing", &wang).is_err());
    }
}
