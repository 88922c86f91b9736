//! A running node: the engine on its own thread, its links, its local socket, its health page.
//!
//! ```text
//! socket ──request──┐                                  ┌── reply
//!          │        ├─> queue ─> engine thread: begin, all that waits, commit ─┤
//! links ───│event───┘                                  └── frames to links
//!          └─ lists, search ─> readers: what is committed ─> reply
//! ```
//!
//! Whatever waits when a transaction begins is committed together; nothing is answered or sent before the commit. So
//! readers show whoever asks all that he was told is saved.

mod clients;
mod expiry;
mod health;
mod news;
mod readers;
pub mod watchdog;
mod writer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certs::NodeName;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use sync::quic::{Config, Congestion, Driver, LinkEvent};
use tokio::sync::{mpsc, oneshot};

use crate::bundles::BundleRequest;
use crate::desk::{Desk, DeskOptions};
use crate::engine::{Engine, Options};
use crate::files::FileLimits;
use crate::hooks::{Counts, Hooks};
use crate::public::{Door, PublicOptions};
use crate::request::{Failure, FailureKind, Reply, Request};
use crate::sip::{Sip, SipOptions};
use crate::sms::{Sms, SmsOptions};
use news::News;
pub use news::{Changes, Coming};
use readers::Readers;

/// The name of the local socket in a data directory.
pub const SOCKET: &str = "hotline.sock";

/// How a node runs.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Its data directory.
    pub dir: PathBuf,
    /// Where it listens for links (UDP).
    pub listen: SocketAddr,
    /// Its peers and their addresses.
    pub peers: BTreeMap<NodeName, Vec<SocketAddr>>,
    /// Where health and metrics are served, on loopback; nowhere if `None`.
    pub http: Option<SocketAddr>,
    /// How links spend bandwidth.
    pub congestion: Congestion,
    /// What files may cost.
    pub files: FileLimits,
    /// Where agents work in their browsers, if anywhere.
    pub desk: DeskOptions,
    /// Where citizens come in with their browsers, if anywhere.
    pub public: PublicOptions,
    /// Where short messages come in and go out, if anywhere.
    pub sms: SmsOptions,
    /// Where the telephone system rings the node, if anywhere.
    pub sip: SipOptions,
    /// After how many days callers' data of ended tickets is erased; never if `None`.
    pub retention: Option<u32>,
}

/// Something for the engine thread.
enum Work {
    Ask(Box<Request>, oneshot::Sender<Reply>),
    Link(LinkEvent),
    Hold(NodeName, bool),
    /// Answered at the end of a transaction: the engine's thread lives.
    Pulse(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

impl Work {
    /// About how many bytes it makes a transaction write.
    fn bytes(&self) -> usize {
        match self {
            Work::Link(LinkEvent::Frame { bytes, .. }) => bytes.len(),
            Work::Ask(request, _) => match request.as_ref() {
                Request::New { tickets, .. } => tickets.len() * 1_024,
                Request::Bundle(BundleRequest::Take { page, .. }) => page.len() / 2,
                _ => 1_024,
            },
            _ => 0,
        }
    }
}

/// A handle on a running node.
#[derive(Clone)]
pub struct Node {
    me: NodeName,
    work: mpsc::Sender<Work>,
    readers: Arc<Readers>,
    driver: Driver,
    socket: PathBuf,
    news: Arc<News>,
    desk: Option<Arc<Desk>>,
    door: Option<Arc<Door>>,
    sms: Option<Arc<Sms>>,
    sip: Option<Arc<Sip>>,
    hooks: Option<Arc<Hooks>>,
    /// What became of what hooks were told.
    told: Arc<Counts>,
}

/// The time that links are judged by: the own clock, and never before the newest time that an authority has signed
/// or a person has confirmed.
#[derive(Debug, Default)]
struct LinkTime {
    floor: AtomicU64,
}

impl LinkTime {
    fn rise(&self, floor: certs::UnixTime) {
        self.floor.store(floor.secs(), Ordering::Relaxed);
    }
}

impl TimeProvider for LinkTime {
    fn current_time(&self) -> Option<UnixTime> {
        let own = Duration::from_millis(now_ms());
        let floor = Duration::from_secs(self.floor.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(own.max(floor)))
    }
}

/// Milliseconds since 1970 by the own clock.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

impl Node {
    /// Opens the directory and begins to work. Must be called within a tokio runtime.
    pub async fn start(options: RunOptions) -> Result<Node, Failure> {
        let drawn = Options::drawn()?;
        let mut engine = Engine::open(&options.dir, &drawn)?;
        engine.set_file_limits(options.files);
        engine.set_retention(options.retention);
        engine.begin(now_ms())?;
        for peer in options.peers.keys() {
            engine.add_peer(*peer)?;
        }
        engine.commit()?;
        let (me, tables) = (engine.me(), engine.in_force().clone());
        let time = Arc::new(LinkTime::default());
        time.rise(engine.clock_floor());
        let (driver, mut links) = Driver::start(Config {
            identity: engine.identity().clone(),
            incarnation: engine.replica().incarnation(),
            trust: engine.trust(),
            listen: options.listen,
            peers: options.peers.clone(),
            time: time.clone(),
            congestion: options.congestion,
            seed: u64::from(drawn.seed[0]) << 8 | u64::from(drawn.seed[1]),
        })
        .map_err(|e| Failure::new(FailureKind::Configuration, e))?;
        let readers = Arc::new(Readers::of(&engine)?);
        let (work, queue) = mpsc::channel(1024);
        let news = Arc::new(News::default());
        writer::spawn(engine, driver.clone(), time, queue, news.clone())?;
        let socket = options.dir.join(SOCKET);
        let mut node = Node {
            me,
            work: work.clone(),
            readers,
            driver,
            socket,
            news,
            desk: None,
            door: None,
            sms: None,
            sip: None,
            hooks: None,
            told: Arc::default(),
        };
        clients::serve(&node.socket, node.clone())?;
        if options.desk.listen.is_some() {
            node.desk =
                Some(Arc::new(Desk::start(&options.desk, &options.dir, node.clone(), tables.clone()).await?));
        }
        if options.public.listen.is_some() {
            let door = Door::start(&options.public, &options.dir, node.clone(), tables.clone());
            node.door = Some(Arc::new(door.await?));
        }
        if options.sms.listen.is_some() {
            let sms = Sms::start(&options.sms, &options.dir, node.clone(), tables);
            node.sms = Some(Arc::new(sms.await?));
        }
        if options.sip.listen.is_some() {
            let desk = node.desk.clone().ok_or_else(|| {
                Failure::new(FailureKind::Configuration, "sip.listen needs desk.listen: forms open there")
            })?;
            node.sip = Some(Arc::new(Sip::start(&options.sip, &options.dir, desk).await?));
        }
        if let Some(address) = options.http {
            health::serve(address, node.clone()).await?; // behind what it counts
        }
        node.hooks = Some(Arc::new(Hooks::start(&options.dir, node.clone(), node.told.clone())));
        tokio::spawn(async move {
            while let Some(event) = links.recv().await {
                if work.send(Work::Link(event)).await.is_err() {
                    break;
                }
            }
        });
        Ok(node)
    }

    /// This node.
    pub fn name(&self) -> NodeName {
        self.me
    }

    /// Asks the engine; the reply comes after its commit. What the projections alone tell a reader answers.
    pub async fn ask(&self, request: Request) -> Reply {
        let request = match self.readers.ask(request).await {
            Ok(reply) => return reply,
            Err(request) => request,
        };
        let (answer, reply) = oneshot::channel();
        let stopping = || Failure::new(FailureKind::Unreachable, "the node is stopping");
        self.work.send(Work::Ask(Box::new(request), answer)).await.map_err(|_| stopping())?;
        reply.await.map_err(|_| stopping())?
    }

    /// Hears of what every commit changed from now on.
    pub fn changes(&self) -> Coming {
        self.news.watch()
    }

    /// How many commits that changed something were told so far.
    pub fn changes_told(&self) -> u64 {
        self.news.count()
    }

    /// Hears of what every commit changes from now on, and of what changed since so many were told; `None` when that is not
    /// known any more.
    pub fn changes_since(&self, told: u64) -> (Coming, Option<Vec<Arc<Changes>>>) {
        self.news.watch_since(told)
    }

    /// Holds a link down, or lets it come up again.
    pub async fn hold(&self, peer: NodeName, down: bool) {
        let _ = self.work.send(Work::Hold(peer, down)).await;
    }

    /// Says goodbye to the peers, finishes what was begun and closes the database.
    pub async fn stop(self) {
        if let Some(sip) = &self.sip {
            sip.stop().await; // it tells the desk
        }
        if let Some(desk) = &self.desk {
            desk.stop().await;
        }
        if let Some(door) = &self.door {
            door.stop().await;
        }
        if let Some(sms) = &self.sms {
            sms.stop().await;
        }
        if let Some(hooks) = &self.hooks {
            hooks.stop().await;
        }
        self.driver.shutdown().await;
        self.readers.close().await;
        let (done, wait) = oneshot::channel();
        if self.work.send(Work::Stop(done)).await.is_ok() {
            let _ = wait.await;
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Whether a node answers on this directory's socket.
pub fn is_running(dir: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(dir.join(SOCKET)).is_ok()
}

/// Asks the node that runs on this directory; `None` when none does.
pub fn ask_running(dir: &Path, request: &Request) -> Option<Reply> {
    clients::ask(&dir.join(SOCKET), request)
}
