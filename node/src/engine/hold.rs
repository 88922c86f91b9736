//! Holding the databases' files still while somebody copies them.
//!
//! A database in WAL mode changes its file at checkpoints only, and the engine makes all of them. So a copy is taken
//! beside the running node, by another process, which SQLite knows nothing of:
//!
//! ```text
//! begin        from now on the files stay, the logs grow
//! ...          node.db and vault.db are copied at leisure
//! mark         how far both logs go between two transactions
//! ...          the logs are copied to there, then everything else
//! end          unless something was erased meanwhile, which cuts the vault's log, the copy is that moment's
//! ```
//!
//! A hold that nobody renews ends by itself after a minute. Every answer names its hold, so whoever slept over it sees that
//! another has begun.

use serde_json::{Map, Value, json};

use super::{DATABASE, Engine, failed};
use crate::request::{Failure, FailureKind, Hold, Reply};

/// How long a hold lasts without another step, in milliseconds.
const LASTS: u64 = 60_000;

impl Engine {
    /// Whether somebody copies the files.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some_and(|until| self.now < until)
    }

    pub(super) fn hold(&mut self, step: Hold) -> Reply {
        match step {
            Hold::Begin if self.is_held() => {
                return Err(Failure::new(FailureKind::TryAgain, "another backup is being taken")
                    .hint("try again when it has ended; one that was killed ends after a minute"));
            }
            Hold::Begin => {
                self.held = Some(self.now + LASTS);
                self.holds += 1;
            }
            Hold::Mark | Hold::End if !self.is_held() => {
                return Err(Failure::new(
                    FailureKind::TryAgain,
                    "the node could not hold its files still to the end",
                )
                .because("the disk became full, or more than a minute passed between two steps")
                .hint("try again; `hotline doctor` tells whether the disk has room"));
            }
            Hold::Mark => self.held = Some(self.now + LASTS),
            Hold::End => self.held = None,
        }
        // Asked within a transaction, of which neither log holds the end: the logs agree.
        let mut logs = Map::new();
        for file in [DATABASE, "vault.db"] {
            let log = format!("{file}-wal");
            let length = match std::fs::metadata(self.dir.join(&log)) {
                Ok(metadata) => metadata.len(),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
                Err(e) => return Err(failed("the database's log cannot be looked at", e)),
            };
            logs.insert(log, Value::from(length));
        }
        // Names this hold: one that lapsed, and was begun again by somebody else or after a restart, is another.
        let hold = format!("{}-{}", self.replica.incarnation(), self.holds);
        Ok(json!({ "node": self.me(), "hold": hold, "cuts": self.store.cuts(), "logs": logs }))
    }
}
