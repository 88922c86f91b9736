//! Whose words count: the seam to the directory of nodes.

use std::fmt;

use certs::NodeName;

use crate::id::SealHash;
use crate::item::Kind;

/// What became of a directory item that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is verified and new: keep it and pass it on. Of whom it speaks.
    Kept(NodeName),
    /// It revokes: live connections of these nodes end, and their history is judged again.
    Revokes(NodeName, Vec<NodeName>),
    /// It is verified and older than what is known; it is kept, since others hold it too, and changes nothing.
    Older(NodeName),
    /// It is not what it claims to be.
    Refused(String),
}

/// The answer to "is this seal's author a member".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Yes.
    Member,
    /// No longer; the seals that still count are named, and what their chains hold.
    Revoked {
        /// The last seals that count: one, or one for each fork.
        counts: Vec<SealHash>,
        /// Said by the authority, for people.
        reason: String,
    },
    /// No record of it has come yet.
    Unknown,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Membership::Member => f.write_str("a member"),
            Membership::Revoked { reason, .. } => write!(f, "revoked ({reason})"),
            Membership::Unknown => f.write_str("not known yet: no record of it has come"),
        }
    }
}

/// Verification, as a replica needs it.
pub trait Trust {
    /// What stands before the words of a seal when a node signs them.
    fn context(&self) -> Vec<u8>;

    /// Every key that this node is known to have signed with.
    fn keys(&self, node: NodeName) -> Vec<[u8; 32]>;

    /// Whether the node is a member.
    fn membership(&self, node: NodeName) -> Membership;

    /// Verifies a directory item and takes it in.
    fn admit(&mut self, kind: Kind, bytes: &[u8]) -> Admission;

    /// Signs the words of a seal as this node.
    fn sign(&self, words: &[u8]) -> [u8; 64];
}
