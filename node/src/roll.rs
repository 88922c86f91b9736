//! The roll: who this node is, and whom it knows.

use std::sync::Arc;

use certs::{Admitted, Directory, Identity, NodeName, Standing, Subject, UnixTime};
use sync::id::SealHash;
use sync::item::Kind;
use sync::trust::{Admission, Membership, Trust};

/// Under which context a node signs its seals.
const CONTEXT: &str = "seal";

/// The own identity and the directory of all others: what a replica asks about trust.
pub struct Roll {
    identity: Arc<Identity>,
    directory: Directory,
    changes: u64,
    newest_signed: UnixTime,
}

impl Roll {
    /// The roll of this identity, which knows nobody else yet.
    pub fn new(identity: Arc<Identity>) -> Roll {
        let directory = Directory::new(identity.root().clone());
        let newest_signed = identity.record().leaf.newest_start();
        Roll { identity, directory, changes: 0, newest_signed }
    }

    /// The own identity.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Everybody known.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How often the directory has changed: links are checked again when it did.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The newest time that an authority is known to have signed: a certificate's start or a list's date.
    pub fn newest_signed(&self) -> UnixTime {
        self.newest_signed
    }

    fn admit_record(&mut self, bytes: &[u8]) -> Admission {
        let admitted = match self.directory.admit_record(bytes) {
            Ok(admitted) => admitted,
            Err(e) => return Admission::Refused(e.to_string()),
        };
        // A record in itself names its node; verified again it costs nothing that matters.
        let record = certs::NodeRecord::verify(bytes, self.directory.root());
        if let Ok(record) = &record {
            self.newest_signed = self.newest_signed.max(record.leaf.newest_start());
        }
        match record {
            Ok(record) if admitted == Admitted::Older => Admission::Older(record.node),
            Ok(record) => Admission::Kept(record.node),
            Err(e) => Admission::Refused(e.to_string()),
        }
    }

    fn admit_revocation(&mut self, bytes: &[u8]) -> Admission {
        let before = self.directory.revoked_nodes();
        let admitted = match self.directory.admit_revocation(bytes) {
            Ok(admitted) => admitted,
            Err(e) => return Admission::Refused(e.to_string()),
        };
        let named = certs::RevocationList::verify(bytes, self.directory.root());
        if let Ok(list) = &named {
            self.newest_signed = self.newest_signed.max(list.this_update);
        }
        let first = named.ok().and_then(|list| {
            list.entries.iter().find_map(|e| match e.subject {
                Subject::Node(node) => Some(node),
                Subject::Authority(_) => None,
            })
        });
        let author = first.unwrap_or(self.identity.node());
        if admitted == Admitted::Older {
            return Admission::Older(author);
        }
        let revoked: Vec<NodeName> =
            self.directory.revoked_nodes().into_iter().filter(|n| !before.contains(n)).collect();
        if revoked.is_empty() { Admission::Kept(author) } else { Admission::Revokes(author, revoked) }
    }
}

impl Trust for Roll {
    fn context(&self) -> Vec<u8> {
        [b"hotline/", CONTEXT.as_bytes(), b"/v1\0"].concat()
    }

    fn keys(&self, node: NodeName) -> Vec<[u8; 32]> {
        self.directory.signing_keys(node).iter().map(|k| *k.as_bytes()).collect()
    }

    fn membership(&self, node: NodeName) -> Membership {
        match self.directory.standing(node) {
            Standing::Member => Membership::Member,
            Standing::Unknown => Membership::Unknown,
            Standing::Revoked(r) => Membership::Revoked {
                counts: r.counts.into_iter().map(SealHash::from_bytes).collect(),
                reason: format!("{:?}, list number {}", r.reason, r.number),
            },
        }
    }

    fn admit(&mut self, kind: Kind, bytes: &[u8]) -> Admission {
        self.changes += 1;
        match kind {
            Kind::RECORD => self.admit_record(bytes),
            Kind::REVOCATION => self.admit_revocation(bytes),
            _ => Admission::Older(self.identity.node()),
        }
    }

    fn sign(&self, words: &[u8]) -> [u8; 64] {
        self.identity.sign(CONTEXT, words)
    }
}
