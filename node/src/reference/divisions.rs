//! Divisions: places by their six-digit code (GB/T 2260), those of yesterday among them.
//!
//! A ticket keeps the code that it was written with for ever, so a retired code must still say what it was and what
//! it has become. A table of changes gives each retired code its place of today, or says that nobody knows it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::table::{ReferenceError, Source};

/// A six-digit division code; any six digits whose province is 11 to 99, or `000000` for the whole country.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DivisionCode(u32);

/// Not a division code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivisionCodeError {
    /// What was given, shortened to 40 characters.
    pub given: String,
}

impl fmt::Display for DivisionCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a division code; write six digits, such as 370102", self.given)
    }
}

impl std::error::Error for DivisionCodeError {}

impl FromStr for DivisionCode {
    type Err = DivisionCodeError;

    fn from_str(s: &str) -> Result<Self, DivisionCodeError> {
        let wrong = || DivisionCodeError { given: s.chars().take(40).collect() };
        if s.len() != 6 || !s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        match s.parse() {
            Ok(code @ (0 | 110_000..)) => Ok(DivisionCode(code)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for DivisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for DivisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for DivisionCode {
    type Error = DivisionCodeError;

    fn try_from(s: String) -> Result<Self, DivisionCodeError> {
        s.parse()
    }
}

impl From<DivisionCode> for String {
    fn from(code: DivisionCode) -> String {
        code.to_string()
    }
}

/// The level of a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 省、自治区、直辖市.
    Province,
    /// 地级市、地区、自治州、盟.
    City,
    /// 县、区、县级市、旗.
    County,
}

/// One place of today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    code: DivisionCode,
    name: String,
    parent: Option<DivisionCode>,
    level: Level,
}

impl Division {
    /// Its code.
    pub fn code(&self) -> DivisionCode {
        self.code
    }

    /// Its own name (历下区).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The place it lies in; `None` for a province.
    pub fn parent(&self) -> Option<DivisionCode> {
        self.parent
    }

    /// Its level.
    pub fn level(&self) -> Level {
        self.level
    }
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A place of today.
    Current(&'a Division),
    /// A code that is no longer given out.
    Retired {
        /// The place's name when it had the code.
        name: &'a str,
        /// The year in which the code was retired.
        year: u16,
        /// The place of today; `None` where the source does not give it.
        now: Option<&'a Division>,
    },
    /// In no table.
    Unknown,
}

#[derive(Clone, Debug)]
struct Change {
    year: u16,
    name: String,
    now: Option<DivisionCode>,
}

/// The divisions, by code.
#[derive(Clone, Debug)]
pub struct Divisions {
    current: BTreeMap<DivisionCode, Division>,
    retired: BTreeMap<DivisionCode, Change>,
}

const CODE: &str = "is not a division code: six digits";

impl Divisions {
    pub(super) fn parse(divisions: &Source, changes: &Source) -> Result<Divisions, ReferenceError> {
        let mut current = BTreeMap::new();
        let rows = divisions.rows(["code", "name", "parent_code", "level"])?;
        for row in &rows {
            let code: DivisionCode = row.parsed(0, CODE)?;
            let parent = if row.fields[2].is_empty() { None } else { Some(row.parsed(2, CODE)?) };
            let levels = [("province", Level::Province), ("city", Level::City), ("county", Level::County)];
            let level = row.one_of(3, &levels)?;
            if parent.is_none() != (level == Level::Province) {
                return Err(
                    row.wrong(2, "does not fit the level: provinces have no parent, all others have one")
                );
            }
            let division = Division { code, name: row.text(1)?.to_owned(), parent, level };
            if current.insert(code, division).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        for row in &rows {
            // A parent is always of a higher level, so climbing ends.
            let level = |i: usize| {
                let code: Option<DivisionCode> = row.fields[i].parse().ok();
                code.and_then(|c| current.get(&c)).map(|d: &Division| d.level)
            };
            if !row.fields[2].is_empty() && level(2).is_none_or(|parent| Some(parent) >= level(0)) {
                return Err(row.wrong(2, "is not a place of a higher level in this table"));
            }
        }
        let mut retired = BTreeMap::new();
        for row in changes.rows(["old_code", "old_name", "current_code", "year"])? {
            let code: DivisionCode = row.parsed(0, CODE)?;
            let now = if row.fields[2].is_empty() { None } else { Some(row.parsed(2, CODE)?) };
            // A list that was compiled in may know nothing of places that have come since.
            if !changes.built_in && now.is_some_and(|now| !current.contains_key(&now)) {
                return Err(row.wrong(2, "is not a place of today in divisions.csv"));
            }
            let change = Change { year: row.parsed(3, "is not a year")?, name: row.text(1)?.to_owned(), now };
            // A new name under the same code retires nothing.
            if !current.contains_key(&code) && retired.insert(code, change).is_some() {
                return Err(row.wrong(0, "was retired in an earlier row already"));
            }
        }
        Ok(Divisions { current, retired })
    }

    /// The place of today that has this code.
    pub fn get(&self, code: DivisionCode) -> Option<&Division> {
        self.current.get(&code)
    }

    /// What the code means, retired or not.
    pub fn resolve(&self, code: DivisionCode) -> Place<'_> {
        if let Some(division) = self.get(code) {
            return Place::Current(division);
        }
        match self.retired.get(&code) {
            Some(c) => {
                Place::Retired { name: &c.name, year: c.year, now: c.now.and_then(|now| self.get(now)) }
            }
            None => Place::Unknown,
        }
    }

    /// The name with all names above it: `山东省济南市历下区`. A retired code gives its name of that time and where
    /// it belongs now (`重庆市渝北区(今重庆市两江新区)`), an unknown one the code itself.
    pub fn full_name(&self, code: DivisionCode) -> String {
        match self.resolve(code) {
            Place::Current(division) => format!("{}{}", self.names_above(code), division.name),
            Place::Retired { name, now, .. } => {
                let then = format!("{}{name}", self.names_above(code));
                match now {
                    Some(now) => format!("{then}(今{})", self.full_name(now.code)),
                    None => format!("{then}(旧)"),
                }
            }
            Place::Unknown => code.to_string(),
        }
    }

    fn names_above(&self, code: DivisionCode) -> String {
        let mut above: Vec<_> = self.above(code).filter_map(|c| self.get(c)).map(Division::name).collect();
        above.reverse();
        above.concat()
    }

    /// The codes above, the nearest first: through the table where the code is in it, through its digits where not.
    pub(super) fn above(&self, code: DivisionCode) -> impl Iterator<Item = DivisionCode> + '_ {
        std::iter::successors(Some(code), move |code| match self.get(*code) {
            Some(division) => division.parent,
            None => [100, 10_000].map(|n| DivisionCode(code.0 / n * n)).into_iter().find(|up| up != code),
        })
        .skip(1)
    }

    /// All places of today, by code.
    pub fn iter(&self) -> impl Iterator<Item = &Division> {
        self.current.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn code(s: &str) -> DivisionCode {
        s.parse().unwrap()
    }

    #[test]
    fn codes_are_six_digits() {
        for s in ["", "37010", "3701000", "37010a", "３７０１００", "000100", "099999", "+37010"] {
            assert!(s.parse::<DivisionCode>().is_err(), "{s}");
        }
        for s in ["000000", "110000", "370102", "990101"] {
            assert_eq!(code(s).to_string(), s);
        }
    }

    #[test]
    fn names_tell_where_a_place_lies_and_what_it_was() {
        let divisions = &Reference::built_in().divisions;
        let check = |c: &str, name: &str| assert_eq!(divisions.full_name(code(c)), name);
        check("370000", "山东省");
        check("370102", "山东省济南市历下区");
        check("110105", "北京市朝阳区");
        check("469001", "海南省五指山市");
        check("500112", "重庆市渝北区(今重庆市两江新区)");
        check("632121", "青海省平安县(今青海省海东市平安区)"); // its prefecture's code is gone too
        check("370802", "山东省济宁市市中区(旧)");
        check("510811", "四川省广元市昭化区"); // renamed under the same code
        check("370199", "370199");
    }

    #[test]
    fn every_retired_code_says_what_it_has_become() {
        let divisions = &Reference::built_in().divisions;
        let orphans: Vec<_> = divisions
            .retired
            .keys()
            .filter(|c| matches!(divisions.resolve(**c), Place::Retired { now: None, .. }))
            .map(|c| c.to_string())
            .collect();
        assert_eq!(orphans, ["140202", "140402", "140411", "370802"]);
        assert!(divisions.retired.len() > 250);
    }

    #[test]
    fn tables_that_do_not_hold_together_are_refused() {
        let changes = "year,old_code,old_name,current_code\n";
        let check = |divisions: &'static str, changes: &'static str, part: &str| {
            let error =
                Divisions::parse(&Source::test(divisions), &Source::test(changes)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(
            "code,name,parent_code,level\n370100,济南市,370000,city",
            changes,
            "line 2, column `parent_code`: `370000` is not a place",
        );
        check(
            "code,name,parent_code,level\n370100,济南市,,city",
            changes,
            "column `parent_code`: `` does not fit",
        );
        check(
            "code,name,parent_code,level\n370101,甲,370102,county\n370102,乙,370101,county",
            changes,
            "`370102` is not a place of a higher",
        );
        check(
            "code,name,parent_code,level\n370000,山东省,,province",
            "year,old_code,old_name,current_code\n2015,370101,甲,370102",
            "column `current_code`",
        );
        check(
            "code,name,parent_code,level\n370000,山东省,,province",
            "year,old_code,old_name,current_code\nold,370101,甲,370000",
            "`old` is not a year",
        );
    }
}
