//! The description of `/api/v1`, and what of an answer does not fit it.
//!
//! Less than JSON Schema, which allows what is not described, and more: a field that no schema knows is a fault here.

use serde_json::Value;

use super::browser::Browser;
use super::program::value;

/// A node's description.
#[derive(Clone)]
pub struct Description(pub Value);

impl Description {
    /// As the node gives it.
    pub fn of(desk: &str) -> Description {
        Description(value(&Browser::new(desk).get("/api/v1/openapi.json").is(200)))
    }

    /// Every operation that answers with JSON when all goes well: its method and path.
    pub fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, verbs)| verbs.as_object().unwrap().iter().map(move |of| (path, of)));
        let json = |operation: &Value| {
            let mut good =
                operation["responses"].as_object().unwrap().iter().filter(|(s, _)| s.starts_with('2'));
            good.any(|(_, response)| response["content"]["application/json"].is_object())
        };
        all.filter(|(_, (_, operation))| json(operation))
            .map(|(path, (verb, _))| (verb.to_uppercase(), path.clone()))
            .collect()
    }

    /// What of an answer is not as it is described, each with its place.
    pub fn faults(&self, verb: &str, path: &str, status: u16, answer: &Value) -> Vec<String> {
        let mut response = &self.0["paths"][path][verb.to_lowercase()]["responses"][status.to_string()];
        if let Some(to) = response["$ref"].as_str() {
            response = self.named(to);
        }
        let Some((_, content)) = response["content"].as_object().and_then(|content| content.iter().next())
        else {
            return vec![format!("{verb} {path}: {status} is not described")];
        };
        let mut faults = Vec::new();
        self.compare(&format!("{verb} {path}"), &content["schema"], answer, &mut faults);
        faults
    }

    fn named(&self, to: &str) -> &Value {
        self.0.pointer(to.trim_start_matches('#')).unwrap_or_else(|| panic!("nothing is described as {to}"))
    }

    fn compare(&self, at: &str, schema: &Value, value: &Value, faults: &mut Vec<String>) {
        if let Some(to) = schema["$ref"].as_str() {
            return self.compare(at, self.named(to), value, faults);
        }
        if let Some(ways) = schema["oneOf"].as_array() {
            let tried = ways.iter().map(|way| {
                let mut faults = Vec::new();
                self.compare(at, way, value, &mut faults);
                faults
            });
            let tried: Vec<Vec<String>> = tried.collect();
            match tried.iter().filter(|faults| faults.is_empty()).count() {
                1 => {}
                0 => faults.extend(tried.into_iter().flatten()),
                several => faults.push(format!("{at}: it is {several} of what it can be one of")),
            }
            return;
        }
        let known = schema.get("allOf").is_none() && schema.get("anyOf").is_none();
        assert!(known, "{at}: who compares does not know how this is described: {schema}");
        if !is_of(&schema["type"], value) {
            let shown: String = value.to_string().chars().take(80).collect();
            faults.push(format!("{at}: {shown} is no {}", schema["type"]));
            return;
        }
        match value {
            Value::Object(fields) => {
                let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let missing = required.filter(|name| !fields.contains_key(*name));
                faults.extend(missing.map(|name| format!("{at}.{name}: it is missing")));
                for (name, value) in fields {
                    let at = format!("{at}.{name}");
                    match (schema["properties"].get(name), schema.get("additionalProperties")) {
                        (Some(of), _) | (None, Some(of)) => self.compare(&at, of, value, faults),
                        (None, None) if schema["type"].is_null() => {} // of anything nothing is told
                        (None, None) => faults.push(format!("{at}: it is not described")),
                    }
                }
            }
            Value::Array(values) => {
                let first = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
                for (i, value) in values.iter().enumerate() {
                    let of = first.get(i).unwrap_or(&schema["items"]);
                    self.compare(&format!("{at}[{i}]"), of, value, faults);
                }
            }
            plain => faults.extend(wrong(schema, plain).map(|why| format!("{at}: {plain} {why}"))),
        }
    }
}

/// Whether a value is of a type, or of one of several.
fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    match types {
        Value::Null => true,
        Value::String(name) => is(name),
        several => several.as_array().unwrap().iter().filter_map(Value::as_str).any(is),
    }
}

/// What is wrong with a text or a number.
fn wrong(schema: &Value, value: &Value) -> Option<String> {
    let text = value.as_str();
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let fits = match (schema["format"].as_str(), schema["pattern"].as_str(), text) {
        (Some("date-time"), _, Some(text)) => text.parse::<jiff::Timestamp>().is_ok(),
        (Some("date"), _, Some(text)) => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        (_, Some("^[0-9a-f]{64}$"), Some(text)) => is_hash(text),
        _ => true,
    };
    let known = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    let least = schema["minimum"].as_f64().is_none_or(|least| value.as_f64().is_none_or(|n| n >= least));
    (!fits || !known || !least).then(|| format!("does not fit {schema}"))
}
