//! Articles of the knowledge base.

use super::Is::{A, Claimed, Count, Either, Hash, Many, Node, OneOf, OrNull, Site, Text, Truth, Written};
use super::{Is, Shape, field, maybe, written};
use crate::knowledge::fold::{Proposal, VersionShown};
use crate::knowledge::text::Readers;

/// How an article stands.
const STANDING: Is = OneOf(|| crate::knowledge::fold::STANDINGS.to_vec());

const ROW: Shape = Shape {
    name: "ArticleRow",
    says: "An article as lists show it",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("code", Text, "its owner's own code for it; may be empty"),
        field("title", Text, "its title"),
        field("owner", Site, "the site that writes it"),
        field("standing", STANDING, "how it stands"),
        field("version", Count, "the number of the version in force; 0 for none"),
        field("draft", Count, "the number of the version that is being worked on; 0 for none"),
        field("reviewed", Truth, "whether somebody let the draft pass"),
        field("field", Text, "the field of business"),
        field("readers", Written(written::<Readers>), "who may read it"),
        field("holds", Truth, "whether it holds today"),
        field("valid_from", Text, "the first day on which it holds; empty for always"),
        field("valid_to", Text, "the last day on which it holds; empty for ever"),
        field("at", Text, "when the version was written, by its node's clock; empty when nobody said"),
        field("tags", Many(&Text), "words to find it by"),
    ],
};

pub(in super::super) const ARTICLES: Shape = Shape {
    name: "Articles",
    says: "Articles in force, or what was found",
    like: None,
    holds: &[field("articles", Many(&A(&ROW)), "by code and title; of what was found the best first")],
};

const ORIGINAL: Shape = Shape {
    name: "Original",
    says: "The article that this one hangs on",
    like: Some(&ROW),
    holds: &[
        field("seen", OrNull(&Count), "the number of the version that the writer of the supplement saw"),
        field("changed", Truth, "whether another one is in force by now"),
    ],
};

const ELSEWHERE: Shape = Shape {
    name: "OriginalElsewhere",
    says: "An article that this one hangs on and that is not here",
    like: None,
    holds: &[field("id", Hash, "its id"), field("here", Truth, "false")],
};

const SUPPLEMENT: Shape = Shape {
    name: "Supplement",
    says: "An article that hangs on this one",
    like: Some(&ROW),
    holds: &[field("changed", Truth, "whether this one has changed since its writer saw it")],
};

const BEATEN: Shape = Shape {
    name: "BeatenWord",
    says: "An entry without effect",
    like: None,
    holds: &[
        field("entry", Hash, "the entry"),
        field("by", OrNull(&Hash), "the entry that beat it"),
        field("why", Text, "why, in words"),
    ],
};

const STEP: Shape = Shape {
    name: "ArticleEntry",
    says: "An entry of an article's trail: who did what",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("op", Text, "what was done; a newer version may know more"),
        field("parents", Many(&Hash), "the entries that its author had seen last"),
        field("site", Site, "the site that did it"),
        field("node", Node, "the node where it was done"),
        field("at", OrNull(&Claimed), "when, by that node's clock"),
        field("user", OrNull(&Text), "who did it"),
        maybe("of", Hash, "the version that it is about"),
        maybe("reason", Text, "why"),
        maybe("version", Count, "the number of the version that it brings"),
        maybe("to", Text, "the superior that it proposes the version to, or the article that was made of it"),
        maybe("not_counted", Truth, "there, and true, when it does not count: its author was revoked"),
    ],
};

const WORDS: Shape = Shape {
    name: "ArticleWords",
    says: "What a version says",
    like: None,
    holds: &[
        field("title", Text, "its title"),
        field("body", Text, "Markdown"),
        field("tags", Many(&Text), "words to find it by"),
        field("field", Text, "the field of business"),
        field("audience", Written(written::<Readers>), "who may read it"),
        field("valid_from", Text, "the first day on which it holds; empty for always"),
        field("valid_to", Text, "the last day on which it holds; empty for ever"),
        field("source", Text, "where it comes from: a law, a notice, a letter"),
    ],
};

const TEXT: Shape = Shape {
    name: "ArticleText",
    says: "What a version says",
    like: Some(&WORDS),
    holds: &[field("code", Text, "its owner's own code for it; may be empty")],
};

const LINE: Shape = Shape {
    name: "ArticleLine",
    says: "The article as a line of `hotline kb export`",
    like: Some(&WORDS),
    holds: &[
        field("id", Text, "its owner's own code for it; may be empty"),
        field("level", Text, "its owner's tier"),
        field("region_code", Site, "its owner"),
        field("version", Count, "the number of this version"),
        field("status", STANDING, "how it stands"),
    ],
};

const CHOICE: Shape = Shape {
    name: "ArticleChoice",
    says: "Whether an action may be taken on an article now",
    like: None,
    holds: &[
        field("act", Text, "the action"),
        field("why", OrNull(&Text), "why not; null when it may be taken"),
    ],
};

const AT_SITE: Shape = Shape {
    name: "ArticleUseAtSite",
    says: "What was said of an article at a site",
    like: None,
    holds: &[
        field("site", Site, "the site"),
        field("used", Count, "how often it served to answer"),
        field("unhelpful", Count, "how often it did not help"),
    ],
};

const OF_VERSION: Shape = Shape {
    name: "ArticleUseOfVersion",
    says: "What was said of a version",
    like: None,
    holds: &[
        field("version", Count, "its number"),
        field("used", Count, "how often it served to answer"),
        field("unhelpful", Count, "how often it did not help"),
    ],
};

const USE: Shape = Shape {
    name: "ArticleUse",
    says: "What was said of an article here and at the sites below; those tell of a day in the night after it",
    like: None,
    holds: &[
        field("days", Count, "over how many days, today among them"),
        field("used", Count, "how often it served to answer"),
        field("unhelpful", Count, "how often it did not help"),
        field("sites", Many(&A(&AT_SITE)), "the same by site"),
        field("versions", Many(&A(&OF_VERSION)), "the same by version"),
    ],
};

pub(in super::super) const SAID: Shape = Shape {
    name: "ArticleSaid",
    says: "What was said of an article, with what was said just now",
    like: None,
    holds: &[
        field("id", Hash, "the article's id"),
        field("version", Count, "the version of which it was said"),
        field("use", A(&USE), "what was said of it"),
    ],
};

pub(in super::super) const ARTICLE: Shape = Shape {
    name: "Article",
    says: "An article",
    like: None,
    holds: &[
        field("id", Hash, "its id"),
        field("owner", Site, "the site that writes it"),
        field("standing", STANDING, "how it stands"),
        field("text", A(&TEXT), "what the version says"),
        field("files", Many(&A(&super::FILE)), "the files that the version carries"),
        field("holds", Truth, "whether that holds today"),
        field("version", Written(written::<VersionShown>), "the version that is shown"),
        field("as_written", Truth, "whether the text is the one that the version named"),
        field("in_force", OrNull(&Count), "the number of the version in force"),
        field("draft", OrNull(&Count), "the number of the version that is being worked on"),
        field("versions", Many(&Written(written::<VersionShown>)), "all of them, by number"),
        field("withdrawn", OrNull(&Hash), "the withdrawal that counts"),
        field("proposals", Many(&Written(written::<Proposal>)), "what superiors are asked to adopt"),
        field("adopts", OrNull(&Hash), "the article that it was made of"),
        field("adopted", Many(&Hash), "the articles that superiors made of it"),
        field("supplements", OrNull(&Either(&[A(&ORIGINAL), A(&ELSEWHERE)])), "the article that it hangs on"),
        field("supplemented_by", Many(&A(&SUPPLEMENT)), "the articles that hang on it"),
        field("superseded", Many(&A(&BEATEN)), "entries that lost"),
        field("unentitled", Many(&A(&BEATEN)), "entries whose authors might not do what they say"),
        field("trail", Many(&A(&STEP)), "who did what"),
        field("use", A(&USE), "how often it helped, and how often it did not"),
        field("audience", Many(&Site), "the sites that must hold it"),
        field("regions", Many(&Site), "the sites that must hold it with everything below them"),
        field("heads", Many(&Hash), "the changes that nothing rests on yet"),
        field("state_hash", Hash, "its state: its `ETag`"),
        field("line", A(&LINE), "the same as a line of an export"),
        field("choices", Many(&A(&CHOICE)), "what this site may do with it now"),
    ],
};
