//! Sheets of paper as PDF: each a table with a title, a head, and a foot to sign. It is made where the feature `pdf` was built in.

#[cfg(feature = "pdf")]
mod made;

use crate::request::Failure;

/// A sheet of paper.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// What it is called.
    pub title: String,
    /// What stands under the title.
    pub head: Vec<String>,
    /// What the columns are called. The first `words` of them hold words and the others numbers.
    pub columns: Vec<String>,
    /// How many columns hold words.
    pub words: usize,
    /// The rows, in groups that a thick line divides.
    pub groups: Vec<Vec<Vec<String>>>,
    /// What is to be signed.
    pub foot: Vec<(String, String)>,
    /// Whether it lies across.
    pub across: bool,
}

/// A document of these sheets, each begun on a page of its own. `font` is a file, or `FILE:FACE` of a collection.
#[cfg(feature = "pdf")]
pub fn pdf(title: &str, sheets: &[Sheet], font: Option<&str>) -> Result<Vec<u8>, Failure> {
    made::pdf(title, sheets, font)
}

/// Says that this program makes none.
#[cfg(not(feature = "pdf"))]
pub fn pdf(_: &str, _: &[Sheet], _: Option<&str>) -> Result<Vec<u8>, Failure> {
    Err(Failure::usage("this program was built without PDF").hint(
        "build it with `cargo build --release --features pdf`; `--html FILE` of the forms, and every page of the desk, can be printed",
    ))
}
