//! `hotline policy`, with real processes: on the directory itself and through the daemon.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::browser::Browser;
use harness::{Town, WAYS, both, fails, json, run, says, text};

/// Today and tomorrow of China's calendar.
fn days() -> [String; 2] {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date();
    [now, now.tomorrow().unwrap()].map(|day| day.to_string())
}

#[test]
fn a_rule_is_set_shown_compared_and_taken_back() {
    let [today, tomorrow] = days();
    for way in WAYS {
        let town = Town::new(&["000000"]);
        let dir = town.at("000000");
        let _node = town.way(way, "000000");
        let listed = says(&["policy", "list", "--dir", &dir]);
        assert!(listed.contains("time_limits") && listed.contains("built-in"), "{listed}");
        let file = town.path("redirects.csv");
        std::fs::write(
            &file,
            says(&["policy", "show", "redirects", "--csv", "--dir", &dir]) + "12348,法律服务,法律,tell,x\n",
        )
        .unwrap();
        let set = |from: &str, further: &[&str]| {
            let all = ["policy", "set", "redirects", "--file", text(&file), "--from", from, "--dir", &dir];
            both(&run(&[&all, further].concat()))
        };
        let shown = set(&today, &["--basis", "厅函1号", "--try"]);
        assert!(shown.contains("+ 12348,") && shown.contains("not set"), "{shown}");
        assert!(set("2020-01-01", &["--basis", "x"]).contains("today at the earliest"));
        let shown = set(&today, &["--basis", "厅函1号", "--user", "li"]);
        assert!(shown.contains("+ 12348,") && shown.contains("in force"), "{shown}");
        assert!(set(&tomorrow, &["--basis", "厅函2号"]).contains("coming"));
        let list = json(&["policy", "list", "redirects", "--dir", &dir]);
        let editions = list["tables"][0]["editions"].as_array().unwrap();
        assert_eq!((editions.len(), &editions[0]["user"]), (2, &"li".into()), "{list}");
        let found = json(&["policy", "diff", "redirects", "1", "2", "--dir", &dir]);
        assert_eq!(found["come"], serde_json::json!([]), "{found}");
        let back = both(&run(&["policy", "withdraw", "redirects", "2", "--dir", &dir]));
        assert!(back.contains("withdrawn"), "{back}");
        fails(&["policy", "withdraw", "redirects", "1", "--dir", &dir], 1, "in force since");
        fails(&["policy", "show", "weather", "--dir", &dir], 1, "no table that is set");
        std::fs::write(&file, "number,name,scope,mode\n12348x,法律服务,法律,tell\n").unwrap();
        let refused = set(&tomorrow, &["--basis", "x"]);
        assert!(refused.contains("line 2, column `number`"), "{refused}");
        // A column that is named otherwise would be read by nobody.
        std::fs::write(&file, "number,name,scop,mode,basis\n12348,法律服务,法律,tell,x\n").unwrap();
        let refused = set(&tomorrow, &["--basis", "x"]);
        assert!(refused.contains("redirects has no column `scop`"), "{refused}");
        assert!(refused.contains("it has number, name, scope, mode, basis"), "{refused}");
        // Nor does a rule about a matter that there is not concern anything.
        let dispatch = |row: &str| {
            std::fs::write(&file, format!("business,domain,topic,region,department,site,basis\n{row}\n"))
                .unwrap();
            let set = ["policy", "set", "dispatch", "--file", text(&file), "--from", &today, "--basis", "x"];
            both(&run(&[&set[..], &["--try", "--dir", &dir]].concat()))
        };
        assert!(dispatch(",D99,,,客运科,,x").contains("line 2, column `domain`: there is no domain `D99`"));
        assert!(dispatch(",,D04,,客运科,,x").contains("line 2, column `topic`: there is no topic `D04`"));
        assert!(dispatch(",D04,D0401,,客运科,,x").contains("+ ,D04,D0401,"));
    }
}

#[test]
fn a_place_comes_with_its_change_and_a_year_comes_alone() {
    let [today, _] = days();
    let town = Town::new(&["000000"]);
    let dir = town.at("000000");
    let table = |name: &str| says(&["policy", "show", name, "--csv", "--dir", &dir]);
    let file = town.path("table.csv");
    let set = |name: &str, rows: String, further: &[&str]| {
        std::fs::write(&file, rows).unwrap();
        let all =
            ["policy", "set", name, "--file", text(&file), "--from", &today, "--basis", "x", "--dir", &dir];
        json(&[&all, further].concat())
    };
    let days = "date,kind,name\n2029-01-01,holiday,元旦\n".to_owned();
    let tried = set("holidays", days, &["--try"]);
    assert_eq!(
        (&tried["gone"], &tried["come"]),
        (&serde_json::json!([]), &serde_json::json!(["2029-01-01,holiday,元旦"]))
    );
    set("divisions", table("divisions") + "639901,新区,630000,county\n", &[]);
    set(
        "division_changes",
        table("division_changes") + "2027,撤销,630222,民和回族土族自治县,639901,新区,639901\n",
        &[],
    );
    let meanings = json(&["figures", "--definitions", "--dir", &dir]);
    assert!(!meanings.as_array().unwrap().is_empty(), "the program reads the tables as the node does");
}

#[test]
fn a_province_edits_its_own_rows_and_no_others() {
    let [today, _] = days();
    let town = Town::new(&["370000"]);
    let dir = town.at("370000");
    let file = town.path("table.csv");
    for (name, row, second) in [
        ("redirects", "96110,反诈,诈骗,tell,x", "96119,消防咨询,消防,tell,x"),
        ("time_limits", "投诉举报,,,,8,working days,x,", "意见建议,,,,4,working days,x,"),
    ] {
        let mut rows = says(&["policy", "show", name, "--csv", "--dir", &dir]);
        assert_eq!(rows.lines().count(), 1, "only what they are called: {rows}");
        for row in [row, second] {
            rows.push_str(&format!("{row}\n"));
            std::fs::write(&file, &rows).unwrap();
            let set = [
                "policy",
                "set",
                name,
                "--file",
                text(&file),
                "--from",
                &today,
                "--basis",
                "x",
                "--dir",
                &dir,
            ];
            assert_eq!(json(&set)["come"], serde_json::json!([row]), "{name}");
            rows = says(&["policy", "show", name, "--csv", "--dir", &dir]);
        }
        assert_eq!(rows.lines().count(), 3, "{rows}");
    }
}

#[test]
fn a_file_of_ones_own_that_goes_before_a_rule_is_told() {
    let [today, _] = days();
    let town = Town::new(&["000000"]);
    let dir = town.at("000000");
    let own = std::path::Path::new(&dir).join("reference");
    std::fs::create_dir(&own).unwrap();
    // As a table program saves it, with a byte order mark.
    let standing = says(&["policy", "show", "holidays", "--csv", "--dir", &dir]);
    std::fs::write(own.join("holidays.csv"), format!("\u{feff}{standing}")).unwrap();
    let file = town.path("table.csv");
    std::fs::write(&file, "date,kind,name\n2029-01-01,holiday,元旦\n").unwrap();
    json(&[
        "policy",
        "set",
        "holidays",
        "--file",
        text(&file),
        "--from",
        &today,
        "--basis",
        "x",
        "--dir",
        &dir,
    ]);
    let unread = json(&["replica", "status", "--dir", &dir])["policy"]["not_read"].clone();
    assert!(unread[0]["why"].as_str().unwrap().contains("move that file away"), "{unread}");
}

#[test]
fn a_supervisor_tries_a_rule_at_the_desk_then_sets_it_and_takes_it_back() {
    let [_, tomorrow] = days();
    let town = Town::new(&["370000"]);
    let (_node, desk) = town.desk("370000", &[]);
    let mut zhao = town.staff("370000", &desk, "zhao", "supervisor");
    let mut lead = town.staff("370000", &desk, "wang", "shift-leader");
    zhao.get("/queue/held").is(200).says("href=\"/rules\"");
    zhao.get("/rules").is(200).says("转接号码").says("程序自带").says("市");
    zhao.get("/rules/weather").is(404);
    let page = zhao.get("/rules/redirects").is(200).says("12306").says("设定新版本");
    assert!(!page.body.contains("value=\"set\""), "what nobody has tried is not set");
    zhao.get("/rules/redirects/csv").is(200).says("number,name,scope,mode");
    let rows = "number,name,scope,mode,basis\r\n12348,法律服务,法律,tell,x\r\n";
    let set = |what: &'static str, rows: &str, from: &str| {
        let fields = [("rows", rows), ("from", from), ("basis", "厅函1号"), ("note", ""), ("do", what)];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let post = |browser: &mut Browser, fields: &[(String, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        browser.post("/rules/redirects", &fields)
    };
    post(&mut zhao, &set("try", rows, "2020-01-01")).is(422).says("today at the earliest").says("法律服务");
    let wrong = "number,name,scope,mode\n12348x,法律服务,法律,tell\n";
    post(&mut zhao, &set("try", wrong, &tomorrow)).is(409).says("line 2, column `number`");
    let formula = "number,name,scope,mode,basis\n12348,法律服务,法律,tell,=1+1\n";
    post(&mut zhao, &set("try", formula, &tomorrow)).is(422).says("line 2 has a field");
    let lost = "number,name,scope,mode,basis\n12348,\u{fffd}\u{fffd},x,tell,x\n";
    post(&mut zhao, &set("try", lost, &tomorrow)).is(422).says("not UTF-8");
    let tried =
        post(&mut zhao, &set("try", rows, &tomorrow)).is(200).says("12348,法律服务").says("value=\"set\"");
    let mark =
        tried.body.split_once("name=\"tried\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let marked = |rows: &str| {
        let mut fields = set("set", rows, &tomorrow);
        fields.push(("tried".to_owned(), mark.clone()));
        fields
    };
    let other = rows.replace("法律服务", "法律援助");
    post(&mut zhao, &marked(&other)).is(200).says("12348,法律援助"); // what was changed since is tried anew
    let page = zhao.get("/rules/redirects").is(200);
    assert!(!page.body.contains("待生效"), "a trial sets nothing");
    let page = lead.get("/rules/redirects").is(200).says("12306");
    assert!(!page.body.contains("设定新版本"));
    post(&mut lead, &set("try", rows, &tomorrow)).is(403);
    post(&mut lead, &marked(rows)).is(403);
    post(&mut zhao, &marked(rows)).leads_to("/rules/redirects?done=yes");
    zhao.get("/rules/redirects").is(200).says("待生效").says("厅函1号").says("zhao").says("撤回");
    lead.get(&format!("/rules/redirects?on={tomorrow}")).is(200).says("法律服务");
    lead.post("/rules/redirects", &[("withdraw", "1")]).is(403);
    zhao.post("/rules/redirects", &[("withdraw", "9")]).is(404).says("no edition 9");
    zhao.post("/rules/redirects", &[("withdraw", "1")]).leads_to("/rules/redirects?done=yes");
    zhao.get("/rules/redirects").is(200).says("已撤回");
    // A table far larger than any other form.
    let rows: String =
        (0..9_000).map(|i| format!("8{i:04},热线{i:05}号,事项与范围的说明,tell,依据依据依据\n")).collect();
    let rows = format!("number,name,scope,mode,basis\n{rows}");
    post(&mut zhao, &set("try", &rows, &tomorrow)).is(200).says("9000");
    let more = "x".repeat(4 << 20);
    post(&mut zhao, &set("try", &more, &tomorrow)).is(413);
    let audit = json(&["audit", "--dir", &town.at("370000")]).to_string();
    assert!(audit.contains("policy set") && audit.contains("redirects #1"), "{audit}");
}

#[test]
fn an_import_goes_by_the_tables_in_force_at_its_node() {
    for way in WAYS {
        let town = Town::new(&["000000"]);
        let dir = town.at("000000");
        let _node = town.way(way, "000000");
        let centres = says(&["policy", "show", "centres", "--csv", "--dir", &dir]);
        town.rule("000000", "centres", &(centres + "130682,定州市,130000,city,call_centre,\n"));
        let columns = "name,zh,en,kind,choices,business,domain,required,basis\n";
        town.rule(
            "000000",
            "fields",
            &format!("{columns}vehicle,车型,Vehicle,choice,小客车|大货车,,,yes,厅函1号\n"),
        );
        let file = town.path("old.jsonl");
        std::fs::write(&file, "{\"text\":\"晚点\",\"centre\":\"130682\",\"vehicle\":\"三轮车\"}\n").unwrap();
        let said = json(&["ticket", "import", text(&file), "--dir", &dir]);
        assert_eq!((&said["imported"], &said["kept_unfit"]), (&1.into(), &1.into()), "{said}");
        let (file, report) = (town.path("old.csv"), town.path("report.csv"));
        std::fs::write(&file, "编号,诉求内容,centre,车型\nA-1,拒载,130682,大货车\nA-2,绕路,,三轮车\n")
            .unwrap();
        let said = json(&["ticket", "import", text(&file), "--report", text(&report), "--dir", &dir]);
        assert_eq!((&said["imported"], &said["kept_unfit"]), (&2.into(), &1.into()), "{said}");
        let told = std::fs::read_to_string(&report).unwrap();
        assert!(told.contains(",vehicle,\"is none of 小客车, 大货车; kept as it came\"\n"), "{told}");
        let list = json(&["ticket", "list", "--dir", &dir]);
        let facts = list.as_array().unwrap().iter().map(|row| {
            let shown = json(&["ticket", "show", row["id"].as_str().unwrap(), "--dir", &dir]);
            (shown["facts"]["centre"].clone(), shown["facts"]["x.vehicle"].clone())
        });
        let facts: Vec<_> = facts.collect();
        let row = |centre: &str, vehicle: &str| {
            let centre = if centre.is_empty() { serde_json::Value::Null } else { centre.into() };
            (centre, serde_json::Value::from(vehicle))
        };
        assert_eq!(facts, [row("", "三轮车"), row("130682", "大货车"), row("130682", "三轮车")]);
    }
}
