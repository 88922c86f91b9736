//! `hotline ticket attach|files|fetch`, both ways, and files over real links with a node killed on the way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::fs;

use harness::{Town, WAYS, both, failed, fails, hotline, json, says, text, until};

/// Bytes that do not repeat, and begin as a photograph does.
fn photograph(mib: usize) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe0".to_vec();
    let mut body = vec![0; mib << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut body);
    bytes.append(&mut body);
    bytes
}

#[test]
fn a_file_is_attached_listed_and_saved_both_ways() {
    let town = Town::new(&["370100"]);
    let dir = town.at("370100");
    let photo = town.path("现场.jpg");
    let bytes = photograph(2);
    fs::write(&photo, &bytes).unwrap();
    for way in WAYS {
        let _node = town.way(way, "370100");
        let made = json(&["ticket", "new", "--dir", &dir, "--text", "出租车拒载", "--phone", "13800000001"]);
        let id = made["id"].as_str().unwrap();
        let row = json(&["ticket", "attach", id, text(&photo), "--dir", &dir, "--user", "王芳"]);
        assert_eq!((&row["name"], &row["type"]), (&"现场.jpg".into(), &"image/jpeg".into()), "{way:?}");
        assert_eq!((&row["size"], &row["complete"]), (&bytes.len().into(), &true.into()));
        assert_eq!(json(&["ticket", "attach", id, text(&photo), "--dir", &dir, "--user", "王芳"]), row);
        json(&["ticket", "attach", id, text(&photo), "--name", "../../x", "--dir", &dir]);
        let said = says(&["ticket", "files", id, "--dir", &dir]);
        assert!(said.contains("现场.jpg") && said.contains("../../x") && said.contains("here"), "{said}");

        let out = town.path(&format!("out-{way:?}"));
        fs::create_dir(&out).unwrap();
        let fetch = |name: &str, to: &str| {
            vec!["ticket", "fetch", id, name, "--out", to, "--dir", &dir]
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        let run = |args: Vec<String>| hotline().args(&args).output().unwrap();
        let saved = run(fetch("现场.jpg", text(&out)));
        assert!(saved.status.success(), "{}", both(&saved));
        assert!(fs::read(out.join("现场.jpg")).unwrap() == bytes);
        let again = run(fetch("现场.jpg", text(&out)));
        failed(&again, &["fetch again"], 1, "choose another place");
        // A name is no path: it stays within the directory that was named.
        assert!(run(fetch("../../x", text(&out))).status.success());
        let names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        fails(&["ticket", "fetch", id, "y", "--out", text(&out), "--dir", &dir], 1, "has no file `y`");
        fails(&["ticket", "attach", id, "/nowhere", "--dir", &dir], 1, "cannot be read");
        fails(&["ticket", "attach", id, text(&out), "--dir", &dir], 2, "is not a file");
    }
}

#[test]
fn limits_of_the_configuration_hold_and_say_how_to_go_on() {
    let town = Town::new(&["370100"]);
    let dir = town.at("370100");
    let photo = town.path("p.jpg");
    fs::write(&photo, photograph(1)).unwrap();
    let id = json(&["ticket", "new", "--dir", &dir, "--text", "x"])["id"].as_str().unwrap().to_owned();
    let refused = |setting: &str, code, words: &str| {
        fs::write(town.path("370100/hotline.toml"), format!("[files]\n{setting}\n")).unwrap();
        fails(&["ticket", "attach", &id, text(&photo), "--dir", &dir], code, words);
    };
    refused("max_size = \"1M\"", 2, "takes at most 1.0 MiB");
    refused("per_ticket = 0", 1, "no more are attached");
    refused("reserve = \"99999999G\"", 75, "the reserve");
    refused("rate = \"fast\"", 4, "not a number of bytes");
    assert_eq!(json(&["ticket", "files", &id, "--dir", &dir]), serde_json::json!([]));
}

#[test]
fn a_file_goes_on_where_it_was_when_the_receiver_is_killed() {
    let town = Town::new(&["370000", "370100"]);
    let (city, province) = (town.at("370100"), town.at("370000"));
    let photo = town.path("录像.jpg");
    let bytes = photograph(6);
    fs::write(&photo, &bytes).unwrap();
    let (x, y) = (format!("127.0.0.1:{}", harness::port()), format!("127.0.0.1:{}", harness::port()));
    let slow = ["--listen", &x, "--peer", &format!("370000={y}"), "--files-rate", "1500K"];
    let sender = town.start("370100", &slow);
    let listen = ["--listen", &y, "--peer", &format!("370100={x}")];
    let first = town.start("370000", &listen);
    town.proved("370100");
    let id = json(&["ticket", "new", "--dir", &city, "--text", "出租车拒载", "--phone", "13800000001"]);
    let id = id["id"].as_str().unwrap();
    json(&["ticket", "attach", id, text(&photo), "--dir", &city]);
    let here = || {
        let rows = json(&["ticket", "files", id, "--dir", &province]);
        rows[0]["here"].as_u64().unwrap_or(0)
    };
    let known = || harness::run(&["ticket", "show", id, "--dir", &province]).status.success();
    until("some of it is here", || known() && here() > 1 << 20);
    let status = json(&["replica", "status", "--dir", &province]);
    assert_eq!(status["files_missing"], 1);
    let before = here();
    drop(first); // kill -9
    let after = here();
    assert!((before..bytes.len() as u64).contains(&after), "{before} {after}");
    fails(
        &["ticket", "fetch", id, "录像.jpg", "--out", &town.at("no"), "--dir", &province],
        75,
        "not here in full",
    );
    drop(sender); // it would notice the end of the old connection only after 45 s
    let _city = town.start("370100", &slow);
    let _second = town.start("370000", &listen);
    until("all of it is here", || here() == bytes.len() as u64);
    json(&["ticket", "fetch", id, "录像.jpg", "--out", &town.at("saved.jpg"), "--dir", &province]);
    assert!(fs::read(town.path("saved.jpg")).unwrap() == bytes);
    let report = json(&["replica", "verify", "--dir", &province]);
    assert_eq!(report["pieces"], 97);
}
