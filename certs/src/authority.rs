//! Authorities: the ministry's root and the provinces', who enrol nodes and take it back.
//!
//! Promises: an authority enrols only within its jurisdiction and says so before webpki would; every certificate is
//! built from our template; what it has issued and revoked is on the disk before it hands anything out.
//!
//! ```text
//! ca.crt     own certificate, then the root's (PEM)
//! ca.key     PKCS#8 (0600)
//! ca.state   what was issued and revoked (postcard, 0600)
//! ```
//!
//! Left to others: asking who the person at the other end is, carrying files, knowing the time.

use std::fmt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, RevokedCertParams, SerialNumber};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::chain::{self, ChainError, Jurisdiction, Serial};
use crate::clock::{DAY, SLACK};
use crate::files::{self, FileError, Readers};
use crate::keys::{self, Algorithm};
use crate::revocation::{Entry, MAX_COUNTS, MAX_ENTRIES, MAX_LIST, Reason, RevocationList, Subject};
use crate::root::{Root, certificates_from_pem, certificates_to_pem};
use crate::template::{self, DateOutOfRange, Validity};
use crate::{NodeName, SecretKey, SigningKey, Site, Tier, UnixTime, Verified, codec};

/// How long a root is valid, in days.
pub const ROOT_DAYS: u64 = 20 * 365;
/// How long a province's authority is valid, in days.
pub const PROVINCE_DAYS: u64 = 5 * 365;
/// How long a node's certificate is valid unless somebody says otherwise, in days.
pub const NODE_DAYS: u64 = 400;
/// The longest that a node's certificate may be valid, in days.
pub const MAX_NODE_DAYS: u64 = 825;

/// Certificates remembered by one authority, at most.
const MAX_ISSUED: usize = 100_000;
/// Bytes of `ca.state`, at most.
const MAX_STATE: usize = 64 << 20;
/// A list says that the next one comes within so many days. Nobody enforces it; other tools want to read it.
const NEXT_LIST: u64 = 30 * DAY;

/// Why an authority did not do what was asked.
#[derive(Debug)]
pub enum AuthorityError {
    /// The node is another authority's to enrol.
    WrongJurisdiction {
        /// This authority.
        authority: Jurisdiction,
        /// What it was asked to enrol or to revoke.
        asked: Subject,
    },
    /// Only the root makes province authorities, and only for provinces.
    NotAProvince(Site),
    /// The date given lies before this authority's own start, so it is wrong.
    ClockBehind {
        /// The date given.
        now: UnixTime,
        /// The authority's first second.
        from: UnixTime,
    },
    /// The authority's own certificate has ended.
    Ended {
        /// Its last second.
        until: UnixTime,
    },
    /// A node's certificate is valid for 1 to [`MAX_NODE_DAYS`] days.
    BadTerm(u64),
    /// The date does not fit into a certificate.
    DateOutOfRange,
    /// This authority has issued no certificate to that name.
    NeverIssued(Subject),
    /// Past what one authority keeps: certificates, revocations, or seals that count.
    Full,
    /// The request does not hold.
    Request(crate::request::RequestError),
    /// The directory's certificates are no authority's, or its key belongs to another.
    Chain(ChainError),
    /// Reading or writing the directory failed.
    File(FileError),
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorityError::WrongJurisdiction { authority, asked } => {
                write!(f, "{authority} has no say over {asked}; ask the authority that does")
            }
            AuthorityError::NotAProvince(site) => {
                write!(
                    f,
                    "{site} gets no authority of its own; the root makes authorities for provinces (PP0000)"
                )
            }
            AuthorityError::ClockBehind { now, from } => write!(
                f,
                "the date given lies {} days before this authority began; set this machine's clock",
                now.days_until(*from)
            ),
            AuthorityError::Ended { .. } => {
                f.write_str("this authority's own certificate has ended; have the root make a new one")
            }
            AuthorityError::BadTerm(days) => {
                write!(f, "{days} days is no term for a node; choose 1 to {MAX_NODE_DAYS}")
            }
            AuthorityError::DateOutOfRange => f.write_str("that date does not fit into a certificate"),
            AuthorityError::NeverIssued(who) => {
                write!(f, "this authority has issued no certificate to {who}; see `cert list`")
            }
            AuthorityError::Full => {
                f.write_str("this authority's lists are full; have the root make a new one")
            }
            AuthorityError::Request(e) => e.fmt(f),
            AuthorityError::Chain(e) => write!(f, "this directory holds no usable authority: {e}"),
            AuthorityError::File(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for AuthorityError {}

impl From<DateOutOfRange> for AuthorityError {
    fn from(_: DateOutOfRange) -> Self {
        AuthorityError::DateOutOfRange
    }
}

impl From<FileError> for AuthorityError {
    fn from(e: FileError) -> Self {
        AuthorityError::File(e)
    }
}

impl From<ChainError> for AuthorityError {
    fn from(e: ChainError) -> Self {
        AuthorityError::Chain(e)
    }
}

/// One certificate that an authority gave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// To whom.
    pub subject: Subject,
    /// Its serial number.
    pub serial: Serial,
    /// The key it is about.
    pub key: SigningKey,
    /// Its first second.
    pub from: UnixTime,
    /// Its last second.
    pub until: UnixTime,
}

/// What an authority remembers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Ledger {
    suite: u8,
    issued: Vec<Issued>,
    revoked: Vec<Entry>,
    number: u64,
    list: Vec<u8>,
}

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    jurisdiction: Jurisdiction,
    key: SecretKey,
    certificate: CertificateDer<'static>,
    validity: Validity,
    root: Root,
    ledger: Ledger,
    dir: Option<PathBuf>,
}

impl Authority {
    /// The ministry's root, new, in memory; [`save`](Self::save) gives it a directory.
    pub fn root(key: SecretKey, now: UnixTime) -> Result<Authority, AuthorityError> {
        // Each level begins a month before the next, so that a node's certificate, dated back, is never older
        // than its authority's.
        let v = Validity { from: now.minus(60 * DAY), until: now.plus(ROOT_DAYS * DAY) };
        let public = key.ed25519_public();
        let serial = template::serial(&public, "root", &public, v);
        let params = template::authority(Jurisdiction::Ministry, &public, &serial, v)?;
        let certificate =
            params.self_signed(&key.rcgen()).expect("our template and an Ed25519 key sign").into();
        Authority::new(Jurisdiction::Ministry, key, certificate, None)
    }

    fn new(
        jurisdiction: Jurisdiction,
        key: SecretKey,
        certificate: CertificateDer<'static>,
        root: Option<Root>,
    ) -> Result<Authority, AuthorityError> {
        let root = match root {
            Some(root) => root,
            None => Root::new(vec![certificate.clone()])?,
        };
        let facts = chain::facts(&certificate)?;
        let validity = Validity { from: facts.from, until: facts.until };
        let ledger = Ledger { suite: codec::SUITE, ..Ledger::default() };
        Ok(Authority { jurisdiction, key, certificate, validity, root, ledger, dir: None })
    }

    /// A province's authority, new, in memory, held to the names of that province. Only the root makes these.
    pub fn issue_province(
        &mut self,
        province: Site,
        key: SecretKey,
        now: UnixTime,
    ) -> Result<Authority, AuthorityError> {
        if self.jurisdiction != Jurisdiction::Ministry || province.tier() != Tier::Province {
            return Err(AuthorityError::NotAProvince(province));
        }
        let jurisdiction = Jurisdiction::Province(province);
        let v = self.term(now, 30 * DAY, PROVINCE_DAYS)?;
        let public = key.ed25519_public();
        let name = template::authority_name(jurisdiction, &public);
        let serial = template::serial(&self.key.ed25519_public(), &name, &public, v);
        let params = template::authority(jurisdiction, &public, &serial, v)?;
        let certificate = self.certify(&params, &public);
        self.remember(Issued {
            subject: Subject::Authority(province),
            serial,
            key: public,
            from: v.from,
            until: v.until,
        })?;
        Authority::new(jurisdiction, key, certificate, Some(self.root.clone()))
    }

    /// A certificate for `node` about `key`, valid for `days` days from now or to the end of this authority,
    /// whichever comes first; dated back two days for clocks that are behind. Returns the chain, leaf first,
    /// without the root.
    pub fn issue_node(
        &mut self,
        node: NodeName,
        key: &SigningKey,
        now: UnixTime,
        days: u64,
    ) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
        let subject = Subject::Node(node);
        if !self.jurisdiction.enrols(node) {
            return Err(AuthorityError::WrongJurisdiction { authority: self.jurisdiction, asked: subject });
        }
        if !(1..=MAX_NODE_DAYS).contains(&days) {
            return Err(AuthorityError::BadTerm(days));
        }
        let v = self.term(now, SLACK, days)?;
        let serial = template::serial(&self.key.ed25519_public(), &node.dns(), key, v);
        let leaf = self.certify(&template::node(node, &serial, v)?, key);
        self.remember(Issued { subject, serial, key: *key, from: v.from, until: v.until })?;
        Ok(match self.jurisdiction {
            Jurisdiction::Ministry => vec![leaf],
            Jurisdiction::Province(_) => vec![leaf, self.certificate.clone()],
        })
    }

    fn term(&self, now: UnixTime, back: u64, days: u64) -> Result<Validity, AuthorityError> {
        let from = now.minus(back);
        if from < self.validity.from {
            return Err(AuthorityError::ClockBehind { now, from: self.validity.from.plus(back) });
        }
        if now.plus(DAY) > self.validity.until {
            return Err(AuthorityError::Ended { until: self.validity.until });
        }
        Ok(Validity { from, until: now.plus(days * DAY).min(self.validity.until) })
    }

    fn issuer(&self) -> Issuer<'static, rcgen::KeyPair> {
        Issuer::from_ca_cert_der(&self.certificate, self.key.rcgen()).expect("our own certificate parses")
    }

    fn certify(&self, params: &rcgen::CertificateParams, key: &SigningKey) -> CertificateDer<'static> {
        let signed = params.signed_by(&template::Subject(key), &self.issuer());
        signed.expect("our template and an Ed25519 key sign").into()
    }

    fn remember(&mut self, issued: Issued) -> Result<(), AuthorityError> {
        if self.ledger.issued.len() >= MAX_ISSUED {
            return Err(AuthorityError::Full);
        }
        let mut ledger = self.ledger.clone();
        if !ledger.issued.contains(&issued) {
            ledger.issued.push(issued);
        }
        self.keep(ledger)
    }

    /// Takes back every certificate that this authority gave to `who`, and signs the list that says so. `counts`
    /// are the last seals of the node's chain that count: one, or one for each fork. Said again, it adds to
    /// them.
    pub fn revoke(
        &mut self,
        who: Subject,
        counts: &[[u8; 32]],
        reason: Reason,
        now: UnixTime,
    ) -> Result<Verified<RevocationList>, AuthorityError> {
        let mut ledger = self.ledger.clone();
        let mut found = false;
        for issued in self.ledger.issued.iter().filter(|i| i.subject == who) {
            found = true;
            let entry = match ledger.revoked.iter_mut().find(|e| e.serial == issued.serial) {
                Some(entry) => entry,
                None => {
                    let serial = issued.serial.clone();
                    ledger.revoked.push(Entry { serial, subject: who, counts: Vec::new(), reason, at: now });
                    ledger.revoked.last_mut().expect("it was just pushed")
                }
            };
            entry.counts.extend_from_slice(counts);
            entry.counts.sort_unstable();
            entry.counts.dedup();
        }
        if !found {
            return Err(AuthorityError::NeverIssued(who));
        }
        self.publish(ledger, now)
    }

    /// Signs the list of all revocations under the next number.
    fn publish(
        &mut self,
        mut ledger: Ledger,
        now: UnixTime,
    ) -> Result<Verified<RevocationList>, AuthorityError> {
        ledger.revoked.sort_by(|a, b| a.serial.cmp(&b.serial));
        if ledger.revoked.len() > MAX_ENTRIES || ledger.revoked.iter().any(|e| e.counts.len() > MAX_COUNTS) {
            return Err(AuthorityError::Full);
        }
        ledger.number += 1;
        let mut revoked_certs = Vec::with_capacity(ledger.revoked.len());
        for entry in &ledger.revoked {
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
                revocation_time: template::date(entry.at)?,
                reason_code: Some(match entry.reason {
                    Reason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
                    Reason::Superseded => rcgen::RevocationReason::Superseded,
                    Reason::Closed => rcgen::RevocationReason::CessationOfOperation,
                }),
                invalidity_date: None,
            });
        }
        let crl = CertificateRevocationListParams {
            this_update: template::date(now)?,
            next_update: template::date(now.plus(NEXT_LIST))?,
            crl_number: SerialNumber::from(ledger.number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer())
        .expect("our template and an Ed25519 key sign");
        let (number, entries) = (ledger.number, &ledger.revoked);
        let bytes = RevocationList::sign(&self.key, &self.certificate, number, now, entries, crl.der());
        if bytes.len() > MAX_LIST {
            return Err(AuthorityError::Full);
        }
        let list = RevocationList::verify(&bytes, &self.root).expect("a list made here holds");
        ledger.list = bytes;
        self.keep(ledger)?;
        Ok(list)
    }

    /// Learns what an earlier life of this authority had revoked: a restored one must not fall behind its own
    /// word. Returns whether there was something to learn; the next list carries a higher number.
    pub fn learn(&mut self, list: &Verified<RevocationList>) -> Result<bool, AuthorityError> {
        if list.issuer != chain::facts(&self.certificate)?.as_issuer() || list.number < self.ledger.number {
            return Ok(false);
        }
        let mut ledger = self.ledger.clone();
        for entry in &list.entries {
            if ledger.revoked.iter().all(|e| e.serial != entry.serial) {
                ledger.revoked.push(entry.clone());
            }
        }
        let learned = list.number > ledger.number || ledger.revoked.len() > self.ledger.revoked.len();
        ledger.number = list.number;
        ledger.list = list.bytes().to_vec();
        self.keep(ledger)?;
        Ok(learned)
    }

    /// Answers a request for enrolment: key and checked name are the request's, everything else is ours. `lists`
    /// are further revocation lists to send along, as bytes; the own one is always sent.
    pub fn answer(
        &mut self,
        request: &crate::Request,
        lists: &[Vec<u8>],
        now: UnixTime,
        days: u64,
    ) -> Result<crate::Response, AuthorityError> {
        let chain = self.issue_node(request.node, &request.tls_key, now, days)?;
        let own = Some(self.ledger.list.clone()).filter(|l| !l.is_empty());
        Ok(crate::Response::new(
            chain,
            self.root.clone(),
            own.into_iter().chain(lists.iter().cloned()).collect(),
        ))
    }

    /// Whom this authority enrols.
    pub fn jurisdiction(&self) -> Jurisdiction {
        self.jurisdiction
    }

    /// The root it lies under, or is.
    pub fn trusted_root(&self) -> &Root {
        &self.root
    }

    /// Its last second.
    pub fn until(&self) -> UnixTime {
        self.validity.until
    }

    /// All it has issued, oldest first.
    pub fn issued(&self) -> &[Issued] {
        &self.ledger.issued
    }

    /// All it has revoked, by serial number.
    pub fn revoked(&self) -> &[Entry] {
        &self.ledger.revoked
    }

    /// Its newest revocation list as it travels; `None` before the first.
    pub fn list(&self) -> Option<&[u8]> {
        Some(self.ledger.list.as_slice()).filter(|l| !l.is_empty())
    }

    /// Writes the authority into a directory that holds none, and keeps it there from now on.
    pub fn save(&mut self, dir: &Path) -> Result<(), AuthorityError> {
        files::make_dir(dir)?;
        files::must_not_exist(&dir.join("ca.key"))?;
        let mut certificates = vec![self.certificate.clone()];
        certificates.extend(self.root.certificates().iter().filter(|c| **c != self.certificate).cloned());
        let key = keys::to_pem(Algorithm::Ed25519, std::slice::from_ref(&self.key));
        files::write(&dir.join("ca.crt"), certificates_to_pem(&certificates).as_bytes(), Readers::All)?;
        files::write(&dir.join("ca.state"), &codec::encode(&self.ledger), Readers::Owner)?;
        files::write(&dir.join("ca.key"), key.as_bytes(), Readers::Owner)?;
        self.dir = Some(dir.to_owned());
        Ok(())
    }

    /// Reads an authority from its directory.
    pub fn load(dir: &Path) -> Result<Authority, AuthorityError> {
        let text = files::read_text(&dir.join("ca.crt"), 1 << 17, Readers::All)?;
        let certificates = certificates_from_pem(&text)?;
        let (certificate, roots) = certificates.split_first().ok_or(ChainError::Missing)?;
        let root = Root::new(if roots.is_empty() { vec![certificate.clone()] } else { roots.to_vec() })?;
        let issuer = chain::check_authority(certificate, &root)?;
        let path = dir.join("ca.key");
        let text = files::read_text(&path, 4096, Readers::Owner)?;
        let key = keys::from_pem(Algorithm::Ed25519, &text, 1).and_then(|mut k| k.pop());
        let key = key.ok_or_else(|| files::content(&path, "it holds no Ed25519 key"))?;
        if key.ed25519_public() != issuer.facts.key {
            return Err(files::content(&path, "it is not the key of ca.crt").into());
        }
        let path = dir.join("ca.state");
        let bytes = files::read(&path, MAX_STATE, Readers::Owner)?;
        let ledger: Ledger = codec::decode(&bytes, MAX_STATE)
            .filter(|l: &Ledger| l.suite == codec::SUITE)
            .ok_or_else(|| files::content(&path, "it is damaged"))?;
        let mut authority = Authority::new(issuer.jurisdiction, key, certificate.clone(), Some(root))?;
        authority.ledger = ledger;
        authority.dir = Some(dir.to_owned());
        Ok(authority)
    }

    /// What is remembered is on the disk before it counts.
    fn keep(&mut self, ledger: Ledger) -> Result<(), AuthorityError> {
        if let Some(dir) = &self.dir {
            files::write(&dir.join("ca.state"), &codec::encode(&ledger), Readers::Owner)?;
        }
        self.ledger = ledger;
        Ok(())
    }
}
