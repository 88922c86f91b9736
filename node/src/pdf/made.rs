//! How a sheet becomes a PDF: pages of marks, which know nothing of PDF, and marks drawn with a font of the operator's, of which what is
//! used is embedded, so a page looks the same everywhere.
//!
//! *Assumes*: digits of a font are as wide as those of Noto Sans CJK. With another one columns of numbers stand a little uneven.

use std::path::{Path, PathBuf};

use krilla::Document;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::text::{Font, TextDirection};

use super::Sheet;
use crate::request::{Failure, FailureKind};

/// Where Debian's fonts-noto-cjk puts its font, and which face of it is for simplified Chinese.
const USUAL: (&str, u32) = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2);

/// The largest font file.
const MAX_FONT: u64 = 64 << 20;

/// A4 in points, and its margin.
const A4: [f32; 2] = [595.0, 842.0];
const MARGIN: f32 = 48.0;

/// Sizes of letters: of a title, of a table unless it is too wide, and the least.
const TITLE: f32 = 15.0;
const USUAL_SIZE: f32 = 10.0;
const LEAST_SIZE: f32 = 5.5;

/// From one line to the next, and what is between a cell's border and its words, in sizes of letters.
const LEADING: f32 = 1.4;
const PADDING: f32 = 0.5;

/// The widest that a column's name makes it, in sizes of letters: longer ones take several lines.
const NAME: f32 = 5.0;

/// A font: a file, and which face of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FontFile {
    path: PathBuf,
    face: u32,
}

impl FontFile {
    /// `FILE` or `FILE:FACE`; without either the usual one.
    fn read(given: Option<&str>) -> FontFile {
        let Some(text) = given else { return FontFile { path: USUAL.0.into(), face: USUAL.1 } };
        match text.rsplit_once(':').map(|(path, face)| (path, face.parse())) {
            Some((path, Ok(face))) => FontFile { path: path.into(), face },
            _ => FontFile { path: text.into(), face: 0 },
        }
    }

    fn load(&self) -> Result<Font, Failure> {
        let FontFile { path, face } = self;
        let wrong = |why: String| {
            Failure::new(FailureKind::Configuration, format!("{} cannot be used as a font", path.display()))
                .because(why)
                .hint("name one with Chinese letters: --font FILE, or --font FILE:FACE of a collection; Debian's fonts-noto-cjk has one")
        };
        let bytes = read(path).map_err(|e| wrong(e.to_string()))?;
        Font::new(bytes.into(), *face).ok_or_else(|| wrong(format!("it has no face {face} that can be read")))
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FONT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FONT {
        true => Err(std::io::Error::other(format!("it is larger than {MAX_FONT} bytes"))),
        false => Ok(bytes),
    }
}

/// A document of these sheets, each begun on a page of its own.
pub(super) fn pdf(title: &str, sheets: &[Sheet], font: Option<&str>) -> Result<Vec<u8>, Failure> {
    let font = FontFile::read(font).load()?;
    let failed = |e: String| Failure::new(FailureKind::Failed, "the PDF cannot be made").because(e);
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()).language("zh-CN".to_owned()));
    for sheet in sheets {
        for marks in pages(sheet) {
            let [width, height] = size(sheet);
            let settings =
                PageSettings::from_wh(width, height).ok_or_else(|| failed("no page".to_owned()))?;
            let mut page = document.start_page_with(settings);
            let mut surface = page.surface();
            for mark in marks {
                match mark {
                    Mark::Words { x, y, size, text } => {
                        let at = Point::from_xy(x, y);
                        surface.draw_text(at, font.clone(), size, &text, false, TextDirection::LeftToRight);
                    }
                    Mark::Line { x, y, width, height } => {
                        let mut path = PathBuilder::new();
                        path.push_rect(
                            Rect::from_xywh(x, y, width, height)
                                .ok_or_else(|| failed("no line".to_owned()))?,
                        );
                        surface.draw_path(&path.finish().ok_or_else(|| failed("no line".to_owned()))?);
                    }
                }
            }
            surface.finish();
            page.finish();
        }
    }
    document.finish().map_err(|e| failed(format!("{e:?}")))
}

/// What stands on a page: words from their base line on, and lines as thin boxes.
#[derive(Clone, Debug, PartialEq)]
enum Mark {
    Words { x: f32, y: f32, size: f32, text: String },
    Line { x: f32, y: f32, width: f32, height: f32 },
}

fn size(sheet: &Sheet) -> [f32; 2] {
    if sheet.across { [A4[1], A4[0]] } else { A4 }
}

/// How wide a text is, in sizes of letters: what is no ASCII is a Chinese letter.
fn width(text: &str) -> f32 {
    let one = |letter: char| match letter {
        '%' => 0.92,
        '.' | ':' => 0.28,
        ' ' => 0.22,
        '-' => 0.35,
        letter if letter.is_ascii() => 0.56,
        _ => 1.0,
    };
    text.chars().map(one).sum()
}

/// A text in lines that are no wider than this.
fn lines(text: &str, most: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for letter in text.chars() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && width(line) + width(&letter.to_string()) > most);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(letter);
        }
    }
    lines
}

/// The widths of columns in sizes of letters, without what is left over.
fn columns(sheet: &Sheet) -> Vec<f32> {
    let cells = |column: usize| sheet.groups.iter().flatten().filter_map(move |row| row.get(column));
    let widest = |column: usize| cells(column).map(|cell| width(cell)).fold(0.0, f32::max);
    let column = |(i, name): (usize, &String)| widest(i).max(width(name).min(NAME)) + 2.0 * PADDING;
    sheet.columns.iter().enumerate().map(column).collect()
}

/// A page that is being filled from above.
struct Filling {
    pages: Vec<Vec<Mark>>,
    y: f32,
}

impl Filling {
    fn words(&mut self, x: f32, size: f32, text: &str) {
        let y = self.y;
        self.mark(Mark::Words { x, y, size, text: text.to_owned() });
    }

    fn line(&mut self, thick: f32, width: f32) {
        let y = self.y;
        self.mark(Mark::Line { x: MARGIN, y, width, height: thick });
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// A row: its cells in lines, words from the left and numbers from the right.
    fn row(&mut self, cells: &[String], widths: &[f32], words: usize, size: f32) {
        let cells: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, wide)| lines(cell, wide / size - 2.0 * PADDING)).collect();
        let top = self.y;
        let mut x = MARGIN;
        for (i, (cell, wide)) in cells.iter().zip(widths).enumerate() {
            self.y = top;
            for line in cell {
                self.y += size * LEADING;
                let indent = if i < words { PADDING * size } else { wide - (PADDING + width(line)) * size };
                self.words(x + indent, size, line);
            }
            x += wide;
        }
        self.y = top + height(&cells, size);
    }
}

fn height(cells: &[Vec<String>], size: f32) -> f32 {
    let most = cells.iter().map(Vec::len).max().unwrap_or(1);
    most as f32 * size * LEADING + PADDING * size
}

/// The marks of a sheet, page by page: a table that is too long goes on with its columns' names.
fn pages(sheet: &Sheet) -> Vec<Vec<Mark>> {
    let [page_width, page_height] = size(sheet);
    let whole = page_width - 2.0 * MARGIN;
    let natural = columns(sheet);
    let sum = natural.iter().sum::<f32>().max(1.0);
    let letters = (whole / sum).clamp(LEAST_SIZE, USUAL_SIZE);
    let widths: Vec<f32> = natural.iter().map(|wide| wide / sum * whole).collect();
    let mut page = Filling { pages: vec![Vec::new()], y: MARGIN + TITLE };
    page.words(((page_width - width(&sheet.title) * TITLE) / 2.0).max(MARGIN), TITLE, &sheet.title);
    page.y += 10.0;
    for said in &sheet.head {
        page.y += USUAL_SIZE * LEADING;
        page.words(MARGIN, USUAL_SIZE, said);
    }
    page.y += USUAL_SIZE;
    let names = |page: &mut Filling| {
        page.line(1.0, whole);
        page.row(&sheet.columns, &widths, sheet.words, letters);
    };
    names(&mut page);
    for group in &sheet.groups {
        page.line(1.0, whole);
        for row in group {
            if page.y > page_height - MARGIN - 3.0 * letters * LEADING {
                page.line(1.0, whole);
                page.pages.push(Vec::new());
                page.y = MARGIN;
                names(&mut page);
            }
            page.line(0.4, whole);
            page.row(row, &widths, sheet.words, letters);
        }
    }
    page.line(1.0, whole);
    if page.y > page_height - MARGIN - 8.0 * USUAL_SIZE {
        page.pages.push(Vec::new());
        page.y = MARGIN;
    }
    page.y += 2.0 * USUAL_SIZE;
    // Three of a line, each with room for a signature.
    for three in sheet.foot.chunks(3) {
        page.y += 2.5 * USUAL_SIZE;
        for (i, (name, said)) in three.iter().enumerate() {
            let x = MARGIN + i as f32 * whole / 3.0;
            page.words(x, USUAL_SIZE, &format!("{name}: {said}"));
            let (from, y) = ((width(name) + 0.8) * USUAL_SIZE, page.y + 3.0);
            page.mark(Mark::Line {
                x: x + from,
                y,
                width: (whole / 3.0 - from - 8.0).max(20.0),
                height: 0.4,
            });
        }
    }
    page.pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(rows: usize) -> Sheet {
        let row = |n: usize| vec![format!("城市客运{n}"), n.to_string(), "12.50 %".to_owned()];
        Sheet {
            title: "12328 季报".to_owned(),
            head: vec!["填报单位: 济南市".to_owned()],
            columns: ["项目", "数量", "投诉举报限时办结率"].map(str::to_owned).to_vec(),
            words: 1,
            groups: vec![(0..rows).map(row).collect()],
            foot: vec![("单位负责人".to_owned(), String::new()), ("填表人".to_owned(), "李四".to_owned())],
            across: false,
        }
    }

    #[test]
    fn a_long_table_goes_on_with_its_columns_names_and_stays_on_the_paper() {
        let pages = pages(&sheet(120));
        assert!(pages.len() > 2, "{}", pages.len());
        for page in &pages {
            let within = |mark: &Mark| match mark {
                Mark::Words { x, y, size, text } => {
                    *x >= MARGIN - 1.0
                        && x + width(text) * size <= A4[0] - MARGIN + 1.0
                        && *y <= A4[1] - MARGIN / 2.0
                }
                Mark::Line { x, y, width, .. } => x + width <= A4[0] - MARGIN + 1.0 && *y <= A4[1],
            };
            assert!(page.iter().all(within), "{page:?}");
        }
        let named = |page: &&Vec<Mark>| {
            page.iter().any(|mark| matches!(mark, Mark::Words { text, .. } if text == "项目"))
        };
        assert!(pages.iter().filter(named).count() >= pages.len() - 1, "but for one that has the foot alone");
        assert_eq!(super::pages(&sheet(9)).len(), 1);
    }

    #[test]
    fn a_font_is_a_file_and_a_face_of_it() {
        let read = |text: &str| FontFile::read(Some(text));
        assert_eq!(read("/a/b.ttc:2"), FontFile { path: "/a/b.ttc".into(), face: 2 });
        assert_eq!(read("/a:b/c.otf"), FontFile { path: "/a:b/c.otf".into(), face: 0 });
        let failure = pdf("x", &[sheet(1)], Some("/nowhere/x.ttf")).unwrap_err();
        assert!(failure.to_string().contains("/nowhere/x.ttf") && failure.hint.unwrap().contains("--font"));
    }

    /// Where there is the usual font, and a program that reads a PDF, the words come back.
    #[test]
    fn chinese_words_come_back_out_of_a_real_file() {
        let skip = |what: &str| {
            assert!(std::env::var_os("HOTLINE_CI").is_none(), "there is no {what}");
            eprintln!("skipped: there is no {what}");
        };
        if !Path::new(USUAL.0).exists() {
            return skip(USUAL.0);
        }
        let bytes = pdf("季报", &[sheet(9), sheet(3)], None).unwrap();
        assert!(
            bytes.starts_with(b"%PDF-") && bytes.len() < 200_000,
            "a part of the font: {} bytes",
            bytes.len()
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pdf");
        std::fs::write(&file, bytes).unwrap();
        let Ok(read) = std::process::Command::new("pdftotext").args(["-layout"]).arg(&file).arg("-").output()
        else {
            return skip("pdftotext");
        };
        let words = String::from_utf8(read.stdout).unwrap();
        for expected in ["12328 季报", "填报单位: 济南市", "城市客运8", "12.50 %", "填表人: 李四"]
        {
            assert!(words.contains(expected), "{expected}: {words}");
        }
        assert_eq!(words.matches('\u{c}').count(), 2, "a page each");
    }
}
