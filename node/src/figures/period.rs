//! Periods: days of China's time, from the first to before the one that is not in it any more.

use jiff::civil::Date;
use jiff::{Span, ToSpan};

/// The longest period: ten years.
const MOST_DAYS: i32 = 3_660;

/// A run of days. The end is the first day after it, so periods that follow on meet and never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: Date,
    end: Date,
}

impl Period {
    /// From this day to that one, both in it.
    pub fn days(from: Date, last: Date) -> Result<Period, String> {
        let end = last.tomorrow().map_err(|e| e.to_string())?;
        let period = Period { from, end };
        match period.count() {
            ..=0 => Err(format!("the period ends on {last}, before it begins on {from}")),
            days if days > MOST_DAYS => Err(format!("the period has {days} days, and may have {MOST_DAYS}")),
            _ => Ok(period),
        }
    }

    /// The month that a day lies in.
    pub fn month_of(day: Date) -> Result<Period, String> {
        Period::days(day.first_of_month(), day.last_of_month())
    }

    /// A month as it is written: `2026-11`.
    pub fn month(text: &str) -> Result<Period, String> {
        let wrong = || format!("`{}` is no month; as in 2026-11", text.chars().take(20).collect::<String>());
        match text.len() {
            7 => Period::month_of(format!("{text}-01").parse().map_err(|_| wrong())?),
            _ => Err(wrong()),
        }
    }

    /// A year, a quarter or a month as it is written: `2026`, `2026-Q3`, `2026-11`.
    pub fn named(text: &str) -> Result<Period, String> {
        let wrong = || {
            let shown: String = text.chars().take(20).collect();
            format!("`{shown}` is no period; as in 2026-11, 2026-Q3 or 2026")
        };
        if !text.bytes().take(4).all(|digit| digit.is_ascii_digit()) {
            return Err(wrong());
        }
        let (year, first, last) = match text.as_bytes() {
            [_, _, _, _] => (text, 1, 12),
            [_, _, _, _, b'-', b'Q', quarter @ b'1'..=b'4'] => {
                let last = i8::try_from(3 * (quarter - b'0')).map_err(|_| wrong())?;
                (&text[..4], last - 2, last)
            }
            _ => return Period::month(text).map_err(|_| wrong()),
        };
        let day = |month: i8| Date::new(year.parse().map_err(|_| wrong())?, month, 1).map_err(|_| wrong());
        Period::days(day(first)?, day(last)?.last_of_month())
    }

    /// Its first day.
    pub fn from(self) -> Date {
        self.from
    }

    /// Its last day.
    pub fn last(self) -> Date {
        self.end.yesterday().unwrap_or(self.end)
    }

    /// The first day after it.
    pub fn end(self) -> Date {
        self.end
    }

    /// How many days it has.
    pub fn count(self) -> i32 {
        self.from.until(self.end).map_or(0, |span| span.get_days())
    }

    /// The month before the one that a day is in; the day's own where time begins.
    pub fn last_month(today: Date) -> Period {
        let month =
            Period { from: today.first_of_month(), end: today.last_of_month().tomorrow().unwrap_or(today) };
        month.before().unwrap_or(month)
    }

    /// The month that it begins in, as in `2026-11`.
    pub fn month_name(self) -> String {
        self.from.strftime("%Y-%m").to_string()
    }

    /// How many whole months it is, if it is whole months.
    fn months(self) -> Option<i32> {
        let whole = self.from.day() == 1 && self.end.day() == 1;
        let months = |day: Date| i32::from(day.year()) * 12 + i32::from(day.month());
        whole.then(|| months(self.end) - months(self.from))
    }

    /// 环比: the period just before, of as many months when it is whole months, of as many days otherwise.
    pub fn before(self) -> Option<Period> {
        let back: Span = match self.months() {
            Some(months) => months.months(),
            None => self.count().days(),
        };
        Some(Period { from: self.from.checked_sub(back).ok()?, end: self.from })
    }

    /// 同比: the same days of the year before. The 29th of February is the 28th there.
    pub fn year_before(self) -> Option<Period> {
        let back = 1.years();
        let (from, last) = (self.from.checked_sub(back).ok()?, self.last().checked_sub(back).ok()?);
        match self.months() {
            Some(_) => Some(Period { from, end: self.end.checked_sub(back).ok()? }),
            None => Some(Period { from, end: last.tomorrow().ok()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_a_name() {
        let check = |text: &str, from: &str, last: &str| {
            let period = Period::named(text).unwrap();
            assert_eq!(
                (period.from().to_string().as_str(), period.last().to_string().as_str()),
                (from, last)
            );
        };
        check("2026", "2026-01-01", "2026-12-31");
        check("2026-Q1", "2026-01-01", "2026-03-31");
        check("2026-Q4", "2026-10-01", "2026-12-31");
        check("2024-02", "2024-02-01", "2024-02-29");
        for wrong in ["", "Q3", "2026-Q5", "2026-Q0", "2026-13", "二六", "-026", "2026-11-02"] {
            assert!(Period::named(wrong).unwrap_err().contains("is no period"), "{wrong}");
        }
    }

    #[test]
    fn months_follow_on_and_compare_with_months() {
        let check = |period: Period, before: &str, year_before: &str| {
            let said = |period: Period| format!("{}..{}", period.from(), period.last());
            assert_eq!(
                (said(period.before().unwrap()).as_str(), said(period.year_before().unwrap()).as_str()),
                (before, year_before)
            );
        };
        let days =
            |from: &str, last: &str| Period::days(from.parse().unwrap(), last.parse().unwrap()).unwrap();
        check(Period::month("2026-03").unwrap(), "2026-02-01..2026-02-28", "2025-03-01..2025-03-31");
        check(Period::month("2024-02").unwrap(), "2024-01-01..2024-01-31", "2023-02-01..2023-02-28");
        check(Period::month("2025-02").unwrap(), "2025-01-01..2025-01-31", "2024-02-01..2024-02-29");
        check(days("2026-01-01", "2026-03-31"), "2025-10-01..2025-12-31", "2025-01-01..2025-03-31");
        check(days("2026-11-02", "2026-11-08"), "2026-10-26..2026-11-01", "2025-11-02..2025-11-08");
        check(days("2024-02-29", "2024-02-29"), "2024-02-28..2024-02-28", "2023-02-28..2023-02-28");
        let quarter = days("2026-01-01", "2026-03-31");
        assert_eq!((quarter.count(), quarter.end().to_string().as_str()), (90, "2026-04-01"));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for wrong in ["2026-13", "2026", "2026-1", "November", "2026-11-01"] {
            assert!(Period::month(wrong).unwrap_err().contains("is no month"), "{wrong}");
        }
        let days = |from: &str, last: &str| Period::days(from.parse().unwrap(), last.parse().unwrap());
        assert!(days("2026-11-02", "2026-11-01").unwrap_err().contains("before it begins"));
        assert!(days("2006-11-02", "2026-11-01").unwrap_err().contains("may have 3660"));
    }
}
