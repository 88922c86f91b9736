//! `hotline user` and `hotline audit`: who works at the desk, and what they did. On the desk's database itself, with the
//! node running or not.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Cli, show};
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::engine::IDENTITY;
use crate::request::{Failure, FailureKind};
use crate::users::{Account, Line, Role, Users};

/// What the audit log gives as the address of these commands.
pub(super) const HERE: &str = "command line";

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Makes an account and prints its first password, once; it must be changed at the first sign-in.
    Add {
        name: String,
        /// agent 话务员, shift-leader 班长, handler 业务部门, follow-up 回访员, supervisor 督办, auditor 审计, administrator 管理员.
        #[arg(long)]
        role: Role,
    },
    /// All accounts.
    List,
    /// Gives an account another role; whoever is signed in with it is signed out.
    Role { name: String, role: Role },
    /// Draws a new first password for somebody who has forgotten theirs, and prints it once.
    Password { name: String },
    /// Lets an account in no more, and signs it out.
    Lock { name: String },
    /// Lets an account in again, also when wrong passwords made it wait.
    Unlock { name: String },
    /// Says which extension of the telephone system is whose: a call that it answers opens the form in that browser.
    /// Without a number it is taken away.
    Extension { name: String, number: Option<String> },
    /// 远程座席: says for which other centres an account takes calls, like 371700; without a code for none.
    Serves { name: String, centres: Vec<String> },
    /// Says to which department an account belongs, by the name that dispatches give it: its tickets are the account's team's.
    /// Without a name it belongs to none.
    Department { name: String, department: Option<String> },
    /// Removes an account for ever; its name is never given again.
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Hashes every line anew; exit code 5 when a line was changed, taken out or cut off.
    #[arg(long)]
    verify: bool,
    /// At most so many lines, the newest first.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl User {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let users = open(&cli.dir()?)?;
        let now = now_ms();
        let note =
            |what: &str, detail: &str| users.append(now, cli.user.as_deref(), HERE, what, None, detail);
        let done = |account: Account| cli.print(&shown(&account));
        match self {
            User::Add { name, role } => {
                note("user add", &format!("{name} {role}"))?;
                let (account, first) = users.add(name, *role, now)?;
                once(cli, &account, &first);
            }
            User::Password { name } => {
                note("user password", name)?;
                let (account, first) = users.reset_password(name)?;
                once(cli, &account, &first);
            }
            User::Extension { name, number } => {
                note("user extension", &format!("{name} {}", number.as_deref().unwrap_or("-")))?;
                let account = users.set_extension(name, number.as_deref())?;
                cli.print(&with_extension(&account, &users.extensions()?));
            }
            User::List => {
                let extensions = users.extensions()?;
                cli.print(&users.list()?.iter().map(|a| with_extension(a, &extensions)).collect());
            }
            User::Role { name, role } => {
                note("user role", &format!("{name} {role}"))?;
                done(users.set_role(name, *role)?);
            }
            User::Serves { name, centres } => {
                let known = cli.reference()?.centres;
                let sites = known.served(centres.iter().map(String::as_str)).map_err(|why| {
                    Failure::new(FailureKind::Usage, why)
                        .hint("centres are named by their codes, like 371700")
                })?;
                note("user serves", &format!("{name} {}", centres.join(" ")))?;
                done(users.set_serves(name, &sites)?);
            }
            User::Department { name, department } => {
                let department = department.as_deref().unwrap_or_default().trim();
                note("user department", &format!("{name} {department}"))?;
                done(users.set_department(name, department)?);
                if !department.is_empty() {
                    look_for_department(cli, department);
                }
            }
            User::Lock { name } => {
                note("user lock", name)?;
                done(users.set_locked(name, true)?);
            }
            User::Unlock { name } => {
                note("user unlock", name)?;
                done(users.set_locked(name, false)?);
            }
            User::Remove { name } => {
                note("user remove", name)?;
                let account = users.remove(name)?;
                cli.print(&json!({ "name": account.name, "removed": true }));
            }
        }
        Ok(())
    }
}

/// Tells which departments the catalogue names when an account was given to another: by a slip its team's queue stays empty.
/// Where the tables cannot be read nothing is told: the account is set all the same.
fn look_for_department(cli: &Cli, department: &str) {
    let here = || certs::Identity::load(&cli.dir().ok()?.join(IDENTITY)).ok().map(|of| of.node().site());
    let (Some(here), Ok(reference)) = (here(), cli.reference()) else { return };
    let known = reference.dispatch.departments(here);
    if !known.is_empty() && !known.contains(department) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        show::aside(&format!("the dispatch catalogue names no department `{department}`; it names {known}"));
    }
}

impl AuditArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let users = open(&cli.dir()?)?;
        if !self.verify {
            let lines = users.audit(None, self.limit.min(100_000))?.lines;
            cli.print(&lines.iter().map(|(row, line)| line_shown(*row, line)).collect());
            return Ok(());
        }
        let verified = users.verify_audit(None)?;
        cli.print(&json!(verified));
        match verified.wrong {
            None => Ok(()),
            Some(wrong) => Err(Failure::new(FailureKind::Integrity, "the audit log is not what was written")
                .because(wrong)
                .hint(
                    "find out who could write the data directory; the last backup has the log as it was then",
                )),
        }
    }
}

/// The accounts of a data directory. They are its owner's: a file that somebody else made would lock the node out.
pub(super) fn open(dir: &Path) -> Result<Users, Failure> {
    let wrong = |what: String| Failure::new(FailureKind::Configuration, what);
    if !dir.join("node.db").exists() {
        return Err(wrong(format!("{} is no data directory", dir.display()))
            .hint("make one: `hotline init --dir DIR --identity DIR`"));
    }
    let owner = std::fs::metadata(dir).map(|m| m.uid()).unwrap_or_default();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(wrong(format!("{} belongs to another user", dir.display()))
            .hint("run this as the node's user: `runuser -u hotline -- hotline user ...`"));
    }
    Users::open(dir)
}

fn shown(account: &Account) -> Value {
    json!({
        "name": account.name,
        "role": account.role,
        "locked": account.locked,
        "must_change": account.must_change,
        "signed_in_at": account.seen_at.map(shown_time),
        "serves": account.serves,
        "department": account.department,
    })
}

fn with_extension(account: &Account, all: &[(i64, String)]) -> Value {
    let mut value = shown(account);
    let own = all.iter().find(|(holder, _)| *holder == account.id);
    value["extension"] = own.map(|(_, number)| number.as_str()).into();
    value
}

/// An account with its first password: the only time that it is shown.
fn once(cli: &Cli, account: &Account, first: &str) {
    let mut value = shown(account);
    value["password"] = first.into();
    cli.print(&value);
    if !cli.json {
        show::aside("this password is shown once; it must be changed at the first sign-in");
    }
}

pub(super) fn line_shown(row: i64, line: &Line) -> Value {
    json!({
        "line": row, "at": shown_time(line.at), "user": line.user, "address": line.address, "what": line.what,
        "ticket": line.ticket, "detail": line.detail,
    })
}
