//! What is asked about bundles. Files are read and written by whoever asks; their bytes pass the local socket page by
//! page, so no request is large and a running node needs no access to a stick.

use serde::{Deserialize, Serialize};
use sync::replica::Basis;

use super::log::Trip;

/// The smallest bound of a part: one page, however full, fits with both heads.
pub const MIN_PART: u64 = 1 << 20;

/// The bound that is used when none is given, and the largest: FAT32 takes no file of 4 GiB.
pub const PART: u64 = 64 << 20;
/// See [`PART`].
pub const MAX_PART: u64 = (4 << 30) - 1;

/// A request about bundles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum BundleRequest {
    /// Begins an export. Replies with `{"export"}`.
    Export {
        /// The recipients: what all of them must get is in parts that each can read, the rest in parts of their own.
        to: Vec<String>,
        /// What is left out.
        basis: Basis,
        /// The most bytes of one part.
        max_size: u64,
    },
    /// The next bytes of an export: `{"file","hex","begins","ends","end","to","from"}`. What they hand out is durable by
    /// then. At the end there is no file.
    Next {
        /// The export.
        export: u64,
    },
    /// Ends an export, complete or not. Replies with `{"items","answers","carried","left":[{"to","outbox"}]}`.
    Ended {
        /// The export.
        export: u64,
        /// The names of files that were not written: what they hand out counts as never handed out.
        lost: Vec<String>,
    },
    /// Takes in a page of a parcel. Once it is durable, replies with what became of it, or with `{"not_taken"}`: why its
    /// sender is not believed.
    Take {
        /// The parcel's head in hexadecimal.
        head: String,
        /// The page in hexadecimal.
        page: String,
    },
    /// All pages of an import have been taken in. Replies with `{"answers":[{"to","count"}]}`: for whom answers wait.
    Taken,
    /// What became of a stick, said by whoever read or wrote it, is kept.
    Keep {
        /// What became of it.
        trip: Box<Trip>,
    },
    /// The last sticks, the newest first: `[{"at","way","medium","with","files","items",..,"words","next"}]`.
    Log {
        /// At most so many.
        limit: usize,
    },
    /// What a head says and what a page holds; nothing is taken in.
    Inspect {
        /// The parcel's head in hexadecimal.
        head: String,
        /// A page in hexadecimal.
        page: Option<String>,
    },
}
