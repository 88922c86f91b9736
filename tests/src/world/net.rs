//! The network: connections between machines, with lanes in order and everything else out of it.
//!
//! A frame is due at some time; within a lane of a connection none overtakes another, between lanes they do as the
//! weather lets them. QUIC repairs loss, so loss is a wait that stalls the lane; a frame that vanishes for good, or
//! comes twice, is worse than QUIC allows and is here because a peer can do it.

use std::collections::{BTreeMap, VecDeque};

use sync::wire::Lane;

use super::chance::Chance;

/// How it is between two machines, until it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// One way, in milliseconds.
    pub delay: u64,
    /// At most so much more.
    pub jitter: u64,
    /// So many of a hundred frames wait for retransmissions.
    pub loss: u64,
    /// So many of a hundred frames vanish for good.
    pub vanish: u64,
    /// So many of a hundred frames come twice.
    pub twice: u64,
}

impl Weather {
    /// A line on the ground.
    pub const CALM: Weather = Weather { delay: 20, jitter: 5, loss: 0, vanish: 0, twice: 0 };
}

/// A connection's ends: machines, the smaller first.
pub type Pair = (usize, usize);

/// The pair of two machines.
pub fn pair(a: usize, b: usize) -> Pair {
    (a.min(b), a.max(b))
}

struct Flying {
    due: u64,
    order: u64,
    bytes: Vec<u8>,
}

/// A connection that both ends believe in, or that one of them has left without the other's knowledge.
#[derive(Default)]
struct Connection {
    lanes: BTreeMap<(usize, Lane), VecDeque<Flying>>,
    /// Whoever left: nothing is delivered to it any more.
    left: Option<usize>,
    /// When the other end notices.
    ends: Option<u64>,
    /// It is cut after so many more frames.
    cut_after: Option<u32>,
}

/// What happens next on the network.
pub enum Arrival {
    /// A frame.
    Frame {
        /// Who sent it.
        from: usize,
        /// Who gets it.
        to: usize,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The connection is over; these ends did not know yet.
    Over(Pair, Vec<usize>),
}

/// All connections, and the weather between all machines.
#[derive(Default)]
pub struct Net {
    connections: BTreeMap<Pair, Connection>,
    weather: BTreeMap<Pair, Weather>,
    deaf: BTreeMap<(usize, usize), ()>,
    order: u64,
}

/// How long a connection lives on that nothing comes through.
pub const IDLE_MS: u64 = 45_000;

impl Net {
    /// The weather between two machines.
    pub fn weather(&self, p: Pair) -> Weather {
        self.weather.get(&p).copied().unwrap_or(Weather::CALM)
    }

    /// Changes it.
    pub fn set_weather(&mut self, p: Pair, weather: Weather) {
        self.weather.insert(p, weather);
    }

    /// From now on nothing gets from one machine to the other; the connection ends when it has been idle.
    pub fn deafen(&mut self, from: usize, to: usize, now: u64) {
        self.deaf.insert((from, to), ());
        if let Some(c) = self.connections.get_mut(&pair(from, to)) {
            c.ends = c.ends.or(Some(now + IDLE_MS));
        }
    }

    /// Calm weather everywhere.
    pub fn clear(&mut self) {
        self.weather.clear();
        self.deaf.clear();
    }

    /// Whether frames can go both ways.
    pub fn is_open(&self, p: Pair) -> bool {
        !self.deaf.contains_key(&(p.0, p.1)) && !self.deaf.contains_key(&(p.1, p.0))
    }

    /// Lets frames go both ways again.
    pub fn open(&mut self, p: Pair) {
        self.deaf.remove(&(p.0, p.1));
        self.deaf.remove(&(p.1, p.0));
    }

    /// Makes a connection; there is none between the two.
    pub fn connect(&mut self, p: Pair) {
        self.connections.insert(p, Connection::default());
    }

    /// Whether both ends believe in a connection.
    pub fn is_up(&self, p: Pair) -> bool {
        self.connections.get(&p).is_some_and(|c| c.left.is_none())
    }

    /// Whether there is a connection that at least one end believes in.
    pub fn is_there(&self, p: Pair) -> bool {
        self.connections.contains_key(&p)
    }

    /// The connections of a machine that it believes in.
    pub fn of(&self, m: usize) -> Vec<usize> {
        let mine = self.connections.iter().filter(|((a, b), c)| (*a == m || *b == m) && c.left != Some(m));
        mine.map(|((a, b), _)| if *a == m { *b } else { *a }).collect()
    }

    /// All connections.
    pub fn pairs(&self) -> Vec<Pair> {
        self.connections.keys().copied().collect()
    }

    /// Cuts the connection after so many more frames.
    pub fn cut_after(&mut self, p: Pair, frames: u32) {
        if let Some(c) = self.connections.get_mut(&p) {
            c.cut_after = Some(frames);
        }
    }

    /// Ends a connection for both; returns the ends that believed in it. What was on its way is lost.
    pub fn cut(&mut self, p: Pair) -> Vec<usize> {
        let Some(c) = self.connections.remove(&p) else { return Vec::new() };
        [p.0, p.1].into_iter().filter(|m| c.left != Some(*m)).collect()
    }

    /// Frames on their way.
    pub fn flying(&self) -> usize {
        self.connections.values().flat_map(|c| c.lanes.values()).map(VecDeque::len).sum()
    }

    /// Frames on their way between two machines.
    pub fn flying_on(&self, p: Pair) -> usize {
        self.connections.get(&p).map_or(0, |c| c.lanes.values().map(VecDeque::len).sum())
    }

    /// One end leaves: what it has sent still arrives, then the other end notices; without a word (a crash), after
    /// the idle time.
    pub fn leave(&mut self, m: usize, other: usize, silently: bool, now: u64) {
        let Some(c) = self.connections.get_mut(&pair(m, other)) else { return };
        if c.left.is_some_and(|l| l != m) {
            self.connections.remove(&pair(m, other));
            return;
        }
        c.left = Some(m);
        c.lanes.retain(|(from, _), _| *from == m);
        if silently {
            c.lanes.clear();
        }
        let last = c.lanes.values().flatten().map(|f| f.due).max().unwrap_or(now);
        c.ends = Some(if silently { now + IDLE_MS } else { last });
    }

    /// Sends a frame; false when there is no connection to send it on.
    pub fn send(
        &mut self,
        from: usize,
        to: usize,
        lane: Lane,
        bytes: Vec<u8>,
        now: u64,
        chance: &mut Chance,
    ) -> bool {
        let w = self.weather(pair(from, to));
        let deaf = self.deaf.contains_key(&(from, to));
        let Some(c) = self.connections.get_mut(&pair(from, to)) else { return false };
        if deaf || c.left.is_some() || chance.hits(w.vanish) {
            return true;
        }
        let mut due = now + w.delay + chance.below(w.jitter + 1);
        while chance.hits(w.loss) {
            due += 2 * w.delay + 200;
        }
        let lane = c.lanes.entry((from, lane)).or_default();
        due = due.max(lane.back().map_or(0, |f| f.due));
        let copies = if chance.hits(w.twice) { 2 } else { 1 };
        for _ in 0..copies {
            self.order += 1;
            lane.push_back(Flying { due, order: self.order, bytes: bytes.clone() });
        }
        true
    }

    /// When something happens next, if anything does.
    pub fn next(&self) -> Option<u64> {
        let frames = self.connections.values().flat_map(|c| c.lanes.values()).filter_map(VecDeque::front);
        let ends = self.connections.values().filter_map(|c| c.ends);
        frames.map(|f| f.due).chain(ends).min()
    }

    /// The next thing that is due by `now`.
    pub fn arrive(&mut self, now: u64) -> Option<Arrival> {
        let heads = self
            .connections
            .iter()
            .flat_map(|(p, c)| c.lanes.iter().filter_map(|(key, lane)| Some((lane.front()?, *p, *key))));
        let first = heads.map(|(f, p, key)| (f.due, f.order, p, key)).min();
        let over = self.connections.iter().filter_map(|(p, c)| Some((c.ends?, *p))).min();
        if let Some((ends, p)) = over
            && ends <= now
            && first.is_none_or(|(due, ..)| due > ends)
        {
            return Some(Arrival::Over(p, self.cut(p)));
        }
        let (due, _, p, key) = first?;
        if due > now {
            return None;
        }
        let c = self.connections.get_mut(&p)?;
        let lane = c.lanes.get_mut(&key)?;
        let frame = lane.pop_front()?;
        if lane.is_empty() {
            c.lanes.remove(&key);
        }
        if let Some(left) = &mut c.cut_after {
            if *left == 0 {
                return Some(Arrival::Over(p, self.cut(p)));
            }
            *left -= 1;
        }
        let (from, to) = (key.0, if key.0 == p.0 { p.1 } else { p.0 });
        Some(Arrival::Frame { from, to, bytes: frame.bytes })
    }
}
