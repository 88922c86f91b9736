//! `hotline config check`, and what `hotline run` does with a configuration.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::{Town, both, failed, fails, hotline, json, says, tcp_port, text};

#[test]
fn the_check_tells_every_value_and_where_it_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h.toml");
    std::fs::write(&file, "dir = \"/nowhere\"\n\n[peers]\n370000 = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n")
        .unwrap();
    let file = text(&file);
    let output = hotline()
        .args(["config", "check", "--config", file, "--listen", "127.0.0.1:7", "--json"])
        .env("HOTLINE_LOG", "debug")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["file"], file);
    let of = |key: &str| {
        let row = shown["values"].as_array().unwrap().iter().find(|r| r["key"] == key).unwrap().clone();
        format!("{} <- {}", row["value"].as_str().unwrap(), row["from"].as_str().unwrap())
    };
    assert_eq!(of("dir"), format!("/nowhere <- {file}, line 1"));
    assert_eq!(of("links.listen"), "127.0.0.1:7 <- --listen");
    assert_eq!(of("log.level"), "debug <- HOTLINE_LOG");
    assert_eq!(of("peers.370000"), format!("10.0.0.1:1,10.0.0.2:1 <- {file}, line 4"));
    assert_eq!(of("http.listen"), "off <- default");
    let table = says(&["config", "check", "--config", file]);
    assert!(table.starts_with("key\tvalue\tfrom\n"), "{table}");
    assert!(table.contains("\nhttp.listen\toff\tdefault\n"), "{table}");
}

#[test]
fn a_wrong_configuration_ends_with_4_and_names_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h.toml");
    std::fs::write(&file, "[links]\nlisten = \"127.0.0.1:1\"\ncongest = \"bbr\"\n").unwrap();
    let told = format!(
        "{}, line 3: there is no key `links.congest`; the nearest is `links.congestion`",
        text(&file)
    );
    fails(&["config", "check", "--config", text(&file)], 4, &told);
    fails(&["run", "--config", text(&file)], 4, &told);
    fails(&["config", "check", "--config", "/nowhere/h.toml"], 4, "/nowhere/h.toml cannot be read");
    fails(
        &["config", "check", "--http", "0.0.0.0:9328"],
        4,
        "--http: http.listen: 0.0.0.0:9328 is not a loopback",
    );
    fails(&["run", "--dir", "/nowhere", "--listen", "x"], 4, "--listen: links.listen: `x` is not an address");
    fails(&["run", "--dir", "/nowhere", "--peer", "370000"], 2, "there is no `=`");
    fails(&["run", "--listen", "127.0.0.1:0"], 2, "its data directory is not given");
    fails(&["run", "--dir", "/nowhere"], 4, "is no data directory");
}

#[test]
fn a_node_runs_by_the_file_in_its_directory() {
    let town = Town::new(&["370100"]);
    let http = format!("127.0.0.1:{}", tcp_port());
    std::fs::write(
        town.path("370100").join("hotline.toml"),
        format!("[http]\nlisten = \"{http}\"\n[log]\nlevel = \"debug\"\nformat = \"human\"\n[peers]\n370000 = \"127.0.0.1:9\"\n"),
    )
    .unwrap();
    let _node = town.start("370100", &[]);
    let status = json(&["replica", "status", "--dir", &town.at("370100")]);
    assert_eq!(status["peers"][0]["node"], "370000");
    let (head, body) = harness::get(&http, "/health");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((health["node"].as_str(), health["status"].as_str()), (Some("370100"), Some("ok")));
    let (_, metrics) = harness::get(&http, "/metrics");
    assert!(metrics.lines().any(|l| l == "hotline_peer_connected{peer=\"370000\"} 0"), "{metrics}");
    assert!(!town.log("370100").starts_with('{'), "{}", town.log("370100"));
    // Commands find the directory in a file that is named.
    let named = town.path("elsewhere.toml");
    std::fs::write(&named, format!("dir = \"{}\"\n", town.at("370100"))).unwrap();
    assert_eq!(json(&["replica", "status", "--config", text(&named)])["node"], "370100");
    // A node is nobody's peer that bears its own name.
    let mine = town.path("mine.toml");
    std::fs::write(&mine, format!("dir = \"{}\"\n[peers]\n370100 = \"127.0.0.1:9\"\n", town.at("370100")))
        .unwrap();
    fails(&["config", "check", "--config", text(&mine)], 4, "370100 is named as a peer of itself");
    fails(&["run", "--config", text(&mine)], 4, "mine.toml, line 3");
    // A second node cannot have the same port for its health page.
    let town2 = Town::new(&["370200"]);
    let output = hotline()
        .args(["run", "--dir", &town2.at("370200"), "--listen", "127.0.0.1:0", "--http", &http])
        .output()
        .unwrap();
    failed(&output, &["run", "--http"], 4, &format!("cannot listen on {http} (TCP)"));
}
