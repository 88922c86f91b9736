//! The desk's certificate. Browsers take no Ed25519, so it is P-256, and not of the network's PKI.
//!
//! ```text
//! DIR/desk/ca.crt    the desk's authority, to be installed on the agents' machines
//! DIR/desk/ca.key    its key, for the node alone
//! DIR/desk/names     what it may vouch for
//! ```
//!
//! Whoever has an authority's key can pass for anybody to the machines that trust it. So this one is bound by name
//! constraints to the names of this desk: a stolen key deceives nobody about another site. The certificate itself is made
//! at every start and twice a year, lives for 397 days at most (browsers take no longer ones), and its key never touches
//! a disk. An operator's own certificate is read from its files, and again every day.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use certs::NodeName;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::DeskOptions;
use crate::daemon::now_ms;
use crate::request::{Failure, FailureKind};

const FOLDER: &str = "desk";
const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const NAMES: &str = "names";

/// How long the authority lives: longer than the machine that it is on.
const AUTHORITY_DAYS: i64 = 20 * 365;

/// How long a certificate lives; browsers refuse more.
const DAYS: i64 = 397;

/// When a node that runs for so long makes a new one.
const RENEW_MS: u64 = 180 * 24 * 60 * 60_000;

fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Configuration, what).because(why)
}

/// Where certificates come from.
enum Source {
    /// The operator's own files.
    Files(PathBuf, PathBuf),
    /// This desk's authority.
    Authority { certificate: CertificateDer<'static>, key: Box<KeyPair>, names: Vec<ServerName<'static>> },
}

/// Holds the certificate that is shown, and renews it.
pub(crate) struct Keeper {
    source: Source,
    current: RwLock<(u64, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper") // keys are in it
    }
}

impl ResolvesServerCert for Keeper {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(current.1.clone())
    }
}

impl Keeper {
    /// Reads the operator's certificate, or makes one, and at the first start the authority for it.
    pub(crate) fn open(options: &DeskOptions, dir: &Path, me: NodeName) -> Result<Arc<Keeper>, Failure> {
        let source = match (&options.certificate, &options.key) {
            (Some(certificate), Some(key)) => Source::Files(certificate.clone(), key.clone()),
            _ => authority(&dir.join(FOLDER), options.certified(), me)?,
        };
        let now = now_ms();
        let current = RwLock::new((now, Arc::new(source.make(now)?)));
        Ok(Arc::new(Keeper { source, current }))
    }

    /// Once a day: a certificate that has served for half a year is replaced, and files are read again. What does not
    /// work is logged, and the present one goes on.
    pub(super) fn look_again(&self, now: u64) {
        let made = self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).0;
        if matches!(self.source, Source::Authority { .. }) && now.abs_diff(made) < RENEW_MS {
            return;
        }
        match self.source.make(now) {
            Ok(certified) => {
                let mut current = self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                *current = (now, Arc::new(certified));
            }
            Err(failure) => {
                tracing::error!(%failure, causes = ?failure.causes, "the old certificate is kept")
            }
        }
    }
}

impl Source {
    fn make(&self, now: u64) -> Result<CertifiedKey, Failure> {
        let provider = ring::default_provider();
        match self {
            Source::Files(certificate, key) => {
                let what = format!("the certificate {} cannot be used", certificate.display());
                let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
                    .and_then(Iterator::collect)
                    .map_err(|e| failed(&what, e))?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| failed(&format!("the key {} cannot be used", key.display()), e))?;
                CertifiedKey::from_der(chain, key, &provider).map_err(|e| failed(&what, e))
            }
            Source::Authority { certificate, key, names } => {
                let sign = || -> Result<CertifiedKey, Box<dyn std::error::Error>> {
                    let texts: Vec<String> = names.iter().map(|n| n.to_str().into_owned()).collect();
                    let mut params = CertificateParams::new(texts.clone())?;
                    dates(&mut params, now, DAYS)?;
                    params
                        .distinguished_name
                        .push(DnType::CommonName, texts.first().cloned().unwrap_or_default());
                    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                    params.use_authority_key_identifier_extension = true;
                    let own = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                    let issuer = Issuer::from_ca_cert_der(certificate, key.as_ref())?;
                    let signed = params.signed_by(&own, &issuer)?;
                    let key = PrivateKeyDer::try_from(own.serialize_der())?;
                    Ok(CertifiedKey::from_der(vec![signed.into()], key, &provider)?)
                };
                sign().map_err(|e| failed("the desk's certificate could not be made", e))
            }
        }
    }
}

/// From a day ago, since the machines' clocks differ.
fn dates(params: &mut CertificateParams, now: u64, days: i64) -> Result<(), time::error::ComponentRange> {
    let now = OffsetDateTime::from_unix_timestamp((now / 1000) as i64)?;
    params.not_before = now - Duration::days(1);
    params.not_after = params.not_before + Duration::days(days);
    Ok(())
}

/// The desk's authority, made when there is none.
fn authority(folder: &Path, names: Vec<ServerName<'static>>, me: NodeName) -> Result<Source, Failure> {
    let what = format!("the desk's authority in {} cannot be used", folder.display());
    if !folder.join(CERTIFICATE).exists() {
        make_authority(folder, &names, me)?;
    }
    let known = fs::read_to_string(folder.join(NAMES)).map_err(|e| failed(&what, e))?;
    let known: BTreeSet<&str> = known.lines().collect();
    let strange: Vec<String> =
        names.iter().map(|n| n.to_str().into_owned()).filter(|n| !known.contains(n.as_str())).collect();
    if !strange.is_empty() {
        return Err(failed(&what, format!("it may not vouch for {}", strange.join(", "))).hint(format!(
            "move {} away: a new authority is made at the next start, and its ca.crt has to be installed on the agents' machines",
            folder.display()
        )));
    }
    let certificate =
        CertificateDer::from_pem_file(folder.join(CERTIFICATE)).map_err(|e| failed(&what, e))?;
    let key = fs::read_to_string(folder.join(KEY)).map_err(|e| failed(&what, e))?;
    let key = KeyPair::from_pem(&key).map_err(|e| failed(&what, e))?;
    Ok(Source::Authority { certificate, key: Box::new(key), names })
}

fn make_authority(folder: &Path, names: &[ServerName<'static>], me: NodeName) -> Result<(), Failure> {
    let make = || -> Result<(), Box<dyn std::error::Error>> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        dates(&mut params, now_ms(), AUTHORITY_DAYS)?;
        params.distinguished_name.push(DnType::CommonName, format!("12328 desk of {me}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(constraints(names)?);
        let certificate = params.self_signed(&key)?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let write = |name: &str, mode: u32, text: &str| -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(folder.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        let lines: Vec<String> = names.iter().map(|n| n.to_str().into_owned()).collect();
        write(KEY, 0o600, &key.serialize_pem())?;
        write(NAMES, 0o644, &(lines.join("\n") + "\n"))?;
        write(CERTIFICATE, 0o644, &certificate.pem())?; // last: what is there without it is made anew
        fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    make().map_err(|e| failed("the desk's authority could not be made", e))?;
    tracing::info!(folder = %folder.display(), "made the desk's authority: install its ca.crt on the agents' machines");
    Ok(())
}

/// These names and nothing else. A kind of name that none of them is of is excluded as a whole.
fn constraints(names: &[ServerName<'static>]) -> Result<NameConstraints, Box<dyn std::error::Error>> {
    let mut permitted = Vec::new();
    for name in names {
        permitted.push(match name {
            ServerName::IpAddress(address) => {
                let address = std::net::IpAddr::from(*address);
                let bits = if address.is_ipv4() { 32 } else { 128 };
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
            }
            name => GeneralSubtree::DnsName(name.to_str().into_owned()),
        });
    }
    let mut excluded = Vec::new();
    if !permitted.iter().any(|p| matches!(p, GeneralSubtree::IpAddress(_))) {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])));
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])));
    }
    if !permitted.iter().any(|p| matches!(p, GeneralSubtree::DnsName(_))) {
        excluded.push(GeneralSubtree::DnsName(String::new()));
    }
    Ok(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::pki_types::UnixTime;
    use rustls::server::ParsedCertificate;

    use super::super::names;
    use super::*;

    fn options(given: &str) -> DeskOptions {
        DeskOptions {
            listen: "10.0.0.1:1".parse().ok(),
            names: names(given).unwrap(),
            ..DeskOptions::default()
        }
    }

    fn open(dir: &Path, given: &str) -> Result<Arc<Keeper>, Failure> {
        Keeper::open(&options(given), dir, "370100".parse().unwrap())
    }

    /// Whether a machine that trusts `ca` takes what the keeper shows for `name`.
    fn takes(ca: &CertificateDer<'_>, keeper: &Keeper, name: &str) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let shown = keeper.current.read().unwrap().1.cert[0].clone();
        let parsed = ParsedCertificate::try_from(&shown).unwrap();
        let algorithms = ring::default_provider().signature_verification_algorithms;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots,
            &[],
            UnixTime::now(),
            algorithms.all,
        )
        .is_ok()
            && rustls::client::verify_server_name(&parsed, &ServerName::try_from(name).unwrap()).is_ok()
    }

    #[test]
    fn one_authority_signs_a_new_certificate_at_every_start() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), "desk.jn.example,10.0.0.1").unwrap();
        let ca = CertificateDer::from_pem_file(dir.path().join("desk/ca.crt")).unwrap();
        assert!(takes(&ca, &first, "desk.jn.example") && takes(&ca, &first, "10.0.0.1"));
        assert!(!takes(&ca, &first, "example.com"));
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("desk"), mode("desk/ca.key")), (0o700, 0o600));
        let second = open(dir.path(), "10.0.0.1").unwrap();
        assert!(takes(&ca, &second, "10.0.0.1"), "fewer names are fine");
        assert_ne!(first.current.read().unwrap().1.cert, second.current.read().unwrap().1.cert);
        second.look_again(now_ms());
        let before = second.current.read().unwrap().1.cert.clone();
        second.look_again(now_ms() + RENEW_MS);
        assert_ne!(before, second.current.read().unwrap().1.cert, "half a year later");
        let strange = open(dir.path(), "10.0.0.1,10.0.0.2").unwrap_err();
        assert!(strange.causes[0].contains("10.0.0.2"), "{strange:?}");
    }

    #[test]
    fn a_stolen_authority_deceives_nobody_about_another_name() {
        for (own, other) in [
            ("desk.jn.example", "bank.example"),
            ("desk.jn.example", "10.9.9.9"),
            ("10.0.0.1", "bank.example"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path(), own).unwrap();
            // The thief edits what the node would sign for.
            fs::write(dir.path().join("desk/names"), format!("{own}\n{other}\n")).unwrap();
            let thief = open(dir.path(), other).unwrap();
            let ca = CertificateDer::from_pem_file(dir.path().join("desk/ca.crt")).unwrap();
            assert!(!takes(&ca, &thief, other), "{own} vouched for {other}");
            assert!(takes(&ca, &open(dir.path(), own).unwrap(), own));
        }
    }

    #[test]
    fn an_operators_own_certificate_is_read_from_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let own =
            CertificateParams::new(vec!["desk.jn.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (certificate, file) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        fs::write(&certificate, own.pem()).unwrap();
        fs::write(&file, key.serialize_pem()).unwrap();
        let mut options = options("");
        (options.certificate, options.key) = (Some(certificate.clone()), Some(file.clone()));
        let me = "370100".parse().unwrap();
        let keeper = Keeper::open(&options, dir.path(), me).unwrap();
        assert_eq!(keeper.current.read().unwrap().1.cert[0], *own.der());
        assert!(!dir.path().join("desk").exists(), "no authority is made for it");
        fs::write(&file, "nothing").unwrap();
        keeper.look_again(now_ms());
        assert_eq!(keeper.current.read().unwrap().1.cert[0], *own.der(), "the old one goes on");
        assert!(Keeper::open(&options, dir.path(), me).unwrap_err().message.contains("k.pem"));
    }
}
