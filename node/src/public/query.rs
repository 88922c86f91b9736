//! How a ticket stands: for whoever has its number and its code.
//!
//! The code is compared before anything is looked up, so a wrong one is answered in the same words and the same time
//! whether the number exists or not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;

use super::App;
use super::file::broken;
use super::guard::{self, From};
use super::shell::{self, Shell, Tongue};
use crate::request::{Failure, FailureKind, Language, Request};
use crate::ticket::code::QueryCode;
use crate::ticket::number::TicketNumber;

/// The most characters of a field that are shown again.
const SHOWN: usize = 60;

struct Answer {
    at: String,
    text: String,
}

struct Standing {
    number: String,
    stage: &'static str,
    /// Whether nothing more is to come.
    over: bool,
    taken: String,
    held_by: String,
    due: String,
    paused: bool,
    answers: Vec<Answer>,
}

#[derive(Template)]
#[template(path = "public/query.html")]
struct Query {
    s: Shell,
    number: String,
    code: String,
    number_problem: String,
    code_problem: String,
    notice: String,
    standing: Option<Standing>,
}

/// A form that was not answered. What was typed of the code is not shown again: somebody may look over a shoulder.
#[derive(Default)]
struct Typed {
    number: String,
    number_problem: String,
    code_problem: String,
    notice: String,
}

fn form(app: &App, t: Tongue, typed: Typed, status: StatusCode) -> Response {
    let template = Query {
        s: Shell::new(app, t, t.say("查询进度", "How it stands"), "/query"),
        number: typed.number.chars().take(SHOWN).collect(),
        code: String::new(),
        number_problem: typed.number_problem,
        code_problem: typed.code_problem,
        notice: typed.notice,
        standing: None,
    };
    shell::page(status, &template)
}

pub(super) async fn show(State(app): State<Arc<App>>, uri: Uri) -> Response {
    form(&app, guard::tongue(&uri), Typed::default(), StatusCode::OK)
}

/// A stage in Chinese words that citizens understand.
pub(crate) fn stage_in_words(name: &str) -> &'static str {
    stage(Tongue(Language::Zh), name).0
}

/// A stage in words that citizens understand, and whether nothing more is to come.
pub(super) fn stage(t: Tongue, name: &str) -> (&'static str, bool) {
    let (zh, en, over) = match name {
        "in_hand" => ("已受理，正在办理", "Taken up, being worked on", false),
        "dispatched" => ("已交有关部门办理", "With the department concerned", false),
        "fed_back" => ("部门已反馈，正在核实", "The department has answered; we are checking", false),
        "offered" => ("正在转交负责的中心", "Being handed to the centre in charge", false),
        "redirected" => ("已告知应拨打的电话", "You were told whom to call", true),
        "rejected" => ("不予受理，理由见下", "Not taken up; the reason is below", true),
        "answered" => ("已答复", "Answered", true),
        "replied" => ("已回复", "Replied", true),
        "joined" => ("与同一事项合并办理", "Worked on together with the same matter", false),
        "closed" => ("已办结", "Closed", true),
        _ => ("正在办理", "Being worked on", false),
    };
    (if t.is_english() { en } else { zh }, over)
}

fn standing(app: &App, t: Tongue, told: &Value) -> Standing {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let day = |value: &Value| text(value).get(..10).unwrap_or_default().to_owned();
    let (stage, over) = stage(t, told["stage"].as_str().unwrap_or_default());
    let site = told["held_by"].as_str().and_then(|site| site.parse::<certs::NodeName>().ok());
    let answers = told["answers"].as_array().into_iter().flatten();
    Standing {
        number: text(&told["number"]),
        stage,
        over,
        taken: day(&told["taken_at"]),
        held_by: site.map(|node| app.reference().centres.name(node.site()).into_owned()).unwrap_or_default(),
        due: if over { String::new() } else { day(&told["due"]) },
        paused: !over && told["paused"] == true,
        answers: answers.map(|one| Answer { at: day(&one["at"]), text: text(&one["text"]) }).collect(),
    }
}

pub(super) async fn ask(State(app): State<Arc<App>>, request: HttpRequest<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match guard::read_form(&app, &parts.headers, body).await {
        Ok(fields) => fields,
        Err(response) => return response,
    };
    let t = Tongue::of(fields.text("lang"));
    let Some(From(client)) = parts.extensions.get::<From>().copied() else {
        return broken(&app, t, &Failure::new(FailureKind::Failed, "a request without an address"));
    };
    let (number, code) = match opened(&app, t, client, fields.text("number"), fields.text("code")) {
        Ok(both) => both,
        Err(response) => return *response,
    };
    match app.node.ask(Request::Told { number }).await {
        Ok(told) => {
            let template = Query {
                s: Shell::new(&app, t, t.say("查询进度", "How it stands"), "/query"),
                number: number.to_string(),
                code: code.to_string(),
                number_problem: String::new(),
                code_problem: String::new(),
                notice: String::new(),
                standing: Some(standing(&app, t, &told)),
            };
            shell::page(StatusCode::OK, &template)
        }
        Err(failure) if matches!(failure.kind, FailureKind::Absent | FailureKind::Usage) => {
            unknown(&app, t, number)
        }
        Err(failure) => broken(&app, t, &failure),
    }
}

fn unknown(app: &App, t: Tongue, number: TicketNumber) -> Response {
    let notice = t.say(
        "没有查到：工单号或查询码不正确。请核对后再试，或拨打 12328 查询。",
        "Nothing was found: number or code is not right. Please compare them and try again, or call 12328.",
    );
    let again = Typed { number: number.to_string(), notice: notice.to_owned(), ..Typed::default() };
    form(app, t, again, StatusCode::NOT_FOUND)
}

/// Number and code as somebody typed them, if they belong together; the page that says otherwise. Guesses are counted.
pub(super) fn opened(
    app: &App,
    t: Tongue,
    client: IpAddr,
    typed: &str,
    code: &str,
) -> Result<(TicketNumber, QueryCode), Box<Response>> {
    let (number, code) = (typed.parse::<TicketNumber>(), QueryCode::read(code));
    // Whether they have their form says nothing of what is here.
    let (Ok(number), Some(code)) = (&number, &code) else {
        let text =
            |fine: bool, zh: &str, en: &str| if fine { String::new() } else { t.say(zh, en).to_owned() };
        let again = Typed {
            number: typed.to_owned(),
            number_problem: text(
                number.is_ok(),
                "工单号应为 JT 开头的 23 个字符，请逐个核对",
                "A number has 23 characters and begins with JT; please compare each of them",
            ),
            code_problem: text(
                code.is_some(),
                "查询码应为 8 个字符，请逐个核对",
                "A code has 8 characters; please compare each of them",
            ),
            notice: String::new(),
        };
        return Err(Box::new(form(app, t, again, StatusCode::UNPROCESSABLE_ENTITY)));
    };
    app.pace
        .queries(client, *number, Instant::now())
        .map_err(|wait| Box::new(guard::too_fast(app, t, wait)))?;
    if !app.secret.opens(*number, code) {
        return Err(Box::new(unknown(app, t, *number)));
    }
    app.pace.knew(*number);
    Ok((*number, code.clone()))
}
