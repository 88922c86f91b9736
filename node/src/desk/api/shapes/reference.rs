//! Reference tables.

use super::Is::{A, Many, Site, Text, Truth};
use super::{Shape, field};

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
