//! Bundles as files: what a stick holds, written and read by whoever asks a node.
//!
//! ```text
//! request   what is asked of a node, page by page      medium   files of a stick: found, opened, written
//! write     an export into files                       part     one file, read page by page, whatever became of it
//! read      files into a node, and what became of them      log      what became of the last sticks, kept on the node
//! ```

pub(crate) mod log;
mod medium;
mod part;
mod read;
mod request;
mod write;

pub use log::{Direction, Trip};
pub use medium::Opened;
pub use part::{PageAt, Part, Unreadable};
pub use read::{FileReport, Report, read};
pub use request::{BundleRequest, MAX_PART, MIN_PART, PART};
pub use write::{Exported, Written, write};

use std::path::{Path, PathBuf};

use certs::NodeName;

use crate::request::Failure;

/// The bundles that these paths name: files as they are, of directories the `*.hlb` files in them, in the order of
/// their names.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    medium::find(paths)
}

/// Opens a file of a stick: only a plain one, and nothing that a link points to.
pub fn open(path: &Path) -> Result<Opened, Failure> {
    medium::open(path)
}

/// The names of nodes, with commas.
pub fn joined(nodes: &[NodeName]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A number with its noun.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
