//! One fact as somebody corrects it, by the rules by which it came in.

use crate::reference::{DivisionCode, Reference};

use super::mask::mask_phones;
use super::new_ticket::{MAX_EXTRA_BYTES, MAX_SUBJECT, NewTicketError, Urgency, capped, centre, wrong};
use super::own::own;

/// A fact as it stands in a ticket: domains, topics and regions by their code, telephone numbers masked. Empty takes the fact
/// away.
pub fn fact(name: &str, said: &str, reference: &Reference) -> Result<String, NewTicketError> {
    let said = said.trim();
    match name {
        "urgency" => Urgency::of(said)
            .map(|urgency| urgency.word().to_owned())
            .ok_or_else(|| wrong(name, "is none of 一般, 紧急 and 特急")),
        _ if said.is_empty() => Ok(String::new()),
        "domain" => reference
            .categories
            .domain(said)
            .map(|domain| domain.code().to_string())
            .map_err(|e| wrong(name, format!("is no domain: {e}"))),
        "topic" => reference
            .categories
            .topic(None, said)
            .map(|topic| topic.code().to_string())
            .map_err(|e| wrong(name, format!("is no topic: {e}"))),
        "region" => said
            .parse::<DivisionCode>()
            .map(|code| code.to_string())
            .map_err(|_| wrong(name, "is not a division code; write six digits")),
        "centre" => Ok(centre(said, reference)?.map(|site| site.to_string()).unwrap_or_default()),
        "subject" if said.chars().nth(MAX_SUBJECT).is_some() => {
            Err(wrong(name, format!("is longer than {MAX_SUBJECT} characters; shorten it")))
        }
        "subject" | "place" => capped(name, mask_phones(said).into_owned()),
        "business" | "channel" | "happened_at" | "plate" | "unit" | "object_person" | "external_numbers" => {
            capped(name, said.to_owned())
        }
        _ if name.len() > "x.".len() && name.starts_with("x.") => match reference.fields.of_fact(name) {
            Some(field) => own(field, said).map_err(|unfit| wrong(name, unfit.to_string())),
            None if name.len() + said.len() <= MAX_EXTRA_BYTES => Ok(mask_phones(said).into_owned()),
            None => Err(wrong(
                name,
                format!("is larger than {MAX_EXTRA_BYTES} bytes; attach it as a file instead"),
            )),
        },
        _ => Err(wrong(name, "is no fact of a ticket; a field of your own begins with `x.`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_corrected_by_the_rules_by_which_it_came_in() {
        let check = |name: &str, said: &str, expected: &str| {
            let found = fact(name, said, Reference::built_in()).unwrap_or_else(|e| e.to_string());
            assert_eq!(found, expected, "{name} {said}");
        };
        check("place", " 火车站，打13800000001 ", "火车站，打138****0001");
        check("place", " ", "");
        check("domain", "城市客运", "D04");
        check("topic", "巡游出租汽车", "D0401");
        check("topic", "D0401", "D0401");
        check("region", "370102", "370102");
        check("region", "历下区", "`region` is not a division code; write six digits");
        check("centre", "371700", "371700");
        check("centre", "菏泽", "`centre` is no centre; write its code, like 371700");
        check("urgency", "紧急", "紧急");
        check("urgency", "", "一般");
        check("urgency", "快", "`urgency` is none of 一般, 紧急 and 特急");
        check("subject", &"长".repeat(41), "`subject` is longer than 40 characters; shorten it");
        check("x.lane", "3", "3");
        check("x.", "3", "`x.` is no fact of a ticket; a field of your own begins with `x.`");
        check("stage", "closed", "`stage` is no fact of a ticket; a field of your own begins with `x.`");
        assert!(fact("domain", "航天", Reference::built_in()).is_err());
    }
}
