//! Two texts side by side, line by line.

use serde::Serialize;

/// Past so many comparisons the middle is shown as replaced as a whole.
const MAX_CELLS: usize = 4_000_000;

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

/// The lines of both, those that stand in both once: as few marked as possible.
pub fn compare(earlier: &str, later: &str) -> Vec<Line> {
    let (a, b): (Vec<&str>, Vec<&str>) = (earlier.lines().collect(), later.lines().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let most = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev()).take(most).take_while(|(x, y)| x == y).count();
    let (mid_a, mid_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let line = |mark, text: &&str| Line { mark, text: (*text).to_owned() };
    let mut lines: Vec<Line> = a[..head].iter().map(|t| line(Mark::Same, t)).collect();
    if mid_a.len().saturating_mul(mid_b.len()) > MAX_CELLS {
        lines.extend(mid_a.iter().map(|t| line(Mark::Removed, t)));
        lines.extend(mid_b.iter().map(|t| line(Mark::Added, t)));
    } else {
        let common = common(mid_a, mid_b);
        let (mut i, mut j) = (0, 0);
        let width = mid_b.len() + 1;
        while i < mid_a.len() || j < mid_b.len() {
            if i < mid_a.len() && j < mid_b.len() && mid_a[i] == mid_b[j] {
                lines.push(line(Mark::Same, &mid_a[i]));
                (i, j) = (i + 1, j + 1);
            } else if j == mid_b.len()
                || i < mid_a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]
            {
                lines.push(line(Mark::Removed, &mid_a[i]));
                i += 1;
            } else {
                lines.push(line(Mark::Added, &mid_b[j]));
                j += 1;
            }
        }
    }
    lines.extend(a[a.len() - tail..].iter().map(|t| line(Mark::Same, t)));
    lines
}

/// How many lines the rests from (i, j) on have in common at most.
fn common(a: &[&str], b: &[&str]) -> Vec<u16> {
    let width = b.len() + 1;
    let mut cells = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            cells[i * width + j] = match a[i] == b[j] {
                true => cells[(i + 1) * width + j + 1] + 1,
                false => cells[(i + 1) * width + j].max(cells[i * width + j + 1]),
            };
        }
    }
    cells
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
