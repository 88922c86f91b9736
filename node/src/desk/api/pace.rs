//! How fast a program may ask: a bucket of each token. 200 at once, then 50 a second.

use std::time::{Duration, Instant};

use crate::buckets::Buckets;

/// The buckets of all tokens.
pub(in super::super) struct Pace(Buckets<i64>);

impl Default for Pace {
    fn default() -> Pace {
        Pace(Buckets::new(200.0, 1.0 / 50.0))
    }
}

impl Pace {
    /// Takes one request out of a token's bucket, or tells how long to wait.
    pub(super) fn take(&self, token: i64, now: Instant) -> Result<(), Duration> {
        self.0.take(token, now)
    }
}
