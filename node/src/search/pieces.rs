//! Text cut into pieces: runs of Han, and words of everything else that is written with letters or digits.

/// One piece of a text, folded: half width, small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Characters that are written without spaces between words: Han and kana.
    Run(Vec<char>),
    /// Letters and digits.
    Word {
        /// The word.
        text: Vec<char>,
        /// One space, hyphen or middle dot, and a digit on at least one of its sides, is all that stands between this
        /// word and the word before.
        glued: bool,
    },
}

fn is_run(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
        && c.is_alphanumeric()
}

fn is_joint(c: char) -> bool {
    matches!(c, ' ' | '-' | '\u{b7}' | '\u{2010}'..='\u{2013}' | '\u{2022}' | '\u{2027}' | '\u{30fb}')
}

/// Full width to half width, then to small letters. One character at a time, so that a piece of a text folds to a
/// piece of the folded text.
fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(|c| {
        let half = match c {
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            '\u{3000}' => ' ',
            _ => c,
        };
        half.to_lowercase()
    })
}

/// The pieces of a text, in order.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // What stands between the last piece and here: nothing, one joint, or more.
    let mut gap: Vec<char> = Vec::new();
    for c in fold(text) {
        if !c.is_alphanumeric() {
            if gap.len() < 2 {
                gap.push(c);
            }
            continue;
        }
        match (pieces.last_mut(), is_run(c)) {
            (Some(Piece::Run(run)), true) if gap.is_empty() => run.push(c),
            (_, true) => pieces.push(Piece::Run(vec![c])),
            (Some(Piece::Word { text, .. }), false) if gap.is_empty() => text.push(c),
            (last, false) => {
                let before = match last {
                    Some(Piece::Word { text, .. }) => text.last().copied(),
                    _ => None,
                };
                let beside_digit = before.is_some_and(|b| b.is_ascii_digit() || c.is_ascii_digit());
                let glued = beside_digit && matches!(gap[..], [joint] if is_joint(joint));
                pieces.push(Piece::Word { text: vec![c], glued });
            }
        }
        gap.clear();
    }
    pieces
}

/// The same with glued words put together, as the index has them.
pub(super) fn joined(text: &str) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces(text) {
        match (joined.last_mut(), piece) {
            (Some(Piece::Word { text: before, .. }), Piece::Word { text, glued: true }) => {
                before.extend(text)
            }
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A drawing: runs in brackets, `~` before a glued word.
    fn draw(text: &str) -> String {
        let shown = pieces(text).into_iter().map(|p| match p {
            Piece::Run(run) => format!("[{}]", run.iter().collect::<String>()),
            Piece::Word { text, glued } => {
                format!("{}{}", if glued { "~" } else { "" }, text.iter().collect::<String>())
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn text_falls_into_runs_and_words() {
        let check = |text: &str, expected: &str| assert_eq!(draw(text), expected, "{text}");
        check("", "");
        check("，。!", "");
        check("公交车,坏了", "[公交车] [坏了]");
        check("公交 车", "[公交] [车]");
        check("鲁A·12345", "[鲁] a ~12345");
        check("鲁A・12345", "[鲁] a ~12345");
        check("１３８－００００ ０００１", "138 ~0000 ~0001");
        check("138--0000", "138 0000");
        check("ETC扣费Ab", "etc [扣费] ab");
        check("in English", "in english");
        check("第 3 条", "[第] 3 [条]");
        check("𠮷野家ラーメン", "[𠮷野家ラーメン]");
        check("ئۇيغۇر བོད", "ئۇيغۇر བོད");
    }
}
