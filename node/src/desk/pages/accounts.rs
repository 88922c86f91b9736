//! Accounts, for the administrator. What is done here is what `hotline user` does.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use super::super::App;
use super::super::frame::{self, Frame};
use super::super::guard::{Posted, Signed};
use super::choice::{Choice, choices};
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind};
use crate::users::rights::{self, ROLES, Right};
use crate::users::{Account, Role, Users};

struct Row {
    name: String,
    role: &'static str,
    state: &'static str,
    locked: bool,
    seen: String,
    /// The centres that it serves beside its own.
    serves: String,
    department: String,
    own: bool,
    roles: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct Accounts {
    f: Frame,
    problem: String,
    /// A first password, shown once.
    first: Option<(String, Zeroizing<String>)>,
    roles: Vec<Choice>,
    typed: String,
    /// The departments of the dispatch catalogue.
    departments: Vec<String>,
    rows: Vec<Row>,
}

fn options(who: &Signed, now: Role) -> Vec<Choice> {
    choices(ROLES.map(|role| (role.name().to_owned(), who.words().role(role).to_owned())), now.name())
}

/// What a change has led to.
#[derive(Default)]
struct Outcome {
    notice: String,
    problem: String,
    typed: String,
    first: Option<(String, Zeroizing<String>)>,
}

async fn form(app: &App, who: &Signed, outcome: Outcome, status: StatusCode) -> Response {
    let w = who.words();
    let list = match app.on_users(Users::list).await {
        Ok(list) => list,
        Err(failure) => return frame::failure(who, &failure),
    };
    let row = |account: Account| Row {
        role: w.role(account.role),
        state: match &account {
            Account { locked: true, .. } => w.state_locked,
            Account { must_change: true, .. } => w.state_fresh,
            _ => w.state_active,
        },
        locked: account.locked,
        seen: account.seen_at.map(|at| frame::minute(&shown_time(at))).unwrap_or_default(),
        serves: account.serves.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        department: account.department,
        own: account.name == who.name(),
        roles: options(who, account.role),
        name: account.name,
    };
    let template = Accounts {
        f: Frame::new(app, who, w.accounts, "/accounts").notice(outcome.notice),
        problem: outcome.problem,
        first: outcome.first,
        roles: options(who, Role::Agent),
        typed: outcome.typed,
        departments: app.departments(),
        rows: list.into_iter().map(row).collect(),
    };
    frame::page(status, &template)
}

/// Whether this account may look after accounts; refusals are written down.
async fn may(app: &App, who: &Signed) -> Result<(), Response> {
    match rights::may_use(&who.session.account, Right::Accounts) {
        Ok(()) => Ok(()),
        Err(denied) => {
            app.note(who, "refused", None, &format!("accounts: {denied}")).await.ok();
            Err(frame::refused(StatusCode::FORBIDDEN, who, who.words().may_not))
        }
    }
}

pub(in super::super) async fn show(State(app): State<Arc<App>>, who: Signed) -> Response {
    match may(&app, &who).await {
        Ok(()) => form(&app, &who, Outcome::default(), StatusCode::OK).await,
        Err(response) => response,
    }
}

pub(in super::super) async fn change(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    if let Err(response) = may(&app, &who).await {
        return response;
    }
    let w = who.words();
    let (what, name) = (fields.text("do").to_owned(), fields.text("name").to_owned());
    // Whoever locked or demoted the only administrator by a slip would need the command line to mend it.
    if what != "add" && name.eq_ignore_ascii_case(who.name()) {
        let outcome = Outcome { problem: w.not_yourself.to_owned(), ..Outcome::default() };
        return form(&app, &who, outcome, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let role = fields.text("role").parse::<Role>();
    let detail = match what.as_str() {
        "add" | "role" => format!("{name} {}", fields.text("role")),
        "serves" | "department" => format!("{name} {}", fields.text(&what)),
        _ => name.clone(),
    };
    if let Err(failure) = app.note(&who, &format!("user {what}"), None, &detail).await {
        return frame::failure(&who, &failure);
    }
    let Ok(_turn) = app.hashing.acquire().await else {
        return frame::refused(StatusCode::SERVICE_UNAVAILABLE, &who, w.busy);
    };
    let (asked, of) = (what.clone(), name.clone());
    let confirmed = fields.text("confirm") == "yes";
    let department = fields.text("department").to_owned();
    let serves = app.reference().centres.served(fields.text("serves").split_whitespace());
    let done: Result<Option<(Account, Zeroizing<String>)>, Failure> = app
        .on_users(move |users| {
            let usage = |e: String| Failure::new(FailureKind::Usage, e);
            let role = role.map_err(usage);
            match asked.as_str() {
                "add" => users.add(&of, role?, now_ms()).map(Some),
                "password" => users.reset_password(&of).map(Some),
                "role" => users.set_role(&of, role?).map(|_| None),
                "serves" => users.set_serves(&of, &serves.map_err(usage)?).map(|_| None),
                "department" => users.set_department(&of, &department).map(|_| None),
                "lock" => users.set_locked(&of, true).map(|_| None),
                "unlock" => users.set_locked(&of, false).map(|_| None),
                "remove" if confirmed => users.remove(&of).map(|_| None),
                _ => Err(Failure::new(FailureKind::Usage, "nothing was chosen")),
            }
        })
        .await;
    match done {
        Ok(Some((account, first))) => {
            let outcome = Outcome { first: Some((account.name, first)), ..Outcome::default() };
            form(&app, &who, outcome, StatusCode::OK).await
        }
        Ok(None) => {
            let notice = if what == "remove" { w.removed } else { w.changed };
            form(&app, &who, Outcome { notice: notice.to_owned(), ..Outcome::default() }, StatusCode::OK)
                .await
        }
        Err(failure) => {
            let words: Vec<&str> =
                [failure.message.as_str()].into_iter().chain(failure.hint.as_deref()).collect();
            let outcome = Outcome { problem: words.join(" — "), typed: name, ..Outcome::default() };
            form(&app, &who, outcome, frame::status_of(&failure)).await
        }
    }
}
