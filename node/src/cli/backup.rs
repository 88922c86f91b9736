//! `hotline backup` and `hotline restore`.

use std::path::{Path, PathBuf};

use certs::{BoxKey, RecoveryKey, recovery};
use clap::Args;

use super::progress::Progress;
use super::{Cli, Session, show};
use crate::backup::{Backup, Restore, VAULT_DAYS, restore, take};
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The directory that backups go to.
    #[arg(value_name = "DEST")]
    dest: PathBuf,
    /// Seals the backup to this recovery key (`hotline cert recovery` makes one); may be given several times.
    #[arg(long, value_name = "recovery.pub")]
    to: Vec<PathBuf>,
    /// How many backups of this node stay in DEST [default: all].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// An archive of the backup, or the directory with the backups of one node: then the newest.
    #[arg(value_name = "SRC")]
    src: PathBuf,
    /// The secret half of a recovery key that the backup is sealed to.
    #[arg(long, value_name = "recovery.key")]
    key: Option<PathBuf>,
    /// Restores into DIR, verifies every item and seal, and removes it again.
    #[arg(long)]
    check: bool,
}

fn unreadable(e: &certs::FileError) -> Failure {
    Failure::new(FailureKind::Configuration, "the recovery key cannot be read").because(e)
}

fn size(dir: &Path) -> u64 {
    ["node.db", "vault.db"]
        .iter()
        .filter_map(|name| std::fs::metadata(dir.join(name)).ok())
        .map(|m| m.len())
        .sum()
}

impl BackupArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let to: Vec<BoxKey> = self
            .to
            .iter()
            .map(|file| recovery::load_public(file).map_err(|e| unreadable(&e)))
            .collect::<Result<_, _>>()?;
        if to.len() > 16 {
            return Err(Failure::new(FailureKind::Usage, "a backup is sealed to at most 16 recovery keys"));
        }
        // Closed after the session: until then closing one of them would free the database's lock.
        let mut open = Vec::new();
        let mut session = Session::open(&dir)?;
        let backup = Backup {
            dir: &dir,
            dest: &self.dest,
            to: &to,
            keep: self.keep.map(|keep| keep.min(u64::from(u32::MAX)) as usize),
            now: (now_ms() / 1000) as i64,
        };
        let bar = Progress::new(Some(size(&dir)));
        let said = take(&backup, &mut open, |request| session.ask(request), |bytes| bar.inc(bytes));
        drop(bar);
        drop(session);
        let said = said?;
        cli.print(&said);
        if !cli.json {
            if to.is_empty() {
                show::aside("it is not sealed: whoever has both files reads what the node reads; see --to");
            }
            show::aside(&format!(
                "written, read again and right; the vault's file may be kept for {VAULT_DAYS} days, and the next backup removes it then"
            ));
        }
        Ok(())
    }
}

impl RestoreArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let key = match &self.key {
            Some(file) => Some(RecoveryKey::load(file).map_err(|e| unreadable(&e))?),
            None => None,
        };
        let bar = Progress::new(None);
        let wanted = Restore { src: &self.src, key: key.as_ref() };
        let said = restore(&wanted, &dir, self.check, |bytes| bar.inc(bytes));
        drop(bar);
        let said = said?;
        cli.print(&said);
        if cli.json {
            return Ok(());
        }
        if self.check {
            show::aside("the backup is whole: every item and seal in it is what was stored");
            return Ok(());
        }
        show::aside(&format!(
            "{} is as it was at {}. Start it: `hotline run --dir {}`. What it wrote and took in since then comes back from its \
             peers by repair; its seal chain shows a fork, once, and new tickets get numbers of another block.",
            said["node"].as_str().unwrap_or_default(),
            said["taken"].as_str().unwrap_or_default(),
            dir.display()
        ));
        if said["vault"] != true {
            show::aside(
                "The vault was not beside it: callers' data opens when its grants have come back from peers.",
            );
        }
        show::aside(
            "Be sure that the old node never starts again: two with one identity refuse each other's links.",
        );
        Ok(())
    }
}
