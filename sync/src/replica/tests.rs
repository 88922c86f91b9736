//! A few replicas side by side, frames carried by hand: the paths that the simulated world takes by chance.

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ScalarValue};
use certs::Site;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::document::Write;
use crate::matter::Standing;
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
        let node: NodeName = text.parse().unwrap();
        match kind {
            Kind::RECORD => Admission::Kept(node),
            _ => {
                self.revoked.insert(node, Vec::new());
                Admission::Revokes(node, vec![node])
            }
        }
    }
    fn sign(&self, words: &[u8]) -> [u8; 64] {
        let bytes = [&b"test\0"[..], words].concat();
        pair(self.me).sign(&bytes).as_ref().try_into().unwrap()
    }
}

/// A document whose `to` keys name the sites that must hold it.
#[derive(Clone, Default)]
struct Letter {
    sites: BTreeSet<Site>,
    counted: BTreeSet<String>,
}

impl Matter for Letter {
    fn judge(&self, _: &Document, _: &Witnessed, writes: &[Write]) -> std::result::Result<(), Refusal> {
        let forbidden = writes.iter().any(|w| matches!(w, Write::Put { key, .. } if key == "forbidden"));
        if forbidden { Err(Refusal::Rule("forbidden".into())) } else { Ok(()) }
    }
    fn take(&mut self, _: &Document, change: &Witnessed, writes: &[Write]) {
        let author = change.author.site();
        self.sites.extend(std::iter::once(author).chain(author.superiors()));
        for write in writes {
            if let Write::Put { key, value: ScalarValue::Str(v), .. } = write {
                if let Ok(site) = v.parse::<Site>() {
                    self.sites.insert(site);
                    self.sites.extend(site.superiors());
                }
                if change.counted {
                    self.counted.insert(key.clone());
                }
            }
        }
    }
    fn standing(&self) -> Standing {
        Standing { audience: self.sites.iter().copied().collect(), class: Class::Ordinary }
    }
}

struct Desk;

impl Domain<Memory> for Desk {
    type Matter = Letter;
    fn begin(&self, _: DocId) -> Letter {
        Letter::default()
    }
    fn project(&mut self, _: &mut Memory, _: &Document, _: &Letter) -> store::Result<()> {
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

#[test]
fn what_was_written_while_the_link_was_down_arrives_and_is_proved() {
    let mut w = World::new(&["370000", "370100"]);
    let docs: Vec<DocId> =
        (0..50).map(|i| w.write("370100", None, "subject", &format!("letter {i}"))).collect();
    w.write("370100", Some(docs[7]), "more", "words");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(w.owed("370100", "370000"), 0);
    assert_eq!(w.value("370000", docs[7], "more").unwrap(), "words");
    assert_eq!(w.nodes[&name("370100")].replica.chain().0, 1, "one seal for the backlog");
}

#[test]
fn with_the_link_up_each_commit_has_its_seal_and_goes_at_once() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    let doc = w.write("370100", None, "subject", "one");
    w.write("370000", None, "subject", "not for the city");
    w.settle();
    w.write("370100", Some(doc), "subject", "two");
    w.settle();
    assert_eq!(w.value("370000", doc, "subject").unwrap(), "two");
    assert_eq!(w.hashes("370100").len() + 1, w.hashes("370000").len(), "the province's own stays there");
    assert!(w.nodes[&name("370000")].replica.link(name("370100")).digest_equal);
}

#[test]
fn an_idle_reconnect_costs_one_hello_each_way() {
    let mut w = World::new(&["370000", "370100"]);
    for i in 0..20 {
        w.write("370100", None, "subject", &format!("letter {i}"));
    }
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    w.bytes = 0;
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert!(w.bytes <= 300, "{} bytes", w.bytes);
}

#[test]
fn a_wider_audience_brings_the_whole_document_over_many_hops() {
    let mut w = World::new(&["000000", "370000", "370100", "510000", "510100"]);
    for (a, b) in [("000000", "370000"), ("370000", "370100"), ("000000", "510000"), ("510000", "510100")] {
        w.link(a, b);
    }
    let doc = w.write("370100", None, "subject", "letter");
    w.write("370100", Some(doc), "more", "words");
    w.settle();
    assert_eq!(w.value("510100", doc, "subject"), None);
    w.write("370100", Some(doc), "to", "510100");
    w.settle();
    assert_eq!(w.value("510100", doc, "more").unwrap(), "words");
    w.write("510100", Some(doc), "answer", "yes");
    w.settle();
    assert_eq!(w.value("370100", doc, "answer").unwrap(), "yes");
    w.assert_equal("370100", "370000");
    w.assert_equal("510100", "510000");
}

#[test]
fn a_backup_from_before_heals_and_nothing_is_lost() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    let backup = w.nodes[&name("370100")].store.clone();
    let later: Vec<DocId> =
        (0..30).map(|i| w.write("370100", None, "subject", &format!("later {i}"))).collect();
    w.write("370100", Some(doc), "subject", "two");
    w.settle();
    w.cut("370000", "370100");
    w.nodes.insert(name("370100"), open(name("370100"), backup, 99));
    w.write("370100", Some(doc), "after", "the restore");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(w.value("370100", later[3], "subject").unwrap(), "later 3");
    assert_eq!(w.value("370000", doc, "after").unwrap(), "the restore");
    assert_eq!(w.value("370100", doc, "subject").unwrap(), "two");
    assert!(w.told("370100").iter().any(|e| matches!(e, Event::Restored { .. })), "{:?}", w.told("370100"));
}

#[test]
fn two_clones_are_noticed_and_both_their_words_survive() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.cut("370000", "370100");
    let disk = w.nodes[&name("370100")].store.clone();
    let here = w.write("370100", None, "subject", "by the original");
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    let original = w.nodes.insert(name("370100"), open(name("370100"), disk, 77)).unwrap();
    let there = w.write("370100", Some(doc), "clone", "was here");
    let there_too = w.write("370100", None, "subject", "by the clone");
    assert_eq!(there, doc);
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    w.nodes.insert(name("370100"), original);
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    for d in [here, there_too] {
        assert!(w.value("370000", d, "subject").is_some());
    }
    let noticed =
        |who: &str| w.told(who).iter().any(|e| matches!(e, Event::Forked { .. } | Event::Restored { .. }));
    assert!(noticed("370000") || noticed("370100"));
}

#[test]
fn an_altered_change_is_refused_and_the_relay_blamed() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    w.tamper = Some(|bytes| {
        if bytes.first() == Some(&2)
            && let Ok(mut load) = crate::wire::Load::unpack(&bytes[9..])
            && let Some(item) = load.docs.first_mut().and_then(|d| d.items.first_mut())
        {
            let last = item.bytes.len() - 20;
            item.bytes[last] ^= 1;
            bytes.truncate(9);
            bytes.extend(load.pack());
        }
    });
    w.write("370100", None, "subject", "true words");
    w.settle();
    assert!(w.hashes("370000").is_empty());
    assert!(w.told("370000").iter().any(|e| matches!(e, Event::Misbehaved { .. })));
    w.tamper = None;
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn a_node_does_not_write_what_its_own_gate_refuses() {
    let mut w = World::new(&["370100"]);
    let refused = w.try_write("370100", None, "forbidden", "x");
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::Rule(_)))));
}

#[test]
fn a_revoked_node_is_cut_off_and_what_it_wrote_is_not_counted() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "before");
    w.settle();
    w.at(name("370000"), |r, s, _| r.put_directory(Kind::REVOCATION, b"370100", s, &mut Desk).unwrap());
    assert!(!w.links.contains(&(name("370000"), name("370100"))));
    assert!(w.told("370000").iter().any(|e| matches!(e, Event::Revoked { .. })));
    let counted = w.at(name("370000"), |r, s, _| {
        let (_, letter) = r.open_document(doc, s, &Desk).unwrap().unwrap();
        letter.counted.len()
    });
    assert_eq!(counted, 0, "no seal of its chain was named as counting");
    let totals = w.nodes.get_mut(&name("370000")).unwrap().store.totals().unwrap();
    assert_eq!((totals.items, totals.not_counted), (2, 1));
}

#[test]
fn grants_and_kinds_of_newer_versions_travel_too() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.at(name("370100"), |r, s, _| r.put(doc, Kind::GRANT, b"sealed".to_vec(), s, &mut Desk).unwrap());
    w.at(name("370100"), |r, s, _| {
        r.put(doc, Kind::new(99), b"of the future".to_vec(), s, &mut Desk).unwrap()
    });
    w.settle();
    w.assert_equal("370100", "370000");
    w.assert_equal("370000", "000000");
    assert_eq!(w.hashes("000000").len(), 3);
}

#[test]
fn frames_of_nonsense_end_the_link_with_blame() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    w.at(name("370000"), |r, s, now| {
        let bytes = vec![2, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9];
        r.step(now, Input::Frame { peer: name("370100"), bytes }, s, &mut Desk).unwrap();
    });
    assert!(w.told("370000").iter().any(|e| matches!(e, Event::Misbehaved { .. })));
    assert!(w.links.is_empty());
}

#[test]
fn two_hundred_unknown_differences_are_found_for_a_few_kilobytes() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    for i in 0..300 {
        w.write("370100", None, "subject", &format!("letter {i}"));
    }
    w.settle();
    w.assert_equal("370000", "370100");
    w.cut("370000", "370100");
    // The province's disk loses items that nobody owes it any more.
    let old = World::new(&["370000"]).nodes.remove(&name("370000")).unwrap();
    let mut thinned = old.store;
    thinned.begin().unwrap();
    let before: Vec<Item> = w.nodes[&name("370000")].store.items().cloned().collect();
    let seals: BTreeSet<SealHash> = before.iter().filter_map(|i| i.sealed.map(|s| s.seal)).collect();
    let held = &mut w.nodes.get_mut(&name("370000")).unwrap().store;
    for seal in seals {
        let stored = held.seal(&seal).unwrap().unwrap();
        thinned.put_seal(&seal, &stored).unwrap();
    }
    let mut peer = Peer { everything: None, ..Peer::new() };
    for item in before.iter().skip(200) {
        let doc = item.doc.unwrap();
        let row = held.document(&doc).unwrap().unwrap();
        thinned.put_document(&doc, &row).unwrap();
        thinned.put_item(item).unwrap();
        peer.digest.add(&item.hash);
    }
    thinned.put_peer(name("370100"), &peer).unwrap();
    thinned.commit().unwrap();
    w.nodes.insert(name("370000"), open(name("370000"), thinned, 50));
    w.bytes = 0;
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    let repaired = w.told("370000").iter().find_map(|e| match e {
        Event::Repaired { sent, wanted, .. } => Some((*sent, *wanted)),
        _ => None,
    });
    assert_eq!(repaired, Some((0, 200)));
}

#[test]
fn a_false_claim_about_our_seals_changes_nothing() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    let digest = crate::wire::DigestBody { sent: 9, received: 9, count: 0, fingerprint: [0; 32] };
    let hello = crate::wire::Hello {
        version: 1,
        incarnation: Incarnation::from_bytes([1; 8]),
        highest: Some((u64::MAX, SealHash::from_bytes([1; 32]))),
        digest,
        clock: 0,
    };
    w.at(name("370100"), |r, s, now| {
        let bytes = crate::wire::Frame::Hello(hello).to_bytes();
        r.step(now, Input::Frame { peer: name("370000"), bytes }, s, &mut Desk).unwrap();
    });
    w.write("370100", None, "subject", "one");
    assert_eq!(w.nodes[&name("370100")].replica.chain().0, 1);
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn what_counts_back_to_a_gap_waits_and_nobody_is_blamed() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.cut("370000", "370100");
    let mut changes = Vec::new();
    for key in ["a", "b", "c"] {
        w.write("370100", Some(doc), key, "words");
        w.at(name("370100"), |r, s, _| r.seal_backlog(s).unwrap());
        let all = w.nodes.get_mut(&name("370100")).unwrap().store.items_of(&doc).unwrap();
        changes.push(all.last().unwrap().hash);
    }
    // Somebody took the first of them for delivered.
    w.at(name("370100"), |_, s, _| s.settle(name("370000"), &[(Some(doc), changes[0])]).unwrap());
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert!(!w.told("370000").iter().any(|e| matches!(e, Event::Misbehaved { .. })));
}

/// Puts bytes into a node's store as it would keep what it refuses.
fn plant_refused(w: &mut World, who: &str, doc: DocId, bytes: Vec<u8>) -> ItemHash {
    let incoming = super::admit::Incoming {
        hash: Kind::CHANGE.hash(&bytes),
        kind: Kind::CHANGE,
        author: name(who),
        sealed: None,
        bytes,
    };
    w.at(name(who), |r, s, _| {
        let old = s.document(&doc).unwrap().unwrap().audience;
        let mut taken = super::admit::Taken::default();
        r.keep_item(doc, &incoming, State::Refused, &mut taken, s).unwrap();
        r.settle_document(doc, old, taken, None, s).unwrap();
        r.unsealed = true;
    });
    incoming.hash
}

#[test]
fn what_is_refused_is_passed_on_and_refused_by_all() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    let forbidden = w.at(name("370100"), |r, s, _| {
        let (me, life) = (r.me(), r.incarnation());
        let (document, _) = r.open_document(doc, s, &Desk).unwrap().unwrap();
        let facts = document.part("facts").unwrap();
        document.compose(me, life, |tx| tx.put(&facts, "forbidden", "x")).unwrap().unwrap()
    });
    let mut nonsense = forbidden.clone();
    *nonsense.last_mut().unwrap() ^= 0x55;
    plant_refused(&mut w, "370100", doc, forbidden);
    plant_refused(&mut w, "370100", doc, nonsense);
    w.settle();
    for node in ["370100", "370000", "000000"] {
        assert_eq!(w.nodes.get_mut(&name(node)).unwrap().store.totals().unwrap().refused, 2, "{node}");
    }
    w.assert_equal("370100", "370000");
    w.assert_equal("370000", "000000");
    let reasons = w.nodes.get_mut(&name("000000")).unwrap().store.refusals(name("000000"), None, 9).unwrap();
    assert_eq!(reasons.len(), 2);
}

#[test]
fn a_relay_can_prove_what_it_holds_of_a_seal_whose_rest_waits() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    let gap = w.write("370100", None, "subject", "the relay lacks this");
    w.at(name("370100"), |r, s, _| r.seal_backlog(s).unwrap());
    w.write("370100", Some(gap), "more", "and so this waits there");
    let whole = w.write("370100", None, "subject", "under one seal with what waits");
    w.at(name("370100"), |r, s, _| {
        r.know_peer(name("370000"), s).unwrap();
        r.seal_backlog(s).unwrap();
        r.pairs.get_mut(&name("370000")).unwrap().everything = None;
        let row = |doc: DocId, item| Debt { class: Class::Ordinary, rank: Position(1), doc: Some(doc), item };
        let late = s.items_of(&gap).unwrap()[1].hash;
        s.owe(name("370000"), &[row(gap, Some(late)), row(whole, Some(whole.into()))]).unwrap();
    });
    w.link("370000", "370100");
    w.settle();
    assert_eq!(w.value("000000", whole, "subject").as_deref(), Some("under one seal with what waits"));
    w.assert_equal("370000", "370100");
    w.assert_equal("000000", "370000");
}

#[test]
fn everything_is_not_taken_for_sent_before_it_was_answered() {
    let mut w = World::new(&["370000", "370100"]);
    for i in 0..40 {
        w.write("370100", None, "subject", &format!("letter {i}"));
    }
    w.link("370000", "370100");
    // The city hears the hello and sends all it has; nothing of that arrives.
    let hello = w.wire.iter().position(|(_, to, _)| *to == name("370100")).unwrap();
    let (from, to, bytes) = w.wire.remove(hello).unwrap();
    w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
    w.at(to, |r, s, now| r.step(now, Input::Tick, s, &mut Desk).unwrap());
    w.cut("370000", "370100");
    assert!(w.nodes[&name("370100")].replica.pairs[&name("370000")].everything.is_some());
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert!(!w.told("370000").iter().any(|e| matches!(e, Event::Repairing { .. })));
    assert!(w.nodes[&name("370100")].replica.pairs[&name("370000")].everything.is_none());
}

#[test]
fn a_document_larger_than_a_batch_travels_in_several() {
    let mut w = World::new(&["000000", "370000", "370100", "370200"]);
    w.link("370000", "370100");
    w.link("370000", "370200");
    let doc = w.write("370100", None, "subject", "large");
    for i in 0..12u8 {
        let mut noise = vec![0u8; 60_000];
        blake3::Hasher::new_keyed(&[i; 32]).finalize_xof().fill(&mut noise);
        let words: String = noise.iter().map(|b| format!("{b:02x}")).collect();
        w.write("370100", Some(doc), &format!("k{i}"), &words);
    }
    w.settle();
    w.write("370100", Some(doc), "to", "370200");
    w.settle();
    assert!(w.value("370200", doc, "k11").is_some());
    w.assert_equal("370200", "370000");
    for node in ["370000", "370200"] {
        assert!(
            !w.told(node).iter().any(|e| matches!(e, Event::Misbehaved { .. } | Event::Repairing { .. }))
        );
    }
}

#[test]
fn a_seal_of_which_too_little_is_left_waits_for_repair_and_stops_nobody() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    let docs: Vec<DocId> =
        (0..6).map(|i| w.write("370100", None, "subject", &format!("letter {i}"))).collect();
    w.link("370000", "370100");
    w.settle();
    // The province's disk loses half of what stands under the one seal, then the ministry asks for all.
    let held = w.nodes.remove(&name("370000")).unwrap().store;
    let mut thinned = Memory::new();
    thinned.begin().unwrap();
    let mut peer = Peer { everything: None, ..Peer::new() };
    let items: Vec<Item> = held.items().cloned().collect();
    let seal = items[0].sealed.unwrap().seal;
    thinned.put_seal(&seal, &held.clone().seal(&seal).unwrap().unwrap()).unwrap();
    for item in items.iter().take(3) {
        thinned
            .put_document(&item.doc.unwrap(), &held.clone().document(&item.doc.unwrap()).unwrap().unwrap())
            .unwrap();
        thinned.put_item(item).unwrap();
        peer.digest.add(&item.hash);
    }
    thinned.put_peer(name("370100"), &peer).unwrap();
    thinned.commit().unwrap();
    w.links.clear();
    w.nodes.insert(name("370000"), open(name("370000"), thinned, 51));
    w.link("000000", "370000");
    w.settle();
    w.cut("000000", "370000");
    w.at(name("370100"), |r, s, now| r.step(now, Input::Disconnected(name("370000")), s, &mut Desk).unwrap());
    w.link("370000", "370100");
    w.link("000000", "370000");
    w.settle();
    w.assert_equal("370000", "370100");
    w.assert_equal("000000", "370000");
    assert!(docs.iter().all(|d| w.hashes("000000").contains(&ItemHash::from(*d))));
}
