//! Connections that come in, and what every connection goes through before it is a link.
//!
//! ```text
//! handshake (this room's gate) -> certificate, membership -> greeting -> one of two stays -> link
//! ```
//!
//! A handshake costs a signature and memory before we know who is there. So only so many are under way at once, in
//! all and from one address; beyond a few an address must first prove that it can be answered (QUIC's Retry), and past
//! the limit it is turned away. Live links feel nothing of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certs::{NodeName, UnixTime};
use quinn::{Connection, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout};

use super::budget::Bucket;
use super::link::{Live, Outranked};
use super::refusal::{End, Verdict, read, short};
use super::streams::{Lanes, Outlets, Reader, greet, greeting};
use super::{Driver, LinkEvent, lock};

/// Handshakes under way at once.
const MAX_PENDING: usize = 128;

/// Handshakes under way at once from one address: a whole province may sit behind one.
const MAX_OF_ONE: usize = 32;

/// From so many on, an address has to prove itself first.
const PROVE_FROM: usize = 16;

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Pending {
    all: usize,
    of: BTreeMap<IpAddr, usize>,
}

/// Counts handshakes under way.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<Mutex<Pending>>);

/// What the gate says to a handshake.
#[derive(Debug)]
enum Entry {
    In(Pass),
    /// The address must first prove itself.
    Prove,
    Away,
}

/// Held while a handshake is under way.
#[derive(Debug)]
struct Pass {
    gate: Gate,
    from: IpAddr,
}

impl Gate {
    fn enter(&self, from: IpAddr, proven: bool) -> Entry {
        let mut pending = lock(&self.0);
        let of_one = pending.of.get(&from).copied().unwrap_or(0);
        if !proven && pending.all >= PROVE_FROM {
            return Entry::Prove;
        }
        if pending.all >= MAX_PENDING || of_one >= MAX_OF_ONE {
            return Entry::Away;
        }
        pending.all += 1;
        pending.of.insert(from, of_one + 1);
        Entry::In(Pass { gate: self.clone(), from })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut pending = lock(&self.gate.0);
        pending.all -= 1;
        let left = pending.of.get(&self.from).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            pending.of.remove(&self.from);
        } else {
            pending.of.insert(self.from, left);
        }
    }
}

impl Driver {
    pub(super) async fn accept(self) {
        let gate = Gate::default();
        while let Some(incoming) = self.0.endpoint.accept().await {
            let from = incoming.remote_address().ip();
            let pass = match gate.enter(from, incoming.remote_address_validated()) {
                Entry::In(pass) => pass,
                Entry::Prove if incoming.may_retry() => {
                    let _ = incoming.retry();
                    continue;
                }
                Entry::Prove | Entry::Away => {
                    incoming.ignore();
                    let why = format!(
                        "too many handshakes at once from {from} and others; some were turned away, live links go on"
                    );
                    self.refused(None, &why).await;
                    continue;
                }
            };
            let driver = self.clone();
            tokio::spawn(async move {
                let Ok(connecting) = incoming.accept() else { return };
                match timeout(HANDSHAKE, connecting).await {
                    Ok(Ok(connection)) => {
                        driver.serve(connection, None, Some(pass)).await;
                    }
                    Ok(Err(e)) => {
                        driver.failed(None, &e, &format!(" (from {from})")).await;
                    }
                    Err(_) => {
                        let why = format!(
                            "a handshake from {from} was not finished within {} s",
                            HANDSHAKE.as_secs()
                        );
                        driver.refused(None, &why).await;
                    }
                }
            });
        }
    }

    /// Says why a handshake failed, and what that means for the next attempt.
    pub(super) async fn failed(
        &self,
        peer: Option<NodeName>,
        error: &quinn::ConnectionError,
        place: &str,
    ) -> Verdict {
        let (verdict, reason) = read(error);
        let judged = self.0.meetings.take_refused();
        let ours = matches!(error, quinn::ConnectionError::TransportError(_)) && !judged.is_empty();
        for (named, refusal) in judged {
            self.refused(named.or(peer), &format!("{refusal}{place}")).await;
        }
        if let Some(reason) = reason.filter(|_| !ours) {
            self.refused(peer, &format!("{reason}{place}")).await;
        }
        verdict
    }

    /// Checks who is there and carries frames until the connection ends.
    pub(super) async fn serve<P>(
        &self,
        connection: Connection,
        dialled: Option<NodeName>,
        pass: Option<P>,
    ) -> Verdict {
        let peer = match self.check(&connection) {
            Ok(peer) if dialled.is_none_or(|d| d == peer) => peer,
            Ok(peer) => {
                return self.turn_away(connection, Some(peer), "this is not the node that was dialled").await;
            }
            Err((peer, reason)) => return self.turn_away(connection, peer.or(dialled), &reason).await,
        };
        if let Some(reason) = self.unwelcome(peer) {
            return self.turn_away(connection, Some(peer), &reason).await;
        }
        let link = self.0.links.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (lanes, outlets) = Lanes::new();
        let new = Live {
            link,
            connection: connection.clone(),
            incarnation: None,
            dialled: dialled.is_some(),
            lanes,
            why: None,
        };
        // The dialler greets first and speaks on: so a connection that is turned away is in use at its dialler for a
        // moment, and never up.
        let mut outlets = Some(outlets);
        let mut control = match dialled {
            Some(_) => greet(&connection, self.0.incarnation).await,
            None => None,
        };
        let opened = control.is_some() && self.open(peer, &new);
        if opened {
            self.begin(peer, &new, control.take(), outlets.take()).await;
        }
        let greeted = greeting(&connection).await;
        drop(pass);
        let Some((first, incarnation)) = greeted else {
            return self.ungreeted(&connection, peer, link, opened).await;
        };
        match self.settle(peer, new.clone(), incarnation, opened).await {
            Ok(()) => {}
            Err(Outranked::Crossing) => {
                connection.close(End::Crossing.code(), b"another connection stays");
                return Verdict::Crossed;
            }
            Err(Outranked::Copy(reason)) => return self.turn_away(connection, Some(peer), &reason).await,
        }
        if !opened {
            if control.is_none() {
                control = greet(&connection, self.0.incarnation).await;
            }
            self.begin(peer, &new, control, outlets).await;
        }
        self.tell(LinkEvent::Connected { peer, link }).await;
        Reader::new(self.clone(), connection.clone(), peer, link).read(first).await;
        self.ended(&connection, peer, link).await
    }

    /// Frames may go out from here on. `control` has greeted; without it the connection is ending.
    async fn begin(&self, peer: NodeName, new: &Live, control: Option<SendStream>, outlets: Option<Outlets>) {
        self.tell(LinkEvent::Opened { peer, link: new.link }).await;
        if let (Some(control), Some(outlets)) = (control, outlets) {
            let feed = self.0.congestion.feed().map(|rate| Arc::new(Bucket::new(rate)));
            tokio::spawn(outlets.write(new.connection.clone(), control, feed));
        }
    }

    /// Ends a connection whose peer has not greeted.
    async fn ungreeted(&self, connection: &Connection, peer: NodeName, link: u64, opened: bool) -> Verdict {
        let why = connection.close_reason();
        connection.close(End::Misbehaved.code(), b"no greeting");
        if opened && !self.is_live(peer, link) {
            return Verdict::Crossed; // another connection has taken its place meanwhile
        }
        self.drop_link(peer, link, End::Misbehaved, "").await;
        match why {
            Some(e) => self.failed(Some(peer), &e, "").await,
            None => {
                self.refused(Some(peer), "the connection was made and nothing was said on it").await;
                Verdict::Unreachable
            }
        }
    }

    async fn ended(&self, connection: &Connection, peer: NodeName, link: u64) -> Verdict {
        let why = connection.closed().await;
        let (verdict, reason) = read(&why);
        let reason = match (&why, reason) {
            (quinn::ConnectionError::ApplicationClosed(_), Some(reason)) => {
                format!("{peer} ended the link: {reason}")
            }
            (quinn::ConnectionError::ApplicationClosed(_), None) => {
                format!("{peer} ended the link: another connection with it stays")
            }
            (quinn::ConnectionError::LocallyClosed, _) => "this node ended the link".to_owned(),
            (quinn::ConnectionError::TimedOut, _) => "nothing was heard for 45 s".to_owned(),
            (quinn::ConnectionError::Reset, _) => {
                format!("{peer} knows nothing of the link; it has restarted")
            }
            (_, reason) => reason.unwrap_or_else(|| why.to_string()),
        };
        self.drop_link(peer, link, End::Silent, &reason).await;
        verdict
    }

    /// Ends a connection that is not to be a link; both operators read why.
    async fn turn_away(&self, connection: Connection, peer: Option<NodeName>, reason: &str) -> Verdict {
        connection.close(End::Refused.code(), short(reason).as_bytes());
        self.refused(peer, reason).await;
        Verdict::Refused
    }

    /// Why a peer is not let in now, whoever it is.
    fn unwelcome(&self, peer: NodeName) -> Option<String> {
        if lock(&self.0.held).contains(&peer) {
            return Some("an operator holds this link down".to_owned());
        }
        let blamed = lock(&self.0.blamed);
        let (until, why) = blamed.get(&peer)?;
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(format!("left alone for {} s more: {why}", left.as_secs().max(1)))
    }

    /// Who is on the other side, if it is somebody whom this node trusts now; otherwise who it claims to be, and why
    /// not.
    pub(super) fn check(&self, connection: &Connection) -> Result<NodeName, (Option<NodeName>, String)> {
        let chain = connection
            .peer_identity()
            .and_then(|i| i.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or_else(|| (None, "the peer showed no certificate".to_owned()))?;
        let claimed = certs::tls::peer_name(&chain);
        let now = self.0.time.current_time().map_or(UnixTime::from_secs(0), UnixTime::from);
        lock(&self.0.trust)
            .check(&chain, now)
            .map_err(|e| (claimed.clone().ok(), format!("your certificate is not accepted: {e}")))?;
        claimed.map_err(|e| (None, e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_one_address_leaves_room_for_others() {
        let gate = Gate::default();
        let hostile: IpAddr = "10.0.0.66".parse().unwrap();
        let mut passes = Vec::new();
        for proven in [false, true] {
            for _ in 0..1_000 {
                if let Entry::In(pass) = gate.enter(hostile, proven) {
                    passes.push(pass);
                }
            }
        }
        assert_eq!(passes.len(), MAX_OF_ONE);
        let honest: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(matches!(gate.enter(honest, false), Entry::Prove), "first it proves its address");
        assert!(matches!(gate.enter(honest, true), Entry::In(_)), "then it is let in");
        passes.clear();
        assert!(matches!(gate.enter(honest, false), Entry::In(_)), "in quiet times at once");
        assert!(lock(&gate.0).of.is_empty(), "and nothing is remembered");
    }

    #[test]
    fn a_flood_from_many_addresses_is_bounded() {
        let gate = Gate::default();
        let passes: Vec<Entry> =
            (0u32..100_000).map(|n| gate.enter(IpAddr::from(n.to_be_bytes()), true)).collect();
        let inside = passes.iter().filter(|e| matches!(e, Entry::In(_))).count();
        assert_eq!(inside, MAX_PENDING);
        assert_eq!(lock(&gate.0).of.len(), MAX_PENDING);
    }
}
