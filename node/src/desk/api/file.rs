//! Files: bytes as they are, in and out.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::super::App;
use super::super::guard::Signed;
use super::super::pages::file;
use super::call::ticket;
use super::problem::Problem;
use super::{Asked, Done};
use crate::files::{FileRequest, OCTETS};
use crate::hex::hex;
use crate::request::Request;

/// The largest file that comes this way; larger ones are attached on the node itself: `hotline ticket attach`.
pub(super) const MAX_UPLOAD: usize = 16 << 20;

pub(super) async fn attach(app: &App, who: &Signed, asked: &Asked, body: Body) -> Result<Done, Problem> {
    let id = ticket(asked)?;
    let media = asked.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or(OCTETS);
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(media.as_str(), "multipart/form-data" | "application/x-www-form-urlencoded") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "a file is sent as it is, and not as a form",
        )
        .hint("its name goes into `?name=`, its media type into `Content-Type`"));
    }
    // Bodies wait for their turn in the sockets, so that few of them are in memory.
    let _turn = app.uploads.acquire().await.map_err(|_| Problem::absent("the node is stopping"))?;
    let bytes = axum::body::to_bytes(body, MAX_UPLOAD).await.map_err(|_| Problem::too_large(MAX_UPLOAD))?;
    let begin = FileRequest::Attach {
        id,
        name: asked.query("name").unwrap_or_default().to_owned(),
        size: bytes.len() as u64,
        digest: blake3::hash(&bytes).to_hex().to_string(),
        media: (media != OCTETS).then_some(media),
        user: None,
    };
    let begun = app.ask(who, Request::File(begin)).await?;
    let Some(upload) = begun["upload"].as_u64() else {
        return Ok(Done::ok(attached(begun)));
    };
    let part =
        begun["part"].as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(65_536);
    let mut at = 0;
    for bytes in bytes.chunks(part) {
        let request = FileRequest::AttachPart { upload, at, hex: hex(bytes) };
        app.ask(who, Request::File(request)).await?;
        at += bytes.len() as u64;
    }
    let row = app.ask(who, Request::File(FileRequest::AttachEnd { upload })).await?;
    Ok(Done { status: StatusCode::CREATED, ..Done::ok(row) })
}

/// What is said of a file that was here already.
fn attached(mut begun: Value) -> Value {
    match begun.get_mut("attached") {
        Some(row) if row.is_object() => row.take(),
        _ => begun,
    }
}

pub(super) async fn fetch(app: Arc<App>, who: Signed, asked: &Asked) -> Result<Response, Problem> {
    let reveal = asked.query("reason").map(str::to_owned).filter(|reason| !reason.trim().is_empty());
    let name = asked.part("content").to_owned();
    let begin = FileRequest::Fetch { id: ticket(asked)?, name, reveal, user: None };
    let begun = app.ask(&who, Request::File(begin)).await?;
    Ok(file::sent(app, who, &begun))
}
