//! A range of cells, and its form on the wire.
//!
//! ```text
//! bits 1 | prefix | first cell | number of cells | cells      numbers are varints
//! cell     sum 8 | check 4 | count, zigzag varint             14 or 15 bytes over a million items
//! ```

use std::fmt;
use std::ops::Range;

use super::{Half, Symbol, Trace};

/// The most cells of one sketch. A part that needs more is split.
pub const MAX_CELLS: u32 = 1 << 15;

/// The longest form of a range of cells, in bytes: what a frame has to allow.
pub const CELLS_BYTES: usize = 16 + MAX_CELLS as usize * CELL_MOST;

const CELL_LEAST: usize = 13;
const CELL_MOST: usize = 22;

/// One cell. Adding and subtracting are one but for the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) sum: u64,
    pub(super) check: u32,
    pub(super) count: i64,
}

impl Cell {
    pub(super) fn put(&mut self, symbol: Symbol, check: u32, times: i64) {
        self.sum ^= symbol.0;
        self.check ^= check;
        self.count = self.count.wrapping_add(times);
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            sum: self.sum ^ other.sum,
            check: self.check ^ other.check,
            count: self.count.wrapping_sub(other.count),
        }
    }
}

/// A range of the cells over a set, or over one half of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    half: Half,
    first: u32,
    pub(super) cells: Vec<Cell>,
}

impl Cells {
    pub(super) fn empty(half: Half, range: Range<u32>) -> Result<Self, CellsError> {
        if range.is_empty() || range.end > MAX_CELLS {
            return Err(CellsError::Range { first: range.start, end: range.end.into() });
        }
        Ok(Self { half, first: range.start, cells: vec![Cell::default(); range.len()] })
    }

    /// The half that they are over.
    pub fn half(&self) -> Half {
        self.half
    }

    /// Which cells they are.
    pub fn range(&self) -> Range<u32> {
        self.first..self.first + self.cells.len() as u32
    }

    pub(super) fn put(&mut self, symbol: Symbol, trace: Trace) {
        let Range { start, end } = self.range();
        let mut mapping = trace.mapping;
        while mapping.at() < end.into() {
            if mapping.at() >= start.into() {
                self.cells[(mapping.at() - u64::from(start)) as usize].put(symbol, trace.check, 1);
            }
            mapping.step();
        }
    }

    /// As they travel.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.cells.len() * 16);
        out.push(self.half.bits());
        for n in [self.half.prefix(), self.first, self.cells.len() as u32] {
            write_varint(&mut out, n.into());
        }
        for cell in &self.cells {
            out.extend(cell.sum.to_le_bytes());
            out.extend(cell.check.to_le_bytes());
            write_varint(&mut out, (cell.count << 1 ^ cell.count >> 63) as u64);
        }
        out
    }

    /// As they came. Nothing is allocated for cells that are not there.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CellsError> {
        let mut rest = bytes;
        let [bits] = take(&mut rest)?;
        let prefix = read_varint(&mut rest)?;
        let half = u32::try_from(prefix).ok().and_then(|prefix| Half::new(bits, prefix));
        let half = half.ok_or(CellsError::Half { bits, prefix })?;
        let (first, n) = (read_varint(&mut rest)?, read_varint(&mut rest)?);
        let most = u64::from(MAX_CELLS);
        let (Ok(start), true) = (u32::try_from(first), n > 0 && n <= most && first <= most - n) else {
            let first = first.try_into().unwrap_or(u32::MAX);
            return Err(CellsError::Range { first, end: n.saturating_add(first.into()) });
        };
        if n > (rest.len() / CELL_LEAST) as u64 {
            return Err(CellsError::Cut);
        }
        let mut cells = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let sum = u64::from_le_bytes(take(&mut rest)?);
            let check = u32::from_le_bytes(take(&mut rest)?);
            let zigzag = read_varint(&mut rest)?;
            cells.push(Cell { sum, check, count: (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64) });
        }
        if rest.is_empty() { Ok(Self { half, first: start, cells }) } else { Err(CellsError::Longer) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CellsError> {
    let (taken, left) = rest.split_first_chunk().ok_or(CellsError::Cut)?;
    *rest = left;
    Ok(*taken)
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A varint in its shortest form.
fn read_varint(rest: &mut &[u8]) -> Result<u64, CellsError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        if (shift == 63 && byte > 1) || (shift > 0 && byte == 0) {
            return Err(CellsError::Number);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CellsError::Number)
}

/// Why cells cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellsError {
    /// No cell, or cells past [`MAX_CELLS`].
    Range {
        /// The first of them.
        first: u32,
        /// One past the last.
        end: u64,
    },
    /// A half that there is not.
    Half {
        /// Its bits.
        bits: u8,
        /// Its prefix.
        prefix: u64,
    },
    /// The bytes end too early.
    Cut,
    /// A number is longer than it need be or than 64 bits.
    Number,
    /// More bytes than cells.
    Longer,
}

impl fmt::Display for CellsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { first, end } => {
                write!(f, "cells {first} to {end} of a sketch of at most {MAX_CELLS}: split the set instead")
            }
            Self::Half { bits, prefix } => {
                write!(f, "a part of {bits} bits and prefix {prefix} does not exist: the sender is broken")
            }
            Self::Cut => f.write_str("the sketch ends too early: ask for it again"),
            Self::Number => f.write_str("a number in the sketch is malformed: the sender is broken"),
            Self::Longer => f.write_str("bytes follow the sketch: the sender is broken"),
        }
    }
}

impl std::error::Error for CellsError {}
