//! A month's table as lines that programs for tables read: a line for each unit.

use certs::Site;

use super::Table;
use crate::cell::{Sheet, plain};

/// A share for people, in per cent; a dash for one of nothing.
pub fn share([count, of]: [u64; 2]) -> String {
    match of {
        0 => "—".to_owned(),
        of => format!("{:.2} %", count as f64 * 100.0 / of as f64),
    }
}

/// A table as CSV: unit, name, rank, score, taken, test, when it was last proved equal, whether anything may be missing, and of
/// each rate how many count and of how many.
pub fn csv(table: &Table, name: impl Fn(Site) -> String) -> String {
    let mut sheet = Sheet::default();
    let heads = ["month", "site", "name", "rank", "score", "taken", "test", "proved_at", "complete"];
    let rates = table.rates.iter().flat_map(|(id, _)| [format!("{id}_count"), format!("{id}_of")]);
    sheet.line(heads.map(str::to_owned).into_iter().chain(rates));
    for unit in &table.units {
        let number = |n: Option<String>| n.unwrap_or_default();
        let cells = [
            table.month.clone(),
            unit.site.to_string(),
            plain(&name(unit.site)),
            number(unit.rank.map(|rank| rank.to_string())),
            number(unit.score.map(|score| format!("{score:.2}"))),
            unit.taken.to_string(),
            unit.test.to_string(),
            plain(unit.proved_at.as_deref().unwrap_or_default()),
            unit.complete.to_string(),
        ];
        let counted = unit.counted.iter().flat_map(|[count, of]| [count.to_string(), of.to_string()]);
        sheet.line(cells.into_iter().chain(counted));
    }
    sheet.end()
}
