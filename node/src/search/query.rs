//! What a person types, as a MATCH expression.
//!
//! ```text
//! expression := group AND group ...           every piece that was typed must be there
//! group      := phrase | ( phrase OR ... )    a word of letters may be several readings of pinyin
//! phrase     := "token token ..." [*]         tokens hold letters and digits only
//! ```

use std::fmt;

use super::pieces::{Piece, pieces};
use super::{WORD, pinyin};

/// The most characters that may be typed.
const MAX_CHARS: usize = 200;

/// The most groups in one expression.
const MAX_GROUPS: usize = 32;

/// An expression that is safe to bind as the right side of `MATCH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchExpr(String);

impl MatchExpr {
    /// The expression, to be bound as a parameter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MatchExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is nothing to search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// No letter and no digit was typed.
    Empty,
    /// More than 200 characters, or more than 32 separate pieces, were typed.
    TooLong,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing to search for; type a word, a number or pinyin"),
            Self::TooLong => write!(
                f,
                "the search is too long; type at most {MAX_CHARS} characters in at most {MAX_GROUPS} pieces"
            ),
        }
    }
}

impl std::error::Error for QueryError {}

/// The expression that finds the texts in which everything typed occurs.
pub fn query(typed: &str) -> Result<MatchExpr, QueryError> {
    if typed.chars().nth(MAX_CHARS).is_some() {
        return Err(QueryError::TooLong);
    }
    let mut groups: Vec<String> = Vec::new();
    for piece in pieces(typed) {
        let group = match piece {
            Piece::Run(run) => match run.as_slice() {
                [one] => format!("\"{one}\"*"),
                run => {
                    let pairs: Vec<String> = run.windows(2).map(|pair| pair.iter().collect()).collect();
                    format!("\"{}\"", pairs.join(" "))
                }
            },
            Piece::Word { text, .. } => {
                let word: String = text.iter().take(WORD).collect();
                let mut phrases = pinyin::readings(&word);
                phrases.insert(0, word);
                let phrases: Vec<String> = phrases.iter().map(|p| format!("\"{p}\"*")).collect();
                match phrases.as_slice() {
                    [one] => one.clone(),
                    several => format!("({})", several.join(" OR ")),
                }
            }
        };
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    match groups.len() {
        0 => Err(QueryError::Empty),
        1..=MAX_GROUPS => Ok(MatchExpr(groups.join(" AND "))),
        _ => Err(QueryError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_phrases_of_what_was_typed() {
        let check =
            |typed: &str, expected: &str| assert_eq!(query(typed).unwrap().as_str(), expected, "{typed}");
        check("车", "\"车\"*");
        check("投诉", "\"投诉\"");
        check("公交车", "\"公交 交车\"");
        check("投诉 12345", "\"投诉\" AND \"12345\"*");
        check("ts", "\"ts\"*");
        check("tousu", "(\"tousu\"* OR \"tou su\"*)");
        check("车 车", "\"车\"*");
    }

    #[test]
    fn too_little_and_too_much_are_refused() {
        assert_eq!(query(""), Err(QueryError::Empty));
        assert_eq!(query(" \" ，*"), Err(QueryError::Empty));
        assert_eq!(query(&"车".repeat(201)), Err(QueryError::TooLong));
        assert!(query(&"车".repeat(200)).is_ok());
        let many: Vec<String> = (10..43).map(|i| i.to_string()).collect();
        assert_eq!(query(&many.join(",")), Err(QueryError::TooLong));
    }
}
