//! The agent: what it answers, and what it tells the desk. It holds no socket, no clock and no entropy: datagrams and
//! instants come in, answers and events go out.
//!
//! ```text
//! INVITE ──> 100, 180 ──> ringing ──CANCEL──> 200 to it, 487 ──ACK──> done      487 again and again until the ACK, for 32 s
//!                            └─ nobody said anything for as long as telephones ring: 480
//!
//! of a call (one Call-ID, one or more branches, one for each extension that rings):
//!   its first branch            newCall
//!   CANCEL: answered elsewhere  answer, by the extension that rang; by nobody named where several rang at once
//!   all branches are gone       hangup, two seconds later: a proxy that tries one after the other goes on before
//! ```
//!
//! It never answers with 200 and so never takes a call: the agent's telephone does. Several branches of one call come in
//! where several extensions ring; RFC 3261 (8.2.2.2) would have all but one answered 482, which is for requests that
//! went round in a circle, and these did not.
//!
//! *Tags are computed* of what both lives of a node know, so one that was started anew in the middle of a call answers
//! a CANCEL as the one before would have. Of two branches that were both begun before, nobody remembers which one rang
//! alone: so it waits a moment for the other ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use ring::hmac;

use super::again::Again;
use super::answer::{self, Answers};
use super::caller;
use super::message::{Message, Start, Via};
use crate::desk::calls;
use crate::hex::hex;
use crate::users::{CallEvent, Told};

/// Most INVITEs that are known at once; past it a telephone system hears 503.
const MAX_INVITES: usize = 2_000;

/// So many new calls at once, and in a second, are told to the desk; past it a telephone system hears 503.
const CALLS_BURST: f64 = 200.0;
const CALLS_A_SECOND: f64 = 20.0;

/// How long an ACK that comes again is expected (timer I).
const T4: u64 = 5_000;

/// How long what may still come is waited for before a call is told to be over.
const LINGER: u64 = 2_000;

/// What the agent does, as an answer says it.
const ALLOW: (&str, &str) = ("Allow", answer::ALLOWED);

/// What is to be done.
pub(super) enum Effect {
    /// A datagram goes out.
    Send(SocketAddr, Vec<u8>),
    /// The desk is told.
    Tell(Heard),
}

/// What was heard of a call.
pub(super) struct Heard {
    /// Where it came from.
    pub(super) from: IpAddr,
    /// The caller's extension, if it is one of the house; a stranger's name or number otherwise.
    pub(super) caller: String,
    pub(super) told: Told,
}

/// A request's name: where it came from, and what its topmost `Via` says.
type Key = (IpAddr, String, String);

/// How far an INVITE is.
enum State {
    /// It rings, since then.
    Ringing(u64),
    /// It was answered for good, and nobody has acknowledged that yet.
    Over(Again),
    /// That was acknowledged.
    Acknowledged(u64),
}

struct Invite {
    state: State,
    call: String,
    extension: String,
    answers: Answers,
    /// What is said when it comes again.
    last: Vec<u8>,
}

/// A call of which the desk has heard.
struct Call {
    from: IpAddr,
    caller: String,
    number: Option<String>,
    called: String,
    /// Extensions that ring, as often as they do.
    ringing: Vec<String>,
    /// Extensions beside which somebody answered, as far as nobody has been told yet.
    elsewhere: BTreeSet<String>,
    answered: bool,
    /// When it is decided what became of it.
    due: Option<u64>,
}

impl Call {
    /// What a message says of it.
    fn of(message: &Message, from: IpAddr, caller: String) -> Call {
        Call {
            from,
            caller,
            number: caller::number(message),
            called: caller::called(message),
            ringing: Vec::new(),
            elsewhere: BTreeSet::new(),
            answered: false,
            due: None,
        }
    }

    fn told(&self, id: &str, event: CallEvent, by: Vec<String>) -> Effect {
        let (number, called) = (self.number.clone(), self.called.clone());
        let told = Told { call: id.to_owned(), event, number, called, queue: String::new(), by };
        Effect::Tell(Heard { from: self.from, caller: self.caller.clone(), told })
    }

    /// The extension of whoever answered beside us, if it can be but one.
    fn sole(&self) -> Vec<String> {
        let all = self.ringing.iter().chain(&self.elsewhere).filter(|name| !name.is_empty());
        let all: BTreeSet<&String> = all.collect();
        if all.len() == 1 { all.into_iter().cloned().collect() } else { Vec::new() }
    }
}

/// The agent.
pub(super) struct Agent {
    contact: String,
    extensions: BTreeMap<String, String>,
    /// For how many milliseconds it rings.
    rings: u64,
    tags: hmac::Key,
    invites: BTreeMap<Key, Invite>,
    calls: BTreeMap<String, Call>,
    /// Calls that rang when this life of the node began.
    before: BTreeSet<String>,
    /// How many calls may still come at once, as of then.
    room: (f64, u64),
}

impl Agent {
    /// An agent at this address. `extensions` says whose a user part is that is no extension itself; after `rings`
    /// milliseconds nobody will say any more what became of an INVITE; `tags` is the same in every life of the node;
    /// `before` are calls that rang when it began.
    pub(super) fn new(
        listen: SocketAddr,
        extensions: BTreeMap<String, String>,
        rings: u64,
        tags: hmac::Key,
        before: impl IntoIterator<Item = String>,
    ) -> Agent {
        Agent {
            contact: format!("<sip:{listen}>"),
            extensions,
            rings,
            tags,
            invites: BTreeMap::new(),
            calls: BTreeMap::new(),
            before: before.into_iter().collect(),
            room: (CALLS_BURST, 0),
        }
    }

    /// Whether time changes anything.
    pub(super) fn waits(&self) -> bool {
        !self.invites.is_empty() || !self.calls.is_empty()
    }

    /// Takes in a request from there. `None` when it cannot be answered, for it lacks what has to stand in an answer.
    pub(super) fn take(&mut self, message: &Message, from: SocketAddr, now: u64) -> Option<Vec<Effect>> {
        let Start::Request { method, uri } = &message.start else { return None };
        let via = Via::top(message)?;
        let key = (from.ip(), via.sent_by.to_ascii_lowercase(), via.branch.to_owned());
        if method == "ACK" {
            self.acknowledged(&key, now);
            return Some(Vec::new());
        }
        let said_id = message.first("call-id").unwrap_or_default();
        let tag = hmac::sign(&self.tags, [said_id, &key.1, &key.2].join("\n").as_bytes());
        let answers = Answers::of(message, &via, from, &hex(&tag.as_ref()[..8]))?;
        let say = |status, further: &[(&str, &str)]| {
            vec![Effect::Send(answers.to, answers.say(status, method, further))]
        };
        let hops = message.first("max-forwards").is_none_or(|hops| hops.parse::<u8>().is_ok());
        let sequence = message.sequence().is_some_and(|(_, of)| of == method);
        let (true, true, true, Some(id)) = (message.whole, hops, sequence, calls::call_id(said_id)) else {
            return Some(say(answer::BAD_REQUEST, &[]));
        };
        Some(match method.as_str() {
            "INVITE" | "OPTIONS" if message.first("require").is_some_and(|tags| !tags.is_empty()) => {
                let tags = message.all("require").collect::<Vec<_>>().join(", ");
                say(answer::BAD_EXTENSION, &[("Unsupported", &tags)])
            }
            "INVITE" => self.invited(message, uri, key, id, answers, now),
            "CANCEL" => self.cancelled(message, uri, key, id, answers, now),
            "OPTIONS" => say(answer::OK, &[ALLOW, ("Accept", "application/sdp"), ("Supported", "")]),
            _ => say(answer::NOT_ALLOWED, &[ALLOW]),
        })
    }

    /// The extension that a user part stands for; of none it is nothing.
    fn extension(&self, user: Option<String>) -> String {
        let user = user.unwrap_or_default();
        self.extensions.get(&user).cloned().unwrap_or(user)
    }

    /// Whether one more call may come.
    fn has_room(&mut self, now: u64) -> bool {
        let (room, at) = self.room;
        let more = now.saturating_sub(at) as f64 / 1_000.0 * CALLS_A_SECOND;
        let room = (room + more).min(CALLS_BURST);
        let has = room >= 1.0;
        self.room = (if has { room - 1.0 } else { room }, now);
        has
    }

    fn invited(
        &mut self,
        message: &Message,
        uri: &str,
        key: Key,
        id: String,
        answers: Answers,
        now: u64,
    ) -> Vec<Effect> {
        let to = answers.to;
        if let Some(known) = self.invites.get(&key) {
            return match known.state {
                State::Acknowledged(_) => Vec::new(),
                _ => vec![Effect::Send(to, known.last.clone())],
            };
        }
        let say = |status, further: &[(&str, &str)]| Effect::Send(to, answers.say(status, "INVITE", further));
        if message.first("to").is_some_and(|value| super::message::parameter(value, "tag").is_some()) {
            return vec![say(answer::NO_SUCH_CALL, &[])]; // inside a dialogue, and there is none
        }
        let scheme = uri.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if !["sip", "sips", "tel"].contains(&scheme.as_str()) {
            return vec![say(answer::BAD_SCHEME, &[])];
        }
        // An id that holds the number some other way would stand in logs, of whoever does not want it shown, too.
        let holds = caller::numbers(message).any(|number| calls::holds(&id, Some(&number)));
        let id = if holds { calls::hashed(&id) } else { id };
        let mut call = Call::of(message, key.0, self.extension(caller::user(message)));
        let fresh = !self.calls.contains_key(&id);
        if self.invites.len() >= MAX_INVITES || fresh && !self.has_room(now) {
            return vec![say(answer::BUSY, &[("Retry-After", "5")])];
        }
        let extension = self.extension(caller::user_of(uri));
        let ringing = answers.say(answer::RINGING, "INVITE", &[("Contact", &self.contact), ALLOW]);
        let mut effects = vec![say(answer::TRYING, &[]), Effect::Send(to, ringing.clone())];
        if fresh {
            effects.push(call.told(&id, CallEvent::New, Vec::new()));
        } else if let Some(known) = self.calls.remove(&id) {
            call = known;
        }
        call.ringing.push(extension.clone());
        call.due = call.due.filter(|_| !call.elsewhere.is_empty()); // it goes on: another telephone is tried
        self.calls.insert(id.clone(), call);
        let state = State::Ringing(now);
        self.invites.insert(key, Invite { state, call: id, extension, answers, last: ringing });
        effects
    }

    fn cancelled(
        &mut self,
        message: &Message,
        uri: &str,
        key: Key,
        id: String,
        answers: Answers,
        now: u64,
    ) -> Vec<Effect> {
        let say = |status| Effect::Send(answers.to, answers.say(status, "CANCEL", &[]));
        let elsewhere = caller::answered_elsewhere(message);
        match self.invites.get_mut(&key) {
            Some(Invite { state: State::Ringing(_), .. }) => {
                let mut effects = vec![say(answer::OK)];
                effects.extend(self.ends(&key, answer::TERMINATED, elsewhere, now));
                effects
            }
            Some(_) => vec![say(answer::OK)],
            None => {
                // Of a call that rang when the node ended: what is said of it still counts. The CANCEL does not tell whether
                // the number in it may be shown, nor the one for which the id was hashed.
                let mut ids = [id.clone(), calls::hashed(&id)].into_iter();
                let known = ids.find(|id| self.before.contains(id));
                let Some(id) = known.filter(|_| self.invites.len() < MAX_INVITES) else {
                    return vec![say(answer::NO_SUCH_CALL)];
                };
                let extension = self.extension(caller::user_of(uri));
                // It was no colleague's: of those the desk has not heard.
                let call = Call { number: None, ..Call::of(message, key.0, String::new()) };
                let call = self.calls.entry(id.clone()).or_insert(call);
                if elsewhere {
                    call.elsewhere.insert(extension.clone());
                }
                if elsewhere || call.ringing.is_empty() {
                    call.due = Some(now + LINGER);
                }
                let last = answers.say(answer::TERMINATED, "INVITE", &[]);
                let effects = vec![say(answer::OK), Effect::Send(answers.to, last.clone())];
                let state = State::Over(Again::new(now));
                self.invites.insert(key, Invite { state, call: id, extension, answers, last });
                effects
            }
        }
    }

    /// An INVITE that rang is answered for good.
    fn ends(&mut self, key: &Key, status: answer::Status, elsewhere: bool, now: u64) -> Vec<Effect> {
        let Some(invite) = self.invites.get_mut(key) else { return Vec::new() };
        invite.state = State::Over(Again::new(now));
        invite.last = invite.answers.say(status, "INVITE", &[]);
        let mut effects = vec![Effect::Send(invite.answers.to, invite.last.clone())];
        let Some(call) = self.calls.get_mut(&invite.call) else { return effects };
        if elsewhere && !call.answered {
            call.answered = true;
            effects.push(call.told(&invite.call, CallEvent::Answer, call.sole()));
        }
        if let Some(at) = call.ringing.iter().position(|ringing| *ringing == invite.extension) {
            call.ringing.swap_remove(at);
        }
        if call.ringing.is_empty() {
            call.due = Some(now + LINGER);
        }
        effects
    }

    fn acknowledged(&mut self, key: &Key, now: u64) {
        if let Some(invite) = self.invites.get_mut(key)
            && matches!(invite.state, State::Over(_))
        {
            invite.state = State::Acknowledged(now + T4);
        }
    }

    /// What time brings.
    pub(super) fn tick(&mut self, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let (mut tired, rings) = (Vec::new(), self.rings);
        self.invites.retain(|key, invite| match &mut invite.state {
            State::Ringing(since) => {
                if now >= *since + rings {
                    tired.push(key.clone());
                }
                true
            }
            State::Over(again) => {
                if again.comes(now) {
                    effects.push(Effect::Send(invite.answers.to, invite.last.clone()));
                }
                !again.is_over(now)
            }
            State::Acknowledged(until) => now < *until,
        });
        for key in tired {
            effects.extend(self.ends(&key, answer::UNAVAILABLE, false, now));
        }
        effects.extend(self.settle(now));
        effects
    }

    /// What is told of calls that nothing more is waited for.
    fn settle(&mut self, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.calls.retain(|id, call| {
            if call.due.is_none_or(|due| now < due) {
                return true;
            }
            match (call.answered, call.elsewhere.is_empty()) {
                (false, false) => {
                    call.answered = true;
                    effects.push(call.told(id, CallEvent::Answer, call.sole()));
                }
                (false, true) => effects.push(call.told(id, CallEvent::Hangup, Vec::new())),
                (true, _) => {}
            }
            call.due = None;
            !call.ringing.is_empty()
        });
        effects
    }

    /// What is still to be told before the node stops. What rings goes on ringing at its next start.
    pub(super) fn finish(&mut self) -> Vec<Effect> {
        self.settle(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGS: u64 = 60_000;

    /// A telephone system that rings the agent, and what the desk is told.
    struct Pbx {
        agent: Agent,
        now: u64,
        /// Codes of the answers, with the methods they answer.
        said: Vec<String>,
        told: Vec<String>,
        numbers: BTreeSet<Option<String>>,
        callers: BTreeSet<String>,
        tags: BTreeSet<String>,
    }

    impl Pbx {
        fn new(before: &[&str]) -> Pbx {
            let tags = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
            let extensions = BTreeMap::from([("agent7".to_owned(), "8007".to_owned())]);
            let before = before.iter().map(|id| (*id).to_owned());
            let agent = Agent::new("10.0.0.5:5062".parse().unwrap(), extensions, RINGS, tags, before);
            let (numbers, callers, tags) = Default::default();
            Pbx { agent, now: 0, said: vec![], told: vec![], numbers, callers, tags }
        }

        fn perform(&mut self, effects: Vec<Effect>) {
            for effect in effects {
                match effect {
                    Effect::Send(to, bytes) => {
                        assert_eq!(to.to_string(), "10.0.0.2:5070", "by rport");
                        let answer = Message::read(&bytes).unwrap();
                        let Start::Response(code) = answer.start else { panic!("it asks nothing") };
                        let via = answer.all("via").collect::<Vec<_>>();
                        assert!(
                            via[0].ends_with(";received=10.0.0.2;rport=5070") && via[1].contains("z9hG4bKz"),
                            "{via:?}"
                        );
                        let to =
                            super::super::message::parameter(answer.first("to").unwrap(), "tag").unwrap();
                        self.tags.insert(to.to_owned());
                        self.said.push(format!("{code} {}", answer.sequence().unwrap().1));
                    }
                    Effect::Tell(Heard { from, caller, told }) => {
                        assert_eq!(from.to_string(), "10.0.0.2");
                        self.numbers.insert(told.number);
                        self.callers.insert(caller);
                        self.told.push(format!("{} {} {}", told.event.name(), told.call, told.by.join("+")));
                    }
                }
            }
        }

        fn asks(&mut self, method: &str, user: &str, call: &str, further: &str) {
            let text = format!(
                "{method} sip:{user}@10.0.0.5:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;rport;branch=z9hG4bK{call}.{user}\r\n\
                 Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKz\r\nMax-Forwards: 16\r\nFrom: <sip:13800000001@10.0.0.9>;tag=f\r\n\
                 To: <sip:12328@10.0.0.2>\r\nCall-ID: {call}\r\nCSeq: 7 {}\r\n{further}\r\n",
                method
            );
            let message = Message::read(text.as_bytes()).unwrap();
            let effects = self.agent.take(&message, "10.0.0.2:5070".parse().unwrap(), self.now).unwrap();
            self.perform(effects);
        }

        fn rings(&mut self, user: &str, call: &str) {
            self.asks("INVITE", user, call, "");
        }

        fn elsewhere(&mut self, user: &str, call: &str) {
            self.asks("CANCEL", user, call, "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n");
        }

        fn passes(&mut self, ms: u64) {
            let end = self.now + ms;
            while self.now < end {
                self.now += 100;
                let effects = self.agent.tick(self.now);
                self.perform(effects);
            }
        }

        fn said(&mut self) -> String {
            std::mem::take(&mut self.said).join(", ")
        }

        fn told(&mut self) -> String {
            std::mem::take(&mut self.told).join(", ")
        }
    }

    #[test]
    fn it_rings_and_who_answered_elsewhere_has_the_call() {
        let mut pbx = Pbx::new(&[]);
        pbx.rings("agent7", "a");
        assert_eq!((pbx.said(), pbx.told()), ("100 INVITE, 180 INVITE".into(), "newCall a ".into()));
        pbx.rings("agent7", "a");
        assert_eq!((pbx.said(), pbx.told()), ("180 INVITE".into(), String::new()), "it came again");
        assert_eq!(pbx.numbers, BTreeSet::from([Some("13800000001".to_owned())]));
        pbx.elsewhere("agent7", "a");
        assert_eq!((pbx.said(), pbx.told()), ("200 CANCEL, 487 INVITE".into(), "answer a 8007".into()));
        pbx.elsewhere("agent7", "a");
        assert_eq!(pbx.said(), "200 CANCEL");
        pbx.passes(1_600);
        assert_eq!(pbx.said(), "487 INVITE, 487 INVITE", "until it is acknowledged");
        pbx.asks("ACK", "agent7", "a", "");
        pbx.rings("agent7", "a");
        pbx.passes(10_000);
        assert_eq!((pbx.said(), pbx.told(), pbx.tags.len()), (String::new(), String::new(), 1));
        assert!(!pbx.agent.waits());
    }

    #[test]
    fn a_call_is_over_when_all_its_branches_are_gone_and_no_other_telephone_is_tried() {
        let mut pbx = Pbx::new(&[]);
        pbx.rings("8001", "a");
        pbx.asks("CANCEL", "8001", "a", "Reason: SIP;cause=487\r\n");
        pbx.passes(1_000);
        pbx.rings("8002", "a"); // one after the other
        pbx.passes(5_000);
        assert_eq!(pbx.told(), "newCall a ");
        pbx.elsewhere("8002", "a");
        assert_eq!(pbx.told(), "answer a 8002");
        pbx.rings("8001", "b");
        pbx.asks("CANCEL", "8001", "b", "");
        pbx.passes(1_900);
        assert_eq!(pbx.told(), "newCall b ");
        pbx.passes(200);
        assert_eq!(pbx.told(), "hangup b ");
        for (user, call) in [("8001", "a"), ("8002", "a"), ("8001", "b")] {
            pbx.asks("ACK", user, call, "");
        }
        pbx.rings("8001", "c");
        pbx.said();
        pbx.passes(RINGS);
        assert_eq!(pbx.said(), "480 INVITE");
        pbx.passes(32_000);
        assert_eq!(pbx.told(), "newCall c , hangup c ");
        assert!(!pbx.agent.waits());
    }

    #[test]
    fn of_several_extensions_that_ring_at_once_none_is_named() {
        let mut pbx = Pbx::new(&[]);
        for user in ["8001", "8002", "8002"] {
            pbx.rings(user, "a"); // the third is a repetition
        }
        pbx.elsewhere("8001", "a");
        pbx.elsewhere("8002", "a");
        pbx.passes(3_000);
        assert_eq!(pbx.told(), "newCall a , answer a ");
    }

    #[test]
    fn a_life_that_began_in_the_middle_of_a_call_answers_as_the_one_before() {
        let mut before = Pbx::new(&[]);
        before.rings("8001", "a");
        let mut pbx = Pbx::new(&["a", "b", "c"]);
        pbx.elsewhere("8001", "a");
        pbx.asks("ACK", "8001", "a", "");
        assert_eq!((pbx.said(), pbx.tags.clone()), ("200 CANCEL, 487 INVITE".into(), before.tags));
        pbx.elsewhere("8001", "b");
        pbx.elsewhere("8002", "b");
        pbx.asks("CANCEL", "8001", "c", "");
        assert_eq!(pbx.told(), "", "others may come");
        pbx.passes(2_100);
        assert_eq!(pbx.told(), "answer a 8001, answer b , hangup c ");
        pbx.said();
        pbx.elsewhere("8001", "z");
        assert_eq!((pbx.said(), pbx.told()), ("481 CANCEL".into(), String::new()), "of that nobody knows");
        pbx.asks("CANCEL", "8001", "b", "");
        pbx.rings("8003", "d");
        pbx.asks("CANCEL", "8003", "d", "");
        let left = pbx.agent.finish();
        pbx.perform(left);
        assert_eq!(pbx.told(), "newCall d , hangup d ");
    }

    #[test]
    fn of_branches_of_both_lives_none_ends_the_call_while_another_rings_and_none_is_named() {
        let mut pbx = Pbx::new(&["a", "b", "c"]);
        for call in ["a", "b", "c"] {
            pbx.rings("8002", call);
        }
        assert_eq!(pbx.told(), "newCall a , newCall b , newCall c ", "as before, which changes nothing");
        pbx.asks("CANCEL", "8001", "a", "");
        pbx.elsewhere("8001", "b");
        pbx.elsewhere("8002", "b");
        pbx.elsewhere("8001", "c");
        assert_eq!(pbx.told(), "answer b ");
        pbx.passes(3_000);
        assert_eq!(pbx.told(), "answer c ", "8002 rings");
        pbx.elsewhere("8002", "a");
        pbx.elsewhere("8002", "c");
        pbx.passes(3_000);
        assert_eq!(pbx.told(), "answer a 8002");
    }

    #[test]
    fn a_number_that_is_not_to_be_shown_is_not_after_a_restart_either() {
        let mut before = Pbx::new(&[]);
        before.asks("INVITE", "8001", "x12345", "P-Asserted-Identity: <tel:12345>\r\nPrivacy: id\r\n");
        let told = before.told();
        let id = told.split(' ').nth(1).unwrap();
        assert!(id.starts_with('h') && id.len() == 25, "the id would tell it, too: {told}");
        let mut pbx = Pbx::new(&[id]);
        pbx.elsewhere("8001", "x12345");
        pbx.passes(2_100);
        assert_eq!(pbx.told(), format!("answer {id} 8001"));
        assert_eq!((before.numbers, pbx.numbers), (BTreeSet::from([None]), BTreeSet::from([None])));
    }

    #[test]
    fn a_colleague_is_known_by_the_extension_and_not_by_a_number() {
        let mut pbx = Pbx::new(&[]);
        for (call, caller, wanted) in [
            ("a", "sip:agent7@10.0.0.9", "8007"),
            ("b", "sip:a-8@10.0.0.9", "a-8"),
            ("c", "sip:17@10.0.0.9", "17"),
            ("d", "tel:13800000001", "13800000001"),
        ] {
            pbx.asks("INVITE", "8001", call, &format!("P-Asserted-Identity: <{caller}>\r\n"));
            pbx.elsewhere("8001", call);
            assert_eq!(std::mem::take(&mut pbx.callers), BTreeSet::from([wanted.to_owned()]), "{caller}");
        }
    }

    #[test]
    fn what_it_does_not_understand_is_answered_as_the_standard_says() {
        let mut pbx = Pbx::new(&[]);
        for (method, further, wanted) in [
            ("OPTIONS", "", "200 OPTIONS"),
            ("BYE", "", "405 BYE"),
            ("MESSAGE", "", "405 MESSAGE"),
            ("INVITE", "Require: 100rel\r\n", "420 INVITE"),
            ("INVITE", "Content-Length: 5\r\n", "400 INVITE"),
            ("ACK", "", ""),
        ] {
            pbx.asks(method, "8001", "a", further);
            assert_eq!((pbx.said(), pbx.told()), (wanted.to_owned(), String::new()), "{method} {further}");
        }
        let whole = "INVITE sip:8001@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa\r\nFrom: x\r\nTo: x\r\nCall-ID: a\r\nCSeq: 7 INVITE\r\n";
        for line in whole.lines().skip(1) {
            let lacks = whole.replace(&format!("{line}\r\n"), "");
            let message = Message::read(format!("{lacks}\r\n").as_bytes()).unwrap();
            assert!(pbx.agent.take(&message, "10.0.0.2:5070".parse().unwrap(), 0).is_none(), "{line}");
        }
        pbx.asks("INVITE", "8001", &"x".repeat(300), "");
        assert_eq!(pbx.said(), "400 INVITE");
        assert!(!pbx.agent.waits());
    }

    #[test]
    fn a_flood_finds_an_end() {
        let mut pbx = Pbx::new(&[]);
        for i in 0..3_000 {
            pbx.rings("8001", &format!("call{i}"));
        }
        assert_eq!(pbx.told.len(), CALLS_BURST as usize, "calls");
        assert_eq!(pbx.said.last().unwrap(), "503 INVITE");
        for i in 0..3_000 {
            pbx.rings(&format!("8{i}"), "call1");
        }
        assert_eq!((pbx.agent.invites.len(), pbx.agent.calls.len()), (MAX_INVITES, CALLS_BURST as usize));
        pbx.passes(1_000);
        pbx.told.clear();
        assert!(pbx.agent.has_room(pbx.now), "it fills again");
    }

    #[test]
    fn an_id_that_tells_the_number_is_hashed() {
        let mut pbx = Pbx::new(&[]);
        pbx.rings("8001", "13800000001-7");
        let told = pbx.told();
        assert!(told.starts_with("newCall h") && !told.contains("13800000001"), "{told}");
    }
}
