//! Categories: the domain of a matter and its topic.
//!
//! Codes are for machines and names for people; both are taken. A topic's name may stand under two domains
//! (养护保通 is a topic of ordinary roads and of motorways), so a name is looked up within a domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::table::{ReferenceError, Source};

/// The code of a category: 1 to 16 letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CategoryCode(String);

impl FromStr for CategoryCode {
    type Err = CategoryError;

    fn from_str(s: &str) -> Result<Self, CategoryError> {
        if (1..=16).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(CategoryCode(s.to_owned()))
        } else {
            Err(CategoryError::unknown(s))
        }
    }
}

impl TryFrom<String> for CategoryCode {
    type Error = CategoryError;

    fn try_from(s: String) -> Result<Self, CategoryError> {
        s.parse()
    }
}

impl From<CategoryCode> for String {
    fn from(code: CategoryCode) -> String {
        code.0
    }
}

impl fmt::Display for CategoryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CategoryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a category is a domain or a topic of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CategoryKind {
    /// 领域.
    Domain,
    /// 事项, of a domain.
    Topic {
        /// The domain's code.
        domain: CategoryCode,
    },
}

/// One domain or topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    code: CategoryCode,
    name: String,
    kind: CategoryKind,
}

impl Category {
    /// Its code (`D0401`).
    pub fn code(&self) -> &CategoryCode {
        &self.code
    }

    /// Its name (巡游出租汽车).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Domain, or topic of which domain.
    pub fn kind(&self) -> &CategoryKind {
        &self.kind
    }
}

/// Why no category was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CategoryError {
    /// No category has this code or name there.
    Unknown {
        /// What was given, shortened to 40 characters.
        given: String,
    },
    /// Several domains have a topic of this name.
    Ambiguous {
        /// What was given.
        given: String,
        /// The names of those domains.
        domains: Vec<String>,
    },
}

impl CategoryError {
    fn unknown(given: &str) -> CategoryError {
        CategoryError::Unknown { given: given.chars().take(40).collect() }
    }
}

impl fmt::Display for CategoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { given } => {
                write!(f, "`{given}` is no category; give its code (D0401) or its whole name")
            }
            Self::Ambiguous { given, domains } => {
                write!(
                    f,
                    "`{given}` is a topic of {}; name the domain too, or give the code",
                    domains.join(" and ")
                )
            }
        }
    }
}

impl std::error::Error for CategoryError {}

/// The categories, by code.
#[derive(Clone, Debug)]
pub struct Categories(BTreeMap<CategoryCode, Category>);

impl Categories {
    pub(super) fn parse(source: &Source) -> Result<Categories, ReferenceError> {
        let mut categories: BTreeMap<CategoryCode, Category> = BTreeMap::new();
        let rows = source.rows(["code", "parent_code", "name", "kind"])?;
        for row in &rows {
            let what = "is not a category code: 1 to 16 letters and digits";
            let code: CategoryCode = row.parsed(0, what)?;
            let kind = match (row.one_of(3, &[("domain", true), ("topic", false)])?, row.fields[1]) {
                (true, "") => CategoryKind::Domain,
                (true, _) => return Err(row.wrong(1, "stands over a domain; domains have no parent")),
                (false, _) => CategoryKind::Topic { domain: row.parsed(1, what)? },
            };
            let name = row.text(2)?.to_owned();
            if categories.values().any(|c| c.kind == kind && c.name == name) {
                return Err(row.wrong(2, "stands in an earlier row of the same domain already"));
            }
            if categories.insert(code.clone(), Category { code, name, kind }).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        let domain =
            |code: &str| categories.values().any(|c| c.code.0 == code && c.kind == CategoryKind::Domain);
        if let Some(row) = rows.iter().find(|row| !row.fields[1].is_empty() && !domain(row.fields[1])) {
            return Err(row.wrong(1, "is not a domain of this table"));
        }
        Ok(Categories(categories))
    }

    /// The category that has this code.
    pub fn get(&self, code: &CategoryCode) -> Option<&Category> {
        self.0.get(code)
    }

    /// The domain of this code or name.
    pub fn domain(&self, given: &str) -> Result<&Category, CategoryError> {
        self.domains()
            .find(|c| c.code.0 == given || c.name == given)
            .ok_or_else(|| CategoryError::unknown(given))
    }

    /// The topic of this code or name, within a domain if one is named.
    pub fn topic(&self, domain: Option<&Category>, given: &str) -> Result<&Category, CategoryError> {
        let inside = |c: &Category| match &c.kind {
            CategoryKind::Domain => false,
            CategoryKind::Topic { domain: of } => domain.is_none_or(|d| d.code == *of),
        };
        let found: Vec<&Category> =
            self.0.values().filter(|c| inside(c) && (c.code.0 == given || c.name == given)).collect();
        match found[..] {
            [] => Err(CategoryError::unknown(given)),
            [one] => Ok(one),
            _ => {
                let domains =
                    found.iter().filter_map(|c| self.domain_of(c)).map(|d| d.name.clone()).collect();
                Err(CategoryError::Ambiguous { given: given.to_owned(), domains })
            }
        }
    }

    /// The domain that a category is or belongs to.
    pub fn domain_of<'a>(&'a self, category: &'a Category) -> Option<&'a Category> {
        match &category.kind {
            CategoryKind::Domain => Some(category),
            CategoryKind::Topic { domain } => self.get(domain),
        }
    }

    /// All domains, by code.
    pub fn domains(&self) -> impl Iterator<Item = &Category> {
        self.0.values().filter(|c| c.kind == CategoryKind::Domain)
    }

    /// The topics of a domain, by code.
    pub fn topics<'a>(&'a self, domain: &'a Category) -> impl Iterator<Item = &'a Category> {
        self.0
            .values()
            .filter(|c| matches!(&c.kind, CategoryKind::Topic { domain: of } if *of == domain.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn codes_and_names_find_the_same() {
        let c = &Reference::built_in().categories;
        let taxi = c.topic(None, "D0401").unwrap();
        assert_eq!(taxi.name(), "巡游出租汽车");
        assert_eq!(c.topic(None, "巡游出租汽车"), Ok(taxi));
        let city = c.domain("城市客运").unwrap();
        assert_eq!(c.domain("D04"), Ok(city));
        assert_eq!(c.topic(Some(city), "巡游出租汽车"), Ok(taxi));
        assert_eq!(c.domain_of(taxi), Some(city));
        assert_eq!(c.topics(city).count(), 6);
        assert_eq!((c.domains().count(), c.0.len()), (9, 53));
    }

    #[test]
    fn a_name_of_two_domains_wants_the_domain() {
        let c = &Reference::built_in().categories;
        let error = c.topic(None, "养护保通").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`养护保通` is a topic of 普通公路 and 高速公路; name the domain too, or give the code"
        );
        assert_eq!(c.topic(c.domain("高速公路").ok(), "养护保通").unwrap().code().to_string(), "D0204");
        assert_eq!(c.domain("救助打捞").unwrap().code().to_string(), "D08");
        assert_eq!(c.topic(None, "救助打捞").unwrap().code().to_string(), "D0801");
        assert!(c.topic(c.domain("海事").ok(), "D0401").is_err(), "a topic of another domain");
        assert!(c.domain("巡游出租汽车").is_err(), "a topic is no domain");
    }

    #[test]
    fn tables_that_do_not_hold_together_are_refused() {
        let check = |text: &'static str, part: &str| {
            let error = Categories::parse(&Source::test(text)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(
            "code,parent_code,name,kind\nD0101,D01,规划,topic",
            "line 2, column `parent_code`: `D01` is not a domain",
        );
        check(
            "code,parent_code,name,kind\nD0101,,规划,topic",
            "column `parent_code`: `` is not a category code",
        );
        check("code,parent_code,name,kind\nD01,D02,公路,domain", "`D02` stands over a domain");
        check(
            "code,parent_code,name,kind\nD01,,公路,domain\nD02,,公路,domain",
            "line 3, column `name`: `公路` stands",
        );
        check("code,parent_code,name,kind\nD01,,公路,kingdom", "`kingdom` is none of domain, topic");
    }
}
