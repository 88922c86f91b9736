//! What an erased mark does, and items whose bytes were lost.

use super::*;

fn put(w: &mut World, who: &str, doc: DocId, kind: Kind, bytes: &[u8]) -> ItemHash {
    w.at(name(who), |r, s, _| r.put(doc, kind, bytes.to_vec(), s, &mut Desk).unwrap())
}

fn state(w: &mut World, who: &str, item: ItemHash) -> Option<State> {
    w.at(name(who), |_, s, _| s.state(&item).unwrap())
}

#[test]
fn an_erased_mark_beats_every_grant_and_the_digests_stay_equal() {
    let mut w = World::new(&["000000", "370000", "370100", "370000-b"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    let early = put(&mut w, "370100", doc, Kind::GRANT, b"early");
    w.settle();
    w.cut("000000", "370000");
    put(&mut w, "370100", doc, Kind::ERASED, b"mark");
    // Made without knowing of the mark, and made knowing of it.
    let late = put(&mut w, "000000", doc, Kind::GRANT, b"late");
    let later = put(&mut w, "370100", doc, Kind::GRANT, b"later");
    w.settle();
    assert_eq!(state(&mut w, "000000", early), Some(State::Counted));
    w.link("000000", "370000");
    // A replica that comes when nothing but the stubs is left.
    w.link("370000", "370000-b");
    w.settle();
    w.assert_equal("370100", "370000");
    w.assert_equal("370000", "000000");
    w.assert_equal("370000", "370000-b");
    for who in ["000000", "370000", "370100", "370000-b"] {
        for grant in [early, late, later] {
            assert_eq!(state(&mut w, who, grant), Some(State::Emptied), "{who}");
        }
        let bytes: Vec<Vec<u8>> = w.nodes[&name(who)]
            .store
            .items()
            .filter(|i| i.kind == Kind::GRANT)
            .map(|i| i.bytes.clone())
            .collect();
        assert!(bytes.iter().all(|b| b.len() == crate::item::STUB), "{who}");
    }
}

#[test]
fn a_backup_with_its_grants_put_back_is_emptied_again_and_the_repair_ends() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    let grant = put(&mut w, "370100", doc, Kind::GRANT, b"key");
    w.settle();
    let backup = w.nodes[&name("370000")].store.clone();
    let mark = put(&mut w, "370100", doc, Kind::ERASED, b"mark");
    w.settle();
    w.cut("370000", "370100");
    w.nodes.insert(name("370000"), open(name("370000"), backup, 77));
    assert_eq!(state(&mut w, "370000", grant), Some(State::Counted));
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(state(&mut w, "370000", grant), Some(State::Emptied));
    assert_eq!(state(&mut w, "370000", mark), Some(State::Counted));
    assert_eq!(state(&mut w, "370100", grant), Some(State::Emptied), "the backup brings nothing back");
}

#[test]
fn a_mark_by_somebody_who_may_not_is_refused_by_all() {
    let mut w = World::new(&["370000", "370200"]);
    w.link("370000", "370200");
    let doc = w.write("370000", None, "subject", "one");
    w.write("370000", Some(doc), "to", "370200");
    let grant = put(&mut w, "370000", doc, Kind::GRANT, b"key");
    w.settle();
    let mark = put(&mut w, "370200", doc, Kind::ERASED, b"mine");
    w.settle();
    w.assert_equal("370000", "370200");
    for who in ["370000", "370200"] {
        assert_eq!(state(&mut w, who, mark), Some(State::Refused));
        assert_eq!(state(&mut w, who, grant), Some(State::Counted));
    }
}

#[test]
fn items_whose_bytes_were_lost_come_back_by_repair() {
    let mut w = World::new(&["000000", "370000", "370100"]);
    w.link("000000", "370000");
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    let grant = put(&mut w, "370100", doc, Kind::GRANT, b"key");
    w.settle();
    w.at(name("370000"), |r, s, _| r.lose(&[grant], s).unwrap());
    assert_eq!(state(&mut w, "370000", grant), None);
    w.cut("370000", "370100");
    w.cut("000000", "370000");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
    assert_eq!(state(&mut w, "370000", grant), Some(State::Counted));
    w.link("000000", "370000");
    w.settle();
    w.assert_equal("000000", "370000");
}
