//! Certificate chains: what one proves, and to whom.
//!
//! Promises: a chain that passes has one to three certificates, leaf first, each signed by the next and the last by
//! the pinned root, within the DNS name constraints of the province, and names exactly one node, whose site its issuer
//! enrols: the root the ministry's, a province's authority all others. Wildcards, IP, URI and e-mail names and the CN
//! prove nothing.
//!
//! ```text
//! ministry root (pinned, pathLen 1)
//!   |-- c000000.n12328.invalid                    node of the ministry
//!   `-- province authority (pathLen 0, permitted pNN.n12328.invalid, no IP names)
//!         `-- c370100.p37.n12328.invalid          node
//! ```
//!
//! Dates are judged apart from everything else: a chain is always verified as of its leaf's own start, and a caller
//! that cares about today asks for that in addition. So "only its dates are wrong" is a verdict of its own, which
//! clock doubt and history both need.

use std::fmt;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth, UnknownStatusPolicy,
};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use crate::name::DOMAIN;
use crate::root::Root;
use crate::{NodeName, SigningKey, Site, Tier, UnixTime};

/// Certificates in one chain, at most; the root is not among them.
pub const MAX_CHAIN: usize = 3;

/// Bytes of one certificate, at most. Ours have some 400.
pub const MAX_CERTIFICATE: usize = 4096;

/// A certificate's serial number, as the bytes of a positive DER integer: 1 to 20.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// The serial number with these bytes, leading zeros dropped; `None` past twenty bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Serial> {
        let from = bytes.iter().position(|b| *b != 0)?;
        (bytes.len() - from <= 20).then(|| Serial(bytes[from..].to_vec()))
    }

    /// The bytes, without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which authority issued something: a hash over its name and its key. A renewed authority with another key is
/// another issuer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IssuerId([u8; 32]);

impl IssuerId {
    /// The hash's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerId({}..)", &blake3::Hash::from(self.0).to_hex()[..8])
    }
}

/// Whom an authority may enrol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Jurisdiction {
    /// The root: the ministry's nodes, and the province authorities.
    Ministry,
    /// The nodes of a province, its cities and their offices.
    Province(Site),
}

impl Jurisdiction {
    /// Whether an authority of this jurisdiction is the one that enrols `node`.
    pub fn enrols(self, node: NodeName) -> bool {
        match self {
            Jurisdiction::Ministry => node.site().tier() == Tier::Ministry,
            Jurisdiction::Province(site) => node.site().province() == Some(site),
        }
    }

    /// The DNS name under which a province's nodes lie.
    pub(crate) fn domain(self) -> Option<String> {
        match self {
            Jurisdiction::Ministry => None,
            Jurisdiction::Province(site) => Some(format!("p{}.{DOMAIN}", site.province_prefix())),
        }
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Jurisdiction::Ministry => f.write_str("the ministry's root"),
            Jurisdiction::Province(site) => write!(f, "the authority of {site}"),
        }
    }
}

/// Why a chain proves nothing. Display speaks of "the certificate", so that it fits either side's mouth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// No certificate at all.
    Missing,
    /// More than [`MAX_CHAIN`] certificates, or one of more than [`MAX_CERTIFICATE`] bytes.
    TooLarge,
    /// Not a certificate as this network issues them; with the detail.
    Malformed(String),
    /// Not signed by an authority under the pinned root.
    UnknownIssuer,
    /// Issued by an authority for a name outside its jurisdiction.
    WrongJurisdiction,
    /// An authority's certificate in the place of a node's, or a node's in the place of an authority's, or a level
    /// too many, or not for both ends of a link.
    WrongUse,
    /// The certificate has this many DNS names instead of one.
    NotOneName(usize),
    /// The one DNS name is not a node's.
    NotANode(String),
    /// The name is not the one that was dialled.
    OtherNode {
        /// The node that was dialled.
        dialled: NodeName,
        /// The node that answered.
        answered: NodeName,
    },
    /// Revoked by its issuer, or its issuer by the root.
    Revoked,
    /// Good but for its dates: it ended.
    Expired {
        /// When it ended.
        until: UnixTime,
    },
    /// Good but for its dates: it begins later.
    NotYetValid {
        /// When it begins.
        from: UnixTime,
    },
}

impl ChainError {
    /// Whether the chain is good but for its dates.
    pub fn only_dates(&self) -> bool {
        matches!(self, ChainError::Expired { .. } | ChainError::NotYetValid { .. })
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChainError::Missing => f.write_str("no certificate was shown; enrol this node first"),
            ChainError::TooLarge => {
                f.write_str("the certificate chain is larger than this network's ever are")
            }
            ChainError::Malformed(why) => {
                write!(f, "the certificate is not as this network issues them: {why}")
            }
            ChainError::UnknownIssuer => f.write_str(
                "the certificate was not issued under this network's root; compare the root fingerprints",
            ),
            ChainError::WrongJurisdiction => {
                f.write_str("the certificate was issued by an authority that has no say over that name")
            }
            ChainError::WrongUse => f.write_str("the certificate is not meant for a node of this network"),
            ChainError::NotOneName(n) => write!(f, "the certificate bears {n} DNS names instead of one"),
            ChainError::NotANode(name) => write!(f, "the certificate's name `{name}` is not a node's"),
            ChainError::OtherNode { dialled, answered } => {
                write!(f, "node {dialled} was dialled and {answered} answered; check the address")
            }
            ChainError::Revoked => {
                f.write_str("the certificate was revoked; ask its authority to enrol the node anew")
            }
            ChainError::Expired { until } => {
                write!(
                    f,
                    "the certificate has expired (at {} s since 1970); renew it, or check the clock",
                    until.secs()
                )
            }
            ChainError::NotYetValid { from } => {
                write!(f, "the certificate begins later (at {} s since 1970); check the clocks", from.secs())
            }
        }
    }
}

impl std::error::Error for ChainError {}

impl From<webpki::Error> for ChainError {
    fn from(e: webpki::Error) -> ChainError {
        use webpki::Error as E;
        match e {
            E::UnknownIssuer | E::InvalidSignatureForPublicKey => ChainError::UnknownIssuer,
            E::NameConstraintViolation => ChainError::WrongJurisdiction,
            E::CertRevoked => ChainError::Revoked,
            E::EndEntityUsedAsCa
            | E::CaUsedAsEndEntity
            | E::PathLenConstraintViolated
            | E::RequiredEkuNotFoundContext(_) => ChainError::WrongUse,
            other => ChainError::Malformed(other.to_string()),
        }
    }
}

/// What a certificate says, before anybody has checked that it may.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) serial: Serial,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) key: SigningKey,
    pub(crate) from: UnixTime,
    pub(crate) until: UnixTime,
    pub(crate) dns: Vec<String>,
    pub(crate) both_ends: bool,
    pub(crate) is_ca: bool,
    /// Its key signs what its holder says, and neither certificates nor lists.
    pub(crate) speaks: bool,
    pub(crate) signs_crls: bool,
    pub(crate) permitted: Vec<String>,
}

impl Facts {
    /// The issuer that this certificate's subject is.
    pub(crate) fn as_issuer(&self) -> IssuerId {
        let mut h = blake3::Hasher::new_derive_key("hotline certs 2026 issuer");
        h.update(&self.subject).update(self.key.as_bytes());
        IssuerId(*h.finalize().as_bytes())
    }
}

pub(crate) fn malformed(why: impl fmt::Display) -> ChainError {
    ChainError::Malformed(why.to_string())
}

/// Reads a certificate; every key is Ed25519.
pub(crate) fn facts(der: &[u8]) -> Result<Facts, ChainError> {
    if der.len() > MAX_CERTIFICATE {
        return Err(ChainError::TooLarge);
    }
    let (rest, cert) = X509Certificate::from_der(der).map_err(|_| malformed("it does not parse"))?;
    if !rest.is_empty() {
        return Err(malformed("bytes follow it"));
    }
    let key = cert.public_key();
    if key.algorithm.algorithm != x509_parser::oid_registry::OID_SIG_ED25519 {
        return Err(malformed("its key is not Ed25519"));
    }
    let key: &[u8] = &key.subject_public_key.data;
    let time = |t: x509_parser::time::ASN1Time| {
        u64::try_from(t.timestamp()).map(UnixTime::from_secs).map_err(|_| malformed("a date before 1970"))
    };
    let mut facts = Facts {
        serial: Serial::from_bytes(cert.raw_serial()).ok_or_else(|| malformed("its serial number"))?,
        issuer: cert.issuer().as_raw().to_vec(),
        subject: cert.subject().as_raw().to_vec(),
        key: SigningKey::from_bytes(key.try_into().map_err(|_| malformed("its key is not 32 bytes"))?),
        from: time(cert.validity().not_before)?,
        until: time(cert.validity().not_after)?,
        dns: Vec::new(),
        both_ends: false,
        is_ca: false,
        speaks: false,
        signs_crls: false,
        permitted: Vec::new(),
    };
    cert.extensions_map().map_err(|_| malformed("an extension stands in it twice"))?;
    for extension in cert.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(san) => {
                facts.dns.extend(san.general_names.iter().filter_map(dns_name).map(str::to_owned));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                facts.both_ends = usage.server_auth && usage.client_auth
            }
            ParsedExtension::BasicConstraints(basic) => facts.is_ca = basic.ca,
            ParsedExtension::KeyUsage(usage) => {
                facts.signs_crls = usage.crl_sign() && usage.key_cert_sign();
                facts.speaks = usage.digital_signature() && !usage.crl_sign() && !usage.key_cert_sign();
            }
            ParsedExtension::NameConstraints(names) => {
                let permitted = names.permitted_subtrees.iter().flatten();
                facts.permitted.extend(permitted.filter_map(|t| dns_name(&t.base)).map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(facts)
}

fn dns_name<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::DNSName(dns) => Some(dns),
        _ => None,
    }
}

/// What a verified chain proves about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whose certificate it is.
    pub node: NodeName,
    /// The key that the certificate is about.
    pub key: SigningKey,
    /// The certificate's first second.
    pub from: UnixTime,
    /// The last second at which the whole chain is valid.
    pub until: UnixTime,
    /// Issuer and serial number of each certificate, the leaf's first.
    pub links: Vec<(IssuerId, Serial)>,
    newest_start: UnixTime,
}

/// Whether a chain's dates matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// It must be valid at this time: links and enrolment.
    At(UnixTime),
    /// It is taken as of its own start: history, and links in clock doubt.
    OwnStart,
}

/// Checks a chain, leaf first, against the root and these revocation lists (at most one for each issuer).
pub(crate) fn check(
    chain: &[CertificateDer<'_>],
    root: &Root,
    lists: &[&CertRevocationList<'_>],
    dates: Dates,
) -> Result<Leaf, ChainError> {
    let (end, intermediates) = chain.split_first().ok_or(ChainError::Missing)?;
    if chain.len() > MAX_CHAIN || chain.iter().any(|c| c.len() > MAX_CERTIFICATE) {
        return Err(ChainError::TooLarge);
    }
    let leaf = facts(end)?;
    let parsed = EndEntityCert::try_from(end)?;
    let revocation = webpki::RevocationOptionsBuilder::new(lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Ignore)
            .build()
    });
    let anchors = root.anchors()?;
    let path = parsed.verify_for_usage(
        &[webpki::ring::ED25519],
        &anchors,
        intermediates,
        leaf.from.into(),
        KeyUsage::client_auth(),
        revocation,
        None,
    )?;
    if !leaf.both_ends || !leaf.speaks {
        return Err(ChainError::WrongUse);
    }
    // The path that was found is the chain that was shown, in its order: nothing unproved stands in between.
    let found: Vec<CertificateDer<'_>> = path.intermediate_certificates().map(|c| c.der()).collect();
    if found != intermediates {
        return Err(malformed("its chain is not in order"));
    }
    // webpki lets an authority without constraints, or one not made for signing, stand in between.
    let mut jurisdiction = Jurisdiction::Ministry;
    for authority in intermediates.iter().rev() {
        jurisdiction = Jurisdiction::Province(province_of(&facts(authority)?)?);
    }
    let result = describe(chain, root)?;
    if !jurisdiction.enrols(result.node) {
        return Err(ChainError::WrongJurisdiction);
    }
    if let Dates::At(now) = dates {
        result.dates(now)?;
    }
    Ok(result)
}

/// What a chain says that was verified already, today or before it was stored.
pub(crate) fn describe(chain: &[CertificateDer<'_>], root: &Root) -> Result<Leaf, ChainError> {
    let all = chain.iter().map(|c| facts(c)).collect::<Result<Vec<Facts>, ChainError>>()?;
    let (leaf, last) = all.first().zip(all.last()).ok_or(ChainError::Missing)?;
    let node = match leaf.dns.as_slice() {
        [name] => {
            NodeName::from_dns(name).map_err(|_| ChainError::NotANode(name.chars().take(80).collect()))?
        }
        names => return Err(ChainError::NotOneName(names.len())),
    };
    let top = root.named(&last.issuer)?;
    let issuers = all.iter().skip(1).chain(std::iter::once(&top)).map(Facts::as_issuer);
    Ok(Leaf {
        node,
        key: leaf.key,
        from: leaf.from,
        until: all.iter().map(|f| f.until).min().unwrap_or(leaf.until),
        links: issuers.zip(all.iter().map(|f| f.serial.clone())).collect(),
        newest_start: all.iter().map(|f| f.from).max().unwrap_or(leaf.from),
    })
}

impl Leaf {
    /// Whether the whole chain is valid at this time.
    pub fn dates(&self, now: UnixTime) -> Result<(), ChainError> {
        if now < self.newest_start {
            return Err(ChainError::NotYetValid { from: self.newest_start });
        }
        if now > self.until {
            return Err(ChainError::Expired { until: self.until });
        }
        Ok(())
    }

    /// The latest time that an authority signed in this chain; feed it to [`crate::CertificateClock::signed`].
    pub fn newest_start(&self) -> UnixTime {
        self.newest_start
    }
}

/// An authority as its certificate proves it.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) id: IssuerId,
    pub(crate) jurisdiction: Jurisdiction,
    pub(crate) facts: Facts,
}

/// Checks an authority's certificate: a root itself, or a province's signed by one. Dates do not matter here, as
/// with everything that is kept.
pub(crate) fn check_authority(der: &[u8], root: &Root) -> Result<Issuer, ChainError> {
    let facts = facts(der)?;
    if root.certificates().iter().any(|c| c.as_ref() == der) {
        return Ok(Issuer { id: facts.as_issuer(), jurisdiction: Jurisdiction::Ministry, facts });
    }
    let above = root.named(&facts.issuer)?;
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| malformed("it does not parse"))?;
    if certificate.signature_algorithm.algorithm != x509_parser::oid_registry::OID_SIG_ED25519 {
        return Err(ChainError::UnknownIssuer);
    }
    above
        .key
        .verify_raw(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
        .map_err(|_| ChainError::UnknownIssuer)?;
    let jurisdiction = Jurisdiction::Province(province_of(&facts)?);
    Ok(Issuer { id: facts.as_issuer(), jurisdiction, facts })
}

/// The one province whose authority this is: it may sign certificates and lists, and its names are constrained.
fn province_of(facts: &Facts) -> Result<Site, ChainError> {
    if !facts.is_ca || !facts.signs_crls {
        return Err(ChainError::WrongUse);
    }
    let prefix = match facts.permitted.as_slice() {
        [domain] => domain.strip_prefix('p').and_then(|d| d.strip_suffix(DOMAIN)?.strip_suffix('.')),
        _ => None,
    };
    let site = prefix.and_then(|p| format!("{p}0000").parse::<Site>().ok());
    site.filter(|s| s.tier() == Tier::Province).ok_or(ChainError::WrongJurisdiction)
}
