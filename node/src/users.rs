//! Who works at a node's desk: accounts, what each may ask for, sessions, and a log of what they did.
//!
//! ```text
//! DIR/desk.db      accounts, sessions, failed attempts, drafts, the audit log; tokens of programs, and answers to them; hooks;
//!                  the secret of query codes; the public register of what was filed; short messages that wait;
//!                  calls, and extensions
//! DIR/audit.head   the newest line of the audit log, beside it for the day when its end is cut off
//! ```
//!
//! The database is this node's own and never replicates. The daemon's desk and the command line may have it open at once:
//! each change is one transaction, and whoever comes second waits. Nothing counts before it is on the disk. When the disk
//! is full, reading goes on and every change is refused, so nothing is done that could not be written down.
//!
//! *Leaves to others*: which action a ticket allows (the engine), and how a page looks (`desk`).

mod account;
mod answer;
mod audit;
mod call;
mod draft;
mod filed;
mod hook;
mod password;
mod recording;
pub mod rights;
mod secret;
mod session;
mod sms;
mod throttle;
mod token;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

pub use account::{Account, MAX_NAME};
pub use answer::{Answer, Begun, MAX_KEY};
pub use audit::{Audit, HEAD, Line, Verified};
pub use call::{Call, CallEvent, Calls, MAX_CALL, Stage, Taken, Told};
pub use draft::MAX_DRAFT;
pub use filed::{Filed, Wanted};
pub use hook::{GIVEN_UP_MS, Hook, NewHook, Off, Secret, Stands};
pub use password::{MAX_PASSWORD, MIN_PASSWORD};
pub use recording::Recording;
pub use rights::{Denied, Role};
pub use session::{ABSOLUTE_MS, IDLE_MS, Session, Stays, Token};
pub use sms::{Arrived, Incoming, Led, Outgoing, Report, SmsCounts, SmsLine, Taken as SmsTaken, ToTell};
pub use throttle::Wait;
pub use token::{ApiToken, SCOPES, Scope};

use crate::request::{Failure, FailureKind};

/// The database's name in a data directory.
pub const DATABASE: &str = "desk.db";

/// The version of the tables.
const SCHEMA: i64 = 9;

/// How long a change waits for another process's.
const PATIENCE: Duration = Duration::from_secs(10);

/// The accounts of one node.
pub struct Users {
    db: Mutex<Connection>,
    dir: PathBuf,
    /// The newest line of the audit log that was noted beside it by this process.
    noted: Mutex<i64>,
}

impl From<rusqlite::Error> for Failure {
    fn from(e: rusqlite::Error) -> Self {
        let (kind, what) = match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (FailureKind::TryAgain, "the disk is full"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (FailureKind::TryAgain, "another process is changing the accounts")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                (FailureKind::Integrity, "the desk's database is damaged")
            }
            _ => (FailureKind::Failed, "the desk's database failed"),
        };
        let failure = Failure::new(kind, what).because(e);
        match kind {
            FailureKind::Integrity => failure.hint(
                "stop the node, move desk.db away (do not delete it) and put the one of the last backup in its place",
            ),
            _ => failure,
        }
    }
}

impl Users {
    /// Opens the accounts of a data directory, and makes the tables where they are not.
    pub fn open(dir: &Path) -> Result<Users, Failure> {
        let path = dir.join(DATABASE);
        let mut db = Connection::open(&path)?;
        // Password hashes and drafts lie in it: nobody but its owner looks in, whatever the umask is.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|e| {
            Failure::new(FailureKind::Failed, format!("{DATABASE} cannot be closed to others")).because(e)
        })?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        db.pragma_update(None, "secure_delete", true)?; // drafts speak of callers
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = tx.pragma_query_value(None, "user_version", |r| r.get(0))?;
        match version {
            0 => {
                for tables in
                    [account::TABLES, session::TABLES, throttle::TABLES, draft::TABLES, audit::TABLES]
                {
                    tx.execute_batch(tables)?;
                }
            }
            1..=SCHEMA => {}
            other => {
                return Err(Failure::new(
                    FailureKind::Configuration,
                    format!("{DATABASE} has schema {other}, and this version knows {SCHEMA}"),
                )
                .hint("update this program"));
            }
        }
        if version < 2 {
            tx.execute_batch(token::TABLES)?;
            tx.execute_batch(answer::TABLES)?;
        }
        if version < 3 {
            tx.execute_batch(hook::TABLES)?;
        }
        if version < 4 {
            tx.execute_batch(secret::TABLES)?;
        }
        if version < 5 {
            tx.execute_batch(filed::TABLES)?;
        }
        if version < 6 {
            tx.execute_batch(sms::TABLES)?;
        }
        if version < 7 {
            tx.execute_batch(call::TABLES)?;
            tx.execute_batch(recording::TABLES)?;
        }
        if version < 8 {
            tx.execute_batch(account::SERVES)?;
            tx.execute_batch(hook::BEFORE)?;
        }
        if version < 9 {
            tx.execute_batch(account::DEPARTMENT)?;
        }
        if version != SCHEMA {
            tx.pragma_update(None, "user_version", SCHEMA)?;
        }
        tx.commit()?;
        Ok(Users { db: Mutex::new(db), dir: dir.to_owned(), noted: Mutex::default() })
    }

    /// Works on the database away from the threads that serve: the disk may take its time.
    pub async fn away<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Users) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let users = self.clone();
        tokio::task::spawn_blocking(move || work(&users))
            .await
            .map_err(|e| Failure::new(FailureKind::Failed, "the desk's database failed").because(e))?
    }

    /// Writes a copy for a backup: whole and of one moment, without sessions, drafts, short messages, the numbers of calls and
    /// recordings that wait for their tickets. A session that came back would let somebody in who has signed out, and the
    /// others speak of callers, whom only the vault's archive may hold.
    pub fn copy_to(&self, path: &Path) -> Result<(), Failure> {
        let text = path.to_str().ok_or_else(|| {
            Failure::new(FailureKind::Failed, format!("{} is no name for a copy", path.display()))
        })?;
        self.db().execute("VACUUM INTO ?1", [text])?;
        let copy = Connection::open(path)?;
        copy.execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA secure_delete = ON;
             DELETE FROM session; DELETE FROM draft; DELETE FROM attempt; UPDATE call SET number = NULL;
             DELETE FROM recording;",
        )?;
        copy.execute_batch(sms::BARE)?;
        copy.execute_batch("VACUUM;")?;
        Ok(())
    }

    /// A thread that panicked in the middle of a change left its transaction undone: the connection is as good as before.
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs a change in one transaction.
    fn change<R>(&self, work: impl FnOnce(&Connection) -> Result<R, Failure>) -> Result<R, Failure> {
        let mut db = self.db();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

/// Random bytes of the system.
fn drawn<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::new(FailureKind::Failed, "the system gives no random numbers").because(e))?;
    Ok(bytes)
}
