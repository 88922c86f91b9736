//! Who is who in the world: the [`Trust`] of a simulated node.
//!
//! Cheap, and honest: every node and every authority has an Ed25519 key that follows from its name; records and
//! revocations are directory items that the province's authority (the ministry's for the ministry) has signed, and
//! whoever did not get a node's record yet does not know the node.

use std::collections::BTreeMap;

use certs::{NodeName, Site};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sync::id::SealHash;
use sync::item::Kind;
use sync::trust::{Admission, Membership, Trust};

const CONTEXT: &[u8] = b"hotline world seal\0";

/// A directory item: what an authority says.
#[derive(Serialize, Deserialize)]
struct Said {
    body: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    node: NodeName,
    key: [u8; 32],
}

#[derive(Clone, Serialize, Deserialize)]
struct Revocation {
    number: u32,
    node: NodeName,
    counts: Vec<SealHash>,
}

/// What one node knows of all.
pub struct Book {
    keys: Ed25519KeyPair,
    records: BTreeMap<NodeName, [u8; 32]>,
    revoked: BTreeMap<NodeName, Revocation>,
    blind: bool,
    changes: usize,
}

/// The key that belongs to a name.
fn key_of(name: &str) -> Ed25519KeyPair {
    let seed = blake3::derive_key("hotline world key", name.as_bytes());
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed")
}

fn authority(of: NodeName) -> Ed25519KeyPair {
    key_of(&format!("authority of {}", of.site().province().unwrap_or(Site::MINISTRY)))
}

fn public(keys: &Ed25519KeyPair) -> [u8; 32] {
    keys.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
}

fn say(of: NodeName, body: &impl Serialize) -> Vec<u8> {
    let body = postcard::to_stdvec(body).expect("plain values have a byte form");
    let signature = authority(of).sign(&body).as_ref().to_vec();
    postcard::to_stdvec(&Said { body, signature }).expect("plain values have a byte form")
}

/// The node's record, as its authority signs it.
pub fn record(node: NodeName) -> Vec<u8> {
    say(node, &Record { node, key: public(&key_of(&node.to_string())) })
}

/// The authority's word that this node is revoked, and which of its seals are the last that count.
pub fn revocation(node: NodeName, number: u32, counts: Vec<SealHash>) -> Vec<u8> {
    say(node, &Revocation { number, node, counts })
}

/// A signature of a seal's words with the key of `node`.
pub fn sign(node: NodeName, words: &[u8]) -> [u8; 64] {
    let signature = key_of(&node.to_string()).sign(&[CONTEXT, words].concat());
    signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
}

impl Book {
    /// The book of a node that knows nobody yet. A `blind` one takes every key for everybody's: sabotage.
    pub fn new(me: NodeName, blind: bool) -> Book {
        let keys = key_of(&me.to_string());
        Book { keys, records: BTreeMap::new(), revoked: BTreeMap::new(), blind, changes: 0 }
    }

    /// Whether the node is known to be revoked.
    pub fn is_revoked(&self, node: NodeName) -> bool {
        self.revoked.contains_key(&node)
    }

    /// The nodes that are known and not revoked.
    pub fn members(&self) -> impl Iterator<Item = NodeName> {
        self.records.keys().copied().filter(|node| !self.is_revoked(*node))
    }

    /// How often that may have changed.
    pub fn changes(&self) -> usize {
        self.changes
    }

    fn take(&mut self, kind: Kind, body: &[u8]) -> Option<(NodeName, Admission)> {
        match kind {
            Kind::RECORD => {
                let Record { node, key } = postcard::from_bytes(body).ok()?;
                let old = self.records.insert(node, key);
                let older = old.is_some();
                Some((node, if older { Admission::Older(node) } else { Admission::Kept(node) }))
            }
            Kind::REVOCATION => {
                let new: Revocation = postcard::from_bytes(body).ok()?;
                let node = new.node;
                if self.revoked.get(&node).is_some_and(|old| old.number >= new.number) {
                    return Some((node, Admission::Older(node)));
                }
                self.revoked.insert(node, new);
                Some((node, Admission::Revokes(node, vec![node])))
            }
            _ => None,
        }
    }
}

impl Trust for Book {
    fn context(&self) -> Vec<u8> {
        CONTEXT.to_vec()
    }

    fn keys(&self, node: NodeName) -> Vec<[u8; 32]> {
        if self.blind {
            return self.records.values().copied().collect();
        }
        self.records.get(&node).copied().into_iter().collect()
    }

    fn membership(&self, node: NodeName) -> Membership {
        match self.revoked.get(&node) {
            Some(r) => Membership::Revoked { counts: r.counts.clone(), reason: "stolen".to_owned() },
            None if self.records.contains_key(&node) => Membership::Member,
            None => Membership::Unknown,
        }
    }

    fn admit(&mut self, kind: Kind, bytes: &[u8]) -> Admission {
        let refused = |why: &str| Admission::Refused(why.to_owned());
        let Ok(Said { body, signature }) = postcard::from_bytes(bytes) else {
            return refused("it cannot be read");
        };
        let node = match kind {
            Kind::RECORD => postcard::from_bytes(&body).ok().map(|r: Record| r.node),
            Kind::REVOCATION => postcard::from_bytes(&body).ok().map(|r: Revocation| r.node),
            _ => None,
        };
        let Some(node) = node else { return refused("it speaks of nobody") };
        let key = public(&authority(node));
        if UnparsedPublicKey::new(&ED25519, key).verify(&body, &signature).is_err() {
            return refused("its authority did not sign it");
        }
        self.changes += 1;
        self.take(kind, &body).map_or_else(|| refused("it speaks of nobody"), |(_, admission)| admission)
    }

    fn sign(&self, words: &[u8]) -> [u8; 64] {
        let signature = self.keys.sign(&[CONTEXT, words].concat());
        signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}
