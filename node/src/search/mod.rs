//! Search: text to tokens for SQLite's FTS5, and what a person types to a MATCH expression.
//!
//! **Promise:** whatever text was indexed is found by any piece of itself: two characters of a word, the last four
//! digits of a number, half of a plate, in any width and case. (A piece of punctuation alone is no query, and of a
//! text with more than a mebibyte of tokens only the part before that is indexed.) A query can never be anything
//! but a list of phrases: whatever is typed, only letters and digits reach FTS5, between quotation marks.
//!
//! FTS5's own trigram tokenizer finds no word of two characters, which is what most Chinese words are. So the
//! application makes the tokens and FTS5 only splits them at spaces:
//!
//! ```text
//! 公交车坏了，鲁A·12345          what was said
//! 公交 交车 车坏 坏了 了         a run of Han: each pair, and the last character alone
//! 鲁                             a run of one
//! a12345 12345 2345 345 45 5     a word: each of its endings (at most 32 characters of each)
//!
//! 交车坏    ->  "交车 车坏"      a run: its pairs, side by side
//! 车        ->  "车"*            one character: every pair that begins with it, or the last of a run
//! 2345      ->  "2345"*          a word: the beginning of an ending, so a piece from anywhere
//! 投诉 12345 -> "投诉" AND "12345"*
//! ```
//!
//! One token for each character of a run is enough: the pair carries the character, so single characters need no
//! tokens of their own. In a word, a single space, hyphen or middle dot beside a digit is dropped (`138-0000-0001`,
//! `鲁A 12345`), so that both spellings find both. A word of Latin letters is also looked up as pinyin
//! ([`pinyin_tokens`], for short fields: a subject, a place).
//!
//! Make the table with [`TABLE_OPTIONS`]. Which rows, which columns and in which order is for the caller.

mod index;
mod pieces;
mod pinyin;
mod query;
mod telling;

pub use index::{index_tokens, whole};
pub use pinyin::pinyin_tokens;
pub use query::{MatchExpr, QueryError, query};
pub use telling::{MAX_TYPED, last_words, telling};

/// The options of an FTS5 table that holds our tokens: `CREATE VIRTUAL TABLE t USING fts5(body, pinyin, {..})`.
/// The tokenizer `ascii` takes every character above ASCII for a letter, so it splits where we wrote a space and
/// nowhere else, whatever version of Unicode SQLite was built with. Beginnings of one and of three characters have an
/// index of their own: without it a search for 车 merges the lists of every pair that begins so, 0.03 s for each hundred
/// thousand tickets, and one for 13 three times that. It costs a fifth of the time of indexing.
pub const TABLE_OPTIONS: &str = "content='', contentless_delete=1, tokenize='ascii', prefix='1 3'";

/// How many characters of a word's ending are kept, and how many of a typed word are looked for.
const WORD: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    /// A real table with the texts as rows 0, 1, ...
    fn table(texts: &[&str]) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&format!("CREATE VIRTUAL TABLE t USING fts5(body, pinyin, {TABLE_OPTIONS})"))
            .unwrap();
        for (i, text) in texts.iter().enumerate() {
            let row = (i as i64, index_tokens(text), pinyin_tokens(text));
            db.execute("INSERT INTO t(rowid, body, pinyin) VALUES (?, ?, ?)", row).unwrap();
        }
        db
    }

    fn hits(db: &Connection, typed: &str) -> Vec<i64> {
        let expr = query(typed).unwrap();
        let mut select = db.prepare("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid").unwrap();
        select.query_map([expr.as_str()], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn people_find_what_they_mean() {
        let texts = [
            "出租车司机拒载,我要投诉",         // 0
            "公交车坏了，车牌鲁A·12345",       // 1
            "电话 138-0000-0001，ETC扣费两次", // 2
            "国道K123+400附近有坑",            // 3
            "ＥＴＣ　ＦＵＬＬ ｗｉｄｔｈ",     // 4
            "重庆到长沙的班车",                // 5
            "Hotline in English, 4S店",        // 6
        ];
        let db = table(&texts);
        let check = |typed: &str, expected: &[i64]| assert_eq!(hits(&db, typed), expected, "{typed}");
        check("投诉", &[0]);
        check("车", &[0, 1, 5]);
        check("店", &[6]);
        check("司机 投诉", &[0]);
        check("投诉 公交", &[]);
        check("机拒载", &[0]);
        check("公车", &[]); // the two characters are there, not side by side
        check("鲁A12345", &[1]);
        check("鲁A 12345", &[1]);
        check("a12345", &[1]);
        check("2345", &[1]);
        check("13800000001", &[2]);
        check("138 0000 0001", &[2]);
        check("00001", &[2]);
        check("0001", &[2]);
        check("K123+400", &[3]);
        check("etc", &[2, 4]);
        check("EＴC 扣费", &[2]);
        check("full", &[4]);
        check("hotl", &[6]);
        check("4s店", &[6]);
        check("tousu", &[0]);
        check("ts", &[0]);
        check("gongjiaoche", &[1]);
        check("gjc", &[1]);
        check("chongqing", &[5]);
        check("changsha", &[5]);
        check("cqd", &[5]);
        check("dcs", &[5]);
        check("banche 长沙", &[5]);
        check("xyz", &[]);
    }

    #[test]
    fn nobody_speaks_fts5_through_us() {
        let db = table(&["出租车 a1", "b2"]);
        let check = |typed: &str, expected: &[i64]| assert_eq!(hits(&db, typed), expected, "{typed}");
        check("\"出租车", &[0]);
        check("出租车\" OR \"b2", &[]); // `or` is a word like any other
        check("body: 出租车", &[]);
        check("出租车*)", &[0]);
        check("-a1", &[0]);
        check("NOT", &[]);
        check("^a1", &[0]);
        check("{a1}", &[0]);
    }

    /// Texts like those that are written: runs of a few characters, numbers, words, marks of both widths.
    fn text() -> impl Strategy<Value = String> {
        proptest::string::string_regex("([公交车司机投诉重庆了不]{1,6}|[0-9]{1,12}|[a-eA-E]{1,4}|[，。 ·\\-+、Ａ０１ｂ]|\u{20bb7}|é|ئۇ){0,24}").unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_piece_finds_its_text(text in text(), from in 0usize..80, len in 2usize..40) {
            let piece: String = text.chars().skip(from).take(len).collect();
            if let Ok(expr) = query(&piece) {
                prop_assert_eq!(hits(&table(&[&text]), &piece), [0], "{} -> {}", piece, expr);
            } else {
                prop_assert!(!piece.chars().any(char::is_alphanumeric), "{}", piece);
            }
        }

        #[test]
        fn a_run_finds_only_texts_that_hold_it(texts in proptest::collection::vec("[公交车，]{0,8}", 1..6), piece in "[公交车]{2,4}") {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let expected: Vec<i64> = (0i64..).zip(&texts).filter(|(_, t)| t.contains(&piece)).map(|(i, _)| i).collect();
            prop_assert_eq!(hits(&table(&texts), &piece), expected);
        }

        #[test]
        fn whatever_is_typed_is_a_query_or_a_refusal(typed in "\\PC{0,40}|[\"*()^:+\\-{}a公 \\x00\\n]{0,20}|(AND|OR|NOT|NEAR|body|pinyin|\"|:| |车){0,10}") {
            if query(&typed).is_ok() {
                hits(&table(&["公"]), &typed); // unwraps inside: FTS5 took the expression
            }
        }
    }
}
