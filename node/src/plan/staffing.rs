//! A day's plan: for every quarter of an hour the calls expected, the seats and trunks that they need, and what one seat
//! more or less would change.

use std::collections::BTreeMap;

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

/// Most days of a plan.
pub const MOST_PLANNED: u16 = 366;

/// Days of a plan where nobody says anything else.
pub const USUAL_PLANNED: u16 = 7;

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

/// How many seats: those of the plan, or one fewer or more at every time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seats {
    /// One fewer.
    Fewer,
    /// As planned.
    Planned,
    /// One more.
    More,
}

/// What seats do on a day, all quarters of an hour together: shares and means are of calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// What they cost: hours of all seats.
    pub seat_hours: f64,
    /// The share of calls that are answered within the time asked for.
    pub level: f64,
    /// The mean wait in seconds; infinite when the queue only grows at some time of the day.
    pub wait: f64,
    /// The share that give up.
    pub lost: f64,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlan {
    /// Nothing is known of the past.
    NoHistory,
    /// No number of seats or trunks that anybody has would do it on this day.
    TooMuch(Date),
}

impl Goal {
    /// What is wanted where nobody says anything else.
    pub const USUAL: Goal =
        Goal { level: 0.95, within: 15.0, handling: 180.0, patience: None, turned_away: 0.01 };

    /// The plan of so many days from one on. Days that bring the same calls are staffed once.
    pub fn days(
        &self,
        first: Date,
        count: usize,
        profile: &Profile,
        calendar: &Calendar,
    ) -> Result<Vec<Day>, NoPlan> {
        let mut staffed: BTreeMap<Kind, Day> = BTreeMap::new();
        let dates = first.series(jiff::Span::new().days(1)).take(count);
        dates
            .map(|date| {
                let (kind, calls) = profile.day(date, calendar).ok_or(NoPlan::NoHistory)?;
                if let Some(same) = staffed.get(&kind) {
                    return Ok(Day { date, ..same.clone() });
                }
                let quarters = calls.iter().map(|calls| self.quarter(*calls).ok_or(NoPlan::TooMuch(date)));
                let day = Day { date, kind, quarters: quarters.collect::<Result<_, _>>()? };
                staffed.insert(kind, day.clone());
                Ok(day)
            })
            .collect()
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

impl Quarter {
    /// So many seats, and what they do.
    pub fn with(&self, seats: Seats) -> (u32, Service) {
        match seats {
            Seats::Fewer => (self.seats - 1, self.fewer),
            Seats::Planned => (self.seats, self.service),
            Seats::More => (self.seats + 1, self.more),
        }
    }
}

impl Seats {
    /// All three, the fewest first.
    pub const ALL: [Seats; 3] = [Seats::Fewer, Seats::Planned, Seats::More];
}

impl Day {
    /// What the planned seats, or one fewer or more all day long, come to.
    pub fn outcome(&self, seats: Seats) -> Outcome {
        let calls = self.calls();
        let all = || self.quarters.iter().map(|q| (q.calls, q.with(seats)));
        // Of a day without calls all were answered at once.
        let mean = |of: fn(&Service) -> f64, none: f64| match calls > 0.0 {
            true => all().filter(|(n, _)| *n > 0.0).map(|(n, (_, service))| n / calls * of(&service)).sum(),
            false => none,
        };
        Outcome {
            seat_hours: all().map(|(_, (seats, _))| f64::from(seats) / 4.0).sum(),
            level: mean(|service| service.level, 1.0),
            wait: mean(|service| service.wait, 0.0),
            lost: mean(|service| service.lost, 0.0),
        }
    }

    /// When the day is busiest: the first quarter of an hour with the most seats.
    pub fn busiest(&self) -> usize {
        let most = self.seats();
        self.quarters.iter().position(|quarter| quarter.seats == most).unwrap_or_default()
    }

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
        self.outcome(Seats::Planned).seat_hours
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
        let plan = |goal: Goal, count| goal.days("2026-11-04".parse().unwrap(), count, &profile, calendar);
        let days = plan(goal, 4).unwrap();
        let (day, busy) = (&days[0], days[0].quarters[37]);
        // 250 calls of two minutes in a quarter of an hour are a thousand an hour.
        assert!(
            busy.service.level >= 0.95 && busy.fewer.level < 0.95 && busy.more.level > busy.service.level
        );
        assert_eq!((busy.seats, day.seats(), day.trunks()), (42, 42, busy.trunks));
        assert!(busy.trunks > busy.seats && day.quarters[48].seats < busy.seats);
        assert_eq!((day.quarters[0].seats, day.quarters[0].trunks), (1, 1), "somebody is there at night");
        assert_eq!(day.calls(), 300.0);
        assert_eq!((days[3].date.to_string().as_str(), &days[3].quarters), ("2026-11-07", &day.quarters));
        let patient = Goal { patience: Some(60.0), ..goal };
        assert!(plan(patient, 1).unwrap()[0].seats() <= day.seats());
        let nothing = Calls::default().profile(calendar);
        assert_eq!(goal.days(day.date, 1, &nothing, calendar), Err(NoPlan::NoHistory));
        assert_eq!(plan(Goal { handling: 1e9, ..goal }, 1), Err(NoPlan::TooMuch(day.date)));
    }

    #[test]
    fn a_seat_more_or_fewer_has_its_price_and_its_worth() {
        let calendar = &Reference::built_in().calendar;
        let profile =
            Calls::read("at,calls\n2026-11-03T09:15,250\n2026-11-03T12:00,50\n").unwrap().profile(calendar);
        let goal = Goal { level: 0.95, within: 15.0, handling: 120.0, patience: None, turned_away: 0.01 };
        let day = &goal.days("2026-11-04".parse().unwrap(), 1, &profile, calendar).unwrap()[0];
        let [fewer, planned, more] = Seats::ALL.map(|seats| day.outcome(seats));
        assert_eq!(
            (planned.seat_hours - fewer.seat_hours, more.seat_hours - planned.seat_hours),
            (24.0, 24.0)
        );
        assert!(fewer.level < planned.level && planned.level < more.level && more.wait < planned.wait);
        let [morning, noon] = [37, 48].map(|at| day.quarters[at].service.level);
        assert!((planned.level - (250.0 * morning + 50.0 * noon) / 300.0).abs() < 1e-12);
        assert_eq!(day.busiest(), 37);
        // Fewer seats than the load at nine: whoever calls then waits for ever.
        let tight = Goal { level: 0.01, ..goal };
        let tight = &tight.days(day.date, 1, &profile, calendar).unwrap()[0];
        assert_eq!((tight.seats(), tight.outcome(Seats::Fewer).wait), (34, f64::INFINITY));
        let idle = Calls::read("at,calls\n2026-11-03T09:15,0\n").unwrap().profile(calendar);
        let idle = goal.days(day.date, 1, &idle, calendar).unwrap()[0].outcome(Seats::Planned);
        assert_eq!((idle.level, idle.wait, idle.seat_hours), (1.0, 0.0, 24.0));
    }
}
