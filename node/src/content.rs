//! What stands in a ticket's document, read out of automerge into plain values.

use automerge::iter::MapRangeItem;
use automerge::{Automerge, ObjId, ReadDoc, ScalarValue, Value};
use serde_json::{Map, Value as Json};
use sync::document::Document;

use crate::vault::Part;

/// The parts of a ticket that are not its trail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The registers.
    pub facts: Map<String, Json>,
    /// The caller's words.
    pub body: String,
    /// Notes by their hash, as they came.
    pub notes: Map<String, Json>,
    /// Files by the hash of their name.
    pub files: Map<String, Json>,
    /// The sealed person.
    pub person: Option<Vec<u8>>,
    /// The sealed words of a confidential report.
    pub sealed_body: Option<Vec<u8>>,
    /// Registers that two people set to different values at once, with all of them in the order of their texts.
    pub conflicts: Map<String, Json>,
}

impl Content {
    /// Reads a document; what is not there is empty.
    pub fn read(document: &Document) -> Content {
        let doc = document.automerge();
        let mut content = Content::default();
        if let Some(facts) = document.part("facts") {
            for item in doc.map_range(&facts, ..) {
                if item.conflict {
                    let values = doc.get_all(&facts, item.key.as_ref()).unwrap_or_default();
                    let mut values: Vec<Json> = values.iter().map(|(v, _)| json(v)).collect();
                    values.sort_by_cached_key(Json::to_string);
                    values.dedup(); // two who write the same do not disagree
                    if values.len() > 1 {
                        content.conflicts.insert(item.key.to_string(), values.into());
                    }
                }
                content.facts.insert(item.key.into_owned(), json(&item.value.into()));
            }
        }
        if let Some(body) = document.part("body") {
            content.body = doc.text(&body).unwrap_or_default();
        }
        content.notes = map(doc, document.part("notes"), |bytes| serde_json::from_slice(bytes).ok());
        content.files = map(doc, document.part("files"), |bytes| serde_json::from_slice(bytes).ok());
        let sealed = |part: Part| match doc.get(&document.part("person")?, part.key()).ok().flatten() {
            Some((Value::Scalar(v), _)) => match v.as_ref() {
                ScalarValue::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            },
            _ => None,
        };
        content.person = sealed(Part::Person);
        content.sealed_body = sealed(Part::Body);
        content
    }

    /// One register without the rest, if it holds a text.
    pub fn fact(document: &Document, name: &str) -> Option<String> {
        let facts = document.part("facts")?;
        let (value, _) = document.automerge().get(&facts, name).ok()??;
        value.as_str().map(str::to_owned)
    }
}

fn map(doc: &Automerge, part: Option<ObjId>, read: impl Fn(&[u8]) -> Option<Json>) -> Map<String, Json> {
    let Some(part) = part else { return Map::new() };
    let entry = |item: MapRangeItem<'_>| {
        let key = item.key.into_owned();
        match item.value.into() {
            Value::Scalar(v) => match v.as_ref() {
                ScalarValue::Bytes(bytes) => {
                    let value = read(bytes)
                        .unwrap_or_else(|| Json::from(String::from_utf8_lossy(bytes).into_owned()));
                    Some((key, value))
                }
                other => Some((key, json(&Value::Scalar(std::borrow::Cow::Borrowed(other))))),
            },
            Value::Object(_) => None,
        }
    };
    doc.map_range(&part, ..).filter_map(entry).collect()
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Scalar(v) => match v.as_ref() {
            ScalarValue::Str(s) => Json::from(s.as_str()),
            ScalarValue::Int(n) => Json::from(*n),
            ScalarValue::Uint(n) => Json::from(*n),
            ScalarValue::F64(n) => Json::from(*n),
            ScalarValue::Boolean(b) => Json::from(*b),
            ScalarValue::Timestamp(n) => Json::from(*n),
            ScalarValue::Bytes(b) => Json::from(b.iter().map(|b| format!("{b:02x}")).collect::<String>()),
            _ => Json::Null,
        },
        Value::Object(_) => Json::Null,
    }
}
