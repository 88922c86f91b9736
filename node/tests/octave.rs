//! Erlang's formulas against Debian's octave-queueing, which others wrote: B and C over a grid, and the queue whose callers give
//! up, from its Markov chain. Where octave is not there this says that it was skipped; under `HOTLINE_CI` it fails then.

use std::process::Command;

use node::plan::queue::{Traffic, blocked, waiting};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/octave/erlang.m");

/// What octave computes; nothing where it, or its package, is not there.
fn octave() -> Option<String> {
    let said = Command::new("octave-cli").args(["--no-init-file", "--quiet", SCRIPT]).output();
    let text = match &said {
        Ok(said) if !said.stdout.is_empty() => String::from_utf8_lossy(&said.stdout).into_owned(),
        _ => {
            let must = std::env::var_os("HOTLINE_CI").is_some();
            assert!(!must, "HOTLINE_CI is set and there is no octave-queueing: {said:?}");
            println!("\n*** SKIPPED: no octave-queueing here; `.ci/run test` installs it ***\n");
            return None;
        }
    };
    // What it says at its end, and with which status, changes from version to version: the lines must be whole.
    assert!(text.ends_with("end\n"), "{text}\n{said:?}");
    Some(text)
}

#[test]
fn our_numbers_are_those_of_a_program_that_others_wrote() {
    let Some(text) = octave() else { return };
    let mut compared = [0; 3];
    for line in text.lines().filter(|line| *line != "end") {
        let (kind, rest) = line.split_once(' ').unwrap();
        let n: Vec<f64> = rest.split(' ').map(|word| word.parse().unwrap()).collect();
        let (load, seats) = (n[0], n[1] as u32);
        let close = |ours: f64, theirs: f64, within: f64| {
            assert!((ours - theirs).abs() <= within, "{line}: we say {ours}");
        };
        // Octave works with one over it, which ends before the smallest numbers do.
        let digits = 1e-12 * n[2] + f64::MIN_POSITIVE;
        match kind {
            "B" => close(blocked(load, seats), n[2], digits),
            "C" => close(waiting(load, seats), n[2], digits),
            _ => {
                let traffic = Traffic { rate: load / 180.0, handling: 180.0, patience: Some(n[2]) };
                let service = traffic.service(seats, 15.0);
                close(service.level, n[3], 1e-10);
                close(service.waiting, n[4], 1e-10);
                close(service.wait, n[5], 1e-10 * n[5].max(1.0));
                close(service.lost, n[6], 1e-10);
            }
        }
        compared["BCA".find(kind).unwrap()] += 1;
    }
    assert_eq!(compared, [180, 103, 75]);
}
