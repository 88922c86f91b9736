//! Hands: threads that stay, for work that needs no store.
//!
//! A batch of documents could be worked on by threads of its own, as a request is ([`super::side_by_side`]). But batches
//! come every few milliseconds, and each new thread begins a heap of its own: it took as long, and some 8 MiB more at the
//! peak of a cold sync.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{Builder, available_parallelism};

use super::side_by_side::{AHEAD, THREADS};

type Job = Box<dyn FnOnce() + Send>;

/// As many threads as there are cores, until it is dropped.
pub(super) struct Hands(Vec<Sender<Job>>);

impl Hands {
    /// Starts them. There are fewer, or none, when the system gives no more.
    pub(super) fn start() -> Hands {
        let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS);
        let start = |_| {
            let (jobs, due) = channel::<Job>();
            let thread =
                Builder::new().name("hand".to_owned()).spawn(move || due.iter().for_each(|job| job()));
            thread.ok().map(|_| jobs)
        };
        Hands((0..threads).filter_map(start).collect())
    }

    /// Makes something of each, and hands the results on in order on this thread, while the others go on working. Ends at
    /// the first error of `take`.
    pub(super) fn each<W: Send + 'static, R: Send + 'static, E>(
        &self,
        work: Vec<W>,
        make: impl Fn(W) -> R + Send + Sync + 'static,
        mut take: impl FnMut(R) -> Result<(), E>,
    ) -> Result<(), E> {
        let (count, lanes) = (work.len(), self.0.len().min(work.len()));
        if lanes < 2 {
            return work.into_iter().try_for_each(|work| take(make(work)));
        }
        // Each of n hands has every n-th and a channel of its own: so the order needs no sorting.
        let mut shares: Vec<Vec<W>> = (0..lanes).map(|_| Vec::with_capacity(count / lanes + 1)).collect();
        work.into_iter().enumerate().for_each(|(i, work)| shares[i % lanes].push(work));
        let make = Arc::new(make);
        let give = |(share, hand): (Vec<W>, &Sender<Job>)| {
            let ((done, results), make) = (sync_channel(AHEAD), make.clone());
            let job = move || {
                for work in share {
                    if done.send(make(work)).is_err() {
                        return; // nobody takes any more
                    }
                }
            };
            hand.send(Box::new(job)).expect("a hand ends only when it panics, which ended its taker");
            results
        };
        let results: Vec<Receiver<R>> = shares.into_iter().zip(&self.0).map(give).collect();
        (0..count)
            .try_for_each(|i| take(results[i % lanes].recv().expect("a hand panicked, which ends this")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        let hands = Hands::start();
        let twice_until = |last: usize, count: usize| {
            let mut taken = Vec::new();
            let end = hands.each(
                (0..count).collect(),
                |item: usize| (item, item * 2),
                |(item, twice)| {
                    taken.push(twice);
                    if item == last { Err("enough") } else { Ok(()) }
                },
            );
            (end, taken)
        };
        let doubles = |count: usize| (0..count).map(|i| i * 2).collect::<Vec<_>>();
        for _ in 0..3 {
            assert_eq!(twice_until(700, 1_000), (Err("enough"), doubles(701)), "and they work again");
        }
        assert_eq!(twice_until(1_000, 1_000), (Ok(()), doubles(1_000)));
        assert_eq!(twice_until(1, 1), (Ok(()), doubles(1)));
        assert_eq!(twice_until(0, 0), (Ok(()), doubles(0)));
    }
}
