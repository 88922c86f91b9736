//! A soak: a small country of real processes, everything that happens to them by chance, and proof at the end.
//!
//! ```text
//! desk     a thread at a node: takes calls and acts on tickets all the while, and remembers what was acknowledged
//! trouble  what happens: cuts, kills, sticks of every kind, backups put back
//! proof    the end: everything healed, every pair proved equal within a bound, every node verified, nothing lost
//! ```
//!
//! Chance comes from one seed, but threads and processes run as they like: the same seed brings the same kind of hour,
//! and not the same one. What a run found stands in what it printed.

mod desk;
mod proof;
mod trouble;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::city::{Network, Program};

/// The nodes; the last is the office, which has no line.
const NODES: [&str; 7] = ["000000", "370000", "320000", "370100", "370200", "320100", OFFICE];

/// The lines.
const LINES: [(&str, &str); 6] = [
    ("000000", "370000"),
    ("000000", "320000"),
    ("370000", "370100"),
    ("370000", "370200"),
    ("320000", "320100"),
    ("370100", "370200"),
];

/// The site without a line, and where its sticks go.
const OFFICE: &str = "370100-01";
const CITY: &str = "370100";

/// How long it lasts, and how hard it is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// How long troubles go on.
    pub lasts: Duration,
    /// Within what time everything must be proved equal after them.
    pub settles_within: Duration,
    /// The mean rest of a desk between two deeds.
    pub pause: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            seed: 1,
            lasts: Duration::from_secs(60 * 60),
            settles_within: Duration::from_secs(10 * 60),
            pause: Duration::from_millis(250),
        }
    }
}

/// splitmix64: enough for who comes next.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn hits(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}

/// What a node said to be done.
#[derive(Default)]
struct Acknowledged {
    /// Tickets, with the node that took the call.
    tickets: Vec<(&'static str, String)>,
    /// Entries of trails: the node, the ticket, the entry.
    entries: Vec<(&'static str, String, String)>,
    /// What was not granted, or not heard: nothing was promised.
    refused: u64,
}

/// What all threads share.
struct Shared {
    over: AtomicBool,
    /// Desks that rest, because their node is about to be put back from a backup.
    resting: Mutex<BTreeSet<&'static str>>,
    /// Desks that have seen that they rest.
    rests: Mutex<BTreeSet<&'static str>>,
    acknowledged: Mutex<Acknowledged>,
}

/// Runs it. The words of a good end, or everything that is wrong.
pub fn soak(program: &Program, plan: &Plan, say: &dyn Fn(&str)) -> Result<String, Vec<String>> {
    let mut network = Network::new(program, &NODES);
    LINES.iter().for_each(|(a, b)| network.link(a, b));
    let record = network.at(CITY).join("identity/record");
    network.ask(OFFICE, &["cert", "admit", record.to_str().expect("a plain path")]);
    network.start_all();
    let shared = Shared {
        over: AtomicBool::new(false),
        resting: Mutex::default(),
        rests: Mutex::default(),
        acknowledged: Mutex::default(),
    };
    let places: Vec<(&'static str, PathBuf)> = NODES.iter().map(|node| (*node, network.at(node))).collect();
    let sticks = tempfile::tempdir().expect("a directory");
    let told = std::thread::scope(|scope| {
        // Whatever ends this block lets the desks end, too.
        let _end = End(&shared.over);
        for (n, (node, dir)) in places.iter().enumerate() {
            let (shared, dice) = (&shared, Dice(plan.seed ^ (n as u64 + 1) << 32));
            scope.spawn(move || desk::sit(node, dir, plan.pause, dice, shared));
        }
        live(&mut network, plan, &shared, &sticks, say)
    });
    say(&format!("troubles are over: {told}"));
    let acknowledged = shared.acknowledged.into_inner().unwrap_or_else(|e| e.into_inner());
    proof::prove(&mut network, plan, &acknowledged, &sticks, say)
}

/// Ends the desks when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Troubles until the time is over, and a line a minute.
fn live(network: &mut Network, plan: &Plan, shared: &Shared, sticks: &TempDir, say: &dyn Fn(&str)) -> String {
    let (began, mut minute) = (Instant::now(), 1);
    let mut troubles = trouble::Troubles::new(Dice(plan.seed), sticks.path());
    while began.elapsed() < plan.lasts {
        troubles.next(network, shared);
        if began.elapsed().as_secs() >= 60 * minute {
            say(&format!("minute {minute}: {}; {}", troubles.told(), acknowledged(shared)));
            minute += 1;
        }
    }
    format!("{}; {}", troubles.told(), acknowledged(shared))
}

fn acknowledged(shared: &Shared) -> String {
    let all = shared.acknowledged.lock().unwrap_or_else(|e| e.into_inner());
    format!(
        "{} tickets and {} entries acknowledged, {} requests refused or unheard",
        all.tickets.len(),
        all.entries.len(),
        all.refused
    )
}
