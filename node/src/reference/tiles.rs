//! Tiles: where each province stands in a chart of equal squares (方格统计图).
//!
//! Such a chart is no map: it has no border and no distance, and a square only stands about where readers look for its province. All 34
//! divisions of the province level are in the table that is compiled in, whether they have a centre or not, and beside them the
//! Corps, which has one.

use certs::{Site, Tier};

use super::table::{ReferenceError, Source};

/// The last column and row.
const MOST: u32 = 20;

/// Where the squares are.
#[derive(Clone, Debug)]
pub struct Tiles(Vec<Place>);

/// One square.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub site: Site,
    /// A name that is short enough for a square.
    pub name: String,
    /// From the left, from 1.
    pub column: u32,
    /// From above, from 1.
    pub row: u32,
}

impl Tiles {
    pub(super) fn parse(source: &Source) -> Result<Tiles, ReferenceError> {
        let mut places: Vec<Place> = Vec::new();
        for row in source.rows(["code", "name", "column", "row"])? {
            let site: Site = row.parsed(0, "is no site")?;
            if site.tier() != Tier::Province {
                return Err(row.wrong(0, "is no province: six digits, the last four of them 0"));
            }
            let at = |i: usize| {
                row.parsed(i, "is no number").and_then(|n: u32| match n {
                    1..=MOST => Ok(n),
                    _ => Err(row.wrong(i, format!("is not from 1 to {MOST}"))),
                })
            };
            let place = Place { site, name: row.text(1)?.to_owned(), column: at(2)?, row: at(3)? };
            if places.iter().any(|known| known.site == site) {
                return Err(row.wrong(0, "has a square already"));
            }
            if places.iter().any(|known| (known.column, known.row) == (place.column, place.row)) {
                return Err(row.wrong(3, "is the square of another one"));
            }
            places.push(place);
        }
        Ok(Tiles(places))
    }

    /// All of them, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Level, Reference};

    #[test]
    fn no_province_is_missing() {
        let reference = Reference::built_in();
        let mut expected: Vec<String> = reference
            .divisions
            .iter()
            .filter(|division| division.level() == Level::Province)
            .map(|division| division.code().to_string())
            .chain(["660000", "710000", "810000", "820000"].map(str::to_owned))
            .collect();
        let mut known: Vec<String> = reference.tiles.iter().map(|place| place.site.to_string()).collect();
        expected.sort_unstable();
        known.sort_unstable();
        assert_eq!((known.len(), &known), (35, &expected));
    }

    #[test]
    fn a_square_has_one_province_and_a_province_one_square() {
        let check = |rows: &'static str, words: &str| {
            let source = Source::test(rows);
            let error = Tiles::parse(&source).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("code,name,column,row\n370000,山东,1,1\n370000,山东,1,2\n", "has a square already");
        check("code,name,column,row\n370000,山东,1,1\n410000,河南,1,1\n", "is the square of another one");
        check("code,name,column,row\n370100,济南,1,1\n", "is no province");
        check("code,name,column,row\n370000,山东,0,1\n", "is not from 1 to 20");
    }
}
