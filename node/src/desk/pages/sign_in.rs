//! Signing in and out.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::App;
use super::super::forms::MAX_FORM;
use super::super::frame::{self, Frame};
use super::super::guard::{self, NewcomerPosted, SESSION, same};
use super::super::words::Words;
use crate::daemon::now_ms;
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Language};
use crate::users::{Account, Stays, Wait};

/// The cookie that a form of sign-in must agree with: so no other site signs somebody in unawares.
const FORM: &str = "hotline-form";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    f: Frame,
    token: String,
    language: &'static str,
    name: String,
    problem: String,
    /// The page's script forgets what this browser kept.
    forget: bool,
}

#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    said: String,
    #[serde(default)]
    lang: String,
}

fn language(text: &str) -> Language {
    if text == "en" { Language::En } else { Language::Zh }
}

fn form(
    app: &App,
    language: Language,
    name: &str,
    problem: String,
    status: StatusCode,
) -> Result<Response, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::new(FailureKind::Failed, "the system gives no random numbers").because(e))?;
    let token = hex(&bytes);
    let w = Words::of(language);
    let template = SignIn {
        f: Frame::outside(app, language, w.sign_in),
        token: token.clone(),
        language: if language == Language::En { "en" } else { "zh" },
        name: name.to_owned(),
        problem,
        forget: false,
    };
    Ok(with_cookie(frame::page(status, &template), &app.jar.cookie(FORM, Some(&token))))
}

pub(super) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let language = language(&asked.lang);
    let w = Words::of(language);
    // Another page of this browser may show the form as well: both go on with the same token.
    let known =
        app.jar.shown(&headers, FORM).filter(|t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit()));
    let notice = match asked.said.as_str() {
        "out" => w.signed_out,
        "ended" => w.session_ended,
        _ => "",
    };
    let Some(token) = known else {
        return form(&app, language, "", notice.to_owned(), StatusCode::OK)
            .unwrap_or_else(|e| frame::broken(&e));
    };
    let template = SignIn {
        f: Frame::outside(&app, language, w.sign_in),
        token,
        language: if language == Language::En { "en" } else { "zh" },
        name: String::new(),
        problem: notice.to_owned(),
        forget: asked.said == "out",
    };
    frame::page(StatusCode::OK, &template)
}

/// How a try ended.
enum Tried {
    In(Box<Account>, String),
    Waits(Wait),
    Locked,
    Wrong,
}

pub(in super::super) async fn enter(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match guard::read_form(&parts.headers, body, MAX_FORM).await {
        Ok(fields) => fields,
        Err(response) => return response,
    };
    let language = language(fields.text("lang"));
    let w = Words::of(language);
    let known = app.jar.shown(&parts.headers, FORM).unwrap_or_default();
    if guard::comes_from_elsewhere(&parts.headers) || known.is_empty() || !same(&known, fields.text("form")) {
        return form(&app, language, "", w.form_of_elsewhere.to_owned(), StatusCode::FORBIDDEN)
            .unwrap_or_else(|e| frame::broken(&e));
    }
    let (name, typed) = (fields.text("name").to_owned(), fields.secret("password").to_owned());
    let address = guard::address(&parts);
    let waits = |wait: Wait| format!("{} {} {}", w.wait_before, wait.minutes(), w.wait_after);
    // Who has to wait takes nobody's turn at hashing; whoever gets a turn is asked again in it, so guesses at the same
    // time are counted one by one.
    let early = {
        let (name, address) = (name.clone(), address.clone());
        app.on_users(move |users| users.may_try(&name, &address, now_ms())).await
    };
    match early {
        Ok(Ok(())) => {}
        Ok(Err(wait)) => {
            return form(&app, language, &name, waits(wait), StatusCode::TOO_MANY_REQUESTS)
                .unwrap_or_else(|e| frame::broken(&e));
        }
        Err(failure) => return frame::broken(&failure),
    }
    let Ok(_turn) = app.hashing.acquire().await else {
        return frame::plain(StatusCode::SERVICE_UNAVAILABLE, w.busy);
    };
    let tried = {
        let (name, address) = (name.clone(), address);
        app.on_users(move |users| {
            let now = now_ms();
            if let Err(wait) = users.may_try(&name, &address, now)? {
                return Ok(Tried::Waits(wait));
            }
            match users.verify(&name, &typed)? {
                Ok(account) => {
                    users.append(now, Some(&account.name), &address, "sign-in", None, "")?;
                    users.forgive(&name)?;
                    let token = users.begin_session(&account, &address, now)?;
                    if let Some(session) = users.session(token.text(), false, now)? {
                        users.speak(&session, language)?;
                    }
                    Ok(Tried::In(Box::new(account), token.text().to_owned()))
                }
                Err(stays) => {
                    // A name that nobody has may be a password in the wrong field: it is not written down.
                    let known = users.named(&name).ok().map(|account| account.name);
                    let wait = users.failed(&name, &address, now)?;
                    let detail =
                        wait.map_or_else(String::new, |wait| format!("waits {} min", wait.minutes()));
                    users.append(now, known.as_deref(), &address, "sign-in failed", None, &detail)?;
                    Ok(match (wait, stays) {
                        (Some(wait), _) => Tried::Waits(wait),
                        (None, Stays::Locked) => Tried::Locked,
                        (None, Stays::Wrong) => Tried::Wrong,
                    })
                }
            }
        })
        .await
    };
    let (status, problem) = match tried {
        Ok(Tried::In(account, token)) => {
            let to = if account.must_change { "/password" } else { "/" };
            let response =
                with_cookie(Redirect::to(to).into_response(), &app.jar.cookie(SESSION, Some(&token)));
            return with_cookie(response, &app.jar.cookie(FORM, None));
        }
        Ok(Tried::Waits(wait)) => (StatusCode::TOO_MANY_REQUESTS, waits(wait)),
        Ok(Tried::Locked) => (StatusCode::FORBIDDEN, w.account_locked.to_owned()),
        Ok(Tried::Wrong) => (StatusCode::FORBIDDEN, w.wrong_password.to_owned()),
        Err(failure) => return frame::broken(&failure),
    };
    form(&app, language, &name, problem, status).unwrap_or_else(|e| frame::broken(&e))
}

pub(in super::super) async fn leave(State(app): State<Arc<App>>, posted: NewcomerPosted) -> Response {
    let who = posted.who;
    let session = who.session.clone();
    let left = match app.note(&who, "sign-out", None, "").await {
        Ok(()) => app.on_users(move |users| users.end_session(&session)).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = left {
        return frame::failure(&who, &failure);
    }
    let mut response = Redirect::to("/sign-in?said=out").into_response();
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\", \"storage\""));
    with_cookie(response, &app.jar.cookie(SESSION, None))
}
