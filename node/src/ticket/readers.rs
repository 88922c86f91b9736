//! Who is granted a ticket's key: a function of its entries, like the audience, and always a part of it or its desks.
//!
//! An ordinary ticket's caller is shown to the site that took the call and its province, to each target of an offer or
//! assign, and to whoever holds or held the ticket; to the ministry only when it took the call or held the ticket. A
//! confidential reporter (举报人保密) is shown to two confidential desks only: of the site that took the call and its
//! province, or one tier up when the matter concerns one of them.

use std::collections::BTreeSet;

use certs::{NodeName, Site};

use super::entry::{Authored, Op};
use super::fold::Folded;

/// How many desks hold a confidential report's key: one lost disk loses nobody.
const DESKS: usize = 2;

/// The sites whose nodes are granted the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readers {
    /// The sites, in order.
    pub sites: BTreeSet<Site>,
    /// Only their confidential desks are.
    pub desk: bool,
    /// Who holds the ticket now.
    pub custodian: Site,
    /// The site that took the call.
    pub taken_by: Site,
}

/// The readers of a ticket with these entries.
pub fn readers<'a>(folded: &Folded, entries: impl Iterator<Item = &'a Authored>) -> Readers {
    let (taken_by, custodian) = (folded.stand.taken_by, folded.stand.custodian);
    if folded.created.confidential {
        let sites = desks(taken_by, folded.created.against).collect();
        return Readers { sites, desk: true, custodian, taken_by };
    }
    let mut sites: BTreeSet<Site> = folded.stand.custodians.clone();
    for entry in entries {
        let to = match &entry.entry.op {
            Op::Offer { to, .. } | Op::Assign { to, .. } => *to,
            _ => continue,
        };
        if !folded.unentitled.iter().any(|u| u.entry == entry.id) {
            sites.insert(to);
        }
    }
    if !folded.stand.custodians.contains(&Site::MINISTRY) {
        sites.remove(&Site::MINISTRY);
    }
    sites.insert(taken_by);
    sites.extend(taken_by.province());
    Readers { sites, desk: false, custodian, taken_by }
}

/// The sites whose desks hold the key of a confidential report that `taken_by` took about `against`.
pub fn desks(taken_by: Site, against: Option<Site>) -> impl Iterator<Item = Site> {
    let upwards = std::iter::once(taken_by).chain(taken_by.province()).chain([Site::MINISTRY]);
    let mut seen = BTreeSet::new();
    upwards.filter(move |site| Some(*site) != against && seen.insert(*site)).take(DESKS)
}

/// How many of those that hold the key, `held`, stand before `me` when it comes to granting it to `lacking`: a replica
/// of the same site first, then the custodian's nodes, the superiors of who lacks it, the site that took the call, the
/// rest by name. All of them rank themselves alike.
pub fn place(me: NodeName, lacking: NodeName, held: &[NodeName], readers: &Readers) -> usize {
    let order = |holder: NodeName| {
        let site = holder.site();
        (
            site != lacking.site(),
            site != readers.custodian,
            !site.is_above(lacking.site()),
            site != readers.taken_by,
            holder,
        )
    };
    held.iter().filter(|holder| order(**holder) < order(me)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidential_report_has_two_desks_and_never_that_of_the_unit_itself() {
        let check = |taken_by: &str, against: Option<&str>, wanted: &str| {
            let found = desks(taken_by.parse().unwrap(), against.map(|s| s.parse().unwrap()));
            let found: Vec<String> = found.map(|s| s.to_string()).collect();
            assert_eq!(found.join(" "), wanted, "{taken_by} {against:?}");
        };
        check("370100", None, "370100 370000");
        check("370100-01", None, "370100-01 370000");
        check("370100", Some("370100"), "370000 000000");
        check("370100", Some("370000"), "370100 000000");
        check("370000", Some("370000"), "000000");
        check("370000", None, "370000 000000");
        check("110000", None, "110000 000000");
        check("000000", None, "000000");
    }
}
