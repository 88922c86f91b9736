//! A table in a file: comma-separated, no quoting, read whole.
//!
//! Taken: UTF-8 with or without a byte order mark, LF or CRLF, a header line, empty lines, columns in any order,
//! columns that nobody asks for. Refused, with the line: quotation marks (so a comma can only ever separate), a row
//! with more or fewer fields than the header, a missing column, a repeated key.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::Path;

/// The largest reference file that is read.
const MAX_FILE: u64 = 4 << 20;

/// Why a reference table was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// The file or directory is there and cannot be read, or is not there at all.
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        cause: String,
    },
    /// The file is larger than four mebibytes.
    TooLarge {
        /// Its path.
        file: String,
    },
    /// The header has no column of this name, or has it twice.
    Header {
        /// The file.
        file: String,
        /// The column looked for.
        column: &'static str,
    },
    /// A line is not a row of the table.
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it, as a half-sentence.
        why: String,
    },
    /// One field does not hold what its column promises.
    Field {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column's name.
        column: &'static str,
        /// What stands there, shortened to 40 characters.
        given: String,
        /// What is wrong with it, as a half-sentence.
        why: String,
    },
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, cause } => {
                write!(f, "{file} cannot be read ({cause}); check the path and its permissions")
            }
            Self::TooLarge { file } => {
                write!(f, "{file} is larger than {MAX_FILE} bytes; a reference table is far smaller")
            }
            Self::Header { file, column } => {
                write!(f, "{file}, line 1: the header must name the column `{column}` exactly once")
            }
            Self::Line { file, line, why } => write!(f, "{file}, line {line}: the row {why}"),
            Self::Field { file, line, column, given, why } => {
                write!(f, "{file}, line {line}, column `{column}`: `{given}` {why}")
            }
        }
    }
}

impl std::error::Error for ReferenceError {}

/// One file's name and text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    file: String,
    text: Cow<'static, str>,
    /// Whether it was compiled in.
    pub(super) built_in: bool,
}

impl Source {
    /// The file `name` in `dir` if there is one, else the built-in text.
    pub(super) fn open(
        dir: Option<&Path>,
        name: &str,
        built_in: &'static str,
    ) -> Result<Source, ReferenceError> {
        let Some(path) = dir.map(|d| d.join(name)) else {
            return Ok(Source {
                file: format!("built-in {name}"),
                text: Cow::Borrowed(built_in),
                built_in: true,
            });
        };
        let shown = path.display().to_string();
        let unreadable =
            |e: std::io::Error| ReferenceError::Unreadable { file: shown.clone(), cause: e.to_string() };
        let file = match std::fs::File::open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Source::open(None, name, built_in),
            other => other.map_err(unreadable)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(ReferenceError::TooLarge { file: shown });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { file: shown, text: Cow::Owned(text), built_in: false }),
            Err(e) => {
                let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
                let line = good.iter().filter(|b| **b == b'\n').count() + 1;
                let why = "is not UTF-8; save the file as UTF-8 and not as GBK".to_owned();
                Err(ReferenceError::Line { file: shown, line, why })
            }
        }
    }

    /// A text that came another way than as a file of this node; `file` says in errors which it is.
    pub(super) fn given(file: String, text: String) -> Result<Source, ReferenceError> {
        if text.len() as u64 > MAX_FILE {
            return Err(ReferenceError::TooLarge { file });
        }
        Ok(Source { file, text: Cow::Owned(text), built_in: false })
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A fingerprint of the text.
    pub(super) fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.text.as_bytes()).as_bytes()
    }

    #[cfg(test)]
    pub(super) fn test(text: &'static str) -> Source {
        Source { file: "test.csv".to_owned(), text: Cow::Borrowed(text), built_in: false }
    }

    /// Whether it has this column.
    pub(super) fn has(&self, column: &str) -> bool {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        text.lines()
            .find(|l| !l.is_empty())
            .is_some_and(|header| header.split(',').any(|name| name == column))
    }

    /// The rows with these columns, in this order.
    pub(super) fn rows<const N: usize>(
        &self,
        columns: [&'static str; N],
    ) -> Result<Vec<Row<'_, N>>, ReferenceError> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let mut lines = text.lines().enumerate().map(|(i, l)| (i + 1, l)).filter(|(_, l)| !l.is_empty());
        let header: Vec<&str> = lines.next().map(|(_, l)| l.split(',').collect()).unwrap_or_default();
        let mut at = [0; N];
        for (at, column) in at.iter_mut().zip(columns) {
            let mut found = header.iter().enumerate().filter(|(_, name)| **name == column);
            match (found.next(), found.next()) {
                (Some((i, _)), None) => *at = i,
                _ => return Err(ReferenceError::Header { file: self.file.clone(), column }),
            }
        }
        let mut rows = Vec::new();
        for (line, text) in lines {
            let wrong = |why: String| ReferenceError::Line { file: self.file.clone(), line, why };
            if text.contains('"') {
                return Err(wrong(
                    "holds a quotation mark; leave quotation marks and commas out of fields".to_owned(),
                ));
            }
            let fields: Vec<&str> = text.split(',').map(str::trim).collect();
            if fields.len() != header.len() {
                return Err(wrong(format!("has {} fields; the header has {}", fields.len(), header.len())));
            }
            rows.push(Row { file: &self.file, line, columns, fields: at.map(|i| fields[i]) });
        }
        Ok(rows)
    }
}

/// One row: the fields asked for.
pub(super) struct Row<'a, const N: usize> {
    file: &'a str,
    line: usize,
    columns: [&'static str; N],
    /// The fields, in the order in which the columns were named.
    pub(super) fields: [&'a str; N],
}

impl<'a, const N: usize> Row<'a, N> {
    /// The error that field `i` is wrong.
    pub(super) fn wrong(&self, i: usize, why: impl Into<String>) -> ReferenceError {
        ReferenceError::Field {
            file: self.file.to_owned(),
            line: self.line,
            column: self.columns[i],
            given: self.fields[i].chars().take(40).collect(),
            why: why.into(),
        }
    }

    /// Field `i`, which must hold something.
    pub(super) fn text(&self, i: usize) -> Result<&'a str, ReferenceError> {
        if self.fields[i].is_empty() {
            Err(self.wrong(i, "is empty; it must be filled in"))
        } else {
            Ok(self.fields[i])
        }
    }

    /// Field `i`, read as a `T`; `what` says what it should be, as in "is not a year".
    pub(super) fn parsed<T: std::str::FromStr>(&self, i: usize, what: &str) -> Result<T, ReferenceError> {
        self.fields[i].parse().map_err(|_| self.wrong(i, what))
    }

    /// Field `i`, one of a few words.
    pub(super) fn one_of<T: Copy>(&self, i: usize, words: &[(&str, T)]) -> Result<T, ReferenceError> {
        words.iter().find(|(word, _)| *word == self.fields[i]).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(i, format!("is none of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let source = Source::test("b,x,a\n1,2,3\n\n4,5,6\n");
        let rows = source.rows(["a", "b"]).unwrap();
        assert_eq!(
            rows.iter().map(|r| (r.line, r.fields)).collect::<Vec<_>>(),
            [(2, ["3", "1"]), (4, ["6", "4"])]
        );
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let check = |text: &'static str, expected: &str| {
            let error = Source::test(text).rows(["a", "b"]).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("", "test.csv, line 1: the header must name the column `a` exactly once");
        check("a,c", "test.csv, line 1: the header must name the column `b` exactly once");
        check("a,b,a", "test.csv, line 1: the header must name the column `a` exactly once");
        check("a,b\n1,2\n1", "test.csv, line 3: the row has 1 fields; the header has 2");
        check(
            "a,b\n\"1\",2",
            "test.csv, line 2: the row holds a quotation mark; leave quotation marks and commas out of fields",
        );
        let source = Source::test("a,b\n1,zwei");
        let error = source.rows(["a", "b"]).unwrap()[0].parsed::<u32>(1, "is not a number").unwrap_err();
        assert_eq!(error.to_string(), "test.csv, line 2, column `b`: `zwei` is not a number");
    }

    #[test]
    fn a_file_that_is_not_utf8_names_the_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.csv"), b"a,b\n1,2\n\xbc\xc3,2\n").unwrap();
        let error = Source::open(Some(dir.path()), "x.csv", "").map(|_| ()).unwrap_err();
        assert!(matches!(error, ReferenceError::Line { line: 3, .. }), "{error}");
        let big = std::fs::File::create(dir.path().join("y.csv")).unwrap();
        big.set_len(MAX_FILE + 1).unwrap();
        let error = Source::open(Some(dir.path()), "y.csv", "").map(|_| ()).unwrap_err();
        assert!(matches!(error, ReferenceError::TooLarge { .. }), "{error}");
    }
}
