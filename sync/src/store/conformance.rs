//! What every store must do, checked the same way for each.

use super::bundles::{Carried, Handed, Reply, Scanned, parcel_id};
use super::{Debt, Document, Durable, Peer, Position, Refused, StoredSeal};
use crate::file::{Manifest, PIECE, piece_hash};
use crate::id::{DocId, Incarnation, ItemHash, SealHash};
use crate::item::{Audience, Class, Item, Kind, Sealed, State, stub};
use crate::merkle::Twig;
use crate::seal::{SUITE, Seal, Words};
use crate::wire::{Answer, Exception};
use certs::NodeName;

fn hash(n: u8) -> ItemHash {
    ItemHash::from_bytes([n; 32])
}

fn doc(n: u8) -> DocId {
    DocId::from_bytes([n; 32])
}

fn item(n: u8, of: Option<DocId>) -> Item {
    let kind = if of.is_some() { Kind::CHANGE } else { Kind::RECORD };
    let author = "370100".parse().expect("a name");
    Item { hash: hash(n), kind, doc: of, author, state: State::Counted, sealed: None, bytes: vec![n; 5] }
}

fn seal(number: u64, root: u8) -> StoredSeal {
    let words = Words {
        suite: SUITE,
        node: "370100".parse().expect("a name"),
        incarnation: Incarnation::from_bytes([1; 8]),
        number,
        previous: None,
        count: 2,
        root: [root; 32],
    };
    StoredSeal { seal: Seal::make(words, |_| [5; 64]), twigs: Vec::new() }
}

/// Runs the whole suite on stores that `make` makes.
///
/// # Panics
/// When the store breaks a promise.
pub fn check<S: Durable>(make: impl Fn() -> S) {
    items_come_back_as_they_were_put(&mut make());
    a_rollback_leaves_no_trace(&mut make());
    documents_are_walked_once_each(&mut make());
    a_region_is_shared_with_whoever_lies_in_it(&mut make());
    prefixes_find_at_most_two(&mut make());
    seals_and_their_leaves(&mut make());
    an_outbox_is_ordered_and_settles(&mut make());
    peers_and_meta(&mut make());
    refusals_are_kept_by_who_refused(&mut make());
    contents_come_piece_by_piece(&mut make());
    grants_are_kept_emptied_and_dropped(&mut make());
    an_outbox_is_walked_once(&mut make());
    batches_and_answers_are_kept_until_dropped(&mut make());
    parcels_are_carried_once_each(&mut make());
}

fn an_outbox_is_walked_once<S: Durable>(store: &mut S) {
    with_documents(store, 2);
    let peer: NodeName = "370000".parse().expect("a name");
    let row = |class, rank, i| Debt { class, rank: Position(rank), doc: Some(doc(1)), item: Some(hash(i)) };
    // Many rows of one rank, as what waits has.
    let mut all: Vec<Debt> = (1..=20).map(|i| row(Class::Ordinary, 0, i)).collect();
    all.extend((21..=25).map(|i| row(Class::Urgent, u64::from(i), i)));
    all.push(Debt { class: Class::Backfill, rank: Position(1), doc: Some(doc(2)), item: None });
    store.owe(peer, &all).expect("owe");
    let (mut at, mut walked) = (None, Vec::new());
    loop {
        let page = store.owed_after(peer, at, 3).expect("a page");
        let Some((last, _)) = page.last() else { break };
        at = Some(*last);
        walked.extend(page.into_iter().map(|(_, debt)| debt));
    }
    let order = |d: &Debt| (d.class, std::cmp::Reverse(d.rank));
    assert!(walked.is_sorted_by_key(order), "the most urgent first");
    walked.sort();
    all.sort();
    assert_eq!(walked, all);
    store.commit().expect("commit");
}

fn batches_and_answers_are_kept_until_dropped<S: Durable>(store: &mut S) {
    store.begin().expect("begin");
    let (peer, other) = ("370000".parse().expect("a name"), "000000".parse().expect("a name"));
    let stretch = Scanned { from: Position(0), to: Position(7), done: false };
    let scanned = Some(stretch);
    let batch = |number, scanned| Handed {
        number,
        items: vec![(None, hash(1)), (Some(doc(1)), hash(2))],
        whole: vec![doc(1)],
        scanned,
    };
    store.hand(peer, u64::MAX, &batch(1, scanned)).expect("hand");
    store.hand(peer, 5, &batch(2, None)).expect("hand");
    store.hand(other, 5, &batch(9, None)).expect("hand");
    assert_eq!(store.handed(peer, u64::MAX).expect("handed"), Some(batch(1, scanned)));
    assert_eq!(store.all_handed(peer, 9).expect("all"), [(5, 2), (u64::MAX, 1)]);
    assert_eq!(store.all_handed(peer, 1).expect("all"), [(5, 2)]);
    assert_eq!(store.scanned(peer).expect("scans"), [(u64::MAX, 1, stretch)]);
    store.hand(peer, u64::MAX, &batch(1, None)).expect("hand");
    assert_eq!(store.all_handed(peer, 9).expect("all"), [(5, 2), (u64::MAX, 1)], "it keeps its place");
    store.drop_handed(peer, 5).expect("drop");
    assert_eq!(store.handed(peer, 5).expect("handed"), None);
    assert_eq!(store.scanned(peer).expect("scans"), []);
    assert!(store.handed(other, 5).expect("handed").is_some());
    let reply = |batch, why: &str| Reply {
        number: 3,
        answer: Answer { batch, exceptions: vec![(0, Exception::Refused(why.to_owned()))] },
    };
    store.put_reply(peer, &reply(u64::MAX, "a")).expect("put");
    store.put_reply(peer, &reply(4, "b")).expect("put");
    store.put_reply(peer, &reply(u64::MAX, "c")).expect("put");
    assert_eq!(store.replies(peer).expect("replies"), [reply(u64::MAX, "c"), reply(4, "b")]);
    assert_eq!(store.replies_count(peer).expect("count"), 2);
    assert_eq!(store.answered_peers().expect("peers"), [peer]);
    store.drop_reply(peer, 4).expect("drop");
    assert_eq!(store.replies(peer).expect("replies"), [reply(u64::MAX, "c")]);
    store.commit().expect("commit");
}

fn parcels_are_carried_once_each<S: Durable>(store: &mut S) {
    let (a, b): (NodeName, NodeName) =
        ("370100-01".parse().expect("a name"), "370000".parse().expect("a name"));
    let c: NodeName = "370100".parse().expect("a name");
    store.begin().expect("begin");
    assert!(store.carry(a, b, b"one").expect("carry"));
    assert!(store.carry(b, a, b"two, longer").expect("carry"));
    assert!(!store.carry(a, b, b"one").expect("carry"));
    assert!(store.carry(a, c, b"one").expect("carry"), "the same bytes for another node");
    let id = parcel_id(b, b"one");
    let first = Carried { id, from: a, to: b, size: 3, taken: 0 };
    let rows = store.carried().expect("rows");
    assert_eq!((rows.len(), &rows[0]), (3, &first));
    store.note_taken(&id).expect("note");
    let taken: Vec<u32> = store.carried().expect("rows").iter().map(|row| row.taken).collect();
    assert_eq!(taken, [1, 0, 0]);
    assert_eq!(store.carried_bytes(&id).expect("bytes").as_deref(), Some(&b"one"[..]));
    store.commit().expect("commit");
    store.begin().expect("begin");
    store.drop_carried(&id).expect("drop");
    store.rollback().expect("rollback");
    assert_eq!(store.carried().expect("rows").len(), 3);
    store.begin().expect("begin");
    store.drop_carried(&id).expect("drop");
    assert_eq!(store.carried_bytes(&id).expect("bytes"), None);
    assert_eq!(store.carried_bytes(&parcel_id(c, b"one")).expect("bytes").as_deref(), Some(&b"one"[..]));
    store.commit().expect("commit");
}

fn grants_are_kept_emptied_and_dropped<S: Durable>(store: &mut S) {
    with_documents(store, 1);
    let grant = |n: u8| Item { kind: Kind::GRANT, ..item(n, Some(doc(1))) };
    let (change, a, b, c) = (item(1, Some(doc(1))), grant(2), grant(3), grant(4));
    for new in [&change, &a, &b] {
        store.put_item(new).expect("put");
    }
    store.commit().expect("commit");
    store.begin().expect("begin");
    assert_eq!(store.items_of_kind(&doc(1), Kind::GRANT).expect("items"), [a.clone(), b.clone()]);
    store.empty_item(&a.hash).expect("empty");
    store.put_item(&c).expect("put");
    store.rollback().expect("rollback");
    store.begin().expect("begin");
    assert_eq!(store.items_of(&doc(1)).expect("items"), [change.clone(), a.clone(), b.clone()]);
    assert_eq!(store.item(&c.hash).expect("item"), None);
    store.empty_item(&a.hash).expect("empty");
    let left = Item { state: State::Emptied, bytes: stub(&a.bytes).to_vec(), ..a.clone() };
    assert_eq!(store.item(&a.hash).expect("item"), Some(left.clone()), "before the commit");
    store.commit().expect("commit");
    store.begin().expect("begin");
    store.drop_item(&b.hash).expect("drop");
    assert!(store.drop_item(&b.hash).is_err());
    assert_eq!(store.items_of(&doc(1)).expect("items"), [change, left]);
    let emptied = Item { state: State::Emptied, bytes: vec![7; 32], ..c };
    store.put_item(&emptied).expect("put");
    store.put_item(&b).expect("taken in again");
    store.commit().expect("commit");
    store.begin().expect("begin");
    assert_eq!(store.item(&emptied.hash).expect("item"), Some(emptied));
    assert_eq!(store.item(&b.hash).expect("item"), Some(b));
    store.commit().expect("commit");
}

fn with_documents(store: &mut impl Durable, n: u8) {
    store.begin().expect("begin");
    for i in 1..=n {
        store.put_document(&doc(i), &Document::default()).expect("put");
    }
}

fn items_come_back_as_they_were_put<S: Durable>(store: &mut S) {
    with_documents(store, 2);
    let (a, b, c, d) = (item(1, Some(doc(1))), item(2, Some(doc(2))), item(3, Some(doc(1))), item(4, None));
    let positions: Vec<Position> = [&a, &b, &c, &d].map(|i| store.put_item(i).expect("put")).to_vec();
    assert!(positions.is_sorted(), "positions grow");
    store.commit().expect("commit");
    store.begin().expect("begin");
    assert_eq!(store.item(&a.hash).expect("item"), Some(a.clone()));
    assert_eq!(store.item(&hash(9)).expect("item"), None);
    assert_eq!(store.items_of(&doc(1)).expect("items"), [a.clone(), c.clone()]);
    assert_eq!(store.items_of(&doc(9)).expect("items"), []);
    assert_eq!(store.directory().expect("directory"), std::slice::from_ref(&d));
    let all = store.scan(Position(0), 10).expect("scan");
    assert_eq!(all.iter().map(|(p, h, d)| (*p, *h, *d)).collect::<Vec<_>>(), {
        [&a, &b, &c, &d].iter().zip(&positions).map(|(i, p)| (*p, i.hash, i.doc)).collect::<Vec<_>>()
    });
    assert_eq!(store.scan(positions[1], 1).expect("scan").len(), 1);
    let sites = ["370100", "370000"].map(|s| s.parse().expect("a site"));
    let audience = sites.into_iter().collect();
    store.put_document(&doc(1), &Document { audience, frozen: false }).expect("put");
    let mut shared = Vec::new();
    store.each_shared(sites, &mut |hash, doc, at| shared.push((at, *hash, doc))).expect("shared");
    shared.sort_unstable();
    assert_eq!(
        shared,
        [(positions[0], a.hash, a.doc), (positions[2], c.hash, c.doc), (positions[3], d.hash, None)]
    );
    let mut beginning = Vec::new();
    let visit = &mut |hash: &ItemHash, doc, at| beginning.push((at, *hash, doc));
    let firsts = [[0; 2], [u8::MAX; 2], *d.hash.as_bytes().first_chunk().expect("two bytes")];
    store.shared_beginning(sites, &firsts.into(), visit).expect("shared");
    assert_eq!(beginning, [(positions[3], d.hash, None)], "what begins so, and of the directory too");
    store.set_state(&b.hash, State::NotCounted).expect("state");
    store.set_state(&c.hash, State::Refused).expect("state");
    assert_eq!(store.state(&b.hash).expect("state"), Some(State::NotCounted));
    store.empty_item(&a.hash).expect("empty");
    let emptied = store.item(&a.hash).expect("item").expect("there");
    assert_eq!((emptied.state, emptied.bytes), (State::Emptied, stub(&a.bytes).to_vec()));
    assert!(store.set_state(&hash(9), State::Counted).is_err());
    let totals = store.totals().expect("totals");
    assert_eq!(
        (totals.documents, totals.items, totals.refused, totals.not_counted, totals.unsealed),
        (2, 4, 1, 1, 3)
    );
    store.commit().expect("commit");
}

fn a_rollback_leaves_no_trace<S: Durable>(store: &mut S) {
    with_documents(store, 1);
    let first = store.put_item(&item(1, Some(doc(1)))).expect("put");
    store.commit().expect("commit");
    store.begin().expect("begin");
    let lost = store.put_item(&item(2, Some(doc(1)))).expect("put");
    store.set_state(&hash(1), State::Refused).expect("state");
    store.put_document(&doc(7), &Document::default()).expect("put");
    store.put_meta("k", b"v").expect("meta");
    store.rollback().expect("rollback");
    store.begin().expect("begin");
    assert_eq!(store.item(&hash(2)).expect("item"), None);
    assert_eq!(store.state(&hash(1)).expect("state"), Some(State::Counted));
    assert_eq!(store.document(&doc(7)).expect("document"), None);
    assert_eq!(store.meta("k").expect("meta"), None);
    let totals = store.totals().expect("totals");
    assert_eq!((totals.documents, totals.items), (1, 1), "counted as if nothing had been");
    assert!(lost > first);
    assert!(store.put_item(&item(3, Some(doc(1)))).expect("put") > first);
    store.commit().expect("commit");
}

fn documents_are_walked_once_each<S: Durable>(store: &mut S) {
    with_documents(store, 5);
    let audience: Audience = ["370100", "370100-01"].iter().map(|s| s.parse().expect("a site")).collect();
    store.put_document(&doc(3), &Document { audience: audience.clone(), frozen: true }).expect("put");
    let mut seen = Vec::new();
    let mut at = None;
    loop {
        let page = store.documents(at, 2).expect("page");
        let Some(last) = page.last() else { break };
        at = Some(last.0);
        seen.extend(page);
    }
    let mut ids: Vec<DocId> = seen.iter().map(|(d, _)| *d).collect();
    ids.sort();
    assert_eq!(ids, (1..=5).map(doc).collect::<Vec<_>>());
    let third = store.document(&doc(3)).expect("document").expect("there");
    assert_eq!((third.audience, third.frozen), (audience, true));
    store.commit().expect("commit");
}

fn a_region_is_shared_with_whoever_lies_in_it<S: Durable>(store: &mut S) {
    with_documents(store, 3);
    for n in 1..=3 {
        store.put_item(&item(n, Some(doc(n)))).expect("put");
    }
    let site = |s: &str| s.parse::<certs::Site>().expect("a site");
    let named: Audience = ["370000", "370100"].map(site).into_iter().collect();
    let province = Audience::default().with_regions([site("370000")]);
    let nation = Audience::default().with_regions([site("000000")]);
    for (n, audience) in [(1, &named), (2, &province), (3, &nation)] {
        store.put_document(&doc(n), &Document { audience: audience.clone(), frozen: false }).expect("put");
        assert_eq!(store.document(&doc(n)).expect("document").expect("there").audience, *audience);
    }
    let mut check = |a: &str, b: &str, expected: &[u8]| {
        let mut shared = Vec::new();
        store.each_shared([site(a), site(b)], &mut |hash, _, _| shared.push(*hash)).expect("shared");
        shared.sort_unstable();
        assert_eq!(shared, expected.iter().map(|n| hash(*n)).collect::<Vec<_>>(), "{a} and {b}");
        for n in 1..=3 {
            let first = *hash(n).as_bytes().first_chunk().expect("two bytes");
            let mut beginning = Vec::new();
            let visit = &mut |hash: &ItemHash, of: Option<DocId>, _| beginning.push((*hash, of));
            store.shared_beginning([site(a), site(b)], &[first].into(), visit).expect("shared");
            let theirs = expected.contains(&n).then(|| (hash(n), Some(doc(n))));
            assert_eq!(beginning, theirs.into_iter().collect::<Vec<_>>(), "{a}, {b} and {n}");
        }
    };
    check("370000", "370100", &[1, 2, 3]);
    check("370000", "370200-09", &[2, 3]);
    check("000000", "370000", &[3]);
    check("510000", "510100", &[3]);
    store.commit().expect("commit");
}

fn prefixes_find_at_most_two<S: Durable>(store: &mut S) {
    with_documents(store, 2);
    for n in [1, 2] {
        store.put_item(&item(n, Some(doc(n)))).expect("put");
    }
    for last in [3, 4, 5] {
        let mut bytes = [9; 32];
        bytes[31] = last;
        store.put_item(&Item { hash: ItemHash::from_bytes(bytes), ..item(9, Some(doc(1))) }).expect("put");
    }
    assert_eq!(store.items_with_prefix(&[1; 8]).expect("find"), [hash(1)]);
    assert_eq!(store.items_with_prefix(&[9; 8]).expect("find").len(), 2);
    assert_eq!(store.items_with_prefix(&[8; 8]).expect("find"), []);
    assert_eq!(store.items_with_prefix(&[255; 8]).expect("find"), []);
    assert_eq!(store.documents_with_prefix(&[2; 8]).expect("find"), [doc(2)]);
    store.commit().expect("commit");
}

fn seals_and_their_leaves<S: Durable>(store: &mut S) {
    with_documents(store, 1);
    let (a, b) = (item(1, Some(doc(1))), item(2, Some(doc(1))));
    store.put_item(&a).expect("put");
    store.put_item(&b).expect("put");
    assert_eq!(store.unsealed(10).expect("unsealed"), [(a.hash, doc(1)), (b.hash, doc(1))]);
    let mut stored = seal(4, 1);
    let id = stored.seal.hash();
    store.put_seal(&id, &stored).expect("seal");
    store.seal_item(&b.hash, Sealed { seal: id, leaf: 0 }).expect("seal");
    store.seal_item(&a.hash, Sealed { seal: id, leaf: 1 }).expect("seal");
    assert_eq!(store.unsealed(10).expect("unsealed"), []);
    assert_eq!(store.leaves(&id).expect("leaves"), [(0, b.hash, doc(1)), (1, a.hash, doc(1))]);
    let arrived: Vec<_> = store.scan(Position(0), 100).expect("a page");
    let arrived: Vec<_> = arrived.into_iter().map(|(at, hash, doc)| (at, hash, doc.expect("one"))).collect();
    assert_eq!(store.under(&id).expect("items"), arrived);
    assert_eq!(store.under(&SealHash::from_bytes([9; 32])).expect("none"), []);
    for hash in [a.hash, b.hash] {
        assert_eq!(store.seal_of(&hash).expect("a seal"), Some((id, arrived[0].0)));
    }
    assert_eq!(store.seal_of(&hash(77)).expect("no such item"), None);
    assert_eq!(store.item(&a.hash).expect("item").expect("there").sealed, Some(Sealed { seal: id, leaf: 1 }));
    stored.twigs = vec![Twig { low: 1, high: 2, hash: [4; 32] }];
    store.put_seal(&id, &stored).expect("seal");
    assert_eq!(store.seal(&id).expect("seal"), Some(stored));
    let fork = seal(4, 2);
    store.put_seal(&fork.seal.hash(), &fork).expect("seal");
    let node = "370100".parse().expect("a name");
    let mut both = [id, fork.seal.hash()];
    both.sort();
    assert_eq!(store.seals_numbered(node, 4).expect("seals"), both);
    assert_eq!(store.highest_seal(node).expect("highest"), Some((4, both[0])));
    assert_eq!(store.forks(9).expect("forks"), [(node, 4)]);
    assert_eq!(store.highest_seal("370200".parse().expect("a name")).expect("highest"), None);
    let author = "370100".parse().expect("a name");
    assert!(!store.documents_by(author).expect("by").is_empty(), "sealed and unsealed ones");
    assert_eq!(store.documents_by("370200".parse().expect("a name")).expect("by"), []);
    assert_eq!(store.frozen(9).expect("frozen"), []);
    let row = store.document(&doc(1)).expect("row").expect("a row");
    store.put_document(&doc(1), &Document { frozen: true, ..row }).expect("freeze");
    assert_eq!(store.frozen(9).expect("frozen"), [doc(1)]);
    store.commit().expect("commit");
}

fn an_outbox_is_ordered_and_settles<S: Durable>(store: &mut S) {
    with_documents(store, 3);
    let (peer, other) = ("370000".parse().expect("a name"), "000000".parse().expect("a name"));
    let debt =
        |class, rank, d, i| Debt { class, rank: Position(rank), doc: Some(doc(d)), item: Some(hash(i)) };
    let old = debt(Class::Ordinary, 1, 1, 1);
    let new = debt(Class::Ordinary, 2, 2, 2);
    let urgent = debt(Class::Urgent, 1, 1, 3);
    let whole = Debt { class: Class::Backfill, rank: Position(9), doc: Some(doc(3)), item: None };
    let record = Debt { class: Class::Directory, rank: Position(0), doc: None, item: Some(hash(4)) };
    store.owe(peer, &[old, new, urgent, whole, record]).expect("owe");
    store.owe(peer, &[Debt { class: Class::Urgent, ..old }]).expect("a row that is there stays");
    store.owe(other, &[old]).expect("owe");
    assert_eq!(store.owed(peer, 10).expect("owed"), [record, urgent, new, old, whole]);
    assert_eq!(store.owed(peer, 2).expect("owed"), [record, urgent]);
    assert_eq!(store.owed_count(peer).expect("count"), 5);
    let newer = debt(Class::Urgent, 7, 1, 9);
    store.owe(peer, &[newer]).expect("owe");
    assert_eq!(store.owed_of(peer, &doc(1), 10).expect("owed"), [old, urgent, newer], "parents first");
    assert_eq!(store.owed_of(peer, &doc(1), 1).expect("owed"), [old]);
    assert_eq!(store.owed_of(peer, &doc(3), 10).expect("owed"), [whole]);
    let part = debt(Class::Ordinary, 1, 3, 10);
    store.owe(peer, &[part]).expect("owe");
    assert_eq!(
        store.owed_of(peer, &doc(3), 10).expect("owed"),
        [whole, part],
        "the whole document goes first"
    );
    store.settle(peer, &[(Some(doc(3)), hash(10))]).expect("settle");
    store.settle(peer, &[(Some(doc(1)), hash(9))]).expect("settle");
    store.settle(peer, &[(Some(doc(1)), hash(1)), (None, hash(4)), (Some(doc(9)), hash(9))]).expect("settle");
    store.settle_document(peer, &doc(3)).expect("settle");
    assert_eq!(store.owed(peer, 10).expect("owed"), [urgent, new]);
    assert_eq!(store.owed_count(other).expect("count"), 1);
    store.commit().expect("commit");
}

fn refusals_are_kept_by_who_refused<S: Durable>(store: &mut S) {
    store.begin().expect("begin");
    let (me, peer) = ("370100".parse().expect("a name"), "370000".parse().expect("a name"));
    let refused = |by, n, why: &str| Refused { item: hash(n), by, reason: why.to_owned() };
    for row in [refused(me, 2, "b"), refused(me, 1, "a"), refused(peer, 1, "other"), refused(me, 2, "c")] {
        store.put_refusal(&row).expect("put");
    }
    assert_eq!(store.refusals(me, None, 10).expect("all"), [refused(me, 1, "a"), refused(me, 2, "c")]);
    assert_eq!(store.refusals(me, Some(hash(1)), 10).expect("rest"), [refused(me, 2, "c")]);
    assert_eq!(store.refusals(peer, None, 1).expect("peer's"), [refused(peer, 1, "other")]);
    store.commit().expect("commit");
}

fn peers_and_meta<S: Durable>(store: &mut S) {
    store.begin().expect("begin");
    let name = "370000".parse().expect("a name");
    assert_eq!(store.peer(name).expect("peer"), None);
    let mut peer = Peer::new();
    peer.digest.add(&hash(1));
    peer.proved_at = Some(77);
    store.put_peer(name, &peer).expect("put");
    peer.everything = Some((Position(3), Position(9)));
    store.put_peer(name, &peer).expect("put");
    assert_eq!(store.peer(name).expect("peer").as_ref(), Some(&peer));
    peer.everything = None;
    store.put_peer(name, &peer).expect("put");
    assert_eq!(store.peer(name).expect("peer"), Some(peer));
    assert_eq!(store.peers().expect("peers"), [name]);
    store.put_meta("a", b"1").expect("meta");
    store.put_meta("a", b"2").expect("meta");
    assert_eq!(store.meta("a").expect("meta").as_deref(), Some(&b"2"[..]));
    store.commit().expect("commit");
}

fn contents_come_piece_by_piece<S: Durable>(store: &mut S) {
    let content: Vec<u8> = (0..2 * PIECE + 5).map(|i| (i / 5) as u8).collect();
    let pieces: Vec<&[u8]> = content.chunks(PIECE).collect();
    let manifest = Manifest::new(content.len() as u64, pieces.iter().map(|p| piece_hash(p)).collect());
    let manifest = manifest.expect("a manifest");
    let other = Manifest::new(1, vec![piece_hash(b"x")]).expect("a manifest");
    let (file, tiny) = (manifest.address(), other.address());
    store.begin().expect("begin");
    assert_eq!(store.file(&file).expect("file"), None);
    store.know_file(&doc(1), &manifest).expect("know");
    store.know_file(&doc(1), &other).expect("know");
    store.put_piece(&file, 2, pieces[2]).expect("put");
    store.commit().expect("commit");

    store.begin().expect("begin");
    store.know_file(&doc(1), &manifest).expect("what is known stays as it is");
    let held = store.file(&file).expect("file").expect("known");
    assert_eq!((held.doc, held.size), (doc(1), content.len() as u64));
    assert_eq!(held.pieces.missing().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(store.piece(&file, 2).expect("piece").as_deref(), Some(pieces[2]));
    assert_eq!(store.piece(&file, 0).expect("piece"), None);
    assert_eq!((store.files_of(&doc(1)).expect("count"), store.files_of(&doc(2)).expect("count")), (2, 0));
    let all = store.incomplete(None, 9).expect("incomplete");
    assert_eq!(all.iter().map(|(_, f)| *f).collect::<Vec<_>>(), [tiny, file], "the newest first");
    assert_eq!(store.incomplete(Some(all[0].0), 9).expect("incomplete"), all[1..]);
    assert_eq!(store.incomplete(None, 1).expect("incomplete"), all[..1]);
    let totals = store.file_totals().expect("totals");
    assert_eq!((totals.files, totals.missing), (2, 2));
    store.put_piece(&file, 0, pieces[0]).expect("put");
    store.rollback().expect("rollback");

    store.begin().expect("begin");
    assert_eq!(store.piece(&file, 0).expect("piece"), None, "what was not committed is not here");
    store.put_piece(&file, 0, pieces[0]).expect("put");
    store.put_piece(&file, 1, pieces[1]).expect("put");
    assert!(store.put_piece(&ItemHash::from_bytes([9; 32]), 0, b"x").is_err());
    store.commit().expect("commit");
    store.begin().expect("begin");
    assert!(store.file(&file).expect("file").expect("known").pieces.is_whole());
    let whole = (0..3).map(|at| store.piece(&file, at).expect("piece").expect("here")).collect::<Vec<_>>();
    assert_eq!(whole.concat(), content);
    assert_eq!(store.incomplete(None, 9).expect("incomplete"), all[..1]);
    store.lose_piece(&file, 1).expect("lose");
    assert_eq!(store.piece(&file, 1).expect("piece"), None);
    assert_eq!(store.incomplete(None, 9).expect("incomplete").len(), 2);
    store.commit().expect("commit");

    store.begin().expect("begin");
    store.forget_file(&file).expect("forget");
    assert_eq!((store.file(&file).expect("file"), store.piece(&file, 0).expect("piece")), (None, None));
    store.rollback().expect("roll back");
    assert_eq!(store.piece(&file, 0).expect("piece").as_deref(), Some(pieces[0]), "nothing is forgotten yet");
    store.begin().expect("begin");
    store.forget_file(&file).expect("forget");
    store.forget_file(&file).expect("what is not known is not missed");
    store.commit().expect("commit");
    store.begin().expect("begin");
    store.know_file(&doc(1), &manifest).expect("know");
    assert_eq!(store.file(&file).expect("file").expect("known").pieces.held(), 0, "its bytes are gone");
    store.commit().expect("commit");
}
