//! The simulated world: scenarios in ten lines, and a few hundred seeds of everything.

use sync::item::State;
use sync::replica::Event;
use world::world::World;
use world::world::campaign::{ARTICLES, DUTY, Length, REGRESSIONS, campaign, unmet};
use world::world::event::Deed;
use world::world::lie::Lie;
use world::world::machine::CrashPoint;
use world::world::net::Weather;
use world::world::plan::WITH_ARTICLES;
use world::world::tamper::Tamper;

const TREE: [&str; 8] = ["000000", "370000", "370100", "370200", "370100-01", "510000", "510100", "510700"];

#[test]
fn a_week_with_every_link_cut_and_then_all_converge() {
    let mut w = World::of(&TREE);
    w.cut_all();
    let mut last = Vec::new();
    for day in 0..7u32 {
        for city in ["370100", "370200", "510100", "510700", "370100-01"] {
            let t = w.call(city);
            for deed in [Deed::Dispatch, Deed::Feedback, Deed::Reply, Deed::Close] {
                w.act(city, t, deed);
            }
            if day == 6 {
                last.push(t);
            }
        }
        w.pass_ms(86_400_000);
    }
    w.converges();
    last.into_iter().for_each(|t| assert_eq!(w.stage("000000", t).name(), "closed"));
}

#[test]
fn a_superiors_assign_beats_an_accept_that_had_not_heard_of_it() {
    let mut w = World::of(&TREE);
    let t = w.call("370100");
    w.offer("370100", t, "370200");
    w.rests();
    w.partition("370200", "370000");
    w.assign("370000", t, "370100");
    w.act("370200", t, Deed::Accept);
    w.note("370200", t, 40);
    w.converges();
    for node in ["370100", "370200", "370000", "000000"] {
        assert_eq!(w.custodian(node, t), "370100", "{node}");
        assert_eq!(w.superseded(node, t).len(), 1, "{node}");
    }
}

#[test]
fn up_and_down_the_tiers_with_each_link_cut_in_turn() {
    let mut w = World::of(&TREE);
    let t = w.call("370100");
    let way = ["370100", "370000", "000000", "510000", "510100"];
    for step in way.windows(2) {
        w.partition(step[0], step[1]);
        w.offer(step[0], t, step[1]);
        w.pass_ms(3_600_000);
        assert_eq!(w.custodian(step[0], t), step[0]);
        w.mend(step[0], step[1]);
        w.rests();
        w.act(step[1], t, Deed::Accept);
        w.rests();
    }
    w.converges();
    for node in way {
        assert_eq!(w.custodian(node, t), "510100", "{node}");
    }
    assert!(!w.holds("370200", t) && !w.holds("510700", t), "cities that have no part in it");
}

#[test]
fn straight_across_to_a_city_that_is_reached_through_three_others() {
    let mut w = World::of(&TREE);
    let t = w.call("370100");
    w.partition("000000", "510000");
    w.offer("370100", t, "510100");
    w.pass_ms(60_000);
    assert!(!w.holds("510100", t));
    w.mend("000000", "510000");
    w.rests();
    w.partition("370000", "370100");
    w.act("510100", t, Deed::Accept);
    w.pass_ms(60_000);
    assert_eq!(w.custodian("370100", t), "370100", "it has not heard");
    w.converges();
    assert_eq!(w.custodian("370100", t), "510100");
}

#[test]
fn two_replicas_of_a_province_act_at_once_and_the_close_is_a_proposal() {
    let mut w = World::of(&["000000", "370000", "370000-b", "370100"]);
    let t = w.call("370000");
    w.rests();
    w.cut_all();
    w.act("370000", t, Deed::Close);
    w.offer("370000-b", t, "370100");
    w.converges();
    for node in ["370000", "370000-b", "370100"] {
        assert_eq!(w.stage(node, t).name(), "offered", "{node}");
    }
}

#[test]
fn a_province_goes_on_with_its_second_replica() {
    let mut w = World::of(&["000000", "370000", "370000-b", "370100", "370200"]);
    w.stop("370000");
    let t = w.call("370100");
    w.offer("370100", t, "370200");
    w.rests();
    w.assign("370000-b", t, "370200");
    w.pass_ms(86_400_000);
    assert_eq!(w.custodian("370200", t), "370200");
    w.converges();
    assert_eq!(w.custodian("370000", t), "370200");
}

#[test]
fn a_stale_assign_has_no_effect_once_the_ministry_has_confirmed() {
    let mut w = World::of(&TREE);
    let t = w.call("370100");
    w.rests();
    w.offer("370100", t, "510100");
    w.rests();
    w.partition("370000", "000000");
    w.partition("370000", "370100");
    w.pass_ms(1_000);
    w.act("510100", t, Deed::Accept);
    w.pass_ms(60_000);
    w.assign("370000", t, "370200");
    w.converges();
    for node in ["370100", "370000", "510100", "000000"] {
        assert_eq!(w.custodian(node, t), "510100", "{node}");
        assert!(!w.superseded(node, t).is_empty(), "{node}");
    }
}

#[test]
fn what_was_saved_survives_a_crash_at_every_point() {
    for point in CrashPoint::ALL {
        for after in 0..6 {
            let mut w = World::of(&["000000", "370000", "370100"]);
            w.crash("370000", after, point);
            let t = w.call("370100");
            w.note("370100", t, 100);
            w.offer("370100", t, "370000");
            w.pass_ms(2_000);
            w.starts("370000");
            w.rests();
            w.act("370000", t, Deed::Accept);
            w.converges();
            assert_eq!(w.custodian("000000", t), "370000", "{point:?} {after}");
        }
    }
}

#[test]
fn a_backup_from_last_week_heals_by_itself_even_twice() {
    let mut w = World::of(&["000000", "370000", "370100"]);
    let old = w.call("370100");
    w.rests();
    w.backup("370100");
    let later: Vec<_> = (0..20).map(|_| w.call("370100")).collect();
    w.act("370100", old, Deed::Reply);
    w.pass_ms(7 * 86_400_000);
    for _ in 0..2 {
        w.restore("370100", 0);
        let t = w.call("370100");
        w.rests();
        assert!(w.holds("370000", t));
        later.iter().for_each(|t| assert!(w.holds("370100", *t)));
        assert!(w.was_told("370100", |e| matches!(e, Event::Restored { .. })));
    }
    w.converges();
}

#[test]
fn two_clones_at_once_are_noticed_and_lose_nothing() {
    let mut w = World::of(&["000000", "370000", "370100"]);
    let t = w.call("370100");
    w.rests();
    w.partition("370000", "370100");
    let clone = w.cloned("370100");
    for _ in 0..3 {
        w.call("370100");
        w.call_on(clone);
    }
    w.act("370100", t, Deed::Reply);
    w.converges();
    let noticed =
        |e: &Event| matches!(e, Event::Forked { .. } | Event::Restored { .. } | Event::Cloned { .. });
    assert!(w.was_told("370000", noticed) || w.was_told("370100", noticed));
}

#[test]
fn a_copy_of_a_running_node_is_noticed_and_holds_up_nothing() {
    let mut w = World::of(&["000000", "370000", "370100", "370200", "370200-01"]);
    w.partition("370200", "370200-01");
    let t = w.call("370200-01");
    w.copied("370200-01");
    w.act("370200-01", t, Deed::Dispatch);
    w.converges();
}

#[test]
fn a_relay_that_alters_drops_or_answers_falsely_is_found_out() {
    for tamper in Tamper::ALL {
        let mut w = World::of(&["000000", "370000", "370100"]);
        w.relay("370100", "370000", tamper);
        w.relay("370000", "370100", tamper);
        let t = w.call("370100");
        w.pass_ms(600_000);
        w.note("370100", t, 50);
        w.pass_ms(600_000);
        w.converges();
        assert!(w.holds("000000", t), "{tamper:?}");
    }
}

#[test]
fn a_peer_that_lies_harms_nobody() {
    for lie in Lie::ALL {
        let mut w = World::of(&["000000", "370000", "370100", "370200"]);
        let t = w.call("370100");
        w.rests();
        w.lies("370100", "370000", lie);
        w.pass_ms(5_000);
        let during = w.call("370200");
        w.pass_ms(60_000);
        assert!(w.holds("370000", during), "{lie:?}");
        w.converges();
        assert_eq!(w.custodian("000000", t), "370100", "{lie:?}");
    }
}

#[test]
fn a_change_against_the_rules_is_refused_everywhere_and_counted_everywhere() {
    let mut w = World::of(&["000000", "370000", "370100"]);
    w.call("370100");
    w.rests();
    w.lies("370100", "370000", Lie::RuleBreaker);
    w.pass_ms(5_000);
    w.converges();
    for node in ["000000", "370000", "370100"] {
        assert_eq!(w.items(node, State::Refused), 1, "{node}");
    }
}

#[test]
fn a_revoked_node_is_cut_off_and_its_later_words_do_not_count() {
    let mut w = World::of(&TREE);
    let t = w.call("370100");
    w.rests();
    w.partition("370000", "000000");
    w.revokes("370000", "370100");
    w.pass_ms(60_000);
    w.converges();
    assert_eq!(w.custodian("000000", t), "370100", "what it said before stands");
    assert!(w.was_told("000000", |e| matches!(e, Event::Revoked { .. })));
    let after = w.call("370100");
    w.pass_ms(600_000);
    assert!(!w.holds("370000", after));
}

/// The ministry, which revokes a province's node, has no part in most of its tickets: the province's other node vouches.
#[test]
fn what_a_revoked_city_wrote_counts_where_its_ticket_goes_afterwards() {
    let mut w = World::of(&TREE);
    let t = w.call_unreported("370100");
    w.rests();
    w.call_unreported("370100");
    w.rests();
    w.revokes("370000", "370100");
    w.pass_ms(60_000);
    w.assign("370000", t, "370200");
    w.converges();
    // 370200 lacks the last seal that counts, by which the chain is found: the province vouches when the ticket goes there.
    assert_eq!(w.custodian("370200", t), "370200");
}

#[test]
fn what_a_revoked_replica_wrote_in_time_counts_where_the_revoker_holds_nothing() {
    let mut w = World::of(&["000000", "370000", "370000-b", "370100", "370200"]);
    let t = w.call_unreported("370100");
    w.rests();
    w.assign("370000", t, "370200");
    w.rests();
    w.call("370000");
    w.rests();
    assert!(!w.holds("000000", t));
    w.revokes("000000", "370000");
    w.converges();
    for node in ["370000-b", "370100", "370200"] {
        assert_eq!(w.custodian(node, t), "370200", "{node}");
    }
}

#[test]
fn clocks_that_are_wrong_by_decades_change_nothing() {
    let mut w = World::of(&TREE);
    for (node, days) in [("370000", -57 * 365), ("370100", 3650), ("510000", -365)] {
        w.clock_off(node, days);
    }
    let t = w.call("370100");
    w.offer("370100", t, "510100");
    w.rests();
    w.clock_off("370000", 3650);
    w.clock_off("510000", -20 * 365);
    w.act("510100", t, Deed::Accept);
    w.converges();
    assert_eq!(w.custodian("370100", t), "510100");
}

#[test]
fn a_link_that_goes_one_way_ends_and_heals() {
    for (from, to) in [("370000", "370100"), ("370100", "370000")] {
        let mut w = World::of(&["000000", "370000", "370100"]);
        w.one_way(from, to);
        let t = w.call("370100");
        w.pass_ms(300_000);
        assert!(w.owed("370100", "370000") > 0);
        w.mend("370000", "370100");
        w.rests();
        assert!(w.holds("000000", t));
        w.converges();
    }
}

#[test]
fn a_satellite_link_with_loss_settles_within_the_bound() {
    let mut w = World::of(&["000000", "370000", "370100"]);
    w.partition("370000", "370100");
    let tickets: Vec<_> = (0..200).map(|_| w.call("370100")).collect();
    w.mend("370000", "370100");
    let bad = Weather { delay: 300, jitter: 80, loss: 5, ..Weather::CALM };
    w.weather_on("370000", "370100", bad);
    w.rests();
    tickets.into_iter().for_each(|t| assert!(w.holds("000000", t)));
}

#[test]
fn a_document_larger_than_a_batch_arrives() {
    let mut w = World::of(&["000000", "370000", "370100"]);
    w.partition("370000", "370100");
    let t = w.call("370100");
    (0..5).for_each(|_| w.note("370100", t, 200_000));
    w.mend("370000", "370100");
    w.rests();
    assert!(w.holds("000000", t));
    w.converges();
}

/// A few hundred seeds with everything in them: clones, restores, lies, bad relays, revocations, crashes, wrong clocks,
/// newer versions, huge documents. `--bin world` is the same for hours.
#[test]
fn a_few_hundred_seeds_break_nothing_and_meet_every_fault() {
    let length = Length { events: 100, days: 0 };
    let known = REGRESSIONS.iter().map(|(seed, _)| *seed);
    let seeds: Vec<u64> = known.chain(1_500..1_750).collect();
    let (seen, failures) = campaign(&seeds, length, 4, |_, _, _| {});
    let reports: Vec<String> = failures.iter().map(|f| f.report(length)).collect();
    assert!(failures.is_empty(), "{}", reports.join("\n\n"));
    let unmet = unmet(DUTY, &seen, seeds.len() as u64);
    assert!(unmet.is_empty(), "the campaign does not count: {unmet:#?}");
}

#[test]
fn a_few_dozen_seeds_with_articles_break_nothing() {
    let length = Length { events: 100, days: 0 };
    let seeds: Vec<u64> = (WITH_ARTICLES..WITH_ARTICLES + 60).collect();
    let (seen, failures) = campaign(&seeds, length, 4, |_, _, _| {});
    let reports: Vec<String> = failures.iter().map(|f| f.report(length)).collect();
    assert!(failures.is_empty(), "{}", reports.join("\n\n"));
    let unmet = unmet(ARTICLES, &seen, seeds.len() as u64);
    assert!(unmet.is_empty(), "the campaign does not count: {unmet:#?}");
}
