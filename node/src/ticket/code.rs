//! The query code: what a caller shows beside a ticket's number to be told how it stands, without a login.
//!
//! ```text
//! code = the first 8 bytes of HMAC-SHA256(secret of the node, number), written in 8 characters of base 31
//! ```
//!
//! Nothing is stored of a code. It holds as long as the node keeps its secret, which a backup takes along. One guess in
//! 31⁸ (850 thousand million) is right, and whoever guesses is slowed down by where codes are asked for. The characters
//! are those of the numbers, without I, O, Q, S and Z, so a code can be read out on the telephone.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use super::number::{ALPHABET, TicketNumber};

/// How many characters a code has.
pub const LENGTH: usize = 8;

/// How a code is shown: two groups of four.
const GROUP: usize = 4;

/// What codes are made under. It prints as nothing.
pub struct QuerySecret(Zeroizing<[u8; 32]>);

impl QuerySecret {
    /// The secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> QuerySecret {
        QuerySecret(Zeroizing::new(bytes))
    }

    /// The code of a number.
    pub fn code(&self, number: TicketNumber) -> QueryCode {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.0);
        let tag = hmac::sign(&key, number.to_string().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&tag.as_ref()[..8]);
        let mut rest = u64::from_be_bytes(first);
        let mut code = [0; LENGTH];
        for place in code.iter_mut().rev() {
            *place = ALPHABET[(rest % 31) as usize];
            rest /= 31;
        }
        QueryCode(code)
    }

    /// Whether a code that somebody shows is that of the number. It takes the same time whatever is shown.
    pub fn opens(&self, number: TicketNumber, shown: &QueryCode) -> bool {
        // Hashes of blake3 are compared in constant time.
        blake3::hash(&self.code(number).0) == blake3::hash(&shown.0)
    }

    /// A key for another purpose, made of the same secret.
    pub fn derived(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &*Zeroizing::new(blake3::derive_key(purpose, &*self.0)))
    }
}

impl fmt::Debug for QuerySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuerySecret(..)")
    }
}

/// A code. It opens one ticket's state, so it is in no print for logs.
#[derive(Clone)]
pub struct QueryCode([u8; LENGTH]);

impl QueryCode {
    /// What was typed, if it has the form of a code. Small letters, blanks and hyphens do not matter, nor do the
    /// letters that are none: I, O, Q, S and Z are what they look like.
    pub fn read(typed: &str) -> Option<QueryCode> {
        let mut code = [0; LENGTH];
        let mut length = 0;
        for c in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let meant = match c.to_ascii_uppercase() {
                'I' => '1',
                'O' | 'Q' => '0',
                'S' => '5',
                'Z' => '2',
                other => other,
            };
            let byte = u8::try_from(meant).ok().filter(|byte| ALPHABET.contains(byte))?;
            *code.get_mut(length)? = byte;
            length += 1;
        }
        (length == LENGTH).then_some(QueryCode(code))
    }
}

/// As it is told and printed: `7K3M-90AB`.
impl fmt::Display for QueryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.0.split_at(GROUP);
        write!(f, "{}-{}", String::from_utf8_lossy(first), String::from_utf8_lossy(last))
    }
}

impl fmt::Debug for QueryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::number::{Block, Day};

    fn number(serial: u32) -> TicketNumber {
        let day = Day::new(2026, 11, 29).unwrap();
        TicketNumber::new("370100".parse().unwrap(), day, Block::new(3, 7), serial).unwrap()
    }

    #[test]
    fn a_code_is_of_one_number_under_one_secret() {
        let secret = QuerySecret::new([7; 32]);
        let again = QuerySecret::new([7; 32]);
        let other = QuerySecret::new([8; 32]);
        let mut seen = std::collections::BTreeSet::new();
        for serial in 0..500 {
            let code = secret.code(number(serial));
            assert!(again.opens(number(serial), &code), "whoever restores the secret opens old codes");
            assert!(!other.opens(number(serial), &code) && !secret.opens(number(serial + 1), &code));
            seen.insert(code.to_string());
        }
        assert_eq!(seen.len(), 500);
    }

    /// The code is a contract with callers who wrote it down: this is what other versions have to make too.
    #[test]
    fn a_code_is_what_it_says_it_is() {
        let secret = QuerySecret::new([7; 32]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let tag = hmac::sign(&key, number(0).to_string().as_bytes());
        let mut worth = u64::from_be_bytes(tag.as_ref()[..8].try_into().unwrap());
        let mut text = Vec::new();
        for _ in 0..8 {
            text.insert(0, char::from(ALPHABET[(worth % 31) as usize]));
            worth /= 31;
        }
        text.insert(4, '-');
        assert_eq!(secret.code(number(0)).to_string(), text.into_iter().collect::<String>());
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let secret = QuerySecret::new([7; 32]);
        let code = secret.code(number(0));
        let shown = code.to_string();
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', ""),
            format!(" {} ", shown.replace('-', " ")),
        ] {
            assert!(QueryCode::read(&typed).is_some_and(|read| secret.opens(number(0), &read)), "{typed}");
        }
        let alike = QueryCode::read("oqisz000").unwrap();
        assert_eq!(alike.to_string(), "0015-2000");
        for wrong in ["", "1234567", "123456789", "1234567!", "1234567中"] {
            assert!(QueryCode::read(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{secret:?} {code:?}"), "QuerySecret(..) QueryCode(..)");
    }
}
