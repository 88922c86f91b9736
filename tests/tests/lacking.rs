//! `replica diff`: what a peer lacks and why, asked of a real process whose link is down, whose peer answers nothing,
//! lacks what an item rests on, or refuses.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::LazyLock;

use serde_json::Value;
use sync::wire::{Answer, Exception, Frame};
use world::city::{Harm, Network, Program, until};

static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::new(env!("CARGO_BIN_EXE_hotline-under-test")));

/// City and province with a link between them; only the city runs.
fn city() -> Network {
    let mut network = Network::new(&PROGRAM, &["370000", "370100"]);
    network.link("370000", "370100");
    network.start("370100");
    network
}

fn diff(network: &Network) -> Value {
    network.ask("370100", &["replica", "diff", "370000"])
}

/// Waits until a row with this in its reason is there; all rows then.
fn row(network: &Network, why: &str) -> Vec<Value> {
    until(&format!("a row says `{why}`"), || {
        let found = diff(network);
        let rows = found["rows"].as_array().unwrap();
        let is_there = rows.iter().any(|r| r["why"].as_str().unwrap().contains(why));
        if is_there { Ok(rows.clone()) } else { Err(found.to_string()) }
    })
}

/// A province whose answers are put in the place of its own. It repairs nothing, so what is seen stays.
fn answers(mut answer: impl FnMut(Answer) -> Option<Answer> + Send + 'static) -> Harm {
    Box::new(move |_, frame| match frame {
        Frame::Answer(own) => answer(own).map(|a| Frame::Answer(a).to_bytes()).into_iter().collect(),
        Frame::Sketch(_) | Frame::Want(_) | Frame::Digest(_) => Vec::new(),
        other => vec![other.to_bytes()],
    })
}

/// Every item of the batch, whatever it is, has this said of it.
fn all(batch: u64, word: &Exception) -> Answer {
    Answer { batch, exceptions: (0..64).map(|place| (place, word.clone())).collect() }
}

#[test]
fn with_the_link_down_every_row_says_so_and_the_standing_when_it_was_proved() {
    let mut network = city();
    let id = network.call("370100", "公交晚点");
    let found = diff(&network);
    assert_eq!(found["standing"], "no link is up, and it was never proved equal");
    network.start("370000");
    network.settle();
    assert_eq!(diff(&network)["standing"], "proved equal: the peer lacks nothing");
    network.stop("370000");
    until("the link is down", || {
        let found = diff(&network);
        if found["connected"] == false { Ok(()) } else { Err(found.to_string()) }
    });
    network.ask("370100", &["ticket", "note", &id, "已联系司机"]);
    let other = network.call("370100", "出租车拒载");
    let found = diff(&network);
    let rows = found["rows"].as_array().unwrap();
    assert!(rows.iter().all(|r| r["why"] == "in the outbox: no link is up"), "{found}");
    let whole = |r: &&Value| r["kind"] == "whole document" && r["document"] == other.as_str();
    assert_eq!(rows.iter().filter(whole).count(), 1, "{found}");
    assert!(rows.iter().any(|r| r["kind"] == "change" && r["document"] == id.as_str()), "{found}");
    assert!(
        found["standing"].as_str().unwrap().starts_with("no link is up; proved equal last at 2"),
        "{found}"
    );
}

#[test]
fn what_is_not_answered_is_on_its_way() {
    let network = city();
    network.call("370100", "公交晚点");
    let _province = network.start_hostile("370000", answers(|_| None));
    row(&network, "on its way");
}

#[test]
fn what_waits_names_the_record_and_the_changes_that_it_waits_for() {
    let network = city();
    let id = network.call("370100", "公交晚点");
    network.ask("370100", &["ticket", "note", &id, "已联系司机"]);
    let answer = |own: Answer| Some(all(own.batch, &Exception::Waiting));
    let _province = network.start_hostile("370000", answers(answer));
    let rows = row(&network, "waits there for the record of 370100, ");
    let waits =
        |r: &&Value| r["document"] == id.as_str() && r["waits_for"]["items"] == serde_json::json!([id]);
    let rests = rows.iter().find(waits).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(rests["waits_for"]["record_of"], "370100");
    let said = network.run("370100", &["replica", "diff", "370000"]).to_string();
    assert!(said.contains(&format!("waits there for the record of 370100, {}", &id[..8])), "{said}");
}

#[test]
fn what_the_peer_refused_stands_with_document_and_reason() {
    let network = city();
    let id = network.call("370100", "公交晚点");
    let refusal = Exception::Refused("no reason at all".to_owned());
    let answer = move |own: Answer| Some(all(own.batch, &refusal));
    let _province = network.start_hostile("370000", answers(answer));
    let refused = until("it is refused", || {
        let found = diff(&network);
        let there = found["refused_there"].as_array().unwrap().clone();
        let of_ticket = there.iter().find(|r| r["id"] == id.as_str()).cloned();
        of_ticket.ok_or_else(|| found.to_string())
    });
    assert_eq!((refused["document"].as_str(), refused["kind"].as_str()), (Some(id.as_str()), Some("change")));
    assert_eq!(refused["reason"], "no reason at all");
}
