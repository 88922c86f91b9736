//! Figures: a period, how it has moved, what it is made of, and the tickets behind each number. All of it without script.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use certs::Site;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;

use super::super::App;
use super::super::download::{self, Kind};
use super::super::frame::{self, Frame};
use super::super::guard::Signed;
use super::super::plot::{across, bars};
use super::super::words::Words;
use super::choice::{Choice, choices};
use super::queue::{self, Row};
use crate::china;
use crate::daemon::now_ms;
use crate::figures::{self, DIMENSIONS, Part, Period, Tile};
use crate::reference::Reference;
use crate::request::{Language, Request};
use crate::users::rights::{self, Right};

/// Tickets of a page.
const ROWS: usize = 50;

/// Days, and values of a dimension, that are drawn.
const DAYS_DRAWN: i32 = 31;
const VALUES_DRAWN: usize = 20;

/// What the address says; every part of it is read again by the engine.
#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    month: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    id: String,
    /// What the chart of squares shows.
    #[serde(default)]
    tiles: String,
    #[serde(default)]
    part: String,
    value: Option<String>,
    before: Option<i64>,
}

impl Asked {
    /// A month goes before two days; without either it is this month. A word that is no period says why.
    fn period(&self) -> Result<Period, String> {
        if !self.month.is_empty() {
            return Period::month(&self.month);
        }
        match (self.from.parse::<Date>(), self.to.parse::<Date>()) {
            (Ok(from), Ok(to)) => Period::days(from, to),
            _ if self.from.is_empty() && self.to.is_empty() => Period::month_of(china::today(now_ms())),
            (Err(e), _) | (_, Err(e)) => Err(e.to_string()),
        }
    }

    fn by(&self) -> Option<String> {
        Some(self.by.chars().take(20).collect()).filter(|by: &String| !by.is_empty())
    }
}

/// A number, where its tickets are listed (empty for whoever reads none), and where those are that did not count.
struct Cell {
    text: String,
    href: String,
    rest: String,
}

struct Line {
    name: String,
    says: String,
    now: Cell,
    /// Of a rate: how many of how many.
    counted: String,
    before: String,
    change_before: String,
    year_before: String,
    change_year: String,
}

struct Share {
    name: String,
    cells: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "figures.html")]
struct Page {
    f: Frame,
    site: String,
    month: String,
    from: String,
    to: String,
    before: String,
    year_before: String,
    choices: Vec<Choice>,
    /// What the chart of squares may show; empty where there is none.
    shades: Vec<Choice>,
    waiting: i64,
    /// How many sites told what it is made of, and the last day of which all of them did; at the ministry.
    told: Option<(u64, String)>,
    tables: Vec<(&'static str, Vec<Line>)>,
    by: &'static str,
    heads: Vec<String>,
    parts: Vec<Share>,
    days: String,
    plot: String,
    tiles: String,
    csv: String,
    xlsx: String,
    meanings: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "figures_tickets.html")]
struct Tickets {
    f: Frame,
    back: String,
    says: String,
    period: String,
    rows: Vec<Row>,
    older: String,
}

/// How many sites told what an answer is made of, and the last day of which all of them did; at the ministry.
pub(super) fn told(answer: &Value) -> Option<(u64, String)> {
    let sites = answer["told"]["sites"].as_u64()?;
    Some((sites, answer["told"]["last"].as_str().unwrap_or("—").to_owned()))
}

/// An address with these parts, those that say nothing left out.
fn address(path: &str, parts: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts.iter().filter(|(key, value)| *key == "value" || !value.is_empty()));
    format!("{path}?{}", query.finish())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whoever reads tickets gets to those behind a number.
struct Links<'a> {
    reads: bool,
    from: &'a str,
    to: &'a str,
    by: &'a str,
}

impl Links<'_> {
    fn cell(&self, figure: &Value, value: Option<&str>) -> Cell {
        self.cell_by(self.by, figure, value)
    }

    fn cell_by(&self, by: &str, figure: &Value, value: Option<&str>) -> Cell {
        let link = |part: &str, n: u64| {
            if !self.reads || n == 0 {
                return String::new();
            }
            let mut parts = vec![
                ("id", figure["id"].as_str().unwrap_or_default()),
                ("part", part),
                ("from", self.from),
                ("to", self.to),
            ];
            if let Some(value) = value {
                parts.extend([("by", by), ("value", value)]);
            }
            address("/figures/tickets", &parts)
        };
        let count = figure["count"].as_u64().unwrap_or_default();
        let rest = figure["of"].as_u64().unwrap_or_default().saturating_sub(count);
        Cell { text: figures::shown(figure), href: link("", count), rest: link("rest", rest) }
    }
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let period = match asked.period() {
        Ok(period) => period,
        Err(_) => return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, w.no_period),
    };
    let (from, to, by) = (period.from().to_string(), period.last().to_string(), asked.by());
    let ask = |by: Option<String>| app.ask(&who, Request::Figures { from: from.clone(), to: to.clone(), by });
    let report = match ask(by.clone()).await {
        Ok(report) => report,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let days = match (by.as_deref(), period.count() <= DAYS_DRAWN) {
        (Some("day"), true) => Some(report.clone()),
        (_, true) => match ask(Some("day".to_owned())).await {
            Ok(days) => Some(days),
            Err(failure) => return frame::failure(&who, &failure),
        },
        (_, false) => None,
    };
    let reads = rights::may_use(&who.session.account, Right::Read).is_ok();
    let me = app.me.site();
    // A site that has no squares to show is not asked for them.
    let squares = !figures::tiles(&app.reference(), me, []).is_empty();
    let units = match (squares, by.as_deref()) {
        (false, _) => None,
        (true, Some("unit")) => Some(report.clone()),
        (true, _) => match ask(Some("unit".to_owned())).await {
            Ok(units) => Some(units),
            Err(failure) => return frame::failure(&who, &failure),
        },
    };
    let links = Links { reads, from: &from, to: &to, by: by.as_deref().unwrap_or_default() };
    let zh = w.language == Language::Zh;
    let definitions = &app.reference().definitions;
    let says = |id: &str| definitions.get(id).map_or("", |d| d.says(w.language)).to_owned();
    let name = |figure: &Value| text(&figure[if zh { "zh" } else { "en" }]);
    let of_kind = |kind: &str| -> Vec<&Value> {
        report["figures"].as_array().into_iter().flatten().filter(|figure| figure["kind"] == kind).collect()
    };
    let line = |figure: &&Value| Line {
        name: name(figure),
        says: says(figure["id"].as_str().unwrap_or_default()),
        now: links.cell(figure, None),
        counted: figure["of"].as_u64().map_or_else(String::new, |of| format!("{} / {of}", figure["count"])),
        before: figures::shown(&figure["before"]),
        change_before: figures::moved(figure, "change_before"),
        year_before: figures::shown(&figure["year_before"]),
        change_year: figures::moved(figure, "change_year"),
    };
    let values = || report["values"].as_array().into_iter().flatten();
    let named = |value: &Value| match (value["value"].as_str(), value["name"].as_str()) {
        (None, _) => w.all_others.to_owned(),
        (Some(""), _) => w.value_not_said.to_owned(),
        (Some(code), Some(name)) if name != code && !name.is_empty() => format!("{name} {code}"),
        (Some(value), _) => value.to_owned(),
    };
    let parts = values().map(|value| Share {
        name: named(value),
        cells: value["figures"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|figure| match value["value"].as_str() {
                Some(said) => links.cell(figure, Some(said)),
                None => Cell { text: figures::shown(figure), href: String::new(), rest: String::new() },
            })
            .collect(),
    });
    let shade = of_kind("count")
        .into_iter()
        .chain(of_kind("rate"))
        .find(|figure| figure["id"] == asked.tiles.as_str())
        .or_else(|| report["figures"].get(0));
    let tiles = units.zip(shade).map(|(units, shade)| {
        let title = format!("{}, {}", name(shade), w.by_unit);
        figures::drawn(&title, &squares_of(&app.reference(), me, &units, shade, &links))
    });
    let taken = |value: &Value| value["figures"][0]["count"].as_u64().unwrap_or_default();
    let first = of_kind("count").first().map(|figure| name(figure)).unwrap_or_default();
    let drawn: Vec<(String, u64)> =
        values().take(VALUES_DRAWN).map(|value| (named(value), taken(value))).collect();
    let by_label = w.dimension(links.by);
    let of = |part: &Value| format!("{} – {}", text(&part["from"]), text(&part["to"]));
    let here =
        address("/figures", &[("from", &from), ("to", &to), ("by", links.by), ("tiles", &asked.tiles)]);
    let page = Page {
        f: Frame::new(&app, &who, w.figures, &here),
        site: app.site_name(&app.me.site().to_string()),
        month: asked.month.chars().take(7).collect(),
        before: of(&report["before"]),
        year_before: of(&report["year_before"]),
        choices: choices(
            DIMENSIONS
                .into_iter()
                .filter(|(by, _)| me != Site::MINISTRY || by.is_told())
                .map(|(_, name)| (name.to_owned(), w.dimension(name).to_owned())),
            links.by,
        ),
        shades: match &tiles {
            Some(_) => choices(
                definitions.iter().map(|d| (d.id().to_owned(), d.name(w.language).to_owned())),
                shade.and_then(|figure| figure["id"].as_str()).unwrap_or_default(),
            ),
            None => Vec::new(),
        },
        tiles: tiles.unwrap_or_default(),
        waiting: report["waiting"].as_i64().unwrap_or_default(),
        told: told(&report),
        tables: vec![
            (w.figure_counts, of_kind("count").iter().map(line).collect()),
            (w.figure_rates, of_kind("rate").iter().map(line).collect()),
        ],
        by: by_label,
        heads: report["figures"].as_array().into_iter().flatten().map(name).collect(),
        parts: parts.collect(),
        days: days
            .map(|days| bars(&format!("{first}, {}", w.by_day), &by_day(&days, period)))
            .unwrap_or_default(),
        plot: match links.by {
            "" | "day" => String::new(),
            _ => across(&format!("{first}, {by_label}"), &drawn),
        },
        csv: address("/figures/csv", &[("from", &from), ("to", &to), ("by", links.by)]),
        xlsx: address("/figures/xlsx", &[("from", &from), ("to", &to), ("by", links.by)]),
        meanings: definitions
            .iter()
            .map(|d| (d.name(w.language).to_owned(), d.says(w.language).to_owned(), d.basis().to_owned()))
            .collect(),
        from,
        to,
    };
    frame::page(StatusCode::OK, &page)
}

/// The chart of squares of one figure, of a report by unit. Numbers are shaded by the largest, rates by themselves.
fn squares_of(reference: &Reference, me: Site, units: &Value, shade: &Value, links: &Links<'_>) -> Vec<Tile> {
    let values = || units["values"].as_array().into_iter().flatten();
    let site = |value: &Value| value["value"].as_str()?.parse::<Site>().ok();
    let figure = |value: &Value| {
        let mut of = value["figures"].as_array()?.iter();
        of.find(|figure| figure["id"] == shade["id"]).cloned()
    };
    let count = |figure: &Value| figure["count"].as_f64().unwrap_or_default();
    let most = values().filter_map(figure).map(|figure| count(&figure)).fold(1.0, f64::max);
    let mut tiles = figures::tiles(reference, me, values().filter_map(site));
    for tile in &mut tiles {
        let Some(value) = values().find(|value| site(value) == Some(tile.site)) else { continue };
        let Some(figure) = figure(value) else { continue };
        let cell = links.cell_by("unit", &figure, value["value"].as_str());
        tile.share = match figure.get("of") {
            Some(_) => figure["value"].as_f64().unwrap_or_default(),
            None => count(&figure) / most,
        };
        (tile.said, tile.href) = (cell.text, cell.href);
    }
    tiles
}

/// Every day of a period, those without a ticket too.
fn by_day(report: &Value, period: Period) -> Vec<(String, u64)> {
    let days = period.from().series(jiff::Span::new().days(1)).take_while(|day| *day < period.end());
    days.map(|day| {
        let values = report["values"].as_array().into_iter().flatten();
        let of = values.filter(|value| value["value"] == day.to_string());
        let count = of.filter_map(|value| value["figures"][0]["count"].as_u64()).next();
        (day.day().to_string(), count.unwrap_or_default())
    })
    .collect()
}

/// The same as a file for a table program.
pub(in super::super) async fn file(
    State(app): State<Arc<App>>,
    Path(end): Path<String>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let Some(kind) = Kind::of(&end) else {
        return frame::refused(StatusCode::NOT_FOUND, &who, w.not_found);
    };
    let Ok(period) = asked.period() else {
        return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, w.no_period);
    };
    let (from, to) = (period.from().to_string(), period.last().to_string());
    let name = format!("figures-{}-{from}-{to}", app.me.site());
    match app.ask(&who, Request::Figures { from, to, by: asked.by() }).await {
        Ok(report) => {
            let meanings = figures::meanings(app.reference().definitions.iter());
            let sheets = vec![("figures", figures::sheet(&report)), ("definitions", meanings)];
            download::file(&who, &name, kind, || sheets).await
        }
        Err(failure) => frame::failure(&who, &failure),
    }
}

/// The tickets behind one number.
pub(in super::super) async fn tickets(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w: &Words = who.words();
    let Ok(period) = asked.period() else {
        return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, w.no_period);
    };
    let (from, to, by) = (period.from().to_string(), period.last().to_string(), asked.by());
    let part = if asked.part == "rest" { Part::Rest } else { Part::Counted };
    let request = Request::Figured {
        id: asked.id.clone(),
        part,
        from: from.clone(),
        to: to.clone(),
        by: by.clone(),
        value: asked.value.clone(),
        limit: ROWS + 1,
        before: asked.before,
    };
    let list = match app.ask(&who, request).await {
        Ok(list) => list,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let last = list.as_array().filter(|all| all.len() > ROWS).and_then(|all| all[ROWS - 1]["row"].as_i64());
    let mut rows = queue::rows(&app, w, &list, now_ms());
    rows.truncate(ROWS);
    let reference = app.reference();
    let definition = reference.definitions.get(&asked.id);
    let mut title = definition.map_or("", |d| d.name(w.language)).to_owned();
    if part == Part::Rest {
        title = format!("{title} · {}", w.did_not_count);
    }
    let dimension = by.as_deref().and_then(|by| by.parse().ok());
    if let (Some(by), Some(value)) = (by.as_deref(), asked.value.as_deref()) {
        let said = if value.is_empty() {
            w.value_not_said.to_owned()
        } else {
            figures::named(&app.reference(), dimension, value)
        };
        title = format!("{title} · {}: {said}", w.dimension(by));
    }
    let parts = |before: &str| {
        let mut parts = vec![
            ("id", asked.id.clone()),
            ("part", asked.part.clone()),
            ("from", from.clone()),
            ("to", to.clone()),
        ];
        if let (Some(by), Some(value)) = (&by, &asked.value) {
            parts.extend([("by", by.clone()), ("value", value.clone())]);
        }
        parts.push(("before", before.to_owned()));
        let parts: Vec<(&str, &str)> = parts.iter().map(|(key, value)| (*key, value.as_str())).collect();
        address("/figures/tickets", &parts)
    };
    let page = Tickets {
        f: Frame::new(&app, &who, title, &parts("")),
        back: address("/figures", &[("from", &from), ("to", &to), ("by", by.as_deref().unwrap_or_default())]),
        says: definition.map_or("", |d| d.says(w.language)).to_owned(),
        period: format!("{from} – {to}"),
        rows,
        older: last.map(|row| parts(&row.to_string())).unwrap_or_default(),
    };
    frame::page(StatusCode::OK, &page)
}
