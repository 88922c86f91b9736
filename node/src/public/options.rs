//! Where the public door is, who stands before it, and how much comes in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The largest number of tickets an hour that can be allowed.
pub const MOST_PER_HOUR: u32 = 10_000;

/// Most proxies.
const MAX_PROXIES: usize = 32;

/// How the public door is served.
#[derive(Clone, Debug)]
pub struct PublicOptions {
    /// Where it listens (TCP); nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// The reverse proxies before it: what they say of a client's address is believed.
    pub proxies: Vec<IpAddr>,
    /// Most tickets that are taken in an hour.
    pub per_hour: u32,
    /// Whether programs are served by Open311.
    pub open311: bool,
    /// Whether the figures of past months are published.
    pub figures: bool,
    /// A certificate chain, as PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, as PEM.
    pub key: Option<PathBuf>,
}

impl Default for PublicOptions {
    fn default() -> PublicOptions {
        PublicOptions {
            listen: None,
            proxies: Vec::new(),
            per_hour: 200,
            open311: false,
            figures: false,
            certificate: None,
            key: None,
        }
    }
}

impl PublicOptions {
    /// Whether all of it fits together; what is wrong otherwise.
    pub fn check(&self) -> Result<(), String> {
        let Some(listen) = self.listen else { return Ok(()) };
        if self.certificate.is_some() != self.key.is_some() {
            return Err("public.certificate and public.key belong together: name both or neither".to_owned());
        }
        if !listen.ip().is_loopback() && !self.is_secure() && self.proxies.is_empty() {
            return Err(format!(
                "names and telephone numbers would cross the network in clear on {listen}: name public.certificate and \
                 public.key, or public.proxies, which alone may then come in"
            ));
        }
        Ok(())
    }

    /// Whether it speaks HTTPS itself.
    pub fn is_secure(&self) -> bool {
        self.certificate.is_some()
    }
}

/// Addresses of proxies between commas.
pub fn proxies(text: &str) -> Result<Vec<IpAddr>, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > MAX_PROXIES {
        return Err(format!("at most {MAX_PROXIES} proxies"));
    }
    let address = |part: &&str| {
        let parsed: Result<IpAddr, _> = part.parse();
        parsed.map(|ip| ip.to_canonical()).map_err(|_| format!("`{part}` is not an address, like 10.37.1.8"))
    };
    parts.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_crosses_a_network_in_clear_but_to_a_proxy() {
        let of = |listen: &str, before: &str, certificate: Option<&str>| PublicOptions {
            listen: listen.parse().ok(),
            proxies: proxies(before).unwrap(),
            certificate: certificate.map(PathBuf::from),
            key: certificate.map(PathBuf::from),
            ..PublicOptions::default()
        };
        assert_eq!(of("127.0.0.1:1", "", None).check(), Ok(()));
        assert_eq!(of("10.0.0.1:1", "10.0.0.2", None).check(), Ok(()));
        assert_eq!(of("0.0.0.0:1", "", Some("c")).check(), Ok(()));
        assert!(of("0.0.0.0:1", "", None).check().unwrap_err().contains("public.proxies"));
        let half = PublicOptions { key: None, ..of("127.0.0.1:1", "", Some("c")) };
        assert!(half.check().unwrap_err().contains("public.key"));
        assert_eq!(proxies("10.0.0.1, ::ffff:10.0.0.2").unwrap()[1], "10.0.0.2".parse::<IpAddr>().unwrap());
        assert!(proxies("proxy.example").is_err() && proxies("10.0.0.0/8").is_err());
    }
}
