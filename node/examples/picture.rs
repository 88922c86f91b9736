//! Draws what a terminal showed as an SVG, for the README:
//!
//! ```text
//! script -qec 'stty cols 104; hotline demo --headless' /dev/null |
//!     cargo run -p node --example picture -- 'hotline demo --headless' > docs/demo.svg
//! ```

use std::io::Read;

const LINE: usize = 19;
const CELL: f64 = 8.1;
const MARGIN: usize = 18;
const BAR: usize = 34;

fn main() -> std::io::Result<()> {
    let title = std::env::args().nth(1).unwrap_or_default();
    let mut shown = String::new();
    std::io::stdin().read_to_string(&mut shown)?;
    print!("{}", draw(&title, &shown));
    Ok(())
}

/// The cells that a text takes: two for a letter that is as wide as it is high.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| {
            let narrow = ('\u{2010}'..='\u{203f}').contains(&c) || ('\u{2500}'..='\u{257f}').contains(&c);
            if ('\u{1100}'..='\u{ffef}').contains(&c) && !narrow { 2 } else { 1 }
        })
        .sum()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn draw(title: &str, shown: &str) -> String {
    let shown = shown.replace('\r', "");
    let lines: Vec<(bool, String)> = shown.lines().map(plain).collect();
    let columns = lines.iter().map(|(_, text)| width(text)).max().unwrap_or(0).max(width(title) + 12);
    let (w, h) = ((columns as f64 * CELL) as usize + 2 * MARGIN, lines.len() * LINE + BAR + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace\" \
         font-size=\"13.5\">\n<title>{title}</title>\n\
         <rect width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"#10151d\"/>\n\
         <g fill=\"#3a4656\"><circle cx=\"20\" cy=\"18\" r=\"5\"/><circle cx=\"38\" cy=\"18\" r=\"5\"/>\
         <circle cx=\"56\" cy=\"18\" r=\"5\"/></g>\n\
         <text x=\"78\" y=\"23\" fill=\"#8b9bb0\">$ {title}</text>\n<g fill=\"#d7dfea\" xml:space=\"preserve\">\n",
        title = escaped(title)
    );
    for (i, (dim, text)) in lines.iter().enumerate().filter(|(_, (_, text))| !text.trim().is_empty()) {
        let y = BAR + LINE * i + 14;
        let faint = if *dim { " fill=\"#7d8a9c\"" } else { "" };
        // Whatever font there is, a line takes the cells that it took on the terminal.
        let length = (width(text) as f64 * CELL).round();
        svg += &format!(
            "<text x=\"{MARGIN}\" y=\"{y}\"{faint} textLength=\"{length}\" xml:space=\"preserve\">{}</text>\n",
            escaped(text)
        );
    }
    svg + "</g>\n</svg>\n"
}

/// A line without its escape sequences, and whether it was dimmed.
fn plain(line: &str) -> (bool, String) {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text += before;
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    (line.contains("\x1b[2m"), (text + rest).trim_end().to_owned())
}
