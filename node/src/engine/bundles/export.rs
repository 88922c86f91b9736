//! Sealing what the replica hands out, part by part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use certs::NodeName;
use serde_json::json;
use sync::parcel::{Head, PAGE_OVERHEAD, Sealer};
use sync::replica::{Basis, Common, Export, Letter};
use sync::store::Store;
use sync::store::bundles::Bundles as _;

use super::{AT_ONCE, Engine, IDLE_MS, unknown};
use crate::bundles::{MAX_PART, MIN_PART, joined};
use crate::hex::hex;
use crate::request::{Failure, FailureKind, Reply};

/// Bundles that take a parcel along before it is forgotten: a stick may be lost, and nobody tells the carrier.
const TAKEN_ALONG: u32 = 3;

/// Most recipients of one export.
const RECIPIENTS: usize = 32;

/// An export under way.
pub(in super::super) struct Outgoing {
    recipients: Vec<NodeName>,
    basis: Basis,
    most: u64,
    begun: bool,
    /// For single recipients, once what they share is written.
    single: VecDeque<Export>,
    parts: Option<Parts>,
    carried: Option<VecDeque<Group>>,
    /// The batches in each file.
    batches: BTreeMap<String, Vec<(NodeName, u64)>>,
    items: u64,
    answers: u64,
    parcels: u64,
}

/// The pages of an export.
enum Source {
    /// What several recipients must all get.
    Common(Common, Vec<Export>),
    /// What one must get, and what passes between it and this node alone.
    Single(Export),
}

/// The parts that one source fills.
struct Parts {
    source: Source,
    to: Vec<NodeName>,
    number: u64,
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
    to: Vec<NodeName>,
    head: Vec<u8>,
    /// By their places, with what each is called here: one for several nodes is kept for each.
    pages: BTreeMap<u32, Vec<[u8; 32]>>,
    begun: bool,
}

/// Bytes of a file.
struct Chunk {
    file: String,
    from: NodeName,
    to: Vec<NodeName>,
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
        let outgoing = Outgoing {
            recipients: recipients.into_iter().collect(),
            basis,
            most: max_size,
            begun: false,
            single: VecDeque::new(),
            parts: None,
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
                "file": file, "from": from, "to": joined(&to), "hex": hex(&bytes),
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
        for to in &outgoing.recipients {
            left.push(json!({ "to": to, "outbox": self.store.owed_count(*to)? }));
        }
        Ok(json!({
            "items": outgoing.items, "answers": outgoing.answers, "carried": outgoing.parcels, "left": left,
        }))
    }

    fn next_chunk(&mut self, outgoing: &mut Outgoing) -> Result<Option<Chunk>, Failure> {
        loop {
            if let Some(mut parts) = outgoing.parts.take() {
                let chunk = self.next_of_parts(&mut parts, outgoing)?;
                if !(parts.complete && parts.queue.is_empty() && parts.open.is_none()) {
                    outgoing.parts = Some(parts);
                } else if let Source::Common(_, exports) = parts.source {
                    outgoing.single.extend(exports);
                }
                if chunk.is_some() {
                    return Ok(chunk);
                }
                continue;
            }
            if !std::mem::replace(&mut outgoing.begun, true) {
                let to = &outgoing.recipients;
                for peer in to {
                    outgoing.answers += self.store.replies_count(*peer)?;
                }
                let entropy = Self::entropy()?;
                let exports = self.replica.begin_exports(to, outgoing.basis, entropy, &mut self.store)?;
                let common = Common::begin(Self::entropy()?);
                outgoing.parts = Some(Parts::new(Source::Common(common, exports))?);
                continue;
            }
            if let Some(export) = outgoing.single.pop_front() {
                outgoing.parts = Some(Parts::new(Source::Single(export))?);
                continue;
            }
            let groups = match &mut outgoing.carried {
                Some(groups) => groups,
                none => none.insert(self.groups_for(&outgoing.recipients)?),
            };
            let Some(group) = groups.front_mut() else { return Ok(None) };
            if !group.begun {
                group.begun = true;
                outgoing.parcels += 1;
                let Group { name, from, to, head, .. } = &*group;
                let (file, bytes) = (name.clone(), head.clone());
                let (from, to) = (*from, to.clone());
                return Ok(Some(Chunk { file, from, to, bytes, begins: true, ends: false }));
            }
            let (file, from, to) = (group.name.clone(), group.from, group.to.clone());
            match group.pages.pop_first() {
                Some((_, ids)) => {
                    let skip = group.head.len();
                    let mut bytes = Vec::new();
                    for id in ids {
                        bytes = self.store.carried_bytes(&id)?.unwrap_or(bytes);
                        if self.replica.taken_along(&id, &mut self.store)? >= TAKEN_ALONG {
                            self.replica.drop_parcel(&id, &mut self.store)?;
                        }
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

    /// The next bytes of these parts; none when a part has just been finished, or there is nothing for one.
    fn next_of_parts(
        &mut self,
        parts: &mut Parts,
        outgoing: &mut Outgoing,
    ) -> Result<Option<Chunk>, Failure> {
        // One page is sealed when it is known whether another follows it in this part.
        while parts.queue.len() < 2 && !parts.complete {
            let next = match &mut parts.source {
                Source::Common(common, exports) => {
                    self.replica.next_common_letter(common, exports, &mut self.store)?
                }
                Source::Single(export) => self.replica.next_letter(export, &mut self.store)?,
            };
            match next {
                Some(letter) => parts.queue.push_back(letter),
                None => parts.complete = true,
            }
        }
        let (from, to) = (self.me(), parts.to.clone());
        let Some(part) = &mut parts.open else {
            if parts.queue.is_empty() {
                return Ok(None);
            }
            parts.part += 1;
            let (label, sealer) = self.sealer(&to, parts.id, parts.number, parts.part)?;
            if let Source::Single(export) = &parts.source {
                parts.queue.push_front(self.replica.opening(self.now, export, &mut self.store)?);
            }
            let bytes = sealer.head().to_vec();
            let size = 2 * bytes.len() as u64;
            let name = label.file_name();
            parts.open = Some(Part { name: name.clone(), sealer, size });
            return Ok(Some(Chunk { file: name, from, to, bytes, begins: true, ends: false }));
        };
        let Some(letter) = parts.queue.pop_front() else {
            parts.open = None;
            return Ok(None);
        };
        let weight = |letter: &Letter| (letter.bytes.len() + PAGE_OVERHEAD) as u64;
        part.size += weight(&letter);
        outgoing.items += letter.items as u64;
        let last = parts.queue.front().is_none_or(|next| part.size + weight(next) > outgoing.most);
        if let Some(batch) = letter.batch {
            let batches = outgoing.batches.entry(part.name.clone()).or_default();
            batches.extend(to.iter().map(|peer| (*peer, batch)));
        }
        let mut bytes = self.sealed(&mut part.sealer, &letter, last)?;
        let file = part.name.clone();
        if last {
            bytes.extend(part.sealer.head());
            parts.open = None;
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
            let Some(bytes) = self.store.carried_bytes(&parcel.id)? else { continue };
            let Ok(head) = Head::read(&bytes) else { continue };
            let Some(page) = head.page(&bytes[head.length()..]) else { continue };
            let group = || {
                let (name, head_bytes) = (head.label.file_name(), bytes[..head.length()].to_vec());
                let (from, to) = (parcel.from, head.label.to.clone());
                Group { name, from, to, head: head_bytes, pages: BTreeMap::new(), begun: false }
            };
            let group = groups.entry(head.hash()).or_insert_with(group);
            group.pages.entry(page.index).or_default().push(parcel.id);
        }
        Ok(groups.into_values().collect())
    }
}

impl Parts {
    fn new(source: Source) -> Result<Parts, Failure> {
        let mut id = [0; 16];
        id.copy_from_slice(&Engine::entropy()?[..16]);
        let exports = match &source {
            Source::Common(_, exports) => &exports[..],
            Source::Single(export) => std::slice::from_ref(export),
        };
        let to = exports.iter().map(Export::peer).collect();
        let number = exports.first().map_or(0, Export::number);
        let queue = VecDeque::new();
        Ok(Parts { source, to, number, id, part: 0, open: None, queue, complete: false })
    }
}
