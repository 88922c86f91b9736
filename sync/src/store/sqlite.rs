//! A store in one SQLite database: WAL, `synchronous=FULL`, own checkpoints.
//!
//! Keyed tables are rowid tables with a unique index: random keys inside the key tree itself cost eight times as
//! much. The caller owns the connection through [`Sqlite::connection`] for tables of its own, which then live
//! and die in the same transactions.
//!
//! Grants' bytes lie in a file of their own (see `apart`), contents in a folder.
//!
//! Assumptions: one process writes (`vault.db` is locked exclusively as long as the store is open, and a second process
//! is told so); fsync does what it says. [`Sqlite::reader`] gives connections that read beside the one that writes. Errors in automatic checkpoints are swallowed by SQLite, so they are switched off and
//! [`Sqlite::checkpoint`] reads its own result.

use std::collections::BTreeSet;
use std::path::Path;

use certs::{NodeName, Site};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Params, Row, Rows, ffi, params};

use super::{
    Debt, Document, Durable, Peer, Position, Refused, Result, Store, StoreError, StoredSeal, Totals, ends,
};
use crate::digest::SetDigest;
use crate::id::{DocId, ItemHash, SealHash};
use crate::item::{Class, Item, Kind, Sealed, State, stub};

mod apart;
mod around;
mod audiences;
mod bundles;
mod folder;

use apart::Apart;
pub use apart::Parted;
pub use around::{Gap, Stretch};
use audiences::Audiences;
use folder::Folder;
pub use folder::Staged;

/// The version of the tables below, in `PRAGMA user_version`.
pub const SCHEMA: i64 = 4;

/// The oldest schema that is brought up to this one.
const OLDEST: i64 = 2;

const TABLES: &str = "
CREATE TABLE document(
  id INTEGER PRIMARY KEY, doc BLOB NOT NULL, audience INTEGER NOT NULL, frozen INTEGER NOT NULL);
CREATE UNIQUE INDEX document_doc ON document(doc);
CREATE INDEX document_frozen ON document(id) WHERE frozen;
CREATE TABLE seal(
  id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, node TEXT NOT NULL, number INTEGER NOT NULL,
  seal BLOB NOT NULL, twigs BLOB NOT NULL);
CREATE INDEX seal_chain ON seal(node, number);
CREATE TABLE item(
  id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL, doc INTEGER, kind INTEGER NOT NULL,
  author TEXT NOT NULL, state INTEGER NOT NULL, seal INTEGER, leaf INTEGER, bytes BLOB NOT NULL);
CREATE UNIQUE INDEX item_hash ON item(hash);
CREATE INDEX item_doc ON item(doc, hash);
CREATE INDEX item_state ON item(state) WHERE state > 0;
CREATE INDEX item_seal ON item(seal) WHERE seal IS NOT NULL;
CREATE INDEX item_erased ON item(doc) WHERE kind = 3;
CREATE INDEX item_unsealed ON item(id) WHERE seal IS NULL AND doc IS NOT NULL;
CREATE TABLE outbox(
  id INTEGER PRIMARY KEY, peer TEXT NOT NULL, class INTEGER NOT NULL, rank INTEGER NOT NULL,
  doc INTEGER NOT NULL, item BLOB NOT NULL, UNIQUE(peer, doc, item));
CREATE INDEX outbox_order ON outbox(peer, class, rank DESC);
CREATE TABLE refusal(node TEXT NOT NULL, item BLOB NOT NULL, reason TEXT NOT NULL, UNIQUE(node, item));
CREATE TABLE peer(
  name TEXT PRIMARY KEY, digest BLOB NOT NULL, everything INTEGER, until INTEGER, proved_at INTEGER, last_seen INTEGER);
CREATE TABLE emptying(hash BLOB PRIMARY KEY);
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE counts(documents INTEGER NOT NULL, items INTEGER NOT NULL);
INSERT INTO counts VALUES(0, 0);
";

/// The store.
pub struct Sqlite {
    connection: Connection,
    apart: Apart,
    folder: Folder,
    audiences: Audiences,
    counts: Counts,
    /// The row of the document used last: items come in runs.
    recent: Option<(DocId, i64)>,
}

/// How many rows there are; kept, because counting them takes as long as reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    documents: i64,
    items: i64,
}

impl Counts {
    fn read(connection: &Connection) -> Result<Counts> {
        let mut query = connection.prepare_cached("SELECT documents, items FROM counts")?;
        Ok(query.query_row([], |r| Ok(Counts { documents: r.get(0)?, items: r.get(1)? }))?)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::Error;
        // A value of another type than its column's was not written by this program.
        if let Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) = e
        {
            return StoreError::Damaged(e.to_string());
        }
        // The log's index, which readers share, lies in a file. SQLite does not say why it could not grow: a full disk is
        // what happens. It holds nothing that lasts; on a broken disk the next write of the log fails, and says so.
        let code = e.sqlite_error().map(|e| e.extended_code);
        if let Some(ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMSIZE) = code {
            return StoreError::Full(format!("the log's index cannot grow: {e}"));
        }
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(e.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(e.to_string()),
            _ => StoreError::Failed(e.to_string()),
        }
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} does not read as what was written"))
}

fn number_of(state: State) -> u8 {
    match state {
        State::Counted => 0,
        State::NotCounted => 1,
        State::Refused => 2,
        State::Emptied => 3,
    }
}

fn state_of(number: u8) -> Result<State> {
    match number {
        0 => Ok(State::Counted),
        1 => Ok(State::NotCounted),
        2 => Ok(State::Refused),
        3 => Ok(State::Emptied),
        _ => Err(damaged("an item's state")),
    }
}

fn read_id<T>(bytes: Vec<u8>, make: impl FnOnce([u8; 32]) -> T) -> Result<T> {
    bytes.try_into().map(make).map_err(|_| damaged("a hash"))
}

fn name(text: &str) -> Result<NodeName> {
    text.parse().map_err(|_| damaged("a node's name"))
}

/// The smallest byte string above all that begin with `prefix`; `None` when there is none.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bound = prefix.to_vec();
    while let Some(last) = bound.pop() {
        if last < u8::MAX {
            bound.push(last + 1);
            return Some(bound);
        }
    }
    None
}

/// Visits the rows `id, hash, document's row, document, audience` of items whose audience is among these.
fn visit_shared(
    mut rows: Rows<'_>,
    audiences: &[i64],
    visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
) -> Result<()> {
    let mut recent: Option<(i64, Option<DocId>)> = None;
    while let Some(row) = rows.next()? {
        let doc = match row.get::<_, Option<i64>>(2)? {
            None => None,
            Some(at) => {
                if recent.is_none_or(|(known, _)| known != at) {
                    let shared = audiences.binary_search(&row.get(4)?).is_ok();
                    let doc = shared.then(|| read_id(row.get(3)?, DocId::from_bytes)).transpose()?;
                    recent = Some((at, doc));
                }
                let Some((_, Some(doc))) = recent else { continue };
                Some(doc)
            }
        };
        let hash = row.get_ref(1)?.as_blob().ok().and_then(|b| ItemHash::try_from(b).ok());
        let hash = hash.ok_or_else(|| damaged("a hash"))?;
        visit(&hash, doc, Position(row.get::<_, i64>(0)? as u64));
    }
    Ok(())
}

impl Sqlite {
    /// Opens or makes the database at `path`; contents of files lie beside it, in `files`.
    pub fn open(path: &Path) -> Result<Sqlite> {
        // First, for it holds the lock that keeps other processes out.
        let apart = Apart::open(&path.with_file_name("vault.db"))?;
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;
             PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF;",
        )?;
        keep_plans(&connection)?;
        Sqlite::prepare(&connection)?;
        connection.execute_batch(folder::TABLE)?;
        let counts = Counts::read(&connection)?;
        let folder = Folder::new(path.with_file_name("files"));
        let audiences = Audiences::default();
        let mut store = Sqlite { connection, apart, folder, audiences, counts, recent: None };
        store.empty_again()?;
        Ok(store)
    }

    /// Makes the tables, or sees that they are of this version.
    fn prepare(connection: &Connection) -> Result<()> {
        connection.set_prepared_statement_cache_capacity(128);
        let version: i64 = connection.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        match version {
            0 => {
                connection.execute_batch(&format!(
                    "BEGIN; {TABLES} {} {} PRAGMA user_version={SCHEMA}; COMMIT;",
                    audiences::TABLE,
                    bundles::TABLE
                ))?;
            }
            OLDEST..SCHEMA => {
                let to_3 = if version < 3 { bundles::TABLE } else { "" };
                // Since 4 an audience may name regions. The tables are as they were; the number keeps programs out that
                // would take such an audience for damage.
                connection.execute_batch(&format!("BEGIN; {to_3} PRAGMA user_version={SCHEMA}; COMMIT;"))?;
            }
            SCHEMA => {}
            other => {
                return Err(StoreError::Failed(format!(
                    "the database has schema {other} and this program knows {SCHEMA}: use the program version that wrote it"
                )));
            }
        }
        Ok(())
    }

    /// The connection, for tables that the caller keeps beside the store's own.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A connection that reads what is committed, whatever the one that writes does meanwhile: neither waits for the
    /// other. While a reading lasts, the log that it began with cannot be used anew, and grows.
    pub fn reader(&self) -> Result<Connection> {
        let path = self
            .connection
            .path()
            .ok_or_else(|| StoreError::Failed("the database has no file".to_owned()))?;
        let reader = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        reader.execute_batch("PRAGMA query_only=ON; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;")?;
        keep_plans(&reader)?;
        reader.set_prepared_statement_cache_capacity(64);
        Ok(reader)
    }

    /// What is kept under a key, as this connection to the database sees it: the own one, or a reader.
    pub fn meta_of(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>> {
        let mut query = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(query.query_row([key], |r| r.get(0)).optional()?)
    }

    /// Moves the write-ahead log into the database. Returns how many log pages are left because a reader still
    /// needs them.
    pub fn checkpoint(&mut self) -> Result<u64> {
        self.apart.connection().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        let (busy, log, moved): (i64, i64, i64) =
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        Ok(if busy != 0 { log.max(0) as u64 } else { (log - moved).max(0) as u64 })
    }

    /// How often something was cut out of the vault since the start: a copy of the file that was begun before is none.
    pub fn cuts(&self) -> u64 {
        self.apart.cuts()
    }

    /// The connection of the file that grants lie in, for tables that the caller keeps beside them. Their rows may hang
    /// on `apart(id)` and go with a grant that is erased.
    pub fn apart(&self) -> &Connection {
        self.apart.connection()
    }

    fn document_row(&mut self, doc: &DocId) -> Result<Option<i64>> {
        if let Some((recent, row)) = self.recent
            && recent == *doc
        {
            return Ok(Some(row));
        }
        let mut query = self.connection.prepare_cached("SELECT id FROM document WHERE doc = ?1")?;
        let row = query.query_row([doc.as_bytes()], |r| r.get(0)).optional()?;
        self.recent = row.map(|row| (*doc, row)).or(self.recent);
        Ok(row)
    }

    fn items_where(&mut self, which: &str, values: impl Params) -> Result<Vec<Item>> {
        let sql = format!(
            "SELECT i.hash, i.kind, d.doc, i.author, i.state, s.hash, i.leaf, i.bytes
             FROM item i LEFT JOIN document d ON d.id = i.doc LEFT JOIN seal s ON s.id = i.seal
             WHERE {which} ORDER BY i.id"
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let rows = query.query_map(values, RawItem::read)?;
        rows.map(|raw| self.apart.complete(raw?.item()?)).collect()
    }
}

/// A statement's plan never depends on the values that are bound. Otherwise SQLite compiles a statement anew whenever a
/// value changes that statistics could tell something about, and there are none here.
fn keep_plans(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

struct RawItem {
    hash: Vec<u8>,
    kind: u8,
    doc: Option<Vec<u8>>,
    author: String,
    state: u8,
    seal: Option<Vec<u8>>,
    leaf: Option<u32>,
    bytes: Vec<u8>,
}

impl RawItem {
    fn read(r: &Row<'_>) -> rusqlite::Result<RawItem> {
        Ok(RawItem {
            hash: r.get(0)?,
            kind: r.get(1)?,
            doc: r.get(2)?,
            author: r.get(3)?,
            state: r.get(4)?,
            seal: r.get(5)?,
            leaf: r.get(6)?,
            bytes: r.get(7)?,
        })
    }

    fn item(self) -> Result<Item> {
        let sealed = match (self.seal, self.leaf) {
            (Some(seal), Some(leaf)) => Some(Sealed { seal: read_id(seal, SealHash::from_bytes)?, leaf }),
            _ => None,
        };
        Ok(Item {
            hash: read_id(self.hash, ItemHash::from_bytes)?,
            kind: Kind::new(self.kind),
            doc: self.doc.map(|d| read_id(d, DocId::from_bytes)).transpose()?,
            author: name(&self.author)?,
            state: state_of(self.state)?,
            sealed,
            bytes: self.bytes,
        })
    }
}

struct RawDebt {
    class: u8,
    rank: i64,
    doc: Option<Vec<u8>>,
    item: Vec<u8>,
}

impl RawDebt {
    fn read(r: &Row<'_>) -> rusqlite::Result<RawDebt> {
        Ok(RawDebt { class: r.get(0)?, rank: r.get(1)?, doc: r.get(2)?, item: r.get(3)? })
    }

    fn debt(self) -> Result<Debt> {
        Ok(Debt {
            class: Class::from_number(self.class),
            rank: Position(self.rank as u64),
            doc: self.doc.map(|d| read_id(d, DocId::from_bytes)).transpose()?,
            item: if self.item.is_empty() { None } else { Some(read_id(self.item, ItemHash::from_bytes)?) },
        })
    }
}

/// In the outbox an absent item or document is an empty or zero value, so that the unique index sees it.
fn item_key(item: Option<&ItemHash>) -> &[u8] {
    item.map_or(&[], |i| i.as_bytes())
}

impl Store for Sqlite {
    fn document(&mut self, doc: &DocId) -> Result<Option<Document>> {
        let mut query =
            self.connection.prepare_cached("SELECT id, audience, frozen FROM document WHERE doc = ?1")?;
        let row = query
            .query_row([doc.as_bytes()], |r| Ok((r.get::<_, i64>(0)?, r.get(1)?, r.get(2)?)))
            .optional()?;
        let Some((id, audience, frozen)) = row else { return Ok(None) };
        self.recent = Some((*doc, id));
        Ok(Some(Document { audience: self.audiences.get(&self.connection, audience)?, frozen }))
    }

    fn put_document(&mut self, doc: &DocId, document: &Document) -> Result<()> {
        let audience = self.audiences.number(&self.connection, &document.audience)?;
        match self.document_row(doc)? {
            Some(row) => {
                let mut update = self
                    .connection
                    .prepare_cached("UPDATE document SET audience = ?2, frozen = ?3 WHERE id = ?1")?;
                update.execute(params![row, audience, document.frozen])?;
            }
            None => {
                let mut insert = self
                    .connection
                    .prepare_cached("INSERT INTO document(doc, audience, frozen) VALUES(?1, ?2, ?3)")?;
                insert.execute(params![doc.as_bytes(), audience, document.frozen])?;
                self.recent = Some((*doc, self.connection.last_insert_rowid()));
                self.counts.documents += 1;
            }
        }
        Ok(())
    }

    fn documents(&mut self, after: Option<DocId>, limit: usize) -> Result<Vec<(DocId, Document)>> {
        let from = match after {
            Some(doc) => self.document_row(&doc)?.unwrap_or(0),
            None => 0,
        };
        let mut query = self.connection.prepare_cached(
            "SELECT doc, audience, frozen FROM document WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let rows = query.query_map(params![from, limit as i64], |r| {
            Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, i64>(1)?, r.get::<_, bool>(2)?))
        })?;
        rows.map(|row| {
            let (doc, audience, frozen) = row?;
            let audience = self.audiences.get(&self.connection, audience)?;
            Ok((read_id(doc, DocId::from_bytes)?, Document { audience, frozen }))
        })
        .collect()
    }

    fn documents_by(&mut self, node: NodeName) -> Result<Vec<DocId>> {
        // By way of the node's seals: an index by author would cost every item, and this is asked at revocations.
        let mut query = self.connection.prepare_cached(
            "SELECT doc FROM document WHERE id IN (
               SELECT i.doc FROM seal s JOIN item i ON i.seal = s.id WHERE s.node = ?1
               UNION SELECT doc FROM item WHERE seal IS NULL AND doc IS NOT NULL AND author = ?1)
             ORDER BY doc",
        )?;
        let rows = query.query_map([node.to_string()], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read_id(row?, DocId::from_bytes)).collect()
    }

    fn frozen(&mut self, limit: usize) -> Result<Vec<DocId>> {
        let mut query =
            self.connection.prepare_cached("SELECT doc FROM document WHERE frozen ORDER BY id LIMIT ?1")?;
        let rows = query.query_map([limit as i64], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read_id(row?, DocId::from_bytes)).collect()
    }

    fn documents_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<DocId>> {
        let end = after(prefix).unwrap_or_else(|| vec![255; 33]);
        let mut query = self
            .connection
            .prepare_cached("SELECT doc FROM document WHERE doc >= ?1 AND doc < ?2 ORDER BY doc LIMIT 2")?;
        let rows = query.query_map([prefix, &end], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read_id(row?, DocId::from_bytes)).collect()
    }

    fn item(&mut self, hash: &ItemHash) -> Result<Option<Item>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.hash, i.kind, d.doc, i.author, i.state, s.hash, i.leaf, i.bytes
             FROM item i LEFT JOIN document d ON d.id = i.doc LEFT JOIN seal s ON s.id = i.seal WHERE i.hash = ?1",
        )?;
        let found = query.query_row([hash.as_bytes()], RawItem::read).optional()?;
        found.map(|raw| self.apart.complete(raw.item()?)).transpose()
    }

    fn state(&mut self, hash: &ItemHash) -> Result<Option<State>> {
        let mut query = self.connection.prepare_cached("SELECT state FROM item WHERE hash = ?1")?;
        query.query_row([hash.as_bytes()], |r| r.get(0)).optional()?.map(state_of).transpose()
    }

    fn items_with_prefix(&mut self, prefix: &[u8]) -> Result<Vec<ItemHash>> {
        let end = after(prefix).unwrap_or_else(|| vec![255; 33]);
        let mut query = self
            .connection
            .prepare_cached("SELECT hash FROM item WHERE hash >= ?1 AND hash < ?2 ORDER BY hash LIMIT 2")?;
        let rows = query.query_map([prefix, &end], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read_id(row?, ItemHash::from_bytes)).collect()
    }

    fn items_of(&mut self, doc: &DocId) -> Result<Vec<Item>> {
        match self.document_row(doc)? {
            Some(row) => self.items_where("i.doc = ?1", [row]),
            None => Ok(Vec::new()),
        }
    }

    fn items_of_kind(&mut self, doc: &DocId, kind: Kind) -> Result<Vec<Item>> {
        match self.document_row(doc)? {
            // In words and not as a value: so the index of erased marks serves, and every commit asks for them.
            Some(row) => self.items_where(&format!("i.doc = ?1 AND i.kind = {}", kind.number()), [row]),
            None => Ok(Vec::new()),
        }
    }

    fn directory(&mut self) -> Result<Vec<Item>> {
        self.items_where("i.doc IS NULL", [])
    }

    fn put_item(&mut self, item: &Item) -> Result<Position> {
        let doc = match item.doc {
            Some(doc) => Some(self.document_row(&doc)?.ok_or_else(|| damaged("an item's document"))?),
            None => None,
        };
        let seal: Option<i64> = match item.sealed {
            Some(sealed) => {
                let mut query = self.connection.prepare_cached("SELECT id FROM seal WHERE hash = ?1")?;
                Some(query.query_row([sealed.seal.as_bytes()], |r| r.get(0))?)
            }
            None => None,
        };
        let bytes: &[u8] = if apart::is_apart(item) {
            self.apart.put(&item.hash, &item.bytes)?;
            &[]
        } else {
            &item.bytes
        };
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO item(hash, doc, kind, author, state, seal, leaf, bytes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        insert.execute(params![
            item.hash.as_bytes(),
            doc,
            item.kind.number(),
            item.author.to_string(),
            number_of(item.state),
            seal,
            item.sealed.map(|s| s.leaf),
            bytes
        ])?;
        self.counts.items += 1;
        Ok(Position(self.connection.last_insert_rowid() as u64))
    }

    fn seal_item(&mut self, hash: &ItemHash, sealed: Sealed) -> Result<()> {
        let mut update = self.connection.prepare_cached(
            "UPDATE item SET seal = (SELECT id FROM seal WHERE hash = ?2), leaf = ?3 WHERE hash = ?1",
        )?;
        match update.execute(params![hash.as_bytes(), sealed.seal.as_bytes(), sealed.leaf])? {
            1 => Ok(()),
            _ => Err(StoreError::Damaged(format!("item {hash} is not there"))),
        }
    }

    fn set_state(&mut self, hash: &ItemHash, state: State) -> Result<()> {
        let mut update = self.connection.prepare_cached("UPDATE item SET state = ?2 WHERE hash = ?1")?;
        match update.execute(params![hash.as_bytes(), number_of(state)])? {
            1 => Ok(()),
            _ => Err(StoreError::Damaged(format!("item {hash} is not there"))),
        }
    }

    fn put_refusal(&mut self, refused: &Refused) -> Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO refusal(node, item, reason) VALUES(?1, ?2, ?3)
             ON CONFLICT(node, item) DO UPDATE SET reason = excluded.reason",
        )?;
        put.execute(params![refused.by.to_string(), refused.item.as_bytes(), refused.reason])?;
        Ok(())
    }

    fn refusals(&mut self, by: NodeName, after: Option<ItemHash>, limit: usize) -> Result<Vec<Refused>> {
        let mut query = self.connection.prepare_cached(
            "SELECT item, reason FROM refusal WHERE node = ?1 AND item > ?2 ORDER BY item LIMIT ?3",
        )?;
        let rows = query.query_map(params![by.to_string(), item_key(after.as_ref()), limit as i64], |r| {
            Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (item, reason) = row?;
            Ok(Refused { item: read_id(item, ItemHash::from_bytes)?, by, reason })
        })
        .collect()
    }

    fn empty_item(&mut self, hash: &ItemHash) -> Result<()> {
        let item =
            self.item(hash)?.ok_or_else(|| StoreError::Damaged(format!("item {hash} is not there")))?;
        let mut update =
            self.connection.prepare_cached("UPDATE item SET state = ?2, bytes = ?3 WHERE hash = ?1")?;
        update.execute(params![hash.as_bytes(), number_of(State::Emptied), stub(&item.bytes)])?;
        if apart::is_apart(&item) {
            let mut due =
                self.connection.prepare_cached("INSERT OR IGNORE INTO emptying(hash) VALUES(?1)")?;
            due.execute([hash.as_bytes()])?;
            self.apart.empty(hash);
        }
        Ok(())
    }

    fn drop_item(&mut self, hash: &ItemHash) -> Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM item WHERE hash = ?1")?;
        match delete.execute([hash.as_bytes()])? {
            1 => Ok(()),
            _ => Err(StoreError::Damaged(format!("item {hash} is not there"))),
        }
    }

    fn scan(&mut self, after: Position, limit: usize) -> Result<Vec<(Position, ItemHash, Option<DocId>)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.id, i.hash, d.doc FROM item i LEFT JOIN document d ON d.id = i.doc
             WHERE i.id > ?1 ORDER BY i.id LIMIT ?2",
        )?;
        let rows = query.query_map(params![after.0 as i64, limit as i64], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, Option<Vec<u8>>>(2)?))
        })?;
        rows.map(|row| {
            let (at, hash, doc) = row?;
            let doc = doc.map(|d| read_id(d, DocId::from_bytes)).transpose()?;
            Ok((Position(at as u64), read_id(hash, ItemHash::from_bytes)?, doc))
        })
        .collect()
    }

    fn each_shared(
        &mut self,
        sites: [Site; 2],
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()> {
        let numbers = self.audiences.with_both(&self.connection, sites)?;
        // Both sides are walked in the order of the documents' rows, through an index that holds no bytes.
        let mut query = self.connection.prepare_cached(
            "SELECT i.id, i.hash, i.doc, d.doc, d.audience FROM item i INDEXED BY item_doc
             LEFT JOIN document d ON d.id = i.doc ORDER BY i.doc",
        )?;
        visit_shared(query.query([])?, &numbers, visit)
    }

    fn shared_beginning(
        &mut self,
        sites: [Site; 2],
        firsts: &BTreeSet<[u8; 2]>,
        visit: &mut dyn FnMut(&ItemHash, Option<DocId>, Position),
    ) -> Result<()> {
        let numbers = self.audiences.with_both(&self.connection, sites)?;
        let mut query = self.connection.prepare_cached(
            "SELECT i.id, i.hash, i.doc, d.doc, d.audience FROM item i INDEXED BY item_hash
             LEFT JOIN document d ON d.id = i.doc WHERE i.hash BETWEEN ?1 AND ?2",
        )?;
        for (from, to) in firsts.iter().map(|first| ends(*first)) {
            visit_shared(query.query(params![from.as_bytes(), to.as_bytes()])?, &numbers, visit)?;
        }
        Ok(())
    }

    fn unsealed(&mut self, limit: usize) -> Result<Vec<(ItemHash, DocId)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.hash, d.doc FROM item i JOIN document d ON d.id = i.doc
             WHERE i.seal IS NULL AND i.doc IS NOT NULL ORDER BY i.id LIMIT ?1",
        )?;
        let rows =
            query.query_map([limit as i64], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            let (hash, doc) = row?;
            Ok((read_id(hash, ItemHash::from_bytes)?, read_id(doc, DocId::from_bytes)?))
        })
        .collect()
    }

    fn totals(&mut self) -> Result<Totals> {
        let one = |sql: &str| self.connection.query_row(sql, [], |r| r.get::<_, i64>(0)).map(|n| n as u64);
        Ok(Totals {
            documents: self.counts.documents as u64,
            items: self.counts.items as u64,
            // The indexes are named: by itself SQLite reads every item, and everybody waits.
            refused: one("SELECT count(*) FROM item INDEXED BY item_state WHERE state > 0 AND state = 2")?,
            not_counted: one(
                "SELECT count(*) FROM item INDEXED BY item_state WHERE state > 0 AND state = 1",
            )?,
            unsealed: one(
                "SELECT count(*) FROM item INDEXED BY item_unsealed WHERE seal IS NULL AND doc IS NOT NULL",
            )?,
        })
    }

    fn seal(&mut self, hash: &SealHash) -> Result<Option<StoredSeal>> {
        let mut query = self.connection.prepare_cached("SELECT seal, twigs FROM seal WHERE hash = ?1")?;
        let row = query
            .query_row([hash.as_bytes()], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        let Some((seal, twigs)) = row else { return Ok(None) };
        Ok(Some(StoredSeal {
            seal: postcard::from_bytes(&seal).map_err(|_| damaged("a seal"))?,
            twigs: postcard::from_bytes(&twigs).map_err(|_| damaged("a seal's twigs"))?,
        }))
    }

    fn put_seal(&mut self, hash: &SealHash, seal: &StoredSeal) -> Result<()> {
        let words = seal.seal.words();
        let bytes = postcard::to_stdvec(&seal.seal).expect("a seal has a byte form");
        let twigs = postcard::to_stdvec(&seal.twigs).expect("twigs have a byte form");
        let mut put = self.connection.prepare_cached(
            "INSERT INTO seal(hash, node, number, seal, twigs) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(hash) DO UPDATE SET twigs = excluded.twigs",
        )?;
        put.execute(params![hash.as_bytes(), words.node.to_string(), words.number as i64, bytes, twigs])?;
        Ok(())
    }

    fn seals_numbered(&mut self, node: NodeName, number: u64) -> Result<Vec<SealHash>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT hash FROM seal WHERE node = ?1 AND number = ?2 ORDER BY hash")?;
        let rows = query.query_map(params![node.to_string(), number as i64], |r| r.get::<_, Vec<u8>>(0))?;
        rows.map(|row| read_id(row?, SealHash::from_bytes)).collect()
    }

    fn forks(&mut self, limit: usize) -> Result<Vec<(NodeName, u64)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT node, number FROM seal GROUP BY node, number HAVING count(*) > 1 ORDER BY node, number LIMIT ?1",
        )?;
        let rows = query.query_map([limit as i64], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)))?;
        rows.map(|row| {
            let (node, number) = row?;
            Ok((name(&node)?, number as u64))
        })
        .collect()
    }

    fn highest_seal(&mut self, node: NodeName) -> Result<Option<(u64, SealHash)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT number, hash FROM seal WHERE node = ?1 ORDER BY number DESC, hash LIMIT 1",
        )?;
        let row = query
            .query_row([node.to_string()], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        row.map(|(number, hash)| Ok((number as u64, read_id(hash, SealHash::from_bytes)?))).transpose()
    }

    fn seal_of(&mut self, item: &ItemHash) -> Result<Option<(SealHash, Position)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT s.hash, (SELECT min(id) FROM item WHERE seal = s.id)
             FROM item i JOIN seal s ON s.id = i.seal WHERE i.hash = ?1",
        )?;
        let row = query
            .query_row([item.as_bytes()], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get::<_, i64>(1)?)))
            .optional()?;
        row.map(|(seal, at)| Ok((read_id(seal, SealHash::from_bytes)?, Position(at as u64)))).transpose()
    }

    fn under(&mut self, seal: &SealHash) -> Result<Vec<(Position, ItemHash, DocId)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.id, i.hash, d.doc FROM item i JOIN document d ON d.id = i.doc
             WHERE i.seal = (SELECT id FROM seal WHERE hash = ?1) ORDER BY i.id",
        )?;
        let rows = query.query_map([seal.as_bytes()], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, Vec<u8>>(2)?))
        })?;
        rows.map(|row| {
            let (at, hash, doc) = row?;
            Ok((Position(at as u64), read_id(hash, ItemHash::from_bytes)?, read_id(doc, DocId::from_bytes)?))
        })
        .collect()
    }

    fn leaves(&mut self, seal: &SealHash) -> Result<Vec<(u32, ItemHash, DocId)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT i.leaf, i.hash, d.doc FROM item i JOIN document d ON d.id = i.doc
             WHERE i.seal = (SELECT id FROM seal WHERE hash = ?1) ORDER BY i.leaf",
        )?;
        let rows = query.query_map([seal.as_bytes()], |r| {
            Ok((r.get::<_, u32>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, Vec<u8>>(2)?))
        })?;
        rows.map(|row| {
            let (leaf, hash, doc) = row?;
            Ok((leaf, read_id(hash, ItemHash::from_bytes)?, read_id(doc, DocId::from_bytes)?))
        })
        .collect()
    }

    fn owe(&mut self, peer: NodeName, debts: &[Debt]) -> Result<()> {
        let peer = peer.to_string();
        for debt in debts {
            let doc = match debt.doc {
                Some(doc) => self.document_row(&doc)?.ok_or_else(|| damaged("an owed document"))?,
                None => 0,
            };
            let mut insert = self.connection.prepare_cached(
                "INSERT OR IGNORE INTO outbox(peer, class, rank, doc, item) VALUES(?1, ?2, ?3, ?4, ?5)",
            )?;
            insert.execute(params![
                peer,
                debt.class as u8,
                debt.rank.0 as i64,
                doc,
                item_key(debt.item.as_ref())
            ])?;
        }
        Ok(())
    }

    fn owed(&mut self, peer: NodeName, limit: usize) -> Result<Vec<Debt>> {
        let mut query = self.connection.prepare_cached(
            "SELECT o.class, o.rank, d.doc, o.item FROM outbox o LEFT JOIN document d ON d.id = o.doc
             WHERE o.peer = ?1 ORDER BY o.class, o.rank DESC LIMIT ?2",
        )?;
        let rows = query.query_map(params![peer.to_string(), limit as i64], RawDebt::read)?;
        rows.map(|raw| raw?.debt()).collect()
    }

    fn owed_of(&mut self, peer: NodeName, doc: &DocId, limit: usize) -> Result<Vec<Debt>> {
        let Some(row) = self.document_row(doc)? else { return Ok(Vec::new()) };
        let mut query = self.connection.prepare_cached(
            "SELECT class, rank, ?3, item FROM outbox WHERE peer = ?1 AND doc = ?2 ORDER BY item > x'', rank, item",
        )?;
        // With a LIMIT SQLite would sort in a table that it makes for it.
        let rows = query.query_map(params![peer.to_string(), row, doc.as_bytes()], RawDebt::read)?;
        rows.take(limit).map(|raw| raw?.debt()).collect()
    }

    fn owed_count(&mut self, peer: NodeName) -> Result<u64> {
        let mut query = self.connection.prepare_cached("SELECT count(*) FROM outbox WHERE peer = ?1")?;
        Ok(query.query_row([peer.to_string()], |r| r.get::<_, i64>(0))? as u64)
    }

    fn settle(&mut self, peer: NodeName, items: &[(Option<DocId>, ItemHash)]) -> Result<()> {
        let peer = peer.to_string();
        for (doc, item) in items {
            let doc = match doc {
                Some(doc) => match self.document_row(doc)? {
                    Some(row) => row,
                    None => continue,
                },
                None => 0,
            };
            let mut delete = self
                .connection
                .prepare_cached("DELETE FROM outbox WHERE peer = ?1 AND doc = ?2 AND item = ?3")?;
            delete.execute(params![peer, doc, item.as_bytes()])?;
        }
        Ok(())
    }

    fn settle_document(&mut self, peer: NodeName, doc: &DocId) -> Result<()> {
        if let Some(row) = self.document_row(doc)? {
            let mut delete = self
                .connection
                .prepare_cached("DELETE FROM outbox WHERE peer = ?1 AND doc = ?2 AND item = x''")?;
            delete.execute(params![peer.to_string(), row])?;
        }
        Ok(())
    }

    fn peer(&mut self, peer: NodeName) -> Result<Option<Peer>> {
        let mut query = self.connection.prepare_cached(
            "SELECT digest, everything, until, proved_at, last_seen FROM peer WHERE name = ?1",
        )?;
        let row = query
            .query_row([peer.to_string()], |r| {
                Ok((
                    r.get::<_, Vec<u8>>(0)?,
                    r.get::<_, Option<i64>>(1)?,
                    r.get::<_, Option<i64>>(2)?,
                    r.get::<_, Option<i64>>(3)?,
                    r.get::<_, Option<i64>>(4)?,
                ))
            })
            .optional()?;
        let Some((digest, everything, until, proved_at, last_seen)) = row else { return Ok(None) };
        Ok(Some(Peer {
            digest: SetDigest::from_bytes(&digest).map_err(|_| damaged("a pair's digest"))?,
            everything: everything
                .zip(until)
                .map(|(at, until)| (Position(at as u64), Position(until as u64))),
            proved_at: proved_at.map(|t| t as u64),
            last_seen: last_seen.map(|t| t as u64),
        }))
    }

    fn put_peer(&mut self, peer: NodeName, row: &Peer) -> Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO peer(name, digest, everything, until, proved_at, last_seen) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(name) DO UPDATE SET digest = excluded.digest, everything = excluded.everything,
               until = excluded.until, proved_at = excluded.proved_at, last_seen = excluded.last_seen",
        )?;
        put.execute(params![
            peer.to_string(),
            row.digest.to_bytes().as_slice(),
            row.everything.map(|(at, _)| at.0 as i64),
            row.everything.map(|(_, until)| until.0 as i64),
            row.proved_at.map(|t| t as i64),
            row.last_seen.map(|t| t as i64)
        ])?;
        Ok(())
    }

    fn peers(&mut self) -> Result<Vec<NodeName>> {
        let mut query = self.connection.prepare_cached("SELECT name FROM peer ORDER BY name")?;
        let rows = query.query_map([], |r| r.get::<_, String>(0))?;
        rows.map(|row| name(&row?)).collect()
    }

    fn meta(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Sqlite::meta_of(&self.connection, key)
    }

    fn put_meta(&mut self, key: &str, value: &[u8]) -> Result<()> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
        )?;
        put.execute(params![key, value])?;
        Ok(())
    }
}

impl Durable for Sqlite {
    fn begin(&mut self) -> Result<()> {
        self.apart.begin()?;
        match self.connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => Ok(()),
            Err(e) => self.apart.rollback().and(Err(e.into())),
        }
    }

    fn commit(&mut self) -> Result<()> {
        self.folder.sync()?;
        if self.counts != Counts::read(&self.connection)? {
            let mut update =
                self.connection.prepare_cached("UPDATE counts SET documents = ?1, items = ?2")?;
            update.execute([self.counts.documents, self.counts.items])?;
        }
        if let Some(stamp) = self.apart.stamp()? {
            self.put_meta(apart::STAMP, &stamp)?;
        }
        self.apart.commit()?;
        self.connection.execute_batch("COMMIT")?;
        self.apart.settled();
        self.folder.settle();
        if self.apart.has_emptied() {
            self.empty_again()?;
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.recent = None;
        self.folder.forget();
        self.audiences.forget();
        let apart = self.apart.rollback();
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?; // else the error that brought us here has ended it
        }
        self.counts = Counts::read(&self.connection)?;
        apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::bundles::Bundles;
    use rusqlite::StatementStatus;

    #[test]
    fn sqlite_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let made = std::cell::Cell::new(0);
        super::super::conformance::check(|| {
            made.set(made.get() + 1);
            let own = dir.path().join(made.get().to_string());
            std::fs::create_dir(&own).unwrap();
            Sqlite::open(&own.join("node.db")).unwrap()
        });
    }

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let mut store = Sqlite::open(&path).unwrap();
        store.begin().unwrap();
        store.put_meta("k", b"v").unwrap();
        store.commit().unwrap();
        store.begin().unwrap();
        store.put_meta("k", b"lost").unwrap();
        drop(store);
        assert_eq!(Sqlite::open(&path).unwrap().meta("k").unwrap().unwrap(), b"v");
    }

    #[test]
    fn a_value_of_another_type_is_damage_and_not_a_failing_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&dir.path().join("node.db")).unwrap();
        for value in ["'text'", "7.5", "-1"] {
            let put = format!("INSERT OR REPLACE INTO meta(key, value) VALUES('k', {value})");
            store.connection.execute_batch(&put).unwrap();
            let read = store.meta("k");
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{value}: {read:?}");
        }
    }

    #[test]
    fn a_statement_is_compiled_once_whatever_is_bound() {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&dir.path().join("node.db")).unwrap();
        let mut query = store.connection.prepare("SELECT id FROM item WHERE doc = ?1 LIMIT ?2").unwrap();
        for value in 1..9 {
            assert_eq!(query.query([value, value]).unwrap().next().unwrap().map(|_| ()), None);
        }
        assert_eq!(query.get_status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        let mut first = Sqlite::open(&path).unwrap();
        first.begin().unwrap();
        first.put_meta("k", b"v").unwrap();
        first.commit().unwrap();
        assert!(Sqlite::open(&path).is_err());
        drop(first);
        assert!(Sqlite::open(&path).is_ok(), "it has ended");
    }

    #[test]
    fn a_reader_sees_what_is_committed_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&dir.path().join("node.db")).unwrap();
        let reader = store.reader().unwrap();
        let seen = || -> Option<Vec<u8>> {
            let mut query = reader.prepare_cached("SELECT value FROM meta WHERE key = 'k'").unwrap();
            query.query_row([], |r| r.get(0)).optional().unwrap()
        };
        store.begin().unwrap();
        store.put_meta("k", b"one").unwrap();
        assert_eq!(seen(), None, "it is not committed");
        store.commit().unwrap();
        assert_eq!(seen().unwrap(), b"one");
        // A reading that lasts sees one state, keeps nobody from writing, and only the log's pages after it from moving.
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(seen().unwrap(), b"one");
        store.begin().unwrap();
        store.put_meta("k", b"two").unwrap();
        store.commit().unwrap();
        assert_eq!(seen().unwrap(), b"one");
        assert!(store.checkpoint().unwrap() > 0);
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(seen().unwrap(), b"two");
        assert_eq!(store.checkpoint().unwrap(), 0);
        assert!(reader.execute_batch("DELETE FROM meta").is_err(), "it only reads");
    }

    #[test]
    fn earlier_schemas_become_this_one_and_keep_what_they_hold() {
        for (version, more) in [(2, ""), (3, bundles::TABLE)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("node.db");
            let old = Connection::open(&path).unwrap();
            let made = format!("{TABLES} {} {more} PRAGMA user_version={version};", audiences::TABLE);
            old.execute_batch(&made).unwrap();
            let doc = DocId::from_bytes([7; 32]);
            old.execute_batch(
                "INSERT INTO meta VALUES('k', x'07'); INSERT INTO audience VALUES(1, '370000 370100');",
            )
            .unwrap();
            old.execute("INSERT INTO document VALUES(1, ?1, 1, 0)", [doc.as_bytes()]).unwrap();
            drop(old);
            for _ in 0..2 {
                let mut store = Sqlite::open(&path).unwrap();
                assert_eq!(store.meta("k").unwrap().unwrap(), [7]);
                let now: i64 = store.connection.query_row("PRAGMA user_version", [], |r| r.get(0)).unwrap();
                assert_eq!(now, SCHEMA);
                store.begin().unwrap();
                let mut audience = store.document(&doc).unwrap().unwrap().audience;
                assert!(audience.has("370100".parse().unwrap()) && !audience.has("370200".parse().unwrap()));
                audience = audience.with_regions(["510000".parse().unwrap()]);
                store.put_document(&doc, &Document { audience, frozen: false }).unwrap();
                assert!(store.document(&doc).unwrap().unwrap().audience.has("510100".parse().unwrap()));
                store.rollback().unwrap();
                store.begin().unwrap();
                store.carry("370100-01".parse().unwrap(), "370000".parse().unwrap(), b"a parcel").unwrap();
                store.commit().unwrap();
                assert_eq!(store.carried().unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn a_newer_schema_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.db");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", SCHEMA + 1).unwrap();
        assert!(Sqlite::open(&path).is_err());
    }

    #[test]
    fn a_log_moves_into_the_database_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(&dir.path().join("node.db")).unwrap();
        store.begin().unwrap();
        store.put_meta("k", &[1; 10_000]).unwrap();
        store.commit().unwrap();
        assert_eq!(store.checkpoint().unwrap(), 0);
    }

    #[test]
    fn the_bound_after_a_prefix() {
        assert_eq!(after(&[1, 255]), Some(vec![2]));
        assert_eq!(after(&[255, 255]), None);
    }
}
