//! Attached files: written in pieces, fetched in pieces, and compared with what was attached.

use std::collections::BTreeSet;

use sync::file::{Manifest, PIECE, piece_hash};
use sync::id::{DocId, ItemHash};
use sync::item::{Kind, State};
use sync::store::Store;
use sync::store::contents::Contents;

use super::check::CONTENT;
use super::net::Pair;
use super::{Checked, Violation, World};

/// A file as it was attached.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its ticket.
    pub doc: DocId,
    /// The hash of its content.
    pub digest: [u8; 32],
    /// The machines that fetched it.
    pub fetched: BTreeSet<usize>,
}

fn broken(detail: String) -> Checked {
    Err(Violation { invariant: CONTENT, detail })
}

impl World {
    /// A desk that may attaches a file of so many bytes.
    pub(super) fn attach(&mut self, at: usize, ticket: u32, bytes: u32) {
        let Some(doc) = self.changeable_at(at, ticket) else { return };
        let content = self.chance.bytes(bytes.max(1) as usize);
        let pieces: Vec<&[u8]> = content.chunks(PIECE).collect();
        let hashes = pieces.iter().map(|p| piece_hash(p)).collect();
        let manifest =
            Manifest::new(content.len() as u64, hashes).expect("as many pieces as the size asks for");
        let file = manifest.address();
        // It may become durable, and travel, though nobody is answered.
        let digest = *blake3::hash(&content).as_bytes();
        self.oracle.files.insert(file, Attached { doc, digest, fetched: BTreeSet::from([at]) });
        let done = self.at(at, |r, s, d| {
            r.put(doc, Kind::FILE, manifest.to_bytes(), s, d).expect("memory writes");
            if s.file(&file).expect("memory reads").is_none() {
                return; // the ticket is erased, and keeps no contents
            }
            for (place, piece) in (0..).zip(&pieces) {
                s.put_piece(&file, place, piece).expect("memory writes");
            }
        });
        if done.is_some() {
            self.count("a file attached");
        }
    }

    /// What is here of every file is what was attached. Only files of which more or less is here than when this was
    /// last asked are read; after `forget_contents` of a machine, all of its are.
    pub(super) fn check_contents(&mut self, m: usize) -> Checked {
        if self.oracle.files.is_empty() {
            return Ok(());
        }
        let disk = &self.machines[m].disk;
        let manifests: Vec<(ItemHash, Vec<u8>)> = disk
            .items()
            .filter(|i| i.kind == Kind::FILE && i.state != State::Refused)
            .map(|i| (i.hash, i.bytes.clone()))
            .collect();
        for (file, bytes) in manifests {
            let machine = &mut self.machines[m];
            let Some(held) = machine.disk.file(&file).expect("memory reads") else { continue };
            let before = machine.contents.insert(file, held.pieces.held());
            if before == Some(held.pieces.held()) {
                continue;
            }
            let Ok(Some(manifest)) = Manifest::read(&bytes) else { continue };
            let mut hasher = blake3::Hasher::new();
            for place in (0..held.pieces.count()).filter(|place| held.pieces.has(*place)) {
                let piece = machine.disk.piece(&file, place).expect("memory reads").unwrap_or_default();
                if !manifest.is_piece(place, &piece) {
                    return broken(format!(
                        "{} (machine {m}) holds another piece {place} of {file}",
                        machine.node
                    ));
                }
                hasher.update(&piece);
            }
            let node = machine.node;
            if !held.pieces.is_whole() {
                if held.pieces.held() > 0 {
                    self.count("a file held in part");
                }
                continue;
            }
            let attached = self.oracle.files.get_mut(&file);
            match attached.filter(|a| a.doc == held.doc && a.digest == *hasher.finalize().as_bytes()) {
                Some(attached) => {
                    if attached.fetched.insert(m) {
                        self.count("a file fetched");
                    }
                }
                None => {
                    return broken(format!("{node} (machine {m}) holds {file}, and that was not attached"));
                }
            }
        }
        Ok(())
    }

    /// A file that one end of these links has whole and the other, which belongs to its audience, has not.
    pub(super) fn unfetched(&mut self, pairs: &[Pair]) -> Option<String> {
        let files: Vec<(ItemHash, DocId)> = self.oracle.files.iter().map(|(f, a)| (*f, a.doc)).collect();
        for (file, doc) in files {
            let whole: BTreeSet<usize> = (0..self.machines.len())
                .filter(|m| {
                    let held = self.machines[*m].disk.file(&file).expect("memory reads");
                    held.is_some_and(|held| held.pieces.is_whole())
                })
                .collect();
            for (a, b) in pairs {
                let (x, y) = (self.machines[*a].node, self.machines[*b].node);
                let knows = |w: &mut World, m: usize| {
                    let row = w.machines[m].disk.document(&doc).expect("memory reads").unwrap_or_default();
                    row.audience.has(x.site()) && row.audience.has(y.site())
                };
                if whole.contains(a) != whole.contains(b) && knows(self, *a) && knows(self, *b) {
                    return Some(format!("{file} is whole at one of {x} and {y} only"));
                }
            }
        }
        None
    }
}
