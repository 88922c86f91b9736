//! The engine's thread: the only one that writes.

use std::collections::BTreeMap;

use certs::NodeName;
use sync::quic::{Driver, LinkEvent};
use sync::replica::{Effect, Input};
use tokio::sync::{mpsc, oneshot};

use super::{Work, now_ms};
use crate::engine::Engine;
use crate::request::{Failure, FailureKind, Reply, Request};

/// Most pieces of work in one transaction.
const GROUP: usize = 256;

/// How many commits go into the log before it is moved into the database.
const CHECKPOINT: u32 = 200;

struct Writer {
    engine: Engine,
    driver: Driver,
    links: BTreeMap<NodeName, u64>,
    trust: u64,
    commits: u32,
}

pub(super) fn spawn(engine: Engine, driver: Driver, queue: mpsc::Receiver<Work>) -> Result<(), Failure> {
    let trust = engine.trust_changes();
    let writer = Writer { engine, driver, links: BTreeMap::new(), trust, commits: 0 };
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
        loop {
            let second = std::time::Duration::from_secs(1);
            let first = runtime.block_on(async { tokio::time::timeout(second, queue.recv()).await });
            let mut group = Vec::new();
            match first {
                Ok(Some(work)) => group.push(work),
                Ok(None) => return,
                Err(_) => {}
            }
            while group.len() < GROUP
                && let Ok(work) = queue.try_recv()
            {
                group.push(work);
            }
            match self.transact(group) {
                Ok(None) => {}
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
                }
                Err(failure) => end(&failure),
            }
        }
    }

    /// One transaction. `Some` when the node is to stop.
    fn transact(&mut self, group: Vec<Work>) -> Result<Option<oneshot::Sender<()>>, Failure> {
        let mut answers: Vec<(oneshot::Sender<Reply>, Reply)> = Vec::new();
        let mut pulses = Vec::new();
        let mut stop = None;
        self.engine.begin(now_ms())?;
        for work in group {
            match work {
                Work::Ask(request, answer) => {
                    let reply = self.engine.ask(&request).map(|value| self.with_traffic(&request, value));
                    answers.push((answer, reply));
                }
                Work::Link(event) => self.link(event)?,
                Work::Hold(peer, down) => self.driver.hold(peer, down),
                Work::Pulse(answer) => pulses.push(answer),
                Work::Stop(done) => stop = Some(done),
            }
        }
        self.engine.link(Input::Tick)?;
        let committed = self.engine.commit();
        for pulse in pulses {
            let _ = pulse.send(()); // also with a full disk: the thread lives
        }
        let effects = match committed {
            Ok(effects) => effects,
            Err(failure) => {
                answers.into_iter().for_each(|(answer, _)| drop(answer.send(Err(failure.clone()))));
                return Err(failure);
            }
        };
        for (answer, reply) in answers {
            let _ = answer.send(reply); // whoever asked may have gone
        }
        for effect in effects {
            match effect {
                Effect::Send { peer, lane, bytes } => self.driver.send(peer, lane, bytes),
                Effect::Close { peer, reason, blame } => {
                    self.links.remove(&peer);
                    self.driver.close(peer, &reason, blame);
                }
                Effect::Tell(event) => tracing::info!("{event}"),
            }
        }
        if self.engine.trust_changes() != self.trust {
            self.trust = self.engine.trust_changes();
            if let Err(e) = self.driver.set_trust(self.engine.trust()) {
                tracing::error!(error = %e, "links are still checked against the old directory");
            }
        }
        self.commits += 1;
        if self.commits >= CHECKPOINT {
            self.commits = 0;
            self.engine.checkpoint()?;
        }
        Ok(stop)
    }

    fn link(&mut self, event: LinkEvent) -> Result<(), Failure> {
        match event {
            LinkEvent::Connected { peer, link } => {
                self.links.insert(peer, link);
                self.engine.link(Input::Connected(peer))
            }
            LinkEvent::Frame { peer, link, bytes } if self.links.get(&peer) == Some(&link) => {
                self.engine.link(Input::Frame { peer, bytes })
            }
            LinkEvent::Disconnected { peer, link, reason } if self.links.get(&peer) == Some(&link) => {
                self.links.remove(&peer);
                tracing::info!(%peer, "link down: {reason}");
                self.engine.note_text(now_ms(), format!("link with {peer} is down: {reason}"));
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
                peer["bytes_sent"] = stats.sent.into();
                peer["bytes_received"] = stats.received.into();
            }
        }
        value
    }
}
