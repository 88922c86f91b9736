//! The identity of one node: its keys, its certificate, its record.
//!
//! Promises: an identity is whole: the certificate is about its TLS key, the record about its other keys, and both
//! lie under its root. Keys are never printed, are wiped when dropped and lie in files for their owner only. Old
//! X25519 keys are kept, since secrets sealed to them must still open.
//!
//! ```text
//! root.crt    the pinned root
//! node.crt    chain, leaf first (PEM; for people and other tools: the record's copy is what is read)
//! node.key    TLS, Ed25519 (0600, as all keys)
//! sign.key    seals, Ed25519
//! box.key     X25519, newest first, former ones behind it
//! desk.key    X25519 of the confidential desk, likewise
//! record      the current node record
//! request     the enrolment request, while there is no record yet
//! ```
//!
//! In a rotation the new keys are written beside the old ones, then the record, then the old signing key goes: the
//! record says which keys are current, so a crash anywhere leaves one identity or the other.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::chain::{self, ChainError, Dates};
use crate::files::{self, FileError, Readers};
use crate::keys::{self, Algorithm};
use crate::record::{MAX_RECORD, NodeRecord, RecordError};
use crate::root::{Root, certificates_to_pem};
use crate::seal_box::{self, BoxError};
use crate::{NodeKeys, NodeName, Request, RequestError, Response, SecretKey, UnixTime, Verified};

/// X25519 keys kept for one purpose, at most: a rotation a year for as long as anybody keeps tickets.
const MAX_FORMER: usize = 64;
/// Bytes of a key file, at most.
const MAX_KEY_FILE: usize = 32 * 1024;

/// Why there is no identity, or it did not change.
#[derive(Debug)]
pub enum IdentityError {
    /// The authority would not enrol it.
    Authority(AuthorityError),
    /// The certificate does not hold.
    Chain(ChainError),
    /// The certificate is not about this node's key.
    OtherKey,
    /// The certificate is for another node.
    OtherNode {
        /// Whom the keys were made for.
        wanted: NodeName,
        /// Whom the certificate names.
        got: NodeName,
    },
    /// The response lies under another root than the one this node believes.
    OtherRoot,
    /// The record does not hold.
    Record(RecordError),
    /// The request file does not hold.
    Request(RequestError),
    /// So many former keys are kept that secrets should be sealed anew first.
    TooManyKeys,
    /// Reading or writing the directory failed.
    File(FileError),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::Authority(e) => e.fmt(f),
            IdentityError::Chain(e) => write!(f, "the identity's certificate does not hold: {e}"),
            IdentityError::OtherKey => f.write_str(
                "the certificate is about another key than this node's; was the request made here?",
            ),
            IdentityError::OtherNode { wanted, got } => {
                write!(f, "the certificate is for {got}, and this is {wanted}; ask for the right response")
            }
            IdentityError::OtherRoot => f.write_str(
                "the response lies under another root; compare the root fingerprints by telephone",
            ),
            IdentityError::Record(e) => e.fmt(f),
            IdentityError::Request(e) => e.fmt(f),
            IdentityError::TooManyKeys => {
                write!(
                    f,
                    "{MAX_FORMER} former keys are kept; have the secrets sealed anew before rotating again"
                )
            }
            IdentityError::File(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for IdentityError {}

impl From<FileError> for IdentityError {
    fn from(e: FileError) -> Self {
        IdentityError::File(e)
    }
}

impl From<RecordError> for IdentityError {
    fn from(e: RecordError) -> Self {
        IdentityError::Record(e)
    }
}

/// A node that has keys and no certificate yet.
#[derive(Debug)]
pub struct Enrolment {
    request: Request,
    keys: NodeKeys,
}

impl Enrolment {
    /// Begins with these keys.
    pub fn begin(node: NodeName, keys: NodeKeys) -> Enrolment {
        Enrolment { request: Request::new(node, &keys), keys }
    }

    /// What to carry to the authority.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Writes the keys and the request into a directory that holds neither.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        files::make_dir(dir)?;
        files::must_not_exist(&dir.join("node.key"))?;
        write_keys(dir, &self.keys, &[], &[])?;
        files::write(&dir.join("request"), self.request.to_pem().as_bytes(), Readers::All)?;
        Ok(())
    }

    /// Reads an enrolment back that waits for its response.
    pub fn load(dir: &Path) -> Result<Enrolment, IdentityError> {
        let text = files::read_text(&dir.join("request"), 1 << 16, Readers::All)?;
        let request = Request::from_pem(&text).map_err(IdentityError::Request)?;
        let one = |name, algorithm| {
            let mut keys = read_keys(dir, name, algorithm)?;
            Ok::<SecretKey, FileError>(keys.swap_remove(0))
        };
        let keys = NodeKeys {
            tls: one("node.key", Algorithm::Ed25519)?,
            sign: one("sign.key", Algorithm::Ed25519)?,
            node_box: one("box.key", Algorithm::X25519)?,
            desk: one("desk.key", Algorithm::X25519)?,
        };
        if keys.tls.ed25519_public() != request.tls_key {
            return Err(IdentityError::OtherKey);
        }
        Ok(Enrolment { request, keys })
    }

    /// Takes the authority's response. `believed` is the root that a person has compared, or that was pinned
    /// before. Nothing is written: [`Identity::save`] does that.
    pub fn complete(
        self,
        response: &Response,
        believed: &Root,
        now: UnixTime,
    ) -> Result<Identity, IdentityError> {
        if response.root != *believed {
            return Err(IdentityError::OtherRoot);
        }
        let identity = Identity::new(self.keys, &response.chain, response.root.clone(), 1, now)?;
        if identity.node() != self.request.node {
            return Err(IdentityError::OtherNode { wanted: self.request.node, got: identity.node() });
        }
        Ok(identity)
    }
}

/// One node, able to prove who it is.
#[derive(Debug)]
pub struct Identity {
    keys: NodeKeys,
    former_boxes: Vec<SecretKey>,
    former_desks: Vec<SecretKey>,
    root: Root,
    record: Verified<NodeRecord>,
    dir: Option<PathBuf>,
}

impl Identity {
    /// Makes an identity with an authority at hand, in memory; [`save`](Self::save) gives it a directory.
    pub fn create(
        authority: &mut Authority,
        node: NodeName,
        keys: NodeKeys,
        now: UnixTime,
        days: u64,
    ) -> Result<Identity, IdentityError> {
        let chain = authority
            .issue_node(node, &keys.tls.ed25519_public(), now, days)
            .map_err(IdentityError::Authority)?;
        Identity::new(keys, &chain, authority.trusted_root().clone(), 1, now)
    }

    fn new(
        keys: NodeKeys,
        chain: &[CertificateDer<'static>],
        root: Root,
        number: u64,
        now: UnixTime,
    ) -> Result<Identity, IdentityError> {
        valid(chain, &root, &keys, now)?;
        let record = NodeRecord::create(&keys, number, chain, None, &root)?;
        Ok(Identity { keys, former_boxes: Vec::new(), former_desks: Vec::new(), root, record, dir: None })
    }

    /// The node's name.
    pub fn node(&self) -> NodeName {
        self.record.node
    }

    /// The pinned root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The certificate chain, leaf first, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.record.chain
    }

    /// The node's current record.
    pub fn record(&self) -> &Verified<NodeRecord> {
        &self.record
    }

    /// The TLS key, for the link's configuration.
    pub(crate) fn tls_key(&self) -> &SecretKey {
        &self.keys.tls
    }

    /// Signs with the current signing key, for one purpose. A context is a word in small letters, part of the code
    /// (anything else panics).
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        self.keys.sign.sign(context, bytes)
    }

    /// Opens what was sealed to the node, under its present key or a former one.
    pub fn open(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BoxError> {
        open(&self.keys.node_box, &self.former_boxes, info, aad, sealed)
    }

    /// Opens what was sealed to the confidential desk, under its present key or a former one.
    pub fn open_for_desk(
        &self,
        info: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, BoxError> {
        open(&self.keys.desk, &self.former_desks, info, aad, sealed)
    }

    /// The request for a new certificate about the present keys.
    pub fn request(&self) -> Request {
        Request::new(self.node(), &self.keys)
    }

    /// Takes a new certificate about the present keys, and makes the record that says so.
    pub fn renew(&mut self, response: &Response, now: UnixTime) -> Result<(), IdentityError> {
        if response.root != self.root {
            return Err(IdentityError::OtherRoot);
        }
        let leaf = valid(&response.chain, &self.root, &self.keys, now)?;
        if leaf.node != self.node() {
            return Err(IdentityError::OtherNode { wanted: self.node(), got: leaf.node });
        }
        let (number, last) = (self.record.number + 1, self.record.last_seal);
        let record = NodeRecord::create(&self.keys, number, &response.chain, last, &self.root)?;
        if let Some(dir) = &self.dir {
            write_record(dir, &record)?;
        }
        self.record = record;
        Ok(())
    }

    /// Takes new signing and X25519 keys into use; the TLS key of `fresh` is ignored, since the certificate is about
    /// the present one. `last_seal` is the last seal under the old signing key.
    pub fn rotate_record(
        &mut self,
        last_seal: Option<[u8; 32]>,
        fresh: NodeKeys,
    ) -> Result<(), IdentityError> {
        if self.former_boxes.len() + 1 >= MAX_FORMER {
            return Err(IdentityError::TooManyKeys);
        }
        let keys = NodeKeys { tls: self.keys.tls.clone(), ..fresh };
        let (number, chain) = (self.record.number + 1, &self.record.chain);
        let record = NodeRecord::create(&keys, number, chain, last_seal, &self.root)?;
        let before = |key: &SecretKey, former: &[SecretKey]| [std::slice::from_ref(key), former].concat();
        let boxes = before(&self.keys.node_box, &self.former_boxes);
        let desks = before(&self.keys.desk, &self.former_desks);
        if let Some(dir) = &self.dir {
            write_some(dir, "sign.key", Algorithm::Ed25519, &[keys.sign.clone(), self.keys.sign.clone()])?;
            write_some(dir, "box.key", Algorithm::X25519, &before(&keys.node_box, &boxes))?;
            write_some(dir, "desk.key", Algorithm::X25519, &before(&keys.desk, &desks))?;
            write_record(dir, &record)?;
        }
        (self.keys, self.former_boxes, self.former_desks, self.record) = (keys, boxes, desks, record);
        if let Some(dir) = &self.dir {
            write_some(dir, "sign.key", Algorithm::Ed25519, std::slice::from_ref(&self.keys.sign))?;
        }
        Ok(())
    }

    /// Writes the identity into a directory that holds none (an enrolment that waited for it may be there), and
    /// keeps it there from now on.
    pub fn save(&mut self, dir: &Path) -> Result<(), IdentityError> {
        files::make_dir(dir)?;
        files::must_not_exist(&dir.join("record"))?;
        if dir.join("node.key").exists() && Enrolment::load(dir)?.request.tls_key != self.record.leaf.key {
            return Err(FileError::Exists(dir.join("node.key")).into());
        }
        write_keys(dir, &self.keys, &self.former_boxes, &self.former_desks)?;
        files::write(&dir.join("root.crt"), self.root.to_pem().as_bytes(), Readers::All)?;
        write_record(dir, &self.record)?;
        self.dir = Some(dir.to_owned());
        Ok(())
    }

    /// Reads an identity from its directory. A certificate that has ended is no hindrance: the node goes on
    /// offline.
    pub fn load(dir: &Path) -> Result<Identity, IdentityError> {
        let text = files::read_text(&dir.join("root.crt"), 1 << 17, Readers::All)?;
        let root = Root::from_pem(&text).map_err(IdentityError::Chain)?;
        let bytes = files::read(&dir.join("record"), MAX_RECORD, Readers::All)?;
        let record = NodeRecord::verify(&bytes, &root)?;
        let (tls, _) =
            current(dir, "node.key", Algorithm::Ed25519, |k| k.ed25519_public() == record.leaf.key)?;
        let (sign, _) =
            current(dir, "sign.key", Algorithm::Ed25519, |k| k.ed25519_public() == record.signing_key)?;
        let (node_box, former_boxes) =
            current(dir, "box.key", Algorithm::X25519, |k| k.x25519_public() == record.node_box)?;
        let (desk, former_desks) =
            current(dir, "desk.key", Algorithm::X25519, |k| k.x25519_public() == record.desk)?;
        let keys = NodeKeys { tls, sign, node_box, desk };
        Ok(Identity { keys, former_boxes, former_desks, root, record, dir: Some(dir.to_owned()) })
    }
}

/// A chain for these keys that is valid now. An own clock that is behind the chain's start is not the chain's fault.
fn valid(
    chain: &[CertificateDer<'static>],
    root: &Root,
    keys: &NodeKeys,
    now: UnixTime,
) -> Result<chain::Leaf, IdentityError> {
    let leaf = chain::check(chain, root, &[], Dates::OwnStart).map_err(IdentityError::Chain)?;
    if leaf.key != keys.tls.ed25519_public() {
        return Err(IdentityError::OtherKey);
    }
    leaf.dates(now.max(leaf.newest_start())).map_err(IdentityError::Chain)?;
    Ok(leaf)
}

fn open(
    current: &SecretKey,
    former: &[SecretKey],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, BoxError> {
    let mut result = seal_box::open(current, info, aad, sealed);
    for key in former {
        if result != Err(BoxError::NotOpened) {
            break;
        }
        result = seal_box::open(key, info, aad, sealed);
    }
    result
}

fn write_keys(
    dir: &Path,
    keys: &NodeKeys,
    former_boxes: &[SecretKey],
    former_desks: &[SecretKey],
) -> Result<(), FileError> {
    let with = |key: &SecretKey, former: &[SecretKey]| [std::slice::from_ref(key), former].concat();
    write_some(dir, "sign.key", Algorithm::Ed25519, &with(&keys.sign, &[]))?;
    write_some(dir, "box.key", Algorithm::X25519, &with(&keys.node_box, former_boxes))?;
    write_some(dir, "desk.key", Algorithm::X25519, &with(&keys.desk, former_desks))?;
    write_some(dir, "node.key", Algorithm::Ed25519, &with(&keys.tls, &[]))
}

fn write_some(dir: &Path, name: &str, algorithm: Algorithm, keys: &[SecretKey]) -> Result<(), FileError> {
    files::write(&dir.join(name), keys::to_pem(algorithm, keys).as_bytes(), Readers::Owner)
}

fn write_record(dir: &Path, record: &NodeRecord) -> Result<(), FileError> {
    files::write(&dir.join("node.crt"), certificates_to_pem(&record.chain).as_bytes(), Readers::All)?;
    files::write(&dir.join("record"), record.bytes(), Readers::All)
}

fn read_keys(dir: &Path, name: &str, algorithm: Algorithm) -> Result<Vec<SecretKey>, FileError> {
    let path = dir.join(name);
    let text = files::read_text(&path, MAX_KEY_FILE, Readers::Owner)?;
    keys::from_pem(algorithm, &text, MAX_FORMER + 1)
        .ok_or_else(|| files::content(&path, "it does not hold the keys that its name says"))
}

/// The key in a file that is current, and the others.
fn current(
    dir: &Path,
    name: &str,
    algorithm: Algorithm,
    is_current: impl Fn(&SecretKey) -> bool,
) -> Result<(SecretKey, Vec<SecretKey>), FileError> {
    let mut keys = read_keys(dir, name, algorithm)?;
    let at = keys.iter().position(is_current);
    let at =
        at.ok_or_else(|| files::content(&dir.join(name), "its key is not the one that the record names"))?;
    let key = keys.remove(at);
    Ok((key, keys))
}
