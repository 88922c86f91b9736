//! Figures as lines of a table that programs for tables read: a line for each figure of each value.

use serde_json::Value;

use crate::cell::{Cell, Sheet};
use crate::reference::Definition;
use crate::request::Language;

/// What stands in a line.
const COLUMNS: [&str; 18] = [
    "from",
    "to",
    "by",
    "value",
    "name",
    "id",
    "zh",
    "en",
    "kind",
    "count",
    "of",
    "rate",
    "before_count",
    "before_rate",
    "change_before",
    "year_before_count",
    "year_before_rate",
    "change_year",
];

/// A report as a sheet: of its values when it is by a dimension, and always of the whole, whose `value` is `*`.
pub fn sheet(report: &Value) -> Sheet {
    let mut sheet = Sheet::of(COLUMNS);
    let whole = &report["figures"];
    line_each(&mut sheet, report, whole, "*", "", whole);
    for row in report["values"].as_array().into_iter().flatten() {
        let others = row["value"].is_null();
        let value = if others { "…" } else { row["value"].as_str().unwrap_or_default() };
        line_each(
            &mut sheet,
            report,
            &row["figures"],
            value,
            row["name"].as_str().unwrap_or_default(),
            whole,
        );
    }
    sheet
}

/// What figures mean, and on what that rests, as a sheet.
pub fn meanings<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> Sheet {
    let mut sheet = Sheet::of(["id", "zh", "en", "says_zh", "says_en", "basis"]);
    for of in definitions {
        sheet.line([
            Cell::text(of.id()),
            Cell::text(of.name(Language::Zh)),
            Cell::text(of.name(Language::En)),
            Cell::text(of.says(Language::Zh)),
            Cell::text(of.says(Language::En)),
            Cell::text(of.basis()),
        ]);
    }
    sheet
}

fn line_each(sheet: &mut Sheet, report: &Value, figures: &Value, value: &str, name: &str, names: &Value) {
    let figures = figures.as_array().into_iter().flatten();
    for (figure, named) in figures.zip(names.as_array().into_iter().flatten()) {
        let count = |n: &Value| Cell::given(n.as_u64(), Cell::Count);
        let share = |n: &Value| Cell::given(n.as_f64(), Cell::Share);
        let (then, year) = (&figure["before"], &figure["year_before"]);
        let said = |of: &Value, key: &str| Cell::text(of[key].as_str().unwrap_or_default());
        let day = |key: &str| Cell::day(report[key].as_str().unwrap_or_default());
        sheet.line([
            day("from"),
            day("to"),
            said(report, "by"),
            if report["by"] == "day" { Cell::day(value) } else { Cell::text(value) },
            Cell::text(name),
            said(named, "id"),
            said(named, "zh"),
            said(named, "en"),
            said(named, "kind"),
            count(&figure["count"]),
            count(&figure["of"]),
            share(&figure["value"]),
            count(&then["count"]),
            share(&then["value"]),
            share(&figure["change_before"]),
            count(&year["count"]),
            share(&year["value"]),
            share(&figure["change_year"]),
        ]);
    }
}

/// A figure for people: a number, or a share in per cent; a dash for what has no value.
pub fn shown(figure: &Value) -> String {
    match (figure.get("of"), &figure["value"]) {
        (None, _) if figure["count"].is_u64() => figure["count"].to_string(),
        (Some(_), value) if value.is_number() => {
            format!("{:.2} %", value.as_f64().unwrap_or_default() * 100.0)
        }
        _ => "—".to_owned(),
    }
}

/// How a figure has moved, for people: in per cent, rates in points of it.
pub fn moved(figure: &Value, key: &str) -> String {
    let Some(change) = figure[key].as_f64() else { return "—".to_owned() };
    let unit = if figure["kind"] == "rate" { "pp" } else { "%" };
    let rounded = (change * 10_000.0).round() / 100.0;
    // No sign before what has not moved.
    if rounded == 0.0 { format!("0.00 {unit}") } else { format!("{rounded:+.2} {unit}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_stands_for_each_figure_and_no_text_becomes_a_formula() {
        let figure = json!({ "id": "taken", "zh": "受理量", "en": "taken", "kind": "count", "count": 3,
            "before": { "count": 2 }, "year_before": { "count": 0 }, "change_before": 0.5, "change_year": null });
        let value = json!({ "value": "=1+1,\"x\"", "name": "电话\n", "figures": [figure] });
        let report = json!({ "from": "2026-11-01", "to": "2026-11-30", "by": "channel", "figures": [figure], "values": [value] });
        let text = sheet(&report).csv();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "2026-11-01,2026-11-30,channel,*,,taken,受理量,taken,count,3,,,2,,0.5,0,,");
        assert!(lines[2].contains(",\"'=1+1,\"\"x\"\"\",电话 ,taken,"), "{}", lines[2]);
    }

    #[test]
    fn figures_are_told_as_people_read_them() {
        let rate = |count: u64, of: u64, value: Value| json!({ "kind": "rate", "count": count, "of": of, "value": value });
        assert_eq!(shown(&json!({ "count": 7 })), "7");
        assert_eq!(shown(&rate(2, 3, json!(0.666667))), "66.67 %");
        assert_eq!(
            (shown(&rate(0, 0, Value::Null)), shown(&rate(0, 4, json!(0.0)))),
            ("—".into(), "0.00 %".into())
        );
        let moving = |kind: &str, by: Value| moved(&json!({ "kind": kind, "change": by }), "change");
        assert_eq!(
            (moving("count", json!(0.125)), moving("rate", json!(-0.01))),
            ("+12.50 %".into(), "-1.00 pp".into())
        );
        assert_eq!((moving("count", json!(0.0)), moving("rate", Value::Null)), ("0.00 %".into(), "—".into()));
    }
}
