//! Where the desk is served, and under which names.

use std::net::SocketAddr;
use std::path::PathBuf;

use rustls::pki_types::ServerName;

/// Most names of a desk.
const MAX_NAMES: usize = 32;

/// How the desk is served.
#[derive(Clone, Debug, Default)]
pub struct DeskOptions {
    /// Where it listens (TCP); nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// The names and addresses by which browsers reach it.
    pub names: Vec<ServerName<'static>>,
    /// A certificate chain of the operator's own, as PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, as PEM.
    pub key: Option<PathBuf>,
}

impl DeskOptions {
    /// Whether all of it fits together; what is wrong otherwise.
    pub fn check(&self) -> Result<(), String> {
        let Some(listen) = self.listen else { return Ok(()) };
        if self.certificate.is_some() != self.key.is_some() {
            return Err("desk.certificate and desk.key belong together: name both or neither".to_owned());
        }
        if self.names.is_empty() && self.certificate.is_none() && listen.ip().is_unspecified() {
            return Err(format!(
                "a desk on {listen} needs desk.names: the names or addresses that browsers know it by, for its certificate"
            ));
        }
        Ok(())
    }

    /// Whether it is served over HTTPS: always, but on loopback without a name or a certificate.
    pub fn is_secure(&self) -> bool {
        let loopback = self.listen.is_some_and(|a| a.ip().is_loopback());
        !loopback || !self.names.is_empty() || self.certificate.is_some()
    }

    /// The names for a certificate: those given, else the address itself.
    pub(super) fn certified(&self) -> Vec<ServerName<'static>> {
        match (self.names.as_slice(), self.listen) {
            ([], Some(listen)) => vec![ServerName::IpAddress(listen.ip().into())],
            (names, _) => names.to_vec(),
        }
    }
}

/// Names and addresses between commas.
pub fn names(text: &str) -> Result<Vec<ServerName<'static>>, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > MAX_NAMES {
        return Err(format!("at most {MAX_NAMES} names"));
    }
    let name = |part: &&str| {
        ServerName::try_from(part.to_ascii_lowercase()).map_err(|_| {
            format!("`{part}` is neither a host name nor an address, like desk.jn.example or 10.37.1.5")
        })
    };
    parts.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_alone_needs_no_https() {
        let of = |listen: &str, given: &str| DeskOptions {
            listen: listen.parse().ok(),
            names: names(given).unwrap(),
            ..DeskOptions::default()
        };
        assert!(!of("127.0.0.1:1", "").is_secure());
        assert!(!of("[::1]:1", "").is_secure());
        assert!(of("127.0.0.1:1", "localhost").is_secure());
        assert!(of("10.0.0.1:1", "").is_secure());
        assert_eq!(of("10.0.0.1:1", "").check(), Ok(()));
        assert!(of("0.0.0.0:1", "").check().unwrap_err().contains("desk.names"));
        assert_eq!(of("0.0.0.0:1", "desk.jn.example, 10.0.0.1").check(), Ok(()));
        let half = DeskOptions { certificate: Some("c".into()), ..of("10.0.0.1:1", "") };
        assert!(half.check().unwrap_err().contains("desk.key"));
        assert!(names("desk jn").is_err() && names("https://x").is_err());
    }
}
