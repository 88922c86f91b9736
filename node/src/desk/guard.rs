//! Who asks, and whether they may: the one door between pages and node.
//!
//! Every page gets its [`Signed`] from here, every form its [`Posted`], and every request goes through [`App::ask`], where
//! the table of rights is read and the audit log written. A page cannot forget any of it: it has no other way to the node.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request as HttpRequest};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use certs::NodeName;

use super::App;
use super::forms::{Fields, MAX_FORM};
use super::frame;
use super::listen::Client;
use super::words::Words;
use crate::daemon::now_ms;
use crate::knowledge::request::KnowledgeRequest;
use crate::policy::request::PolicyRequest;
use crate::request::{Act, Failure, FailureKind, Language, Reply, Request};
use crate::users::{Scope, Session, Users, rights};

/// Sent by the page itself and not by a person: it keeps nobody signed in.
const LIVE: &str = "x-live";

/// What a refusal of a person, not of a site, begins with; pages say it in the reader's language.
const DENIED: &str = "denied: ";

/// Somebody who is signed in, at an address.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) session: Session,
    pub(super) address: String,
    /// What a program's token is for; `None` for a person, who is bound by the role alone.
    pub(super) scopes: Option<Vec<Scope>>,
    /// How many changes the node had told of when this was asked: what a page shows holds them.
    pub(super) seen: u64,
}

impl Signed {
    /// The account's name.
    pub(super) fn name(&self) -> &str {
        &self.session.account.name
    }

    /// The words of their language.
    pub(super) fn words(&self) -> &'static Words {
        Words::of(self.session.language)
    }

    /// Their language.
    pub(super) fn language(&self) -> Language {
        self.session.language
    }
}

/// The cookies of a desk. Their names bear the node, since browsers tell hosts apart and not ports: the desks of several
/// nodes on one machine would sign one another out.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    /// Whether browsers come over HTTPS.
    pub(super) secure: bool,
    pub(super) me: NodeName,
}

impl Jar {
    /// With the prefix, browsers take a cookie over HTTPS only, for this host and every path.
    fn name(&self, of: &str) -> String {
        format!("{}{of}-{}", if self.secure { "__Host-" } else { "" }, self.me)
    }

    /// A cookie; without a value it is dropped.
    pub(super) fn cookie(&self, of: &str, value: Option<&str>) -> String {
        let name = self.name(of);
        let secure = if self.secure { "; Secure" } else { "" };
        match value {
            Some(value) => format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"),
            None => format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}"),
        }
    }

    /// The value of a cookie that a browser shows.
    pub(super) fn shown(&self, headers: &HeaderMap, of: &str) -> Option<String> {
        let name = self.name(of);
        let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|one| one.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }
}

/// The session's cookie.
pub(super) const SESSION: &str = "hotline";

/// Whether a browser says that another site sent this. Those that say nothing are old; their form's token decides. Under
/// our own policy of no referrer, browsers give `null` as the origin of a form of ours.
pub(crate) fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    match (text("origin"), text("host")) {
        (None | Some("null"), _) => false,
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, from)| from != host),
        (Some(_), None) => true,
    }
}

/// Compares in a time that says nothing.
pub(super) fn same(a: &str, b: &str) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes()) // their comparison takes the same time always
}

pub(super) fn address(parts: &Parts) -> String {
    parts.extensions.get::<Client>().map_or_else(|| "?".to_owned(), |client| client.0.to_string())
}

/// The session that a request shows, whatever its holder may do.
async fn session(app: &Arc<App>, parts: &Parts) -> Result<Option<Signed>, Failure> {
    let Some(token) = app.jar.shown(&parts.headers, SESSION) else { return Ok(None) };
    let used = !parts.headers.contains_key(LIVE);
    let seen = app.node.changes_told();
    let session = app.on_users(move |users| users.session(&token, used, now_ms())).await?;
    Ok(session.map(|session| Signed { session, address: address(parts), scopes: None, seen }))
}

/// Somebody who is signed in and may still have to change the first password.
pub(super) struct Newcomer(pub(super) Signed);

impl FromRequestParts<Arc<App>> for Newcomer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Newcomer, Response> {
        match session(app, parts).await {
            Ok(Some(signed)) => Ok(Newcomer(signed)),
            Ok(None) if parts.method == Method::GET && !parts.headers.contains_key(LIVE) => {
                // Whoever never was in is not told that something has ended.
                let known = app.jar.shown(&parts.headers, SESSION).is_some();
                Err(Redirect::to(if known { "/sign-in?said=ended" } else { "/sign-in" }).into_response())
            }
            Ok(None) => Err(frame::plain(StatusCode::UNAUTHORIZED, Words::of(Language::Zh).session_ended)),
            Err(failure) => Err(frame::broken(&failure)),
        }
    }
}

impl FromRequestParts<Arc<App>> for Signed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Signed, Response> {
        let Newcomer(signed) = Newcomer::from_request_parts(parts, app).await?;
        match signed.session.account.must_change {
            true => Err(Redirect::to("/password").into_response()),
            false => Ok(signed),
        }
    }
}

/// A form of at most so many bytes that somebody sent from a page of their own session.
pub(super) struct Posted<const MOST: usize = MAX_FORM> {
    pub(super) who: Signed,
    pub(super) fields: Fields,
}

/// The same of somebody who may still have to change the first password.
pub(super) struct NewcomerPosted<const MOST: usize = MAX_FORM> {
    pub(super) who: Signed,
    pub(super) fields: Fields,
}

impl<const MOST: usize> FromRequest<Arc<App>> for NewcomerPosted<MOST> {
    type Rejection = Response;

    async fn from_request(request: HttpRequest, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Newcomer(who) = Newcomer::from_request_parts(&mut parts, app).await?;
        let fields = read_form(&parts.headers, body, MOST).await?;
        app.belongs(&parts, &who, fields.text("form")).await?;
        Ok(NewcomerPosted { who, fields })
    }
}

impl<const MOST: usize> FromRequest<Arc<App>> for Posted<MOST> {
    type Rejection = Response;

    async fn from_request(request: HttpRequest, app: &Arc<App>) -> Result<Self, Response> {
        let NewcomerPosted::<MOST> { who, fields } = NewcomerPosted::from_request(request, app).await?;
        match who.session.account.must_change {
            true => Err(Redirect::to("/password").into_response()),
            false => Ok(Posted { who, fields }),
        }
    }
}

/// Reads a form's body, which has at most so many bytes.
pub(super) async fn read_form(headers: &HeaderMap, body: Body, most: usize) -> Result<Fields, Response> {
    let words = Words::of(Language::Zh);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(frame::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, words.not_a_form));
    }
    let bytes: Bytes = axum::body::to_bytes(body, most)
        .await
        .map_err(|_| frame::plain(StatusCode::PAYLOAD_TOO_LARGE, words.too_large))?;
    Fields::read(&bytes).ok_or_else(|| frame::plain(StatusCode::PAYLOAD_TOO_LARGE, words.too_large))
}

impl App {
    /// Works on the accounts away from the threads that serve: the disk may take its time.
    pub(super) async fn on_users<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Users) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        self.users.away(work).await
    }

    /// Whether a form comes from a page of this session; the page that says no otherwise.
    pub(super) async fn belongs(&self, parts: &Parts, who: &Signed, token: &str) -> Result<(), Response> {
        if !comes_from_elsewhere(&parts.headers) && same(token, &who.session.form) {
            return Ok(());
        }
        let path = parts.uri.path().to_owned();
        self.note(who, "refused", None, &format!("a form of elsewhere: {path}")).await.ok();
        Err(frame::refused(StatusCode::FORBIDDEN, who, who.words().form_of_elsewhere))
    }

    /// Writes a line of the audit log.
    pub(super) async fn note(
        &self,
        who: &Signed,
        what: &str,
        ticket: Option<&str>,
        detail: &str,
    ) -> Result<(), Failure> {
        let (name, address) = (who.name().to_owned(), who.address.clone());
        let (what, ticket, detail) = (what.to_owned(), ticket.map(str::to_owned), detail.to_owned());
        self.on_users(move |users| {
            users.append(now_ms(), Some(&name), &address, &what, ticket.as_deref(), &detail)
        })
        .await
    }

    /// Asks the node, if this account may: in its name, and written down before it is done.
    pub(super) async fn ask(&self, who: &Signed, request: Request) -> Reply {
        let request = named(request, who.name());
        let (what, ticket, detail) = described(&request);
        if let Err(denied) = rights::may(&who.session.account, &request) {
            self.note(who, "refused", ticket.as_deref(), &format!("{what}: {denied}")).await?;
            let roles: Vec<&str> =
                rights::who_may(&request).into_iter().map(|role| who.words().role(role)).collect();
            let words = who.words();
            let mut failure = Failure::new(FailureKind::NeedsPerson, format!("{DENIED}{}", words.may_not));
            if !roles.is_empty() {
                failure = failure.hint(format!("{} {}", words.these_roles_may, roles.join("、")));
            }
            return Err(failure);
        }
        if let Some(scopes) = &who.scopes {
            let needed = Scope::of(&request);
            if needed.is_none_or(|scope| !scopes.contains(&scope)) {
                let scope = needed.map_or("none there is", Scope::name);
                self.note(who, "refused", ticket.as_deref(), &format!("{what}: needs the scope {scope}"))
                    .await?;
                return Err(Failure::new(
                    FailureKind::NeedsPerson,
                    format!("{DENIED}this token is not for that: it needs the scope {scope}"),
                )
                .hint("whoever looks after the node makes another: `hotline token add`"));
            }
        }
        let request = self.sifted(who, request);
        let request = match self.for_centres(who, request) {
            Ok(request) => request,
            Err(centre) => {
                let name = self.site_name(&centre);
                return self
                    .not_served(who, ticket.as_deref(), &format!("{what}: does not serve {centre}"), &name)
                    .await;
            }
        };
        let audited = rights::is_audited(&request);
        if audited {
            self.note(who, &what, ticket.as_deref(), &detail).await?;
        }
        let taken = matches!(request, Request::New { .. });
        let lists = who.scopes.is_none()
            && matches!(
                request,
                Request::Search { .. }
                    | Request::Similar { .. }
                    | Request::Figured { .. }
                    | Request::Lookup { .. }
            );
        let mut reply = self.node.ask(request).await;
        if let (true, Ok(rows)) = (lists, &mut reply) {
            self.without_others(who, rows);
        }
        match &reply {
            Err(failure) if failure.kind == FailureKind::NotServed => {
                let detail = format!("{what}: {}", failure.message);
                return self.not_served(who, ticket.as_deref(), &detail, "").await;
            }
            Err(failure) if audited => {
                self.note(who, "failed", ticket.as_deref(), &format!("{what}: {}", failure.message)).await?;
            }
            Ok(made) if taken => {
                for number in made.as_array().into_iter().flatten().filter_map(|t| t["number"].as_str()) {
                    // It is made and has its number; a log that is full now must not say that it failed.
                    if let Err(failure) = self.note(who, "made", Some(number), "").await {
                        tracing::error!(%failure, number, "a new ticket is not in the audit log");
                    }
                }
            }
            _ => {}
        }
        reply
    }

    /// A queue as this person may see it: whose tickets are theirs, and none of calls for centres that they do not serve.
    /// Programs act for the node, and say whose they want.
    fn sifted(&self, who: &Signed, mut request: Request) -> Request {
        if let Request::List { sift, .. } = &mut request
            && who.scopes.is_none()
        {
            let account = &who.session.account;
            sift.user = Some(account.name.clone());
            sift.department = Some(account.department.clone());
            sift.centres = Some(rights::centres(account, self.me.site()));
        }
        request
    }

    /// Takes out of a list the calls for centres that this person does not serve.
    fn without_others(&self, who: &Signed, rows: &mut serde_json::Value) {
        let centres = rights::centres(&who.session.account, self.me.site());
        let serves = |centre: &str| centre.parse().is_ok_and(|site| centres.contains(&site));
        if let Some(rows) = rows.as_array_mut() {
            rows.retain(|row| row["centre"].as_str().is_none_or(serves));
        }
    }

    /// Somebody asked for what belongs to a centre that they do not serve: it is written down, looking as well as acting.
    async fn not_served(&self, who: &Signed, ticket: Option<&str>, detail: &str, centre: &str) -> Reply {
        self.note(who, "refused", ticket, detail).await?;
        let why = format!("{DENIED}{} {centre}", who.words().not_served);
        Err(Failure::new(FailureKind::NotServed, why.trim_end()))
    }

    /// Binds a person's request to the centres for which they act; the centre that they do not serve otherwise. Programs act
    /// for the node.
    fn for_centres(&self, who: &Signed, request: Request) -> Result<Request, String> {
        if who.scopes.is_some() {
            return Ok(request);
        }
        let centres = rights::centres(&who.session.account, self.me.site());
        let serves =
            |centre: &String| centre.is_empty() || centre.parse().is_ok_and(|site| centres.contains(&site));
        if let Some(centre) = named_centres(&request).into_iter().find(|centre| !serves(centre)) {
            return Err(centre.chars().take(40).collect());
        }
        Ok(match request.ticket() {
            Some(_) => Request::For { centres, then: Box::new(request) },
            None => request,
        })
    }

    /// Asks something of the knowledge base.
    pub(super) async fn know(&self, who: &Signed, request: KnowledgeRequest) -> Reply {
        self.ask(who, Request::Knowledge(request)).await
    }
}

/// Whether a request was refused because of the person's role.
pub(super) fn is_denied(failure: &Failure) -> bool {
    failure.message.starts_with(DENIED)
}

/// A failure's sentence for a page.
pub(super) fn sentence(failure: &Failure) -> &str {
    failure.message.strip_prefix(DENIED).unwrap_or(&failure.message)
}

/// The centres that a request says a call was taken for.
fn named_centres(request: &Request) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match request {
        Request::When { then, .. } | Request::For { then, .. } => named_centres(then),
        Request::New { tickets, .. } => tickets
            .iter()
            .map(|t| &t["centre"])
            .filter(|c| !c.is_null())
            .map(|c| text(c).trim().to_owned())
            .collect(),
        Request::Act { act: Act::Correct { facts, .. }, .. } => {
            facts.get("centre").map(|to| to.to.trim().to_owned()).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The request in this account's name, whatever the page said.
fn named(mut request: Request, name: &str) -> Request {
    use crate::files::FileRequest as File;
    use KnowledgeRequest as Article;
    if let Request::When { states, then } = request {
        return Request::When { states, then: Box::new(named(*then, name)) };
    }
    if let Request::For { centres, then } = request {
        return Request::For { centres, then: Box::new(named(*then, name)) };
    }
    let name = Some(name.to_owned());
    match &mut request {
        Request::New { user, .. }
        | Request::Act { user, .. }
        | Request::Note { user, .. }
        | Request::Show { user, .. }
        | Request::Reveal { user, .. }
        | Request::Lookup { user, .. }
        | Request::Freeze { user, .. }
        | Request::Grant { user, .. }
        | Request::Erase { user, .. }
        | Request::Knowledge(
            Article::Show { user, .. }
            | Article::New { user, .. }
            | Article::Revise { user, .. }
            | Article::Review { user, .. }
            | Article::Publish { user, .. }
            | Article::Withdraw { user, .. }
            | Article::Propose { user, .. }
            | Article::Adopt { user, .. }
            | Article::Used { user, .. }
            | Article::Unhelpful { user, .. }
            | Article::Detach { user, .. }
            | Article::File { file: File::Attach { user, .. } }
            | Article::Import { user, .. },
        )
        | Request::Policy(PolicyRequest::Set { user, .. } | PolicyRequest::Withdraw { user, .. })
        | Request::File(File::Attach { user, .. } | File::List { user, .. } | File::Fetch { user, .. }) => {
            *user = name
        }
        _ => {}
    }
    request
}

/// What the audit log says of a request: what, on which ticket, and a few words. No caller's data is in any of them.
fn described(request: &Request) -> (String, Option<String>, String) {
    if let Request::When { then, .. } | Request::For { then, .. } = request {
        return described(then);
    }
    if let Request::Knowledge(KnowledgeRequest::File { file }) = request {
        let (what, id, name) = described(&Request::File(file.clone()));
        return (format!("knowledge {what}"), id, name);
    }
    let json = serde_json::to_value(request).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let act = match json["act"].is_object() {
        true => json["act"].clone(),
        false => json.clone(),
    };
    let what = format!("{} {}", text(&json["ask"]), text(&act["do"])).trim().to_owned();
    let ticket = json["id"].as_str().map(str::to_owned);
    let detail = match request {
        Request::Reveal { reason, .. } => reason.clone(),
        Request::Show { reveal: Some(reason), .. } | Request::Lookup { reveal: Some(reason), .. } => {
            reason.clone()
        }
        Request::File(_) | Request::Knowledge(KnowledgeRequest::Detach { .. }) => text(&json["name"]),
        Request::Policy(PolicyRequest::Set { table, from, .. }) => format!("{table} {from}"),
        Request::Policy(PolicyRequest::Withdraw { table, edition, .. }) => format!("{table} #{edition}"),
        _ => ["to", "into", "department", "month"]
            .into_iter()
            .map(|key| text(&act[key]))
            .find(|t| !t.is_empty())
            .unwrap_or_default(),
    };
    (what, ticket, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_cannot_speak_in_another_name() {
        let request = Request::Note { id: "x".into(), text: "t".into(), user: Some("boss".into()) };
        let when =
            |request: &Request| Request::When { states: vec!["s".into()], then: Box::new(request.clone()) };
        assert_eq!(named(when(&request), "li"), when(&named(request.clone(), "li")));
        assert_eq!(described(&when(&request)), described(&request));
        assert_eq!(
            named(request, "li"),
            Request::Note { id: "x".into(), text: "t".into(), user: Some("li".into()) }
        );
    }

    #[test]
    fn a_rule_is_set_in_the_name_of_whoever_is_signed_in() {
        let withdraw = |user: Option<&str>| {
            let (table, user) = ("time_limits".to_owned(), user.map(str::to_owned));
            Request::Policy(PolicyRequest::Withdraw { table, edition: 2, user })
        };
        assert_eq!(named(withdraw(Some("boss")), "li"), withdraw(Some("li")));
        assert_eq!(described(&withdraw(None)), ("policy withdraw".into(), None, "time_limits #2".into()));
    }

    #[test]
    fn the_log_names_what_was_done_and_no_caller() {
        let act = Act::Offer { to: "370200".into(), reason: "他叫张三".into() };
        let request = Request::Act { id: "JT1".into(), act, user: None };
        assert_eq!(described(&request), ("act offer".into(), Some("JT1".into()), "370200".into()));
        let lookup = Request::Lookup {
            phone: Some("13800000000".into()),
            name: None,
            desk: false,
            reveal: None,
            user: None,
            limit: 1,
        };
        assert_eq!(described(&lookup), ("lookup".into(), None, String::new()));
    }

    #[test]
    fn every_centre_that_a_request_names_is_found() {
        let ticket = |centre: serde_json::Value| serde_json::json!({ "text": "t", "centre": centre });
        let tickets = vec![ticket("371700 ".into()), ticket(7.into()), serde_json::json!({ "text": "t" })];
        assert_eq!(named_centres(&Request::New { tickets, user: None }), ["371700", "7"]);
        let to = crate::request::Correction { from: None, to: "371700".into() };
        let act = Act::Correct { facts: [("centre".to_owned(), to)].into(), reason: None };
        let act = Request::Act { id: "x".into(), act, user: None };
        assert_eq!(
            named_centres(&Request::When { states: vec!["s".into()], then: Box::new(act) }),
            ["371700"]
        );
    }

    #[test]
    fn another_sites_form_is_seen() {
        let check = |pairs: &[(&'static str, &'static str)], elsewhere: bool| {
            let mut headers = HeaderMap::new();
            pairs.iter().for_each(|(k, v)| drop(headers.insert(*k, v.parse().unwrap())));
            assert_eq!(comes_from_elsewhere(&headers), elsewhere, "{pairs:?}");
        };
        check(&[("host", "desk:1"), ("origin", "https://desk:1"), ("sec-fetch-site", "same-origin")], false);
        check(&[("host", "desk:1")], false);
        check(&[("host", "desk:1"), ("origin", "https://evil")], true);
        check(&[("host", "desk:1"), ("origin", "null"), ("sec-fetch-site", "same-origin")], false);
        check(&[("host", "desk:1"), ("origin", "null"), ("sec-fetch-site", "cross-site")], true);
        check(&[("host", "desk:1"), ("sec-fetch-site", "cross-site")], true);
        check(&[("host", "desk:1"), ("sec-fetch-site", "same-site")], true);
        check(&[("origin", "https://desk:1")], true);
    }

    #[test]
    fn cookies_are_bound_to_this_host() {
        let jar = |secure, me: &str| Jar { secure, me: me.parse().unwrap() };
        assert_eq!(
            jar(true, "370100").cookie(SESSION, Some("x")),
            "__Host-hotline-370100=x; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(jar(false, "370100").cookie(SESSION, None).contains("Max-Age=0"));
        let mut headers = HeaderMap::new();
        headers.insert(
            "cookie",
            "a=b; __Host-hotline-370100=x; hotline-370100=y; hotline-370200=z".parse().unwrap(),
        );
        for (secure, me, value) in [
            (true, "370100", Some("x")),
            (false, "370100", Some("y")),
            (false, "370200", Some("z")),
            (true, "370200", None),
        ] {
            assert_eq!(jar(secure, me).shown(&headers, SESSION).as_deref(), value);
        }
    }
}
