//! The thin driver: frames over QUIC. It decides nothing about documents.
//!
//! A link is one connection between two nodes. Both ends open one unidirectional stream for each
//! [`Lane`](crate::wire::Lane), the control lane first, with a greeting at its head; then come frames. Both ends dial
//! whomever they have an address of, and a peer without one is waited for.
//!
//! ```text
//! dial ----┐                                                            streams
//!          ├─> handshake ─> certificate, membership ─> greeting ─> link <======> queues <─> engine
//! accept --┘     (gate)            (refusal)             (one of two stays)
//! ```
//!
//! The dialler's first frames go with the last flight of the handshake, before the other side has greeted: it knows by
//! then to whom it speaks. Whoever accepts says nothing before the dialler's certificate is there, although QUIC would
//! let it (0.5-RTT data): it would not know to whom, and what it has to say depends on who asks.
//!
//! ```text
//! one way   dialler                       acceptor
//!    0      hello of TLS  ------------->
//!    1                    <-------------  certificate
//!    2      certificate, greeting,
//!           first flight  ------------->
//!    3                    <-------------  greeting, first flight, answers
//! ```
//!
//! Mutual TLS 1.3 without resumption: certificates are checked in the handshake, and again here on every accept, on
//! every dial and whenever the trust changes; then connections that no longer pass end with the reason. In TLS 1.3 a
//! client's connect succeeds before the server has judged it, so a link counts as up only when the peer has greeted.
//!
//! Assumptions: the runtime's clock runs; addresses are configuration and prove nothing; a peer's address may change
//! while a link is up (QUIC follows it).

mod accept;
mod budget;
mod congestion;
mod dial;
mod link;
mod news;
mod refusal;
mod streams;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certs::tls::Meetings;
use certs::{Identity, NodeName, Trust};
use quinn::{AsyncUdpSocket, Endpoint, TokioRuntime};
use rustls::time_provider::TimeProvider;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use self::congestion::{Congestion, CongestionError};
pub use self::streams::Room;

use self::link::Live;
use self::news::{Board, News};
use self::refusal::{Complaints, End};
use crate::id::Incarnation;
use crate::wire::Lane;

/// How long a peer that misbehaved is left alone.
const BLAMED: Duration = Duration::from_secs(60);

/// How many events may wait for the engine; past them QUIC's own flow control holds the peers back.
const EVENTS: usize = 256;

/// What a driver is started with.
pub struct Config {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// This life of it: a second process under the same name is told apart by it.
    pub incarnation: Incarnation,
    /// Whom it trusts.
    pub trust: Trust,
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Where its peers are: several addresses are tried in turn, a peer without one is waited for.
    pub peers: BTreeMap<NodeName, Vec<SocketAddr>>,
    /// The time that certificates are judged by.
    pub time: Arc<dyn TimeProvider>,
    /// How links spend bandwidth.
    pub congestion: Congestion,
    /// For the jitter of redials.
    pub seed: u64,
}

/// What happens on links. Of one link: opened, frames, connected once among them, disconnected.
#[derive(Debug)]
pub enum LinkEvent {
    /// Frames may be sent. The peer is a member that this node trusts; whether it lets the link come up is not known
    /// to a dialler yet.
    Opened {
        /// With whom.
        peer: NodeName,
        /// This connection, told apart from earlier and later ones.
        link: u64,
    },
    /// A link is up: the peer has greeted.
    Connected {
        /// With whom.
        peer: NodeName,
        /// This connection, told apart from earlier and later ones.
        link: u64,
    },
    /// A frame came.
    Frame {
        /// From whom.
        peer: NodeName,
        /// On which connection.
        link: u64,
        /// The frame.
        bytes: Vec<u8>,
        /// Its room in the link's inbox: dropped when the frame was taken, so that the peer may send more.
        room: Room,
    },
    /// A link is down.
    Disconnected {
        /// With whom.
        peer: NodeName,
        /// Which connection.
        link: u64,
        /// Why, for the operator; `None` when it was never up and whatever there is to say was said otherwise.
        reason: Option<String>,
    },
    /// A connection did not come about because of who somebody is.
    Refused {
        /// With whom, if that is known.
        peer: Option<NodeName>,
        /// Why, in a sentence.
        reason: String,
    },
}

/// What is known of a link's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The smoothed round trip in microseconds.
    pub rtt_us: u64,
    /// Bytes sent in UDP datagrams.
    pub sent: u64,
    /// Bytes received in UDP datagrams.
    pub received: u64,
    /// Where the peer is now.
    pub address: SocketAddr,
}

/// The driver could not start or take new trust.
#[derive(Debug)]
pub enum DriverError {
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The own certificate makes no TLS configuration.
    Tls(String),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Listen(address, e) => {
                write!(f, "cannot listen on {address} (UDP): {e}; choose another address with --listen")
            }
            DriverError::Tls(e) => write!(f, "the own certificate cannot be used for links: {e}"),
        }
    }
}

impl std::error::Error for DriverError {}

struct Shared {
    me: NodeName,
    identity: Arc<Identity>,
    incarnation: Incarnation,
    time: Arc<dyn TimeProvider>,
    congestion: Congestion,
    endpoint: Endpoint,
    meetings: Meetings,
    trust: Mutex<Trust>,
    client: Mutex<quinn::ClientConfig>,
    live: Mutex<BTreeMap<NodeName, Live>>,
    /// Until when a peer is left alone, and why.
    blamed: Mutex<BTreeMap<NodeName, (Instant, String)>>,
    held: Mutex<BTreeSet<NodeName>>,
    /// The last round trip of every peer's links.
    rtts: Mutex<BTreeMap<NodeName, Duration>>,
    complaints: Mutex<Complaints>,
    events: mpsc::Sender<LinkEvent>,
    links: AtomicU64,
    news: Board,
}

/// The driver. A handle; clones drive the same links.
#[derive(Clone)]
pub struct Driver(Arc<Shared>);

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.0.me)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    /// Listens and begins to dial. Must be called within a tokio runtime.
    pub fn start(config: Config) -> Result<(Driver, mpsc::Receiver<LinkEvent>), DriverError> {
        let failed = |e| DriverError::Listen(config.listen, e);
        let socket = std::net::UdpSocket::bind(config.listen).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = quinn::Runtime::wrap_udp_socket(&TokioRuntime, socket).map_err(failed)?;
        Driver::over(config, socket, None)
    }

    /// The same over a socket of the caller's; with a seed also QUIC's own choices repeat.
    pub fn over(
        config: Config,
        socket: Arc<dyn AsyncUdpSocket>,
        seed: Option<[u8; 32]>,
    ) -> Result<(Driver, mpsc::Receiver<LinkEvent>), DriverError> {
        let meetings = Meetings::default();
        let (server, client) =
            transport::tls(&config.identity, &config.trust, &meetings, &config.time, config.congestion)?;
        let endpoint = Endpoint::new_with_abstract_socket(
            transport::endpoint(&config.identity, seed),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(|e| DriverError::Listen(config.listen, e))?;
        let (events, inbox) = mpsc::channel(EVENTS);
        let driver = Driver(Arc::new(Shared {
            me: config.identity.node(),
            identity: config.identity,
            incarnation: config.incarnation,
            time: config.time,
            congestion: config.congestion,
            endpoint,
            meetings,
            trust: Mutex::new(config.trust),
            client: Mutex::new(client),
            live: Mutex::default(),
            blamed: Mutex::default(),
            held: Mutex::default(),
            rtts: Mutex::default(),
            complaints: Mutex::default(),
            events,
            links: AtomicU64::new(0),
            news: Board::default(),
        }));
        tokio::spawn(driver.clone().accept());
        for (peer, addresses) in config.peers {
            if !addresses.is_empty() {
                tokio::spawn(driver.clone().dial(peer, addresses, config.seed));
            }
        }
        Ok((driver, inbox))
    }

    /// Where it listens; the port that was given if 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.endpoint.local_addr().ok()
    }

    /// Puts a frame into a link's queue; a link that is gone or was replaced takes none, and one whose peer takes
    /// nothing for too long ends.
    pub fn send(&self, peer: NodeName, link: u64, lane: Lane, bytes: Vec<u8>) {
        let live = lock(&self.0.live).get(&peer).filter(|live| live.link == link).cloned();
        if live.is_some_and(|live| !live.lanes.put(lane, bytes)) {
            let mib = streams::MAX_WAITING >> 20;
            let ours = format!("{peer} does not take what it is sent: {mib} MiB wait for it");
            let theirs = format!("you do not take what you are sent: {mib} MiB wait for you");
            self.end(peer, Some(link), End::Misbehaved, &ours, &theirs);
        }
    }

    /// Ends a link with a reason that both operators read; with `blame` the peer is left alone for a while.
    pub fn close(&self, peer: NodeName, reason: &str, blame: bool) {
        self.end(peer, None, if blame { End::Misbehaved } else { End::Refused }, reason, reason);
    }

    /// Checks every live connection against new trust, and new ones from now on.
    pub fn set_trust(&self, trust: Trust) -> Result<(), DriverError> {
        let shared = &*self.0;
        let (server, client) =
            transport::tls(&shared.identity, &trust, &shared.meetings, &shared.time, shared.congestion)?;
        *lock(&shared.trust) = trust;
        *lock(&shared.client) = client;
        shared.endpoint.set_server_config(Some(server));
        self.recheck();
        self.news(|news| news.changed += 1);
        Ok(())
    }

    /// Checks every live connection again: time has passed, and certificates end.
    pub fn recheck(&self) {
        let live: Vec<Live> = lock(&self.0.live).values().cloned().collect();
        for link in live {
            if let Err((peer, reason)) = self.check(&link.connection)
                && let Some(peer) = peer
            {
                self.end(
                    peer,
                    Some(link.link),
                    End::Refused,
                    &format!("the link was ended: {reason}"),
                    &reason,
                );
            }
        }
    }

    /// Whose certificate's dates looked fine in handshakes since the last call, and whose did not.
    pub fn meetings(&self) -> BTreeMap<NodeName, bool> {
        self.0.meetings.take()
    }

    /// Holds the link with a peer down, or lets it come up again: for maintenance, and to show what an outage does.
    pub fn hold(&self, peer: NodeName, down: bool) {
        if down {
            lock(&self.0.held).insert(peer);
            self.close(peer, "an operator holds this link down", false);
        } else {
            lock(&self.0.held).remove(&peer);
        }
        self.poke();
    }

    /// Dials everybody again at once: the network is back.
    pub fn poke(&self) {
        self.news(|news| news.changed += 1);
    }

    /// A link's traffic, while it is up.
    pub fn stats(&self, peer: NodeName) -> Option<Stats> {
        let connection = lock(&self.0.live).get(&peer)?.connection.clone();
        let stats = connection.stats();
        Some(Stats {
            rtt_us: connection.rtt().as_micros() as u64,
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
            address: connection.remote_address(),
        })
    }

    /// Says goodbye to everybody and waits until it was heard.
    pub async fn shutdown(&self) {
        self.news(|news| news.stopping = true);
        self.0.endpoint.close(End::Stopping.code(), b"the node is stopping");
        let _ = tokio::time::timeout(Duration::from_secs(3), self.0.endpoint.wait_idle()).await;
    }

    fn news(&self, change: impl FnOnce(&mut News)) {
        self.0.news.post(change);
    }

    fn blame(&self, peer: NodeName, why: &str) {
        lock(&self.0.blamed).insert(peer, (Instant::now() + BLAMED, refusal::short(why)));
    }

    async fn tell(&self, event: LinkEvent) {
        // Nobody listens any more only while shutting down.
        let _ = self.0.events.send(event).await;
    }

    /// Tells that a connection did not come about, unless the same was told a moment ago.
    async fn refused(&self, peer: Option<NodeName>, reason: &str) {
        let said = lock(&self.0.complaints).hear(Instant::now(), peer, reason);
        if let Some(reason) = said {
            self.tell(LinkEvent::Refused { peer, reason }).await;
        }
    }
}
