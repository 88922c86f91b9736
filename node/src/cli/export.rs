//! `hotline replica export`: everything that a node holds, in formats that outlive this program.
//!
//! ```text
//! DIR/README.txt       what is here, of which node, and how it is read
//! DIR/tickets.jsonl    a ticket a line, as `ticket show --json` prints it; callers with --reveal only
//! DIR/files.jsonl      a file a line: its ticket, name, type, size, and where it lies below, or why it does not
//! DIR/files/ID/NAME    the files of a ticket, as they were attached
//! DIR/articles.jsonl   an article a line with all its versions, drafts and what was withdrawn too
//! DIR/audit.jsonl      the desk's audit log, the oldest line first
//! DIR/reveals.jsonl    who was shown whose data, and why
//! DIR/SHA256SUMS       checked by `sha256sum -c`
//! ```
//!
//! It is made beside its place and appears there whole or not at all. The node works on meanwhile: a ticket is as it is
//! when its line is written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest;
use serde_json::{Value, json};

use super::{Cli, Session, files, user};
use crate::china::shown_time;
use crate::daemon::now_ms;
use crate::files::FileRequest;
use crate::hex::hex;
use crate::knowledge::request::KnowledgeRequest;
use crate::request::{Failure, FailureKind, Request};
use crate::users::DATABASE;

/// Tickets and articles that are read at once.
const PORTION: usize = 500;

/// Lines of the audit log that are read at once.
const LINES: usize = 10_000;

/// A directory in the making; unless it was finished it is removed.
struct Making {
    beside: PathBuf,
    to: PathBuf,
    /// The files in it, by their paths within.
    made: Vec<String>,
}

/// A file of lines.
struct Lines {
    name: &'static str,
    file: BufWriter<File>,
    count: u64,
}

fn failed(path: &Path, e: std::io::Error) -> Failure {
    Failure::new(FailureKind::Failed, format!("{} cannot be written", path.display())).because(e)
}

impl Lines {
    fn put(&mut self, line: &Value) -> Result<(), Failure> {
        self.count += 1;
        writeln!(self.file, "{line}").map_err(|e| failed(Path::new(self.name), e))
    }
}

impl Making {
    fn begin(to: &Path) -> Result<Making, Failure> {
        let there = |what: &str| {
            Failure::new(FailureKind::Usage, format!("{} {what}", to.display()))
                .hint("name a directory that is not there yet: --out DIR")
        };
        let name = to.file_name().ok_or_else(|| there("is no name of a directory"))?;
        if to.symlink_metadata().is_ok() {
            return Err(there("is there already"));
        }
        let beside = to.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        DirBuilder::new().mode(0o700).create(&beside).map_err(|e| failed(&beside, e))?;
        Ok(Making { beside, to: to.to_owned(), made: Vec::new() })
    }

    fn create(&mut self, name: &str) -> Result<File, Failure> {
        let path = self.beside.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        self.made.push(name.to_owned());
        file.map_err(|e| failed(&path, e))
    }

    fn lines(&mut self, name: &'static str) -> Result<Lines, Failure> {
        Ok(Lines { name, file: BufWriter::new(self.create(name)?), count: 0 })
    }

    /// A file is on the disk when this returns.
    fn end(&self, lines: Lines) -> Result<u64, Failure> {
        let Lines { name, file, count } = lines;
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(|e| failed(&self.beside.join(name), e))?;
        Ok(count)
    }

    /// Where the files of a ticket lie.
    fn of_ticket(&self, id: &str) -> Result<PathBuf, Failure> {
        let folder = self.beside.join("files").join(id);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| failed(&folder, e))?;
        Ok(folder)
    }

    /// Writes the checksums, and puts the directory into its place.
    fn finish(mut self) -> Result<(), Failure> {
        let mut sums = String::new();
        self.made.sort_unstable();
        for name in &self.made {
            let path = self.beside.join(name);
            let sum = sha256(&path).map_err(|e| failed(&path, e))?;
            sums.push_str(&format!("{sum}  {name}\n"));
        }
        let mut file = self.create("SHA256SUMS")?;
        file.write_all(sums.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&self.beside, &self.to))
            .and_then(|()| match self.to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => File::open(".")?.sync_all(),
            })
            .map_err(|e| failed(&self.to, e))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.beside); // it is not there any more when it was finished
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut context) = (File::open(path)?, digest::Context::new(&digest::SHA256));
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex(context.finish().as_ref())),
            n => context.update(&bytes[..n]),
        }
    }
}

/// Whether the node says that it has no key, or not yet; anything else ends the export.
fn is_closed(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Failed | FailureKind::NeedsPerson | FailureKind::Absent)
}

pub(super) fn export(cli: &Cli, out: &Path, reveal: Option<&str>) -> Result<(), Failure> {
    if reveal.is_some() && cli.user.is_none() {
        return Err(Failure::new(FailureKind::Usage, "personal data is shown to a named person only")
            .hint("say who asks: --user NAME"));
    }
    let mut making = Making::begin(out)?;
    let mut session = Session::open(&cli.dir()?)?;
    let (tickets, callers, attached, saved) = tickets(cli, &mut session, &mut making, reveal)?;
    let articles = articles(&mut session, &mut making)?;
    let reveals = reveals(&mut session, &mut making)?;
    drop(session);
    let audit = audit(cli, &mut making)?;
    let counted = json!({
        "tickets": tickets, "callers": callers, "files": attached, "files_saved": saved, "articles": articles,
        "reveals": reveals, "audit_lines": audit,
    });
    let mut file = making.create("README.txt")?;
    let said = about(&counted, reveal.is_some());
    file.write_all(said.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| failed(out, e))?;
    making.finish()?;
    let mut told = counted;
    told["out"] = out.display().to_string().into();
    cli.print(&told);
    Ok(())
}

/// Tickets, how many of them with a caller, files, and how many of them lie in the directory.
fn tickets(
    cli: &Cli,
    session: &mut Session,
    making: &mut Making,
    reveal: Option<&str>,
) -> Result<(u64, u64, u64, u64), Failure> {
    let (mut lines, mut rows) = (making.lines("tickets.jsonl")?, making.lines("files.jsonl")?);
    let (mut callers, mut saved, mut after) = (0, 0, None);
    let (reveal, user) = (reveal.map(str::to_owned), cli.user.clone());
    loop {
        let page = session.ask(&Request::Export { after, limit: PORTION })?;
        for ticket in page["tickets"].as_array().into_iter().flatten() {
            let id = ticket["id"].as_str().unwrap_or_default();
            let mut line = ticket.clone();
            if reveal.is_some() {
                let show = Request::Show { id: id.to_owned(), reveal: reveal.clone(), user: user.clone() };
                match session.ask(&show) {
                    Ok(shown) => line = shown,
                    Err(failure) if is_closed(&failure) => line["closed"] = failure.message.into(),
                    Err(failure) => return Err(failure),
                }
                callers += u64::from(line["person"].is_object());
            }
            lines.put(&line)?;
            saved += files_of(session, making, &mut rows, ticket, (&reveal, &user))?;
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok((making.end(lines)?, callers, making.end(rows)?, saved));
        }
    }
}

/// The files of a ticket; how many of them lie in the directory.
fn files_of(
    session: &mut Session,
    making: &mut Making,
    rows: &mut Lines,
    ticket: &Value,
    (reveal, user): (&Option<String>, &Option<String>),
) -> Result<u64, Failure> {
    let id = ticket["id"].as_str().unwrap_or_default();
    let list = FileRequest::List { id: id.to_owned(), reveal: reveal.clone(), user: user.clone() };
    let list = match session.ask(&Request::File(list)) {
        Ok(list) => list,
        Err(failure) if is_closed(&failure) => return Ok(0),
        Err(failure) => return Err(failure),
    };
    let mut saved = 0;
    for row in list.as_array().into_iter().flatten() {
        let mut line = row.clone();
        line["ticket"] = id.into();
        let content = row["content"].as_str().unwrap_or_default();
        if row["complete"] == true {
            let folder = making.of_ticket(id)?;
            let fetch = FileRequest::Fetch {
                id: id.to_owned(),
                name: content.to_owned(),
                reveal: reveal.clone(),
                user: user.clone(),
            };
            // Two files may have one name for a file system.
            let short = content.get(..8).unwrap_or(content);
            let place = |name: &str| match folder.join(name) {
                path if path.symlink_metadata().is_ok() => folder.join(format!("{short}-{name}")),
                path => path,
            };
            match files::save(session, files::Of::Tickets, fetch, place) {
                Ok(kept) => {
                    let path = PathBuf::from(kept["saved"].as_str().unwrap_or_default());
                    let within = path.strip_prefix(&making.beside).unwrap_or(&path);
                    let within = within.to_string_lossy().into_owned();
                    line["saved"] = within.as_str().into();
                    making.made.push(within);
                    saved += 1;
                }
                Err(failure) if is_closed(&failure) => line["closed"] = failure.message.into(),
                Err(failure) => return Err(failure),
            }
        }
        rows.put(&line)?;
    }
    Ok(saved)
}

fn articles(session: &mut Session, making: &mut Making) -> Result<u64, Failure> {
    let mut lines = making.lines("articles.jsonl")?;
    let mut after = None;
    loop {
        let export = KnowledgeRequest::Export { all: true, after, limit: PORTION };
        let page = session.ask(&Request::Knowledge(export))?;
        page["articles"].as_array().into_iter().flatten().try_for_each(|article| lines.put(article))?;
        after = page["next"].as_i64();
        if after.is_none() {
            return making.end(lines);
        }
    }
}

fn reveals(session: &mut Session, making: &mut Making) -> Result<u64, Failure> {
    let mut lines = making.lines("reveals.jsonl")?;
    let log = session.ask(&Request::Reveals { id: None })?;
    log["lines"].as_array().into_iter().flatten().try_for_each(|line| lines.put(line))?;
    making.end(lines)
}

fn audit(cli: &Cli, making: &mut Making) -> Result<u64, Failure> {
    let mut lines = making.lines("audit.jsonl")?;
    let dir = cli.dir()?;
    if dir.join(DATABASE).exists() {
        let users = user::open(&dir)?;
        let mut all = Vec::new();
        let mut before = None;
        loop {
            let page = users.audit(before, LINES)?.lines;
            let Some((oldest, _)) = page.last() else { break };
            before = Some(*oldest);
            all.extend(page.iter().map(|(row, line)| user::line_shown(*row, line)));
        }
        all.iter().rev().try_for_each(|line| lines.put(line))?;
    }
    making.end(lines)
}

fn about(counted: &Value, opened: bool) -> String {
    let callers = match opened {
        true => {
            "Callers and confidential reports are open where the node had the key: keep this directory accordingly."
        }
        false => "Callers are left out, and what a confidential report says: made without --reveal.",
    };
    format!(
        "All data of a node of the hotline 12328, exported at {} by hotline {}.\n\n\
         Each .jsonl file is UTF-8 text with one JSON object a line (RFC 8259). Times are RFC 3339 and China's.\n\
         tickets.jsonl   {} tickets with their trails and notes\n\
         files.jsonl     {} files of tickets; `saved` is where {} of them lie here\n\
         articles.jsonl  {} articles with all versions\n\
         audit.jsonl     {} lines of the desk's log\n\
         reveals.jsonl   {} lines: who was shown whose data, and why\n\
         SHA256SUMS      sha256sum -c SHA256SUMS\n\n{callers}\n",
        shown_time(now_ms()),
        env!("CARGO_PKG_VERSION"),
        counted["tickets"],
        counted["files"],
        counted["files_saved"],
        counted["articles"],
        counted["audit_lines"],
        counted["reveals"],
    )
}
