//! Reference tables.

use super::Is::{A, Many, OneOf, Site, Text, Truth};
use super::{Shape, field, maybe};

const TOPIC: Shape = Shape {
    name: "Topic",
    says: "事项",
    like: None,
    holds: &[field("code", Text, "its code"), field("name", Text, "what it is called")],
};

const DOMAIN: Shape = Shape {
    name: "Domain",
    says: "业务领域",
    like: Some(&TOPIC),
    holds: &[field("topics", Many(&A(&TOPIC)), "its topics")],
};

pub(in super::super) const CATEGORIES: Shape = Shape {
    name: "Categories",
    says: "Domains and their topics",
    like: None,
    holds: &[field("categories", Many(&A(&DOMAIN)), "all domains")],
};

const REDIRECT: Shape = Shape {
    name: "Redirect",
    says: "A hotline that is not ours",
    like: None,
    holds: &[
        field("number", Text, "its number"),
        field("name", Text, "what it is called"),
        field("scope", Text, "what it is for"),
        field("connect_now", Truth, "whether a call is put through to it; else its number is told"),
    ],
};

pub(in super::super) const REDIRECTS: Shape = Shape {
    name: "Redirects",
    says: "Other hotlines",
    like: None,
    holds: &[field("redirects", Many(&A(&REDIRECT)), "all of them")],
};

const CENTRE: Shape = Shape {
    name: "Centre",
    says: "A centre of the hotline",
    like: None,
    holds: &[field("code", Site, "its code"), field("name", Text, "what it is called")],
};

pub(in super::super) const CENTRES: Shape = Shape {
    name: "Centres",
    says: "The centres of the country",
    like: None,
    holds: &[field("centres", Many(&A(&CENTRE)), "all of them")],
};

const OWN_FIELD: Shape = Shape {
    name: "OwnField",
    says: "A field of this centre's own",
    like: None,
    holds: &[
        field("name", Text, "its name in a new ticket; in a ticket's facts `x.` stands before it"),
        field("zh", Text, "what it is called"),
        field("en", Text, "what it is called"),
        field("kind", OneOf(|| vec!["text", "choice", "number", "date", "yes"]), "what may stand there"),
        maybe("choices", Many(&Text), "of `choice`: one of these"),
        maybe("business", Text, "there if it is asked of one kind of business only"),
        maybe("domain", Text, "there if it is asked of one domain only: its code"),
        field("required", Truth, "whether whoever takes a call has to fill it in; a program need not"),
    ],
};

pub(in super::super) const FIELDS: Shape = Shape {
    name: "OwnFields",
    says: "The fields of this centre's own",
    like: None,
    holds: &[field("fields", Many(&A(&OWN_FIELD)), "all of them, in the order of the form")],
};
