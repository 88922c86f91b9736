//! The task of one hook: reads the log behind its cursor and tells each change, in order, until it was taken.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::Counts;
use super::event::Event;
use super::post::{MAX_WAIT, Refused, post};
use super::receiver::Receiver;
use crate::daemon::{Node, now_ms};
use crate::request::{Failure, FailureKind, Reply, Request};
use crate::users::{Hook, Stands, Users};

/// Changes that are read at once.
const PAGE: usize = 100;

/// The longest first wait; it doubles up to [`MAX_WAIT`].
const FIRST: Duration = Duration::from_secs(1);

/// How long a node, or a disk, that cannot be asked just now is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// What every hook's task works with.
pub(super) struct Shared {
    pub(super) node: Node,
    pub(super) users: Arc<Users>,
    pub(super) counts: Arc<Counts>,
}

/// The hook is off, was removed or begun anew, or the node stops.
struct Ended;

pub(super) struct Delivery {
    shared: Arc<Shared>,
    hook: Hook,
    receiver: Option<Receiver>,
}

/// How long to wait before the next attempt: anything up to a bound that doubles, so that many hooks of one receiver that
/// comes back do not come all at once, and never less than it asked for.
fn backoff(tries: u32, drawn: u64, after: Option<Duration>) -> Duration {
    let bound = FIRST.saturating_mul(1 << tries.min(20)).min(MAX_WAIT);
    let wait = Duration::from_millis(drawn % (bound.as_millis() as u64 + 1));
    wait.max(after.unwrap_or_default().min(MAX_WAIT))
}

fn drawn() -> u64 {
    // Without entropy all wait as long as they may, which is the safe side.
    getrandom::u64().unwrap_or(u64::MAX)
}

impl Delivery {
    pub(super) fn new(shared: Arc<Shared>, hook: Hook) -> Delivery {
        Delivery { shared, hook, receiver: None }
    }

    /// Tells whatever comes, until the hook ends.
    pub(super) async fn run(mut self) {
        let mut commits = self.shared.node.changes(); // before the log is read, so that nothing comes in between
        loop {
            let read = self.log(Some(self.hook.cursor.clone())).await;
            let went = match read {
                Ok(page) => match page["changes"].as_array() {
                    Some(changes) if !changes.is_empty() => self.tell(changes).await,
                    _ => match commits.recv().await {
                        Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                        Err(RecvError::Closed) => return,
                    },
                },
                Err(failure) if failure.kind == FailureKind::Gone => self.tell_gap().await,
                Err(failure) if failure.kind == FailureKind::Unreachable => return,
                Err(failure) => {
                    tracing::warn!(hook = %self.hook.name, %failure, "the log of changes cannot be read now");
                    tokio::time::sleep(PAUSE).await;
                    Ok(())
                }
            };
            if went.is_err() {
                return;
            }
        }
    }

    async fn log(&self, after: Option<String>) -> Reply {
        self.shared.node.ask(Request::Changes { after, limit: PAGE }).await
    }

    fn wants(&self, change: &Value) -> bool {
        let stage = change["stage"].as_str().unwrap_or_default();
        self.hook.stages.is_empty() || self.hook.stages.iter().any(|wanted| wanted == stage)
    }

    async fn tell(&mut self, changes: &[Value]) -> Result<(), Ended> {
        let mut passed = None;
        for change in changes {
            let Some(cursor) = change["cursor"].as_str() else { continue };
            if self.wants(change) {
                self.send(&Event::changed(self.shared.node.name(), change)).await?;
                self.store(cursor, true).await?;
                passed = None;
            } else {
                passed = Some(cursor);
            }
        }
        // Those that it does not want are passed over together.
        match passed {
            Some(cursor) => self.store(cursor, false).await,
            None => Ok(()),
        }
    }

    /// The cursor is of another past: that is an event itself, and the hook goes on from now.
    async fn tell_gap(&mut self) -> Result<(), Ended> {
        let Ok(page) = self.log(None).await else {
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        };
        let next = page["next"].as_str().unwrap_or_default().to_owned();
        tracing::warn!(hook = %self.hook.name, refused = %self.hook.cursor, "its cursor does not fit: it is told of a gap");
        self.send(&Event::gap(self.shared.node.name(), &self.hook.cursor, &next, now_ms())).await?;
        self.store(&next, true).await
    }

    /// Tells one event until it was taken.
    async fn send(&mut self, event: &Event) -> Result<(), Ended> {
        for tries in 0.. {
            let refused = match self.attempt(event).await {
                Ok(()) => break,
                Err(refused) => refused,
            };
            self.shared.counts.failed(&self.hook.name);
            tracing::warn!(hook = %self.hook.name, why = %refused.why, "a hook was not told");
            let (hook, why) = (self.hook.clone(), refused.why.clone());
            let failed =
                self.on_users(move |users| users.hook_failed(&hook, &why, refused.gone, now_ms())).await;
            match failed {
                Ok(Stands::On) => {}
                Ok(Stands::Off(off)) => {
                    tracing::error!(hook = %self.hook.name, off = off.name(), "a hook is off: hotline hook resume");
                    return Err(Ended);
                }
                Ok(Stands::Elsewhere) => return Err(Ended),
                // It is told again all the same; only since when it fails is not written down.
                Err(failure) => tracing::error!(%failure, "a hook's failure could not be written down"),
            }
            tokio::time::sleep(backoff(tries, drawn(), refused.after)).await;
        }
        self.shared.counts.delivered(&self.hook.name);
        Ok(())
    }

    async fn attempt(&mut self, event: &Event) -> Result<(), Refused> {
        let receiver = match self.receiver.take() {
            Some(receiver) => receiver,
            // Here and not at the beginning: the machine's authorities may come later.
            None => Receiver::new(&self.hook.url, self.hook.ca.as_deref())
                .map_err(|failure| Refused::because(failure.message))?,
        };
        let told = post(&receiver, event, &self.hook).await;
        self.receiver = Some(receiver);
        told
    }

    /// Moves the cursor. Until that is on the disk nothing further is told: after a kill the last is told again, and not
    /// a thousand of them.
    async fn store(&mut self, cursor: &str, told: bool) -> Result<(), Ended> {
        loop {
            let (hook, to) = (self.hook.clone(), cursor.to_owned());
            let stored = self.on_users(move |users| match told {
                true => users.hook_told(&hook, &to, now_ms()),
                false => users.hook_passed(&hook, &to),
            });
            match stored.await {
                Ok(true) => break,
                Ok(false) => return Err(Ended),
                Err(failure) => {
                    tracing::error!(hook = %self.hook.name, %failure, "a hook's cursor could not be written down");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        cursor.clone_into(&mut self.hook.cursor);
        self.shared.counts.at(&self.hook.name, cursor);
        Ok(())
    }

    async fn on_users<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Users) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        self.shared.users.away(work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_with_full_jitter_and_never_below_what_was_asked_for() {
        let bound = |tries| backoff(tries, u64::MAX, None).max(backoff(tries, 3_600_000, None));
        for (tries, secs) in [(0, 1), (1, 2), (5, 32), (11, 2_048), (12, 3_600), (4_000, 3_600)] {
            for drawn in [0, 1, 999, 123_456_789, u64::MAX] {
                assert!(backoff(tries, drawn, None) <= Duration::from_secs(secs), "{tries} {drawn}");
            }
            assert_eq!(backoff(tries, 0, None), Duration::ZERO);
            assert_eq!(backoff(tries, secs * 1_000, None), Duration::from_secs(secs));
        }
        assert!(bound(12) > Duration::from_secs(60));
        assert_eq!(backoff(0, 0, Some(Duration::from_secs(9))), Duration::from_secs(9));
        assert_eq!(backoff(0, 0, Some(Duration::from_secs(99_999))), MAX_WAIT);
    }
}
