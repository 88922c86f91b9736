//! The form in which an article's text is written: a new one, a supplement, the next version.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::super::App;
use super::super::super::forms::Fields;
use super::super::super::frame::{self, Frame};
use super::super::super::guard::{Posted, Signed, is_denied, sentence};
use super::super::super::words::Words;
use super::super::call::Problem;
use crate::knowledge::request::KnowledgeRequest;
use crate::knowledge::text::MAX_BODY;
use crate::request::Failure;
use crate::users::rights::{self, Right};

#[derive(Default)]
struct Typed {
    code: String,
    title: String,
    body: String,
    tags: String,
    field: String,
    public: bool,
    valid_from: String,
    valid_to: String,
    source: String,
}

#[derive(Template)]
#[template(path = "article_form.html")]
struct Form {
    f: Frame,
    /// Where it goes.
    to: String,
    /// The superior's article that it hangs on: its id and title, empty for none.
    original: String,
    original_title: String,
    problems: Vec<Problem>,
    typed: Typed,
    fields: Vec<String>,
    max_body: usize,
}

#[derive(Deserialize)]
pub(in super::super::super) struct Asked {
    #[serde(default)]
    supplements: String,
}

fn typed(fields: &Fields) -> Typed {
    let text = |name: &str| fields.text(name).to_owned();
    Typed {
        code: text("code"),
        title: text("title"),
        body: text("body"),
        tags: text("tags"),
        field: text("field"),
        public: fields.text("audience") == "public",
        valid_from: text("valid_from"),
        valid_to: text("valid_to"),
        source: text("source"),
    }
}

/// The line of the article that was typed: every field, so that one which was emptied is empty.
fn line(fields: &Fields) -> Value {
    let tags: Vec<&str> =
        fields.text("tags").split([',', '，', '、', '\n']).map(str::trim).filter(|t| !t.is_empty()).collect();
    json!({
        "id": fields.text("code"), "title": fields.text("title"), "body": fields.text("body"), "tags": tags,
        "field": fields.text("field"), "audience": if fields.text("audience") == "public" { "public" } else { "agent" },
        "valid_from": fields.text("valid_from"), "valid_to": fields.text("valid_to"), "source": fields.text("source"),
    })
}

fn missing(w: &Words, fields: &Fields) -> Vec<Problem> {
    let needed = [("title", w.title_missing), ("body", w.body_missing)];
    let empty = needed.into_iter().filter(|(name, _)| fields.text(name).is_empty());
    empty.map(|(name, text)| Problem { href: format!("#{name}"), text: text.to_owned() }).collect()
}

fn refused(w: &Words, failure: &Failure) -> Vec<Problem> {
    let more = failure.causes.iter().chain(&failure.hint).map(String::as_str);
    let said: Vec<&str> = [sentence(failure)].into_iter().chain(more).collect();
    vec![Problem { href: "#title".to_owned(), text: format!("{}: {}", w.failed, said.join(" — ")) }]
}

/// Which form it is.
enum Kind {
    New,
    /// Of the article with this id and title.
    Supplement(String, String),
    /// Of the article with this id.
    Next(String),
}

fn form(
    app: &App,
    who: &Signed,
    kind: Kind,
    typed: Typed,
    problems: Vec<Problem>,
    status: StatusCode,
) -> Response {
    let w = who.words();
    let (title, to, original, original_title) = match kind {
        Kind::New => (w.new_article, "/knowledge/new".to_owned(), String::new(), String::new()),
        Kind::Supplement(id, title) => (w.new_supplement, "/knowledge/new".to_owned(), id, title),
        Kind::Next(id) => (w.edit_article, format!("/knowledge/{id}/edit"), String::new(), String::new()),
    };
    let template = Form {
        f: Frame::new(app, who, title, if to == "/knowledge/new" { "/knowledge/new" } else { &to }),
        to,
        original,
        original_title,
        problems,
        typed,
        fields: app.reference().categories.domains().map(|d| d.name().to_owned()).collect(),
        max_body: MAX_BODY,
    };
    frame::page(status, &template)
}

/// The page that says no, to whoever does not write at all.
fn unwelcome(who: &Signed) -> Option<Response> {
    let may = rights::may_use(&who.session.account, Right::Write).is_ok();
    (!may).then(|| frame::refused(StatusCode::FORBIDDEN, who, who.words().may_not))
}

async fn shown(app: &App, who: &Signed, id: &str, version: Option<u32>) -> Result<Value, Response> {
    let show = KnowledgeRequest::Show { id: id.to_owned(), version, language: who.language(), user: None };
    app.know(who, show).await.map_err(|failure| frame::failure(who, &failure))
}

/// The form of the original, if one is named.
async fn kind(app: &App, who: &Signed, original: &str) -> Result<Kind, Response> {
    if original.is_empty() {
        return Ok(Kind::New);
    }
    let original = shown(app, who, original, None).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Kind::Supplement(text(&original["id"]), text(&original["text"]["title"])))
}

pub(in super::super::super) async fn blank(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Result<Response, Response> {
    if let Some(no) = unwelcome(&who) {
        return Ok(no);
    }
    let kind = kind(&app, &who, &asked.supplements).await?;
    Ok(form(&app, &who, kind, Typed::default(), Vec::new(), StatusCode::OK))
}

pub(in super::super::super) async fn make(
    State(app): State<Arc<App>>,
    posted: Posted,
) -> Result<Response, Response> {
    let Posted { who, fields } = posted;
    let problems = missing(who.words(), &fields);
    let made = match problems.is_empty() {
        true => {
            let supplements = fields.given("supplements");
            app.know(&who, KnowledgeRequest::New { article: line(&fields), supplements, user: None }).await
        }
        false => {
            if let Some(no) = unwelcome(&who) {
                return Ok(no);
            }
            let kind = kind(&app, &who, fields.text("supplements")).await?;
            return Ok(form(&app, &who, kind, typed(&fields), problems, StatusCode::UNPROCESSABLE_ENTITY));
        }
    };
    match made {
        Ok(made) => {
            let id = made["id"].as_str().unwrap_or_default();
            Ok(Redirect::to(&format!("/knowledge/{id}?done=new")).into_response())
        }
        Err(failure) if is_denied(&failure) => Ok(frame::failure(&who, &failure)),
        Err(failure) => {
            let kind = kind(&app, &who, fields.text("supplements")).await?;
            let problems = refused(who.words(), &failure);
            Ok(form(&app, &who, kind, typed(&fields), problems, frame::status_of(&failure)))
        }
    }
}

/// The next version begins with what the last one says.
pub(in super::super::super) async fn next(
    State(app): State<Arc<App>>,
    who: Signed,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    if let Some(no) = unwelcome(&who) {
        return Ok(no);
    }
    let article = shown(&app, &who, &id, None).await?;
    let last = article["versions"].as_array().and_then(|all| all.last());
    let last = last.and_then(|v| v["number"].as_u64()).and_then(|n| u32::try_from(n).ok());
    let article = shown(&app, &who, &id, last).await?;
    let said = &article["text"];
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let tags: Vec<&str> = said["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let typed = Typed {
        code: text("code"),
        title: text("title"),
        body: text("body"),
        tags: tags.join("，"),
        field: text("field"),
        public: said["audience"] == "public",
        valid_from: text("valid_from"),
        valid_to: text("valid_to"),
        source: text("source"),
    };
    let id = article["id"].as_str().unwrap_or(&id).to_owned();
    Ok(form(&app, &who, Kind::Next(id), typed, Vec::new(), StatusCode::OK))
}

pub(in super::super::super) async fn revise(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Posted { who, fields } = posted;
    let problems = missing(who.words(), &fields);
    if !problems.is_empty() {
        let kind = Kind::Next(id);
        return form(&app, &who, kind, typed(&fields), problems, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let revise = KnowledgeRequest::Revise { id: id.clone(), article: line(&fields), user: None };
    match app.know(&who, revise).await {
        Ok(_) => Redirect::to(&format!("/knowledge/{id}?done=new")).into_response(),
        Err(failure) if is_denied(&failure) => frame::failure(&who, &failure),
        Err(failure) => {
            let problems = refused(who.words(), &failure);
            form(&app, &who, Kind::Next(id), typed(&fields), problems, frame::status_of(&failure))
        }
    }
}
