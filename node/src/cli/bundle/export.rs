//! `hotline bundle export`: pages from the node into files.

use std::path::Path;

use serde_json::{Value, json};
use sync::replica::Basis;

use super::super::{Cli, Session, show};
use super::medium::Writing;
use super::{bytes, counted};
use crate::bundles::BundleRequest;
use crate::hex::unhex;
use crate::request::{Failure, FailureKind, Reply, Request};

fn ask(session: &mut Session, request: BundleRequest) -> Reply {
    session.ask(&Request::Bundle(request))
}

/// A file that was written.
struct Written {
    file: String,
    from: Value,
    to: Value,
    size: u64,
}

pub(super) fn export(
    cli: &Cli,
    to: &[String],
    out: &Path,
    max_size: u64,
    basis: Basis,
) -> Result<(), Failure> {
    if !out.is_dir() {
        return Err(Failure::new(FailureKind::Failed, format!("{} is no directory", out.display()))
            .hint("is the stick mounted? --out names a directory on it"));
    }
    let mut session = Session::open(&cli.dir()?)?;
    let begun = ask(&mut session, BundleRequest::Export { to: to.to_vec(), basis, max_size })?;
    let export = begun["export"].as_u64().unwrap_or_default();
    let mut written = Vec::new();
    let mut current = None;
    let outcome = write_all(&mut session, export, out, &mut written, &mut current);
    let lost = current.into_iter().collect();
    let ended = ask(&mut session, BundleRequest::Ended { export, lost })?;
    match outcome {
        Ok(()) => {
            say(cli, &written, &ended, out, basis);
            Ok(())
        }
        Err(failure) if written.is_empty() => Err(failure),
        Err(failure) => {
            say(cli, &written, &ended, out, basis);
            let hint = match failure.kind {
                FailureKind::TryAgain => {
                    "what is listed above is complete and usable; take another stick, or make room, and export again with --basis handed-out"
                }
                _ => "what is listed above is complete and usable; export again for the rest",
            };
            Err(failure.hint(hint))
        }
    }
}

/// Writes file after file. `current` is the one that was begun and is not finished.
fn write_all(
    session: &mut Session,
    export: u64,
    out: &Path,
    written: &mut Vec<Written>,
    current: &mut Option<String>,
) -> Result<(), Failure> {
    let odd = || Failure::new(FailureKind::Failed, "the node's answer is not understood");
    let mut open: Option<Writing> = None;
    loop {
        let next = ask(session, BundleRequest::Next { export })?;
        if next["end"] == true {
            return Ok(());
        }
        let file = next["file"].as_str().ok_or_else(odd)?;
        *current = Some(file.to_owned());
        if next["begins"] == true {
            open = Some(Writing::begin(out, file)?);
        }
        let writing = open.as_mut().ok_or_else(odd)?;
        writing.write(&next["hex"].as_str().and_then(unhex).ok_or_else(odd)?)?;
        if next["ends"] == true {
            let size = writing.size;
            open.take().ok_or_else(odd)?.finish()?;
            *current = None;
            let (from, to) = (next["from"].clone(), next["to"].clone());
            written.push(Written { file: file.to_owned(), from, to, size });
        }
    }
}

fn say(cli: &Cli, written: &[Written], ended: &Value, out: &Path, basis: Basis) {
    let files: Vec<Value> = written
        .iter()
        .map(|w| json!({ "file": w.file, "from": w.from, "to": w.to, "bytes": w.size }))
        .collect();
    if cli.json {
        return cli.print(&json!({
            "out": out, "basis": basis, "files": files, "items": ended["items"], "answers": ended["answers"],
            "carried": ended["carried"], "left": ended["left"],
        }));
    }
    show::table(&files);
    let number = |name: &str| ended[name].as_u64().unwrap_or(0);
    let size: u64 = written.iter().map(|w| w.size).sum();
    let mut words = format!(
        "{} of {} with {}",
        counted(written.len() as u64, "file", "files"),
        bytes(size),
        counted(number("items"), "item", "items"),
    );
    if number("answers") > 0 {
        words += &format!(", {} to earlier bundles", counted(number("answers"), "answer", "answers"));
    }
    if number("carried") > 0 {
        words += &format!(
            ", and {} of others that {} carried on unread",
            counted(number("carried"), "parcel", "parcels"),
            if number("carried") == 1 { "is" } else { "are" }
        );
    }
    show::aside(&format!(
        "{words}. What it holds stays in the outbox until the answer is back: bring the stick's next bundle home, or let a link bring it."
    ));
    show::aside("next: unmount the stick, carry it there, and run `hotline bundle import` on it");
}
