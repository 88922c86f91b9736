//! When something is sent again that nobody has acknowledged, and when no longer (RFC 3261): an answer that ends an INVITE
//! by timers G and H, a request by E and F, which are the same.
//!
//! ```text
//! sent ── 0.5 s ──> again ── 1 s ──> again ── 2 s ──> again ── 4 s ──> again ── 4 s ──> ...      over after 32 s
//! ```

/// The first wait, the longest, and when it is over.
const T1: u64 = 500;
const T2: u64 = 4_000;
const GIVEN_UP: u64 = 64 * T1;

/// The plan of one datagram.
pub(super) struct Again {
    at: u64,
    every: u64,
    until: u64,
}

impl Again {
    /// It was sent now for the first time.
    pub(super) fn new(now: u64) -> Again {
        Again { at: now + T1, every: T1, until: now + GIVEN_UP }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }

    /// Whether it is to be sent again now. After a yes the next time is later.
    pub(super) fn comes(&mut self, now: u64) -> bool {
        let comes = now >= self.at && !self.is_over(now);
        if comes {
            self.every = (self.every * 2).min(T2);
            self.at = now + self.every;
        }
        comes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_four_seconds_and_end_after_thirty_two() {
        let mut again = Again::new(1_000);
        let times: Vec<u64> = (0..400).map(|i| i * 100).filter(|now| again.comes(*now)).collect();
        let wanted = [1_500, 2_500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500, 32_500];
        assert_eq!(times, wanted);
        assert!(!again.is_over(32_999) && again.is_over(33_000));
    }
}
