//! Sheets as a spreadsheet (xlsx): numbers are numbers, shares per cent, days days, and no text is a formula.

use jiff::civil::Date;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::{Cell, Sheet};
use crate::request::{Failure, FailureKind};

/// Columns are as wide as their longest text, within these bounds, in the width of a digit.
const NARROWEST: usize = 8;
const WIDEST: usize = 60;

/// Sheets under their names, the first on top, as a file's bytes.
pub fn book(sheets: &[(&str, &Sheet)]) -> Result<Vec<u8>, Failure> {
    written(sheets).map_err(|e| {
        Failure::new(FailureKind::Failed, "this is too much for a spreadsheet")
            .because(e)
            .hint("take it as CSV")
    })
}

fn written(sheets: &[(&str, &Sheet)]) -> Result<Vec<u8>, XlsxError> {
    let looks = Looks::default();
    let mut book = Workbook::new();
    for (name, sheet) in sheets {
        let page = book.add_worksheet().set_name(*name)?;
        page.set_freeze_panes(1, 0)?;
        for (row, line) in (0..).zip(&sheet.0) {
            for (column, cell) in (0..).zip(line) {
                looks.write(page, row, column, cell)?;
            }
        }
        for (column, width) in (0..).zip(widths(sheet)) {
            page.set_column_width(column, width as f64)?;
        }
    }
    book.save_to_buffer()
}

/// How cells look.
struct Looks {
    head: Format,
    score: Format,
    share: Format,
    day: Format,
}

impl Default for Looks {
    fn default() -> Looks {
        let numbers = |format: &str| Format::new().set_num_format(format);
        Looks {
            head: Format::new().set_bold(),
            score: numbers("0.00"),
            share: numbers("0.00%"),
            day: numbers("yyyy-mm-dd"),
        }
    }
}

impl Looks {
    fn write(&self, page: &mut Worksheet, row: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
        match cell {
            Cell::Empty => Ok(page),
            Cell::Text(text) if row == 0 => page.write_string_with_format(row, column, text, &self.head),
            Cell::Text(text) => page.write_string(row, column, text),
            Cell::Count(n) => page.write_number(row, column, *n as f64),
            Cell::Number(value) => page.write_number(row, column, *value),
            Cell::Score(value) => page.write_number_with_format(row, column, *value, &self.score),
            Cell::Share(value) => page.write_number_with_format(row, column, *value, &self.share),
            Cell::Day(day) => match serial(*day) {
                Some(serial) => page.write_datetime_with_format(row, column, serial, &self.day),
                // Spreadsheets know no day before 1900.
                None => page.write_string(row, column, day.to_string()),
            },
        }
        .map(|_| ())
    }
}

fn serial(day: Date) -> Option<ExcelDateTime> {
    let of = |n: i8| u8::try_from(n).ok();
    ExcelDateTime::from_ymd(u16::try_from(day.year()).ok()?, of(day.month())?, of(day.day())?).ok()
}

fn widths(sheet: &Sheet) -> Vec<usize> {
    let mut widths = Vec::new();
    for line in &sheet.0 {
        widths.resize(line.len().max(widths.len()), NARROWEST);
        for (width, cell) in widths.iter_mut().zip(line) {
            // What is no ASCII is mostly Chinese, and as wide as two digits.
            let wide = cell.written().chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>() + 1;
            *width = wide.clamp(*width, WIDEST);
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_no_text_is_a_formula() {
        let mut sheet = Sheet::of(["day", "名称", "n", "share", "score", "seconds", "nothing"]);
        for (words, n) in [("=1+1", 0), ("+86", 1), ("-x", 2), ("@SUM(A1)", 1 << 40), ("出租车\n拒载", 7)]
        {
            sheet.line([
                Cell::day("2026-11-30"),
                Cell::text(words),
                Cell::Count(n),
                Cell::Share(0.666_667),
                Cell::Score(90.0),
                Cell::Number(7.835_937),
                Cell::text(""),
            ]);
        }
        sheet.line([
            Cell::day("1899-12-31"),
            Cell::day("=day"),
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
        ]);
        let meanings = Sheet::of(["figure"]);
        let bytes = book(&[("figures", &sheet), ("definitions", &meanings)]).unwrap();
        let mut read = Xlsx::new(Cursor::new(bytes)).unwrap();
        assert_eq!(read.sheet_names(), ["figures", "definitions"]);
        let cells = read.worksheet_range("figures").unwrap();
        let shown = |data: &Data| match data {
            Data::Empty => String::new(),
            Data::String(text) => text.clone(),
            Data::Float(value) => value.to_string(),
            Data::DateTime(at) => {
                let (year, month, day, ..) = at.to_ymd_hms_milli();
                format!("{year}-{month:02}-{day:02}")
            }
            other => panic!("{other:?}"),
        };
        for (row, line) in sheet.0.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                let expected = if let Cell::Score(value) = cell { value.to_string() } else { cell.written() };
                let found = cells.get((row, column)).map(shown).unwrap_or_default();
                assert_eq!(found, expected, "{row}, {column}");
            }
        }
        assert!(read.worksheet_formula("figures").unwrap().is_empty());
        assert!(
            matches!(cells.get((1, 0)), Some(Data::DateTime(_)))
                && matches!(cells.get((1, 1)), Some(Data::String(text)) if text == "'=1+1")
        );
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut sheet = Sheet::of(["a", "名称与依据"]);
        sheet.line([Cell::text(&"x".repeat(100)), Cell::Count(1)]);
        assert_eq!(widths(&sheet), [WIDEST, 11]);
    }

    #[test]
    fn what_no_spreadsheet_holds_is_refused_in_words() {
        let sheet = Sheet::of(["x".repeat(40_000).as_str()]);
        assert!(book(&[("a", &sheet)]).unwrap_err().message.contains("too much"));
    }
}
