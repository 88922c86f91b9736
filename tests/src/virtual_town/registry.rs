//! Authorities and identities of a virtual town: the same for every seed.

use std::collections::BTreeMap;

use certs::{Authority, Identity, NodeKeys, NodeName, Reason, SecretKey, Site, Subject, UnixTime};

use super::START;

/// The authorities, and everybody's identity.
pub struct Registry {
    root: Authority,
    provinces: BTreeMap<Site, Authority>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

impl Registry {
    /// A ministry's root and nobody else.
    pub fn new() -> Registry {
        Registry::of("root")
    }

    /// Another network's: nobody here knows it.
    pub fn foreign() -> Registry {
        Registry::of("foreign")
    }

    fn of(which: &str) -> Registry {
        let key = SecretKey::from_seed(blake3::hash(which.as_bytes()).as_bytes(), "root");
        Registry {
            root: Authority::root(key, UnixTime::from_secs(START)).expect("a root"),
            provinces: BTreeMap::new(),
        }
    }

    fn authority(&mut self, node: NodeName) -> &mut Authority {
        let now = UnixTime::from_secs(START);
        match node.site().province() {
            None => &mut self.root,
            Some(province) => self.provinces.entry(province).or_insert_with(|| {
                let seed = blake3::hash(province.to_string().as_bytes());
                let key = SecretKey::from_seed(seed.as_bytes(), "province");
                self.root.issue_province(province, key, now).expect("a province's authority")
            }),
        }
    }

    /// An identity of a node; said again with the same dates, the same one.
    pub fn issue(&mut self, node: NodeName, from: UnixTime, days: u64) -> Identity {
        let seed = *blake3::hash(node.to_string().as_bytes()).as_bytes();
        let keys = NodeKeys::from_seed(&seed);
        Identity::create(self.authority(node), node, keys, from, days).expect("an identity")
    }

    /// Takes back what a node was given; the list that says so.
    pub fn revoke(&mut self, node: NodeName) -> Vec<u8> {
        let authority = self.authority(node);
        authority
            .revoke(Subject::Node(node), &[], Reason::KeyCompromise, UnixTime::from_secs(START))
            .expect("a revocation")
            .bytes()
            .to_vec()
    }
}
