//! Traces by OTLP, to a real receiver over HTTP.
#![cfg(feature = "otlp")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod harness;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use harness::{Town, fails, json, tcp_port, until};

/// A field of a protobuf message: its number, and its bytes when it has a length.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().expect("a whole number");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("a field of kind {other}"),
        };
        let (bytes, rest) = message.split_at(length);
        found.push((key >> 3, bytes.to_vec()));
        message = rest;
    }
    found
}

/// What lies at this path of fields, wherever it is repeated.
fn at(message: &[u8], path: &[u64]) -> Vec<Vec<u8>> {
    let Some((first, rest)) = path.split_first() else { return vec![message.to_vec()] };
    fields(message).into_iter().filter(|(n, _)| n == first).flat_map(|(_, bytes)| at(&bytes, rest)).collect()
}

fn texts(found: Vec<Vec<u8>>) -> Vec<String> {
    found.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn spans_come_to_a_collector_with_the_service_and_without_a_word_of_anybody() {
    let received: Arc<Mutex<Vec<(String, Bytes)>>> = Arc::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kept = received.clone();
    let address = runtime.block_on(async move {
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let kind = headers["content-type"].to_str().unwrap().to_owned();
            kept.lock().unwrap().push((kind, body));
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    });
    let town = Town::new(&["370100"]);
    let to = format!("http://{address}");
    let mut node = town.start("370100", &["--log-otlp", &to]);
    json(&["ticket", "new", "--dir", &town.at("370100"), "--text", "出租车拒载", "--phone", "13800000001"]);
    // What is in the exporter's queue goes out at the end.
    node.signal("TERM");
    assert!(node.0.wait().unwrap().success());
    let all = received.lock().unwrap().clone();
    assert!(!all.is_empty(), "{}", town.log("370100"));
    let mut names = Vec::new();
    for (kind, body) in &all {
        assert_eq!(kind, "application/x-protobuf");
        // resource_spans . resource . attributes: key 1, value 2 with a text in 1.
        let attributes = at(body, &[1, 1, 1]);
        let pairs: Vec<(String, String)> = attributes
            .iter()
            .map(|a| (texts(at(a, &[1])).remove(0), texts(at(a, &[2, 1])).remove(0)))
            .collect();
        let has = |key: &str, value: &str| pairs.iter().any(|(k, v)| k == key && v == value);
        assert!(has("service.name", "hotline") && has("service.instance.id", "370100"), "{pairs:?}");
        assert!(has("service.version", env!("CARGO_PKG_VERSION")), "{pairs:?}");
        // resource_spans . scope_spans . spans . name
        names.extend(texts(at(body, &[1, 2, 2, 5])));
        for secret in ["13800000001", "出租车拒载"] {
            assert!(!body.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} is in a trace");
        }
    }
    assert!(names.iter().any(|n| n == "request") && names.iter().any(|n| n == "transaction"), "{names:?}");
}

#[test]
fn a_collector_that_is_away_stops_nobody() {
    let town = Town::new(&["370100"]);
    let to = format!("http://127.0.0.1:{}", tcp_port());
    let mut node = town.start("370100", &["--log-otlp", &to]);
    let made = json(&["ticket", "new", "--dir", &town.at("370100"), "--text", "公交晚点"]);
    assert!(made["id"].is_string());
    node.signal("TERM");
    until("the node ends", || node.0.try_wait().unwrap().is_some());
    fails(
        &["run", "--dir", &town.at("370100"), "--log-otlp", "http://10.0.0.1:4318"],
        4,
        "not a loopback address",
    );
}
