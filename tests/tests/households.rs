//! Persons and files over real engines, by chance: who sees whom, what is erased, what a file is.

use std::collections::BTreeMap;

use world::household::Household;

/// How often so many seeds must meet each, or they prove nothing.
const DUTY: [(&str, u64); 14] = [
    ("a call", 20),
    ("a confidential report", 8),
    ("an act", 30),
    ("a grant on request", 1),
    ("a caller erased", 3),
    ("a file attached", 8),
    ("a restart", 8),
    ("both files put back", 1),
    ("an old vault beside a new database", 1),
    ("an old database beside a new vault", 1),
    ("a vault that is gone", 1),
    ("an erased caller whom nobody sees", 2),
    ("a caller whom all see who may", 20),
    ("a file read elsewhere", 5),
];

fn seeds() -> u64 {
    std::env::var("HOUSEHOLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

#[test]
fn households_lived_in_by_chance_keep_their_secrets() {
    if let Some(seed) = std::env::var("HOUSEHOLD").ok().and_then(|n| n.parse().ok()) {
        return Household::new(seed).live(60); // one that failed, once more
    }
    let mut all: BTreeMap<&str, u64> = BTreeMap::new();
    let unmet = |all: &BTreeMap<&str, u64>| -> Vec<(&str, u64)> {
        DUTY.into_iter().filter(|(what, due)| all.get(what).copied().unwrap_or(0) < *due).collect()
    };
    // Real engines draw real entropy, so what a seed meets varies a little: a few more are lived when a state is missing.
    for seed in 0..4 * seeds() {
        if seed >= seeds() && unmet(&all).is_empty() {
            break;
        }
        println!("seed {seed}");
        let mut household = Household::new(seed);
        household.live(60);
        household.seen.iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
    }
    println!("{all:#?}");
    let unmet = unmet(&all);
    assert!(unmet.is_empty(), "these seeds do not count: {unmet:?}");
}
