//! `hotline replica`: what an operator asks of a node's replica.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Cli, Session, export, findings, ticket, watch};
use crate::request::{Failure, Request};

#[derive(Debug, Subcommand)]
pub(super) enum Replica {
    /// Documents, items, links, proofs.
    Status,
    /// The links alone.
    Peers,
    /// The fingerprint of what a peer and this node must both hold.
    Digest {
        #[arg(long, value_name = "NODE")]
        peer: String,
    },
    /// What a peer lacks, and why.
    Diff {
        node: String,
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// What a person should look at: superseded words, close proposals, ties, forked chains, refused items.
    Conflicts,
    /// Takes in what a revoked node wrote too late to be counted: a superior's right, after a person has looked at it.
    TakeIn {
        /// The ticket: id, unambiguous prefix or number.
        id: String,
    },
    /// Hashes everything anew and checks every seal.
    Verify,
    /// Makes all projections anew.
    Rebuild,
    /// All data of this node in open formats, into a new directory: tickets, files, articles, logs as JSON lines, with
    /// checksums. Callers are left out without --reveal.
    Export {
        /// The directory; it must not be there yet.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Opens the callers and the confidential reports that this node has keys for, for this reason; each is logged.
        #[arg(long, value_name = "REASON")]
        reveal: Option<String>,
    },
    /// Who was shown whose personal data and why; checks that the log is whole.
    Reveals,
    /// What the node told its operator since it started.
    Events,
    /// The status as it changes: a picture on a terminal, elsewhere one JSON document a line.
    Watch,
    /// Says that this machine's date is right.
    ConfirmClock,
}

impl Replica {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let request = match self {
            Replica::Status | Replica::Peers => Request::Status,
            Replica::Digest { peer } => Request::Digest { peer: peer.clone() },
            Replica::Diff { node, limit } => Request::Diff { peer: node.clone(), limit: *limit },
            Replica::Conflicts => Request::Conflicts,
            Replica::TakeIn { id } => Request::TakeIn { id: id.clone() },
            Replica::Verify => Request::Verify,
            Replica::Rebuild => Request::Rebuild,
            Replica::Export { out, reveal } => return export::export(cli, out, reveal.as_deref()),
            Replica::Reveals => return ticket::reveals(cli, None),
            Replica::Events => Request::Events,
            Replica::ConfirmClock => Request::ConfirmClock,
            Replica::Watch => return watch::watch(&cli.dir()?, cli.json),
        };
        let mut value = match self {
            Replica::Verify => Session::open_damaged(&cli.dir()?)?.ask(&request)?,
            _ => cli.ask(&request)?,
        };
        match self {
            Replica::Peers => cli.print(&value["peers"]),
            Replica::Status if !cli.json => {
                // `bundle log` shows these as people read them.
                value.as_object_mut().and_then(|fields| fields.remove("bundle_log"));
                cli.print(&value);
            }
            Replica::Conflicts if !cli.json => findings::conflicts(&value),
            Replica::Diff { .. } if !cli.json => findings::diff(&value),
            _ => cli.print(&value),
        }
        Ok(())
    }
}
