//! `hotline hook`: programs that are told of changes. On the desk's database itself, with the node running or not; a node
//! that runs takes it up within a second.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::run::runtime;
use super::user::{HERE, open};
use super::{Cli, show};
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::engine::IDENTITY;
use crate::hooks::{self, number, shown_secret, shown_url};
use crate::request::{Failure, FailureKind, Request};
use crate::ticket::fold::Stage;
use crate::users::{self, NewHook};

/// The largest file of an authority.
const MAX_CA: u64 = 256 << 10;

const DAY_MS: u64 = 24 * 60 * 60_000;

#[derive(Debug, Subcommand)]
pub(super) enum Hook {
    /// Tells a program of every change from now on, by signed requests; prints the secret, once.
    Add {
        /// Where: https, or http to a private address. Without an authority of its own, that of the machine counts.
        url: String,
        /// Its name; the URL's host without it.
        #[arg(long)]
        name: Option<String>,
        /// Only changes after which a ticket is in one of these stages.
        #[arg(long, value_name = "STAGE,...", value_delimiter = ',', value_parser = PossibleValuesParser::new(Stage::NAMES))]
        only: Vec<String>,
        /// The authority that the receiver's certificate was made by, as PEM.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// All hooks: what waits for each, and the last failure.
    List,
    /// Tells a program nothing any more.
    Remove { name: String },
    /// Sends one event of no consequence, and says what came of it.
    Test { name: String },
    /// Draws another secret and prints it, once. For a while requests are signed with both, so that the receiver can change over.
    Secret {
        name: String,
        /// For so many days the old one counts too; 0 if somebody has seen it.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=90))]
        days: u16,
    },
    /// Goes on from where it stopped, or tries at once instead of waiting.
    Resume { name: String },
}

impl Hook {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let users = open(&dir)?;
        let now = now_ms();
        let note =
            |what: &str, detail: &str| users.append(now, cli.user.as_deref(), HERE, what, None, detail);
        match self {
            Hook::Add { url, name, only, ca } => {
                let ca = ca.as_deref().map(read_ca).transpose()?;
                hooks::check(url, ca.as_deref())?;
                let name = name.clone().map_or_else(|| hooks::host_of(url), Ok)?;
                let begin = cli.ask(&Request::Changes { after: None, limit: 1 })?;
                let cursor = begin["next"].as_str().unwrap_or_default().to_owned();
                note("hook add", &format!("{name} {} {}", shown_url(url), only.join(",")))?;
                let new = NewHook { name, url: url.clone(), stages: only.clone(), ca, cursor };
                let hook = users.add_hook(&new, now)?;
                let mut value = shown(&hook, None);
                value["secret"] = shown_secret(&hook.secret).as_str().into();
                cli.print(&value);
                if !cli.json {
                    show::aside(
                        "this secret is shown once; the receiver checks signatures with it: docs/api.md",
                    );
                }
            }
            Hook::List => {
                let hooks = users.hooks()?;
                // A directory that is damaged still shows its hooks.
                let newest = cli.ask(&Request::Changes { after: None, limit: 1 }).ok();
                let newest = newest.as_ref().and_then(|newest| newest["next"].as_str()).map(number);
                cli.print(&hooks.iter().map(|hook| shown(hook, newest)).collect());
            }
            Hook::Remove { name } => {
                let hook = users.hook(name)?;
                note("hook remove", &format!("{name} {}", shown_url(&hook.url)))?;
                cli.print(&shown(&users.remove_hook(name)?, None));
            }
            Hook::Test { name } => {
                let hook = users.hook(name)?;
                let me = certs::Identity::load(&dir.join(IDENTITY)).map(|identity| identity.node());
                let me = me.map_err(|e| {
                    Failure::new(FailureKind::Configuration, "the node's identity does not load").because(e)
                })?;
                note("hook test", name)?;
                runtime()?.block_on(hooks::test(me, &hook))?;
                cli.print(&json!({ "name": name, "told": true }));
            }
            Hook::Secret { name, days } => {
                note("hook secret", &format!("{name} {days} days"))?;
                let hook = users.renew_hook(name, now + u64::from(*days) * DAY_MS)?;
                let mut value = shown(&hook, None);
                value["secret"] = shown_secret(&hook.secret).as_str().into();
                value["old_until"] = hook.before.as_ref().map(|(_, until)| shown_time(*until)).into();
                cli.print(&value);
                if !cli.json {
                    show::aside(
                        "this secret is shown once; until then requests bear a signature of the old one too, and of none before it",
                    );
                }
            }
            Hook::Resume { name } => {
                note("hook resume", name)?;
                cli.print(&shown(&users.resume_hook(name)?, None));
            }
        }
        Ok(())
    }
}

fn read_ca(path: &Path) -> Result<String, Failure> {
    let failed = |e: std::io::Error| {
        Failure::new(FailureKind::Usage, format!("{} cannot be read", path.display())).because(e)
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_CA + 1).read_to_string(&mut text).map_err(failed)?; // too large a one is refused with the rest
    Ok(text)
}

/// A hook without its secret, and of its URL only where it leads.
fn shown(hook: &users::Hook, newest: Option<u64>) -> Value {
    json!({
        "name": hook.name,
        "url": shown_url(&hook.url),
        "only": hook.stages,
        "on": hook.off.is_none(),
        "off_because": hook.off.map(users::Off::name),
        "cursor": hook.cursor,
        "waiting": newest.map(|newest| newest.saturating_sub(number(&hook.cursor))),
        "delivered_at": hook.delivered_at.map(shown_time),
        "failing_since": hook.failing_since.map(shown_time),
        "last_failure": hook.failure,
    })
}
