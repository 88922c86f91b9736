//! A bad network for real sockets: a UDP relay that delays, reorders, loses, duplicates, flips bits, throttles, cuts.
//!
//! ```text
//!              there: ─▶ cut? lost? ─▶ queue before the rate ─▶ copies ─▶ flipped? ─▶ delay + jitter ─▶ cut? ─▶
//!  clients ◀─▶ relay.addr()                                                            one socket a client ◀─▶ upstream
//!              back:  ◀─ the same, with an impairment and counters of its own ◀─
//! ```
//!
//! Needs no privilege and no kernel module. Decisions come from the seed, one stream a client and direction, in the
//! order in which packets arrive; time is the real one, so runs are alike and not equal. Neither ECN marks nor
//! addresses pass. A cut loses what is on its way, as a cable does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The most clients at once; packets of others are dropped.
const MAX_CLIENTS: usize = 1024;

/// The most bytes on their way in one direction of one client.
const MAX_FLYING: usize = 16 << 20;

/// What happens to packets in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// How long every packet takes.
    pub delay: Duration,
    /// Up to this much is added to each packet's delay, evenly drawn: more than the gap between packets reorders.
    pub jitter: Duration,
    /// The share of packets lost, 0 to 1.
    pub loss: f64,
    /// The share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// The share of packets that arrive with one bit flipped, 0 to 1.
    pub flip: f64,
    /// Bits a second through the bottleneck; none: no bottleneck.
    pub rate: Option<u64>,
    /// Bytes that may wait before the bottleneck; what exceeds them is dropped.
    pub queue: usize,
}

impl Impairment {
    /// Nothing happens.
    pub const NONE: Impairment = Impairment {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        duplicate: 0.0,
        flip: 0.0,
        rate: None,
        queue: 128 * 1024,
    };

    /// Only a delay.
    pub const fn delay(delay: Duration) -> Impairment {
        Impairment { delay, ..Impairment::NONE }
    }
}

/// A direction through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients to upstream.
    There,
    /// From upstream to clients.
    Back,
}

/// What happened so far in one direction. Every packet that came in is delivered, dropped for a named reason, or
/// still on its way; a duplicate counts as one more delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came in.
    pub packets_in: u64,
    /// Bytes of payload that came in.
    pub bytes_in: u64,
    /// Packets that went out.
    pub packets_out: u64,
    /// Bytes of payload that went out.
    pub bytes_out: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Copies that had a bit flipped.
    pub flipped: u64,
    /// Dropped before the bottleneck.
    pub overflowed: u64,
    /// Lost in a cut.
    pub cut: u64,
}

/// A running relay. It stops when dropped.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    lanes: [Arc<Lane>; 2],
    main: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay to `upstream` on a free port of the loopback of its family. Needs a tokio runtime with I/O and
    /// time.
    pub async fn start(
        upstream: SocketAddr,
        there: Impairment,
        back: Impairment,
        seed: u64,
    ) -> io::Result<Relay> {
        let listen = Arc::new(UdpSocket::bind(loopback(upstream)).await?);
        let addr = listen.local_addr()?;
        let lanes = [there, back].map(|i| Arc::new(Lane::new(i)));
        let main = tokio::spawn(serve(listen, upstream, lanes.clone(), seed));
        Ok(Relay { addr, lanes, main })
    }

    /// Where clients send to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Impairs packets of one direction that arrive from now on in another way.
    pub fn impair(&self, direction: Direction, impairment: Impairment) {
        self.lane(direction).state().impairment = impairment;
    }

    /// Cuts one direction: nothing arrives, what is on its way is lost when its time comes.
    pub fn cut(&self, direction: Direction) {
        self.lane(direction).state().cut = true;
    }

    /// Cuts both directions.
    pub fn cut_both(&self) {
        self.cut(Direction::There);
        self.cut(Direction::Back);
    }

    /// Undoes every cut.
    pub fn heal(&self) {
        for lane in &self.lanes {
            lane.state().cut = false;
        }
    }

    /// What happened so far.
    pub fn counts(&self, direction: Direction) -> Counts {
        self.lane(direction).state().counts
    }

    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::There => &self.lanes[0],
            Direction::Back => &self.lanes[1],
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.main.abort(); // every other task hangs on this one
    }
}

fn loopback(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
    }
}

/// One direction, for all clients.
#[derive(Debug)]
struct Lane(Mutex<LaneState>);

#[derive(Debug)]
struct LaneState {
    impairment: Impairment,
    cut: bool,
    counts: Counts,
}

impl Lane {
    fn new(impairment: Impairment) -> Lane {
        Lane(Mutex::new(LaneState { impairment, cut: false, counts: Counts::default() }))
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One direction of one client.
struct Pipe {
    lane: Arc<Lane>,
    flying: Mutex<Flying>,
    changed: Notify,
}

struct Flying {
    /// Due time, then order of arrival.
    packets: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    bytes: usize,
    number: u64,
    /// When the bottleneck is free again.
    free_at: Instant,
    dice: Dice,
}

impl Pipe {
    fn new(lane: Arc<Lane>, seed: u64) -> Arc<Pipe> {
        let flying = Flying {
            packets: BinaryHeap::new(),
            bytes: 0,
            number: 0,
            free_at: Instant::now(),
            dice: Dice(seed),
        };
        Arc::new(Pipe { lane, flying: Mutex::new(flying), changed: Notify::new() })
    }

    fn flying(&self) -> MutexGuard<'_, Flying> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides a packet's fate.
    fn push(&self, packet: &[u8]) {
        let now = Instant::now();
        let mut lane = self.lane.state();
        let Impairment { delay, jitter, loss, duplicate, flip, rate, queue } = lane.impairment;
        let cut = lane.cut;
        let counts = &mut lane.counts;
        let mut flying = self.flying();
        counts.packets_in += 1;
        counts.bytes_in += packet.len() as u64;
        if cut {
            counts.cut += 1;
            return;
        }
        if flying.dice.happens(loss) {
            counts.lost += 1;
            return;
        }
        let mut through = now;
        if let Some(rate) = rate {
            let begins = flying.free_at.max(now);
            let waiting = (begins - now).as_secs_f64() * rate as f64 / 8.0;
            if waiting + packet.len() as f64 > queue as f64 {
                counts.overflowed += 1;
                return;
            }
            through = begins + Duration::from_secs_f64(packet.len() as f64 * 8.0 / rate.max(1) as f64);
            flying.free_at = through;
        }
        let copies = if flying.dice.happens(duplicate) { 2 } else { 1 };
        counts.duplicated += copies - 1;
        for _ in 0..copies {
            if flying.bytes + packet.len() > MAX_FLYING {
                counts.overflowed += 1;
                continue;
            }
            let mut copy = packet.to_vec();
            if !copy.is_empty() && flying.dice.happens(flip) {
                counts.flipped += 1;
                let bit = flying.dice.below(copy.len() as u64 * 8) as usize;
                copy[bit / 8] ^= 1 << (bit % 8);
            }
            let due = through + delay + jitter.mul_f64(flying.dice.share());
            flying.number += 1;
            flying.bytes += copy.len();
            let number = flying.number;
            flying.packets.push(Reverse((due, number, copy)));
        }
        self.changed.notify_one();
    }

    /// The next packet, at its time.
    async fn next(&self) -> Vec<u8> {
        loop {
            let due = self.flying().packets.peek().map(|Reverse((due, _, _))| *due);
            match due {
                None => self.changed.notified().await,
                Some(due) if due > Instant::now() => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = self.changed.notified() => {}
                    }
                }
                Some(_) => {
                    let Some(Reverse((_, _, packet))) = self.flying().packets.pop() else { continue };
                    self.flying().bytes -= packet.len();
                    let mut lane = self.lane.state();
                    if lane.cut {
                        lane.counts.cut += 1;
                        continue;
                    }
                    lane.counts.packets_out += 1;
                    lane.counts.bytes_out += packet.len() as u64;
                    return packet;
                }
            }
        }
    }
}

async fn serve(listen: Arc<UdpSocket>, upstream: SocketAddr, lanes: [Arc<Lane>; 2], seed: u64) {
    let mut tasks = JoinSet::new();
    let mut clients: BTreeMap<SocketAddr, Arc<Pipe>> = BTreeMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        // An error is one packet's (an unreachable port of some client): the socket itself is as good as before.
        let Ok((len, client)) = listen.recv_from(&mut buffer).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        if !clients.contains_key(&client) && clients.len() < MAX_CLIENTS {
            let Ok(socket) = connected(upstream).await else { continue };
            let number = 2 * clients.len() as u64;
            let there = Pipe::new(lanes[0].clone(), seed.wrapping_add(number));
            let back = Pipe::new(lanes[1].clone(), seed.wrapping_add(number + 1));
            clients.insert(client, there.clone());
            tasks.spawn(send(there, socket.clone(), None));
            tasks.spawn(send(back.clone(), listen.clone(), Some(client)));
            tasks.spawn(receive(socket, back));
        }
        if let Some(there) = clients.get(&client) {
            there.push(&buffer[..len]);
        }
    }
}

async fn connected(upstream: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind(loopback(upstream)).await?;
    socket.connect(upstream).await?;
    Ok(Arc::new(socket))
}

async fn send(pipe: Arc<Pipe>, socket: Arc<UdpSocket>, to: Option<SocketAddr>) {
    loop {
        let packet = pipe.next().await;
        // A packet that cannot be sent is a packet lost, which is what everybody here is used to.
        let _ = match to {
            Some(to) => socket.send_to(&packet, to).await,
            None => socket.send(&packet).await,
        };
    }
}

async fn receive(socket: Arc<UdpSocket>, back: Arc<Pipe>) {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(len) => back.push(&buffer[..len]),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await, // upstream is not there just now
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 up to, and without, 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(150);

    /// A socket that sends everything back, and a client behind a relay before it.
    async fn echo(there: Impairment, back: Impairment, seed: u64) -> (Relay, UdpSocket) {
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay::start(upstream.local_addr().unwrap(), there, back, seed).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = upstream.recv_from(&mut buffer).await {
                upstream.send_to(&buffer[..len], from).await.unwrap();
            }
        });
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(relay.addr()).await.unwrap();
        (relay, client)
    }

    async fn receive_within(client: &UdpSocket, patience: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let len = tokio::time::timeout(patience, client.recv(&mut buffer)).await.ok()?.unwrap();
        Some(buffer[..len].to_vec())
    }

    #[tokio::test]
    async fn an_echo_takes_both_delays_and_is_counted() {
        let ms = Duration::from_millis;
        let (relay, client) = echo(Impairment::delay(ms(60)), Impairment::delay(ms(40)), 1).await;
        let begun = Instant::now();
        client.send(b"tea").await.unwrap();
        assert_eq!(receive_within(&client, LONG).await.unwrap(), b"tea");
        assert!(begun.elapsed() >= ms(100), "{:?}", begun.elapsed());
        let once = Counts { packets_in: 1, bytes_in: 3, packets_out: 1, bytes_out: 3, ..Counts::default() };
        assert_eq!((relay.counts(Direction::There), relay.counts(Direction::Back)), (once, once));
    }

    #[tokio::test]
    async fn packets_are_lost_doubled_and_flipped() {
        let all = Impairment { loss: 1.0, ..Impairment::NONE };
        let (relay, client) = echo(all, Impairment::NONE, 1).await;
        client.send(b"tea").await.unwrap();
        assert_eq!(receive_within(&client, SHORT).await, None);
        assert_eq!(relay.counts(Direction::There).lost, 1);

        relay.impair(Direction::There, Impairment { duplicate: 1.0, ..Impairment::NONE });
        relay.impair(Direction::Back, Impairment { flip: 1.0, ..Impairment::NONE });
        client.send(&[0; 100]).await.unwrap();
        for _ in 0..2 {
            let got = receive_within(&client, LONG).await.unwrap();
            assert_eq!(got.iter().map(|b| b.count_ones()).sum::<u32>(), 1, "exactly one bit");
        }
        assert_eq!(
            (relay.counts(Direction::There).duplicated, relay.counts(Direction::Back).flipped),
            (1, 2)
        );
    }

    #[tokio::test]
    async fn a_bottleneck_takes_its_time_and_overflows() {
        let narrow = Impairment { rate: Some(80_000), queue: 4_500, ..Impairment::NONE };
        let (relay, client) = echo(narrow, Impairment::NONE, 1).await;
        let begun = Instant::now();
        for _ in 0..10 {
            client.send(&[7; 1000]).await.unwrap();
        }
        let mut got = 0;
        while receive_within(&client, Duration::from_millis(500)).await.is_some() {
            got += 1;
        }
        assert!(begun.elapsed() >= Duration::from_millis(400), "a tenth of a second for each thousand bytes");
        let counts = relay.counts(Direction::There);
        assert_eq!(counts.overflowed + got, 10);
        assert!(
            got >= 4 && counts.overflowed > 0,
            "four wait in the queue; a slow machine drains more: {got}"
        );
    }

    #[tokio::test]
    async fn a_cut_is_one_way_and_loses_what_is_on_its_way() {
        let (relay, client) = echo(Impairment::NONE, Impairment::delay(SHORT), 1).await;
        client.send(b"on its way").await.unwrap();
        while relay.counts(Direction::Back).packets_in == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        relay.cut(Direction::Back);
        assert_eq!(receive_within(&client, SHORT * 3).await, None);
        client.send(b"there is open").await.unwrap();
        assert_eq!(receive_within(&client, SHORT * 3).await, None);
        assert_eq!((relay.counts(Direction::There).packets_out, relay.counts(Direction::Back).cut), (2, 2));
        relay.heal();
        client.send(b"healed").await.unwrap();
        assert_eq!(receive_within(&client, LONG).await.unwrap(), b"healed");
        relay.cut_both();
        client.send(b"cut").await.unwrap();
        assert_eq!(receive_within(&client, SHORT * 2).await, None);
        assert_eq!(relay.counts(Direction::There).cut, 1);
    }

    #[tokio::test]
    async fn the_seed_decides_who_is_lost() {
        async fn survivors(seed: u64) -> Vec<Vec<u8>> {
            let half = Impairment { loss: 0.5, ..Impairment::NONE };
            let (relay, client) = echo(half, Impairment::NONE, seed).await;
            for i in 0..64u8 {
                client.send(&[i]).await.unwrap();
            }
            let mut survivors = Vec::new();
            while relay.counts(Direction::There).packets_in < 64
                || survivors.len() as u64 + relay.counts(Direction::There).lost < 64
            {
                survivors.extend(receive_within(&client, LONG).await);
            }
            survivors
        }
        let first = survivors(7).await;
        assert!((10..54).contains(&first.len()), "{}", first.len());
        assert_eq!(survivors(7).await, first);
        assert_ne!(survivors(8).await, first);
    }

    #[tokio::test]
    async fn jitter_reorders_and_clients_are_kept_apart() {
        let jumpy = Impairment { jitter: Duration::from_millis(60), ..Impairment::NONE };
        let (relay, one) = echo(jumpy, Impairment::NONE, 1).await;
        let two = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        two.connect(relay.addr()).await.unwrap();
        for i in 0..32u8 {
            one.send(&[1, i]).await.unwrap();
            two.send(&[2, i]).await.unwrap();
        }
        for (number, client) in [(1, one), (2, two)] {
            let mut order = Vec::new();
            for _ in 0..32 {
                let got = receive_within(&client, LONG).await.unwrap();
                assert_eq!(got[0], number);
                order.push(got[1]);
            }
            assert!(!order.is_sorted());
            order.sort_unstable();
            assert_eq!(order, (0..32).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_dropped_relay_is_gone() {
        let (relay, client) = echo(Impairment::NONE, Impairment::NONE, 1).await;
        let addr = relay.addr();
        client.send(b"tea").await.unwrap();
        receive_within(&client, LONG).await.unwrap();
        drop(relay);
        while UdpSocket::bind(addr).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
