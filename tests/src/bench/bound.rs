//! Lower bounds, measured in the same run: the same changes through zstd, bare links and bare SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certs::{Identity, Trust};
use rusqlite::Connection;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use sync::quic::{Config, Congestion, Driver, LinkEvent};
use sync::wire::Lane;

use super::nodes::{PROVINCE, name};

/// How many bytes go into one frame and one transaction.
const PIECE: usize = 512 << 10;

/// All changes of a directory that nobody works on, in the order of arrival.
pub fn changes(dir: &Path) -> Vec<Vec<u8>> {
    let db = Connection::open(dir.join("node.db")).expect("a database");
    let mut query = db.prepare("SELECT bytes FROM item WHERE kind = 1 ORDER BY id").expect("items");
    let rows = query.query_map([], |r| r.get(0)).expect("items");
    rows.collect::<Result<_, _>>().expect("items")
}

/// What zstd makes of all of them together, at the level that batches use.
pub fn zstd(changes: &[Vec<u8>]) -> u64 {
    zstd::bulk::compress(&changes.concat(), 3).expect("it fits into memory").len() as u64
}

#[derive(Debug)]
struct OwnClock;

impl TimeProvider for OwnClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::now())
    }
}

/// Identity and trust of one end.
pub type End = (Arc<Identity>, Trust);

/// The links' driver alone, without any node behind it.
pub struct Bare {
    drivers: [Driver; 2],
    inboxes: [tokio::sync::mpsc::Receiver<LinkEvent>; 2],
    links: [u64; 2],
}

impl Bare {
    /// Two drivers, linked. The first is the one that dials.
    pub async fn link(ends: [End; 2]) -> Bare {
        let any = "127.0.0.1:0".parse().expect("an address");
        let config = |(identity, trust): End, peers| Config {
            identity,
            incarnation: sync::id::Incarnation::from_bytes([1; 8]),
            trust,
            listen: any,
            peers,
            time: Arc::new(OwnClock),
            congestion: Congestion::Bbr,
            seed: 1,
        };
        let [a, b] = ends;
        let (b, inbox_b) = Driver::start(config(b, Default::default())).expect("a driver");
        let peers = [(name(PROVINCE), vec![b.address().expect("its address")])].into();
        let (a, inbox_a) = Driver::start(config(a, peers)).expect("a driver");
        let mut bare = Bare { drivers: [a, b], inboxes: [inbox_a, inbox_b], links: [0; 2] };
        for (inbox, up) in bare.inboxes.iter_mut().zip(&mut bare.links) {
            *up = loop {
                if let Some(LinkEvent::Connected { link, .. }) = inbox.recv().await {
                    break link;
                }
            };
        }
        bare
    }

    /// Sends the changes compressed, and inserts them into a keyed table at the other end, a transaction a frame.
    pub async fn send_and_insert(&mut self, changes: &[Vec<u8>], dir: &Path) -> Duration {
        let mut db = Connection::open(dir.join("bare.db")).expect("a database");
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;
             CREATE TABLE item(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL)",
        )
        .expect("a table");
        let mut frames = vec![Vec::new()];
        for change in changes {
            let last = frames.last_mut().expect("it begins with one");
            last.extend((change.len() as u32).to_be_bytes());
            last.extend(change);
            if last.len() > PIECE {
                frames.push(Vec::new());
            }
        }
        let began = Instant::now();
        for frame in &frames {
            let packed = zstd::bulk::compress(frame, 3).expect("it fits into memory");
            self.drivers[0].send(name(PROVINCE), self.links[0], Lane::Bulk, packed);
        }
        for _ in &frames {
            let Some(LinkEvent::Frame { bytes, .. }) = self.inboxes[1].recv().await else {
                panic!("the link ended")
            };
            let frame = zstd::bulk::decompress(&bytes, 4 << 20).expect("it was packed here");
            let transaction = db.transaction().expect("a transaction");
            let mut rest = frame.as_slice();
            while let Some((length, more)) = rest.split_first_chunk::<4>() {
                let (change, more) = more.split_at(u32::from_be_bytes(*length) as usize);
                rest = more;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO item(hash, bytes) VALUES(?1, ?2)")
                    .and_then(|mut q| q.execute(rusqlite::params![blake3::hash(change).as_bytes(), change]))
                    .expect("a row");
            }
            transaction.commit().expect("it is durable");
        }
        began.elapsed()
    }

    /// The time of one small frame there and back.
    pub async fn echo(&mut self) -> Duration {
        let began = Instant::now();
        for which in [0, 1] {
            let peer = [name(PROVINCE), name(super::nodes::CITY)][which];
            self.drivers[which].send(peer, self.links[which], Lane::Control, vec![0; 256]);
            while !matches!(self.inboxes[1 - which].recv().await, Some(LinkEvent::Frame { .. })) {}
        }
        began.elapsed()
    }

    /// Ends both.
    pub async fn end(self) {
        for driver in self.drivers {
            driver.shutdown().await;
        }
    }
}

/// What the disk itself takes: a page appended and synchronised.
pub fn fsync(dir: &Path, count: usize) -> super::report::Times {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("fsync")).expect("a file");
    let mut times = super::report::Times::default();
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&[7; 4096]).expect("a page");
        file.sync_data().expect("fsync");
        times.add(began.elapsed());
    }
    times
}
