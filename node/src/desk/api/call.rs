//! Calls: what was asked becomes a request, goes through the guard, and its reply becomes an answer.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::super::App;
use super::super::guard::Signed;
use super::acts;
use super::problem::Problem;
use super::routes::Op;
use super::{Asked, Done, ROOT};
use crate::china;
use crate::daemon::now_ms;
use crate::figures::Period;
use crate::files::FileRequest;
use crate::import::{NewTicket, Sample};
use crate::knowledge::request::KnowledgeRequest;
use crate::projection::QUEUES;
use crate::reference::{CategoryKind, FieldKind, OwnField, RedirectMode};
use crate::request::{Language, Request, Sift, Sort};
use crate::ticket::number::TicketNumber;

/// Rows of a page: without a word, and at most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 100;

/// How long somebody may wait for a change, in seconds: less than a page may take.
const WAIT: usize = 25;

pub(super) async fn call(app: &App, who: &Signed, op: Op, asked: &Asked) -> Result<Done, Problem> {
    let id = || ticket(asked);
    match op {
        Op::List => list(app, who, asked).await,
        Op::Similar => {
            let text = asked.query("text").unwrap_or_default().to_owned();
            let [plate, place] = ["plate", "place"].map(|name| asked.query(name).map(str::to_owned));
            let limit = number(asked, "limit", 10, 50)?;
            let mut rows = app.ask(who, Request::Similar { text, plate, place, limit }).await?;
            without_row(&mut rows);
            Ok(Done::ok(json!({ "tickets": rows })))
        }
        Op::New => {
            fits(app, &asked.body)?;
            let mut made =
                app.ask(who, Request::New { tickets: vec![asked.body.clone()], user: None }).await?;
            let made = made.get_mut(0).map(Value::take).unwrap_or_default();
            let location = made["id"].as_str().map(|id| format!("{ROOT}/tickets/{id}"));
            Ok(Done { status: StatusCode::CREATED, location, body: made, etag: None })
        }
        Op::Show => {
            let shown = app.ask(who, Request::Show { id: id()?, reveal: None, user: None }).await?;
            let state = shown["state_hash"].as_str().map(str::to_owned);
            let known =
                state.as_deref().is_some_and(|state| is_among(&asked.headers, header::IF_NONE_MATCH, state));
            let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            Ok(Done { status, body: shown, etag: state, location: None })
        }
        Op::History => {
            let request = Request::History { id: id()?, language: language(asked)? };
            Ok(Done::ok(app.ask(who, request).await?))
        }
        Op::Choices => {
            let request = Request::Choices { id: id()?, language: language(asked)? };
            Ok(Done::ok(app.ask(who, request).await?))
        }
        Op::Note => {
            let text = asked.body["text"].as_str().unwrap_or_default().to_owned();
            let then = Request::Note { id: id()?, text, user: None };
            Ok(Done { status: StatusCode::CREATED, ..Done::ok(app.ask(who, when(asked, then)?).await?) })
        }
        Op::Act => {
            let act = acts::read(asked.part("do"), &asked.body)?;
            let then = Request::Act { id: id()?, act, user: None };
            Ok(Done { status: StatusCode::CREATED, ..Done::ok(app.ask(who, when(asked, then)?).await?) })
        }
        Op::Reveal => {
            let reason = asked.body["reason"].as_str().unwrap_or_default().to_owned();
            let desk = asked.body["desk"] == true;
            Ok(Done::ok(app.ask(who, Request::Reveal { id: id()?, reason, desk, user: None }).await?))
        }
        Op::Files => {
            let request = FileRequest::List { id: id()?, reveal: None, user: None };
            Ok(Done::ok(json!({ "files": app.ask(who, Request::File(request)).await? })))
        }
        Op::Changes => changes(app, who, asked).await,
        Op::Articles => articles(app, who, asked).await,
        Op::Article => {
            let version = asked.query("version").map(|_| number(asked, "version", 1, 1_000)).transpose()?;
            let show = KnowledgeRequest::Show {
                id: asked.part("id").to_owned(),
                version: version.and_then(|n| u32::try_from(n).ok()),
                language: language(asked)?,
                user: None,
            };
            let mut shown = app.know(who, show).await?;
            without_row(&mut shown["supplemented_by"]);
            without_row(&mut shown["supplements"]);
            let state = shown["state_hash"].as_str().map(str::to_owned);
            Ok(Done { etag: state.filter(|_| version.is_none()), ..Done::ok(shown) })
        }
        Op::Used | Op::Unhelpful => {
            let (id, user) = (asked.part("id").to_owned(), None);
            let version = match &asked.body["version"] {
                Value::Null => None,
                given => match given.as_u64().map(u32::try_from) {
                    Some(Ok(number)) => Some(number),
                    _ => return Err(Problem::bad("`version` is the number of a version")),
                },
            };
            let said = match op {
                Op::Used => KnowledgeRequest::Used { id, version, user },
                _ => KnowledgeRequest::Unhelpful { id, version, user },
            };
            Ok(Done { status: StatusCode::CREATED, ..Done::ok(app.know(who, said).await?) })
        }
        Op::Categories => Ok(Done::ok(categories(app))),
        Op::Fields => Ok(Done::ok(fields(app))),
        Op::Redirects => Ok(Done::ok(redirects(app))),
        Op::Centres => {
            let centre =
                |c: &crate::reference::Centre| json!({ "code": c.site().to_string(), "name": c.name() });
            Ok(Done::ok(json!({ "centres": app.reference().centres.iter().map(centre).collect::<Value>() })))
        }
        Op::CallRoute => super::route::route(app, asked),
        Op::Status => Ok(Done::ok(app.ask(who, Request::Status).await?)),
        Op::Volume => {
            let days = number(asked, "days", 7, 31)?;
            Ok(Done::ok(app.ask(who, Request::Volume { days }).await?))
        }
        Op::Figures => {
            let period = period(asked)?;
            let (from, to) = (period.from().to_string(), period.last().to_string());
            let by = asked.query("by").map(str::to_owned);
            Ok(Done::ok(app.ask(who, Request::Figures { from, to, by }).await?))
        }
        Op::Scorecard => {
            let month = asked.query("month").map(str::to_owned);
            let today = china::today(now_ms());
            let month = month.unwrap_or_else(|| Period::last_month(today).month_name());
            let site = asked.query("site").map(str::to_owned);
            Ok(Done::ok(app.ask(who, Request::Scorecard { month, site }).await?))
        }
        // They have no answer of JSON.
        Op::Document
        | Op::Attach
        | Op::Fetch
        | Op::Stream
        | Op::CallEvent
        | Op::CallEventAt
        | Op::CallRecording => Err(Problem::absent("nothing is served here")),
    }
}

/// The ticket that a path names: an id, a prefix of one, or a number. What can be none of them is not here.
pub(super) fn ticket(asked: &Asked) -> Result<String, Problem> {
    let id = asked.part("id");
    let hex = (4..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    match hex || id.parse::<TicketNumber>().is_ok() {
        true => Ok(id.to_owned()),
        false => Err(Problem::absent("a ticket is named by its number, its id, or the beginning of one")),
    }
}

fn period(asked: &Asked) -> Result<Period, Problem> {
    let day = |text: &str| text.parse().map_err(|_| Problem::bad("a day is as in 2026-11-02"));
    let period = match (asked.query("month"), asked.query("from"), asked.query("to")) {
        (Some(month), None, None) => Period::month(month),
        (None, Some(from), Some(to)) => Period::days(day(from)?, day(to)?),
        (None, None, None) => Period::month_of(china::today(now_ms())),
        _ => return Err(Problem::bad("a period is a `month`, or `from` and `to`")),
    };
    period.map_err(Problem::bad)
}

fn language(asked: &Asked) -> Result<Language, Problem> {
    match asked.query("language") {
        None | Some("zh") => Ok(Language::Zh),
        Some("en") => Ok(Language::En),
        Some(_) => Err(Problem::bad("`language` is `zh` or `en`")),
    }
}

fn number(asked: &Asked, name: &str, without: usize, most: usize) -> Result<usize, Problem> {
    match asked.query(name).map(str::parse) {
        None => Ok(without),
        Some(Ok(n)) if (1..=most).contains(&n) => Ok(n),
        Some(_) => Err(Problem::bad(format!("`{name}` is a number from 1 to {most}"))),
    }
}

/// What narrows a queue.
const NARROWING: [&str; 10] =
    ["user", "department", "business", "domain", "topic", "channel", "urgency", "first", "last", "sort"];

fn sift(asked: &Asked) -> Result<Sift, Problem> {
    let given = |name| asked.query(name).map(str::to_owned);
    Ok(Sift {
        user: given("user"),
        department: given("department"),
        centres: None,
        business: given("business"),
        domain: given("domain"),
        topic: given("topic"),
        channel: given("channel"),
        urgency: given("urgency"),
        first: given("first"),
        last: given("last"),
        sort: match asked.query("sort") {
            None | Some("newest") => Sort::Newest,
            Some("oldest") => Sort::Oldest,
            Some("due") => Sort::Due,
            Some(_) => return Err(Problem::bad("`sort` is newest, oldest or due")),
        },
    })
}

async fn list(app: &App, who: &Signed, asked: &Asked) -> Result<Done, Problem> {
    let limit = number(asked, "limit", ROWS, MOST_ROWS)?;
    if let Some(words) = asked.query("q") {
        let beside = ["queue", "cursor"].into_iter().chain(NARROWING);
        if beside.into_iter().any(|name| asked.query(name).is_some()) {
            return Err(Problem::bad("a search is not narrowed: it has `q` and `limit`"));
        }
        let mut found = app.ask(who, Request::Search { text: words.to_owned(), limit }).await?;
        without_row(&mut found);
        return Ok(Done::ok(json!({ "tickets": found, "next": null })));
    }
    let queue = asked.query("queue").unwrap_or("held");
    if !QUEUES.contains(&queue) {
        return Err(Problem::bad(format!("queues are {}", QUEUES.join(", "))));
    }
    let before = match asked.query("cursor").map(str::parse::<i64>) {
        None => None,
        Some(Ok(row)) if row > 0 => Some(row),
        Some(_) => return Err(Problem::bad("`cursor` is `next` of the page before, as it came")),
    };
    // One more tells whether there is another page.
    let sift = sift(asked)?;
    let request = Request::List { queue: queue.to_owned(), sift, limit: limit + 1, before };
    let mut rows = app.ask(who, request).await?;
    let mut next = Value::Null;
    if let Some(rows) = rows.as_array_mut().filter(|rows| rows.len() > limit) {
        rows.truncate(limit);
        next = rows.last().and_then(|row| row["row"].as_i64()).map(|row| row.to_string()).into();
    }
    without_row(&mut rows);
    Ok(Done::ok(json!({ "tickets": rows, "next": next })))
}

async fn articles(app: &App, who: &Signed, asked: &Asked) -> Result<Done, Problem> {
    let limit = number(asked, "limit", ROWS, MOST_ROWS)?;
    let request = match (asked.query("q"), asked.query("about")) {
        (Some(_), Some(_)) => return Err(Problem::bad("`q` and `about` are two questions: ask one")),
        (Some(words), None) => KnowledgeRequest::Search { text: words.to_owned(), limit },
        (None, Some(text)) => KnowledgeRequest::Suggest { text: text.to_owned(), limit },
        (None, None) => KnowledgeRequest::List { queue: "published".to_owned(), mine: false, limit },
    };
    let mut found = app.know(who, request).await?;
    without_row(&mut found);
    Ok(Done::ok(json!({ "articles": found })))
}

/// Rows are the node's own matter.
fn without_row(shown: &mut Value) {
    match shown {
        Value::Array(rows) => rows.iter_mut().for_each(without_row),
        Value::Object(row) => drop(row.remove("row")),
        _ => {}
    }
}

async fn changes(app: &App, who: &Signed, asked: &Asked) -> Result<Done, Problem> {
    let limit = number(asked, "limit", MOST_ROWS, MOST_ROWS)?;
    let wait = asked.query("wait").map(|_| number(asked, "wait", 1, WAIT)).transpose()?;
    let end = wait.map(|secs| tokio::time::Instant::now() + Duration::from_secs(secs as u64));
    let after = asked.query("after").map(str::to_owned);
    let mut commits = app.node.changes(); // before it asks, so that nothing comes in between
    let mut stopping = app.stopping.clone();
    loop {
        let request = Request::Changes { after: after.clone(), limit };
        let found = app.ask(who, request).await?;
        let (Some(end), true, true) = (end, after.is_some(), found["changes"] == json!([])) else {
            return Ok(Done::ok(found));
        };
        tokio::select! {
            heard = commits.recv() => match heard {
                // Fallen behind or not: asking again tells.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(Done::ok(found)),
            },
            () = tokio::time::sleep_until(end) => return Ok(Done::ok(found)),
            _ = stopping.wait_for(|stop| *stop) => return Ok(Done::ok(found)),
        }
    }
}

/// The values of a header with entity tags.
fn tags(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned()).collect()
}

fn is_among(headers: &HeaderMap, name: header::HeaderName, state: &str) -> bool {
    let of = |tag: &String| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == state;
    tags(headers, name).iter().any(of)
}

/// The request, bound to the states that `If-Match` names: one of them has to be the ticket's, compared strongly (RFC 9110, 13.1.1),
/// so that a weak tag is never it.
fn when(asked: &Asked, then: Request) -> Result<Request, Problem> {
    let tags = tags(&asked.headers, header::IF_MATCH);
    if tags.is_empty() || tags.iter().any(|tag| tag == "*") {
        return Ok(then);
    }
    let mut states = Vec::new();
    for tag in tags.iter().filter(|tag| !tag.is_empty() && !tag.starts_with("W/")) {
        let state = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let state =
            state.ok_or_else(|| Problem::bad("`If-Match` holds `ETag`s of the ticket, as they came"))?;
        states.push(state.to_owned());
    }
    Ok(Request::When { states, then: Box::new(then) })
}

fn categories(app: &App) -> Value {
    let table = &app.reference().categories;
    let one = |domain: &crate::reference::Category| {
        let topic =
            |t: &crate::reference::Category| json!({ "code": t.code().to_string(), "name": t.name() });
        let topics: Value = match domain.kind() {
            CategoryKind::Domain => table.topics(domain).map(topic).collect(),
            CategoryKind::Topic { .. } => Value::Array(Vec::new()),
        };
        json!({ "code": domain.code().to_string(), "name": domain.name(), "topics": topics })
    };
    json!({ "categories": table.domains().map(one).collect::<Value>() })
}

/// What a program says in a field of the centre's own has to fit it; what else is wrong with a ticket, the node says.
fn fits(app: &App, body: &Value) -> Result<(), Problem> {
    let reference = app.reference();
    let ticket = Sample::read(body, 1).ok().map(|sample| NewTicket::from_sample(sample, &reference));
    let unfit = ticket.and_then(Result::ok).map(|ticket| ticket.unfit(&reference, false)).unwrap_or_default();
    match unfit.first() {
        None => Ok(()),
        Some(unfit) => Err(Problem::invalid(unfit.to_string()).hint("see /api/v1/reference/fields")),
    }
}

fn fields(app: &App) -> Value {
    let one = |field: &OwnField| {
        let (zh, en) = field.label();
        let mut one = json!({
            "name": field.name(), "zh": zh, "en": en, "kind": field.kind().word(), "required": field.required(),
        });
        if let FieldKind::Choice(choices) = field.kind() {
            one["choices"] = json!(choices);
        }
        for (name, wanted) in [("business", field.business()), ("domain", field.domain())] {
            if !wanted.is_empty() {
                one[name] = wanted.into();
            }
        }
        one
    };
    json!({ "fields": app.reference().fields.iter().map(one).collect::<Value>() })
}

fn redirects(app: &App) -> Value {
    let one = |r: &crate::reference::Redirect| {
        json!({
            "number": r.number(), "name": r.name(), "scope": r.scope(),
            "connect_now": r.mode() == RedirectMode::Transfer,
        })
    };
    json!({ "redirects": app.reference().redirects.iter().map(one).collect::<Value>() })
}
