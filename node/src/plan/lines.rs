//! A plan as lines that programs for tables read: a line for each quarter of an hour.

use jiff::civil::Date;

use super::queue::Service;
use super::staffing::{Day, Goal, Seats};
use crate::cell::{Cell, Sheet};

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

/// Days as a sheet. `as` is the kind of day whose calls were taken.
pub fn sheet(days: &[Day]) -> Sheet {
    let mut sheet = Sheet::of(COLUMNS);
    for day in days {
        for (at, quarter) in day.quarters.iter().enumerate() {
            let wait = |service: &Service| match service.wait.is_finite() {
                true => Cell::Number(round(service.wait, 10.0)),
                false => Cell::Empty,
            };
            let share = |share: f64| Cell::Share(round(share, 10_000.0));
            let (_, fewer) = quarter.with(Seats::Fewer);
            let (seats, planned) = quarter.with(Seats::Planned);
            let (_, more) = quarter.with(Seats::More);
            sheet.line([
                Cell::Day(day.date),
                Cell::text(&day.kind.to_string()),
                Cell::text(&clock(at)),
                Cell::Number(round(quarter.calls, 10.0)),
                Cell::Count(seats.into()),
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
                Cell::Count(quarter.trunks.into()),
            ]);
        }
    }
    sheet
}

/// What a plan is made for, and what it rests on, as a sheet: `calls` is how many days of past calls, and the last of them.
pub fn wanted(goal: &Goal, calls: (usize, Option<Date>)) -> Sheet {
    let mut sheet = Sheet::of(["what", "value"]);
    let mut say = |what: &str, value: Cell| sheet.line([Cell::text(what), value]);
    say("level", Cell::Share(goal.level));
    say("within", Cell::Number(goal.within));
    say("handling", Cell::Number(goal.handling));
    say("patience", Cell::given(goal.patience, Cell::Number));
    say("busy", Cell::Share(goal.turned_away));
    say("days of history", Cell::Count(calls.0 as u64));
    say("last day of history", Cell::given(calls.1, Cell::Day));
    say("seats", Cell::text(if goal.patience.is_some() { "Erlang A" } else { "Erlang C" }));
    say("trunks", Cell::text("Erlang B"));
    sheet
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
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_line_stands_for_each_quarter_and_a_wait_without_end_for_nothing() {
        let calendar = &Reference::built_in().calendar;
        let profile = Calls::read("at,calls\n2026-11-03T09:15,250\n").unwrap().profile(calendar);
        let goal = Goal { level: 0.01, handling: 120.0, ..Goal::USUAL };
        let text = sheet(&goal.days("2026-11-04".parse().unwrap(), 2, &profile, calendar).unwrap()).csv();
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
