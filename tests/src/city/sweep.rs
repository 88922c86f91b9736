//! One deed of the program, done again and again with a fault at every storage call, and what is left each time.
//!
//! ```text
//! place/base/...  made once     copy ─> place/run/...  perform with the fault ─> aftermath: judge ─> next
//! ```
//!
//! What must hold after every single run, whatever the fault was:
//!
//! - what was reported as done (exit 0, and printed) is there; what was there before is there;
//! - nothing is half-done: a new ticket is whole, with its caller, and there are not more of them than were asked for;
//! - `replica verify` finds nothing, and the node goes on working: a ticket is taken, with a number of its own;
//! - the process ended by the fault's signal, or said so with an exit code that fits; it never panicked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Env, Program, Said, copy};
use crate::shim::{Fault, Mode, Shim};

/// What the caller of every ticket of a sweep has.
pub const PHONE: &str = "13800000001";

/// Something that the program does to the directory `place/node`. Beside it a deed may keep what it likes.
pub trait Deed: Sync {
    /// In a few words.
    fn name(&self) -> &'static str;

    /// Makes what it begins with.
    fn prepare(&self, program: &Program, place: &Path);

    /// Does it, with `env` before the process whose storage fails.
    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed;

    /// What is wrong with what it left, beyond what holds for every deed.
    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String>;
}

/// What a deed came to, as its user saw it.
#[derive(Debug)]
pub struct Performed {
    /// The tickets that were reported as taken.
    pub taken: Vec<String>,
    /// How many tickets were asked for, reported or not.
    pub asked: usize,
    /// Whether the deed's own report came: exit 0, and printed.
    pub done: bool,
    /// How the process with the fault ended and what it said.
    pub said: Said,
    /// Whether that process is a daemon, which outlives a full disk.
    pub daemon: bool,
}

/// What is there afterwards, read by a process without a fault.
pub struct Aftermath<'a> {
    /// The program.
    pub program: &'a Program,
    /// Where the deed was done.
    pub place: &'a Path,
    /// What was seen of it.
    pub performed: &'a Performed,
    /// The node's tickets before, by id.
    pub before: &'a BTreeMap<String, Value>,
    /// And after.
    pub after: BTreeMap<String, Value>,
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many runs there were.
    pub runs: usize,
    /// How many of them the fault's signal ended.
    pub killed: usize,
    /// How many ended with an error.
    pub failed: usize,
    /// How many ended well although the fault may have struck.
    pub well: usize,
    /// How many reported the deed as done.
    pub done: usize,
    /// What was wrong, with the fault that shows it.
    pub violations: Vec<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { runs, killed, failed, well, done, violations } = self;
        write!(
            f,
            "{runs} runs: {killed} killed, {failed} ended with an error, {well} ended well; {done} reported as done; "
        )?;
        write!(f, "{} violations", violations.len())
    }
}

/// Tickets by id; an error when they cannot be read.
pub fn tickets(program: &Program, dir: &Path) -> Result<BTreeMap<String, Value>, String> {
    let said = program.run(dir, &["ticket", "export"]);
    let lines = said.lines().ok_or_else(|| format!("the tickets cannot be read: {said}"))?;
    Ok(lines.into_iter().filter_map(|t| Some((t["id"].as_str()?.to_owned(), t))).collect())
}

/// A deed with what it begins with.
pub struct Sweep<'a> {
    program: &'a Program,
    shim: &'a Shim,
    deed: &'a dyn Deed,
    place: tempfile::TempDir,
    before: BTreeMap<String, Value>,
    /// More environment for the process with the fault, for sabotage.
    pub sabotage: Vec<(&'static str, std::ffi::OsString)>,
}

impl<'a> Sweep<'a> {
    /// Prepares a deed.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(program: &'a Program, shim: &'a Shim, deed: &'a dyn Deed) -> Sweep<'a> {
        let place = tempfile::tempdir().expect("a directory");
        let base = place.path().join("base");
        std::fs::create_dir_all(&base).expect("a directory");
        deed.prepare(program, &base);
        // Read from a copy: reading would move the log of the original into its database.
        let copied = place.path().join("read");
        copy(&base, &copied);
        let before = tickets(program, &copied.join("node")).expect("what the deed begins with");
        Sweep { program, shim, deed, place, before, sabotage: Vec::new() }
    }

    /// How many calls that this mode counts a run without a fault makes.
    ///
    /// # Panics
    /// When that run does not end well.
    pub fn calls(&self, mode: Mode) -> u64 {
        let place = self.fresh(&format!("count-{mode:?}"));
        let report = place.join("calls");
        let fault = Fault { mode, at: u64::MAX >> 1, path: node_of(&place), seed: 0 };
        let performed = self.deed.perform(self.program, &place, &self.shim.env(&fault, Some(&report)));
        assert!(performed.done, "{} without a fault: {}", self.deed.name(), performed.said);
        Shim::calls(&report).expect("a report")
    }

    /// Every `step`-th call of each mode, one run each.
    pub fn every(&self, modes: &[Mode], step: u64) -> Outcome {
        let mut faults = Vec::new();
        for mode in modes {
            let calls = self.calls(*mode);
            // The last call is always among them, and so is the first.
            let at = (1..=calls).filter(|at| (at - 1) % step == 0 || *at == calls);
            faults.extend(at.map(|at| (*mode, at, at)));
        }
        self.run(&faults)
    }

    /// So many power cuts, spread over the calls, each undoing something else.
    pub fn power_cuts(&self, count: u64, seed: u64) -> Outcome {
        let calls = self.calls(Mode::Power);
        let faults: Vec<_> = (0..count).map(|i| (Mode::Power, 1 + i * calls / count, seed + i)).collect();
        self.run(&faults)
    }

    /// These faults, on as many threads as there are cores.
    pub fn run(&self, faults: &[(Mode, u64, u64)]) -> Outcome {
        let (next, outcome) = (AtomicUsize::new(0), Mutex::new(Outcome::default()));
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (next, outcome) = (&next, &outcome);
                scope.spawn(move || {
                    while let Some((mode, at, seed)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let place = self.fresh(&format!("run-{worker}"));
                        let fault = Fault { mode: *mode, at: *at, path: node_of(&place), seed: *seed };
                        let mut env = self.shim.env(&fault, None);
                        env.extend(self.sabotage.iter().cloned());
                        let performed = self.deed.perform(self.program, &place, &env);
                        let judged = self.judge(&place, &performed, *mode);
                        let mut outcome = outcome.lock().expect("no worker panics with it");
                        outcome.runs += 1;
                        outcome.done += usize::from(performed.done);
                        match (performed.said.signal, performed.said.code) {
                            (Some(_), _) => outcome.killed += 1,
                            (None, Some(0)) => outcome.well += 1,
                            (None, _) => outcome.failed += 1,
                        }
                        if let Err(wrong) = judged {
                            let deed = self.deed.name();
                            let said = &performed.said;
                            outcome.violations.push(format!(
                                "{deed}, {mode:?} at call {at}, seed {seed}: {wrong} ({said})"
                            ));
                        }
                    }
                });
            }
        });
        outcome.into_inner().expect("no worker panics with it")
    }

    /// A copy of what the deed begins with.
    fn fresh(&self, what: &str) -> PathBuf {
        let place = self.place.path().join(what);
        let _ = std::fs::remove_dir_all(&place);
        copy(&self.place.path().join("base"), &place);
        place
    }

    fn judge(&self, place: &Path, performed: &Performed, mode: Mode) -> Result<(), String> {
        ending(performed, mode)?;
        let dir = place.join("node");
        let verified = self.program.run(&dir, &["replica", "verify"]);
        if verified.json().is_none_or(|v| v["damaged"].as_array().is_none_or(|d| !d.is_empty())) {
            return Err(format!("verify: {verified}"));
        }
        let after = tickets(self.program, &dir)?;
        if let Some(lost) = self.before.keys().find(|id| !after.contains_key(*id)) {
            return Err(format!("ticket {lost} was there before and is gone"));
        }
        if let Some(lost) = performed.taken.iter().find(|id| !after.contains_key(*id)) {
            return Err(format!("ticket {lost} was reported as taken and is gone"));
        }
        let new: Vec<&String> = after.keys().filter(|id| !self.before.contains_key(*id)).collect();
        if new.len() > performed.asked {
            return Err(format!("{} tickets were asked for and {} are there", performed.asked, new.len()));
        }
        for id in new.into_iter().take(3) {
            let shown = self.program.run(&dir, &["ticket", "show", id, "--reveal", "回访", "--user", "王芳"]);
            if shown.json().is_none_or(|t| t["person"]["phone"] != PHONE) {
                return Err(format!("ticket {id} is there without its caller: {shown}"));
            }
        }
        let aftermath = Aftermath { program: self.program, place, performed, before: &self.before, after };
        self.deed.judge(&aftermath)?;

        let next = self.program.run(&dir, &["ticket", "new", "--text", "后来的一件", "--phone", PHONE]);
        let made = next.json().ok_or_else(|| format!("the node takes no ticket any more: {next}"))?;
        if aftermath.after.values().any(|t| t["number"] == made["number"]) {
            return Err(format!("the number {} was given twice", made["number"]));
        }
        Ok(())
    }
}

/// The directory whose files fail, as the shim names it.
fn node_of(place: &Path) -> String {
    format!("{}/", place.join("node").display())
}

/// Whether a process may end like this under this fault.
fn ending(performed: &Performed, mode: Mode) -> Result<(), String> {
    let Performed { said, done, daemon, .. } = performed;
    let fits = match (mode, said.signal, said.code) {
        (Mode::Kill | Mode::Torn | Mode::Power, Some(9), None) => true,
        // Past the last call of this run: a run may make a call or two fewer than the one that was counted.
        (_, None, Some(0)) => *done || *daemon,
        (Mode::Enospc, None, Some(75)) => performed.taken.is_empty(), // a daemon: before it was ready
        (Mode::Eio | Mode::FsyncEio, None, Some(1 | 5)) => true,
        // SQLite does not say why the index of its log cannot grow. Nothing in it lasts, so nothing is lost with it.
        (Mode::Eio, None, Some(75)) => said.to_string().contains("the log's index"),
        _ => false,
    };
    if fits { Ok(()) } else { Err("it may not end like this".to_owned()) }
}
