//! Changing the own password: whenever one likes, and before anything else when it was given by somebody else.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::super::App;
use super::super::frame::{self, Frame};
use super::super::guard::{Newcomer, NewcomerPosted, SESSION, Signed};
use super::sign_in::with_cookie;
use crate::daemon::now_ms;
use crate::request::FailureKind;

#[derive(Template)]
#[template(path = "password.html")]
struct Password {
    f: Frame,
    first: bool,
    problem: String,
}

fn form(app: &App, who: &Signed, problem: String, status: StatusCode) -> Response {
    let w = who.words();
    let template = Password {
        f: Frame::new(app, who, w.change_password, "/password"),
        first: who.session.account.must_change,
        problem,
    };
    frame::page(status, &template)
}

pub(in super::super) async fn show(State(app): State<Arc<App>>, Newcomer(who): Newcomer) -> Response {
    form(&app, &who, String::new(), StatusCode::OK)
}

pub(in super::super) async fn change(State(app): State<Arc<App>>, posted: NewcomerPosted) -> Response {
    let NewcomerPosted { who, fields } = posted;
    let w = who.words();
    let (old, new) = (fields.secret("old").to_owned(), fields.secret("new").to_owned());
    if new != fields.secret("again") {
        return form(&app, &who, w.not_the_same.to_owned(), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let Ok(_turn) = app.hashing.acquire().await else {
        return frame::refused(StatusCode::SERVICE_UNAVAILABLE, &who, w.busy);
    };
    let (account, address) = (who.session.account.clone(), who.address.clone());
    let changed = app
        .on_users(move |users| {
            let now = now_ms();
            // Whoever sits down at an open page must not guess the password here.
            if let Err(wait) = users.may_try(&account.name, &address, now)? {
                return Ok(Err(Some(wait)));
            }
            users.append(now, Some(&account.name), &address, "password", None, "")?;
            if users.change_password(&account, &old, &new)? {
                let token = users.begin_session(&account, &address, now)?;
                return Ok(Ok(token.text().to_owned()));
            }
            users.append(now, Some(&account.name), &address, "failed", None, "password")?;
            Ok(Err(users.failed(&account.name, &address, now)?))
        })
        .await;
    match changed {
        Ok(Ok(token)) => {
            let session =
                with_cookie(Redirect::to("/").into_response(), &app.jar.cookie(SESSION, Some(&token)));
            let language = who.language();
            let spoken = app
                .on_users(move |users| match users.session(&token, false, now_ms())? {
                    Some(session) => users.speak(&session, language),
                    None => Ok(()),
                })
                .await;
            match spoken {
                Ok(()) => session,
                Err(failure) => frame::failure(&who, &failure),
            }
        }
        Ok(Err(None)) => form(&app, &who, w.wrong_password.to_owned(), StatusCode::FORBIDDEN),
        Ok(Err(Some(wait))) => {
            let text = format!("{} {} {}", w.wait_before, wait.minutes(), w.wait_after);
            form(&app, &who, text, StatusCode::TOO_MANY_REQUESTS)
        }
        Err(failure) if failure.kind == FailureKind::Usage => {
            let text = format!("{}: {}. {}", w.new_password, failure.message, w.password_rule);
            form(&app, &who, text, StatusCode::UNPROCESSABLE_ENTITY)
        }
        Err(failure) => frame::failure(&who, &failure),
    }
}
