//! What a document means: the seam to the crate that knows.
//!
//! `sync` keeps, verifies and moves documents. Which parts a document has, who may write them and who must hold
//! them is the *matter* of the document; `node` implements it for tickets.

use certs::NodeName;

use crate::document::{Document, Refusal, Witnessed, Write};
use crate::id::DocId;
use crate::item::{Audience, Class, Item};
use crate::store::Result;

/// How a document stands after its latest change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The sites that must hold it. It only grows.
    pub audience: Audience,
    /// How urgently its changes travel.
    pub class: Class,
}

/// The word on an erased mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Its author may erase.
    Stands,
    /// Its author may not, and every node says so.
    Refused(Refusal),
    /// What it rests on is not here yet.
    Waits,
}

/// The matter of one document: what its changes, taken in one by one, add up to.
pub trait Matter: Clone + Send {
    /// What a change says, in the words of this kind of document.
    type Reading;

    /// Reads a change, once: what it says, or which rule it breaks that reads nothing but the change and what kind of
    /// document this is. The changes that it rests on have been taken in.
    fn read(&self, change: &Witnessed, writes: &[Write]) -> std::result::Result<Self::Reading, Refusal>;

    /// Whether the rules of this kind of document allow the change. The answer reads only the change, its ancestors
    /// and its author, so that every node decides alike, whatever else has arrived. The change's dependencies are
    /// in the document's books; the change itself is not yet, and automerge may not know any of them.
    fn judge(
        &self,
        document: &Document,
        change: &Witnessed,
        reading: &Self::Reading,
    ) -> std::result::Result<(), Refusal>;

    /// Takes in a change that stands. Changes come in runs, so what is derived from all of them is better derived when
    /// it is asked for.
    fn take(&mut self, change: &Witnessed, reading: Self::Reading);

    /// Whether a mark that the document's personal data is erased stands. The answer reads only the mark, its author and
    /// what the mark says it rests on. That may have fallen since (a twin, and what rests on one): `fallen` is what those
    /// changes said, which stood where the mark was made. A kind of document that has nothing to erase refuses.
    fn judge_erased(&self, author: NodeName, mark: &[u8], fallen: Vec<Self::Reading>) -> Ruling {
        let _ = (author, mark, fallen);
        Ruling::Refused(Refusal::Rule("a document of this kind has nothing to erase".to_owned()))
    }

    /// How the document stands.
    fn standing(&self) -> Standing;
}

/// What the crate above keeps beside the documents, in the same transactions.
pub trait Domain<S> {
    /// The matter of its documents.
    type Matter: Matter;

    /// What is derived from one document.
    type Row: Send;

    /// The matter of a document of which nothing is here yet.
    fn begin(&self, doc: DocId) -> Self::Matter;

    /// Derives from a document whatever is kept beside it. It reads nothing else, so any thread may make it.
    fn row(document: &Document, matter: &Self::Matter) -> Self::Row;

    /// The document has changed: puts what is derived from it in the place of what was there.
    fn project(&mut self, store: &mut S, doc: &DocId, row: Self::Row) -> Result<()>;

    /// An item that is not a change has come under a document (a grant, an erased mark, a kind of a newer version), or
    /// was emptied there: then it comes with that state.
    fn keep(&mut self, store: &mut S, item: &Item) -> Result<()>;

    /// Does work that needs no store, and hands each result on in order; ends at the first error. Whoever has threads may
    /// use them, as long as only few results wait: what is made is a document each.
    fn each<W: Send, R: Send>(
        &mut self,
        work: Vec<W>,
        make: impl Fn(W) -> R + Sync,
        mut take: impl FnMut(&mut Self, R) -> Result<()>,
    ) -> Result<()> {
        work.into_iter().try_for_each(|work| take(self, make(work)))
    }
}
