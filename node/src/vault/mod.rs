//! The vault: what opens persons, and what this node knows of them.
//!
//! It is a file of its own, because a backup may hold it for thirty days only. Grants' bytes lie there (the store
//! keeps them, see `sync::store::sqlite`); what is derived from a grant hangs on its row and goes with it when the
//! document is erased, in the same transaction.
//!
//! ```text
//! DIR/vault.db   apart    the bytes of grants, this node's and those it relays
//!                holder   whose a grant is, and of which key                 hangs on apart
//!                person   keyed marks of phone and name, for looking up      hangs on apart
//!                unread   grants of this node whose person is not marked yet hangs on apart
//!                reveal   who was shown whom and why, in a chain of hashes
//!                lack     documents some entitled node of which has no grant, and since when
//!                known    nodes whose records were seen; fresh: those that no round was made for
//! ```
//!
//! *Never*: a name, a number or a key stands here in clear. The marks are made under a key that is sealed to the
//! node, so the file without the node's keys tells nothing.

pub mod holders;
pub mod index;
mod key;
pub mod log;

pub use key::{Grant, KeyId, MAX_SEALED, Part, TicketKey, VaultError};

use rusqlite::Connection;
use sync::store::Result;

/// Makes the tables where they are not.
pub fn prepare(db: &Connection) -> Result<()> {
    db.execute_batch(&[holders::TABLES, index::TABLES, log::TABLES].concat())?;
    holders::upgrade(db)
}
