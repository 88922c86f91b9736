//! Hooks: programs that are told of changes, instead of asking for them.
//!
//! ```text
//! log of changes ──behind its cursor──> event, signed ──POST──> receiver ──2xx──> the cursor moves (desk.db)
//!                                          └──── again, ever more slowly ────┘ else
//! ```
//!
//! Nothing is queued: what a hook must still be told is the log behind its cursor. So every change is told at least once
//! and in order, over restarts and kills of either side; whatever is told twice has the same id. Each hook has a task of
//! its own, and one that fails holds up nobody else. Hooks are made by `hotline hook`, in the database itself; the node
//! looks every second which there are.
//!
//! *Never*: a ticket's words or a person's name in a body; a secret or a URL's path in a log.

mod deliver;
mod event;
mod exchange;
mod post;
mod receiver;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certs::NodeName;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use event::shown_secret;
pub use receiver::{host_of, shown_url};

use crate::daemon::{Node, now_ms};
use crate::request::{Failure, FailureKind};
use crate::users::{DATABASE, Hook, Users};
use deliver::{Delivery, Shared};
use event::Event;
#[cfg(feature = "postgres")]
pub(crate) use receiver::client;
pub(crate) use receiver::{Receiver, is_inside};

/// How often a node looks which hooks there are.
const LOOK: Duration = Duration::from_secs(1);

/// What became of deliveries since the node began to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Events that were taken.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// The number of the last change that it was told of.
    pub at: u64,
    /// Whether it is told nothing any more.
    pub off: bool,
}

/// The counts of all hooks, by name.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, Count>>);

impl Counts {
    /// As they are now.
    pub fn all(&self) -> BTreeMap<String, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Count)) {
        // Nobody who was removed meanwhile comes back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(change);
    }

    fn delivered(&self, name: &str) {
        self.with(name, |count| count.delivered += 1);
    }

    fn failed(&self, name: &str) {
        self.with(name, |count| count.failed += 1);
    }

    fn at(&self, name: &str, cursor: &str) {
        self.with(name, |count| count.at = number(cursor));
    }

    fn look(&self, hooks: &[Hook]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|name, _| hooks.iter().any(|hook| hook.name == *name));
        for hook in hooks {
            let count = counts.entry(hook.name.clone()).or_default();
            (count.at, count.off) = (number(&hook.cursor), hook.off.is_some());
        }
    }
}

/// The number of the change that a cursor is behind.
pub fn number(cursor: &str) -> u64 {
    cursor.split_once('-').and_then(|(n, _)| n.parse().ok()).unwrap_or(0)
}

/// Whether a receiver can be told at all: its URL and its authority.
pub fn check(url: &str, ca: Option<&str>) -> Result<(), Failure> {
    Receiver::new(url, ca).map(drop)
}

/// Tells a hook's receiver one event of no consequence, once.
pub async fn test(me: NodeName, hook: &Hook) -> Result<(), Failure> {
    let receiver = Receiver::new(&hook.url, hook.ca.as_deref())?;
    let event = Event::test(me, &hook.name, now_ms());
    post::post(&receiver, &event, hook).await.map_err(|refused| {
        Failure::new(FailureKind::Failed, format!("{} was not told: {}", hook.name, refused.why)).hint(
            "is its receiver up, and does it check the signature with the secret of this hook? docs/api.md",
        )
    })
}

/// The hooks of a node that runs.
pub struct Hooks {
    stop: watch::Sender<bool>,
    running: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Hooks {
    /// Begins to tell. Must be called within a tokio runtime.
    pub fn start(dir: &Path, node: Node, counts: Arc<Counts>) -> Hooks {
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(run(dir.to_owned(), node, counts, stopping));
        Hooks { stop, running: tokio::sync::Mutex::new(Some(running)) }
    }

    /// Tells nothing more. What was under way is told again by the next start.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        if let Some(running) = self.running.lock().await.take() {
            let _ = running.await;
        }
    }
}

/// The tasks of hooks, each by its hook's row and round; dropping them ends them.
#[derive(Default)]
struct Tasks(HashMap<(i64, i64), JoinHandle<()>>);

impl Tasks {
    /// Lets run what should, and nothing else.
    fn keep(&mut self, shared: &Arc<Shared>, hooks: Vec<Hook>) {
        let on: Vec<Hook> = hooks.into_iter().filter(|hook| hook.off.is_none()).collect();
        self.0.retain(|key, task| {
            let stays = !task.is_finished() && on.iter().any(|hook| (hook.id, hook.round) == *key);
            if !stays {
                task.abort();
            }
            stays
        });
        for hook in on {
            self.0
                .entry((hook.id, hook.round))
                .or_insert_with(|| tokio::spawn(Delivery::new(shared.clone(), hook).run()));
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.values().for_each(JoinHandle::abort);
    }
}

async fn run(dir: std::path::PathBuf, node: Node, counts: Arc<Counts>, mut stopping: watch::Receiver<bool>) {
    let mut shared: Option<Arc<Shared>> = None;
    let mut tasks = Tasks::default();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut warned = false;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = looks.tick() => {}
        }
        let looked = match &shared {
            Some(shared) => shared.users.away(|users| users.hooks()).await,
            // A node without a desk has no such database until somebody makes a hook.
            None if !dir.join(DATABASE).exists() => continue,
            None => {
                let path = dir.clone();
                match tokio::task::spawn_blocking(move || Users::open(&path)).await {
                    Ok(Ok(users)) => {
                        let (node, counts) = (node.clone(), counts.clone());
                        shared = Some(Arc::new(Shared { node, users: Arc::new(users), counts }));
                        looks.reset_immediately();
                        continue;
                    }
                    Ok(Err(failure)) => Err(failure),
                    Err(e) => Err(Failure::new(FailureKind::Failed, "the hooks' database failed").because(e)),
                }
            }
        };
        match (looked, &shared) {
            (Ok(hooks), Some(shared)) => {
                warned = false;
                counts.look(&hooks);
                tasks.keep(shared, hooks);
            }
            (Err(failure), _) if !warned => {
                warned = true;
                tracing::error!(%failure, "hooks cannot be read; those that go on go on");
            }
            _ => {}
        }
    }
}
