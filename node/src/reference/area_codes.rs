//! Area codes of landlines, and the divisions that each serves.

use std::collections::BTreeMap;

use super::divisions::DivisionCode;
use super::table::{ReferenceError, Source};

/// The divisions by area code, zero in front.
#[derive(Clone, Debug)]
pub struct AreaCodes(BTreeMap<String, Vec<DivisionCode>>);

impl AreaCodes {
    pub(super) fn parse(source: &Source) -> Result<AreaCodes, ReferenceError> {
        let mut codes: BTreeMap<String, Vec<DivisionCode>> = BTreeMap::new();
        for row in source.rows(["area_code", "division_code"])? {
            let code = row.text(0)?;
            let fine = (3..=4).contains(&code.len()) && code.starts_with('0');
            if !fine || !code.bytes().all(|b| b.is_ascii_digit()) {
                return Err(row.wrong(0, "is not an area code of three or four digits, zero in front"));
            }
            let division = row.parsed(1, "is not a division code of six digits")?;
            codes.entry(code.to_owned()).or_default().push(division);
        }
        Ok(AreaCodes(codes))
    }

    /// The division that a number's area code names, and what stands behind the code. Where neighbours share a code it is the
    /// first of them.
    pub fn split<'a>(&self, number: &'a str) -> Option<(DivisionCode, &'a str)> {
        (3..=4).rev().find_map(|len| {
            let (code, rest) = number.split_at_checked(len)?;
            self.0.get(code)?.first().map(|division| (*division, rest))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::reference::Reference;

    #[test]
    fn a_landline_says_where_it_is() {
        let codes = &Reference::built_in().area_codes;
        let check = |number: &str, found: Option<(&str, &str)>| {
            let split = codes.split(number).map(|(division, rest)| (division.to_string(), rest));
            assert_eq!(split.as_ref().map(|(d, r)| (d.as_str(), *r)), found, "{number}");
        };
        check("01012345678", Some(("110000", "12345678")));
        check("057196266", Some(("330100", "96266")));
        check("13800000001", None);
        check("0", None);
    }
}
