//! Files of a ticket.

use super::Is::{A, Claimed, Count, Many, Node, OrNull, Text, Truth};
use super::{Shape, field};

pub(in super::super) const FILE: Shape = Shape {
    name: "File",
    says: "A file of a ticket, and what of it is here",
    like: None,
    holds: &[
        field("name", Text, "what it is called; a confidential report's has another one"),
        field("size", Count, "in bytes"),
        field("type", Text, "its media type"),
        field("content", Text, "its content's hash: its name in an address"),
        field("here", Count, "how many bytes of it are here"),
        field("complete", Truth, "whether that is all of it"),
        field("from", OrNull(&Node), "the node that was asked for the rest"),
        field("state", Text, "the same in words"),
        field("user", OrNull(&Text), "who attached it"),
        field("at", Claimed, "when, by the clock of the node where it was attached"),
    ],
};

pub(in super::super) const FILES: Shape = Shape {
    name: "Files",
    says: "The files of a ticket",
    like: None,
    holds: &[field("files", Many(&A(&FILE)), "all of them")],
};
