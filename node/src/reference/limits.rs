//! Time limits (办理时限): how long a ticket may take. Every row belongs to a version of the rules, and a ticket keeps the
//! version that it was made under, so a new rule never moves an old deadline.
//!
//! `longest` says how long it may take with all extensions; a table without that column sets no such bound.
//!
//! A column that is empty holds for everything. Of the rows that fit a ticket, one that names its urgency goes before one
//! that names its topic, that before one of its domain, and that before one of its business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use certs::Site;
use jiff::civil::Date;

use super::table::{ReferenceError, Row, Source};

/// The longest limit that a row may set.
const MOST: u32 = 365;

/// In what a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 工作日: days that are worked, from the day after on.
    WorkingDays,
    /// 自然日: days, from the day after on.
    CalendarDays,
    /// 小时.
    Hours,
}

impl Unit {
    /// Each by its word.
    pub(super) const WORDS: [(&str, Unit); 3] =
        [("working days", Unit::WorkingDays), ("calendar days", Unit::CalendarDays), ("hours", Unit::Hours)];

    /// Its word after a number, in Chinese.
    pub fn chinese(self) -> &'static str {
        match self {
            Unit::WorkingDays => "个工作日",
            Unit::CalendarDays => "个自然日",
            Unit::Hours => "小时",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Unit::WORDS.into_iter().find(|(_, unit)| unit == self).map(|(word, _)| word);
        f.write_str(word.unwrap_or_default())
    }
}

/// What of a ticket a limit may depend on; texts as in its facts, empty where nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matter<'a> {
    /// 业务类型.
    pub business: &'a str,
    /// Code of the domain.
    pub domain: &'a str,
    /// Code of the topic.
    pub topic: &'a str,
    /// 紧急程度.
    pub urgency: &'a str,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    version: String,
    /// Business, domain, topic, urgency: in the order in which they weigh.
    when: [String; 4],
    amount: u32,
    unit: Unit,
    longest: Option<u32>,
    basis: String,
}

impl Limit {
    /// One that holds for everything and is of no version.
    pub(super) fn plain(amount: u32, unit: Unit, basis: &str) -> Limit {
        let (version, when) = (String::new(), Default::default());
        Limit { version, when, amount, unit, longest: None, basis: basis.to_owned() }
    }

    /// A field that says how many.
    pub(super) fn amount_of<const N: usize>(row: &Row<'_, N>, i: usize) -> Result<u32, ReferenceError> {
        let amount: u32 = row.parsed(i, "is not a number of days or hours")?;
        match (1..=MOST).contains(&amount) {
            true => Ok(amount),
            false => Err(row.wrong(i, format!("is not between 1 and {MOST}"))),
        }
    }

    /// Of which version of the rules it is.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How long.
    pub fn amount(&self) -> u32 {
        self.amount
    }

    /// In what it is counted.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How long with all extensions, in the same unit; `None` when nobody bounds that.
    pub fn longest(&self) -> Option<u32> {
        self.longest
    }

    /// On what it rests, in a person's words.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// For which matters it holds, in their own words: `投诉举报 D0401`; empty when for all.
    pub fn holds_for(&self) -> String {
        let [business, domain, topic, urgency] = &self.when;
        let place = if topic.is_empty() { domain } else { topic };
        let words: Vec<&str> =
            [business, place, urgency].into_iter().filter(|w| !w.is_empty()).map(String::as_str).collect();
        words.join(" ")
    }

    /// The matter that it names.
    pub fn matter(&self) -> Matter<'_> {
        let [business, domain, topic, urgency] = self.when.each_ref().map(String::as_str);
        Matter { business, domain, topic, urgency }
    }

    /// Why it may not stand under this limit of a tier above; `None` when it may.
    pub fn loosens(&self, above: &Limit) -> Option<String> {
        let said = |l: &Limit| format!("{} {}", l.amount, l.unit);
        if self.unit != above.unit {
            return Some(format!(
                "{} cannot be compared with {}: use the same unit",
                said(self),
                said(above)
            ));
        }
        if self.amount > above.amount {
            return Some(format!("{} is longer than {}", said(self), said(above)));
        }
        let most = above.longest.filter(|most| self.longest.is_none_or(|own| own > *most))?;
        Some(format!("with extensions it may not take longer than {most} {}: say so in `longest`", self.unit))
    }

    /// How closely it fits; `None` when it does not.
    fn fits(&self, matter: Matter<'_>) -> Option<u8> {
        let said = [matter.business, matter.domain, matter.topic, matter.urgency];
        let mut weight = 0;
        for (place, (wanted, said)) in self.when.iter().zip(said).enumerate() {
            match wanted {
                any if any.is_empty() => {}
                same if same == said => weight |= 1 << place,
                _ => return None,
            }
        }
        Some(weight)
    }
}

/// The version of the rules that a ticket names whatever sites have set: every version of this program knows it.
pub const BUILT_IN: &str = "built-in 1";

/// What holds at a site from one day on until the next of its kind: the limits that sites have set, the ministry's first and
/// each tier below after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// That day.
    pub from: Date,
    /// Which editions it is made of: `000000 2027-01-01 #1 + 370000 2027-02-01 #2`.
    pub name: String,
    /// The limits of each tier.
    pub tiers: Vec<Vec<Limit>>,
}

impl Held {
    /// The limit of a matter. A lower tier's counts where it is as short as that of the tiers above, or shorter, in the same unit.
    pub fn of(&self, matter: Matter<'_>) -> Option<&Limit> {
        self.tiers.iter().fold(None, |above: Option<&Limit>, tier| match (above, best(tier.iter(), matter)) {
            (Some(above), Some(own)) if own.loosens(above).is_some() => Some(above),
            (above, own) => own.or(above),
        })
    }
}

impl Held {
    /// What holds for the matters that rows name, each row once.
    pub fn rows(&self) -> Vec<Limit> {
        let named = self.tiers.iter().flatten().filter_map(|limit| self.of(limit.matter()));
        let rows: BTreeMap<&[String; 4], &Limit> = named.map(|limit| (&limit.when, limit)).collect();
        rows.into_values().cloned().collect()
    }
}

fn best<'a>(limits: impl Iterator<Item = &'a Limit>, matter: Matter<'_>) -> Option<&'a Limit> {
    limits.filter_map(|l| Some((l.fits(matter)?, l))).max_by_key(|(weight, _)| *weight).map(|(_, l)| l)
}

/// All limits of all versions of the rules, and those that sites have set.
#[derive(Clone, Debug)]
pub struct Limits {
    rows: Vec<Limit>,
    /// Of each site that has set any what holds there, the earliest first.
    held: BTreeMap<Site, Vec<Held>>,
}

impl Limits {
    /// The kinds of business that have a limit of their own, anywhere or at any time.
    pub fn businesses(&self) -> BTreeSet<&str> {
        let held = self.held.values().flatten().flat_map(|held| held.tiers.iter().flatten());
        self.rows
            .iter()
            .chain(held)
            .map(|limit| limit.when[0].as_str())
            .filter(|name| !name.is_empty())
            .collect()
    }

    pub(super) fn parse(source: &Source) -> Result<Limits, ReferenceError> {
        Ok(Limits { rows: Limits::rows(source, None)?, held: BTreeMap::new() })
    }

    /// The rows of an edition: all are of this version, whatever a column says.
    pub fn edition(name: &str, file: String, text: String) -> Result<Vec<Limit>, ReferenceError> {
        Limits::rows(&Source::given(file, text)?, Some(name))
    }

    fn rows(source: &Source, version: Option<&str>) -> Result<Vec<Limit>, ReferenceError> {
        let mut limits: Vec<Limit> = Vec::new();
        let mut named = BTreeSet::new();
        // Where all are of one version nobody has to name it.
        let first = if version.is_some() { "business" } else { "version" };
        let columns = [first, "business", "domain", "topic", "urgency", "amount", "unit", "basis"];
        let bounds = if source.has("longest") { source.rows(["longest"])? } else { Vec::new() };
        let mut bounds = bounds.into_iter();
        for row in source.rows(columns)? {
            let amount = Limit::amount_of(&row, 5)?;
            let longest = match bounds.next().filter(|bound| !bound.fields[0].is_empty()) {
                None => None,
                Some(bound) => match Limit::amount_of(&bound, 0)? {
                    longest if longest < amount => return Err(bound.wrong(0, "is shorter than `amount`")),
                    longest => Some(longest),
                },
            };
            let limit = Limit {
                version: version.map_or_else(|| row.text(0), Ok)?.to_owned(),
                when: [1, 2, 3, 4].map(|i| row.fields[i].to_owned()),
                amount,
                unit: row.one_of(6, &Unit::WORDS)?,
                longest,
                basis: row.text(7)?.to_owned(),
            };
            if !named.insert((limit.version.clone(), limit.when.clone())) {
                return Err(row.wrong(0, "has a row for the same matters already"));
            }
            limits.push(limit);
        }
        Ok(limits)
    }

    pub(super) fn put_held(&mut self, held: BTreeMap<Site, Vec<Held>>) {
        self.held = held;
    }

    /// What the fingerprint of all that sites have set is made of; nothing when none has.
    pub(super) fn held_bytes(&self) -> Vec<u8> {
        if self.held.is_empty() { Vec::new() } else { format!("{:?}", self.held).into_bytes() }
    }

    /// What sites have set for tickets of this site whose clock begins on this day; `None` before the first of it.
    pub fn on(&self, site: Site, day: Date) -> Option<&Held> {
        let chain = std::iter::successors(Some(site), |site| site.superior());
        let held = chain.filter_map(|site| self.held.get(&site)).next()?;
        held.iter().rev().find(|held| held.from <= day)
    }

    /// The rows of one version.
    pub fn version(&self, version: &str) -> Vec<Limit> {
        self.rows.iter().filter(|l| l.version == version).cloned().collect()
    }

    /// Whether the rules of this name are here: of the table, or set by sites.
    pub fn knows(&self, name: &str) -> bool {
        self.rows.iter().any(|l| l.version == name)
            || self.held.values().flatten().any(|held| held.name == name)
    }

    /// The limit of a matter under a version of the rules; `None` when the version is not known, or says nothing.
    pub fn of(&self, version: &str, matter: Matter<'_>) -> Option<&Limit> {
        best(self.rows.iter().filter(|l| l.version == version), matter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn the_row_that_says_most_decides() {
        let limits = &Reference::built_in().limits;
        let check = |business, domain, topic, urgency, expected: &str| {
            let limit = limits.of("built-in 1", Matter { business, domain, topic, urgency }).unwrap();
            assert_eq!(format!("{} {}", limit.amount(), limit.unit()), expected);
        };
        check("投诉举报", "D03", "D0301", "一般", "10 working days");
        check("投诉举报", "D04", "D0401", "一般", "10 calendar days");
        check("投诉举报", "D04", "D0401", "特急", "2 hours");
        check("信息咨询", "", "", "", "1 working days");
        check("其他", "D01", "", "紧急", "1 working days");
        check("其他", "", "", "一般", "5 working days");
        assert!(limits.of("of the year 2099", Matter::default()).is_none());
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let check = |row: &str, why: &str| {
            let text = format!("version,business,domain,topic,urgency,amount,unit,basis\n{row}").leak();
            assert_eq!(Limits::parse(&Source::test(text)).unwrap_err().to_string(), why);
        };
        check("1,,,,,0,hours,x", "test.csv, line 2, column `amount`: `0` is not between 1 and 365");
        check(
            "1,,,,,9,weeks,x",
            "test.csv, line 2, column `unit`: `weeks` is none of working days, calendar days, hours",
        );
        check(
            "1,,,,,9,hours,x\n1,,,,,8,hours,x",
            "test.csv, line 3, column `version`: `1` has a row for the same matters already",
        );
        let bounded = |row: &str| {
            let text =
                format!("version,business,domain,topic,urgency,amount,unit,basis,longest\n{row}").leak();
            Limits::parse(&Source::test(text))
        };
        let refused = bounded("1,,,,,9,hours,x,8").unwrap_err().to_string();
        assert_eq!(refused, "test.csv, line 2, column `longest`: `8` is shorter than `amount`");
        let read = bounded("1,,,,,9,hours,x,\n1,其他,,,,9,hours,x,20").unwrap();
        assert_eq!([&read.rows[0], &read.rows[1]].map(Limit::longest), [None, Some(20)]);
        let above = &read.rows[1];
        assert!(read.rows[0].loosens(above).unwrap().contains("may not take longer than 20 hours"));
        assert_eq!((above.loosens(above), above.loosens(&read.rows[0])), (None, None));
    }
}
