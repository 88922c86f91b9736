//! Centres: what a site is called and what it does.

use std::borrow::Cow;
use std::collections::BTreeMap;

use certs::{Site, Tier};

use super::table::{ReferenceError, Source};

/// What a centre does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CentreKind {
    /// The ministry: supervises, takes no calls.
    NoCallCentre,
    /// A province: hands tickets on and supervises.
    ProvinceDesk,
    /// A municipality: city and province in one.
    MunicipalSingle,
    /// A city that answers its own calls.
    CallCentre,
    /// A city whose calls its province answers, with seats in the city.
    RemoteSeats,
    /// A field office.
    Office,
}

/// One centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centre {
    site: Site,
    name: String,
    kind: CentreKind,
}

impl Centre {
    /// The site, which also says its tier.
    pub fn site(&self) -> Site {
        self.site
    }

    /// Its name (济南市).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    pub fn kind(&self) -> CentreKind {
        self.kind
    }
}

/// The centres, by site.
#[derive(Clone, Debug)]
pub struct Centres(BTreeMap<Site, Centre>);

impl Centres {
    /// The columns `tier` and `parent_code` are for people; a row in which they disagree with the code is refused,
    /// because custody follows the code.
    pub(super) fn parse(source: &Source) -> Result<Centres, ReferenceError> {
        let mut centres = BTreeMap::new();
        for row in source.rows(["code", "name", "parent_code", "tier", "kind"])? {
            let site: Site = row.parsed(0, "is not a site: six digits (370100) or an office (370100-02)")?;
            let superior = site.superior().map(|s| s.to_string()).unwrap_or_default();
            if row.fields[2] != superior {
                return Err(row.wrong(2, format!("is not the superior of {site}, which is `{superior}`")));
            }
            let tiers = [
                ("ministry", Tier::Ministry),
                ("province", Tier::Province),
                ("city", Tier::City),
                ("office", Tier::Office),
            ];
            if row.one_of(3, &tiers)? != site.tier() {
                return Err(row.wrong(3, format!("is not the tier of {site}; the code alone decides it")));
            }
            let kinds = [
                ("no_call_centre", CentreKind::NoCallCentre),
                ("province_desk", CentreKind::ProvinceDesk),
                ("municipal_single", CentreKind::MunicipalSingle),
                ("call_centre", CentreKind::CallCentre),
                ("remote_seats", CentreKind::RemoteSeats),
                ("office", CentreKind::Office),
            ];
            let centre = Centre { site, name: row.text(1)?.to_owned(), kind: row.one_of(4, &kinds)? };
            if centres.insert(site, centre).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        Ok(Centres(centres))
    }

    /// The centre of a site, if the table has one.
    pub fn get(&self, site: Site) -> Option<&Centre> {
        self.0.get(&site)
    }

    /// What to call a site: its name; for an office that has none, its city's name and the number; else the code.
    pub fn name(&self, site: Site) -> Cow<'_, str> {
        if let Some(centre) = self.get(site) {
            return Cow::Borrowed(centre.name());
        }
        let shown = site.to_string();
        match (site.superior().and_then(|s| self.get(s)), shown.split_once('-')) {
            (Some(city), Some((_, number))) => Cow::Owned(format!("{}-{number}", city.name())),
            _ => Cow::Owned(shown),
        }
    }

    /// The centres of these codes; what is none of them otherwise.
    pub fn served<'a>(&self, codes: impl IntoIterator<Item = &'a str>) -> Result<Vec<Site>, String> {
        let site = |code: &str| {
            let known = code.parse().ok().filter(|site| self.get(*site).is_some());
            known.ok_or_else(|| format!("`{}` is no centre", code.chars().take(20).collect::<String>()))
        };
        codes.into_iter().map(site).collect()
    }

    /// All centres, by code.
    pub fn iter(&self) -> impl Iterator<Item = &Centre> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    fn site(s: &str) -> Site {
        s.parse().unwrap()
    }

    #[test]
    fn names_fall_back_to_codes() {
        let centres = &Reference::built_in().centres;
        let check = |s: &str, name: &str| assert_eq!(centres.name(site(s)), name);
        check("000000", "交通运输部");
        check("370100", "济南市");
        check("370100-02", "济南市-02");
        check("370199", "370199");
        check("370199-01", "370199-01");
    }

    #[test]
    fn the_built_in_table_is_whole() {
        let centres = &Reference::built_in().centres;
        let count = |t| centres.iter().filter(|c| c.site().tier() == t).count();
        assert_eq!(
            [count(Tier::Ministry), count(Tier::Province), count(Tier::City), count(Tier::Office)],
            [1, 32, 333, 0]
        );
        let single = centres.iter().filter(|c| c.kind() == CentreKind::MunicipalSingle);
        assert_eq!(single.map(|c| c.name()).collect::<Vec<_>>(), ["北京市", "天津市", "上海市", "重庆市"]);
    }

    #[test]
    fn a_row_against_its_code_is_refused() {
        let check = |text: &'static str, part: &str| {
            let error = Centres::parse(&Source::test(text)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(
            "code,name,parent_code,tier,kind\n37010,济南市,370000,city,call_centre",
            "line 2, column `code`: `37010` is not a site",
        );
        check(
            "code,name,parent_code,tier,kind\n370100,济南市,360000,city,call_centre",
            "column `parent_code`: `360000`",
        );
        check(
            "code,name,parent_code,tier,kind\n370100,济南市,370000,province,call_centre",
            "column `tier`: `province`",
        );
        check(
            "code,name,parent_code,tier,kind\n370100,济南市,370000,city,palace",
            "column `kind`: `palace` is none of no_call_centre",
        );
        check(
            "code,name,parent_code,tier,kind\n370100,,370000,city,call_centre",
            "column `name`: `` is empty",
        );
        check(
            "code,name,parent_code,tier,kind\n370100,济南市,370000,city,call_centre\n370100,济南,370000,city,call_centre",
            "line 3, column `code`: `370100` stands in an earlier row",
        );
    }
}
