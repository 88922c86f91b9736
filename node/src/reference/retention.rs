//! Retention (保存期限): after how many days the personal data of tickets that ended is erased.

use super::table::{ReferenceError, Source};

/// The fewest days that a row may say: a slip must not erase what is still needed.
const FEWEST: u32 = 90;
/// The most: a hundred years.
const MOST: u32 = 36_500;

/// How long what is kept. What has no row is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    caller: Option<u32>,
}

impl Retention {
    pub(super) fn parse(source: &Source) -> Result<Retention, ReferenceError> {
        let mut read = Retention::default();
        for row in source.rows(["data", "days", "basis"])? {
            row.one_of(0, &[("caller", ())])?;
            row.text(2)?;
            let days: u32 = row.parsed(1, "is no number of days")?;
            if !(FEWEST..=MOST).contains(&days) {
                return Err(row.wrong(1, format!("is not between {FEWEST} and {MOST}")));
            }
            if read.caller.replace(days).is_some() {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
        }
        Ok(read)
    }

    /// For how many days after its last word the caller's data and the files of a ticket that ended are kept; `None`: for ever.
    pub fn caller(&self) -> Option<u32> {
        self.caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn nothing_is_erased_unless_a_row_says_so_and_no_slip_erases_all() {
        assert_eq!(Reference::built_in().retention.caller(), None);
        let read = |rows: &str| {
            let text: &'static str = format!("data,days,basis\n{rows}\n").leak();
            Retention::parse(&Source::test(text)).map_err(|e| e.to_string())
        };
        assert_eq!(read("caller,1095,x").unwrap().caller(), Some(1095));
        for (rows, why) in [
            ("caller,89,x", "between 90"),
            ("caller,,x", "no number of days"),
            ("tickets,1095,x", "is none of caller"),
            ("caller,100,", "is empty"),
            ("caller,100,x\ncaller,200,x", "earlier row"),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.contains(why), "{rows}: {error}");
        }
    }
}
