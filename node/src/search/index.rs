//! Tokens of a text that is to be found.

use super::WORD;
use super::pieces::{Piece, joined};

/// The most bytes of tokens that one text gets.
const MAX_TOKENS: usize = 1 << 20;

/// The tokens under which a text is found, with spaces between them; empty for a text without letters and digits.
/// At most a mebibyte: of a text that needs more, only the beginning is found.
pub fn index_tokens(text: &str) -> String {
    let mut tokens = Tokens::default();
    for piece in joined(text) {
        match piece {
            Piece::Word { text, .. } => tokens.endings(&text),
            Piece::Run(run) => tokens.pairs(&run),
        }
    }
    tokens.0
}

/// The expression that finds the texts in which this one stands as it is, its last word whole; `None` without letters and
/// digits. Of more than `most` characters only the first count.
pub fn whole(text: &str, most: usize) -> Option<String> {
    let begun: String = text.trim().chars().take(most).collect();
    let mut tokens = Tokens::default();
    let pieces = joined(&begun);
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Word { text, .. } => tokens.endings(text),
            // What a run ends with is alone in the index only where the run ends there too.
            Piece::Run(run) if i + 1 == pieces.len() && run.len() > 1 => {
                run.windows(2).for_each(|pair| tokens.push(pair));
            }
            Piece::Run(run) => tokens.pairs(run),
        }
    }
    (!tokens.0.is_empty()).then(|| format!("\"{}\"", tokens.0))
}

/// Tokens gathered so far.
#[derive(Default)]
struct Tokens(String);

impl Tokens {
    fn push(&mut self, token: &[char]) {
        if self.0.len() + 4 * token.len() < MAX_TOKENS {
            if !self.0.is_empty() {
                self.0.push(' ');
            }
            self.0.extend(token);
        }
    }

    /// Each pair of a run and its last character: one token for each character.
    fn pairs(&mut self, run: &[char]) {
        for i in 0..run.len() {
            self.push(&run[i..run.len().min(i + 2)]);
        }
    }

    /// Each ending of a word.
    fn endings(&mut self, word: &[char]) {
        for i in 0..word.len() {
            self.push(&word[i..word.len().min(i + WORD)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_pairs_and_endings() {
        let check = |text: &str, expected: &str| assert_eq!(index_tokens(text), expected, "{text}");
        check("公交车坏了，鲁A·12345", "公交 交车 车坏 坏了 了 鲁 a12345 12345 2345 345 45 5");
        check("车", "车");
        check("8 9,7", "89 9 7");
        check("?!", "");
    }

    #[test]
    fn a_whole_text_is_one_phrase_of_its_tokens() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(whole(text, 9).as_deref(), expected, "{text}");
        check(" 鲁A·123 ", Some("\"鲁 a123 123 23 3\""));
        check("泉城广场", Some("\"泉城 城广 广场\""));
        check("泉城,车", Some("\"泉城 城 车\""));
        check("泉城广场东南角入口处", Some("\"泉城 城广 广场 场东 东南 南角 角入 入口\""));
        check(" \"*", None);
    }

    #[test]
    fn a_text_without_end_has_an_index_with_one() {
        for text in ["7".repeat(300_000), "车".repeat(600_000), "a1 ".repeat(300_000)] {
            let tokens = index_tokens(&text);
            assert!(tokens.len() <= MAX_TOKENS && tokens.len() > MAX_TOKENS - 300, "{}", tokens.len());
        }
    }
}
