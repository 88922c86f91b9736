//! How fast a program may ask: a bucket of each token, which fills at a steady rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests a second that go on for ever, and how many may come at once.
const RATE: f64 = 50.0;
const BURST: f64 = 200.0;

/// The buckets of all tokens; tokens are few, and so are these.
#[derive(Default)]
pub(in super::super) struct Pace(Mutex<HashMap<i64, (f64, Instant)>>);

impl Pace {
    /// Takes one request out of a token's bucket, or tells how long to wait.
    pub(super) fn take(&self, token: i64, now: Instant) -> Result<(), Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = all.entry(token).or_insert((BURST, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * RATE).min(BURST);
        *at = now;
        if *left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *left) / RATE));
        }
        *left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_counts() {
        let (pace, began) = (Pace::default(), Instant::now());
        let passed = |at: Instant| (0..300).filter(|_| pace.take(1, at).is_ok()).count();
        assert_eq!(passed(began), 200);
        assert_eq!(passed(began + Duration::from_secs(1)), 50);
        assert!(pace.take(1, began + Duration::from_secs(1)).unwrap_err() <= Duration::from_millis(21));
        assert!(pace.take(2, began).is_ok(), "another token has its own");
    }
}
