//! Numbers: of a day, of a period, of a month's table.

use super::Is::{A, ByName, Count, Day, Many, Moment, Number, OneOf, OrNull, Site, Text, Written};
use super::{Shape, field, maybe, written};
use crate::figures::DIMENSIONS;
use crate::scorecard::{Record, Table};

const DAY: Shape = Shape {
    name: "DayCount",
    says: "How many tickets were numbered on a day",
    like: None,
    holds: &[field("day", Day, "the day"), field("count", Count, "how many")],
};

pub(in super::super) const VOLUME: Shape = Shape {
    name: "Volume",
    says: "How many tickets this site and its offices numbered",
    like: None,
    holds: &[
        field("days", Many(&A(&DAY)), "the newest first"),
        field("hours", Many(&Count), "of today: 24 counts, by the hour in which the call was taken"),
    ],
};

const PERIOD: Shape = Shape {
    name: "Period",
    says: "A period of days",
    like: None,
    holds: &[field("from", Day, "the first day"), field("to", Day, "the last day")],
};

const NUMBER: Shape = Shape {
    name: "FigureOfPeriod",
    says: "A number of tickets, or a rate",
    like: None,
    holds: &[
        field("count", Count, "how many count"),
        maybe("of", Count, "of a rate: of how many"),
        maybe("value", OrNull(&Number), "of a rate: the share, from 0 to 1; null when it is of nothing"),
    ],
};

const FIGURE: Shape = Shape {
    name: "Figure",
    says: "A figure, and how it has moved",
    like: Some(&NUMBER),
    holds: &[
        field("id", Text, "the figure, by its name in the table of definitions"),
        field("kind", OneOf(|| vec!["count", "rate"]), "a number of tickets, or a share"),
        maybe("before", A(&NUMBER), "the same in the period before"),
        maybe(
            "change_before",
            OrNull(&Number),
            "since then: of a number the share by which it grew, of a rate the difference",
        ),
        maybe("year_before", A(&NUMBER), "the same in the year before"),
        maybe("change_year", OrNull(&Number), "since then"),
    ],
};

const NAMED: Shape = Shape {
    name: "NamedFigure",
    says: "A figure with its names",
    like: Some(&FIGURE),
    holds: &[field("zh", Text, "中文"), field("en", Text, "English")],
};

const VALUE: Shape = Shape {
    name: "FiguresOfValue",
    says: "The figures of one value of the dimension",
    like: None,
    holds: &[
        field("value", OrNull(&Text), "the value; null for the many with few tickets, put together"),
        field("name", Text, "what it is called"),
        field("figures", Many(&A(&FIGURE)), "in the order of the definitions"),
    ],
};

const TOLD: Shape = Shape {
    name: "ToldAggregates",
    says: "The aggregates that figures are made of in place of tickets that are not here",
    like: None,
    holds: &[
        field("sites", Count, "how many sites told within the last month"),
        field("last", OrNull(&Day), "the last day of which all of these have told"),
    ],
};

pub(in super::super) const FIGURES: Shape = Shape {
    name: "Figures",
    says: "The figures of a period",
    like: Some(&PERIOD),
    holds: &[
        field("before", OrNull(&A(&PERIOD)), "the period before"),
        field("year_before", OrNull(&A(&PERIOD)), "the same of the year before"),
        field("figures", Many(&A(&NAMED)), "of all tickets, in the order of the definitions"),
        maybe(
            "by",
            OneOf(|| DIMENSIONS.map(|(_, name)| name).to_vec()),
            "the dimension, if one was asked for",
        ),
        maybe("values", Many(&A(&VALUE)), "by its values"),
        field("site", Site, "the site whose figures they are"),
        field("at", Moment, "when they were computed: what is overdue is so then"),
        field("waiting", Count, "how many tickets, at most, are not counted yet after an update"),
        field(
            "told",
            OrNull(&A(&TOLD)),
            "at the ministry: how far the sites below it have told; null elsewhere",
        ),
    ],
};

pub(in super::super) const SCORECARD: Shape = Shape {
    name: "Scorecard",
    says: "The units below a site in a month",
    like: None,
    holds: &[
        field("site", Site, "whose units they are"),
        field("at", Moment, "when it was computed"),
        field("names", ByName(&Text), "what the sites in it are called"),
        field("waiting", Count, "how many tickets, at most, are not counted yet after an update"),
        field("table", OrNull(&Written(written::<Table>)), "as it is now; null of another site"),
        field("frozen", OrNull(&Written(written::<Record>)), "as it was frozen; null when it was not"),
    ],
};
