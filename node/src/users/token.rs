//! Tokens: how programs come in. Each is of a role, like an account, and of some scopes, which narrow the role further.
//!
//! A program shows 32 random bytes; the database holds their hash, so whoever reads it comes in as nobody. A token is shown
//! once, ends at its date, and is revoked at once. A revoked one keeps its row and its name is never given again, so that
//! entries and the audit log speak of one program for ever.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Account, Role, Users, account, drawn};
use crate::files::FileRequest;
use crate::hex::{hex, unhex};
use crate::request::{Failure, FailureKind, Request};

pub(super) const TABLES: &str = "
CREATE TABLE token(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL UNIQUE, role TEXT NOT NULL, scopes TEXT NOT NULL,
  made_at INTEGER NOT NULL, ends_at INTEGER, revoked_at INTEGER, seen_at INTEGER);
";

/// Most tokens of one node, revoked ones among them.
const MAX_TOKENS: i64 = 1_000;

/// How often a token's last use is written down.
const STEP_MS: u64 = 60 * 60_000;

/// What every token begins with, so that one that lies about is known for what it is.
const MARK: &str = "hotline_";

/// What a token may be used for, within what its role may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Queues, tickets, their trail; no caller.
    #[serde(rename = "tickets:read")]
    TicketsRead,
    /// New tickets, actions, notes.
    #[serde(rename = "tickets:write")]
    TicketsWrite,
    /// Files of tickets.
    #[serde(rename = "files:read")]
    FilesRead,
    /// Files put under tickets.
    #[serde(rename = "files:write")]
    FilesWrite,
    /// Callers, each for a reason that is logged.
    #[serde(rename = "persons:read")]
    PersonsRead,
    /// Articles of the knowledge base.
    #[serde(rename = "knowledge:read")]
    KnowledgeRead,
    /// What is said of articles: that they helped, or that they did not.
    #[serde(rename = "knowledge:write")]
    KnowledgeWrite,
    /// Links, counts, volume: no ticket.
    #[serde(rename = "status:read")]
    StatusRead,
    /// Requests by Open311, at the public door.
    #[serde(rename = "open311:write")]
    Open311,
    /// Figures: no ticket.
    #[serde(rename = "figures:read")]
    FiguresRead,
    /// Where a telephone system is to put a call through.
    #[serde(rename = "cti:read")]
    CtiRead,
    /// Events of calls, and their recordings.
    #[serde(rename = "cti:write")]
    CtiWrite,
}

/// All scopes with their names.
pub const SCOPES: [(Scope, &str); 12] = [
    (Scope::TicketsRead, "tickets:read"),
    (Scope::TicketsWrite, "tickets:write"),
    (Scope::FilesRead, "files:read"),
    (Scope::FilesWrite, "files:write"),
    (Scope::PersonsRead, "persons:read"),
    (Scope::KnowledgeRead, "knowledge:read"),
    (Scope::KnowledgeWrite, "knowledge:write"),
    (Scope::StatusRead, "status:read"),
    (Scope::Open311, "open311:write"),
    (Scope::FiguresRead, "figures:read"),
    (Scope::CtiRead, "cti:read"),
    (Scope::CtiWrite, "cti:write"),
];

impl Scope {
    /// Its name.
    pub fn name(self) -> &'static str {
        SCOPES.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }

    /// The scope that a request needs; `None` for what no token may ask for.
    pub fn of(request: &Request) -> Option<Scope> {
        use crate::knowledge::request::KnowledgeRequest as Article;
        match request {
            Request::When { then, .. } | Request::For { then, .. } => Scope::of(then),
            Request::Show { reveal: Some(_), .. }
            | Request::Reveal { .. }
            | Request::Lookup { .. }
            | Request::File(
                FileRequest::List { reveal: Some(_), .. } | FileRequest::Fetch { reveal: Some(_), .. },
            ) => Some(Scope::PersonsRead),
            Request::Show { .. }
            | Request::History { .. }
            | Request::Choices { .. }
            | Request::List { .. }
            | Request::Search { .. }
            | Request::Similar { .. }
            | Request::Outside { .. }
            | Request::Changes { .. }
            | Request::Figured { .. }
            | Request::Conflicts => Some(Scope::TicketsRead),
            Request::New { .. } | Request::Act { .. } | Request::Note { .. } => Some(Scope::TicketsWrite),
            Request::File(
                FileRequest::Attach { .. } | FileRequest::AttachPart { .. } | FileRequest::AttachEnd { .. },
            ) => Some(Scope::FilesWrite),
            Request::File(_) => Some(Scope::FilesRead),
            Request::Knowledge(
                Article::List { .. }
                | Article::Search { .. }
                | Article::Suggest { .. }
                | Article::Public { .. }
                | Article::Told { .. }
                | Article::Show { .. },
            ) => Some(Scope::KnowledgeRead),
            Request::Knowledge(Article::Used { .. } | Article::Unhelpful { .. }) => {
                Some(Scope::KnowledgeWrite)
            }
            Request::Status | Request::Volume { .. } => Some(Scope::StatusRead),
            Request::Calls { .. }
            | Request::Figures { .. }
            | Request::Form { .. }
            | Request::Scorecard { .. }
            | Request::Months { .. } => Some(Scope::FiguresRead),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(s: &str) -> Result<Scope, String> {
        SCOPES.into_iter().find(|(_, name)| *name == s).map(|(scope, _)| scope).ok_or_else(|| {
            let names: Vec<&str> = SCOPES.iter().map(|(_, name)| *name).collect();
            format!(
                "`{}` is no scope; scopes are {}",
                s.chars().take(40).collect::<String>(),
                names.join(", ")
            )
        })
    }
}

/// What is known of a token; never the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whose rights it has at most.
    pub role: Role,
    /// What of them.
    pub scopes: Vec<Scope>,
    /// When it ends, in milliseconds since 1970; never if `None`.
    pub ends_at: Option<u64>,
    /// When it was revoked.
    pub revoked_at: Option<u64>,
    /// When it was last used, to the hour.
    pub seen_at: Option<u64>,
}

impl ApiToken {
    /// The account as which the table of rights and every entry know it. No person's name has a blank in it.
    pub fn account(&self) -> Account {
        Account {
            id: -self.id,
            name: format!("token {}", self.name),
            role: self.role,
            must_change: false,
            locked: false,
            seen_at: self.seen_at,
            serves: Vec::new(),
            department: String::new(),
        }
    }

    /// Whether it still counts at this time.
    pub fn counts(&self, now: u64) -> bool {
        self.revoked_at.is_none() && self.ends_at.is_none_or(|end| now < end)
    }
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    let bytes = Zeroizing::new(unhex(text.strip_prefix(MARK)?).filter(|bytes| bytes.len() == 32)?);
    Some(blake3::derive_key("hotline 2026 api token", &bytes))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    let wrong = |i, what: String| rusqlite::Error::InvalidColumnType(i, what, rusqlite::types::Type::Text);
    let (role, scopes): (String, String) = (row.get(2)?, row.get(3)?);
    let time = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(i)?.map(|at| at as u64));
    Ok(ApiToken {
        id: row.get(0)?,
        name: row.get(1)?,
        role: role.parse().map_err(|_| wrong(2, role.clone()))?,
        scopes: scopes
            .split(',')
            .filter(|s| !s.is_empty())
            .map(str::parse)
            .collect::<Result<_, String>>()
            .map_err(|why| wrong(3, why))?,
        ends_at: time(4)?,
        revoked_at: time(5)?,
        seen_at: time(6)?,
    })
}

const COLUMNS: &str = "id, name, role, scopes, ends_at, revoked_at, seen_at";

fn named(db: &Connection, name: &str) -> Result<ApiToken, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM token WHERE name = ?1");
    db.prepare_cached(&sql)?.query_row([account::normal(name)], read).optional()?.ok_or_else(|| {
        let name: String = name.chars().take(account::MAX_NAME).collect();
        Failure::new(FailureKind::Failed, format!("there is no token `{name}`"))
            .hint("those that there are: `hotline token list`")
    })
}

impl Users {
    /// Makes a token, drawn here and returned once.
    pub fn add_token(
        &self,
        name: &str,
        role: Role,
        scopes: &[Scope],
        ends_at: Option<u64>,
        now: u64,
    ) -> Result<(ApiToken, Zeroizing<String>), Failure> {
        let name = account::check_name(name)?;
        if ends_at.is_some_and(|end| end <= now) {
            return Err(Failure::new(FailureKind::Usage, "a token cannot end before it begins"));
        }
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        let text = Zeroizing::new(format!("{MARK}{}", hex(&*Zeroizing::new(drawn::<32>()?))));
        let hash = hash_of(&text).unwrap_or_default();
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        self.change(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM token", [], |r| r.get(0))?;
            if count >= MAX_TOKENS {
                return Err(Failure::new(FailureKind::Failed, format!("there are {MAX_TOKENS} tokens")));
            }
            let made = db.execute(
                "INSERT INTO token(name, hash, role, scopes, made_at, ends_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT(name) DO NOTHING",
                params![name, hash, role.name(), names.join(","), now as i64, ends_at.map(|at| at as i64)],
            )?;
            if made == 0 {
                return Err(Failure::new(FailureKind::Failed, format!("there is, or was, a token `{name}`"))
                    .hint("names are never given again: choose another"));
            }
            named(db, &name)
        })
        .map(|token| (token, text))
    }

    /// All tokens, revoked and ended ones among them, by name.
    pub fn tokens(&self) -> Result<Vec<ApiToken>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM token ORDER BY name"))?;
        let rows = query.query_map([], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether the token of this row still counts.
    pub fn token_counts(&self, id: i64, now: u64) -> Result<bool, Failure> {
        let db = self.db();
        let sql = format!("SELECT {COLUMNS} FROM token WHERE id = ?1");
        let token = db.prepare_cached(&sql)?.query_row([id], read).optional()?;
        Ok(token.is_some_and(|token| token.counts(now)))
    }

    /// The token of this row, whether it still counts or not.
    pub fn token_of(&self, id: i64) -> Result<ApiToken, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM token WHERE id = ?1");
        Ok(self.db().prepare_cached(&sql)?.query_row([id], read)?)
    }

    /// Revokes a token for ever, from this moment on.
    pub fn revoke_token(&self, name: &str, now: u64) -> Result<ApiToken, Failure> {
        self.change(|db| {
            let token = named(db, name)?;
            db.execute(
                "UPDATE token SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
                params![token.id, now as i64],
            )?;
            named(db, name)
        })
    }

    /// The token that a program shows; `None` when there is none, or it has ended or was revoked.
    pub fn token(&self, shown: &str, now: u64) -> Result<Option<ApiToken>, Failure> {
        let Some(hash) = hash_of(shown) else { return Ok(None) };
        let db = self.db();
        let sql = format!("SELECT {COLUMNS} FROM token WHERE hash = ?1");
        let found = db.prepare_cached(&sql)?.query_row([hash], read).optional()?;
        let Some(token) = found.filter(|token| token.counts(now)) else { return Ok(None) };
        if token.seen_at.is_none_or(|seen| now.abs_diff(seen) >= STEP_MS) {
            db.execute("UPDATE token SET seen_at = ?2 WHERE id = ?1", params![token.id, now as i64])?;
        }
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lets_in_until_it_ends_or_is_revoked_and_is_stored_as_a_hash_only() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let scopes = [Scope::TicketsWrite, Scope::TicketsRead, Scope::TicketsRead];
        let (made, text) = users.add_token("hall", Role::Agent, &scopes, Some(1_000), 1).unwrap();
        assert_eq!(made.scopes, [Scope::TicketsRead, Scope::TicketsWrite]);
        assert_eq!(users.token(&text, 999).unwrap().map(|t| t.account().name).as_deref(), Some("token hall"));
        assert_eq!(users.token(&text, 1_000).unwrap(), None, "it has ended");
        for wrong in ["", "hotline_", &text[..text.len() - 2], &text[MARK.len()..], &text.replace('_', "-")] {
            assert_eq!(users.token(wrong, 5).unwrap(), None, "{wrong}");
        }
        assert!(users.token_counts(made.id, 999).unwrap() && !users.token_counts(made.id, 1_000).unwrap());
        users.revoke_token("Hall", 7).unwrap();
        assert!(!users.token_counts(made.id, 8).unwrap() && !users.token_counts(made.id + 1, 8).unwrap());
        assert_eq!(users.token(&text, 8).unwrap(), None, "it was revoked");
        assert!(users.add_token("hall", Role::Agent, &[], None, 9).is_err(), "names are not given again");
        assert_eq!(users.revoke_token("hall", 10).unwrap().revoked_at, Some(7));
        assert!(users.revoke_token("nobody", 10).is_err());
        drop(users);
        for name in [super::super::DATABASE, "desk.db-wal"] {
            let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
            let secret = unhex(&text[MARK.len()..]).unwrap();
            assert!(!bytes.windows(32).any(|w| w == secret), "{name}");
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{name}");
        }
    }

    #[test]
    fn scopes_have_names() {
        for (scope, name) in SCOPES {
            assert_eq!((name.parse(), scope.name()), (Ok(scope), name));
            assert_eq!(serde_json::to_value(scope).unwrap(), name);
        }
        assert!("all".parse::<Scope>().unwrap_err().contains("tickets:read"));
    }
}
