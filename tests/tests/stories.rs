//! The scenarios that must hold, on real directories.

use node::engine::Reader;
use node::request::{Act, Correction, FailureKind, Hold, Language, Reply, Request, Sift};
use serde_json::json;
use sync::replica::Event;
use world::town::Town;

const ALL: [&str; 8] = ["000000", "370000", "510000", "370100", "370200", "510100", "510700", "370100-01"];

fn offer(to: &str) -> Act {
    Act::Offer { to: to.to_owned(), reason: "属地不符".to_owned() }
}

fn assign(to: &str) -> Act {
    Act::Assign { to: to.to_owned(), reason: "指定承办".to_owned() }
}

fn close() -> Act {
    Act::Close { result: "已处理".to_owned() }
}

fn linked() -> Town {
    let mut town = Town::new(&ALL);
    town.link_tree();
    town.settle();
    town
}

#[test]
fn a_reader_shows_what_is_saved_and_waits_for_no_writer() {
    let mut town = Town::new(&["370100"]);
    let reader = town.reader("370100");
    let new = |text: &str| Request::New {
        tickets: vec![json!({ "text": text, "type": "投诉举报" })],
        user: None,
    };
    let rows = |reply: Reply| reply.expect("rows").as_array().map_or(0, Vec::len);
    let reads = [
        Request::List { queue: "all".to_owned(), sift: Sift::default(), limit: 9, before: None },
        Request::List { queue: "due-soon".to_owned(), sift: Sift::default(), limit: 9, before: None },
        Request::Search { text: "拒载".to_owned(), limit: 9 },
        Request::Similar { text: "出租车拒载".to_owned(), plate: None, place: None, limit: 9 },
        Request::Figures { from: "2027-01-01".to_owned(), to: "2027-12-31".to_owned(), by: None },
    ];
    for (read, there) in reads.iter().zip(0..) {
        assert!(Reader::reads(read));
        let (made, seen) = town.ask_beside("370100", &new("出租车拒载"), &reader, read);
        made.expect("a ticket");
        let before = town.ask("370100", reads[0].clone());
        assert_eq!(rows(before), there + 1, "saved");
        if *read == reads[0] {
            assert_eq!(rows(seen), 0, "nothing was committed yet");
        }
        let engines = town.ask("370100", read.clone());
        let mine = reader.ask(town.now, read).expect("it is read"); // at the same moment
        assert_eq!(mine, engines, "{read:?}");
    }
    let figures = reader.ask(town.now, &reads[4]).expect("it is read").expect("figures");
    assert_eq!(figures["figures"][0]["count"], 5);
    // It says what is wrong as the engine does, and leaves alone what is not its own.
    let wrong = Request::List { queue: "none".to_owned(), sift: Sift::default(), limit: 1, before: None };
    assert_eq!(reader.ask(town.now, &wrong).expect("it is read"), town.ask("370100", wrong.clone()));
    for other in [new("x"), Request::Status] {
        assert!(!Reader::reads(&other) && reader.ask(town.now, &other).is_none());
    }
}

#[test]
fn a_week_with_every_link_cut_and_then_all_converge() {
    let mut town = linked();
    town.cut_all();
    for day in 0..7 {
        for city in ["370100", "370200", "510100", "510700", "370100-01"] {
            let id = town.call(city, &format!("出租车拒载,第 {day} 天"));
            town.act(city, &id, Act::Dispatch { department: "运管处".to_owned(), text: None }).unwrap();
            town.act(city, &id, Act::Feedback { text: "属实".to_owned() }).unwrap();
            town.act(city, &id, Act::Reply { text: "已回复".to_owned(), confirm: None }).unwrap();
            town.act(city, &id, close()).unwrap();
        }
        town.now += 86_400_000;
    }
    town.link_tree();
    town.settle();
    town.assert_converged();
    let status = town.ask("000000", Request::Status).unwrap();
    assert_eq!(status["documents"], 35);
    assert_eq!(status["stages"]["closed"], 35);
}

#[test]
fn a_superiors_assign_beats_an_accept_that_had_not_heard_of_it() {
    let mut town = linked();
    let id = town.call("370100", "跨市班车中途甩客");
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    town.cut("370200", "370000");
    town.act("370000", &id, Act::Assign { to: "370100".to_owned(), reason: "始发地负责".to_owned() })
        .unwrap();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.ask("370200", Request::Note { id: id.clone(), text: "已联系车主".to_owned(), user: None }).unwrap();
    town.settle();
    town.link("370200", "370000");
    town.settle();
    town.assert_converged();
    for node in ["370100", "370200", "370000", "000000"] {
        let ticket = town.show(node, &id).unwrap();
        assert_eq!(ticket["custodian"], "370100", "{node}");
        assert_eq!(ticket["superseded"].as_array().unwrap().len(), 1, "{node}");
        assert_eq!(ticket["superseded"][0]["reason"], json!({ "superior": "370000" }), "{node}");
        assert_eq!(ticket["notes"].as_object().unwrap().len(), 1, "{node}");
    }
    let story = town.ask("370200", Request::History { id, language: Language::En }).unwrap();
    let lines: Vec<&str> =
        story["lines"].as_array().unwrap().iter().filter_map(|l| l["text"].as_str()).collect();
    assert!(lines.iter().any(|l| l.contains("superseded: 370000")), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("370100") && l.contains("holds the ticket")), "{lines:?}");
}

#[test]
fn up_and_down_the_tiers_and_straight_across_with_each_link_cut_in_turn() {
    let mut town = linked();
    let stepwise = town.call("370100", "外省客车超员");
    for (from, to) in [("370100", "370000"), ("370000", "000000"), ("000000", "510000"), ("510000", "510100")]
    {
        town.act(from, &stepwise, offer(to)).unwrap();
        town.settle();
        town.act(to, &stepwise, Act::Accept {}).unwrap();
        town.settle();
    }
    assert_eq!(town.show("370100", &stepwise).unwrap()["custodian"], "510100");
    let straight = town.call("370100", "外省出租车绕路");
    town.act("370100", &straight, offer("510100")).unwrap();
    for (a, b) in [("370100", "370000"), ("370000", "000000"), ("510000", "000000"), ("510100", "510000")] {
        town.cut(a, b);
        town.settle();
        town.link(a, b);
        town.settle();
    }
    town.act("510100", &straight, Act::Accept {}).unwrap();
    town.settle();
    town.assert_converged();
    assert_eq!(town.show("370100", &straight).unwrap()["custodian"], "510100");
    assert!(town.show("370200", &straight).is_none(), "no other city receives it");
}

/// Sets facts, whatever stands there.
fn correct(facts: &[(&str, &str)]) -> Act {
    let to = |to: &str| Correction { from: None, to: to.to_owned() };
    let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), to(value))).collect();
    Act::Correct { facts, reason: None }
}

#[test]
fn a_fact_that_two_sites_mend_at_once_shows_both_until_somebody_chooses() {
    let mut town = linked();
    let id = town.call("370100", "出租车拒载");
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.settle();
    town.cut_all();
    town.act("370100", &id, correct(&[("place", "火车站"), ("plate", "鲁A12345")]))
        .expect("it took the call");
    town.act("370200", &id, correct(&[("place", "汽车站"), ("plate", "鲁A12345"), ("topic", "D0401")]))
        .expect("it holds the ticket");
    let refused = town.act("370000", &id, correct(&[("place", "机场")])).unwrap_err();
    assert!(refused.causes.iter().any(|why| why.contains("370200") && why.contains("370100")), "{refused:?}");
    town.link_tree();
    town.settle();
    town.assert_converged();
    for node in ["370100", "370200", "370000", "000000"] {
        let ticket = town.show(node, &id).unwrap();
        // Who wrote the same do not disagree.
        assert_eq!(ticket["conflicts"], json!({ "place": ["汽车站", "火车站"] }), "{node}");
        assert_eq!((&ticket["facts"]["topic"], &ticket["facts"]["domain"]), (&json!("D0401"), &json!("D04")));
        let found = town.ask(node, Request::Conflicts).unwrap();
        assert_eq!(found[0]["what"], "both", "{node}: {found}");
    }
    town.act("370200", &id, correct(&[("place", "火车站")])).unwrap();
    town.settle();
    town.assert_converged();
    for node in ["370100", "370200", "370000", "000000"] {
        let ticket = town.show(node, &id).unwrap();
        assert_eq!(
            (&ticket["facts"]["place"], &ticket["conflicts"]),
            (&json!("火车站"), &json!({})),
            "{node}"
        );
        assert_eq!(town.ask(node, Request::Conflicts).unwrap(), json!([]), "{node}");
        let story = town.ask(node, Request::History { id: id.clone(), language: Language::Zh }).unwrap();
        let story = story.to_string();
        assert!(
            story.contains("更正 业务领域 （空） → “D04”；事项 （空） → “D0401”；地点 （空） → “汽车站”"),
            "{story}"
        );
        assert!(story.contains("更正 地点 “汽车站 / 火车站” → “火车站”"), "{story}");
    }
    assert_eq!(town.ask("370200", Request::Rebuild).unwrap()["changed"], false);
}

#[test]
fn who_mends_a_fact_that_has_changed_meanwhile_is_told_and_a_report_keeps_its_words() {
    let mut town = Town::new(&["370100"]);
    let id = town.call("370100", "公交晚点");
    let saw = |from: &str, to: &str| Act::Correct {
        facts: [("place".to_owned(), Correction { from: Some(from.to_owned()), to: to.to_owned() })].into(),
        reason: Some("来电人更正".to_owned()),
    };
    town.act("370100", &id, saw("", "泉城路")).unwrap();
    let moved = town.act("370100", &id, saw("", "经十路")).unwrap_err();
    assert_eq!((moved.kind, moved.message.contains("泉城路")), (FailureKind::Moved, true), "{moved:?}");
    town.act("370100", &id, saw("泉城路", "经十路")).unwrap();
    let same = town.act("370100", &id, saw("经十路", "经十路")).unwrap_err();
    assert_eq!(same.kind, FailureKind::Failed);
    // A topic brings its domain, a domain takes a topic of another one away, and the two fit.
    town.act("370100", &id, correct(&[("topic", "巡游出租汽车")])).unwrap();
    town.act("370100", &id, correct(&[("domain", "D01")])).unwrap();
    let facts = town.show("370100", &id).unwrap()["facts"].clone();
    assert_eq!((&facts["domain"], &facts["topic"]), (&json!("D01"), &json!(null)));
    for wrong in [&[("domain", "D01"), ("topic", "D0401")][..], &[("stage", "closed")], &[("urgency", "快")]]
    {
        assert_eq!(
            town.act("370100", &id, correct(wrong)).unwrap_err().kind,
            FailureKind::Usage,
            "{wrong:?}"
        );
    }
    town.act("370100", &id, close()).unwrap();
    town.act("370100", &id, correct(&[("plate", "鲁A12345")])).expect("figures want it right afterwards");

    let report = json!({ "text": "举报某某", "confidential": true, "caller_phone": "13800000001" });
    let made = town.ask("370100", Request::New { tickets: vec![report], user: None }).unwrap();
    let secret = made[0]["id"].as_str().unwrap().to_owned();
    town.act("370100", &secret, correct(&[("place", "泉城路")])).unwrap();
    for sealed in ["subject", "object_person", "x.lane"] {
        let refused = town.act("370100", &secret, correct(&[(sealed, "某某")])).unwrap_err();
        assert!(refused.message.contains("confidential"), "{refused:?}");
    }
}

#[test]
fn a_superior_assigns_only_within_its_own_jurisdiction() {
    let mut town = linked();
    let id = town.call("370100", "货车遗撒");
    town.settle();
    let refused =
        town.act("370000", &id, Act::Assign { to: "510100".to_owned(), reason: "不归我省".to_owned() });
    assert!(refused.unwrap_err().message.contains("may not assign"));
    assert!(town.act("370200", &id, close()).is_err(), "it does not even have the ticket");
}

#[test]
fn close_and_offer_by_two_replicas_leave_the_ticket_open_with_a_proposal() {
    let mut town = Town::new(&["000000", "370000", "370000-b", "370100", "370200"]);
    town.link_tree();
    town.settle();
    let id = town.call("370100", "高速收费站拥堵");
    town.act("370100", &id, offer("370000")).unwrap();
    town.settle();
    town.act("370000", &id, Act::Accept {}).unwrap();
    town.settle();
    town.cut("370000", "370000-b");
    town.cut("370000", "370100");
    town.cut("370000", "370200");
    town.cut("370000", "000000");
    town.act("370000", &id, close()).unwrap();
    town.act("370000-b", &id, offer("370200")).unwrap();
    town.settle();
    town.link_tree();
    town.settle();
    town.assert_converged();
    let ticket = town.show("370100", &id).unwrap();
    assert_eq!(ticket["stage"], "offered");
    assert_eq!(ticket["proposals"].as_array().unwrap().len(), 1);
}

#[test]
fn a_stale_provinces_assign_has_no_effect_once_the_ministry_has_confirmed() {
    let mut town = linked();
    let id = town.call("370100", "跨省非法营运");
    town.act("370100", &id, offer("510100")).unwrap();
    town.settle();
    town.cut("370000", "000000");
    town.cut("370000", "370100");
    // The province stays behind; the two cities meet through a line of their own.
    town.link("370100", "510100");
    town.settle();
    town.act("510100", &id, Act::Accept {}).unwrap();
    town.settle();
    let confirmed = town.show("510100", &id).unwrap();
    assert!(
        confirmed["trail"].as_array().unwrap().iter().any(|e| e["op"] == "confirm" && e["site"] == "000000")
    );
    town.act("370000", &id, Act::Recall { reason: "仍由我省办理".to_owned() }).unwrap();
    town.link_tree();
    town.settle();
    town.assert_converged();
    let ticket = town.show("370100", &id).unwrap();
    assert_eq!(ticket["custodian"], "510100");
    assert_eq!(ticket["superseded"].as_array().unwrap().len(), 1);
}

#[test]
fn last_weeks_backup_is_put_back_and_the_node_heals_by_itself() {
    let mut town = linked();
    let old = town.call("370100", "公交晚点");
    town.settle();
    let backup = town.backup("370100");
    let later: Vec<String> = (0..20).map(|i| town.call("370100", &format!("备份以后的第 {i} 件"))).collect();
    town.act("370100", &old, close()).unwrap();
    town.settle();
    let number = |t: &serde_json::Value| t["number"].as_str().unwrap().to_owned();
    let given: Vec<String> = later.iter().map(|id| number(&town.show("370000", id).unwrap())).collect();
    town.restore("370100", &backup);
    let after = town.call("370100", "恢复以后的第一件");
    assert!(!given.contains(&number(&town.show("370100", &after).unwrap())), "a number was given twice");
    town.link_tree();
    town.settle();
    town.assert_converged();
    for id in later.iter().chain([&after]) {
        assert!(town.show("370100", id).is_some() && town.show("370000", id).is_some());
    }
    assert_eq!(town.show("370100", &old).unwrap()["stage"], "closed");
    assert!(town.told.iter().any(|(n, e)| n.to_string() == "370100" && matches!(e, Event::Restored { .. })));
}

#[test]
fn a_restart_keeps_what_was_reported_as_done_and_rebuild_changes_nothing() {
    let mut town = linked();
    let id = town.call("370100", "隧道照明损坏");
    town.restart("370100");
    assert_eq!(town.show("370100", &id).unwrap()["stage"], "in_hand");
    town.link_tree();
    town.settle();
    town.assert_converged();
    for node in ALL {
        assert_eq!(town.ask(node, Request::Rebuild).unwrap()["changed"], false, "{node}");
        assert_eq!(town.ask(node, Request::Verify).unwrap()["damaged"], json!([]), "{node}");
    }
    let found = town.ask("370000", Request::Search { text: "隧道".to_owned(), limit: 10 }).unwrap();
    assert_eq!(found[0]["id"], json!(id));
}

#[test]
fn the_caller_is_shown_to_those_who_were_granted_the_key_and_to_nobody_else() {
    let mut town = linked();
    let id = town.call("370100", "司机骂人");
    town.settle();
    let reveal = |town: &mut Town, node: &str| {
        town.ask(
            node,
            Request::Show {
                id: id.clone(), reveal: Some("回访".to_owned()), user: Some("王芳".to_owned())
            },
        )
    };
    assert_eq!(reveal(&mut town, "370100").unwrap()["person"]["phone"], "13800000001");
    assert_eq!(reveal(&mut town, "370000").unwrap()["person"]["phone"], "13800000001");
    assert!(reveal(&mut town, "000000").is_err(), "the ministry sees the matter and not the person");
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    assert_eq!(reveal(&mut town, "370200").unwrap()["person"]["phone"], "13800000001");
    let anonymous =
        town.ask("370100", Request::Show { id: id.clone(), reveal: Some("好奇".to_owned()), user: None });
    assert!(anonymous.is_err());
    for node in ALL {
        let path = town.path(node.parse().unwrap());
        for file in std::fs::read_dir(&path).unwrap().flatten().filter(|f| f.path().is_file()) {
            let bytes = std::fs::read(file.path()).unwrap();
            let clear = bytes.windows(11).any(|w| w == b"13800000001");
            assert!(!clear, "{}", file.path().display());
        }
    }
}

fn note(text: &str, id: &str) -> Request {
    Request::Note { id: id.to_owned(), text: text.to_owned(), user: None }
}

#[test]
fn a_copy_of_a_running_node_is_noticed_and_what_either_said_is_said_again() {
    let mut town = linked();
    let id = town.call("370100", "乘客遗失行李");
    town.settle();
    let copy = town.copy_running("370100");
    town.ask("370100", note("原机记录", &id)).unwrap();
    town.act("370100", &id, Act::Progress { text: "原机进展".to_owned() }).unwrap();
    let original = town.swap("370100", copy);
    town.ask("370100", note("副本记录", &id)).unwrap();
    town.act("370100", &id, Act::Progress { text: "副本进展".to_owned() }).unwrap();
    town.link_tree();
    town.settle();
    let copy = town.swap("370100", original);
    town.link_tree();
    town.settle();
    assert!(town.told.iter().any(|(_, e)| matches!(e, Event::Cloned { .. })));
    // Each of the two once more, so that both have heard of each other.
    town.swap("370100", copy);
    town.link_tree();
    town.settle();
    town.assert_converged();
    let shown = town.show("370000", &id).unwrap().to_string();
    for words in ["原机记录", "副本记录", "原机进展", "副本进展"] {
        assert!(shown.contains(words), "{words} is lost");
    }
    let conflicts = town.ask("370000", Request::Conflicts).unwrap();
    assert!(conflicts.as_array().unwrap().iter().any(|c| c["what"] == "refused"), "{conflicts}");
}

#[test]
fn whom_words_name_that_rest_on_what_fell_is_in_the_audience_everywhere() {
    let mut town = linked();
    let ids: Vec<String> = (0..8).map(|_| town.call("370100", "乘客遗失行李")).collect();
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
    town.link("370000", "370100");
    town.settle();
    // The province's word rests on the copy's, which fall for about half of the tickets; then its word falls with them.
    for id in &ids {
        town.act("370000", id, assign("370200")).unwrap();
    }
    town.link("370000", "370200");
    town.settle();
    assert!(ids.iter().all(|id| town.show("370200", id).is_some()));
    town.cut("370000", "370200");
    town.swap("370100", original);
    town.link_tree();
    town.settle();
    town.assert_converged();
}

#[test]
fn what_a_revoked_city_wrote_in_time_counts_even_where_its_chain_has_gaps() {
    let mut town = linked();
    let id = town.call("370100", "跨省班车投诉");
    town.act("370100", &id, offer("510100")).unwrap();
    town.settle();
    town.call("370100", "只在本省的来电"); // a seal that 510100 never sees
    town.settle();
    let last = town.last_seal("370100");
    town.ask("370100", note("密钥失窃之后", &id)).unwrap();
    town.act("370100", &id, Act::Withdraw {}).unwrap();
    town.settle();
    town.revoke("370100", &[last], "370000");
    town.settle();
    for node in ["370000", "510100", "510000", "000000"] {
        let shown = town.show(node, &id).unwrap();
        assert_eq!(shown["open_offer"]["to"], "510100", "{node}: the withdraw came too late");
        let status = town.ask(node, Request::Status).unwrap();
        assert_eq!(status["not_counted"], 2, "{node}");
        assert_eq!(status["revoked"], json!(["370100"]), "{node}");
    }
    // A person of the province has looked at what came late, and takes it in.
    town.ask("370000", Request::TakeIn { id: id.clone() }).unwrap();
    town.settle();
    for node in ["370000", "510100", "510000", "000000"] {
        assert_eq!(town.show(node, &id).unwrap()["open_offer"], json!(null), "{node}");
    }
    assert!(town.ask("510000", Request::TakeIn { id }).is_err(), "another province is no superior");
}

#[test]
fn a_data_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let town = Town::new(&["370100"]);
    let mode = std::fs::metadata(town.path("370100".parse().unwrap())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn who_slept_over_a_hold_of_the_files_is_told_that_another_has_begun() {
    let mut town = Town::new(&["370100"]);
    let hold = |town: &mut Town, step| town.ask("370100", Request::Hold { step });
    let first = hold(&mut town, Hold::Begin).unwrap();
    let busy = hold(&mut town, Hold::Begin).unwrap_err();
    assert_eq!(busy.kind, FailureKind::TryAgain, "one at a time");
    town.now += 30_000;
    assert_eq!(hold(&mut town, Hold::Mark).unwrap()["hold"], first["hold"]);
    town.now += 61_000;
    assert_eq!(hold(&mut town, Hold::Mark).unwrap_err().kind, FailureKind::TryAgain, "it lapsed");
    let second = hold(&mut town, Hold::Begin).unwrap();
    assert_ne!(second["hold"], first["hold"], "the first, if it wakes up, sees that this is not its own");
    assert_eq!(hold(&mut town, Hold::End).unwrap()["hold"], second["hold"]);
}

#[test]
fn short_texts_are_found_at_once_and_long_ones_when_nothing_else_is_to_be_done() {
    let mut town = Town::new(&["370100"]);
    let found = |town: &mut Town, text: &str| {
        let search = Request::Search { text: text.to_owned(), limit: 9 };
        town.ask("370100", search).unwrap().as_array().unwrap().len()
    };
    town.quiet(); // whoever has been idle once is relied on to be idle again
    town.call("370100", &format!("隧道{}", "路".repeat(6_000)));
    let short = town.call("370100", "桥梁");
    assert_eq!((found(&mut town, "隧道"), found(&mut town, "桥梁")), (0, 1));
    town.quiet();
    assert_eq!((found(&mut town, "隧道"), found(&mut town, "桥梁")), (1, 1));
    // Notes make a ticket's text long.
    for _ in 0..9 {
        let note = Request::Note { id: short.clone(), text: "催".repeat(800), user: None };
        town.ask("370100", note).unwrap();
    }
    let last = Request::Note { id: short, text: "高架".to_owned(), user: None };
    town.ask("370100", last).unwrap();
    assert_eq!(
        (found(&mut town, "高架"), found(&mut town, "桥梁")),
        (0, 1),
        "what was indexed stays until then"
    );
    town.quiet();
    assert_eq!((found(&mut town, "高架"), found(&mut town, "桥梁")), (1, 1));
}
