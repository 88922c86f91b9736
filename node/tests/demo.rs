//! The demo: eight nodes on one machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use harness::browser::Browser;
use harness::{Running, fails, hotline, json, port, run, says, text, until};

/// The first of ten ports in a row that were free a moment ago.
fn ports() -> u16 {
    let free =
        |p: &u16| UdpSocket::bind(("127.0.0.1", *p)).is_ok() && TcpListener::bind(("127.0.0.1", *p)).is_ok();
    loop {
        let first = port() & !15;
        if (first..first + 10).all(|p| free(&p)) {
            return first;
        }
    }
}

#[test]
fn the_demo_tells_its_story_and_everything_converges() {
    let dir = tempfile::tempdir().unwrap();
    // A lost race for one of the ports is tried again.
    let told = (0..5)
        .map(|n| {
            let place = dir.path().join(n.to_string());
            run(&["demo", "--headless", "--dir", text(&place), "--port", &ports().to_string()])
        })
        .find(|o| o.status.success())
        .expect("one of five runs finds its ports free");
    let words = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(words.contains("65 sample calls are in, and 21 articles"), "{words}");
    // 8 are the ministry's; the others lie with the provinces and cities by turns.
    assert!(words.contains("no others:\n  000000 8, 370000 "), "{words}");
    assert!(words.contains("未生效：上级 370000"), "{words}");
    assert!(words.contains("收到较晚，按该规则重新计算"), "a rule that came late: {words}");
}

#[test]
fn a_running_demo_is_cut_healed_and_ends_with_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let place = text(dir.path());
    let first = ports();
    let child = hotline()
        .args(["demo", "--dir", place, "--port", &first.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut demo = Running(child);
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("65 sample calls are in"));
    let said: Vec<String> = lines.by_ref().take(7).collect();
    let tries =
        said.iter().filter(|l| l.contains("hotline demo ") || l.contains("hotline ticket new")).count();
    assert_eq!(tries, 3, "three things to try, once: {said:?}");
    let map = said.iter().find_map(|l| l.split("http://").nth(1)?.split('/').next()).unwrap().to_owned();

    let link = |a: &str, b: &str| {
        let all = json(&["demo", "status", "--dir", place]);
        let node = all.as_array().unwrap().iter().find(|s| s["node"] == a).unwrap().clone();
        node["peers"].as_array().unwrap().iter().find(|p| p["node"] == b).unwrap().clone()
    };
    until("the pair is proved equal", || link("370100", "370000")["digest_equal"] == true);
    json(&["demo", "cut", "370100", "370000", "--dir", place]);
    until("both ends see the cut", || {
        link("370100", "370000")["connected"] == false && link("370000", "370100")["connected"] == false
    });
    let city = text(&dir.path().join("370100")).to_owned();
    let made = json(&["ticket", "new", "--dir", &city, "--text", "出租车拒载", "--phone", "13800000000"]);
    assert!(link("370100", "370000")["outbox"].as_u64().unwrap() > 0);
    json(&["demo", "heal", "370100", "370000", "--dir", place]);
    until("the pair is proved equal again", || {
        let link = link("370100", "370000");
        link["digest_equal"] == true && link["outbox"] == 0
    });
    let province = text(&dir.path().join("370000")).to_owned();
    let number = made["number"].as_str().unwrap();
    assert_eq!(json(&["ticket", "show", number, "--dir", &province])["custodian"], "370100");
    assert!(says(&["demo", "status", "--dir", place]).contains("370000 equal"));
    // The office has no line: its stick stays at home, and goes again.
    let office = text(&dir.path().join("370100-01")).to_owned();
    until("the stick has made both equal", || link("370100-01", "370100")["by_stick"] == "equal");
    json(&["demo", "cut", "370100-01", "370100", "--dir", place]);
    let made = json(&["ticket", "new", "--dir", &office, "--text", "站牌倒了", "--phone", "13800000001"]);
    until("a trip that was under way is over", || link("370100-01", "370100")["by_stick"] != "apart");
    json(&["demo", "heal", "370100", "370100-01", "--dir", place]);
    until("the province has the office's ticket", || {
        run(&["ticket", "show", made["number"].as_str().unwrap(), "--dir", &province]).status.success()
    });

    the_map(&map, first);

    fails(&["demo", "cut", "370100", "510000", "--dir", place], 2, "have no link of their own");
    fails(&["demo", "cut", "370100", "999999", "--dir", place], 2, "999999");

    let other = tempfile::tempdir().unwrap();
    let taken = format!("UDP port {first} of 127.0.0.1 is not free");
    let again = ["demo", "--headless", "--dir", text(other.path()), "--port", &first.to_string()];
    fails(&again, 4, &taken);
    assert!(
        std::fs::read_dir(other.path()).unwrap().next().is_none(),
        "nothing was made for a demo that cannot run"
    );

    until("last month is frozen once all have met", || {
        json(&["scorecard", "list", "--dir", &province]).as_array().is_some_and(|months| !months.is_empty())
    });
    what_is_there(&city, text(&dir.path().join("510100")));
    demo.signal("INT");
    assert!(demo.0.wait().unwrap().success(), "Ctrl-C is how a demo ends");
    assert!(lines.next().is_none(), "nothing is said again");
    assert!(UdpSocket::bind(("127.0.0.1", first)).is_ok(), "its ports are free");
    fails(&["demo", "status", "--dir", place], 3, "no demo runs on");
    // The directories are there: it goes on where it was.
    assert_eq!(json(&["ticket", "show", number, "--dir", &province])["custodian"], "370100");
}

/// Rules that its sites have set, and articles in every state.
fn what_is_there(city: &str, other: &str) {
    let rules = json(&["policy", "list", "--dir", city]);
    let editions = |table: &str| -> Vec<(String, String)> {
        let found = rules["tables"].as_array().unwrap().iter().find(|t| t["table"] == table).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        found["editions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| (text(&e["site"]), text(&e["standing"])))
            .collect()
    };
    for (table, site, standing) in [
        ("fields", "370100", "in force"),
        ("dispatch", "370100", "in force"),
        ("time_limits", "370000", "coming"),
    ] {
        assert_eq!(editions(table), [(site.to_owned(), standing.to_owned())], "{table}: {rules}");
    }
    for (dir, queue) in [(city, "changed"), (city, "unreviewed"), (other, "expiring")] {
        let listed = json(&["kb", "list", "--queue", queue, "--dir", dir]);
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{queue}: {listed}");
    }
    let files = json(&["kb", "files", "JN001", "--dir", city]);
    assert_eq!(files.as_array().map(Vec::len), Some(1), "{files}");
    let all = json(&["ticket", "list", "--queue", "held", "--limit", "200", "--dir", city]);
    let held: Vec<&str> = all.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    let longer = |id: &str| {
        let shown = json(&["ticket", "show", id, "--dir", city]);
        shown["clock"]["extensions"].as_array().is_some_and(|all| !all.is_empty())
    };
    until("the province's grant of days has come", || held.iter().any(|id| longer(id)));
    let used = json(&["kb", "show", "KB001", "--dir", other]);
    assert!(used["use"]["used"].as_u64().is_some_and(|times| times > 0), "{used}");
}

/// The page of the running demo: links are cut and healed from it, calls come in, and every desk has its account; nothing
/// is done for a page of another site.
fn the_map(address: &str, first: u16) {
    let mut page = Browser::new(address);
    page.get("/").is(200).says("演示网络");
    page.get("/demo.js").is(200).says("\"370100-01\"");
    let state = || -> serde_json::Value {
        serde_json::from_str(&Browser::new(address).get("/state").is(200).body).unwrap()
    };
    let between = |a: &str, b: &str| {
        let state = state();
        let link =
            state["links"].as_array().unwrap().iter().find(|l| l["a"] == a && l["b"] == b).unwrap().clone();
        (link["state"].as_str().unwrap().to_owned(), link["outbox"].clone())
    };
    assert_eq!(state()["nodes"].as_array().unwrap().len(), 8);
    assert_eq!(state()["links"].as_array().unwrap().len(), 7);
    for (lines, host) in [("", address), ("X-Demo: 1\r\n", "desk.example")] {
        let request = format!(
            "POST /cut?a=510100&b=510000 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n{lines}\r\n"
        );
        page.raw(request.as_bytes()).unwrap().is(403);
    }
    let ours = "X-Demo: 1\r\n";
    page.send("/cut?a=510100&b=370000", ours, "").is(422).says("have no link of their own");
    page.send("/cut?a=510100&b=510000", ours, "").is(200);
    until("the map shows the cut", || between("510000", "510100").0 == "down");
    let made = page.send("/call?node=510100", ours, "").is(200).body;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert!(made["number"].as_str().unwrap().starts_with("JT510100"), "{made}");
    assert!(between("510000", "510100").1[1].as_u64().unwrap() > 0, "what the city owes its province");
    page.send("/heal?a=510100&b=510000", ours, "").is(200);
    until("it is equal again", || {
        between("510000", "510100") == ("equal".to_owned(), serde_json::json!([0, 0]))
    });

    // 510100 is the sixth node; the account is as the page says it.
    let account = state()["account"].clone();
    let desk =
        state()["nodes"].as_array().unwrap().iter().find(|n| n["node"] == "510100").unwrap()["desk"].clone();
    assert_eq!(desk, format!("http://127.0.0.1:{}/", first + 5));
    let mut agent = Browser::new(&format!("127.0.0.1:{}", first + 5));
    agent.sign_in(account["name"].as_str().unwrap(), account["password"].as_str().unwrap()).leads_to("/");
    agent
        .get(&format!("/ticket/{}", made["id"].as_str().unwrap()))
        .is(200)
        .says(made["number"].as_str().unwrap());
}

#[test]
fn the_live_table_is_drawn_on_a_terminal_and_ends_with_q() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = dir.path().join("drawn");
    let place = dir.path().join("demo");
    let command = format!("{} demo --dir {} --port {}", env!("CARGO_BIN_EXE_hotline"), text(&place), ports());
    let mut child = std::process::Command::new("script")
        .args(["-qefc", &command, text(&drawn)])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("util-linux is there");
    let mut keyboard = child.stdin.take().unwrap();
    let seen = || String::from_utf8_lossy(&std::fs::read(&drawn).unwrap_or_default()).into_owned();
    until("the table shows a proof", || seen().contains("370000 equal"));
    std::io::Write::write_all(&mut keyboard, b"q").unwrap();
    until("q ends it", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    let seen = seen();
    assert!(seen.contains("three things to try") && seen.contains("370100-01"), "{seen}");
    assert!(seen.contains("\x1b[?1049l"), "the terminal comes back");
    assert!(!seen.contains("\x1b[2J"), "nothing is cleared first, so nothing flickers");
}
