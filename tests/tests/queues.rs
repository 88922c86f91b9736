//! Queues of people: whose a ticket is within a site, who urges, and whose caller is to be asked.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use node::request::{Act, FailureKind, Request, Sift};
use serde_json::json;
use world::town::Town;

const CITY: &str = "370100";

fn numbers(town: &mut Town, node: &str, queue: &str, sift: Sift) -> Vec<String> {
    let rows =
        town.ask(node, Request::List { queue: queue.to_owned(), sift, limit: 50, before: None }).unwrap();
    let mut ids: Vec<String> =
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn queue(town: &mut Town, node: &str, queue: &str) -> Vec<String> {
    numbers(town, node, queue, Sift::default())
}

fn of(user: &str) -> Sift {
    Sift { user: Some(user.to_owned()), ..Sift::default() }
}

fn team(department: &str) -> Sift {
    Sift { department: Some(department.to_owned()), ..Sift::default() }
}

fn taken(town: &mut Town, user: &str, more: serde_json::Value) -> String {
    let mut ticket = json!({ "text": "出租车拒载", "type": "投诉举报" });
    for (name, value) in more.as_object().unwrap() {
        ticket[name] = value.clone();
    }
    let made = town.ask(CITY, Request::New { tickets: vec![ticket], user: Some(user.to_owned()) }).unwrap();
    made[0]["id"].as_str().unwrap().to_owned()
}

fn act(town: &mut Town, node: &str, user: &str, id: &str, act: Act) {
    let act = Request::Act { id: id.to_owned(), act, user: Some(user.to_owned()) };
    town.ask(node, act).unwrap_or_else(|e| panic!("{node} {user}: {e:?}"));
}

fn dispatch(department: &str) -> Act {
    Act::Dispatch { department: department.to_owned(), text: None }
}

#[test]
fn a_ticket_is_whose_who_took_it_until_a_colleague_has_it_and_a_department_works_on_it() {
    let mut town = Town::new(&[CITY, "370200", "370000"]);
    town.link_tree();
    town.settle();
    let id = taken(&mut town, "li", json!({}));
    let other = taken(&mut town, "public page", json!({}));
    let one = std::slice::from_ref(&id);
    assert_eq!(numbers(&mut town, CITY, "mine", of("li")), one);
    assert!(numbers(&mut town, CITY, "mine", of("public page")).is_empty(), "a program is nobody");
    act(&mut town, CITY, "wang", &id, dispatch("客运处"));
    assert!(numbers(&mut town, CITY, "mine", of("li")).is_empty());
    assert_eq!(numbers(&mut town, CITY, "mine", of("wang")), one);
    assert_eq!(numbers(&mut town, CITY, "team", team("客运处")), one);
    assert!(numbers(&mut town, CITY, "team", team("公交处")).is_empty());
    // Who urges does not take it, and a word of who works on it ends the urging.
    act(&mut town, CITY, "boss", &id, Act::Urge { text: "群众再次来电".to_owned() });
    assert_eq!(
        (queue(&mut town, CITY, "urged"), numbers(&mut town, CITY, "mine", of("wang"))),
        (vec![id.clone()], vec![id.clone()])
    );
    act(&mut town, CITY, "chu", &id, Act::Feedback { text: "已查".to_owned() });
    assert!(queue(&mut town, CITY, "urged").is_empty());
    assert!(numbers(&mut town, CITY, "team", team("客运处")).is_empty(), "it has answered");
    // At another site it is others' who have it.
    act(&mut town, CITY, "wang", &other, Act::Offer { to: "370200".to_owned(), reason: "属地".to_owned() });
    town.settle();
    act(&mut town, "370200", "zhao", &other, Act::Accept {});
    town.settle();
    assert_eq!(numbers(&mut town, "370200", "mine", of("zhao")), std::slice::from_ref(&other));
    assert!(!numbers(&mut town, CITY, "mine", of("wang")).contains(&other), "it is elsewhere now");
    // What was dispatched here and is handed on is with no department there, whatever it is called.
    let third = taken(&mut town, "li", json!({}));
    act(&mut town, CITY, "li", &third, dispatch("客运处"));
    act(&mut town, CITY, "boss", &third, Act::Urge { text: "请抓紧".to_owned() });
    act(&mut town, CITY, "li", &third, Act::Offer { to: "370200".to_owned(), reason: "属地".to_owned() });
    town.settle();
    act(&mut town, "370200", "zhao", &third, Act::Accept {});
    assert!(numbers(&mut town, "370200", "team", team("客运处")).is_empty());
    assert_eq!(queue(&mut town, "370200", "urged"), [third], "it is still urged");
    town.settle();
    act(&mut town, CITY, "wang", &id, Act::Close { result: "已处理".to_owned() });
    assert!(numbers(&mut town, CITY, "mine", of("wang")).is_empty());
    for node in [CITY, "370200", "370000"] {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
    let refused = town
        .ask(CITY, Request::List { queue: "mine".to_owned(), sift: Sift::default(), limit: 1, before: None });
    assert_eq!(refused.unwrap_err().kind, FailureKind::Usage);
}

#[test]
fn whose_caller_is_to_be_asked_waits_until_they_were() {
    let mut town = Town::new(&[CITY, "370200", "370000"]);
    town.link_tree();
    town.settle();
    let at_once = taken(&mut town, "li", json!({ "type": "信息咨询" }));
    act(&mut town, CITY, "li", &at_once, Act::Answer { text: "二十二点".to_owned() });
    let local = taken(&mut town, "li", json!({}));
    act(&mut town, CITY, "li", &local, dispatch("客运处"));
    act(&mut town, CITY, "li", &local, Act::Close { result: "已处理".to_owned() });
    let away = taken(&mut town, "li", json!({}));
    act(&mut town, CITY, "li", &away, Act::Offer { to: "370200".to_owned(), reason: "属地".to_owned() });
    town.settle();
    act(&mut town, "370200", "zhao", &away, Act::Accept {});
    act(&mut town, "370200", "zhao", &away, Act::Close { result: "已处理".to_owned() });
    town.settle();
    let mut both = vec![local.clone(), away.clone()];
    both.sort_unstable();
    assert_eq!(queue(&mut town, CITY, "follow-up"), both, "answered at once is not asked about");
    assert!(queue(&mut town, "370200", "follow-up").is_empty(), "who took the call asks");
    act(&mut town, CITY, "hui", &local, Act::FollowUp { text: "满意".to_owned(), satisfied: Some(true) });
    assert_eq!(queue(&mut town, CITY, "follow-up"), [away]);
}

#[test]
fn confidential_reports_have_a_queue_and_days_and_urgencies_are_checked() {
    let mut town = Town::new(&[CITY]);
    taken(&mut town, "li", json!({}));
    let report = taken(&mut town, "li", json!({ "confidential": true, "caller_phone": "13800000001" }));
    assert_eq!(queue(&mut town, CITY, "confidential"), [report]);
    for wrong in [
        Sift { first: Some("1 November".to_owned()), ..Sift::default() },
        Sift { last: Some("2026-13-01".to_owned()), ..Sift::default() },
        Sift { urgency: Some("快".to_owned()), ..Sift::default() },
    ] {
        let refused = town.ask(
            CITY,
            Request::List { queue: "all".to_owned(), sift: wrong.clone(), limit: 1, before: None },
        );
        assert_eq!(refused.unwrap_err().kind, FailureKind::Usage, "{wrong:?}");
    }
}
