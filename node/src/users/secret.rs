//! The secret of the node under which query codes are made. It is drawn when it is first needed, and lies here as it is,
//! like those of hooks: the file is its owner's alone. A backup takes it along, so old codes hold after a restore.

use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Users, drawn};
use crate::request::Failure;
use crate::ticket::code::QuerySecret;

pub(super) const TABLES: &str = "
CREATE TABLE secret(name TEXT PRIMARY KEY, bytes BLOB NOT NULL);
";

/// Its name in the table.
const QUERY: &str = "query code";

impl Users {
    /// The secret of query codes, drawn now if there is none yet.
    pub fn query_secret(&self) -> Result<QuerySecret, Failure> {
        let kept = |db: &rusqlite::Connection| {
            db.prepare_cached("SELECT bytes FROM secret WHERE name = ?1")?
                .query_row([QUERY], |r| r.get::<_, [u8; 32]>(0).map(QuerySecret::new))
                .optional()
        };
        if let Some(secret) = kept(&self.db())? {
            return Ok(secret);
        }
        let fresh = Zeroizing::new(drawn::<32>()?);
        self.change(|db| {
            // Another process may have drawn one meanwhile: the first counts.
            let insert = "INSERT INTO secret(name, bytes) VALUES(?1, ?2) ON CONFLICT(name) DO NOTHING";
            db.execute(insert, params![QUERY, &fresh[..]])?;
            Ok(kept(db)?.unwrap_or_else(|| QuerySecret::new(*fresh)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_drawn_once_and_a_backup_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let number = "JT370100202611290W0000C".parse().unwrap();
        let code = |users: &Users| users.query_secret().unwrap().code(number).to_string();
        let users = Users::open(dir.path()).unwrap();
        let first = code(&users);
        assert_eq!(code(&Users::open(dir.path()).unwrap()), first);
        let restored = tempfile::tempdir().unwrap();
        users.copy_to(&restored.path().join(super::super::DATABASE)).unwrap();
        assert_eq!(code(&Users::open(restored.path()).unwrap()), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(code(&Users::open(other.path()).unwrap()), first, "every node has its own");
    }
}
