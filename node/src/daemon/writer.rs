//! The engine's thread: the only one that writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use certs::NodeName;
use sync::quic::{Driver, LinkEvent};
use sync::replica::{Effect, Input};
use tokio::sync::{mpsc, oneshot};
use tracing::field::Empty;

use super::expiry::Warnings;
use super::news::{Changes, News};
use super::{LinkTime, Work, now_ms};
use crate::engine::Engine;
use crate::request::{Failure, FailureKind, Reply, Request};

/// Most pieces of work in one transaction, and most bytes of frames in it: a batch holds up to some two hundred documents,
/// and all that a transaction touches should stay open to its end.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 256 << 10;

/// Rows that may be written before the log is moved into the database at the next pause, and those after which it is
/// moved at once. It takes as long as several commits: somebody who waits should not wait for it.
const CHECKPOINT: u64 = 4_000;
const OVERDUE: u64 = 20_000;

/// How many steps of what was put aside are done in one transaction, at most: one of them takes some milliseconds, which
/// whoever comes meanwhile waits.
const CAUGHT_UP: usize = 16;

/// No work for so long is a pause.
const PAUSE: Duration = Duration::from_millis(20);

/// How often live links are checked against the certificates' dates, in milliseconds: a revocation ends them at once.
const RECHECK_MS: u64 = 3_600_000;

struct Writer {
    engine: Engine,
    driver: Driver,
    time: Arc<LinkTime>,
    links: BTreeMap<NodeName, u64>,
    trust: u64,
    warnings: Warnings,
    rechecked: u64,
    /// The engine's count of written rows when the log was last moved.
    moved: u64,
    /// Whoever watches hears of every commit that changed something.
    news: Arc<News>,
}

/// Most tickets that are named to watchers at once: a page shows fewer, and looks anew when it hears of so many.
const NAMED: usize = 256;

pub(super) fn spawn(
    engine: Engine,
    driver: Driver,
    time: Arc<LinkTime>,
    queue: mpsc::Receiver<Work>,
    news: Arc<News>,
) -> Result<(), Failure> {
    let writer = Writer {
        trust: engine.trust_changes(),
        engine,
        driver,
        time,
        links: BTreeMap::new(),
        warnings: Warnings::default(),
        rechecked: now_ms(),
        moved: 0,
        news,
    };
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || writer.run(queue, &runtime))
        .map(drop)
        .map_err(|e| Failure::new(FailureKind::Failed, "the engine's thread could not be started").because(e))
}

/// After an error of the disk nothing is acknowledged any more.
fn end(failure: &Failure) -> ! {
    tracing::error!(%failure, "the node stops rather than go on with a disk it cannot trust");
    std::process::exit(i32::from(failure.kind.exit_code()));
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Work>, runtime: &tokio::runtime::Handle) {
        // Nothing could be saved a moment ago: what can wait waits a second.
        let mut stumbled = false;
        loop {
            // What was put aside is done while nobody asks for anything; then comes the log's turn.
            let behind = !stumbled && matches!(self.engine.is_behind(), Ok(true));
            let full = !behind && !stumbled && self.engine.written().saturating_sub(self.moved) >= CHECKPOINT;
            let patience = match (behind, full) {
                (true, _) => Duration::ZERO,
                (false, true) => PAUSE,
                (false, false) => Duration::from_secs(1),
            };
            let first = runtime.block_on(async { tokio::time::timeout(patience, queue.recv()).await });
            let mut group = Vec::new();
            match first {
                Ok(Some(work)) => group.push(work),
                Ok(None) => return,
                Err(_) if full => match self.checkpoint() {
                    Err(failure) if failure.kind != FailureKind::TryAgain => end(&failure),
                    Err(_) => self.moved = self.engine.written(), // no room now: again after as many rows
                    Ok(_) => {}
                },
                Err(_) => {}
            }
            let mut bytes: usize = group.iter().map(Work::bytes).sum();
            while group.len() < GROUP
                && bytes < GROUP_BYTES
                && let Ok(work) = queue.try_recv()
            {
                bytes += work.bytes();
                group.push(work);
            }
            let idle = group.is_empty();
            match self.transact(group, || idle && queue.is_empty()) {
                Ok(None) => stumbled = false,
                Ok(Some(done)) => {
                    match self.engine.checkpoint() {
                        Ok(_) => {}
                        // What was committed stays in the log beside the database; the next start reads it.
                        Err(failure) if failure.kind == FailureKind::TryAgain => {
                            tracing::warn!(%failure, "the log was not moved into the database");
                        }
                        Err(failure) => end(&failure),
                    }
                    drop(self);
                    let _ = done.send(());
                    return;
                }
                Err(failure) if failure.kind == FailureKind::TryAgain => {
                    tracing::error!(%failure, "nothing was saved; reading goes on");
                    stumbled = true;
                }
                Err(failure) => end(&failure),
            }
        }
    }

    /// One transaction, in which what was put aside is done while `nobody_waits`. `Some` when the node is to stop.
    fn transact(
        &mut self,
        group: Vec<Work>,
        nobody_waits: impl Fn() -> bool,
    ) -> Result<Option<oneshot::Sender<()>>, Failure> {
        // Names and numbers only: what somebody said is in no span.
        let _span = tracing::debug_span!("transaction", works = group.len()).entered();
        let mut answers: Vec<(oneshot::Sender<Reply>, Reply)> = Vec::new();
        let mut pulses = Vec::new();
        let mut stop = None;
        let links = group.iter().any(|work| {
            matches!(work, Work::Link(LinkEvent::Opened { .. } | LinkEvent::Disconnected { .. }))
        });
        self.engine.begin(now_ms())?;
        let mut failed = None;
        let mut steps = 0;
        while failed.is_none() && steps < CAUGHT_UP && nobody_waits() {
            match self.engine.catch_up() {
                Ok(true) => steps += 1,
                Ok(false) => break,
                Err(failure) => failed = Some(failure),
            }
        }
        for work in group {
            match work {
                Work::Ask(request, answer) => {
                    let span = tracing::debug_span!("request", ask = request.name(), granted = Empty);
                    let _span = span.enter();
                    let reply = self.engine.ask(&request).map(|value| self.with_traffic(&request, value));
                    span.record("granted", reply.is_ok());
                    answers.push((answer, reply));
                }
                Work::Link(event) => {
                    if failed.is_none() {
                        failed = self.link(event).err();
                    }
                }
                Work::Hold(peer, down) => self.driver.hold(peer, down),
                Work::Pulse(answer) => pulses.push(answer),
                Work::Stop(done) => stop = Some(done),
            }
        }
        for (peer, dates_fine) in self.driver.meetings() {
            self.engine.met(peer, dates_fine);
        }
        let ticked = failed.map_or_else(|| self.engine.link(Input::Tick), Err);
        let committed = match ticked {
            Ok(()) => self.engine.commit(),
            Err(failure) => Err(self.engine.undo(failure)),
        };
        for pulse in pulses {
            let _ = pulse.send(()); // also with a full disk: the thread lives
        }
        let effects = match committed {
            Ok(effects) => effects,
            Err(failure) => {
                answers.into_iter().for_each(|(answer, _)| drop(answer.send(Err(failure.clone()))));
                // The engine knows of no link any more: they begin anew.
                for peer in std::mem::take(&mut self.links).into_keys() {
                    self.driver.close(peer, "nothing could be saved here just now", false);
                }
                return Err(failure);
            }
        };
        if links || !self.engine.changed().is_empty() {
            let changed = self.engine.changed();
            let tickets = changed.iter().take(NAMED).map(ToString::to_string).collect();
            let more = changed.len() > NAMED;
            self.news.tell(Changes { tickets, more, links });
        }
        for (answer, reply) in answers {
            let _ = answer.send(reply); // whoever asked may have gone
        }
        for effect in effects {
            match effect {
                Effect::Send { peer, lane, bytes } => {
                    if let Some(link) = self.links.get(&peer) {
                        self.driver.send(peer, *link, lane, bytes);
                    }
                }
                Effect::Close { peer, reason, blame } => {
                    self.links.remove(&peer);
                    self.driver.close(peer, &reason, blame);
                }
                Effect::Tell(event) => tracing::info!("{event}"),
            }
        }
        self.time.rise(self.engine.clock_floor());
        if self.engine.trust_changes() != self.trust {
            self.trust = self.engine.trust_changes();
            if let Err(e) = self.driver.set_trust(self.engine.trust()) {
                tracing::error!(error = %e, "links are still checked against the old directory");
            }
        }
        self.look_at_the_date();
        if self.engine.written().saturating_sub(self.moved) >= OVERDUE {
            self.checkpoint()?;
        }
        Ok(stop)
    }

    /// Moves the log into the database. When the disk is full it stays where it is until as much again is written.
    fn checkpoint(&mut self) -> Result<(), Failure> {
        self.moved = self.engine.written();
        self.engine.checkpoint().map(drop)
    }

    /// Says once a day what is wrong with the date or ends soon, and checks links whose certificates may have ended.
    fn look_at_the_date(&mut self) {
        let now = now_ms();
        if now.abs_diff(self.rechecked) >= RECHECK_MS {
            self.rechecked = now;
            self.driver.recheck();
        }
        let doubt = self.engine.clock_doubt().map(ToString::to_string);
        let me = self.engine.me();
        for warning in self.warnings.due(now, me, doubt, || self.engine.expiring(30)) {
            if warning.severe {
                tracing::error!("{}", warning.text);
            } else {
                tracing::warn!("{}", warning.text);
            }
            self.engine.note_text(now, warning.text);
        }
    }

    fn link(&mut self, event: LinkEvent) -> Result<(), Failure> {
        match event {
            LinkEvent::Opened { peer, link } => {
                self.links.insert(peer, link);
                self.engine.link(Input::Connected(peer))
            }
            LinkEvent::Connected { .. } => Ok(()),
            LinkEvent::Frame { peer, link, bytes, .. } if self.links.get(&peer) == Some(&link) => {
                self.engine.link(Input::Frame { peer, bytes })
            }
            LinkEvent::Disconnected { peer, link, reason } if self.links.get(&peer) == Some(&link) => {
                self.links.remove(&peer);
                if let Some(reason) = reason {
                    tracing::info!(%peer, "link down: {reason}");
                    self.engine.note_text(now_ms(), format!("link with {peer} is down: {reason}"));
                }
                self.engine.link(Input::Disconnected(peer))
            }
            LinkEvent::Refused { peer, reason } => {
                let who = peer.map_or_else(|| "somebody".to_owned(), |p| p.to_string());
                tracing::warn!("no link with {who}: {reason}");
                self.engine.note_text(now_ms(), format!("no link with {who}: {reason}"));
                Ok(())
            }
            // From a connection that was replaced or closed meanwhile.
            LinkEvent::Frame { .. } | LinkEvent::Disconnected { .. } => Ok(()),
        }
    }

    /// The status knows links; the driver knows their traffic.
    fn with_traffic(&self, request: &Request, mut value: serde_json::Value) -> serde_json::Value {
        if *request != Request::Status {
            return value;
        }
        for peer in value["peers"].as_array_mut().into_iter().flatten() {
            let stats = peer["node"].as_str().and_then(|n| n.parse().ok()).and_then(|n| self.driver.stats(n));
            if let Some(stats) = stats {
                peer["rtt_ms"] = (stats.rtt_us as f64 / 1000.0).into();
                peer["address"] = stats.address.to_string().into();
                peer["bytes_sent"] = stats.sent.into();
                peer["bytes_received"] = stats.received.into();
            }
        }
        value
    }
}
