//! Citizens before the public page: they come at a steady rate whether or not those before them were served, each from an
//! address of the own, through a proxy on the node's machine that opens a connection for each request, as nginx does.
//!
//! Half look up by number and code how their matter stands; half fetch the form and file one. Their times count from when
//! they came. One address more files every second: it has to be refused after the ten that every address may, and
//! nobody else may be.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::browser::{Browser, Page, Place};
use super::sheet::Sheet;
use super::tickets::Dice;

/// Somebody looks up how a matter stands.
pub const QUERY: &str = "public query";
/// Somebody fetches the form.
pub const FORM: &str = "public form";
/// Somebody files a matter, until it is durable.
pub const FILING: &str = "public filing";

/// Everybody who stands there.
pub struct Street {
    /// Where the public page is.
    pub door: SocketAddr,
    /// Where everything is noted.
    pub sheet: Arc<Sheet>,
    /// Numbers and codes of what was filed.
    filed: Mutex<Vec<(String, String)>>,
    /// Addresses that were given out.
    addresses: AtomicU64,
}

/// What became of the one who files too much.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impatient {
    /// What was taken.
    pub taken: u64,
    /// What was refused for its pace.
    pub refused: u64,
}

fn fields(dice: &mut Dice) -> Vec<(&'static str, String)> {
    vec![
        ("kind", "complaint".to_owned()),
        ("text", dice.text(60)),
        ("topic", "D0401".to_owned()),
        ("place", dice.text(8)),
        ("plate", format!("鲁A{:05}", dice.below(100_000))),
        ("name", dice.text(3)),
        ("phone", format!("137{:08}", dice.below(100_000_000))),
        ("lang", "zh".to_owned()),
    ]
}

/// Number and code on the page that says that something was filed.
fn slip(page: &Page) -> Option<(String, String)> {
    let mut parts = page.body.split("<dd class=\"number\">").skip(1);
    let mut part = || Some(parts.next()?.split('<').next()?.to_owned());
    Some((part()?, part()?))
}

impl Street {
    /// An empty one.
    pub fn new(door: SocketAddr, sheet: Arc<Sheet>) -> Street {
        Street { door, sheet, filed: Mutex::default(), addresses: AtomicU64::new(0) }
    }

    /// The same people, noted on another sheet.
    pub fn with(self, sheet: Arc<Sheet>) -> Street {
        Street { sheet, ..self }
    }

    /// Somebody from an address that nobody had before.
    fn somebody(&self) -> Browser {
        let address = self.addresses.fetch_add(1, Ordering::Relaxed);
        self.from(&format!("10.{}.{}.{}", address >> 16 & 255, address >> 8 & 255, address & 255))
    }

    fn from(&self, address: &str) -> Browser {
        Browser::behind_a_proxy(Place::plain(self.door), address)
    }

    /// Files this many matters, one after the other, for others to be looked up.
    pub async fn begin(&self, count: usize) {
        let mut dice = Dice::new(41);
        for _ in 0..count {
            self.files(&mut dice, Instant::now()).await;
        }
    }

    async fn files(&self, dice: &mut Dice, came: Instant) -> Option<()> {
        let mut browser = self.somebody();
        let said = browser.get("/request").await;
        self.sheet.note(FORM, came, said, 200)?;
        let asked = Instant::now();
        let fields = fields(dice);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let said = browser.post("/request", &fields).await;
        let page = self.sheet.note(FILING, asked, said, 200)?;
        let slip = slip(&page)?;
        self.filed.lock().expect("nobody panics with it").push(slip);
        Some(())
    }

    async fn queries(&self, dice: &mut Dice, came: Instant) {
        let (number, code) = {
            let filed = self.filed.lock().expect("nobody panics with it");
            filed[dice.below(filed.len() as u64) as usize].clone()
        };
        let said = self.somebody().post("/query", &[("number", &number), ("code", &code)]).await;
        self.sheet.note(QUERY, came, said, 200);
    }

    /// Everybody comes, so many a second, until the sheet is closed. Then all who came are served.
    pub async fn comes(self: &Arc<Self>, a_second: u64) -> Impatient {
        let mut moments = tokio::time::interval(Duration::from_nanos(1_000_000_000 / a_second));
        moments.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        let impatient = tokio::spawn(self.clone().impatient());
        let mut all = JoinSet::new();
        let mut number = 0;
        while !self.sheet.is_over() {
            let came = moments.tick().await.into_std();
            let street = self.clone();
            number += 1;
            all.spawn(async move {
                let mut dice = Dice::new(7_000_000 + number);
                match number % 2 {
                    0 => street.queries(&mut dice, came).await,
                    _ => drop(street.files(&mut dice, came).await),
                }
            });
            while all.try_join_next().is_some() {}
        }
        while all.join_next().await.is_some() {}
        impatient.await.unwrap_or_default()
    }

    /// One address files every second, whatever it is told.
    async fn impatient(self: Arc<Self>) -> Impatient {
        let (mut told, mut dice) = (Impatient::default(), Dice::new(43));
        let mut moments = tokio::time::interval(Duration::from_secs(1));
        while !self.sheet.is_over() {
            moments.tick().await;
            let mut browser = self.from("192.0.2.1");
            let fields = fields(&mut dice);
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let said = match browser.get("/request").await {
                Ok(_) => browser.post("/request", &fields).await,
                Err(error) => Err(error),
            };
            match said.map(|page| page.status) {
                Ok(200) => told.taken += 1,
                Ok(429) => told.refused += 1,
                other => self.sheet.fault(format!("the impatient one: {other:?}")),
            }
        }
        told
    }
}
