//! Who writes which part of an article, and who must hold it: the table that the gate reads.
//!
//! ```text
//! part         who                                       what
//! facts body   the owner, in a change that carries       anything
//!              a version (`create`, `revise`)
//! files        the owner                                 anything
//! trail notes  anybody                                   put a key that is its value's hash
//! any other    nobody
//!
//! audience     the owner and everything below it (`below`), whoever wrote an entry or stands in one's `audience`,
//!              with their superiors as for a ticket: the rule of all kinds, read by `ticket::other`
//!
//! entry        who may                                                     and when
//! create       the owner                                                   first
//! revise       the owner                                                   with the next number
//! review       the owner or a superior, another person than the            the version is entitled
//!              version's writer
//! publish      the owner or a superior                                     a review of the version is known
//! withdraw     the owner or a superior                                     with a reason
//! propose      the owner, to a superior                                    the version is entitled
//! adopted      a superior
//! ```
//!
//! The gate refuses what breaks the upper part, for ever and everywhere. An entry that the lower part does not allow is
//! kept, shown and has no effect ([`super::fold`]).

use certs::Site;

/// Who may change a part, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// The owner, in a change that carries a version: so every version has a text, and no text is without one.
    OwnerWithVersion,
    /// The owner.
    Owner,
    /// Everybody, by putting values under the hash of themselves and in no other way.
    EverybodyAdds,
}

/// Each part of an article's document: whether it is a text, and its writers.
pub const PARTS: [(&str, bool, Writers); 5] = [
    ("body", true, Writers::OwnerWithVersion),
    ("facts", false, Writers::OwnerWithVersion),
    ("files", false, Writers::Owner),
    ("notes", false, Writers::EverybodyAdds),
    ("trail", false, Writers::EverybodyAdds),
];

/// Whether `site` may change a part of an article of `owner` in a change that carries a version or not; why not.
pub fn may_write(part: &str, site: Site, owner: Site, with_version: bool) -> Result<(), String> {
    let Some((_, _, writers)) = PARTS.iter().find(|(name, ..)| *name == part) else {
        return Err(format!("an article has no part `{}`", part.chars().take(40).collect::<String>()));
    };
    match writers {
        Writers::EverybodyAdds => Ok(()),
        _ if site != owner => {
            Err(format!("{site} may not change `{part}`: the article is {owner}'s; hang a supplement on it"))
        }
        Writers::OwnerWithVersion if !with_version => {
            Err(format!("`{part}` changes together with a version and not without one"))
        }
        Writers::OwnerWithVersion | Writers::Owner => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_writes_texts_with_versions_and_everybody_adds_words() {
        let site = |s: &str| s.parse::<Site>().unwrap();
        let (owner, superior) = (site("370100"), site("370000"));
        for part in ["facts", "body"] {
            assert_eq!(may_write(part, owner, owner, true), Ok(()));
            assert!(may_write(part, owner, owner, false).is_err(), "without a version");
            assert!(may_write(part, superior, owner, true).is_err(), "not even a superior");
        }
        assert_eq!(may_write("files", owner, owner, false), Ok(()));
        assert!(may_write("files", superior, owner, false).is_err());
        assert_eq!(may_write("trail", superior, owner, false), Ok(()));
        assert!(may_write("person", owner, owner, true).is_err());
        assert!(PARTS.is_sorted_by_key(|(name, ..)| name), "the gate compares in this order");
    }
}
