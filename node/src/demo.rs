//! A network on one machine: ministry, two provinces, four cities and an office, with sample calls and a past of a month or two.
//!
//! Eight real nodes in one process, each with its own directory, identity and certificate chain made on the spot,
//! linked by real QUIC on 127.0.0.1; but the office has no line, and a courier carries its stick. A command line works on
//! any of them through its local socket.

mod articles;
mod courier;
mod history;
mod page;
mod rules;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certs::{Authority, Identity, NodeKeys, NodeName, SecretKey, Site, UnixTime};
use serde_json::{Value, json};
use sync::quic::Congestion;

use crate::china;
use crate::daemon::{Node, RunOptions, now_ms};
use crate::desk::DeskOptions;
use crate::engine::{Engine, IDENTITY};
use crate::figures::Period;
use crate::files::FileLimits;
use crate::hex::hex;
use crate::knowledge::request::KnowledgeRequest;
use crate::public::PublicOptions;
use crate::request::{Act, Failure, FailureKind, Language, Request, Sift, Sort};
use crate::users::{Role, Users};
pub use page::ACCOUNT;

use courier::{CITY, Courier, OFFICE, Orders, serves};

/// The nodes of the demo.
pub const NODES: [&str; 8] =
    ["000000", "370000", "510000", "370100", "370200", "510100", "510700", "370100-01"];

/// The cities, each beside the one that its calls about other places go to.
const CITIES: [(&str, &str); 4] =
    [("370100", "370200"), ("370200", "370100"), ("510100", "510700"), ("510700", "510100")];

/// Whose page for citizens is served.
const PUBLIC: &str = "370000";

/// The sample calls.
const SAMPLES: &str = include_str!("../../fixtures/samples.jsonl");

/// How long papers last, in days.
const TERM: u64 = 90;

/// How long the past waits until all have met, and until all have told what happened.
const PATIENCE: Duration = Duration::from_secs(600);

/// Those that freeze last month.
const FREEZING: [&str; 3] = ["370000", "510000", "000000"];

/// The name of the demo's control socket in its directory.
const CONTROL: &str = "demo.sock";

/// A running demo.
pub struct Demo {
    nodes: BTreeMap<NodeName, Node>,
    dir: PathBuf,
    orders: Orders,
    /// With whoever stops the demo.
    courier: Option<Courier>,
    /// How many tickets of the past were made.
    past: usize,
}

fn failed(what: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, what).because(cause)
}

fn name(text: &str) -> Result<NodeName, Failure> {
    text.parse().map_err(|e| Failure::new(FailureKind::Usage, e))
}

impl Demo {
    /// Makes identities and directories where there are none, and starts every node on `port` and the seven after. `desks`:
    /// each serves its desk on the TCP port of the same number, with an account that is ready; the map of all is on the
    /// ninth, and a province's page for citizens, with its figures, on the tenth. `past`: directories that are made have one (see [`history`]).
    pub async fn start(dir: &Path, port: u16, desks: bool, past: bool) -> Result<Demo, Failure> {
        free(port)?;
        let names: Vec<NodeName> = NODES.iter().map(|n| name(n)).collect::<Result<_, _>>()?;
        let mut made = 0;
        if !dir.join("000000").join("node.db").exists() {
            made = make(dir, &names, past)?;
        }
        let address = |node: NodeName| {
            let place = names.iter().position(|n| *n == node).unwrap_or_default() as u16;
            SocketAddr::from((Ipv4Addr::LOCALHOST, port + place))
        };
        let public = SocketAddr::from((Ipv4Addr::LOCALHOST, Demo::public_port(port)));
        let mut nodes = BTreeMap::new();
        for node in &names {
            let linked = |other: &NodeName| {
                let tree = node.site().superior() == Some(other.site())
                    || other.site().superior() == Some(node.site());
                tree && !serves(&node.to_string(), &other.to_string())
            };
            let peers = names.iter().filter(|o| linked(o)).map(|o| (*o, vec![address(*o)])).collect();
            let options = RunOptions {
                dir: dir.join(node.to_string()),
                listen: address(*node),
                peers,
                http: None,
                congestion: Congestion::Bbr,
                files: FileLimits::default(),
                desk: DeskOptions { listen: desks.then(|| address(*node)), ..DeskOptions::default() },
                public: PublicOptions {
                    listen: (desks && node.to_string() == PUBLIC).then_some(public),
                    figures: true,
                    ..PublicOptions::default()
                },
                sms: crate::sms::SmsOptions::default(),
                sip: crate::sip::SipOptions::default(),
                retention: None,
            };
            nodes.insert(*node, Node::start(options).await?);
        }
        let (dir_of, orders) = (dir.to_owned(), Orders::default());
        let mut demo = Demo { nodes, dir: dir_of, orders, courier: None, past: made };
        demo.introduce().await?;
        demo.courier = Some(Courier::begin(dir, demo.orders.clone()));
        demo.listen()?;
        if desks {
            demo.accounts().await?;
            let map = SocketAddr::from((Ipv4Addr::LOCALHOST, Demo::map_port(port)));
            page::serve(demo.handle(), map, port).await?;
        }
        Ok(demo)
    }

    /// Where the map is, when the first node is on `port`.
    pub fn map_port(port: u16) -> u16 {
        port + NODES.len() as u16
    }

    /// Where the page for citizens is.
    pub fn public_port(port: u16) -> u16 {
        Demo::map_port(port) + 1
    }

    /// The same demo for somebody else's hands; the courier stays with whoever stops it.
    fn handle(&self) -> Demo {
        let (nodes, dir, orders) = (self.nodes.clone(), self.dir.clone(), self.orders.clone());
        Demo { nodes, dir, orders, courier: None, past: self.past }
    }

    /// An account at every desk, with a password of its own already: hashed on all cores, since it takes its time.
    async fn accounts(&self) -> Result<(), Failure> {
        let mut made = tokio::task::JoinSet::new();
        for node in self.nodes.keys() {
            let dir = self.dir.join(node.to_string());
            made.spawn_blocking(move || {
                let users = Users::open(&dir)?;
                if users.named(ACCOUNT.name).is_ok() {
                    return Ok(());
                }
                let (account, first) = users.add(ACCOUNT.name, Role::ShiftLeader, now_ms())?;
                users.change_password(&account, &first, ACCOUNT.password).map(drop)
            });
        }
        while let Some(done) = made.join_next().await {
            done.map_err(|e| failed("an account could not be made", e))??;
        }
        Ok(())
    }

    /// The office and its city take in each other's records: what a stick is sealed to.
    async fn introduce(&self) -> Result<(), Failure> {
        for (node, other) in [(OFFICE, CITY), (CITY, OFFICE)] {
            let identity = Identity::load(&self.dir.join(other).join(IDENTITY))
                .map_err(|e| failed("an identity cannot be read", e))?;
            let hex = hex(identity.record().bytes());
            self.ask(node, Request::Admit { kind: "record".to_owned(), hex }).await?;
        }
        Ok(())
    }

    fn node(&self, given: &str) -> Result<&Node, Failure> {
        let unknown = || {
            Failure::new(FailureKind::Usage, format!("the demo has no node {given}"))
                .hint(format!("its nodes: {}", NODES.join(", ")))
        };
        self.nodes.get(&name(given)?).ok_or_else(unknown)
    }

    /// Gives every sample call to the node whose city took it, or by turns to the demo's cities.
    pub async fn load_samples(&self) -> Result<usize, Failure> {
        let cities = CITIES.map(|(city, _)| city);
        let mut by_city: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let mut count = 0;
        for (i, line) in SAMPLES.lines().enumerate() {
            let sample: Value =
                serde_json::from_str(line).map_err(|e| failed("a sample call cannot be read", e))?;
            let took = sample["region_code"].as_str().unwrap_or_default();
            let city = cities.iter().find(|c| **c == took).unwrap_or(&cities[i % cities.len()]);
            by_city.entry(city).or_default().push(sample);
            count += 1;
        }
        for (city, tickets) in by_city {
            self.node(city)?.ask(Request::New { tickets, user: None }).await?;
        }
        Ok(count)
    }

    /// How many tickets of the past were made when this one began.
    pub fn past(&self) -> usize {
        self.past
    }

    /// Goes on with the past once all have met: what becomes of articles, of what cities were offered they accept all but the newest, and
    /// last month is frozen where it is not yet and calls were taken in it. Somebody may cut a link before, so this waits for long and
    /// not for ever; what was not reached, the next start begins anew.
    pub fn complete(&self) {
        let demo = self.handle();
        tokio::spawn(async move {
            if let Err(failure) = demo.completed().await {
                tracing::warn!(%failure, causes = ?failure.causes, "the demo's past was not completed");
            }
        });
    }

    async fn completed(&self) -> Result<(), Failure> {
        if !self.articles_are_read().await {
            self.converged(PATIENCE, &[]).await?;
            self.read_articles().await?;
        }
        let month = Period::last_month(china::today(now_ms()));
        let mut open = Vec::new();
        for site in FREEZING {
            if !self.has_frozen(site, month).await? {
                open.push(site);
            }
        }
        if open.is_empty() || self.taken(PUBLIC, month).await? == 0 {
            return Ok(());
        }
        self.converged(PATIENCE, &[]).await?;
        self.accept_offers().await?;
        let asked = self.ask_for_days().await?;
        self.converged(PATIENCE, &[]).await?;
        if let Some((id, entry)) = asked {
            let act = Act::Extend { days: Some(3), reason: "同意".to_owned(), grant: Some(entry) };
            self.ask(PUBLIC, Request::Act { id, act, user: Some("zhao".to_owned()) }).await?;
        }
        for site in open {
            self.told(site, month).await?;
            let (month, user) = (month.month_name(), Some("zhao".to_owned()));
            self.ask(site, Request::Freeze { month, reason: None, user }).await?;
        }
        Ok(())
    }

    /// A city asks its province for more days for the oldest complaint that it works on; the ticket and the entry that asks.
    async fn ask_for_days(&self) -> Result<Option<(String, String)>, Failure> {
        let sift = Sift { business: Some("投诉举报".to_owned()), sort: Sort::Oldest, ..Sift::default() };
        let list = Request::List { queue: "held".to_owned(), sift, limit: 50, before: None };
        let held = self.ask(CITY, list).await?;
        let mut open = held.as_array().into_iter().flatten().filter(|row| row["offered_to"].is_null());
        let Some(id) = open.next().and_then(|row| row["id"].as_str()).map(str::to_owned) else {
            return Ok(None);
        };
        let act = Act::Extend { days: Some(5), reason: "需现场核查".to_owned(), grant: None };
        let done = self.ask(CITY, Request::Act { id: id.clone(), act, user: Some("li".to_owned()) }).await?;
        Ok(done["entry"].as_str().map(|entry| (id, entry.to_owned())))
    }

    async fn accept_offers(&self) -> Result<(), Failure> {
        for (city, _) in CITIES {
            let list = Request::List {
                queue: "to-accept".to_owned(),
                sift: Sift::default(),
                limit: 50,
                before: None,
            };
            let offered = self.ask(city, list).await?;
            for row in offered.as_array().into_iter().flatten().skip(1) {
                let id = row["id"].as_str().unwrap_or_default().to_owned();
                let user = Some("zhang".to_owned());
                self.ask(city, Request::Act { id, act: Act::Accept {}, user }).await?;
            }
        }
        Ok(())
    }

    async fn has_frozen(&self, site: &str, month: Period) -> Result<bool, Failure> {
        let frozen = self.ask(site, Request::Months { site: None, limit: 24 }).await?;
        let name = month.month_name();
        Ok(frozen.as_array().into_iter().flatten().any(|row| row["month"] == name.as_str()))
    }

    async fn taken(&self, site: &str, month: Period) -> Result<u64, Failure> {
        let (from, to) = (month.from().to_string(), month.last().to_string());
        let report = self.ask(site, Request::Figures { from, to, by: None }).await?;
        let figure = report["figures"].as_array().into_iter().flatten().find(|f| f["id"] == "taken");
        Ok(figure.and_then(|f| f["count"].as_u64()).unwrap_or_default())
    }

    /// Waits until a site has been told everything of a month.
    async fn told(&self, site: &str, month: Period) -> Result<(), Failure> {
        let began = tokio::time::Instant::now();
        loop {
            let scorecard = Request::Scorecard { month: month.month_name(), site: None };
            let answer = self.ask(site, scorecard).await?;
            let units = answer["table"]["units"].as_array().into_iter().flatten();
            let untold: Vec<String> = units
                .flat_map(|unit| unit["untold"].as_array().into_iter().flatten())
                .map(Value::to_string)
                .collect();
            if untold.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let why = format!("{site} does not know all of {}", month.month_name());
                return Err(failed(&why, format!("not told yet: {}", untold.join(", "))));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Cuts a link of the demo, or heals it, in both directions.
    pub async fn hold(&self, a: &str, b: &str, down: bool) -> Result<(), Failure> {
        let (x, y) = (self.node(a)?, self.node(b)?);
        if x.name().site().superior() != Some(y.name().site())
            && y.name().site().superior() != Some(x.name().site())
        {
            return Err(Failure::new(FailureKind::Usage, format!("{a} and {b} have no link of their own"))
                .hint("links follow the tree: office - city - province - ministry"));
        }
        if serves(a, b) {
            self.orders.stay(down);
            return Ok(());
        }
        x.hold(y.name(), down).await;
        y.hold(x.name(), down).await;
        Ok(())
    }

    /// Every node's status, in the order of their names. The pair that has a stick and no line says so: `by_stick` is
    /// `equal`, `apart`, or `at home`.
    pub async fn status(&self) -> Result<Vec<Value>, Failure> {
        let by_stick = match (self.stick_equals().await, self.orders.stays()) {
            (true, _) => "equal",
            (false, true) => "at home",
            (false, false) => "apart",
        };
        let mut all = Vec::new();
        for node in self.nodes.values() {
            let mut status = node.ask(Request::Status).await?;
            let me = status["node"].as_str().unwrap_or_default().to_owned();
            for peer in status["peers"].as_array_mut().into_iter().flatten() {
                if serves(&me, peer["node"].as_str().unwrap_or_default()) {
                    peer["by_stick"] = by_stick.into();
                }
            }
            all.push(status);
        }
        Ok(all)
    }

    /// Whether the office and its city hold the same: both ends' digests, compared here.
    async fn stick_equals(&self) -> bool {
        let digest = |node, peer: &str| self.ask(node, Request::Digest { peer: peer.to_owned() });
        match (digest(OFFICE, CITY).await, digest(CITY, OFFICE).await) {
            (Ok(ours), Ok(theirs)) => {
                (&ours["count"], &ours["digest"]) == (&theirs["count"], &theirs["digest"])
            }
            _ => false, // before the first stick
        }
    }

    /// Waits until every link is up and proved equal, except those held down; an error after `limit`.
    pub async fn converged(&self, limit: Duration, down: &[(&str, &str)]) -> Result<Duration, Failure> {
        let began = tokio::time::Instant::now();
        loop {
            let all = self.status().await?;
            let mut open: Vec<String> = all.iter().flat_map(|s| unproved(s, down)).collect();
            if !self.orders.stays() && !self.stick_equals().await {
                open.push(format!("{OFFICE} - {CITY}: by stick"));
            }
            if open.is_empty() {
                return Ok(began.elapsed());
            }
            if began.elapsed() > limit {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("not every pair was proved equal within {} s", limit.as_secs()),
                )
                .because(open.join("; ")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks one node.
    pub async fn ask(&self, node: &str, request: Request) -> Result<Value, Failure> {
        self.node(node)?.ask(request).await
    }

    /// Stops every node.
    pub async fn stop(mut self) {
        if let Some(courier) = self.courier.take() {
            courier.end().await;
        }
        let _ = std::fs::remove_file(self.dir.join(CONTROL));
        for node in self.nodes.into_values() {
            node.stop().await;
        }
    }

    /// Takes `cut A B`, `heal A B` and `status` on the control socket.
    fn listen(&self) -> Result<(), Failure> {
        use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
        let path = self.dir.join(CONTROL);
        let _ = std::fs::remove_file(&path);
        let listener = tokio::net::UnixListener::bind(&path)
            .map_err(|e| failed("the demo's control socket cannot be made", e))?;
        let shared = self.handle();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let demo = shared.handle();
                tokio::spawn(async move {
                    let (read, mut write) = stream.split();
                    let mut line = String::new();
                    if tokio::io::BufReader::new(read).take(4096).read_line(&mut line).await.is_err() {
                        return;
                    }
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let done = match words.as_slice() {
                        ["cut", a, b] => demo.hold(a, b, true).await.map(|()| json!({ "cut": [a, b] })),
                        ["heal", a, b] => demo.hold(a, b, false).await.map(|()| json!({ "healed": [a, b] })),
                        ["status"] => demo.status().await.map(Value::from),
                        _ => {
                            Err(Failure::new(FailureKind::Usage, "the demo takes: cut A B, heal A B, status"))
                        }
                    };
                    let reply = match done {
                        Ok(value) => json!({ "ok": value }),
                        Err(failure) => json!({ "err": failure }),
                    };
                    let _ = write.write_all(format!("{reply}\n").as_bytes()).await; // whoever asked may have gone
                });
            }
        });
        Ok(())
    }
}

/// Says something to the demo that runs on this directory.
pub fn control(dir: &Path, words: &str) -> Result<Value, Failure> {
    use std::io::{BufRead, BufReader, Write};
    let unreachable = |e: std::io::Error| {
        Failure::new(FailureKind::Unreachable, format!("no demo runs on {}", dir.display()))
            .because(e)
            .hint("start one: `cargo run --release -- demo`")
    };
    let mut stream = std::os::unix::net::UnixStream::connect(dir.join(CONTROL)).map_err(unreachable)?;
    stream.write_all(format!("{words}\n").as_bytes()).map_err(unreachable)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(unreachable)?;
    let reply: Value =
        serde_json::from_str(&line).map_err(|e| failed("the demo's answer is not understood", e))?;
    match reply.get("err") {
        Some(err) => Err(serde_json::from_value(err.clone())
            .map_err(|e| failed("the demo's answer is not understood", e))?),
        None => Ok(reply["ok"].clone()),
    }
}

/// What keeps a node from being proved equal with its peers.
fn unproved(status: &Value, down: &[(&str, &str)]) -> Vec<String> {
    let me = status["node"].as_str().unwrap_or_default();
    let peers = status["peers"].as_array().into_iter().flatten();
    peers
        .filter_map(|p| {
            let peer = p["node"].as_str().unwrap_or_default();
            let held = down.iter().any(|(a, b)| (*a == me && *b == peer) || (*a == peer && *b == me));
            let equal = p["connected"] == true && p["digest_equal"] == true;
            let fine = (equal || !p["by_stick"].is_null()) && p["outbox"] == 0;
            (!held && !fine).then(|| format!("{me} - {peer}: outbox {}", p["outbox"]))
        })
        .collect()
}

/// Whether all ports of the demo are free. Said before anything is made on the disk.
fn free(first: u16) -> Result<(), Failure> {
    let count = NODES.len() as u16 + 2;
    let wrong = |what: String| {
        Failure::new(FailureKind::Configuration, what).hint(format!("choose {count} others: --port P"))
    };
    let last = first
        .checked_add(count - 1)
        .ok_or_else(|| wrong(format!("{count} ports from {first} on do not exist")))?;
    for port in first..=last {
        std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|e| wrong(format!("UDP port {port} of 127.0.0.1 is not free")).because(e))?;
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .map_err(|e| wrong(format!("TCP port {port} of 127.0.0.1 is not free")).because(e))?;
    }
    Ok(())
}

/// Makes every directory, with a past if one is wanted. Returns how many tickets that has.
fn make(dir: &Path, names: &[NodeName], past: bool) -> Result<usize, Failure> {
    let today = china::today(now_ms());
    let from = if past { history::first_day(today) } else { today };
    // Whoever works in the past has papers of that time; they last from now on as they would without.
    let begun = if past { history::midnight(from) } else { now_ms() };
    let now = UnixTime::from_secs(begun / 1000);
    let term = TERM + now_ms().saturating_sub(begun) / 86_400_000;
    let authority = |e: certs::AuthorityError| failed("a certificate authority could not be made", e);
    let mut root = Authority::root(SecretKey::generate(), now).map_err(authority)?;
    let mut provinces: BTreeMap<Site, Authority> = BTreeMap::new();
    for node in names {
        let ca = match node.site().province() {
            None => &mut root,
            Some(province) => match provinces.entry(province) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(root.issue_province(province, SecretKey::generate(), now).map_err(authority)?)
                }
            },
        };
        let mut identity = Identity::create(ca, *node, NodeKeys::generate(), now, term)
            .map_err(|e| failed("an identity could not be made", e))?;
        Engine::init(&dir.join(node.to_string()), &mut identity)?;
    }
    root.save(&dir.join("ca").join("000000")).map_err(authority)?;
    for (site, mut ca) in provinces {
        ca.save(&dir.join("ca").join(site.to_string())).map_err(authority)?;
    }
    // The ministry takes no calls, sets nothing and has nobody to tell.
    let busy = names.iter().filter(|node| node.site() != Site::MINISTRY);
    std::thread::scope(|scope| {
        let work = busy.map(|node| {
            let beside = CITIES.iter().find(|(city, _)| *city == node.to_string());
            let beside = beside.and_then(|(_, other)| other.parse().ok());
            scope.spawn(move || {
                let dir = dir.join(node.to_string());
                rules::set(&dir, node.site(), beside, begun, today)?;
                if past { history::make(&dir, *node, beside, from, now_ms()) } else { Ok(0) }
            })
        });
        let work: Vec<_> = work.collect();
        let made = work.into_iter().map(|made| match made.join() {
            Ok(made) => made,
            Err(_) => Err(Failure::new(FailureKind::Failed, "the demo's past could not be made")),
        });
        made.sum()
    })
}

/// The demo as a script: an outage, hand-overs on both sides of it, and what became of them. `say` gets every line of
/// the story. An error when not everything converged.
pub async fn tell(demo: &Demo, say: &mut dyn FnMut(String)) -> Result<(), Failure> {
    let limit = Duration::from_secs(60);
    let took = demo.converged(limit, &[]).await?;
    say(format!(
        "all 12 ends of 6 links proved equal after {} ms, and the office, which has no line, by a stick",
        took.as_millis()
    ));
    let mut reached = Vec::new();
    for node in NODES {
        let list = KnowledgeRequest::List { queue: "published".to_owned(), mine: false, limit: 1_000 };
        let articles = demo.ask(node, Request::Knowledge(list)).await?;
        reached.push(format!("{node} {}", articles.as_array().map_or(0, Vec::len)));
    }
    say("the ministry's articles have come to all, a province's to its own cities and no others:".to_owned());
    say(format!("  {}", reached.join(", ")));
    let call = json!({ "text": "站牌倒了,老人被绊倒。", "type": "投诉举报", "caller_phone": "13800000098" });
    let made = demo.ask(OFFICE, Request::New { tickets: vec![call], user: None }).await?;
    let took = demo.converged(limit, &[]).await?;
    let id = made[0]["id"].as_str().unwrap_or_default().to_owned();
    demo.ask("370000", Request::Show { id, reveal: None, user: None }).await?;
    say(format!(
        "{OFFICE} took the call {}; a stick brought it to {CITY}, the line to 370000: {} ms",
        made[0]["number"].as_str().unwrap_or_default(),
        took.as_millis()
    ));

    demo.hold("370100", "370000", true).await?;
    say("cut: 370100 济南 and 370000 山东 no longer hear each other".to_owned());
    let calls = [
        json!({ "text": "出租车拒载,司机说去高新区不走。", "type": "投诉举报", "caller_phone": "13800000099" }),
    ];
    let made = demo.ask("370100", Request::New { tickets: calls.to_vec(), user: None }).await?;
    let (id, number) = (
        made[0]["id"].as_str().unwrap_or_default().to_owned(),
        made[0]["number"].as_str().unwrap_or_default().to_owned(),
    );
    say(format!("370100 took a call and gave the number {number}, with its line down"));
    let act = |node: &'static str, act: Act| demo.ask(node, Request::Act { id: id.clone(), act, user: None });
    act("370100", Act::Offer { to: "370200".to_owned(), reason: "车籍在青岛".to_owned() }).await?;
    demo.hold("370100", "370000", false).await?;
    demo.converged(limit, &[]).await?;
    say("healed: 370200 青岛 sees the offer".to_owned());

    demo.hold("370200", "370000", true).await?;
    act("370200", Act::Accept {}).await?;
    act("370000", Act::Recall { reason: "省厅直接办理".to_owned() }).await?;
    say("cut again: 370200 accepts, and 370000, which cannot know it, recalls the ticket to itself"
        .to_owned());
    demo.hold("370200", "370000", false).await?;
    let took = demo.converged(limit, &[]).await?;
    say(format!("healed: every pair proved equal after {} ms", took.as_millis()));

    let mut states = std::collections::BTreeSet::new();
    for node in ["370100", "370200", "370000", "000000"] {
        let shown = demo.ask(node, Request::Show { id: id.clone(), reveal: None, user: None }).await?;
        states.insert((shown["custodian"].to_string(), shown["state_hash"].to_string()));
    }
    if states.len() != 1 {
        return Err(failed("the nodes do not show the ticket alike", format!("{states:?}")));
    }
    say("370100, 370200, 370000 and 000000 show the ticket alike; its history at 370200:".to_owned());
    let story = demo.ask("370200", Request::History { id, language: Language::Zh }).await?;
    for line in story["lines"].as_array().into_iter().flatten() {
        let text = line["text"].as_str().unwrap_or_default();
        // What has no effect steps back, as in `ticket history`.
        say(match line["mark"].as_str() {
            Some("in force") => format!("  {text}"),
            _ => format!("\x1b[2m  {text}\x1b[0m"),
        });
    }
    tell_rule(demo, limit, say).await
}

/// Says an explanation, a part a line.
fn by_parts(text: &str, say: &mut dyn FnMut(String)) {
    text.split_inclusive('；').for_each(|part| say(format!("  {part}")));
}

/// The end of the script: a rule that a city hears of late.
async fn tell_rule(demo: &Demo, limit: Duration, say: &mut dyn FnMut(String)) -> Result<(), Failure> {
    demo.hold("510100", "510000", true).await?;
    let rows = "business,domain,topic,urgency,amount,unit,basis\n投诉举报,,,,5,working days,示例：省厅承诺\n";
    let today = china::today(now_ms());
    demo.ask("510000", rules::edition("time_limits", rows.to_owned(), today, "示例：省厅承诺")).await?;
    let call =
        json!({ "text": "客运站售票窗口提前关闭。", "type": "投诉举报", "caller_phone": "13800000097" });
    let made = demo.ask("510100", Request::New { tickets: vec![call], user: None }).await?;
    let id = made[0]["id"].as_str().unwrap_or_default().to_owned();
    let deadline = async || -> Result<String, Failure> {
        let shown = demo.ask("510100", Request::Show { id: id.clone(), reveal: None, user: None }).await?;
        Ok(shown["deadline"]["text"]["zh"].as_str().unwrap_or_default().to_owned())
    };
    let before = deadline().await?;
    say("cut: 510100 成都 and 510000 四川, which sets that complaints are answered in 5 working days"
        .to_owned());
    say("510100 has not heard of it, and takes one:".to_owned());
    by_parts(&before, say);
    demo.hold("510100", "510000", false).await?;
    demo.converged(limit, &[]).await?;
    let began = tokio::time::Instant::now();
    loop {
        let after = deadline().await?;
        if after != before {
            say("healed, and the same ticket:".to_owned());
            by_parts(&after, say);
            return Ok(());
        }
        if began.elapsed() > limit {
            return Err(failed("510100 does not go by the rule of its province", after));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
