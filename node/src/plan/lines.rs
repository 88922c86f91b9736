//! A plan as lines that programs for tables read: a line for each quarter of an hour.

use super::queue::Service;
use super::staffing::{Day, Seats};
use crate::cell::{Sheet, plain};

/// What stands in a line. A wait without end is an empty cell.
const COLUMNS: [&str; 16] = [
    "day",
    "as",
    "at",
    "calls",
    "seats",
    "level",
    "wait",
    "lost",
    "busy",
    "fewer_level",
    "fewer_wait",
    "fewer_lost",
    "more_level",
    "more_wait",
    "more_lost",
    "trunks",
];

/// Days as CSV. `as` is the kind of day whose calls were taken.
pub fn csv(days: &[Day]) -> String {
    let mut sheet = Sheet::default();
    sheet.line(COLUMNS.map(str::to_owned));
    for day in days {
        for (at, quarter) in day.quarters.iter().enumerate() {
            let wait = |service: &Service| match service.wait.is_finite() {
                true => round(service.wait, 10.0).to_string(),
                false => String::new(),
            };
            let share = |share: f64| round(share, 10_000.0).to_string();
            let (_, fewer) = quarter.with(Seats::Fewer);
            let (seats, planned) = quarter.with(Seats::Planned);
            let (_, more) = quarter.with(Seats::More);
            sheet.line([
                day.date.to_string(),
                plain(&day.kind.to_string()),
                clock(at),
                round(quarter.calls, 10.0).to_string(),
                seats.to_string(),
                share(planned.level),
                wait(&planned),
                share(planned.lost),
                share(planned.busy),
                share(fewer.level),
                wait(&fewer),
                share(fewer.lost),
                share(more.level),
                wait(&more),
                share(more.lost),
                quarter.trunks.to_string(),
            ]);
        }
    }
    sheet.end()
}

/// A quarter's beginning: `09:15`.
pub fn clock(quarter: usize) -> String {
    format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15)
}

/// A number to so many parts of one.
pub fn round(value: f64, to: f64) -> f64 {
    (value * to).round() / to
}

#[cfg(test)]
mod tests {
    use super::super::calls::Calls;
    use super::super::staffing::Goal;
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_line_stands_for_each_quarter_and_a_wait_without_end_for_nothing() {
        let calendar = &Reference::built_in().calendar;
        let profile = Calls::read("at,calls\n2026-11-03T09:15,250\n").unwrap().profile(calendar);
        let goal = Goal { level: 0.01, handling: 120.0, ..Goal::USUAL };
        let text = csv(&goal.days("2026-11-04".parse().unwrap(), 2, &profile, calendar).unwrap());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 * 96);
        assert!(
            lines[1].starts_with("2026-11-04,working day,00:00,0,1,1,0,0,0,1,0,0,1,0,0,"),
            "{}",
            lines[1]
        );
        assert!(lines[96 + 38].starts_with("2026-11-05,working day,09:15,250,34,"), "{}", lines[96 + 38]);
        assert!(lines[38].contains(",0,,0,"), "33 seats are fewer than the load: {}", lines[38]);
    }
}
