//! A hall of agents at the desk, each at a browser whose page listens and looks anew as its script does.
//!
//! ```text
//! a round, with a pause before each step:
//!   a queue, or every third time a search               page
//!   a ticket of it                                      page
//!   a note on it                                        action, and the ticket again
//!   the form of a call                                  page
//!   the caller's number: earlier tickets                beside
//!   the words in three pieces: duplicates, articles,    beside
//!     and the draft each time
//!   saved: 93 of 100 answered, the others a ticket      action, and the ticket
//! every page opens a stream of its own, asks for calls that ring, and looks anew within some two seconds after it was told
//! that what it shows has changed                        live
//! ```

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::browser::{Browser, Events, Page, Place};
use super::pages::search;
use super::sheet::Sheet;
use super::tickets::Dice;

/// What agents of the benchmark choose as their password.
pub const PASSWORD: &str = "correct horse battery";

/// A page that somebody opened.
pub const PAGE: &str = "page";
/// What shows beside a form that is typed into, and its draft.
pub const BESIDE: &str = "beside";
/// What changes something, until it is durable.
pub const ACTION: &str = "action";
/// A page that looks anew by itself.
pub const LIVE: &str = "live";

/// Somebody signs in.
pub const SIGN_IN: &str = "sign in";

/// Pauses of a round.
const PAUSES: u64 = 9;

/// How often a page looks anew at most, and by how much pages are kept apart, in milliseconds: as the desk's script does.
const EVERY: u64 = 2_000;
const APART: u64 = 400;

/// A call that is answered at once, of a hundred, as the ministry published them.
const ANSWERED: u64 = 93;

const QUEUES: [&str; 4] = ["held", "open", "all", "overdue"];

/// What all agents share.
pub struct Hall {
    /// Where the desk is.
    pub desk: SocketAddr,
    /// Its authority.
    pub ca: PathBuf,
    /// How long a round takes.
    pub round: Duration,
    /// Numbers of callers who have called before.
    pub callers: Vec<String>,
    /// Where everything is noted.
    pub sheet: Arc<Sheet>,
}

/// The page that somebody has open: it listens until another one is opened.
#[derive(Default)]
struct Open(Option<JoinHandle<()>>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(page) = &self.0 {
            page.abort();
        }
    }
}

/// One agent at a browser.
struct Agent {
    hall: Arc<Hall>,
    browser: Browser,
    dice: Dice,
    open: Open,
}

/// Works until the sheet is closed. `seed` is the agent's own.
pub async fn agent(hall: Arc<Hall>, name: String, seed: u64) {
    let mut browser = Browser::new(Place::secure(hall.desk, &hall.ca));
    let mut dice = Dice::new(seed);
    // They come within one round, each at a moment of the own.
    tokio::time::sleep(hall.round.mul_f64(dice.below(1_000) as f64 / 1_000.0)).await;
    let asked = Instant::now();
    let said = browser.sign_in(&name, PASSWORD).await;
    let sheet = hall.sheet.clone();
    if sheet.note(SIGN_IN, asked, said, 200).is_none() {
        return;
    }
    let mut agent = Agent { hall, browser, dice, open: Open::default() };
    while !sheet.is_over() {
        // What went wrong is on the sheet; the agent begins anew.
        let _ = agent.round().await;
    }
}

impl Agent {
    /// Waits a little; `None` when the sheet is closed.
    async fn pause(&mut self) -> Option<()> {
        let mean = self.hall.round.as_millis() as u64 / PAUSES;
        let pause = mean / 2 + self.dice.below(mean.max(1));
        tokio::time::sleep(Duration::from_millis(pause)).await;
        (!self.hall.sheet.is_over()).then_some(())
    }

    /// Opens a page, which listens from then on and shows what changes with `kinds`.
    async fn page(&mut self, path: &str, kinds: &'static [&'static str]) -> Option<Page> {
        self.pause().await?;
        self.goes_to(path, kinds).await
    }

    async fn goes_to(&mut self, path: &str, kinds: &'static [&'static str]) -> Option<Page> {
        self.open = Open::default();
        let asked = Instant::now();
        let said = self.browser.get(path).await;
        let page = self.hall.sheet.note(PAGE, asked, said, 200)?;
        let shown = Shown {
            sheet: self.hall.sheet.clone(),
            window: self.browser.window(),
            path: path.to_owned(),
            kinds,
            apart: self.dice.below(APART),
        };
        let events = page.listens_at()?;
        self.open = Open(Some(tokio::spawn(async move {
            let sheet = shown.sheet.clone();
            if let Err(error) = shown.listens(&events).await {
                sheet.fault(format!("{LIVE}: {error}"));
            }
        })));
        Some(page)
    }

    async fn beside(&mut self, path: &str, fields: &[(&str, &str)], wanted: u16) -> Option<()> {
        let asked = Instant::now();
        let said = self.browser.post(path, fields).await;
        self.hall.sheet.note(BESIDE, asked, said, wanted).map(drop)
    }

    /// Sends a form and goes to the ticket that it leads to.
    async fn action(&mut self, path: &str, fields: &[(&str, &str)]) -> Option<String> {
        let asked = Instant::now();
        let said = self.browser.post(path, fields).await;
        let page = self.hall.sheet.note(ACTION, asked, said, 303)?;
        let to = page.location?;
        let id = to.trim_start_matches("/ticket/").split('?').next()?.to_owned();
        self.goes_to(&to, &["ticket", "presence", "links"]).await?;
        Some(id)
    }

    async fn round(&mut self) -> Option<()> {
        let list = match self.dice.below(3) {
            0 => search(&self.dice.text(2)),
            _ => format!("/queue/{}", QUEUES[self.dice.below(QUEUES.len() as u64) as usize]),
        };
        let page = self.page(&list, &["queue"]).await?;
        let rows: Vec<&str> = page.tickets().collect();
        if !rows.is_empty() {
            let id = rows[self.dice.below(rows.len() as u64) as usize].to_owned();
            let path = format!("/ticket/{id}");
            self.page(&path, &["ticket", "presence", "links"]).await?;
            self.pause().await?;
            let note = self.dice.text(20);
            self.action(&format!("{path}/note"), &[("note", &note)]).await?;
        }
        self.page("/new", &[]).await?;
        self.pause().await?;
        // Half of those who call have called before.
        let phone = match self.dice.below(2) {
            0 => self.hall.callers[self.dice.below(self.hall.callers.len() as u64) as usize].clone(),
            _ => format!("139{:08}", self.dice.below(100_000_000)),
        };
        self.beside("/new", &[("then", "lookup"), ("caller_phone", &phone)], 200).await?;
        let (words, place) = (self.dice.text(60), self.dice.text(8));
        let plate = format!("鲁A{:05}", self.dice.below(100_000));
        let mut at = 0;
        for characters in [20, 40, 60] {
            self.pause().await?;
            let typed: String = words.chars().take(characters).collect();
            let fields = [("then", "suggest"), ("text", &*typed), ("plate", &*plate), ("place", &*place)];
            self.beside("/new", &fields, 200).await?;
            at += 1;
            let draft = serde_json::json!({ "at": at, "fields": { "text": typed, "caller_phone": phone } });
            self.beside("/draft", &[("of", "call"), ("text", &draft.to_string())], 204).await?;
        }
        self.pause().await?;
        let then = if self.dice.below(100) < ANSWERED { "answer" } else { "make" };
        let answer = if then == "answer" { self.dice.text(30) } else { String::new() };
        let call = [
            ("then", then),
            ("text", &*words),
            ("caller_phone", &*phone),
            ("kind", "投诉举报"),
            ("urgency", "一般"),
            ("plate", &*plate),
            ("place", &*place),
            ("answer", &*answer),
        ];
        self.action("/new", &call).await.map(drop)
    }
}

/// A page that is open.
struct Shown {
    sheet: Arc<Sheet>,
    window: Browser,
    path: String,
    /// What it looks anew for.
    kinds: &'static [&'static str],
    apart: u64,
}

impl Shown {
    /// Listens for ever; ends with an error.
    async fn listens(mut self, events: &str) -> io::Result<()> {
        let mut events: Events = self.window.listen(events).await?;
        self.looks("/calls").await;
        let mut last: Option<Instant> = None;
        loop {
            if !self.kinds.contains(&events.next().await?.as_str()) {
                continue;
            }
            let since = last.map_or(EVERY, |last| last.elapsed().as_millis() as u64);
            let wait = EVERY.saturating_sub(since).max(100) + self.apart;
            let due = tokio::time::sleep(Duration::from_millis(wait));
            tokio::pin!(due);
            // What comes meanwhile is seen then too.
            loop {
                tokio::select! {
                    () = &mut due => break,
                    more = events.next() => drop(more?),
                }
            }
            last = Some(Instant::now());
            let path = self.path.clone();
            self.looks(&path).await;
        }
    }

    async fn looks(&mut self, path: &str) {
        let asked = Instant::now();
        let said = self.window.look_again(path).await;
        self.sheet.note(LIVE, asked, said, 200);
    }
}
