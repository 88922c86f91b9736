//! What a text that is being typed is about: its words that few others have.

use std::collections::BTreeSet;

use super::WORD;
use super::pieces::{Piece, joined};

/// The longest text that is looked at, in bytes; only its end is read.
pub const MAX_TYPED: usize = 64 << 10;

/// How many characters from the end of a text are read, how many words of them are looked up, and how many of the rarest
/// are used.
const READ: usize = 300;
const LOOKED_UP: usize = 64;
const USED: usize = 16;

/// The last words of a text, in order: each pair of characters of a run, and whole words of two characters and more.
/// Each is a token of the index.
pub fn last_words(typed: &str) -> Vec<String> {
    let skip = typed.chars().count().saturating_sub(READ);
    let end: String = typed.chars().skip(skip).collect();
    let mut words = Vec::new();
    for piece in joined(&end) {
        match piece {
            Piece::Run(run) => words.extend(run.windows(2).map(|pair| pair.iter().collect::<String>())),
            Piece::Word { text, .. } if text.len() > 1 => words.push(text.iter().take(WORD).collect()),
            Piece::Word { .. } => {}
        }
    }
    words
}

/// Those of the words that say what a text is about, each with its weight, the rarest first. `count` tells in how many of
/// `all` texts a word is; it need not count further than `common`, and a word that so many have says nothing.
pub fn telling<E>(
    words: &[String],
    all: i64,
    common: i64,
    mut count: impl FnMut(&str) -> Result<i64, E>,
) -> Result<Vec<(String, f64)>, E> {
    let mut known = BTreeSet::new();
    // What was typed last is what the caller says now.
    let newest = words.iter().rev().filter(|word| known.insert(word.as_str())).take(LOOKED_UP);
    let mut telling = Vec::new();
    for word in newest {
        let count = count(word)?;
        // Among a few texts every word is in few of them; one that half of them have still says nothing.
        if count > 0 && count < common && (count == 1 || count * 2 <= all) {
            telling.push((word.clone(), (1.0 + all as f64 / count as f64).ln()));
        }
    }
    telling.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    telling.truncate(USED);
    Ok(telling)
}

#[cfg(test)]
mod tests {
    use super::super::index_tokens;
    use super::*;

    #[test]
    fn words_are_pairs_and_whole_words_and_tokens_of_the_index() {
        let check = |text: &str, expected: &str| assert_eq!(last_words(text).join(" "), expected, "{text}");
        check("公交车坏了，鲁A·12345", "公交 交车 车坏 坏了 a12345");
        check("车 8 9,7,ETC", "89 etc");
        check("", "");
        check(&format!("泉城{}", "。".repeat(READ)), "");
        let text = format!("国道K123+400，电话 138-0000-0001，{}", "x".repeat(40));
        let tokens = index_tokens(&text);
        for word in last_words(&text) {
            assert!(tokens.split(' ').any(|token| token == word), "{word}");
        }
    }

    #[test]
    fn the_rarest_words_tell_and_common_ones_do_not() {
        let words = last_words("泉城广场绕路 绕路");
        let told = |all: i64| -> Vec<String> {
            let count = |word: &str| match word {
                "泉城" => Ok(2),
                "绕路" => Ok(1_000),
                "广场" => Ok(40),
                _ => Ok::<i64, ()>(0),
            };
            telling(&words, all, 1_000, count).unwrap().into_iter().map(|(word, _)| word).collect()
        };
        assert_eq!(told(100_000), ["泉城", "广场"]);
        assert_eq!(told(60), ["泉城"], "half of all have the other");
    }
}
