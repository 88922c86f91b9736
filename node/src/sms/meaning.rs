//! What a text means.
//!
//! ```text
//! 查 NUMBER CODE, 查询, CX, Q       a query; the two alone are one too
//! 帮助, help, ?, nothing at all      help
//! 保密 ...                           a confidential report
//! everything else                    a matter
//! ```
//!
//! In doubt it is a matter: an agent can say that it is none, and nobody else can find one that was lost.

use crate::ticket::code::QueryCode;
use crate::ticket::number::TicketNumber;

/// What queries begin with.
const QUERIES: [&str; 4] = ["查询", "查", "CX", "Q"];

/// What asks for help.
const HELPS: [&str; 4] = ["帮助", "HELP", "?", "？"];

/// What begins a report whose reporter must stay unknown.
const CONFIDENTIAL: &str = "保密";

/// How many characters a ticket's number has.
const NUMBER: usize = 23;

/// What somebody wants.
#[derive(Debug)]
pub(super) enum Meaning {
    /// To know how a ticket stands.
    Query(TicketNumber, QueryCode),
    /// The same, but number or code are none.
    Misspelt,
    /// To know what can be asked.
    Help,
    /// Something has to be done.
    Matter {
        /// Whoever it is about must not learn who says it.
        confidential: bool,
    },
}

/// Number and code, however they are parted.
fn asked(text: &str) -> Option<(TicketNumber, QueryCode)> {
    let written: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let (number, code) = written.split_at_checked(NUMBER)?;
    Some((number.parse().ok()?, QueryCode::read(code)?))
}

impl Meaning {
    /// What this text means.
    pub(super) fn of(text: &str) -> Meaning {
        let text = text.trim();
        let upper = text.to_ascii_uppercase();
        if upper.is_empty() || HELPS.contains(&upper.as_str()) || QUERIES.contains(&upper.as_str()) {
            return Meaning::Help;
        }
        let rest = QUERIES.iter().find_map(|word| upper.strip_prefix(word));
        let rest = rest.map(|rest| rest.trim_start_matches(|c: char| !c.is_alphanumeric()));
        match rest.filter(|rest| rest.starts_with("JT")) {
            Some(rest) => {
                asked(rest).map_or(Meaning::Misspelt, |(number, code)| Meaning::Query(number, code))
            }
            None if upper.starts_with("JT") && upper.is_ascii() && asked(&upper).is_some() => {
                asked(&upper).map_or(Meaning::Misspelt, |(number, code)| Meaning::Query(number, code))
            }
            None => Meaning::Matter { confidential: text.starts_with(CONFIDENTIAL) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::code::QuerySecret;

    const TICKET: &str = "JT370100202611290W0000C";

    #[test]
    fn a_text_is_a_query_only_when_it_cannot_be_anything_else() {
        let number: TicketNumber = TICKET.parse().unwrap();
        let code = QuerySecret::new([7; 32]).code(number);
        let asks = |text: String| matches!(Meaning::of(&text), Meaning::Query(n, _) if n == number);
        let bare = code.to_string().replace('-', "").to_lowercase();
        for text in [
            format!("查 {TICKET} {code}"),
            format!("查询：{TICKET}，{code}"),
            format!("cx {} {bare}", TICKET.to_lowercase()),
            format!("Q{TICKET}{code}"),
            format!("{TICKET} {code}"),
            format!("  查　{TICKET}\n{code} "),
        ] {
            assert!(asks(text.clone()), "{text}");
        }
        for text in ["帮助", "help", "?", "？", "", " ", "查", "CX", "q"] {
            assert!(matches!(Meaning::of(text), Meaning::Help), "{text}");
        }
        for text in [format!("查 {TICKET}"), "查 JT1 1234".to_owned()] {
            assert!(matches!(Meaning::of(&text), Meaning::Misspelt), "{text}");
        }
        let matter = |text: &str, sealed| {
            assert!(
                matches!(Meaning::of(text), Meaning::Matter { confidential } if confidential == sealed),
                "{text}"
            );
        };
        for text in [
            "查一下我的车",
            "Queue is long",
            "CX航班的大巴不来",
            TICKET,
            "出租车拒载",
            "JT快递丢件",
            "帮助我",
        ] {
            matter(text, false);
        }
        matter("保密举报：客车超员", true);
    }
}
