//! Files of tickets, between real nodes on real directories.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::Path;

use node::files::{FileLimits, FileRequest};
use node::request::{Act, Failure, FailureKind, Reply, Request};
use serde_json::{Value, json};
use world::town::Town;

const CANARY: &[u8] = b"CANARY-13912345678-";

/// Bytes of a photograph with something in it that must never stand anywhere in clear.
fn photograph(kib: usize) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xe0".to_vec();
    let mut block = 0u64;
    while bytes.len() < kib * 1024 {
        bytes.extend(blake3::hash(&block.to_be_bytes()).as_bytes());
        if block.is_multiple_of(100) {
            bytes.extend(CANARY);
        }
        block += 1;
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The requests that attach a file, once the upload's number is known.
fn parts(bytes: &[u8], upload: u64) -> Vec<FileRequest> {
    let mut at = 0;
    let mut all: Vec<FileRequest> = bytes
        .chunks(200_000)
        .map(|part| {
            let request = FileRequest::AttachPart { upload, at, hex: hex(part) };
            at += part.len() as u64;
            request
        })
        .collect();
    all.push(FileRequest::AttachEnd { upload });
    all
}

fn begin(id: &str, name: &str, bytes: &[u8]) -> FileRequest {
    FileRequest::Attach {
        id: id.to_owned(),
        name: name.to_owned(),
        size: bytes.len() as u64,
        digest: blake3::hash(bytes).to_string(),
        media: None,
        user: Some("王芳".to_owned()),
    }
}

fn ask(town: &mut Town, node: &str, request: FileRequest) -> Reply {
    town.ask(node, Request::File(request))
}

fn attach(town: &mut Town, node: &str, id: &str, name: &str, bytes: &[u8]) -> Reply {
    let begun = ask(town, node, begin(id, name, bytes))?;
    if begun["attached"].is_object() {
        return Ok(begun["attached"].clone());
    }
    let upload = begun["upload"].as_u64().unwrap();
    let mut last = Value::Null;
    for request in parts(bytes, upload) {
        last = ask(town, node, request)?;
    }
    Ok(last)
}

fn files(town: &mut Town, node: &str, id: &str) -> Vec<Value> {
    let request = FileRequest::List { id: id.to_owned(), reveal: None, user: None };
    ask(town, node, request).unwrap().as_array().unwrap().clone()
}

fn fetch(
    town: &mut Town,
    node: &str,
    id: &str,
    name: &str,
    reveal: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    let request = FileRequest::Fetch {
        id: id.to_owned(),
        name: name.to_owned(),
        reveal: reveal.map(str::to_owned),
        user: Some("李强".to_owned()),
    };
    let download = ask(town, node, request)?["download"].as_u64().unwrap();
    let mut bytes = Vec::new();
    loop {
        let part = ask(town, node, FileRequest::FetchPart { download, at: bytes.len() as u64 })?;
        bytes.extend(unhex(part["hex"].as_str().unwrap()));
        if part["end"] == true {
            return Ok(bytes);
        }
    }
}

/// Whether these bytes stand in any file below a directory.
fn stands_in_clear(dir: &Path, what: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => stands_in_clear(&path, what),
            false => fs::read(&path).unwrap().windows(what.len()).any(|w| w == what),
        }
    })
}

fn left_half_way(town: &Town, node: &str) -> usize {
    fs::read_dir(town.path(node.parse().unwrap()).join("files/new")).map_or(0, Iterator::count)
}

fn linked(nodes: &[&str]) -> Town {
    let mut town = Town::new(nodes);
    town.link_tree();
    town.settle();
    town
}

#[test]
fn a_photograph_reaches_the_audience_sealed_and_opens_where_the_key_is() {
    let nodes = ["000000", "370000", "370100", "370200"];
    let mut town = linked(&nodes);
    let id = town.call("370100", "出租车拒载");
    let bytes = photograph(700);
    let row = attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    assert_eq!((&row["type"], &row["size"]), (&json!("image/jpeg"), &json!(bytes.len())));
    town.settle();
    town.assert_converged();
    for node in ["370100", "370000", "000000"] {
        let rows = files(&mut town, node, &id);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["complete"], true, "{node}: {}", rows[0]["state"]);
        let status = town.ask(node, Request::Status).unwrap();
        assert_eq!((&status["files"], &status["files_missing"]), (&json!(1), &json!(0)), "{node}");
    }
    assert!(fetch(&mut town, "370100", &id, "现场.jpg", None).unwrap() == bytes);
    assert!(fetch(&mut town, "370000", &id, "现场.jpg", None).unwrap() == bytes);
    let closed = fetch(&mut town, "000000", &id, "现场.jpg", None).unwrap_err();
    assert!(closed.message.contains("no key"), "the ministry holds what it cannot open: {closed}");
    assert_eq!(town.ask("370200", Request::Status).unwrap()["files"], 0, "no other city receives it");
    for node in nodes {
        assert!(!stands_in_clear(&town.path(node.parse().unwrap()), CANARY), "{node}");
    }
}

#[test]
fn a_new_custodian_in_another_province_gets_content_and_key() {
    let mut town = linked(&["000000", "370000", "370100", "510000", "510100"]);
    let id = town.call("370100", "外省客车超员");
    let bytes = photograph(300);
    attach(&mut town, "370100", &id, "车牌.jpg", &bytes).unwrap();
    town.settle();
    town.act("370100", &id, Act::Offer { to: "510100".to_owned(), reason: "属地".to_owned() }).unwrap();
    town.settle();
    town.act("510100", &id, Act::Accept {}).unwrap();
    town.settle();
    town.assert_converged();
    assert!(fetch(&mut town, "510100", &id, "车牌.jpg", None).unwrap() == bytes);
    // It holds the ticket now, so it may attach as well; the site that took the call reads it.
    let answer = photograph(100);
    attach(&mut town, "510100", &id, "处理结果.jpg", &answer).unwrap();
    town.settle();
    assert!(fetch(&mut town, "370100", &id, "处理结果.jpg", None).unwrap() == answer);
}

#[test]
fn killed_at_every_step_of_attaching_leaves_all_or_nothing() {
    let bytes = photograph(900);
    let steps = 1 + parts(&bytes, 1).len();
    for killed_at in 0..steps {
        let mut town = Town::new(&["370100"]);
        let id = town.call("370100", "出租车拒载");
        let mut requests = vec![begin(&id, "现场.jpg", &bytes)];
        requests.extend(parts(&bytes, 1));
        for (step, request) in requests.into_iter().enumerate() {
            if step == killed_at {
                town.dies_after("370100", &Request::File(request));
                break;
            }
            ask(&mut town, "370100", request).unwrap();
        }
        assert_eq!(files(&mut town, "370100", &id), Vec::<Value>::new(), "step {killed_at}");
        assert_eq!(left_half_way(&town, "370100"), 0, "step {killed_at}: nothing is left on the disk");
        let part = FileRequest::AttachPart { upload: 1, at: 0, hex: String::new() };
        let gone = ask(&mut town, "370100", part).unwrap_err();
        assert_eq!(gone.kind, FailureKind::TryAgain);
        attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
        town.restart("370100");
        assert!(fetch(&mut town, "370100", &id, "现场.jpg", None).unwrap() == bytes, "step {killed_at}");
        town.ask("370100", Request::Verify).unwrap();
    }
}

#[test]
fn a_transfer_goes_on_where_it_was_after_a_power_cut() {
    let mut town = linked(&["370000", "370100"]);
    let id = town.call("370100", "出租车拒载");
    town.settle();
    let bytes = photograph(3 * 1024);
    attach(&mut town, "370100", &id, "录像.jpg", &bytes).unwrap();
    let mut seen = Vec::new();
    for _ in 0..200 {
        town.carry(9);
        let here = match files(&mut town, "370000", &id).first() {
            Some(row) => row["here"].as_u64().unwrap(),
            None => 0,
        };
        town.restart("370000");
        let after = match files(&mut town, "370000", &id).first() {
            Some(row) if row["complete"] == true => break,
            Some(row) => row["here"].as_u64().unwrap(),
            None => 0,
        };
        assert_eq!(here, after, "what was acknowledged is there");
        seen.push(after);
        town.link("370000", "370100");
    }
    assert!(seen.is_sorted() && seen.iter().any(|n| *n > 0 && *n < bytes.len() as u64), "{seen:?}");
    town.link("370000", "370100");
    town.settle();
    assert!(fetch(&mut town, "370000", &id, "录像.jpg", None).unwrap() == bytes);
}

#[test]
fn what_is_missing_is_said_and_comes_through_whoever_is_linked() {
    let mut town = linked(&["000000", "370000", "370100"]);
    let id = town.call("370100", "出租车拒载");
    town.settle();
    town.with("370100", |e| e.set_file_limits(FileLimits { rate: Some(1), ..FileLimits::default() }));
    let bytes = photograph(400);
    attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    town.settle();
    town.assert_converged();
    let rows = files(&mut town, "370000", &id);
    assert_eq!(rows[0]["complete"], false, "items are equal, and of contents it is said what is missing");
    assert!(rows[0]["state"].as_str().unwrap().ends_with("from 370100"), "{}", rows[0]["state"]);
    let status = town.ask("370000", Request::Status).unwrap();
    assert_eq!(status["files_missing"], 1);
    assert!(status["files_missing_bytes"].as_u64().unwrap() >= bytes.len() as u64 - 65_536);
    let refused = fetch(&mut town, "370000", &id, "现场.jpg", None).unwrap_err();
    assert_eq!(refused.kind, FailureKind::TryAgain);
    assert!(refused.causes[0].contains("370100"), "{refused:?}");
    town.with("370100", |e| e.set_file_limits(FileLimits::default()));
    town.settle();
    assert_eq!(files(&mut town, "000000", &id)[0]["complete"], true);
}

#[test]
fn a_confidential_reports_file_opens_at_a_desk_for_a_reason_and_hides_its_name() {
    let mut town = linked(&["370000", "370100"]);
    let ticket = json!({ "text": "举报站长收钱", "type": "投诉举报", "caller_phone": "13800000001", "confidential": true });
    let made = town.ask("370100", Request::New { tickets: vec![ticket], user: None }).unwrap();
    let id = made[0]["id"].as_str().unwrap().to_owned();
    let bytes = photograph(80);
    let name = "张三的身份证.jpg";
    let row = attach(&mut town, "370100", &id, name, &bytes).unwrap();
    let shown = row["name"].as_str().unwrap().to_owned();
    assert!(shown.starts_with("file-") && !shown.contains("张三"));
    town.settle();
    town.assert_converged();
    assert!(fetch(&mut town, "370100", &id, &shown, None).is_err(), "not without a reason");
    for node in ["370100", "370000"] {
        assert!(fetch(&mut town, node, &id, &shown, Some("核查")).unwrap() == bytes, "{node}");
        assert!(!stands_in_clear(&town.path(node.parse().unwrap()), "张三的身份证".as_bytes()), "{node}");
        let named = FileRequest::List {
            id: id.clone(),
            reveal: Some("核查".to_owned()),
            user: Some("李强".to_owned()),
        };
        assert_eq!(ask(&mut town, node, named).unwrap()[0]["name"], name);
    }
}

#[test]
fn one_name_given_twice_at_once_shows_both_and_asks_which() {
    let mut town = linked(&["370000", "370100", "370200"]);
    let id = town.call("370100", "跨市班车");
    town.act("370100", &id, Act::Offer { to: "370200".to_owned(), reason: "属地".to_owned() }).unwrap();
    town.settle();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.settle();
    town.cut_all();
    let (one, two) = (photograph(70), photograph(90));
    attach(&mut town, "370100", &id, "照片.jpg", &one).unwrap();
    attach(&mut town, "370200", &id, "照片.jpg", &two).unwrap();
    town.link_tree();
    town.settle();
    town.assert_converged();
    let rows = files(&mut town, "370000", &id);
    assert_eq!(rows.len(), 2);
    assert_eq!(fetch(&mut town, "370000", &id, "照片.jpg", None).unwrap_err().kind, FailureKind::NeedsPerson);
    for row in rows {
        let content = row["content"].as_str().unwrap();
        let got = fetch(&mut town, "370000", &id, content, None).unwrap();
        assert!(got == if row["size"] == one.len() { one.clone() } else { two.clone() });
    }
}

#[test]
fn attaching_again_changes_nothing_and_limits_are_said() {
    let mut town = linked(&["370000", "370100"]);
    let id = town.call("370100", "出租车拒载");
    let bytes = photograph(100);
    let first = attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    let items = town.ask("370100", Request::Status).unwrap()["items"].clone();
    assert_eq!(attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap(), first);
    assert_eq!(town.ask("370100", Request::Status).unwrap()["items"], items);

    let empty = attach(&mut town, "370100", &id, "空.txt", b"").unwrap();
    assert_eq!((&empty["size"], &empty["complete"]), (&json!(0), &json!(true)));
    assert!(fetch(&mut town, "370100", &id, "空.txt", None).unwrap().is_empty());

    town.settle();
    let limits = FileLimits { max_size: 50_000, per_ticket: 3, ..FileLimits::default() };
    town.with("370100", |e| e.set_file_limits(limits));
    let check = |town: &mut Town, node: &str, name: &str, bytes: &[u8], kind, words: &str| {
        let refused = attach(town, node, &id, name, bytes).unwrap_err();
        let said = format!("{} {:?} {:?}", refused.message, refused.causes, refused.hint);
        assert_eq!(refused.kind, kind, "{said}");
        assert!(said.contains(words), "{words}: {said}");
    };
    check(&mut town, "370100", "大.jpg", &bytes, FailureKind::Usage, "takes at most 48.8 KiB");
    check(&mut town, "370100", "a\nb", b"x", FailureKind::Usage, "not seen");
    check(&mut town, "370000", "省.txt", b"x", FailureKind::Failed, "this may: 370100");
    attach(&mut town, "370100", &id, "三.txt", b"3").unwrap();
    check(&mut town, "370100", "四.txt", b"4", FailureKind::Failed, "there are 3 files");
    let reserve = FileLimits { reserve: u64::MAX, ..FileLimits::default() };
    town.with("370100", |e| e.set_file_limits(reserve));
    check(&mut town, "370100", "四.txt", b"4", FailureKind::TryAgain, "reserve");
    town.with("370100", |e| e.set_file_limits(FileLimits::default()));

    // A file that changes while it is read is not attached.
    let begun = ask(&mut town, "370100", begin(&id, "五.txt", b"12345")).unwrap();
    let upload = begun["upload"].as_u64().unwrap();
    let part = FileRequest::AttachPart { upload, at: 0, hex: hex(b"12346") };
    ask(&mut town, "370100", part).unwrap();
    let refused = ask(&mut town, "370100", FileRequest::AttachEnd { upload }).unwrap_err();
    assert!(refused.message.contains("changed"), "{refused}");
    assert_eq!(left_half_way(&town, "370100"), 0);
}

#[test]
fn damage_on_the_disk_is_found_and_heals_from_a_peer() {
    let mut town = linked(&["370000", "370100"]);
    let id = town.call("370100", "出租车拒载");
    let bytes = photograph(300);
    let row = attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    town.settle();
    let report = town.ask("370000", Request::Verify).unwrap();
    assert_eq!(report["pieces"], 5);
    let content = row["content"].as_str().unwrap();
    let path = town.path("370000".parse().unwrap()).join("files").join(&content[..2]).join(&content[2..]);
    let mut sealed = fs::read(&path).unwrap();
    sealed[70_000] ^= 1;
    fs::write(&path, sealed).unwrap();
    let damaged = town.ask("370000", Request::Verify).unwrap_err();
    assert_eq!(damaged.kind, FailureKind::Integrity);
    assert!(damaged.causes[0].contains("\"piece\":1"), "{damaged:?}");
    town.settle();
    town.ask("370000", Request::Verify).unwrap();
    assert!(fetch(&mut town, "370000", &id, "现场.jpg", None).unwrap() == bytes);
    // A file that is gone altogether comes back too.
    fs::remove_file(&path).unwrap();
    assert!(town.ask("370000", Request::Verify).is_err());
    town.settle();
    assert!(fetch(&mut town, "370000", &id, "现场.jpg", None).unwrap() == bytes);
}

#[test]
fn a_backup_of_the_database_takes_back_the_contents_that_still_lie_there() {
    let mut town = linked(&["370000", "370100"]);
    let id = town.call("370100", "出租车拒载");
    town.settle();
    let backup = town.backup("370000");
    let bytes = photograph(500);
    attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    town.settle();
    town.restore("370000", &backup);
    // The city gives manifests and no contents: what is whole afterwards was here.
    town.with("370100", |e| e.set_file_limits(FileLimits { rate: Some(1), ..FileLimits::default() }));
    town.link_tree();
    town.settle();
    town.assert_converged();
    assert_eq!(files(&mut town, "370000", &id)[0]["complete"], true);
    assert!(fetch(&mut town, "370000", &id, "现场.jpg", None).unwrap() == bytes);
}

/// How many contents lie in a node's folder.
fn contents(dir: &Path) -> usize {
    let below = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => contents(&entry.path()),
        false => 1,
    };
    fs::read_dir(dir).map_or(0, |entries| entries.map(|e| below(e.unwrap())).sum())
}

#[test]
fn when_a_ticket_is_erased_the_contents_of_its_files_go_from_every_disk() {
    let nodes = ["000000", "370000", "370100"];
    let mut town = linked(&nodes);
    let (id, other) = (town.call("370100", "出租车拒载"), town.call("370100", "公交晚点"));
    let bytes = photograph(1_500);
    attach(&mut town, "370100", &id, "现场.jpg", &bytes).unwrap();
    attach(&mut town, "370100", &other, "票根.jpg", &photograph(90)).unwrap();
    town.settle();
    town.cut("370000", "000000");
    // While the province reads the file and the city attaches another.
    let fetched =
        FileRequest::Fetch { id: id.clone(), name: "现场.jpg".to_owned(), reveal: None, user: None };
    let download = ask(&mut town, "370000", fetched).unwrap()["download"].as_u64().unwrap();
    let part = ask(&mut town, "370000", FileRequest::FetchPart { download, at: 0 }).unwrap();
    let late = photograph(80);
    let upload = ask(&mut town, "370100", begin(&id, "补充.jpg", &late)).unwrap()["upload"].as_u64().unwrap();
    let erase =
        Request::Erase { id: id.clone(), reason: "保存期满".to_owned(), user: Some("李雷".to_owned()) };
    town.ask("370100", erase).unwrap();
    town.settle();
    let ended =
        ask(&mut town, "370000", FileRequest::FetchPart { download, at: part["at"].as_u64().unwrap() });
    assert!(ended.unwrap_err().message.contains("was erased"));
    let ended = parts(&late, upload).into_iter().map(|p| ask(&mut town, "370100", p)).last().unwrap();
    assert!(ended.unwrap_err().message.contains("was erased"));
    let on_disk = |town: &Town, node: &str| contents(&town.path(node.parse().unwrap()).join("files"));
    for (node, left) in [("370100", 1), ("370000", 1), ("000000", 2)] {
        assert_eq!(on_disk(&town, node), left, "{node}: what the other ticket has stays");
    }
    town.link("370000", "000000");
    town.settle();
    town.assert_converged();
    for node in nodes {
        assert_eq!(on_disk(&town, node), 1, "{node}");
        let row = &files(&mut town, node, &id)[0];
        assert_eq!(row["state"], "removed: the ticket's personal data was erased", "{node}");
        let refused = fetch(&mut town, node, &id, "现场.jpg", None).unwrap_err();
        assert!(refused.message.contains("was erased"), "{node}: {refused}");
        assert_eq!(town.ask(node, Request::Status).unwrap()["files_missing"], 0, "{node}");
        town.ask(node, Request::Verify).unwrap();
    }
}

#[test]
fn where_the_vault_is_gone_no_second_key_is_drawn() {
    let mut town = linked(&["370000", "370100"]);
    let ticket = json!({ "text": "出租车拒载", "caller_name": "欧阳慕白", "caller_phone": "13912345678" });
    let made = town.ask("370100", Request::New { tickets: vec![ticket], user: None }).unwrap();
    let with_caller = made[0]["id"].as_str().unwrap().to_owned();
    let with_file = town.call("370100", "站台积水");
    attach(&mut town, "370100", &with_file, "一.jpg", &photograph(30)).unwrap();
    town.settle();
    town.with_disk("370100", |dir| {
        fs::remove_file(dir.join("vault.db")).unwrap();
        let _ = fs::remove_file(dir.join("vault.db-wal")); // it may not be there
    });
    for id in [&with_caller, &with_file] {
        let refused = attach(&mut town, "370100", id, "二.jpg", &photograph(40)).unwrap_err();
        assert!(refused.message.contains("no key"), "{refused:?}");
    }
    town.link_tree();
    town.settle();
    for id in [&with_caller, &with_file] {
        attach(&mut town, "370100", id, "二.jpg", &photograph(40)).unwrap();
        town.settle();
        for node in ["370000", "370100"] {
            assert_eq!(fetch(&mut town, node, id, "二.jpg", None).unwrap(), photograph(40), "{node}");
        }
    }
    town.assert_converged();
}

#[test]
fn whoever_is_entitled_gets_both_keys_where_two_sites_drew_one() {
    let nodes = ["370000", "370100", "370200", "370300"];
    let mut town = linked(&nodes);
    let id = town.call("370100", "站台积水");
    let offer = |to: &str| Act::Offer { to: to.to_owned(), reason: "属地不符".to_owned() };
    town.act("370100", &id, offer("370200")).unwrap();
    town.settle();
    town.act("370200", &id, Act::Accept {}).unwrap();
    town.settle();
    town.cut("370100", "370000");
    attach(&mut town, "370100", &id, "一.jpg", &photograph(30)).unwrap();
    attach(&mut town, "370200", &id, "二.jpg", &photograph(40)).unwrap();
    // Whoever passes the ticket on knows one of the keys.
    town.act("370200", &id, offer("370300")).unwrap();
    town.settle();
    town.link_tree();
    town.settle();
    for node in nodes {
        assert_eq!(fetch(&mut town, node, &id, "一.jpg", None).unwrap(), photograph(30), "{node}");
        assert_eq!(fetch(&mut town, node, &id, "二.jpg", None).unwrap(), photograph(40), "{node}");
    }
    town.assert_converged();
}
