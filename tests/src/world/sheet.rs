//! A ticket as a simulated node sees it: the real [`TicketMatter`], in a wrapper that sabotage can bend, and what
//! the invariants read of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::ScalarValue;
use certs::{NodeName, Site};
use node::knowledge;
use node::ticket::entry::{Entry, EntryId, Op};
use node::ticket::fold::{Alarm, Beaten};
use node::ticket::{Folded, TicketMatter, Trail};
use sync::document::{Document, Refusal, Witnessed, Write};
use sync::id::DocId;
use sync::item::{Audience, Item};
use sync::matter::{Domain, Matter, Ruling, Standing};
use sync::store::{self, memory::Memory};

use super::person::Vault;
use super::sabotage::Sabotage;

/// The matter of a simulated node's documents.
#[derive(Clone)]
pub struct Sheet {
    ticket: TicketMatter,
    sabotage: Sabotage,
    sites: Arc<BTreeSet<Site>>,
    me: Site,
    /// This site has accepted the ticket once, for the possessive one.
    ours: bool,
    /// Whom the last accept or assign to arrive gives the ticket, for the crooked fold.
    last_word: Option<Site>,
}

impl Sheet {
    /// The honest matter within.
    pub fn ticket(&self) -> &TicketMatter {
        &self.ticket
    }

    /// Who holds the ticket, as this node tells its desk.
    fn custodian(&self, folded: &Folded) -> Site {
        match self.last_word {
            Some(last) if self.sabotage == Sabotage::CrookedFold => last,
            _ => folded.custodian(),
        }
    }
}

impl Matter for Sheet {
    /// The ticket's own, and whether it says something of a newer version.
    type Reading = (<TicketMatter as Matter>::Reading, bool);

    fn read(&self, change: &Witnessed, writes: &[Write]) -> Result<Self::Reading, Refusal> {
        Ok((self.ticket.read(change, writes)?, writes.iter().any(is_newer)))
    }

    fn judge(
        &self,
        document: &Document,
        change: &Witnessed,
        (reading, newer): &Self::Reading,
    ) -> Result<(), Refusal> {
        if self.sabotage == Sabotage::Brittle && *newer {
            panic!("an op that this version does not know");
        }
        self.ticket.judge(document, change, reading)
    }

    fn take(&mut self, change: &Witnessed, (reading, _): Self::Reading) {
        let before = self.ticket.entries().count();
        self.ticket.take(change, reading);
        for entry in self.ticket.entries().skip(before) {
            match entry.entry.op {
                Op::Accept { .. } => {
                    self.last_word = Some(entry.site);
                    self.ours |= entry.site == self.me;
                }
                Op::Assign { to, .. } => self.last_word = Some(to),
                _ => {}
            }
        }
    }

    fn judge_erased(&self, author: NodeName, mark: &[u8], fallen: Vec<Self::Reading>) -> Ruling {
        self.ticket.judge_erased(author, mark, fallen.into_iter().map(|(reading, _)| reading).collect())
    }

    fn standing(&self) -> Standing {
        let standing = self.ticket.standing();
        if self.sabotage == Sabotage::OpenAudience {
            return Standing { audience: self.sites.iter().copied().collect(), ..standing };
        }
        standing
    }
}

fn is_newer(write: &Write) -> bool {
    let Write::Put { part, value: ScalarValue::Bytes(bytes), .. } = write else { return false };
    part == "trail" && Entry::parse(bytes).is_ok_and(|e| matches!(e.op, Op::Unknown(_)))
}

/// What the invariants read of one ticket at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The counted entries.
    pub entries: BTreeSet<EntryId>,
    /// Who holds it; `None` when its beginning does not count.
    pub custodian: Option<Site>,
    /// To whom it is offered.
    pub offered: Option<Site>,
    /// Equal exactly when the folded states are.
    pub state: [u8; 32],
    /// Who must hold it, counted entries or not.
    pub audience: Audience,
    /// Every entry that decided something of the chain, every entry that beat another, and what these rest on: where one of
    /// those is missing, or does not count, the word on top of it is not heard either.
    pub reasons: BTreeSet<EntryId>,
    /// A close that counts and an entitled offer of its custody that it did not know.
    pub unaware: Option<(EntryId, EntryId)>,
    /// Rare states that this one is an example of.
    pub rare: BTreeSet<&'static str>,
}

/// Equal exactly when two articles stand alike.
fn folded_state(folded: &knowledge::fold::Folded) -> [u8; 32] {
    *blake3::hash(&serde_json::to_vec(folded).expect("plain values are always written to memory")).as_bytes()
}

fn rare_article(folded: &knowledge::fold::Folded) -> BTreeSet<&'static str> {
    let all = [
        (folded.in_force().is_some(), "an article in force"),
        (folded.withdrawn.is_some(), "an article out of force"),
        (!folded.superseded.is_empty(), "a publication that another word beat"),
        (!folded.unentitled.is_empty(), "a word on an article without effect"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect()
}

impl Shown {
    /// Of a document in which nothing counts.
    fn uncounted() -> Shown {
        Shown {
            entries: BTreeSet::new(),
            custodian: None,
            offered: None,
            state: [0; 32],
            audience: Audience::default(),
            reasons: BTreeSet::new(),
            unaware: None,
            rare: BTreeSet::new(),
        }
    }

    /// Reads a ticket, or an article.
    pub fn of(sheet: &Sheet) -> Shown {
        let ticket = &sheet.ticket;
        let audience = ticket.standing().audience;
        if let Some(article) = ticket.article() {
            return Shown {
                entries: article
                    .entries()
                    .filter(|(_, counted)| *counted)
                    .map(|(entry, _)| entry.id)
                    .collect(),
                state: article.folded().map_or([0; 32], folded_state),
                audience,
                rare: article.folded().map(rare_article).unwrap_or_default(),
                ..Shown::uncounted()
            };
        }
        let (Some(folded), Some(trail)) = (ticket.folded(), ticket.trail()) else {
            let rare = BTreeSet::from(["a ticket whose beginning does not count"]);
            return Shown { audience, rare, ..Shown::uncounted() };
        };
        let custodian = sheet.custodian(folded);
        let state = blake3::keyed_hash(&folded.state_hash(), custodian.to_string().as_bytes());
        let possessive = sheet.sabotage == Sabotage::Possessive;
        let decided = folded.custodies.iter().flat_map(|c| c.begun_by.iter().chain(&c.decided_by));
        let beat = folded.superseded.iter().flat_map(|s| &s.beaten_by);
        Shown {
            entries: trail.iter().map(|e| e.id).collect(),
            custodian: Some(if possessive && sheet.ours { sheet.me } else { custodian }),
            offered: folded.open_offer().map(|o| o.to),
            state: *state.as_bytes(),
            audience,
            reasons: grounds(&trail, decided.chain(beat).copied()),
            unaware: unaware(folded, &trail, sheet.sabotage == Sabotage::HastyClose),
            rare: rare(folded, ticket),
        }
    }
}

/// These entries and all that they rest on.
fn grounds(trail: &Trail, from: impl Iterator<Item = EntryId>) -> BTreeSet<EntryId> {
    let (mut all, mut queue) = (BTreeSet::new(), from.collect::<Vec<EntryId>>());
    while let Some(id) = queue.pop() {
        if all.insert(id) {
            queue.extend(trail.get(id).into_iter().flat_map(|e| e.entry.parents.iter().copied()));
        }
    }
    all
}

/// Looks anew, without the fold's own indices, for an offer that a close should have known.
fn unaware(folded: &Folded, trail: &Trail, hasty: bool) -> Option<(EntryId, EntryId)> {
    let entitled = |id: &EntryId| !folded.unentitled.iter().any(|u| u.entry == *id);
    let names = &folded.stand.custody;
    let proposed =
        folded.superseded.iter().filter(|s| hasty && s.reason == Beaten::Unaware).map(|s| &s.entry);
    for close in folded.stand.closed_by.iter().chain(proposed) {
        let mut known = BTreeSet::new();
        let mut queue = vec![*close];
        while let Some(id) = queue.pop() {
            if known.insert(id) {
                queue.extend(trail.get(id).into_iter().flat_map(|e| &e.entry.parents));
            }
        }
        let offers = trail.iter().filter(|e| match &e.entry.op {
            Op::Offer { of, .. } => names.contains(of) && entitled(&e.id),
            _ => false,
        });
        if let Some(missed) = offers.map(|e| e.id).find(|id| !known.contains(id)) {
            return Some((*close, missed));
        }
    }
    None
}

fn rare(folded: &Folded, ticket: &TicketMatter) -> BTreeSet<&'static str> {
    let mut rare = BTreeSet::new();
    for s in &folded.superseded {
        rare.insert(match s.reason {
            Beaten::Superior(_) => "a word that a superior overruled",
            Beaten::Accepted | Beaten::Assigned => "an entry that another had gone before",
            Beaten::Tie => "a tie between replicas or forks",
            Beaten::TooLate => "an accept that came too late",
            Beaten::Unaware => "a close that did not know of an offer",
        });
    }
    for alarm in &folded.alarms {
        match alarm {
            Alarm::Newer => rare.insert("a ticket that only a newer version understands"),
            Alarm::OffersAtOnce { .. } => rare.insert("several offers open at once"),
            _ => false,
        };
    }
    if !folded.unentitled.is_empty() {
        rare.insert("an entry that its author might not write");
    }
    if ticket.not_counted().next().is_some() {
        rare.insert("an entry past its author's revocation");
    }
    rare
}

/// What a simulated node keeps beside the documents: how they stand, as of the transaction that is open.
pub struct Desk {
    me: Site,
    sabotage: Sabotage,
    sites: Arc<BTreeSet<Site>>,
    /// Documents projected in this transaction.
    pub touched: BTreeMap<DocId, Shown>,
    /// Whose the grants are.
    pub vault: Vault,
}

impl Desk {
    /// Which defect it has.
    pub fn sabotage(&self) -> Sabotage {
        self.sabotage
    }

    /// An empty desk in a world of these sites; the seed is for what its vault draws.
    pub fn new(seed: u64, me: Site, sabotage: Sabotage, sites: Arc<BTreeSet<Site>>) -> Desk {
        Desk { me, sabotage, sites, touched: BTreeMap::new(), vault: Vault::new(seed, sabotage) }
    }
}

impl Domain<Memory> for Desk {
    type Matter = Sheet;
    type Row = Shown;

    fn begin(&self, doc: DocId) -> Sheet {
        Sheet {
            ticket: TicketMatter::new(doc),
            sabotage: self.sabotage,
            sites: self.sites.clone(),
            me: self.me,
            ours: false,
            last_word: None,
        }
    }

    fn row(_: &Document, sheet: &Sheet) -> Shown {
        Shown::of(sheet)
    }

    fn project(&mut self, _: &mut Memory, doc: &DocId, shown: Shown) -> store::Result<()> {
        self.touched.insert(*doc, shown);
        Ok(())
    }

    fn keep(&mut self, _: &mut Memory, item: &Item) -> store::Result<()> {
        self.vault.keep(item);
        Ok(())
    }
}
