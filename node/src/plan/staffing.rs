//! A day's plan: for every quarter of an hour the calls expected, the seats and trunks that they need, and what one seat
//! more or less would change.

use jiff::civil::Date;

use super::calls::{Kind, Profile, QUARTER_SECONDS};
use super::queue::{Service, Traffic, trunks_for};
use crate::reference::Calendar;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// The share of calls to be answered
    pub level: f64,
    /// within so many seconds.
    pub within: f64,
    /// Seconds a call, with what is written after it.
    pub handling: f64,
    /// The mean patience of callers in seconds, when it is known.
    pub patience: Option<f64>,
    /// The share of calls that may find all trunks busy.
    pub turned_away: f64,
}

/// A percentage as it is typed.
pub fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 100.0 => Ok(value),
        _ => Err("a percentage lies between 0 and 100, without both".to_owned()),
    }
}

/// Seconds as they are typed.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.1..=86_400.0).contains(&value) => Ok(value),
        _ => Err("seconds lie between 0.1 and 86400".to_owned()),
    }
}

/// A quarter of an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quarter {
    /// Calls expected.
    pub calls: f64,
    /// Seats that reach the goal.
    pub seats: u32,
    /// What they do,
    pub service: Service,
    /// and one fewer,
    pub fewer: Service,
    /// and one more.
    pub more: Service,
    /// Trunks: each call holds one while it waits and while it is spoken.
    pub trunks: u32,
}

/// A day.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// The kind of day that its calls were taken from.
    pub kind: Kind,
    /// Its quarters of an hour from midnight on.
    pub quarters: Vec<Quarter>,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlan {
    /// Nothing is known of the past.
    NoHistory,
    /// No number of seats or trunks that anybody has would do it.
    TooMuch,
}

impl Goal {
    /// The plan of a day.
    pub fn day(&self, date: Date, profile: &Profile, calendar: &Calendar) -> Result<Day, NoPlan> {
        let (kind, calls) = profile.day(date, calendar).ok_or(NoPlan::NoHistory)?;
        let quarters = calls.iter().map(|calls| self.quarter(*calls).ok_or(NoPlan::TooMuch));
        Ok(Day { date, kind, quarters: quarters.collect::<Result<_, _>>()? })
    }

    fn quarter(&self, calls: f64) -> Option<Quarter> {
        let rate = calls / QUARTER_SECONDS;
        let traffic = Traffic { rate, handling: self.handling, patience: self.patience };
        let seats = traffic.seats_for(self.level, self.within)?;
        let service = traffic.service(seats, self.within);
        let held = rate * (service.wait + self.handling * (1.0 - service.lost));
        Some(Quarter {
            calls,
            seats,
            service,
            fewer: traffic.service(seats - 1, self.within),
            more: traffic.service(seats + 1, self.within),
            trunks: trunks_for(held, self.turned_away)?,
        })
    }
}

impl Day {
    /// The most seats at any time of the day.
    pub fn seats(&self) -> u32 {
        self.quarters.iter().map(|q| q.seats).max().unwrap_or_default()
    }

    /// The most trunks.
    pub fn trunks(&self) -> u32 {
        self.quarters.iter().map(|q| q.trunks).max().unwrap_or_default()
    }

    /// Hours of all seats together.
    pub fn seat_hours(&self) -> f64 {
        self.quarters.iter().map(|q| f64::from(q.seats) / 4.0).sum()
    }

    /// Calls of the day.
    pub fn calls(&self) -> f64 {
        self.quarters.iter().map(|q| q.calls).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Calls;
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_day_is_staffed_quarter_by_quarter() {
        let calendar = &Reference::built_in().calendar;
        let profile =
            Calls::read("at,calls\n2026-11-03T09:15,250\n2026-11-03T12:00,50\n").unwrap().profile(calendar);
        let goal = Goal { level: 0.95, within: 15.0, handling: 120.0, patience: None, turned_away: 0.01 };
        let day = goal.day("2026-11-04".parse().unwrap(), &profile, calendar).unwrap();
        let busy = day.quarters[37];
        // 250 calls of two minutes in a quarter of an hour are a thousand an hour.
        assert!(
            busy.service.level >= 0.95 && busy.fewer.level < 0.95 && busy.more.level > busy.service.level
        );
        assert_eq!((busy.seats, day.seats(), day.trunks()), (42, 42, busy.trunks));
        assert!(busy.trunks > busy.seats && day.quarters[48].seats < busy.seats);
        assert_eq!((day.quarters[0].seats, day.quarters[0].trunks), (1, 1), "somebody is there at night");
        assert_eq!(day.calls(), 300.0);
        let patient = Goal { patience: Some(60.0), ..goal };
        assert!(patient.day(day.date, &profile, calendar).unwrap().seats() <= day.seats());
        let nothing = Calls::default().profile(calendar);
        assert_eq!(goal.day(day.date, &nothing, calendar), Err(NoPlan::NoHistory));
        let endless = Goal { handling: 1e9, ..goal };
        assert_eq!(endless.day(day.date, &profile, calendar), Err(NoPlan::TooMuch));
    }
}
