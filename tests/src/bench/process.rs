//! A part of a benchmark in a process of its own, and what a process costs.
//!
//! The benchmark's own program is started again with `--part NAME ARGUMENT...`; the two talk in lines. A part ends
//! when its input does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A running part.
pub struct Part {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts one, in the environment that systemd/hotline.service gives a node.
    pub fn start(name: &str, arguments: &[&str]) -> Part {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--part", name])
            .args(arguments)
            .env("MIMALLOC_PURGE_DELAY", "10")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Part { child, input, output }
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input"), "{line}").expect("it listens");
    }

    /// The next line it says.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it speaks");
        line.trim().to_owned()
    }

    /// Closes its input and waits for its end.
    pub fn end(mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends");
    }
}

/// The part that this process is, and its arguments; `None` for the benchmark itself.
pub fn part() -> Option<(String, Vec<String>)> {
    let mut arguments = std::env::args().skip(1).skip_while(|a| a != "--part").skip(1);
    let name = arguments.next()?;
    Some((name, arguments.collect()))
}

/// The next line from whoever started this part.
pub fn told() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim().to_owned()),
    }
}

/// User and system time of this process so far, in steps of ten milliseconds.
pub fn cpu() -> Duration {
    cpu_of("self")
}

/// That of another process, by its id.
pub fn cpu_of(process: &str) -> Duration {
    let stat =
        std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process that runs, on Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that this process ever held, in bytes.
pub fn peak() -> u64 {
    peak_of("self")
}

/// That of another process, by its id.
pub fn peak_of(process: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process that runs, on Linux");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() * 1024
}
