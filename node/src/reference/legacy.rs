//! Hotlines of before 12328, and what became of their numbers: each in the area that had it.

use super::divisions::DivisionCode;
use super::table::{ReferenceError, Source};

/// What is done with a call to an old number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arrangement {
    /// 并行: it is answered as 12328 is.
    Parallel,
    /// 语音提示: the caller is told to call 12328.
    VoiceHint,
    /// 转接: the caller is put through to 12328.
    Transfer,
    /// 停用: it is off, and says so.
    Off,
}

/// One old number in one area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyNumber {
    number: String,
    area: DivisionCode,
    service: String,
    arrangement: Arrangement,
    basis: String,
}

impl LegacyNumber {
    /// The number (`96266`).
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The division that had it.
    pub fn area(&self) -> DivisionCode {
        self.area
    }

    /// What it was (运管服务热线).
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What is done with a call to it.
    pub fn arrangement(&self) -> Arrangement {
        self.arrangement
    }

    /// On what this rests.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// Whether a place lies in its area.
    fn covers(&self, place: &str) -> bool {
        let area = self.area.to_string();
        let mut own = area.as_str();
        while let Some(shorter) = own.strip_suffix("00") {
            own = shorter;
        }
        place.starts_with(own)
    }
}

/// The old numbers.
#[derive(Clone, Debug)]
pub struct LegacyNumbers(Vec<LegacyNumber>);

impl LegacyNumbers {
    pub(super) fn parse(source: &Source) -> Result<LegacyNumbers, ReferenceError> {
        let mut all: Vec<LegacyNumber> = Vec::new();
        for row in source.rows(["number", "area_code_or_region", "former_service", "mode", "basis"])? {
            let number = row.text(0)?.to_owned();
            if !(3..=12).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(row.wrong(0, "is not a telephone number of 3 to 12 digits"));
            }
            let area: DivisionCode = row.parsed(1, "is not a division code of six digits")?;
            if all.iter().any(|one| one.number == number && one.area == area) {
                return Err(row.wrong(0, "stands in an earlier row of this area already"));
            }
            let arrangement = row.one_of(
                3,
                &[
                    ("parallel", Arrangement::Parallel),
                    ("voice-hint", Arrangement::VoiceHint),
                    ("transfer", Arrangement::Transfer),
                    ("off", Arrangement::Off),
                ],
            )?;
            let (service, basis) = (row.text(2)?.to_owned(), row.text(4)?.to_owned());
            all.push(LegacyNumber { number, area, service, arrangement, basis });
        }
        // The smallest area that has a place stands first.
        all.sort_by_key(|one| one.area.to_string().trim_end_matches("00").len());
        all.reverse();
        Ok(LegacyNumbers(all))
    }

    /// The row of a number in the smallest area that this place lies in.
    pub fn get(&self, number: &str, place: &str) -> Option<&LegacyNumber> {
        self.0.iter().find(|one| one.number == number && one.covers(place))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &LegacyNumber> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_number_counts_in_its_area_and_in_no_other() {
        let legacy = &Reference::built_in().legacy;
        assert_eq!(legacy.iter().count(), 6);
        let check = |number: &str, place: &str, found: Option<Arrangement>| {
            assert_eq!(legacy.get(number, place).map(LegacyNumber::arrangement), found, "{number} {place}");
        };
        check("96266", "330100", Some(Arrangement::Transfer));
        check("96266", "340100", None);
        check("96779", "640000", Some(Arrangement::Parallel));
        check("96333", "340100", Some(Arrangement::Off));
        check("96333", "340200", None);
        check("96123", "110105", Some(Arrangement::Transfer));
    }

    #[test]
    fn the_smallest_area_counts() {
        let text = "number,area_code_or_region,former_service,mode,basis\n96000,330000,省,off,x\n96000,330100,市,voice-hint,y";
        let legacy = LegacyNumbers::parse(&Source::test(text)).unwrap();
        assert_eq!(legacy.get("96000", "330102").unwrap().basis(), "y");
        assert_eq!(legacy.get("96000", "330200").unwrap().basis(), "x");
        let wrong = "number,area_code_or_region,former_service,mode,basis\n96000,330000,省,gone,x";
        assert!(LegacyNumbers::parse(&Source::test(wrong)).unwrap_err().to_string().contains("voice-hint"));
    }
}
