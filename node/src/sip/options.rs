//! Where the telephone system rings the node, and who may.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::hooks;

/// Most user parts that are named for extensions.
const MAX_EXTENSIONS: usize = 2_000;

/// For how many seconds the node may ring.
pub const RING_SECONDS: std::ops::RangeInclusive<u32> = 5..=600;

/// How the SIP agent is served.
#[derive(Clone, Debug)]
pub struct SipOptions {
    /// Where it listens (UDP); nowhere if `None`.
    pub listen: Option<SocketAddr>,
    /// Addresses of the telephone system: nobody else is heard.
    pub proxies: Vec<IpAddr>,
    /// Whose a user part of a request is, where it is no extension itself.
    pub extensions: BTreeMap<String, String>,
    /// For how many seconds it rings: a little longer than the telephones do.
    pub ring_seconds: u32,
    /// Where the extensions are registered; nowhere if `None`.
    pub registrar: Option<SocketAddr>,
    /// The domain they are registered in; the registrar's address if empty.
    pub domain: String,
    /// The file with their passwords there.
    pub password: Option<PathBuf>,
}

impl Default for SipOptions {
    fn default() -> SipOptions {
        SipOptions {
            listen: None,
            proxies: vec![Ipv4Addr::LOCALHOST.into()],
            extensions: BTreeMap::new(),
            ring_seconds: 60,
            registrar: None,
            domain: String::new(),
            password: None,
        }
    }
}

impl SipOptions {
    /// Whether all of it fits together, beside a desk or without one; what is wrong otherwise.
    pub fn check(&self, desk: bool) -> Result<(), String> {
        let Some(listen) = self.listen else {
            return match self.registrar {
                None => Ok(()),
                Some(_) => Err("sip.registrar needs sip.listen: calls come in there".to_owned()),
            };
        };
        if listen.ip().is_unspecified() || !hooks::is_inside(listen.ip()) {
            return Err(format!(
                "telephone numbers cross the network in clear on {listen}: name one address of this machine, loopback or of \
                 a private network"
            ));
        }
        if listen.port() == 0 {
            return Err("sip.listen needs a port that the telephone system can be told".to_owned());
        }
        if !desk {
            return Err("sip.listen needs desk.listen: forms open there".to_owned());
        }
        if self.proxies.is_empty() {
            return Err("sip.proxies is empty, and nobody could ring".to_owned());
        }
        let Some(registrar) = self.registrar else { return Ok(()) };
        if !hooks::is_inside(registrar.ip()) || registrar.is_ipv4() != listen.is_ipv4() {
            return Err(format!(
                "{registrar} cannot be reached from {listen} within the house: sip.registrar is an address of loopback or of \
                 the same private network"
            ));
        }
        if !self.proxies.contains(&registrar.ip()) {
            return Err(format!(
                "{} is not among sip.proxies: it would take our extensions, and its calls would not be heard",
                registrar.ip()
            ));
        }
        match self.password {
            Some(_) => Ok(()),
            None => {
                Err("sip.registrar needs sip.password, a file with a line USER:PASSWORD for each".to_owned())
            }
        }
    }

    /// The user parts by which the telephone system knows extensions, where they are others. Of several the first counts.
    pub fn users(&self) -> BTreeMap<String, String> {
        let mut users = BTreeMap::new();
        for (user, extension) in &self.extensions {
            users.entry(extension.clone()).or_insert_with(|| user.clone());
        }
        users
    }
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// `agent7=8007,agent8=8008`: whose a user part is.
pub fn extensions(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((user, extension)) = part.split_once('=').map(|(user, of)| (user.trim(), of.trim())) else {
            return Err(format!("`{part}` is not USER=EXTENSION, like agent7=8007"));
        };
        if !is_word(user) || !is_word(extension) {
            return Err(format!("`{part}`: both are letters, digits and `-_.`"));
        }
        if all.insert(user.to_owned(), extension.to_owned()).is_some() {
            return Err(format!("`{user}` is named twice"));
        }
        if all.len() > MAX_EXTENSIONS {
            return Err(format!("at most {MAX_EXTENSIONS} are named"));
        }
    }
    Ok(all)
}

/// A domain as a URI has it, or nothing.
pub fn domain(text: &str) -> Result<String, String> {
    match text.is_empty() || is_word(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not a domain, like pbx.jn.example")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_told() {
        let whole = || SipOptions {
            listen: "127.0.0.1:5062".parse().ok(),
            registrar: "127.0.0.1:5060".parse().ok(),
            password: Some("pw".into()),
            ..SipOptions::default()
        };
        let check = |options: SipOptions, words: &str| {
            assert!(options.check(true).unwrap_err().contains(words), "{words}");
        };
        assert_eq!(SipOptions::default().check(false), Ok(()));
        assert_eq!(whole().check(true), Ok(()));
        assert_eq!(SipOptions { registrar: None, password: None, ..whole() }.check(true), Ok(()));
        assert!(whole().check(false).unwrap_err().contains("desk.listen"));
        check(SipOptions { listen: None, ..whole() }, "sip.listen");
        check(SipOptions { listen: "0.0.0.0:5062".parse().ok(), ..whole() }, "in clear");
        check(SipOptions { listen: "8.8.8.8:5062".parse().ok(), ..whole() }, "in clear");
        check(SipOptions { listen: "127.0.0.1:0".parse().ok(), ..whole() }, "port");
        check(SipOptions { proxies: Vec::new(), ..whole() }, "sip.proxies");
        check(SipOptions { registrar: "8.8.8.8:5060".parse().ok(), ..whole() }, "within the house");
        check(SipOptions { registrar: "10.0.0.2:5060".parse().ok(), ..whole() }, "not be heard");
        check(SipOptions { password: None, ..whole() }, "sip.password");
    }

    #[test]
    fn user_parts_are_named_for_extensions() {
        let named = extensions(" agent7 = 8007,agent8=8008,a8=8008, ").unwrap();
        let options = SipOptions { extensions: named, ..SipOptions::default() };
        let users = [("8007", "agent7"), ("8008", "a8")].map(|(of, user)| (of.to_owned(), user.to_owned()));
        assert_eq!(options.users(), BTreeMap::from(users));
        for wrong in ["agent7", "=8007", "a b=8007", "a=1,a=2", "a=<1>"] {
            assert!(extensions(wrong).is_err(), "{wrong}");
        }
        assert!(domain("pbx.jn.example").is_ok() && domain("").is_ok() && domain("a b").is_err());
    }
}
