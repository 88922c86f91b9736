//! The program as a user meets it: real processes, real sockets on 127.0.0.1, a town of as many nodes as a test needs.
//!
//! Nothing here sleeps for a time that was guessed: [`until`] polls a condition and gives up after a minute.
#![allow(dead_code, unreachable_pub, reason = "every test binary takes the part it needs")]

pub mod axe;
pub mod book;
pub mod browser;
pub mod chromium;
pub mod description;
pub mod program;
pub mod scene;

use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program, with nothing of the tester's own environment in it.
pub fn hotline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotline"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOTLINE_")) {
        command.env_remove(name);
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    hotline().args(args).output().unwrap()
}

/// What it says on stdout; it has to succeed.
pub fn says(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The one JSON document that it says on stdout; it has to succeed.
pub fn json(args: &[&str]) -> Value {
    let said = says(&[args, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
}

/// It has to fail with this exit code and these words.
pub fn fails(args: &[&str], code: i32, words: &str) {
    failed(&run(args), args, code, words);
}

/// This run has to have failed with this exit code and these words.
pub fn failed(output: &Output, args: &[&str], code: i32, words: &str) {
    let said = both(output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?} does not say `{words}`: {said}");
}

/// What it said on both streams.
pub fn both(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat()
}

/// Runs it with something on its standard input.
pub fn fed(args: &[&str], input: &[u8]) -> Output {
    let mut child = hotline()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input))); // it may end before it has read all
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// A UDP port that was free a moment ago.
pub fn port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A TCP port that was free a moment ago.
pub fn tcp_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Head and body of a page.
pub fn get(address: &str, path: &str) -> (String, String) {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Polls until it is so; fails after a minute.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The sample calls.
pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/samples.jsonl")
}

/// Whether commands work on the directory itself or through the socket of the node that runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Directory,
    Socket,
}

/// Both ways.
pub const WAYS: [Way; 2] = [Way::Directory, Way::Socket];

/// A root, the authority of 370000, and nodes of it with their directories.
pub struct Town {
    dir: tempfile::TempDir,
}

impl Town {
    /// A town with these nodes.
    pub fn new(nodes: &[&str]) -> Town {
        let town = Town { dir: tempfile::tempdir().unwrap() };
        json(&["cert", "root", "--out", &town.at("root")]);
        json(&["cert", "province", "370000", "--ca", &town.at("root"), "--out", &town.at("ca")]);
        for node in nodes {
            town.enrol(node);
            json(&["init", "--dir", &town.at(node), "--identity", &town.at(&format!("id-{node}"))]);
        }
        town
    }

    /// The identity of a node, in `id-NODE`.
    pub fn enrol(&self, node: &str) {
        let ca = if node.starts_with("000000") { "root" } else { "ca" };
        json(&["cert", "node", node, "--ca", &self.at(ca), "--out", &self.at(&format!("id-{node}"))]);
    }

    /// A path in the town; a node's name is its data directory.
    pub fn at(&self, name: &str) -> String {
        text(&self.dir.path().join(name)).to_owned()
    }

    /// The same as a path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a node; further arguments are those of `hotline run`. Its log goes to `NODE.log`.
    pub fn start(&self, node: &str, args: &[&str]) -> Running {
        self.start_with(node, args, &[])
    }

    /// Starts a node with an environment.
    pub fn start_with(&self, node: &str, args: &[&str], environment: &[(&str, &str)]) -> Running {
        let log = self.path(&format!("{node}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        // As systemd starts it: a watchdog's variables name the process that they are for.
        let mut command = hotline();
        if environment.iter().any(|(name, _)| *name == "WATCHDOG_USEC") {
            let program = command.get_program().to_owned();
            command = Command::new("sh");
            command.args(["-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""]).arg(program).stdin(Stdio::null());
        }
        command.args(["run", "--dir", &self.at(node)]).args(args);
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(file);
        let mut running = Running(command.spawn().unwrap());
        let socket = self.path(node).join("hotline.sock");
        until("the node answers on its socket", || {
            if let Some(status) = running.0.try_wait().unwrap() {
                panic!("{node} ended with {status}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        running
    }

    /// Starts both, with a link between them.
    pub fn pair(&self, a: &str, b: &str) -> (Running, Running) {
        let (x, y) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let first = self.start(a, &["--listen", &x, "--peer", &format!("{b}={y}")]);
        let second = self.start(b, &["--listen", &y, "--peer", &format!("{a}={x}")]);
        (first, second)
    }

    /// For [`Way::Socket`] starts the node.
    pub fn way(&self, way: Way, node: &str) -> Option<Running> {
        (way == Way::Socket).then(|| self.start(node, &[]))
    }

    /// Sets a table at a node, from today on.
    pub fn rule(&self, node: &str, table: &str, rows: &str) {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
        let today = jiff::Zoned::now().with_time_zone(zone).date().to_string();
        let file = self.path(&format!("{table}.csv"));
        std::fs::write(&file, rows).unwrap();
        let set = ["policy", "set", table, "--file", text(&file), "--from", &today, "--basis", "厅函1号"];
        json(&[&set[..], &["--dir", &self.at(node)]].concat());
    }

    /// Waits until a node's every pair is proved equal.
    pub fn proved(&self, node: &str) {
        until(&format!("every pair of {node} is proved equal"), || {
            let status = json(&["replica", "status", "--dir", &self.at(node)]);
            status["peers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|p| p["connected"] == true && p["digest_equal"] == true && p["outbox"] == 0)
        });
    }

    /// What a node has logged so far.
    pub fn log(&self, node: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{node}.log"))).unwrap_or_default()
    }
}

/// A running node. Dropping it is kill -9, and nothing is lost by it.
pub struct Running(pub Child);

impl Running {
    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
