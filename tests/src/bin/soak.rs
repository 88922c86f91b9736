//! An hour of a small country, with real processes and everything that happens to them.
//!
//! ```text
//! cargo run -p world --bin soak -- [--minutes 60] [--seed N] [--settle-minutes 10] [--pause-ms 250]
//! ```
//!
//! Exit 0: every pair was proved equal within the bound, every node verified, all tickets are alike everywhere, and nothing
//! that was acknowledged is missing. Exit 1: it was not so; the last lines say what, and the seed. Exit 2: the command line.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use world::city::Program;
use world::soak::{Plan, soak};

/// The name under which this same file is the program under test: so one command builds and runs all of it.
const PROGRAM: &str = "hotline";

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if std::path::Path::new(&called).file_name().is_some_and(|name| name == PROGRAM) {
        return ExitCode::from(node::cli::main());
    }
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            say(&format!("{why}\nusage: soak [--minutes N] [--seed N] [--settle-minutes N] [--pause-ms N]"));
            return ExitCode::from(2);
        }
    };
    let place = tempfile::tempdir().expect("a directory");
    let program = place.path().join(PROGRAM);
    let this = std::env::current_exe().expect("this program");
    std::os::unix::fs::symlink(this, &program).expect("a link to it");
    say(&format!("seed {}, {} minutes", plan.seed, plan.lasts.as_secs() / 60));
    // Whatever breaks inside panics with what it saw: that is the report.
    match std::panic::catch_unwind(|| soak(&Program::new(program), &plan, &say)) {
        Ok(Ok(words)) => {
            say(&format!("fine: {words}"));
            ExitCode::SUCCESS
        }
        Ok(Err(wrong)) => {
            wrong.iter().for_each(|line| say(&format!("WRONG: {line}")));
            say(&format!("FAILED with {} findings; again: --seed {}", wrong.len(), plan.seed));
            ExitCode::FAILURE
        }
        Err(_) => {
            say(&format!("FAILED: it broke, see above; again: --seed {}", plan.seed));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn plan(mut args: impl Iterator<Item = String>) -> Result<Plan, String> {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64 % 1_000_000);
    let mut plan = Plan { seed: drawn, ..Plan::default() };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} needs a number, not {value}"))?;
        match flag.as_str() {
            "--minutes" => plan.lasts = Duration::from_secs(60 * number),
            "--seed" => plan.seed = number,
            "--settle-minutes" => plan.settles_within = Duration::from_secs(60 * number),
            "--pause-ms" => plan.pause = Duration::from_millis(number),
            _ => return Err(format!("{flag} is not known")),
        }
    }
    Ok(plan)
}
