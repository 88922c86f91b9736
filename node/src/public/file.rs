//! Filing a request: the form, and the ticket that is made of it once, however often it is sent.
//!
//! ```text
//! form ──> not ours, too old, something to mend ──> the form again, with all that was typed
//!      ├─> filed before under this slip ──> the same number again
//!      ├─> too many ──> the form again, when to try, and the telephone
//!      └─> slip taken (durable) ──> ticket (durable) ──> answer kept under the slip ──> number and code
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::App;
use super::form::{KINDS, Kind, Problem, Typed};
use super::guard::{self, From};
use super::shell::{self, Shell, Tongue};
use crate::daemon::now_ms;
use crate::desk::comes_from_elsewhere;
use crate::reference::Categories;
use crate::request::{Failure, FailureKind, Request};
use crate::ticket::number::TicketNumber;
use crate::users::{Answer, Begun};

/// In whose name tickets are made. No account has a blank in its name.
const USER: &str = "public page";

/// Under which number answers are kept beside those of tokens, which begin with 1.
const DOOR: i64 = 0;

const HOUR: Duration = Duration::from_secs(60 * 60);

struct Topic {
    code: String,
    name: String,
    chosen: bool,
}

struct Domain {
    name: String,
    topics: Vec<Topic>,
}

#[derive(Template)]
#[template(path = "public/request.html")]
struct Form {
    s: Shell,
    slip: String,
    kinds: &'static [Kind],
    domains: Vec<Domain>,
    typed: Typed,
    problems: Vec<Problem>,
    /// What else there is to say, above all fields.
    notice: String,
}

impl Form {
    /// What is wrong with a field; empty for nothing.
    fn wrong(&self, field: &str) -> &str {
        self.problems.iter().find(|problem| problem.field == field).map_or("", |problem| &problem.text)
    }
}

#[derive(Template)]
#[template(path = "public/filed.html")]
struct Filed {
    s: Shell,
    number: String,
    code: String,
}

/// What stands on a form that is shown again.
#[derive(Default)]
struct Again {
    typed: Typed,
    problems: Vec<Problem>,
    notice: String,
    /// The slip that it goes on with; a new one if empty.
    slip: String,
}

fn domains(categories: &Categories, chosen: &str) -> Vec<Domain> {
    let topics = |domain| {
        let topic = |t: &crate::reference::Category| Topic {
            code: t.code().to_string(),
            name: t.name().to_owned(),
            chosen: t.code().to_string() == chosen,
        };
        categories.topics(domain).map(topic).collect()
    };
    categories.domains().map(|d| Domain { name: d.name().to_owned(), topics: topics(d) }).collect()
}

fn form(app: &App, t: Tongue, again: Again, status: StatusCode) -> Response {
    let slip = match again.slip.is_empty() {
        false => again.slip,
        true => match app.slips.issue(now_ms()) {
            Ok(slip) => slip,
            Err(failure) => return broken(app, t, &failure),
        },
    };
    let template = Form {
        s: Shell::new(app, t, t.say("提交诉求", "File a request"), "/request"),
        slip,
        kinds: &KINDS,
        domains: domains(&app.reference.categories, &again.typed.topic),
        typed: again.typed,
        problems: again.problems,
        notice: again.notice,
    };
    shell::page(status, &template)
}

/// Something here does not work; what exactly is in the log, and none of it is the citizen's.
pub(super) fn broken(app: &App, t: Tongue, failure: &Failure) -> Response {
    tracing::error!(%failure, causes = ?failure.causes, "a public page failed");
    let text = t.say(
        "系统暂时无法处理，请稍后再试，或拨打 12328。",
        "This does not work just now. Please try again later, or call 12328.",
    );
    shell::after(shell::message(app, t, StatusCode::SERVICE_UNAVAILABLE, text), Duration::from_secs(30))
}

pub(super) async fn show(State(app): State<Arc<App>>, uri: Uri) -> Response {
    form(&app, guard::tongue(&uri), Again::default(), StatusCode::OK)
}

pub(super) async fn take(State(app): State<Arc<App>>, request: HttpRequest<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match guard::read_form(&app, &parts.headers, body).await {
        Ok(fields) => fields,
        Err(response) => return response,
    };
    let t = Tongue::of(fields.text("lang"));
    let typed = Typed::of(&fields);
    let slip = fields.text("form").to_owned();
    let name = match app.slips.name(&slip, now_ms()) {
        Some(name) if !comes_from_elsewhere(&parts.headers) => name.to_owned(),
        _ => {
            let notice = t.say(
                "页面已过期或来自其他网站，尚未提交。请核对下面的内容，再提交一次。",
                "This form was out of date or came from another site; nothing was filed. Please look it over and send it again.",
            );
            let again = Again { typed, notice: notice.to_owned(), ..Again::default() };
            return form(&app, t, again, StatusCode::FORBIDDEN);
        }
    };
    let problems = typed.problems(t, &app.reference.categories);
    if !problems.is_empty() {
        let again = Again { typed, problems, slip, ..Again::default() };
        return form(&app, t, again, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let Some(From(client)) = parts.extensions.get::<From>().copied() else {
        return broken(&app, t, &Failure::new(FailureKind::Failed, "a request without an address"));
    };
    let outcome = {
        let (app, typed) = (app.clone(), typed.clone());
        // It goes on when whoever asked has gone: what was begun is finished and remembered.
        tokio::spawn(async move { file(&app, client, &name, &typed).await }).await
    };
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => return broken(&app, t, &failure),
        Err(_) => return broken(&app, t, &Failure::new(FailureKind::Failed, "filing ended in the middle")),
    };
    answer(&app, t, typed, slip, outcome)
}

/// What became of a form.
enum Outcome {
    Filed(TicketNumber),
    /// This slip was used for another text.
    Other,
    /// It was begun, and what came of it is not known.
    Open,
    /// The address has to wait.
    Slower(Duration),
    /// So many came in this hour.
    Full(Duration),
    Refused(Failure),
}

fn answer(app: &App, t: Tongue, typed: Typed, slip: String, outcome: Outcome) -> Response {
    let again =
        |notice: String, slip: String, typed: Typed| Again { typed, notice, slip, ..Again::default() };
    match outcome {
        Outcome::Filed(number) => {
            let s = Shell::new(app, t, t.say("已提交", "Filed"), "/request");
            let code = app.secret.code(number).to_string();
            shell::page(StatusCode::OK, &Filed { s, number: number.to_string(), code })
        }
        Outcome::Other => {
            let notice = t.say(
                "这份表单已经提交过一次。如果下面是另一件事，或者要补充，请再提交一次，会生成新的工单号。",
                "This form was filed once already. If this is another matter, or something to add, send it again: it gets a \
                 number of its own.",
            );
            form(app, t, again(notice.to_owned(), String::new(), typed), StatusCode::CONFLICT)
        }
        Outcome::Open => {
            let text = t.say(
                "这份表单可能已经登记，但系统中断，无法确认。请拨打 12328 核实，不要重复提交。",
                "This form may have been filed, but the system was interrupted and cannot tell. Please call 12328 and ask; do not \
                 file it again.",
            );
            shell::message(app, t, StatusCode::CONFLICT, text)
        }
        Outcome::Slower(wait) => {
            let wait_words = shell::wait_in_words(t, wait);
            let notice = match t.is_english() {
                true => format!(
                    "Too many requests were filed from your network. Nothing was filed now: wait {wait_words}, or call 12328."
                ),
                false => format!("您所在网络提交过于频繁，本次未提交。请 {wait_words}后再试，或拨打 12328。"),
            };
            shell::after(form(app, t, again(notice, slip, typed), StatusCode::TOO_MANY_REQUESTS), wait)
        }
        Outcome::Full(wait) => {
            let notice = t.say(
                "网上提交数量已达本小时上限，本次未提交。请直接拨打 12328，话务员会为您登记。",
                "No more requests can be filed here within this hour, and nothing was filed. Please call 12328: an agent takes it.",
            );
            let again = again(notice.to_owned(), slip, typed);
            shell::after(form(app, t, again, StatusCode::TOO_MANY_REQUESTS), wait)
        }
        Outcome::Refused(failure) => refused(app, t, again(String::new(), slip, typed), &failure),
    }
}

/// The node has not made the ticket: why, in words for citizens.
fn refused(app: &App, t: Tongue, mut again: Again, failure: &Failure) -> Response {
    tracing::warn!(kind = ?failure.kind, "a request of the public page was not taken");
    let (status, notice) = match failure.kind {
        FailureKind::NeedsPerson => (
            StatusCode::CONFLICT,
            t.say(
                "本中心目前无法在网上受理保密举报，未保存任何内容。请拨打 12328，或到现场反映。",
                "Confidential reports cannot be taken here just now, and nothing was kept. Please call 12328, or come in person.",
            ),
        ),
        FailureKind::Usage => (
            StatusCode::UNPROCESSABLE_ENTITY,
            t.say("内容无法登记，请检查后再提交，或拨打 12328。", "This cannot be taken as it is. Please look it over, or call 12328."),
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            t.say("暂时无法登记，本次未保存。请稍后再试，或拨打 12328。", "This cannot be taken just now, and nothing was kept. Please try again later, or call 12328."),
        ),
    };
    again.notice = notice.to_owned();
    let response = form(app, t, again, status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return shell::after(response, Duration::from_secs(30));
    }
    response
}

/// Makes the ticket, unless this slip has one.
async fn file(app: &Arc<App>, client: IpAddr, slip: &str, typed: &Typed) -> Result<Outcome, Failure> {
    let _alone = app.filing.lock().await;
    let (now, seen) = (now_ms(), typed.fingerprint());
    let known = {
        let slip = slip.to_owned();
        app.on_users(move |users| users.has_answer(DOOR, &slip)).await?
    };
    if !known && let Some(refusal) = too_many(app, client, now).await? {
        return Ok(refusal);
    }
    let begun = {
        let slip = slip.to_owned();
        app.on_users(move |users| users.begin_answer(DOOR, &slip, &seen, now)).await?
    };
    match begun {
        Begun::Fresh => {}
        Begun::Kept(answer) => {
            let number = String::from_utf8(answer.body).ok().and_then(|number| number.parse().ok());
            return number.map(Outcome::Filed).ok_or_else(|| {
                Failure::new(FailureKind::Integrity, "what is kept of a filed form does not read")
            });
        }
        Begun::Open => return Ok(Outcome::Open),
        Begun::Other => return Ok(Outcome::Other),
        Begun::Full => return Ok(Outcome::Full(HOUR)),
    }
    let region = format!("{:06}", app.me.site().code());
    let sample = typed.sample(Some(&region));
    let made = app.node.ask(Request::New { tickets: vec![sample], user: Some(USER.to_owned()) }).await;
    let slip = slip.to_owned();
    let made = match made {
        Ok(made) => made,
        // Whether it was made before the node stopped nobody knows: the slip stays taken.
        Err(failure) if failure.kind == FailureKind::Unreachable => return Ok(Outcome::Open),
        Err(failure) => {
            app.on_users(move |users| users.given_up(DOOR, &slip)).await?;
            return Ok(Outcome::Refused(failure));
        }
    };
    let number: TicketNumber = made[0]["number"].as_str().and_then(|n| n.parse().ok()).ok_or_else(|| {
        Failure::new(FailureKind::Failed, "a ticket was made and came back without its number")
    })?;
    let answer = Answer { status: 200, location: None, body: number.to_string().into_bytes() };
    if let Err(failure) = app.on_users(move |users| users.answered(DOOR, &slip, &answer)).await {
        // It is made, and must not say that it failed; sending it again finds the slip open.
        tracing::error!(%failure, %number, "a filed form could not be kept under its slip");
    }
    Ok(Outcome::Filed(number))
}

/// Whether an address, or everybody together, has filed too much.
async fn too_many(app: &App, client: IpAddr, now: u64) -> Result<Option<Outcome>, Failure> {
    let hour = HOUR.as_millis() as u64;
    let since = now.saturating_sub(hour);
    let (count, first) = app.on_users(move |users| users.answers_since(DOOR, since)).await?;
    if count >= u64::from(app.per_hour) {
        let wait = first.unwrap_or(now).saturating_add(hour).saturating_sub(now).min(hour);
        return Ok(Some(Outcome::Full(Duration::from_millis(wait))));
    }
    Ok(app.pace.files(client, Instant::now()).err().map(Outcome::Slower))
}
