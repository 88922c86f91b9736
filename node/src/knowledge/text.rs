//! The text of an article: what a version says.
//!
//! A version's text is the document as it was at the change that carries the version's entry. So every version stays
//! readable, and what several replicas wrote at once never mixes in what is published.

use automerge::{ChangeHash, ReadDoc, ScalarValue, Value};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sync::document::Document;
use sync::id::ItemHash;
use utoipa::ToSchema;

/// The longest body in characters: a change that puts another of the same length in its place still passes the gate.
pub const MAX_BODY: usize = 9_000;

/// The longest register in characters.
const MAX_LINE: usize = 200;

/// The most tags.
const MAX_TAGS: usize = 32;

/// Who may read an article.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Readers {
    /// Everybody.
    Public,
    /// Agents, at their desks.
    #[default]
    Agent,
}

impl Readers {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Readers::Public => "public",
            Readers::Agent => "agent",
        }
    }
}

/// What a version says. Field names are those of `kb.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Text {
    /// The owner's own code for it, like `KB001`.
    pub code: String,
    /// The title.
    pub title: String,
    /// Markdown, as plain text.
    pub body: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The field of business.
    pub field: String,
    /// Who may read it.
    pub audience: Readers,
    /// The first day on which it holds; empty for always.
    pub valid_from: String,
    /// The last day on which it holds; empty for ever.
    pub valid_to: String,
    /// Where it comes from: a law, a notice, a letter.
    pub source: String,
}

impl Text {
    /// The registers in the document, by name.
    pub fn facts(&self) -> [(&'static str, String); 8] {
        [
            ("audience", self.audience.name().to_owned()),
            ("code", self.code.clone()),
            ("field", self.field.clone()),
            ("source", self.source.clone()),
            ("tags", self.tags.join("\n")),
            ("title", self.title.clone()),
            ("valid_from", self.valid_from.clone()),
            ("valid_to", self.valid_to.clone()),
        ]
    }

    /// Reads the document as it was at this change; `None` when it is not in the document.
    pub fn read(document: &Document, at: ItemHash) -> Option<Text> {
        if !document.has(&at) {
            return None;
        }
        let (doc, heads) = (document.automerge(), [ChangeHash(*at.as_bytes())]);
        let (facts, body) = (document.part("facts")?, document.part("body")?);
        let fact = |name: &str| match doc.get_at(&facts, name, &heads) {
            Ok(Some((Value::Scalar(value), _))) => match value.as_ref() {
                ScalarValue::Str(text) => text.to_string(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        Some(Text {
            code: fact("code"),
            title: fact("title"),
            body: doc.text_at(&body, &heads).ok()?,
            tags: fact("tags").lines().map(str::to_owned).collect(),
            field: fact("field"),
            audience: if fact("audience") == "public" { Readers::Public } else { Readers::Agent },
            valid_from: fact("valid_from"),
            valid_to: fact("valid_to"),
            source: fact("source"),
        })
    }

    /// The hash by which a version names its text.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 article text");
        let facts = self.facts();
        for part in facts.iter().map(|(_, fact)| fact).chain([&self.body]) {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Trims it, and sees that it can be an article; else what is wrong with which field.
    pub fn checked(mut self) -> Result<Text, String> {
        for line in [&mut self.code, &mut self.title, &mut self.field, &mut self.source] {
            *line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        for day in [&mut self.valid_from, &mut self.valid_to] {
            *day = day.trim().to_owned();
        }
        self.body = self.body.trim().replace("\r\n", "\n");
        self.tags = self.tags.iter().map(|t| t.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        self.tags.retain(|t| !t.is_empty());
        let lines =
            [("code", &self.code), ("title", &self.title), ("field", &self.field), ("source", &self.source)];
        for (name, line) in lines.into_iter().chain(self.tags.iter().map(|t| ("tags", t))) {
            if line.chars().count() > MAX_LINE {
                return Err(format!("`{name}` has more than {MAX_LINE} characters"));
            }
        }
        if self.title.is_empty() {
            return Err("`title` is empty".to_owned());
        }
        if self.body.is_empty() {
            return Err("`body` is empty".to_owned());
        }
        if self.body.chars().count() > MAX_BODY {
            return Err(format!("`body` has more than {MAX_BODY} characters; make several articles of it"));
        }
        if self.tags.len() > MAX_TAGS {
            return Err(format!("more than {MAX_TAGS} tags"));
        }
        for (name, day) in [("valid_from", &self.valid_from), ("valid_to", &self.valid_to)] {
            if !day.is_empty() && day.parse::<Date>().ok().map(|d| d.to_string()).as_ref() != Some(day) {
                return Err(format!("`{name}` is no day like 2026-11-02"));
            }
        }
        if !self.valid_to.is_empty() && self.valid_to < self.valid_from {
            return Err("`valid_to` lies before `valid_from`".to_owned());
        }
        Ok(self)
    }

    /// Whether it holds on this day, written like 2026-11-02.
    pub fn holds(&self, day: &str) -> bool {
        holds(&self.valid_from, &self.valid_to, day)
    }
}

/// Whether a day lies within these; an empty one is no bound.
pub fn holds(from: &str, to: &str, day: &str) -> bool {
    from <= day && (to.is_empty() || day <= to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Text {
        Text { title: "题".to_owned(), body: "文".to_owned(), ..Text::default() }
    }

    #[test]
    fn what_cannot_be_an_article_is_refused_with_the_field() {
        let check = |text: Text, why: &str| {
            let said = text.checked().unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        check(Text { title: " ".to_owned(), ..text() }, "`title`");
        check(Text { body: "\n".to_owned(), ..text() }, "`body`");
        check(Text { body: "字".repeat(MAX_BODY + 1), ..text() }, "`body`");
        check(Text { title: "字".repeat(201), ..text() }, "`title`");
        check(Text { valid_to: "2026-02-30".to_owned(), ..text() }, "`valid_to`");
        check(Text { valid_to: "20260202".to_owned(), ..text() }, "`valid_to`");
        let swapped =
            Text { valid_from: "2026-02-02".to_owned(), valid_to: "2026-02-01".to_owned(), ..text() };
        check(swapped, "before");
        check(Text { tags: vec!["a".to_owned(); 33], ..text() }, "tags");
        let tidy =
            Text { title: " 节 假日 ".to_owned(), tags: vec![" ".to_owned(), "a ".to_owned()], ..text() };
        let tidy = tidy.checked().unwrap();
        assert_eq!((tidy.title.as_str(), tidy.tags), ("节 假日", vec!["a".to_owned()]));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let base = text();
        let others = [
            Text { code: "x".to_owned(), ..text() },
            Text { title: "x".to_owned(), ..text() },
            Text { body: "x".to_owned(), ..text() },
            Text { tags: vec!["x".to_owned()], ..text() },
            Text { field: "x".to_owned(), ..text() },
            Text { audience: Readers::Public, ..text() },
            Text { valid_from: "x".to_owned(), ..text() },
            Text { valid_to: "x".to_owned(), ..text() },
            Text { source: "x".to_owned(), ..text() },
        ];
        let hashes: std::collections::BTreeSet<_> = others.iter().chain([&base]).map(Text::hash).collect();
        assert_eq!(hashes.len(), 10);
    }

    #[test]
    fn days_are_bounds_on_both_sides() {
        let check = |from, to, day, expected| assert_eq!(holds(from, to, day), expected, "{from} {to} {day}");
        check("", "", "2026-11-02", true);
        check("2026-11-02", "2026-11-02", "2026-11-02", true);
        check("2026-11-03", "", "2026-11-02", false);
        check("", "2026-11-01", "2026-11-02", false);
    }
}
