//! The simulated world's long mode.
//!
//! ```text
//! cargo run --release -p world --bin world -- --seeds N [--seed FIRST] [--days D] [--events E]
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use world::world::campaign::{self, ARTICLES, DUTY, Length, unmet};
use world::world::plan::WITH_ARTICLES;

fn main() -> ExitCode {
    match options(std::env::args().skip(1)) {
        Ok((first, seeds, length)) => go(first, seeds, length),
        Err(why) => {
            say(&format!("{why}\nusage: world [--seeds N] [--seed FIRST] [--days D] [--events E]"));
            ExitCode::from(2)
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn options(mut args: impl Iterator<Item = String>) -> Result<(u64, u64, Length), String> {
    let (mut first, mut seeds, mut length) = (0, 100, Length { events: 120, days: 2 });
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        let number: u64 = value.parse().map_err(|_| format!("{flag} needs a number, not {value}"))?;
        match flag.as_str() {
            "--seed" => first = number,
            "--seeds" => seeds = number,
            "--days" => length.days = number,
            "--events" => length.events = number as usize,
            _ => return Err(format!("{flag} is not known")),
        }
    }
    Ok((first, seeds, length))
}

fn go(first: u64, seeds: u64, length: Length) -> ExitCode {
    let begun = Instant::now();
    let list: Vec<u64> = (first..first + seeds).collect();
    let mut done = 0u64;
    let (seen, failures) = campaign::campaign(&list, length, 5, |_, _, failure| {
        done += 1;
        if let Some(failure) = failure {
            say(&failure.report(length));
        }
        if done.is_multiple_of(100) {
            say(&format!("{done} of {seeds} seeds in {:.0} s", begun.elapsed().as_secs_f64()));
        }
    });
    for (what, times) in &seen {
        say(&format!("{times:>9}  {what}"));
    }
    let mut unmet = unmet(DUTY, &seen, done);
    if first >= WITH_ARTICLES {
        unmet.extend(campaign::unmet(ARTICLES, &seen, done));
    }
    unmet.iter().for_each(|line| say(&format!("not met often enough: {line}")));
    say(&format!("{done} seeds, {} failures, {:.0} s", failures.len(), begun.elapsed().as_secs_f64()));
    if failures.is_empty() && unmet.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
