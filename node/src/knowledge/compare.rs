//! Two texts side by side, line by line.

use std::time::{Duration, Instant};

use serde::Serialize;
use similar::{Algorithm, ChangeTag, capture_diff_slices_deadline};

/// How long two texts are compared: everybody waits for the engine.
const PATIENCE: Duration = Duration::from_millis(100);

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It stands in both.
    Same,
    /// Only in the earlier.
    Removed,
    /// Only in the later.
    Added,
}

/// A line with its mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What became of it.
    pub mark: Mark,
    /// Its words.
    pub text: String,
}

/// The lines of both, those that stand in both once: as few marked as possible (Myers 1986), of very long texts as many as
/// are found in time.
pub fn compare(earlier: &str, later: &str) -> Vec<Line> {
    let (a, b): (Vec<&str>, Vec<&str>) = (earlier.lines().collect(), later.lines().collect());
    let steps = capture_diff_slices_deadline(Algorithm::Myers, &a, &b, Some(Instant::now() + PATIENCE));
    let slices = steps.iter().flat_map(|step| step.iter_slices(&a, &b));
    let lines = slices.flat_map(|(tag, lines)| lines.iter().map(move |text| (tag, text)));
    let mark = |tag| match tag {
        ChangeTag::Equal => Mark::Same,
        ChangeTag::Delete => Mark::Removed,
        ChangeTag::Insert => Mark::Added,
    };
    lines.map(|(tag, text)| Line { mark: mark(tag), text: (*text).to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(earlier: &str, later: &str) -> String {
        let sign = |mark| match mark {
            Mark::Same => ' ',
            Mark::Removed => '-',
            Mark::Added => '+',
        };
        compare(earlier, later).iter().map(|l| format!("{}{} ", sign(l.mark), l.text)).collect()
    }

    #[test]
    fn as_few_lines_as_possible_are_marked() {
        assert_eq!(draw("a\nb\nc", "a\nc"), " a -b  c ");
        assert_eq!(draw("a\nb", "a\nx\nb\ny"), " a +x  b +y ");
        assert_eq!(draw("a\na", "a"), " a -a ");
        assert_eq!(draw("", "x"), "+x ");
    }

    proptest! {
        #[test]
        fn either_text_can_be_read_out_of_the_comparison(a in "[abc\n]{0,30}", b in "[abc\n]{0,30}") {
            let lines = compare(&a, &b);
            let side = |gone| -> Vec<String> {
                lines.iter().filter(|l| l.mark != gone).map(|l| l.text.clone()).collect()
            };
            prop_assert_eq!(side(Mark::Added), a.lines().map(str::to_owned).collect::<Vec<_>>());
            prop_assert_eq!(side(Mark::Removed), b.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
