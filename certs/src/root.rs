//! The pinned roots, the digits people compare before they pin them, and certificates as PEM.

use std::fmt;

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::chain::{ChainError, Facts, MAX_CERTIFICATE, MAX_CHAIN, facts, malformed};
use crate::keys::pem_form;

/// Roots in the trust store, at most: the present one, the next one, and their neighbours in a change.
const MAX_ROOTS: usize = 4;

/// The PEM tag of a certificate.
const PEM_TAG: &str = "CERTIFICATE";

/// The pinned roots: one, or two while they change. Whoever holds this decides whom it believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    certificates: Vec<CertificateDer<'static>>,
}

impl Root {
    /// The roots in these certificates: one to four, each an authority's, no two of one name.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Root, ChainError> {
        if certificates.is_empty() {
            return Err(ChainError::Missing);
        }
        if certificates.len() > MAX_ROOTS {
            return Err(ChainError::TooLarge);
        }
        let mut names = std::collections::BTreeSet::new();
        for certificate in &certificates {
            let facts = facts(certificate)?;
            webpki::anchor_from_trusted_cert(certificate)?;
            if !facts.is_ca || !facts.permitted.is_empty() {
                return Err(ChainError::WrongUse);
            }
            if !names.insert(facts.subject) {
                return Err(malformed("two roots bear one name"));
            }
        }
        Ok(Root { certificates })
    }

    /// Reads `root.crt`.
    pub fn from_pem(text: &str) -> Result<Root, ChainError> {
        Root::new(certificates_from_pem(text)?)
    }

    /// Writes `root.crt`.
    pub fn to_pem(&self) -> String {
        certificates_to_pem(&self.certificates)
    }

    /// The root certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Digits to compare by telephone before a root is believed.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificates.iter().flat_map(|c| c.iter().copied()).collect::<Vec<u8>>())
    }

    pub(crate) fn anchors(&self) -> Result<Vec<TrustAnchor<'_>>, ChainError> {
        self.certificates
            .iter()
            .map(|c| webpki::anchor_from_trusted_cert(c).map_err(ChainError::from))
            .collect()
    }

    /// The root certificate that bears this name.
    pub(crate) fn named(&self, subject: &[u8]) -> Result<Facts, ChainError> {
        let all = self.certificates.iter().map(|c| facts(c));
        all.flatten().find(|f| f.subject == subject).ok_or(ChainError::UnknownIssuer)
    }
}

/// Thirty digits of a hash, in six groups, for two people to compare by telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint(
            *blake3::Hasher::new_derive_key("hotline certs 2026 fingerprint")
                .update(bytes)
                .finalize()
                .as_bytes(),
        )
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 40 bits modulo 100,000 favour no group of digits by more than one in ten million.
        for (i, group) in self.0.chunks_exact(5).take(6).enumerate() {
            let n = group.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
            write!(f, "{}{:05}", if i == 0 { "" } else { " " }, n % 100_000)?;
        }
        Ok(())
    }
}

/// Reads a PEM file of certificates, at least one, at most [`MAX_CHAIN`] and the roots.
pub(crate) fn certificates_from_pem(text: &str) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    if text.len() > 2 * MAX_CERTIFICATE * (MAX_CHAIN + MAX_ROOTS) {
        return Err(ChainError::TooLarge);
    }
    let blocks = pem::parse_many(text).map_err(|_| malformed("the file is not PEM"))?;
    if blocks.is_empty() || blocks.iter().any(|b| b.tag() != PEM_TAG) {
        return Err(malformed("the file holds something else than certificates"));
    }
    Ok(blocks.into_iter().map(|b| b.into_contents().into()).collect())
}

/// Writes certificates as PEM, in this order.
pub(crate) fn certificates_to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let blocks: Vec<pem::Pem> = certificates.iter().map(|c| pem::Pem::new(PEM_TAG, c.to_vec())).collect();
    pem::encode_many_config(&blocks, pem_form())
}
