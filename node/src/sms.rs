//! Short messages, through a gateway that speaks Kannel's HTTP: a complaint comes in, its number and its result go out.
//!
//! ```text
//! gateway ──> listen: kept (fsync), 200 ──> clerk: ticket, note, query ──> outbox ──> sender ──> gateway
//! log of changes ──────────────────────────> clerk: answers ─────────────────┘            reports ──> listen
//! ```
//!
//! All that waits lies in desk.db, and every step is written down before the next begins: what came in counts once however
//! often the gateway brings it, and what is told has a name that is taken once. A ticket is made once also when the node is
//! killed in the middle; a message may be sent twice when the line to the gateway breaks in the middle and no report of it
//! comes (see `sender`).
//!
//! *Never*: a phone or a text in a log, a metric or an error; either in desk.db for longer than it waits.

mod clerk;
mod gateway;
mod keys;
mod listen;
mod meaning;
mod message;
mod options;
mod sender;
mod words;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;

pub use options::{MOST_MINUTES, MOST_PER_HOUR, SmsOptions, send, word};

use crate::daemon::Node;
use crate::desk::serve;
use crate::reference::{InForce, Reference};
use crate::request::{Failure, FailureKind};
use crate::ticket::code::QuerySecret;
use crate::users::{SmsCounts, Users};
use gateway::Gateway;
use keys::Keys;

/// What every part reaches.
struct App {
    node: Node,
    users: Arc<Users>,
    tables: InForce,
    secret: QuerySecret,
    keys: Keys,
    options: SmsOptions,
    listen: SocketAddr,
    /// A message came in.
    came: Notify,
    /// There may be something to send.
    to_send: Notify,
    /// Messages of services and names since the start.
    passed_over: AtomicU64,
}

impl App {
    /// The tables that are in force now.
    fn reference(&self) -> Arc<Reference> {
        self.tables.now()
    }
}

/// Short messages of a node that runs.
pub struct Sms {
    app: Arc<App>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The URL that the gateway brings messages to, as Kannel's `get-url`: it holds a key of this node.
pub fn get_url(users: &Users, listen: SocketAddr) -> Result<String, Failure> {
    let keys = Keys::of(&users.query_secret()?);
    Ok(format!(
        "http://{listen}{}?key={}&from=%p&to=%P&id=%I&time=%t&coding=%c&charset=%C&text=%b",
        listen::IN,
        keys.door()
    ))
}

impl Sms {
    /// Begins to take in and to send. Must be called within a tokio runtime.
    pub async fn start(
        options: &SmsOptions,
        dir: &Path,
        node: Node,
        tables: InForce,
    ) -> Result<Sms, Failure> {
        let Some(address) = options.listen else {
            return Err(Failure::new(
                FailureKind::Configuration,
                "short messages have no address: sms.listen",
            ));
        };
        let gateway = match (&options.send, &options.password) {
            (Some(url), Some(password)) => {
                Some(Gateway::new(url, &options.user, password.clone(), &options.from)?)
            }
            _ => None,
        };
        let users = Arc::new(Users::open(dir)?);
        let secret = users.query_secret()?;
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| {
            Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (TCP)"))
                .because(e)
                .hint("sms.listen is an address of its own: not the desk's, and no other program's")
        })?;
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App {
            node,
            users,
            tables,
            keys: Keys::of(&secret),
            secret,
            options: options.clone(),
            listen: address,
            came: Notify::new(),
            to_send: Notify::new(),
            passed_over: AtomicU64::new(0),
        });
        let mut tasks = vec![tokio::spawn(clerk::run(app.clone()))];
        if let Some(gateway) = gateway {
            tasks.push(tokio::spawn(sender::run(app.clone(), gateway)));
        }
        tasks.push(tokio::spawn(serve(listener, None, listen::router(app.clone()), stopping)));
        tracing::info!(%address, sends = tasks.len() > 2, "short messages are served");
        Ok(Sms { app, stop, tasks: Mutex::new(tasks) })
    }

    /// Answers what the gateway has asked, and ends. What was under way goes on at the next start.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        let mut tasks = self.tasks.lock().await;
        if let Some(served) = tasks.pop() {
            let _ = served.await;
        }
        for task in tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }

    /// How all messages stand, and how many of services and names were passed over since the start.
    pub async fn counts(&self) -> Result<(SmsCounts, u64), Failure> {
        let counts = self.app.on_users(|users| users.sms_counts()).await?;
        Ok((counts, self.app.passed_over.load(Ordering::Relaxed)))
    }
}

impl App {
    /// Where reports of a message come.
    fn report_url(&self, id: i64) -> String {
        format!("http://{}{}?row={id}&key={}&type=%d", self.listen, listen::REPORT, self.keys.report(id))
    }

    /// Works on the desk's database away from the threads that serve: the disk may take its time.
    async fn on_users<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Users) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        self.users.away(work).await
    }
}
