//! Open311 GeoReport v2 on the public door: `/open311/v2`, for the apps and portals that speak it.
//!
//! ```text
//! discovery  services  services/CODE     what there is: our topics, by their codes
//! requests   (POST, with a key)          files a request, once for each call
//! requests   requests/ID                 what was filed in public, by public ids: where it stands, and no word of it
//! ```
//!
//! XML and JSON, by the ending of the address (`.xml`, `.json`), else by `Accept`, else XML. A key is a token of the API
//! with the scope `open311:write`. A list names no number, no text, no place: those are the caller's.

mod requests;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::App;
use super::form::KINDS;
use write::{Format, Wrong, written};

/// When this description last changed.
const CHANGESET: &str = "2026-11-29T00:00:00+08:00";

const SPECIFICATION: &str = "http://wiki.open311.org/GeoReport_v2";

/// Parameters of an address.
type Asked = std::collections::BTreeMap<String, String>;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/open311/v2/{what}", get(many).post(requests::make))
        .route("/open311/v2/{what}/{one}", get(one))
}

/// A name without its ending, and the format that is wanted.
fn split<'a>(name: &'a str, headers: &HeaderMap) -> (&'a str, Format) {
    for (end, format) in [(".json", Format::Json), (".xml", Format::Xml)] {
        if let Some(name) = name.strip_suffix(end) {
            return (name, format);
        }
    }
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (name, if accepted.contains("json") { Format::Json } else { Format::Xml })
}

/// The code of this site, under which the specification knows a jurisdiction.
fn jurisdiction(app: &App) -> String {
    app.me.site().to_string()
}

/// There is one jurisdiction here, so it need not be named.
fn here(app: &App, named: Option<&str>) -> Result<(), Wrong> {
    match named.filter(|named| !named.is_empty()) {
        Some(other) if other != jurisdiction(app) => Err(Wrong::new(
            StatusCode::NOT_FOUND,
            format!("jurisdiction_id was not found; here is {}", jurisdiction(app)),
        )),
        _ => Ok(()),
    }
}

fn nothing() -> Wrong {
    Wrong::new(StatusCode::NOT_FOUND, "there is no such resource; see /open311/v2/discovery")
}

async fn many(
    State(app): State<Arc<App>>,
    Path(what): Path<String>,
    Query(asked): Query<Asked>,
    parts: axum::http::request::Parts,
) -> Response {
    let (what, format) = split(&what, &parts.headers);
    let answer = match (what, here(&app, asked.get("jurisdiction_id").map(String::as_str))) {
        (_, Err(wrong)) => Err(wrong),
        ("discovery", _) => Ok(written(format, "discovery", discovery(&app, &parts.headers))),
        ("services", _) => Ok(written(format, "services", services(&app))),
        ("requests", _) => {
            requests::list(&app, &parts, &asked).await.map(|rows| written(format, "service_requests", rows))
        }
        _ => Err(nothing()),
    };
    answer.unwrap_or_else(|wrong| wrong.written(format))
}

async fn one(
    State(app): State<Arc<App>>,
    Path((what, one)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    parts: axum::http::request::Parts,
) -> Response {
    let (one, format) = split(&one, &parts.headers);
    let answer = match (what.as_str(), here(&app, asked.get("jurisdiction_id").map(String::as_str))) {
        (_, Err(wrong)) => Err(wrong),
        ("services", _) => definition(&app, one).map(|made| written(format, "service_definition", made)),
        ("requests", _) => {
            requests::one(&app, &parts, one).await.map(|row| written(format, "service_requests", row))
        }
        _ => Err(nothing()),
    };
    answer.unwrap_or_else(|wrong| wrong.written(format))
}

fn discovery(app: &App, headers: &HeaderMap) -> Value {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let scheme = if app.secure || !app.proxies.is_empty() { "https" } else { "http" };
    json!({
        "changeset": CHANGESET,
        "contact": format!("12328 {}", app.reference().centres.name(app.me.site())),
        "key_service": "whoever looks after the node makes a key: hotline token add NAME --role agent --scope open311:write",
        "endpoints": [{
            "specification": SPECIFICATION,
            "url": format!("{scheme}://{host}/open311/v2"),
            "changeset": CHANGESET,
            "type": "production",
            "formats": ["text/xml", "application/json"],
        }],
    })
}

fn services(app: &App) -> Value {
    let categories = &app.reference().categories;
    let of = |domain: &crate::reference::Category| {
        let name = domain.name().to_owned();
        let service = move |topic: &crate::reference::Category| {
            json!({
                "service_code": topic.code().to_string(),
                "service_name": topic.name(),
                "description": format!("{name} · {}", topic.name()),
                "metadata": "true",
                "type": "realtime",
                "keywords": name,
                "group": name,
            })
        };
        categories.topics(domain).map(service).collect::<Vec<_>>()
    };
    categories.domains().flat_map(of).collect()
}

/// The topic of a code.
fn topic(app: &App, code: &str) -> Result<crate::reference::Category, Wrong> {
    app.reference()
        .categories
        .topic(None, code)
        .ok()
        .filter(|topic| topic.code().to_string() == code)
        .cloned()
        .ok_or_else(|| {
            Wrong::new(StatusCode::NOT_FOUND, "service_code was not found; see /open311/v2/services")
        })
}

/// What a request of a service may say beyond the common fields.
fn definition(app: &App, code: &str) -> Result<Value, Wrong> {
    let topic = topic(app, code)?;
    let kinds: Vec<Value> = KINDS
        .iter()
        .filter(|kind| !kind.confidential)
        .map(|kind| json!({ "key": kind.name, "name": kind.zh }))
        .collect();
    let attribute = |order: u32, code: &str, datatype: &str, description: &str| {
        json!({
            "variable": "true", "code": code, "datatype": datatype, "required": "false",
            "datatype_description": "", "order": order, "description": description,
        })
    };
    let mut kind = attribute(1, "kind", "singlevaluelist", "类别；不选按投诉");
    kind["values"] = kinds.into();
    let attributes =
        [kind, attribute(2, "plate", "string", "车牌号"), attribute(3, "happened_at", "string", "时间")];
    Ok(json!({ "service_code": topic.code().to_string(), "attributes": attributes }))
}
