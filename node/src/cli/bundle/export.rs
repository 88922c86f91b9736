//! `hotline bundle export`: pages from the node into files.

use std::path::Path;

use serde_json::{Value, json};
use sync::replica::Basis;

use super::super::{Cli, Session, show};
use super::{bytes, log};
use crate::bundles::{Direction, Exported, Trip, counted, write};
use crate::request::{Failure, Request};

/// What an operator does with a stick that is written.
const NEXT: &str = "unmount the stick, carry it there, and run `hotline bundle import` on it";

pub(super) fn export(
    cli: &Cli,
    to: &[String],
    out: &Path,
    max_size: u64,
    basis: Basis,
) -> Result<(), Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    let trip = Trip { way: Direction::Out, with: to.to_vec(), ..log::begin(&[out]) };
    let written = write(&mut |request| session.ask(&Request::Bundle(request)), to, out, max_size, basis);
    let mut exported = written.inspect_err(|e| log::keep(&mut session, log::failed(trip.clone(), e)))?;
    let stopped = exported.stopped.take();
    let number = |name: &str| exported.ended[name].as_u64().unwrap_or(0);
    let trip = Trip {
        files: exported.files.len() as u64,
        items: number("items"),
        answers: number("answers"),
        carried: number("carried"),
        words: words(&exported),
        next: Some(NEXT.to_owned()),
        ..trip
    };
    let trip = stopped.as_ref().map_or_else(|| trip.clone(), |failure| log::failed(trip.clone(), failure));
    log::keep(&mut session, trip);
    if stopped.is_none() || !exported.files.is_empty() {
        say(cli, &exported, out, basis);
    }
    match stopped {
        None => Ok(()),
        Some(failure) if exported.files.is_empty() => Err(failure),
        Some(failure) => Err(failure.because("what is listed above is complete and usable")),
    }
}

fn say(cli: &Cli, exported: &Exported, out: &Path, basis: Basis) {
    let Exported { files: written, ended, .. } = exported;
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
    show::aside(&words(exported));
    show::aside(&format!("next: {NEXT}"));
}

/// What was written, and what becomes of it.
fn words(exported: &Exported) -> String {
    let Exported { files: written, ended, .. } = exported;
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
    let stays = match number("items") {
        0 => {
            "Nothing is owed; it tells the other side how things stand here, so that both know whether anything is missing."
        }
        _ => {
            "What it holds stays in the outbox until the answer is back, with a stick from there or over any link."
        }
    };
    format!("{words}. {stays}")
}
