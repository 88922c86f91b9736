//! Calls by quarters of an hour: those of the past, and what they let expect of a day.
//!
//! Days are of four kinds, told by the calendar: what a Monday brings differs from a Wednesday, a holiday from a Sunday,
//! and the first working day after a holiday from all of them. A day is expected to bring the mean of its kind, quarter by
//! quarter; a kind that the history does not have is taken for the nearest that it has.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use serde_json::Value;

use crate::reference::{Calendar, Exception};

/// Quarters of an hour in a day.
pub const QUARTERS: usize = 96;

/// Seconds of one.
pub const QUARTER_SECONDS: f64 = 900.0;

/// Most days of history: ten years.
pub const MOST_DAYS: u16 = 3_660;

/// Days of history where nobody says anything else.
pub const USUAL_DAYS: u16 = 56;

/// Most calls of a quarter of an hour.
const MOST_CALLS: u32 = 1_000_000;

/// What sort of day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A working day after a day off.
    First,
    /// Any other working day.
    Working,
    /// A Saturday or Sunday that is not worked and no holiday.
    Weekend,
    /// 放假.
    Holiday,
}

impl Kind {
    /// The kind of a day.
    pub fn of(day: Date, calendar: &Calendar) -> Kind {
        let holiday = matches!(calendar.exception(day), Some((Exception::Holiday, _)));
        match calendar.is_worked(day) {
            false if holiday => Kind::Holiday,
            false => Kind::Weekend,
            true => {
                let off = day.yesterday().is_ok_and(|before| !calendar.is_worked(before));
                if off { Kind::First } else { Kind::Working }
            }
        }
    }

    /// Which kinds stand in for it, the nearest first.
    fn nearest(self) -> [Kind; 4] {
        match self {
            Kind::First => [Kind::First, Kind::Working, Kind::Weekend, Kind::Holiday],
            Kind::Working => [Kind::Working, Kind::First, Kind::Weekend, Kind::Holiday],
            Kind::Weekend => [Kind::Weekend, Kind::Holiday, Kind::Working, Kind::First],
            Kind::Holiday => [Kind::Holiday, Kind::Weekend, Kind::Working, Kind::First],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::First => "first working day",
            Kind::Working => "working day",
            Kind::Weekend => "weekend",
            Kind::Holiday => "holiday",
        })
    }
}

/// Why a file of calls is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// In which line,
    pub line: usize,
    /// and what is wrong there.
    pub why: Wrong,
}

/// What is wrong in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is none.
    Empty,
    /// The first one is not as it must be.
    Head,
    /// It is no pair.
    NoPair,
    /// It begins with no moment.
    Moment,
    /// It ends with no number.
    Count,
    /// More calls than any quarter of an hour brings.
    TooMany,
    /// More days than are read.
    TooLong,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Empty => "the file is empty; its first line must be `at,calls`",
            Wrong::Head => "the first line must be `at,calls`",
            Wrong::NoPair => "it is no pair of a moment and a number",
            Wrong::Moment => "the moment is not as in 2026-11-02T09:15",
            Wrong::Count => "the calls are no whole number",
            Wrong::TooMany => "so many calls in a quarter of an hour are a mistake",
            Wrong::TooLong => "there are more days than ten years have",
        })
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A moment as it is written here, `2026-11-02T09:15` or with seconds. A day alone is no quarter of an hour, and a time of elsewhere
/// would be read as one of ours: neither is taken.
fn read_moment(text: &str) -> Option<DateTime> {
    let written = matches!(text.len(), 16 | 19) && matches!(text.as_bytes()[10], b'T' | b' ');
    text.parse().ok().filter(|_| written)
}

/// The calls of the past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls(BTreeMap<Date, [u32; QUARTERS]>);

impl Calls {
    /// Reads lines of `at,calls`: the beginning of a quarter of an hour, as in `2026-11-02T09:15`, and how many calls it
    /// brought. A quarter that is not named brought none; a quarter named twice brought the sum.
    pub fn read(text: &str) -> Result<Calls, Unread> {
        let mut calls = Calls::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let wrong = |at: usize, why: Wrong| Unread { line: at + 1, why };
        match lines.next() {
            Some((_, "at,calls")) => {}
            Some((at, _)) => return Err(wrong(at, Wrong::Head)),
            None => return Err(wrong(0, Wrong::Empty)),
        }
        for (at, line) in lines {
            let (moment, count) = line.split_once(',').ok_or(wrong(at, Wrong::NoPair))?;
            let moment = read_moment(moment.trim()).ok_or(wrong(at, Wrong::Moment))?;
            let count: u32 = count.trim().parse().map_err(|_| wrong(at, Wrong::Count))?;
            calls.add(moment, count).map_err(|why| wrong(at, why))?;
        }
        Ok(calls)
    }

    /// Adds calls that came in the quarter of an hour in which this moment lies.
    fn add(&mut self, at: DateTime, count: u32) -> Result<(), Wrong> {
        if self.0.len() >= usize::from(MOST_DAYS) && !self.0.contains_key(&at.date()) {
            return Err(Wrong::TooLong);
        }
        let quarter = at.hour() as usize * 4 + at.minute() as usize / 15;
        let sum = &mut self.0.entry(at.date()).or_insert([0; QUARTERS])[quarter];
        *sum = sum.saturating_add(count);
        if *sum > MOST_CALLS { Err(Wrong::TooMany) } else { Ok(()) }
    }

    /// Those that a node numbered, as it answers ([`crate::request::Request::Calls`]); a day that brought nothing is no history.
    pub fn numbered(reply: &Value) -> Calls {
        let quarters = |day: &Value| {
            let mut quarters = [0; QUARTERS];
            let counts = day["quarters"].as_array().into_iter().flatten().filter_map(Value::as_u64);
            quarters.iter_mut().zip(counts).for_each(|(slot, count)| {
                *slot = u32::try_from(count).unwrap_or(MOST_CALLS).min(MOST_CALLS);
            });
            quarters
        };
        let days = reply["days"].as_array().into_iter().flatten();
        let read = days.filter_map(|day| Some((day["day"].as_str()?.parse().ok()?, quarters(day))));
        let brought = |(_, quarters): &(Date, [u32; QUARTERS])| quarters.iter().any(|calls| *calls > 0);
        Calls(read.filter(brought).take(MOST_DAYS.into()).collect())
    }

    /// How many days there are.
    pub fn days(&self) -> usize {
        self.0.len()
    }

    /// The last day.
    pub fn last(&self) -> Option<Date> {
        self.0.keys().next_back().copied()
    }

    /// What to expect of days like these.
    pub fn profile(&self, calendar: &Calendar) -> Profile {
        let mut kinds: BTreeMap<Kind, (f64, [f64; QUARTERS])> = BTreeMap::new();
        for (day, calls) in &self.0 {
            let (days, sums) = kinds.entry(Kind::of(*day, calendar)).or_insert((0.0, [0.0; QUARTERS]));
            *days += 1.0;
            sums.iter_mut().zip(calls).for_each(|(sum, calls)| *sum += f64::from(*calls));
        }
        let means = kinds.into_iter().map(|(kind, (days, sums))| (kind, sums.map(|sum| sum / days)));
        Profile(means.collect())
    }
}

/// What days of each kind bring on the mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile(BTreeMap<Kind, [f64; QUARTERS]>);

impl Profile {
    /// The calls to expect of a day, by quarters, and the kind that stood in for the day's own; `None` without any history.
    pub fn day(&self, day: Date, calendar: &Calendar) -> Option<(Kind, &[f64; QUARTERS])> {
        let kinds = Kind::of(day, calendar).nearest();
        kinds.into_iter().find_map(|kind| Some((kind, self.0.get(&kind)?)))
    }
}

/// The Monday after a day, with which the next week begins; the day itself where time ends.
pub fn monday_after(day: Date) -> Date {
    day.nth_weekday(1, Weekday::Monday).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_of_the_kind_that_the_calendar_says() {
        let check = |date: &str, kind: Kind| {
            assert_eq!(Kind::of(day(date), &Reference::built_in().calendar), kind, "{date}")
        };
        check("2026-10-01", Kind::Holiday);
        check("2026-10-04", Kind::Holiday); // a Sunday within
        check("2026-10-08", Kind::First);
        check("2026-10-09", Kind::Working);
        check("2026-10-10", Kind::Working); // a Saturday that is worked
        check("2026-10-11", Kind::Weekend);
        check("2026-10-12", Kind::First);
    }

    #[test]
    fn a_day_brings_the_mean_of_its_kind_or_of_the_nearest() {
        let calendar = &Reference::built_in().calendar;
        let calls = Calls::read(
            "at,calls\n2026-11-03T09:15,10\n2026-11-04T09:20,20\n2026-11-04T09:29,2\n\n2026-11-07T10:00,4\n",
        )
        .unwrap();
        assert_eq!((calls.days(), calls.last()), (3, Some(day("2026-11-07"))));
        let profile = calls.profile(calendar);
        let check = |date: &str, quarter: usize, expected: (Kind, f64)| {
            let (kind, calls) = profile.day(day(date), calendar).unwrap();
            assert_eq!((kind, calls[quarter]), expected, "{date}");
        };
        check("2026-11-05", 37, (Kind::Working, 16.0));
        check("2026-11-02", 37, (Kind::Working, 16.0)); // no Monday is known
        check("2026-10-01", 40, (Kind::Weekend, 4.0)); // nor a holiday
        check("2026-11-05", 38, (Kind::Working, 0.0));
        assert_eq!(Calls::default().profile(calendar).day(day("2026-11-05"), calendar), None);
        assert_eq!(monday_after(day("2026-11-05")), day("2026-11-09"));
        assert_eq!(monday_after(day("2026-11-09")), day("2026-11-16"));
    }

    #[test]
    fn what_a_node_numbered_is_read_without_days_that_brought_nothing() {
        let mut quarters = vec![0; QUARTERS];
        let empty = quarters.clone();
        quarters[37] = 12;
        let reply = serde_json::json!({ "days": [
            { "day": "2026-11-03", "quarters": quarters }, { "day": "2026-11-04", "quarters": empty },
        ] });
        assert_eq!(Calls::numbered(&reply), Calls::read("at,calls\n2026-11-03T09:15,12\n").unwrap());
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_its_line() {
        let check = |text: &str, why: &str| assert_eq!(Calls::read(text).unwrap_err().to_string(), why);
        for moment in
            ["2026-11-02", "2026-11-02T01:15+00:00", "2026-11-02T01:15:00+00:00", "2026-11-02T9:15", "12"]
        {
            let why = "line 2: the moment is not as in 2026-11-02T09:15";
            check(&format!("at,calls\n{moment},12\n"), why);
        }
        check("", "line 1: the file is empty; its first line must be `at,calls`");
        check("time,n\n", "line 1: the first line must be `at,calls`");
        check("at,calls\n\n2026-11-03T09:15", "line 3: it is no pair of a moment and a number");
        check("at,calls\n3.11.,7", "line 2: the moment is not as in 2026-11-02T09:15");
        check("at,calls\n2026-11-03T09:15,-7", "line 2: the calls are no whole number");
        check(
            "at,calls\n2026-11-03T09:15,1000000\n2026-11-03T09:15,1",
            "line 3: so many calls in a quarter of an hour are a mistake",
        );
    }
}
