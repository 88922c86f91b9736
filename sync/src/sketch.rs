//! Sketches that tell two peers which items one of them lacks, at a cost of the difference and not of the sets.
//!
//! A rateless invertible Bloom lookup table (Yang, Gilad, Alizadeh: *Practical Rateless Set Reconciliation*, SIGCOMM
//! 2024, arXiv 2402.02668). Every item becomes a symbol of eight bytes under a key that is drawn for each repair.
//! Symbols are mapped to an endless row of cells; a peer sends as many cells as are needed, from the first on. The
//! other one subtracts its own, and what both hold cancels. Some 1.4 cells a difference are enough to take the rest
//! apart: a cell with one symbol in it gives the symbol, which leaves its other cells, which then give theirs.
//!
//! ```text
//! symbol    first 8 bytes of BLAKE3(symbol key, item hash), a little-endian number; of a key that locates its two lowest
//!           bytes are the first two of the item's hash instead, so that whoever has an index of hashes finds the item
//! trace     BLAKE3(trace key, symbol): mapping seed 8 | check 4        known from the symbol and the key alone
//! mapping   cell 0 always, cell i with probability 1/(1 + i/2): the paper's alpha of 0.5
//! cell      sum 8 | check 4 | count          XOR of symbols, XOR of checks, how many
//! ```
//! The encoder keeps nothing for an item: it is fed all items once for each range of cells. State for each item would
//! make later cells cheap and costs 28 bytes an item, 1 GiB at the largest hub; a repair is rare, its first range
//! nearly always enough, and each further range can be as long as all before it, so that there are few scans.
//!
//! Left to others: drawing the key, scanning the store, finding items by symbol, the budget after which a [`Half`] is
//! tried instead of more cells. With 64-bit symbols a repair of 40 million items fails by a collision once in 20,000;
//! the next one has another key.
//!
//! Floating point is used for one square root, one quotient and one product, which IEEE 754 defines to the last bit.

mod cells;
mod decode;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::ItemHash;

pub use cells::{CELLS_BYTES, Cells, CellsError, MAX_CELLS};
pub use decode::{DecodeError, Decoded, Decoder};

/// The key of one repair. Who knows it can make sketches that do not decode, so it is drawn after the sets are fixed
/// and serves once.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 16],
    locates: bool,
    symbol: [u8; 32],
    trace: [u8; 32],
}

impl Key {
    /// The key with these bytes; the caller draws them from the system's entropy.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let derive = |context| blake3::derive_key(context, &bytes);
        Self {
            bytes,
            locates: false,
            symbol: derive("hotline 2026 sketch symbol v1"),
            trace: derive("hotline 2026 sketch trace v1"),
        }
    }

    /// The same key, whose symbols say how their items' hashes begin. Both ends must make it so.
    pub fn locating(self) -> Self {
        Self { locates: true, ..self }
    }

    /// How the hash of the item begins that has this symbol, if this key's symbols say that.
    pub fn locate(&self, symbol: Symbol) -> Option<[u8; 2]> {
        self.locates.then(|| symbol.0.to_be_bytes()[6..].try_into().expect("two bytes"))
    }

    /// Its sixteen bytes, for the peer.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    fn trace(&self, symbol: Symbol) -> Trace {
        let hash = blake3::keyed_hash(&self.trace, &symbol.to_bytes());
        let (seed, rest) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        let (check, _) = rest.split_first_chunk::<4>().expect("24 bytes");
        // An even seed would lose a bit of its state with every step.
        Trace { check: u32::from_le_bytes(*check), mapping: Mapping::new(u64::from_le_bytes(*seed) | 1) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// An item under the key of a repair: eight bytes that mean nothing without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "[u8; 8]", from = "[u8; 8]")]
pub struct Symbol(u64);

impl Symbol {
    /// Its eight bytes.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

impl From<[u8; 8]> for Symbol {
    fn from(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }
}

impl From<Symbol> for [u8; 8] {
    fn from(symbol: Symbol) -> Self {
        symbol.to_bytes()
    }
}

/// The symbol of an item.
pub fn symbol(key: &Key, item: &ItemHash) -> Symbol {
    let hash = blake3::keyed_hash(&key.symbol, item.as_bytes());
    let drawn = Symbol::from(*hash.as_bytes().first_chunk::<8>().expect("32 bytes"));
    match (key.locates, item.as_bytes()) {
        (true, [first, second, ..]) => {
            Symbol(drawn.0 & !0xFFFF | u64::from(*first) << 8 | u64::from(*second))
        }
        (false, _) => drawn,
    }
}

/// A part of the space of symbols: those that begin with these bits. Symbols are keyed, so the parts of a set are of
/// like size whatever the items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Half {
    bits: u8,
    prefix: u32,
}

impl Half {
    /// The most bits: a 65,536th of the space.
    pub const MAX_BITS: u8 = 16;

    /// The whole space.
    pub const WHOLE: Self = Self { bits: 0, prefix: 0 };

    /// The part whose symbols begin with the `bits` low bits of `prefix`; `None` when there are more bits than
    /// [`Half::MAX_BITS`] or other bits set.
    pub fn new(bits: u8, prefix: u32) -> Option<Self> {
        (bits <= Self::MAX_BITS && prefix >> bits == 0).then_some(Self { bits, prefix })
    }

    /// How many bits are fixed.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// What they are.
    pub fn prefix(self) -> u32 {
        self.prefix
    }

    /// The two halves of it; `None` at [`Half::MAX_BITS`].
    pub fn split(self) -> Option<[Self; 2]> {
        let half = |low| Self::new(self.bits + 1, self.prefix << 1 | low);
        Some([half(0)?, half(1)?])
    }

    /// Whether a symbol lies in it.
    pub fn holds(self, symbol: Symbol) -> bool {
        u64::from(self.prefix) == symbol.0.checked_shr(64 - u32::from(self.bits)).unwrap_or(0)
    }
}

/// Makes one range of cells from a scan of all items.
#[derive(Clone, Debug)]
pub struct Encoder {
    key: Key,
    cells: Cells,
}

impl Encoder {
    /// An encoder for these cells; refused when they are none or reach past [`MAX_CELLS`].
    pub fn new(key: &Key, half: Half, range: Range<u32>) -> Result<Self, CellsError> {
        Ok(Self { key: key.clone(), cells: Cells::empty(half, range)? })
    }

    /// Adds an item; one outside the half is passed over. Each item is added once, in any order.
    pub fn add(&mut self, item: &ItemHash) {
        let symbol = symbol(&self.key, item);
        if self.cells.half().holds(symbol) {
            let trace = self.key.trace(symbol);
            self.cells.put(symbol, trace);
        }
    }

    /// The cells over what was added.
    pub fn finish(self) -> Cells {
        self.cells
    }
}

/// What follows from a symbol: its check and the cells it is in.
#[derive(Clone, Copy, Debug)]
struct Trace {
    check: u32,
    mapping: Mapping,
}

/// The cells of one symbol, ascending: the paper's section 4.2 with alpha 0.5, seeded and stepped as its authors do.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    state: u64,
    at: u64,
}

impl Mapping {
    fn new(seed: u64) -> Self {
        Self { state: seed, at: 0 }
    }

    /// The cell it stands at.
    fn at(&self) -> u64 {
        self.at
    }

    /// Goes on to the next one. With r uniform in (0, 1], the distance from i is (i + 1.5) (1/sqrt(r) - 1), rounded up.
    fn step(&mut self) {
        self.state = self.state.wrapping_mul(0xda94_2042_e4dd_58b5);
        let inverse_root = (1u64 << 32) as f64 / (self.state as f64 + 1.0).sqrt();
        let distance = rounded_up((self.at as f64 + 1.5) * (inverse_root - 1.0));
        // Rounding can bring the root of the largest states to zero distance.
        self.at = self.at.saturating_add(distance.max(1));
    }
}

/// A number that is not negative, up to the next whole one; past `u64::MAX` that. `f64::ceil` is a call into the C
/// library where the processor is not known to have an instruction for it, and this is asked ten times for every item.
fn rounded_up(x: f64) -> u64 {
    let whole = x as u64;
    whole.saturating_add(u64::from((whole as f64) < x))
}

#[cfg(test)]
mod tests;
