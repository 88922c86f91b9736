//! What those who dial wait for.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::lock;

/// What has changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// Counts the signs that the network is there.
    pub(super) reachable: u64,
    /// Counts the changes of trust, and an operator's wishes.
    pub(super) changed: u64,
    /// The driver stops.
    pub(super) stopping: bool,
    /// Counts everything that was posted.
    posted: u64,
}

/// Where news are posted. Whoever waits is woken in the order of waiting, so that a run repeats.
#[derive(Debug, Default)]
pub(super) struct Board {
    news: Mutex<News>,
    posted: Notify,
}

impl Board {
    pub(super) fn read(&self) -> News {
        *lock(&self.news)
    }

    pub(super) fn post(&self, change: impl FnOnce(&mut News)) {
        {
            let mut news = lock(&self.news);
            change(&mut news);
            news.posted += 1;
        }
        self.posted.notify_waiters();
    }

    /// Waits until there is something newer than what was `seen`.
    pub(super) async fn newer(&self, seen: &News) -> News {
        loop {
            let posted = self.posted.notified();
            tokio::pin!(posted);
            posted.as_mut().enable();
            let now = self.read();
            if now.posted != seen.posted {
                return now;
            }
            posted.await;
        }
    }
}
