//! A file of a ticket or an article, streamed as the node opens it, piece by piece.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::App;
use super::super::guard::Signed;
use super::super::upload::Uploaded;
use super::super::{frame, live};
use crate::files::FileRequest;
use crate::hex::unhex;
use crate::knowledge::request::KnowledgeRequest;
use crate::request::Request;

/// What browsers show in place; everything else is saved. None of it runs anything.
const SHOWN: [&str; 10] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/wav",
    "audio/mpeg",
    "audio/ogg",
    "audio/mp4",
    "video/mp4",
    "text/plain",
];

/// Attaches a file that a browser sends, and goes back to the ticket.
pub(in super::super) async fn attach(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uploaded: Uploaded,
) -> Response {
    let Uploaded { who, file, .. } = uploaded;
    let Some(file) = file else {
        let text = format!("{}: {}", who.words().file, who.words().fill_in);
        return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, &text);
    };
    match app.attach(&who, &id, file).await {
        Ok(_) => Redirect::to(&format!("/ticket/{id}?said=file")).into_response(),
        Err(failure) => frame::failure(&who, &failure),
    }
}

/// Makes a version of an article with a file that a browser sends, and goes to it.
pub(in super::super) async fn attach_to_article(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uploaded: Uploaded,
) -> Response {
    let Uploaded { who, file, .. } = uploaded;
    let Some(file) = file else {
        let text = format!("{}: {}", who.words().file, who.words().fill_in);
        return frame::refused(StatusCode::UNPROCESSABLE_ENTITY, &who, &text);
    };
    match app.attach_to_article(&who, &id, file).await {
        Ok(row) => match row["version"].as_u64() {
            Some(version) => {
                Redirect::to(&format!("/knowledge/{id}?version={version}&done=new")).into_response()
            }
            None => Redirect::to(&format!("/knowledge/{id}")).into_response(),
        },
        Err(failure) => frame::failure(&who, &failure),
    }
}

pub(in super::super) async fn fetch_of_article(
    State(app): State<Arc<App>>,
    who: Signed,
    Path((id, content)): Path<(String, String)>,
) -> Response {
    let file = FileRequest::Fetch { id, name: content, reveal: None, user: None };
    match app.know(&who, KnowledgeRequest::File { file }).await {
        Ok(begun) => sent(app, who, &begun),
        Err(failure) => frame::failure(&who, &failure),
    }
}

/// A file of a confidential report is asked for with a reason.
#[derive(Deserialize)]
pub(in super::super) struct Why {
    #[serde(default)]
    reason: String,
}

pub(in super::super) async fn fetch(
    State(app): State<Arc<App>>,
    who: Signed,
    Path((id, content)): Path<(String, String)>,
    Query(why): Query<Why>,
) -> Response {
    let reveal = Some(why.reason).filter(|r| !r.trim().is_empty());
    let begin = Request::File(FileRequest::Fetch { id, name: content, reveal, user: None });
    let begun = match app.ask(&who, begin).await {
        Ok(begun) => begun,
        Err(failure) => return frame::failure(&who, &failure),
    };
    sent(app, who, &begun)
}

/// A file that is open for reading, piece by piece.
pub(in super::super) fn sent(app: Arc<App>, who: Signed, begun: &Value) -> Response {
    let download = begun["download"].as_u64().unwrap_or_default();
    let kind = begun["type"].as_str().unwrap_or_default();
    let place = if SHOWN.contains(&kind) { "inline" } else { "attachment" };
    let kind = if SHOWN.contains(&kind) { kind } else { "application/octet-stream" };
    let kind = if kind == "text/plain" { "text/plain; charset=utf-8" } else { kind };
    let name: String =
        form_urlencoded::byte_serialize(begun["file_name"].as_str().unwrap_or("file").as_bytes()).collect();
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("{place}; filename*=UTF-8''{}", name.replace('+', "%20"))),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::CONTENT_LENGTH, begun["size"].as_u64().unwrap_or_default().to_string()),
    ];
    let (send, receive) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut at = 0;
        loop {
            let part = match app.ask(&who, Request::File(FileRequest::FetchPart { download, at })).await {
                Ok(part) => part,
                Err(failure) => {
                    // The browser sees that it was cut short, and keeps nothing.
                    tracing::warn!(%failure, "a file could not be read to its end");
                    let _ = send.send(Err(std::io::Error::other(failure.message))).await;
                    return;
                }
            };
            let bytes = part["hex"].as_str().and_then(unhex).unwrap_or_default();
            at = part["at"].as_u64().unwrap_or_default();
            if send.send(Ok(Bytes::from(bytes))).await.is_err() || part["end"] == true {
                return;
            }
        }
    });
    (headers, live::body(receive)).into_response()
}
