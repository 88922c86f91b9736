//! One document as automerge knows it, opened behind the gate.
//!
//! automerge panics on some hostile input that is well framed, so everything it does with bytes from outside is
//! contained here. A change is applied in place, because a copy for each would cost more than all the rest; when
//! something goes wrong the document is thrown away and made anew of the changes that stood before.
//!
//! A document is a set of *parts*: maps and texts under the root, all made by its first change and never again.
//! There are no objects inside parts. What parts there are and who may write to them is the matter of
//! [`crate::matter`].
//!
//! ```text
//! root ─┬─ part (map)   key -> scalar
//!       ├─ part (map)   key -> scalar
//!       └─ part (text)
//! ```

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::legacy::{Key, ObjectId, OpId, OpType};
use automerge::transaction::Transaction;
use automerge::{
    ActorId, Author, Automerge, Change, ChangeHash, ExpandedChange, ObjType, ReadDoc, ScalarValue,
};
use certs::NodeName;
use serde::{Deserialize, Serialize};

use crate::chunk::{ChangeChunk, ChunkError};
use crate::id::{DocId, Incarnation, ItemHash};

/// A document with more operations is replicated and not loaded; a person must look at it.
pub const MAX_OPERATIONS: u64 = 200_000;

/// The actor a node writes with in one life: eight bytes that name the node, eight that were drawn at this start.
pub fn actor(node: NodeName, incarnation: Incarnation) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&actor_prefix(node));
    bytes[8..].copy_from_slice(incarnation.as_bytes());
    bytes
}

/// How every actor of this node begins.
pub fn actor_prefix(node: NodeName) -> [u8; 8] {
    let hash = blake3::derive_key("hotline 2026 actor", node.to_string().as_bytes());
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&hash[..8]);
    prefix
}

/// Why a change does not stand. Every reason reads only the change, its ancestors and its seal, so that all nodes
/// decide alike for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is not one well-formed change within the limits.
    Chunk(String),
    /// Its actor or author field is not the signer's.
    Actor,
    /// automerge does not take it.
    Automerge(String),
    /// It is a second first change, or a first change where none belongs.
    Root,
    /// It makes objects or writes where no part is.
    Shape(String),
    /// It breaks a rule of the document's kind.
    Rule(String),
    /// Another change with the same actor and sequence number stands.
    Twin(ItemHash),
    /// It rests on a refused change.
    RestsOn(ItemHash),
    /// Its document is past what is loaded.
    TooLarge,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Chunk(why) => write!(f, "not a change that any version writes: {why}"),
            Refusal::Actor => f.write_str("written under an actor or author that is not the signer's"),
            Refusal::Automerge(why) => write!(f, "automerge does not take it: {why}"),
            Refusal::Root => f.write_str("a document has exactly one first change"),
            Refusal::Shape(why) => write!(f, "not the shape of a document: {why}"),
            Refusal::Rule(why) => write!(f, "against the rules of the document: {why}"),
            Refusal::Twin(other) => {
                write!(f, "another change by this actor has the same number and stands: {}", other.short())
            }
            Refusal::RestsOn(other) => write!(f, "rests on {}, which was refused", other.short()),
            Refusal::TooLarge => f.write_str("the document has outgrown what is loaded"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<ChunkError> for Refusal {
    fn from(e: ChunkError) -> Self {
        Refusal::Chunk(e.to_string())
    }
}

/// What one change does to one part.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Makes the part, in a first change.
    Make {
        /// The part's name.
        part: String,
        /// Whether it is a text; otherwise it is a map.
        text: bool,
    },
    /// Puts a scalar under a key of a map.
    Put {
        /// The part's name.
        part: String,
        /// The key.
        key: String,
        /// The value.
        value: ScalarValue,
        /// Whether it replaces a value that the writer saw.
        replaces: bool,
    },
    /// Removes a key of a map.
    Delete {
        /// The part's name.
        part: String,
        /// The key.
        key: String,
    },
    /// Inserts into or deletes from a text.
    Splice {
        /// The part's name.
        part: String,
    },
}

impl Write {
    /// The part it goes to.
    pub fn part(&self) -> &str {
        match self {
            Write::Make { part, .. }
            | Write::Put { part, .. }
            | Write::Delete { part, .. }
            | Write::Splice { part } => part,
        }
    }
}

/// A change that passed everything that reads only itself and its seal.
#[derive(Clone, Debug)]
pub struct Witnessed {
    /// Its hash.
    pub hash: ItemHash,
    /// The node that signed it.
    pub author: NodeName,
    /// The changes it was made on.
    pub deps: Vec<ItemHash>,
    /// Whether it is counted; not past its author's revocation.
    pub counted: bool,
    actor: Vec<u8>,
    others: Vec<Vec<u8>>,
    seq: u64,
    start_op: u64,
    last_op: u64,
    change: Arc<Change>,
}

impl Witnessed {
    /// The half of the gate that reads the change and its signer alone: framing, caps, actor, and automerge's own
    /// parse, contained.
    pub fn check(bytes: &[u8], author: NodeName, counted: bool) -> Result<Witnessed, Refusal> {
        let chunk = ChangeChunk::parse(bytes)?;
        if chunk.actor().len() != 16 || !chunk.actor().starts_with(&actor_prefix(author)) {
            return Err(Refusal::Actor);
        }
        let claimed = chunk.author();
        if (chunk.seq() == 1) != claimed.is_some()
            || claimed.is_some_and(|a| a != author.to_string().as_bytes())
        {
            return Err(Refusal::Actor);
        }
        let change = contain(|| Change::from_bytes(bytes.to_vec()).map_err(|e| e.to_string()))?;
        Ok(Witnessed {
            hash: chunk.hash(),
            author,
            deps: chunk.deps().to_vec(),
            counted,
            actor: chunk.actor().to_vec(),
            others: chunk.other_actors().iter().map(|a| a.to_vec()).collect(),
            seq: chunk.seq(),
            start_op: chunk.start_op(),
            last_op: chunk.last_op(),
            change: Arc::new(change),
        })
    }

    /// Its operations, spelled out.
    fn expand(&self) -> Result<ExpandedChange, Refusal> {
        contain(|| Ok(self.change.decode()))
    }

    /// The actor and sequence number: no two changes that stand share them.
    pub fn place(&self) -> (&[u8], u64) {
        (&self.actor, self.seq)
    }
}

/// Runs what automerge does with bytes from outside; a panic becomes a refusal.
fn contain<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, Refusal> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Refusal::Automerge),
        Err(_) => Err(Refusal::Automerge("it panicked, and was contained".to_owned())),
    }
}

/// Gives changes to automerge, contained, and sees that it keeps each as it was written.
fn give(automerge: &mut Automerge, changes: &[Arc<Change>]) -> Result<(), Refusal> {
    contain(|| {
        let before = automerge.get_heads();
        automerge.apply_changes(changes.iter().map(|c| Change::clone(c))).map_err(|e| e.to_string())?;
        let kept: BTreeMap<ChangeHash, Change> =
            automerge.get_changes(&before).into_iter().map(|c| (c.hash(), c)).collect();
        let as_written =
            |c: &Arc<Change>| kept.get(&c.hash()).is_some_and(|kept| kept.raw_bytes() == c.raw_bytes());
        if kept.len() == changes.len() && changes.iter().all(as_written) {
            return Ok(());
        }
        Err("it did not become part of the document as it was written".to_owned())
    })
}

/// Whether every operation that a change names was made by those `before` it, or earlier in itself.
fn names_only<'a, I: Iterator<Item = &'a Known>>(
    change: &Witnessed,
    expanded: &ExpandedChange,
    before: impl Fn() -> I,
) -> bool {
    // By actor and last operation: where the first is, too. Most changes name nothing and need none of it.
    let made: OnceCell<BTreeMap<(&[u8], u64), u64>> = OnceCell::new();
    let known = |id: &OpId| {
        let (actor, counter) = (id.actor().to_bytes(), id.counter());
        let made = made.get_or_init(|| {
            let range = |k: &'a Known| ((k.actor.as_slice(), k.last_op), k.change.start_op().get());
            before().map(range).filter(|((_, last), first)| first <= last).collect()
        });
        let next = made.range((actor, counter)..).next();
        next.is_some_and(|((by, _), first)| *by == actor && *first <= counter)
    };
    (change.start_op..).zip(&expanded.operations).all(|(at, op)| {
        let earlier = |id: &OpId| {
            id.actor().to_bytes() == change.actor && (change.start_op..at).contains(&id.counter())
        };
        let element = match &op.key {
            Key::Seq(element) => element.as_opid(),
            Key::Map(_) => None,
        };
        element.into_iter().chain(op.pred.iter()).all(|id| earlier(id) || known(id))
    })
}

type Object = (u64, Vec<u8>);

/// What is remembered of a change that is in the document.
#[derive(Clone, Debug)]
struct Known {
    deps: Vec<ItemHash>,
    actor: Vec<u8>,
    seq: u64,
    last_op: u64,
    /// Its own words, for the day when automerge's are not to be trusted any more.
    change: Arc<Change>,
}

/// A document in memory.
#[derive(Clone)]
pub struct Document {
    id: DocId,
    automerge: Automerge,
    parts: BTreeMap<Object, (String, bool)>,
    changes: BTreeMap<ItemHash, Known>,
    places: BTreeMap<(Vec<u8>, u64), ItemHash>,
    heads: BTreeSet<ItemHash>,
    operations: u64,
    /// In the books and not in automerge yet.
    staged: Vec<Arc<Change>>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("id", &self.id).field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl Document {
    /// A document of which nothing is here yet.
    pub fn empty(id: DocId) -> Document {
        Document {
            id,
            automerge: Automerge::new(),
            parts: BTreeMap::new(),
            changes: BTreeMap::new(),
            places: BTreeMap::new(),
            heads: BTreeSet::new(),
            operations: 0,
            staged: Vec::new(),
        }
    }

    /// The document's id.
    pub fn id(&self) -> DocId {
        self.id
    }

    /// For reading, when nothing is staged.
    pub fn automerge(&self) -> &Automerge {
        debug_assert!(self.staged.is_empty(), "settle before reading");
        &self.automerge
    }

    /// The changes that nothing rests on.
    pub fn heads(&self) -> &BTreeSet<ItemHash> {
        &self.heads
    }

    /// How many changes it has.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing of it is here.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether the change is in it.
    pub fn has(&self, change: &ItemHash) -> bool {
        self.changes.contains_key(change)
    }

    /// The change that holds the place of this actor and number.
    pub fn at_place(&self, place: (&[u8], u64)) -> Option<ItemHash> {
        self.places.get(&(place.0.to_vec(), place.1)).copied()
    }

    /// The object of a part, for reading and writing with automerge.
    pub fn part(&self, name: &str) -> Option<automerge::ObjId> {
        self.automerge.get(automerge::ROOT, name).ok().flatten().map(|(_, id)| id)
    }

    /// The changes in the history of `from`, itself included. `None` means all that the document has.
    pub fn ancestry(&self, from: &[ItemHash]) -> Option<BTreeSet<ItemHash>> {
        if from.len() == self.heads.len() && from.iter().all(|h| self.heads.contains(h)) {
            return None;
        }
        let mut seen = BTreeSet::new();
        let mut queue = from.to_vec();
        while let Some(hash) = queue.pop() {
            if seen.insert(hash) {
                queue.extend(self.changes.get(&hash).into_iter().flat_map(|k| &k.deps));
            }
        }
        Some(seen)
    }

    /// The changes that rest on `change`, itself included.
    pub fn descendants(&self, change: ItemHash) -> BTreeSet<ItemHash> {
        let mut gone = BTreeSet::from([change]);
        loop {
            let rests = |(hash, known): (&ItemHash, &Known)| {
                known.deps.iter().any(|d| gone.contains(d)).then_some(*hash)
            };
            let more: Vec<ItemHash> =
                self.changes.iter().filter_map(rests).filter(|h| !gone.contains(h)).collect();
            if more.is_empty() {
                return gone;
            }
            gone.extend(more);
        }
    }

    /// What a change does, in words of parts. The change's dependencies are in the document.
    pub fn writes(&self, change: &Witnessed) -> Result<Vec<Write>, Refusal> {
        let first = self.is_empty();
        if first != change.deps.is_empty() || first && change.hash != ItemHash::from(self.id) {
            return Err(Refusal::Root);
        }
        let expanded = change.expand()?;
        self.fits(change, &expanded)?;
        self.words(change, expanded)
    }

    /// What a change does, whether or not it fits here: to look into one that was refused.
    pub fn read(&self, change: &Witnessed) -> Result<Vec<Write>, Refusal> {
        self.words(change, change.expand()?)
    }

    fn words(&self, change: &Witnessed, expanded: ExpandedChange) -> Result<Vec<Write>, Refusal> {
        let first = change.deps.is_empty();
        let mut made: BTreeMap<Object, (String, bool)> = BTreeMap::new();
        let mut writes = Vec::with_capacity(expanded.operations.len());
        let shape = |why: &str| Refusal::Shape(why.to_owned());
        for (counter, op) in (expanded.start_op.get()..).zip(expanded.operations) {
            let object = match &op.obj {
                ObjectId::Root => None,
                ObjectId::Id(id) => Some((id.counter(), id.actor().to_bytes().to_vec())),
            };
            let Some(object) = object else {
                let (OpType::Make(kind), Key::Map(key)) = (&op.action, &op.key) else {
                    return Err(shape("a value at the root"));
                };
                let text = *kind == ObjType::Text;
                if !first
                    || !(text || *kind == ObjType::Map)
                    || made.values().any(|(part, _)| part == key.as_str())
                {
                    return Err(shape("a part made twice or of an unknown kind"));
                }
                made.insert((counter, change.actor.clone()), (key.to_string(), text));
                writes.push(Write::Make { part: key.to_string(), text });
                continue;
            };
            let Some((part, text)) = made.get(&object).or_else(|| self.parts.get(&object)).cloned() else {
                return Err(shape("an object inside a part"));
            };
            writes.push(match (op.action, op.key, text) {
                (OpType::Put(value), Key::Map(key), false) => Write::Put {
                    part,
                    key: key.to_string(),
                    value,
                    replaces: op.pred.iter().next().is_some(),
                },
                (OpType::Delete, Key::Map(key), false) => Write::Delete { part, key: key.to_string() },
                (OpType::Put(ScalarValue::Str(_)) | OpType::Delete, Key::Seq(_), true) => {
                    Write::Splice { part }
                }
                _ => return Err(shape("an operation that no part takes")),
            });
        }
        Ok(writes)
    }

    /// What automerge relies on and does not check: actors that have written before, sequence numbers without a
    /// gap, operation counters that follow on, and names of nothing but what the change was made on. (A change that breaks
    /// the third of these applies, and the document does not load again once saved. One that breaks the last is taken or not
    /// by what else is here.)
    fn fits(&self, change: &Witnessed, expanded: &ExpandedChange) -> Result<(), Refusal> {
        let ancestry = self.ancestry(&change.deps);
        let seen = |hash: &ItemHash| ancestry.as_ref().is_none_or(|a| a.contains(hash));
        let before = || self.changes.iter().filter(|(hash, _)| seen(hash)).map(|(_, known)| known);
        let last_seq = before().filter(|k| k.actor == change.actor).map(|k| k.seq).max().unwrap_or(0);
        let last_op =
            change.deps.iter().filter_map(|d| self.changes.get(d)).map(|k| k.last_op).max().unwrap_or(0);
        let stranger = change.others.iter().any(|other| before().all(|k| k.actor != *other));
        match () {
            () if change.seq != last_seq + 1 => {
                Err(Refusal::Chunk("its sequence number leaves a gap".to_owned()))
            }
            () if change.start_op != last_op + 1 => {
                Err(Refusal::Chunk("its operations do not follow on".to_owned()))
            }
            () if stranger => Err(Refusal::Chunk("it names an actor that has not written before".to_owned())),
            () if !names_only(change, expanded, before) => {
                Err(Refusal::Chunk("it names an operation that it was not made on".to_owned()))
            }
            () => Ok(()),
        }
    }

    /// Takes in a change whose dependencies are here and whose place is free. On a refusal nothing has changed.
    pub fn apply(&mut self, change: &Witnessed, writes: &[Write]) -> Result<(), Refusal> {
        debug_assert!(self.staged.is_empty(), "settle first");
        self.room_for(change)?;
        if let Err(refusal) = give(&mut self.automerge, std::slice::from_ref(&change.change)) {
            self.automerge = self.made_anew();
            return Err(refusal);
        }
        self.note(change, writes);
        Ok(())
    }

    /// Takes a change into the books, whose dependencies are there and whose place is free; automerge gets all that are
    /// staged at [`Document::settle`], which costs a fraction of one by one. On a refusal nothing has changed.
    pub fn stage(&mut self, change: &Witnessed, writes: &[Write]) -> Result<(), Refusal> {
        self.room_for(change)?;
        self.staged.push(change.change.clone());
        self.note(change, writes);
        Ok(())
    }

    /// Gives automerge what is staged.
    ///
    /// # Errors
    /// automerge does not take it, and it is not known which of the changes is to blame: the document must be thrown
    /// away and made again of what stood before.
    pub fn settle(&mut self) -> Result<(), Refusal> {
        match std::mem::take(&mut self.staged) {
            none if none.is_empty() => Ok(()),
            staged => give(&mut self.automerge, &staged),
        }
    }

    /// Takes automerge's document in which all that is staged was composed, in the place of giving it to automerge
    /// once more.
    ///
    /// # Errors
    /// It is not of the changes in the books.
    pub(crate) fn settle_in(&mut self, composed: Automerge) -> Result<(), Refusal> {
        let heads: BTreeSet<ItemHash> =
            composed.get_heads().into_iter().map(|h| ItemHash::from_bytes(h.0)).collect();
        if heads != self.heads {
            return Err(Refusal::Automerge("it was composed as something else".to_owned()));
        }
        self.automerge = composed;
        self.staged.clear();
        Ok(())
    }

    fn room_for(&self, change: &Witnessed) -> Result<(), Refusal> {
        match self.operations + change.change.len() as u64 {
            ..=MAX_OPERATIONS => Ok(()),
            _ => Err(Refusal::TooLarge),
        }
    }

    /// automerge's document of the changes that stand. All of them went in before, one by one.
    fn made_anew(&self) -> Automerge {
        let mut automerge = Automerge::new();
        // What waits for its dependencies is kept by automerge until they come.
        let all = self.changes.values().map(|known| Change::clone(&known.change));
        automerge.apply_changes(all).expect("changes that were applied before can be applied again");
        automerge
    }

    fn note(&mut self, change: &Witnessed, writes: &[Write]) {
        for (counter, write) in (change.start_op..).zip(writes) {
            if let Write::Make { part, text } = write {
                self.parts.insert((counter, change.actor.clone()), (part.clone(), *text));
            }
        }
        self.operations += change.change.len() as u64;
        for dep in &change.deps {
            self.heads.remove(dep);
        }
        self.heads.insert(change.hash);
        let Witnessed { hash, seq, last_op, .. } = *change;
        let (deps, actor, change) = (change.deps.clone(), change.actor.clone(), change.change.clone());
        self.places.insert((actor.clone(), seq), hash);
        self.changes.insert(hash, Known { deps, actor, seq, last_op, change });
    }

    /// Writes a new change on all heads, as `node` in this life, and returns its bytes without keeping it: it comes
    /// in through the gate like everybody's. `None` when `write` wrote nothing.
    pub fn compose<E>(
        &self,
        node: NodeName,
        incarnation: Incarnation,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<Option<Vec<u8>>, E> {
        Ok(self.compose_in(node, incarnation, write)?.map(|(bytes, _)| bytes))
    }

    /// Like [`Document::compose`], and returns what the change was written in, too: when the change has passed the gate,
    /// it is what [`Document::settle_in`] takes.
    pub(crate) fn compose_in<E>(
        &self,
        node: NodeName,
        incarnation: Incarnation,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<Option<(Vec<u8>, Automerge)>, E> {
        write_in(self.automerge.clone(), node, incarnation, write)
    }

    /// The first change of a new document, like [`Document::compose_in`].
    pub(crate) fn begin<E>(
        node: NodeName,
        incarnation: Incarnation,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<Option<(Vec<u8>, Automerge)>, E> {
        write_in(Automerge::new(), node, incarnation, write)
    }
}

/// Writes a change into automerge's document and returns its bytes, as automerge gives them to everybody.
fn write_in<E>(
    mut automerge: Automerge,
    node: NodeName,
    incarnation: Incarnation,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
) -> Result<Option<(Vec<u8>, Automerge)>, E> {
    let deps = automerge.get_heads();
    automerge.set_author(Some(Author::from(node.to_string().into_bytes())));
    automerge.set_actor(ActorId::from(actor(node, incarnation)));
    let mut tx = automerge.transaction();
    write(&mut tx)?;
    let (hash, _) = tx.commit();
    let Some(hash) = hash else { return Ok(None) };
    let change = automerge.get_changes(&deps).into_iter().find(|c| c.hash() == hash);
    Ok(change.map(|c| (c.raw_bytes().to_vec(), automerge)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use automerge::ROOT;
    use automerge::transaction::Transactable;
    use proptest::prelude::*;

    const LIFE: Incarnation = Incarnation::from_bytes([4; 8]);

    fn node() -> NodeName {
        "370100".parse().unwrap()
    }

    fn first(write: impl FnOnce(&mut Transaction<'_>)) -> (Document, Vec<u8>) {
        let bytes = Document::empty(DocId::from_bytes([0; 32]))
            .compose::<()>(node(), LIFE, |tx| {
                write(tx);
                Ok(())
            })
            .unwrap()
            .unwrap();
        let change = Witnessed::check(&bytes, node(), true).unwrap();
        (Document::empty(change.hash.into()), bytes)
    }

    fn two_parts(tx: &mut Transaction<'_>) {
        let facts = tx.put_object(ROOT, "facts", ObjType::Map).unwrap();
        tx.put(&facts, "subject", "taxi").unwrap();
        let body = tx.put_object(ROOT, "body", ObjType::Text).unwrap();
        tx.splice_text(&body, 0, 0, "hello").unwrap();
    }

    fn take(doc: &mut Document, bytes: &[u8]) -> Result<Vec<Write>, Refusal> {
        let change = Witnessed::check(bytes, node(), true)?;
        let writes = doc.writes(&change)?;
        doc.apply(&change, &writes)?;
        Ok(writes)
    }

    fn edit(doc: &Document, write: impl FnOnce(&mut Transaction<'_>)) -> Vec<u8> {
        doc.compose::<()>(node(), LIFE, |tx| {
            write(tx);
            Ok(())
        })
        .unwrap()
        .unwrap()
    }

    #[test]
    fn changes_are_told_in_words_of_parts() {
        let (mut doc, bytes) = first(two_parts);
        let writes = take(&mut doc, &bytes).unwrap();
        assert_eq!(writes[0], Write::Make { part: "facts".into(), text: false });
        assert!(
            matches!(&writes[1], Write::Put { part, key, replaces: false, .. } if part == "facts" && key == "subject")
        );
        let facts = doc.part("facts").unwrap();
        let bytes = edit(&doc, |tx| {
            tx.put(&facts, "subject", "bus").unwrap();
            tx.delete(&facts, "subject").unwrap();
        });
        let writes = take(&mut doc, &bytes).unwrap();
        assert!(writes.iter().all(|w| w.part() == "facts"));
        assert_eq!(doc.len(), 2);
        assert_eq!(doc.heads().len(), 1);
    }

    #[test]
    fn a_document_is_taken_as_composed_only_if_it_is_of_the_changes_in_the_books() {
        let begin = |subject: &str| {
            let write = |tx: &mut Transaction<'_>| {
                two_parts(tx);
                let facts = tx.get(ROOT, "facts").unwrap().unwrap().1;
                tx.put(&facts, "subject", subject)
            };
            Document::begin(node(), LIFE, write).unwrap().unwrap()
        };
        let ((bytes, composed), (_, other)) = (begin("taxi"), begin("bus"));
        let change = Witnessed::check(&bytes, node(), true).unwrap();
        let mut doc = Document::empty(change.hash.into());
        let writes = doc.writes(&change).unwrap();
        let mut applied = doc.clone();
        applied.apply(&change, &writes).unwrap();
        doc.stage(&change, &writes).unwrap();
        assert!(doc.clone().settle_in(other).is_err());
        doc.settle_in(composed).unwrap();
        assert_eq!(doc.automerge().save(), applied.automerge().save());
    }

    #[test]
    fn objects_inside_parts_and_values_at_the_root_are_refused() {
        let (mut doc, bytes) = first(two_parts);
        take(&mut doc, &bytes).unwrap();
        let facts = doc.part("facts").unwrap();
        let nested = edit(&doc, |tx| {
            tx.put_object(&facts, "x", ObjType::Map).unwrap();
        });
        assert!(matches!(take(&mut doc, &nested), Err(Refusal::Shape(_))));
        let root = edit(&doc, |tx| tx.put(ROOT, "x", 1).unwrap());
        assert!(matches!(take(&mut doc, &root), Err(Refusal::Shape(_))));
        let part = edit(&doc, |tx| {
            tx.put_object(ROOT, "more", ObjType::Map).unwrap();
        });
        assert!(matches!(take(&mut doc, &part), Err(Refusal::Shape(_))));
        assert_eq!(doc.len(), 1);
        assert!(doc.automerge().get(ROOT, "more").unwrap().is_none());
    }

    #[test]
    fn what_automerge_does_not_take_leaves_no_trace() {
        let (mut doc, bytes) = first(two_parts);
        take(&mut doc, &bytes).unwrap();
        let facts = doc.part("facts").unwrap();
        let a = edit(&doc, |tx| tx.put(&facts, "subject", "bus").unwrap());
        let mut later = doc.clone();
        take(&mut later, &a).unwrap();
        let b = edit(&later, |tx| tx.put(&facts, "subject", "tram").unwrap());
        // Its dependency is not here: automerge would keep it for later, out of sight.
        let early = Witnessed::check(&b, node(), true).unwrap();
        assert!(matches!(doc.apply(&early, &[]), Err(Refusal::Automerge(_))));
        assert_eq!(doc.len(), 1);
        take(&mut doc, &a).unwrap();
        assert_eq!(doc.automerge().get(&facts, "subject").unwrap().unwrap().0, "bus".into(), "and not tram");
        take(&mut doc, &b).unwrap();
        assert_eq!(doc.automerge().get_heads(), doc.made_anew().get_heads());
    }

    #[test]
    fn what_is_staged_goes_to_automerge_together_or_not_at_all() {
        let (mut doc, bytes) = first(two_parts);
        take(&mut doc, &bytes).unwrap();
        let facts = doc.part("facts").unwrap();
        let mut writer = doc.clone();
        let mut run = Vec::new();
        for value in 0..4 {
            let bytes = edit(&writer, |tx| tx.put(&facts, "n", value).unwrap());
            take(&mut writer, &bytes).unwrap();
            run.push(Witnessed::check(&bytes, node(), true).unwrap());
        }
        let before = doc.clone();
        for change in &run {
            let writes = doc.writes(change).unwrap();
            doc.stage(change, &writes).unwrap();
            assert!(doc.has(&change.hash), "the next one finds it in the books");
        }
        doc.settle().unwrap();
        assert_eq!(doc.automerge().get_heads(), writer.automerge().get_heads());
        assert_eq!(doc.heads(), writer.heads());
        // The first two are left out: automerge does not take what rests on them.
        let mut torn = before;
        torn.stage(&run[2], &[]).unwrap();
        torn.stage(&run[3], &[]).unwrap();
        assert!(matches!(torn.settle(), Err(Refusal::Automerge(_))));
    }

    /// What a liar makes of a change: as if it had been made on `deps` alone, its operations as `alter` leaves them.
    fn made_on(
        bytes: &[u8],
        deps: &Document,
        alter: impl FnOnce(&mut Vec<automerge::legacy::Op>),
    ) -> Vec<u8> {
        let mut change = Change::from_bytes(bytes.to_vec()).unwrap().decode();
        change.deps = deps.heads().iter().map(|h| ChangeHash(*h.as_bytes())).collect();
        change.start_op = (deps.changes.values().map(|k| k.last_op).max().unwrap() + 1).try_into().unwrap();
        change.hash = None;
        alter(&mut change.operations);
        Change::from(change).raw_bytes().to_vec()
    }

    fn other() -> NodeName {
        "370200".parse().unwrap()
    }

    fn judge(doc: &mut Document, bytes: &[u8], by: NodeName) -> Result<(), Refusal> {
        let change = Witnessed::check(bytes, by, true)?;
        let writes = doc.writes(&change)?;
        doc.apply(&change, &writes)
    }

    #[test]
    fn what_a_change_names_is_among_its_ancestors_or_it_stands_nowhere() {
        let (mut early, bytes) = first(two_parts);
        take(&mut early, &bytes).unwrap();
        let (facts, body) = (early.part("facts").unwrap(), early.part("body").unwrap());
        let more = edit(&early, |tx| {
            tx.put(&facts, "subject", "bus").unwrap();
            tx.splice_text(&body, 5, 0, " world").unwrap();
        });
        let mut late = early.clone();
        take(&mut late, &more).unwrap();
        type Acts<'a> = &'a dyn Fn(&mut Transaction<'_>);
        let acts: [Acts<'_>; 4] = [
            &|tx| tx.put(&facts, "subject", "tram").unwrap(),
            &|tx| tx.delete(&facts, "subject").unwrap(),
            &|tx| tx.splice_text(&body, 11, 0, "!").unwrap(),
            &|tx| tx.splice_text(&body, 8, 1, "").unwrap(),
        ];
        for act in acts {
            let write = |tx: &mut Transaction<'_>| {
                // Its own operations come to number more than those that it names.
                (0..9).for_each(|n| tx.put(&facts, format!("n{n}"), n).unwrap());
                act(tx);
                Ok(())
            };
            let seen = late.compose::<()>(other(), LIFE, write).unwrap().unwrap();
            let forged = made_on(&seen, &early, |_| {});
            let verdicts = [&early, &late].map(|doc| judge(&mut doc.clone(), &forged, other()));
            assert!(matches!(verdicts[0], Err(Refusal::Chunk(_))), "{verdicts:?}");
            assert_eq!(verdicts[0], verdicts[1], "whoever knows what it names decides as who does not");
        }
    }

    #[test]
    fn a_change_that_does_nothing_hides_no_operation_of_those_before_it() {
        let (mut doc, bytes) = first(two_parts);
        take(&mut doc, &bytes).unwrap();
        let facts = doc.part("facts").unwrap();
        for _ in 0..20 {
            let some = edit(&doc, |tx| tx.put(&facts, "subject", "bus").unwrap());
            let nothing = made_on(&some, &doc, Vec::clear);
            judge(&mut doc, &nothing, node()).unwrap();
        }
        let over = edit(&doc, |tx| drop(tx.delete(&facts, "subject")));
        judge(&mut doc, &over, node()).unwrap();
        let body = doc.part("body").unwrap();
        let more = edit(&doc, |tx| tx.splice_text(&body, 4, 1, "!").unwrap());
        judge(&mut doc, &more, node()).unwrap();
    }

    proptest! {
        /// Whatever a member writes, whoever knows more than it claims to decides as who does not, and they read the same
        /// in the end.
        #[test]
        fn no_change_is_judged_by_what_it_was_not_made_on(
            names in prop::collection::vec((0..30usize, 0..4u8, 1..16u64, 0..3usize), 0..4),
            acts in prop::collection::vec((0..4u8, 0..6usize), 1..5),
            one_more in any::<bool>(),
            claims_less in any::<bool>(),
        ) {
            let (mut early, bytes) = first(two_parts);
            take(&mut early, &bytes).unwrap();
            let (facts, body) = (early.part("facts").unwrap(), early.part("body").unwrap());
            let third: NodeName = "370300".parse().unwrap();
            for by in [node(), third].into_iter().take(if one_more { 2 } else { 0 }) {
                let write = |tx: &mut Transaction<'_>| tx.put(&facts, "tram", by.to_string());
                let bytes = early.compose(by, LIFE, write).unwrap().unwrap();
                judge(&mut early, &bytes, by).unwrap();
            }
            let write = |by: NodeName, words: &'static str| {
                let write = |tx: &mut Transaction<'_>| {
                    tx.put(&facts, "subject", words).unwrap();
                    tx.put(&facts, words, words).unwrap();
                    tx.splice_text(&body, 2, 1, words).map_err(drop)
                };
                (by, early.compose(by, LIFE, write).unwrap().unwrap())
            };
            let concurrent = [write(node(), "bus"), write(third, "tram")];
            let mut late = early.clone();
            for (by, bytes) in &concurrent {
                judge(&mut late, bytes, *by).unwrap();
            }
            let seen = |tx: &mut Transaction<'_>| {
                (0..5).for_each(|n| tx.put(&facts, format!("n{n}"), n).unwrap());
                for (act, at) in &acts {
                    match act {
                        0 => tx.put(&facts, "subject", *at as i64).unwrap(),
                        1 => tx.put(&facts, "bus", *at as i64).unwrap(),
                        2 => drop(tx.delete(&facts, "tram")),
                        _ => tx.splice_text(&body, *at, 1, "!").unwrap(),
                    }
                }
                Ok::<(), ()>(())
            };
            let seen = if claims_less { &late } else { &early }.compose(other(), LIFE, seen).unwrap().unwrap();
            let actors = [node(), third, other()].map(|by| ActorId::from(actor(by, LIFE)));
            let forged = made_on(&seen, &early, |operations| {
                for (at, what, counter, by) in &names {
                    let (count, id) = (operations.len(), OpId(*counter, actors[*by].clone()));
                    let op = &mut operations[at % count];
                    match (what, &op.key) {
                        (0, _) => op.pred = vec![id].into(),
                        (1, _) => op.pred = op.pred.iter().cloned().chain([id]).collect::<Vec<_>>().into(),
                        (2, Key::Seq(_)) => op.key = Key::Seq(automerge::legacy::ElementId::Id(id)),
                        _ => op.pred = vec![].into(),
                    }
                }
            });
            let mut first = early.clone();
            let verdicts = [judge(&mut first, &forged, other()), judge(&mut late, &forged, other())];
            prop_assert_eq!(verdicts[0].is_ok(), verdicts[1].is_ok(), "{:?}", verdicts);
            for (by, bytes) in &concurrent {
                prop_assert_eq!(judge(&mut first, bytes, *by), Ok(()));
            }
            let read = |doc: &Document| -> Vec<String> {
                let automerge = doc.automerge();
                let values = ["subject", "bus", "tram"].map(|key| {
                    automerge.get_all(&facts, key).unwrap().into_iter().map(|(value, _)| value.to_string()).collect()
                });
                values.into_iter().chain([automerge.text(&body).unwrap()]).collect()
            };
            prop_assert_eq!(read(&first), read(&late));
            prop_assert_eq!(first.heads(), late.heads());
        }
    }

    #[test]
    fn nobody_writes_under_anothers_actor() {
        let (_, bytes) = first(two_parts);
        assert_eq!(Witnessed::check(&bytes, "370200".parse().unwrap(), true).unwrap_err(), Refusal::Actor);
    }

    #[test]
    fn ancestry_is_what_the_writer_saw() {
        let (mut doc, bytes) = first(two_parts);
        take(&mut doc, &bytes).unwrap();
        let facts = doc.part("facts").unwrap();
        let root = doc.heads().iter().copied().collect::<Vec<_>>();
        assert_eq!(doc.ancestry(&root), None);
        let bytes = edit(&doc, |tx| tx.put(&facts, "a", 1).unwrap());
        take(&mut doc, &bytes).unwrap();
        assert_eq!(doc.ancestry(&root).unwrap(), root.iter().copied().collect());
        assert_eq!(doc.descendants(root[0]).len(), 2);
    }
}
