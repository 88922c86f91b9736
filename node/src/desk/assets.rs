//! The three files that pages need. They are in the program, bear their content's hash in their names, and may be kept
//! for ever; nothing comes from anywhere else.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The addresses of the files.
#[derive(Debug)]
pub(crate) struct Assets {
    pub(crate) style: String,
    pub(super) script: String,
    pub(crate) icon: String,
}

pub(crate) const STYLE: &str = include_str!("../../assets/desk.css");
const SCRIPT: &str = include_str!("../../assets/desk.js");
pub(crate) const ICON: &str = include_str!("../../assets/desk.svg");

/// The address of a file with this content.
pub(crate) fn named(content: &str, end: &str) -> String {
    format!("/assets/{}.{end}", &blake3::hash(content.as_bytes()).to_hex()[..16])
}

/// Their addresses.
pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: named(STYLE, "css"),
    script: named(SCRIPT, "js"),
    icon: named(ICON, "svg"),
});

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let (kind, content) = match &path {
        p if *p == ASSETS.style => ("text/css; charset=utf-8", STYLE),
        p if *p == ASSETS.script => ("text/javascript; charset=utf-8", SCRIPT),
        p if *p == ASSETS.icon => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, content).into_response()
}
