//! `hotline bundle export|import|inspect` with the real program, on the directory itself and through a running node.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Town, WAYS, Way, both, fails, json, run, says, text, until};
use serde_json::Value;

const OFFICE: &str = "370100-01";
const CITY: &str = "370100";

/// An office and its city that know each other's records, and have never had a line.
fn office_and_city() -> Town {
    let town = Town::new(&[OFFICE, CITY]);
    knows(&town, OFFICE, CITY);
    town
}

/// The first admits the record of the second, as it came with the enrolment on a stick.
fn knows(town: &Town, node: &str, other: &str) {
    let record = town.path(other).join("identity/record");
    json(&["cert", "admit", text(&record), "--dir", &town.at(node)]);
}

fn stick(town: &Town, name: &str) -> PathBuf {
    let dir = town.path(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn export(town: &Town, from: &str, to: &str, dir: &Path) -> Value {
    json(&["bundle", "export", "--to", to, "--out", text(dir), "--dir", &town.at(from)])
}

fn import(town: &Town, at: &str, path: &Path) -> Value {
    json(&["bundle", "import", text(path), "--dir", &town.at(at)])
}

fn call(town: &Town, at: &str, words: &str) -> String {
    let made = json(&["ticket", "new", "--dir", &town.at(at), "--text", words, "--phone", "13800000001"]);
    made["id"].as_str().unwrap().to_owned()
}

fn owes(town: &Town, node: &str, peer: &str) -> u64 {
    let peers = json(&["replica", "peers", "--dir", &town.at(node)]);
    let row = peers.as_array().unwrap().iter().find(|p| p["node"] == peer).unwrap().clone();
    row["outbox"].as_u64().unwrap()
}

#[test]
fn a_stick_there_and_back_both_ways() {
    for way in WAYS {
        let town = office_and_city();
        let (_office, _city) = (town.way(way, OFFICE), town.way(way, CITY));
        let id = call(&town, OFFICE, "路灯不亮");
        let there = stick(&town, "there");
        let said = export(&town, OFFICE, CITY, &there);
        assert_eq!(said["files"].as_array().unwrap().len(), 1, "{said}");
        let name = said["files"][0]["file"].as_str().unwrap();
        assert!(name.starts_with("370100-01-to-370100-") && name.ends_with("-0001.hlb"), "{name}");
        assert_eq!(files(&there).len(), 1, "nothing half-written is left");

        let taken = import(&town, CITY, &there);
        assert!(taken["taken"].as_u64().unwrap() >= 2, "{taken}");
        assert_eq!(taken["files"][0]["outcome"], "taken", "{taken}");
        assert_eq!(json(&["ticket", "show", &id, "--dir", &town.at(CITY)])["id"], *id);
        // Taken in twice it changes nothing.
        let again = import(&town, CITY, &there);
        assert_eq!((&again["taken"], &again["refused"]), (&0.into(), &serde_json::json!([])));

        assert!(owes(&town, OFFICE, CITY) > 0 || way == Way::Directory);
        let back = stick(&town, "back");
        let said = export(&town, CITY, OFFICE, &back);
        assert!(said["answers"].as_u64().unwrap() > 0, "{said}");
        let answered = import(&town, OFFICE, &back);
        assert!(answered["settled"].as_u64().unwrap() > 0, "{answered}");
        assert_eq!(owes(&town, OFFICE, CITY), 0);
        let words = answered["words"].as_str().unwrap();
        assert!(words.contains("no longer owed"), "{words}");

        // Another journey proves both equal.
        let third = stick(&town, "third");
        export(&town, OFFICE, CITY, &third);
        let taken = import(&town, CITY, &third);
        assert_eq!(taken["equal"][OFFICE], true, "{taken}");
        let shown =
            |node: &str| json(&["ticket", "show", &id, "--dir", &town.at(node)])["state_hash"].clone();
        assert_eq!(shown(CITY), shown(OFFICE));
    }
}

#[test]
fn through_a_carrier_and_home_over_a_link() {
    const PROVINCE: &str = "370000";
    let town = Town::new(&[OFFICE, CITY, PROVINCE]);
    knows(&town, OFFICE, PROVINCE);
    knows(&town, CITY, OFFICE);
    let _nodes = town.pair(CITY, PROVINCE);
    town.proved(CITY);
    let id = call(&town, OFFICE, "路灯不亮");
    let there = stick(&town, "there");
    export(&town, OFFICE, PROVINCE, &there);
    let said = import(&town, CITY, &there);
    assert_eq!(said["files"][0]["outcome"], "carried on", "{said}");
    assert!(said["words"].as_str().unwrap().contains("carried on unread"), "{said}");
    until("the bundle came over the link", || {
        run(&["ticket", "show", &id, "--dir", &town.at(PROVINCE), "--json"]).status.success()
    });
    // The province's answer goes to the city by itself, and home with the city's stick.
    let back = stick(&town, "back");
    let mut carried = Value::Null;
    until("the answer came down the link", || {
        for file in files(&back) {
            fs::remove_file(file).unwrap();
        }
        carried = export(&town, CITY, OFFICE, &back);
        carried["carried"] == 1
    });
    let before = owes(&town, OFFICE, PROVINCE);
    let said = import(&town, OFFICE, &back);
    assert!(said["settled"].as_u64().unwrap() > 0, "{said}");
    assert!(owes(&town, OFFICE, PROVINCE) < before || before == 0);
}

#[test]
fn the_outside_is_read_without_a_key_and_the_inside_with_one() {
    let town = office_and_city();
    call(&town, OFFICE, "路灯不亮");
    let there = stick(&town, "there");
    export(&town, OFFICE, CITY, &there);
    let file = &files(&there)[0];
    let outside = json(&["bundle", "inspect", text(file)]);
    assert_eq!((&outside["from"], &outside["to"][0]), (&OFFICE.into(), &CITY.into()), "{outside}");
    assert_eq!((&outside["whole"], &outside["part"]), (&true.into(), &1.into()));
    assert!(outside["holds"].is_null() && outside["made"].is_string());
    // Whose signature it is cannot be known without a root, and that is said.
    let signature = |said: &Value| said["signature"].as_str().unwrap().to_owned();
    assert!(
        signature(&outside).contains("is only said by the bundle itself: it was checked against no root")
    );
    let own = json(&["bundle", "inspect", text(file), "--dir", &town.at(OFFICE)]);
    assert_eq!((&own["readable"], &own["sender"]), (&false.into(), &"a member".into()), "{own}");
    let inside = json(&["bundle", "inspect", text(file), "--dir", &town.at(CITY)]);
    assert_eq!(inside["readable"], true);
    assert_eq!(inside["holds"]["documents"], 1, "{inside}");
    let root = json(&["cert", "show", &town.at("root")])["root"].as_str().unwrap().to_owned();
    for checked in [&own, &inside] {
        let words = signature(checked);
        assert!(words.contains("the key in the record of 370100-01; the record was checked"), "{words}");
        assert!(words.contains(&root), "{words}");
    }
    // A node of another country sees that it proves nothing.
    let foreign = Town::new(&[CITY]);
    let stranger = json(&["bundle", "inspect", text(file), "--dir", &foreign.at(CITY)]);
    assert!(signature(&stranger).starts_with("it does not prove 370100-01"), "{stranger}");
    assert_eq!(stranger["readable"], false);
    let said = says(&["bundle", "inspect", text(file)]);
    assert!(
        said.contains("370100-01") && said.contains("whole\tyes") || said.contains("whole\ttrue"),
        "{said}"
    );
    // The words of a caller are on no stick in clear.
    let bytes = fs::read(file).unwrap();
    assert!(!bytes.windows(12).any(|w| w == "路灯不亮".as_bytes()));
}

#[test]
fn what_is_wrong_is_said_with_a_next_step() {
    let town = office_and_city();
    let (office, city) = (town.at(OFFICE), town.at(CITY));
    let there = stick(&town, "there");
    let out = text(&there);
    fails(
        &["bundle", "export", "--to", "370200", "--out", out, "--dir", &office],
        1,
        "no record of it is here",
    );
    fails(&["bundle", "export", "--to", OFFICE, "--out", out, "--dir", &office], 2, "this node itself");
    fails(&["bundle", "export", "--to", "nobody", "--out", out, "--dir", &office], 2, "nobody");
    fails(
        &["bundle", "export", "--to", CITY, "--out", "/nowhere", "--dir", &office],
        1,
        "is the stick mounted",
    );
    fails(
        &["bundle", "export", "--to", CITY, "--out", out, "--max-size", "5K", "--dir", &office],
        2,
        "--max-size",
    );
    fails(&["bundle", "import", "/nowhere", "--dir", &city], 1, "cannot be read");
    fails(&["bundle", "import", out, "--dir", &city], 1, "no bundle");
    // What is no bundle is left alone and named.
    fs::write(there.join("notes.hlb"), "not a bundle").unwrap();
    fs::write(there.join("notes.txt"), "not looked at").unwrap();
    let output = run(&["bundle", "import", out, "--dir", &city]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("this is no part of a bundle") && !said.contains("notes.txt"), "{said}");
    fails(&["bundle", "inspect", text(&there.join("notes.hlb"))], 1, "no part of a bundle");
}

/// An office as `init --office` makes it, beside a city that has never heard of it.
fn new_office(knows_its_city: bool) -> (Town, Value) {
    let town = Town::new(&[CITY]);
    town.enrol(OFFICE);
    let (office, identity) = (town.at(OFFICE), town.at(&format!("id-{OFFICE}")));
    let record = town.path(CITY).join("identity/record");
    let mut args = vec!["init", "--office", "--dir", &office, "--identity", &identity];
    if knows_its_city {
        args.extend(["--record", text(&record)]);
    }
    let said = json(&args);
    (town, said)
}

/// From the office to its city and back, with nothing but the two commands.
fn a_first_stick(town: &Town) {
    let id = call(town, OFFICE, "路灯不亮");
    let (there, back) = (stick(town, "there"), stick(town, "back"));
    export(town, OFFICE, CITY, &there);
    let taken = import(town, CITY, &there);
    assert_eq!(taken["files"][0]["outcome"], "taken", "{taken}");
    assert_eq!(json(&["ticket", "show", &id, "--dir", &town.at(CITY)])["id"], *id);
    export(town, CITY, OFFICE, &back);
    let answered = import(town, OFFICE, &back);
    assert!(answered["settled"].as_u64().unwrap() > 0, "{answered}");
    assert_eq!(answered["equal"][CITY], true, "{answered}");
    assert_eq!(owes(town, OFFICE, CITY), 0);
}

#[test]
fn an_office_that_knows_its_city_needs_nothing_for_its_first_stick() {
    let (town, said) = new_office(true);
    assert_eq!(said["knows"], serde_json::json!([CITY]), "{said}");
    assert!(said["next"][0].as_str().unwrap().contains("bundle export --to 370100 "), "{said}");
    // The pair is kept from the start: what the office owes is counted before the first stick.
    call(&town, OFFICE, "公交晚点");
    assert!(owes(&town, OFFICE, CITY) > 0);
    a_first_stick(&town);
    // It runs as it is: no peer, and nothing that listens to the outside.
    let checked = json(&["config", "check", "--dir", &town.at(OFFICE)]);
    let listens = checked["values"].as_array().unwrap().iter().find(|v| v["key"] == "links.listen").unwrap();
    assert_eq!(listens["value"], "127.0.0.1:0", "{checked}");
}

#[test]
fn an_office_that_knows_nobody_begins_with_a_stick_from_its_city() {
    let (town, said) = new_office(false);
    assert_eq!(said["knows"], serde_json::json!([]));
    assert!(said["next"][1].as_str().unwrap().contains("cert admit record"), "{said}");
    // As the steps say: the office's record by hand to the city, and the city's with its first bundle.
    knows(&town, CITY, OFFICE);
    let first = stick(&town, "first");
    export(&town, CITY, OFFICE, &first);
    assert_eq!(import(&town, OFFICE, &first)["files"][0]["outcome"], "taken");
    a_first_stick(&town);
}

#[test]
fn only_an_office_is_made_as_one_and_only_of_records_that_hold() {
    let town = Town::new(&[]);
    town.enrol(CITY);
    town.enrol(OFFICE);
    let (city, city_id) = (town.at(CITY), town.at(&format!("id-{CITY}")));
    let of_a_city = ["init", "--office", "--dir", &city, "--identity", &city_id];
    fails(&of_a_city, 2, "370100 is a city, and --office is for offices, such as 370100-01");
    fails(&of_a_city, 2, "next: leave --office out");
    assert!(!town.path(CITY).exists(), "nothing was made");
    let other = Town::new(&["370200"]);
    let (office, office_id) = (town.at(OFFICE), town.at(&format!("id-{OFFICE}")));
    let record = other.path("370200").join("identity/record");
    let args = ["init", "--office", "--dir", &office, "--identity", &office_id, "--record", text(&record)];
    fails(&args, 1, "is no record that holds here");
    assert!(!town.path(OFFICE).exists(), "nothing was made");
}

#[test]
fn what_became_of_every_stick_is_kept_on_the_node() {
    for way in WAYS {
        let town = office_and_city();
        let (_office, mut running) = (town.way(way, OFFICE), town.way(way, CITY));
        call(&town, OFFICE, "路灯不亮");
        let there = stick(&town, "there");
        export(&town, OFFICE, CITY, &there);
        let said = import(&town, CITY, &there);
        let log = |node: &str| json(&["bundle", "log", "--dir", &town.at(node)]).as_array().unwrap().clone();
        let out = &log(OFFICE)[0];
        assert_eq!((&out["way"], &out["with"]), (&"out".into(), &serde_json::json!([CITY])), "{out}");
        assert_eq!((&out["files"], &out["medium"]), (&1.into(), &text(&there).into()), "{out}");
        assert!(out["items"].as_u64().unwrap() > 0 && out["at"].is_string(), "{out}");
        let read = &log(CITY)[0];
        assert_eq!((&read["way"], &read["with"]), (&"in".into(), &serde_json::json!([OFFICE])), "{read}");
        assert_eq!((&read["items"], &read["words"]), (&said["taken"], &said["words"]), "{read}");
        assert!(read["next"].as_str().unwrap().contains("bundle export --to 370100-01"), "{read}");
        // What failed is in it as well, with what to do: a stick without a bundle, and one that is torn.
        let empty = stick(&town, "empty");
        fails(&["bundle", "import", text(&empty), "--dir", &town.at(CITY)], 1, "no bundle");
        assert!(log(CITY)[0]["words"].as_str().unwrap().contains("no bundle"), "{:?}", log(CITY)[0]);
        let torn = stick(&town, "torn");
        let bytes = fs::read(&files(&there)[0]).unwrap();
        fs::write(torn.join("torn.hlb"), &bytes[..bytes.len() * 3 / 4]).unwrap();
        run(&["bundle", "import", text(&torn), "--dir", &town.at(CITY)]);
        assert_eq!(log(CITY)[0]["odd"], 1, "{:?}", log(CITY)[0]);
        // It outlives the process, and the status tells the last of it, the newest first.
        running = running.map(|node| {
            drop(node);
            town.start(CITY, &[])
        });
        let all = log(CITY);
        let status = json(&["replica", "status", "--dir", &town.at(CITY)]);
        assert_eq!(status["bundle_log"].as_array().unwrap(), &all);
        assert_eq!((all.len(), &all[2]["items"]), (3, &said["taken"]));
        let office = status["peers"].as_array().unwrap().iter().find(|p| p["node"] == OFFICE).unwrap();
        assert!(office["stick_at"].is_string(), "{status}");
        let words = says(&["bundle", "log", "--limit", "1", "--dir", &town.at(CITY)]);
        assert!(words.contains("torn") && !words.contains("empty"), "{words}");
        drop(running);
    }
}
