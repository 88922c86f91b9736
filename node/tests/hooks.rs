//! `hotline hook` as receivers meet it: a real node, real sockets, signatures checked by code of the receiver's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Town, both, fails, get, json, run, says, tcp_port, text, until};
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use sha2::{Digest, Sha256};

const CITY: &str = "370100";

trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

/// What a receiver was told; it is answered when the test says so, and left without an answer when it is dropped.
struct Told {
    head: String,
    body: String,
    line: Box<dyn Line>,
}

impl Told {
    fn read(mut line: Box<dyn Line>) -> Option<Told> {
        let mut bytes = Vec::new();
        let split = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            let mut part = [0; 4096];
            match line.read(&mut part) {
                Ok(n) if n > 0 => bytes.extend_from_slice(&part[..n]),
                _ => return None,
            }
        };
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut body = bytes[split + 4..].to_vec();
        let mut told = Told { head, body: String::new(), line };
        let mut rest = vec![0; told.header("content-length").parse::<usize>().unwrap() - body.len()];
        told.line.read_exact(&mut rest).ok()?;
        body.extend_from_slice(&rest);
        told.body = String::from_utf8(body).unwrap();
        Some(told)
    }

    fn header(&self, name: &str) -> String {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).unwrap_or_default()
    }

    fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The number of the change that it tells of.
    fn number(&self) -> u64 {
        let value = self.value();
        assert_eq!(value["type"], "ticket.changed", "{value}");
        value["data"]["cursor"].as_str().unwrap().split_once('-').unwrap().0.parse().unwrap()
    }

    fn answer(self, status: u16) {
        self.answer_with(status, "");
    }

    fn answer_with(mut self, status: u16, lines: &str) {
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n{lines}\r\nok");
        let _ = self.line.write_all(answer.as_bytes()); // whoever told it may have been killed
        let _ = self.line.flush();
    }
}

/// A receiver on 127.0.0.1, which checks what it is told with its own code.
struct Receiver {
    port: u16,
    inbox: Inbox<Told>,
    secrets: Vec<Vec<u8>>,
}

impl Receiver {
    fn new(tls: Option<Arc<rustls::ServerConfig>>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, inbox) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let line: Box<dyn Line> = match &tls {
                    None => Box::new(stream.unwrap()),
                    Some(config) => {
                        let server = rustls::ServerConnection::new(config.clone()).unwrap();
                        Box::new(rustls::StreamOwned::new(server, stream.unwrap()))
                    }
                };
                if let Some(told) = Told::read(line)
                    && send.send(told).is_err()
                {
                    return;
                }
            }
        });
        Receiver { port, inbox, secrets: Vec::new() }
    }

    /// One that a node tells; further arguments are those of `hotline hook add`.
    fn hooked(town: &Town, args: &[&str]) -> Receiver {
        let mut receiver = Receiver::new(None);
        let url = format!("http://127.0.0.1:{}/hook/KEY?key=KEY", receiver.port);
        receiver.add(town, &url, args);
        receiver
    }

    fn add(&mut self, town: &Town, url: &str, args: &[&str]) {
        let add = ["hook", "add", url, "--name", "hall", "--dir", &town.at(CITY)];
        let added = json(&[&add, args].concat());
        self.secrets = vec![secret_of(&added)];
    }

    /// The next that it is told.
    fn taken(&self) -> Told {
        self.inbox.recv_timeout(Duration::from_secs(60)).expect("it is told within a minute")
    }

    /// Waits until a node that runs signs with so many secrets.
    fn signed_with(&self, town: &Town, secrets: usize) {
        until("it has noticed the other secret", || {
            call(town, "公交晚点");
            let told = self.taken();
            let signatures = told.header("webhook-signature").split(' ').count();
            told.answer(200);
            signatures == secrets
        });
    }

    /// The next that it is told, with a good signature.
    fn next(&self) -> Told {
        let told = self.taken();
        let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(at.parse().unwrap()) < 60, "{at}");
        let signed = |secret: &[u8]| {
            format!("v1,{}", STANDARD.encode(hmac(secret, format!("{id}.{at}.{}", told.body).as_bytes())))
        };
        let signatures: Vec<String> = self.secrets.iter().map(|secret| signed(secret)).collect();
        assert_eq!(told.header("webhook-signature"), signatures.join(" "), "{}", told.body);
        assert!(told.head.starts_with("POST "), "{}", told.head);
        told
    }
}

/// RFC 2104 over SHA-256, for keys of at most a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        block.iter().map(|b| b ^ with).collect()
    };
    let inner = Sha256::digest([&pad(0x36), message].concat());
    Sha256::digest([&pad(0x5c), inner.as_slice()].concat()).to_vec()
}

fn secret_of(shown: &Value) -> Vec<u8> {
    let secret = shown["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    let secret = STANDARD.decode(secret).unwrap();
    assert_eq!(secret.len(), 32);
    secret
}

fn call(town: &Town, words: &str) -> String {
    let args = ["ticket", "new", "--dir", &town.at(CITY), "--text", words, "--phone", "13800000001"];
    json(&args)["id"].as_str().unwrap().to_owned()
}

fn hook(town: &Town) -> Value {
    json(&["hook", "list", "--dir", &town.at(CITY)])[0].clone()
}

/// Writes into the hooks' table what only a long time or another database would.
fn turn(town: &Town, sql: &str) {
    let db = rusqlite::Connection::open(town.path(CITY).join("desk.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1);
}

#[test]
fn every_change_is_told_at_least_once_and_in_order_through_failures_and_kills() {
    let town = Town::new(&[CITY]);
    let mut node = Some(town.start(CITY, &[]));
    let hall = Receiver::hooked(&town, &[]);
    let mut made = vec![call(&town, "出租车拒载"), call(&town, "公交晚点")];

    let first = hall.next();
    let (id, body) = (first.header("webhook-id"), first.body.clone());
    assert_eq!(first.value()["data"]["id"], made[0].as_str());
    for secret in ["出租车", "13800000001"] {
        assert!(!first.body.contains(secret), "{}", first.body);
    }
    first.answer_with(500, "Retry-After: 0\r\n");
    let again = hall.next();
    assert_eq!((again.header("webhook-id"), again.body.clone()), (id, body), "the same again, signed anew");
    drop(again); // the connection ends without an answer

    // From here on the node is killed, restarted and left with half of an answer; what was taken is written down.
    let mut taken = Vec::new();
    let third = hall.next();
    taken.push(third.number());
    third.answer(204);
    for round in 0..4 {
        let told = hall.next();
        let killed_first = round % 2 == 0;
        if killed_first {
            node = None; // kill -9 before the answer
        }
        taken.push(told.number());
        told.answer(200);
        if !killed_first {
            node = None; // kill -9 at whatever it does with the answer
        }
        assert!(node.is_none());
        made.push(call(&town, "路面塌陷")); // while it does not run
        node = Some(town.start(CITY, &[]));
        made.push(call(&town, "站台灯坏了"));
    }
    let last = made.last().unwrap().clone();
    loop {
        let told = hall.next();
        taken.push(told.number());
        let id = told.value()["data"]["id"].clone();
        told.answer(200);
        if id == last.as_str() {
            break;
        }
    }
    assert!(taken.is_sorted(), "in order: {taken:?}");
    let repeated = taken.len();
    taken.dedup();
    assert!(repeated > taken.len(), "what was killed before its answer is told again: {taken:?}");
    let (first, count) = (taken[0], taken.len() as u64);
    assert_eq!(taken, (first..first + count).collect::<Vec<_>>(), "each of them");
    until("the cursor is moved", || hook(&town)["waiting"] == 0);
    assert_eq!(count, made.len() as u64);
    drop(node);
}

#[test]
fn a_receiver_that_wants_no_more_is_told_nothing_until_it_is_resumed_and_nobody_sees_the_secret() {
    let town = Town::new(&[CITY]);
    let metrics = format!("127.0.0.1:{}", tcp_port());
    let node = town.start(CITY, &["--http", &metrics]);
    let hall = Receiver::hooked(&town, &[]);
    let id = call(&town, "出租车拒载");
    hall.next().answer(410);
    until("it is off", || hook(&town)["on"] == false);
    let off = hook(&town);
    assert_eq!(
        (&off["off_because"], &off["last_failure"]),
        (&"gone".into(), &"answered 410".into()),
        "{off}"
    );
    assert_eq!(off["url"], format!("http://127.0.0.1:{}/...", hall.port));
    let said = both(&run(&["doctor", "--dir", &town.at(CITY)]));
    assert!(said.contains("hall is off") && said.contains("answered 410"), "{said}");
    call(&town, "公交晚点");
    let waits = |line: &str| get(&metrics, "/metrics").1.lines().any(|l| l == line);
    until("the metrics tell", || {
        waits("hotline_hook_waiting{hook=\"hall\"} 2") && waits("hotline_hook_off{hook=\"hall\"} 1")
    });
    assert!(waits("hotline_hook_failures_total{hook=\"hall\"} 1"));

    says(&["hook", "resume", "hall", "--dir", &town.at(CITY)]);
    let told = hall.next();
    assert_eq!(told.value()["data"]["id"], id.as_str(), "it goes on from its cursor");
    told.answer(200);
    hall.next().answer(200);
    until("both were taken", || waits("hotline_hook_deliveries_total{hook=\"hall\"} 2"));

    let secret = format!("whsec_{}", STANDARD.encode(&hall.secrets[0]));
    says(&["hook", "remove", "hall", "--dir", &town.at(CITY)]);
    until("it is not told any more", || !get(&metrics, "/metrics").1.contains("hotline_hook"));
    assert_eq!(json(&["hook", "list", "--dir", &town.at(CITY)]), Value::Array(vec![]));
    let audit = says(&["audit", "--dir", &town.at(CITY)]);
    for what in ["hook add", "hook resume", "hook remove"] {
        assert!(audit.contains(what), "{what}: {audit}");
    }
    for (place, shown) in
        [("log", town.log(CITY)), ("audit", audit), ("list", off.to_string()), ("doctor", said)]
    {
        assert!(!shown.contains(&secret) && !shown.contains("KEY"), "{place}: {shown}");
    }
    drop(node);
}

#[test]
fn a_secret_is_changed_without_a_gap_and_the_old_one_ends() {
    let town = Town::new(&[CITY]);
    let _node = town.start(CITY, &[]);
    let mut hall = Receiver::hooked(&town, &[]);
    call(&town, "出租车拒载");
    hall.next().answer(200);
    let renewed = json(&["hook", "secret", "hall", "--dir", &town.at(CITY)]);
    assert!(renewed["old_until"].is_string());
    hall.secrets.insert(0, secret_of(&renewed));
    hall.signed_with(&town, 2);
    call(&town, "公交晚点");
    hall.next().answer(200); // signed with both, the new one first
    let renewed = json(&["hook", "secret", "hall", "--days", "0", "--dir", &town.at(CITY)]);
    hall.secrets = vec![secret_of(&renewed)];
    hall.signed_with(&town, 1);
    call(&town, "公交改线");
    hall.next().answer(200);
    assert!(says(&["audit", "--dir", &town.at(CITY)]).contains("hook secret"));
}

#[test]
fn three_days_of_failure_are_the_end_and_one_of_them_is_not() {
    let town = Town::new(&[CITY]);
    let hall = Receiver::hooked(&town, &[]);
    call(&town, "公交晚点");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let day = 24 * 60 * 60_000;
    turn(&town, &format!("UPDATE hook SET failing_since = {}", now - day));
    let node = town.start(CITY, &[]);
    hall.next().answer(302); // a redirect is a failure as well
    until("the failure is written down", || hook(&town)["last_failure"] == "answered 302");
    assert_eq!(hook(&town)["on"], true);
    drop(node);
    turn(&town, &format!("UPDATE hook SET failing_since = {}", now - 3 * day));
    let _node = town.start(CITY, &[]);
    hall.next().answer(503);
    until("it is off", || hook(&town)["off_because"] == "failing");
    fails(
        &["doctor", "--dir", &town.at(CITY)],
        6,
        "hall is off after three days of failure, at last: answered 503",
    );
}

#[test]
fn a_cursor_of_another_past_is_told_as_a_gap_and_the_hook_goes_on_from_now() {
    let town = Town::new(&[CITY]);
    let hall = Receiver::hooked(&town, &[]);
    call(&town, "公交晚点");
    turn(&town, "UPDATE hook SET cursor = '977-00112233445566aa'");
    let _node = town.start(CITY, &[]);
    let gap = hall.next();
    let said = gap.value();
    assert_eq!(
        (&said["type"], &said["data"]["refused"]),
        (&"changes.gap".into(), &"977-00112233445566aa".into())
    );
    gap.answer(500); // it is told until it is taken
    let gap = hall.next();
    let cursor = gap.value()["data"]["cursor"].clone();
    gap.answer(200);
    until("it goes on from there", || hook(&town)["cursor"] == cursor);
    let id = call(&town, "站台灯坏了");
    let told = hall.next();
    assert_eq!(told.value()["data"]["id"], id.as_str());
    told.answer(200);
}

#[test]
fn a_hook_of_some_stages_passes_over_the_others() {
    let town = Town::new(&[CITY]);
    let _node = town.start(CITY, &[]);
    let hall = Receiver::hooked(&town, &["--only", "replied,closed"]);
    let id = call(&town, "公交晚点");
    until("it is passed over", || hook(&town)["waiting"] == 0);
    json(&["ticket", "reply", &id, "已处理", "--dir", &town.at(CITY)]);
    let told = hall.next();
    assert_eq!((told.value()["data"]["stage"].as_str(), told.number()), (Some("replied"), 2));
    told.answer(200);
}

#[test]
fn a_receiver_that_never_answers_is_given_up_after_ten_seconds_and_asked_again() {
    let town = Town::new(&[CITY]);
    let _node = town.start(CITY, &[]);
    let hall = Receiver::hooked(&town, &[]);
    call(&town, "公交晚点");
    let silent = hall.next();
    until("it is given up", || hook(&town)["last_failure"] == "no answer within 10 seconds");
    // What it says counts, also when it does not come to its end.
    let mut endless = hall.next();
    endless.line.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    until("the failure is over", || hook(&town)["failing_since"].is_null());
    drop((silent, endless));
}

#[test]
fn over_https_a_receiver_is_known_by_its_authority() {
    let town = Town::new(&[CITY]);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = town.path("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut hall = Receiver::new(Some(Arc::new(config)));
    let dir = town.at(CITY);
    hall.add(&town, &format!("https://localhost:{}/x", hall.port), &["--ca", text(&ca)]);
    let told = std::thread::scope(|scope| {
        let test = scope.spawn(|| json(&["hook", "test", "hall", "--dir", &dir]));
        let told = hall.next();
        assert_eq!(told.value()["type"], "hook.test");
        told.answer(200);
        test.join().unwrap()
    });
    assert_eq!(told["told"], true);
    let _node = town.start(CITY, &[]);
    let id = call(&town, "公交晚点");
    let told = hall.next();
    assert_eq!(
        (told.value()["data"]["id"].as_str(), told.header("host")),
        (Some(id.as_str()), format!("localhost:{}", hall.port))
    );
    told.answer(200);

    // Another authority is not its authority.
    json(&["cert", "root", "--out", &town.at("other")]);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(town.path("other.pem"), other.cert.pem()).unwrap();
    let url = format!("https://localhost:{}/x", hall.port);
    json(&["hook", "add", &url, "--name", "stranger", "--ca", &town.at("other.pem"), "--dir", &dir]);
    fails(&["hook", "test", "stranger", "--dir", &dir], 1, "no TLS");
}

#[test]
fn what_no_hook_can_be_is_refused_with_a_next_step() {
    let town = Town::new(&[CITY]);
    let dir = town.at(CITY);
    fn add<'a>(rest: &[&'a str], dir: &'a str) -> Vec<&'a str> {
        [&["hook", "add"], rest, &["--dir", dir]].concat()
    }
    fails(&add(&["http://8.8.8.8/x"], &dir), 2, "outside the house");
    fails(&add(&["ftp://10.0.0.1/x"], &dir), 2, "https");
    fails(&add(&["http://li:pw@10.0.0.1/x"], &dir), 2, "signed instead");
    fails(&add(&["http://10.0.0.1/x", "--only", "nowhere"], &dir), 2, "in_hand");
    fails(&add(&["https://hall.example/x", "--ca", &town.at("nothing.pem")], &dir), 2, "cannot be read");
    fails(&add(&["http://10.0.0.1/x", "--name", "a b"], &dir), 2, "name");
    json(&add(&["http://10.0.0.1/x"], &dir));
    fails(&add(&["http://10.0.0.1/y"], &dir), 1, "there is a hook `10.0.0.1`");
    fails(&["hook", "test", "nobody", "--dir", &dir], 1, "hotline hook list");
}
