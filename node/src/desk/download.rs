//! Files that a page gives away: tables for other programs.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// Lines of cells under a name, as a file that is saved. The mark tells table programs that it is UTF-8.
pub(super) fn csv(name: &str, lines: &str) -> Response {
    let mut response = format!("\u{feff}{lines}").into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
