//! Answers as JSON and as XML: the same values, by one rule.
//!
//! ```text
//! {"a": "x", "bs": [{…}, {…}]}   <root><a>x</a><bs><b>…</b><b>…</b></bs></root>     a list names its items in the singular
//! ```

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

/// What was not done, as the specification tells it.
#[derive(Debug)]
pub(super) struct Wrong {
    status: StatusCode,
    description: String,
    /// Seconds after which it may be tried again.
    after: Option<u64>,
}

impl Wrong {
    pub(super) fn new(status: StatusCode, description: impl Into<String>) -> Wrong {
        Wrong { status, description: description.into(), after: None }
    }

    pub(super) fn later(status: StatusCode, description: &str, wait: std::time::Duration) -> Wrong {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Wrong { after: Some(seconds.max(1)), ..Wrong::new(status, description) }
    }

    pub(super) fn written(self, format: Format) -> Response {
        let errors = json!([{ "code": self.status.as_u16(), "description": self.description }]);
        let mut response = written(format, "errors", errors);
        *response.status_mut() = self.status;
        if let Some(after) = self.after {
            response.headers_mut().insert(header::RETRY_AFTER, after.into());
        }
        response
    }
}

/// An answer; of a list, the root's name without its `s` is that of an item.
pub(super) fn written(format: Format, root: &str, value: Value) -> Response {
    let (kind, text) = match format {
        Format::Json => ("application/json; charset=utf-8", value.to_string()),
        Format::Xml => {
            let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned();
            element(&mut text, root, &value);
            ("text/xml; charset=utf-8", text)
        }
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn item_of(list: &str) -> &str {
    // The specification's own exception: <service_requests><request>.
    if list == "service_requests" { "request" } else { list.strip_suffix('s').unwrap_or("item") }
}

fn element(text: &mut String, name: &str, value: &Value) {
    *text += &format!("<{name}>");
    match value {
        Value::Array(items) => items.iter().for_each(|item| element(text, item_of(name), item)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| element(text, name, value)),
        Value::Null => {}
        Value::String(said) => said.chars().for_each(|c| match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\t' | '\n' | '\r' => text.push(c),
            // XML has no way to write these.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => text.push('\u{fffd}'),
            c => text.push(c),
        }),
        other => *text += &other.to_string(),
    }
    *text += &format!("</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_xml() {
        let mut text = String::new();
        let rows = json!([{ "id": "<&>\u{1}", "none": null, "attributes": [{ "order": 1 }] }]);
        element(&mut text, "service_requests", &rows);
        assert_eq!(
            text,
            "<service_requests><request><attributes><attribute><order>1</order></attribute></attributes>\
             <id>&lt;&amp;&gt;\u{fffd}</id><none></none></request></service_requests>"
        );
    }
}
