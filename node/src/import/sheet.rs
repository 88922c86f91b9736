//! Tables of other systems: CSV as programs for spreadsheets write it, and workbooks (xlsx).
//!
//! ```text
//! file --Sheet::read--> header, rows of text --Sheet::sample--> Sample
//! ```
//!
//! CSV may be UTF-8, UTF-16 with its mark, or GB18030, with commas, semicolons or tabs between fields. A workbook's
//! numbers, dates and truths become the text that a person would type. Files are read whole, up to a cap.

use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use calamine::{Data, Reader, Xlsx};
use serde_json::{Map, Value};

use super::Sample;
use crate::reference::{OwnField, Reference};

/// The largest file that is read, and the most that a workbook may unpack to, in bytes.
const MAX_FILE: u64 = 64 << 20;
const MAX_UNPACKED: u64 = 512 << 20;

/// The most columns, and rows, of one table.
const MAX_COLUMNS: usize = 200;
const MAX_ROWS: usize = 200_000;

/// A table: a header and rows of text.
pub struct Sheet {
    header: Vec<String>,
    rows: Vec<(usize, Vec<String>)>,
}

/// Why a file is no table.
#[derive(Debug)]
pub struct SheetError(String);

impl fmt::Display for SheetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SheetError {}

fn no(why: impl fmt::Display) -> SheetError {
    SheetError(why.to_string())
}

/// Why a row makes no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Our name of the field, or the column's own.
    pub field: String,
    /// What is wrong with it, as a half-sentence with the next step. Never quotes it.
    pub why: String,
}

/// Whether a file of this name is read as a table.
pub fn is_table(file: &Path) -> bool {
    kind(file).is_some()
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Workbook,
}

fn kind(file: &Path) -> Option<Form> {
    let end = file.extension()?.to_str()?.to_ascii_lowercase();
    match end.as_str() {
        "csv" | "tsv" => Some(Form::Text),
        "xlsx" | "xlsm" => Some(Form::Workbook),
        _ => None,
    }
}

impl Sheet {
    /// Reads a file; of a workbook the sheet of this name, else the first.
    pub fn read(file: &Path, sheet: Option<&str>) -> Result<Sheet, SheetError> {
        let mut bytes = Vec::new();
        File::open(file).and_then(|f| f.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(no)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(no(format!("it is larger than {MAX_FILE} bytes: split it")));
        }
        match kind(file) {
            Some(Form::Workbook) => Sheet::of_workbook(bytes, sheet),
            _ if sheet.is_some() => Err(no("a table of text has no sheets: leave --sheet out")),
            _ => Sheet::of_text(&decoded(&bytes)?),
        }
    }

    fn of_text(text: &str) -> Result<Sheet, SheetError> {
        let first = text.lines().next().unwrap_or_default();
        let separator = [',', ';', '\t'].into_iter().max_by_key(|c| (first.matches(*c).count(), *c == ','));
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator.map_or(b',', |c| c as u8))
            .from_reader(text.as_bytes());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(no)?;
            // A record may have many lines; people count those of the file, empty ones too.
            let line = record.position().map_or(0, |place| {
                let rest = text.as_bytes().get(place.byte() as usize..).unwrap_or_default();
                let empty = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
                place.line() as usize + empty.filter(|b| **b == b'\n').count()
            });
            rows.push((line, record.iter().map(str::to_owned).collect()));
            within(rows.len())?;
        }
        Sheet::of_rows(rows)
    }

    fn of_workbook(bytes: Vec<u8>, sheet: Option<&str>) -> Result<Sheet, SheetError> {
        let mut archive =
            zip::ZipArchive::new(Cursor::new(&bytes)).map_err(|_| no("it is no workbook (xlsx)"))?;
        let mut unpacked = 0u64;
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(|_| no("it is no workbook (xlsx)"))?;
            unpacked = unpacked.saturating_add(entry.size());
        }
        if unpacked > MAX_UNPACKED {
            return Err(no(format!("it unpacks to more than {MAX_UNPACKED} bytes: split it")));
        }
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(no)?;
        let names = book.sheet_names();
        let name = match sheet {
            Some(name) if names.iter().any(|n| n == name) => name.to_owned(),
            Some(name) => return Err(no(format!("it has no sheet `{name}`; it has: {}", names.join(", ")))),
            None => names.first().cloned().ok_or_else(|| no("it has no sheet"))?,
        };
        let range = book.worksheet_range(&name).map_err(no)?;
        let top = range.start().map_or(0, |(row, _)| row as usize);
        within(range.height())?;
        let rows =
            range.rows().enumerate().map(|(i, cells)| (top + i + 1, cells.iter().map(text_of).collect()));
        Sheet::of_rows(rows.collect())
    }

    fn of_rows(rows: Vec<(usize, Vec<String>)>) -> Result<Sheet, SheetError> {
        let mut rows = rows.into_iter().filter(|(_, cells)| cells.iter().any(|c| !c.trim().is_empty()));
        let (_, mut header) =
            rows.next().ok_or_else(|| no("it is empty: the first row names the columns"))?;
        while header.last().is_some_and(|name| name.trim().is_empty()) {
            header.pop();
        }
        if header.len() > MAX_COLUMNS {
            return Err(no(format!("it has more than {MAX_COLUMNS} columns: leave some out")));
        }
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Sheet { header, rows: rows.collect() })
    }

    /// The columns' names.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Rows with their places in the file, from 1; empty ones are left out.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[String])> {
        self.rows.iter().map(|(at, cells)| (*at, &cells[..]))
    }

    /// Which fields the columns hold, by our names: of those that everybody knows, or of a field of the centre's own, which its
    /// label names too. A column that nobody knows keeps its own name, and what stands in it goes along as an extra field.
    pub fn fields(&self, reference: &Reference) -> Result<Vec<String>, SheetError> {
        let mut fields: Vec<String> = Vec::new();
        for (name, at) in self.header.iter().zip(1..) {
            let own = || reference.fields.called(name).map(OwnField::name);
            let field = reference.columns.field(name).or_else(own).unwrap_or(name);
            if field.is_empty() {
                return Err(no(format!("its column {at} has no name: name it, or empty it")));
            }
            if let Some(before) = fields.iter().position(|f| f == field) {
                let other = &self.header[before];
                return Err(no(format!(
                    "its columns `{other}` and `{name}` both hold `{field}`: rename one of them"
                )));
            }
            fields.push(field.to_owned());
        }
        if !fields.iter().any(|f| f == "text") {
            return Err(no(format!(
                "none of its columns holds what the caller said; its columns are: {}. Name one `诉求内容` or `text`, or say \
                 what they are in reference/import_columns.csv",
                self.header.join(", ")
            )));
        }
        Ok(fields)
    }

    /// What a row says of a call.
    pub fn sample(fields: &[String], cells: &[String]) -> Result<Sample, RowError> {
        if let Some(more) = cells.get(fields.len()..)
            && more.iter().any(|c| !c.trim().is_empty())
        {
            let why =
                format!("are more than the header's {}; quote fields that hold the separator", fields.len());
            return Err(RowError { field: "fields".to_owned(), why });
        }
        let mut said = Map::new();
        for (field, cell) in fields.iter().zip(cells) {
            let cell = cell.trim();
            let value = match field.as_str() {
                "confidential" => Value::Bool(truth(cell).ok_or_else(|| RowError {
                    field: field.clone(),
                    why: "is neither yes nor no; write 是 or 否".to_owned(),
                })?),
                _ if cell.is_empty() => continue,
                _ => Value::String(cell.to_owned()),
            };
            said.insert(field.clone(), value);
        }
        said.entry("text").or_insert_with(|| Value::String(String::new()));
        serde_json::from_value(Value::Object(said)).map_err(|_| RowError {
            field: "row".to_owned(),
            why: "is not of the shape of a call".to_owned(),
        })
    }
}

fn within(rows: usize) -> Result<(), SheetError> {
    match rows > MAX_ROWS {
        true => Err(no(format!("it has more than {MAX_ROWS} rows: split it"))),
        false => Ok(()),
    }
}

fn truth(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "是" | "保密" | "y" | "yes" | "true" | "1" | "√" => Some(true),
        "" | "否" | "不保密" | "公开" | "n" | "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// The text of a file: by its mark, else UTF-8 if it is that, else GB18030, which Chinese systems write.
fn decoded(bytes: &[u8]) -> Result<String, SheetError> {
    let encoding = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => encoding_rs::UTF_8,
        None => encoding_rs::GB18030,
    };
    let (text, _, wrong) = encoding.decode(bytes);
    match wrong {
        false => Ok(text.into_owned()),
        true => Err(no(format!("it is no text in {}: save it as CSV in UTF-8", encoding.name()))),
    }
}

/// A cell as a person would type it.
fn text_of(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(n) => n.to_string(),
        // Telephone numbers come as floating-point numbers.
        Data::Float(x) if x.fract() == 0.0 && x.abs() < 1e15 => format!("{x:.0}"),
        Data::Float(x) => x.to_string(),
        Data::Bool(true) => "是".to_owned(),
        Data::Bool(false) => "否".to_owned(),
        Data::DateTime(at) if at.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        Data::DateTime(span) => span.as_f64().to_string(),
        Data::Error(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Result<Sheet, SheetError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        Sheet::read(&file, None)
    }

    #[test]
    fn whatever_a_spreadsheet_writes_reads_the_same() {
        let text = "工单编号,诉求内容,联系电话\nA-1,\"出租车,拒载\n两次\",13800000001\n\nA-2,公交晚点,\n";
        let (gbk, _, _) = encoding_rs::GB18030.encode(text);
        let utf16: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let tabs = text.replace(",拒", "，拒").replace(',', "\t").replace('，', ",");
        for (what, bytes) in [
            ("utf-8", text.as_bytes().to_vec()),
            ("with a mark", format!("\u{feff}{text}").into_bytes()),
            ("gb18030", gbk.into_owned()),
            ("utf-16", utf16),
            ("tabs", tabs.into_bytes()),
            ("crlf", text.replace('\n', "\r\n").replace("载\r\n两", "载\n两").into_bytes()),
        ] {
            let sheet = read("a.csv", &bytes).unwrap();
            let fields = sheet.fields(Reference::built_in()).unwrap();
            assert_eq!(fields, ["id", "text", "caller_phone"], "{what}");
            let rows: Vec<(usize, Sample)> =
                sheet.rows().map(|(at, cells)| (at, Sheet::sample(&fields, cells).unwrap())).collect();
            assert_eq!(rows.len(), 2, "{what}");
            assert_eq!((rows[0].0, rows[1].0), (2, 5), "{what}");
            let Sample { id, text, caller_phone, .. } = &rows[0].1;
            assert_eq!((&id[..], &text[..], &caller_phone[..]), ("A-1", "出租车,拒载\n两次", "13800000001"));
        }
    }

    #[test]
    fn what_is_no_table_is_said() {
        for (name, bytes, why) in [
            ("a.csv", &b""[..], "it is empty"),
            ("a.csv", b"\xff\xfe\xff", "no text in UTF-16LE"),
            ("a.csv", b"\x81\x81\xff\xff", "no text in gb18030"),
            ("a.xlsx", b"PK", "no workbook"),
        ] {
            let said = read(name, bytes).map(|_| ()).unwrap_err().to_string();
            assert!(said.contains(why), "{name}: {said}");
        }
        for (text, why) in [
            ("内容,text\na,b\n", "both hold `text`"),
            ("编号,电话\n1,2\n", "none of its columns holds"),
            ("内容,,电话\na,b,c\n", "column 2 has no name"),
        ] {
            let said = read("a.csv", text.as_bytes()).unwrap().fields(Reference::built_in());
            assert!(said.unwrap_err().to_string().contains(why), "{text}");
        }
    }

    #[test]
    fn a_row_that_is_none_is_said() {
        let fields = ["text", "confidential"].map(str::to_owned);
        let cells = |row: &str| row.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(Sheet::sample(&fields, &cells("a,是")).unwrap().confidential);
        assert!(!Sheet::sample(&fields, &cells("a")).unwrap().confidential);
        assert_eq!(Sheet::sample(&fields, &cells("a,也许")).unwrap_err().field, "confidential");
        assert_eq!(Sheet::sample(&fields, &cells("a,是,b")).unwrap_err().field, "fields");
        assert!(Sheet::sample(&fields, &cells("a,是,")).is_ok(), "an empty cell more is none");
    }
}
