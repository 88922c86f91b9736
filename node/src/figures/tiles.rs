//! A chart of squares (方格统计图): a unit each, with its name and what it comes to, the darker the more.
//!
//! At the ministry a province's square stands where [`crate::reference::Tiles`] puts it; at a province its cities follow each other by
//! their codes. It is no map and draws no border, here or anywhere.

use std::collections::BTreeSet;
use std::fmt::Write;

use certs::{Site, Tier};

use crate::plan::plot::escape;
use crate::reference::Reference;

/// The side of a square, and what is between two.
const SIDE: u32 = 74;
const GAP: u32 = 4;

/// So many squares in a line where no table says where they stand.
const LINE: u32 = 6;

/// The shades besides none: `desk.css` has a colour for each.
const SHADES: f64 = 5.0;

/// Characters of a name that a square has room for.
const LETTERS: usize = 6;

/// One square.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Whose it is.
    pub site: Site,
    /// What it is called in full.
    pub name: String,
    /// What stands in it; a dash for what has no value.
    pub said: String,
    /// How dark it is, from 0 to 1.
    pub share: f64,
    /// Where it leads; empty for nowhere.
    pub href: String,
    short: String,
    column: u32,
    row: u32,
}

/// The squares of the units below the ministry or a province, each still empty: of those that have a centre, and of those in `with`.
/// None at any other site.
pub fn tiles(reference: &Reference, me: Site, with: impl IntoIterator<Item = Site>) -> Vec<Tile> {
    let tile = |site: Site, short: &str, column: u32, row: u32| {
        let name = reference.centres.get(site).map_or(short, |centre| centre.name()).to_owned();
        let said = "—".to_owned();
        Tile { site, name, short: short.to_owned(), said, share: 0.0, href: String::new(), column, row }
    };
    match me.tier() {
        Tier::Ministry => reference
            .tiles
            .iter()
            .map(|place| tile(place.site, &place.name, place.column, place.row))
            .collect(),
        Tier::Province => {
            let below = |site: &Site| site.superior() == Some(me);
            let known = reference.centres.iter().map(|centre| centre.site()).filter(below);
            let sites: BTreeSet<Site> =
                known.chain(with.into_iter().filter(|site| *site == me || below(site))).collect();
            (0..)
                .zip(sites)
                .map(|(n, site)| tile(site, &reference.centres.name(site), n % LINE + 1, n / LINE + 1))
                .collect()
        }
        Tier::City | Tier::Office => Vec::new(),
    }
}

/// The squares as an SVG element, which says in words what it shows.
pub fn drawn(title: &str, tiles: &[Tile]) -> String {
    let last = |of: fn(&Tile) -> u32| tiles.iter().map(of).max().unwrap_or(0) * (SIDE + GAP) + GAP;
    let (width, height) = (last(|tile| tile.column), last(|tile| tile.row));
    let mut svg = format!(
        "<svg class=\"tiles\" role=\"group\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-label=\"{}\">",
        escape(title)
    );
    for tile in tiles {
        let (x, y) = (GAP + (tile.column - 1) * (SIDE + GAP), GAP + (tile.row - 1) * (SIDE + GAP));
        let shade = (tile.share.clamp(0.0, 1.0) * SHADES).ceil();
        let short: String = tile.short.chars().take(LETTERS).collect();
        let words = escape(&format!("{} {}: {}", tile.name, tile.site, tile.said));
        let (open, close) = match tile.href.is_empty() {
            true => (format!("<g role=\"img\" aria-label=\"{words}\">"), "</g>"),
            // Its title names it: a name of its own would hide the words that stand in the square.
            false => (format!("<a href=\"{}\">", escape(&tile.href)), "</a>"),
        };
        let middle = x + SIDE / 2;
        let _ = write!(
            svg,
            "{open}<title>{words}</title><rect class=\"shade{shade}\" x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" rx=\"3\"/>\
             <text x=\"{middle}\" y=\"{}\">{}</text><text class=\"n\" x=\"{middle}\" y=\"{}\">{}</text>{close}",
            y + 30,
            escape(&short),
            y + 52,
            escape(&tile.said)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> Site {
        name.parse().unwrap()
    }

    #[test]
    fn a_province_shows_its_cities_and_the_ministry_every_province() {
        let reference = Reference::built_in();
        let of = |me: &str, with: &[&str]| tiles(reference, site(me), with.iter().map(|name| site(name)));
        let sites = |tiles: &[Tile]| tiles.iter().map(|tile| tile.site.to_string()).collect::<Vec<_>>();
        let shandong = of("370000", &["370000", "379999", "510100"]);
        assert_eq!(sites(&shandong)[..3], ["370000", "370100", "370200"], "by their codes, its own first");
        assert_eq!(
            sites(&shandong).last().unwrap(),
            "379999",
            "what no table knows and what counts all the same"
        );
        assert_eq!((shandong.len(), shandong[6].column, shandong[6].row), (18, 1, 2));
        let nation = of("000000", &["000000"]);
        let named = |code: &str| nation.iter().find(|tile| tile.site == site(code)).unwrap();
        assert_eq!(
            (nation.len(), named("370000").name.as_str(), named("710000").name.as_str()),
            (35, "山东省", "台湾")
        );
        assert!(of("370100", &["370100-01"]).is_empty());
    }

    #[test]
    fn a_square_says_in_words_what_it_shows_and_leads_on() {
        let mut two = tiles(Reference::built_in(), site("370000"), []);
        two.truncate(2);
        (two[0].said, two[0].share, two[0].href) = ("1 < 2".into(), 0.41, "/x?a=1&b=2".into());
        let svg = drawn("a \"b\"", &two);
        let expected = "<a href=\"/x?a=1&amp;b=2\"><title>济南市 370100: 1 &lt; 2</title>";
        assert!(
            svg.contains(expected)
                && svg.contains("class=\"shade3\"")
                && svg.contains("aria-label=\"a &quot;b&quot;\""),
            "{svg}"
        );
        assert!(
            svg.contains("<g role=\"img\" aria-label=\"青岛市 370200: —\">")
                && svg.contains("class=\"shade0\""),
            "{svg}"
        );
    }
}
