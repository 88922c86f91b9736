//! Passwords: what is taken for one, and how it is kept.
//!
//! The rule is ASVS 5.0's: length decides (12 characters and more), nothing is demanded of the kinds of characters, blanks
//! and Chinese count, nothing expires. Refused is what is guessed first: common ones, runs and repetitions, the account's
//! own name, the hotline's number with little else.
//!
//! Kept is an argon2id hash (19 MiB, two passes, OWASP's first choice) with its salt and parameters in it, so the
//! parameters may grow.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use zeroize::Zeroizing;

use super::drawn;
use crate::request::{Failure, FailureKind};

/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;

/// The longest, in bytes: hashing must not take as long as somebody likes.
pub const MAX_PASSWORD: usize = 512;

/// So many different characters at least: `abababababab` has two.
const MIN_DIFFERENT: usize = 5;

/// Passwords of twelve characters and more that lists of leaked ones begin with.
const COMMON: &str = include_str!("common.txt");

/// Letters and digits that nobody takes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";

fn refused(why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Usage, why)
        .hint("four words that do not belong together make a good password, and Chinese ones count")
}

/// Whether this may become the account's password; `old` is the present one.
pub(super) fn check(new: &str, name: &str, old: Option<&str>) -> Result<(), Failure> {
    let count = new.chars().count();
    if count < MIN_PASSWORD {
        return Err(refused(format!("a password has at least {MIN_PASSWORD} characters; this has {count}")));
    }
    if new.len() > MAX_PASSWORD {
        return Err(refused(format!("a password has at most {MAX_PASSWORD} bytes")));
    }
    if old == Some(new) {
        return Err(refused("choose another password than the present one"));
    }
    let small = new.to_lowercase();
    let mut different: Vec<char> = small.chars().collect();
    different.sort_unstable();
    different.dedup();
    let steps = small.chars().zip(small.chars().skip(1));
    let run = steps.filter(|(a, b)| (*a as i64 - *b as i64).abs() == 1).count();
    if different.len() < MIN_DIFFERENT || run * 4 >= count * 3 {
        return Err(refused("the password is a run or a repetition, which is guessed first"));
    }
    let rest = small.replace(name, "").replace("12328", "").replace("hotline", "");
    if (small.contains(name) || rest.len() < small.len()) && rest.chars().count() < MIN_PASSWORD - 2 {
        return Err(refused("the password is little more than your name or the hotline's"));
    }
    if COMMON.lines().any(|common| common == small) {
        return Err(refused("the password is one of those that everybody tries first"));
    }
    Ok(())
}

/// A hash with its salt and parameters.
pub(super) fn hash(password: &str) -> Result<String, Failure> {
    let failed = |e: argon2::password_hash::Error| {
        Failure::new(FailureKind::Failed, "the password could not be hashed").because(e)
    };
    let salt = SaltString::encode_b64(&drawn::<16>()?).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

/// Whether this is the password of that hash. Takes some tens of milliseconds and 19 MiB.
pub(super) fn verify(password: &str, hash: &str) -> bool {
    password.len() <= MAX_PASSWORD
        && PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Takes as long as checking a real password, so that nobody learns which names there are.
pub(super) fn verify_nobody(password: &str) {
    static NOBODY: LazyLock<String> =
        LazyLock::new(|| drawn_password().and_then(|p| hash(&p)).unwrap_or_default());
    verify(password, &NOBODY);
}

/// A first password: twenty characters in four groups, 100 bits.
pub(super) fn drawn_password() -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(drawn::<20>()?);
    let mut text = Zeroizing::new(String::with_capacity(24));
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 && i % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_and_what_is_guessed_first_is_refused() {
        for fine in
            ["correct horse battery", "泉城的雨下了三天三夜都没停", "xK7pQ2mN9wT4", "k3mna-7xq2p-wwy8d-hh4tz"]
        {
            assert!(check(fine, "zhang.wei", None).is_ok(), "{fine}");
        }
        for (poor, why) in [
            ("short", "at least 12"),
            ("十二个字但是不够十个", "at least 12"),
            ("aaaaaaaaaaaaaaaa", "repetition"),
            ("123456789012", "run"),
            ("abcdefghijklmn", "run"),
            ("zhang.wei2026", "your name"),
            ("hotline12328!", "the hotline's"),
            ("qwertyuiop123", "everybody"),
            ("Password1234", "everybody"),
        ] {
            let refused = check(poor, "zhang.wei", None).unwrap_err();
            assert!(refused.message.contains(why), "{poor}: {refused}");
        }
        assert!(check(&"长".repeat(200), "li", None).is_err());
    }

    #[test]
    fn a_hash_opens_for_its_password_only_and_is_argon2id() {
        let first = hash("correct horse battery").unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hash("correct horse battery").unwrap(), "a salt of its own");
        assert!(verify("correct horse battery", &first));
        assert!(!verify("correct horse batterz", &first));
        assert!(!verify("", ""), "an account that was removed has no hash");
    }

    #[test]
    fn first_passwords_differ_and_pass_the_rule() {
        let (a, b) = (drawn_password().unwrap(), drawn_password().unwrap());
        assert_ne!(*a, *b);
        assert!(check(&a, "li", None).is_ok());
    }
}
