//! Lanes as streams, both ways, with bounds.
//!
//! ```text
//! stream := lane (1 byte) [control: incarnation (8 bytes)] frame*        frame := length (4 bytes, big-endian) bytes
//! ```
//!
//! The control lane's stream is each side's first; its head is the greeting.
//!
//! What a peer can make us hold: out, [`MAX_WAITING`] bytes of frames before QUIC's own window; in, [`INBOX`] bytes of
//! frames that were read and not yet taken, beyond QUIC's window. A peer that does not read what it is sent loses its
//! link; one that sends faster than it is served waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certs::NodeName;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::budget::Bucket;
use super::transport::MAX_STREAMS;
use super::{Driver, LinkEvent, lock};
use crate::id::Incarnation;
use crate::wire::{Lane, MAX_FRAME};

/// Bytes of frames that may wait for QUIC to take them. The core has at most 4 MiB of batches on their way to a peer.
pub(super) const MAX_WAITING: usize = 8 << 20;

/// What a frame that waits costs beside its bytes.
const OVERHEAD: usize = 64;

/// Bytes of frames from one link that may wait for the engine: one of the longest on every lane, so that a frame that
/// comes in slowly on one lane never stops another.
const INBOX: usize = Lane::ALL.len() * MAX_FRAME;

/// How long a connection may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// Bytes that are written at once where a rate holds: a more urgent lane waits for no more than these.
const SLICE: usize = 8 << 10;

/// Room in a link's inbox; given back when dropped.
#[derive(Debug)]
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The sending half of a link's lanes.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    queues: BTreeMap<Lane, mpsc::UnboundedSender<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
}

/// What the tasks that write need.
pub(super) struct Outlets {
    queues: BTreeMap<Lane, mpsc::UnboundedReceiver<Vec<u8>>>,
    waiting: Arc<AtomicUsize>,
}

impl Lanes {
    /// Empty lanes.
    pub(super) fn new() -> (Lanes, Outlets) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut lanes = Lanes { queues: BTreeMap::new(), waiting: waiting.clone() };
        let mut outlets = Outlets { queues: BTreeMap::new(), waiting };
        for lane in Lane::ALL {
            let (queue, outlet) = mpsc::unbounded_channel();
            lanes.queues.insert(lane, queue);
            outlets.queues.insert(lane, outlet);
        }
        (lanes, outlets)
    }

    /// Queues a frame; `false` when too much waits already.
    pub(super) fn put(&self, lane: Lane, frame: Vec<u8>) -> bool {
        let cost = frame.len() + OVERHEAD;
        if self.waiting.fetch_add(cost, Ordering::Relaxed) + cost > MAX_WAITING {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
            return false;
        }
        if let Some(queue) = self.queues.get(&lane) {
            let _ = queue.send(frame); // the link is ending
        }
        true
    }
}

impl Outlets {
    /// Writes every lane until the connection ends. `control` is the lane that has greeted already.
    pub(super) async fn write(
        mut self,
        connection: Connection,
        control: SendStream,
        feed: Option<Arc<Bucket>>,
    ) {
        let mut control = Some(control);
        for lane in Lane::ALL {
            let Some(queue) = self.queues.remove(&lane) else { continue };
            let stream = match control.take() {
                Some(stream) => stream,
                None => match open(&connection, lane, &[]).await {
                    Some(stream) => stream,
                    None => return,
                },
            };
            let bucket = if lane == Lane::Control { None } else { feed.clone() };
            tokio::spawn(write_lane(stream, queue, self.waiting.clone(), bucket));
        }
    }
}

async fn open(connection: &Connection, lane: Lane, head: &[u8]) -> Option<SendStream> {
    let mut stream = connection.open_uni().await.ok()?;
    let _ = stream.set_priority(-i32::from(lane.number()));
    stream.write_all(&[&[lane.number()], head].concat()).await.ok()?;
    Some(stream)
}

/// Opens the control lane and says who speaks.
pub(super) async fn greet(connection: &Connection, incarnation: Incarnation) -> Option<SendStream> {
    open(connection, Lane::Control, incarnation.as_bytes()).await
}

/// Waits for the peer's greeting; `None` when none comes.
pub(super) async fn greeting(connection: &Connection) -> Option<(RecvStream, Incarnation)> {
    let read = async {
        let mut stream = connection.accept_uni().await.ok()?;
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let (lane, incarnation) = head.split_first_chunk::<1>()?;
        let incarnation = Incarnation::from_bytes(*incarnation.first_chunk()?);
        (lane[0] == Lane::Control.number()).then_some((stream, incarnation))
    };
    tokio::time::timeout(GREETING, read).await.ok().flatten()
}

async fn write_lane(
    mut stream: SendStream,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    bucket: Option<Arc<Bucket>>,
) {
    while let Some(frame) = queue.recv().await {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut sent = stream.write_all(&length).await;
        let slices = if bucket.is_none() { frame.len() } else { SLICE };
        for slice in frame.chunks(slices.max(1)) {
            if let Some(bucket) = &bucket {
                bucket.take(slice.len()).await;
            }
            if sent.is_ok() {
                sent = stream.write_all(slice).await;
            }
        }
        waiting.fetch_sub(frame.len() + OVERHEAD, Ordering::Relaxed);
        if sent.is_err() {
            return;
        }
    }
    let _ = stream.finish();
}

/// What a link reads with.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) driver: Driver,
    pub(super) connection: Connection,
    pub(super) peer: NodeName,
    pub(super) link: u64,
    inbox: Arc<Semaphore>,
    /// The lanes that were opened.
    lanes: Arc<Mutex<BTreeSet<Lane>>>,
}

impl Reader {
    pub(super) fn new(driver: Driver, connection: Connection, peer: NodeName, link: u64) -> Reader {
        let inbox = Arc::new(Semaphore::new(INBOX));
        let lanes = Arc::new(Mutex::new(BTreeSet::from([Lane::Control])));
        Reader { driver, connection, peer, link, inbox, lanes }
    }

    /// Reads all that the peer sends until the connection ends. `control` has greeted already.
    pub(super) async fn read(self, control: RecvStream) {
        tokio::spawn(self.clone().read_frames(control));
        let mut streams = 1;
        while let Ok(stream) = self.connection.accept_uni().await {
            streams += 1;
            if streams > MAX_STREAMS {
                return self.blame(format!("opened more than {MAX_STREAMS} streams")).await;
            }
            tokio::spawn(self.clone().read_lane(stream));
        }
    }

    async fn read_lane(self, mut stream: RecvStream) {
        let mut number = [0];
        if stream.read_exact(&mut number).await.is_err() {
            return;
        }
        let Some(lane) = Lane::numbered(number[0]) else {
            let _ = stream.stop(VarInt::from_u32(0)); // a newer version's: it is told that nobody listens
            return;
        };
        if !lock(&self.lanes).insert(lane) {
            return self.blame(format!("opened a second {lane:?} lane")).await;
        }
        self.read_frames(stream).await;
    }

    async fn read_frames(self, mut stream: RecvStream) {
        loop {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).await.is_err() {
                return;
            }
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 || length > MAX_FRAME {
                return self
                    .blame(format!("sent a frame of {length} bytes; 1 to {MAX_FRAME} are allowed"))
                    .await;
            }
            let room = u32::try_from(length).unwrap_or(u32::MAX);
            let Ok(permit) = self.inbox.clone().acquire_many_owned(room).await else { return };
            let mut bytes = vec![0; length];
            if stream.read_exact(&mut bytes).await.is_err() {
                return;
            }
            let room = Room { _permit: Some(permit) };
            self.driver.tell(LinkEvent::Frame { peer: self.peer, link: self.link, bytes, room }).await;
        }
    }

    async fn blame(&self, what: String) {
        self.driver.misbehaved(self.peer, self.link, &what);
    }
}
