//! `hotline figures`: how many, how many of how many, and how that has moved; and the tickets behind.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::figures_form::FormArgs;
use super::{Cli, save, show};
use crate::cell::book::book;
use crate::china;
use crate::daemon::now_ms;
use crate::figures::{self, Part, Period};
use crate::request::{Failure, FailureKind, Language, Request};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct FiguresArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// The month, as in 2026-11; without it and without --from this month.
    #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// The quarter, as in 2026-Q4.
    #[arg(long, value_name = "YYYY-QN", conflicts_with_all = ["month", "from", "to"])]
    quarter: Option<String>,
    /// The first day of another period, as in 2026-11-02.
    #[arg(long, value_name = "DAY", requires = "to")]
    from: Option<Date>,
    /// Its last day.
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<Date>,
    /// Told apart by this.
    #[arg(long, value_name = "WHAT", value_parser = figures::DIMENSIONS.map(|(_, name)| name))]
    by: Option<String>,
    /// The rates of the scorecard in place of the counts.
    #[arg(long)]
    rates: bool,
    /// Every figure, counts and rates, as CSV.
    #[arg(long, conflicts_with_all = ["rates", "tickets", "definitions"])]
    csv: bool,
    /// The same into a spreadsheet, with what each figure means.
    #[arg(long, value_name = "FILE.xlsx", conflicts_with_all = ["csv", "rates", "tickets", "definitions"])]
    xlsx: Option<PathBuf>,
    /// The tickets behind this figure, those of the last day first.
    #[arg(long, value_name = "FIGURE", conflicts_with = "rates")]
    tickets: Option<String>,
    /// Of a rate those that could have counted and do not.
    #[arg(long, requires = "tickets")]
    rest: bool,
    /// Only of this value of what --by names.
    #[arg(long, requires = "tickets", requires = "by")]
    value: Option<String>,
    /// At most so many tickets.
    #[arg(long, default_value_t = 50, requires = "tickets")]
    limit: usize,
    /// What each figure means, and on what that rests.
    #[arg(long, conflicts_with_all = ["by", "tickets"])]
    definitions: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The quarterly forms 季报, by channel and by business, with a foot to sign.
    Form(FormArgs),
}

impl FiguresArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        if let Some(Command::Form(form)) = &self.command {
            return form.run(cli);
        }
        if self.definitions {
            let rows: Vec<Value> = cli.reference()?.definitions.iter().map(defined).collect();
            cli.print(&rows.into());
            return Ok(());
        }
        let period = self.period()?;
        let (from, to) = (period.from().to_string(), period.last().to_string());
        if let Some(id) = &self.tickets {
            if self.by.is_some() && self.value.is_none() {
                return Err(Failure::new(
                    FailureKind::Usage,
                    "--tickets by a dimension are of one value of it",
                )
                .hint("add --value VALUE, as `hotline figures --by` lists them, or leave --by out"));
            }
            let part = if self.rest { Part::Rest } else { Part::Counted };
            let (by, value, limit) = (self.by.clone(), self.value.clone(), self.limit);
            let request = Request::Figured { id: id.clone(), part, from, to, by, value, limit, before: None };
            cli.print(&cli.ask(&request)?);
            return Ok(());
        }
        let report = cli.ask(&Request::Figures { from, to, by: self.by.clone() })?;
        if let Some(file) = &self.xlsx {
            let meanings = figures::meanings(cli.reference()?.definitions.iter());
            return save(file, &book(&[("figures", &figures::sheet(&report)), ("definitions", &meanings)])?);
        }
        if self.csv {
            show::line(figures::sheet(&report).csv().trim_end());
            return Ok(());
        }
        if cli.json {
            cli.print(&report);
            return Ok(());
        }
        self.tell(&report);
        Ok(())
    }

    fn period(&self) -> Result<Period, Failure> {
        let period = match (&self.month, &self.quarter, self.from, self.to) {
            (Some(month), ..) => Period::month(month),
            (_, Some(quarter), ..) => Period::named(quarter),
            (_, _, Some(from), Some(to)) => Period::days(from, to),
            _ => Period::month_of(china::today(now_ms())),
        };
        period.map_err(|why| Failure::new(FailureKind::Usage, why))
    }

    fn tell(&self, report: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let days = |of: &Value| format!("{}..{}", text(&of["from"]), text(&of["to"]));
        show::aside(&format!(
            "{} {}; 环比 before: {}; 同比 year before: {}",
            text(&report["site"]),
            days(report),
            days(&report["before"]),
            days(&report["year_before"])
        ));
        if let Some(waiting) = report["waiting"].as_i64().filter(|n| *n > 0) {
            show::aside(&format!(
                "up to {waiting} tickets are not counted yet after an update; ask again later"
            ));
        }
        if let Some(sites) = report["told"]["sites"].as_u64() {
            show::aside(&match report["told"]["last"].as_str() {
                Some(last) => {
                    format!(
                        "of what {sites} sites told, all of them to {last}, and of this site's own tickets"
                    )
                }
                None => "no site below has told yet: of this site's own tickets alone".to_owned(),
            });
        }
        let wanted = |figure: &&Value| (figure["kind"] == "rate") == self.rates;
        let figures = || report["figures"].as_array().into_iter().flatten();
        let rows: Vec<Value> = match report["values"].as_array() {
            None => figures().filter(wanted).map(row).collect(),
            Some(values) => values
                .iter()
                .map(|value| {
                    let other = value["value"].is_null();
                    let said = if other { "…".to_owned() } else { text(&value["value"]) };
                    let mut row = Map::from_iter([("value".to_owned(), said.into())]);
                    if value["name"] != value["value"] {
                        row.insert("name".to_owned(), value["name"].clone());
                    }
                    let of = value["figures"].as_array().into_iter().flatten().filter(wanted);
                    row.extend(of.map(|figure| (text(&figure["id"]), figures::shown(figure).into())));
                    Value::Object(row)
                })
                .collect(),
        };
        show::table(&rows);
    }
}

fn row(figure: &Value) -> Value {
    let mut row = json!({
        "figure": figure["id"],
        "zh": figure["zh"],
        "now": figures::shown(figure),
        "before": figures::shown(&figure["before"]),
        "change": figures::moved(figure, "change_before"),
        "year_before": figures::shown(&figure["year_before"]),
        "change_year": figures::moved(figure, "change_year"),
    });
    if figure["kind"] == "rate" {
        row["counted"] = format!("{}/{}", figure["count"], figure["of"]).into();
    }
    row
}

fn defined(definition: &crate::reference::Definition) -> Value {
    json!({
        "figure": definition.id(),
        "zh": definition.name(Language::Zh),
        "en": definition.name(Language::En),
        "says_en": definition.says(Language::En),
        "says_zh": definition.says(Language::Zh),
        "basis": definition.basis(),
    })
}
