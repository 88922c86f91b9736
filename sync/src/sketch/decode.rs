//! Taking a difference of two sketches apart, cell by cell.
//!
//! ```text
//!            theirs - ours                     a pure cell: count 1 or -1, and its sum has its check
//! extend ──> difference cells ──> pure cells ──> symbol leaves all its cells ──> more pure cells ──> ...
//!                  └── all empty: done                      └── and those that come later
//! ```
//! Hostile cells end like others: a symbol is taken out once, there are no more symbols than cells, and the cells
//! touched are counted.

use std::collections::BTreeSet;
use std::fmt;

use super::cells::{Cell, Cells};
use super::{Half, Key, Mapping, Symbol};

/// How many cells may be touched for each cell that there is. Honest symbols lie in 2 ln(cells) cells, less than 20.
const TOUCHED_A_CELL: usize = 64;

/// What two sets differ in, each list ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// What they hold and we do not.
    pub only_theirs: Vec<Symbol>,
    /// What we hold and they do not.
    pub only_ours: Vec<Symbol>,
}

/// Decodes the difference of two sketches over one key and half as their cells come in.
#[derive(Clone, Debug)]
pub struct Decoder {
    key: Key,
    half: Half,
    cells: Vec<Cell>,
    /// What was taken out, with its sign and the next cell it will be in.
    pub(super) found: Vec<(Symbol, u32, i64, Mapping)>,
    seen: BTreeSet<Symbol>,
    pub(super) touched: usize,
}

impl Decoder {
    /// A decoder without a cell.
    pub fn new(key: &Key, half: Half) -> Self {
        Self {
            key: key.clone(),
            half,
            cells: Vec::new(),
            found: Vec::new(),
            seen: BTreeSet::new(),
            touched: 0,
        }
    }

    /// The number of cells so far: the next range begins here.
    pub fn cells(&self) -> u32 {
        self.cells.len() as u32
    }

    /// Takes the next range of both sides' cells. `Some` when that was enough; `None` asks for more cells, or, past
    /// the caller's budget, for a new decoder over each half. After an error the decoder is of no use.
    pub fn extend(&mut self, theirs: &Cells, ours: &Cells) -> Result<Option<Decoded>, DecodeError> {
        if theirs.half() != self.half || theirs.range().start != self.cells() {
            return Err(DecodeError::NotNext { expected: self.cells(), half: self.half });
        }
        if ours.half() != theirs.half() || ours.range() != theirs.range() {
            return Err(DecodeError::NotAlike);
        }
        let from = self.cells.len();
        self.cells.extend(theirs.cells.iter().zip(&ours.cells).map(|(t, o)| t.minus(*o)));
        for (symbol, check, sign, mapping) in &mut self.found {
            self.touched += remove(&mut self.cells, *symbol, *check, *sign, mapping, |_| ());
        }
        self.peel((from..self.cells.len()).collect())?;

        if self.cells.iter().all(|c| *c == Cell::default()) {
            return Ok(Some(self.decoded()));
        }
        // Every symbol lies in the first cell, so an empty one says that nothing is left.
        if self.cells[0] == Cell::default() {
            return Err(DecodeError::Inconsistent);
        }
        Ok(None)
    }

    fn peel(&mut self, mut suspects: Vec<usize>) -> Result<(), DecodeError> {
        while let Some(at) = suspects.pop() {
            let Cell { sum, check, count } = self.cells[at];
            if count != 1 && count != -1 {
                continue;
            }
            let symbol = Symbol(sum);
            let trace = self.key.trace(symbol);
            if trace.check != check {
                continue;
            }
            let fits = self.half.holds(symbol) && self.seen.insert(symbol);
            if !fits || self.found.len() >= self.cells.len() {
                return Err(DecodeError::Inconsistent);
            }
            let mut mapping = trace.mapping;
            let note = |i| suspects.push(i);
            self.touched += remove(&mut self.cells, symbol, check, count, &mut mapping, note);
            self.found.push((symbol, check, count, mapping));
            if self.touched > TOUCHED_A_CELL * (self.cells.len() + 64) {
                return Err(DecodeError::Inconsistent);
            }
        }
        Ok(())
    }

    fn decoded(&self) -> Decoded {
        let side = |which| {
            let mut side: Vec<_> =
                self.found.iter().filter(|(.., sign, _)| *sign == which).map(|f| f.0).collect();
            side.sort_unstable();
            side
        };
        Decoded { only_theirs: side(1), only_ours: side(-1) }
    }
}

/// Takes a symbol out of its cells from where its mapping stands to the last cell there is; says how many they were.
fn remove(
    cells: &mut [Cell],
    symbol: Symbol,
    check: u32,
    sign: i64,
    mapping: &mut Mapping,
    mut note: impl FnMut(usize),
) -> usize {
    let mut touched = 0;
    while mapping.at() < cells.len() as u64 {
        let at = mapping.at() as usize;
        cells[at].put(symbol, check, -sign);
        note(at);
        mapping.step();
        touched += 1;
    }
    touched
}

/// Why a difference could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Their cells are not the next ones of this half.
    NotNext {
        /// The cell that is next.
        expected: u32,
        /// The half that is decoded.
        half: Half,
    },
    /// Our cells are not for the same range and half as theirs.
    NotAlike,
    /// The cells are not those of a set: a broken or hostile peer, a set that changed between two ranges, or, once in
    /// a million, bad luck.
    Inconsistent,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNext { expected, half } => {
                write!(
                    f,
                    "cell {expected} of part {}/{} comes next, and other cells came",
                    half.prefix(),
                    half.bits()
                )
            }
            Self::NotAlike => {
                f.write_str("our cells are for another range than theirs: make them for the same")
            }
            Self::Inconsistent => {
                f.write_str("the sketches contradict themselves: draw a new key and repair again")
            }
        }
    }
}

impl std::error::Error for DecodeError {}
