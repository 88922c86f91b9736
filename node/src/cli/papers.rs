//! What is made of the command line itself: completions for shells, and the manual.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;

use super::Cli;
use crate::request::{Failure, FailureKind};

fn failed(what: &str, e: std::io::Error) -> Failure {
    Failure::new(FailureKind::Failed, what).because(e)
}

/// Everything at once; a reader that has seen enough and went away is no failure.
fn print(text: &[u8]) -> Result<(), Failure> {
    match std::io::stdout().write_all(text) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(failed("stdout does not take it", e)),
        _ => Ok(()),
    }
}

/// Prints completions. Made in memory, because the generator panics when its reader goes away.
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hotline", &mut script);
    print(&script)
}

/// Prints hotline(1), or writes it and a page for every command (`hotline-ticket-new.1`) into a directory.
pub(super) fn man(out: Option<&Path>) -> Result<(), Failure> {
    let command = Cli::command();
    match out {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(|e| failed("the manual could not be made", e))?;
            print(&page)
        }
        Some(dir) => std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(command, dir))
            .map_err(|e| failed(&format!("the manual could not be written into {}", dir.display()), e)),
    }
}
