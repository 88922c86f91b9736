//! Short messages: with Debian's Kannel and its fake short message centre, and with a gateway of the test's own for what
//! Kannel cannot be made to do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use harness::browser::OWN;
use harness::chromium::{Chromium, ENTER, TAB};
use harness::{Running, Town, get, json, says, tcp_port, until};
use serde_json::Value;

const CITY: &str = "370100";
const PHONE: &str = "13800000001";
const COMPLAINT: &str = "出租车在东广场拒载";

/// Where Debian puts the fake short message centre.
const FAKESMSC: &str = "/usr/lib/kannel/test/fakesmsc";

/// A node that takes in messages and sends them.
struct Desk {
    town: Town,
    listen: String,
    running: Option<Running>,
}

impl Desk {
    fn new(gateway: &str) -> Desk {
        let town = Town::new(&[CITY]);
        std::fs::write(town.path("password"), "pw\n").unwrap();
        let (listen, send) =
            (format!("127.0.0.1:{}", tcp_port()), format!("http://{gateway}/cgi-bin/sendsms"));
        let lines = format!(
            "[sms]\nlisten = \"{listen}\"\nsend = \"{send}\"\nuser = \"hotline\"\npassword = \"{}\"\n",
            town.at("password")
        );
        std::fs::write(town.path(CITY).join("hotline.toml"), lines).unwrap();
        let mut desk = Desk { town, listen, running: None };
        desk.start();
        desk
    }

    fn start(&mut self) {
        self.running = Some(self.town.start(CITY, &[]));
        until("short messages are served", || TcpStream::connect(&self.listen).is_ok());
    }

    /// As by kill -9.
    fn kill(&mut self) {
        self.running = None;
    }

    fn json(&self, args: &[&str]) -> Value {
        json(&[args, &["--dir", &self.town.at(CITY)]].concat())
    }

    fn url(&self) -> String {
        self.json(&["sms", "url"])["get-url"].as_str().unwrap().to_owned()
    }

    /// Brings a message as a gateway does; the status of the answer.
    fn brings(&self, id: &str, from: &str, text: &str) -> u16 {
        let text: String =
            text.encode_utf16().flat_map(u16::to_be_bytes).map(|b| format!("%{b:02X}")).collect();
        let url = self.url();
        let path = url.split_once(&self.listen).unwrap().1;
        let path =
            path.replace("%p", from).replace("%P", "12328").replace("%I", id).replace("%t", "2026-11-29");
        let path = path.replace("%c", "2").replace("%C", "UTF-16BE").replace("%b", &text);
        status(&get(&self.listen, &path).0)
    }

    fn tickets(&self) -> Vec<String> {
        let all = self.json(&["ticket", "list"]);
        all.as_array().unwrap().iter().map(|t| t["number"].as_str().unwrap().to_owned()).collect()
    }

    fn log(&self) -> Vec<Value> {
        self.json(&["sms", "log"]).as_array().unwrap().clone()
    }

    /// The states of what goes out, of this kind.
    fn states(&self, kind: &str) -> Vec<String> {
        let log = self.log();
        log.iter().filter(|l| l["kind"] == kind).map(|l| l["state"].as_str().unwrap().to_owned()).collect()
    }

    fn outcomes(&self) -> Vec<String> {
        let log = self.log();
        let mut all: Vec<String> = log
            .iter()
            .filter(|l| l["way"] == "in")
            .map(|l| l["state"].as_str().unwrap().to_owned())
            .collect();
        all.reverse();
        all
    }

    /// A reply of the desk's, after the steps before it.
    fn replies(&self, number: &str, text: &str) {
        self.json(&["ticket", "dispatch", number, "--to", "客运管理处", "请核实"]);
        self.json(&["ticket", "feedback", number, "属实"]);
        self.json(&["ticket", "reply", number, text]);
    }

    fn code(&self, number: &str) -> String {
        self.json(&["ticket", "code", number])["code"].as_str().unwrap().to_owned()
    }

    /// Neither phones nor words are where others look.
    fn tells_nobody(&self) {
        let seen = self.town.log(CITY) + &says(&["sms", "log", "--dir", &self.town.at(CITY)]);
        for secret in [PHONE, "拒载", "已责令"] {
            assert!(!seen.contains(secret), "{secret}: {seen}");
        }
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Kannel, as docs/sms.md says it is set up, on ports of its own.
struct Kannel {
    conf: PathBuf,
    smsc: u16,
    running: Vec<Child>,
    dir: tempfile::TempDir,
    heard: Vec<PathBuf>,
}

impl Kannel {
    fn new(sendsms: u16) -> Kannel {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("kannel.conf");
        Kannel { conf, smsc: tcp_port(), running: vec![], dir, heard: vec![] }.of_docs(sendsms)
    }

    fn of_docs(self, sendsms: u16) -> Kannel {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sms.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let conf = docs.split("```").find(|part| part.trim_start().starts_with("group = core")).unwrap();
        let mut conf = conf.to_owned();
        for (written, port) in
            [("13000", tcp_port()), ("13001", tcp_port()), ("13013", sendsms), ("10000", self.smsc)]
        {
            assert!(conf.contains(written), "{written}");
            conf = conf.replace(written, &port.to_string());
        }
        let store = self.dir.path().join("store");
        let conf = conf.replace("/var/spool/kannel/store", store.to_str().unwrap()).replace("PASSWORD", "pw");
        std::fs::write(&self.conf, conf).unwrap();
        self
    }

    fn start(&mut self, url: &str) {
        let conf = std::fs::read_to_string(&self.conf).unwrap().replace("GET-URL", url);
        std::fs::write(&self.conf, conf).unwrap();
        let smsbox = self.port("smsbox-port = ");
        for (program, ready) in
            [("bearerbox", vec![self.smsc, smsbox]), ("smsbox", vec![self.port("sendsms-port = ")])]
        {
            let log = std::fs::File::create(self.dir.path().join(program)).unwrap();
            let mut command = Command::new(program);
            command.arg(&self.conf).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            self.running.push(command.spawn().unwrap());
            for port in ready {
                until(&format!("{program} listens"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
            }
        }
    }

    fn port(&self, key: &str) -> u16 {
        let conf = std::fs::read_to_string(&self.conf).unwrap();
        conf.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap()
    }

    fn stop(&mut self) {
        for mut child in self.running.drain(..).rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A short message centre from which one message comes, and which then takes all that go out.
    fn centre(&mut self, from: &str, text: &str) -> Centre {
        let text: String =
            text.encode_utf16().flat_map(u16::to_be_bytes).map(|b| format!("%{b:02X}")).collect();
        let log = self.dir.path().join(format!("centre-{}", self.heard.len()));
        self.heard.push(log.clone());
        let file = std::fs::File::create(log).unwrap();
        let mut command = Command::new(FAKESMSC);
        command.args(["-H", "127.0.0.1", "-r", &self.smsc.to_string(), "-i", "0.1", "-m", "1"]);
        command.arg(format!("{from} 12328 ucs2 {text}"));
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Centre(command.spawn().unwrap())
    }

    /// All that the centres got, in order; the parts of a long one joined.
    fn got(&self) -> String {
        let said: String = self
            .heard
            .iter()
            .filter_map(|log| std::fs::read(log).ok())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .collect();
        let messages = said.lines().filter(|line| line.contains("Got message"));
        let texts = messages.map(|line| {
            let escaped = line.rsplit(' ').next().unwrap().trim_end_matches('>');
            let bytes = unescaped(escaped);
            let units: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
            String::from_utf16_lossy(&units)
        });
        texts.collect()
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            b'+' => b' ',
            other => other,
        });
    }
    out
}

impl Drop for Kannel {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Dropping it hangs up.
struct Centre(Child);

impl Drop for Centre {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether Kannel is here. Where everything has to run, its absence is a failure.
fn has_kannel() -> bool {
    let bearerbox =
        Command::new("bearerbox").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if bearerbox.is_ok() && Path::new(FAKESMSC).exists() {
        return true;
    }
    assert!(
        std::env::var_os("HOTLINE_CI").is_none(),
        "Kannel is not here: apt-get install kannel kannel-extras"
    );
    let words = "*** SKIPPED: short messages are not tested, Kannel is not here: apt-get install kannel kannel-extras ***";
    let _ = writeln!(std::io::stderr(), "\n{words}\n");
    false
}

#[test]
fn a_complaint_by_message_is_accepted_answered_and_looked_up_through_kannel() {
    if !has_kannel() {
        return;
    }
    let sendsms = tcp_port();
    let mut desk = Desk::new(&format!("127.0.0.1:{sendsms}"));
    let mut kannel = Kannel::new(sendsms);
    kannel.start(&desk.url());

    let centre = kannel.centre(PHONE, COMPLAINT);
    until("the complaint is a ticket", || desk.tickets().len() == 1);
    let number = desk.tickets().remove(0);
    let code = desk.code(&number);
    until("its number and code are at the centre", || {
        let got = kannel.got();
        got.contains(&format!("工单号{number}")) && got.contains(&code)
    });
    let shown = desk.json(&["ticket", "show", &number, "--reveal", "回访", "--user", "li"]);
    assert_eq!((&shown["facts"]["channel"], &shown["body"]), (&"短信".into(), &COMPLAINT.into()));
    assert_eq!(shown["person"]["phone"], PHONE);
    until("its delivery is reported", || desk.states("accepted") == ["delivered"]);

    desk.replies(&number, "已责令司机整改");
    until("the reply is at the centre", || kannel.got().contains("答复：已责令司机整改"));
    drop(centre);

    // A query comes while the node is down: the gateway keeps it.
    desk.kill();
    let centre = kannel.centre(PHONE, &format!("查 {number} {code}"));
    until("the centre has sent it", || {
        std::fs::read_to_string(kannel.heard.last().unwrap()).unwrap_or_default().contains("sent message 1")
    });
    desk.start();
    until("the query is answered", || kannel.got().contains("已回复"));
    drop(centre);

    // The gateway is down when something is to be told.
    kannel.stop();
    assert_eq!(desk.brings("help-1", PHONE, "帮助"), 200);
    until("it could not be sent", || desk.json(&["sms", "status"])["failing_since"].is_string());
    assert_eq!(desk.states("help"), ["waiting"]);
    kannel.start("");
    let _centre = kannel.centre("10086", "您的话费余额不足");
    until("it is sent when the gateway is back", || kannel.got().contains("反映问题请直接发送内容"));
    until("everything is delivered", || {
        desk.log().iter().filter(|l| l["way"] == "out").all(|l| l["state"] == "delivered")
    });
    let got = kannel.got();
    for once in ["您的短信诉求已登记", "答复：已责令司机整改。", "没有查到", "反映问题请直接发送内容"]
    {
        assert!(got.matches(once).count() <= 1, "{once} more than once: {got}");
    }
    assert_eq!(got.matches("您的短信诉求已登记").count(), 1, "{got}");
    assert_eq!(desk.tickets().len(), 1);
    assert_eq!(desk.outcomes(), ["ticket", "query", "help"]);
    assert_eq!(desk.json(&["sms", "status"])["out"]["delivered"], 4);
    desk.tells_nobody();
}

#[test]
fn a_message_is_answered_in_a_real_browser_and_the_answer_reaches_the_centre() {
    let Some(chromium) = Chromium::start() else { return };
    if !has_kannel() {
        return;
    }
    let sendsms = tcp_port();
    let mut desk = Desk::new(&format!("127.0.0.1:{sendsms}"));
    desk.kill();
    let (running, address) = desk.town.desk(CITY, &[]);
    desk.running = Some(running);
    desk.town.staff(CITY, &address, "li", "shift-leader");
    let mut kannel = Kannel::new(sendsms);
    kannel.start(&desk.url());
    let li = chromium.window(&address);
    li.sign_in("li", OWN);
    li.go("/queue/held");

    // The queue, which nobody touches, shows the message; it is opened, and worked on by keys alone.
    let _centre = kannel.centre(PHONE, COMPLAINT);
    li.says(COMPLAINT);
    li.press("j");
    li.press(ENTER);
    li.arrives("/ticket/");
    li.says("短信");
    for (key, words, stands) in [
        ("p", format!("客运管理处{TAB}"), "客运管理处"),
        ("f", "属实".to_owned(), "属实"),
        ("r", "已责令司机整改".to_owned(), "已责令司机整改"),
    ] {
        li.press(key);
        li.press(&format!("{words}{TAB}{ENTER}"));
        let trail = "return document.getElementById('trail').innerText";
        li.until(stands, || li.script(trail).to_string().contains(stands));
    }
    until("the reply is at the centre", || kannel.got().contains("答复：已责令司机整改"));
    until("its delivery is reported", || desk.states("accepted") == ["delivered"]);
    assert_eq!(kannel.got().matches("答复：").count(), 1);
    assert!(li.asked_elsewhere().is_empty(), "{:?}", li.asked_elsewhere());
    desk.tells_nobody();
}

/// A message that was handed to a gateway of the test's own.
struct Handed {
    head: String,
    text: String,
    line: TcpStream,
}

impl Handed {
    fn read(mut line: TcpStream) -> Option<Handed> {
        line.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
        loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
                let length = header(&head, "content-length").parse::<usize>().unwrap();
                if bytes.len() >= at + 4 + length {
                    let text = String::from_utf8(bytes[at + 4..].to_vec()).unwrap();
                    return Some(Handed { head, text, line });
                }
            }
            match line.read(&mut part) {
                Ok(n) if n > 0 => bytes.extend_from_slice(&part[..n]),
                _ => return None,
            }
        }
    }

    fn answers(mut self, status: &str, body: &str) {
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let _ = self.line.write_all(answer.as_bytes()); // the node may have been killed
    }

    fn accepts(self) {
        self.answers("202 Accepted", "0: Accepted for delivery");
    }

    /// Reports of it, as the gateway would.
    fn reports(&self, kind: &str) -> u16 {
        let url = header(&self.head, "x-kannel-dlr-url").replace("%d", kind);
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        status(&get(address, &format!("/{path}")).0)
    }
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).unwrap_or_default()
}

struct Gateway {
    address: String,
    inbox: Receiver<Handed>,
}

impl Gateway {
    fn new() -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (to, inbox) = channel();
        std::thread::spawn(move || {
            for line in listener.incoming().flatten() {
                let Some(handed) = Handed::read(line) else { continue };
                if to.send(handed).is_err() {
                    return;
                }
            }
        });
        Gateway { address, inbox }
    }

    fn next(&self) -> Handed {
        self.inbox.recv_timeout(Duration::from_secs(60)).expect("a message is handed over within a minute")
    }
}

#[test]
fn a_message_counts_once_and_what_is_told_survives_kills_and_a_gateway_that_breaks() {
    let gateway = Gateway::new();
    let mut desk = Desk::new(&gateway.address);
    for _ in 0..3 {
        assert_eq!(desk.brings("m1", PHONE, COMPLAINT), 200);
    }
    // It was answered, so it is on the disk: whatever was made of it before the kill, one ticket comes of it.
    desk.kill();
    desk.start();
    assert_eq!(desk.brings("m1", PHONE, COMPLAINT), 200);
    let first = gateway.next();
    assert_eq!(header(&first.head, "x-kannel-to"), PHONE);
    assert_eq!(header(&first.head, "x-kannel-password"), "pw");
    assert!(!first.head.lines().next().unwrap().contains(PHONE), "no phone in a URL: {}", first.head);
    first.answers("503 Service Unavailable", "Temporal failure, try again later.");
    // The line breaks before an answer: nobody knows whether the gateway has it, until it reports.
    let again = gateway.next();
    assert_eq!(again.text, first_text(&desk));
    let dlr = header(&again.head, "x-kannel-dlr-url");
    assert_eq!(again.reports("8"), 200);
    drop(again);
    until("a report ends the doubt", || desk.states("accepted") == ["sent"]);
    let wrong = dlr.replace("key=", "key=0");
    let (address, path) = wrong.strip_prefix("http://").unwrap().split_once('/').unwrap();
    assert_eq!(status(&get(address, &format!("/{}", path.replace("%d", "1"))).0), 403);
    let number = desk.tickets().remove(0);
    assert_eq!((desk.tickets().len(), desk.outcomes()), (1, vec!["ticket".to_owned()]));

    // Killed while a result is handed over, and no report comes: it is told again, since nobody knows.
    desk.replies(&number, &format!("已责令整改，请致电{PHONE}"));
    let result = gateway.next();
    assert!(result.text.contains("答复：已责令整改") && !result.text.contains(PHONE), "{}", result.text);
    desk.kill();
    drop(result);
    desk.start();
    let result = gateway.next();
    assert!(result.text.contains("答复：已责令整改"), "{}", result.text);
    assert_eq!(result.reports("1"), 200); // before the answer
    result.accepts();
    until("it is delivered", || desk.states("result") == ["delivered"]);

    // Nothing is left to tell: the next that is handed over is the answer to something new.
    assert_eq!(desk.brings("m2", PHONE, "查 JT370100 1234"), 200);
    let misspelt = gateway.next();
    assert!(misspelt.text.contains("请核对"), "{}", misspelt.text);
    misspelt.accepts();
    desk.tells_nobody();
    let refused = get(&desk.listen, "/sms/in?key=00&from=13800000002&text=x&id=9").0;
    assert_eq!(status(&refused), 403);
}

fn first_text(desk: &Desk) -> String {
    let number = desk.tickets().remove(0);
    let code = desk.code(&number);
    format!("【12328】您的短信诉求已登记，工单号{number}，查询码{code}。查询进度请回复：查 {number} {code}")
}

#[test]
fn a_further_message_is_a_note_only_when_it_cannot_be_mistaken_and_whoever_sends_much_waits() {
    let gateway = Gateway::new();
    let desk = Desk::new(&gateway.address);
    let hears = |words: &str| {
        let handed = gateway.next();
        assert!(handed.text.contains(words), "`{words}` is not in {}", handed.text);
        handed.accepts();
    };
    assert_eq!(desk.brings("1", PHONE, COMPLAINT), 200);
    hears("已登记");
    assert_eq!(desk.brings("2", "%2B8613800000001", "车牌是鲁A00001，电话13900000002"), 200);
    hears("已记入工单");
    let number = desk.tickets().remove(0);
    let shown = desk.json(&["ticket", "show", &number]);
    let notes = shown["notes"].as_object().unwrap();
    let note = notes.values().next().unwrap()["text"].as_str().unwrap();
    assert!(notes.len() == 1 && note.contains("鲁A00001") && note.contains("139****0002"), "{note}");
    // Another sender, and the same one when the ticket has gone on, make tickets of their own.
    assert_eq!(desk.brings("3", "13800000003", "公交车不停站"), 200);
    hears("已登记");
    desk.json(&["ticket", "dispatch", &number, "--to", "客运管理处", "请核实"]);
    assert_eq!(desk.brings("4", PHONE, "还有一件事"), 200);
    hears("已登记");
    assert_eq!(desk.outcomes(), ["ticket", "note", "ticket", "ticket"]);
    // Two are open now: whichever it belongs to is anybody's guess.
    assert_eq!(desk.brings("5", PHONE, "第三件事"), 200);
    hears("已登记");
    for more in 6..12 {
        assert_eq!(desk.brings(&more.to_string(), PHONE, "再说一件"), 200);
        hears("已登记");
    }
    // Ten in an hour; then one word that he has to wait, and no more.
    for more in 12..15 {
        assert_eq!(desk.brings(&more.to_string(), PHONE, "再说一件"), 200);
    }
    hears("您发送的短信过多");
    // A wrong code learns nothing, and a service is not answered.
    assert_eq!(desk.brings("20", "10086", "您的话费余额不足"), 200);
    assert_eq!(desk.brings("21", "13800000004", &format!("CX {number} 0000-0000")), 200);
    hears("工单号或查询码不正确");
    assert_eq!(desk.brings("22", "13800000004", &format!("CX {number} {}", desk.code(&number))), 200);
    hears("已交有关部门办理");
    let last = desk.outcomes().split_off(10);
    assert_eq!(
        last,
        ["ticket", "too many of the sender", "not answered", "not answered", "wrong code", "query"]
    );
    until("all is sent", || desk.json(&["sms", "status"])["out"]["sent"] == 14);
}
