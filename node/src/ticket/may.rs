//! A person asks before acting: may my site do this, and if not, who may?
//!
//! The answer is the fold's own: an entry written on the heads of this state is entitled exactly when [`may`] says yes.

use std::collections::BTreeSet;

use certs::Site;

use super::audience::audience;
use super::entitle::Refusal;
use super::entry::Op;
use super::fold::Folded;

/// Whether `site` may do `op` as the ticket stands, and why not.
pub fn may(folded: &Folded, site: Site, op: &Op) -> Result<(), Refusal> {
    folded.stand.entitle(&folded.parties, folded.entries, site, op)
}

/// The sites that may do `op` as the ticket stands, out of all that hold the ticket or stand above its custodian.
/// Empty: nobody may until something else has happened, and the refusal says what.
pub fn who_may(folded: &Folded, op: &Op) -> BTreeSet<Site> {
    let mut sites = audience(folded);
    sites.extend(folded.stand.custodian.superiors());
    sites.retain(|s| may(folded, *s, op).is_ok());
    sites
}
