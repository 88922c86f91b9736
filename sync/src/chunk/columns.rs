//! The columns of a change: how many operations they hold, before anything is decoded.
//!
//! ```text
//! spec        column              holds                                 one row for each
//! 0x01 0x02   object              actor, counter                        operation
//! 0x11 0x13   key                 actor, counter (delta)                operation
//! 0x15        key                 string                                operation
//! 0x34        insert              boolean                               operation
//! 0x42        action              number                                operation: this column says how many
//! 0x56 0x57   value               type and length; the bytes            operation; none
//! 0x70        predecessor count   number                                operation
//! 0x71 0x73   predecessor         actor, counter (delta)                predecessor
//! 0x94        expand              boolean                               operation
//! 0xa5        mark name           string                                operation
//! ```
//! Numbers and strings are runs: `n > 1, value` (n times the value), `-n, n values` (all different from their
//! neighbours), `0, n` (n nulls). Booleans are counts, of false and true in turn. A delta is held against the value
//! of the row before. A column of nulls only, or of false only for `expand`, is left out.
//!
//! There is one way to write a column, and another one is refused: automerge keeps operations and not bytes, so a
//! change written otherwise would come out of a saved document with another hash than it went in.

use super::ChunkError;
use super::read::Reader;

/// The most operations that a change may hold, and the most rows in any of its columns.
pub const MAX_OPERATIONS: u32 = 20_000;

/// The most bytes of keys and mark names once their runs are expanded: a run of one long key costs a few bytes on
/// the wire and a copy for each row in memory.
pub const MAX_EXPANDED: u64 = 4 << 20;

const OBJECT_ACTOR: u64 = 0x01;
const OBJECT_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const KEY_COUNTER: u64 = 0x13;
const KEY_STRING: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_META: u64 = 0x56;
const VALUE: u64 = 0x57;
const PRED_COUNT: u64 = 0x70;
const PRED_ACTOR: u64 = 0x71;
const PRED_COUNTER: u64 = 0x73;
const EXPAND: u64 = 0x94;
const MARK_NAME: u64 = 0xa5;
const DEFLATE: u64 = 0x08;

/// What a column holds, as far as it is looked at.
#[derive(Clone, Copy)]
enum Holds {
    Actors,
    Counters,
    Deltas,
    Strings,
    Booleans { may_be_all_false: bool },
    Numbers,
    Lengths,
    Counts,
    Bytes,
}

fn describe(spec: u64) -> Option<(&'static str, Holds)> {
    Some(match spec {
        OBJECT_ACTOR => ("object actor", Holds::Actors),
        OBJECT_COUNTER => ("object counter", Holds::Counters),
        KEY_ACTOR => ("key actor", Holds::Actors),
        KEY_COUNTER => ("key counter", Holds::Deltas),
        KEY_STRING => ("key string", Holds::Strings),
        INSERT => ("insert", Holds::Booleans { may_be_all_false: true }),
        ACTION => ("action", Holds::Numbers),
        VALUE_META => ("value length", Holds::Lengths),
        VALUE => ("value", Holds::Bytes),
        PRED_COUNT => ("predecessor count", Holds::Counts),
        PRED_ACTOR => ("predecessor actor", Holds::Actors),
        PRED_COUNTER => ("predecessor counter", Holds::Deltas),
        EXPAND => ("expand", Holds::Booleans { may_be_all_false: false }),
        MARK_NAME => ("mark name", Holds::Strings),
        _ => return None,
    })
}

/// Where the values lie that are not nothing, counted from the start of `length` bytes of which `r` holds the end.
pub(super) fn values(r: &mut Reader<'_>, length: usize) -> Result<Vec<(usize, usize)>, ChunkError> {
    let list = r.counted(2, |r| Ok((r.uleb()?, r.uleb()?)))?;
    let (mut lengths, mut values) = (Vec::new(), Vec::new());
    for (spec, len) in list {
        let at = length - r.rest().len();
        let column = r.take(len)?;
        match spec {
            VALUE_META => lengths = lengths_of(&mut Reader::new(column, "value length"))?,
            VALUE => {
                let mut rest = Reader::new(column, "value");
                for n in std::mem::take(&mut lengths) {
                    values.push((at + column.len() - rest.rest().len(), n));
                    rest.take(n as u64)?;
                }
            }
            _ => {}
        }
    }
    Ok(values)
}

/// The lengths of all values that have any, row by row.
fn lengths_of(r: &mut Reader<'_>) -> Result<Vec<usize>, ChunkError> {
    let mut lengths = Vec::new();
    while !r.is_empty() {
        let (times, different) = match r.sleb()? {
            0 => {
                r.uleb()?;
                continue;
            }
            n @ 1.. => (n as u64, 1),
            n => (1, n.unsigned_abs()),
        };
        for _ in 0..different {
            let length = (r.uleb()? >> 4) as usize;
            if times.saturating_mul(different) > u64::from(MAX_OPERATIONS) {
                return Err(ChunkError::TooManyOperations("value length"));
            }
            if length > 0 {
                lengths.extend(std::iter::repeat_n(length, times as usize));
            }
        }
    }
    Ok(lengths)
}

/// Sums over all columns of one change.
#[derive(Default)]
struct Totals {
    predecessors: u64,
    value_bytes: u64,
    expanded: u64,
    largest_counter: u64,
}

/// Reads column list and column data and says how many operations they hold.
pub(super) fn check(r: &mut Reader<'_>, actors: u64, start_op: u64) -> Result<u32, ChunkError> {
    let list = r.part("column list").counted(2, |r| Ok((r.uleb()?, r.uleb()?)))?;
    let mut columns = Vec::with_capacity(list.len().min(14));
    let mut last = None;
    for (spec, len) in list {
        let Some((name, holds)) = describe(spec) else {
            let deflated = spec & DEFLATE != 0 && describe(spec & !DEFLATE).is_some();
            return Err(if deflated {
                ChunkError::Deflated { spec }
            } else {
                ChunkError::UnknownColumn { spec }
            });
        };
        if last >= Some(spec) {
            return Err(ChunkError::NotAscending("columns"));
        }
        if len == 0 {
            return Err(ChunkError::UnknownColumn { spec });
        }
        last = Some(spec);
        columns.push((spec, name, holds, r.part("columns").take(len)?));
    }

    let mut totals = Totals::default();
    let mut rows = Vec::with_capacity(columns.len());
    for (spec, name, holds, data) in columns {
        rows.push((spec, name, totals.column(Reader::new(data, name), name, holds, actors)?));
    }
    let rows_of = |spec| rows.iter().find(|(s, ..)| *s == spec).map(|(.., n)| *n);

    let operations = rows_of(ACTION).unwrap_or(0);
    for &(spec, column, found) in &rows {
        let expected = match spec {
            VALUE => totals.value_bytes,
            PRED_ACTOR | PRED_COUNTER => totals.predecessors,
            _ => operations,
        };
        if found != expected {
            return Err(ChunkError::Rows { column, expected, found });
        }
    }
    // A column of zero rows is not written, so what must not be missing has to be looked for.
    let needed = [
        (INSERT, operations),
        (VALUE_META, operations),
        (VALUE, totals.value_bytes),
        (PRED_COUNT, operations),
        (PRED_ACTOR, totals.predecessors),
        (PRED_COUNTER, totals.predecessors),
        (OBJECT_ACTOR, rows_of(OBJECT_COUNTER).unwrap_or(0)),
        (OBJECT_COUNTER, rows_of(OBJECT_ACTOR).unwrap_or(0)),
    ];
    for (spec, expected) in needed {
        if expected > 0 && rows_of(spec).is_none() {
            let (column, _) = describe(spec).expect("it is in the table");
            return Err(ChunkError::Rows { column, expected, found: 0 });
        }
    }
    // Counters are Lamport times, so nothing names an operation later than the change's own last one.
    let past_last = start_op.saturating_add(operations);
    if past_last - 1 > u64::from(u32::MAX) {
        return Err(ChunkError::Impossible("start operation"));
    }
    if totals.largest_counter >= past_last {
        return Err(ChunkError::Dangling("counter"));
    }
    Ok(u32::try_from(operations).expect("at most MAX_OPERATIONS rows"))
}

impl Totals {
    /// Walks one column, run by run, and says how many rows it holds.
    fn column(
        &mut self,
        mut r: Reader<'_>,
        name: &'static str,
        holds: Holds,
        actors: u64,
    ) -> Result<u64, ChunkError> {
        match holds {
            Holds::Bytes => Ok(r.rest().len() as u64),
            Holds::Booleans { may_be_all_false } => booleans(&mut r, name, may_be_all_false),
            Holds::Numbers => runs(&mut r, name, |r, _| r.uleb().map(drop)),
            Holds::Actors => {
                runs(
                    &mut r,
                    name,
                    |r, _| {
                        if r.uleb()? < actors { Ok(()) } else { Err(ChunkError::Dangling(name)) }
                    },
                )
            }
            Holds::Counters => runs(&mut r, name, |r, _| {
                self.largest_counter = self.largest_counter.max(r.uleb()?);
                Ok(())
            }),
            Holds::Deltas => {
                let mut value = 0i64;
                runs(&mut r, name, |r, n| {
                    let delta = r.sleb()?;
                    // Within a run the value only rises or only falls: its two ends bound it.
                    let first = value.checked_add(delta);
                    let end = delta.checked_mul(n as i64).and_then(|d| value.checked_add(d));
                    let (Some(first), Some(end)) = (first, end) else {
                        return Err(ChunkError::Dangling(name));
                    };
                    for counter in [first, end] {
                        let counter = u64::try_from(counter).map_err(|_| ChunkError::Dangling(name))?;
                        self.largest_counter = self.largest_counter.max(counter);
                    }
                    value = end;
                    Ok(())
                })
            }
            Holds::Strings => runs(&mut r, name, |r, n| {
                let cost = (r.prefixed()?.len() as u64).saturating_mul(n);
                self.expanded = self.expanded.saturating_add(cost);
                if self.expanded > MAX_EXPANDED { Err(ChunkError::TooLarge) } else { Ok(()) }
            }),
            Holds::Lengths => runs(&mut r, name, |r, n| {
                let meta = r.uleb()?;
                let (kind, len) = (meta & 0xf, meta >> 4);
                let bare = kind < 3; // null, false and true have no bytes
                if bare && len > 0 {
                    return Err(ChunkError::Encoding(name));
                }
                self.value_bytes = self.value_bytes.saturating_add(len.saturating_mul(n));
                Ok(())
            }),
            Holds::Counts => runs(&mut r, name, |r, n| {
                let cost = r.uleb()?.saturating_mul(n);
                self.predecessors = self.predecessors.saturating_add(cost);
                if self.predecessors > u64::from(MAX_OPERATIONS) {
                    return Err(ChunkError::TooManyOperations(name));
                }
                Ok(())
            }),
        }
    }
}

/// What ended just before the next run.
#[derive(PartialEq)]
enum Before<'a> {
    Nothing,
    Nulls,
    Repeated(&'a [u8]),
    Literal(&'a [u8]),
}

/// Walks a column of runs; `value` reads one value that stands for so many rows. Returns the rows.
fn runs<'a>(
    r: &mut Reader<'a>,
    name: &'static str,
    mut value: impl FnMut(&mut Reader<'a>, u64) -> Result<(), ChunkError>,
) -> Result<u64, ChunkError> {
    let encoding = ChunkError::Encoding(name);
    let mut rows = 0;
    let mut add = |n: u64| {
        rows += n.min(1 + u64::from(MAX_OPERATIONS));
        if rows > u64::from(MAX_OPERATIONS) { Err(ChunkError::TooManyOperations(name)) } else { Ok(()) }
    };
    // Reads one value and returns the bytes that it is made of.
    let mut read = |r: &mut Reader<'a>, n| {
        let from = r.rest();
        value(r, n).map(|()| &from[..from.len() - r.rest().len()])
    };
    let mut before = Before::Nothing;
    let mut all_null = true;
    while !r.is_empty() {
        let n = r.sleb()?;
        before = match n {
            0 => {
                let n = r.uleb()?;
                add(n)?;
                if n == 0 || before == Before::Nulls {
                    return Err(encoding);
                }
                Before::Nulls
            }
            1.. => {
                add(n as u64)?;
                let bytes = read(r, n as u64)?;
                if n == 1 || before == Before::Repeated(bytes) || before == Before::Literal(bytes) {
                    return Err(encoding);
                }
                Before::Repeated(bytes)
            }
            ..0 => {
                add(n.unsigned_abs())?;
                let mut last = match before {
                    Before::Literal(_) => return Err(encoding),
                    Before::Repeated(bytes) => Some(bytes),
                    Before::Nothing | Before::Nulls => None,
                };
                for _ in 0..n.unsigned_abs() {
                    let bytes = read(r, 1)?;
                    if last == Some(bytes) {
                        return Err(encoding);
                    }
                    last = Some(bytes);
                }
                Before::Literal(last.ok_or(encoding)?)
            }
        };
        all_null &= before == Before::Nulls;
    }
    if all_null { Err(encoding) } else { Ok(rows) }
}

/// Walks a column of booleans and returns the rows.
fn booleans(r: &mut Reader<'_>, name: &'static str, may_be_all_false: bool) -> Result<u64, ChunkError> {
    let (mut rows, mut counts) = (0, 0);
    while !r.is_empty() {
        let n = r.uleb()?;
        if n > u64::from(MAX_OPERATIONS) - rows {
            return Err(ChunkError::TooManyOperations(name));
        }
        // Only the first count, of false, may be zero.
        if n == 0 && counts > 0 {
            return Err(ChunkError::Encoding(name));
        }
        rows += n;
        counts += 1;
    }
    if rows == 0 || (counts == 1 && !may_be_all_false) { Err(ChunkError::Encoding(name)) } else { Ok(rows) }
}
