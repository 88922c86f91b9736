//! Connections that read beside the engine's thread.

use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use super::now_ms;
use crate::engine::{Engine, Reader};
use crate::request::{Failure, Reply, Request};

/// Most readers of a node: each holds up to 8 MiB of the database's pages.
const MOST: u32 = 4;

/// The readers that nobody uses just now, and a permit for each.
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
    permits: Semaphore,
    count: u32,
}

impl Readers {
    /// One for each core.
    pub(super) fn of(engine: &Engine) -> Result<Readers, Failure> {
        let cores = available_parallelism().map_or(1, NonZero::get);
        let count = u32::try_from(cores).unwrap_or(MOST).min(MOST);
        let idle = (0..count).map(|_| engine.reader()).collect::<Result<Vec<_>, _>>()?;
        Ok(Readers { permits: Semaphore::new(idle.len()), idle: Mutex::new(idle), count })
    }

    /// Answers, or gives back what only the engine can answer.
    pub(super) async fn ask(self: &Arc<Self>, request: Request) -> Result<Reply, Request> {
        if !Reader::reads(&request) {
            return Err(request);
        }
        // Closed when the node stops: the engine says so.
        let Ok(permit) = self.permits.acquire().await else { return Err(request) };
        let readers = self.clone();
        let asked = request.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let reader = readers.idle().pop()?;
            let reply = reader.ask(now_ms(), &asked);
            readers.idle().push(reader);
            reply
        });
        let reply = answered.await.ok().flatten();
        drop(permit);
        reply.ok_or(request)
    }

    /// Ends them, when those that are busy have answered.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(self.count).await;
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
