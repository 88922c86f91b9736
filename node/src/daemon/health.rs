//! Health and metrics on loopback: `/healthz`, `/readyz`, `/metrics` (Prometheus text).

use std::fmt::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::Value;

use super::Node;
use crate::request::{Failure, FailureKind, Request};

pub(super) async fn serve(address: SocketAddr, node: Node) -> Result<(), Failure> {
    if !address.ip().is_loopback() {
        return Err(Failure::new(FailureKind::Configuration, format!("{address} is not a loopback address"))
            .hint("health and metrics carry no password: use 127.0.0.1:PORT and a local collector"));
    }
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| {
        Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (TCP)")).because(e)
    })?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(node);
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!(error = %e, "health and metrics are no longer served");
        }
    });
    Ok(())
}

async fn ready(State(node): State<Node>) -> (StatusCode, &'static str) {
    match node.ask(Request::Status).await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(State(node): State<Node>) -> (StatusCode, String) {
    match node.ask(Request::Status).await {
        Ok(status) => (StatusCode::OK, text(&status)),
        Err(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("# {failure}\n")),
    }
}

fn text(status: &Value) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: Vec<(String, f64)>| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let number = |v: &Value| v.as_f64().or_else(|| v.as_bool().map(f64::from)).unwrap_or(0.0);
    for (key, help) in [
        ("documents", "Documents held."),
        ("items", "Items held."),
        ("refused", "Items refused."),
        ("waiting", "Items that wait for something."),
        ("not_counted", "Items past their author's revocation."),
        ("clock_doubt", "1 while this machine's date is in doubt."),
    ] {
        gauge(&format!("hotline_{key}"), help, vec![(String::new(), number(&status[key]))]);
    }
    let stages = status["stages"].as_object().into_iter().flatten();
    gauge(
        "hotline_tickets",
        "Tickets by stage.",
        stages.map(|(s, n)| (format!("{{stage=\"{s}\"}}"), number(n))).collect(),
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
        gauge(&format!("hotline_peer_{key}"), help, rows);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metrics_name_every_peer() {
        let status = json!({ "documents": 3, "clock_doubt": false, "stages": { "closed": 2 },
            "peers": [{ "node": "370000", "connected": true, "outbox": 7 }] });
        let shown = text(&status);
        for line in [
            "hotline_documents 3",
            "hotline_tickets{stage=\"closed\"} 2",
            "hotline_peer_outbox{peer=\"370000\"} 7",
            "hotline_peer_connected{peer=\"370000\"} 1",
        ] {
            assert!(shown.lines().any(|l| l == line), "{line}\n{shown}");
        }
    }
}
