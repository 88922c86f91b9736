//! Events applied to the world.

use std::collections::BTreeSet;

use certs::Site;

use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use node::ticket::entry::{Corrected, Create, Entry, EntryId, Op};
use node::ticket::erasure::{Erasure, may_erase};
use node::ticket::matter::{KIND, SCHEMA};
use node::ticket::may::may;
use node::ticket::{Folded, TicketMatter};
use serde_json::json;
use sync::id::{DocId, ItemHash, SealHash};
use sync::item::{Kind, State};
use sync::replica::WriteError;
use sync::store::Store;

use super::event::{Deed, Event, Future};
use super::machine::{Machine, write_entry};
use super::net::{Weather, pair};
use super::oracle::Called;
use super::person::{self, Caller, Key};
use super::{Checked, World, book};

type Written = Result<(), WriteError<automerge::AutomergeError>>;

impl World {
    /// Applies one event and checks every invariant.
    pub fn apply(&mut self, event: &Event) -> Checked {
        self.happen(event)?;
        self.rot();
        self.check()
    }

    fn happen(&mut self, event: &Event) -> Checked {
        let there = |w: &World, m: usize| m < w.machines.len();
        match *event {
            Event::Pass(ms) => return self.pass(ms),
            Event::Call { at, ticket, caller } if there(self, at) => self.call_at(at, ticket, caller),
            Event::Act { at, ticket, deed, force } if there(self, at) => self.deed(at, ticket, deed, force),
            Event::Note { at, ticket, bytes } if there(self, at) => self.note_at(at, ticket, bytes),
            Event::Edit { at, ticket } if there(self, at) => self.edit(at, ticket),
            Event::Attach { at, ticket, bytes } if there(self, at) => self.attach(at, ticket, bytes),
            Event::Erase { at, ticket, force } if there(self, at) => self.erase(at, ticket, force),
            Event::Grant { at, ticket, to } if there(self, at) => self.grant(at, ticket, to),
            Event::LoseVault(at) if there(self, at) => self.lose_vault(at),
            Event::Future { at, ticket, what } if there(self, at) => self.future(at, ticket, what),
            Event::Article { at, article } if there(self, at) => self.article_at(at, article),
            Event::Say { at, article, saying } if there(self, at) => self.say_of_article(at, article, saying),
            Event::Cut(p) => {
                self.count("a link cut");
                if self.net.flying_on(p) > 0 {
                    self.count("a link cut with frames on their way");
                }
                self.cut.insert(p);
                self.over(p);
            }
            Event::Mend(p) => {
                self.cut.remove(&p);
                self.net.open(p);
                self.busy();
            }
            Event::CutAmid(p, frames) => {
                self.count("a link cut amid a sequence of frames");
                self.net.cut_after(p, frames);
            }
            Event::Weather(p, weather) => {
                self.count_weather(weather);
                self.net.set_weather(p, weather);
            }
            Event::OneWay(from, to) => {
                self.count("a link that goes one way");
                self.net.deafen(from, to, self.now);
            }
            Event::Crash { at, after, point } if there(self, at) => {
                self.machines[at].armed = Some((after, point));
            }
            Event::PowerCut(at) if there(self, at) => {
                self.count("a power cut");
                self.power_cut(at);
            }
            Event::Start(at) if there(self, at) => self.start(at),
            Event::Clock { at, off } if there(self, at) => {
                self.count(if off < self.machines[at].clock { "a clock back" } else { "a clock ahead" });
                self.machines[at].clock = off;
            }
            Event::Backup(at) if there(self, at) => {
                let disk = self.machines[at].disk.clone();
                self.machines[at].backups.push(disk);
            }
            Event::Restore { at, which } if there(self, at) => self.put_back(at, which),
            Event::Clone(at) if there(self, at) => self.clone_machine(at),
            Event::Copy(at) if there(self, at) => self.copy_machine(at),
            Event::Revoke { node, at } if there(self, at) => self.revoke(node, at),
            Event::Lie { from, to, lie, salt } if there(self, from) && there(self, to) => {
                self.lie(from, to, lie, salt);
            }
            Event::Relay { from, to, tamper } => {
                self.relays.insert((from, to), tamper);
            }
            Event::Export { from, to, basis } if there(self, from) && there(self, to) => {
                self.export(from, to, basis);
            }
            Event::Import { at, stick, harm } if there(self, at) => self.import(at, stick, harm),
            _ => {}
        }
        self.violation.take().map_or(Ok(()), Err)
    }

    fn count_weather(&mut self, w: Weather) {
        let kinds = [
            (w.loss > 0, "frames lost and sent again"),
            (w.vanish > 0, "frames that vanish for good"),
            (w.twice > 0, "frames that come twice"),
            (w.delay >= 300, "a slow link"),
            (w.jitter > 50, "lanes that overtake each other"),
        ];
        kinds.into_iter().filter(|(is, _)| *is).for_each(|(_, what)| self.count(what));
    }

    pub(super) fn written(&mut self, result: Option<Written>) {
        match result {
            Some(Err(WriteError::Refused(refusal))) => {
                self.fail(super::check::OWN_GATE, format!("a node's own gate refused it: {refusal}"));
            }
            Some(Err(WriteError::Store(e))) => self.fail(super::check::WHOLE, e.to_string()),
            _ => {}
        }
    }

    fn call_at(&mut self, at: usize, ticket: u32, caller: Caller) {
        if self.oracle.tickets.contains_key(&ticket) {
            return;
        }
        let me = self.machines[at].node;
        let confidential = matches!(caller, Caller::Confidential | Caller::Against);
        let against = (caller == Caller::Against).then(|| me.site());
        let key: Option<Key> = match caller {
            Caller::Unnamed => None,
            _ => self.chance.bytes(16).try_into().ok(),
        };
        let create = Create {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            number: format!("JT{}{ticket:08}", me.site()),
            site: me.site(),
            confidential,
            against,
            reported: ticket.is_multiple_of(3),
            rule: "world".to_owned(),
            declines: None,
        };
        let entry = Entry {
            at: Some(self.clock(at).to_string()),
            ..Entry::new(Op::Create(Box::new(create)), [], me)
        };
        let bytes = entry.to_bytes();
        let mut ours = None;
        let made = self.at(at, |r, s, d| {
            let made = r.write(None, s, d, |_, tx| six_parts(tx, ticket, &bytes));
            if let (Ok(doc), Some(key)) = (&made, key) {
                ours = Some(*doc);
                person::grant_first(*doc, key, r, s, d);
            }
            made
        });
        // It may be durable, and travel, though nobody was answered.
        if let Some(doc) = ours {
            let taken_by = me.site();
            let called =
                Called { taken_by, confidential, against, named: BTreeSet::new(), asked: BTreeSet::new() };
            self.oracle.callers.insert(doc, called);
        }
        match made {
            Some(Ok(doc)) => {
                self.oracle.tickets.insert(ticket, doc);
                if caller != Caller::Unnamed {
                    self.count(if confidential { "a confidential report" } else { "a caller who is named" });
                }
            }
            Some(Err(e)) => self.written(Some(Err(e))),
            None => {}
        }
    }

    /// The ticket of a call, if this machine is up and holds it.
    fn doc_at(&mut self, at: usize, ticket: u32) -> Option<DocId> {
        let doc = *self.oracle.tickets.get(&ticket)?;
        (self.is_up(at) && self.machines[at].shown.contains_key(&doc)).then_some(doc)
    }

    /// Reads a ticket at a machine that is up.
    pub(super) fn read<R>(
        &mut self,
        at: usize,
        doc: DocId,
        read: impl FnOnce(&TicketMatter) -> R,
    ) -> Option<R> {
        let Machine { up, disk, .. } = &mut self.machines[at];
        let up = up.as_mut()?;
        let open = up.replica.open_document(doc, disk, &up.desk).expect("memory reads");
        open.map(|(_, sheet)| read(sheet.ticket()))
    }

    fn deed(&mut self, at: usize, ticket: u32, deed: Deed, force: bool) {
        let Some(doc) = self.doc_at(at, ticket) else { return };
        let me = self.machines[at].node;
        let Some(Some(op)) = self.read(at, doc, |t| {
            let folded = t.folded()?;
            let op = op_of(deed, folded)?;
            let may = may(folded, me.site(), &op).is_ok();
            (force || may).then_some((op, may))
        }) else {
            return;
        };
        let (op, may) = op;
        if may {
            self.note_named(doc, me.site(), &op);
        }
        self.count(name_of(deed));
        self.entry(at, doc, Entry::new(op, [], me));
    }

    /// Whoever is named by an entitled entry may see the caller; the ministry only when it takes the ticket.
    fn note_named(&mut self, doc: DocId, by: Site, op: &Op) {
        let Some(called) = self.oracle.callers.get_mut(&doc) else { return };
        match op {
            Op::Offer { to, .. } if *to != Site::MINISTRY => drop(called.named.insert(*to)),
            Op::Assign { to, .. } => drop(called.named.insert(*to)),
            Op::Accept { .. } => drop(called.named.insert(by)),
            _ => {}
        }
    }

    fn entry(&mut self, at: usize, doc: DocId, entry: Entry) {
        let now = self.clock(at);
        let result = self.at(at, |r, s, d| write_entry(doc, entry, now, r, s, d).map(drop));
        self.written(result);
    }

    fn note_at(&mut self, at: usize, ticket: u32, bytes: u32) {
        let Some(doc) = self.doc_at(at, ticket) else { return };
        if bytes > 100_000 {
            self.count("a huge note");
        }
        let text = self.chance.bytes(bytes as usize);
        let hash = EntryId::of(&text).to_string();
        let result = self.at(at, |r, s, d| {
            r.write(Some(doc), s, d, |document, tx| {
                let notes = document.part("notes").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&notes, hash, text)
            })
            .map(drop)
        });
        self.written(result);
    }

    /// The ticket of a call, if the desk at this machine may change its parts.
    pub(super) fn changeable_at(&mut self, at: usize, ticket: u32) -> Option<DocId> {
        let doc = self.doc_at(at, ticket)?;
        let site = self.machines[at].node.site();
        let mine = self
            .read(at, doc, |t| t.folded().is_some_and(|f| f.custodian() == site || f.stand.taken_by == site));
        // Past a revocation the gate reads more entries than the desk counts: a desk that is refused says so.
        let counted = self.read(at, doc, |t| t.not_counted().next().is_none());
        (mine == Some(true) && counted == Some(true)).then_some(doc)
    }

    fn edit(&mut self, at: usize, ticket: u32) {
        let Some(doc) = self.changeable_at(at, ticket) else { return };
        let word = format!("{:x}", self.chance.word());
        let Some(heads) = self.read(at, doc, |t| t.trail_heads()) else { return };
        let corrected = Corrected { from: String::new(), to: word.clone() };
        let op = Op::Correct { facts: [("subject".to_owned(), corrected)].into() };
        let entry = Entry::new(op, heads, self.machines[at].node).to_bytes();
        let result = self.at(at, |r, s, d| {
            r.write(Some(doc), s, d, |document, tx| {
                let trail = document.part("trail").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&trail, EntryId::of(&entry).to_string(), entry)?;
                let facts = document.part("facts").ok_or(automerge::AutomergeError::Fail)?;
                tx.put(&facts, "subject", word)?;
                let body = document.part("body").ok_or(automerge::AutomergeError::Fail)?;
                tx.splice_text(&body, 0, 0, "更正: ")
            })
            .map(drop)
        });
        self.written(result);
    }

    fn erase(&mut self, at: usize, ticket: u32, force: bool) {
        let Some(doc) = self.doc_at(at, ticket) else { return };
        let me = self.machines[at].node;
        let Some(Some((may, parents))) = self.read(at, doc, |t| {
            let may = may_erase(t.folded()?, me.site());
            Some((may, t.trail_heads()))
        }) else {
            return;
        };
        if !may && !force {
            return;
        }
        self.count(if may { "a caller erased" } else { "a mark that its author may not write" });
        let at_clock = Some(self.clock(at).to_string());
        let reason = "保存期满".to_owned();
        let mark = Erasure { document: doc.to_string(), node: me, parents, reason, user: None, at: at_clock };
        self.at(at, |r, s, d| r.put(doc, Kind::ERASED, mark.to_bytes(), s, d).expect("memory writes"));
    }

    fn grant(&mut self, at: usize, ticket: u32, to: Site) {
        let Some(doc) = self.doc_at(at, ticket) else { return };
        let mut granted = false;
        self.at(at, |r, s, d| granted = person::grant_asked(doc, to, r, s, d));
        if granted {
            self.count("a grant on request");
            if let Some(called) = self.oracle.callers.get_mut(&doc) {
                called.asked.insert(to);
            }
        }
    }

    fn lose_vault(&mut self, at: usize) {
        self.power_cut(at);
        let grants = self.machines[at].disk.items();
        let lost: Vec<ItemHash> =
            grants.filter(|i| i.kind == Kind::GRANT && i.state != State::Emptied).map(|i| i.hash).collect();
        if !lost.is_empty() {
            self.count("a vault lost");
        }
        for hash in &lost {
            let elsewhere = (0..self.machines.len())
                .any(|m| m != at && self.machines[m].disk.state(hash).is_ok_and(|state| state.is_some()));
            if !elsewhere && self.oracle.acked.remove(hash).is_some() {
                self.count("a grant that only a lost vault held");
            }
        }
        self.oracle.replaced.insert(self.machines[at].node);
        self.machines[at].lost = lost;
        self.start(at);
    }

    fn future(&mut self, at: usize, ticket: u32, what: Future) {
        let Some(doc) = self.doc_at(at, ticket) else { return };
        let me = self.machines[at].node;
        self.count(match what {
            Future::Op => "an op of a newer version",
            Future::CustodyOp => "a custody op of a newer version",
            Future::Field => "a field of a newer version",
            Future::Item => "an item of a newer version",
        });
        let mut extra = serde_json::Map::new();
        extra.insert("since".to_owned(), json!({ "version": 9, "why": ["unknown here"] }));
        let op = match what {
            Future::Op => Op::Unknown("mediate".to_owned()),
            Future::CustodyOp => Op::Unknown("custody.share".to_owned()),
            Future::Field => Op::Progress,
            Future::Item => {
                let bytes = self.chance.bytes(40);
                self.at(at, |r, s, d| r.put(doc, Kind::new(99), bytes, s, d).expect("memory writes"));
                return;
            }
        };
        self.entry(at, doc, Entry { extra, ..Entry::new(op, [], me) });
    }

    fn put_back(&mut self, at: usize, which: usize) {
        let Some(disk) = self.machines[at].backups.get(which).cloned() else { return };
        self.count("a backup restored");
        self.oracle.replaced.insert(self.machines[at].node);
        self.power_cut(at);
        let lost = std::mem::replace(&mut self.machines[at].disk, disk);
        self.excuse(&lost);
        self.machines[at].shown.clear();
        self.machines[at].forget_audiences();
        self.start(at);
    }

    /// What only a disk that is gone held is lost with it: the one excuse there is.
    fn excuse(&mut self, gone: &sync::store::memory::Memory) {
        for item in gone.items() {
            let kept =
                self.machines.iter_mut().any(|m| m.disk.state(&item.hash).is_ok_and(|state| state.is_some()));
            if !kept && self.oracle.acked.remove(&item.hash).is_some() {
                self.count("a word that only a replaced disk held");
            }
        }
    }

    fn clone_machine(&mut self, at: usize) {
        if self.machines[at].retired || self.machines.len() > 24 {
            return;
        }
        self.count("a disk cloned");
        let fresh = self.machines.len();
        let Machine { node, ref disk, .. } = self.machines[at];
        let birth = self.seed ^ (1000 + fresh as u64);
        let mut clone = Machine::new(node, disk.clone(), birth, self.sabotage, self.sites.clone());
        clone.named = self.machines[at].named.clone();
        self.run_beside(at, clone);
    }

    /// The copy writes with the actor and the numbers of the first: of twins one stands, and its writer is to say the
    /// other again, which machines of this world do not.
    fn copy_machine(&mut self, at: usize) {
        if self.machines[at].retired || !self.is_up(at) || self.machines.len() > 24 {
            return;
        }
        self.count("a running node copied");
        let twin = self.machines[at].twin();
        self.oracle.forgers.insert(twin.node);
        self.run_beside(at, twin);
    }

    fn run_beside(&mut self, at: usize, copy: Machine) {
        let fresh = self.machines.len();
        self.oracle.replaced.insert(copy.node);
        self.machines.push(copy);
        let links: Vec<usize> = self
            .wanted
            .iter()
            .filter(|p| p.0 == at || p.1 == at)
            .map(|p| if p.0 == at { p.1 } else { p.0 })
            .collect();
        for other in links {
            self.wanted.insert(pair(fresh, other));
        }
        let sticks = self.without_line.iter().filter(|p| p.0 == at || p.1 == at);
        let sticks: Vec<usize> = sticks.map(|p| if p.0 == at { p.1 } else { p.0 }).collect();
        self.without_line.extend(sticks.into_iter().map(|other| pair(fresh, other)));
        self.start(fresh);
    }

    fn revoke(&mut self, node: certs::NodeName, at: usize) {
        if !self.is_up(at) || self.machines[at].node == node {
            return;
        }
        self.count("a node revoked");
        if self.machines.iter().filter(|m| m.node == node).count() > 1 {
            self.count("a cloned node revoked");
        }
        self.oracle.revocations += 1;
        let number = self.oracle.revocations;
        let ends = chain_ends(&mut self.machines[at].disk, node);
        let bytes = book::revocation(node, number, ends);
        self.oracle.revoked.insert(node);
        self.at(at, |r, s, d| r.put_directory(Kind::REVOCATION, &bytes, s, d).expect("memory writes"));
    }
}

/// The ends of a node's seal chain as a disk holds it: one, or one for each fork.
fn chain_ends(disk: &mut sync::store::memory::Memory, node: certs::NodeName) -> Vec<SealHash> {
    let Some((highest, _)) = disk.highest_seal(node).expect("memory reads") else { return Vec::new() };
    let mut ends = BTreeSet::new();
    for number in 1..=highest.min(100_000) {
        for hash in disk.seals_numbered(node, number).expect("memory reads") {
            if let Some(stored) = disk.seal(&hash).expect("memory reads") {
                stored.seal.words().previous.iter().for_each(|p| {
                    ends.remove(p);
                });
            }
            ends.insert(hash);
        }
    }
    ends.into_iter().collect()
}

/// The first change of a ticket.
pub(super) fn six_parts(
    tx: &mut automerge::transaction::Transaction<'_>,
    ticket: u32,
    entry: &[u8],
) -> Result<(), automerge::AutomergeError> {
    let facts = tx.put_object(ROOT, "facts", ObjType::Map)?;
    tx.put(&facts, "subject", format!("出租车拒载 {ticket}"))?;
    let body = tx.put_object(ROOT, "body", ObjType::Text)?;
    tx.splice_text(&body, 0, 0, "乘客称司机拒载。")?;
    tx.put_object(ROOT, "person", ObjType::Map)?;
    let trail = tx.put_object(ROOT, "trail", ObjType::Map)?;
    tx.put(&trail, EntryId::of(entry).to_string(), entry.to_vec())?;
    tx.put_object(ROOT, "notes", ObjType::Map)?;
    tx.put_object(ROOT, "files", ObjType::Map)?;
    Ok(())
}

fn op_of(deed: Deed, folded: &Folded) -> Option<Op> {
    let of = folded.custody();
    let offer = || folded.open_offer().map(|o| o.offer);
    Some(match deed {
        Deed::Offer(to) => Op::Offer { to, of },
        Deed::Accept => Op::Accept { of: offer()? },
        Deed::Decline => Op::Decline { of: offer()? },
        Deed::Withdraw => Op::Withdraw { of: offer()? },
        Deed::Assign(to) => Op::Assign { to, of },
        Deed::Close => Op::Close { of, result: "已处理".to_owned() },
        Deed::Reopen => Op::Reopen { of: *folded.stand.closed_by.first()? },
        Deed::Dispatch => Op::Dispatch { department: "运管处".to_owned() },
        Deed::Feedback => Op::Feedback,
        Deed::Progress => Op::Progress,
        Deed::Reply => Op::Reply { of: None },
        Deed::Urge => Op::Urge,
        Deed::Supervise => Op::Supervise,
        Deed::Escalate => Op::Escalate,
        Deed::FollowUp => Op::FollowUp { satisfied: Some(true) },
    })
}

fn name_of(deed: Deed) -> &'static str {
    match deed {
        Deed::Offer(_) => "offer",
        Deed::Accept => "accept",
        Deed::Decline => "decline",
        Deed::Withdraw => "withdraw",
        Deed::Assign(_) => "assign",
        Deed::Close => "close",
        Deed::Reopen => "reopen",
        Deed::Escalate => "escalate",
        _ => "handling",
    }
}
