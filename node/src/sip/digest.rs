//! Digest authentication (RFC 2617, RFC 8760): the answer to a registrar's challenge, which shows no password.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::message::{Message, split, unquoted};
use crate::hex::hex;

/// The hash of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
        }
    }
}

/// What a registrar wants to have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// The header that the answer stands in.
    pub(super) answer_in: &'static str,
    /// Only the nonce was old: the password was right.
    pub(super) stale: bool,
    algorithm: Algorithm,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Whether it counts answers (`qop=auth`).
    counts: bool,
}

impl Challenge {
    /// The strongest challenge of an answer that we know to meet.
    pub(super) fn of(message: &Message) -> Option<Challenge> {
        let asked = [("www-authenticate", "Authorization"), ("proxy-authenticate", "Proxy-Authorization")];
        let all = asked.into_iter().flat_map(|(header, answer_in)| {
            message.all(header).filter_map(move |value| Challenge::read(value, answer_in))
        });
        all.max_by_key(|challenge| challenge.algorithm)
    }

    fn read(value: &str, answer_in: &'static str) -> Option<Challenge> {
        let (scheme, rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let said: Vec<(&str, &str)> =
            split(rest, ',').into_iter().filter_map(|part| part.split_once('=')).collect();
        let get = |name: &str| {
            let found = said.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            found.map(|(_, value)| unquoted(value.trim()))
        };
        // What is said again stands in quotes.
        let plain = |text: &&str| !text.contains(['"', '\\']);
        let algorithm = match get("algorithm").unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            _ => return None,
        };
        let qops = get("qop").map(|all| all.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        if qops == Some(false) {
            return None;
        }
        Some(Challenge {
            answer_in,
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            algorithm,
            realm: get("realm").filter(plain)?.to_owned(),
            nonce: get("nonce").filter(plain)?.to_owned(),
            opaque: get("opaque").filter(plain).map(str::to_owned),
            counts: qops.is_some(),
        })
    }

    /// The header's value for a request. `drawn` is entropy for this answer alone.
    pub(super) fn answered(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        drawn: &str,
    ) -> String {
        let hash = |text: &str| self.algorithm.hash(text);
        let (realm, nonce) = (&self.realm, &self.nonce);
        let secret = Zeroizing::new(hash(&Zeroizing::new(format!("{user}:{realm}:{password}"))));
        let asked = hash(&format!("{method}:{uri}"));
        let response = match self.counts {
            true => hash(&format!("{}:{nonce}:00000001:{drawn}:auth:{asked}", *secret)),
            false => hash(&format!("{}:{nonce}:{asked}", *secret)),
        };
        let mut out = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}",
            self.algorithm.name()
        );
        if self.counts {
            out += &format!(", qop=auth, nc=00000001, cnonce=\"{drawn}\"");
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(", opaque=\"{opaque}\"");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(headers: &str) -> Option<Challenge> {
        Challenge::of(
            &Message::read(format!("SIP/2.0 401 Unauthorized\r\n{headers}\r\n\r\n").as_bytes()).unwrap(),
        )
    }

    #[test]
    fn the_examples_of_the_standards_come_out() {
        // RFC 2617, section 3.5.
        let asked = "WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let said = challenge(asked).unwrap().answered(
            "Mufasa",
            "Circle Of Life",
            "GET",
            "/dir/index.html",
            "0a4f113b",
        );
        assert!(
            said.contains("response=\"6629fae49393a05397450978507c4ef1\"") && said.contains("opaque=\"5ccc"),
            "{said}"
        );
        // RFC 7616, section 3.9.1, offered beside MD5: the stronger one is taken.
        let both = "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, nonce=\"x\"\r\n\
                    WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let drawn = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let said =
            challenge(both).unwrap().answered("Mufasa", "Circle of Life", "GET", "/dir/index.html", drawn);
        assert!(said.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"), "{said}");
    }

    #[test]
    fn an_old_registrar_counts_nothing_and_others_are_not_understood() {
        let said = challenge("Proxy-Authenticate: digest realm=\"r\", nonce=\"n\", stale=TRUE").unwrap();
        assert!(said.stale && said.answer_in == "Proxy-Authorization");
        assert!(!said.answered("u", "p", "REGISTER", "sip:r", "d").contains("cnonce"));
        for none in [
            "Basic realm=\"x\"",
            "Digest realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"a\\\"b\", nonce=\"n\"",
        ] {
            assert_eq!(challenge(&format!("WWW-Authenticate: {none}")), None, "{none}");
        }
        assert_eq!(challenge("X: y"), None);
    }
}
