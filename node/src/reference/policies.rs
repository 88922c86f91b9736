//! Which tables sites may set for themselves and everybody below them, and how what tiers have set combines.

use certs::Tier;

use super::TABLES;
use super::table::{ReferenceError, Source};

/// What the tiers are called.
const TIERS: [(&str, Tier); 4] = [
    ("ministry", Tier::Ministry),
    ("province", Tier::Province),
    ("city", Tier::City),
    ("office", Tier::Office),
];

/// How a tier's edition stands to what the tiers above it have set. The ministry's own takes the place of what was compiled in,
/// but for [`How::Years`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It takes the place of the whole table.
    Replace,
    /// It takes the place of the years that it names, and leaves the others.
    Years,
    /// Its rows are added; one whose key stands above already has no effect.
    Add,
    /// Its rows count where they are not longer.
    Tighten,
}

/// What may be done to one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The table's name: `time_limits`.
    pub table: &'static str,
    /// The tiers that may set it.
    pub tiers: Vec<Tier>,
    /// How they combine.
    pub how: How,
    /// The columns that a row is known by; of [`How::Years`] the one that holds the date.
    pub key: Vec<String>,
    /// On what this rests.
    pub basis: String,
}

impl How {
    /// Every one.
    const ALL: [How; 4] = [How::Replace, How::Years, How::Add, How::Tighten];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            How::Replace => "replace",
            How::Years => "years",
            How::Add => "add",
            How::Tighten => "tighten",
        }
    }
}

impl Policy {
    /// The tiers that may set it, by name.
    pub fn tier_names(&self) -> Vec<&'static str> {
        TIERS.into_iter().filter(|(_, tier)| self.may(*tier)).map(|(name, _)| name).collect()
    }

    /// Whether a site of this tier may set it.
    pub fn may(&self, tier: Tier) -> bool {
        self.tiers.contains(&tier)
    }
}

/// All tables that can be set.
#[derive(Clone, Debug)]
pub struct Policies(Vec<Policy>);

impl Policies {
    pub(super) fn parse(source: &Source) -> Result<Policies, ReferenceError> {
        let mut all: Vec<Policy> = Vec::new();
        for row in source.rows(["table", "tiers", "how", "key", "basis"])? {
            let settable = |name: &str| {
                !matches!(name, "policies" | "area_codes" | "import_columns" | "forms" | "tiles")
            };
            let known = TABLES.into_iter().map(|(name, _)| name).find(|name| *name == row.fields[0]);
            let Some(table) = known.filter(|name| settable(name)) else {
                return Err(row.wrong(0, "is no table that a site can set"));
            };
            if all.iter().any(|policy| policy.table == table) {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
            let tier = |word: &str| {
                let tier = TIERS.into_iter().find(|(name, _)| *name == word).map(|(_, tier)| tier);
                tier.ok_or_else(|| {
                    row.wrong(1, "names something else than ministry, province, city and office")
                })
            };
            let tiers = row.text(1)?.split(' ').map(tier).collect::<Result<_, _>>()?;
            let how = row.one_of(2, &How::ALL.map(|how| (how.word(), how)))?;
            if (how == How::Tighten) != (table == "time_limits") {
                return Err(row.wrong(2, "does not fit: limits are tightened, and nothing else is"));
            }
            let key: Vec<String> =
                row.fields[3].split(' ').filter(|k| !k.is_empty()).map(str::to_owned).collect();
            if matches!(how, How::Add | How::Years) && key.is_empty() {
                return Err(row.wrong(3, "is empty; it must say by which columns a row is known"));
            }
            all.push(Policy { table, tiers, how, key, basis: row.text(4)?.to_owned() });
        }
        Ok(Policies(all))
    }

    /// What may be done to this table; `None` when no site can set it.
    pub fn get(&self, table: &str) -> Option<&Policy> {
        self.0.iter().find(|policy| policy.table == table)
    }

    /// All of them, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn the_ministry_may_set_all_of_them_and_a_city_few() {
        let policies = &Reference::built_in().policies;
        assert!(policies.iter().all(|policy| policy.may(Tier::Ministry)));
        let of = |tier| -> Vec<&str> { policies.iter().filter(|p| p.may(tier)).map(|p| p.table).collect() };
        let city = [
            "time_limits",
            "redirects",
            "legacy_numbers",
            "categories",
            "scorecard",
            "transfers",
            "retention",
            "fields",
            "dispatch",
        ];
        assert_eq!(of(Tier::City), city);
        assert!(of(Tier::Office).is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (rows, why) in [
            ("policies,ministry,replace,,x", "is no table that a site can set"),
            ("holidays,nation,years,date,x", "names something else"),
            ("holidays,ministry,years,,x", "by which columns"),
            ("holidays,ministry,tighten,,x", "nothing else is"),
            ("time_limits,ministry,replace,,x", "nothing else is"),
            ("centres,ministry,replace,,x\ncentres,ministry,replace,,x", "earlier row"),
        ] {
            let text: &'static str = format!("table,tiers,how,key,basis\n{rows}\n").leak();
            let error = Policies::parse(&Source::test(text)).unwrap_err().to_string();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
