//! The file: TOML, with the line of every value.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, PEER_TABLE, PEERS};
use super::{Source, Told};
use crate::request::{Failure, FailureKind};

/// The largest configuration file in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a file says. Problems that have a line are added to `problems`; an error when there is nothing to read.
pub(super) fn read(path: &Path, problems: &mut Vec<String>) -> Result<Vec<Told>, Failure> {
    let unreadable = |why: String| {
        let message = format!("the configuration file {} cannot be read", path.display());
        Failure::new(FailureKind::Configuration, message)
            .because(why)
            .hint("name another: --config FILE; an example is systemd/hotline.toml")
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| unreadable(e.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(format!("it is larger than {MAX_FILE} bytes")));
    }
    let line = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
    let (table, errors) = DeTable::parse_recoverable(&text);
    for e in errors {
        let place = Source::File(path.to_owned(), e.span().map_or(1, |s| line(s.start)));
        problems.push(format!("{place}: {}", e.message()));
    }
    let mut found = Found { told: Vec::new(), path, line: &line, problems };
    found.table("", table.get_ref());
    let mut told = found.told;
    told.sort_by_key(|t| match &t.source {
        Source::File(_, line) => *line,
        _ => 0,
    });
    Ok(told)
}

struct Found<'a> {
    told: Vec<Told>,
    path: &'a Path,
    line: &'a dyn Fn(usize) -> usize,
    problems: &'a mut Vec<String>,
}

impl Found<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source = Source::File(self.path.to_owned(), (self.line)(name.span().start));
            match value.get_ref() {
                DeValue::Table(inner) if prefix.is_empty() && inner.is_empty() && is_table(&key) => {}
                DeValue::Table(inner) if prefix.is_empty() && !inner.is_empty() => {
                    self.table(&format!("{key}."), inner);
                }
                _ if keys::find(&key).is_none() && !key.starts_with(PEERS) => {
                    self.problems.push(format!("{source}: {}", keys::unknown(&key)));
                }
                value => match text(value, key.starts_with(PEERS)) {
                    Ok(text) => self.told.push(Told { key, text, source }),
                    Err(why) => self.problems.push(format!("{source}: {key}: {why}")),
                },
            }
        }
    }
}

fn is_table(name: &str) -> bool {
    name == PEER_TABLE || keys::KEYS.iter().any(|k| k.name.split_once('.').is_some_and(|(t, _)| t == name))
}

/// A value as the text that its key parses. A list is its parts between commas.
fn text(value: &DeValue<'_>, list: bool) -> Result<String, String> {
    match value {
        DeValue::String(s) => Ok(s.to_string()),
        DeValue::Integer(n) => Ok(n.to_string()),
        DeValue::Boolean(b) => Ok(b.to_string()),
        DeValue::Array(_) if !list => Err("one value is wanted, not a list".to_owned()),
        DeValue::Array(all) => {
            let parts: Result<Vec<String>, String> =
                all.iter().map(|part: &Spanned<DeValue<'_>>| text(part.get_ref(), false)).collect();
            Ok(parts?.join(","))
        }
        _ => Err("a text is wanted, between quotation marks".to_owned()),
    }
}
