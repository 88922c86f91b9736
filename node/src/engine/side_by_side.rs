//! Work of one transaction on all cores, its results taken in order.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, available_parallelism, scope};

/// How many threads one who takes results keeps busy, about.
pub(super) const THREADS: usize = 8;

/// How many results a thread may be ahead of who takes them.
pub(super) const AHEAD: usize = 16;

/// Works on the items with as many threads as there are cores, and hands the results on in order on this thread, while
/// the others go on working. Ends at the first error of `take`. What a thread should have done that the system did not
/// give is done here.
pub(super) fn side_by_side<T: Sync, R: Send, E>(
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS).min(items.len());
    let mut numbered = items.iter().enumerate();
    if threads < 2 {
        return numbered.try_for_each(|(i, item)| take(work(i, item)));
    }
    scope(|scope| {
        // Each of n threads has every n-th item and a channel of its own: so the order needs no sorting.
        let lanes: Vec<Option<Receiver<R>>> = (0..threads)
            .map(|lane| {
                let (done, results) = sync_channel(AHEAD);
                let (work, mine) = (&work, numbered.clone().skip(lane).step_by(threads));
                let share = move || {
                    for (i, item) in mine {
                        if done.send(work(i, item)).is_err() {
                            return; // nobody takes any more
                        }
                    }
                };
                let thread = Builder::new().name("side by side".to_owned()).spawn_scoped(scope, share);
                thread.is_ok().then_some(results)
            })
            .collect();
        numbered.try_for_each(|(i, item)| match &lanes[i % threads] {
            Some(results) => {
                take(results.recv().expect("a thread ends early only when it panics, which ends this"))
            }
            None => take(work(i, item)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        let items: Vec<usize> = (0..1_000).collect();
        let twice_until = |last: usize, items: &[usize]| {
            let mut taken = Vec::new();
            let end = side_by_side(
                items,
                |i, item| (i, item * 2),
                |(i, twice)| {
                    taken.push(twice);
                    if i == last { Err("enough") } else { Ok(()) }
                },
            );
            (end, taken)
        };
        let doubles = |count: usize| (0..count).map(|i| i * 2).collect::<Vec<_>>();
        assert_eq!(twice_until(700, &items), (Err("enough"), doubles(701)));
        assert_eq!(twice_until(1_000, &items), (Ok(()), doubles(1_000)));
        assert_eq!(twice_until(1, &items[..1]), (Ok(()), doubles(1)));
        assert_eq!(twice_until(0, &[]), (Ok(()), doubles(0)));
    }
}
