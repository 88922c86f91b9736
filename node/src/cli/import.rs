//! `hotline ticket import`: calls from a file of JSON lines, however long it is. Tables are `import_table`'s.
//!
//! The file is read a line at a time and sent in portions; a portion is durable as a whole when its answer comes. A
//! line that makes no ticket is named with its number. Then either the import stops behind everything that stands
//! before that line, and says how to go on (`--from-line`), or it leaves the line out and says so at the end
//! (`--keep-going`).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::import_table::{self, Manner};
use super::{Session, show, unreadable};
use crate::import::{NewTicket, NewTicketError, Sample, SampleReader, is_table};
use crate::reference::Reference;
use crate::request::{Failure, FailureKind, Request};

/// Tickets in one portion, at most.
pub(super) const PORTION: usize = 500;

/// Bytes of JSON in one portion, at most, give or take one ticket.
pub(super) const PORTION_BYTES: usize = 4 << 20;

/// Bad lines that are told one by one.
pub(super) const TOLD: usize = 100;

/// The largest file that `ticket new --from` reads into memory, in bytes.
const MAX_FILE: u64 = 16 << 20;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// A file of JSON lines, of the shape of fixtures/samples.jsonl, or a table: CSV or a workbook (xlsx), by its name's
    /// end. `-` reads JSON lines from standard input.
    file: PathBuf,
    /// Leaves lines out that make no ticket, and ends with exit code 1 if there were any.
    #[arg(long)]
    keep_going: bool,
    /// Begins with this line: where an earlier import stopped. A table needs none: rows that are in make no second ticket.
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from_line: usize,
    /// The sheet of a workbook; else its first.
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Writes what became of every row of a table into this CSV file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Says what would become of every row of a table, and imports nothing.
    #[arg(long)]
    check: bool,
}

/// An import under way.
struct Import<'a> {
    session: Session,
    user: &'a Option<String>,
    portion: Vec<Value>,
    bytes: usize,
    /// Tickets that are in.
    done: usize,
    /// The first line that is not known to be in.
    next: usize,
    bar: ProgressBar,
}

impl Import<'_> {
    /// Sends what was gathered, which ends at `line`.
    fn send(&mut self, line: usize) -> Result<(), Failure> {
        let tickets = std::mem::take(&mut self.portion);
        self.bytes = 0;
        if !tickets.is_empty() {
            let count = tickets.len();
            let sent = self.session.ask(&Request::New { tickets, user: self.user.clone() });
            sent.map_err(|failure| {
                let went_on = self.how_to_go_on();
                failure.hint(went_on)
            })?;
            self.done += count;
            self.bar.set_message(format!("{} tickets", self.done));
        }
        self.next = line + 1;
        Ok(())
    }

    fn how_to_go_on(&self) -> String {
        format!("{} tickets are in; go on with --from-line {}", self.done, self.next)
    }
}

/// A reader that moves a bar.
struct Counted<R>(R, ProgressBar);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.inc(n as u64);
        Ok(n)
    }
}

fn open(file: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let opened = File::open(file).map_err(|e| unreadable(file, e))?;
    let about = opened.metadata().map_err(|e| unreadable(file, e))?;
    let length = about.is_file().then_some(about.len()); // of a pipe nobody knows it
    Ok((Box::new(opened), length))
}

/// A bar over the bytes of the input, drawn from the second second on, on a terminal.
fn bar(length: Option<u64>) -> ProgressBar {
    let bar = match length {
        Some(length) => ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()),
        None => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
    };
    let shape = if length.is_some() { "{bar:40} {percent}%  {msg}  {eta} left" } else { "{spinner} {msg}" };
    bar.with_style(ProgressStyle::with_template(shape).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(super) fn import(
    args: &ImportArgs,
    dir: &Path,
    user: &Option<String>,
    as_json: bool,
) -> Result<(), Failure> {
    if is_table(&args.file) {
        if args.from_line != 1 {
            return Err(Failure::new(FailureKind::Usage, "a table needs no --from-line")
                .hint("import it again: rows that are in make no second ticket"));
        }
        let (sheet, report) = (args.sheet.as_deref(), args.report.as_deref());
        let manner = Manner { sheet, report, check: args.check };
        return import_table::import(&args.file, &manner, dir, user, as_json);
    }
    if args.sheet.is_some() || args.report.is_some() || args.check {
        return Err(Failure::new(FailureKind::Usage, "--sheet, --report and --check are for tables")
            .hint("a table's name ends in .csv or .xlsx"));
    }
    let (input, length) = open(&args.file)?;
    let bar = bar(length);
    let mut session = Session::open(dir)?;
    let reference = session.reference()?;
    let mut import = Import {
        session,
        user,
        portion: Vec::new(),
        bytes: 0,
        done: 0,
        next: args.from_line,
        bar: bar.clone(),
    };
    let began = Instant::now();
    let (mut last, mut bad, mut told, mut unfit) = (0, 0usize, Vec::new(), 0usize);
    for read in SampleReader::new(BufReader::new(Counted(input, bar.clone()))) {
        if bar.is_hidden() && began.elapsed() > Duration::from_secs(1) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let line = match &read {
            Ok((line, _)) => *line,
            Err(e) => e.line(),
        };
        if line < args.from_line {
            continue;
        }
        let taken = read.map_err(|e| (e.to_string(), e.is_last_word())).and_then(|(line, sample)| {
            ticket(sample, &reference).map_err(|why| (format!("line {line}: {why}"), false))
        });
        match taken {
            Ok(ready) => {
                unfit += usize::from(!ready.unfit.is_empty());
                import.portion.push(ready.value);
                import.bytes += ready.bytes;
                last = line;
                if import.portion.len() >= PORTION || import.bytes >= PORTION_BYTES {
                    import.send(line)?;
                }
            }
            Err((why, last_word)) if !args.keep_going || last_word => {
                import.send(line.saturating_sub(1))?;
                bar.finish_and_clear();
                return Err(Failure::new(FailureKind::Usage, format!("{}, {why}", args.file.display()))
                    .hint(format!(
                        "mend the line; {}, or leave such lines out: --keep-going",
                        import.how_to_go_on()
                    )));
            }
            Err((why, _)) => {
                bad += 1;
                if told.len() < TOLD {
                    told.push(why);
                }
            }
        }
    }
    import.send(last)?;
    bar.finish_and_clear();
    if bad > 0 {
        let mut failure = Failure::new(
            FailureKind::Failed,
            format!("{bad} lines of {} made no ticket; {} tickets are in", args.file.display(), import.done),
        );
        if bad > told.len() {
            told.push(format!("and {} more", bad - told.len()));
        }
        failure.causes = told;
        return Err(failure.hint("mend those lines and import them alone"));
    }
    let seconds = began.elapsed().as_secs_f64();
    show::value(
        &json!({
            "imported": import.done,
            "seconds": (seconds * 1000.0).round() / 1000.0,
            "per_second": (import.done as f64 / seconds.max(0.001)).round(),
            "kept_unfit": unfit,
        }),
        as_json,
    );
    Ok(())
}

/// A sample that makes a ticket, as it is sent.
pub(super) struct Ready {
    pub(super) value: Value,
    /// Its size.
    pub(super) bytes: usize,
    /// What its fields of the centre's own say that does not fit: old data is kept as it came.
    pub(super) unfit: Vec<NewTicketError>,
}

/// The sample, once it is known to make a ticket.
pub(super) fn ticket(sample: Sample, reference: &Reference) -> Result<Ready, NewTicketError> {
    let value = serde_json::to_value(&sample).expect("texts are always written to memory");
    let unfit = NewTicket::from_sample(sample, reference)?.unfit(reference, false);
    let bytes = value.to_string().len();
    Ok(Ready { value, bytes, unfit })
}

/// JSON or JSON lines of a file, or of standard input for `-`, that fit into memory.
pub(super) fn read_lines(file: &Path) -> Result<Vec<Value>, Failure> {
    let mut text = String::new();
    let (input, _) = open(file)?;
    input.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| unreadable(file, e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(file, format!("it is larger than {MAX_FILE} bytes"))
            .hint("write one JSON object a line and use: hotline ticket import FILE"));
    }
    if let Ok(Value::Array(all)) = serde_json::from_str(&text) {
        return Ok(all);
    }
    if let Ok(one @ Value::Object(_)) = serde_json::from_str(&text) {
        return Ok(vec![one]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| {
                Failure::new(
                    FailureKind::Usage,
                    format!("{}, line {}: not a JSON object", file.display(), i + 1),
                )
                .because(e)
                .hint("write one JSON object a line with at least `text`")
            })
        })
        .collect()
}
