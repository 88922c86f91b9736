//! What surrounds every public page: head, language, the way to the other pages; and pages that only say something.

use std::sync::LazyLock;
use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::App;
use crate::desk::{ASSETS, ICON, STYLE, named};
use crate::request::Language;

/// What telephones need beyond the desk's style.
const OWN: &str = include_str!("../../assets/public.css");

static OWN_STYLE: LazyLock<String> = LazyLock::new(|| named(OWN, "css"));

/// The language of a page. Templates name a text in both, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tongue(pub(super) Language);

impl Tongue {
    /// That of a page's address or form.
    pub(super) fn of(lang: &str) -> Tongue {
        Tongue(if lang == "en" { Language::En } else { Language::Zh })
    }

    pub(super) fn say<'a>(&self, zh: &'a str, en: &'a str) -> &'a str {
        if self.0 == Language::En { en } else { zh }
    }

    pub(super) fn is_english(&self) -> bool {
        self.0 == Language::En
    }
}

/// What the template of all pages needs.
pub(super) struct Shell {
    pub(super) t: Tongue,
    pub(super) title: String,
    /// The centre, for people.
    pub(super) centre: String,
    /// The page's address, for the switch of the language.
    pub(super) here: &'static str,
    pub(super) style: &'static str,
    pub(super) own: &'static str,
    pub(super) icon: &'static str,
    /// What links within carry to keep the language.
    pub(super) keep: &'static str,
}

impl Shell {
    pub(super) fn new(app: &App, t: Tongue, title: &str, here: &'static str) -> Shell {
        Shell {
            t,
            title: title.to_owned(),
            centre: app.reference().centres.name(app.me.site()).into_owned(),
            here,
            style: &ASSETS.style,
            own: &OWN_STYLE,
            icon: &ASSETS.icon,
            keep: if t.is_english() { "?lang=en" } else { "" },
        }
    }
}

/// A page, never kept by a cache.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a public page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "public/message.html")]
struct Message {
    s: Shell,
    text: String,
}

/// A page that only says something.
pub(super) fn message(app: &App, t: Tongue, status: StatusCode, text: &str) -> Response {
    let s = Shell::new(app, t, t.say("提示", "Notice"), "/");
    page(status, &Message { s, text: text.to_owned() })
}

/// Says when it may be tried again.
pub(super) fn after(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// A wait in words, in whole minutes from one on.
pub(super) fn wait_in_words(t: Tongue, wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    match t.is_english() {
        true => format!("{minutes} min"),
        false => format!("{minutes} 分钟"),
    }
}

/// The files that pages need: they are in the program, and bear their content's hash in their names.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let (kind, content) = match &path {
        p if *p == ASSETS.style => ("text/css; charset=utf-8", STYLE),
        p if *p == *OWN_STYLE => ("text/css; charset=utf-8", OWN),
        p if *p == ASSETS.icon => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, content).into_response()
}
