//! `hotline bundle import`: files page by page to the node, and one paragraph about what became of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{Cli, Session, show};
use super::log;
use crate::bundles::{FileReport, Report, Trip, counted, read};
use crate::request::{Failure, FailureKind, Request};

pub(super) fn import(cli: &Cli, paths: &[PathBuf]) -> Result<(), Failure> {
    let mut session = Session::open(&cli.dir()?)?;
    let places: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let trip = log::begin(&places);
    let read = read(&mut |request| session.ask(&Request::Bundle(request)), paths);
    let report = read.inspect_err(|e| log::keep(&mut session, log::failed(trip.clone(), e)))?;
    log::keep(&mut session, told(trip, &report));
    say(cli, &report);
    if report.odd() == 0 {
        return Ok(());
    }
    let files = counted(report.files.len() as u64, "file was", "files were");
    Err(Failure::new(FailureKind::Failed, format!("{} of {files} not taken as a whole", report.odd()))
        .hint("nothing wrong was applied; the sender sends again what was lost, with its next bundle"))
}

/// What became of the stick, for the node's log.
fn told(trip: Trip, report: &Report) -> Trip {
    let from: BTreeSet<&String> = report.files.iter().filter_map(|f| f.from.as_ref()).collect();
    let odd = report.odd();
    let again = || "the sender sends again what was lost, with its next bundle".to_owned();
    Trip {
        with: from.into_iter().cloned().collect(),
        files: report.files.len() as u64,
        items: report.taken(),
        answers: report.answers,
        settled: report.settled,
        carried: report.files.iter().filter(|f| f.carried > 0).count() as u64,
        waiting: report.waiting(),
        refused: report.refused.len() as u64,
        odd,
        words: paragraph(report),
        next: next_step(report).or_else(|| (odd > 0).then(again)),
        ..trip
    }
}

fn say(cli: &Cli, report: &Report) {
    let words = paragraph(report);
    if cli.json {
        let files: Vec<Value> = report
            .files
            .iter()
            .map(|f| {
                json!({
                    "file": f.name, "from": f.from, "to": f.to, "part": f.part, "outcome": f.outcome(),
                    "pages": f.pages, "missing": f.missing, "torn": !f.ended, "taken": f.taken,
                    "carried": f.carried, "waiting": f.waiting, "wrong": f.wrong,
                })
            })
            .collect();
        return cli.print(&json!({
            "files": files, "taken": report.taken(), "known": report.known, "waiting": report.waiting(),
            "refused": report.refused, "carried": report.files.iter().map(|f| f.carried).sum::<u64>(),
            "answers": report.answers, "settled": report.settled, "pieces": report.pieces,
            "equal": report.equal, "answers_for": report.answers_for, "words": words,
        }));
    }
    let rows: Vec<Value> = report
        .files
        .iter()
        .map(|f| {
            json!({
                "file": f.name, "from": f.from, "part": f.part, "outcome": f.outcome(), "new": f.taken,
                "why": f.wrong,
            })
        })
        .collect();
    show::table(&rows);
    show::aside(&words);
}

/// What an operator reads: what was taken, refused, carried on, what waits, and what to do.
fn paragraph(report: &Report) -> String {
    let (files, sums) = (&report.files, report);
    let sum = |of: fn(&FileReport) -> u64| files.iter().map(of).sum::<u64>();
    let count = |is: fn(&FileReport) -> bool| files.iter().filter(|f| is(f)).count() as u64;
    let mut words = format!(
        "Of {} {} came in that {} new here",
        counted(files.len() as u64, "file", "files"),
        counted(sum(|f| f.taken), "item", "items"),
        if sum(|f| f.taken) == 1 { "is" } else { "are" },
    );
    if sums.known > 0 {
        words += &format!(", {} had come before", sums.known);
    }
    words += ".";
    if sums.pieces > 0 {
        words += &format!(" {} of files came.", counted(sums.pieces, "piece", "pieces"));
    }
    if sums.answers > 0 {
        words += &format!(
            " {} to our own bundles came: {} no longer owed.",
            counted(sums.answers, "answer", "answers"),
            counted(sums.settled, "item is", "items are"),
        );
    }
    for (shared, unread) in [(false, " unread"), (true, " as well")] {
        let these: Vec<&FileReport> = files.iter().filter(|f| f.carried > 0 && f.for_us == shared).collect();
        let to: BTreeSet<&str> = these.iter().filter_map(|f| f.to.as_deref()).collect();
        if !these.is_empty() {
            words += &format!(
                " {} for {}: {} carried on{unread}, by the next link or bundle that leads there.",
                counted(these.len() as u64, "file is", "files are"),
                to.into_iter().collect::<Vec<_>>().join(", "),
                if these.len() == 1 { "it is" } else { "they are" },
            );
        }
    }
    if count(|f| f.own) > 0 {
        words +=
            &format!(" {} made by this node itself.", counted(count(|f| f.own), "file was", "files were"));
    }
    if sum(|f| f.waiting) > 0 {
        words += &format!(
            " {} for something that is not here yet; the sender is told and sends {} again.",
            counted(sum(|f| f.waiting), "item waits", "items wait"),
            if sum(|f| f.waiting) == 1 { "it" } else { "them" },
        );
    }
    if !sums.refused.is_empty() {
        words += &format!(
            " {} refused, for example: {}.",
            counted(sums.refused.len() as u64, "item was", "items were"),
            sums.refused[0]
        );
    }
    let odd = count(|f| f.wrong.is_none() && !f.is_whole());
    if odd > 0 {
        words += &format!(
            " {} torn or damaged: what was whole of {} is taken, and the rest comes with the sender's next bundle.",
            counted(odd, "file is", "files are"),
            if odd == 1 { "it" } else { "them" },
        );
    }
    if sums.newer > 0 {
        words += " Some of it only a newer version understands: update this program and import again.";
    }
    for (from, equal) in &sums.equal {
        words += &match equal {
            true => format!(" Nothing that {from} held is missing here: that is proved."),
            false => format!(" This node and {from} hold different things; the next bundles find out which."),
        };
    }
    if let Some(next) = next_step(report) {
        words += &format!(" Next: {next}.");
    }
    words
}

/// What goes back.
fn next_step(report: &Report) -> Option<String> {
    let to = report.answers_for.join(",");
    let step =
        || format!("answers wait for {to}; `hotline bundle export --to {to} --out DIR` takes them along");
    (!to.is_empty()).then(step)
}
