//! Files that somebody sends from a page of their own session: a form of several parts, its token first.

use std::sync::Arc;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request as HttpRequest};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::forms::Fields;
use super::frame;
use super::guard::{Newcomer, Signed};
use crate::files::{OCTETS, Sent};
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, Request};

/// The largest file that comes this way; larger ones are attached on the node itself: `hotline ticket attach`.
pub(super) const MAX_UPLOAD: usize = 16 << 20;

/// What a form's own lines may need beside the file.
pub(super) const MAX_BESIDE: usize = 16 << 10;

/// The longest value of a field that is no file.
const MAX_VALUE: usize = 1 << 10;

/// Most fields of a form that are no file.
const MAX_VALUES: usize = 20;

/// The longest name of one.
const MAX_NAME: usize = 40;

/// A form with a file.
pub(super) struct Uploaded {
    pub(super) who: Signed,
    /// What else the form says.
    pub(super) fields: Fields,
    /// `None` when no file was chosen.
    pub(super) file: Option<Sent>,
    /// One of few turns: as long as it is held its file counts as being in memory.
    pub(super) turn: OwnedSemaphorePermit,
}

/// A media type without what stands behind it; nothing for one that says nothing.
pub(super) fn media(said: &str) -> Option<String> {
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(media).filter(|media| media != OCTETS && !media.is_empty())
}

/// Reads a short field.
async fn value(mut field: Field<'_>) -> Result<String, MultipartError> {
    let mut value = Vec::new();
    while let Some(bytes) = field.chunk().await? {
        // A longer one is cut: no field of ours is so long.
        value.extend(bytes.iter().take(MAX_VALUE - value.len()));
    }
    Ok(String::from_utf8_lossy(&value).into_owned())
}

impl FromRequest<Arc<App>> for Uploaded {
    type Rejection = Response;

    async fn from_request(request: HttpRequest, app: &Arc<App>) -> Result<Uploaded, Response> {
        let (mut parts, body) = request.into_parts();
        let Newcomer(who) = Newcomer::from_request_parts(&mut parts, app).await?;
        if who.session.account.must_change {
            return Err(Redirect::to("/password").into_response());
        }
        let w = who.words();
        let refused = |status, text: &str| frame::refused(status, &who, text);
        // Bodies wait for their turn in the sockets, so that few of them are in memory.
        let turn = app.uploads.clone().acquire_owned().await;
        let turn = turn.map_err(|_| refused(StatusCode::SERVICE_UNAVAILABLE, w.busy))?;
        let wrong = |e: MultipartError| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => refused(StatusCode::PAYLOAD_TOO_LARGE, w.file_too_large),
            status => refused(status, w.not_a_form),
        };
        let request = HttpRequest::from_parts(parts.clone(), body);
        let mut form = Multipart::from_request(request, app)
            .await
            .map_err(|_| refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, w.not_a_form))?;
        let (mut ours, mut fields, mut file) = (false, Fields::default(), None);
        while let Some(field) = form.next_field().await.map_err(wrong)? {
            match field.name() {
                Some("form") if !ours => {
                    let token = value(field).await.map_err(wrong)?;
                    app.belongs(&parts, &who, &token).await?;
                    ours = true;
                }
                // Before the token nothing is read: a form of elsewhere costs no memory.
                Some("file") if ours => {
                    let name = field.file_name().unwrap_or_default().to_owned();
                    let media = field.content_type().and_then(media);
                    let bytes = field.bytes().await.map_err(wrong)?;
                    // A browser sends an empty part without a name when nothing was chosen.
                    file = Some(Sent { name, media, bytes })
                        .filter(|f| !(f.name.is_empty() && f.bytes.is_empty()));
                }
                Some(name) if ours && fields.all().count() < MAX_VALUES && field.file_name().is_none() => {
                    let name: String = name.chars().take(MAX_NAME).collect();
                    fields.put(&name, &value(field).await.map_err(wrong)?);
                }
                _ => {}
            }
        }
        if !ours {
            app.belongs(&parts, &who, "").await?;
        }
        Ok(Uploaded { who, fields, file, turn })
    }
}

impl App {
    /// Attaches a file to a ticket in this account's name: its row, and whether it was not there before.
    pub(super) async fn attach(&self, who: &Signed, id: &str, sent: Sent) -> Result<(bool, Value), Failure> {
        sent.attach(id, None, |request| self.ask(who, Request::File(request))).await
    }

    /// The same for an article: the row names the version that carries it.
    pub(super) async fn attach_to_article(
        &self,
        who: &Signed,
        id: &str,
        sent: Sent,
    ) -> Result<Value, Failure> {
        let ask = |file| self.know(who, KnowledgeRequest::File { file });
        Ok(sent.attach(id, None, ask).await?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_taken_without_its_parameters_or_not_at_all() {
        assert_eq!(media("Image/PNG; x=y").as_deref(), Some("image/png"));
        assert_eq!((media("application/octet-stream"), media(" ")), (None, None));
    }
}
