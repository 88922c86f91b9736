//! `hotline backup` and `hotline restore`, both ways.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use harness::{Town, WAYS, Way, fails, json, run, samples, text};
use serde_json::Value;

fn new_ticket(dir: &str, words: &str) -> Value {
    let args = ["ticket", "new", "--dir", dir, "--text", words, "--phone", "13800000001", "--name", "王芳"];
    json(&args)
}

fn listed(dir: &str) -> Vec<String> {
    let all = json(&["ticket", "list", "--queue", "all", "--limit", "1000", "--dir", dir]);
    all.as_array().unwrap().iter().map(|row| row["number"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_node_comes_back_from_a_backup_both_ways() {
    for way in WAYS {
        let town = Town::new(&["370100"]);
        let node = town.way(way, "370100");
        let (city, dest, again) = (town.at("370100"), town.at("backups"), town.at("again"));
        let ticket = new_ticket(&city, "公交晚点");
        let id = ticket["id"].as_str().unwrap();
        let photo = town.at("photo.txt");
        std::fs::write(&photo, "一张照片").unwrap();
        json(&["ticket", "attach", id, &photo, "--dir", &city]);
        let table = "version,business,domain,topic,urgency,amount,unit,basis\nbuilt-in 1,,,,,9,calendar days,a test\n";
        std::fs::create_dir(format!("{city}/reference")).unwrap();
        std::fs::write(format!("{city}/reference/time_limits.csv"), table).unwrap();
        json(&["user", "add", "li", "--role", "auditor", "--dir", &city]);
        let code = json(&["ticket", "code", id, "--dir", &city]);
        let said = json(&["backup", &dest, "--dir", &city]);
        assert_eq!((said["verified"].as_bool(), said["sealed"].as_bool()), (Some(true), Some(false)));
        // What came later is not in it.
        new_ticket(&city, "出租车绕路");
        // Even the directory itself still works, and its lock still holds.
        if way == Way::Socket {
            fails(&["restore", &dest, "--dir", &city], 1, "is not empty");
        }
        drop(node);
        let back = json(&["restore", &dest, "--dir", &again]);
        assert_eq!((back["node"].as_str(), back["vault"].as_bool()), (Some("370100"), Some(true)));
        assert_eq!(listed(&again), [ticket["number"].as_str().unwrap()]);
        assert_eq!(code["code"].as_str().unwrap().len(), 9, "{code}");
        assert_eq!(
            json(&["ticket", "code", id, "--dir", &again]),
            code,
            "a code that somebody wrote down holds"
        );
        let shown = json(&["ticket", "show", id, "--reveal", "回访", "--user", "li", "--dir", &again]);
        assert_eq!(shown["person"]["phone"], "13800000001");
        let before = json(&["ticket", "show", id, "--dir", &city]);
        assert_eq!(shown["state_hash"], before["state_hash"]);
        let out = town.at("out.txt");
        json(&["ticket", "fetch", id, "photo.txt", "--out", &out, "--dir", &again]);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "一张照片");
        let deadline = shown["deadline"]["text"]["en"].as_str().unwrap();
        assert!(deadline.starts_with("9 calendar days"), "the node's own tables come along: {deadline}");
        assert_eq!(json(&["user", "list", "--dir", &again])[0]["role"], "auditor");
        assert_eq!(json(&["audit", "--verify", "--dir", &again])["lines"], 1);
        assert!(json(&["replica", "verify", "--dir", &again])["damaged"].as_array().unwrap().is_empty());
        assert_eq!(json(&["replica", "status", "--dir", &again])["restored"]["of"], said["taken"]);
        // Numbers given after the backup are known elsewhere: another block gives the next.
        let block = |number: &Value| number.as_str().unwrap()[16..18].to_owned();
        let next = new_ticket(&again, "地铁");
        assert_ne!(block(&next["number"]), block(&ticket["number"]));
    }
}

#[test]
fn a_backup_of_a_working_node_is_of_one_moment() {
    let town = Town::new(&["370100"]);
    let _node = town.start("370100", &[]);
    let (city, dest) = (town.at("370100"), town.at("backups"));
    let file = samples();
    let before = listed(&city).len();
    let import = std::thread::spawn({
        let city = city.clone();
        move || {
            for _ in 0..4 {
                json(&["ticket", "import", text(&file), "--dir", &city]);
            }
        }
    });
    for n in 0.. {
        let ended = import.is_finished();
        let dest = format!("{dest}/{n}");
        json(&["backup", &dest, "--dir", &city]);
        json(&["restore", &dest, "--check", "--dir", &format!("{}-{n}", town.at("check"))]);
        assert!(!town.path(&format!("check-{n}")).exists());
        if ended {
            let again = town.at("again");
            json(&["restore", &dest, "--dir", &again]);
            assert_eq!(listed(&again), listed(&city));
            assert!(listed(&again).len() > before);
            break;
        }
    }
    import.join().unwrap();
}

#[test]
fn what_a_lost_node_wrote_after_its_backup_comes_back_from_its_peers() {
    let town = Town::new(&["370100", "370000"]);
    let (city, dest) = (town.at("370100"), town.at("backups"));
    let first = {
        let (_a, _b) = town.pair("370100", "370000");
        let first = new_ticket(&city, "公交晚点");
        town.proved("370100");
        json(&["backup", &dest, "--dir", &city]);
        new_ticket(&city, "出租车绕路");
        town.proved("370100");
        first
    };
    std::fs::rename(town.path("370100"), town.path("lost")).unwrap();
    json(&["restore", &dest, "--dir", &city]);
    assert_eq!(listed(&city), [first["number"].as_str().unwrap()]);
    let (_a, _b) = town.pair("370100", "370000");
    town.proved("370100");
    assert_eq!(listed(&city), listed(&town.at("lost")));
    let new = new_ticket(&city, "地铁");
    town.proved("370100");
    assert!(listed(&town.at("370000")).contains(&new["number"].as_str().unwrap().to_owned()));
}

#[test]
fn a_sealed_backup_opens_with_its_recovery_key_and_a_touched_one_never() {
    let town = Town::new(&["370100"]);
    let (city, dest, again) = (town.at("370100"), town.at("backups"), town.at("again"));
    let ticket = new_ticket(&city, "公交晚点");
    for name in ["safe", "other"] {
        json(&["cert", "recovery", "--out", &town.at(name)]);
    }
    let said = json(&["backup", &dest, "--to", &format!("{}/recovery.pub", town.at("safe")), "--dir", &city]);
    assert_eq!(said["sealed"], true);
    let key = format!("{}/recovery.key", town.at("safe"));
    fails(&["restore", &dest, "--dir", &again], 1, "is sealed");
    let other = format!("{}/recovery.key", town.at("other"));
    fails(&["restore", &dest, "--key", &other, "--dir", &again], 5, "other recovery keys");
    let vault = std::path::PathBuf::from(said["files"][1].as_str().unwrap());
    let whole = std::fs::read(&vault).unwrap();
    let mut touched = whole.clone();
    let middle = touched.len() / 2;
    touched[middle] ^= 1;
    std::fs::write(&vault, &touched).unwrap();
    fails(&["restore", &dest, "--key", &key, "--dir", &again], 5, "cannot be read");
    assert!(!town.path("again").exists() && !town.path("again.restoring").exists());
    // Without the vault the tickets are there, and callers wait for their grants.
    std::fs::remove_file(&vault).unwrap();
    let back = json(&["restore", &dest, "--key", &key, "--dir", &again]);
    assert_eq!(back["vault"], false);
    assert_eq!(listed(&again), [ticket["number"].as_str().unwrap()]);
    std::fs::write(&vault, &whole).unwrap();
    json(&["restore", text(&vault), "--key", &key, "--dir", &town.at("whole")]);
    let id = ticket["id"].as_str().unwrap();
    let shown = json(&["ticket", "show", id, "--reveal", "回访", "--user", "li", "--dir", &town.at("whole")]);
    assert_eq!(shown["person"]["phone"], "13800000001");
}

#[test]
fn old_backups_go_when_a_new_one_is_right_and_nothing_is_left_of_one_that_failed() {
    let town = Town::new(&["370100"]);
    let (city, dest) = (town.at("370100"), town.path("backups"));
    std::fs::create_dir(&dest).unwrap();
    let old = |taken: &str, part: &str| format!("hotline-370100-{taken}-{part}.tar.zst");
    for taken in ["20260101T000000Z", "20260102T000000Z"] {
        for part in ["node", "vault"] {
            std::fs::write(dest.join(old(taken, part)), "old").unwrap();
        }
    }
    std::fs::write(dest.join("notes.txt"), "mine").unwrap();
    let said = json(&["backup", text(&dest), "--keep", "2", "--dir", &city]);
    let mut left: Vec<String> = std::fs::read_dir(&dest)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let taken = said["taken"].as_str().unwrap();
    let mut expected = vec![
        old("20260102T000000Z", "node"),
        old(taken, "node"),
        old(taken, "vault"),
        "notes.txt".to_owned(),
    ];
    expected.sort();
    assert_eq!(left, expected, "the old vault went with its days, the oldest backup with its number");
    fails(
        &["backup", text(&dest.join("notes.txt")), "--dir", &city],
        1,
        "no directory that backups can go to",
    );
    fails(&["restore", &town.at("nowhere"), "--dir", &town.at("x")], 1, "is not there");
    fails(&["restore", text(&dest.join("notes.txt")), "--dir", &town.at("x")], 1, "is no backup");
    // A disk without room for it: no file may grow past a limit of the process, which the log's index fits into and an
    // archive with this photo does not.
    let ticket = new_ticket(&city, "公交晚点");
    let photo = town.at("photo.jpg");
    let mut noise = vec![0; 200_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    std::fs::write(&photo, noise).unwrap();
    json(&["ticket", "attach", ticket["id"].as_str().unwrap(), &photo, "--dir", &city]);
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 72; trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_hotline")])
        .args(["backup", &town.at("full"), "--dir", &city])
        .output()
        .unwrap();
    assert_ne!(limited.status.code(), Some(0));
    assert_eq!(std::fs::read_dir(town.path("full")).unwrap().count(), 0, "{}", harness::both(&limited));
    assert!(run(&["ticket", "list", "--dir", &city]).status.success());
}
