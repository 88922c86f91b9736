//! Looking at a node: its directory from outside, and what it says itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::backup::taken_at;
use crate::request::{Failure, FailureKind, Reply, Request};
use crate::users::{Hook, SmsCounts, Users};

/// What can be seen of a node at one moment. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Look {
    /// This program's version.
    pub version: &'static str,
    /// The machine's time.
    pub now: i64,
    /// When the newest of the node's files was written.
    pub newest: i64,
    /// Whether it runs.
    pub running: bool,
    /// What others than the owner can read and should not.
    pub open_to_others: Vec<String>,
    /// The directory's owner, when it is not who looks.
    pub foreign_owner: Option<u32>,
    /// The disk that the directory is on.
    pub disk: Option<Disk>,
    /// How long the databases' logs are.
    pub log_bytes: u64,
    /// What is wrong with the configuration.
    pub configuration: Option<String>,
    /// The last backup.
    pub backup: Backed,
    /// Peers whose outbox did not become less while somebody looked.
    pub stuck: Vec<String>,
    /// Programs that are told of changes.
    pub hooks: Vec<Hook>,
    /// Short messages; `None` when the node never had any.
    pub sms: Option<SmsCounts>,
    /// What `replica conflicts` shows, by kind.
    pub conflicts: Vec<(String, usize)>,
    /// With a deep look: what a verification found; `Some(None)` when all is right.
    pub damaged: Option<Option<String>>,
    /// What the node says of itself.
    pub status: Reply,
}

/// A disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What a node can still use of it.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// When the last backup was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backed {
    /// There was none.
    Never,
    /// At this time.
    At(i64),
}

/// Looks at a node's directory and asks it. `pause` is how long an outbox is given to become less; `deep` also hashes
/// everything anew.
pub fn look(
    dir: &Path,
    running: bool,
    now: i64,
    deep: bool,
    pause: Duration,
    mut ask: impl FnMut(&Request) -> Reply,
) -> Look {
    let status = ask(&Request::Status);
    let stuck = match &status {
        Ok(before) if running && waiting(before).next().is_some() => {
            std::thread::sleep(pause);
            ask(&Request::Status).map(|after| stuck(before, &after)).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let conflicts = match (&status, ask_if(&status, &mut ask, &Request::Conflicts)) {
        (Ok(_), Some(Ok(rows))) => by_kind(&rows),
        _ => Vec::new(),
    };
    let damaged = match deep {
        true => ask_if(&status, &mut ask, &Request::Verify).and_then(|verified| match verified {
            Ok(_) => Some(None),
            Err(failure) if failure.kind == FailureKind::Integrity => Some(Some(failure.message)),
            Err(_) => None,
        }),
        false => None,
    };
    let metadata = fs::metadata(dir).ok();
    let me = rustix::process::geteuid().as_raw();
    Look {
        version: env!("CARGO_PKG_VERSION"),
        now,
        newest: newest(dir),
        running,
        open_to_others: open_to_others(dir),
        foreign_owner: metadata.map(|m| m.uid()).filter(|owner| *owner != me),
        disk: disk(dir),
        log_bytes: ["node.db-wal", "vault.db-wal"]
            .iter()
            .filter_map(|name| fs::metadata(dir.join(name)).ok())
            .map(|m| m.len())
            .sum(),
        configuration: None,
        backup: taken_at(dir).map_or(Backed::Never, |ms| Backed::At(ms as i64)),
        stuck,
        hooks: Users::look_at_hooks(dir).unwrap_or_default(), // a damaged database stops the desk, which says so
        sms: Users::look_at_sms(dir).unwrap_or_default(),
        conflicts,
        damaged,
        status,
    }
}

fn ask_if(status: &Reply, ask: &mut impl FnMut(&Request) -> Reply, request: &Request) -> Option<Reply> {
    status.as_ref().ok().map(|_| ask(request))
}

/// Linked peers for whom something waits.
fn waiting(status: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let peers = status["peers"].as_array().into_iter().flatten();
    peers
        .filter(|p| p["connected"] == true && p["outbox"].as_u64().unwrap_or(0) > 0)
        .filter_map(|p| Some((p["node"].as_str()?, p)))
}

fn stuck(before: &Value, after: &Value) -> Vec<String> {
    waiting(before)
        .filter(|(node, then)| {
            waiting(after).any(|(other, now)| {
                other == *node
                    && now["outbox"].as_u64() >= then["outbox"].as_u64()
                    && now["bytes_sent"].as_u64() <= then["bytes_sent"].as_u64()
            })
        })
        .map(|(node, _)| node.to_owned())
        .collect()
}

fn by_kind(rows: &Value) -> Vec<(String, usize)> {
    let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for what in rows.as_array().into_iter().flatten().filter_map(|row| row["what"].as_str()) {
        *kinds.entry(what).or_default() += 1;
    }
    kinds.into_iter().map(|(what, count)| (what.to_owned(), count)).collect()
}

fn newest(dir: &Path) -> i64 {
    let files = ["node.db", "node.db-wal", "vault.db", "vault.db-wal", "serials.json"];
    let times = files.iter().filter_map(|name| fs::metadata(dir.join(name)).ok()?.modified().ok());
    times.filter_map(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_millis() as i64).max().unwrap_or(0)
}

fn open_to_others(dir: &Path) -> Vec<String> {
    let mode = |path: &Path| fs::metadata(path).map(|m| m.permissions().mode() & 0o077).unwrap_or(0);
    // A directory that nobody enters hides all that is in it.
    if mode(dir) == 0 {
        return Vec::new();
    }
    let mut open = vec!["the data directory".to_owned()];
    let keys = fs::read_dir(dir.join(crate::engine::IDENTITY)).into_iter().flatten().flatten();
    let keys = keys.filter(|e| e.file_name().to_string_lossy().ends_with(".key"));
    open.extend(keys.filter(|e| mode(&e.path()) != 0).map(|e| e.file_name().to_string_lossy().into_owned()));
    open
}

fn disk(dir: &Path) -> Option<Disk> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(Disk { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
}

/// A node that cannot be asked.
pub(crate) fn unasked(failure: Failure) -> impl FnMut(&Request) -> Reply {
    move |_| Err(failure.clone())
}
