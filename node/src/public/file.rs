//! Filing a request: the form, and what a citizen is told of it.
//!
//! Whatever is in the way (not ours, too old, something to mend, too many) leads to the form again, with all that was
//! typed and what to do next.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::App;
use super::filing::{Filing, Outcome, file};
use super::form::{KINDS, Kind, Problem, Typed};
use super::guard::{self, From};
use super::shell::{self, Shell, Tongue};
use crate::daemon::now_ms;
use crate::desk::comes_from_elsewhere;
use crate::reference::Categories;
use crate::request::{Failure, FailureKind};

/// In whose name tickets are made. No account has a blank in its name.
pub(super) const USER: &str = "public page";

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
        domains: domains(&app.reference().categories, &again.typed.topic),
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
    let problems = typed.problems(t, &app.reference().categories);
    if !problems.is_empty() {
        let again = Again { typed, problems, slip, ..Again::default() };
        return form(&app, t, again, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let Some(From(client)) = parts.extensions.get::<From>().copied() else {
        return broken(&app, t, &Failure::new(FailureKind::Failed, "a request without an address"));
    };
    let outcome = {
        let app = app.clone();
        let filing = Filing { slip: name, user: USER.to_owned(), client: Some(client), typed: typed.clone() };
        // It goes on when whoever asked has gone: what was begun is finished and remembered.
        tokio::spawn(async move { file(&app, &filing).await }).await
    };
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => return broken(&app, t, &failure),
        Err(_) => return broken(&app, t, &Failure::new(FailureKind::Failed, "filing ended in the middle")),
    };
    answer(&app, t, typed, slip, outcome)
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
