//! Reading around damage: what a page of the database that cannot be read takes along, and everything beside it.
//!
//! A walk in the order of arrival stops at the first leaf that is not what was written. Here it is gone round: the next
//! place is looked for that can be read, and what lies between is named by the index of hashes, which lies in other
//! pages. Nothing of this is needed, or used, while the database is whole.

use rusqlite::{OptionalExtension, params};

use super::{RawItem, Sqlite, read_id};
use crate::id::{DocId, ItemHash};
use crate::item::Item;
use crate::store::{Position, Result, StoreError};

/// Places that are tried one by one behind damage; after them the steps double.
const CLOSE: u64 = 1 << 16;

/// A stretch of the walk.
#[derive(Debug, Default)]
pub struct Stretch {
    /// The items that can be read, with their places.
    pub items: Vec<(Position, ItemHash)>,
    /// What cannot be read behind them.
    pub gap: Option<Gap>,
    /// Nothing follows.
    pub ended: bool,
}

/// Places between which nothing can be read.
#[derive(Debug)]
pub struct Gap {
    /// The first of them.
    pub from: Position,
    /// The last of them.
    pub to: Position,
    /// What the database says.
    pub why: String,
}

impl Sqlite {
    /// The items after a place, at most `limit` of them, up to what cannot be read.
    pub fn walk(&mut self, after: Position, limit: usize) -> Stretch {
        let mut stretch = Stretch::default();
        match self.walk_on(after, limit, &mut stretch.items) {
            Ok(()) => stretch.ended = stretch.items.len() < limit,
            Err(why) => {
                let last = stretch.items.last().map_or(after, |(at, _)| *at);
                let next = self.next_readable(last);
                stretch.ended = next.is_none();
                let from = Position(last.0.saturating_add(1));
                let to = next.unwrap_or(Position::END);
                stretch.gap = Some(Gap { from, to, why: why.to_string() });
            }
        }
        stretch
    }

    fn walk_on(&self, after: Position, limit: usize, found: &mut Vec<(Position, ItemHash)>) -> Result<()> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id, hash FROM item NOT INDEXED WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let mut rows = query.query(params![after.0 as i64, limit as i64])?;
        while let Some(row) = rows.next()? {
            let hash = read_id(row.get(1)?, ItemHash::from_bytes)?;
            found.push((Position(row.get::<_, i64>(0)? as u64), hash));
        }
        Ok(())
    }

    /// The first place after `last` behind which something can be read, or which is the end; `None` when there is none.
    fn next_readable(&self, last: Position) -> Option<Position> {
        let reads = |at: u64| self.walk_on(Position(at), 1, &mut Vec::new()).is_ok();
        let close = (1..=CLOSE).map_while(|step| last.0.checked_add(step));
        let far = (17..63).map_while(|power| last.0.checked_add(1 << power));
        close.chain(far).take_while(|at| *at < Position::END.0).find(|at| reads(*at)).map(Position)
    }

    /// The item at a place. No index is asked.
    pub fn item_at(&mut self, at: Position) -> Result<Option<Item>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.hash, i.kind, d.doc, i.author, i.state, s.hash, i.leaf, i.bytes
             FROM item i LEFT JOIN document d ON d.id = i.doc LEFT JOIN seal s ON s.id = i.seal WHERE i.id = ?1",
        )?;
        let found = query.query_row([at.0 as i64], RawItem::read).optional()?;
        found.map(|raw| self.apart.complete(raw.item()?)).transpose()
    }

    /// Where the index of hashes says that an item lies. It is asked at every look-up, and lies in pages of its own.
    pub fn place_of(&mut self, hash: &ItemHash) -> Result<Option<Position>> {
        let mut query = self.connection.prepare_cached("SELECT id FROM item WHERE hash = ?1")?;
        let found = query.query_row([hash.as_bytes()], |r| r.get::<_, i64>(0)).optional()?;
        Ok(found.map(|at| Position(at as u64)))
    }

    /// The items of which an index says that they lie in a gap, with their documents where those can be read, at most
    /// `limit`; and how far the index itself could be read.
    pub fn lost_in(
        &mut self,
        gap: &Gap,
        limit: usize,
    ) -> (Vec<(ItemHash, Option<DocId>)>, Option<StoreError>) {
        let mut lost = Vec::new();
        let read = (|| -> Result<()> {
            // An index that covers all that is asked, so no page of the table is touched.
            let mut query = self.connection.prepare_cached(
                "SELECT hash, doc FROM item INDEXED BY item_doc WHERE id >= ?1 AND id <= ?2
                 ORDER BY doc, hash LIMIT ?3",
            )?;
            let mut rows = query.query(params![gap.from.0 as i64, gap.to.0 as i64, limit as i64])?;
            while let Some(row) = rows.next()? {
                let hash = read_id(row.get(0)?, ItemHash::from_bytes)?;
                lost.push((hash, row.get::<_, Option<i64>>(1)?));
            }
            Ok(())
        })();
        let mut document = |row: i64| -> Option<DocId> {
            let mut query = self.connection.prepare_cached("SELECT doc FROM document WHERE id = ?1").ok()?;
            let bytes: Vec<u8> = query.query_row([row], |r| r.get(0)).ok()?;
            read_id(bytes, DocId::from_bytes).ok()
        };
        let lost = lost.into_iter().map(|(hash, row)| (hash, row.and_then(&mut document))).collect();
        (lost, read.err())
    }
}
