//! `hotline init`: a data directory for an identity, and for an office all that its first stick needs.
//!
//! Two nodes that never had a line seal to each other's records. The first parcel of one brings its own record along, so
//! it is enough that *one* of them gets the other's by hand: the office here (`--record`), or else its city.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use certs::{Identity, NodeName, NodeRecord, Site, Tier};
use clap::Args;
use serde_json::json;

use super::cert;
use super::{Cli, Session, show, unreadable};
use crate::config::FILE;
use crate::engine::{Engine, IDENTITY};
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Request};

/// Most records at once, and the most bytes of one.
const MAX_RECORDS: usize = 64;
const MAX_RECORD: u64 = 64 << 10;

/// What an office is told by its own configuration file.
const OFFICE: &str = "\
# A site without a line: it has no peers, and listens to nobody but this machine. Sticks carry everything.
# When a line comes, take these two lines away and name the city under [peers]; nothing else changes.
[links]
listen = \"127.0.0.1:0\"
";

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The identity's directory, as `hotline cert node` made it.
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// For an office that has no line: nothing listens to the outside, and the next steps are those with sticks.
    #[arg(long)]
    office: bool,
    /// A node's record (`record` in its identity's directory) to know from the start: for an office its city's.
    #[arg(long, value_name = "FILE")]
    record: Vec<PathBuf>,
}

impl InitArgs {
    /// Makes a data directory, and takes in the records, and the revocation lists that came with the identity.
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let dir = cli.dir()?;
        let mut identity = Identity::load(&self.identity).map_err(|e| {
            Failure::new(FailureKind::Configuration, "the identity cannot be read")
                .because(e)
                .hint("what is wrong with it: hotline cert check DIR")
        })?;
        let me = identity.node();
        if self.office {
            must_be_an_office(me.site())?;
        }
        // Before anything is made: what is given must hold.
        let records = self.records(&identity)?;
        Engine::init(&dir, &mut identity)?;
        let mut session = Session::open(&dir)?;
        for list in cert::waiting_lists(&self.identity)? {
            session.ask(&list)?;
        }
        for (_, bytes) in &records {
            session.ask(&Request::Admit { kind: "record".to_owned(), hex: hex(bytes) })?;
        }
        let superiors = records.iter().map(|(node, _)| *node).filter(|node| node.site().is_above(me.site()));
        let mut known: Vec<NodeName> = superiors.collect();
        // Its city first, whichever way they were named: sticks go there.
        known.sort_by_key(|node| std::cmp::Reverse(node.site().tier()));
        let mut said = json!({ "node": me, "dir": dir });
        if self.office {
            session.keep_pairs(&known)?;
            write_configuration(&dir)?;
            said["knows"] = json!(known);
        }
        let steps = if self.office { next_steps(me, &known, &dir) } else { Vec::new() };
        if cli.json {
            said["next"] = json!(steps);
        }
        cli.print(&said);
        if !cli.json {
            steps.iter().zip(1..).for_each(|(step, n)| show::aside(&format!("next, {n}: {step}")));
        }
        Ok(())
    }

    fn records(&self, identity: &Identity) -> Result<Vec<(NodeName, Vec<u8>)>, Failure> {
        if self.record.len() > MAX_RECORDS {
            return Err(Failure::new(FailureKind::Usage, format!("at most {MAX_RECORDS} records at once"))
                .hint("admit the others one by one: hotline cert admit FILE --dir DIR"));
        }
        let mut records = Vec::new();
        for path in &self.record {
            let bytes = read(path)?;
            let record = NodeRecord::verify(&bytes, identity.root()).map_err(|e| {
                Failure::new(FailureKind::Failed, format!("{} is no record that holds here", path.display()))
                    .because(e)
                    .hint("it is the file `record` in the other node's DIR/identity, under the same root; nothing was made")
            })?;
            records.push((record.node, bytes));
        }
        Ok(records)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| unreadable(path, e))?;
    file.take(MAX_RECORD).read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    Ok(bytes)
}

/// Only an office is served by sticks alone by design; what any other site is, is said.
fn must_be_an_office(site: Site) -> Result<(), Failure> {
    let is = match site.tier() {
        Tier::Office => return Ok(()),
        Tier::City => "a city",
        Tier::Province => "a province",
        Tier::Ministry => "the ministry",
    };
    let example = if site.tier() == Tier::City { format!("{site}-01") } else { "370100-01".to_owned() };
    Err(Failure::new(
        FailureKind::Usage,
        format!("{site} is {is}, and --office is for offices, such as {example}"),
    )
    .because("a node of its tier takes calls from the sites below it, and waits for their links")
    .hint(
        "leave --office out; if its line is down for long, sticks work all the same: hotline bundle export",
    ))
}

/// A configuration that is there already is the operator's.
fn write_configuration(dir: &Path) -> Result<(), Failure> {
    let path = dir.join(FILE);
    match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => file.write_all(OFFICE.as_bytes()).and_then(|()| file.sync_all()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
    .map_err(|e| {
        Failure::new(FailureKind::Failed, format!("{} cannot be written", path.display())).because(e)
    })
}

/// What people do next, in their order.
fn next_steps(me: NodeName, known: &[NodeName], dir: &Path) -> Vec<String> {
    let dir = dir.display();
    let city = match known.first() {
        Some(node) => node.to_string(),
        None => me.site().superior().map_or_else(String::new, |city| city.to_string()),
    };
    let there = format!("hotline bundle export --to {me} --out STICK --dir DIR");
    let steps = match known.is_empty() {
        false => vec![
            format!(
                "here, whenever a stick leaves: hotline bundle export --to {city} --out STICK --dir {dir}"
            ),
            format!(
                "at {city}, which needs nothing beforehand: hotline bundle import STICK --dir DIR, then {there}"
            ),
            format!("here, when it is back: hotline bundle import STICK --dir {dir}"),
        ],
        true => vec![
            format!("carry {dir}/{IDENTITY}/record to {city}; it is not secret and proves itself"),
            format!("at {city}: hotline cert admit record --dir DIR, then {there}"),
            format!("here: hotline bundle import STICK --dir {dir}; from then on the way is open both ways"),
            format!(
                "here, whenever a stick leaves: hotline bundle export --to {city} --out STICK --dir {dir}"
            ),
        ],
    };
    let tickets = format!("tickets need nothing of all that: hotline ticket new --dir {dir}");
    steps.into_iter().chain([tickets]).collect()
}
