//! A few replicas side by side, frames carried by hand: the paths that the simulated world takes by chance.

mod arrival;
mod beginning;
mod bundles;
mod damage;
mod erase;
mod exchange;
mod files;
mod judging;
mod lacking;

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ScalarValue};
use certs::Site;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::document::Write;
use crate::matter::{Ruling, Standing};
use crate::store::Durable;
use crate::store::memory::Memory;

/// Everybody's keys come from their names.
struct Roll {
    me: NodeName,
    revoked: BTreeMap<NodeName, Vec<SealHash>>,
}

fn pair(node: NodeName) -> Ed25519KeyPair {
    let seed = blake3::hash(node.to_string().as_bytes());
    Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()).unwrap()
}

impl Trust for Roll {
    fn context(&self) -> Vec<u8> {
        b"test\0".to_vec()
    }
    fn keys(&self, node: NodeName) -> Vec<[u8; 32]> {
        vec![pair(node).public_key().as_ref().try_into().unwrap()]
    }
    fn membership(&self, node: NodeName) -> Membership {
        match self.revoked.get(&node) {
            Some(counts) => Membership::Revoked { counts: counts.clone(), reason: "stolen".into() },
            None => Membership::Member,
        }
    }
    fn admit(&mut self, kind: Kind, bytes: &[u8]) -> Admission {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut words = text.split(' ');
        let node: NodeName = words.next().unwrap().parse().unwrap();
        match kind {
            Kind::RECORD => Admission::Kept(node),
            _ => {
                self.revoked.insert(node, words.map(|w| w.parse().unwrap()).collect());
                Admission::Revokes(node, vec![node])
            }
        }
    }
    fn sign(&self, words: &[u8]) -> [u8; 64] {
        let bytes = [&b"test\0"[..], words].concat();
        pair(self.me).sign(&bytes).as_ref().try_into().unwrap()
    }
}

/// A document whose values name the sites that must hold it: `370200`, or `370000/` for all below one.
#[derive(Clone, Default)]
struct Letter {
    sites: BTreeSet<Site>,
    regions: BTreeSet<Site>,
    counted: BTreeSet<String>,
}

impl Matter for Letter {
    type Reading = Vec<Write>;
    fn read(&self, _: &Witnessed, writes: &[Write]) -> std::result::Result<Vec<Write>, Refusal> {
        Ok(writes.to_vec())
    }
    fn judge(&self, _: &Document, _: &Witnessed, writes: &Vec<Write>) -> std::result::Result<(), Refusal> {
        let forbidden = writes.iter().any(|w| matches!(w, Write::Put { key, .. } if key == "forbidden"));
        if forbidden { Err(Refusal::Rule("forbidden".into())) } else { Ok(()) }
    }
    fn take(&mut self, change: &Witnessed, writes: Vec<Write>) {
        let author = change.author.site();
        self.sites.extend(std::iter::once(author).chain(author.superiors()));
        for write in writes {
            if let Write::Put { key, value: ScalarValue::Str(v), .. } = write {
                if let Ok(site) = v.parse::<Site>() {
                    self.sites.insert(site);
                    self.sites.extend(site.superiors());
                }
                self.regions.extend(v.strip_suffix('/').and_then(|top| top.parse::<Site>().ok()));
                if change.counted {
                    self.counted.insert(key.clone());
                }
            }
        }
    }
    fn judge_erased(&self, author: NodeName, _: &[u8], _: Vec<Self::Reading>) -> Ruling {
        match author.site() == "370200".parse().unwrap() {
            true => Ruling::Refused(Refusal::Rule("370200 erases nothing".into())),
            false => Ruling::Stands,
        }
    }
    fn standing(&self) -> Standing {
        let audience = self.sites.iter().copied().collect::<crate::item::Audience>();
        Standing { audience: audience.with_regions(self.regions.iter().copied()), class: Class::Ordinary }
    }
}

struct Desk;

impl Domain<Memory> for Desk {
    type Matter = Letter;
    type Row = ();
    fn begin(&self, _: DocId) -> Letter {
        Letter::default()
    }
    fn row(_: &Document, _: &Letter) {}
    fn project(&mut self, _: &mut Memory, _: &DocId, (): ()) -> store::Result<()> {
        Ok(())
    }
    fn keep(&mut self, _: &mut Memory, _: &Item) -> store::Result<()> {
        Ok(())
    }
}

struct Node {
    store: Memory,
    replica: Replica<Roll, Letter>,
    told: Vec<Event>,
}

/// Nodes and the frames between them.
struct World {
    nodes: BTreeMap<NodeName, Node>,
    wire: VecDeque<(NodeName, NodeName, Vec<u8>)>,
    links: BTreeSet<(NodeName, NodeName)>,
    now: u64,
    bytes: usize,
    tamper: Option<fn(&mut Vec<u8>)>,
}

fn name(s: &str) -> NodeName {
    s.parse().unwrap()
}

fn open(me: NodeName, mut store: Memory, life: u8) -> Node {
    let roll = Roll { me, revoked: BTreeMap::new() };
    let replica = Replica::open(me, roll, [life; 32], 100, &mut store).unwrap();
    Node { store, replica, told: Vec::new() }
}

impl World {
    fn new(names: &[&str]) -> World {
        let mut world = World {
            nodes: BTreeMap::new(),
            wire: VecDeque::new(),
            links: BTreeSet::new(),
            now: 1_000,
            bytes: 0,
            tamper: None,
        };
        for (life, n) in (1..).zip(names) {
            world.nodes.insert(name(n), open(name(n), Memory::new(), life));
        }
        world
    }

    fn at<R>(
        &mut self,
        me: NodeName,
        work: impl FnOnce(&mut Replica<Roll, Letter>, &mut Memory, u64) -> R,
    ) -> R {
        let node = self.nodes.get_mut(&me).unwrap();
        node.store.begin().unwrap();
        let result = work(&mut node.replica, &mut node.store, self.now);
        node.replica.flush(self.now, &mut node.store, &mut Desk).unwrap();
        node.store.commit().unwrap();
        for effect in node.replica.effects() {
            match effect {
                Effect::Send { peer, mut bytes, .. } => {
                    self.bytes += bytes.len() + 4;
                    if let Some(tamper) = self.tamper {
                        tamper(&mut bytes);
                    }
                    self.wire.push_back((me, peer, bytes));
                }
                Effect::Close { peer, .. } => {
                    self.links.remove(&(me, peer));
                    self.links.remove(&(peer, me));
                }
                Effect::Tell(event) => node.told.push(event),
            }
        }
        result
    }

    fn join(&mut self, node: &str) {
        let life = u8::try_from(self.nodes.len()).unwrap() + 100;
        self.nodes.insert(name(node), open(name(node), Memory::new(), life));
    }

    fn link(&mut self, a: &str, b: &str) {
        for (x, y) in [(name(a), name(b)), (name(b), name(a))] {
            self.links.insert((x, y));
            self.at(x, |r, s, now| r.step(now, Input::Connected(y), s, &mut Desk).unwrap());
        }
    }

    fn cut(&mut self, a: &str, b: &str) {
        self.wire.retain(|(x, y, _)| !((*x == name(a) && *y == name(b)) || (*x == name(b) && *y == name(a))));
        for (x, y) in [(name(a), name(b)), (name(b), name(a))] {
            self.links.remove(&(x, y));
            self.at(x, |r, s, now| r.step(now, Input::Disconnected(y), s, &mut Desk).unwrap());
        }
    }

    /// Carries frames until nobody has anything to say; panics when they never stop.
    fn settle(&mut self) {
        for round in 0..40 {
            let mut quiet = 0;
            while let Some((from, to, bytes)) = self.wire.pop_front() {
                quiet += 1;
                assert!(quiet < 5_000, "they never stop");
                if self.links.contains(&(to, from)) {
                    self.at(to, |r, s, now| {
                        r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap()
                    });
                }
            }
            self.now += 6_000;
            let names: Vec<NodeName> = self.nodes.keys().copied().collect();
            names
                .into_iter()
                .for_each(|n| self.at(n, |r, s, now| r.step(now, Input::Tick, s, &mut Desk).unwrap()));
            if self.wire.is_empty() && round > 1 {
                return;
            }
        }
        panic!("they never settle");
    }

    fn write(&mut self, who: &str, doc: Option<DocId>, key: &str, value: &str) -> DocId {
        self.try_write(who, doc, key, value).unwrap()
    }

    fn try_write(
        &mut self,
        who: &str,
        doc: Option<DocId>,
        key: &str,
        value: &str,
    ) -> Result<DocId, WriteError<automerge::AutomergeError>> {
        let fresh = doc.is_none();
        self.at(name(who), |r, s, _| {
            r.write(doc, s, &mut Desk, |document, tx| {
                let map = if fresh {
                    tx.put_object(ROOT, "facts", ObjType::Map)?
                } else {
                    document.part("facts").unwrap()
                };
                tx.put(&map, key, value)
            })
        })
    }

    fn hashes(&self, who: &str) -> BTreeSet<ItemHash> {
        self.nodes[&name(who)].store.items().map(|i| i.hash).collect()
    }

    /// Both have counted the same for their pair, whatever else each holds.
    fn assert_proved(&self, a: &str, b: &str) {
        let digest = |of: &str, with: &str| {
            let replica = &self.nodes[&name(of)].replica;
            assert!(replica.link(name(with)).digest_equal, "{of} has no proof of {with}");
            let pair = replica.peers().find(|(peer, _)| *peer == name(with)).unwrap().1;
            (pair.digest.count(), pair.digest.fingerprint())
        };
        assert_eq!(digest(a, b), digest(b, a), "{a} {b}");
    }

    fn assert_equal(&self, a: &str, b: &str) {
        let (x, y) = (&self.nodes[&name(a)], &self.nodes[&name(b)]);
        assert!(x.replica.link(name(b)).digest_equal, "{a} has no proof of {b}");
        assert!(y.replica.link(name(a)).digest_equal, "{b} has no proof of {a}");
        assert_eq!(self.hashes(a), self.hashes(b), "{a} {b}");
    }

    fn owed(&mut self, who: &str, peer: &str) -> u64 {
        self.nodes.get_mut(&name(who)).unwrap().store.owed_count(name(peer)).unwrap()
    }

    fn told(&self, who: &str) -> &[Event] {
        &self.nodes[&name(who)].told
    }

    fn value(&mut self, who: &str, doc: DocId, key: &str) -> Option<String> {
        use automerge::ReadDoc;
        self.at(name(who), |r, s, _| {
            let (document, _) = r.open_document(doc, s, &Desk).unwrap()?;
            let map = document.part("facts")?;
            document
                .automerge()
                .get(&map, key)
                .unwrap()
                .map(|(v, _)| v.as_str().unwrap_or_default().to_owned())
        })
    }
}
