//! Replies for people: tables on a terminal, tabs in a pipe, JSON when asked for.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::request::Failure;

/// One line on stdout. A reader that went away ends the program quietly, as it does for other tools.
pub(super) fn line(text: &str) {
    if writeln!(anstream::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// One line on stderr.
pub(super) fn aside(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Clears the terminal.
pub(super) fn clear() {
    if std::io::stdout().is_terminal() {
        let _ = write!(anstream::stdout(), "\x1b[2J\x1b[H");
    }
}

/// A sentence, its causes and a next step, or all of it as JSON.
pub(super) fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        return line(&json!({ "error": failure }).to_string());
    }
    aside(&format!("error: {failure}"));
    failure.causes.iter().for_each(|cause| aside(&format!("  because: {cause}")));
    if let Some(hint) = &failure.hint {
        aside(&format!("  next: {hint}"));
    }
}

/// A reply: rows become a table, an object its fields.
pub(super) fn value(value: &Value, as_json: bool) {
    if as_json {
        return line(&value.to_string());
    }
    match value {
        Value::Array(rows) => table(rows),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Array(rows) if rows.iter().any(Value::is_object) => {
                        line(&format!("{name}:"));
                        table(rows);
                    }
                    Value::Null => {}
                    field => line(&format!("{name}\t{}", cell(field))),
                }
            }
        }
        other => line(&cell(other)),
    }
}

/// A ticket's history.
pub(super) fn story(story: &Value, as_json: bool) {
    if as_json {
        return line(&story.to_string());
    }
    for told in story["lines"].as_array().into_iter().flatten() {
        line(told["text"].as_str().unwrap_or_default());
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Rows of objects; the first row names the columns.
pub(super) fn table(rows: &[Value]) {
    let Some(Value::Object(first)) = rows.first() else {
        return rows.iter().for_each(|row| line(&cell(row)));
    };
    let mut columns: Vec<&String> = first.keys().filter(|name| *name != "row").collect();
    let front = ["node", "number", "id", "subject", "key", "value", "from"];
    columns.sort_by_key(|name| front.iter().position(|f| f == name).unwrap_or(front.len()));
    let terminal = std::io::stdout().is_terminal();
    let shown = |row: &Value, name: &str| {
        let text = cell(&row[name]);
        // An id is 64 digits; eight are enough to name it again.
        if terminal && text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            text[..8].to_owned()
        } else {
            text
        }
    };
    if !terminal {
        line(&columns.iter().map(|c| c.as_str()).collect::<Vec<_>>().join("\t"));
        for row in rows {
            line(
                &columns
                    .iter()
                    .map(|c| shown(row, c).replace(['\t', '\n'], " "))
                    .collect::<Vec<_>>()
                    .join("\t"),
            );
        }
        return;
    }
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns.iter());
    for row in rows {
        table.add_row(columns.iter().map(|c| shown(row, c)));
    }
    line(&table.to_string());
}
