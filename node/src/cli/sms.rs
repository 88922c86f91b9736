//! `hotline sms`: short messages that came in and go out. On the desk's database itself, with the node running or not.

use clap::Subcommand;
use serde_json::json;

use super::user::open;
use super::{Cli, show};
use crate::china::shown_time;
use crate::request::{Failure, FailureKind};
use crate::sms;

#[derive(Debug, Subcommand)]
pub(super) enum Sms {
    /// How messages stand: what came in by outcome, what goes out by state, and the gateway's last failure.
    Status,
    /// The last messages of both ways, the newest first. Neither a phone nor a text is in it.
    Log {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// The URL that the gateway brings messages to, as Kannel's `get-url`. It holds a key: whoever has it files tickets.
    Url,
}

impl Sms {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let users = open(&dir)?;
        match self {
            Sms::Status => {
                let counts = users.sms_counts()?;
                cli.print(&json!({
                    "in": counts.incoming,
                    "out": counts.outgoing,
                    "buffered": counts.buffered,
                    "waiting_since": counts.oldest.map(shown_time),
                    "failing_since": counts.failing_since.map(shown_time),
                    "last_failure": counts.failure,
                }));
            }
            Sms::Log { limit } => {
                let line = |line: crate::users::SmsLine| {
                    json!({
                        "at": shown_time(line.at),
                        "way": line.way,
                        "kind": line.kind,
                        "state": line.state,
                        "number": line.number,
                        "tries": line.tries,
                        "failure": line.failure,
                    })
                };
                cli.print(&users.sms_log(*limit)?.into_iter().map(line).collect());
            }
            Sms::Url => {
                let config = cli.config(Vec::new())?;
                let Some(listen) = config.sms.listen else {
                    return Err(Failure::new(
                        FailureKind::Configuration,
                        "short messages have no address here",
                    )
                    .hint("set sms.listen in the node's configuration: docs/sms.md"));
                };
                cli.print(&json!({ "get-url": sms::get_url(&users, listen)? }));
                if !cli.json {
                    show::aside(
                        "this goes into the gateway's file, which nobody else should read: docs/sms.md",
                    );
                }
            }
        }
        Ok(())
    }
}
