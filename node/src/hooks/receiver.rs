//! Receivers: where a URL leads, and whether anything may be sent there.
//!
//! Over plain HTTP nothing leaves the house: the addresses that a name has at the moment of a delivery decide, all of them.
//! Over HTTPS a receiver is known by the authority that was given with the hook, or by those that this machine trusts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::request::{Failure, FailureKind};

/// The longest URL.
const MAX_URL: usize = 2_048;

/// The largest file of authorities, and most of them in one that was given.
const MAX_CA: usize = 256 << 10;
const MAX_GIVEN: usize = 64;

/// Where systems keep the authorities that they trust: Debian and its kin, then Red Hat's, openEuler and Kylin.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A receiver.
pub(crate) struct Receiver {
    pub(super) host: String,
    port: u16,
    /// The header `Host`.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    /// How it is known over HTTPS; `None` for plain HTTP.
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

fn wrong(what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, what)
        .hint("like https://hall.example/changes, or http://10.37.0.5:8080/changes inside the house")
}

fn read(url: &str) -> Result<Uri, Failure> {
    if url.len() > MAX_URL {
        return Err(wrong(format!("a URL has at most {MAX_URL} letters")));
    }
    let uri: Uri = url.parse().map_err(|e| wrong("this is no URL").because(e))?;
    let authority = uri.authority().ok_or_else(|| wrong("a URL begins with https:// and a host"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(wrong("a receiver is reached over https, or http inside the house"));
    }
    if authority.as_str().contains('@') {
        return Err(wrong(
            "a URL with a name and a password in it is not taken: deliveries are signed instead",
        ));
    }
    if url.contains('#') {
        return Err(wrong("a URL of a receiver has no `#`"));
    }
    if authority.host().is_empty() || uri.port_u16() == Some(0) {
        return Err(wrong("the URL names no host, or a port that nobody has"));
    }
    Ok(uri)
}

/// A URL without what may be a key of its receiver: path and query.
pub fn shown_url(url: &str) -> String {
    let Ok(uri) = read(url) else { return "?".to_owned() };
    let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority());
    let rest = if uri.path_and_query().is_none_or(|path| path == "/") { "/" } else { "/..." };
    format!("{scheme}://{}{rest}", authority.map_or("", |a| a.as_str()))
}

/// The host of a URL.
pub fn host_of(url: &str) -> Result<String, Failure> {
    Ok(bare(read(url)?.host().unwrap_or_default()).to_owned())
}

/// An address of IPv6 stands in brackets there.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Whether an address is of this machine or of a private network.
pub(crate) fn is_inside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

fn outside(ip: IpAddr) -> Failure {
    Failure::new(
        FailureKind::Usage,
        format!("{ip} is outside the house: plain http is for private addresses"),
    )
    .hint("use https")
}

impl Receiver {
    /// The receiver of this URL, known by this authority, as PEM, or by those that the machine trusts.
    pub(crate) fn new(url: &str, ca: Option<&str>) -> Result<Receiver, Failure> {
        let uri = read(url)?;
        let host = bare(uri.host().unwrap_or_default()).to_owned();
        let secure = uri.scheme_str() == Some("https");
        if let (false, Ok(ip)) = (secure, host.parse::<IpAddr>())
            && !is_inside(ip)
        {
            return Err(outside(ip));
        }
        let tls = match secure {
            true => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|e| wrong("the URL's host is no name that a certificate can have").because(e))?;
                Some((client(ca)?, name))
            }
            false if ca.is_some() => return Err(wrong("an authority is for https")),
            false => None,
        };
        Ok(Receiver {
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: uri.authority().map_or_else(String::new, |a| a.as_str().to_owned()),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), |p| p.as_str().to_owned()),
            host,
            tls,
        })
    }

    /// Where it is now, if anything may be sent there.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|e| Failure::new(FailureKind::Failed, "its name is not known").because(e))?
            .collect();
        match found.iter().map(SocketAddr::ip).find(|ip| self.tls.is_none() && !is_inside(*ip)) {
            Some(ip) => Err(outside(ip)),
            None => Ok(found),
        }
    }
}

/// How a server is known over TLS: by this authority, as PEM, or by those that the machine trusts.
pub(crate) fn client(ca: Option<&str>) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in read_ca(pem)? {
                roots.add(certificate).map_err(|e| {
                    Failure::new(FailureKind::Usage, "a certificate of the authority's file is none")
                        .because(e)
                })?;
            }
        }
        None => {
            let pem = SYSTEM.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            if roots.is_empty() {
                return Err(Failure::new(
                    FailureKind::Configuration,
                    "this machine trusts no authority: none of its usual files is there",
                )
                .hint("install the package ca-certificates, or name its authority with --ca FILE"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::new(FailureKind::Failed, "TLS cannot be set up").because(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates of an authority's file; at least one.
fn read_ca(pem: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let none = |what: &str| {
        Failure::new(FailureKind::Usage, format!("the authority's file {what}"))
            .hint("it is the certificate, as PEM, that the receiver's own certificate was made by")
    };
    if pem.len() > MAX_CA {
        return Err(none("is too large"));
    }
    let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(MAX_GIVEN)
        .collect::<Result<_, _>>()
        .map_err(|e| none("does not read").because(e))?;
    if read.is_empty() { Err(none("holds no certificate")) } else { Ok(read) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_inside_and_a_url_says_what_it_is() {
        let check = |url: &str, fine: bool| assert_eq!(Receiver::new(url, None).is_ok(), fine, "{url}");
        check("http://127.0.0.1:8080/x?y=1", true);
        check("http://10.37.0.5/x", true);
        check("http://[::1]:80", true);
        check("http://[fd00::1]/", true);
        check("http://hall.example/x", true); // its addresses decide when something is sent
        check("http://8.8.8.8/x", false);
        check("http://169.254.169.254/latest", false);
        check("http://[::ffff:8.8.8.8]/", false);
        check("ftp://10.0.0.1/", false);
        check("10.0.0.1:80", false);
        check("/x", false);
        check("http://li:secret@10.0.0.1/", false);
        check("http://10.0.0.1/#x", false);
        check("http://10.0.0.1:0/", false);
        check(&format!("http://10.0.0.1/{}", "x".repeat(MAX_URL)), false);
        assert!(Receiver::new("http://10.0.0.1/", Some("x")).is_err());
        assert!(Receiver::new("https://hall.example/", Some("x")).is_err());
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_key() {
        assert_eq!(shown_url("https://hall.example/hook/KEY?key=KEY"), "https://hall.example/...");
        assert_eq!(shown_url("https://hall.example:99"), "https://hall.example:99/");
        assert_eq!(host_of("http://[::1]:8/x").unwrap(), "::1");
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_addresses() {
        let inside = Receiver::new("http://localhost:9/", None).unwrap();
        assert!(inside.addresses().await.unwrap().iter().all(|a| a.ip().is_loopback() && a.port() == 9));
        let elsewhere = Receiver { host: "8.8.8.8".to_owned(), ..inside };
        assert!(elsewhere.addresses().await.unwrap_err().message.contains("outside"));
    }
}
