//! Node records: which keys a node uses, said by the node itself and bound to its certificate.
//!
//! Promises: a `Verified<NodeRecord>` was signed by the key of a certificate that names the node, under the pinned
//! root, as of that certificate's own start; revocations are for the [`Directory`](crate::Directory) to weigh.
//! A node rotates its keys by a record with a higher number, which needs no authority and names the last seal made
//! under the old key.
//!
//! ```text
//! suite (1) | node | number | signing key (32) | node's X25519 (32) | desk's X25519 (32)
//!   | certificate chain, leaf first | last seal under the old key (option, 32)
//!   | signature of the leaf's key (64)
//! ```

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::chain::{self, ChainError, Dates, Leaf, MAX_CERTIFICATE, MAX_CHAIN};
use crate::codec::{self, SUITE, Unchecked};
use crate::root::Root;
use crate::{BoxKey, NodeKeys, NodeName, SigningKey, Verified};

/// Bytes of one record, at most.
pub const MAX_RECORD: usize = MAX_CHAIN * MAX_CERTIFICATE + 512;

const CONTEXT: &str = "record";

/// Why bytes are not a node record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Not the one encoding of a record within its caps.
    Malformed,
    /// A cipher suite that this version does not know.
    UnknownSuite(u8),
    /// Its certificates prove nothing.
    Chain(ChainError),
    /// The certificate is another node's than the record.
    OtherNode {
        /// Whom the record speaks of.
        record: NodeName,
        /// Whom the certificate names.
        certificate: NodeName,
    },
    /// Not signed by the certificate's key.
    BadSignature,
    /// The directory holds so many records of this node already that something is wrong with it.
    TooMany(NodeName),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Malformed => {
                f.write_str("this is not a node record; fetch it again from another place")
            }
            RecordError::UnknownSuite(s) => {
                write!(f, "the node record uses cipher suite {s}; update this node")
            }
            RecordError::Chain(e) => write!(f, "the node record's certificate does not hold: {e}"),
            RecordError::OtherNode { record, certificate } => {
                write!(f, "the record speaks of {record} and its certificate of {certificate}; report it")
            }
            RecordError::BadSignature => f.write_str("the node record was not signed by its node; report it"),
            RecordError::TooMany(node) => {
                write!(
                    f,
                    "{node} has rotated its keys too often; look into it, and revoke it if its key was stolen"
                )
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// The shape on the wire.
#[derive(Serialize, Deserialize)]
struct Body {
    suite: u8,
    node: NodeName,
    number: u64,
    signing: SigningKey,
    node_box: BoxKey,
    desk: BoxKey,
    chain: Vec<Vec<u8>>,
    last_seal: Option<[u8; 32]>,
}

/// The keys of one node at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Whose keys they are.
    pub node: NodeName,
    /// Counts up from 1 with every record of the node.
    pub number: u64,
    /// Its seals verify by this key.
    pub signing_key: SigningKey,
    /// Secrets for the node are sealed to this key.
    pub node_box: BoxKey,
    /// Secrets for its confidential desk are sealed to this key.
    pub desk: BoxKey,
    /// The last seal that the node made under its former signing key.
    pub last_seal: Option<[u8; 32]>,
    /// The certificate chain, leaf first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// What the chain proves.
    pub leaf: Leaf,
    bytes: Arc<[u8]>,
    hash: [u8; 32],
}

impl NodeRecord {
    /// Verifies bytes from outside. Its certificate is taken as of its own start and revocations are not asked:
    /// both guard links, and a record must be readable for as long as the seals it explains.
    pub fn verify(bytes: &[u8], root: &Root) -> Result<Verified<NodeRecord>, RecordError> {
        NodeRecord::read(bytes, |chain| chain::check(chain, root, &[], Dates::OwnStart))
    }

    /// Reads bytes back that this node verified before it stored them; no signature is checked again.
    pub fn reload(bytes: &[u8], root: &Root) -> Result<Verified<NodeRecord>, RecordError> {
        let (body, _) = NodeRecord::parse(bytes)?;
        let chain = owned(&body);
        let leaf = chain::describe(&chain, root).map_err(RecordError::Chain)?;
        Ok(Verified::vouch(NodeRecord::new(body, chain, leaf, bytes)))
    }

    /// Makes a node's own record. The chain must be about `keys.tls`.
    pub(crate) fn create(
        keys: &NodeKeys,
        number: u64,
        chain: &[CertificateDer<'static>],
        last_seal: Option<[u8; 32]>,
        root: &Root,
    ) -> Result<Verified<NodeRecord>, RecordError> {
        let leaf = chain::check(chain, root, &[], Dates::OwnStart).map_err(RecordError::Chain)?;
        let body = Body {
            suite: SUITE,
            node: leaf.node,
            number,
            signing: keys.sign.ed25519_public(),
            node_box: keys.node_box.x25519_public(),
            desk: keys.desk.x25519_public(),
            chain: chain.iter().map(|c| c.to_vec()).collect(),
            last_seal,
        };
        let bytes = codec::signed(&keys.tls, CONTEXT, &body);
        NodeRecord::read(&bytes, |_| Ok(leaf))
    }

    fn parse(bytes: &[u8]) -> Result<(Body, Unchecked<'_>), RecordError> {
        match bytes.first() {
            None | Some(&SUITE) => {}
            Some(&other) => return Err(RecordError::UnknownSuite(other)),
        }
        let unchecked = Unchecked::split(bytes).ok_or(RecordError::Malformed)?;
        let body: Body = codec::decode(unchecked.body, MAX_RECORD - 64).ok_or(RecordError::Malformed)?;
        let oversized = body.chain.len() > MAX_CHAIN || body.chain.iter().any(|c| c.len() > MAX_CERTIFICATE);
        if oversized || body.number == 0 {
            return Err(RecordError::Malformed);
        }
        Ok((body, unchecked))
    }

    fn read(
        bytes: &[u8],
        check: impl FnOnce(&[CertificateDer<'static>]) -> Result<Leaf, ChainError>,
    ) -> Result<Verified<NodeRecord>, RecordError> {
        let (body, unchecked) = NodeRecord::parse(bytes)?;
        let chain = owned(&body);
        let leaf = check(&chain).map_err(RecordError::Chain)?;
        if leaf.node != body.node {
            return Err(RecordError::OtherNode { record: body.node, certificate: leaf.node });
        }
        unchecked.check(&leaf.key, CONTEXT).map_err(|_| RecordError::BadSignature)?;
        Ok(Verified::vouch(NodeRecord::new(body, chain, leaf, bytes)))
    }

    fn new(body: Body, chain: Vec<CertificateDer<'static>>, leaf: Leaf, bytes: &[u8]) -> NodeRecord {
        NodeRecord {
            node: body.node,
            number: body.number,
            signing_key: body.signing,
            node_box: body.node_box,
            desk: body.desk,
            last_seal: body.last_seal,
            chain,
            leaf,
            hash: record_hash(bytes),
            bytes: bytes.into(),
        }
    }

    /// The record as it travels.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The record's hash as an item: [`record_hash`] of its bytes.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

fn owned(body: &Body) -> Vec<CertificateDer<'static>> {
    body.chain.iter().map(|c| CertificateDer::from(c.clone())).collect()
}

/// The hash of a node record's bytes as an item: BLAKE3 of `record\0` and the bytes.
pub fn record_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(b"record\0").update(bytes).finalize().as_bytes()
}
