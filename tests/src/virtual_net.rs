//! A network in memory for quinn, in tokio's paused time.
//!
//! ```text
//! quinn ── try_send ──> a path's fate (down, lost, queue, copies, flipped, delay) ──> heap of the addressee ──> poll_recv
//! ```
//!
//! A path is one direction from one address to another. Packets wait in their addressee's heap until their time comes;
//! the only clock is tokio's. Every decision comes from the seed in the order in which packets are sent, so a run
//! repeats: [`Net::trace`] is a hash over time, addresses, length and fate of every packet.
//!
//! ```text
//! let net = Net::new(seed, Path::delay(300 ms));
//! let socket = net.bind(address);                Endpoint::new_with_abstract_socket(.., socket, ..)
//! net.cut(a, b);  net.heal(a, b);  net.set(a, b, path);  net.behind_nat(inside, outside);
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::relay::{Dice, Impairment};

/// The most bytes that wait for one addressee.
const MAX_FLYING: usize = 64 << 20;

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets sent.
    pub sent: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Packets delivered.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Copies that had a bit flipped.
    pub flipped: u64,
    /// Dropped before a bottleneck.
    pub overflowed: u64,
    /// Lost on a path that is down, or to an address where nobody is.
    pub nowhere: u64,
    /// A hash over everything, in order.
    pub trace: u64,
}

#[derive(Debug)]
struct Packet {
    due: Instant,
    number: u64,
    from: SocketAddr,
    bytes: Vec<u8>,
}

impl PartialEq for Packet {
    fn eq(&self, other: &Packet) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Packet {}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Packet) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packet {
    fn cmp(&self, other: &Packet) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[derive(Debug, Default)]
struct Inbox {
    packets: BinaryHeap<Reverse<Packet>>,
    bytes: usize,
    waker: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

struct State {
    dice: Dice,
    began: Instant,
    number: u64,
    inboxes: BTreeMap<SocketAddr, Arc<Mutex<Inbox>>>,
    usual: Impairment,
    paths: BTreeMap<(SocketAddr, SocketAddr), Impairment>,
    down: BTreeMap<(SocketAddr, SocketAddr), ()>,
    free_at: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    /// Inside address to the outside one that it has now.
    outside: BTreeMap<SocketAddr, SocketAddr>,
    /// Outside address to whom it answers: a NAT lets in only what was asked for.
    inside: BTreeMap<SocketAddr, (SocketAddr, Vec<SocketAddr>)>,
    counts: Counts,
}

/// The network. A handle; clones are the same network.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Net({:?})", self.counts())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// A network whose paths are as `usual` says. Needs a tokio runtime with paused time.
    pub fn new(seed: u64, usual: Impairment) -> Net {
        Net(Arc::new(Mutex::new(State {
            dice: Dice(seed),
            began: Instant::now(),
            number: 0,
            inboxes: BTreeMap::new(),
            usual,
            paths: BTreeMap::new(),
            down: BTreeMap::new(),
            free_at: BTreeMap::new(),
            outside: BTreeMap::new(),
            inside: BTreeMap::new(),
            counts: Counts::default(),
        })))
    }

    /// A socket at this address. Whoever had it before gets nothing any more.
    pub fn bind(&self, address: SocketAddr) -> Arc<Socket> {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        lock(&self.0).inboxes.insert(address, inbox.clone());
        Arc::new(Socket { net: self.clone(), address, inbox })
    }

    /// Takes the socket off this address: it gets nothing any more, and nothing that it sends arrives.
    pub fn unplug(&self, address: SocketAddr) {
        lock(&self.0).inboxes.remove(&address);
    }

    /// Sets how packets fare between two addresses, both ways.
    pub fn set(&self, a: SocketAddr, b: SocketAddr, path: Impairment) {
        let mut state = lock(&self.0);
        state.paths.insert((a, b), path);
        state.paths.insert((b, a), path);
    }

    /// Sets how packets fare where nothing else was said.
    pub fn set_usual(&self, path: Impairment) {
        lock(&self.0).usual = path;
    }

    /// Nothing arrives from `from` at `to` any more; the other direction is as it was.
    pub fn cut_one_way(&self, from: SocketAddr, to: SocketAddr) {
        lock(&self.0).down.insert((from, to), ());
    }

    /// Nothing arrives between two addresses any more.
    pub fn cut(&self, a: SocketAddr, b: SocketAddr) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Undoes every cut between two addresses.
    pub fn heal(&self, a: SocketAddr, b: SocketAddr) {
        let mut state = lock(&self.0);
        state.down.remove(&(a, b));
        state.down.remove(&(b, a));
    }

    /// Puts `inside` behind a NAT: others see `outside`, and only what `inside` has sent to can send to it. Said again
    /// with another address, the NAT has forgotten and maps anew.
    pub fn behind_nat(&self, inside: SocketAddr, outside: SocketAddr) {
        let mut state = lock(&self.0);
        if let Some(before) = state.outside.insert(inside, outside) {
            state.inside.remove(&before);
        }
        state.inside.insert(outside, (inside, Vec::new()));
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        lock(&self.0).counts
    }

    fn send(&self, socket: &Socket, to: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let mut state = lock(&self.0);
        let state = &mut *state;
        let from = socket.address;
        if !state.inboxes.get(&from).is_some_and(|inbox| Arc::ptr_eq(inbox, &socket.inbox)) {
            return; // from somebody who is no longer there
        }
        let (from, to) = match state.translate(from, to) {
            Ok(pair) => pair,
            Err(()) => return state.note(now, from, to, bytes.len(), 1),
        };
        let path = *state.paths.get(&(from, to)).unwrap_or(&state.usual);
        if state.down.contains_key(&(from, to)) || !state.inboxes.contains_key(&to) {
            return state.note(now, from, to, bytes.len(), 1);
        }
        if state.dice.happens(path.loss) {
            return state.note(now, from, to, bytes.len(), 2);
        }
        let mut through = now;
        if let Some(rate) = path.rate {
            let begins = (*state.free_at.get(&(from, to)).unwrap_or(&now)).max(now);
            let waiting = (begins - now).as_secs_f64() * rate as f64 / 8.0;
            if waiting + bytes.len() as f64 > path.queue as f64 {
                return state.note(now, from, to, bytes.len(), 3);
            }
            through = begins + Duration::from_secs_f64(bytes.len() as f64 * 8.0 / rate.max(1) as f64);
            state.free_at.insert((from, to), through);
        }
        let copies = if state.dice.happens(path.duplicate) { 2 } else { 1 };
        state.note(now, from, to, bytes.len(), 3 + copies);
        for _ in 0..copies {
            let mut bytes = bytes.to_vec();
            if !bytes.is_empty() && state.dice.happens(path.flip) {
                state.counts.flipped += 1;
                let bit = state.dice.below(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            state.number += 1;
            let due = through + path.delay + path.jitter.mul_f64(state.dice.share());
            let packet = Packet { due, number: state.number, from, bytes };
            let Some(inbox) = state.inboxes.get(&to) else { continue };
            let mut inbox = lock(inbox);
            if inbox.bytes + packet.bytes.len() > MAX_FLYING {
                state.counts.overflowed += 1;
                continue;
            }
            inbox.bytes += packet.bytes.len();
            inbox.packets.push(Reverse(packet));
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }
}

impl State {
    /// The addresses after the NATs on the way: what `to` sees, and who `to` is.
    fn translate(&mut self, from: SocketAddr, to: SocketAddr) -> Result<(SocketAddr, SocketAddr), ()> {
        let seen = match self.outside.get(&from) {
            Some(outside) => {
                if let Some((_, asked)) = self.inside.get_mut(outside)
                    && !asked.contains(&to)
                {
                    asked.push(to);
                }
                *outside
            }
            None => from,
        };
        if self.outside.contains_key(&to) {
            return Err(()); // an inside address means nothing out here
        }
        match self.inside.get(&to) {
            Some((inside, asked)) if asked.contains(&seen) => Ok((seen, *inside)),
            Some(_) => Err(()),
            None => Ok((seen, to)),
        }
    }

    fn note(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, length: usize, fate: u64) {
        let counts = &mut self.counts;
        counts.sent += 1;
        counts.bytes += length as u64;
        match fate {
            1 => counts.nowhere += 1,
            2 => counts.lost += 1,
            3 => counts.overflowed += 1,
            5 => counts.duplicated += 1,
            _ => {}
        }
        let at = (now - self.began).as_nanos() as u64;
        let host = |a: SocketAddr| match a.ip() {
            std::net::IpAddr::V4(ip) => u64::from(u32::from(ip)) << 16 | u64::from(a.port()),
            std::net::IpAddr::V6(ip) => u128::from(ip) as u64,
        };
        for value in [at, host(from), host(to), length as u64, fate] {
            counts.trace = (counts.trace ^ value).wrapping_mul(0x100_0000_01b3).rotate_left(17);
        }
    }
}

/// A socket of the network.
pub struct Socket {
    net: Net,
    address: SocketAddr,
    inbox: Arc<Mutex<Inbox>>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.address)
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for packet in transmit.contents.chunks(size) {
            self.net.send(self, transmit.destination, packet);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut inbox = lock(&self.inbox);
            let now = Instant::now();
            let mut count = 0;
            while count < buffers.len().min(meta.len()) {
                if inbox.packets.peek().is_none_or(|Reverse(p)| p.due > now) {
                    break;
                }
                let Some(Reverse(packet)) = inbox.packets.pop() else { break };
                inbox.bytes -= packet.bytes.len();
                let length = packet.bytes.len().min(buffers[count].len());
                buffers[count][..length].copy_from_slice(&packet.bytes[..length]);
                meta[count] = RecvMeta::default();
                meta[count].addr = packet.from;
                meta[count].len = length;
                meta[count].stride = length;
                count += 1;
            }
            if count > 0 {
                drop(inbox);
                lock(&self.net.0).counts.delivered += count as u64;
                return Poll::Ready(Ok(count));
            }
            // The waker stays until a packet comes: quinn asks again only when woken.
            inbox.waker = Some(cx.waker().clone());
            let Some(due) = inbox.packets.peek().map(|Reverse(p)| p.due) else {
                inbox.timer = None;
                return Poll::Pending;
            };
            let timer = inbox.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            timer.as_mut().reset(due);
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Runs a story in virtual time.
pub fn in_virtual_time<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O")
        .block_on(story)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 12328))
    }

    fn say(socket: &Socket, to: SocketAddr, bytes: &[u8]) {
        let transmit =
            Transmit { destination: to, ecn: None, contents: bytes, segment_size: None, src_ip: None };
        socket.try_send(&transmit).unwrap();
    }

    /// Everything that comes within a minute: after how long, from whom, what.
    async fn hear(socket: &Socket) -> Vec<(Duration, SocketAddr, Vec<u8>)> {
        let began = Instant::now();
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 2_000];
            let mut meta = [RecvMeta::default()];
            let next = poll_fn(|cx| {
                let mut buffers = [io::IoSliceMut::new(&mut buffer)];
                socket.poll_recv(cx, &mut buffers, &mut meta)
            });
            match tokio::time::timeout_at(began + Duration::from_secs(60), next).await {
                Ok(_) => heard.push((began.elapsed(), meta[0].addr, buffer[..meta[0].len].to_vec())),
                Err(_) => return heard,
            }
        }
    }

    #[test]
    fn packets_take_their_time_and_a_cut_has_a_direction() {
        in_virtual_time(async {
            let net = Net::new(1, Impairment::delay(Duration::from_millis(300)));
            let (a, b) = (net.bind(at(1)), net.bind(at(2)));
            say(&a, at(2), b"one");
            let heard = hear(&b).await;
            assert_eq!(heard.len(), 1);
            assert_eq!((heard[0].1, &heard[0].2[..]), (at(1), &b"one"[..]));
            assert!(
                heard[0].0 >= Duration::from_millis(300) && heard[0].0 < Duration::from_millis(302),
                "{heard:?}"
            );
            net.cut_one_way(at(1), at(2));
            say(&a, at(2), b"two");
            say(&b, at(1), b"three");
            assert_eq!((hear(&b).await.len(), hear(&a).await.len()), (0, 1));
            net.heal(at(1), at(2));
            say(&a, at(2), b"four");
            assert_eq!(hear(&b).await.len(), 1);
            say(&a, at(9), b"nobody is there");
            assert_eq!(net.counts().nowhere, 2);
        });
    }

    #[test]
    fn loss_copies_flips_and_rate_are_as_asked() {
        in_virtual_time(async {
            let net = Net::new(7, Impairment { loss: 0.2, duplicate: 0.1, flip: 0.1, ..Impairment::NONE });
            let (a, b) = (net.bind(at(1)), net.bind(at(2)));
            for _ in 0..10_000 {
                say(&a, at(2), &[0; 100]);
            }
            let heard = hear(&b).await;
            let counts = net.counts();
            assert!((1_800..2_200).contains(&counts.lost), "{counts:?}");
            assert!((700..900).contains(&counts.duplicated), "{counts:?}");
            assert!((750..1_010).contains(&counts.flipped), "{counts:?}");
            assert_eq!(heard.len() as u64, 10_000 - counts.lost + counts.duplicated);
            let damaged = heard.iter().filter(|(.., bytes)| bytes.iter().any(|b| *b != 0)).count();
            assert_eq!(damaged as u64, counts.flipped);

            net.set(at(1), at(2), Impairment { rate: Some(80_000), queue: 20_000, ..Impairment::NONE });
            for _ in 0..100 {
                say(&a, at(2), &[0; 1_000]);
            }
            let heard = hear(&b).await;
            assert_eq!(heard.len(), 20, "the queue holds twenty");
            assert!(heard[19].0 >= Duration::from_millis(1_900), "10 kB a second: {:?}", heard[19].0);
        });
    }

    #[test]
    fn a_nat_lets_in_only_what_was_asked_for_and_forgets() {
        in_virtual_time(async {
            let net = Net::new(1, Impairment::NONE);
            let (inside, outside) = (net.bind(at(1)), net.bind(at(2)));
            net.behind_nat(at(1), at(101));
            say(&outside, at(101), b"unasked");
            say(&outside, at(1), b"to an inside address");
            assert_eq!(hear(&inside).await.len(), 0);
            say(&inside, at(2), b"hello");
            assert_eq!(hear(&outside).await[0].1, at(101));
            say(&outside, at(101), b"answer");
            assert_eq!(hear(&inside).await.len(), 1);
            net.behind_nat(at(1), at(102));
            say(&outside, at(101), b"to the old mapping");
            assert_eq!(hear(&inside).await.len(), 0);
            say(&inside, at(2), b"hello again");
            assert_eq!(hear(&outside).await[0].1, at(102));
        });
    }
}
