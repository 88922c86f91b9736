//! The history of a ticket in words, for people: what was done, what of it did not hold and why, and at the end who
//! holds the ticket and by whose word.
//!
//! ```text
//! 370100 济南市 offered it to 370200 青岛市 (外地车辆)
//! 370200 青岛市 accepted it  [superseded: 370000 山东省, a superior, decided otherwise: "370000 山东省 assigned it to …"]
//! …
//! 370300 淄博市 holds the ticket: 370000 山东省, its superior, decided so.
//! ```
//!
//! The lines stand in causal order; which of two concurrent ones comes first means nothing. Clock times are the
//! authors' own and decide nothing either, so they are given beside the words.

use certs::Site;

use super::custody::How;
use super::entitle::Refusal;
use super::entry::{Authored, Corrected, EntryId, Op};
use super::facts;
use super::fold::{Alarm, Beaten, Folded, Stage};
use super::trail::Trail;
use crate::reference::OwnFields;

/// The language of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 简体中文
    Chinese,
    /// English
    English,
}

/// Whether what a line tells has effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has.
    InForce,
    /// Something of more weight decided otherwise.
    Superseded,
    /// Its author might not do it.
    Unentitled,
}

impl Standing {
    /// Every one.
    pub const ALL: [Standing; 3] = [Standing::InForce, Standing::Superseded, Standing::Unentitled];

    /// The word for it.
    pub fn mark(self) -> &'static str {
        match self {
            Standing::InForce => "in force",
            Standing::Superseded => "superseded",
            Standing::Unentitled => "unentitled",
        }
    }
}

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The entry that the line tells; none in the closing paragraph.
    pub entry: Option<EntryId>,
    /// Its author's clock, as written.
    pub at: Option<String>,
    /// Whether it has effect.
    pub standing: Standing,
    /// The words.
    pub text: String,
}

/// Tells a ticket's history. `names` gives a site's name (`济南市`), or nothing when it has none; `fields` are those of
/// the centre's own; `folded` is the fold of `trail`.
pub fn story(
    folded: &Folded,
    trail: &Trail,
    names: &dyn Fn(Site) -> String,
    fields: &OwnFields,
    language: Language,
) -> Vec<Line> {
    let teller = Teller { folded, trail, names, fields, chinese: language == Language::Chinese };
    let entries = trail.in_order();
    let mut lines: Vec<Line> = entries.into_iter().map(|a| teller.line(a)).collect();
    lines.extend(teller.closing().into_iter().map(|text| Line {
        entry: None,
        at: None,
        standing: Standing::InForce,
        text,
    }));
    lines
}

struct Teller<'a> {
    folded: &'a Folded,
    trail: &'a Trail,
    names: &'a dyn Fn(Site) -> String,
    fields: &'a OwnFields,
    chinese: bool,
}

impl Teller<'_> {
    fn site(&self, site: Site) -> String {
        let name = (self.names)(site);
        if name.is_empty() { site.to_string() } else { format!("{site} {name}") }
    }

    fn say(&self, chinese: impl Into<String>, english: impl Into<String>) -> String {
        if self.chinese { chinese.into() } else { english.into() }
    }

    fn line(&self, a: &Authored) -> Line {
        let mut text = self.deed(a);
        let mut standing = Standing::InForce;
        if let Some(s) = self.folded.superseded.iter().find(|s| s.entry == a.id) {
            standing = Standing::Superseded;
            let beat = s.beaten_by.iter().filter_map(|b| self.trail.get(*b)).map(|b| self.deed(b));
            let beat = beat.collect::<Vec<_>>().join(&self.say("；", "; "));
            let why = self.beaten(s.reason);
            text += &self
                .say(format!("【未生效：{why}——“{beat}”】"), format!("  [superseded: {why}: \"{beat}\"]"));
        } else if let Some(u) = self.folded.unentitled.iter().find(|u| u.entry == a.id) {
            standing = Standing::Unentitled;
            text += &self.say(
                format!("【无权，不产生效力：{}】", refusal_in_chinese(&u.refusal, &|s| self.site(s))),
                format!("  [not entitled, no effect: {}]", u.refusal),
            );
        }
        Line { entry: Some(a.id), at: a.entry.at.clone(), standing, text }
    }

    /// What the entry says that was done.
    fn deed(&self, a: &Authored) -> String {
        let who = if a.node == a.site.into() {
            self.site(a.site)
        } else {
            self.say(
                format!("{}（{}）", self.site(a.site), a.node),
                format!("{} ({})", self.site(a.site), a.node),
            )
        };
        let (zh, en) = match &a.entry.op {
            Op::Create(c) => {
                (format!("受理来电，工单号 {}", c.number), format!("took the call, number {}", c.number))
            }
            Op::Offer { to, .. } => {
                (format!("转办至 {}", self.site(*to)), format!("offered it to {}", self.site(*to)))
            }
            Op::Accept { .. } => ("签收".into(), "accepted it".into()),
            Op::Decline { .. } => ("退回".into(), "declined it".into()),
            Op::Withdraw { .. } => ("撤回转办".into(), "withdrew the offer".into()),
            Op::Assign { to, .. } if *to == a.site => ("收回自办".into(), "recalled it".into()),
            Op::Assign { to, .. } => {
                (format!("指派给 {}", self.site(*to)), format!("assigned it to {}", self.site(*to)))
            }
            Op::Confirm { .. } => ("确认承办关系".into(), "confirmed who holds it".into()),
            Op::Close { result, .. } => (format!("办结：{result}"), format!("closed it: {result}")),
            Op::Reopen { .. } => ("重新打开".into(), "reopened it".into()),
            Op::Answer => ("当场答复".into(), "answered at once".into()),
            Op::Redirect => ("告知受理单位".into(), "told the caller whose matter it is".into()),
            Op::Reject => ("不予受理".into(), "did not take it up".into()),
            Op::Dispatch { department } => {
                (format!("交办 {department}"), format!("dispatched it to {department}"))
            }
            Op::Feedback => ("收到部门反馈".into(), "has the department's answer".into()),
            Op::Progress => ("报告进展".into(), "reported progress".into()),
            Op::Pause => ("暂停计时".into(), "paused the clock".into()),
            Op::Extend { of, days } => {
                let (zh_days, en_days) = match days {
                    Some(n) => (format!(" {n} 天"), format!(" of {n} days")),
                    None => (String::new(), String::new()),
                };
                match of {
                    None => (format!("申请延期{zh_days}"), format!("asked for an extension{en_days}")),
                    Some(_) => (format!("批准延期{zh_days}"), format!("granted an extension{en_days}")),
                }
            }
            Op::Reply { of: None } => ("回复来电人".into(), "replied to the caller".into()),
            Op::Reply { of: Some(_) } => ("确认此前的回复".into(), "confirmed an earlier reply".into()),
            Op::FollowUp { satisfied } => match satisfied {
                None => ("回访".into(), "followed up".into()),
                Some(true) => ("回访：满意".into(), "followed up: satisfied".into()),
                Some(false) => ("回访：不满意".into(), "followed up: not satisfied".into()),
            },
            Op::Urge => ("催办".into(), "urged it".into()),
            Op::Supervise => ("督办".into(), "put it under supervision".into()),
            Op::Escalate => ("提请上级指派".into(), "asked the next superior to assign".into()),
            Op::Merge { into } => {
                (format!("并入工单 {}", into.short()), format!("joined it to ticket {}", into.short()))
            }
            Op::Unmerge => ("取消并单".into(), "undid the joining".into()),
            Op::Keep => ("保全来电人信息".into(), "had the caller's data kept".into()),
            Op::Release { .. } => ("解除保全".into(), "released what was kept".into()),
            Op::Correct { facts: corrected } => {
                let mut corrected: Vec<_> = corrected.iter().collect();
                corrected.sort_by_key(|(name, _)| facts::place(name));
                let change = |name: &str, c: &Corrected, chinese| change(name, c, self.fields, chinese);
                let all =
                    |chinese| corrected.iter().map(|(name, c)| change(name, c, chinese)).collect::<Vec<_>>();
                (format!("更正 {}", all(true).join("；")), format!("corrected {}", all(false).join("; ")))
            }
            Op::Unknown(name) => {
                (format!("（新版本操作 {name}）"), format!("did `{name}`, which a newer version knows"))
            }
        };
        let said: Vec<&str> =
            [&a.entry.reason, &a.entry.text].into_iter().flatten().map(String::as_str).collect();
        let said = match said.is_empty() {
            true => String::new(),
            false => self.say(format!("（{}）", said.join("；")), format!(" ({})", said.join("; "))),
        };
        self.say(format!("{who} {zh}{said}"), format!("{who} {en}{said}"))
    }

    fn beaten(&self, reason: Beaten) -> String {
        match reason {
            Beaten::Superior(s) => self.say(
                format!("上级 {} 另有决定", self.site(s)),
                format!("{}, a superior, decided otherwise", self.site(s)),
            ),
            Beaten::Accepted => self.say("在先的转办已被签收", "an accept went before"),
            Beaten::Assigned => self.say("承办单位已另行指派", "the custodian had assigned it"),
            Beaten::Tie => {
                self.say("同一单位的两个决定冲突，另一个生效", "one site decided twice, and the other holds")
            }
            Beaten::TooLate => {
                self.say("上级已确认该转办结束", "a superior had confirmed that the offer was over")
            }
            Beaten::Unaware => {
                self.say("办结时不知有此事，须重新办结", "it did not know of this; close again")
            }
        }
    }

    /// Who holds the ticket and why, how it stands, and what a person should look at.
    fn closing(&self) -> Vec<String> {
        let f = self.folded;
        let holder = self.site(f.custodian());
        let why = match f.custodies.last().map(|c| c.how) {
            None | Some(How::Created) => self.say("由其受理", "it took the call"),
            Some(How::Superior(s)) if s == f.custodian() => {
                self.say("其作为上级接办", "as the superior it took it itself")
            }
            Some(How::Superior(s)) => self.say(
                format!("由上级 {} 决定", self.site(s)),
                format!("{}, a superior, decided so", self.site(s)),
            ),
            Some(How::Accepted) => self.say("其签收了转办", "it accepted the offer"),
            Some(How::Assigned) => self.say("由承办单位指派", "the custodian before it assigned it"),
        };
        let mut lines = vec![
            self.say(format!("现由 {holder} 承办：{why}。"), format!("{holder} holds the ticket: {why}.")),
        ];
        if let Stage::Closed(_) = f.stage {
            lines.push(self.say("工单已办结。", "The ticket is closed."));
        }
        for offer in &f.stand.open_offers {
            let to = self.site(offer.to);
            lines.push(self.say(
                format!("已转办至 {to}，尚未签收，期间仍由 {holder} 负责。"),
                format!("It is offered to {to}, which has not answered; until then {holder} is responsible."),
            ));
        }
        for join in &f.stand.joined {
            let into = join.into.short();
            lines.push(self.say(format!("已并入工单 {into}。"), format!("It is joined to ticket {into}.")));
        }
        if !f.proposals.is_empty() {
            lines.push(self.say("有办结未计入，请重新办结。", "A close did not count; make it again."));
        }
        if !f.replies_to_confirm.is_empty() {
            lines.push(self.say(
                "有未生效的回复，承办单位可予确认。",
                "A reply was superseded; the custodian may confirm it.",
            ));
        }
        lines.extend(f.alarms.iter().map(|a| self.alarm(a)));
        lines
    }

    fn alarm(&self, alarm: &Alarm) -> String {
        match alarm {
            Alarm::Tie { .. } => self.say(
                "注意：同一单位的副本同时作出了不同决定，请核查。",
                "Attention: replicas of one site decided differently at once; look into it.",
            ),
            Alarm::Twice { .. } => self.say(
                "注意：同一单位的副本重复作出了同一决定。",
                "Attention: replicas of one site decided the same at once.",
            ),
            Alarm::OffersAtOnce { .. } => self.say(
                "注意：同时存在多个转办，请撤回多余的。",
                "Attention: several offers are open; withdraw all but one.",
            ),
            Alarm::JoinedAtOnce { .. } => {
                self.say("注意：工单同时并入多个工单。", "Attention: the ticket is joined to several others.")
            }
            Alarm::Newer => self.say(
                "注意：新版本软件改动过此工单，本节点只能写备注。",
                "Attention: a newer version changed this ticket; this node writes nothing but notes to it.",
            ),
            Alarm::Frozen { entries } => self.say(
                format!("注意：流转轨迹已有 {entries} 条，已冻结，须人工处理。"),
                format!("Attention: the trail has {entries} entries and is frozen for a person."),
            ),
            Alarm::Flooded { entries } => self.say(
                format!("注意：流转轨迹异常（{entries} 条），仅显示首条。"),
                format!("Attention: the trail is flooded ({entries} entries); only the first is folded."),
            ),
        }
    }
}

/// One fact's correction in words.
fn change(name: &str, c: &Corrected, fields: &OwnFields, chinese: bool) -> String {
    let (zh, en) = facts::label_of(name, fields);
    let (label, none) = if chinese { (zh, "（空）") } else { (en, "(nothing)") };
    let shown = |said: &str| if said.is_empty() { none.to_owned() } else { format!("“{said}”") };
    format!("{label} {} → {}", shown(&c.from), shown(&c.to))
}

/// Why an action is not granted, in Chinese; English is the refusal's own. `site` names a site for people.
pub fn refusal_in_chinese(refusal: &Refusal, site: &dyn Fn(Site) -> String) -> String {
    match refusal {
        Refusal::NotOfThisTicket => "不以本工单首条记录为基础".into(),
        Refusal::SecondCreate => "工单已存在".into(),
        Refusal::Newer => "新版本软件改动过此工单".into(),
        Refusal::Frozen => "流转轨迹过长，已冻结".into(),
        Refusal::NotCustodian { custodian } => format!("仅承办单位 {} 可以", site(*custodian)),
        Refusal::NotSuperior { custodian } => format!("仅 {} 的上级可以", site(*custodian)),
        Refusal::NotAnySuperior => "仅历任承办单位的上级可以".into(),
        Refusal::NotCustodianOrSuperior { custodian } => {
            format!("仅 {} 及其上级可以", site(*custodian))
        }
        Refusal::NotConcerned { custodian, taken_by } => {
            format!("仅 {} 及其上级和受理单位 {} 可以", site(*custodian), site(*taken_by))
        }
        Refusal::NotResponsible { custodian, taken_by } => {
            format!("仅承办单位 {} 和受理单位 {} 可以，其他单位请写备注", site(*custodian), site(*taken_by))
        }
        Refusal::NotTakingSite { taken_by } => format!("仅受理单位 {} 可以", site(*taken_by)),
        Refusal::NotTakingSiteOrSuperior { custodian, taken_by } => {
            format!("仅受理单位 {} 和 {} 的上级可以", site(*taken_by), site(*custodian))
        }
        Refusal::NotTarget { to } => format!("仅转办对象 {} 可以", site(*to)),
        Refusal::NotInAudience => "该单位与本工单无关".into(),
        Refusal::NotThisCustody => "所指承办已不是当前承办".into(),
        Refusal::NoSuchOffer => "所指转办已不在等待签收".into(),
        Refusal::NoSuchClose => "所指办结不计入".into(),
        Refusal::NoSuchRequest => "所指延期申请不属于当前承办".into(),
        Refusal::ToItself => "工单已在该单位".into(),
        Refusal::OutsideJurisdiction { to } => format!("{} 不在其辖区", site(*to)),
        Refusal::OfferOpen { to } => format!("已转办至 {}，须先等待答复或撤回", site(*to)),
        Refusal::Declined { times } => format!("已{times}次被退回，须由上级指派"),
        Refusal::OnlyBackTo { superior } => {
            format!("由 {} 指派，只能转办回该上级", site(*superior))
        }
        Refusal::Closed => "工单已办结，须先重新打开".into(),
        Refusal::NobodyAbove => "工单在部级，没有上级".into(),
        Refusal::NotIntoSmaller => "只能并入编号较小的工单".into(),
        Refusal::AlreadyJoined => "工单已并入其他工单".into(),
        Refusal::NotJoined => "工单未并入其他工单".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::World;
    use super::*;
    use crate::reference::Reference;

    fn told(w: &World, language: Language) -> String {
        let names = |s: Site| {
            match s.code() {
                370_000 => "山东省",
                370_100 => "济南市",
                370_200 => "青岛市",
                370_300 => "淄博市",
                _ => "",
            }
            .to_owned()
        };
        let fields = &Reference::built_in().fields;
        let mut lines: Vec<String> =
            story(&w.fold(), &w.trail, &names, fields, language).into_iter().map(|l| l.text).collect();
        // Concurrent lines may stand in either order; the test fixes one.
        lines.sort();
        lines.join("\n")
    }

    fn check(w: &World, language: Language, expected: &str) {
        let mut lines: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        lines.sort_unstable();
        assert_eq!(told(w, language), lines.join("\n"));
    }

    fn overruled() -> World {
        let mut w = World::new("370100");
        let offer = w.offer("370100", "370200");
        w.assign("370000-b", "370300");
        w.sees(&[offer]).accept("370200", offer);
        w.sees_all().write("370200", Op::Urge);
        w
    }

    #[test]
    fn an_overruled_accept_in_english() {
        check(
            &overruled(),
            Language::English,
            r#"
            370100 济南市 took the call, number JT3701002027030127000Q1
            370100 济南市 offered it to 370200 青岛市 (理由)
            370000 山东省 (370000-b) assigned it to 370300 淄博市 (理由)
            370200 青岛市 accepted it (理由)  [superseded: 370000 山东省, a superior, decided otherwise: "370000 山东省 (370000-b) assigned it to 370300 淄博市 (理由)"]
            370200 青岛市 urged it (理由)  [not entitled, no effect: only 370100, which took the call, and the superiors of 370300 may do this]
            370300 淄博市 holds the ticket: 370000 山东省, a superior, decided so.
        "#,
        );
    }

    #[test]
    fn an_overruled_accept_in_chinese() {
        check(&overruled(), Language::Chinese, "
            370100 济南市 受理来电，工单号 JT3701002027030127000Q1
            370100 济南市 转办至 370200 青岛市（理由）
            370000 山东省（370000-b） 指派给 370300 淄博市（理由）
            370200 青岛市 签收（理由）【未生效：上级 370000 山东省 另有决定——“370000 山东省（370000-b） 指派给 370300 淄博市（理由）”】
            370200 青岛市 催办（理由）【无权，不产生效力：仅受理单位 370100 济南市 和 370300 淄博市 的上级可以】
            现由 370300 淄博市 承办：由上级 370000 山东省 决定。
        ");
    }

    #[test]
    fn the_closing_paragraph_says_what_is_open() {
        let mut w = World::new("370000");
        let root = w.trail.root();
        w.sees(&[root]).close("370000");
        w.sees(&[root]).offer("370000-b", "510100");
        let told = told(w.sees_all(), Language::English);
        for line in [
            "370000 山东省 holds the ticket: it took the call.",
            "It is offered to 510100, which has not answered; until then 370000 山东省 is responsible.",
            "A close did not count; make it again.",
        ] {
            assert!(told.lines().any(|l| l == line), "{told}");
        }
    }

    #[test]
    fn every_line_stands_in_causal_order_and_names_its_entry() {
        let w = overruled();
        let lines =
            story(&w.fold(), &w.trail, &|_| String::new(), &Reference::built_in().fields, Language::English);
        let entries: Vec<EntryId> = lines.iter().filter_map(|l| l.entry).collect();
        assert_eq!(entries.len(), 5);
        for (n, id) in entries.iter().enumerate() {
            assert!(w.trail.get(*id).unwrap().entry.parents.iter().all(|p| entries[..n].contains(p)));
        }
        let lost: Vec<_> = lines.iter().filter(|l| l.standing != Standing::InForce).collect();
        assert_eq!(lost.len(), 2);
    }
}
