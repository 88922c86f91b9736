//! Tables that a page gives away for other programs: one sheet as CSV, or with others as a spreadsheet.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::frame;
use super::guard::Signed;
use crate::cell::Sheet;
use crate::cell::book::book;

/// What a table is saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines of text.
    Csv,
    /// A spreadsheet.
    Xlsx,
}

impl Kind {
    /// By the end of its files' names; `None` for what is not given away.
    pub(super) fn of(end: &str) -> Option<Kind> {
        match end {
            "csv" => Some(Kind::Csv),
            "xlsx" => Some(Kind::Xlsx),
            _ => None,
        }
    }
}

/// The first of these sheets, or all of them, as a file that is saved.
pub(super) async fn file<N: AsRef<str>>(
    who: &Signed,
    name: &str,
    kind: Kind,
    sheets: impl FnOnce() -> Vec<(N, Sheet)> + Send + 'static,
) -> Response {
    // A year in quarters of an hour takes a second: away from the threads that serve.
    let made = tokio::task::spawn_blocking(move || {
        let sheets = sheets();
        match kind {
            // The mark tells table programs that it is UTF-8.
            Kind::Csv => {
                let lines: String = sheets.iter().take(1).map(|(_, sheet)| sheet.csv()).collect();
                Ok(format!("\u{feff}{lines}").into_bytes())
            }
            Kind::Xlsx => {
                book(&sheets.iter().map(|(name, sheet)| (name.as_ref(), sheet)).collect::<Vec<_>>())
            }
        }
    });
    let (end, media) = match kind {
        Kind::Csv => ("csv", "text/csv; charset=utf-8"),
        Kind::Xlsx => ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    };
    let mut response = match made.await {
        Ok(Ok(bytes)) => bytes.into_response(),
        Ok(Err(failure)) => return frame::failure(who, &failure),
        Err(_) => return axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{end}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
