//! `hotline doctor` and `hotline check`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::process::Output;

use harness::{Town, both, fails, json, run, until};
use serde_json::Value;

/// What is not fine but for the disk, which is the tester's.
fn troubles(said: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    said["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["topic"] != "disk" && matches!(f["severity"].as_str(), Some("warning" | "critical")))
        .map(|f| (text(&f["topic"]), text(&f["what"])))
        .collect()
}

fn doctor(dir: &str, more: &[&str]) -> (Value, Output) {
    let output = run(&[&["doctor", "--json", "--dir", dir], more].concat());
    let first = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    (serde_json::from_str(&first).unwrap_or_else(|e| panic!("{e}: {}", both(&output))), output)
}

#[test]
fn a_node_in_order_is_said_to_be_so_and_trouble_is_named_with_a_next_step() {
    let town = Town::new(&["370100", "370000"]);
    let city = town.at("370100");
    let check = || run(&["check", "--dir", &city]);
    let ended =
        |output: &Output| (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned());
    {
        let (_city, province) = town.pair("370100", "370000");
        json(&["ticket", "new", "--dir", &city, "--text", "公交晚点", "--phone", "13800000001"]);
        town.proved("370100");
        // What the other end runs is known by its greeting; it is the same program here.
        let status = json(&["replica", "status", "--dir", &city]);
        let peer = &status["peers"][0];
        assert_eq!(peer["program"], env!("CARGO_PKG_VERSION"), "{status}");
        assert_eq!((&peer["program"], &peer["protocol"]), (&status["program"], &status["protocol"]));
        let (said, output) = doctor(&city, &[]);
        assert_eq!(output.status.code(), Some(6));
        assert_eq!(
            troubles(&said),
            [("backup".to_owned(), "none was ever taken of this directory".to_owned())]
        );
        json(&["backup", &town.at("backups"), "--dir", &city]);
        let (said, output) = doctor(&city, &["--deep"]);
        assert_eq!(troubles(&said), [], "{}", both(&output));
        let (code, line) = ended(&check());
        if !line.contains("free of") {
            assert_eq!(code, Some(0), "{line}");
            assert!(line.starts_with("HOTLINE OK - 1 of 1 links up, 0 changes wait | links=1"), "{line}");
        }
        province.signal("TERM");
        until("the link is seen to be down", || {
            json(&["replica", "peers", "--dir", &city])[0]["connected"] == false
        });
        json(&["ticket", "new", "--dir", &city, "--text", "出租车绕路", "--phone", "13800000002"]);
        let report = town.at("help.tar.zst");
        let (said, _) = doctor(&city, &["--bundle", &report]);
        let link = said["findings"].as_array().unwrap().iter().find(|f| f["topic"] == "link").unwrap();
        assert!(link["what"].as_str().unwrap().contains("370000 was last heard"), "{link}");
        assert_eq!((&link["severity"], &link["next"]), (&"fine".into(), &Value::Null), "for ten minutes");
        let unpacked = zstd_tar(&report);
        assert!(unpacked.contains("\"topic\": \"link\""), "{unpacked}");
        for secret in ["13800000001", "13800000002", "公交晚点", "出租车绕路", "PRIVATE KEY"] {
            assert!(!unpacked.contains(secret), "{secret} is in the archive for helpers");
        }
        fails(&["doctor", "--bundle", &report, "--dir", &city], 1, "cannot be written");
    }
    let (code, line) = ended(&check());
    assert_eq!(
        (code, line.starts_with("HOTLINE CRITICAL - the node does not run")),
        (Some(2), true),
        "{line}"
    );
    let (said, _) = doctor(&city, &[]);
    assert!(troubles(&said).iter().any(|(topic, what)| topic == "node" && what.contains("does not run")));
    let (code, line) = ended(&run(&["check"]));
    assert_eq!((code, line.starts_with("HOTLINE UNKNOWN")), (Some(3), true), "{line}");
}

#[test]
fn a_key_that_others_can_read_and_a_database_that_is_none_are_found() {
    use std::os::unix::fs::PermissionsExt;
    let town = Town::new(&["370100"]);
    let city = town.path("370100");
    std::fs::set_permissions(&city, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (said, _) = doctor(&town.at("370100"), &[]);
    assert!(troubles(&said).iter().any(|(topic, _)| topic == "directory"));
    std::fs::write(city.join("node.db"), vec![7; 8192]).unwrap();
    std::fs::remove_file(city.join("node.db-wal")).ok();
    let (said, output) = doctor(&town.at("370100"), &[]);
    assert_eq!(output.status.code(), Some(6));
    assert!(
        troubles(&said).iter().any(|(topic, what)| topic == "node" && what.contains("not a database")),
        "{said}"
    );
}

fn zstd_tar(path: &str) -> String {
    let mut all = String::new();
    let mut tar = tar::Archive::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap());
    for entry in tar.entries().unwrap() {
        std::io::Read::read_to_string(&mut entry.unwrap(), &mut all).unwrap();
    }
    all
}
