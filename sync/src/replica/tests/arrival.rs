//! Whole batches: documents that begin are judged away from the store, and come out as one by one.

use super::*;
use crate::replica::admit::{Incoming, Verdict};
use crate::replica::arrival::Arrival;

const AUTHOR: &str = "370100";
const LIFE: Incarnation = Incarnation::from_bytes([7; 8]);

fn first(subject: &str) -> Vec<u8> {
    let document = Document::empty(DocId::from_bytes([0; 32]));
    let write = |tx: &mut automerge::transaction::Transaction<'_>| {
        let facts = tx.put_object(ROOT, "facts", ObjType::Map)?;
        tx.put(&facts, "subject", subject)
    };
    document.compose(name(AUTHOR), LIFE, write).unwrap().unwrap()
}

/// A change that puts something under this key on top of these.
fn on(changes: &[&[u8]], key: &str) -> Vec<u8> {
    let mut document = Document::empty(Kind::CHANGE.hash(changes[0]).into());
    for bytes in changes {
        let change = Witnessed::check(bytes, name(AUTHOR), true).unwrap();
        let writes = document.writes(&change).unwrap();
        document.apply(&change, &writes).unwrap();
    }
    let facts = document.part("facts").unwrap();
    document.compose(name(AUTHOR), LIFE, |tx| tx.put(&facts, key, "370200")).unwrap().unwrap()
}

fn arrival(doc: &[u8], items: &[(Kind, &[u8])]) -> Arrival {
    let items = items.iter().map(|(kind, bytes)| Incoming {
        hash: kind.hash(bytes),
        kind: *kind,
        author: name(AUTHOR),
        sealed: None,
        emptied: false,
        bytes: bytes.to_vec(),
    });
    let items: Vec<Incoming> = items.collect();
    Arrival { doc: Kind::CHANGE.hash(doc).into(), at: (0..).take(items.len()).collect(), items }
}

/// A batch of everything that a document may begin with, or cannot.
fn batch() -> Vec<Arrival> {
    fn change(bytes: &[u8]) -> (Kind, &[u8]) {
        (Kind::CHANGE, bytes)
    }
    let plain = |subject: &str| {
        let root = first(subject);
        let later = on(&[&root], "to");
        // The later one comes first, and a grant before both.
        arrival(&root, &[(Kind::GRANT, subject.as_bytes()), change(&later), change(&root)])
    };
    let root = first("doubtful");
    let (here, there, forbidden) = (on(&[&root], "here"), on(&[&root], "there"), on(&[&root], "forbidden"));
    let far = on(&[&root, &here], "far");
    let other = first("other");
    let mut nonsense = here.clone();
    *nonsense.last_mut().unwrap() ^= 0x55;
    vec![
        plain("one"),
        arrival(&first("a refused one"), &[change(&first("a refused one")), change(&nonsense)]),
        arrival(&root, &[change(&root), change(&here), change(&there), change(&forbidden)]),
        plain("two"),
        arrival(&other, &[change(&other), change(&here)]),
        arrival(&root, &[change(&far), change(&root)]),
        plain("one"),
        arrival(&first("not here"), &[change(&on(&[&first("not here")], "to"))]),
        arrival(
            &first("marked"),
            &[change(&first("marked")), (Kind::ERASED, b"mark"), (Kind::GRANT, b"key")],
        ),
        arrival(
            &first("vouched"),
            &[(Kind::VOUCH, b"vouch"), change(&first("vouched")), (Kind::RECEIPT, b"r")],
        ),
        arrival(&first("lacking"), &[change(&first("lacking")), change(&far)]),
        plain("three"),
    ]
}

#[test]
fn a_batch_is_judged_as_document_by_document() {
    let outcome = |together: bool| {
        let mut w = World::new(&["370000", "370100", "370200"]);
        w.link("370000", "370100");
        w.link("370000", "370200");
        let verdicts = w.at(name("370000"), |r, s, _| {
            let (from, mut unheld) = (name(AUTHOR), BTreeMap::new());
            let mut verdicts: Vec<String> = match together {
                true => {
                    let admitted = r.admit_all(batch(), from, &mut unheld, s, &mut Desk).unwrap();
                    admitted.iter().map(|(arrival, said)| format!("{} {said:?}", arrival.doc)).collect()
                }
                false => {
                    let admit = |Arrival { doc, items, .. }| {
                        let said = r.admit(doc, &items, from, &mut unheld, s, &mut Desk).unwrap();
                        format!("{doc} {said:?}")
                    };
                    batch().into_iter().map(admit).collect()
                }
            };
            verdicts.sort();
            verdicts
        });
        let owed = w.owed("370000", "370200");
        let Node { store, replica, .. } = w.nodes.get_mut(&name("370000")).unwrap();
        let items: BTreeMap<ItemHash, (State, Option<DocId>)> =
            store.items().map(|i| (i.hash, (i.state, i.doc))).collect();
        let rows: Vec<_> = batch().iter().map(|a| store.document(&a.doc).unwrap()).collect();
        let digests = ["370100", "370200"].map(|peer| replica.pairs[&name(peer)].digest.clone());
        (verdicts, items, rows, owed, digests)
    };
    let (together, alone) = (outcome(true), outcome(false));
    assert_eq!(together.0, alone.0, "verdicts");
    assert_eq!(together.1, alone.1, "items");
    assert_eq!(together.2, alone.2, "audiences");
    assert_eq!(together.3, alone.3, "debts");
    assert!(together.4 == alone.4, "digests");
    let states: BTreeSet<String> = together.1.values().map(|(state, _)| format!("{state:?}")).collect();
    assert_eq!(states.len(), 3, "what stands, what is refused, what is emptied: {states:?}");
}

#[test]
fn of_a_stream_only_the_last_stay_open_and_all_of_it_stands() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let firsts: Vec<Vec<u8>> = (0..200).map(|n| first(&n.to_string())).collect();
    let docs: Vec<DocId> = firsts.iter().map(|bytes| Kind::CHANGE.hash(bytes).into()).collect();
    let open = |r: &Replica<Roll, Letter>| docs.iter().filter(|doc| r.shelf.get(doc).is_some()).count();
    let opened = w.at(name("370000"), |r, s, _| {
        let (from, mut unheld) = (name(AUTHOR), BTreeMap::new());
        let arrivals = firsts.iter().map(|bytes| arrival(bytes, &[(Kind::CHANGE, bytes)])).collect();
        let said = r.admit_all(arrivals, from, &mut unheld, s, &mut Desk).unwrap();
        assert!(said.iter().all(|(_, verdicts)| *verdicts == [Verdict::Durable]));
        let opened = open(r);
        // In the same transaction to the first of them, which is not open any more.
        let later = on(&[&firsts[0]], "to");
        let Arrival { items, .. } = arrival(&firsts[0], &[(Kind::CHANGE, &later)]);
        assert_eq!(r.admit(docs[0], &items, from, &mut unheld, s, &mut Desk).unwrap(), [Verdict::Durable]);
        opened
    });
    assert_eq!(opened, 64);
    assert_eq!(w.value("370000", docs[0], "to").as_deref(), Some("370200"));
    assert_eq!(w.nodes[&name("370000")].store.items().filter(|item| item.kind == Kind::CHANGE).count(), 201);
}
