//! Sabotage on purpose: each defect is put into every node of the world, and a named invariant must catch it.
//!
//! What is proved is that the invariants have teeth: a campaign that passes says something only because these fail.

use world::world::campaign::{Length, run};
use world::world::check;
use world::world::sabotage::Sabotage;

/// The first seed that notices, of so many, must break this invariant.
fn caught(sabotage: Sabotage, seeds: u64, by: &[&str]) {
    let length = Length { events: 100, days: 0 };
    for seed in 0..seeds {
        if let (_, Err((violation, log))) = run(seed, length, sabotage) {
            println!("{sabotage:?}: seed {seed} after {} events: {violation}", log.len());
            assert!(by.contains(&violation.invariant), "{sabotage:?} broke something else: {violation}");
            return;
        }
    }
    panic!("{sabotage:?} went unnoticed in {seeds} seeds");
}

#[test]
fn an_answer_before_fsync_is_caught() {
    caught(Sabotage::AnswerFirst, 40, &[check::NOT_LOST]);
}

#[test]
fn a_disk_that_does_not_sync_is_caught() {
    caught(Sabotage::LazyDisk, 40, &[check::NOT_LOST]);
}

#[test]
fn seals_that_nobody_checks_are_caught() {
    caught(Sabotage::BlindSeals, 60, &[check::NOT_INVENTED]);
}

#[test]
fn an_actor_used_again_after_a_restart_is_caught() {
    caught(Sabotage::FixedActor, 40, &[check::ONE_PLACE]);
}

#[test]
fn a_side_that_throws_away_what_the_other_sends_is_caught() {
    caught(Sabotage::OneSide, 10, &[check::SETTLES]);
}

#[test]
fn a_fold_that_reads_the_order_of_arrival_is_caught() {
    caught(Sabotage::CrookedFold, 60, &[check::FOLDS_EQUAL]);
}

#[test]
fn an_audience_that_is_ignored_is_caught() {
    caught(Sabotage::OpenAudience, 10, &[check::AUDIENCE]);
}
