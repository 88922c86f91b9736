//! Actions for programs: each with its fields, as the command of the same name has them.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use crate::request::Act;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Truth,
    /// Facts by their names, with what is to stand there.
    Facts,
}

impl Kind {
    /// What JSON Schema calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Number => "integer",
            Kind::Truth => "boolean",
            Kind::Facts => "object",
        }
    }

    /// Whether a value is of this kind.
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Kind::Text => value.is_string(),
            Kind::Number => value.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
            Kind::Truth => value.is_boolean(),
            Kind::Facts => value.as_object().is_some_and(|facts| facts.values().all(Value::is_string)),
        }
    }
}

/// A field: its name, what it takes, whether it must be there.
pub(super) type Field = (&'static str, Kind, bool);

const REASON: &[Field] = &[("reason", Kind::Text, true)];
const TEXT: &[Field] = &[("text", Kind::Text, true)];
const TO_REASON: &[Field] = &[("to", Kind::Text, true), ("reason", Kind::Text, true)];

/// Every action.
pub(super) const ACTS: &[(&str, &[Field])] = &[
    ("answer", TEXT),
    ("redirect", &[("to", Kind::Text, true), ("text", Kind::Text, true)]),
    ("reject", REASON),
    ("dispatch", &[("department", Kind::Text, true), ("text", Kind::Text, false)]),
    ("feedback", TEXT),
    ("progress", TEXT),
    ("pause", REASON),
    ("extend", &[("days", Kind::Number, false), ("reason", Kind::Text, true), ("grant", Kind::Text, false)]),
    ("reply", &[("text", Kind::Text, true), ("confirm", Kind::Text, false)]),
    ("follow-up", &[("text", Kind::Text, true), ("satisfied", Kind::Truth, false)]),
    ("urge", TEXT),
    ("supervise", TEXT),
    ("escalate", REASON),
    ("merge", &[("into", Kind::Text, true)]),
    ("unmerge", REASON),
    ("keep", REASON),
    ("release", REASON),
    ("offer", TO_REASON),
    ("accept", &[]),
    ("decline", REASON),
    ("withdraw", &[]),
    ("assign", TO_REASON),
    ("recall", REASON),
    ("close", &[("result", Kind::Text, true)]),
    ("reopen", REASON),
    ("correct", &[("facts", Kind::Facts, true), ("reason", Kind::Text, false)]),
];

/// The action of this name with these fields; what is wrong with them otherwise.
pub(super) fn read(name: &str, body: &Value) -> Result<Act, Problem> {
    let Some((name, fields)) = ACTS.iter().find(|(act, _)| *act == name) else {
        return Err(Problem::absent("there is no such action").hint("see /api/v1/openapi.json"));
    };
    let given = body.as_object().cloned().unwrap_or_default();
    if let Some(unknown) = given.keys().find(|key| !fields.iter().any(|(field, ..)| field == key)) {
        let shown: String = unknown.chars().take(40).collect();
        return Err(Problem::invalid(format!("`{shown}` is no field of `{name}`")));
    }
    let mut json = Map::from_iter([("do".to_owned(), Value::from(*name))]);
    for (field, kind, required) in *fields {
        let value = filled_in(&given, field, *kind, *required)?.cloned().unwrap_or(Value::Null);
        json.insert((*field).to_owned(), if *kind == Kind::Facts { corrections(value) } else { value });
    }
    serde_json::from_value(Value::Object(json)).map_err(|e| Problem::invalid(e.to_string()))
}

/// Facts as an action has them: whether somebody else changed them meanwhile, a program asks by the ticket's state.
fn corrections(facts: Value) -> Value {
    let facts = facts.as_object().cloned().unwrap_or_default();
    facts.into_iter().map(|(name, to)| (name, json!({ "to": to }))).collect::<Map<_, _>>().into()
}

/// What stands in a field, of the right kind; `None` when it is not there or blank.
pub(super) fn filled_in<'a>(
    given: &'a Map<String, Value>,
    field: &str,
    kind: Kind,
    required: bool,
) -> Result<Option<&'a Value>, Problem> {
    let value = given.get(field);
    if value.is_some_and(|value| !kind.fits(value)) {
        return Err(Problem::invalid(format!("`{field}` is no {}", kind.name())));
    }
    let value = value.filter(|value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
    match value {
        None if required => Err(Problem::invalid(format!("`{field}` is missing"))),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(fields: &[Field]) -> Value {
        let value = |kind| match kind {
            Kind::Text => json!("x"),
            Kind::Number => json!(3),
            Kind::Truth => json!(false),
            Kind::Facts => json!({ "place": "x" }),
        };
        fields
            .iter()
            .map(|(field, kind, _)| ((*field).to_owned(), value(*kind)))
            .collect::<Map<_, _>>()
            .into()
    }

    #[test]
    fn every_action_of_the_desk_has_its_row_and_takes_what_stands_in_it() {
        for (name, _) in super::super::super::acts::ACTS.iter().filter(|(n, _)| *n != "grant-extension") {
            assert!(ACTS.iter().any(|(act, _)| act == name), "{name}");
        }
        for (name, fields) in ACTS {
            let act = read(name, &filled(fields)).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
            let mut back = serde_json::to_value(act).unwrap();
            assert_eq!(back.as_object_mut().unwrap().remove("do").unwrap(), **name);
            if let Some(place) = back.pointer_mut("/facts/place") {
                *place = place["to"].take(); // a program asks by the ticket's state, not by what it saw of one fact
            }
            assert_eq!(back, filled(fields), "every field arrives, and there is no other");
            for (field, kind, required) in *fields {
                let with = |value: Value| {
                    let mut body = filled(fields);
                    body[*field] = value;
                    read(name, &body)
                };
                let mut without = filled(fields);
                without.as_object_mut().unwrap().remove(*field);
                assert_eq!(read(name, &without).is_err(), *required, "{name} without {field}");
                let wrong = if *kind == Kind::Text { json!(1) } else { json!("one") };
                assert!(with(wrong).is_err(), "{name} with a wrong {field}");
                assert!(with(Value::Null).is_err(), "{name} with no {field} where something stands");
                let blank = *kind == Kind::Text && with(json!(" ")).is_err() == *required;
                assert!(blank || *kind != Kind::Text, "{name} with a blank {field}");
            }
            let mut more = filled(fields);
            more["other"] = json!("x");
            assert!(read(name, &more).is_err());
        }
        assert!(read("erase", &json!({})).is_err());
    }
}
