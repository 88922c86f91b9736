//! What surrounds every page: head, navigation, who is signed in; and pages that only say something.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::App;
use super::assets::{ASSETS, Assets};
use super::guard::{Signed, is_denied, sentence};
use super::presence;
use super::words::Words;
use crate::request::{Failure, FailureKind, Language};
use crate::users::rights::{self, Right};

/// One entry of the navigation.
pub(super) struct Link {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    /// The key that opens it; empty for none.
    pub(super) key: &'static str,
    pub(super) current: bool,
}

/// What the template of all pages needs.
pub(super) struct Frame {
    pub(super) w: &'static Words,
    pub(super) assets: &'static Assets,
    pub(super) title: String,
    /// The centre, for people.
    pub(super) site: String,
    /// Who is signed in, and as what; empty for nobody.
    pub(super) user: String,
    pub(super) role: &'static str,
    /// What forms carry.
    pub(super) form: String,
    pub(super) nav: Vec<Link>,
    /// What was done just now.
    pub(super) notice: String,
    /// Whether calls that ring are shown.
    pub(super) takes: bool,
    /// Where the page hears of changes; empty for nowhere.
    pub(super) live: String,
    /// What the page has seen of changes, as a part of that address.
    pub(super) seen: String,
    /// The address of this page, for the switch of the language.
    pub(super) here: String,
}

impl Frame {
    /// For somebody who is signed in; `here` is the page's address, which names the entry of the navigation too.
    pub(super) fn new(app: &App, who: &Signed, title: impl Into<String>, here: &str) -> Frame {
        let w = who.words();
        let may = |right| rights::may_use(&who.session.account, right).is_ok();
        let all = [
            (Right::Read, "/queue/held", w.queues, "q"),
            (Right::Take, "/new", w.new_ticket, "n"),
            (Right::Take, "/calls", w.calls, "z"),
            (Right::Read, "/knowledge", w.knowledge, "b"),
            (Right::Watch, "/wall", w.wall, "w"),
            (Right::Figures, "/figures", w.figures, "h"),
            (Right::SetRules, "/rules", w.rules, ""),
            (Right::Accounts, "/accounts", w.accounts, "u"),
            (Right::Audit, "/audit", w.audit, "l"),
        ];
        let first = here.split('/').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let nav = all.into_iter().filter(|(right, ..)| may(*right)).map(|(_, href, label, key)| Link {
            href,
            label,
            key,
            current: href.split('/').nth(1) == Some(first),
        });
        Frame {
            w,
            assets: &ASSETS,
            title: title.into(),
            site: app.site_name(&app.me.site().to_string()),
            user: who.name().to_owned(),
            role: w.role(who.session.account.role),
            form: who.session.form.clone(),
            nav: nav.collect(),
            notice: String::new(),
            // Whoever takes calls hears of them on every page.
            live: if may(Right::Take) { "/events".to_owned() } else { String::new() },
            seen: format!("seen={}-{}", app.began, who.seen),
            takes: may(Right::Take),
            here: here.to_owned(),
        }
    }

    /// For somebody who is not.
    pub(super) fn outside(app: &App, language: Language, title: &str) -> Frame {
        Frame {
            w: Words::of(language),
            assets: &ASSETS,
            title: title.to_owned(),
            site: app.site_name(&app.me.site().to_string()),
            user: String::new(),
            role: "",
            form: String::new(),
            nav: Vec::new(),
            notice: String::new(),
            live: String::new(),
            seen: String::new(),
            takes: false,
            here: String::new(),
        }
    }

    /// With a sentence about what was done.
    pub(super) fn notice(mut self, notice: impl Into<String>) -> Frame {
        self.notice = notice.into();
        self
    }

    /// A page that follows changes.
    pub(super) fn live(mut self, live: impl Into<String>) -> Frame {
        self.live = live.into();
        self
    }

    /// Who else is shown to have it open.
    pub(super) fn beside(mut self, others: &[String]) -> Frame {
        self.seen += &format!("&others={}", presence::mark(others));
        self
    }
}

impl App {
    /// A site for people: its code and what it is called.
    pub(super) fn site_name(&self, code: &str) -> String {
        match code.parse::<certs::NodeName>() {
            Ok(node) => {
                let reference = self.reference();
                let name = reference.centres.name(node.site());
                if name == code { name.into_owned() } else { format!("{code} {name}") }
            }
            Err(_) => code.to_owned(),
        }
    }
}

/// A size for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A time of RFC 3339 to the minute: `2026-11-29 09:15`.
pub(super) fn minute(at: &str) -> String {
    at.get(..16).unwrap_or(at).replace('T', " ")
}

/// A page, never kept by a cache.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let mut response = (status, Html(text)).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    w: &'static Words,
    assets: &'static Assets,
    text: String,
    more: Vec<String>,
}

/// A sentence, for whoever it is.
pub(super) fn plain(status: StatusCode, text: &str) -> Response {
    let message =
        Message { w: Words::of(Language::Zh), assets: &ASSETS, text: text.to_owned(), more: Vec::new() };
    page(status, &message)
}

/// A sentence in a signed-in person's language.
pub(super) fn refused(status: StatusCode, who: &Signed, text: &str) -> Response {
    page(status, &Message { w: who.words(), assets: &ASSETS, text: text.to_owned(), more: Vec::new() })
}

/// A failure that no page can show in its place.
pub(super) fn failure(who: &Signed, failure: &Failure) -> Response {
    let more = failure.causes.iter().chain(&failure.hint).cloned().collect();
    let text = format!("{}: {}", who.words().failed, sentence(failure));
    page(status_of(failure), &Message { w: who.words(), assets: &ASSETS, text, more })
}

/// A failure before anybody's language is known.
pub(super) fn broken(failure: &Failure) -> Response {
    tracing::error!(%failure, causes = ?failure.causes, "a page failed");
    let status = match failure.kind {
        FailureKind::TryAgain | FailureKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    plain(status, &format!("{}: {}", Words::of(Language::Zh).failed, failure.message))
}

/// What a failure is in HTTP.
pub(super) fn status_of(failure: &Failure) -> StatusCode {
    match failure.kind {
        _ if is_denied(failure) => StatusCode::FORBIDDEN,
        FailureKind::Usage => StatusCode::UNPROCESSABLE_ENTITY,
        FailureKind::Absent => StatusCode::NOT_FOUND,
        FailureKind::Failed | FailureKind::NeedsPerson | FailureKind::NotServed | FailureKind::Moved => {
            StatusCode::CONFLICT
        }
        FailureKind::Gone => StatusCode::GONE,
        FailureKind::TryAgain | FailureKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        FailureKind::Configuration | FailureKind::Integrity => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
