//! Opening parcels, and carrying on those of others.

use certs::{NodeName, NodeRecord, Standing};
use serde_json::{Value, json};
use sync::item::Kind;
use sync::parcel::{Head, ParcelError};
use sync::replica::Taken;
use sync::store::bundles::Bundles as _;
use sync::wire::{Frame, Load};

use super::{Engine, HEADS, Known, refused};
use crate::china::shown_time;
use crate::hex::unhex;
use crate::request::{Failure, FailureKind, Reply};

impl Engine {
    /// The verified head with these bytes.
    fn known_head(&mut self, bytes: &[u8]) -> Result<&Known, Failure> {
        let head = Head::read(bytes).map_err(|e| refused(&e))?;
        let changes = self.replica.trust().changes();
        // What is known of a sender holds until the directory changes.
        let found =
            self.bundles.heads.iter().position(|k| k.head.hash() == head.hash() && k.changes == changes);
        if let Some(at) = found {
            return Ok(&self.bundles.heads[at]);
        }
        self.verify_sender(&head)?;
        let identity = self.identity().clone();
        let open = |info: &[u8], aad: &[u8], sealed: &[u8]| identity.open(info, aad, sealed).ok();
        let key = match head.open(self.me(), open) {
            Ok(key) => Some(key),
            Err(ParcelError::NotForUs) => None,
            Err(e) => return Err(refused(&e)),
        };
        let changes = self.replica.trust().changes();
        self.bundles.heads.truncate(HEADS - 1);
        self.bundles.heads.push_front(Known { head, key, changes });
        Ok(&self.bundles.heads[0])
    }

    /// Whether the sender is who it says, and a member.
    fn verify_sender(&self, head: &Head) -> Result<(), Failure> {
        let from = head.label.from;
        let no = |why: String| {
            Failure::new(FailureKind::Failed, format!("the bundle does not come from {from} as it says"))
                .because(why)
        };
        let directory = self.replica.trust().directory();
        let record = NodeRecord::verify(&head.record, directory.root()).map_err(|e| no(e.to_string()))?;
        if record.node != from || record.signing_key != head.key {
            return Err(no("the record that it brings is another node's".to_owned()));
        }
        let revoked = match (directory.revocation(&record.leaf), directory.standing(from)) {
            (Some(revocation), _) | (_, Standing::Revoked(revocation)) => revocation,
            _ => return Ok(()),
        };
        Err(Failure::new(FailureKind::Failed, format!("{from} was revoked, and its bundle is not taken"))
            .because(format!("{:?}, list number {}", revoked.reason, revoked.number))
            .hint("what it wrote before comes from others that hold it; ask its province whether it is enrolled anew"))
    }

    pub(super) fn take_page(&mut self, head: &str, page: &str) -> Reply {
        let (head, page) = (bytes_of(head)?, bytes_of(page)?);
        // A parcel that is not believed is an answer; a failure is of this node, and ends the import.
        self.take_parcel(&head, &page, true)?.or_else(|refusal| {
            let causes = refusal.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
            Ok(json!({ "not_taken": format!("{refusal}{causes}") }))
        })
    }

    /// Takes in one page of a parcel, and carries it on to whom else it is for, unless it came over a link: each of them is
    /// sent one of its own there. The inner error says why it is not believed.
    fn take_parcel(&mut self, head_bytes: &[u8], page: &[u8], carry: bool) -> Result<Reply, Failure> {
        let me = self.me();
        let Known { head, key, .. } = match self.known_head(head_bytes) {
            Ok(known) => known,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let label = head.label.clone();
        let page_bytes = page;
        let Some(page) = head.page(page) else {
            let refusal = Failure::new(FailureKind::Failed, "a page is not what its sender signed");
            return Ok(Err(
                refusal.hint("the rest of the part is usable; what is missing comes with the next bundle")
            ));
        };
        let (index, last) = (page.index, page.last);
        let mut said = json!({
            "from": label.from, "to": label.to, "number": label.number, "part": label.part, "index": index,
            "last": last, "for_us": key.is_some(), "carried": false,
        });
        if label.from == me {
            said["own"] = true.into();
            return Ok(Ok(said));
        }
        let plain = match key.as_ref().map(|key| head.open_page(key, &page)).transpose() {
            Ok(plain) => plain,
            Err(e) => return Ok(Err(refused(&e))),
        };
        let record = head.record.clone();
        let length = head.length();
        for to in label.to.iter().copied().filter(|to| carry && *to != me) {
            let bytes = [&head_bytes[..length], page_bytes].concat();
            self.replica.carry(label.from, to, &bytes, &mut self.store)?;
            said["carried"] = true.into();
        }
        let Some(plain) = plain else { return Ok(Ok(said)) };
        self.replica.put_directory(Kind::RECORD, &record, &mut self.store, &mut self.desk)?;
        let (from, number) = (label.from, label.number);
        let taken =
            self.replica.take_letter(self.now, from, number, &plain, &mut self.store, &mut self.desk)?;
        add(&mut said, &taken);
        Ok(Ok(said))
    }

    /// Opens parcels for this node that came over links; once no more come, their answers go the way back.
    pub(in super::super) fn open_parcels(&mut self) -> Result<(), Failure> {
        let mine = self.replica.parcels_for_me(&mut self.store)?;
        if mine.is_empty() {
            for peer in std::mem::take(&mut self.bundles.due) {
                self.parcel_answers(peer)?;
            }
        }
        for hash in mine {
            let bytes = self.store.carried_bytes(&hash)?.unwrap_or_default();
            self.replica.drop_parcel(&hash, &mut self.store)?;
            let outcome = match Head::read(&bytes) {
                Ok(head) => self.take_parcel(&bytes[..head.length()], &bytes[head.length()..], false)?,
                Err(e) => Err(refused(&e)),
            };
            match outcome {
                Ok(said) => {
                    let from = said["from"].as_str().unwrap_or_default();
                    if said["batches"].as_u64() > Some(0) {
                        self.bundles.due.extend(from.parse::<NodeName>());
                    }
                    tracing::info!(%from, taken = %said["taken"], settled = %said["settled"], "a parcel came over a link");
                }
                Err(refusal) => {
                    self.note_text(
                        self.now,
                        format!("a parcel that came over a link was not taken: {refusal}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// What a head says and what a page holds.
    pub(super) fn inspect_page(&mut self, head: &str, page: Option<&str>) -> Reply {
        let head_bytes = bytes_of(head)?;
        let head = Head::read(&head_bytes).map_err(|e| refused(&e))?;
        let (from, me) = (head.label.from, self.me());
        let root = self.replica.trust().directory().root().fingerprint();
        let (sender, signature) = match self.verify_sender(&head) {
            Ok(()) => (
                "a member".to_owned(),
                format!(
                    "head and pages are signed with the key in the record of {from}; the record was checked against the root \
                     of {me} ({root}), and neither it nor {from} is revoked as far as {me} knows"
                ),
            ),
            Err(failure) => {
                let causes = failure.causes.iter().map(|cause| format!(": {cause}")).collect::<String>();
                let why = format!(
                    "it does not prove {from}: checked against the root of {me} ({root}), {failure}{causes}"
                );
                (failure.to_string(), why)
            }
        };
        let identity = self.identity().clone();
        let open = |info: &[u8], aad: &[u8], sealed: &[u8]| identity.open(info, aad, sealed).ok();
        let key = head.open(self.me(), open);
        let mut said = json!({
            "from": head.label.from, "to": head.label.to, "made": shown_time(head.label.made),
            "sender": sender, "signature": signature, "readable": key.is_ok(), "why_not": key.as_ref().err().map(ToString::to_string),
        });
        if let (Some(page), Ok(key)) = (page, key) {
            let bytes = bytes_of(page)?;
            let page = head.page(&bytes).ok_or_else(|| refused(&ParcelError::Page(0)))?;
            let plain = head.open_page(&key, &page).map_err(|e| refused(&e))?;
            said["holds"] = holds(&plain);
        }
        Ok(said)
    }
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, Failure> {
    unhex(hex).ok_or_else(|| Failure::new(FailureKind::Usage, "the bytes are not given in hexadecimal"))
}

fn add(said: &mut Value, taken: &Taken) {
    let fields = json!({
        "taken": taken.taken, "known": taken.known, "waiting": taken.waiting, "refused": taken.refused,
        "batches": taken.batches, "answers": taken.answers, "settled": taken.settled, "pieces": taken.pieces, "equal": taken.equal,
        "unknown": taken.unknown, "wrong": taken.wrong,
    });
    if let (Value::Object(said), Value::Object(fields)) = (said, fields) {
        said.extend(fields);
    }
}

/// What the frames of a page are, counted.
fn holds(mut page: &[u8]) -> Value {
    let mut counts = serde_json::Map::new();
    let mut add = |what: &str, n: u64| {
        let before = counts.get(what).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(what.to_owned(), (before + n).into());
    };
    while let Some((length, rest)) = page.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (Some(frame), Some(after)) = (rest.get(..length), rest.get(length..)) else { break };
        page = after;
        match Frame::from_bytes(frame) {
            Ok(Frame::Batch { load, .. }) => {
                if let Ok(load) = Load::unpack(&load) {
                    add("items", load.len() as u64);
                    add("documents", load.docs.len() as u64);
                    add("records", load.directory.len() as u64);
                }
            }
            Ok(Frame::Answer(_)) => add("answers", 1),
            Ok(Frame::Piece { bytes, .. }) => add("file_bytes", bytes.len() as u64),
            Ok(Frame::Seek(_)) => add("files_asked_for", 1),
            Ok(Frame::Sketch(_) | Frame::Want(_)) => add("repair", 1),
            Ok(Frame::Closing(closing)) => add("digest_of", closing.count),
            Ok(Frame::Unknown(_)) => add("of_a_newer_version", 1),
            Ok(_) => {}
            Err(_) => add("unreadable", 1),
        }
    }
    Value::Object(counts)
}
