//! The engine: one node's data directory, its replica and its tickets, driven inside transactions.
//!
//! ```text
//! begin(now) -> ask(request)* , link(input)* -> commit(now) -> effects to perform
//! ```
//!
//! One thread drives it. Whatever was asked between `begin` and `commit` becomes durable together (group commit);
//! replies may be given, and effects performed, only after `commit` returned. When it returns an error of kind
//! `TryAgain` (the disk is full) everything in between was undone and reading goes on; any other error is fatal.
//!
//! ```text
//! DIR/node.db       items, outboxes, projections      DIR/identity/    certificate, keys, record
//! DIR/files/        contents of files (see [`sync::file`])
//! DIR/vault.db      what opens persons
//! DIR/serials.json  the highest ticket serials, beside the database for the day it is restored
//! ```

mod act;
mod again;
mod aggregates;
mod bundles;
mod choices;
mod confirm;
mod conflicts;
mod correct;
mod create;
mod deadlines;
mod erase;
mod figures;
mod files;
mod grants;
mod handover;
mod hold;
mod inspect;
mod knowledge;
mod lake;
mod persons;
mod policy;
mod reading;
mod restored;
mod retention;
mod scorecard;
mod side_by_side;
mod suggested;
mod told;
mod trail;
mod uses;
mod verify;
mod view;

use std::collections::{BTreeSet, VecDeque};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certs::{CertificateClock, Doubt, Expiring, Identity, NodeName, Site, UnixTime};
use rustix::fs::StatVfsMountFlags;
use serde_json::{Value, json};
use sync::document::Document;
use sync::id::DocId;
use sync::item::{Item, Kind, State};
use sync::matter::Domain;
use sync::replica::{Effect, Event, Input, Replica};
use sync::store::sqlite::{Parted, Sqlite};
use sync::store::{self, Durable, Store, StoreError};

use crate::aggregate::Month as Aggregates;
use crate::china::shown_time;
use crate::content::Content;
use crate::files::FileLimits;
use crate::hex::hex;
use crate::knowledge::{self as articles, catalogue};
use crate::others;
use crate::policy::{Set, rows};
use crate::projection::{self, Indexing, Row, aggregate};
use crate::reference::Reference;
use crate::request::{Failure, FailureKind, Reply, Request};
use crate::roll::Roll;
use crate::scorecard::{self as card, Record, months};
use crate::ticket::TicketMatter;
use crate::ticket::matter::KIND;
use crate::ticket::number::{Block, NumberSeries};
use crate::ticket::other::{self, Other};
use crate::vault::index::By;
use crate::vault::{self, Grant, holders};
use aggregates::Telling;
use policy::Tables;
pub use reading::Reader;
use retention::Retention;
use side_by_side::side_by_side;

/// How many documents are kept open: about 60 KiB each.
const SHELF: usize = 1_200;

/// How many persons are opened for the index at once, up to a millisecond each.
const MARKED: usize = 4;

/// How many bytes of tickets' words are indexed in the transaction that brings them: those of some twenty new tickets, a few
/// milliseconds. Durability does not wait for more: the others, and tickets with long notes, are indexed while nothing else is to
/// be done, so many tickets at once.
const PROMPT: usize = 16 * 1024;
const CAUGHT_UP: usize = 8;

/// How many events are kept for the operator.
const EVENTS: usize = 500;

const BLOCK: &str = "number block";
const CLOCK: &str = "clock";
const SERIALS: &str = "serials.json";
const DATABASE: &str = "node.db";

/// The identity's directory in a data directory.
pub const IDENTITY: &str = "identity";

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Drawn anew at every start; the incarnation comes from it.
    pub seed: [u8; 32],
}

impl Options {
    /// With a seed from the system's entropy.
    pub fn drawn() -> Result<Options, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| {
            Failure::new(FailureKind::Failed, "the system gives no random numbers").because(e)
        })?;
        Ok(Options { seed })
    }
}

/// What is kept beside a document.
enum Derived {
    /// It is a ticket.
    Ticket(Box<Row>),
    /// It is an article of the knowledge base.
    Article(Box<catalogue::Row>),
    /// It is a frozen month of a scorecard.
    Month(Box<Record>),
    /// It is a month of a site's aggregates.
    Aggregates(Box<Aggregates>),
    /// It is what a site has set of a table.
    Policy(Box<Set>),
    /// It is of a kind that is not known here.
    Other(String),
    /// Its beginning does not count.
    Nothing,
}

impl Derived {
    fn of_other(other: &Other) -> Derived {
        let read = match other.kind() {
            card::KIND => Record::of(other.entries()).map(|record| Derived::Month(Box::new(record))),
            crate::aggregate::KIND => {
                Aggregates::of(other.entries()).map(|month| Derived::Aggregates(Box::new(month)))
            }
            crate::policy::KIND => Set::of(other.entries()).map(|set| Derived::Policy(Box::new(set))),
            _ => None,
        };
        read.unwrap_or_else(|| Derived::Other(other.kind().to_owned()))
    }
}

/// What the replica keeps beside the documents: projections, and which documents changed.
struct Desk {
    me: NodeName,
    /// Tickets that changed.
    touched: Vec<DocId>,
    /// Those of which an offer has ended: a confirm may be due.
    handed: BTreeSet<DocId>,
    /// Those that are new, or that others hold or are entitled to the key of: somebody may lack a grant.
    moved: BTreeSet<DocId>,
    /// Articles that changed.
    articles: Vec<DocId>,
    /// Documents under which a grant, an erased mark or a receipt has come.
    kept: BTreeSet<DocId>,
    /// Editions of a table have come, or do not count any more.
    policies: bool,
    /// How many more bytes of words are indexed in this transaction.
    prompt: usize,
    reference: Arc<Reference>,
}

impl Domain<Sqlite> for Desk {
    type Matter = TicketMatter;
    type Row = Derived;

    fn begin(&self, doc: DocId) -> TicketMatter {
        TicketMatter::new(doc)
    }

    fn row(document: &Document, matter: &TicketMatter) -> Derived {
        if let Some(article) = matter.article() {
            let row = catalogue::Row::of(document, article);
            return row.map_or(Derived::Nothing, |row| Derived::Article(Box::new(row)));
        }
        match matter.other() {
            Some(other) => Derived::of_other(other),
            None => Row::of(document, matter).map_or(Derived::Nothing, |row| Derived::Ticket(Box::new(row))),
        }
    }

    fn project(&mut self, store: &mut Sqlite, doc: &DocId, row: Derived) -> store::Result<()> {
        let row = match row {
            Derived::Ticket(row) => row,
            Derived::Article(row) => {
                self.articles.push(*doc);
                return catalogue::put(store.connection(), doc, &row);
            }
            // Whether its beginning counts may change either way.
            Derived::Month(record) => {
                others::forget(store.connection(), doc)?;
                return months::put(store.connection(), doc, &record);
            }
            Derived::Aggregates(month) => {
                others::forget(store.connection(), doc)?;
                articles::uses::put(store.connection(), doc, Some(&month.articles))?;
                return aggregate::put(store.connection(), doc, Some(&month), self.me.site());
            }
            Derived::Policy(set) => {
                self.policies = true;
                others::forget(store.connection(), doc)?;
                return rows::put(store.connection(), doc, Some(&set));
            }
            Derived::Other(kind) => {
                if kind == crate::policy::KIND {
                    self.policies = true;
                    rows::put(store.connection(), doc, None)?;
                }
                months::forget(store.connection(), doc)?;
                articles::uses::put(store.connection(), doc, None)?;
                aggregate::put(store.connection(), doc, None, self.me.site())?;
                return others::put(store.connection(), doc, &kind);
            }
            Derived::Nothing => return Ok(()),
        };
        self.touched.push(*doc);
        if row.was_offered() {
            self.handed.insert(*doc);
        }
        let left = self.prompt.checked_sub(row.words());
        let indexing = if left.is_some() { Indexing::Now } else { Indexing::Later };
        self.prompt = left.unwrap_or(self.prompt);
        if projection::put(store.connection(), doc, &row, indexing, self.me.site(), &self.reference)? {
            self.moved.insert(*doc);
        }
        Ok(())
    }

    fn keep(&mut self, store: &mut Sqlite, item: &Item) -> store::Result<()> {
        let Some(doc) = item.doc else { return Ok(()) };
        match item.kind {
            Kind::GRANT if item.state != State::Emptied => {
                let Some(grant) = Grant::read(&item.bytes) else { return Ok(()) };
                vault::holders::note(store.apart(), &doc, &item.hash, &grant)?;
                if grant.to == self.me {
                    vault::index::due(store.apart(), &item.hash)?;
                }
                self.kept.insert(doc);
            }
            Kind::ERASED | Kind::RECEIPT => drop(self.kept.insert(doc)),
            _ => {}
        }
        Ok(())
    }

    fn each<W: Send, R: Send>(
        &mut self,
        work: Vec<W>,
        make: impl Fn(W) -> R + Sync,
        mut take: impl FnMut(&mut Desk, R) -> store::Result<()>,
    ) -> store::Result<()> {
        side_by_side(work, make, |made| take(self, made))
    }
}

/// One node.
pub struct Engine {
    dir: PathBuf,
    store: Sqlite,
    replica: Replica<Roll, TicketMatter>,
    desk: Desk,
    reference: Arc<Reference>,
    tables: Tables,
    /// After which row open tickets are to be dated anew, when they are.
    redating: Option<i64>,
    clock: CertificateClock,
    /// The clock as it is stored, and how often links had to learn of a change of it.
    clock_stored: CertificateClock,
    clock_changes: u64,
    series: NumberSeries,
    block: Block,
    numbered: bool,
    /// A request failed half-way: nothing of this transaction may stay.
    spoiled: Option<Failure>,
    transfers: files::Transfers,
    bundles: bundles::Traffic,
    file_limits: FileLimits,
    /// The key of the vault's index, once it was needed.
    index_key: Option<vault::index::IndexKey>,
    /// When lacking grants were last looked at.
    swept: u64,
    /// The directory's state for which new nodes were last looked for.
    met: Option<u64>,
    /// A round for new nodes may be due.
    rounds: bool,
    events: VecDeque<(u64, String)>,
    /// Whether somebody catches up when nothing else is to be done.
    idles: bool,
    /// What is erased when its time is over.
    retention: Retention,
    telling: Telling,
    /// The documents that the last commit changed.
    changed: BTreeSet<DocId>,
    /// Until when the databases' files stay as they are, for somebody copies them, and how often somebody began to.
    held: Option<u64>,
    holds: u64,
    now: u64,
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        let kind = match e {
            StoreError::Full(_) => FailureKind::TryAgain,
            StoreError::Damaged(_) => FailureKind::Integrity,
            StoreError::Failed(_) => FailureKind::Failed,
        };
        let failure = Failure::new(kind, e);
        match kind {
            FailureKind::Integrity => failure.hint(
                "what can still be read: `hotline replica verify`; else move the directory away, do not delete it, and make \
                 it anew of a backup: `hotline restore`. What was written since comes back from the peers",
            ),
            _ => failure,
        }
    }
}

fn failed(what: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, what).because(cause)
}

impl Engine {
    /// Makes a data directory for this identity. An existing one is left alone and reported.
    pub fn init(dir: &Path, identity: &mut Identity) -> Result<(), Failure> {
        if dir.join(DATABASE).exists() {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{} is a data directory already", dir.display()),
            )
            .hint("choose another directory, or go on with this one: `hotline run --dir DIR`"));
        }
        std::fs::create_dir_all(dir).map_err(|e| failed("the data directory cannot be made", e))?;
        // Complaints and whistle-blowers lie in it: nobody but its owner looks in.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .map_err(|e| failed("the data directory cannot be closed to others", e))?;
        identity.save(&dir.join(IDENTITY)).map_err(|e| failed("the identity cannot be saved", e))?;
        let mut store = Sqlite::open(&dir.join(DATABASE))?;
        projection::prepare(store.connection())?;
        others::prepare(store.connection())?;
        crate::changes::prepare(store.connection())?;
        catalogue::prepare(store.connection())?;
        months::prepare(store.connection())?;
        rows::prepare(store.connection())?;
        crate::bundles::log::prepare(store.connection())?;
        vault::prepare(store.apart())?;
        let mut drawn = [0; 1];
        getrandom::fill(&mut drawn).map_err(|e| failed("the system gives no random numbers", e))?;
        let block = Block::new(own_character(identity.node()), drawn[0]);
        store.begin()?;
        store.put_meta(BLOCK, block.to_string().as_bytes())?;
        store.put_meta(deadlines::RULES, &Reference::built_in().rules)?;
        Engine::begin_figures(&mut store)?;
        store.commit()?;
        Ok(())
    }

    /// Opens a data directory; only one process may at a time.
    pub fn open(dir: &Path, options: &Options) -> Result<Engine, Failure> {
        let mut engine = Engine::look(dir, options)?;
        engine.read_serials()?;
        engine.set_file_limits(FileLimits::default());
        engine.store.collect()?;
        engine.store.begin()?;
        engine.bring_together()?;
        let mut known = Vec::new();
        for kind in [KIND, articles::KIND].into_iter().chain(other::READ) {
            known.extend(others::take(engine.store.connection(), kind)?);
        }
        for doc in known {
            let open = engine.replica.open_document(doc, &mut engine.store, &engine.desk)?;
            if let Some((document, matter)) = open {
                let row = Desk::row(document, matter);
                engine.desk.project(&mut engine.store, &doc, row)?;
            }
        }
        engine.figures_changed(false)?;
        let record = engine.identity().record().bytes().clone();
        engine.replica.put_directory(Kind::RECORD, &record, &mut engine.store, &mut engine.desk)?;
        engine.replica.seal_backlog(&mut engine.store)?;
        engine.replica.flush(0, &mut engine.store, &mut engine.desk)?;
        engine.store.commit()?;
        engine.replica.effects();
        engine.desk.touched.clear();
        engine.desk.handed.clear();
        engine.desk.moved.clear();
        engine.desk.articles.clear();
        engine.desk.kept.clear();
        Ok(engine)
    }

    /// Opens a data directory without the work of a start, which reads more and writes: so a damaged one can still be
    /// looked into. Ask it questions, and end without a commit.
    pub fn look(dir: &Path, options: &Options) -> Result<Engine, Failure> {
        must_be_usable(dir)?;
        let identity = Identity::load(&dir.join(IDENTITY)).map_err(|e| {
            Failure::new(FailureKind::Configuration, "the node's identity cannot be read").because(e)
        })?;
        let mut store = Sqlite::open(&dir.join(DATABASE)).map_err(|e| match e {
            StoreError::Failed(why) if why.contains("locked") => {
                Failure::new(FailureKind::TryAgain, format!("another process works on {}", dir.display()))
                    .hint("ask the running node, or wait until the other command has ended")
            }
            other => other.into(),
        })?;
        projection::prepare(store.connection())?;
        others::prepare(store.connection())?;
        crate::changes::prepare(store.connection())?;
        catalogue::prepare(store.connection())?;
        months::prepare(store.connection())?;
        rows::prepare(store.connection())?;
        crate::bundles::log::prepare(store.connection())?;
        vault::prepare(store.apart())?;
        let identity = Arc::new(identity);
        let me = identity.node();
        let roll = Roll::new(identity.clone());
        store.begin()?;
        let mut replica = Replica::open(me, roll, options.seed, SHELF, &mut store)?;
        replica.runs_program(env!("CARGO_PKG_VERSION"));
        let block = match store.meta(BLOCK)? {
            Some(bytes) => String::from_utf8_lossy(&bytes)
                .parse()
                .map_err(|e| failed("the number block cannot be read", e))?,
            None => Block::new(own_character(me), options.seed[0]),
        };
        let clock = match store.meta(CLOCK)? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|e| failed("what is known of the clock cannot be read", e))?,
            None => CertificateClock::new(),
        };
        store.commit()?;
        let reference = Arc::new(Reference::of_node(dir)?);
        Ok(Engine {
            dir: dir.to_owned(),
            store,
            replica,
            desk: Desk {
                me,
                touched: Vec::new(),
                handed: BTreeSet::new(),
                moved: BTreeSet::new(),
                articles: Vec::new(),
                kept: BTreeSet::new(),
                policies: false,
                prompt: 0,
                reference: reference.clone(),
            },
            idles: false,
            retention: Retention::default(),
            telling: Telling::default(),
            changed: BTreeSet::new(),
            held: None,
            holds: 0,
            index_key: None,
            swept: 0,
            met: None,
            rounds: true,
            tables: Tables::of(reference.clone()),
            redating: None,
            reference,
            clock_stored: clock.clone(),
            clock,
            clock_changes: 0,
            series: NumberSeries::default(),
            block,
            numbered: false,
            spoiled: None,
            transfers: files::Transfers::default(),
            bundles: bundles::Traffic::default(),
            file_limits: FileLimits::default(),
            events: VecDeque::new(),
            now: 0,
        })
    }

    /// The own identity.
    pub fn identity(&self) -> &Arc<Identity> {
        self.replica.trust().identity()
    }

    /// The tables that it works with.
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// This node.
    pub fn me(&self) -> NodeName {
        self.replica.me()
    }

    /// The replica, for reading.
    pub fn replica(&self) -> &Replica<Roll, TicketMatter> {
        &self.replica
    }

    /// What links are checked against. Take it anew when [`Engine::trust_changes`] has grown.
    pub fn trust(&self) -> certs::Trust {
        self.replica.trust().directory().trust(self.clock.doubt().is_some())
    }

    /// How often what links are checked against has changed.
    pub fn trust_changes(&self) -> u64 {
        self.replica.trust().changes() + self.clock_changes
    }

    /// Takes the outcome of a handshake with a peer that is good but perhaps for its dates.
    pub fn met(&mut self, peer: NodeName, dates_fine: bool) {
        let before = self.clock.doubt().is_some();
        self.clock.met(peer, dates_fine);
        self.note_doubt(before);
    }

    /// Why this node does not know the date; `None` when it does.
    pub fn clock_doubt(&self) -> Option<&Doubt> {
        self.clock.doubt()
    }

    /// The time that certificates are never judged by an earlier one than.
    pub fn clock_floor(&self) -> UnixTime {
        self.clock.floor()
    }

    /// The certificates of this node and of its peers that end within so many days, or have ended.
    pub fn expiring(&self, within_days: i64) -> Vec<Expiring> {
        let mut soon =
            self.replica.trust().directory().expiring(self.certificate_time(self.now), within_days);
        soon.retain(|e| e.node == self.me() || self.replica.peers().any(|(peer, _)| peer == e.node));
        soon
    }

    fn note_doubt(&mut self, before: bool) {
        if self.clock.doubt().is_some() != before {
            self.clock_changes += 1;
        }
    }

    /// The time that certificates are judged by, in seconds.
    pub fn certificate_time(&self, now_ms: u64) -> UnixTime {
        self.clock.time(UnixTime::from_secs(now_ms / 1000))
    }

    /// Opens a transaction at this time (milliseconds since 1970, by the own clock).
    pub fn begin(&mut self, now_ms: u64) -> Result<(), Failure> {
        self.now = now_ms;
        let before = self.clock.doubt().is_some();
        self.clock.signed(self.replica.trust().newest_signed(), UnixTime::from_secs(now_ms / 1000));
        self.note_doubt(before);
        self.desk.prompt = PROMPT;
        self.store.begin()?;
        // What fails here ends the transaction as what fails in it does.
        self.spoiled = self.take_tables().err();
        Ok(())
    }

    /// Goes on at a later time in the same transaction: whoever makes a past has its clock in hand.
    pub fn later(&mut self, now_ms: u64) {
        self.now = self.now.max(now_ms);
    }

    /// Whether something waits to be done when nothing else is: see [`Engine::catch_up`].
    pub fn is_behind(&mut self) -> Result<bool, Failure> {
        Ok(projection::is_behind(self.store.connection())?
            || !vault::index::unread(self.store.apart(), 1)?.is_empty()
            || self.redating.is_some()
            || self.counts_anew()?
            || self.tells()?.is_some()
            || self.tells_uses().is_some()
            || self.retires().is_some())
    }

    /// Indexes a few of the words that were put aside, else a few of the persons, else dates a few tickets anew, else counts a few rows anew, else tells a day's
    /// aggregate, else what was said of articles on one, else looks for a few tickets whose time is over; in a transaction, which may hold several calls. Whether there was anything. From the first call on,
    /// everything else relies on further ones and waits for nothing.
    pub fn catch_up(&mut self) -> Result<bool, Failure> {
        self.idles = true;
        match projection::catch_up(self.store.connection(), CAUGHT_UP)? {
            0 if self.mark_persons(MARKED)? > 0 => Ok(true),
            0 if self.date_some()? || self.count_some()? || self.tell()? || self.tell_uses()? => Ok(true),
            0 => self.retire(),
            _ => Ok(true),
        }
    }

    /// Begins to keep a pair with this node.
    pub fn add_peer(&mut self, peer: NodeName) -> Result<(), Failure> {
        Ok(self.replica.know_peer(peer, &mut self.store)?)
    }

    /// Says what happened on a link.
    pub fn link(&mut self, input: Input) -> Result<(), Failure> {
        Ok(self.replica.step(self.now, input, &mut self.store, &mut self.desk)?)
    }

    /// Grants or refuses a request. The reply may be given after the commit.
    pub fn ask(&mut self, request: &Request) -> Reply {
        match request {
            Request::New { tickets, user } => self.create(tickets, user.as_deref()),
            Request::Act { id, act, user } => self.act(id, act, user.as_deref()),
            Request::Note { id, text, user } => self.note(id, text, user.as_deref()),
            Request::When { states, then } => self.when(states, then),
            Request::For { centres, then } => self.for_centres(centres, then),
            Request::File(request) => self.file(request),
            Request::Bundle(request) => self.bundle(request),
            Request::Knowledge(request) => self.knowledge(request),
            Request::Policy(request) => self.policy(request),
            Request::Show { id, reveal, user } => self.show(id, reveal.as_deref(), user.as_deref()),
            Request::Told { number } => self.told_caller(*number),
            Request::History { id, language } => self.history(id, *language),
            Request::Choices { id, language } => self.choices(id, *language),
            Request::Reveal { id, reason, desk, user } => {
                self.show_person(id, reason, *desk, user.as_deref())
            }
            Request::Volume { days } => self.reading().volume(*days),
            Request::Calls { from, to } => self.reading().calls(from, to),
            Request::Figures { from, to, by } => {
                self.count_all()?;
                self.reading().figures(from, to, by.as_deref())
            }
            Request::Form { period } => {
                self.count_all()?;
                self.reading().form(period)
            }
            Request::Figured { id, part, from, to, by, value, limit, before } => {
                self.count_all()?;
                self.reading().figured(
                    id,
                    *part,
                    (from, to),
                    by.as_deref(),
                    value.as_deref(),
                    *limit,
                    *before,
                )
            }
            Request::List { queue, sift, limit, before } => self.reading().list(queue, sift, *limit, *before),
            Request::Search { text, limit } => {
                self.index_all()?;
                self.reading().search(text, *limit)
            }
            Request::Similar { text, plate, place, limit } => {
                self.index_all()?;
                self.reading().similar(text, plate.as_deref(), place.as_deref(), *limit)
            }
            Request::Lake(request) => {
                self.count_all()?;
                self.reading().lake(request)
            }
            Request::Outside { number, limit } => self.reading().outside(number, *limit),
            Request::Lookup { phone, name, desk, reveal, user, limit } => {
                let by = match (phone, name) {
                    (Some(phone), None) => (By::Phone, phone.as_str()),
                    (None, Some(name)) => (By::Name, name.as_str()),
                    _ => {
                        return Err(Failure::new(
                            FailureKind::Usage,
                            "a caller is looked up by phone or by name, one of them",
                        ));
                    }
                };
                self.lookup(by, *desk, reveal.as_deref(), user.as_deref(), *limit)
            }
            Request::Grant { id, to, reason, user } => self.grant(id, to, reason, user.as_deref()),
            Request::Erase { id, reason, user } => self.erase(id, reason, user.as_deref()),
            Request::Scorecard { month, site } => self.scorecard(month, site.as_deref()),
            Request::Freeze { month, reason, user } => self.freeze(month, reason.as_deref(), user.as_deref()),
            Request::Months { site, limit } => self.months(site.as_deref(), *limit),
            Request::Reveals { id } => self.reveals(id.as_deref()),
            Request::Changes { after, limit } => self.reading().changes(after.as_deref(), *limit),
            Request::Export { after, limit } => self.export(after.as_deref(), *limit),
            Request::Status => self.status(),
            Request::Digest { peer } => self.digest(peer),
            Request::Diff { peer, limit } => self.diff(peer, *limit),
            Request::Conflicts => self.conflicts(),
            Request::TakeIn { id } => self.take_in(id),
            Request::Verify => self.verify(),
            Request::Rebuild => self.rebuild(),
            Request::Admit { kind, hex } => self.admit(kind, hex),
            Request::Hold { step } => self.hold(*step),
            Request::ConfirmClock => {
                let before = self.clock.doubt().is_some();
                self.clock.confirm(UnixTime::from_secs(self.now / 1000));
                self.note_doubt(before);
                Ok(json!({ "clock_doubt": false }))
            }
            Request::Events => Ok(self
                .events
                .iter()
                .map(|(at, text)| json!({ "at": shown_time(*at), "text": text }))
                .collect()),
        }
    }

    /// Asks, if whoever asks acts for the centre that the ticket's call was taken for.
    fn for_centres(&mut self, centres: &BTreeSet<Site>, then: &Request) -> Reply {
        for id in then.ticket().into_iter().chain(then.joined()) {
            let doc = self.find(id)?;
            let me = self.me().site();
            let centre = self.with_document(doc, |document, matter| {
                let ours = matter.folded().is_some_and(|folded| folded.stand.taken_by == me);
                let centre = if ours { Content::fact(document, "centre") } else { None };
                centre.and_then(|site| site.parse::<Site>().ok())
            })?;
            if let Some(centre) = centre.filter(|centre| !centres.contains(centre)) {
                return Err(Failure::new(
                    FailureKind::NotServed,
                    format!(
                        "this ticket was taken for {}, which this account does not serve",
                        self.named(centre)
                    ),
                )
                .hint("an administrator says for which centres an account works: `hotline user serves`"));
            }
        }
        self.ask(then)
    }

    /// Asks, if the ticket is still as whoever asks has seen it, or as one of several that would do. Nothing comes in between: it is one transaction.
    fn when(&mut self, states: &[String], then: &Request) -> Reply {
        let (Request::Act { id, .. } | Request::Note { id, .. }) = then else {
            return Err(Failure::new(FailureKind::Usage, "only an action or a note depends on a state"));
        };
        let now = self.show(id, None, None)?["state_hash"].as_str().unwrap_or_default().to_owned();
        match states.contains(&now) {
            true => self.ask(then),
            false => Err(Failure::new(FailureKind::Moved, "the ticket has changed since")
                .hint("read it again, and decide anew")),
        }
    }

    /// Makes everything since `begin` durable and returns what is to be done now.
    pub fn commit(&mut self) -> Result<Vec<Effect>, Failure> {
        match self.spoiled.take().map_or_else(|| self.try_commit(), Err) {
            Ok(effects) => Ok(effects),
            Err(failure) => Err(self.undo(failure)),
        }
    }

    /// Ends the transaction without a trace because of this failure, and returns it. After one of kind `TryAgain` the
    /// engine goes on, and knows of no link; after any other it must not be used.
    pub fn undo(&mut self, failure: Failure) -> Failure {
        self.spoiled = None;
        self.held = None; // a log that may not be moved must not be what fills the disk
        // The memory is ahead of the disk now: it is thrown away and read again.
        let undone = self.store.rollback().map_err(Failure::from).and_then(|()| match failure.kind {
            FailureKind::TryAgain => self.reopen(),
            _ => Ok(()),
        });
        undone.err().unwrap_or(failure)
    }

    fn try_commit(&mut self) -> Result<Vec<Effect>, Failure> {
        self.open_parcels()?;
        self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        if self.say_again()? {
            self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        }
        self.take_tables()?;
        let touched = std::mem::take(&mut self.desk.touched);
        let mut changed: BTreeSet<DocId> = touched.iter().copied().collect();
        changed.extend(self.desk.kept.iter().copied()); // before they are looked after, which takes them
        let wrote = self.confirm()?;
        if self.tend(touched)? || wrote {
            self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
        }
        changed.extend(self.desk.touched.drain(..));
        self.desk.handed.clear(); // of what was just written nothing is due
        changed.extend(self.desk.articles.drain(..));
        changed.extend(std::mem::take(&mut self.desk.kept));
        if self.clock != self.clock_stored {
            let bytes = postcard::to_stdvec(&self.clock).expect("plain values have a byte form");
            self.store.put_meta(CLOCK, &bytes)?;
        }
        crate::changes::note(self.store.connection(), &changed, self.now)?;
        self.store.commit()?;
        self.tables.publish();
        self.changed = changed;
        self.clock_stored.clone_from(&self.clock);
        if std::mem::take(&mut self.numbered) {
            self.keep_serials();
        }
        let effects = self.replica.effects();
        for effect in &effects {
            if let Effect::Tell(event) = effect {
                self.note_event(event);
            }
        }
        Ok(effects)
    }

    /// Looks after the persons of documents that changed: receipts for what was erased, grants for who is entitled, and
    /// a few marks of the index. Whether it wrote items.
    fn tend(&mut self, touched: Vec<DocId>) -> Result<bool, Failure> {
        let kept = std::mem::take(&mut self.desk.kept);
        let mut supplied = std::mem::take(&mut self.desk.moved);
        supplied.extend(&kept);
        let docs: BTreeSet<DocId> = kept.into_iter().chain(touched).collect();
        let idle = docs.is_empty();
        let mut wrote = false;
        for doc in docs {
            let (erased, receipt) = self.confirm_erased(doc)?;
            wrote |= receipt;
            if erased {
                supplied.remove(&doc);
            }
        }
        wrote |= self.supply_due(&supplied)?;
        // A question does not pay for it where somebody catches up.
        if !(idle && self.idles) {
            self.mark_persons(MARKED)?;
        }
        Ok(wrote)
    }

    /// Brings database and vault together when one of them was put back without the other. A grant that is lost here may
    /// be lost where it was for, too, so all who hold the ticket look whether anybody lacks one.
    fn bring_together(&mut self) -> Result<(), Failure> {
        let Parted { lost, strays } = self.store.parted()?;
        let mut docs = self.replica.lose(&lost, &mut self.store)?;
        for stray in &strays {
            docs.extend(holders::document_of(self.store.apart(), stray)?);
        }
        self.store.drop_strays(&strays)?;
        holders::doubt(self.store.apart(), &docs, self.me())?;
        if !lost.is_empty() {
            let lost = lost.len();
            tracing::warn!(
                lost,
                "the vault lacks grants that the database knows; peers that hold them send them again"
            );
            self.note_text(
                0,
                format!("the vault lacked {lost} grants; they come back from peers that hold them"),
            );
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| failed("the system gives no random numbers", e))?;
        let roll = Roll::new(self.identity().clone());
        self.replica = Replica::open(roll.identity().node(), roll, seed, SHELF, &mut self.store)?;
        self.replica.set_file_budget(self.file_limits.rate);
        self.desk.touched.clear();
        self.desk.handed.clear();
        self.desk.moved.clear();
        self.desk.articles.clear();
        self.desk.kept.clear();
        self.index_key = None;
        self.met = None;
        self.telling = Telling::default();
        self.tables.spoil();
        self.redating = None;
        self.rounds = true;
        self.bundles = bundles::Traffic::default();
        Ok(())
    }

    /// The documents that the last commit changed, or that something was kept of.
    pub fn changed(&self) -> &BTreeSet<DocId> {
        &self.changed
    }

    /// Moves the write-ahead log into the database, unless the files are held still; call it now and then, outside a
    /// transaction. Returns how many pages are left.
    pub fn checkpoint(&mut self) -> Result<u64, Failure> {
        if self.is_held() {
            return Ok(0);
        }
        Ok(self.store.checkpoint()?)
    }

    /// How many rows were written since the database was opened.
    pub fn written(&self) -> u64 {
        self.store.connection().total_changes()
    }

    fn note_event(&mut self, event: &Event) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((self.now, event.to_string()));
    }

    /// Keeps an event of the links that the replica does not see, such as a refusal.
    pub fn note_text(&mut self, now_ms: u64, text: String) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((now_ms, text));
    }

    /// Runs `read` on an open document.
    fn with_document<R>(
        &mut self,
        doc: DocId,
        read: impl FnOnce(&Document, &TicketMatter) -> R,
    ) -> Result<R, Failure> {
        match self.replica.open_document(doc, &mut self.store, &self.desk)? {
            Some((document, matter)) => Ok(read(document, matter)),
            None if self.store.document(&doc)?.is_some() => Err(Failure::new(
                FailureKind::NeedsPerson,
                format!("ticket {} has outgrown what is loaded", doc.short()),
            )
            .hint("it is passed on unread; close the matter in a new ticket that refers to it")),
            None => Err(Failure::new(FailureKind::Absent, format!("no ticket {} is here", doc.short()))),
        }
    }

    /// What the document is, if it is no ticket.
    pub(super) fn other_kind(&mut self, doc: DocId) -> Result<Option<String>, Failure> {
        self.with_document(doc, |_, matter| {
            Some(matter.kind()).filter(|kind| *kind != KIND).map(str::to_owned)
        })
    }

    /// The ticket that an id, an unambiguous prefix of one, or a ticket number names.
    fn find(&mut self, given: &str) -> Result<DocId, Failure> {
        let doc = self.document_named(given)?;
        match self.other_kind(doc)? {
            Some(kind) => Err(not_a_ticket(doc, &kind)),
            None => Ok(doc),
        }
    }

    /// The same for a document of any kind, and one that is not opened any more.
    fn document_named(&mut self, given: &str) -> Result<DocId, Failure> {
        let given = given.trim();
        if let Ok(number) = given.parse::<crate::ticket::number::TicketNumber>() {
            return match projection::numbered(self.store.connection(), &number.to_string())?.as_slice() {
                [] => Err(Failure::new(FailureKind::Absent, format!("no ticket {number} is here"))
                    .hint("another city's ticket is only here when this site is in its audience")),
                [doc] => Ok(*doc),
                many => Err(Failure::new(
                    FailureKind::NeedsPerson,
                    format!(
                        "{} tickets bear the number {number}: a clone of a node gave it again",
                        many.len()
                    ),
                )
                .hint(format!(
                    "use an id: {}",
                    many.iter().map(DocId::short).collect::<Vec<_>>().join(", ")
                ))),
            };
        }
        if given.len() == 64
            && let Ok(doc) = given.parse()
        {
            return Ok(doc);
        }
        let usage = |why: &str| {
            Failure::new(
                FailureKind::Usage,
                format!("`{}` {why}", given.chars().take(64).collect::<String>()),
            )
        };
        if given.len() < 4 || given.len() > 64 || !given.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(usage("is neither a ticket number nor (a prefix of at least four digits of) an id"));
        }
        let even = &given[..given.len() / 2 * 2];
        let prefix: Vec<u8> =
            (0..even.len()).step_by(2).filter_map(|i| u8::from_str_radix(&even[i..i + 2], 16).ok()).collect();
        let found = self.store.documents_with_prefix(&prefix)?;
        match found
            .into_iter()
            .filter(|d| d.to_string().starts_with(&given.to_ascii_lowercase()))
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => Err(Failure::new(FailureKind::Absent, format!("no ticket {given} is here"))),
            [doc] => Ok(*doc),
            _ => Err(usage("begins more than one id").hint("give more digits")),
        }
    }

    fn read_serials(&mut self) -> Result<(), Failure> {
        // In the database: whatever numbers this node gave, read from its own tickets' projection.
        let own = self.me().site().code();
        let prefix = format!("JT{own:06}");
        let numbers = projection::highest_numbers(self.store.connection(), &prefix)?;
        let beside: Vec<String> = match std::fs::read(self.dir.join(SERIALS)) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        for number in numbers.iter().chain(&beside) {
            if let Ok(number) = number.parse() {
                self.series.used(number);
            }
        }
        Ok(())
    }

    /// Writes the last days' serials beside the database. It may be lost with the power, and then the database has
    /// them; it is read when the database is the one that went back in time.
    fn keep_serials(&self) {
        let mut highest: Vec<_> = self.series.highest().collect();
        highest.sort_by_key(|(_, day, _)| std::cmp::Reverse(*day));
        highest.truncate(62);
        let site = self.me().site();
        let numbers: Vec<String> = highest
            .into_iter()
            .filter_map(|(block, day, serial)| {
                crate::ticket::number::TicketNumber::new(site, day, block, serial).ok()
            })
            .map(|n| n.to_string())
            .collect();
        let path = self.dir.join(SERIALS);
        let beside = path.with_extension("json~");
        let written = std::fs::write(&beside, serde_json::to_vec(&numbers).unwrap_or_default())
            .and_then(|()| std::fs::rename(&beside, &path));
        if let Err(e) = written {
            tracing::warn!(error = %e, "the ticket serials could not be kept beside the database");
        }
    }

    fn admit(&mut self, kind: &str, hex: &str) -> Reply {
        let kind = match kind {
            "record" => Kind::RECORD,
            "revocation" => Kind::REVOCATION,
            _ => {
                return Err(Failure::new(
                    FailureKind::Usage,
                    "only a `record` or a `revocation` is admitted",
                ));
            }
        };
        let odd = || Failure::new(FailureKind::Usage, "the item is not given in hexadecimal");
        if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
            return Err(odd());
        }
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).map_err(|_| odd()))
            .collect::<Result<_, _>>()?;
        use sync::trust::Admission;
        match self.replica.put_directory(kind, &bytes, &mut self.store, &mut self.desk)? {
            Admission::Refused(why) => {
                Err(Failure::new(FailureKind::Failed, "it does not verify and was not admitted").because(why))
            }
            Admission::Revokes(_, nodes) => Ok(json!({ "admitted": true, "revoked": nodes })),
            Admission::Kept(node) => Ok(json!({ "admitted": true, "of": node })),
            Admission::Older(node) => Ok(
                json!({ "admitted": false, "of": node, "why": "a newer one, or this one, is here already" }),
            ),
        }
    }
}

/// Says what is wrong with a directory before SQLite does, in its words.
fn must_be_usable(dir: &Path) -> Result<(), Failure> {
    let wrong = |what: String| Failure::new(FailureKind::Configuration, what);
    match dir.join(DATABASE).try_exists() {
        Ok(true) => {}
        Ok(false) => {
            return Err(wrong(format!("{} is no data directory", dir.display()))
                .hint("make one: `hotline init --dir DIR --identity DIR`"));
        }
        Err(e) => {
            return Err(wrong(format!("{} cannot be looked into", dir.display()))
                .because(e)
                .hint("run this as the node's user: `runuser -u hotline -- hotline ...`"));
        }
    }
    let read_only = rustix::fs::statvfs(dir).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    if read_only {
        return Err(wrong(format!("{} is on a file system that is mounted read-only", dir.display()))
            .because("a node makes nothing durable there, so it does not begin")
            .hint(
                "mount it for writing; if the kernel has made it read-only, look at the disk first: `dmesg`",
            ));
    }
    Ok(())
}

/// A document that is here and is no ticket: an article, or of a kind that only a newer version knows.
fn not_a_ticket(doc: DocId, kind: &str) -> Failure {
    if kind == articles::KIND {
        return Failure::new(FailureKind::Failed, format!("{} is no ticket but an article", doc.short()))
            .hint("`hotline kb show ID` shows it");
    }
    let kind: String = kind.chars().take(60).collect();
    Failure::new(
        FailureKind::Failed,
        format!("{} is no ticket but of the kind `{kind}`, which this version does not know", doc.short()),
    )
    .because("it is kept and passed on as it is")
    .hint("update this program to read it")
}

/// The first character of a node's number blocks: the nodes that share a division code have different ones.
fn own_character(node: NodeName) -> u8 {
    let text = node.to_string();
    let replica = match text.rsplit_once('-').map(|(_, last)| last.as_bytes()) {
        Some([letter @ b'b'..=b'z']) => letter - b'a',
        _ => 0,
    };
    let office = node.site().to_string().split_once('-').and_then(|(_, n)| n.parse::<u8>().ok()).unwrap_or(0);
    (office.wrapping_mul(4)).wrapping_add(replica) % 31
}

fn text(value: impl std::fmt::Display) -> Value {
    Value::from(value.to_string())
}
