//! A file that came whole, put into a ticket: begun, sent in parts, ended.

use axum::body::Bytes;
use serde_json::Value;

use super::FileRequest;
use crate::hex::hex;
use crate::request::{Failure, Reply};

/// How much is sent at once when the node does not say.
const PART: usize = 65_536;

/// A file as somebody sent it.
pub(crate) struct Sent {
    pub(crate) name: String,
    /// Its media type, if the sender knows.
    pub(crate) media: Option<String>,
    pub(crate) bytes: Bytes,
}

impl Sent {
    /// Attaches it to a ticket by asking the node: its row, and whether it was not there before.
    pub(crate) async fn attach<Asked: Future<Output = Reply>>(
        self,
        id: &str,
        user: Option<&str>,
        ask: impl Fn(FileRequest) -> Asked,
    ) -> Result<(bool, Value), Failure> {
        let begin = FileRequest::Attach {
            id: id.to_owned(),
            name: self.name,
            size: self.bytes.len() as u64,
            digest: blake3::hash(&self.bytes).to_hex().to_string(),
            media: self.media,
            user: user.map(str::to_owned),
        };
        let mut begun = ask(begin).await?;
        let Some(upload) = begun["upload"].as_u64() else {
            let row = begun.get_mut("attached").filter(|row| row.is_object()).map(Value::take);
            return Ok((false, row.unwrap_or(begun)));
        };
        let part = begun["part"].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let mut at = 0;
        for bytes in self.bytes.chunks(part.unwrap_or(PART)) {
            ask(FileRequest::AttachPart { upload, at, hex: hex(bytes) }).await?;
            at += bytes.len() as u64;
        }
        Ok((true, ask(FileRequest::AttachEnd { upload }).await?))
    }
}
