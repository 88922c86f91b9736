//! Calls of a telephone system.

use super::Is::{A, OneOf, OrNull, Site, Text, Truth, Written};
use super::file::FILE;
use super::{Shape, field, maybe, written};
use crate::users::Stage as CallStage;

pub(in super::super) const EVENT: Shape = Shape {
    name: "CallEvent",
    says: "What became of an event",
    like: None,
    holds: &[
        field("call", Text, "the call's id"),
        field("kept", Truth, "false for a call that goes out: then there is nothing else"),
        maybe("known", Truth, "whether the call was known before"),
        maybe("fresh", Truth, "whether the event was new"),
        maybe("stage", Written(written::<CallStage>), "how far the call is"),
    ],
};

const BASIS: Shape = Shape {
    name: "RouteBasis",
    says: "The row that decided",
    like: None,
    holds: &[
        field("table", Text, "the table in which it stands"),
        field("number", Text, "its number"),
        maybe("area", Site, "where it holds, in a table of local numbers"),
        field("says", Text, "whose number it is, or by what it was arranged so"),
    ],
};

pub(in super::super) const ROUTE: Shape = Shape {
    name: "CallRoute",
    says: "Where a call is to be put through",
    like: None,
    holds: &[
        field(
            "action",
            OneOf(|| vec!["local", "tell", "transfer"]),
            "it is answered here; the caller is told a number; the call is put through to it",
        ),
        field("number", OrNull(&Text), "the number; null when it is answered here"),
        field("announcement", OrNull(&Text), "the name of what is announced, for `tell`"),
        field("area", Site, "the area that counted"),
        field("basis", OrNull(&A(&BASIS)), "null when no row speaks of the number"),
    ],
};

pub(in super::super) const RECORDING: Shape = Shape {
    name: "Recording",
    says: "A recording that was put",
    like: None,
    holds: &[
        field("call", Text, "the call's id"),
        field("waits", Truth, "whether it waits for the call's ticket"),
        maybe("file", A(&FILE), "if it does not: the file of the ticket"),
    ],
};
