//! `hotline ticket import`: calls from a file.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{ask, show};
use crate::request::{Failure, FailureKind, Request};

/// Tickets in one request of an import.
const CHUNK: usize = 500;

/// The largest file that is read into memory.
const MAX_FILE: u64 = 1 << 30;

/// JSON or JSON lines of a file, or of standard input for `-`.
pub(super) fn read_lines(file: &Path) -> Result<Vec<Value>, Failure> {
    let unreadable = |e: std::io::Error| {
        Failure::new(FailureKind::Failed, format!("{} cannot be read", file.display())).because(e)
    };
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        std::fs::File::open(file)
            .map_err(unreadable)?
            .take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
    }
    if let Ok(Value::Array(all)) = serde_json::from_str(&text) {
        return Ok(all);
    }
    if let Ok(one @ Value::Object(_)) = serde_json::from_str(&text) {
        return Ok(vec![one]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Failure::new(
                    FailureKind::Usage,
                    format!("{}, line {}: not a JSON object", file.display(), i + 1),
                )
                .because(e)
                .hint("write one JSON object a line with at least `text`")
            })
        })
        .collect()
}

pub(super) fn import(file: &Path, dir: &Path, user: Option<String>, as_json: bool) -> Result<(), Failure> {
    let tickets = read_lines(file)?;
    let total = tickets.len();
    let bar = ProgressBar::new(total as u64);
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} tickets, {per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let began = Instant::now();
    for chunk in tickets.chunks(CHUNK) {
        ask(dir, &Request::New { tickets: chunk.to_vec(), user: user.clone() })?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    show::value(
        &json!({ "imported": total, "seconds": (seconds * 1000.0).round() / 1000.0, "per_second": (total as f64 / seconds.max(0.001)).round() }),
        as_json,
    );
    Ok(())
}
