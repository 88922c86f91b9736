//! Requests of Open311: filed with a key, and read by everybody as far as they are public.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::App;
use super::super::filing::{Filing, Outcome, file};
use super::super::form::Typed;
use super::super::guard::{From, MAX_FORM};
use super::super::query::stage;
use super::super::shell::Tongue;
use super::write::{Wrong, written};
use super::{Asked, here, nothing, split, topic};
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::desk::Fields;
use crate::request::{Failure, FailureKind, Language, Request};
use crate::users::{ApiToken, Filed, Scope, Wanted, rights};

/// Requests of a page.
const PAGE: u32 = 50;

/// Most pages.
const PAGES: u32 = 1_000;

/// What a list covers when no time is named: 90 days, in milliseconds.
const SPAN: u64 = 90 * 24 * 60 * 60_000;

/// Most ids and service codes of one question.
const MAX_NAMED: usize = 50;

/// The longest key of a client.
const MAX_KEY: usize = 96;

/// Most characters of the address of a picture.
const MAX_URL: usize = 300;

fn broken(failure: &Failure) -> Wrong {
    tracing::error!(%failure, causes = ?failure.causes, "an Open311 request failed");
    Wrong::later(StatusCode::SERVICE_UNAVAILABLE, "this does not work just now", Duration::from_secs(30))
}

fn too_fast(wait: Duration) -> Wrong {
    Wrong::later(StatusCode::TOO_MANY_REQUESTS, "too many requests from this address", wait)
}

fn client(parts: &Parts) -> Result<std::net::IpAddr, Wrong> {
    let found = parts.extensions.get::<From>().map(|from| from.0);
    found.ok_or_else(|| broken(&Failure::new(FailureKind::Failed, "a request without an address")))
}

fn list_of(asked: &Asked, name: &str) -> Result<Vec<String>, Wrong> {
    let named = asked.get(name).map(String::as_str).unwrap_or_default();
    let all: Vec<String> =
        named.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    match all.len() <= MAX_NAMED {
        true => Ok(all),
        false => Err(Wrong::new(StatusCode::BAD_REQUEST, format!("{name}: at most {MAX_NAMED}"))),
    }
}

fn time(asked: &Asked, name: &str) -> Result<Option<u64>, Wrong> {
    let Some(said) = asked.get(name).filter(|said| !said.is_empty()) else { return Ok(None) };
    let at: Timestamp = said.parse().map_err(|_| {
        Wrong::new(StatusCode::BAD_REQUEST, format!("{name} is no time, like 2026-11-29T08:00:00+08:00"))
    })?;
    Ok(Some(u64::try_from(at.as_millisecond()).unwrap_or_default()))
}

/// A number of a page.
fn count(asked: &Asked, name: &str, default: u32, most: u32) -> Result<u32, Wrong> {
    match asked.get(name) {
        None => Ok(default),
        Some(said) => said.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
            Wrong::new(StatusCode::BAD_REQUEST, format!("{name} is a number from 1 to {most}"))
        }),
    }
}

pub(super) async fn list(app: &App, parts: &Parts, asked: &Asked) -> Result<Value, Wrong> {
    app.pace.lists(client(parts)?, Instant::now()).map_err(too_fast)?;
    let status = asked.get("status").map(String::as_str).filter(|status| !status.is_empty());
    if status.is_some_and(|status| !["open", "closed"].contains(&status)) {
        return Err(Wrong::new(StatusCode::BAD_REQUEST, "status is open or closed"));
    }
    let ids = list_of(asked, "service_request_id")?;
    let rows = match ids.is_empty() {
        false => app.on_users(move |users| users.filed_as(&ids)).await,
        true => {
            let until = time(asked, "end_date")?;
            let since = time(asked, "start_date")?;
            let end = until.unwrap_or_else(|| now_ms() + 1);
            let size = count(asked, "page_size", PAGE, PAGE)?;
            let page = count(asked, "page", 1, PAGES)?;
            let wanted = Wanted {
                since: since.unwrap_or_else(|| end.saturating_sub(SPAN)),
                until: end,
                services: list_of(asked, "service_code")?,
                limit: size,
                offset: (page - 1) * size,
            };
            app.on_users(move |users| users.filed(&wanted)).await
        }
    };
    let mut shown = Vec::new();
    for row in rows.map_err(|failure| broken(&failure))? {
        let row = public(app, &row).await?;
        shown.extend(row.filter(|row| status.is_none_or(|status| row["status"] == status)));
    }
    Ok(shown.into())
}

pub(super) async fn one(app: &App, parts: &Parts, id: &str) -> Result<Value, Wrong> {
    app.pace.lists(client(parts)?, Instant::now()).map_err(too_fast)?;
    let ids = vec![id.to_owned()];
    let rows = app.on_users(move |users| users.filed_as(&ids)).await.map_err(|failure| broken(&failure))?;
    let Some(row) = rows.first() else {
        return Err(Wrong::new(StatusCode::NOT_FOUND, "service_request_id was not found"));
    };
    Ok(public(app, row).await?.into_iter().collect())
}

/// What of a request is public; `None` when its ticket is not here any more, as after an older backup.
async fn public(app: &App, row: &Filed) -> Result<Option<Value>, Wrong> {
    let Ok(number) = row.number.parse() else { return Ok(None) };
    let told = match app.node.ask(Request::Told { number }).await {
        Ok(told) => told,
        Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
        Err(failure) => return Err(broken(&failure)),
    };
    let (words, over) = stage(Tongue(Language::Zh), told["stage"].as_str().unwrap_or_default());
    let site = told["held_by"].as_str().and_then(|site| site.parse::<certs::NodeName>().ok());
    let requested = shown_time(row.at);
    let last = told["answers"].as_array().and_then(|all| all.last()).map(|last| last["at"].clone());
    Ok(Some(json!({
        "service_request_id": row.id,
        "status": if over { "closed" } else { "open" },
        "status_notes": words,
        "service_name": topic(app, &row.service).map_or_else(|_| String::new(), |topic| topic.name().to_owned()),
        "service_code": row.service,
        "description": null,
        "agency_responsible": site.map(|node| app.reference().centres.name(node.site()).into_owned()),
        "service_notice": null,
        "requested_datetime": requested,
        "updated_datetime": last.filter(|at| !at.is_null()).unwrap_or_else(|| requested.into()),
        "expected_datetime": if over { Value::Null } else { told["due"].clone() },
        "address": null, "address_id": null, "zipcode": null, "lat": null, "long": null, "media_url": null,
    })))
}

/// The token of a key, if it is for this.
async fn entitled(app: &App, parts: &Parts, fields: &Fields) -> Result<ApiToken, Wrong> {
    let refused = || {
        Wrong::new(
            StatusCode::FORBIDDEN,
            "api_key is missing or does not count here: a token with the scope open311:write is wanted",
        )
    };
    let shown = match fields.text("api_key") {
        "" => bearer(&parts.headers).unwrap_or_default(),
        key => key,
    };
    let shown = shown.to_owned();
    let known = app.on_users(move |users| users.token(&shown, now_ms())).await;
    let taking = Request::New { tickets: Vec::new(), user: None };
    match known.map_err(|failure| broken(&failure))? {
        Some(token)
            if token.scopes.contains(&Scope::Open311) && rights::may(&token.account(), &taking).is_ok() =>
        {
            Ok(token)
        }
        // A good key is let in whatever else comes from its address; wrong ones are counted.
        _ => match app.pace.wrong_key(client(parts)?, Instant::now()) {
            Ok(()) => Err(refused()),
            Err(wait) => Err(too_fast(wait)),
        },
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// What was typed, by the names of the specification.
fn typed(fields: &Fields) -> Result<Typed, Wrong> {
    let text = |name: &str| fields.text(name).to_owned();
    let kind = match fields.text("attribute[kind]") {
        "" => "complaint",
        "confidential" => {
            return Err(Wrong::new(
                StatusCode::BAD_REQUEST,
                "a confidential report does not go through other systems: it is filed on the page itself",
            ));
        }
        kind => kind,
    };
    let mut said = text("description");
    if !text("media_url").is_empty() {
        let url: String = text("media_url").chars().take(MAX_URL).collect();
        said = format!("{said}\n附件网址：{url}");
    }
    let place = match (text("address_string"), text("lat"), text("long")) {
        (place, lat, long) if lat.is_empty() || long.is_empty() => place,
        (place, lat, long) => format!("{place} ({lat}, {long})").trim().to_owned(),
    };
    let (first, last) = (text("first_name"), text("last_name"));
    let name = match first.is_ascii() && last.is_ascii() {
        true => format!("{first} {last}").trim().to_owned(),
        false => format!("{last}{first}"),
    };
    Ok(Typed {
        kind: kind.to_owned(),
        topic: text("service_code"),
        text: said.trim().to_owned(),
        place,
        happened_at: text("attribute[happened_at]"),
        plate: text("attribute[plate]"),
        name,
        phone: text("phone"),
        ..Typed::default()
    })
}

pub(super) async fn make(
    State(app): State<Arc<App>>,
    Path(what): Path<String>,
    request: HttpRequest<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let (what, format) = split(&what, &parts.headers);
    let made = match what {
        "requests" => filed(&app, &parts, body).await,
        _ => Err(nothing()),
    };
    match made {
        Ok(made) => written(format, "service_requests", made),
        Err(wrong) => wrong.written(format),
    }
}

/// Under which name it is filed: a client that says a key may send the same again, and files it once.
fn slip(app: &App, headers: &HeaderMap, token: &ApiToken) -> Result<String, Wrong> {
    let Some(key) = headers.get("idempotency-key") else {
        return app.slips.issue(now_ms()).map_err(|failure| broken(&failure));
    };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
        let why = format!("an Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters");
        return Err(Wrong::new(StatusCode::BAD_REQUEST, why));
    }
    Ok(format!("key {} {key}", token.id)) // no slip of a form has a blank in it
}

async fn filed(app: &Arc<App>, parts: &Parts, body: Body) -> Result<Value, Wrong> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Wrong::new(
            StatusCode::BAD_REQUEST,
            "a form is wanted: application/x-www-form-urlencoded",
        ));
    }
    let bytes = axum::body::to_bytes(body, MAX_FORM).await.unwrap_or_default();
    let fields = Fields::read(&bytes)
        .ok_or_else(|| Wrong::new(StatusCode::BAD_REQUEST, "the form has too many fields"))?;
    let token = entitled(app, parts, &fields).await?;
    here(app, Some(fields.text("jurisdiction_id")))?;
    if fields.text("service_code").is_empty() {
        return Err(Wrong::new(StatusCode::BAD_REQUEST, "service_code is missing"));
    }
    topic(app, fields.text("service_code"))?;
    let typed = typed(&fields)?;
    let problems = typed.problems(Tongue(Language::En), &app.reference().categories);
    if !problems.is_empty() {
        let all: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.field, p.text)).collect();
        return Err(Wrong::new(StatusCode::BAD_REQUEST, all.join("; ")));
    }
    let slip = slip(app, &parts.headers, &token)?;
    // As at the desk: what a program does is written down before it is done.
    let (name, from) = (token.account().name, client(parts)?.to_string());
    let note = |what: &'static str, ticket: Option<String>| {
        let (name, from) = (name.clone(), from.clone());
        app.on_users(move |users| {
            users.append(now_ms(), Some(&name), &from, what, ticket.as_deref(), "open311")
        })
    };
    note("new", None).await.map_err(|failure| broken(&failure))?;
    let filing = Filing { slip, user: token.account().name, client: None, typed };
    let outcome = {
        let app = app.clone();
        tokio::spawn(async move { file(&app, &filing).await }).await
    };
    let outcome = outcome
        .unwrap_or_else(|_| Err(Failure::new(FailureKind::Failed, "filing ended in the middle")))
        .map_err(|failure| broken(&failure))?;
    match outcome {
        Outcome::Filed(number) => {
            if let Err(failure) = note("made", Some(number.to_string())).await {
                // It is made and has its number; a log that is full now must not say that it failed.
                tracing::error!(%failure, %number, "a new ticket is not in the audit log");
            }
            let (text, service, code) =
                (number.to_string(), fields.text("service_code").to_owned(), app.secret.code(number));
            let id = app.on_users(move |users| users.file(&text, &service, now_ms())).await;
            let notice = format!("工单号 {number}，查询码 {code}");
            Ok(json!([{
                "service_request_id": id.map_err(|failure| broken(&failure))?,
                "service_notice": notice,
                "account_id": null,
            }]))
        }
        Outcome::Full(wait) => Err(Wrong::later(
            StatusCode::TOO_MANY_REQUESTS,
            "no more requests are taken within this hour; call 12328",
            wait,
        )),
        Outcome::Slower(wait) => Err(too_fast(wait)),
        Outcome::Refused(failure) if failure.kind == FailureKind::Usage => {
            Err(Wrong::new(StatusCode::BAD_REQUEST, "this cannot be taken as it is"))
        }
        Outcome::Refused(failure) => Err(broken(&failure)),
        Outcome::Other => Err(Wrong::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "this Idempotency-Key was used for another request",
        )),
        Outcome::Open => Err(Wrong::new(
            StatusCode::CONFLICT,
            "it may have been filed, and nobody can tell: call 12328 before it is sent again",
        )),
    }
}
