//! Draws a world and what happens in it from a seed.
//!
//! Every seed draws which kinds of trouble it has (swarm testing: Groce et al. 2012): a run with everything at once
//! seldom gets deep into anything.

use std::collections::VecDeque;

use certs::{NodeName, Site};
use sync::replica::Basis;

use super::World;
use super::article::Saying;
use super::chance::Chance;
use super::event::{Deed, Event, Future};
use super::lie::Lie;
use super::machine::CrashPoint;
use super::net::{Pair, Weather};
use super::person::Caller;
use super::stick::Harm;
use super::tamper::Tamper;

/// Worlds of this seed and later have callers, files, and the rare meetings that need a plan.
pub const WITH_PERSONS: u64 = 1_000;

/// Worlds of this seed and later have articles of the knowledge base.
pub const WITH_ARTICLES: u64 = 2_000;

const YEAR_MS: i64 = 365 * 86_400_000;

/// The nodes of a seed's world: a ministry, one to three provinces, cities, offices and second replicas.
pub fn nodes(seed: u64) -> Vec<NodeName> {
    let mut chance = Chance::new(seed ^ 0x6e6f_6465);
    let mut names = vec!["000000".to_owned()];
    let big = chance.hits(10);
    for province in ["37", "51", "33"].into_iter().take(1 + chance.below(if big { 3 } else { 2 }) as usize) {
        names.push(format!("{province}0000"));
        if chance.hits(40) {
            names.push(format!("{province}0000-b"));
        }
        for city in 1..=1 + chance.below(if big { 4 } else { 2 }) {
            names.push(format!("{province}0{city}00"));
            if chance.hits(20) {
                names.push(format!("{province}0{city}00-01"));
            }
        }
    }
    names.iter().map(|n| n.parse().expect("a node's name")).collect()
}

/// What a seed's run has in it, in parts of a hundred.
#[derive(Clone, Debug)]
struct Temper {
    links: u64,
    weather: u64,
    crashes: u64,
    clocks: u64,
    backups: u64,
    clones: u64,
    lies: u64,
    relays: u64,
    revocations: u64,
    future: u64,
    huge: u64,
    persons: u64,
    rivals: u64,
    copies: u64,
    sticks: u64,
    articles: u64,
}

impl Temper {
    fn draw(chance: &mut Chance) -> Temper {
        let mut some = |often: u64, most: u64| if chance.hits(often) { 1 + chance.below(most) } else { 0 };
        Temper {
            links: some(80, 12),
            weather: some(60, 6),
            crashes: some(60, 10),
            clocks: some(40, 5),
            backups: some(40, 5),
            clones: some(25, 3),
            lies: some(35, 10),
            relays: some(25, 5),
            revocations: some(20, 2),
            future: some(35, 4),
            huge: some(12, 2),
            persons: 0,
            rivals: 0,
            copies: 0,
            sticks: 0,
            articles: 0,
        }
    }

    /// What worlds have had since there are persons in them, and articles. The seeds below [`WITH_PERSONS`] and
    /// [`WITH_ARTICLES`] replay worlds of before.
    fn later(self, seed: u64) -> Temper {
        if seed < WITH_PERSONS {
            return self;
        }
        let mut chance = Chance::new(seed ^ 0x7065_7273);
        let mut some = |often: u64, most: u64| if chance.hits(often) { 1 + chance.below(most) } else { 0 };
        let relays = if self.relays > 0 { self.relays + 3 } else { 0 };
        let (persons, rivals, copies) = (some(70, 10), some(40, 6), some(15, 3));
        let sticks = some(45, 12);
        let articles = if seed < WITH_ARTICLES { 0 } else { some(50, 8) };
        Temper { persons, rivals, copies, relays, sticks, articles, ..self }
    }
}

/// Draws one kind of event.
type Draw = fn(&mut Plan, &World) -> Event;

/// See the module.
pub struct Plan {
    chance: Chance,
    temper: Temper,
    tickets: u32,
    articles: u32,
    /// What follows the last event, whatever is drawn.
    next: VecDeque<Event>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Plan {
        let mut chance = Chance::new(seed ^ 0x706c_616e);
        let temper = Temper::draw(&mut chance).later(seed);
        Plan { chance, temper, tickets: 0, articles: 0, next: VecDeque::new() }
    }

    /// Whether the seed's world has links beside the tree.
    pub fn second_paths(&mut self, machines: usize) -> Vec<Pair> {
        let mut paths = Vec::new();
        while self.chance.hits(40) && paths.len() < 3 {
            let (a, b) = (self.machine(machines), self.machine(machines));
            if a != b {
                paths.push((a.min(b), a.max(b)));
            }
        }
        paths
    }

    fn machine(&mut self, of: usize) -> usize {
        self.chance.below(of as u64) as usize
    }

    /// The next event.
    pub fn next(&mut self, world: &World) -> Event {
        if let Some(next) = self.next.pop_front() {
            return next;
        }
        let t = self.temper.clone();
        let kinds: [(u64, Draw); 19] = [
            (40, |p, _| p.pass()),
            (10, Plan::call),
            (34, Plan::deed),
            (4, Plan::note),
            (4, Plan::edit),
            (t.links, Plan::link),
            (t.weather, Plan::weather),
            (t.crashes, Plan::crash),
            (t.clocks, Plan::clock),
            (t.backups, Plan::backup),
            (t.clones, |p, w| Event::Clone(p.machine(w.machines.len()))),
            (t.lies, Plan::lie),
            (t.relays, Plan::relay),
            (t.revocations + t.future + t.huge, Plan::seldom),
            (t.persons, Plan::person),
            (t.rivals, Plan::rivals),
            (t.copies, |p, w| Event::Copy(p.machine(w.machines.len()))),
            (t.sticks, Plan::stick),
            (t.articles, Plan::article),
        ];
        let mut at = self.chance.below(kinds.iter().map(|(weight, _)| weight).sum());
        for (weight, make) in kinds {
            if at < weight {
                return make(self, world);
            }
            at -= weight;
        }
        self.pass()
    }

    fn pass(&mut self) -> Event {
        Event::Pass(match self.chance.below(20) {
            0..=7 => self.chance.between(1, 400),
            8..=13 => self.chance.between(400, 8_000),
            14..=16 => self.chance.between(8_000, 120_000),
            17..=18 => self.chance.between(120_000, 6 * 3_600_000),
            _ => self.chance.between(6 * 3_600_000, 2 * 86_400_000),
        })
    }

    fn call(&mut self, world: &World) -> Event {
        let at = self.machine(world.machines.len());
        self.call_at(at)
    }

    fn call_at(&mut self, at: usize) -> Event {
        self.tickets += 1;
        let caller = match self.temper.persons {
            0 => Caller::Unnamed,
            _ => match self.chance.below(8) {
                0 => Caller::Confidential,
                1 => Caller::Against,
                _ => Caller::Named,
            },
        };
        Event::Call { at, ticket: self.tickets, caller }
    }

    /// The youngest ticket that a machine holds, half of the time.
    fn held_at(&mut self, world: &World, at: usize) -> Option<u32> {
        let shown = &world.machines[at].shown;
        let mut held = world.oracle.tickets.iter().rev().filter(|(_, doc)| shown.contains_key(doc));
        held.next().map(|(ticket, _)| *ticket).filter(|_| self.chance.hits(50))
    }

    /// A ticket, the younger the likelier, and a machine that holds it.
    fn held(&mut self, world: &World) -> Option<(usize, u32)> {
        let back = self.chance.below(6).min(self.chance.below(12)) as u32;
        let ticket = self.tickets.saturating_sub(back);
        let doc = world.oracle.tickets.get(&ticket)?;
        let holders: Vec<usize> = (0..world.machines.len())
            .filter(|m| world.is_up(*m) && world.machines[*m].shown.contains_key(doc))
            .collect();
        Some((self.chance.pick(&holders)?, ticket))
    }

    /// A new article, or a word on one: of whoever holds it, most of whom have no say in it.
    fn article(&mut self, world: &World) -> Event {
        let at = self.machine(world.machines.len());
        match self.chance.pick(&world.articles_at(at)) {
            Some(article) if self.chance.hits(80) => {
                let saying = self.chance.pick(&Saying::ALL).unwrap_or(Saying::Review);
                if saying == Saying::Revise {
                    self.passes(at, article);
                }
                Event::Say { at, article, saying }
            }
            _ => {
                self.articles += 1;
                self.passes(at, self.articles);
                Event::Article { at, article: self.articles }
            }
        }
    }

    /// What was just written is put into force, most of the time.
    fn passes(&mut self, at: usize, article: u32) {
        if self.chance.hits(70) {
            let say = |saying| Event::Say { at, article, saying };
            self.next.extend([say(Saying::Review), say(Saying::Publish)]);
        }
    }

    fn site(&mut self, world: &World) -> Site {
        let at = self.machine(world.machines.len());
        world.machines[at].node.site()
    }

    fn deed(&mut self, world: &World) -> Event {
        let Some((at, ticket)) = self.held(world) else { return self.call(world) };
        if self.chance.hits(60)
            && let Some(answer) = self.answer(world, ticket)
        {
            return answer;
        }
        let deed = match self.chance.below(24) {
            0..=4 => Deed::Offer(self.site(world)),
            5..=8 => Deed::Accept,
            9 => Deed::Decline,
            10 => Deed::Withdraw,
            11..=13 => Deed::Assign(self.site(world)),
            14..=15 => Deed::Close,
            16 => Deed::Reopen,
            17 => Deed::Escalate,
            18 => Deed::Reply,
            19 => Deed::Dispatch,
            20 => Deed::Feedback,
            21 => Deed::Urge,
            22 => self.chance.pick(&[Deed::Supervise, Deed::FollowUp]).unwrap_or(Deed::Supervise),
            _ => Deed::Progress,
        };
        Event::Act { at, ticket, deed, force: self.chance.hits(4) }
    }

    /// What somebody who sees an open offer of this ticket says to it: its target, or its sender, or a superior.
    fn answer(&mut self, world: &World, ticket: u32) -> Option<Event> {
        let doc = world.oracle.tickets.get(&ticket)?;
        let mut may: Vec<(usize, Deed)> = Vec::new();
        for (m, machine) in world.machines.iter().enumerate().filter(|(_, m)| m.up.is_some()) {
            let Some(shown) = machine.shown.get(doc) else { continue };
            let (Some(to), site) = (shown.offered, machine.node.site()) else { continue };
            if site == to {
                may.extend([Deed::Accept, Deed::Accept, Deed::Accept, Deed::Decline].map(|d| (m, d)));
            }
            if shown.custodian == Some(site) {
                may.push((m, Deed::Withdraw));
            }
            if shown.custodian.is_some_and(|c| site.is_above(c)) {
                may.push((m, Deed::Assign(self.site(world))));
            }
        }
        let (at, deed) = self.chance.pick(&may)?;
        Some(Event::Act { at, ticket, deed, force: false })
    }

    fn person(&mut self, world: &World) -> Event {
        if self.chance.hits(10) {
            return Event::LoseVault(self.machine(world.machines.len()));
        }
        let Some((at, ticket)) = self.held(world) else { return self.call(world) };
        let custodian = world.oracle.tickets.get(&ticket).and_then(|doc| {
            let holds = |m: &super::machine::Machine| {
                m.shown.get(doc).and_then(|s| s.custodian) == Some(m.node.site())
            };
            world.machines.iter().position(|m| m.up.is_some() && holds(m))
        });
        let desk = custodian.unwrap_or(at);
        let bytes = match self.chance.below(9) {
            0..=2 => return Event::Erase { at, ticket, force: self.chance.hits(60) },
            3 => return Event::Grant { at, ticket, to: self.site(world) },
            4..=6 => self.chance.between(1, 90_000),
            _ => {
                // Too much for one go: a link breaks amid it.
                let links = world.wanted.iter().copied().filter(|p| p.0 == desk || p.1 == desk);
                if let Some(p) = self.chance.pick(&links.collect::<Vec<Pair>>()) {
                    self.next.extend([Event::CutAmid(p, 2 + self.chance.below(8) as u32), Event::Pass(150)]);
                }
                self.chance.between(150_000, 500_000)
            }
        };
        Event::Attach { at: desk, ticket, bytes: bytes as u32 }
    }

    /// Words that cross. Two replicas of a site each decide; an offer is withdrawn while its target, cut off, accepts; a
    /// superior assigns while the custodian, who would grant the key, is away for days.
    fn rivals(&mut self, world: &World) -> Event {
        let Some((_, ticket)) = self.held(world) else { return self.call(world) };
        let Some(doc) = world.oracle.tickets.get(&ticket) else { return self.pass() };
        let holders: Vec<usize> = (0..world.machines.len())
            .filter(|m| world.is_up(*m) && world.machines[*m].shown.contains_key(doc))
            .collect();
        let site = |m: usize| world.machines[m].node.site();
        let which = self.chance.below(3);
        let mut pairs: Vec<Pair> = Vec::new();
        for a in holders.iter().copied() {
            let shown = &world.machines[a].shown[doc];
            let Some(custodian) = shown.custodian else { continue };
            let above = site(a).is_above(custodian);
            pairs.extend(holders.iter().copied().filter(|b| *b != a).map(|b| (a, b)).filter(|(_, b)| {
                match which {
                    0 => site(*b) == site(a) && (site(a) == custodian || above),
                    1 => site(a) == custodian && shown.offered == Some(site(*b)),
                    _ => above && site(*b) == custodian,
                }
            }));
        }
        let Some((a, b)) = self.chance.pick(&pairs) else {
            return self.answer(world, ticket).unwrap_or_else(|| self.pass());
        };
        let act = |at: usize, deed: Deed| Event::Act { at, ticket, deed, force: false };
        let one = act(a, Deed::Assign(self.site(world)));
        match which {
            0 => {
                let other = act(b, Deed::Assign(self.site(world)));
                self.next.push_back(other);
                one
            }
            1 => {
                // The target does not hear; a superior confirms meanwhile.
                let away: Vec<Pair> = world.wanted.iter().copied().filter(|p| p.0 == b || p.1 == b).collect();
                self.next.extend(away.iter().copied().map(Event::Cut));
                self.next.extend([act(a, Deed::Withdraw), Event::Pass(60_000), act(b, Deed::Accept)]);
                self.next.extend(away.into_iter().map(Event::Mend));
                Event::Pass(1)
            }
            _ => {
                let day = Event::Pass(26 * 3_600_000);
                self.next.extend([one, day.clone(), day, Event::Start(b)]);
                Event::PowerCut(b)
            }
        }
    }

    /// Which machine of a seed's world has no line, if any: an office, in half of the worlds with sticks.
    pub fn without_line(&mut self, names: &[NodeName]) -> Option<usize> {
        let office = names.iter().position(|n| n.site().tier() == certs::Tier::Office)?;
        (self.temper.sticks > 0 && self.chance.hits(60)).then_some(office)
    }

    /// A stick is written, for a neighbour mostly; or one that lies about is read, where it belongs mostly.
    fn stick(&mut self, world: &World) -> Event {
        let machines = world.machines.len();
        let sticks = world.sticks.len();
        if sticks > 0 && self.chance.hits(55) {
            let back = self.chance.below(4).min(self.chance.below(sticks as u64)) as usize;
            let stick = if self.chance.hits(80) { sticks - 1 - back } else { self.machine(sticks) };
            let meant = world.sticks[stick].meant_for();
            let meant = (0..machines).filter(|m| Some(world.machines[*m].node) == meant).collect::<Vec<_>>();
            let at = match self.chance.hits(80) {
                true => self.chance.pick(&meant).unwrap_or(0),
                false => self.machine(machines),
            };
            let share = self.chance.below(100) as u8;
            let harm = match self.chance.below(10) {
                0..=1 => Harm::Torn(share),
                2 => Harm::Hole(share),
                3 => Harm::Turned,
                4 => Harm::Twice,
                _ => Harm::None,
            };
            return Event::Import { at, stick, harm };
        }
        let pairs: Vec<Pair> = world.wanted.iter().chain(&world.without_line).copied().collect();
        let lines: Vec<Pair> = world.without_line.iter().copied().collect();
        let p = match self.chance.hits(60) {
            true => self.chance.pick(&lines).or_else(|| self.chance.pick(&pairs)),
            false => self.chance.pick(&pairs),
        };
        let (mut from, mut to) = p.unwrap_or((0, 1));
        if self.chance.hits(50) {
            (from, to) = (to, from);
        }
        if self.chance.hits(15) {
            to = self.machine(machines); // beyond the next site: through a carrier
        }
        let basis = match self.chance.below(8) {
            0..=1 => Basis::HandedOut,
            2 => Basis::Everything,
            _ => Basis::Acknowledged,
        };
        Event::Export { from, to, basis }
    }

    fn note(&mut self, world: &World) -> Event {
        let Some((at, ticket)) = self.held(world) else { return self.call(world) };
        Event::Note { at, ticket, bytes: self.chance.between(1, 300) as u32 }
    }

    fn edit(&mut self, world: &World) -> Event {
        let Some((at, ticket)) = self.held(world) else { return self.call(world) };
        Event::Edit { at, ticket }
    }

    fn link_of(&mut self, world: &World) -> Pair {
        let wanted: Vec<Pair> = world.wanted.iter().copied().collect();
        self.chance.pick(&wanted).unwrap_or((0, 1))
    }

    fn link(&mut self, world: &World) -> Event {
        let cut: Vec<Pair> = world.cut.iter().copied().collect();
        let p = self.link_of(world);
        match self.chance.below(8) {
            0..=2 => Event::Cut(p),
            3..=5 => Event::Mend(self.chance.pick(&cut).unwrap_or(p)),
            6 => Event::CutAmid(p, self.chance.below(6) as u32),
            _ if self.chance.hits(50) => Event::OneWay(p.0, p.1),
            _ => Event::OneWay(p.1, p.0),
        }
    }

    fn weather(&mut self, world: &World) -> Event {
        let p = self.link_of(world);
        if self.chance.hits(25) {
            return Event::Weather(p, Weather::CALM);
        }
        let c = &mut self.chance;
        let mut weather = Weather { delay: c.between(1, 700), jitter: c.below(400), ..Weather::CALM };
        match c.below(6) {
            0..=2 => weather.loss = c.between(1, 30),
            3 => weather.vanish = c.between(1, 20),
            4 => weather.twice = c.between(5, 60),
            _ => {}
        }
        Event::Weather(p, weather)
    }

    fn crash(&mut self, world: &World) -> Event {
        let at = self.machine(world.machines.len());
        let down: Vec<usize> = (0..world.machines.len()).filter(|m| !world.is_up(*m)).collect();
        match (self.chance.below(10), self.chance.pick(&down)) {
            (0..=5, Some(down)) => Event::Start(down),
            (6, _) => Event::PowerCut(at),
            _ => {
                let point = self.chance.pick(&CrashPoint::ALL).unwrap_or(CrashPoint::Commit);
                if self.chance.hits(40) {
                    // While a desk waits for an answer.
                    let desk = match self.held_at(world, at) {
                        Some(ticket) => Event::Note { at, ticket, bytes: 30 },
                        None => self.call_at(at),
                    };
                    self.next.push_back(desk);
                    return Event::Crash { at, after: 0, point };
                }
                Event::Crash { at, after: self.chance.below(12) as u32, point }
            }
        }
    }

    fn clock(&mut self, world: &World) -> Event {
        let at = self.machine(world.machines.len());
        let off = match self.chance.below(8) {
            0 => -57 * YEAR_MS,
            1 => -8 * YEAR_MS,
            2 => -YEAR_MS,
            3 => YEAR_MS,
            4 => 10 * YEAR_MS,
            5 => world.machines[at].clock - 3_600_000,
            6 => world.machines[at].clock + self.chance.below(4_000) as i64,
            _ => 0,
        };
        Event::Clock { at, off }
    }

    fn backup(&mut self, world: &World) -> Event {
        let at = self.machine(world.machines.len());
        let backed: Vec<usize> =
            (0..world.machines.len()).filter(|m| !world.machines[*m].backups.is_empty()).collect();
        match self.chance.pick(&backed) {
            Some(at) if self.chance.hits(55) => {
                let which = self.chance.below(world.machines[at].backups.len() as u64) as usize;
                Event::Restore { at, which }
            }
            _ => Event::Backup(at),
        }
    }

    fn lie(&mut self, world: &World) -> Event {
        let lie = self.chance.pick(&Lie::ALL).unwrap_or(Lie::Nonsense);
        let p = self.link_of(world);
        let (from, to) = if self.chance.hits(50) { p } else { (p.1, p.0) };
        Event::Lie { from, to, lie, salt: self.chance.word() }
    }

    fn relay(&mut self, world: &World) -> Event {
        let p = self.link_of(world);
        let (from, to) = if self.chance.hits(50) { p } else { (p.1, p.0) };
        let tamper = match self.chance.below(3) {
            0 => Tamper::Honest,
            _ => self.chance.pick(&Tamper::ALL).unwrap_or(Tamper::Honest),
        };
        Event::Relay { from, to, tamper }
    }

    fn seldom(&mut self, world: &World) -> Event {
        let t = self.temper.clone();
        let which = self.chance.below(t.revocations + t.future + t.huge);
        if which < t.revocations {
            // The clone of a node is what an operator would revoke first.
            let last = world.machines.len() - 1;
            let at = if self.chance.hits(30) { last } else { self.machine(last + 1) };
            let node = world.machines[at].node;
            let above: Vec<usize> = (0..world.machines.len())
                .filter(|m| world.machines[*m].node.site().is_above(node.site()))
                .collect();
            return match self.chance.pick(&above) {
                Some(at) => Event::Revoke { node, at },
                None => self.pass(),
            };
        }
        let Some((at, ticket)) = self.held(world) else { return self.call(world) };
        if which < t.revocations + t.huge {
            return Event::Note { at, ticket, bytes: self.chance.between(120_000, 250_000) as u32 };
        }
        let what = match self.chance.below(8) {
            0 => Future::CustodyOp,
            1..=2 => Future::Item,
            3..=5 => Future::Op,
            _ => Future::Field,
        };
        Event::Future { at, ticket, what }
    }
}
