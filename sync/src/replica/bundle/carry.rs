//! Parcels on their way: each linked peer that is nearer to the addressee takes them over.
//!
//! ```text
//! holds a parcel                       nearer to the addressee
//!   | -- carry: from, to, bytes  ----->   | kept; fsync
//!   | <-- carried: hash          ------   |
//!   | forgotten                           | the same again, or it is for this node
//! ```
//!
//! Nearer is a matter of names alone: steps up and down the tiers. So no parcel ever goes in a circle. What is carried
//! is bounded; past that the oldest is dropped, and whoever sent it sends it again.

use std::collections::BTreeMap;

use certs::{NodeName, Site};

use super::super::Replica;
use crate::matter::Matter;
use crate::store::bundles::{Carried, parcel_id};
use crate::store::{self, Store};
use crate::trust::{Membership, Trust};
use crate::wire::{CarryBody, Frame, Lane};

/// Most parcels of others that are kept, and most bytes of them.
pub const MAX_CARRIED: usize = 8_192;
/// See [`MAX_CARRIED`].
pub const MAX_CARRIED_BYTES: u64 = 256 << 20;

/// Parcels on their way to one peer at once.
const AT_ONCE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Carrying {
    /// What is kept, once it was looked at.
    rows: Option<Vec<Carried>>,
    /// On their way to a peer, with the hashes that it will answer.
    sent: BTreeMap<NodeName, BTreeMap<[u8; 32], [u8; 32]>>,
    /// Something may go now that could not before.
    pub(super) stirred: bool,
}

/// How many steps up and down the tiers lead from one site to another.
pub fn distance(from: Site, to: Site) -> usize {
    let common = from.common_superior(to);
    let steps = |site: Site| {
        std::iter::once(site).chain(site.superiors()).position(|s| s == common).unwrap_or_default()
    };
    steps(from) + steps(to)
}

impl<T: Trust, M: Matter> Replica<T, M> {
    fn kept_parcels<S: Store>(&mut self, store: &mut S) -> store::Result<&mut Vec<Carried>> {
        let rows = match self.bundles.carry.rows.take() {
            Some(rows) => rows,
            None => store.carried()?,
        };
        Ok(self.bundles.carry.rows.insert(rows))
    }

    /// The parcels that are kept here, the oldest first.
    pub fn parcels<S: Store>(&mut self, store: &mut S) -> store::Result<Vec<Carried>> {
        Ok(self.kept_parcels(store)?.clone())
    }

    /// The parcels that have come for this node and wait to be opened.
    pub fn parcels_for_me<S: Store>(&mut self, store: &mut S) -> store::Result<Vec<[u8; 32]>> {
        let me = self.me;
        Ok(self.kept_parcels(store)?.iter().filter(|p| p.to == me).map(|p| p.id).collect())
    }

    /// A link is up: it may lead somewhere.
    pub(in super::super) fn look_at_parcels(&mut self) {
        self.bundles.carry.stirred = true;
    }

    /// Keeps a parcel that is on its way to another node, or to this one. `false` when it was here already.
    pub fn carry<S: Store>(
        &mut self,
        from: NodeName,
        to: NodeName,
        bytes: &[u8],
        store: &mut S,
    ) -> store::Result<bool> {
        let me = self.me;
        self.bundles.carry.stirred = true;
        let rows = self.kept_parcels(store)?;
        if !store.carry(from, to, bytes)? {
            return Ok(false);
        }
        rows.push(Carried { id: parcel_id(to, bytes), from, to, size: bytes.len() as u64, taken: 0 });
        let (mut count, mut size) = (rows.len(), rows.iter().map(|r| r.size).sum::<u64>());
        let mut oldest = Vec::new();
        for row in rows.iter().filter(|row| row.to != me) {
            if count <= MAX_CARRIED && size <= MAX_CARRIED_BYTES {
                break;
            }
            (count, size) = (count - 1, size - row.size);
            oldest.push(row.id);
        }
        oldest.iter().try_for_each(|id| self.drop_parcel(id, store))?;
        Ok(true)
    }

    /// A bundle has taken a parcel along; how many have by now.
    pub fn taken_along<S: Store>(&mut self, id: &[u8; 32], store: &mut S) -> store::Result<u32> {
        store.note_taken(id)?;
        let mut rows = self.kept_parcels(store)?.iter_mut();
        Ok(rows.find(|row| row.id == *id).map_or(0, |row| {
            row.taken += 1;
            row.taken
        }))
    }

    /// Forgets a parcel.
    pub fn drop_parcel<S: Store>(&mut self, id: &[u8; 32], store: &mut S) -> store::Result<()> {
        self.kept_parcels(store)?.retain(|row| row.id != *id);
        store.drop_carried(id)
    }

    /// Whether a parcel for `to` is better off with `via` than here.
    pub fn is_on_the_way(&self, via: NodeName, to: NodeName) -> bool {
        via == to || to != self.me && distance(via.site(), to.site()) < distance(self.me.site(), to.site())
    }

    /// Hands parcels to linked peers that are nearer to whom they are for. Called once before every commit.
    pub(in super::super) fn pass_parcels_on<S: Store>(&mut self, store: &mut S) -> store::Result<()> {
        if self.links.is_empty() {
            self.bundles.carry.sent.clear();
            self.bundles.carry.stirred = true;
            return Ok(());
        }
        if !std::mem::take(&mut self.bundles.carry.stirred) {
            return Ok(());
        }
        let (me, links) = (self.me, &self.links);
        self.bundles.carry.sent.retain(|peer, _| links.contains_key(peer));
        let linked: Vec<NodeName> =
            links.iter().filter(|(_, link)| link.view().connected).map(|(peer, _)| *peer).collect();
        for Carried { id, from, to, .. } in self.parcels(store)? {
            let nearer = |peer: &&NodeName| self.is_on_the_way(**peer, to) && **peer != from;
            let best =
                linked.iter().filter(nearer).min_by_key(|p| (**p != to, distance(p.site(), to.site())));
            let Some(peer) = best.copied().filter(|_| to != me) else { continue };
            let sent = self.bundles.carry.sent.entry(peer).or_default();
            if sent.len() >= AT_ONCE || sent.contains_key(&id) {
                continue;
            }
            if let Some(bytes) = store.carried_bytes(&id)? {
                let hash = *blake3::hash(&bytes).as_bytes();
                // The answer names the bytes alone: what goes to two nodes through one peer goes once after the other.
                if sent.values().any(|other| *other == hash) {
                    continue;
                }
                sent.insert(id, hash);
                self.send(peer, Lane::Bulk, &Frame::Carry(CarryBody { from, to, bytes }));
            }
        }
        Ok(())
    }

    /// A peer hands a parcel over.
    pub(in super::super) fn take_parcel<S: Store>(
        &mut self,
        peer: NodeName,
        CarryBody { from, to, bytes }: CarryBody,
        store: &mut S,
    ) -> store::Result<()> {
        let revoked = matches!(self.trust.membership(from), Membership::Revoked { .. });
        if !revoked && from != self.me {
            self.carry(from, to, &bytes, store)?;
        }
        self.send(peer, Lane::Control, &Frame::Carried(*blake3::hash(&bytes).as_bytes()));
        Ok(())
    }

    /// A peer has taken a parcel over.
    pub(in super::super) fn parcel_taken<S: Store>(
        &mut self,
        peer: NodeName,
        hash: &[u8; 32],
        store: &mut S,
    ) -> store::Result<()> {
        // Only what it was given: a peer makes nobody forget what it never had.
        let Some(sent) = self.bundles.carry.sent.get_mut(&peer) else { return Ok(()) };
        let Some(id) = sent.iter().find(|(_, bytes)| *bytes == hash).map(|(id, _)| *id) else {
            return Ok(());
        };
        sent.remove(&id);
        self.bundles.carry.stirred = true;
        self.drop_parcel(&id, store)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_steps_up_and_down() {
        let check = |a: &str, b: &str, steps: usize| {
            let (a, b): (Site, Site) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((distance(a, b), distance(b, a)), (steps, steps), "{a} {b}");
        };
        check("370100", "370100", 0);
        check("370100-01", "370100", 1);
        check("370100-01", "370000", 2);
        check("370100-01", "000000", 3);
        check("370100-01", "370200", 3);
        check("370100", "510100", 4);
    }
}
