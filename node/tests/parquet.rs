//! `hotline lake parquet`: partitions by month, written again only when something of them was touched. Apache Arrow reads them, where
//! `HOTLINE_ARROW` names a Python that has it; else this says that it was skipped, and under `HOTLINE_CI` it fails then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::path::Path;
use std::process::Command;

use harness::{Town, fails, json as says, samples, text};
use node::daemon::ask_running;
use node::engine::{Engine, Options};
use node::figures::Period;
use node::lake::LakeRequest;
use node::lake::partitions::{Exported, export};
use node::lake::row::COLUMNS;
use node::request::{Reply, Request};
use serde_json::{Value, json};

const CITY: &str = "370100";

/// Reads all partitions of a directory and says of each column its type, and then every row.
const READ: &str = "
import json, sys, pyarrow.dataset as ds
table = ds.dataset(sys.argv[1], format='parquet', partitioning='hive').to_table()
rows = []
for row in table.to_pylist():
    rows.append({k: v if v is None or isinstance(v, (str, bool, int)) else v.isoformat() for k, v in row.items()})
print(json.dumps({'types': {f.name: str(f.type) for f in table.schema}, 'rows': sorted(rows, key=lambda row: row['id'])}))
";

/// What Arrow reads; nothing where it is not there.
fn arrow(dir: &Path) -> Option<Value> {
    let Some(python) = std::env::var_os("HOTLINE_ARROW") else {
        assert!(std::env::var_os("HOTLINE_CI").is_none(), "HOTLINE_CI is set and HOTLINE_ARROW is not");
        println!(
            "\n*** SKIPPED: no Apache Arrow here; `.ci/run lake` installs it and sets HOTLINE_ARROW ***\n"
        );
        return None;
    };
    let said = Command::new(python).args(["-c", READ, text(dir)]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Some(serde_json::from_slice(&said.stdout).unwrap())
}

/// The rows that the node tells, by their ids; moments as Arrow says them.
fn told(dir: &Path) -> Vec<Value> {
    let ask = |request| ask_running(dir, &Request::Lake(request)).unwrap().unwrap();
    let begin = ask(LakeRequest::Begin);
    let cursor = begin["cursor"].as_str().unwrap().to_owned();
    let page = ask(LakeRequest::All { cursor, after: String::new(), limit: 1_000 });
    assert!(page["next"].is_null());
    let moment = |text: &str| {
        text.parse::<jiff::Timestamp>().map(|at| at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
    };
    let row = |row: &Value| {
        let named = COLUMNS.iter().zip(row.as_array().unwrap()).map(|(column, value)| {
            let value = match value.as_str().map(moment) {
                Some(Ok(at)) => at.into(),
                _ => value.clone(),
            };
            (column.name.to_owned(), value)
        });
        Value::Object(named.collect())
    };
    page["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn another_engine_reads_what_the_node_knows() {
    let town = Town::new(&[CITY]);
    let (city, out) = (town.at(CITY), town.at("lake"));
    says(&["ticket", "import", text(&samples()), "--dir", &city]);
    let _node = town.start(CITY, &[]);
    let some = says(&["ticket", "list", "--queue", "all", "--dir", &city]);
    let id = |place: usize| some[place]["id"].as_str().unwrap().to_owned();
    says(&["ticket", "answer", &id(0), "已告知", "--dir", &city]);
    says(&["ticket", "erase", &id(1), "--reason", "保存期满", "--dir", &city]);
    let said = says(&["lake", "parquet", "--out", &out, "--dir", &city]);
    let rows = told(&town.path(CITY));
    assert_eq!(said["rows"], rows.len() as u64, "the erased one is in neither: {said}");
    let month = rows[0]["day"].as_str().unwrap()[..7].to_owned();
    let Some(read) = arrow(&town.path("lake")) else { return };
    let without = |row: &Value| {
        let mut row = row.clone();
        assert_eq!(row.as_object_mut().unwrap().remove("month"), Some(month.clone().into()));
        row
    };
    let read_rows: Vec<Value> = read["rows"].as_array().unwrap().iter().map(without).collect();
    assert_eq!(read_rows, rows);
    assert!(
        rows.iter().any(|row| row["ended_at"].is_string())
            && rows.iter().any(|row| row["ended_at"].is_null())
    );
    for (name, kind) in [
        ("id", "string"),
        ("day", "date32[day]"),
        ("taken_at", "timestamp[us, tz=UTC]"),
        ("returns", "int64"),
        ("ended", "bool"),
    ] {
        assert_eq!(read["types"][name], kind, "{name}");
    }
}

/// A city's node whose clock the test holds.
struct City {
    engine: Engine,
    now: u64,
}

impl City {
    fn at(&mut self, moment: &str) {
        self.now = moment.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
    }

    fn ask(&mut self, request: &Request) -> Reply {
        self.engine.begin(self.now).unwrap();
        let reply = self.engine.ask(request);
        self.engine.commit().unwrap();
        reply
    }

    /// A ticket of this moment; its id.
    fn takes(&mut self, moment: &str) -> String {
        self.at(moment);
        let tickets = vec![json!({"text": "公交晚点", "type": "投诉举报"})];
        let made = self.ask(&Request::New { tickets, user: None }).unwrap();
        made[0]["id"].as_str().unwrap().to_owned()
    }

    fn export(&mut self, out: &Path, period: Option<&str>) -> Exported {
        let period = period.map(|period| Period::named(period).unwrap());
        export(&mut |request| self.ask(&Request::Lake(request)), out, period).unwrap()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn only_months_that_were_touched_are_written_again() {
    let town = Town::new(&[CITY, "370200"]);
    let out = town.path("lake");
    let mut city =
        City { engine: Engine::open(&town.path(CITY), &Options::drawn().unwrap()).unwrap(), now: 0 };
    let august = city.takes("2026-08-03T10:00:00+08:00");
    let september = city.takes("2026-09-01T00:00:00+08:00");
    city.takes("2026-09-30T23:59:59+08:00");
    let written = |exported: &Exported| exported.written.clone().into_iter().collect::<Vec<_>>();
    let only = |month: &str, rows: u64| vec![(month.to_owned(), rows)];
    // First one month, then what is left, then nothing.
    assert_eq!(written(&city.export(&out, Some("2026-08"))), only("2026-08", 1));
    let second = city.export(&out, None);
    assert_eq!((written(&second), second.kept, second.rows), (only("2026-09", 2), 1, 3));
    let third = city.export(&out, Some("2026-Q3"));
    assert_eq!((written(&third), third.kept, third.bytes), (vec![], 2, second.bytes));
    assert_eq!(names(&out), ["_lock", "_manifest.json", "month=2026-08", "month=2026-09"]);
    assert_eq!(names(&out.join("month=2026-09")), ["part-0.parquet"]);
    // Tickets of one month are touched, or one of another comes.
    city.ask(&Request::Note { id: september.clone(), text: "回电".to_owned(), user: None }).unwrap();
    city.takes("2026-10-01T08:00:00+08:00");
    assert_eq!(city.export(&out, Some("2026-Q4")).written.keys().collect::<Vec<_>>(), ["2026-10"]);
    assert_eq!(
        written(&city.export(&out, None)),
        only("2026-09", 2),
        "it was touched before the run that left it out"
    );
    // What was erased goes, and a month of which nothing is left goes with it.
    for id in [&august, &september] {
        let (id, reason) = (id.clone(), "保存期满".to_owned());
        city.ask(&Request::Erase { id, reason, user: Some("li".to_owned()) }).unwrap();
    }
    let fourth = city.export(&out, None);
    assert_eq!(
        (written(&fourth), fourth.removed, fourth.kept),
        (only("2026-09", 1), vec!["2026-08".to_owned()], 1)
    );
    assert_eq!(names(&out), ["_lock", "_manifest.json", "month=2026-09", "month=2026-10"]);
    // Without a manifest that is understood nothing is believed; a run that ended before it was written costs only work.
    std::fs::remove_file(out.join("_manifest.json")).unwrap();
    assert_eq!(city.export(&out, None).written.len(), 2);
    std::fs::write(out.join("_manifest.json"), "{").unwrap();
    let said = export(&mut |request| city.ask(&Request::Lake(request)), &out, None).unwrap_err();
    assert!(said.message.contains("is no manifest"), "{said:?}");
    std::fs::remove_file(out.join("_manifest.json")).unwrap();
    city.export(&out, None);
    // An older past: its cursors fit nothing, and nothing is kept.
    let manifest = std::fs::read_to_string(out.join("_manifest.json")).unwrap();
    let cursor =
        city.ask(&Request::Changes { after: None, limit: 1 }).unwrap()["next"].as_str().unwrap().to_owned();
    std::fs::write(out.join("_manifest.json"), manifest.replace(&cursor, "3-0000000000000000")).unwrap();
    assert_eq!(city.export(&out, None).written.len(), 2);
    // The same ticket under two names would be two: each node has a directory of its own.
    drop(city);
    let (out, other) = (text(&out), town.at("370200"));
    fails(&["lake", "parquet", "--out", out, "--dir", &other], 2, "holds what 370100 knows");
    fails(&["lake", "parquet", "--out", out, "--period", "2026-Q5", "--dir", &other], 2, "2026-Q3");
}
