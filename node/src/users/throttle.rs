//! Guessing costs time: failed sign-ins are counted by name and by address, and both wait ever longer.
//!
//! ```text
//! a name       after 5 failures in a day one minute, then twice as long for each, up to an hour
//! an address   after 30 failures in a quarter of an hour a quarter of an hour
//! ```
//!
//! Names that nobody has are counted like others. The counts outlive a restart; whoever comes in ends that of the name. A
//! whole hall may sit behind one address, so a day's slips of the finger do not add up there. An account is never locked
//! for good by strangers: that would be a way to keep the hall out.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Users, account};
use crate::request::Failure;

pub(super) const TABLES: &str = "
CREATE TABLE attempt(
  subject TEXT PRIMARY KEY, failures INTEGER NOT NULL, since INTEGER NOT NULL, last_at INTEGER NOT NULL,
  until INTEGER NOT NULL);
";

const MINUTE_MS: u64 = 60_000;
const LONGEST_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// How something is counted.
struct Rule {
    /// Failures that cost nothing.
    free: u32,
    /// How long failures add up.
    window: u64,
    /// How long the first one beyond costs.
    first: u64,
    /// How long any costs at most.
    longest: u64,
}

const NAME: Rule = Rule { free: 5, window: DAY_MS, first: MINUTE_MS, longest: LONGEST_MS };
const ADDRESS: Rule =
    Rule { free: 30, window: 15 * MINUTE_MS, first: 15 * MINUTE_MS, longest: 15 * MINUTE_MS };

/// Most names and addresses that are counted: when more are tried, the oldest are forgotten.
const MAX_COUNTED: i64 = 10_000;

/// Nobody may try before so many milliseconds have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub u64);

impl Wait {
    /// In whole minutes, upwards.
    pub fn minutes(self) -> u64 {
        self.0.div_ceil(MINUTE_MS).max(1)
    }
}

fn subjects(name: &str, address: &str) -> [(String, Rule); 2] {
    let name: String = account::normal(name).chars().take(64).collect();
    [(format!("name {name}"), NAME), (format!("address {address}"), ADDRESS)]
}

/// How long to wait after so many failures.
fn penalty(failures: u32, rule: &Rule) -> u64 {
    match failures.checked_sub(rule.free) {
        None => 0,
        Some(beyond) => rule.first.saturating_mul(1 << beyond.min(16)).min(rule.longest),
    }
}

fn until(db: &Connection, subject: &str) -> Result<u64, Failure> {
    let found: Option<i64> = db
        .prepare_cached("SELECT until FROM attempt WHERE subject = ?1")?
        .query_row([subject], |r| r.get(0))
        .optional()?;
    Ok(found.unwrap_or_default() as u64)
}

impl Users {
    /// Whether somebody may try a password for this name from this address now.
    pub fn may_try(&self, name: &str, address: &str, now: u64) -> Result<Result<(), Wait>, Failure> {
        let db = self.db();
        let mut longest = 0;
        for (subject, ..) in subjects(name, address) {
            // A clock that was set back keeps nobody waiting for longer than the longest wait.
            longest = longest.max(until(&db, &subject)?.saturating_sub(now).min(LONGEST_MS));
        }
        Ok(if longest == 0 { Ok(()) } else { Err(Wait(longest)) })
    }

    /// Counts a failure; how long both must wait now.
    pub fn failed(&self, name: &str, address: &str, now: u64) -> Result<Option<Wait>, Failure> {
        self.change(|db| {
            db.execute(
                "DELETE FROM attempt WHERE last_at < ?1 OR subject IN
                   (SELECT subject FROM attempt ORDER BY last_at DESC LIMIT -1 OFFSET ?2)",
                params![now.saturating_sub(DAY_MS) as i64, MAX_COUNTED],
            )?;
            let mut longest = 0;
            for (subject, rule) in subjects(name, address) {
                let failures: u32 = db.query_row(
                    "INSERT INTO attempt VALUES(?1, 1, ?2, ?2, 0)
                     ON CONFLICT(subject) DO UPDATE SET
                       failures = CASE WHEN since < ?3 THEN 1 ELSE failures + 1 END,
                       since = CASE WHEN since < ?3 THEN ?2 ELSE since END, last_at = ?2
                     RETURNING failures",
                    params![subject, now as i64, now.saturating_sub(rule.window) as i64],
                    |r| r.get(0),
                )?;
                let wait = penalty(failures, &rule);
                if wait > 0 {
                    db.execute(
                        "UPDATE attempt SET until = ?2 WHERE subject = ?1",
                        params![subject, (now + wait) as i64],
                    )?;
                }
                longest = longest.max(wait);
            }
            Ok((longest > 0).then_some(Wait(longest)))
        })
    }

    /// Forgets what was counted against a name: its holder has come in, or an administrator lets it try again.
    pub fn forgive(&self, name: &str) -> Result<(), Failure> {
        let [(subject, ..), _] = subjects(name, "");
        self.db().execute("DELETE FROM attempt WHERE subject = ?1", [subject])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_waits_longer_and_longer_and_an_address_later() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let now = 1_000_000_000;
        for _ in 0..4 {
            assert_eq!(users.failed("li", "10.0.0.1", now).unwrap(), None);
        }
        assert_eq!(users.failed("LI ", "10.0.0.2", now).unwrap(), Some(Wait(MINUTE_MS)));
        assert_eq!(users.may_try("li", "10.0.0.3", now).unwrap(), Err(Wait(MINUTE_MS)));
        assert_eq!(users.may_try("wang", "10.0.0.1", now).unwrap(), Ok(()), "others are let alone");
        assert_eq!(users.may_try("li", "10.0.0.3", now + MINUTE_MS).unwrap(), Ok(()));
        assert_eq!(users.failed("li", "10.0.0.1", now).unwrap(), Some(Wait(2 * MINUTE_MS)));
        for _ in 0..30 {
            users.failed("li", "10.0.0.1", now).unwrap();
        }
        assert_eq!(users.may_try("li", "10.0.0.9", now).unwrap(), Err(Wait(LONGEST_MS)), "never longer");
        drop(users);
        let users = Users::open(dir.path()).unwrap();
        assert!(users.may_try("li", "10.0.0.9", now).unwrap().is_err(), "a restart forgets nothing");
        assert!(users.may_try("wang", "10.0.0.1", now).unwrap().is_err(), "so many names from one address");
        users.forgive("li").unwrap();
        assert_eq!(users.may_try("li", "10.0.0.9", now).unwrap(), Ok(()));
    }

    #[test]
    fn a_halls_slips_of_a_day_do_not_add_up() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let mut now = 1_000_000_000;
        for slip in 0..200 {
            let name = format!("agent{slip}");
            assert_eq!(users.failed(&name, "10.0.0.1", now).unwrap(), None, "slip {slip}");
            now += 5 * MINUTE_MS;
        }
        let guesses =
            (0..40).filter(|n| users.failed(&format!("guess{n}"), "10.0.0.2", now).unwrap().is_some());
        assert_eq!(guesses.count(), 11, "a guesser gets thirty in a quarter of an hour");
    }
}
