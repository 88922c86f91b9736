//! `hotline cert`: authorities and identities, on a machine without a network.

use std::path::PathBuf;

use certs::{Authority, Identity, NodeKeys, NodeName, Reason, SecretKey, Site, Subject, UnixTime};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Cli;
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind, Request};

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
    /// A revocation list that names this node too.
    Revoke {
        node: NodeName,
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
    /// Admits a revocation list from a file into the node's directory.
    Admit { file: PathBuf },
    /// What an authority has issued and revoked.
    List {
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
    },
    /// An identity, without its secrets.
    Show { identity: PathBuf },
}

fn failed(e: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, "the authority could not do that").because(e)
}

impl Cert {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let now = UnixTime::from_secs(now_ms() / 1000);
        let said = match self {
            Cert::Root { out } => {
                let mut root = Authority::root(SecretKey::generate(), now).map_err(failed)?;
                root.save(out).map_err(failed)?;
                json!({ "authority": "ministry root", "dir": out, "fingerprint": root.trusted_root().fingerprint().to_string() })
            }
            Cert::Province { site, ca, out } => {
                let mut root = Authority::load(ca).map_err(failed)?;
                let mut province = root.issue_province(*site, SecretKey::generate(), now).map_err(failed)?;
                province.save(out).map_err(failed)?;
                json!({ "authority": site, "dir": out })
            }
            Cert::Node { node, ca, out, days } => {
                let mut authority = Authority::load(ca).map_err(failed)?;
                let mut identity = Identity::create(&mut authority, *node, NodeKeys::generate(), now, *days)
                    .map_err(failed)?;
                identity.save(out).map_err(failed)?;
                json!({ "node": node, "dir": out, "days": days })
            }
            Cert::Revoke { node, ca, out, reason, counts } => {
                let mut authority = Authority::load(ca).map_err(failed)?;
                let reason = match reason {
                    Why::KeyCompromise => Reason::KeyCompromise,
                    Why::Superseded => Reason::Superseded,
                    Why::Closed => Reason::Closed,
                };
                let counts: Vec<[u8; 32]> = counts.iter().map(|c| *c.as_bytes()).collect();
                let list = authority.revoke(Subject::Node(*node), &counts, reason, now).map_err(failed)?;
                std::fs::write(out, &**list.bytes()).map_err(failed)?;
                json!({ "revoked": node, "file": out, "number": list.number, "next": format!("admit it at any node: hotline cert admit {} --dir DIR", out.display()) })
            }
            Cert::Admit { file } => {
                let bytes = std::fs::read(file).map_err(|e| {
                    Failure::new(FailureKind::Failed, format!("{} cannot be read", file.display())).because(e)
                })?;
                let hex = bytes.iter().map(|b| format!("{b:02x}")).collect();
                cli.ask(&Request::Admit { kind: "revocation".to_owned(), hex })?
            }
            Cert::List { ca } => {
                let authority = Authority::load(ca).map_err(failed)?;
                let issued: Vec<Value> = authority.issued().iter().map(|i| json!(format!("{i:?}"))).collect();
                let revoked: Vec<Value> =
                    authority.revoked().iter().map(|r| json!(format!("{r:?}"))).collect();
                json!({ "jurisdiction": format!("{:?}", authority.jurisdiction()), "issued": issued, "revoked": revoked })
            }
            Cert::Show { identity } => {
                let identity = Identity::load(identity).map_err(failed)?;
                let leaf = &identity.record().leaf;
                json!({
                    "node": identity.node(),
                    "name": identity.node().dns(),
                    "days_left": now.days_until(leaf.until),
                    "root": identity.root().fingerprint().to_string(),
                    "record": identity.record().number,
                })
            }
        };
        cli.print(&said);
        Ok(())
    }
}
