//! Plots, drawn here: bars as SVG that say their numbers to whoever cannot see them.

use std::fmt::Write;

use crate::plan::plot::escape;

const HEIGHT: u64 = 120;
const BAR: u64 = 22;
const GAP: u64 = 6;

/// Bars with a label under each, as an SVG element. Labels and title are of this program, and are escaped all the same.
pub(super) fn bars(title: &str, rows: &[(String, u64)]) -> String {
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let width = rows.len() as u64 * (BAR + GAP) + GAP;
    let said: Vec<String> = rows.iter().map(|(label, count)| format!("{label}: {count}")).collect();
    let mut svg = format!(
        "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 {width} {}\" width=\"{width}\" height=\"{}\" aria-label=\"{}\">",
        HEIGHT + 40,
        HEIGHT + 40,
        escape(&format!("{title}. {}", said.join(", "))),
    );
    for (i, (label, count)) in rows.iter().enumerate() {
        let (x, height) = (GAP + i as u64 * (BAR + GAP), (count * HEIGHT).div_ceil(most));
        let (y, middle) = (20 + HEIGHT - height, x + BAR / 2);
        let _ = write!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{BAR}\" height=\"{height}\" rx=\"2\"/>");
        if *count > 0 {
            let _ = write!(svg, "<text class=\"n\" x=\"{middle}\" y=\"{}\">{count}</text>", y - 4);
        }
        let _ = write!(svg, "<text x=\"{middle}\" y=\"{}\">{}</text>", HEIGHT + 35, escape(label));
    }
    svg.push_str("</svg>");
    svg
}

/// Bars that lie, with a label before each: for names, which are longer than a bar is wide.
pub(super) fn across(title: &str, rows: &[(String, u64)]) -> String {
    const LABEL: u64 = 190;
    const WIDTH: u64 = 320;
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let height = rows.len() as u64 * (BAR + GAP) + GAP;
    let said: Vec<String> = rows.iter().map(|(label, count)| format!("{label}: {count}")).collect();
    let width = LABEL + WIDTH + 80;
    let mut svg = format!(
        "<svg class=\"plot across\" role=\"img\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-label=\"{}\">",
        escape(&format!("{title}. {}", said.join(", "))),
    );
    for (i, (label, count)) in rows.iter().enumerate() {
        let (y, long) = (GAP + i as u64 * (BAR + GAP), (count * WIDTH).div_ceil(most));
        let (middle, short) = (y + 15, label.chars().take(16).collect::<String>());
        let _ =
            write!(svg, "<text class=\"label\" x=\"{}\" y=\"{middle}\">{}</text>", LABEL - 6, escape(&short));
        let _ = write!(svg, "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{long}\" height=\"{BAR}\" rx=\"2\"/>");
        let _ = write!(svg, "<text class=\"n\" x=\"{}\" y=\"{middle}\">{count}</text>", LABEL + long + 6);
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_is_full_and_words_are_escaped() {
        let svg = bars("a < b", &[("8".into(), 2), ("<9>".into(), 4), ("10".into(), 0)]);
        assert!(svg.contains("height=\"60\"") && svg.contains("height=\"120\""), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt; b. 8: 2, &lt;9&gt;: 4, 10: 0\"") && !svg.contains("<9>"));
        assert!(bars("", &[]).starts_with("<svg"));
    }

    #[test]
    fn bars_that_lie_say_their_numbers_too() {
        let svg = across("a", &[("城市客运 <D04>".into(), 4), ("x".into(), 1)]);
        assert!(
            svg.contains("width=\"320\" height=\"22\"") && svg.contains("width=\"80\" height=\"22\""),
            "{svg}"
        );
        assert!(svg.contains("aria-label=\"a. 城市客运 &lt;D04&gt;: 4, x: 1\"") && !svg.contains("<D04>"));
    }
}
