//! The monthly scorecard: computed, frozen, sent to everybody below, and put right beside what it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use node::request::{Act, FailureKind, Reply, Request};
use node::scorecard::{Record, Table};
use serde_json::{Value, json};
use world::town::Town;

const DAY: u64 = 86_400_000;

const MONTH: &str = "2027-01";

fn card(town: &mut Town, node: &str, site: Option<&str>) -> Value {
    let request = Request::Scorecard { month: MONTH.to_owned(), site: site.map(str::to_owned) };
    town.ask(node, request).unwrap()
}

fn table(town: &mut Town, node: &str) -> Table {
    serde_json::from_value(card(town, node, None)["table"].clone()).unwrap()
}

fn frozen(town: &mut Town, node: &str, site: &str) -> Option<Record> {
    serde_json::from_value(card(town, node, Some(site))["frozen"].clone()).unwrap()
}

fn freeze(town: &mut Town, node: &str, reason: Option<&str>) -> Reply {
    let (month, reason) = (MONTH.to_owned(), reason.map(str::to_owned));
    town.ask(node, Request::Freeze { month, reason, user: Some("赵".to_owned()) })
}

/// Unit, rank, score and whether nothing may be missing.
fn ranks(table: &Table) -> Vec<(String, Option<u32>, Option<f64>, bool)> {
    table.units.iter().map(|u| (u.site.to_string(), u.rank, u.score, u.complete)).collect()
}

fn complaint(town: &mut Town, node: &str) -> String {
    let ticket = json!({ "text": "出租车拒载", "type": "投诉举报" });
    let made = town.ask(node, Request::New { tickets: vec![ticket], user: None }).unwrap();
    made[0]["id"].as_str().unwrap().to_owned()
}

/// A complaint that was closed, and its caller's word.
fn handled(town: &mut Town, node: &str, satisfied: bool) {
    let id = complaint(town, node);
    let mut act = |user: &str, act: Act| {
        town.ask(node, Request::Act { id: id.clone(), act, user: Some(user.to_owned()) }).unwrap();
    };
    act("li", Act::Dispatch { department: "客运处".to_owned(), text: None });
    act("li", Act::Close { result: "已处理".to_owned() });
    act("wang", Act::FollowUp { text: "回访".to_owned(), satisfied: Some(satisfied) });
}

#[test]
fn a_month_is_frozen_for_everybody_and_who_was_cut_off_is_no_zero() {
    let mut town = Town::new(&["000000", "370000", "370000-b", "370100", "370200", "370300", "510000"]);
    town.link_tree();
    town.settle();
    handled(&mut town, "370100", true);
    handled(&mut town, "370200", true);
    handled(&mut town, "370200", false);
    town.settle();
    // One city is alone from the middle of the month on, and goes on working.
    town.cut("370300", "370000");
    town.cut("370300", "370000-b");
    handled(&mut town, "370300", true);
    let early = freeze(&mut town, "370000", None).unwrap_err();
    assert!(early.message.contains("not over yet"), "{early:?}");
    town.now += 20 * DAY; // 4 February
    town.cut_all();
    for (a, b) in [
        ("000000", "370000"),
        ("000000", "510000"),
        ("370000", "370000-b"),
        ("370000", "370100"),
        ("370000", "370200"),
    ] {
        town.link(a, b);
    }
    town.settle();

    let now = table(&mut town, "370000");
    // Of 370200 one caller of two is satisfied: 100 for the rates of time and re-check and follow-up, 50 for the word, 0 set right.
    let expected = [
        ("370100".to_owned(), Some(1), Some(100.0), true),
        ("370200".to_owned(), Some(2), Some(70.0), true),
        ("370300".to_owned(), None, None, false),
    ];
    assert_eq!(ranks(&now), expected);
    let refused = freeze(&mut town, "370000", Some("漏计")).unwrap_err();
    assert!(refused.message.contains("not frozen yet"), "{refused:?}");
    freeze(&mut town, "370000", None).unwrap();
    let twice = freeze(&mut town, "370000", None).unwrap_err();
    assert!(twice.message.contains("frozen already"), "{twice:?}");
    town.settle();
    for node in ["370000", "370000-b", "370100", "370200", "000000"] {
        let record = frozen(&mut town, node, "370000").unwrap_or_else(|| panic!("{node} has it"));
        assert_eq!((record.table.clone(), record.user.as_deref()), (now.clone(), Some("赵")), "{node}");
    }
    assert_eq!(frozen(&mut town, "510000", "370000"), None, "another province's is not its matter");

    // The city is back: what it did counts, and the month is put right beside what it was; by whom it is the matter of only.
    town.link_tree();
    town.settle();
    assert_eq!(frozen(&mut town, "370300", "370000").unwrap().table, now, "whoever was away gets it");
    let later = table(&mut town, "370000");
    assert_eq!(ranks(&later)[0..2].iter().map(|r| r.1).collect::<Vec<_>>(), [Some(1), Some(1)]);
    assert!(later.units.iter().all(|unit| unit.complete));
    assert_eq!(frozen(&mut town, "370000", "370000").unwrap().holds(), &now, "what is frozen does not move");
    let not_mine = freeze(&mut town, "370100", None).unwrap_err();
    assert_eq!(not_mine.kind, FailureKind::Failed, "{not_mine:?}");
    freeze(&mut town, "370000-b", Some("青岛以外一市月末断线，补计")).unwrap_or_else(|e| panic!("{e:?}"));
    town.settle();
    for node in ["370000", "370300", "000000"] {
        let record = frozen(&mut town, node, "370000").unwrap();
        assert_eq!(record.table, now, "{node}: what it was stands");
        assert_eq!(record.amended.len(), 1, "{node}");
        assert_eq!(record.amended[0].node, "370000-b".parse().unwrap());
        let units = |table: &Table| {
            table.units.iter().map(|u| (u.site, u.score, u.counted.clone())).collect::<Vec<_>>()
        };
        assert_eq!(units(record.holds()), units(&later), "{node}");
    }
    let nothing = freeze(&mut town, "370000-b", Some("再次")).unwrap_err();
    assert!(nothing.message.contains("as it is frozen"), "{nothing:?}");
    let months = town.ask("000000", Request::Months { site: Some("370000".to_owned()), limit: 9 }).unwrap();
    assert_eq!(
        (months[0]["month"].as_str(), months[0]["amended"].as_u64()),
        (Some(MONTH), Some(1)),
        "{months}"
    );
    for node in ["370000", "370100", "000000"] {
        assert_eq!(
            town.ask(node, Request::Conflicts).unwrap(),
            json!([]),
            "{node}: it is of a kind that is known"
        );
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
        assert_eq!(frozen(&mut town, node, "370000").unwrap().amended.len(), 1, "{node}: made anew");
    }
    town.restart("370100");
    assert_eq!(frozen(&mut town, "370100", "370000").unwrap().amended.len(), 1);

    // The ministry ranks the provinces, by what everybody tells in the next night.
    town.link_tree();
    town.night();
    town.night();
    let national = table(&mut town, "000000");
    assert_eq!(ranks(&national).iter().map(|r| r.0.as_str()).collect::<Vec<_>>(), ["370000", "510000"]);
    assert_eq!((national.units[0].taken, national.units[1].score), (4, None));
}

#[test]
fn two_replicas_that_freeze_one_month_at_once_agree_on_one_of_both() {
    let mut town = Town::new(&["370000", "370000-b", "370100"]);
    town.link_tree();
    town.settle();
    handled(&mut town, "370100", true);
    town.settle();
    town.now += 20 * DAY;
    town.cut_all();
    freeze(&mut town, "370000", None).unwrap();
    freeze(&mut town, "370000-b", None).unwrap();
    town.link_tree();
    town.settle();
    let first = frozen(&mut town, "370000", "370000").unwrap();
    for node in ["370000-b", "370100"] {
        assert_eq!(frozen(&mut town, node, "370000").unwrap(), first, "{node}");
    }
    let both = town.ask("370100", Request::Months { site: Some("370000".to_owned()), limit: 9 }).unwrap();
    assert_eq!(both.as_array().unwrap().len(), 2, "neither is lost: {both}");
}

#[test]
fn a_month_that_a_stolen_node_froze_is_gone_and_what_it_wrote_is_in_nobodys_way() {
    let mut town = Town::new(&["370000", "370000-b", "370100"]);
    town.link_tree();
    town.settle();
    handled(&mut town, "370100", true);
    complaint(&mut town, "370000-b");
    town.settle();
    town.now += 20 * DAY;
    town.settle();
    let last = town.last_seal("370000-b");
    freeze(&mut town, "370000-b", None).unwrap();
    town.settle();
    for node in ["370000", "370100"] {
        assert!(frozen(&mut town, node, "370000").is_some(), "{node}: nobody knows better yet");
    }
    town.revoke("370000-b", &[last], "370000");
    town.settle();
    for node in ["370000", "370100"] {
        assert_eq!(frozen(&mut town, node, "370000"), None, "{node}");
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
    freeze(&mut town, "370000", None).unwrap();
    town.settle();
    assert_eq!(frozen(&mut town, "370100", "370000").unwrap().node, "370000".parse().unwrap());
}
