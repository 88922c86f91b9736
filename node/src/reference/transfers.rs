//! Hand-overs (转办): how long an offer may wait. How often a ticket may come back is a rule of custody and in no table: rules of
//! custody must come out the same whatever tables a site holds.

use super::limits::{Limit, Unit};
use super::table::{ReferenceError, Source};

/// What a hand-over may take. What has no row is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    accept: Option<Limit>,
}

impl Transfers {
    pub(super) fn parse(source: &Source) -> Result<Transfers, ReferenceError> {
        let mut read = Transfers::default();
        for row in source.rows(["step", "amount", "unit", "basis"])? {
            row.one_of(0, &[("accept", ())])?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn a_step_without_a_row_is_not_limited_and_what_makes_no_sense_is_refused_with_its_place() {
        let read = |rows: &str| {
            let text: &'static str = format!("step,amount,unit,basis\n{rows}\n").leak();
            Transfers::parse(&Source::test(text)).map_err(|e| e.to_string())
        };
        assert_eq!(Reference::built_in().transfers.accept().map(Limit::amount), Some(1));
        assert_eq!(read("").unwrap().accept(), None);
        assert_eq!(read("accept,4,hours,x").unwrap().accept().map(Limit::unit), Some(Unit::Hours));
        for (rows, why) in [
            ("accept,4,times,x", "column `unit`"),
            ("accept,0,hours,x", "column `amount`"),
            ("accept,1,hours,", "is empty"),
            ("accept,1,hours,x\naccept,2,hours,x", "earlier row"),
            ("close,1,hours,x", "is none of accept"),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
