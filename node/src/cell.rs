//! Tables that other programs open: cells, and lines of them.

/// A text as it may stand in a cell: on one line, and never a formula. What a ticket says of its channel, and the number that
/// somebody else gave it, are anybody's word, and a program for tables would do what it says.
pub fn plain(text: &str) -> String {
    let line = text.replace(['\r', '\n', '\t'], " ");
    match line.starts_with(['=', '+', '-', '@']) {
        true => format!("'{line}"),
        false => line,
    }
}

/// Lines of cells as CSV, in memory, where writing them does not fail.
pub struct Sheet(csv::Writer<Vec<u8>>);

impl Default for Sheet {
    fn default() -> Sheet {
        Sheet(csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new()))
    }
}

impl Sheet {
    /// Adds a line; all have as many cells as the first.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.write_record(cells.into_iter().collect::<Vec<_>>()).expect("memory takes what is written");
    }

    /// All lines.
    pub fn end(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes what is written");
        String::from_utf8(bytes).expect("it was made of texts")
    }
}
