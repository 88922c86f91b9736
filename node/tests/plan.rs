//! `hotline plan`: seats and trunks from a file, from a node's own past, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::browser::OF_OURS;
use harness::{Town, WAYS, book, fails, json, says, text};
use jiff::civil::Date;

/// A busy quarter of every working day of four weeks: 250 calls, which are a thousand an hour.
fn history() -> String {
    let mut lines = "at,calls\n".to_owned();
    for day in 2..=27 {
        lines += &format!("2026-11-{day:02}T09:15,250\n2026-11-{day:02}T14:00,40\n");
    }
    lines
}

#[test]
fn a_week_is_planned_from_a_file_of_calls() {
    let dir = tempfile::tempdir().unwrap();
    let (file, picture) = (dir.path().join("calls.csv"), dir.path().join("day.svg"));
    std::fs::write(&file, history()).unwrap();
    let asked = ["plan", "--calls", text(&file), "--handling", "120", "--from", "2026-12-01", "--days", "7"];
    let plan = json(&[&asked[..], &["--plot", text(&picture)]].concat());
    let days = plan["days"].as_array().unwrap();
    assert_eq!((days.len(), &plan["history"]["days"]), (7, &serde_json::json!(26)));
    let tuesday = &days[0];
    assert_eq!(
        (&tuesday["date"], &tuesday["seats"], &tuesday["busiest"]),
        (&"2026-12-01".into(), &42.into(), &"09:15".into())
    );
    let busy = &tuesday["quarters"][37];
    assert!(busy["level"].as_f64().unwrap() >= 0.95 && busy["one_fewer"].as_f64().unwrap() < 0.95, "{busy}");
    assert_eq!(tuesday["quarters"].as_array().unwrap().len(), 96);
    assert!(std::fs::read_to_string(&picture).unwrap().contains("42 seats at the busiest time"));
    let fewer = json(&[&asked[..], &["--patience", "60"]].concat());
    assert!(fewer["days"][0]["seats"].as_u64().unwrap() < 42, "who gives up needs no seat");
    let table = says(&[&asked[..], &["--quarters"]].concat());
    assert!(table.contains("2026-12-01 09:15"), "{table}");

    std::fs::write(&file, "at,calls\n3.11.,7\n").unwrap();
    fails(&["plan", "--calls", text(&file)], 1, "line 2: the moment is not as in 2026-11-02T09:15");
    fails(&["plan", "--calls", "/nowhere.csv"], 1, "/nowhere.csv cannot be read");
    fails(&["plan", "--calls", text(&file), "--level", "100"], 2, "between 0 and 100");
}

/// A node that numbered one ticket yesterday, at twenty past nine. Numbers bear the day on which they were given, so a node of
/// today has no yesterday: its history is put back by a day.
fn with_a_past() -> (Town, Date) {
    let town = Town::new(&["370100"]);
    let dir = town.at("370100");
    fails(&["plan", "--dir", &dir], 1, "no calls of the past");
    json(&["ticket", "new", "--dir", &dir, "--text", "出租车拒载"]);
    let db = rusqlite::Connection::open(format!("{dir}/node.db")).unwrap();
    let number: String = db.query_row("SELECT number FROM ticket", [], |r| r.get(0)).unwrap();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date();
    let before = today.yesterday().unwrap();
    let older = format!("{}{}{}", &number[..8], before.strftime("%Y%m%d"), &number[16..]);
    db.execute("UPDATE ticket SET number = ?1, at = ?2", [older, format!("{before}T09:20:00+08:00")])
        .unwrap();
    (town, before)
}

#[test]
fn a_node_plans_from_what_it_numbered() {
    let (town, before) = with_a_past();
    for way in WAYS {
        let _running = town.way(way, "370100");
        let plan = json(&["plan", "--dir", &town.at("370100")]);
        assert_eq!(plan["history"], serde_json::json!({ "days": 1, "last": before.to_string() }));
        assert_eq!(plan["days"][0]["calls"], 1.0);
        assert_eq!(plan["days"][0]["quarters"][37]["calls"], 1.0);
    }
}

#[test]
fn the_desk_plans_for_whoever_may_see_figures() {
    let (town, before) = with_a_past();
    let (_node, desk) = town.desk("370100", &[]);
    let mut lead = town.staff("370100", &desk, "lead", "shift-leader");
    let figures = lead.get("/figures").is(200);
    assert!(figures.body.contains("href=\"/plan\" data-key=\"p\""), "{}", figures.body);
    let page = lead.get("/plan?from=2026-10-01&days=10&handling=120").is(200).says("座席与中继测算");
    page.clone().says(&format!("1 天历史来电，截至 {before}")).says("国庆节").says("无同类历史，按此估计");
    page.clone().says("调休上班： 国庆节").says("少一席").says("<svg class=\"chart\"");
    assert_eq!(page.body.matches("<svg class=\"chart\"").count(), 3);
    let other = lead.get("/plan?from=2026-10-01&days=10&handling=120&day=2026-10-08").is(200);
    other.clone().says("座席 · 2026-10-08").says("aria-current=\"date\">2026-10-08</a>");
    other.says("<th scope=\"row\">09:15</th><td class=\"n\">1.0</td>");

    // As a file: the same numbers as on the command line.
    let csv = lead.get("/plan/csv?from=2026-10-01&days=10&handling=120").is(200);
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"plan-370100-2026-10-01.csv\"");
    let said = says(&[
        "plan",
        "--from",
        "2026-10-01",
        "--days",
        "10",
        "--handling",
        "120",
        "--csv",
        "--dir",
        &town.at("370100"),
    ]);
    assert_eq!(
        csv.body.trim_start_matches('\u{feff}').replace("\r\n", "\n").trim_end(),
        said.replace("\r\n", "\n").trim_end()
    );
    assert_eq!(said.lines().count(), 1 + 10 * 96);
    let file = town.path("plan.xlsx");
    json(&[
        "plan",
        "--from",
        "2026-10-01",
        "--days",
        "10",
        "--handling",
        "120",
        "--xlsx",
        text(&file),
        "--dir",
        &town.at("370100"),
    ]);
    assert_eq!(book::same(&file, &said), ["plan", "wanted"]);
    lead.get("/plan/xlsx?days=1").is(200).says("PK");
    lead.get("/plan/pdf").is(404);

    for (wrong, says) in [
        ("level=100", "接通率目标（%）: 请填 0 到 100 之间的数"),
        ("days=367", "天数: 请填整数，1 到 366"),
        ("from=1.10.", "开始日期: 请填写日期"),
        ("patience=no", "平均等待耐心（秒）: 请填"),
    ] {
        lead.get(&format!("/plan?{wrong}")).is(422).says(says);
    }
    let hard = "/plan?handling=86400&level=99.9999&busy=0.0001&within=0.1&days=1";
    lead.get(hard).is(200).says("aria-current=\"date\"");
    lead.follow("/language", &[("here", "/plan?from=2026-10-01")])
        .is(200)
        .says("Seats and trunks")
        .says("weekend");

    let mut agent = town.staff("370100", &desk, "agent", "agent");
    agent.get("/plan").is(403);
    agent.get("/plan/csv").is(403);
    let token = agent.form.clone();
    agent.upload("/plan", &token, "calls.csv", "text/csv", history().as_bytes()).is(403);
    let refused = says(&["audit", "--dir", &town.at("370100")]);
    assert!(refused.contains("plan: the role agent does not include this (Figures)"), "{refused}");
}

#[test]
fn a_file_of_calls_is_planned_at_the_desk_and_not_kept() {
    let town = Town::new(&["370100"]);
    let (_node, desk) = town.desk("370100", &[]);
    let mut lead = town.staff("370100", &desk, "lead", "shift-leader");
    lead.get("/plan").is(200).says("没有历史来电");
    let token = lead.form.clone();
    let mut send = |name: &str, bytes: &[u8], token: &str, said: &[(&str, &str)]| {
        let fields = [&[("form", token)][..], said].concat();
        lead.parts("/plan", OF_OURS, &fields, &[(name, "text/csv", bytes)])
    };
    let wanted = [("from", "2026-12-01"), ("days", "1"), ("handling", "120"), ("patience", "")];
    let page = send("calls.csv", history().as_bytes(), &token, &wanted).is(200);
    page.clone().says("calls.csv: 26 天历史来电").says("<td class=\"n\">09:15</td><td class=\"n\">42</td>");
    assert!(!page.body.contains("/plan/csv"), "of what is not kept there is no address");
    let csv =
        send("calls.csv", history().as_bytes(), &token, &[&wanted[..], &[("as", "csv")]].concat()).is(200);
    assert_eq!(csv.body.lines().count(), 1 + 96);
    assert!(csv.body.contains("2026-12-01,working day,09:15,250,42,"), "{}", csv.body);

    for (bytes, says) in [
        (&b"at,calls\n3.11.,7\n"[..], "文件行号 2: 时间应如 2026-11-02T09:15"),
        (b"", "文件行号 1: 文件是空的"),
        (b"at,calls\n\xff\n", "文件不是 UTF-8 文本"),
        (b"at,calls\n2026-11-03T09:15,1000000\n", "没有任何座席数或中继数能达到目标"),
    ] {
        send("calls.csv", bytes, &token, &wanted).is(422).says(says);
    }
    send("", b"", &token, &wanted).is(422).says("历史来电文件（CSV）: 请填写");
    send("calls.csv", history().as_bytes(), "of elsewhere", &wanted).is(403);
    assert!(json(&["ticket", "list", "--dir", &town.at("370100")]).as_array().unwrap().is_empty());
    lead.get("/plan").is(200).says("没有历史来电");
}
