//! The certificates that authorities write: everything in them is decided here.
//!
//! An authority takes a key and a checked name from elsewhere and nothing more, so nobody asks himself into an
//! authority (rcgen would pass a request's `CA:TRUE` on).

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;

use crate::chain::{Jurisdiction, Serial};
use crate::{NodeName, SigningKey, UnixTime};

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: UnixTime,
    pub(crate) until: UnixTime,
}

/// A date that no certificate can bear: past the year 9999.
pub(crate) struct DateOutOfRange;

/// The instant as X.509 writers want it.
pub(crate) fn date(t: UnixTime) -> Result<OffsetDateTime, DateOutOfRange> {
    let secs = i64::try_from(t.secs()).map_err(|_| DateOutOfRange)?;
    OffsetDateTime::from_unix_timestamp(secs).map_err(|_| DateOutOfRange)
}

/// A serial number that needs no counter, which a restored authority would count twice: a hash of what makes the
/// certificate this one.
pub(crate) fn serial(issuer: &SigningKey, name: &str, key: &SigningKey, v: Validity) -> Serial {
    let mut h = blake3::Hasher::new_derive_key("hotline certs 2026 serial number");
    h.update(issuer.as_bytes()).update(key.as_bytes());
    h.update(&v.from.secs().to_be_bytes()).update(&v.until.secs().to_be_bytes()).update(name.as_bytes());
    let mut bytes: [u8; 16] =
        h.finalize().as_bytes()[..16].try_into().expect("a hash has more than 16 bytes");
    bytes[0] = bytes[0] & 0x3f | 0x40; // positive, and always sixteen bytes
    Serial::from_bytes(&bytes).expect("sixteen bytes, the first not zero")
}

fn params(name: &str, serial: &Serial, v: Validity) -> Result<CertificateParams, DateOutOfRange> {
    let mut p = CertificateParams::default();
    p.distinguished_name = DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, name);
    p.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    p.not_before = date(v.from)?;
    p.not_after = date(v.until)?;
    p.use_authority_key_identifier_extension = true;
    Ok(p)
}

/// An authority's name holds its key's hash: two keys never share a name, so that a list of one never speaks for
/// the other (webpki picks lists by name).
pub(crate) fn authority_name(jurisdiction: Jurisdiction, key: &SigningKey) -> String {
    let hash = blake3::hash(key.as_bytes()).to_hex();
    match jurisdiction {
        Jurisdiction::Ministry => format!("12328 root {}", &hash[..16]),
        Jurisdiction::Province(site) => format!("12328 authority {site} {}", &hash[..16]),
    }
}

/// An authority: a root may have authorities below it, a province's has none and is held to its own names.
pub(crate) fn authority(
    jurisdiction: Jurisdiction,
    key: &SigningKey,
    serial: &Serial,
    v: Validity,
) -> Result<CertificateParams, DateOutOfRange> {
    let mut p = params(&authority_name(jurisdiction, key), serial, v)?;
    p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    match jurisdiction.domain() {
        None => p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)),
        Some(domain) => {
            p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            p.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName(domain)],
                // A DNS constraint says nothing about IP names: shut those out as well. (webpki refuses URI
                // constraints altogether, and nobody here reads URI names.)
                excluded_subtrees: vec![
                    GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                    GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
                ],
            });
        }
    }
    Ok(p)
}

/// A node: both ends of a link, one name.
pub(crate) fn node(
    node: NodeName,
    serial: &Serial,
    v: Validity,
) -> Result<CertificateParams, DateOutOfRange> {
    let dns = node.dns();
    let mut p = params(&dns, serial, v)?;
    p.subject_alt_names =
        vec![rcgen::SanType::DnsName(dns.try_into().expect("a node's name is ASCII letters, digits, dots"))];
    p.is_ca = IsCa::ExplicitNoCa;
    p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(p)
}

/// A bare public key for rcgen to certify.
pub(crate) struct Subject<'a>(pub(crate) &'a SigningKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}
