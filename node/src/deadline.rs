//! Deadlines (办理时限): when a ticket should be done, and why then.
//!
//! A projection, never a rule of custody: it reads the times that the entries claim, the limits in force where it was taken on the
//! day on which its clock began (before the first that a site has set, those of the version that the ticket names), and the calendar. Days are counted from the day after (the day on which a period
//! begins is not counted), in China's time, and the last one counts to its end. A day at whose end the clock stands
//! (pause) is not counted. A reopened ticket begins anew.
//!
//! ```text
//! begun 2026-09-28, 10 working days: 29 30 | 1..7 October off | 8 9 10(worked) | 12 13 14 15 16  -> end of 2026-10-16
//! ```

use certs::Site;
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::china::{day, end_of, shown, zoned};
use crate::reference::{Calendar, Exception, Held, Limit, Matter, Reference, Unit};
use crate::request::Language;

/// Extensions count up to so many days together.
const MOST_EXTRA: u32 = 365;

/// Days looked at before a count is given up: pauses are no reason to count for ever.
const MOST_LOOKED_AT: u32 = 10_000;

/// What a deadline is made of: kept beside a ticket, so that a new calendar moves deadlines without opening documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    rule: String,
    /// The limits that were known to be in force when it was taken; read of the document, and only said.
    #[serde(skip)]
    policy: Option<String>,
    /// It was reopened, so its clock began anew.
    #[serde(skip)]
    reopened: bool,
    /// Who took it, which a row says beside this.
    #[serde(skip)]
    taken_by: Option<Site>,
    business: String,
    domain: String,
    topic: String,
    urgency: String,
    begun: Option<Timestamp>,
    /// From when until when the clock stood; it stands still without an end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pauses: Vec<(Timestamp, Option<Timestamp>)>,
    /// Days that were granted.
    #[serde(default)]
    extra: u32,
    /// Nobody has to work on it any more,
    done: bool,
    /// since then, if somebody claims a time.
    ended: Option<Timestamp>,
}

/// When a ticket should be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline<'a> {
    /// The last moment; `None` while the clock stands still.
    pub due: Option<Timestamp>,
    /// The holidays of a year that it runs into are not published yet: it may move.
    pub provisional: bool,
    /// Days of the limit that are left, while the clock stands still.
    left: u32,
    limit: &'a Limit,
    /// What sites have set, if that is what it follows.
    held: Option<&'a Held>,
    /// The limits that it was taken under, when they are not those that it follows: whether they are known here.
    taken_under: Option<(String, bool)>,
    /// Runs of days off, and weekends that are worked, among the days that were counted.
    exceptions: Vec<(Exception, Date, Date)>,
}

/// The earliest, or the latest, of the times that these entries claim.
fn claimed(entries: &Value) -> impl Iterator<Item = Timestamp> + '_ {
    let times = entries.as_array().into_iter().flatten();
    times.filter_map(|e| e["at"].as_str()?.parse().ok())
}

impl Timing {
    /// Reads the facts of the clock ([`crate::ticket::times::times`]) and those of the matter.
    pub fn of(clock: &Value, facts: &Map<String, Value>, done: bool) -> Timing {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let pauses = clock["paused"].as_array().into_iter().flatten();
        let extensions = clock["extensions"].as_array().into_iter().flatten();
        let granted = extensions.filter_map(|e| {
            let grants = e["granted"].as_array().filter(|g| !g.is_empty())?;
            let days = grants.iter().filter_map(|g| g["days"].as_u64()).min();
            days.or(e["request"]["days"].as_u64()) // whoever grants may grant less than was asked for
        });
        let ended = claimed(&clock["stopped"]).max().or_else(|| claimed(&clock["replied"]).max());
        Timing {
            rule: text(clock.get("rule")),
            policy: clock["policy"].as_str().map(str::to_owned),
            reopened: clock["reopened"].as_array().is_some_and(|entries| !entries.is_empty()),
            taken_by: clock["taken_by"].as_str().and_then(|site| site.parse().ok()),
            business: text(facts.get("business")),
            domain: text(facts.get("domain")),
            topic: text(facts.get("topic")),
            urgency: text(facts.get("urgency")),
            begun: claimed(&clock["reopened"]).max().or_else(|| claimed(&clock["began"]).min()),
            pauses: pauses
                .filter_map(|p| Some((p["from"]["at"].as_str()?.parse().ok()?, claimed(&p["until"]).min())))
                .collect(),
            extra: granted.fold(0, |sum, days| days.saturating_add(sum).min(MOST_EXTRA.into())) as u32,
            done,
            ended: ended.filter(|_| done),
        }
    }

    /// Of a ticket that this site took, which is kept beside what it is made of.
    pub fn taken_by(mut self, site: &str) -> Timing {
        self.taken_by = site.parse().ok();
        self
    }

    /// From when it counts, if anybody claims a time.
    pub fn begun(&self) -> Option<Timestamp> {
        self.begun
    }

    /// When nobody had to work on it any more.
    pub fn ended(&self) -> Option<Timestamp> {
        self.ended
    }

    /// Whether a ticket that is done was done in time; `None` when it is not done, or nobody can say.
    pub fn in_time(&self, reference: &Reference) -> Option<bool> {
        let ended = self.ended.filter(|_| self.done)?;
        Some(self.deadline(reference)?.due.is_none_or(|due| ended <= due))
    }

    /// When the ticket should be done; `None` when nobody says when it began, or its rules are not known here.
    pub fn deadline<'a>(&self, reference: &'a Reference) -> Option<Deadline<'a>> {
        let matter = Matter {
            business: &self.business,
            domain: &self.domain,
            topic: &self.topic,
            urgency: &self.urgency,
        };
        let begun = self.begun?;
        let held = self.taken_by.and_then(|site| reference.limits.on(site, day(begun)));
        let (held, limit) = match held.and_then(|held| Some((held, held.of(matter)?))) {
            Some((held, limit)) => (Some(held), limit),
            None => (None, reference.limits.of(&self.rule, matter)?),
        };
        let mut deadline = self.counted(begun, limit, &reference.calendar)?;
        let taken_under = self.policy.as_ref().unwrap_or(&self.rule);
        if *taken_under != held.map_or(self.rule.as_str(), |held| &held.name) {
            let known = reference.limits.knows(taken_under);
            deadline.taken_under = Some((taken_under.clone(), known));
        }
        deadline.held = held;
        Some(deadline)
    }

    fn counted<'a>(&self, begun: Timestamp, limit: &'a Limit, calendar: &Calendar) -> Option<Deadline<'a>> {
        match limit.unit() {
            Unit::Hours => self.hours(begun, limit),
            Unit::WorkingDays => self.days(begun, limit, Some(calendar)),
            Unit::CalendarDays => self.days(begun, limit, None),
        }
    }

    /// Whether the clock stands at this moment.
    fn stands_at(&self, at: Timestamp) -> bool {
        self.pauses.iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until))
    }

    /// What a limit comes to with extensions: no more than its rule allows.
    fn bounded(&self, limit: &Limit, extended: u32) -> u32 {
        limit.longest().map_or(extended, |longest| extended.min(longest))
    }

    fn hours<'a>(&self, begun: Timestamp, limit: &'a Limit) -> Option<Deadline<'a>> {
        let hours = self.bounded(limit, limit.amount() + self.extra * 24);
        let mut due = begun.checked_add(Span::new().hours(i64::from(hours))).ok()?;
        let mut stands = false;
        let mut pauses = self.pauses.clone();
        pauses.sort();
        for (from, until) in pauses.into_iter().filter(|(from, _)| *from >= begun) {
            match until {
                _ if from >= due => break,
                Some(until) => due = due.checked_add(until.duration_since(from)).ok()?,
                None => stands = true,
            }
        }
        let due = (!stands).then_some(due);
        Some(Deadline { due, ..Deadline::of(limit) })
    }

    fn days<'a>(
        &self,
        begun: Timestamp,
        limit: &'a Limit,
        calendar: Option<&Calendar>,
    ) -> Option<Deadline<'a>> {
        let mut deadline = Deadline::of(limit);
        let mut left = self.bounded(limit, limit.amount() + self.extra);
        let mut day = day(begun);
        for _ in 0..MOST_LOOKED_AT {
            if left == 0 {
                deadline.due = Some(end_of(day)?);
                return Some(deadline);
            }
            day = day.tomorrow().ok()?;
            if let Some(calendar) = calendar {
                deadline.provisional |= !calendar.knows(day.year());
                deadline.note(calendar, day);
                if !calendar.is_worked(day) {
                    continue;
                }
            }
            let end = end_of(day)?;
            if self.pauses.iter().any(|(from, until)| until.is_none() && *from <= end) {
                deadline.left = left;
                return Some(deadline); // it stands until somebody goes on
            }
            if !self.stands_at(end) {
                left -= 1;
            }
        }
        None
    }
}

impl<'a> Deadline<'a> {
    fn of(limit: &'a Limit) -> Deadline<'a> {
        Deadline {
            due: None,
            provisional: false,
            left: 0,
            limit,
            held: None,
            taken_under: None,
            exceptions: Vec::new(),
        }
    }

    /// The rules that it follows.
    fn rule<'b>(&'b self, timing: &'b Timing) -> &'b str {
        self.held.map_or(timing.rule.as_str(), |held| &held.name)
    }

    /// Why it does not follow the rules that the ticket was taken under.
    fn moved(&self, timing: &Timing, zh: bool) -> String {
        let Some((under, known)) = &self.taken_under else { return String::new() };
        let (rule, since) = (self.rule(timing), self.held.map(|held| held.from));
        match (since, timing.reopened, known, zh) {
            (None, .., true) => format!("；受理时依据规则 {under}，本节点没有该规则，按规则 {rule} 计算"),
            (None, .., false) => {
                format!("; taken under rule {under}, which is not known here, so rule {rule} is followed")
            }
            (Some(since), true, _, true) => {
                format!("；受理时依据规则 {under}；重办时规则 {rule} 已自{since}起施行")
            }
            (Some(since), true, _, false) => {
                format!("; taken under rule {under}; when it was reopened, rule {rule} held since {since}")
            }
            (Some(since), false, true, true) => {
                format!("；受理时依据规则 {under}；规则 {rule} 自{since}起施行，收到较晚，按该规则重新计算")
            }
            (Some(since), false, true, false) => {
                format!("; taken under rule {under}; rule {rule} holds since {since} and was received later")
            }
            (Some(since), false, false, true) => {
                format!("；受理时依据规则 {under}，本节点没有该规则；本节点所知规则 {rule} 自{since}起施行")
            }
            (Some(since), false, false, false) => format!(
                "; taken under rule {under}, which is not known here; rule {rule} holds since {since} as far as is known here"
            ),
        }
    }

    /// Notes that a day is not what its weekday says; neighbours make one run.
    fn note(&mut self, calendar: &Calendar, day: Date) {
        let Some((exception, _)) = calendar.exception(day) else { return };
        match self.exceptions.last_mut() {
            Some((same, _, last)) if *same == exception && last.tomorrow().ok() == Some(day) => *last = day,
            _ => self.exceptions.push((exception, day, day)),
        }
    }

    /// How a ticket stands with it.
    fn state(&self, timing: &Timing, now: Timestamp) -> &'static str {
        match (self.due, timing.ended) {
            (_, None) if timing.done => "done",
            (None, None) => "paused",
            (None, Some(_)) => "met",
            (Some(due), Some(ended)) if ended > due => "missed",
            (Some(_), Some(_)) => "met",
            (Some(due), None) if now > due => "overdue",
            (Some(_), None) => "running",
        }
    }

    /// As `ticket show` prints it: `{"due","state","provisional","rule","text":{"zh","en"}}`.
    pub fn shown(&self, timing: &Timing, now: Timestamp) -> Value {
        json!({
            "due": self.due.map(shown),
            "state": self.state(timing, now),
            "provisional": self.provisional,
            "rule": self.rule(timing),
            "taken_under": self.taken_under.as_ref().map(|(under, _)| under),
            "text": {
                "zh": self.explained(timing, now, Language::Zh),
                "en": self.explained(timing, now, Language::En),
            },
        })
    }

    /// Why then, in a sentence.
    pub fn explained(&self, timing: &Timing, now: Timestamp, language: Language) -> String {
        let zh = language == Language::Zh;
        let begun = timing.begun.map(|at| day(at).to_string()).unwrap_or_default();
        let (amount, unit) = (self.limit.amount(), self.limit.unit());
        let unit_zh = unit.chinese();
        let (matter, name, moved) = (self.limit.holds_for(), self.rule(timing), self.moved(timing, zh));
        let rule = match (zh, matter.is_empty()) {
            (true, true) => format!("规则 {name}"),
            (true, false) => format!("规则 {name}：{matter}"),
            (false, true) => format!("under rule {name}"),
            (false, false) => format!("under rule {name} ({matter})"),
        };
        let mut extra = match (timing.extra, zh) {
            (0, _) => String::new(),
            (days, true) => format!("，经批准延长{days}日"),
            (days, false) => format!(", extended by {days} days"),
        };
        if let Some(longest) = self.limit.longest().filter(|_| timing.extra > 0) {
            extra += &match zh {
                true => format!("，最长{longest}{unit_zh}"),
                false => format!(", {longest} {unit} at most"),
            };
        }
        let from = match zh {
            true => format!("自{begun}起{amount}{unit_zh}（{rule}）{extra}"),
            false => format!("{amount} {unit} from {begun} {rule}{extra}"),
        };
        let Some(due) = self.due else {
            return match zh {
                true => format!("{from}；计时暂停中，尚余{}日{moved}", self.left),
                false => format!("{from}; the clock stands still, {} days are left{moved}", self.left),
            };
        };
        let last = match unit {
            Unit::Hours => zoned(due).strftime("%Y-%m-%d %H:%M").to_string(),
            _ => day(due).to_string(),
        };
        let why: Vec<String> = self.exceptions.iter().map(|e| run(e, zh)).collect();
        let why = match (why.is_empty(), zh) {
            (true, _) => String::new(),
            (false, true) => format!("，因{}", why.join("，")),
            (false, false) => format!(", because {}", why.join(" and ")),
        };
        let provisional = match (self.provisional, zh) {
            (false, _) => "",
            (true, true) => "（暂定：节假日安排尚未公布）",
            (true, false) => " (provisional: the holidays are not published yet)",
        };
        let state = match (self.state(timing, now), zh) {
            ("overdue", true) => "，已超期",
            ("overdue", false) => "; it is overdue",
            ("missed", true) => "，超期办结",
            ("missed", false) => "; it was done after that",
            ("met", true) => "，按期办结",
            ("met", false) => "; it was done in time",
            _ => "",
        };
        match zh {
            true => format!("{from}，应于{last}前办结{why}{provisional}{state}{moved}"),
            false => format!("{from}: {last}{why}{provisional}{state}{moved}"),
        }
    }
}

/// A run of days off or worked, in words.
fn run((exception, first, last): &(Exception, Date, Date), zh: bool) -> String {
    let days = match (first == last, zh) {
        (true, _) => first.to_string(),
        (false, true) => format!("{first}至{last}"),
        (false, false) => format!("{first} to {last}"),
    };
    match (exception, zh) {
        (Exception::Holiday, true) => format!("{days}放假"),
        (Exception::Workday, true) => format!("{days}上班"),
        (Exception::Holiday, false) if first == last => format!("{days} is a holiday"),
        (Exception::Holiday, false) => format!("{days} are holidays"),
        (Exception::Workday, false) => format!("{days} is worked"),
    }
}

/// When a limit ends that began at a moment, and whether that may move since the holidays of a year are not published yet.
pub fn end_of_limit(begun: Timestamp, limit: &Limit, calendar: &Calendar) -> Option<(Timestamp, bool)> {
    let deadline = Timing::default().counted(begun, limit, calendar)?;
    Some((deadline.due?, deadline.provisional))
}

/// Until when a ticket is nearly overdue: the end of the next working day.
pub fn soon(calendar: &Calendar, now: Timestamp) -> Timestamp {
    let mut days = day(now).series(Span::new().days(1)).skip(1).take(MOST_LOOKED_AT as usize);
    days.find(|day| calendar.is_worked(*day)).and_then(end_of).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}+08:00").parse().unwrap()
    }

    fn complaint(begun: &str) -> Timing {
        let (rule, business) = ("built-in 1".to_owned(), "投诉举报".to_owned());
        Timing { rule, business, begun: Some(at(begun)), ..Timing::default() }
    }

    fn told(timing: &Timing, now: &str) -> (String, String) {
        let deadline = timing.deadline(Reference::built_in()).unwrap();
        let say = |language| deadline.explained(timing, at(now), language);
        (say(Language::Zh), say(Language::En))
    }

    #[test]
    fn ten_working_days_across_the_national_day_explain_themselves() {
        let (zh, en) = told(&complaint("2026-09-28T16:20:00"), "2026-09-29T08:00:00");
        assert_eq!(
            en,
            "10 working days from 2026-09-28 under rule built-in 1 (投诉举报): 2026-10-16, because 2026-10-01 to \
             2026-10-07 are holidays and 2026-10-10 is worked"
        );
        assert_eq!(
            zh,
            "自2026-09-28起10个工作日（规则 built-in 1：投诉举报），应于2026-10-16前办结，因2026-10-01至2026-10-07放假，2026-10-10上班"
        );
    }

    #[test]
    fn a_deadline_in_a_year_that_is_not_published_is_provisional() {
        let timing = complaint("2026-12-28T09:00:00");
        let deadline = timing.deadline(Reference::built_in()).unwrap();
        assert!(deadline.provisional);
        assert!(
            told(&timing, "2026-12-29T00:00:00")
                .1
                .ends_with("(provisional: the holidays are not published yet)")
        );
        assert!(!complaint("2026-12-01T09:00:00").deadline(Reference::built_in()).unwrap().provisional);
    }

    #[test]
    fn pauses_and_extensions_move_it_and_an_open_pause_stops_it() {
        let check = |timing: &Timing, due: Option<&str>| {
            let deadline = timing.deadline(Reference::built_in()).unwrap();
            assert_eq!(deadline.due.map(shown).as_deref(), due, "{timing:?}");
        };
        let plain = complaint("2026-11-02T09:00:00"); // a Monday
        check(&plain, Some("2026-11-16T23:59:59+08:00"));
        let pause = |from: &str, until: Option<&str>| Timing {
            pauses: vec![(at(from), until.map(at))],
            ..plain.clone()
        };
        check(&pause("2026-11-04T10:00:00", Some("2026-11-04T15:00:00")), Some("2026-11-16T23:59:59+08:00"));
        check(&pause("2026-11-04T10:00:00", Some("2026-11-06T15:00:00")), Some("2026-11-18T23:59:59+08:00"));
        check(&pause("2026-11-04T10:00:00", None), None);
        check(&pause("2026-12-04T10:00:00", None), Some("2026-11-16T23:59:59+08:00")); // after its end
        check(&Timing { extra: 5, ..plain.clone() }, Some("2026-11-23T23:59:59+08:00"));
        let urgent = Timing { urgency: "特急".to_owned(), ..plain.clone() };
        check(&urgent, Some("2026-11-02T11:00:00+08:00"));
        let urgent =
            Timing { pauses: vec![(at("2026-11-02T10:00:00"), Some(at("2026-11-02T10:30:00")))], ..urgent };
        check(&urgent, Some("2026-11-02T11:30:00+08:00"));
        assert!(
            told(&pause("2026-11-04T10:00:00", None), "2026-11-05T00:00:00").1.ends_with("9 days are left")
        );
    }

    #[test]
    fn a_complaint_about_a_taxi_takes_ten_days_and_with_all_extensions_thirty() {
        let domain = ("D04".to_owned(), "D0401".to_owned());
        let taxi = |extra| Timing {
            domain: domain.0.clone(),
            topic: domain.1.clone(),
            extra,
            ..complaint("2026-11-02T09:00:00")
        };
        let due = |extra| {
            let timing = taxi(extra);
            shown(timing.deadline(Reference::built_in()).unwrap().due.unwrap())[..10].to_owned()
        };
        assert_eq!(
            [due(0), due(15), due(25), due(300)],
            ["2026-11-12", "2026-11-27", "2026-12-02", "2026-12-02"]
        );
        let (zh, en) = told(&taxi(25), "2026-11-03T08:00:00");
        assert!(en.contains("extended by 25 days, 30 calendar days at most: 2026-12-02"), "{en}");
        assert!(zh.contains("经批准延长25日，最长30个自然日，应于2026-12-02前办结"), "{zh}");
    }

    #[test]
    fn what_was_done_in_time_and_what_was_not_is_told() {
        let ended =
            |when: &str| Timing { done: true, ended: Some(at(when)), ..complaint("2026-11-02T09:00:00") };
        let check = |timing: &Timing, state: &str| {
            let deadline = timing.deadline(Reference::built_in()).unwrap();
            assert_eq!(deadline.shown(timing, at("2026-12-24T00:00:00"))["state"], state);
        };
        check(&ended("2026-11-16T23:59:59"), "met");
        check(&ended("2026-11-17T00:00:00"), "missed");
        check(&complaint("2026-11-02T09:00:00"), "overdue");
        check(&complaint("2026-12-23T09:00:00"), "running");
        check(&Timing { done: true, ..complaint("2026-11-02T09:00:00") }, "done");
    }

    #[test]
    fn nearly_overdue_is_what_ends_on_the_next_working_day() {
        let calendar = &Reference::built_in().calendar;
        let check = |now: &str, until: &str| assert_eq!(shown(soon(calendar, at(now))), until);
        check("2026-11-02T09:00:00", "2026-11-03T23:59:59+08:00");
        check("2026-11-06T09:00:00", "2026-11-09T23:59:59+08:00"); // a Friday
        check("2026-09-30T09:00:00", "2026-10-08T23:59:59+08:00");
    }

    #[test]
    fn rules_that_are_not_known_set_no_deadline() {
        let timing = Timing { rule: "2031-7".to_owned(), ..complaint("2026-11-02T09:00:00") };
        assert_eq!(timing.deadline(Reference::built_in()), None);
        assert_eq!(
            Timing { begun: None, ..complaint("2026-11-02T09:00:00") }.deadline(Reference::built_in()),
            None
        );
    }

    #[test]
    fn facts_that_claim_nonsense_are_passed_over() {
        let clock = json!({
            "rule": "built-in 1", "began": [{ "at": "yesterday" }, { "at": "2026-11-02T09:00:00+08:00" }, {}],
            "paused": [{ "from": { "at": null }, "until": [] }],
            "extensions": [
                { "request": { "days": 900 }, "granted": [] }, { "request": { "days": 9 }, "granted": [{ "days": 3 }] },
                { "request": { "days": u64::MAX }, "granted": [{}] },
            ],
            "stopped": [{ "at": "2026-11-03T09:00:00+08:00" }],
        });
        let timing = Timing::of(&clock, &Map::new(), false);
        assert_eq!(timing.begun, Some(at("2026-11-02T09:00:00")));
        assert_eq!((timing.extra, timing.pauses.len(), timing.ended), (MOST_EXTRA, 0, None));
        assert!(timing.deadline(Reference::built_in()).is_some());
    }

    proptest! {
        /// Between the day after the beginning and the deadline lie just as many worked days as the limit says.
        #[test]
        fn as_many_worked_days_are_counted_as_the_limit_says(days in 0i64..7_000, hour in 0i64..24) {
            let begun = at("2007-01-01T00:00:00").checked_add(Span::new().hours(days * 24 + hour)).unwrap();
            let timing = Timing { begun: Some(begun), ..complaint("2026-11-02T09:00:00") };
            let reference = Reference::built_in();
            let due = timing.deadline(reference).unwrap().due.unwrap();
            let days = day(begun).tomorrow().unwrap().series(Span::new().days(1));
            let worked = days.take_while(|d| *d <= day(due)).filter(|d| reference.calendar.is_worked(*d)).count();
            prop_assert_eq!(worked, 10);
            prop_assert!(reference.calendar.is_worked(day(due)));
        }
    }
}
