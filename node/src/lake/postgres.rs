//! A read model in PostgreSQL: the log of changes, followed into a table.
//!
//! ```text
//! nothing there, or the cursor does not fit, or other tables ─> a round: all tickets by their ids ─> what no round has seen is removed
//!                                                                    └─ then, and from then on: what changed after the cursor
//! each page:  BEGIN; hold the node's progress; upsert rows; remove what is gone; move the progress; COMMIT
//! ```
//!
//! Rows and progress move together, so a kill at any point loses nothing, and whatever is sent twice is the same row under the same key.
//! A row that was read later is never replaced by one that was read before. The node is asked page by page, and never waits for the database:
//! while that is away nothing is asked. Who begins a round says why.

mod reach;
mod table;

use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

pub use reach::{Target, password};

use super::row::{LAYOUT, Row};
use super::{LakeRequest, PAGE, understood};
use crate::request::{Failure, FailureKind, Reply};

/// How often the log is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(200);

/// How often the database hears that nothing came.
const BEAT: Duration = Duration::from_secs(60);

/// The first pause after a database failed; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// For how long one page may take: a database that hangs longer is given up, and tried again.
const PATIENCE: Duration = Duration::from_secs(300);

/// What came of following.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    /// Rows that were sent.
    pub rows: u64,
    /// Tickets that were removed because their personal data was erased.
    pub gone: u64,
    /// How often it went through everything.
    pub rounds: u64,
    /// Up to where the database knows everything.
    pub cursor: String,
}

/// What stopped a step.
enum Trouble {
    /// It may work again later: the database is away, or starting, or full.
    Passing(Failure),
    /// It will not, until somebody does something.
    Lasting(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        match failure.kind {
            FailureKind::Unreachable | FailureKind::TryAgain => Trouble::Passing(failure),
            _ => Trouble::Lasting(failure),
        }
    }
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(e: tokio_postgres::Error) -> Trouble {
        let Some(db) = e.as_db_error() else {
            let source = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
            let failure = Failure::new(FailureKind::TryAgain, "the database is not reached").because(&e);
            return Trouble::Passing(if source.is_empty() { failure } else { failure.because(source) });
        };
        let code = db.code().code();
        // Not its detail, which may repeat values.
        let said = format!("{} ({code})", db.message());
        let failure = |kind| Failure::new(kind, "the database refused").because(&said);
        match code.get(..2) {
            Some("28") => Trouble::Lasting(failure(FailureKind::Configuration).hint("check the user, --password-file and pg_hba.conf")),
            Some("3D") => Trouble::Lasting(failure(FailureKind::Configuration).hint("make it: createdb NAME")),
            Some("42") => Trouble::Lasting(failure(FailureKind::Configuration).hint(
                "the user needs a schema `hotline` of its own, or the right to make one; docs/lake.md says which rights",
            )),
            Some("0A" | "22" | "23") => Trouble::Lasting(failure(FailureKind::Failed)),
            _ => Trouble::Passing(failure(FailureKind::TryAgain)),
        }
    }
}

/// How far a node is, as the database says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Progress {
    /// Behind it the log is followed, when no round is under way.
    cursor: String,
    round: i64,
    /// The last ticket that this round has sent; `None` when none is under way.
    scanned: Option<String>,
    /// What rows depended on when the round began; empty when that was not known.
    tables: String,
}

/// What is written in one transaction.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
    gone: Vec<String>,
    change: i64,
}

/// A connection that has found everything it needs.
struct Open {
    client: Client,
    upsert: Statement,
    node: String,
    progress: Option<Progress>,
}

/// Brings the database up to date: and goes on, or with `once` ends then. `ask` asks the node, `tell` hears what a person should know.
pub async fn follow(
    target: &Target,
    once: bool,
    ask: &mut dyn FnMut(LakeRequest) -> Reply,
    tell: &mut dyn FnMut(&str),
) -> Result<Caught, Failure> {
    let mut caught = Caught::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let sent = caught.rows;
        let failure = match run(target, once, ask, tell, &mut caught).await {
            Ok(()) => return Ok(caught),
            Err(Trouble::Lasting(failure)) => return Err(failure),
            Err(Trouble::Passing(failure)) if once => return Err(failure),
            Err(Trouble::Passing(failure)) => failure,
        };
        if caught.rows > sent {
            pause = FIRST_PAUSE; // it went well for a while
        }
        let causes = failure.causes.join(": ");
        tell(&format!("{}: {causes}; again in {} s", failure.message, pause.as_secs()));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The same until something fails.
async fn run(
    target: &Target,
    once: bool,
    ask: &mut dyn FnMut(LakeRequest) -> Reply,
    tell: &mut dyn FnMut(&str),
    caught: &mut Caught,
) -> Result<(), Trouble> {
    let mut begin = ask(LakeRequest::Begin)?;
    let mut open = Open::new(target, understood(&mut begin, "node")?).await?;
    let mut said = false;
    let mut beat = Instant::now();
    loop {
        let step = tokio::time::timeout(PATIENCE, open.step(ask, tell, caught)).await;
        let Ok(moved) = step else {
            return Err(Failure::new(FailureKind::TryAgain, "the database does not answer").into());
        };
        if moved? {
            continue;
        }
        if once {
            return Ok(());
        }
        if !said {
            tell(&format!("caught up at {}: {} rows sent, following", caught.cursor, caught.rows));
            said = true;
        }
        if beat.elapsed() >= BEAT {
            beat = Instant::now();
            let progress = open.progress.clone();
            open.write(Page::default(), progress).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Open {
    async fn new(target: &Target, node: String) -> Result<Open, Trouble> {
        let mut client = target.connect().await?;
        let there: i64 = client.query_one(table::THERE, &[]).await?.get(0);
        if there == 0 {
            let all = client.transaction().await?;
            let schema: i64 = all.query_one(table::SCHEMA, &[]).await?.get(0);
            if schema == 0 {
                all.batch_execute("CREATE SCHEMA hotline").await?;
            }
            for statement in table::made() {
                all.batch_execute(&statement).await?;
            }
            all.commit().await?;
        }
        if let Some(other) = client.query_opt(table::OTHER_LAYOUT, &[&LAYOUT]).await? {
            let other: i32 = other.get(0);
            return Err(Trouble::Lasting(
                Failure::new(
                    FailureKind::Configuration,
                    format!("the tables there are of layout {other}, and this program writes {LAYOUT}"),
                )
                .hint("DROP SCHEMA hotline CASCADE; everything in it comes again"),
            ));
        }
        let upsert = client.prepare(&table::upsert()).await?;
        let progress = client.query_opt(table::STATE, &[&node]).await?.map(|row| Progress::of(&row));
        Ok(Open { client, upsert, node, progress })
    }

    /// Sends a page; whether there was anything to do.
    async fn step(
        &mut self,
        ask: &mut dyn FnMut(LakeRequest) -> Reply,
        tell: &mut dyn FnMut(&str),
        caught: &mut Caught,
    ) -> Result<bool, Trouble> {
        let Some(progress) = self.progress.clone() else {
            return self.begin("nothing is there of this node yet", ask, tell, caught).await;
        };
        let cursor = progress.cursor.clone();
        let request = match &progress.scanned {
            Some(after) => LakeRequest::All { cursor, after: after.clone(), limit: PAGE },
            None => LakeRequest::Changed { cursor, limit: PAGE },
        };
        let mut reply = match ask(request) {
            Err(failure) if failure.kind == FailureKind::Gone => {
                return self.begin("its cursor does not fit the node any more", ask, tell, caught).await;
            }
            reply => reply?,
        };
        let mut page = Page {
            rows: understood(&mut reply, "rows")?,
            change: understood(&mut reply, "change")?,
            ..Page::default()
        };
        let mut next = progress.clone();
        if progress.scanned.is_some() {
            next.scanned = understood(&mut reply, "next")?;
        } else {
            let tables: Option<String> = understood(&mut reply, "tables")?;
            if tables.is_some_and(|tables| tables != progress.tables) {
                return self
                    .begin("what rows depend on beside their tickets is known anew", ask, tell, caught)
                    .await;
            }
            page.gone = understood(&mut reply, "gone")?;
            next.cursor = understood(&mut reply, "next")?;
        }
        caught.cursor.clone_from(&next.cursor);
        if next == progress {
            return Ok(false);
        }
        let (rows, gone) = (page.rows.len() as u64, page.gone.len() as u64);
        self.write(page, Some(next)).await?;
        (caught.rows, caught.gone) = (caught.rows + rows, caught.gone + gone);
        Ok(true)
    }

    /// Begins a round.
    async fn begin(
        &mut self,
        why: &str,
        ask: &mut dyn FnMut(LakeRequest) -> Reply,
        tell: &mut dyn FnMut(&str),
        caught: &mut Caught,
    ) -> Result<bool, Trouble> {
        let mut begin = ask(LakeRequest::Begin)?;
        let next = Progress {
            cursor: understood(&mut begin, "cursor")?,
            round: self.progress.as_ref().map_or(0, |progress| progress.round) + 1,
            scanned: Some(String::new()),
            tables: begin["tables"].as_str().unwrap_or_default().to_owned(),
        };
        tell(&format!("{why}: all tickets of {} are sent", self.node));
        self.write(Page::default(), Some(next)).await?;
        caught.rounds += 1;
        Ok(true)
    }

    /// Writes a page together with how far the node is then, if that is what it was.
    async fn write(&mut self, page: Page, next: Option<Progress>) -> Result<(), Trouble> {
        let Some(next) = next else { return Ok(()) };
        let Open { client, upsert, node, progress } = self;
        let all = client.transaction().await?;
        let held = all.query_opt(table::HOLD, &[node]).await?.map(|row| Progress::of(&row));
        let Progress { cursor, round, scanned, tables } = &next;
        let first = held.is_none()
            && progress.is_none()
            && all.execute(table::FIRST, &[node, &LAYOUT, cursor, round, scanned, tables]).await? == 1;
        if held != *progress || (held.is_none() && !first) {
            return Err(Trouble::Lasting(
                Failure::new(
                    FailureKind::Moved,
                    format!("another process writes what {node} knows into this database"),
                )
                .hint("let one of them run"),
            ));
        }
        if !page.rows.is_empty() {
            let arrays = table::arrays(&page.rows);
            let beside: [&(dyn ToSql + Sync); 3] = [node, &page.change, round];
            let values: Vec<&(dyn ToSql + Sync)> = beside
                .into_iter()
                .chain(arrays.iter().map(|array| &**array as &(dyn ToSql + Sync)))
                .collect();
            all.execute(upsert, &values).await?;
        }
        if !page.gone.is_empty() {
            all.execute(table::REMOVE, &[node, &page.gone]).await?;
        }
        if scanned.is_none() && held.as_ref().is_some_and(|held| held.scanned.is_some()) {
            all.execute(table::SWEEP, &[node, round]).await?;
        }
        if !first {
            all.execute(table::MOVE, &[node, cursor, round, scanned, tables]).await?;
        }
        all.commit().await?;
        *progress = Some(next);
        Ok(())
    }
}

impl Progress {
    fn of(row: &tokio_postgres::Row) -> Progress {
        Progress { cursor: row.get(0), round: row.get(1), scanned: row.get(2), tables: row.get(3) }
    }
}
