//! Figures: what a plain count over the tickets finds, at every tier, after any work, and after an update of the program.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

use node::figures::Part;
use node::request::{Act, Request, Sift};
use serde_json::{Value, json};
use world::bench::tickets::Dice;
use world::town::Town;

const DAY: u64 = 86_400_000;

const NODES: [&str; 4] = ["000000", "370000", "370100", "370200"];

/// Any work that a desk may think of; what the rules do not grant is refused, and nothing has happened.
fn work(dice: &mut Dice, entry: Option<String>) -> Act {
    let said = || "核实".to_owned();
    let sites = ["370000", "370100", "370200"];
    let to = sites[dice.below(3) as usize].to_owned();
    match dice.below(19) {
        0 | 1 => Act::Answer { text: said() },
        2 => Act::Redirect { to: "12306".to_owned(), text: said() },
        3 => Act::Reject { reason: said() },
        4 | 5 => Act::Dispatch { department: "客运处".to_owned(), text: None },
        6 => Act::Feedback { text: said() },
        7 => Act::Reply { text: said(), confirm: None },
        8 | 9 => {
            Act::FollowUp { text: said(), satisfied: [None, Some(true), Some(false)][dice.below(3) as usize] }
        }
        10 => Act::Supervise { text: said() },
        11 => Act::Offer { to, reason: said() },
        12 => Act::Accept {},
        13 => Act::Decline { reason: said() },
        14 => Act::Assign { to, reason: said() },
        15 => match entry {
            Some(into) => Act::Merge { into },
            None => Act::Withdraw {},
        },
        16 => Act::Reopen { reason: said() },
        _ => Act::Close { result: said() },
    }
}

/// A life of a ticket as most are not: answered and set right; closed and re-opened; sent back.
fn life(town: &mut Town, dice: &mut Dice, node: &str, id: &str) {
    let said = || "核实".to_owned();
    let mut act = |user: &str, act: Act| {
        let (id, user) = (id.to_owned(), Some(user.to_owned()));
        town.ask(node, Request::Act { id, act, user }).unwrap();
    };
    let asked = |satisfied| Act::FollowUp { text: said(), satisfied: Some(satisfied) };
    match dice.below(3) {
        0 => {
            act("li", Act::Answer { text: said() });
            act("wang", asked(false));
            act("wang", asked(true));
        }
        1 => {
            act("li", Act::Dispatch { department: "客运处".to_owned(), text: None });
            act("li", Act::Close { result: said() });
            act("wang", asked(false));
            act("wang", Act::Reopen { reason: said() });
            act("li", Act::Close { result: said() });
        }
        _ => {
            let to = if node == "370200" { "370100" } else { "370200" };
            act("li", Act::Offer { to: to.to_owned(), reason: said() });
            town.link_tree();
            town.settle();
            let decline = Act::Decline { reason: said() };
            town.ask(to, Request::Act { id: id.to_owned(), act: decline, user: None }).unwrap();
        }
    }
}

/// A town in which much was done to many tickets, with links that were down for a while.
fn busy(seed: u64) -> Town {
    let mut town = Town::in_memory(&NODES);
    town.link_tree();
    town.settle();
    let (mut dice, mut ids) = (Dice::new(seed), Vec::<String>::new());
    for round in 0..160 {
        let node = NODES[1 + dice.below(3) as usize];
        if ids.is_empty() || dice.below(4) == 0 {
            let kind = ["投诉举报", "信息咨询", "意见建议", "其他"][dice.below(4) as usize];
            let topics = [("城市客运", "巡游出租汽车"), ("高速公路", "路况信息"), ("", "")];
            let (domain, topic) = topics[dice.below(3) as usize];
            let channel = ["电话", "微信", ""][dice.below(3) as usize];
            let ticket = json!({
                "text": "出租车绕路", "type": kind, "domain": domain, "field": topic,
                "channel": channel, "confidential": dice.below(9) == 0,
                "test": dice.below(9) == 0, "caller_phone": "13800000001",
            });
            let made = town.ask(node, Request::New { tickets: vec![ticket], user: None }).unwrap();
            ids.push(made[0]["id"].as_str().unwrap().to_owned());
            if dice.below(3) == 0 {
                life(&mut town, &mut dice, node, ids.last().unwrap());
            }
        } else {
            // Most work is done to what is young, so that some tickets get far.
            let id = ids[ids.len() - 1 - dice.below(6.min(ids.len() as u64)) as usize].clone();
            let user = ["li", "wang"][dice.below(2) as usize].to_owned();
            let other = ids[dice.below(ids.len() as u64) as usize].clone();
            let act = work(&mut dice, Some(other));
            let _ = town.ask(node, Request::Act { id, act, user: Some(user) });
        }
        match dice.below(10) {
            0 => town.cut("370000", "370100"),
            1 => {
                town.link_tree();
                town.settle();
            }
            2 => town.now += dice.below(4) * DAY,
            _ if round % 3 == 0 => town.settle(),
            _ => {}
        }
    }
    town.link_tree();
    town.settle();
    town
}

fn tickets(town: &mut Town, node: &str) -> Vec<Value> {
    let list = town
        .ask(
            node,
            Request::List { queue: "all".to_owned(), sift: Sift::default(), limit: 1_000, before: None },
        )
        .unwrap();
    let ids: Vec<String> =
        list.as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap().to_owned()).collect();
    ids.iter().map(|id| town.show(node, id).unwrap()).collect()
}

/// What is to be said of a ticket, read from `ticket show --json` by somebody who has seen nothing of the program.
fn facts(ticket: &Value, me: &str) -> BTreeSet<&'static str> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ids = |key: &str, of: &str| -> Vec<String> {
        let lost = ticket[key].as_array().unwrap();
        lost.iter().map(|l| text(if of.is_empty() { l } else { &l[of] })).collect()
    };
    let lost = [ids("superseded", "entry"), ids("unentitled", "entry")].concat();
    let mut facts = BTreeSet::new();
    let mut say = |fact: &'static str, holds: bool| {
        if holds {
            facts.insert(fact);
        }
    };
    let taken_by = text(&ticket["taken_by"]);
    say("test", ticket["facts"]["x.test"] == "true");
    say(
        "elsewhere",
        me != "000000" && taken_by != me && !(me.ends_with("0000") && taken_by.starts_with(&me[..2])),
    );
    say("consultation", ticket["facts"]["business"] == "信息咨询");
    say("complaint", ticket["facts"]["business"] == "投诉举报");
    let stage = text(&ticket["stage"]);
    let ended = ["closed", "answered", "rejected", "redirected"].contains(&stage.as_str());
    say("ended", ended);
    let trail = ticket["trail"].as_array().unwrap();
    let (mut handed, mut rejected, mut calls, mut opinions, mut closers) =
        (false, false, 0, Vec::new(), Vec::new());
    for entry in trail.iter().filter(|e| !lost.contains(&text(&e["id"]))) {
        let op = text(&entry["op"]);
        let who = (text(&entry["site"]), text(&entry["user"]));
        say("answered", op == "answer" && who.0 == taken_by && !handed);
        handed |= ["dispatch", "offer", "assign"].contains(&op.as_str());
        rejected |= op == "reject";
        say("reopened", op == "reopen");
        say("returned", op == "decline");
        let looks = ["follow_up", "supervise", "reopen"].contains(&op.as_str());
        say("rechecked", looks && !closers.is_empty() && !closers.contains(&who));
        match op.as_str() {
            "close" => closers.push(who),
            "follow_up" => {
                calls += 1;
                opinions.extend(entry["satisfied"].as_bool());
            }
            _ => {}
        }
    }
    say("handed_over", handed);
    say("rejected", rejected);
    let bad = opinions.contains(&false);
    let good = opinions.last() == Some(&true);
    say("followed_up", calls > 1 || !opinions.is_empty());
    say("rated", !opinions.is_empty());
    say("satisfied", good);
    say("dissatisfied", bad);
    say("rectified", good && bad);
    let joined = ticket["joined"].as_array().is_some_and(|merges| !merges.is_empty());
    say("joined", joined);
    let state = text(&ticket["deadline"]["state"]);
    say("in_time", ended && !rejected && !joined && state == "met");
    say("late", ended && !rejected && !joined && state == "missed");
    say("overdue", !joined && state == "overdue");
    facts
}

/// The definitions once more, as somebody would count who has read docs/figures.md.
fn counted(tickets: &[BTreeSet<&str>]) -> BTreeMap<&'static str, (u64, u64)> {
    let here: Vec<_> = tickets.iter().filter(|t| !t.contains("test") && !t.contains("elsewhere")).collect();
    let count = |of: &dyn Fn(&BTreeSet<&str>) -> bool| here.iter().filter(|t| of(t)).count() as u64;
    let has = |fact: &'static str| count(&|t| t.contains(fact));
    let judged = |t: &BTreeSet<&str>| t.contains("in_time") || t.contains("late") || t.contains("overdue");
    let complaint = |t: &BTreeSet<&str>| t.contains("complaint");
    let other = |t: &BTreeSet<&str>| !complaint(t) && !t.contains("answered");
    let all = |t: &BTreeSet<&str>, facts: &[&str]| facts.iter().all(|f| t.contains(f));
    let handled =
        |t: &BTreeSet<&str>| t.contains("ended") && !t.contains("rejected") && !t.contains("joined");
    let consultation = |t: &BTreeSet<&str>| t.contains("consultation") && !t.contains("rejected");
    BTreeMap::from([
        ("taken", (here.len() as u64, 0)),
        ("answered", (has("answered"), 0)),
        ("handed_over", (has("handed_over"), 0)),
        ("ended", (has("ended"), 0)),
        ("in_time", (has("in_time"), 0)),
        ("overdue", (count(&|t| t.contains("late") || t.contains("overdue")), 0)),
        ("returned", (has("returned"), 0)),
        ("reopened", (has("reopened"), 0)),
        ("followed_up", (has("followed_up"), 0)),
        ("satisfied", (has("satisfied"), 0)),
        ("dissatisfied", (has("dissatisfied"), 0)),
        (
            "received",
            (tickets.iter().filter(|t| t.contains("elsewhere") && !t.contains("test")).count() as u64, 0),
        ),
        (
            "test",
            (tickets.iter().filter(|t| t.contains("test") && !t.contains("elsewhere")).count() as u64, 0),
        ),
        (
            "consultation_answered",
            (count(&|t| consultation(t) && t.contains("answered")), count(&consultation)),
        ),
        (
            "others_in_time",
            (count(&|t| other(t) && t.contains("in_time")), count(&|t| other(t) && judged(t))),
        ),
        (
            "answered_satisfied",
            (count(&|t| all(t, &["answered", "satisfied"])), count(&|t| all(t, &["answered", "rated"]))),
        ),
        (
            "handed_over_followed_up",
            (
                count(&|t| handled(t) && all(t, &["handed_over", "followed_up"])),
                count(&|t| handled(t) && t.contains("handed_over")),
            ),
        ),
        ("rectified", (has("rectified"), has("dissatisfied"))),
        (
            "complaint_in_time",
            (count(&|t| all(t, &["complaint", "in_time"])), count(&|t| complaint(t) && judged(t))),
        ),
        (
            "complaint_rechecked",
            (
                count(&|t| handled(t) && all(t, &["complaint", "rechecked"])),
                count(&|t| handled(t) && complaint(t)),
            ),
        ),
        (
            "complaint_satisfied",
            (count(&|t| all(t, &["complaint", "satisfied"])), count(&|t| all(t, &["complaint", "rated"]))),
        ),
    ])
}

/// Figures of ten years, which no story of a town leaves.
fn figures(town: &mut Town, node: &str, by: Option<&str>) -> Value {
    let (from, to) = ("2022-01-01".to_owned(), "2031-12-31".to_owned());
    town.ask(node, Request::Figures { from, to, by: by.map(str::to_owned) }).unwrap()
}

/// How many tickets are listed behind a value's `taken`.
fn behind(town: &mut Town, node: &str, by: &str, value: &Value) -> u64 {
    let (from, to) = ("2022-01-01".to_owned(), "2031-12-31".to_owned());
    let (by, value) = (Some(by.to_owned()), Some(value["value"].as_str().unwrap().to_owned()));
    let part = Part::Counted;
    let asked =
        Request::Figured { id: "taken".to_owned(), part, from, to, by, value, limit: 9_999, before: None };
    town.ask(node, asked).unwrap().as_array().unwrap().len() as u64
}

fn told(report: &Value) -> BTreeMap<String, (u64, u64)> {
    let figures = report["figures"].as_array().unwrap().iter();
    figures
        .map(|f| {
            (
                f["id"].as_str().unwrap().to_owned(),
                (f["count"].as_u64().unwrap(), f["of"].as_u64().unwrap_or(0)),
            )
        })
        .collect()
}

#[test]
fn figures_are_a_plain_count_over_the_tickets_at_every_tier() {
    let mut seen = BTreeMap::<String, u64>::new();
    for seed in 1..=4 {
        let mut town = busy(seed);
        town.link_tree();
        town.settle();
        town.night();
        town.night(); // a new node begins with its second
        for node in NODES {
            // The ministry holds some of the tickets and counts all, by what was told of them: as many as the province holds.
            let all = tickets(&mut town, if node == "000000" { "370000" } else { node });
            let plain: Vec<_> = all.iter().map(|ticket| facts(ticket, node)).collect();
            let report = figures(&mut town, node, None);
            let told = told(&report);
            for (id, numbers) in counted(&plain) {
                assert_eq!(told[id], numbers, "{id} at {node}, seed {seed}");
                *seen.entry(id.to_owned()).or_default() += numbers.0;
            }
            assert_eq!(told.len(), counted(&plain).len(), "every definition is counted once more here");
            for by in ["business", "domain", "topic", "channel", "unit", "region", "handler"] {
                if (node, by) == ("000000", "handler") {
                    continue; // what was told does not say it
                }
                let report = figures(&mut town, node, Some(by));
                let mut sum = BTreeMap::<String, (u64, u64)>::new();
                for value in report["values"].as_array().unwrap() {
                    let (taken, behind) = (self::told(value)["taken"].0, behind(&mut town, node, by, value));
                    assert!(node == "000000" || taken == behind, "{by} {value} at {node}: {behind}");
                    for (id, (count, of)) in self::told(value) {
                        let sum = sum.entry(id).or_default();
                        *sum = (sum.0 + count, sum.1 + of);
                    }
                }
                assert_eq!(sum, told, "{by} at {node}");
            }
            let rebuilt = town.ask(node, Request::Rebuild).unwrap();
            assert_eq!(rebuilt["changed"], false, "{node}");
        }
        let count = |town: &mut Town, node: &str| told(&figures(town, node, None))["taken"].0;
        let sum: u64 = NODES[1..].iter().map(|node| count(&mut town, node)).sum();
        let province = count(&mut town, "370000");
        assert_eq!(sum - province, count(&mut town, "370100") + count(&mut town, "370200"));
        assert_eq!(province, count(&mut town, "000000"), "one province is all of this country");
    }
    let never: Vec<&String> = seen.iter().filter(|(_, n)| **n == 0).map(|(id, _)| id).collect();
    assert!(never.is_empty(), "the stories hold nothing of {never:?}");
}

#[test]
fn an_update_counts_what_an_earlier_version_wrote_and_nothing_twice() {
    let mut town = busy(9);
    let before: Vec<_> = NODES.map(|node| told(&figures(&mut town, node, Some("domain")))).into();
    for (node, before) in NODES.iter().zip(before) {
        town.with_disk(node, |dir| {
            let db = rusqlite::Connection::open(dir.join("node.db")).unwrap();
            db.execute_batch(
                "DROP INDEX ticket_day; DROP TABLE ticket_tally; DELETE FROM meta WHERE key IN ('facts of figures', 'figures to count anew');
                 ALTER TABLE ticket DROP COLUMN day; ALTER TABLE ticket DROP COLUMN facts; ALTER TABLE ticket DROP COLUMN business;
                 ALTER TABLE ticket DROP COLUMN domain; ALTER TABLE ticket DROP COLUMN topic; ALTER TABLE ticket DROP COLUMN channel;",
            )
            .unwrap();
        });
        assert_eq!(told(&figures(&mut town, node, Some("domain"))), before, "{node}");
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
}

#[test]
fn the_tickets_behind_a_figure_show_no_word_of_a_confidential_report() {
    let mut town = Town::in_memory(&["370000", "370100"]);
    town.link_tree();
    let secret = json!({ "text": "站长收钱放行黑车", "type": "投诉举报", "confidential": true, "caller_phone": "13800000001", "subject": "站长收钱" });
    town.ask("370100", Request::New { tickets: vec![secret], user: None }).unwrap();
    town.settle();
    for node in ["370000", "370100"] {
        assert_eq!(told(&figures(&mut town, node, None))["taken"], (1, 0));
        let asked = Request::Figured {
            id: "taken".to_owned(),
            part: Part::Counted,
            from: "2022-01-01".to_owned(),
            to: "2031-12-31".to_owned(),
            by: Some("business".to_owned()),
            value: Some("投诉举报".to_owned()),
            limit: 9,
            before: None,
        };
        let rows = town.ask(node, asked).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 1);
        assert!(!rows.to_string().contains("站长") && !rows.to_string().contains("1380000"), "{rows}");
    }
}
