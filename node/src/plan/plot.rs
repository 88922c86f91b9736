//! A day's plan as a picture: seats through the day, and the share answered in time with one seat fewer, as planned, and
//! with one more.

use std::fmt::Write;

use super::calls::QUARTERS;
use super::staffing::Day;

const LEFT: f64 = 46.0;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 180.0;
const SEATS_AT: f64 = 36.0;
const LEVELS_AT: f64 = 286.0;

/// Whose service a line shows.
enum Which {
    Fewer,
    Planned,
    More,
}

/// The picture, as an SVG file. `goal` is the share of calls to be answered in time.
pub fn day(day: &Day, goal: f64) -> String {
    let step = WIDTH / QUARTERS as f64;
    let most = f64::from(day.seats().max(1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1030 510\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\" \
         aria-label=\"Seats and service of {date}: {seats} seats at the busiest time\">\n<rect width=\"1030\" height=\"510\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{date} · 座席 seats · {calls:.0} calls, {hours:.0} seat hours, {trunks} trunks</text>\n",
        date = day.date,
        seats = day.seats(),
        calls = day.calls(),
        hours = day.seat_hours(),
        trunks = day.trunks(),
    );
    for (at, quarter) in day.quarters.iter().enumerate() {
        let height = f64::from(quarter.seats) / most * HEIGHT;
        let (x, y) = (LEFT + at as f64 * step, SEATS_AT + HEIGHT - height);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#4a7fb5\"/>",
            step - 1.0
        );
    }
    axis(&mut svg, SEATS_AT, &format!("{most}"), "0");
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\" font-size=\"14\">及时接通率 answered in time: <tspan fill=\"#b5544a\">少一席 one seat fewer</tspan>, \
         <tspan fill=\"#222\">as planned</tspan>, <tspan fill=\"#3f8f5b\">多一席 one more</tspan></text>",
        LEVELS_AT - 14.0
    );
    let y = LEVELS_AT + HEIGHT * (1.0 - goal);
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>",
        LEFT + WIDTH
    );
    for (colour, which) in [("#b5544a", Which::Fewer), ("#3f8f5b", Which::More), ("#222", Which::Planned)] {
        let mut points = String::new();
        for (at, quarter) in day.quarters.iter().enumerate() {
            let service = match which {
                Which::Fewer => quarter.fewer,
                Which::Planned => quarter.service,
                Which::More => quarter.more,
            };
            let (x, y) = (LEFT + at as f64 * step, LEVELS_AT + HEIGHT * (1.0 - service.level));
            let _ = write!(points, "{x:.1},{y:.1} {:.1},{y:.1} ", x + step);
        }
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            points.trim_end()
        );
    }
    axis(&mut svg, LEVELS_AT, "100 %", "0 %");
    svg.push_str("</svg>\n");
    svg
}

/// A frame with hours below and two numbers beside it.
fn axis(svg: &mut String, top: f64, high: &str, low: &str) {
    let bottom = top + HEIGHT;
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\" stroke=\"#222\"/>\n\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{high}</text><text x=\"{x}\" y=\"{bottom}\" text-anchor=\"end\">{low}</text>",
        LEFT + WIDTH,
        top + 10.0,
        x = LEFT - 6.0,
    );
    for hour in (0..=24).step_by(3) {
        let x = LEFT + f64::from(hour) / 24.0 * WIDTH;
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{hour:02}:00</text>",
            bottom + 18.0
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::Calls;
    use super::super::staffing::Goal;
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn the_picture_has_a_bar_for_each_quarter_and_three_lines() {
        let calendar = &Reference::built_in().calendar;
        let profile = Calls::read("at,calls\n2026-11-03T09:15,250\n").unwrap().profile(calendar);
        let goal = Goal { level: 0.95, within: 15.0, handling: 120.0, patience: None, turned_away: 0.01 };
        let svg = day(&goal.day("2026-11-04".parse().unwrap(), &profile, calendar).unwrap(), 0.95);
        assert_eq!(svg.matches("fill=\"#4a7fb5\"").count(), QUARTERS);
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert!(svg.contains("42 seats at the busiest time") && svg.contains("height=\"180.0\""), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
