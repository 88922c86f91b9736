//! The fold under test: a small world in which sites write on what they have seen.

mod scenarios;

use std::collections::BTreeSet;

use certs::Site;
use sync::id::DocId;

use super::entry::{Authored, Create, Entry, EntryId, Op};
use super::fold::{Folded, fold};
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
    let create = Create {
        kind: "ticket".into(),
        schema: 1,
        number: "JT3701002027030127000Q1".into(),
        site: site.parse().unwrap(),
        confidential: false,
        reported,
        rule: "2014".into(),
    };
    Entry::new(Op::Create(Box::new(create)), [], site.parse().unwrap()).into()
}

impl World {
    pub(super) fn new(taken_by: &str) -> World {
        World { trail: Trail::new(DOCUMENT, create(taken_by, false)).unwrap(), seen: None }
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
