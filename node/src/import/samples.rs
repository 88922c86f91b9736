//! Sample lines: one JSON object a line, as in `fixtures/samples.jsonl`.
//!
//! Only `text` is required. Fields that we do not know are kept and handed on. Memory is bounded whatever the file
//! holds: a line longer than [`MAX_LINE`] is an error and the reader goes on behind it, so one bad line in a
//! hundred thousand costs one ticket.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest line that is read, in bytes, its end not counted.
pub const MAX_LINE: usize = 1 << 20;

/// One call as somebody wrote it down. Everything is as given: [`super::NewTicket::from_sample`] checks it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The writer's own number for the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What the caller said.
    pub text: String,
    /// 投诉举报, 信息咨询, 意见建议, 其他, ...
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub business: String,
    /// The domain's name or code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// The topic's name or code.
    #[serde(default, rename = "field", skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The division code of the centre that took the call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region_code: String,
    /// The caller's telephone number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller_phone: String,
    /// What the caller is: 乘客, 货车司机, ...
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller_type: String,
    /// 电话, 短信, ...
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// 一般, 紧急 or 特急.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub priority: String,
    /// Whether the caller must stay unknown to those who handle the matter.
    #[serde(default)]
    pub confidential: bool,
    /// What a good agent would do with it; for tests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected_route: String,
    /// A remark of the writer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// All other fields.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

/// Shows no personal data: samples turn up in logs.
impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("id", &self.id)
            .field("chars", &self.text.chars().count())
            .finish_non_exhaustive()
    }
}

/// Why a line gave no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleError {
    /// The file could not be read on; this is the reader's last word.
    Io {
        /// The line, from 1.
        line: usize,
        /// What the system said.
        cause: String,
    },
    /// The line is longer than [`MAX_LINE`].
    LineTooLong {
        /// The line, from 1.
        line: usize,
    },
    /// The line is not an object of this shape.
    NotASample {
        /// The line, from 1.
        line: usize,
        /// The place in the line, from 1.
        column: usize,
        /// What is wrong there. Never quotes the text.
        why: &'static str,
    },
}

impl SampleError {
    /// The line that it is about, from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::Io { line, .. } | Self::LineTooLong { line } | Self::NotASample { line, .. } => *line,
        }
    }

    /// Whether nothing comes after it.
    pub fn is_last_word(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { line, cause } => {
                write!(f, "line {line}: cannot be read ({cause}); check the file or the pipe")
            }
            Self::LineTooLong { line } => {
                write!(f, "line {line}: longer than {MAX_LINE} bytes; write one JSON object a line")
            }
            Self::NotASample { line, column, why } => {
                write!(
                    f,
                    "line {line}, column {column}: {why}; write one JSON object a line with at least `text`"
                )
            }
        }
    }
}

impl std::error::Error for SampleError {}

impl Sample {
    /// The sample that a value holds. `line` is only told in the error.
    pub fn read(value: &Value, line: usize) -> Result<Sample, SampleError> {
        Sample::deserialize(value).or_else(|_| Sample::parse(value.to_string().as_bytes(), line))
    }

    /// The sample that a line, or a file of one object, holds. `line` is only told in the error.
    pub fn parse(bytes: &[u8], line: usize) -> Result<Sample, SampleError> {
        serde_json::from_slice(bytes).map_err(|e| {
            let why = match e.classify() {
                serde_json::error::Category::Eof => "the object ends too early",
                serde_json::error::Category::Data => "a field is missing or of the wrong kind",
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => "this is not JSON",
            };
            SampleError::NotASample { line: line + e.line().saturating_sub(1), column: e.column(), why }
        })
    }
}

/// Reads samples one line at a time. Empty lines are passed over, and so is a byte order mark.
#[derive(Debug)]
pub struct SampleReader<R> {
    input: R,
    line: usize,
    ended: bool,
}

impl<R: BufRead> SampleReader<R> {
    /// Reads from `input`, which need not be trusted.
    pub fn new(input: R) -> SampleReader<R> {
        SampleReader { input, line: 0, ended: false }
    }

    /// The next line without its end; `None` at the end of the file.
    fn read_line(&mut self) -> Option<Result<Vec<u8>, SampleError>> {
        let mut bytes = Vec::new();
        self.line += 1;
        let line = self.line;
        let io = |e: std::io::Error| SampleError::Io { line, cause: e.to_string() };
        match self.input.by_ref().take(MAX_LINE as u64 + 2).read_until(b'\n', &mut bytes) {
            Err(e) => {
                self.ended = true;
                return Some(Err(io(e)));
            }
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(_) => {}
        }
        let whole = bytes.last() == Some(&b'\n');
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        if bytes.len() <= MAX_LINE {
            return Some(Ok(bytes));
        }
        if !whole && let Err(e) = self.input.skip_until(b'\n') {
            self.ended = true;
            return Some(Err(io(e)));
        }
        Some(Err(SampleError::LineTooLong { line }))
    }
}

impl<R: BufRead> Iterator for SampleReader<R> {
    /// A sample with the number of its line, from 1.
    type Item = Result<(usize, Sample), SampleError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let bytes = match self.read_line()? {
                Ok(bytes) => bytes,
                Err(e) => return Some(Err(e)),
            };
            let json =
                if self.line == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes };
            if !json.trim_ascii().is_empty() {
                return Some(Sample::parse(json, self.line).map(|sample| (self.line, sample)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(usize, String), String>> {
        let reader = SampleReader::new(text.as_bytes());
        reader.map(|r| r.map(|(line, s)| (line, s.text)).map_err(|e| e.to_string())).collect()
    }

    #[test]
    fn the_fixtures_are_read_and_written_the_same() {
        let text = include_str!("../../../fixtures/samples.jsonl");
        let samples: Vec<_> = SampleReader::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(samples.len(), 65);
        for ((line, sample), json) in samples.iter().zip(text.lines()) {
            let given: Value = serde_json::from_str(json).unwrap();
            let Value::Object(mut given) = given else { panic!("line {line}") };
            given.retain(|_, v| v != ""); // an empty field and none are one
            assert_eq!(serde_json::to_value(sample).unwrap(), Value::Object(given), "line {line}");
        }
    }

    #[test]
    fn one_bad_line_costs_one_ticket() {
        let long = "x".repeat(MAX_LINE + 1);
        let text = format!(
            "\u{feff}{{\"text\":\"a\"}}\r\n\n{{\"text\":7}}\n{long}\n[]\n{{\"text\":\"b\"}}\n{{\"text\":"
        );
        let ok = |line, text: &str| Ok((line, text.to_owned()));
        let lines = read(&text);
        assert_eq!(lines[0], ok(1, "a"));
        assert!(
            lines[1]
                .as_ref()
                .unwrap_err()
                .starts_with("line 3, column 9: a field is missing or of the wrong kind"),
            "{lines:?}"
        );
        assert!(lines[2].as_ref().unwrap_err().starts_with("line 4: longer than"));
        assert!(lines[3].as_ref().unwrap_err().starts_with("line 5, "));
        assert_eq!(lines[4], ok(6, "b"));
        assert!(lines[5].as_ref().unwrap_err().contains("line 7, column 8: the object ends too early"));
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn the_cap_is_exact_and_memory_is_bounded() {
        let fitting = format!("{{\"text\":\"{}\"}}", "x".repeat(MAX_LINE - 11));
        assert_eq!(fitting.len(), MAX_LINE);
        assert!(read(&format!("{fitting}\r\n"))[0].is_ok());
        assert!(read(&fitting.replace("xx", "xxx"))[0].is_err());
        // A gibibyte without a line end, of which no more than one line is ever held.
        let endless = std::io::BufReader::new(std::io::repeat(b'x').take(1 << 30));
        let results: Vec<_> = SampleReader::new(endless).collect();
        assert_eq!(results, [Err(SampleError::LineTooLong { line: 1 })]);
    }

    #[test]
    fn a_broken_pipe_is_said_once() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("gone"))
            }
        }
        let results: Vec<_> = SampleReader::new(std::io::BufReader::new(Broken)).collect();
        assert_eq!(results, [Err(SampleError::Io { line: 1, cause: "gone".to_owned() })]);
    }

    #[test]
    fn unknown_fields_are_kept_and_errors_quote_nothing() {
        let sample = Sample::parse(br#"{"text":"a","new":{"deep":[1]}}"#, 1).unwrap();
        assert_eq!(sample.others["new"], serde_json::json!({"deep": [1]}));
        let error = Sample::parse(br#"{"text":"a","caller_phone":13800000001}"#, 1).unwrap_err();
        assert!(!error.to_string().contains("138"), "{error}");
        assert!(!format!("{sample:?}").contains("deep"));
    }
}
