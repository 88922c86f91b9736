//! Revocation lists: which certificates an authority has taken back, and what their nodes said before that counts.
//!
//! Promises: a `Verified<RevocationList>` was signed, as a whole and in its X.509 part, by an authority under the
//! pinned root, speaks only of that authority's own jurisdiction, and says the same in both parts. So no list can
//! speak for a foreign issuer and thereby lock that issuer's nodes out (webpki stops at the first list under a name
//! and fails when its signature is wrong).
//!
//! ```text
//! suite (1) | issuer's certificate | number | date
//!   | entries, by serial: {serial, subject, last seals that count, reason, date}
//!   | X.509 CRL, DER: the same serials, the same number
//!   | signature of the issuer's key (64)
//! ```

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::chain::{self, ChainError, IssuerId, Jurisdiction, MAX_CERTIFICATE, Serial};
use crate::codec::{self, SUITE, Unchecked};
use crate::root::Root;
use crate::{NodeName, SecretKey, Site, Tier, UnixTime, Verified};

/// Bytes of one list, at most.
pub const MAX_LIST: usize = 1 << 20;

/// Entries of one list, at most; a province has some dozens of nodes.
pub const MAX_ENTRIES: usize = 4096;

/// Seals that count in one entry, at most: one for each fork of a chain; for a province's authority one for each
/// of its nodes.
pub const MAX_COUNTS: usize = 1024;

const CONTEXT: &str = "revocation";

/// Why bytes are not a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationError {
    /// Not the one encoding of a list within its caps.
    Malformed,
    /// A cipher suite that this version does not know.
    UnknownSuite(u8),
    /// The issuer's certificate is not an authority's under the pinned root.
    Issuer(ChainError),
    /// Not signed by the issuer, as a whole or in its X.509 part.
    BadSignature,
    /// The issuer revokes what it never had a say over.
    WrongJurisdiction(Subject),
    /// The X.509 part and the rest do not say the same.
    TwoTongues,
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevocationError::Malformed => {
                f.write_str("this is not a revocation list; fetch it again from another place")
            }
            RevocationError::UnknownSuite(s) => write!(f, "the list uses cipher suite {s}; update this node"),
            RevocationError::Issuer(e) => write!(f, "the revocation list's issuer is not an authority: {e}"),
            RevocationError::BadSignature => f.write_str(
                "the revocation list is forged or damaged; it was not admitted; report where it came from",
            ),
            RevocationError::WrongJurisdiction(who) => {
                write!(
                    f,
                    "the revocation list's issuer has no say over {who}; it was not admitted; report it"
                )
            }
            RevocationError::TwoTongues => {
                f.write_str("the revocation list contradicts itself; ask its authority for a new one")
            }
        }
    }
}

impl std::error::Error for RevocationError {}

/// Whose certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A node's.
    Node(NodeName),
    /// A province authority's, and thereby all that it issued.
    Authority(Site),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Node(node) => write!(f, "node {node}"),
            Subject::Authority(site) => write!(f, "the authority of {site}"),
        }
    }
}

/// Why a certificate was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The key was stolen or lost, or may have been.
    KeyCompromise,
    /// Another certificate took its place.
    Superseded,
    /// The node ended its work.
    Closed,
}

/// One revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The certificate's serial number.
    pub serial: Serial,
    /// Whose certificate it was.
    pub subject: Subject,
    /// The last seals of the node's chain that count: one, or one for each fork; none when nothing counts.
    pub counts: Vec<[u8; 32]>,
    /// Why.
    pub reason: Reason,
    /// When it was revoked, by the authority's clock.
    pub at: UnixTime,
}

/// The shape on the wire.
#[derive(Serialize, Deserialize)]
struct Body {
    suite: u8,
    issuer: Vec<u8>,
    number: u64,
    this_update: UnixTime,
    entries: Vec<Entry>,
    crl: Vec<u8>,
}

/// All that one authority has revoked, as of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Who issued it.
    pub issuer: IssuerId,
    /// Whom the issuer may enrol and revoke.
    pub jurisdiction: Jurisdiction,
    /// Counts up from 1; of an issuer's lists the highest counts.
    pub number: u64,
    /// When it was made, by the authority's clock.
    pub this_update: UnixTime,
    /// What was revoked, by serial number.
    pub entries: Vec<Entry>,
    /// The same as an X.509 CRL.
    pub crl: CertificateRevocationListDer<'static>,
    bytes: Arc<[u8]>,
    hash: [u8; 32],
}

impl RevocationList {
    /// Verifies bytes from outside.
    pub fn verify(bytes: &[u8], root: &Root) -> Result<Verified<RevocationList>, RevocationError> {
        match bytes.first() {
            None | Some(&SUITE) => {}
            Some(&other) => return Err(RevocationError::UnknownSuite(other)),
        }
        if bytes.len() > MAX_LIST {
            return Err(RevocationError::Malformed);
        }
        let unchecked = Unchecked::split(bytes).ok_or(RevocationError::Malformed)?;
        let body: Body = codec::decode(unchecked.body, MAX_LIST).ok_or(RevocationError::Malformed)?;
        let sorted = body.entries.is_sorted_by(|a, b| a.serial < b.serial);
        let capped = body.entries.len() <= MAX_ENTRIES
            && body.issuer.len() <= MAX_CERTIFICATE
            && body.entries.iter().all(|e| e.counts.len() <= MAX_COUNTS);
        let serials =
            body.entries.iter().all(|e| Serial::from_bytes(e.serial.as_bytes()).as_ref() == Some(&e.serial));
        if !sorted || !capped || !serials || body.number == 0 {
            return Err(RevocationError::Malformed);
        }
        let issuer = chain::check_authority(&body.issuer, root).map_err(RevocationError::Issuer)?;
        // The signature first: a parser of certificate lists sees nothing that no authority wrote.
        unchecked.check(&issuer.facts.key, CONTEXT).map_err(|_| RevocationError::BadSignature)?;
        for entry in &body.entries {
            if !may_revoke(issuer.jurisdiction, entry.subject) {
                return Err(RevocationError::WrongJurisdiction(entry.subject));
            }
        }
        check_crl(&body, &issuer)?;
        Ok(Verified::vouch(RevocationList {
            issuer: issuer.id,
            jurisdiction: issuer.jurisdiction,
            number: body.number,
            this_update: body.this_update,
            entries: body.entries,
            crl: body.crl.into(),
            hash: revocation_hash(bytes),
            bytes: bytes.into(),
        }))
    }

    /// Signs a list: `issuer` is the authority's certificate, `key` its key, `crl` the X.509 part.
    pub(crate) fn sign(
        key: &SecretKey,
        issuer: &[u8],
        number: u64,
        this_update: UnixTime,
        entries: &[Entry],
        crl: &[u8],
    ) -> Vec<u8> {
        let body = Body {
            suite: SUITE,
            issuer: issuer.to_vec(),
            number,
            this_update,
            entries: entries.to_vec(),
            crl: crl.to_vec(),
        };
        codec::signed(key, CONTEXT, &body)
    }

    /// The list as it travels.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The list's hash as an item: [`revocation_hash`] of its bytes.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The entry about a certificate.
    pub fn entry(&self, serial: &Serial) -> Option<&Entry> {
        self.entries.binary_search_by(|e| e.serial.cmp(serial)).ok().map(|i| &self.entries[i])
    }
}

fn may_revoke(jurisdiction: Jurisdiction, subject: Subject) -> bool {
    match subject {
        Subject::Node(node) => jurisdiction.enrols(node),
        Subject::Authority(site) => jurisdiction == Jurisdiction::Ministry && site.tier() == Tier::Province,
    }
}

/// Checks the X.509 part against the rest: issuer, signature, number, serials.
fn check_crl(body: &Body, issuer: &chain::Issuer) -> Result<(), RevocationError> {
    webpki::BorrowedCertRevocationList::from_der(&body.crl).map_err(|_| RevocationError::Malformed)?;
    let (rest, crl) =
        CertificateRevocationList::from_der(&body.crl).map_err(|_| RevocationError::Malformed)?;
    if !rest.is_empty() || crl.signature_algorithm.algorithm != x509_parser::oid_registry::OID_SIG_ED25519 {
        return Err(RevocationError::Malformed);
    }
    if crl.issuer().as_raw() != issuer.facts.subject {
        return Err(RevocationError::TwoTongues);
    }
    let signed = issuer.facts.key.verify_raw(crl.tbs_cert_list.as_ref(), &crl.signature_value.data);
    signed.map_err(|_| RevocationError::BadSignature)?;
    let partial = x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
    let mut serials: Vec<Option<Serial>> =
        crl.iter_revoked_certificates().map(|c| Serial::from_bytes(c.raw_serial())).collect();
    serials.sort();
    let same = serials.len() == body.entries.len()
        && serials.iter().zip(&body.entries).all(|(a, b)| a.as_ref() == Some(&b.serial))
        && crl.crl_number().is_some_and(|n| *n == body.number.into())
        && crl.extensions().iter().all(|e| e.oid != partial);
    if same { Ok(()) } else { Err(RevocationError::TwoTongues) }
}

/// The hash of a revocation list's bytes as an item: BLAKE3 of `revocation\0` and the bytes.
pub fn revocation_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(b"revocation\0").update(bytes).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Directory, SigningKey};
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
    use rustls::pki_types::CertificateDer;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    /// Two provinces, whose keys the test knows, and one city of the first.
    struct World {
        root: Root,
        certificates: [CertificateDer<'static>; 2],
        keys: [SecretKey; 2],
        city: Vec<CertificateDer<'static>>,
    }

    impl World {
        fn new() -> World {
            let mut root = Authority::root(SecretKey::generate(), NOW).unwrap();
            let keys = [SecretKey::generate(), SecretKey::generate()];
            let mut make = |site: &str, key: &SecretKey, node: &str| {
                let mut ca = root.issue_province(site.parse().unwrap(), key.clone(), NOW).unwrap();
                let about: SigningKey = SecretKey::generate().ed25519_public();
                ca.issue_node(node.parse().unwrap(), &about, NOW, 90).unwrap()
            };
            let city = make("370000", &keys[0], "370100");
            let other = make("510000", &keys[1], "510100");
            let certificates = [city[1].clone(), other[1].clone()];
            World { root: root.trusted_root().clone(), certificates, keys, city }
        }

        /// An X.509 list under the name of one authority, signed by the key of another.
        fn crl(&self, name: usize, key: usize, number: u64, serials: &[&Serial]) -> Vec<u8> {
            let date = crate::template::date(NOW).ok().unwrap();
            let issuer =
                rcgen::Issuer::from_ca_cert_der(&self.certificates[name], self.keys[key].rcgen()).unwrap();
            let params = CertificateRevocationListParams {
                this_update: date,
                next_update: crate::template::date(NOW.plus(crate::clock::DAY)).ok().unwrap(),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: None,
                revoked_certs: serials
                    .iter()
                    .map(|s| RevokedCertParams {
                        serial_number: SerialNumber::from_slice(s.as_bytes()),
                        revocation_time: date,
                        reason_code: None,
                        invalidity_date: None,
                    })
                    .collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&issuer).unwrap().der().to_vec()
        }

        fn serial(&self) -> Serial {
            chain::facts(&self.city[0]).unwrap().serial
        }

        fn entry(&self, node: &str) -> Entry {
            let subject = Subject::Node(node.parse().unwrap());
            Entry { serial: self.serial(), subject, counts: vec![], reason: Reason::Closed, at: NOW }
        }

        fn sign(&self, key: usize, certificate: usize, entries: &[Entry], crl: Vec<u8>) -> Vec<u8> {
            RevocationList::sign(&self.keys[key], &self.certificates[certificate], 1, NOW, entries, &crl)
        }
    }

    #[test]
    fn forged_lists_are_refused_and_lock_nobody_out() {
        let w = World::new();
        let serial = w.serial();
        let mut directory = Directory::new(w.root.clone());
        let mut check = |case: &str, bytes: Vec<u8>, expected: RevocationError| {
            assert_eq!(directory.admit_revocation(&bytes), Err(expected), "{case}");
            assert!(directory.trust(false).check(&w.city, NOW).is_ok(), "{case}: the city keeps its links");
        };
        let foreign = RevocationError::WrongJurisdiction(Subject::Node("370100".parse().unwrap()));
        check(
            "51 signs in the name of 37",
            w.sign(1, 0, &[], w.crl(0, 1, 1, &[])),
            RevocationError::BadSignature,
        );
        check(
            "51 revokes a city of 37",
            w.sign(1, 1, &[w.entry("370100")], w.crl(1, 1, 1, &[&serial])),
            foreign,
        );
        check(
            "51 packs a list in the name of 37 into its own",
            w.sign(1, 1, &[], w.crl(0, 1, 1, &[])),
            RevocationError::TwoTongues,
        );
        check(
            "the inner signature is wrong",
            w.sign(0, 0, &[], w.crl(0, 1, 1, &[])),
            RevocationError::BadSignature,
        );
        check(
            "a serial only inside",
            w.sign(0, 0, &[], w.crl(0, 0, 1, &[&serial])),
            RevocationError::TwoTongues,
        );
        check(
            "a serial only outside",
            w.sign(0, 0, &[w.entry("370100")], w.crl(0, 0, 1, &[])),
            RevocationError::TwoTongues,
        );
        check("another number inside", w.sign(0, 0, &[], w.crl(0, 0, 2, &[])), RevocationError::TwoTongues);
        check("no list inside", w.sign(0, 0, &[], vec![0x30, 0]), RevocationError::Malformed);
        let twice = [w.entry("370100"), w.entry("370100")];
        check(
            "one serial twice",
            w.sign(0, 0, &twice, w.crl(0, 0, 1, &[&serial])),
            RevocationError::Malformed,
        );
        let mut long = w.entry("370100");
        long.counts = vec![[0; 32]; MAX_COUNTS + 1];
        check(
            "too many counts",
            w.sign(0, 0, &[long], w.crl(0, 0, 1, &[&serial])),
            RevocationError::Malformed,
        );
        let leaf_issuer = RevocationList::sign(&w.keys[0], &w.city[0], 1, NOW, &[], &w.crl(0, 0, 1, &[]));
        check("a node as issuer", leaf_issuer, RevocationError::Issuer(ChainError::UnknownIssuer));
        // Teeth: made in the same way, a true one is admitted and bites.
        let good = w.sign(0, 0, &[w.entry("370100")], w.crl(0, 0, 1, &[&serial]));
        directory.admit_revocation(&good).unwrap();
        assert_eq!(directory.trust(false).check(&w.city, NOW), Err(ChainError::Revoked));
    }
}
