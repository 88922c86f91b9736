//! The number that a caller is given.
//!
//! ```text
//! JT 370100 20270301 B7 000K 7
//!    │      │        │  │    └ check: Σ value × 3^position mod 31 over the twenty characters before it, first position 0
//!    │      │        │  └ serial: one more than the highest ever used with this date and block
//!    │      │        └ block: the first character is the node's, the second is drawn when a database is made or restored
//!    │      └ the day it was allotted, by the allotting node's clock
//!    └ the division code of the allotting site
//! ```
//!
//! Block, serial and check are of the 31 characters 0-9 A-Z without I, O, Q, S, Z. 31 is a prime and 3 one of its
//! primitive roots, so every single error and every swap of unequal neighbours changes the sum (proved below by
//! trying them all, the check character among them). Numbers are for people: software uses the ticket's id.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use certs::Site;
use serde::{Deserialize, Serialize};

/// The characters of block, serial and check, by value.
pub const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPRTUVWXY";
/// How many serials a block has on one day: 31⁴.
pub const SERIALS: u32 = 31 * 31 * 31 * 31;

/// Why a text is not a ticket number, or none can be allotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// It does not have the 23 characters of a number.
    Length(usize),
    /// It does not begin with JT.
    Prefix,
    /// This character cannot stand at this place (counted from 1).
    Character(char, usize),
    /// The first six digits are not a division code.
    Code,
    /// There is no such day.
    Date,
    /// The check character is another one: something was misheard or mistyped.
    Check,
    /// All serials of this day and block are used.
    Full,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberError::Length(n) => {
                write!(f, "a ticket number has 23 characters (JT and 21 more), this has {n}")
            }
            NumberError::Prefix => f.write_str("a ticket number begins with JT"),
            NumberError::Character(c, at) => write!(f, "`{c}` cannot stand at place {at} of a ticket number"),
            NumberError::Code => f.write_str("the six digits after JT are not a division code"),
            NumberError::Date => f.write_str("the eight digits after the division code are not a date"),
            NumberError::Check => f.write_str(
                "the last character does not fit the others: read the number again, one character is wrong",
            ),
            NumberError::Full => f.write_str("all serials of this block are used today; draw a new block"),
        }
    }
}

impl std::error::Error for NumberError {}

/// A calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// The day with this year (2000 to 9999), month and day of the month.
    pub fn new(year: u32, month: u32, day: u32) -> Result<Day, NumberError> {
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let valid = (2000..=9999).contains(&year) && (1..=days).contains(&day);
        if valid { Ok(Day(year * 10_000 + month * 100 + day)) } else { Err(NumberError::Date) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// Two characters under which one database counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block(u8, u8);

impl Block {
    /// The block of a node's own character and a drawn one; any number is taken mod 31.
    pub const fn new(node: u8, drawn: u8) -> Block {
        Block(node % 31, drawn % 31)
    }

    /// The node's own character, by value.
    pub const fn of_node(self) -> u8 {
        self.0
    }

    /// Another block of the same node.
    pub const fn another(self, drawn: u8) -> Block {
        Block(self.0, (self.1 + 1 + drawn % 30) % 31)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", shown(u32::from(self.0)), shown(u32::from(self.1)))
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Block {
    type Err = NumberError;

    fn from_str(s: &str) -> Result<Self, NumberError> {
        match s.as_bytes() {
            [a, b] => Ok(Block(value(*a, 1)?, value(*b, 2)?)),
            _ => Err(NumberError::Length(s.chars().count())),
        }
    }
}

impl TryFrom<String> for Block {
    type Error = NumberError;

    fn try_from(s: String) -> Result<Self, NumberError> {
        s.parse()
    }
}

impl From<Block> for String {
    fn from(b: Block) -> String {
        b.to_string()
    }
}

/// A ticket's number. Its text form is the one form that is stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TicketNumber {
    code: u32,
    day: Day,
    block: Block,
    serial: u32,
}

impl TicketNumber {
    /// The number that a node of this site allots; an office's bears its city's code. `serial` is below [`SERIALS`].
    pub fn new(site: Site, day: Day, block: Block, serial: u32) -> Result<Self, NumberError> {
        if serial >= SERIALS {
            return Err(NumberError::Full);
        }
        Ok(TicketNumber { code: site.code(), day, block, serial })
    }

    /// The division code of the allotting site.
    pub fn code(self) -> u32 {
        self.code
    }

    /// The day it was allotted.
    pub fn day(self) -> Day {
        self.day
    }

    /// The block that it was counted in.
    pub fn block(self) -> Block {
        self.block
    }

    /// Its serial in that block and day.
    pub fn serial(self) -> u32 {
        self.serial
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.serial;
        let serial = [s / 29_791, s / 961 % 31, s / 31 % 31, s % 31].map(shown);
        let serial: String = serial.iter().collect();
        let body = format!("{:06}{}{}{serial}", self.code, self.day, self.block);
        let check = shown(u32::from(check(body.as_bytes())));
        write!(f, "JT{body}{check}")
    }
}

impl FromStr for TicketNumber {
    type Err = NumberError;

    /// Takes small letters, I and O typed for 1 and 0, and spaces and hyphens anywhere.
    fn from_str(s: &str) -> Result<Self, NumberError> {
        let mut typed = Vec::with_capacity(23);
        let mut length = 0;
        for c in s.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            length += 1;
            if length <= 23 {
                let byte =
                    u8::try_from(c).ok().filter(u8::is_ascii).ok_or(NumberError::Character(c, length))?;
                typed.push(byte.to_ascii_uppercase());
            }
        }
        if length != 23 {
            return Err(NumberError::Length(length));
        }
        let body = typed.strip_prefix(b"JT").ok_or(NumberError::Prefix)?;
        let mut values = [0; 21];
        for (i, (v, byte)) in values.iter_mut().zip(body).enumerate() {
            *v = value(*byte, i + 3)?;
            if i < 14 && *v > 9 {
                return Err(NumberError::Character(char::from(*byte), i + 3));
            }
        }
        if check_of(&values[..20]) != values[20] {
            return Err(NumberError::Check);
        }
        let number = |range: std::ops::Range<usize>, base| {
            values[range].iter().fold(0, |n, v| n * base + u32::from(*v))
        };
        let code = number(0..6, 10);
        format!("{code:06}").parse::<Site>().map_err(|_| NumberError::Code)?;
        let day = Day::new(number(6..10, 10), number(10..12, 10), number(12..14, 10))?;
        Ok(TicketNumber { code, day, block: Block(values[14], values[15]), serial: number(16..20, 31) })
    }
}

impl TryFrom<String> for TicketNumber {
    type Error = NumberError;

    fn try_from(s: String) -> Result<Self, NumberError> {
        s.parse()
    }
}

impl From<TicketNumber> for String {
    fn from(n: TicketNumber) -> String {
        n.to_string()
    }
}

/// The highest serials used with a block, by day. The caller keeps it in the database and beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSeries {
    highest: BTreeMap<(Block, Day), u32>,
}

impl NumberSeries {
    /// Takes notice of a number that was used, by whomever: its serial is not given again with its block and day.
    pub fn used(&mut self, number: TicketNumber) {
        let highest = self.highest.entry((number.block, number.day)).or_insert(number.serial);
        *highest = number.serial.max(*highest);
    }

    /// The next number of this site's node, not to be given again.
    pub fn next(&mut self, site: Site, day: Day, block: Block) -> Result<TicketNumber, NumberError> {
        let serial = self.highest.get(&(block, day)).map_or(0, |highest| highest + 1);
        let number = TicketNumber::new(site, day, block, serial)?;
        self.used(number);
        Ok(number)
    }

    /// The highest serials, to be kept.
    pub fn highest(&self) -> impl Iterator<Item = (Block, Day, u32)> {
        self.highest.iter().map(|((block, day), serial)| (*block, *day, *serial))
    }
}

fn shown(value: u32) -> char {
    char::from(ALPHABET[value as usize % 31])
}

fn value(typed: u8, place: usize) -> Result<u8, NumberError> {
    let meant = match typed.to_ascii_uppercase() {
        b'I' => b'1',
        b'O' => b'0',
        other => other,
    };
    let found = ALPHABET.iter().position(|c| *c == meant);
    found.map(|v| v as u8).ok_or(NumberError::Character(char::from(typed), place))
}

fn check(body: &[u8]) -> u8 {
    let values: Vec<u8> = body.iter().filter_map(|b| value(*b, 0).ok()).collect();
    check_of(&values)
}

/// Σ value × 3^position mod 31.
fn check_of(values: &[u8]) -> u8 {
    let weigh = |(sum, weight): (u32, u32), v: &u8| ((sum + weight * u32::from(*v)) % 31, weight * 3 % 31);
    values.iter().fold((0, 1), weigh).0 as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        "370100".parse().unwrap()
    }

    fn day() -> Day {
        Day::new(2027, 3, 1).unwrap()
    }

    #[test]
    fn a_number_is_read_as_it_is_written() {
        for serial in (0..SERIALS).step_by(997).chain([SERIALS - 1]) {
            let n = TicketNumber::new(site(), day(), Block::new(11, 7), serial).unwrap();
            assert_eq!(n.to_string().parse(), Ok(n));
        }
        let n = TicketNumber::new(site(), day(), Block::new(11, 7), 19).unwrap();
        assert_eq!(n.to_string(), "JT37010020270301B7000K7");
        assert_eq!(TicketNumber::new(site(), day(), Block::new(0, 0), SERIALS), Err(NumberError::Full));
        let office = TicketNumber::new("370100-02".parse().unwrap(), day(), Block::new(11, 7), 19).unwrap();
        assert_eq!(office, n);
    }

    #[test]
    fn people_may_type_as_people_do() {
        let n: TicketNumber = "JT37010020270301B7000K7".parse().unwrap();
        for typed in ["jt37010020270301b7000k7", "JT 370100 2027-03-01 B7 000K 7", "JT37OIOO2O27O3OIB7ooOK7"]
        {
            assert_eq!(typed.parse(), Ok(n), "{typed}");
        }
    }

    #[test]
    fn every_single_error_and_every_swap_of_neighbours_is_found() {
        for serial in [0, 19, 12_345, SERIALS - 1] {
            let right =
                TicketNumber::new(site(), day(), Block::new(30, 7), serial).unwrap().to_string().into_bytes();
            let refused = |wrong: &[u8]| std::str::from_utf8(wrong).unwrap().parse::<TicketNumber>().is_err();
            // On the sum itself: a refusal for another reason (no such date) proves nothing.
            let fits = |wrong: &[u8]| check(&wrong[2..22]) == value(wrong[22], 0).unwrap();
            for at in 2..23 {
                for c in ALPHABET.iter().filter(|c| **c != right[at]) {
                    let mut wrong = right.clone();
                    wrong[at] = *c;
                    assert!(refused(&wrong) && !fits(&wrong));
                }
                if at < 22 && right[at] != right[at + 1] {
                    let mut wrong = right.clone();
                    wrong.swap(at, at + 1);
                    assert!(refused(&wrong) && !fits(&wrong));
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        let check = |text: &str, why| assert_eq!(text.parse::<TicketNumber>(), Err(why), "{text}");
        check("JT37", NumberError::Length(4));
        check("XT37010020270301B7000KW", NumberError::Prefix);
        check("JT3701A020270301B7000KW", NumberError::Character('A', 7));
        check("JT37010020270301B7000QW", NumberError::Character('Q', 22));
        check("JT37010020270301B7000李W", NumberError::Character('李', 22));
        check("JT37010020270301B7000KX", NumberError::Check);
        assert_eq!(Day::new(2027, 2, 29), Err(NumberError::Date));
        assert!(
            Day::new(2028, 2, 29).is_ok() && Day::new(2100, 2, 29).is_err() && Day::new(2000, 2, 29).is_ok()
        );
    }

    #[test]
    fn a_serial_is_never_given_twice() {
        let (block, other) = (Block::new(11, 7), Block::new(11, 8));
        let mut series = NumberSeries::default();
        let serials: Vec<u32> = (0..3).map(|_| series.next(site(), day(), block).unwrap().serial()).collect();
        assert_eq!(serials, [0, 1, 2]);
        // A number seen elsewhere (a backup that was restored) moves the series on, and never back.
        series.used(TicketNumber::new(site(), day(), block, 40).unwrap());
        series.used(TicketNumber::new(site(), day(), block, 7).unwrap());
        assert_eq!(series.next(site(), day(), block).unwrap().serial(), 41);
        assert_eq!(series.next(site(), day(), other).unwrap().serial(), 0);
        series.used(TicketNumber::new(site(), day(), block, SERIALS - 1).unwrap());
        assert_eq!(series.next(site(), day(), block), Err(NumberError::Full));
    }
}
