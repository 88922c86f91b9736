//! What the demo's sites did before it begins: last month and this one so far, made by their engines with the clock in this story's
//! hand.
//!
//! ```text
//! plan    what is done at a site, and when: drawn from a seed, nothing of it later than now
//! play    the engine's clock is moved from one thing to the next; on Mondays and in the last nights it tells what the days came to
//! ```
//!
//! The shape is that of the nation: of a hundred calls 93 are answered at once and the others handed over; most come in the morning and
//! in the afternoon, fewer at weekends, more on holidays. Callers are nobody: a ticket of the past bears no person.

use std::collections::BTreeMap;
use std::path::Path;

use certs::{NodeName, Site, Tier};
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde_json::{Value, json};

use super::{failed, rules};
use crate::china;
use crate::engine::{Engine, Options};
use crate::figures::Period;
use crate::reference::{Exception, Reference};
use crate::request::{Act, Failure, Request};

/// Calls of a working day at a city; provinces and offices have few.
const CALLS: u64 = 5;

/// Of a hundred calls those that are answered at once.
const ANSWERED: u64 = 93;

/// How many calls come in each hour of the day, of about 200.
const HOURS: [u64; 24] = [2, 1, 1, 1, 1, 2, 4, 8, 17, 23, 21, 15, 9, 11, 17, 18, 15, 11, 8, 6, 5, 4, 3, 2];

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// When the night's work is done, after midnight.
const NIGHT: u64 = 90 * MINUTE;

/// Days of one transaction: each costs a write that is waited for.
const TOGETHER: usize = 10;

/// The first day of the history that ends today.
pub(super) fn first_day(today: Date) -> Date {
    Period::last_month(today).from()
}

/// When a day begins there, in milliseconds since 1970.
pub(super) fn midnight(day: Date) -> u64 {
    let last = day.yesterday().ok().and_then(china::end_of);
    last.and_then(|last| u64::try_from(last.as_second() + 1).ok()).unwrap_or_default() * 1_000
}

/// Numbers of a seed: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// One of these, each as often as its weight says.
    fn weighed<T: Copy>(&mut self, all: &[(T, u64)]) -> Option<T> {
        let mut left = self.below(all.iter().map(|(_, weight)| weight).sum::<u64>().max(1));
        all.iter().find_map(|(one, weight)| match left.checked_sub(*weight) {
            None => Some(*one),
            Some(rest) => {
                left = rest;
                None
            }
        })
    }
}

/// What is done to a ticket.
enum Step {
    /// Its call is taken.
    Take(Value),
    /// It is worked on.
    Do(Act),
}

/// A site's history: by moment, and of one moment in the order in which it was drawn. Tickets have numbers of the drawing.
struct Plan {
    steps: BTreeMap<(u64, usize), (usize, &'static str, Step)>,
    now: u64,
}

impl Plan {
    /// What is later than now has not happened; whether this has.
    fn put(&mut self, at: u64, ticket: usize, who: &'static str, step: Step) -> bool {
        let place = self.steps.len();
        let happened = at <= self.now;
        if happened {
            self.steps.insert((at, place), (ticket, who, step));
        }
        happened
    }
}

/// The calls of the fixtures that may be called again and again: those that are no confidential report.
fn samples() -> Result<Vec<Value>, Failure> {
    let lines = super::SAMPLES.lines().map(serde_json::from_str::<Value>);
    let all = lines.collect::<Result<Vec<_>, _>>().map_err(|e| failed("a sample call cannot be read", e))?;
    Ok(all.into_iter().filter(|sample| sample["confidential"] != true).collect())
}

/// How many calls a day brings.
fn calls(site: Site, day: Date, reference: &Reference, dice: &mut Dice) -> u64 {
    if site.tier() != Tier::City {
        return dice.below(2);
    }
    let usual = match reference.calendar.exception(day) {
        Some((Exception::Holiday, _)) => CALLS * 3 / 2,
        _ if reference.calendar.is_worked(day) => CALLS,
        _ => CALLS * 3 / 5,
    };
    usual - 2 + dice.below(5)
}

/// What a site does from this day on until now. `beside`: the city that its calls about other places' vehicles are offered to.
fn plan(site: Site, beside: Option<Site>, from: Date, now: u64, samples: &[Value]) -> Plan {
    let reference = Reference::built_in();
    let mut dice = Dice(u64::from(site.code()) * 100 + u64::from(site.tier() == Tier::Office));
    let mut plan = Plan { steps: BTreeMap::new(), now };
    let mut taken = 0;
    let hours: Vec<(u64, u64)> = (0..).zip(HOURS).collect();
    for day in from.series(1.day()).take_while(|day| midnight(*day) <= now) {
        for first in (0..calls(site, day, reference, &mut dice)).map(|n| n == 0) {
            let hour = dice.weighed(&hours).unwrap_or_default();
            let at = midnight(day) + hour * HOUR + dice.below(60) * MINUTE + dice.below(60) * 1_000;
            let answered = dice.below(100) < ANSWERED;
            let kind = match answered {
                true => dice.weighed(&[("信息咨询", 96), ("意见建议", 4)]),
                false => dice.weighed(&[("投诉举报", 80), ("意见建议", 12), ("信息咨询", 8)]),
            };
            let kind = kind.unwrap_or_default();
            // The last two days' first calls are about a vehicle of the other city.
            let elsewhere = beside.filter(|_| first && at + 2 * DAY > now);
            let kind = if elsewhere.is_some() { "投诉举报" } else { kind };
            let of_kind: Vec<&Value> = samples.iter().filter(|sample| sample["type"] == kind).collect();
            let sample = of_kind[dice.below(of_kind.len() as u64) as usize];
            let channels = [("电话", 88), ("微信", 6), ("网站", 3), ("移动客户端", 2), ("短信", 1)];
            let mut ticket = json!({
                "text": sample["text"], "type": kind, "domain": sample["domain"], "field": sample["field"],
                "region_code": format!("{:06}", elsewhere.unwrap_or(site).code()), "channel": dice.weighed(&channels),
            });
            for (name, value) in rules::answers(site, kind, sample, dice.below(100)) {
                ticket[name] = value.into();
            }
            if answered && dice.below(100) == 0 {
                ticket["test"] = true.into();
            }
            if !plan.put(at, taken, "zhang", Step::Take(ticket)) {
                continue;
            }
            let office = rules::department(sample["domain"].as_str().unwrap_or_default());
            match elsewhere {
                Some(to) => {
                    let offer = Act::Offer { to: to.to_string(), reason: "车籍在贵市".to_owned() };
                    plan.put(at + 20 * MINUTE, taken, "zhang", Step::Do(offer));
                }
                None if answered => answer(&mut plan, &mut dice, taken, at),
                None => hand_over(&mut plan, &mut dice, taken, at, office),
            }
            taken += 1;
        }
    }
    plan
}

fn answer(plan: &mut Plan, dice: &mut Dice, ticket: usize, at: u64) {
    let text = "已按知识库内容答复来电人。".to_owned();
    plan.put(at + (2 + dice.below(5)) * MINUTE, ticket, "zhang", Step::Do(Act::Answer { text }));
    if dice.below(100) < 12 {
        let satisfied = Some(dice.below(100) < 97);
        let act = Act::FollowUp { text: "短信评价。".to_owned(), satisfied };
        plan.put(at + HOUR, ticket, "wang", Step::Do(act));
    }
}

/// A department works on it for some days, of which a few are too many; the caller is asked, and once in a while is not satisfied.
fn hand_over(plan: &mut Plan, dice: &mut Dice, ticket: usize, at: u64, office: &str) {
    let mut put = |at, who, act| plan.put(at, ticket, who, Step::Do(act));
    put(
        at + (8 + dice.below(30)) * MINUTE,
        "zhang",
        Act::Dispatch { department: office.to_owned(), text: None },
    );
    put(at + 5 * HOUR, "li", Act::Progress { text: "已联系经办单位核实。".to_owned() });
    let days = match dice.below(100) {
        0..70 => 1 + dice.below(5),
        70..90 => 6 + dice.below(3),
        _ => 13 + dice.below(9),
    };
    // Some wait for what the caller has to hand in.
    if (6..=8).contains(&days) {
        put(at + 2 * DAY, "li", Act::Pause { reason: "等待来电人提供票据。".to_owned() });
        put(at + 4 * DAY, "li", Act::Progress { text: "票据已收到，继续办理。".to_owned() });
    }
    if days > 8 {
        put(at + 9 * DAY, "chen", Act::Urge { text: "来电人催办。".to_owned() });
    }
    let closed = at + days * DAY + dice.below(5) * HOUR;
    put(closed, "li", Act::Close { result: "经核实，已责成责任单位整改并答复来电人。".to_owned() });
    let asked = closed + DAY + dice.below(3) * HOUR;
    let satisfied = match dice.below(100) {
        0..78 => Some(true),
        78..88 => Some(false),
        _ => None,
    };
    let reached = if satisfied.is_some() { "电话回访。" } else { "电话回访，未接通。" };
    put(asked, "wang", Act::FollowUp { text: reached.to_owned(), satisfied });
    if satisfied == Some(false) {
        put(asked + HOUR, "wang", Act::Reopen { reason: "来电人不满意，重新办理。".to_owned() });
        put(asked + 3 * DAY, "li", Act::Close { result: "已上门沟通，来电人认可。".to_owned() });
        put(asked + 4 * DAY, "wang", Act::FollowUp { text: "再次回访。".to_owned(), satisfied: Some(true) });
    }
}

/// Makes a site's history in its data directory, which no node runs on yet. Returns how many calls it took.
pub(super) fn make(
    dir: &Path,
    node: NodeName,
    beside: Option<Site>,
    from: Date,
    now: u64,
) -> Result<usize, Failure> {
    let mut steps = plan(node.site(), beside, from, now, &samples()?).steps.into_iter().peekable();
    let mut engine = Engine::open(dir, &Options::drawn()?)?;
    let mut taken: BTreeMap<usize, String> = BTreeMap::new();
    let days: Vec<Date> = from.series(1.day()).take_while(|day| midnight(*day) <= now).collect();
    for days in days.chunks(TOGETHER) {
        engine.begin(midnight(days[0]))?;
        for day in days {
            let night = (midnight(*day) + NIGHT).min(now);
            // A telling each night would be most of the work. Who calls before it is taken first.
            let last = now.saturating_sub(midnight(*day)) < 2 * DAY;
            let mut told = *day != from && day.weekday() != Weekday::Monday && !last;
            while let Some(((at, _), (ticket, who, step))) =
                steps.next_if(|((at, _), _)| *at < midnight(*day) + DAY)
            {
                if !told && at >= night {
                    told = true;
                    tell(&mut engine, night)?;
                }
                engine.later(at);
                let user = Some(who.to_owned());
                let request = match step {
                    Step::Take(call) => Request::New { tickets: vec![call], user },
                    Step::Do(act) => {
                        Request::Act { id: taken.get(&ticket).cloned().unwrap_or_default(), act, user }
                    }
                };
                let takes = matches!(request, Request::New { .. });
                let done = engine.ask(&request)?;
                if takes {
                    taken.insert(ticket, done[0]["id"].as_str().unwrap_or_default().to_owned());
                }
            }
            if !told {
                tell(&mut engine, night)?;
            }
        }
        engine.commit()?;
    }
    Ok(taken.len())
}

/// What a node does when nothing else is to be done.
fn tell(engine: &mut Engine, night: u64) -> Result<(), Failure> {
    engine.later(night);
    while engine.catch_up()? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_has_its_shape_and_no_future() {
        let now = midnight("2026-11-18".parse().unwrap()) + 10 * HOUR;
        let site: Site = "370100".parse().unwrap();
        let from = first_day(china::today(now));
        assert_eq!(from.to_string(), "2026-10-01");
        let made = || plan(site, "370200".parse().ok(), from, now, &samples().unwrap()).steps;
        let (steps, again) = (made(), made());
        assert!(steps.keys().eq(again.keys()), "the same seed, the same history");
        assert!(steps.keys().all(|(at, _)| (midnight(from)..=now).contains(at)));
        let count =
            |wanted: &dyn Fn(&Step) -> bool| steps.values().filter(|(_, _, step)| wanted(step)).count();
        let taken = count(&|step| matches!(step, Step::Take(_)));
        let answered = count(&|step| matches!(step, Step::Do(Act::Answer { .. })));
        assert!((150..400).contains(&taken), "{taken}");
        assert!((85..99).contains(&(answered * 100 / taken)), "{answered} of {taken}");
        assert!(count(&|step| matches!(step, Step::Do(Act::Offer { .. }))) > 0);
        let on = |day: &str| {
            let day = midnight(day.parse().unwrap());
            steps
                .range((day, 0)..(day + DAY, 0))
                .filter(|(_, (.., step))| matches!(step, Step::Take(_)))
                .count()
        };
        let mut begun = std::collections::BTreeSet::new();
        for (ticket, _, step) in steps.values() {
            let takes = matches!(step, Step::Take(_));
            assert_eq!(takes, begun.insert(*ticket), "a ticket begins with its call, once");
        }
        let (holidays, others) = (on("2026-10-02") + on("2026-10-03"), on("2026-10-24") + on("2026-10-25"));
        assert!(holidays > others, "holidays bring more than a weekend");
    }
}
