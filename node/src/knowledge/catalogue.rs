//! The rows of articles that lists and search read: derived, in the same transactions, reproduced by a rebuild.
//!
//! Words go into the index for what is in force only: nobody finds a draft while a caller waits.

use certs::Site;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use sync::document::Document;
use sync::id::DocId;
use sync::store::{Result, StoreError};

use super::fold::Folded;
use super::matter::Article;
use super::text::{Text, holds};
use super::uses;
use crate::files::Entry as File;
use crate::hex::hex;
use crate::search::{TABLE_OPTIONS, index_tokens, pinyin_tokens};

/// How many days before its end an article is listed as expiring.
pub const SOON: i64 = 30;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS article(
  row INTEGER PRIMARY KEY, doc BLOB NOT NULL, code TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
  tags TEXT NOT NULL, field TEXT NOT NULL, readers TEXT NOT NULL, owner TEXT NOT NULL, valid_from TEXT NOT NULL,
  valid_to TEXT NOT NULL, standing TEXT NOT NULL, version INTEGER NOT NULL, draft INTEGER NOT NULL,
  reviewed INTEGER NOT NULL, published BLOB, supplements BLOB, seen BLOB, adopts BLOB, proposed_to TEXT,
  superseded INTEGER NOT NULL, at TEXT NOT NULL, state BLOB NOT NULL, searched BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS article_doc ON article(doc);
CREATE INDEX IF NOT EXISTS article_own ON article(owner, standing, draft, reviewed, valid_to, supplements, seen);
CREATE INDEX IF NOT EXISTS article_code ON article(code, owner) WHERE code != '';
CREATE INDEX IF NOT EXISTS article_title ON article(title, owner) WHERE code = '';
CREATE INDEX IF NOT EXISTS article_ends ON article(valid_to) WHERE valid_to != '';
CREATE INDEX IF NOT EXISTS article_public ON article(at) WHERE readers = 'public' AND standing = 'published';
CREATE INDEX IF NOT EXISTS article_draft ON article(row) WHERE draft > 0;
CREATE INDEX IF NOT EXISTS article_proposed ON article(proposed_to) WHERE proposed_to IS NOT NULL;
CREATE TABLE IF NOT EXISTS article_file(doc BLOB NOT NULL, n INTEGER NOT NULL, file TEXT NOT NULL, PRIMARY KEY(doc, n)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS article_hangs ON article(supplements) WHERE supplements IS NOT NULL;
";

/// What a listing shows.
pub(super) const COLUMNS: &str = "a.row, a.doc, a.code, a.title, a.owner, a.standing, a.version, a.draft, a.reviewed, a.field, a.readers, \
                                  a.valid_from, a.valid_to, a.at, a.tags";

/// Makes the tables where they are not.
pub fn prepare(db: &Connection) -> Result<()> {
    db.execute_batch(&format!(
        "{TABLES} CREATE VIRTUAL TABLE IF NOT EXISTS article_text USING fts5(title, body, pinyin, {TABLE_OPTIONS});"
    ))?;
    uses::prepare(db)
}

/// Forgets every row, before a rebuild.
pub fn clear(db: &Connection) -> Result<()> {
    db.execute_batch("DELETE FROM article; DELETE FROM article_text; DELETE FROM article_file;")?;
    uses::clear(db)
}

/// A fingerprint of all rows, for comparing before and after a rebuild.
pub fn fingerprint(db: &Connection) -> Result<[u8; 32]> {
    let mut query = db.prepare("SELECT doc, state, standing, version, draft FROM article ORDER BY doc")?;
    let mut rows = query.query([])?;
    let mut hasher = blake3::Hasher::new();
    while let Some(row) = rows.next()? {
        let (doc, state): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let (standing, version, draft): (String, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        hasher.update(&doc).update(&state).update(standing.as_bytes());
        hasher.update(&version.to_be_bytes()).update(&draft.to_be_bytes());
    }
    uses::fingerprint(db, &mut hasher)?;
    Ok(*hasher.finalize().as_bytes())
}

/// What an article's row says.
#[derive(Clone, Debug)]
pub struct Row {
    text: Text,
    folded: Folded,
    state: [u8; 32],
}

/// Equal on two nodes exactly when state and text are.
pub fn state_hash(folded: &Folded, text: &Text) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&serde_json::to_vec(folded).expect("plain values are always written to memory"));
    hasher.update(&text.hash());
    *hasher.finalize().as_bytes()
}

impl Row {
    /// Reads an article; `None` when its beginning does not count.
    pub fn of(document: &Document, article: &Article) -> Option<Row> {
        let folded = article.folded()?.clone();
        let text = Text::read(document, article.change_of(folded.shown()?.entry)?)?;
        Some(Row { state: state_hash(&folded, &text), text, folded })
    }
}

fn blob(doc: Option<&String>) -> Option<Vec<u8>> {
    doc.and_then(|doc| doc.parse::<DocId>().ok()).map(|doc| doc.as_bytes().to_vec())
}

/// Brings an article's row up to date.
pub fn put(db: &Connection, doc: &DocId, row: &Row) -> Result<()> {
    let Row { text, folded, state } = row;
    let known: Option<(i64, Vec<u8>)> = db
        .prepare_cached("SELECT row, searched FROM article WHERE doc = ?1")?
        .query_row([doc.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    let in_force = folded.in_force();
    let draft = folded.open_draft();
    // What is found by its words: empty for what is not in force.
    let searched = if in_force.is_some() { text.hash().to_vec() } else { Vec::new() };
    let shown = folded.shown();
    let proposed = folded.proposals.last().filter(|_| folded.adopted.is_empty()).map(|p| p.to.to_string());
    db.prepare_cached(
        "INSERT INTO article VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)
         ON CONFLICT(row) DO UPDATE SET code = excluded.code, title = excluded.title, body = excluded.body, tags = excluded.tags,
           field = excluded.field, readers = excluded.readers, owner = excluded.owner, valid_from = excluded.valid_from,
           valid_to = excluded.valid_to, standing = excluded.standing, version = excluded.version, draft = excluded.draft,
           reviewed = excluded.reviewed, published = excluded.published, supplements = excluded.supplements,
           seen = excluded.seen, adopts = excluded.adopts, proposed_to = excluded.proposed_to,
           superseded = excluded.superseded, at = excluded.at, state = excluded.state, searched = excluded.searched",
    )?
    .execute(params![
        known.as_ref().map(|(row, _)| *row),
        doc.as_bytes(),
        text.code,
        text.title,
        text.body,
        text.tags.join("\n"),
        text.field,
        text.audience.name(),
        folded.owner.to_string(),
        text.valid_from,
        text.valid_to,
        folded.standing(),
        in_force.map_or(0, |v| v.number),
        draft.map_or(0, |v| v.number),
        draft.is_some_and(|v| !v.reviews.is_empty()),
        in_force.map(|v| v.entry.as_bytes().to_vec()),
        blob(folded.supplements.as_ref()),
        shown.and_then(|v| v.seen).map(|seen| seen.as_bytes().to_vec()),
        blob(folded.adopts.as_ref()),
        proposed,
        folded.superseded.len() as i64,
        shown.and_then(|v| v.at.clone()).unwrap_or_default(),
        state,
        searched,
    ])?;
    db.prepare_cached("DELETE FROM article_file WHERE doc = ?1")?.execute([doc.as_bytes()])?;
    for (n, file) in in_force.into_iter().flat_map(|version| &version.files).enumerate() {
        let file = String::from_utf8_lossy(&file.to_bytes()).into_owned();
        db.prepare_cached("INSERT INTO article_file(doc, n, file) VALUES(?1, ?2, ?3)")?.execute(params![
            doc.as_bytes(),
            n as i64,
            file
        ])?;
    }
    let key = known.as_ref().map_or_else(|| db.last_insert_rowid(), |(row, _)| *row);
    let before = known.map(|(_, searched)| searched).unwrap_or_default();
    if before == searched {
        return Ok(());
    }
    if !before.is_empty() {
        db.prepare_cached("DELETE FROM article_text WHERE rowid = ?1")?.execute([key])?;
    }
    if !searched.is_empty() {
        let title = format!("{}\n{}\n{}", text.title, text.tags.join("\n"), text.code);
        db.prepare_cached("INSERT INTO article_text(rowid, title, body, pinyin) VALUES(?1, ?2, ?3, ?4)")?
            .execute(params![key, index_tokens(&title), index_tokens(&text.body), pinyin_tokens(&title)])?;
    }
    Ok(())
}

/// A listing's condition; `?1` is this site, `?2` today, `?3` the last day of those that are expiring.
fn condition(queue: &str) -> Option<&'static str> {
    Some(match queue {
        "all" => "1",
        "published" => "a.standing = 'published'",
        "drafts" => "a.draft > 0",
        "unreviewed" => "a.draft > 0 AND a.reviewed = 0",
        "to-publish" => "a.draft > 0 AND a.reviewed = 1",
        "expiring" => "a.valid_to != '' AND a.valid_to BETWEEN ?2 AND ?3 AND a.standing = 'published'",
        "expired" => "a.valid_to != '' AND a.valid_to < ?2 AND a.standing = 'published'",
        "withdrawn" => "a.standing = 'withdrawn'",
        "proposed" => "a.proposed_to = ?1",
        "changed" => CHANGED,
        _ => return None,
    })
}

/// A supplement whose original has come into another version, or was withdrawn, since its writer saw it.
const CHANGED: &str = "a.supplements IS NOT NULL AND a.standing != 'withdrawn' AND EXISTS(
    SELECT 1 FROM article o WHERE o.doc = a.supplements AND o.published IS NOT a.seen)";

/// One of the lists; `None` when there is no such list.
pub fn list(
    db: &Connection,
    me: Site,
    queue: &str,
    mine: bool,
    (today, soon): (&str, &str),
    limit: usize,
) -> Result<Option<Vec<Value>>> {
    let Some(condition) = condition(queue) else { return Ok(None) };
    let whose = if mine { "a.owner = ?1" } else { "?1 = ?1" };
    let sql = format!(
        "SELECT {COLUMNS} FROM article a WHERE {condition} AND {whose} AND ?2 = ?2 AND ?3 = ?3
         ORDER BY a.code, a.title, a.row LIMIT ?4"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![me.to_string(), today, soon, limit as i64], |r| shown(r, today))?;
    Ok(Some(rows.collect::<std::result::Result<_, _>>()?))
}

/// How many of this site's own articles are on each of these lists; of a list that there is not, none.
pub fn counts<const N: usize>(
    db: &Connection,
    me: Site,
    queues: [&str; N],
    (today, soon): (&str, &str),
) -> Result<[u64; N]> {
    let columns = queues.map(|queue| format!("count(*) FILTER (WHERE {})", condition(queue).unwrap_or("0")));
    let sql = format!(
        "SELECT {} FROM article a INDEXED BY article_own WHERE a.owner = ?1 AND ?2 = ?2 AND ?3 = ?3",
        columns.join(", ")
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut counts = [0; N];
    query.query_row(params![me.to_string(), today, soon], |r| {
        for (i, count) in counts.iter_mut().enumerate() {
            *count = r.get::<_, i64>(i)? as u64;
        }
        Ok(())
    })?;
    Ok(counts)
}

/// A row in the shape of a listing.
pub(super) fn shown(r: &rusqlite::Row<'_>, today: &str) -> rusqlite::Result<Value> {
    let (from, to): (String, String) = (r.get(11)?, r.get(12)?);
    Ok(json!({
        "row": r.get::<_, i64>(0)?,
        "id": hex(&r.get::<_, Vec<u8>>(1)?),
        "code": r.get::<_, String>(2)?,
        "title": r.get::<_, String>(3)?,
        "owner": r.get::<_, String>(4)?,
        "standing": r.get::<_, String>(5)?,
        "version": r.get::<_, i64>(6)?,
        "draft": r.get::<_, i64>(7)?,
        "reviewed": r.get::<_, bool>(8)?,
        "field": r.get::<_, String>(9)?,
        "readers": r.get::<_, String>(10)?,
        "holds": holds(&from, &to, today),
        "valid_from": from,
        "valid_to": to,
        "at": r.get::<_, String>(13)?,
        "tags": r.get::<_, String>(14)?.lines().collect::<Vec<_>>(),
    }))
}

/// What the public may read on a day `?1`.
const PUBLIC: &str =
    "a.readers = 'public' AND a.standing = 'published' AND (a.valid_from = '' OR a.valid_from <= ?1)
  AND (a.valid_to = '' OR a.valid_to >= ?1)";

/// What the public may read today, the newest first.
pub fn public(db: &Connection, today: &str, limit: usize) -> Result<Vec<Value>> {
    let sql =
        format!("SELECT {COLUMNS} FROM article a WHERE {PUBLIC} ORDER BY a.at DESC, a.row DESC LIMIT ?2");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![today, limit as i64], |r| shown(r, today))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// One of them with its text and its files; `None` when it is not for the public, or not today.
pub fn told(db: &Connection, doc: &DocId, today: &str) -> Result<Option<Value>> {
    let mut query =
        db.prepare_cached(&format!("SELECT {COLUMNS}, a.body FROM article a WHERE {PUBLIC} AND a.doc = ?2"))?;
    let row = query.query_row(params![today, doc.as_bytes()], |r| {
        let mut row = shown(r, today)?;
        row["body"] = r.get::<_, String>(15)?.into();
        Ok(row)
    });
    let Some(mut row) = row.optional()? else { return Ok(None) };
    let mut query = db.prepare_cached("SELECT file FROM article_file WHERE doc = ?1 ORDER BY n")?;
    let files = query.query_map([doc.as_bytes()], |r| r.get::<_, String>(0))?;
    let files: Vec<String> = files.collect::<std::result::Result<_, _>>()?;
    let files = files.iter().filter_map(|file| File::read(file.as_bytes()));
    row["files"] = files
        .map(|f| json!({ "name": f.name, "size": f.size, "type": f.media, "content": f.content }))
        .collect();
    Ok(Some(row))
}

/// The articles that bear this code: a site's own first.
pub fn with_code(db: &Connection, code: &str, me: Site) -> Result<Vec<(DocId, bool)>> {
    let mut query =
        db.prepare_cached("SELECT doc, owner = ?2 FROM article WHERE code = ?1 AND code != '' ORDER BY owner != ?2, doc LIMIT 10")?;
    let rows =
        query.query_map(params![code, me.to_string()], |r| Ok((r.get::<_, Vec<u8>>(0)?, r.get(1)?)))?;
    rows.map(|row| {
        let (doc, own) = row?;
        Ok((id(&doc)?, own))
    })
    .collect()
}

/// A site's articles with this title that have no code; the newest of very many.
pub fn without_code(db: &Connection, title: &str, me: Site) -> Result<Vec<DocId>> {
    let mut query = db.prepare_cached(
        "SELECT doc FROM article WHERE title = ?1 AND owner = ?2 AND code = '' ORDER BY row DESC LIMIT 20",
    )?;
    let rows = query.query_map(params![title, me.to_string()], |r| r.get::<_, Vec<u8>>(0))?;
    rows.map(|doc| id(&doc?)).collect()
}

/// What hangs on an article, as listings show it, and whether the article has changed since.
pub fn hanging(db: &Connection, doc: &DocId, today: &str) -> Result<Vec<Value>> {
    let sql = format!(
        "SELECT {COLUMNS}, {CHANGED} FROM article a WHERE a.supplements = ?1 AND a.standing != 'withdrawn' ORDER BY a.row LIMIT 500"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map([doc.as_bytes()], |r| {
        let mut row = shown(r, today)?;
        row["changed"] = r.get::<_, bool>(15)?.into();
        Ok(row)
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// An article as listings show it.
pub fn one(db: &Connection, doc: &DocId, today: &str) -> Result<Option<Value>> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM article a WHERE a.doc = ?1"))?;
    Ok(query.query_row([doc.as_bytes()], |r| shown(r, today)).optional()?)
}

/// What is in force, or everything, a page at a time in the order of rows.
pub fn page(db: &Connection, all: bool, after: i64, limit: usize) -> Result<Vec<(i64, DocId)>> {
    let mut query = db.prepare_cached(
        "SELECT row, doc FROM article WHERE (?3 OR standing = 'published') AND row > ?1 ORDER BY row LIMIT ?2",
    )?;
    let rows =
        query.query_map(params![after, limit as i64, all], |r| Ok((r.get(0)?, r.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (row, doc) = row?;
        Ok((row, id(&doc)?))
    })
    .collect()
}

fn id(bytes: &[u8]) -> Result<DocId> {
    DocId::try_from(bytes).map_err(|_| StoreError::Damaged("an article's id".to_owned()))
}
