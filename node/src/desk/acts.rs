//! Forms of actions: for each action its fields, and from a form the [`Act`]. Which of them a ticket allows now the engine
//! says, which a person may ask for the table of rights; both are asked, here nothing is decided.

use serde_json::{Value, json};

use super::forms::Fields;
use super::words::Words;
use crate::request::{Act, Correction};
use crate::ticket::facts::same;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Several lines.
    Words,
    /// One line.
    Line,
    /// A site, by its code.
    Site,
    /// A number of days.
    Days,
    /// Satisfied, not, or not said.
    Satisfied,
    /// A hotline that is not ours.
    Redirect,
    /// An entry that the engine names.
    Entry,
}

/// One field: the action's own name for it, what it takes, whether it must be filled in.
pub(super) type FieldRow = (&'static str, Kind, bool);

/// Every action with its fields; the names are those of the command line and of the engine's choices.
pub(super) const ACTS: &[(&str, &[FieldRow])] = &[
    ("accept", &[]),
    ("decline", &[("reason", Kind::Words, true)]),
    ("answer", &[("text", Kind::Words, true)]),
    ("redirect", &[("to", Kind::Redirect, true), ("text", Kind::Words, false)]),
    ("reject", &[("reason", Kind::Words, true)]),
    ("dispatch", &[("department", Kind::Line, true), ("text", Kind::Words, false)]),
    ("feedback", &[("text", Kind::Words, true)]),
    ("progress", &[("text", Kind::Words, true)]),
    ("reply", &[("text", Kind::Words, true)]),
    ("close", &[("result", Kind::Words, true)]),
    ("follow-up", &[("satisfied", Kind::Satisfied, false), ("text", Kind::Words, true)]),
    ("reopen", &[("reason", Kind::Words, true)]),
    ("offer", &[("to", Kind::Site, true), ("reason", Kind::Words, true)]),
    ("withdraw", &[]),
    ("assign", &[("to", Kind::Site, true), ("reason", Kind::Words, true)]),
    ("recall", &[("reason", Kind::Words, true)]),
    ("urge", &[("text", Kind::Words, true)]),
    ("supervise", &[("text", Kind::Words, true)]),
    ("escalate", &[("reason", Kind::Words, true)]),
    ("pause", &[("reason", Kind::Words, true)]),
    ("extend", &[("days", Kind::Days, false), ("reason", Kind::Words, true)]),
    (
        "grant-extension",
        &[("grant", Kind::Entry, true), ("days", Kind::Days, false), ("reason", Kind::Words, true)],
    ),
    // Its fields are the ticket's facts: see `corrections`.
    ("correct", &[]),
    ("merge", &[("into", Kind::Line, true)]),
    ("unmerge", &[("reason", Kind::Words, true)]),
    ("keep", &[("reason", Kind::Words, true)]),
    ("release", &[("reason", Kind::Words, true)]),
];

/// A field that was not filled in as it must be: its name, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) field: &'static str,
    pub(super) why: String,
}

/// The act that a form asks for. `Err` holds what is wrong, by field; it is empty when there is no such act.
pub(super) fn read(name: &str, fields: &Fields, words: &Words) -> Result<Act, Vec<Wrong>> {
    if name == "correct" {
        return Ok(corrections(fields));
    }
    let (_, rows) = ACTS.iter().find(|(act, _)| *act == name).ok_or_else(Vec::new)?;
    let mut json = json!({ "do": if name == "grant-extension" { "extend" } else { name } });
    let mut wrong = Vec::new();
    for (field, kind, required) in *rows {
        let text = fields.text(field);
        if text.is_empty() && *required {
            wrong.push(Wrong { field, why: format!("{}: {}", words.field(field), words.fill_in) });
            continue;
        }
        json[*field] = match kind {
            // A list offers `370200 青岛市`; the code is what counts.
            Kind::Site => text.split_whitespace().next().unwrap_or_default().into(),
            Kind::Satisfied => match text {
                "yes" => true.into(),
                "no" => false.into(),
                _ => Value::Null,
            },
            Kind::Days if text.is_empty() => Value::Null,
            Kind::Days => match text.parse::<u32>() {
                Ok(days) if (1..=365).contains(&days) => days.into(),
                _ => {
                    wrong
                        .push(Wrong { field, why: format!("{}: {}", words.field(field), words.days_wanted) });
                    continue;
                }
            },
            _ if text.is_empty() && *field == "text" && name == "dispatch" => Value::Null,
            _ => text.into(),
        };
    }
    if name == "reply"
        && let Some(entry) = fields.given("confirm")
    {
        json["confirm"] = entry.into();
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    serde_json::from_value(json).map_err(|_| Vec::new())
}

/// How the fields of a correction begin: the fact as it is to be, and as the page showed it.
pub(super) const FACT: &str = "fact.";
pub(super) const WAS: &str = "was.";

/// The facts that a form changes. One without `was` takes a value whatever stands there: somebody chose between two.
fn corrections(fields: &Fields) -> Act {
    let changed = fields.all().filter_map(|(field, to)| {
        let name = field.strip_prefix(FACT)?;
        let from = fields.has(&format!("{WAS}{name}"));
        let changed = from.as_ref().is_none_or(|from| !same(from, to));
        changed.then(|| (name.to_owned(), Correction { from, to: to.to_owned() }))
    });
    Act::Correct { facts: changed.collect(), reason: fields.given("reason") }
}

/// An act of this name as somebody might ask for it: to ask the table of rights whether they may.
pub(super) fn sample(name: &str, words: &Words) -> Option<Act> {
    let mut fields = Fields::default();
    for (field, _, _) in ACTS.iter().find(|(act, _)| *act == name)?.1 {
        fields.put(field, if *field == "days" { "1" } else { "x" });
    }
    read(name, &fields, words).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Language;

    fn fields(body: &str) -> Fields {
        Fields::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn every_form_that_is_filled_in_makes_its_act() {
        let words = Words::of(Language::En);
        let body = "reason=r&text=t&to=370200+x&department=d&result=s&days=3&into=JT1&grant=ab&satisfied=no";
        for (name, _) in ACTS {
            let act = read(name, &fields(body), words).unwrap_or_else(|wrong| panic!("{name}: {wrong:?}"));
            let made = serde_json::to_value(&act).unwrap();
            let command = if *name == "grant-extension" { "extend" } else { *name };
            assert_eq!(made["do"], command);
            let sample = sample(name, words).unwrap_or_else(|| panic!("{name} has no sample"));
            assert_eq!(serde_json::to_value(sample).unwrap()["do"], command);
        }
        assert!(sample("erase", words).is_none());
        let mended = "fact.place=b&was.place=a&fact.plate=x&was.plate=x&fact.topic=D0401&reason=";
        let Ok(Act::Correct { facts, reason: None }) = read("correct", &fields(mended), words) else {
            panic!()
        };
        let place = Correction { from: Some("a".into()), to: "b".into() };
        let topic = Correction { from: None, to: "D0401".into() };
        assert_eq!(facts, [("place".to_owned(), place), ("topic".to_owned(), topic)].into());
        let offer = read("offer", &fields(body), words);
        assert_eq!(offer, Ok(Act::Offer { to: "370200".into(), reason: "r".into() }));
        let asked = read("follow-up", &fields(body), words);
        assert_eq!(asked, Ok(Act::FollowUp { text: "t".into(), satisfied: Some(false) }));
        assert_eq!(
            read("extend", &fields(body), words),
            Ok(Act::Extend { days: Some(3), reason: "r".into(), grant: None })
        );
    }

    #[test]
    fn what_is_missing_is_named_by_its_field() {
        let words = Words::of(Language::En);
        let wrong = read("offer", &fields("to=+&reason="), words).unwrap_err();
        assert_eq!(wrong.iter().map(|w| w.field).collect::<Vec<_>>(), ["to", "reason"]);
        assert_eq!(read("extend", &fields("reason=r&days=x"), words).unwrap_err()[0].field, "days");
        assert_eq!(read("erase", &fields(""), words), Err(Vec::new()));
    }
}
