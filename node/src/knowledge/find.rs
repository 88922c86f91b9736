//! Finding articles while a caller waits: by what is typed into a search box, and by what is typed about the call.
//!
//! A *search* finds the articles in which everything typed occurs. Titles, tags and codes weigh more than bodies; what does
//! not hold today comes after what does, and of equals the own site's come first, then those of the nearest superior. Too
//! many to weigh are narrowed to those with it in the title; if these are too many too, the newest come.
//!
//! A *suggestion* shares rare words with the text, not all of them: each pair of characters weighs by how few articles
//! have it ([`telling`]), and twice in a title.

use std::collections::BTreeMap;

use certs::Site;
use rusqlite::{Connection, params};
use serde_json::Value;
use sync::store::Result;

use super::catalogue::{COLUMNS, shown};
use crate::search::{last_words, query, telling};

/// The most hits that are weighed against each other.
const WEIGHED: i64 = 1_500;

/// How many of the best are put in order by validity and tier.
const CANDIDATES: i64 = 200;

/// A word that more articles have than this says nothing about any.
const COMMON: i64 = 1_000;

/// Who asks, on which day.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The site.
    pub me: Site,
    /// Today, like 2026-11-02.
    pub today: &'a str,
}

impl Asking<'_> {
    /// How much an article of this row counts beside others that fit as well.
    fn weight(&self, row: &Value) -> f64 {
        let owner = row["owner"].as_str().and_then(|o| o.parse::<Site>().ok());
        let steps =
            owner.and_then(|o| std::iter::once(self.me).chain(self.me.superiors()).position(|s| s == o));
        let near = match steps {
            Some(0) => 1.3,
            Some(1) => 1.2,
            Some(_) => 1.1,
            None => 1.0,
        };
        if row["holds"] == true { near } else { near * 0.2 }
    }
}

/// The articles in which everything typed occurs; `Err` holds why it is no question.
pub fn search(
    db: &Connection,
    typed: &str,
    asking: Asking<'_>,
    limit: usize,
) -> Result<std::result::Result<Vec<Value>, String>> {
    let all = match query(typed) {
        Ok(expression) => expression.as_str().to_owned(),
        Err(e) => return Ok(Err(e.to_string())),
    };
    let titles = format!("{{title pinyin}} : ({all})");
    for expression in [&all, &titles] {
        if hits(db, expression, WEIGHED)? < WEIGHED {
            let found = weighed(db, expression, asking)?;
            if !found.is_empty() || *expression == all {
                return Ok(Ok(in_order(found, asking, limit)));
            }
        }
    }
    let expression = if hits(db, &titles, 1)? > 0 { &titles } else { &all };
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT rowid AS hit FROM article_text WHERE article_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2)
         JOIN article a ON a.row = hit ORDER BY a.row DESC"
    );
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(params![expression, CANDIDATES], |r| Ok((1.0, shown(r, asking.today)?)))?;
    let newest: Vec<(f64, Value)> = rows.collect::<std::result::Result<_, _>>()?;
    Ok(Ok(in_order(newest, asking, limit)))
}

/// How many articles an expression finds; past `most` nobody counts.
fn hits(db: &Connection, expression: &str, most: i64) -> Result<i64> {
    let mut count = db.prepare_cached(
        "SELECT count(*) FROM (SELECT rowid FROM article_text WHERE article_text MATCH ?1 LIMIT ?2)",
    )?;
    Ok(count.query_row(params![expression, most], |r| r.get(0))?)
}

/// The best by words alone, each with its score.
fn weighed(db: &Connection, expression: &str, asking: Asking<'_>) -> Result<Vec<(f64, Value)>> {
    let sql = format!(
        "SELECT {COLUMNS}, place FROM (
           SELECT rowid AS hit, bm25(article_text, 8.0, 1.0, 4.0) AS place FROM article_text
           WHERE article_text MATCH ?1 ORDER BY place LIMIT ?2)
         JOIN article a ON a.row = hit"
    );
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(params![expression, CANDIDATES], |r| {
        Ok((-r.get::<_, f64>(15)?, shown(r, asking.today)?))
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The best first; of equals the newest.
fn in_order(found: Vec<(f64, Value)>, asking: Asking<'_>, limit: usize) -> Vec<Value> {
    let mut found: Vec<(f64, Value)> =
        found.into_iter().map(|(score, row)| (score.max(1e-9) * asking.weight(&row), row)).collect();
    found.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| y["row"].as_i64().cmp(&x["row"].as_i64())));
    found.into_iter().take(limit).map(|(_, row)| row).collect()
}

/// Articles that a text is about, the most likely first; none is better than some that are not.
pub fn suggest(db: &Connection, typed: &str, asking: Asking<'_>, limit: usize) -> Result<Vec<Value>> {
    let mut scores: BTreeMap<i64, (f64, u32)> = BTreeMap::new();
    let mut select =
        db.prepare_cached("SELECT rowid FROM article_text WHERE article_text MATCH ?1 LIMIT ?2")?;
    let all: i64 =
        db.prepare_cached("SELECT coalesce(max(row), 0) FROM article")?.query_row([], |r| r.get(0))?;
    let count = |word: &str| hits(db, &format!("\"{word}\""), COMMON);
    for (word, weight) in telling(&last_words(typed), all, COMMON, count)? {
        for expression in [format!("\"{word}\""), format!("title : \"{word}\"")] {
            let rows = select.query_map(params![expression, COMMON], |r| r.get::<_, i64>(0))?;
            for row in rows {
                let (score, times) = scores.entry(row?).or_default();
                *score += weight;
                *times += 1;
            }
        }
    }
    // One word of a body is chance.
    let mut best: Vec<(i64, f64)> = scores
        .into_iter()
        .filter(|(_, (_, times))| *times > 1)
        .map(|(row, (score, _))| (row, score))
        .collect();
    best.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| b.cmp(a)));
    best.truncate(4 * limit.max(5));
    let mut one = db.prepare_cached(&format!("SELECT {COLUMNS} FROM article a WHERE a.row = ?1"))?;
    let mut found = Vec::with_capacity(best.len());
    for (row, score) in best {
        found.push((score, one.query_row([row], |r| shown(r, asking.today))?));
    }
    found.retain(|(_, row)| row["holds"] == true);
    Ok(in_order(found, asking, limit))
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::super::catalogue;
    use super::*;
    use crate::search::{index_tokens, pinyin_tokens};

    /// A base of these articles: owner, title, body, last day.
    fn base(articles: &[(&str, &str, &str, &str)]) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        catalogue::prepare(&db).unwrap();
        for (row, (owner, title, body, valid_to)) in (1i64..).zip(articles) {
            db.execute(
                "INSERT INTO article VALUES(?1, CAST(?1 AS BLOB), '', ?3, ?4, '', '', 'agent', ?2, '', ?5, 'published', 1, 0, 0,
                   NULL, NULL, NULL, NULL, NULL, 0, '', x'', x'')",
                params![row, owner, title, body, valid_to],
            )
            .unwrap();
            db.execute(
                "INSERT INTO article_text(rowid, title, body, pinyin) VALUES(?1, ?2, ?3, ?4)",
                params![row, index_tokens(title), index_tokens(body), pinyin_tokens(title)],
            )
            .unwrap();
        }
        db
    }

    fn rows(found: Vec<Value>) -> Vec<i64> {
        found.iter().map(|row| row["row"].as_i64().unwrap()).collect()
    }

    fn asking() -> Asking<'static> {
        Asking { me: "370100".parse().unwrap(), today: "2026-11-29" }
    }

    fn here() -> Connection {
        base(&[
            ("000000", "受理范围", "出租车、公交车、高速公路的咨询和投诉都受理", ""), // 1
            ("370000", "节假日高速免费通行", "七座以下小型客车免收通行费", ""),       // 2
            ("370100", "出租车绕路怎么办", "记下车牌,核实计价器", ""),                // 3
            ("510000", "出租车绕路怎么办", "记下车牌,核实计价器", ""),                // 4
            ("370100", "出租车绕路怎么办", "记下车牌,核实计价器", "2025-01-01"),      // 5
            ("370100", "大件运输许可", "跨省大件在全国统一平台提出申请", ""),         // 6
        ])
    }

    #[test]
    fn titles_come_before_bodies_what_holds_before_what_does_not_and_the_own_site_first() {
        let db = here();
        let check = |typed: &str, expected: &[i64]| {
            assert_eq!(rows(search(&db, typed, asking(), 9).unwrap().unwrap()), expected, "{typed}");
        };
        check("绕路", &[3, 4, 5]);
        check("出租车", &[3, 4, 1, 5]);
        check("免费", &[2]);
        check("许可 平台", &[6]);
        check("czc", &[3, 4, 5]);
        check("gaosu", &[2]);
        check("地铁", &[]);
        assert!(search(&db, "，", asking(), 9).unwrap().is_err());
    }

    #[test]
    fn what_is_typed_about_a_call_suggests_what_shares_its_rare_words() {
        let db = here();
        let check = |typed: &str, expected: &[i64]| {
            assert_eq!(rows(suggest(&db, typed, asking(), 5).unwrap()), expected, "{typed}");
        };
        check("来电人说国庆节高速是不是免费,他的车是七座", &[2]);
        check("司机绕路了,多收了钱,要求退费,想问怎么办", &[3, 4]);
        check("你好", &[]);
        check("", &[]);
        check(&"咨询大件运输的许可".repeat(200), &[6]);
    }
}
