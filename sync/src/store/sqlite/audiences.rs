//! Audiences by number: many documents have the same one, and a scan of a million items asks for it a million times.
//!
//! A row here is never changed or removed; a document whose audience grows gets another number.

use std::collections::BTreeMap;

use certs::Site;
use rusqlite::{Connection, OptionalExtension};

use super::damaged;
use crate::item::Audience;
use crate::store::Result;

pub(super) const TABLE: &str = "CREATE TABLE audience(id INTEGER PRIMARY KEY, sites TEXT NOT NULL UNIQUE);";

/// What has been read of the table.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    by_number: BTreeMap<i64, Audience>,
    numbers: BTreeMap<Audience, i64>,
}

impl Audiences {
    /// The audience with this number.
    pub(super) fn get(&mut self, connection: &Connection, number: i64) -> Result<Audience> {
        if let Some(audience) = self.by_number.get(&number) {
            return Ok(audience.clone());
        }
        let mut query = connection.prepare_cached("SELECT sites FROM audience WHERE id = ?1")?;
        let sites: Option<String> = query.query_row([number], |r| r.get(0)).optional()?;
        let audience = read(&sites.ok_or_else(|| damaged("a document's audience"))?)?;
        self.note(number, &audience);
        Ok(audience)
    }

    /// The number of an audience; a new one if it is new.
    pub(super) fn number(&mut self, connection: &Connection, audience: &Audience) -> Result<i64> {
        if let Some(number) = self.numbers.get(audience) {
            return Ok(*number);
        }
        let sites = audience.to_string();
        let mut query = connection.prepare_cached("SELECT id FROM audience WHERE sites = ?1")?;
        let number = match query.query_row([&sites], |r| r.get(0)).optional()? {
            Some(number) => number,
            None => {
                connection.prepare_cached("INSERT INTO audience(sites) VALUES(?1)")?.execute([&sites])?;
                connection.last_insert_rowid()
            }
        };
        self.note(number, audience);
        Ok(number)
    }

    /// The numbers of all audiences that have both sites, in order.
    pub(super) fn with_both(&mut self, connection: &Connection, sites: [Site; 2]) -> Result<Vec<i64>> {
        let mut query = connection.prepare_cached("SELECT id, sites FROM audience ORDER BY id")?;
        let rows = query.query_map([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?)))?;
        let mut numbers = Vec::new();
        for row in rows {
            let (number, text) = row?;
            let audience = read(&text)?;
            if sites.iter().all(|site| audience.has(*site)) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// What was read in a transaction that left no trace is forgotten.
    pub(super) fn forget(&mut self) {
        *self = Audiences::default();
    }

    fn note(&mut self, number: i64, audience: &Audience) {
        self.by_number.insert(number, audience.clone());
        self.numbers.insert(audience.clone(), number);
    }
}

fn read(text: &str) -> Result<Audience> {
    text.parse().map_err(|_| damaged("an audience"))
}
