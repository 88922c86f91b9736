//! The calendar of working days: Monday to Friday, less the holidays that the State Council publishes for each year, plus
//! the Saturdays and Sundays that are worked for them (调休).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};

use super::table::{ReferenceError, Source};

/// How a day differs from its weekday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// 放假: a day off.
    Holiday,
    /// 上班: a Saturday or Sunday that is worked.
    Workday,
}

/// Which days are worked.
#[derive(Clone, Debug)]
pub struct Calendar {
    exceptions: BTreeMap<Date, (Exception, String)>,
    years: BTreeSet<i16>,
}

impl Calendar {
    pub(super) fn parse(source: &Source) -> Result<Calendar, ReferenceError> {
        let mut calendar = Calendar { exceptions: BTreeMap::new(), years: BTreeSet::new() };
        for row in source.rows(["date", "kind", "name"])? {
            let date: Date = row.parsed(0, "is not a day as in 2026-10-01")?;
            let exception =
                row.one_of(1, &[("holiday", Exception::Holiday), ("workday", Exception::Workday)])?;
            let weekend = is_weekend(date);
            if exception == Exception::Workday && !weekend {
                return Err(row.wrong(0, "is no Saturday or Sunday, so it is worked without a row"));
            }
            if calendar.exceptions.insert(date, (exception, row.text(2)?.to_owned())).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
            calendar.years.insert(date.year());
        }
        Ok(calendar)
    }

    /// Whether a day is worked. In a year that is not known it is told from the weekday alone.
    pub fn is_worked(&self, day: Date) -> bool {
        match self.exceptions.get(&day) {
            Some((exception, _)) => *exception == Exception::Workday,
            None => !is_weekend(day),
        }
    }

    /// How a day differs from its weekday, and the holiday's name.
    pub fn exception(&self, day: Date) -> Option<(Exception, &str)> {
        self.exceptions.get(&day).map(|(exception, name)| (*exception, name.as_str()))
    }

    /// The last year whose holidays are known.
    pub fn last_year(&self) -> Option<i16> {
        self.years.last().copied()
    }

    /// Whether the holidays of a year have been published, as far as this table knows.
    pub fn knows(&self, year: i16) -> bool {
        self.years.contains(&year)
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_year_has_as_many_working_days_as_were_published() {
        let calendar = &Reference::built_in().calendar;
        for (year, days) in [(2014, 250), (2020, 249), (2024, 251), (2025, 248), (2026, 248)] {
            let first = Date::constant(year, 1, 1);
            let worked = first
                .series(jiff::Span::new().days(1))
                .take_while(|d| d.year() == year)
                .filter(|d| calendar.is_worked(*d));
            assert_eq!(worked.count(), days, "{year}");
            assert!(calendar.knows(year));
        }
        assert!(!calendar.knows(2027));
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        let check = |rows: &'static str, why: &str| {
            let error = Calendar::parse(&Source::test(rows)).unwrap_err();
            assert_eq!(error.to_string(), why);
        };
        check(
            "date,kind,name\n2026-10-09,workday,国庆节",
            "test.csv, line 2, column `date`: `2026-10-09` is no Saturday or Sunday, so it is worked without a row",
        );
        check(
            "date,kind,name\n2026-10-01,holiday,国庆节\n2026-10-01,holiday,中秋节",
            "test.csv, line 3, column `date`: `2026-10-01` stands in an earlier row already",
        );
        check(
            "date,kind,name\n1.10.,holiday,x",
            "test.csv, line 2, column `date`: `1.10.` is not a day as in 2026-10-01",
        );
    }
}
