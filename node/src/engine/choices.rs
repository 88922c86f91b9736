//! What this site may do with a ticket as it stands, why the rest is not offered and who may, and which peers still
//! lack something of it; and who normally handles such a matter.
//!
//! Every answer is that of the functions which grant an action ([`entry_of`] and [`may`]), asked with an action that names
//! a place where its rule depends on one: so a page offers what will be granted, but for the choice of a place.

use std::collections::BTreeMap;

use certs::Site;
use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::Store;

use super::Engine;
use super::act::entry_of;
use crate::content::Content;
use crate::request::{Act, Failure, Language, Reply};
use crate::ticket::may::{may, who_may};
use crate::ticket::story::refusal_in_chinese;
use crate::ticket::{EntryId, Folded, Op, TicketMatter};

/// How many things that a peer lacks are counted.
const COUNTED: usize = 1_000;

/// An action as the desk offers it: the name of its command, with what stands for its arguments.
struct Candidate {
    name: &'static str,
    act: Act,
    /// The entries that it may name.
    of: Vec<EntryId>,
    /// What it answers to, when nothing of the kind is there.
    lacks: Option<Lack>,
}

/// What an action answers to.
#[derive(Clone, Copy)]
enum Lack {
    Offer,
    Close,
    Kept,
    Request,
}

impl Lack {
    fn words(self, language: Language) -> &'static str {
        match (self, language) {
            (Lack::Offer, Language::Zh) => "没有等待签收的转办",
            (Lack::Offer, Language::En) => "no offer is open",
            (Lack::Close, Language::Zh) => "工单尚未办结",
            (Lack::Close, Language::En) => "the ticket is not closed",
            (Lack::Kept, Language::Zh) => "没有需要解除的保全",
            (Lack::Kept, Language::En) => "nothing is kept on this ticket",
            (Lack::Request, Language::Zh) => "没有待批的延期申请",
            (Lack::Request, Language::En) => "nobody has asked for an extension",
        }
    }
}

/// All actions, in the order in which a desk shows them.
fn candidates(folded: &Folded, me: Site) -> Vec<Candidate> {
    let none = String::new;
    let stand = &folded.stand;
    let elsewhere = stand.only_to.or_else(|| stand.custodian.superiors().next()).unwrap_or(me);
    let offered_to = if elsewhere == stand.custodian { below(me).unwrap_or(me) } else { elsewhere };
    let assigned_to = if me.is_above(stand.custodian) { me } else { below(me).unwrap_or(me) };
    let plain = |name, act| Candidate { name, act, of: Vec::new(), lacks: None };
    let on = |name, act, there: bool, lack| Candidate {
        name,
        act,
        of: Vec::new(),
        lacks: if there { None } else { Some(lack) },
    };
    let offer = folded.open_offer().is_some();
    vec![
        on("accept", Act::Accept {}, offer, Lack::Offer),
        on("decline", Act::Decline { reason: none() }, offer, Lack::Offer),
        plain("answer", Act::Answer { text: none() }),
        plain("redirect", Act::Redirect { to: none(), text: none() }),
        plain("reject", Act::Reject { reason: none() }),
        plain("dispatch", Act::Dispatch { department: none(), text: None }),
        plain("feedback", Act::Feedback { text: none() }),
        plain("progress", Act::Progress { text: none() }),
        plain("reply", Act::Reply { text: none(), confirm: None }),
        plain("close", Act::Close { result: none() }),
        plain("follow-up", Act::FollowUp { text: none(), satisfied: None }),
        on("reopen", Act::Reopen { reason: none() }, stand.is_closed(), Lack::Close),
        plain("offer", Act::Offer { to: offered_to.to_string(), reason: none() }),
        on("withdraw", Act::Withdraw {}, offer, Lack::Offer),
        plain("assign", Act::Assign { to: assigned_to.to_string(), reason: none() }),
        plain("recall", Act::Recall { reason: none() }),
        plain("urge", Act::Urge { text: none() }),
        plain("supervise", Act::Supervise { text: none() }),
        plain("escalate", Act::Escalate { reason: none() }),
        plain("pause", Act::Pause { reason: none() }),
        plain("extend", Act::Extend { days: None, reason: none(), grant: None }),
        Candidate {
            name: "grant-extension",
            act: Act::Extend {
                days: None,
                reason: none(),
                grant: stand.requests.last().map(ToString::to_string),
            },
            of: stand.requests.clone(),
            lacks: stand.requests.is_empty().then_some(Lack::Request),
        },
        plain("correct", Act::Correct { facts: BTreeMap::new(), reason: None }),
        plain("merge", Act::Merge { into: none() }),
        plain("unmerge", Act::Unmerge { reason: none() }),
        plain("keep", Act::Keep { reason: none() }),
        on("release", Act::Release { reason: none() }, !folded.kept.is_empty(), Lack::Kept),
    ]
}

/// Some site below this one, to ask with.
fn below(me: Site) -> Option<Site> {
    let code = me.code();
    let names = [format!("{me}-01"), format!("{:06}", code + 100), "110000".to_owned()];
    names.iter().filter_map(|name| name.parse().ok()).find(|site| me.is_above(*site))
}

impl Engine {
    pub(super) fn choices(&mut self, id: &str, language: Language) -> Reply {
        let doc = self.find(id)?;
        let folded = self.folded(doc)?;
        let me = self.me().site();
        let mut choices = Vec::new();
        for candidate in candidates(&folded, me) {
            choices.push(self.choice(&folded, me, &candidate, language)?);
        }
        let (replies, audience, facts) = self.with_document(doc, |document, matter| {
            (replies(matter, &folded, me), matter.audience().clone(), Content::read(document).facts)
        })?;
        let mut peers = Vec::new();
        let known: Vec<_> =
            self.replica.peers().map(|(name, row)| (name, row.everything.is_some())).collect();
        for (peer, scan) in known.into_iter().filter(|(peer, _)| audience.contains(&peer.site())) {
            peers.push(json!({
                "node": peer,
                "name": self.reference.centres.name(peer.site()),
                "connected": self.replica.link(peer).connected,
                "owed": self.store.owed_of(peer, &doc, COUNTED)?.len(),
                "scan": scan,
            }));
        }
        let mut all =
            json!({ "id": doc.to_string(), "choices": choices, "replies": replies, "peers": peers });
        if let Some(suggested) = self.suggested(&facts, folded.stage.name(), folded.created.against) {
            all["suggested"] = suggested;
        }
        Ok(all)
    }

    fn choice(&self, folded: &Folded, me: Site, c: &Candidate, language: Language) -> Result<Value, Failure> {
        if let Some(lack) = c.lacks {
            return Ok(json!({ "do": c.name, "may": false, "why": lack.words(language), "who": [] }));
        }
        // Any smaller id will do to ask whether a ticket may be joined at all.
        let (op, _, _) = entry_of(&c.act, folded, me, Some(DocId::from_bytes([0; 32])))?;
        let Err(refusal) = may(folded, me, &op) else {
            return Ok(json!({ "do": c.name, "may": true, "of": c.of }));
        };
        let why = match language {
            Language::Zh => refusal_in_chinese(&refusal, &|site| self.named(site)),
            Language::En => refusal.to_string(),
        };
        let who = who_may(folded, &op).into_iter();
        let who: Vec<Value> =
            who.map(|s| json!({ "site": s, "name": self.reference.centres.name(s) })).collect();
        Ok(json!({ "do": c.name, "may": false, "why": why, "who": who }))
    }
}

/// Replies that an assign has superseded: the new custodian may confirm one as its own.
fn replies(matter: &TicketMatter, folded: &Folded, me: Site) -> Vec<Value> {
    let Some(trail) = matter.trail() else { return Vec::new() };
    let superseded = folded.superseded.iter().filter_map(|s| trail.get(s.entry));
    superseded
        .filter(|a| matches!(a.entry.op, Op::Reply { .. }))
        .filter(|_| may(folded, me, &Op::Reply { of: None }).is_ok())
        .map(|a| json!({ "entry": a.id, "text": a.entry.text, "by": a.site }))
        .collect()
}
