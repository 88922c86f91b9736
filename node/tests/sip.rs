//! Calls by SIP: with Debian's Kamailio and sipp as telephone system, telephones and callers, and with a telephone system of
//! the test's own for what those cannot be made to do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use harness::browser::{Browser, Listening, NUMBER, OWN};
use harness::chromium::Chromium;
use harness::{Running, Town, fails, get, json, port, tcp_port, text, until};

const CITY: &str = "370100";

/// Where Debian puts it, which is not on everybody's path.
const KAMAILIO: &str = "/usr/sbin/kamailio";

/// Set where sipp and Kamailio have to be there: a test that is skipped is a failure then.
const MUST: &str = "HOTLINE_CI";

/// Whether sipp and Kamailio are here; says loudly where they are not.
fn are_there() -> bool {
    for program in [KAMAILIO, "sipp"] {
        if let Err(e) = Command::new(program).arg("-v").output() {
            assert!(std::env::var_os(MUST).is_none(), "{MUST} is set and there is no {program}: {e}");
            println!("\n*** SKIPPED: no {program} here ({e}); install kamailio and sip-tester ***\n");
            return false;
        }
    }
    true
}

/// A program and its children. They end with it, also when the test panics.
struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    fn start(mut command: Command, log: PathBuf) -> Program {
        let file = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        Program { child: command.spawn().unwrap(), log }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for its end, which has to be a good one.
    fn ends_well(&mut self, what: &str) {
        let mut status: Option<ExitStatus> = None;
        until(&format!("{what} ends"), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{what}: {status:?}\n{}", self.said());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Kamailio is several processes: asked, it ends them all. What is left of the group goes after that.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.child.id())])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// Asks by SIP whether somebody is there; the code of the answer, if one comes soon.
fn options(from: &UdpSocket, to: u16, user: &str) -> Option<u16> {
    let text =
        request("OPTIONS", user, &format!("options-{user}"), &from.local_addr().unwrap().to_string(), "");
    from.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    from.send_to(text.as_bytes(), ("127.0.0.1", to)).unwrap();
    let mut buffer = [0; 4096];
    let n = from.recv(&mut buffer).ok()?;
    code(&buffer[..n])
}

fn code(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer).ok()?.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// A request of the test's own. INVITE and CANCEL of one user and call have one branch.
fn request(method: &str, user: &str, call: &str, me: &str, further: &str) -> String {
    let sequence = if method == "CANCEL" || method == "ACK" { "INVITE" } else { method };
    let letters: String = call.chars().filter(char::is_ascii_alphanumeric).collect();
    let branch = format!("z9hG4bK-{sequence}-{user}-{letters}");
    format!(
        "{method} sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:{NUMBER}@127.0.0.1>;tag=f\r\nTo: <sip:12328@127.0.0.1>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
         {further}Content-Length: 0\r\n\r\n"
    )
}

const ELSEWHERE: &str = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

/// A telephone system of the test's own.
struct Pbx {
    socket: UdpSocket,
    node: u16,
}

impl Pbx {
    fn new(node: u16) -> Pbx {
        Pbx::at("127.0.0.1", node)
    }

    fn at(ip: &str, node: u16) -> Pbx {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        Pbx { socket, node }
    }

    fn sends(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, ("127.0.0.1", self.node)).unwrap();
    }

    fn asks(&self, method: &str, user: &str, call: &str, further: &str) {
        let me = self.socket.local_addr().unwrap().to_string();
        self.sends(request(method, user, call, &me, further).as_bytes());
    }

    /// Waits for an answer with this code; its text.
    fn hears(&self, wanted: u16) -> String {
        self.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut buffer = [0; 4096];
        loop {
            let n = self.socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {wanted} came: {e}"));
            if code(&buffer[..n]) == Some(wanted) {
                return String::from_utf8_lossy(&buffer[..n]).into_owned();
            }
        }
    }

    fn hears_nothing(&self) {
        self.socket.set_nonblocking(true).unwrap();
        assert!(self.socket.recv(&mut [0; 4096]).is_err());
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// The tag of an answer's `To`.
fn tag(answer: &str) -> &str {
    let to = answer.lines().find(|line| line.starts_with("To: ")).unwrap();
    to.split(";tag=").nth(1).unwrap()
}

/// A node with a desk that is rung by SIP.
struct Hall {
    town: Town,
    desk: String,
    sip: u16,
    http: String,
    running: Option<Running>,
}

impl Hall {
    /// With these further lines of `[sip]`.
    fn new(lines: &str) -> Hall {
        let town = Town::new(&[CITY]);
        let (desk, sip, http) =
            (format!("127.0.0.1:{}", tcp_port()), port(), format!("127.0.0.1:{}", tcp_port()));
        let file = format!(
            "[desk]\nlisten = \"{desk}\"\n[http]\nlisten = \"{http}\"\n[sip]\nlisten = \"127.0.0.1:{sip}\"\n{lines}"
        );
        std::fs::write(town.path(CITY).join("hotline.toml"), file).unwrap();
        let mut hall = Hall { town, desk, sip, http, running: None };
        hall.start();
        hall
    }

    fn start(&mut self) {
        self.running = Some(self.town.start(CITY, &[]));
        until("calls by SIP are taken", || get_or_nothing(&self.http).contains("hotline_sip_calls_total"));
    }

    /// As by kill -9.
    fn kill(&mut self) {
        self.running = None;
    }

    /// As by systemd.
    fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        running.signal("TERM");
        assert!(running.0.wait().unwrap().success());
    }

    /// An agent at an extension, with a page that listens.
    fn agent(&self, name: &str, number: &str) -> (Browser, Listening) {
        let browser = self.town.staff(CITY, &self.desk, name, "agent");
        self.town.extension(name, number);
        let listening = Listening::at(&browser, &self.desk);
        (browser, listening)
    }

    fn metric(&self, line: &str) -> bool {
        get_or_nothing(&self.http).lines().any(|l| l == line)
    }

    /// The value of a metric; 0 if it is not there.
    fn count(&self, of: &str) -> u64 {
        let metrics = get_or_nothing(&self.http);
        let line = metrics.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// All lines of the audit log.
    fn audit(&self) -> String {
        json(&["audit", "--limit", "100000", "--dir", &self.town.at(CITY)]).to_string()
    }

    /// The caller's number is where others look nowhere.
    fn tells_nobody(&self) {
        for (name, text) in [("the log", self.town.log(CITY)), ("the audit log", self.audit())] {
            assert!(!text.contains(NUMBER), "{name}: {text}");
        }
    }
}

fn get_or_nothing(http: &str) -> String {
    if std::net::TcpStream::connect(http).is_err() { String::new() } else { get(http, "/metrics").1 }
}

/// Kamailio as docs/sip.md says it is set up, with telephones and callers by sipp.
struct Exchange {
    dir: tempfile::TempDir,
    kamailio: u16,
    phone: u16,
    _program: Program,
}

impl Exchange {
    fn start() -> Option<Exchange> {
        if !are_there() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sip.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let conf = docs.split("```").find(|part| part.trim_start().starts_with("listen=udp")).unwrap();
        let kamailio = port();
        assert!(conf.contains("10.37.1.2:5060") && conf.contains("PASSWORD"));
        let conf = conf.replace("10.37.1.2:5060", &format!("127.0.0.1:{kamailio}")).replace("PASSWORD", "pw");
        let file = dir.path().join("kamailio.cfg");
        std::fs::write(&file, conf).unwrap();
        let mut command = Command::new(KAMAILIO);
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-f", text(&file), "-Y", text(dir.path())]);
        let program = Program::start(command, dir.path().join("kamailio.log"));
        let me = UdpSocket::bind("127.0.0.1:0").unwrap();
        until("Kamailio answers", || options(&me, kamailio, "nobody").is_some());
        Some(Exchange { dir, kamailio, phone: port(), _program: program })
    }

    /// The lines of `[sip]` for a node that registers here.
    fn registrar(&self, passwords: &str) -> String {
        let file = self.dir.path().join("passwords");
        std::fs::write(&file, passwords).unwrap();
        format!("registrar = \"127.0.0.1:{}\"\npassword = \"{}\"\n", self.kamailio, text(&file))
    }

    fn sipp(&self, scenario: &str, port: u16, args: &[&str]) -> Program {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sip").join(format!("{scenario}.xml"));
        let control = harness::port();
        let mut command = Command::new("sipp");
        command.args(["-sf", text(&file), "-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1", "-nostdin"]);
        command.args(["-ci", "127.0.0.1", "-cp", &control.to_string()]);
        // Beside the one branch that counts there are others, whose answers no scenario names.
        command.args(["-default_behaviors", "all,-abortunexp", "-timeout", "60", "-timeout_error"]);
        command.args(args).current_dir(self.dir.path());
        Program::start(command, self.dir.path().join(format!("{scenario}-{port}.log")))
    }

    /// The agent's telephone at 8001 registers itself.
    fn registers(&self) {
        let at = format!("127.0.0.1:{}", self.kamailio);
        self.sipp("register", self.phone, &["-s", "8001", "-au", "8001", "-ap", "pw", &at])
            .ends_well("the registration");
    }

    /// The agent's telephone waits for a call.
    fn telephone(&self, scenario: &str) -> Program {
        let program = self.sipp(scenario, self.phone, &[]);
        until("the telephone listens", || UdpSocket::bind(("127.0.0.1", self.phone)).is_err());
        program
    }

    /// Somebody calls 12328.
    fn caller(&self, scenario: &str, call: &str) -> Program {
        let at = format!("127.0.0.1:{}", self.kamailio);
        self.sipp(scenario, port(), &["-s", "12328", "-cid_str", call, &at])
    }
}

#[test]
fn the_form_opens_at_whoever_answered_the_telephone_and_a_caller_who_gives_up_is_missed() {
    let Some(exchange) = Exchange::start() else { return };
    let mut hall = Hall::new(&exchange.registrar("8003:wrong\n*:pw\n"));
    let (mut li, mut of_li) = hall.agent("li", "8001");
    let (_wang, mut of_wang) = hall.agent("wang", "8002");
    let _zhao = hall.agent("zhao", "8003");
    for line in
        ["hotline_sip_extensions{stand=\"registered\"} 2", "hotline_sip_extensions{stand=\"refused\"} 1"]
    {
        until(line, || hall.metric(line));
    }
    let log = hall.town.log(CITY);
    let refused = log.lines().find(|line| line.contains("an extension is not registered")).unwrap();
    assert!(
        refused.contains("8003") && refused.contains("Refused(401)") && !refused.contains("wrong"),
        "{refused}"
    );
    let me = UdpSocket::bind("127.0.0.1:0").unwrap();
    until("Kamailio finds the node", || options(&me, exchange.kamailio, "8002") == Some(200));
    exchange.registers();

    let (mut phone, mut caller) = (exchange.telephone("answers"), exchange.caller("speaks", "by-sip-1"));
    of_li.until("event: calls");
    of_li.until("event: answered");
    caller.ends_well("the caller");
    phone.ends_well("the telephone");
    let form = li.get("/new?call=by-sip-1").is(200);
    form.says(&format!("value=\"86{NUMBER}\""));
    let page = li.get("/calls").is(200).says("href=\"/new?call=by-sip-1\" data-mine");
    assert!(!page.body.contains(NUMBER));

    let (mut phone, mut caller) = (exchange.telephone("rings"), exchange.caller("gives-up", "by-sip-2"));
    caller.ends_well("the caller who gives up");
    phone.ends_well("the telephone that only rang");
    until("the call is over", || hall.metric("hotline_sip_calls_total{event=\"hangup\"} 1"));
    li.get("/calls").is(200).says("未接来电").says("138****0001");

    let (mut phone, mut caller) = (exchange.telephone("busy"), exchange.caller("hears-busy", "by-sip-3"));
    caller.ends_well("the caller who hears that it is busy");
    phone.ends_well("the telephone that is busy");
    until("that call is over, too", || hall.metric("hotline_sip_calls_total{event=\"hangup\"} 2"));
    li.call("出租车拒载"); // what comes last of all tells that nothing came in between
    let heard = of_wang.until("event: queue");
    assert!(heard.contains(&"calls".to_owned()) && !heard.contains(&"answered".to_owned()), "{heard:?}");
    assert!(!of_li.until("event: queue").contains(&"answered".to_owned()), "it was given up");

    let audit = hall.audit();
    for what in ["sip newCall", "sip answer", "sip hangup", "by-sip-1", "by-sip-2"] {
        assert!(audit.contains(what), "{what} is not in {audit}");
    }
    hall.tells_nobody();
    hall.stop();
    let me = UdpSocket::bind("127.0.0.1:0").unwrap(); // no earlier answer waits there
    until("a clean stop takes its registrations back", || {
        options(&me, exchange.kamailio, "8002") == Some(480)
    });
}

#[test]
fn the_form_opens_in_a_real_browser_while_the_caller_speaks() {
    let Some(exchange) = Exchange::start() else { return };
    let Some(chromium) = Chromium::start() else { return };
    let hall = Hall::new(&exchange.registrar("*:pw\n"));
    hall.town.staff(CITY, &hall.desk, "li", "agent");
    hall.town.extension("li", "8001");
    let registered = "hotline_sip_extensions{stand=\"registered\"} 1";
    until(registered, || hall.metric(registered));
    exchange.registers();
    let li = chromium.window(&hall.desk);
    li.sign_in("li", OWN);
    let (mut phone, mut caller) = (exchange.telephone("answers"), exchange.caller("speaks", "in-browser"));
    li.arrives("/new?call=in-browser");
    li.focused("caller_phone");
    assert_eq!(li.script("return document.getElementById('caller_phone').value"), format!("86{NUMBER}"));
    li.picture("sip.png");
    caller.ends_well("the caller");
    phone.ends_well("the telephone");
}

#[test]
fn a_node_that_comes_back_in_the_middle_of_calls_goes_on_where_it_was() {
    let mut hall = Hall::new("extensions = \"agent1=8001,agent2=8002\"\n");
    let (li, mut of_li) = hall.agent("li", "8001");
    let pbx = Pbx::new(hall.sip);
    for call in ["back-1", "back-2"] {
        pbx.asks("INVITE", "agent1", call, "");
        pbx.hears(100);
        of_li.until("event: calls");
    }
    let before = pbx.hears(180);
    pbx.asks("INVITE", "agent1", "back-2", ""); // its answer was lost
    assert_eq!(tag(&pbx.hears(180)), tag(&before));
    hall.kill();
    hall.start();
    let mut of_li = Listening::at(&li, &hall.desk);
    pbx.asks("CANCEL", "agent1", "back-2", ELSEWHERE);
    let over = pbx.hears(487);
    assert_eq!(tag(&over), tag(&before), "the same life as far as anybody can tell");
    of_li.until("event: answered");
    pbx.hears(487); // again, for it was not acknowledged
    pbx.asks("ACK", "agent1", "back-2", "");
    pbx.asks("CANCEL", "agent1", "back-1", "");
    pbx.hears(200);
    pbx.asks("ACK", "agent1", "back-1", "");
    until("it is over", || hall.metric("hotline_sip_calls_total{event=\"hangup\"} 1"));
    let mut li = li;
    li.get("/new?call=back-2").is(200).says(NUMBER);
    li.get("/calls").is(200).says("未接来电");
    pbx.asks("CANCEL", "agent1", "never-heard-of", "");
    pbx.hears(481);
    // A colleague's call opens nothing: by the name that the telephone system has for the extension, and by a short one.
    hall.agent("wang", "8002");
    hall.agent("zhao", "17");
    for (call, caller) in [("colleague-1", "agent2"), ("colleague-2", "17"), ("citizen", NUMBER)] {
        let vouched = format!("P-Asserted-Identity: <sip:{caller}@127.0.0.1>\r\n");
        pbx.asks("INVITE", "agent1", call, &vouched);
        pbx.asks("CANCEL", "agent1", call, ELSEWHERE);
        pbx.hears(487);
    }
    hall.stop();
    let audit = hall.audit();
    assert!(audit.contains("back-1") && audit.contains("citizen") && !audit.contains("colleague"), "{audit}");
}

#[test]
fn of_telephones_that_ring_at_once_none_is_named_and_of_those_that_ring_in_turn_the_last_is() {
    let hall = Hall::new("");
    let ((mut li, mut of_li), (mut wang, mut of_wang)) =
        (hall.agent("li", "8001"), hall.agent("wang", "8002"));
    let pbx = Pbx::new(hall.sip);
    for extension in ["8001", "8002"] {
        pbx.asks("INVITE", extension, "at-once", "");
        pbx.hears(180);
    }
    for extension in ["8001", "8002"] {
        pbx.asks("CANCEL", extension, "at-once", ELSEWHERE);
        pbx.hears(487);
        pbx.asks("ACK", extension, "at-once", "");
    }
    until("it was answered", || hall.metric("hotline_sip_calls_total{event=\"answer\"} 1"));
    li.call("出租车拒载"); // what comes last of all tells that nothing came in between
    for page in [&mut of_li, &mut of_wang] {
        assert!(!page.until("event: queue").contains(&"answered".to_owned()), "nobody knows who has it");
    }
    li.get("/calls").is(200).says("接听处理");
    li.post("/calls/take", &[("call", "at-once")]).leads_to("/new?call=at-once");

    // Callers draw ids, and some draw strange ones.
    let (strange, address) = ("in-turn&<b>%41+1@10.0.0.2", "/new?call=in-turn%26%3Cb%3E%2541%2B1%4010.0.0.2");
    pbx.asks("INVITE", "8001", strange, "");
    pbx.hears(180);
    pbx.asks("CANCEL", "8001", strange, "Reason: SIP;cause=408\r\n");
    pbx.hears(487);
    pbx.asks("INVITE", "8002", strange, "");
    pbx.hears(180);
    pbx.asks("CANCEL", "8002", strange, ELSEWHERE);
    of_wang.until("event: answered");
    let page = wang.get("/calls").is(200).says(&format!("href=\"{address}\""));
    assert!(!page.body.contains("<b>"));
    wang.get(address).is(200).says(NUMBER);
    assert!(hall.metric("hotline_sip_calls_total{event=\"hangup\"} 0"), "it was never over");
    hall.tells_nobody();
}

#[test]
fn strangers_hear_nothing_and_garbage_stops_nobody() {
    let hall = Hall::new("proxies = \"127.0.0.2\"\n");
    let (mut li, mut of_li) = hall.agent("li", "8001");
    let (stranger, pbx) = (Pbx::new(hall.sip), Pbx::at("127.0.0.2", hall.sip));
    for call in 0..50 {
        stranger.asks("INVITE", "8001", &format!("strange-{call}"), "");
    }
    until("strangers are counted", || hall.metric("hotline_sip_dropped_total{why=\"stranger\"} 50"));
    stranger.hears_nothing();
    let lines = || hall.town.log(CITY).matches("sip.proxies alone").count();
    assert_eq!(lines(), 1, "one line for each");

    let mut seed = 7u64;
    let mut drawn = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let whole = request("INVITE", "8001", "torn", "127.0.0.2:5060", "Content-Length: 9\r\n");
    // The kernel may drop some of it: it is sent until enough has come.
    let mut round = 0;
    until("garbage is counted", || {
        for _ in 0..8 {
            round += 1;
            pbx.sends(&(0..round * 7 % 1_400).map(|_| drawn()).collect::<Vec<_>>());
            pbx.sends(&whole.as_bytes()[..1 + round % (whole.len() - 1)]);
            pbx.sends(&vec![b'x'; 40_000]);
            pbx.sends(whole.replace("CSeq", "X").as_bytes());
            pbx.asks("INVITE", "8001", &format!("flood-{round}"), "");
        }
        hall.count("hotline_sip_dropped_total{why=\"malformed\"}") >= 300
    });
    let fresh = Pbx::at("127.0.0.2", hall.sip);
    until("it answers", || options(&fresh.socket, hall.sip, "8001") == Some(200));
    until("a call comes through", || {
        fresh.asks("INVITE", "8001", "after-the-flood", "");
        fresh.socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 4096];
        fresh.socket.recv(&mut buffer).is_ok_and(|n| code(&buffer[..n]) == Some(100))
    });
    fresh.asks("CANCEL", "8001", "after-the-flood", ELSEWHERE);
    fresh.hears(487);
    of_li.until("event: answered");
    li.get("/new?call=after-the-flood").is(200).says(NUMBER);
    let complaints = hall.town.log(CITY).matches("no message of SIP").count();
    assert!(lines() == 1 && (1..=3).contains(&complaints), "a line in half a minute, not {complaints}");
    hall.tells_nobody();
}

#[test]
fn a_disk_that_refuses_is_asked_again_and_the_audit_log_says_it_once() {
    let hall = Hall::new("");
    let (_li, mut of_li) = hall.agent("li", "8001");
    let db = rusqlite::Connection::open(hall.town.path(CITY).join("desk.db")).unwrap();
    db.execute_batch("CREATE TRIGGER refuses BEFORE INSERT ON call BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let pbx = Pbx::new(hall.sip);
    pbx.asks("INVITE", "8001", "once", "");
    pbx.hears(180);
    let tried = || hall.town.log(CITY).matches("a call cannot be written down now").count();
    until("it is tried again", || tried() >= 2);
    db.execute_batch("DROP TRIGGER refuses").unwrap();
    of_li.until("event: calls");
    assert_eq!(hall.audit().matches("sip newCall").count(), 1);
}

#[test]
fn what_does_not_fit_is_said_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("h.toml");
    let check = |lines: &str, words: &str| {
        std::fs::write(&file, format!("[desk]\nlisten = \"127.0.0.1:1\"\n[sip]\n{lines}")).unwrap();
        fails(&["config", "check", "--config", text(&file)], 4, words);
    };
    check("listen = \"0.0.0.0:5062\"\n", "line 4: telephone numbers cross the network in clear");
    check("listen = \"127.0.0.1:5062\"\nproxies = \"pbx\"\n", "line 5: sip.proxies: `pbx` is not an address");
    check("listen = \"127.0.0.1:5062\"\nextensions = \"7\"\n", "is not USER=EXTENSION");
    check("listen = \"127.0.0.1:5062\"\nring_seconds = 1\n", "not a number from 5 to 600");
    check(
        "listen = \"127.0.0.1:5062\"\nregistrar = \"127.0.0.1:5060\"\n",
        "sip.registrar needs sip.password",
    );
    fails(&["config", "check", "--sip", "127.0.0.1:5062"], 4, "sip.listen needs desk.listen");
    let town = Town::new(&[CITY]);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let desk = format!("127.0.0.1:{}", tcp_port());
    let args = ["run", "--dir", &town.at(CITY), "--listen", "127.0.0.1:0", "--desk", &desk, "--sip", &taken];
    fails(&args, 4, &format!("cannot listen on {taken} (UDP)"));
}
