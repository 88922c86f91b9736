//! Names of sites and nodes.
//!
//! A *site* is a place in the hierarchy: a six-digit division code (`370100`) or an office under one
//! (`370100-02`). A *node* is one installation that writes for a site: it bears the site's name, or the site's
//! name and a letter when it is a further replica (`370000-b` writes for `370000`). Everything here is a function
//! of the name alone, never of a table: a code that was retired years ago still has a tier and a superior.
//!
//! ```text
//! 000000          ministry
//! PP0000          province (a municipality is city and province in one)
//! any other code  city
//! CODE-NN         office under the city CODE
//! SITE-x          node: replica x (b..z) of SITE; the plain site name is the first replica
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The domain under which every node's certificate name lies. `.invalid` never resolves, on purpose: names are
/// identities, addresses are configuration.
pub const DOMAIN: &str = "n12328.invalid";

/// Why a name was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// What was given, shortened to 40 characters.
    pub given: String,
    /// What is wrong with it, as a half-sentence.
    pub why: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` {}; a site is six digits (370100) or an office (370100-02), a node may add a letter (370000-b)",
            self.given, self.why
        )
    }
}

impl std::error::Error for NameError {}

fn error(given: &str, why: &'static str) -> NameError {
    NameError { given: given.chars().take(40).collect(), why }
}

/// The level of a site in the hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// 部: the one site `000000`.
    Ministry,
    /// 省: `PP0000`.
    Province,
    /// 市: every other code, a county that has a centre of its own among them.
    City,
    /// 基层: `CODE-NN`.
    Office,
}

/// A place in the hierarchy. Custody, jurisdiction, audience and rights belong to sites.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Site {
    code: u32,
    /// 0: not an office.
    office: u8,
}

impl Site {
    /// The ministry.
    pub const MINISTRY: Site = Site { code: 0, office: 0 };

    /// The six-digit division code that the site lies in, as a number (`370100`).
    pub fn code(self) -> u32 {
        self.code
    }

    /// The two-digit province prefix (`37`); 0 for the ministry.
    pub fn province_prefix(self) -> u32 {
        self.code / 10_000
    }

    /// The site's tier.
    pub fn tier(self) -> Tier {
        match self {
            Site { office: 1.., .. } => Tier::Office,
            Site { code: 0, .. } => Tier::Ministry,
            Site { code, .. } if code % 10_000 == 0 => Tier::Province,
            _ => Tier::City,
        }
    }

    /// The site directly above; `None` for the ministry.
    pub fn superior(self) -> Option<Site> {
        match self.tier() {
            Tier::Ministry => None,
            Tier::Province => Some(Site::MINISTRY),
            Tier::City => Some(Site { code: self.code / 10_000 * 10_000, office: 0 }),
            Tier::Office => Some(Site { office: 0, ..self }),
        }
    }

    /// All sites above, the nearest first.
    pub fn superiors(self) -> impl Iterator<Item = Site> {
        std::iter::successors(self.superior(), |s| s.superior())
    }

    /// Whether this site stands above `other` (a site is not above itself).
    pub fn is_above(self, other: Site) -> bool {
        other.superiors().any(|s| s == self)
    }

    /// Whether `other` is this site or below it.
    pub fn covers(self, other: Site) -> bool {
        self == other || self.is_above(other)
    }

    /// The lowest site that is above both, or equal to one and above the other, or equal to both.
    pub fn common_superior(self, other: Site) -> Site {
        let mine = || std::iter::once(self).chain(self.superiors());
        std::iter::once(other)
            .chain(other.superiors())
            .find(|s| mine().any(|m| m == *s))
            .unwrap_or(Site::MINISTRY)
    }

    /// The province-tier site that this site lies in or is; `None` for the ministry.
    pub fn province(self) -> Option<Site> {
        std::iter::once(self).chain(self.superiors()).find(|s| s.tier() == Tier::Province)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.code)?;
        if self.office > 0 {
            write!(f, "-{:02}", self.office)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Site {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        let (code, office) = match s.split_once('-') {
            None => (s, None),
            Some((code, office)) => (code, Some(office)),
        };
        let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(code, 6) {
            return Err(error(s, "does not begin with a six-digit division code"));
        }
        let code: u32 = code.parse().map_err(|_| error(s, "is not a number"))?;
        if code != 0 && code < 110_000 {
            return Err(error(s, "has no province: the first two digits are 11 to 99, or all six are 0"));
        }
        let office = match office {
            None => 0,
            Some(o) if digits(o, 2) && o != "00" => o.parse().map_err(|_| error(s, "is not a number"))?,
            Some(_) => return Err(error(s, "has an office number that is not 01 to 99")),
        };
        let city = Site { code, office: 0 };
        if office > 0 && code.is_multiple_of(10_000) && city.tier() != Tier::Province {
            return Err(error(s, "is an office of the ministry; offices lie under cities"));
        }
        Ok(Site { code, office })
    }
}

impl TryFrom<String> for Site {
    type Error = NameError;

    fn try_from(s: String) -> Result<Self, NameError> {
        s.parse()
    }
}

impl From<Site> for String {
    fn from(s: Site) -> String {
        s.to_string()
    }
}

/// One installation with one identity. It writes for its [`Site`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName {
    site: Site,
    /// `b'a'` for the first replica, which shows no letter.
    replica: u8,
}

impl NodeName {
    /// The site that this node writes for.
    pub fn site(self) -> Site {
        self.site
    }

    /// The one DNS name that the node's certificate bears: `c370100.p37.n12328.invalid`, the ministry's without
    /// the province label.
    pub fn dns(self) -> String {
        match self.site.province_prefix() {
            0 => format!("c{self}.{DOMAIN}"),
            p => format!("c{self}.p{p}.{DOMAIN}"),
        }
    }

    /// The node that bears this DNS name. Exactly the form that [`NodeName::dns`] writes is taken: no wildcard,
    /// no capital letter, no trailing dot, no foreign province label.
    pub fn from_dns(name: &str) -> Result<NodeName, NameError> {
        let wrong = || error(name, "is not the certificate name of a node");
        let label = name.strip_prefix('c').and_then(|n| n.split('.').next()).ok_or_else(wrong)?;
        let node: NodeName = label.parse().map_err(|_| wrong())?;
        if node.dns() == name { Ok(node) } else { Err(wrong()) }
    }
}

impl From<Site> for NodeName {
    /// The first replica of a site.
    fn from(site: Site) -> NodeName {
        NodeName { site, replica: b'a' }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.site, f)?;
        if self.replica != b'a' {
            write!(f, "-{}", char::from(self.replica))?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        if let Some((site, letter)) = s.rsplit_once('-')
            && let [replica @ b'b'..=b'z'] = letter.as_bytes()
        {
            return Ok(NodeName { site: site.parse()?, replica: *replica });
        }
        Ok(NodeName::from(s.parse::<Site>()?))
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;

    fn try_from(s: String) -> Result<Self, NameError> {
        s.parse()
    }
}

impl From<NodeName> for String {
    fn from(n: NodeName) -> String {
        n.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(s: &str) -> Site {
        s.parse().unwrap()
    }

    #[test]
    fn tier_and_superiors_are_functions_of_the_name() {
        let check = |name: &str, tier: Tier, above: &[&str]| {
            let s = site(name);
            assert_eq!(s.tier(), tier, "{name}");
            assert_eq!(s.superiors().map(|s| s.to_string()).collect::<Vec<_>>(), above, "{name}");
            assert_eq!(s.to_string(), name);
        };
        check("000000", Tier::Ministry, &[]);
        check("370000", Tier::Province, &["000000"]);
        check("370100", Tier::City, &["370000", "000000"]);
        check("130682", Tier::City, &["130000", "000000"]);
        check("370100-02", Tier::Office, &["370100", "370000", "000000"]);
        check("110000", Tier::Province, &["000000"]);
        check("110000-01", Tier::Office, &["110000", "000000"]);
    }

    #[test]
    fn the_common_superior_is_the_lowest() {
        let check = |a, b, c| assert_eq!(site(a).common_superior(site(b)), site(c), "{a} {b}");
        check("370100", "370200", "370000");
        check("370100", "510100", "000000");
        check("370100", "370000", "370000");
        check("370100-01", "370100", "370100");
        check("370100", "370100", "370100");
        check("000000", "370100-01", "000000");
    }

    #[test]
    fn names_that_are_not_names_say_why() {
        for s in [
            "",
            "3701",
            "37010a",
            "370100-",
            "370100-00",
            "370100-1",
            "370100-001",
            "000100",
            "000000-01",
            "370100-A",
            "３７０１００",
        ] {
            assert!(s.parse::<Site>().is_err(), "{s}");
        }
        for s in ["370100-a", "370100-B", "370100-b-b", "-b", "370100-bb"] {
            assert!(s.parse::<NodeName>().is_err(), "{s}");
        }
    }

    #[test]
    fn a_node_is_known_by_exactly_one_dns_name() {
        let check = |node: &str, dns: &str| {
            let n: NodeName = node.parse().unwrap();
            assert_eq!(n.dns(), dns);
            assert_eq!(NodeName::from_dns(dns), Ok(n));
            assert_eq!(n.to_string(), node);
        };
        check("000000", "c000000.n12328.invalid");
        check("370000-b", "c370000-b.p37.n12328.invalid");
        check("370100", "c370100.p37.n12328.invalid");
        check("370100-02", "c370100-02.p37.n12328.invalid");
        check("370100-02-c", "c370100-02-c.p37.n12328.invalid");
        for dns in [
            "c370100.p11.n12328.invalid",
            "C370100.p37.n12328.invalid",
            "*.p37.n12328.invalid",
            "c370100.p37.n12328.invalid.",
            "370100.p37.n12328.invalid",
            "c000000.p00.n12328.invalid",
        ] {
            assert!(NodeName::from_dns(dns).is_err(), "{dns}");
        }
    }

    #[test]
    fn replicas_write_for_one_site() {
        let n: NodeName = "370000-b".parse().unwrap();
        assert_eq!(n.site(), site("370000"));
        assert_ne!(n, NodeName::from(site("370000")));
    }
}
