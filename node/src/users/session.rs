//! Sessions: who is signed in, where, and until when.
//!
//! A browser holds 32 random bytes; the database holds their hash, so whoever reads it signs in as nobody. A session ends
//! when it rests, when it is old, at sign-out, at every change of password or role, and when its account is locked.

use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Account, Users, account, drawn, password};
use crate::hex::{hex, unhex};
use crate::request::{Failure, Language};

pub(super) const TABLES: &str = "
CREATE TABLE session(
  hash BLOB PRIMARY KEY, account INTEGER NOT NULL REFERENCES account(id), form TEXT NOT NULL, language TEXT NOT NULL,
  address TEXT NOT NULL, began_at INTEGER NOT NULL, seen_at INTEGER NOT NULL);
CREATE INDEX session_account ON session(account);
";

/// A session that rests for so long ends.
pub const IDLE_MS: u64 = 60 * 60_000;

/// A session ends after so long, whatever is done in it: a shift and what comes after it.
pub const ABSOLUTE_MS: u64 = 12 * 60 * 60_000;

/// How often a session's last use is written down.
const STEP_MS: u64 = 60_000;

/// Most sessions of one account; a further one ends the oldest.
const MAX_SESSIONS: i64 = 8;

/// What a browser shows to say whose session it is. Never written anywhere.
pub struct Token(Zeroizing<String>);

impl Token {
    /// The text for the browser.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn hash_of(text: &str) -> Option<[u8; 32]> {
        let bytes = Zeroizing::new(unhex(text).filter(|bytes| bytes.len() == 32)?);
        Some(blake3::derive_key("hotline 2026 desk session", &bytes))
    }
}

/// Why somebody stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// Name or password is not right.
    Wrong,
    /// The account is locked.
    Locked,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Who.
    pub account: Account,
    /// What every form of this session carries.
    pub form: String,
    /// The language of the pages.
    pub language: Language,
    hash: [u8; 32],
}

impl Session {
    /// What a program asks in that has shown a token. It is no browser's: no form carries anything of it.
    pub fn of_program(account: Account) -> Session {
        Session { account, form: String::new(), language: Language::En, hash: [0; 32] }
    }
}

impl Users {
    /// Whether this is the account's password. A wrong one, and a name that nobody has, cost the same and are answered alike;
    /// a locked account is told so only to whoever knows its password.
    pub fn verify(&self, name: &str, typed: &str) -> Result<Result<Account, Stays>, Failure> {
        let Some((account, hash)) = self.secret(name)? else {
            password::verify_nobody(typed);
            return Ok(Err(Stays::Wrong));
        };
        Ok(match password::verify(typed, &hash) {
            false => Err(Stays::Wrong),
            true if account.locked => Err(Stays::Locked),
            true => Ok(account),
        })
    }

    /// Begins a session.
    pub fn begin_session(&self, account: &Account, address: &str, now: u64) -> Result<Token, Failure> {
        let token = Token(Zeroizing::new(hex(&*Zeroizing::new(drawn::<32>()?))));
        let hash = Token::hash_of(token.text()).unwrap_or_default();
        let form = hex(&drawn::<32>()?);
        self.change(|db| {
            db.execute(
                "DELETE FROM session WHERE account = ?1 AND hash NOT IN
                   (SELECT hash FROM session WHERE account = ?1 ORDER BY seen_at DESC LIMIT ?2)",
                params![account.id, MAX_SESSIONS - 1],
            )?;
            db.execute(
                "DELETE FROM session WHERE seen_at < ?1 OR began_at < ?2",
                params![now.saturating_sub(IDLE_MS) as i64, now.saturating_sub(ABSOLUTE_MS) as i64],
            )?;
            db.execute(
                "INSERT INTO session(hash, account, form, language, address, began_at, seen_at)
                 VALUES(?1, ?2, ?3, 'zh', ?4, ?5, ?5)",
                params![hash, account.id, form, address, now as i64],
            )?;
            db.execute("UPDATE account SET seen_at = ?2 WHERE id = ?1", params![account.id, now as i64])?;
            Ok(())
        })?;
        Ok(token)
    }

    /// The session that a browser shows; `None` when there is none or it has ended. `used` when a person did something: what
    /// a page does by itself keeps nobody signed in.
    pub fn session(&self, shown: &str, used: bool, now: u64) -> Result<Option<Session>, Failure> {
        let Some(hash) = Token::hash_of(shown) else { return Ok(None) };
        let db = self.db();
        let found: Option<(i64, String, String, i64, i64)> = db
            .prepare_cached("SELECT account, form, language, began_at, seen_at FROM session WHERE hash = ?1")?
            .query_row([hash], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
            .optional()?;
        let Some((id, form, language, began, seen)) = found else { return Ok(None) };
        let over =
            now.saturating_sub(seen as u64) >= IDLE_MS || now.saturating_sub(began as u64) >= ABSOLUTE_MS;
        let account = account::of_id(&db, id)?.filter(|a| !a.locked && !over);
        let Some(account) = account else {
            db.execute("DELETE FROM session WHERE hash = ?1", [hash])?;
            return Ok(None);
        };
        if used && now.saturating_sub(seen as u64) >= STEP_MS {
            // A full disk must not sign everybody out: then the session rests a little earlier.
            let _ = db.execute("UPDATE session SET seen_at = ?2 WHERE hash = ?1", params![hash, now as i64]);
        }
        let language = if language == "en" { Language::En } else { Language::Zh };
        Ok(Some(Session { account, form, language, hash }))
    }

    /// Ends a session.
    pub fn end_session(&self, session: &Session) -> Result<(), Failure> {
        self.db().execute("DELETE FROM session WHERE hash = ?1", [session.hash])?;
        Ok(())
    }

    /// The language of a session's pages from now on.
    pub fn speak(&self, session: &Session, language: Language) -> Result<(), Failure> {
        let word = match language {
            Language::Zh => "zh",
            Language::En => "en",
        };
        self.db().execute("UPDATE session SET language = ?2 WHERE hash = ?1", params![session.hash, word])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    #[test]
    fn a_session_ends_when_it_rests_when_it_is_old_and_with_its_account() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let (account, first) = users.add("li", Role::Agent, 0).unwrap();
        assert_eq!(users.verify("LI", &first).unwrap(), Ok(account.clone()));
        assert_eq!(users.verify("nobody", "x").unwrap(), Err(Stays::Wrong));
        assert_eq!(users.verify("li", "x").unwrap(), Err(Stays::Wrong));
        users.set_locked("li", true).unwrap();
        assert_eq!(users.verify("li", "x").unwrap(), Err(Stays::Wrong), "only its holder learns it");
        assert_eq!(users.verify("li", &first).unwrap(), Err(Stays::Locked));
        users.set_locked("li", false).unwrap();
        let begin = |now| users.begin_session(&account, "127.0.0.1", now).unwrap();
        let alive = |token: &Token, now| users.session(token.text(), true, now).unwrap().is_some();

        let token = begin(0);
        assert!(alive(&token, IDLE_MS - 1), "and this was a use");
        assert!(alive(&token, 2 * IDLE_MS - 2));
        assert!(!alive(&token, 3 * IDLE_MS - 2), "it rested");

        let token = begin(0);
        let mut now = 0;
        while now + IDLE_MS / 2 < ABSOLUTE_MS {
            now += IDLE_MS / 2;
            assert!(alive(&token, now));
        }
        assert!(!alive(&token, ABSOLUTE_MS), "it is old, however busy");

        let token = begin(0);
        assert!(users.session(token.text(), false, IDLE_MS - 1).unwrap().is_some());
        assert!(!alive(&token, IDLE_MS), "what a page does by itself is no use");

        for end in ["role", "lock", "password", "remove"] {
            let token = begin(5);
            assert!(alive(&token, 6), "{end}");
            match end {
                "role" => drop(users.set_role("li", Role::Handler).unwrap()),
                "lock" => {
                    users.set_locked("li", true).unwrap();
                    users.set_locked("li", false).unwrap();
                }
                "password" => drop(users.reset_password("li").unwrap()),
                _ => drop(users.remove("li").unwrap()),
            }
            assert!(!alive(&token, 7), "{end}");
        }
        assert!(users.session("zz", true, 0).unwrap().is_none());
    }

    #[test]
    fn what_the_database_holds_signs_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let (account, _) = users.add("li", Role::Agent, 0).unwrap();
        let token = users.begin_session(&account, "127.0.0.1", 0).unwrap();
        let stored: [u8; 32] = users.db().query_row("SELECT hash FROM session", [], |r| r.get(0)).unwrap();
        assert!(users.session(&hex(&stored), true, 1).unwrap().is_none());
        assert!(users.session(token.text(), true, 1).unwrap().is_some());
    }
}
