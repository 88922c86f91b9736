//! Files of tickets: photographs, recordings, scans.
//!
//! ```text
//! plain bytes --- 65,520 at a time, sealed under the file's key ---> pieces of 64 KiB ---> sync: manifest, contents
//!
//! ticket key + hash of the plain bytes --> salt
//! ticket key + salt                    --> the file's key
//! place, "last" or not                 --> nonce;   the document's id is bound to every piece
//!
//! document, `files`:  hash of the name --> {name, size, type, content, salt}
//! ```
//!
//! Whoever relays a file moves bytes that it cannot read. The same file attached to the same ticket twice is sealed
//! to the same bytes, so attaching again after a lost answer costs and changes nothing; to another ticket it is
//! sealed otherwise, and nobody can tell that they are one file.
//!
//! Size, type and name stand in the document in clear, as its facts do: **a file's name is read by everybody in the
//! audience**. In a confidential ticket the name stands sealed, and a made-up one in its place.
//!
//! A name is data and never a path; it becomes one only when a file is saved (see [`Entry::file_name`]).

mod entry;
mod media;
mod request;
mod sealing;
mod upload;

pub use entry::{Entry, check_name, name_hash};
pub use media::{OCTETS, sniff, well_formed};
pub use request::FileRequest;
pub use sealing::{FileKey, PLAIN, SealedSize, plain_size, sealed_size};
pub(crate) use upload::Sent;

/// What files may cost this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// The largest file that is attached here, in bytes.
    pub max_size: u64,
    /// Most files of a ticket that are attached here.
    pub per_ticket: u64,
    /// Bytes of the disk that contents leave free.
    pub reserve: u64,
    /// Bytes a second that contents may take of all links together; `None`: what the rest leaves.
    pub rate: Option<u64>,
}

impl Default for FileLimits {
    fn default() -> Self {
        FileLimits { max_size: 256 << 20, per_ticket: 64, reserve: 1 << 30, rate: None }
    }
}
