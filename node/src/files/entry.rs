//! What a ticket's document says of one file.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name in bytes.
const MAX_NAME: usize = 255;

/// The longest name of a saved file in bytes.
const MAX_FILE_NAME: usize = 200;

/// One value of the part `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AttachedFile)]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// The size of its plain bytes.
    pub size: u64,
    /// Its media type.
    #[serde(rename = "type")]
    pub media: String,
    /// The hash of its manifest.
    pub content: String,
    /// What its key is made with, in hexadecimal.
    pub salt: String,
    /// In a confidential ticket: the true name, sealed under the ticket's key, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// Who attached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When, by the attaching node's clock.
    pub at: String,
}

impl Entry {
    /// Its bytes in the document.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain values are always written to memory")
    }

    /// Reads an entry; `None` when it is not one. What stands there was written by another site: every field is a
    /// claim.
    pub fn read(bytes: &[u8]) -> Option<Entry> {
        serde_json::from_slice(bytes).ok()
    }

    /// A name to save it under: one plain component, whatever the name holds.
    pub fn file_name(name: &str) -> String {
        let plain = |c: char| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if is_hidden(c) => '_',
            c => c,
        };
        let mut safe: String = name.chars().map(plain).collect();
        while safe.len() > MAX_FILE_NAME {
            // The ending is worth keeping: it says what opens it.
            let stem = safe.rfind('.').filter(|at| *at > 0 && safe.len() - at < 20).unwrap_or(safe.len());
            match safe[..stem].char_indices().next_back() {
                Some((at, _)) => drop(safe.remove(at)),
                None => safe.clear(),
            }
        }
        let trimmed = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
        if trimmed.is_empty() { "file".to_owned() } else { trimmed.to_owned() }
    }
}

/// Characters that a reader does not see as what they are: controls and those that turn the direction of text.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Under what key a file of this name stands.
pub fn name_hash(name: &str) -> String {
    crate::hex::hex(&blake3::derive_key("hotline 2026 file name", name.as_bytes()))
}

/// Whether a file may be called so; a sentence if not.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a file needs a name".to_owned());
    }
    if name.len() > MAX_NAME {
        return Err(format!("the file's name has {} bytes; at most {MAX_NAME} are allowed", name.len()));
    }
    match name.chars().find(|c| is_hidden(*c)) {
        Some(c) => {
            Err(format!("the file's name holds a character that is not seen ({})", c.escape_unicode()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_plain_component() {
        for (name, wanted) in [
            ("现场照片.jpg", "现场照片.jpg"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "file"),
            ("/", "_"),
            ("C:\\x.exe", "C__x.exe"),
            ("a\u{202e}gpj.exe", "a_gpj.exe"),
            ("a\nb\0c", "a_b_c"),
            ("  .bashrc ", "bashrc"),
            ("", "file"),
        ] {
            assert_eq!(Entry::file_name(name), wanted, "{name:?}");
        }
        let long = format!("{}.jpeg", "图".repeat(100));
        let saved = Entry::file_name(&long);
        assert!(saved.len() <= MAX_FILE_NAME && saved.ends_with(".jpeg"), "{saved}");
        assert!(Entry::file_name(&"x".repeat(5_000)).len() <= MAX_FILE_NAME);
    }

    #[test]
    fn names_that_hide_something_are_not_given() {
        assert_eq!(check_name("现场 照片(1).jpg"), Ok(()));
        for name in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
