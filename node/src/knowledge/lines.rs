//! Articles from and for files: lines of JSON in the shape of `fixtures/kb.jsonl`, and Markdown with front matter.
//!
//! ```text
//! ---
//! id: KB001
//! title: 受理范围
//! tags: [受理范围, 不予受理]
//! ---
//! the body, as it is
//! ```
//!
//! An export names the files that an article carries (`files`); their contents are not in it, and an import passes the names over.

use certs::{Site, Tier};
use serde::Deserialize;
use serde_json::{Value, json};

use super::text::{Readers, Text};

/// An article as a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub text: Text,
    /// Whose it is, if the file says so.
    pub owner: Option<Site>,
    /// Whether it is in force where it comes from.
    pub published: bool,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    id: String,
    title: String,
    body: String,
    #[serde(default)]
    region_code: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    field: String,
    #[serde(default)]
    audience: Readers,
    #[serde(default)]
    valid_from: String,
    #[serde(default)]
    valid_to: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    status: String,
}

/// Reads a line. Fields that are not known are passed over.
pub fn read(value: &Value) -> Result<Line, String> {
    let raw = Raw::deserialize(value).map_err(|e| e.to_string())?;
    let owner = match raw.region_code.as_str() {
        "" => None,
        code => Some(code.parse().map_err(|e: certs::NameError| e.to_string())?),
    };
    let text = Text {
        code: raw.id,
        title: raw.title,
        body: raw.body,
        tags: raw.tags,
        field: raw.field,
        audience: raw.audience,
        valid_from: raw.valid_from,
        valid_to: raw.valid_to,
        source: raw.source,
    };
    Ok(Line { text: text.checked()?, owner, published: raw.status == "published" })
}

/// The line of an article of `owner`.
pub fn write(text: &Text, owner: Site, version: u32, standing: &str) -> Value {
    let level = match owner.tier() {
        Tier::Ministry => "ministry",
        Tier::Province => "province",
        Tier::City => "city",
        Tier::Office => "office",
    };
    json!({
        "id": text.code, "title": text.title, "body": text.body, "level": level, "region_code": owner,
        "tags": text.tags, "field": text.field, "audience": text.audience, "valid_from": text.valid_from,
        "valid_to": text.valid_to, "source": text.source, "version": version, "status": standing,
    })
}

/// What front matter says beside the tags, each on a line.
const KEYS: [&str; 9] =
    ["id", "title", "region_code", "field", "audience", "valid_from", "valid_to", "source", "status"];

/// What else exports have.
const PASSED_OVER: [&str; 3] = ["files", "level", "version"];

/// Reads Markdown with front matter as a line. A key that there is not is a slip of somebody's finger, and so an error.
pub fn from_markdown(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let rest = text.strip_prefix("---\n").ok_or("it does not begin with front matter: a line `---`")?;
    let (front, body) = rest.split_once("\n---\n").ok_or("its front matter does not end: a line `---`")?;
    let mut line = json!({ "body": body.trim() });
    for (at, row) in (2..).zip(front.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let (key, value) = row.split_once(':').ok_or_else(|| format!("line {at} is no `key: value`"))?;
        let (key, value) = (key.trim(), value.trim());
        line[key] = match key {
            "tags" => {
                let list = value.trim_start_matches('[').trim_end_matches(']').split([',', '，']);
                list.map(|tag| unquoted(tag.trim())).filter(|tag| !tag.is_empty()).collect()
            }
            "body" => return Err(format!("line {at}: the body stands below the front matter")),
            key if !KEYS.contains(&key) && !PASSED_OVER.contains(&key) => {
                return Err(format!("line {at}: there is no `{key}`; there are {}, tags", KEYS.join(", ")));
            }
            _ => unquoted(value).into(),
        };
    }
    Ok(line)
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// An article's line as Markdown with front matter.
pub fn to_markdown(line: &Value) -> String {
    let mut text = "---\n".to_owned();
    for key in KEYS {
        if let Some(value) = line[key].as_str().filter(|v| !v.is_empty()) {
            text.push_str(&format!("{key}: {value}\n"));
        }
    }
    let tags: Vec<&str> = line["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !tags.is_empty() {
        text.push_str(&format!("tags: [{}]\n", tags.join(", ")));
    }
    let files: Vec<&str> = line["files"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !files.is_empty() {
        text.push_str(&format!("files: {}\n", files.join(", ")));
    }
    text.push_str("---\n");
    text.push_str(line["body"].as_str().unwrap_or_default());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> impl Iterator<Item = Value> {
        include_str!("../../../fixtures/kb.jsonl").lines().map(|line| serde_json::from_str(line).unwrap())
    }

    #[test]
    fn the_fixtures_are_read_and_come_back_from_both_shapes() {
        assert_eq!(fixtures().count(), 21);
        for line in fixtures() {
            let read_once = read(&line).unwrap();
            let owner = read_once.owner.unwrap();
            let written = write(&read_once.text, owner, 1, "published");
            for key in [
                "id",
                "title",
                "body",
                "level",
                "region_code",
                "tags",
                "field",
                "audience",
                "valid_from",
                "valid_to",
                "status",
            ] {
                assert_eq!(written[key], line[key], "{key}");
            }
            assert_eq!(read(&written).unwrap(), read_once);
            let markdown = to_markdown(&written);
            assert_eq!(read(&from_markdown(&markdown).unwrap()).unwrap(), read_once, "{markdown}");
        }
    }

    #[test]
    fn what_is_no_article_says_why() {
        let check = |value: Value, why: &str| {
            let said = read(&value).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        check(json!({ "title": "x" }), "body");
        check(json!({ "title": "x", "body": "y", "region_code": "37" }), "six-digit");
        check(json!({ "title": "x", "body": "y", "audience": "everybody" }), "everybody");
        check(json!([]), "invalid");
        for (text, why) in
            [("# x", "front matter"), ("---\ntitle: x\n", "end"), ("---\ntitle\n---\ny", "line 2")]
        {
            assert!(from_markdown(text).unwrap_err().contains(why), "{text}");
        }
    }
}
