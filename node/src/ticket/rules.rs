//! Which part of a ticket's document may be changed by whom.
//!
//! ```text
//! part                        who                                              what
//! facts body person files     the custodian's or the taking site,              anything
//!                             in the change's own ancestry
//! trail notes                 anybody                                          put a key that is its value's hash
//! any other                   nobody
//! ```
//!
//! The gate reads this table with the fold of a change's own ancestry, so every node decides alike. Who may write
//! an *entry* is not asked here: an unentitled one is kept and has no effect (`entitle`).

use std::fmt;

use certs::{NodeName, Site};

use super::entry::{Authored, EntryError, EntryId};
use super::fold::Folded;

/// Who may change a part, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// The custodian's site and the site that took the call, in any way.
    Responsible,
    /// Everybody, by putting values under the hash of themselves and in no other way.
    EverybodyAdds,
}

/// The table: each part of a ticket's document with its writers.
pub const PARTS: [(&str, Writers); 6] = [
    ("facts", Writers::Responsible),
    ("body", Writers::Responsible),
    ("person", Writers::Responsible),
    ("files", Writers::Responsible),
    ("trail", Writers::EverybodyAdds),
    ("notes", Writers::EverybodyAdds),
];

/// Why a change of a part is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// A ticket has no such part.
    NoSuchPart(String),
    /// Neither the custodian nor the taking site wrote it.
    NotResponsible {
        /// The part.
        part: &'static str,
        /// The author's site.
        site: Site,
        /// Who holds the ticket in the change's ancestry.
        custodian: Site,
        /// Who took the call.
        taken_by: Site,
    },
    /// The key is not the hash of the value.
    NotItsHash,
    /// The value under `trail` is not an entry of this author.
    NotAnEntry(EntryError),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::NoSuchPart(part) => {
                write!(f, "a ticket has no part `{}`", part.chars().take(40).collect::<String>())
            }
            RuleError::NotResponsible { part, site, custodian, taken_by } => write!(
                f,
                "{site} may not change `{part}`: {custodian} holds the ticket and {taken_by} took the call; write a note"
            ),
            RuleError::NotItsHash => f.write_str("the key is not the hash of its value"),
            RuleError::NotAnEntry(_) => f.write_str("the value is not an entry of the change's author"),
        }
    }
}

impl std::error::Error for RuleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RuleError::NotAnEntry(e) => Some(e),
            _ => None,
        }
    }
}

/// Who writes this part; an error for a part that a ticket does not have.
pub fn writers(part: &str) -> Result<Writers, RuleError> {
    let found = PARTS.iter().find(|(name, _)| *name == part);
    found.map(|(_, writers)| *writers).ok_or_else(|| RuleError::NoSuchPart(part.to_owned()))
}

/// Whether a site may change this part at all; `ancestry` is the fold of the change's own ancestry. For `trail` and
/// `notes` a yes is half the answer: [`may_put`] reads key and value.
pub fn may_write(part: &str, site: Site, ancestry: &Folded) -> Result<(), RuleError> {
    let found = PARTS.iter().find(|(name, _)| *name == part);
    let (part, writers) = *found.ok_or_else(|| RuleError::NoSuchPart(part.to_owned()))?;
    let (custodian, taken_by) = (ancestry.stand.custodian, ancestry.stand.taken_by);
    match writers {
        Writers::EverybodyAdds => Ok(()),
        Writers::Responsible if site == custodian || site == taken_by => Ok(()),
        Writers::Responsible => Err(RuleError::NotResponsible { part, site, custodian, taken_by }),
    }
}

/// Whether this value may stand under this key of `trail` or `notes`: under its own hash, and in `trail` as an entry
/// of the change's author. Returns that entry.
pub fn may_put(part: &str, key: &str, value: &[u8], author: NodeName) -> Result<Option<Authored>, RuleError> {
    if key.parse() != Ok(EntryId::of(value)) {
        return Err(RuleError::NotItsHash);
    }
    match part {
        "trail" => Authored::read(value, author).map(Some).map_err(RuleError::NotAnEntry),
        "notes" => Ok(None),
        part => Err(RuleError::NoSuchPart(part.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Entry, Op};
    use super::super::tests::World;
    use super::*;

    #[test]
    fn the_responsible_change_the_matter_and_everybody_adds_words() {
        let mut w = World::new("370100");
        let offer = w.offer("370100", "370200");
        w.accept("370200", offer);
        let folded = w.fold();
        let site = |s: &str| s.parse::<Site>().unwrap();
        for part in ["facts", "body", "person", "files"] {
            assert_eq!(may_write(part, site("370100"), &folded), Ok(()), "the site that took the call");
            assert_eq!(may_write(part, site("370200"), &folded), Ok(()), "the custodian");
            let refused = may_write(part, site("370000"), &folded).unwrap_err();
            assert!(
                matches!(refused, RuleError::NotResponsible { .. }),
                "a superior writes notes: {refused}"
            );
        }
        for part in ["trail", "notes"] {
            assert_eq!(may_write(part, site("510100"), &folded), Ok(()));
        }
        assert!(matches!(may_write("stage", site("370100"), &folded), Err(RuleError::NoSuchPart(_))));
    }

    #[test]
    fn a_key_is_the_hash_of_its_value_and_an_entry_its_authors() {
        let node: NodeName = "370100".parse().unwrap();
        let bytes = Entry::new(Op::Urge, [], node).to_bytes();
        let key = EntryId::of(&bytes).to_string();
        assert_eq!(may_put("trail", &key, &bytes, node).unwrap().unwrap().entry.op, Op::Urge);
        assert_eq!(may_put("notes", &key, &bytes, node), Ok(None));
        assert_eq!(may_put("trail", &"0".repeat(64), &bytes, node), Err(RuleError::NotItsHash));
        assert_eq!(may_put("trail", &key.to_uppercase(), &bytes, node), Err(RuleError::NotItsHash));
        let other = "370100-b".parse().unwrap();
        assert!(matches!(may_put("trail", &key, &bytes, other), Err(RuleError::NotAnEntry(_))));
        let key = EntryId::of(b"x").to_string();
        assert!(matches!(may_put("trail", &key, b"x", node), Err(RuleError::NotAnEntry(_))));
        assert!(matches!(may_put("facts", &key, b"x", node), Err(RuleError::NoSuchPart(_))));
    }
}
