//! Figures at a province with a million tickets of a year and of its month a year before: every dimension of a month, and the
//! tickets behind a number; and the same by one pass over the rows, which the tally is there to save. And at the ministry what
//! every centre of the country told of a month, with a hundred thousand calls a day.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use certs::Site;
use jiff::civil::Date;
use node::aggregate::{Cell, Edition, Month};
use node::figures::{Fact, Facts, Part, Period};
use node::reference::Reference;
use node::request::Request;
use rusqlite::{Connection, params};
use serde_json::Value;
use sync::id::DocId;
use world::bench::nodes::{PROVINCE, Registry, asked, open};
use world::bench::report::{Times, begin, ms, row, s};
use world::bench::tickets::Dice;
use world::bench::{Wanted, hub};

/// The month that is asked for, and the days of which there are tickets.
const MONTH: &str = "2026-10";
const FIRST: &str = "2025-10-01";
const DAYS: u64 = 396;

/// Kinds of business with their share in a thousand, as the ministry published them for 2020.
const BUSINESS: [(&str, u64); 4] = [("信息咨询", 923), ("投诉举报", 51), ("意见建议", 20), ("其他", 6)];
const CHANNELS: [&str; 9] =
    ["12328电话", "网站", "微信", "微博", "短信", "移动客户端", "电子邮件", "传真", "其他"];

fn main() {
    let wanted = Wanted::read();
    let count = wanted.size(1_000_000, 20_000);
    begin("figures of a month");
    let dir = tempfile::tempdir().expect("a directory");
    let province = dir.path().join("province");
    Registry::default().found(&province, PROVINCE, &[]);
    let began = Instant::now();
    let (tallied, month) = fill(&province, count);
    println!(
        "\n{count} tickets of {DAYS} days in rows, {month} of them of {MONTH}, {tallied} sums; written in {}\n",
        s(began.elapsed())
    );
    let mut engine = open(&province);
    let mut ask = |request: Request, times: usize| -> (Times, Value) {
        let (mut all, mut last) = (Times::default(), Value::Null);
        for _ in 0..times {
            let began = Instant::now();
            last = asked(&mut engine, &request);
            all.add(began.elapsed());
        }
        (all, last)
    };
    let (from, to) = ("2026-10-01".to_owned(), "2026-10-31".to_owned());
    let mut taken = 0;
    for by in
        [None, Some("business"), Some("domain"), Some("topic"), Some("channel"), Some("region"), Some("day")]
    {
        let name = format!("figures of a month, {}", by.map_or("whole".to_owned(), |by| format!("by {by}")));
        if !wanted.wants(&name) {
            continue;
        }
        let request = Request::Figures { from: from.clone(), to: to.clone(), by: by.map(str::to_owned) };
        let (times, report) = ask(request, 20);
        taken = report["figures"][0]["count"].as_u64().expect("a number");
        row(&name, "< 200 ms", &times, "-", "with the month before and the same of the year before");
    }
    for (id, part, what) in [
        ("complaint_in_time", Part::Rest, "complaints that were not in time"),
        ("overdue", Part::Counted, "overdue"),
        ("taken", Part::Counted, "taken"),
    ] {
        let name = format!("the first 50 tickets behind: {what}");
        if !wanted.wants(&name) {
            continue;
        }
        let request = Request::Figured {
            id: id.to_owned(),
            part,
            from: from.clone(),
            to: to.clone(),
            by: None,
            value: None,
            limit: 50,
            before: None,
        };
        let (times, _) = ask(request, 20);
        row(&name, "-", &times, "-", "");
    }
    drop(engine);
    if wanted.wants("one pass over the rows") {
        let db = Connection::open(province.join("node.db")).expect("a database");
        let (mut times, mut found) = (Times::default(), 0);
        for _ in 0..5 {
            let began = Instant::now();
            found = 0;
            for (from, end) in
                [("2026-10-01", "2026-11-01"), ("2026-09-01", "2026-10-01"), ("2025-10-01", "2025-11-01")]
            {
                let sql = "SELECT topic, facts, count(*) FROM ticket WHERE day >= ?1 AND day < ?2 GROUP BY topic, facts";
                let mut query = db.prepare(sql).expect("a query");
                let rows = query.query_map([from, end], |r| r.get::<_, i64>(2)).expect("rows");
                let sum: i64 = rows.map(|n| n.expect("a row")).sum();
                found = found.max(if from == "2026-10-01" { sum as u64 } else { found });
            }
            times.add(began.elapsed());
        }
        assert!(taken <= found, "test tickets are in the rows too");
        row("the same by topic, by one pass over the rows", "-", &times, "-", "what the tally saves");
    }
    if wanted.wants("the nation") {
        nation(dir.path(), wanted.size(CITIES, 20));
    }
}

/// What so many sites told of each day of a month, and the ministry's figures of it.
fn nation(dir: &Path, sites: usize) {
    let ministry = dir.join("ministry");
    Registry::default().found(&ministry, "000000", &[]);
    let began = Instant::now();
    let (sites, days, cells) = tell(&ministry, sites);
    let took = began.elapsed();
    row(
        "the nation: a site's day taken into the ministry's tally",
        "-",
        format!("{} ms", ms(took / days as u32)),
        "-",
        &format!(
            "{days} days of {CALLS} calls each, {cells} cells; without the link, the gate and the disk's fsync"
        ),
    );
    let mut engine = open(&ministry);
    let mut timed = |name: &str, reach: &str, request: Request| -> Value {
        let (mut all, mut last) = (Times::default(), Value::Null);
        for _ in 0..20 {
            let began = Instant::now();
            last = asked(&mut engine, &request);
            all.add(began.elapsed());
        }
        row(name, reach, &all, "-", &format!("what {sites} sites told of a month"));
        last
    };
    let card = timed(
        "the nation: scorecard of a month",
        "< 1 s",
        Request::Scorecard { month: MONTH.to_owned(), site: None },
    );
    let units = card["table"]["units"].as_array().expect("units");
    let taken: u64 = units.iter().map(|unit| unit["taken"].as_u64().expect("a number")).sum();
    assert!(taken > 0 && taken <= (days * CALLS) as u64, "{taken}");
    for by in ["topic", "region"] {
        let (from, to) = ("2026-10-01".to_owned(), "2026-10-31".to_owned());
        let request = Request::Figures { from, to, by: Some(by.to_owned()) };
        timed(&format!("the nation: figures of a month, by {by}"), "< 200 ms", request);
    }
}

/// Sites that tell, and the calls of each of their days: a hundred thousand in the nation.
const CITIES: usize = 366;
const CALLS: usize = 270;

/// Puts what sites told of a month into a database, at most so many; how many sites, days and cells that is.
fn tell(dir: &Path, most: usize) -> (usize, usize, usize) {
    let mut db = Connection::open(dir.join("node.db")).expect("a database");
    db.execute_batch("PRAGMA synchronous=OFF").expect("a pragma");
    let reference = Reference::built_in();
    let categories = categories(reference);
    let month = Period::month(MONTH).expect("a month");
    let mut dice = Dice::new(12);
    let centres = reference.centres.iter().map(|centre| centre.site()).filter(|site| *site != Site::MINISTRY);
    let (mut sites, mut days, mut count) = (0, 0, 0);
    for site in centres.take(most) {
        sites += 1;
        let mut told =
            Month { site, month: MONTH.to_owned(), days: BTreeMap::new(), articles: BTreeMap::new() };
        let mut day = month.from();
        while day < month.end() {
            let mut cells: BTreeMap<Cell, i64> = BTreeMap::new();
            for _ in 0..CALLS {
                let (business, facts) = drawn(&mut dice);
                let (domain, topic) = topic(&mut dice, &categories).clone();
                let values = [business.to_owned(), domain, topic, channel(&mut dice).to_owned()];
                let due = (!facts.has(Fact::Ended)).then(|| format!("{day}T18:00:00+08:00"));
                *cells.entry(Cell { values, facts: facts.bits(), due, n: 0 }).or_default() += 1;
            }
            let cells: Vec<Cell> = cells.into_iter().map(|(cell, n)| Cell { n, ..cell }).collect();
            count += cells.len();
            days += 1;
            let node = site.to_string().parse().expect("a node's name");
            told.days.insert(day, Edition { edition: 1, node, at: String::new(), cells });
            day = day.tomorrow().expect("a day");
        }
        let doc = DocId::from_bytes(*blake3::hash(site.to_string().as_bytes()).as_bytes());
        let all = db.transaction().expect("a transaction");
        node::projection::aggregate::put(&all, &doc, Some(&told), Site::MINISTRY).expect("it is put");
        all.commit().expect("it is written");
    }
    (sites, days, count)
}

/// What a ticket is about, and what becomes of it.
fn drawn(dice: &mut Dice) -> (&'static str, Facts) {
    let of_thousand = dice.below(1_000);
    let mut sum = 0;
    let business = BUSINESS.iter().find(|(_, share)| {
        sum += share;
        of_thousand < sum
    });
    let business = business.map_or("其他", |(name, _)| *name);
    // Nearly all consultations are answered on the call; of the rest nearly all end in time, and half are followed up.
    let mut facts = Facts::default().with(Fact::Complaint, business == "投诉举报");
    facts =
        facts.with(Fact::Consultation, business == "信息咨询").with(Fact::Suggestion, business == "意见建议");
    let answered = business == "信息咨询" && dice.below(100) < 98;
    let ended = answered || dice.below(100) < 97;
    facts = facts.with(Fact::Answered, answered).with(Fact::HandedOver, !answered).with(Fact::Ended, ended);
    facts = facts.judged(Some(answered || dice.below(100) < 95));
    facts =
        facts.with(Fact::Returned, !answered && dice.below(10) == 0).with(Fact::Test, dice.below(1_000) == 0);
    if dice.below(100) < if answered { 5 } else { 50 } {
        let good = dice.below(100) < 97;
        facts = facts
            .with(Fact::FollowedUp, true)
            .with(Fact::Rated, true)
            .with(Fact::Satisfied, good)
            .with(Fact::Dissatisfied, !good);
    }
    (business, facts)
}

/// Domains and topics, by their codes.
fn categories(reference: &Reference) -> Vec<(String, String)> {
    let topics = |domain| {
        let of = reference.categories.topics(domain);
        of.map(move |topic: &node::reference::Category| (domain.code().to_string(), topic.code().to_string()))
    };
    reference.categories.domains().flat_map(topics).collect()
}

/// One of them, the first ones more often.
fn topic<'a>(dice: &mut Dice, categories: &'a [(String, String)]) -> &'a (String, String) {
    let all = categories.len() as u64;
    &categories[(dice.below(all) * dice.below(all) / all) as usize]
}

/// A way that somebody asked, the first ones more often.
fn channel(dice: &mut Dice) -> &'static str {
    CHANNELS[(dice.below(9) * dice.below(9) / 9) as usize]
}

/// The rows of so many tickets; how many sums they make, and how many are of the month that is asked for.
fn fill(dir: &Path, count: usize) -> (i64, i64) {
    let mut db = Connection::open(dir.join("node.db")).expect("a database");
    db.execute_batch("PRAGMA synchronous=OFF").expect("a pragma");
    let reference = Reference::built_in();
    let first: Date = FIRST.parse().expect("a day");
    let categories = categories(reference);
    let sites: Vec<String> = reference
        .centres
        .iter()
        .map(|centre| centre.site().to_string())
        .filter(|site| site.starts_with("37"))
        .collect();
    let mut dice = Dice::new(11);
    let all = db.transaction().expect("a transaction");
    let sql = "INSERT INTO ticket(doc, number, custodian, taken_by, stage, subject, at, returns, superseded, alarms, state, clock, searched, due,
                 day, facts, business, domain, topic, channel, done)
               VALUES(?1, ?2, ?3, ?3, ?4, '出租车拒载并且中途甩客要求退还车费', ?5, 0, 0, 0, zeroblob(32), zeroblob(300), zeroblob(32), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let mut insert = all.prepare(sql).expect("a statement");
    for at in 0..count {
        let day =
            first.checked_add(jiff::Span::new().days(dice.below(DAYS) as i64)).expect("a day").to_string();
        let (business, facts) = drawn(&mut dice);
        let ended = facts.has(Fact::Ended);
        let (domain, topic) = topic(&mut dice, &categories);
        let channel = channel(&mut dice);
        let site = &sites[dice.below(sites.len() as u64) as usize];
        let doc = blake3::hash(&at.to_be_bytes());
        insert
            .execute(params![
                doc.as_bytes(),
                format!("JT{at:022}"),
                site,
                if ended { "closed" } else { "dispatched" },
                format!("{day}T09:15:00+08:00"),
                format!("{day}T23:59:59+08:00"),
                day,
                facts.bits(),
                business,
                domain,
                topic,
                channel,
                ended
            ])
            .expect("a row");
    }
    drop(insert);
    all.commit().expect("it is written");
    hub::tally(&db);
    let number = |sql: &str| db.query_row(sql, [], |r| r.get(0)).expect("a number");
    (
        number("SELECT count(*) FROM ticket_tally"),
        number("SELECT count(*) FROM ticket WHERE day BETWEEN '2026-10-01' AND '2026-10-31'"),
    )
}
