//! `hotline figures form`: the quarterly forms, as words, tables, or paper.

use std::path::PathBuf;

use askama::Template;
use clap::Args;
use serde_json::json;

use super::pdf::PdfArgs;
use super::{Cli, save, show};
use crate::cell::book::book;
use crate::china;
use crate::daemon::now_ms;
use crate::figures::{self, Foot, Printed};
use crate::pdf::Sheet;
use crate::request::{Failure, FailureKind, Language, Request};

#[derive(Debug, Args)]
pub(super) struct FormArgs {
    /// The quarter, as in 2026-Q4, or a month or a year; without it the last quarter that is over.
    #[arg(long, value_name = "YYYY-QN")]
    quarter: Option<String>,
    /// As CSV, one form after the other.
    #[arg(long, conflicts_with = "pdf")]
    csv: bool,
    /// Into a spreadsheet, a form on each sheet.
    #[arg(long, value_name = "FILE.xlsx", conflicts_with_all = ["csv", "pdf"])]
    xlsx: Option<PathBuf>,
    /// Into a page to print, a form on each sheet of A4.
    #[arg(long, value_name = "FILE.html", conflicts_with_all = ["csv", "xlsx", "pdf"])]
    html: Option<PathBuf>,
    #[command(flatten)]
    pdf: PdfArgs,
    /// At the foot: the head of the unit 单位负责人.
    #[arg(long, value_name = "NAME", default_value = "")]
    head: String,
    /// Who is in charge of statistics 统计负责人.
    #[arg(long, value_name = "NAME", default_value = "")]
    statistician: String,
    /// Who filled it in 填表人.
    #[arg(long, value_name = "NAME", default_value = "")]
    filled_by: String,
    /// Their telephone 联系电话.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    phone: String,
    /// When it is reported 报出日期.
    #[arg(long, value_name = "DAY", default_value = "")]
    reported: String,
}

/// The forms as a file of their own.
#[derive(Template)]
#[template(path = "form_file.html")]
struct File {
    title: String,
    forms: Vec<Printed>,
}

/// Who, of which period and as of when in one line, what is to be known of the numbers below it.
fn head(form: &Printed) -> Vec<String> {
    let said = |(name, said): &(&str, String)| format!("{name}: {said}");
    let (named, notes) = form.head.split_at(figures::NAMED);
    let first = named.iter().map(said).collect::<Vec<_>>().join("　　");
    std::iter::once(first).chain(notes.iter().map(said)).collect()
}

fn paper(form: &Printed) -> Sheet {
    Sheet {
        title: form.title.clone(),
        head: head(form),
        columns: form.columns.map(str::to_owned).to_vec(),
        words: 1,
        groups: form.groups.iter().map(|rows| rows.iter().map(|row| row.to_vec()).collect()).collect(),
        foot: form.foot.iter().map(|(name, said)| ((*name).to_owned(), said.clone())).collect(),
        across: false,
    }
}

impl FormArgs {
    pub(super) fn run(&self, cli: &Cli) -> Result<(), Failure> {
        let quarter = self.quarter.clone();
        let period = quarter.unwrap_or_else(|| figures::last_quarter(china::today(now_ms())));
        let answer = cli.ask(&Request::Form { period })?;
        if cli.json {
            cli.print(&answer);
            return Ok(());
        }
        let foot = Foot {
            head: self.head.clone(),
            statistician: self.statistician.clone(),
            filled_by: self.filled_by.clone(),
            phone: self.phone.clone(),
            reported: self.reported.clone(),
        };
        let sheets = || figures::sheets(&answer, Language::Zh, &foot);
        if let Some(file) = &self.xlsx {
            let sheets = sheets();
            let named: Vec<_> = sheets.iter().map(|(name, sheet)| (name.as_str(), sheet)).collect();
            return save(file, &book(&named)?);
        }
        if self.csv {
            let tables: Vec<String> = sheets().iter().map(|(_, sheet)| sheet.csv()).collect();
            show::line(tables.join("\r\n").trim_end());
            return Ok(());
        }
        let forms = figures::printed(&answer, Language::Zh, &foot);
        let named =
            |form: &Printed| form.head.iter().take(2).map(|(_, said)| said.clone()).collect::<Vec<_>>();
        let title = forms.first().map(|form| named(form).join(" ")).unwrap_or_default();
        if self.pdf.save(&title, || forms.iter().map(paper).collect())? {
            return Ok(());
        }
        if let Some(file) = &self.html {
            let page = File { title, forms }.render();
            let page = page
                .map_err(|e| Failure::new(FailureKind::Failed, "the page could not be written").because(e))?;
            return save(file, page.as_bytes());
        }
        for form in &forms {
            show::line(&form.title);
            for (name, said) in form.head.iter().chain(form.foot.iter().filter(|(_, said)| !said.is_empty()))
            {
                show::line(&format!("{name}: {said}"));
            }
            let row = |row: &[String; 5]| {
                let [item, count, share, year, before] = row;
                json!({ "zh": item, "now": count, "share": share, "change_year": year, "change_before": before })
            };
            show::table(&form.groups.iter().flatten().map(row).collect::<Vec<_>>());
        }
        Ok(())
    }
}
