//! Cells of tables that other programs open.

/// A text as it may stand in a cell: on one line, and never a formula. What a ticket says of its channel, and the number that
/// somebody else gave it, are anybody's word, and a program for tables would do what it says.
pub fn plain(text: &str) -> String {
    let line = text.replace(['\r', '\n', '\t'], " ");
    match line.starts_with(['=', '+', '-', '@']) {
        true => format!("'{line}"),
        false => line,
    }
}
