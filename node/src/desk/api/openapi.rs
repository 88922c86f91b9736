//! The description of the API, OpenAPI 3.1, made of the table of routes and the table of actions.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::ROOT;
use super::acts::{ACTS, Field, Kind};
use super::routes::{Op, Param, ROUTES, Route, Takes, Verb};
use crate::projection::QUEUES;
use crate::users::SCOPES;

/// The document; made once.
pub(super) fn document() -> Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(make);
    DOCUMENT.clone()
}

fn make() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        match route.op {
            Op::Act => {
                for (name, fields) in ACTS {
                    let path = route.path.replace("{do}", name);
                    let row = Route { takes: Takes::Json(fields), ..*route };
                    put(&mut paths, &path, route.verb, operation(&row, &path, &format!("act-{name}")));
                }
            }
            _ => put(&mut paths, route.path, route.verb, operation(route, route.path, route.id)),
        }
    }
    let scopes: Vec<String> = SCOPES.iter().map(|(_, name)| format!("`{name}`")).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hotline 12328",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One node's tickets, for programs. A token has the rights of a role, narrowed by its scopes.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": ROOT }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer",
                "description": format!("`hotline token add NAME --role ROLE --scope ...`; scopes are {}", scopes.join(", ")),
            } },
            "schemas": { "Problem": {
                "type": "object",
                "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": { "type": "string", "format": "uri" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "detail": { "type": "string" },
                    "hint": { "type": "string", "description": "what to do next" },
                },
            } },
            "responses": { "Problem": {
                "description": "what went wrong, and what to do next (RFC 9457)",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    })
}

fn put(paths: &mut Map<String, Value>, path: &str, verb: Verb, operation: Value) {
    let verb = match verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Put => "put",
    };
    paths.entry(path.to_owned()).or_insert_with(|| json!({}))[verb] = operation;
}

fn operation(route: &Route, path: &str, id: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(query));
    let header = |name: &str, says: &str| json!({ "name": name, "in": "header", "required": false, "description": says, "schema": { "type": "string" } });
    if route.op == Op::Show {
        parameters.push(header("If-None-Match", "an `ETag`: 304 when it is still this"));
    }
    if matches!(route.op, Op::Act | Op::Note) {
        let mut state = header("If-Match", "an `ETag`: 412 when the ticket has changed since");
        state["schema"]["pattern"] = r#"^(\*|"[0-9a-f]+")$"#.into();
        parameters.push(state);
    }
    if matches!(route.op, Op::New | Op::Act | Op::Note) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "asked again under it within two days, the answer is the same and nothing is done",
            "schema": { "type": "string", "minLength": 1, "maxLength": crate::users::MAX_KEY, "pattern": "^[!-~]+$" },
        }));
    }
    if route.op == Op::Stream {
        parameters.push(header("Last-Event-ID", "the id of the last event that was dealt with"));
    }
    let (media, schema) = match route.op {
        // What browsers may show comes as what it is.
        Op::Fetch => ("*/*", json!({})),
        Op::Stream => ("text/event-stream", json!({ "type": "string" })),
        _ => ("application/json", json!({ "type": "object" })),
    };
    let mut responses = Map::new();
    responses.insert(
        route.status.to_string(),
        json!({ "description": route.gives, "content": { media: { "schema": schema } } }),
    );
    let problems: &[u16] = match (route.op, route.takes) {
        (Op::Document, _) => &[],
        (_, Takes::Nothing) => &[400, 401, 403, 404, 406, 409, 422, 429, 503],
        _ => &[400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 429, 503],
    };
    for status in problems {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    if route.op == Op::CallRecording {
        for (status, says) in [("200", "it was here already"), ("202", "it waits for the call's ticket")] {
            let content = json!({ media: { "schema": { "type": "object" } } });
            responses.insert(status.to_owned(), json!({ "description": says, "content": content }));
        }
    }
    match route.op {
        Op::Show => drop(responses.insert("304".to_owned(), json!({ "description": "it is still this" }))),
        Op::Changes | Op::Stream => drop(
            responses.insert("410".to_owned(), json!({ "$ref": "#/components/responses/Problem" })),
        ),
        Op::Attach => drop(responses.insert(
            "200".to_owned(),
            json!({ "description": "it was here already", "content": { media: { "schema": { "type": "object" } } } }),
        )),
        _ => {}
    }
    let mut operation = json!({
        "operationId": id,
        "summary": route.says,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(scope) = route.scope {
        operation["description"] = format!("Scope: `{scope}`").into();
    }
    if matches!(route.op, Op::Document | Op::CallEventAt) {
        operation["security"] = json!([]);
    }
    match route.takes {
        Takes::Nothing => {}
        Takes::Event(fields) => {
            let mut schema = object(fields);
            schema["additionalProperties"] = true.into();
            operation["requestBody"] = json!({ "required": true, "content": {
                "application/json": { "schema": schema },
                "application/x-www-form-urlencoded": { "schema": schema },
            } });
        }
        Takes::Bytes => {
            let kind = if route.op == Op::CallRecording { "audio/*" } else { "application/octet-stream" };
            operation["requestBody"] = json!({ "required": true, "content": { kind: {} } });
        }
        Takes::Json(fields) => {
            let mut schema = object(fields);
            // A new ticket may say more than has a name here.
            schema["additionalProperties"] = (route.op != Op::Act).into();
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
    }
    operation
}

fn query(param: &Param) -> Value {
    let mut schema = json!({ "type": param.kind.name() });
    match param.name {
        "queue" => schema["enum"] = json!(QUEUES),
        "q" | "name" => schema["pattern"] = r"\S".into(),
        "cursor" => schema["pattern"] = "^[1-9][0-9]{0,17}$".into(),
        "language" => schema["enum"] = json!(["zh", "en"]),
        "urgency" => schema["enum"] = json!(["一般", "紧急", "特急"]),
        "sort" => schema["enum"] = json!(["newest", "oldest", "due"]),
        "first" | "last" => schema["format"] = "date".into(),
        "limit" => (schema["minimum"], schema["maximum"]) = (1.into(), 100.into()),
        "wait" => (schema["minimum"], schema["maximum"]) = (1.into(), 25.into()),
        "days" => (schema["minimum"], schema["maximum"]) = (1.into(), 31.into()),
        _ => {}
    }
    json!({
        "name": param.name, "in": "query", "required": param.required, "description": param.says, "schema": schema,
    })
}

fn object(fields: &[Field]) -> Value {
    let property = |(name, kind, required): &Field| {
        let mut schema = json!({ "type": kind.name() });
        match kind {
            Kind::Text if *required => schema["pattern"] = r"\S".into(),
            Kind::Number => (schema["minimum"], schema["maximum"]) = (0.into(), u32::MAX.into()),
            _ => {}
        }
        ((*name).to_owned(), schema)
    };
    let required: Vec<&str> =
        fields.iter().filter(|(.., required)| *required).map(|(name, ..)| *name).collect();
    json!({
        "type": "object",
        "properties": fields.iter().map(property).collect::<Map<_, _>>(),
        "required": required,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_and_every_action_stands_in_the_description_under_a_name_of_its_own() {
        let document = document();
        let mut ids = Vec::new();
        for (_, verbs) in document["paths"].as_object().unwrap() {
            for (_, operation) in verbs.as_object().unwrap() {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(ids.len(), ROUTES.len() - 1 + ACTS.len());
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len() - 1 + ACTS.len());
        for route in ROUTES.iter().filter(|route| route.op != Op::Act) {
            let verb = match route.verb {
                Verb::Get => "get",
                Verb::Post => "post",
                Verb::Put => "put",
            };
            assert_eq!(document["paths"][route.path][verb]["operationId"], route.id, "{}", route.path);
        }
        for (name, _) in ACTS {
            assert!(document["paths"][format!("/tickets/{{id}}/acts/{name}")]["post"].is_object(), "{name}");
        }
    }
}
