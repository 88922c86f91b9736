//! `hotline cert`: authorities and identities, on a machine without a network.
//!
//! No command prints a private key; the files that hold one are for their owner only (0600).

mod check;
mod enrol;
mod show;

use std::path::PathBuf;

use certs::{Authority, Identity, NodeKeys, NodeName, Reason, SecretKey, Site, Subject, UnixTime};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{Cli, unreadable};
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind};
pub(super) use enrol::waiting_lists;

/// Days that a node's certificate lives unless told otherwise.
const DAYS: u64 = 400;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Why {
    /// The key was stolen or lost, or may have been.
    KeyCompromise,
    /// Another certificate took its place.
    Superseded,
    /// The node ended its work.
    Closed,
}

#[derive(Debug, Subcommand)]
pub(super) enum Cert {
    /// The ministry's root; keep it offline.
    Root {
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// A province's authority, constrained to its own names.
    Province {
        site: Site,
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// A node's identity, signed by its province (the ministry's by the root).
    Node {
        node: NodeName,
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[arg(long, default_value_t = DAYS)]
        days: u64,
    },
    /// Keys for a node that is enrolled from afar, and the request to carry to its authority.
    Request(enrol::RequestArgs),
    /// An authority's response to a request, after two people have compared its fingerprint.
    Sign(enrol::SignArgs),
    /// A revocation list that names this node too.
    Revoke {
        node: NodeName,
        /// Takes back the authority of this province instead, and with it all that it issued.
        #[arg(long)]
        authority: bool,
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[arg(long, value_enum, default_value_t = Why::KeyCompromise)]
        reason: Why,
        /// The last seal of the node that still counts (64 digits); several for several forks.
        #[arg(long, value_name = "SEAL")]
        counts: Vec<sync::id::SealHash>,
    },
    /// Takes in what an authority has written: a response into an identity, a revocation list into a node.
    Admit(enrol::AdmitArgs),
    /// A recovery key, which backups are sealed to: `recovery.pub` for the nodes, `recovery.key` for a safe.
    Recovery {
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// What an authority has issued and revoked.
    List {
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
    },
    /// An identity or an authority (a directory), a request or a response (a file); never their secrets.
    Show { path: PathBuf },
    /// What is wrong with an identity or an authority. Exit code 4 when it cannot be used, 6 when a person is needed.
    Check(check::CheckArgs),
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, "the authority could not do that").because(e)
}

/// A date for people: the day, China's time.
fn day(t: UnixTime) -> String {
    super::day(t.secs())
}

fn today() -> UnixTime {
    UnixTime::from_secs(now_ms() / 1000)
}

impl Cert {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let now = today();
        let said = match self {
            Cert::Root { out } => {
                let mut root = Authority::root(SecretKey::generate(), now).map_err(failed)?;
                root.save(out).map_err(failed)?;
                json!({
                    "authority": "000000", "dir": out, "until": day(root.until()),
                    "fingerprint": root.trusted_root().fingerprint().to_string(),
                })
            }
            Cert::Province { site, ca, out } => {
                let mut root = Authority::load(ca).map_err(failed)?;
                let mut province = root.issue_province(*site, SecretKey::generate(), now).map_err(failed)?;
                province.save(out).map_err(failed)?;
                json!({ "authority": site, "dir": out, "until": day(province.until()) })
            }
            Cert::Node { node, ca, out, days } => {
                let mut authority = Authority::load(ca).map_err(failed)?;
                let mut identity = Identity::create(&mut authority, *node, NodeKeys::generate(), now, *days)
                    .map_err(failed)?;
                identity.save(out).map_err(failed)?;
                let until = identity.record().leaf.until;
                json!({ "node": node, "dir": out, "days": now.days_until(until), "until": day(until) })
            }
            Cert::Request(args) => args.run()?,
            Cert::Sign(args) => args.run(now)?,
            Cert::Revoke { node, authority, ca, out, reason, counts } => {
                let mut issuer = Authority::load(ca).map_err(failed)?;
                let reason = match reason {
                    Why::KeyCompromise => Reason::KeyCompromise,
                    Why::Superseded => Reason::Superseded,
                    Why::Closed => Reason::Closed,
                };
                let who = if *authority { Subject::Authority(node.site()) } else { Subject::Node(*node) };
                let counts: Vec<[u8; 32]> = counts.iter().map(|c| *c.as_bytes()).collect();
                let list = issuer.revoke(who, &counts, reason, now).map_err(failed)?;
                std::fs::write(out, &**list.bytes()).map_err(|e| {
                    Failure::new(FailureKind::Failed, format!("{} cannot be written", out.display()))
                        .because(e)
                        .hint("the revocation itself is kept: say it again with another file")
                })?;
                json!({
                    "revoked": node, "authority": authority, "file": out, "number": list.number,
                    "next": format!("at any node: hotline cert admit {} --dir DIR", out.display()),
                })
            }
            Cert::Admit(args) => args.run(cli, now)?,
            Cert::Recovery { out } => {
                certs::RecoveryKey::generate().save(out).map_err(failed)?;
                json!({
                    "public": out.join(certs::recovery::PUBLIC), "secret": out.join(certs::recovery::SECRET),
                    "next": "the public half to the nodes, the secret half where no node is; without it no backup opens",
                })
            }
            Cert::List { ca } => {
                let authority = Authority::load(ca).map_err(failed)?;
                return show::list(&authority, cli, now);
            }
            Cert::Show { path } => show::show(path, now)?,
            Cert::Check(args) => args.run(now)?,
        };
        cli.print(&said);
        Ok(())
    }
}
