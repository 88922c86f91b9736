//! Tables that other programs open: lines of cells, written as CSV or as a spreadsheet ([`book`]). Both are made of one
//! [`Sheet`], so they cannot differ.

pub mod book;

use jiff::civil::Date;

/// A text as it may stand in a cell: on one line, and never a formula. What a ticket says of its channel, and the number that
/// somebody else gave it, are anybody's word, and a program for tables would do what it says.
pub fn plain(text: &str) -> String {
    let line = text.replace(['\r', '\n', '\t'], " ");
    match line.starts_with(['=', '+', '-', '@']) {
        true => format!("'{line}"),
        false => line,
    }
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words, [`plain`] ones: see [`Cell::text`].
    Text(String),
    /// How many.
    Count(u64),
    /// A number.
    Number(f64),
    /// A number with two places.
    Score(f64),
    /// A share, of which 1 is all.
    Share(f64),
    /// A day.
    Day(Date),
}

impl Cell {
    /// Words of anybody; nothing for none.
    pub fn text(words: &str) -> Cell {
        if words.is_empty() { Cell::Empty } else { Cell::Text(plain(words)) }
    }

    /// A day as it is written, as in `2026-11-02`; what is none stays words.
    pub fn day(words: &str) -> Cell {
        let day = words.parse().ok().filter(|day: &Date| day.to_string() == words);
        day.map_or_else(|| Cell::text(words), Cell::Day)
    }

    /// This, or nothing.
    pub fn given<T>(value: Option<T>, cell: impl FnOnce(T) -> Cell) -> Cell {
        value.map_or(Cell::Empty, cell)
    }

    /// As CSV has it.
    fn written(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Count(n) => n.to_string(),
            Cell::Number(value) | Cell::Share(value) => value.to_string(),
            Cell::Score(value) => format!("{value:.2}"),
            Cell::Day(day) => day.to_string(),
        }
    }
}

/// Lines of cells; all have as many as the first, which names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet(Vec<Vec<Cell>>);

impl Sheet {
    /// A sheet whose columns have these names.
    pub fn of<'a>(columns: impl IntoIterator<Item = &'a str>) -> Sheet {
        Sheet(vec![columns.into_iter().map(Cell::text).collect()])
    }

    /// Adds a line.
    pub fn line(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.0.push(cells.into_iter().collect());
    }

    /// All lines as CSV, in memory, where writing them does not fail.
    pub fn csv(&self) -> String {
        let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        for line in &self.0 {
            csv.write_record(line.iter().map(Cell::written)).expect("memory takes what is written");
        }
        let bytes = csv.into_inner().expect("memory takes what is written");
        String::from_utf8(bytes).expect("it was made of texts")
    }
}
