//! China's time: the one in which days end, numbers are dated, deadlines are counted and times are shown.

use jiff::civil::Date;
use jiff::tz::{self, TimeZone};
use jiff::{Timestamp, Zoned};

/// A moment by the clocks there.
pub fn zoned(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::fixed(tz::offset(8)))
}

/// The day there.
pub fn day(at: Timestamp) -> Date {
    zoned(at).date()
}

/// The day that it is at a moment, in milliseconds since 1970.
pub fn today(ms: u64) -> Date {
    moment(ms).map(day).unwrap_or_default()
}

/// The last second of a day there; `None` at the end of the calendar.
pub fn end_of(day: Date) -> Option<Timestamp> {
    let end = day.at(23, 59, 59, 0).to_zoned(TimeZone::fixed(tz::offset(8)));
    end.ok().map(|end| end.timestamp())
}

/// The moment of milliseconds since 1970; `None` past the end of the calendar.
pub fn moment(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

/// A moment for people and JSON: RFC 3339, so that texts compare as the moments do.
pub fn shown(at: Timestamp) -> String {
    zoned(at).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The same of milliseconds since 1970; empty past the end of the calendar.
pub fn shown_time(ms: u64) -> String {
    moment(ms).map(shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_midnight_there() {
        let evening: Timestamp = "2026-11-29T15:59:59Z".parse().unwrap();
        assert_eq!(day(evening).to_string(), "2026-11-29");
        assert_eq!(end_of(day(evening)), Some(evening));
        assert_eq!(shown(evening), "2026-11-29T23:59:59+08:00");
        assert_eq!(shown_time(evening.as_millisecond() as u64 + 1_000), "2026-11-30T00:00:00+08:00");
        assert_eq!((shown_time(u64::MAX), moment(u64::MAX)), (String::new(), None));
    }
}
