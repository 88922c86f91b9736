//! Pinyin: Han found by the letters one types for them, whole syllables (`tousu`) or initials (`ts`).
//!
//! ```text
//! 重庆       zhong qing   zq q     the usual readings, and the initials from each character on
//!            chong qing   cq       the same again with each other reading of a character among its neighbours
//! ```
//!
//! Which reading is right depends on the word, and we keep no dictionary: all of them are indexed. Readings come
//! from the pinyin-data project through the crate `pinyin`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pinyin::ToPinyinMulti;

use super::pieces::{Piece, pieces};

/// How many initials are kept from each character on.
const INITIALS: usize = 8;

/// How many characters beside one with a second reading are repeated with it, on each side.
const NEIGHBOURS: usize = 2;

/// Other readings than the usual that are indexed for one character. Rare ones come last in the data.
const OTHERS: usize = 2;

/// The most characters of one text that are read: it is meant for a subject or a place.
const MAX_CHARS: usize = 200;

/// How many ways to cut one typed word into syllables are tried.
const MAX_CUTS: usize = 8;

/// Words of no more letters are initials first.
const SHORT: usize = 3;

/// The readings of a character without tones, the usual one first; `v` stands for `ü`, as on a keyboard.
fn of(c: char) -> Vec<String> {
    let mut readings = Vec::new();
    for reading in c.to_pinyin_multi().into_iter().flatten() {
        let reading = reading.plain().replace('ü', "v");
        let plain = reading.bytes().all(|b| b.is_ascii_lowercase())
            && reading.contains(['a', 'e', 'i', 'o', 'u', 'v']);
        if plain && !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings.truncate(1 + OTHERS);
    readings
}

/// The tokens under which the Han in a short text are found by pinyin, for a column of their own. Of a text longer
/// than 200 characters, the first 200.
pub fn pinyin_tokens(text: &str) -> String {
    let text: String = text.chars().take(MAX_CHARS).collect();
    let mut tokens: Vec<String> = Vec::new();
    for piece in pieces(&text) {
        let Piece::Run(run) = piece else { continue };
        let readings: Vec<Vec<String>> = run.iter().map(|c| of(*c)).filter(|r| !r.is_empty()).collect();
        let usual: Vec<&str> = readings.iter().map(|r| r[0].as_str()).collect();
        tokens.extend(usual.iter().map(|s| (*s).to_owned()));
        tokens.extend((0..usual.len()).map(|i| initials(&usual[i..])));
        for (i, others) in readings.iter().enumerate() {
            for other in &others[1..] {
                let mut usual = usual.clone();
                usual[i] = other;
                let from = i.saturating_sub(NEIGHBOURS);
                tokens
                    .extend(usual[from..usual.len().min(i + NEIGHBOURS + 1)].iter().map(|s| (*s).to_owned()));
                if !other.starts_with(&readings[i][0][..1]) {
                    tokens.extend((from..=i).map(|from| initials(&usual[from..])));
                }
            }
        }
    }
    tokens.join(" ")
}

fn initials(syllables: &[&str]) -> String {
    syllables.iter().take(INITIALS).map(|s| &s[..1]).collect()
}

/// The ways to read a word as two or more syllables, the last of which may be unfinished (`gongj`); each with
/// spaces between the syllables, at most eight. Empty for what is not pinyin. Three letters are initials before they are a syllable
/// and the beginning of a next one: all that begins with a letter would be looked through.
pub(super) fn readings(word: &str) -> Vec<String> {
    let mut cuts = Vec::new();
    if word.bytes().all(|b| b.is_ascii_lowercase()) {
        // Whether what begins at a place can be read at all: nothing is tried twice in vain.
        let mut readable = vec![true; word.len() + 1];
        for at in (0..word.len()).rev() {
            let begins = SYLLABLES.begins(&word[at..]) && !is_initial(word, at);
            readable[at] = begins || next(word, at).any(|to| readable[to]);
        }
        cut(word, 0, &readable, &mut Vec::new(), &mut cuts);
    }
    cuts
}

/// Whether what begins at `at` is the last letter of a word of initials.
fn is_initial(word: &str, at: usize) -> bool {
    word.len() <= SHORT && at + 1 == word.len()
}

/// Where the syllables that begin at `at` and leave something behind end, the longest first.
fn next(word: &str, at: usize) -> impl Iterator<Item = usize> + '_ {
    (at + 1..word.len().min(at + 7)).rev().filter(move |to| SYLLABLES.0.contains(&word[at..*to]))
}

fn cut<'a>(word: &'a str, at: usize, readable: &[bool], so_far: &mut Vec<&'a str>, cuts: &mut Vec<String>) {
    if !so_far.is_empty() && SYLLABLES.begins(&word[at..]) && !is_initial(word, at) && cuts.len() < MAX_CUTS {
        cuts.push(format!("{} {}", so_far.join(" "), &word[at..]));
    }
    for to in next(word, at).filter(|to| readable[*to]) {
        if cuts.len() < MAX_CUTS {
            so_far.push(&word[at..to]);
            cut(word, to, readable, so_far, cuts);
            so_far.pop();
        }
    }
}

/// All syllables that some character is read as.
struct Syllables(BTreeSet<String>);

impl Syllables {
    /// Whether some syllable begins with these letters.
    fn begins(&self, letters: &str) -> bool {
        self.0.range(letters.to_owned()..).next().is_some_and(|s| s.starts_with(letters))
    }
}

static SYLLABLES: LazyLock<Syllables> =
    LazyLock::new(|| Syllables(('\u{4e00}'..='\u{9fff}').flat_map(of).collect()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_is_indexed() {
        let tokens = pinyin_tokens("重庆");
        for part in ["zhong qing", "chong qing", "zq", "cq"] {
            assert!(tokens.contains(part), "{part}: {tokens}");
        }
        assert_eq!(pinyin_tokens("abc 12"), "");
        assert!(pinyin_tokens("旅女").contains("lv nv"), "{}", pinyin_tokens("旅女"));
        assert!(pinyin_tokens(&"重".repeat(100_000)).len() < 64_000);
    }

    #[test]
    fn typed_letters_are_cut_into_syllables() {
        let check = |word: &str, expected: &[&str]| assert_eq!(readings(word), expected, "{word}");
        check("tousu", &["tou su"]);
        check("xian", &["xia n", "xi an", "xi a n"]);
        check("gongj", &["gong j"]);
        check("pij", &[]);
        check("ali", &["a li"]);
        check("lia", &[]);
        check("fangan", &["fang an", "fang a n", "fan gan", "fan ga n"]);
        check("hotline", &[]);
        check("etc", &[]);
        check("公", &[]);
        check("", &[]);
    }

    #[test]
    fn words_without_end_are_cut_in_bounded_time() {
        let begun = std::time::Instant::now();
        assert_eq!(readings(&"xian".repeat(8)).len(), MAX_CUTS);
        assert_eq!(readings(&format!("{}!", "a".repeat(31))), Vec::<String>::new());
        assert_eq!(readings(&format!("{}iii", "xian".repeat(7))), Vec::<String>::new());
        assert!(begun.elapsed().as_secs() < 2);
    }
}
