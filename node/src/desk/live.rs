//! What changes reaches the pages that show it: server-sent events.
//!
//! The writer tells of a commit once, however many listen; each page hears only that something of its kind changed, and
//! asks for the page anew as its reader may see it. So an event carries no data, and a lost one costs a later look.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::guard::{self, Signed};
use super::{App, frame};
use crate::daemon::now_ms;

/// Most pages that listen at once.
const LISTENERS: usize = 800;

/// How often a page that hears nothing is told that all is well, and its session looked at.
const BEAT: Duration = Duration::from_secs(20);

/// Changes within so long are one.
const TOGETHER: Duration = Duration::from_millis(200);

/// Which ticket a page shows, if one.
#[derive(Deserialize)]
pub(super) struct About {
    #[serde(default)]
    ticket: String,
}

/// Bytes as they come from a channel.
pub(super) struct Stream(pub(super) mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl futures_core::Stream for Stream {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// One page that listens; dropping it makes room.
struct Listener(Arc<App>);

impl Listener {
    fn admit(app: &Arc<App>) -> Option<Listener> {
        let before = app.listeners.fetch_add(1, Ordering::Relaxed);
        let listener = Listener(app.clone());
        (before < LISTENERS).then_some(listener)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    who: Signed,
    headers: HeaderMap,
    Query(about): Query<About>,
) -> Response {
    let Some(listener) = Listener::admit(&app) else {
        return frame::plain(StatusCode::SERVICE_UNAVAILABLE, who.words().busy);
    };
    let token = app.jar.shown(&headers, guard::SESSION).unwrap_or_default();
    let (send, receive) = mpsc::channel(4);
    let mut changes = app.node.changes();
    tokio::spawn(async move {
        let app = listener.0.clone();
        let _held = listener;
        let mut stopping = app.stopping.clone();
        let say = async |text: &'static str| send.send(Ok(Bytes::from_static(text.as_bytes()))).await.is_ok();
        if !say("retry: 3000\n\n").await {
            return;
        }
        loop {
            let heard = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = send.closed() => return,
                heard = tokio::time::timeout(BEAT, changes.recv()) => heard,
            };
            let (mut queue, mut ticket, mut links) = (false, false, false);
            let mut take = |changes: Result<Arc<crate::daemon::Changes>, RecvError>| match changes {
                Ok(changes) => {
                    queue |= !changes.tickets.is_empty();
                    ticket |= changes.tickets.contains(&about.ticket);
                    links |= changes.links;
                    true
                }
                Err(RecvError::Lagged(_)) => {
                    (queue, ticket, links) = (true, true, true); // whatever it was, the page looks anew
                    true
                }
                Err(RecvError::Closed) => false,
            };
            match heard {
                Ok(heard) => {
                    if !take(heard) {
                        return;
                    }
                    tokio::time::sleep(TOGETHER).await;
                    while let Some(more) = match changes.try_recv() {
                        Ok(more) => Some(Ok(more)),
                        Err(tokio::sync::broadcast::error::TryRecvError::Lagged(n)) => {
                            Some(Err(RecvError::Lagged(n)))
                        }
                        Err(_) => None,
                    } {
                        take(more);
                    }
                }
                Err(_) => {
                    let token = token.clone();
                    let alive = app.on_users(move |users| users.session(&token, false, now_ms())).await;
                    if !matches!(alive, Ok(Some(_))) {
                        say("event: ended\ndata:\n\n").await;
                        return;
                    }
                    if !say(":\n\n").await {
                        return;
                    }
                }
            }
            for (changed, text) in [
                (ticket, "event: ticket\ndata:\n\n"),
                (queue, "event: queue\ndata:\n\n"),
                (links, "event: links\ndata:\n\n"),
            ] {
                if changed && !say(text).await {
                    return;
                }
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(Stream(receive))).into_response()
}

/// A body from a channel that fails in the middle only when its sender says so.
pub(super) fn body(receive: mpsc::Receiver<Result<Bytes, std::io::Error>>) -> Body {
    Body::from_stream(Stream(receive))
}
