//! A cold sync: everything to a peer that has nothing, each side a process of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use node::daemon::ask_running;
use node::request::{Request, Sift};
use serde_json::Value;
use world::bench::nodes::{CITY, PROVINCE, Registry, Seals, free, make_tickets, open, start};
use world::bench::process::{Part, cpu, part, peak, told};
use world::bench::report::{begin, bytes, row, s, times};
use world::bench::{Wanted, bound};

const PATIENCE: Duration = Duration::from_secs(180);

/// Changes under one seal in a normal life: a link that is up most of the time and outages of hours.
const NORMAL: usize = 16;

fn main() {
    if let Some((_, arguments)) = part() {
        return side(&arguments);
    }
    let wanted = Wanted::read();
    let count = wanted.size(10_000, 500);
    begin("cold sync");
    let runs = [
        (
            "one seal a thousand items, no person",
            false,
            Seals::Later,
            "<= 2 s, search within 3 s more, <= 0.85 kB a ticket, <= 100 MiB",
        ),
        (
            "person, grants, a seal for 16 changes",
            true,
            Seals::Each(NORMAL),
            "<= 1.2 kB a ticket, <= 100 MiB",
        ),
        ("a seal for every change", false, Seals::Each(1), "<= 5 s, <= 100 MiB"),
    ];
    for (at, (what, person, seals, to_reach)) in runs.into_iter().enumerate() {
        if wanted.wants(what) {
            run(what, to_reach, count, person, seals, at as u64, at == 0);
        }
    }
}

fn run(what: &str, to_reach: &str, count: usize, person: bool, seals: Seals, seed: u64, with_bound: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let (city, province) = (dir.path().join("city"), dir.path().join("province"));
    let mut registry = Registry::default();
    // The tickets are made where fsync costs nothing, and copied: what is measured is the sync.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let made = memory.path().join("city");
    registry.found(&made, CITY, &[PROVINCE]);
    registry.found(&province, PROVINCE, &[]);
    let began = Instant::now();
    make_tickets(&made, count, person, seals, seed);
    let making = began.elapsed();
    drop(open(&made)); // its start seals what is left
    let changes = bound::changes(&made);
    world::city::copy(&made, &city);
    drop(memory);
    let packed = bound::zstd(&changes);
    let bare = with_bound.then(|| bare(&city, &mut registry, &changes));
    let items = items(&city);

    let listen = free();
    let mut receiver = Part::start("side", &[text(&province), &listen.to_string()]);
    assert_eq!(receiver.hear(), "ready");
    let mut sender = Part::start("side", &[text(&city), &free().to_string(), &listen.to_string()]);
    let began = Instant::now();
    assert_eq!(sender.hear(), "ready");
    wait(began, || {
        let said = ask_running(&province, &Request::Digest { peer: CITY.to_owned() });
        said.and_then(Result::ok).and_then(|d| d["count"].as_u64()) >= Some(items)
    });
    let durable = began.elapsed();
    let newest =
        ask(&city, &Request::List { queue: "all".to_owned(), sift: Sift::default(), limit: 1, before: None });
    let search =
        Request::Search { text: newest[0]["number"].as_str().expect("a number").to_owned(), limit: 1 };
    let queue = ask(
        &province,
        &Request::List { queue: "open".to_owned(), sift: Sift::default(), limit: 10_000, before: None },
    );
    assert_eq!(queue.as_array().map(Vec::len), Some(count.min(10_000)), "the queue is whole");
    wait(began, || ask(&province, &search).as_array().is_some_and(|found| !found.is_empty()));
    let searchable = began.elapsed();
    let status = ask(&province, &Request::Status);
    let peer = status["peers"].as_array().into_iter().flatten().find(|p| p["node"] == CITY).cloned();
    let received = peer.and_then(|p| p["bytes_received"].as_u64()).unwrap_or_default();
    let cost = |side: &mut Part| {
        side.say("cost");
        side.hear()
    };
    let (sent, took) = (cost(&mut sender), cost(&mut receiver));
    sender.end();
    receiver.end();

    let a_ticket = received as f64 / count as f64;
    let measured = format!(
        "{} durable, folded, in queues; searchable after {}; {a_ticket:.0} B a ticket; sender {sent}, receiver {took}",
        s(durable),
        s(searchable)
    );
    let mut ratio =
        format!("bytes {} of {} (zstd of the changes)", times(received as f64, packed as f64), bytes(packed));
    if let Some(bare) = bare {
        ratio += &format!(
            "; time {} of {} (bare links and SQLite)",
            times(durable.as_secs_f64(), bare.as_secs_f64()),
            s(bare)
        );
    }
    let remark = format!("{count} tickets, {items} items; made through the engine in {}", s(making));
    row(&format!("cold sync, {what}"), to_reach, measured, ratio, &remark);
}

fn bare(city: &Path, registry: &mut Registry, changes: &[Vec<u8>]) -> Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let trust = open(city).trust();
    let ends = [CITY, PROVINCE].map(|node| (std::sync::Arc::new(registry.identity(node)), trust.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut bare = bound::Bare::link(ends).await;
        let took = bare.send_and_insert(changes, dir.path()).await;
        bare.end().await;
        took
    })
}

/// One side: a node until the input ends.
fn side(arguments: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let address = |at: usize| arguments[at].parse().expect("an address");
        let peer = (arguments.len() > 2).then(|| (PROVINCE, address(2)));
        let node = start(Path::new(&arguments[0]), address(1), peer).await;
        println!("ready");
        while let Some(line) = tokio::task::block_in_place(told) {
            if line == "cost" {
                println!("{} CPU, {} MiB", s(cpu()), peak() >> 20);
            }
        }
        node.stop().await;
    });
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn ask(dir: &Path, request: &Request) -> Value {
    ask_running(dir, request).expect("it runs").expect("it is granted")
}

fn wait(began: Instant, mut done: impl FnMut() -> bool) {
    while !done() {
        assert!(began.elapsed() < PATIENCE, "the cold sync does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn items(dir: &Path) -> u64 {
    let db = rusqlite::Connection::open(dir.join("node.db")).expect("a database");
    db.query_row("SELECT count(*) FROM item", [], |r| r.get::<_, i64>(0)).expect("a count") as u64
}
