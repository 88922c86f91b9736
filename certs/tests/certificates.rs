//! Which certificates a link takes, through one `check`. README.md beside this file says where each case is.
//!
//! The certificates are made with rcgen directly, since no authority of ours would write most of them. Cases that
//! need revocation lists use our authorities.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use certs::chain::Dates;
use certs::clock::DAY;
use certs::{
    Authority, ChainError, Directory, Identity, NodeKeys, NodeName, Reason, Root, SecretKey, Subject,
    UnixTime,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose as Ku, NameConstraints,
    PKCS_ED25519, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

type Ca = CertifiedIssuer<'static, KeyPair>;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const CITY: &str = "c370100.p37.n12328.invalid";

fn date(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW.secs() as i64 + days * DAY as i64).unwrap()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn ca(name: &str, path_len: u8, permitted: Option<&str>) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name.push(DnType::CommonName, name);
    p.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    p.key_usages = vec![Ku::KeyCertSign, Ku::CrlSign];
    (p.not_before, p.not_after) = (date(-365), date(3650));
    p.use_authority_key_identifier_extension = true;
    p.name_constraints = permitted.map(|d| NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(d.into())],
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    p
}

fn leaf(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|s| s.to_string()).collect();
    let mut p = CertificateParams::new(names).unwrap();
    p.distinguished_name.push(DnType::CommonName, "somebody");
    p.key_usages = vec![Ku::DigitalSignature];
    p.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    (p.not_before, p.not_after) = (date(-1), date(90));
    p.serial_number = Some(SerialNumber::from(1001u64));
    p.use_authority_key_identifier_extension = true;
    p
}

fn with(mut p: CertificateParams, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    change(&mut p);
    p
}

/// What a case comes to, as a word.
fn word(result: Result<NodeName, ChainError>) -> String {
    match result {
        Ok(node) => node.to_string(),
        Err(ChainError::Malformed(_)) => "Malformed".to_owned(),
        Err(ChainError::Expired { .. }) => "Expired".to_owned(),
        Err(ChainError::NotYetValid { .. }) => "NotYetValid".to_owned(),
        Err(e) => format!("{e:?}"),
    }
}

#[test]
fn chains_and_names() {
    let root = Ca::self_signed(ca("root", 1, None), key()).unwrap();
    let p37 = Ca::signed_by(ca("37", 0, Some("p37.n12328.invalid")), key(), &root).unwrap();
    let p11 = Ca::signed_by(ca("11", 0, Some("p11.n12328.invalid")), key(), &root).unwrap();
    let node_key = key();
    let make = |ca: &Ca, p: CertificateParams| p.signed_by(&node_key, ca).unwrap().der().clone();
    let directory = Directory::new(Root::new(vec![root.der().clone()]).unwrap());
    let judge = |chain: &[CertificateDer<'static>], now: UnixTime| {
        word(directory.trust(false).check(chain, now).map(|l| l.node))
    };
    let check = |case: &str, ca: &Ca, p: CertificateParams, expected: &str| {
        assert_eq!(judge(&[make(ca, p), ca.der().clone()], NOW), expected, "{case}");
    };

    check("a city by its own province", &p37, leaf(&[CITY]), "370100");
    check("a city of 37 by province 11", &p11, leaf(&[CITY]), "WrongJurisdiction");
    check("two names, one foreign", &p37, leaf(&[CITY, "c110100.p11.n12328.invalid"]), "WrongJurisdiction");
    check("two names, both its own", &p37, leaf(&[CITY, "c370200.p37.n12328.invalid"]), "NotOneName(2)");
    check("a name and a wildcard", &p37, leaf(&[CITY, "*.p37.n12328.invalid"]), "NotOneName(2)");
    check("a suffix without a dot", &p37, leaf(&["c370100.notp37.n12328.invalid"]), "WrongJurisdiction");
    check("a wildcard", &p37, leaf(&["*.p37.n12328.invalid"]), "NotANode(\"*.p37.n12328.invalid\")");
    check("a wider wildcard", &p37, leaf(&["*.n12328.invalid"]), "WrongJurisdiction");
    check("the ministry's name by a province", &p37, leaf(&["c000000.n12328.invalid"]), "WrongJurisdiction");
    check(
        "a foreign code under the own label",
        &p37,
        leaf(&["c110100.p37.n12328.invalid"]),
        "NotANode(\"c110100.p37.n12328.invalid\")",
    );
    check("an IP name", &p37, leaf(&["10.0.0.1"]), "WrongJurisdiction");
    check("a DNS name and an IP name", &p37, leaf(&[CITY, "10.0.0.1"]), "WrongJurisdiction");
    let uri = SanType::URI("spiffe://p11/c110100".try_into().unwrap());
    check(
        "a foreign URI proves nothing",
        &p37,
        with(leaf(&[]), |p| p.subject_alt_names = vec![uri.clone()]),
        "NotOneName(0)",
    );
    check(
        "a foreign URI beside the name changes nothing",
        &p37,
        with(leaf(&[CITY]), |p| p.subject_alt_names.push(uri)),
        "370100",
    );
    let mail = SanType::Rfc822Name("x@p11.n12328.invalid".try_into().unwrap());
    check(
        "a foreign e-mail proves nothing",
        &p37,
        with(leaf(&[]), |p| p.subject_alt_names = vec![mail.clone()]),
        "NotOneName(0)",
    );
    check(
        "a foreign e-mail beside the name changes nothing",
        &p37,
        with(leaf(&[CITY]), |p| p.subject_alt_names.push(mail)),
        "370100",
    );
    let named = |p: &mut CertificateParams| {
        p.distinguished_name.push(DnType::CommonName, "c110100.p11.n12328.invalid")
    };
    check("no SAN, a foreign CN", &p37, with(leaf(&[]), named), "NotOneName(0)");
    check("a foreign CN beside the name changes nothing", &p37, with(leaf(&[CITY]), named), "370100");
    check(
        "for servers only",
        &p37,
        with(leaf(&[CITY]), |p| p.extended_key_usages = vec![Eku::ServerAuth]),
        "WrongUse",
    );
    check(
        "for clients only",
        &p37,
        with(leaf(&[CITY]), |p| p.extended_key_usages = vec![Eku::ClientAuth]),
        "WrongUse",
    );
    check(
        "for nothing in particular",
        &p37,
        with(leaf(&[CITY]), |p| p.extended_key_usages = vec![]),
        "WrongUse",
    );
    let usages = |u: &[Ku]| with(leaf(&[CITY]), |p| p.key_usages = u.to_vec());
    check("a key that may not speak", &p37, usages(&[Ku::KeyAgreement]), "WrongUse");
    check("a key of no use at all", &p37, usages(&[]), "WrongUse");
    for more in [Ku::KeyCertSign, Ku::CrlSign] {
        check("a node's key that signs for others", &p37, usages(&[Ku::DigitalSignature, more]), "WrongUse");
    }
    let extension = |critical: bool| {
        let mut e = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], vec![4, 1, 7]);
        e.set_criticality(critical);
        with(leaf(&[CITY]), |p| p.custom_extensions = vec![e])
    };
    check("an unknown extension", &p37, extension(false), "370100");
    check("an unknown critical extension", &p37, extension(true), "Malformed");
    check(
        "a leaf that says it is a CA",
        &p37,
        with(leaf(&[CITY]), |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        "WrongUse",
    );

    check("a name that ends in a dot", &p37, leaf(&["c370100.p37.n12328.invalid."]), "Malformed");
    check("a province by itself", &p37, leaf(&["c370000-b.p37.n12328.invalid"]), "370000-b");
    assert_eq!(judge(&[make(&root, leaf(&["c000000.n12328.invalid"]))], NOW), "000000", "by the root itself");
    // Jurisdiction has one rule, and the root is under it: cities and offices are their province's, and a municipality's
    // authority is a province's.
    for name in ["c370100.p37", "c370000.p37", "c370100-02.p37", "c110000.p11"] {
        let name = format!("{name}.n12328.invalid");
        assert_eq!(
            judge(&[make(&root, leaf(&[name.as_str()]))], NOW),
            "WrongJurisdiction",
            "{name} by the root"
        );
    }
    check("an office by its province", &p37, leaf(&["c370100-02.p37.n12328.invalid"]), "370100-02");
    check("a municipality by itself", &p11, leaf(&["c110000.p11.n12328.invalid"]), "110000");
    check("a municipality's office", &p11, leaf(&["c110000-03.p11.n12328.invalid"]), "110000-03");

    // Authorities that are not what they should be, each under the true root.
    let under = |case: &str, change: fn(&mut CertificateParams), expected: &str| {
        let odd = Ca::signed_by(with(ca("37", 0, Some("p37.n12328.invalid")), change), key(), &root).unwrap();
        check(case, &odd, leaf(&[CITY]), expected);
    };
    under("a province authority as it should be", |_| (), "370100");
    under("one without name constraints", |p| p.name_constraints = None, "WrongJurisdiction");
    under(
        "one for two provinces",
        |p| {
            let constraints = p.name_constraints.as_mut().unwrap();
            constraints.permitted_subtrees.push(GeneralSubtree::DnsName("p11.n12328.invalid".into()));
        },
        "WrongJurisdiction",
    );
    under("one that may not sign certificates", |p| p.key_usages = vec![Ku::DigitalSignature], "WrongUse");
    under("one that is no authority", |p| p.is_ca = IsCa::ExplicitNoCa, "WrongUse");
    under("one that ended", |p| p.not_after = date(-1), "Expired");
    under("one that begins after its node", |p| p.not_before = date(1), "Malformed");

    let good = make(&p37, leaf(&[CITY]));
    let chain = [good.clone(), p37.der().clone()];
    assert_eq!(judge(&[], NOW), "Missing");
    assert_eq!(judge(&chain[..1], NOW), "UnknownIssuer", "without its authority");
    assert_eq!(judge(&[p37.der().clone()], NOW), "WrongUse", "an authority as a node");
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(judge(&[flipped.into(), p37.der().clone()], NOW), "UnknownIssuer", "one bit of the signature");
    let fourth = Ca::signed_by(ca("city", 0, Some("p37.n12328.invalid")), key(), &p37).unwrap();
    let deep = [make(&fourth, leaf(&[CITY])), fourth.der().clone(), p37.der().clone()];
    assert_eq!(judge(&deep, NOW), "WrongUse", "a fourth level");
    let under_leaf = Ca::signed_by(leaf(&[CITY]), key(), &p37).unwrap();
    let by_leaf = [
        make(&under_leaf, leaf(&["c370200.p37.n12328.invalid"])),
        under_leaf.der().clone(),
        p37.der().clone(),
    ];
    assert_eq!(judge(&by_leaf, NOW), "WrongUse", "signed by another city's leaf");
    let unordered = [good.clone(), p11.der().clone(), p37.der().clone()];
    assert_eq!(judge(&unordered, NOW), "Malformed", "a stranger in the chain");
    let long = [good.clone(), p37.der().clone(), p37.der().clone(), p37.der().clone()];
    assert_eq!(judge(&long, NOW), "TooLarge");
    let foreign_root = Ca::self_signed(ca("root", 1, None), key()).unwrap();
    let foreign = Ca::signed_by(ca("37", 0, Some("p37.n12328.invalid")), key(), &foreign_root).unwrap();
    assert_eq!(judge(&[make(&foreign, leaf(&[CITY])), foreign.der().clone()], NOW), "UnknownIssuer");
    let self_signed = leaf(&[CITY]).self_signed(&key()).unwrap().der().clone();
    assert_eq!(judge(&[self_signed], NOW), "UnknownIssuer");
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let other_key = leaf(&[CITY]).signed_by(&p256, &p37).unwrap().der().clone();
    assert_eq!(judge(&[other_key, p37.der().clone()], NOW), "Malformed", "a key that is not Ed25519");

    // Dates guard links, never history.
    let at = |days: i64| UnixTime::from_secs((NOW.secs() as i64 + days * DAY as i64) as u64);
    assert_eq!(judge(&chain, at(89)), "370100");
    assert_eq!(judge(&chain, at(91)), "Expired");
    assert_eq!(judge(&chain, at(-8 * 365)), "NotYetValid");
    assert_eq!(judge(&chain, UnixTime::from_secs(0)), "NotYetValid");
    let doubtful = directory.trust(true);
    for now in [at(91), at(-8 * 365), UnixTime::from_secs(0)] {
        assert_eq!(word(doubtful.check(&chain, now).map(|l| l.node)), "370100", "in clock doubt");
    }
    assert_eq!(
        word(doubtful.check(&[make(&p11, leaf(&[CITY])), p11.der().clone()], at(91)).map(|l| l.node)),
        "WrongJurisdiction"
    );
    assert_eq!(word(directory.trust(false).check_at(&chain, Dates::OwnStart).map(|l| l.node)), "370100");
}

#[test]
fn revocations() {
    let mut root = Authority::root(SecretKey::generate(), NOW).unwrap();
    let mut p37 = root.issue_province("370000".parse().unwrap(), SecretKey::generate(), NOW).unwrap();
    let mut p11 = root.issue_province("110000".parse().unwrap(), SecretKey::generate(), NOW).unwrap();
    let node = |ca: &mut Authority, name: &str| {
        Identity::create(ca, name.parse().unwrap(), NodeKeys::generate(), NOW, 90).unwrap()
    };
    let (city, neighbour) = (node(&mut p37, "370100"), node(&mut p37, "370200"));
    let other = node(&mut p11, "110000");
    let who = |n: &str| Subject::Node(n.parse().unwrap());
    let seen = |d: &Directory, i: &Identity, now: UnixTime| {
        word(d.trust(false).check(i.chain(), now).map(|l| l.node))
    };

    let mut d = Directory::new(root.trusted_root().clone());
    assert_eq!(seen(&d, &city, NOW), "370100", "no list of that issuer yet");

    p11.revoke(who("110000"), &[], Reason::Closed, NOW).unwrap();
    d.admit_revocation(p11.list().unwrap()).unwrap();
    assert_eq!(seen(&d, &other, NOW), "Revoked");
    assert_eq!(seen(&d, &city, NOW), "370100", "another province's list has no say");

    p37.revoke(who("370200"), &[], Reason::Closed, NOW).unwrap();
    d.admit_revocation(p37.list().unwrap()).unwrap();
    let older = p37.list().unwrap().to_vec();
    assert_eq!((seen(&d, &neighbour, NOW), seen(&d, &city, NOW)), ("Revoked".into(), "370100".into()));
    for days in [1, 30, 80] {
        assert_eq!(
            seen(&d, &city, NOW.plus(days * DAY)),
            "370100",
            "a list that is {days} days old cuts nobody off"
        );
    }

    let later = NOW.plus(400 * DAY);
    let renewed =
        Identity::create(&mut p37, "370100".parse().unwrap(), NodeKeys::generate(), later, 90).unwrap();
    assert_eq!(seen(&d, &renewed, later), "370100", "nor does one that is 400 days old");

    // A list under the province's name that somebody else signed is a denial of service if it is believed.
    let mut foreign = Authority::root(SecretKey::generate(), NOW).unwrap();
    let mut forger = foreign.issue_province("370000".parse().unwrap(), SecretKey::generate(), NOW).unwrap();
    node(&mut forger, "370100");
    forger.revoke(who("370100"), &[], Reason::KeyCompromise, NOW).unwrap();
    assert!(d.admit_revocation(forger.list().unwrap()).is_err());
    let mut flipped = older.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(d.admit_revocation(&flipped).is_err());
    assert_eq!(seen(&d, &city, NOW), "370100", "a forged list does nothing");

    p37.revoke(who("370100"), &[], Reason::KeyCompromise, NOW).unwrap();
    d.admit_revocation(p37.list().unwrap()).unwrap();
    assert_eq!(seen(&d, &city, NOW), "Revoked");
    d.admit_revocation(&older).unwrap();
    assert_eq!(seen(&d, &city, NOW), "Revoked", "an old list changes nothing");
    assert_eq!(seen(&d, &city, NOW.plus(91 * DAY)), "Revoked", "revoked comes before expired");
    assert_eq!(
        word(d.trust(true).check(city.chain(), NOW).map(|l| l.node)),
        "Revoked",
        "in clock doubt as well"
    );

    let again = node(&mut p37, "370100");
    assert_eq!(seen(&d, &again, NOW), "370100", "enrolled anew");
    root.revoke(Subject::Authority("370000".parse().unwrap()), &[], Reason::KeyCompromise, NOW).unwrap();
    d.admit_revocation(root.list().unwrap()).unwrap();
    assert_eq!(seen(&d, &again, NOW), "Revoked", "its province was revoked");
    let mut anew = root.issue_province("370000".parse().unwrap(), SecretKey::generate(), NOW).unwrap();
    assert_eq!(seen(&d, &node(&mut anew, "370100"), NOW), "370100", "under the province's new authority");
}
