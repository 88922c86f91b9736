//! `hotline token`: which programs may ask, and for what. On the desk's database itself, with the node running or not.

use clap::Subcommand;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::user::{HERE, open};
use super::{Cli, show};
use crate::china::{self, shown_time};
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind};
use crate::users::{ApiToken, Role, Scope};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Makes a token and prints it, once.
    Add {
        name: String,
        /// Whose rights it has at most: see `hotline user add --help`.
        #[arg(long)]
        role: Role,
        /// What of them: tickets:read, tickets:write, files:read, files:write, persons:read, status:read,
        /// open311:write.
        #[arg(long, value_name = "SCOPE,...", value_delimiter = ',', required = true)]
        scope: Vec<Scope>,
        /// The last day on which it counts, as in 2027-03-31, China's time; without it until it is revoked.
        #[arg(long, value_name = "DATE")]
        expires: Option<Date>,
    },
    /// All tokens, without what they are.
    List,
    /// Lets a token in no more, from this moment on and for ever.
    Revoke { name: String },
}

impl Token {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let users = open(&cli.dir()?)?;
        let now = now_ms();
        let note =
            |what: &str, detail: &str| users.append(now, cli.user.as_deref(), HERE, what, None, detail);
        match self {
            Token::Add { name, role, scope, expires } => {
                let ends_at = expires.map(end_of).transpose()?;
                let names: Vec<&str> = scope.iter().map(|scope| scope.name()).collect();
                note("token add", &format!("{name} {role} {}", names.join(",")))?;
                let (token, text) = users.add_token(name, *role, scope, ends_at, now)?;
                let mut value = shown(&token, now);
                value["token"] = text.as_str().into();
                cli.print(&value);
                if !cli.json {
                    show::aside("this token is shown once; send it as `Authorization: Bearer TOKEN`");
                }
            }
            Token::List => cli.print(&users.tokens()?.iter().map(|token| shown(token, now)).collect()),
            Token::Revoke { name } => {
                note("token revoke", name)?;
                cli.print(&shown(&users.revoke_token(name, now)?, now));
            }
        }
        Ok(())
    }
}

/// The end of a day, in milliseconds since 1970.
fn end_of(day: Date) -> Result<u64, Failure> {
    china::end_of(day)
        .and_then(|end| u64::try_from(end.as_millisecond()).ok())
        .ok_or_else(|| Failure::new(FailureKind::Usage, format!("{day} is no day that a token can end on")))
}

fn shown(token: &ApiToken, now: u64) -> Value {
    json!({
        "name": token.name,
        "role": token.role,
        "scopes": token.scopes,
        "counts": token.counts(now),
        "ends_at": token.ends_at.map(shown_time),
        "revoked_at": token.revoked_at.map(shown_time),
        "used_at": token.seen_at.map(shown_time),
    })
}
