//! A hub of a million tickets: start, memory, reading, backup, verifying, an idle reconnect, and the repair of 200
//! unknown differences.

use std::path::Path;
use std::time::{Duration, Instant};

use node::backup::{Backup, Restore, restore, take};
use node::china;
use node::daemon::{ask_running, now_ms};
use node::policy::request::PolicyRequest;
use node::request::{Request, Sift};
use rusqlite::{Connection, params};
use serde_json::Value;
use sync::digest::SetDigest;
use sync::id::ItemHash;
use sync::replica::Event;
use world::bench::carried::Carried;
use world::bench::nodes::{CITY, PROVINCE, Registry, asked, free, open, start};
use world::bench::process::{Part, cpu, part, peak, told};
use world::bench::report::{Times, begin, bytes, row, s, times};
use world::bench::tickets::Dice;
use world::bench::{Wanted, hub};

/// Items that each side lacks.
const LACKING: usize = 100;

fn main() {
    if let Some((_, arguments)) = part() {
        return side(&arguments);
    }
    let wanted = Wanted::read();
    let count = wanted.size(1_000_000, 20_000);
    begin("a hub of a million tickets");
    let dir = tempfile::tempdir().expect("a directory");
    let (city, province) = (dir.path().join("city"), dir.path().join("province"));
    let mut registry = Registry::default();
    generate(&mut registry, &dir.path().join("small"), 300, true);
    let (items, making) = generate(&mut registry, dir.path(), count, false);
    let size = std::fs::metadata(city.join("node.db")).map_or(0, |m| m.len());
    let made = format!(
        "{count} tickets of 2 changes, {items} items, {}; written row by row in {} and checked against the engine on a small set",
        bytes(size),
        s(making)
    );
    println!("\n{made}\n");
    if wanted.wants("memory") {
        memory(&city, &province);
    }
    if wanted.wants("read") {
        read(&city, wanted.size(200, 40));
    }
    if wanted.wants("backup") {
        backup(&city, &dir.path().join("backups"), &dir.path().join("restored"), count);
    }
    if wanted.wants("verify") {
        whole(&city, count, &Request::Verify, "verify: every hash and seal anew");
    }
    // A quarter of an hour at a million: only when it is asked for by its name, or in a quick pass.
    if wanted.quick || wanted.names("rebuild") {
        whole(&city, count, &Request::Rebuild, "rebuild: every row and word anew");
    }
    if wanted.wants("repair") {
        repair(&city, &province, count);
    }
    if wanted.wants("rule") {
        rule(&city, count);
    }
}

/// A city sets a limit: open tickets are dated anew, and all rows counted anew. A daemon does both a page at a time while nobody asks.
fn rule(city: &Path, count: usize) {
    let today = china::today(now_ms()).to_string();
    let set = PolicyRequest::Set {
        table: "time_limits".to_owned(),
        rows: "business,domain,topic,urgency,amount,unit,basis\n投诉举报,,,,9,working days,x\n".to_owned(),
        from: today.clone(),
        basis: "a measurement".to_owned(),
        note: String::new(),
        try_only: false,
        user: None,
    };
    whole(city, count, &Request::Policy(set), "a limit is set: every open ticket dated anew");
    let figures = Request::Figures { from: today.clone(), to: today, by: None };
    whole(city, count, &figures, "and every row counted anew");
}

/// Makes city and province with the same tickets under `dir`.
fn generate(registry: &mut Registry, dir: &Path, count: usize, check: bool) -> (u64, Duration) {
    let (city, province, spare) = (dir.join("city"), dir.join("province"), dir.join("spare"));
    registry.found(&city, CITY, &[PROVINCE]);
    registry.found(&province, PROVINCE, &[CITY]);
    registry.found(&spare, CITY, &[PROVINCE]);
    let began = Instant::now();
    let items = hub::fill(&city, &province, &spare, &registry.identity(CITY), count);
    let took = began.elapsed();
    if check {
        hub::check(&city);
    }
    (items, took)
}

fn memory(city: &Path, province: &Path) {
    let listen = free();
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let mut hub = Part::start("side", &[&text(province), &listen.to_string()]);
    let started = hub.hear();
    let mut other = Part::start("side", &[&text(city), &free().to_string(), &listen.to_string()]);
    other.hear();
    let began = Instant::now();
    let ask = |request: &Request| ask_running(province, request).expect("it runs").expect("it is granted");
    let peer = |status: &Value| status["peers"][0].clone();
    let status = loop {
        let status = ask(&Request::Status);
        if peer(&status)["digest_equal"] == true {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "not proved equal: {status}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let proved = began.elapsed();
    let mut status_times = Times::default();
    for _ in 0..20 {
        let began = Instant::now();
        ask(&Request::Status);
        status_times.add(began.elapsed());
    }
    for queue in ["all", "open", "held", "conflicts"] {
        let rows =
            ask(&Request::List { queue: queue.to_owned(), sift: Sift::default(), limit: 100, before: None });
        for row in rows.as_array().into_iter().flatten().take(50) {
            let id = row["id"].as_str().expect("an id").to_owned();
            ask(&Request::Show { id, reveal: None, user: None });
        }
    }
    hub.say("cost");
    let cost = hub.hear();
    other.end();
    hub.end();
    row(
        "memory and start of a hub",
        "<= 256 MiB, start <= 2 s",
        format!("started in {started}; after linking, status, lists and 200 tickets: {cost}"),
        "-",
        "",
    );
    let traffic = peer(&status);
    let udp = traffic["bytes_sent"].as_u64().unwrap_or_default()
        + traffic["bytes_received"].as_u64().unwrap_or_default();
    row(
        "link of two hubs with the same million",
        "-",
        format!(
            "proved equal {} after the second one started; {} in UDP with the handshake",
            s(proved),
            bytes(udp)
        ),
        "-",
        "real QUIC, two processes",
    );
    row("`replica status` at a hub", "-", &status_times, "-", "through the socket");
}

/// One side: a node until the input ends.
fn side(arguments: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let address = |at: usize| arguments[at].parse().expect("an address");
        let peer = (arguments.len() > 2).then(|| (PROVINCE, address(2)));
        let began = Instant::now();
        let node = start(Path::new(&arguments[0]), address(1), peer).await;
        println!("{}", s(began.elapsed()));
        while let Some(line) = tokio::task::block_in_place(told) {
            if line == "cost" {
                println!("{} MiB, {} CPU", peak() >> 20, s(cpu()));
            }
        }
        node.stop().await;
    });
}

fn read(city: &Path, rounds: usize) {
    let mut engine = open(city);
    let mut dice = Dice::new(8);
    let mut all: [Times; 6] = Default::default();
    let mut slowest = (Duration::ZERO, String::new());
    for _ in 0..rounds {
        let mut timed = |which: usize, request: &Request| {
            let began = Instant::now();
            let reply = asked(&mut engine, request);
            let took = began.elapsed();
            all[which].add(took);
            if which < 3 && took > slowest.0 {
                slowest = (took, format!("{request:?}"));
            }
            reply
        };
        for (which, length) in [(0, 1), (1, 2), (2, 3)] {
            timed(which, &Request::Search { text: dice.text(length), limit: 50 });
        }
        let queue = ["all", "open", "held", "closed", "to-accept", "conflicts"][dice.below(6) as usize];
        let before = Some(1 + dice.below(1_000_000) as i64);
        timed(3, &Request::List { queue: queue.to_owned(), sift: Sift::default(), limit: 50, before });
        let page =
            timed(4, &Request::List { queue: "all".to_owned(), sift: Sift::default(), limit: 50, before });
        if let Some(id) = page[0]["id"].as_str() {
            timed(5, &Request::Show { id: id.to_owned(), reveal: None, user: None });
        }
    }
    let names = [
        "search for one character",
        "search for two characters",
        "search for three characters",
        "list a queue",
        "list all from anywhere",
        "open a ticket",
    ];
    for (name, times) in names.iter().zip(&all) {
        row(
            &format!("{name}, 1 M tickets"),
            "p99 <= 50 ms",
            times,
            "-",
            &format!("{rounds} times, in a transaction each"),
        );
    }
    println!("\nslowest search: {} {}\n", s(slowest.0), slowest.1);
}

fn rate(count: usize, took: Duration) -> String {
    format!("{:.0} tickets a second", count as f64 / took.as_secs_f64())
}

fn backup(city: &Path, dest: &Path, again: &Path, count: usize) {
    let mut open_files = Vec::new();
    let mut engine = open(city);
    let wanted = Backup { dir: city, dest, to: &[], keep: None, now: (now_ms() / 1000) as i64 };
    let (began, before) = (Instant::now(), cpu());
    let said = take(
        &wanted,
        &mut open_files,
        |request| {
            engine.begin(now_ms())?;
            let reply = engine.ask(request);
            engine.commit()?;
            reply
        },
        |_| {},
    );
    let (took, said) = (began.elapsed(), said.expect("a backup"));
    drop(engine);
    let size = said["bytes"].as_u64().unwrap_or_default();
    row(
        "backup, read again and compared",
        "-",
        format!("{}, {}; {} of CPU; {}", s(took), rate(count, took), s(cpu() - before), bytes(size)),
        "-",
        "two archives; nobody waits for it",
    );
    let began = Instant::now();
    restore(&Restore { src: dest, key: None }, again, false, |_| {}).expect("it is whole");
    let took = began.elapsed();
    row(
        "restore",
        "-",
        format!("{}, {}", s(took), rate(count, took)),
        "-",
        "every byte compared and on the disk",
    );
}

fn whole(city: &Path, count: usize, request: &Request, name: &str) {
    let mut engine = open(city);
    let began = Instant::now();
    asked(&mut engine, request);
    let took = began.elapsed();
    row(
        name,
        "-",
        format!("{}, {}; {} MiB at most so far", s(took), rate(count, took), peak() >> 20),
        "-",
        "",
    );
}

/// Takes the last change of every so-manieth document out of a database and its pair's digest.
fn lose(dir: &Path, peer: &str, step: usize, first: usize) {
    let db = Connection::open(dir.join("node.db")).expect("a database");
    let mut digest: SetDigest = {
        let bytes: Vec<u8> =
            db.query_row("SELECT digest FROM peer WHERE name = ?1", [peer], |r| r.get(0)).expect("the pair");
        SetDigest::from_bytes(&bytes).expect("a digest")
    };
    let documents: Vec<i64> = (0..LACKING).map(|at| (first + at * step + 1) as i64).collect();
    for document in documents {
        let (id, hash): (i64, Vec<u8>) = db
            .query_row("SELECT id, hash FROM item WHERE doc = ?1 ORDER BY id DESC LIMIT 1", [document], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .expect("a change");
        db.execute("DELETE FROM item WHERE id = ?1", [id]).expect("a row");
        digest.remove(&ItemHash::from_bytes(hash.try_into().expect("a hash")));
    }
    db.execute("UPDATE peer SET digest = ?2 WHERE name = ?1", params![peer, digest.to_bytes().as_slice()])
        .expect("a row");
}

fn repair(city: &Path, province: &Path, count: usize) {
    // From either half: what both lack of one seal, neither can prove to the other.
    lose(city, PROVINCE, count / 2 / LACKING, 0);
    lose(province, CITY, count / 2 / LACKING, count / 2);
    let mut carried = Carried::new(open(city), open(province));
    let traffic = carried.meet();
    let repaired = traffic.told.iter().find_map(|e| match e {
        Event::Repaired { sent, wanted, .. } => Some((*sent, *wanted)),
        _ => None,
    });
    assert_eq!(repaired, Some((LACKING as u64, LACKING as u64)), "{:?}", traffic.told);
    let (sketch, want) = (traffic.of(&[5]), traffic.of(&[6]));
    row(
        "repair of 200 unknown differences among a million tickets",
        "<= 7 kB and 2 round trips, <= 3 s of CPU",
        format!(
            "{} (cells {}, answer {}); {}; {} of CPU on both sides together",
            bytes(sketch + want),
            bytes(sketch),
            bytes(want),
            traffic.proof(),
            s(traffic.cpu)
        ),
        times((sketch + want) as f64, 343.0) + " of 343 B",
        "hand-carried frames; the 200 items and their seals travel besides",
    );
    let idle = carried.meet();
    row(
        "reconnect, nothing changed, a million tickets",
        "<= 300 B of frames, 1 round trip, independent of N",
        format!("{} both ways, {}, {} of CPU", bytes(idle.total()), idle.proof(), s(idle.cpu)),
        "-",
        "hand-carried frames",
    );
}
