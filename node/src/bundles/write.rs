//! An export into files.

use std::path::Path;

use serde_json::{Value, json};
use sync::replica::Basis;

use super::BundleRequest;
use super::medium::Writing;
use crate::hex::unhex;
use crate::request::{Failure, FailureKind, Reply};

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub file: String,
    /// Who made what is in it.
    pub from: String,
    /// Whom it is for.
    pub to: String,
    /// How many bytes it has.
    pub size: u64,
}

/// What an export wrote, and why it did not write all.
#[derive(Debug)]
pub struct Exported {
    /// The files that are complete.
    pub files: Vec<Written>,
    /// What the node says at the end.
    pub ended: Value,
    /// Why it stopped early.
    pub stopped: Option<Failure>,
}

/// Writes what these nodes must still get into files in `out`. Nothing that was not written counts as handed out.
pub fn write(
    ask: &mut dyn FnMut(BundleRequest) -> Reply,
    to: &[String],
    out: &Path,
    max_size: u64,
    basis: Basis,
) -> Result<Exported, Failure> {
    if !out.is_dir() {
        return Err(Failure::new(FailureKind::Failed, format!("{} is no directory", out.display()))
            .hint("is the stick mounted? --out names a directory on it"));
    }
    let begun = ask(BundleRequest::Export { to: to.to_vec(), basis, max_size })?;
    let export = begun["export"].as_u64().unwrap_or_default();
    let (mut files, mut current) = (Vec::new(), None);
    let stopped = write_all(ask, export, out, &mut files, &mut current).err();
    let lost = current.into_iter().collect();
    let ended = match (ask(BundleRequest::Ended { export, lost }), &stopped) {
        (Ok(ended), _) => ended,
        (Err(_), Some(_)) => json!({}),
        (Err(failure), None) => return Err(failure),
    };
    Ok(Exported { files, ended, stopped })
}

/// Writes file after file. `current` is the one that was begun and is not finished.
fn write_all(
    ask: &mut dyn FnMut(BundleRequest) -> Reply,
    export: u64,
    out: &Path,
    files: &mut Vec<Written>,
    current: &mut Option<String>,
) -> Result<(), Failure> {
    let odd = || Failure::new(FailureKind::Failed, "the node's answer is not understood");
    let mut open: Option<Writing> = None;
    loop {
        let next = ask(BundleRequest::Next { export })?;
        if next["end"] == true {
            return Ok(());
        }
        let text = |name: &str| next[name].as_str().map(str::to_owned).ok_or_else(odd);
        let file = text("file")?;
        *current = Some(file.clone());
        if next["begins"] == true {
            open = Some(Writing::begin(out, &file)?);
        }
        let writing = open.as_mut().ok_or_else(odd)?;
        writing.write(&next["hex"].as_str().and_then(unhex).ok_or_else(odd)?)?;
        if next["ends"] == true {
            let size = writing.size;
            open.take().ok_or_else(odd)?.finish()?;
            *current = None;
            files.push(Written { file, from: text("from")?, to: text("to")?, size });
        }
    }
}
