//! The knowledge base: search, and suggestions from what is being typed, over 50,000 articles.

use std::time::{Duration, Instant};

use node::engine::Engine;
use node::knowledge::request::KnowledgeRequest as Ask;
use node::request::Request;
use serde_json::{Value, json};
use world::bench::Wanted;
use world::bench::nodes::{CITY, PROVINCE, Registry, asked, open};
use world::bench::report::{Times, begin, row, s};
use world::bench::tickets::Dice;

/// Words that callers and articles use: real ones, so that common pairs are as common as they are.
const WORDS: [&str; 48] = [
    "出租车",
    "公交车",
    "网约车",
    "高速公路",
    "收费站",
    "免费通行",
    "节假日",
    "大件运输",
    "超限",
    "许可",
    "驾驶员",
    "从业资格",
    "投诉",
    "举报",
    "咨询",
    "受理",
    "时限",
    "答复",
    "回访",
    "转办",
    "拒载",
    "绕路",
    "计价器",
    "发票",
    "班线",
    "客运站",
    "售票",
    "退票",
    "危险货物",
    "道路运输证",
    "年审",
    "维修",
    "驾校",
    "培训",
    "港口",
    "航道",
    "船舶",
    "水路",
    "渡口",
    "海事",
    "救助",
    "停运",
    "改道",
    "施工",
    "封闭",
    "绿色通道",
    "通行卡",
    "车牌",
];

fn phrase(dice: &mut Dice, words: usize) -> String {
    (0..words)
        .map(|_| match dice.below(3) {
            0 => dice.text(3),
            // The first words are much more frequent than the last.
            _ => WORDS[(dice.below(48) * dice.below(48) / 48) as usize].to_owned(),
        })
        .collect()
}

fn article(dice: &mut Dice, at: usize) -> Value {
    let body: Vec<String> = (0..6).map(|_| phrase(dice, 8) + "。").collect();
    json!({
        "id": format!("KB{at:06}"), "title": phrase(dice, 3), "body": body.join("\n"), "region_code": CITY,
        "tags": [WORDS[dice.below(48) as usize]], "field": "综合", "audience": "agent", "valid_from": "2026-01-01",
        "valid_to": if dice.below(10) == 0 { "2026-06-30" } else { "" }, "status": "published",
    })
}

fn measure(engine: &mut Engine, count: usize, mut ask: impl FnMut(usize) -> Ask) -> (Times, Duration, usize) {
    let (mut all, mut worst, mut found) = (Times::default(), Duration::ZERO, 0);
    for at in 0..count {
        let request = Request::Knowledge(ask(at));
        let began = Instant::now();
        let reply = asked(engine, &request);
        let took = began.elapsed();
        all.add(took);
        worst = worst.max(took);
        found += usize::from(reply.as_array().is_some_and(|rows| !rows.is_empty()));
    }
    (all, worst, found)
}

/// What operators, `/metrics` and every watched wall ask again and again.
fn status(engine: &mut Engine, times: usize) -> Times {
    let mut all = Times::default();
    for _ in 0..times {
        let began = Instant::now();
        asked(engine, &Request::Status);
        all.add(began.elapsed());
    }
    all
}

fn main() {
    let wanted = Wanted::read();
    begin("knowledge");
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let city = memory.path().join("city");
    let mut registry = Registry::default();
    registry.found(&city, CITY, &[PROVINCE]);
    let mut engine = open(&city);
    let count = wanted.size(50_000, 500);
    let mut dice = Dice::new(12_328);
    let began = Instant::now();
    let articles: Vec<Value> = (0..count).map(|at| article(&mut dice, at)).collect();
    for portion in articles.chunks(250) {
        let (reviewer, user) = (Some("b".to_owned()), Some("a".to_owned()));
        asked(&mut engine, &Request::Knowledge(Ask::Import { articles: portion.to_vec(), reviewer, user }));
        engine.checkpoint().expect("a checkpoint");
    }
    let took = began.elapsed();
    row(
        &format!("{count} articles written, reviewed and published"),
        "-",
        format!("{} ({:.0}/s)", s(took), count as f64 / took.as_secs_f64()),
        "-",
        "three changes each, by import; in memory, without a disk's fsync",
    );
    let times = wanted.size(1_000, 50);
    row(
        &format!("`replica status` beside {count} articles of its own"),
        "-",
        status(&mut engine, times).to_string(),
        "-",
        "",
    );
    let mut dice = Dice::new(7);
    let (search, worst, found) = measure(&mut engine, times, |at| Ask::Search {
        text: match at % 4 {
            0 => WORDS[at / 4 % 48].to_owned(),
            1 => format!("{} {}", WORDS[dice.below(48) as usize], WORDS[dice.below(48) as usize]),
            2 => WORDS[at / 4 % 48].chars().take(2).collect(),
            _ => ["czc", "gaosu", "tousu", "gjc", "车", "KB0001"][at / 4 % 6].to_owned(),
        },
        limit: 20,
    });
    row(
        &format!("search over {count} articles"),
        "p99 <= 30 ms",
        format!("{search}, worst {} ms", worst.as_millis()),
        "-",
        &format!(
            "words, pairs of words, two characters, pinyin, one character; {found} of {times} found something"
        ),
    );
    let (suggest, worst, found) =
        measure(&mut engine, times, |_| Ask::Suggest { text: phrase(&mut dice, 24), limit: 5 });
    row(
        &format!("suggestions over {count} articles"),
        "p99 <= 30 ms",
        format!("{suggest}, worst {} ms", worst.as_millis()),
        "-",
        &format!("from some 70 characters of what a caller says; {found} of {times} suggest something"),
    );
}
