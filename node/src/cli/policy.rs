//! `hotline policy`: the rules in force at a site, and those that come; set from a day on for the site and everybody below it.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Cli, Session, show, unreadable};
use crate::policy::MAX_TABLE;
use crate::policy::request::PolicyRequest;
use crate::reference::Reference;
use crate::request::{Failure, FailureKind, Request};

/// Rules: tables that a site sets for itself and everybody below it.
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Which editions of which tables are in force here, and which come.
    List {
        /// Only this table.
        table: Option<String>,
        /// Those of the past too.
        #[arg(long)]
        all: bool,
    },
    /// A table as it is in force, as CSV.
    Show {
        table: String,
        /// On this day, as in 2027-01-01; without it today.
        #[arg(long, value_name = "DATE")]
        on: Option<String>,
        /// One edition of this site's alone.
        #[arg(long, value_name = "N", conflicts_with = "on")]
        edition: Option<u32>,
        /// The table alone, to be edited and set again.
        #[arg(long)]
        csv: bool,
    },
    /// Sets a table from a day on: the whole of it; of holidays the years that the file names.
    Set {
        table: String,
        /// The table, as CSV.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// From which day on, as in 2027-01-01.
        #[arg(long, value_name = "DATE")]
        from: String,
        /// On what it rests: the number of a document, or a reason.
        #[arg(long, value_name = "TEXT")]
        basis: String,
        /// What else is to be said.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Sets nothing: tells whether it could be set.
        #[arg(long = "try")]
        try_only: bool,
    },
    /// Takes back an edition of this site's that is not in force yet.
    Withdraw {
        table: String,
        /// The edition's number.
        edition: u32,
    },
    /// What changes: from what is in force, or an edition, to a file or another edition.
    Diff {
        table: String,
        /// The earlier edition.
        #[arg(conflicts_with = "file")]
        from: Option<u32>,
        /// The later one; without it what is in force.
        to: Option<u32>,
        /// A table, as CSV.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

fn read(file: &Path) -> Result<String, Failure> {
    let length = std::fs::metadata(file).map_err(|e| unreadable(file, e))?.len();
    if length > MAX_TABLE as u64 {
        return Err(unreadable(file, format!("it has {length} bytes, and a table has at most {MAX_TABLE}")));
    }
    let bytes = std::fs::read(file).map_err(|e| unreadable(file, e))?;
    String::from_utf8(bytes).map_err(|_| unreadable(file, "it is not UTF-8; save it as UTF-8 and not as GBK"))
}

impl Policy {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let ask = |request| cli.ask(&Request::Policy(request));
        let user = cli.user.clone();
        let said = match self {
            Policy::List { table, all } => ask(PolicyRequest::List { table: table.clone(), all: *all })?,
            Policy::Show { table, on, edition, csv } => ask(PolicyRequest::Show {
                table: table.clone(),
                on: on.clone(),
                edition: *edition,
                to_edit: *csv,
            })?,
            Policy::Set { table, file, from, basis, note, try_only } => ask(PolicyRequest::Set {
                table: table.clone(),
                rows: read(file)?,
                from: from.clone(),
                basis: basis.clone(),
                note: note.clone(),
                try_only: *try_only,
                user,
            })?,
            Policy::Withdraw { table, edition } => {
                ask(PolicyRequest::Withdraw { table: table.clone(), edition: *edition, user })?
            }
            Policy::Diff { table, from, to, file } => ask(PolicyRequest::Diff {
                table: table.clone(),
                from: *from,
                to: *to,
                rows: file.as_deref().map(read).transpose()?,
            })?,
        };
        if cli.json {
            cli.print(&said);
            return Ok(());
        }
        match self {
            Policy::List { .. } => show::table(&listed(&said)),
            Policy::Show { csv, .. } => {
                if !csv {
                    let made_of: Vec<&str> = texts(&said["made_of"]).collect();
                    let made_of =
                        if made_of.is_empty() { "built-in".to_owned() } else { made_of.join(" + ") };
                    show::aside(&format!("{} on {}: {made_of}", text(&said["table"]), text(&said["on"])));
                }
                show::line(text(&said["rows"]).trim_end());
            }
            Policy::Set { .. } => {
                differences(&said);
                show::aside(&standing(&said["edition"]));
            }
            Policy::Withdraw { .. } => show::aside(&standing(&said["edition"])),
            Policy::Diff { .. } => {
                show::aside(&format!("from {} to {}", text(&said["before"]), text(&said["after"])));
                differences(&said);
            }
        }
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn standing(edition: &Value) -> String {
    format!("{}: {}, from {}", text(&edition["name"]), text(&edition["standing"]), text(&edition["from"]))
}

fn differences(said: &Value) {
    texts(&said["gone"]).for_each(|line| show::line(&format!("- {line}")));
    texts(&said["come"]).for_each(|line| show::line(&format!("+ {line}")));
}

/// A row for each edition, and one for a table that nobody has set.
fn listed(said: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for table in said["tables"].as_array().into_iter().flatten() {
        let own = if table["own"] == true { "a file in DIR/reference" } else { "built-in" };
        let row = |edition: &Value| {
            json!({
                "table": table["table"], "edition": edition["name"], "standing": edition["standing"], "from": edition["from"],
                "basis": edition["basis"], "by": edition["user"], "why": edition["why"],
            })
        };
        let editions: Vec<Value> = table["editions"].as_array().into_iter().flatten().map(row).collect();
        if editions.is_empty() || table["own"] == true {
            rows.push(row(
                &json!({ "name": own, "standing": "in force", "from": "", "basis": table["basis"] }),
            ));
        }
        rows.extend(editions);
    }
    rows
}

impl Session {
    /// The tables that are in force at the node: its own, and what sites have set upon them.
    pub(super) fn reference(&mut self) -> Result<Reference, Failure> {
        let mut reference = Reference::of_node(&self.dir)?;
        let said = self.ask(&Request::Policy(PolicyRequest::InForce {}))?;
        for table in said["tables"].as_array().into_iter().flatten() {
            let [name, file, rows] = ["table", "file", "rows"].map(|key| text(&table[key]));
            reference.put(name, file.to_owned(), rows.to_owned()).map_err(|e| {
                Failure::new(FailureKind::Failed, format!("{name} of the node is of another version"))
                    .because(e)
            })?;
        }
        Ok(reference)
    }
}

impl Cli {
    /// The same, asked once.
    pub(super) fn reference(&self) -> Result<Reference, Failure> {
        Session::open(&self.dir()?)?.reference()
    }
}
