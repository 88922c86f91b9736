//! What travels in bundles arrives, is answered, and is proved, whatever becomes of the sticks.

use super::*;
use crate::store::Store;
use crate::store::bundles::Bundles as _;
use crate::wire::Frame;

/// A bundle as it lies on a stick: who made it, its export's number, its pages.
#[derive(Clone)]
struct Stick {
    from: NodeName,
    number: u64,
    pages: Vec<Vec<u8>>,
}

impl World {
    fn export(&mut self, from: &str, to: &str, basis: Basis) -> Stick {
        let entropy = *blake3::hash(&self.now.to_be_bytes()).as_bytes();
        self.now += 60_000;
        let mut exports =
            self.at(name(from), |r, s, _| r.begin_exports(&[name(to)], basis, entropy, s).unwrap());
        let mut export = exports.remove(0);
        let mut pages = vec![self.at(name(from), |r, s, now| r.opening(now, &export, s).unwrap()).bytes];
        // A transaction a page, as a running node does it.
        while let Some(letter) = self.at(name(from), |r, s, _| r.next_letter(&mut export, s).unwrap()) {
            pages.push(letter.bytes);
        }
        Stick { from: name(from), number: export.number(), pages }
    }

    fn import(&mut self, at: &str, stick: &Stick) -> Taken {
        let mut all = Taken::default();
        let mut due: Vec<&Vec<u8>> = stick.pages.iter().collect();
        loop {
            let (before, mut waiting) = (due.len(), Vec::new());
            for page in due {
                let taken = self.at(name(at), |r, s, now| {
                    r.take_letter(now, stick.from, stick.number, page, s, &mut Desk).unwrap()
                });
                all.taken += taken.taken;
                all.known += taken.known;
                all.answers += taken.answers;
                all.settled += taken.settled;
                all.equal = taken.equal.or(all.equal);
                all.wrong = all.wrong.or(taken.wrong);
                if taken.waiting > 0 {
                    waiting.push(page);
                }
            }
            all.waiting = waiting.len() as u64;
            if waiting.is_empty() || waiting.len() == before {
                return all;
            }
            due = waiting;
        }
    }

    /// A stick there and one back.
    fn round(&mut self, a: &str, b: &str) -> (Taken, Taken) {
        let there = self.export(a, b, Basis::Acknowledged);
        let one = self.import(b, &there);
        let back = self.export(b, a, Basis::Acknowledged);
        (one, self.import(a, &back))
    }

    fn letters(&mut self, who: &str, count: usize) -> Vec<DocId> {
        self.now += 1;
        let now = self.now;
        (0..count)
            .map(|i| self.write(who, None, "subject", &format!("letter {now} {i} {}", "x".repeat(300))))
            .collect()
    }
}

#[test]
fn a_bundle_brings_what_is_owed_and_its_answer_settles_it() {
    let mut w = World::new(&["370100", "370100-01"]);
    let docs = w.letters("370100-01", 30);
    let (there, back) = w.round("370100-01", "370100");
    assert_eq!((there.taken, there.waiting, there.wrong), (30, 0, None));
    assert_eq!((back.answers, back.settled), (1, 30));
    assert_eq!(w.hashes("370100"), w.hashes("370100-01"));
    assert_eq!(w.owed("370100-01", "370100"), 0);
    // The city owed nothing and had everything: that is proved at the first journey.
    assert_eq!(there.equal, Some(true));
    w.write("370100", Some(docs[3]), "more", "words");
    w.write("370100-01", Some(docs[3]), "own", "words");
    let (there, back) = w.round("370100", "370100-01");
    assert_eq!((there.taken, back.taken), (1, 1));
    assert_eq!((there.equal, back.equal), (Some(true), Some(true)), "both write on, and are proved");
    let (there, back) = w.round("370100", "370100-01");
    assert_eq!((there.taken, back.taken, back.answers), (0, 0, 0));
    assert!(w.nodes.get_mut(&name("370100")).unwrap().store.replies(name("370100-01")).unwrap().is_empty());
    assert_eq!(w.hashes("370100"), w.hashes("370100-01"));
}

#[test]
fn a_stick_that_is_lost_is_made_good_by_the_next() {
    let mut w = World::new(&["370100", "370100-01"]);
    w.letters("370100-01", 10);
    w.export("370100-01", "370100", Basis::Acknowledged);
    w.letters("370100-01", 10);
    let next = w.export("370100-01", "370100", Basis::HandedOut);
    let brought = w.import("370100", &next).taken;
    assert_eq!(brought, 10, "what the first carries is left out");
    let all = w.export("370100-01", "370100", Basis::Acknowledged);
    let taken = w.import("370100", &all);
    assert_eq!((taken.taken, taken.known, taken.equal), (10, 10, Some(true)));
}

#[test]
fn whatever_page_is_lost_the_rest_is_taken_and_the_next_bundle_heals() {
    for lost in 0..12 {
        let mut w = World::new(&["370100", "370100-01"]);
        let docs = w.letters("370100-01", 3);
        // One batch a document would hold: large words make several pages.
        for doc in &docs {
            for i in 0..9 {
                let noise: String =
                    (0..60_000).map(|n: u32| char::from(b'a' + (n * (i + 3) % 26) as u8)).collect();
                w.write("370100-01", Some(*doc), &format!("k{i}"), &noise);
            }
        }
        let mut stick = w.export("370100-01", "370100", Basis::Acknowledged);
        assert!(stick.pages.len() > 4);
        if lost < stick.pages.len() {
            stick.pages.remove(lost);
        }
        assert_eq!(w.import("370100", &stick).wrong, None);
        let back = w.export("370100", "370100-01", Basis::Acknowledged);
        w.import("370100-01", &back);
        let (there, _) = w.round("370100-01", "370100");
        assert_eq!(there.equal, Some(true), "without page {lost}");
        assert_eq!(w.hashes("370100"), w.hashes("370100-01"));
    }
}

#[test]
fn any_order_and_twice_is_the_same() {
    let mut w = World::new(&["370100", "370100-01"]);
    let docs = w.letters("370100-01", 5);
    let first = w.export("370100-01", "370100", Basis::Acknowledged);
    w.write("370100-01", Some(docs[0]), "more", "words");
    let second = w.export("370100-01", "370100", Basis::HandedOut);
    let mut turned = first.clone();
    turned.pages.reverse();
    w.import("370100", &second); // it rests on the first: what it brings waits
    w.import("370100", &turned);
    w.import("370100", &first);
    w.import("370100", &second);
    assert_eq!(w.hashes("370100"), w.hashes("370100-01"));
    let back = w.export("370100", "370100-01", Basis::Acknowledged);
    w.import("370100-01", &back);
    w.import("370100-01", &back);
    assert_eq!(w.owed("370100-01", "370100"), 0);
    // An opening that came late forgets no answer of a later export.
    w.import("370100", &first);
}

#[test]
fn everything_is_handed_out_once_and_goes_on_where_answers_end() {
    let mut w = World::new(&["370100", "370100-01"]);
    w.letters("370100-01", 2_500); // several seals
    let mut first = w.export("370100-01", "370100", Basis::Acknowledged);
    let everything = |w: &World| {
        let peers: BTreeMap<_, _> = w.nodes[&name("370100-01")].replica.peers().collect();
        peers[&name("370100")].everything
    };
    assert!(everything(&w).is_some());
    let pages = first.pages.len();
    assert!(pages > 4, "{pages} pages");
    let kept = first.pages.split_off(pages / 2);
    w.import("370100", &first);
    let back = w.export("370100", "370100-01", Basis::Acknowledged);
    w.import("370100-01", &back);
    let (at, _) = everything(&w).unwrap();
    assert!(at > Position(0), "what was answered is not scanned again");
    let again = w.export("370100-01", "370100", Basis::HandedOut);
    assert_eq!(again.pages.len(), 2, "an opening and a closing: the rest is on the first stick");
    first.pages = kept;
    w.import("370100", &first);
    let back = w.export("370100", "370100-01", Basis::Acknowledged);
    w.import("370100-01", &back);
    assert_eq!(everything(&w), None);
    let handed = w.nodes.get_mut(&name("370100-01")).unwrap().store.all_handed(name("370100"), 99).unwrap();
    assert_eq!(handed, []);
    assert_eq!(w.hashes("370100"), w.hashes("370100-01"));
    let (there, _) = w.round("370100-01", "370100");
    assert_eq!(there.equal, Some(true));
}

#[test]
fn answers_of_before_a_restore_mean_nothing() {
    let mut w = World::new(&["370100", "370100-01"]);
    w.letters("370100-01", 5);
    let old = w.nodes[&name("370100")].store.clone();
    let stick = w.export("370100-01", "370100", Basis::Acknowledged);
    w.import("370100", &stick);
    let back = w.export("370100", "370100-01", Basis::Acknowledged);
    // The office's disk is put back from before it handed anything out.
    let before = w.nodes[&name("370100-01")].store.clone();
    w.import("370100-01", &back);
    assert_eq!(w.owed("370100-01", "370100"), 0);
    w.nodes.insert(name("370100-01"), open(name("370100-01"), before, 9));
    // And the city's, so that it has nothing: the old answer is played to the office again, and is known there.
    w.nodes.insert(name("370100"), open(name("370100"), old, 8));
    w.import("370100-01", &back);
    for _ in 0..6 {
        w.round("370100-01", "370100");
    }
    assert_eq!(w.hashes("370100"), w.hashes("370100-01"), "what the city lost comes back by repair");
}

#[test]
fn sets_that_differ_without_a_reason_are_repaired_by_sticks_alone() {
    for lost in [3, 30] {
        let mut w = World::new(&["370100", "370100-01"]);
        let docs = w.letters("370100-01", 40);
        for _ in 0..2 {
            w.round("370100-01", "370100");
        }
        // The city loses documents, and knows nothing of it but its digest.
        let city = name("370100");
        let kept = w.nodes[&city].store.clone();
        let gone: BTreeSet<DocId> = docs[..lost].iter().copied().collect();
        let mut less = Memory::new();
        less.begin().unwrap();
        for item in kept.items() {
            let doc = item.doc.unwrap();
            if gone.contains(&doc) {
                continue;
            }
            let row = kept.clone().document(&doc).unwrap().unwrap();
            less.put_document(&doc, &row).unwrap();
            let seal = item.sealed.unwrap().seal;
            let mut stored = kept.clone().seal(&seal).unwrap().unwrap();
            let all = kept.clone().leaves(&seal).unwrap();
            let twig = |(low, item, doc): &(u32, ItemHash, DocId)| crate::merkle::Twig {
                low: *low,
                high: *low + 1,
                hash: crate::seal::leaf(doc, item),
            };
            stored.twigs = all.iter().filter(|(_, _, doc)| gone.contains(doc)).map(twig).collect();
            less.put_seal(&seal, &stored).unwrap();
            less.put_item(item).unwrap();
        }
        less.commit().unwrap();
        w.nodes.insert(city, open(city, less, 7));
        let mut rounds = 0;
        while w.hashes("370100") != w.hashes("370100-01") {
            rounds += 1;
            assert!(rounds < 6, "not repaired");
            w.round("370100-01", "370100");
        }
        let (there, _) = w.round("370100-01", "370100");
        assert_eq!(there.equal, Some(true));
        let repaired = |e: &Event| matches!(e, Event::Repaired { .. } | Event::Repairing { .. });
        assert!(w.told("370100").iter().chain(w.told("370100-01")).any(repaired));
    }
}

#[test]
fn a_link_and_sticks_serve_one_pair() {
    let mut w = World::new(&["370100", "370100-01"]);
    w.letters("370100-01", 5);
    let stick = w.export("370100-01", "370100", Basis::Acknowledged);
    w.link("370100", "370100-01");
    w.settle();
    w.letters("370100-01", 5);
    w.settle();
    let taken = w.import("370100", &stick);
    assert_eq!((taken.taken, taken.known), (0, 5));
    w.settle();
    w.assert_equal("370100", "370100-01");
    let back = w.export("370100", "370100-01", Basis::Acknowledged);
    w.import("370100-01", &back);
    w.settle();
    w.assert_equal("370100", "370100-01");
}

#[test]
fn a_revoked_nodes_stick_is_not_taken() {
    let mut w = World::new(&["370100", "370100-01"]);
    w.letters("370100-01", 5);
    let stick = w.export("370100-01", "370100", Basis::Acknowledged);
    let list = b"370100-01".to_vec();
    w.at(name("370100"), |r, s, _| r.put_directory(Kind::REVOCATION, &list, s, &mut Desk).unwrap());
    let taken = w.import("370100", &stick);
    assert_eq!(taken.taken, 0);
    assert!(taken.wrong.unwrap().contains("revoked"));
    assert!(w.nodes.get_mut(&name("370100")).unwrap().store.replies(name("370100-01")).unwrap().is_empty());
}

#[test]
fn nonsense_harms_nobody_and_is_said() {
    let mut w = World::new(&["370100", "370100-01"]);
    let page = |frame: Frame| crate::replica::Letter::of(&frame).bytes;
    let bomb = page(Frame::Batch { id: 1, load: zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap() });
    let long = [&u32::MAX.to_be_bytes()[..], b"short"].concat();
    let twice =
        [page(Frame::Batch { id: 1, load: vec![] }), page(Frame::Batch { id: 2, load: vec![] })].concat();
    for bytes in [bomb, long, twice, page(Frame::Bye(crate::wire::Bye { reason: "x".into() })), vec![0; 5]] {
        let stick = Stick { from: name("370100-01"), number: 1, pages: vec![bytes] };
        let taken = w.import("370100", &stick);
        assert!(taken.wrong.is_some());
    }
    let own = Stick { from: name("370100"), number: 1, pages: vec![page(Frame::Unknown(99))] };
    assert!(w.import("370100", &own).wrong.unwrap().contains("this node itself"));
    let newer = Stick { from: name("370100-01"), number: 1, pages: vec![page(Frame::Unknown(99))] };
    assert_eq!(w.import("370100", &newer).wrong, None);
    assert_eq!(w.hashes("370100").len(), 0);
}

#[test]
fn parcels_go_from_peer_to_peer_towards_whom_they_are_for() {
    let mut w = World::new(&["000000", "370000", "370100", "510000"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    w.link("000000", "510000");
    w.settle();
    let (from, to) = (name("510000"), name("370100-01"));
    w.at(name("510000"), |r, s, _| r.carry(from, to, b"sealed", s).unwrap());
    w.settle();
    let kept = |w: &mut World, node: &str| {
        w.at(name(node), |r, s, _| r.parcels(s).unwrap()).into_iter().map(|p| p.to).collect::<Vec<_>>()
    };
    for node in ["510000", "000000", "370000"] {
        assert_eq!(kept(&mut w, node), [], "{node}");
    }
    assert_eq!(kept(&mut w, "370100"), [to], "nobody is nearer: a stick takes it on");
    // It comes to rest at whom it is for, and is handed over once.
    w.at(name("370100"), |r, s, _| r.carry(from, name("510000"), b"other", s).unwrap());
    w.settle();
    assert_eq!(kept(&mut w, "510000"), [] as [NodeName; 0], "nobody sends a parcel back to its sender");
}

#[test]
fn what_is_carried_is_bounded() {
    let mut w = World::new(&["370100"]);
    let (from, to) = (name("370100-01"), name("370000"));
    w.at(name("370100"), |r, s, _| {
        for i in 0..=super::super::bundle::MAX_CARRIED {
            r.carry(from, to, &i.to_be_bytes(), s).unwrap();
        }
        let kept = r.parcels(s).unwrap();
        assert_eq!(kept.len(), super::super::bundle::MAX_CARRIED);
        assert!(kept.iter().all(|k| k.id != crate::store::bundles::parcel_id(to, &0usize.to_be_bytes())));
    });
}
