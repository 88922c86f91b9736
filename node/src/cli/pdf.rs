//! `--pdf FILE`: a table as sheets of paper.

use std::path::PathBuf;

use clap::Args;

use super::save;
use crate::pdf::{Sheet, pdf};
use crate::request::Failure;

#[derive(Debug, Args)]
pub(super) struct PdfArgs {
    /// Into a PDF, on A4; of programs that were built with the feature `pdf`.
    #[arg(long, value_name = "FILE.pdf")]
    pub(super) pdf: Option<PathBuf>,
    /// The font of the PDF, and which face of a collection; without it that of Debian's fonts-noto-cjk.
    #[arg(long, env = "HOTLINE_FONT", value_name = "FILE[:FACE]")]
    font: Option<String>,
}

impl PdfArgs {
    /// Saves these sheets if a PDF is wanted; whether it is.
    pub(super) fn save(&self, title: &str, sheets: impl FnOnce() -> Vec<Sheet>) -> Result<bool, Failure> {
        let Some(file) = &self.pdf else { return Ok(false) };
        save(file, &pdf(title, &sheets(), self.font.as_deref())?)?;
        Ok(true)
    }
}
