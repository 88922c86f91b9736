//! A node with a real identity, made of the library in the test's own process, that harms what it sends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use certs::NodeName;
use node::daemon::now_ms;
use node::engine::{Engine, Options};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use sync::quic::{Config, Congestion, Driver, LinkEvent};
use sync::replica::{Effect, Input};
use sync::wire::Frame;

/// What becomes of a frame on its way to a peer: the frames that leave in its place.
pub type Harm = Box<dyn FnMut(NodeName, Frame) -> Vec<Vec<u8>> + Send>;

/// A running hostile node. It stops when dropped, and its directory can be opened by others then.
pub struct Hostile {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct OwnClock;

impl TimeProvider for OwnClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::now())
    }
}

impl Hostile {
    /// Starts it on a data directory.
    ///
    /// # Panics
    /// When the directory or the address cannot be had.
    pub fn start(dir: &Path, listen: SocketAddr, peers: &[(String, SocketAddr)], harm: Harm) -> Hostile {
        let mut engine = Engine::open(dir, &Options::drawn().expect("entropy")).expect("a data directory");
        let peers: BTreeMap<NodeName, Vec<SocketAddr>> =
            peers.iter().map(|(n, at)| (n.parse().expect("a node's name"), vec![*at])).collect();
        engine.begin(now_ms()).expect("a transaction");
        peers.keys().for_each(|peer| engine.add_peer(*peer).expect("a peer"));
        engine.commit().expect("it is durable");
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(work(engine, listen, peers, harm, &seen));
        });
        Hostile { over, thread: Some(thread) }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic is in the test's output
        }
    }
}

/// What a daemon's writer does, with the harm between the commit and the wire.
async fn work(
    mut engine: Engine,
    listen: SocketAddr,
    peers: BTreeMap<NodeName, Vec<SocketAddr>>,
    mut harm: Harm,
    over: &AtomicBool,
) {
    let (driver, mut events) = Driver::start(Config {
        identity: engine.identity().clone(),
        incarnation: engine.replica().incarnation(),
        trust: engine.trust(),
        listen,
        peers,
        time: Arc::new(OwnClock),
        congestion: Congestion::Bbr,
        seed: 1,
    })
    .expect("a driver");
    let mut links = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        let event = tokio::time::timeout(Duration::from_millis(50), events.recv()).await.ok().flatten();
        engine.begin(now_ms()).expect("a transaction");
        let input = match event {
            Some(LinkEvent::Opened { peer, link }) => {
                links.insert(peer, link);
                Some(Input::Connected(peer))
            }
            Some(LinkEvent::Frame { peer, bytes, .. }) => Some(Input::Frame { peer, bytes }),
            Some(LinkEvent::Disconnected { peer, .. }) => Some(Input::Disconnected(peer)),
            _ => None,
        };
        if let Some(input) = input {
            engine.link(input).expect("an event is taken");
        }
        engine.link(Input::Tick).expect("time passes");
        for effect in engine.commit().expect("it is durable") {
            if let Effect::Send { peer, lane, bytes } = effect {
                let frame = Frame::from_bytes(&bytes).expect("an own frame");
                let link = links.get(&peer).copied().unwrap_or_default();
                harm(peer, frame).into_iter().for_each(|bytes| driver.send(peer, link, lane, bytes));
            }
        }
    }
    driver.shutdown().await;
}
