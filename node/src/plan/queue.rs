//! What a number of seats or trunks does to callers, by Erlang's formulas.
//!
//! Calls come at random (Poisson) and take exponential times; `load` is calls a second times seconds a call, in erlangs.
//!
//! ```text
//! Erlang B   nobody waits: who finds all trunks busy is turned away
//! Erlang C   everybody waits until a seat is free
//! Erlang A   who has waited long enough gives up (Palm; Garnett, Mandelbaum, Reiman 2002)
//! ```

/// States of the queue with less than this share of the most likely one are left out.
const NEGLIGIBLE: f64 = 1e-16;

/// Sums of shares, which are relative, are scaled down past this.
const HUGE: f64 = 1e200;

/// Callers in the queue that are looked at, however patient they are.
const LONGEST_QUEUE: u32 = 100_000;

/// Most seats or trunks that are tried: more than any hotline has, and few enough that a file of nonsense is no work.
pub const MOST: u32 = 10_000;

/// Erlang B: the share of calls that find all of `trunks` busy. By the recursion over trunks, which stays exact where
/// powers and factorials overflow.
pub fn blocked(load: f64, trunks: u32) -> f64 {
    (1..=trunks).fold(1.0, |blocked, n| one_more(load, blocked, n))
}

/// Erlang B of `n` trunks, of that of one fewer.
fn one_more(load: f64, blocked: f64, n: u32) -> f64 {
    load * blocked / (f64::from(n) + load * blocked)
}

/// Erlang C: the share of calls that wait. Everybody does when the load is no less than the seats.
pub fn waiting(load: f64, seats: u32) -> f64 {
    if load >= f64::from(seats) {
        return 1.0;
    }
    let blocked = blocked(load, seats);
    blocked / (1.0 - load / f64::from(seats) * (1.0 - blocked))
}

/// Calls of one kind, and the time that each takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Calls a second.
    pub rate: f64,
    /// Seconds a call, with what is written after it.
    pub handling: f64,
    /// The mean of the seconds after which a caller who waits gives up; `None`: nobody ever does.
    pub patience: Option<f64>,
}

/// What a number of seats does to callers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Service {
    /// The share of calls that are answered within the time asked for.
    pub level: f64,
    /// The share that wait at all.
    pub waiting: f64,
    /// The mean wait in seconds, of those who give up too; infinite when the queue only grows.
    pub wait: f64,
    /// The share that give up.
    pub lost: f64,
    /// How much of their time seats are on a call.
    pub busy: f64,
}

impl Traffic {
    /// The load in erlangs.
    pub fn load(&self) -> f64 {
        self.rate * self.handling
    }

    /// What `seats` do, when an answer within `within` seconds is wanted.
    pub fn service(&self, seats: u32, within: f64) -> Service {
        if self.rate <= 0.0 {
            return Service { level: 1.0, waiting: 0.0, wait: 0.0, lost: 0.0, busy: 0.0 };
        }
        match self.patience {
            Some(patience) => self.with_patience(seats, within, patience),
            None => self.without_end(seats, within),
        }
    }

    /// The least seats at which this share of calls is answered within so many seconds; `None` when not even [`MOST`]
    /// do it.
    pub fn seats_for(&self, level: f64, within: f64) -> Option<u32> {
        let enough = |seats: u32| self.service(seats, within).level >= level;
        least(enough)
    }

    fn without_end(&self, seats: u32, within: f64) -> Service {
        let (load, n) = (self.load(), f64::from(seats));
        if load >= n {
            return Service { level: 0.0, waiting: 1.0, wait: f64::INFINITY, lost: 0.0, busy: 1.0 };
        }
        let waiting = waiting(load, seats);
        Service {
            level: 1.0 - waiting * (-(n - load) * within / self.handling).exp(),
            waiting,
            wait: waiting * self.handling / (n - load),
            lost: 0.0,
            busy: load / n,
        }
    }

    fn nobody_waits(&self, seats: f64) -> Service {
        Service { level: 1.0, waiting: 0.0, wait: 0.0, lost: 0.0, busy: self.load() / seats }
    }

    /// A caller who finds `j` before it waits until `j + 1` have left, at rates `n/handling + i/patience`, `i` from `j`
    /// to 0. That is the time in which `j + 1` of `m + j` exponential lives end, `m = n * patience / handling`, so that
    /// it is longer than `t` with the probability of a negative binomial, summed term by term.
    fn with_patience(&self, seats: u32, within: f64, patience: f64) -> Service {
        let (n, service, gives_up) = (f64::from(seats), 1.0 / self.handling, 1.0 / patience);
        // Shares of states relative to "all seats taken, nobody waits", downwards from there and upwards.
        let (mut below, mut share): (f64, f64) = (0.0, 1.0);
        for taken in (0..seats).rev() {
            share *= f64::from(taken + 1) * service / self.rate;
            below += share;
            if below > HUGE {
                return self.nobody_waits(n); // against which no queue counts
            }
            if share < NEGLIGIBLE * below {
                break;
            }
        }
        let m = n * service / gives_up;
        // Answered within the time: the wait ends before it, and before the caller gives up. Weighing a wait with the
        // chance that the caller is still there turns every rate r into r + 1/patience, which is the same with m + 1.
        let x = (-within * gives_up).exp();
        // In logarithms: with many seats and a long time the first terms are too small to be numbers.
        let mut term = -(m + 1.0) * within * gives_up;
        let mut longer = term.exp();
        let (mut in_time, mut above, mut queue) = (0.0, 0.0, 0.0);
        let mut share = 1.0;
        for j in 0..LONGEST_QUEUE {
            let ahead = f64::from(j);
            in_time += share * (m / (m + ahead + 1.0)) * (1.0 - longer).max(0.0);
            above += share;
            queue += share * ahead;
            share *= self.rate / (n * service + (ahead + 1.0) * gives_up);
            term += ((1.0 - x) * (m + 1.0 + ahead) / (ahead + 1.0)).ln();
            longer += term.exp();
            if above > HUGE {
                for sum in [&mut below, &mut share, &mut in_time, &mut above, &mut queue] {
                    *sum /= HUGE;
                }
            }
            if share < NEGLIGIBLE * above {
                break;
            }
        }
        let whole = below + above;
        let lost = queue / whole * gives_up / self.rate;
        Service {
            level: (below + in_time) / whole,
            waiting: above / whole,
            wait: queue / whole / self.rate,
            lost,
            busy: if seats == 0 { 0.0 } else { self.load() * (1.0 - lost) / n },
        }
    }
}

/// The least trunks at which no more than this share of calls is turned away; `None` when not even [`MOST`] do it.
pub fn trunks_for(load: f64, share: f64) -> Option<u32> {
    let mut turned_away = 1.0;
    (1..=MOST).find(|n| {
        turned_away = one_more(load, turned_away, *n);
        turned_away <= share
    })
}

/// The least number that is enough, where whatever is more than enough is enough too.
fn least(enough: impl Fn(u32) -> bool) -> Option<u32> {
    let mut high = 1;
    let mut low = 0; // not enough, or nobody
    while !enough(high) {
        if high == MOST {
            return None;
        }
        low = high;
        high = (high * 2).min(MOST);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} and not {b}");
    }

    #[test]
    fn published_values_are_met() {
        near(blocked(10.0, 14), 0.056_819_143, 5e-10);
        near(waiting(10.0, 14), 0.174_131_934, 5e-10);
        near(blocked(20.0, 30), 0.008_457_498, 5e-10);
        let ten = Traffic { rate: 10.0 / 180.0, handling: 180.0, patience: None }.service(14, 20.0);
        near(ten.level, 0.888_350_019_179_466_9, 1e-12);
        near(ten.wait, 7.835_937, 5e-7);
        let thousand = Traffic { rate: 1_000.0 / 3_600.0, handling: 120.0, patience: None }.service(36, 15.0);
        near(thousand.waiting, 0.551_9, 5e-5);
        near(thousand.level, 0.605, 5e-4);
        near(thousand.wait, 24.8, 5e-2);
    }

    #[test]
    fn as_many_seats_and_trunks_as_it_takes_and_not_one_more() {
        let hour = Traffic { rate: 1_000.0 / 3_600.0, handling: 120.0, patience: None };
        let seats = hour.seats_for(0.95, 15.0).unwrap();
        assert!(hour.service(seats, 15.0).level >= 0.95 && hour.service(seats - 1, 15.0).level < 0.95);
        let trunks = trunks_for(20.0, 0.01).unwrap();
        assert!(blocked(20.0, trunks) <= 0.01 && blocked(20.0, trunks - 1) > 0.01);
        assert_eq!(Traffic { rate: 1e6, ..hour }.seats_for(0.95, 15.0), None, "more than anybody has");
        assert_eq!(Traffic { rate: 0.0, ..hour }.seats_for(0.95, 15.0), Some(1), "somebody must be there");
        assert_eq!(hour.service(33, 15.0).wait, f64::INFINITY);
    }

    /// The queue with patience, from its states counted out one by one: what enters each leaves it.
    #[test]
    fn with_patience_the_shares_are_those_of_the_states() {
        let traffic = Traffic { rate: 0.5, handling: 10.0, patience: Some(20.0) };
        let seats = 4u32;
        let mut states = vec![1.0f64];
        for k in 0..400u32 {
            let leave =
                f64::from((k + 1).min(seats)) / 10.0 + f64::from((k + 1).saturating_sub(seats)) / 20.0;
            states.push(states[k as usize] * 0.5 / leave);
        }
        let whole: f64 = states.iter().sum();
        let waiting: f64 = states[seats as usize..].iter().sum::<f64>() / whole;
        let queue: f64 =
            states.iter().enumerate().map(|(k, p)| p * k.saturating_sub(4) as f64).sum::<f64>() / whole;
        let service = traffic.service(seats, 15.0);
        near(service.waiting, waiting, 1e-12);
        near(service.lost, queue / 20.0 / 0.5, 1e-12);
        near(service.wait, queue / 0.5, 1e-12);
        // Whoever neither finds a seat nor gives up is answered some time.
        near(traffic.service(seats, 1e6).level, 1.0 - service.lost, 1e-9);
        near(traffic.service(seats, 0.0).level, 1.0 - service.waiting, 1e-12);
    }

    #[test]
    fn every_number_of_seats_up_to_the_most_is_tried() {
        for load in [4_500.0, 9_000.0] {
            for patience in [None, Some(60.0), Some(600.0)] {
                let traffic = Traffic { rate: load / 180.0, handling: 180.0, patience };
                let seats = traffic.seats_for(0.95, 15.0).unwrap();
                assert!(
                    (load * 0.9..=load * 1.1).contains(&f64::from(seats)),
                    "{load} {patience:?}: {seats}"
                );
            }
        }
        let overloaded = Traffic { rate: 15.0, handling: 100.0, patience: Some(600.0) };
        assert!(overloaded.service(1_000, 180.0).level < 0.1, "most wait longer than three minutes");
    }

    proptest! {
        #[test]
        fn endless_patience_is_erlang_c(load in 0.5f64..60.0, spare in 1u32..12, within in 0.0f64..60.0) {
            let seats = load.ceil() as u32 + spare;
            let c = Traffic { rate: load / 180.0, handling: 180.0, patience: None };
            let a = Traffic { patience: Some(1e9), ..c };
            let (c, a) = (c.service(seats, within), a.service(seats, within));
            prop_assert!((c.level - a.level).abs() < 1e-4, "{c:?} {a:?}");
            prop_assert!((c.waiting - a.waiting).abs() < 1e-4);
        }

        #[test]
        fn one_seat_more_never_hurts(load in 0.1f64..80.0, seats in 1u32..100, patience in prop::option::of(5.0f64..600.0)) {
            let traffic = Traffic { rate: load / 180.0, handling: 180.0, patience };
            let (fewer, more) = (traffic.service(seats, 15.0), traffic.service(seats + 1, 15.0));
            prop_assert!(more.level >= fewer.level - 1e-9 && more.lost <= fewer.lost + 1e-9, "{fewer:?} {more:?}");
            prop_assert!((0.0..=1.0 + 1e-9).contains(&more.level) && (0.0..=1.0 + 1e-9).contains(&more.busy));
        }

        /// Whatever seats and patience: numbers stay numbers, and patience that hardly ends is as none.
        #[test]
        fn large_halls_and_long_patience_have_numbers(load in 0.1f64..6_000.0, part in 0.0f64..3.0, queue in 1.0f64..50_000.0) {
            let patience = (queue * 60.0 / load).clamp(1.0, 86_400.0); // so many wait at most: more are not looked at
            let traffic = Traffic { rate: load / 60.0, handling: 60.0, patience: Some(patience) };
            let service = traffic.service((load * part) as u32, 15.0);
            for share in [service.level, service.waiting, service.lost, service.busy] {
                prop_assert!((0.0..=1.0 + 1e-6).contains(&share), "{:?}", service);
            }
            prop_assert!(service.wait.is_finite() && service.wait >= 0.0, "{:?}", service);
        }
    }
}
