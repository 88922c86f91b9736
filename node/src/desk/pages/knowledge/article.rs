//! An article: what it says, where it stands, what became of it, and what whoever looks may do with it now.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use certs::Site;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::App;
use super::super::super::frame::{self, Frame, minute, size};
use super::super::super::guard::{Posted, Signed, is_denied, sentence};
use super::super::super::words::Words;
use super::{Row, colour, row, rows};
use crate::knowledge::request::KnowledgeRequest;
use crate::request::Request;
use crate::users::rights;

/// Longest reason.
const MAX_REASON: usize = 500;

#[derive(Deserialize)]
pub(in super::super::super) struct Asked {
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    from: Option<u32>,
    #[serde(default)]
    to: Option<u32>,
    #[serde(default)]
    done: String,
}

struct Fact {
    label: &'static str,
    value: String,
}

struct VersionRow {
    number: u64,
    by: String,
    at: String,
    reviews: String,
    in_force: bool,
    shown: bool,
}

struct Line {
    class: &'static str,
    at: String,
    by: String,
    mark: &'static str,
    text: String,
}

struct Action {
    name: String,
    title: &'static str,
    key: &'static str,
    /// Where it is done, when that is a page of its own.
    href: String,
    /// Whether it takes a reason: `Some(true)` when it must be given.
    reason: Option<bool>,
}

struct Refused {
    title: &'static str,
    why: String,
}

/// Two versions side by side.
struct Compared {
    from: u64,
    to: u64,
    facts: Vec<(String, String, String)>,
    /// Class of the line, what is said of it to those who do not see colours, the line.
    lines: Vec<(&'static str, &'static str, String)>,
}

#[derive(Template)]
#[template(path = "article.html")]
struct Article {
    f: Frame,
    id: String,
    code: String,
    title: String,
    standing: &'static str,
    class: &'static str,
    number: u64,
    holds: bool,
    /// Whether what is shown is what readers get.
    current: bool,
    problem: String,
    body: String,
    facts: Vec<Fact>,
    original: Option<Row>,
    original_absent: bool,
    original_changed: bool,
    supplements: Vec<Row>,
    compared: Option<Compared>,
    versions: Vec<VersionRow>,
    from: u64,
    lines: Vec<Line>,
    acts: Vec<Action>,
    cannot: Vec<Refused>,
    reaches: String,
    printed: String,
    files: Vec<Attached>,
    may_attach: bool,
    uses: Use,
    /// Whether whoever looks may say that the version helped or did not.
    may_say: bool,
}

/// A file that the version carries.
struct Attached {
    name: String,
    href: String,
    size: String,
    state: String,
    here: bool,
}

fn files(id: &str, shown: &Value) -> Vec<Attached> {
    let file = |row: &Value| Attached {
        name: text(&row["name"]),
        href: format!("/knowledge/{id}/file/{}", text(&row["content"])),
        size: size(row["size"].as_u64().unwrap_or_default()),
        state: text(&row["state"]),
        here: row["complete"] == true,
    };
    each(&shown["files"]).map(file).collect()
}

/// How often it helped here and below, and how often it did not.
struct Use {
    used: u64,
    unhelpful: u64,
    /// The same by site, those whom it did not help first.
    sites: Vec<(String, u64, u64)>,
}

/// Most sites that are shown with their counts.
const SITES: usize = 20;

fn uses(app: &App, said: &Value) -> Use {
    let count = |of: &Value, key: &str| of[key].as_u64().unwrap_or_default();
    let site = |of: &Value| (app.site_name(&text(&of["site"])), count(of, "used"), count(of, "unhelpful"));
    let mut sites: Vec<(String, u64, u64)> = each(&said["sites"]).map(site).collect();
    sites.sort_by_key(|(_, used, unhelpful)| std::cmp::Reverse((*unhelpful, *used)));
    sites.truncate(SITES);
    Use { used: count(said, "used"), unhelpful: count(said, "unhelpful"), sites }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn facts(app: &App, w: &Words, shown: &Value) -> Vec<Fact> {
    let said = &shown["text"];
    let days = match (said["valid_from"].as_str(), said["valid_to"].as_str()) {
        (Some("") | None, Some("") | None) => w.article_always.to_owned(),
        (from, to) => format!("{} – {}", from.unwrap_or_default(), to.unwrap_or_default()),
    };
    let tags: Vec<&str> = each(&said["tags"]).filter_map(Value::as_str).collect();
    let readers = if said["audience"] == "public" { w.readers_public } else { w.readers_agent };
    let all = [
        (w.article_owner, app.site_name(&text(&shown["owner"]))),
        (w.article_code, text(&said["code"])),
        (w.article_valid, days),
        (w.article_field, text(&said["field"])),
        (w.article_readers, readers.to_owned()),
        (w.article_source, text(&said["source"])),
        (w.article_tags, tags.join(" · ")),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| Fact { label, value })
        .collect()
}

fn versions(shown: &Value) -> Vec<VersionRow> {
    let row = |v: &Value| VersionRow {
        number: v["number"].as_u64().unwrap_or_default(),
        by: text(&v["user"]),
        at: minute(&text(&v["at"])),
        reviews: each(&v["reviews"]).map(|r| text(&r["user"])).collect::<Vec<_>>().join("、"),
        in_force: v["number"] == shown["in_force"],
        shown: v["entry"] == shown["version"]["entry"],
    };
    let mut all: Vec<VersionRow> = each(&shown["versions"]).map(row).collect();
    all.reverse();
    all
}

fn lines(app: &App, w: &Words, shown: &Value) -> Vec<Line> {
    let number =
        |entry: &Value| each(&shown["versions"]).find(|v| v["entry"] == *entry).map(|v| v["number"].clone());
    let beaten = |entry: &Value, list: &str| {
        each(&shown[list]).find(|b| b["entry"] == *entry).map(|b| text(&b["why"]))
    };
    let line = |entry: &Value| {
        let (superseded, unentitled) =
            (beaten(&entry["id"], "superseded"), beaten(&entry["id"], "unentitled"));
        let (class, mark) = match (&superseded, &unentitled, entry["not_counted"] == true) {
            (_, Some(_), _) | (_, _, true) => ("unentitled", w.mark_unentitled),
            (Some(_), ..) => ("superseded", w.mark_superseded),
            _ => ("", ""),
        };
        let mut said = w.article_act(entry["op"].as_str().unwrap_or_default()).to_owned();
        let version =
            Some(&entry["version"]).filter(|v| !v.is_null()).cloned().or_else(|| number(&entry["of"]));
        if let Some(version) = version {
            said.push_str(&format!(" · {} {version}", w.version));
        }
        for more in [text(&entry["reason"]), superseded.unwrap_or_default(), unentitled.unwrap_or_default()] {
            if !more.is_empty() {
                said.push_str(&format!(" — {more}"));
            }
        }
        let by = [app.site_name(&text(&entry["node"])), text(&entry["user"])];
        Line { class, at: minute(&text(&entry["at"])), by: by.join(" ").trim().to_owned(), mark, text: said }
    };
    each(&shown["trail"]).map(line).collect()
}

/// A request that an action makes; `None` when there is no such action here.
fn asked_of(name: &str, id: &str, version: Option<u32>, reason: &str) -> Option<KnowledgeRequest> {
    let (id, user) = (id.to_owned(), None);
    let given = Some(reason.to_owned()).filter(|r| !r.is_empty());
    Some(match name {
        "review" => KnowledgeRequest::Review { id, reason: given, user },
        "publish" => KnowledgeRequest::Publish { id, user },
        "withdraw" => KnowledgeRequest::Withdraw { id, reason: reason.to_owned(), user },
        "propose" => KnowledgeRequest::Propose { id, reason: given, user },
        "adopt" => KnowledgeRequest::Adopt { id, user },
        "revise" => KnowledgeRequest::Revise { id, article: Value::Null, user },
        "supplement" => KnowledgeRequest::New { article: Value::Null, supplements: Some(id), user },
        "used" => KnowledgeRequest::Used { id, version, user },
        "unhelpful" => KnowledgeRequest::Unhelpful { id, version, user },
        _ => return None,
    })
}

/// What may be done now by this person here, and why the rest may not.
fn choices(who: &Signed, id: &str, shown: &Value) -> (Vec<Action>, Vec<Refused>) {
    let w = who.words();
    let (mut may, mut not) = (Vec::new(), Vec::new());
    for choice in each(&shown["choices"]) {
        let name = text(&choice["act"]);
        let Some(request) = asked_of(&name, id, None, "-").map(Request::Knowledge) else { continue };
        let title = w.article_act(&name);
        if let Some(why) = choice["why"].as_str() {
            not.push(Refused { title, why: why.to_owned() });
            continue;
        }
        if rights::may(&who.session.account, &request).is_err() {
            let roles: Vec<&str> = rights::who_may(&request).into_iter().map(|role| w.role(role)).collect();
            not.push(Refused { title, why: format!("{} {}", w.your_role, roles.join("、")) });
            continue;
        }
        let (key, href, reason) = match name.as_str() {
            "revise" => ("e", format!("/knowledge/{id}/edit"), None),
            "supplement" => ("h", format!("/knowledge/new?supplements={id}"), None),
            "review" => ("v", String::new(), Some(false)),
            "publish" => ("p", String::new(), None),
            "withdraw" => ("d", String::new(), Some(true)),
            "propose" => ("o", String::new(), Some(false)),
            _ => ("a", String::new(), None),
        };
        may.push(Action { name, title, key, href, reason });
    }
    (may, not)
}

fn compared(w: &Words, diff: &Value) -> Compared {
    let line = |line: &Value| match line["mark"].as_str() {
        Some("removed") => ("removed", w.line_removed, text(&line["text"])),
        Some("added") => ("added", w.line_added, text(&line["text"])),
        _ => ("", "", text(&line["text"])),
    };
    let label = |name: &str| match name {
        "title" => w.article_title,
        "code" => w.article_code,
        "field" => w.article_field,
        "source" => w.article_source,
        "tags" => w.article_tags,
        "audience" => w.article_readers,
        "valid_from" => w.valid_from,
        _ => w.valid_to,
    };
    let value = |v: &Value| match v.as_str() {
        Some("public") => w.readers_public.to_owned(),
        Some("agent") => w.readers_agent.to_owned(),
        other => other.unwrap_or_default().replace('\n', " · "),
    };
    Compared {
        from: diff["from"]["number"].as_u64().unwrap_or_default(),
        to: diff["to"]["number"].as_u64().unwrap_or_default(),
        facts: each(&diff["facts"])
            .map(|f| {
                (
                    label(f["field"].as_str().unwrap_or_default()).to_owned(),
                    value(&f["from"]),
                    value(&f["to"]),
                )
            })
            .collect(),
        lines: each(&diff["lines"]).map(line).collect(),
    }
}

/// Who gets it: regions, and whoever lies in none of them.
fn reaches(app: &App, w: &Words, shown: &Value) -> String {
    let codes = |value: &Value| each(value).map(text).collect::<Vec<String>>();
    let tops: Vec<Site> = codes(&shown["regions"]).iter().filter_map(|code| code.parse().ok()).collect();
    let within = |code: &String| {
        let site = code.parse::<Site>();
        site.is_ok_and(|site| tops.iter().any(|top| top.covers(site)))
    };
    let regions = tops.iter().map(|top| format!("{} {}", app.site_name(&top.to_string()), w.and_below));
    let alone = codes(&shown["audience"]).into_iter().filter(|code| !within(code));
    regions.chain(alone.map(|code| app.site_name(&code))).collect::<Vec<_>>().join("、")
}

async fn page(
    app: &App,
    who: &Signed,
    id: &str,
    asked: &Asked,
    problem: String,
    status: StatusCode,
) -> Response {
    let w = who.words();
    let show = KnowledgeRequest::Show {
        id: id.to_owned(),
        version: asked.version,
        language: who.language(),
        user: None,
    };
    let shown = match app.know(who, show).await {
        Ok(shown) => shown,
        Err(failure) => return frame::failure(who, &failure),
    };
    let id = text(&shown["id"]);
    let diff = match (asked.from, asked.to) {
        (Some(from), Some(to)) => {
            match app.know(who, KnowledgeRequest::Diff { id: id.clone(), from, to }).await {
                Ok(diff) => Some(compared(w, &diff)),
                Err(failure) => return frame::failure(who, &failure),
            }
        }
        _ => None,
    };
    let versions = versions(&shown);
    let number = shown["version"]["number"].as_u64().unwrap_or_default();
    let (acts, cannot) = choices(who, &id, &shown);
    let original = Some(&shown["supplements"]).filter(|o| !o.is_null());
    let reaches = reaches(app, w, &shown);
    let may_attach = acts.iter().any(|act| act.name == "revise");
    let say = asked_of("used", &id, None, "").map(Request::Knowledge);
    let may_say = !shown["in_force"].is_null()
        && say.is_some_and(|say| rights::may(&who.session.account, &say).is_ok());
    let notice = match asked.done.as_str() {
        "" => String::new(),
        "new" => w.done_article.to_owned(),
        act => format!("{} {}", w.done_act, w.article_act(act)),
    };
    let title = text(&shown["text"]["title"]);
    let standing = shown["standing"].as_str().unwrap_or_default();
    let template = Article {
        f: Frame::new(app, who, title.clone(), &format!("/knowledge/{id}"))
            .notice(notice)
            .live(format!("/events?ticket={id}")),
        code: text(&shown["text"]["code"]),
        title,
        standing: w.standing(standing),
        class: colour(standing),
        number,
        holds: shown["holds"] == true,
        current: shown["in_force"].is_null() || shown["in_force"] == number,
        problem,
        body: text(&shown["text"]["body"]),
        facts: facts(app, w, &shown),
        original_absent: original.is_some_and(|o| o["here"] == false),
        original_changed: original.is_some_and(|o| o["changed"] == true),
        original: original.filter(|o| o["here"] != false).map(|o| row(app, w, o)),
        supplements: rows(app, w, &shown["supplemented_by"]),
        compared: diff,
        from: versions.iter().map(|v| v.number).find(|n| *n < number).unwrap_or(number),
        versions,
        lines: lines(app, w, &shown),
        acts,
        cannot,
        reaches,
        files: files(&id, &shown),
        may_attach,
        uses: uses(app, &shown["use"]),
        may_say,
        printed: minute(&crate::china::shown_time(crate::daemon::now_ms())),
        id,
    };
    frame::page(status, &template)
}

pub(in super::super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    page(&app, &who, &id, &asked, String::new(), StatusCode::OK).await
}

/// Whoever asks for a form's address anew gets the article.
pub(in super::super::super) async fn back(_: Signed, Path(id): Path<String>) -> Redirect {
    Redirect::to(&format!("/knowledge/{id}"))
}

pub(in super::super::super) async fn act(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { who, fields } = posted;
    let w = who.words();
    let name = fields.text("do");
    let reason: String = fields.text("reason").chars().take(MAX_REASON).collect();
    let nothing = Asked { version: None, from: None, to: None, done: String::new() };
    let version = fields.text("version").parse().ok();
    let asked = match name {
        "detach" => {
            let name = fields.text("name").to_owned();
            Some(KnowledgeRequest::Detach { id: id.clone(), name, user: None })
        }
        _ => asked_of(name, &id, version, &reason),
    };
    let request = match asked {
        Some(KnowledgeRequest::Revise { .. } | KnowledgeRequest::New { .. }) | None => {
            return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, w.not_found);
        }
        Some(KnowledgeRequest::Withdraw { .. }) if reason.is_empty() => {
            let problem = format!("{}: {}", w.field_reason, w.fill_in);
            return page(&app, &who, &id, &nothing, problem, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
        Some(request) => request,
    };
    match app.know(&who, request).await {
        // What was adopted is an article of its own, and that is where work goes on.
        Ok(stands) => {
            let id = stands["id"].as_str().unwrap_or(&id);
            Redirect::to(&format!("/knowledge/{id}?done={name}")).into_response()
        }
        Err(failure) if is_denied(&failure) => frame::failure(&who, &failure),
        Err(failure) => {
            let more = failure.causes.iter().chain(&failure.hint).map(String::as_str);
            let said: Vec<&str> = [sentence(&failure)].into_iter().chain(more).collect();
            let problem = format!("{} ({}): {}", w.failed, w.article_act(name), said.join(" — "));
            page(&app, &who, &id, &nothing, problem, frame::status_of(&failure)).await
        }
    }
}
