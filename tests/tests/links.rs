//! Two running nodes and real sockets, through a relay that behaves like a satellite line: 600 ms there and back, 5 %
//! lost each way. What it takes in time is measured by `cargo bench`; here it must only come out right.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use certs::{Authority, Identity, NodeKeys, NodeName, SecretKey, UnixTime};
use node::daemon::{Node, RunOptions, now_ms};
use node::engine::Engine;
use node::files::FileLimits;
use node::request::Request;
use serde_json::{Value, json};
use sync::quic::Congestion;
use world::city::free;
use world::relay::{Direction, Impairment, Relay};

const SATELLITE: Impairment = Impairment {
    loss: 0.05,
    rate: Some(10_000_000),
    queue: 750_000,
    ..Impairment::delay(Duration::from_millis(300))
};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn identities(dir: &Path, nodes: &[&str]) {
    let now = UnixTime::from_secs(now_ms() / 1_000);
    let mut root = Authority::root(SecretKey::generate(), now).unwrap();
    let mut province = root.issue_province("370000".parse().unwrap(), SecretKey::generate(), now).unwrap();
    for node in nodes {
        let mut identity =
            Identity::create(&mut province, name(node), NodeKeys::generate(), now, 90).unwrap();
        Engine::init(&dir.join(node), &mut identity).unwrap();
    }
}

async fn start(
    dir: &Path,
    node: &str,
    listen: SocketAddr,
    peer: (&str, Vec<SocketAddr>),
    congestion: Congestion,
) -> Node {
    let options = RunOptions {
        dir: dir.join(node),
        listen,
        peers: BTreeMap::from([(name(peer.0), peer.1)]),
        http: None,
        congestion,
        files: FileLimits::default(),
        desk: node::desk::DeskOptions::default(),
        public: node::public::PublicOptions::default(),
        sms: node::sms::SmsOptions::default(),
        sip: node::sip::SipOptions::default(),
        retention: None,
    };
    Node::start(options).await.unwrap()
}

async fn proved(node: &Node) -> bool {
    let status = node.ask(Request::Status).await.unwrap();
    status["peers"]
        .as_array()
        .unwrap()
        .iter()
        .all(|p| p["connected"] == true && p["digest_equal"] == true && p["outbox"] == 0)
}

async fn until_proved(nodes: [&Node; 2]) {
    let all = async {
        while !(proved(nodes[0]).await && proved(nodes[1]).await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(240), all).await.expect("they are proved equal");
}

async fn exported(node: &Node) -> BTreeMap<String, Value> {
    let page = node.ask(Request::Export { after: None, limit: 1_000 }).await.unwrap();
    let tickets = page["tickets"].as_array().unwrap();
    tickets.iter().map(|t| (t["id"].as_str().unwrap().to_owned(), t["state_hash"].clone())).collect()
}

/// Calls whose text does not compress, a megabyte in all.
fn a_megabyte(of: &str) -> Vec<Value> {
    (0..110)
        .map(|n| {
            let text: String = (0..150)
                .map(|k| blake3::hash(format!("{of} {n} {k}").as_bytes()).to_hex().to_string())
                .collect();
            json!({ "text": text, "type": "投诉举报", "caller_phone": "13800000001", "channel": "电话" })
        })
        .collect()
}

async fn a_megabyte_over_a_satellite(congestion: Congestion) {
    let dir = tempfile::tempdir().unwrap();
    identities(dir.path(), &["370000", "370100"]);
    let [at_province, at_city] = free::<2>();
    let relay = Relay::start(at_province, SATELLITE, SATELLITE, 7).await.unwrap();
    // Only the city dials: the province has no address of it.
    let province = start(dir.path(), "370000", at_province, ("370100", vec![]), congestion).await;
    let city = start(dir.path(), "370100", at_city, ("370000", vec![relay.addr()]), congestion).await;
    until_proved([&province, &city]).await;
    let began = tokio::time::Instant::now();
    city.ask(Request::New { tickets: a_megabyte("370100"), user: None }).await.unwrap();
    until_proved([&province, &city]).await;
    let took = began.elapsed();
    assert_eq!(exported(&province).await, exported(&city).await);
    assert_eq!(exported(&city).await.len(), 110);
    let counts = relay.counts(Direction::There);
    println!("{congestion}: 1 MB of tickets durable and proved equal after {took:?}; {counts:?}");
    assert!(counts.bytes_in > 400_000 && counts.lost > 20, "{counts:?}");

    // The line goes away for a moment and comes back.
    relay.cut_both();
    let id = city.ask(Request::New { tickets: a_megabyte("later")[..1].to_vec(), user: None }).await.unwrap();
    let status = city.ask(Request::Status).await.unwrap();
    assert!(status["peers"][0]["outbox"].as_u64().unwrap() > 0, "{status}");
    relay.heal();
    until_proved([&province, &city]).await;
    assert!(exported(&province).await.contains_key(id[0]["id"].as_str().unwrap()));
    city.stop().await;
    province.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_crosses_a_satellite_line_with_bbr() {
    a_megabyte_over_a_satellite(Congestion::Bbr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_crosses_a_satellite_line_at_a_configured_rate() {
    a_megabyte_over_a_satellite("rate:8M".parse().unwrap()).await;
}
