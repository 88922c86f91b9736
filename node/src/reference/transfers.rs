//! Hand-overs (转办): how long an offer may wait, and how often a ticket may come back (退回) before only the tier above moves it.
//!
//! The second is a rule of custody, which must come out the same whatever tables a site holds: a ticket's first entry carries what
//! the table said at the site that took it on that day, and later editions move no ticket that there is.

use super::limits::{Limit, Unit};
use super::table::{ReferenceError, Source};
use crate::ticket::entry::DECLINES;

/// A ticket that comes back more often than this is nobody's.
const MOST_DECLINES: u32 = 9;

/// What a hand-over may take. Without a row an offer may wait for ever, and a ticket come back as often as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    accept: Option<Limit>,
    declines: Option<u32>,
}

impl Transfers {
    pub(super) fn parse(source: &Source) -> Result<Transfers, ReferenceError> {
        let mut read = Transfers::default();
        for row in source.rows(["step", "amount", "unit", "basis"])? {
            if row.one_of(0, &[("accept", false), ("decline", true)])? {
                row.one_of(2, &[("times", ())])?;
                let times: u32 = row.parsed(1, "is not a number of times")?;
                if !(1..=MOST_DECLINES).contains(&times) {
                    return Err(row.wrong(1, format!("is not between 1 and {MOST_DECLINES}")));
                }
                row.text(3)?;
                if read.declines.replace(times).is_some() {
                    return Err(row.wrong(0, "stands in an earlier row already"));
                }
                continue;
            }
            let limit = Limit::plain(Limit::amount_of(&row, 1)?, row.one_of(2, &Unit::WORDS)?, row.text(3)?);
            if read.accept.replace(limit).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        Ok(read)
    }

    /// Within what an offer is to be accepted or declined.
    pub fn accept(&self) -> Option<&Limit> {
        self.accept.as_ref()
    }

    /// After how many declines in one custody only an assign moves a ticket that begins now; `None` when that is [`DECLINES`].
    pub fn declines(&self) -> Option<u32> {
        self.declines.filter(|times| *times != DECLINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_step_without_a_row_is_as_usual_and_what_makes_no_sense_is_refused_with_its_place() {
        let read = |rows: &str| {
            let text: &'static str = format!("step,amount,unit,basis\n{rows}\n").leak();
            Transfers::parse(&Source::test(text)).map_err(|e| e.to_string())
        };
        assert_eq!(Reference::built_in().transfers.accept().map(Limit::amount), Some(1));
        assert_eq!(read("").unwrap().accept(), None);
        assert_eq!(read("accept,4,hours,x").unwrap().accept().map(Limit::unit), Some(Unit::Hours));
        assert_eq!(Reference::built_in().transfers.declines(), None, "two is what is usual");
        assert_eq!(read("decline,3,times,x").unwrap().declines(), Some(3));
        for (rows, why) in [
            ("decline,3,hours,x", "column `unit`"),
            ("decline,0,times,x", "between 1 and 9"),
            ("decline,10,times,x", "between 1 and 9"),
            ("decline,1,times,x\ndecline,1,times,x", "earlier row"),
            ("accept,4,times,x", "column `unit`"),
            ("accept,0,hours,x", "column `amount`"),
            ("accept,1,hours,", "is empty"),
            ("accept,1,hours,x\naccept,2,hours,x", "earlier row"),
            ("close,1,hours,x", "is none of accept, decline"),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
