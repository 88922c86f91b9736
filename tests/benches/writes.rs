//! Writing: one edit with its fsync, many tickets at once, and how soon a peer has what was written.

use std::time::{Duration, Instant};

use node::daemon::Node;
use node::request::Request;
use world::bench::nodes::{
    CITY, PROVINCE, Registry, Seals, asked, digest, free, make_tickets, name, open, progress, start,
    until_equal,
};
use world::bench::process::cpu;
use world::bench::report::{Times, begin, ms, row, s, times};
use world::bench::tickets::{Dice, ticket};
use world::bench::{Wanted, bound};

fn main() {
    let wanted = Wanted::read();
    begin("writes");
    let dir = tempfile::tempdir().expect("a directory");
    let (city, province) = (dir.path().join("city"), dir.path().join("province"));
    let mut registry = Registry::default();
    registry.found(&city, CITY, &[PROVINCE]);
    registry.found(&province, PROVINCE, &[CITY]);
    let mut dice = Dice::new(3);

    if wanted.wants("bulk") {
        let bulk = dir.path().join("bulk");
        registry.found(&bulk, CITY, &[PROVINCE]);
        let mut engine = open(&bulk);
        let count = wanted.size(10_000, 1_000);
        let lines: Vec<_> = (0..count).map(|_| ticket(&mut dice, true)).collect();
        let (began, before) = (Instant::now(), cpu());
        for tickets in lines.chunks(500) {
            asked(&mut engine, &Request::New { tickets: tickets.to_vec(), user: None });
            engine.checkpoint().expect("a checkpoint");
        }
        let (took, used) = (began.elapsed(), cpu() - before);
        row(
            "new tickets in bulk",
            ">= 2,000/s",
            format!(
                "{:.0}/s ({:.0} us of CPU a ticket)",
                count as f64 / took.as_secs_f64(),
                used.as_secs_f64() * 1e6 / count as f64
            ),
            times(count as f64 / took.as_secs_f64(), 2_000.0) + " of the goal",
            "500 at once; person sealed, two grants, queues in the same transaction, checkpoints included",
        );
    }

    if !["commit", "visible", "burst"].iter().any(|row| wanted.wants(row)) {
        return;
    }
    let ids = make_tickets(&city, wanted.size(1_000, 200), true, Seals::Later, 2);
    if wanted.wants("commit") {
        let mut engine = open(&city);
        // Linked, so that every commit makes a seal, as it does in a city that is online.
        engine.begin(node::daemon::now_ms()).expect("a transaction");
        engine.link(sync::replica::Input::Connected(name(PROVINCE))).expect("a link");
        engine.commit().expect("it is durable");
        let mut all = Times::default();
        let before = cpu();
        let count = wanted.size(2_000, 200);
        for at in 0..count {
            let request = progress(&ids[at * 7 % ids.len()], dice.text(12));
            let began = Instant::now();
            asked(&mut engine, &request);
            all.add(began.elapsed());
            if at % 200 == 199 {
                engine.checkpoint().expect("a checkpoint");
            }
        }
        let used = (cpu() - before).as_secs_f64() * 1e3 / count as f64;
        let disk = bound::fsync(dir.path(), count);
        let beyond = all.at(0.99).saturating_sub(disk.at(0.99));
        row(
            "commit of one edit, fsync and seal included",
            "p99 <= 3 ms beyond the disk's own fsync",
            format!("{all}; the disk's fsync {disk}; p99 {} ms beyond; {used:.2} ms of CPU", ms(beyond)),
            times(all.at(0.5).as_secs_f64(), disk.at(0.5).as_secs_f64()) + " of one fsync (p50)",
            "",
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if wanted.wants("visible") || wanted.wants("burst") {
        let trust = open(&city).trust();
        let ends = [CITY, PROVINCE].map(|n| (std::sync::Arc::new(registry.identity(n)), trust.clone()));
        let echo = runtime.block_on(async {
            let mut bare = bound::Bare::link(ends).await;
            let mut echo = Times::default();
            for _ in 0..wanted.size(1_000, 100) {
                echo.add(bare.echo().await);
            }
            bare.end().await;
            echo
        });
        runtime.block_on(linked(&wanted, &city, &province, &ids, &echo));
    }
}

/// Writes at one node, and waits until the other has made it durable.
async fn visible(here: &Node, there: &Node, request: Request) -> Duration {
    here.ask(request).await.expect("it is granted");
    let (began, wanted) = (Instant::now(), digest(here, PROVINCE).await.0);
    while digest(there, CITY).await.0 < wanted {
        tokio::task::yield_now().await;
    }
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_millis(5)).await;
    took
}

async fn linked(
    wanted: &Wanted,
    city: &std::path::Path,
    province: &std::path::Path,
    ids: &[String],
    echo: &Times,
) {
    let listen = free();
    let province = start(province, listen, None).await;
    let city = start(city, free(), Some((PROVINCE, listen))).await;
    let (ours, theirs) = ((&city, CITY), (&province, PROVINCE));
    let patience = Duration::from_secs(60);
    until_equal(ours, theirs, ids.len() as u64 * 6, Duration::from_millis(20), patience).await;
    let mut dice = Dice::new(4);

    // The province has the words and persons of what it was just sent before it: first in between, then afterwards.
    if wanted.wants("visible") {
        let mut all = Times::default();
        for at in 0..wanted.size(40, 5) {
            all.add(visible(&city, &province, progress(&ids[at % ids.len()], dice.text(12))).await);
        }
        row(
            "commit to visible, while the peer indexes 1,000 new tickets",
            "",
            &all,
            "",
            "what is put aside is done in steps; whoever comes meanwhile waits for one",
        );
    }
    for node in [&city, &province] {
        loop {
            let status = node.ask(Request::Status).await.expect("an answer");
            if status["unindexed"] == 0 && status["unmarked_persons"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    if wanted.wants("visible") {
        let mut all = Times::default();
        for at in 0..wanted.size(500, 50) {
            all.add(visible(&city, &province, progress(&ids[at % ids.len()], dice.text(12))).await);
        }
        row(
            "commit to visible and durable at a connected peer",
            "p50 <= 2 ms, p99 <= 10 ms",
            &all,
            times(all.at(0.5).as_secs_f64(), echo.at(0.5).as_secs_f64())
                + &format!(" of a link's echo ({} ms, p50)", ms(echo.at(0.5))),
            "one edit at a time, both nodes in one process, the peer asked without pause",
        );
    }
    if wanted.wants("burst") {
        let count = wanted.size(5_000, 500);
        let before = digest(&province, CITY).await.0;
        let (began, used) = (Instant::now(), cpu());
        let mut tasks = tokio::task::JoinSet::new();
        for desk in 0..250 {
            let city = city.clone();
            let mine: Vec<Request> =
                (desk..count).step_by(250).map(|at| progress(&ids[at % ids.len()], dice.text(12))).collect();
            tasks.spawn(async move {
                for request in mine {
                    city.ask(request).await.expect("it is granted");
                }
            });
        }
        tasks.join_all().await;
        let committed = began.elapsed();
        while digest(&province, CITY).await.0 < before + count as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = began.elapsed();
        row(
            "burst of edits to visible at the peer",
            ">= 5,000/s",
            format!(
                "{:.0}/s ({} edits by 250 desks: committed after {}, visible after {}; {:.0} us of CPU an edit, both sides)",
                count as f64 / took.as_secs_f64(),
                count,
                s(committed),
                s(took),
                (cpu() - used).as_secs_f64() * 1e6 / count as f64
            ),
            times(count as f64 / took.as_secs_f64(), 5_000.0) + " of the goal",
            "both nodes in one process on the same two cores",
        );
    }
    city.stop().await;
    province.stop().await;
}
