//! The public door: pages on which citizens file requests and look up how they stand, without a login.
//!
//! ```text
//! citizen ──> proxy ──> listen ──> guard: whose address, how fast, how many at once ──> page
//!                                                                       │ file:  Request::New, once for each form
//!                                                                       ├ query: number and code, then Request::Told
//!                                                                       ├ add:   the same, then a note, and files
//!                                                                       └ articles, figures: what is published
//! ```
//!
//! It has a listener and a router of its own, so no page of the desk is reachable through it, and it asks the node for these
//! things only. There is no session and no cookie. What a citizen types goes into the ticket and nowhere else: no
//! address, name, number or word of it reaches a log, and addresses are kept in memory to slow down who asks too fast.
//!
//! *Never*: a page shows a caller, a note, or another's words; it tells whether a number exists to whom has not its code.

mod add;
mod articles;
mod disclosure;
mod file;
mod filing;
mod form;
mod from;
mod guard;
mod open311;
mod options;
mod pace;
mod pages;
mod query;
mod shell;
mod slip;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use certs::NodeName;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinHandle;

pub use options::{MOST_PER_HOUR, PublicOptions, proxies};
pub(crate) use query::stage_in_words;

use crate::daemon::Node;
use crate::desk::{DeskOptions, Keeper, serve};
use crate::reference::{InForce, Reference};
use crate::request::{Failure, FailureKind};
use crate::ticket::code::QuerySecret;
use crate::users::Users;

/// Most requests that are worked on at once: the desk and the links have to go on whatever comes in here.
const AT_ONCE: usize = 64;

/// Most that send files at once: each file is in memory while it comes.
const UPLOADS: usize = 3;

/// Most files that go out at once: each is in memory until it is gone.
const DOWNLOADS: usize = 4;

/// What every page reaches.
struct App {
    node: Node,
    me: NodeName,
    users: Arc<Users>,
    tables: InForce,
    secret: QuerySecret,
    slips: slip::Slips,
    pace: pace::Pace,
    published: disclosure::Published,
    room: Semaphore,
    /// Files that come in at the same time.
    uploads: Arc<Semaphore>,
    /// Files that go out at the same time.
    downloads: Arc<Semaphore>,
    /// One form at a time: a double click waits for the first, and the hour's count is exact.
    filing: Mutex<()>,
    secure: bool,
    proxies: Vec<IpAddr>,
    per_hour: u32,
    figures: bool,
}

impl App {
    /// The tables that are in force now.
    fn reference(&self) -> Arc<Reference> {
        self.tables.now()
    }
}

/// A door that is open.
pub struct Door {
    stop: watch::Sender<bool>,
    served: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// Begins to serve, with the tables that the node works with. Must be called within a tokio runtime.
    pub async fn start(
        options: &PublicOptions,
        dir: &Path,
        node: Node,
        tables: InForce,
    ) -> Result<Door, Failure> {
        let Some(address) = options.listen else {
            return Err(Failure::new(
                FailureKind::Configuration,
                "the public page has no address: public.listen",
            ));
        };
        let users = Arc::new(Users::open(dir)?);
        let secret = users.query_secret()?;
        let keeper = match options.is_secure() {
            true => {
                let own = DeskOptions {
                    certificate: options.certificate.clone(),
                    key: options.key.clone(),
                    ..DeskOptions::default()
                };
                Some(Keeper::open(&own, dir, node.name())?)
            }
            false => None,
        };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| {
            Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (TCP)"))
                .because(e)
                .hint("public.listen is an address of its own: not the desk's, and no other program's")
        })?;
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App {
            me: node.name(),
            node,
            users,
            tables,
            slips: slip::Slips::new(&secret),
            secret,
            pace: pace::Pace::default(),
            published: disclosure::Published::default(),
            room: Semaphore::new(AT_ONCE),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            filing: Mutex::new(()),
            secure: keeper.is_some(),
            proxies: options.proxies.clone(),
            per_hour: options.per_hour,
            figures: options.figures,
        });
        let router = pages::router(app, options);
        let served = tokio::spawn(serve(listener, keeper, router, stopping));
        tracing::info!(%address, https = options.is_secure(), "the public page is served");
        Ok(Door { stop, served: Mutex::new(Some(served)) })
    }

    /// Takes nobody in any more, answers what was asked, and ends.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        if let Some(served) = self.served.lock().await.take() {
            let _ = served.await;
        }
    }
}

impl App {
    /// Works on the desk's database away from the threads that serve: the disk may take its time.
    async fn on_users<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Users) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        self.users.away(work).await
    }
}
