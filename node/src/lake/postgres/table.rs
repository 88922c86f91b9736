//! The tables, and what is said to them: plain statements that engines with PostgreSQL's words have, no extension, no trigger.
//!
//! ```text
//! hotline.ticket      (node, id) -> the columns of a row, change, round
//! hotline.progress    node -> layout, cursor, round, scanned, tables, at
//! hotline.ticket_now  hotline.ticket with what only this moment says: overdue
//! ```

use serde_json::Value;
use tokio_postgres::types::ToSql;

use crate::lake::row::{COLUMNS, Kind, Row};

/// What is beside a row's own columns, with its type and what it means.
const BESIDE: [(&str, &str, &str); 3] = [
    ("node", "text NOT NULL", "the node that knows it so"),
    ("change", "bigint NOT NULL", "the number of the node's last change when the row was read"),
    ("round", "bigint NOT NULL", "how often the node had begun anew by then"),
];

const PROGRESS: &str = "CREATE TABLE hotline.progress (node text NOT NULL PRIMARY KEY, layout integer NOT NULL, cursor text NOT NULL,
   round bigint NOT NULL, scanned text, tables text NOT NULL, at timestamp with time zone NOT NULL)";

/// Which of our tables there are.
pub(super) const THERE: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'hotline' AND table_name IN ('ticket', 'progress')";

/// Whether the schema is there: it may have been made by somebody who may do that.
pub(super) const SCHEMA: &str =
    "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'hotline'";

pub(super) const OTHER_LAYOUT: &str = "SELECT layout FROM hotline.progress WHERE layout <> $1 LIMIT 1";
pub(super) const STATE: &str = "SELECT cursor, round, scanned, tables FROM hotline.progress WHERE node = $1";
pub(super) const HOLD: &str =
    "SELECT cursor, round, scanned, tables FROM hotline.progress WHERE node = $1 FOR UPDATE";
pub(super) const FIRST: &str =
    "INSERT INTO hotline.progress (node, layout, cursor, round, scanned, tables, at)
   VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (node) DO NOTHING";
pub(super) const MOVE: &str = "UPDATE hotline.progress SET cursor = $2, round = $3, scanned = $4, tables = $5, at = now() WHERE node = $1";
pub(super) const REMOVE: &str = "DELETE FROM hotline.ticket WHERE node = $1 AND id = ANY($2::text[])";
pub(super) const SWEEP: &str = "DELETE FROM hotline.ticket WHERE node = $1 AND round < $2";

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Flag => "boolean",
        Kind::Count => "bigint",
        Kind::Day => "date",
        Kind::Moment => "timestamp with time zone",
    }
}

/// As what a column's values are sent.
fn sent(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "boolean[]",
        Kind::Count => "bigint[]",
        Kind::Text | Kind::Day | Kind::Moment => "text[]",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The statements that make everything, but for the schema.
pub(super) fn made() -> Vec<String> {
    let own = COLUMNS.iter().map(|column| {
        format!("{} {}{}", column.name, kind(column.kind), if column.always { " NOT NULL" } else { "" })
    });
    let columns: Vec<String> =
        BESIDE.iter().map(|(name, kind, _)| format!("{name} {kind}")).chain(own).collect();
    let mut made = vec![
        format!("CREATE TABLE hotline.ticket ({}, PRIMARY KEY (node, id))", columns.join(", ")),
        "CREATE INDEX ticket_day ON hotline.ticket (day)".to_owned(),
        "CREATE INDEX ticket_number ON hotline.ticket (number)".to_owned(),
        PROGRESS.to_owned(),
        "CREATE VIEW hotline.ticket_now AS SELECT t.*, (NOT t.ended AND NOT t.joined AND t.due_at IS NOT NULL AND t.due_at < now()) AS overdue
           FROM hotline.ticket t"
            .to_owned(),
        format!(
            "COMMENT ON TABLE hotline.ticket IS {}",
            quoted("Tickets of the hotline 12328 as a node knows them: no caller, no words; written by hotline lake postgres")
        ),
        "COMMENT ON TABLE hotline.progress IS 'How far each node is; at says when it was last here'".to_owned(),
        "COMMENT ON COLUMN hotline.ticket_now.overdue IS '超期, its deadline is over and it has not ended'".to_owned(),
    ];
    let beside = BESIDE.iter().map(|(name, _, says)| (*name, *says));
    for (name, says) in beside.chain(COLUMNS.iter().map(|column| (column.name, column.says))) {
        made.push(format!("COMMENT ON COLUMN hotline.ticket.{name} IS {}", quoted(says)));
    }
    made
}

/// One statement for any number of rows: node, change, round, and an array for each column. What is newer stays.
pub(super) fn upsert() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let cast = COLUMNS.iter().map(|column| match column.kind {
        Kind::Day | Kind::Moment => format!("CAST(u.{} AS {})", column.name, kind(column.kind)),
        _ => format!("u.{}", column.name),
    });
    let cast: Vec<String> = cast.collect();
    let arrays: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(place, column)| format!("${}::{}", place + 4, sent(column.kind)))
        .collect();
    let set: Vec<String> =
        COLUMNS[1..].iter().map(|column| format!("{0} = excluded.{0}", column.name)).collect();
    format!(
        "INSERT INTO hotline.ticket AS t (node, change, round, {}) SELECT $1::text, $2::bigint, $3::bigint, {} FROM unnest({}) AS u({})
         ON CONFLICT (node, id) DO UPDATE SET change = excluded.change, round = excluded.round, {}
         WHERE t.round < excluded.round OR (t.round = excluded.round AND t.change <= excluded.change)",
        names.join(", "),
        cast.join(", "),
        arrays.join(", "),
        names.join(", "),
        set.join(", ")
    )
}

/// The values of rows, an array for each column.
pub(super) fn arrays(rows: &[Row]) -> Vec<Box<dyn ToSql + Sync + '_>> {
    let column = |(place, kind): (usize, Kind)| -> Box<dyn ToSql + Sync + '_> {
        let values = rows.iter().map(move |row| &row.values()[place]);
        match kind {
            Kind::Flag => Box::new(values.map(Value::as_bool).collect::<Vec<_>>()),
            Kind::Count => Box::new(values.map(Value::as_i64).collect::<Vec<_>>()),
            Kind::Text | Kind::Day | Kind::Moment => Box::new(values.map(Value::as_str).collect::<Vec<_>>()),
        }
    };
    COLUMNS.iter().map(|column| column.kind).enumerate().map(column).collect()
}
