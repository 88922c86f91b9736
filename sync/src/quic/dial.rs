//! Dialling: one task for each peer that has an address.
//!
//! A link that is lost is dialled again at once, with some jitter so that a province's cities do not all come in the
//! same second. While nobody answers the waits grow, to ten seconds at most; as soon as any link comes up the network
//! is back, and everybody is dialled at once. A peer that refuses is asked ever more rarely, to once a minute, or at
//! once when what we know of trust has changed.
//!
//! Both ends dial, for one of them may sit behind a NAT. The lesser name gives the greater a head start, so that
//! connections seldom cross; when they do, `link` says which one stays.

use std::net::SocketAddr;
use std::time::Duration;

use certs::NodeName;
use certs::tls::server_name;
use tokio::time::{Instant, sleep_until, timeout};

use super::accept::HANDSHAKE;
use super::refusal::Verdict;
use super::transport::{IDLE, transport};
use super::{Driver, lock};

/// How long the lesser name lets the greater one try alone.
const HEAD_START: Duration = Duration::from_millis(1_500);

/// The longest wait between two dials of a peer that does not answer.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// The longest wait between two dials of a peer that refuses.
const REFUSED: Duration = Duration::from_secs(60);

/// The most that jitter adds.
const JITTER: Duration = Duration::from_secs(1);

/// Shares of one from a seed: a run repeats.
struct Jitter {
    key: [u8; 32],
    drawn: u64,
}

impl Jitter {
    fn new(seed: u64, peer: NodeName) -> Jitter {
        let words = [&seed.to_be_bytes()[..], peer.to_string().as_bytes()].concat();
        Jitter { key: *blake3::hash(&words).as_bytes(), drawn: 0 }
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        self.drawn += 1;
        let hash = blake3::keyed_hash(&self.key, &self.drawn.to_be_bytes());
        most * u32::from(hash.as_bytes()[0]) / 256
    }
}

/// How the attempts so far decide the next.
#[derive(Clone, Copy, Debug, Default)]
struct Patience {
    unreachable: u32,
    refused: u32,
}

impl Patience {
    /// The wait before the next attempt.
    fn after(&mut self, verdict: Verdict, held: bool, addresses: usize) -> Duration {
        if held {
            *self = Patience::default();
        }
        match verdict {
            Verdict::Crossed => {
                *self = Patience::default();
                Duration::ZERO
            }
            Verdict::Unreachable if held => Duration::ZERO,
            Verdict::Unreachable => {
                // Every address gets its turn before anybody waits.
                let each = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
                let rounds = self.unreachable / each;
                self.unreachable += 1;
                if self.unreachable.is_multiple_of(each) {
                    Duration::from_millis(250).saturating_mul(1 << rounds.min(10)).min(UNREACHABLE)
                } else {
                    Duration::ZERO
                }
            }
            Verdict::Refused => {
                self.refused += 1;
                Duration::from_millis(500).saturating_mul(1 << self.refused.min(10)).min(REFUSED)
            }
        }
    }
}

impl Driver {
    pub(super) async fn dial(self, peer: NodeName, addresses: Vec<SocketAddr>, seed: u64) {
        let mut jitter = Jitter::new(seed, peer);
        let mut patience = Patience::default();
        let head_start = if self.0.me > peer { Duration::ZERO } else { HEAD_START };
        let mut wait = head_start;
        let mut refused = false;
        let mut place = 0;
        loop {
            if !self.pause(&mut jitter, peer, wait, refused).await {
                return;
            }
            let Some(address) = addresses.get(place % addresses.len().max(1)) else { return };
            let began = Instant::now();
            let verdict = self.attempt(peer, *address).await;
            let held = began.elapsed() > IDLE;
            if verdict == Verdict::Unreachable && !held {
                place += 1;
            }
            refused = verdict == Verdict::Refused;
            let pause = patience.after(verdict, held, addresses.len());
            wait = head_start + pause + jitter.up_to(JITTER.min(pause / 2 + Duration::from_millis(250)));
        }
    }

    /// Waits until it is time to dial: not while a link is up or held down, and not before `wait` is over or there
    /// are news that end it. `false` when the driver stops.
    async fn pause(&self, jitter: &mut Jitter, peer: NodeName, wait: Duration, refused: bool) -> bool {
        let head_start = if self.0.me > peer { Duration::ZERO } else { HEAD_START };
        let mut due = Instant::now() + wait;
        let mut seen = self.0.news.read();
        loop {
            if seen.stopping || self.0.events.is_closed() {
                return false;
            }
            // An operator who lets a link come up again means now; what an outage has taken down, many have lost at once.
            let held = lock(&self.0.held).contains(&peer);
            if held || self.linked(peer) {
                seen = self.0.news.newer(&seen).await;
                let scatter = if held { Duration::ZERO } else { jitter.up_to(JITTER) };
                due = Instant::now() + head_start + scatter;
                continue;
            }
            if let Some((until, _)) = lock(&self.0.blamed).get(&peer) {
                due = due.max(*until);
            }
            tokio::select! {
                biased;
                now = self.0.news.newer(&seen) => {
                    if now.changed != seen.changed || (now.reachable != seen.reachable && !refused) {
                        due = due.min(Instant::now() + head_start);
                    }
                    seen = now;
                }
                () = sleep_until(due) => return true,
            }
        }
    }

    async fn attempt(&self, peer: NodeName, address: SocketAddr) -> Verdict {
        let mut config = lock(&self.0.client).clone();
        if let Some(rtt) = lock(&self.0.rtts).get(&peer) {
            config.transport_config(transport(self.0.congestion, Some(*rtt)));
        }
        let connecting = match self.0.endpoint.connect_with(config, address, &server_name(peer).to_str()) {
            Ok(connecting) => connecting,
            Err(e) => {
                self.refused(Some(peer), &format!("{address} cannot be dialled: {e}")).await;
                return Verdict::Unreachable;
            }
        };
        let connecting = timeout(HANDSHAKE, connecting);
        tokio::pin!(connecting);
        let mut seen = self.0.news.read();
        let made = loop {
            tokio::select! {
                biased;
                made = &mut connecting => break made,
                now = self.0.news.newer(&seen) => {
                    // The peer's own dial was faster, or the operator wants none.
                    if now.stopping || self.linked(peer) {
                        return Verdict::Crossed;
                    }
                    seen = now;
                }
            }
        };
        match made {
            Ok(Ok(connection)) => self.serve(connection, Some(peer), None::<()>).await,
            Ok(Err(e)) => self.failed(Some(peer), &e, "").await,
            Err(_) => Verdict::Unreachable,
        }
    }

    fn linked(&self, peer: NodeName) -> bool {
        lock(&self.0.live).contains_key(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_dialled_every_ten_seconds_and_a_refusal_once_a_minute() {
        let mut patience = Patience::default();
        let waits: Vec<u128> =
            (0..8).map(|_| patience.after(Verdict::Unreachable, false, 1).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        let waits: Vec<u128> =
            (0..8).map(|_| patience.after(Verdict::Refused, false, 1).as_millis()).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(patience.after(Verdict::Unreachable, true, 1), Duration::ZERO, "a link that held");
        assert_eq!(patience.after(Verdict::Unreachable, false, 1).as_millis(), 250, "and all is forgotten");
    }

    #[test]
    fn every_address_has_its_turn_before_anybody_waits() {
        let mut patience = Patience::default();
        let waits: Vec<u128> =
            (0..6).map(|_| patience.after(Verdict::Unreachable, false, 3).as_millis()).collect();
        assert_eq!(waits, [0, 0, 250, 0, 0, 500]);
    }

    #[test]
    fn jitter_is_bounded_and_repeats() {
        let draw = || {
            let mut jitter = Jitter::new(7, "370100".parse().unwrap());
            (0..100).map(|_| jitter.up_to(JITTER)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
        assert!(draw().iter().all(|j| *j < JITTER));
    }
}
