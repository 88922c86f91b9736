//! What nodes have to tell each other arrives, and is proved.

use super::*;
use crate::wire::VERSION;
use crate::wire::{Frame, Load};

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
fn what_is_owed_goes_in_the_first_flight_and_is_not_mistaken_for_a_difference() {
    for who in [&["370100"][..], &["370000"], &["370000", "370100"]] {
        let mut w = World::new(&["370000", "370100"]);
        let doc = w.write("370100", None, "subject", "letter");
        w.link("370000", "370100");
        w.settle();
        w.cut("370000", "370100");
        let proofs =
            |w: &World, node| w.told(node).iter().filter(|e| matches!(e, Event::Proved { .. })).count();
        let before = proofs(&w, "370000");
        for node in who {
            w.write(node, Some(doc), node, "words");
        }
        w.link("370000", "370100");
        let flight = |from: &str| -> Vec<u8> {
            w.wire.iter().filter(|(x, ..)| *x == name(from)).map(|(.., bytes)| bytes[0]).collect()
        };
        for node in ["370000", "370100"] {
            assert_eq!(flight(node), if who.contains(&node) { vec![1, 2] } else { vec![1] }, "hello, batch");
        }
        let said = w.wire.len();
        w.write("370100", Some(doc), "later", "words");
        assert_eq!(w.wire.len(), said, "and nothing more before the peer was heard");
        w.settle();
        w.assert_equal("370000", "370100");
        for node in ["370000", "370100"] {
            assert!(!w.told(node).iter().any(|e| matches!(e, Event::Repairing { .. })), "{who:?}");
            assert!(proofs(&w, node) > before, "{who:?}");
        }
    }
}

#[test]
fn a_hello_of_a_peer_that_owes_more_than_its_window_begins_no_repair() {
    let mut w = World::new(&["370000", "370100"]);
    let doc = w.write("370100", None, "subject", "large");
    for i in 0..100u8 {
        let mut noise = vec![0u8; 30_000];
        blake3::Hasher::new_keyed(&[i; 32]).finalize_xof().fill(&mut noise);
        let words: String = noise.iter().map(|b| format!("{b:02x}")).collect();
        w.write("370100", Some(doc), &format!("k{i}"), &words);
    }
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert!(!w.told("370000").iter().any(|e| matches!(e, Event::Repairing { .. })));
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
fn what_is_for_a_region_reaches_all_of_it_whoever_is_enrolled_later_too() {
    let all = ["000000", "370000", "370100", "370100-01", "510000", "510100"];
    let mut w = World::new(&all);
    for (a, b) in [
        ("000000", "370000"),
        ("370000", "370100"),
        ("370100", "370100-01"),
        ("000000", "510000"),
        ("510000", "510100"),
    ] {
        w.link(a, b);
    }
    let provinces = w.write("370000", None, "to", "370000/");
    let nations = w.write("000000", None, "to", "000000/");
    let narrow = w.write("370100", None, "subject", "letter");
    w.settle();
    for node in all {
        assert_eq!(w.value(node, nations, "to").unwrap(), "000000/", "{node}");
        let below = !node.starts_with("51");
        assert_eq!(w.value(node, provinces, "to").is_some(), below, "{node}");
    }
    assert_eq!(w.value("370100-01", narrow, "subject"), None);
    // It was here for long before it came to concern everybody below.
    w.write("370100", Some(narrow), "to", "370100/");
    w.settle();
    assert_eq!(w.value("370100-01", narrow, "subject").unwrap(), "letter");
    for (later, at) in [("370200", "370000"), ("510100-04", "510100")] {
        w.join(later);
        w.link(at, later);
        w.settle();
        assert_eq!(w.value(later, nations, "to").unwrap(), "000000/", "{later}");
        assert_eq!(w.value(later, provinces, "to").is_some(), later == "370200", "{later}");
        assert_eq!(w.value(later, narrow, "subject"), None);
        w.assert_proved(at, later);
    }
    w.write("370000", Some(provinces), "more", "words");
    w.settle();
    assert_eq!(w.value("370200", provinces, "more").unwrap(), "words");
    assert_eq!(w.value("370100-01", provinces, "more").unwrap(), "words");
    w.assert_proved("370000", "370200");
    w.assert_proved("000000", "510000");
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
fn what_a_nodes_other_life_wrote_reaches_it_while_its_link_is_up() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    for a in ["000000", "370000"] {
        w.link(a, "370100");
    }
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    for a in ["000000", "370000"] {
        w.cut(a, "370100");
    }
    let disk = w.nodes[&name("370100")].store.clone();
    let original = w.nodes.insert(name("370100"), open(name("370100"), disk, 77)).unwrap();
    w.write("370100", Some(doc), "clone", "was here");
    w.link("000000", "370100");
    w.settle();
    w.cut("000000", "370100");
    w.nodes.insert(name("370100"), original);
    w.link("370000", "370100");
    w.settle();
    // The ministry tells the province, and the province owes the city nothing that the city wrote.
    w.link("000000", "370000");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(w.value("370100", doc, "clone").unwrap(), "was here");
}

#[test]
fn records_go_before_all_that_was_written_since_a_peer_is_known() {
    let mut w = World::new(&["370000", "370100"]);
    w.at(name("370100"), |r, s, _| r.put_directory(Kind::RECORD, b"370100", s, &mut Desk).unwrap());
    w.at(name("370100"), |r, s, _| r.know_peer(name("370000"), s).unwrap());
    for i in 0..20 {
        w.write("370100", None, "subject", &format!("letter {i}"));
    }
    let first = w.nodes.get_mut(&name("370100")).unwrap().store.owed(name("370000"), 1).unwrap();
    assert_eq!(first[0].item, Some(Kind::RECORD.hash(b"370100")), "nothing is taken before it");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn what_was_taken_before_the_first_link_travels_once() {
    let mut w = World::new(&["370000", "370100"]);
    w.write("370100", None, "subject", "before the peer was known");
    w.at(name("370100"), |r, s, _| r.know_peer(name("370000"), s).unwrap());
    for i in 0..20 {
        let doc = w.write("370100", None, "subject", &format!("letter {i}"));
        w.write("370100", Some(doc), "subject", "and a later word");
    }
    w.link("370000", "370100");
    let mut sent = 0;
    while let Some((from, to, bytes)) = w.wire.pop_front() {
        if let Frame::Batch { load, .. } = Frame::from_bytes(&bytes).unwrap()
            && from == name("370100")
        {
            sent += Load::unpack(&load).unwrap().docs.iter().map(|doc| doc.items.len()).sum::<usize>();
        }
        w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
    }
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(sent, 41);
}

#[test]
fn a_full_batch_takes_the_documents_that_complete_its_seals() {
    let mut w = World::new(&["370000", "370100"]);
    w.at(name("370100"), |r, s, _| r.know_peer(name("370000"), s).unwrap());
    // With a link that is up every commit has its seal; none of these arrives.
    w.link("370000", "370100");
    let (groups, group, words) = (5, 16, "x".repeat(4_000));
    for of in 0..groups {
        let mut docs: Vec<Option<DocId>> = vec![None; group];
        for key in ["subject", "later", "last"] {
            w.at(name("370100"), |r, s, _| {
                for (at, doc) in docs.iter_mut().enumerate() {
                    let begun = r.write(*doc, s, &mut Desk, |document, tx| {
                        let facts = match document.part("facts") {
                            Some(facts) => facts,
                            None => tx.put_object(ROOT, "facts", ObjType::Map)?,
                        };
                        tx.put(&facts, key, format!("{of} {at} {words}"))
                    });
                    *doc = Some(begun.unwrap());
                }
            });
        }
    }
    w.wire.clear();
    w.cut("370000", "370100");
    w.link("370000", "370100");
    let (mut batches, mut seals) = (0, 0);
    while let Some((from, to, bytes)) = w.wire.pop_front() {
        if let Frame::Batch { load, .. } = Frame::from_bytes(&bytes).unwrap()
            && from == name("370100")
        {
            let load = Load::unpack(&load).unwrap();
            batches += 1;
            seals += load.seals.len();
            assert!(load.seals.iter().all(|part| part.twigs.is_empty()), "batch {batches} needs proofs");
        }
        w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
    }
    w.settle();
    w.assert_equal("370000", "370100");
    assert!(batches > 1, "it is too much for one batch");
    assert_eq!(seals, groups * 3, "each seal travels once");
}

#[test]
fn nodes_of_two_versions_tell_each_other_apart_and_go_on() {
    let mut w = World::new(&["370000", "370100"]);
    // The city is of a version that says nothing of its program.
    w.nodes.get_mut(&name("370000")).unwrap().replica.runs_program("0.2.0");
    let doc = w.write("370100", None, "subject", "one");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(w.value("370000", doc, "subject").unwrap(), "one");
    let speaks = |w: &World, who: &str, of: &str| {
        let (version, program) = w.nodes[&name(who)].replica.link(name(of)).speaks?;
        Some((version, program.said().map(str::to_owned)))
    };
    assert_eq!(speaks(&w, "370100", "370000"), Some((VERSION, Some("0.2.0".to_owned()))));
    assert_eq!(speaks(&w, "370000", "370100"), Some((VERSION, None)));
    w.cut("370000", "370100");
    assert_eq!(speaks(&w, "370100", "370000"), None, "only of a link that is up");
}
