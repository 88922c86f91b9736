//! The program as a user meets it: real processes, real sockets on 127.0.0.1.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn hotline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotline"));
    command.env_remove("HOTLINE_DIR").env("NO_COLOR", "1");
    command
}

fn run(args: &[&str]) -> Output {
    hotline().args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat());
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(args: &[&str], code: i32, words: &str) {
    let output = run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

/// A port that was free a moment ago.
fn port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Root, province and two nodes with their directories.
fn network(dir: &Path) {
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    json(&["cert", "root", "--out", &at("root")]);
    json(&["cert", "province", "370000", "--ca", &at("root"), "--out", &at("ca")]);
    for node in ["370000", "370100"] {
        json(&["cert", "node", node, "--ca", &at("ca"), "--out", &at(&format!("id-{node}"))]);
        json(&["init", "--dir", &at(node), "--identity", &at(&format!("id-{node}"))]);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill(); // kill -9, and nothing is lost by it
        let _ = self.0.wait();
    }
}

fn start(dir: &Path, node: &str, listen: u16, peer: &str, at: u16) -> Running {
    let child = hotline()
        .args(["run", "--dir", text(&dir.join(node)), "--listen", &format!("127.0.0.1:{listen}")])
        .args(["--peer", &format!("{peer}=127.0.0.1:{at}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the socket is there", || dir.join(node).join("hotline.sock").exists());
    Running(child)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::yield_now();
    }
}

fn proved(dir: &Path, node: &str) -> bool {
    let status = json(&["replica", "status", "--dir", text(&dir.join(node))]);
    status["peers"].as_array().unwrap().iter().all(|p| p["digest_equal"] == true && p["outbox"] == 0)
}

#[test]
fn the_demo_tells_its_story_and_everything_converges() {
    let dir = tempfile::tempdir().unwrap();
    // Eight ports in a row: a lost race for one of them is tried again.
    let told = (0..5)
        .map(|_| {
            run(&[
                "demo",
                "--headless",
                "--dir",
                text(&dir.path().join(port().to_string())),
                "--port",
                &(port() & !7).to_string(),
            ])
        })
        .find(|o| o.status.success())
        .expect("one of five runs finds its ports free");
    let words = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(words.contains("65 sample calls are in"), "{words}");
    assert!(words.contains("未生效：上级 370000"), "{words}");
}

#[test]
fn a_city_works_alone_and_meets_its_province_later() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    network(dir);
    let city = dir.join("370100");
    let city = text(&city);
    let made = json(&["ticket", "new", "--dir", city, "--text", "出租车拒载", "--phone", "13800000001"]);
    let (id, number) = (made["id"].as_str().unwrap().to_owned(), made["number"].as_str().unwrap().to_owned());
    assert_eq!((made["custodian"].as_str(), made["stage"].as_str()), (Some("370100"), Some("in_hand")));
    json(&["ticket", "dispatch", &number, "--to", "运管处", "--dir", city]);
    json(&["ticket", "feedback", &id[..8], "属实", "--dir", city]);
    json(&["ticket", "note", &number, "已致歉", "--dir", city]);
    json(&["ticket", "close", &number, "--result", "已处理", "--dir", city]);
    assert_eq!(json(&["ticket", "search", "拒载", "--dir", city])[0]["stage"], "closed");
    assert_eq!(json(&["ticket", "list", "--queue", "closed", "--dir", city]).as_array().unwrap().len(), 1);
    fails(&["ticket", "accept", &number, "--dir", city], 1, "no offer is open");
    fails(&["ticket", "show", "nonsense", "--dir", city], 2, "neither a ticket number");
    fails(&["ticket", "show", &number], 2, "data directory is not given");
    fails(&["ticket", "list", "--dir", text(&dir.join("nowhere"))], 4, "no data directory");
    fails(
        &["init", "--dir", city, "--identity", text(&dir.join("id-370100"))],
        1,
        "a data directory already",
    );
    assert!(json(&["replica", "verify", "--dir", city])["damaged"].as_array().unwrap().is_empty());
    assert_eq!(json(&["replica", "rebuild", "--dir", city])["changed"], false);

    let (a, b) = (port(), port());
    let _province = start(dir, "370000", a, "370100", b);
    let running = start(dir, "370100", b, "370000", a);
    until("both are proved equal", || proved(dir, "370000") && proved(dir, "370100"));
    let province = dir.join("370000");
    let province = text(&province);
    let here = json(&["ticket", "show", &number, "--dir", city]);
    let there = json(&["ticket", "show", &number, "--dir", province]);
    assert_eq!(here["state_hash"], there["state_hash"]);
    let digest =
        |at: &str, of: &str| json(&["replica", "digest", "--peer", of, "--dir", at])["digest"].clone();
    assert_eq!(digest(city, "370000"), digest(province, "370100"));

    // kill -9: what a command reported as done is there afterwards.
    let made = json(&["ticket", "new", "--dir", city, "--text", "断电前的最后一件"]);
    drop(running);
    let after = json(&["ticket", "show", made["id"].as_str().unwrap(), "--dir", city]);
    assert_eq!(after["number"], made["number"]);
    let _running = start(dir, "370100", b, "370000", a);
    until("the province has it too", || {
        let output = run(&["ticket", "show", made["id"].as_str().unwrap(), "--dir", province, "--json"]);
        output.status.success()
    });
}

#[test]
fn a_revoked_city_is_cut_off_while_connected_and_both_sides_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    network(dir);
    let (a, b) = (port(), port());
    let _province = start(dir, "370000", a, "370100", b);
    let _city = start(dir, "370100", b, "370000", a);
    until("both are proved equal", || proved(dir, "370000") && proved(dir, "370100"));
    let list = dir.join("list.crl");
    json(&["cert", "revoke", "370100", "--ca", text(&dir.join("ca")), "--out", text(&list)]);
    let province = dir.join("370000");
    let admitted = json(&["cert", "admit", text(&list), "--dir", text(&province)]);
    assert_eq!(admitted["revoked"][0], "370100");
    let events = |node: &str| json(&["replica", "events", "--dir", text(&dir.join(node))]).to_string();
    until("the city is told", || events("370100").contains("revoked"));
    until("the province says it", || events("370000").contains("revoked: 370100"));
    let status = json(&["replica", "status", "--dir", text(&province)]);
    assert_eq!(status["peers"][0]["connected"], false);
}

#[test]
fn an_import_takes_the_samples_and_names_the_line_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    network(dir);
    let city = dir.join("370100");
    let city = text(&city);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/samples.jsonl");
    let report = json(&["ticket", "import", text(&samples), "--dir", city]);
    assert_eq!(report["imported"], 65);
    let exported = run(&["ticket", "export", "--dir", city]);
    assert_eq!(String::from_utf8_lossy(&exported.stdout).lines().count(), 65);
    let bad = dir.join("bad.jsonl");
    std::fs::write(&bad, "{\"text\":\"好\"}\nnot json\n").unwrap();
    fails(&["ticket", "import", text(&bad), "--dir", city], 2, "line 2");
}
