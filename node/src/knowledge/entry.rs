//! One entry of an article's trail.
//!
//! ```text
//! {"op":"revise","parents":["3f…"],"node":"370000","version":2,"text":"9c…","user":"王芳","at":"…", newer fields…}
//! ```
//!
//! The frame is that of every kind (`ticket::other`): `op`, `parents`, `node`, and `below` and `audience`, which say who
//! must hold the document. Bytes are never written anew; an op that this version does not know is kept as it came.

use certs::{NodeName, Site};
use serde_json::{Map, Value, json};
use sync::id::DocId;

use super::{KIND, SCHEMA};
use crate::files::Entry as File;
use crate::ticket::EntryId;
use crate::ticket::entry::{EntryError, Fields, MAX_NAME, MAX_TEXT};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The article begins with its first version.
    Create(Box<Create>),
    /// A further version; the change that carries it sets the text.
    Revise(Version),
    /// A second person has read a version and lets it pass.
    Review {
        /// The version's entry.
        of: EntryId,
    },
    /// From here on this version is what readers get.
    Publish {
        /// The version's entry.
        of: EntryId,
    },
    /// Nobody is to use the article any more.
    Withdraw,
    /// The owner asks its superior to adopt a version.
    Propose {
        /// The version's entry.
        of: EntryId,
        /// The superior.
        to: Site,
    },
    /// A superior has made an article of its own of this one.
    Adopted {
        /// That article.
        by: DocId,
    },
    /// Of a newer version of this program.
    Unknown(String),
}

/// How an article begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The owner.
    pub site: Site,
    /// Its first version.
    pub version: Version,
    /// The lower tier's article that this one is made of.
    pub adopts: Option<DocId>,
    /// The article that this one hangs on.
    pub supplements: Option<DocId>,
}

/// A version of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// One more than the highest that its writer saw.
    pub number: u32,
    /// The hash of the text.
    pub text: [u8; 32],
    /// In a supplement: the version of the original that its writer had before them.
    pub seen: Option<EntryId>,
    /// The files that it carries.
    pub files: Vec<File>,
}

/// An entry of an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id: the hash of its bytes.
    pub id: EntryId,
    /// What it says.
    pub word: Word,
    /// The trail's heads as its writer saw them.
    pub parents: Vec<EntryId>,
    /// Who wrote it.
    pub node: NodeName,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who sat at the desk.
    pub user: Option<String>,
    /// When, by the writer's own clock; no rule reads it.
    pub at: Option<String>,
}

fn version(fields: &mut Fields) -> Result<Version, EntryError> {
    let text: EntryId = fields.need("text")?; // a hash, written as ids are
    Ok(Version {
        number: fields.count("version")?.ok_or(EntryError::Missing("version"))?,
        text: *text.as_bytes(),
        seen: fields.parsed("seen")?,
        // A version that knew no files took in whatever stood there, and nobody refuses what others hold.
        files: fields.value("files").and_then(|files| serde_json::from_value(files).ok()).unwrap_or_default(),
    })
}

fn word(fields: &mut Fields, op: String) -> Result<Word, EntryError> {
    Ok(match op.as_str() {
        "create" => Word::Create(Box::new(Create {
            site: fields.need("site")?,
            version: version(fields)?,
            adopts: fields.parsed("adopts")?,
            supplements: fields.parsed("supplements")?,
        })),
        "revise" => Word::Revise(version(fields)?),
        "review" => Word::Review { of: fields.need("of")? },
        "publish" => Word::Publish { of: fields.need("of")? },
        "withdraw" => Word::Withdraw,
        "propose" => Word::Propose { of: fields.need("of")?, to: fields.need("to")? },
        "adopted" => Word::Adopted { by: fields.need("by")? },
        _ => Word::Unknown(op),
    })
}

impl Entry {
    /// Reads an entry out of a change of `author`.
    pub fn read(bytes: &[u8], author: NodeName) -> Result<Entry, EntryError> {
        let mut fields = Fields::read(bytes)?;
        let node: NodeName = fields.need("node")?;
        if node != author {
            return Err(EntryError::NotTheAuthor { says: node, is: author });
        }
        let op = fields.text("op", MAX_NAME)?.ok_or(EntryError::Missing("op"))?;
        Ok(Entry {
            id: EntryId::of(bytes),
            word: word(&mut fields, op)?,
            parents: fields.parents()?,
            node,
            reason: fields.text("reason", MAX_TEXT)?,
            user: fields.text("user", MAX_NAME)?,
            at: fields.text("at", MAX_NAME)?,
        })
    }

    /// The name of what it says.
    pub fn op(&self) -> &str {
        self.word.op()
    }

    /// The site that it speaks for.
    pub fn site(&self) -> Site {
        self.node.site()
    }
}

impl Word {
    /// Its name.
    pub fn op(&self) -> &str {
        match self {
            Word::Create(_) => "create",
            Word::Revise(_) => "revise",
            Word::Review { .. } => "review",
            Word::Publish { .. } => "publish",
            Word::Withdraw => "withdraw",
            Word::Propose { .. } => "propose",
            Word::Adopted { .. } => "adopted",
            Word::Unknown(op) => op,
        }
    }

    /// The version that it brings.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Word::Create(create) => Some(&create.version),
            Word::Revise(version) => Some(version),
            _ => None,
        }
    }

    /// The version that it speaks of.
    pub fn of(&self) -> Option<EntryId> {
        match self {
            Word::Review { of } | Word::Publish { of } | Word::Propose { of, .. } => Some(*of),
            _ => None,
        }
    }

    /// The bytes of an entry that says this.
    pub fn to_bytes(
        &self,
        parents: impl IntoIterator<Item = EntryId>,
        node: NodeName,
        reason: Option<&str>,
        user: Option<&str>,
        at: &str,
    ) -> Vec<u8> {
        let mut parents: Vec<EntryId> = parents.into_iter().collect();
        parents.sort_unstable();
        parents.dedup();
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
        put("op", self.op().into());
        put("parents", json!(parents));
        put("node", json!(node));
        put("at", at.into());
        if let Some(version) = self.version() {
            put("version", version.number.into());
            put("text", json!(EntryId::from_bytes(version.text)));
            if let Some(seen) = version.seen {
                put("seen", json!(seen));
            }
            if !version.files.is_empty() {
                put("files", json!(version.files));
            }
        }
        if let Some(of) = self.of() {
            put("of", json!(of));
        }
        match self {
            Word::Create(create) => {
                put("kind", KIND.into());
                put("schema", SCHEMA.into());
                put("site", json!(create.site));
                put("below", true.into());
                for (key, doc) in [("adopts", create.adopts), ("supplements", create.supplements)] {
                    if let Some(doc) = doc {
                        put(key, doc.to_string().into());
                    }
                }
            }
            Word::Propose { to, .. } => {
                put("to", json!(to));
                put("audience", json!([to]));
            }
            Word::Adopted { by } => put("by", by.to_string().into()),
            _ => {}
        }
        for (key, said) in [("reason", reason), ("user", user)] {
            if let Some(said) = said {
                put(key, said.into());
            }
        }
        serde_json::to_vec(&map).expect("ids, names and texts are always written to memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::entry::MAX_ENTRY;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        let (id, doc) = (EntryId::from_bytes([7; 32]), DocId::from_bytes([3; 32]));
        let file = File {
            name: "申请表.pdf".to_owned(),
            size: 7,
            media: "application/pdf".to_owned(),
            content: "c0".to_owned(),
            salt: "5a".to_owned(),
            sealed: None,
            user: None,
            at: String::new(),
        };
        let version = Version { number: 2, text: [5; 32], seen: Some(id), files: vec![file] };
        let site: Site = "370000".parse().unwrap();
        let node: NodeName = "370000-b".parse().unwrap();
        for word in [
            Word::Create(Box::new(Create {
                site,
                version: version.clone(),
                adopts: Some(doc),
                supplements: Some(doc),
            })),
            Word::Revise(Version { seen: None, files: Vec::new(), ..version }),
            Word::Review { of: id },
            Word::Publish { of: id },
            Word::Withdraw,
            Word::Propose { of: id, to: "000000".parse().unwrap() },
            Word::Adopted { by: doc },
        ] {
            let parents = [EntryId::from_bytes([9; 32]), EntryId::from_bytes([1; 32])];
            let bytes = word.to_bytes(parents, node, Some("过期"), Some("王芳"), "2027-03-01T09:30:00+08:00");
            let read = Entry::read(&bytes, node).unwrap();
            assert_eq!((&read.word, read.parents.len(), read.id), (&word, 2, EntryId::of(&bytes)));
            assert_eq!((read.reason.as_deref(), read.user.as_deref()), (Some("过期"), Some("王芳")));
            assert_eq!(
                Entry::read(&bytes, site.into()),
                Err(EntryError::NotTheAuthor { says: node, is: site.into() })
            );
        }
    }

    #[test]
    fn what_is_no_entry_is_refused_and_a_newer_op_is_kept() {
        let node: NodeName = "370000".parse().unwrap();
        let check =
            |text: &str, why: EntryError| assert_eq!(Entry::read(text.as_bytes(), node), Err(why), "{text}");
        assert!(matches!(Entry::read(b"[]", node), Err(EntryError::NotJson(_))));
        check(r#"{"op":"withdraw","parents":[]}"#, EntryError::Missing("node"));
        check(r#"{"op":"withdraw","node":"370000"}"#, EntryError::Missing("parents"));
        check(r#"{"op":"publish","parents":[],"node":"370000"}"#, EntryError::Missing("of"));
        check(r#"{"op":"revise","parents":[],"node":"370000","version":-1}"#, EntryError::Missing("text"));
        check(&" ".repeat(MAX_ENTRY + 1), EntryError::TooLong { bytes: MAX_ENTRY + 1 });
        let odd = format!(
            r#"{{"op":"revise","parents":[],"node":"370000","version":2,"text":"{}","files":[{{"name":7}}]}}"#,
            "0".repeat(64)
        );
        let odd = Entry::read(odd.as_bytes(), node).unwrap();
        assert!(odd.word.version().is_some_and(|version| version.files.is_empty()), "kept, and no files");
        let newer = Entry::read(br#"{"op":"translate","parents":[],"node":"370000","to":7}"#, node).unwrap();
        assert_eq!(newer.word, Word::Unknown("translate".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Entry::read(&bytes, Site::MINISTRY.into());
        }
    }
}
