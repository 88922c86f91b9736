//! Registering: the node is a further contact of each extension at the telephone system's registrar, which then rings the
//! node beside the agent's telephone. Like the agent it holds no socket, no clock and no entropy of its own.
//!
//! ```text
//! waiting ──REGISTER──> asked ──401──> asked again, with the digest ──200──> registered ── half its time ──> asked
//!                         └── 403, 401 again, nothing for 32 s ──> refused or unanswered, asked again ever later
//! at a clean stop, and when an account loses its extension: REGISTER with `Expires: 0`
//! ```
//!
//! A node that was killed stays registered until its time is over. That costs the telephone system a branch that nobody
//! answers, and no call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::again::Again;
use super::agent::Effect;
use super::answer::ALLOWED;
use super::digest::Challenge;
use super::message::{Message, Start, Via, parameter, split, uri_of};
use super::passwords::Passwords;
use crate::hex::hex;

/// For how many seconds it registers, unless the registrar wants more, and the most and least that it takes.
const EXPIRES: u32 = 600;
const LONGEST: u32 = 86_400;
const SHORTEST: u32 = 10;

/// Most extensions.
const MAX_LINES: usize = 2_000;

/// How often a challenge is answered until the registrar has said yes: a nonce may have become old once.
const MAX_PROOFS: u8 = 2;

/// The first wait after a refusal, which doubles up to the longest.
const FIRST: u64 = 30_000;
const LAST: u64 = 600_000;

/// New ones begin within so many milliseconds, so that a hundred extensions are no burst.
const SPREAD: u64 = 2_000;

/// How one extension stands at the registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stand {
    /// It was not asked yet, or has not answered yet.
    Waiting,
    /// It is registered.
    Registered,
    /// The registrar said no, with this code.
    Refused(u16),
    /// The registrar says nothing.
    Unanswered,
    /// The registrar takes it for so few seconds that it would be asked without a pause.
    TooShort(u32),
    /// There is no password for it.
    NoPassword,
}

impl Stand {
    /// As metrics name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Stand::Waiting => "waiting",
            Stand::Registered => "registered",
            Stand::Refused(_) | Stand::TooShort(_) => "refused",
            Stand::Unanswered => "unanswered",
            Stand::NoPassword => "no-password",
        }
    }
}

/// A request that waits for its answer.
struct Asking {
    branch: String,
    bytes: Vec<u8>,
    again: Again,
    /// How many challenges were answered in a row, with this request.
    proofs: u8,
    expires: u32,
}

struct Line {
    call_id: String,
    tag: String,
    sequence: u32,
    stand: Stand,
    asking: Option<Asking>,
    due: u64,
    /// Until when the registrar may ring here, whatever it has answered since.
    until: u64,
    failures: u32,
    expires: u32,
    leaving: bool,
}

/// All extensions at one registrar.
pub(super) struct Registrar {
    listen: SocketAddr,
    registrar: SocketAddr,
    domain: String,
    lines: BTreeMap<String, Line>,
    /// Whether some line stands otherwise than it was last told.
    changed: bool,
    seed: [u8; 32],
    drawn: u64,
}

impl Registrar {
    /// Nobody is registered yet. `seed` is entropy of this start.
    pub(super) fn new(listen: SocketAddr, registrar: SocketAddr, domain: &str, seed: [u8; 32]) -> Registrar {
        let domain = if domain.is_empty() { host(registrar) } else { domain.to_owned() };
        Registrar { listen, registrar, domain, lines: BTreeMap::new(), changed: true, seed, drawn: 0 }
    }

    fn draw(&mut self) -> [u8; 12] {
        self.drawn += 1;
        let hash = blake3::keyed_hash(&self.seed, &self.drawn.to_le_bytes());
        let mut drawn = [0; 12];
        drawn.copy_from_slice(&hash.as_bytes()[..12]);
        drawn
    }

    /// A number below this one.
    fn below(&mut self, most: u64) -> u64 {
        let [a, b, c, d, ..] = self.draw();
        u64::from(u32::from_le_bytes([a, b, c, d])) % most.max(1)
    }

    /// Says which users there are: new ones are registered, others are no longer.
    pub(super) fn set(&mut self, users: &BTreeSet<String>, now: u64) {
        for user in users.iter().take(MAX_LINES) {
            if let Some(line) = self.lines.get_mut(user) {
                if line.leaving {
                    (line.leaving, line.due, line.asking) = (false, now, None);
                }
                continue;
            }
            let line = Line {
                call_id: hex(&self.draw()),
                tag: hex(&self.draw()[..6]),
                sequence: 0,
                stand: Stand::Waiting,
                asking: None,
                due: now + self.below(SPREAD),
                until: 0,
                failures: 0,
                expires: EXPIRES,
                leaving: false,
            };
            self.lines.insert(user.clone(), line);
            self.changed = true;
        }
        let gone: Vec<String> = self.lines.keys().filter(|user| !users.contains(*user)).cloned().collect();
        for user in gone {
            self.take_leave(&user, now);
        }
    }

    fn take_leave(&mut self, user: &str, now: u64) {
        let Some(line) = self.lines.get_mut(user) else { return };
        let may_stand = now < line.until || line.asking.is_some();
        if !may_stand {
            self.forget(user);
        } else if !line.leaving {
            (line.leaving, line.due, line.asking) = (true, now, None);
        }
    }

    fn forget(&mut self, user: &str) {
        self.lines.remove(user);
        self.changed = true;
    }

    /// Nobody is to be registered any more.
    pub(super) fn leave(&mut self, now: u64) {
        self.set(&BTreeSet::new(), now);
    }

    /// Whether nobody is left who could be registered.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many stand how, if that is otherwise than it was last told.
    pub(super) fn changed(&mut self) -> Option<BTreeMap<&'static str, u64>> {
        std::mem::take(&mut self.changed).then(|| self.stands())
    }

    fn stands(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for line in self.lines.values() {
            *counts.entry(line.stand.name()).or_default() += 1;
        }
        counts
    }

    fn ask(&mut self, user: &str, proof: Option<(&str, &str)>, now: u64) -> Option<Effect> {
        let branch = format!("z9hG4bK{}", hex(&self.draw()));
        let (listen, domain) = (self.listen, &self.domain);
        let line = self.lines.get_mut(user)?;
        line.sequence += 1;
        let expires = if line.leaving { 0 } else { line.expires };
        let proof_line = proof.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        let bytes = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {listen};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{domain}>;tag={}\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n\
             Contact: <sip:{user}@{listen}>\r\nExpires: {expires}\r\n{proof_line}Allow: {ALLOWED}\r\nContent-Length: 0\r\n\r\n",
            line.tag, line.call_id, line.sequence
        )
        .into_bytes();
        let sent = bytes.clone();
        let before = line.asking.as_ref().map_or(0, |asking| asking.proofs);
        let proofs = if proof.is_some() { before + 1 } else { 0 };
        line.asking = Some(Asking { branch, bytes, again: Again::new(now), proofs, expires });
        Some(Effect::Send(self.registrar, sent))
    }

    /// What time brings.
    pub(super) fn tick(&mut self, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let (mut due, mut silent) = (Vec::new(), Vec::new());
        for (user, line) in &mut self.lines {
            let Some(asking) = &mut line.asking else {
                if now >= line.due {
                    due.push(user.clone());
                }
                continue;
            };
            if asking.again.is_over(now) {
                silent.push(user.clone());
            } else if asking.again.comes(now) {
                effects.push(Effect::Send(self.registrar, asking.bytes.clone()));
            }
        }
        for user in silent {
            self.failed(&user, Stand::Unanswered, None, now);
        }
        for user in due {
            effects.extend(self.ask(&user, None, now));
        }
        effects
    }

    /// It did not succeed; it is tried again after a while.
    fn failed(&mut self, user: &str, stand: Stand, after: Option<u64>, now: u64) {
        let jitter = 500 + self.below(500);
        let Some(line) = self.lines.get_mut(user) else { return };
        if line.leaving {
            return self.forget(user);
        }
        let wait = FIRST.saturating_mul(1 << line.failures.min(10)).min(LAST) * jitter / 1_000;
        if line.stand != stand {
            let seconds = wait / 1_000;
            tracing::warn!(user, registrar = %self.registrar, why = ?stand, seconds,
                "an extension is not registered, and calls to it open no form: see docs/sip.md");
        }
        (line.stand, line.asking, line.failures) = (stand, None, line.failures + 1);
        self.changed = true;
        line.due = now + after.unwrap_or(0).max(wait);
    }

    /// Takes in an answer.
    pub(super) fn take(
        &mut self,
        message: &Message,
        from: SocketAddr,
        now: u64,
        passwords: &Passwords,
    ) -> Vec<Effect> {
        let Start::Response(code) = message.start else { return Vec::new() };
        let Some(via) = Via::top(message) else { return Vec::new() };
        let asked = |line: &Line| line.asking.as_ref().is_some_and(|asking| asking.branch == via.branch);
        if from.ip() != self.registrar.ip() {
            return Vec::new();
        }
        let Some((user, line)) = self.lines.iter_mut().find(|(_, line)| asked(line)) else {
            return Vec::new();
        };
        let user = user.clone();
        let Some(asking) = line.asking.as_ref() else { return Vec::new() };
        let (proofs, expires) = (asking.proofs, asking.expires);
        let goes_on = |challenge: &Challenge| proofs == 0 || challenge.stale && proofs < MAX_PROOFS;
        match code {
            100..200 => Vec::new(),
            200..300 if line.leaving => {
                self.forget(&user);
                Vec::new()
            }
            200..300 => {
                self.registered(
                    &user,
                    granted(message, &format!("sip:{user}@{}", self.listen), expires),
                    now,
                );
                Vec::new()
            }
            401 | 407 => match Challenge::of(message).filter(goes_on) {
                Some(challenge) => self.prove(&user, &challenge, now, passwords),
                None => {
                    self.failed(&user, Stand::Refused(code), None, now);
                    Vec::new()
                }
            },
            // Whoever leaves asks for nothing, and no longer time is nothing.
            423 if !line.leaving => {
                let least = message.first("min-expires").and_then(|least| least.parse::<u32>().ok());
                match least.filter(|least| (expires + 1..=LONGEST).contains(least)) {
                    Some(least) => {
                        line.expires = least;
                        self.ask(&user, None, now).into_iter().collect()
                    }
                    None => {
                        self.failed(&user, Stand::Refused(code), None, now);
                        Vec::new()
                    }
                }
            }
            _ => {
                let after = message.first("retry-after").and_then(|said| {
                    let digits: String = said.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse::<u64>().ok()
                });
                self.failed(&user, Stand::Refused(code), after.map(|s| s.min(3_600) * 1_000), now);
                Vec::new()
            }
        }
    }

    fn prove(&mut self, user: &str, challenge: &Challenge, now: u64, passwords: &Passwords) -> Vec<Effect> {
        let drawn = hex(&self.draw());
        match passwords.get(user) {
            Some(password) => {
                let uri = format!("sip:{}", self.domain);
                let value = challenge.answered(user, password, "REGISTER", &uri, &drawn);
                self.ask(user, Some((challenge.answer_in, &value)), now).into_iter().collect()
            }
            None => {
                if self.lines.get(user).is_some_and(|line| line.stand != Stand::NoPassword) {
                    tracing::error!(
                        user,
                        "the registrar asks for a password: sip.password has no line for this user, and none for *"
                    );
                }
                self.failed(user, Stand::NoPassword, None, now);
                Vec::new()
            }
        }
    }

    fn registered(&mut self, user: &str, seconds: u32, now: u64) {
        let ms = u64::from(seconds) * 1_000;
        let jitter = self.below(ms / 4);
        let Some(line) = self.lines.get_mut(user) else { return };
        line.until = now + ms;
        if seconds < SHORTEST {
            return self.failed(user, Stand::TooShort(seconds), None, now);
        }
        if line.stand != Stand::Registered {
            tracing::info!(user, registrar = %self.registrar, seconds, "an extension is registered");
        }
        (line.stand, line.asking, line.failures) = (Stand::Registered, None, 0);
        self.changed = true;
        line.due = now + ms / 2 + jitter;
    }
}

/// An address as a URI has it.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// For how many seconds our contact was taken.
fn granted(message: &Message, contact: &str, asked: u32) -> u32 {
    let all = message.all("contact").flat_map(|value| split(value, ','));
    let ours = all.into_iter().find(|value| uri_of(value).eq_ignore_ascii_case(contact));
    let said = ours.and_then(|value| parameter(value, "expires")).or_else(|| message.first("expires"));
    said.and_then(|said| said.parse().ok()).unwrap_or(asked).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "pbx.example";

    fn new(users: &[&str]) -> Registrar {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut registrar = Registrar::new(at("10.0.0.5:5062"), at("10.0.0.2:5060"), DOMAIN, [7; 32]);
        registrar.set(&users.iter().map(|user| (*user).to_owned()).collect(), 0);
        registrar
    }

    /// What goes out, as text.
    fn sent(effects: Vec<Effect>) -> Vec<String> {
        let text = |effect| match effect {
            Effect::Send(to, bytes) => {
                assert_eq!(to, "10.0.0.2:5060".parse().unwrap());
                String::from_utf8(bytes).unwrap()
            }
            Effect::Tell(..) => panic!("a registration tells the desk nothing"),
        };
        effects.into_iter().map(text).collect()
    }

    /// The registrar's answer to what was asked.
    fn answers(registrar: &mut Registrar, asked: &str, code: u16, headers: &str, now: u64) -> Vec<String> {
        let via = asked.lines().find(|line| line.starts_with("Via")).unwrap();
        let text = format!("SIP/2.0 {code} x\r\n{via}\r\nCSeq: 1 REGISTER\r\n{headers}\r\n\r\n");
        let message = Message::read(text.as_bytes()).unwrap();
        let (stranger, passwords) = ("10.0.0.9:5060".parse().unwrap(), Passwords::of("*:pw"));
        assert!(registrar.take(&message, stranger, now, &passwords).is_empty());
        sent(registrar.take(&message, "10.0.0.2:5060".parse().unwrap(), now, &passwords))
    }

    const ASKS: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n";

    #[test]
    fn it_proves_itself_renews_and_leaves() {
        let mut registrar = new(&["8001"]);
        let first = sent(registrar.tick(SPREAD));
        assert!(first[0].contains("Contact: <sip:8001@10.0.0.5:5062>\r\nExpires: 600\r\n"), "{first:?}");
        let again = sent(registrar.tick(SPREAD + 500));
        assert_eq!(again, first, "an answer may be lost");
        let proof = answers(&mut registrar, &first[0], 401, ASKS, SPREAD + 500);
        assert!(
            proof[0].contains("Authorization: Digest username=\"8001\"") && proof[0].contains("CSeq: 2 ")
        );
        assert!(answers(&mut registrar, &first[0], 401, ASKS, SPREAD + 500).is_empty(), "it was answered");
        let granted = "Contact: <sip:8001@10.0.0.9>;expires=50, <sip:8001@10.0.0.5:5062>;expires=100\r\n";
        assert!(answers(&mut registrar, &proof[0], 200, granted, 3_000).is_empty());
        assert_eq!(registrar.stands(), BTreeMap::from([("registered", 1)]));
        assert!(registrar.tick(52_999).is_empty());
        let renewed = sent(registrar.tick(78_000));
        assert_eq!(renewed.len(), 1);
        answers(&mut registrar, &renewed[0], 200, "", 78_000);
        registrar.leave(80_000);
        let left = sent(registrar.tick(80_000));
        assert!(left[0].contains("Expires: 0\r\n"), "{left:?}");
        let left = answers(&mut registrar, &left[0], 401, ASKS, 80_000);
        assert!(left[0].contains("Expires: 0\r\n") && left[0].contains("Authorization"));
        answers(&mut registrar, &left[0], 200, "", 80_000);
        assert!(registrar.is_empty());
    }

    #[test]
    fn a_refusal_is_told_and_tried_again_ever_later() {
        let mut registrar = new(&["8001", "8002"]);
        let asked = sent(registrar.tick(SPREAD));
        let [one, other] = asked.as_slice() else { panic!("{asked:?}") };
        let proof = answers(&mut registrar, one, 401, ASKS, 2_000);
        assert!(answers(&mut registrar, &proof[0], 401, ASKS, 2_000).is_empty(), "the password is wrong");
        let longer = answers(&mut registrar, other, 423, "Min-Expires: 3600\r\n", 2_000);
        assert!(longer[0].contains("Expires: 3600\r\n"));
        answers(&mut registrar, &longer[0], 200, "", 2_000);
        assert_eq!(registrar.stands(), BTreeMap::from([("refused", 1), ("registered", 1)]));
        assert!(registrar.tick(2_000 + FIRST / 2 - 1).is_empty());
        let mut now = 2_000 + FIRST;
        assert_eq!(sent(registrar.tick(now)).len(), 1);
        // Nobody answers: eleven times in 32 seconds, then it is given up for a while.
        let mut times = 1;
        while registrar.stands().contains_key("refused") {
            now += 100;
            times += sent(registrar.tick(now)).len();
        }
        assert_eq!((times, registrar.stands()["unanswered"]), (11, 1));
        let silent_from = now;
        while sent(registrar.tick(now)).is_empty() {
            now += 1_000;
        }
        assert!((FIRST..=2 * FIRST + 1_000).contains(&(now - silent_from)), "{}", now - silent_from);
        registrar.set(&BTreeSet::from(["8002".to_owned()]), now);
        let left = sent(registrar.tick(now));
        assert!(
            left.len() == 1 && left[0].contains("sip:8001@") && left[0].contains("Expires: 0\r\n"),
            "{left:?}"
        );
        answers(&mut registrar, &left[0], 200, "", now);
        assert_eq!(registrar.stands(), BTreeMap::from([("registered", 1)]));
    }

    #[test]
    fn a_registrar_that_never_has_enough_is_left_alone() {
        let mut registrar = new(&["8001"]);
        let mut asked = sent(registrar.tick(SPREAD));
        let old = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", stale=true\r\n";
        let mut proofs = 0;
        while let Some(one) = asked.pop() {
            asked = answers(&mut registrar, &one, 401, old, SPREAD);
            proofs += asked.len();
            assert!(proofs <= 2, "every nonce is old by now, and there is no end");
        }
        assert_eq!((proofs, registrar.stands()), (2, BTreeMap::from([("refused", 1)])));

        let mut registrar = new(&["8001"]);
        let asked = sent(registrar.tick(SPREAD));
        answers(&mut registrar, &asked[0], 200, "", SPREAD);
        registrar.leave(3_000);
        let left = sent(registrar.tick(3_000));
        let more = answers(&mut registrar, &left[0], 423, "Min-Expires: 60\r\n", 3_000);
        assert!(more.is_empty() && registrar.is_empty(), "{more:?}");
    }

    #[test]
    fn what_may_still_stand_is_taken_back_though_the_renewal_failed() {
        let mut registrar = new(&["8001", "8002"]);
        for asked in sent(registrar.tick(SPREAD)) {
            answers(&mut registrar, &asked, 200, "", SPREAD);
        }
        for asked in sent(registrar.tick(500_000)) {
            answers(&mut registrar, &asked, 403, "", 500_000);
        }
        assert_eq!(registrar.stands(), BTreeMap::from([("refused", 2)]));
        registrar.set(&BTreeSet::from(["8002".to_owned()]), 501_000);
        let left = sent(registrar.tick(501_000));
        assert!(left.len() == 1 && left[0].contains("Expires: 0\r\n"), "{left:?}");
        answers(&mut registrar, &left[0], 200, "", 501_000);
        registrar.leave(SPREAD + 600_000);
        assert!(registrar.is_empty(), "its time is over");
    }

    #[test]
    fn what_is_granted_counts_and_hardly_anything_is_a_refusal() {
        let mut registrar = new(&["8001"]);
        let asked = sent(registrar.tick(SPREAD));
        answers(&mut registrar, &asked[0], 200, "Expires: 20\r\n", SPREAD);
        let mut waited = 0;
        while sent(registrar.tick(SPREAD + waited)).is_empty() {
            waited += 100;
        }
        assert!((10_000..=15_100).contains(&waited), "{waited}");
        for (granted, stands_a_while) in [("9", true), ("0", false)] {
            let mut registrar = new(&["8001"]);
            let asked = sent(registrar.tick(SPREAD));
            answers(&mut registrar, &asked[0], 200, &format!("Expires: {granted}\r\n"), SPREAD);
            assert_eq!(registrar.stands(), BTreeMap::from([("refused", 1)]));
            assert!(registrar.tick(SPREAD + FIRST / 2 - 1).is_empty(), "it is left alone for a while");
            registrar.leave(SPREAD + 1_000);
            assert_eq!(!registrar.is_empty(), stands_a_while, "{granted}");
        }
    }

    #[test]
    fn without_a_password_nothing_is_sent() {
        let mut registrar = new(&["8001"]);
        let asked = sent(registrar.tick(SPREAD));
        let via = asked[0].lines().find(|line| line.starts_with("Via")).unwrap();
        let message = Message::read(format!("SIP/2.0 401 x\r\n{via}\r\n{ASKS}\r\n").as_bytes()).unwrap();
        let from = "10.0.0.2:5060".parse().unwrap();
        assert_eq!(registrar.changed(), Some(BTreeMap::from([("waiting", 1)])));
        assert!(registrar.take(&message, from, 9, &Passwords::of("8002:pw")).is_empty());
        assert_eq!(registrar.changed(), Some(BTreeMap::from([("no-password", 1)])));
        assert_eq!(registrar.changed(), None);
        registrar.leave(10);
        assert!(registrar.is_empty(), "it was not registered");
    }
}
