//! The description of the API, OpenAPI 3.1, made of the table of routes, the table of actions and the shapes of answers.

use std::sync::LazyLock;

use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref,
    RefOr, Required, ResponseBuilder, Schema, Server,
};

use super::ROOT;
use super::acts::{ACTS, Field, Kind};
use super::problem::PROBLEM;
use super::routes::{Answer, Op, Param, ROUTES, Route, Takes, Verb};
use super::shapes::{Is, Schemas, Shape, field};
use crate::import::Urgency;
use crate::projection::QUEUES;
use crate::users::{MAX_KEY, SCOPES};

/// The description's own.
pub(super) const DESCRIPTION: Shape = Shape {
    name: "Description",
    says: "A description of an API by OpenAPI",
    like: None,
    holds: &[
        field("openapi", Is::Text, "the version of OpenAPI"),
        field("info", Is::ByName(&Is::Anything), "what it describes"),
        field("servers", Is::Many(&Is::Anything), "where that is served"),
        field("paths", Is::ByName(&Is::Anything), "what can be asked"),
        field("components", Is::ByName(&Is::Anything), "what is referred to"),
        field("security", Is::Many(&Is::Anything), "what a program shows"),
    ],
};

/// The one name of what a program shows.
const BEARER: &str = "bearer";

/// The document as a text; made once, for everybody may ask for it.
pub(super) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(&make()).expect("a description is plain values under texts"));
    &DOCUMENT
}

fn make() -> OpenApi {
    let (mut paths, mut schemas) = (Paths::new(), Schemas::new());
    for route in ROUTES {
        let mut put = |path: &str, id: &str, route: &Route| {
            let operation = operation(route, path, id, &mut schemas);
            paths.add_path_operation(path, vec![method(route.verb)], operation);
        };
        match route.op {
            Op::Act => {
                for (name, fields) in ACTS {
                    let path = route.path.replace("{do}", name);
                    put(&path, &format!("act-{name}"), &Route { takes: Takes::Json(fields), ..*route });
                }
            }
            _ => put(route.path, route.id, route),
        }
    }
    let problem = Content::new(Some(Is::A(&PROBLEM).schema(&mut schemas)));
    let problem = ResponseBuilder::new()
        .description("what went wrong, and what to do next (RFC 9457)")
        .content("application/problem+json", problem);
    let scopes: Vec<String> = SCOPES.iter().map(|(_, name)| format!("`{name}`")).collect();
    let says = format!("`hotline token add NAME --role ROLE --scope ...`; scopes are {}", scopes.join(", "));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(says)).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .response("Problem", problem)
        .security_scheme(BEARER, SecurityScheme::Http(bearer));
    let info = InfoBuilder::new()
        .title("hotline 12328")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "One node's tickets, for programs. A token has the rights of a role, narrowed by its scopes.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(ROOT)]))
        .security(Some([SecurityRequirement::new(BEARER, [""; 0])]))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
    }
}

fn operation(route: &Route, path: &str, id: &str, schemas: &mut Schemas) -> OperationBuilder {
    let mut operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(route.says));
    if let Some(scope) = route.scope {
        operation = operation.description(Some(format!("Scope: `{scope}`")));
    }
    if matches!(route.op, Op::Document | Op::CallEventAt) {
        operation = operation.securities(Some([]));
    }
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let of_path = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        operation = operation.parameter(of_path.required(Required::True).schema(Some(plain(Kind::Text))));
    }
    operation =
        route.query.iter().map(|param| query(route.op, param)).fold(operation, OperationBuilder::parameter);
    operation = headers(route.op).into_iter().fold(operation, OperationBuilder::parameter);
    operation = operation.request_body(body(route));
    let (media, answer) = match route.answer {
        // What browsers may show comes as what it is.
        Answer::Bytes => ("*/*", Is::Anything.schema(schemas)),
        Answer::Events => ("text/event-stream", Is::Text.schema(schemas)),
        Answer::Json(is) => ("application/json", is.schema(schemas)),
    };
    let gives = |says: &str| {
        ResponseBuilder::new().description(says).content(media, Content::new(Some(answer.clone())))
    };
    operation = operation.response(route.status.to_string(), gives(route.gives));
    let problems: &[u16] = match (route.op, route.takes) {
        (Op::Document, _) => &[],
        (Op::Changes | Op::Stream, _) => &[400, 401, 403, 404, 406, 409, 410, 422, 429, 503],
        (_, Takes::Nothing) => &[400, 401, 403, 404, 406, 409, 422, 429, 503],
        _ => &[400, 401, 403, 404, 406, 409, 412, 413, 415, 422, 429, 503],
    };
    for status in problems {
        operation = operation.response(status.to_string(), Ref::from_response_name("Problem"));
    }
    match route.op {
        Op::Show => operation.response("304", ResponseBuilder::new().description("it is still this")),
        Op::Attach => operation.response("200", gives("it was here already")),
        Op::CallRecording => operation
            .response("200", gives("it was here already"))
            .response("202", gives("it waits for the call's ticket")),
        _ => operation,
    }
}

/// The headers that a program may send with a route.
fn headers(op: Op) -> Vec<ParameterBuilder> {
    let header = |name: &str, says: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(says))
            .schema(Some(schema))
    };
    let text = || plain(Kind::Text);
    let state = || {
        let tag = text().pattern(Some(r#"^(\*|"[0-9a-f]+")$"#));
        header("If-Match", "an `ETag`: 412 when the ticket has changed since", tag)
    };
    let key = || {
        let says = "asked again under it within two days, the answer is the same and nothing is done";
        let key = text().min_length(Some(1)).max_length(Some(MAX_KEY)).pattern(Some("^[!-~]+$"));
        header("Idempotency-Key", says, key)
    };
    match op {
        Op::Show => vec![header("If-None-Match", "an `ETag`: 304 when it is still this", text())],
        Op::Act | Op::Note => vec![state(), key()],
        Op::New | Op::Used | Op::Unhelpful => vec![key()],
        Op::Stream => vec![header("Last-Event-ID", "the id of the last event that was dealt with", text())],
        _ => Vec::new(),
    }
}

fn body(route: &Route) -> Option<RequestBody> {
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    let body = match route.takes {
        Takes::Nothing => return None,
        Takes::Bytes => {
            let kind = if route.op == Op::CallRecording { "audio/*" } else { "application/octet-stream" };
            body.content(kind, Content::new(None::<RefOr<Schema>>))
        }
        Takes::Event(fields) => {
            let content = || Content::new(Some(object(fields, true)));
            body.content("application/json", content())
                .content("application/x-www-form-urlencoded", content())
        }
        // A new ticket may say more than has a name here.
        Takes::Json(fields) => {
            body.content("application/json", Content::new(Some(object(fields, route.op != Op::Act))))
        }
    };
    Some(body.build())
}

fn plain(kind: Kind) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(match kind {
        Kind::Text => Type::String,
        Kind::Number => Type::Integer,
        Kind::Truth => Type::Boolean,
        Kind::Facts => Type::Object,
    }))
}

fn query(op: Op, param: &Param) -> ParameterBuilder {
    let schema = plain(param.kind);
    let between = |schema: ObjectBuilder, most: usize| schema.minimum(Some(1)).maximum(Some(most));
    let schema = match param.name {
        "queue" => schema.enum_values(Some(QUEUES)),
        "q" | "name" => schema.pattern(Some(r"\S")),
        "cursor" => schema.pattern(Some("^[1-9][0-9]{0,17}$")),
        "language" => schema.enum_values(Some(["zh", "en"])),
        "urgency" => schema.enum_values(Some(Urgency::ALL.map(Urgency::word))),
        "sort" => schema.enum_values(Some(["newest", "oldest", "due"])),
        "first" | "last" => schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))),
        "limit" if op == Op::Similar => between(schema, 50),
        "limit" => between(schema, 100),
        "wait" => between(schema, 25),
        "days" => between(schema, 31),
        _ => schema,
    };
    ParameterBuilder::new()
        .name(param.name)
        .parameter_in(ParameterIn::Query)
        .required(if param.required { Required::True } else { Required::False })
        .description(Some(param.says))
        .schema(Some(schema))
}

/// An object with these fields, and with more of them if it may have.
fn object(fields: &[Field], more: bool) -> ObjectBuilder {
    let mut object = plain(Kind::Facts).additional_properties(Some(AdditionalProperties::FreeForm(more)));
    for (name, kind, required) in fields {
        let value = match kind {
            Kind::Text if *required => plain(*kind).pattern(Some(r"\S")),
            Kind::Number => plain(*kind).minimum(Some(0)).maximum(Some(u32::MAX)),
            _ => plain(*kind),
        };
        object = object.property(*name, value);
        if *required {
            object = object.required(*name);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_route_and_every_action_stands_in_the_description_under_a_name_of_its_own() {
        let document: Value = serde_json::from_str(document()).unwrap();
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
