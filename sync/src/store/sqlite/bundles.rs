//! Bundles in the database (see [`crate::store::bundles`]).

use std::cmp::Reverse;

use certs::NodeName;
use rusqlite::{OptionalExtension, params};

use super::{RawDebt, Sqlite, damaged, name, read_id};
use crate::item::Class;
use crate::store::bundles::{Bundles, Carried, Handed, Reply, Scanned, Turn, parcel_id};
use crate::store::{Debt, Position, Result};

pub(super) const TABLE: &str = "
CREATE TABLE handed(
  id INTEGER PRIMARY KEY, peer TEXT NOT NULL, batch INTEGER NOT NULL, number INTEGER NOT NULL, scans INTEGER NOT NULL,
  value BLOB NOT NULL, UNIQUE(peer, batch));
CREATE INDEX handed_scans ON handed(peer) WHERE scans;
CREATE TABLE reply(
  id INTEGER PRIMARY KEY, peer TEXT NOT NULL, batch INTEGER NOT NULL, value BLOB NOT NULL, UNIQUE(peer, batch));
CREATE TABLE carried(
  id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, sender TEXT NOT NULL, recipient TEXT NOT NULL,
  taken INTEGER NOT NULL, bytes BLOB NOT NULL);
";

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|_| damaged(what))
}

fn write(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("a struct of plain values has a byte form")
}

/// The first class and rank, before all.
const BEFORE_ALL: (i64, i64, i64) = (-1, 0, 0);

impl Bundles for Sqlite {
    fn owed_after(&mut self, peer: NodeName, after: Option<Turn>, limit: usize) -> Result<Vec<(Turn, Debt)>> {
        let (class, rank, id) =
            after.map_or(BEFORE_ALL, |t| (t.class as i64, t.rank.0.0 as i64, t.id as i64));
        let mut query = self.connection.prepare_cached(
            "SELECT o.class, o.rank, d.doc, o.item, o.id FROM outbox o LEFT JOIN document d ON d.id = o.doc
             WHERE o.peer = ?1 AND o.class >= ?2
               AND (o.class > ?2 OR o.rank < ?3 OR (o.rank = ?3 AND o.id > ?4))
             ORDER BY o.class, o.rank DESC, o.id LIMIT ?5",
        )?;
        let rows = query.query_map(params![peer.to_string(), class, rank, id, limit as i64], |r| {
            Ok((RawDebt::read(r)?, r.get::<_, i64>(4)?))
        })?;
        rows.map(|row| {
            let (raw, id) = row?;
            let class = Class::from_number(raw.class);
            let turn = Turn { class, rank: Reverse(Position(raw.rank as u64)), id: id as u64 };
            Ok((turn, raw.debt()?))
        })
        .collect()
    }

    fn hand(&mut self, peer: NodeName, batch: u64, handed: &Handed) -> Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO handed(peer, batch, number, scans, value) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(peer, batch) DO UPDATE
             SET number = excluded.number, scans = excluded.scans, value = excluded.value",
        )?;
        let (number, scans) = (handed.number as i64, handed.scanned.is_some());
        put.execute(params![peer.to_string(), batch as i64, number, scans, write(handed)])?;
        Ok(())
    }

    fn handed(&mut self, peer: NodeName, batch: u64) -> Result<Option<Handed>> {
        let mut query =
            self.connection.prepare_cached("SELECT value FROM handed WHERE peer = ?1 AND batch = ?2")?;
        let found = query.query_row(params![peer.to_string(), batch as i64], |r| r.get::<_, Vec<u8>>(0));
        found.optional()?.map(|bytes| read(&bytes, "a batch that was handed out")).transpose()
    }

    fn all_handed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<(u64, u64)>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT batch, number FROM handed WHERE peer = ?1 ORDER BY id DESC LIMIT ?2")?;
        let rows = query.query_map(params![peer.to_string(), limit as i64], |r| {
            Ok((r.get::<_, i64>(0)? as u64, r.get::<_, i64>(1)? as u64))
        })?;
        rows.map(|row| Ok(row?)).collect()
    }

    fn scanned(&mut self, peer: NodeName) -> Result<Vec<(u64, u64, Scanned)>> {
        let mut query =
            self.connection.prepare_cached("SELECT batch, value FROM handed WHERE peer = ?1 AND scans")?;
        let rows =
            query.query_map([peer.to_string()], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
        let mut all = Vec::new();
        for row in rows {
            let (batch, bytes) = row?;
            let handed: Handed = read(&bytes, "a batch that was handed out")?;
            all.extend(handed.scanned.map(|scanned| (batch as u64, handed.number, scanned)));
        }
        Ok(all)
    }

    fn drop_handed(&mut self, peer: NodeName, batch: u64) -> Result<()> {
        let mut delete =
            self.connection.prepare_cached("DELETE FROM handed WHERE peer = ?1 AND batch = ?2")?;
        delete.execute(params![peer.to_string(), batch as i64])?;
        Ok(())
    }

    fn put_reply(&mut self, peer: NodeName, reply: &Reply) -> Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO reply(peer, batch, value) VALUES(?1, ?2, ?3)
             ON CONFLICT(peer, batch) DO UPDATE SET value = excluded.value",
        )?;
        put.execute(params![peer.to_string(), reply.answer.batch as i64, write(reply)])?;
        Ok(())
    }

    fn replies(&mut self, peer: NodeName) -> Result<Vec<Reply>> {
        let mut query =
            self.connection.prepare_cached("SELECT value FROM reply WHERE peer = ?1 ORDER BY id")?;
        let rows = query.query_map([peer.to_string()], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read(&row?, "an answer for a bundle")).collect()
    }

    fn replies_count(&mut self, peer: NodeName) -> Result<u64> {
        let mut query = self.connection.prepare_cached("SELECT count(*) FROM reply WHERE peer = ?1")?;
        Ok(query.query_row([peer.to_string()], |r| r.get::<_, i64>(0))? as u64)
    }

    fn answered_peers(&mut self) -> Result<Vec<NodeName>> {
        let mut query = self.connection.prepare_cached("SELECT DISTINCT peer FROM reply ORDER BY peer")?;
        let rows = query.query_map([], |r| r.get::<_, String>(0))?;
        rows.map(|row| name(&row?)).collect()
    }

    fn drop_reply(&mut self, peer: NodeName, batch: u64) -> Result<()> {
        let mut delete =
            self.connection.prepare_cached("DELETE FROM reply WHERE peer = ?1 AND batch = ?2")?;
        delete.execute(params![peer.to_string(), batch as i64])?;
        Ok(())
    }

    fn carry(&mut self, from: NodeName, to: NodeName, bytes: &[u8]) -> Result<bool> {
        let mut insert = self.connection.prepare_cached(
            "INSERT OR IGNORE INTO carried(hash, sender, recipient, taken, bytes) VALUES(?1, ?2, ?3, 0, ?4)",
        )?;
        let id = parcel_id(to, bytes);
        Ok(insert.execute(params![id, from.to_string(), to.to_string(), bytes])? > 0)
    }

    fn carried(&mut self) -> Result<Vec<Carried>> {
        let mut query = self.connection.prepare_cached(
            "SELECT hash, sender, recipient, length(bytes), taken FROM carried ORDER BY id",
        )?;
        let rows = query.query_map([], |r| {
            let (id, from, to) = (r.get::<_, Vec<u8>>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?);
            Ok((id, from, to, r.get::<_, i64>(3)?, r.get::<_, u32>(4)?))
        })?;
        rows.map(|row| {
            let (id, from, to, size, taken) = row?;
            let id = read_id(id, |id| id)?;
            Ok(Carried { id, from: name(&from)?, to: name(&to)?, size: size as u64, taken })
        })
        .collect()
    }

    fn carried_bytes(&mut self, id: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let mut query = self.connection.prepare_cached("SELECT bytes FROM carried WHERE hash = ?1")?;
        Ok(query.query_row([id], |r| r.get(0)).optional()?)
    }

    fn note_taken(&mut self, id: &[u8; 32]) -> Result<()> {
        let mut update =
            self.connection.prepare_cached("UPDATE carried SET taken = taken + 1 WHERE hash = ?1")?;
        update.execute([id])?;
        Ok(())
    }

    fn drop_carried(&mut self, id: &[u8; 32]) -> Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM carried WHERE hash = ?1")?;
        delete.execute([id])?;
        Ok(())
    }
}
