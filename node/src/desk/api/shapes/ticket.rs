//! A ticket as a whole, and its story.

use super::Is::{
    A, Anything, ByName, Claimed, Either, Hash, Many, Moment, Node, OneOf, OrNull, Site, Text, Truth, Whole,
    Written,
};
use super::queue::STAGE;
use super::{Is, Shape, field, maybe, written};
use crate::files::Entry as FileEntry;
use crate::ticket::entitle::{Join, OpenOffer};
use crate::ticket::fold::Alarm;
use crate::ticket::story::Standing;

const NOTE: Shape = Shape {
    name: "Note",
    says: "A note, as its author wrote it",
    like: None,
    holds: &[
        maybe("text", Text, "its words"),
        maybe("user", OrNull(&Text), "who wrote it"),
        maybe("node", Node, "at which node"),
        maybe("at", Claimed, "when, by that node's clock"),
    ],
};

const STEP: Shape = Shape {
    name: "TrailEntry",
    says: "An entry of the trail: who did what",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("op", Text, "what was done; a newer version may know more"),
        field("parents", Many(&Hash), "the entries that its author had seen last"),
        field("site", Site, "the site that did it"),
        field("node", Node, "the node where it was done"),
        field("at", OrNull(&Claimed), "when, by that node's clock"),
        field("user", OrNull(&Text), "who did it"),
        maybe("to", Site, "the site that was offered or assigned the ticket"),
        maybe("of", Hash, "the entry that it is about"),
        maybe("reason", Text, "why"),
        maybe("text", Text, "the words"),
        maybe("result", Text, "of a close: how it ended"),
        maybe("satisfied", Truth, "of a follow-up: what the caller said"),
        maybe("department", Text, "of a dispatch: to which department"),
        maybe("extra", ByName(&Anything), "what else its author wrote, as it came"),
        maybe("not_counted", Truth, "there, and true, when it does not count: its author was revoked"),
    ],
};

const TIME: Shape = Shape {
    name: "ClockTime",
    says: "An entry that the clock rests on",
    like: None,
    holds: &[
        field("entry", Hash, "the entry"),
        field("at", OrNull(&Claimed), "when it was made, by its node's clock"),
        maybe("days", Whole, "of an extension: for how many days"),
    ],
};

const PAUSE: Shape = Shape {
    name: "Pause",
    says: "A time in which the clock stands",
    like: None,
    holds: &[
        field("from", A(&TIME), "what stopped it"),
        field("until", Many(&A(&TIME)), "what set it going; empty while it stands"),
    ],
};

const EXTENSION: Shape = Shape {
    name: "Extension",
    says: "An extension that was asked for",
    like: None,
    holds: &[
        field("request", A(&TIME), "what asked for it"),
        field("granted", Many(&A(&TIME)), "what granted it; empty while nobody has"),
    ],
};

const CLOCK: Shape = Shape {
    name: "Clock",
    says: "The facts that the deadline is computed from",
    like: None,
    holds: &[
        field("rule", Text, "the version of the rules that the ticket was made under"),
        field("policy", OrNull(&Text), "the limits that sites had set by then, as its maker knew them"),
        field("taken_by", Text, "the site that took the call, whose limits count"),
        field("began", Many(&A(&TIME)), "when the call was taken"),
        field("custody_began", Many(&A(&TIME)), "when the custodian of now became so"),
        field("dispatched", Many(&A(&TIME)), "when it went to a department"),
        field("replied", Many(&A(&TIME)), "when the caller had a reply"),
        field("stopped", Many(&A(&TIME)), "when it was closed"),
        field("reopened", Many(&A(&TIME)), "when it was opened again"),
        field("paused", Many(&A(&PAUSE)), "when it stood still"),
        field("extensions", Many(&A(&EXTENSION)), "what was asked for and granted"),
    ],
};

const LANGUAGES: Shape = Shape {
    name: "BothLanguages",
    says: "A text in both languages",
    like: None,
    holds: &[field("zh", Text, "中文"), field("en", Text, "English")],
};

const BY_SUPERIOR: Shape = Shape {
    name: "BySuperior",
    says: "That a superior of the custodian decided otherwise",
    like: None,
    holds: &[field("superior", Site, "the superior")],
};

const SUPERSEDED: Shape = Shape {
    name: "Superseded",
    says: "An entry that lost",
    like: None,
    holds: &[
        field("entry", Hash, "the entry"),
        field("beaten_by", Many(&Hash), "the entries that beat it"),
        field(
            "reason",
            Either(&[Text, A(&BY_SUPERIOR)]),
            "why: a superior's word, `accepted`, `assigned`, `tie`, `too_late` or `unaware`",
        ),
    ],
};

const REFUSAL: Shape = Shape {
    name: "Refusal",
    says: "Why an action is not granted",
    like: None,
    holds: &[
        field("why", Text, "in a word, as `not_custodian`"),
        maybe("custodian", Site, "who is responsible"),
        maybe("taken_by", Site, "who took the call"),
        maybe("to", Site, "to whom it is offered, or would be given"),
        maybe("superior", Site, "who assigned it"),
    ],
};

const UNENTITLED: Shape = Shape {
    name: "Unentitled",
    says: "An entry whose author might not do what it says",
    like: None,
    holds: &[
        field("entry", Hash, "the entry"),
        field("refusal", A(&REFUSAL), "why not, as the ticket stood for it"),
    ],
};

const DEADLINE: Shape = Shape {
    name: "Deadline",
    says: "When the ticket should have ended, and how it stands with it",
    like: None,
    holds: &[
        field("due", OrNull(&Moment), "null while the clock stands"),
        field(
            "state",
            Text,
            "`running`, `paused`, `overdue`, `met`, `missed`, or `done` when nothing was due any more",
        ),
        field("provisional", Truth, "whether a year in it has no published holidays yet"),
        field("rule", Text, "the version of the rules that it is of"),
        field(
            "taken_under",
            OrNull(&Text),
            "the one it was taken under, when a rule came late that held already",
        ),
        field("text", A(&LANGUAGES), "why then, in a sentence"),
    ],
};

const HANDOVER: Shape = Shape {
    name: "Handover",
    says: "Until when an offer is to be answered, and who assigns what came back too often",
    like: None,
    holds: &[
        field("accept_by", OrNull(&Moment), "null while nothing is offered, or when no limit holds"),
        field("late", Truth, "whether that is over"),
        field("provisional", Truth, "whether a year in it has no published holidays yet"),
        field("assigns", OrNull(&Site), "the site that assigns it, once two offers were declined"),
        field("text", A(&LINES), "the same, in sentences"),
    ],
};

const LINES: Shape = Shape {
    name: "Lines",
    says: "Sentences in both languages",
    like: None,
    holds: &[field("zh", Many(&Text), "中文"), field("en", Many(&Text), "English")],
};

pub(super) const SUGGESTED: Shape = Shape {
    name: "Suggested",
    says: "Who normally handles such a matter, as the dispatch catalogue says; it decides nothing",
    like: None,
    holds: &[
        field("department", OrNull(&Text), "the department of this site, for `dispatch`"),
        field("site", OrNull(&Site), "another site, for `offer`"),
        field("when", ByName(&Text), "what the catalogue's row names of the matter, by the names of facts"),
        field("basis", Text, "on what it rests"),
        field("text", A(&LANGUAGES), "all of it in a sentence"),
    ],
};

const ERASED: Shape = Shape {
    name: "Erased",
    says: "That the caller's personal data was erased",
    like: None,
    holds: &[
        field("at", OrNull(&Claimed), "when, by the clock of the node where it was"),
        field("reason", Text, "why"),
        field("user", OrNull(&Text), "by whom"),
        field("node", Node, "at which node"),
        field("site", Site, "the node's site"),
        field("confirmed", Many(&Node), "the nodes that have said it is gone there"),
        field("missing", Many(&Node), "those that have not"),
    ],
};

const TICKET: Shape = Shape {
    name: "Ticket",
    says: "A ticket without its caller",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("number", Text, "its number, for people"),
        field("custodian", Site, "the site that is responsible"),
        field("taken_by", Site, "the site that took the call"),
        field("open_offer", OrNull(&Written(written::<OpenOffer>)), "the offer that nobody has answered yet"),
        field("stage", STAGE, "what is being done about it"),
        field("joined", Many(&Written(written::<Join>)), "the tickets that it is joined to"),
        field("confidential", Truth, "whether it is a confidential report"),
        field("against", OrNull(&Site), "the unit of ours that it is about"),
        field(
            "facts",
            ByName(&Anything),
            "what is known of the matter, by name; fields of a centre's own begin with `x.`",
        ),
        field(
            "conflicts",
            ByName(&Many(&Anything)),
            "facts that were set twice at once, each with all its values",
        ),
        field("body", Text, "the caller's words; of a confidential report they are sealed"),
        field("notes", ByName(&A(&NOTE)), "by the hash of each"),
        field("files", ByName(&Written(written::<FileEntry>)), "as they were attached, by a hash of each"),
        field(
            "trail",
            Many(&A(&STEP)),
            "who did what, in an order in which nothing comes before what it rests on",
        ),
        field("clock", A(&CLOCK), "the facts that the deadline is computed from"),
        field("superseded", Many(&A(&SUPERSEDED)), "entries that lost"),
        field("unentitled", Many(&A(&UNENTITLED)), "entries whose authors might not do what they say"),
        field(
            "proposals",
            Many(&Hash),
            "closes that did not know of an offer or a reopen: proposals for a person",
        ),
        field("alarms", Many(&Written(written::<Alarm>)), "what a person should look at"),
        field("kept", Many(&Hash), "the entries that keep it from being put away"),
        field("audience", Many(&Site), "the sites that must hold it"),
        field("heads", Many(&Hash), "the changes that nothing rests on yet"),
        field("state_hash", Hash, "its state, the same on every node that has seen the same: its `ETag`"),
        field("deadline", OrNull(&A(&DEADLINE)), "null when no limit holds for it"),
        field(
            "handover",
            OrNull(&A(&HANDOVER)),
            "null when no hand-over waits and it did not come back too often",
        ),
        maybe("suggested", A(&SUGGESTED), "there while it is not closed and the catalogue has a row for it"),
        maybe("erased", A(&ERASED), "there when its caller's personal data was erased"),
    ],
};

const UNCOUNTED: Shape = Shape {
    name: "UncountedTicket",
    says: "A ticket whose beginning does not count, since its author was revoked",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("not_counted", Truth, "true"),
        maybe("erased", A(&ERASED), "there when its caller's personal data was erased"),
    ],
};

const PERSON: Shape = Shape {
    name: "Person",
    says: "A caller",
    like: None,
    holds: &[
        maybe("name", Text, "the name"),
        maybe("phone", Text, "the telephone number"),
        maybe("address", Text, "the address"),
        maybe("kind", Text, "what the caller is: 乘客, 货车司机"),
    ],
};

pub(in super::super) const REVEALED: Shape = Shape {
    name: "RevealedTicket",
    says: "A ticket with its caller; of a confidential report with its words and sealed facts too",
    like: Some(&TICKET),
    holds: &[field("person", OrNull(&A(&PERSON)), "null when the caller said nothing of it")],
};

const LINE: Shape = Shape {
    name: "StoryLine",
    says: "A line of a ticket's story",
    like: None,
    holds: &[
        field("entry", OrNull(&Hash), "the entry that it tells of; null for a line about the whole"),
        field("at", OrNull(&Claimed), "when that was, by its node's clock"),
        field("text", Text, "the sentence"),
        field(
            "mark",
            OneOf(|| Standing::ALL.map(Standing::mark).to_vec()),
            "whether what it tells has effect",
        ),
    ],
};

pub(in super::super) const HISTORY: Shape = Shape {
    name: "History",
    says: "The story of a ticket",
    like: None,
    holds: &[
        field("id", Hash, "the ticket's id"),
        field("number", Text, "its number"),
        field("lines", Many(&A(&LINE)), "in order; the last say who holds it and when it is due"),
    ],
};

/// A ticket; or what is left to show when its beginning does not count.
pub(in super::super) const SHOWN: Is = Either(&[A(&TICKET), A(&UNCOUNTED)]);
