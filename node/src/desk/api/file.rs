//! Files: bytes as they are, in and out.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;

use super::super::App;
use super::super::guard::Signed;
use super::super::pages::file;
use super::super::upload::{self, MAX_UPLOAD};
use super::call::ticket;
use super::problem::Problem;
use super::{Asked, Done};
use crate::files::{FileRequest, OCTETS, Sent};
use crate::request::Request;

pub(super) async fn attach(app: &App, who: &Signed, asked: &Asked, body: Body) -> Result<Done, Problem> {
    let id = ticket(asked)?;
    let media = asked.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or(OCTETS);
    let kind = upload::media(media).unwrap_or_default();
    if matches!(kind.as_str(), "multipart/form-data" | "application/x-www-form-urlencoded") {
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
    let sent = Sent {
        name: asked.query("name").unwrap_or_default().to_owned(),
        media: Some(kind).filter(|kind| !kind.is_empty()),
        bytes,
    };
    let (new, row) = app.attach(who, &id, sent).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Done { status, ..Done::ok(row) })
}

pub(super) async fn fetch(app: Arc<App>, who: Signed, asked: &Asked) -> Result<Response, Problem> {
    let reveal = asked.query("reason").map(str::to_owned).filter(|reason| !reason.trim().is_empty());
    let name = asked.part("content").to_owned();
    let begin = FileRequest::Fetch { id: ticket(asked)?, name, reveal, user: None };
    let begun = app.ask(&who, Request::File(begin)).await?;
    Ok(file::sent(app, who, &begun))
}
