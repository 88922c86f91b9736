//! What is asked about files. Contents pass the local socket in parts, so no request is large.

use serde::{Deserialize, Serialize};

/// A request about files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum FileRequest {
    /// Begins to attach a file. Replies with `{"upload","part"}` (send the bytes in parts of at most so many), or
    /// with `{"attached"}` when the same file is attached under this name already.
    Attach {
        /// The ticket: id, unambiguous prefix or number.
        id: String,
        /// The file's name.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// BLAKE3 of its bytes, in hexadecimal.
        digest: String,
        /// Its media type, if somebody knows; well-known ones are seen from the bytes.
        media: Option<String>,
        /// Who sits at the desk.
        user: Option<String>,
    },
    /// The next bytes of an upload. Replies with `{"at"}`, where the next part begins.
    AttachPart {
        /// The upload.
        upload: u64,
        /// Where these bytes begin.
        at: u64,
        /// The bytes in hexadecimal.
        hex: String,
    },
    /// Ends an upload. Replies with the file's row once it is durable.
    AttachEnd {
        /// The upload.
        upload: u64,
    },
    /// A ticket's files: `[{"name","size","type","content","here","complete","from","state"}]`.
    List {
        /// The ticket.
        id: String,
        /// Why the sealed names of a confidential ticket's files are needed.
        reveal: Option<String>,
        /// Who asks.
        user: Option<String>,
    },
    /// Begins to read a file. Replies with `{"download","name","file_name","size","type"}`.
    Fetch {
        /// The ticket.
        id: String,
        /// The file's name, or its content's hash.
        name: String,
        /// Why a confidential ticket's file is needed.
        reveal: Option<String>,
        /// Who asks.
        user: Option<String>,
    },
    /// The next bytes of a download: `{"hex","at","end"}`. At the end the whole was compared with what was attached.
    FetchPart {
        /// The download.
        download: u64,
        /// Where to go on.
        at: u64,
    },
}
