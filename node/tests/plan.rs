//! `hotline plan`: seats and trunks from a file, from a node's own past, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::{Town, fails, json, says, text};

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
    assert!(busy["level"].as_f64() >= Some(0.95) && busy["one_fewer"].as_f64() < Some(0.95), "{busy}");
    assert_eq!(tuesday["quarters"].as_array().unwrap().len(), 96);
    assert!(std::fs::read_to_string(&picture).unwrap().contains("42 seats at the busiest time"));
    let fewer = json(&[&asked[..], &["--patience", "60"]].concat());
    assert!(fewer["days"][0]["seats"].as_u64() < Some(42), "who gives up needs no seat");
    let table = says(&[&asked[..], &["--quarters"]].concat());
    assert!(table.contains("2026-12-01 09:15"), "{table}");

    std::fs::write(&file, "at,calls\n3.11.,7\n").unwrap();
    fails(&["plan", "--calls", text(&file)], 1, "line 2: the moment is not as in 2026-11-02T09:15");
    fails(&["plan", "--calls", "/nowhere.csv"], 1, "/nowhere.csv cannot be read");
    fails(&["plan", "--calls", text(&file), "--level", "100"], 2, "between 0 and 100");
}

#[test]
fn a_node_plans_from_what_it_numbered() {
    let town = Town::new(&["370100"]);
    let dir = town.at("370100");
    fails(&["plan", "--dir", &dir], 1, "no calls of the past");
    // Numbers bear the day on which they were given, so a node of today has no yesterday: its history is put back by a day.
    json(&["ticket", "new", "--dir", &dir, "--text", "出租车拒载"]);
    let db = rusqlite::Connection::open(format!("{dir}/node.db")).unwrap();
    let number: String = db.query_row("SELECT number FROM ticket", [], |r| r.get(0)).unwrap();
    let before = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
        .date()
        .yesterday()
        .unwrap();
    let older = format!("{}{}{}", &number[..8], before.strftime("%Y%m%d"), &number[16..]);
    db.execute("UPDATE ticket SET number = ?1, at = ?2", [older, format!("{before}T09:20:00+08:00")])
        .unwrap();
    drop(db);
    let plan = json(&["plan", "--dir", &dir]);
    assert_eq!(plan["history"], serde_json::json!({ "days": 1, "last": before.to_string() }));
    assert_eq!(plan["days"][0]["calls"], 1.0);
    assert_eq!(plan["days"][0]["quarters"][37]["calls"], 1.0);
}
