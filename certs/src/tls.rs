//! TLS for links: both sides show a certificate, and nothing lives longer than one handshake.
//!
//! Promises: TLS 1.3 only, Ed25519 only, ALPN `hotline/1`, both sides authenticated by [`Trust`]; the dialler takes
//! exactly the node it dialled. No session tickets and no resumption: a resumed session would skip the certificate
//! check (measured). The time comes from the caller's `TimeProvider`.
//!
//! A configuration is a snapshot: whoever admits a revocation, or enters or leaves clock doubt, makes new ones.
//!
//! Left to others: sockets, live connections (check them against a new [`Trust`]), one connection a node.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, PeerIncompatible, ServerConfig, SignatureScheme,
};

use crate::chain::{ChainError, Dates, MAX_CHAIN, facts};
use crate::directory::Trust;
use crate::keys::Algorithm;
use crate::{Identity, NodeName};

/// The application protocol.
pub const ALPN: &[u8] = b"hotline/1";

/// The configuration of the side that is dialled. An error would mean that rustls and this crate disagree about our
/// own certificate.
pub fn server_config(
    identity: &Identity,
    trust: &Trust,
    meetings: &Meetings,
    time: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Judge::new(trust, meetings)))
        .with_single_cert(identity.chain().to_vec(), key(identity))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// The configuration of the side that dials; dial with [`server_name`] of the node that is meant.
pub fn client_config(
    identity: &Identity,
    trust: &Trust,
    meetings: &Meetings,
    time: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Judge::new(trust, meetings)))
        .with_client_auth_cert(identity.chain().to_vec(), key(identity))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false; // the name is ours to check and nobody's on the way to read
    Ok(config)
}

/// The name to dial a node by.
pub fn server_name(node: NodeName) -> ServerName<'static> {
    ServerName::try_from(node.dns()).expect("a node's certificate name is a DNS name")
}

/// The node that a connection's certificates name. The handshake has verified them; this only reads.
pub fn peer_name(chain: &[CertificateDer<'_>]) -> Result<NodeName, ChainError> {
    let leaf = facts(chain.first().ok_or(ChainError::Missing)?)?;
    match leaf.dns.as_slice() {
        [name] => NodeName::from_dns(name).map_err(|_| ChainError::NotANode(name.chars().take(80).collect())),
        names => Err(ChainError::NotOneName(names.len())),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    // rustls keeps a copy of its own for as long as the configuration lives.
    PrivatePkcs8KeyDer::from(identity.tls_key().pkcs8(Algorithm::Ed25519).to_vec()).into()
}

/// Refusals that are remembered until somebody takes them, at most.
const MAX_REFUSED: usize = 64;

/// What handshakes showed. A handle; clones share what they note.
#[derive(Clone, Debug, Default)]
pub struct Meetings(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    dates: BTreeMap<NodeName, bool>,
    refused: VecDeque<(Option<NodeName>, Refusal)>,
}

impl Meetings {
    /// Whose dates looked fine since the last call and whose did not, each peer's last verdict: evidence for
    /// [`CertificateClock::met`](crate::CertificateClock::met). Only nodes that are good but for their dates are
    /// here.
    pub fn take(&self) -> BTreeMap<NodeName, bool> {
        std::mem::take(&mut self.noted().dates)
    }

    /// Whom this side refused since the last call, by the name in the certificate if it has one, and why. An alert
    /// tells the other side less than this.
    pub fn take_refused(&self) -> Vec<(Option<NodeName>, Refusal)> {
        std::mem::take(&mut self.noted().refused).into()
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, node: NodeName, dates_fine: bool) {
        self.noted().dates.insert(node, dates_fine);
    }

    fn note_refused(&self, named: Option<NodeName>, why: ChainError) {
        let mut noted = self.noted();
        if noted.refused.len() < MAX_REFUSED {
            noted.refused.push_back((named, Refusal::Ours(why)));
        }
    }
}

/// The verifier of both sides.
#[derive(Debug)]
struct Judge {
    trust: Trust,
    meetings: Meetings,
    algorithms: WebPkiSupportedAlgorithms,
    hints: Vec<DistinguishedName>,
}

impl Judge {
    fn new(trust: &Trust, meetings: &Meetings) -> Judge {
        let hints = trust.root().certificates().iter().filter_map(|c| facts(c).ok());
        Judge {
            trust: trust.clone(),
            meetings: meetings.clone(),
            algorithms: ring::default_provider().signature_verification_algorithms,
            hints: hints.map(|f| DistinguishedName::from(f.subject)).collect(),
        }
    }

    fn judge(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: Option<&ServerName<'_>>,
        now: rustls::pki_types::UnixTime,
    ) -> Result<(), Error> {
        if intermediates.len() >= MAX_CHAIN {
            self.meetings.note_refused(None, ChainError::TooLarge);
            return Err(tls_error(ChainError::TooLarge));
        }
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end).chain(intermediates).cloned().collect();
        self.judge_chain(&chain, dialled, now).map_err(|e| {
            self.meetings.note_refused(peer_name(&chain).ok(), e.clone());
            tls_error(e)
        })
    }

    fn judge_chain(
        &self,
        chain: &[CertificateDer<'_>],
        dialled: Option<&ServerName<'_>>,
        now: rustls::pki_types::UnixTime,
    ) -> Result<(), ChainError> {
        let leaf = self.trust.check_at(chain, Dates::OwnStart)?;
        let dates = leaf.dates(now.into());
        self.meetings.note(leaf.node, dates.is_ok());
        if !self.trust.clock_doubt() {
            dates?;
        }
        let Some(name) = dialled else { return Ok(()) };
        let dialled = NodeName::from_dns(&name.to_str()).map_err(|e| ChainError::NotANode(e.given))?;
        if dialled != leaf.node {
            return Err(ChainError::OtherNode { dialled, answered: leaf.node });
        }
        Ok(())
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, dss, &self.algorithms)
    }
}

fn no_tls12() -> Error {
    PeerIncompatible::Tls13RequiredForQuic.into()
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end, intermediates, Some(name), now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end, intermediates, None, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// An error whose alert tells the other side what kind of refusal it is, and whose text tells ours.
fn tls_error(e: ChainError) -> Error {
    Error::InvalidCertificate(match e {
        ChainError::Revoked => CertificateError::Revoked,
        ChainError::UnknownIssuer => CertificateError::UnknownIssuer,
        // The alert is what matters for these; the instants ride along as far as the type has room.
        ChainError::Expired { until } => {
            CertificateError::ExpiredContext { time: until.into(), not_after: until.into() }
        }
        ChainError::NotYetValid { from } => {
            CertificateError::NotValidYetContext { time: from.into(), not_before: from.into() }
        }
        other => CertificateError::Other(OtherError(Arc::new(other))),
    })
}

/// Who refused whom in a handshake, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// We refused the peer.
    Ours(ChainError),
    /// The peer refused us, and said this much.
    Theirs(Blame),
    /// No certificate was to blame; with the detail.
    Other(String),
}

/// What a peer says about our certificate, as far as an alert can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It was revoked.
    Revoked,
    /// Its dates are wrong, or the peer's clock is.
    Dates,
    /// It was not issued under the peer's root.
    UnknownIssuer,
    /// We showed none.
    Missing,
    /// Something else about it.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Ours(ChainError::Revoked) => {
                f.write_str("refused the peer: its certificate was revoked; its authority can enrol it anew")
            }
            Refusal::Ours(e) => write!(f, "refused the peer: {e}"),
            Refusal::Theirs(Blame::Revoked) => f.write_str(
                "the peer refused this node: your certificate was revoked; ask your authority, and enrol anew",
            ),
            Refusal::Theirs(Blame::Dates) => f.write_str(
                "the peer refused this node: your certificate has expired or begins later; renew it, or check the clocks of both sides",
            ),
            Refusal::Theirs(Blame::UnknownIssuer) => f.write_str(
                "the peer refused this node: your certificate was not issued under its root; compare the root fingerprints",
            ),
            Refusal::Theirs(Blame::Missing) => {
                f.write_str("the peer refused this node: it was shown no certificate; enrol this node first")
            }
            Refusal::Theirs(Blame::Other) => {
                f.write_str("the peer refused this node's certificate; its operator sees the reason in its log")
            }
            Refusal::Other(why) => write!(f, "the link's handshake failed: {why}"),
        }
    }
}

impl Refusal {
    /// What a TLS alert number says: QUIC carries it as the connection's error code, 0x100 + alert.
    pub fn from_alert(alert: u8) -> Refusal {
        match AlertDescription::from(alert) {
            AlertDescription::CertificateRevoked => Refusal::Theirs(Blame::Revoked),
            AlertDescription::CertificateExpired => Refusal::Theirs(Blame::Dates),
            AlertDescription::UnknownCA => Refusal::Theirs(Blame::UnknownIssuer),
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                Refusal::Theirs(Blame::Missing)
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied => Refusal::Theirs(Blame::Other),
            other => Refusal::Other(format!("TLS alert {other:?}")),
        }
    }
}

/// Says who refused whom and why, for both sides' operators.
pub fn refusal(error: &Error) -> Refusal {
    match error {
        Error::InvalidCertificate(CertificateError::Revoked) => Refusal::Ours(ChainError::Revoked),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Refusal::Ours(ChainError::UnknownIssuer)
        }
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Refusal::Ours(ChainError::Expired { until: (*not_after).into() })
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Refusal::Ours(ChainError::NotYetValid { from: (*not_before).into() })
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(e))) => {
            match e.downcast_ref::<ChainError>() {
                Some(e) => Refusal::Ours(e.clone()),
                None => Refusal::Other(error.to_string()),
            }
        }
        Error::NoCertificatesPresented => Refusal::Ours(ChainError::Missing),
        Error::AlertReceived(alert) => Refusal::from_alert(u8::from(*alert)),
        other => Refusal::Other(other.to_string()),
    }
}
