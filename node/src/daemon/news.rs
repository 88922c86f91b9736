//! What commits changed, for whoever watches: as it comes, and the last of it once more for whoever looked at something, and
//! begins to watch a moment later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

/// What a commit changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tickets, by their ids.
    pub tickets: Vec<String>,
    /// More tickets than are named.
    pub more: bool,
    /// A link came up or went down.
    pub links: bool,
}

/// Changes as they come.
pub type Coming = broadcast::Receiver<Arc<Changes>>;

/// How many changes a watcher may be behind; one that is further behind is told so. So many are told once more.
const BEHIND: usize = 64;

/// What is told, and what was.
#[derive(Debug)]
pub(super) struct News {
    told: broadcast::Sender<Arc<Changes>>,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// How many changes were told since the start.
    count: u64,
    /// The last of them.
    last: VecDeque<Arc<Changes>>,
}

impl Default for News {
    fn default() -> News {
        News { told: broadcast::channel(BEHIND).0, past: Mutex::default() }
    }
}

impl News {
    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what a commit changed.
    pub(super) fn tell(&self, changes: Changes) {
        let changes = Arc::new(changes);
        let mut past = self.past();
        past.count += 1;
        if past.last.len() == BEHIND {
            past.last.pop_front();
        }
        past.last.push_back(changes.clone());
        let _ = self.told.send(changes); // nobody may be watching
    }

    /// How many changes were told so far: whoever takes this down before looking can ask for what came since.
    pub(super) fn count(&self) -> u64 {
        self.past().count
    }

    /// What is told from now on.
    pub(super) fn watch(&self) -> Coming {
        self.told.subscribe()
    }

    /// What is told from now on, and what was told since a count; `None` when that is too long ago to be known.
    pub(super) fn watch_since(&self, count: u64) -> (Coming, Option<Vec<Arc<Changes>>>) {
        let past = self.past(); // held, so that nothing comes in between
        let missed = past.count.checked_sub(count).and_then(|missed| usize::try_from(missed).ok());
        let missed = missed.filter(|missed| *missed <= past.last.len());
        let missed = missed.map(|missed| past.last.iter().skip(past.last.len() - missed).cloned().collect());
        (self.told.subscribe(), missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looked_before_it_watched_misses_nothing() {
        let news = News::default();
        let change = |n: usize| Changes { tickets: vec![n.to_string()], ..Changes::default() };
        let told = |count| {
            let (_, missed) = news.watch_since(count);
            missed.map(|all| all.iter().map(|c| c.tickets[0].clone()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!((news.count(), told(0).as_deref()), (0, Some("")));
        (0..3).for_each(|n| news.tell(change(n)));
        let (mut coming, missed) = news.watch_since(1);
        assert_eq!(missed.unwrap(), [Arc::new(change(1)), Arc::new(change(2))]);
        news.tell(change(3));
        assert_eq!(*coming.try_recv().unwrap(), change(3));
        assert!(coming.try_recv().is_err(), "what was told before it watched is told once");
        assert_eq!(told(4).as_deref(), Some(""));
        assert_eq!(told(5), None, "a count of another life");
        (4..100).for_each(|n| news.tell(change(n)));
        assert_eq!(told(100 - BEHIND as u64).unwrap().split(' ').next(), Some("36"));
        assert_eq!(told(99 - BEHIND as u64), None, "too long ago");
    }
}
