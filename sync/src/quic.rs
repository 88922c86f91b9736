//! The thin driver: frames over QUIC. It decides nothing about documents.
//!
//! A link is one connection between two nodes. Both ends open one unidirectional stream for each [`Lane`]; the first
//! byte on a stream names its lane, then come frames, each after its length (four bytes, big-endian). The node that
//! bears the greater name dials, so that a pair never has two connections that cross.
//!
//! Mutual TLS 1.3 without resumption: certificates are checked in the handshake, and again here on every accept, on
//! every dial and whenever the trust changes; then connections that no longer pass end with the reason. In TLS 1.3 a
//! client's connect succeeds before the server has judged it, so a link counts as up only when the peer's first
//! stream is there.
//!
//! Assumptions: the runtime's clock runs; addresses are configuration and prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certs::tls::{Meetings, Refusal, client_config, peer_name, refusal, server_config, server_name};
use certs::{Identity, NodeName, Trust, UnixTime};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, ConnectionError, Endpoint, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use rustls::time_provider::TimeProvider;
use tokio::sync::{Notify, mpsc};

use crate::wire::{Lane, MAX_FRAME};

/// A connection without a sign of life ends after this long.
const IDLE: Duration = Duration::from_secs(45);
/// How often an idle connection is kept alive: three may be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// The longest wait between two dials.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How long a peer that misbehaved is left alone.
const BLAMED: Duration = Duration::from_secs(60);
/// A frame of a type that every version skips: it asks for nothing but an acknowledgement.
const PROBE: u8 = 255;
/// How long a connection may take to show a sign of life.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// How many events may wait for the engine; past them QUIC's own flow control holds the peer back.
const EVENTS: usize = 256;

/// How a link spends its bandwidth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// For long and lossy links.
    #[default]
    Bbr,
    /// For links shared with others.
    Cubic,
}

/// What a driver is started with.
pub struct Config {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Whom it trusts.
    pub trust: Trust,
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Where its peers are: several addresses are tried in turn.
    pub peers: BTreeMap<NodeName, Vec<SocketAddr>>,
    /// The time that certificates are judged by.
    pub time: Arc<dyn TimeProvider>,
    /// How links spend bandwidth.
    pub congestion: Congestion,
    /// For the jitter of redials.
    pub seed: u64,
}

/// What happens on links.
#[derive(Debug)]
pub enum LinkEvent {
    /// A link is up.
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
    },
    /// A link is down.
    Disconnected {
        /// With whom.
        peer: NodeName,
        /// Which connection.
        link: u64,
        /// Why, for the operator.
        reason: String,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The smoothed round trip in microseconds.
    pub rtt_us: u64,
    /// Bytes sent in UDP datagrams.
    pub sent: u64,
    /// Bytes received in UDP datagrams.
    pub received: u64,
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

struct Live {
    link: u64,
    connection: Connection,
    lanes: BTreeMap<u8, mpsc::UnboundedSender<Vec<u8>>>,
}

struct Shared {
    me: NodeName,
    identity: Arc<Identity>,
    trust: Mutex<Trust>,
    meetings: Meetings,
    time: Arc<dyn TimeProvider>,
    congestion: Congestion,
    endpoint: Endpoint,
    live: Mutex<BTreeMap<NodeName, Live>>,
    blamed: Mutex<BTreeMap<NodeName, tokio::time::Instant>>,
    held: Mutex<BTreeSet<NodeName>>,
    events: mpsc::Sender<LinkEvent>,
    links: AtomicU64,
    redial: Notify,
}

/// The driver.
#[derive(Clone)]
pub struct Driver(Arc<Shared>);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Urgent => 1,
        Lane::Bulk => 2,
        Lane::Files => 3,
    }
}

fn transport(congestion: Congestion) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IDLE.try_into().expect("45 s fit")));
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    transport.max_concurrent_uni_streams(VarInt::from_u32(Lane::ALL.len() as u32));
    transport.stream_receive_window(VarInt::from_u32(2 << 20));
    transport.receive_window(VarInt::from_u32(4 << 20));
    transport.send_window(8 << 20);
    match congestion {
        Congestion::Bbr => {
            transport.congestion_controller_factory(Arc::new(quinn::congestion::BbrConfig::default()))
        }
        Congestion::Cubic => {
            transport.congestion_controller_factory(Arc::new(quinn::congestion::CubicConfig::default()))
        }
    };
    Arc::new(transport)
}

fn configs(
    shared: (&Identity, &Trust, &Meetings, Arc<dyn TimeProvider>, Congestion),
) -> Result<(quinn::ServerConfig, quinn::ClientConfig), DriverError> {
    let (identity, trust, meetings, time, congestion) = shared;
    let tls = |e: String| DriverError::Tls(e);
    let server = server_config(identity, trust, meetings, time.clone()).map_err(|e| tls(e.to_string()))?;
    let client = client_config(identity, trust, meetings, time).map_err(|e| tls(e.to_string()))?;
    let server = QuicServerConfig::try_from(server).map_err(|e| tls(e.to_string()))?;
    let client = QuicClientConfig::try_from(client).map_err(|e| tls(e.to_string()))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(transport(congestion));
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    client.transport_config(transport(congestion));
    Ok((server, client))
}

impl Driver {
    /// Listens and begins to dial. Must be called within a tokio runtime.
    pub fn start(config: Config) -> Result<(Driver, mpsc::Receiver<LinkEvent>), DriverError> {
        let meetings = Meetings::default();
        let parts = (&*config.identity, &config.trust, &meetings, config.time.clone(), config.congestion);
        let (server, client) = configs(parts)?;
        let mut endpoint =
            Endpoint::server(server, config.listen).map_err(|e| DriverError::Listen(config.listen, e))?;
        endpoint.set_default_client_config(client);
        let (events, inbox) = mpsc::channel(EVENTS);
        let driver = Driver(Arc::new(Shared {
            me: config.identity.node(),
            identity: config.identity,
            trust: Mutex::new(config.trust),
            meetings,
            time: config.time,
            congestion: config.congestion,
            endpoint,
            live: Mutex::new(BTreeMap::new()),
            blamed: Mutex::new(BTreeMap::new()),
            held: Mutex::new(BTreeSet::new()),
            events,
            links: AtomicU64::new(0),
            redial: Notify::new(),
        }));
        tokio::spawn(driver.clone().accept());
        for (peer, addresses) in config.peers {
            if driver.0.me > peer {
                tokio::spawn(driver.clone().dial(peer, addresses, config.seed));
            }
        }
        Ok((driver, inbox))
    }

    /// Where it listens; the port that was given if 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.endpoint.local_addr().ok()
    }

    async fn accept(self) {
        while let Some(incoming) = self.0.endpoint.accept().await {
            let driver = self.clone();
            tokio::spawn(async move {
                match incoming.await {
                    Ok(connection) => driver.serve(connection, None).await,
                    Err(e) => driver.refused(None, &e).await,
                }
            });
        }
    }

    async fn dial(self, peer: NodeName, addresses: Vec<SocketAddr>, seed: u64) {
        let mut wait = Duration::ZERO;
        for attempt in 0u64.. {
            let until = lock(&self.0.blamed).get(&peer).copied();
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.0.redial.notified() => {}
            }
            if self.0.endpoint.open_connections() == usize::MAX || self.0.events.is_closed() {
                return;
            }
            if lock(&self.0.held).contains(&peer) {
                wait = Duration::from_millis(250);
                continue;
            }
            let address = addresses[attempt as usize % addresses.len().max(1)];
            let began = tokio::time::Instant::now();
            match self.0.endpoint.connect(address, &server_name(peer).to_str()) {
                Ok(connecting) => match connecting.await {
                    Ok(connection) => self.serve(connection, Some(peer)).await,
                    Err(e) => self.refused(Some(peer), &e).await,
                },
                Err(e) => self.tell(LinkEvent::Refused { peer: Some(peer), reason: e.to_string() }).await,
            }
            // A link that held is redialled at once, with a little jitter; otherwise ever more slowly.
            let jitter = blake3::hash(&[seed.to_be_bytes(), attempt.to_be_bytes()].concat()).as_bytes()[0];
            let jitter = Duration::from_millis(u64::from(jitter) * 4);
            wait = if began.elapsed() > IDLE {
                jitter
            } else {
                (wait * 2).clamp(Duration::from_millis(250), MAX_BACKOFF) + jitter
            };
        }
    }

    async fn tell(&self, event: LinkEvent) {
        // Nobody listens any more only while shutting down.
        let _ = self.0.events.send(event).await;
    }

    async fn refused(&self, peer: Option<NodeName>, error: &ConnectionError) {
        if let Some(reason) = refusal_of(error) {
            self.tell(LinkEvent::Refused { peer, reason }).await;
        }
    }

    /// Checks who is there and carries frames until the connection ends.
    async fn serve(&self, connection: Connection, dialled: Option<NodeName>) {
        let peer = match self.check(&connection) {
            Ok(peer) if dialled.is_none_or(|d| d == peer) => peer,
            Ok(peer) => {
                return self
                    .turn_away(connection, Some(peer), "this is not the node that was dialled".to_owned())
                    .await;
            }
            Err(reason) => return self.turn_away(connection, dialled, reason).await,
        };
        if lock(&self.0.held).contains(&peer) {
            return self
                .turn_away(connection, Some(peer), "an operator holds this link down".to_owned())
                .await;
        }
        if self.answers_still(peer).await {
            let reason = format!(
                "a connection with {peer} is up already; if that is not you, a copy of this node is running"
            );
            return self.turn_away(connection, Some(peer), reason).await;
        }
        let link = self.0.links.fetch_add(1, Ordering::Relaxed);
        let mut lanes = BTreeMap::new();
        for lane in Lane::ALL {
            let number = lane_number(lane);
            let Ok(mut stream) = connection.open_uni().await else {
                return self.ended(&connection, peer, None).await;
            };
            let _ = stream.set_priority(2 - i32::from(number));
            let (frames, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
            lanes.insert(number, frames);
            tokio::spawn(async move {
                let mut sent = stream.write_all(&[number]).await;
                while sent.is_ok() {
                    let Some(frame) = queue.recv().await else { break };
                    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes();
                    sent = stream.write_all(&length).await;
                    if sent.is_ok() {
                        sent = stream.write_all(&frame).await;
                    }
                }
                let _ = stream.finish();
            });
        }
        let Ok(first) = connection.accept_uni().await else {
            return self.ended(&connection, peer, None).await;
        };
        lock(&self.0.live).insert(peer, Live { link, connection: connection.clone(), lanes });
        self.tell(LinkEvent::Connected { peer, link }).await;
        tokio::spawn(self.clone().read(first, connection.clone(), peer, link));
        while let Ok(stream) = connection.accept_uni().await {
            tokio::spawn(self.clone().read(stream, connection.clone(), peer, link));
        }
        self.ended(&connection, peer, Some(link)).await;
    }

    /// Whether a connection with this peer is up and the peer still answers on it. After a crash the peer dials
    /// again long before its old connection is given up: that one is asked for a sign of life, and dropped when none
    /// comes.
    async fn answers_still(&self, peer: NodeName) -> bool {
        let Some((link, old)) = lock(&self.0.live).get(&peer).map(|l| (l.link, l.connection.clone())) else {
            return false;
        };
        let heard = old.stats().udp_rx.datagrams;
        self.send(peer, Lane::Control, vec![PROBE]);
        tokio::time::sleep(PROBE_WAIT.max(old.rtt() * 3)).await;
        if old.stats().udp_rx.datagrams > heard && old.close_reason().is_none() {
            return true;
        }
        old.close(VarInt::from_u32(3), b"no sign of life on this connection, and a new one is there");
        lock(&self.0.live).retain(|_, live| live.link != link);
        self.tell(LinkEvent::Disconnected { peer, link, reason: "the peer dialled anew".to_owned() }).await;
        false
    }

    async fn read(self, mut stream: quinn::RecvStream, connection: Connection, peer: NodeName, link: u64) {
        let mut lane = [0];
        if stream.read_exact(&mut lane).await.is_err() {
            return;
        }
        loop {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).await.is_err() {
                return;
            }
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 || length > MAX_FRAME {
                lock(&self.0.blamed).insert(peer, tokio::time::Instant::now() + BLAMED);
                return connection
                    .close(VarInt::from_u32(2), format!("a frame of {length} bytes").as_bytes());
            }
            let mut bytes = vec![0; length];
            if stream.read_exact(&mut bytes).await.is_err() {
                return;
            }
            self.tell(LinkEvent::Frame { peer, link, bytes }).await;
        }
    }

    async fn turn_away(&self, connection: Connection, peer: Option<NodeName>, reason: String) {
        connection.close(VarInt::from_u32(1), reason.as_bytes());
        self.tell(LinkEvent::Refused { peer, reason }).await;
    }

    async fn ended(&self, connection: &Connection, peer: NodeName, link: Option<u64>) {
        let why = connection.closed().await;
        let reason = match &why {
            ConnectionError::ApplicationClosed(close) => {
                format!(
                    "{peer} ended the link: {}",
                    String::from_utf8_lossy(&close.reason).chars().take(300).collect::<String>()
                )
            }
            ConnectionError::LocallyClosed => "this node ended the link".to_owned(),
            ConnectionError::TimedOut => "nothing was heard for 45 s".to_owned(),
            other => refusal_of(other).unwrap_or_else(|| other.to_string()),
        };
        match link {
            Some(link) => {
                lock(&self.0.live).retain(|_, live| live.link != link);
                self.tell(LinkEvent::Disconnected { peer, link, reason }).await;
            }
            None => self.tell(LinkEvent::Refused { peer: Some(peer), reason }).await,
        }
    }

    /// Who is on the other side, if it is somebody whom this node trusts now.
    fn check(&self, connection: &Connection) -> Result<NodeName, String> {
        let chain = connection
            .peer_identity()
            .and_then(|i| i.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or("the peer showed no certificate")?;
        let now = self.0.time.current_time().map_or(UnixTime::from_secs(0), UnixTime::from);
        lock(&self.0.trust)
            .check(&chain, now)
            .map_err(|e| format!("your certificate is not accepted: {e}"))?;
        peer_name(&chain).map_err(|e| e.to_string())
    }

    /// Puts a frame into a link's queue; a link that is gone takes none.
    pub fn send(&self, peer: NodeName, lane: Lane, bytes: Vec<u8>) {
        if let Some(frames) = lock(&self.0.live).get(&peer).and_then(|l| l.lanes.get(&lane_number(lane))) {
            let _ = frames.send(bytes);
        }
    }

    /// Ends a link with a reason that both operators read.
    pub fn close(&self, peer: NodeName, reason: &str, blame: bool) {
        if blame {
            lock(&self.0.blamed).insert(peer, tokio::time::Instant::now() + BLAMED);
        }
        if let Some(live) = lock(&self.0.live).get(&peer) {
            let reason: String = reason.chars().take(200).collect();
            live.connection.close(VarInt::from_u32(1), reason.as_bytes());
        }
    }

    /// Checks every live connection against new trust, and new ones from now on.
    pub fn set_trust(&self, trust: Trust) -> Result<(), DriverError> {
        let shared = &*self.0;
        let (server, client) =
            configs((&shared.identity, &trust, &shared.meetings, shared.time.clone(), shared.congestion))?;
        *lock(&shared.trust) = trust;
        shared.endpoint.set_server_config(Some(server));
        let mut endpoint = shared.endpoint.clone();
        endpoint.set_default_client_config(client);
        let live: Vec<(NodeName, Connection)> =
            lock(&shared.live).iter().map(|(n, l)| (*n, l.connection.clone())).collect();
        for (_, connection) in live {
            if let Err(reason) = self.check(&connection) {
                connection.close(VarInt::from_u32(1), reason.as_bytes());
            }
        }
        Ok(())
    }

    /// Holds the link with a peer down, or lets it come up again: for maintenance, and to show what an outage does.
    pub fn hold(&self, peer: NodeName, down: bool) {
        if down {
            lock(&self.0.held).insert(peer);
            self.close(peer, "an operator holds this link down", false);
        } else {
            lock(&self.0.held).remove(&peer);
            self.poke();
        }
    }

    /// Dials everybody again at once: the network is back.
    pub fn poke(&self) {
        self.0.redial.notify_waiters();
    }

    /// A link's traffic, while it is up.
    pub fn stats(&self, peer: NodeName) -> Option<Stats> {
        let live = lock(&self.0.live);
        let connection = &live.get(&peer)?.connection;
        let stats = connection.stats();
        Some(Stats {
            rtt_us: connection.rtt().as_micros() as u64,
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
        })
    }

    /// Says goodbye to everybody and waits until it was heard.
    pub async fn shutdown(&self) {
        self.0.endpoint.close(VarInt::from_u32(0), b"the node is stopping");
        let _ = tokio::time::timeout(Duration::from_secs(3), self.0.endpoint.wait_idle()).await;
    }
}

/// Why a connection did not come about, when it is about certificates or the other side's own words; `None` for a
/// network that does not answer.
fn refusal_of(error: &ConnectionError) -> Option<String> {
    match error {
        ConnectionError::TransportError(e) => {
            let code = u64::from(e.code);
            match u8::try_from(code.wrapping_sub(0x100)) {
                Ok(alert) => Some(Refusal::from_alert(alert).to_string()),
                Err(_) => Some(e.to_string()),
            }
        }
        ConnectionError::ConnectionClosed(close) => {
            let code = u64::from(close.error_code);
            match u8::try_from(code.wrapping_sub(0x100)) {
                Ok(alert) => Some(Refusal::from_alert(alert).to_string()),
                Err(_) => Some(close.to_string()),
            }
        }
        ConnectionError::ApplicationClosed(close) => {
            Some(String::from_utf8_lossy(&close.reason).into_owned())
        }
        ConnectionError::TimedOut | ConnectionError::Reset | ConnectionError::LocallyClosed => None,
        other => Some(other.to_string()),
    }
}

/// A TLS error as a sentence, for tools that hold one.
pub fn explain(error: &rustls::Error) -> String {
    refusal(error).to_string()
}
