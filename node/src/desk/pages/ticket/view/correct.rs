//! The form that mends facts, and facts of which two people said different things: side by side, for somebody to choose.

use serde_json::Value;

use super::super::super::super::App;
use super::super::super::super::acts::{FACT, WAS};
use super::super::super::super::words::Words;
use super::super::super::choice::{Choice, choices, domains, kinds, topics, urgencies};
use super::super::super::own::{self, name_of};
use super::super::Tried;
use super::{fact, text};
use crate::ticket::facts::{FACTS, TEST, is_sealed_in_a_report};

/// One fact of the form.
pub(super) struct Mended {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: String,
    /// What stands there.
    pub(super) was: String,
    /// What the field holds: that, or what was typed.
    pub(super) value: String,
    /// What somebody else has made of it since the page was shown on which `value` was typed.
    pub(super) theirs: Option<String>,
    /// What may stand there, if it is a list.
    pub(super) options: Vec<Choice>,
    /// It has several lines, or is too long for one.
    pub(super) large: bool,
}

/// The most characters of a fact that is written into one line.
const LINE: usize = 500;

/// The form.
pub(super) struct Correct {
    pub(super) open: bool,
    pub(super) facts: Vec<Mended>,
    pub(super) reason: String,
}

/// A fact that two people set at once, on nodes that did not know of each other.
pub(super) struct Both {
    pub(super) name: String,
    pub(super) label: String,
    /// Each value with how people read it.
    pub(super) values: Vec<(String, String)>,
}

/// Facts of which two people said different things at once.
pub(super) fn both(app: &App, w: &Words, conflicts: &Value) -> Vec<Both> {
    let shown = |name: &str, value: &Value| {
        let value = text(value);
        let read = fact(app, w, name, &value);
        (value, read)
    };
    let conflicts = conflicts.as_object().into_iter().flatten();
    conflicts
        .map(|(name, all)| Both {
            name: format!("{FACT}{name}"),
            label: w.label(name, &app.reference().fields).to_owned(),
            values: all.as_array().into_iter().flatten().map(|value| shown(name, value)).collect(),
        })
        .collect()
}

impl Correct {
    /// The form for a ticket as the node shows it, with what was typed into it before.
    pub(super) fn of(app: &App, w: &Words, shown: &Value, tried: &Tried<'_>) -> Correct {
        let typed = tried.fields.filter(|_| tried.act == "correct");
        let confidential = shown["confidential"] == true;
        let reference = app.reference();
        let [business, domain] = ["business", "domain"].map(|name| text(&shown["facts"][name]));
        // Those that this matter is asked, and whatever else is there.
        let asked = reference.fields.iter().filter(|field| field.fits(&business, &domain));
        let asked: Vec<String> = asked.map(name_of).collect();
        let there = shown["facts"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let there = there.filter(|name| name.starts_with("x.") && *name != TEST);
        let there = there.filter(|name| !asked.iter().any(|one| one == name));
        let names = FACTS.iter().map(|(name, _, _)| *name).chain([TEST]);
        let names = names.chain(asked.iter().map(String::as_str)).chain(there);
        let names = names.filter(|name| !(confidential && is_sealed_in_a_report(name)));
        let mended = |name: &str| {
            let stands = text(&shown["facts"][name]);
            let wrote = typed.and_then(|fields| fields.has(&format!("{FACT}{name}")));
            let saw = typed.and_then(|fields| fields.has(&format!("{WAS}{name}")));
            // Whoever had changed nothing here goes on with what stands there now.
            let changed = wrote.is_some() && wrote != saw;
            let value = wrote.filter(|_| changed).unwrap_or_else(|| stands.clone());
            let theirs = changed && saw.is_some_and(|saw| saw != stands) && value != stands;
            Mended {
                id: format!("correct-{}", name.replace('.', "-")),
                name: name.to_owned(),
                label: w.label(name, &reference.fields).to_owned(),
                theirs: theirs.then(|| fact(app, w, name, &stands)),
                options: options(app, w, name, &value),
                large: [&stands, &value].iter().any(|v| v.contains('\n') || v.chars().nth(LINE).is_some()),
                was: stands,
                value,
            }
        };
        Correct {
            open: tried.act == "correct",
            facts: names.map(mended).collect(),
            reason: typed.map_or_else(String::new, |fields| fields.text("reason").to_owned()),
        }
    }
}

/// What a fact may be, for facts that are chosen from a list; what stands there is among them, whatever it is.
fn options(app: &App, w: &Words, name: &str, value: &str) -> Vec<Choice> {
    if let Some(field) = app.reference().fields.of_fact(name) {
        return own::options(w, field, value);
    }
    let all: Vec<(String, String)> = match name {
        "urgency" => urgencies(w).into(),
        "business" => kinds(w).into(),
        TEST => vec![("是".to_owned(), w.is_a_test.to_owned())],
        "domain" => domains(app),
        "topic" => topics(app, ""),
        _ => return Vec::new(),
    };
    let known = value.is_empty() || all.iter().any(|(code, _)| code == value);
    let kept = (!known).then(|| (value.to_owned(), value.to_owned()));
    let none = (name != "urgency").then(|| (String::new(), w.choose.to_owned()));
    choices(none.into_iter().chain(kept).chain(all), value)
}
