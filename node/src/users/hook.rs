//! Hooks: who is told of changes by a request of ours, and how far each has been told.
//!
//! ```text
//! on ──2xx──> on, its cursor moved         on ──failure──> failing since then, its cursor where it was
//! failing ──2xx──> on                      failing ──three days, or 410 at once──> off ──resume──> on, from its cursor
//! ```
//!
//! A hook's outbox is the log of changes behind its cursor; nothing else is kept of what it must still be told. The secret
//! lies here as it is, since every delivery is signed with it: the file is its owner's alone.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use super::{DATABASE, PATIENCE, Users, drawn};
use crate::request::{Failure, FailureKind};

pub(super) const TABLES: &str = "
CREATE TABLE hook(
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, url TEXT NOT NULL, stages TEXT NOT NULL, ca TEXT,
  secret BLOB NOT NULL, made_at INTEGER NOT NULL, round INTEGER NOT NULL DEFAULT 0, cursor TEXT NOT NULL,
  delivered_at INTEGER, failing_since INTEGER, failure TEXT, off TEXT);
";

/// The secret of before, while it still counts.
pub(super) const BEFORE: &str =
    "ALTER TABLE hook ADD COLUMN before BLOB; ALTER TABLE hook ADD COLUMN before_until INTEGER;";

/// Most hooks of one node: each has a task of its own.
const MAX_HOOKS: i64 = 32;

/// The longest name, and the longest words about a failure.
const MAX_NAME: usize = 64;
const MAX_FAILURE: usize = 300;

/// A hook that fails for so long is off.
pub const GIVEN_UP_MS: u64 = 3 * 24 * 60 * 60_000;

/// What deliveries of a hook are signed with. It prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Its bytes, to sign with or to be shown once.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a hook is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// Its receiver has answered 410: it wants no more.
    Gone,
    /// It failed for three days.
    Failing,
}

impl Off {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Off::Gone => "gone",
            Off::Failing => "failing",
        }
    }
}

/// What somebody asks for. The URL, the stages and the authority were looked at before.
pub struct NewHook {
    /// Its name.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// Only changes to these stages; all if empty.
    pub stages: Vec<String>,
    /// The authority of its receiver, as PEM; those of this machine if `None`.
    pub ca: Option<String>,
    /// What it has seen.
    pub cursor: String,
}

/// A hook. Its secret and its URL, in which many receivers hide a key, are in no print of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its row; never given again.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Where it is told. It may hold a key of the receiver's: see [`crate::hooks::shown_url`].
    pub url: String,
    /// Only changes to these stages; all if empty.
    pub stages: Vec<String>,
    /// The authority of its receiver, as PEM.
    pub ca: Option<String>,
    /// What deliveries are signed with.
    pub secret: Secret,
    /// The secret of before, and until when deliveries are signed with it too, in milliseconds since 1970.
    pub before: Option<(Secret, u64)>,
    /// How often it was begun anew.
    pub round: i64,
    /// The last change that it was told of.
    pub cursor: String,
    /// When it was last told something, in milliseconds since 1970.
    pub delivered_at: Option<u64>,
    /// Since when nothing gets through.
    pub failing_since: Option<u64>,
    /// The last failure since then.
    pub failure: Option<String>,
    /// Whether it is told nothing any more, and why.
    pub off: Option<Off>,
}

impl Hook {
    /// What deliveries are signed with at this time, the newest first.
    pub fn secrets(&self, now: u64) -> Vec<&Secret> {
        let before = self.before.iter().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.secret).chain(before).collect()
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hook { id, name, cursor, off, .. } = self;
        f.debug_struct("Hook")
            .field("id", id)
            .field("name", name)
            .field("cursor", cursor)
            .field("off", off)
            .finish_non_exhaustive()
    }
}

/// How a hook stands after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is tried again.
    On,
    /// It has just been switched off.
    Off(Off),
    /// It was removed or begun anew meanwhile.
    Elsewhere,
}

const COLUMNS: &str = "id, name, url, stages, ca, secret, round, cursor, delivered_at, failing_since, failure, off, before, before_until";

fn read(row: &Row<'_>) -> rusqlite::Result<Hook> {
    let time = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(|at| at as u64));
    let stages: String = row.get(3)?;
    let off: Option<String> = row.get(11)?;
    Ok(Hook {
        id: row.get(0)?,
        name: row.get(1)?,
        url: row.get(2)?,
        stages: stages.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
        ca: row.get(4)?,
        secret: Secret(Zeroizing::new(row.get(5)?)),
        before: row
            .get::<_, Option<[u8; 32]>>(12)?
            .map(|secret| Secret(Zeroizing::new(secret)))
            .zip(time(13)?),
        round: row.get(6)?,
        cursor: row.get(7)?,
        delivered_at: time(8)?,
        failing_since: time(9)?,
        failure: row.get(10)?,
        off: off.map(|off| if off == Off::Gone.name() { Off::Gone } else { Off::Failing }),
    })
}

fn all(db: &Connection, columns: &str) -> Result<Vec<Hook>, Failure> {
    let mut query = db.prepare_cached(&format!("SELECT {columns} FROM hook ORDER BY name"))?;
    Ok(query.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn named(db: &Connection, name: &str) -> Result<Hook, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM hook WHERE name = ?1");
    db.prepare_cached(&sql)?.query_row([name], read).optional()?.ok_or_else(|| {
        let name: String = name.chars().take(MAX_NAME).collect();
        Failure::new(FailureKind::Failed, format!("there is no hook `{name}`"))
            .hint("those that there are: `hotline hook list`")
    })
}

fn check_name(name: &str) -> Result<(), Failure> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    match (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fine) {
        true => Ok(()),
        false => Err(Failure::new(
            FailureKind::Usage,
            format!("a hook's name has 1 to {MAX_NAME} letters of ASCII, digits, dots and dashes"),
        )
        .hint("choose one: --name NAME")),
    }
}

impl Users {
    /// Makes a hook; its secret is drawn here.
    pub fn add_hook(&self, new: &NewHook, now: u64) -> Result<Hook, Failure> {
        check_name(&new.name)?;
        let secret = Zeroizing::new(drawn::<32>()?);
        self.change(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM hook", [], |r| r.get(0))?;
            if count >= MAX_HOOKS {
                return Err(Failure::new(FailureKind::Failed, format!("there are {MAX_HOOKS} hooks"))
                    .hint("remove one that is not needed any more: `hotline hook remove NAME`"));
            }
            let made = db.execute(
                "INSERT INTO hook(name, url, stages, ca, secret, made_at, cursor) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT(name) DO NOTHING",
                params![new.name, new.url, new.stages.join(","), new.ca, *secret, now as i64, new.cursor],
            )?;
            if made == 0 {
                return Err(Failure::new(FailureKind::Failed, format!("there is a hook `{}`", new.name))
                    .hint("choose another name: --name NAME"));
            }
            named(db, &new.name)
        })
    }

    /// All hooks.
    pub fn hooks(&self) -> Result<Vec<Hook>, Failure> {
        all(&self.db(), COLUMNS)
    }

    /// A hook.
    pub fn hook(&self, name: &str) -> Result<Hook, Failure> {
        named(&self.db(), name)
    }

    /// Removes a hook.
    pub fn remove_hook(&self, name: &str) -> Result<Hook, Failure> {
        self.change(|db| {
            let hook = named(db, name)?;
            db.execute("DELETE FROM hook WHERE id = ?1", [hook.id])?;
            Ok(hook)
        })
    }

    /// Draws another secret for a hook. Until `until` its deliveries are signed with the one of before as well, so that its
    /// receiver can change over without missing any.
    pub fn renew_hook(&self, name: &str, until: u64) -> Result<Hook, Failure> {
        let secret = Zeroizing::new(drawn::<32>()?);
        self.change(|db| {
            let hook = named(db, name)?;
            db.execute(
                "UPDATE hook SET before = secret, before_until = ?3, secret = ?2, round = round + 1 WHERE id = ?1",
                params![hook.id, *secret, until as i64],
            )?;
            named(db, name)
        })
    }

    /// Begins a hook anew from its cursor, whether it is off or waits for its next attempt.
    pub fn resume_hook(&self, name: &str) -> Result<Hook, Failure> {
        self.change(|db| {
            let hook = named(db, name)?;
            db.execute(
                "UPDATE hook SET round = round + 1, off = NULL, failing_since = NULL, failure = NULL WHERE id = ?1",
                [hook.id],
            )?;
            named(db, name)
        })
    }

    /// A hook was told of everything up to this cursor. False when it was removed or begun anew meanwhile.
    pub fn hook_told(&self, hook: &Hook, cursor: &str, now: u64) -> Result<bool, Failure> {
        self.change(|db| {
            let mut told = db.prepare_cached(
                "UPDATE hook SET cursor = ?3, delivered_at = ?4, failing_since = NULL, failure = NULL
                 WHERE id = ?1 AND round = ?2",
            )?;
            Ok(told.execute(params![hook.id, hook.round, cursor, now as i64])? > 0)
        })
    }

    /// A hook need not be told of anything up to this cursor. False when it was removed or begun anew meanwhile.
    pub fn hook_passed(&self, hook: &Hook, cursor: &str) -> Result<bool, Failure> {
        self.change(|db| {
            let mut passed = db.prepare_cached("UPDATE hook SET cursor = ?3 WHERE id = ?1 AND round = ?2")?;
            Ok(passed.execute(params![hook.id, hook.round, cursor])? > 0)
        })
    }

    /// A hook could not be told. It is off at once when its receiver wants no more, and otherwise after three days of it.
    pub fn hook_failed(&self, hook: &Hook, why: &str, gone: bool, now: u64) -> Result<Stands, Failure> {
        self.change(|db| {
            let since: Option<Option<i64>> = db
                .prepare_cached("SELECT failing_since FROM hook WHERE id = ?1 AND round = ?2")?
                .query_row([hook.id, hook.round], |r| r.get(0))
                .optional()?;
            let Some(since) = since else { return Ok(Stands::Elsewhere) };
            let since = since.map_or(now, |since| since as u64);
            let off = match gone {
                true => Some(Off::Gone),
                false => (now.saturating_sub(since) >= GIVEN_UP_MS).then_some(Off::Failing),
            };
            let why: String = why.chars().take(MAX_FAILURE).collect();
            db.prepare_cached("UPDATE hook SET failing_since = ?2, failure = ?3, off = ?4 WHERE id = ?1")?
                .execute(params![hook.id, since as i64, why, off.map(Off::name)])?;
            Ok(off.map_or(Stands::On, Stands::Off))
        })
    }

    /// The hooks of a directory that somebody else works on: nothing is written, and nothing made.
    pub fn look_at_hooks(dir: &Path) -> Result<Vec<Hook>, Failure> {
        let path = dir.join(DATABASE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(PATIENCE)?;
        let version: i64 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
        match version {
            ..3 => Ok(Vec::new()),
            // Of a version before nobody has another secret yet.
            3..8 => all(&db, &COLUMNS.replace("before, before_until", "NULL, NULL")),
            _ => all(&db, COLUMNS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SCHEMA, Users};
    use super::*;

    fn new(name: &str) -> NewHook {
        NewHook {
            name: name.to_owned(),
            url: "http://127.0.0.1:9/x?key=k".to_owned(),
            stages: vec!["closed".to_owned()],
            ca: None,
            cursor: "0-0000000000000000".to_owned(),
        }
    }

    #[test]
    fn a_hook_keeps_its_cursor_through_failure_and_is_off_after_three_days_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let hook = users.add_hook(&new("hall"), 1).unwrap();
        assert!(users.add_hook(&new("hall"), 1).is_err(), "the name is taken");
        assert!(users.add_hook(&new("a b"), 1).is_err());
        assert!(users.hook_told(&hook, "1-aa", 5).unwrap());
        assert_eq!(users.hook_failed(&hook, "answered 500", false, 10).unwrap(), Stands::On);
        assert_eq!(users.hook_failed(&hook, "answered 502", false, 9 + GIVEN_UP_MS).unwrap(), Stands::On);
        let stands = users.hook_failed(&hook, "answered 503", false, 10 + GIVEN_UP_MS).unwrap();
        assert_eq!(stands, Stands::Off(Off::Failing));
        let off = &users.hooks().unwrap()[0];
        assert_eq!((off.failing_since, off.failure.as_deref()), (Some(10), Some("answered 503")));
        assert_eq!((off.off, off.cursor.as_str()), (Some(Off::Failing), "1-aa"));
        assert_eq!(Users::look_at_hooks(dir.path()).unwrap(), users.hooks().unwrap());

        let again = users.resume_hook("hall").unwrap();
        assert_eq!((again.off, again.failing_since, again.cursor.as_str()), (None, None, "1-aa"));
        assert!(!users.hook_told(&hook, "2-bb", 11).unwrap(), "what went on before does not count any more");
        assert_eq!(users.hook_failed(&hook, "x", true, 12).unwrap(), Stands::Elsewhere);
        assert_eq!(users.hook_failed(&again, "answered 410", true, 13).unwrap(), Stands::Off(Off::Gone));
        users.remove_hook("hall").unwrap();
        assert!(!users.hook_passed(&again, "3-cc").unwrap());
        assert!(users.hook("hall").is_err());
        assert_ne!(users.add_hook(&new("hall"), 14).unwrap().id, hook.id, "rows are never given again");
    }

    #[test]
    fn a_failure_that_ends_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let hook = users.add_hook(&new("hall"), 1).unwrap();
        users.hook_failed(&hook, "x", false, 10).unwrap();
        users.hook_told(&hook, "1-aa", 20).unwrap();
        assert_eq!(users.hook_failed(&hook, "x", false, 11 + GIVEN_UP_MS).unwrap(), Stands::On);
    }

    #[test]
    fn a_hook_prints_neither_its_secret_nor_the_key_in_its_url() {
        let dir = tempfile::tempdir().unwrap();
        let hook = Users::open(dir.path()).unwrap().add_hook(&new("hall"), 1).unwrap();
        let printed = format!("{hook:?} {:?}", hook.secret);
        assert!(printed.contains("hall") && printed.ends_with("Secret(..)"), "{printed}");
        assert!(!printed.contains("key"), "{printed}");
    }

    #[test]
    fn a_database_of_the_version_before_gets_the_table_and_keeps_what_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        users.append(1, Some("li"), "127.0.0.1", "sign-in", None, "").unwrap();
        users
            .db()
            .execute_batch(
                "DROP TABLE hook; DROP TABLE secret; DROP TABLE filed; DROP TABLE sms_in; DROP TABLE sms_out;
                 DROP TABLE sms_ticket; DROP TABLE sms_mark; DROP TABLE recording; DROP TABLE call;
                 DROP TABLE extension; ALTER TABLE account DROP COLUMN serves;
                 ALTER TABLE account DROP COLUMN department; PRAGMA user_version = 2;",
            )
            .unwrap();
        drop(users);
        assert_eq!(Users::look_at_hooks(dir.path()).unwrap(), [], "looking changes nothing");
        let users = Users::open(dir.path()).unwrap();
        let version: i64 = users.db().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, SCHEMA);
        users.add_hook(&new("hall"), 1).unwrap();
        assert_eq!(users.verify_audit(None).unwrap().lines, 1);
    }

    #[test]
    fn hooks_of_a_database_of_before_are_looked_at_and_get_another_secret_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let made = users.add_hook(&new("hall"), 1).unwrap();
        users
            .db()
            .execute_batch(
                "ALTER TABLE hook DROP COLUMN before; ALTER TABLE hook DROP COLUMN before_until;
                 ALTER TABLE account DROP COLUMN serves;
                 ALTER TABLE account DROP COLUMN department; PRAGMA user_version = 7;",
            )
            .unwrap();
        drop(users);
        assert_eq!(Users::look_at_hooks(dir.path()).unwrap(), std::slice::from_ref(&made));
        let users = Users::open(dir.path()).unwrap();
        let renewed = users.renew_hook("hall", 10).unwrap();
        assert_eq!(renewed.secrets(9), [&renewed.secret, &made.secret]);
        assert_eq!(renewed.secrets(10), [&renewed.secret]);
        assert_eq!(users.renew_hook("hall", 20).unwrap().secrets(9)[1], &renewed.secret);
    }
}
