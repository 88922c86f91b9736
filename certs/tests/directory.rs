//! Records, revocation lists and the directory that holds them.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::sync::{Arc, LazyLock};

use certs::clock::DAY;
use certs::record::{MAX_RECORD, record_hash};
use certs::revocation::revocation_hash;
use certs::{
    Admitted, Authority, ChainError, Directory, Identity, NodeKeys, NodeName, NodeRecord, Reason,
    RecordError, RevocationError, RevocationList, Root, SecretKey, Standing, Subject, UnixTime,
};
use proptest::prelude::*;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn name(s: &str) -> NodeName {
    s.parse().unwrap()
}

struct World {
    root: Authority,
    p37: Authority,
}

impl World {
    fn new() -> World {
        let mut root = Authority::root(SecretKey::from_seed(&[0; 32], "root"), NOW).unwrap();
        let key = SecretKey::from_seed(&[0; 32], "37");
        let p37 = root.issue_province("370000".parse().unwrap(), key, NOW).unwrap();
        World { root, p37 }
    }

    fn node(&mut self, s: &str, seed: u8) -> Identity {
        let ca = if s == "000000" { &mut self.root } else { &mut self.p37 };
        Identity::create(ca, name(s), NodeKeys::from_seed(&[seed; 32]), NOW, 90).unwrap()
    }

    fn directory(&self) -> Directory {
        Directory::new(self.root.trusted_root().clone())
    }
}

#[test]
fn a_record_proves_its_keys_and_nothing_forged_does() {
    let mut w = World::new();
    let (city, ministry) = (w.node("370100", 1), w.node("000000", 2));
    let root = w.root.trusted_root();
    for identity in [&city, &ministry] {
        let bytes = identity.record().bytes();
        let verified = NodeRecord::verify(bytes, root).unwrap();
        assert_eq!(&verified, identity.record());
        assert_eq!(NodeRecord::reload(bytes, root).unwrap(), verified);
        assert_eq!(*verified.hash(), record_hash(bytes));
        assert!(bytes.len() < 1400, "{} bytes", bytes.len());
    }
    let bytes = city.record().bytes();
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.to_vec();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(NodeRecord::verify(&bad, root).is_err(), "bit {i}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(NodeRecord::verify(&longer, root).is_err());
    assert_eq!(NodeRecord::verify(&vec![1; MAX_RECORD + 1], root), Err(RecordError::Malformed));
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    assert_eq!(NodeRecord::verify(&newer, root), Err(RecordError::UnknownSuite(2)));
    let stranger = Authority::root(SecretKey::generate(), NOW).unwrap();
    let got = NodeRecord::verify(bytes, stranger.trusted_root());
    assert_eq!(got, Err(RecordError::Chain(ChainError::UnknownIssuer)));
}

#[test]
fn a_record_holds_long_after_its_certificate_ended() {
    let mut w = World::new();
    let city = w.node("370100", 1);
    let mut d = w.directory();
    assert_eq!(d.admit_record(city.record().bytes()), Ok(Admitted::New));
    let years_later = NOW.plus(20 * 365 * DAY);
    assert!(d.trust(false).check(city.chain(), years_later).is_err(), "no link");
    assert_eq!(d.signing_keys(name("370100")), [city.record().signing_key], "but its history verifies");
    assert_eq!(d.expiring(NOW, 30), []);
    let soon = d.expiring(NOW.plus(80 * DAY), 30);
    assert_eq!((soon[0].node, soon[0].days), (name("370100"), 10));
    assert!(d.expiring(NOW.plus(100 * DAY), 30)[0].days < 0);
}

#[test]
fn rotation_in_any_order_of_arrival() {
    let mut w = World::new();
    let mut city = w.node("370100", 1);
    let mut records = vec![city.record().clone()];
    for n in 2..4u8 {
        city.rotate_record(Some([n; 32]), NodeKeys::from_seed(&[n; 32])).unwrap();
        records.push(city.record().clone());
    }
    let keys: Vec<_> = records.iter().rev().map(|r| r.signing_key).collect();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let mut d = w.directory();
        let outcomes = order.map(|i| d.admit_record(records[i].bytes()).unwrap());
        let newest_so_far = |k: usize| order[..=k].iter().max() == Some(&order[k]);
        for (k, outcome) in outcomes.iter().enumerate() {
            assert_eq!(*outcome, if newest_so_far(k) { Admitted::New } else { Admitted::Older }, "{order:?}");
        }
        assert_eq!(d.admit_record(records[0].bytes()), Ok(Admitted::Known));
        assert_eq!(d.record(name("370100")), Some(&records[2]));
        assert_eq!(d.signing_keys(name("370100")), keys);
        assert_eq!(d.box_key(name("370100")), Some(records[2].node_box));
        assert_eq!(d.desk_key(name("370100")), Some(records[2].desk));
        assert_eq!(d.records_of_key(name("370100"), keys[2]).next(), Some(&records[0]));
        assert_eq!(d.items().count(), 3);
    }
}

#[test]
fn two_records_of_one_number_are_a_conflict_that_all_decide_alike() {
    let mut w = World::new();
    let (mut a, mut b) = (w.node("370100", 1), w.node("370100", 1));
    a.rotate_record(None, NodeKeys::from_seed(&[2; 32])).unwrap();
    b.rotate_record(None, NodeKeys::from_seed(&[3; 32])).unwrap();
    let admit = |first: &Identity, second: &Identity| {
        let mut d = w.directory();
        assert_eq!(d.admit_record(first.record().bytes()), Ok(Admitted::New));
        let with = *first.record().hash();
        assert_eq!(d.admit_record(second.record().bytes()), Ok(Admitted::Conflict { with }));
        d.record(name("370100")).cloned()
    };
    assert_eq!(admit(&a, &b), admit(&b, &a));
}

#[test]
fn standing_follows_the_lists_and_a_new_enrolment() {
    let mut w = World::new();
    let city = w.node("370100", 1);
    let mut d = w.directory();
    assert_eq!(d.standing(name("370100")), Standing::Unknown);
    d.admit_record(city.record().bytes()).unwrap();
    assert_eq!(d.standing(name("370100")), Standing::Member);

    let who = Subject::Node(name("370100"));
    let list = w.p37.revoke(who, &[[8; 32], [9; 32]], Reason::KeyCompromise, NOW).unwrap();
    assert_eq!(*list.hash(), revocation_hash(list.bytes()));
    assert_eq!(d.admit_revocation(list.bytes()), Ok(Admitted::New));
    match d.standing(name("370100")) {
        Standing::Revoked(r) => {
            assert_eq!((r.issuer, r.number, r.subject), (list.issuer, 1, who));
            assert_eq!((r.counts, r.reason), (vec![[8; 32], [9; 32]], Reason::KeyCompromise));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(d.revoked_nodes(), [name("370100")]);
    assert_eq!(d.box_key(name("370100")), None, "nothing more is sealed to it");
    assert_eq!(d.signing_keys(name("370100")).len(), 1, "what it said before can still be verified");

    // A thief with the old key writes records to no avail; the node enrolled anew begins at 1 again.
    let mut thief = city;
    for n in 50..53 {
        thief.rotate_record(None, NodeKeys::from_seed(&[n; 32])).unwrap();
    }
    assert_eq!(d.admit_record(thief.record().bytes()), Ok(Admitted::New));
    let anew = w.node("370100", 4);
    assert_eq!(d.admit_record(anew.record().bytes()), Ok(Admitted::New));
    assert_eq!(d.standing(name("370100")), Standing::Member);
    assert_eq!(d.record(name("370100")), Some(anew.record()));
    assert_eq!(d.revoked_nodes(), []);
    assert_eq!(d.revocations_of(name("370100")).count(), 1, "the old certificate stays revoked");

    // One who knows only the list knows that much.
    let mut only_list = w.directory();
    only_list.admit_revocation(list.bytes()).unwrap();
    assert!(matches!(only_list.standing(name("370100")), Standing::Revoked(_)));
}

#[test]
fn a_revoked_province_takes_its_nodes_along() {
    let mut w = World::new();
    let city = w.node("370100", 1);
    let mut d = w.directory();
    d.admit_record(city.record().bytes()).unwrap();
    let province = Subject::Authority("370000".parse().unwrap());
    let list = w.root.revoke(province, &[], Reason::KeyCompromise, NOW).unwrap();
    d.admit_revocation(list.bytes()).unwrap();
    match d.standing(name("370100")) {
        Standing::Revoked(r) => assert_eq!((r.subject, r.issuer), (province, list.issuer)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lists_never_go_backwards_and_forks_are_decided_alike() {
    let mut w = World::new();
    for (s, seed) in [("370100", 1), ("370200", 2)] {
        w.node(s, seed);
    }
    let revoke =
        |w: &mut World, s: &str| w.p37.revoke(Subject::Node(name(s)), &[], Reason::Closed, NOW).unwrap();
    let one = revoke(&mut w, "370100");
    let two = revoke(&mut w, "370200");
    let mut d = w.directory();
    assert_eq!(d.admit_revocation(two.bytes()), Ok(Admitted::New));
    assert_eq!(d.admit_revocation(one.bytes()), Ok(Admitted::Older));
    assert_eq!(d.admit_revocation(two.bytes()), Ok(Admitted::Known));
    assert_eq!(d.lists().map(|l| l.number).collect::<Vec<_>>(), [2]);
    assert!(matches!(d.standing(name("370200")), Standing::Revoked(_)));

    // A restored authority says another number 1.
    let mut restored = World::new();
    restored.node("370200", 2);
    let fork = revoke(&mut restored, "370200");
    let admit = |a: &RevocationList, b: &RevocationList| {
        let mut d = w.directory();
        d.admit_revocation(a.bytes()).unwrap();
        assert_eq!(d.admit_revocation(b.bytes()), Ok(Admitted::Conflict { with: *a.hash() }));
        d.items().map(|(h, _)| h).collect::<Vec<_>>()
    };
    assert_eq!(admit(&one, &fork), admit(&fork, &one));
}

#[test]
fn a_damaged_or_foreign_list_is_not_admitted() {
    let mut w = World::new();
    w.node("370100", 1);
    let list = w.p37.revoke(Subject::Node(name("370100")), &[[1; 32]], Reason::Closed, NOW).unwrap();
    let root = w.root.trusted_root();
    for i in 0..list.bytes().len() * 8 {
        let mut bad = list.bytes().to_vec();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(RevocationList::verify(&bad, root).is_err(), "bit {i}");
    }
    let stranger = Authority::root(SecretKey::generate(), NOW).unwrap();
    let got = RevocationList::verify(list.bytes(), stranger.trusted_root());
    assert_eq!(got, Err(RevocationError::Issuer(ChainError::UnknownIssuer)));
}

#[test]
fn sites_know_their_nodes() {
    let mut w = World::new();
    let mut d = w.directory();
    for (i, s) in ["370000-b", "370000", "370100", "370100-01"].iter().enumerate() {
        d.admit_record(w.node(s, i as u8).record().bytes()).unwrap();
    }
    let nodes: Vec<_> = d.nodes_of("370000".parse().unwrap()).collect();
    assert_eq!(nodes, [name("370000"), name("370000-b")]);
    assert_eq!(d.nodes_of("370100".parse().unwrap()).collect::<Vec<_>>(), [name("370100")]);
    assert_eq!(d.nodes_of("370200".parse().unwrap()).count(), 0);
}

static ROOT: LazyLock<Root> = LazyLock::new(|| World::new().root.trusted_root().clone());

/// A record and a list that hold.
static GOOD: LazyLock<[Arc<[u8]>; 2]> = LazyLock::new(|| {
    let mut w = World::new();
    let city = w.node("370100", 1);
    let list = w.p37.revoke(Subject::Node(name("370100")), &[], Reason::Closed, NOW).unwrap();
    [city.record().bytes().clone(), list.bytes().clone()]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), first in 0u8..3) {
        let root = &*ROOT;
        let mut bytes = bytes;
        if let Some(b) = bytes.first_mut() {
            *b = first;
        }
        prop_assert!(NodeRecord::verify(&bytes, root).is_err());
        prop_assert!(RevocationList::verify(&bytes, root).is_err());
        prop_assert!(certs::Root::new(vec![bytes.clone().into()]).is_err());
        let file = |tag| pem::encode(&pem::Pem::new(tag, bytes.clone()));
        prop_assert!(certs::Request::from_pem(&file("HOTLINE REQUEST")).is_err());
        prop_assert!(certs::Response::from_pem(&file("HOTLINE RESPONSE")).is_err());
    }

    #[test]
    fn damaged_good_bytes_never_panic(cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (root, [record, list]) = (&*ROOT, &*GOOD);
        for good in [record, list] {
            let mut bad = good.to_vec();
            for (at, with) in &cuts {
                let at = at.index(bad.len());
                bad[at] = *with;
            }
            let changed = bad != good[..];
            prop_assert_eq!(NodeRecord::verify(&bad, root).is_err(), changed || good == list);
            prop_assert_eq!(RevocationList::verify(&bad, root).is_err(), changed || good == record);
            let _ = NodeRecord::reload(&bad, root);
        }
    }
}
