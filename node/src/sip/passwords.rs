//! The passwords at the registrar: a file with a line `USER:PASSWORD` for each user by the name that the registrar knows,
//! and perhaps one `*:PASSWORD` for all others.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use crate::request::{Failure, FailureKind};
use crate::secret;

/// The largest file, in bytes.
const MAX_FILE: usize = 256 << 10;

/// Passwords by user. They have no `Debug`, and are wiped when they are dropped.
#[derive(Default)]
pub(super) struct Passwords(BTreeMap<String, Zeroizing<String>>);

impl Passwords {
    /// Those of a file.
    pub(super) fn read(path: &Path) -> Result<Passwords, Failure> {
        let shown = path.display();
        let wrong = |what: String| {
            Failure::new(FailureKind::Configuration, what)
                .hint("sip.password is a file with lines USER:PASSWORD, or one *:PASSWORD, which the node's user can read")
        };
        let text = secret::read(path, MAX_FILE).map_err(|e| {
            wrong(format!("the passwords for the registrar cannot be read from {shown}")).because(e)
        })?;
        let passwords = Passwords::of(&text);
        if passwords.0.is_empty() { Err(wrong(format!("{shown} holds no passwords"))) } else { Ok(passwords) }
    }

    /// Those of a text. Of two lines for one user the first counts.
    pub(super) fn of(text: &str) -> Passwords {
        let mut all = BTreeMap::new();
        for (user, password) in text.lines().filter_map(|line| line.split_once(':')) {
            all.entry(user.trim().to_owned()).or_insert_with(|| Zeroizing::new(password.to_owned()));
        }
        Passwords(all)
    }

    /// The password of a user.
    pub(super) fn get(&self, user: &str) -> Option<&str> {
        self.0.get(user).or_else(|| self.0.get("*")).map(|password| password.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_own_line_and_others_that_of_the_star() {
        let some = Passwords::of("agent7: p:w \n# nothing\r\nagent7:other\n\n8001:x\r\n");
        assert_eq!(
            (some.get("agent7"), some.get("8001"), some.get("8002")),
            (Some(" p:w "), Some("x"), None)
        );
        let all = Passwords::of("*:pw\n8003:wrong");
        assert_eq!((all.get("8003"), all.get("8001")), (Some("wrong"), Some("pw")));
    }

    #[test]
    fn a_file_without_a_password_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwords");
        let why = |path: &Path| Passwords::read(path).err().map(|failure| failure.message);
        assert!(why(&path).unwrap().contains("cannot be read"));
        std::fs::write(&path, "pw\n").unwrap();
        assert!(why(&path).unwrap().contains("holds no passwords"));
        std::fs::write(&path, "*:pw\n").unwrap();
        assert_eq!(why(&path), None);
    }
}
