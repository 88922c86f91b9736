//! `hotline scorecard`, the desk's page and the API, with real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::browser::Browser;
use harness::{Town, WAYS, book, both, fails, json, port, run, says, text};

/// The month before this and this, as a shell would say it.
fn months() -> [String; 2] {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date();
    let last = now.first_of_month().yesterday().unwrap();
    [last, now].map(|day| day.strftime("%Y-%m").to_string())
}

/// A province and a city of it that have met, and are proved equal today.
fn met() -> Town {
    let town = Town::new(&["370000", "370100"]);
    let [x, y] = [(); 2].map(|()| format!("127.0.0.1:{}", port()));
    let _city = town.start("370100", &["--listen", &x, "--peer", &format!("370000={y}")]);
    let _province = town.start("370000", &["--listen", &y, "--peer", &format!("370100={x}")]);
    town.proved("370000");
    town.proved("370100");
    town
}

#[test]
fn a_province_freezes_last_month_once_and_says_what_may_be_missing() {
    let [last, this] = months();
    for way in WAYS {
        let town = met();
        let dir = town.at("370000");
        let _node = town.way(way, "370000");
        let shown = both(&run(&["scorecard", "--dir", &dir]));
        assert!(shown.contains("370100") && shown.contains("济南市"), "{shown}");
        assert!(shown.contains("complete") && shown.contains("—"), "it has taken nothing: {shown}");
        assert!(shown.contains("not frozen"), "{shown}");
        fails(&["scorecard", "freeze", "--month", &this, "--dir", &dir], 1, "not over yet");
        fails(&["scorecard", "freeze", "--month", "2026", "--dir", &dir], 2, "is no month");
        let frozen = both(&run(&["scorecard", "freeze", "--dir", &dir, "--user", "zhao"]));
        assert!(frozen.contains(&last) && frozen.contains("by zhao"), "{frozen}");
        fails(&["scorecard", "freeze", "--dir", &dir], 1, "frozen already");
        fails(&["scorecard", "freeze", "--reason", "漏计", "--dir", &dir], 1, "as it is frozen");
        let found = json(&["scorecard", "--month", &last, "--dir", &dir]);
        assert_eq!(found["frozen"]["table"]["units"][0]["complete"], true, "{found}");
        assert_eq!(found["frozen"]["table"]["rates"].as_array().unwrap().len(), 8);
        let csv = says(&["scorecard", "--csv", "--dir", &dir]);
        let file = town.path("month.xlsx");
        says(&["scorecard", "--xlsx", text(&file), "--dir", &dir]);
        assert_eq!(book::same(&file, &csv), ["scorecard", "rates"]);
        assert!(
            csv.starts_with("month,site,name,rank,score") && csv.contains("370100,济南市,,,0,0,,true"),
            "{csv}"
        );
        assert_eq!(json(&["scorecard", "list", "--dir", &dir])[0]["user"], "zhao");
        fails(&["scorecard", "--site", "510000", "--dir", &dir], 1, "has frozen no");
    }
}

#[test]
fn the_page_shows_it_to_whoever_may_and_a_supervisor_freezes_it() {
    let [last, this] = months();
    let town = met();
    let (_node, desk) = town.desk("370000", &[]);
    let mut leader = town.staff("370000", &desk, "wang", "shift-leader");
    let mut supervisor = town.staff("370000", &desk, "zhao", "supervisor");
    let mut agent = town.staff("370000", &desk, "li", "agent");
    agent.get("/scorecard").is(403);
    leader.get("/figures").is(200).says("href=\"/scorecard\"");
    let page = leader.get("/scorecard").is(200).says("济南市 370100").says("未冻结");
    assert!(!page.body.contains("冻结本月"), "freezing is the supervisor's");
    leader.post("/scorecard", &[("month", &last)]).is(403);
    let of = |browser: &mut Browser, month: &str| browser.get(&format!("/scorecard?month={month}"));
    assert!(!of(&mut supervisor, &this).is(200).body.contains("冻结本月"), "it is not over");
    supervisor.post("/scorecard", &[("month", &this)]).is(409).says("not over yet");
    of(&mut supervisor, &last).is(200).says("冻结本月");
    let page = supervisor.follow("/scorecard", &[("month", &last)]).is(200).says("已冻结").says("zhao");
    assert!(!page.body.contains("冻结本月"));
    supervisor.post("/scorecard", &[("month", &last), ("reason", "漏计")]).is(409);
    let csv = leader.get(&format!("/scorecard/csv?month={last}")).is(200).says("370100,济南市");
    assert!(csv.header("content-disposition").contains(&format!("scorecard-370000-{last}.csv")));
    leader.get(&format!("/scorecard/xlsx?month={last}")).is(200).says("PK");
    leader.get("/scorecard?month=2026").is(422);
    let made = json(&[
        "token",
        "add",
        "stat",
        "--role",
        "auditor",
        "--scope",
        "figures:read",
        "--dir",
        &town.at("370000"),
    ]);
    let token = made["token"].as_str().unwrap();
    let head = Browser::new(&desk).head("GET", &format!("/api/v1/scorecard?month={last}"));
    let asked =
        Browser::new(&desk).raw(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    asked.is(200).says("\"frozen\":{").says("\"user\":\"zhao\"");
    let audit = json(&["audit", "--dir", &town.at("370000")]).to_string();
    assert!(audit.contains("freeze"), "{audit}");
}
