//! Documents that hold a trail and nothing else: begun with an entry, and entered into.

use std::collections::HashMap;

use automerge::transaction::{Transactable, Transaction};
use automerge::{ScalarValue, hydrate};
use sync::document::Document;
use sync::id::DocId;
use sync::replica::Beginning;

use super::Engine;
use super::create::write_failure;
use crate::request::Failure;
use crate::ticket::{EntryId, TicketMatter};

impl Engine {
    /// Begins a document with this entry; its row is there at once.
    pub(super) fn begin_trail(&mut self, entry: Vec<u8>) -> Result<DocId, Failure> {
        let id = EntryId::of(&entry).to_string();
        let trail = HashMap::from([(id.as_str(), hydrate::Value::from(ScalarValue::Bytes(entry)))]);
        let parts = hydrate::Map::from(HashMap::from([("trail", hydrate::Value::from(trail))]));
        let (me, incarnation) = (self.me(), self.replica.incarnation());
        let begun =
            Beginning::compose(me, incarnation, TicketMatter::new, |tx| tx.init_root_from_hydrate(&parts));
        let begun = begun.map_err(write_failure)?;
        let doc = begun.doc();
        let admitted = self.replica.admit_beginning(begun, Vec::new(), &mut self.store, &mut self.desk);
        admitted.map_err(write_failure)?;
        Ok(doc)
    }

    /// Puts an entry into a document's trail, and does nothing else to it.
    pub(super) fn enter(&mut self, doc: DocId, entry: &[u8]) -> Result<(), Failure> {
        let write = |document: &Document, tx: &mut Transaction<'_>| {
            let trail = document.part("trail").ok_or(automerge::AutomergeError::Fail)?;
            tx.put(&trail, EntryId::of(entry).to_string(), entry.to_vec())
        };
        self.replica.write(Some(doc), &mut self.store, &mut self.desk, write).map_err(write_failure)?;
        Ok(())
    }
}
