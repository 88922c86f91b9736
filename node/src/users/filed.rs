//! The register of what was filed in public, for Open311: which ticket has which public id. Nothing of a caller is in it,
//! not a word of what was said, and no confidential report. A public id is drawn and says nothing of the ticket's number,
//! so whoever reads the list learns no number.

use rusqlite::{Row, params, params_from_iter, types::Value};

use super::{Users, drawn};
use crate::hex::hex;
use crate::request::Failure;

pub(super) const TABLES: &str = "
CREATE TABLE filed(id TEXT PRIMARY KEY, number TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, service TEXT NOT NULL);
CREATE INDEX filed_at ON filed(at);
";

/// How long a row is kept.
const KEPT_MS: u64 = 400 * 24 * 60 * 60_000;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The public id.
    pub id: String,
    /// The ticket's number.
    pub number: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The code of the topic.
    pub service: String,
}

/// Which rows are wanted, the newest first.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// From this time on,
    pub since: u64,
    /// and before this one.
    pub until: u64,
    /// Only of these topics; all if empty.
    pub services: Vec<String>,
    /// At most so many,
    pub limit: u32,
    /// after so many.
    pub offset: u32,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Filed> {
    Ok(Filed { id: row.get(0)?, number: row.get(1)?, at: row.get::<_, i64>(2)? as u64, service: row.get(3)? })
}

impl Users {
    /// Enters a ticket, once; its public id.
    pub fn file(&self, number: &str, service: &str, at: u64) -> Result<String, Failure> {
        let id = hex(&drawn::<8>()?);
        self.change(|db| {
            db.execute("DELETE FROM filed WHERE at < ?1", [at.saturating_sub(KEPT_MS) as i64])?;
            db.execute(
                "INSERT INTO filed(id, number, at, service) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(number) DO NOTHING",
                params![id, number, at as i64, service],
            )?;
            Ok(db.query_row("SELECT id FROM filed WHERE number = ?1", [number], |r| r.get(0))?)
        })
    }

    /// The rows that are wanted.
    pub fn filed(&self, wanted: &Wanted) -> Result<Vec<Filed>, Failure> {
        let some = match wanted.services.len() {
            0 => String::new(),
            count => format!("AND service IN ({})", vec!["?"; count].join(",")),
        };
        let sql = format!(
            "SELECT id, number, at, service FROM filed WHERE at >= ? AND at < ? {some} ORDER BY at DESC, id LIMIT ? OFFSET ?"
        );
        let mut values = vec![Value::from(wanted.since as i64), Value::from(wanted.until as i64)];
        values.extend(wanted.services.iter().cloned().map(Value::from));
        values.extend([Value::from(wanted.limit), Value::from(wanted.offset)]);
        let db = self.db();
        let mut query = db.prepare(&sql)?;
        let rows = query.query_map(params_from_iter(values), read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The rows of these public ids.
    pub fn filed_as(&self, ids: &[String]) -> Result<Vec<Filed>, Failure> {
        let db = self.db();
        let mut query = db.prepare_cached("SELECT id, number, at, service FROM filed WHERE id = ?1")?;
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(query.query_map([id], read)?.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_entered_once_and_found_by_its_public_id() {
        let dir = tempfile::tempdir().unwrap();
        let users = Users::open(dir.path()).unwrap();
        let first = users.file("JT1", "D0401", 100).unwrap();
        assert_eq!(users.file("JT1", "D0402", 200).unwrap(), first);
        let second = users.file("JT2", "D0402", 200).unwrap();
        let numbers = |wanted: &Wanted| {
            users.filed(wanted).unwrap().into_iter().map(|row| row.number).collect::<Vec<_>>()
        };
        let all = Wanted { until: 1_000, limit: 10, ..Wanted::default() };
        assert_eq!(numbers(&all), ["JT2", "JT1"]);
        assert_eq!(numbers(&Wanted { limit: 1, offset: 1, ..all.clone() }), ["JT1"]);
        assert_eq!(numbers(&Wanted { since: 101, ..all.clone() }), ["JT2"]);
        assert_eq!(numbers(&Wanted { until: 200, ..all.clone() }), ["JT1"]);
        assert_eq!(
            numbers(&Wanted { services: vec!["D0401".into(), "' OR 1".into()], ..all.clone() }),
            ["JT1"]
        );
        assert_eq!(users.filed_as(&[second, "nobody".into()]).unwrap()[0].number, "JT2");
        users.file("JT3", "D0401", 101 + KEPT_MS).unwrap();
        assert_eq!(
            numbers(&Wanted { until: u64::MAX >> 1, ..all }),
            ["JT3", "JT2"],
            "the oldest are forgotten"
        );
    }
}
