//! The real program with a fault at every storage call: kill -9, torn writes, power cuts, I/O errors, a full disk.
//!
//! What must hold after each run stands in `world::city::sweep`. `SWEEP=all` sweeps every call of every deed and cuts
//! the power 20,000 times.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use node::engine::{Engine, Options};
use node::request::Request;
use serde_json::{Value, json};
use world::city::sweep::{Aftermath, Deed, Outcome, PHONE, Performed, Sweep, tickets};
use world::city::{Daemon, Env, Program, Said, until};
use world::shim::{Fault, Mode, Shim};

static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::new(env!("CARGO_BIN_EXE_hotline-under-test")));
static SHIM: LazyLock<Shim> = LazyLock::new(|| Shim::build().unwrap());

const MODES: [Mode; 5] = [Mode::Kill, Mode::Torn, Mode::Enospc, Mode::Eio, Mode::FsyncEio];

fn everything() -> bool {
    std::env::var("SWEEP").is_ok_and(|v| v == "all")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Identities of these nodes, and their directories `place/NAME`.
fn found(program: &Program, place: &Path, nodes: &[(&str, &str)]) {
    let cert = |words: &[&str]| {
        let said = Said::from(program.command().arg("cert").args(words).output().unwrap());
        assert_eq!(said.code, Some(0), "{words:?}: {said}");
    };
    let at = |name: &str| text(&place.join(name)).to_owned();
    cert(&["root", "--out", &at("root")]);
    cert(&["province", "370000", "--ca", &at("root"), "--out", &at("ca")]);
    for (name, node) in nodes {
        cert(&["node", node, "--ca", &at("ca"), "--out", &at(&format!("id-{name}"))]);
        program.ask(&place.join(name), &["init", "--identity", &at(&format!("id-{name}"))]);
    }
}

fn call(program: &Program, dir: &Path, words: &str) -> String {
    let made = program.ask(dir, &["ticket", "new", "--text", words, "--phone", PHONE]);
    made["id"].as_str().unwrap().to_owned()
}

/// One command of the program.
fn one(said: Said, taken: Vec<String>, asked: usize) -> Performed {
    Performed { done: said.json().is_some(), taken, asked, said, daemon: false }
}

fn taken(said: &Said) -> Vec<String> {
    said.json().iter().filter_map(|made| made["id"].as_str().map(str::to_owned)).collect()
}

struct New;

impl Deed for New {
    fn name(&self) -> &'static str {
        "ticket new"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        found(program, place, &[("node", "370100")]);
        call(program, &place.join("node"), "从前的一件");
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let words = ["ticket", "new", "--text", "出租车拒载", "--phone", PHONE];
        let said = program.run_with(&place.join("node"), &words, env);
        one(said.clone(), taken(&said), 1)
    }

    fn judge(&self, _: &Aftermath<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// `ticket close` on the one ticket that is there.
struct Close;

impl Deed for Close {
    fn name(&self) -> &'static str {
        "ticket close"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        New.prepare(program, place);
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        // The serials name the ticket by its number; so nobody has to ask the directory first.
        let serials = std::fs::read(place.join("node/serials.json")).unwrap();
        let numbers: Vec<String> = serde_json::from_slice(&serials).unwrap();
        let words = ["ticket", "close", &numbers[0], "--result", "已处理"];
        one(program.run_with(&place.join("node"), &words, env), Vec::new(), 0)
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        let entries = |t: &Value| t["trail"].as_array().map_or(0, Vec::len);
        let (before, after) = (aftermath.before.values().next(), aftermath.after.values().next());
        let (before, after) = before.zip(after).ok_or("the ticket is gone")?;
        match (after["stage"].as_str(), entries(after) - entries(before)) {
            (Some("closed"), 1) => Ok(()),
            (Some("in_hand"), 0) if !aftermath.performed.done => Ok(()),
            other => Err(format!("the ticket is {other:?}")),
        }
    }
}

struct Import;

const IMPORTED: usize = 30;

impl Deed for Import {
    fn name(&self) -> &'static str {
        "ticket import"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        New.prepare(program, place);
        let lines: String = (0..IMPORTED)
            .map(|i| format!("{}\n", json!({ "text": format!("第 {i} 通电话"), "caller_phone": PHONE })))
            .collect();
        std::fs::write(place.join("calls.jsonl"), lines).unwrap();
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let calls = place.join("calls.jsonl");
        let words = ["ticket", "import", text(&calls)];
        let said = program.run_with(&place.join("node"), &words, env);
        one(said, Vec::new(), IMPORTED)
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        match aftermath.after.len() - aftermath.before.len() {
            IMPORTED => Ok(()),
            0 if !aftermath.performed.done => Ok(()),
            some => Err(format!("{some} of {IMPORTED} calls are in")),
        }
    }
}

/// `cert admit` of a list that revokes a neighbour.
struct Revoke;

impl Deed for Revoke {
    fn name(&self) -> &'static str {
        "cert admit"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        found(program, place, &[("node", "370100"), ("neighbour", "370200")]);
        let mut command = program.command();
        command.args(["cert", "revoke", "370200"]).arg("--ca").arg(place.join("ca"));
        let said = Said::from(command.arg("--out").arg(place.join("list")).output().unwrap());
        assert_eq!(said.code, Some(0), "{said}");
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let list = place.join("list");
        let words = ["cert", "admit", text(&list)];
        one(program.run_with(&place.join("node"), &words, env), Vec::new(), 0)
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        let status = aftermath.program.ask(&aftermath.place.join("node"), &["replica", "status"]);
        match (status["revoked"] == json!(["370200"]), aftermath.performed.done) {
            (false, true) => Err("the revocation was admitted and is gone".to_owned()),
            _ => Ok(()),
        }
    }
}

/// A daemon that takes four calls over its socket and is then stopped, which moves its log into the database.
struct Served;

impl Deed for Served {
    fn name(&self) -> &'static str {
        "a served node"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        New.prepare(program, place);
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let dir = place.join("node");
        let log = place.join("node.log");
        let mut daemon = Daemon::start(program, &dir, "127.0.0.1:0".parse().unwrap(), &[], &log, env);
        let mut performed = Performed {
            taken: Vec::new(),
            asked: 0,
            done: false,
            said: Said { code: None, signal: None, out: String::new(), err: String::new() },
            daemon: true,
        };
        let mut refused = None;
        if daemon.ready() {
            for i in 0..4 {
                if daemon.ended().is_some() {
                    break;
                }
                performed.asked += 1;
                let words = format!("第 {i} 通电话");
                let said = program.run(&dir, &["ticket", "new", "--text", &words, "--phone", PHONE]);
                performed.taken.extend(taken(&said));
                if said.json().is_none() {
                    refused = Some(said);
                }
            }
            if daemon.ended().is_none() {
                daemon.stop();
            }
        }
        performed.done = performed.taken.len() == 4;
        let status = daemon.wait();
        let output = std::process::Output { status, stdout: Vec::new(), stderr: daemon.log().into_bytes() };
        performed.said = Said::from(output);
        if let Some(refused) = refused {
            performed.said.out = format!("a client was told: {refused}");
        }
        performed
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        let performed = aftermath.performed;
        if !performed.done && performed.said.code == Some(0) && !performed.said.out.contains("exit 75") {
            return Err("a client was refused for another reason than a full disk, and the node ended well"
                .to_owned());
        }
        Ok(())
    }
}

/// A daemon that takes forty tickets from its province over a real link.
struct Replicated;

const SENT: usize = 40;

impl Deed for Replicated {
    fn name(&self) -> &'static str {
        "a batch from a peer"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        // The receiver has the greater name of two replicas, and so it dials.
        found(program, place, &[("peer", "370000"), ("node", "370000-b")]);
        let lines: String = (0..SENT)
            .map(|i| format!("{}\n", json!({ "text": format!("第 {i} 通电话"), "caller_phone": PHONE })))
            .collect();
        std::fs::write(place.join("calls.jsonl"), lines).unwrap();
        // They have met: the sender owes single tickets from then on, and can seal the callers to the receiver.
        let (node, peer) = link(program, place, &[]);
        until("they have met", || {
            equal(program, &place.join("peer"), 0).and_then(|()| equal(program, &place.join("node"), 0))
        });
        drop((node, peer));
        program.ask(&place.join("peer"), &["ticket", "import", text(&place.join("calls.jsonl"))]);
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let (mut node, peer) = link(program, place, env);
        // Until the receiver has died, or the sender has proof that it has everything.
        until("the node has everything or has ended", || match node.ended() {
            Some(_) => Ok(()),
            None => equal(program, &place.join("peer"), SENT),
        });
        if node.ended().is_none() {
            node.stop();
        }
        drop(peer);
        let status = node.wait();
        let output = std::process::Output { status, stdout: Vec::new(), stderr: node.log().into_bytes() };
        // What the sender was told to be durable at the receiver is what it does not owe any more.
        let owed = program.ask(&place.join("peer"), &["replica", "diff", "370000-b", "--limit", "10000"]);
        assert!(!owed["standing"].as_str().unwrap().contains("scan"), "{owed}");
        let owed: Vec<&str> =
            owed["rows"].as_array().unwrap().iter().filter_map(|r| r["document"].as_str()).collect();
        let all = tickets(program, &place.join("peer")).unwrap();
        let taken: Vec<String> = all.into_keys().filter(|id| !owed.contains(&id.as_str())).collect();
        let whole = taken.len() == SENT && owed.is_empty();
        Performed { done: whole, taken, asked: SENT, said: Said::from(output), daemon: true }
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        // Both without a fault now: they meet, and are proved equal.
        let (program, place) = (aftermath.program, aftermath.place);
        let (mut node, peer) = link(program, place, &[]);
        until("both are proved equal", || match node.ended() {
            Some(_) => Err(node.log()),
            None => equal(program, &place.join("peer"), SENT)
                .and_then(|()| equal(program, &place.join("node"), SENT)),
        });
        drop((node, peer));
        let (here, there) = (tickets(program, &place.join("node"))?, tickets(program, &place.join("peer"))?);
        let same =
            here.len() == SENT && there.iter().all(|(id, t)| here[id]["state_hash"] == t["state_hash"]);
        if same { Ok(()) } else { Err(format!("{} of {SENT} tickets came over", here.len())) }
    }
}

/// `bundle import` of a stick with forty tickets of a city.
struct Stick;

fn file(dir: &Path) -> std::path::PathBuf {
    std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().path()
}

impl Deed for Stick {
    fn name(&self) -> &'static str {
        "bundle import"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        found(program, place, &[("peer", "370100"), ("node", "370000")]);
        // The city can seal the callers to its province from the first ticket on.
        let record = place.join("node/identity/record");
        program.ask(&place.join("peer"), &["cert", "admit", text(&record)]);
        let lines: String = (0..SENT)
            .map(|i| format!("{}\n", json!({ "text": format!("第 {i} 通电话"), "caller_phone": PHONE })))
            .collect();
        std::fs::write(place.join("calls.jsonl"), lines).unwrap();
        program.ask(&place.join("peer"), &["ticket", "import", text(&place.join("calls.jsonl"))]);
        std::fs::create_dir(place.join("stick")).unwrap();
        let out = place.join("stick");
        program.ask(&place.join("peer"), &["bundle", "export", "--to", "370000", "--out", text(&out)]);
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let stick = place.join("stick");
        let said = program.run_with(&place.join("node"), &["bundle", "import", text(&stick)], env);
        let all = tickets(program, &place.join("peer")).unwrap();
        let taken = if said.json().is_some() { all.into_keys().collect() } else { Vec::new() };
        one(said, taken, SENT)
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        // Without a fault now: the same stick again, and the answer home. What is no longer owed is here.
        let (program, place) = (aftermath.program, aftermath.place);
        let (node, peer, back) = (place.join("node"), place.join("peer"), place.join("back"));
        program.ask(&node, &["bundle", "import", text(&place.join("stick"))]);
        std::fs::create_dir(&back).unwrap();
        program.ask(&node, &["bundle", "export", "--to", "370100", "--out", text(&back)]);
        program.ask(&peer, &["bundle", "import", text(&file(&back))]);
        let status = program.ask(&peer, &["replica", "status"]);
        if status["peers"][0]["outbox"] != 0 {
            return Err(format!("the city still owes: {}", status["peers"][0]));
        }
        let (here, there) = (tickets(program, &node)?, tickets(program, &peer)?);
        let same =
            here.len() == SENT && there.iter().all(|(id, t)| here[id]["state_hash"] == t["state_hash"]);
        if same { Ok(()) } else { Err(format!("{} of {SENT} tickets came over", here.len())) }
    }
}

/// `bundle export` of forty tickets by a city whose disk fails.
struct Written;

impl Deed for Written {
    fn name(&self) -> &'static str {
        "bundle export"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        found(program, place, &[("node", "370100"), ("peer", "370000")]);
        let record = place.join("peer/identity/record");
        program.ask(&place.join("node"), &["cert", "admit", text(&record)]);
        let lines: String = (0..SENT)
            .map(|i| format!("{}\n", json!({ "text": format!("第 {i} 通电话"), "caller_phone": PHONE })))
            .collect();
        std::fs::write(place.join("calls.jsonl"), lines).unwrap();
        program.ask(&place.join("node"), &["ticket", "import", text(&place.join("calls.jsonl"))]);
        std::fs::create_dir(place.join("stick")).unwrap();
    }

    fn perform(&self, program: &Program, place: &Path, env: &Env) -> Performed {
        let out = place.join("stick");
        let words = ["bundle", "export", "--to", "370000", "--out", text(&out)];
        one(program.run_with(&place.join("node"), &words, env), Vec::new(), 0)
    }

    fn judge(&self, aftermath: &Aftermath<'_>) -> Result<(), String> {
        let (program, place) = (aftermath.program, aftermath.place);
        let (node, peer, back) = (place.join("node"), place.join("peer"), place.join("back"));
        let stick = place.join("stick");
        // A stick that was reported holds everything; without the report another is written.
        if !aftermath.performed.done {
            program.ask(&node, &["bundle", "export", "--to", "370000", "--out", text(&stick)]);
        }
        program.ask(&peer, &["bundle", "import", text(&stick)]);
        std::fs::create_dir(&back).unwrap();
        program.ask(&peer, &["bundle", "export", "--to", "370100", "--out", text(&back)]);
        program.ask(&node, &["bundle", "import", text(&file(&back))]);
        let status = program.ask(&node, &["replica", "status"]);
        let (here, there) = (tickets(program, &node)?, tickets(program, &peer)?);
        let same =
            there.len() == SENT && there.iter().all(|(id, t)| here[id]["state_hash"] == t["state_hash"]);
        match (same, status["peers"][0]["outbox"] == 0) {
            (true, true) => Ok(()),
            _ => Err(format!("{} of {SENT} tickets came over; {}", there.len(), status["peers"][0])),
        }
    }
}

/// Starts both; the node with the fault may be dead already.
fn link(program: &Program, place: &Path, env: &Env) -> (Daemon, Daemon) {
    loop {
        let [here, there] = world::city::free::<2>();
        let start = |name: &str, listen, of: &str, at, env: &Env| {
            let log = place.join(format!("{name}-{listen}.log"));
            let mut daemon =
                Daemon::start(program, &place.join(name), listen, &[(of.to_owned(), at)], &log, env);
            daemon.ready();
            daemon
        };
        let peer = start("peer", there, "370000-b", here, &[]);
        let node = start("node", here, "370000", there, env);
        // What was free a moment ago may be another's by now; none of the two has begun anything then.
        if ![&peer, &node].iter().any(|daemon| daemon.log().contains("Address already in use")) {
            return (node, peer);
        }
    }
}

fn equal(program: &Program, dir: &Path, documents: usize) -> Result<(), String> {
    let said = program.run(dir, &["replica", "status"]);
    let status = said.json().ok_or_else(|| said.to_string())?;
    let peer = &status["peers"][0];
    let fine = peer["digest_equal"] == true && peer["outbox"] == 0 && status["documents"] == documents;
    if fine { Ok(()) } else { Err(peer.to_string()) }
}

/// The sweep of a deed finds nothing wrong, and it did happen.
fn check(deed: &dyn Deed, modes: &[Mode], step: u64, cuts: u64) {
    let sweep = Sweep::new(&PROGRAM, &SHIM, deed);
    let (step, cuts) = if everything() { (1, cuts * 40) } else { (step, cuts) };
    let began = std::time::Instant::now();
    let said = |what: &str, o: &Outcome| {
        println!("{}, {what}: {o} ({} ms)", deed.name(), began.elapsed().as_millis());
        assert!(o.violations.is_empty(), "{}", o.violations.join("\n"));
    };
    let every = sweep.every(modes, step);
    said(&format!("every {step}. call"), &every);
    assert!(every.killed > 0 && every.failed > 0 && every.done > 0, "some fault never struck: {every}");
    let cut = sweep.power_cuts(cuts, 1);
    said("power cuts", &cut);
    assert!(cut.killed * 10 >= cut.runs * 9, "the power was hardly ever cut: {cut}");
}

#[test]
fn a_new_ticket_at_every_call() {
    check(&New, &MODES, 1, 120);
}

#[test]
fn an_act_on_a_ticket() {
    check(&Close, &MODES, 5, 80);
}

#[test]
fn an_import() {
    check(&Import, &MODES, 5, 60);
}

#[test]
fn a_revocation() {
    check(&Revoke, &MODES, 5, 50);
}

#[test]
fn a_served_node_and_its_checkpoint() {
    check(&Served, &MODES, 5, 130);
}

/// No sync may fail unsaid: not before an acknowledgement, and not in the last checkpoint either.
#[test]
fn a_daemon_ends_with_an_error_after_any_failed_sync() {
    let outcome = Sweep::new(&PROGRAM, &SHIM, &Served).every(&[Mode::FsyncEio], 1);
    assert!(outcome.violations.is_empty(), "{}", outcome.violations.join("\n"));
    assert!(outcome.failed >= 6 && outcome.failed == outcome.runs, "{outcome}");
}

#[test]
fn a_batch_from_a_peer() {
    check(&Replicated, &[Mode::Kill, Mode::Torn, Mode::Eio, Mode::FsyncEio], 8, 60);
}

#[test]
fn a_bundle_that_is_read() {
    check(&Stick, &MODES, 9, 40);
}

#[test]
fn a_bundle_that_is_written() {
    check(&Written, &MODES, 9, 40);
}

#[test]
fn a_log_that_is_not_synced_is_caught() {
    // What `synchronous=NORMAL` would do: the log is synced before a checkpoint and not before an acknowledgement.
    let mut sweep = Sweep::new(&PROGRAM, &SHIM, &Served);
    sweep.sabotage = vec![(Shim::SWALLOW, "-wal".into())];
    let outcome = sweep.power_cuts(60, 1);
    let lost = outcome.violations.iter().filter(|v| v.contains("reported as taken and is gone")).count();
    assert!(lost >= 10, "{outcome}\n{}", outcome.violations.join("\n"));
}

/// `ticket new` as it must not be: it reports first and commits then. Not the program, but one that drives its engine.
struct Hasty;

impl Deed for Hasty {
    fn name(&self) -> &'static str {
        "a hasty ticket"
    }

    fn prepare(&self, program: &Program, place: &Path) {
        New.prepare(program, place);
    }

    fn perform(&self, _: &Program, place: &Path, env: &Env) -> Performed {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_that_reports_before_it_commits", "--ignored", "--nocapture"]);
        child.env(HASTY, place.join("node")).envs(env.iter().cloned());
        let said = Said::from(child.output().unwrap());
        let taken: Vec<String> =
            said.out.lines().filter_map(|l| l.strip_prefix("taken ").map(str::to_owned)).collect();
        Performed { done: !taken.is_empty(), taken, asked: 1, said, daemon: false }
    }

    fn judge(&self, _: &Aftermath<'_>) -> Result<(), String> {
        Ok(())
    }
}

const HASTY: &str = "SWEEP_TEST_HASTY_DIR";

#[test]
#[ignore = "the child process of the test below, useless by itself"]
fn child_that_reports_before_it_commits() {
    let dir = std::env::var(HASTY).expect("run by its parent");
    let mut engine = Engine::open(Path::new(&dir), &Options::drawn().unwrap()).unwrap();
    engine.begin(node::daemon::now_ms()).unwrap();
    let ticket = json!({ "text": "报得太早的一件", "caller_phone": PHONE });
    let made = engine.ask(&Request::New { tickets: vec![ticket], user: None }).unwrap();
    println!("\ntaken {}", made[0]["id"].as_str().unwrap());
    engine.commit().unwrap();
}

#[test]
fn a_report_before_the_sync_is_caught() {
    let outcome = Sweep::new(&PROGRAM, &SHIM, &Hasty).every(&[Mode::Kill], 1);
    let lost = outcome.violations.iter().filter(|v| v.contains("reported as taken and is gone")).count();
    assert!(lost >= 5, "{outcome}\n{}", outcome.violations.join("\n"));
}

/// A day with a full disk: nothing is taken and clients are told to try again, reading goes on, and when there is
/// room again the same process works.
#[test]
fn a_full_disk_refuses_and_reads_and_recovers() {
    let place = tempfile::tempdir().unwrap();
    New.prepare(&PROGRAM, place.path());
    let (dir, full) = (place.path().join("node"), place.path().join("full"));
    let first = tickets(&PROGRAM, &dir).unwrap().into_keys().next().unwrap();
    let fault = Fault { mode: Mode::Enospc, at: 1, path: format!("{}/", dir.display()), seed: 0 };
    let mut env = SHIM.env(&fault, None);
    env.push((Shim::WHILE, full.clone().into()));
    let log = place.path().join("node.log");
    let mut daemon = Daemon::start(&PROGRAM, &dir, "127.0.0.1:0".parse().unwrap(), &[], &log, &env);
    assert!(daemon.ready(), "{}", daemon.log());
    let before = call(&PROGRAM, &dir, "满盘以前");

    std::fs::write(&full, "").unwrap();
    for i in 0..50 {
        let said = PROGRAM.run(&dir, &["ticket", "new", "--text", "满盘时", "--phone", PHONE]);
        assert_eq!(said.code, Some(75), "call {i}: {said}");
        assert!(said.out.contains("nothing was saved"), "{said}");
        assert_eq!(PROGRAM.ask(&dir, &["ticket", "show", &first])["stage"], "in_hand");
    }
    let said = PROGRAM.run(&dir, &["ticket", "close", &first, "--result", "已处理"]);
    assert_eq!(said.code, Some(75), "{said}");

    std::fs::remove_file(&full).unwrap();
    let after = call(&PROGRAM, &dir, "有空间以后");
    PROGRAM.ask(&dir, &["ticket", "close", &first, "--result", "已处理"]);
    let held = tickets(&PROGRAM, &dir).unwrap();
    assert_eq!(held.len(), 3, "nothing of what was refused is there");
    assert!(held.contains_key(&before) && held.contains_key(&after));
    assert_eq!(held[&first]["stage"], "closed");
    assert!(daemon.stop().success(), "{}", daemon.log());
    assert!(daemon.log().contains("nothing was saved"), "{}", daemon.log());
    assert!(PROGRAM.ask(&dir, &["replica", "verify"])["damaged"].as_array().unwrap().is_empty());
}
