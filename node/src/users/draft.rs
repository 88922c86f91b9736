//! What somebody has typed and not sent: one text for each form of an account, kept for a week.
//!
//! A draft may speak of a caller in clear. It stays on this node, is overwritten when it is dropped, and is in no backup.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Account, Users};
use crate::request::{Failure, FailureKind};

pub(super) const TABLES: &str = "
CREATE TABLE draft(
  account INTEGER NOT NULL REFERENCES account(id), form TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY(account, form));
";

/// The longest draft in bytes.
pub const MAX_DRAFT: usize = 64 << 10;

/// Most drafts of an account: one of the form, and one of each call that it answered and has not finished.
const MAX_DRAFTS: i64 = 64;

/// How long a draft is kept.
const KEPT_MS: u64 = 7 * 24 * 60 * 60_000;

impl Users {
    /// Keeps a draft in place of the one before; an empty one drops it.
    pub fn save_draft(&self, account: &Account, form: &str, text: &str, now: u64) -> Result<(), Failure> {
        if text.len() > MAX_DRAFT || form.len() > 32 {
            return Err(Failure::new(FailureKind::Usage, format!("a draft has at most {MAX_DRAFT} bytes")));
        }
        self.change(|db| {
            db.execute("DELETE FROM draft WHERE at < ?1", [now.saturating_sub(KEPT_MS) as i64])?;
            match text.is_empty() {
                true => db.execute(
                    "DELETE FROM draft WHERE account = ?1 AND form = ?2",
                    params![account.id, form],
                )?,
                false if many(db, account, form)? => {
                    return Err(Failure::new(
                        FailureKind::Failed,
                        format!("there are {MAX_DRAFTS} drafts already"),
                    )
                    .hint("finish or drop one of them"));
                }
                false => db.execute(
                    "INSERT INTO draft VALUES(?1, ?2, ?3, ?4)
                     ON CONFLICT(account, form) DO UPDATE SET text = ?3, at = ?4",
                    params![account.id, form, text, now as i64],
                )?,
            };
            Ok(())
        })
    }

    /// The draft of a form.
    pub fn draft(&self, account: &Account, form: &str) -> Result<Option<String>, Failure> {
        Ok(self
            .db()
            .prepare_cached("SELECT text FROM draft WHERE account = ?1 AND form = ?2")?
            .query_row(params![account.id, form], |r| r.get(0))
            .optional()?)
    }
}

/// Whether one more draft would be too many.
fn many(db: &Connection, account: &Account, form: &str) -> Result<bool, Failure> {
    let others: i64 = db
        .prepare_cached("SELECT count(*) FROM draft WHERE account = ?1 AND form <> ?2")?
        .query_row(params![account.id, form], |r| r.get(0))?;
    Ok(others >= MAX_DRAFTS)
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    #[test]
    fn a_draft_belongs_to_one_account_and_form() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let (li, _) = users.add("li", Role::Agent, 0).unwrap();
        let (wang, _) = users.add("wang", Role::Agent, 0).unwrap();
        users.save_draft(&li, "call", "拒", 1).unwrap();
        users.save_draft(&li, "call", "拒载", 2).unwrap();
        drop(users);
        let users = Users::open(dir.path()).unwrap();
        assert_eq!(users.draft(&li, "call").unwrap().as_deref(), Some("拒载"));
        assert_eq!(users.draft(&wang, "call").unwrap(), None);
        assert_eq!(users.draft(&li, "other").unwrap(), None);
        assert!(users.save_draft(&li, "call", &"x".repeat(MAX_DRAFT + 1), 3).is_err());
        users.save_draft(&wang, "call", "b", 2 + KEPT_MS + 1).unwrap();
        assert_eq!(users.draft(&li, "call").unwrap(), None, "after a week");
        users.save_draft(&wang, "call", "", 9).unwrap();
        assert_eq!(users.draft(&wang, "call").unwrap(), None);
    }
}
