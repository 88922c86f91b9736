//! The command line: what was typed becomes a request; the reply becomes words, a table, or JSON.

mod backup;
mod bundle;
mod cert;
mod demo;
mod doctor;
mod export;
mod figures;
mod figures_form;
mod files;
mod findings;
mod hook;
mod import;
mod import_table;
mod init;
mod kb;
mod lake;
mod papers;
mod pdf;
mod plan;
mod policy;
mod progress;
mod replica;
mod run;
mod scorecard;
mod screen;
mod show;
mod sms;
mod ticket;
mod token;
mod user;
mod watch;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use crate::china;
use crate::config::{Config, Given};
use crate::daemon::{ask_running, is_running, now_ms};
use crate::engine::{Engine, Options};
use crate::request::{Failure, FailureKind, Reply, Request};

/// 12328 hotline: an offline-first node for complaints and work orders.
#[derive(Debug, Parser)]
#[command(name = "hotline", version, propagate_version = true)]
pub struct Cli {
    /// The node's data directory [env: HOTLINE_DIR].
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The configuration file; without it DIR/hotline.toml, if it is there.
    #[arg(long, global = true, env = "HOTLINE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// Who sits at the desk; written into entries and into the log of revealed persons.
    #[arg(long, global = true, env = "HOTLINE_USER", value_name = "NAME")]
    user: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A network of eight nodes on this machine, with sample data.
    Demo(demo::DemoArgs),
    /// Authorities, identities and revocations.
    #[command(subcommand)]
    Cert(cert::Cert),
    /// Makes a data directory for an identity.
    Init(init::InitArgs),
    /// Runs the node until SIGTERM or Ctrl-C.
    Run(run::RunArgs),
    /// Tickets.
    #[command(subcommand)]
    Ticket(ticket::Ticket),
    /// The knowledge base.
    #[command(subcommand)]
    Kb(kb::Kb),
    /// This replica and its peers.
    #[command(subcommand)]
    Replica(replica::Replica),
    /// Copies the node, while it works, into archives that are read again before they count.
    Backup(backup::BackupArgs),
    /// Makes the data directory of a backup.
    Restore(backup::RestoreArgs),
    /// What a person should look at, each with a next step.
    Doctor(doctor::DoctorArgs),
    /// One line for a monitoring system: exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    Check,
    /// Figures of a period, how they have moved, and the tickets behind them.
    Figures(figures::FiguresArgs),
    /// The units below a site by the rates of the scoring rule, month by month, ranked and frozen.
    Scorecard(scorecard::ScorecardArgs),
    /// Rules: tables that a site sets, from a day on, for itself and everybody below it.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Seats and trunks for the days to come, from the calls of the past.
    Plan(plan::PlanArgs),
    /// The tickets for PostgreSQL and as Parquet files, where one machine is outgrown.
    #[command(subcommand)]
    Lake(lake::Lake),
    /// Bundles: files on a stick for and from sites without a line.
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Accounts of the desk.
    #[command(subcommand)]
    User(user::User),
    /// Tokens, with which programs ask the desk's `/api/v1`.
    #[command(subcommand)]
    Token(token::Token),
    /// Hooks: programs that are told of changes.
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Short messages, through a gateway.
    #[command(subcommand)]
    Sms(sms::Sms),
    /// What was done at the desk: a log that only grows.
    Audit(user::AuditArgs),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Completions of this command line for a shell: bash, zsh, fish, elvish, powershell.
    Completions { shell: clap_complete::Shell },
    /// The manual: one page on stdout, or a page for every command into a directory.
    Man {
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// What counts and where each value came from; takes the flags of `run`.
    Check(run::RunArgs),
}

/// Runs the command line and returns its exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { FailureKind::Usage.exit_code() } else { 0 };
        }
    };
    if let Command::Check = cli.command {
        return doctor::check(&cli);
    }
    match cli.run() {
        Ok(()) => 0,
        Err(failure) => {
            show::failure(&failure, cli.json);
            failure.kind.exit_code()
        }
    }
}

impl Cli {
    /// The data directory, as flag, environment or a named configuration file give it.
    fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        match (std::env::var_os("HOTLINE_DIR"), &self.config) {
            (Some(dir), _) if !dir.is_empty() => Ok(dir.into()),
            (_, Some(_)) => self.config(Vec::new())?.dir.ok_or_else(no_directory),
            _ => Err(no_directory()),
        }
    }

    /// The configuration, with these flags of `run` on top.
    fn config(&self, mut flags: Vec<(String, String)>) -> Result<Config, Failure> {
        if let Some(dir) = &self.dir {
            flags.push(("dir".to_owned(), dir.display().to_string()));
        }
        let given = Given { flags, file: self.config.clone() };
        Config::read(&given, |name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    fn check(&self, args: &run::RunArgs) -> Result<(), Failure> {
        let config = self.config(args.flags()?)?;
        run::not_its_own_peer(&config)?;
        match self.json {
            true => self.print(&json!({ "file": config.file(), "values": config.explain() })),
            false => {
                show::table(&config.explain());
                match config.file() {
                    Some(file) => show::aside(&format!("{} is fine", file.display())),
                    None => show::aside("no configuration file was read"),
                }
            }
        }
        Ok(())
    }

    /// Asks the node that runs on the directory; without one works on the directory itself.
    fn ask(&self, request: &Request) -> Reply {
        ask(&self.dir()?, request)
    }

    fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Demo(args) => demo::demo(args, self.dir.as_deref(), self.json),
            Command::Cert(command) => command.run(self),
            Command::Init(args) => args.run(self),
            Command::Run(args) => run::run(self.config(args.flags()?)?),
            Command::Ticket(command) => command.run(self),
            Command::Kb(command) => command.run(self),
            Command::Replica(command) => command.run(self),
            Command::Backup(args) => args.run(self),
            Command::Restore(args) => args.run(self),
            Command::Doctor(args) => args.run(self),
            Command::Check => Ok(()), // it has exit codes of its own: see `main`
            Command::Figures(args) => args.run(self),
            Command::Scorecard(args) => args.run(self),
            Command::Policy(command) => command.run(self),
            Command::Plan(args) => args.run(self),
            Command::Lake(command) => command.run(self),
            Command::Bundle(command) => command.run(self),
            Command::User(command) => command.run(self),
            Command::Token(command) => command.run(self),
            Command::Hook(command) => command.run(self),
            Command::Sms(command) => command.run(self),
            Command::Audit(args) => args.run(self),
            Command::Config(ConfigCommand::Check(args)) => self.check(args),
            Command::Completions { shell } => papers::completions(*shell),
            Command::Man { out } => papers::man(out.as_deref()),
        }
    }

    fn print(&self, value: &Value) {
        show::value(value, self.json);
    }
}

/// A day for people, China's time, of seconds since 1970.
fn day(secs: u64) -> String {
    china::moment(secs.saturating_mul(1_000)).map_or_else(|| "?".to_owned(), |at| china::day(at).to_string())
}

fn no_directory() -> Failure {
    Failure::new(FailureKind::Usage, "which node? its data directory is not given")
        .hint("add --dir DIR, set HOTLINE_DIR, or name a configuration file that says `dir`")
}

/// Writes a file that somebody named.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|e| {
        Failure::new(FailureKind::Failed, format!("{} cannot be written", path.display())).because(e)
    })
}

/// Asks once.
fn ask(dir: &Path, request: &Request) -> Reply {
    Session::open(dir)?.ask(request)
}

/// Several questions to one node: to the one that runs on the directory, or else to the directory itself, which stays
/// opened, and locked, in between.
/// A file that does not open, or does not read to its end.
fn unreadable(path: &Path, e: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, format!("{} cannot be read", path.display())).because(e)
}

struct Session {
    dir: PathBuf,
    engine: Option<Engine>,
    /// The directory is so damaged that no node starts on it: questions are answered, and nothing is written.
    looks: bool,
}

impl Session {
    fn open(dir: &Path) -> Result<Session, Failure> {
        let engine = if is_running(dir) { None } else { Some(Engine::open(dir, &Options::drawn()?)?) };
        Ok(Session { dir: dir.to_owned(), engine, looks: false })
    }

    /// The same for somebody who wants to know what is damaged.
    fn open_damaged(dir: &Path) -> Result<Session, Failure> {
        match Session::open(dir) {
            Err(failure) if failure.kind == FailureKind::Integrity => {
                let looked = Engine::look(dir, &Options::drawn()?).map_err(|failure| match failure.kind {
                    FailureKind::Integrity => failure.hint(
                        "what all the rest is found by is damaged, so not even a part can be verified: move the directory \
                         away, do not delete it, and make it anew of a backup: `hotline restore`. What was written since \
                         comes back from the peers",
                    ),
                    _ => failure,
                });
                Ok(Session { dir: dir.to_owned(), engine: Some(looked?), looks: true })
            }
            other => other,
        }
    }

    /// Keeps pairs with these nodes, on a directory that nobody else works on.
    fn keep_pairs(&mut self, peers: &[certs::NodeName]) -> Result<(), Failure> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        engine.begin(now_ms())?;
        peers.iter().try_for_each(|peer| engine.add_peer(*peer))?;
        engine.commit()?;
        Ok(())
    }

    fn ask(&mut self, request: &Request) -> Reply {
        let Some(engine) = &mut self.engine else {
            return ask_running(&self.dir, request).unwrap_or_else(|| {
                Err(Failure::new(FailureKind::Unreachable, "the node stopped meanwhile")
                    .hint("ask again; what it acknowledged is kept"))
            });
        };
        engine.begin(now_ms())?;
        let reply = engine.ask(request);
        if self.looks {
            return reply;
        }
        match (engine.commit(), reply) {
            (Ok(_), reply) => reply,
            // What a question found damaged says more than where the commit behind it stumbled.
            (Err(_), Err(found)) if found.kind == FailureKind::Integrity => Err(found),
            (Err(failure), _) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
