//! Health and metrics, for this machine alone.
//!
//! `/health` answers 200 when the engine's thread came to the end of a transaction within five seconds of the question,
//! and 503 when it did not: then the node should be started anew. It says nothing of links: a node works with all of
//! them down, and starting it anew brings none back. Its body is JSON: `{"status","node","clock_doubt","links","peers"}`.
//!
//! `/metrics` is the status as Prometheus reads it. It is written here in a few lines rather than through a registry,
//! because every number is already one of the status, taken at one instant.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Node, now_ms, watchdog};
use crate::hooks::{self, Count};
use crate::request::{Failure, FailureKind, Request};
use crate::sip::Seen;
use crate::users::SmsCounts;

/// How long a page waits for the engine.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn serve(address: SocketAddr, node: Node) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::new(FailureKind::Configuration, format!("{address} is not a loopback address"))
            .hint("health and metrics carry no password: use 127.0.0.1:PORT and a local collector"));
    }
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| {
        Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (TCP)")).because(e)
    })?;
    let router = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(node);
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!(error = %e, "health and metrics are no longer served");
        }
    });
    Ok(())
}

/// The status, once the engine's thread has proved that it lives.
async fn status(node: &Node) -> Result<Value, Failure> {
    let asked = async {
        match watchdog::pulse(&node.work).await {
            true => node.ask(Request::Status).await,
            false => Err(Failure::new(FailureKind::Unreachable, "the node is stopping")),
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(status) => status,
        Err(_) => Err(Failure::new(FailureKind::Unreachable, "the engine's thread does not answer")),
    }
}

async fn health(State(node): State<Node>) -> (StatusCode, Json<Value>) {
    match status(&node).await {
        Ok(status) => {
            let peers: Vec<&Value> = status["peers"].as_array().into_iter().flatten().collect();
            let links = peers.iter().filter(|p| p["connected"] == true).count();
            let health = json!({
                "status": "ok", "node": status["node"], "clock_doubt": status["clock_doubt"],
                "links": links, "peers": peers.len(),
            });
            (StatusCode::OK, Json(health))
        }
        Err(failure) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "failed", "why": failure.message })))
        }
    }
}

/// How many changes the log has numbered.
async fn numbered(node: &Node) -> u64 {
    let asked = node.ask(Request::Changes { after: None, limit: 1 }).await.unwrap_or_default();
    asked["next"].as_str().map_or(0, hooks::number)
}

async fn metrics(State(node): State<Node>) -> (StatusCode, [(HeaderName, &'static str); 1], String) {
    let (code, text) = match status(&node).await {
        Ok(status) => {
            let told = node.told.all();
            let newest = if told.is_empty() { 0 } else { numbered(&node).await };
            let messages = match &node.sms {
                Some(sms) => {
                    sms.counts().await.map(|(counts, passed_over)| of_sms(&counts, passed_over, now_ms()))
                }
                None => Ok(String::new()),
            };
            let calls = node.sip.as_ref().map_or_else(String::new, |sip| of_sip(&sip.seen()));
            let messages = messages.unwrap_or_else(|failure| format!("# {failure}\n"));
            (StatusCode::OK, text(&status) + &of_hooks(&told, newest) + &messages + &calls)
        }
        Err(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("# {failure}\n")),
    };
    (code, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn write_family(out: &mut String, name: &str, help: &str, rows: Vec<(String, f64)>) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in rows {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

/// What hooks were told since the start, and how much of the log is still before each.
fn of_hooks(told: &BTreeMap<String, Count>, newest: u64) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, value: &dyn Fn(&Count) -> f64| {
        // A hook's name has no letter that would have to be escaped here.
        let rows = told.iter().map(|(hook, count)| (format!("{{hook=\"{hook}\"}}"), value(count))).collect();
        write_family(&mut out, name, help, rows);
    };
    if !told.is_empty() {
        family("hotline_hook_deliveries_total", "Events that a hook's receiver took.", &|c| {
            c.delivered as f64
        });
        family("hotline_hook_failures_total", "Attempts that failed.", &|c| c.failed as f64);
        family("hotline_hook_waiting", "Changes that a hook has not passed yet.", &|c| {
            newest.saturating_sub(c.at) as f64
        });
        family("hotline_hook_off", "1 while a hook is off.", &|c| f64::from(c.off));
    }
    out
}

/// How short messages stand. Those of the last 30 days that came in, and of 400 days that went out.
fn of_sms(counts: &SmsCounts, passed_over: u64, now: u64) -> String {
    let mut out = String::new();
    let rows = |label: &str, counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(name, n)| (format!("{{{label}=\"{name}\"}}"), *n as f64)).collect()
    };
    let mut family = |name: &str, help: &str, rows| write_family(&mut out, name, help, rows);
    let one = |value: f64| vec![(String::new(), value)];
    family(
        "hotline_sms_in",
        "Short messages that came in, by what became of them.",
        rows("outcome", &counts.incoming),
    );
    family("hotline_sms_out", "Short messages that go out, by state.", rows("state", &counts.outgoing));
    family("hotline_sms_buffered", "Sent ones that wait for a telephone.", one(counts.buffered as f64));
    let age = |at: Option<u64>| at.map_or(0.0, |at| now.saturating_sub(at) as f64 / 1_000.0);
    family(
        "hotline_sms_waiting_seconds",
        "Age of the oldest that waits to be sent.",
        one(age(counts.oldest)),
    );
    family(
        "hotline_sms_failing_seconds",
        "How long the gateway has taken nothing.",
        one(age(counts.failing_since)),
    );
    family("hotline_sms_passed_over_total", "Short messages of services and names.", one(passed_over as f64));
    out
}

/// What the SIP agent heard since the start, and how its extensions stand at the registrar.
fn of_sip(seen: &Seen) -> String {
    let mut out = String::new();
    let mut family = |name: &str, label: &str, help: &str, counts: &mut dyn Iterator<Item = (&str, u64)>| {
        let rows = counts.map(|(is, n)| (format!("{{{label}=\"{is}\"}}"), n as f64)).collect();
        write_family(&mut out, name, help, rows);
    };
    let (events, dropped) = (&mut seen.events.iter().copied(), &mut seen.dropped.iter().copied());
    family("hotline_sip_calls_total", "event", "Events of calls by SIP that the desk was told.", events);
    family("hotline_sip_dropped_total", "why", "Datagrams and events of SIP that led to nothing.", dropped);
    let registered = &mut seen.registered.iter().map(|(stand, n)| (*stand, *n));
    family("hotline_sip_extensions", "stand", "Extensions at the registrar, by how they stand.", registered);
    out
}

fn text(status: &Value) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, rows| write_family(&mut out, name, help, rows);
    let number = |v: &Value| v.as_f64().or_else(|| v.as_bool().map(f64::from)).unwrap_or(0.0);
    for (key, help) in [
        ("documents", "Documents held."),
        ("items", "Items held."),
        ("refused", "Items refused."),
        ("waiting", "Items that wait for something."),
        ("not_counted", "Items past their author's revocation."),
        ("overdue", "Open tickets past their deadline, counted up to 10000."),
        ("unindexed", "Tickets whose words search does not find yet, counted up to 10000."),
        ("clock_doubt", "1 while this machine's date is in doubt."),
    ] {
        family(&format!("hotline_{key}"), help, vec![(String::new(), number(&status[key]))]);
    }
    let stages = status["stages"].as_object().into_iter().flatten();
    family(
        "hotline_tickets",
        "Tickets by stage.",
        stages.map(|(s, n)| (format!("{{stage=\"{s}\"}}"), number(n))).collect(),
    );
    let moment = |v: &Value| {
        v.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).map(|t| t.as_second() as f64)
    };
    for (key, help) in [
        ("proved_at", "When the pair was last proved equal, in seconds since 1970; absent when never."),
        ("last_seen", "When the peer was last heard, in seconds since 1970; absent when never."),
    ] {
        let peers = status["peers"].as_array().into_iter().flatten();
        let rows =
            peers.filter_map(|p| Some((format!("{{peer={}}}", p["node"]), moment(&p[key])?))).collect();
        family(&format!("hotline_peer_{key}_timestamp_seconds"), help, rows);
    }
    let ends = status["expiring"].as_array().into_iter().flatten();
    family(
        "hotline_certificate_days",
        "Days that a certificate lives on, for those of 30 and less.",
        ends.map(|e| (format!("{{node={}}}", e["node"]), number(&e["days"]))).collect(),
    );
    family(
        "hotline_backup_timestamp_seconds",
        "When the last backup was taken, in seconds since 1970; absent when there was none.",
        moment(&status["backup"]).map(|at| (String::new(), at)).into_iter().collect(),
    );
    for (key, help) in [
        ("connected", "1 while a link is up."),
        ("outbox", "Rows that the peer must still get."),
        ("digest_equal", "1 while the pair is proved equal."),
        ("rtt_ms", "Smoothed round trip in milliseconds."),
        ("bytes_sent", "Bytes sent on the live connection."),
        ("bytes_received", "Bytes received on the live connection."),
    ] {
        let peers = status["peers"].as_array().into_iter().flatten();
        let rows = peers.map(|p| (format!("{{peer={}}}", p["node"]), number(&p[key]))).collect();
        let total = if key.starts_with("bytes") { "_total" } else { "" };
        family(&format!("hotline_peer_{key}{total}"), help, rows);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_count_what_hooks_were_told_and_what_waits() {
        let told = [("hall".to_owned(), Count { delivered: 3, failed: 2, at: 40, off: true })].into();
        let shown = of_hooks(&told, 47);
        for line in [
            "hotline_hook_deliveries_total{hook=\"hall\"} 3",
            "hotline_hook_failures_total{hook=\"hall\"} 2",
            "hotline_hook_waiting{hook=\"hall\"} 7",
            "hotline_hook_off{hook=\"hall\"} 1",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
        }
        assert_eq!(of_hooks(&BTreeMap::new(), 47), "");
    }

    #[test]
    fn metrics_tell_how_short_messages_stand() {
        let counts = SmsCounts {
            incoming: [("ticket".to_owned(), 3)].into(),
            outgoing: [("waiting".to_owned(), 2), ("given up".to_owned(), 1)].into(),
            oldest: Some(5_000),
            ..SmsCounts::default()
        };
        let shown = of_sms(&counts, 4, 65_000);
        for line in [
            "hotline_sms_in{outcome=\"ticket\"} 3",
            "hotline_sms_out{state=\"waiting\"} 2",
            "hotline_sms_out{state=\"given up\"} 1",
            "hotline_sms_waiting_seconds 60",
            "hotline_sms_failing_seconds 0",
            "hotline_sms_passed_over_total 4",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
        }
    }

    #[test]
    fn metrics_tell_what_came_by_sip() {
        let shown = of_sip(&Seen {
            events: vec![("newCall", 3)],
            dropped: vec![("stranger", 1)],
            registered: BTreeMap::from([("refused", 2)]),
        });
        for line in [
            "hotline_sip_calls_total{event=\"newCall\"} 3",
            "hotline_sip_dropped_total{why=\"stranger\"} 1",
            "hotline_sip_extensions{stand=\"refused\"} 2",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
        }
    }

    #[test]
    fn metrics_name_every_peer() {
        let status = json!({ "documents": 3, "clock_doubt": false, "stages": { "closed": 2 },
            "expiring": [{ "node": "370000", "days": 9 }], "backup": "2026-11-28T02:30:00Z",
            "peers": [{ "node": "370000", "connected": true, "outbox": 7, "proved_at": "2026-11-28T08:00:00+08:00" }] });
        let shown = text(&status);
        for line in [
            "hotline_documents 3",
            "hotline_tickets{stage=\"closed\"} 2",
            "hotline_peer_outbox{peer=\"370000\"} 7",
            "hotline_peer_connected{peer=\"370000\"} 1",
            "hotline_peer_proved_at_timestamp_seconds{peer=\"370000\"} 1795824000",
            "hotline_certificate_days{node=\"370000\"} 9",
            "hotline_backup_timestamp_seconds 1795833000",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
        }
    }
}
