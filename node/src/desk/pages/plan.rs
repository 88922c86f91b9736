//! Seats and trunks for the days to come, from what this node numbered or from a file that is read and not kept. All of it
//! without script.

mod form;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use tokio::sync::OwnedSemaphorePermit;

use super::super::App;
use super::super::download;
use super::super::frame::{self, Frame};
use super::super::guard::Signed;
use super::super::plot::{across, bars};
use super::super::upload::Uploaded;
use super::super::words::Words;
use crate::china;
use crate::daemon::now_ms;
use crate::files::Sent;
use crate::plan::calls::{Calls, Kind, Unread};
use crate::plan::lines::{self, clock};
use crate::plan::plot;
use crate::plan::queue::Service;
use crate::plan::staffing::{Day, NoPlan, Outcome, Seats};
use crate::reference::Exception;
use crate::request::{Failure, Request};
use crate::users::rights::{self, Right};
use form::{Asked, Wanted};

/// Days that are drawn beside each other.
const DRAWN: usize = 31;

/// A day of the plan.
struct Line {
    date: String,
    weekday: &'static str,
    kind: &'static str,
    /// Which holiday, or from which other kind of days its calls were taken.
    why: String,
    calls: String,
    busiest: String,
    seats: u32,
    hours: String,
    trunks: u32,
    /// Where it is shown quarter by quarter; empty when its calls are of a file.
    href: String,
    shown: bool,
}

/// What a number of seats does: all day, or in a quarter of an hour.
struct Does {
    name: &'static str,
    hours: String,
    level: String,
    wait: String,
    lost: String,
}

struct Quarter {
    at: String,
    calls: String,
    seats: u32,
    busy: String,
    /// With one seat fewer, as planned, with one more.
    does: [Does; 3],
    trunks: u32,
}

/// The day that is shown quarter by quarter.
struct Chosen {
    date: String,
    seats: String,
    levels: String,
    waits: String,
    hours: String,
    does: [Does; 3],
    quarters: Vec<Quarter>,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct Page<'a> {
    f: Frame,
    site: String,
    asked: &'a Asked,
    problem: String,
    /// What the plan rests on.
    basis: String,
    /// Holidays of these days are not known yet.
    unknown: bool,
    days: Vec<Line>,
    plot: String,
    chosen: Option<Chosen>,
    /// Where the plan is as a file; empty when its calls are of a file.
    csv: String,
    xlsx: String,
}

/// A plan, and what it rests on.
struct Planned {
    wanted: Wanted,
    days: Vec<Day>,
    /// How many days of past calls, and the last.
    past: (usize, Option<Date>),
    /// The name of the file that the calls of the past are of.
    file: Option<String>,
    /// That no other plan is made meanwhile.
    turn: OwnedSemaphorePermit,
}

/// Why there is none.
enum Not {
    /// Something that was typed, or a file, is to be put right.
    Right(String),
    /// Nothing is known of the past.
    NoHistory,
    /// The node could not say.
    Failed(Failure),
}

/// Whether somebody may see plans; the page that says no otherwise.
async fn may(app: &App, who: &Signed) -> Result<(), Box<Response>> {
    let Err(denied) = rights::may_use(&who.session.account, Right::Figures) else { return Ok(()) };
    app.note(who, "refused", None, &format!("plan: {denied}")).await.ok();
    Err(Box::new(frame::refused(StatusCode::FORBIDDEN, who, who.words().may_not)))
}

/// From what this node numbered on the last days before today.
async fn of_node(app: &App, who: &Signed, asked: &Asked) -> Result<Planned, Not> {
    let (w, today) = (who.words(), china::today(now_ms()));
    let wanted = asked.wanted(w, today).map_err(Not::Right)?;
    let first = today.saturating_sub(jiff::Span::new().days(wanted.history));
    let last = today.yesterday().unwrap_or(today);
    let request = Request::Calls { from: first.to_string(), to: last.to_string() };
    let turn = turn(app, w).await?;
    let calls = Calls::numbered(&app.ask(who, request).await.map_err(Not::Failed)?);
    staffed(app, w, turn, wanted, calls, None).await
}

/// From a file of calls, of which the calls alone are kept while others are planned.
async fn of_file(
    app: &App,
    who: &Signed,
    asked: &Asked,
    file: Option<(Sent, OwnedSemaphorePermit)>,
) -> Result<Planned, Not> {
    let w = who.words();
    let wanted = asked.wanted(w, china::today(now_ms())).map_err(Not::Right)?;
    let (file, of_upload) = file.ok_or_else(|| Not::Right(format!("{}: {}", w.plan_file, w.fill_in)))?;
    let name: String = file.name.chars().take(80).collect();
    let read = move || {
        let _held = of_upload;
        let text = std::str::from_utf8(&file.bytes).map_err(|_| w.plan_no_text.to_owned())?;
        Calls::read(text)
            .map_err(|Unread { line, why }| format!("{} {line}: {}", w.plan_line, w.plan_wrong(why)))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let calls = read.unwrap_or_else(|_| Err(w.too_slow.to_owned())).map_err(Not::Right)?;
    let turn = turn(app, w).await?;
    let planned = staffed(app, w, turn, wanted, calls, Some(name)).await;
    planned.map_err(|not| match not {
        Not::NoHistory => Not::Right(w.plan_file_without_calls.to_owned()),
        not => not,
    })
}

/// Plans are made one at a time, with the reading of what they rest on and the writing of a file.
async fn turn(app: &App, w: &Words) -> Result<OwnedSemaphorePermit, Not> {
    app.planning.clone().acquire_owned().await.map_err(|_| Not::Right(w.too_slow.to_owned()))
}

/// The plan, computed away from the threads that serve.
async fn staffed(
    app: &App,
    w: &'static Words,
    turn: OwnedSemaphorePermit,
    wanted: Wanted,
    calls: Calls,
    file: Option<String>,
) -> Result<Planned, Not> {
    let reference = app.reference().clone();
    let work = move || {
        let profile = calls.profile(&reference.calendar);
        let days = wanted.goal.days(wanted.first, wanted.days.into(), &profile, &reference.calendar);
        let days = days.map_err(|why| match why {
            NoPlan::NoHistory => Not::NoHistory,
            NoPlan::TooMuch(day) => Not::Right(format!("{day}: {}", w.plan_too_much)),
        })?;
        Ok(Planned { wanted, days, past: (calls.days(), calls.last()), file, turn })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Not::Right(w.too_slow.to_owned())))
}

fn share(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn wait(w: &Words, seconds: f64) -> String {
    if seconds.is_finite() { format!("{seconds:.1} s") } else { w.plan_endless.to_owned() }
}

fn name(w: &Words, seats: Seats) -> &'static str {
    match seats {
        Seats::Fewer => w.plan_fewer,
        Seats::Planned => w.plan_planned,
        Seats::More => w.plan_more,
    }
}

fn line(app: &App, w: &'static Words, asked: &Asked, planned: &Planned, day: &Day, shown: Date) -> Line {
    let calendar = &app.reference().calendar;
    let kind = Kind::of(day.date, calendar);
    let mut why = match calendar.exception(day.date) {
        Some((Exception::Holiday, name)) => name.to_owned(),
        Some((Exception::Workday, name)) => format!("{} {name}", w.plan_worked_for),
        None => String::new(),
    };
    if day.kind != kind {
        let note = format!("{} {}", w.plan_taken_for, w.kind_of_day(day.kind));
        why = if why.is_empty() { note } else { format!("{why}; {note}") };
    }
    let date = day.date.to_string();
    Line {
        weekday: w.weekday(day.date.weekday()),
        kind: w.kind_of_day(kind),
        why,
        calls: format!("{:.0}", day.calls()),
        busiest: clock(day.busiest()),
        seats: day.seats(),
        hours: day.seat_hours().to_string(),
        trunks: day.trunks(),
        href: if planned.file.is_none() { asked.address("/plan", &date) } else { String::new() },
        shown: day.date == shown,
        date,
    }
}

fn all_day(w: &'static Words, seats: Seats, of: Outcome) -> Does {
    Does {
        name: name(w, seats),
        hours: of.seat_hours.to_string(),
        level: share(of.level),
        wait: wait(w, of.wait),
        lost: share(of.lost),
    }
}

fn for_quarter(w: &'static Words, seats: Seats, (count, of): (u32, Service)) -> Does {
    Does {
        name: name(w, seats),
        hours: (f64::from(count) / 4.0).to_string(),
        level: share(of.level),
        wait: wait(w, of.wait),
        lost: share(of.lost),
    }
}

fn chosen(w: &'static Words, wanted: &Wanted, day: &Day) -> Chosen {
    let labelled = |label: &str| format!("{label}, {}", day.date);
    let outcomes = Seats::ALL.map(|seats| (seats, day.outcome(seats)));
    let hours = outcomes.map(|(seats, of)| (name(w, seats).to_owned(), of.seat_hours.round() as u64));
    let quarters = day.quarters.iter().enumerate();
    Chosen {
        date: day.date.to_string(),
        seats: plot::seats(day, &labelled(w.plan_seats)),
        levels: plot::levels(day, wanted.goal.level, &labelled(w.plan_answered)),
        waits: plot::waits(day, wanted.goal.within, &labelled(w.plan_wait)),
        hours: across(&labelled(w.plan_hours), &hours),
        does: outcomes.map(|(seats, of)| all_day(w, seats, of)),
        quarters: quarters
            .map(|(at, quarter)| Quarter {
                at: clock(at),
                calls: format!("{:.1}", quarter.calls),
                seats: quarter.seats,
                busy: share(quarter.service.busy),
                does: Seats::ALL.map(|seats| for_quarter(w, seats, quarter.with(seats))),
                trunks: quarter.trunks,
            })
            .collect(),
    }
}

/// The page, with the plan or with why there is none.
fn page(app: &App, who: &Signed, asked: &Asked, found: Result<Planned, Not>) -> Response {
    let w = who.words();
    let mut template = Page {
        f: Frame::new(app, who, w.plan, &asked.address("/plan", &asked.day)),
        site: app.site_name(&app.me.site().to_string()),
        asked,
        problem: String::new(),
        basis: String::new(),
        unknown: false,
        days: Vec::new(),
        plot: String::new(),
        chosen: None,
        csv: String::new(),
        xlsx: String::new(),
    };
    let planned = match found {
        Ok(planned) => planned,
        Err(Not::Failed(failure)) => return frame::failure(who, &failure),
        Err(Not::NoHistory) => {
            template.basis = w.plan_no_history.to_owned();
            return frame::page(StatusCode::OK, &template);
        }
        Err(Not::Right(problem)) => {
            template.problem = problem;
            return frame::page(StatusCode::UNPROCESSABLE_ENTITY, &template);
        }
    };
    let days = &planned.days;
    let shown = planned.wanted.day.and_then(|wanted| days.iter().find(|day| day.date == wanted));
    let shown = shown.or(days.first());
    template.chosen = shown.map(|day| chosen(w, &planned.wanted, day));
    let date = shown.map_or(planned.wanted.first, |day| day.date);
    template.days = days.iter().map(|day| line(app, w, asked, &planned, day, date)).collect();
    template.unknown = days.iter().any(|day| !app.reference().calendar.knows(day.date.year()));
    if (2..=DRAWN).contains(&days.len()) {
        let hours = days.iter().map(|day| (day.date.day().to_string(), day.seat_hours().round() as u64));
        template.plot = bars(w.plan_hours, &hours.collect::<Vec<_>>());
    }
    match &planned.file {
        None => {
            template.csv = asked.address("/plan/csv", "");
            template.xlsx = asked.address("/plan/xlsx", "");
        }
        Some(name) => template.basis = format!("{name}: "),
    }
    let (count, last) = planned.past;
    let last = last.map(|day| day.to_string()).unwrap_or_default();
    template.basis += &format!("{count} {} {last}", w.plan_days_of_history);
    frame::page(StatusCode::OK, &template)
}

/// The plan as a file for a table program; the page where there is none.
async fn saved(
    app: &App,
    who: &Signed,
    asked: &Asked,
    kind: download::Kind,
    found: Result<Planned, Not>,
) -> Response {
    match found {
        Ok(planned) => {
            let name = format!("plan-{}-{}", app.me.site(), planned.wanted.first);
            let sheets = move || {
                let _held = planned.turn; // until the work has ended, whether or not anybody waits for it
                let wanted = lines::wanted(&planned.wanted.goal, planned.past);
                vec![("plan", lines::sheet(&planned.days)), ("wanted", wanted)]
            };
            download::file(who, &name, kind, sheets).await
        }
        not => page(app, who, asked, not),
    }
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    if let Err(no) = may(&app, &who).await {
        return *no;
    }
    let found = of_node(&app, &who, &asked).await;
    page(&app, &who, &asked, found)
}

pub(in super::super) async fn file(
    State(app): State<Arc<App>>,
    Path(end): Path<String>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    if let Err(no) = may(&app, &who).await {
        return *no;
    }
    let Some(kind) = download::Kind::of(&end) else {
        return frame::refused(StatusCode::NOT_FOUND, &who, who.words().not_found);
    };
    let found = of_node(&app, &who, &asked).await;
    saved(&app, &who, &asked, kind, found).await
}

/// The same of a file of calls, as the button says: as the page or as a file.
pub(in super::super) async fn read(State(app): State<Arc<App>>, uploaded: Uploaded) -> Response {
    let Uploaded { who, fields, file: sent, turn } = uploaded;
    if let Err(no) = may(&app, &who).await {
        return *no;
    }
    let asked = Asked::of(&fields);
    let found = of_file(&app, &who, &asked, sent.map(|sent| (sent, turn))).await;
    match download::Kind::of(fields.text("as")) {
        Some(kind) => saved(&app, &who, &asked, kind, found).await,
        None => page(&app, &who, &asked, found),
    }
}
