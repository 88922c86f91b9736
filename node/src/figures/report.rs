//! From tallied facts to figures: for a period, the one before and the same of the year before, whole and by a dimension.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Dimension, Fact, Facts, Period};
use crate::reference::{Definition, Definitions};
use crate::request::Language;

/// Most values of a dimension that are told apart; those with the fewest tickets are put together past that.
pub const MOST_VALUES: usize = 200;

/// How many tickets have which facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(BTreeMap<Facts, i64>);

impl Numbers {
    /// So many more, or fewer, with these facts.
    pub fn add(&mut self, facts: Facts, n: i64) {
        *self.0.entry(facts).or_default() += n;
    }

    fn join(&mut self, other: &Numbers) {
        other.0.iter().for_each(|(facts, n)| self.add(*facts, *n));
    }

    /// How many tickets they are that count here at all.
    fn all(&self) -> i64 {
        let apart = |facts: &Facts| facts.has(Fact::Test) || facts.has(Fact::Elsewhere);
        self.0.iter().filter(|(facts, _)| !apart(facts)).map(|(_, n)| n).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.values().all(|n| *n == 0)
    }

    /// What a definition makes of them.
    pub fn figure(&self, definition: &Definition) -> Figure {
        let sum = |of: &dyn Fn(Facts) -> bool| {
            let counted = self.0.iter().filter(|(facts, _)| of(**facts)).map(|(_, n)| *n);
            u64::try_from(counted.sum::<i64>()).unwrap_or_default()
        };
        let of = definition.is_rate().then(|| sum(&|facts| definition.is_of(facts)));
        Figure { count: sum(&|facts| definition.counts(facts)), of }
    }
}

/// A number, or a share of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// How many count.
    pub count: u64,
    /// Of a rate: of how many.
    pub of: Option<u64>,
}

impl Figure {
    /// The number, or the share from 0 to 1; of nothing there is none.
    pub fn value(self) -> Option<f64> {
        match self.of {
            None => Some(self.count as f64),
            Some(0) => None,
            Some(of) => Some(self.count as f64 / of as f64),
        }
    }

    fn shown(self) -> Map<String, Value> {
        let mut shown = Map::from_iter([("count".to_owned(), json!(self.count))]);
        if let Some(of) = self.of {
            shown.insert("of".to_owned(), json!(of));
            shown.insert("value".to_owned(), json!(self.value().map(round)));
        }
        shown
    }
}

/// How a figure has moved since another: of numbers the share by which, of rates the difference. From nothing there is none.
pub fn change(now: Figure, then: Figure) -> Option<f64> {
    let (new, old) = (now.value()?, then.value()?);
    match now.of {
        Some(_) => Some(new - old),
        None if old == 0.0 => None,
        None => Some((new - old) / old),
    }
}

pub(super) fn round(value: f64) -> f64 {
    (value * 1_000_000.0).round() / 1_000_000.0
}

/// The three periods of a figure: this one, the one before, and the same of the year before.
type Three = [Numbers; 3];

/// All figures of a period: `{"from","to","before":{"from","to"},"year_before":{"from","to"},"figures":[{"id","zh","en","kind",
/// "count","of","value","before":{"count","of","value"},"year_before":{...},"change_before","change_year"}]}`, and with a dimension
/// `"by"`, `"values":[{"value","name","figures":[...]}]`. `of` and `value` are there for rates; a value that is null is of nothing.
/// `read` tells what was tallied in a period: value, day and facts of so many tickets; `name` what a value is called.
pub fn report<E>(
    definitions: &Definitions,
    period: Period,
    by: Option<Dimension>,
    mut read: impl FnMut(Period) -> Result<Vec<(String, String, Facts, i64)>, E>,
    name: impl Fn(&str) -> String,
) -> Result<Value, E> {
    let periods = [Some(period), period.before(), period.year_before()];
    let (mut whole, mut values) = (Three::default(), BTreeMap::<String, Three>::new());
    for (i, period) in periods.iter().enumerate() {
        let Some(period) = period else { continue };
        for (value, day, facts, n) in read(*period)? {
            whole[i].add(facts, n);
            match by {
                Some(Dimension::Day) if i > 0 => {} // days of other months stand beside none of this one
                Some(Dimension::Day) => values.entry(day).or_default()[i].add(facts, n),
                Some(_) => values.entry(value).or_default()[i].add(facts, n),
                None => {}
            }
        }
    }
    let days = |period: &Option<Period>| match period {
        Some(period) => json!({ "from": period.from().to_string(), "to": period.last().to_string() }),
        None => Value::Null,
    };
    let mut shown = days(&periods[0]);
    shown["before"] = days(&periods[1]);
    shown["year_before"] = days(&periods[2]);
    shown["figures"] = definitions.iter().map(|d| figure(d, &whole, true, periods)).collect();
    if let Some(by) = by {
        shown["by"] = by.name().into();
        let compared = if by == Dimension::Day { [periods[0], None, None] } else { periods };
        let row = |(value, name, numbers): (Value, String, Three)| {
            let figures: Value = definitions.iter().map(|d| figure(d, &numbers, false, compared)).collect();
            json!({ "value": value, "name": name, "figures": figures })
        };
        shown["values"] = sorted(values, by, name).into_iter().map(row).collect();
    }
    Ok(shown)
}

/// The values with what they are called: days in their order, all others with the most tickets first, and the many with few
/// tickets put together in one without a value.
fn sorted(
    values: BTreeMap<String, Three>,
    by: Dimension,
    name: impl Fn(&str) -> String,
) -> Vec<(Value, String, Three)> {
    let mut values: Vec<(String, Three)> =
        values.into_iter().filter(|(_, three)| three.iter().any(|numbers| !numbers.is_empty())).collect();
    if by != Dimension::Day {
        values.sort_by_key(|(_, three)| std::cmp::Reverse([three[0].all(), three[1].all(), three[2].all()]));
    }
    let most = if by == Dimension::Day { usize::MAX } else { MOST_VALUES };
    let few = values.split_off(most.min(values.len()));
    let mut sorted: Vec<(Value, String, Three)> =
        values.into_iter().map(|(value, three)| (Value::from(value.as_str()), name(&value), three)).collect();
    if !few.is_empty() {
        let mut joined = Three::default();
        few.iter().for_each(|(_, three)| joined.iter_mut().zip(three).for_each(|(sum, one)| sum.join(one)));
        sorted.push((Value::Null, String::new(), joined));
    }
    sorted
}

fn figure(definition: &Definition, three: &Three, named: bool, periods: [Option<Period>; 3]) -> Value {
    let now = three[0].figure(definition);
    let mut shown = Map::from_iter([("id".to_owned(), Value::from(definition.id()))]);
    if named {
        shown.insert("zh".to_owned(), definition.name(Language::Zh).into());
        shown.insert("en".to_owned(), definition.name(Language::En).into());
    }
    shown.insert("kind".to_owned(), if definition.is_rate() { "rate" } else { "count" }.into());
    shown.extend(now.shown());
    let others = [("before", "change_before"), ("year_before", "change_year")];
    for (i, (key, moved)) in (1..).zip(others) {
        if periods[i].is_some() {
            let then = three[i].figure(definition);
            shown.insert(key.to_owned(), Value::Object(then.shown()));
            shown.insert(moved.to_owned(), json!(change(now, then).map(round)));
        }
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn numbers(rows: &[(&[Fact], i64)]) -> Numbers {
        let mut numbers = Numbers::default();
        for (facts, n) in rows {
            numbers.add(facts.iter().fold(Facts::default(), |all, fact| all.with(*fact, true)), *n);
        }
        numbers
    }

    fn definition(id: &str) -> &'static Definition {
        Reference::built_in().definitions.get(id).unwrap()
    }

    #[test]
    fn a_rate_of_nothing_has_no_value_and_is_not_nought() {
        let empty = Numbers::default().figure(definition("complaint_in_time"));
        assert_eq!((empty, empty.value()), (Figure { count: 0, of: Some(0) }, None));
        let none = numbers(&[(&[Fact::Complaint, Fact::Late], 2)]).figure(definition("complaint_in_time"));
        assert_eq!((none.of, none.value()), (Some(2), Some(0.0)));
        assert_eq!(change(none, empty), None);
    }

    #[test]
    fn numbers_move_by_shares_and_rates_by_differences() {
        let count = |count| Figure { count, of: None };
        let rate = |count, of| Figure { count, of: Some(of) };
        assert_eq!(change(count(3), count(2)), Some(0.5));
        assert_eq!(change(count(3), count(0)), None);
        assert_eq!(change(count(0), count(4)), Some(-1.0));
        assert_eq!(change(rate(3, 4), rate(1, 2)), Some(0.25));
    }

    #[test]
    fn values_with_few_tickets_are_put_together_and_none_is_lost() {
        let definitions = &Reference::built_in().definitions;
        let period = Period::month("2026-11").unwrap();
        let cells = |p: Period| -> Result<Vec<(String, String, Facts, i64)>, ()> {
            let row =
                |i: usize| (format!("c{i}"), p.from().to_string(), Facts::default(), 1 + (i % 7) as i64);
            Ok((0..MOST_VALUES + 50).map(row).collect())
        };
        let report = report(definitions, period, Some(Dimension::Channel), cells, str::to_owned).unwrap();
        let values = report["values"].as_array().unwrap();
        assert_eq!((values.len(), &values[MOST_VALUES]["value"]), (MOST_VALUES + 1, &Value::Null));
        let taken = |row: &Value| row["figures"][0]["count"].as_u64().unwrap();
        assert_eq!(values.iter().map(taken).sum::<u64>(), taken(&report));
        assert_eq!(values[0]["figures"][0]["count"], 7, "the most come first");
        assert_eq!(report["figures"][0]["change_before"], 0.0);
    }
}
