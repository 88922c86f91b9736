//! A month's table as lines that programs for tables read: a line for each unit.

use certs::Site;

use super::{Table, Unit};
use crate::cell::{Cell, Sheet};
use crate::pdf;
use crate::reference::{Definition, Definitions};
use crate::request::Language;

/// A share for people, in per cent; a dash for one of nothing.
pub fn share([count, of]: [u64; 2]) -> String {
    match of {
        0 => "—".to_owned(),
        of => format!("{:.2} %", count as f64 * 100.0 / of as f64),
    }
}

/// A table as a sheet: unit, name, rank, score, taken, test, when it was last proved equal, whether anything may be missing, and of
/// each rate how many count and of how many.
pub fn sheet(table: &Table, name: impl Fn(Site) -> String) -> Sheet {
    let heads = ["month", "site", "name", "rank", "score", "taken", "test", "proved_at", "complete"];
    let rates: Vec<String> =
        table.rates.iter().flat_map(|(id, _)| [format!("{id}_count"), format!("{id}_of")]).collect();
    let mut sheet = Sheet::of(heads.into_iter().chain(rates.iter().map(String::as_str)));
    for unit in &table.units {
        let cells = [
            Cell::text(&table.month),
            Cell::text(&unit.site.to_string()),
            Cell::text(&name(unit.site)),
            Cell::given(unit.rank, |rank| Cell::Count(rank.into())),
            Cell::given(unit.score, Cell::Score),
            Cell::Count(unit.taken),
            Cell::Count(unit.test),
            Cell::text(unit.proved_at.as_deref().unwrap_or_default()),
            Cell::text(&unit.complete.to_string()),
        ];
        let counted = unit.counted.iter().flatten().copied().map(Cell::Count);
        sheet.line(cells.into_iter().chain(counted));
    }
    sheet
}

/// The rates of a table with their weights, what they mean, and on what that rests, as a sheet.
pub fn rates(table: &Table, definitions: &Definitions) -> Sheet {
    let mut sheet = Sheet::of(["id", "weight", "weights_from", "zh", "en", "says_zh", "says_en", "basis"]);
    for (id, weight) in &table.rates {
        let of = definitions.get(id);
        let said = |what: fn(&Definition) -> &str| Cell::given(of, |of| Cell::text(what(of)));
        sheet.line([
            Cell::text(id),
            Cell::Number(*weight),
            Cell::day(&table.weights_from),
            said(|of| of.name(Language::Zh)),
            said(|of| of.name(Language::En)),
            said(|of| of.says(Language::Zh)),
            said(|of| of.says(Language::En)),
            said(Definition::basis),
        ]);
    }
    sheet
}

/// A table as a sheet of paper, in Chinese, under these words, with a foot to sign.
pub fn paper(
    table: &Table,
    definitions: &Definitions,
    name: impl Fn(Site) -> String,
    head: &[&str],
) -> pdf::Sheet {
    let rate = |(id, weight): &(String, f64)| {
        let name = definitions.get(id).map_or(id.as_str(), |definition| definition.name(Language::Zh));
        format!("{name}×{weight}")
    };
    let columns = ["单位", "名次", "得分"].map(str::to_owned).into_iter();
    let row = |unit: &Unit| {
        let dash = || "—".to_owned();
        let missing = if unit.complete { "" } else { "（数据可能不全）" };
        let begin = [
            format!("{}{missing}", name(unit.site)),
            unit.rank.map_or_else(dash, |rank| rank.to_string()),
            unit.score.map_or_else(dash, |score| format!("{score:.2}")),
        ];
        let rates = unit.counted.iter().map(|counted| share(*counted));
        begin.into_iter().chain(rates).chain([unit.taken.to_string(), unit.test.to_string()]).collect()
    };
    pdf::Sheet {
        title: "12328 月度考评".to_owned(),
        head: vec![head.join("　　")],
        columns: columns
            .chain(table.rates.iter().map(rate))
            .chain(["受理量", "抽检"].map(str::to_owned))
            .collect(),
        words: 1,
        groups: vec![table.units.iter().map(row).collect()],
        foot: ["制表", "审核", "签发", "日期"].map(|name| (name.to_owned(), String::new())).to_vec(),
        across: true,
    }
}
