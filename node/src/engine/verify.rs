//! Everything hashed anew, and everything that is not what was stored named, whatever else is damaged.
//!
//! Two kinds of damage differ in what is to be done. An item that reads and is another is fetched from a peer: the node
//! goes on. A page that the database cannot read is a medium that fails: nothing is written beside it safely, so the node
//! is made anew of a backup, and the peers bring what came later.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sync::id::{ItemHash, SealHash};
use sync::item::{Item, Kind, STUB, State};
use sync::seal;
use sync::store::sqlite::Gap;
use sync::store::{Position, Store, StoreError};
use sync::trust::Trust;

use super::Engine;
use crate::request::{Failure, FailureKind, Reply};

/// Items looked at before the next are asked for.
const STRIDE: usize = 1_000;

/// Most findings that are listed, and items that are named of one gap; the rest is counted.
const LISTED: usize = 10_000;
const NAMED: usize = 1_000;

/// What a verification has met so far.
#[derive(Default)]
struct Verified {
    items: u64,
    pieces: u64,
    seals: BTreeMap<SealHash, u64>,
    damaged: Vec<Value>,
    /// Findings, those that are not listed among them.
    found: u64,
    /// Something could not be read at all.
    unreadable: bool,
}

impl Verified {
    fn add(&mut self, finding: Value) {
        self.found += 1;
        if self.damaged.len() < LISTED {
            self.damaged.push(finding);
        }
    }

    fn cannot_read(&mut self, what: Value, why: &StoreError) {
        self.unreadable = true;
        let mut finding = what;
        finding["what"] = why.to_string().into();
        self.add(finding);
    }
}

impl Engine {
    /// Hashes every item and piece and checks every seal. What cannot be read is gone round.
    pub(super) fn verify(&mut self) -> Reply {
        let mut verified = Verified::default();
        let mut at = Position(0);
        loop {
            let stretch = self.store.walk(at, STRIDE);
            for (place, hash) in &stretch.items {
                self.verify_item(*place, *hash, &mut verified)?;
            }
            at = stretch.items.last().map_or(at, |(last, _)| *last);
            if let Some(gap) = &stretch.gap {
                at = gap.to;
                self.name_gap(gap, &mut verified);
            }
            if stretch.ended {
                break;
            }
        }
        for hash in verified.seals.keys().copied().collect::<Vec<_>>() {
            self.verify_seal(hash, &mut verified);
        }
        let documents = self.store.totals().map(|totals| totals.documents);
        if let Err(e) = &documents {
            verified.cannot_read(json!({ "table": "counts" }), e);
        }
        let Verified { items, pieces, seals, damaged, found, unreadable } = verified;
        let report = json!({
            "items": items, "documents": documents.ok(), "seals": seals.len(), "pieces": pieces,
            "damaged": damaged, "unreadable": unreadable,
        });
        if found == 0 {
            return Ok(report);
        }
        let hint = match unreadable {
            true => {
                "the medium fails: stop the node, move the directory away, do not delete it, and make it anew of a backup: \
                 `hotline restore`; what was written since comes back from the peers. Everything that is not named here \
                 is what was stored"
            }
            false => {
                "leave the node running: what its peers hold comes back by repair; then look at the disk"
            }
        };
        let of = items.max(found);
        let message = match unreadable {
            true => format!(
                "{found} places of the database cannot be read or are not what was stored; {items} items were read"
            ),
            false => format!("{found} of {of} items or seals are not what was stored"),
        };
        Err(Failure::new(FailureKind::Integrity, message).because(report).hint(hint))
    }

    fn verify_item(&mut self, at: Position, hash: ItemHash, verified: &mut Verified) -> Result<(), Failure> {
        verified.items += 1;
        let named = |doc: Option<String>| json!({ "item": hash.to_string(), "document": doc });
        match self.store.place_of(&hash) {
            Ok(Some(found)) if found == at => {}
            Ok(_) => {
                let what = "the index of hashes does not lead to it";
                verified.unreadable = true;
                verified.add(json!({ "item": hash.to_string(), "what": what }));
            }
            Err(e) => verified.cannot_read(json!({ "item": hash.to_string(), "index": "hashes" }), &e),
        }
        let item = match self.store.item_at(at) {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(()),
            Err(e) => {
                // A value of an odd type is damage of a row; everything else of the file or the medium.
                verified.cannot_read(named(None), &e);
                return Ok(());
            }
        };
        let doc = item.doc.map(|d| d.to_string());
        if !is_right(&item, &hash) {
            let mut finding = named(doc.clone());
            finding["what"] = "its bytes are not those that were stored".into();
            verified.add(finding);
        }
        if item.kind == Kind::FILE {
            let (mut pieces, before) = (Vec::new(), verified.pieces);
            match self.verify_content(&hash, &item.bytes, &mut pieces) {
                Ok(sound) => verified.pieces = before + sound,
                Err(e) if e.kind == FailureKind::TryAgain => return Err(e),
                Err(e) => {
                    verified.unreadable = true;
                    verified.add(json!({ "file": hash.to_string(), "document": doc, "what": e.to_string() }));
                }
            }
            pieces.into_iter().for_each(|finding| verified.add(finding));
        }
        if let Some(sealed) = item.sealed {
            *verified.seals.entry(sealed.seal).or_insert(0u64) += 1;
        } else if item.kind.is_sealed() && item.author != self.me() && item.state != State::Refused {
            verified.add(json!({ "item": hash.to_string(), "what": "no seal of its author covers it" }));
        }
        Ok(())
    }

    /// What lay in a gap, as far as an index that can be read still says.
    fn name_gap(&mut self, gap: &Gap, verified: &mut Verified) {
        let (lost, unread) = self.store.lost_in(gap, NAMED);
        verified.unreadable = true;
        let (items, mut documents): (Vec<String>, Vec<Option<String>>) =
            lost.into_iter().map(|(item, doc)| (item.to_string(), doc.map(|d| d.to_string()))).unzip();
        documents.sort_unstable();
        documents.dedup();
        let to = if gap.to == Position::END { "the end".to_owned() } else { gap.to.0.to_string() };
        verified.add(json!({
            "rows": format!("{} to {to}", gap.from.0), "what": gap.why, "items": items,
            "documents": documents.into_iter().flatten().collect::<Vec<_>>(),
            "names": match unread {
                None => "by the index of documents".to_owned(),
                Some(e) => format!("not all: {e}"),
            },
        }));
    }

    fn verify_seal(&mut self, hash: SealHash, verified: &mut Verified) {
        let named = || json!({ "seal": hash.to_string() });
        let stored = match self.store.seal(&hash) {
            Ok(Some(stored)) => stored,
            Ok(None) => return verified.add(json!({ "seal": hash.to_string(), "what": "it is gone" })),
            Err(e) => return verified.cannot_read(named(), &e),
        };
        let words = stored.seal.words();
        let mut tree = sync::merkle::Tree::new(words.count);
        match self.store.leaves(&hash) {
            Ok(leaves) => {
                leaves.into_iter().for_each(|(place, item, doc)| tree.know(place, seal::leaf(&doc, &item)))
            }
            Err(e) => return verified.cannot_read(named(), &e),
        }
        stored.twigs.iter().for_each(|t| tree.know_twig(*t));
        let (context, keys) = (self.replica.trust().context(), self.replica.trust().keys(words.node));
        if let Err(e) = stored.seal.verify(&context, keys) {
            verified.add(json!({ "seal": hash.to_string(), "what": e.to_string() }));
        } else if tree.root() != Some(words.root) {
            verified.add(json!({ "seal": hash.to_string(), "what": "its items do not make its root" }));
        }
    }
}

/// Its hash is that of its bytes, or of what an erased mark left of them.
fn is_right(item: &Item, hash: &ItemHash) -> bool {
    let right = match <&[u8; STUB]>::try_from(item.bytes.as_slice()) {
        Ok(stub) if item.state == State::Emptied => item.kind.hash_of_stub(stub),
        _ => item.kind.hash(&item.bytes),
    };
    right == *hash
}
