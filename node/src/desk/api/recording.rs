//! Recordings by call id: under the call's ticket, or sealed on the disk until there is one.
//!
//! ```text
//! PUT ──> the call has a ticket ──> attached, as a file of the ticket       201, 200 when it was there
//!     └─> it has none yet       ──> DIR/recordings/FILE, sealed; a row     202
//!                                   when the form is saved, and every ten minutes: attached, and the row dropped
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use serde_json::json;

use super::super::App;
use super::super::guard::Signed;
use super::super::upload::{self, MAX_UPLOAD};
use super::cti::call_id;
use super::problem::Problem;
use super::{Asked, Done};
use crate::daemon::now_ms;
use crate::files::Sent;
use crate::hex::hex;
use crate::request::{Failure, FailureKind};
use crate::users::rights::{self, Right};
use crate::users::{ApiToken, Recording, Scope, Session};

/// The folder of a data directory in which recordings wait.
const FOLDER: &str = "recordings";

/// What the kinds of sound are called at the end of a name.
const ENDS: [(&str, &str); 8] = [
    ("audio/wav", "wav"),
    ("audio/x-wav", "wav"),
    ("audio/vnd.wave", "wav"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/mp4", "m4a"),
    ("audio/amr", "amr"),
    ("audio/basic", "au"),
];

/// Whoever brought a recording, for attaching it and nothing else: that it was let in at all, its own scope says.
fn bringer(token: &ApiToken, address: &str) -> Signed {
    Signed {
        session: Session::of_program(token.account()),
        address: address.to_owned(),
        scopes: Some(vec![Scope::FilesWrite]),
        seen: 0,
    }
}

/// A call may have several recordings, and a ticket's files have names of their own: the content's hash tells them apart.
fn name_of(call: &str, media: &str, bytes: &[u8]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let call: String = call.chars().map(plain).take(80).collect();
    let end = ENDS.iter().find(|(known, _)| *known == media).map_or("sound", |(_, end)| end);
    let hash = hex(&blake3::hash(bytes).as_bytes()[..4]);
    format!("call-{call}-{hash}.{end}")
}

pub(super) async fn put(
    app: &Arc<App>,
    token: &ApiToken,
    who: &Signed,
    asked: &Asked,
    body: Body,
) -> Result<Done, Problem> {
    let call = call_id(asked.part("callid"))?;
    let said = asked.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media =
        upload::media(said).filter(|media| media.starts_with("audio/") && crate::files::well_formed(media));
    let Some(media) = media else {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "a recording is audio/*")
            .hint("say which in `Content-Type`: audio/wav, audio/mpeg, audio/ogg"));
    };
    if rights::may_use(&who.session.account, Right::Attach).is_err() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this token's role may attach nothing"));
    }
    let known = {
        let call = call.clone();
        app.on_users(move |users| users.call(&call)).await?
    };
    let known = known.ok_or_else(|| {
        Problem::absent("no event has named this call")
            .hint("send newCall, answer or hangup first, with the same id")
    })?;
    let _turn = app.uploads.acquire().await.map_err(|_| Problem::absent("the node is stopping"))?;
    let bytes = axum::body::to_bytes(body, MAX_UPLOAD).await.map_err(|_| Problem::too_large(MAX_UPLOAD))?;
    if bytes.is_empty() {
        return Err(Problem::invalid("the recording is empty"));
    }
    let name = name_of(&call, &media, &bytes);
    if let Some(ticket) = known.ticket {
        let sent = Sent { name, media: Some(media), bytes };
        let (new, row) = app.attach(&bringer(token, &who.address), &ticket, sent).await?;
        let status = if new { StatusCode::CREATED } else { StatusCode::OK };
        return Ok(Done { status, ..Done::ok(json!({ "call": call, "waits": false, "file": row })) });
    }
    app.note(who, "cti recording", None, &call).await?;
    let (dir, owner, of) = (app.dir.join(FOLDER), token.id, call.clone());
    app.on_users(move |users| {
        if let Some(one) = users.new_recording((&of, owner), (&name, &media), &bytes)? {
            write(&dir, &one, &bytes)?;
            users.keep_recording(&one, now_ms())?;
        }
        Ok(())
    })
    .await?;
    // The ticket may have come while it was written.
    attach_due(app).await;
    Ok(Done { status: StatusCode::ACCEPTED, ..Done::ok(json!({ "call": call, "waits": true })) })
}

fn failed(what: &str, e: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, format!("a recording could not be {what}")).because(e)
}

fn cipher(one: &Recording) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(Key::from_slice(&one.key))
}

/// Writes the sealed file; it is durable when this returns. Each key seals one file, so its nonce may be zero.
fn write(dir: &Path, one: &Recording, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let sealed = cipher(one).encrypt(&Nonce::default(), bytes).map_err(|e| failed("sealed", e))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed("kept", e))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.join(&one.file))
        .map_err(|e| failed("kept", e))?;
    file.write_all(&sealed).and_then(|()| file.sync_all()).map_err(|e| failed("kept", e))?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| failed("kept", e))
}

fn open(path: PathBuf, one: &Recording) -> Result<Bytes, Failure> {
    let sealed = std::fs::read(path).map_err(|e| failed("read", e))?;
    let plain = cipher(one).decrypt(&Nonce::default(), sealed.as_slice()).map_err(|e| failed("opened", e))?;
    Ok(plain.into())
}

/// Attaches what waits for a ticket that is there by now. What cannot be attached waits on.
pub(in super::super) async fn attach_due(app: &Arc<App>) {
    let _alone = app.attaching.lock().await;
    let due = match app.on_users(|users| users.recordings_due()).await {
        Ok(due) => due,
        Err(failure) => return tracing::warn!(%failure, "recordings that wait could not be looked at"),
    };
    for (one, ticket) in due {
        if let Err(failure) = attach(app, &one, &ticket).await {
            tracing::warn!(%failure, call = one.call, "a recording waits on for its ticket: it is tried again in ten minutes");
        }
    }
}

async fn attach(app: &Arc<App>, one: &Recording, ticket: &str) -> Result<(), Failure> {
    let (path, of) = (app.dir.join(FOLDER).join(&one.file), one.clone());
    let (token, bytes) = app.on_users(move |users| Ok((users.token_of(of.token)?, open(path, &of)?))).await?;
    let sent = Sent { name: one.name.clone(), media: Some(one.media.clone()), bytes };
    app.attach(&bringer(&token, "waited here"), ticket, sent).await?;
    let (path, file) = (app.dir.join(FOLDER).join(&one.file), one.file.clone());
    app.on_users(move |users| users.drop_recording(&file)).await?;
    std::fs::remove_file(path).map_err(|e| failed("removed", e))
}

/// Forgets what has waited too long, and removes files that no row opens any more.
pub(in super::super) async fn sweep(app: &Arc<App>) {
    let dir = app.dir.join(FOLDER);
    let swept = app.on_users(move |users| {
        let waiting = users.recordings_waiting(now_ms())?;
        let Ok(found) = std::fs::read_dir(&dir) else { return Ok(()) }; // nothing ever waited
        for file in found.flatten() {
            let name = file.file_name();
            let young = file.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            // One that is being written has no row yet.
            let old = young.is_some_and(|age| age.as_secs() > 3_600);
            if old && !waiting.iter().any(|one| name == one.as_str()) {
                std::fs::remove_file(file.path()).map_err(|e| failed("removed", e))?;
            }
        }
        Ok(())
    });
    if let Err(failure) = swept.await {
        tracing::warn!(%failure, "recordings that waited too long could not be dropped; it is tried again in ten minutes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_says_what_it_is() {
        let check = |call: &str, media: &str, starts: &str, ends: &str| {
            let name = name_of(call, media, b"a");
            assert!(name.starts_with(starts) && name.ends_with(ends), "{name}");
        };
        check("1764400000.7", "audio/wav", "call-1764400000.7-", ".wav");
        check("a/../b@c", "audio/mpeg", "call-a-..-b-c-", ".mp3");
        check("x", "audio/x-own", "call-x-", ".sound");
        assert_ne!(name_of("x", "audio/wav", b"a"), name_of("x", "audio/wav", b"b"));
    }
}
