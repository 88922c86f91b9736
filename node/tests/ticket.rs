//! `hotline ticket`: every command once on the directory and once through the socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::Write;

use harness::{Town, WAYS, Way, failed, fails, fed, json, run, samples, says, text, until};
use serde_json::Value;

fn id(ticket: &Value) -> String {
    ticket["id"].as_str().unwrap().to_owned()
}

fn words(words: &[&str]) -> Value {
    Value::from(words)
}

fn stage(ticket: &Value) -> &str {
    ticket["stage"].as_str().unwrap()
}

/// What a command draws on a terminal while it reads lines that come for as long as `more` says so.
fn drawn_while(town: &Town, command: &str, line: &str, mut more: impl FnMut(&str) -> bool) -> String {
    let (lines, drawn) = (town.path("lines"), town.path("drawn"));
    assert!(std::process::Command::new("mkfifo").arg(&lines).status().unwrap().success());
    // `script` is the terminal.
    let command = format!("{} {command} {}", env!("CARGO_BIN_EXE_hotline"), lines.display());
    let mut child = std::process::Command::new("script")
        .args(["-qefc", &command, drawn.to_str().unwrap()])
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("util-linux is there");
    let mut writer = std::fs::OpenOptions::new().write(true).open(&lines).unwrap();
    let seen = || String::from_utf8_lossy(&std::fs::read(&drawn).unwrap_or_default()).into_owned();
    until("it has drawn what is waited for", || {
        writeln!(writer, "{line}").unwrap();
        !more(&seen())
    });
    drop(writer);
    until("it ends with its input", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success(), "{}", seen());
    seen()
}

#[test]
fn a_long_import_draws_a_bar_and_takes_it_away() {
    let town = Town::new(&["370100"]);
    let command = format!("ticket import --dir {}", town.at("370100"));
    let drawn = drawn_while(&town, &command, r#"{"text":"公交晚点"}"#, |seen| !seen.contains(" tickets"));
    assert!(drawn.contains("imported"), "{drawn}");
    let imported = json(&["replica", "status", "--dir", &town.at("370100")])["documents"].as_u64().unwrap();
    let (bar, told) = drawn.split_at(drawn.find("imported").unwrap());
    assert!(imported > 0 && told.contains(&imported.to_string()), "{told}");
    assert!(
        bar.ends_with("\x1b[2K") && !told.contains(" tickets"),
        "it is taken away before the last word: {drawn}"
    );
}

#[test]
fn a_city_does_all_of_its_work_alone() {
    let mut stories = Vec::new();
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let at = |args: &[&str]| json(&[&["ticket"], args, &["--dir", &city, "--user", "王五"]].concat());
        let no = |args: &[&str], code, words: &str| {
            fails(&[&["ticket"], args, &["--dir", &city]].concat(), code, words);
        };

        let made = at(&[
            "new",
            "--text",
            "出租车拒载,司机不打表。",
            "--phone",
            "13800000001",
            "--plate",
            "鲁A12345",
        ]);
        let number = made["number"].as_str().unwrap().to_owned();
        let prefix = &id(&made)[..8];
        assert_eq!((made["custodian"].as_str(), stage(&made)), (Some("370100"), "in_hand"));
        assert_eq!(stage(&at(&["dispatch", &number, "--to", "运管处", "请核实"])), "dispatched");
        at(&["progress", &number, "已约谈司机"]);
        at(&["pause", &number, "--reason", "等待来电人补充材料"]);
        at(&["extend", &number, "--reason", "需要鉴定", "--days", "5"]);
        assert_eq!(stage(&at(&["feedback", prefix, "属实"])), "fed_back");
        at(&["note", &number, "已致歉"]);
        assert_eq!(stage(&at(&["reply", &number, "已处罚司机"])), "replied");
        at(&["urge", &number, "来电人再次来电"]);
        assert_eq!(stage(&at(&["close", &number, "--result", "已处理"])), "closed");
        at(&["follow-up", &number, "来电人满意", "--satisfied", "true"]);
        at(&["reopen", &number, "--reason", "来电人补充情况"]);
        assert_ne!(stage(&at(&["show", &number])), "closed");
        at(&["close", &number, "--result", "再次处理"]);

        let asked = at(&["new", "--text", "高速公路收费标准是多少", "--business", "信息咨询"]);
        assert_eq!(stage(&at(&["answer", &id(&asked), "按车型收费"])), "answered");
        let foreign = at(&["new", "--text", "我要投诉快递"]);
        assert_eq!(stage(&at(&["redirect", &id(&foreign), "--to", "12305", "邮政业申诉"])), "redirected");
        let unclear = at(&["new", "--text", "无实质内容"]);
        assert_eq!(stage(&at(&["reject", &id(&unclear), "--reason", "不属于受理范围"])), "rejected");
        let stuck = at(&["new", "--text", "跨区域客车超载"]);
        at(&["escalate", &id(&stuck), "--reason", "涉及两市"]);
        at(&["offer", &id(&stuck), "--to", "370200", "--reason", "车籍在青岛"]);
        assert_eq!(at(&["list", "--queue", "offered"]).as_array().unwrap().len(), 1);
        no(&["close", &id(&stuck), "--result", "x"], 1, "may not close this ticket now");
        assert_eq!(stage(&at(&["withdraw", &id(&stuck)])), "in_hand");
        no(&["accept", &id(&stuck)], 1, "no offer is open on this ticket");
        no(&["recall", &number, "--reason", "收回"], 1, "this may: ");

        // Of two tickets of one matter the later joins the smaller id.
        let twins = [at(&["new", "--text", "路灯不亮"]), at(&["new", "--text", "路灯不亮了"])];
        let mut ids = [id(&twins[0]), id(&twins[1])];
        ids.sort();
        assert_eq!(stage(&at(&["merge", &ids[1], "--into", &ids[0]])), "joined");
        no(&["merge", &ids[0], "--into", &ids[1]], 1, "smaller");
        assert_eq!(stage(&at(&["unmerge", &ids[1], "--reason", "不是同一处"])), "in_hand");

        let shown = at(&["show", &number]);
        for field in [
            "id",
            "number",
            "custodian",
            "open_offer",
            "stage",
            "facts",
            "body",
            "trail",
            "superseded",
            "audience",
            "heads",
            "state_hash",
        ] {
            assert!(shown.get(field).is_some(), "{field}");
        }
        assert!(shown.get("person").is_none() && !shown.to_string().contains("13800000001"));
        for entry in shown["trail"].as_array().unwrap() {
            for field in ["id", "op", "parents", "site", "node", "at", "user"] {
                assert!(entry.get(field).is_some(), "{field} of {entry}");
            }
        }
        let opened = at(&["show", &number, "--reveal", "回访"]);
        assert_eq!(opened["person"]["phone"], "13800000001");
        no(&["show", &number, "--reveal", "回访"], 2, "to a named person only");
        no(&["show", "nonsense"], 2, "neither a ticket number");
        no(&["show", "abcdef"], 1, "no ticket abcdef is here");
        assert_eq!(stage(&at(&["search", "拒载"])[0]), "closed");
        assert_eq!(at(&["search", "鲁A12345"]).as_array().unwrap().len(), 1);
        assert_eq!(at(&["list", "--queue", "closed"]).as_array().unwrap().len(), 4);
        no(&["list", "--queue", "x"], 2, "there is no queue `x`");

        let zh = says(&["ticket", "history", &number, "--dir", &city]);
        let en = says(&["ticket", "history", &number, "--dir", &city, "--lang", "en"]);
        assert!(
            zh.contains("受理来电") && zh.contains("交办 运管处") && zh.contains("办结：再次处理"),
            "{zh}"
        );
        assert!(en.contains("took the call, number") && en.contains("closed it: 再次处理"), "{en}");
        assert_eq!(zh.lines().count(), en.lines().count());
        let told: Vec<String> =
            zh.lines().map(|l| l.chars().skip(16).collect::<String>().replace(&number, "#")).collect();
        stories.push(told);

        let table = says(&["ticket", "list", "--dir", &city]);
        let widths: Vec<usize> = table.lines().map(|l| l.split('\t').count()).collect();
        assert!(widths.len() == 8 && widths.iter().all(|w| *w == widths[0]), "{table}");
        let exported = says(&["ticket", "export", "--dir", &city]);
        let lines: Vec<Value> = exported.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert!(lines.len() == 7 && lines.iter().any(|t| t["number"] == number.as_str()));
    }
    assert_eq!(stories[0], stories[1], "both ways tell one story");
}

#[test]
fn what_a_call_shares_with_tickets_finds_them_and_no_confidential_one() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let new = |args: &[&str]| {
            let made = json(&[&["ticket", "new", "--dir", &city, "--text"], args].concat());
            made["number"].as_str().unwrap().to_owned()
        };
        let lift = new(&["泉城广场地铁口电梯停运"]);
        let taxi = new(&["司机绕路多收钱", "--plate", "鲁A12345", "--place", "经十路"]);
        new(&["泉城广场电梯举报", "--plate", "鲁A12345", "--place", "经十路", "--confidential"]);
        for text in ["公交车晚点半小时", "高速公路收费标准", "国道上有大坑"] {
            new(&[text]);
        }
        let like = |args: &[&str]| -> Vec<(String, Value)> {
            let rows = json(&[&["ticket", "similar", "--dir", &city], args].concat());
            let row = |row: &Value| (row["number"].as_str().unwrap().to_owned(), row["why"].clone());
            rows.as_array().unwrap().iter().map(row).collect()
        };
        assert_eq!(like(&["您好，泉城广场的电梯坏了"]), [(lift.clone(), words(&["泉城广场", "电梯"]))]);
        assert_eq!(like(&["打车", "--plate", "鲁A·12345"]), [(taxi.clone(), words(&["鲁A·12345"]))]);
        assert_eq!(like(&["", "--place", "经十路"]), [(taxi.clone(), words(&["经十路"]))]);
        assert_eq!(like(&["泉城广场的电梯坏了", "--plate", "鲁A12345", "--limit", "1"])[0].0, taxi);
        assert!(like(&["你好"]).is_empty());
        json(&["ticket", "close", &lift, "--result", "已修复", "--dir", &city]);
        assert_eq!(like(&["泉城广场的电梯坏了"])[0].0, lift, "it has only just ended");
        let long = "长".repeat(30_000);
        fails(&["ticket", "similar", &long, "--dir", &city], 2, "more than 65536 bytes");
        let table = says(&["ticket", "similar", "泉城广场的电梯", "--dir", &city]);
        assert!(table.contains("泉城广场") && table.contains(&lift), "{table}");
    }
}

#[test]
fn sites_hand_a_ticket_over_on_their_directories_and_through_their_sockets() {
    for way in WAYS {
        let town = Town::new(&["370000", "370100"]);
        let at = |node: &str, args: &[&str]| json(&[&["ticket"], args, &["--dir", &town.at(node)]].concat());
        // Both run while they talk; for the other way they are stopped in between.
        let mut running = Some(town.pair("370000", "370100"));
        let talk = |running: &mut Option<_>| {
            if running.is_none() {
                *running = Some(town.pair("370000", "370100"));
            }
            town.proved("370100");
            town.proved("370000");
            if way == Way::Directory {
                *running = None;
            }
        };
        talk(&mut running);
        let made = at("370100", &["new", "--text", "跨区域客车超载", "--phone", "13800000001"]);
        let it = id(&made);
        let asked = at("370100", &["extend", &it, "--reason", "鉴定", "--days", "3"]);
        at("370100", &["offer", &it, "--to", "370000", "--reason", "请省厅协调"]);
        talk(&mut running);
        at("370000", &["supervise", &it, "限期办理"]);
        at("370000", &["extend", &it, "--reason", "同意", "--grant", asked["entry"].as_str().unwrap()]);
        at("370000", &["decline", &it, "--reason", "由市里办理"]);
        talk(&mut running);
        assert_eq!(at("370100", &["list", "--queue", "returned"])[0]["id"], it.as_str());
        at("370100", &["offer", &it, "--to", "370000", "--reason", "再次提请"]);
        talk(&mut running);
        assert_eq!(at("370000", &["list", "--queue", "to-accept"])[0]["id"], it.as_str());
        assert_eq!(at("370000", &["accept", &it])["custodian"], "370000");
        at("370000", &["assign", &it, "--to", "370100", "--reason", "属地办理"]);
        talk(&mut running);
        assert_eq!(at("370100", &["show", &it])["custodian"], "370100");
        assert_eq!(at("370000", &["recall", &it, "--reason", "收回"])["custodian"], "370000");
        talk(&mut running);
        let (here, there) = (at("370100", &["show", &it]), at("370000", &["show", &it]));
        assert_eq!(here["state_hash"], there["state_hash"]);
        assert_eq!(here["custodian"], "370000");
        // The province was granted the caller's key when the ticket was made.
        let opened =
            json(&["ticket", "show", &it, "--dir", &town.at("370000"), "--user", "李四", "--reveal", "核实"]);
        assert_eq!(opened["person"]["phone"], "13800000001");
    }
}

#[test]
fn tickets_come_from_files_and_from_standard_input() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let file = town.path("calls.json");
        std::fs::write(&file, "[{\"text\":\"甲\"},{\"text\":\"乙\"}]").unwrap();
        let made = json(&["ticket", "new", "--from", text(&file), "--dir", &city]);
        assert_eq!(made.as_array().unwrap().len(), 2);
        let one =
            fed(&["ticket", "new", "--from", "-", "--dir", &city, "--json"], b"{\"text\":\"\xe4\xb8\x99\"}");
        assert!(one.status.success());
        std::fs::write(&file, "{\"text\":\"丁\"}\nnot json\n").unwrap();
        fails(&["ticket", "new", "--from", text(&file), "--dir", &city], 2, "line 2: not a JSON object");
        fails(&["ticket", "new", "--dir", &city], 2, "what did the caller say?");
        fails(&["ticket", "new", "--text", " ", "--dir", &city], 2, "`text` is empty");
        assert_eq!(json(&["ticket", "list", "--dir", &city]).as_array().unwrap().len(), 3);
    }
}

#[test]
fn whoever_types_a_ticket_names_what_there_is() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let new = ["ticket", "new", "--dir", &city, "--text", "拒载"];
        let refused = |more: &[&str], words: &str| fails(&[&new, more].concat(), 2, words);
        refused(&["--domain", "D0401"], "it is a topic: --topic D0401");
        refused(&["--domain", "巡游出租汽车"], "it is a topic: --topic D0401");
        refused(&["--domain", "航天"], "--domain 航天: there is no such domain");
        refused(&["--topic", "火箭"], "--topic 火箭: there is no such topic");
        refused(&["--topic", "养护保通"], "name the domain too");
        refused(&["--domain", "D05", "--topic", "D0401"], "--topic D0401 is one of D04 城市客运");
        fails(&["ticket", "new", "--dir", &city, "--from", "-", "--domain", "D04"], 2, "cannot be used with");
        refused(&["--business", "投诉举抱"], "--business 投诉举抱: there is no such business");
        refused(&["--business", "投诉举抱"], "it is one of 信息咨询, 意见建议, 投诉举报, 其他");
        refused(&["--against", "370199"], "there is no centre 370199");
        refused(&["--against", "370199", "--confidential"], "370100 济南市 answers for that place");
        refused(&["--field", "nosuch=1"], "--field nosuch: this centre has no such field of its own");
        refused(&["--field", "nosuch=1"], "it has none: `hotline policy set fields`");
        assert!(json(&["ticket", "list", "--dir", &city]).as_array().unwrap().is_empty());
        for more in [["--topic", "D0401"], ["--topic", "巡游出租汽车"]] {
            let made = json(&[&new, &more[..]].concat());
            let shown = json(&["ticket", "show", &id(&made), "--dir", &city]);
            assert_eq!(
                (&shown["facts"]["domain"], &shown["facts"]["topic"]),
                (&"D04".into(), &"D0401".into())
            );
        }
        // What a file calls them is kept as it came.
        let made = fed(
            &["ticket", "new", "--from", "-", "--dir", &city, "--json"],
            "{\"text\":\"甲\",\"domain\":\"航天\"}".as_bytes(),
        );
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let shown = json(&["ticket", "show", &id(&made), "--dir", &city]);
        assert_eq!(shown["facts"]["x.domain"], "航天");
    }
}

#[test]
fn a_ticket_is_handed_to_a_centre_that_there_is() {
    let town = Town::new(&["370100", "370000"]);
    let city = town.at("370100");
    let it = id(&json(&["ticket", "new", "--dir", &city, "--text", "拒载"]));
    let offer = |to: &str, words: &str| {
        fails(&["ticket", "offer", &it, "--to", to, "--reason", "属地", "--dir", &city], 2, words);
    };
    offer("999999", "there is no centre 999999");
    offer("999999", "`hotline policy show centres` has all of them");
    offer("370102", "370100 济南市 answers for that place"); // a district of it
    offer("371200", "370100 济南市 answers for that place"); // joined to it in 2019
    offer("370100-07", "no node of it is known here");
    for days in ["0", "366"] {
        let extend = ["ticket", "extend", &it, "--reason", "核查", "--days", days, "--dir", &city];
        fails(&extend, 2, "is not in 1..=365");
    }
    // Nor does anybody read why from nothing.
    let unsaid = [
        (&["offer", &it, "--to", "370200", "--reason", " "][..], "`reason` is empty"),
        (&["dispatch", &it, "--to", ""], "`department` is empty"),
        (&["close", &it, "--result", ""], "`result` is empty"),
        (&["reply", &it, "\u{3000}"], "`text` is empty"),
    ];
    for (act, words) in unsaid {
        fails(&[&["ticket"], act, &["--dir", &city]].concat(), 2, words);
    }
    let assign = ["ticket", "assign", &it, "--to", "370299", "--reason", "属地", "--dir", &city];
    fails(&assign, 1, "may not assign"); // who may not at all, is told that first
    let shown = json(&["ticket", "show", &it, "--dir", &city]);
    assert_eq!((&shown["stage"], &shown["trail"][1]), (&"in_hand".into(), &Value::Null));
    json(&["ticket", "offer", &it, "--to", "370200", "--reason", "属地", "--dir", &city]);
}

#[test]
fn an_import_names_bad_lines_and_stops_or_goes_on_as_asked() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let count = || json(&["ticket", "list", "--limit", "9999", "--dir", &city]).as_array().unwrap().len();
        let report = json(&["ticket", "import", text(&samples()), "--dir", &city]);
        assert_eq!(report["imported"], 65);
        assert_eq!(count(), 65);

        let file = town.path("calls.jsonl");
        let line = |n: usize| format!("{{\"text\":\"第{n}件\"}}\n");
        let mut calls: String = (1..=700).map(line).collect();
        calls.push_str("{\"text\":\"\"}\n");
        calls.push_str("\n{\"text\":7}\n");
        calls.extend((704..=710).map(line));
        std::fs::write(&file, &calls).unwrap();
        let import = ["ticket", "import", text(&file), "--dir", &city];
        let stopped = run(&import);
        failed(&stopped, &import, 2, "line 701: `text` is empty");
        failed(&stopped, &import, 2, "700 tickets are in; go on with --from-line 701");
        assert_eq!(count(), 65 + 700);
        // The line is left out, and what was in is not taken twice.
        let rest = [&import[..], &["--keep-going", "--from-line", "701"]].concat();
        let went_on = run(&rest);
        failed(&went_on, &rest, 1, "2 lines of");
        failed(&went_on, &rest, 1, "line 703, column 9: a field is missing or of the wrong kind");
        assert_eq!(count(), 65 + 707);
        let piped = fed(&["ticket", "import", "-", "--dir", &city, "--json"], line(1).as_bytes());
        assert!(piped.status.success());
        assert_eq!(count(), 65 + 708);
        fails(&["ticket", "import", "/nowhere", "--dir", &city], 1, "/nowhere cannot be read");
    }
}

#[test]
fn choices_are_what_the_actions_then_grant() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let id =
        json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"])["id"].as_str().unwrap().to_owned();
    let choices = || json(&["ticket", "choices", &id, "--dir", &city])["choices"].as_array().unwrap().clone();
    let commands: &[(&str, &[&str])] = &[
        ("accept", &[]),
        ("decline", &["--reason", "r"]),
        ("withdraw", &[]),
        ("progress", &["t"]),
        ("follow-up", &["t"]),
        ("urge", &["t"]),
        ("supervise", &["t"]),
        ("escalate", &["--reason", "r"]),
        ("recall", &["--reason", "r"]),
        ("unmerge", &["--reason", "r"]),
        ("release", &["--reason", "r"]),
        ("reopen", &["--reason", "r"]),
    ];
    // Before anything, while an offer is open, and when it is closed: each said no is a no, each yes a yes.
    let mut seen = std::collections::BTreeSet::new();
    for step in
        [&["progress", "t"][..], &["offer", "--to", "370200", "--reason", "r"], &["close", "--result", "r"]]
    {
        if step[0] == "close" {
            json(&[&["ticket", "withdraw", &id, "--dir", &city], &[][..]].concat());
        }
        json(&[&["ticket", step[0], &id, "--dir", &city], &step[1..]].concat());
        for (name, args) in commands {
            let said = choices();
            let choice =
                said.iter().find(|c| c["do"] == *name).unwrap_or_else(|| panic!("{name} in {said:?}"));
            let may = choice["may"] == true;
            assert!(may || !choice["why"].as_str().unwrap().is_empty(), "{choice}");
            seen.insert((*name, may));
            // What would change the state under the test is believed when it says no, and asked when it says no only.
            if may && matches!(*name, "withdraw" | "reopen") {
                continue;
            }
            let done = run(&[&["ticket", name, &id, "--dir", &city], *args].concat());
            assert_eq!(done.status.success(), may, "{name} after {}: {choice}", step[0]);
        }
    }
    for both in ["withdraw", "reopen"] {
        assert!(seen.contains(&(both, true)) && seen.contains(&(both, false)), "{both}: {seen:?}");
    }
    let names: Vec<String> = choices().iter().map(|c| c["do"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 27, "every action is answered for once: {names:?}");
    let table = says(&["ticket", "choices", &id, "--lang", "en", "--dir", &city]);
    assert!(table.contains("supervise") && table.contains("only a superior of 370100"), "{table}");
}
