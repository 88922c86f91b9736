//! Sabotage on purpose: what a world that does not notice would prove about itself.
//!
//! Each is done in the shell around the replica (the trust, the matter, the desk, the disk, the order of calls), never
//! in the product. Which invariant catches which is the table of tests/sabotage.rs.

use sync::item::{Item, Kind};
use sync::store::Store;
use sync::store::contents::Contents;

use super::World;

/// One way to break a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    Nothing,
    /// Effects are performed, and replies given, before the commit.
    AnswerFirst,
    /// The disk says that it wrote and keeps it for later: `synchronous=NORMAL`.
    LazyDisk,
    /// A seal counts whoever's key made it.
    BlindSeals,
    /// The actor of a start is the actor of all starts.
    FixedActor,
    /// What a peer with a smaller name sends is answered and thrown away.
    OneSide,
    /// The fold reads the order of arrival.
    CrookedFold,
    /// A site that has once accepted a ticket shows it as its own for ever.
    Possessive,
    /// A close is shown as one though an offer was made that it did not know.
    HastyClose,
    /// Everybody belongs to every audience.
    OpenAudience,
    /// A site that is none of one's peers and superiors is taken out of the audience when the ticket changes again.
    Forgetful,
    /// A desk writes on some of the trail's heads only.
    StaleParents,
    /// A node stops at an op of a newer version.
    Brittle,
    /// Rows vanish from a disk.
    LostRows,
    /// Bits flip on a disk.
    BitRot,
    /// Bits flip in the pieces of files.
    SpoiltPieces,
    /// What an erased mark empties is kept in the vault.
    KeptKeys,
    /// A holder grants the key to the whole audience.
    OpenHanded,
    /// A holder grants nothing to those who come later.
    Miser,
    /// What a stick brings is answered and thrown away.
    LostSticks,
}

impl World {
    /// What a rotten disk does to itself between two events.
    pub(super) fn rot(&mut self) {
        let sabotage = self.sabotage;
        if !matches!(sabotage, Sabotage::LostRows | Sabotage::BitRot | Sabotage::SpoiltPieces) {
            return;
        }
        let m = self.chance.below(self.machines.len() as u64) as usize;
        let machine = &mut self.machines[m];
        let wanted = if sabotage == Sabotage::SpoiltPieces { Kind::FILE } else { Kind::CHANGE };
        let foreign = machine.disk.items().filter(|i| i.kind == wanted && i.author != machine.node);
        let Some(item) = self.chance.pick(&foreign.map(|i| i.hash).collect::<Vec<_>>()) else { return };
        let item: Item = machine.disk.item(&item).expect("memory reads").expect("it was just there");
        match sabotage {
            Sabotage::SpoiltPieces => {
                let held = machine.disk.file(&item.hash).expect("memory reads");
                if held.is_some_and(|held| held.pieces.has(0)) {
                    machine.disk.spoil(&item.hash, 0);
                }
            }
            _ => {
                machine.disk.drop_item(&item.hash).expect("memory writes");
                if sabotage == Sabotage::BitRot {
                    let mut item = item;
                    super::tamper::flip(&mut item.bytes, &mut self.chance);
                    machine.disk.put_item(&item).expect("memory writes");
                }
            }
        }
        machine.dirty = true;
    }
}
