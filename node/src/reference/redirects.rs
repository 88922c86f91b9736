//! Redirects: the hotlines that a caller is told of, or put through to, because the matter is theirs.

use std::collections::BTreeMap;

use super::table::{ReferenceError, Source};

/// What to do for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RedirectMode {
    /// 告知: name the number.
    Tell,
    /// 转接: put the caller through at once.
    Transfer,
}

/// One hotline that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    number: String,
    name: String,
    scope: String,
    mode: RedirectMode,
}

impl Redirect {
    /// Its number (`12306`).
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Its name (铁路客户服务).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The matters it takes, as one line for people.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// What to do for the caller.
    pub fn mode(&self) -> RedirectMode {
        self.mode
    }
}

/// The redirects, by number.
#[derive(Clone, Debug)]
pub struct Redirects(BTreeMap<String, Redirect>);

impl Redirects {
    pub(super) fn parse(source: &Source) -> Result<Redirects, ReferenceError> {
        let mut redirects = BTreeMap::new();
        for row in source.rows(["number", "name", "scope", "mode"])? {
            let number = row.text(0)?.to_owned();
            if !(3..=12).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(row.wrong(0, "is not a telephone number of 3 to 12 digits"));
            }
            let mode =
                row.one_of(3, &[("tell", RedirectMode::Tell), ("transfer", RedirectMode::Transfer)])?;
            let (name, scope) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
            if redirects.insert(number.clone(), Redirect { number, name, scope, mode }).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        Ok(Redirects(redirects))
    }

    /// The hotline of this number.
    pub fn get(&self, number: &str) -> Option<&Redirect> {
        self.0.get(number)
    }

    /// All of them, by number as text.
    pub fn iter(&self) -> impl Iterator<Item = &Redirect> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn emergencies_are_put_through_and_others_told() {
        let redirects = &Reference::built_in().redirects;
        let transfer = redirects.iter().filter(|r| r.mode() == RedirectMode::Transfer);
        assert_eq!(transfer.map(Redirect::number).collect::<Vec<_>>(), ["110", "119", "120", "12395"]);
        assert_eq!(redirects.get("12306").unwrap().name(), "铁路客户服务");
        assert_eq!(redirects.iter().count(), 14);
        assert!(redirects.get("12328").is_none());
    }

    #[test]
    fn a_number_is_digits() {
        let error =
            Redirects::parse(&Source::test("number,name,scope,mode\n12306x,铁路,客票,tell")).unwrap_err();
        assert!(error.to_string().contains("line 2, column `number`: `12306x`"), "{error}");
    }
}
