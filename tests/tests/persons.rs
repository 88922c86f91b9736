//! Persons: who is granted a ticket's key, erasing, confidential reports, looking callers up, and the log of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

use node::policy::request::PolicyRequest;
use node::request::{Act, Failure, Request, Sift};
use serde_json::{Value, json};
use world::town::Town;

const ALL: [&str; 8] = ["000000", "370000", "510000", "370100", "370200", "510100", "510700", "370100-01"];
const DAY: u64 = 86_400_000;

const NAME: &str = "欧阳慕白";
const PHONE: &str = "13912345678";
const WORDS: &str = "站长收受好处费";

fn linked(nodes: &[&str]) -> Town {
    let mut town = Town::new(nodes);
    town.link_tree();
    town.settle();
    town
}

fn call(town: &mut Town, node: &str, more: Value) -> (String, Value) {
    let mut ticket = json!({
        "text": WORDS, "type": "投诉举报", "channel": "电话", "caller_name": NAME, "caller_phone": PHONE,
    });
    ticket.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = town.ask(node, Request::New { tickets: vec![ticket], user: None }).unwrap();
    (made[0]["id"].as_str().unwrap().to_owned(), made[0].clone())
}

fn reveal(town: &mut Town, node: &str, id: &str) -> Result<Value, Failure> {
    town.ask(
        node,
        Request::Show {
            id: id.to_owned(), reveal: Some("回访".to_owned()), user: Some("王芳".to_owned())
        },
    )
}

/// Which of these nodes see the caller.
fn who_sees<'a>(town: &mut Town, id: &str, nodes: &[&'a str]) -> Vec<&'a str> {
    let sees = |town: &mut Town, node: &str| match reveal(town, node, id) {
        Ok(shown) => {
            assert_eq!(shown["person"]["phone"], PHONE);
            assert_eq!(shown["person"]["name"], NAME);
            true
        }
        Err(_) => false,
    };
    nodes.iter().copied().filter(|node| sees(town, node)).collect()
}

fn offer(to: &str) -> Act {
    Act::Offer { to: to.to_owned(), reason: "属地不符".to_owned() }
}

fn assign(to: &str) -> Act {
    Act::Assign { to: to.to_owned(), reason: "指定承办".to_owned() }
}

fn erase(town: &mut Town, node: &str, id: &str) -> Result<Value, Failure> {
    let user = Some("李雷".to_owned());
    town.ask(node, Request::Erase { id: id.to_owned(), reason: "保存期满".to_owned(), user })
}

fn missing(town: &mut Town, node: &str, id: &str) -> Value {
    town.show(node, id).unwrap()["erased"]["missing"].clone()
}

/// The files below a directory in which these bytes stand.
fn files_with(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir).unwrap().flatten() {
        if file.path().is_dir() {
            found.extend(files_with(&file.path(), bytes));
        } else if std::fs::read(file.path()).unwrap().windows(bytes.len()).any(|w| w == bytes) {
            found.push(file.path().display().to_string());
        }
    }
    found
}

#[test]
fn grants_go_along_offers_and_assigns_across_provinces() {
    let mut town = linked(&ALL);
    let (id, _) = call(&mut town, "370100", json!({}));
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &ALL), ["370000", "370100"]);
    town.act("370100", &id, offer("510100")).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &ALL), ["370000", "370100", "510100"]);
    town.act("510100", &id, Act::Accept {}).unwrap();
    town.settle();
    // The superior who assigns has no key; a holder adds the grant, and one of them is enough.
    town.act("510000", &id, assign("510700")).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &ALL), ["370000", "370100", "510100", "510700"]);
    town.assert_converged();
    // To the ministry only as custodian or on request.
    let ask = |to: &str| Request::Grant {
        id: id.clone(),
        to: to.to_owned(),
        reason: "部领导批示".to_owned(),
        user: Some("王芳".to_owned()),
    };
    assert!(town.ask("510000", ask("000000")).unwrap_err().message.contains("no key"));
    assert!(town.ask("370000", ask("370200")).unwrap_err().message.contains("does not hold this ticket"));
    town.ask("370000", ask("000000")).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["000000", "510000"]), ["000000"]);
    let log = town.ask("370000", Request::Reveals { id: Some(id.clone()) }).unwrap();
    let granted = log["lines"].as_array().unwrap().iter().find(|l| l["what"] == "grant").unwrap();
    assert_eq!((&granted["user"], &granted["reason"]), (&json!("王芳"), &json!("000000: 部领导批示")));
    assert_eq!(log["intact"], true);
    town.assert_converged();
}

#[test]
fn the_ministry_is_granted_the_key_when_it_holds_the_ticket() {
    let mut town = linked(&ALL);
    let (id, _) = call(&mut town, "370000", json!({}));
    town.act("370000", &id, offer("000000")).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["000000"]), [""; 0]);
    town.act("000000", &id, Act::Accept {}).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["000000"]), ["000000"]);
}

#[test]
fn a_replica_that_comes_late_gets_its_grants_and_only_one_holder_makes_them() {
    let mut town = linked(&["000000", "370000", "370100"]);
    let ids: Vec<String> = (0..3).map(|_| call(&mut town, "370100", json!({})).0).collect();
    town.settle();
    let items = |town: &mut Town| town.ask("370000", Request::Status).unwrap()["items"].as_u64().unwrap();
    let before = items(&mut town);
    town.join("370000-b");
    town.link("370000", "370000-b");
    town.settle();
    for id in &ids {
        assert_eq!(who_sees(&mut town, id, &["370000-b"]), ["370000-b"]);
    }
    town.assert_converged();
    assert_eq!(items(&mut town), before + 1 + 3, "its record, and one grant for each ticket");
}

#[test]
fn when_the_first_holder_is_down_the_next_makes_the_grant_after_a_day() {
    let mut town = Town::new(&["000000", "370000", "370100", "370200"]);
    town.link("000000", "370000");
    town.link("370000", "370100");
    town.settle();
    let (id, _) = call(&mut town, "370100", json!({}));
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    town.cut("370000", "370100");
    town.link("370000", "370200");
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370200"]), [""; 0], "370100 is the custodian and comes first");
    town.now += DAY + DAY / 2;
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370200"]), ["370200"]);
    town.link("370000", "370100");
    town.settle();
    town.assert_converged();
}

/// The lack was noted by a clock that was years ahead; set right, it does not make the holder wait for years.
#[test]
fn a_holder_whose_clock_was_ahead_makes_the_grant_after_a_day_too() {
    let mut town = Town::new(&["000000", "370000", "370100", "370200"]);
    town.link("000000", "370000");
    town.link("370000", "370100");
    town.settle();
    let (id, _) = call(&mut town, "370100", json!({}));
    town.act("370100", &id, offer("370200")).unwrap();
    town.now += 3_650 * DAY;
    town.settle();
    town.cut("370000", "370100");
    town.link("370000", "370200");
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370200"]), [""; 0], "370100 comes first");
    town.now -= 3_650 * DAY;
    town.settle();
    town.now += DAY + DAY / 2;
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370200"]), ["370200"]);
}

#[test]
fn a_record_that_comes_after_the_offer_brings_the_grant_at_once() {
    let mut town = Town::new(&["370000", "370100", "370200", "000000"]);
    let (id, _) = call(&mut town, "370100", json!({}));
    town.act("370100", &id, offer("370200")).unwrap();
    town.link_tree();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370000", "370200"]), ["370000", "370200"]);
    town.assert_converged();
}

#[test]
fn what_is_erased_stays_erased_after_a_year_offline_and_an_old_backup() {
    let mut town = linked(&["000000", "370000", "370100", "370200"]);
    let (id, _) = call(&mut town, "370100", json!({}));
    let (other, _) = call(&mut town, "370100", json!({}));
    for id in [&id, &other] {
        town.act("370100", id, offer("370200")).unwrap();
    }
    town.settle();
    town.act("370200", &other, Act::Decline { reason: "不属本市".to_owned() }).unwrap();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.settle();
    let refused = erase(&mut town, "370200", &other).unwrap_err();
    assert!(refused.message.contains("may not erase"), "{refused}");
    let backup = town.backup("370200");
    town.cut("370200", "370000");
    let erased = erase(&mut town, "370000", &id).unwrap();
    assert_eq!(erased["erased"]["confirmed"], json!(["370000"]));
    town.settle();
    town.now += 365 * DAY;
    town.settle();
    for node in ["000000", "370000", "370100"] {
        let shown = town.show(node, &id).unwrap();
        assert_eq!(shown["erased"]["reason"], "保存期满", "{node}");
        assert_eq!(shown["erased"]["missing"], json!(["370200"]), "{node}");
        let failure = reveal(&mut town, node, &id).unwrap_err();
        assert!(failure.message.contains("erased by 370000"), "{failure}");
    }
    assert_eq!(who_sees(&mut town, &id, &["370200"]), ["370200"], "it has not heard");
    town.link("370200", "370000");
    town.settle();
    town.assert_converged();
    assert_eq!(who_sees(&mut town, &id, &["000000", "370000", "370100", "370200"]), [""; 0]);
    assert_eq!(missing(&mut town, "370100", &id), json!([]));

    // Nobody's backup brings it back: not with its own grants, nor to others by repair.
    town.restore("370200", &backup);
    assert_eq!(who_sees(&mut town, &id, &["370200"]), ["370200"], "the old disk still opens it");
    town.link("370200", "370000");
    town.settle();
    town.assert_converged();
    assert_eq!(who_sees(&mut town, &id, &["000000", "370000", "370100", "370200"]), [""; 0]);
    // Nor is it granted to a node that comes later, which gets the stubs and gives its receipt.
    town.join("370000-b");
    town.link("370000", "370000-b");
    town.settle();
    town.assert_converged();
    assert_eq!(missing(&mut town, "370000-b", &id), json!([]));
    assert_eq!(who_sees(&mut town, &id, &["370000-b"]), [""; 0]);
    let found = |town: &mut Town| {
        let lookup = Request::Lookup {
            phone: Some(PHONE.to_owned()),
            name: None,
            desk: false,
            reveal: None,
            user: None,
            limit: 10,
        };
        town.ask("370000", lookup).unwrap().as_array().unwrap().len()
    };
    assert_eq!(found(&mut town), 1, "the index forgot it too; the other ticket stands");
    for node in ["000000", "370000", "370100", "370200", "370000-b"] {
        town.restart(node);
        assert_eq!(town.ask(node, Request::Verify).unwrap()["damaged"], json!([]), "{node}");
    }
    assert_eq!(who_sees(&mut town, &other, &["370000", "370200"]), ["370000", "370200"]);
}

#[test]
fn a_vault_that_is_gone_is_fetched_again_from_the_peers() {
    let mut town = linked(&["000000", "370000", "370100"]);
    let (id, _) = call(&mut town, "370100", json!({}));
    town.settle();
    town.with_disk("370000", lose_vault);
    assert_eq!(who_sees(&mut town, &id, &["370000"]), [""; 0]);
    town.link_tree();
    town.settle();
    town.assert_converged();
    assert_eq!(who_sees(&mut town, &id, &["370000"]), ["370000"]);
    let log = town.ask("370000", Request::Reveals { id: None }).unwrap();
    assert_eq!(log["intact"], true);
}

/// What `with_disk` does when a vault is gone.
fn lose_vault(dir: &Path) {
    std::fs::remove_file(dir.join("vault.db")).unwrap();
    let _ = std::fs::remove_file(dir.join("vault.db-wal"));
}

/// A ticket that the province assigned to 370200, and a backup of the province's disk from before.
fn assigned_since() -> (Town, String, tempfile::TempDir) {
    let mut town = linked(&["370000", "370200"]);
    let (id, _) = call(&mut town, "370000", json!({}));
    let backup = town.backup("370000");
    town.act("370000", &id, assign("370200")).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &["370000", "370200"]), ["370000", "370200"]);
    (town, id, backup)
}

/// The nodes are linked again, and everybody has had the time to see what is lacking.
fn days_later(town: &mut Town) {
    town.link_tree();
    town.settle();
    for _ in 0..4 {
        town.now += DAY + 3_600_000;
        town.settle();
    }
}

#[test]
fn a_grant_that_an_old_vault_and_a_lost_one_held_is_made_again() {
    let (mut town, id, backup) = assigned_since();
    town.with_disk("370200", lose_vault);
    town.with_disk("370000", |dir| {
        lose_vault(dir);
        for file in ["vault.db", "vault.db-wal"] {
            let _ = std::fs::copy(backup.path().join(file), dir.join(file)); // the log may not be there
        }
    });
    days_later(&mut town);
    assert_eq!(who_sees(&mut town, &id, &["370000", "370200"]), ["370000", "370200"]);
    town.assert_converged();
}

#[test]
fn a_grant_that_an_old_database_and_a_lost_vault_held_is_made_again() {
    let (mut town, id, backup) = assigned_since();
    town.with_disk("370200", lose_vault);
    town.with_disk("370000", |dir| {
        for file in ["node.db", "node.db-wal", "node.db-shm"] {
            let _ = std::fs::remove_file(dir.join(file));
            let _ = std::fs::copy(backup.path().join(file), dir.join(file));
        }
    });
    days_later(&mut town);
    assert_eq!(who_sees(&mut town, &id, &["370000", "370200"]), ["370000", "370200"]);
    town.assert_converged();
}

#[test]
fn what_was_erased_is_erased_where_only_the_database_is_put_back() {
    let nodes = ["000000", "370000", "370100"];
    let mut town = linked(&nodes);
    let before = town.backup("370000");
    let (id, _) = call(&mut town, "370100", json!({}));
    town.settle();
    let backup = town.backup("370100");
    erase(&mut town, "000000", &id).unwrap();
    town.settle();
    town.cut_all();
    // The city's database does not know of the mark, its vault has no grant any more. The province lacks it all.
    town.with_disk("370100", |dir| {
        for file in ["node.db", "node.db-wal", "node.db-shm"] {
            let _ = std::fs::remove_file(dir.join(file));
            let _ = std::fs::copy(backup.path().join(file), dir.join(file));
        }
    });
    town.restore("370000", &before);
    town.link("370000", "370100");
    town.settle();
    days_later(&mut town);
    town.assert_converged();
    assert_eq!(who_sees(&mut town, &id, &nodes), [""; 0]);
    assert_eq!(missing(&mut town, "370000", &id), json!([]));
}

#[test]
fn a_mark_that_rests_on_words_which_fell_is_taken_everywhere() {
    let mut town = linked(&["370000", "370100"]);
    let ids: Vec<String> = (0..8).map(|_| call(&mut town, "370100", json!({})).0).collect();
    town.settle();
    town.cut_all();
    let progress = |town: &mut Town, text: &str| {
        for id in &ids {
            town.act("370100", id, Act::Progress { text: text.to_owned() }).unwrap();
        }
    };
    let copy = town.copy_running("370100");
    progress(&mut town, "原机进展");
    let original = town.swap("370100", copy);
    progress(&mut town, "副本进展");
    town.link_tree();
    town.settle();
    // Each mark rests on words of the copy. About half of these fall when the original's are heard.
    for id in &ids {
        erase(&mut town, "370000", id).unwrap();
    }
    let copy = town.swap("370100", original);
    days_later(&mut town);
    town.assert_converged();
    town.swap("370100", copy);
    days_later(&mut town);
    town.assert_converged();
    for id in &ids {
        assert_eq!(who_sees(&mut town, id, &["370000", "370100"]), [""; 0]);
    }
}

#[test]
fn what_a_mark_emptied_that_counts_no_more_comes_back_from_whoever_kept_it() {
    let nodes = ["000000", "370000", "370000-b", "370100"];
    let mut town = linked(&nodes);
    town.link("370000-b", "370100");
    let (id, _) = call(&mut town, "370000-b", json!({}));
    town.act("370000-b", &id, assign("370100")).unwrap();
    town.settle();
    let last = town.last_seal("370000-b");
    town.cut_all();
    town.link("370000-b", "370100");
    erase(&mut town, "370000-b", &id).unwrap(); // whoever stole the node does
    town.settle();
    assert!(reveal(&mut town, "370100", &id).is_err(), "the mark counts until the revocation is heard");

    town.cut_all();
    town.revoke("370000-b", &[last], "370000");
    // The city hears of the revocation where everybody still has what it gave up, or only stubs: neither is the end.
    town.link("370100", "370000");
    town.settle();
    days_later(&mut town);
    assert_eq!(who_sees(&mut town, &id, &["370000", "370100"]), ["370000", "370100"]);
    assert_eq!(town.show("370100", &id).unwrap()["erased"], json!(null));
    town.assert_converged();
}

#[test]
fn a_confidential_report_is_seen_by_two_desks_and_never_by_the_unit_it_is_about() {
    let mut town = linked(&ALL);
    let (id, made) = call(
        &mut town,
        "370100",
        json!({ "confidential": true, "against": "370100", "subject": WORDS, "remark": "本人系该站职工" }),
    );
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.settle();
    assert_eq!(who_sees(&mut town, &id, &ALL), ["000000", "370000"]);
    let shown = reveal(&mut town, "370000", &id).unwrap();
    assert_eq!((&shown["body"], &shown["facts"]["subject"]), (&json!(WORDS), &json!(WORDS)));
    let grant = Request::Grant {
        id: id.clone(),
        to: "370100".to_owned(),
        reason: "要求".to_owned(),
        user: Some("王芳".to_owned()),
    };
    assert!(town.ask("370000", grant).unwrap_err().message.contains("never sees"));
    // The others get the matter and no text of it.
    let number = made["number"].as_str().unwrap();
    for node in ["000000", "370000", "370100", "370200"] {
        let requests = [
            Request::Show { id: id.clone(), reveal: None, user: None },
            Request::List { queue: "all".to_owned(), sift: Sift::default(), limit: 10, before: None },
            Request::Search { text: number.to_owned(), limit: 10 },
            Request::Export { after: None, limit: 10 },
        ];
        for request in requests {
            let said = town.ask(node, request).unwrap().to_string();
            assert!(said.contains(number), "{node}");
            assert!(
                ![WORDS, NAME, PHONE, "职工"].iter().any(|secret| said.contains(secret)),
                "{node} {said}"
            );
        }
        let found = town.ask(node, Request::Search { text: WORDS.to_owned(), limit: 10 }).unwrap();
        assert_eq!(found, json!([]), "{node}");
        let lookup = |desk: bool| Request::Lookup {
            phone: None,
            name: Some(NAME.to_owned()),
            desk,
            reveal: desk.then(|| "核查".to_owned()),
            user: Some("王芳".to_owned()),
            limit: 10,
        };
        assert_eq!(town.ask(node, lookup(false)).unwrap(), json!([]), "{node}");
        let desks = if ["000000", "370000"].contains(&node) { 1 } else { 0 };
        assert_eq!(town.ask(node, lookup(true)).unwrap().as_array().unwrap().len(), desks, "{node}");
    }
    // The canary: the caller stands in clear in no file of any node, nor do the words.
    for node in ALL {
        let path = town.path(node.parse().unwrap());
        for secret in [NAME, PHONE, WORDS, "职工"] {
            assert_eq!(files_with(&path, secret.as_bytes()), [""; 0], "{secret}");
        }
    }
    town.assert_converged();
}

/// Their key would be granted to nobody, and what they said would be gone.
#[test]
fn a_report_whose_reporter_no_desk_may_see_is_refused_with_a_reason() {
    let mut town = Town::new(&["000000", "370000", "370100"]);
    let report = |against: &str| {
        let ticket = json!({
            "text": WORDS, "type": "投诉举报", "channel": "电话", "caller_name": NAME, "caller_phone": PHONE,
            "confidential": true, "against": against,
        });
        Request::New { tickets: vec![ticket], user: None }
    };
    let refused = town.ask("000000", report("000000")).unwrap_err();
    assert!(refused.message.contains("no confidential desk"), "{refused}");
    assert!(town.ask("370100", report("370100")).is_err(), "it has not met its superiors");
    town.link_tree();
    town.settle();
    let made = town.ask("370100", report("370100")).unwrap();
    town.settle();
    assert_eq!(
        who_sees(&mut town, made[0]["id"].as_str().unwrap(), &["000000", "370000", "370100"]),
        ["000000", "370000"]
    );
}

#[test]
fn a_caller_who_calls_again_is_known_and_looking_up_is_logged() {
    let mut town = linked(&ALL);
    let (first, made) = call(&mut town, "370100", json!({}));
    assert_eq!(made["earlier"], json!([]));
    let (second, made) = call(&mut town, "370100", json!({ "caller_phone": "+86 139-1234-5678" }));
    assert_eq!(made["earlier"], json!([first]));
    call(&mut town, "370100", json!({ "caller_phone": "13900000000", "caller_name": "张三" }));
    town.settle();
    let lookup = |reveal: Option<&str>| Request::Lookup {
        phone: Some("139 1234 5678".to_owned()),
        name: None,
        desk: false,
        reveal: reveal.map(str::to_owned),
        user: Some("王芳".to_owned()),
        limit: 10,
    };
    for (node, wanted) in [("370100", 2), ("370000", 2), ("000000", 0)] {
        let rows = town.ask(node, lookup(None)).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), wanted, "{node}");
        assert!(!rows.to_string().contains(PHONE), "no person without a reason");
    }
    let rows = town.ask("370000", lookup(Some("来电查询"))).unwrap();
    let ids: Vec<&str> = rows.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&first.as_str()) && ids.contains(&second.as_str()));
    assert!(rows.as_array().unwrap().iter().all(|r| r["person"]["name"] == NAME));
    town.restart("370000");
    let log = town.ask("370000", Request::Reveals { id: Some(first.clone()) }).unwrap();
    assert_eq!(log["lines"].as_array().unwrap().len(), 1);
    assert_eq!(log["lines"][0]["reason"], "来电查询");
    assert_eq!(log["intact"], true);
    town.ask("370000", Request::Rebuild).unwrap();
    assert_eq!(town.ask("370000", lookup(None)).unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn the_facts_of_the_clock_are_plain_data_and_a_rebuild_reproduces_them() {
    let mut town = linked(&["000000", "370000", "370100"]);
    let (id, _) = call(&mut town, "370100", json!({}));
    town.act("370100", &id, Act::Pause { reason: "等待车主资料".to_owned() }).unwrap();
    town.act("370100", &id, Act::Progress { text: "资料已到".to_owned() }).unwrap();
    let asked = town
        .act("370100", &id, Act::Extend { days: Some(5), reason: "案情复杂".to_owned(), grant: None })
        .unwrap();
    town.settle();
    let grant = asked["entry"].as_str().map(str::to_owned);
    town.act("370000", &id, Act::Extend { days: Some(3), reason: "同意".to_owned(), grant }).unwrap();
    town.settle();
    town.act("370100", &id, Act::Close { result: "已处理".to_owned() }).unwrap();
    town.settle();
    for node in ["370000", "370100"] {
        let shown = town.show(node, &id).unwrap();
        let clock = &shown["clock"];
        assert_eq!(clock["rule"], "built-in 1");
        assert_eq!(clock["began"][0]["at"], shown["trail"][0]["at"]);
        assert_eq!(clock["custody_began"], clock["began"]);
        assert_eq!(clock["stopped"].as_array().unwrap().len(), 1);
        assert_eq!(clock["extensions"][0]["request"]["days"], 5);
        assert_eq!(clock["extensions"][0]["granted"][0]["days"], 3);
        assert_eq!(clock["paused"][0]["from"]["entry"], shown["trail"][1]["id"]);
        assert_eq!(clock["paused"][0]["until"][0]["entry"], shown["trail"][2]["id"]);
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
    }
}

#[test]
fn nothing_is_erased_while_the_date_is_in_doubt() {
    let mut town = linked(&["370000", "370100"]);
    let (ticket, _) = call(&mut town, "370100", json!({}));
    town.act("370100", &ticket, Act::Close { result: "已处理".to_owned() }).unwrap();
    town.settle();
    town.with("370100", |engine| engine.set_retention(Some(90)));
    town.now += 20 * 365 * DAY;
    town.with("370100", |engine| engine.met("370000".parse().unwrap(), false));
    assert_eq!(town.ask("370100", Request::Status).unwrap()["clock_doubt"], true);
    town.with("370100", |engine| while engine.is_behind().unwrap() && engine.catch_up().unwrap() {});
    assert_eq!(who_sees(&mut town, &ticket, &["370100"]), ["370100"]);
    town.ask("370100", Request::ConfirmClock).unwrap();
    town.with("370100", |engine| while engine.is_behind().unwrap() && engine.catch_up().unwrap() {});
    assert_eq!(who_sees(&mut town, &ticket, &["370100"]), [""; 0], "somebody has looked at the date");
}

#[test]
fn what_ended_long_ago_is_erased_everywhere_unless_it_is_kept() {
    let mut town = linked(&["370000", "370100"]);
    let tickets: Vec<String> = (0..4).map(|_| call(&mut town, "370100", json!({})).0).collect();
    let [old, kept, open, young] = &tickets[..] else { unreachable!() };
    let close = || Act::Close { result: "已处理".to_owned() };
    let keep = || Act::Keep { reason: "诉讼中".to_owned() };
    town.settle();
    town.act("370100", old, close()).unwrap();
    town.act("370100", kept, close()).unwrap();
    // A superior has it kept; the city may not undo that by erasing.
    town.act("370000", kept, keep()).unwrap();
    town.settle();
    town.now += 100 * DAY;
    town.act("370100", young, close()).unwrap();
    town.settle();
    let refused = erase(&mut town, "370100", kept).unwrap_err();
    assert!(refused.message.contains("保全"), "{refused}");

    // A whole round, as the writer makes it when nobody asks for anything.
    let round = |town: &mut Town| {
        town.now += DAY;
        town.with("370100", |engine| {
            while engine.is_behind().unwrap() && engine.catch_up().unwrap() {}
            assert!(!engine.is_behind().unwrap(), "the round of a day ends");
        });
        town.settle();
    };
    round(&mut town);
    assert_eq!(who_sees(&mut town, old, &["370100"]), ["370100"], "nobody says how long anything is kept");
    let today = town.ask("370000", Request::Policy(PolicyRequest::List { table: None, all: false })).unwrap()
        ["day"]
        .clone();
    let set = PolicyRequest::Set {
        table: "retention".to_owned(),
        rows: "data,days,basis\ncaller,90,x\n".to_owned(),
        from: today.as_str().unwrap().to_owned(),
        basis: "省厅规定".to_owned(),
        note: String::new(),
        try_only: false,
        user: None,
    };
    town.ask("370000", Request::Policy(set)).unwrap();
    town.settle();
    round(&mut town);
    let all = ["370000", "370100"];
    assert_eq!(who_sees(&mut town, old, &all), [""; 0]);
    for stays in [kept, open, young] {
        assert_eq!(who_sees(&mut town, stays, &all), all);
    }
    let erased = town.show("370000", old).unwrap();
    assert_eq!(erased["erased"]["user"], "retention");
    assert_eq!(
        (erased["stage"].as_str(), &erased["erased"]["missing"]),
        (Some("closed"), &json!(["000000"]))
    );

    // Released, it goes with the next round; what has become old meanwhile, too.
    town.with("370100", |engine| engine.set_retention(Some(300)));
    town.act("370100", kept, Act::Release { reason: "诉讼已结".to_owned() }).unwrap();
    round(&mut town);
    assert_eq!(who_sees(&mut town, kept, &all), all, "its time begins anew with the last word");
    town.now += 100 * DAY;
    round(&mut town);
    assert_eq!(who_sees(&mut town, kept, &all), all, "the operator's own word goes before the rule");
    town.with("370100", |engine| engine.set_retention(None));
    round(&mut town);
    assert_eq!(who_sees(&mut town, kept, &all), [""; 0]);
    assert_eq!(who_sees(&mut town, young, &all), [""; 0]);
    assert_eq!(who_sees(&mut town, open, &all), all, "what is not ended is never erased by its age");
    town.assert_converged();
}
