//! The stories that must hold, told on the trail alone.

use super::super::audience::audience;
use super::super::entitle::Refusal;
use super::super::entry::Op;
use super::super::fold::{Alarm, Beaten, Folded, Stage};
use super::super::may::{may, who_may};
use super::World;
use crate::ticket::entry::EntryId;
use sync::id::DocId;

fn superseded(f: &Folded, entry: EntryId) -> Option<(Vec<EntryId>, Beaten)> {
    f.superseded.iter().find(|s| s.entry == entry).map(|s| (s.beaten_by.clone(), s.reason))
}

fn refusal(f: &Folded, entry: EntryId) -> Option<Refusal> {
    f.unentitled.iter().find(|u| u.entry == entry).map(|u| u.refusal.clone())
}

fn sites(names: &str) -> std::collections::BTreeSet<certs::Site> {
    names.split_whitespace().map(World::site).collect()
}

#[test]
fn a_call_answered_at_once() {
    let mut w = World::new("370100");
    let answer = w.write("370100", Op::Answer);
    assert_eq!(w.fold().stage, Stage::Answered(vec![answer]));
    let close = w.close("370100");
    let f = w.fold();
    assert_eq!(f.stage, Stage::Closed(vec![close]));
    assert_eq!((f.clock.replied.clone(), f.clock.closed.clone()), (vec![answer], vec![close]));
    assert_eq!(audience(&f), sites("370100 370000"));
}

#[test]
fn a_superiors_assign_beats_a_concurrent_accept() {
    for target in ["370300", "370100"] {
        let mut w = World::new("370100");
        let offer = w.offer("370100", "370200");
        let assign = w.assign("370000", target);
        let accept = w.sees(&[offer]).accept("370200", offer);
        let reply = w.write("370200", Op::Reply { of: None });
        let f = w.sees_all().fold();
        assert_eq!(f.custodian(), World::site(target));
        let superior = Beaten::Superior(World::site("370000"));
        assert_eq!(superseded(&f, accept), Some((vec![assign], superior)));
        assert_eq!(superseded(&f, reply), Some((vec![assign], superior)));
        assert_eq!(f.replies_to_confirm, [reply], "the new custodian is shown the reply");
        let again = w.write(target, Op::Reply { of: Some(reply) });
        let f = w.fold();
        assert_eq!((f.stage, f.replies_to_confirm), (Stage::Replied(vec![again]), vec![]));
        assert!(audience(&w.fold()).contains(&World::site("370200")), "who lost still sees it");
    }
}

#[test]
fn an_assigned_ticket_is_offered_back_to_the_assigner_only() {
    let mut w = World::new("370100");
    w.assign("370000", "370200");
    let f = w.fold();
    let (of, elsewhere, back) = (f.custody(), World::site("370300"), World::site("370000"));
    let only_back = Refusal::OnlyBackTo { superior: back };
    assert_eq!(may(&f, World::site("370200"), &Op::Offer { to: elsewhere, of }), Err(only_back.clone()));
    let wrong = w.offer("370200", "370300");
    assert_eq!(refusal(&w.fold(), wrong), Some(only_back));
    let offer = w.offer("370200", "370000");
    w.accept("370000", offer);
    assert_eq!(w.fold().custodian(), back);
    let onward = w.offer("370000", "370300");
    assert_eq!(w.fold().stage, Stage::Offered(vec![onward]));
}

#[test]
fn a_confirm_protects_from_a_stale_superiors_assign() {
    let mut w = World::new("370100");
    let offer = w.offer("370100", "510100");
    let accept = w.accept("510100", offer);
    let stale = w.sees(&[offer]).assign("370000", "370200");
    assert_eq!(
        w.sees_all().fold().custodian(),
        World::site("370200"),
        "without a confirm the superior decides"
    );
    let confirm = w.sees(&[accept]).confirm("000000");
    let f = w.sees_all().fold();
    assert_eq!(f.custodian(), World::site("510100"));
    assert_eq!(superseded(&f, stale), Some((vec![confirm], Beaten::Superior(World::site("000000")))));
}

#[test]
fn an_accept_after_a_confirmed_withdrawal_is_too_late() {
    let story = |confirmed: bool| {
        let mut w = World::new("370100");
        let offer = w.offer("370100", "370200");
        let withdrawn = w.withdraw("370100", offer);
        let confirm = confirmed.then(|| w.confirm("370000"));
        let accept = w.sees(&[offer]).accept("370200", offer);
        let progress = w.write("370200", Op::Progress);
        (w.sees_all().fold(), withdrawn, confirm, accept, progress)
    };
    let (f, withdrawn, _, accept, _) = story(false);
    assert_eq!(f.custodian(), World::site("370200"));
    assert_eq!(superseded(&f, withdrawn), Some((vec![accept], Beaten::Accepted)));
    let (f, _, confirm, accept, progress) = story(true);
    assert_eq!(f.custodian(), World::site("370100"));
    assert_eq!(superseded(&f, accept), Some((vec![confirm.unwrap()], Beaten::TooLate)));
    assert_eq!(superseded(&f, progress), Some((vec![confirm.unwrap()], Beaten::TooLate)));
}

#[test]
fn close_and_offer_by_two_replicas_leave_the_ticket_open_with_a_proposal() {
    let mut w = World::new("370000");
    let root = w.trail.root();
    let close = w.sees(&[root]).close("370000");
    let offer = w.sees(&[root]).offer("370000-b", "370100");
    let f = w.sees_all().fold();
    assert_eq!(f.stage, Stage::Offered(vec![offer]));
    assert_eq!(f.proposals, [close]);
    assert_eq!(superseded(&f, close), Some((vec![offer], Beaten::Unaware)));
    w.decline("370100", offer);
    assert_eq!(w.fold().proposals, [close]);
    let again = w.close("370000");
    let f = w.fold();
    assert_eq!((f.stage, f.proposals), (Stage::Closed(vec![again]), vec![]));
}

#[test]
fn up_and_down_the_tiers() {
    let mut w = World::new("370100");
    for (from, to) in [("370100", "370000"), ("370000", "000000"), ("000000", "510000"), ("510000", "510100")]
    {
        let offer = w.offer(from, to);
        assert_eq!(w.fold().custodian(), World::site(from), "the sender stays responsible");
        w.accept(to, offer);
        assert_eq!((w.fold().custodian(), w.fold().custody()), (World::site(to), offer));
    }
    let f = w.fold();
    assert_eq!(audience(&f), sites("370100 370000 000000 510000 510100"));
    assert_eq!(f.custodies.len(), 5);
    assert!(f.superseded.is_empty() && f.unentitled.is_empty());
    let outside = w.assign("370000", "370200");
    let custodian = World::site("510100");
    assert_eq!(refusal(&w.fold(), outside), Some(Refusal::NotCustodianOrSuperior { custodian }));
    let outside = w.assign("510000", "370200");
    let to = World::site("370200");
    assert_eq!(refusal(&w.fold(), outside), Some(Refusal::OutsideJurisdiction { to }));
}

#[test]
fn after_two_declines_only_an_assign_moves_the_ticket() {
    let mut w = World::new("370100");
    for target in ["370200", "370300"] {
        let offer = w.offer("370100", target);
        w.decline(target, offer);
    }
    let third = w.offer("370100", "370400");
    let f = w.fold();
    assert_eq!((refusal(&f, third), f.returns), (Some(Refusal::Declined { times: 2 }), 2));
    let of = f.custody();
    let to_itself = Op::Assign { to: World::site("370100"), of };
    assert_eq!(
        may(&f, World::site("370100"), &to_itself),
        Err(Refusal::ToItself),
        "no way to forget the declines"
    );
    assert_eq!(who_may(&f, &Op::Assign { to: World::site("370400"), of }), sites("370000 000000"));
    w.assign("370000", "370400");
    assert_eq!(w.fold().custodian(), World::site("370400"));
}

#[test]
fn how_often_a_ticket_may_come_back_stands_in_its_first_entry() {
    for times in 1..=3 {
        let mut w = World::coming_back("370100", times);
        for target in ["370200", "370300", "370400"].into_iter().take(times as usize) {
            let offer = w.offer("370100", target);
            assert_eq!(w.fold().open_offer().map(|o| o.to), Some(World::site(target)), "of {times}");
            w.decline(target, offer);
        }
        let further = w.offer("370100", "370500");
        assert_eq!(refusal(&w.fold(), further), Some(Refusal::Declined { times }));
    }
}

#[test]
fn reopen_comes_before_offer() {
    let mut w = World::new("370100");
    let offer = w.offer("370100", "370200");
    w.accept("370200", offer);
    let close = w.close("370200");
    let early = w.offer("370200", "370300");
    assert_eq!(refusal(&w.fold(), early), Some(Refusal::Closed));
    let reopen = w.reopen("370100", close);
    let f = w.fold();
    assert_eq!((f.stage.clone(), f.clock.reopened.clone()), (Stage::InHand, vec![reopen]));
    assert!(f.proposals.is_empty() && f.superseded.is_empty(), "a reopened close is history");
    let offer = w.offer("370200", "370300");
    assert_eq!(w.fold().stage, Stage::Offered(vec![offer]));
}

#[test]
fn a_close_that_did_not_know_of_a_reopen_does_not_count() {
    let mut w = World::new("370100");
    let root = w.trail.root();
    let first = w.close("370100");
    let reopen = w.reopen("370100", first);
    let stale = w.sees(&[root]).close("370100-b");
    let f = w.sees_all().fold();
    assert_eq!((f.stage, f.proposals), (Stage::InHand, vec![stale]));
    assert_eq!(superseded(&w.fold(), stale), Some((vec![reopen], Beaten::Unaware)));
}

#[test]
fn merge_and_unmerge() {
    let mut w = World::new("370100");
    let (smaller, larger) = (DocId::from_bytes([1; 32]), DocId::from_bytes([0xee; 32]));
    let f = w.fold();
    assert_eq!(may(&f, World::site("370100"), &Op::Merge { into: larger }), Err(Refusal::NotIntoSmaller));
    let merge = w.write("370100", Op::Merge { into: smaller });
    assert_eq!(w.fold().stage, Stage::Joined(vec![merge]));
    assert_eq!(
        may(&w.fold(), World::site("370100"), &Op::Merge { into: smaller }),
        Err(Refusal::AlreadyJoined)
    );
    w.write("370000", Op::Unmerge);
    assert_eq!(w.fold().stage, Stage::InHand);
    let merge = w.write("370000", Op::Merge { into: smaller });
    assert_eq!(w.fold().stage, Stage::Joined(vec![merge]));
    let close = w.close("370100");
    assert_eq!(w.fold().stage, Stage::Closed(vec![close]), "it is closed by its own custodian");
}

#[test]
fn escalate_asks_the_next_superior() {
    let mut w = World::new("370100");
    let offer = w.offer("370100", "370200");
    w.accept("370200", offer);
    assert_eq!(w.fold().stand.next_asked(), Some(World::site("370000")));
    w.write("370100", Op::Escalate);
    assert_eq!(audience(&w.fold()), sites("370100 370200 370000"));
    w.write("370100", Op::Escalate);
    assert_eq!(audience(&w.fold()), sites("370100 370200 370000 000000"));
    let stranger = w.write("510100", Op::Escalate);
    assert_eq!(refusal(&w.fold(), stranger), Some(Refusal::NotInAudience));
    w.assign("000000", "510100");
    assert_eq!(w.fold().custodian(), World::site("510100"));
}

#[test]
fn replicas_of_one_site_tie_by_lot_until_a_later_word_decides() {
    let mut w = World::new("370100");
    let root = w.trail.root();
    let a = w.sees(&[root]).assign("370000", "370200");
    let b = w.sees(&[root]).assign("370000-b", "370300");
    let f = w.sees_all().fold();
    let (won, lost) = if f.custody() == a { (a, b) } else { (b, a) };
    assert_eq!(f.alarms, [Alarm::Tie { number: 1, won: vec![won], lost: vec![lost] }]);
    assert_eq!(superseded(&f, lost), Some((vec![won], Beaten::Tie)));
    // The loser's replica had not heard of the other and confirmed its own: that is the later word.
    let confirm = w.sees(&[lost]).confirm("370000");
    let f = w.sees_all().fold();
    assert_eq!((f.custody(), superseded(&f, won)), (lost, Some((vec![confirm], Beaten::Tie))));
}

#[test]
fn two_assigns_of_one_site_to_one_target_are_one_custody() {
    let mut w = World::new("370100");
    let root = w.trail.root();
    let a = w.sees(&[root]).assign("370000", "370200");
    let b = w.sees(&[root]).assign("370000-b", "370200");
    let under_a = w.sees(&[a]).offer("370200", "370000");
    let f = w.sees_all().fold();
    let mut names = vec![a, b];
    names.sort_unstable();
    assert_eq!((f.stand.custody.clone(), f.stage.clone()), (names, Stage::Offered(vec![under_a])));
    assert!(f.superseded.is_empty(), "both names name it");
    assert!(matches!(f.alarms[..], [Alarm::Twice { number: 1, .. }]));
}

#[test]
fn a_second_accept_of_an_offer_begins_nothing() {
    let mut w = World::new("370100");
    let offer = w.offer("370100", "370000");
    let mut accepts = [w.sees(&[offer]).accept("370000", offer), w.sees(&[offer]).accept("370000-b", offer)];
    let onward = w.sees(&[accepts[0]]).offer("370000", "370300");
    let f = w.sees_all().fold();
    accepts.sort_unstable();
    assert_eq!(f.custodies.len(), 2);
    assert_eq!((f.custody(), f.stage), (offer, Stage::Offered(vec![onward])));
}

#[test]
fn the_highest_superior_who_has_spoken_decides() {
    let mut w = World::new("370100-01");
    let root = w.trail.root();
    let ways: Vec<_> = [("370100", "370100-02"), ("370000", "370200"), ("000000", "510100")]
        .into_iter()
        .map(|(by, to)| {
            let assign = w.sees(&[root]).assign(by, to);
            assert_eq!(w.sees_all().fold().custodian(), World::site(to), "{by} is the highest so far");
            assign
        })
        .collect();
    let f = w.fold();
    assert_eq!(superseded(&f, ways[1]), Some((vec![ways[2]], Beaten::Superior(World::site("000000")))));
}

#[test]
fn an_accept_goes_before_the_custodians_own_assign() {
    let mut w = World::new("370100");
    let root = w.trail.root();
    let assign = w.sees(&[root]).assign("370100-b", "370100-01");
    let offer = w.sees(&[root]).offer("370100", "370200");
    assert_eq!(w.sees_all().fold().custodian(), World::site("370100-01"));
    let accept = w.sees(&[offer]).accept("370200", offer);
    let f = w.sees_all().fold();
    assert_eq!(
        (f.custodian(), superseded(&f, assign)),
        (World::site("370200"), Some((vec![accept], Beaten::Accepted)))
    );
}

#[test]
fn pauses_and_extensions_are_facts() {
    let mut w = World::new("370100");
    let dispatch = w.write("370100", Op::Dispatch { department: "客运处".into() });
    let pause = w.write("370100", Op::Pause);
    assert_eq!(w.fold().clock.pauses[0].until, []);
    let feedback = w.write("370100", Op::Feedback);
    let request = w.write("370100", Op::Extend { of: None, days: Some(5) });
    let grant = w.write("370000", Op::Extend { of: Some(request), days: Some(3) });
    let own = w.write("370100", Op::Extend { of: Some(request), days: Some(3) });
    let f = w.fold();
    assert_eq!((f.clock.pauses[0].from, &f.clock.pauses[0].until[..]), (pause, &[feedback][..]));
    assert_eq!((f.clock.extensions[0].request, &f.clock.extensions[0].granted[..]), (request, &[grant][..]));
    assert!(matches!(refusal(&f, own), Some(Refusal::NotSuperior { .. })));
    assert_eq!((f.stage, f.clock.dispatched), (Stage::FedBack(vec![feedback]), vec![dispatch]));
}

#[test]
fn what_a_newer_version_wrote_is_kept_and_shown() {
    let mut w = World::new("370100");
    w.write("370100", Op::Unknown("score".into()));
    let f = w.fold();
    assert!(f.alarms.is_empty() && f.unentitled.is_empty());
    w.write("370200", Op::Unknown("custody.lend".into()));
    assert!(!w.fold().stand.newer, "a stranger cannot freeze a ticket");
    w.write("370000", Op::Unknown("custody.lend".into()));
    let f = w.fold();
    assert_eq!((f.alarms.clone(), f.custodian()), (vec![Alarm::Newer], World::site("370100")));
    assert_eq!(may(&f, World::site("370100"), &Op::Answer), Err(Refusal::Newer));
}

#[test]
fn a_long_trail_is_frozen_and_a_flood_costs_little() {
    let mut w = World::new("370100");
    for _ in 1..1000 {
        let last = w.seen.clone().map_or(w.trail.root(), |s| s[0]);
        w.sees(&[last]).write("370100", Op::Progress);
    }
    let f = w.sees_all().fold();
    assert_eq!((f.entries, &f.alarms[..]), (1000, &[Alarm::Frozen { entries: 1000 }][..]));
    let assign = w.assign("370000", "370200");
    let f = w.fold();
    assert_eq!(
        (refusal(&f, assign), may(&f, World::site("370100"), &Op::Urge)),
        (Some(Refusal::Frozen), Err(Refusal::Frozen))
    );
    let root = w.trail.root();
    for i in 0..5000 {
        w.sees(&[root]).write("370200", Op::Unknown(format!("{i}")));
    }
    let f = w.sees_all().fold();
    assert_eq!((f.custodian(), f.entries), (World::site("370100"), 6001));
    assert!(f.alarms.contains(&Alarm::Flooded { entries: 6001 }));
}

#[test]
fn an_entry_waits_for_its_parents_and_a_second_create_is_nothing() {
    let mut w = World::new("370100");
    let mut late = w.clone();
    let a = late.write("370100", Op::Progress);
    let b = late.write("370100", Op::Answer);
    w.trail.insert(late.trail.get(b).unwrap().clone());
    assert_eq!((w.fold().entries, w.fold().stage), (1, Stage::InHand));
    w.trail.insert(late.trail.get(a).unwrap().clone());
    assert_eq!(w.fold(), late.fold());
    let second = super::create("370200", false);
    let id = second.id;
    w.trail.insert(second);
    let f = w.fold();
    assert_eq!((f.custodian(), refusal(&f, id)), (World::site("370100"), Some(Refusal::NotOfThisTicket)));
}

#[test]
fn the_common_trail_is_folded_quickly() {
    let mut w = World::new("370100");
    let offer = w.offer("370100", "370200");
    w.accept("370200", offer);
    w.write("370200", Op::Dispatch { department: "客运处".into() });
    w.write("370200", Op::Feedback);
    w.write("370200", Op::Reply { of: None });
    w.close("370200");
    let start = std::time::Instant::now();
    for _ in 0..1000 {
        assert_eq!(super::fold(&w.trail).entries, 7);
    }
    let each = start.elapsed() / 1000;
    println!("{each:?} a fold of 7 entries");
    assert!(each.as_micros() < 2_000, "{each:?}: the fold of a common trail is part of every load");
}

#[test]
fn two_replicas_that_chose_the_same_target_began_one_custody_whichever_a_later_word_held() {
    let mut w = World::new("370100");
    let root = w.fold().heads;
    let a = w.sees(&root).assign("000000", "370200");
    let b = w.sees(&root).assign("000000-b", "370200");
    let c = w.sees(&[a]).assign("000000", "370000");
    let d = w.sees(&[b]).assign("000000-b", "370000");
    // The new custodian has heard both, and goes on from the one that the confirm has not.
    let on = Op::Assign { to: World::site("370100"), of: d };
    let e = w.sees(&[c, d]).write("370000", on);
    w.sees(&[c]).confirm("000000");
    let f = w.fold();
    let names = &f.custodies[2].names;
    assert!(names.len() == 2 && names.contains(&c) && names.contains(&d), "{names:?}");
    assert_eq!((f.custodian(), f.custodies[3].begun_by.as_slice()), (World::site("370100"), &[e][..]));
    assert_eq!(f.superseded, []);
}

#[test]
fn a_way_out_that_was_not_taken_has_a_reason_although_the_one_that_was_knew_of_it() {
    let mut w = World::new("370100");
    let root = w.fold().heads;
    let own = w.sees(&root).assign("370100", "370100-01");
    let passed_by = w.sees(&[own]).assign("370000", "370100-01");
    let above = w.sees(&root).assign("000000", "370100-01");
    let on = Op::Assign { to: World::site("370000"), of: above };
    let on = w.sees(&[passed_by, above]).write("000000", on);
    w.sees(&[passed_by]).assign("000000-b", "000000");
    w.sees(&[on]).assign("000000", "000000");
    let f = w.fold();
    let (by, _) = superseded(&f, passed_by).unwrap();
    assert!(!by.is_empty(), "{f:#?}");
}
