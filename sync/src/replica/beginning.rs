//! Beginnings: first changes, composed and judged away from the store.
//!
//! A first change reads nothing that is stored, so whoever begins many documents makes their beginnings side by side
//! ([`Beginning::compose`] is a pure function) and has them admitted in order ([`Replica::admit_beginning`]).
//!
//! ```text
//! compose:  write -> bytes -> the gate: framing, actor, shape, rules        no store, any thread
//!                      |
//! admit:    row, change and what comes beside it, outboxes                  the store, in order
//! ```
//!
//! The gate judges the bytes, as it does everybody's. What is spared is to give them to automerge a second time: the
//! document that they were composed in goes on as the open one.

use automerge::transaction::Transaction;
use certs::NodeName;

use super::admit::{Incoming, Taken};
use super::shelf::Open;
use super::{Replica, WriteError};
use crate::document::{Document, Refusal, Witnessed};
use crate::id::{DocId, Incarnation, ItemHash};
use crate::item::{Audience, Kind, State};
use crate::matter::{Domain, Matter, Standing};
use crate::store::{self, Store};
use crate::trust::Trust;

/// A document with its first change, which has passed the gate and is not stored yet.
#[derive(Debug)]
pub struct Beginning<M> {
    author: NodeName,
    incarnation: Incarnation,
    change: ItemHash,
    bytes: Vec<u8>,
    open: Box<Open<M>>,
    standing: Standing,
}

impl<M: Matter> Beginning<M> {
    /// Composes a first change, as `author` in this life, and judges it. `matter` is [`Domain::begin`].
    pub fn compose<E>(
        author: NodeName,
        incarnation: Incarnation,
        matter: impl FnOnce(DocId) -> M,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<Beginning<M>, WriteError<E>> {
        let composed = Document::begin(author, incarnation, write).map_err(WriteError::Caller)?;
        let (bytes, automerge) = composed.ok_or(WriteError::Nothing)?;
        let change = Witnessed::check(&bytes, author, true).map_err(WriteError::Refused)?;
        let doc = DocId::from(change.hash);
        let mut open = Box::new(Open::empty(doc, matter(doc)));
        open.stage(&change).map_err(WriteError::Refused)?;
        open.document.settle_in(automerge).map_err(WriteError::Refused)?;
        let standing = open.matter.standing();
        Ok(Beginning { author, incarnation, change: change.hash, bytes, open, standing })
    }

    /// The document's id.
    pub fn doc(&self) -> DocId {
        self.open.document.id()
    }
}

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Stores a beginning that was composed as this node in this life, and `beside` it items that are not changes, such
    /// as key grants, as [`Replica::put`] does; owes it all to the peers as one document, and projects it at once.
    pub fn admit_beginning<S, D, E>(
        &mut self,
        beginning: Beginning<M>,
        beside: Vec<(Kind, Vec<u8>)>,
        store: &mut S,
        domain: &mut D,
    ) -> Result<(), WriteError<E>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let Beginning { author, incarnation, change, bytes, open, standing } = beginning;
        if (author, incarnation) != (self.me, self.incarnation) {
            return Err(WriteError::Refused(Refusal::Actor));
        }
        let doc = open.document.id();
        if store.document(&doc)?.is_some() {
            return Err(WriteError::Refused(Refusal::Root));
        }
        store.put_document(&doc, &store::Document { audience: standing.audience.clone(), frozen: false })?;
        domain.project(store, &doc, D::row(&open.document, &open.matter))?;
        self.shelf.put(doc, open);
        let own = |hash, kind, bytes| Incoming { hash, kind, author, sealed: None, emptied: false, bytes };
        let mut taken = Taken { begins: true, ..Taken::default() };
        self.keep_item(doc, &own(change, Kind::CHANGE, bytes), State::Counted, &mut taken, store)?;
        for (kind, bytes) in beside {
            let hash = kind.hash(&bytes);
            if store.state(&hash)?.is_none() {
                self.admit_other(doc, &own(hash, kind, bytes), None, &mut taken, store, domain)?;
            }
        }
        self.unsealed = true;
        self.account(doc, &Audience::default(), &standing.audience, standing.class, &taken, None, store)?;
        Ok(())
    }
}
