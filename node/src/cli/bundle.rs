//! `hotline bundle export|import|log|inspect`: the outbox in files, for sites without a line.

mod export;
mod import;
mod inspect;
mod log;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use sync::replica::Basis;

use super::Cli;
use crate::bundles::PART;
use crate::request::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Bundle {
    /// Writes what these nodes must still get into files, the most urgent first.
    Export {
        /// The recipients. What all must get is written once, for all of them; the rest in files that only one can read.
        #[arg(long, value_name = "NODE", value_delimiter = ',', required = true)]
        to: Vec<String>,
        /// The directory, on a stick: it must be there.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The most bytes of one file: 64M, 2G ...; every file can be imported alone.
        #[arg(long, value_name = "SIZE", default_value_t = PART, value_parser = size)]
        max_size: u64,
        /// What is left out: what the recipient has acknowledged; also what earlier bundles carry; nothing.
        #[arg(long, value_enum, default_value_t = BasisArg::Acknowledged)]
        basis: BasisArg,
    },
    /// Takes in bundles, in any order, as often as you like.
    Import {
        /// Files, or directories whose `*.hlb` files are taken.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// What became of the last sticks, the newest first.
    Log {
        /// At most so many; 500 are kept.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Says what is written on the outside of a bundle, and with --dir what is in it, if this node can read it.
    Inspect {
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
}

/// [`Basis`] as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum BasisArg {
    Acknowledged,
    HandedOut,
    Everything,
}

impl From<BasisArg> for Basis {
    fn from(basis: BasisArg) -> Basis {
        match basis {
            BasisArg::Acknowledged => Basis::Acknowledged,
            BasisArg::HandedOut => Basis::HandedOut,
            BasisArg::Everything => Basis::Everything,
        }
    }
}

impl Bundle {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        match self {
            Bundle::Export { to, out, max_size, basis } => {
                export::export(cli, to, out, *max_size, (*basis).into())
            }
            Bundle::Import { paths } => import::import(cli, paths),
            Bundle::Log { limit } => log::log(cli, *limit),
            Bundle::Inspect { paths } => inspect::inspect(cli, paths),
        }
    }
}

/// A size with an optional K, M or G.
fn size(given: &str) -> Result<u64, String> {
    let why = || format!("`{given}` is no size; write it like 64M or 2G");
    let digits = given.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match given[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(why()),
    };
    let number: u64 = digits.parse().map_err(|_| why())?;
    number.checked_mul(unit).ok_or_else(why)
}

/// Bytes for people.
fn bytes(n: u64) -> String {
    match n {
        0..1_024 => format!("{n} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", n as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (given, bytes) in [("64M", 64 << 20), ("2g", 2 << 30), ("1048576", 1 << 20), ("10KiB", 10 << 10)]
        {
            assert_eq!(size(given), Ok(bytes), "{given}");
        }
        for given in ["", "M", "-1M", "1T", "99999999999G", "1.5G"] {
            assert!(size(given).is_err(), "{given}");
        }
    }
}
