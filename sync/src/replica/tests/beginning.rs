//! Beginnings: what was composed away from the store stands as everybody judges it, or not at all.

use super::*;

fn compose(
    who: &str,
    life: Incarnation,
    key: &str,
) -> Result<Beginning<Letter>, WriteError<automerge::AutomergeError>> {
    Beginning::compose(
        name(who),
        life,
        |_| Letter::default(),
        |tx| {
            let facts = tx.put_object(ROOT, "facts", ObjType::Map)?;
            for (key, value) in [("subject", "one"), (key, "370200"), ("words", "a few more, 并且汉字")] {
                tx.put(&facts, key, value)?;
            }
            let body = tx.put_object(ROOT, "body", ObjType::Text)?;
            tx.splice_text(&body, 0, 0, "so it began, 从前")
        },
    )
}

#[test]
fn a_beginning_and_what_is_beside_it_reach_everybody_and_go_on() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370100", "370000");
    w.settle();
    let life = w.nodes[&name("370100")].replica.incarnation();
    let (first, second) = (compose("370100", life, "to").unwrap(), compose("370100", life, "too").unwrap());
    let docs = [first.doc(), second.doc()];
    w.at(name("370100"), |r, s, _| {
        for beginning in [second, first] {
            let grant = (Kind::GRANT, beginning.doc().to_string().into_bytes());
            r.admit_beginning::<_, _, ()>(beginning, vec![grant], s, &mut Desk).unwrap();
        }
        assert_eq!(s.owed_count(name("370000")).unwrap(), 2, "one row for each document with all of it");
    });
    w.settle();
    for doc in docs {
        w.write("370100", Some(doc), "subject", "two");
    }
    w.settle();
    w.assert_equal("370100", "370000");
    assert_eq!(w.nodes.get_mut(&name("370000")).unwrap().store.totals().unwrap().items, 6);
    for doc in docs {
        let saved = ["370100", "370000"].map(|node| {
            w.at(name(node), |r, s, _| r.open_document(doc, s, &Desk).unwrap().unwrap().0.automerge().save())
        });
        assert_eq!(saved[0], saved[1], "composed here, given to automerge there: the same document");
    }
}

#[test]
fn the_gate_judges_a_beginning_before_it_is_one() {
    let refused = compose("370100", Incarnation::from_bytes([7; 8]), "forbidden");
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::Rule(_)))));
}

#[test]
fn a_beginning_is_admitted_once_and_in_its_writers_life() {
    let mut w = World::new(&["370000", "370100"]);
    let life = w.nodes[&name("370100")].replica.incarnation();
    let admit = |w: &mut World, who: &str, life: Incarnation| {
        let beginning = compose(who, life, "to").unwrap();
        w.at(name("370100"), |r, s, _| match r.admit_beginning::<_, _, ()>(beginning, vec![], s, &mut Desk) {
            Ok(()) => None,
            Err(WriteError::Refused(why)) => Some(why),
            Err(other) => panic!("{other:?}"),
        })
    };
    assert_eq!(admit(&mut w, "370100", Incarnation::from_bytes([7; 8])), Some(Refusal::Actor));
    assert_eq!(admit(&mut w, "370000", life), Some(Refusal::Actor));
    assert_eq!(admit(&mut w, "370100", life), None);
    assert_eq!(admit(&mut w, "370100", life), Some(Refusal::Root));
    assert_eq!(w.nodes.get_mut(&name("370100")).unwrap().store.totals().unwrap().items, 1);
}
