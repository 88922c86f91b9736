//! Changes as they come: server-sent events, for programs.
//!
//! ```text
//! retry: 3000          id: CURSOR            id: CURSOR                    :
//!                                            event: change                 (nothing for a while)
//!                      (where it begins)     data: {a row of the log}
//! ```
//!
//! An event's id is its cursor, so a client that connects anew says in `Last-Event-ID` where it was, and nothing is
//! missed. A stream is no right of its own: whatever it tells was asked for through the guard, and a token that counts no
//! more ends it before it tells anything further.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use super::super::App;
use super::super::guard::Signed;
use super::super::live;
use super::Asked;
use super::problem::Problem;
use crate::daemon::{Changes, now_ms};
use crate::request::{FailureKind, Reply, Request};
use crate::users::ApiToken;

/// Most streams of one token at once, and of all.
const OF_ONE: usize = 4;
const OF_ALL: usize = 64;

/// Changes that are read at once.
const PAGE: usize = 100;

/// How often a program that hears nothing is told that all is well.
const BEAT: Duration = Duration::from_secs(15);

/// A program that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest cursor that is looked at.
const MAX_CURSOR: usize = 64;

/// The last event of a stream whose token was revoked or has ended.
const ENDED: &str = "event: ended\ndata: this token does not count any more\n\n";

/// Streams that are open, by the tokens' rows.
#[derive(Default)]
pub(in super::super) struct Streams(Mutex<HashMap<i64, usize>>);

impl Streams {
    fn enter(&self, token: i64) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open: usize = all.values().sum();
        let of_it = all.get(&token).copied().unwrap_or(0);
        let room = open < OF_ALL && of_it < OF_ONE;
        if room {
            all.insert(token, of_it + 1);
        }
        room
    }

    fn leave(&self, token: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&token) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(all.remove(&token)),
        }
    }
}

/// A stream that is open; dropping it makes room.
struct Place(Arc<App>, i64);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.leave(self.1);
    }
}

/// What a stream goes on with.
struct Stream {
    place: Place,
    who: Signed,
    commits: broadcast::Receiver<Arc<Changes>>,
    send: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

pub(super) async fn stream(
    app: Arc<App>,
    token: &ApiToken,
    who: Signed,
    asked: &Asked,
) -> Result<Response, Problem> {
    let last = asked.headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let after = last.filter(|id| !id.is_empty()).or_else(|| asked.query("after")).map(str::to_owned);
    if after.as_ref().is_some_and(|after| after.len() > MAX_CURSOR) {
        return Err(Problem::bad(format!("a cursor has at most {MAX_CURSOR} letters")));
    }
    if !app.streams.enter(token.id) {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-streams",
            format!("a token has at most {OF_ONE} streams at once, and all together {OF_ALL}"),
        )
        .hint("end one, or tell the changes on from one stream"));
    }
    let place = Place(app.clone(), token.id);
    let commits = app.node.changes(); // before it asks, so that nothing comes in between
    let first = app.ask(&who, Request::Changes { after, limit: PAGE }).await?;
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(Stream { place, who, commits, send }.run(first));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, live::body(receive)).into_response())
}

impl Stream {
    /// Whether the client is still there and takes what it is told.
    async fn say(&self, text: String) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.send.send(Ok(Bytes::from(text)))).await;
        matches!(sent, Ok(Ok(())))
    }

    async fn counts(&self) -> bool {
        let id = self.place.1;
        matches!(self.place.0.on_users(move |users| users.token_counts(id, now_ms())).await, Ok(true))
    }

    async fn ask(&self, after: &str) -> Reply {
        let request = Request::Changes { after: Some(after.to_owned()), limit: PAGE };
        self.place.0.ask(&self.who, request).await
    }

    async fn run(mut self, mut page: Value) {
        let mut stopping = self.place.0.stopping.clone();
        let mut at = page["next"].as_str().unwrap_or_default().to_owned();
        // Where nothing has come yet, a client that connects anew still has to know where it was.
        if page["changes"].as_array().is_none_or(Vec::is_empty) && !self.say(format!("id: {at}\n")).await {
            return;
        }
        if !self.say("retry: 3000\n\n".to_owned()).await {
            return;
        }
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        loop {
            let changes = page["changes"].as_array().map_or(&[][..], Vec::as_slice);
            if !changes.is_empty() && !self.counts().await {
                self.say(ENDED.to_owned()).await;
                return;
            }
            for change in changes {
                let cursor = change["cursor"].as_str().unwrap_or_default();
                if !self.say(format!("id: {cursor}\nevent: change\ndata: {change}\n\n")).await {
                    return;
                }
            }
            // A full page has perhaps more behind it.
            while changes.len() < PAGE {
                let committed = tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = self.send.closed() => return,
                    heard = self.commits.recv() => match heard {
                        Ok(_) | Err(RecvError::Lagged(_)) => true,
                        Err(RecvError::Closed) => return,
                    },
                    _ = beat.tick() => false,
                };
                if committed {
                    break;
                }
                if !self.counts().await {
                    self.say(ENDED.to_owned()).await;
                    return;
                }
                if !self.say(":\n\n".to_owned()).await {
                    return;
                }
            }
            page = match self.ask(&at).await {
                Ok(page) => page,
                Err(failure) if failure.kind == FailureKind::Gone => {
                    // Connecting anew it is told the same as an answer, with what to do.
                    self.say("event: gone\ndata: this cursor does not fit any more\n\n".to_owned()).await;
                    return;
                }
                Err(_) => return, // the client connects anew, and is told why if it still is so
            };
            if let Some(next) = page["next"].as_str() {
                next.clone_into(&mut at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_few_streams_and_all_together_have_a_bound() {
        let streams = Streams::default();
        assert_eq!((0..9).filter(|_| streams.enter(1)).count(), OF_ONE);
        streams.leave(1);
        assert!(streams.enter(1) && !streams.enter(1));
        let others = (2..99).flat_map(|token| [token; OF_ONE]).filter(|token| streams.enter(*token)).count();
        assert_eq!(others, OF_ALL - OF_ONE);
        (0..OF_ONE).for_each(|_| streams.leave(1));
        assert!(streams.enter(200));
    }
}
