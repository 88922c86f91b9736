//! Live connections: one for each peer, and which of two stays.
//!
//! Both ends may dial, so two connections can cross; a process that was killed dials anew while its old connection
//! still looks alive; and a copied disk makes two nodes with one name. Both ends decide alike, for the rule reads only
//! what both know: who dialled, and the incarnation that each side greeted with.
//!
//! A dialler takes its connection into use before the other side has greeted; until then it counts as one with the
//! incarnation of whatever it is compared with, and it comes into use only where there is no other.
//!
//! ```text
//! the new connection's peer is ...         the old one's dialler    then
//! of another incarnation                   anybody                  the new one waits until the old one is silent
//! of the same incarnation                  the same                 the new one stays: its dialler has lost the old
//! of the same incarnation                  the other side           the greater name's stays; if that is the old
//!                                                                   one, the new one waits until it is silent
//! ```

use std::time::Duration;

use certs::NodeName;
use quinn::Connection;

use super::refusal::{End, short};
use super::streams::Lanes;
use super::{Driver, LinkEvent, lock};
use crate::id::Incarnation;
use crate::wire::Lane;

/// A frame of a type that every version skips: it asks for nothing but an acknowledgement.
const PROBE: u8 = 255;

/// How long a connection may take to show a sign of life, at least.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// A live connection.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) link: u64,
    pub(super) connection: Connection,
    /// `None` until the peer has greeted.
    pub(super) incarnation: Option<Incarnation>,
    /// Whether this side dialled it.
    pub(super) dialled: bool,
    pub(super) lanes: Lanes,
    /// Why this node ended it.
    pub(super) why: Option<String>,
}

/// What becomes of a new connection while there is an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rival {
    /// It takes the old one's place.
    Replaces,
    /// It comes in only if the old one is silent: both dialled at once.
    Crosses,
    /// It comes in only if the old one is silent: two processes bear one name.
    Copies,
}

fn rival(me: NodeName, peer: NodeName, old: (Option<Incarnation>, bool), new: (Incarnation, bool)) -> Rival {
    let ((old_life, old_dialled), (new_life, new_dialled)) = (old, new);
    if old_life.is_some_and(|old_life| old_life != new_life) {
        Rival::Copies
    } else if old_dialled == new_dialled || new_dialled == (me > peer) {
        Rival::Replaces
    } else {
        Rival::Crosses
    }
}

/// Why a new connection does not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outranked {
    /// Nobody needs to hear of it.
    Crossing,
    /// Both operators should.
    Copy(String),
}

impl Driver {
    /// Takes a connection that was dialled into use before the peer has greeted; `false` when another one is there.
    pub(super) fn open(&self, peer: NodeName, new: &Live) -> bool {
        let mut live = lock(&self.0.live);
        let vacant = !live.contains_key(&peer);
        if vacant {
            live.insert(peer, new.clone());
        }
        vacant
    }

    /// Whether this connection is the link with the peer.
    pub(super) fn is_live(&self, peer: NodeName, link: u64) -> bool {
        lock(&self.0.live).get(&peer).is_some_and(|live| live.link == link)
    }

    /// Makes a connection whose peer has greeted the link, if it is to be. `opened`: it is in use already.
    pub(super) async fn settle(
        &self,
        peer: NodeName,
        new: Live,
        greeted: Incarnation,
        opened: bool,
    ) -> Result<(), Outranked> {
        loop {
            let old = {
                let mut live = lock(&self.0.live);
                match live.get_mut(&peer) {
                    None if !opened => {
                        live.insert(peer, Live { incarnation: Some(greeted), ..new });
                        break;
                    }
                    Some(old) if old.link == new.link => {
                        old.incarnation = Some(greeted);
                        break;
                    }
                    // It was in use and is no longer: another one has taken its place, or an operator has ended it.
                    _ if opened => return Err(Outranked::Crossing),
                    old => old.cloned().expect("the vacant place was taken above"),
                }
            };
            let which = rival(self.0.me, peer, (old.incarnation, old.dialled), (greeted, new.dialled));
            if which == Rival::Replaces {
                self.drop_link(peer, old.link, End::Crossing, "the peer's newer connection took over").await;
            } else if !self.answers(peer, &old).await {
                let why = "no sign of life on this connection, and a new one is there";
                self.drop_link(peer, old.link, End::Silent, why).await;
            } else if which == Rival::Crosses {
                return Err(Outranked::Crossing);
            } else {
                return Err(Outranked::Copy(format!(
                    "a connection with {peer} is up already, from another process under the same name; if that is not you, a copy of this node is running"
                )));
            }
        }
        self.news(|news| news.reachable += 1);
        Ok(())
    }

    /// Whether the peer still answers on a connection. After a crash it dials again long before its old connection is
    /// given up: that one is asked for a sign of life.
    async fn answers(&self, peer: NodeName, old: &Live) -> bool {
        let heard = old.connection.stats().udp_rx.datagrams;
        self.send(peer, old.link, Lane::Control, vec![PROBE]);
        tokio::select! {
            biased;
            _ = old.connection.closed() => false,
            () = tokio::time::sleep(PROBE_WAIT.max(old.connection.rtt() * 3)) => {
                old.connection.stats().udp_rx.datagrams > heard
            }
        }
    }

    /// Ends a link and says so; whoever takes it off the table is the one who tells.
    pub(super) async fn drop_link(&self, peer: NodeName, link: u64, end: End, reason: &str) {
        let live = {
            let mut live = lock(&self.0.live);
            match live.get(&peer) {
                Some(l) if l.link == link => live.remove(&peer),
                _ => None,
            }
        };
        let Some(live) = live else { return };
        live.connection.close(end.code(), short(reason).as_bytes());
        lock(&self.0.rtts).insert(peer, live.connection.rtt());
        self.news(|_| {});
        let was_up = live.incarnation.is_some();
        let reason = live.why.or_else(|| was_up.then(|| reason.to_owned()));
        self.tell(LinkEvent::Disconnected { peer, link, reason }).await;
    }

    /// Ends a link because of what the peer did, and leaves the peer alone for a while.
    pub(super) fn misbehaved(&self, peer: NodeName, link: u64, what: &str) {
        self.end(peer, Some(link), End::Misbehaved, &format!("{peer} {what}"), what);
    }

    /// Closes a link's connection; the task that serves it tells. `ours` is for this node's operator, `theirs` for the
    /// peer's.
    pub(super) fn end(&self, peer: NodeName, link: Option<u64>, end: End, ours: &str, theirs: &str) {
        if end == End::Misbehaved {
            self.blame(peer, ours);
        }
        if let Some(live) = lock(&self.0.live).get_mut(&peer)
            && link.is_none_or(|link| live.link == link)
        {
            live.why.get_or_insert_with(|| short(ours));
            live.connection.close(end.code(), short(theirs).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(n: u8) -> Incarnation {
        Incarnation::from_bytes([n; 8])
    }

    #[test]
    fn both_ends_keep_the_same_one_of_two_crossing_connections() {
        let (low, high): (NodeName, NodeName) = ("370000".parse().unwrap(), "370100".parse().unwrap());
        // Whatever the order in which the connections come in at each end: the greater name's stays.
        for (me, peer) in [(low, high), (high, low)] {
            let by_high = me == high;
            // The one that is in use may still wait for its greeting.
            for old in [Some(life(1)), None] {
                assert_eq!(rival(me, peer, (old, !by_high), (life(1), by_high)), Rival::Replaces);
                assert_eq!(rival(me, peer, (old, by_high), (life(1), !by_high)), Rival::Crosses);
            }
        }
    }

    #[test]
    fn a_dialler_that_dials_again_has_lost_its_connection_and_another_life_must_wait() {
        let (low, high): (NodeName, NodeName) = ("370000".parse().unwrap(), "370100".parse().unwrap());
        for (me, peer) in [(low, high), (high, low)] {
            for dialled in [true, false] {
                assert_eq!(rival(me, peer, (Some(life(1)), dialled), (life(1), dialled)), Rival::Replaces);
                for new in [true, false] {
                    assert_eq!(rival(me, peer, (Some(life(1)), dialled), (life(2), new)), Rival::Copies);
                }
            }
        }
    }
}
