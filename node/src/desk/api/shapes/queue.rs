//! Tickets as rows: of a queue, of a search, of what is like a call, and of what has changed.

use super::Is::{A, Claimed, Hash, Many, Moment, OneOf, OrNull, Site, Text};
use super::{Is, Shape, field, maybe};
use crate::ticket::Stage;

/// Where a ticket stands.
pub(super) const STAGE: Is = OneOf(|| Stage::NAMES.to_vec());

const ROW: Shape = Shape {
    name: "TicketRow",
    says: "A ticket as a queue shows it",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("number", Text, "its number, for people"),
        field("subject", Text, "what it is about, in a line; of a confidential report only that it is one"),
        field("custodian", Site, "the site that is responsible"),
        field("stage", STAGE, "what is being done about it"),
        field("at", Claimed, "when the call was taken, by the clock of the node that took it"),
        field("offered_to", OrNull(&Site), "the site that may accept it"),
        field("due", OrNull(&Moment), "when it should have ended"),
        maybe("urgency", Text, "紧急 or 特急; there unless it is the ordinary one"),
        maybe("agent", Text, "who works on it"),
        maybe("department", Text, "the department that it was dispatched to"),
        maybe("centre", Site, "the centre for which the call was taken, if it was another's"),
    ],
};

pub(in super::super) const PAGE: Shape = Shape {
    name: "TicketPage",
    says: "A page of a queue, or what a search has found",
    like: None,
    holds: &[
        field("tickets", Many(&A(&ROW)), "in the order of the queue; of a search the best first"),
        field("next", OrNull(&Text), "the `cursor` of the next page; null when there is none"),
    ],
};

const LIKE: Shape = Shape {
    name: "LikelyDuplicate",
    says: "A ticket that may be about the same matter",
    like: Some(&ROW),
    holds: &[field("why", Many(&Text), "what it shares with the call: the plate, the place, words")],
};

pub(in super::super) const LIKELY: Shape = Shape {
    name: "LikelyDuplicates",
    says: "Tickets that may be about the same matter as a call",
    like: None,
    holds: &[field("tickets", Many(&A(&LIKE)), "the likeliest first")],
};

const CHANGE: Shape = Shape {
    name: "Change",
    says: "That a ticket has changed, and how it stood after it",
    like: None,
    holds: &[
        field("cursor", Text, "where it stands in the log: the `after` of what comes next"),
        field("id", Hash, "the ticket's id"),
        field("number", Text, "its number"),
        field("stage", STAGE, "what was being done about it then"),
        field("state_hash", Hash, "its state then, as its `ETag`"),
        field("at", Moment, "when the change was written down here"),
    ],
};

pub(in super::super) const CHANGES: Shape = Shape {
    name: "Changes",
    says: "What has changed after a cursor",
    like: None,
    holds: &[
        field("changes", Many(&A(&CHANGE)), "the oldest first"),
        field("next", Text, "the cursor to go on with"),
    ],
};
