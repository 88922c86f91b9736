//! `hotline run`: starting, stopping, what systemd sees, what the log says and never says, and links between nodes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use harness::{Town, both, fails, json, run, until};

#[test]
fn a_city_works_alone_meets_its_province_later_and_loses_nothing_by_kill_9() {
    let town = Town::new(&["370000", "370100"]);
    let (city, province) = (town.at("370100"), town.at("370000"));
    let made = json(&["ticket", "new", "--dir", &city, "--text", "出租车拒载"]);
    let number = made["number"].as_str().unwrap();
    fails(&["init", "--dir", &city, "--identity", &town.at("id-370100")], 1, "a data directory already");
    fails(&["init", "--dir", &town.at("new"), "--identity", "/nowhere"], 4, "the identity cannot be read");
    let (_province, running) = town.pair("370000", "370100");
    town.proved("370000");
    town.proved("370100");
    let shown = |dir: &str| json(&["ticket", "show", number, "--dir", dir])["state_hash"].clone();
    assert_eq!(shown(&city), shown(&province));
    let digest =
        |at: &str, of: &str| json(&["replica", "digest", "--peer", of, "--dir", at])["digest"].clone();
    assert_eq!(digest(&city, "370000"), digest(&province, "370100"));

    let last = json(&["ticket", "new", "--dir", &city, "--text", "断电前的最后一件"]);
    drop(running); // kill -9: what a command reported as done is there afterwards
    let after = json(&["ticket", "show", last["id"].as_str().unwrap(), "--dir", &city]);
    assert_eq!(after["number"], last["number"]);
}

#[test]
fn a_revoked_city_is_cut_off_while_connected_and_both_sides_say_why() {
    let town = Town::new(&["370000", "370100"]);
    let _both = town.pair("370000", "370100");
    town.proved("370000");
    let list = town.at("list.crl");
    json(&["cert", "revoke", "370100", "--ca", &town.at("ca"), "--out", &list]);
    let admitted = json(&["cert", "admit", &list, "--dir", &town.at("370000")]);
    assert_eq!(admitted["revoked"][0], "370100");
    let events = |node: &str| json(&["replica", "events", "--dir", &town.at(node)]).to_string();
    until("the city is told", || events("370100").contains("revoked"));
    until("the province says it", || events("370000").contains("revoked: 370100"));
    let status = json(&["replica", "status", "--dir", &town.at("370000")]);
    assert_eq!(status["peers"][0]["connected"], false);
}

#[test]
fn systemd_hears_of_the_start_of_every_beat_and_of_the_end() {
    let town = Town::new(&["370100"]);
    let socket = town.path("notify");
    let notify = UnixDatagram::bind(&socket).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let environment = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let mut node = town.start_with("370100", &[], &environment);
    let hear = |words: &str| {
        let mut buffer = [0; 256];
        loop {
            let n = notify.recv(&mut buffer).expect(words);
            if String::from_utf8_lossy(&buffer[..n]).contains(words) {
                return;
            }
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    node.signal("TERM");
    hear("STOPPING=1");
    assert!(node.0.wait().unwrap().success(), "SIGTERM is how a node is asked to stop");
    assert!(!town.path("370100").join("hotline.sock").exists(), "its socket is gone");
    let log = town.log("370100");
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).expect("not on a terminal, a log is JSON lines");
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    assert!(log.contains("\"running\"") && log.contains("\"stopping\""), "{log}");
}

#[test]
fn no_log_of_any_node_at_any_level_names_a_caller() {
    let town = Town::new(&["370000", "370100"]);
    let loud = [("HOTLINE_LOG", "trace")];
    let ports = [harness::port(), harness::port()].map(|p| format!("127.0.0.1:{p}"));
    let city_args = ["--listen", &*ports[0], "--peer", &*format!("370000={}", ports[1])];
    let _city = town.start_with("370100", &city_args, &loud);
    let province_args = ["--listen", &*ports[1], "--peer", &*format!("370100={}", ports[0])];
    let _province = town.start_with("370000", &province_args, &loud);
    town.proved("370100"); // each knows the other's keys
    let (name, phone, spare) = ("金丝雀", "13912345678", "13987654321");
    let city = town.at("370100");
    let made = json(&[
        "ticket",
        "new",
        "--dir",
        &city,
        "--text",
        "我的车被乱收费",
        "--name",
        name,
        "--phone",
        phone,
    ]);
    let id = made["id"].as_str().unwrap();
    let calls = town.path("calls.jsonl");
    let bad = format!(
        "{{\"text\":\"公交晚点\",\"caller_name\":\"{name}\",\"caller_phone\":\"{spare}\"}}\n{{\"caller_phone\":{spare}}}\n"
    );
    std::fs::write(&calls, bad).unwrap();
    let import = run(&["ticket", "import", calls.to_str().unwrap(), "--dir", &city]);
    let said = harness::both(&import);
    assert!(said.contains("line 2") && !said.contains(spare), "{said}");
    json(&["ticket", "offer", id, "--to", "370000", "--reason", "请省厅办理", "--dir", &city]);
    town.proved("370100");
    town.proved("370000");
    let shown =
        json(&["ticket", "show", id, "--dir", &town.at("370000"), "--user", "李四", "--reveal", "核实"]);
    assert_eq!(
        (shown["person"]["name"].as_str(), shown["person"]["phone"].as_str()),
        (Some(name), Some(phone))
    );
    for node in ["370100", "370000"] {
        let log = town.log(node);
        assert!(log.contains("TRACE") && log.contains("proved equal"), "the log of {node} is a full one");
        // As text, as its bytes in decimal, and in hexadecimal.
        for secret in [name, phone, spare] {
            let decimal: Vec<String> = secret.bytes().map(|b| b.to_string()).collect();
            let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
            for form in [secret.to_owned(), decimal.join(", "), hex] {
                assert!(!log.contains(&form), "{node} logs {form}");
            }
        }
        for key in ["node.key", "sign.key", "box.key", "desk.key"] {
            let pem = std::fs::read_to_string(town.path(node).join("identity").join(key)).unwrap();
            assert!(
                pem.lines().filter(|l| !l.starts_with('-')).all(|l| !log.contains(l)),
                "{node} logs {key}"
            );
        }
    }
    assert!(
        town.log("370000").contains("personal data was shown"),
        "a reveal is logged, without what was shown"
    );
}

#[test]
fn a_machine_that_is_not_as_it_should_be_is_said_to_be_so() {
    let town = Town::new(&["370100", "370200"]);
    let (city, other) = (town.at("370100"), town.at("370200"));
    json(&["ticket", "new", "--dir", &city, "--text", "公交晚点", "--phone", "13800000001"]);
    // The address is taken.
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&["run", "--dir", &city, "--listen", &address], 4, "in use");
    // The database is no database any more.
    let mut bytes = std::fs::read(town.path("370200").join("node.db")).unwrap();
    bytes.iter_mut().skip(4096).step_by(61).for_each(|byte| *byte ^= 0xff);
    std::fs::write(town.path("370200").join("node.db"), &bytes).unwrap();
    std::fs::remove_file(town.path("370200").join("node.db-wal")).ok();
    fails(&["run", "--dir", &other], 5, "hotline restore");
    // The file system is read-only, as kernels make it when a disk fails. Only root can show that.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec \"$0\" ticket list --dir \"$1\"";
    let shown = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_hotline"), &city])
        .output();
    match shown {
        Ok(output) if both(&output).contains("read-only") => assert_eq!(output.status.code(), Some(4)),
        Ok(output) => {
            assert!(both(&output).contains("unshare") || both(&output).contains("mount"), "{}", both(&output))
        }
        Err(_) => {} // there is no `unshare` here
    }
    // And as soon as it is in order again, everything is there.
    json(&["ticket", "list", "--dir", &city]);
}
