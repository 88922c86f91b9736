//! How often articles served to answer (采用) and how often they did not help (未解决): rows of what was said here, rows of what
//! sites told, and the sums that are shown.
//!
//! ```text
//! a click ──same transaction──> article_use   day, article, version, life: what this node said      NOT DERIVED
//!                                   │ each night, what is not told yet (engine/uses)
//!                                   v
//! month of aggregates (aggregate/uses), sealed and replicated to the superiors and the ministry
//!                                   │ projection
//!                                   v
//!                               article_told  doc, node, day, article, version, life                derived
//! ```
//!
//! Why a table that no document gives back: a centre answers two thousand times a day, and a change of a document for each click
//! would make the documents of its months the largest that it has. So a click is a row's number that grows by one, durable when it is
//! answered, and a night's row is one line of an entry. A rebuild leaves [`TABLES`]' first table alone. What a disk loses before the
//! night is lost; a row stays [`KEPT`] days beyond its telling, so that what a node had to take back is told once more.
//!
//! Both tables have one key: node, day, article, version and life. Under one key the highest counts, over all keys the sum; so it
//! is no matter whether a row is read from here, from a document, or from both.

use std::collections::BTreeMap;

use certs::{NodeName, Site};
use jiff::ToSpan;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync::id::{DocId, Incarnation};
use sync::store::{Result, StoreError};

use super::catalogue::{COLUMNS, shown};
use crate::aggregate::uses::{Of, Said, Uses};

/// Over how many days, today among them, sums go.
pub const DAYS: i32 = 30;

/// The name of the list that [`unhelpful`] makes.
pub const UNHELPFUL: &str = "unhelpful";

/// For how many days rows stay here when they were told.
const KEPT: i32 = 40;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS article_use(
  day TEXT NOT NULL, article BLOB NOT NULL, version INTEGER NOT NULL, life BLOB NOT NULL, used INTEGER NOT NULL,
  unhelpful INTEGER NOT NULL, PRIMARY KEY(day, article, version, life)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS article_told(
  doc BLOB NOT NULL, node TEXT NOT NULL, day TEXT NOT NULL, article BLOB NOT NULL, version INTEGER NOT NULL, life BLOB NOT NULL,
  used INTEGER NOT NULL, unhelpful INTEGER NOT NULL, PRIMARY KEY(article, day, node, version, life, doc)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS article_told_by(doc BLOB PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS article_told_of ON article_told(doc);
CREATE INDEX IF NOT EXISTS article_told_unhelpful ON article_told(day) WHERE unhelpful > 0;
";

/// Whether what a row `u` of this node `?1` says was told.
const TOLD: &str =
    "EXISTS(SELECT 1 FROM article_told t WHERE t.article = u.article AND t.day = u.day AND t.node = ?1
  AND t.version = u.version AND t.life = u.life AND t.used >= u.used AND t.unhelpful >= u.unhelpful)";

/// Makes the tables where they are not.
pub(super) fn prepare(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(TABLES)?)
}

/// Forgets what documents tell, before a rebuild; what was said here stays.
pub(super) fn clear(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("DELETE FROM article_told; DELETE FROM article_told_by;")?)
}

/// A fingerprint of what documents tell.
pub(super) fn fingerprint(db: &Connection, hasher: &mut blake3::Hasher) -> Result<()> {
    let mut query = db.prepare(
        "SELECT doc, article, life, node || ' ' || day || ' ' || version || ' ' || used || ' ' || unhelpful FROM article_told
         ORDER BY article, day, node, version, life, doc",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        hasher.update(&row.get::<_, [u8; 32]>(0)?).update(&row.get::<_, [u8; 32]>(1)?);
        hasher.update(&row.get::<_, [u8; 8]>(2)?).update(row.get::<_, String>(3)?.as_bytes());
    }
    Ok(())
}

fn damaged() -> StoreError {
    StoreError::Damaged("a count of an article does not read as what was written".to_owned())
}

/// A row whose columns are day, article, version, life, used, unhelpful, of this node.
fn row(r: &rusqlite::Row<'_>, node: NodeName) -> Result<(Of, Said)> {
    let of = Of {
        node,
        day: r.get::<_, String>(0)?.parse().map_err(|_| damaged())?,
        article: DocId::from_bytes(r.get(1)?),
        version: r.get(2)?,
        life: Incarnation::from_bytes(r.get(3)?),
    };
    Ok((of, Said { used: r.get(4)?, unhelpful: r.get(5)? }))
}

/// Counts once more what was said here.
pub fn count(db: &Connection, of: &Of, helped: bool) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO article_use VALUES(?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET used = used + excluded.used, unhelpful = unhelpful + excluded.unhelpful",
    )?
    .execute(params![
        of.day.to_string(),
        of.article.as_bytes(),
        of.version,
        of.life.as_bytes(),
        helped,
        !helped
    ])?;
    Ok(())
}

/// The first day after `after` and before `before` of which this node has not told everything.
pub fn untold(db: &Connection, me: NodeName, after: Option<Date>, before: Date) -> Result<Option<Date>> {
    let sql = format!("SELECT min(day) FROM article_use u WHERE day > ?2 AND day < ?3 AND NOT {TOLD}");
    let after = after.map(|day| day.to_string()).unwrap_or_default();
    let day: Option<String> = db
        .prepare_cached(&sql)?
        .query_row(params![me.to_string(), after, before.to_string()], |r| r.get(0))?;
    day.map(|day| day.parse().map_err(|_| damaged())).transpose()
}

/// What this node has not told of a day.
pub fn untold_of(db: &Connection, me: NodeName, day: Date) -> Result<Vec<(Of, Said)>> {
    let sql = format!(
        "SELECT day, article, version, life, used, unhelpful FROM article_use u WHERE day = ?2 AND NOT {TOLD}
         ORDER BY article, version, life"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![me.to_string(), day.to_string()])?;
    let mut all = Vec::new();
    while let Some(r) = rows.next()? {
        all.push(row(r, me)?);
    }
    Ok(all)
}

/// Drops the rows of this node that were told and are old.
pub fn prune(db: &Connection, me: NodeName, today: Date) -> Result<()> {
    let sql = format!("DELETE FROM article_use AS u WHERE day < ?2 AND {TOLD}");
    let before = today.saturating_sub(KEPT.days()).to_string();
    db.prepare_cached(&sql)?.execute(params![me.to_string(), before])?;
    Ok(())
}

/// What all that a document tells comes to; none when it tells nothing.
fn digest(uses: Option<&Uses>) -> Option<[u8; 32]> {
    let uses = uses.filter(|uses| !uses.is_empty())?;
    let mut hasher = blake3::Hasher::new();
    for (of, said) in uses {
        let words = format!("{} {} {} {} {};", of.node, of.day, of.version, said.used, said.unhelpful);
        hasher.update(of.article.as_bytes()).update(of.life.as_bytes()).update(words.as_bytes());
    }
    Some(*hasher.finalize().as_bytes())
}

/// Takes in what a document tells, or nothing of it any more. A month of aggregates changes far more often than what it tells of
/// articles: of one that tells the same no row is read.
pub fn put(db: &Connection, doc: &DocId, uses: Option<&Uses>) -> Result<()> {
    let digest = digest(uses);
    let known: Option<[u8; 32]> = db
        .prepare_cached("SELECT digest FROM article_told_by WHERE doc = ?1")?
        .query_row([doc.as_bytes()], |r| r.get(0))
        .optional()?;
    if digest.is_some() && digest == known {
        return Ok(());
    }
    match digest {
        Some(digest) => db
            .prepare_cached("INSERT OR REPLACE INTO article_told_by VALUES(?1, ?2)")?
            .execute(params![doc.as_bytes(), digest])?,
        None => db.prepare_cached("DELETE FROM article_told_by WHERE doc = ?1")?.execute([doc.as_bytes()])?,
    };
    let mut before = Uses::new();
    {
        let mut query = db.prepare_cached(
            "SELECT day, article, version, life, used, unhelpful, node FROM article_told WHERE doc = ?1",
        )?;
        let mut rows = query.query([doc.as_bytes()])?;
        while let Some(r) = rows.next()? {
            let node = r.get::<_, String>(6)?.parse().map_err(|_| damaged())?;
            let (of, said) = row(r, node)?;
            before.insert(of, said);
        }
    }
    let mut put =
        db.prepare_cached("INSERT OR REPLACE INTO article_told VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (of, said) in uses.into_iter().flatten() {
        if before.remove(of) == Some(*said) {
            continue;
        }
        put.execute(params![
            doc.as_bytes(),
            of.node.to_string(),
            of.day.to_string(),
            of.article.as_bytes(),
            of.version,
            of.life.as_bytes(),
            said.used,
            said.unhelpful
        ])?;
    }
    let mut drop = db.prepare_cached(
        "DELETE FROM article_told WHERE article = ?1 AND day = ?2 AND node = ?3 AND version = ?4 AND life = ?5 AND doc = ?6",
    )?;
    for of in before.into_keys() {
        drop.execute(params![
            of.article.as_bytes(),
            of.day.to_string(),
            of.node.to_string(),
            of.version,
            of.life.as_bytes(),
            doc.as_bytes()
        ])?;
    }
    Ok(())
}

/// The first of the days over which sums go.
fn since(today: Date) -> String {
    today.saturating_sub((DAYS - 1).days()).to_string()
}

/// What was said of an article here and below within [`DAYS`] days: in all, by site and by version.
pub fn sums(db: &Connection, me: NodeName, article: &DocId, today: Date) -> Result<Value> {
    let mut query = db.prepare_cached(
        "SELECT node, version, sum(used), sum(unhelpful) FROM (
           SELECT node, version, max(used) AS used, max(unhelpful) AS unhelpful FROM (
             SELECT node, day, version, life, used, unhelpful FROM article_told WHERE article = ?1 AND day >= ?2
             UNION ALL SELECT ?3, day, version, life, used, unhelpful FROM article_use WHERE article = ?1 AND day >= ?2)
           GROUP BY node, day, version, life)
         GROUP BY node, version",
    )?;
    let rows = query.query_map(params![article.as_bytes(), since(today), me.to_string()], |r| {
        Ok((r.get::<_, String>(0)?, r.get::<_, u32>(1)?, Said { used: r.get(2)?, unhelpful: r.get(3)? }))
    })?;
    let mut all = Said::default();
    let (mut sites, mut versions): (BTreeMap<Site, Said>, BTreeMap<u32, Said>) = Default::default();
    for row in rows {
        let (node, version, said) = row?;
        let site = node.parse::<NodeName>().map_err(|_| damaged())?.site();
        for sum in [&mut all, sites.entry(site).or_default(), versions.entry(version).or_default()] {
            *sum = sum.and(said);
        }
    }
    let line =
        |key: &str, of: Value, said: Said| json!({ key: of, "used": said.used, "unhelpful": said.unhelpful });
    Ok(json!({
        "days": DAYS, "used": all.used, "unhelpful": all.unhelpful,
        "sites": sites.into_iter().map(|(site, said)| line("site", json!(site), said)).collect::<Vec<_>>(),
        "versions": versions.into_iter().map(|(version, said)| line("version", version.into(), said)).collect::<Vec<_>>(),
    }))
}

/// The articles in force whose version in force did not help somebody here or below within [`DAYS`] days, as listings show them with
/// `unhelpful`; the most often first. What was said of an earlier version went into this one.
pub fn unhelpful(db: &Connection, me: NodeName, mine: bool, today: Date, limit: usize) -> Result<Vec<Value>> {
    let whose = if mine { "a.owner = ?3" } else { "?3 = ?3" };
    let sql = format!(
        "SELECT {COLUMNS}, sum(said.unhelpful) AS often FROM (
           SELECT article, version, max(unhelpful) AS unhelpful FROM (
             SELECT node, day, article, version, life, unhelpful FROM article_told WHERE unhelpful > 0 AND day >= ?1
             UNION ALL SELECT ?2, day, article, version, life, unhelpful FROM article_use WHERE unhelpful > 0 AND day >= ?1)
           GROUP BY node, day, article, version, life) said
         JOIN article a ON a.doc = said.article AND a.version = said.version
         WHERE a.standing = 'published' AND {whose} GROUP BY a.row ORDER BY often DESC, a.code, a.title, a.row LIMIT ?4"
    );
    let mut query = db.prepare_cached(&sql)?;
    let site = me.site().to_string();
    let rows = query.query_map(params![since(today), me.to_string(), site, limit as i64], |r| {
        let mut row = shown(r, &today.to_string())?;
        row["unhelpful"] = r.get::<_, i64>(15)?.into();
        Ok(row)
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        super::super::catalogue::prepare(&db).unwrap();
        db
    }

    fn me() -> NodeName {
        "370100".parse().unwrap()
    }

    fn today() -> Date {
        "2026-11-30".parse().unwrap()
    }

    fn article() -> DocId {
        DocId::from_bytes([9; 32])
    }

    fn of(node: &str, day: &str, life: u8) -> Of {
        let life = Incarnation::from_bytes([life; 8]);
        Of { node: node.parse().unwrap(), day: day.parse().unwrap(), article: article(), version: 2, life }
    }

    fn summed(db: &Connection) -> (u64, u64) {
        let sums = sums(db, me(), &article(), today()).unwrap();
        (sums["used"].as_u64().unwrap(), sums["unhelpful"].as_u64().unwrap())
    }

    #[test]
    fn what_is_told_of_what_was_said_here_counts_once_and_the_others_add_up() {
        let db = database();
        let here = of("370100", "2026-11-29", 1);
        for helped in [true, true, false] {
            count(&db, &here, helped).unwrap();
        }
        assert_eq!(summed(&db), (2, 1));
        assert_eq!(untold(&db, me(), None, today()).unwrap(), Some(here.day));
        let told: Uses = untold_of(&db, me(), here.day).unwrap().into_iter().collect();
        put(&db, &DocId::from_bytes([1; 32]), Some(&told)).unwrap();
        let second = DocId::from_bytes([2; 32]);
        put(&db, &second, Some(&told)).unwrap();
        // Of a document that tells the same nothing is read: what is missing stays away until it tells something else.
        let rows = |db: &Connection| -> i64 {
            let sql = "SELECT count(*) FROM article_told WHERE doc = ?1";
            db.query_row(sql, [second.as_bytes()], |r| r.get(0)).unwrap()
        };
        db.execute("DELETE FROM article_told WHERE doc = ?1", [second.as_bytes()]).unwrap();
        put(&db, &second, Some(&told)).unwrap();
        assert_eq!(rows(&db), 0);
        put(&db, &second, None).unwrap();
        put(&db, &second, Some(&told)).unwrap();
        assert_eq!(rows(&db), 1);
        assert_eq!((summed(&db), untold(&db, me(), None, today()).unwrap()), ((2, 1), None));
        // Another replica, an office, a former life of this node, and a day that is too long ago.
        let others = [
            (of("370100-b", "2026-11-29", 1), Said { used: 10, unhelpful: 0 }),
            (of("370100-01", "2026-11-01", 1), Said { used: 100, unhelpful: 5 }),
            (of("370100", "2026-11-29", 7), Said { used: 1000, unhelpful: 0 }),
            (of("370100", "2026-10-31", 1), Said { used: 1, unhelpful: 1 }),
        ];
        put(&db, &DocId::from_bytes([3; 32]), Some(&others.into())).unwrap();
        assert_eq!(summed(&db), (1112, 6));
        // A document that counts no more takes away what it alone told.
        put(&db, &DocId::from_bytes([3; 32]), None).unwrap();
        put(&db, &DocId::from_bytes([1; 32]), None).unwrap();
        assert_eq!((summed(&db), untold(&db, me(), None, today()).unwrap()), ((2, 1), None));
        put(&db, &DocId::from_bytes([2; 32]), None).unwrap();
        assert_eq!(untold(&db, me(), None, today()).unwrap(), Some(here.day), "what fell is told once more");
    }

    #[test]
    fn a_row_that_was_told_goes_when_it_is_old_and_no_other() {
        let db = database();
        let days = ["2026-10-01", "2026-10-02", "2026-11-29"].map(|day| of("370100", day, 1));
        days.iter().for_each(|of| count(&db, of, true).unwrap());
        let said = Said { used: 1, unhelpful: 0 };
        put(&db, &DocId::from_bytes([1; 32]), Some(&[(days[0], said), (days[2], said)].into())).unwrap();
        prune(&db, me(), today()).unwrap();
        let mut query = db.prepare("SELECT day FROM article_use ORDER BY day").unwrap();
        let left: Vec<String> = query.query_map([], |r| r.get(0)).unwrap().map(|day| day.unwrap()).collect();
        assert_eq!(left, ["2026-10-02", "2026-11-29"]);
    }
}
