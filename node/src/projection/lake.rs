//! Rows for the read model (see [`crate::lake`]), read beside everything else and never written.

use rusqlite::{Connection, OptionalExtension, Params, params};
use sync::id::DocId;
use sync::store::Result;

use super::id;
use crate::figures::Facts;
use crate::lake::row::{Row, Ticket};
use crate::reference::Reference;

/// A mark that counts stands in the index of marks; most tickets have none.
const ERASED: &str = "EXISTS(SELECT 1 FROM document JOIN item ON item.doc = document.id
   WHERE document.doc = ticket.doc AND item.kind = 3 AND item.state = 0)";

const COLUMNS: &str = "row, doc, number, custodian, taken_by, offered_to, stage, at, returns, clock, due, urgency, coalesce(day, ''),
   facts, business, domain, topic, channel";

/// What came of looking for tickets.
#[derive(Debug, Default)]
pub struct Found {
    /// Their rows, with the numbers that they have in the projection.
    pub rows: Vec<(i64, Row)>,
    /// Those whose personal data was erased.
    pub gone: Vec<DocId>,
    /// The last that was looked at: its id, its day and its number.
    pub last: Option<(DocId, String, i64)>,
}

impl Found {
    fn read(&mut self, db: &Connection, sql: &str, values: impl Params, reference: &Reference) -> Result<()> {
        let mut query = db.prepare_cached(sql)?;
        let mut rows = query.query(values)?;
        while let Some(r) = rows.next()? {
            let (row, doc, day): (i64, DocId, String) =
                (r.get(0)?, id(&r.get::<_, Vec<u8>>(1)?)?, r.get(12)?);
            self.last = Some((doc, day.clone(), row));
            if r.get::<_, bool>(18)? {
                self.gone.push(doc);
                continue;
            }
            let ticket = Ticket {
                doc,
                number: r.get(2)?,
                custodian: r.get(3)?,
                taken_by: r.get(4)?,
                offered_to: r.get(5)?,
                stage: r.get(6)?,
                at: r.get(7)?,
                returns: r.get(8)?,
                // A row of an earlier version has none, until it is made anew.
                timing: serde_json::from_str(&r.get::<_, String>(9)?).unwrap_or_default(),
                due: r.get(10)?,
                urgency: r.get(11)?,
                day,
                facts: Facts::from_bits(r.get(13)?),
                said: [r.get(14)?, r.get(15)?, r.get(16)?, r.get(17)?],
            };
            self.rows.push((row, Row::of(&ticket.checked(reference))));
        }
        Ok(())
    }
}

/// The tickets after an id, in the order of ids: rows are numbered anew by a rebuild, and ids stay.
pub fn after(db: &Connection, reference: &Reference, after: &[u8], limit: usize) -> Result<Found> {
    let mut found = Found::default();
    let sql = format!(
        "SELECT {COLUMNS}, {ERASED} FROM ticket INDEXED BY ticket_doc WHERE doc > ?1 ORDER BY doc LIMIT ?2"
    );
    found.read(db, &sql, params![after, limit as i64], reference)?;
    Ok(found)
}

/// These tickets; what is none is passed over.
pub fn of<'a>(
    db: &Connection,
    reference: &Reference,
    docs: impl Iterator<Item = &'a DocId>,
) -> Result<Found> {
    let mut found = Found::default();
    let sql = format!("SELECT {COLUMNS}, {ERASED} FROM ticket WHERE doc = ?1");
    for doc in docs {
        found.read(db, &sql, [doc.as_bytes()], reference)?;
    }
    Ok(found)
}

/// The tickets of a month, as in `2026-11`, in the order of day and row; an empty one has those of no day.
pub fn of_month(
    db: &Connection,
    reference: &Reference,
    month: &str,
    after: &(String, i64),
    limit: usize,
) -> Result<Found> {
    let mut found = Found::default();
    // `~` comes after every digit and dash.
    let end = if month.is_empty() { "0".to_owned() } else { format!("{month}~") };
    let sql = format!(
        "SELECT {COLUMNS}, {ERASED} FROM ticket INDEXED BY ticket_day
         WHERE day >= ?1 AND day < ?2 AND (day, row) > (?3, ?4) ORDER BY day, row LIMIT ?5"
    );
    found.read(db, &sql, params![month, end, after.0, after.1, limit as i64], reference)?;
    Ok(found)
}

/// The months of which there are tickets, found by one look each; an empty one when some are of no day.
pub fn months(db: &Connection) -> Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT min(day) FROM ticket WHERE day >= ?1")?;
    let (mut months, mut from) = (Vec::new(), String::new());
    while let Some(day) = query.query_row([&from], |r| r.get::<_, Option<String>>(0))? {
        let month: String = day.chars().take("2026-11".len()).collect();
        from = if month.is_empty() { "0".to_owned() } else { format!("{month}~") };
        months.push(month);
    }
    Ok(months)
}

/// The month of a ticket.
pub fn month_of(db: &Connection, doc: &DocId) -> Result<Option<String>> {
    let mut query = db.prepare_cached("SELECT substr(coalesce(day, ''), 1, 7) FROM ticket WHERE doc = ?1")?;
    Ok(query.query_row([doc.as_bytes()], |r| r.get(0)).optional()?)
}
