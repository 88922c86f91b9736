//! A ticket as its page shows it: plain strings, made of what the node replied.

mod correct;

use askama::Template;
use serde_json::Value;

use super::super::super::App;
use super::super::super::acts::{self, ACTS, Kind};
use super::super::super::frame::{Frame, minute, size};
use super::super::super::guard::Signed;
use super::super::super::words::Words;
use super::super::call::Problem;
use super::super::choice::Choice;
use super::Tried;
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::files::FileRequest;
use crate::reference::FieldKind;
use crate::request::{Language, Request};
use crate::ticket::facts::place;
use crate::users::rights;
use correct::{Both, Correct};

/// Keys of actions; letters that nothing else on the page has.
const KEYS: [(&str, &str); 11] = [
    ("accept", "a"),
    ("decline", "d"),
    ("dispatch", "p"),
    ("feedback", "f"),
    ("reply", "r"),
    ("close", "c"),
    ("offer", "o"),
    ("follow-up", "v"),
    ("urge", "g"),
    ("answer", "s"),
    ("correct", "e"),
];

/// What the node replied.
#[derive(Default)]
pub(super) struct Given {
    pub(super) shown: Value,
    pub(super) history: Value,
    pub(super) choices: Value,
    pub(super) files: Value,
    pub(super) revealed: bool,
    /// The query code.
    pub(super) code: String,
}

pub(super) struct Pair {
    label: String,
    value: String,
}

pub(super) struct Note {
    at: String,
    by: String,
    text: String,
}

pub(super) struct File {
    href: String,
    name: String,
    size: String,
    state: String,
    here: bool,
    sealed: bool,
    /// Whether it is sound that browsers play.
    sounds: bool,
}

pub(super) struct Line {
    at: String,
    by: String,
    text: String,
    class: &'static str,
    mark: &'static str,
}

pub(super) struct Field {
    id: String,
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    required: bool,
    value: String,
    problem: String,
    options: Vec<Choice>,
    /// The list from which what is typed may be chosen.
    list: &'static str,
    /// What the dispatch catalogue says of it.
    hint: String,
}

pub(super) struct ActForm {
    name: &'static str,
    title: &'static str,
    key: &'static str,
    open: bool,
    fields: Vec<Field>,
}

pub(super) struct Cannot {
    title: &'static str,
    why: String,
}

pub(super) struct Reply {
    entry: String,
    text: String,
    by: String,
}

pub(super) struct Copy {
    site: String,
    state: String,
    link: &'static str,
    fine: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "ticket.html")]
pub(super) struct Ticket {
    f: Frame,
    id: String,
    number: String,
    code: String,
    counted: bool,
    stage: &'static str,
    class: String,
    urgency: String,
    custodian: String,
    taken_by: String,
    waiting_for: String,
    confidential: bool,
    erased: bool,
    subject: String,
    facts: Vec<Pair>,
    both: Vec<Both>,
    /// The form that mends facts, when whoever looks may.
    correct: Option<Correct>,
    body: String,
    revealed: bool,
    person: Vec<Pair>,
    may_reveal: bool,
    may_note: bool,
    may_attach: bool,
    note: String,
    notes: Vec<Note>,
    files: Vec<File>,
    lines: Vec<Line>,
    closing: Vec<String>,
    acts: Vec<ActForm>,
    cannot: Vec<Cannot>,
    replies: Vec<Reply>,
    copies: Vec<Copy>,
    /// The sites that are to hold it.
    audience: String,
    /// What fields for a site choose from: one list for all of them.
    sites: Vec<(String, String)>,
    /// The departments of the dispatch catalogue.
    departments: Vec<String>,
    problems: Vec<Problem>,
    /// The page's script forgets the draft that became this ticket.
    drop_draft: bool,
    printed: String,
    /// Who else has it open.
    others: String,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Ticket {
    pub(super) fn of(app: &App, who: &Signed, f: Frame, given: &Given, tried: &Tried<'_>) -> Ticket {
        let w = who.words();
        let shown = &given.shown;
        let account = &who.session.account;
        let id = text(&shown["id"]);
        let may = |request: &Request| rights::may(account, request).is_ok();
        let (acts, cannot) = choices(app, who, given, tried);
        let (lines, closing) = story(w, given);
        let drop_draft = f.notice == w.done_new;
        let subject = text(&shown["facts"]["subject"]);
        let urgency = text(&shown["facts"]["urgency"]);
        let confidential = shown["confidential"] == true;
        Ticket {
            number: text(&shown["number"]),
            code: given.code.clone(),
            counted: shown["not_counted"] != true,
            stage: w.stage(&text(&shown["stage"])),
            class: text(&shown["stage"]).replace('_', "-"),
            urgency: if urgency == "一般" { String::new() } else { w.urgency(&urgency).to_owned() },
            custodian: app.site_name(&text(&shown["custodian"])),
            taken_by: app.site_name(&text(&shown["taken_by"])),
            waiting_for: shown["open_offer"]["to"].as_str().map(|to| app.site_name(to)).unwrap_or_default(),
            erased: !shown["erased"].is_null(),
            subject: match (subject.is_empty(), confidential) {
                (false, _) => subject,
                (true, true) => w.confidential.to_owned(),
                (true, false) => w.no_subject.to_owned(),
            },
            confidential,
            facts: facts(app, w, &shown["facts"]),
            correct: acts.iter().any(|act| act.name == "correct").then(|| Correct::of(app, w, shown, tried)),
            both: correct::both(app, w, &shown["conflicts"]),
            body: text(&shown["body"]),
            revealed: given.revealed,
            person: shown["person"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, said)| Pair { label: w.person(name).to_owned(), value: text(said) })
                .collect(),
            sites: match acts.iter().flat_map(|act| &act.fields).any(|field| field.list == "sites") {
                true => app.sites(),
                false => Vec::new(),
            },
            departments: match acts
                .iter()
                .flat_map(|act| &act.fields)
                .any(|field| field.list == "departments")
            {
                true => app.departments(),
                false => Vec::new(),
            },
            may_reveal: may(&Request::Reveal {
                id: id.clone(),
                reason: String::new(),
                desk: confidential,
                user: None,
            }),
            may_attach: may(&Request::File(FileRequest::Attach {
                id: id.clone(),
                name: String::new(),
                size: 0,
                digest: String::new(),
                media: None,
                user: None,
            })),
            may_note: may(&Request::Note { id: id.clone(), text: String::new(), user: None }),
            note: tried
                .fields
                .filter(|_| tried.act == "note")
                .map_or_else(String::new, |f| f.text("note").to_owned()),
            notes: notes(app, &shown["notes"]),
            files: files(&id, confidential, &given.files),
            lines,
            closing,
            acts,
            cannot,
            replies: given.choices["replies"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|r| Reply {
                    entry: text(&r["entry"]),
                    text: text(&r["text"]),
                    by: app.site_name(&text(&r["by"])),
                })
                .collect(),
            copies: copies(w, &given.choices["peers"]),
            audience: shown["audience"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|site| app.site_name(&text(site)))
                .collect::<Vec<_>>()
                .join("、"),
            problems: tried
                .problems
                .iter()
                .map(|p| Problem { href: p.href.clone(), text: p.text.clone() })
                .collect(),
            drop_draft,
            printed: minute(&shown_time(now_ms())),
            others: app.presence.others(&id, who.name()).join("、"),
            id,
            f,
        }
    }
}

/// A fact's value as people read it.
fn fact(app: &App, w: &Words, name: &str, said: &str) -> String {
    if app.reference().fields.of_fact(name).is_some_and(|field| *field.kind() == FieldKind::Yes) {
        return w.yes_or_no(said).to_owned();
    }
    match name {
        "urgency" => w.urgency(said).to_owned(),
        "domain" | "topic" => {
            let reference = app.reference();
            let category = said.parse().ok().and_then(|code| reference.categories.get(&code));
            category.map_or(said, |category| category.name()).to_owned()
        }
        "centre" => app.site_name(said),
        "region" => match said.parse::<crate::reference::DivisionCode>() {
            Ok(code) => format!("{said} {}", app.reference().divisions.full_name(code)),
            Err(_) => said.to_owned(),
        },
        _ => said.to_owned(),
    }
}

fn facts(app: &App, w: &Words, facts: &Value) -> Vec<Pair> {
    let Some(facts) = facts.as_object() else { return Vec::new() };
    let own = &app.reference().fields;
    let mut names: Vec<&String> = facts.keys().collect();
    names.sort_by_key(|name| (place(name), own.place(name), (*name).clone()));
    let pair = |name: &String| Pair {
        label: w.label(name, own).to_owned(),
        value: fact(app, w, name, &text(&facts[name])),
    };
    names.into_iter().filter(|name| *name != "subject").map(pair).collect()
}

fn notes(app: &App, notes: &Value) -> Vec<Note> {
    let note = |note: &Value| Note {
        at: minute(&text(&note["at"])),
        by: format!("{} {}", app.site_name(&text(&note["node"])), text(&note["user"])),
        text: text(&note["text"]),
    };
    let mut all: Vec<Note> = notes.as_object().into_iter().flatten().map(|(_, one)| note(one)).collect();
    all.sort_by(|a, b| a.at.cmp(&b.at));
    all
}

fn files(id: &str, sealed: bool, files: &Value) -> Vec<File> {
    let file = |row: &Value| File {
        href: format!("/ticket/{id}/file/{}", text(&row["content"])),
        name: text(&row["name"]),
        size: size(row["size"].as_u64().unwrap_or_default()),
        state: text(&row["state"]),
        here: row["complete"] == true,
        sealed,
        sounds: text(&row["type"]).starts_with("audio/"),
    };
    files.as_array().into_iter().flatten().map(file).collect()
}

/// The trail in words, and the paragraph that closes it: who holds the ticket, and by whose word.
fn story(w: &Words, given: &Given) -> (Vec<Line>, Vec<String>) {
    let trail = given.shown["trail"].as_array();
    let user = |entry: &Value| {
        let found = trail.into_iter().flatten().find(|e| e["id"] == *entry);
        found.map(|e| text(&e["user"])).unwrap_or_default()
    };
    let (mut lines, mut closing) = (Vec::new(), Vec::new());
    for line in given.history["lines"].as_array().into_iter().flatten() {
        if line["entry"].is_null() {
            closing.push(text(&line["text"]));
            continue;
        }
        let (class, mark) = match line["mark"].as_str() {
            Some("superseded") => ("superseded", w.mark_superseded),
            Some("unentitled") => ("unentitled", w.mark_unentitled),
            _ => ("in-force", ""),
        };
        lines.push(Line {
            at: minute(&text(&line["at"])),
            by: user(&line["entry"]),
            text: text(&line["text"]),
            class,
            mark,
        });
    }
    (lines, closing)
}

fn copies(w: &Words, peers: &Value) -> Vec<Copy> {
    let copy = |peer: &Value| {
        let owed = peer["owed"].as_u64().unwrap_or_default();
        let scan = peer["scan"] == true;
        Copy {
            site: format!("{} {}", text(&peer["node"]), text(&peer["name"])),
            state: match (owed, scan) {
                (0, true) => w.being_sent.to_owned(),
                (0, false) => w.all_has.to_owned(),
                (n, _) => format!("{}: {n}", w.still_lacks),
            },
            link: if peer["connected"] == true { w.link_up } else { w.link_down },
            fine: owed == 0 && !scan,
        }
    };
    peers.as_array().into_iter().flatten().map(copy).collect()
}

/// What whoever looks may do now, as forms, and why the rest is not offered. The engine says what the site may, the table
/// of rights what the person may; a page shows both.
fn choices(app: &App, who: &Signed, given: &Given, tried: &Tried<'_>) -> (Vec<ActForm>, Vec<Cannot>) {
    let w = who.words();
    let (mut forms, mut cannot) = (Vec::new(), Vec::new());
    for choice in given.choices["choices"].as_array().into_iter().flatten() {
        let said = choice["do"].as_str().unwrap_or_default();
        let Some((name, rows)) = ACTS.iter().find(|(name, _)| *name == said) else { continue };
        let title = w.act(name);
        let request = acts::sample(name, w).map(|act| Request::Act { id: String::new(), act, user: None });
        let Some(request) = request else { continue };
        if choice["may"] != true {
            let sites = choice["who"].as_array().into_iter().flatten();
            let sites: Vec<String> =
                sites.map(|s| format!("{} {}", text(&s["site"]), text(&s["name"]))).collect();
            let mut why = text(&choice["why"]);
            if !sites.is_empty() {
                why += &format!("（{}{}）", w.who_may, sites.join("、"));
            }
            cannot.push(Cannot { title, why });
            continue;
        }
        if rights::may(&who.session.account, &request).is_err() {
            let roles: Vec<&str> = rights::who_may(&request).into_iter().map(|role| w.role(role)).collect();
            cannot.push(Cannot { title, why: format!("{} {}", w.your_role, roles.join("、")) });
            continue;
        }
        let typed = tried.fields.filter(|_| tried.act == *name);
        let suggested = &given.choices["suggested"];
        let fields =
            rows.iter().map(|row| field(app, w, name, row, (choice, suggested), typed, tried)).collect();
        let key = KEYS.iter().find(|(act, _)| act == name).map_or("", |(_, key)| key);
        forms.push(ActForm { name, title, key, open: tried.act == *name, fields });
    }
    (forms, cannot)
}

fn field(
    app: &App,
    w: &Words,
    act: &str,
    (name, kind, required): &acts::FieldRow,
    (choice, suggested): (&Value, &Value),
    typed: Option<&super::super::super::forms::Fields>,
    tried: &Tried<'_>,
) -> Field {
    let id = format!("{act}-{name}");
    let suggestion = match (act, *name) {
        ("dispatch", "department") => text(&suggested["department"]),
        ("offer", "to") => text(&suggested["site"]),
        _ => String::new(),
    };
    // Where only some may be named, no other is.
    let only = choice["who"].as_array().filter(|sites| !sites.is_empty());
    let suggestion = match only.is_some_and(|sites| !sites.iter().any(|site| site["site"] == *suggestion)) {
        true => String::new(),
        false => suggestion,
    };
    let language = if w.language == Language::Zh { "zh" } else { "en" };
    let hint = if suggestion.is_empty() { String::new() } else { text(&suggested["text"][language]) };
    let value = typed.map_or(suggestion, |fields| fields.text(name).to_owned());
    let option =
        |option: &str, label: String| Choice { value: option.to_owned(), label, chosen: value == option };
    let options = match kind {
        Kind::Satisfied => {
            vec![
                option("", w.not_said.to_owned()),
                option("yes", w.yes.to_owned()),
                option("no", w.no.to_owned()),
            ]
        }
        Kind::Redirect => {
            let reference = app.reference();
            let all = reference.redirects.iter();
            all.map(|r| option(r.number(), format!("{} {}", r.number(), r.name()))).collect()
        }
        Kind::Entry => {
            let all = choice["of"].as_array().into_iter().flatten();
            all.map(|entry| option(&text(entry), text(entry).chars().take(8).collect())).collect()
        }
        Kind::Words | Kind::Line | Kind::Days | Kind::Site => Vec::new(),
    };
    Field {
        problem: tried
            .problems
            .iter()
            .find(|p| p.href == format!("#{id}"))
            .map_or_else(String::new, |p| p.text.clone()),
        id,
        name,
        label: if *kind == Kind::Redirect { w.field_redirect } else { w.field(name) },
        kind: match kind {
            Kind::Words => "words",
            Kind::Line => "line",
            Kind::Site => "site",
            Kind::Days => "days",
            Kind::Satisfied | Kind::Redirect | Kind::Entry => "choice",
        },
        required: *required,
        list: match (kind, *name) {
            (Kind::Site, _) => "sites",
            (_, "department") => "departments",
            _ => "",
        },
        hint,
        value,
        options,
    }
}
