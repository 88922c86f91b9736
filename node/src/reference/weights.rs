//! Weights of the monthly scorecard: how much each rate counts, from which day on.
//!
//! The rows of one day are a set: from that day on they count, and all of those before them no more. A centre that has put
//! definitions of its own in the place of figures.csv and leaves this table as it was compiled in is scored by the rates that
//! its definitions have.

use jiff::civil::Date;

use super::definitions::Definitions;
use super::table::{ReferenceError, Source};

/// The largest weight.
const MOST: f64 = 1_000.0;

/// All sets of weights, the oldest first.
#[derive(Clone, Debug)]
pub struct Weights(Vec<WeightSet>);

/// The weights that count from one day on.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSet {
    /// That day.
    pub from: Date,
    /// Each rate with its weight, in the order of the table.
    pub rates: Vec<(String, f64)>,
}

impl Weights {
    pub(super) fn parse(source: &Source, definitions: &Definitions) -> Result<Weights, ReferenceError> {
        let mut sets: Vec<WeightSet> = Vec::new();
        for row in source.rows(["from", "rate", "weight", "basis"])? {
            let from: Date = row.parsed(0, "a day, as in 2021-01-01")?;
            let rate = row.text(1)?;
            if !definitions.get(rate).is_some_and(|definition| definition.is_rate()) {
                if source.built_in {
                    continue;
                }
                return Err(row.wrong(1, "is no rate of figures.csv"));
            }
            let weight: f64 = row.parsed(2, "a weight, as in 12.5")?;
            if !(weight > 0.0 && weight <= MOST) {
                return Err(row.wrong(2, format!("is no weight: more than 0, and {MOST} at most")));
            }
            row.text(3)?;
            match sets.last_mut() {
                Some(set) if set.from > from => {
                    return Err(row.wrong(0, "is before the row above it; the oldest come first"));
                }
                Some(set) if set.from == from => {
                    if set.rates.iter().any(|(known, _)| known == rate) {
                        return Err(row.wrong(1, "has a weight of this day already"));
                    }
                    set.rates.push((rate.to_owned(), weight));
                }
                _ => sets.push(WeightSet { from, rates: vec![(rate.to_owned(), weight)] }),
            }
        }
        Ok(Weights(sets))
    }

    /// The weights that count on this day; none before the first.
    pub fn on(&self, day: Date) -> Option<&WeightSet> {
        self.0.iter().rev().find(|set| set.from <= day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn read(text: &'static str) -> Result<Weights, ReferenceError> {
        Weights::parse(&Source::test(text), &Reference::built_in().definitions)
    }

    #[test]
    fn the_set_of_the_last_day_that_has_come_counts() {
        let weights = read(
            "from,rate,weight,basis\n2021-01-01,rectified,40,a\n2021-01-01,complaint_in_time,60,a\n2026-12-01,rectified,100,b\n",
        )
        .unwrap();
        let on = |day: &str| weights.on(day.parse().unwrap()).map(|set| set.rates.len());
        assert_eq!((on("2020-12-31"), on("2026-11-30"), on("2026-12-01")), (None, Some(2), Some(1)));
        let today = Reference::built_in().weights.on("2026-11-01".parse().unwrap()).unwrap();
        assert_eq!((today.rates.len(), today.rates.iter().map(|(_, w)| w).sum::<f64>()), (8, 100.0));
    }

    #[test]
    fn definitions_of_ones_own_do_with_the_weights_that_fit_them() {
        let dir = tempfile::tempdir().unwrap();
        let head = "id,kind,zh,en,counts,of,says_zh,says_en,basis\n";
        let rate = "rectified,rate,整改率,rectified,rectified,dissatisfied,a,b,local\n";
        std::fs::write(dir.path().join("figures.csv"), format!("{head}{rate}")).unwrap();
        let own = Reference::load(Some(dir.path())).unwrap();
        let rates = own.weights.on("2026-11-01".parse().unwrap()).unwrap().rates.clone();
        assert_eq!(rates, [("rectified".to_owned(), 12.5)]);
        std::fs::write(dir.path().join("scorecard.csv"), "from,rate,weight,basis\n2021-01-01,taken,1,a\n")
            .unwrap();
        assert!(
            Reference::load(Some(dir.path())).unwrap_err().to_string().contains("scorecard.csv"),
            "a slip of one's own"
        );
    }

    #[test]
    fn what_is_no_weight_is_refused_with_its_place() {
        for (rows, why) in [
            ("2021-01-01,taken,1,a", "no rate"),
            ("2021-01-01,rectified,0,a", "no weight"),
            ("2021-01-01,rectified,NaN,a", "no weight"),
            ("2021-01-01,rectified,1,a\n2021-01-01,rectified,2,a", "already"),
            ("2021-02-01,rectified,1,a\n2021-01-01,rectified,2,a", "oldest come first"),
            ("tomorrow,rectified,1,a", "2021-01-01"),
        ] {
            let text: &'static str = format!("from,rate,weight,basis\n{rows}\n").leak();
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
