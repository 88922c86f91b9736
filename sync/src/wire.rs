//! Frames: what two linked nodes say to each other.
//!
//! A frame is a type byte and a body in postcard form. A body may have more at its end than this version knows, and a
//! frame of an unknown type is skipped: that is how newer versions speak to older ones. On a stream every frame
//! comes after its length (four bytes, big-endian). Every size has a cap, checked before anything is allocated.
//!
//! ```text
//! 1 hello    both sides' first flight, unasked
//! 2 batch    zstd( directory items, seals, documents' items )
//! 3 answer   what the receiver of a batch made durable, refused or must wait for
//! 4 digest   the fingerprint of what both must hold, with counts that say when it was true
//! 5 sketch   cells of a rateless IBLT
//! 6 want     the outcome of a repair: which items the other side lacks
//! 7 bye      why the link ends
//! 8 seek     which pieces of a file are asked for
//! 9 piece    one piece of a file's content
//! 10 lack    none of what was asked for of a file is here
//! 11 have    some of it is here now
//! 12 prove   which subtrees of a seal are missing to prove what is held under it
//! 13 proof   those of them that are known
//! 14 carry   a parcel for somebody else, or for the receiver
//! 15 carried  it is durable at the receiver
//! 16 opening  what a part of a bundle says first of its sender
//! 17 closing  what a bundle says last
//! ```
//!
//! Openings and closings stand in parcels only, among frames of the other types.

mod names;

use std::fmt;
use std::marker::PhantomData;

use certs::NodeName;
use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::file::PIECE;
use crate::id::{DocId, Incarnation, ItemHash, SealHash};
use crate::item::Kind;
use crate::merkle::Twig;
use crate::seal::Seal;
use names::Names;

/// The version of the frames below; the smaller of both sides' is spoken. Since 2 the symbols of a repair's sketch say how
/// their items' hashes begin.
pub const VERSION: u16 = 2;

/// Since this version [`crate::sketch::Key::locating`] makes the keys of a link's repair.
pub const LOCATES: u16 = 2;

/// The longest frame in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// The most a batch may unpack to.
pub const MAX_BATCH: usize = 4 << 20;

/// How hard a batch is compressed.
const LEVEL: i32 = 3;

/// Most items in one batch.
pub const MAX_BATCH_ITEMS: usize = 8192;

/// Which of a link's streams a frame travels on. Within a lane the order holds, between lanes it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Hello, answers, digests, repair.
    Control,
    /// Batches of directory and urgent items.
    Urgent,
    /// All other batches.
    Bulk,
    /// Contents of files: it gets what the others leave. The replica keeps to a budget.
    Files,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Lane; 4] = [Lane::Control, Lane::Urgent, Lane::Bulk, Lane::Files];

    /// Its number on the wire: the first byte of its stream.
    pub fn number(self) -> u8 {
        match self {
            Lane::Control => 0,
            Lane::Urgent => 1,
            Lane::Bulk => 2,
            Lane::Files => 3,
        }
    }

    /// The lane with this number; `None` for one that a newer version has.
    pub fn numbered(number: u8) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

/// What each side says of itself in its first flight. The first batches travel with it: the digest counts them as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version that the sender speaks.
    pub version: u16,
    /// The sender's life.
    pub incarnation: Incarnation,
    /// The highest of the receiver's seals that the sender holds.
    pub highest: Option<(u64, SealHash)>,
    /// What the sender holds that both must hold.
    pub digest: DigestBody,
    /// The sender's clock in milliseconds since 1970; shown, never used.
    pub clock: u64,
    /// The sender owes more than it sent in this flight: its digest is not to be compared.
    pub more: bool,
    /// The sender's program, for operators. It came later than the rest and stands behind it: a node of before does not
    /// say it, and skips it.
    #[serde(skip)]
    pub program: Program,
}

/// The version of a program, as its node says it: shown, never used. Empty when nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program(String);

impl Program {
    /// The longest in bytes.
    pub const MAX: usize = 32;

    /// Of a text what may stand in a version: letters, digits, dots, pluses and hyphens, up to [`Program::MAX`].
    pub fn new(text: &str) -> Program {
        let fits = |c: &char| c.is_ascii_alphanumeric() || ".+-".contains(*c);
        Program(text.chars().filter(fits).take(Program::MAX).collect())
    }

    /// What was said; `None` for nothing.
    pub fn said(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }

    /// What a frame has behind the fields that every version knows.
    fn read(tail: &[u8]) -> Program {
        postcard::take_from_bytes::<&str>(tail)
            .map_or_else(|_| Program::default(), |(text, _)| Program::new(text))
    }
}

/// A fingerprint and when it was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestBody {
    /// Items sent on this connection before this frame.
    pub sent: u64,
    /// Items received on this connection and stored.
    pub received: u64,
    /// Items in the set.
    pub count: u64,
    /// The set's fingerprint.
    pub fingerprint: [u8; 32],
}

/// A seal and where this batch's items stand under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealPart {
    /// The seal.
    pub seal: Seal,
    /// The places of this batch's items as (gap, length) runs; empty when all are here.
    #[serde(deserialize_with = "at_most")]
    pub places: Vec<(u32, u32)>,
    /// The hashes of the twigs for these places, from left to right.
    pub twigs: Vec<[u8; 32]>,
}

/// Which document a group of items belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocRef {
    /// The one that the first item of the group begins.
    New,
    /// The only one with this prefix.
    Short([u8; 8]),
    /// This one.
    Whole(DocId),
}

/// One item of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemPart {
    /// Its kind's number; for an emptied item with [`EMPTIED`] added.
    pub kind: u8,
    /// Its seal's place in the batch.
    pub seal: u32,
    /// A change in packed form (on the wire with holes, see `names`), the stub of an emptied item, anything else as it is.
    pub bytes: Vec<u8>,
}

/// Added to the kind of an item that was emptied. Kinds of documents are below it.
pub const EMPTIED: u8 = 128;

/// Items of one document, parents first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocPart {
    /// The document.
    pub doc: DocRef,
    /// Its items.
    #[serde(deserialize_with = "at_most")]
    pub items: Vec<ItemPart>,
}

/// What a batch holds once unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Directory items: kind and bytes.
    #[serde(deserialize_with = "at_most")]
    pub directory: Vec<(u8, Vec<u8>)>,
    /// The seals of the documents' items.
    #[serde(deserialize_with = "at_most")]
    pub seals: Vec<SealPart>,
    /// Items by document.
    #[serde(deserialize_with = "at_most")]
    pub docs: Vec<DocPart>,
}

impl Load {
    /// How many items it holds; answers count them in this order, the directory's first.
    pub fn len(&self) -> usize {
        self.directory.len() + self.docs.iter().map(|d| d.items.len()).sum::<usize>()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compressed, for a batch frame, without the names that the receiver works out.
    pub fn pack(&self) -> Vec<u8> {
        let mut holed = self.clone();
        let mut names = Names::default();
        for change in holed.changes() {
            *change = names.leave_out(change);
        }
        let bytes = postcard::to_stdvec(&holed).expect("a struct of plain values has a byte form");
        zstd::bulk::compress(&bytes, LEVEL).expect("compressing into memory does not fail")
    }

    fn changes(&mut self) -> impl Iterator<Item = &mut Vec<u8>> {
        let items = self.docs.iter_mut().flat_map(|doc| &mut doc.items);
        items.filter(|item| item.kind == Kind::CHANGE.number()).map(|item| &mut item.bytes)
    }

    /// Unpacks at most [`MAX_BATCH`] bytes.
    pub fn unpack(packed: &[u8]) -> Result<Load, FrameError> {
        let bytes = zstd::bulk::decompress(packed, MAX_BATCH).map_err(|_| FrameError::Compression)?;
        let mut load: Load = body(&bytes)?;
        if load.len() > MAX_BATCH_ITEMS {
            return Err(FrameError::TooMany);
        }
        let (mut names, mut filled) = (Names::default(), 0);
        for change in load.changes() {
            *change = names.fill_in(change).ok_or(FrameError::Names)?;
            filled += change.len();
            if filled > 2 * MAX_BATCH {
                return Err(FrameError::Compression);
            }
        }
        Ok(load)
    }
}

/// Why an item of a batch is not durable at the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exception {
    /// Something it needs is not there yet: it was not stored, send it again.
    Waiting,
    /// It breaks a rule; its hash is kept, with the reason.
    Refused(String),
}

/// The receiver's word on a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The batch.
    pub batch: u64,
    /// Items that are not durable, by place in the batch; all others are.
    #[serde(deserialize_with = "at_most")]
    pub exceptions: Vec<(u32, Exception)>,
}

/// A piece of a sketch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SketchBody {
    /// Drawn for this repair by the side that began it.
    pub key: [u8; 16],
    /// The cells in the sketch's own coding, which says what part of the hash space they cover.
    pub cells: Vec<u8>,
}

/// The outcome of one piece of a repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantBody {
    /// The repair.
    pub key: [u8; 16],
    /// Which part of the hash space: so many leading bits ...
    pub bits: u8,
    /// ... equal to these.
    pub prefix: u32,
    /// What came of it.
    pub outcome: Want,
}

/// What the receiver of a sketch asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// Decoded: the receiver lacks the items with these symbols, and so many it had that the sender lacks are
    /// queued.
    These(Vec<[u8; 8]>, u32),
    /// More cells from this place on.
    More(u32),
    /// The budget is spent: begin again with each half.
    Split,
    /// Too far apart: send everything.
    Everything,
}

/// Asks for pieces of a file, beside those asked for before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeekBody {
    /// The file: the hash of its manifest.
    pub file: ItemHash,
    /// The places of the pieces as (gap, length) runs; none: the peer need send no more of this file.
    pub places: Vec<(u32, u32)>,
}

/// Asks for the hashes of subtrees of a seal's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProveBody {
    /// The seal.
    pub seal: SealHash,
    /// The subtrees: their first leaf, and the leaf after their last; ascending, and none within another.
    #[serde(deserialize_with = "at_most")]
    pub gaps: Vec<(u32, u32)>,
}

/// Those of the subtrees asked for that are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// The seal.
    pub seal: SealHash,
    /// Their hashes.
    #[serde(deserialize_with = "at_most")]
    pub twigs: Vec<Twig>,
}

/// A parcel on its way: a head and one page (see [`crate::parcel`]), which the carrier need not be able to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryBody {
    /// Who sends it, by its label.
    pub from: NodeName,
    /// Whom it is for, by its label.
    pub to: NodeName,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a part of a bundle says first: what a first flight says, but for the digest, which comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The newest version that the sender speaks.
    pub version: u16,
    /// The sender's life.
    pub incarnation: Incarnation,
    /// The highest of the receiver's seals that the sender holds.
    pub highest: Option<(u64, SealHash)>,
    /// The sender's clock in milliseconds since 1970; shown, never used.
    pub clock: u64,
    /// The sender's count of its exports to the receiver.
    pub number: u64,
    /// The batches of this and earlier exports that the sender has no answer to.
    #[serde(deserialize_with = "at_most")]
    pub open: Vec<u64>,
}

/// What a bundle says last: how it stands when everything of it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Which export it ends.
    pub number: u64,
    /// How many batches the whole export has.
    pub batches: u64,
    /// Items in the set that both must hold, as the sender knows it.
    pub count: u64,
    /// The set's fingerprint.
    pub fingerprint: [u8; 32],
    /// The sender owes more than it sent: earlier bundles carry it, or it could not be proved.
    pub more: bool,
}

/// Why a link ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// For the other side's operator.
    pub reason: String,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first flight.
    Hello(Hello),
    /// Items.
    Batch {
        /// Drawn by the sender.
        id: u64,
        /// A packed [`Load`].
        load: Vec<u8>,
    },
    /// The word on a batch.
    Answer(Answer),
    /// The fingerprint.
    Digest(DigestBody),
    /// Cells.
    Sketch(SketchBody),
    /// The outcome of a piece of a repair.
    Want(WantBody),
    /// The end.
    Bye(Bye),
    /// Pieces that are asked for.
    Seek(SeekBody),
    /// A piece.
    Piece {
        /// Of which file.
        file: ItemHash,
        /// Which piece.
        place: u32,
        /// Its bytes, unchecked.
        bytes: Vec<u8>,
    },
    /// None of the pieces asked for of this file is here yet.
    Lack(ItemHash),
    /// Some of this file, which was lacking, is here now.
    Have(ItemHash),
    /// What is here of a seal does not prove what is held under it.
    Prove(ProveBody),
    /// What the other side lacks for that.
    Proof(ProofBody),
    /// A parcel on its way.
    Carry(CarryBody),
    /// The parcel with this hash is durable at the receiver.
    Carried([u8; 32]),
    /// A part of a bundle begins.
    Opening(Opening),
    /// A bundle ends.
    Closing(Closing),
    /// Something that a newer version says.
    Unknown(u8),
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Nothing, or longer than [`MAX_FRAME`].
    Length(usize),
    /// The body cannot be read.
    Body,
    /// It does not decompress, or to more than [`MAX_BATCH`].
    Compression,
    /// More than [`MAX_BATCH_ITEMS`] items.
    TooMany,
    /// A change with holes that no name of the batch fills.
    Names,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Length(n) => write!(f, "a frame of {n} bytes; 1 to {MAX_FRAME} are allowed"),
            FrameError::Body => f.write_str("a frame that cannot be read"),
            FrameError::Compression => write!(f, "a batch that does not unpack to at most {MAX_BATCH} bytes"),
            FrameError::TooMany => write!(f, "a batch of more than {MAX_BATCH_ITEMS} items"),
            FrameError::Names => f.write_str("a change with holes that nothing in its batch fills"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Reads a body; what a newer version added at its end is left alone.
fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    postcard::take_from_bytes(bytes).map(|(value, _)| value).map_err(|_| FrameError::Body)
}

/// Reads a list of at most [`MAX_BATCH_ITEMS`]. A few hundred bytes can unpack to a list of millions of nothings: it is
/// refused by its length, before anything is kept of it.
fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_BATCH_ITEMS} of a kind")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let length = seq.size_hint().unwrap_or(0);
            if length > MAX_BATCH_ITEMS {
                return Err(Error::invalid_length(length, &self));
            }
            let mut list = Vec::new();
            while let Some(one) = seq.next_element()? {
                if list.len() == MAX_BATCH_ITEMS {
                    return Err(Error::invalid_length(list.len() + 1, &self));
                }
                list.push(one);
            }
            Ok(list)
        }
    }

    from.deserialize_seq(List(PhantomData))
}

fn frame(kind: u8, value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, vec![kind]).expect("a struct of plain values has a byte form")
}

impl Frame {
    /// The frame's bytes, without the length that goes before it on a stream.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Frame::Hello(b) => {
                let bytes = frame(1, b);
                match b.program.said() {
                    None => bytes,
                    Some(text) => postcard::to_extend(text, bytes).expect("a text has a byte form"),
                }
            }
            Frame::Batch { id, load } => {
                let mut bytes = Vec::with_capacity(9 + load.len());
                bytes.push(2);
                bytes.extend(id.to_be_bytes());
                bytes.extend(load);
                bytes
            }
            Frame::Answer(b) => frame(3, b),
            Frame::Digest(b) => frame(4, b),
            Frame::Sketch(b) => frame(5, b),
            Frame::Want(b) => frame(6, b),
            Frame::Bye(b) => frame(7, b),
            Frame::Seek(b) => frame(8, b),
            Frame::Piece { file, place, bytes: piece } => {
                let mut bytes = Vec::with_capacity(37 + piece.len());
                bytes.push(9);
                bytes.extend(file.as_bytes());
                bytes.extend(place.to_be_bytes());
                bytes.extend(piece);
                bytes
            }
            Frame::Lack(file) => frame(10, file),
            Frame::Have(file) => frame(11, file),
            Frame::Prove(b) => frame(12, b),
            Frame::Proof(b) => frame(13, b),
            Frame::Carry(b) => frame(14, b),
            Frame::Carried(b) => frame(15, b),
            Frame::Opening(b) => frame(16, b),
            Frame::Closing(b) => frame(17, b),
            Frame::Unknown(kind) => vec![*kind],
        }
    }

    /// Reads one frame.
    pub fn from_bytes(bytes: &[u8]) -> Result<Frame, FrameError> {
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::Length(bytes.len()));
        }
        let Some((kind, rest)) = bytes.split_first() else { return Err(FrameError::Length(0)) };
        Ok(match kind {
            1 => {
                let (mut hello, tail) =
                    postcard::take_from_bytes::<Hello>(rest).map_err(|_| FrameError::Body)?;
                hello.program = Program::read(tail);
                Frame::Hello(hello)
            }
            2 => {
                let (id, load) = rest.split_first_chunk::<8>().ok_or(FrameError::Body)?;
                Frame::Batch { id: u64::from_be_bytes(*id), load: load.to_vec() }
            }
            3 => Frame::Answer(body(rest)?),
            4 => Frame::Digest(body(rest)?),
            5 => Frame::Sketch(body(rest)?),
            6 => Frame::Want(body(rest)?),
            7 => Frame::Bye(body(rest)?),
            8 => Frame::Seek(body(rest)?),
            9 => {
                let (file, rest) = rest.split_first_chunk::<32>().ok_or(FrameError::Body)?;
                let (place, bytes) = rest.split_first_chunk::<4>().ok_or(FrameError::Body)?;
                if bytes.len() > PIECE {
                    return Err(FrameError::Length(bytes.len()));
                }
                let (file, place) = (ItemHash::from_bytes(*file), u32::from_be_bytes(*place));
                Frame::Piece { file, place, bytes: bytes.to_vec() }
            }
            10 => Frame::Lack(body(rest)?),
            11 => Frame::Have(body(rest)?),
            12 => Frame::Prove(body(rest)?),
            13 => Frame::Proof(body(rest)?),
            14 => Frame::Carry(body(rest)?),
            15 => Frame::Carried(body(rest)?),
            16 => Frame::Opening(body(rest)?),
            17 => Frame::Closing(body(rest)?),
            kind => Frame::Unknown(*kind),
        })
    }
}

/// The places of a seal's leaves as (gap, length) runs.
pub fn runs(places: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    let mut next = 0;
    for place in places {
        match runs.last_mut() {
            Some((_, length)) if *place == next => *length += 1,
            _ => runs.push((place - next, 1)),
        }
        next = place + 1;
    }
    runs
}

/// The places that runs stand for; `None` when they reach past `count` or hold more than `limit` places.
pub fn places(runs: &[(u32, u32)], count: u32, limit: usize) -> Option<Vec<u32>> {
    let mut places = Vec::new();
    let mut next = 0u32;
    for (gap, length) in runs {
        let start = next.checked_add(*gap)?;
        next = start.checked_add(*length)?;
        if next > count || places.len() + *length as usize > limit {
            return None;
        }
        places.extend(start..next);
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frame::from_bytes(&bytes);
            let _ = Load::unpack(&bytes);
        }

        #[test]
        fn frames_are_read_as_they_are_written(batch in any::<u64>(), sent in any::<u64>(), key in any::<[u8; 16]>()) {
            let digest = DigestBody { sent, received: 3, count: 4, fingerprint: [5; 32] };
            for frame in [
                Frame::Hello(Hello { version: 1, incarnation: Incarnation::from_bytes([1; 8]), highest: Some((7, SealHash::from_bytes([2; 32]))), digest, clock: 9, more: true, program: Program::new("1.2.3-rc+4") }),
                Frame::Batch { id: batch, load: vec![1, 2, 3] },
                Frame::Answer(Answer { batch, exceptions: vec![(1, Exception::Waiting), (2, Exception::Refused("no".into()))] }),
                Frame::Digest(digest),
                Frame::Sketch(SketchBody { key, cells: vec![1] }),
                Frame::Want(WantBody { key, bits: 0, prefix: 0, outcome: Want::These(vec![[1; 8]], 2) }),
                Frame::Bye(Bye { reason: "enough".into() }),
                Frame::Seek(SeekBody { file: ItemHash::from_bytes([3; 32]), places: vec![(1, 2)] }),
                Frame::Lack(ItemHash::from_bytes([4; 32])),
                Frame::Have(ItemHash::from_bytes([5; 32])),
                Frame::Prove(ProveBody { seal: SealHash::from_bytes([6; 32]), gaps: vec![(1, 2)] }),
                Frame::Proof(ProofBody {
                    seal: SealHash::from_bytes([6; 32]),
                    twigs: vec![Twig { low: 1, high: 2, hash: [7; 32] }],
                }),
                Frame::Piece { file: ItemHash::from_bytes([3; 32]), place: 7, bytes: vec![1, 2, 3] },
                Frame::Carry(CarryBody {
                    from: "370100-01".parse().unwrap(),
                    to: "370000".parse().unwrap(),
                    bytes: vec![1, 2, 3],
                }),
                Frame::Carried([8; 32]),
                Frame::Opening(Opening {
                    version: 1,
                    incarnation: Incarnation::from_bytes([1; 8]),
                    highest: None,
                    clock: 9,
                    number: 4,
                    open: vec![batch, 2],
                }),
                Frame::Closing(Closing { number: 4, batches: 2, count: 7, fingerprint: [5; 32], more: false }),
                Frame::Unknown(200),
            ] {
                let mut bytes = frame.to_bytes();
                prop_assert_eq!(Frame::from_bytes(&bytes), Ok(frame.clone()));
                if !matches!(frame, Frame::Batch { .. } | Frame::Piece { .. }) {
                    bytes.extend([1, 2, 3]); // what a newer version adds
                    prop_assert_eq!(Frame::from_bytes(&bytes), Ok(frame));
                }
            }
        }

        #[test]
        fn runs_stand_for_their_places(set in proptest::collection::btree_set(0u32..500, 0..60)) {
            let all: Vec<u32> = set.into_iter().collect();
            prop_assert_eq!(places(&runs(&all), 500, 60), Some(all));
        }
    }

    #[test]
    fn a_bomb_does_not_unpack() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(Load::unpack(&bomb), Err(FrameError::Compression));
    }

    #[test]
    fn a_million_documents_without_an_item_are_not_a_batch() {
        let part = DocPart { doc: DocRef::New, items: Vec::new() };
        let load = Load { docs: vec![part; 1 << 20], ..Load::default() };
        assert!(load.is_empty());
        let packed = load.pack();
        assert!(packed.len() < 1_000);
        assert_eq!(Load::unpack(&packed), Err(FrameError::Body));
        let full = Load { directory: vec![(1, Vec::new()); MAX_BATCH_ITEMS], ..Load::default() };
        assert_eq!(Load::unpack(&full.pack()), Ok(full));
    }

    #[test]
    fn hostile_runs_cost_nothing() {
        assert_eq!(places(&[(0, u32::MAX)], u32::MAX, 100), None);
        assert_eq!(places(&[(u32::MAX, 1)], u32::MAX, 100), None);
        assert_eq!(places(&[(5, 6)], 10, 100), None);
    }

    #[test]
    fn an_idle_reconnect_is_small() {
        let digest = DigestBody { sent: 0, received: 0, count: 1_000_000, fingerprint: [5; 32] };
        let hello = Hello {
            version: VERSION,
            incarnation: Incarnation::from_bytes([1; 8]),
            highest: Some((1 << 40, SealHash::from_bytes([2; 32]))),
            digest,
            clock: 1_800_000_000_000,
            more: false,
            program: Program::new("10.11.12"),
        };
        assert!(Frame::Hello(hello).to_bytes().len() < 128);
    }

    #[test]
    fn a_program_is_skipped_by_older_nodes_and_not_missed_by_newer_ones() {
        // As it was before programs were said.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Before {
            version: u16,
            incarnation: Incarnation,
            highest: Option<(u64, SealHash)>,
            digest: DigestBody,
            clock: u64,
            more: bool,
        }
        let digest = DigestBody { sent: 1, received: 2, count: 3, fingerprint: [4; 32] };
        let incarnation = Incarnation::from_bytes([1; 8]);
        let before = Before { version: 1, incarnation, highest: None, digest, clock: 9, more: true };
        let with = |program: &str| {
            let program = Program::new(program);
            Frame::Hello(Hello {
                version: 1,
                incarnation,
                highest: None,
                digest,
                clock: 9,
                more: true,
                program,
            })
        };
        // The older node reads what the newer one says, and the newer one what the older one says.
        assert_eq!(body::<Before>(&with("0.2.0").to_bytes()[1..]), Ok(before));
        assert_eq!(Frame::from_bytes(&with("").to_bytes()), Ok(with("")));
        assert_eq!(Frame::from_bytes(&with("0.2.0").to_bytes()), Ok(with("0.2.0")));
        // What stands behind it some day, and what is no version, hurts nobody.
        let later = [with("0.2.0").to_bytes(), vec![255; 40]].concat();
        assert_eq!(Frame::from_bytes(&later), Ok(with("0.2.0")));
        for odd in [&[255u8; 40][..], &[3, 0xff, 0xfe, 0xfd], &[200, 1, b'x']] {
            assert_eq!(Frame::from_bytes(&[with("").to_bytes().as_slice(), odd].concat()), Ok(with("")));
        }
        assert_eq!(Program::new("1.0\n<script>").said(), Some("1.0script"));
        assert_eq!(Program::new(&"9".repeat(400)).said().map(str::len), Some(Program::MAX));
    }
}
