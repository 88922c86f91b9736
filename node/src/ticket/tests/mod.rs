//! The fold under test: a small world in which sites write on what they have seen.

mod exhaustive;
mod random;
mod scenarios;

use std::collections::BTreeSet;

use certs::Site;
use sync::id::DocId;

use super::entry::{Authored, Create, Entry, EntryId, Op};
use super::fold::{Folded, Stage, fold};
use super::trail::Trail;

/// A ticket, everything that anybody wrote to it, and writers who have seen all of it unless told otherwise.
#[derive(Clone)]
pub(super) struct World {
    pub(super) trail: Trail,
    /// The heads that the next entry rests on; `None`: all of the trail's.
    seen: Option<Vec<EntryId>>,
}

pub(super) const DOCUMENT: DocId = DocId::from_bytes([0x55; 32]);

pub(super) fn create(site: &str, reported: bool) -> Authored {
    coming_back(site, reported, None)
}

/// One that may be declined so often.
fn coming_back(site: &str, reported: bool, declines: Option<u32>) -> Authored {
    let create = Create {
        kind: "ticket".into(),
        schema: 1,
        number: "JT3701002027030127000Q1".into(),
        site: site.parse().unwrap(),
        confidential: false,
        against: None,
        reported,
        rule: "2014".into(),
        declines,
    };
    Entry::new(Op::Create(Box::new(create)), [], site.parse().unwrap()).into()
}

impl World {
    pub(super) fn new(taken_by: &str) -> World {
        World { trail: Trail::new(DOCUMENT, create(taken_by, false)).unwrap(), seen: None }
    }

    pub(super) fn coming_back(taken_by: &str, declines: u32) -> World {
        World {
            trail: Trail::new(DOCUMENT, coming_back(taken_by, false, Some(declines))).unwrap(),
            seen: None,
        }
    }

    pub(super) fn fold(&self) -> Folded {
        fold(&self.trail)
    }

    /// The next entries rest on these heads, until `sees_all`.
    pub(super) fn sees(&mut self, heads: &[EntryId]) -> &mut World {
        self.seen = Some(heads.to_vec());
        self
    }

    pub(super) fn sees_all(&mut self) -> &mut World {
        self.seen = None;
        self
    }

    /// The part of the trail that the next writer has seen.
    pub(super) fn view(&self) -> Trail {
        let Some(heads) = &self.seen else { return self.trail.clone() };
        let mut known: BTreeSet<EntryId> = BTreeSet::new();
        let mut open = heads.clone();
        while let Some(id) = open.pop() {
            if known.insert(id) {
                open.extend(&self.trail.get(id).unwrap().entry.parents);
            }
        }
        let mut view =
            Trail::new(self.trail.document(), self.trail.get(self.trail.root()).unwrap().clone()).unwrap();
        for id in known {
            view.insert(self.trail.get(id).unwrap().clone());
        }
        view
    }

    /// Writes an entry on what is seen; when that is not all, the writer goes on from its own entry.
    pub(super) fn write(&mut self, node: &str, op: Op) -> EntryId {
        let heads = self.seen.clone().unwrap_or_else(|| self.fold().heads);
        let mut entry = Entry::new(op, heads, node.parse().unwrap());
        entry.reason = Some("理由".into());
        let entry = Authored::from(entry);
        let id = entry.id;
        self.trail.insert(entry);
        if self.seen.is_some() {
            self.seen = Some(vec![id]);
        }
        id
    }

    fn custody(&self) -> EntryId {
        fold(&self.view()).custody()
    }

    pub(super) fn offer(&mut self, node: &str, to: &str) -> EntryId {
        let of = self.custody();
        self.write(node, Op::Offer { to: to.parse().unwrap(), of })
    }

    pub(super) fn accept(&mut self, node: &str, of: EntryId) -> EntryId {
        self.write(node, Op::Accept { of })
    }

    pub(super) fn decline(&mut self, node: &str, of: EntryId) -> EntryId {
        self.write(node, Op::Decline { of })
    }

    pub(super) fn withdraw(&mut self, node: &str, of: EntryId) -> EntryId {
        self.write(node, Op::Withdraw { of })
    }

    pub(super) fn assign(&mut self, node: &str, to: &str) -> EntryId {
        let of = self.custody();
        self.write(node, Op::Assign { to: to.parse().unwrap(), of })
    }

    pub(super) fn confirm(&mut self, node: &str) -> EntryId {
        let of = self.custody();
        self.write(node, Op::Confirm { of })
    }

    pub(super) fn close(&mut self, node: &str) -> EntryId {
        let of = self.custody();
        self.write(node, Op::Close { of, result: "已处理".into() })
    }

    pub(super) fn reopen(&mut self, node: &str, of: EntryId) -> EntryId {
        self.write(node, Op::Reopen { of })
    }

    pub(super) fn site(name: &str) -> Site {
        name.parse().unwrap()
    }
}

/// The fold with every id replaced by the place at which its entry was written, and every list sorted: what is left
/// must not depend on the entries' hashes.
pub(super) fn nameless(written: &[Authored], folded: &Folded) -> serde_json::Value {
    let place = |id: &str| written.iter().position(|a| a.id.to_string() == id);
    fn walk(value: &mut serde_json::Value, place: &dyn Fn(&str) -> Option<usize>) {
        match value {
            serde_json::Value::String(s) => {
                if let Some(n) = place(s) {
                    *s = format!("entry {n:02}");
                }
            }
            serde_json::Value::Array(list) => {
                list.iter_mut().for_each(|v| walk(v, place));
                list.sort_by_cached_key(|v| v.to_string());
            }
            serde_json::Value::Object(map) => map.values_mut().for_each(|v| walk(v, place)),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(folded).unwrap();
    // The chain's order is meant.
    for (n, custody) in value["custodies"].as_array_mut().unwrap().iter_mut().enumerate() {
        custody["number"] = n.into();
    }
    walk(&mut value, &place);
    value
}

/// The same story in other bytes: every entry gets another hash.
pub(super) fn renamed(written: &[Authored], user: &str) -> Vec<Authored> {
    let mut new: Vec<Authored> = Vec::new();
    for a in written {
        let now = |id: EntryId| written.iter().position(|w| w.id == id).map_or(id, |at| new[at].id);
        let mut entry = a.entry.clone();
        entry.parents = entry.parents.into_iter().map(now).collect();
        entry.parents.sort_unstable();
        match &mut entry.op {
            Op::Offer { of, .. }
            | Op::Accept { of }
            | Op::Decline { of }
            | Op::Withdraw { of }
            | Op::Assign { of, .. }
            | Op::Confirm { of }
            | Op::Close { of, .. }
            | Op::Reopen { of }
            | Op::Extend { of: Some(of), .. }
            | Op::Reply { of: Some(of) } => *of = now(*of),
            _ => {}
        }
        entry.user = Some(user.to_owned());
        new.push(entry.into());
    }
    new
}

pub(super) fn trail_of<'a>(root: &Authored, entries: impl IntoIterator<Item = &'a Authored>) -> Trail {
    let mut trail = Trail::new(DOCUMENT, root.clone()).unwrap();
    entries.into_iter().for_each(|a| {
        trail.insert(a.clone());
    });
    trail
}

/// What holds of every folded trail, checked from the entries alone.
pub(super) fn assert_sound(written: &[Authored], folded: &Folded) {
    let find = |id: EntryId| written.iter().find(|a| a.id == id).unwrap();
    let unentitled: BTreeSet<EntryId> = folded.unentitled.iter().map(|u| u.entry).collect();
    let superseded: BTreeSet<EntryId> = folded.superseded.iter().map(|s| s.entry).collect();
    // Unentitled, superseded and in force part the entries.
    assert_eq!(unentitled.len(), folded.unentitled.len());
    assert_eq!(superseded.len(), folded.superseded.len());
    assert!(unentitled.is_disjoint(&superseded));
    let in_force = |id: &EntryId| !unentitled.contains(id) && !superseded.contains(id);
    // Everything on the chain is in force, and the chain hangs together.
    let mut custodian = None;
    for (n, c) in folded.custodies.iter().enumerate() {
        assert!(!c.names.is_empty() && !c.begun_by.is_empty());
        if let Some(lost) = c.names.iter().chain(&c.begun_by).find(|id| !in_force(id)) {
            panic!("{lost:?} of custody {n} is not in force\n{}", told(written, folded));
        }
        // A word that decided may itself be superseded further on: what it has seen stays seen.
        assert!(c.decided_by.iter().all(|d| !unentitled.contains(d)), "custody {n}");
        for name in &c.names {
            let a = find(*name);
            match (&a.entry.op, n) {
                (Op::Create(create), 0) => assert_eq!(c.custodian, create.site),
                (Op::Offer { to, of } | Op::Assign { to, of }, 1..) => {
                    assert_eq!(c.custodian, *to);
                    assert!(folded.custodies[n - 1].names.contains(of));
                }
                other => panic!("{other:?} names no custody"),
            }
        }
        custodian = Some(c.custodian);
    }
    assert_eq!(custodian, Some(folded.custodian()), "exactly one custodian: the last of the chain");
    // A word about custody that is in force is of the chain: nothing is without effect and without a reason.
    for a in written.iter().filter(|a| in_force(&a.id)) {
        let named = |of| folded.custodies.iter().any(|c| c.names.contains(&of));
        let begins = folded.custodies.iter().any(|c| c.begun_by.contains(&a.id));
        match a.entry.op {
            Op::Offer { of, .. } | Op::Close { of, .. } => assert!(named(of), "{}", told(written, folded)),
            Op::Accept { .. } | Op::Assign { .. } => assert!(begins, "{}", told(written, folded)),
            _ => {}
        }
    }
    // Who lost, lost against something that counts.
    for s in &folded.superseded {
        assert!(!s.beaten_by.is_empty() && !s.beaten_by.contains(&s.entry), "{s:?}");
        assert!(s.beaten_by.iter().all(|b| !unentitled.contains(b)), "{s:?}");
    }
    // A counted close knew every entitled offer and reopen of its custody.
    let ancestry = |id: EntryId| {
        let (mut known, mut open) = (BTreeSet::new(), find(id).entry.parents.clone());
        while let Some(next) = open.pop() {
            if known.insert(next) {
                open.extend(&find(next).entry.parents);
            }
        }
        known
    };
    for close in &folded.stand.closed_by {
        assert!(in_force(close));
        let known = ancestry(*close);
        for a in written.iter().filter(|a| !unentitled.contains(&a.id)) {
            let matters = match a.entry.op {
                Op::Offer { of, .. } => folded.stand.custody.contains(&of),
                Op::Reopen { of } => {
                    matches!(find(of).entry.op, Op::Close { of, .. } if folded.stand.custody.contains(&of))
                }
                _ => false,
            };
            assert!(!matters || known.contains(&a.id), "the close did not know {:?}", a.id);
        }
        assert!(folded.stand.open_offers.is_empty());
    }
    assert!(folded.proposals.iter().all(|p| superseded.contains(p)));
    let audience = super::audience::audience(folded);
    assert!(audience.contains(&folded.custodian()) && audience.contains(&folded.stand.taken_by));
}

/// The trail and its fold, one line an entry, for a failure.
fn told(written: &[Authored], folded: &Folded) -> String {
    let line = |a: &Authored| format!("{:?} {} {:?} on {:?}\n", a.id, a.node, a.entry.op, a.entry.parents);
    let trail: String = written.iter().map(line).collect();
    format!("{trail}{:#?}\n{:?}\n{:?}", folded.custodies, folded.superseded, folded.unentitled)
}

#[test]
fn every_stage_has_its_name_in_the_list_of_names() {
    let of = Vec::new;
    let all = [
        Stage::InHand,
        Stage::Dispatched(of()),
        Stage::FedBack(of()),
        Stage::Offered(of()),
        Stage::Redirected(of()),
        Stage::Rejected(of()),
        Stage::Answered(of()),
        Stage::Replied(of()),
        Stage::Joined(of()),
        Stage::Closed(of()),
    ];
    assert_eq!(all.each_ref().map(Stage::name), Stage::NAMES);
}
