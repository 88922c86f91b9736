//! The courier: carries a stick between the office, which has no line, and its city.
//!
//! The stick is a directory of the demo. Every trip brings what the office has for the city, and goes back with what the
//! city has for the office; the files are those that `hotline bundle` writes and reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sync::replica::Basis;
use tokio::task::JoinHandle;

use super::failed;
use crate::bundles::{self, BundleRequest, PART};
use crate::daemon::ask_running;
use crate::request::{Failure, FailureKind, Reply, Request};

/// The site without a line.
pub(super) const OFFICE: &str = "370100-01";

/// Where its sticks go.
pub(super) const CITY: &str = "370100";

/// Between two trips.
const REST: Duration = Duration::from_millis(500);

/// Whether two nodes have a stick between them and no line.
pub(super) fn serves(a: &str, b: &str) -> bool {
    (a, b) == (OFFICE, CITY) || (a, b) == (CITY, OFFICE)
}

/// What tells a courier to stay at home.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    stays: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

impl Orders {
    pub(super) fn stay(&self, stays: bool) {
        self.stays.store(stays, Ordering::Relaxed);
    }

    pub(super) fn stays(&self) -> bool {
        self.stays.load(Ordering::Relaxed)
    }
}

/// A courier on the way.
pub(super) struct Courier {
    orders: Orders,
    task: JoinHandle<()>,
}

impl Courier {
    /// Goes to and fro between the nodes that run in this demo's directory.
    pub(super) fn begin(dir: &Path, orders: Orders) -> Courier {
        let (dir, to) = (dir.to_owned(), orders.clone());
        let task = tokio::spawn(async move {
            while !to.ends.load(Ordering::Relaxed) {
                if !to.stays() {
                    let dir = dir.clone();
                    let gone = tokio::task::spawn_blocking(move || trip(&dir)).await;
                    if let Ok(Err(failure)) = gone {
                        tracing::warn!(%failure, "the stick did not arrive; the next one takes it all again");
                    }
                }
                tokio::time::sleep(REST).await;
            }
        });
        Courier { orders, task }
    }

    /// Comes home.
    pub(super) async fn end(self) {
        self.orders.ends.store(true, Ordering::Relaxed);
        let _ = self.task.await; // a courier that fell has nothing to lose
    }
}

fn trip(dir: &Path) -> Result<(), Failure> {
    let stick = dir.join("stick");
    for (from, to) in [(OFFICE, CITY), (CITY, OFFICE)] {
        empty(&stick)?;
        let written = bundles::write(
            &mut |request| ask(dir, from, request),
            &[to.to_owned()],
            &stick,
            PART,
            Basis::Acknowledged,
        )?;
        if let Some(failure) = written.stopped {
            return Err(failure);
        }
        bundles::read(&mut |request| ask(dir, to, request), &[PathBuf::from(&stick)])?;
    }
    Ok(())
}

fn empty(stick: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(stick) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => std::fs::create_dir_all(stick),
    }
    .map_err(|e| failed("the demo's stick cannot be emptied", e))
}

fn ask(dir: &Path, node: &str, request: BundleRequest) -> Reply {
    ask_running(&dir.join(node), &Request::Bundle(request))
        .unwrap_or_else(|| Err(Failure::new(FailureKind::Unreachable, format!("{node} does not run"))))
}
