//! Restores, clones, lost disks, and peers that lie.

use super::*;
use crate::sketch::{Cells, Encoder, Key};
use crate::wire::{Frame, Hello, LOCATES, VERSION};

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

/// Offline, then backed up, then linked, then put back: the backlog is sealed a second time together with what is new,
/// and whoever holds it under the first seal passes the new on all the same.
#[test]
fn a_backlog_that_was_sealed_twice_is_passed_on() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    let docs: Vec<DocId> = (0..3).map(|i| w.write("370100", None, "subject", &format!("{i}"))).collect();
    let backup = w.nodes[&name("370100")].store.clone();
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    w.nodes.insert(name("370100"), open(name("370100"), backup, 99));
    w.write("370100", Some(docs[1]), "after", "the restore");
    w.link("370000", "370100");
    w.settle();
    for (a, b) in [("370000", "370100"), ("000000", "370000")] {
        w.assert_equal(a, b);
        assert!(w.nodes[&name(a)].replica.link(name(b)).digest_equal, "{a} {b}");
    }
    assert_eq!(w.value("000000", docs[1], "after").unwrap(), "the restore");
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

/// A province whose disk lost two hundred items that nobody owes it any more, about to be linked with its city.
fn two_hundred_unknown_differences() -> World {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    for i in 0..300 {
        w.write("370100", None, "subject", &format!("letter {i}"));
    }
    w.settle();
    w.assert_equal("370000", "370100");
    w.cut("370000", "370100");
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
    w
}

fn assert_repaired(w: &World) {
    w.assert_equal("370000", "370100");
    let repaired = w.told("370000").iter().find_map(|e| match e {
        Event::Repaired { sent, wanted, .. } => Some((*sent, *wanted)),
        _ => None,
    });
    assert_eq!(repaired, Some((0, 200)));
}

/// Links both as if both were of this version; whether the cells that travelled were of a key that locates.
fn repair_as(w: &mut World, version: u16) -> Vec<bool> {
    let mut located = Vec::new();
    w.link("370000", "370100");
    while let Some((from, to, mut bytes)) = w.wire.pop_front() {
        match Frame::from_bytes(&bytes).unwrap() {
            Frame::Hello(hello) => bytes = Frame::Hello(Hello { version, ..hello }).to_bytes(),
            Frame::Sketch(body) => {
                let theirs = Cells::from_bytes(&body.cells).unwrap();
                let made = |key: Key| {
                    let mut encoder = Encoder::new(&key, theirs.half(), theirs.range()).unwrap();
                    w.nodes[&from].store.items().for_each(|item| encoder.add(&item.hash));
                    encoder.finish().to_bytes()
                };
                let key = Key::from_bytes(body.key);
                let plain = made(key.clone()) == body.cells;
                assert_ne!(plain, made(key.locating()) == body.cells, "one of both");
                located.push(!plain);
            }
            _ => {}
        }
        w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
    }
    w.settle();
    located
}

#[test]
fn two_hundred_unknown_differences_are_found_by_where_they_are() {
    let mut w = two_hundred_unknown_differences();
    assert_eq!(repair_as(&mut w, VERSION), [true]);
    assert_repaired(&w);
}

#[test]
fn a_repair_with_a_node_of_before_finds_items_by_looking_at_all() {
    let mut w = two_hundred_unknown_differences();
    assert_eq!(repair_as(&mut w, LOCATES - 1), [false]);
    assert_repaired(&w);
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
        more: false,
        program: Default::default(),
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

impl World {
    /// A node's disk loses items, and all that it knew of them.
    fn lose(&mut self, who: &str, items: &[ItemHash]) {
        self.at(name(who), |r, s, _| {
            for item in items {
                s.drop_item(item).unwrap();
                let pairs = r.pairs.iter_mut();
                pairs.for_each(|(_, pair)| pair.digest.remove(item));
            }
            r.dirty.extend(r.pairs.keys());
            r.trees.clear();
        });
    }
}

/// City and province, which were equal and lost these of twelve letters under one seal.
fn torn(city: &[usize], province: &[usize]) -> (World, Vec<DocId>) {
    let mut w = World::new(&["370000", "370100"]);
    let mut docs: Vec<DocId> =
        (0..12).map(|i| w.write("370100", None, "subject", &format!("letter {i}"))).collect();
    docs.sort_unstable();
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    for (who, lost) in [("370100", city), ("370000", province)] {
        let lost: Vec<ItemHash> = lost.iter().map(|i| docs[*i].into()).collect();
        w.lose(who, &lost);
    }
    (w, docs)
}

#[test]
fn two_that_lost_different_leaves_of_one_seal_prove_them_to_each_other() {
    for (city, province) in [
        (&[5][..], &[0][..]),
        (&[0], &[11]),
        (&[0, 1, 2, 3, 4, 5], &[6, 7, 8, 9, 10, 11]),
        (&[0, 2, 4, 6, 8, 10], &[1, 3, 5, 7, 9, 11]),
        (&[1, 4, 7], &[0, 2, 3, 5, 6, 8, 9, 10, 11]),
    ] {
        let (mut w, docs) = torn(city, province);
        w.link("370000", "370100");
        w.settle();
        w.assert_equal("370000", "370100");
        assert!(docs.iter().all(|d| w.hashes("370000").contains(&ItemHash::from(*d))));
    }
}

#[test]
fn without_the_proofs_they_stay_apart_and_nothing_false_is_kept() {
    use crate::wire::Frame;
    let (mut w, _) = torn(&[5], &[0]);
    w.tamper = Some(|bytes| {
        if let Ok(Frame::Proof(mut proof)) = Frame::from_bytes(bytes) {
            proof.twigs.iter_mut().for_each(|t| t.hash[0] ^= 1);
            *bytes = Frame::Proof(proof).to_bytes();
        }
    });
    w.link("370000", "370100");
    w.settle();
    assert_ne!(w.hashes("370000"), w.hashes("370100"));
    assert!(!w.told("370000").iter().any(|e| matches!(e, Event::Misbehaved { .. })));
    w.tamper = None;
    w.cut("370000", "370100");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn what_both_lost_stays_lost_and_the_rest_goes_on() {
    let (mut w, docs) = torn(&[3, 5], &[3, 0]);
    w.link("370000", "370100");
    w.settle();
    w.write("370100", None, "subject", "later");
    w.settle();
    assert_eq!(w.hashes("370000").len(), w.hashes("370100").len());
    assert!(!w.hashes("370000").contains(&ItemHash::from(docs[3])));
    assert!(w.told("370000").len() < 60, "they do not try without end");
}

#[test]
fn a_third_that_knows_more_of_a_seal_proves_what_two_cannot() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    let mut docs: Vec<DocId> =
        (0..12).map(|i| w.write("370100", None, "subject", &format!("letter {i}"))).collect();
    docs.sort_unstable();
    w.link("370000", "370100");
    w.link("000000", "370000");
    w.settle();
    w.cut("000000", "370000");
    // One letter is gone everywhere, and only its writer still knows its leaf.
    let (gone, wanted) = (ItemHash::from(docs[0]), ItemHash::from(docs[5]));
    w.at(name("370100"), |r, s, _| r.lose(&[gone], s).unwrap());
    w.lose("370000", &[gone]);
    w.lose("000000", &[gone, wanted]);
    w.link("000000", "370000");
    w.settle();
    assert!(w.hashes("000000").contains(&wanted));
    w.assert_equal("000000", "370000");
}

#[test]
fn subtrees_that_nobody_asks_for_are_blamed() {
    use crate::wire::{Frame, ProveBody};
    for gaps in [vec![(0, 4), (2, 3)], vec![(3, 3)], vec![(0, 1); 2_000]] {
        let (mut w, docs) = torn(&[], &[]);
        w.link("370000", "370100");
        w.settle();
        let seal = w.nodes[&name("370000")].store.items().find(|i| i.hash == docs[0].into()).unwrap().sealed;
        let frame = Frame::Prove(ProveBody { seal: seal.unwrap().seal, gaps });
        w.at(name("370000"), |r, s, now| {
            let input = Input::Frame { peer: name("370100"), bytes: frame.to_bytes() };
            r.step(now, input, s, &mut Desk).unwrap();
        });
        assert!(w.told("370000").iter().any(|e| matches!(e, Event::Misbehaved { .. })));
    }
}

#[test]
fn a_batch_that_grows_when_it_is_rebuilt_is_refused_before_it_fills_the_memory() {
    use crate::wire::{DocPart, DocRef, Frame, ItemPart, Load};
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    let city = w.nodes.get_mut(&name("370100")).unwrap();
    let seal = city.store.items_of(&doc).unwrap()[0].sealed.unwrap().seal;
    let seals = vec![city.replica.seal_part(seal, &[0], &mut city.store).unwrap().unwrap()];
    // Each names the change before it eight thousand times over, in a byte.
    let first = [0; 4];
    let mut many = vec![0xc0, 0x3e];
    many.extend(vec![2; 8_000]);
    let item = |bytes: &[u8]| ItemPart { kind: 1, seal: 0, bytes: bytes.to_vec() };
    let items = std::iter::once(item(&first)).chain((0..200).map(|_| item(&many[..]))).collect();
    let load = Load { seals, docs: vec![DocPart { doc: DocRef::Whole(doc), items }], ..Load::default() };
    w.at(name("370000"), |r, s, now| {
        let bytes = Frame::Batch { id: 1, load: load.pack() }.to_bytes();
        r.step(now, Input::Frame { peer: name("370100"), bytes }, s, &mut Desk).unwrap();
    });
    let said = |e: &Event| matches!(e, Event::Misbehaved { reason, .. } if reason.contains("grow beyond"));
    assert!(w.told("370000").iter().any(said), "{:?}", w.told("370000"));
}

#[test]
fn a_clock_that_was_set_back_holds_no_link_up() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.cut("370000", "370100");
    let mut changes = Vec::new();
    for key in ["a", "b"] {
        w.write("370100", Some(doc), key, "words");
        w.at(name("370100"), |r, s, _| r.seal_backlog(s).unwrap());
        let all = w.nodes.get_mut(&name("370100")).unwrap().store.items_of(&doc).unwrap();
        changes.push(all.last().unwrap().hash);
    }
    w.at(name("370100"), |_, s, _| s.settle(name("370000"), &[(Some(doc), changes[0])]).unwrap());
    w.now = 1_000_000_000_000;
    w.link("370000", "370100");
    // The second change is sent, and waits there; then both clocks fall back by thirty years.
    for _ in 0..6 {
        let Some((from, to, bytes)) = w.wire.pop_front() else { break };
        w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
    }
    w.now = 1_000;
    w.settle();
    w.assert_equal("370000", "370100");
}
