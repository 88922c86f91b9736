//! Relays that do things to the frames of honest nodes.

use sync::wire::{Answer, Exception, Frame, Load};

use super::chance::Chance;

/// What a relay does to the frames that leave through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Nothing.
    Honest,
    /// Flips a bit of an item.
    Flip,
    /// Flips a bit anywhere in a frame.
    FlipFrame,
    /// Leaves out one document of a batch.
    Drop,
    /// Leaves out whole batches.
    DropBatches,
    /// Answers that everything is refused.
    RefuseAll,
    /// Never answers.
    Withhold,
    /// Answers that all is durable, and keeps nothing. (Done where frames arrive.)
    FalseAnswers,
    /// Says every frame twice.
    Twice,
}

impl Tamper {
    /// All but honesty.
    pub const ALL: [Tamper; 8] = [
        Tamper::Flip,
        Tamper::FlipFrame,
        Tamper::Drop,
        Tamper::DropBatches,
        Tamper::RefuseAll,
        Tamper::Withhold,
        Tamper::FalseAnswers,
        Tamper::Twice,
    ];

    /// Its name in the coverage table.
    pub fn name(self) -> &'static str {
        match self {
            Tamper::Honest => "relay: honest again",
            Tamper::Flip => "relay: an item altered",
            Tamper::FlipFrame => "relay: a frame altered",
            Tamper::Drop => "relay: items left out",
            Tamper::DropBatches => "relay: batches left out",
            Tamper::RefuseAll => "relay: refusals invented",
            Tamper::Withhold => "relay: answers withheld",
            Tamper::FalseAnswers => "relay: answers for what was thrown away",
            Tamper::Twice => "relay: every frame twice",
        }
    }

    /// What becomes of a frame, and whether that is something else than it was.
    pub fn apply(self, bytes: Vec<u8>, chance: &mut Chance) -> (Vec<Vec<u8>>, bool) {
        let frame = Frame::from_bytes(&bytes);
        match (self, frame) {
            (Tamper::Flip, Ok(Frame::Batch { id, load })) => {
                let Ok(mut load) = Load::unpack(&load) else { return (vec![bytes], false) };
                let items: Vec<(usize, usize)> = (0..load.docs.len())
                    .flat_map(|d| (0..load.docs[d].items.len()).map(move |i| (d, i)))
                    .collect();
                let Some((d, i)) = chance.pick(&items) else { return (vec![bytes], false) };
                flip(&mut load.docs[d].items[i].bytes, chance);
                (vec![Frame::Batch { id, load: load.pack() }.to_bytes()], true)
            }
            (Tamper::FlipFrame, _) if chance.hits(20) => {
                let mut bytes = bytes;
                flip(&mut bytes, chance);
                (vec![bytes], true)
            }
            (Tamper::Drop, Ok(Frame::Batch { id, load })) => {
                let Ok(mut load) = Load::unpack(&load) else { return (vec![bytes], false) };
                if load.docs.pop().is_none() {
                    return (vec![bytes], false);
                }
                (vec![Frame::Batch { id, load: load.pack() }.to_bytes()], true)
            }
            (Tamper::DropBatches, Ok(Frame::Batch { .. })) | (Tamper::Withhold, Ok(Frame::Answer(_))) => {
                (Vec::new(), true)
            }
            (Tamper::RefuseAll, Ok(Frame::Answer(answer))) => {
                let refusals = (0..40).map(|place| (place, Exception::Refused("I will not".to_owned())));
                let answer = Answer { batch: answer.batch, exceptions: refusals.collect() };
                (vec![Frame::Answer(answer).to_bytes()], true)
            }
            (Tamper::Twice, Ok(_)) => (vec![bytes.clone(), bytes], true),
            _ => (vec![bytes], false),
        }
    }
}

/// Flips a bit somewhere.
pub(super) fn flip(bytes: &mut [u8], chance: &mut Chance) {
    let at = chance.below(bytes.len() as u64 * 8) as usize;
    if let Some(byte) = bytes.get_mut(at / 8) {
        *byte ^= 1 << (at % 8);
    }
}

/// The answer that a whole batch is durable.
pub fn all_durable(batch: u64) -> Vec<u8> {
    Frame::Answer(Answer { batch, exceptions: Vec::new() }).to_bytes()
}
