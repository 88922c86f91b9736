//! A day's plan as pictures: seats through the day; and what is answered in time, and how long callers wait, with one seat
//! fewer, as planned, and with one more. Lines differ in dashes as well as in colour.

use std::fmt::Write;

use super::calls::QUARTERS;
use super::staffing::{Day, Seats};

const LEFT: f64 = 46.0;
const WIDTH: f64 = 960.0;
const TOP: f64 = 10.0;
const HEIGHT: f64 = 180.0;
/// All of a picture: with numbers at the left, and hours below.
const WHOLE: [f64; 2] = [1030.0, 216.0];

/// How seats are drawn.
fn stroke(seats: Seats) -> &'static str {
    match seats {
        Seats::Fewer => "stroke=\"#a4262c\" stroke-dasharray=\"7 4\"",
        Seats::Planned => "stroke=\"#1b2530\"",
        Seats::More => "stroke=\"#1a6b3c\" stroke-dasharray=\"2 3\"",
    }
}

/// Seats through a day, as an SVG element that says `label` to whoever cannot see it.
pub fn seats(day: &Day, label: &str) -> String {
    let step = WIDTH / QUARTERS as f64;
    let most = f64::from(day.seats().max(1));
    let mut svg = begun(label);
    for (at, quarter) in day.quarters.iter().enumerate() {
        let height = f64::from(quarter.seats) / most * HEIGHT;
        let (x, y) = (LEFT + at as f64 * step, TOP + HEIGHT - height);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#4a7fb5\"/>",
            step - 1.0
        );
    }
    ended(svg, &format!("{most}"), "0")
}

/// The share of calls that are answered in time; `goal` is what is wanted.
pub fn levels(day: &Day, goal: f64, label: &str) -> String {
    lines(day, label, goal, ("100 %", "0 %"), |service| service.level)
}

/// The mean wait; `within` is the time asked for. A wait of four times that, or more, stands at the top.
pub fn waits(day: &Day, within: f64, label: &str) -> String {
    let most = 4.0 * within;
    lines(day, label, within / most, (&format!("{most} s"), "0 s"), |service| (service.wait / most).min(1.0))
}

/// Lines of what lies between 0 and 1, and a dashed one at what is wanted.
fn lines(
    day: &Day,
    label: &str,
    wanted: f64,
    (high, low): (&str, &str),
    of: impl Fn(&super::queue::Service) -> f64,
) -> String {
    let step = WIDTH / QUARTERS as f64;
    let height = |part: f64| TOP + HEIGHT * (1.0 - part);
    let mut svg = begun(label);
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#7b8794\"/>",
        LEFT + WIDTH,
        y = height(wanted)
    );
    for seats in [Seats::Fewer, Seats::More, Seats::Planned] {
        let mut points = String::new();
        for (at, quarter) in day.quarters.iter().enumerate() {
            let (x, y) = (LEFT + at as f64 * step, height(of(&quarter.with(seats).1)));
            let _ = write!(points, "{x:.1},{y:.1} {:.1},{y:.1} ", x + step);
        }
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" {} stroke-width=\"1.5\" points=\"{}\"/>",
            stroke(seats),
            points.trim_end()
        );
    }
    ended(svg, high, low)
}

/// The pictures of seats and levels below each other, as an SVG file. `goal` is the share of calls to be answered in time.
pub fn file(day: &Day, goal: f64) -> String {
    let [width, height] = WHOLE;
    let label = format!("Seats and service of {}: {} seats at the busiest time", day.date, day.seats());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {all}\" font-family=\"sans-serif\" role=\"img\" \
         aria-label=\"{label}\">\n<rect width=\"{width}\" height=\"{all}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{date} · 座席 seats · {calls:.0} calls, {hours:.0} seat hours, {trunks} trunks</text>\n\
         <g transform=\"translate(0 26)\">{seats}</g>\n\
         <text x=\"{LEFT}\" y=\"{below}\" font-size=\"14\">及时接通率 answered in time: \
         <tspan fill=\"#a4262c\">- - 少一席 one seat fewer</tspan>, as planned, <tspan fill=\"#1a6b3c\">··· 多一席 one more</tspan></text>\n\
         <g transform=\"translate(0 {levels_at})\">{levels}</g>\n</svg>\n",
        all = 2.0 * (height + 30.0),
        date = day.date,
        calls = day.calls(),
        hours = day.seat_hours(),
        trunks = day.trunks(),
        seats = seats(day, "seats"),
        below = height + 50.0,
        levels_at = height + 56.0,
        levels = levels(day, goal, "answered in time"),
    )
}

/// A text as it may stand in an SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn begun(label: &str) -> String {
    let [width, height] = WHOLE;
    let label = escape(label);
    format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-size=\"12\" aria-label=\"{label}\">\n"
    )
}

/// With the frame: hours below and two numbers at the left.
fn ended(mut svg: String, high: &str, low: &str) -> String {
    let bottom = TOP + HEIGHT;
    let _ = writeln!(
        svg,
        "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\" stroke=\"#1b2530\"/>\n\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"end\">{high}</text><text x=\"{x}\" y=\"{bottom}\" text-anchor=\"end\">{low}</text>",
        LEFT + WIDTH,
        TOP + 10.0,
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
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::calls::Calls;
    use super::super::staffing::Goal;
    use super::*;
    use crate::reference::Reference;

    fn day(level: f64) -> Day {
        let calendar = &Reference::built_in().calendar;
        let profile = Calls::read("at,calls\n2026-11-03T09:15,250\n").unwrap().profile(calendar);
        let goal = Goal { level, handling: 120.0, ..Goal::USUAL };
        goal.days("2026-11-04".parse().unwrap(), 1, &profile, calendar).unwrap().remove(0)
    }

    #[test]
    fn the_file_has_a_bar_for_each_quarter_and_three_lines() {
        let svg = file(&day(0.95), 0.95);
        assert_eq!(svg.matches("fill=\"#4a7fb5\"").count(), QUARTERS);
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert!(svg.contains("42 seats at the busiest time") && svg.contains("height=\"180.0\""), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_wait_without_end_stands_at_the_top_and_a_label_is_no_markup() {
        let day = day(0.01);
        assert_eq!(day.outcome(Seats::Fewer).wait, f64::INFINITY);
        let svg = waits(&day, 15.0, "<\"waits\">");
        assert!(
            svg.contains("aria-label=\"&lt;&quot;waits&quot;&gt;\"") && svg.contains(">60 s</text>"),
            "{svg}"
        );
        assert!(svg.contains("416.0,10.0 426.0,10.0"), "09:15 with one seat fewer: {svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
