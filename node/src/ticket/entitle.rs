//! May this site do this, as the ticket stands?
//!
//! One function answers for the fold (an entry, in the state folded from its own ancestry) and for the desk (an
//! action, in the state folded from everything known): what the desk grants, every fold will grant.
//!
//! Decisions where the rules leave room:
//! - The custodian's own assign goes strictly downwards, with no offer open and the ticket not closed: an assign to
//!   itself would begin a new custody and forget its declines. A superior's assign is bound by neither.
//! - `reopen` is for the custodian, its superiors and the site that took the call.
//! - `confirm` names the custody of now, by a superior of any custodian of the chain.
//! - Declines are counted by offer: two replicas that decline one offer returned it once.
//! - `escalate` asks the lowest superior of the custodian who was not yet asked in this custody; when all were,
//!   the highest again.
//! - `extend` without `of` is the custodian's request; with `of` a superior grants that request.
//! - That the author of a `merge` also holds the other ticket stands in the other ticket: its writer checks it.
//! - An unknown op whose name begins with `custody.` is about custody: one by the custodian, its superiors or the
//!   target of an open offer shows the ticket as newer than this version.

use std::collections::BTreeSet;
use std::fmt;

use certs::Site;
use serde::{Serialize, Serializer};
use sync::id::DocId;
use utoipa::ToSchema;

use super::audience;
use super::entry::{EntryId, Op};

/// A trail with this many entries is frozen until a person has looked at it.
pub const FROZEN_AT: usize = 1000;

/// An offer that nobody has answered or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenOffer {
    /// The offer entry.
    pub offer: EntryId,
    /// The site that may accept or decline it.
    #[schema(value_type = String)]
    pub to: Site,
}

/// How a ticket stands: all that entitlement reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stand {
    /// The document.
    #[serde(serialize_with = "as_text")]
    pub document: DocId,
    /// The site that took the call.
    pub taken_by: Site,
    /// Whether the ticket is reported to the ministry.
    pub reported: bool,
    /// The names of the custody of now: one, but for forks of one site that chose the same custodian.
    pub custody: Vec<EntryId>,
    /// The responsible site.
    pub custodian: Site,
    /// The custody was begun by this superior's assign, and is offered to nobody else.
    pub only_to: Option<Site>,
    /// All custodians of the chain.
    pub custodians: BTreeSet<Site>,
    /// Offers of this custody that are open; more than one only after a fork.
    pub open_offers: Vec<OpenOffer>,
    /// How many offers of this custody were declined.
    pub declines: usize,
    /// So many leave only an assign.
    pub most_declines: u32,
    /// The closes that count; empty: the ticket is open.
    pub closed_by: Vec<EntryId>,
    /// The merges in force, with the ticket that each joins.
    pub joined: Vec<Join>,
    /// Requests for an extension in this custody.
    pub requests: Vec<EntryId>,
    /// Superiors whom an `escalate` in this custody asked to assign.
    pub asked: BTreeSet<Site>,
    /// A custody op of a newer version stands in the trail.
    pub newer: bool,
}

/// A merge in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Join {
    /// The merge entry.
    pub merge: EntryId,
    /// The ticket that it joins.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub into: DocId,
}

/// Writes an id as its hexadecimal digits.
pub(super) fn as_text<S: Serializer>(id: &DocId, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(id)
}

/// Why an action is not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields say who or what the variant's sentence speaks of")]
pub enum Refusal {
    /// It does not rest on this ticket's first entry.
    NotOfThisTicket,
    /// The ticket has its first entry.
    SecondCreate,
    /// Entries of a newer version decide about custody.
    Newer,
    /// The trail is too long.
    Frozen,
    /// Only the custodian may.
    NotCustodian { custodian: Site },
    /// Only a superior of the custodian may.
    NotSuperior { custodian: Site },
    /// Only a superior of a custodian of the chain may.
    NotAnySuperior,
    /// Only the custodian or its superiors may.
    NotCustodianOrSuperior { custodian: Site },
    /// Only the custodian, its superiors or the site that took the call may.
    NotConcerned { custodian: Site, taken_by: Site },
    /// Only the custodian or the site that took the call may.
    NotResponsible { custodian: Site, taken_by: Site },
    /// Only the site that took the call may.
    NotTakingSite { taken_by: Site },
    /// Only the site that took the call or the custodian's superiors may.
    NotTakingSiteOrSuperior { custodian: Site, taken_by: Site },
    /// Only the target of the offer may.
    NotTarget { to: Site },
    /// Only sites that hold the ticket may.
    NotInAudience,
    /// The custody named is not the one of now.
    NotThisCustody,
    /// The offer named is not open.
    NoSuchOffer,
    /// The close named does not count, or is not one.
    NoSuchClose,
    /// The request named is not one of this custody.
    NoSuchRequest,
    /// The ticket lies with the site that it would be given to.
    ToItself,
    /// The target is not below the assigner.
    OutsideJurisdiction { to: Site },
    /// An offer is open.
    OfferOpen { to: Site },
    /// So many offers of this custody were declined.
    Declined { times: u32 },
    /// A superior assigned the ticket.
    OnlyBackTo { superior: Site },
    /// The ticket is closed.
    Closed,
    /// The custodian has no superior.
    NobodyAbove,
    /// Tickets are merged into the smaller id only.
    NotIntoSmaller,
    /// The ticket is joined already.
    AlreadyJoined,
    /// The ticket is not joined.
    NotJoined,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotOfThisTicket => f.write_str("it does not rest on this ticket's first entry"),
            Refusal::SecondCreate => f.write_str("the ticket exists already; make a new one instead"),
            Refusal::Newer => {
                f.write_str("the ticket was changed by a newer version; write notes, and update this node")
            }
            Refusal::Frozen => {
                write!(f, "the trail has {FROZEN_AT} entries and is frozen; a person has to look at it")
            }
            Refusal::NotCustodian { custodian } => {
                write!(f, "{custodian} holds the ticket and only it may do this")
            }
            Refusal::NotSuperior { custodian } => {
                write!(f, "only a superior of {custodian}, which holds the ticket, may do this")
            }
            Refusal::NotAnySuperior => {
                f.write_str("only a superior of a site that has held the ticket may do this")
            }
            Refusal::NotCustodianOrSuperior { custodian } => {
                write!(f, "only {custodian}, which holds the ticket, and its superiors may do this")
            }
            Refusal::NotConcerned { custodian, taken_by } => {
                write!(
                    f,
                    "only {custodian}, which holds the ticket, its superiors and {taken_by}, which took the call, may do this"
                )
            }
            Refusal::NotResponsible { custodian, taken_by } => {
                write!(
                    f,
                    "only {custodian}, which holds the ticket, and {taken_by}, which took the call, may do this; write a note"
                )
            }
            Refusal::NotTakingSite { taken_by } => {
                write!(f, "only {taken_by}, which took the call, may do this")
            }
            Refusal::NotTakingSiteOrSuperior { custodian, taken_by } => {
                write!(
                    f,
                    "only {taken_by}, which took the call, and the superiors of {custodian} may do this"
                )
            }
            Refusal::NotTarget { to } => write!(f, "the ticket was offered to {to} and only it may answer"),
            Refusal::NotInAudience => f.write_str("this site has no part in the ticket"),
            Refusal::NotThisCustody => {
                f.write_str("it names a custody that is not the one of now; look at the ticket again")
            }
            Refusal::NoSuchOffer => {
                f.write_str("the offer that it names is not open; look at the ticket again")
            }
            Refusal::NoSuchClose => {
                f.write_str("the close that it names does not count; look at the ticket again")
            }
            Refusal::NoSuchRequest => f.write_str("it names no request for an extension of this custody"),
            Refusal::ToItself => f.write_str("the ticket lies there already; name another site"),
            Refusal::OutsideJurisdiction { to } => {
                write!(f, "{to} is not below the assigner; offer the ticket to it instead")
            }
            Refusal::OfferOpen { to } => {
                write!(f, "the ticket is offered to {to}; wait for the answer or withdraw the offer")
            }
            Refusal::Declined { times } => {
                write!(f, "declined so often already: {times}; ask a superior to assign (escalate)")
            }
            Refusal::OnlyBackTo { superior } => {
                write!(f, "{superior} assigned the ticket; it may be offered to {superior} only")
            }
            Refusal::Closed => f.write_str("the ticket is closed; reopen it first"),
            Refusal::NobodyAbove => f.write_str("the ministry holds the ticket and nobody is above it"),
            Refusal::NotIntoSmaller => {
                f.write_str("a ticket is merged into one with a smaller id; merge the other way round")
            }
            Refusal::AlreadyJoined => {
                f.write_str("the ticket is joined to another already; undo that first (unmerge)")
            }
            Refusal::NotJoined => f.write_str("the ticket is not joined to another"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Stand {
    /// Whether the ticket is closed.
    pub fn is_closed(&self) -> bool {
        !self.closed_by.is_empty()
    }

    /// Whether it was declined so often that it is offered no more.
    pub fn was_declined_enough(&self) -> bool {
        self.declines >= self.most_declines as usize
    }

    /// The superior whom an `escalate` asks now; `None` when the ministry holds the ticket.
    pub fn next_asked(&self) -> Option<Site> {
        let mut above = self.custodian.superiors();
        above.find(|s| !self.asked.contains(s)).or_else(|| self.custodian.superiors().last())
    }

    /// Whether `author` may do `op`, in a trail of so many entries whose entitled ones concern `parties`.
    pub(super) fn entitle(
        &self,
        parties: &BTreeSet<Site>,
        entries: usize,
        author: Site,
        op: &Op,
    ) -> Result<(), Refusal> {
        let custodian = self.custodian;
        let superior = author.is_above(custodian);
        let need = |granted: bool, refusal: Refusal| if granted { Ok(()) } else { Err(refusal) };
        let holder = || need(author == custodian, Refusal::NotCustodian { custodian });
        let this_custody = |of: &EntryId| need(self.custody.contains(of), Refusal::NotThisCustody);
        let no_offer = || self.open_offers.first().map_or(Ok(()), |o| Err(Refusal::OfferOpen { to: o.to }));
        let open = || need(!self.is_closed(), Refusal::Closed);
        let offer =
            |of: &EntryId| self.open_offers.iter().find(|o| o.offer == *of).ok_or(Refusal::NoSuchOffer);
        let few_declines =
            || need(!self.was_declined_enough(), Refusal::Declined { times: self.most_declines });
        let in_audience = || {
            let audience = audience::of_parties(parties, self.reported);
            need(audience.contains(&author), Refusal::NotInAudience)
        };

        need(entries < FROZEN_AT, Refusal::Frozen)?;
        need(!self.newer, Refusal::Newer)?;
        match op {
            Op::Create(_) => Err(Refusal::SecondCreate),
            Op::Offer { to, of } => {
                this_custody(of)?;
                holder()?;
                need(*to != custodian, Refusal::ToItself)?;
                open()?;
                no_offer()?;
                few_declines()?;
                match self.only_to {
                    Some(superior) if superior != *to => Err(Refusal::OnlyBackTo { superior }),
                    _ => Ok(()),
                }
            }
            Op::Accept { of } => {
                let to = offer(of)?.to;
                need(author == to, Refusal::NotTarget { to })?;
                few_declines()
            }
            Op::Decline { of } => {
                let to = offer(of)?.to;
                need(author == to, Refusal::NotTarget { to })
            }
            Op::Withdraw { of } => {
                offer(of)?;
                holder()
            }
            Op::Assign { to, of } => {
                this_custody(of)?;
                if superior {
                    return need(author.covers(*to), Refusal::OutsideJurisdiction { to: *to });
                }
                need(author == custodian, Refusal::NotCustodianOrSuperior { custodian })?;
                need(*to != custodian, Refusal::ToItself)?;
                need(author.is_above(*to), Refusal::OutsideJurisdiction { to: *to })?;
                open()?;
                no_offer()
            }
            Op::Confirm { of } => {
                this_custody(of)?;
                need(self.custodians.iter().any(|c| author.is_above(*c)), Refusal::NotAnySuperior)
            }
            Op::Close { of, .. } => {
                this_custody(of)?;
                holder()?;
                open()?;
                no_offer()
            }
            Op::Reopen { of } => {
                need(self.closed_by.contains(of), Refusal::NoSuchClose)?;
                let taken_by = self.taken_by;
                need(
                    superior || author == custodian || author == taken_by,
                    Refusal::NotConcerned { custodian, taken_by },
                )
            }
            Op::Answer
            | Op::Redirect
            | Op::Reject
            | Op::Dispatch { .. }
            | Op::Feedback
            | Op::Progress
            | Op::Pause
            | Op::Extend { of: None, .. }
            | Op::Reply { .. } => holder(),
            Op::Extend { of: Some(request), .. } => {
                need(superior, Refusal::NotSuperior { custodian })?;
                need(self.requests.contains(request), Refusal::NoSuchRequest)
            }
            Op::FollowUp { .. } => {
                need(author == self.taken_by, Refusal::NotTakingSite { taken_by: self.taken_by })
            }
            Op::Urge => {
                let refusal = Refusal::NotTakingSiteOrSuperior { custodian, taken_by: self.taken_by };
                need(superior || author == self.taken_by, refusal)
            }
            Op::Supervise => need(superior, Refusal::NotSuperior { custodian }),
            Op::Escalate => {
                in_audience()?;
                need(self.next_asked().is_some(), Refusal::NobodyAbove)
            }
            Op::Merge { into } => {
                need(superior || author == custodian, Refusal::NotCustodianOrSuperior { custodian })?;
                need(self.joined.is_empty(), Refusal::AlreadyJoined)?;
                need(*into < self.document, Refusal::NotIntoSmaller)
            }
            Op::Keep | Op::Release { .. } => {
                need(superior || author == custodian, Refusal::NotCustodianOrSuperior { custodian })
            }
            // Whoever may change the facts: `rules` says the same of the part.
            Op::Correct { .. } => {
                let taken_by = self.taken_by;
                need(
                    author == custodian || author == taken_by,
                    Refusal::NotResponsible { custodian, taken_by },
                )
            }
            Op::Unmerge => {
                need(superior || author == custodian, Refusal::NotCustodianOrSuperior { custodian })?;
                need(!self.joined.is_empty(), Refusal::NotJoined)
            }
            Op::Unknown(_) if op.is_unknown_custody() => {
                let asked = self.open_offers.iter().any(|o| o.to == author);
                need(superior || asked || author == custodian, Refusal::NotCustodianOrSuperior { custodian })
            }
            Op::Unknown(_) => in_audience(),
        }
    }
}
