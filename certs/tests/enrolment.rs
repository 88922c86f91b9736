//! Authorities and identities, in memory and on the disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use certs::clock::DAY;
use certs::{
    Authority, AuthorityError, ChainError, Directory, Enrolment, FileError, Identity, IdentityError,
    NodeKeys, NodeName, Reason, Request, RequestError, Response, SecretKey, Site, Standing, Subject,
    UnixTime,
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn name(s: &str) -> NodeName {
    s.parse().unwrap()
}

fn site(s: &str) -> Site {
    s.parse().unwrap()
}

fn ministry() -> Authority {
    Authority::root(SecretKey::from_seed(&[0; 32], "root"), NOW).unwrap()
}

fn province(root: &mut Authority, s: &str) -> Authority {
    root.issue_province(site(s), SecretKey::from_seed(&[1; 32], s), NOW).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn each_authority_enrols_its_own_and_nobody_else() {
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let mut p11 = province(&mut root, "110000");
    let key = SecretKey::generate().ed25519_public();
    let check = |ca: &mut Authority, node: &str, granted: bool| {
        let got = ca.issue_node(name(node), &key, NOW, 90);
        match got {
            Ok(chain) if granted => {
                let trust = Directory::new(ca.trusted_root().clone()).trust(false);
                assert_eq!(trust.check(&chain, NOW).unwrap().node, name(node));
            }
            Err(AuthorityError::WrongJurisdiction { .. }) if !granted => {}
            other => panic!("{node}: {other:?}"),
        }
    };
    for node in ["370000", "370000-b", "370100", "370100-02", "370100-02-c"] {
        check(&mut p37, node, true);
        check(&mut p11, node, false);
        check(&mut root, node, false);
    }
    check(&mut p11, "110000-01", true);
    check(&mut root, "000000", true);
    check(&mut p37, "000000", false);
    for not in ["370100", "000000"] {
        let got = root.issue_province(site(not), SecretKey::generate(), NOW);
        assert!(matches!(got, Err(AuthorityError::NotAProvince(_))), "{not}");
    }
    let got = p37.issue_province(site("510000"), SecretKey::generate(), NOW);
    assert!(matches!(got, Err(AuthorityError::NotAProvince(_))));
}

#[test]
fn an_authority_minds_its_own_dates() {
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let key = SecretKey::generate().ed25519_public();
    let mut issue = |now: UnixTime, days| p37.issue_node(name("370100"), &key, now, days);
    assert!(matches!(issue(NOW.minus(60 * DAY), 90), Err(AuthorityError::ClockBehind { .. })));
    assert!(matches!(issue(NOW.plus(6 * 365 * DAY), 90), Err(AuthorityError::Ended { .. })));
    assert!(matches!(issue(NOW, 0), Err(AuthorityError::BadTerm(0))));
    assert!(matches!(issue(NOW, 10_000), Err(AuthorityError::BadTerm(10_000))));
    let late = NOW.plus((5 * 365 - 10) * DAY);
    let chain = issue(late, 90).unwrap();
    let leaf = Directory::new(root.trusted_root().clone()).trust(false).check(&chain, late).unwrap();
    assert_eq!(leaf.until, NOW.plus(5 * 365 * DAY), "no certificate outlives its authority");
}

#[test]
fn everything_repeats_from_a_seed() {
    let make = || {
        let mut root = ministry();
        let mut p37 = province(&mut root, "370000");
        let keys = NodeKeys::from_seed(&[9; 32]);
        let city = Identity::create(&mut p37, name("370100"), keys, NOW, 90).unwrap();
        let list = p37.revoke(Subject::Node(name("370100")), &[[7; 32]], Reason::Closed, NOW).unwrap();
        (city.record().bytes().clone(), list.bytes().clone())
    };
    assert_eq!(make(), make());
}

#[test]
fn enrolment_by_files() {
    let dir = tempfile::tempdir().unwrap();
    let (ca_dir, node_dir) = (dir.path().join("ca"), dir.path().join("node"));
    let mut root = ministry();
    province(&mut root, "370000").save(&ca_dir).unwrap();

    // At the city.
    let begun = Enrolment::begin(name("370100"), NodeKeys::generate());
    begun.save(&node_dir).unwrap();
    let request_file = begun.request().to_pem();
    assert!(
        matches!(begun.save(&node_dir), Err(IdentityError::File(FileError::Exists(_)))),
        "no key is replaced"
    );

    // At the province.
    let mut p37 = Authority::load(&ca_dir).unwrap();
    let request = Request::from_pem(&request_file).unwrap();
    assert_eq!(request.fingerprint(), begun.request().fingerprint());
    assert_eq!(request.fingerprint().to_string().split(' ').map(str::len).collect::<Vec<_>>(), [5; 6]);
    root.revoke(Subject::Authority(site("370000")), &[], Reason::Superseded, NOW).unwrap();
    let response = p37.answer(&request, &[root.list().unwrap().to_vec()], NOW, 90).unwrap();

    // At the city again.
    let response = Response::from_pem(&response.to_pem()).unwrap();
    assert_eq!(response.root().fingerprint(), root.trusted_root().fingerprint());
    assert_eq!(response.lists(), [root.list().unwrap()]);
    let begun = Enrolment::load(&node_dir).unwrap();
    let mut identity = begun.complete(&response, root.trusted_root(), NOW).unwrap();
    identity.save(&node_dir).unwrap();
    let back = Identity::load(&node_dir).unwrap();
    assert_eq!((back.node(), back.record()), (name("370100"), identity.record()));
    for secret in ["node.key", "sign.key", "box.key", "desk.key"] {
        assert_eq!(mode(&node_dir.join(secret)), 0o600, "{secret}");
    }
    for secret in ["ca.key", "ca.state"] {
        assert_eq!(mode(&ca_dir.join(secret)), 0o600, "{secret}");
    }
    assert_eq!(mode(&node_dir), 0o700);
    fs::set_permissions(node_dir.join("sign.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let got = Identity::load(&node_dir);
    assert!(matches!(got, Err(IdentityError::File(FileError::Open { mode: 0o644, .. }))), "{got:?}");

    // The authority remembers across its restarts.
    p37.revoke(Subject::Node(name("370100")), &[], Reason::Closed, NOW).unwrap();
    let again = Authority::load(&ca_dir).unwrap();
    assert_eq!((again.issued(), again.list()), (p37.issued(), p37.list()));
    assert!(matches!(p37.save(&ca_dir), Err(AuthorityError::File(FileError::Exists(_)))));
}

#[test]
fn a_response_for_somebody_else_enrols_nobody() {
    let (mut root, mut other_root) = (ministry(), Authority::root(SecretKey::generate(), NOW).unwrap());
    let mut p37 = province(&mut root, "370000");
    let begin = |node: &str, n: u8| Enrolment::begin(name(node), NodeKeys::from_seed(&[n; 32]));
    let response = p37.answer(begin("370100", 1).request(), &[], NOW, 90).unwrap();
    let complete = |e: Enrolment, now| e.complete(&response, root.trusted_root(), now);
    assert!(matches!(complete(begin("370200", 2), NOW), Err(IdentityError::OtherKey)));
    assert!(matches!(complete(begin("370200", 1), NOW), Err(IdentityError::OtherNode { .. })));
    let late = complete(begin("370100", 1), NOW.plus(91 * DAY));
    assert!(matches!(late, Err(IdentityError::Chain(ChainError::Expired { .. }))));
    assert!(
        complete(begin("370100", 1), UnixTime::from_secs(0)).is_ok(),
        "a clock in 1970 learns from its chain"
    );
    let foreign =
        province(&mut other_root, "370000").answer(begin("370100", 1).request(), &[], NOW, 90).unwrap();
    let got = begin("370100", 1).complete(&foreign, root.trusted_root(), NOW);
    assert!(matches!(got, Err(IdentityError::OtherRoot)));
}

/// A request as somebody with his own program would write it.
fn hand_made(keys: &NodeKeys, csr: Vec<u8>, node: &str) -> String {
    let mut body = vec![1u8];
    let text = |body: &mut Vec<u8>, bytes: &[u8]| {
        assert!(bytes.len() < 1 << 14);
        if bytes.len() > 127 {
            body.push(bytes.len() as u8 | 0x80);
            body.push((bytes.len() >> 7) as u8);
        } else {
            body.push(bytes.len() as u8);
        }
        body.extend_from_slice(bytes);
    };
    text(&mut body, node.as_bytes());
    text(&mut body, &csr);
    body.extend_from_slice(keys.sign.ed25519_public().as_bytes());
    body.extend_from_slice(keys.node_box.x25519_public().as_bytes());
    body.extend_from_slice(keys.desk.x25519_public().as_bytes());
    let signature = keys.tls.sign("request", &body);
    body.extend_from_slice(&signature);
    pem::encode(&pem::Pem::new("HOTLINE REQUEST", body))
}

#[test]
fn a_request_that_asks_to_be_an_authority_gets_a_leaf() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    // The hand-made request must be signed by its own key: take the pair's seed out of its PKCS#8.
    let der = pair.serialize_der();
    let mut keys = NodeKeys::generate();
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pkcs8 = [&head[..], &der[16..48]].concat();
    keys.tls = SecretKey::from_pem(&pem::encode(&pem::Pem::new("PRIVATE KEY", pkcs8))).unwrap();
    assert_eq!(keys.tls.ed25519_public().as_bytes(), pair.public_key_raw());
    let mut params = rcgen::CertificateParams::new(vec![name("370300").dns()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let csr = params.serialize_request(&pair).unwrap().der().to_vec();

    let request = Request::from_pem(&hand_made(&keys, csr.clone(), "370300")).unwrap();
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let leaf = p37.issue_node(request.node, &request.tls_key, NOW, 90).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf[0]).unwrap();
    assert!(!parsed.is_ca());
    assert!(!parsed.key_usage().unwrap().unwrap().value.key_cert_sign());
    assert_eq!(
        Directory::new(root.trusted_root().clone()).trust(false).check(&leaf, NOW).unwrap().node,
        name("370300")
    );

    // Another name outside than inside; a foreign name; a broken inner signature; a broken outer one.
    let got = Request::from_pem(&hand_made(&keys, csr.clone(), "370400"));
    assert_eq!(got, Err(RequestError::OtherName));
    let mut broken = csr.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert!(matches!(Request::from_pem(&hand_made(&keys, broken, "370300")), Err(RequestError::Csr(_))));
    let other = NodeKeys { tls: SecretKey::generate(), ..keys.clone() };
    let got = Request::from_pem(&hand_made(&other, csr, "370300"));
    assert_eq!(got, Err(RequestError::BadSignature), "keys of another node under a stolen request");
    let plain = |names: Vec<String>| {
        rcgen::CertificateParams::new(names).unwrap().serialize_request(&pair).unwrap().der().to_vec()
    };
    for names in
        [vec![], vec![name("370300").dns(), name("370400").dns()], vec!["*.p37.n12328.invalid".to_owned()]]
    {
        let got = Request::from_pem(&hand_made(&keys, plain(names), "370300"));
        assert_eq!(got, Err(RequestError::OtherName));
    }
}

#[test]
fn every_flipped_bit_of_a_request_is_noticed() {
    let begun = Enrolment::begin(name("370100"), NodeKeys::from_seed(&[1; 32]));
    let bytes = pem::parse(begun.request().to_pem()).unwrap().into_contents();
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(Request::from_pem(&pem::encode(&pem::Pem::new("HOTLINE REQUEST", bad))).is_err(), "bit {i}");
    }
}

#[test]
fn rotation_and_renewal_keep_old_secrets_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let mut city = Identity::create(&mut p37, name("370100"), NodeKeys::generate(), NOW, 90).unwrap();
    city.save(dir.path()).unwrap();
    let first = city.record().clone();
    let sealed = certs::seal_box::seal(&first.node_box, b"grant", b"t", b"key").unwrap();
    let desk = certs::seal_box::seal(&first.desk, b"grant", b"t", b"name").unwrap();

    city.rotate_record(Some([5; 32]), NodeKeys::generate()).unwrap();
    let request = Request::from_pem(&city.request().to_pem()).unwrap();
    let later = NOW.plus(60 * DAY);
    city.renew(&p37.answer(&request, &[], later, 90).unwrap(), later).unwrap();

    let back = Identity::load(dir.path()).unwrap();
    let record = back.record();
    assert_eq!(record, city.record());
    assert_eq!((record.number, record.last_seal), (3, Some([5; 32])));
    assert_ne!(record.signing_key, first.signing_key);
    assert_eq!(record.leaf.key, first.leaf.key, "the TLS key stays");
    for identity in [&city, &back] {
        assert_eq!(identity.open(b"grant", b"t", &sealed).unwrap().as_slice(), b"key");
        assert_eq!(identity.open_for_desk(b"grant", b"t", &desk).unwrap().as_slice(), b"name");
        assert!(identity.open(b"grant", b"t", &desk).is_err(), "the node's key does not open the desk's");
        let signature = identity.sign("seal", b"x");
        assert!(record.signing_key.verify("seal", b"x", &signature).is_ok());
        assert!(first.signing_key.verify("seal", b"x", &signature).is_err());
    }
    assert_eq!(fs::read_to_string(dir.path().join("sign.key")).unwrap().matches("BEGIN").count(), 1);
}

#[test]
fn a_crash_in_a_rotation_leaves_the_identity_that_the_record_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let mut city = Identity::create(&mut p37, name("370100"), NodeKeys::generate(), NOW, 90).unwrap();
    city.save(dir.path()).unwrap();
    let old_record = fs::read(dir.path().join("record")).unwrap();
    let old_sign = fs::read_to_string(dir.path().join("sign.key")).unwrap();
    city.rotate_record(None, NodeKeys::generate()).unwrap();
    let new_sign = fs::read_to_string(dir.path().join("sign.key")).unwrap();

    // Before the record was written: all keys there, the old record.
    fs::write(dir.path().join("sign.key"), new_sign.clone() + &old_sign).unwrap();
    fs::write(dir.path().join("record"), &old_record).unwrap();
    assert_eq!(Identity::load(dir.path()).unwrap().record().number, 1);
    // After it, before the old signing key went.
    fs::write(dir.path().join("record"), &city.record().bytes()[..]).unwrap();
    assert_eq!(Identity::load(dir.path()).unwrap().record().number, 2);
    // Keys of another identity are not taken for its own.
    fs::write(dir.path().join("sign.key"), old_sign).unwrap();
    let got = Identity::load(dir.path());
    assert!(matches!(got, Err(IdentityError::File(FileError::Content { .. }))), "{got:?}");
}

#[test]
fn a_restored_authority_learns_what_it_had_said() {
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    let mut restored = province(&mut root, "370000");
    for n in ["370100", "370200"] {
        for ca in [&mut p37, &mut restored] {
            ca.issue_node(name(n), &SecretKey::from_seed(&[3; 32], n).ed25519_public(), NOW, 90).unwrap();
        }
    }
    p37.revoke(Subject::Node(name("370100")), &[[1; 32]], Reason::Closed, NOW).unwrap();
    let list = p37.revoke(Subject::Node(name("370100")), &[[2; 32]], Reason::Closed, NOW).unwrap();
    assert_eq!(list.entries[0].counts, [[1; 32], [2; 32]], "said again, it adds");
    assert!(restored.learn(&list).unwrap());
    assert!(!restored.learn(&list).unwrap());
    let list = restored.revoke(Subject::Node(name("370200")), &[], Reason::Closed, NOW).unwrap();
    assert_eq!((list.number, list.entries.len()), (3, 2));
    let unknown = restored.revoke(Subject::Node(name("379900")), &[], Reason::Closed, NOW);
    assert!(matches!(unknown, Err(AuthorityError::NeverIssued(_))));
    let mut d = Directory::new(root.trusted_root().clone());
    d.admit_revocation(list.bytes()).unwrap();
    assert!(matches!(d.standing(name("370200")), Standing::Revoked(_)));
}

#[test]
fn nothing_secret_is_ever_printed() {
    let dir = tempfile::tempdir().unwrap();
    let mut root = ministry();
    let mut p37 = province(&mut root, "370000");
    p37.save(&dir.path().join("ca")).unwrap();
    let keys = NodeKeys::generate();
    let mut printed = format!("{keys:?} {:?}", Enrolment::begin(name("370100"), keys.clone()));
    let mut city = Identity::create(&mut p37, name("370100"), keys, NOW, 90).unwrap();
    city.save(&dir.path().join("node")).unwrap();
    printed += &format!("{city:#?} {city:?} {p37:?} {:?}", city.record());
    let mut found = 0;
    for file in ["node/node.key", "node/sign.key", "node/box.key", "node/desk.key", "ca/ca.key"] {
        let der = pem::parse(fs::read_to_string(dir.path().join(file)).unwrap()).unwrap().into_contents();
        let secret = &der[16..];
        let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        let list = format!("{secret:?}");
        let inner = list.trim_matches(['[', ']']);
        assert!(!printed.to_lowercase().contains(&hex) && !printed.contains(inner), "{file}");
        found += secret.len();
    }
    assert_eq!(found, 5 * 32);
}
