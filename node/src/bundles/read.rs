//! Files into a node, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::medium::{self, Opened};
use super::part::{Part, read_again};
use super::{BundleRequest, joined};
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Reply};

/// How often pages that wait are tried again: a bundle's parts may come in any order, and each round brings more.
const ROUNDS: usize = 64;

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// Who made it, by its label.
    pub from: Option<String>,
    /// Whom it is for.
    pub to: Option<String>,
    /// Which part of an export it is.
    pub part: Option<u64>,
    /// How many of its pages were whole.
    pub pages: u64,
    /// Its last page was there.
    pub ended: bool,
    /// Pages before the last whole one that are not.
    pub missing: u64,
    /// Some of its bytes are not what was written.
    pub damaged: bool,
    /// Pages that are carried on.
    pub carried: u64,
    /// This node can read it.
    pub for_us: bool,
    /// This node made it.
    pub own: bool,
    /// Items that are new here.
    pub taken: u64,
    /// Items that wait.
    pub waiting: u64,
    /// Why it, or the rest of it, was not taken.
    pub wrong: Option<String>,
}

impl FileReport {
    /// In a word or two.
    pub fn outcome(&self) -> &'static str {
        match self {
            _ if self.wrong.is_some() && self.pages == 0 => "refused",
            _ if self.own => "our own",
            _ if self.wrong.is_some() => "refused in part",
            _ if !self.for_us && self.carried > 0 && self.is_whole() => "carried on",
            _ if !self.for_us && self.carried > 0 => "carried on in part",
            _ if !self.ended && self.pages == 0 => "nothing usable",
            _ if !self.ended => "torn",
            _ if !self.is_whole() => "damaged in part",
            _ => "taken",
        }
    }

    /// Everything of it was there.
    pub fn is_whole(&self) -> bool {
        self.ended && self.missing == 0 && !self.damaged
    }
}

/// A page of which something waits.
struct Waiting {
    path: PathBuf,
    file: usize,
    head: String,
    at: u64,
    length: usize,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// File by file.
    pub files: Vec<FileReport>,
    /// Items that were here already.
    pub known: u64,
    /// Why items were refused.
    pub refused: Vec<String>,
    /// Answers to bundles of this node.
    pub answers: u64,
    /// Items that are no longer owed because of them.
    pub settled: u64,
    /// New pieces of files.
    pub pieces: u64,
    /// Frames of a newer version.
    pub newer: u64,
    /// With whom sets were compared, and whether they are equal but for what is owed.
    pub equal: BTreeMap<String, bool>,
    /// For whom answers wait here.
    pub answers_for: Vec<String>,
}

impl Report {
    /// Items that are new here.
    pub fn taken(&self) -> u64 {
        self.files.iter().map(|f| f.taken).sum()
    }

    /// Items that wait for something.
    pub fn waiting(&self) -> u64 {
        self.files.iter().map(|f| f.waiting).sum()
    }

    /// Files that were not taken as a whole.
    pub fn odd(&self) -> u64 {
        self.files.iter().filter(|f| !f.is_whole() || f.wrong.is_some()).count() as u64
    }

    fn add(&mut self, said: &Value) {
        let number = |name: &str| said[name].as_u64().unwrap_or(0);
        self.known += number("known");
        self.answers += number("answers");
        self.settled += number("settled");
        self.pieces += number("pieces");
        self.newer += number("unknown");
        let refused = said["refused"].as_array().into_iter().flatten();
        self.refused.extend(refused.filter_map(|r| r.as_str().map(str::to_owned)));
        if let (Some(from), Some(equal)) = (said["from"].as_str(), said["equal"].as_bool()) {
            self.equal.insert(from.to_owned(), equal);
        }
    }
}

/// Takes in the bundles that these paths name, in any order, as often as anybody likes.
pub fn read(ask: &mut dyn FnMut(BundleRequest) -> Reply, paths: &[PathBuf]) -> Result<Report, Failure> {
    let found = medium::find(paths)?;
    if found.is_empty() {
        return Err(Failure::new(FailureKind::Failed, "there is no bundle in these places")
            .hint("bundles end in .hlb; name the directory that holds them"));
    }
    let (mut report, mut waiting) = (Report::default(), Vec::new());
    for path in &found {
        let file = read_file(ask, path, &mut report, &mut waiting)?;
        report.files.push(file);
    }
    try_again(ask, &mut report, waiting)?;
    let taken = ask(BundleRequest::Taken)?;
    let peers = taken["answers"].as_array().into_iter().flatten();
    report.answers_for = peers.filter_map(|a| a["to"].as_str().map(str::to_owned)).collect();
    Ok(report)
}

fn read_file(
    ask: &mut dyn FnMut(BundleRequest) -> Reply,
    path: &Path,
    sums: &mut Report,
    waiting: &mut Vec<Waiting>,
) -> Result<FileReport, Failure> {
    let at = sums.files.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut report = FileReport { name, ..FileReport::default() };
    let file = match medium::open(path)? {
        Opened::File(file, _) => file,
        Opened::Not(why) => {
            report.wrong = Some(why);
            return Ok(report);
        }
    };
    let mut part = match Part::open(file) {
        Ok(part) => part,
        Err(e) => {
            report.wrong = Some(e.to_string());
            return Ok(report);
        }
    };
    let label = &part.head.label;
    report.from = Some(label.from.to_string());
    report.to = Some(joined(&label.to));
    report.part = Some(u64::from(label.part));
    let head = hex(&part.head_bytes);
    let mut seen = BTreeSet::new();
    loop {
        let page = match part.next_page() {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(e) => {
                report.wrong = Some(e.to_string());
                break;
            }
        };
        let (length, request) =
            (page.bytes.len(), BundleRequest::Take { head: head.clone(), page: hex(&page.bytes) });
        let said = ask(request)?;
        if let Some(why) = said["not_taken"].as_str() {
            report.wrong = Some(why.to_owned());
            break;
        }
        seen.insert(page.index);
        report.pages += 1;
        report.ended |= page.last;
        report.own |= said["own"] == true;
        report.for_us |= said["for_us"] == true;
        report.carried += u64::from(said["carried"] == true);
        report.taken += said["taken"].as_u64().unwrap_or(0);
        if let Some(wrong) = said["wrong"].as_str() {
            report.wrong = Some(wrong.to_owned());
        }
        match said["waiting"].as_u64().unwrap_or(0) {
            0 => {}
            n => {
                report.waiting += n;
                waiting.push(Waiting {
                    path: path.to_owned(),
                    file: at,
                    head: head.clone(),
                    at: page.at,
                    length,
                });
            }
        }
        sums.add(&said);
    }
    report.missing = seen.last().map_or(0, |last| u64::from(*last) + 1 - seen.len() as u64);
    report.damaged = part.damaged > 0 || part.head_damaged;
    Ok(report)
}

/// Takes pages of which something waited in again, as long as that brings something.
fn try_again(
    ask: &mut dyn FnMut(BundleRequest) -> Reply,
    report: &mut Report,
    mut waiting: Vec<Waiting>,
) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let (mut still, mut gained) = (Vec::new(), false);
        for page in waiting {
            let Ok(bytes) = read_again(&page.path, page.at, page.length) else { continue };
            let request = BundleRequest::Take { head: page.head.clone(), page: hex(&bytes) };
            let said = ask(request)?;
            let taken = said["taken"].as_u64().unwrap_or(0);
            let file = &mut report.files[page.file];
            file.taken += taken;
            file.waiting = file.waiting.saturating_sub(taken);
            gained |= taken > 0;
            if let (Some(from), Some(equal)) = (said["from"].as_str(), said["equal"].as_bool()) {
                report.equal.insert(from.to_owned(), equal);
            }
            if said["waiting"].as_u64().unwrap_or(0) > 0 {
                still.push(page);
            }
        }
        waiting = still;
        if waiting.is_empty() || !gained {
            break;
        }
    }
    Ok(())
}
