//! This replica and its peers.

use super::Is::{
    A, ByName, Count, Hash, Many, Moment, Node, Number, OrNull, Site, Text, Truth, Whole, Written,
};
use super::{Shape, field, maybe, written};
use crate::bundles::Direction;

const PEER: Shape = Shape {
    name: "Peer",
    says: "A peer, and what this node knows of it",
    like: None,
    holds: &[
        field("node", Node, "the peer"),
        field("connected", Truth, "whether there is a link"),
        field("outbox", Count, "how many items are owed to it"),
        field("handed_out", Count, "how many of them went along on sticks and are not answered yet"),
        field("digest_equal", Truth, "whether both sets were equal when last compared over this link"),
        field("repairing", Truth, "whether the sets' difference is being found"),
        field("parked", Count, "how many items of it wait for something"),
        field("protocol", OrNull(&Count), "the version of the protocol that it speaks"),
        field("program", OrNull(&Text), "the version of its program"),
        field("items", Count, "how many items both should hold"),
        field("last_seal", OrNull(&Hash), "the newest of its seals that is here"),
        field("proved_at", OrNull(&Moment), "when both were last proved equal"),
        field("last_seen", OrNull(&Moment), "when it was last heard of over a link"),
        field("stick_at", OrNull(&Moment), "when a stick of it was last read"),
        field("rtt_ms", OrNull(&Number), "the round trip, in milliseconds"),
        field("bytes_sent", OrNull(&Count), "bytes sent over this link"),
        field("bytes_received", OrNull(&Count), "bytes received over it"),
        maybe("address", Text, "its address and port, while there is a link"),
        field("files_fetching", Count, "how many files are being fetched from it"),
        field("pieces_sending", Count, "how many pieces of files are on their way to it"),
    ],
};

const NOT_READ: Shape = Shape {
    name: "RuleNotInForce",
    says: "A rule that should be in force and is not",
    like: None,
    holds: &[
        field("table", Text, "of which table"),
        field("edition", Text, "which edition: its site, its day, its number"),
        field("why", Text, "why not"),
    ],
};

const POLICY: Shape = Shape {
    name: "Rules",
    says: "The rules that sites have set, as far as they hold here",
    like: None,
    holds: &[
        field("in_force", Count, "editions in force"),
        field("next", OrNull(&Text), "the next day on which one comes into force"),
        field("not_read", Many(&A(&NOT_READ)), "those that should be and are not"),
    ],
};

const SEAL: Shape = Shape {
    name: "LastSeal",
    says: "The newest seal of this node",
    like: None,
    holds: &[field("number", Count, "its number"), field("hash", OrNull(&Hash), "null before the first")],
};

const EXPIRING: Shape = Shape {
    name: "ExpiringCertificate",
    says: "A certificate that ends soon",
    like: None,
    holds: &[
        field("node", Node, "whose it is"),
        field("days", Whole, "in how many days; below 0 when it has ended"),
    ],
};

const RESTORED: Shape = Shape {
    name: "Restored",
    says: "That the directory was restored from a backup",
    like: None,
    holds: &[field("at", Moment, "when"), field("of", Text, "when the backup was taken")],
};

const COUNTS: Shape = Shape {
    name: "ArticleCounts",
    says: "How many of this site's own articles are on each list",
    like: None,
    holds: &[
        field("published", Count, "in force"),
        field("unreviewed", Count, "drafts that nobody has reviewed"),
        field("to-publish", Count, "drafts that somebody let pass"),
        field("expiring", Count, "in force, and about to end"),
        field("expired", Count, "in force, and past their last day"),
        field("changed", Count, "supplements whose original has changed"),
    ],
};

const TRIP: Shape = Shape {
    name: "StickTrip",
    says: "One reading or writing of a stick",
    like: None,
    holds: &[
        field("at", Moment, "when"),
        field("way", Written(written::<Direction>), "whether it was read or written"),
        field("medium", Text, "the place: directory or files"),
        field("device", OrNull(&Text), "the device that was mounted there"),
        field("with", Many(&Node), "who made what was read, or for whom was written"),
        field("files", Count, "files read or written"),
        field("items", Count, "items that were new here, or that were written"),
        field("answers", Count, "answers to bundles that came, or went along"),
        field("settled", Count, "items that are no longer owed because of them"),
        field("carried", Count, "files of others that are carried on"),
        field("waiting", Count, "items that wait for something"),
        field("refused", Count, "items that were refused"),
        field("odd", Count, "files that were not taken, or not written, as a whole"),
        field("words", Text, "what the operator was told"),
        field("next", OrNull(&Text), "what to do"),
    ],
};

pub(in super::super) const STATUS: Shape = Shape {
    name: "Status",
    says: "This replica and its peers",
    like: None,
    holds: &[
        field("node", Node, "this node"),
        field("site", Site, "its site"),
        field("incarnation", Text, "which life of the directory this is: a restored one has another"),
        field("program", Text, "the program's version"),
        field("protocol", Count, "the version of the protocol that it speaks"),
        field("documents", Count, "documents here: tickets, articles, frozen months, months of aggregates"),
        field("items", Count, "items here"),
        field("refused", Count, "items that were refused"),
        field("waiting", Count, "items that wait for something"),
        field("not_counted", Count, "items whose author was revoked"),
        field("unsealed", Count, "own items that no seal covers yet"),
        field("unindexed", Count, "tickets that search does not find yet, up to 10,000"),
        field("unmarked_persons", Count, "callers who cannot be looked up yet"),
        field("custody", Count, "tickets that this site has to work on"),
        field("overdue", Count, "of them past their deadline"),
        field("policy", A(&POLICY), "the rules that sites have set"),
        field("holidays_until", OrNull(&Count), "the last year whose holidays are known"),
        field("stages", ByName(&Count), "how many tickets stand in each stage"),
        field("last_seal", A(&SEAL), "the newest seal of this node"),
        field("clock_doubt", Truth, "whether this machine's date is in doubt"),
        field("clock_doubt_why", OrNull(&Text), "why it is"),
        field("expiring", Many(&A(&EXPIRING)), "certificates that end within 30 days"),
        field(
            "other_kinds",
            ByName(&Count),
            "documents of kinds that this version carries without reading them",
        ),
        field("knowledge", A(&COUNTS), "this site's own articles"),
        field("revoked", Many(&Node), "nodes that were revoked"),
        field("backup", OrNull(&Moment), "when the last backup was taken"),
        field("restored", OrNull(&A(&RESTORED)), "null when the directory never was restored"),
        field("carried_parcels", Count, "parcels of others that are carried on"),
        field("bundle_log", Many(&A(&TRIP)), "the last sticks, the newest first"),
        field("peers", Many(&A(&PEER)), "all nodes that this one keeps a pair with"),
        field("files", Count, "files of tickets and articles that are known"),
        field("files_missing", Count, "of them not here in full"),
        field("files_missing_bytes", Count, "how many bytes are missing"),
        field("files_paused", Truth, "whether none is fetched now"),
    ],
};
