//! `hotline scorecard`: the units below a site by the rates of the scoring rule, month by month.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::pdf::PdfArgs;
use super::{Cli, save, show};
use crate::cell::book::book;
use crate::china;
use crate::daemon::now_ms;
use crate::figures::Period;
use crate::request::{Failure, FailureKind, Request};
use crate::scorecard::{Record, Table, paper, rates, share, sheet};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ScorecardArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// The month, as in 2026-11; without it last month.
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// What another site has frozen: the own superior, say.
    #[arg(long)]
    site: Option<String>,
    /// As it would be now, though the month is frozen.
    #[arg(long, conflicts_with = "site")]
    now: bool,
    /// As CSV.
    #[arg(long, conflicts_with = "pdf")]
    csv: bool,
    /// Into a spreadsheet, with the rates, their weights and what they mean.
    #[arg(long, value_name = "FILE.xlsx", conflicts_with_all = ["csv", "pdf"])]
    xlsx: Option<PathBuf>,
    #[command(flatten)]
    pdf: PdfArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Freezes a month that is over: a signed record that everybody below gets.
    Freeze {
        /// The month, as in 2026-11; without it last month.
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
        /// Why a month that is frozen already is put right: an amendment beside what it was.
        #[arg(long)]
        reason: Option<String>,
    },
    /// The frozen months.
    List {
        /// Of another site.
        #[arg(long)]
        site: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 24)]
        limit: usize,
    },
}

/// The month that is asked for, or the one before this.
fn month(given: Option<&String>) -> String {
    let today = china::today(now_ms());
    given.cloned().unwrap_or_else(|| Period::last_month(today).month_name())
}

impl ScorecardArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        match &self.command {
            Some(Command::Freeze { month: given, reason }) => {
                let (month, reason) = (month(given.as_ref()), reason.clone());
                let frozen = cli.ask(&Request::Freeze { month, reason, user: cli.user.clone() })?;
                match cli.json {
                    true => cli.print(&frozen),
                    false => tell_record(&read(&frozen["frozen"])?),
                }
            }
            Some(Command::List { site, limit }) => {
                cli.print(&cli.ask(&Request::Months { site: site.clone(), limit: *limit })?);
            }
            None => self.show(cli)?,
        }
        Ok(())
    }

    fn show(&self, cli: &Cli) -> Result<(), Failure> {
        let month = month(self.month.as_ref());
        let found = cli.ask(&Request::Scorecard { month: month.clone(), site: self.site.clone() })?;
        if cli.json {
            cli.print(&found);
            return Ok(());
        }
        let names =
            |site: certs::Site| found["names"][site.to_string()].as_str().unwrap_or_default().to_owned();
        let record: Option<Record> =
            if self.now || found["frozen"].is_null() { None } else { Some(read(&found["frozen"])?) };
        let table: Option<Table> = match &record {
            Some(record) => Some(record.holds().clone()),
            None if found["table"].is_null() => None,
            None => Some(read(&found["table"])?),
        };
        let Some(table) = table else {
            let site = found["site"].as_str().unwrap_or_default();
            return Err(Failure::new(
                FailureKind::Absent,
                format!("{site} has frozen no {month}, or it has not reached this node"),
            )
            .hint("`hotline scorecard list --site SITE` tells what is here"));
        };
        if let Some(file) = &self.xlsx {
            let rates = rates(&table, &cli.reference()?.definitions);
            return save(file, &book(&[("scorecard", &sheet(&table, names)), ("rates", &rates)])?);
        }
        if self.csv {
            show::line(sheet(&table, names).csv().trim_end());
            return Ok(());
        }
        let site = names(read(&found["site"])?);
        let state = record.as_ref().and_then(|record| record.at.as_deref()).unwrap_or("未冻结");
        let definitions = &cli.reference()?.definitions;
        if self.pdf.save(&month, || vec![paper(&table, definitions, names, &[&site, &month, state])])? {
            return Ok(());
        }
        match &record {
            Some(record) => tell_record(record),
            None => show::aside(&format!("{month}, not frozen: as it is now; it moves with its tickets")),
        }
        show::table(&table.units.iter().map(|unit| row(&table, unit, names)).collect::<Vec<_>>());
        if let Some(waiting) = found["waiting"].as_i64().filter(|n| *n > 0) {
            show::aside(&format!(
                "up to {waiting} tickets are not counted yet after an update; ask again later"
            ));
        }
        show::aside(&format!(
            "weights since {}; a unit that may lack tickets has no rank",
            table.weights_from
        ));
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone())
        .map_err(|e| Failure::new(FailureKind::Failed, "the answer is of another version").because(e))
}

fn tell_record(record: &Record) {
    let by = |user: &Option<String>| user.clone().map_or_else(String::new, |user| format!(" by {user}"));
    let at = |at: &Option<String>| at.clone().unwrap_or_default();
    show::aside(&format!(
        "{} {}, frozen {}{} at {}",
        record.site,
        record.table.month,
        at(&record.at),
        by(&record.user),
        record.node
    ));
    for amended in &record.amended {
        show::aside(&format!(
            "put right {}{} at {}: {}",
            at(&amended.at),
            by(&amended.user),
            amended.node,
            amended.reason
        ));
    }
}

fn row(table: &Table, unit: &crate::scorecard::Unit, names: impl Fn(certs::Site) -> String) -> Value {
    let shown = |value: Option<String>| Value::from(value.unwrap_or_else(|| "—".to_owned()));
    let mut row = Map::from_iter([
        ("rank".to_owned(), shown(unit.rank.map(|rank| rank.to_string()))),
        ("unit".to_owned(), unit.site.to_string().into()),
        ("name".to_owned(), names(unit.site).into()),
        ("score".to_owned(), shown(unit.score.map(|score| format!("{score:.2}")))),
        ("taken".to_owned(), unit.taken.into()),
    ]);
    let rates = table.rates.iter().zip(&unit.counted);
    row.extend(rates.map(|((id, _), counted)| (id.clone(), share(*counted).into())));
    row.insert("test".to_owned(), unit.test.into());
    let untold: Vec<String> = unit.untold.iter().map(ToString::to_string).collect();
    let state = match (&unit.proved_at, unit.complete) {
        (_, true) => "complete".to_owned(),
        (_, false) if !untold.is_empty() => format!("not told yet: {}", untold.join(" ")),
        (Some(at), false) => format!("cut off: proved equal last at {at}"),
        (None, false) => "never proved equal".to_owned(),
    };
    row.insert("state".to_owned(), state.into());
    Value::Object(row)
}
