//! Parquet files of rows, as far as the read model needs the format: flat columns, one page a column and group of rows, zstd.
//!
//! ```text
//! "PAR1" | group: column: [page of words] page | ... | footer (thrift) | its length, four bytes | "PAR1"
//! page:    header (thrift) | zstd( [four bytes of length, a bit a row: whether it has a value] values )
//! values:  plain, or for texts that repeat: bits a place, places in the page of words
//! ```
//!
//! Written here and not by the crate of that name: it brings a second calendar and a licence that is not on our list, for a fifth of
//! the format. That engines read it is tested with Apache Arrow (`tests/lake.rs`).

mod thrift;

use std::collections::HashMap;
use std::io::{Error, Result, Write};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::row::{COLUMNS, Column, Kind, Row};
use thrift::{Structure, varint};

/// Rows of a group: a reader takes a group at once, and so does this writer.
const GROUP: usize = 50_000;

/// Texts that repeat are written once; past so many different ones they are written as they come.
const MOST_WORDS: usize = 1 << 14;

const MAGIC: &[u8; 4] = b"PAR1";
const ZSTD_LEVEL: i32 = 3;

/// Numbers of the format: encodings, the codec, pages.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;
const ZSTD: i32 = 6;
const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;

/// A file in the making.
pub struct Writer<W> {
    out: W,
    at: u64,
    rows: Vec<Row>,
    groups: Vec<Group>,
}

/// What the footer says of a group of rows.
struct Group {
    rows: usize,
    chunks: Vec<Chunk>,
}

/// What it says of one column in it.
struct Chunk {
    words: Option<u64>,
    page: u64,
    plain: u64,
    packed: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    pub fn new(out: W) -> Result<Writer<W>> {
        let mut writer = Writer { out, at: 0, rows: Vec::new(), groups: Vec::new() };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() == GROUP { self.end_group() } else { Ok(()) }
    }

    /// Writes what is left, and the footer; gives back where it was written to.
    pub fn finish(mut self) -> Result<(W, Written)> {
        self.end_group()?;
        let footer = footer(&self.groups);
        self.put(&footer)?;
        self.put(&(size(footer.len())?).to_le_bytes())?;
        self.put(MAGIC)?;
        let rows = self.groups.iter().map(|group| group.rows as u64).sum();
        Ok((self.out, Written { rows, bytes: self.at }))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(COLUMNS.len());
        for (place, column) in COLUMNS.iter().enumerate() {
            let values: Vec<&Value> = rows.iter().map(|row| &row.values()[place]).collect();
            chunks.push(self.chunk(column, &values)?);
        }
        self.groups.push(Group { rows: rows.len(), chunks });
        Ok(())
    }

    fn chunk(&mut self, column: &Column, values: &[&Value]) -> Result<Chunk> {
        let (began, mut plain, mut at_words) = (self.at, 0, None);
        let there: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
        let mut body = Vec::new();
        if !column.always {
            let bits = packed(1, values.iter().map(|value| usize::from(!value.is_null())));
            body.extend(size(bits.len())?.to_le_bytes());
            body.extend(bits);
        }
        let words = if column.kind == Kind::Text { Words::of(&there) } else { None };
        if let Some(Words { list, places }) = &words {
            let mut page = Vec::new();
            list.iter().try_for_each(|word| text(&mut page, word))?;
            at_words = Some(self.at);
            let count = Structure::default().int(1, size(list.len())?).int(2, PLAIN);
            plain += self.page(DICTIONARY_PAGE, &page, 7, count)?;
            let width = (list.len() - 1).checked_ilog2().map_or(1, |bits| bits + 1);
            body.push(width as u8);
            body.extend(packed(width, places.iter().copied()));
        } else {
            plainly(&mut body, column.kind, &there)?;
        }
        let page = self.at;
        let encoding = if words.is_some() { RLE_DICTIONARY } else { PLAIN };
        let count = Structure::default().int(1, size(values.len())?).int(2, encoding).int(3, RLE).int(4, RLE);
        plain += self.page(DATA_PAGE, &body, 5, count)?;
        Ok(Chunk { words: at_words, page, plain, packed: self.at - began })
    }

    /// Writes a page; how many bytes it would have without compression.
    fn page(&mut self, kind: i32, body: &[u8], number: u8, of: Structure) -> Result<u64> {
        let small = zstd::bulk::compress(body, ZSTD_LEVEL)?;
        let header = Structure::default().int(1, kind).int(2, size(body.len())?).int(3, size(small.len())?);
        let header = header.structure(number, of).end();
        self.put(&header)?;
        self.put(&small)?;
        Ok((header.len() + body.len()) as u64)
    }
}

/// A page of two gigabytes has no length in this format.
fn size(n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| Error::other("a page of a Parquet file is too large"))
}

/// The different texts of a column, and which of them each value is.
struct Words<'a> {
    list: Vec<&'a str>,
    places: Vec<usize>,
}

impl<'a> Words<'a> {
    /// `None` when there are none, or hardly any comes twice.
    fn of(values: &[&'a Value]) -> Option<Words<'a>> {
        let most = MOST_WORDS.min(values.len() / 2);
        let (mut list, mut known) = (Vec::new(), HashMap::new());
        let mut places = Vec::with_capacity(values.len());
        for value in values {
            let word = value.as_str()?;
            let place = *known.entry(word).or_insert_with(|| {
                list.push(word);
                list.len() - 1
            });
            if list.len() > most {
                return None;
            }
            places.push(place);
        }
        (!list.is_empty()).then_some(Words { list, places })
    }
}

/// Numbers of so many bits each, as one run of groups of eight.
fn packed(width: u32, numbers: impl ExactSizeIterator<Item = usize>) -> Vec<u8> {
    let groups = numbers.len().div_ceil(8);
    let mut bytes = Vec::new();
    varint(&mut bytes, (groups as u64) << 1 | 1);
    let end = bytes.len() + groups * width as usize;
    let (mut held, mut bits) = (0u64, 0);
    for n in numbers {
        held |= (n as u64) << bits;
        bits += width;
        while bits >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        bytes.push(held as u8);
    }
    bytes.resize(end, 0);
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    bytes.extend(size(text.len())?.to_le_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

/// Values as they are; all are there, and of the column's kind.
fn plainly(bytes: &mut Vec<u8>, kind: Kind, values: &[&Value]) -> Result<()> {
    let wrong = || Error::other("a value is not of its column's kind");
    if kind == Kind::Flag {
        for eight in values.chunks(8) {
            let bits = eight.iter().enumerate().map(|(place, value)| u8::from(**value == true) << place);
            bytes.push(bits.sum());
        }
        return Ok(());
    }
    for value in values {
        match (kind, value.as_str()) {
            (Kind::Text, Some(said)) => text(bytes, said)?,
            (Kind::Day, Some(day)) => {
                let day: Date = day.parse().map_err(Error::other)?;
                let days = day.since(Date::constant(1970, 1, 1)).map_err(Error::other)?.get_days();
                bytes.extend(days.to_le_bytes());
            }
            (Kind::Moment, Some(at)) => {
                let at: Timestamp = at.parse().map_err(Error::other)?;
                bytes.extend(at.as_microsecond().to_le_bytes());
            }
            (Kind::Count, None) => bytes.extend(value.as_i64().ok_or_else(wrong)?.to_le_bytes()),
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

/// A kind's physical type; and what it was converted from, in the old words and the new ones.
fn typed(kind: Kind) -> (i32, Option<(i32, Structure)>) {
    let none = Structure::default;
    match kind {
        Kind::Flag => (0, None),
        Kind::Day => (1, Some((6, none().structure(6, none())))),
        Kind::Count => (2, None),
        Kind::Moment => {
            let micros = none().structure(2, none());
            (2, Some((10, none().structure(8, none().flag(1, true).structure(2, micros)))))
        }
        Kind::Text => (6, Some((0, none().structure(1, none())))),
    }
}

fn footer(groups: &[Group]) -> Vec<u8> {
    let mut schema = vec![Structure::default().text(4, "ticket").int(5, COLUMNS.len() as i32)];
    schema.extend(COLUMNS.iter().map(|column| {
        let (physical, logical) = typed(column.kind);
        let element =
            Structure::default().int(1, physical).int(3, i32::from(!column.always)).text(4, column.name);
        match logical {
            Some((old, new)) => element.int(6, old).structure(10, new),
            None => element,
        }
    }));
    let shown = |group: &Group| {
        let chunks = COLUMNS.iter().zip(&group.chunks).map(|(column, chunk)| {
            let encodings: &[i32] =
                if chunk.words.is_some() { &[PLAIN, RLE, RLE_DICTIONARY] } else { &[PLAIN, RLE] };
            let about =
                Structure::default().int(1, typed(column.kind).0).ints(2, encodings).texts(3, &[column.name]);
            let about =
                about.int(4, ZSTD).long(5, group.rows as u64).long(6, chunk.plain).long(7, chunk.packed);
            let about = about.long(9, chunk.page);
            let about = match chunk.words {
                Some(at) => about.long(11, at),
                None => about,
            };
            Structure::default().long(2, chunk.words.unwrap_or(chunk.page)).structure(3, about)
        });
        let plain = group.chunks.iter().map(|chunk| chunk.plain).sum();
        Structure::default().structures(1, chunks.collect()).long(2, plain).long(3, group.rows as u64)
    };
    let rows = groups.iter().map(|group| group.rows as u64).sum();
    let footer = Structure::default().int(1, 2).structures(2, schema).long(3, rows);
    let footer = footer.structures(4, groups.iter().map(shown).collect());
    footer.text(6, concat!("hotline version ", env!("CARGO_PKG_VERSION"))).end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_from_the_lowest_bit_on() {
        assert_eq!(packed(3, 0..8), [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        assert_eq!(packed(1, [1, 0, 1].into_iter()), [3, 0b101]);
        assert_eq!(packed(9, [256, 511].into_iter()), [3, 0, 0xff, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(packed(1, std::iter::empty()), [1]);
    }

    #[test]
    fn texts_that_repeat_are_written_once() {
        let values = ["a", "b", "a", "a"].map(Value::from);
        let words = Words::of(&values.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((words.list, words.places), (vec!["a", "b"], vec![0, 1, 0, 0]));
        let values = ["a", "b", "c"].map(Value::from);
        assert!(Words::of(&values.iter().collect::<Vec<_>>()).is_none());
        assert!(Words::of(&[]).is_none());
    }

    #[test]
    fn values_stand_plainly() {
        let written = |kind, values: &[Value]| {
            let mut bytes = Vec::new();
            plainly(&mut bytes, kind, &values.iter().collect::<Vec<_>>()).map(|()| bytes)
        };
        assert_eq!(
            written(Kind::Day, &["1970-01-02".into(), "1969-12-31".into()]).unwrap(),
            [1, 0, 0, 0, 255, 255, 255, 255]
        );
        let moment = written(Kind::Moment, &["1970-01-01T08:00:01+08:00".into()]).unwrap();
        assert_eq!(moment, 1_000_000i64.to_le_bytes());
        assert_eq!(written(Kind::Flag, &[true.into(), false.into(), true.into()]).unwrap(), [0b101]);
        assert_eq!(written(Kind::Text, &["部".into()]).unwrap(), [3, 0, 0, 0, 0xe9, 0x83, 0xa8]);
        assert!(written(Kind::Count, &["1".into()]).is_err());
    }
}
