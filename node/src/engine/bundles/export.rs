//! Sealing what the replica hands out, part by part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use certs::NodeName;
use serde_json::json;
use sync::parcel::{Head, PAGE_OVERHEAD, Sealer};
use sync::replica::{Basis, Export, Letter};
use sync::store::Store;
use sync::store::bundles::Bundles as _;

use super::{AT_ONCE, Engine, IDLE_MS, unknown};
use crate::bundles::{MAX_PART, MIN_PART};
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Reply};

/// Bundles that take a parcel along before it is forgotten: a stick may be lost, and nobody tells the carrier.
const TAKEN_ALONG: u32 = 3;

/// Most recipients of one export.
const RECIPIENTS: usize = 32;

/// An export under way.
pub(in super::super) struct Outgoing {
    recipients: VecDeque<NodeName>,
    all: Vec<NodeName>,
    basis: Basis,
    most: u64,
    own: Option<Own>,
    carried: Option<VecDeque<Group>>,
    /// The batches in each file.
    batches: BTreeMap<String, Vec<(NodeName, u64)>>,
    items: u64,
    answers: u64,
    parcels: u64,
}

/// The parts for one recipient.
struct Own {
    export: Export,
    id: [u8; 16],
    part: u32,
    open: Option<Part>,
    queue: VecDeque<Letter>,
    complete: bool,
}

/// A part being written.
struct Part {
    name: String,
    sealer: Sealer,
    size: u64,
}

/// Pages of one parcel that is carried, under its head.
struct Group {
    name: String,
    from: NodeName,
    to: NodeName,
    head: Vec<u8>,
    /// Places and hashes.
    pages: VecDeque<(u32, [u8; 32])>,
    begun: bool,
}

/// Bytes of a file.
struct Chunk {
    file: String,
    from: NodeName,
    to: NodeName,
    bytes: Vec<u8>,
    begins: bool,
    ends: bool,
}

impl Engine {
    pub(super) fn begin_bundle(&mut self, to: &[String], basis: Basis, max_size: u64) -> Reply {
        let usage = |why: String| Failure::new(FailureKind::Usage, why);
        if !(MIN_PART..=MAX_PART).contains(&max_size) {
            return Err(usage(format!("a part has {MIN_PART} to {MAX_PART} bytes"))
                .hint("give --max-size between 1M and 4G; FAT32 takes no larger file"));
        }
        let mut recipients = BTreeSet::new();
        for given in to {
            let node: NodeName = given.parse().map_err(|e| Failure::new(FailureKind::Usage, e))?;
            if node == self.me() {
                return Err(usage(format!("{node} is this node itself")));
            }
            if self.replica.trust().directory().box_key(node).is_none() {
                return Err(unknown(node));
            }
            recipients.insert(node);
        }
        if recipients.is_empty() || recipients.len() > RECIPIENTS {
            return Err(usage(format!("a bundle is for 1 to {RECIPIENTS} nodes")).hint("--to NODE[,NODE]"));
        }
        let now = self.now;
        let exports = &mut self.bundles.exports;
        exports.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE_MS);
        if exports.len() >= AT_ONCE {
            return Err(Failure::new(
                FailureKind::TryAgain,
                format!("{AT_ONCE} exports are under way already"),
            )
            .hint("wait until one of them has ended"));
        }
        // Answers for others whom these recipients are nearer to go along as parcels.
        for peer in self.store.answered_peers()? {
            let nearer = recipients.iter().any(|via| self.replica.is_on_the_way(*via, peer));
            if nearer && !recipients.contains(&peer) {
                self.parcel_answers(peer)?;
            }
        }
        let all: Vec<NodeName> = recipients.into_iter().collect();
        let outgoing = Outgoing {
            recipients: all.iter().copied().collect(),
            all,
            basis,
            most: max_size,
            own: None,
            carried: None,
            batches: BTreeMap::new(),
            items: 0,
            answers: 0,
            parcels: 0,
        };
        self.bundles.next += 1;
        let export = self.bundles.next;
        self.bundles.exports.insert(export, (now, outgoing));
        Ok(json!({ "export": export }))
    }

    pub(super) fn next_of_bundle(&mut self, export: u64) -> Reply {
        let now = self.now;
        let Some((_, mut outgoing)) = self.bundles.exports.remove(&export) else {
            return Err(Failure::new(FailureKind::Failed, "no such export is under way")
                .because("the node was restarted, or the export rested for an hour")
                .hint("begin it again"));
        };
        let chunk = self.next_chunk(&mut outgoing)?;
        self.bundles.exports.insert(export, (now, outgoing));
        Ok(match chunk {
            None => json!({ "end": true }),
            Some(Chunk { file, from, to, bytes, begins, ends }) => json!({
                "file": file, "from": from, "to": to, "hex": hex(&bytes),
                "begins": begins, "ends": ends, "end": false,
            }),
        })
    }

    pub(super) fn end_bundle(&mut self, export: u64, lost: &[String]) -> Reply {
        let Some((_, mut outgoing)) = self.bundles.exports.remove(&export) else {
            return Err(Failure::new(FailureKind::Failed, "no such export is under way"));
        };
        for file in lost {
            for (peer, batch) in outgoing.batches.remove(file).unwrap_or_default() {
                self.replica.take_back(peer, &[batch], &mut self.store)?;
            }
        }
        let mut left = Vec::new();
        for to in &outgoing.all {
            left.push(json!({ "to": to, "outbox": self.store.owed_count(*to)? }));
        }
        Ok(json!({
            "items": outgoing.items, "answers": outgoing.answers, "carried": outgoing.parcels, "left": left,
        }))
    }

    fn next_chunk(&mut self, outgoing: &mut Outgoing) -> Result<Option<Chunk>, Failure> {
        loop {
            if let Some(mut own) = outgoing.own.take() {
                let chunk = self.next_own(&mut own, outgoing)?;
                let done = own.complete && own.queue.is_empty() && own.open.is_none();
                if !done {
                    outgoing.own = Some(own);
                } else {
                    outgoing.items += own.export.items();
                }
                if chunk.is_some() {
                    return Ok(chunk);
                }
                continue;
            }
            if let Some(to) = outgoing.recipients.pop_front() {
                let entropy = Self::entropy()?;
                let mut id = [0; 16];
                id.copy_from_slice(&Self::entropy()?[..16]);
                outgoing.answers += self.store.replies_count(to)?;
                let export = self.replica.begin_export(to, outgoing.basis, entropy, &mut self.store)?;
                let queue = VecDeque::new();
                outgoing.own = Some(Own { export, id, part: 0, open: None, queue, complete: false });
                continue;
            }
            let groups = match &mut outgoing.carried {
                Some(groups) => groups,
                none => none.insert(self.groups_for(&outgoing.all)?),
            };
            let Some(group) = groups.front_mut() else { return Ok(None) };
            if !group.begun {
                group.begun = true;
                outgoing.parcels += 1;
                let Group { name, from, to, head, .. } = &*group;
                let (file, bytes) = (name.clone(), head.clone());
                let (from, to) = (*from, *to);
                return Ok(Some(Chunk { file, from, to, bytes, begins: true, ends: false }));
            }
            let (file, from, to) = (group.name.clone(), group.from, group.to);
            match group.pages.pop_front() {
                Some((_, hash)) => {
                    let skip = group.head.len();
                    let bytes = self.store.carried_bytes(&hash)?.unwrap_or_default();
                    let taken = self.replica.taken_along(&hash, &mut self.store)?;
                    if taken >= TAKEN_ALONG {
                        self.replica.drop_parcel(&hash, &mut self.store)?;
                    }
                    let bytes = bytes.get(skip..).unwrap_or_default().to_vec();
                    return Ok(Some(Chunk { file, from, to, bytes, begins: false, ends: false }));
                }
                None => {
                    let bytes = std::mem::take(&mut group.head);
                    groups.pop_front();
                    return Ok(Some(Chunk { file, from, to, bytes, begins: false, ends: true }));
                }
            }
        }
    }

    /// The next bytes of the parts for one recipient.
    fn next_own(&mut self, own: &mut Own, outgoing: &mut Outgoing) -> Result<Option<Chunk>, Failure> {
        let to = own.export.peer();
        let from = self.me();
        if own.open.is_none() {
            own.part += 1;
            let (label, sealer) = self.sealer(to, own.id, own.export.number(), own.part)?;
            let opening = self.replica.opening(self.now, &own.export, &mut self.store)?;
            own.queue.push_front(opening);
            let bytes = sealer.head().to_vec();
            let size = 2 * bytes.len() as u64;
            let name = label.file_name();
            own.open = Some(Part { name: name.clone(), sealer, size });
            return Ok(Some(Chunk { file: name, from, to, bytes, begins: true, ends: false }));
        }
        // One page is sealed when it is known whether another follows it in this part.
        while own.queue.len() < 2 && !own.complete {
            match self.replica.next_letter(&mut own.export, &mut self.store)? {
                Some(letter) => own.queue.push_back(letter),
                None => own.complete = true,
            }
        }
        let (Some(letter), Some(part)) = (own.queue.pop_front(), &mut own.open) else {
            own.open = None;
            return Ok(None);
        };
        let weight = |letter: &Letter| (letter.bytes.len() + PAGE_OVERHEAD) as u64;
        part.size += weight(&letter);
        let last = own.queue.front().is_none_or(|next| part.size + weight(next) > outgoing.most);
        if let Some(batch) = letter.batch {
            outgoing.batches.entry(part.name.clone()).or_default().push((to, batch));
        }
        let mut bytes = self.sealed(&mut part.sealer, &letter, last)?;
        let file = part.name.clone();
        if last {
            bytes.extend(part.sealer.head());
            own.open = None;
        }
        Ok(Some(Chunk { file, from, to, bytes, begins: false, ends: last }))
    }

    /// The parcels that are better off with one of these nodes, as files.
    fn groups_for(&mut self, recipients: &[NodeName]) -> Result<VecDeque<Group>, Failure> {
        let me = self.me();
        let mut groups: BTreeMap<[u8; 32], Group> = BTreeMap::new();
        for parcel in self.replica.parcels(&mut self.store)? {
            let own_answers = parcel.from == me && recipients.contains(&parcel.to);
            let on_the_way = recipients.iter().any(|via| self.replica.is_on_the_way(*via, parcel.to));
            if own_answers || !on_the_way || recipients.contains(&parcel.from) {
                continue;
            }
            let Some(bytes) = self.store.carried_bytes(&parcel.hash)? else { continue };
            let Ok(head) = Head::read(&bytes) else { continue };
            let Some(page) = head.page(&bytes[head.length()..]) else { continue };
            let group = || {
                let head_bytes = bytes[..head.length()].to_vec();
                let (name, pages) = (head.label.file_name(), VecDeque::new());
                let (from, to) = (parcel.from, parcel.to);
                Group { name, from, to, head: head_bytes, pages, begun: false }
            };
            let group = groups.entry(head.hash()).or_insert_with(group);
            group.pages.push_back((page.index, parcel.hash));
        }
        groups.values_mut().for_each(|group| group.pages.make_contiguous().sort_unstable());
        Ok(groups.into_values().collect())
    }
}
