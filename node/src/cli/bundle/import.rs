//! `hotline bundle import`: files page by page to the node, and one paragraph about what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{Cli, Session, show};
use super::counted;
use super::medium::{self, Opened};
use super::part::{Part, read_again};
use crate::bundles::BundleRequest;
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Reply, Request};

/// How often pages that wait are tried again: a bundle's parts may come in any order, and each round brings more.
const ROUNDS: usize = 64;

/// What became of one file.
#[derive(Default)]
struct FileReport {
    name: String,
    from: Option<String>,
    to: Option<String>,
    part: Option<u64>,
    pages: u64,
    /// Its last page was there.
    ended: bool,
    missing: u64,
    damaged: bool,
    carried: u64,
    own: bool,
    taken: u64,
    waiting: u64,
    /// Why it, or the rest of it, was not taken.
    wrong: Option<String>,
}

impl FileReport {
    fn outcome(&self) -> &'static str {
        match self {
            _ if self.wrong.is_some() && self.pages == 0 => "refused",
            _ if self.own => "our own",
            _ if self.wrong.is_some() => "refused in part",
            _ if self.carried > 0 && self.is_whole() => "carried on",
            _ if self.carried > 0 => "carried on in part",
            _ if !self.ended && self.pages == 0 => "nothing usable",
            _ if !self.ended => "torn",
            _ if !self.is_whole() => "damaged in part",
            _ => "taken",
        }
    }

    fn is_whole(&self) -> bool {
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

/// The sums over all files.
#[derive(Default)]
struct Sums {
    known: u64,
    refused: Vec<String>,
    answers: u64,
    settled: u64,
    pieces: u64,
    newer: u64,
    equal: BTreeMap<String, bool>,
}

impl Sums {
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

fn ask(session: &mut Session, request: BundleRequest) -> Reply {
    session.ask(&Request::Bundle(request))
}

pub(super) fn import(cli: &Cli, paths: &[PathBuf]) -> Result<(), Failure> {
    let found = medium::find(paths)?;
    if found.is_empty() {
        return Err(Failure::new(FailureKind::Failed, "there is no bundle in these places")
            .hint("bundles end in .hlb; name the directory that holds them"));
    }
    let mut session = Session::open(&cli.dir()?)?;
    let (mut files, mut sums, mut waiting) = (Vec::new(), Sums::default(), Vec::new());
    for path in &found {
        let at = files.len();
        let report = import_file(&mut session, path, at, &mut sums, &mut waiting)?;
        files.push(report);
    }
    try_again(&mut session, &mut files, &mut sums, waiting)?;
    let answers = ask(&mut session, BundleRequest::Taken)?;
    say(cli, &files, &sums, &answers);
    let odd = files.iter().filter(|f| !f.is_whole() || f.wrong.is_some()).count();
    if odd == 0 {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Failed,
        format!("{odd} of {} not taken as a whole", counted(files.len() as u64, "file was", "files were")),
    )
    .hint("nothing wrong was applied; the sender sends again what was lost, with its next bundle"))
}

fn import_file(
    session: &mut Session,
    path: &Path,
    at: usize,
    sums: &mut Sums,
    waiting: &mut Vec<Waiting>,
) -> Result<FileReport, Failure> {
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
    report.to = Some(label.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    report.part = Some(u64::from(label.part));
    let head = hex(&part.head_bytes);
    let mut seen = BTreeSet::new();
    loop {
        let page = match part.next() {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(e) => {
                report.wrong = Some(e.to_string());
                break;
            }
        };
        let (length, request) =
            (page.bytes.len(), BundleRequest::Take { head: head.clone(), page: hex(&page.bytes) });
        let said = match ask(session, request) {
            Ok(said) => said,
            Err(failure)
                if failure.kind == FailureKind::Failed || failure.kind == FailureKind::NeedsPerson =>
            {
                let causes = failure.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
                report.wrong = Some(format!("{failure}{causes}"));
                break;
            }
            Err(failure) => return Err(failure),
        };
        seen.insert(page.index);
        report.pages += 1;
        report.ended |= page.last;
        report.own |= said["own"] == true;
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
    session: &mut Session,
    files: &mut [FileReport],
    sums: &mut Sums,
    mut waiting: Vec<Waiting>,
) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let (mut still, mut gained) = (Vec::new(), false);
        for page in waiting {
            let Ok(bytes) = read_again(&page.path, page.at, page.length) else { continue };
            let request = BundleRequest::Take { head: page.head.clone(), page: hex(&bytes) };
            let said = ask(session, request)?;
            let taken = said["taken"].as_u64().unwrap_or(0);
            let file = &mut files[page.file];
            file.taken += taken;
            file.waiting = file.waiting.saturating_sub(taken);
            gained |= taken > 0;
            if let (Some(from), Some(equal)) = (said["from"].as_str(), said["equal"].as_bool()) {
                sums.equal.insert(from.to_owned(), equal);
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

fn say(cli: &Cli, files: &[FileReport], sums: &Sums, answers: &Value) {
    let words = paragraph(files, sums, answers);
    let sum = |of: fn(&FileReport) -> u64| files.iter().map(of).sum::<u64>();
    if cli.json {
        let files: Vec<Value> = files
            .iter()
            .map(|f| {
                json!({
                    "file": f.name, "from": f.from, "to": f.to, "part": f.part, "outcome": f.outcome(),
                    "pages": f.pages, "missing": f.missing, "torn": !f.ended, "taken": f.taken,
                    "carried": f.carried, "waiting": f.waiting, "wrong": f.wrong,
                })
            })
            .collect();
        return cli.print(&json!({
            "files": files, "taken": sum(|f| f.taken), "known": sums.known, "waiting": sum(|f| f.waiting),
            "refused": sums.refused, "carried": sum(|f| f.carried), "answers": sums.answers,
            "settled": sums.settled, "pieces": sums.pieces, "equal": sums.equal,
            "answers_waiting": answers["answers"], "words": words,
        }));
    }
    let rows: Vec<Value> = files
        .iter()
        .map(|f| {
            json!({
                "file": f.name, "from": f.from, "part": f.part, "outcome": f.outcome(), "new": f.taken,
                "why": f.wrong,
            })
        })
        .collect();
    show::table(&rows);
    show::aside(&words);
}

/// What an operator reads: what was taken, refused, carried on, what waits, and what to do.
fn paragraph(files: &[FileReport], sums: &Sums, answers: &Value) -> String {
    let sum = |of: fn(&FileReport) -> u64| files.iter().map(of).sum::<u64>();
    let count = |is: fn(&FileReport) -> bool| files.iter().filter(|f| is(f)).count() as u64;
    let mut words = format!(
        "Of {} {} came in that {} new here",
        counted(files.len() as u64, "file", "files"),
        counted(sum(|f| f.taken), "item", "items"),
        if sum(|f| f.taken) == 1 { "is" } else { "are" },
    );
    if sums.known > 0 {
        words += &format!(", {} had come before", sums.known);
    }
    words += ".";
    if sums.pieces > 0 {
        words += &format!(" {} of files came.", counted(sums.pieces, "piece", "pieces"));
    }
    if sums.answers > 0 {
        words += &format!(
            " {} to our own bundles came: {} no longer owed.",
            counted(sums.answers, "answer", "answers"),
            counted(sums.settled, "item is", "items are"),
        );
    }
    let carried = count(|f| f.carried > 0);
    if carried > 0 {
        let to: BTreeSet<&str> =
            files.iter().filter(|f| f.carried > 0).filter_map(|f| f.to.as_deref()).collect();
        let to = to.into_iter().collect::<Vec<_>>().join(", ");
        words += &format!(
            " {} for {to}: {} carried on unread, by the next link or bundle that leads there.",
            counted(carried, "file is", "files are"),
            if carried == 1 { "it is" } else { "they are" },
        );
    }
    if count(|f| f.own) > 0 {
        words +=
            &format!(" {} made by this node itself.", counted(count(|f| f.own), "file was", "files were"));
    }
    if sum(|f| f.waiting) > 0 {
        words += &format!(
            " {} for something that is not here yet; the sender is told and sends {} again.",
            counted(sum(|f| f.waiting), "item waits", "items wait"),
            if sum(|f| f.waiting) == 1 { "it" } else { "them" },
        );
    }
    if !sums.refused.is_empty() {
        words += &format!(
            " {} refused, for example: {}.",
            counted(sums.refused.len() as u64, "item was", "items were"),
            sums.refused[0]
        );
    }
    let odd = count(|f| f.wrong.is_none() && !f.is_whole());
    if odd > 0 {
        words += &format!(
            " {} torn or damaged: what was whole of {} is taken, and the rest comes with the sender's next bundle.",
            counted(odd, "file is", "files are"),
            if odd == 1 { "it" } else { "them" },
        );
    }
    if sums.newer > 0 {
        words += " Some of it only a newer version understands: update this program and import again.";
    }
    for (from, equal) in &sums.equal {
        words += &match equal {
            true => format!(" Nothing that {from} held is missing here: that is proved."),
            false => format!(" This node and {from} hold different things; the next bundles find out which."),
        };
    }
    let waiting: Vec<&str> =
        answers["answers"].as_array().into_iter().flatten().filter_map(|a| a["to"].as_str()).collect();
    if !waiting.is_empty() {
        let to = waiting.join(",");
        words += &format!(
            " Next: answers wait for {to}; `hotline bundle export --to {to} --out DIR` takes them along."
        );
    }
    words
}
