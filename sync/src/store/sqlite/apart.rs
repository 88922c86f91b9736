//! Grants lie apart: in a file of their own beside the database, because whoever has their bytes and a node's keys
//! opens persons, and backups may hold such a file for a short time only.
//!
//! ```text
//! DIR/node.db    the item's row: hash, author, seal, state; no bytes until it is emptied, then the stub
//! DIR/vault.db   apart(id, hash, bytes), and what the caller hangs on its rows; secure_delete, WAL, FULL
//! ```
//!
//! Two files do not commit at once, so the order is fixed: what is added is durable here before the database commits,
//! and what is emptied goes from here after it has (the database remembers in `emptying` what is still to go). A crash
//! in between leaves bytes too many and never an item without its bytes.
//!
//! ```text
//! vault: COMMIT (bytes, stamp) -> database: COMMIT (rows, stamp) -> vault: DELETE emptied, log truncated
//! ```
//!
//! Both files bear the stamp of the last commit that added or emptied something, the hash of everything ever added and
//! emptied. Stamps that differ at start mean a crash between the two commits, or that one file was put back from a
//! backup or is gone: then [`Sqlite::parted`] tells what they differ in. Bytes that the database does not speak of are to
//! be removed, items whose bytes are gone to be fetched again from a peer.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, damaged, keep_plans, read_id, state_of};
use crate::id::ItemHash;
use crate::item::{Item, Kind, State};
use crate::store::{Result, Store, StoreError};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS apart(id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS apart_stamp(one INTEGER PRIMARY KEY, stamp BLOB NOT NULL);
";

/// The name of the stamp among the database's values.
pub(super) const STAMP: &str = "vault stamp";

/// Whether an item's bytes lie apart.
pub(super) fn is_apart(item: &Item) -> bool {
    item.kind == Kind::GRANT && item.state != State::Emptied
}

/// What database and vault differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parted {
    /// Items whose bytes are gone.
    pub lost: Vec<ItemHash>,
    /// Bytes of no item that the database holds.
    pub strays: Vec<ItemHash>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Apart {
    connection: Connection,
    stamp: [u8; 32],
    /// Added since the last commit of the database.
    added: Vec<ItemHash>,
    /// Added by a commit that the database did not follow; to be removed.
    strays: Vec<ItemHash>,
    /// To go when the database has committed, with what the log still holds of it.
    emptied: Vec<ItemHash>,
    /// The stamps differed at start, and the files were compared since.
    compared: bool,
    /// How often the log was cut off since the start.
    cuts: Cell<u64>,
}

impl Apart {
    pub(super) fn open(path: &Path) -> Result<Apart> {
        // For nobody else on this machine; what SQLite puts beside it takes its mode.
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;
             PRAGMA cache_size=-4000; PRAGMA foreign_keys=ON;",
        )?;
        keep_plans(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(TABLES)?;
        let stamp = connection
            .query_row("SELECT stamp FROM apart_stamp", [], |r| r.get::<_, Vec<u8>>(0))
            .optional()?
            .map_or(Ok([0; 32]), |bytes| read_id(bytes, |stamp| stamp))?;
        Ok(Apart {
            connection,
            stamp,
            added: Vec::new(),
            strays: Vec::new(),
            emptied: Vec::new(),
            compared: false,
            cuts: Cell::new(0),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn cuts(&self) -> u64 {
        self.cuts.get()
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        match self.delete(&self.strays) {
            Ok(()) => self.strays.clear(),
            Err(StoreError::Full(_)) => {} // there will be room one day, and till then they do no harm
            Err(other) => return Err(other),
        }
        Ok(self.connection.execute_batch("BEGIN")?)
    }

    pub(super) fn put(&mut self, hash: &ItemHash, bytes: &[u8]) -> Result<()> {
        let mut insert =
            self.connection.prepare_cached("INSERT OR REPLACE INTO apart(hash, bytes) VALUES(?1, ?2)")?;
        insert.execute(params![hash.as_bytes(), bytes])?;
        self.added.push(*hash);
        Ok(())
    }

    /// Gives an item its bytes back.
    pub(super) fn complete(&self, mut item: Item) -> Result<Item> {
        if is_apart(&item) {
            let mut query = self.connection.prepare_cached("SELECT bytes FROM apart WHERE hash = ?1")?;
            item.bytes =
                query.query_row([item.hash.as_bytes()], |r| r.get(0)).optional()?.unwrap_or_default();
        }
        Ok(item)
    }

    pub(super) fn has(&self, hash: &ItemHash) -> Result<bool> {
        let mut query = self.connection.prepare_cached("SELECT 1 FROM apart WHERE hash = ?1")?;
        Ok(query.exists([hash.as_bytes()])?)
    }

    pub(super) fn empty(&mut self, hash: &ItemHash) {
        self.emptied.push(*hash);
    }

    pub(super) fn has_emptied(&self) -> bool {
        !self.emptied.is_empty()
    }

    /// The stamp that both files bear from this commit on; `None` when it stays as it is.
    pub(super) fn stamp(&mut self) -> Result<Option<[u8; 32]>> {
        if self.added.is_empty() && self.emptied.is_empty() && !self.compared {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.stamp);
        for (what, hashes) in [(b"+", &self.added), (b"-", &self.emptied)] {
            for hash in hashes {
                hasher.update(what).update(hash.as_bytes());
            }
        }
        self.stamp = *hasher.finalize().as_bytes();
        let mut put =
            self.connection.prepare_cached("INSERT OR REPLACE INTO apart_stamp(one, stamp) VALUES(1, ?1)")?;
        put.execute([self.stamp])?;
        Ok(Some(self.stamp))
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        self.connection.execute_batch("COMMIT")?;
        self.strays.append(&mut self.added);
        Ok(())
    }

    /// The database has committed too.
    pub(super) fn settled(&mut self) {
        self.strays.clear();
        self.compared = false;
    }

    pub(super) fn rollback(&mut self) -> Result<()> {
        self.added.clear();
        self.emptied.clear();
        if self.connection.is_autocommit() {
            return Ok(());
        }
        Ok(self.connection.execute_batch("ROLLBACK")?)
    }

    fn delete(&self, hashes: &[ItemHash]) -> Result<()> {
        let mut delete = self.connection.prepare_cached("DELETE FROM apart WHERE hash = ?1")?;
        for hash in hashes {
            delete.execute([hash.as_bytes()])?;
        }
        Ok(())
    }

    /// Moves the log into the file and cuts it off, so that nothing deleted is left in either.
    pub(super) fn truncate_log(&self) -> Result<()> {
        self.cuts.set(self.cuts.get() + 1);
        let busy: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        Err(StoreError::Failed(
            "the vault's log cannot be cut off: something else reads the vault".to_owned(),
        ))
    }
}

impl Sqlite {
    /// Removes what was emptied from the vault. Outside a transaction; a crash before the end leaves it to the next
    /// start. Every failure is fatal: somebody was told that the bytes are gone, or will be.
    pub(super) fn empty_again(&mut self) -> Result<()> {
        self.try_empty().map_err(|e| match e {
            StoreError::Full(why) => {
                StoreError::Failed(format!("what was erased could not be removed from the vault: {why}"))
            }
            other => other,
        })
    }

    fn try_empty(&mut self) -> Result<()> {
        let emptied = std::mem::take(&mut self.apart.emptied);
        let due: Vec<ItemHash> = {
            let mut query = self.connection.prepare_cached("SELECT hash FROM emptying")?;
            let rows = query.query_map([], |r| r.get::<_, Vec<u8>>(0))?;
            rows.map(|row| read_id(row?, ItemHash::from_bytes)).collect::<Result<_>>()?
        };
        if due.is_empty() && emptied.is_empty() {
            return Ok(());
        }
        self.apart.connection.execute_batch("BEGIN")?;
        self.apart.delete(&due)?;
        self.apart.connection.execute_batch("COMMIT")?;
        self.apart.truncate_log()?;
        self.connection.execute_batch("DELETE FROM emptying")?;
        Ok(())
    }

    /// Compares database and vault when their stamps differ. To be called once after opening, in a transaction in which
    /// the lost items are given up ([`crate::replica::Replica::lose`]) and the strays removed ([`Sqlite::drop_strays`]).
    pub fn parted(&mut self) -> Result<Parted> {
        let here = self.meta(STAMP)?.unwrap_or_else(|| vec![0; 32]);
        if here == self.apart.stamp {
            return Ok(Parted::default());
        }
        self.apart.compared = true;
        let strays: Vec<ItemHash> = {
            let mut all = self.apart.connection.prepare("SELECT hash FROM apart")?;
            let mut rows = all.query([])?;
            let mut strays = Vec::new();
            while let Some(row) = rows.next()? {
                let hash = read_id(row.get::<_, Vec<u8>>(0)?, ItemHash::from_bytes)?;
                let mut state = self.connection.prepare_cached("SELECT state FROM item WHERE hash = ?1")?;
                let held = state.query_row([hash.as_bytes()], |r| r.get(0)).optional()?;
                if !matches!(held.map(state_of).transpose()?, Some(s) if s != State::Emptied) {
                    strays.push(hash);
                }
            }
            strays
        };
        let mut grants =
            self.connection.prepare("SELECT hash, state FROM item WHERE kind = ?1 ORDER BY id")?;
        let mut rows = grants.query([Kind::GRANT.number()])?;
        let mut lost = Vec::new();
        while let Some(row) = rows.next()? {
            let hash = read_id(row.get::<_, Vec<u8>>(0)?, ItemHash::from_bytes)?;
            let state: u8 = row.get(1).map_err(|_| damaged("an item's state"))?;
            if state_of(state)? != State::Emptied && !self.apart.has(&hash)? {
                lost.push(hash);
            }
        }
        Ok(Parted { lost, strays })
    }

    /// Removes bytes that no item has. After the commit no file holds them.
    pub fn drop_strays(&mut self, strays: &[ItemHash]) -> Result<()> {
        strays.iter().for_each(|hash| self.apart.empty(hash));
        self.apart.delete(strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DocId;
    use crate::store::{Document, Durable};

    const DOC: DocId = DocId::from_bytes([9; 32]);

    fn grant(n: u8) -> Item {
        Item {
            hash: ItemHash::from_bytes([n; 32]),
            kind: Kind::GRANT,
            doc: Some(DOC),
            author: "370100".parse().unwrap(),
            state: State::Counted,
            sealed: None,
            bytes: [b"the bytes of a grant ".as_slice(), &[n; 16]].concat(),
        }
    }

    fn open(dir: &Path) -> Sqlite {
        Sqlite::open(&dir.join("node.db")).unwrap()
    }

    fn put(store: &mut Sqlite, items: &[Item]) {
        store.begin().unwrap();
        store.put_document(&DOC, &Document::default()).unwrap();
        for item in items {
            store.put_item(item).unwrap();
        }
        store.commit().unwrap();
    }

    fn lost(store: &mut Sqlite) -> Vec<ItemHash> {
        store.begin().unwrap();
        let Parted { lost, strays } = store.parted().unwrap();
        lost.iter().for_each(|hash| store.drop_item(hash).unwrap());
        store.drop_strays(&strays).unwrap();
        store.commit().unwrap();
        lost
    }

    fn copy(dir: &Path, from: &str, to: &str) {
        for end in ["", "-wal"] {
            let _ = std::fs::remove_file(dir.join(format!("{to}{end}")));
            let _ = std::fs::copy(dir.join(format!("{from}{end}")), dir.join(format!("{to}{end}")));
        }
    }

    /// In which files of the directory these bytes stand.
    fn stand_in(dir: &Path, bytes: &[u8]) -> Vec<String> {
        let all = std::fs::read_dir(dir).unwrap().flatten().filter(|f| f.path().is_file());
        let found = all
            .filter(|f| std::fs::read(f.path()).unwrap().windows(bytes.len()).any(|window| window == bytes));
        let mut names: Vec<String> = found.map(|f| f.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_grants_bytes_are_in_the_vault_alone_and_in_no_file_once_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let (a, b) = (grant(1), grant(2));
        put(&mut store, &[a.clone(), b.clone()]);
        assert_eq!(stand_in(dir.path(), &a.bytes), ["vault.db-wal"]);
        store.begin().unwrap();
        store.empty_item(&a.hash).unwrap();
        store.commit().unwrap();
        assert_eq!(stand_in(dir.path(), &a.bytes), [""; 0]);
        assert_eq!(store.item(&b.hash).unwrap().unwrap(), b);
        drop(store);
        assert_eq!(stand_in(dir.path(), &a.bytes), [""; 0]);
        assert!(lost(&mut open(dir.path())).is_empty());
    }

    #[test]
    fn a_crash_between_the_two_commits_leaves_bytes_too_many_and_the_start_removes_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        put(&mut store, &[grant(1)]);
        store.begin().unwrap();
        store.put_item(&grant(2)).unwrap();
        store.apart.stamp().unwrap();
        store.apart.commit().unwrap();
        drop(store); // the database never committed
        let mut store = open(dir.path());
        assert!(store.apart.has(&grant(2).hash).unwrap());
        assert!(lost(&mut store).is_empty());
        assert!(!store.apart.has(&grant(2).hash).unwrap());
        assert_eq!(store.item(&grant(1).hash).unwrap(), Some(grant(1)));
        put(&mut store, &[grant(2)]);
        drop(store);
        let mut store = open(dir.path());
        assert!(lost(&mut store).is_empty());
        assert_eq!(store.item(&grant(2).hash).unwrap(), Some(grant(2)));
    }

    #[test]
    fn a_database_that_does_not_commit_takes_its_grants_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        put(&mut store, &[grant(1)]);
        store.begin().unwrap();
        store.put_item(&grant(2)).unwrap();
        store.apart.stamp().unwrap();
        store.apart.commit().unwrap(); // and now the disk is full for the database
        store.rollback().unwrap();
        put(&mut store, &[grant(3)]);
        assert!(!store.apart.has(&grant(2).hash).unwrap());
        drop(store);
        assert!(lost(&mut open(dir.path())).is_empty());
    }

    #[test]
    fn a_crash_before_the_emptied_bytes_went_is_made_good_at_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        put(&mut store, &[grant(1)]);
        store.begin().unwrap();
        store.empty_item(&grant(1).hash).unwrap();
        store.connection.execute_batch("COMMIT").unwrap();
        drop(store);
        let store = open(dir.path());
        assert!(!store.apart.has(&grant(1).hash).unwrap());
        assert_eq!(stand_in(dir.path(), &grant(1).bytes), [""; 0]);
    }

    #[test]
    fn a_vault_from_a_backup_loses_what_was_emptied_since_and_names_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        put(&mut store, &[grant(1), grant(2)]);
        drop(store);
        copy(dir.path(), "vault.db", "old.db");
        let mut store = open(dir.path());
        store.begin().unwrap();
        store.empty_item(&grant(1).hash).unwrap();
        store.put_item(&grant(3)).unwrap();
        store.commit().unwrap();
        drop(store);
        copy(dir.path(), "old.db", "vault.db");
        let mut store = open(dir.path());
        assert_eq!(lost(&mut store), [grant(3).hash]);
        assert!(!store.apart.has(&grant(1).hash).unwrap(), "an old vault does not bring a grant back");
        assert_eq!(store.item(&grant(2).hash).unwrap(), Some(grant(2)));
        drop(store);
        assert!(lost(&mut open(dir.path())).is_empty(), "the files are together again");
    }

    #[test]
    fn of_two_files_between_which_grants_were_only_emptied_either_is_known_to_be_old() {
        for old in ["vault.db", "node.db"] {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open(dir.path());
            put(&mut store, &[grant(1), grant(2)]);
            drop(store);
            copy(dir.path(), old, "old.db");
            let mut store = open(dir.path());
            store.begin().unwrap();
            store.empty_item(&grant(1).hash).unwrap();
            store.commit().unwrap();
            drop(store);
            copy(dir.path(), "old.db", old);
            let mut store = open(dir.path());
            let wanted: &[ItemHash] = if old == "node.db" { &[grant(1).hash] } else { &[] };
            assert_eq!(lost(&mut store), wanted, "an old {old}");
            assert_eq!(store.item(&grant(2).hash).unwrap(), Some(grant(2)));
            drop(store);
            std::fs::remove_file(dir.path().join("old.db")).unwrap();
            let _ = std::fs::remove_file(dir.path().join("old.db-wal"));
            assert_eq!(stand_in(dir.path(), &grant(1).bytes), [""; 0], "an old {old}");
        }
    }

    #[test]
    fn a_vault_that_is_gone_is_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        put(&mut store, &[grant(1)]);
        drop(store);
        std::fs::remove_file(dir.path().join("vault.db")).unwrap();
        let _ = std::fs::remove_file(dir.path().join("vault.db-wal"));
        assert_eq!(lost(&mut open(dir.path())), [grant(1).hash]);
    }
}
