//! 信息公开: the figures of a month that is over, as a page and as files of data.
//!
//! Nothing in them is of one person: a number below [`SMALL`] stands as *fewer than* that, a share of so few is not said, and where one
//! value of a table alone would stand so, the next smallest does too, since the sum would tell. They are computed once in ten
//! minutes at most, whoever asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use certs::Site;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::App;
use super::file::broken;
use super::guard;
use super::shell::{self, Shell, Tongue};
use crate::cell::{Cell, Sheet};
use crate::china;
use crate::daemon::now_ms;
use crate::figures::{self, Period};
use crate::request::{Failure, FailureKind, Request};

/// The smallest number that is told.
const SMALL: u64 = 10;

/// How many months before this one are shown.
const MONTHS: usize = 12;

/// For how long what was computed is shown.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// The figures that are published, of the whole and of each kind and domain.
const WHOLE: [&str; 9] = [
    "taken",
    "answered",
    "handed_over",
    "ended",
    "in_time",
    "overdue",
    "consultation_answered",
    "complaint_in_time",
    "complaint_satisfied",
];
const OF_EACH: [&str; 3] = ["taken", "in_time", "overdue"];

/// What was computed, by month.
#[derive(Default)]
pub(super) struct Published(Mutex<Vec<(String, Instant, Arc<Month>)>>);

/// A month's figures as they are told.
struct Month {
    month: String,
    whole: Vec<Told>,
    /// By kind and by domain; where there is a chart of squares, by unit as well.
    tables: Vec<(&'static str, Vec<Line>)>,
}

/// One value of a dimension: its code, what it is called, and its figures.
struct Line {
    value: String,
    name: String,
    told: Vec<Told>,
}

impl Line {
    /// Whether it is of a unit that is this site or lies below it, and of none that handed something in.
    fn is_within(&self, me: Site) -> bool {
        self.value.parse::<Site>().is_ok_and(|site| me.covers(site))
    }
}

/// One figure.
#[derive(Clone)]
struct Told {
    id: String,
    zh: String,
    en: String,
    /// How many, if that may be told; and of how many, of a share.
    count: Option<u64>,
    of: Option<u64>,
    rate: bool,
}

impl Told {
    fn read(figure: &Value) -> Option<Told> {
        let text = |key: &str| Some(figure[key].as_str()?.to_owned());
        let (count, of) = (figure["count"].as_u64(), figure["of"].as_u64());
        let mut told = Told {
            id: text("id")?,
            zh: text("zh")?,
            en: text("en")?,
            count,
            of,
            rate: figure["kind"] == "rate",
        };
        let few = |n: Option<u64>| n.is_some_and(|n| n > 0 && n < SMALL);
        // Of a share both its parts, and what is left of it, would be few people.
        let rest = told.of.zip(told.count).map(|(of, count)| of.saturating_sub(count));
        if few(told.count) || few(told.of) || few(rest) {
            told.hide();
        }
        Some(told)
    }

    fn hide(&mut self) {
        (self.count, self.of) = (None, None);
    }

    /// For people.
    fn shown(&self, t: Tongue) -> String {
        match (self.rate, self.count, self.of) {
            (true, Some(_), Some(0)) => "—".to_owned(),
            (true, Some(count), Some(of)) => format!("{:.1} %", count as f64 * 100.0 / of as f64),
            (true, ..) => t.say("数量过少，不公布", "too few to be told").to_owned(),
            (false, Some(count), _) => count.to_string(),
            (false, None, _) => match t.is_english() {
                true => format!("fewer than {SMALL}, or hidden beside such a one"),
                false => format!("少于 {SMALL}，或为保护其一并隐去"),
            },
        }
    }
}

/// Where one value alone is hidden, the sum would tell it: the smallest of the others is hidden too.
fn hide_beside(lines: &mut [Line], figure: usize) {
    let hidden = lines.iter().filter(|line| line.told[figure].count.is_none()).count();
    if hidden == 1 {
        let shown = lines.iter_mut().filter(|line| line.told[figure].count.is_some_and(|n| n > 0));
        if let Some(line) = shown.min_by_key(|line| line.told[figure].count) {
            line.told[figure].hide();
        }
    }
}

impl Month {
    async fn ask(app: &App, period: Period) -> Result<Month, Failure> {
        let ask = |by: Option<&str>| {
            let (from, to) = (period.from().to_string(), period.last().to_string());
            app.node.ask(Request::Figures { from, to, by: by.map(str::to_owned) })
        };
        let told = |figures: &Value, wanted: &[&str]| -> Vec<Told> {
            let all: Vec<Told> = figures.as_array().into_iter().flatten().filter_map(Told::read).collect();
            wanted.iter().filter_map(|id| all.iter().find(|told| told.id == *id).cloned()).collect()
        };
        let mut tables = Vec::new();
        let mut whole = Vec::new();
        let squares = !figures::tiles(&app.reference(), app.me.site(), []).is_empty();
        for by in ["business", "domain"].into_iter().chain(squares.then_some("unit")) {
            let report = ask(Some(by)).await?;
            if whole.is_empty() {
                whole = told(&report["figures"], &WHOLE);
            }
            let names = &report["figures"];
            let row = |value: &Value| {
                // The values of a dimension bear numbers; what they are of stands with the whole.
                let mut figures = value["figures"].clone();
                for (figure, named) in
                    figures.as_array_mut().into_iter().flatten().zip(names.as_array().into_iter().flatten())
                {
                    for key in ["id", "zh", "en", "kind"] {
                        figure[key] = named[key].clone();
                    }
                }
                let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                Line { value: text("value"), name: text("name"), told: told(&figures, &OF_EACH) }
            };
            let mut rows: Vec<_> = report["values"].as_array().into_iter().flatten().map(row).collect();
            rows.retain(|line: &Line| line.told.len() == OF_EACH.len());
            rows.retain(|line| by != "unit" || line.is_within(app.me.site()));
            (0..OF_EACH.len()).for_each(|figure| hide_beside(&mut rows, figure));
            tables.push((by, rows));
        }
        Ok(Month { month: period.month_name(), whole, tables })
    }

    fn json(&self, site: &str) -> Value {
        let figure = |told: &Told| {
            let mut value = json!({ "id": told.id, "zh": told.zh, "en": told.en, "count": told.count });
            if told.rate {
                value["of"] = told.of.into();
            }
            value
        };
        let row = |line: &Line| {
            let figures: Vec<Value> = line.told.iter().map(figure).collect();
            json!({ "value": line.value, "name": line.name, "figures": figures })
        };
        let mut all = json!({
            "site": site, "month": self.month, "smallest": SMALL,
            "figures": self.whole.iter().map(figure).collect::<Vec<_>>(),
        });
        for (by, rows) in &self.tables {
            all[by] = rows.iter().map(row).collect();
        }
        all
    }

    fn csv(&self) -> String {
        let mut sheet = Sheet::of(["month", "by", "value", "name", "figure", "zh", "count", "of"]);
        let mut line = |by: &str, value: &str, name: &str, told: &Told| {
            sheet.line([
                Cell::text(&self.month),
                Cell::text(by),
                Cell::text(value),
                Cell::text(name),
                Cell::text(&told.id),
                Cell::text(&told.zh),
                Cell::given(told.count, Cell::Count),
                Cell::given(told.of, Cell::Count),
            ]);
        };
        self.whole.iter().for_each(|told| line("", "", "", told));
        for (by, rows) in &self.tables {
            for Line { value, name, told } in rows {
                told.iter().for_each(|told| line(by, value, name, told));
            }
        }
        sheet.csv()
    }
}

impl Published {
    /// A month's figures, computed now unless they were a little while ago. One at a time: whoever comes meanwhile waits for it.
    async fn of(&self, app: &App, period: Period) -> Result<Arc<Month>, Failure> {
        let mut known = self.0.lock().await;
        known.retain(|(_, at, _)| at.elapsed() < FRESH);
        let name = period.month_name();
        if let Some((_, _, month)) = known.iter().find(|(month, ..)| *month == name) {
            return Ok(month.clone());
        }
        let month = Arc::new(Month::ask(app, period).await?);
        known.push((name, Instant::now(), month.clone()));
        Ok(month)
    }
}

impl Month {
    /// The chart of squares of what was taken; empty where there is none. What is hidden in the table is hidden here.
    fn squares(&self, app: &App, t: Tongue) -> String {
        let Some((_, rows)) = self.tables.iter().find(|(by, _)| *by == "unit") else { return String::new() };
        let site = |line: &Line| line.value.parse::<Site>().ok();
        let counts = || rows.iter().filter_map(|line| line.told[0].count);
        let most = counts().max().unwrap_or(0).max(1);
        let mut tiles = figures::tiles(&app.reference(), app.me.site(), rows.iter().filter_map(site));
        for tile in &mut tiles {
            let Some(line) = rows.iter().find(|line| site(line) == Some(tile.site)) else { continue };
            (tile.said, tile.share) = match line.told[0].count {
                Some(count) => (count.to_string(), count as f64 / most as f64),
                None => (t.say("不公布", "hidden").to_owned(), 0.0),
            };
        }
        figures::drawn(t.say("受理量，按下级单位", "Taken, by unit below"), &tiles)
    }
}

struct Table {
    title: &'static str,
    heads: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

#[derive(Template)]
#[template(path = "public/disclosure.html")]
struct Disclosure {
    s: Shell,
    month: String,
    months: Vec<(String, bool)>,
    whole: Vec<(String, String)>,
    tables: Vec<Table>,
    squares: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    month: String,
    r#as: String,
}

/// The months that are told, the last first.
fn months() -> Vec<Period> {
    let today = china::today(now_ms());
    std::iter::successors(Some(Period::last_month(today)), |month| month.before()).take(MONTHS).collect()
}

pub(super) async fn show(State(app): State<Arc<App>>, uri: Uri, Query(asked): Query<Asked>) -> Response {
    let t = guard::tongue(&uri);
    let months = months();
    let wanted = months.iter().find(|month| asked.month.is_empty() || month.month_name() == asked.month);
    let Some(period) = wanted else {
        let text = t.say("只公布最近十二个月的数据。", "The figures of the last twelve months are told.");
        return shell::message(&app, t, StatusCode::NOT_FOUND, text);
    };
    let month = match app.published.of(&app, *period).await {
        Ok(month) => month,
        Err(failure) if failure.kind == FailureKind::Usage => {
            return shell::message(&app, t, StatusCode::NOT_FOUND, &failure.message);
        }
        Err(failure) => return broken(&app, t, &failure),
    };
    let file = |kind: &'static str, end: &str, body: String| {
        let name = format!("attachment; filename=\"12328-{}-{}.{end}\"", app.me.site(), month.month);
        let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
        if let Ok(name) = HeaderValue::from_str(&name) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        }
        response
    };
    match asked.r#as.as_str() {
        "csv" => return file("text/csv; charset=utf-8", "csv", format!("\u{feff}{}", month.csv())),
        "json" => {
            return file("application/json", "json", month.json(&app.me.site().to_string()).to_string());
        }
        _ => {}
    }
    let name = |told: &Told| if t.is_english() { told.en.clone() } else { told.zh.clone() };
    let table = |(by, rows): &(&'static str, Vec<Line>)| Table {
        title: match *by {
            "business" => t.say("按业务类型", "By kind"),
            "unit" => t.say("按下级单位", "By unit below"),
            _ => t.say("按业务领域", "By domain"),
        },
        heads: rows.first().map(|line| line.told.iter().map(name).collect()).unwrap_or_default(),
        rows: rows
            .iter()
            .map(|line| (line.name.clone(), line.told.iter().map(|told| told.shown(t)).collect()))
            .collect(),
    };
    let template = Disclosure {
        s: Shell::new(&app, t, t.say("数据公开", "Published figures"), "/figures"),
        months: months.iter().map(|m| (m.month_name(), m.month_name() == month.month)).collect(),
        whole: month.whole.iter().map(|told| (name(told), told.shown(t))).collect(),
        tables: month.tables.iter().map(table).filter(|table| !table.rows.is_empty()).collect(),
        squares: month.squares(&app, t),
        month: month.month.clone(),
    };
    shell::page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: u64, of: Option<u64>) -> Told {
        let kind = if of.is_some() { "rate" } else { "count" };
        let figure = json!({ "id": "x", "zh": "某", "en": "some", "kind": kind, "count": count, "of": of });
        Told::read(&figure).unwrap()
    }

    #[test]
    fn few_people_are_not_told() {
        let check =
            |count, of, shown: Option<u64>| assert_eq!(told(count, of).count, shown, "{count} of {of:?}");
        check(0, None, Some(0));
        check(1, None, None);
        check(9, None, None);
        check(10, None, Some(10));
        check(50, Some(100), Some(50));
        check(5, Some(100), None);
        check(95, Some(100), None); // five of a hundred were not
        check(3, Some(4), None);
        check(100, Some(100), Some(100));
        check(0, Some(0), Some(0));
    }

    #[test]
    fn a_unit_of_elsewhere_is_none_of_this_sites() {
        let check = |value: &str, me: &str, within| {
            let line = Line { value: value.to_owned(), name: String::new(), told: Vec::new() };
            assert_eq!(line.is_within(me.parse().unwrap()), within, "{value} of {me}");
        };
        check("370100", "370000", true);
        check("370000", "370000", true);
        check("510100", "370000", false);
        check("000000", "370000", false);
        check("510000", "000000", true);
        check("", "370000", false);
    }

    #[test]
    fn what_the_sum_would_tell_is_hidden_by_a_second_one() {
        let rows = |counts: &[u64]| -> Vec<Option<u64>> {
            let line =
                |n: &u64| Line { value: String::new(), name: String::new(), told: vec![told(*n, None)] };
            let mut lines: Vec<Line> = counts.iter().map(line).collect();
            hide_beside(&mut lines, 0);
            lines.iter().map(|line| line.told[0].count).collect()
        };
        assert_eq!(rows(&[50, 3, 20, 0]), [Some(50), None, None, Some(0)]);
        assert_eq!(rows(&[50, 3, 4]), [Some(50), None, None]);
        assert_eq!(rows(&[50, 20]), [Some(50), Some(20)]);
    }
}
