//! Rules: what the ministry sets reaches a city that is cut off late, and holds there from its own day on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use node::policy::request::PolicyRequest;
use node::request::{Act, Correction, Failure, Language, Request};
use serde_json::{Value, json};
use world::town::Town;

const NODES: [&str; 4] = ["000000", "370000", "370100", "510100"];
const LIMITS: &str = "business,domain,topic,urgency,amount,unit,basis\n";

fn policy(town: &mut Town, node: &str, request: PolicyRequest) -> Result<Value, Failure> {
    town.ask(node, Request::Policy(request))
}

fn set(town: &mut Town, node: &str, table: &str, from: &str, rows: &str) -> Result<Value, Failure> {
    let (table, rows, from) = (table.to_owned(), rows.to_owned(), from.to_owned());
    let (basis, note, user) = ("交办运〔2027〕1号".to_owned(), String::new(), Some("li".to_owned()));
    policy(town, node, PolicyRequest::Set { table, rows, from, basis, note, try_only: false, user })
}

fn deadline(town: &mut Town, node: &str, id: &str) -> Value {
    town.show(node, id).unwrap()["deadline"].clone()
}

fn says(deadline: &Value) -> String {
    deadline["text"]["en"].as_str().unwrap().to_owned()
}

/// Only `queue` reads the stored deadline: the row and the page must say the same.
fn listed(town: &mut Town, node: &str, id: &str) -> Value {
    let list = Request::List { queue: "held".to_owned(), sift: Default::default(), limit: 50, before: None };
    let rows = town.ask(node, list).unwrap();
    rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()["due"].clone()
}

/// A town that is quiet, on Friday 15 January 2027.
fn town() -> Town {
    let mut town = Town::new(&NODES);
    town.link_tree();
    town.link("510100", "000000");
    town.settle();
    town.quiet();
    town
}

#[test]
fn a_rule_that_reaches_a_cut_off_city_late_holds_there_from_its_own_day_on() {
    let mut town = town();
    let old = town.call("370100", "出租车拒载");
    town.settle();
    let first = deadline(&mut town, "370100", &old);
    assert_eq!((first["rule"].as_str(), first["provisional"].as_bool()), (Some("built-in 1"), Some(true)));

    town.cut("370100", "370000");
    let rows = format!("{LIMITS}投诉举报,,,,3,working days,a\n,,,,5,working days,a\n");
    let done = set(&mut town, "000000", "time_limits", "2027-01-17", &rows).unwrap();
    assert_eq!(done["edition"]["standing"], "coming", "{done}");
    let days = "date,kind,name\n2027-01-01,holiday,元旦\n2027-01-18,holiday,试行\n";
    assert_eq!(
        set(&mut town, "000000", "holidays", "2027-01-15", days).unwrap()["edition"]["standing"],
        "in force"
    );
    town.settle();
    for _ in 0..4 {
        town.night();
    }
    let late = town.call("370100", "出租车拒载");
    let there = town.call("510100", "出租车拒载");
    town.quiet();
    assert_eq!(deadline(&mut town, "370100", &late)["rule"], "built-in 1", "the city has not heard of it");
    let told = deadline(&mut town, "510100", &there);
    assert_eq!((&told["rule"], &told["taken_under"]), (&json!("000000 2027-01-17 #1"), &Value::Null));
    let moved = deadline(&mut town, "510100", &there)["due"].clone();

    town.link_tree();
    town.settle();
    town.quiet();
    let now = deadline(&mut town, "370100", &late);
    assert_eq!((&now["rule"], &now["taken_under"]), (&json!("000000 2027-01-17 #1"), &json!("built-in 1")));
    assert_eq!((&now["due"], &now["provisional"]), (&moved, &json!(false)));
    let en = says(&now);
    assert!(en.starts_with("3 working days from 2027-01-19 under rule 000000 2027-01-17 #1"), "{en}");
    assert!(
        en.ends_with("taken under rule built-in 1; rule 000000 2027-01-17 #1 holds since 2027-01-17 and was received later"),
        "{en}"
    );
    assert!(
        now["text"]["zh"]
            .as_str()
            .unwrap()
            .contains("规则 000000 2027-01-17 #1 自2027-01-17起施行，收到较晚"),
        "{now}"
    );
    let kept = deadline(&mut town, "370100", &old);
    assert_eq!(kept["rule"], "built-in 1", "a new rule moves no old deadline");
    assert_eq!(kept["provisional"], false, "but the year is published by now");
    assert_ne!(kept["due"], first["due"], "and a day off lies in it");
    for node in ["000000", "370000"] {
        for id in [&old, &late] {
            let shown = deadline(&mut town, node, id)["due"].clone();
            assert_eq!(shown, deadline(&mut town, "370100", id)["due"], "{node}");
        }
    }
    for id in [&old, &late] {
        assert_eq!(listed(&mut town, "370100", id), deadline(&mut town, "370100", id)["due"]);
    }
    for node in NODES {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
        assert_eq!(town.ask(node, Request::Verify).unwrap()["damaged"], json!([]), "{node}");
    }
    town.restart("370100");
    assert_eq!(deadline(&mut town, "370100", &late), now, "and after a new start");
    town.link_tree();
    town.settle();
    town.assert_converged();
}

#[test]
fn a_province_tightens_and_is_refused_when_it_loosens() {
    let mut town = town();
    let rows = |n: u32| format!("{LIMITS}投诉举报,,,,{n},working days,省厅\n");
    let refused = set(&mut town, "370000", "time_limits", "2027-01-15", &rows(11)).unwrap_err();
    assert!(refused.to_string().contains("11 working days is longer than 10 working days"), "{refused}");
    let refused =
        set(&mut town, "370000", "holidays", "2027-01-15", "date,kind,name\n2027-01-01,holiday,元旦\n");
    assert!(refused.unwrap_err().to_string().contains("a province may not set holidays"));
    let refused = set(&mut town, "370000", "time_limits", "2027-01-14", &rows(7)).unwrap_err();
    assert!(refused.to_string().contains("takes effect today at the earliest"), "{refused}");
    set(&mut town, "370000", "time_limits", "2027-01-15", &rows(7)).unwrap();
    town.settle();
    town.quiet();
    let (own, other) = (town.call("370100", "出租车拒载"), town.call("510100", "出租车拒载"));
    town.settle();
    let told = deadline(&mut town, "370100", &own);
    assert_eq!(told["rule"], "built-in 1 + 370000 2027-01-15 #1");
    assert!(says(&told).starts_with("7 working days"), "{told}");
    assert_eq!(
        town.show("370000", &own).unwrap()["clock"]["rule"],
        "built-in 1",
        "a version of before knows it"
    );
    assert_eq!(deadline(&mut town, "510100", &other)["rule"], "built-in 1");
}

#[test]
fn what_is_not_in_force_yet_is_taken_back_and_what_is_is_not() {
    let mut town = town();
    let tell = "number,name,scope,mode\n12345,市民热线,其他,tell\n";
    set(&mut town, "000000", "redirects", "2027-01-16", tell).unwrap();
    town.settle();
    let back = |town: &mut Town, edition| {
        policy(town, "000000", PolicyRequest::Withdraw { table: "redirects".to_owned(), edition, user: None })
    };
    assert_eq!(back(&mut town, 1).unwrap()["edition"]["standing"], "withdrawn");
    set(&mut town, "000000", "redirects", "2027-01-16", tell).unwrap();
    town.settle();
    town.night();
    assert!(back(&mut town, 2).unwrap_err().to_string().contains("is in force since 2027-01-16"));
    let shown =
        PolicyRequest::Show { table: "redirects".to_owned(), on: None, edition: None, to_edit: false };
    let shown = policy(&mut town, "370100", shown).unwrap();
    assert_eq!((&shown["made_of"], &shown["rows"]), (&json!(["000000 2027-01-16 #2"]), &json!(tell)));
    let list =
        policy(&mut town, "370100", PolicyRequest::List { table: Some("redirects".into()), all: false })
            .unwrap();
    let standing: Vec<&Value> =
        list["tables"][0]["editions"].as_array().unwrap().iter().map(|e| &e["standing"]).collect();
    assert_eq!(standing, [&json!("withdrawn"), &json!("in force")]);
    let status = town.ask("370100", Request::Status).unwrap()["policy"].clone();
    assert_eq!(status, json!({ "in_force": 1, "next": null, "not_read": [] }));
}

#[test]
fn an_offer_says_until_when_it_is_to_be_answered_by_the_table_in_force() {
    let mut town = town();
    let ticket = town.call("370100", "出租车拒载");
    town.settle();
    assert_eq!(town.show("370100", &ticket).unwrap()["handover"], Value::Null);
    let offer = || Act::Offer { to: "370000".to_owned(), reason: "跨市".to_owned() };
    town.act("370100", &ticket, offer()).unwrap();
    town.settle();
    let handover = |town: &mut Town, node: &str| town.show(node, &ticket).unwrap()["handover"].clone();
    let told = handover(&mut town, "370000");
    let line = "370000 山东省 is to accept or decline it: 1 working days from 2027-01-15: 2027-01-18 \
                (provisional: the holidays are not published yet)";
    assert_eq!((&told["text"]["en"][0], &told["late"]), (&json!(line), &json!(false)), "{told}");
    let rows = "step,amount,unit,basis\naccept,2,hours,x\n";
    set(&mut town, "370000", "transfers", "2027-01-15", rows).unwrap();
    town.settle();
    town.now += 3 * 3_600_000;
    let told = handover(&mut town, "370100");
    assert_eq!((&told["late"], &told["assigns"]), (&json!(true), &Value::Null), "{told}");
    let said = town.ask("370100", Request::History { id: ticket.clone(), language: Language::Zh }).unwrap();
    let last = said["lines"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned();
    assert!(last.contains("应于") && last.contains("2小时") && last.contains("已超时"), "{last}");
    // It may still be declined; after the second time the province assigns.
    town.act("370000", &ticket, Act::Decline { reason: "不属实".to_owned() }).unwrap();
    town.settle();
    assert_eq!(handover(&mut town, "370100"), Value::Null);
    town.act("370100", &ticket, offer()).unwrap();
    town.settle();
    town.act("370000", &ticket, Act::Decline { reason: "不属实".to_owned() }).unwrap();
    town.settle();
    let told = handover(&mut town, "370000");
    assert_eq!((&told["assigns"], &told["accept_by"]), (&json!("370000"), &Value::Null), "{told}");
    town.act("370000", &ticket, Act::Assign { to: "370100".to_owned(), reason: "由你处理".to_owned() })
        .unwrap();
    town.settle();
    assert_eq!(handover(&mut town, "370100"), Value::Null);
}

#[test]
fn how_often_a_ticket_may_come_back_is_set_for_those_that_are_taken_from_then_on() {
    let mut town = town();
    let old = town.call("370100", "出租车拒载");
    let rows = "step,amount,unit,basis\ndecline,1,times,市内约定\n";
    set(&mut town, "370100", "transfers", "2027-01-15", rows).unwrap();
    let new = town.call("370100", "出租车绕路");
    town.settle();
    let offer = || Act::Offer { to: "370000".to_owned(), reason: "跨市".to_owned() };
    for id in [&old, &new] {
        town.act("370100", id, offer()).unwrap();
        town.settle();
        town.act("370000", id, Act::Decline { reason: "不属实".to_owned() }).unwrap();
        town.settle();
    }
    // Whoever reads it comes to the same, also where that table is not in force.
    for node in ["370100", "370000", "000000"] {
        let told = town.show(node, &new).unwrap()["handover"].clone();
        assert_eq!(told["text"]["zh"][0], "已1次被退回，不能再转办，可由370000 山东省指派承办单位", "{node}");
        assert_eq!(town.show(node, &old).unwrap()["handover"], Value::Null, "{node}");
    }
    let refused = town.act("370100", &new, offer()).unwrap_err();
    assert!(refused.causes.concat().contains("1"), "{refused:?}");
    town.act("370100", &old, offer()).unwrap();
    town.settle();
    town.assert_converged();
}

#[test]
fn a_field_of_one_citys_own_is_lost_nowhere_where_nobody_knows_it() {
    let mut town = town();
    let columns = "name,zh,en,kind,choices,business,domain,required,basis\n";
    let rows = format!("{columns}vehicle,车型,Kind of vehicle,choice,小客车|大货车,,,yes,厅函1号\n");
    set(&mut town, "370100", "fields", "2027-01-15", &rows).unwrap();
    let rows = "business,domain,topic,region,department,site,basis\n,,D0401,,,370000,厅函2号\n";
    set(&mut town, "370100", "dispatch", "2027-01-15", rows).unwrap();
    town.settle();
    let made = |town: &mut Town, vehicle: &str| {
        let ticket = json!({
            "text": "绕路", "field": "D0401", "vehicle": vehicle, "lane": 3, "old": { "tel": "13800000001" },
        });
        let made = town.ask("370100", Request::New { tickets: vec![ticket], user: None }).unwrap();
        made[0]["id"].as_str().unwrap().to_owned()
    };
    let (id, old) = (made(&mut town, " 大货车 "), made(&mut town, "三轮车"));
    let correct = |town: &mut Town, node: &str, id: &str, name: &str, to: &str| {
        let to = Correction { from: None, to: to.to_owned() };
        town.act(node, id, Act::Correct { facts: [(name.to_owned(), to)].into(), reason: None })
    };
    let refused = correct(&mut town, "370100", &id, "x.vehicle", "三轮车").unwrap_err().to_string();
    assert!(refused.contains("`x.vehicle` is none of 小客车, 大货车"), "{refused}");
    let shown = town.show("370100", &old).unwrap();
    assert_eq!(shown["facts"]["x.vehicle"], "三轮车", "what came from elsewhere is kept as it came");
    assert_eq!(
        shown["facts"]["x.old"], "{\"tel\":\"138****0001\"}",
        "but no telephone number stands in clear"
    );
    let told = &shown["suggested"];
    assert_eq!(
        (&told["site"], &told["department"], &told["when"]),
        (&json!("370000"), &Value::Null, &json!({ "topic": "D0401" }))
    );
    assert_eq!(
        told["text"]["en"],
        "by the dispatch catalogue: topic 巡游出租汽车 → 370000 山东省 (basis: 厅函2号)"
    );

    // The province knows neither the field nor the catalogue; it takes the ticket, mends it, and gives it back.
    town.act("370100", &id, Act::Offer { to: "370000".to_owned(), reason: "全省".to_owned() }).unwrap();
    town.settle();
    town.act("370000", &id, Act::Accept {}).unwrap();
    let there = town.show("370000", &id).unwrap();
    assert_eq!((&there["facts"]["x.vehicle"], &there["facts"]["x.lane"]), (&json!("大货车"), &json!("3")));
    assert_eq!(there["suggested"], Value::Null);
    correct(&mut town, "370000", &id, "place", "汽车站").unwrap();
    correct(&mut town, "370000", &id, "x.vehicle", "挂车").unwrap();
    town.settle();
    let told = |town: &mut Town, node: &str| {
        let story = town.ask(node, Request::History { id: id.clone(), language: Language::Zh }).unwrap();
        story.to_string()
    };
    assert!(told(&mut town, "370000").contains("vehicle “大货车” → “挂车”"));
    assert!(told(&mut town, "370100").contains("车型 “大货车” → “挂车”"), "{}", told(&mut town, "370100"));
    for node in ["370000", "370100"] {
        let all = town.ask(node, Request::Export { after: None, limit: 10 }).unwrap();
        let one = all["tickets"].as_array().unwrap().iter().find(|one| one["id"] == id.as_str()).unwrap();
        assert_eq!(
            (&one["facts"]["x.vehicle"], &one["facts"]["x.lane"]),
            (&json!("挂车"), &json!("3")),
            "{node}"
        );
    }
    town.assert_converged();
}
