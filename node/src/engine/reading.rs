//! What is read from the projections alone: lists, search, volume, changes, figures (see `figures`). It needs no document and writes nothing, so a
//! connection of its own answers it beside the engine's thread.

use certs::NodeName;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rusqlite::Connection;
use serde_json::{Value, json};
use sync::id::DocId;

use super::figures::period;
use super::{Engine, shown_time};
use crate::import::Urgency;
use crate::knowledge::find::{self, Asking};
use crate::knowledge::request::KnowledgeRequest;
use crate::knowledge::{catalogue, uses};
use crate::projection::{self, Typed};
use crate::reference::{InForce, Reference};
use crate::request::{Failure, FailureKind, Reply, Request, Sift};
use crate::search::MAX_TYPED;
use crate::{changes, china, deadline};

/// Most rows of one listing, and of one of articles.
const MAX_ROWS: usize = 10_000;
const MAX_ARTICLES: usize = 1_000;

/// Most rows of what may be the same, and of suggestions.
const MAX_SIMILAR: usize = 50;

/// For how long a ticket that has ended may still be the same as a call that comes: 30 days in milliseconds.
const YOUNG: u64 = 30 * 86_400_000;

/// Whether what narrows a queue can be compared with what stands in rows.
fn check(sift: &Sift) -> Result<(), Failure> {
    for day in [&sift.first, &sift.last].into_iter().flatten() {
        if day.len() != "2026-11-02".len() || day.parse::<Date>().is_err() {
            let day: String = day.chars().take(20).collect();
            return Err(Failure::usage(format!("`{day}` is no day")).hint("as in 2026-11-02"));
        }
    }
    match sift.urgency.as_deref().map(Urgency::of) {
        Some(None) => Err(Failure::usage("an urgency is 一般, 紧急 or 特急")),
        _ => Ok(()),
    }
}

/// One moment's look at the projections.
pub(super) struct Reading<'a> {
    pub(super) db: &'a Connection,
    pub(super) me: NodeName,
    pub(super) reference: &'a Reference,
    /// Milliseconds since 1970 by the own clock.
    pub(super) now: u64,
}

/// Reads what is committed, on any thread, while the engine's writes.
pub struct Reader {
    db: Connection,
    me: NodeName,
    tables: InForce,
}

impl Reader {
    /// Whether a reader can answer this.
    pub fn reads(request: &Request) -> bool {
        use KnowledgeRequest as K;
        use Request as R;
        match request {
            R::List { .. } | R::Search { .. } | R::Similar { .. } | R::Volume { .. } | R::Calls { .. } => {
                true
            }
            R::Knowledge(request) => matches!(
                request,
                K::List { .. } | K::Search { .. } | K::Suggest { .. } | K::Public { .. } | K::Told { .. }
            ),
            R::Changes { .. } | R::Lake(_) | R::Outside { .. } | R::Figures { .. } | R::Figured { .. } => {
                true
            }
            _ => false,
        }
    }

    /// Answers at this time (milliseconds since 1970, by the own clock). `None` to what it does not read, and when the disk
    /// gives an error: the engine knows what to do then.
    pub fn ask(&self, now_ms: u64, request: &Request) -> Option<Reply> {
        let Reader { db, me, tables } = self;
        let reference = &*tables.now();
        // All of an answer is of one moment, however many statements it takes. Nothing is written, so nothing is committed.
        let _moment = db.unchecked_transaction().ok()?;
        let reading = Reading { db, me: *me, reference, now: now_ms };
        let reply = match request {
            Request::List { queue, sift, limit, before } => reading.list(queue, sift, *limit, *before),
            Request::Search { text, limit } => reading.search(text, *limit),
            Request::Similar { text, plate, place, limit } => {
                reading.similar(text, plate.as_deref(), place.as_deref(), *limit)
            }
            Request::Outside { number, limit } => reading.outside(number, *limit),
            Request::Volume { days } => reading.volume(*days),
            Request::Figures { from, to, by } => reading.figures(from, to, by.as_deref()),
            Request::Form { period } => reading.form(period),
            Request::Figured { id, part, from, to, by, value, limit, before } => {
                reading.figured(id, *part, (from, to), by.as_deref(), value.as_deref(), *limit, *before)
            }
            Request::Calls { from, to } => reading.calls(from, to),
            Request::Lake(request) => reading.lake(request),
            Request::Changes { after, limit } => reading.changes(after.as_deref(), *limit),
            Request::Knowledge(KnowledgeRequest::List { queue, mine, limit }) => {
                reading.articles(queue, *mine, *limit)
            }
            Request::Knowledge(KnowledgeRequest::Search { text, limit }) => {
                reading.search_articles(text, *limit)
            }
            Request::Knowledge(KnowledgeRequest::Suggest { text, limit }) => reading.suggest(text, *limit),
            Request::Knowledge(KnowledgeRequest::Public { text, limit }) => {
                reading.public(text.as_deref(), *limit)
            }
            Request::Knowledge(KnowledgeRequest::Told { id }) => reading.told_article(id),
            _ => return None,
        };
        let answered = !matches!(&reply, Err(f) if !matches!(f.kind, FailureKind::Usage | FailureKind::Gone | FailureKind::Absent));
        answered.then_some(reply)
    }
}

impl Engine {
    /// A reader of this node. It must have ended before the engine does.
    pub fn reader(&self) -> Result<Reader, Failure> {
        Ok(Reader { db: self.store.reader()?, me: self.me(), tables: self.in_force().clone() })
    }

    /// The projections as the open transaction sees them.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { db: self.store.connection(), me: self.me(), reference: &self.reference, now: self.now }
    }
}

impl Reading<'_> {
    /// This moment, as deadlines are compared with.
    pub(super) fn moment(&self) -> Timestamp {
        china::moment(self.now).unwrap_or(Timestamp::MAX)
    }

    /// Today, as tickets are numbered and counted.
    pub(super) fn today(&self) -> Result<Date, Failure> {
        let now = china::moment(self.now);
        now.map(china::day)
            .ok_or_else(|| Failure::new(FailureKind::Failed, "this machine's date makes no sense"))
    }

    /// How the numbers of a day begin, of this site and its offices. Days are China's, as those of the numbers.
    fn numbers_of(&self, day: Date) -> String {
        format!("JT{:06}{}", self.me.site().code(), day.strftime("%Y%m%d"))
    }

    /// What was numbered here, by day, and today's by hour.
    pub(super) fn volume(&self, days: usize) -> Reply {
        let mut day = self.today()?;
        let quarters = projection::by_quarter(self.db, &self.numbers_of(day))?;
        let hours: Vec<u64> = quarters.chunks(4).map(|hour| hour.iter().sum()).collect();
        let mut shown = Vec::new();
        for _ in 0..days.min(31) {
            let count = projection::count_numbered(self.db, &self.numbers_of(day))?;
            shown.push(json!({ "day": day.to_string(), "count": count }));
            match day.yesterday() {
                Ok(before) => day = before,
                Err(_) => break,
            }
        }
        Ok(json!({ "days": shown, "hours": hours }))
    }

    /// What was numbered here on the days of a period that brought anything, by quarters of an hour.
    pub(super) fn calls(&self, from: &str, to: &str) -> Reply {
        let period = period(from, to)?;
        let days = period.from().series(jiff::Span::new().days(1)).take_while(|day| *day < period.end());
        let mut shown = Vec::new();
        for day in days {
            let quarters = projection::by_quarter(self.db, &self.numbers_of(day))?;
            if quarters.iter().any(|count| *count > 0) {
                shown.push(json!({ "day": day.to_string(), "quarters": quarters.to_vec() }));
            }
        }
        Ok(json!({ "days": shown }))
    }

    pub(super) fn list(&self, queue: &str, sift: &Sift, limit: usize, before: Option<i64>) -> Reply {
        check(sift)?;
        let (db, me, limit) = (self.db, self.me.site(), limit.min(MAX_ROWS));
        let rows = match queue {
            "mine" if sift.user.is_none() => {
                return Err(Failure::usage("whose tickets?").hint("name who has them: --user NAME"));
            }
            "team" if sift.department.is_none() => {
                return Err(Failure::usage("whose tickets?").hint(
                    "name the department: --department NAME; an account's says `hotline user department`",
                ));
            }
            "overdue" | "due-soon" => {
                let now = self.moment();
                let (past, soon) = (china::shown(now), deadline::soon(&self.reference.calendar, now));
                let soon = format!("{}~", china::shown(soon)); // its last second too
                let between =
                    if queue == "overdue" { ("", past.as_str()) } else { (past.as_str(), soon.as_str()) };
                Some(projection::due_between(db, me, between, sift, limit, before)?)
            }
            _ => projection::list(db, me, queue, sift, limit, before)?,
        };
        rows.map(Value::from).ok_or_else(|| {
            let queue: String = queue.chars().take(40).collect();
            Failure::usage(format!("there is no queue `{queue}`"))
                .hint(format!("queues: {}", projection::QUEUES.join(", ")))
        })
    }

    pub(super) fn search(&self, text: &str, limit: usize) -> Reply {
        match projection::search(self.db, text, limit.min(MAX_ROWS))? {
            Ok(rows) => Ok(Value::from(rows)),
            Err(why) => Err(Failure::new(FailureKind::Usage, why)),
        }
    }

    pub(super) fn similar(
        &self,
        text: &str,
        plate: Option<&str>,
        place: Option<&str>,
        limit: usize,
    ) -> Reply {
        let typed = Typed { text, plate: plate.unwrap_or_default(), place: place.unwrap_or_default() };
        if [typed.text, typed.plate, typed.place].iter().any(|part| part.len() > MAX_TYPED) {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("what is typed of a call has more than {MAX_TYPED} bytes"),
            )
            .hint("give its end: of a long text only that counts"));
        }
        let since = shown_time(self.now.saturating_sub(YOUNG));
        Ok(Value::from(projection::similar(self.db, typed, &since, limit.min(MAX_SIMILAR))?))
    }

    /// The tickets that bear a number of others.
    pub(super) fn outside(&self, number: &str, limit: usize) -> Reply {
        Ok(Value::from(projection::outside(self.db, number, limit.min(MAX_ROWS))?))
    }

    pub(super) fn changes(&self, after: Option<&str>, limit: usize) -> Reply {
        changes::after(self.db, after, limit)?.ok_or_else(|| {
            Failure::new(FailureKind::Gone, "this cursor does not fit what is here").hint(
                "an older database was put back, or what came after it was dropped: read the tickets anew, and go on from a \
                 cursor that is given without one",
            )
        })
    }

    /// Today and the last day of what is expiring.
    pub(super) fn days(&self) -> Result<(String, String), Failure> {
        let today = self.today()?;
        let soon = today.checked_add(catalogue::SOON.days()).unwrap_or(today);
        Ok((today.to_string(), soon.to_string()))
    }

    pub(super) fn articles(&self, queue: &str, mine: bool, limit: usize) -> Reply {
        if queue == uses::UNHELPFUL {
            let rows = uses::unhelpful(self.db, self.me, mine, self.today()?, limit.min(MAX_ARTICLES))?;
            return Ok(Value::from(rows));
        }
        let (today, soon) = self.days()?;
        let rows =
            catalogue::list(self.db, self.me.site(), queue, mine, (&today, &soon), limit.min(MAX_ARTICLES))?;
        rows.map(Value::from).ok_or_else(|| {
            Failure::new(FailureKind::Usage, format!("there is no list `{}`", queue.chars().take(40).collect::<String>()))
                .hint("lists: published, drafts, unreviewed, to-publish, expiring, expired, withdrawn, proposed, changed, unhelpful, all")
        })
    }

    pub(super) fn search_articles(&self, text: &str, limit: usize) -> Reply {
        let today = self.today()?.to_string();
        let asking = Asking { me: self.me.site(), today: &today };
        find::search(self.db, text, asking, limit.min(MAX_ARTICLES))?
            .map(Value::from)
            .map_err(|why| Failure::new(FailureKind::Usage, why))
    }

    /// What the public may read.
    pub(super) fn public(&self, text: Option<&str>, limit: usize) -> Reply {
        let limit = limit.min(MAX_ARTICLES);
        let Some(text) = text else {
            return Ok(Value::from(catalogue::public(self.db, &self.today()?.to_string(), limit)?));
        };
        let mut found = self.search_articles(text, MAX_ARTICLES)?;
        if let Some(rows) = found.as_array_mut() {
            rows.retain(|row| {
                row["readers"] == "public" && row["holds"] == true && row["standing"] == "published"
            });
            rows.truncate(limit);
        }
        Ok(found)
    }

    /// One article that the public may read.
    pub(super) fn told_article(&self, id: &str) -> Reply {
        let absent = || Failure::new(FailureKind::Absent, "there is no such article for the public");
        let doc: DocId = id.parse().map_err(|_| absent())?;
        catalogue::told(self.db, &doc, &self.today()?.to_string())?.ok_or_else(absent)
    }

    pub(super) fn suggest(&self, text: &str, limit: usize) -> Reply {
        if text.len() > MAX_TYPED {
            return Err(Failure::new(
                FailureKind::Usage,
                format!("the text has more than {MAX_TYPED} bytes"),
            ));
        }
        let today = self.today()?.to_string();
        let asking = Asking { me: self.me.site(), today: &today };
        Ok(Value::from(find::suggest(self.db, text, asking, limit.min(MAX_SIMILAR))?))
    }
}
