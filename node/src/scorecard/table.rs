//! The table of a month: units, rates, scores and ranks.

use std::collections::BTreeMap;

use certs::Site;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::china;
use crate::figures::{Facts, Numbers, Period};
use crate::reference::{Definitions, WeightSet};

/// Most sites that a unit is said to lack: a table has to fit into an entry.
const MOST_UNTOLD: usize = 8;

/// A month's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScorecardTable)]
pub struct Table {
    /// The month, as in `2026-11`.
    pub month: String,
    /// Since when the weights count.
    #[schema(format = Date)]
    pub weights_from: String,
    /// Each rate with its weight.
    pub rates: Vec<(String, f64)>,
    /// The units, those with a rank first and by it.
    pub units: Vec<Unit>,
}

/// One unit of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScorecardUnit)]
pub struct Unit {
    /// The site.
    #[schema(value_type = String)]
    pub site: Site,
    /// Tickets of which it or a site below it took the call.
    pub taken: u64,
    /// Test tickets, which count in nothing else.
    pub test: u64,
    /// Of each rate how many count, and of how many.
    pub counted: Vec<[u64; 2]>,
    /// Whether this node and one of the unit's were proved equal after the month had ended, or today while it runs, and nobody of
    /// whose telling the numbers are made is `untold`: otherwise tickets may be missing.
    pub complete: bool,
    /// When they last were, if that was before; RFC 3339.
    #[schema(required, format = DateTime)]
    pub proved_at: Option<String>,
    /// Sites whose aggregates (see [`crate::aggregate`]) have not come to the end of the month, or to yesterday while it runs, at most
    /// eight of them; at the ministry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub untold: Vec<Site>,
    /// From 0 to 100; none when nothing could be judged.
    #[schema(required)]
    pub score: Option<f64>,
    /// 1 is the best; equal scores share a rank. None without a score, and while something may be missing.
    #[schema(required)]
    pub rank: Option<u32>,
}

/// What was heard of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// When it was last proved equal, in milliseconds since 1970; `None` if it never was.
    pub proved: Option<u64>,
    /// Whose aggregates are lacking.
    pub untold: Vec<Site>,
}

/// What was heard of every unit that is known.
pub type Heard = BTreeMap<Site, Hearing>;

/// The unit directly below `me` that a site is, or lies below; `None` for `me` itself and everything elsewhere.
pub fn unit_below(me: Site, site: Site) -> Option<Site> {
    std::iter::once(site).chain(site.superiors()).find(|s| s.superior() == Some(me))
}

impl Table {
    /// The table of a month. `cells` are the tallied facts by the site that took the call; `heard` names every unit that is
    /// known, whether it has tickets or not; `today` is the first day of which nothing need be known.
    pub fn of(
        me: Site,
        month: Period,
        weights: &WeightSet,
        definitions: &Definitions,
        cells: impl IntoIterator<Item = (Site, Facts, i64)>,
        heard: &Heard,
        today: Date,
    ) -> Table {
        let mut numbers: BTreeMap<Site, Numbers> =
            heard.keys().map(|unit| (*unit, Numbers::default())).collect();
        for (site, facts, n) in cells {
            if let Some(unit) = unit_below(me, site) {
                numbers.entry(unit).or_default().add(facts, n);
            }
        }
        let last = today.yesterday().map_or(month.last(), |yesterday| yesterday.min(month.last()));
        let over = china::end_of(last).map(|end| end.as_millisecond());
        let count = |numbers: &Numbers, id: &str| {
            definitions.get(id).map_or(0, |definition| numbers.figure(definition).count)
        };
        let unit = |(site, numbers): (Site, Numbers)| {
            let hearing = heard.get(&site).cloned().unwrap_or_default();
            let proved = hearing.proved;
            let counted: Vec<[u64; 2]> = weights
                .rates
                .iter()
                .filter_map(|(id, _)| definitions.get(id))
                .map(|definition| numbers.figure(definition))
                .map(|figure| [figure.count, figure.of.unwrap_or_default()])
                .collect();
            let equal =
                proved.zip(over).is_some_and(|(at, over)| i64::try_from(at).is_ok_and(|at| at > over));
            let complete = equal && hearing.untold.is_empty();
            Unit {
                site,
                taken: count(&numbers, "taken"),
                test: count(&numbers, "test"),
                complete,
                proved_at: proved.filter(|_| !equal).map(china::shown_time),
                untold: hearing.untold.into_iter().take(MOST_UNTOLD).collect(),
                score: score(&weights.rates, &counted),
                counted,
                rank: None,
            }
        };
        let mut units: Vec<Unit> = numbers.into_iter().map(unit).collect();
        rank(&mut units);
        Table {
            month: month.month_name(),
            weights_from: weights.from.to_string(),
            rates: weights.rates.clone(),
            units,
        }
    }
}

/// The weighed mean of the rates that are of something, from 0 to 100 with two places; none when none is.
fn score(rates: &[(String, f64)], counted: &[[u64; 2]]) -> Option<f64> {
    let judged = || rates.iter().zip(counted).filter(|(_, [_, of])| *of > 0);
    let weights: f64 = judged().map(|((_, weight), _)| weight).sum();
    let reached: f64 =
        judged().map(|((_, weight), [count, of])| weight * (*count as f64) / (*of as f64)).sum();
    (weights > 0.0).then(|| (reached / weights * 10_000.0).round() / 100.0)
}

/// Ranks those that can be ranked, and puts them first.
fn rank(units: &mut [Unit]) {
    let key = |unit: &Unit| unit.score.filter(|_| unit.complete);
    units.sort_by(|a, b| {
        let by_score = |x: Option<f64>, y: Option<f64>| y.unwrap_or(-1.0).total_cmp(&x.unwrap_or(-1.0));
        by_score(key(a), key(b)).then(a.site.cmp(&b.site))
    });
    let mut last: Option<(f64, u32)> = None;
    for (place, unit) in (1..).zip(units) {
        let Some(score) = key(unit) else { continue };
        let rank = last.filter(|(of, _)| *of == score).map_or(place, |(_, rank)| rank);
        last = Some((score, rank));
        unit.rank = Some(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Fact;
    use crate::reference::Reference;

    fn site(name: &str) -> Site {
        name.parse().unwrap()
    }

    fn facts(all: &[Fact]) -> Facts {
        all.iter().fold(Facts::default(), |facts, fact| facts.with(*fact, true))
    }

    #[test]
    fn a_unit_is_the_site_below_with_everything_below_it() {
        let unit = |me: &str, of: &str| unit_below(site(me), site(of)).map(|s| s.to_string());
        assert_eq!(unit("000000", "370100-01").as_deref(), Some("370000"));
        assert_eq!(unit("370000", "370100-01").as_deref(), Some("370100"));
        assert_eq!(unit("370000", "370100").as_deref(), Some("370100"));
        assert_eq!(unit("370100", "370100-01").as_deref(), Some("370100-01"));
        assert_eq!((unit("370000", "370000"), unit("370000", "510100")), (None, None));
    }

    #[test]
    fn scores_weigh_what_can_be_judged_and_silence_is_no_zero() {
        let reference = Reference::built_in();
        let weights = WeightSet {
            from: "2021-01-01".parse().unwrap(),
            rates: vec![("complaint_in_time".into(), 60.0), ("rectified".into(), 40.0)],
        };
        let (in_time, late) =
            (facts(&[Fact::Complaint, Fact::InTime]), facts(&[Fact::Complaint, Fact::Late]));
        let set_right = facts(&[Fact::Dissatisfied, Fact::Rectified]);
        let cells = [
            ("370100", in_time, 3),
            ("370100-01", late, 1),
            ("370200", in_time, 3),
            ("370200", late, 1),
            ("370300", in_time, 1),
            ("370300", set_right, 1),
            ("370400", in_time, 9),
            ("370000", late, 50),
            ("370500", facts(&[Fact::Test]), 2),
        ];
        let cells = cells.map(|(of, facts, n)| (site(of), facts, n));
        let after = china::end_of("2026-11-30".parse().unwrap()).unwrap().as_millisecond() as u64 + 1_000;
        let heard = ["370100", "370200", "370300", "370400", "370500", "370600"];
        let proved = |at| Hearing { proved: at, untold: Vec::new() };
        let mut heard: Heard = heard.into_iter().map(|of| (site(of), proved(Some(after)))).collect();
        heard.insert(site("370400"), proved(Some(after - 2_000)));
        heard.insert(site("370600"), proved(None));
        let month = Period::month("2026-11").unwrap();
        let of = |day: &str| {
            let today = day.parse().unwrap();
            Table::of(site("370000"), month, &weights, &reference.definitions, cells, &heard, today)
        };
        let running = of("2026-11-30");
        assert!(
            running.units.iter().take(5).all(|unit| unit.complete),
            "heard of today, while the month runs"
        );
        let table = of("2026-12-01");
        let rows: Vec<_> = table
            .units
            .iter()
            .map(|u| (u.site.to_string(), u.taken, u.test, u.complete, u.score, u.rank))
            .collect();
        let row = |of: &str, taken, test, complete, score, rank| {
            (of.to_owned(), taken, test, complete, score, rank)
        };
        assert_eq!(
            rows,
            [
                row("370300", 2, 0, true, Some(100.0), Some(1)),
                row("370100", 4, 0, true, Some(75.0), Some(2)),
                row("370200", 4, 0, true, Some(75.0), Some(2)),
                row("370400", 9, 0, false, Some(100.0), None),
                row("370500", 0, 2, true, None, None),
                row("370600", 0, 0, false, None, None),
            ]
        );
        let back: Table = serde_json::from_value(serde_json::to_value(&table).unwrap()).unwrap();
        assert_eq!(back, table);
    }
}
