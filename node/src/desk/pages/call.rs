//! A call: the form that an agent fills in while somebody speaks. One button answers at once, one makes a ticket.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::App;
use super::super::forms::{Fields, MAX_FIELDS};
use super::super::frame::{self, Frame};
use super::super::guard::{Posted, Signed, sentence};
use super::super::live::Rang;
use super::super::words::Words;
use super::calls;
use super::choice::{Choice, choices, domains, kinds, urgencies};
use super::draft;
use super::knowledge;
use super::own::{self, Own};
use super::queue::{self, Row};
use super::ticket;
use crate::daemon::now_ms;
use crate::knowledge::request::KnowledgeRequest;
use crate::reference::{OwnFields, RedirectMode};
use crate::request::{Act, Failure, Request};
use crate::users::Call as Rung;

/// Earlier tickets that are shown beside the form.
const EARLIER: usize = 10;

/// Articles that are shown beside the form.
const SUGGESTED: usize = 5;

/// Tickets that may be about the same, shown beside the form.
const SIMILAR: usize = 5;

/// The fields that a draft keeps beside those of the centre's own, by their names in the form.
const FIELDS: [&str; 18] = [
    "centre",
    "caller_phone",
    "caller_name",
    "caller_kind",
    "kind",
    "domain",
    "region",
    "place",
    "happened_at",
    "plate",
    "unit",
    "subject",
    "text",
    "urgency",
    "confidential",
    "against",
    "answer",
    "redirect",
];

struct Hotline {
    number: String,
    name: String,
    scope: String,
    now: bool,
    chosen: bool,
}

/// A ticket that may be about the same, and what it shares.
struct Similar {
    row: Row,
    why: String,
}

#[derive(Default)]
struct Typed {
    caller_phone: String,
    caller_name: String,
    caller_kind: String,
    region: String,
    place: String,
    happened_at: String,
    plate: String,
    unit: String,
    subject: String,
    text: String,
    confidential: bool,
    against: String,
    answer: String,
}

/// A field that has to be mended.
pub(super) struct Problem {
    pub(super) href: String,
    pub(super) text: String,
}

#[derive(Template)]
#[template(path = "call.html")]
struct Call {
    f: Frame,
    /// The call of the telephone system that the form is of; empty for none.
    call: String,
    /// The name of its draft.
    draft: String,
    problems: Vec<Problem>,
    text_problem: String,
    answer_problem: String,
    restored: bool,
    /// When the draft was typed, by the browser's clock.
    draft_at: String,
    typed: Typed,
    kinds: Vec<Choice>,
    /// The centres for which whoever types may take calls; empty when it is the own one only.
    centres: Vec<Choice>,
    domains: Vec<Choice>,
    urgencies: Vec<Choice>,
    regions: Vec<Choice>,
    /// Fields of the centre's own.
    own: Vec<Own>,
    sites: Vec<Choice>,
    hotlines: Vec<Hotline>,
    asked: bool,
    earlier: Vec<Row>,
    /// Whether tickets and articles were looked for, and those found.
    looked: bool,
    similar: Vec<Similar>,
    suggested: Vec<knowledge::Row>,
    /// The article of which something was said just now, and why that was not counted.
    noted: String,
    suggest_problem: String,
}

fn typed(fields: &Fields) -> Typed {
    let text = |name: &str| fields.text(name).to_owned();
    Typed {
        caller_phone: text("caller_phone"),
        caller_name: text("caller_name"),
        caller_kind: text("caller_kind"),
        region: text("region"),
        place: text("place"),
        happened_at: text("happened_at"),
        plate: text("plate"),
        unit: text("unit"),
        subject: text("subject"),
        text: text("text"),
        confidential: fields.text("confidential") == "yes",
        against: text("against"),
        answer: text("answer"),
    }
}

impl App {
    /// The divisions that a call here is likely about: those of the own city or province.
    fn regions(&self) -> Vec<Choice> {
        let code = format!("{:06}", self.me.site().code());
        let own = match (code.as_str(), code.strip_suffix("0000"), code.strip_suffix("00")) {
            ("000000", ..) => "",
            (_, Some(province), _) => province,
            (_, None, Some(city)) => city,
            _ => &code,
        };
        let reference = self.reference();
        let all = reference.divisions.iter().map(|d| (d.code().to_string(), d.name()));
        let near = all.filter(|(code, _)| match own {
            "" => code.ends_with("0000"),
            own => code.starts_with(own),
        });
        near.map(|(value, name)| Choice { value, label: name.to_owned(), chosen: false }).collect()
    }

    /// The centres for which somebody may take calls, the own one first; none when there is no other.
    fn centres(&self, who: &Signed, chosen: &str) -> Vec<Choice> {
        let serves = &who.session.account.serves;
        let all =
            std::iter::once(self.me.site()).chain(serves.iter().copied()).filter(|_| !serves.is_empty());
        let choice = |site: certs::Site| {
            let value = site.to_string();
            Choice { label: self.site_name(&value), chosen: value == chosen, value }
        };
        all.map(choice).collect()
    }

    /// The departments that the dispatch catalogue names here, for lists to choose from.
    pub(super) fn departments(&self) -> Vec<String> {
        let reference = self.reference();
        reference.dispatch.departments(self.me.site()).into_iter().map(str::to_owned).collect()
    }

    /// All sites, for lists to choose from.
    pub(super) fn sites(&self) -> Vec<(String, String)> {
        self.reference().centres.iter().map(|c| (c.site().to_string(), c.name().to_owned())).collect()
    }
}

/// What is shown with the form.
#[derive(Default)]
struct Around {
    problems: Vec<Problem>,
    restored: bool,
    draft_at: String,
    asked: bool,
    earlier: Vec<Row>,
    looked: bool,
    similar: Vec<Similar>,
    suggested: Vec<knowledge::Row>,
    noted: String,
    suggest_problem: String,
}

/// Tickets that may be about what was typed.
async fn similar(app: &App, who: &Signed, fields: &Fields) -> Result<Vec<Similar>, Failure> {
    let text = format!("{} {}", fields.text("subject"), fields.text("text"));
    let (plate, place) = (fields.given("plate"), fields.given("place"));
    let list = app.ask(who, Request::Similar { text, plate, place, limit: SIMILAR }).await?;
    let why = |row: &Value| {
        let shared = row["why"].as_array().into_iter().flatten().filter_map(Value::as_str);
        shared.collect::<Vec<_>>().join(" · ")
    };
    let why: Vec<String> = list.as_array().into_iter().flatten().map(why).collect();
    let rows = queue::rows(app, who.words(), &list, now_ms());
    Ok(rows.into_iter().zip(why).map(|(row, why)| Similar { row, why }).collect())
}

/// Articles that what was typed is about.
async fn suggested(app: &App, who: &Signed, fields: &Fields) -> Result<Vec<knowledge::Row>, Failure> {
    let text = format!("{} {}", fields.text("subject"), fields.text("text"));
    let suggest = KnowledgeRequest::Suggest { text, limit: SUGGESTED };
    Ok(knowledge::rows(app, who.words(), &app.know(who, suggest).await?))
}

fn form(app: &App, who: &Signed, fields: &Fields, around: Around, status: StatusCode) -> Response {
    let w = who.words();
    let mut typed = typed(fields);
    if typed.region.is_empty() {
        typed.region = format!("{:06}", app.me.site().code());
    }
    let kind = fields.given("kind").unwrap_or_else(|| "投诉举报".to_owned());
    let urgency = fields.given("urgency").unwrap_or_else(|| "一般".to_owned());
    let mut hotlines: Vec<Hotline> = app
        .reference()
        .redirects
        .iter()
        .map(|r| Hotline {
            number: r.number().to_owned(),
            name: r.name().to_owned(),
            scope: r.scope().to_owned(),
            now: r.mode() == RedirectMode::Transfer,
            chosen: r.number() == fields.text("redirect"),
        })
        .collect();
    hotlines.sort_by_key(|hotline| !hotline.now); // whoever is in danger is not looked for in a list
    let problem_of = |field: &str| {
        let found = around.problems.iter().find(|p| p.href == format!("#{field}"));
        found.map_or_else(String::new, |p| p.text.clone())
    };
    let template = Call {
        f: Frame::new(app, who, w.call, "/new"),
        own: own::fields(app, w, fields, &around.problems),
        draft: draft::of(fields.text("call")),
        call: fields.text("call").to_owned(),
        text_problem: problem_of("text"),
        answer_problem: problem_of("answer"),
        problems: around.problems,
        restored: around.restored,
        draft_at: around.draft_at,
        typed,
        kinds: choices(kinds(w), &kind),
        centres: app.centres(who, fields.text("centre")),
        domains: choices(domains(app), fields.text("domain")),
        urgencies: choices(urgencies(w), &urgency),
        regions: app.regions(),
        sites: app.sites().into_iter().map(|(value, label)| Choice { value, label, chosen: false }).collect(),
        hotlines,
        asked: around.asked,
        looked: around.looked,
        similar: around.similar,
        suggested: around.suggested,
        noted: around.noted,
        suggest_problem: around.suggest_problem,
        earlier: around.earlier,
    };
    frame::page(status, &template)
}

/// A form as a draft kept it: `{"at", "fields": {name: text}}`.
fn from_draft(text: &str) -> Option<(Fields, String)> {
    let draft: Value = serde_json::from_str(text).ok()?;
    let mut fields = Fields::default();
    let named = draft["fields"].as_object().into_iter().flatten();
    let ours = |name: &str| FIELDS.contains(&name) || name.starts_with("x.");
    for (name, said) in named.filter(|(name, _)| ours(name)).take(MAX_FIELDS) {
        if let Some(said) = said.as_str() {
            fields.put(name, said);
        }
    }
    Some((fields, draft["at"].as_u64().unwrap_or_default().to_string()))
}

/// The call that a form is for.
#[derive(Deserialize)]
pub(in super::super) struct For {
    #[serde(default)]
    call: String,
}

/// A call that this account has taken; the page that says no otherwise.
async fn own(app: &App, who: &Signed, id: &str) -> Result<Rung, Box<Response>> {
    let (id, account) = (id.to_owned(), who.session.account.id);
    match app.on_users(move |users| users.call(&id)).await {
        Ok(Some(call)) if call.account == Some(account) => Ok(call),
        Ok(Some(_)) => Err(Box::new(frame::refused(StatusCode::CONFLICT, who, who.words().call_of_another))),
        Ok(None) => Err(Box::new(frame::refused(StatusCode::NOT_FOUND, who, who.words().calls_none))),
        Err(failure) => Err(Box::new(frame::failure(who, &failure))),
    }
}

/// The caller's earlier tickets.
async fn earlier(app: &App, who: &Signed, phone: &str) -> Result<Vec<Row>, Failure> {
    let lookup = Request::Lookup {
        phone: Some(phone.to_owned()),
        name: None,
        desk: false,
        reveal: None,
        user: None,
        limit: EARLIER,
    };
    Ok(queue::rows(app, who.words(), &app.ask(who, lookup).await?, now_ms()))
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<For>,
) -> Response {
    // Whoever may not take calls learns it here and not after typing.
    let nothing = Request::New { tickets: Vec::new(), user: None };
    if crate::users::rights::may(&who.session.account, &nothing).is_err() {
        return match app.ask(&who, nothing).await {
            Err(failure) => frame::failure(&who, &failure),
            Ok(_) => frame::refused(StatusCode::FORBIDDEN, &who, who.words().may_not),
        };
    }
    let mut fields = Fields::default();
    let mut around = Around::default();
    if !asked.call.is_empty() {
        let call = match own(&app, &who, &asked.call).await {
            Ok(Rung { ticket: Some(ticket), .. }) => {
                return Redirect::to(&format!("/ticket/{ticket}")).into_response();
            }
            Ok(call) => call,
            Err(no) => return *no,
        };
        fields.put("call", &call.id);
        fields.put("centre", &call.queue); // a telephone system may name the centre that was called as the queue
        if let Some(number) = &call.number {
            fields.put("caller_phone", number);
            match earlier(&app, &who, number).await {
                Ok(earlier) => (around.asked, around.earlier) = (true, earlier),
                Err(failure) => return frame::failure(&who, &failure),
            }
        }
    }
    let (account, of) = (who.session.account.clone(), draft::of(&asked.call));
    let draft = match app.on_users(move |users| users.draft(&account, &of)).await {
        Ok(draft) => draft.as_deref().and_then(from_draft),
        Err(failure) => return frame::failure(&who, &failure),
    };
    if let Some((mut drafted, at)) = draft {
        // What the draft says counts; where it says nothing, what the telephone system told.
        drafted.put("call", &asked.call);
        drafted.put("caller_phone", fields.text("caller_phone"));
        around = Around { restored: true, draft_at: at, ..around };
        return form(&app, &who, &drafted, around, StatusCode::OK);
    }
    form(&app, &who, &fields, around, StatusCode::OK)
}

/// The ticket that the form asks for, in the shape of a sample line.
fn sample(fields: &Fields) -> Value {
    let text = |name: &str| fields.text(name).to_owned();
    // Lists offer `370102 历下区`; the code is what counts.
    let code = |name: &str| fields.text(name).split_whitespace().next().unwrap_or_default().to_owned();
    let mut sample = json!({
        "id": text("call"), "text": text("text"), "type": text("kind"), "domain": text("domain"), "region_code": code("region"),
        "caller_phone": text("caller_phone"), "caller_name": text("caller_name"), "caller_type": text("caller_kind"),
        "channel": "电话", "priority": text("urgency"), "confidential": fields.text("confidential") == "yes",
        "subject": text("subject"), "place": text("place"), "happened_at": text("happened_at"),
        "plate": text("plate"), "unit": text("unit"),
    });
    if !code("centre").is_empty() {
        sample["centre"] = code("centre").into();
    }
    if !code("against").is_empty() {
        sample["against"] = code("against").into();
    }
    own::put(fields, &mut sample);
    sample
}

fn problems(w: &Words, fields: &Fields, own: &OwnFields, then: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut need = |field: &str, missing: &str| {
        if fields.text(field).is_empty() {
            // Of a group of buttons a link leads to the first.
            let href = if field == "redirect" { "#redirect-none".to_owned() } else { format!("#{field}") };
            problems.push(Problem { href, text: missing.to_owned() });
        }
    };
    need("text", w.text_missing);
    match then {
        "answer" => need("answer", w.answer_missing),
        "reject" => need("answer", w.reject_missing),
        "redirect" => need("redirect", w.redirect_missing),
        _ => {}
    }
    // Whose matter it is not is asked nothing further.
    problems.extend(own::problems(w, own, fields, !matches!(then, "redirect" | "reject")));
    problems
}

pub(in super::super) async fn take(State(app): State<Arc<App>>, posted: Posted) -> Response {
    let Posted { who, fields } = posted;
    let w = who.words();
    let then = fields.text("then");
    let account = who.session.account.clone();
    let of = draft::of(fields.text("call"));
    let drop_draft = app.on_users(move |users| users.save_draft(&account, &of, "", now_ms()));
    if then == "drop" {
        return match drop_draft.await {
            Ok(()) => match fields.text("call") {
                "" => Redirect::to("/new?said=dropped").into_response(),
                call => Redirect::to(&format!("{}&said=dropped", calls::form_of(call))).into_response(),
            },
            Err(failure) => frame::failure(&who, &failure),
        };
    }
    let said = match then.split_once(' ') {
        Some(("used", id)) => Some(KnowledgeRequest::Used { id: id.to_owned(), version: None, user: None }),
        Some(("unhelpful", id)) => {
            Some(KnowledgeRequest::Unhelpful { id: id.to_owned(), version: None, user: None })
        }
        _ => None,
    };
    let (mut noted, mut suggest_problem) = (String::new(), String::new());
    let looks = then == "suggest" || said.is_some();
    if let Some(said) = said {
        match app.know(&who, said).await {
            Ok(said) => noted = said["id"].as_str().unwrap_or_default().to_owned(),
            Err(failure) => suggest_problem = sentence(&failure).to_owned(),
        }
    }
    if looks {
        let similar = similar(&app, &who, &fields).await;
        return match (similar, suggested(&app, &who, &fields).await) {
            (Ok(similar), Ok(suggested)) => {
                let around =
                    Around { looked: true, similar, suggested, noted, suggest_problem, ..Around::default() };
                form(&app, &who, &fields, around, StatusCode::OK)
            }
            (Err(failure), _) | (_, Err(failure)) => frame::failure(&who, &failure),
        };
    }
    if then == "lookup" {
        let phone = fields.text("caller_phone").to_owned();
        if phone.is_empty() {
            return form(&app, &who, &fields, Around::default(), StatusCode::OK);
        }
        return match earlier(&app, &who, &phone).await {
            Ok(earlier) => form(
                &app,
                &who,
                &fields,
                Around { asked: true, earlier, ..Around::default() },
                StatusCode::OK,
            ),
            Err(failure) => frame::failure(&who, &failure),
        };
    }
    let call = fields.text("call").to_owned();
    if !call.is_empty() {
        match own(&app, &who, &call).await {
            // The form was sent twice: there is one ticket of one call.
            Ok(Rung { ticket: Some(ticket), .. }) => {
                return Redirect::to(&format!("/ticket/{ticket}")).into_response();
            }
            Ok(_) => {}
            Err(no) => return *no,
        }
    }
    let reference = app.reference();
    let problems = problems(w, &fields, &reference.fields, then);
    if !problems.is_empty() {
        let around = Around { problems, ..Around::default() };
        return form(&app, &who, &fields, around, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let made = match app.ask(&who, Request::New { tickets: vec![sample(&fields)], user: None }).await {
        Ok(made) => made,
        Err(failure) => {
            let more = failure.causes.iter().chain(&failure.hint);
            let text = [sentence(&failure)].into_iter().chain(more.map(String::as_str)).collect::<Vec<_>>();
            let problem = Problem { href: "#text".to_owned(), text: text.join(" — ") };
            let around = Around { problems: vec![problem], ..Around::default() };
            return form(&app, &who, &fields, around, frame::status_of(&failure));
        }
    };
    let id = made[0]["id"].as_str().unwrap_or_default().to_owned();
    if let Err(failure) = drop_draft.await {
        tracing::warn!(%failure, "the draft of a ticket that was made stays for a week");
    }
    if !call.is_empty() {
        let ticket = id.clone();
        if let Err(failure) = app.on_users(move |users| users.call_became(&call, &ticket)).await {
            // The ticket is made and names the call.
            tracing::error!(%failure, "a call does not know its ticket: recordings of it will not find it");
        }
        let _ = app.calls.send(Rang::Changed); // nobody may be listening
        // Whoever saved the form does not wait for what may be large.
        let app = app.clone();
        tokio::spawn(async move { super::super::api::attach_due(&app).await });
    }
    let answer = fields.text("answer").to_owned();
    let act = match then {
        "answer" => Some(Act::Answer { text: answer }),
        "reject" => Some(Act::Reject { reason: answer }),
        "redirect" => Some(Act::Redirect { to: fields.text("redirect").to_owned(), text: answer }),
        _ => None,
    };
    let acted = match act {
        Some(act) => app.ask(&who, Request::Act { id: id.clone(), act, user: None }).await.map(drop),
        None => Ok(()),
    };
    match acted {
        Ok(()) => Redirect::to(&format!("/ticket/{id}?said=new")).into_response(),
        // The ticket is made; its page says what was not done with it.
        Err(failure) => ticket::after_failure(&app, &who, &id, then, &fields, &failure).await,
    }
}
