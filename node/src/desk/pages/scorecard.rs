//! The scorecard of a month: as it was frozen, or as it is now; printed with a foot for signatures. All of it without script.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use certs::Site;
use serde::Deserialize;
use serde_json::Value;

use super::super::App;
use super::super::download::{self, Kind};
use super::super::frame::{self, Frame, minute};
use super::super::guard::{Posted, Signed, is_denied, sentence};
use super::super::plot::across;
use super::super::words::Words;
use crate::china;
use crate::daemon::now_ms;
use crate::figures::Period;
use crate::request::{Failure, Request};
use crate::scorecard::{self, Record, Table, Unit};
use crate::users::rights;

/// Units that are drawn, and sites that are named as missing.
const DRAWN: usize = 40;
const NAMED: usize = 5;

#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    month: String,
    #[serde(default)]
    site: String,
    #[serde(default)]
    done: String,
}

impl Asked {
    /// The month that is asked for, or the one before this.
    fn month(&self) -> String {
        let today = china::today(now_ms());
        match self.month.is_empty() {
            true => Period::last_month(today).month_name(),
            false => self.month.chars().take(20).collect(),
        }
    }

    fn site(&self) -> Option<String> {
        Some(self.site.clone()).filter(|site| !site.is_empty())
    }
}

/// A rate of one unit: the share, and of what.
struct Cell {
    share: String,
    counted: String,
}

struct Line {
    rank: String,
    unit: String,
    score: String,
    taken: u64,
    test: u64,
    cells: Vec<Cell>,
    /// Why it has no rank, if something may be missing.
    missing: String,
}

struct Amended {
    at: String,
    by: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "scorecard.html")]
struct Page {
    f: Frame,
    site: String,
    month: String,
    /// Tickets that are still to be counted.
    waiting: i64,
    /// Another site's.
    other: String,
    problem: String,
    /// Each rate with its weight and what it means.
    heads: Vec<(String, String, String)>,
    lines: Vec<Line>,
    weights_from: String,
    frozen: String,
    amended: Vec<Amended>,
    /// It would be another one if it were computed now.
    moved: bool,
    may_freeze: bool,
    may_amend: bool,
    nothing: bool,
    plot: String,
    csv: String,
    xlsx: String,
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// What the node answered: the names of units, the record and the table as it is now.
struct Found {
    site: String,
    waiting: i64,
    names: Value,
    frozen: Option<Record>,
    table: Option<Table>,
}

impl Found {
    async fn ask(app: &App, who: &Signed, month: &str, site: Option<String>) -> Result<Found, Failure> {
        let found = app.ask(who, Request::Scorecard { month: month.to_owned(), site }).await?;
        Ok(Found {
            waiting: found["waiting"].as_i64().unwrap_or_default(),
            site: found["site"].as_str().unwrap_or_default().to_owned(),
            frozen: read(&found["frozen"]),
            table: read(&found["table"]),
            names: found["names"].clone(),
        })
    }

    fn name(&self, site: Site) -> String {
        let site = site.to_string();
        match self.names[&site].as_str() {
            Some(name) if !name.is_empty() => format!("{name} {site}"),
            _ => site,
        }
    }

    /// What is shown: what was frozen goes before what it would be now.
    fn shown(&self) -> Option<&Table> {
        self.frozen.as_ref().map(Record::holds).or(self.table.as_ref())
    }
}

fn line(w: &Words, found: &Found, unit: &Unit) -> Line {
    let dash = || "—".to_owned();
    Line {
        rank: unit.rank.map_or_else(dash, |rank| rank.to_string()),
        unit: found.name(unit.site),
        score: unit.score.map_or_else(dash, |score| format!("{score:.2}")),
        taken: unit.taken,
        test: unit.test,
        cells: unit
            .counted
            .iter()
            .map(|counted| Cell {
                share: scorecard::share(*counted),
                counted: if counted[1] == 0 {
                    String::new()
                } else {
                    format!("{}/{}", counted[0], counted[1])
                },
            })
            .collect(),
        missing: match (&unit.proved_at, unit.complete) {
            (_, true) => String::new(),
            (_, false) if !unit.untold.is_empty() => {
                let names: Vec<String> =
                    unit.untold.iter().take(NAMED).map(|site| found.name(*site)).collect();
                let more = if unit.untold.len() > NAMED { "…" } else { "" };
                format!("{} {}{more}", w.untold, names.join("、"))
            }
            (Some(at), false) => format!("{} {}", w.cut_off_since, minute(at)),
            (None, false) => w.never_compared.to_owned(),
        },
    }
}

async fn page(app: &App, who: &Signed, asked: &Asked, problem: String, status: StatusCode) -> Response {
    let w = who.words();
    let month = asked.month();
    let found = match Found::ask(app, who, &month, asked.site()).await {
        Ok(found) => found,
        Err(failure) => return frame::failure(who, &failure),
    };
    let by = |node: &dyn std::fmt::Display, at: &Option<String>, user: &Option<String>| {
        format!(
            "{} {node} {}",
            minute(at.as_deref().unwrap_or_default()),
            user.as_deref().unwrap_or_default()
        )
    };
    let own = asked.site.is_empty();
    let freeze = Request::Freeze { month: String::new(), reason: None, user: None };
    let may = own && rights::may(&who.session.account, &freeze).is_ok();
    let moved = match (&found.frozen, &found.table) {
        (Some(record), Some(table)) => record.holds() != table,
        _ => false,
    };
    let table = found.shown();
    let units = || table.into_iter().flat_map(|table| &table.units);
    let drawn: Vec<(String, u64)> = units()
        .filter_map(|unit| Some((found.name(unit.site), unit.rank.and(unit.score)?.round() as u64)))
        .take(DRAWN)
        .collect();
    let definitions = &app.reference().definitions;
    let head = |(id, weight): &(String, f64)| match definitions.get(id) {
        Some(d) => (d.name(w.language).to_owned(), weight.to_string(), d.says(w.language).to_owned()),
        None => (id.clone(), weight.to_string(), String::new()),
    };
    let over = Period::month(&month).ok().and_then(|month| china::end_of(month.last()));
    let over = over.is_some_and(|end| china::moment(now_ms()).is_some_and(|now| now > end));
    let query = |path: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("month", &month);
        if !own {
            query.append_pair("site", &asked.site);
        }
        format!("{path}?{}", query.finish())
    };
    let notice = if asked.done.is_empty() { String::new() } else { w.month_frozen.to_owned() };
    let template = Page {
        waiting: found.waiting,
        f: Frame::new(app, who, w.scorecard, &query("/scorecard")).notice(notice),
        site: if own { app.site_name(&app.me.site().to_string()) } else { app.site_name(&asked.site) },
        other: asked.site.clone(),
        problem,
        heads: table.into_iter().flat_map(|table| &table.rates).map(head).collect(),
        lines: units().map(|unit| line(w, &found, unit)).collect(),
        weights_from: table.map_or_else(String::new, |table| table.weights_from.clone()),
        frozen: found.frozen.as_ref().map_or_else(String::new, |r| by(&r.node, &r.at, &r.user)),
        amended: found
            .frozen
            .iter()
            .flat_map(|record| &record.amended)
            .map(|a| Amended {
                at: minute(a.at.as_deref().unwrap_or_default()),
                by: format!("{} {}", a.node, a.user.as_deref().unwrap_or_default()),
                reason: a.reason.clone(),
            })
            .collect(),
        moved,
        may_freeze: may && over && found.frozen.is_none() && units().next().is_some(),
        may_amend: may && moved,
        nothing: units().next().is_none(),
        plot: if drawn.len() > 1 { across(w.score, &drawn) } else { String::new() },
        csv: query("/scorecard/csv"),
        xlsx: query("/scorecard/xlsx"),
        month,
    };
    frame::page(status, &template)
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    page(&app, &who, &asked, String::new(), StatusCode::OK).await
}

/// Freezes a month, or puts right a frozen one.
pub(in super::super) async fn freeze(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    let month = fields.text("month").to_owned();
    let request = Request::Freeze { month: month.clone(), reason: fields.given("reason"), user: None };
    match app.ask(&who, request).await {
        Ok(_) => Redirect::to(&format!("/scorecard?month={month}&done=frozen")).into_response(),
        Err(failure) if is_denied(&failure) => frame::failure(&who, &failure),
        Err(failure) => {
            let said = [sentence(&failure)].into_iter().chain(failure.hint.as_deref());
            let problem = format!("{}: {}", who.words().failed, said.collect::<Vec<_>>().join(" — "));
            let asked = Asked { month, site: String::new(), done: String::new() };
            page(&app, &who, &asked, problem, frame::status_of(&failure)).await
        }
    }
}

/// The same as a file for a table program.
pub(in super::super) async fn file(
    State(app): State<Arc<App>>,
    Path(end): Path<String>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(kind) = Kind::of(&end) else {
        return frame::refused(StatusCode::NOT_FOUND, &who, who.words().not_found);
    };
    let month = asked.month();
    let found = match Found::ask(&app, &who, &month, asked.site()).await {
        Ok(found) => found,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let Some(table) = found.shown() else {
        return frame::refused(StatusCode::NOT_FOUND, &who, who.words().no_scorecard);
    };
    let name = |site: Site| app.reference().centres.name(site).into_owned();
    let sheets = vec![
        ("scorecard", scorecard::sheet(table, name)),
        ("rates", scorecard::rates(table, &app.reference().definitions)),
    ];
    download::file(&who, &format!("scorecard-{}-{}", found.site, table.month), kind, || sheets).await
}
