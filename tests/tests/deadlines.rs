//! Deadlines: what is overdue and nearly so, what moves a deadline, and what computes it anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use node::request::{Act, Language, Request, Sift};
use serde_json::{Value, json};
use world::town::Town;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn town() -> Town {
    let mut town = Town::new(&["370000", "370100"]);
    town.link_tree();
    town.settle();
    town
}

fn queue(town: &mut Town, node: &str, queue: &str) -> Vec<String> {
    let rows = town
        .ask(node, Request::List { queue: queue.to_owned(), sift: Sift::default(), limit: 50, before: None })
        .unwrap();
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn due(town: &mut Town, node: &str, id: &str) -> Value {
    town.show(node, id).unwrap()["deadline"]["due"].clone()
}

fn pass(town: &mut Town, time: u64) {
    town.now += time;
    town.settle();
}

#[test]
fn a_ticket_goes_from_in_time_to_nearly_overdue_to_overdue_everywhere() {
    let mut town = town();
    let id = town.call("370100", "出租车拒载");
    let urgent = json!({ "text": "路面塌陷", "type": "投诉举报", "channel": "电话", "priority": "特急" });
    let made = town.ask("370100", Request::New { tickets: vec![urgent], user: None }).unwrap();
    let urgent = made[0]["id"].as_str().unwrap().to_owned();
    town.settle();
    for node in ["370000", "370100"] {
        assert_eq!(queue(&mut town, node, "due-soon"), [urgent.as_str()], "{node}");
        assert!(queue(&mut town, node, "overdue").is_empty(), "{node}");
    }
    pass(&mut town, 3 * HOUR);
    assert_eq!(queue(&mut town, "370000", "overdue"), [urgent.as_str()]);
    pass(&mut town, 40 * DAY);
    for node in ["370000", "370100"] {
        assert_eq!(queue(&mut town, node, "overdue"), [urgent.clone(), id.clone()], "the first to end first");
        assert_eq!(town.ask(node, Request::Status).unwrap()["overdue"], 2, "{node}");
        assert_eq!(town.show(node, &id).unwrap()["deadline"]["state"], "overdue", "{node}");
    }
    town.act("370100", &urgent, Act::Close { result: "已抢修".to_owned() }).unwrap();
    town.settle();
    assert_eq!(queue(&mut town, "370000", "overdue"), [id.as_str()]);
    assert_eq!(town.show("370000", &urgent).unwrap()["deadline"]["state"], "missed");
    let story = town.ask("370000", Request::History { id, language: Language::En }).unwrap();
    let last = story["lines"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap();
    assert!(last.starts_with("deadline: 10 working days from ") && last.ends_with("it is overdue"), "{last}");
}

#[test]
fn pauses_extensions_and_a_reopening_move_the_deadline_alike_on_both_nodes() {
    let mut town = town();
    let id = town.call("370100", "出租车拒载");
    town.settle();
    let first = due(&mut town, "370100", &id);
    let moved = |town: &mut Town, what: &str| {
        town.settle();
        let here = due(town, "370100", &id);
        assert_eq!(due(town, "370000", &id), here, "{what}");
        here
    };
    town.act("370100", &id, Act::Pause { reason: "等待车主资料".to_owned() }).unwrap();
    assert_eq!(moved(&mut town, "paused"), Value::Null);
    pass(&mut town, 60 * DAY);
    assert!(queue(&mut town, "370100", "overdue").is_empty(), "the clock stands still");
    town.act("370100", &id, Act::Progress { text: "资料已到".to_owned() }).unwrap();
    let after_pause = moved(&mut town, "goes on");
    assert!(after_pause.as_str() > first.as_str(), "{first} {after_pause}");
    let asked = Act::Extend { days: Some(5), reason: "案情复杂".to_owned(), grant: None };
    let asked = town.act("370100", &id, asked).unwrap()["entry"].as_str().map(str::to_owned);
    assert_eq!(moved(&mut town, "asked for"), after_pause, "nobody has granted it yet");
    town.act("370000", &id, Act::Extend { days: Some(3), reason: "同意".to_owned(), grant: asked }).unwrap();
    let extended = moved(&mut town, "granted");
    assert!(extended.as_str() > after_pause.as_str(), "{after_pause} {extended}");
    town.act("370100", &id, Act::Close { result: "已处理".to_owned() }).unwrap();
    town.settle();
    assert_eq!(town.show("370000", &id).unwrap()["deadline"]["state"], "met");
    pass(&mut town, 90 * DAY);
    town.act("370100", &id, Act::Reopen { reason: "来电人不满意".to_owned() }).unwrap();
    assert!(moved(&mut town, "reopened").as_str() > extended.as_str());
    for node in ["370000", "370100"] {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
}

/// What a start finds that follows other tables: the deadlines are computed anew, without opening documents where the row
/// tells enough, with them where a version wrote it that knew no deadlines.
#[test]
fn deadlines_are_computed_anew_when_the_rules_changed_and_for_an_older_database() {
    let mut town = town();
    let ids: Vec<String> = (0..3).map(|n| town.call("370100", &format!("来电 {n}"))).collect();
    town.settle();
    let before: Vec<Value> = ids.iter().map(|id| due(&mut town, "370100", id)).collect();
    let listed = |town: &mut Town| {
        let rows = town
            .ask(
                "370100",
                Request::List { queue: "open".to_owned(), sift: Sift::default(), limit: 9, before: None },
            )
            .unwrap();
        rows.as_array().unwrap().iter().rev().map(|row| row["due"].clone()).collect::<Vec<_>>()
    };
    for spoil in [
        "UPDATE ticket SET due = '2001-01-01'; DELETE FROM meta WHERE key = 'rules of deadlines'",
        "DROP INDEX ticket_deadline; ALTER TABLE ticket DROP COLUMN due; UPDATE ticket SET clock = '{\"began\":[]}';
         DELETE FROM meta WHERE key = 'rules of deadlines'",
    ] {
        town.with_disk("370100", |dir| {
            rusqlite::Connection::open(dir.join("node.db")).unwrap().execute_batch(spoil).unwrap();
        });
        assert_eq!(listed(&mut town), before, "{spoil}");
    }
}

#[test]
fn a_table_in_the_data_directory_replaces_the_built_in_one() {
    let mut town = town();
    let id = town.call("370100", "出租车拒载");
    let before = due(&mut town, "370100", &id);
    let table =
        "version,business,domain,topic,urgency,amount,unit,basis\nbuilt-in 1,,,,,30,calendar days,a test\n";
    town.with_disk("370100", |dir| {
        std::fs::create_dir(dir.join("reference")).unwrap();
        std::fs::write(dir.join("reference/time_limits.csv"), table).unwrap();
    });
    let after = due(&mut town, "370100", &id);
    assert!(after.as_str() > before.as_str(), "{before} {after}");
    let text = town.show("370100", &id).unwrap()["deadline"]["text"]["en"].as_str().unwrap().to_owned();
    assert!(text.starts_with("30 calendar days from "), "{text}");
}
