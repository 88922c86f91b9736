//! Definitions of figures: what each is called, what it counts, and on what that rests.
//!
//! A count is one condition over the facts of a ticket, a rate is two: what counts, of what. They are data because the official
//! formulas are not public: a centre that knows better puts a table of its own in the place of this one.

use std::collections::BTreeSet;

use super::table::{ReferenceError, Source};
use crate::figures::{Alternatives, Fact, Facts};
use crate::request::Language;

/// Most definitions of a table.
const MOST: usize = 200;

/// What one figure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    id: String,
    names: [String; 2],
    counts: Alternatives,
    /// Of a rate: out of what.
    of: Option<Alternatives>,
    says: [String; 2],
    basis: String,
}

fn place(language: Language) -> usize {
    match language {
        Language::Zh => 0,
        Language::En => 1,
    }
}

impl Definition {
    /// Its name for programs: `complaint_in_time`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name for people: 投诉举报限时办结率.
    pub fn name(&self, language: Language) -> &str {
        &self.names[place(language)]
    }

    /// What it means, in a sentence.
    pub fn says(&self, language: Language) -> &str {
        &self.says[place(language)]
    }

    /// On what it rests.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// Whether it is a share and no number.
    pub fn is_rate(&self) -> bool {
        self.of.is_some()
    }

    /// Whether a ticket with these facts counts. What a rate counts is always among what it is counted of.
    pub fn counts(&self, facts: Facts) -> bool {
        self.counts.hold(facts) && self.of.as_ref().is_none_or(|of| of.hold(facts))
    }

    /// Of a rate: whether a ticket with these facts could have counted.
    pub fn is_of(&self, facts: Facts) -> bool {
        self.of.as_ref().is_some_and(|of| of.hold(facts))
    }

    /// Whether it changes with the moment.
    pub fn names_overdue(&self) -> bool {
        self.counts.names(Fact::Overdue) || self.of.as_ref().is_some_and(|of| of.names(Fact::Overdue))
    }

    /// The condition of [`Definition::counts`] in SQL over the stored facts, or that of the rest of a rate.
    pub(crate) fn sql(&self, bits: &str, rest: bool) -> String {
        let counts = self.counts.sql(bits);
        match (&self.of, rest) {
            (None, false) => counts,
            (None, true) => "0".to_owned(),
            (Some(of), false) => format!("({counts} AND {})", of.sql(bits)),
            (Some(of), true) => format!("(NOT {counts} AND {})", of.sql(bits)),
        }
    }
}

/// The definitions, in the order in which they are shown.
#[derive(Clone, Debug)]
pub struct Definitions(Vec<Definition>);

impl Definitions {
    pub(super) fn parse(source: &Source) -> Result<Definitions, ReferenceError> {
        let columns = ["id", "kind", "zh", "en", "counts", "of", "says_zh", "says_en", "basis"];
        let (mut definitions, mut known) = (Vec::new(), BTreeSet::new());
        for row in source.rows(columns)? {
            let id = row.text(0)?;
            let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if id.len() > 40 || !id.bytes().all(fine) {
                return Err(row.wrong(0, "is no name of a figure: up to 40 small letters, digits and _"));
            }
            if !known.insert(id.to_owned()) {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
            if known.len() > MOST {
                return Err(row.wrong(0, format!("is one too many; a table has up to {MOST}")));
            }
            let condition = |i: usize| Alternatives::read(row.text(i)?).map_err(|why| row.wrong(i, why));
            let of = match (row.one_of(1, &[("count", false), ("rate", true)])?, row.fields[5]) {
                (true, _) => Some(condition(5)?),
                (false, "") => None,
                (false, _) => {
                    return Err(row.wrong(5, "says of what a count is; only a rate is of something"));
                }
            };
            definitions.push(Definition {
                id: id.to_owned(),
                names: [row.text(2)?.to_owned(), row.text(3)?.to_owned()],
                counts: condition(4)?,
                of,
                says: [row.text(6)?.to_owned(), row.text(7)?.to_owned()],
                basis: row.text(8)?.to_owned(),
            });
        }
        Ok(Definitions(definitions))
    }

    /// The definition of this id.
    pub fn get(&self, id: &str) -> Option<&Definition> {
        self.0.iter().find(|definition| definition.id == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn the_eight_rates_of_the_scorecard_are_defined_and_say_on_what_they_rest() {
        let definitions = &Reference::built_in().definitions;
        let rates: Vec<&str> =
            definitions.iter().filter(|d| d.is_rate()).map(|d| d.name(Language::Zh)).collect();
        assert_eq!(
            rates,
            [
                "信息咨询即时答复率",
                "非投诉举报限时办结率",
                "即时答复满意率",
                "转办工单回访率",
                "差评整改率",
                "投诉举报限时办结率",
                "投诉举报复核率",
                "投诉举报回访满意率"
            ]
        );
        for definition in definitions.iter() {
            assert!(
                definition.says(Language::Zh).chars().count() > 8 && definition.says(Language::En).len() > 20
            );
            assert!(!definition.basis().is_empty());
        }
    }

    #[test]
    fn the_page_of_definitions_says_what_the_table_says() {
        let page = include_str!("../../../docs/figures.md");
        for definition in Reference::built_in().definitions.iter() {
            let of = [definition.id(), definition.name(Language::Zh), definition.says(Language::Zh)];
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` ", definition.id())));
            let row = row.unwrap_or_else(|| panic!("{} is missing", definition.id()));
            for part in of.into_iter().chain([definition.says(Language::En), definition.basis()]) {
                assert!(row.contains(part), "{row} does not say {part}");
            }
        }
    }

    #[test]
    fn every_set_of_facts_counts_among_what_it_is_counted_of_and_sql_agrees() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for definition in Reference::built_in().definitions.iter() {
            let sql = |rest| format!("SELECT ?1 IS ?1 AND {}", definition.sql("?1", rest));
            let (mut counted, mut rest) = (db.prepare(&sql(false)).unwrap(), db.prepare(&sql(true)).unwrap());
            for seed in 0..2_000u32 {
                let hash = blake3::hash(&seed.to_be_bytes());
                let bits = i64::from(u32::from_be_bytes(hash.as_bytes()[..4].try_into().unwrap()));
                let facts = Facts::from_bits(if seed % 2 == 0 { bits & !3 } else { bits });
                let of = |query: &mut rusqlite::Statement<'_>| -> bool {
                    query.query_row([facts.bits()], |r| r.get(0)).unwrap()
                };
                assert_eq!(of(&mut counted), definition.counts(facts), "{} {facts:?}", definition.id());
                let could = definition.is_of(facts) && !definition.counts(facts);
                assert_eq!(of(&mut rest), could, "{} {facts:?}", definition.id());
                assert!(!definition.is_rate() || !definition.counts(facts) || definition.is_of(facts));
            }
        }
    }

    #[test]
    fn definitions_that_make_no_sense_are_refused() {
        let check = |row: &str, why: &str| {
            let text = format!("id,kind,zh,en,counts,of,says_zh,says_en,basis\n{row}").leak();
            let error = Definitions::parse(&Source::test(text)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        check("A b,count,甲,a,all,,丙,c,d", "line 2, column `id`");
        check("a,share,甲,a,all,,丙,c,d", "column `kind`: `share` is none of count, rate");
        check("a,count,甲,a,tardy,,丙,c,d", "column `counts`: `tardy` names a fact that there is not");
        check("a,count,甲,a,all,late,丙,c,d", "only a rate is of something");
        check("a,rate,甲,a,late,,丙,c,d", "column `of`: `` is empty");
        check(
            "a,count,甲,a,all,,丙,c,d\na,count,乙,b,all,,丙,c,d",
            "line 3, column `id`: `a` stands in an earlier row",
        );
    }
}
