//! What a desk does about a caller's personal data, on the directory and through the socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::{Town, WAYS, fails, json, says};

#[test]
fn a_caller_is_known_again_shown_for_a_reason_and_erased() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let at = |args: &[&str]| json(&[args, &["--dir", &city, "--user", "王芳"]].concat());
        let new = ["ticket", "new", "--text", "司机骂人", "--phone", "13912345678", "--name", "欧阳慕白"];
        let first = at(&new);
        let id = first["id"].as_str().unwrap();
        assert_eq!(first["earlier"], serde_json::json!([]));
        assert_eq!(at(&new)["earlier"], serde_json::json!([id]));
        let said = says(&[&new, ["--dir", &city].as_slice()].concat());
        assert!(said.contains("earlier\t2"), "{said}");

        assert_eq!(at(&["ticket", "search", "--phone", "139 1234 5678"]).as_array().unwrap().len(), 3);
        assert_eq!(at(&["ticket", "search", "--name", "欧阳慕白"]).as_array().unwrap().len(), 3);
        let shown = at(&["ticket", "show", id, "--reveal", "回访"]);
        assert_eq!(shown["person"]["name"], "欧阳慕白");
        assert_eq!(shown["clock"]["began"][0]["at"], shown["trail"][0]["at"]);
        fails(&["ticket", "show", id, "--reveal", "回访", "--dir", &city], 2, "to a named person only");
        fails(&["ticket", "search", "--dir", &city], 2, "--phone");
        fails(
            &["ticket", "grant", id, "--to", "510100", "--dir", &city, "--user", "王芳"],
            1,
            "does not hold this ticket",
        );

        let erased = at(&["ticket", "erase", id, "--reason", "保存期满"]);
        assert_eq!(erased["erased"]["confirmed"], serde_json::json!(["370100"]));
        assert_eq!(at(&["ticket", "show", id])["erased"]["reason"], "保存期满");
        fails(&["ticket", "show", id, "--reveal", "回访", "--dir", &city, "--user", "王芳"], 1, "was erased");
        assert_eq!(at(&["ticket", "search", "--phone", "13912345678"]).as_array().unwrap().len(), 2);

        let log = at(&["ticket", "reveals", id]);
        let what: Vec<&str> =
            log["lines"].as_array().unwrap().iter().filter_map(|l| l["what"].as_str()).collect();
        assert_eq!((what, &log["intact"]), (vec!["reveal", "erase"], &serde_json::json!(true)));
        assert_eq!(at(&["replica", "reveals"])["lines"].as_array().unwrap().len(), 2);
        assert_eq!(at(&["replica", "verify"])["damaged"], serde_json::json!([]));
        assert_eq!(at(&["replica", "rebuild"])["changed"], false);
    }
}

#[test]
fn a_line_cut_from_the_log_of_reveals_is_found() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    let at = |args: &[&str]| json(&[args, &["--dir", &city, "--user", "王芳"]].concat());
    let made = at(&["ticket", "new", "--text", "司机骂人", "--phone", "13912345678"]);
    for reason in ["回访", "核实"] {
        at(&["ticket", "show", made["id"].as_str().unwrap(), "--reveal", reason]);
    }
    let vault = rusqlite::Connection::open(std::path::Path::new(&city).join("vault.db")).unwrap();
    vault.execute("DELETE FROM reveal WHERE row = 2", []).unwrap();
    drop(vault);
    fails(&["ticket", "reveals", "--dir", &city], 5, "the end is missing");
}
