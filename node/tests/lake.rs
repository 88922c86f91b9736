//! `hotline lake postgres` against a real PostgreSQL: a cluster of its own in a temporary directory, on a socket of its own. Where it is
//! not there this says that it was skipped; under `HOTLINE_CI` it fails then.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Running, Town, both, failed, fails, hotline, json, run, samples, says, tcp_port, text, until};
use serde_json::Value;

const CITY: &str = "370100";

/// A server and its data. Its processes may not be root's: the package's user has them then.
struct Postgres {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    started: Vec<&'static str>,
}

/// Where Debian has the newest version of the server.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    if newest.is_none() {
        assert!(std::env::var_os("HOTLINE_CI").is_none(), "HOTLINE_CI is set and there is no PostgreSQL");
        println!("\n*** SKIPPED: no PostgreSQL here; `.ci/run lake` installs it ***\n");
    }
    newest
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

impl Postgres {
    /// Nothing where it is not installed.
    fn new() -> Option<Postgres> {
        let bin = installed()?;
        let server =
            Postgres { dir: tempfile::tempdir().unwrap(), bin, port: tcp_port(), started: Vec::new() };
        server.belongs_to_it(server.dir.path());
        let data = server.data();
        let auth = ["--auth-local=trust", "--auth-host=scram-sha-256"];
        done(
            server
                .as_it("initdb")
                .args(["-D", &data, "-U", "hotline", "--no-sync", "--encoding=UTF8"])
                .args(auth),
        );
        Some(server)
    }

    fn data(&self) -> String {
        text(&self.dir.path().join("data")).to_owned()
    }

    /// One of its programs, as the user that its server has.
    fn as_it(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.current_dir(self.dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    fn belongs_to_it(&self, path: &Path) {
        if is_root() {
            done(Command::new("chown").arg("postgres").arg(path));
        }
    }

    fn start(&mut self, options: &'static [&'static str]) {
        self.started = options.to_vec();
        self.up();
    }

    fn up(&self) {
        let mut options = format!("-k {} -p {} -c fsync=off", text(self.dir.path()), self.port);
        if self.started.is_empty() {
            options += " -c listen_addresses=";
        }
        self.started.iter().for_each(|option| options += &format!(" -c {option}"));
        let log = self.dir.path().join("log");
        done(
            self.as_it("pg_ctl")
                .args(["-D", &self.data(), "-o", &options, "-l", text(&log), "-w", "start"])
                .stdout(Stdio::null()),
        );
    }

    /// As a power cut leaves it.
    fn down(&self) {
        done(self.as_it("pg_ctl").args(["-D", &self.data(), "-m", "immediate", "-w", "stop"]));
    }

    fn url(&self) -> String {
        format!("postgresql://hotline@/postgres?host={}&port={}", text(self.dir.path()), self.port)
    }

    fn asks(&self, sql: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-h",
            text(self.dir.path()),
            "-p",
            &self.port.to_string(),
            "-U",
            "hotline",
            "-d",
            "postgres",
        ]);
        done(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])).trim_end().to_owned()
    }

    /// The rows of a node that a question finds, as JSON.
    fn rows(&self) -> Vec<Value> {
        let found = self.asks("SELECT coalesce(json_agg(t ORDER BY id), '[]') FROM hotline.ticket t");
        serde_json::from_str(&found).unwrap()
    }

    /// Begins to follow a node; what it says goes to `follow.log`.
    fn follows(&self, town: &Town, dir: &str) -> Running {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(town.path("follow.log")).unwrap();
        let mut command = hotline();
        command.args(["lake", "postgres", "--to", &self.url(), "--dir", &town.at(dir)]);
        Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn catches_up(&self, town: &Town, dir: &str) -> Value {
        json(&["lake", "postgres", "--once", "--to", &self.url(), "--dir", &town.at(dir)])
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.as_it("pg_ctl").args(["-D", &self.data(), "-m", "immediate", "stop"]).output();
    }
}

fn is_root() -> bool {
    done(Command::new("id").arg("-u")).trim() == "0"
}

fn listed(dir: &str) -> Vec<Value> {
    let all = json(&["ticket", "list", "--queue", "all", "--limit", "10000", "--dir", dir]);
    let mut all = all.as_array().unwrap().clone();
    all.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    all
}

/// What table and list both say of a ticket; `None` while they differ in how many there are.
fn compared(rows: &[Value], listed: &[Value]) -> bool {
    let moment = |value: &Value| value.as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap());
    let said = |row: &Value, at: &str, due: &str| {
        let same = ["id", "number", "custodian", "stage"].map(|name| row[name].as_str().unwrap().to_owned());
        (same, row["offered_to"].clone(), moment(&row[at]), moment(&row[due]))
    };
    let table = rows.iter().map(|row| said(row, "taken_at", "due_at"));
    table.eq(listed.iter().map(|row| said(row, "at", "due")))
}

fn agree(server: &Postgres, dir: &str) {
    let (rows, listed) = (server.rows(), listed(dir));
    assert!(compared(&rows, &listed), "{rows:#?}\n{listed:#?}");
}

#[test]
fn the_table_says_what_the_node_says_and_nothing_of_a_caller() {
    let Some(mut server) = Postgres::new() else { return };
    server.start(&[]);
    let town = Town::new(&[CITY]);
    let city = town.at(CITY);
    says(&["ticket", "import", text(&samples()), "--dir", &city]);
    let named = [
        "--name",
        "欧阳娜娜",
        "--phone",
        "13912345678",
        "--plate",
        "鲁A98765",
        "--place",
        "经十路与舜耕路口",
    ];
    let made = json(&[&["ticket", "new", "--dir", &city, "--text", "司机张大山拒载"], &named[..]].concat());
    let first = server.catches_up(&town, CITY);
    assert_eq!((first["rows"].as_u64(), first["rounds"].as_u64()), (Some(66), Some(1)));
    agree(&server, &city);
    // Nothing has changed: nothing is sent.
    let second = server.catches_up(&town, CITY);
    assert_eq!((second["rows"].as_u64(), second["rounds"].as_u64()), (Some(0), Some(0)));
    // The whole database, as text, holds no word of a call and no caller.
    let mut dump = Command::new(server.bin.join("pg_dump"));
    let dump = done(dump.args([
        "-h",
        text(server.dir.path()),
        "-p",
        &server.port.to_string(),
        "-U",
        "hotline",
        "postgres",
    ]));
    assert!(dump.contains(made["number"].as_str().unwrap()), "the dump is one");
    let lines = std::fs::read_to_string(samples()).unwrap();
    let samples: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words = samples
        .iter()
        .flat_map(|line| ["text", "caller_phone", "caller_name", "note"].map(|name| line[name].as_str()));
    let words: Vec<&str> = words.flatten().filter(|word| !word.is_empty()).collect();
    assert!(words.len() > 100);
    for word in
        words.into_iter().chain(named.into_iter().filter(|word| !word.starts_with("--"))).chain(["张大山"])
    {
        let begin: String = word.chars().take(12).collect();
        assert!(!dump.contains(&begin), "{begin}");
    }
    // Every column says what it is.
    let silent = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'hotline' AND table_name = 'ticket'
                  AND col_description('hotline.ticket'::regclass, ordinal_position) IS NULL";
    assert_eq!(server.asks(silent), "0");
    assert_eq!(server.asks("SELECT count(*) FROM hotline.ticket_now WHERE overdue"), "0");
    assert_eq!(
        server.asks("SELECT count(*) FROM hotline.ticket WHERE business = '投诉举报' AND domain IS NOT NULL"),
        {
            let of = |line: &&Value| {
                line["type"] == "投诉举报" && !line["domain"].as_str().unwrap_or_default().is_empty()
            };
            samples.iter().filter(of).count().to_string()
        }
    );
}

#[test]
fn what_happens_is_followed_and_a_database_that_was_away_misses_nothing() {
    let Some(mut server) = Postgres::new() else { return };
    server.start(&[]);
    let town = Town::new(&[CITY]);
    let city = town.at(CITY);
    let _node = town.start(CITY, &[]);
    let _follower = server.follows(&town, CITY);
    let log = || std::fs::read_to_string(town.path("follow.log")).unwrap_or_default();
    until("it follows", || log().contains("following"));
    let new = |words: &str| {
        json(&["ticket", "new", "--dir", &city, "--text", words])["id"].as_str().unwrap().to_owned()
    };
    let (one, two) = (new("公交晚点"), new("出租车绕路"));
    until("both are there", || server.rows().len() == 2);
    json(&["ticket", "answer", &one, "已告知", "--dir", &city]);
    until("it is answered there", || compared(&server.rows(), &listed(&city)));
    assert_eq!(server.asks(&format!("SELECT ended, answered FROM hotline.ticket WHERE id = '{one}'")), "t|t");
    server.down();
    let three = new("地铁");
    json(&["ticket", "erase", &two, "--reason", "保存期满", "--dir", &city]);
    until("it says that the database is away", || log().contains("is not reached"));
    server.up();
    until("the new one is there, and the erased one is not", || {
        let ids: Vec<String> =
            server.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        ids.contains(&three) && !ids.contains(&two)
    });
    let rest: Vec<Value> = listed(&city).into_iter().filter(|row| row["id"] != two.as_str()).collect();
    assert!(compared(&server.rows(), &rest));
    // Two that write the same are told apart.
    server.asks("UPDATE hotline.progress SET round = round + 1");
    new("有轨电车");
    until("it says so", || log().contains("another process writes what 370100 knows"));
}

#[test]
fn a_kill_in_the_middle_of_a_round_loses_and_doubles_nothing() {
    let Some(mut server) = Postgres::new() else { return };
    server.start(&[]);
    let town = Town::new(&[CITY]);
    let city = town.at(CITY);
    // The tables first, then more tickets than go into one page, and a database that hangs before the second one.
    server.catches_up(&town, CITY);
    let line = r#"{"text": "公交晚点", "type": "投诉举报"}"#;
    std::fs::write(town.path("calls.jsonl"), [line; 1_200].join("\n")).unwrap();
    says(&["ticket", "import", &town.at("calls.jsonl"), "--dir", &city]);
    server.asks(
        "TRUNCATE hotline.progress;
         CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF (SELECT count(*) FROM hotline.ticket) >= 1000 THEN PERFORM pg_sleep(3600); END IF; RETURN NULL; END $$;
         CREATE TRIGGER hang BEFORE INSERT ON hotline.ticket FOR EACH STATEMENT EXECUTE FUNCTION hang()",
    );
    let node = town.start(CITY, &[]);
    let follower = server.follows(&town, CITY);
    let hangs = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("the second page hangs", || server.asks(hangs) == "1");
    assert_eq!(server.rows().len(), 1_000);
    drop(follower); // kill -9
    // The node never waited for it.
    json(&["ticket", "new", "--dir", &city, "--text", "地铁"]);
    server.asks("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    until("the server has ended it", || server.asks(hangs) == "0");
    server.asks("DROP TRIGGER hang ON hotline.ticket");
    drop(node);
    let said = server.catches_up(&town, CITY);
    assert_eq!(said["rounds"], 0, "it goes on where it was: {said}");
    assert!((200..=202).contains(&said["rows"].as_u64().unwrap()), "{said}");
    agree(&server, &city);
    assert_eq!(server.asks("SELECT DISTINCT round FROM hotline.ticket"), "1");
}

#[test]
fn a_node_that_was_restored_sends_everything_anew_and_what_it_lost_is_removed() {
    let Some(mut server) = Postgres::new() else { return };
    server.start(&[]);
    let town = Town::new(&[CITY, "370200"]);
    let (city, dest, again) = (town.at(CITY), town.at("backups"), town.at("again"));
    json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]);
    json(&["backup", &dest, "--dir", &city]);
    let late = json(&["ticket", "new", "--dir", &city, "--text", "出租车绕路"]);
    json(&["ticket", "new", "--dir", &town.at("370200"), "--text", "地铁"]);
    server.catches_up(&town, CITY);
    server.catches_up(&town, "370200");
    assert_eq!(server.rows().len(), 3, "two nodes have rows of their own");
    json(&["restore", &dest, "--dir", &again]);
    json(&["ticket", "new", "--dir", &again, "--text", "有轨电车"]);
    let output = run(&["lake", "postgres", "--once", "--to", &server.url(), "--dir", &again]);
    assert!(both(&output).contains("its cursor does not fit the node any more"), "{}", both(&output));
    let ours: Vec<Value> = server.rows().into_iter().filter(|row| row["node"] == CITY).collect();
    assert!(compared(&ours, &listed(&again)));
    assert!(ours.iter().all(|row| row["id"] != late["id"] && row["round"] == 2));
    assert_eq!(server.rows().len(), 3, "the other's row is untouched");
    // Other tables: what rows depend on beside their tickets.
    std::fs::create_dir(town.path("again").join("reference")).unwrap();
    let limits =
        "version,business,domain,topic,urgency,amount,unit,basis\nbuilt-in 1,,,,,9,calendar days,a test\n";
    std::fs::write(town.path("again").join("reference/time_limits.csv"), limits).unwrap();
    let said = server.catches_up(&town, "again");
    assert_eq!((said["rounds"].as_u64(), said["rows"].as_u64()), (Some(1), Some(2)));
    let ours: Vec<Value> = server.rows().into_iter().filter(|row| row["node"] == CITY).collect();
    assert!(compared(&ours, &listed(&again)), "deadlines are those of the new table");
    // A database of another layout is left alone.
    server.asks("UPDATE hotline.progress SET layout = 99");
    fails(&["lake", "postgres", "--once", "--to", &server.url(), "--dir", &again], 4, "layout 99");
}

/// A certificate of an authority of its own for `localhost`: the authority, the certificate, its key.
fn certified() -> (String, String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &key);
    let own = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&own, &issuer)
        .unwrap();
    (authority.pem(), leaf.pem(), own.serialize_pem())
}

#[test]
fn another_machine_is_reached_over_tls_with_a_password_that_nobody_sees() {
    let Some(mut server) = Postgres::new() else { return };
    let (authority, certificate, key) = certified();
    for (name, pem) in [("server.crt", &certificate), ("server.key", &key)] {
        let path = Path::new(&server.data()).join(name);
        std::fs::write(&path, pem).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        server.belongs_to_it(&path);
    }
    server.start(&["listen_addresses=127.0.0.1", "ssl=on"]);
    server.asks("ALTER USER hotline PASSWORD 'geheim'");
    let town = Town::new(&[CITY]);
    let city = town.at(CITY);
    json(&["ticket", "new", "--dir", &city, "--text", "公交晚点"]);
    let (ca, good, bad) = (town.at("ca.pem"), town.at("good"), town.at("bad"));
    std::fs::write(&ca, authority).unwrap();
    std::fs::write(&good, "geheim\n").unwrap();
    std::fs::write(&bad, "falsch-und-geheim\n").unwrap();
    let url = format!("postgresql://hotline@localhost:{}/postgres?sslmode=require", server.port);
    let args = |password: &str, ca: &[&str]| -> Vec<String> {
        let args = ["lake", "postgres", "--once", "--to", &url, "--dir", &city, "--password-file", password];
        args.iter().chain(ca).map(|arg| (*arg).to_owned()).collect()
    };
    let said = |args: &[String], words: &str, code: i32| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(&args);
        failed(&output, &args, code, words);
        assert!(!both(&output).contains("geheim"), "{}", both(&output));
    };
    said(&args(&bad, &["--ca", &ca]), "28P01", 4);
    said(&args(&good, &[]), "is not reached", 75); // by the machine's authorities nobody knows it
    let good = args(&good, &["--ca", &ca]);
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    assert_eq!(json(&good)["rows"], 1);
    assert_eq!(server.asks("SELECT count(*) FROM hotline.ticket"), "1");
    let mut follower: Child = hotline()
        .args(["lake", "postgres", "--to", &url, "--dir", &city, "--ca", &ca])
        .env("PGPASSWORD", "geheim")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _node = town.start(CITY, &[]);
    until("it goes over TLS", || {
        server.asks("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING(pid) WHERE ssl AND application_name = 'hotline'") == "1"
    });
    let follower_seen = std::fs::read(format!("/proc/{}/cmdline", follower.id())).unwrap();
    assert!(!String::from_utf8_lossy(&follower_seen).contains("geheim"));
    follower.kill().unwrap();
    follower.wait().unwrap();
}
