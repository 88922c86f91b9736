//! Tables as texts: rows by their columns, combined before they are parsed, and compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A comma-separated table, whatever its columns mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows<'a> {
    columns: Vec<&'a str>,
    /// Each with its line; only those that have as many fields as there are columns.
    rows: Vec<(usize, Vec<&'a str>)>,
    /// How many lines there are, empty ones too.
    lines: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of(text: &'a str) -> Rows<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let fields = |line: &'a str| -> Vec<&'a str> { line.split(',').map(str::trim).collect() };
        let mut lines =
            text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, l)| !l.is_empty());
        let columns = lines.next().map(|(_, line)| fields(line)).unwrap_or_default();
        let rows = lines.map(|(i, line)| (i, fields(line))).filter(|(_, row)| row.len() == columns.len());
        Rows { rows: rows.collect(), columns, lines: text.lines().count() }
    }

    /// What a row has in these columns; `None` when the table lacks one of them.
    fn key(&self, row: &[&'a str], key: &[String]) -> Option<Vec<&'a str>> {
        key.iter().map(|name| row.get(self.columns.iter().position(|c| c == name)?).copied()).collect()
    }

    /// The keys of all rows.
    pub(super) fn keys(&self, key: &[String]) -> BTreeSet<Vec<&'a str>> {
        self.rows.iter().filter_map(|(_, row)| self.key(row, key)).collect()
    }

    /// The lines of those rows whose key stands in another table.
    pub(super) fn standing_in(&self, above: &Rows<'_>, key: &[String]) -> Vec<usize> {
        let known = above.keys(key);
        let stands = |row: &[&str]| self.key(row, key).is_some_and(|own| known.contains(&own));
        self.rows.iter().filter(|(_, row)| stands(row)).map(|(line, _)| *line).collect()
    }

    /// The years of the dates in a column.
    pub(super) fn years(&self, key: &[String]) -> BTreeSet<&'a str> {
        self.keys(key).into_iter().filter_map(|key| key.first()?.get(..4)).collect()
    }
}

/// The lines of `text` where they stand, without those of `but`, and after them these rows of another table. So an error names the
/// line that whoever wrote `text` sees.
fn joined(text: &str, but: &BTreeSet<usize>, other: &Rows<'_>, take: impl Fn(&[&str]) -> bool) -> String {
    let own = Rows::of(text);
    let further: Vec<&str> = other.columns.iter().filter(|c| !own.columns.contains(c)).copied().collect();
    let mut joined = String::new();
    let plain = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut header = true;
    for (i, line) in plain.lines().enumerate() {
        if !line.is_empty() && !but.contains(&(i + 1)) {
            joined.push_str(line);
            further.iter().for_each(|column| {
                joined.push(',');
                joined.push_str(if header { column } else { "" });
            });
            header = false;
        }
        joined.push('\n');
    }
    for (_, row) in other.rows.iter().filter(|(_, row)| take(row)) {
        let of = |column: &&str| other.columns.iter().position(|c| c == column).map_or("", |i| row[i]);
        let fields: Vec<&str> = own.columns.iter().chain(&further).map(of).collect();
        joined.push_str(&fields.join(","));
        joined.push('\n');
    }
    joined
}

/// A table with the rows of a lower tier: its own but those whose key stands above, then those above.
pub(super) fn added(above: &str, own: &str, key: &[String]) -> String {
    let base = Rows::of(above);
    let beaten = Rows::of(own).standing_in(&base, key).into_iter().collect();
    joined(own, &beaten, &base, |_| true)
}

/// A table in which the years that an edition names are the edition's.
pub(super) fn with_years(before: &str, own: &str, key: &[String]) -> String {
    let (base, edition) = (Rows::of(before), Rows::of(own));
    let years = edition.years(key);
    let of = |row: &[&str]| base.key(row, key).and_then(|key| key.first()?.get(..4).map(str::to_owned));
    joined(own, &BTreeSet::new(), &base, |row| of(row).is_none_or(|year| !years.contains(year.as_str())))
}

/// Of a table its header and the rows of its last year.
pub fn last_year(text: &str, key: &[String]) -> String {
    let rows = Rows::of(text);
    let years = rows.years(key);
    let of = |row: &[&str]| rows.key(row, key).and_then(|key| key.first()?.get(..4).map(str::to_owned));
    let last = rows.rows.iter().filter(|(_, row)| of(row).as_deref() == years.last().copied());
    let lines = std::iter::once(&rows.columns).chain(last.map(|(_, row)| row));
    lines.map(|fields| fields.join(",") + "\n").collect()
}

/// Lines that stand in one of two tables only; what both have is left out, in whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Lines that go.
    pub gone: Vec<String>,
    /// Lines that come.
    pub come: Vec<String>,
}

/// What has changed from one text of a table to another.
pub fn differences(before: &str, after: &str) -> Differences {
    let lines = |text: &str| -> Vec<String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let (before, after) = (lines(before), lines(after));
    Differences { gone: only(&before, &after), come: only(&after, &before) }
}

/// The lines that stand in one text more often than in the other.
fn only(of: &[String], other: &[String]) -> Vec<String> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    other.iter().for_each(|line| *left.entry(line).or_default() += 1);
    let new = |line: &&String| match left.get_mut(line.as_str()) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    };
    of.iter().filter(new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_lower_tier_adds_rows_and_changes_none() {
        let above = "number,name,mode,basis\n12306,铁路,tell,x\n";
        let own = "mode,number,name\n\ntell,12306,别的\ntransfer,12345,市民\n";
        let all = added(above, own, &key(&["number"]));
        assert_eq!(all, "mode,number,name,basis\n\n\ntransfer,12345,市民,\ntell,12306,铁路,x\n");
        assert_eq!(Rows::of(own).standing_in(&Rows::of(above), &key(&["number"])), [3], "its own line");
    }

    #[test]
    fn a_year_takes_the_place_of_that_year() {
        let before = "date,kind,name\n2026-10-01,holiday,国庆节\n2027-01-01,holiday,元旦\n";
        let own = "date,kind,name\n2027-01-02,holiday,元旦\n";
        let all = with_years(before, own, &key(&["date"]));
        assert_eq!(all, "date,kind,name\n2027-01-02,holiday,元旦\n2026-10-01,holiday,国庆节\n");
        assert_eq!(last_year(before, &key(&["date"])), "date,kind,name\n2027-01-01,holiday,元旦\n");
    }

    #[test]
    fn differences_leave_out_what_both_have() {
        let found = differences("a,b\n1,2\n3,4\n3,4\n", "\u{feff}a,b\n3,4\n5,6\n");
        assert_eq!(found, Differences { gone: vec!["1,2".into(), "3,4".into()], come: vec!["5,6".into()] });
        assert_eq!(differences("a\n1\n2\n", "a\n2\n1\n"), Differences::default());
    }
}
