//! The sites that must hold a ticket.
//!
//! A function of the entitled entries alone, and it only grows: entries are never taken back, an entitled one stays
//! entitled whatever arrives later, and superseded ones count as well. So a former custodian keeps the ticket and
//! sees where it went.

use std::collections::BTreeSet;

use certs::Site;

use super::fold::Folded;

/// The sites that must hold the ticket: everyone who wrote an entitled entry or is named in one, the site that took
/// the call, their superiors up to the lowest common one and at least the province; the ministry when it is
/// reported.
pub fn audience(folded: &Folded) -> BTreeSet<Site> {
    of_parties(&folded.parties, folded.stand.reported)
}

/// The audience of these parties.
pub(super) fn of_parties(parties: &BTreeSet<Site>, reported: bool) -> BTreeSet<Site> {
    let mut audience = parties.clone();
    let Some(common) = parties.iter().copied().reduce(Site::common_superior) else { return audience };
    for party in parties {
        // Upwards to the common superior; a common superior below the province does not end the way.
        audience.extend(party.superiors().take_while(|s| *s == common || common.is_above(*s)));
        audience.extend(party.superiors().take_while(|s| *s != Site::MINISTRY));
    }
    if reported {
        audience.insert(Site::MINISTRY);
    }
    audience
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_reaches_the_common_superior_and_at_least_the_province() {
        let check = |parties: &str, reported: bool, audience: &str| {
            let sites = |text: &str| text.split(' ').map(|s| s.parse().unwrap()).collect::<BTreeSet<Site>>();
            assert_eq!(of_parties(&sites(parties), reported), sites(audience), "{parties}");
        };
        check("370100", false, "370100 370000");
        check("370100", true, "370100 370000 000000");
        check("370100-01", false, "370100-01 370100 370000");
        check("370100-01 370100", false, "370100-01 370100 370000");
        check("370100 370200", false, "370100 370200 370000");
        check("370100 510100", false, "370100 510100 370000 510000 000000");
        check("370000", false, "370000");
        check("370000 510000", false, "370000 510000 000000");
        check("000000", false, "000000");
        check("000000 370100-01", false, "000000 370000 370100 370100-01");
        check("110000 110000-01", false, "110000 110000-01");
    }
}
