//! Replies for people: tables on a terminal, tabs in a pipe, JSON when asked for.

use std::io::{IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, TableComponent, presets};
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
                    Value::Object(inner) => {
                        for (key, value) in inner.iter().filter(|(_, v)| !v.is_null()) {
                            line(&format!("{name}.{key}\t{}", cell(value)));
                        }
                    }
                    field => line(&format!("{name}\t{}", cell(field))),
                }
            }
        }
        other => line(&cell(other)),
    }
}

/// A ticket: for a person what matters of it, in a pipe every field.
pub(super) fn ticket(ticket: &Value, as_json: bool) {
    match !as_json && std::io::stdout().is_terminal() && ticket["number"].is_string() {
        true => line(&card(ticket)),
        false => value(ticket, as_json),
    }
}

fn card(ticket: &Value) -> String {
    let part = |key: &str| cell(&ticket[key]);
    let count = |key: &str| ticket[key].as_array().map_or(0, Vec::len);
    let mut text = format!(
        "{}   {}   held by {}, taken by {}",
        part("number"),
        part("stage"),
        part("custodian"),
        part("taken_by")
    );
    if let Some(to) = ticket["open_offer"]["to"].as_str() {
        text += &format!(", offered to {to}");
    }
    if ticket["confidential"] == true {
        text += "   举报人保密";
    }
    if let Some(deadline) = ticket["deadline"]["text"]["en"].as_str() {
        text += &format!("\n{deadline}");
    }
    for line in ticket["handover"]["text"]["en"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text += &format!("\n{line}");
    }
    if let Some(suggested) = ticket["suggested"]["text"]["en"].as_str() {
        text += &format!("\n{suggested}");
    }
    let looks = count("superseded") + count("proposals") + count("alarms");
    if looks > 0 {
        text += &format!("\n{looks} things to look at: hotline ticket history {}", part("number"));
    }
    text += "\n\n";
    for (name, fact) in ticket["facts"].as_object().into_iter().flatten() {
        text += &format!("{name:<16} {}\n", cell(fact));
    }
    for (name, said) in ticket["person"].as_object().into_iter().flatten() {
        text += &format!("{:<16} {}\n", format!("caller.{name}"), cell(said));
    }
    text += &format!("\n{}\n", part("body"));
    for note in ticket["notes"].as_object().into_iter().flatten().map(|(_, note)| note) {
        let part = |key: &str| note[key].as_str().unwrap_or_default();
        text += &format!("\n{}  {} {}: {}", moment(part("at")), part("node"), part("user"), part("text"));
    }
    text.trim_end().to_owned()
}

/// A ticket's history: when, and what was done. What has no effect steps back, on a terminal that has colours.
pub(super) fn story(story: &Value, as_json: bool) {
    if as_json {
        return line(&story.to_string());
    }
    let mut trail = true;
    for told in story["lines"].as_array().into_iter().flatten() {
        let text = told["text"].as_str().unwrap_or_default();
        if told["entry"].is_null() && std::mem::take(&mut trail) {
            line(""); // the closing words: who holds it, and why
        }
        let when = told["at"].as_str().map_or_else(String::new, |at| format!("{}  ", moment(at)));
        match told["mark"].as_str() {
            Some("superseded" | "unentitled") => line(&format!("\x1b[2m{when}{text}\x1b[0m")),
            _ => line(&format!("{when}{text}")),
        }
    }
}

/// What may be done with a ticket, a row an action; then what peers lack of it.
pub(super) fn choices(choices: &Value, as_json: bool) {
    if as_json {
        return line(&choices.to_string());
    }
    let row = |choice: &Value| {
        let who = choice["who"].as_array().into_iter().flatten();
        let who: Vec<String> = who.map(|s| format!("{} {}", cell(&s["site"]), cell(&s["name"]))).collect();
        json!({ "name": choice["do"], "may": choice["may"], "why": choice["why"], "who": who.join(", ") })
    };
    table(&choices["choices"].as_array().into_iter().flatten().map(row).collect::<Vec<_>>());
    for key in ["replies", "peers"] {
        match choices[key].as_array() {
            Some(rows) if !rows.is_empty() => table(rows),
            _ => {}
        }
    }
    if let Some(suggested) = choices["suggested"]["text"]["en"].as_str() {
        line(suggested);
    }
}

/// A time of RFC 3339 to the minute.
pub(super) fn moment(at: &str) -> String {
    at.get(..16).map_or_else(|| at.to_owned(), |minute| minute.replace('T', " "))
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Columns that people look for first, in this order; the others follow by name.
const FRONT: &[&str] = &[
    "node",
    "rank",
    "unit",
    "name",
    "score",
    "number",
    "id",
    "key",
    "value",
    "from",
    "kind",
    "what",
    "about",
    "entry",
    "document",
    "connected",
    "digest_equal",
    "outbox",
    "custody",
    "documents",
    "items",
    "subject",
    "figure",
    "zh",
    "en",
    "now",
    "share",
    "counted",
    "before",
    "change",
    "year_before",
    "change_year",
    "taken",
];

/// Columns that are never broken: what stands in them is read out, or typed again.
const WHOLE: [&str; 4] = ["node", "number", "id", "at"];

/// The names of all fields; `None` when there are no rows of objects.
fn columns(rows: &[Value]) -> Option<Vec<&String>> {
    let mut columns: Vec<&String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if name != "row" && !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns.sort_by_key(|name| (FRONT.iter().position(|f| f == name).unwrap_or(FRONT.len()), *name));
    if columns.is_empty() { None } else { Some(columns) }
}

/// Rows of objects. A table on a terminal, tabs in a pipe.
pub(super) fn table(rows: &[Value]) {
    let Some(columns) = columns(rows) else { return rows.iter().for_each(|row| line(&cell(row))) };
    if std::io::stdout().is_terminal() {
        return line(&table_text(rows));
    }
    line(&columns.iter().map(|c| c.as_str()).collect::<Vec<_>>().join("\t"));
    for row in rows {
        let cells = columns.iter().map(|c| cell(&row[c.as_str()]).replace(['\t', '\n', '\r'], " "));
        line(&cells.collect::<Vec<_>>().join("\t"));
    }
}

/// A table as wide as the terminal.
pub(super) fn table_text(rows: &[Value]) -> String {
    let Some(columns) = columns(rows) else { return String::new() };
    let shown = |row: &Value, name: &str| {
        let text = cell(&row[name]);
        match text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => text[..8].to_owned(), // an id is 64 digits; eight are enough to name it again
            false if text.len() == 25 && text.as_bytes()[10] == b'T' => moment(&text),
            false => text,
        }
    };
    let mut table = Table::new();
    if crossterm::terminal::size().map_or(0, |(columns, _)| columns) == 0 {
        table.set_width(100); // a terminal that does not know its size
    }
    table
        .load_preset(presets::NOTHING)
        .set_style(TableComponent::HeaderLines, '─')
        .set_style(TableComponent::MiddleHeaderIntersections, '─')
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns.iter());
    for row in rows {
        let mut cells = Row::from(columns.iter().map(|c| shown(row, c)));
        cells.max_height(2); // a long subject must not push the next ticket off the screen
        table.add_row(cells);
    }
    for (column, name) in table.column_iter_mut().zip(&columns) {
        if WHOLE.contains(&name.as_str()) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_holds_what_matters() {
        let text = card(&json!({
            "number": "JT1", "stage": "offered", "custodian": "370100", "taken_by": "370100",
            "suggested": { "text": { "en": "by the dispatch catalogue: topic 出租 → 客运管理处 (basis: x)" } },
            "open_offer": { "to": "370200" }, "facts": { "plate": "鲁A12345" }, "body": "拒载", "superseded": [1],
            "notes": { "ab": { "at": "2026-11-24T23:05:00+08:00", "node": "370100", "user": "王五", "text": "已致歉" } },
            "heads": ["no matter for people"],
        }));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "JT1   offered   held by 370100, taken by 370100, offered to 370200");
        assert_eq!(lines[1], "by the dispatch catalogue: topic 出租 → 客运管理处 (basis: x)");
        assert_eq!(lines[2], "1 things to look at: hotline ticket history JT1");
        assert!(text.contains("plate            鲁A12345") && text.contains("\n拒载\n"), "{text}");
        assert!(
            text.ends_with("2026-11-24 23:05  370100 王五: 已致歉") && !text.contains("no matter"),
            "{text}"
        );
    }

    #[test]
    fn a_table_begins_with_what_people_look_for() {
        let rows =
            [json!({ "at": "2026-11-24T23:05:00+08:00", "node": "370100", "row": 7, "id": "ab".repeat(32) })];
        let names: Vec<String> = columns(&rows).into_iter().flatten().cloned().collect();
        assert_eq!(names, ["node", "id", "at"]);
        let text = table_text(&rows);
        assert!(
            text.contains("2026-11-24 23:05") && text.contains("abababab") && !text.contains("ababababab")
        );
    }
}
