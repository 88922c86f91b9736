//! Backups, as the node knows of them: when the last was taken, and, when it came back from one, what it does differently.

use serde_json::{Value, json};
use sync::store::Store;

use super::{BLOCK, Engine, failed, shown_time};
use crate::backup;
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

    /// When the last backup of the directory was taken, as RFC 3339; null when none was.
    pub(super) fn last_backup(&self) -> Value {
        backup::taken_at(&self.dir).map_or(Value::Null, |ms| shown_time(ms).into())
    }

    /// `{"at","of"}`, or null when the directory never was restored.
    pub(super) fn last_restored(&mut self) -> Result<Value, Failure> {
        let said = self.store.meta(RESTORED)?;
        Ok(said.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }
}
