//! Who asks: the token that a program shows.
//!
//! It is found by its hash, so how long that takes says nothing of it.
//! A token is too long to be guessed, so whoever shows a good one is let in whatever else comes from that address. Wrong
//! ones are counted by address, as wrong passwords are, and only those that count are written down.

use std::sync::Arc;

use axum::http::header;
use axum::http::request::Parts;

use super::super::App;
use super::super::guard::{Signed, address};
use super::problem::Problem;
use crate::daemon::now_ms;
use crate::users::{ApiToken, Session};

/// Who shows the token of the head, or this one of the address.
pub(super) async fn enter(
    app: &Arc<App>,
    parts: &Parts,
    in_address: Option<&str>,
) -> Result<(ApiToken, Signed), Problem> {
    let mut lines = parts.headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let shown = match line.split_once(' ') {
        _ if in_address.is_some() => in_address.unwrap_or_default(),
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case("bearer") && lines.next().is_none() => {
            shown.trim()
        }
        _ => return Err(Problem::stays_outside("Bearer", "a token is needed")),
    };
    let (shown, from) = (shown.to_owned(), address(parts));
    let known = app
        .on_users({
            let from = from.clone();
            move |users| {
                let now = now_ms();
                if let Some(token) = users.token(&shown, now)? {
                    return Ok(Ok(token));
                }
                let subject = format!("token {from}"); // no person's name has a blank in it
                if let Err(wait) = users.may_try(&subject, &from, now)? {
                    return Ok(Err(Some(wait)));
                }
                users.append(now, None, &from, "token refused", None, "")?;
                users.failed(&subject, &from, now)?;
                Ok(Err(None))
            }
        })
        .await?;
    match known {
        Ok(token) => {
            let session = Session::of_program(token.account());
            let scopes = Some(token.scopes.clone());
            Ok((token, Signed { session, address: from, scopes, seen: 0 }))
        }
        Err(None) => Err(Problem::stays_outside(
            "Bearer error=\"invalid_token\"",
            "this token does not count: it is unknown, has ended or was revoked",
        )),
        Err(Some(wait)) => Err(Problem::too_fast(std::time::Duration::from_millis(wait.0))),
    }
}
