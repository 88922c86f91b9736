//! Enrolment by files on a stick: a node's request, its authority's response.
//!
//! ```text
//! node                                            authority
//!   keys, request  ---- request file ---->          reads it, compares the fingerprint by telephone,
//!                                                   issues from its own template
//!   chain, root,   <---- response file ----         certificate chain, root, revocation lists
//!   lists
//! ```
//!
//! Promises: a request that parses was signed by the key it asks a certificate for, and asks for exactly one name.
//! A response that is accepted leads from the own key to the root in it; whether that root is the right one two
//! people compare by its fingerprint. Neither file is secret.
//!
//! Both files are PEM, `HOTLINE REQUEST` and `HOTLINE RESPONSE`, around
//!
//! ```text
//! request   suite (1) | node | PKCS#10 request | signing key | node's X25519 | desk's X25519 | signature (64)
//! response  suite (1) | chain, leaf first | roots | revocation lists
//! ```

use std::fmt;

use rcgen::{CertificateParams, CertificateSigningRequestParams, DnType, PublicKeyData, SanType};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::chain::ChainError;
use crate::codec::{self, SUITE, Unchecked};
use crate::keys::pem_form;
use crate::revocation::MAX_LIST;
use crate::root::{Fingerprint, Root};
use crate::{BoxKey, NodeKeys, NodeName, SigningKey};

const REQUEST_TAG: &str = "HOTLINE REQUEST";
const RESPONSE_TAG: &str = "HOTLINE RESPONSE";
const CONTEXT: &str = "request";
/// Bytes of a PKCS#10 request, at most. Ours have some 200.
const MAX_CSR: usize = 4096;
const MAX_REQUEST: usize = MAX_CSR + 512;
/// Lists in one response, at most.
const MAX_LISTS: usize = 64;
const MAX_RESPONSE: usize = 8 * MAX_LIST;

/// Why a file is not a request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not such a file, or damaged.
    Malformed,
    /// A cipher suite that this version does not know.
    UnknownSuite(u8),
    /// The PKCS#10 part does not hold; with the detail.
    Csr(String),
    /// The PKCS#10 part asks for another name than the request.
    OtherName,
    /// Not signed by the key that it wants certified.
    BadSignature,
    /// The response's root is none.
    Root(ChainError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Malformed => {
                f.write_str("the enrolment file is damaged or something else; write it again")
            }
            RequestError::UnknownSuite(s) => {
                write!(f, "the enrolment file uses cipher suite {s}; update this program")
            }
            RequestError::Csr(why) => {
                write!(f, "the certificate request does not hold: {why}; write it again")
            }
            RequestError::OtherName => {
                f.write_str("the certificate request asks for another name than the file; do not sign it")
            }
            RequestError::BadSignature => {
                f.write_str("the request was changed after it was signed; do not sign it")
            }
            RequestError::Root(e) => write!(f, "the response's root is unusable: {e}"),
        }
    }
}

impl std::error::Error for RequestError {}

#[derive(Serialize, Deserialize)]
struct Body {
    suite: u8,
    node: NodeName,
    csr: Vec<u8>,
    signing: SigningKey,
    node_box: BoxKey,
    desk: BoxKey,
}

/// A node's wish to be enrolled, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name it asks for.
    pub node: NodeName,
    /// The key to certify.
    pub tls_key: SigningKey,
    /// Its seals will verify by this key.
    pub signing_key: SigningKey,
    /// Its X25519 key.
    pub node_box: BoxKey,
    /// Its desk's X25519 key.
    pub desk: BoxKey,
    bytes: Vec<u8>,
}

impl Request {
    /// The request of a node with these keys.
    pub fn new(node: NodeName, keys: &NodeKeys) -> Request {
        let dns = node.dns();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, dns.clone());
        params.subject_alt_names =
            vec![SanType::DnsName(dns.try_into().expect("a node's name is ASCII letters, digits, dots"))];
        let csr = params.serialize_request(&keys.tls.rcgen()).expect("our template and an Ed25519 key sign");
        let body = Body {
            suite: SUITE,
            node,
            csr: csr.der().to_vec(),
            signing: keys.sign.ed25519_public(),
            node_box: keys.node_box.x25519_public(),
            desk: keys.desk.x25519_public(),
        };
        Request::read(&codec::signed(&keys.tls, CONTEXT, &body)).expect("a request made here holds")
    }

    fn read(bytes: &[u8]) -> Result<Request, RequestError> {
        known_suite(bytes)?;
        let unchecked = Unchecked::split(bytes).ok_or(RequestError::Malformed)?;
        let body: Body = codec::decode(unchecked.body, MAX_REQUEST).ok_or(RequestError::Malformed)?;
        if body.csr.len() > MAX_CSR {
            return Err(RequestError::Malformed);
        }
        let csr = CertificateSigningRequestParams::from_der(&body.csr.as_slice().into())
            .map_err(|e| RequestError::Csr(e.to_string()))?;
        let key: [u8; 32] = csr
            .public_key
            .der_bytes()
            .try_into()
            .ok()
            .filter(|_| PublicKeyData::algorithm(&csr.public_key) == &rcgen::PKCS_ED25519)
            .ok_or_else(|| RequestError::Csr("its key is not Ed25519".to_owned()))?;
        let tls_key = SigningKey::from_bytes(key);
        match csr.params.subject_alt_names.as_slice() {
            [SanType::DnsName(name)] if NodeName::from_dns(name.as_str()) == Ok(body.node) => {}
            _ => return Err(RequestError::OtherName),
        }
        unchecked.check(&tls_key, CONTEXT).map_err(|_| RequestError::BadSignature)?;
        Ok(Request {
            node: body.node,
            tls_key,
            signing_key: body.signing,
            node_box: body.node_box,
            desk: body.desk,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads a request file.
    pub fn from_pem(text: &str) -> Result<Request, RequestError> {
        Request::read(&unarmour(text, REQUEST_TAG, MAX_REQUEST)?)
    }

    /// Writes a request file.
    pub fn to_pem(&self) -> String {
        armour(REQUEST_TAG, &self.bytes)
    }

    /// Digits for the two people to compare by telephone before the request is granted.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct ResponseBody {
    suite: u8,
    chain: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
}

/// An authority's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) root: Root,
    pub(crate) lists: Vec<Vec<u8>>,
}

impl Response {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, root: Root, lists: Vec<Vec<u8>>) -> Response {
        Response { chain, root, lists }
    }

    /// Reads a response file. Nothing in it is believed yet.
    pub fn from_pem(text: &str) -> Result<Response, RequestError> {
        let bytes = unarmour(text, RESPONSE_TAG, MAX_RESPONSE)?;
        known_suite(&bytes)?;
        let body: ResponseBody = codec::decode(&bytes, MAX_RESPONSE).ok_or(RequestError::Malformed)?;
        if body.lists.len() > MAX_LISTS || body.chain.len() > crate::chain::MAX_CHAIN {
            return Err(RequestError::Malformed);
        }
        let own = |c: Vec<Vec<u8>>| c.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
        let root = Root::new(own(body.roots)).map_err(RequestError::Root)?;
        Ok(Response { chain: own(body.chain), root, lists: body.lists })
    }

    /// Writes a response file.
    pub fn to_pem(&self) -> String {
        let bytes = |c: &[CertificateDer<'static>]| c.iter().map(|c| c.to_vec()).collect();
        let body = ResponseBody {
            suite: SUITE,
            chain: bytes(&self.chain),
            roots: bytes(self.root.certificates()),
            lists: self.lists.clone(),
        };
        armour(RESPONSE_TAG, &codec::encode(&body))
    }

    /// The root it brings. A person compares its [`fingerprint`](Root::fingerprint) before it is believed.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The revocation lists it brings, for [`Directory::admit_revocation`](crate::Directory::admit_revocation).
    pub fn lists(&self) -> &[Vec<u8>] {
        &self.lists
    }
}

fn known_suite(bytes: &[u8]) -> Result<(), RequestError> {
    match bytes.first() {
        None | Some(&SUITE) => Ok(()),
        Some(&other) => Err(RequestError::UnknownSuite(other)),
    }
}

fn armour(tag: &str, bytes: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(tag, bytes), pem_form())
}

fn unarmour(text: &str, tag: &str, most: usize) -> Result<Vec<u8>, RequestError> {
    if text.len() > most / 2 * 3 + 256 {
        return Err(RequestError::Malformed);
    }
    let block = pem::parse(text).map_err(|_| RequestError::Malformed)?;
    if block.tag() != tag {
        return Err(RequestError::Malformed);
    }
    Ok(block.into_contents())
}
