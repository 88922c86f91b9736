//! Saying again: what this node wrote and had to take back, under its new actor.
//!
//! A copy of the running process leaves two changes with one place, and only one of them stands (see
//! [`sync::replica`]). What the other said is not lost: entries that may still be made are made again on the heads of
//! now, notes and files are put again, registers are set again unless somebody has set them since. Whatever cannot be
//! said again stands in `hotline replica conflicts` with its reason.

use automerge::transaction::Transactable;
use automerge::{ReadDoc, ScalarValue};
use sync::document::{Witnessed, Write};
use sync::id::{DocId, ItemHash};
use sync::store::Store;

use super::Engine;
use crate::request::Failure;
use crate::ticket::may::may;
use crate::ticket::{Entry, EntryId};

impl Engine {
    /// Says again what was taken back since the last commit; whether anything was.
    pub(super) fn say_again(&mut self) -> Result<bool, Failure> {
        let mut said = false;
        for (doc, item) in self.replica.taken_back() {
            said |= self.say_one_again(doc, item)?;
        }
        Ok(said)
    }

    fn say_one_again(&mut self, doc: DocId, item: ItemHash) -> Result<bool, Failure> {
        let Some(kept) = self.store.item(&item)? else { return Ok(false) };
        let Ok(change) = Witnessed::check(&kept.bytes, kept.author, true) else { return Ok(false) };
        let Ok(writes) = self.with_document(doc, |document, _| document.read(&change))? else {
            return Ok(false);
        };
        // An article's version is its text and its entry in one, on a text that may be another by now: a person says it
        // again. Until then it stands among the conflicts.
        if self.other_kind(doc)?.is_some() {
            return Ok(false);
        }
        let mut said = false;
        for write in writes {
            let Write::Put { part, key, value, .. } = write else { continue };
            said |= match (part.as_str(), &value) {
                ("trail", ScalarValue::Bytes(bytes)) => self.enter_again(doc, bytes)?,
                _ => self.put_again(doc, &part, &key, value)?,
            };
        }
        Ok(said)
    }

    fn enter_again(&mut self, doc: DocId, bytes: &[u8]) -> Result<bool, Failure> {
        let Ok(entry) = Entry::parse(bytes) else { return Ok(false) };
        if may(&self.folded(doc)?, self.me().site(), &entry.op).is_err() {
            return Ok(false);
        }
        let heads = self.trail_heads(doc)?;
        let entry = Entry { parents: heads, ..entry };
        let bytes = entry.to_bytes();
        self.put_again(doc, "trail", &EntryId::of(&bytes).to_string(), ScalarValue::Bytes(bytes.clone()))
    }

    /// Puts a value under a key that is free; whether it is there now. What the gate does not let this site put any
    /// more stays unsaid.
    fn put_again(&mut self, doc: DocId, part: &str, key: &str, value: ScalarValue) -> Result<bool, Failure> {
        let free = self.with_document(doc, |document, _| {
            document.part(part).is_some_and(|p| matches!(document.automerge().get(&p, key), Ok(None)))
        })?;
        if !free {
            return Ok(false);
        }
        let put = self.replica.write(Some(doc), &mut self.store, &mut self.desk, |document, tx| {
            let part = document.part(part).ok_or(automerge::AutomergeError::Fail)?;
            tx.put(&part, key, value)
        });
        match put {
            Ok(_) => Ok(true),
            Err(sync::replica::WriteError::Store(e)) => Err(e.into()),
            Err(_) => Ok(false),
        }
    }
}
