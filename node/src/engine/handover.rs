//! Hand-overs that wait: until when an offer is to be accepted, and who assigns what came back too often. It decides nothing: an
//! offer that is late may still be accepted, and a superior may assign before.

use certs::Site;
use serde_json::{Value, json};

use super::Engine;
use crate::china::{day, shown, zoned};
use crate::deadline::end_of_limit;
use crate::projection::is_done;
use crate::reference::Unit;
use crate::request::Language;
use crate::ticket::{Stage, TicketMatter};

/// What of a ticket these limits read.
pub(super) struct Handover {
    /// To whom it is offered, and when that was by the clock of whoever did.
    offered: Option<(Site, Option<String>)>,
    /// Who assigns it, since no further offer may be made.
    assigns: Option<Site>,
    /// How often it may come back.
    declines: u32,
}

impl Handover {
    /// `None` of a ticket that has ended, or whose beginning does not count.
    pub(super) fn of(matter: &TicketMatter) -> Option<Handover> {
        let folded = matter.folded().filter(|folded| !is_done(folded.stage.name()))?;
        let at = |offer| matter.entries().find(|e| e.id == offer).and_then(|e| e.entry.at.clone());
        let offered = folded.open_offer().map(|open| (open.to, at(open.offer)));
        // Whoever works on it may go on: only a further offer is none of theirs.
        let stays = folded.stage == Stage::InHand && folded.stand.was_declined_enough();
        let assigns = folded.custodian().superior().filter(|_| stays);
        Some(Handover { offered, assigns, declines: folded.stand.most_declines })
    }
}

impl Engine {
    /// `{"accept_by","late","provisional","assigns","text":{"zh":[line],"en":[line]}}`; null when there is nothing to say. `assigns` is
    /// the site whose turn it is when the ticket came back too often.
    pub(super) fn handover_shown(&self, handover: Option<&Handover>) -> Value {
        let Some(handover) = handover else { return Value::Null };
        let (mut zh, mut en) = (Vec::new(), Vec::new());
        let mut told =
            json!({ "accept_by": null, "late": false, "provisional": false, "assigns": handover.assigns });
        let begun = handover.offered.as_ref().and_then(|(to, at)| Some((*to, at.as_deref()?.parse().ok()?)));
        if let (Some((to, begun)), Some(limit)) = (begun, self.reference.transfers.accept())
            && let Some((end, provisional)) = end_of_limit(begun, limit, &self.reference.calendar)
        {
            let late = self.reading().moment() > end;
            (told["accept_by"], told["late"]) = (shown(end).into(), late.into());
            told["provisional"] = provisional.into();
            let last = match limit.unit() {
                Unit::Hours => zoned(end).strftime("%Y-%m-%d %H:%M").to_string(),
                _ => day(end).to_string(),
            };
            let (since, name) = (day(begun), self.named(to));
            let (amount, unit) = (limit.amount(), limit.unit());
            let over = if late { ["，已超时", "; it is late"] } else { [""; 2] };
            let may_move = match provisional {
                true => {
                    ["（暂定：节假日安排尚未公布）", " (provisional: the holidays are not published yet)"]
                }
                false => [""; 2],
            };
            let within = format!("自{since}起{amount}{}", unit.chinese());
            zh.push(format!("{name}应于{last}前签收或退回（{within}）{}{}", may_move[0], over[0]));
            let within = format!("{amount} {unit} from {since}: {last}");
            en.push(format!("{name} is to accept or decline it: {within}{}{}", may_move[1], over[1]));
        }
        if let Some(superior) = handover.assigns {
            let (name, times) = (self.named(superior), handover.declines);
            zh.push(format!("已{times}次被退回，不能再转办，可由{name}指派承办单位"));
            en.push(format!(
                "it came back as often as it may ({times}) and is not offered any more: {name} may assign it"
            ));
        }
        if zh.is_empty() {
            return Value::Null;
        }
        told["text"] = json!({ "zh": zh, "en": en });
        told
    }

    /// The lines that close a ticket's story.
    pub(super) fn handover_lines(&self, handover: Option<&Handover>, language: Language) -> Vec<Value> {
        let shown = self.handover_shown(handover);
        let (key, stop) = match language {
            Language::Zh => ("zh", "。"),
            Language::En => ("en", ""),
        };
        let lines = shown["text"][key].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines
            .map(|line| json!({ "entry": null, "at": null, "text": format!("{line}{stop}"), "mark": "in force" }))
            .collect()
    }
}
