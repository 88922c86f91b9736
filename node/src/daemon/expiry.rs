//! What the log says about dates once a day: a clock in doubt, certificates that end.

use certs::{Expiring, NodeName};

/// A day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// From so few days on a certificate's end is an error and no longer a warning.
const SEVERE: i64 = 7;

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    pub(super) text: String,
    /// Links will end soon, or have ended.
    pub(super) severe: bool,
}

/// Remembers what was said today.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings {
    day: Option<u64>,
    doubt: Option<String>,
}

impl Warnings {
    /// What is to be said now. `expiring` is asked once a day; a doubt is said when it begins, when it ends, and once
    /// a day.
    pub(super) fn due(
        &mut self,
        now_ms: u64,
        me: NodeName,
        doubt: Option<String>,
        expiring: impl FnOnce() -> Vec<Expiring>,
    ) -> Vec<Warning> {
        let mut due = Vec::new();
        let day = Some(now_ms / DAY_MS);
        let new_day = self.day != day;
        self.day = day;
        if let Some(why) = doubt.as_ref().filter(|_| new_day || self.doubt != doubt) {
            let text = format!(
                "this node does not know the date: {why}. Until then it links to members whatever their dates and enrols nobody; confirm: `hotline replica confirm-clock`"
            );
            due.push(Warning { text, severe: true });
        } else if doubt.is_none() && self.doubt.is_some() {
            due.push(Warning {
                text: "the date was confirmed; certificates are judged by it again".to_owned(),
                severe: false,
            });
        }
        self.doubt = doubt;
        if new_day {
            due.extend(expiring().into_iter().map(|e| ends(me, &e)));
        }
        due
    }
}

fn ends(me: NodeName, e: &Expiring) -> Warning {
    let whose = if e.node == me {
        "this node's certificate".to_owned()
    } else {
        format!("the certificate of {}", e.node)
    };
    let text = match e.days {
        ..0 => format!(
            "{whose} has ended {} days ago: no link comes about with it; renew it at its authority",
            -e.days
        ),
        0 => format!("{whose} ends today; renew it at its authority now"),
        days => format!("{whose} ends in {days} days; renew it at its authority"),
    };
    Warning { text, severe: e.days <= SEVERE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn node(s: &str) -> NodeName {
        s.parse().unwrap()
    }

    #[test]
    fn certificates_that_end_are_named_once_a_day() {
        let mut warnings = Warnings::default();
        let me = node("370100");
        let soon =
            || vec![Expiring { node: node("370100"), days: 1 }, Expiring { node: node("370000"), days: 29 }];
        let said = warnings.due(NOW, me, None, soon);
        assert_eq!(said.len(), 2);
        assert!(
            said[0].severe && said[0].text.contains("this node's certificate ends in 1 days"),
            "{said:?}"
        );
        assert!(
            !said[1].severe && said[1].text.contains("the certificate of 370000 ends in 29 days"),
            "{said:?}"
        );
        assert_eq!(warnings.due(NOW + 60_000, me, None, || panic!("asked twice a day")), vec![]);
        assert_eq!(warnings.due(NOW + DAY_MS, me, None, soon).len(), 2);
        let over = warnings.due(NOW + 2 * DAY_MS, me, None, || vec![Expiring { node: me, days: -3 }]);
        assert!(over[0].severe && over[0].text.contains("has ended 3 days ago"), "{over:?}");
    }

    #[test]
    fn a_doubt_is_said_when_it_begins_daily_and_when_it_ends() {
        let mut warnings = Warnings::default();
        let me = node("370100");
        let doubt = || Some("the clock is behind".to_owned());
        let mut say = |at: u64, doubt: Option<String>| warnings.due(at, me, doubt, Vec::new);
        assert_eq!(say(NOW, None), vec![]);
        assert!(say(NOW + 1, doubt())[0].text.contains("confirm-clock"));
        assert_eq!(say(NOW + 2, doubt()), vec![]);
        assert_eq!(say(NOW + DAY_MS, doubt()).len(), 1);
        assert!(say(NOW + DAY_MS + 1, None)[0].text.contains("was confirmed"));
        assert_eq!(say(NOW + DAY_MS + 2, None), vec![]);
    }
}
