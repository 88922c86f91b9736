//! The wall: links in words that people understand, and today's work. No ticket is on it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::super::App;
use super::super::frame::{self, Frame};
use super::super::guard::Signed;
use super::super::plot::bars;
use super::super::words::Words;
use crate::daemon::now_ms;
use crate::request::{Language, Request};

/// How many days are drawn.
const DAYS: usize = 7;

struct LinkRow {
    up: bool,
    text: String,
    proof: String,
}

/// What became of a stick.
struct StickRow {
    at: String,
    way: &'static str,
    with: String,
    medium: String,
    words: String,
    next: String,
}

struct StageRow {
    label: &'static str,
    class: String,
    count: u64,
}

#[derive(Template)]
#[template(path = "wall.html")]
struct Wall {
    f: Frame,
    doubt: bool,
    today: u64,
    waiting: u64,
    hours: String,
    days: String,
    stages: Vec<StageRow>,
    links: Vec<LinkRow>,
    all_up: bool,
    overdue: u64,
    sticks: Vec<StickRow>,
}

/// A link in words: `济南市 已有 2 小时 10 分钟未收到 山东省 的消息；37 项变更等待发送；本地受理不受影响。`
fn words_of(w: &Words, me: &str, peer: &str, row: &Value, now: u64) -> LinkRow {
    let up = row["connected"] == true;
    let waiting = row["outbox"].as_u64().unwrap_or_default();
    let ago = |value: &Value| {
        let at = value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond();
        Some(now.saturating_sub(at.max(0) as u64))
    };
    let silence = ago(&row["last_seen"]).map(|ms| w.span(ms));
    let waits = match (w.language, waiting) {
        (_, 0) => String::new(),
        (Language::Zh, n) => format!("；{n} {}", w.changes_wait),
        (Language::En, n) => format!("; {n} {}", w.changes_wait),
    };
    let text = match (w.language, up, silence) {
        (Language::Zh, true, _) => format!("{me} 与 {peer} {}{waits}。", w.link_up),
        (Language::En, true, _) => format!("{me} and {peer}: {}{waits}.", w.link_up),
        (Language::Zh, false, Some(span)) => {
            format!("{me} {} {span} 未收到 {peer} 的消息{waits}。{}", w.not_heard_a, w.service_fine)
        }
        (Language::En, false, Some(span)) => {
            format!("{me} {} {peer} for {span}{waits}. {}", w.not_heard_a, w.service_fine)
        }
        (Language::Zh, false, None) => {
            format!("{me} {} {peer} 的消息{waits}。{}", w.never_heard, w.service_fine)
        }
        (Language::En, false, None) => format!("{me} {} {peer}{waits}. {}", w.never_heard, w.service_fine),
    };
    let proof = match (row["digest_equal"] == true, row["proved_at"].as_str()) {
        (true, _) => w.proved.to_owned(),
        (false, Some(at)) => format!("{}: {}", w.last_proved, w.ago(at, now)),
        (false, None) => format!("{}: {}", w.last_proved, w.never),
    };
    LinkRow { up, text, proof }
}

pub(in super::super) async fn show(State(app): State<Arc<App>>, who: Signed) -> Response {
    let w = who.words();
    let asked = match app.ask(&who, Request::Status).await {
        Ok(status) => app.ask(&who, Request::Volume { days: DAYS }).await.map(|volume| (status, volume)),
        Err(failure) => Err(failure),
    };
    let (status, volume) = match asked {
        Ok(both) => both,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let now = now_ms();
    let name = |code: &str| match code.parse::<certs::NodeName>() {
        Ok(node) => app.reference().centres.name(node.site()).into_owned(),
        Err(_) => code.to_owned(),
    };
    let me = name(&app.me.to_string());
    let peers = status["peers"].as_array().into_iter().flatten();
    let links: Vec<LinkRow> = peers
        .map(|row| words_of(w, &me, &name(row["node"].as_str().unwrap_or_default()), row, now))
        .collect();
    let hours: Vec<(String, u64)> = volume["hours"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(hour, count)| (hour.to_string(), count.as_u64().unwrap_or_default()))
        .collect();
    let mut days: Vec<(String, u64)> = volume["days"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let day = row["day"].as_str().unwrap_or_default();
            (day.get(8..).unwrap_or(day).to_owned(), row["count"].as_u64().unwrap_or_default())
        })
        .collect();
    let today = days.first().map_or(0, |(_, count)| *count);
    days.reverse();
    let stages = status["stages"].as_object().into_iter().flatten().map(|(stage, count)| StageRow {
        label: w.stage(stage),
        class: stage.replace('_', "-"),
        count: count.as_u64().unwrap_or_default(),
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sticks = status["bundle_log"].as_array().into_iter().flatten().map(|trip| StickRow {
        at: frame::minute(&text(&trip["at"])),
        way: if trip["way"] == "out" { w.stick_out } else { w.stick_in },
        with: trip["with"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|node| app.site_name(node.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("、"),
        medium: text(&trip["medium"]),
        words: text(&trip["words"]),
        next: text(&trip["next"]),
    });
    let template = Wall {
        f: Frame::new(&app, &who, w.wall, "/wall").live("/events"),
        doubt: status["clock_doubt"] == true,
        today,
        waiting: status["custody"].as_u64().unwrap_or_default(),
        hours: bars(w.today, &hours),
        days: bars(w.last_days, &days),
        stages: stages.collect(),
        overdue: status["overdue"].as_u64().unwrap_or_default(),
        sticks: sticks.collect(),
        all_up: links.iter().all(|link| link.up),
        links,
    };
    frame::page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_is_told_as_a_person_would() {
        let now = "2026-11-29T12:10:00+08:00".parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64;
        let down = json!({ "connected": false, "outbox": 37, "last_seen": "2026-11-29T10:00:00+08:00" });
        let told = |language| words_of(Words::of(language), "济南市", "山东省", &down, now).text;
        assert_eq!(
            told(Language::Zh),
            "济南市 已有 2 小时 10 分钟 未收到 山东省 的消息；37 项变更等待发送。本地受理不受影响。"
        );
        assert_eq!(
            told(Language::En),
            "济南市 has not heard from 山东省 for 2 h 10 min; 37 changes wait to be sent. Service here is not affected."
        );
        let up = json!({ "connected": true, "outbox": 0, "digest_equal": true });
        let row = words_of(Words::of(Language::Zh), "济南市", "山东省", &up, now);
        assert_eq!(
            (row.up, row.text.as_str(), row.proof.as_str()),
            (true, "济南市 与 山东省 线路正常。", "已核对一致")
        );
    }
}
