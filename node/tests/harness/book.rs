//! A spreadsheet beside the CSV of the same table: cell for cell the same.

use std::path::Path;

use calamine::{Data, Reader, Xlsx, open_workbook};

/// A cell as CSV has it.
fn written(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Float(value) => value.to_string(),
        Data::DateTime(at) => {
            let (year, month, day, ..) = at.to_ymd_hms_milli();
            format!("{year}-{month:02}-{day:02}")
        }
        other => panic!("{other:?}"),
    }
}

/// Compares the first sheet of a file with a CSV; the names of all sheets.
///
/// # Panics
/// Where they differ.
pub fn same(file: &Path, csv: &str) -> Vec<String> {
    let mut book: Xlsx<_> = open_workbook(file).unwrap();
    let names = book.sheet_names();
    let sheet = book.worksheet_range(&names[0]).unwrap();
    let mut lines = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
    let mut count = 0;
    for (row, line) in lines.records().enumerate() {
        for (column, text) in line.unwrap().iter().enumerate() {
            let found = sheet.get((row, column)).map(written).unwrap_or_default();
            // 90.00 is 90 there, shown with two places.
            let number = |text: &str| text.parse::<f64>().ok();
            let equal = found == text || number(&found).is_some_and(|found| Some(found) == number(text));
            assert!(equal, "{row}, {column}: `{found}` and not `{text}`");
        }
        count += 1;
    }
    assert_eq!(sheet.height(), count);
    assert!(book.worksheet_formula(&names[0]).unwrap().is_empty());
    names
}
