//! `hotline policy`, with real processes: on the directory itself and through the daemon.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

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
    }
}
