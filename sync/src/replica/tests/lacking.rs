//! Why a peer still lacks what it is owed, and peers that do not answer.

use super::super::link::ANSWER_MS;
use super::*;
use crate::wire::{DigestBody, Frame};

fn why(w: &mut World, who: &str, peer: &str) -> Vec<(Option<ItemHash>, Why)> {
    w.at(name(who), |r, s, _| {
        let rows = r.lacking(name(peer), 100, s).unwrap();
        rows.into_iter().map(|row| (row.debt.item, row.why)).collect()
    })
}

impl World {
    /// Carries what is on the wire, but for the frames that `drop` names.
    fn carry_but(&mut self, drop: impl Fn(&Frame) -> bool) {
        while let Some((from, to, bytes)) = self.wire.pop_front() {
            if !self.links.contains(&(to, from)) || drop(&Frame::from_bytes(&bytes).unwrap()) {
                continue;
            }
            self.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
        }
    }

    /// Time passes everywhere.
    fn pass(&mut self, ms: u64) {
        self.now += ms;
        let names: Vec<NodeName> = self.nodes.keys().copied().collect();
        for n in names {
            self.at(n, |r, s, now| r.step(now, Input::Tick, s, &mut Desk).unwrap());
        }
    }
}

fn is_answer(frame: &Frame) -> bool {
    matches!(frame, Frame::Answer(_))
}

#[test]
fn a_row_says_whether_the_link_is_down_or_the_item_on_its_way() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    w.cut("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    assert_eq!(why(&mut w, "370100", "370000"), [(None, Why::NoLink)], "the whole document, too");
    w.link("370000", "370100");
    // The peer's greeting is here, the batch is gone out.
    w.carry_but(is_answer);
    w.write("370100", Some(doc), "more", "words");
    let rows = why(&mut w, "370100", "370000");
    assert!(rows.iter().any(|(item, _)| item.is_none()) && rows.iter().any(|(item, _)| item.is_some()));
    assert!(rows.iter().all(|(_, why)| *why == Why::OnItsWay), "{rows:?}");
    w.cut("370000", "370100");
    w.link("370000", "370100");
    w.settle();
    assert_eq!(why(&mut w, "370100", "370000"), []);
}

#[test]
fn a_row_says_for_which_change_the_peer_waits() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    let doc = w.write("370100", None, "subject", "one");
    w.settle();
    w.cut("370000", "370100");
    let mut changes = Vec::new();
    for key in ["a", "b"] {
        w.write("370100", Some(doc), key, "words");
        w.at(name("370100"), |r, s, _| r.seal_backlog(s).unwrap());
        changes.push(
            w.nodes.get_mut(&name("370100")).unwrap().store.items_of(&doc).unwrap().pop().unwrap().hash,
        );
    }
    // Somebody took the first of them for delivered.
    w.at(name("370100"), |_, s, _| s.settle(name("370000"), &[(Some(doc), changes[0])]).unwrap());
    w.link("370000", "370100");
    let repairs = |f: &Frame| matches!(f, Frame::Sketch(_) | Frame::Want(_));
    w.carry_but(repairs);
    let lost = Why::Waits(Rests::default());
    assert_eq!(
        why(&mut w, "370100", "370000"),
        [(Some(changes[1]), lost)],
        "all it rests on was acknowledged"
    );
    let row = Debt { class: Class::Backfill, rank: Position(9), doc: Some(doc), item: Some(changes[0]) };
    w.nodes.get_mut(&name("370100")).unwrap().store.begin().unwrap();
    let city = w.nodes.get_mut(&name("370100")).unwrap();
    city.store.owe(name("370000"), &[row]).unwrap();
    let rows = city.replica.lacking(name("370000"), 100, &mut city.store).unwrap();
    city.store.commit().unwrap();
    let rests = Rests { items: vec![changes[0]], record_of: None };
    assert_eq!(rows[0].why, Why::Waits(rests), "the first is owed, and the second waits for it");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn a_peer_that_takes_batches_and_never_answers_is_dialled_anew() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    w.write("370100", None, "subject", "one");
    w.carry_but(is_answer);
    w.pass(ANSWER_MS - 1);
    w.carry_but(is_answer);
    assert!(w.links.len() == 2, "it may still come");
    w.now += 1;
    let ended = w.nodes.get_mut(&name("370100")).map(|city| {
        city.store.begin().unwrap();
        city.replica.step(w.now, Input::Tick, &mut city.store, &mut Desk).unwrap();
        city.store.commit().unwrap();
        city.replica.effects()
    });
    let reason = "you have not answered a batch for 10 minutes".to_owned();
    let (peer, blame) = (name("370000"), false);
    let ended = ended.unwrap();
    assert!(ended.contains(&Effect::Close { peer, reason, blame }), "{ended:?}");
    assert!(ended.contains(&Effect::Tell(Event::Unanswered { peer })), "{ended:?}");
    w.cut("370000", "370100");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn an_answer_gives_those_behind_it_their_time_and_not_those_before_it() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    let mut batches = Vec::new();
    for i in 0..3 {
        w.write("370100", None, "subject", &format!("letter {i}"));
        let batch = w
            .wire
            .iter()
            .rposition(|(_, _, bytes)| matches!(Frame::from_bytes(bytes), Ok(Frame::Batch { .. })))
            .unwrap();
        batches.push(w.wire.remove(batch).unwrap());
    }
    let answer = |w: &mut World, (from, to, bytes): (NodeName, NodeName, Vec<u8>)| {
        w.at(to, |r, s, now| r.step(now, Input::Frame { peer: from, bytes }, s, &mut Desk).unwrap());
        w.carry_but(|_| false);
    };
    let last = batches.pop().unwrap();
    let second = batches.pop().unwrap();
    w.pass(ANSWER_MS - 1);
    let first = batches.pop().unwrap();
    answer(&mut w, first);
    w.pass(ANSWER_MS - 1);
    assert_eq!(w.links.len(), 2, "a slow link is not a silent one");
    answer(&mut w, last);
    w.pass(1);
    assert!(w.links.is_empty(), "the last one's answer is no excuse for the second");
    drop(second);
    w.cut("370000", "370100");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn a_peer_that_counts_batches_which_never_come_is_dialled_anew() {
    let mut w = World::new(&["370000", "370100"]);
    w.link("370000", "370100");
    w.settle();
    let digest = DigestBody { sent: 9, received: 0, count: 7, fingerprint: [7; 32] };
    let bytes = Frame::Digest(digest).to_bytes();
    let (peer, city) = (name("370000"), name("370100"));
    w.at(city, |r, s, now| r.step(now, Input::Frame { peer, bytes }, s, &mut Desk).unwrap());
    w.pass(0);
    w.pass(ANSWER_MS - 1);
    w.carry_but(|_| false);
    assert_eq!(w.links.len(), 2, "they may still come");
    w.pass(1);
    assert!(w.links.is_empty());
    assert!(w.told("370100").contains(&Event::Undelivered { peer }), "{:?}", w.told("370100"));
    w.cut("370000", "370100");
    w.link("370000", "370100");
    w.settle();
    w.assert_equal("370000", "370100");
}

#[test]
fn a_clock_that_jumps_back_begins_the_wait_anew() {
    let mut w = World::new(&["370000", "370100"]);
    w.now = 1_000_000_000_000;
    w.link("370000", "370100");
    w.settle();
    w.write("370100", None, "subject", "one");
    w.carry_but(is_answer);
    w.now = 1_000;
    w.pass(1);
    assert_eq!(w.links.len(), 2);
    w.pass(ANSWER_MS);
    assert!(w.links.is_empty());
}
