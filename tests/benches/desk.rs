//! The desk of a city with a million tickets: every kind of page, one after the other, and a busy hall with citizens at the
//! public page. The node is the real program; agents come over HTTPS, citizens over HTTP through a proxy of the machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use node::daemon::now_ms;
use node::knowledge::request::KnowledgeRequest;
use node::request::{Act, Request};
use node::users::{Role, Users};
use serde_json::Value;
use world::bench::browser::{Browser, Place};
use world::bench::hall::{ACTION, BESIDE, Hall, LIVE, PAGE, PASSWORD, SIGN_IN, agent};
use world::bench::nodes::{CITY, PROVINCE, Registry, asked, free, open};
use world::bench::pages::KINDS;
use world::bench::process::{cpu, cpu_of, peak_of};
use world::bench::report::{Times, begin, ms, row, s};
use world::bench::sheet::Sheet;
use world::bench::street::{FILING, FORM, QUERY, Street};
use world::bench::tickets::{Dice, ticket};
use world::bench::{Wanted, hub};
use world::city::{Daemon, Program, until};

/// People who have called before.
const CALLERS: usize = 500;

/// Tickets on their way to the province.
const OFFERED: usize = 120;

/// The most matters of the public page in an hour that can be allowed.
const PER_HOUR: u64 = 10_000;

/// Somebody who sees every page.
const LEAD: &str = "lead";

fn main() {
    let wanted = Wanted::read();
    let count = wanted.size(1_000_000, 20_000);
    let agents = wanted.size(200, 10);
    begin("the desk at a million tickets");
    let dir = tempfile::tempdir().expect("a directory");
    let city = dir.path().join("city");
    let callers = make(dir.path(), &city, count, agents);
    if wanted.wants("pages") {
        let mut node = Node::start(&city, dir.path());
        pages(&node, &callers, count, wanted.size(100, 3));
        node.stop();
    }
    if wanted.wants("load") {
        let mut node = Node::start(&city, dir.path());
        // A round of a minute: what two hundred people do who are all busy. The first round is not measured.
        let (round, long) = match wanted.quick {
            false => (Duration::from_secs(60), Duration::from_secs(90)),
            true => (Duration::from_secs(5), Duration::from_secs(6)),
        };
        busy(&node, callers, agents, wanted.size(50, 10) as u64, round, long);
        node.stop();
    }
}

/// Makes the city; the numbers of those who have called before.
fn make(dir: &Path, city: &Path, count: usize, agents: usize) -> Vec<String> {
    let mut registry = Registry::default();
    let spare = dir.join("spare");
    registry.found(city, CITY, &[PROVINCE]);
    registry.found(&spare, CITY, &[PROVINCE]);
    let began = Instant::now();
    hub::fill_with_a_year(city, &spare, &registry.identity(CITY), count);
    let wrote = began.elapsed();

    // What rows alone do not make: callers, tickets on their way, articles, accounts.
    let mut engine = open(city);
    let mut dice = Dice::new(11);
    let tickets: Vec<Value> = (0..CALLERS).map(|_| ticket(&mut dice, true)).collect();
    let callers = tickets.iter().map(|t| t["caller_phone"].as_str().expect("a number").to_owned()).collect();
    let made = asked(&mut engine, &Request::New { tickets, user: None });
    for ticket in made.as_array().expect("tickets").iter().take(OFFERED) {
        let id = ticket["id"].as_str().expect("an id").to_owned();
        let act = Act::Offer { to: PROVINCE.to_owned(), reason: dice.text(6) };
        asked(&mut engine, &Request::Act { id, act, user: None });
    }
    while engine.is_behind().expect("an answer") {
        engine.begin(now_ms()).expect("a transaction");
        engine.catch_up().expect("words are indexed");
        engine.commit().expect("it is durable");
    }
    let articles = include_str!("../../fixtures/kb.jsonl").lines().map(|line| {
        let mut article: Value = serde_json::from_str(line).expect("an article");
        (article["region_code"], article["level"]) = (CITY.into(), "city".into());
        article
    });
    let (reviewer, user) = (Some("zhao".to_owned()), Some("li".to_owned()));
    let import = KnowledgeRequest::Import { articles: articles.collect(), reviewer, user };
    asked(&mut engine, &Request::Knowledge(import));
    drop(engine);
    let names: Vec<String> = (0..agents).map(name).collect();
    std::thread::scope(|scope| {
        for half in names.chunks(names.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(|name| account(city, name, Role::Agent)));
        }
    });
    account(city, LEAD, Role::ShiftLeader);
    println!(
        "\n{count} tickets of a year written row by row in {}, {CALLERS} more with callers, {agents} accounts\n",
        s(wrote)
    );
    callers
}

fn name(at: usize) -> String {
    format!("agent-{at}")
}

fn account(city: &Path, name: &str, role: Role) {
    let users = Users::open(city).expect("accounts");
    let (account, first) = users.add(name, role, now_ms()).expect("an account");
    assert!(users.change_password(&account, &first, PASSWORD).expect("a password"));
}

/// The program at work, with a desk and a public page.
struct Node {
    daemon: Daemon,
    desk: SocketAddr,
    door: SocketAddr,
    ca: PathBuf,
}

impl Node {
    fn start(city: &Path, dir: &Path) -> Node {
        let program = Program::new(env!("CARGO_BIN_EXE_hotline-under-test"));
        let [desk, door] = [(); 2].map(|()| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address")
        });
        let env = [
            ("HOTLINE_DESK", desk.to_string()),
            ("HOTLINE_DESK_NAMES", "localhost".to_owned()),
            ("HOTLINE_PUBLIC", door.to_string()),
            ("HOTLINE_PUBLIC_PROXIES", "127.0.0.1".to_owned()),
            ("HOTLINE_PUBLIC_PER_HOUR", PER_HOUR.to_string()),
        ]
        .map(|(name, value)| (name, value.into()));
        let began = Instant::now();
        let mut daemon = Daemon::start(&program, city, free(), &[], &dir.join("node.log"), &env);
        assert!(daemon.ready(), "{}", daemon.log());
        let up = |address| std::net::TcpStream::connect(address).map(drop).map_err(|e| e.to_string());
        until("desk and public page are served", || up(desk).and_then(|()| up(door)));
        println!("\nthe node serves pages {} after it was started\n", s(began.elapsed()));
        Node { daemon, desk, door, ca: city.join("desk/ca.crt") }
    }

    fn process(&self) -> String {
        self.daemon.id().to_string()
    }

    fn stop(&mut self) {
        self.daemon.stop();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Every kind of page, one after the other, by one browser; nobody else is there.
fn pages(node: &Node, callers: &[String], count: usize, rounds: usize) {
    runtime().block_on(async {
        let mut browser = Browser::new(Place::secure(node.desk, &node.ca));
        browser.sign_in(LEAD, PASSWORD).await.expect("a session");
        let (mut dice, mut ids) = (Dice::new(23), Vec::new());
        for kind in KINDS {
            let (mut times, mut bytes) = (Times::default(), 0);
            for _ in 0..rounds {
                let (path, fields) = kind.asks(&mut dice, count, callers, &ids);
                let fields: Vec<(&str, &str)> = fields.iter().map(|(n, text)| (*n, text.as_str())).collect();
                let began = Instant::now();
                let said = if fields.is_empty() {
                    browser.get(&path).await
                } else {
                    browser.post(&path, &fields).await
                };
                times.add(began.elapsed());
                let page = said.unwrap_or_else(|e| panic!("{}: {e}", kind.name()));
                assert_eq!(page.status, 200, "{}: {}", kind.name(), page.body);
                bytes = page.body.len();
                ids.extend(page.tickets().step_by(7).map(str::to_owned).take(if ids.len() < 10_000 {
                    50
                } else {
                    0
                }));
            }
            let worst = ms(times.at(1.0));
            row(
                &kind.name(),
                "p99 < 100 ms",
                format!("{times}, worst {worst} ms"),
                "-",
                &format!("{rounds} times, {bytes} B"),
            );
        }
        let process = node.process();
        let cost = format!(
            "{} MiB at most, {} of CPU since it was started",
            peak_of(&process) >> 20,
            s(cpu_of(&process))
        );
        row("the node after all these pages", "-", cost, "-", "");
    });
}

/// All agents and all citizens at once.
fn busy(node: &Node, callers: Vec<String>, agents: usize, a_second: u64, round: Duration, long: Duration) {
    let process = node.process();
    runtime().block_on(async {
        let before = Arc::new(Sheet::open(Duration::ZERO, Duration::ZERO, &[]));
        let street = Street::new(node.door, before.clone());
        street.begin(20).await;
        assert_eq!(before.faults().0, 0, "{:?}", before.faults().1);
        // Agents come within the first round; it is measured when all are there.
        let sheet = Arc::new(Sheet::open(round + round / 6, long, &[SIGN_IN]));
        let street = Arc::new(street.with(sheet.clone()));
        let hall = Hall { desk: node.desk, ca: node.ca.clone(), round, callers, sheet: sheet.clone() };
        let hall = Arc::new(hall);
        let mut all = tokio::task::JoinSet::new();
        (0..agents).for_each(|at| drop(all.spawn(agent(hall.clone(), name(at), 1_000 + at as u64))));
        let citizens = tokio::spawn(async move { street.comes(a_second).await });
        let (from, until) = sheet.span();
        tokio::time::sleep_until(from.into()).await;
        let (cpu_before, own_before) = (cpu_of(&process), cpu());
        tokio::time::sleep_until(until.into()).await;
        let (took, own) = (cpu_of(&process) - cpu_before, cpu() - own_before);
        let memory = peak_of(&process) >> 20;
        while all.join_next().await.is_some() {}
        let impatient = citizens.await.expect("the street");

        let seconds = long.as_secs_f64();
        let work = format!("{agents} agents, {a_second} public requests a second");
        for (what, reach, remarks) in [
            (PAGE, "p99 < 100 ms", "what an agent opens"),
            (ACTION, "-", "calls saved and answered, notes; durable"),
            (BESIDE, "-", "earlier tickets, duplicates and articles, drafts"),
            (LIVE, "-", "what open pages look at by themselves"),
            (QUERY, "-", "by number and code"),
            (FORM, "-", ""),
            (FILING, "-", "durable"),
            (SIGN_IN, "-", "form, password and first page; within the round before"),
        ] {
            let times = sheet.times(what);
            let rate = times.count() as f64 / seconds;
            let rate = if what == SIGN_IN { String::new() } else { format!(", {rate:.1} a second") };
            let measured = format!("{times}, worst {} ms; {}{rate}", ms(times.at(1.0)), times.count());
            row(&format!("{work}: {what}"), reach, measured, "-", remarks);
        }
        let share = |cpu: Duration| format!("{:.2}", cpu.as_secs_f64() / seconds);
        let (faults, first) = sheet.faults();
        let cost = format!(
            "{memory} MiB at most; {} cores for the node, {} for the load itself; {faults} errors in {seconds:.0} s and the \
             round before; who filed too much: {} taken, {} refused",
            share(took),
            share(own),
            impatient.taken,
            impatient.refused
        );
        row(&work, "no error", cost, "-", "both on the same cores");
        assert_eq!(faults, 0, "{first:#?}\n{}", node.daemon.log());
        assert!(impatient.taken <= 11 && impatient.taken > 0, "{impatient:?}");
    });
}
