//! Buckets that fill steadily: how fast somebody may ask, one bucket for each who does.
//!
//! They live in memory and are bounded; a restart forgets them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most buckets of a sort. Past it full ones go, and of the others those that were not used for longest.
const MAX_BUCKETS: usize = 20_000;

/// Buckets of one rule.
pub struct Buckets<K> {
    /// How much comes at once, and how many seconds one more takes.
    burst: f64,
    every: f64,
    all: Mutex<HashMap<K, (f64, Instant)>>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets that hold so much, and get one more every so many seconds.
    pub fn new(burst: f64, every: f64) -> Buckets<K> {
        Buckets { burst, every, all: Mutex::new(HashMap::new()) }
    }

    /// Takes one out of a bucket, or tells how long to wait.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let Buckets { burst, every, .. } = *self;
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_BUCKETS && !all.contains_key(&key) {
            self.make_room(&mut all, now);
        }
        let (left, at) = all.entry(key).or_insert((burst, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() / every).min(burst);
        *at = now;
        if *left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *left) * every));
        }
        *left -= 1.0;
        Ok(())
    }

    /// Puts one back that was taken for nothing.
    pub fn give_back(&self, key: &K) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((left, _)) = all.get_mut(key) {
            *left = (*left + 1.0).min(self.burst);
        }
    }

    fn make_room(&self, all: &mut HashMap<K, (f64, Instant)>, now: Instant) {
        let Buckets { burst, every, .. } = *self;
        all.retain(|_, (left, at)| *left + now.saturating_duration_since(*at).as_secs_f64() / every < burst);
        if all.len() > MAX_BUCKETS / 2 {
            let mut used: Vec<Instant> = all.values().map(|(_, at)| *at).collect();
            let middle = used.len() / 2;
            let (_, median, _) = used.select_nth_unstable(middle);
            let median = *median;
            all.retain(|_, (_, at)| *at > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_counts() {
        let (buckets, began) = (Buckets::new(200.0, 0.02), Instant::now());
        let passed = |at: Instant| (0..300).filter(|_| buckets.take(1, at).is_ok()).count();
        assert_eq!(passed(began), 200);
        assert_eq!(passed(began + Duration::from_secs(1)), 50);
        assert!(buckets.take(1, began + Duration::from_secs(1)).unwrap_err() <= Duration::from_millis(21));
        assert!(buckets.take(2, began).is_ok(), "another has its own");
    }

    #[test]
    fn whoever_has_many_addresses_takes_no_more_room() {
        let (buckets, began) = (Buckets::new(2.0, 60.0), Instant::now());
        for key in 0..3 * MAX_BUCKETS {
            let now = began + Duration::from_micros(key as u64);
            assert!(buckets.take(key, now).is_ok());
            assert!(buckets.all.lock().unwrap().len() <= MAX_BUCKETS);
        }
        let last = began + Duration::from_secs(1);
        assert!(buckets.take(3 * MAX_BUCKETS - 1, last).is_ok());
        assert!(buckets.take(3 * MAX_BUCKETS - 1, last).is_err(), "the newest are remembered");
    }
}
