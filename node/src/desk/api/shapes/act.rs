//! What becomes of a ticket that is made, noted or acted on, and what may be done with it.

use super::Is::{A, Count, Hash, Many, Node, OrNull, Site, Text, Truth};
use super::queue::STAGE;
use super::ticket::SUGGESTED;
use super::{Shape, field, maybe};

pub(in super::super) const MADE: Shape = Shape {
    name: "MadeTicket",
    says: "A ticket that was made",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("number", Text, "its number, for people"),
        field("custodian", Site, "the site that is responsible: this one"),
        field("stage", STAGE, "what is being done about it"),
        field("earlier", Many(&Hash), "the caller's earlier tickets, the newest first; no confidential one"),
    ],
};

pub(in super::super) const NOTED: Shape = Shape {
    name: "AddedNote",
    says: "A note that was added",
    like: None,
    holds: &[
        field("id", Hash, "the ticket's id"),
        field("note", Hash, "the note's, in `notes` of the ticket"),
    ],
};

pub(in super::super) const ACTED: Shape = Shape {
    name: "Entry",
    says: "The entry that an action made, and where the ticket stands after it",
    like: None,
    holds: &[
        field("id", Hash, "the ticket's id"),
        field("number", Text, "its number"),
        field("entry", Hash, "the entry's id, in `trail` of the ticket"),
        field("op", Text, "the entry's kind"),
        field("custodian", Site, "the site that is responsible now"),
        field("stage", STAGE, "what is being done about it now"),
    ],
};

const NAMED: Shape = Shape {
    name: "NamedSite",
    says: "A site with its name",
    like: None,
    holds: &[field("site", Site, "its code"), field("name", Text, "what it is called")],
};

const CHOICE: Shape = Shape {
    name: "Choice",
    says: "Whether this site may take an action now",
    like: None,
    holds: &[
        field("do", Text, "the action"),
        field("may", Truth, "whether it may"),
        maybe("of", Many(&Hash), "if it may: the entries of which the action may be, when there are several"),
        maybe("why", Text, "if it may not: why"),
        maybe("who", Many(&A(&NAMED)), "if it may not: who may"),
    ],
};

const REPLY: Shape = Shape {
    name: "SupersededReply",
    says: "A reply of an earlier custodian that this site may confirm as its own",
    like: None,
    holds: &[
        field("entry", Hash, "its entry: the `confirm` of `reply`"),
        field("text", OrNull(&Text), "its words"),
        field("by", Site, "whose it is"),
    ],
};

const LACKS: Shape = Shape {
    name: "PeerOfTicket",
    says: "A peer that must hold the ticket, and what it lacks of it",
    like: None,
    holds: &[
        field("node", Node, "the peer"),
        field("name", Text, "what its site is called"),
        field("connected", Truth, "whether there is a link"),
        field("owed", Count, "how many items of the ticket it has not acknowledged"),
        field("scan", Truth, "whether everything is being compared, so that more may be owed"),
    ],
};

pub(in super::super) const CHOICES: Shape = Shape {
    name: "Choices",
    says: "What this site may do with a ticket now",
    like: None,
    holds: &[
        field("id", Hash, "the ticket's id"),
        field("choices", Many(&A(&CHOICE)), "every action there is"),
        field("replies", Many(&A(&REPLY)), "replies that it may confirm"),
        field("peers", Many(&A(&LACKS)), "who must hold the ticket"),
        maybe("suggested", A(&SUGGESTED), "there while it is not closed and the catalogue has a row for it"),
    ],
};
