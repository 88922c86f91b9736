//! A node that came back from a backup: what it does differently, and how it says so.

use serde_json::{Value, json};
use sync::store::Store;

use super::{BLOCK, Engine, failed, shown_time};
use crate::request::Failure;

/// When the directory was restored last, and from what.
const RESTORED: &str = "restored";

impl Engine {
    /// Says, in a transaction, that the directory is a backup's of that moment. Numbers that it gave afterwards are known
    /// elsewhere, so it draws another block for new ones.
    pub fn restored(&mut self, taken: &str) -> Result<(), Failure> {
        let mut drawn = [0; 1];
        getrandom::fill(&mut drawn).map_err(|e| failed("the system gives no random numbers", e))?;
        self.block = self.block.another(drawn[0]);
        self.store.put_meta(BLOCK, self.block.to_string().as_bytes())?;
        let said = json!({ "at": shown_time(self.now), "of": taken });
        Ok(self.store.put_meta(RESTORED, said.to_string().as_bytes())?)
    }

    /// `{"at","of"}`, or null when the directory never was restored.
    pub(super) fn last_restored(&mut self) -> Result<Value, Failure> {
        let said = self.store.meta(RESTORED)?;
        Ok(said.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }
}
