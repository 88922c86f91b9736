//! The dispatch catalogue (分派目录): which department, or which centre, handles what. It suggests and decides nothing.
//!
//! A column that is empty holds for everything. Of the rows that fit a ticket, one that names a smaller area goes before one of a
//! larger, that before one that names the topic, that before one of the domain, and that before one of the business.

use std::collections::BTreeSet;

use certs::Site;

use super::categories::CategoryCode;
use super::divisions::DivisionCode;
use super::table::{ReferenceError, Row, Source};

/// The longest name of a department, in characters: an account's has no more.
const LONGEST: usize = 40;

/// The columns that say of which matters a row is, and of what kind each is.
const WHEN: [&str; 4] = ["business", "domain", "topic", "region"];

/// What of a ticket the catalogue may depend on; texts as in its facts, empty where nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Case<'a> {
    /// 业务类型.
    pub business: &'a str,
    /// Code of the domain.
    pub domain: &'a str,
    /// Code of the topic.
    pub topic: &'a str,
    /// Code of the division.
    pub region: &'a str,
}

/// Who handles one kind of matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    when: [String; 4],
    department: String,
    site: Option<Site>,
    basis: String,
}

impl Handler {
    /// What it names of a matter: column and value, the narrowest first.
    pub fn when(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = WHEN.into_iter().zip(&self.when).rev();
        named.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.as_str()))
    }

    /// The site that handles it, seen from here: another one.
    pub fn site(&self, here: Site) -> Option<Site> {
        self.site.filter(|site| *site != here)
    }

    /// The department of this site that handles it.
    pub fn department(&self, here: Site) -> Option<&str> {
        let ours = self.site.is_none_or(|site| site == here);
        Some(self.department.as_str()).filter(|department| ours && !department.is_empty())
    }

    /// On what it rests.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// How closely it fits; `None` when it does not.
    fn fits(&self, case: Case<'_>) -> Option<(usize, u8)> {
        let [business, domain, topic, region] = self.when.each_ref().map(String::as_str);
        let mut weight = 0;
        let said = [(business, case.business), (domain, case.domain), (topic, case.topic)];
        for (place, (wanted, said)) in said.into_iter().enumerate() {
            match wanted {
                "" => {}
                same if same == said => weight |= 1 << place,
                _ => return None,
            }
        }
        let mut area = region;
        while let Some(wider) = area.strip_suffix("00") {
            area = wider;
        }
        (region.is_empty() || (!case.region.is_empty() && case.region.starts_with(area)))
            .then_some((region.len() + area.len(), weight))
    }
}

/// The catalogue.
#[derive(Clone, Debug)]
pub struct DispatchCatalogue(Vec<Handler>);

impl DispatchCatalogue {
    pub(super) fn parse(source: &Source) -> Result<DispatchCatalogue, ReferenceError> {
        let mut all = Vec::new();
        let mut named = BTreeSet::new();
        let columns = ["business", "domain", "topic", "region", "department", "site", "basis"];
        for row in source.rows(columns)? {
            let code = |i: usize, what: &str| match row.fields[i] {
                "" => Ok(()),
                _ => row.parsed::<CategoryCode>(i, what).map(drop),
            };
            code(1, "is not the code of a domain, like D04")?;
            code(2, "is not the code of a topic, like D0401")?;
            if !row.fields[3].is_empty() {
                row.parsed::<DivisionCode>(3, "is not a division code of six digits")?;
            }
            let handler = Handler {
                when: [0, 1, 2, 3].map(|i| row.fields[i].to_owned()),
                department: department(&row)?,
                site: match row.fields[5] {
                    "" => None,
                    _ => Some(row.parsed(5, "is not the code of a centre, like 370100")?),
                },
                basis: row.text(6)?.to_owned(),
            };
            if !named.insert(handler.when.clone()) {
                return Err(row.wrong(0, "has a row for the same matters already"));
            }
            all.push(handler);
        }
        Ok(DispatchCatalogue(all))
    }

    /// Who handles a matter, seen from this site; a row that says nothing here is passed over.
    pub fn of(&self, case: Case<'_>, here: Site) -> Option<&Handler> {
        let says = |h: &&Handler| h.site(here).is_some() || h.department(here).is_some();
        let fitting = self.0.iter().filter(says).filter_map(|h| Some((h.fits(case)?, h)));
        fitting.max_by_key(|(weight, _)| *weight).map(|(_, handler)| handler)
    }

    /// The departments of this site that it names.
    pub fn departments(&self, here: Site) -> BTreeSet<&str> {
        self.0.iter().filter_map(|handler| handler.department(here)).collect()
    }
}

fn department(row: &Row<'_, 7>) -> Result<String, ReferenceError> {
    let text = row.fields[4];
    match (text.is_empty() && row.fields[5].is_empty(), text.chars().nth(LONGEST)) {
        (true, _) => Err(row.wrong(4, "is empty, and so is `site`: a row names one of them or both")),
        (_, Some(_)) => Err(row.wrong(4, format!("is longer than {LONGEST} characters"))),
        (false, None) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "business,domain,topic,region,department,site,basis\n";

    fn parsed(rows: &str) -> Result<DispatchCatalogue, ReferenceError> {
        DispatchCatalogue::parse(&Source::test(format!("{HEADER}{rows}").leak()))
    }

    #[test]
    fn the_row_that_says_most_decides() {
        let catalogue = parsed(
            "信息咨询,,,,咨询台,,a\n,D04,,,城市客运处,,b\n,D04,D0401,,客运管理处,,c\n,,D0402,,,370000,d\n,D04,,370200,,370200,e\n\
             ,,D0401,370100,出租办,370100,f\n,,,370202,市南区所,370200,g\n",
        )
        .unwrap();
        let check = |here: &str, [business, domain, topic, region]: [&str; 4], expected: &str| {
            let here = here.parse().unwrap();
            let found = catalogue.of(Case { business, domain, topic, region }, here);
            let said = found.map(|h| match (h.site(here), h.department(here)) {
                (Some(site), None) => site.to_string(),
                (None, Some(department)) => department.to_owned(),
                other => panic!("{other:?}"),
            });
            assert_eq!(
                said.as_deref().unwrap_or("-"),
                expected,
                "{here} {business} {domain} {topic} {region}"
            );
        };
        check("370100", ["投诉举报", "D01", "", ""], "-");
        check("370100", ["信息咨询", "D01", "", "370100"], "咨询台");
        check("370100", ["信息咨询", "D04", "", ""], "城市客运处");
        check("370100", ["投诉举报", "D04", "D0401", "370700"], "客运管理处");
        check("370100", ["投诉举报", "D04", "D0401", "370102"], "出租办");
        check("370000", ["投诉举报", "D04", "D0401", "370102"], "370100");
        check("370100", ["投诉举报", "D04", "D0402", ""], "370000");
        check("370100", ["投诉举报", "D04", "D0401", "370211"], "370200");
        // At that site the row of the area says nothing, and the next one does.
        check("370200", ["投诉举报", "D04", "D0401", "370211"], "客运管理处");
        check("370200", ["投诉举报", "D04", "D0401", "370202"], "市南区所");
        let ours: Vec<&str> = catalogue.departments("370200".parse().unwrap()).into_iter().collect();
        assert_eq!(ours, ["咨询台", "城市客运处", "客运管理处", "市南区所"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (rows, why) in [
            (",,,,,,x", "line 2, column `department`: `` is empty, and so is `site`"),
            (",城市客运,,,处,,x", "column `domain`: `城市客运` is not the code of a domain"),
            (",,出租,,处,,x", "column `topic`: `出租` is not the code of a topic"),
            (",,,济南,处,,x", "column `region`: `济南` is not a division code"),
            (",,,,,济南,x", "column `site`: `济南` is not the code of a centre"),
            (",,,,处,,", "column `basis`: `` is empty"),
            (
                ",,D0401,,甲,,x\n,,D0401,,乙,,x",
                "line 3, column `business`: `` has a row for the same matters",
            ),
        ] {
            let error = parsed(rows).unwrap_err().to_string();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
