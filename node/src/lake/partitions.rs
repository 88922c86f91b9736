//! Parquet partitions of a directory: a file for each month, and a manifest that says up to which change each holds.
//!
//! ```text
//! OUT/month=2026-11/part-0.parquet     hive's way of naming; tickets of which nobody says when they were taken: hive's name for none
//! OUT/_manifest.json                   {"layout","node","partitions":{MONTH:{"cursor","tables","rows","bytes"}}}
//! ```
//!
//! A month is written anew when one of its tickets was touched since, when its cursor does not fit any more, or when what rows depend on
//! beside their tickets has changed; every other stays as it is. A file is written beside its place and renamed when it is on the disk, so a reader
//! sees the old one or the new one. The manifest comes last: whatever ends a run before that only costs that the month is written again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::parquet::{Writer, Written};
use super::row::{LAYOUT, Row};
use super::{LakeRequest, PAGE, understood};
use crate::figures::Period;
use crate::request::{Failure, FailureKind, Reply};

const MANIFEST: &str = "_manifest.json";
const FILE: &str = "part-0.parquet";
const LOCK: &str = "_lock";

/// What hive calls a partition of no value.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 16 << 20;

/// What is known of the files of a directory.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    layout: i32,
    node: String,
    partitions: BTreeMap<String, Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Partition {
    /// Everything before it is in the file.
    cursor: String,
    tables: String,
    rows: u64,
    bytes: u64,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Exported {
    /// The months that were written, with the rows of each.
    pub written: BTreeMap<String, u64>,
    /// How many stayed as they were.
    pub kept: usize,
    /// The months of which there is nothing any more.
    pub removed: Vec<String>,
    /// Rows of all files that were looked at.
    pub rows: u64,
    /// And their bytes.
    pub bytes: u64,
}

fn failed(path: &Path, e: std::io::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("{} cannot be written", path.display())).because(e)
}

/// Brings the partitions of a directory up to date, or only those of the months in a period.
pub fn export(
    ask: &mut dyn FnMut(LakeRequest) -> Reply,
    out: &Path,
    period: Option<Period>,
) -> Result<Exported, Failure> {
    fs::create_dir_all(out).map_err(|e| failed(out, e))?;
    let _lock = lock(out)?;
    let mut begin = ask(LakeRequest::Begin)?;
    let node: String = understood(&mut begin, "node")?;
    let cursor: String = understood(&mut begin, "cursor")?;
    let Some(tables) = begin["tables"].as_str().map(str::to_owned) else {
        return Err(Failure::new(FailureKind::TryAgain, "rows are being made anew after an update")
            .hint("ask again in some minutes; `hotline figures` says how many are left"));
    };
    let mut manifest = read(out, &node)?;
    let wanted = |month: &str| {
        period.is_none_or(|period| {
            Period::month(month).is_ok_and(|month| month.from() < period.end() && period.from() < month.end())
        })
    };
    let mut months = ask(LakeRequest::Months { cursor: None, limit: PAGE })?;
    let here: BTreeSet<String> = understood(&mut months, "months")?;
    let stale = stale(ask, &manifest, &tables)?;
    let mut exported = Exported::default();
    let looked_at: BTreeSet<&String> =
        here.iter().chain(manifest.partitions.keys()).filter(|m| wanted(m)).collect();
    let looked_at: Vec<String> = looked_at.into_iter().cloned().collect();
    for month in looked_at {
        let fresh = |partition: &&mut Partition| !stale.contains(&month) && partition.tables == tables;
        if let Some(partition) = manifest.partitions.get_mut(&month).filter(fresh) {
            cursor.clone_into(&mut partition.cursor);
            exported.kept += 1;
            (exported.rows, exported.bytes) =
                (exported.rows + partition.rows, exported.bytes + partition.bytes);
            continue;
        }
        let written = write(ask, out, &month)?;
        (exported.rows, exported.bytes) = (exported.rows + written.rows, exported.bytes + written.bytes);
        if written.rows == 0 {
            manifest.partitions.remove(&month);
            exported.removed.push(month);
            continue;
        }
        let Written { rows, bytes } = written;
        exported.written.insert(month.clone(), rows);
        let (cursor, tables) = (cursor.clone(), tables.clone());
        manifest.partitions.insert(month, Partition { cursor, tables, rows, bytes });
    }
    let text = serde_json::to_vec_pretty(&manifest).expect("plain values are always written to memory");
    put(out, MANIFEST, |file| std::io::Write::write_all(file, &text))?;
    Ok(exported)
}

/// The folder's lock. It is given up by name and not by closing the file: a process that is being started beside may hold a copy of
/// the descriptor for a moment, and with it the lock.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a folder's lock was not given up; it ends with this process");
        }
    }
}

/// One run at a time: of two the older file could come last.
fn lock(out: &Path) -> Result<Lock, Failure> {
    let path = out.join(LOCK);
    let file = File::create(&path).map_err(|e| failed(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::Error(e)) => Err(failed(&path, e)),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Failure::new(FailureKind::TryAgain, format!("{} is being written already", out.display()))
                .hint("wait until the other run has ended"))
        }
    }
}

/// The manifest that is there, or an empty one.
fn read(out: &Path, node: &str) -> Result<Manifest, Failure> {
    let path = out.join(MANIFEST);
    let none = || Manifest { layout: LAYOUT, node: node.to_owned(), partitions: BTreeMap::new() };
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(MAX_MANIFEST).read_to_end(&mut bytes)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(none()),
        Err(e) => {
            return Err(
                Failure::new(FailureKind::Failed, format!("{} cannot be read", path.display())).because(e)
            );
        }
        Ok(_) => {}
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|e| {
        Failure::new(FailureKind::Failed, format!("{} is no manifest", path.display()))
            .because(e)
            .hint("name an empty directory with --out, or delete this file: then every month is written anew")
    })?;
    if manifest.node != node {
        let whose: String = manifest.node.chars().take(40).collect();
        return Err(Failure::usage(format!(
            "{} holds what {whose} knows, and this is {node}",
            out.display()
        ))
        .hint("give each node a directory of its own with --out"));
    }
    Ok(if manifest.layout == LAYOUT { manifest } else { none() })
}

/// The months that were touched since they were written, and those of which nobody knows that.
fn stale(
    ask: &mut dyn FnMut(LakeRequest) -> Reply,
    manifest: &Manifest,
    tables: &str,
) -> Result<BTreeSet<String>, Failure> {
    let mut stale = BTreeSet::new();
    let current = manifest.partitions.values().filter(|partition| partition.tables == tables);
    let cursors: BTreeSet<&String> = current.map(|partition| &partition.cursor).collect();
    for cursor in cursors {
        let of = manifest.partitions.iter().filter(|(_, partition)| partition.cursor == *cursor);
        let of: BTreeSet<String> = of.map(|(month, _)| month.clone()).collect();
        let mut from = Some(cursor.clone());
        while from.is_some() {
            let mut page = match ask(LakeRequest::Months { cursor: from, limit: PAGE }) {
                Err(failure) if failure.kind == FailureKind::Gone => {
                    stale.extend(of.iter().cloned());
                    break;
                }
                page => page?,
            };
            let touched: BTreeSet<String> = understood(&mut page, "months")?;
            stale.extend(touched.intersection(&of).cloned());
            from = understood(&mut page, "next")?;
        }
    }
    Ok(stale)
}

/// Writes a month; its file goes when it has no rows.
fn write(ask: &mut dyn FnMut(LakeRequest) -> Reply, out: &Path, month: &str) -> Result<Written, Failure> {
    let name = match (month, Period::month(month)) {
        ("", _) => NONE,
        (month, Ok(_)) => month,
        (_, Err(why)) => return Err(Failure::new(FailureKind::Failed, why)),
    };
    let dir = out.join(format!("month={name}"));
    fs::create_dir_all(&dir).map_err(|e| failed(&dir, e))?;
    let (mut after, mut written) = (None, Written::default());
    let mut asked = Ok(());
    put(&dir, FILE, |file| {
        let mut writer = Writer::new(file)?;
        loop {
            let request = LakeRequest::Month { month: month.to_owned(), after: after.take(), limit: PAGE };
            let page = ask(request).and_then(|mut page| {
                Ok((understood::<Vec<Row>>(&mut page, "rows")?, understood(&mut page, "next")?))
            });
            let (rows, next) = match page {
                Ok(page) => page,
                Err(failure) => {
                    asked = Err(failure);
                    return Err(std::io::Error::other("the node did not answer"));
                }
            };
            rows.into_iter().try_for_each(|row| writer.push(row))?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        written = writer.finish()?.1;
        Ok(())
    })
    .map_err(|failure| asked.err().unwrap_or(failure))?;
    if written.rows == 0 {
        let path = dir.join(FILE);
        fs::remove_file(&path).and_then(|()| fs::remove_dir(&dir)).map_err(|e| failed(&path, e))?;
        written = Written::default();
    }
    Ok(written)
}

/// Writes a file beside its place, and puts it there when it is on the disk.
fn put(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let (path, beside): (PathBuf, PathBuf) = (dir.join(name), dir.join(format!("_{name}.part")));
    let write = || {
        let file = File::create(&beside)?;
        let mut buffered = BufWriter::new(&file);
        fill(&mut buffered)?;
        std::io::Write::flush(&mut buffered)?;
        drop(buffered);
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&beside); // it is none of ours any more, and the next run would write over it
        failed(&path, e)
    })
}

impl Exported {
    /// As the command line shows it.
    pub fn shown(&self) -> Value {
        json!(self)
    }
}
