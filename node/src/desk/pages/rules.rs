//! Rules: which editions of which tables are in force here, what a table says on a day, and setting it from a day on. What is to be
//! set is tried first: the page shows what would change, and then it is set.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::ToSpan;
use serde::Deserialize;
use serde_json::Value;

use super::super::App;
use super::super::frame::{self, Frame, minute};
use super::super::guard::{Posted, Signed, sentence};
use super::super::words::Words;
use crate::china;
use crate::daemon::now_ms;
use crate::hex::hex;
use crate::policy::request::PolicyRequest;
use crate::policy::{MAX_BASIS, MAX_NOTE, MAX_TABLE};
use crate::request::{Failure, Reply, Request};
use crate::users::rights;

/// The largest form with a table: each of its bytes may be three on their way.
pub(in super::super) const MAX_RULE: usize = 3 * MAX_TABLE + (64 << 10);

/// Rows of a table that are shown, and lines of what would change.
const SHOWN: usize = 300;

/// One edition as a page shows it.
struct Edition {
    name: String,
    /// Its number, as it is taken back by.
    number: u64,
    from: String,
    basis: String,
    note: String,
    by: String,
    standing: String,
    /// It counts today.
    holds: bool,
    why: String,
    /// It may be taken back from this page.
    may_withdraw: bool,
}

/// One table in the list.
struct Table {
    name: String,
    title: String,
    tiers: String,
    how: &'static str,
    /// A file of the operator's own goes before all editions.
    own: bool,
    editions: Vec<Edition>,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct List {
    f: Frame,
    day: String,
    tables: Vec<Table>,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct Page {
    f: Frame,
    table: Table,
    problem: String,
    /// The day for which the rows are shown.
    on: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How many rows there are in all.
    count: usize,
    csv: String,
    /// Whether this account at this site may set it.
    may: bool,
    typed: Typed,
    /// What was tried would change this; `None` when nothing was tried.
    tried: Option<Change>,
    longest_basis: usize,
    longest_note: usize,
}

/// What somebody is about to set.
#[derive(Default)]
struct Typed {
    rows: String,
    from: String,
    basis: String,
    note: String,
}

impl Typed {
    /// What a trial was made of.
    fn mark(&self) -> String {
        let Typed { rows, from, basis, note } = self;
        hex(blake3::hash([rows, from, basis, note].map(String::as_str).join("\0").as_bytes()).as_bytes())
    }
}

/// What would change: lines that go and come, as many as are shown, how many there are, and the mark of what was tried.
struct Change {
    mark: String,
    gone: Vec<String>,
    come: Vec<String>,
    count: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

impl App {
    async fn rule(&self, who: &Signed, request: PolicyRequest) -> Reply {
        self.ask(who, Request::Policy(request)).await
    }
}

fn edition(w: &Words, e: &Value, me: &str, may: bool) -> Edition {
    let standing = text(&e["standing"]);
    Edition {
        name: text(&e["name"]),
        number: e["edition"].as_u64().unwrap_or_default(),
        from: text(&e["from"]),
        basis: text(&e["basis"]),
        note: text(&e["note"]),
        by: format!("{} {} {}", minute(&text(&e["at"])), text(&e["node"]), text(&e["user"])),
        holds: standing == "in force",
        may_withdraw: may && standing == "coming" && e["site"] == me,
        standing: w.rule_standing(&standing).to_owned(),
        why: text(&e["why"]),
    }
}

fn table(app: &App, who: &Signed, told: &Value) -> Table {
    let w = who.words();
    let name = text(&told["table"]);
    let me = app.me.site().to_string();
    let may = may_set(who, told);
    let tiers: Vec<&str> = texts(&told["tiers"]).iter().map(|tier| w.tier(tier)).collect();
    Table {
        title: w.table(&name).to_owned(),
        tiers: tiers.join(w.and),
        how: w.rule_how(told["how"].as_str().unwrap_or_default()),
        own: told["own"] == true,
        editions: told["editions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| edition(w, e, &me, may))
            .collect(),
        name,
    }
}

/// Whether this account may set a table of which the node says that this site may.
fn may_set(who: &Signed, told: &Value) -> bool {
    let set = Request::Policy(PolicyRequest::Withdraw { table: String::new(), edition: 0, user: None });
    told["may"] == true && rights::may(&who.session.account, &set).is_ok()
}

/// All tables, with what is in force and what comes.
pub(in super::super) async fn list(State(app): State<Arc<App>>, who: Signed) -> Response {
    let said = match app.rule(&who, PolicyRequest::List { table: None, all: false }).await {
        Ok(said) => said,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let page = List {
        f: Frame::new(&app, &who, who.words().rules, "/rules"),
        day: text(&said["day"]),
        tables: said["tables"].as_array().into_iter().flatten().map(|told| table(&app, &who, told)).collect(),
    };
    frame::page(StatusCode::OK, &page)
}

#[derive(Default, Deserialize)]
pub(in super::super) struct Asked {
    /// The day; empty for today.
    #[serde(default)]
    on: String,
    #[serde(default)]
    done: String,
}

impl Asked {
    fn on(&self) -> Option<String> {
        Some(self.on.trim()).filter(|on| !on.is_empty()).map(str::to_owned)
    }
}

/// What a page says of one table beside the table itself.
#[derive(Default)]
struct Around {
    problem: String,
    typed: Option<Typed>,
    tried: Option<Change>,
}

async fn page(
    app: &App,
    who: &Signed,
    name: &str,
    asked: &Asked,
    around: Around,
    status: StatusCode,
) -> Result<Response, Failure> {
    let w = who.words();
    let said = app.rule(who, PolicyRequest::List { table: Some(name.to_owned()), all: true }).await?;
    let show = |to_edit| PolicyRequest::Show {
        table: name.to_owned(),
        on: if to_edit { None } else { asked.on() },
        edition: None,
        to_edit,
    };
    let in_force = app.rule(who, show(false)).await?;
    let told = &said["tables"][0];
    let may = may_set(who, told);
    let typed = match around.typed {
        Some(typed) => typed,
        None if may => Typed {
            rows: text(&app.rule(who, show(true)).await?["rows"]),
            from: china::today(now_ms()).saturating_add(1.day()).to_string(),
            ..Typed::default()
        },
        None => Typed::default(),
    };
    let cells = |line: &str| line.split(',').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text(&in_force["rows"]);
    let mut lines = rows.trim_start_matches('\u{feff}').lines().filter(|line| !line.is_empty());
    let (head, on) = (lines.next().map(cells).unwrap_or_default(), text(&in_force["on"]));
    let lines: Vec<&str> = lines.collect();
    let shown = table(app, who, told);
    let here = format!("/rules/{name}");
    let notice = if asked.done.is_empty() { String::new() } else { w.rule_done.to_owned() };
    let template = Page {
        f: Frame::new(app, who, shown.title.clone(), &here).notice(notice),
        table: shown,
        problem: around.problem,
        csv: format!("{here}/csv?on={on}"),
        on,
        head,
        rows: lines.iter().take(SHOWN).map(|line| cells(line)).collect(),
        count: lines.len(),
        may,
        typed,
        tried: around.tried,
        longest_basis: MAX_BASIS,
        longest_note: MAX_NOTE,
    };
    Ok(frame::page(status, &template))
}

/// One table: its editions, its rows on a day, and the form that sets it.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = page(&app, &who, &name, &asked, Around::default(), StatusCode::OK).await;
    shown.unwrap_or_else(|failure| frame::failure(&who, &failure))
}

/// The table as a file, to be edited.
pub(in super::super) async fn file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let show = PolicyRequest::Show { table: name, on: asked.on(), edition: None, to_edit: false };
    let said = match app.rule(&who, show).await {
        Ok(said) => said,
        Err(failure) => return frame::failure(&who, &failure),
    };
    // The mark tells table programs that it is UTF-8.
    let rows = text(&said["rows"]);
    let mut response = format!("\u{feff}{}", rows.trim_start_matches('\u{feff}')).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let name = format!("attachment; filename=\"{}.csv\"", text(&said["table"]));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// Tries, sets, or takes back.
pub(in super::super) async fn change(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    posted: Posted<MAX_RULE>,
) -> Response {
    let Posted { who, fields } = posted;
    if let Some(edition) = fields.given("withdraw") {
        let edition = edition.parse().unwrap_or_default();
        let withdraw = PolicyRequest::Withdraw { table: name.clone(), edition, user: None };
        return match app.rule(&who, withdraw).await {
            Ok(_) => done(&name),
            Err(failure) => failed(&app, &who, &name, None, &failure).await,
        };
    }
    let typed = |field: &str| fields.text(field).to_owned();
    let typed =
        Typed { rows: typed("rows"), from: typed("from"), basis: typed("basis"), note: typed("note") };
    // What was changed since it was tried is tried again.
    let try_only = fields.text("do") != "set" || fields.text("tried") != typed.mark();
    let set = PolicyRequest::Set {
        table: name.clone(),
        rows: typed.rows.clone(),
        from: typed.from.clone(),
        basis: typed.basis.clone(),
        note: typed.note.clone(),
        try_only,
        user: None,
    };
    let said = match app.rule(&who, set).await {
        Ok(_) if !try_only => return done(&name),
        Ok(said) => said,
        Err(failure) => return failed(&app, &who, &name, Some(typed), &failure).await,
    };
    let (mut gone, mut come) = (texts(&said["gone"]), texts(&said["come"]));
    let count = gone.len() + come.len();
    gone.truncate(SHOWN);
    come.truncate(SHOWN);
    let tried = Some(Change { mark: typed.mark(), gone, come, count });
    let around = Around { typed: Some(typed), tried, ..Around::default() };
    let shown = page(&app, &who, &name, &Asked::default(), around, StatusCode::OK).await;
    shown.unwrap_or_else(|failure| frame::failure(&who, &failure))
}

fn done(name: &str) -> Response {
    Redirect::to(&format!("/rules/{name}?done=yes")).into_response()
}

/// The page again, with what was typed and why it was not done.
async fn failed(app: &App, who: &Signed, name: &str, typed: Option<Typed>, failure: &Failure) -> Response {
    let said = [sentence(failure)].into_iter().chain(failure.hint.as_deref());
    let problem = format!("{}: {}", who.words().failed, said.collect::<Vec<_>>().join(" — "));
    let around = Around { problem, typed, ..Around::default() };
    let shown = page(app, who, name, &Asked::default(), around, frame::status_of(failure)).await;
    shown.unwrap_or_else(|_| frame::failure(who, failure))
}
