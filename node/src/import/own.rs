//! Fields of a centre's own: what may stand in one that its table defines, and what a ticket says that may not.
//!
//! A field that no table knows holds anything. What came from elsewhere (an old system, another site) is kept as it came even
//! where it does not fit: only whoever types it here, or sends it by a program, is asked to mend it.

use std::fmt;

use jiff::civil::Date;
use serde_json::Value;

use super::NewTicket;
use super::mask::mask_phones;
use super::new_ticket::{MAX_TEXT, NewTicketError, wrong};
use crate::reference::{FieldKind, OwnField, Reference};

/// The longest number, in characters.
const MAX_NUMBER: usize = 20;

/// 是 and 否, and what else is taken for them.
const YES: [&str; 4] = ["是", "yes", "true", "1"];
const NO: [&str; 4] = ["否", "no", "false", "0"];

/// Why something may not stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit<'a> {
    /// Nothing is said, and something has to be.
    Missing,
    /// It is too long for a line.
    TooLong,
    /// It is none of the list.
    NotOf(&'a [String]),
    /// It is no number.
    NoNumber,
    /// It is the telephone number of somebody, which is sealed with the caller.
    Phone,
    /// It is no day.
    NoDate,
    /// It is neither yes nor no.
    NeitherYesNorNo,
}

impl fmt::Display for Unfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Missing => f.write_str("is missing; this centre asks for it"),
            Unfit::TooLong => write!(f, "is longer than {MAX_TEXT} characters; shorten it"),
            Unfit::NotOf(choices) => write!(f, "is none of {}", choices.join(", ")),
            Unfit::NoNumber => f.write_str("is no number"),
            Unfit::Phone => f.write_str("is a telephone number; write it where the caller's stands"),
            Unfit::NoDate => f.write_str("is no day; write it as in 2026-11-30"),
            Unfit::NeitherYesNorNo => f.write_str("is neither 是 nor 否"),
        }
    }
}

/// What stands in a ticket of what was said in a field; empty for nothing.
pub fn own<'a>(field: &'a OwnField, said: &str) -> Result<String, Unfit<'a>> {
    let said = said.trim();
    if said.is_empty() {
        return Ok(String::new());
    }
    let one_of = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(said));
    match field.kind() {
        FieldKind::Text if said.chars().nth(MAX_TEXT).is_some() => Err(Unfit::TooLong),
        FieldKind::Text => Ok(mask_phones(said).into_owned()),
        FieldKind::Choice(choices) if choices.iter().any(|choice| choice == said) => Ok(said.to_owned()),
        FieldKind::Choice(choices) => Err(Unfit::NotOf(choices)),
        FieldKind::Number if mask_phones(said) != said => Err(Unfit::Phone),
        FieldKind::Number => match said.parse::<f64>() {
            Ok(number) if number.is_finite() && said.len() <= MAX_NUMBER => Ok(said.to_owned()),
            _ => Err(Unfit::NoNumber),
        },
        FieldKind::Date => match said.parse::<Date>() {
            Ok(date) if date.to_string() == said => Ok(said.to_owned()),
            _ => Err(Unfit::NoDate),
        },
        FieldKind::Yes if one_of(YES) => Ok(YES[0].to_owned()),
        FieldKind::Yes if one_of(NO) => Ok(NO[0].to_owned()),
        FieldKind::Yes => Err(Unfit::NeitherYesNorNo),
    }
}

/// Why what was said in a field of a matter does not do; with `complete` also that something has to be said.
pub fn unfit<'a>(
    field: &'a OwnField,
    said: Result<String, Unfit<'a>>,
    (business, domain): (&str, &str),
    complete: bool,
) -> Option<Unfit<'a>> {
    match said {
        Err(unfit) => Some(unfit),
        Ok(said) if said.is_empty() && complete && field.required() => {
            field.fits(business, domain).then_some(Unfit::Missing)
        }
        Ok(_) => None,
    }
}

/// What stands in a ticket of a value in JSON.
pub(super) fn own_value<'a>(field: &'a OwnField, said: &Value) -> Result<String, Unfit<'a>> {
    match said {
        Value::Null => Ok(String::new()),
        Value::String(text) => own(field, text),
        other => own(field, &other.to_string()),
    }
}

impl NewTicket {
    /// What its fields of this centre's own say that may not stand there; with `complete` also which of them are missing.
    pub fn unfit(&self, reference: &Reference, complete: bool) -> Vec<NewTicketError> {
        let domain = self.domain.as_ref().map(ToString::to_string).unwrap_or_default();
        let look = |field: &OwnField| {
            let said = self.extra.get(field.name()).unwrap_or(&Value::Null);
            let unfit = unfit(field, own_value(field, said), (&self.business, &domain), complete)?;
            Some(wrong(field.name(), unfit.to_string()))
        };
        reference.fields.iter().filter_map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Sample;

    const TABLE: &str = "name,zh,en,kind,choices,business,domain,required,basis
vehicle,车型,Vehicle,choice,小客车|大货车,投诉举报,D04,yes,x
load,载重,Load,number,,,,,x
day,日期,Day,date,,,,,x
seen,目击,Seen,yes,,,,,x
road,路段,Road,text,,,,,x
";

    fn reference() -> Reference {
        let mut reference = Reference::clone(Reference::built_in());
        reference.put("fields", "test.csv".into(), TABLE.into()).unwrap();
        reference
    }

    #[test]
    fn what_stands_in_a_field_is_of_its_kind() {
        let reference = reference();
        let check = |name: &str, said: &str, expected: &str| {
            let found = own(reference.fields.get(name).unwrap(), said);
            assert_eq!(found.unwrap_or_else(|e| e.to_string()), expected, "{name} {said}");
        };
        check("vehicle", " 大货车 ", "大货车");
        check("vehicle", "卡车", "is none of 小客车, 大货车");
        check("load", "-4.5", "-4.5");
        check("load", "四吨", "is no number");
        check("load", "inf", "is no number");
        check("load", "13800000001", "is a telephone number; write it where the caller's stands");
        check("day", "2026-11-30", "2026-11-30");
        check("day", "2026-11-31", "is no day; write it as in 2026-11-30");
        check("seen", "Yes", "是");
        check("seen", "0", "否");
        check("seen", "也许", "is neither 是 nor 否");
        check("road", "打13800000001", "打138****0001");
        check("road", &"长".repeat(501), "is longer than 500 characters; shorten it");
        check("road", " ", "");
    }

    #[test]
    fn what_does_not_fit_is_named_and_kept() {
        let reference = reference();
        let ticket = |json: &str| {
            NewTicket::from_sample(Sample::parse(json.as_bytes(), 1).unwrap(), &reference).unwrap()
        };
        let check = |json: &str, complete, expected: &[&str]| {
            let found = ticket(json).unfit(&reference, complete);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{json}");
        };
        let old = r#"{"text":"a","vehicle":"卡车","load":4.5,"seen":true,"day":"昨天","other":[1]}"#;
        check(
            old,
            true,
            &["`vehicle` is none of 小客车, 大货车", "`day` is no day; write it as in 2026-11-30"],
        );
        let kept = ticket(old).extra;
        assert_eq!(
            serde_json::to_value(kept).unwrap().to_string(),
            r#"{"day":"昨天","load":"4.5","other":[1],"seen":"是","vehicle":"卡车"}"#
        );
        let asked = r#"{"text":"a","type":"投诉举报","domain":"城市客运"}"#;
        check(asked, true, &["`vehicle` is missing; this centre asks for it"]);
        check(asked, false, &[]);
        check(r#"{"text":"a","type":"信息咨询","domain":"城市客运"}"#, true, &[]);
    }
}
