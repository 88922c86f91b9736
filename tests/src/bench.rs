//! What the benchmarks share: tickets, nodes, pairs of engines, processes, lower bounds, and how a row is printed.
//!
//! Every number is taken on real files in a temporary directory, with fsync, through the engine that a city runs.
//! `QUICK` sets are a tenth or less of the real ones and prove only that the benchmark runs.
//!
//! ```text
//! report     a row of the table, the machine's load, percentiles
//! tickets    the ticket of the design: 15 fields, five edits
//! nodes      identities, directories, running nodes, a link through a relay
//! carried    two engines and the frames between them, counted one by one
//! process    a part of a benchmark in a process of its own; CPU time and peak memory
//! bound      the same bytes through bare QUIC, SQLite and zstd
//! hub        a database of a million tickets, written row by row
//! pages      every kind of page of the desk
//! browser    HTTP as a browser speaks it, with a session and an event stream
//! sheet      what a load measured, and what went wrong
//! hall       agents at the desk, each with a page that listens
//! street     citizens before the public page
//! ```

pub mod bound;
pub mod browser;
pub mod carried;
pub mod hall;
pub mod hub;
pub mod nodes;
pub mod pages;
pub mod process;
pub mod report;
pub mod sheet;
pub mod street;
pub mod tickets;

/// What the command line asks for: `cargo bench -p world -- [--quick] [WORD]...`.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A short pass.
    pub quick: bool,
    words: Vec<String>,
}

impl Wanted {
    /// Reads this process's arguments; cargo's own are passed over.
    pub fn read() -> Wanted {
        let mut wanted = Wanted::default();
        for word in std::env::args().skip(1) {
            match word.as_str() {
                "--quick" => wanted.quick = true,
                word if word.starts_with('-') => {}
                word => wanted.words.push(word.to_owned()),
            }
        }
        wanted
    }

    /// Whether a row is asked for: all are when none is named.
    pub fn wants(&self, row: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|w| row.contains(w.as_str()))
    }

    /// Whether a row is asked for by its name.
    pub fn names(&self, row: &str) -> bool {
        self.words.iter().any(|w| row.contains(w.as_str()))
    }

    /// The real size or the quick one.
    pub fn size(&self, real: usize, quick: usize) -> usize {
        if self.quick { quick } else { real }
    }
}
