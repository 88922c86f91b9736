//! The read model of a city with a hundred thousand tickets: Parquet files of all of them; and, where `HOTLINE_BENCH_TO` names an empty
//! database of PostgreSQL, a catch-up over all of them by real processes, and how long a ticket takes from its commit until it is seen there.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::daemon::{ask_running, is_running};
use node::lake::partitions::export;
use node::request::Request;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};
use world::bench::nodes::{CITY, Registry, asked, open};
use world::bench::report::{Times, begin, bytes, row, s};
use world::bench::{Wanted, hub};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hotline-under-test");

/// Tickets whose way is timed.
const TIMED: usize = 100;

fn main() {
    let wanted = Wanted::read();
    let count = wanted.size(100_000, 2_000);
    begin("the read model");
    let dir = tempfile::tempdir().expect("a directory");
    let (city, spare) = (dir.path().join("city"), dir.path().join("spare"));
    let mut registry = Registry::default();
    registry.found(&city, CITY, &[]);
    registry.found(&spare, CITY, &[]);
    hub::fill_with_a_year(&city, &spare, &registry.identity(CITY), count);
    drop(open(&city)); // what a first start makes up for is not measured
    if wanted.wants("parquet") {
        parquet(&city, &dir.path().join("lake"));
    }
    if wanted.wants("postgres") {
        match std::env::var("HOTLINE_BENCH_TO") {
            Ok(to) => postgres(&city, &to, count),
            Err(_) => println!("\nHOTLINE_BENCH_TO names no database: PostgreSQL is left out"),
        }
    }
}

fn rate(rows: u64, took: Duration) -> String {
    format!("{:.0} rows/s", rows as f64 / took.as_secs_f64())
}

fn parquet(city: &Path, out: &Path) {
    let mut engine = open(city);
    for name in ["parquet: all months", "parquet: nothing was touched"] {
        let began = Instant::now();
        let exported = export(&mut |request| Ok(asked(&mut engine, &Request::Lake(request))), out, None)
            .expect("it is written");
        let took = began.elapsed();
        let each = exported.bytes as f64 / exported.rows as f64;
        let remarks =
            format!("{} rows, {}, {each:.1} bytes a row, {}", exported.rows, bytes(exported.bytes), s(took));
        row(name, "-", rate(exported.rows, took), "-", &remarks);
    }
}

/// A process that is ended with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn postgres(city: &Path, to: &str, count: usize) {
    let dir = city.to_str().expect("a path of letters");
    let node = program(&["run", "--dir", dir, "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).spawn();
    let _node = Running(node.expect("the node starts"));
    while !is_running(city) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let once = program(&["lake", "postgres", "--once", "--to", to, "--dir", dir, "--json"])
        .output()
        .expect("it runs");
    let said: Value = serde_json::from_slice(&once.stdout).expect("it has caught up");
    assert_eq!(said["rows"].as_u64(), Some(count as u64), "the database was not empty");
    let took = Duration::from_secs_f64(said["seconds"].as_f64().expect("seconds"));
    row(
        "postgres: a first catch-up",
        "-",
        rate(count as u64, took),
        "-",
        &format!("{count} rows, {}", s(took)),
    );
    let follower = program(&["lake", "postgres", "--to", to, "--dir", dir]).stdout(Stdio::null()).spawn();
    let _follower = Running(follower.expect("it starts"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let times = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(to, NoTls).await.expect("the database");
        tokio::spawn(connection);
        let mut times = Times::default();
        for n in 0..=TIMED {
            let tickets = vec![json!({"text": format!("公交晚点{n}"), "type": "投诉举报"})];
            let made = ask_running(city, &Request::New { tickets, user: None })
                .expect("it runs")
                .expect("it is made");
            let began = Instant::now();
            seen(&client, made[0]["id"].as_str().expect("an id")).await;
            if n > 0 {
                times.add(began.elapsed()); // the first waits until the follower has begun
            }
        }
        times
    });
    row(
        "postgres: from a commit until it is seen",
        "-",
        &times,
        "-",
        &format!("{} tickets, one after the other", times.count()),
    );
}

async fn seen(client: &Client, id: &str) {
    while client
        .query("SELECT 1 FROM hotline.ticket WHERE id = $1", &[&id])
        .await
        .expect("an answer")
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
