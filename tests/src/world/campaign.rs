//! Many seeds: run, shrink what fails, and refuse to call a campaign passed that did not meet every fault.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use super::check::NO_PANIC;
use super::event::Event;
use super::net::Pair;
use super::plan::{Plan, nodes};
use super::sabotage::Sabotage;
use super::{Checked, START_MS, Violation, World};

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// At least so many events.
    pub events: usize,
    /// And at least so many days of the world's time.
    pub days: u64,
}

/// How often something was met.
pub type Seen = BTreeMap<&'static str, u64>;

/// A seed that broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What broke.
    pub violation: Violation,
    /// The events up to it, with those left out that it does not need.
    pub events: Vec<Event>,
    /// How many there were at first.
    pub first: usize,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Turns a panic into a violation. The gate contains panics of automerge; those are no violation and make no noise.
fn contained(work: impl FnOnce() -> Checked) -> Checked {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|q| *q) {
                PANIC.with_borrow_mut(|p| *p = Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
    QUIET.with_borrow_mut(|q| *q = true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.with_borrow_mut(|q| *q = false);
    result.unwrap_or_else(|_| {
        let detail = PANIC.with_borrow_mut(Option::take).unwrap_or_default();
        Err(Violation { invariant: NO_PANIC, detail })
    })
}

/// The world of a seed before anything happens in it.
fn found(seed: u64, sabotage: Sabotage) -> (World, Plan) {
    let names = nodes(seed);
    let mut plan = Plan::new(seed);
    let paths: Vec<Pair> = plan.second_paths(names.len());
    let mut world = World::new(seed, &names, sabotage);
    paths.into_iter().for_each(|p| world.want(p));
    if let Some(office) = plan.without_line(&names) {
        world.take_line(office);
    }
    (world, plan)
}

/// Runs one seed: act one, then act two.
pub fn run(seed: u64, length: Length, sabotage: Sabotage) -> (Seen, Result<(), (Violation, Vec<Event>)>) {
    let (mut world, mut plan) = found(seed, sabotage);
    let mut log = Vec::new();
    let result = contained(|| {
        let end = START_MS + length.days * 86_400_000;
        while log.len() < length.events || world.now < end {
            let event = plan.next(&world);
            log.push(event.clone());
            world.apply(&event)?;
        }
        world.finish()
    });
    (std::mem::take(&mut world.seen), result.map_err(|violation| (violation, log)))
}

/// Applies a list of events in a seed's world, then heals it.
///
/// # Errors
/// The first invariant that does not hold.
pub fn replay(seed: u64, events: &[Event], sabotage: Sabotage) -> Checked {
    let (mut world, _) = found(seed, sabotage);
    contained(|| {
        events.iter().try_for_each(|event| world.apply(event))?;
        world.finish()
    })
}

/// Leaves out what the failure does not need, in at most `tries` replays.
fn shrink(
    seed: u64,
    invariant: &str,
    mut events: Vec<Event>,
    sabotage: Sabotage,
    tries: usize,
) -> Vec<Event> {
    let fails = |list: &[Event]| replay(seed, list, sabotage).is_err_and(|v| v.invariant == invariant);
    if !fails(&events) {
        return events; // it needs the drawing itself; the seed replays it
    }
    let mut size = events.len().div_ceil(2);
    let mut tried = 0;
    while size > 0 && tried < tries {
        let mut at = 0;
        while at < events.len() && tried < tries {
            let mut fewer = events.clone();
            fewer.drain(at..(at + size).min(events.len()));
            tried += 1;
            if fails(&fewer) {
                events = fewer;
            } else {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    events
}

/// Runs one seed and shrinks what fails.
pub fn try_seed(seed: u64, length: Length, sabotage: Sabotage, tries: usize) -> (Seen, Option<Failure>) {
    let (seen, result) = run(seed, length, sabotage);
    let failure = result.err().map(|(violation, log)| {
        let first = log.len();
        let events = shrink(seed, violation.invariant, log, sabotage, tries);
        Failure { seed, violation, events, first }
    });
    (seen, failure)
}

/// Runs these seeds on as many threads as there are cores; stops at the first `most` failures.
pub fn campaign(
    seeds: &[u64],
    length: Length,
    most: usize,
    mut told: impl FnMut(u64, &Seen, Option<&Failure>),
) -> (Seen, Vec<Failure>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let stop = AtomicU64::new(0);
    let (send, receive) = mpsc::channel();
    let mut all = Seen::new();
    let mut failures = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let send = send.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while stop.load(Ordering::Relaxed) == 0
                    && let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize)
                {
                    let done = try_seed(*seed, length, Sabotage::Nothing, 80);
                    if send.send((*seed, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (seed, (seen, failure)) in receive {
            told(seed, &seen, failure.as_ref());
            for (what, times) in seen {
                let total = all.entry(what).or_default();
                *total = if what.starts_with("longest") { (*total).max(times) } else { *total + times };
            }
            failures.extend(failure);
            if failures.len() >= most {
                stop.store(1, Ordering::Relaxed);
            }
        }
    });
    (all, failures)
}

impl Failure {
    /// For a person: what broke, the events, and how to see it again.
    pub fn report(&self, length: Length) -> String {
        let mut text = format!(
            "seed {}: {}\n{} of {} events are enough:\n",
            self.seed,
            self.violation,
            self.events.len(),
            self.first
        );
        let skipped = self.events.len().saturating_sub(60);
        if skipped > 0 {
            let _ = writeln!(text, "  ... {skipped} before these");
        }
        for event in self.events.iter().skip(skipped) {
            let _ = writeln!(text, "  {event:?}");
        }
        let nodes: Vec<String> = nodes(self.seed).iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "machines: {}", nodes.join(" "));
        let _ = write!(
            text,
            "again: cargo run --release -p world --bin world -- --seed {} --seeds 1 --events {} --days {}",
            self.seed, length.events, length.days
        );
        text
    }
}

/// Faults and rare states with how often 100 seeds must meet each, or the campaign proves nothing.
pub const DUTY: &[(&str, u64)] = &[
    ("a backup restored", 20),
    ("a clock ahead", 12),
    ("a clock back", 12),
    ("a disk cloned", 12),
    ("a huge note", 4),
    ("a link cut", 40),
    ("a link cut amid a sequence of frames", 12),
    ("a link cut with frames on their way", 2),
    ("a link that goes one way", 12),
    ("a node revoked", 4),
    ("a power cut", 12),
    ("a second connection of one node refused", 100),
    ("a slow link", 25),
    ("crash after the commit, before the effects", 8),
    ("crash amid the effects", 8),
    ("crash before sealing", 8),
    ("crash before the commit", 8),
    ("frames lost and sent again", 20),
    ("frames that come twice", 5),
    ("frames that vanish for good", 3),
    ("lanes that overtake each other", 30),
    ("lie: a bomb", 2),
    ("lie: a change against the rules", 2),
    ("lie: a change that names what it was not made on", 1),
    ("lie: a false answer", 2),
    ("lie: a false digest", 2),
    ("lie: a false hello", 2),
    ("lie: a false sketch", 2),
    ("lie: a false want", 2),
    ("lie: an invented ticket", 3),
    ("lie: an oversized frame", 3),
    ("lie: changes without parents", 2),
    ("lie: false records", 2),
    ("lie: nonsense", 3),
    ("lie: two changes with one number", 2),
    ("relay: a frame altered", 1),
    ("relay: an item altered", 10),
    ("relay: answers for what was thrown away", 1),
    ("relay: answers withheld", 1),
    ("relay: batches left out", 1),
    ("relay: every frame twice", 5),
    ("relay: items left out", 10),
    ("relay: refusals invented", 1),
    ("a field of a newer version", 3),
    ("a frame of a newer version", 3),
    ("an item of a newer version", 3),
    ("an op of a newer version", 3),
    ("a ticket that only a newer version understands", 4),
    ("a word that a superior overruled", 8),
    ("an entry that another had gone before", 1),
    ("an entry that its author might not write", 20),
    ("accept", 10),
    ("assign", 30),
    ("close", 30),
    ("decline", 3),
    ("escalate", 15),
    ("offer", 50),
    ("withdraw", 5),
    ("a tie between replicas or forks", 4),
    ("an accept that came too late", 4),
    ("a running node copied", 4),
    ("a caller who is named", 100),
    ("a confidential report", 30),
    ("a caller erased", 30),
    ("a mark that its author may not write", 1),
    ("a grant that came after its mark", 5),
    ("a grant by a holder", 20),
    ("a grant by a holder that had waited", 1),
    ("a grant on request", 2),
    ("a vault lost", 5),
    ("a file attached", 30),
    ("a file fetched", 30),
    ("a file held in part", 4),
    ("a stick written", 60),
    ("a stick that was not written to its end", 1),
    ("a stick read", 50),
    ("a torn stick read", 10),
    ("a damaged stick read", 4),
    ("a stick read in the opposite order", 4),
    ("a stick read twice", 4),
    ("a bundle that brought something", 10),
    ("an answer to a bundle", 10),
    ("an answer to a bundle over a link", 1),
    ("an item of a bundle that waits", 1),
    ("a piece of a file in a bundle", 1),
    ("proved equal by a bundle", 30),
    ("found different by a bundle", 10),
    ("a parcel of others on a stick", 10),
    ("a part of a stick for two nodes", 10),
    ("a parcel carried on by a stick", 10),
    ("told: a copy of this node runs", 2),
    ("told: a chain forks", 20),
    ("told: a peer misbehaved", 50),
    ("told: a repair begins", 50),
    ("told: an item refused", 5),
    ("told: nodes were revoked", 10),
    ("told: repaired", 50),
    ("told: this node is an old copy of itself", 20),
];

/// The same of worlds with articles.
pub const ARTICLES: &[(&str, u64)] = &[
    ("an article", 40),
    ("an article revised", 4),
    ("an article reviewed", 30),
    ("an article published", 30),
    ("an article withdrawn", 4),
    ("an article proposed", 4),
    ("an article in force", 40),
    ("an article out of force", 4),
    ("a word on an article without effect", 30),
];

/// What of a duty was not met in so many seeds.
pub fn unmet(duty: &[(&'static str, u64)], seen: &Seen, seeds: u64) -> Vec<String> {
    let short = |(what, per_hundred): &(&'static str, u64)| {
        let (met, due) = (seen.get(what).copied().unwrap_or(0), per_hundred * seeds / 100);
        (met < due).then(|| format!("{what}: {met} times, {due} are due"))
    };
    duty.iter().filter_map(short).collect()
}

/// Seeds that once broke an invariant, with the story of each. They run first.
pub const REGRESSIONS: &[(u64, &str)] = &[
    (8, "what a clone wrote came to a peer of the other while they were linked, and nobody began the repair"),
    (46, "a clone of a clone, of two nodes at once: the way home for its words is not the shortest"),
    (62, "two replicas of a province vouched for one node with the same bytes"),
];
