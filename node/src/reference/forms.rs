//! Forms (报表): which quarterly forms there are, and which rows each has.
//!
//! Rows are grouped by what they are told apart by; the rows of a group follow each other and come to the whole together. A row counts
//! the values that it names, `each` stands for a row of every domain, or topic, of categories.csv, and `rest` counts what no row of
//! its group names.

use std::collections::BTreeSet;

use crate::figures::Dimension;
use crate::request::Language;

use super::table::{ReferenceError, Row, Source};

/// Most rows of the table.
const MOST: usize = 500;

/// The longest name of a form: each is a sheet's in a spreadsheet.
const LONGEST: usize = 31;

/// All forms, in their order.
#[derive(Clone, Debug)]
pub struct Forms(Vec<Form>);

/// One form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its name for programs: `channels`.
    pub id: String,
    names: [String; 2],
    /// What its rows are told apart by, and the rows.
    pub groups: Vec<(Dimension, Vec<FormRow>)>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormRow {
    names: [String; 2],
    /// What it counts.
    pub counts: Counts,
}

/// What a row counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Tickets of these values.
    Values(Vec<String>),
    /// A row of its own for every category.
    Each,
    /// Tickets of the values that no row of the group counts.
    Rest,
}

fn of(names: &[String; 2], language: Language) -> &str {
    match language {
        Language::Zh => &names[0],
        Language::En => &names[1],
    }
}

impl Form {
    /// Its name for people.
    pub fn name(&self, language: Language) -> &str {
        of(&self.names, language)
    }
}

impl FormRow {
    /// Its name for people; empty where it stands for rows of their own.
    pub fn name(&self, language: Language) -> &str {
        of(&self.names, language)
    }
}

/// Whether a group has a row for what no other row of it counts; it is named by its first.
fn has_rest(group: Option<&(&Row<'_, 8>, BTreeSet<&str>)>) -> Result<(), ReferenceError> {
    match group {
        Some((first, counted)) if !counted.contains("rest") => {
            let why = "is of a group without a row `rest`, in which all stands that no other row counts";
            Err(first.wrong(3, why))
        }
        _ => Ok(()),
    }
}

impl Forms {
    pub(super) fn parse(source: &Source) -> Result<Forms, ReferenceError> {
        let mut forms: Vec<Form> = Vec::new();
        // Of the group that is being read: its first row, and what its rows count.
        let mut group: Option<(&Row<'_, 8>, BTreeSet<&str>)> = None;
        let columns = ["form", "zh", "en", "by", "row_zh", "row_en", "values", "basis"];
        let rows = source.rows(columns)?;
        for (n, row) in rows.iter().enumerate() {
            if n == MOST {
                return Err(row.wrong(0, format!("is one too many; a table has up to {MOST} rows")));
            }
            let id = row.text(0)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if id.len() > LONGEST || !id.chars().all(plain) {
                let why = format!("is no name of a sheet: letters, digits and `-`, at most {LONGEST}");
                return Err(row.wrong(0, why));
            }
            let by: Dimension = row.fields[3].parse().map_err(|why: String| row.wrong(3, why))?;
            if !by.is_told() || by == Dimension::Day {
                return Err(row.wrong(3, "is nothing that forms are made by: every tier makes them"));
            }
            row.text(7)?;
            let counts = match row.text(6)? {
                "each" if matches!(by, Dimension::Domain | Dimension::Topic) => Counts::Each,
                "each" => return Err(row.wrong(6, "is for `domain` and `topic`, whose values are known")),
                "rest" => Counts::Rest,
                values => Counts::Values(values.split('|').map(|value| value.trim().to_owned()).collect()),
            };
            let named = |i: usize| match counts {
                Counts::Each => Ok(String::new()),
                _ => row.text(i).map(str::to_owned),
            };
            let made = FormRow { names: [named(4)?, named(5)?], counts };
            if forms.last().is_none_or(|last| last.id != id) {
                if forms.iter().any(|known| known.id == id) {
                    return Err(
                        row.wrong(0, "stands further up already; the rows of a form follow each other")
                    );
                }
                let names = [row.text(1)?.to_owned(), row.text(2)?.to_owned()];
                forms.push(Form { id: id.to_owned(), names, groups: Vec::new() });
            }
            let Some(form) = forms.last_mut() else { continue };
            let further_up = form.groups.iter().rev().skip(1).any(|(known, _)| *known == by);
            match form.groups.last_mut() {
                Some((last, rows)) if *last == by => rows.push(made),
                _ if further_up => {
                    return Err(
                        row.wrong(3, "stands further up already; the rows of a group follow each other")
                    );
                }
                _ => {
                    has_rest(group.as_ref())?;
                    group = Some((row, BTreeSet::new()));
                    form.groups.push((by, vec![made]));
                }
            }
            for value in row.text(6)?.split('|').map(str::trim) {
                if group.as_mut().is_some_and(|(_, counted)| !counted.insert(value)) {
                    return Err(
                        row.wrong(6, format!("counts `{value}` once more: it stands in its group already"))
                    );
                }
            }
        }
        has_rest(group.as_ref())?;
        Ok(Forms(forms))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Form> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn the_forms_that_are_compiled_in_have_the_channels_of_the_standard() {
        let forms = &Reference::built_in().forms;
        let shape = |form: &Form| {
            form.groups.iter().map(|(by, rows)| format!("{by} {}", rows.len())).collect::<Vec<_>>().join(", ")
        };
        let shapes: Vec<_> = forms.iter().map(|form| (form.id.as_str(), shape(form))).collect();
        assert_eq!(
            shapes,
            [("channels", "channel 9".to_owned()), ("business", "business 4, domain 2".to_owned())]
        );
    }

    #[test]
    fn a_row_that_makes_no_sense_is_named() {
        let check = |rows: &str, words: &str| {
            let text = format!("form,zh,en,by,row_zh,row_en,values,basis\n{rows}\n");
            let source = Source::given("forms.csv".to_owned(), text).unwrap();
            let error = Forms::parse(&source).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("a,甲,a,weather,晴,fine,x,local", "not told apart by `weather`");
        check("a,甲,a,handler,乙,b,370100,local", "is nothing that forms are made by");
        check("a,甲,a,channel,,,each,local", "is for `domain` and `topic`");
        check("a,甲,a,channel,,b,x,local", "column `row_zh`: `` is empty");
        check("a b,甲,a,channel,乙,b,rest,l", "line 2, column `form`: `a b` is no name of a sheet");
        let long = format!("{},甲,a,channel,乙,b,rest,l", "a".repeat(32));
        check(&long, "is no name of a sheet");
        check(
            "a,甲,a,channel,乙,b,x,l\na,甲,a,channel,丙,c,y | x,l",
            "line 3, column `values`: `y | x` counts `x` once",
        );
        check("a,甲,a,channel,乙,b,rest,l\na,甲,a,channel,丙,c,rest,l", "counts `rest` once more");
        check(
            "a,甲,a,channel,乙,b,x,l\na,甲,a,business,丙,c,rest,l",
            "line 2, column `by`: `channel` is of a group without",
        );
        check("a,甲,a,channel,乙,b,rest,l\nb,乙,b,channel,乙,b,x,l", "line 3, column `by`");
        check(
            "a,甲,a,channel,乙,b,rest,l\nb,乙,b,channel,乙,b,rest,l\na,甲,a,channel,乙,b,rest,l",
            "stands further up",
        );
    }
}
