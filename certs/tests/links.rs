//! Links: whole TLS handshakes in memory, with the time in our hands.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use certs::clock::DAY;
use certs::tls::{self, Blame, Meetings, Refusal};
use certs::{
    Authority, ChainError, Directory, Identity, NodeKeys, NodeName, Reason, SecretKey, Subject, Trust,
    UnixTime,
};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Error, HandshakeKind, ServerConfig, ServerConnection};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

#[derive(Debug)]
struct Clock(AtomicU64);

impl Clock {
    fn at(t: UnixTime) -> Arc<Clock> {
        Arc::new(Clock(AtomicU64::new(t.secs())))
    }

    fn set(&self, t: UnixTime) {
        self.0.store(t.secs(), Ordering::SeqCst);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(UnixTime::from_secs(self.0.load(Ordering::SeqCst)).into())
    }
}

fn name(s: &str) -> NodeName {
    s.parse().unwrap()
}

/// What each side says at the end: the peer's name, or the refusal.
#[derive(Debug, PartialEq)]
struct Outcome {
    client: Result<NodeName, Refusal>,
    server: Result<NodeName, Refusal>,
    kind: Option<HandshakeKind>,
}

/// Shakes hands and then lets the server say a word, which is how a client learns of a refusal in TLS 1.3.
fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, dialled: &str) -> Outcome {
    let mut c = ClientConnection::new(client.clone(), tls::server_name(name(dialled))).unwrap();
    let mut s = ServerConnection::new(server.clone()).unwrap();
    let (mut c_error, mut s_error): (Option<Error>, Option<Error>) = (None, None);
    for _ in 0..10 {
        let mut wire = Vec::new();
        while c.wants_write() {
            c.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() && s_error.is_none() {
            s.read_tls(&mut rest).unwrap();
            s_error = s.process_new_packets().err();
        }
        let mut wire = Vec::new();
        while s.wants_write() {
            s.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() && c_error.is_none() {
            c.read_tls(&mut rest).unwrap();
            c_error = c.process_new_packets().err();
        }
    }
    let mut none = [0; 1];
    assert!(c.reader().read(&mut none).is_err(), "nobody has said anything yet");
    let side = |error: Option<Error>, certificates: Option<&[rustls::pki_types::CertificateDer<'static>]>| {
        match error {
            Some(e) => Err(tls::refusal(&e)),
            None => Ok(tls::peer_name(certificates.expect("both sides show a certificate")).unwrap()),
        }
    };
    if c_error.is_none() && s_error.is_none() {
        assert_eq!((c.alpn_protocol(), s.alpn_protocol()), (Some(tls::ALPN), Some(tls::ALPN)));
        assert_eq!(c.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    }
    Outcome {
        kind: s.handshake_kind(),
        client: side(c_error, c.peer_certificates()),
        server: side(s_error, s.peer_certificates()),
    }
}

struct World {
    root: Authority,
    p37: Authority,
    hub: Identity,
    city: Identity,
    clock: Arc<Clock>,
    meetings: Meetings,
}

impl World {
    fn new() -> World {
        let seed = |n: u8| SecretKey::from_seed(&[n; 32], "authority");
        let mut root = Authority::root(seed(0), NOW).unwrap();
        let mut p37 = root.issue_province("370000".parse().unwrap(), seed(37), NOW).unwrap();
        let mut node = |s: &str, n: u8, days| {
            Identity::create(&mut p37, name(s), NodeKeys::from_seed(&[n; 32]), NOW, days).unwrap()
        };
        let (hub, city) = (node("370000", 1, 400), node("370100", 2, 90));
        World { root, p37, hub, city, clock: Clock::at(NOW), meetings: Meetings::default() }
    }

    fn trust(&self, doubt: bool) -> Trust {
        let mut d = Directory::new(self.root.trusted_root().clone());
        for list in [self.root.list(), self.p37.list()].into_iter().flatten() {
            d.admit_revocation(list).unwrap();
        }
        d.trust(doubt)
    }

    fn server(&self, who: &Identity, doubt: bool) -> Arc<ServerConfig> {
        Arc::new(tls::server_config(who, &self.trust(doubt), &self.meetings, self.clock.clone()).unwrap())
    }

    fn client(&self, who: &Identity, doubt: bool) -> Arc<ClientConfig> {
        Arc::new(tls::client_config(who, &self.trust(doubt), &self.meetings, self.clock.clone()).unwrap())
    }
}

#[test]
fn two_members_know_each_other_by_name() {
    let w = World::new();
    let got = shake(&w.client(&w.city, false), &w.server(&w.hub, false), "370000");
    assert_eq!((got.client, got.server), (Ok(name("370000")), Ok(name("370100"))));
    assert_eq!(
        w.meetings.take().into_iter().collect::<Vec<_>>(),
        [(name("370000"), true), (name("370100"), true)]
    );
}

#[test]
fn the_dialler_takes_only_the_node_it_dialled() {
    let w = World::new();
    let got = shake(&w.client(&w.city, false), &w.server(&w.hub, false), "370200");
    let wrong = ChainError::OtherNode { dialled: name("370200"), answered: name("370000") };
    assert_eq!(got.client, Err(Refusal::Ours(wrong)));
    assert_eq!(got.server, Err(Refusal::Theirs(Blame::Other)));
}

#[test]
fn a_revoked_node_is_told_so_and_so_is_its_refuser() {
    let mut w = World::new();
    w.p37.revoke(Subject::Node(name("370100")), &[], Reason::KeyCompromise, NOW).unwrap();
    let got = shake(&w.client(&w.city, false), &w.server(&w.hub, false), "370000");
    assert_eq!(got.server, Err(Refusal::Ours(ChainError::Revoked)));
    assert_eq!(got.client, Err(Refusal::Theirs(Blame::Revoked)));
    assert!(got.client.unwrap_err().to_string().contains("your certificate was revoked"));
    assert!(got.server.unwrap_err().to_string().contains("its certificate was revoked"));

    // The other way round: a member refuses a revoked server.
    let got = shake(&w.client(&w.hub, false), &w.server(&w.city, false), "370100");
    assert_eq!(got.client, Err(Refusal::Ours(ChainError::Revoked)));
    assert_eq!(got.server, Err(Refusal::Theirs(Blame::Revoked)));
    assert!(w.meetings.take().values().all(|fine| *fine), "revocation is not evidence about clocks");
}

#[test]
fn a_stranger_is_refused_on_both_sides() {
    let (w, mut other) = (World::new(), Authority::root(SecretKey::generate(), NOW).unwrap());
    let mut p37 = other.issue_province("370000".parse().unwrap(), SecretKey::generate(), NOW).unwrap();
    let stranger = Identity::create(&mut p37, name("370100"), NodeKeys::generate(), NOW, 90).unwrap();
    let got = shake(&w.client(&stranger, false), &w.server(&w.hub, false), "370000");
    assert_eq!(got.server, Err(Refusal::Ours(ChainError::UnknownIssuer)));
    assert_eq!(got.client, Err(Refusal::Theirs(Blame::UnknownIssuer)));
}

/// A client with a certificate that no authority of ours writes: for this node, by an authority without a say over it.
fn rogue(w: &World, ca: &mut Authority, node: &str) -> Arc<ClientConfig> {
    let dir = tempfile::tempdir().unwrap();
    ca.save(dir.path()).unwrap();
    let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
    let ca_key = rcgen::KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).unwrap();
    let mut p = rcgen::CertificateParams::new(vec![name(node).dns()]).unwrap();
    p.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    p.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let day = |n: u64| time::OffsetDateTime::from_unix_timestamp(NOW.plus(n * DAY).secs() as i64).unwrap();
    (p.not_before, p.not_after) = (day(0), day(90));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut chain = vec![p.signed_by(&key, &issuer).unwrap().der().clone()];
    let authority = pem::parse(read("ca.crt")).unwrap().into_contents().into();
    if !w.root.trusted_root().certificates().contains(&authority) {
        chain.push(authority);
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(w.root.trusted_root().certificates()[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, w.clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    Arc::new(config)
}

#[test]
fn a_certificate_by_an_authority_without_a_say_is_refused_on_the_link() {
    let mut w = World::new();
    let key = SecretKey::generate();
    let mut p11 = w.root.issue_province("110000".parse().unwrap(), key, NOW).unwrap();
    let seed = SecretKey::from_seed(&[0; 32], "authority");
    let mut root = Authority::root(seed, NOW).unwrap();
    assert_eq!(root.trusted_root().fingerprint(), w.root.trusted_root().fingerprint());
    for ca in [&mut p11, &mut root] {
        let got = shake(&rogue(&w, ca, "370100"), &w.server(&w.hub, false), "370000");
        assert_eq!(got.server, Err(Refusal::Ours(ChainError::WrongJurisdiction)));
        assert_eq!(got.client, Err(Refusal::Theirs(Blame::Other)));
    }
    // Teeth: the same hand makes one that passes, where its authority has a say.
    let mut p37 = std::mem::replace(&mut w.p37, p11);
    let got = shake(&rogue(&w, &mut p37, "370100"), &w.server(&w.hub, false), "370000");
    assert_eq!(got.server, Ok(name("370100")));
}

#[test]
fn dates_are_asked_unless_in_clock_doubt() {
    let w = World::new();
    w.clock.set(NOW.plus(91 * DAY));
    let (client, server) = (w.client(&w.city, false), w.server(&w.hub, false));
    let got = shake(&client, &server, "370000");
    assert!(matches!(got.server, Err(Refusal::Ours(ChainError::Expired { .. }))), "{got:?}");
    assert_eq!(got.client, Err(Refusal::Theirs(Blame::Dates)));
    assert_eq!(w.meetings.take().get(&name("370100")), Some(&false), "good but for its dates");

    let got = shake(&client, &w.server(&w.hub, true), "370000");
    assert_eq!(got.server, Ok(name("370100")), "in doubt the hub links all the same");
    assert_eq!(w.meetings.take().get(&name("370100")), Some(&false), "and goes on collecting evidence");

    w.clock.set(UnixTime::from_secs(1000));
    let got = shake(&w.client(&w.city, false), &w.server(&w.hub, false), "370000");
    assert!(matches!(got.client, Err(Refusal::Ours(ChainError::NotYetValid { .. }))));
    assert_eq!(got.server, Err(Refusal::Theirs(Blame::Dates)));
    let got = shake(&w.client(&w.city, true), &w.server(&w.hub, true), "370000");
    assert_eq!((got.client, got.server), (Ok(name("370000")), Ok(name("370100"))));
}

#[test]
fn clock_doubt_never_admits_a_revoked_node() {
    let mut w = World::new();
    w.p37.revoke(Subject::Node(name("370100")), &[], Reason::KeyCompromise, NOW).unwrap();
    w.clock.set(UnixTime::from_secs(1000));
    let got = shake(&w.client(&w.city, true), &w.server(&w.hub, true), "370000");
    assert_eq!(got.server, Err(Refusal::Ours(ChainError::Revoked)));
}

#[test]
fn sessions_are_never_resumed() {
    let mut w = World::new();
    // The client's side is as willing as rustls makes it: resumption is the server's to refuse, and the reverse.
    let mut willing = Arc::unwrap_or_clone(w.client(&w.city, false));
    willing.resumption = rustls::client::Resumption::in_memory_sessions(32);
    let (willing, server) = (Arc::new(willing), w.server(&w.hub, false));
    for _ in 0..3 {
        let got = shake(&willing, &server, "370000");
        assert_eq!((got.kind, got.server), (Some(HandshakeKind::Full), Ok(name("370100"))));
    }
    let mut generous = Arc::unwrap_or_clone(w.server(&w.hub, false));
    generous.send_tls13_tickets = 2;
    generous.session_storage = rustls::server::ServerSessionMemoryCache::new(32);
    let (generous, client) = (Arc::new(generous), w.client(&w.city, false));
    assert_eq!(
        (server.max_early_data_size, client.enable_early_data),
        (0, false),
        "nothing goes before the check"
    );
    for _ in 0..3 {
        assert_eq!(shake(&client, &generous, "370000").kind, Some(HandshakeKind::Full));
    }
    // Teeth: two willing sides do resume, so the above would show it.
    assert_eq!(shake(&willing, &generous, "370000").kind, Some(HandshakeKind::Full));
    assert_eq!(shake(&willing, &generous, "370000").kind, Some(HandshakeKind::Resumed));
    // And a client that once had a session is refused when it was revoked since.
    w.p37.revoke(Subject::Node(name("370100")), &[], Reason::KeyCompromise, NOW).unwrap();
    let got = shake(&willing, &w.server(&w.hub, false), "370000");
    assert_eq!(got.server, Err(Refusal::Ours(ChainError::Revoked)));
}

#[test]
fn a_peer_without_a_certificate_is_refused() {
    let w = World::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(w.root.trusted_root().certificates()[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut nobody = ClientConfig::builder_with_details(provider, w.clock.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    nobody.alpn_protocols = vec![tls::ALPN.to_vec()];
    let got = shake(&Arc::new(nobody), &w.server(&w.hub, false), "370000");
    assert_eq!(got.server, Err(Refusal::Ours(ChainError::Missing)));
    assert_eq!(got.client, Err(Refusal::Theirs(Blame::Missing)));
}
