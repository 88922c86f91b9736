//! Work of one transaction on all cores, its results taken in order.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{Builder, available_parallelism, scope};

/// How many threads one who takes results keeps busy, about.
const THREADS: usize = 8;

/// How many results a thread may be ahead of who takes them.
const AHEAD: usize = 16;

/// Makes something of each item with as many threads as there are cores, and hands the results on in order on this
/// thread, while the others go on working. Ends at the first error of `take`. When the system gives no threads, all is
/// done here.
pub(super) fn side_by_side<T: Send, R: Send, E>(
    items: Vec<T>,
    make: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS).min(items.len());
    if threads < 2 {
        return items.into_iter().try_for_each(|item| take(make(item)));
    }
    scope(|scope| {
        // Each of n threads gets every n-th item and has a channel of its own: so the order needs no sorting.
        let lane = |_| {
            let (give, mine) = channel();
            let (done, results) = sync_channel(AHEAD);
            let make = &make;
            let share = move || {
                for item in mine {
                    if done.send(make(item)).is_err() {
                        return; // nobody takes any more
                    }
                }
            };
            let thread = Builder::new().name("side by side".to_owned()).spawn_scoped(scope, share);
            thread.is_ok().then_some((give, results))
        };
        let (lanes, results): (Vec<Sender<T>>, Vec<Receiver<R>>) = (0..threads).filter_map(lane).unzip();
        if lanes.is_empty() {
            return items.into_iter().try_for_each(|item| take(make(item)));
        }
        let count = items.len();
        for (i, item) in items.into_iter().enumerate() {
            lanes[i % lanes.len()]
                .send(item)
                .expect("a thread ends early only when it panics, which ends this");
        }
        drop(lanes);
        (0..count).try_for_each(|i| {
            let result = results[i % results.len()].recv();
            take(result.expect("a thread ends early only when it panics, which ends this"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        let twice_until = |last: usize, count: usize| {
            let mut taken = Vec::new();
            let end = side_by_side(
                (0..count).collect(),
                |item| (item, item * 2),
                |(item, twice)| {
                    taken.push(twice);
                    if item == last { Err("enough") } else { Ok(()) }
                },
            );
            (end, taken)
        };
        let doubles = |count: usize| (0..count).map(|i| i * 2).collect::<Vec<_>>();
        assert_eq!(twice_until(700, 1_000), (Err("enough"), doubles(701)));
        assert_eq!(twice_until(1_000, 1_000), (Ok(()), doubles(1_000)));
        assert_eq!(twice_until(1, 1), (Ok(()), doubles(1)));
        assert_eq!(twice_until(0, 0), (Ok(()), doubles(0)));
    }
}
