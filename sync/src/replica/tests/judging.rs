//! What is refused, what counts, and who decides it.

use super::*;

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

/// Puts bytes into a node's store as it would keep what it refuses.
fn plant_refused(w: &mut World, who: &str, doc: DocId, bytes: Vec<u8>) -> ItemHash {
    let incoming = crate::replica::admit::Incoming {
        hash: Kind::CHANGE.hash(&bytes),
        kind: Kind::CHANGE,
        author: name(who),
        sealed: None,
        emptied: false,
        bytes,
    };
    w.at(name(who), |r, s, _| {
        let old = s.document(&doc).unwrap().unwrap().audience;
        let mut taken = crate::replica::admit::Taken::default();
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

/// Feeds items to a node one by one, in this order, those that wait again and again.
fn feed(w: &mut World, who: &str, doc: DocId, mut items: Vec<crate::replica::admit::Incoming>) {
    while !items.is_empty() {
        let before = items.len();
        items.retain(|item| {
            let verdict = w.at(name(who), |r, s, _| {
                let mut unheld = BTreeMap::new();
                let item = std::slice::from_ref(item);
                r.admit(doc, item, name("370000"), &mut unheld, s, &mut Desk).unwrap().remove(0)
            });
            verdict == crate::replica::admit::Verdict::Waiting
        });
        assert!(items.len() < before, "something waits for ever");
    }
}

#[test]
fn which_twin_stands_does_not_depend_on_which_came_first() {
    use crate::replica::admit::Incoming;
    let author = name("370100");
    let life = Incarnation::from_bytes([7; 8]);
    let compose = |document: &Document, key: &str| {
        let facts = document.part("facts").unwrap();
        document.compose(author, life, |tx| tx.put(&facts, key, "x")).unwrap().unwrap()
    };
    let first = Document::empty(DocId::from_bytes([0; 32]))
        .compose(author, life, |tx| {
            let facts = tx.put_object(ROOT, "facts", ObjType::Map)?;
            tx.put(&facts, "subject", "one")
        })
        .unwrap()
        .unwrap();
    let doc = DocId::from(Kind::CHANGE.hash(&first));
    let grown = |changes: &[&Vec<u8>]| {
        let mut document = Document::empty(doc);
        for bytes in changes {
            let change = Witnessed::check(bytes, author, true).unwrap();
            let writes = document.writes(&change).unwrap();
            document.apply(&change, &writes).unwrap();
        }
        document
    };
    let base = grown(&[&first]);
    let (here, there) = (compose(&base, "here"), compose(&base, "there"));
    let forbidden = compose(&base, "forbidden");
    let after_here = compose(&grown(&[&first, &here]), "after here");
    let after_there = compose(&grown(&[&first, &there]), "after there");
    let all = [first, here, there, forbidden, after_here, after_there];
    let mut outcomes = BTreeSet::new();
    // All orders of five changes after the first.
    let mut order = [1, 2, 3, 4, 5];
    for turn in 0..120 {
        let mut rest = turn;
        for place in (1..5).rev() {
            order.swap(place, rest % (place + 1));
            rest /= place + 1;
        }
        let mut w = World::new(&["370000"]);
        let incoming = std::iter::once(0).chain(order).map(|i| Incoming {
            hash: Kind::CHANGE.hash(&all[i]),
            kind: Kind::CHANGE,
            author,
            sealed: None,
            emptied: false,
            bytes: all[i].clone(),
        });
        feed(&mut w, "370000", doc, incoming.collect());
        let states: Vec<(ItemHash, State)> =
            w.nodes[&name("370000")].store.items().map(|i| (i.hash, i.state)).collect();
        assert_eq!(
            states.iter().filter(|(_, s)| *s == State::Counted).count(),
            3,
            "the first, a twin, its child"
        );
        outcomes.insert(states.iter().map(|(h, s)| (*h, *s == State::Counted)).collect::<Vec<_>>());
    }
    assert_eq!(outcomes.len(), 1);
}

#[test]
fn a_node_whose_running_copy_speaks_goes_on_under_a_new_actor() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.cut("370000", "370100");
    // A copy of the running process: the same disk and the same life.
    let disk = w.nodes[&name("370100")].store.clone();
    w.write("370100", Some(doc), "here", "x");
    let original = w.nodes.insert(name("370100"), open(name("370100"), disk, 2)).unwrap();
    w.write("370100", Some(doc), "there", "y");
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    w.nodes.insert(name("370100"), original);
    let before = w.nodes[&name("370100")].replica.incarnation();
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_ne!(w.nodes[&name("370100")].replica.incarnation(), before);
    assert!(w.told("370100").iter().any(|e| matches!(e, Event::Cloned { .. })));
    let taken_back = w.at(name("370100"), |r, _, _| r.taken_back());
    let refused = w.nodes.get_mut(&name("370100")).unwrap().store.refusals(name("370100"), None, 9).unwrap();
    assert_eq!(taken_back, [(doc, refused[0].item)], "to be said again");
    w.write("370100", Some(doc), "later", "z");
    w.settle();
    assert_eq!(w.value("370000", doc, "later").unwrap(), "z");
}

/// Whoever heard of a word before it fell has let in whom it named; the others learn of the name with the fallen word.
#[test]
fn whom_a_fallen_twin_names_is_in_the_audience_everywhere() {
    for turn in 0..8 {
        let mut w = World::new(&["370000", "370100", "370200"]);
        w.link("370000", "370100");
        w.link("370000", "370200");
        let doc = w.write("370100", None, "subject", "one");
        w.settle();
        w.cut("370000", "370100");
        let disk = w.nodes[&name("370100")].store.clone();
        w.write("370100", Some(doc), "to", "370200");
        let original = w.nodes.insert(name("370100"), open(name("370100"), disk, 2)).unwrap();
        w.write("370100", Some(doc), "there", &format!("{turn}"));
        w.link("370000", "370100");
        w.settle();
        w.cut("370000", "370100");
        w.nodes.insert(name("370100"), original);
        w.link("370000", "370100");
        w.settle();
        for (a, b) in [("370000", "370100"), ("370000", "370200")] {
            w.assert_equal(a, b);
            assert!(w.nodes[&name(a)].replica.link(name(b)).digest_equal, "{turn}: {a} {b}");
        }
        assert!(w.nodes.get_mut(&name("370200")).unwrap().store.document(&doc).unwrap().is_some(), "{turn}");
    }
}

fn counted(w: &mut World, who: &str, doc: DocId) -> usize {
    w.at(name(who), |r, s, _| r.open_document(doc, s, &Desk).unwrap().unwrap().1.counted.len())
}

#[test]
fn a_superior_vouches_for_what_others_cannot_know_to_count() {
    let mut w = World::new(&["000000", "370000", "370100", "370200"]);
    for (a, b) in [("000000", "370000"), ("370000", "370100"), ("370000", "370200")] {
        w.link(a, b);
    }
    let doc = w.write("370100", None, "subject", "with a neighbour");
    w.write("370100", Some(doc), "to", "370200");
    w.settle();
    // A seal that 370200 and 000000 never see: the chain has a gap there.
    w.write("370100", None, "subject", "at home");
    w.settle();
    let last = w.nodes[&name("370100")].replica.chain().1.unwrap();
    w.write("370100", Some(doc), "after", "the key was stolen");
    w.settle();
    let list = format!("370100 {last}");
    w.at(name("370000"), |r, s, _| r.put_directory(Kind::REVOCATION, list.as_bytes(), s, &mut Desk).unwrap());
    w.settle();
    for node in ["370000", "370200", "000000"] {
        assert_eq!(counted(&mut w, node, doc), 2, "{node}");
        assert_eq!(w.nodes.get_mut(&name(node)).unwrap().store.totals().unwrap().not_counted, 1, "{node}");
    }
    let taken = w.at(name("370000"), |r, s, _| r.take_in(doc, s, &mut Desk).unwrap());
    assert_eq!(taken, 1, "a person of the province has looked at it");
    w.settle();
    for node in ["370000", "370200", "000000"] {
        assert_eq!(counted(&mut w, node, doc), 3, "{node}");
    }
    let nobody = w.at(name("370200"), |r, s, _| r.take_in(doc, s, &mut Desk).unwrap());
    assert_eq!(nobody, 0, "a neighbour is no superior");
    for (a, b) in [("370000", "370200"), ("000000", "370000")] {
        assert!(w.nodes[&name(a)].replica.link(name(b)).digest_equal, "{a} {b}");
    }
}

/// Two copies of a disk put one change under two seals. Whoever got it under the seal that does not count is told.
#[test]
fn what_a_clone_sealed_anew_counts_at_the_sites_other_node_too() {
    let mut w = World::new(&["000000", "370000", "370000-b"]);
    let doc = w.write("370000", None, "subject", "under no seal yet");
    let disk = w.nodes[&name("370000")].store.clone();
    w.link("000000", "370000");
    w.settle();
    let last = w.nodes[&name("370000")].replica.chain().1.unwrap();
    w.cut("000000", "370000");
    w.nodes.insert(name("370000"), open(name("370000"), disk, 9));
    w.write("370000", None, "subject", "of the copy");
    w.link("370000", "370000-b");
    w.settle();
    w.cut("370000", "370000-b");
    let list = format!("370000 {last}");
    w.at(name("000000"), |r, s, _| r.put_directory(Kind::REVOCATION, list.as_bytes(), s, &mut Desk).unwrap());
    w.link("000000", "370000-b");
    w.settle();
    w.assert_equal("000000", "370000-b");
    for node in ["000000", "370000-b"] {
        assert_eq!(counted(&mut w, node, doc), 1, "{node}");
    }
}

#[test]
fn what_a_vouch_of_the_same_batch_names_counts() {
    let mut w = World::new(&["370000", "370100", "370200"]);
    w.link("370000", "370100");
    w.link("370000", "370200");
    let docs: Vec<DocId> = (0..6).map(|n| w.write("370100", None, "subject", &format!("call {n}"))).collect();
    for doc in &docs {
        w.write("370100", Some(*doc), "to", "370200");
    }
    w.settle();
    w.write("370100", None, "subject", "at home"); // 370200 never sees this seal
    w.settle();
    let last = w.nodes[&name("370100")].replica.chain().1.unwrap();
    let list = format!("370100 {last}");
    w.at(name("370000"), |r, s, _| r.put_directory(Kind::REVOCATION, list.as_bytes(), s, &mut Desk).unwrap());
    w.settle();
    // A repair brings changes and vouches back in no order of theirs.
    w.cut("370000", "370200");
    w.at(name("370200"), |r, s, _| {
        let all: Vec<_> = docs.iter().flat_map(|doc| s.items_of(doc).unwrap()).collect();
        let lost = all.iter().filter(|i| i.hash != ItemHash::from(i.doc.unwrap()));
        r.lose(&lost.map(|i| i.hash).collect::<Vec<_>>(), s).unwrap()
    });
    w.link("370000", "370200");
    w.settle();
    for node in ["370000", "370200"] {
        docs.iter().for_each(|doc| assert_eq!(counted(&mut w, node, *doc), 2, "{node} {doc}"));
    }
    assert!(w.nodes[&name("370200")].replica.link(name("370000")).digest_equal);
}

#[test]
fn a_document_past_what_is_loaded_is_passed_on_unread() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.at(name("370000"), |r, s, _| r.freeze(doc, s).unwrap());
    w.write("370100", Some(doc), "more", "words");
    w.settle();
    assert_eq!(w.value("000000", doc, "more").unwrap(), "words");
    assert_eq!(w.value("370000", doc, "more"), None, "it is not loaded there");
    w.assert_equal("370000", "370100");
    w.assert_equal("000000", "370000");
    assert!(matches!(
        w.try_write("370000", Some(doc), "x", "y"),
        Err(WriteError::Refused(Refusal::TooLarge))
    ));
    assert_eq!(w.nodes.get_mut(&name("370000")).unwrap().store.frozen(9).unwrap(), [doc]);
}
