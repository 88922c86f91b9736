//! What a load measured: times by what was asked for, and everything that went wrong.
//!
//! Noted is what was asked for while the sheet is open, but for what is done once; what went wrong counts whenever it was.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::browser::Page;
use super::report::Times;

/// Most faults that are kept in words.
const SHOWN: usize = 10;

#[derive(Default)]
struct Noted {
    times: BTreeMap<&'static str, Times>,
    faults: Vec<String>,
    faulty: usize,
}

/// A sheet that is open for a time.
pub struct Sheet {
    from: Instant,
    until: Instant,
    once: &'static [&'static str],
    noted: Mutex<Noted>,
}

impl Sheet {
    /// Opens in `after` from now, for so long; what is done `once` is noted before that too.
    pub fn open(after: Duration, long: Duration, once: &'static [&'static str]) -> Sheet {
        let from = Instant::now() + after;
        Sheet { from, until: from + long, once, noted: Mutex::default() }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// When it opens and closes.
    pub fn span(&self) -> (Instant, Instant) {
        (self.from, self.until)
    }

    /// Notes an answer that was asked for at `asked`; gives the page back when it has the status that is wanted.
    pub fn note(
        &self,
        what: &'static str,
        asked: Instant,
        said: io::Result<Page>,
        wanted: u16,
    ) -> Option<Page> {
        match said {
            Ok(page) if page.status == wanted => {
                self.count(what, asked);
                Some(page)
            }
            Ok(page) => {
                let title = page.body.split("<h1>").nth(1).and_then(|rest| rest.split('<').next());
                self.fault(format!("{what}: {} instead of {wanted}: {}", page.status, title.unwrap_or("")));
                None
            }
            Err(error) => {
                self.fault(format!("{what}: {error}"));
                None
            }
        }
    }

    /// Notes something that happened since `asked`.
    fn count(&self, what: &'static str, asked: Instant) {
        if self.once.contains(&what) || asked >= self.from && asked < self.until {
            let took = asked.elapsed();
            self.noted.lock().expect("nobody panics with it").times.entry(what).or_default().add(took);
        }
    }

    /// Notes a fault.
    pub fn fault(&self, words: String) {
        let mut noted = self.noted.lock().expect("nobody panics with it");
        noted.faulty += 1;
        if noted.faults.len() < SHOWN {
            noted.faults.push(words);
        }
    }

    /// The times of this, so far.
    pub fn times(&self, what: &str) -> Times {
        self.noted.lock().expect("nobody panics with it").times.get(what).cloned().unwrap_or_default()
    }

    /// How much went wrong, and the first of it in words.
    pub fn faults(&self) -> (usize, Vec<String>) {
        let noted = self.noted.lock().expect("nobody panics with it");
        (noted.faulty, noted.faults.clone())
    }
}
