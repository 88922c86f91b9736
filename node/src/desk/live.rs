//! What changes reaches the pages that show it: server-sent events.
//!
//! The writer tells of a commit once, however many listen; each page hears only that something of its kind changed, and
//! asks for the page anew as its reader may see it. So an event carries no data, and a lost one costs a later look.
//!
//! Between the moment at which a page was made and the one at which it begins to listen, things happen; and a node may have been
//! away in between. A page says what it has seen (`seen`: when the desk began, and how many changes were told then), and is
//! told first what it has missed: all of it when nobody knows any more.

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
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc;

use super::guard::{self, Signed};
use super::{App, frame, presence};
use crate::daemon::{Changes, now_ms};
use crate::users::rights::{self, Right};

/// Most pages that listen at once.
const LISTENERS: usize = 800;

/// How often a page that hears nothing is told that all is well, and its session looked at.
const BEAT: Duration = Duration::from_secs(20);

/// Changes within so long are one.
const TOGETHER: Duration = Duration::from_millis(200);

/// A ticket's id has so many letters.
const ID: usize = 64;

/// Which ticket a page shows, if one, and what it has seen.
#[derive(Deserialize)]
pub(super) struct About {
    #[serde(default)]
    ticket: String,
    seen: Option<String>,
    /// The mark of who else it shows to have it open.
    others: Option<String>,
}

impl About {
    /// How many changes the page has seen told by the desk that began then; `None` if it has seen another one's life.
    fn seen(&self, began: u64) -> Option<u64> {
        let (of, seen) = self.seen.as_deref()?.split_once('-')?;
        seen.parse().ok().filter(|_| of.parse() == Ok(began))
    }
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

/// What happened with the calls of the telephone system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rang {
    /// Something: whoever takes calls looks.
    Changed,
    /// This account has answered: its pages open the form.
    Answered(i64),
}

/// What a page wakes up for.
enum Heard {
    /// A call.
    Rang(Result<Rang, RecvError>),
    /// A commit.
    Changed(Result<Arc<Changes>, RecvError>),
    /// Somebody came or went, at this ticket or not.
    Moved(bool),
    /// It is time for a sign of life.
    Nothing,
}

/// What a page is told of.
#[derive(Default)]
struct News {
    queue: bool,
    ticket: bool,
    links: bool,
    presence: bool,
    calls: bool,
    answered: bool,
}

impl News {
    /// Takes what a commit changed; false when no further one will come.
    fn take(&mut self, changed: Result<Arc<Changes>, RecvError>, ticket: &str) -> bool {
        match changed {
            Ok(changes) => self.add(&changes, ticket),
            // Whatever it was, the page looks anew.
            Err(RecvError::Lagged(_)) => (self.queue, self.ticket, self.links) = (true, true, true),
            Err(RecvError::Closed) => return false,
        }
        true
    }

    /// Adds what a commit changed.
    fn add(&mut self, changes: &Changes, ticket: &str) {
        self.queue |= !changes.tickets.is_empty();
        self.ticket |= changes.more || changes.tickets.iter().any(|id| id == ticket);
        self.links |= changes.links;
    }

    /// All there is.
    fn everything() -> News {
        News { queue: true, ticket: true, links: true, presence: true, calls: true, answered: false }
    }

    /// The events of it.
    fn events(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.ticket, "event: ticket\ndata:\n\n"),
            (self.queue, "event: queue\ndata:\n\n"),
            (self.links, "event: links\ndata:\n\n"),
            (self.presence, "event: presence\ndata:\n\n"),
            (self.calls, "event: calls\ndata:\n\n"),
            (self.answered, "event: answered\ndata:\n\n"),
        ];
        all.into_iter().filter(|(changed, _)| *changed).map(|(_, text)| text)
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
    let (mut moves, mut calls) = (app.presence.moves(), app.calls.subscribe());
    let (mut changes, missed) = match (about.seen(app.began), &about.seen) {
        (Some(seen), _) => app.node.changes_since(seen),
        (None, Some(_)) => (app.node.changes(), None),
        (None, None) => (app.node.changes(), Some(Vec::new())), // it wants what comes
    };
    tokio::spawn(async move {
        let app = listener.0.clone();
        let _held = listener;
        // Whoever may not read tickets is at none.
        let reads = rights::may_use(&who.session.account, Right::Read).is_ok();
        let takes = rights::may_use(&who.session.account, Right::Take).is_ok();
        let _there =
            (reads && about.ticket.len() == ID).then(|| app.presence.enter(&about.ticket, who.name()));
        let mut stopping = app.stopping.clone();
        let say = async |text: &'static str| send.send(Ok(Bytes::from_static(text.as_bytes()))).await.is_ok();
        if !say("retry: 3000\n\n").await {
            return;
        }
        let mut news = News::default();
        match missed {
            Some(missed) => missed.iter().for_each(|changes| news.add(changes, &about.ticket)),
            None => news = News::everything(),
        }
        let others = || presence::mark(&app.presence.others(&about.ticket, who.name()));
        news.presence |= about.others.as_ref().is_some_and(|shown| *shown != others());
        for event in news.events() {
            if !say(event).await {
                return;
            }
        }
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        loop {
            let heard = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = send.closed() => return,
                // Somebody who fell behind cannot know whether it was this one.
                moved = moves.recv() => {
                    Heard::Moved(moved.map_or(true, |m| m.ticket == about.ticket && m.name != who.name()))
                }
                rang = calls.recv(), if takes => Heard::Rang(rang),
                changed = changes.recv() => Heard::Changed(changed),
                _ = beat.tick() => Heard::Nothing,
            };
            let mut news = News::default();
            match heard {
                // What was missed shows when the page looks.
                Heard::Rang(Ok(Rang::Changed) | Err(RecvError::Lagged(_))) => news.calls = true,
                Heard::Rang(Ok(Rang::Answered(account))) => news.answered = account == who.session.account.id,
                Heard::Rang(Err(RecvError::Closed)) => return,
                Heard::Moved(here) => news.presence = here && !about.ticket.is_empty(),
                Heard::Changed(changed) => {
                    if !news.take(changed, &about.ticket) {
                        return;
                    }
                    tokio::time::sleep(TOGETHER).await;
                    loop {
                        let more = match changes.try_recv() {
                            Ok(more) => Ok(more),
                            Err(TryRecvError::Lagged(n)) => Err(RecvError::Lagged(n)),
                            Err(_) => break,
                        };
                        news.take(more, &about.ticket);
                    }
                }
                Heard::Nothing => {
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
            for event in news.events() {
                if !say(event).await {
                    return;
                }
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(Stream(receive))).into_response()
}

/// A body from a channel that fails in the middle only when its sender says so.
pub(crate) fn body(receive: mpsc::Receiver<Result<Bytes, std::io::Error>>) -> Body {
    Body::from_stream(Stream(receive))
}
