//! How fast something may go: a bucket that fills at a rate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What may go at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// So many bytes a second. Whoever takes from it waits his turn; turns are in the order of asking.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: u64,
    /// When all that was taken so far will have been earned.
    earned_at: Mutex<Instant>,
}

impl Bucket {
    /// A bucket of this many bytes a second, at least one.
    pub(super) fn new(rate: u64) -> Bucket {
        Bucket { rate: rate.max(1), earned_at: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more may go.
    pub(super) async fn take(&self, bytes: usize) {
        let now = Instant::now();
        let turn = {
            let mut earned_at = self.earned_at.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = now.checked_sub(BURST).map_or(*earned_at, |earliest| earned_at.max(earliest));
            *earned_at = begin + Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            *earned_at
        };
        if turn > now {
            sleep_until(turn).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_holds_its_rate_and_does_not_save_up() {
        let bucket = Bucket::new(1_000);
        let began = Instant::now();
        for _ in 0..50 {
            bucket.take(100).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(4_900) && took <= Duration::from_millis(5_100), "{took:?}");
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let began = Instant::now();
        for _ in 0..20 {
            bucket.take(100).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(1_800), "an hour's pause earns no burst");
    }

    #[tokio::test(start_paused = true)]
    async fn two_who_take_share_the_rate() {
        let bucket = Bucket::new(10_000);
        let began = Instant::now();
        let take = async || {
            for _ in 0..50 {
                bucket.take(1_000).await;
            }
        };
        tokio::join!(take(), take());
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(9_800) && took <= Duration::from_millis(10_100), "{took:?}");
    }
}
