//! A row of the table of DESIGN section 9, as a line of Markdown.

use std::fmt::Display;
use std::time::{Duration, Instant};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// How many signatures a core verified in a second of the machine for which the numbers to reach were set.
const VERIFIED_THERE: u32 = 9_850;

/// Prints the head of a table, with the machine's load and speed: whoever reads the numbers must know them.
pub fn begin(group: &str) {
    let here = verified();
    println!(
        "\n## {group} (load {}; a core verifies {here} Ed25519 signatures a second, {:.2} x of where the goals were set)\n",
        load(),
        f64::from(here) / f64::from(VERIFIED_THERE)
    );
    println!(
        "| work | to reach | measured | ratio to the bound | remarks |\n| --- | --- | --- | --- | --- |"
    );
}

/// Prints one row.
pub fn row(work: &str, to_reach: &str, measured: impl Display, ratio: impl Display, remarks: &str) {
    println!("| {work} | {to_reach} | {measured} | {ratio} | {remarks} (load {}) |", load());
}

/// How many signatures over 250 bytes a core verifies in a second, in the best of five rounds.
fn verified() -> u32 {
    const ROUND: u32 = 500;
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed makes a key");
    let words = [b'x'; 250];
    let (said, of) = (key.sign(&words), UnparsedPublicKey::new(&ED25519, key.public_key().as_ref()));
    let round = |_| {
        let began = Instant::now();
        (0..ROUND).for_each(|_| of.verify(&words, said.as_ref()).expect("it was just signed"));
        (f64::from(ROUND) / began.elapsed().as_secs_f64()) as u32
    };
    (0..5).map(round).max().unwrap_or_default()
}

/// The load of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// Times of one piece of work done many times.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Notes one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of them does not exceed; zero when there is none.
    pub fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(place.max(1) - 1).copied().unwrap_or_default()
    }
}

/// p50 and p99 in milliseconds.
impl Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {} p99 {} ms", ms(self.at(0.5)), ms(self.at(0.99)))
    }
}

/// Milliseconds with as many digits as mean something.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.0}") }
}

/// Seconds.
pub fn s(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Bytes for people.
pub fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..10_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.2} MB", n as f64 / 1e6),
    }
}

/// How many times `a` is `b`.
pub fn times(a: f64, b: f64) -> String {
    if b > 0.0 { format!("{:.2} x", a / b) } else { "-".to_owned() }
}
