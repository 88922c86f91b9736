//! A stick: everything for a peer that has nothing, written, read and answered, each side a process of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use node::bundles::{PART, Report, read, write};
use node::daemon::now_ms;
use node::engine::Engine;
use node::request::{Reply, Request};
use serde_json::{Value, json};
use sync::replica::Basis;
use world::bench::nodes::{CITY, PROVINCE, Registry, Seals, make_tickets, open};
use world::bench::process::{Part, cpu, part, peak, told};
use world::bench::report::{begin, bytes, row, s, times};
use world::bench::{Wanted, bound};

fn main() {
    if let Some((what, arguments)) = part() {
        return side(&what, &arguments);
    }
    let wanted = Wanted::read();
    let count = wanted.size(10_400, 500);
    begin("bundles");
    for (at, (what, person)) in [("no person", false), ("person and grants", true)].into_iter().enumerate() {
        if wanted.wants(what) {
            run(what, count, person, at as u64);
        }
    }
}

fn run(what: &str, count: usize, person: bool, seed: u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let (city, province) = (dir.path().join("city"), dir.path().join("province"));
    let stick = |name: &str| {
        let stick = dir.path().join(name);
        std::fs::create_dir(&stick).expect("a directory");
        stick
    };
    let (there, back) = (stick("there"), stick("back"));
    let mut registry = Registry::default();
    // Made where fsync costs nothing, and copied: what is measured is the stick.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let made = memory.path().join("city");
    registry.found(&made, CITY, &[PROVINCE]);
    registry.found(&province, PROVINCE, &[]);
    make_tickets(&made, count, person, Seals::Later, seed);
    drop(open(&made)); // its start seals what is left
    let changes = bound::changes(&made);
    world::city::copy(&made, &city);
    drop(memory);
    let packed = bound::zstd(&changes);

    let written = told_by("export", &city, &there, PROVINCE);
    let taken = told_by("import", &province, &there, CITY);
    assert_eq!(taken["equal"], true, "all of it came: {taken}");
    let answered = told_by("export", &province, &back, CITY);
    let settled = told_by("import", &city, &back, PROVINCE);
    assert!(settled["settled"].as_u64() >= Some(changes.len() as u64), "everything is settled: {settled}");

    let size = written["bytes"].as_u64().unwrap_or_default();
    let rate = |said: &Value| format!("{:.0}/s", count as f64 / took(said).as_secs_f64());
    let cost = |said: &Value| {
        format!("{} CPU, {} MiB", s(Duration::from_millis(number(said, "cpu"))), number(said, "peak") >> 20)
    };
    row(
        &format!("a bundle of {count} tickets, {what}"),
        "-",
        format!(
            "written in {} ({}), {}; taken in in {} ({}), {}; {:.0} B a ticket; the answers back in {}",
            s(took(&written)),
            rate(&written),
            cost(&written),
            s(took(&taken)),
            rate(&taken),
            cost(&taken),
            size as f64 / count as f64,
            s(took(&answered) + took(&settled)),
        ),
        format!(
            "bytes {} of {} (zstd of the changes in one stream)",
            times(size as f64, packed as f64),
            bytes(packed)
        ),
        &format!("{} changes, {} files of the stick", changes.len(), written["files"]),
    );
}

fn number(said: &Value, name: &str) -> u64 {
    said[name].as_u64().unwrap_or_default()
}

fn took(said: &Value) -> Duration {
    Duration::from_micros(number(said, "us"))
}

/// What a process of its own says of one trip.
fn told_by(what: &str, dir: &Path, stick: &Path, other: &str) -> Value {
    let mut part = Part::start(what, &[text(dir), text(stick), other]);
    let said = serde_json::from_str(&part.hear()).expect("one line of JSON");
    part.end();
    said
}

/// One trip, on the directory itself, as `hotline bundle` does it.
fn side(what: &str, arguments: &[String]) {
    let [dir, stick, other] = arguments else { panic!("three arguments") };
    let mut engine = open(Path::new(dir));
    let (before, began) = (cpu(), Instant::now());
    let mut said = match what {
        "export" => {
            let to = [other.clone()];
            let mut ask = |request| ask(&mut engine, Request::Bundle(request));
            let exported =
                write(&mut ask, &to, Path::new(stick), PART, Basis::Acknowledged).expect("it is written");
            assert!(exported.stopped.is_none(), "{exported:?}");
            let size: u64 = exported.files.iter().map(|f| f.size).sum();
            json!({ "bytes": size, "files": exported.files.len() })
        }
        _ => {
            let mut ask = |request| ask(&mut engine, Request::Bundle(request));
            let report: Report = read(&mut ask, &[PathBuf::from(stick)]).expect("it is read");
            assert_eq!((report.odd(), report.waiting()), (0, 0), "{report:?}");
            json!({ "taken": report.taken(), "settled": report.settled, "equal": report.equal.get(other) })
        }
    };
    said["us"] = json!(began.elapsed().as_micros() as u64);
    said["cpu"] = json!((cpu() - before).as_millis() as u64);
    said["peak"] = json!(peak());
    println!("{said}");
    let _ = told(); // until whoever started it has heard
}

fn ask(engine: &mut Engine, request: Request) -> Reply {
    engine.begin(now_ms())?;
    let reply = engine.ask(&request);
    engine.commit()?;
    reply
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
