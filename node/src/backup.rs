//! Backups: a data directory, copied while its node works, in files that outlive the machine.
//!
//! ```text
//! DEST/hotline-370100-20261128T135301Z-node.tar.zst     database, identity, configuration, contents of files, desk
//! DEST/hotline-370100-20261128T135301Z-vault.tar.zst    what opens callers' data: for 30 days at most
//! ```
//!
//! Each is a tar archive in zstd that any tool unpacks; sealed to recovery keys it bears `.sealed` behind that. Its last
//! entry is a manifest with length and BLAKE3 of every other. A backup counts when it was read again and agreed with
//! its manifest; only then it gets its name, and only then older ones go.
//!
//! The two parts are of one moment; the desk's accounts and its audit log, which nothing else refers to, are of one a
//! little later, and nobody is signed in in them. A restored node draws a new number block and, as at every start, a new
//! incarnation; what it wrote after the backup comes back from its peers by repair.

mod archive;
mod restore;
mod rotation;
mod sealed;
mod take;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use restore::{Restore, restore};
pub use rotation::VAULT_DAYS;
pub use take::{Backup, take};

use crate::request::{Failure, FailureKind};

/// The folders of a data directory that a backup holds.
const FOLDERS: [&str; 4] = ["identity", "files", "desk", "reference"];

/// What the last backup was, in the data directory.
const LAST: &str = "backup.json";

/// When the last backup of a data directory was taken, in milliseconds since 1970.
pub fn taken_at(dir: &Path) -> Option<u64> {
    let said: Value = serde_json::from_slice(&std::fs::read(dir.join(LAST)).ok()?).ok()?;
    u64::try_from(rotation::taken_at(said["taken"].as_str()?)?).ok().map(|secs| secs * 1000)
}

/// The two archives of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Everything but the vault.
    Node,
    /// What opens callers' data.
    Vault,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Node => "node",
            Part::Vault => "vault",
        }
    }

    /// Which part a file of the data directory belongs to.
    fn of(path: &str) -> Part {
        match path {
            "vault.db" | "vault.db-wal" => Part::Vault,
            _ => Part::Node,
        }
    }
}

/// What stands at the end of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    node: String,
    part: Part,
    /// Names the backup: the same in both parts.
    taken: String,
    program: String,
    entries: Vec<Entry>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    path: String,
    bytes: u64,
    blake3: String,
}

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;

const MANIFEST: &str = "MANIFEST.json";

/// An archive's file and what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    node: String,
    taken: String,
    part: Part,
    sealed: bool,
}

impl Named {
    fn read(path: PathBuf) -> Option<Named> {
        let name = path.file_name()?.to_str()?.strip_prefix("hotline-")?;
        let (name, sealed) = match name.strip_suffix(".sealed") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut words = name.strip_suffix(".tar.zst")?.rsplitn(3, '-');
        let part = match words.next()? {
            "node" => Part::Node,
            "vault" => Part::Vault,
            _ => return None,
        };
        let (taken, node) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Named { node, taken, part, sealed, path })
    }

    fn file_name(node: &str, taken: &str, part: Part, sealed: bool) -> String {
        format!("hotline-{node}-{taken}-{}.tar.zst{}", part.name(), if sealed { ".sealed" } else { "" })
    }

    /// The other part of the same backup, in the same directory.
    fn sibling(&self, part: Part) -> PathBuf {
        self.path.with_file_name(Named::file_name(&self.node, &self.taken, part, self.sealed))
    }
}

fn failed(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, what).because(why)
}

fn damaged(what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Integrity, what).hint("use another backup; this one may be read no further")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_an_archive_is() {
        for (part, sealed) in [(Part::Node, false), (Part::Vault, true)] {
            let name = Named::file_name("370100-01", "20261128T135301Z", part, sealed);
            let read = Named::read(PathBuf::from("/b").join(&name)).unwrap();
            assert_eq!((read.node.as_str(), read.taken.as_str()), ("370100-01", "20261128T135301Z"));
            assert_eq!((read.part, read.sealed), (part, sealed));
            assert_eq!(read.sibling(part), read.path);
        }
        for other in
            ["hotline-370100-x.tar.zst", "notes.txt", "hotline-a-b-node.tar", "hotline-1-2-x.tar.zst"]
        {
            assert_eq!(Named::read(PathBuf::from(other)), None, "{other}");
        }
    }
}
