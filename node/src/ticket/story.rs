//! The history of a ticket in words: who did what, what came of it, and who holds the ticket and why.
//!
//! One line an entry, in an order in which parents come first, and a closing line. An entry without effect keeps its
//! line and says what beat it. 中文 first; English says the same.

use certs::Site;

use super::custody::How;
use super::entry::{Authored, EntryId, Op};
use super::fold::{Beaten, Folded};
use super::trail::Trail;

/// The language of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 中文.
    Chinese,
    /// English.
    English,
}

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The sentence.
    pub text: String,
    /// What the line is: `effect`, `superseded`, `unentitled`, `proposal` or `now`.
    pub mark: &'static str,
}

/// Tells the story. `names` says what a site is called.
pub fn story(
    folded: &Folded,
    trail: &Trail,
    names: &dyn Fn(Site) -> String,
    language: Language,
) -> Vec<Line> {
    let teller = Teller { folded, trail, names, language };
    let mut lines: Vec<Line> = trail.in_order().into_iter().map(|entry| teller.line(entry)).collect();
    lines.push(Line { text: teller.now(), mark: "now" });
    lines
}

struct Teller<'a> {
    folded: &'a Folded,
    trail: &'a Trail,
    names: &'a dyn Fn(Site) -> String,
    language: Language,
}

impl Teller<'_> {
    fn say(&self, zh: String, en: String) -> String {
        match self.language {
            Language::Chinese => zh,
            Language::English => en,
        }
    }

    fn site(&self, site: Site) -> String {
        format!("{site} {}", (self.names)(site))
    }

    /// Who wrote an entry, and its first digits: enough to find it again.
    fn entry(&self, id: EntryId) -> String {
        match self.trail.get(id) {
            Some(e) => format!("{} {} {}", e.site, e.entry.op.name().replace('_', " "), id.short()),
            None => id.short(),
        }
    }

    fn entries(&self, ids: &[EntryId]) -> String {
        ids.iter().map(|id| self.entry(*id)).collect::<Vec<_>>().join(", ")
    }

    fn line(&self, entry: &Authored) -> Line {
        let at = entry.entry.at.as_deref().unwrap_or("-");
        let user = entry.entry.user.as_ref().map(|u| format!(" ({u})")).unwrap_or_default();
        let mut text = format!("{at}  {}{user} {}", self.site(entry.site), self.deed(entry));
        if let Some(said) = &entry.entry.text {
            text.push_str(&self.say(format!(":{said}"), format!(": {said}")));
        }
        if let Some(reason) = &entry.entry.reason {
            text.push_str(&self.say(format!("(原因:{reason})"), format!(" (reason: {reason})")));
        }
        text.push_str(&format!("  [{}]", entry.id.short()));
        let mut mark = "effect";
        if let Some(lost) = self.folded.superseded.iter().find(|s| s.entry == entry.id) {
            mark = "superseded";
            text.push_str(&self.beaten(lost.reason, &lost.beaten_by));
        } else if let Some(refused) = self.folded.unentitled.iter().find(|u| u.entry == entry.id) {
            mark = "unentitled";
            let why = &refused.refusal;
            text.push_str(
                &self.say(format!(" —— 无效:无权办理 ({why})"), format!(" -- without effect: {why}")),
            );
        } else if self.folded.proposals.contains(&entry.id) {
            mark = "proposal";
            text.push_str(&self.say(
                " —— 仅作办结建议:当时不知道另有转办或重办".to_owned(),
                " -- a proposal only: it did not know of an offer or reopen".to_owned(),
            ));
        }
        Line { text, mark }
    }

    fn beaten(&self, reason: Beaten, by: &[EntryId]) -> String {
        let by = self.entries(by);
        match reason {
            Beaten::Superior(site) => {
                let site = self.site(site);
                self.say(
                    format!(" —— 被取代:上级 {site} 另有决定 ({by})"),
                    format!(" -- superseded: the superior {site} decided otherwise ({by})"),
                )
            }
            Beaten::Accepted => self.say(
                format!(" —— 被取代:已有签收在先 ({by})"),
                format!(" -- superseded: an accept went before it ({by})"),
            ),
            Beaten::Assigned => self.say(
                format!(" —— 被取代:已经指派 ({by})"),
                format!(" -- superseded: the ticket was already assigned ({by})"),
            ),
            Beaten::Tie => self.say(
                format!(" —— 被取代:同级并发,按定序取另一条 ({by})"),
                format!(" -- superseded: a tie of equal rank fell on the other ({by})"),
            ),
            Beaten::TooLate => self.say(
                format!(" —— 被取代:上级已确认该转办结束 ({by})"),
                format!(" -- superseded: a superior had confirmed that the offer was over ({by})"),
            ),
            Beaten::Unaware => self.say(
                format!(" —— 未生效:不知道 {by}"),
                format!(" -- without effect: it did not know of {by}"),
            ),
        }
    }

    fn deed(&self, entry: &Authored) -> String {
        let both = |zh: &str, en: &str| self.say(zh.to_owned(), en.to_owned());
        let of = entry.entry.op.of().map(|of| self.entry(of)).unwrap_or_default();
        match &entry.entry.op {
            Op::Create(c) => {
                self.say(format!("受理工单 {}", c.number), format!("took the call: ticket {}", c.number))
            }
            Op::Offer { to, .. } => {
                self.say(format!("转办给 {}", self.site(*to)), format!("offered it to {}", self.site(*to)))
            }
            Op::Accept { .. } => self.say(format!("签收 ({of})"), format!("accepted it ({of})")),
            Op::Decline { .. } => self.say(format!("退回 ({of})"), format!("declined it ({of})")),
            Op::Withdraw { .. } => self.say(format!("撤回转办 ({of})"), format!("withdrew the offer ({of})")),
            Op::Assign { to, .. } if *to == entry.site => both("收回自办", "recalled it to itself"),
            Op::Assign { to, .. } => {
                self.say(format!("指派给 {}", self.site(*to)), format!("assigned it to {}", self.site(*to)))
            }
            Op::Confirm { .. } => {
                self.say(format!("确认承办关系 ({of})"), format!("confirmed the custody ({of})"))
            }
            Op::Close { result, .. } => self.say(format!("办结:{result}"), format!("closed it: {result}")),
            Op::Reopen { .. } => both("重办", "reopened it"),
            Op::Answer => both("直接答复", "answered at once"),
            Op::Redirect => both("告知/转接", "told the caller whose matter it is"),
            Op::Reject => both("不予受理", "did not take it up"),
            Op::Dispatch { department } => {
                self.say(format!("交办 {department}"), format!("dispatched it to {department}"))
            }
            Op::Feedback => both("部门反馈", "fed back"),
            Op::Progress => both("办理进展", "reported progress"),
            Op::Pause => both("暂停计时", "paused the clock"),
            Op::Extend { of: None, days } => {
                let days = days.map(|d| d.to_string()).unwrap_or_default();
                self.say(format!("申请延期 {days} 天"), format!("asked for {days} more days"))
            }
            Op::Extend { of: Some(_), .. } => {
                self.say(format!("批准延期 ({of})"), format!("granted the extension ({of})"))
            }
            Op::Reply { of: None } => both("回复来电人", "replied to the caller"),
            Op::Reply { of: Some(_) } => {
                self.say(format!("确认此前的回复 ({of})"), format!("confirmed an earlier reply ({of})"))
            }
            Op::FollowUp { satisfied } => match satisfied {
                Some(true) => both("回访:满意", "followed up: satisfied"),
                Some(false) => both("回访:不满意", "followed up: not satisfied"),
                None => both("回访", "followed up"),
            },
            Op::Urge => both("催办", "urged"),
            Op::Supervise => both("督办", "supervises"),
            Op::Escalate => both("提请上级指派", "asked the next superior to assign"),
            Op::Merge { into } => {
                self.say(format!("并入 {}", into.short()), format!("joined it to {}", into.short()))
            }
            Op::Unmerge => both("撤销并单", "took the merge back"),
            Op::Unknown(name) => self.say(
                format!("新版本的操作 {name}"),
                format!("did something that only a newer version knows: {name}"),
            ),
        }
    }

    fn now(&self) -> String {
        let holder = self.site(self.folded.stand.custodian);
        let because = match self.folded.custodies.last() {
            Some(custody) => {
                let by = self.entries(&custody.decided_by);
                match custody.how {
                    How::Created => self.say("由其受理".to_owned(), "it took the call".to_owned()),
                    How::Accepted => {
                        self.say(format!("其已签收 ({by})"), format!("it accepted the offer ({by})"))
                    }
                    How::Assigned => self
                        .say(format!("承办方自行指派 ({by})"), format!("the custodian assigned it ({by})")),
                    How::Superior(site) => {
                        let site = self.site(site);
                        self.say(
                            format!("上级 {site} 决定 ({by})"),
                            format!("the superior {site} decided so ({by})"),
                        )
                    }
                }
            }
            None => String::new(),
        };
        let offer = match self.folded.open_offer() {
            Some(open) => {
                let to = self.site(open.to);
                self.say(
                    format!(";已转办给 {to},签收前仍由其负责"),
                    format!("; it is offered to {to}, and stays responsible until that is accepted"),
                )
            }
            None => String::new(),
        };
        let stage = self.folded.stage.name().replace('_', " ");
        self.say(
            format!("现由 {holder} 承办:{because}{offer}。阶段:{stage}"),
            format!("{holder} holds the ticket: {because}{offer}. Stage: {stage}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::World;
    use super::*;

    #[test]
    fn a_hand_over_is_told_with_its_reason() {
        let mut w = World::new("370100");
        let offer = w.offer("370100", "370200");
        w.accept("370200", offer);
        let folded = w.fold();
        let names = |site: Site| {
            if site.to_string() == "370200" { "青岛市".to_owned() } else { "济南市".to_owned() }
        };
        let told = story(&folded, &w.view(), &names, Language::English);
        assert_eq!(told.len(), 4);
        assert!(told[1].text.contains("370100 济南市 offered it to 370200 青岛市"), "{}", told[1].text);
        assert!(told[2].text.contains("accepted it"), "{}", told[2].text);
        assert!(
            told[3].text.starts_with("370200 青岛市 holds the ticket: it accepted the offer"),
            "{}",
            told[3].text
        );
        let told = story(&folded, &w.view(), &names, Language::Chinese);
        assert!(told[3].text.starts_with("现由 370200 青岛市 承办:其已签收"), "{}", told[3].text);
    }
}
