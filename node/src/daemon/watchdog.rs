//! The watchdog of systemd, fed by what it watches: the engine's thread.
//!
//! A sign of life goes to systemd only after the writer has taken a pulse out of its queue and come to the end of a
//! transaction. A writer that hangs (in a lock, in a disk that does not answer) misses it and systemd starts the node
//! anew. A full disk is no reason: the writer lives and says so.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};

use super::{Node, Work};

/// Feeds the watchdog for as long as it is polled; returns at once when nobody watches.
pub async fn feed(node: Node) {
    let mut usec = 0;
    if sd_notify::watchdog_enabled(false, &mut usec) {
        beat(&node.work, Duration::from_micros(usec), || {
            let _ = sd_notify::notify(false, &[NotifyState::Watchdog]); // it will miss this one and judge
        })
        .await;
    }
}

/// Says `alive` three times in `within`, whenever the engine's thread has proved it.
async fn beat(engine: &mpsc::Sender<Work>, within: Duration, alive: impl Fn()) {
    loop {
        let began = tokio::time::Instant::now();
        match tokio::time::timeout(within, pulse(engine)).await {
            Ok(true) => alive(),
            Ok(false) => return, // the node is stopping
            Err(_) => tracing::error!("the engine's thread gave no sign of life for {} s", within.as_secs()),
        }
        tokio::time::sleep_until(began + within / 3).await;
    }
}

/// Waits until the engine's thread has come to the end of a transaction that took this in; `false` when it has ended.
pub(super) async fn pulse(engine: &mpsc::Sender<Work>) -> bool {
    let (answer, answered) = oneshot::channel();
    engine.send(Work::Pulse(answer)).await.is_ok() && answered.await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_writer_that_hangs_feeds_no_watchdog() {
        let (work, mut queue) = mpsc::channel(64);
        let fed = Arc::new(AtomicU32::new(0));
        let count = fed.clone();
        let beating = tokio::spawn(async move {
            let alive = || {
                count.fetch_add(1, Ordering::SeqCst);
            };
            beat(&work, Duration::from_secs(1), alive).await;
        });
        let mut hanging = Vec::new();
        // Three pulses are answered. Then the writer takes work and never finishes it: the pulses after that come
        // because the earlier ones ran out of time, and none of them feeds anybody.
        for n in 0..6 {
            let Some(Work::Pulse(answer)) = queue.recv().await else { panic!("a pulse was expected") };
            assert_eq!(fed.load(Ordering::SeqCst), n.min(3), "nothing is fed before the answer");
            match n {
                0..3 => answer.send(()).expect("it waits"),
                _ => hanging.push(answer),
            }
        }
        beating.abort();
    }

    #[tokio::test]
    async fn a_node_that_stops_ends_the_beat() {
        let (work, queue) = mpsc::channel(1);
        drop(queue);
        beat(&work, Duration::from_secs(3600), || panic!("nothing lives")).await;
    }
}
