//! `hotline lake`: what a node knows of its tickets, for engines that read more than a node should be asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Cli, Session};
use crate::figures::Period;
use crate::lake::partitions::export;
use crate::request::{Failure, FailureKind, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Lake {
    /// Keeps a table in PostgreSQL, or in an engine that speaks its protocol, up to date.
    Postgres(PostgresArgs),
    /// Writes Parquet files, one for each month, and again only those that were touched since.
    Parquet(ParquetArgs),
}

#[derive(Debug, Args)]
pub(super) struct PostgresArgs {
    /// The database, as in postgresql://hotline@db.example/lake or postgresql:///lake?host=/run/postgresql; without a password.
    #[arg(long, value_name = "URL", env = "HOTLINE_LAKE_TO", hide_env_values = true)]
    to: String,
    /// Catches up and ends; on a directory on which no node runs too.
    #[arg(long)]
    once: bool,
    /// A file with the password; without it PGPASSWORD counts, if it is set.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The authority that the server's certificate was made by, as PEM; without it those of this machine.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Goes to another machine in clear, if the address says sslmode=disable.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Args)]
pub(super) struct ParquetArgs {
    /// The directory; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only the months of this period: a month, a quarter or a year, as in 2026-11, 2026-Q3 or 2026.
    #[arg(long, value_name = "PERIOD")]
    period: Option<String>,
}

impl Lake {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        match self {
            Lake::Postgres(args) => args.run(cli),
            Lake::Parquet(args) => args.run(cli),
        }
    }
}

impl ParquetArgs {
    fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let period = self.period.as_deref().map(Period::named).transpose().map_err(Failure::usage)?;
        let mut session = Session::open(&cli.dir()?)?;
        let exported = export(&mut |request| session.ask(&Request::Lake(request)), &self.out, period)?;
        cli.print(&exported.shown());
        Ok(())
    }
}

impl PostgresArgs {
    #[cfg(not(feature = "postgres"))]
    fn run(&self, _: &Cli) -> Result<(), Failure> {
        Err(Failure::new(FailureKind::Usage, "this program was built without PostgreSQL")
            .hint("build it with `--features postgres`; `hotline lake parquet` needs nothing"))
    }

    #[cfg(feature = "postgres")]
    fn run(&self, cli: &Cli) -> Result<(), Failure> {
        use serde_json::json;

        use super::run::{ended, runtime};
        use super::show;
        use crate::daemon::ask_running;
        use crate::lake::postgres::follow;

        let dir = cli.dir()?;
        let target = self.target()?;
        let mut session = if self.once { Some(Session::open(&dir)?) } else { None };
        let mut ask = |request| {
            let request = Request::Lake(request);
            match &mut session {
                Some(session) => session.ask(&request),
                None => ask_running(&dir, &request).unwrap_or_else(|| {
                    Err(Failure::new(FailureKind::Unreachable, format!("no node runs on {}", dir.display()))
                        .hint("start it: hotline run --dir DIR; or catch up without it: --once"))
                }),
            }
        };
        let mut tell = |words: &str| show::aside(words);
        let began = std::time::Instant::now();
        let caught = runtime()?.block_on(async {
            tokio::select! {
                caught = follow(&target, self.once, &mut ask, &mut tell) => caught.map(Some),
                () = ended() => Ok(None),
            }
        })?;
        if let Some(caught) = caught {
            cli.print(&json!({
                "rows": caught.rows, "gone": caught.gone, "rounds": caught.rounds, "cursor": caught.cursor,
                "seconds": began.elapsed().as_secs_f64(),
            }));
        }
        Ok(())
    }

    #[cfg(feature = "postgres")]
    fn target(&self) -> Result<crate::lake::postgres::Target, Failure> {
        use zeroize::Zeroizing;

        use super::unreadable;
        use crate::lake::postgres::{Target, password};

        let given = match &self.password_file {
            Some(path) => Some(crate::secret::read(path, MAX_PASSWORD).map_err(|e| unreadable(path, e))?),
            None => std::env::var("PGPASSWORD").ok().map(Zeroizing::new),
        };
        let given = given.as_ref().map(|text| password(text)).transpose()?;
        let ca = match &self.ca {
            Some(path) => Some(crate::secret::read(path, MAX_CA).map_err(|e| unreadable(path, e))?),
            None => None,
        };
        Target::read(&self.to, given, ca.as_ref().map(|text| text.as_str()), self.insecure)
    }
}

/// The longest password, and the largest file of an authority.
#[cfg(feature = "postgres")]
const MAX_PASSWORD: usize = 1_024;
#[cfg(feature = "postgres")]
const MAX_CA: usize = 256 << 10;
