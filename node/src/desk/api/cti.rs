//! Events of calls, as Zammad's generic CTI has them, so that any telephone system can tell. What becomes of them is
//! `desk::calls`' business.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use super::super::App;
use super::super::calls;
use super::super::guard::Signed;
use super::problem::Problem;
use super::{Asked, Done};
use crate::users::rights::{self, Right};
use crate::users::{ApiToken, CallEvent, MAX_CALL, Scope, Told};

/// The largest event in bytes.
const MAX_EVENT: usize = 16 << 10;

/// The longest text of an event that is kept, in characters.
const MAX_TEXT: usize = 64;

/// Most names of an event that are looked at.
const MAX_NAMES: usize = 32;

/// Whether a token is for this; written down when it is not.
pub(super) async fn may(app: &App, who: &Signed, scope: Scope) -> Result<(), Problem> {
    let right = if scope == Scope::CtiWrite { Right::Take } else { Right::Watch };
    let scoped = who.scopes.as_ref().is_some_and(|scopes| scopes.contains(&scope));
    if scoped && rights::may_use(&who.session.account, right).is_ok() {
        return Ok(());
    }
    app.note(who, "refused", None, &format!("cti: needs the scope {scope} and a role that has the right"))
        .await?;
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("this token is not for that: {scope}"))
        .hint(format!("whoever looks after the node makes another: `hotline token add NAME --role agent --scope {scope}`")))
}

/// A token in an address stands in the logs of telephone systems: it must be good for nothing else.
pub(super) fn fits_an_address(token: &ApiToken) -> Result<(), Problem> {
    match token.scopes.iter().all(|scope| matches!(scope, Scope::CtiRead | Scope::CtiWrite)) {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "a token in an address may have no scopes but cti:read and cti:write",
        )
        .hint("make one for this alone: `hotline token add NAME --role agent --scope cti:write`")),
    }
}

/// The id under which a call is known.
pub(super) fn call_id(said: &str) -> Result<String, Problem> {
    calls::call_id(said)
        .ok_or_else(|| Problem::invalid(format!("a callid has 1 to {MAX_CALL} printable ASCII characters")))
}

/// The fields of an event, each with all that was said of it.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(asked: &Asked, bytes: &[u8]) -> Result<Fields, Problem> {
        let kind = asked.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => {
                let pairs = form_urlencoded::parse(bytes);
                Ok(Fields(pairs.map(|(k, v)| (k.into_owned(), v.into_owned())).take(256).collect()))
            }
            "application/json" => {
                let Ok(Value::Object(given)) = serde_json::from_slice(bytes) else {
                    return Err(Problem::new(
                        StatusCode::BAD_REQUEST,
                        "not-json",
                        "the body is no object of JSON",
                    ));
                };
                let text = |value: &Value| match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                };
                let mut fields = Vec::new();
                for (name, value) in &given {
                    let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                    fields.extend(all.iter().filter_map(text).map(|text| (name.clone(), text)));
                }
                Ok(Fields(fields))
            }
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "send application/json or application/x-www-form-urlencoded",
            )),
        }
    }

    fn all(&self, names: &[&str]) -> Vec<&str> {
        let named = self.0.iter().filter(|(key, _)| names.contains(&key.as_str()));
        named.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).collect()
    }

    fn text(&self, names: &[&str]) -> &str {
        self.all(names).first().copied().unwrap_or_default()
    }

    fn short(&self, name: &str) -> String {
        self.text(&[name]).chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
    }

    fn told(&self) -> Result<(Told, &str), Problem> {
        let name = self.text(&["event"]);
        let event = match name.to_ascii_lowercase().as_str() {
            "newcall" => CallEvent::New,
            "answer" => CallEvent::Answer,
            "hangup" => CallEvent::Hangup,
            _ => return Err(Problem::invalid("`event` is none of newCall, answer and hangup")),
        };
        let said = self.text(&["callid", "callId", "call_id"]);
        let call = call_id(said)?;
        let number = calls::number(self.text(&["from"]));
        if calls::holds(&call, number.as_deref()) {
            return Err(Problem::invalid("`callid` holds the caller's number: it would stand in logs")
                .hint("let the telephone system send an id that says nothing of the caller"));
        }
        let by = [self.all(&["answeringNumber"]), self.all(&["user[]", "user"])].concat().into_iter();
        let by = by.take(MAX_NAMES).map(|one| one.chars().take(MAX_TEXT).collect()).collect();
        Ok((Told { call, event, number, called: self.short("to"), queue: self.short("queue"), by }, name))
    }
}

pub(super) async fn event(app: &Arc<App>, who: &Signed, asked: &Asked, body: Body) -> Result<Done, Problem> {
    let bytes = axum::body::to_bytes(body, MAX_EVENT).await.map_err(|_| Problem::too_large(MAX_EVENT))?;
    let fields = Fields::read(asked, &bytes)?;
    let (told, name) = fields.told()?;
    if fields.text(&["direction"]).eq_ignore_ascii_case("out") {
        return Ok(Done::ok(json!({ "call": told.call, "kept": false })));
    }
    app.note(who, &format!("cti {name}"), None, &told.call).await?;
    let (call, taken) = (told.call.clone(), app.hear(told).await?);
    Ok(Done::ok(json!({
        "call": call, "kept": true, "known": taken.known, "fresh": taken.fresh, "stage": taken.call.stage,
    })))
}
