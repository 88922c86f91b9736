//! The mark that a ticket's personal data is erased: what its bytes say, and who may write it.
//!
//! ```text
//! {"document":"9a…","node":"370100","parents":["3f…"],"reason":"…","user":"王芳","at":"…"}
//! ```
//!
//! Like an entry it rests on the trail's heads as its writer saw them and is judged in the state folded from their
//! ancestry alone, so every node decides alike. It names its document, since marks of two documents must not have
//! one hash. Nothing takes it back.

use certs::{NodeName, Site};
use serde::{Deserialize, Serialize};
use sync::id::DocId;

use super::entry::{EntryId, MAX_NAME, MAX_PARENTS};
use super::fold::Folded;

/// The longest mark, in bytes.
const MAX_MARK: usize = 16 * 1024;

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 2 * 1024;

/// What the bytes of an erased mark say. Fields of newer versions are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The ticket, as text.
    pub document: String,
    /// The node that wrote it.
    pub node: NodeName,
    /// The trail's heads when it was written.
    pub parents: Vec<EntryId>,
    /// Why, in a person's words.
    pub reason: String,
    /// The person at the desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When, as RFC 3339 text by the author's own clock. Shown; no rule reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Erasure {
    /// Reads a mark of this document by this author; the error is what is wrong with it.
    pub fn read(bytes: &[u8], document: &DocId, author: NodeName) -> Result<Erasure, String> {
        if bytes.len() > MAX_MARK {
            return Err(format!("the erased mark has {} bytes and may have {MAX_MARK}", bytes.len()));
        }
        let mark: Erasure =
            serde_json::from_slice(bytes).map_err(|e| format!("the erased mark does not read: {e}"))?;
        let long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.len() > MAX_NAME);
        if mark.document != document.to_string() {
            return Err("the erased mark names another document".to_owned());
        }
        if mark.node != author {
            return Err(format!(
                "the erased mark says that {} wrote it, and the seal is {author}'s",
                mark.node
            ));
        }
        if mark.reason.trim().is_empty() || mark.reason.len() > MAX_REASON {
            return Err(format!("an erased mark has a reason of at most {MAX_REASON} bytes"));
        }
        if mark.parents.is_empty() || mark.parents.len() > MAX_PARENTS || long(&mark.user) || long(&mark.at) {
            return Err("a field of the erased mark is missing or too long".to_owned());
        }
        Ok(mark)
    }

    /// The mark's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names, ids and texts are always written to memory")
    }
}

/// Whether a site may erase, as the ticket stands: the custodian, the site that took the call, and their superiors, and
/// nobody while it is kept.
pub fn may_erase(folded: &Folded, site: Site) -> bool {
    let concerned = [folded.stand.custodian, folded.stand.taken_by];
    folded.kept.is_empty() && concerned.iter().any(|c| site.covers(*c))
}

/// The bytes of a node's receipt: what the marks of this document named is gone there.
pub fn receipt(document: &DocId, node: NodeName) -> Vec<u8> {
    format!("{document} {node}").into_bytes()
}
