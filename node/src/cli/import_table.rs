//! `hotline ticket import` of tables of other systems, with a report of every row.
//!
//! Their numbers are kept. A row whose number a ticket bears already makes no second one, so a table may be imported
//! again after an error, or with rows added. A report names every row, what became of it and why; it quotes nothing that
//! a caller said. What does not fit a field of the centre's own is kept as it came, and told.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::import::{PORTION, PORTION_BYTES, Ready, TOLD, ticket};
use super::{Session, show, unreadable};
use crate::cell::plain;
use crate::import::{NewTicketError, Sheet};
use crate::request::{Failure, FailureKind, Request};

/// How a table is imported.
pub(super) struct Manner<'a> {
    pub(super) sheet: Option<&'a str>,
    /// Where the report goes; refused rows are told in the terminal in any case.
    pub(super) report: Option<&'a Path>,
    /// Nothing is imported.
    pub(super) check: bool,
}

/// What became of a row.
enum Outcome {
    /// It made this ticket.
    Imported(String),
    /// It would make one.
    Fits,
    /// This ticket bears its number already.
    Here(String),
    /// A row before it has its number.
    Repeated(usize),
    /// It makes none: the field, and why.
    Refused(String, String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Imported(_) => "已导入 imported",
            Outcome::Fits => "可导入 fits",
            Outcome::Here(_) => "已存在 here already",
            Outcome::Repeated(_) => "重复 repeated",
            Outcome::Refused(..) => "未导入 refused",
        }
    }
}

/// A row, by its place in the file and the number that others gave it.
struct Told {
    at: usize,
    number: String,
    outcome: Outcome,
    /// What of it does not fit a field of the centre's own.
    unfit: Vec<NewTicketError>,
}

/// A report under way: whole rows, each written when it is certain.
struct Report {
    path: PathBuf,
    out: csv::Writer<File>,
}

impl Report {
    fn begin(path: &Path) -> Result<Report, Failure> {
        let wrong = |e| unwritable(path, e);
        let mut file = File::create(path).map_err(wrong)?;
        file.write_all("\u{feff}".as_bytes()).map_err(wrong)?; // so that spreadsheets take it for UTF-8
        let mut report = Report { path: path.to_owned(), out: csv::Writer::from_writer(file) };
        report.line([
            "行 row",
            "外部编号 number",
            "结果 result",
            "工单 ticket",
            "字段 field",
            "原因 reason",
        ])?;
        Ok(report)
    }

    fn line(&mut self, fields: [&str; 6]) -> Result<(), Failure> {
        self.out.write_record(fields).map_err(|e| unwritable(&self.path, e))
    }

    fn tell(&mut self, told: &Told) -> Result<(), Failure> {
        let kept = || match told.unfit.first() {
            None => ("", String::new()),
            Some(unfit) => (unfit.field.as_str(), format!("{}; kept as it came", unfit.why)),
        };
        let (ticket, (field, why)) = match &told.outcome {
            Outcome::Imported(ticket) => (ticket.as_str(), kept()),
            Outcome::Fits => ("", kept()),
            Outcome::Here(ticket) => (ticket.as_str(), ("", String::new())),
            Outcome::Repeated(before) => ("", ("id", format!("row {before} has this number"))),
            Outcome::Refused(field, why) => ("", (field.as_str(), why.clone())),
        };
        let at = told.at.to_string();
        self.line([&at, &plain(&told.number), told.outcome.word(), ticket, field, &why])
    }

    fn end(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| unwritable(&self.path, e))
    }
}

fn unwritable(path: &Path, e: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, format!("the report {} cannot be written", path.display())).because(e)
}

pub(super) fn import(
    file: &Path,
    manner: &Manner<'_>,
    dir: &Path,
    user: &Option<String>,
    as_json: bool,
) -> Result<(), Failure> {
    let sheet = Sheet::read(file, manner.sheet).map_err(|e| unreadable(file, e))?;
    let mut session = Session::open(dir)?;
    let reference = session.reference()?;
    let fields = sheet.fields(&reference).map_err(|e| unreadable(file, e))?;
    let mut report = manner.report.map(Report::begin).transpose()?;
    let mut counts = [0usize; 3]; // imported or fit, here already or repeated, refused
    let mut unfit = 0usize;
    let mut refused: Vec<String> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut rows, mut tickets, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut each = sheet.rows().peekable();
    while let Some((at, cells)) = each.next() {
        let mut told = Told { at, number: String::new(), outcome: Outcome::Fits, unfit: Vec::new() };
        match Sheet::sample(&fields, cells) {
            Err(wrong) => told.outcome = Outcome::Refused(wrong.field, wrong.why),
            Ok(sample) => {
                told.number.clone_from(&sample.id);
                match ticket(sample, &reference) {
                    Err(wrong) => told.outcome = Outcome::Refused(wrong.field, wrong.why),
                    Ok(Ready { value, bytes: size, unfit }) => match already(&mut session, &mut seen, &told)?
                    {
                        Some(outcome) => told.outcome = outcome,
                        None => {
                            told.unfit = unfit;
                            tickets.push(value);
                            bytes += size;
                        }
                    },
                }
            }
        }
        rows.push(told);
        if tickets.len() >= PORTION || bytes >= PORTION_BYTES || each.peek().is_none() {
            let sent = std::mem::take(&mut tickets);
            bytes = 0;
            let mut numbers = match manner.check || sent.is_empty() {
                true => Vec::new(),
                false => numbers(&session.ask(&Request::New { tickets: sent, user: user.clone() }).map_err(
                    |f| {
                        f.hint(format!(
                            "{} rows are in; import the table again: no row makes two tickets",
                            counts[0]
                        ))
                    },
                )?),
            }
            .into_iter();
            for mut told in rows.drain(..) {
                if matches!(told.outcome, Outcome::Fits)
                    && let Some(number) = numbers.next()
                {
                    told.outcome = Outcome::Imported(number);
                }
                unfit += usize::from(!told.unfit.is_empty());
                match &told.outcome {
                    Outcome::Imported(_) | Outcome::Fits => counts[0] += 1,
                    Outcome::Here(_) | Outcome::Repeated(_) => counts[1] += 1,
                    Outcome::Refused(field, why) => {
                        counts[2] += 1;
                        if refused.len() < TOLD {
                            refused.push(format!("row {}: `{field}` {why}", told.at));
                        }
                    }
                }
                report.as_mut().map_or(Ok(()), |r| r.tell(&told))?;
            }
        }
    }
    report.map_or(Ok(()), Report::end)?;
    let [imported, here, bad] = counts;
    if bad > 0 {
        let what = if manner.check { "fit" } else { "are in" };
        let mut failure = Failure::new(
            FailureKind::Failed,
            format!(
                "{bad} rows of {} make no ticket; {imported} {what}, {here} were here already",
                file.display()
            ),
        );
        if bad > refused.len() {
            refused.push(format!("and {} more", bad - refused.len()));
        }
        failure.causes = refused;
        return Err(failure.hint("mend those rows and import the table again: no row makes two tickets"));
    }
    let name = if manner.check { "fit" } else { "imported" };
    show::value(&json!({ name: imported, "here_already": here, "kept_unfit": unfit }), as_json);
    Ok(())
}

/// The numbers of new tickets, in the order in which they were asked for.
fn numbers(reply: &Value) -> Vec<String> {
    let made = reply.as_array().into_iter().flatten();
    made.map(|t| t["number"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Who bears a row's number already: a row before it, or a ticket.
fn already(
    session: &mut Session,
    seen: &mut HashMap<String, usize>,
    told: &Told,
) -> Result<Option<Outcome>, Failure> {
    let number = told.number.as_str();
    if number.is_empty() {
        return Ok(None);
    }
    if let Some(before) = seen.insert(number.to_owned(), told.at) {
        return Ok(Some(Outcome::Repeated(before)));
    }
    let found = session.ask(&Request::Outside { number: number.to_owned(), limit: 1 })?;
    Ok(found[0]["number"].as_str().map(|ours| Outcome::Here(ours.to_owned())))
}
