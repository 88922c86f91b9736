//! The replica: the machine that decides.
//!
//! [`Replica`] holds what one node knows of its links and of itself. It is driven from outside and answers with
//! values:
//!
//! ```text
//!             Input                     Store, Domain (inside the caller's transaction)
//!               |                                   |
//! begin() -> step(now, input, store, domain) ... step(...) -> commit() -> effects()
//! ```
//!
//! * **commands**: [`Replica::write`] makes a change of a document, [`Replica::put`] another sealed item,
//!   [`Replica::put_directory`] a directory item, [`Replica::know_peer`] begins to keep a pair with a node.
//! * **events**: [`Replica::step`].
//! * **polls**: [`Replica::flush`] at the end of every transaction, [`Replica::effects`] after it was committed.
//! * **getters**: the rest.
//!
//! Effects are performed only after the commit: so nothing is answered that is not durable, and no seal leaves
//! before it is. When a commit fails, the replica is thrown away and opened again from the store.
//!
//! It never reads a clock (`now` comes in, in milliseconds since 1970, and is only shown and used for waiting), draws
//! no entropy (a seed comes in at every start) and knows no address.

mod admit;
mod arrival;
mod beginning;
mod bundle;
mod counting;
mod draft;
mod erase;
mod files;
mod incoming;
mod lacking;
mod link;
mod outgoing;
mod repair;
mod sealing;
mod shelf;
mod twins;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use automerge::transaction::Transaction;
use certs::NodeName;

use crate::digest::Expanded;
use crate::document::{Document, Refusal, Witnessed};
use crate::id::{DocId, Incarnation, ItemHash, SealHash};
use crate::item::{Audience, Class, Item, Kind, State};
use crate::matter::{Domain, Matter};
use crate::store::{self, Debt, Peer, Position, Store};
use crate::trust::{Admission, Membership, Trust};
use crate::wire::{Lane, Program};
use admit::{Incoming, Taken as Admitted};
pub use beginning::Beginning;
pub use bundle::{Basis, Common, Export, Letter, MAX_CARRIED, MAX_CARRIED_BYTES, Taken, distance};
pub use files::FilesView;
pub use lacking::{Lacking, Rests, Why};
use link::Link;
use shelf::Shelf;

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A verified connection with a member is there.
    Connected(NodeName),
    /// It is gone.
    Disconnected(NodeName),
    /// A frame came in on a connection.
    Frame {
        /// From whom.
        peer: NodeName,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Time has passed; comes at least every second while a link is up.
    Tick,
}

/// What a replica wants done after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a frame.
    Send {
        /// To whom.
        peer: NodeName,
        /// On which of the link's streams.
        lane: Lane,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// End the connection.
    Close {
        /// With whom.
        peer: NodeName,
        /// For both operators.
        reason: String,
        /// Whether the peer misbehaved and is not to be dialled again soon.
        blame: bool,
    },
    /// Tell the operator.
    Tell(Event),
}

/// What an operator should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The pair was proved equal.
    Proved {
        /// With whom.
        peer: NodeName,
        /// How many items both hold.
        items: u64,
    },
    /// Digests differ; a repair has begun.
    Repairing {
        /// With whom.
        peer: NodeName,
    },
    /// A repair found what was missing.
    Repaired {
        /// With whom.
        peer: NodeName,
        /// Items that the peer lacked.
        sent: u64,
        /// Items that this node lacked.
        wanted: u64,
    },
    /// An item was refused here.
    Refused {
        /// The item.
        item: ItemHash,
        /// Who wrote it.
        author: NodeName,
        /// Why.
        reason: String,
    },
    /// A peer refused an item that this node sent.
    RefusedByPeer {
        /// Which peer.
        peer: NodeName,
        /// The item.
        item: ItemHash,
        /// Why.
        reason: String,
    },
    /// A peer sent something that no version says.
    Misbehaved {
        /// Which peer.
        peer: NodeName,
        /// What.
        reason: String,
    },
    /// A node's seal chain forks: a restored backup or a cloned disk.
    Forked {
        /// Whose chain.
        node: NodeName,
        /// At which number.
        number: u64,
    },
    /// A peer holds later seals of this node than the node itself: it was put back from a backup.
    Restored {
        /// Who told.
        peer: NodeName,
        /// The last seal here.
        own: u64,
        /// The last seal there.
        theirs: u64,
    },
    /// A seal of this very life came in that this process did not write: a clone of this node runs.
    Cloned {
        /// The life this node goes on with.
        incarnation: Incarnation,
    },
    /// The peer ended the link and said why.
    Ended {
        /// Which peer.
        peer: NodeName,
        /// Its words.
        reason: String,
    },
    /// A peer takes batches and does not answer: the link was ended, to be dialled again.
    Unanswered {
        /// Which peer.
        peer: NodeName,
    },
    /// A peer counts batches as sent that do not come: the link was ended, to be dialled again.
    Undelivered {
        /// Which peer.
        peer: NodeName,
    },
    /// A document has outgrown what is loaded: it is replicated, and a person must look at it.
    Frozen {
        /// Which.
        doc: DocId,
    },
    /// Nodes were revoked.
    Revoked {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// The disk's reserve is reached: contents of files wait.
    FilesPaused {
        /// Bytes that may still be written.
        room: u64,
    },
    /// A document has more files than are fetched.
    TooManyFiles {
        /// Which.
        doc: DocId,
    },
    /// A piece of a file is not what was stored: it is fetched again.
    PieceDamaged {
        /// Of which file.
        file: ItemHash,
        /// Which piece.
        place: u32,
    },
    /// A peer asked for a file of a document whose audience it is not in.
    ForeignFile {
        /// Which peer.
        peer: NodeName,
        /// Of which document.
        doc: DocId,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Proved { peer, items } => write!(f, "proved equal with {peer}: {items} items"),
            Event::Repairing { peer } => write!(f, "this node and {peer} hold different items; repairing"),
            Event::Repaired { peer, sent, wanted } => {
                write!(f, "repair with {peer}: it lacked {sent} items, this node {wanted}")
            }
            Event::Refused { item, author, reason } => {
                write!(f, "refused {} by {author}: {reason}", item.short())
            }
            Event::RefusedByPeer { peer, item, reason } => {
                write!(f, "{peer} refused {}: {reason}", item.short())
            }
            Event::Misbehaved { peer, reason } => {
                write!(f, "{peer} sent something that no version says: {reason}")
            }
            Event::Forked { node, number } => write!(
                f,
                "two seals of {node} bear the number {number}: it was restored from a backup or its disk was copied"
            ),
            Event::Restored { peer, own, theirs } => write!(
                f,
                "this node is an old copy of itself: {peer} holds its seals up to {theirs}, here they end at {own}; what is missing comes back from the peers"
            ),
            Event::Cloned { incarnation } => write!(
                f,
                "a copy of this node is running somewhere and writes under the same name; going on as incarnation {incarnation}"
            ),
            Event::Ended { peer, reason } => write!(f, "{peer} ended the link: {reason}"),
            Event::Unanswered { peer } => {
                write!(
                    f,
                    "{peer} has not answered a batch for {} minutes; dialling anew",
                    link::ANSWER_MS / 60_000
                )
            }
            Event::Undelivered { peer } => write!(
                f,
                "{peer} counts batches that have not come for {} minutes; dialling anew",
                link::ANSWER_MS / 60_000
            ),
            Event::Frozen { doc } => write!(
                f,
                "document {} has outgrown what is loaded: it is passed on unread until a person has looked at it",
                doc.short()
            ),
            Event::FilesPaused { room } => write!(
                f,
                "the disk is nearly full ({room} bytes above the reserve): contents of files wait, everything else goes on; free some space"
            ),
            Event::TooManyFiles { doc } => write!(
                f,
                "document {} has more than {} files: further contents are not fetched",
                doc.short(),
                crate::file::MAX_FILES
            ),
            Event::PieceDamaged { file, place } => write!(
                f,
                "piece {place} of file {} is not what was stored; it is fetched again: look at the disk",
                file.short()
            ),
            Event::ForeignFile { peer, doc } => write!(
                f,
                "{peer} asked for a file of {}, whose audience it is not in as this node knows it; it gets nothing",
                doc.short()
            ),
            Event::Revoked { nodes } => {
                write!(f, "revoked:")?;
                nodes.iter().try_for_each(|n| write!(f, " {n}"))
            }
        }
    }
}

/// Why a write of this node did not happen.
#[derive(Debug)]
pub enum WriteError<E> {
    /// The caller's own reason.
    Caller(E),
    /// The gate refused it: the same gate that stands before everybody's changes.
    Refused(Refusal),
    /// Nothing was written.
    Nothing,
    /// The storage failed.
    Store(store::StoreError),
}

impl<E> From<store::StoreError> for WriteError<E> {
    fn from(e: store::StoreError) -> Self {
        WriteError::Store(e)
    }
}

/// What the operator sees of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkView {
    /// Whether a connection is up.
    pub connected: bool,
    /// Whether the last comparison found the pair equal, and nothing has changed since.
    pub digest_equal: bool,
    /// Items that wait for something at the peer.
    pub parked: u64,
    /// Whether a repair is under way.
    pub repairing: bool,
    /// The newest version of frames that the peer speaks, and its program as far as it says that.
    pub speaks: Option<(u16, Program)>,
}

/// A node's own end of its seal chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    number: u64,
    last: Option<SealHash>,
}

/// Bytes from a seed: the core's only source of chance, so that a run repeats.
#[derive(Clone, Debug)]
struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.drawn += 1;
        let mut bytes = [0; N];
        let mut reader =
            blake3::Hasher::new_keyed(&self.seed).update(&self.drawn.to_be_bytes()).finalize_xof();
        reader.fill(&mut bytes);
        bytes
    }
}

/// One node's replica. See the module for the order of calls.
pub struct Replica<T, M> {
    me: NodeName,
    incarnation: Incarnation,
    /// What this node calls its program.
    program: Program,
    trust: T,
    chance: Chance,
    chain: Chain,
    links: BTreeMap<NodeName, Link>,
    pairs: BTreeMap<NodeName, Peer>,
    dirty: BTreeSet<NodeName>,
    shelf: Shelf<M>,
    trees: VecDeque<(SealHash, crate::merkle::Tree)>,
    /// Of revoked nodes: the seals that count.
    chains: BTreeMap<NodeName, BTreeSet<SealHash>>,
    recount_due: BTreeSet<NodeName>,
    /// Documents that have come to concern more sites in this transaction.
    grown: BTreeSet<DocId>,
    taken_back: Vec<(DocId, ItemHash)>,
    effects: Vec<Effect>,
    unsealed: bool,
    files: files::Exchange,
    bundles: bundle::Bundles,
}

const CHAIN: &str = "chain";

impl<T: Trust, M: Matter> Replica<T, M> {
    /// Opens the replica of `me` over what the store holds. `seed` is drawn anew at every start; the incarnation
    /// comes from it. `shelf` is how many documents are kept open at most.
    pub fn open<S: Store>(
        me: NodeName,
        trust: T,
        seed: [u8; 32],
        shelf: usize,
        store: &mut S,
    ) -> store::Result<Self> {
        let mut chance = Chance { seed, drawn: 0 };
        let incarnation = Incarnation::from_bytes(chance.draw());
        let chain = match store.meta(CHAIN)? {
            Some(bytes) => {
                let (number, last) = postcard::from_bytes(&bytes)
                    .map_err(|_| store::StoreError::Damaged("the end of the own seal chain".to_owned()))?;
                Chain { number, last }
            }
            None => Chain { number: 0, last: None },
        };
        let mut replica = Replica {
            me,
            incarnation,
            program: Program::default(),
            trust,
            chance,
            chain,
            links: BTreeMap::new(),
            pairs: BTreeMap::new(),
            dirty: BTreeSet::new(),
            shelf: Shelf::new(shelf),
            trees: VecDeque::new(),
            chains: BTreeMap::new(),
            recount_due: BTreeSet::new(),
            grown: BTreeSet::new(),
            taken_back: Vec::new(),
            effects: Vec::new(),
            unsealed: true,
            files: files::Exchange::default(),
            bundles: bundle::Bundles::default(),
        };
        for item in store.directory()? {
            replica.trust.admit(item.kind, &item.bytes);
        }
        for peer in store.peers()? {
            if let Some(row) = store.peer(peer)? {
                replica.pairs.insert(peer, row);
            }
        }
        Ok(replica)
    }

    /// This node.
    pub fn me(&self) -> NodeName {
        self.me
    }

    /// This life.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Who is who.
    pub fn trust(&self) -> &T {
        &self.trust
    }

    /// The number of the last own seal and its hash.
    pub fn chain(&self) -> (u64, Option<SealHash>) {
        (self.chain.number, self.chain.last)
    }

    /// The peers that this node keeps a pair with.
    pub fn peers(&self) -> impl Iterator<Item = (NodeName, &Peer)> {
        self.pairs.iter().map(|(name, row)| (*name, row))
    }

    /// Says in every hello from now on which version of its program this node runs.
    pub fn runs_program(&mut self, version: &str) {
        self.program = Program::new(version);
    }

    /// What the operator sees of a link.
    pub fn link(&self, peer: NodeName) -> LinkView {
        self.links.get(&peer).map(Link::view).unwrap_or_default()
    }

    /// What this node wrote and had to take back since the last call, parents first. It is kept, refused, by everybody;
    /// whoever drives the replica says it again.
    pub fn taken_back(&mut self) -> Vec<(DocId, ItemHash)> {
        std::mem::take(&mut self.taken_back)
    }

    /// Begins to keep a pair with `peer`: counts what both must hold, and owes it everything that is here.
    pub fn know_peer<S: Store>(&mut self, peer: NodeName, store: &mut S) -> store::Result<()> {
        if peer == self.me || self.pairs.contains_key(&peer) {
            return Ok(());
        }
        let mut row = Peer::new();
        // Records and revocations have rows of their own from the start. The scan of everything comes to them too, but
        // it waits for an outbox that is empty, and nothing of that is taken before its author's record is there.
        let mut directory = Vec::new();
        let mut last = None;
        store.each_shared([self.me.site(), peer.site()], &mut |hash, doc, rank| {
            row.digest.add(hash);
            last = last.max(doc.map(|_| rank));
            if doc.is_none() {
                directory.push(Debt { class: Class::Directory, rank, doc, item: Some(*hash) });
            }
        })?;
        row.everything = last.map(|last| (Position(0), last));
        store.owe(peer, &directory)?;
        store.put_peer(peer, &row)?;
        self.pairs.insert(peer, row);
        Ok(())
    }

    /// Whether this node and `peer` must both hold items of this document; `recent` remembers the last answer.
    fn both_must_hold<S: Store>(
        &self,
        peer: NodeName,
        doc: Option<DocId>,
        recent: &mut Option<(DocId, bool)>,
        store: &mut S,
    ) -> store::Result<bool> {
        let Some(doc) = doc else { return Ok(true) };
        if let Some((known, answer)) = *recent
            && known == doc
        {
            return Ok(answer);
        }
        let answer = store.document(&doc)?.is_some_and(|d| self.shared(&d.audience, peer));
        *recent = Some((doc, answer));
        Ok(answer)
    }

    fn shared(&self, audience: &Audience, peer: NodeName) -> bool {
        audience.has(self.me.site()) && audience.has(peer.site())
    }

    /// An open document and its matter, for reading.
    pub fn open_document<S: Store, D: Domain<S, Matter = M>>(
        &mut self,
        doc: DocId,
        store: &mut S,
        domain: &D,
    ) -> store::Result<Option<(&Document, &M)>> {
        if store.document(&doc)?.is_none() {
            return Ok(None);
        }
        self.shelf.open(doc, store, domain)?;
        Ok(self.shelf.get(&doc).map(|open| (&open.document, &open.matter)))
    }

    /// Makes one change of a document on all its heads; with `doc` `None` the first change of a new one. It passes
    /// the gate like everybody's, is stored and owed to the peers. Returns the document.
    pub fn write<S, D, E>(
        &mut self,
        doc: Option<DocId>,
        store: &mut S,
        domain: &mut D,
        write: impl FnOnce(&Document, &mut Transaction<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<DocId, WriteError<E>>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let Some(doc) = doc else {
            let empty = Document::empty(DocId::from_bytes([0; 32]));
            let (matter, write) = (|doc| domain.begin(doc), |tx: &mut Transaction<'_>| write(&empty, tx));
            let beginning = Beginning::compose(self.me, self.incarnation, matter, write)?;
            let doc = beginning.doc();
            self.admit_beginning(beginning, Vec::new(), store, domain)?;
            return Ok(doc);
        };
        self.shelf.open(doc, store, domain)?;
        let document = &self.shelf.get(&doc).ok_or(WriteError::Refused(Refusal::TooLarge))?.document;
        let (bytes, composed) = document
            .compose_in(self.me, self.incarnation, |tx| write(document, tx))
            .map_err(WriteError::Caller)?
            .ok_or(WriteError::Nothing)?;
        let change = Witnessed::check(&bytes, self.me, true).map_err(WriteError::Refused)?;
        self.admit_own(doc, change, (bytes, composed), store)?;
        Ok(doc)
    }

    /// Adds a sealed item of this node that is not a change, such as a key grant, under a document. It passes the gate
    /// like everybody's: a mark that the document's matter does not let stand is kept as refused.
    pub fn put<S, D>(
        &mut self,
        doc: DocId,
        kind: Kind,
        bytes: Vec<u8>,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<ItemHash>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let hash = kind.hash(&bytes);
        if store.state(&hash)?.is_none() {
            let old = store.document(&doc)?.unwrap_or_default().audience;
            self.shelf.open(doc, store, domain)?;
            let item = Incoming { hash, kind, author: self.me, sealed: None, emptied: false, bytes };
            let mut taken = Admitted::default();
            self.admit_other(doc, &item, None, &mut taken, store, domain)?;
            self.unsealed = true;
            self.settle_document(doc, old, taken, None, store)?;
        }
        Ok(hash)
    }

    /// Stores a sealed item of this node and owes it to the peers; the item, if it is new.
    fn keep_own<S: Store>(
        &mut self,
        doc: DocId,
        kind: Kind,
        bytes: Vec<u8>,
        store: &mut S,
    ) -> store::Result<(ItemHash, Option<Item>)> {
        let hash = kind.hash(&bytes);
        if store.state(&hash)?.is_some() {
            return Ok((hash, None));
        }
        let author = self.me;
        let item = Item { hash, kind, doc: Some(doc), author, state: State::Counted, sealed: None, bytes };
        let audience = store.document(&doc)?.unwrap_or_default().audience;
        let at = store.put_item(&item)?;
        self.unsealed = true;
        let taken = Admitted { items: vec![(at, hash, author)], ..Admitted::default() };
        self.account(doc, &audience, &audience, Class::Ordinary, &taken, None, store)?;
        Ok((hash, Some(item)))
    }

    /// Adds a directory item: this node's own record, or one that an operator admits from a file.
    pub fn put_directory<S, D>(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Admission>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        self.admit_directory(kind, bytes, None, store, domain)
    }

    /// Says what happened. Effects come out of [`Replica::effects`] after the caller has committed.
    pub fn step<S, D>(&mut self, now: u64, input: Input, store: &mut S, domain: &mut D) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        match input {
            Input::Connected(peer) => self.connected(now, peer, store),
            Input::Disconnected(peer) => {
                self.links.remove(&peer);
                Ok(())
            }
            Input::Frame { peer, bytes } => self.frame(now, peer, &bytes, store, domain),
            Input::Tick => {
                self.tick(now);
                Ok(())
            }
        }
    }

    /// Seals what this transaction wrote, fills the links with what their peers must still get, and writes the
    /// pairs' digests. Called once before every commit.
    pub fn flush<S, D>(&mut self, now: u64, store: &mut S, domain: &mut D) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        self.vouch_for_grown(store)?;
        self.shelf.project(store, domain)?;
        if self.unsealed && !self.links.is_empty() {
            self.seal_backlog(store)?;
        }
        let peers: Vec<NodeName> = self.links.keys().copied().collect();
        for peer in peers {
            self.pump(now, peer, store)?;
        }
        self.exchange_files(now, store)?;
        self.pass_parcels_on(store)?;
        self.tidy_bundles(store)?;
        for peer in std::mem::take(&mut self.dirty) {
            if let Some(row) = self.pairs.get(&peer) {
                store.put_peer(peer, row)?;
            }
        }
        Ok(())
    }

    /// What is to be done now that the transaction is committed.
    pub fn effects(&mut self) -> Vec<Effect> {
        self.shelf.end();
        std::mem::take(&mut self.effects)
    }

    fn tell(&mut self, event: Event) {
        self.effects.push(Effect::Tell(event));
    }

    /// Notes new items of a document in the pairs and outboxes: `from` sent them, `old` and `new` are the document's
    /// audience before and after them.
    #[expect(clippy::too_many_arguments, reason = "one fact each, and no two of them belong together")]
    fn account<S: Store>(
        &mut self,
        doc: DocId,
        old: &Audience,
        new: &Audience,
        class: Class,
        taken: &Admitted,
        from: Option<NodeName>,
        store: &mut S,
    ) -> store::Result<()> {
        let items = &taken.items;
        let peers: Vec<NodeName> = self.pairs.keys().copied().filter(|p| self.shared(new, *p)).collect();
        let expanded: Vec<Expanded> = if peers.is_empty() {
            Vec::new()
        } else {
            items.iter().map(|(_, h, _)| Expanded::new(h)).collect()
        };
        for peer in peers {
            let joined = !self.shared(old, peer);
            let known = items.len();
            let Some(pair) = self.pairs.get_mut(&peer) else { continue };
            expanded.iter().for_each(|e| pair.digest.add_expanded(e));
            let mut debts: Vec<Debt> = Vec::new();
            if joined {
                let all = if taken.begins { Vec::new() } else { store.items_of(&doc)? };
                let fresh: BTreeSet<ItemHash> = items.iter().map(|(_, h, _)| *h).collect();
                let earlier = all.iter().filter(|i| !fresh.contains(&i.hash));
                earlier.for_each(|i| pair.digest.add(&i.hash));
                let rank = items.last().map_or(Position(0), |(at, ..)| *at);
                if all.len() > known || from != Some(peer) {
                    debts.push(Debt { class, rank, doc: Some(doc), item: None });
                }
            } else if from != Some(peer) {
                let owed = items.iter().filter(|(_, _, author)| *author != peer);
                debts.extend(owed.map(|(at, h, _)| Debt {
                    class,
                    rank: *at,
                    doc: Some(doc),
                    item: Some(*h),
                }));
            }
            self.dirty.insert(peer);
            store.owe(peer, &debts)?;
            if let Some(link) = self.links.get_mut(&peer) {
                link.changed();
            }
        }
        Ok(())
    }

    /// Verifies a directory item, keeps it, and passes it on to everybody.
    fn admit_directory<S, D>(
        &mut self,
        kind: Kind,
        bytes: &[u8],
        from: Option<NodeName>,
        store: &mut S,
        domain: &mut D,
    ) -> store::Result<Admission>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        let hash = kind.hash(bytes);
        if let Some(item) = store.item(&hash)? {
            return Ok(Admission::Older(item.author));
        }
        let admission = self.trust.admit(kind, bytes);
        let (author, revoked) = match &admission {
            Admission::Kept(node) | Admission::Older(node) => (*node, Vec::new()),
            Admission::Revokes(node, revoked) => (*node, revoked.clone()),
            Admission::Refused(_) => return Ok(admission),
        };
        let item = Item {
            hash,
            kind,
            doc: None,
            author,
            state: State::Counted,
            sealed: None,
            bytes: bytes.to_vec(),
        };
        let at = store.put_item(&item)?;
        let expanded = Expanded::new(&hash);
        for (peer, pair) in &mut self.pairs {
            pair.digest.add_expanded(&expanded);
            self.dirty.insert(*peer);
            if from != Some(*peer) {
                store
                    .owe(*peer, &[Debt { class: Class::Directory, rank: at, doc: None, item: Some(hash) }])?;
            }
        }
        self.links.values_mut().for_each(Link::changed);
        if !revoked.is_empty() {
            self.revoked(&revoked, store, domain)?;
        }
        Ok(admission)
    }

    /// Ends the links of revoked nodes and judges again what they wrote.
    fn revoked<S, D>(&mut self, nodes: &[NodeName], store: &mut S, domain: &mut D) -> store::Result<()>
    where
        S: Store,
        D: Domain<S, Matter = M>,
    {
        self.tell(Event::Revoked { nodes: nodes.to_vec() });
        for node in nodes {
            if self.links.contains_key(node) {
                let reason = match self.trust.membership(*node) {
                    Membership::Revoked { reason, .. } => format!("your certificate was revoked: {reason}"),
                    _ => "your certificate was revoked".to_owned(),
                };
                self.close(*node, reason, false);
            }
        }
        self.recount(nodes, store, domain)
    }
}

#[cfg(test)]
mod tests;
