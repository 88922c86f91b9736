//! The row of a ticket, column by column: the one definition for every output.
//!
//! A column is a name, a kind, a sentence, and a function of what the projection knows of a ticket. A row holds its values in that
//! order, as JSON: texts, days (`2026-11-02`) and moments (RFC 3339) as strings, counts as numbers, flags as booleans.

use certs::Site;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync::id::DocId;

use crate::china;
use crate::deadline::Timing;
use crate::figures::{Fact, Facts};
use crate::import::Urgency;
use crate::reference::{CategoryCode, Reference};

/// Raised whenever a column comes, goes or means something else: what was written before is made anew then.
pub const LAYOUT: i32 = 1;

/// So many digits in what a ticket says of itself could be a telephone number.
const DIGITS: usize = 7;

/// How digits are written and read out beside the numeric ones.
const NUMERALS: &str = "零一二三四五六七八九幺两";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Yes or no.
    Flag,
    /// How many.
    Count,
    /// A day of China's time.
    Day,
    /// A moment.
    Moment,
}

/// A column.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every row has a value.
    pub always: bool,
    /// What it means, in a sentence without a full stop.
    pub says: &'static str,
    of: fn(&Ticket) -> Value,
}

/// What the projection knows of a ticket and the read model may know too.
pub(crate) struct Ticket {
    pub(crate) doc: DocId,
    pub(crate) number: String,
    pub(crate) custodian: String,
    pub(crate) taken_by: String,
    pub(crate) offered_to: Option<String>,
    pub(crate) stage: String,
    pub(crate) at: String,
    pub(crate) returns: i64,
    pub(crate) timing: Timing,
    pub(crate) due: Option<String>,
    pub(crate) urgency: String,
    pub(crate) day: String,
    pub(crate) facts: Facts,
    /// Business, domain, topic, channel, as they were said.
    pub(crate) said: [String; 4],
}

impl Ticket {
    /// Takes out what a row must not tell: a site that is none, a code that no table knows, a text that may hold a number.
    pub(crate) fn checked(mut self, reference: &Reference) -> Ticket {
        let known =
            |code: &str| code.parse::<CategoryCode>().is_ok_and(|c| reference.categories.get(&c).is_some());
        let [business, domain, topic, channel] = &mut self.said;
        for code in [domain, topic] {
            if !known(code) {
                code.clear();
            }
        }
        for said in [business, channel] {
            let digit = |c: &char| c.is_numeric() || NUMERALS.contains(*c);
            if said.chars().filter(digit).count() >= DIGITS || said.contains(char::is_control) {
                said.clear();
            }
        }
        self.offered_to = self.offered_to.filter(|site| site.parse::<Site>().is_ok());
        self
    }

    fn flag(&self, fact: Fact) -> Value {
        self.facts.has(fact).into()
    }
}

fn said(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn moment(at: Option<Timestamp>) -> Value {
    at.map(china::shown).into()
}

const fn column(
    name: &'static str,
    kind: Kind,
    always: bool,
    says: &'static str,
    of: fn(&Ticket) -> Value,
) -> Column {
    Column { name, kind, always, says, of }
}

/// Every column, in the order of a row's values. The first is the key.
pub const COLUMNS: [Column; 32] = {
    use Kind::{Count, Day, Flag, Moment, Text};
    [
        column("id", Text, true, "the ticket's id, the same at every node", |t| t.doc.to_string().into()),
        column("number", Text, true, "工单编号, its number", |t| t.number.as_str().into()),
        column(
            "taken_by",
            Text,
            true,
            "受理单位, the site that took the call; the first two digits are its province",
            |t| t.taken_by.as_str().into(),
        ),
        column("custodian", Text, true, "承办单位, the site that has to work on it", |t| {
            t.custodian.as_str().into()
        }),
        column("offered_to", Text, false, "转办, the site that it is offered to", |t| {
            t.offered_to.clone().into()
        }),
        column("stage", Text, true, "办理环节, where it stands", |t| t.stage.as_str().into()),
        column("business", Text, false, "业务类型, as it was said", |t| said(&t.said[0])),
        column("domain", Text, false, "业务领域, a code of the table of categories", |t| {
            said(&t.said[1])
        }),
        column("topic", Text, false, "事项, a code of the table of categories", |t| said(&t.said[2])),
        column("channel", Text, false, "来源渠道, as it was said", |t| said(&t.said[3])),
        column(
            "urgency",
            Text,
            true,
            "紧急程度; 一般 when nobody has said one that is known here",
            |t| Urgency::of(&t.urgency).unwrap_or_default().word().into(),
        ),
        column("day", Day, false, "受理日期, the day of China's time on which the call was taken", |t| {
            said(&t.day)
        }),
        column("taken_at", Moment, false, "受理时间, when the call was taken", |t| {
            moment(t.at.parse().ok())
        }),
        column(
            "begun_at",
            Moment,
            false,
            "计时起点, from when its time counts: later than taken_at when it was re-opened",
            |t| moment(t.timing.begun()),
        ),
        column("ended_at", Moment, false, "办结时间, when it was answered or closed", |t| {
            moment(t.timing.ended())
        }),
        column(
            "due_at",
            Moment,
            false,
            "办理时限, its deadline; none while its clock stands still or its rules set none",
            |t| t.due.clone().into(),
        ),
        column(
            "in_time",
            Flag,
            false,
            "按期办结, whether it ended before its deadline; none when that cannot be said",
            |t| match (t.facts.has(Fact::InTime), t.facts.has(Fact::Late)) {
                (true, _) => true.into(),
                (_, true) => false.into(),
                _ => Value::Null,
            },
        ),
        column(
            "answered",
            Flag,
            true,
            "即时答复, by the site that took it, before it was handed to anybody",
            |t| t.flag(Fact::Answered),
        ),
        column("handed_over", Flag, true, "转办, dispatched, offered or assigned", |t| {
            t.flag(Fact::HandedOver)
        }),
        column("ended", Flag, true, "办结, nobody has to work on it any more", |t| t.flag(Fact::Ended)),
        column("rejected", Flag, true, "不予受理", |t| t.flag(Fact::Rejected)),
        column("redirected", Flag, true, "告知, the caller was told whose matter it is", |t| {
            t.flag(Fact::Redirected)
        }),
        column("joined", Flag, true, "并单, another ticket is handled in its place", |t| {
            t.flag(Fact::Joined)
        }),
        column("returns", Count, true, "退回次数, how often an offer of it was declined", |t| {
            t.returns.into()
        }),
        column("reopened", Flag, true, "重办, a close of it was not the end", |t| t.flag(Fact::Reopened)),
        column(
            "followed_up",
            Flag,
            true,
            "回访, the caller said what they think, or was not reached twice",
            |t| t.flag(Fact::FollowedUp),
        ),
        column(
            "satisfied",
            Flag,
            false,
            "满意, by the caller's last word; none when they said nothing",
            |t| match t.facts.has(Fact::Rated) {
                true => t.flag(Fact::Satisfied),
                false => Value::Null,
            },
        ),
        column("dissatisfied", Flag, true, "差评, the caller was dissatisfied once", |t| {
            t.flag(Fact::Dissatisfied)
        }),
        column("rectified", Flag, true, "整改, dissatisfied once and satisfied by the last word", |t| {
            t.flag(Fact::Rectified)
        }),
        column("rechecked", Flag, true, "复核, looked at again by another than who closed it", |t| {
            t.flag(Fact::Rechecked)
        }),
        column("test", Flag, true, "抽检工单, made to test the service; figures leave it out", |t| {
            t.flag(Fact::Test)
        }),
        column(
            "elsewhere",
            Flag,
            true,
            "taken by a site that is neither this one nor below it; figures leave it out",
            |t| t.flag(Fact::Elsewhere),
        ),
    ]
};

/// The values of a ticket, in the order of [`COLUMNS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Value>")]
pub struct Row(Vec<Value>);

impl TryFrom<Vec<Value>> for Row {
    type Error = String;

    fn try_from(values: Vec<Value>) -> Result<Row, String> {
        if values.len() != COLUMNS.len() {
            return Err(format!("a row has {} values, and {} came", COLUMNS.len(), values.len()));
        }
        let wrong = COLUMNS.iter().zip(&values).find(|(column, value)| !column.takes(value));
        match wrong {
            Some((column, _)) => Err(format!("a row's `{}` is no {:?}", column.name, column.kind)),
            None => Ok(Row(values)),
        }
    }
}

impl Column {
    fn takes(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (_, Value::Null) => !self.always,
            (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) => true,
            (Kind::Count, value) => value.is_i64(),
            (Kind::Day, Value::String(day)) => day.parse::<Date>().is_ok(),
            (Kind::Moment, Value::String(at)) => at.parse::<Timestamp>().is_ok(),
            _ => false,
        }
    }
}

impl Row {
    pub(crate) fn of(ticket: &Ticket) -> Row {
        Row(COLUMNS.iter().map(|column| (column.of)(ticket)).collect())
    }

    /// The ticket's id.
    pub fn id(&self) -> &str {
        self.0[0].as_str().unwrap_or_default()
    }

    /// Its values.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        let facts = [Fact::Ended, Fact::Late, Fact::Rated];
        Ticket {
            doc: DocId::from_bytes([7; 32]),
            number: "JT37010020261102AB0001X".to_owned(),
            custodian: "370200".to_owned(),
            taken_by: "370100".to_owned(),
            offered_to: None,
            stage: "closed".to_owned(),
            at: "2026-11-02T09:15:00+08:00".to_owned(),
            returns: 2,
            timing: Timing::default(),
            due: Some("2026-11-09T23:59:59+08:00".to_owned()),
            urgency: String::new(),
            day: "2026-11-02".to_owned(),
            facts: facts.into_iter().fold(Facts::default(), |facts, fact| facts.with(fact, true)),
            said: ["投诉举报", "nowhere", "", "12328电话"].map(str::to_owned),
        }
    }

    fn value(row: &Row, name: &str) -> Value {
        row.values()[COLUMNS.iter().position(|column| column.name == name).unwrap()].clone()
    }

    #[test]
    fn every_column_says_what_the_ticket_says() {
        let row = Row::of(&ticket().checked(Reference::built_in()));
        for (name, expected) in [
            ("id", Value::from("07".repeat(32))),
            ("custodian", "370200".into()),
            ("offered_to", Value::Null),
            ("business", "投诉举报".into()),
            ("domain", Value::Null), // no code of any table
            ("channel", "12328电话".into()),
            ("urgency", "一般".into()),
            ("day", "2026-11-02".into()),
            ("taken_at", "2026-11-02T09:15:00+08:00".into()),
            ("ended_at", Value::Null),
            ("due_at", "2026-11-09T23:59:59+08:00".into()),
            ("in_time", false.into()),
            ("returns", 2.into()),
            ("satisfied", false.into()),
            ("ended", true.into()),
            ("test", false.into()),
        ] {
            assert_eq!(value(&row, name), expected, "{name}");
        }
        let sent = serde_json::to_value(&row).unwrap();
        assert_eq!(serde_json::from_value::<Row>(sent).unwrap(), row);
    }

    #[test]
    fn what_may_be_of_a_person_is_left_out() {
        let mut ticket = ticket();
        ticket.urgency = "急，请找张三".to_owned();
        ticket.said = ["张三 13805310000", "", "", "微信１３８０５３１"].map(str::to_owned);
        let row = Row::of(&ticket.checked(Reference::built_in()));
        assert_eq!((value(&row, "business"), value(&row, "channel")), (Value::Null, Value::Null));
        assert_eq!(value(&row, "urgency"), "一般");
        let mut read_out = self::ticket();
        read_out.said[0] = "幺三八零五三一".to_owned();
        assert_eq!(value(&Row::of(&read_out.checked(Reference::built_in())), "business"), Value::Null);
    }

    #[test]
    fn a_row_that_is_none_is_not_taken() {
        let good = Row::of(&ticket().checked(Reference::built_in())).0;
        let wrong = |place: usize, value: Value| {
            let mut values = good.clone();
            values[place] = value;
            Row::try_from(values).unwrap_err()
        };
        assert!(Row::try_from(good[1..].to_vec()).unwrap_err().contains("32 values, and 31 came"));
        assert!(wrong(0, Value::Null).contains("`id`"));
        assert!(wrong(11, "2026-02-30".into()).contains("`day`"));
        assert!(wrong(12, "soon".into()).contains("`taken_at`"));
        assert!(wrong(23, 1.5.into()).contains("`returns`"));
    }
}
