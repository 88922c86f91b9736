//! The named invariants, checked after every event.

use std::collections::BTreeSet;

use sync::chunk::ChangeChunk;
use sync::digest::SetDigest;
use sync::id::{DocId, ItemHash};
use sync::item::{Item, Kind, STUB, State};
use sync::replica::Event as Told;
use sync::store::{Position, Store};

use super::{Checked, Violation, World, person};

/// Whatever a node said is saved is on a disk, but for what only a disk that is gone held.
pub const NOT_LOST: &str = "no acknowledged ticket is lost";
/// The fold is a function of the set of entries.
pub const FOLDS_EQUAL: &str = "equal entry sets fold byte-equal";
/// Two nodes that have heard each other's reasons name one custodian.
pub const ONE_CUSTODIAN: &str = "never two custodians that have heard of each other";
/// Nobody holds a ticket that neither it nor its sender knows it has a part in.
pub const AUDIENCE: &str = "nobody outside the audience holds a document";
/// Nobody leaves an audience.
pub const AUDIENCE_GROWS: &str = "the audience only grows";
/// A complaint does not vanish.
pub const CLOSE_KNEW: &str = "a closed ticket's close knew every offer of its custody";
/// A pair's digest is that of the items both must hold.
pub const DIGEST: &str = "digests are equal exactly when sets are equal";
/// A healed world comes to rest.
pub const SETTLES: &str = "a healed world settles within a bound";
/// Every change held was written by its author.
pub const NOT_INVENTED: &str = "nothing is invented";
/// Of one actor and number there is one change in a document.
pub const ONE_PLACE: &str = "an actor never writes two changes with one number";
/// A node passes its own gate.
pub const OWN_GATE: &str = "what the fold grants passes the gate";
/// No fault of this world damages what was committed.
pub const WHOLE: &str = "what was committed is whole";
/// No input stops a node.
pub const NO_PANIC: &str = "no input stops a node";
/// What is erased opens nowhere that has heard of it, whatever came after, from whatever backup.
pub const ERASED: &str = "an erased caller opens nowhere that has heard of it";
/// A caller opens for nobody whom neither an entitled word nor a request names.
pub const SHOWN: &str = "a caller opens only for those who may see it";
/// Whoever may see a caller does, once a holder can be reached.
pub const ENTITLED: &str = "whoever may see a caller gets the key";
/// A file is what was attached.
pub const CONTENT: &str = "a file's content is what was attached";

/// All of them.
pub const ALL: [&str; 17] = [
    NOT_LOST,
    FOLDS_EQUAL,
    ONE_CUSTODIAN,
    AUDIENCE,
    AUDIENCE_GROWS,
    CLOSE_KNEW,
    DIGEST,
    SETTLES,
    NOT_INVENTED,
    ONE_PLACE,
    OWN_GATE,
    WHOLE,
    NO_PANIC,
    ERASED,
    SHOWN,
    ENTITLED,
    CONTENT,
];

fn broken(invariant: &'static str, detail: String) -> Checked {
    Err(Violation { invariant, detail })
}

/// Whether an item's bytes are those that its hash stands for.
pub(super) fn is_whole(item: &Item) -> bool {
    match item.state {
        State::Emptied => {
            <&[u8; STUB]>::try_from(&item.bytes[..]).is_ok_and(|s| item.kind.hash_of_stub(s) == item.hash)
        }
        _ => item.kind.hash(&item.bytes) == item.hash,
    }
}

/// A machine's name for people: a node's, and which of its machines.
fn called(world: &World, m: usize) -> String {
    format!("{} (machine {m})", world.machines[m].node)
}

impl World {
    /// Checks everything that may have changed since the last call.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&mut self) -> Checked {
        let dirty: Vec<usize> = (0..self.machines.len()).filter(|m| self.machines[*m].dirty).collect();
        for m in dirty {
            self.machines[m].dirty = false;
            self.check_items(m)?;
            self.check_digests(m)?;
            self.check_tickets(m)?;
            self.check_persons(m)?;
            self.check_contents(m)?;
        }
        self.check_acknowledged()
    }

    /// Nothing is invented, and nothing is numbered twice.
    fn check_items(&mut self, m: usize) -> Checked {
        let after = self.machines[m].checked;
        let page = self.machines[m].disk.scan(after, usize::MAX).expect("memory reads");
        for (position, hash, doc) in page {
            self.machines[m].checked = position;
            let Some(item) = self.machines[m].disk.item(&hash).expect("memory reads") else { continue };
            if !is_whole(&item) {
                return broken(WHOLE, format!("{} holds other bytes as {hash}", called(self, m)));
            }
            let Some(doc) = doc.filter(|_| item.state != State::Refused) else { continue };
            let writers = self.oracle.written.get(&hash);
            if !writers.is_some_and(|w| w.contains(&item.author)) {
                let detail = format!(
                    "{} holds {hash} as {}'s, and it was written by {writers:?}",
                    called(self, m),
                    item.author
                );
                return broken(NOT_INVENTED, detail);
            }
            if item.kind != Kind::CHANGE || self.oracle.forgers.contains(&item.author) {
                continue;
            }
            let Ok(chunk) = ChangeChunk::parse(&item.bytes) else { continue };
            let place = (doc, chunk.actor().to_vec(), chunk.seq());
            let first = *self.oracle.places.entry(place).or_insert(hash);
            if first != hash {
                let detail = format!("{}: {hash} and {first} by {}", called(self, m), item.author);
                return broken(ONE_PLACE, detail);
            }
        }
        Ok(())
    }

    /// The digest a node keeps of a pair is that of the set it keeps.
    fn check_digests(&mut self, m: usize) -> Checked {
        for peer in self.machines[m].disk.peers().expect("memory reads") {
            let Some(row) = self.machines[m].disk.peer(peer).expect("memory reads") else { continue };
            let shared = self.shared(m, peer.site());
            let mut digest = SetDigest::new();
            for hash in &shared {
                digest.add_expanded(self.oracle.expanded(hash));
            }
            if (digest.count(), digest.fingerprint()) != (row.digest.count(), row.digest.fingerprint()) {
                let (said, is) = (row.digest.count(), shared.len());
                let detail = format!(
                    "{} counts {said} items that it and {peer} must hold and holds {is}",
                    called(self, m)
                );
                return broken(DIGEST, detail);
            }
        }
        Ok(())
    }

    /// The items that a machine holds and that it and this site must both hold.
    pub(super) fn shared(&mut self, m: usize, peer: certs::Site) -> BTreeSet<ItemHash> {
        let me = self.machines[m].node.site();
        let disk = &mut self.machines[m].disk;
        let both: BTreeSet<DocId> = disk
            .documents(None, usize::MAX)
            .expect("memory reads")
            .into_iter()
            .filter(|(_, d)| d.audience.has(me) && d.audience.has(peer))
            .map(|(doc, _)| doc)
            .collect();
        let all = disk.scan(Position(0), usize::MAX).expect("memory reads");
        all.into_iter()
            .filter(|(_, _, doc)| doc.is_none_or(|d| both.contains(&d)))
            .map(|(_, h, _)| h)
            .collect()
    }

    /// What a machine shows of its tickets, against everybody else's.
    fn check_tickets(&mut self, m: usize) -> Checked {
        let node = self.machines[m].node;
        let docs = std::mem::take(&mut self.machines[m].fresh);
        for doc in docs {
            let Some(shown) = self.machines[m].shown.get(&doc).cloned() else { continue };
            shown.rare.iter().for_each(|what| self.count(what));
            let row = self.machines[m].disk.document(&doc).expect("memory reads").unwrap_or_default();
            let before = self.machines[m].audiences.insert(doc, row.audience.clone());
            if let Some(before) = before
                && row.audience.clone().grow(&before)
            {
                let now = &row.audience;
                let detail = format!("{}: {doc} was for {before} and is for {now}", called(self, m));
                return broken(AUDIENCE_GROWS, detail);
            }
            let key = (doc, shown.entries.clone());
            let (state, first) = *self.oracle.states.entry(key).or_insert((shown.state, node));
            if state != shown.state {
                let detail = format!("{doc} with {} entries at {first} and {node}", shown.entries.len());
                return broken(FOLDS_EQUAL, detail);
            }
            let Some(custodian) = shown.custodian else { continue };
            if let Some((close, offer)) = shown.unaware {
                let detail = format!("{}: {doc}, close {close:?}, offer {offer:?}", called(self, m));
                return broken(CLOSE_KNEW, detail);
            }
            for other in &self.machines {
                let Some(theirs) = other.shown.get(&doc).filter(|_| other.up.is_some()) else { continue };
                let heard =
                    shown.reasons.is_subset(&theirs.entries) && theirs.reasons.is_subset(&shown.entries);
                if let Some(also) = theirs.custodian
                    && heard
                    && also != custodian
                    && custodian == node.site()
                    && also == other.node.site()
                {
                    let detail = format!("{node} and {} both hold {doc}", other.node);
                    return broken(ONE_CUSTODIAN, detail);
                }
            }
        }
        Ok(())
    }

    /// Erased callers are erased, and nobody sees whom he may not.
    fn check_persons(&mut self, m: usize) -> Checked {
        let node = self.machines[m].node;
        for rare in std::mem::take(&mut self.machines[m].rare) {
            self.count(rare);
        }
        for doc in std::mem::take(&mut self.machines[m].kept) {
            let machine = &mut self.machines[m];
            let opens = machine.up.as_ref().is_some_and(|up| up.desk.vault.opens(&doc, node));
            if person::erased(&mut machine.disk, &doc) {
                let grants = machine.disk.items_of_kind(&doc, Kind::GRANT).expect("memory reads");
                let left =
                    grants.iter().filter(|g| g.state != State::Emptied || g.bytes.len() > STUB).count();
                if left > 0 || opens {
                    let detail =
                        format!("{}: {doc}, {left} grants are left, opens: {opens}", called(self, m));
                    return broken(ERASED, detail);
                }
            }
            // Whoever was told that a grant is saved was told later that it is erased; a mark that counts no more may have
            // emptied it everywhere.
            let grants = machine.disk.items_of_kind(&doc, Kind::GRANT).expect("memory reads");
            for grant in grants.iter().filter(|g| g.state == State::Emptied) {
                self.oracle.acked.remove(&grant.hash);
            }
            let may = |c: &super::oracle::Called| c.may_see(node.site());
            if opens && !self.oracle.callers.get(&doc).is_some_and(may) {
                return broken(SHOWN, format!("{} opens the caller of {doc}", called(self, m)));
            }
        }
        Ok(())
    }

    /// What one machine got from another, it or its sender knows it has a part in.
    pub(super) fn check_named(&mut self, from: usize, to: usize, before: Position) {
        let news = self.machines[to].disk.scan(before, usize::MAX).expect("memory reads");
        let docs: BTreeSet<DocId> = news.into_iter().filter_map(|(_, _, doc)| doc).collect();
        let site = self.machines[to].node.site();
        for doc in docs {
            let (sender, receiver) =
                (self.machines[from].has_named(doc, site), self.machines[to].has_named(doc, site));
            if sender.or(receiver).is_some() && sender != Some(true) && receiver != Some(true) {
                let detail = format!(
                    "{} sent {doc} to {}, whom it does not name",
                    called(self, from),
                    called(self, to)
                );
                self.fail(AUDIENCE, detail);
            }
        }
    }

    fn check_acknowledged(&mut self) -> Checked {
        let mut homes = Vec::new();
        for (hash, acked) in &self.oracle.acked {
            let holds = |machine: &mut super::Machine| {
                !machine.retired && machine.disk.state(hash).expect("memory reads").is_some()
            };
            if holds(&mut self.machines[acked.home]) {
                continue;
            }
            let Some(home) = self.machines.iter_mut().position(holds) else {
                let detail = format!("{hash} of {} by {} is on no disk", acked.doc, acked.by);
                return broken(NOT_LOST, detail);
            };
            homes.push((*hash, home));
        }
        for (hash, home) in homes {
            if let Some(acked) = self.oracle.acked.get_mut(&hash) {
                acked.home = home;
            }
        }
        Ok(())
    }
}

/// The rare state that an operator was told of.
pub fn rare_event(event: &Told) -> &'static str {
    match event {
        Told::Proved { .. } => "told: proved equal",
        Told::Repairing { .. } => "told: a repair begins",
        Told::Repaired { .. } => "told: repaired",
        Told::Refused { .. } => "told: an item refused",
        Told::RefusedByPeer { .. } => "told: a peer refused an item",
        Told::Misbehaved { .. } => "told: a peer misbehaved",
        Told::Forked { .. } => "told: a chain forks",
        Told::Restored { .. } => "told: this node is an old copy of itself",
        Told::Cloned { .. } => "told: a copy of this node runs",
        Told::Ended { .. } => "told: the peer ended the link",
        Told::Frozen { .. } => "told: a document past what is loaded",
        Told::Revoked { .. } => "told: nodes were revoked",
        _ => "told: something else",
    }
}
