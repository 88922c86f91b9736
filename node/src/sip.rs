//! Calls by SIP: the telephone system rings the node beside the agent's telephone, and so the form opens.
//!
//! ```text
//! caller ─INVITE─> telephone system ─┬─> the agent's telephone: it rings, and answers
//!                                    └─> the node: it rings, never answers, and hears by the CANCEL what became of it
//! datagram ──> message ──> agent ──> answers, and events ──> tell ──> desk::calls, as for `newCall`, `answer`, `hangup`
//!                     └──> register: our contact at the registrar, for each extension of an account
//! ```
//!
//! The stack is ours and small, because a silent branch needs little of one: no dialogue, no media, no name of a host is
//! looked up, nothing but UDP. What it answers and tells is decided without socket, clock or entropy (`agent`, `register`);
//! this file performs it.
//!
//! *Never*: a call is answered with 200; somebody who is not of `sip.proxies` gets an answer; a caller's number, or a
//! datagram, stands in a log.

mod again;
mod agent;
mod answer;
mod caller;
mod digest;
mod message;
mod options;
mod passwords;
mod register;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

pub use options::{RING_SECONDS, SipOptions, domain, extensions};

use crate::daemon::now_ms;
use crate::desk::Desk;
use crate::request::{Failure, FailureKind};
use crate::users::{CallEvent, Users};
use agent::{Agent, Effect, Heard};
use message::{Message, Start};
use passwords::Passwords;
use register::Registrar;

/// How often time is looked at while something waits.
const BEAT: Duration = Duration::from_millis(100);

/// How often extensions of accounts and the file of passwords are looked at, for the registrar.
const LOOK: Duration = Duration::from_secs(10);

/// How often it is told that what comes is no SIP.
const COMPLAINT: Duration = Duration::from_secs(30);

/// How long a stop waits until the registrar has let everybody go.
const LEAVING: Duration = Duration::from_secs(2);

/// How long a stop waits for each part.
const ENDING: Duration = Duration::from_secs(5);

/// Most strangers that are named in the log.
const STRANGERS: usize = 64;

/// What every part reaches.
struct App {
    desk: Arc<Desk>,
    users: Arc<Users>,
    options: SipOptions,
    counts: Counts,
}

/// What happened since the start.
#[derive(Default)]
struct Counts {
    events: [AtomicU64; 3],
    strangers: AtomicU64,
    malformed: AtomicU64,
    lost: AtomicU64,
    registered: Lock<BTreeMap<&'static str, u64>>,
}

const EVENTS: [CallEvent; 3] = [CallEvent::New, CallEvent::Answer, CallEvent::Hangup];

impl Counts {
    fn told(&self, event: CallEvent) {
        if let Some(at) = EVENTS.iter().position(|one| *one == event) {
            self.events[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// What metrics show of the SIP agent.
pub struct Seen {
    /// Events that the desk was told, by name.
    pub events: Vec<(&'static str, u64)>,
    /// Datagrams and events that led to nothing, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Extensions at the registrar, by how they stand.
    pub registered: BTreeMap<&'static str, u64>,
}

/// The SIP agent of a node that runs.
pub struct Sip {
    app: Arc<App>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Sip {
    /// Begins to listen, and to register. Must be called within a tokio runtime.
    pub async fn start(options: &SipOptions, dir: &Path, desk: Arc<Desk>) -> Result<Sip, Failure> {
        let Some(address) = options.listen else {
            return Err(Failure::new(FailureKind::Configuration, "calls by SIP have no address: sip.listen"));
        };
        let users = Arc::new(Users::open(dir)?);
        let tags = users.query_secret()?.derived("hotline 2026 sip tag");
        let rings = u64::from(options.ring_seconds) * 1_000;
        let agent = Agent::new(address, options.extensions.clone(), rings, tags, users.ringing(now_ms())?);
        if users.extensions()?.is_empty() {
            tracing::warn!(
                "calls by SIP open no form yet, for nobody has an extension: hotline user extension NAME NUMBER"
            );
        }
        let passwords = match &options.password {
            Some(path) => Passwords::read(path)?, // a file that is not there is told at the start
            None => Passwords::default(),
        };
        let registrar = match options.registrar {
            None => None,
            Some(registrar) => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|e| {
                    Failure::new(FailureKind::Failed, "the machine gives no entropy").because(e)
                })?;
                Some(Registrar::new(address, registrar, &options.domain, seed))
            }
        };
        let socket = UdpSocket::bind(address).await.map_err(|e| {
            Failure::new(FailureKind::Configuration, format!("cannot listen on {address} (UDP)"))
                .because(e)
                .hint("sip.listen is an address of its own: not that of links, and no other program's")
        })?;
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App { desk, users, options: options.clone(), counts: Counts::default() });
        let (tell, told) = mpsc::channel(tell::WAITING);
        let shell = Shell {
            app: app.clone(),
            socket,
            agent,
            registrar,
            users: options.users(),
            passwords,
            unread: false,
            tell,
            strangers: BTreeSet::new(),
            began: Instant::now(),
            complained: None,
        };
        let tasks = vec![tokio::spawn(shell.run(stopping)), tokio::spawn(tell::run(app.clone(), told))];
        tracing::info!(%address, registers = options.registrar.is_some(), "calls by SIP open forms");
        Ok(Sip { app, stop, tasks: Mutex::new(tasks) })
    }

    /// Leaves the registrar, tells the desk what is left, and ends. What rings goes on ringing at the next start.
    pub async fn stop(&self) {
        let _ = self.stop.send(true);
        for mut task in self.tasks.lock().await.drain(..) {
            // A disk that takes nothing holds no stop up.
            if tokio::time::timeout(ENDING, &mut task).await.is_err() {
                task.abort();
                tracing::error!("the last calls could not be written down before the stop");
            }
        }
    }

    /// What happened since the start.
    pub fn seen(&self) -> Seen {
        let counts = &self.app.counts;
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Seen {
            events: EVENTS.iter().zip(&counts.events).map(|(event, n)| (event.name(), count(n))).collect(),
            dropped: vec![
                ("stranger", count(&counts.strangers)),
                ("malformed", count(&counts.malformed)),
                ("lost", count(&counts.lost)),
            ],
            registered: counts.registered.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// What the socket's end wakes up for.
enum Woke {
    /// Somebody may have another extension.
    Look,
    /// Time has passed.
    Beat,
    /// A datagram, or what came instead.
    Got(std::io::Result<(usize, SocketAddr)>),
}

/// The socket's end of it: performs what agent and registrar decide.
struct Shell {
    app: Arc<App>,
    socket: UdpSocket,
    agent: Agent,
    registrar: Option<Registrar>,
    /// Whose user part at the registrar is not the extension.
    users: BTreeMap<String, String>,
    passwords: Passwords,
    /// The file of passwords could not be read, which was told.
    unread: bool,
    tell: mpsc::Sender<Heard>,
    strangers: BTreeSet<IpAddr>,
    began: Instant,
    complained: Option<Instant>,
}

impl Shell {
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut buffer = vec![0; 64 << 10];
        let mut beat = tokio::time::interval(BEAT);
        let mut look = tokio::time::interval(LOOK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let waits = self.agent.waits() || self.registrar.is_some();
            let woke = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                _ = look.tick(), if self.registrar.is_some() => Woke::Look,
                _ = beat.tick(), if waits => Woke::Beat,
                got = self.socket.recv_from(&mut buffer) => Woke::Got(got),
            };
            let effects = match woke {
                Woke::Look => self.look().await,
                Woke::Beat => self.tick(),
                Woke::Got(got) => self.got(got, &buffer).await,
            };
            self.perform(effects).await;
        }
        let effects = self.agent.finish();
        self.perform(effects).await;
        self.leave(&mut buffer).await;
    }

    /// Tells the registrar that nobody is here any more.
    async fn leave(&mut self, buffer: &mut [u8]) {
        let end = tokio::time::Instant::now() + LEAVING;
        let now = self.now();
        if let Some(registrar) = &mut self.registrar {
            registrar.leave(now);
        }
        let mut beat = tokio::time::interval(BEAT);
        while self.registrar.as_ref().is_some_and(|registrar| !registrar.is_empty()) {
            let effects = tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                _ = beat.tick() => self.tick(),
                got = self.socket.recv_from(buffer) => match got {
                    // Nobody new is rung any more.
                    Ok((n, from)) if Message::read(&buffer[..n]).is_some_and(|m| matches!(m.start, Start::Response(_))) => {
                        self.heard(&buffer[..n], from)
                    }
                    _ => Vec::new(),
                },
            };
            self.perform(effects).await;
        }
    }

    fn tick(&mut self) -> Vec<Effect> {
        let now = self.now();
        let mut effects = self.agent.tick(now);
        if let Some(registrar) = &mut self.registrar {
            effects.extend(registrar.tick(now));
            if let Some(stands) = registrar.changed() {
                *self.app.counts.registered.lock().unwrap_or_else(PoisonError::into_inner) = stands;
            }
        }
        effects
    }

    /// Whose extensions there are: those are registered. Whoever changes a password need not start the node anew.
    async fn look(&mut self) -> Vec<Effect> {
        self.look_at_passwords().await;
        let now = self.now();
        let Some(registrar) = &mut self.registrar else { return Vec::new() };
        match self.app.users.away(|users| users.extensions()).await {
            Ok(all) => {
                let users =
                    all.into_iter().map(|(_, of)| self.users.get(&of).cloned().unwrap_or(of)).collect();
                registrar.set(&users, now);
            }
            Err(failure) => {
                tracing::warn!(%failure, "extensions cannot be read now; registrations stay as they are")
            }
        }
        Vec::new()
    }

    /// While the file cannot be read, what it said before counts.
    async fn look_at_passwords(&mut self) {
        let Some(path) = self.app.options.password.clone() else { return };
        let read = tokio::task::spawn_blocking(move || Passwords::read(&path)).await;
        match read.unwrap_or_else(|e| Err(Failure::new(FailureKind::Failed, "reading failed").because(e))) {
            Ok(passwords) => (self.passwords, self.unread) = (passwords, false),
            Err(failure) => {
                if !std::mem::replace(&mut self.unread, true) {
                    tracing::warn!(%failure, causes = ?failure.causes, "the passwords of before are used");
                }
            }
        }
    }

    async fn got(&mut self, got: std::io::Result<(usize, SocketAddr)>, buffer: &[u8]) -> Vec<Effect> {
        match got {
            Ok((n, from)) => self.heard(&buffer[..n], from),
            Err(e) => {
                tracing::warn!(error = %e, "the socket for SIP failed; it is listened to again");
                tokio::time::sleep(BEAT).await;
                Vec::new()
            }
        }
    }

    fn heard(&mut self, bytes: &[u8], from: SocketAddr) -> Vec<Effect> {
        let now = self.now();
        if !self.app.options.proxies.contains(&from.ip().to_canonical()) {
            self.stranger(from.ip());
            return Vec::new();
        }
        let Some(message) = Message::read(bytes) else {
            // A telephone system keeps lines open with a few empty bytes.
            if bytes.iter().any(|b| !matches!(b, b'\r' | b'\n' | 0)) {
                self.malformed(from.ip());
            }
            return Vec::new();
        };
        match (&message.start, &mut self.registrar) {
            (Start::Request { .. }, _) => {
                let effects = self.agent.take(&message, from, now);
                if effects.is_none() {
                    self.malformed(from.ip());
                }
                effects.unwrap_or_default()
            }
            (Start::Response(_), Some(registrar)) => registrar.take(&message, from, now, &self.passwords),
            (Start::Response(_), None) => Vec::new(),
        }
    }

    fn stranger(&mut self, ip: IpAddr) {
        self.app.counts.strangers.fetch_add(1, Ordering::Relaxed);
        if self.strangers.len() < STRANGERS && self.strangers.insert(ip) {
            tracing::warn!(peer = %ip, "SIP is heard from the addresses of sip.proxies alone; this one gets no answer");
        }
    }

    fn malformed(&mut self, ip: IpAddr) {
        let so_far = self.app.counts.malformed.fetch_add(1, Ordering::Relaxed) + 1;
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
            self.complained = Some(Instant::now());
            tracing::warn!(peer = %ip, so_far, "a datagram was no message of SIP that can be answered, or a too large one");
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(to, bytes) => {
                    if let Err(e) = self.socket.send_to(&bytes, to).await {
                        tracing::debug!(%to, error = %e, "an answer by SIP was not sent");
                    }
                }
                Effect::Tell(heard) => {
                    if self.tell.try_send(heard).is_err() {
                        self.app.counts.lost();
                        tracing::error!("more calls come in than can be written down; one was not told");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::hmac;

    use super::message::Via;
    use super::*;

    const PBX: &str = "10.0.0.2:5060";

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn agent() -> Agent {
        let tags = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let before = ["before".to_owned()];
        Agent::new(address("10.0.0.5:5062"), BTreeMap::new(), 60_000, tags, before)
    }

    /// A registrar that has asked, and what it asked.
    fn registrar() -> (Registrar, String) {
        let mut registrar = Registrar::new(address("10.0.0.5:5062"), address(PBX), "pbx.example", [7; 32]);
        registrar.set(&BTreeSet::from(["8001".to_owned()]), 0);
        let asked = registrar.tick(10_000).into_iter().map(|effect| match effect {
            Effect::Send(_, bytes) => String::from_utf8(bytes).unwrap(),
            Effect::Tell(_) => panic!("nobody called"),
        });
        let asked = asked.collect();
        (registrar, asked)
    }

    /// What telephone systems say, to be spoilt.
    fn said(which: usize) -> String {
        let request = |method: &str, call: &str, further: &str| {
            format!(
                "{method} sip:8001@10.0.0.5 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;rport;branch=z9hG4bK{call}, \
                 SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKb\r\nRecord-Route: <sip:10.0.0.2;lr>\r\n\
                 From: \"Li \\\"\" <sip:13800000001@10.0.0.9>;tag=f\r\nTo:\r\n <sip:12328@10.0.0.2>\r\ni: {call}\r\n\
                 CSeq: 7 {method}\r\n{further}Content-Length: 2\r\n\r\nhi"
            )
        };
        let (_, asked) = registrar();
        let via = asked.lines().find(|line| line.starts_with("Via")).unwrap();
        let answer = |code: u16, further: &str| {
            format!("SIP/2.0 {code} x\r\n{via}\r\nCSeq: 1 REGISTER\r\n{further}\r\n\r\n")
        };
        match which {
            0 => request(
                "INVITE",
                "a",
                "P-Asserted-Identity: \"A, B\" <sip:li@x>, <tel:+86138>\r\nPrivacy: id\r\n",
            ),
            1 => request("INVITE", "b", "Require: 100rel\r\nTimestamp: 54\r\n"),
            2 => request("CANCEL", "before", "Reason: Q.850;cause=16, SIP;cause=200;text=\"x\"\r\n"),
            3 => request("OPTIONS", "c", ""),
            4 => answer(200, "Contact: <sip:8001@10.0.0.5:5062>;expires=100"),
            5 => answer(423, "Min-Expires: 3600"),
            _ => answer(
                401,
                "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", opaque=\"o\"",
            ),
        }
    }

    /// A message with some bytes that are others, and perhaps without its end.
    fn spoilt() -> impl Strategy<Value = Vec<u8>> {
        let signs = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n \t\"<>;,:=@%\\\0".to_vec())];
        let others = prop::collection::vec((any::<prop::sample::Index>(), signs), 0..4);
        (0..7usize, others, prop::option::weighted(0.2, any::<prop::sample::Index>())).prop_map(
            |(which, others, cut)| {
                let mut bytes = said(which).into_bytes();
                for (at, sign) in others {
                    *at.get_mut(&mut bytes) = sign;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
                bytes
            },
        )
    }

    /// Takes in whatever came, and waits until nothing waits any more. What goes out goes where it may, and is whole.
    fn hears(bytes: &[u8]) {
        let Some(message) = Message::read(bytes) else { return };
        let (mut agent, (mut registrar, _)) = (agent(), registrar());
        let is_request = matches!(message.start, Start::Request { .. });
        let mut effects = match is_request {
            true => agent.take(&message, address(PBX), 10_000).unwrap_or_default(),
            false => registrar.take(&message, address(PBX), 10_000, &Passwords::of("*:pw")),
        };
        effects.extend(agent.tick(10_000 + 60_000));
        effects.extend(agent.tick(10_000 + 60_000 + 32_000));
        effects.extend(agent.tick(10_000 + 60_000 + 34_000));
        assert!(!agent.waits(), "it waits for ever");
        for effect in effects {
            let Effect::Send(to, out) = effect else { continue };
            assert_eq!(to.ip(), address(PBX).ip());
            let text = String::from_utf8(out).expect("what goes out is text");
            let smuggled = text.split("\r\n").any(|line| line.chars().any(|c| c.is_control() && c != '\t'));
            assert!(!smuggled, "{text:?}");
            let out = Message::read(text.as_bytes()).expect("what goes out is a message");
            assert!(out.whole && Via::top(&out).is_some() && out.sequence().is_some());
            assert_eq!(matches!(out.start, Start::Response(_)), is_request);
            assert_eq!(out.all("content-length").collect::<Vec<_>>(), ["0"], "nobody adds a line");
        }
    }

    #[test]
    fn what_is_not_spoilt_is_answered() {
        for which in 0..7 {
            let message = Message::read(said(which).as_bytes()).unwrap();
            let (mut agent, (mut registrar, _)) = (agent(), registrar());
            let effects = match message.start {
                Start::Request { .. } => agent.take(&message, address(PBX), 10_000).unwrap().len(),
                Start::Response(_) => {
                    registrar.take(&message, address(PBX), 10_000, &Passwords::of("*:pw")).len()
                }
            };
            assert_eq!(effects, [3, 1, 2, 1, 0, 1, 1][which], "{which}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_comes_is_survived(bytes in spoilt()) {
            hears(&bytes);
        }

        #[test]
        fn noise_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            hears(&bytes);
            hears(&[b"INVITE sip:8001@x SIP/2.0\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat());
        }
    }
}
