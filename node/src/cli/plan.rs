//! `hotline plan`: seats and trunks for the days to come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Cli, ask, save, show};
use crate::cell::book::book;
use crate::china;
use crate::daemon::now_ms;
use crate::plan::calls::{Calls, MOST_DAYS, Profile, USUAL_DAYS, monday_after};
use crate::plan::lines::{clock, round, sheet, wanted};
use crate::plan::plot;
use crate::plan::queue::Service;
use crate::plan::staffing::{Day, Goal, MOST_PLANNED, NoPlan, Quarter, USUAL_PLANNED, percent, seconds};
use crate::reference::{Calendar, Reference};
use crate::request::{Failure, FailureKind, Request};

/// The largest file of calls that is read.
const MAX_FILE: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The calls of the past: lines of `at,calls`, as in `2026-11-02T09:15,12`. Without it those that this node numbered.
    #[arg(long, value_name = "FILE.csv")]
    calls: Option<PathBuf>,
    /// So many days of this node's past.
    #[arg(long, default_value_t = USUAL_DAYS, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_DAYS)), conflicts_with = "calls")]
    history: u16,
    /// The first day to plan; without it the Monday after today.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// So many days.
    #[arg(long, default_value_t = USUAL_PLANNED, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_PLANNED)))]
    days: u16,
    /// Also every quarter of an hour of these days.
    #[arg(long)]
    quarters: bool,
    /// Percent of calls to be answered
    #[arg(long, default_value_t = Goal::USUAL.level * 100.0, value_parser = percent)]
    level: f64,
    /// within so many seconds.
    #[arg(long, default_value_t = Goal::USUAL.within, value_parser = seconds)]
    within: f64,
    /// Seconds a call takes, with what is written after it.
    #[arg(long, default_value_t = Goal::USUAL.handling, value_parser = seconds)]
    handling: f64,
    /// Seconds after which callers who wait give up, on the mean; without it nobody ever does.
    #[arg(long, value_parser = seconds)]
    patience: Option<f64>,
    /// Percent of calls that may find all trunks busy.
    #[arg(long, default_value_t = Goal::USUAL.turned_away * 100.0, value_parser = percent)]
    busy: f64,
    /// Every quarter of an hour, and nothing else, as CSV.
    #[arg(long, conflicts_with = "quarters")]
    csv: bool,
    /// Writes every quarter of an hour into a spreadsheet.
    #[arg(long, value_name = "FILE.xlsx")]
    xlsx: Option<PathBuf>,
    /// Draws the first day: seats, and what one fewer or one more would do.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl PlanArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        // With a file of calls no node is needed: then the calendar is the one that was compiled in.
        let (reference, calls) = match &self.calls {
            Some(file) => (Reference::built_in().clone(), read(file)?),
            None => (Arc::new(cli.reference()?), self.of_node(&cli.dir()?)?),
        };
        let profile = calls.profile(&reference.calendar);
        let days = self.plan(&profile, &reference.calendar)?;
        if let (Some(file), Some(day)) = (&self.plot, days.first()) {
            save(file, plot::file(day, self.level / 100.0).as_bytes())?;
        }
        if let Some(file) = &self.xlsx {
            let wanted = wanted(&self.goal(), (calls.days(), calls.last()));
            save(file, &book(&[("plan", &sheet(&days)), ("wanted", &wanted)])?)?;
        }
        if self.csv {
            show::line(sheet(&days).csv().trim_end());
            return Ok(());
        }
        match cli.json {
            true => cli.print(&json!({
                "history": { "days": calls.days(), "last": calls.last().map(|d| d.to_string()) },
                "goal": {
                    "level": self.level / 100.0, "within": self.within, "handling": self.handling,
                    "patience": self.patience, "busy": self.busy / 100.0,
                },
                "days": days.iter().map(|day| shown(day, true)).collect::<Vec<_>>(),
                "plot": self.plot,
            })),
            false => self.tell(&calls, &days),
        }
        Ok(())
    }

    fn today() -> Result<Date, Failure> {
        china::moment(now_ms())
            .map(china::day)
            .ok_or_else(|| Failure::new(FailureKind::Failed, "this machine's date makes no sense"))
    }

    /// What the node numbered on the last days before today.
    fn of_node(&self, dir: &Path) -> Result<Calls, Failure> {
        let today = PlanArgs::today()?;
        let first = today.saturating_sub(jiff::Span::new().days(self.history));
        let last = today.yesterday().unwrap_or(today);
        let asked = Request::Calls { from: first.to_string(), to: last.to_string() };
        Ok(Calls::numbered(&ask(dir, &asked)?))
    }

    fn goal(&self) -> Goal {
        Goal {
            level: self.level / 100.0,
            within: self.within,
            handling: self.handling,
            patience: self.patience,
            turned_away: self.busy / 100.0,
        }
    }

    fn plan(&self, profile: &Profile, calendar: &Calendar) -> Result<Vec<Day>, Failure> {
        let first = match self.from {
            Some(day) => day,
            None => monday_after(PlanArgs::today()?),
        };
        self.goal().days(first, self.days.into(), profile, calendar).map_err(|why| match why {
            NoPlan::NoHistory => {
                Failure::new(FailureKind::Failed, "there are no calls of the past to plan from")
                    .hint("name a file of them with --calls, or go further back with --history")
            }
            NoPlan::TooMuch(day) => {
                Failure::new(FailureKind::Failed, format!("no number of seats reaches this on {day}"))
                    .hint("look at --handling, and at the numbers in the file of calls")
            }
        })
    }

    fn tell(&self, calls: &Calls, days: &[Day]) {
        let patience = self.patience.map_or_else(String::new, |p| format!(", who give up after {p} s"));
        let history = calls.last().map_or_else(String::new, |last| format!(" up to {last}"));
        show::aside(&format!(
            "{} days of history{history}; {} % of calls{patience} answered within {} s, {} s each; {} % find all trunks busy",
            calls.days(),
            self.level,
            self.within,
            self.handling,
            self.busy
        ));
        show::table(&days.iter().map(|day| shown(day, false)).collect::<Vec<_>>());
        if self.quarters {
            let rows = days.iter().flat_map(|day| {
                (0..)
                    .zip(&day.quarters)
                    .map(|(at, quarter)| row(&format!("{} {}", day.date, clock(at)), quarter))
            });
            show::table(&rows.collect::<Vec<_>>());
        }
    }
}

fn shown(day: &Day, whole: bool) -> Value {
    let mut shown = json!({
        "date": day.date.to_string(),
        "weekday": format!("{:?}", day.date.weekday()),
        "as": day.kind.to_string(),
        "calls": round(day.calls(), 10.0),
        "busiest": clock(day.busiest()),
        "seats": day.seats(),
        "seat_hours": day.seat_hours(),
        "trunks": day.trunks(),
    });
    if whole {
        let quarters = (0..).zip(&day.quarters).map(|(at, quarter)| row(&clock(at), quarter));
        shown["quarters"] = quarters.collect();
    }
    shown
}

fn row(at: &str, quarter: &Quarter) -> Value {
    let level = |service: &Service| round(service.level, 10_000.0);
    json!({
        "at": at,
        "calls": round(quarter.calls, 10.0),
        "seats": quarter.seats,
        "level": level(&quarter.service),
        "wait": round(quarter.service.wait, 10.0),
        "lost": round(quarter.service.lost, 10_000.0),
        "busy": round(quarter.service.busy, 1_000.0),
        "one_fewer": level(&quarter.fewer),
        "one_more": level(&quarter.more),
        "trunks": quarter.trunks,
    })
}

fn read(file: &Path) -> Result<Calls, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Failed, format!("{} cannot be read", file.display()))
            .because(why)
            .hint("lines of `at,calls`, as in `2026-11-02T09:15,12`, under a first line `at,calls`")
    };
    let size = std::fs::metadata(file).map_err(|e| wrong(&e))?.len();
    if size > MAX_FILE {
        return Err(wrong(&format!("it has {size} bytes, and may have {MAX_FILE}")));
    }
    let text = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
    Calls::read(&text).map_err(|e| wrong(&e))
}
