//! Sabotage on purpose: each defect is put into every node of the world, and a named invariant must catch it.
//!
//! What is proved is that the invariants have teeth: a campaign that passes says something only because these fail.
//! Of each defect the first seed that notices, of so many, must break the invariant beside it and no other; and there is
//! no invariant without a defect that it is the first to catch.
//!
//! Resumption, which these worlds have no sessions for, is sabotaged where sessions are (certs/tests/links.rs); the same
//! answers too soon and logs that are not synced are sabotaged once more with the real binary (tests/sweep.rs).

use world::world::campaign::{Length, run};
use world::world::check;
use world::world::plan::WITH_PERSONS;
use world::world::sabotage::Sabotage;

/// Which invariant catches which defect, within how many seeds from which on.
const CAUGHT: [(&str, Sabotage, u64, u64); 19] = [
    (check::NOT_LOST, Sabotage::AnswerFirst, 0, 40),
    (check::NOT_LOST, Sabotage::LazyDisk, 0, 40),
    (check::NOT_INVENTED, Sabotage::BlindSeals, 0, 60),
    (check::ONE_PLACE, Sabotage::FixedActor, 0, 40),
    (check::SETTLES, Sabotage::OneSide, 0, 10),
    (check::FOLDS_EQUAL, Sabotage::CrookedFold, 0, 60),
    (check::ONE_CUSTODIAN, Sabotage::Possessive, 0, 60),
    (check::CLOSE_KNEW, Sabotage::HastyClose, 0, 60),
    (check::AUDIENCE, Sabotage::OpenAudience, 0, 10),
    (check::AUDIENCE_GROWS, Sabotage::Forgetful, 0, 60),
    (check::OWN_GATE, Sabotage::StaleParents, 0, 10),
    (check::NO_PANIC, Sabotage::Brittle, 0, 60),
    (check::DIGEST, Sabotage::LostRows, 0, 10),
    (check::WHOLE, Sabotage::BitRot, 0, 10),
    (check::CONTENT, Sabotage::SpoiltPieces, WITH_PERSONS, 30),
    (check::ERASED, Sabotage::KeptKeys, WITH_PERSONS, 30),
    (check::SHOWN, Sabotage::OpenHanded, WITH_PERSONS, 30),
    (check::ENTITLED, Sabotage::Miser, WITH_PERSONS, 30),
    (check::SETTLES, Sabotage::LostSticks, WITH_PERSONS, 60),
];

fn caught(sabotage: Sabotage) {
    let length = Length { events: 100, days: 0 };
    for (by, _, first, seeds) in CAUGHT.into_iter().filter(|(_, s, ..)| *s == sabotage) {
        let found =
            (first..first + seeds).find_map(|seed| Some((seed, run(seed, length, sabotage).1.err()?)));
        let Some((seed, (violation, log))) = found else {
            panic!("{sabotage:?} went unnoticed in {seeds} seeds");
        };
        println!("{sabotage:?}: seed {seed} after {} events: {violation}", log.len());
        assert_eq!(violation.invariant, by, "{sabotage:?} broke something else: {violation}");
    }
}

#[test]
fn every_invariant_is_the_first_to_catch_something() {
    for invariant in check::ALL {
        assert!(
            CAUGHT.iter().any(|(by, ..)| *by == invariant),
            "nothing shows that this has teeth: {invariant}"
        );
    }
}

#[test]
fn an_answer_before_fsync_is_caught() {
    caught(Sabotage::AnswerFirst);
}

#[test]
fn a_disk_that_does_not_sync_is_caught() {
    caught(Sabotage::LazyDisk);
}

#[test]
fn seals_that_nobody_checks_are_caught() {
    caught(Sabotage::BlindSeals);
}

#[test]
fn an_actor_used_again_after_a_restart_is_caught() {
    caught(Sabotage::FixedActor);
}

#[test]
fn a_side_that_throws_away_what_the_other_sends_is_caught() {
    caught(Sabotage::OneSide);
}

#[test]
fn a_fold_that_reads_the_order_of_arrival_is_caught() {
    caught(Sabotage::CrookedFold);
}

#[test]
fn a_desk_that_never_lets_go_is_caught() {
    caught(Sabotage::Possessive);
}

#[test]
fn a_proposal_shown_as_a_close_is_caught() {
    caught(Sabotage::HastyClose);
}

#[test]
fn an_audience_that_is_ignored_is_caught() {
    caught(Sabotage::OpenAudience);
}

#[test]
fn an_audience_that_shrinks_is_caught() {
    caught(Sabotage::Forgetful);
}

#[test]
fn a_desk_that_has_not_read_what_it_writes_on_is_caught() {
    caught(Sabotage::StaleParents);
}

#[test]
fn a_node_that_a_newer_version_stops_is_caught() {
    caught(Sabotage::Brittle);
}

#[test]
fn rows_that_vanish_are_caught() {
    caught(Sabotage::LostRows);
}

#[test]
fn bits_that_flip_are_caught() {
    caught(Sabotage::BitRot);
}

#[test]
fn pieces_that_rot_are_caught() {
    caught(Sabotage::SpoiltPieces);
}

#[test]
fn keys_that_outlive_their_mark_are_caught() {
    caught(Sabotage::KeptKeys);
}

#[test]
fn keys_for_everybody_are_caught() {
    caught(Sabotage::OpenHanded);
}

#[test]
fn keys_that_are_kept_from_their_readers_are_caught() {
    caught(Sabotage::Miser);
}

#[test]
fn sticks_that_are_answered_and_thrown_away_are_caught() {
    caught(Sabotage::LostSticks);
}
