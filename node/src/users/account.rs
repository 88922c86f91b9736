//! Accounts: a name, a role, a password's hash, and whether its holder may come in.
//!
//! A removed account keeps its row and its name is never given again, so that the audit log speaks of one person for ever.

use certs::Site;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Role, Users, password};
use crate::request::{Failure, FailureKind};

pub(super) const TABLES: &str = "
CREATE TABLE account(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, password TEXT NOT NULL,
  must_change INTEGER NOT NULL, locked INTEGER NOT NULL, removed INTEGER NOT NULL,
  made_at INTEGER NOT NULL, seen_at INTEGER);
";

/// Seats that serve other centres.
pub(super) const SERVES: &str = "ALTER TABLE account ADD COLUMN serves TEXT NOT NULL DEFAULT '';";

/// People of a department.
pub(super) const DEPARTMENT: &str = "ALTER TABLE account ADD COLUMN department TEXT NOT NULL DEFAULT '';";

/// The longest name of a department, in characters.
const MAX_DEPARTMENT: usize = 40;

/// The most other centres that one account serves.
const MAX_SERVED: usize = 64;

/// The longest name, in characters.
pub const MAX_NAME: usize = 32;

/// Most accounts of one node.
const MAX_ACCOUNTS: i64 = 5_000;

/// Somebody who may work at the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its row; names may be typed in other letters, this is the account.
    #[serde(skip)]
    pub id: i64,
    /// Its name, as it stands in entries and in the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its password was given by somebody else: it must choose its own before anything else.
    pub must_change: bool,
    /// An administrator has locked it.
    pub locked: bool,
    /// When it last signed in, in milliseconds since 1970.
    pub seen_at: Option<u64>,
    /// 远程座席: the other centres for which its holder may take calls.
    pub serves: Vec<Site>,
    /// The department whose tickets are its team's; empty for none.
    pub department: String,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Account> {
    let role: String = row.get(2)?;
    let role =
        role.parse().map_err(|_| rusqlite::Error::InvalidColumnType(2, role, rusqlite::types::Type::Text))?;
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        role,
        must_change: row.get(3)?,
        locked: row.get(4)?,
        seen_at: row.get::<_, Option<i64>>(5)?.map(|at| at as u64),
        serves: row.get::<_, String>(6)?.split_whitespace().filter_map(|site| site.parse().ok()).collect(),
        department: row.get(7)?,
    })
}

const COLUMNS: &str = "id, name, role, must_change, locked, seen_at, serves, department";

pub(super) fn of_id(db: &Connection, id: i64) -> Result<Option<Account>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM account WHERE id = ?1 AND removed = 0");
    Ok(db.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// A name as it is compared: without blanks around it, Latin letters small.
pub(super) fn normal(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

pub(super) fn check_name(name: &str) -> Result<String, Failure> {
    let name = normal(name);
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.chars().count() > MAX_NAME || !name.chars().all(fine) {
        return Err(Failure::new(
            FailureKind::Usage,
            format!("a name has 1 to {MAX_NAME} letters, digits, dots and dashes"),
        )
        .hint("use the name that colleagues know: zhang.wei, or 张伟"));
    }
    Ok(name)
}

fn unknown(name: &str) -> Failure {
    let name: String = name.chars().take(MAX_NAME).collect();
    Failure::new(FailureKind::Failed, format!("there is no account `{name}`"))
        .hint("those that there are: `hotline user list`")
}

impl Users {
    /// Makes an account. Its first password is drawn here and returned once; it must be changed at the first sign-in.
    pub fn add(&self, name: &str, role: Role, now: u64) -> Result<(Account, Zeroizing<String>), Failure> {
        let name = check_name(name)?;
        let first = password::drawn_password()?;
        let hash = password::hash(&first)?;
        self.change(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM account", [], |r| r.get(0))?;
            if count >= MAX_ACCOUNTS {
                return Err(Failure::new(FailureKind::Failed, format!("there are {MAX_ACCOUNTS} accounts")));
            }
            let made = db.execute(
                "INSERT INTO account(name, role, password, must_change, locked, removed, made_at)
                 VALUES(?1, ?2, ?3, 1, 0, 0, ?4) ON CONFLICT(name) DO NOTHING",
                params![name, role.name(), hash, now as i64],
            )?;
            if made == 0 {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("there is, or was, an account `{name}`"),
                )
                .hint(
                    "names are never given again, so that the audit log speaks of one person: choose another",
                ));
            }
            of_id(db, db.last_insert_rowid())?.ok_or_else(|| unknown(&name))
        })
        .map(|account| (account, first))
    }

    /// All accounts that are not removed, by name.
    pub fn list(&self) -> Result<Vec<Account>, Failure> {
        let db = self.db();
        let mut query =
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM account WHERE removed = 0 ORDER BY name"))?;
        let rows = query.query_map([], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The account of this name.
    pub fn named(&self, name: &str) -> Result<Account, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM account WHERE name = ?1 AND removed = 0");
        let found = self.db().prepare_cached(&sql)?.query_row([normal(name)], read).optional()?;
        found.ok_or_else(|| unknown(name))
    }

    /// The account and its password's hash; for checking one that was typed.
    pub(super) fn secret(&self, name: &str) -> Result<Option<(Account, String)>, Failure> {
        let sql = format!("SELECT {COLUMNS}, password FROM account WHERE name = ?1 AND removed = 0");
        Ok(self
            .db()
            .prepare_cached(&sql)?
            .query_row([normal(name)], |r| Ok((read(r)?, r.get(8)?)))
            .optional()?)
    }

    /// Gives an account another role. Its sessions end: they were opened under the old one.
    pub fn set_role(&self, name: &str, role: Role) -> Result<Account, Failure> {
        self.alter(name, "UPDATE account SET role = ?2 WHERE id = ?1", role.name())
    }

    /// Says for which other centres an account takes calls; its sessions end.
    pub fn set_serves(&self, name: &str, centres: &[Site]) -> Result<Account, Failure> {
        if centres.len() > MAX_SERVED {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("{} centres, and one account serves {MAX_SERVED} at most", centres.len()),
            ));
        }
        let mut names: Vec<String> = centres.iter().map(Site::to_string).collect();
        names.sort_unstable();
        names.dedup();
        self.alter(name, "UPDATE account SET serves = ?2 WHERE id = ?1", names.join(" "))
    }

    /// Says to which department an account belongs, as dispatches name it; to none without a name. Its sessions end.
    pub fn set_department(&self, name: &str, department: &str) -> Result<Account, Failure> {
        let department = department.trim();
        if department.chars().count() > MAX_DEPARTMENT || department.chars().any(char::is_control) {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("the name of a department has at most {MAX_DEPARTMENT} characters"),
            ));
        }
        self.alter(name, "UPDATE account SET department = ?2 WHERE id = ?1", department)
    }

    /// Locks an account or lets it in again; what was counted against its name is forgotten with that.
    pub fn set_locked(&self, name: &str, locked: bool) -> Result<Account, Failure> {
        let account = self.alter(name, "UPDATE account SET locked = ?2 WHERE id = ?1", locked)?;
        self.forgive(name)?;
        Ok(account)
    }

    /// Removes an account. Its name stays taken.
    pub fn remove(&self, name: &str) -> Result<Account, Failure> {
        let account = self.named(name)?;
        self.alter(name, "UPDATE account SET removed = ?2, password = '' WHERE id = ?1", true)?;
        self.change(|db| {
            db.execute("DELETE FROM draft WHERE account = ?1", [account.id])?;
            Ok(db.execute("DELETE FROM extension WHERE account = ?1", [account.id])?)
        })?;
        Ok(account)
    }

    /// Draws a new first password for somebody who has forgotten theirs.
    pub fn reset_password(&self, name: &str) -> Result<(Account, Zeroizing<String>), Failure> {
        let first = password::drawn_password()?;
        let hash = password::hash(&first)?;
        let sql = "UPDATE account SET password = ?2, must_change = 1 WHERE id = ?1";
        let account = self.alter(name, sql, hash)?;
        self.forgive(name)?;
        Ok((account, first))
    }

    /// Changes the own password, and all sessions of the account end; `false` when the present one is not right.
    ///
    /// # Errors
    /// Of kind `Usage` when the new one is no good.
    pub fn change_password(&self, account: &Account, old: &str, new: &str) -> Result<bool, Failure> {
        let known = self.secret(&account.name)?.ok_or_else(|| unknown(&account.name))?.1;
        if !password::verify(old, &known) {
            return Ok(false);
        }
        password::check(new, &account.name, Some(old))?;
        let hash = password::hash(new)?;
        let sql = "UPDATE account SET password = ?2, must_change = 0 WHERE id = ?1";
        self.alter(&account.name, sql, hash).map(|_| true)
    }

    /// One change of an account, with the end of its sessions.
    fn alter(&self, name: &str, sql: &str, value: impl rusqlite::ToSql) -> Result<Account, Failure> {
        let id = self.named(name)?.id;
        self.change(|db| {
            db.execute(sql, params![id, value])?;
            db.execute("DELETE FROM session WHERE account = ?1", [id])?;
            Ok(())
        })?;
        let sql = format!("SELECT {COLUMNS} FROM account WHERE id = ?1");
        Ok(self.db().query_row(&sql, [id], read)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> (tempfile::TempDir, Users) {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        (dir, users)
    }

    #[test]
    fn a_name_is_given_once_and_for_ever() {
        let (_dir, users) = users();
        let (account, first) = users.add(" Zhang.Wei ", Role::Agent, 1).unwrap();
        assert_eq!((account.name.as_str(), account.must_change), ("zhang.wei", true));
        assert!(first.len() >= 20);
        assert!(users.add("zhang.WEI", Role::Auditor, 1).is_err());
        users.remove("zhang.wei").unwrap();
        assert!(users.named("zhang.wei").is_err());
        let again = users.add("zhang.wei", Role::Agent, 1).unwrap_err();
        assert!(again.message.contains("or was"), "{again}");
        for name in ["", "a b", "<script>", "a\nb", &"x".repeat(33), "../etc"] {
            assert!(users.add(name, Role::Agent, 1).is_err(), "{name}");
        }
        assert!(users.add("张伟", Role::Agent, 1).is_ok());
    }

    #[test]
    fn a_password_changes_only_with_the_old_one_and_another_process_sees_it() {
        let (dir, users) = users();
        let other = Users::open(dir.path()).unwrap();
        let (account, first) = users.add("li", Role::Agent, 1).unwrap();
        assert!(!users.change_password(&account, "wrong", "a fine long password").unwrap());
        let same = users.change_password(&account, &first, &first).unwrap_err();
        assert!(same.message.contains("another"), "{same}");
        assert!(other.change_password(&account, &first, "a fine long password").unwrap());
        assert!(!users.named("li").unwrap().must_change);
        assert!(!users.change_password(&account, &first, "yet another password").unwrap());
    }

    #[test]
    fn other_centres_are_served_by_whoever_may_and_a_change_ends_the_session() {
        let (_dir, users) = users();
        let (account, _) = users.add("li", Role::Agent, 1).unwrap();
        assert!(account.serves.is_empty(), "none, unless somebody says so");
        let session = users.begin_session(&account, "127.0.0.1", 5).unwrap();
        let sites = ["371700", "370900", "371700"].map(|site| site.parse::<Site>().unwrap());
        let serving = users.set_serves("li", &sites).unwrap();
        assert_eq!(serving.serves, [sites[1], sites[0]]);
        assert_eq!(users.session(session.text(), true, 6).unwrap().map(|s| s.account.name), None);
        assert!(users.set_serves("li", &[]).unwrap().serves.is_empty());
        let many: Vec<Site> = (0..65).map(|i| format!("3701{:02}", i + 1).parse().unwrap()).collect();
        assert!(users.set_serves("li", &many).is_err());
    }

    #[test]
    fn a_copy_for_a_backup_has_the_accounts_and_nobody_signed_in() {
        let (dir, users) = users();
        let (account, _) = users.add("li", Role::Agent, 1).unwrap();
        users.begin_session(&account, "127.0.0.1", 5).unwrap();
        users.save_draft(&account, "call", "{\"phone\":\"13800000000\"}", 5).unwrap();
        users.append(5, Some("li"), "127.0.0.1", "sign-in", None, "").unwrap();
        let copy = dir.path().join("copy");
        users.copy_to(&copy).unwrap();
        let bytes = std::fs::read(&copy).unwrap();
        assert!(!bytes.windows(11).any(|w| w == b"13800000000"), "a draft speaks of a caller");
        let other = tempfile::tempdir().unwrap();
        std::fs::rename(&copy, other.path().join(super::super::DATABASE)).unwrap();
        let restored = Users::open(other.path()).unwrap();
        assert_eq!(restored.list().unwrap()[0].name, "li");
        assert_eq!(
            restored.db().query_row("SELECT count(*) FROM session", [], |r| r.get::<_, i64>(0)),
            Ok(0)
        );
        assert_eq!(restored.audit(None, 10).unwrap().lines.len(), 1);
    }
}
