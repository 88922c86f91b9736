//! The `hotline` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(node::cli::main())
}
