//! The desk: pages that agents work in, served by the node itself over the LAN, with or without a link.
//!
//! ```text
//! browser ─TLS─> listen ─> headers ─> page: reads the form, makes a Request ─> guard ─> Node::ask
//!                                                                              │ who may: users::rights, in one place
//!                                                                              └ what was asked: users::audit, before it is done
//! ```
//!
//! Programs come the same way, with tokens: see `api`.
//!
//! It is a thin shell. Whether a person may ask is `users::rights`' answer, whether the site may act is the engine's;
//! a page shows both and decides neither. *Never*: a page asks the node but through the guard; anything is
//! requested from outside; a caller's data stands in an address, a log, or a cache.

mod acts;
mod api;
mod assets;
pub(crate) mod calls;
mod certificate;
mod download;
mod forms;
mod frame;
mod guard;
mod listen;
mod live;
mod options;
mod pages;
mod plot;
mod presence;
mod upload;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use certs::NodeName;
use tokio::sync::{Mutex, Semaphore, broadcast, watch};
use tokio::task::JoinHandle;

pub use options::{DeskOptions, names};

// What the public door is built of too.
pub(crate) use assets::{ASSETS, ICON, STYLE, named};
pub(crate) use certificate::Keeper;
pub(crate) use forms::Fields;
pub(crate) use frame::size;
pub(crate) use guard::comes_from_elsewhere;
pub(crate) use listen::{Client, serve};
pub(crate) use live::body;

use crate::daemon::{Node, now_ms};
use crate::reference::{InForce, Reference};
use crate::request::{Failure, FailureKind};
use crate::users::Users;

/// How many passwords are hashed at once: each takes 19 MiB.
const HASHED: usize = 2;

/// How many files of programs are taken in at once: each lies in memory until it is attached.
const UPLOADS: usize = 4;

/// How many events of calls a page may be behind; one that is further behind looks anew.
const CALLS_BEHIND: usize = 64;

/// How often numbers of calls that are old enough are forgotten when nothing rings.
const FORGET: Duration = Duration::from_secs(600);

/// What every page reaches.
struct App {
    node: Node,
    me: NodeName,
    /// The data directory.
    dir: std::path::PathBuf,
    users: Arc<Users>,
    tables: InForce,
    jar: guard::Jar,
    hashing: Semaphore,
    uploads: Arc<Semaphore>,
    /// One plan is computed at a time.
    planning: Arc<Semaphore>,
    /// Recordings that waited are attached one after the other.
    attaching: Mutex<()>,
    /// How fast programs ask.
    pace: api::Pace,
    /// Programs that listen for changes.
    streams: api::Streams,
    presence: presence::Presence,
    /// What pages are told of calls.
    calls: broadcast::Sender<live::Rang>,
    /// When this desk began to serve, in milliseconds since 1970: what a page has seen of another one's life says nothing.
    began: u64,
    /// Pages that listen for changes.
    listeners: AtomicUsize,
    stopping: watch::Receiver<bool>,
}

impl App {
    /// The tables that are in force now.
    fn reference(&self) -> Arc<Reference> {
        self.tables.now()
    }
}

/// A desk that is served.
pub struct Desk {
    app: Arc<App>,
    stop: watch::Sender<bool>,
    served: Mutex<Option<JoinHandle<()>>>,
}

impl Desk {
    /// Begins to serve, with the tables that the node works with. Must be called within a tokio runtime.
    pub async fn start(
        options: &DeskOptions,
        dir: &Path,
        node: Node,
        tables: InForce,
    ) -> Result<Desk, Failure> {
        let Some(address) = options.listen else {
            return Err(Failure::new(FailureKind::Configuration, "the desk has no address: desk.listen"));
        };
        let users = Arc::new(Users::open(dir)?);
        let keeper = match options.is_secure() {
            true => Some(certificate::Keeper::open(options, dir, node.name())?),
            false => None,
        };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| {
            Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (TCP)")).because(e)
        })?;
        let (stop, stopping) = watch::channel(false);
        let me = node.name();
        let app = Arc::new(App {
            me,
            dir: dir.to_owned(),
            node,
            users,
            tables,
            jar: guard::Jar { secure: keeper.is_some(), me },
            hashing: Semaphore::new(HASHED),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            planning: Arc::new(Semaphore::new(1)),
            attaching: Mutex::new(()),
            pace: api::Pace::default(),
            streams: api::Streams::default(),
            presence: presence::Presence::new(),
            calls: broadcast::channel(CALLS_BEHIND).0,
            began: now_ms(),
            listeners: AtomicUsize::new(0),
            stopping: stopping.clone(),
        });
        if app.users.list()?.is_empty() {
            tracing::warn!("nobody can sign in at the desk yet: hotline user add NAME --role administrator");
        }
        tokio::spawn(forget(app.clone(), stopping.clone()));
        let router = pages::router(app.clone());
        let served = tokio::spawn(listen::serve(listener, keeper, router, stopping));
        tracing::info!(%address, https = options.is_secure(), "the desk is served");
        Ok(Desk { app, stop, served: Mutex::new(Some(served)) })
    }

    /// Takes nobody in any more, answers what was asked, and ends.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        if let Some(served) = self.served.lock().await.take() {
            let _ = served.await;
        }
    }
}

/// Forgets what is old of calls, and attaches recordings that waited, now and then, until the desk stops.
async fn forget(app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(FORGET);
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = beat.tick() => {}
        }
        if let Err(failure) = app.on_users(|users| users.forget_calls(now_ms())).await {
            tracing::warn!(%failure, "numbers of old calls could not be forgotten; it is tried again in ten minutes");
        }
        api::attach_due(&app).await;
        api::sweep(&app).await;
    }
}
