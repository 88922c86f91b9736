//! `hotline replica`, and every exit code of the contract.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::{Running, Town, WAYS, both, fails, hotline, json, run, samples, says, text, until};

#[test]
fn an_operator_looks_into_a_replica_both_ways() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        std::fs::write(town.path("370100").join("hotline.toml"), "[peers]\n370000 = \"127.0.0.1:9\"\n")
            .unwrap();
        // A node keeps a pair with every peer that it was ever told of.
        drop(town.start("370100", &[]));
        let _node = town.way(way, "370100");
        let city = town.at("370100");
        let at = |args: &[&str]| json(&[&["replica"], args, &["--dir", &city]].concat());
        json(&["ticket", "new", "--dir", &city, "--text", "公交晚点", "--phone", "13800000001"]);

        let status = at(&["status"]);
        for field in [
            "node",
            "site",
            "incarnation",
            "documents",
            "items",
            "refused",
            "waiting",
            "not_counted",
            "clock_doubt",
            "peers",
        ] {
            assert!(!status[field].is_null(), "{field}");
        }
        let peer = &status["peers"][0];
        for field in [
            "node",
            "connected",
            "outbox",
            "digest_equal",
            "proved_at",
            "last_seen",
            "rtt_ms",
            "bytes_sent",
            "bytes_received",
        ] {
            assert!(peer.get(field).is_some(), "{field}");
        }
        assert_eq!((status["documents"].as_u64(), peer["connected"].as_bool()), (Some(1), Some(false)));
        assert_eq!(at(&["peers"])[0]["node"], "370000");
        let digest = at(&["digest", "--peer", "370000"]);
        assert_eq!(
            (digest["peer"].as_str(), digest["digest"].as_str().map(str::len)),
            (Some("370000"), Some(64))
        );
        fails(&["replica", "digest", "--peer", "510000", "--dir", &city], 1, "keeps no pair with 510000");

        let diff = at(&["diff", "370000"]);
        assert!(diff["rows"].as_array().unwrap().len() as u64 + diff["more"].as_u64().unwrap() > 0, "{diff}");
        let said = both(&run(&["replica", "diff", "370000", "--dir", &city]));
        assert!(said.contains("in the outbox: no link is up") && said.contains("370000: "), "{said}");
        assert!(
            both(&run(&["replica", "conflicts", "--dir", &city]))
                .contains("nothing that a person has to look at")
        );
        assert_eq!(at(&["conflicts"]).as_array().unwrap().len(), 0);
        let verified = at(&["verify"]);
        assert!(
            verified["items"].as_u64().unwrap() > 0 && verified["damaged"].as_array().unwrap().is_empty()
        );
        assert_eq!(at(&["rebuild"])["changed"], false);
        assert!(at(&["events"]).is_array());
        assert_eq!(at(&["confirm-clock"])["clock_doubt"], false);
        let table = says(&["replica", "peers", "--dir", &city]);
        assert!(table.starts_with("node\tconnected\tdigest_equal\toutbox\titems\t"), "{table}");
    }
}

#[test]
fn a_superseded_word_and_a_close_proposal_are_listed_with_their_reasons() {
    let town = Town::new(&["370000", "370100"]);
    let (city, province) = (town.at("370100"), town.at("370000"));
    let both_run = town.pair("370000", "370100");
    town.proved("370000");
    let made = json(&["ticket", "new", "--dir", &city, "--text", "跨区域客车超载"]);
    let id = made["id"].as_str().unwrap().to_owned();
    json(&["ticket", "offer", &id, "--to", "370000", "--reason", "请省厅办理", "--dir", &city]);
    town.proved("370000");
    town.proved("370100");
    drop(both_run);
    // Apart: the city takes its offer back and closes; the province, which cannot know it, takes the ticket over.
    json(&["ticket", "withdraw", &id, "--dir", &city]);
    json(&["ticket", "close", &id, "--result", "已处理", "--dir", &city]);
    json(&["ticket", "accept", &id, "--dir", &province]);
    let _both = town.pair("370000", "370100");
    town.proved("370000");
    town.proved("370100");
    for dir in [&city, &province] {
        let found = json(&["replica", "conflicts", "--dir", dir]);
        let row = found.as_array().unwrap().iter().find(|r| r["id"] == id.as_str()).expect("it is listed");
        assert!(["superseded", "close proposal"].contains(&row["what"].as_str().unwrap()), "{row}");
        let said = says(&["replica", "conflicts", "--dir", dir]);
        assert!(said.contains("370000, a superior, decided otherwise"), "{said}");
        let story = says(&["ticket", "history", &id, "--dir", dir]);
        assert!(story.contains("【未生效：上级 370000") && story.contains("现由 370000"), "{story}");
    }
}

#[test]
fn what_a_revoked_city_wrote_too_late_is_taken_in_by_its_superior_and_by_nobody_else() {
    let town = Town::new(&["370000", "370100", "370100-b"]);
    let (city, province, ca, list) =
        (town.at("370100"), town.at("370000"), town.at("ca"), town.at("list.crl"));
    let linked = town.pair("370000", "370100");
    let early = json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]);
    town.proved("370000");
    town.proved("370100");
    let seal = json(&["replica", "status", "--dir", &city])["last_seal"]["hash"].as_str().unwrap().to_owned();
    let late = json(&["ticket", "new", "--dir", &city, "--text", "出租车拒载"]);
    let note = ["ticket", "note", early["id"].as_str().unwrap(), "司机已认错", "--dir", &city];
    json(&note);
    town.proved("370000");
    town.proved("370100");
    drop(linked);
    json(&["cert", "revoke", "370100", "--ca", &ca, "--out", &list, "--counts", &seal]);
    json(&["cert", "admit", &list, "--dir", &province]);
    let not_counted = || json(&["replica", "status", "--dir", &province])["not_counted"].as_u64().unwrap();
    let before = not_counted();
    assert!(before >= 2, "the ticket and the note: {before}");
    let id = late["id"].as_str().unwrap();
    fails(&["ticket", "urge", id, "催办", "--dir", &province], 6, "its author was revoked");
    // The revoked city itself has no say, and where there is nothing to take in that is said.
    fails(&["replica", "take-in", id, "--dir", &city], 1, "only a superior of a revoked author may");
    let taken = json(&["replica", "take-in", id, "--dir", &province]);
    assert!(taken["taken_in"].as_u64().unwrap() > 0 && taken["id"] == id, "{taken}");
    assert_eq!(json(&["ticket", "show", id, "--dir", &province])["stage"], "in_hand");
    assert!(not_counted() < before);
    let said = says(&["replica", "take-in", early["number"].as_str().unwrap(), "--dir", &province]);
    assert!(said.contains("taken_in"), "{said}");
    assert_eq!(not_counted(), 0);
    fails(&["replica", "take-in", id, "--dir", &province], 1, "nothing in ticket");
}

#[test]
fn a_watched_node_is_told_of_in_lines_where_there_is_no_terminal() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    fails(&["replica", "watch", "--dir", &city], 3, "no node runs on");
    let node = town.start("370100", &[]);
    let child = hotline()
        .args(["replica", "watch", "--dir", &city])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut watch = Running(child);
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    assert_eq!(lines.next().unwrap()["documents"], 0);
    json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]);
    assert_eq!(lines.find(|status| status["documents"] == 1).unwrap()["node"], "370100");
    watch.signal("INT");
    assert!(watch.0.wait().unwrap().success(), "Ctrl-C is how watching ends");
    assert!(lines.next().is_none(), "nothing changed after that");
    drop(node);
}

#[test]
fn watching_on_a_terminal_ends_with_q_and_gives_the_terminal_back() {
    let town = Town::new(&["370100"]);
    let _node = town.start("370100", &[]);
    // `script` is the terminal: what is typed is what it reads, what is drawn is what it writes.
    let watch = format!("{} replica watch --dir {}", env!("CARGO_BIN_EXE_hotline"), town.at("370100"));
    let drawn = town.path("drawn");
    let mut child = std::process::Command::new("script")
        .args(["-qefc", &watch, drawn.to_str().unwrap()])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("util-linux is there");
    let mut keyboard = child.stdin.take().unwrap();
    let seen = || String::from_utf8_lossy(&std::fs::read(&drawn).unwrap_or_default()).into_owned();
    until("a picture is drawn", || seen().contains("q ends"));
    std::io::Write::write_all(&mut keyboard, b"q").unwrap();
    until("q ends it", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    let seen = seen();
    assert!(seen.contains("\x1b[?1049h") && seen.contains("370100   0 documents"), "{seen}");
    assert!(seen.trim_end().contains("\x1b[?1049l"), "the first screen comes back: {seen}");
    assert!(!seen.contains("\x1b[2J"), "nothing is cleared first");
}

#[test]
fn every_exit_code_of_the_contract() {
    let town = Town::new(&["370000", "370100"]);
    let city = town.at("370100");
    let first = json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]); // 0
    fails(&["ticket", "accept", first["number"].as_str().unwrap(), "--dir", &city], 1, "next: ");
    fails(&["ticket", "frobnicate"], 2, "unrecognized subcommand");
    fails(&["ticket", "show", "x"], 2, "which node?");
    fails(&["ticket", "list", "--dir", "/nowhere"], 4, "hotline init");
    fails(&["demo", "status", "--dir", &town.at("no-demo")], 3, "no demo runs on");

    // 75: another process works on the directory, and its socket is not there to be asked.
    let node = town.start("370100", &[]);
    std::fs::remove_file(town.path("370100").join("hotline.sock")).unwrap();
    fails(&["ticket", "list", "--dir", &city], 75, "another process works on");
    drop(node);
    // 3: somebody took the question and went away.
    let socket = town.path("370100").join("hotline.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let deaf = std::thread::spawn(move || (0..2).for_each(|_| drop(listener.accept().unwrap())));
    fails(&["ticket", "list", "--dir", &city], 3, "the running node did not answer");
    deaf.join().unwrap();
    std::fs::remove_file(&socket).unwrap();

    // 6: a copy of the city's disk gave a number again, and the province has met both.
    let clone = town.path("clone");
    std::fs::create_dir(&clone).unwrap();
    let copied =
        std::process::Command::new("cp").args(["-r", &format!("{city}/."), clone.to_str().unwrap()]).status();
    assert!(copied.unwrap().success());
    let one = json(&["ticket", "new", "--dir", &city, "--text", "一"]);
    let two = json(&["ticket", "new", "--dir", clone.to_str().unwrap(), "--text", "二"]);
    assert_eq!(one["number"], two["number"], "a clone gives the same number");
    for dir in ["370100", "clone"] {
        let (a, b) = (format!("127.0.0.1:{}", harness::port()), format!("127.0.0.1:{}", harness::port()));
        let _province = town.start("370000", &["--listen", &a, "--peer", &format!("370100={b}")]);
        let _city = town.start(dir, &["--listen", &b, "--peer", &format!("370000={a}")]);
        let id = if dir == "clone" { &two["id"] } else { &one["id"] };
        until("the province has it", || {
            run(&["ticket", "show", id.as_str().unwrap(), "--dir", &town.at("370000")]).status.success()
        });
    }
    let number = one["number"].as_str().unwrap();
    fails(&["ticket", "show", number, "--dir", &town.at("370000")], 6, "2 tickets bear the number");
    let forks = json(&["replica", "conflicts", "--dir", &town.at("370000")]);
    assert!(
        forks.as_array().unwrap().iter().any(|r| r["what"] == "fork" && r["node"] == "370100"),
        "{forks}"
    );
    assert!(says(&["replica", "conflicts", "--dir", &town.at("370000")]).contains("fork\t370100\t"));

    // 5: what is stored is not what was written: a value of another type, then other bytes.
    let db = rusqlite::Connection::open(town.path("370100").join("node.db")).unwrap();
    let change = "(SELECT max(id) FROM item WHERE kind = 1)";
    let spoil = format!("UPDATE item SET state = 'x' WHERE id = {change}");
    let was = format!("SELECT state FROM item WHERE id = {change}");
    let was: i64 = db.query_row(&was, [], |r| r.get(0)).unwrap();
    assert_eq!(db.execute(&spoil, []).unwrap(), 1);
    drop(db);
    fails(&["replica", "verify", "--dir", &city], 5, "are not what was stored");
    let db = rusqlite::Connection::open(town.path("370100").join("node.db")).unwrap();
    db.execute(&format!("UPDATE item SET state = ?1 WHERE id = {change}"), [was]).unwrap();
    drop(db);
    let db = rusqlite::Connection::open(town.path("370100").join("node.db")).unwrap();
    let changed = db
        .execute("UPDATE item SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT max(id) FROM item)", [])
        .unwrap();
    assert_eq!(changed, 1);
    drop(db);
    fails(&["replica", "verify", "--dir", &city], 5, "are not what was stored");
    let said = run(&["replica", "verify", "--dir", &city, "--json"]);
    let said: serde_json::Value =
        serde_json::from_slice(&said.stdout).expect("a failure is one document, too");
    assert_eq!(said["error"]["kind"], "integrity");
}

/// The leaves below a page of a table: SQLite numbers pages from 1, and the first begins with the file's own head.
fn leaves(file: &[u8], size: usize, page: usize, found: &mut Vec<usize>) {
    let bytes = &file[(page - 1) * size..page * size];
    if bytes[0] == 13 {
        return found.push(page);
    }
    let child = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let cells = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    for cell in 0..cells {
        let at = 12 + 2 * cell;
        let at = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        leaves(file, size, child(at), found);
    }
    leaves(file, size, child(8), found);
}

/// Overwrites the page of the database that holds the row of an item.
fn spoil_page_of(database: &std::path::Path, root: usize, hash: &[u8]) {
    let mut bytes = std::fs::read(database).unwrap();
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let mut pages = Vec::new();
    leaves(&bytes, size, root, &mut pages);
    let mut pages = pages.into_iter().map(|page| (page - 1) * size..page * size);
    let page = pages.find(|page| bytes[page.clone()].windows(hash.len()).any(|w| w == hash)).unwrap();
    bytes[page].fill(0xa5);
    std::fs::write(database, bytes).unwrap();
}

/// Where not even the way round damage can be entered, the next step is not the command that has just failed.
#[test]
fn a_database_without_its_roots_is_said_to_be_past_verifying() {
    let town = Town::new(&["370100"]);
    let city = town.at("370100");
    json(&["ticket", "import", text(&samples()), "--dir", &city]);
    let database = town.path("370100").join("node.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    let root = "SELECT rootpage FROM sqlite_master WHERE name = 'meta'";
    let root: i64 = db.query_row(root, [], |r| r.get(0)).unwrap();
    let size: i64 = db.pragma_query_value(None, "page_size", |r| r.get(0)).unwrap();
    drop(db);
    let mut bytes = std::fs::read(&database).unwrap();
    let at = usize::try_from((root - 1) * size).unwrap();
    bytes[at..at + usize::try_from(size).unwrap()].fill(0xff);
    std::fs::write(&database, bytes).unwrap();
    let output = run(&["replica", "verify", "--dir", &city, "--json"]);
    assert_eq!(output.status.code(), Some(5), "{}", both(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let hint = said["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("hotline restore") && !hint.contains("replica verify"), "{hint}");
}

#[test]
fn a_page_that_cannot_be_read_hides_nothing_else() {
    // On a directory that a node still starts on, and on one where already the seal of the import fails.
    for starts in [true, false] {
        let town = Town::new(&["370100"]);
        let city = town.at("370100");
        json(&["ticket", "import", text(&samples()), "--dir", &city]);
        if starts {
            json(&["replica", "verify", "--dir", &city]);
        }
        // An item in the middle, beside whatever else its page holds; and one far away that is altered, too.
        let database = town.path("370100").join("node.db");
        let db = rusqlite::Connection::open(&database).unwrap();
        let items = db.query_row("SELECT count(*) FROM item", [], |r| r.get::<_, i64>(0)).unwrap() as u64;
        let row = |at: u64| -> (i64, Vec<u8>) {
            let sql = format!("SELECT id, hash FROM item WHERE id >= {at} AND kind = 1 ORDER BY id LIMIT 1");
            db.query_row(&sql, [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
        };
        let ((_, lost), (altered, altered_hash)) = (row(items / 2), row(items - 9));
        db.execute("UPDATE item SET bytes = zeroblob(length(bytes)) WHERE id = ?1", [altered]).unwrap();
        let root = db
            .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'item'", [], |r| r.get::<_, i64>(0))
            .unwrap();
        drop(db);
        spoil_page_of(&database, usize::try_from(root).unwrap(), &lost);

        let args = ["replica", "verify", "--dir", &city, "--json"];
        let output = run(&args);
        assert_eq!(output.status.code(), Some(5), "{}", both(&output));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let hint = said["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("hotline restore") && hint.contains("Everything that is not named"), "{hint}");
        let report: serde_json::Value =
            serde_json::from_str(said["error"]["causes"][0].as_str().unwrap()).unwrap();
        let hex = |hash: &[u8]| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let damaged = report["damaged"].as_array().unwrap();
        let gap = damaged.iter().find(|d| d["rows"].is_string()).unwrap();
        let names: Vec<&str> = gap["items"].as_array().unwrap().iter().filter_map(|i| i.as_str()).collect();
        assert!(names.contains(&hex(&lost).as_str()), "{gap}");
        assert!(!gap["documents"].as_array().unwrap().is_empty(), "{gap}");
        // Nothing but the page is missing: what can be read and what is named are all there was.
        assert_eq!(report["items"].as_u64().unwrap() + names.len() as u64, items, "{report}");
        assert!(
            damaged.iter().any(|d| d["item"] == hex(&altered_hash)),
            "the far one is found as well: {report}"
        );
        let seals = damaged.iter().filter(|d| d["seal"].is_string()).count();
        assert!(damaged.len() <= 4 + seals, "{report}");
    }
}

#[test]
fn everything_is_exported_in_open_formats_with_checksums_and_callers_only_for_a_reason() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let city = town.at("370100");
        let _node = town.way(way, "370100");
        let at = |args: &[&str]| json(&[args, &["--dir", &city]].concat());
        let plain = at(&["ticket", "new", "--text", "公交晚点", "--phone", "13800000001"]);
        let sealed = ["--text", "司机酒驾", "--phone", "13900000002", "--confidential"];
        let sealed = at(&[&["ticket", "new"][..], &sealed].concat());
        let photo: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(town.path("photo.bin"), &photo).unwrap();
        for ticket in [&plain, &sealed] {
            at(&["ticket", "attach", ticket["id"].as_str().unwrap(), &town.at("photo.bin")]);
        }
        at(&["kb", "new", "--title", "免费通行", "--body", "七座以下", "--user", "li"]);
        at(&[
            "kb",
            "revise",
            &at(&["kb", "list", "--queue", "all"])[0]["id"].to_string().replace('"', ""),
            "--body",
            "九座",
        ]);
        at(&["user", "add", "li", "--role", "agent"]);

        let out = town.at("out");
        let told = at(&["replica", "export", "--out", &out]);
        let counts = |told: &serde_json::Value| {
            ["tickets", "callers", "files", "files_saved", "articles"].map(|key| told[key].as_u64().unwrap())
        };
        assert_eq!(counts(&told), [2, 0, 2, 1, 1], "{told}");
        assert!(told["audit_lines"].as_u64().unwrap() > 0, "{told}");
        let read = |out: &str, name: &str| std::fs::read_to_string(format!("{out}/{name}")).unwrap();
        let lines = |out: &str, name: &str| -> Vec<serde_json::Value> {
            read(out, name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let names =
            ["README.txt", "tickets.jsonl", "files.jsonl", "articles.jsonl", "audit.jsonl", "reveals.jsonl"];
        for name in names {
            let text = read(&out, name);
            assert!(!["13800000001", "13900000002", "酒驾"].iter().any(|word| text.contains(word)), "{name}");
        }
        let sums = |out: &str| {
            let check = std::process::Command::new("sha256sum")
                .args(["--check", "--strict", "SHA256SUMS"])
                .current_dir(out)
                .output()
                .unwrap();
            assert!(check.status.success(), "{}", both(&check));
            String::from_utf8_lossy(&check.stdout).lines().count()
        };
        assert_eq!(sums(&out), names.len() + 1);
        let saved = lines(&out, "files.jsonl");
        let saved = saved.iter().find_map(|row| row["saved"].as_str()).unwrap();
        assert_eq!(std::fs::read(format!("{out}/{saved}")).unwrap(), photo);
        let article = &lines(&out, "articles.jsonl")[0];
        assert_eq!(
            (&article["texts"][0]["text"]["body"], &article["texts"][1]["text"]["body"]),
            (&"七座以下".into(), &"九座".into())
        );

        // A place that is taken stays as it is, and nothing half made is left beside it.
        fails(&["replica", "export", "--out", &out, "--dir", &city], 2, "is there already");
        let open = town.at("open");
        let reveal = ["replica", "export", "--out", &open, "--reveal", "迁移", "--dir", &city];
        fails(&reveal, 2, "--user NAME");
        let told = json(&[&reveal[..], &["--user", "王芳"]].concat());
        assert_eq!(counts(&told), [2, 2, 2, 2, 1], "{told}");
        assert_eq!(sums(&open), names.len() + 2);
        let text = read(&open, "tickets.jsonl");
        assert!(["13800000001", "13900000002", "酒驾"].iter().all(|word| text.contains(word)), "{text}");
        assert!(lines(&open, "reveals.jsonl").len() >= 2);
        let left =
            std::fs::read_dir(town.path("")).unwrap().filter_map(|e| e.ok()?.file_name().into_string().ok());
        let left: Vec<String> = left.filter(|name| name.ends_with(".part")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
