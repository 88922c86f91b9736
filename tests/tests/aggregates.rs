//! Aggregates: the ministry counts a nation whose tickets it does not hold, by what each site tells of its days.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use node::request::{Act, Request};
use node::scorecard::Table;
use serde_json::{Value, json};
use world::town::Town;

const DAY: u64 = 86_400_000;

const NODES: [&str; 8] =
    ["000000", "370000", "370000-b", "370100", "370100-01", "370200", "510000", "510100"];

/// What of a figure is counted: how many, and of how many.
type Counts = BTreeMap<String, (u64, u64)>;

fn call(town: &mut Town, node: &str, ticket: Value) -> String {
    let made = town.ask(node, Request::New { tickets: vec![ticket], user: None }).unwrap();
    made[0]["id"].as_str().unwrap().to_owned()
}

fn complaint(town: &mut Town, node: &str) -> String {
    let ticket = json!({ "text": "出租车拒载", "type": "投诉举报", "domain": "道路运输", "channel": "电话" });
    call(town, node, ticket)
}

fn act(town: &mut Town, node: &str, id: &str, act: Act) {
    let request = Request::Act { id: id.to_owned(), act, user: Some("li".to_owned()) };
    town.ask(node, request).unwrap_or_else(|e| panic!("{node}: {e:?}"));
}

fn close(town: &mut Town, node: &str, id: &str) {
    act(town, node, id, Act::Dispatch { department: "客运处".to_owned(), text: None });
    act(town, node, id, Act::Close { result: "已处理".to_owned() });
}

/// Every node of a linked town has nothing to do for a while: a new one begins with the night after that.
fn town() -> Town {
    let mut town = Town::new(&NODES);
    town.link_tree();
    town.settle();
    town.quiet();
    town
}

fn report(town: &mut Town, node: &str, by: Option<&str>) -> Value {
    let request = Request::Figures {
        from: "2027-01-01".to_owned(),
        to: "2027-02-28".to_owned(),
        by: by.map(str::to_owned),
    };
    town.ask(node, request).unwrap()
}

fn counts(figures: &Value) -> Counts {
    let number = |figure: &Value, key: &str| figure[key].as_u64().unwrap_or(0);
    let figures = figures.as_array().unwrap().iter();
    figures.map(|f| (f["id"].as_str().unwrap().to_owned(), (number(f, "count"), number(f, "of")))).collect()
}

fn by(report: &Value) -> BTreeMap<String, Counts> {
    let values = report["values"].as_array().into_iter().flatten();
    values.map(|row| (row["value"].as_str().unwrap().to_owned(), counts(&row["figures"]))).collect()
}

fn plus(sum: &mut Counts, other: &Counts) {
    for (id, (count, of)) in other {
        let sum = sum.entry(id.clone()).or_default();
        *sum = (sum.0 + count, sum.1 + of);
    }
}

/// The provinces hold every ticket of theirs: the nation is what they count, and what the ministry took.
fn adds_up(town: &mut Town, own: u64) {
    let mut whole = Counts::new();
    for province in ["370000", "510000"] {
        plus(&mut whole, &counts(&report(town, province, None)["figures"]));
    }
    let told = counts(&report(town, "000000", None)["figures"]);
    assert_eq!(told["taken"].0, whole["taken"].0 + own);
    // What one province received of the other is received by nobody in the nation.
    let without = |counts: &Counts| -> Counts {
        counts.iter().filter(|(id, _)| *id != "received").map(|(id, n)| (id.clone(), *n)).collect()
    };
    assert_eq!(told["received"].0, 0);
    if own == 0 {
        assert_eq!(without(&told), without(&whole));
    }
    for dimension in ["business", "domain", "topic", "channel", "region", "day"] {
        let mut parts: BTreeMap<String, Counts> = BTreeMap::new();
        for province in ["370000", "510000"] {
            for (value, counts) in by(&report(town, province, Some(dimension))) {
                plus(parts.entry(value).or_default(), &counts);
            }
        }
        let nation = by(&report(town, "000000", Some(dimension)));
        if own == 0 {
            let all = |of: &BTreeMap<String, Counts>| -> BTreeMap<String, Counts> {
                let some = of.iter().map(|(value, counts)| (value.clone(), without(counts)));
                some.filter(|(_, counts)| counts.values().any(|n| n.0 > 0)).collect()
            };
            assert_eq!(all(&nation), all(&parts), "{dimension}");
        } else {
            let taken = |of: &BTreeMap<String, Counts>| of.values().map(|c| c["taken"].0).sum::<u64>();
            assert_eq!(taken(&nation), taken(&parts) + own, "{dimension}");
        }
    }
}

fn card(town: &mut Town, month: &str) -> Table {
    let request = Request::Scorecard { month: month.to_owned(), site: None };
    serde_json::from_value(town.ask("000000", request).unwrap()["table"].clone()).unwrap()
}

#[test]
fn the_ministry_counts_the_nation_by_what_sites_tell() {
    let mut town = town();
    for node in ["370000", "370000-b", "370100", "370100-01", "370200", "510000", "510100"] {
        complaint(&mut town, node);
        call(&mut town, node, json!({ "text": "高速免费吗", "type": "信息咨询", "channel": "网站" }));
    }
    let closed = complaint(&mut town, "370200");
    close(&mut town, "370200", &closed);
    call(&mut town, "370100", json!({ "text": "抽检", "type": "信息咨询", "x.test": true }));
    // One is handed up to the ministry, which holds it then and must not count it twice; one goes across.
    let up = complaint(&mut town, "370100");
    let across = complaint(&mut town, "510100");
    town.settle();
    let offer = |to: &str| Act::Offer { to: to.to_owned(), reason: "属地不符".to_owned() };
    for (id, from, to) in [
        (&up, "370100", "370000"),
        (&up, "370000", "000000"),
        (&across, "510100", "510000"),
        (&across, "510000", "000000"),
        (&across, "000000", "370000"),
    ] {
        act(&mut town, from, id, offer(to));
        town.settle();
        act(&mut town, to, id, Act::Accept {});
        town.settle();
    }
    assert!(town.show("000000", &up).is_some());
    let before = counts(&report(&mut town, "000000", None)["figures"]);
    assert_eq!(before["taken"].0, 0, "nothing was told yet, and nothing is counted by halves");
    assert_eq!(report(&mut town, "000000", None)["told"]["sites"], 0);

    town.night();
    adds_up(&mut town, 0);
    let told = report(&mut town, "000000", None)["told"].clone();
    assert_eq!(told["sites"], 6, "every site with a node but the ministry: {told}");
    assert_eq!(report(&mut town, "370000", None)["told"], Value::Null, "a province counts its tickets");

    // What changes is told in the next night; what does not is not told again; a deadline that passes needs no telling.
    let late = complaint(&mut town, "510100");
    town.settle();
    town.night();
    close(&mut town, "510100", &late);
    town.settle();
    let whole = counts(&report(&mut town, "510000", None)["figures"])["ended"].0;
    let nation = counts(&report(&mut town, "000000", None)["figures"])["ended"].0;
    assert_eq!((whole, nation), (1, 1), "the one closed today is told tonight; the other is of 370200");
    town.night();
    adds_up(&mut town, 0);
    let documents = |town: &mut Town| town.ask("000000", Request::Status).unwrap()["documents"].clone();
    let before = documents(&mut town);
    town.now += 25 * DAY;
    adds_up(&mut town, 0);
    let overdue = counts(&report(&mut town, "000000", None)["figures"])["overdue"].0;
    assert!(overdue > 5, "{overdue}: the open complaints, by the clock alone");
    assert_eq!(documents(&mut town), before);

    // The ministry's own are counted by their rows.
    complaint(&mut town, "000000");
    adds_up(&mut town, 1);
    for node in NODES {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
    adds_up(&mut town, 1);
    town.restart("000000");
    town.link_tree();
    town.settle();
    adds_up(&mut town, 1);
}

#[test]
fn a_site_that_is_cut_off_is_named_and_no_zero() {
    let mut town = town();
    for node in ["370100", "370200", "510100"] {
        let id = complaint(&mut town, node);
        close(&mut town, node, &id);
    }
    town.night();
    let month = "2027-01";
    let untold = |table: &Table| -> Vec<(String, bool, Vec<String>)> {
        let unit = |u: &node::scorecard::Unit| {
            (u.site.to_string(), u.complete, u.untold.iter().map(ToString::to_string).collect())
        };
        let mut units: Vec<_> = table.units.iter().map(unit).collect();
        units.sort();
        units
    };
    let table = card(&mut town, month);
    assert_eq!(
        untold(&table),
        [("370000".to_owned(), true, vec![]), ("510000".to_owned(), true, vec![])],
        "told to yesterday"
    );
    town.cut("370200", "370000");
    town.cut("370200", "370000-b");
    let id = complaint(&mut town, "370200");
    close(&mut town, "370200", &id);
    for _ in 0..25 {
        town.night();
    }
    let table = card(&mut town, month);
    assert_eq!(
        untold(&table),
        [("370000".to_owned(), false, vec!["370200".to_owned()]), ("510000".to_owned(), true, vec![])]
    );
    let shandong = table.units.iter().find(|u| u.site.to_string() == "370000").unwrap();
    assert_eq!((shandong.taken, shandong.rank), (2, None), "what was told before counts, and has no rank");
    town.link_tree();
    town.settle();
    let table = card(&mut town, month);
    let shandong = table.units.iter().find(|u| u.site.to_string() == "370000").unwrap();
    assert_eq!((shandong.taken, shandong.complete), (3, true));
    adds_up(&mut town, 0);
}

#[test]
fn two_replicas_that_did_not_hear_each_other_add_up_in_the_night_after() {
    let mut town = town();
    town.night();
    for other in ["000000", "370000", "370100", "370200"] {
        town.cut("370000-b", other);
    }
    for node in ["370000", "370000", "370000", "370000-b"] {
        complaint(&mut town, node);
    }
    town.night();
    town.link_tree();
    town.settle();
    let taken = |town: &mut Town| counts(&report(town, "000000", None)["figures"])["taken"].0;
    assert_eq!(taken(&mut town), 3, "of two editions alike the one with more tickets");
    town.night();
    assert_eq!(taken(&mut town), 4);
    adds_up(&mut town, 0);
    // Nobody contradicts anybody any more.
    let grown = |town: &mut Town| {
        let items = |town: &mut Town| town.ask("370000", Request::Status).unwrap()["items"].as_u64().unwrap();
        let before = items(town);
        town.night();
        items(town) - before
    };
    let [first, second] = [grown(&mut town), grown(&mut town)];
    // A new day of each of the four sites in the province, and of the second node of one, which has not heard of the first's.
    assert_eq!([first, second], [5, 5]);
}

#[test]
fn a_node_that_was_put_back_takes_no_count_away() {
    let mut town = town();
    town.night();
    let backup = town.backup("370200");
    for _ in 0..2 {
        complaint(&mut town, "370200");
    }
    town.settle();
    town.night();
    adds_up(&mut town, 0);
    town.restore("370200", &backup);
    town.quiet(); // it has no line, knows of no call, and tells of none
    town.link_tree();
    town.settle();
    adds_up(&mut town, 0);
    town.night();
    adds_up(&mut town, 0);
}

#[test]
fn the_second_node_of_a_site_comes_an_hour_later_and_adds_nothing() {
    let mut town = Town::new(&["000000", "370000", "370000-b"]);
    town.link_tree();
    town.settle();
    town.quiet();
    complaint(&mut town, "370000");
    town.settle();
    let items = |town: &mut Town| town.ask("000000", Request::Status).unwrap()["items"].as_u64().unwrap();
    let before = items(&mut town);
    // China's midnight is at 16:00 UTC.
    let minute = 60_000;
    town.now += DAY - (town.now + 8 * 60 * minute) % DAY + 5 * minute;
    town.quiet();
    assert_eq!(items(&mut town), before, "five past twelve");
    town.now += 10 * minute;
    town.quiet();
    assert_eq!(items(&mut town), before + 2, "the month begins, and its first day is told");
    town.now += 60 * minute;
    town.quiet();
    assert_eq!(items(&mut town), before + 2);
    assert_eq!(counts(&report(&mut town, "000000", None)["figures"])["taken"].0, 1);
}
