//! Links: an idle reconnect, a reconnect after edits on both sides, a megabyte over a bad line.

use std::path::Path;
use std::time::{Duration, Instant};

use node::daemon::Node;
use node::request::{Act, Request};
use world::bench::carried::{Carried, Traffic};
use world::bench::nodes::{
    CITY, PROVINCE, Registry, Seals, asked, digest, free, make_tickets, name, open, pair, progress, start,
    until_equal,
};
use world::bench::report::{Times, begin, bytes, ms, row, s, times};
use world::bench::tickets::Dice;
use world::bench::{Wanted, bound};
use world::relay::{Direction, Impairment, Relay};

const PATIENCE: Duration = Duration::from_secs(120);
const ONE_WAY: Duration = Duration::from_millis(300);

/// What the notes of the bad line's runs come to once they are packed.
const MEGABYTE: u64 = 1_020_000;

/// How many edits each side makes.
const EDITS: usize = 100;

fn main() {
    let wanted = Wanted::read();
    begin("links");
    let dir = tempfile::tempdir().expect("a directory");
    let (city, province) = (dir.path().join("city"), dir.path().join("province"));
    let mut registry = Registry::default();
    registry.found(&city, CITY, &[PROVINCE]);
    registry.found(&province, PROVINCE, &[CITY]);
    let ids = make_tickets(&city, wanted.size(1_000, 200), true, Seals::Later, 1);
    let mut carried = Carried::new(open(&city), open(&province));
    carried.meet();

    if wanted.wants("idle") {
        let idle = carried.meet();
        let remark = format!("hand-carried frames, {} tickets; at 1 M tickets: see the hub", ids.len());
        row("reconnect, nothing changed", "<= 300 B, 1 round trip", trip(&idle), "-", &remark);
    }
    if wanted.wants("edits") {
        edit(&mut carried, &ids[..EDITS]);
        let traffic = carried.meet();
        drop(carried);
        let all = bound::changes(&city);
        let packed = bound::zstd(&all[all.len() - 2 * EDITS..]);
        let ratio = times(traffic.total() as f64, packed as f64);
        let measured = format!("{} of frames ({})", bytes(traffic.total()), trip(&traffic));
        let bound = format!("{ratio} of {} (zstd over the 200 changes)", bytes(packed));
        row(
            "reconnect after 100 edits on each side: bytes",
            "<= 1.25 x the compressed changes",
            measured,
            bound,
            "hand-carried frames",
        );
    } else {
        drop(carried);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(over_relay(&wanted, &city, &province, &ids));
}

fn trip(traffic: &Traffic) -> String {
    format!("{} both ways, {}", bytes(traffic.total()), traffic.proof())
}

/// A hundred edits on each side: progress by the custodian, supervision by its superior.
fn edit(carried: &mut Carried, ids: &[String]) {
    let mut dice = Dice::new(9);
    for id in ids {
        asked(carried.engine(0), &progress(id, dice.text(12)));
        asked(carried.engine(1), &supervise(id, dice.text(12)));
    }
}

fn supervise(id: &str, text: String) -> Request {
    Request::Act { id: id.to_owned(), act: Act::Supervise { text }, user: None }
}

/// City and province over a relay.
struct Line {
    relay: Relay,
    city: Node,
    province: Node,
}

impl Line {
    async fn lay(city: &Path, province: &Path) -> Line {
        let listen = free();
        let relay = Relay::start(listen, Impairment::NONE, Impairment::NONE, 1).await.expect("a relay");
        let province = start(province, listen, None).await;
        let city = start(city, free(), Some((PROVINCE, relay.addr()))).await;
        let line = Line { relay, city, province };
        line.until_equal(0, Duration::from_millis(5)).await;
        line
    }

    async fn until_equal(&self, count: u64, pause: Duration) -> Duration {
        until_equal((&self.city, CITY), (&self.province, PROVINCE), count, pause, PATIENCE).await
    }

    fn impair(&self, impairment: Impairment) {
        self.relay.impair(Direction::There, impairment);
        self.relay.impair(Direction::Back, impairment);
    }

    /// When so many bytes had come out of the line towards the province.
    async fn carried(&self, bytes: u64) -> Instant {
        let before = self.relay.counts(Direction::There).bytes_out;
        while self.relay.counts(Direction::There).bytes_out < before + bytes {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Instant::now()
    }

    /// Takes the link down, lets both sides work, and brings it up over this line; how long until both are equal.
    async fn outage(&self, impairment: Impairment, work: impl AsyncFnOnce() -> u64) -> (Duration, u64) {
        self.impair(Impairment::NONE);
        self.city.hold(name(PROVINCE), true).await;
        while pair(&self.city, PROVINCE).await["connected"] == true
            || pair(&self.province, CITY).await["connected"] == true
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = digest(&self.city, PROVINCE).await.0;
        let made = work().await;
        self.impair(impairment);
        self.city.hold(name(PROVINCE), false).await;
        let took = self.until_equal(before + made, Duration::from_millis(2)).await;
        // What is durable is not answered yet: it would travel again after the next outage.
        while pair(&self.city, PROVINCE).await["outbox"] != 0
            || pair(&self.province, CITY).await["outbox"] != 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let said = pair(&self.city, PROVINCE).await;
        let sum = |field: &str| said[field].as_u64().unwrap_or_default();
        (took, sum("bytes_sent") + sum("bytes_received"))
    }
}

async fn over_relay(wanted: &Wanted, city: &Path, province: &Path, ids: &[String]) {
    let line = Line::lay(city, province).await;
    let mut dice = Dice::new(10);
    if wanted.wants("idle") {
        let (took, _) = line.outage(Impairment::delay(ONE_WAY), async || 0).await;
        // Both are equal before the link is up; what counts is when they know.
        let began = Instant::now();
        while pair(&line.city, PROVINCE).await["digest_equal"] != true {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let known = took + began.elapsed();
        let said = pair(&line.city, PROVINCE).await;
        let udp = said["bytes_sent"].as_u64().unwrap_or_default()
            + said["bytes_received"].as_u64().unwrap_or_default();
        row(
            "reconnect, nothing changed, 300 ms one way",
            "2 round trips with the handshake: 1.2 s",
            format!("{} from dialling to proved equal", s(known)),
            format!("{} of 1.2 s", times(known.as_secs_f64(), 1.2)),
            &format!("real QUIC, {} in UDP with the handshake", bytes(udp)),
        );
    }
    if wanted.wants("edits") {
        let mut visible = Times::default();
        for _ in 0..wanted.size(3, 1) {
            let (took, _) = line
                .outage(Impairment::delay(ONE_WAY), async || {
                    for id in &ids[..EDITS] {
                        line.city.ask(progress(id, dice.text(12))).await.expect("it is granted");
                        line.province.ask(supervise(id, dice.text(12))).await.expect("it is granted");
                    }
                    2 * EDITS as u64
                })
                .await;
            visible.add(took);
        }
        let median = visible.at(0.5);
        row(
            "reconnect after 100 edits on each side, 300 ms one way: time",
            "<= 2 RTT + 100 ms = 1.3 s",
            format!("{} from dialling to all edits durable at both", s(median)),
            times(median.as_secs_f64(), 1.2) + " of 2 RTT",
            "real QUIC, median of 3",
        );
    }
    if wanted.wants("bad line") {
        let bad = Impairment { loss: 0.05, rate: Some(10_000_000), ..Impairment::delay(ONE_WAY) };
        let (mut all, mut line_only) = (Times::default(), Times::default());
        let mut udp = 0;
        let runs = wanted.size(20, 2);
        for run in 0..runs {
            let mut dialled = Instant::now();
            let outage = line.outage(bad, async || {
                // Six random bits a character: 1.36 MB of notes are 1.02 MB of batches.
                for note in 0..170 {
                    let text: String = (0..8_000).map(|_| char::from(48 + (dice.below(64) as u8))).collect();
                    let id = ids[(run * 170 + note) % ids.len()].clone();
                    line.city.ask(Request::Note { id, text, user: None }).await.expect("a note");
                }
                dialled = Instant::now();
                170
            });
            let ((took, bytes), carried) = tokio::join!(outage, line.carried(MEGABYTE));
            all.add(took);
            line_only.add(carried - dialled);
            udp += bytes;
        }
        let wire = 0.6 + 0.3 + MEGABYTE as f64 * 8.0 / 1e7;
        row(
            "1 MB over 600 ms / 5 % loss, 10 Mbit/s",
            "p50 of 20 runs <= 6 s",
            format!(
                "p50 {} ms, fastest {} ms, slowest {} ms",
                ms(all.at(0.5)),
                ms(all.at(0.0)),
                ms(all.at(1.0))
            ),
            format!(
                "{} of {wire:.1} s (handshake, half a round trip, the bytes at the rate)",
                times(all.at(0.5).as_secs_f64(), wire)
            ),
            &format!(
                "a new connection each run, from dialling to durable; the line had carried the bytes after p50 {} ms; {} in UDP a run",
                ms(line_only.at(0.5)),
                bytes(udp / runs as u64)
            ),
        );
    }
    line.city.stop().await;
    line.province.stop().await;
}
